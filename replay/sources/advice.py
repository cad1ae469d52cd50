"""What to say of messages: none can be used, a value never comes, or nothing tells them apart."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
AFTER_ROWS = 50
"""Rows after which it is said that a value has never come, and what tells series apart."""
MOST_APART = 0.25
"""Series that a field may tell apart, as a share of the rows."""
AFTER_TOPICS = 20
"""Messages after which it is said that a level of the topic tells nothing apart."""
MOST_TOPICS = 1000
"""Topics that are remembered."""
MESSAGE_KEY = "message-key"
"""The key of --key that is the one that a message of Kafka is sent with."""
TOPIC = "topic"
"""The key of --key that is not a field; topic:N is its N-th level, from 1."""


BY_JQ = """jq -Rc --unbuffered 'split(",") | {t: .[0], x: (.[1] | tonumber?)}'"""
"""What makes objects of lines of CSV with a time and a number; a header makes none."""


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
            if self._plain[0].startswith("{'"):
                lines.append("These are dicts of Python; json.dumps writes them as JSON.")
            elif not self._fields and any(mark in self._plain[0] for mark in DELIMITERS):
                lines.append(
                    "A message is one JSON object; lines of CSV are read by replay run - when they "
                    f"have ended. As they come, jq makes objects of them: {BY_JQ}."
                )
        wanted = {
            **dict.fromkeys(options.values, "--value"),
            **dict.fromkeys(options.parts or _given(options.time), "--time"),
            **{name: "--key" for name in _given(options.key) if not _is_no_field(name)},
            **dict.fromkeys(_given(options.sequence), "--sequence"),
        }
        for name, option in wanted.items():
            if self._fields and name not in self._fields:
                lines.append(f"{option} asks for {name!r}{meant(name, option, self._fields)}")
        if self._plain and len(options.values) > 1:
            lines.append(
                "A message that is a number by itself is one value: say --value payload; or join "
                "several topics to a row, as in --value 'sensors/+/temp,sensors/+/flow'."
            )
        if options.refusals.first is not None:
            lines.append(f"The first one was refused for this: {options.refusals.first}")
        return " ".join(lines)

    def no_topic(self, filters: Sequence[str]) -> None:
        """A message has a topic that no filter matches; its topic is among those refused."""
        if self._reasons.total() == AFTER and self._topics:
            self._options.refusals.hint(
                f"Their topics: {_listed(list(self._topics))}; --value asks for "
                f"{_listed(list(filters))}."
            )


class FirstRows:
    """Looks at the first rows: which values never come, and what tells series apart without a key.

    Parameters
    ----------
    options
        Which fields are read, and how; hints go to its refusals.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._never = dict.fromkeys(options.values if len(options.values) > 1 else ())
        self._fields: dict[str, None] = {}
        self._times: list[str] = []
        self._texts: list[dict[str, str]] = []
        self._sent_with: list[str] = []
        self._n = 0
        self.is_done = not self._never and options.key is not None

    def take(self, message: Any, came: Iterable[str], time: str, sent_with: str | None) -> None:
        """Note a message that is a row.

        Parameters
        ----------
        message
            The object.
        came
            The values whose fields it has.
        time
            Its time, as it is written.
        sent_with
            The key that it was sent with, if any.
        """
        self._n += 1
        found = dict(leaves_in(message))
        self._fields.update(dict.fromkeys(found))
        for name in came:
            self._never.pop(name, None)
        if self._options.key is None:
            self._times.append(time)
            self._texts.append({name: it for name, it in found.items() if isinstance(it, str)})
            if sent_with is not None:
                self._sent_with.append(sent_with)
        if self._n < AFTER_ROWS:
            return
        self.is_done = True
        for name in self._never:
            self._options.refusals.hint(
                never_came(name, f"the first {self._n} messages", self._fields)
            )
        if self._options.key is None and (hint := self._key_meant()):
            self._options.refusals.hint(hint)

    def _key_meant(self) -> str:
        most = MOST_APART * self._n
        sent_with = list(dict.fromkeys(self._sent_with))
        if len(self._sent_with) == self._n and 1 < len(sent_with) <= most:
            return (
                f"the keys of the messages are not all the same ({_listed(sent_with, 4)}). Without "
                f"--key all are one series; did you mean --key {MESSAGE_KEY}?"
            )
        if len(set(self._times)) == self._n or "" in self._times:
            return ""
        for name in self._texts[0]:
            found = [texts.get(name) for texts in self._texts]
            apart = list(dict.fromkeys(it for it in found if it is not None))
            # of one series no time comes twice
            if None not in found and len(apart) <= most and len(
                set(zip(found, self._times, strict=True))
            ) == self._n:  # fmt: skip
                return (
                    f"the same times come again for each {name!r} ({_listed(apart, 4)}). Without "
                    "--key all are one series, in which a time that has been there is late; did "
                    f"you mean --key {name}?"
                )
        return ""


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


def fields_in(message: Any) -> Iterator[str]:
    """The fields of a message by their paths, items of arrays by their numbers."""
    return (path for path, _ in leaves_in(message))


def leaves_in(message: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a message by their paths, as `fields_in`, and what is in them."""
    if isinstance(message, dict):
        for field, found in message.items():
            yield from leaves_in(found, f"{before}{field}.")
    elif isinstance(message, list):
        for i, found in enumerate(message[:MOST_ITEMS]):
            yield from leaves_in(found, f"{before}{i}.")
    elif before:
        yield before[:-1], message


def meant(name: str, option: str, fields: Iterable[str]) -> str:
    """Which of the fields may have been meant, as the end of a sentence."""
    close = closest(name, list(fields))
    return f"; did you mean {option} {close}?" if close else ", which none of them has."


def never_came(name: str, where: str, fields: Iterable[str]) -> str:
    """What to say of a value that none of some rows has."""
    named = list(fields)
    close = closest(name, named)
    did = f"did you mean --value {close}? " if close else ""
    return (
        f"--value asks for {name!r}, which none of {where} has; {did}Their fields: "
        f"{_listed(named)}. It is taken as missing"
    )


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


def _is_no_field(name: str) -> bool:
    return name in (TOPIC, MESSAGE_KEY) or name.startswith(TOPIC + ":")


def _listed(names: Sequence[str], most: int = MOST_SHOWN) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
