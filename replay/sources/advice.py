"""What to say when messages come and none can be used, or when they are told apart by nothing."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from online_gmm.data.counted import counted
from replay.sources.preamble import DELIMITERS
from replay.sources.read_options import ReadOptions

AFTER = 10
"""Messages refused, and none used, after which it is said what comes."""
MOST_SHOWN = 20
"""Fields or topics that are listed."""
MOST_ITEMS = 8
"""Items of an array that are listed as fields."""
AFTER_TOPICS = 20
"""Messages after which it is said that a level of the topic tells nothing apart."""
MOST_TOPICS = 1000
"""Topics that are remembered."""
TOPIC = "topic"
"""The key of --key that is not a field; topic:N is its N-th level, from 1."""


class Advice:
    """Looks at the first messages, and gives a hint when none of them can be used.

    Parameters
    ----------
    options
        Which fields to read, and how; hints go to its refusals.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._fields: dict[str, None] = {}
        self._plain: list[str] = []
        self._topics: dict[str, None] = {}
        self._reasons: Counter[str] = Counter()
        self._is_done = False

    def used(self) -> None:
        """Note that a message is a row."""
        self._is_done = True

    def refused(self, reason: str, data: bytes, topic: str | None) -> None:
        """Note that a message is refused, and why."""
        if self._is_done:
            return
        self._reasons[reason] += 1
        if topic is not None:
            self._topics[topic] = None
        try:
            message = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            message = data[:40].decode(errors="replace")
        if isinstance(message, dict | list):
            self._fields.update(dict.fromkeys(fields_in(message)))
        else:
            self._plain.append(str(message))
        if self._reasons.total() >= AFTER:
            self._is_done = True
            self._options.refusals.hint(self._text())

    def _text(self) -> str:
        options, n = self._options, self._reasons.total()
        reasons = ", ".join(counted(count, reason) for reason, count in self._reasons.items())
        lines = [f"{counted(n, 'messages have')} come, and none could be used: {reasons}."]
        if self._fields:
            lines.append(f"Their fields: {_listed(list(self._fields))}.")
        if self._plain:
            lines.append(f"No objects: {len(self._plain)}, such as {self._plain[0]!r}.")
            if not self._fields and any(mark in self._plain[0] for mark in DELIMITERS):
                lines.append("A message is one JSON object; lines of CSV are read by replay run -.")
        wanted = {
            **dict.fromkeys(options.values, "--value"),
            **dict.fromkeys(options.parts or _given(options.time), "--time"),
            **{name: "--key" for name in _given(options.key) if not _is_topic(name)},
            **dict.fromkeys(_given(options.sequence), "--sequence"),
        }
        for name, option in wanted.items():
            if self._fields and name not in self._fields:
                lines.append(f"{option} asks for {name!r}{self._meant(name, option)}")
        if self._plain and len(options.values) > 1:
            lines.append(
                "A message that is a number by itself is one value: say --value payload; or join "
                "several topics to a row, as in --value 'sensors/+/temp,sensors/+/flow'."
            )
        if options.refusals.first is not None:
            lines.append(f"The first one was refused for this: {options.refusals.first}")
        return " ".join(lines)

    def _meant(self, name: str, option: str) -> str:
        close = closest(name, list(self._fields))
        return f"; did you mean {option} {close}?" if close else ", which none of them has."

    def no_topic(self, filters: Sequence[str]) -> None:
        """A message has a topic that no filter matches; its topic is among those refused."""
        if self._reasons.total() == AFTER and self._topics:
            self._options.refusals.hint(
                f"Their topics: {_listed(list(self._topics))}; --value asks for "
                f"{_listed(list(filters))}."
            )


class Levels:
    """Looks at topics, and gives a hint when the level that is the key is always the same.

    Parameters
    ----------
    options
        Which fields to read, and how; hints go to its refusals.
    level
        The level of the topic that is the key, from 1; None if there is no key.
    """

    def __init__(self, options: ReadOptions, level: int | None) -> None:
        self._refusals = options.refusals
        self._level = level
        self._topics: dict[str, None] = {}
        self._n = 0
        self._is_done = not (level or options.key is None)

    def take(self, topic: str) -> None:
        """Note the topic of a message."""
        if self._is_done:
            return
        self._n += 1
        is_new = topic not in self._topics
        if is_new:
            self._topics[topic] = None
            is_told_apart = self._level is not None and len(self._found(self._level)) > 1
            self._is_done = is_told_apart or len(self._topics) >= MOST_TOPICS
        if self._n < AFTER_TOPICS or self._is_done or not (is_new or self._n == AFTER_TOPICS):
            return
        longest = max(topic.count("/") + 1 for topic in self._topics)
        other = next((n for n in range(1, longest + 1) if len(self._found(n)) > 1), None)
        if other is None:
            return
        self._is_done = True
        differs = f"level {other} differs ({_listed(self._found(other), 4)})"
        if self._level is None:
            said = f"the topics are not all the same: {differs}. Without --key all are one series"
        else:
            (same,) = self._found(self._level)
            said = f"--key topic:{self._level} is {same!r} in all messages, while {differs}"
        self._refusals.hint(f"{said}; did you mean --key topic:{other}?")

    def _found(self, level: int) -> list[str]:
        """What is at a level; topics that end before it have nothing there."""
        levels = [topic.split("/")[level - 1 : level] for topic in self._topics]
        return list(dict.fromkeys("".join(part) for part in levels))


def fields_in(message: Any, before: str = "") -> Iterator[str]:
    """The fields of a message by their paths, items of arrays by their numbers."""
    if isinstance(message, dict):
        for field, found in message.items():
            yield from fields_in(found, f"{before}{field}.")
    elif isinstance(message, list):
        for i, found in enumerate(message[:MOST_ITEMS]):
            yield from fields_in(found, f"{before}{i}.")
    elif before:
        yield before[:-1]


def closest(name: str, names: Sequence[str]) -> str | None:
    """Return the most similar name: one with the same ending, or with a similar spelling."""
    plain = {each.lower(): each for each in names}
    ends = {each.lower().rpartition(".")[2]: each for each in reversed(names)}
    low = name.lower()
    for known in (plain, ends):
        if low in known:
            return known[low]
    last = low.rpartition(".")[2]
    for known, wanted in ((plain, low), (ends, last)):
        if close := difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.6):
            return known[close[0]]
    return next((each for each in names if last in each.lower()), None)


def _given(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _is_topic(name: str) -> bool:
    return name == TOPIC or name.startswith(TOPIC + ":")


def _listed(names: Sequence[str], most: int = MOST_SHOWN) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
