"""Several topics joined to rows: of each value the last that came, or those of a time window."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from replay.engine.rows import InputError, Row
from replay.sources.advice import TOPIC, Advice
from replay.sources.message import Messages, too_long
from replay.sources.read_options import LONGEST_KEY, ReadOptions

NO_TOPIC = "messages of topics that no --value names"
MOST_TOPICS = 10_000
"""Topics whose place is remembered."""
MOST_KEYS = 100_000
"""Keys whose values are held; those not heard of for longest are let go."""
PAYLOAD = "payload"
"""What a message that is a value by itself is called."""


class _Group(NamedTuple):
    """The values that a topic brings, and how its messages are read."""

    messages: Messages
    places: tuple[int, ...]
    key: str


@dataclass
class _Held:
    """The values of a key that have come, and when the first one of its window did."""

    values: list[float]
    texts: list[str]
    time: str = ""
    seconds: float | None = None
    line: int = 0
    begun: float = 0.0
    came: set[int] = field(default_factory=set)


class Joined:
    """Makes a row of the messages of several topics.

    Parameters
    ----------
    options
        Its values are topic filters, such as ``sensors/+/temp``, where the message is the value;
        or ``sensors/+/state:power``, where it has it in a field. The key is what stands for the
        ``+``, unless a key is named.
    window
        None makes a row of every message, with the last value of the other topics; those that have
        never come are missing. Seconds make one row of the messages that come within: when all
        values are there, or when so much time has passed since the first one; what has not come
        then is missing.
    clock
        Gives the seconds that pass.

    Raises
    ------
    InputError
        If the topics cannot be joined.
    """

    def __init__(
        self,
        options: ReadOptions,
        window: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if options.sequence is not None:
            raise InputError(
                "--sequence counts the messages of one topic, and --value joins several; leave "
                "--sequence out"
            )
        if options.key == TOPIC:
            raise InputError(
                "--key topic gives each topic a model of its own, and --value joins several; say "
                "which level they share, as in --key topic:2"
            )
        self.clock = options.clock
        self.values = options.values
        self._options = options
        self._window = window
        self._now = clock
        self._filters = [_split(value) for value in options.values]
        if any(not topic for topic, _ in self._filters):
            raise InputError(
                "--value has topics and fields; to join topics all must be topics, such as "
                "'sensors/+/temp' or 'sensors/+/state:power'"
            )
        self.key = options.key
        if self.key is None and any("+" in topic for topic, _ in self._filters):
            self.key = TOPIC
        self._groups: dict[str, _Group | None] = {}
        self._readers: dict[tuple[str, ...], Messages] = {}
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._is_full = False
        self._advice = Advice(options)

    @property
    def said(self) -> list[str]:
        """The notes on what was guessed, one line each."""
        return self._options.clock.said if self._options.is_timed else []

    def taken(self, name: str, number: int, data: bytes, topic: str | None = None) -> Row | None:
        """Return the row that a message completes; None if there is none, or it is refused."""
        group = self._group(topic or "")
        if group is None:
            bad = InputError(
                f"{name}, message {number:,}: topic {topic!r} is none of those of --value"
            )
            self._options.refuse(bad, name, number, NO_TOPIC, data[:1000].decode(errors="replace"))
            self._advice.refused(NO_TOPIC, data, topic)
            self._advice.no_topic(self.values)
            return None
        row = group.messages.taken(name, number, data, topic)
        if row is None:
            return None
        self._advice.used()
        key = row.key or group.key
        if len(key) > LONGEST_KEY:
            long = too_long(key)
            error = InputError(f"{name}, message {number:,}: {long}")
            shown = data[:1000].decode(errors="replace")
            self._options.refuse(error, name, number, long.reason, shown)
            return None
        held = self._of(key)
        for place, value, text in zip(group.places, row.values.values(), row.texts, strict=True):
            held.values[place], held.texts[place] = value, text
        if not held.came:
            held.begun = self._now()
        held.came.update(group.places)
        held.time, held.seconds, held.line = row.time, row.seconds, number
        if self._window is None:
            return self._row(key, held)
        return self._row(key, self._held.pop(key)) if len(held.came) == len(self.values) else None

    def due(self, at_once: bool = False) -> Iterator[Row]:
        """The rows whose window is over; or all that have begun."""
        if self._window is None:
            return
        latest = math.inf if at_once else self._now() - self._window
        for key in [key for key, held in self._held.items() if held.begun <= latest]:
            yield self._row(key, self._held.pop(key))

    def state(self) -> list[Any]:
        """Return the values that are held, as plain values, for `go_to`."""
        return [
            [key, held.values, held.texts, held.time, held.seconds, held.line, sorted(held.came)]
            for key, held in self._held.items()
        ]

    def go_to(self, state: list[Any]) -> None:
        """Restore what `state` has returned; windows begin anew."""
        self._held.clear()
        for key, values, texts, moment, seconds, line, came in state:
            held = _Held(list(values), list(texts), moment, seconds, line, self._now(), set(came))
            self._held[key] = held

    def _row(self, key: str, held: _Held) -> Row:
        values: dict[Hashable, float] = dict(zip(self.values, held.values, strict=True))
        return Row(held.line, held.time, tuple(held.texts), values, held.seconds, key)

    def _of(self, key: str) -> _Held:
        held = self._held.get(key)
        if held is None:
            n = len(self.values)
            held = self._held[key] = _Held([math.nan] * n, [""] * n)
            if len(self._held) > MOST_KEYS:
                self._held.popitem(last=False)
                if not self._is_full:
                    self._is_full = True
                    self._options.refusals.hint(
                        f"more than {MOST_KEYS:,} keys have come: values of those not heard of for "
                        "longest are no longer held"
                    )
        else:
            self._held.move_to_end(key)
        return held

    def _group(self, topic: str) -> _Group | None:
        if topic not in self._groups:
            if len(self._groups) >= MOST_TOPICS:
                self._groups.clear()
            self._groups[topic] = self._found(topic)
        return self._groups[topic]

    def _found(self, topic: str) -> _Group | None:
        places: list[int] = []
        fields: list[str] = []
        key = ""
        for place, (wanted, name) in enumerate(self._filters):
            if (levels := matched(wanted, topic)) is not None:
                places.append(place)
                fields.append(name)
                key = "/".join(levels)
        if not places:
            return None
        reader = self._readers.get(tuple(fields))
        if reader is None:
            reader = Messages(replace(self._options, values=tuple(fields)), hints=False)
            self._readers[tuple(fields)] = reader
        return _Group(reader, tuple(places), key if self._options.key is None else "")


def are_topics(values: tuple[str, ...]) -> bool:
    """Whether values are topics rather than fields."""
    return any("/" in value for value in values)


def matched(wanted: str, topic: str) -> list[str] | None:
    """What stands for each ``+`` of a topic filter; None if the topic does not match.

    Examples
    --------
    >>> matched("sensors/+/temp", "sensors/kitchen/temp")
    ['kitchen']
    >>> matched("sensors/#", "sensors/kitchen/temp")
    []
    >>> matched("sensors/+/temp", "sensors/kitchen/flow")
    """
    levels = topic.split("/")
    found: list[str] = []
    parts = wanted.split("/")
    for i, part in enumerate(parts):
        if part == "#":
            return found
        if i >= len(levels) or (part not in ("+", levels[i])):
            return None
        if part == "+":
            found.append(levels[i])
    return found if len(levels) == len(parts) else None


def _split(value: str) -> tuple[str, str]:
    """Topic filter and field of a value; no filter if it is a field."""
    if "/" not in value:
        return "", value
    topic, colon, name = value.rpartition(":")
    return (topic, name) if colon and "/" not in name else (value, PAYLOAD)
