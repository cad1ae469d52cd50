"""JSON objects as rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm.data.counted import counted
from replay.engine.batch import Batch, ListTexts
from replay.engine.keys import Keys
from replay.engine.rows import LARGEST, InputError, Row
from replay.sources.advice import MESSAGE_KEY, TOPIC, Advice, FirstRows, Levels
from replay.sources.numbers import DECIDES, Numbers, kind_of, split_unit
from replay.sources.read_options import (
    LONG_KEY,
    LONGEST_KEY,
    NO_KEY,
    NO_NUMBER,
    NO_TIME,
    NO_VALUE,
    TAKEN_AS_MISSING,
    ReadOptions,
)

LIMIT = 1 << 16
"""Bytes of the longest message that is read."""
TOO_LONG = "messages that are too long"
NO_JSON = "messages that are no JSON"
WITH_UNIT = "numbers with a unit behind them, which --unit has to name"
NO_OBJECT = "messages that are no JSON object"
NO_VALUES = "messages without any of the values"


NOT_OF_JSON = re.compile(rb"NaN|Infinity")
"""What Python writes for numbers that JSON does not have."""


class BadMessageError(Exception):
    """A message that is no row.

    Parameters
    ----------
    reason
        Why: one of a few, in the plural.
    problem
        What is wrong, and what to do about it.
    """

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class Messages:
    """Makes rows of JSON objects.

    A field ``a.b`` is b of the object a, and ``a.0`` or ``a[0]`` the first item of the array a,
    unless there is a field of that very name. Missing and null are missing values; at least one
    value must have its field. A text that is a number is one, and true and false are 1 and 0. Where
    one value is wanted, a message may be that alone; where items are wanted, it may be an array.

    Parameters
    ----------
    options
        The fields that are wanted. Of a message with a topic, the key may be this, or a level of
        it; of one that was sent with a key, this.
    numbers
        How numbers in texts are written; as the options say by default.
    hints
        Whether hints are given: when no message can be used, about values that never come, and
        about what tells series apart.
    """

    def __init__(
        self, options: ReadOptions, numbers: Numbers | None = None, hints: bool = True
    ) -> None:
        self._options = options
        self.clock = options.clock
        self._numbers = numbers or Numbers(
            options.decimal or ".",
            options.decimal is not None,
            unit=options.unit,
            missing=options.missing,
        )
        self._parts = options.parts or (options.time or "").split(",")
        self._level: int | None = None
        if options.key is not None and options.key.startswith(TOPIC + ":"):
            level = options.key.removeprefix(TOPIC + ":")
            if not (level.isdecimal() and int(level) >= 1):
                raise InputError(f"--key is {options.key!r}; levels of a topic count from 1")
            self._level = int(level)
        self._is_array = any(_path(field)[0].isdecimal() for field in options.values)
        self._hints = hints
        self._advice = Advice(options)
        self._levels = Levels(options, self._level)
        self._first_rows: FirstRows | None = FirstRows(options)
        if self._first_rows.is_done or not hints:
            self._first_rows = None

    @property
    def said(self) -> list[str]:
        """The notes on what was guessed, one line each."""
        return self._options.clock.said if self._options.is_timed else []

    def taken(
        self,
        name: str,
        number: int,
        data: bytes,
        topic: str | None = None,
        sent_with: str | None = None,
    ) -> Row | None:
        """Return a message as a row; None if it is refused and refusals are not errors.

        Parameters
        ----------
        name, number
            Where it comes from, and which it is.
        data
            All of it, or the start of one that is too long.
        topic
            What it is about, if it has been sent with one.
        sent_with
            The key that it has been sent with, if any.
        """
        if topic is not None and self._hints:
            self._levels.take(topic)
        try:
            row = self.row(name, number, data, topic, sent_with)
            self._advice.used()
            return row
        except BadMessageError as bad:
            error = InputError(f"{name}, message {number:,}: {bad}")
            shown = data[:LIMIT].decode(errors="replace").rstrip("\r\n")
            self._options.refuse(error, name, number, bad.reason, shown)
            if self._hints:
                self._advice.refused(bad.reason, data, topic)
            return None

    def row(
        self,
        name: str,
        number: int,
        data: bytes,
        topic: str | None = None,
        sent_with: str | None = None,
    ) -> Row:
        """A message as a row.

        Raises
        ------
        BadMessageError
            If it is none.
        """
        options = self._options
        if len(data.rstrip(b"\r\n")) > LIMIT:
            raise BadMessageError(
                TOO_LONG, f"it has more than {LIMIT:,} bytes, the most that are read"
            )
        try:
            message = decoded(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = self._bare(data)
            if message is None:
                text = data.decode(errors="replace").strip()
                if unit := _unit_of(text):
                    raise BadMessageError(
                        WITH_UNIT, f"it is {text!r}; say --unit {unit!r}"
                    ) from None
                raise BadMessageError(
                    NO_JSON, f"it is no JSON ({error}){_one_a_line(data)}"
                ) from None
        if len(options.values) == 1 and isinstance(message, bool | int | float | str):
            message = {options.values[0]: message}
        if not isinstance(message, dict) and not (self._is_array and isinstance(message, list)):
            raise BadMessageError(
                NO_OBJECT, f"it is {_shown(message)}, and a JSON object is needed"
            )
        values: dict[Hashable, float] = {}
        texts = []
        is_empty = True
        for field in options.values:
            found = _of(message, field)
            value = math.nan
            if found is not None:
                is_empty = False
                value = self._number(name, number, field, found)
            values[field] = value
            texts.append("" if value != value else _as_text(found))
        if is_empty and not any(has_field(message, field) for field in options.values):
            fields = ", ".join(map(repr, options.values))
            raise BadMessageError(NO_VALUES, f"it has none of the fields {fields}")
        key = "" if options.key is None else self._key(options.key, message, topic, sent_with)
        if len(key) > LONGEST_KEY:
            raise too_long(key)
        time, seconds = "", None
        if options.time is not None:
            time, seconds = self._time(options.time, self._moment(message), key)
        sequence = None
        if options.sequence is not None:
            sequence = _of(message, options.sequence)
            if type(sequence) is not int or not 0 <= sequence < 1 << 63:
                raise BadMessageError(
                    NO_NUMBER,
                    f"field {options.sequence!r} is {_shown(sequence)}, and --sequence needs a "
                    "whole number",
                )
        if self._first_rows is not None:
            came = [field for field in options.values if has_field(message, field)]
            self._first_rows.take(message, came, time, sent_with)
            if self._first_rows.is_done:
                self._first_rows = None
        return Row(number, time, tuple(texts), values, seconds, key, sequence)

    def batch(self, first: int, lines: Sequence[bytes]) -> Batch | None:
        """Messages as rows, many at once: the same as `taken` makes of each.

        Parameters
        ----------
        first
            The number of the first one.
        lines
            All of them, or the start of one that is too long.

        Returns
        -------
        Batch or None
            None if one of them has to be looked at by itself, and nothing is noted of any.
        """
        options = self._options
        # what the first rows have is looked at one by one
        if self._first_rows is not None or max(map(len, lines)) > LIMIT:
            return None
        try:
            messages = list(map(decoded, lines))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if set(map(type, messages)) != {dict}:
            return None
        values = np.empty((len(messages), len(options.values)))
        texts = []
        for j, field in enumerate(options.values):
            its = _column(messages, field, _NUMBERS)
            if its is None or not self._read_plain(its, values[:, j]):
                return None
            texts.append(_texts_beside(its, values[:, j]))
        for i in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
            if not any(has_field(messages[i], field) for field in options.values):
                return None
        keys = sequence = seconds = None
        if options.key is not None:
            its = _column(messages, options.key, _KEYS)
            if its is None or not all(key or key == 0 for key in its):
                return None
            named = list(map(str, its))
            if max(map(len, named)) > LONGEST_KEY:
                return None
            keys = Keys.of(named)
        times = [""] * len(messages)
        if options.time is not None:
            its = _column(messages, options.time, _TIMES)
            if its is None:
                return None
            times = list(map(str, its))
            if options.is_timed and (seconds := self._plain_seconds(times)) is None:
                return None
        if options.sequence is not None:
            sequence = _column(messages, options.sequence, _WHOLE)
            if sequence is None or not 0 <= min(sequence) <= max(sequence) < 1 << 63:
                return None
        self._advice.used()
        return Batch(
            options.values,
            values,
            ListTexts(times, list(zip(*texts, strict=True))),
            np.arange(first, first + len(messages)),
            keys,
            seconds,
            sequence,
        )

    def _read_plain(self, cells: Sequence[float | None], values: NDArray[np.float64]) -> bool:
        """Put numbers into a column of values; False if one of them is too large."""
        try:
            values[:] = cells
        except OverflowError:
            return False
        if (np.abs(values) > LARGEST).any():
            return False
        self._numbers.blanked(values)
        return True

    def _plain_seconds(self, times: Sequence[str]) -> NDArray[np.float64] | None:
        """Times in seconds, if they can be read all at once; None if not."""
        cells = [time.encode() for time in times]
        offsets = np.zeros(len(cells) + 1, dtype=np.int32)
        np.cumsum(list(map(len, cells)), out=offsets[1:])
        return self._options.clock.seconds_of(b"".join(cells), offsets)

    def _number(self, name: str, number: int, field: str, found: Any) -> float:
        unit = ""
        if isinstance(found, bool):
            return float(found)
        if isinstance(found, str):
            try:
                return self._numbers.read(found, field)
            except ValueError:
                unit = _unit_of(found)
        if isinstance(found, int | float):
            if found != found:
                return math.nan
            if -LARGEST <= found <= LARGEST:
                return self._numbers.value(float(found))
            problem = f"is beyond {LARGEST:g}, the largest value that can be learnt"
        else:
            problem = f"is {_shown(found)}, and a number is needed; null if it is missing"
            if isinstance(found, str) and DECIDES.get(kind_of(found)) == ",":
                problem = f"is {_shown(found)}; say --decimal , if that is the decimal mark"
        if self._options.on_bad == "missing":
            self._options.refusals.add(name, number, TAKEN_AS_MISSING, f"{field}: {_shown(found)}")
            return math.nan
        if unit:
            raise BadMessageError(
                WITH_UNIT, f"field {field!r} is {_shown(found)}; say --unit {unit!r}"
            )
        raise BadMessageError(NO_VALUE, f"field {field!r} {problem}")

    def _bare(self, data: bytes) -> str | None:
        """A number or a word for a missing value, without quotes; None if it is none."""
        try:
            text = data.decode().strip()
            self._numbers.read(text, "")
        except ValueError:
            return None
        return text or None

    def _moment(self, message: Any) -> Any:
        """What is in the field of the time, or in both if it is in two."""
        found = None if self._options.time is None else _of(message, self._options.time)
        if found is None and len(self._parts) > 1:
            parts = [_of(message, part) for part in self._parts]
            return " ".join(map(str, parts)) if None not in parts else None
        return found

    def _time(self, field: str, found: Any, key: str) -> tuple[str, float | None]:
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not is_number and not isinstance(found, str):
            if not self._options.timed and found is None:
                return "", None
            raise BadMessageError(
                NO_TIME, f"field {field!r} is {_shown(found)}, and a time is needed"
            )
        text = str(found)
        if not self._options.timed:
            return text, None
        try:
            return text, self._options.clock.seconds(text, key)
        except ValueError as error:
            raise BadMessageError(NO_TIME, f"field {field!r}: {error}") from None

    def _key(self, field: str, message: Any, topic: str | None, sent_with: str | None) -> str:
        found = _of(message, field)
        if found is None and field == MESSAGE_KEY:
            if sent_with is None:
                raise BadMessageError(
                    NO_KEY, f"it was sent without a key, and --key is {field}; name a field instead"
                )
            return sent_with
        if found is None and topic is not None:
            if field == TOPIC:
                return topic
            if self._level is not None:
                levels = topic.split("/")
                if self._level <= len(levels):
                    return levels[self._level - 1]
                raise BadMessageError(
                    NO_KEY,
                    f"topic {topic!r} has {counted(len(levels), 'levels')}, and --key is {field}",
                )
        if type(found) is int or (isinstance(found, str) and found):
            return str(found)
        raise BadMessageError(
            NO_KEY, f"field {field!r} is {_shown(found)}, and every row needs a key: a text or a "
            "whole number"
        )  # fmt: skip


def _one_a_line(data: bytes) -> str:
    """What to do about a line in which an object only begins, or is not alone."""
    if not data.lstrip().startswith(b"{"):
        return ""
    return "; if objects go over several lines, or several are in one, jq -c . writes one a line"


def _unit_of(text: str) -> str:
    """The unit behind a number; empty if it is none, or has none."""
    bare, unit = split_unit(text)
    return unit if kind_of(bare) else ""


def too_long(key: str) -> BadMessageError:
    """Return the error for a key that is too long."""
    return BadMessageError(
        LONG_KEY,
        f"its key has {len(key):,} characters, and {LONGEST_KEY} are the most: {key[:20]!r}...",
    )


_decode = msgspec.json.Decoder().decode


def decoded(data: bytes) -> Any:
    """What is in JSON, also if there are NaN and Infinity in it, as Python writes them.

    Raises
    ------
    msgspec.DecodeError, UnicodeDecodeError, RecursionError
        If it is none.
    """
    try:
        return _decode(data)
    except msgspec.DecodeError:
        if not NOT_OF_JSON.search(data):
            raise
        try:
            return json.loads(data)
        except ValueError:
            pass
        raise


def as_object(line: bytes) -> dict[str, Any] | None:
    """A message as a JSON object; None if it is none."""
    try:
        message = decoded(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def fields_of(messages: Iterable[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """All fields of messages, and the texts that each message has in them; empty if it has none."""
    flat = [dict(_flat(message)) for message in messages]
    names = list(dict.fromkeys(name for fields in flat for name in fields))
    return names, [[fields.get(name, "") for name in names] for fields in flat]


def _flat(message: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for field, found in message.items():
        if isinstance(found, dict):
            yield from _flat(found, f"{before}{field}.")
        elif isinstance(found, int | float | str):
            yield before + field, _as_text(found)


def _as_text(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


@lru_cache(1024)
def _path(field: str) -> tuple[str, ...]:
    """The steps to a field: ``a[0].b`` is ``a``, ``0``, ``b``."""
    return tuple(re.sub(r"\[(\d+)\]", r".\1", field).removeprefix(".").split("."))


def _step(holder: Any, step: str) -> Any:
    """What is in a field of an object, or at a place of an array; `_NOTHING` if it has none."""
    if isinstance(holder, dict):
        return holder.get(step, _NOTHING)
    if isinstance(holder, list) and step.isdecimal() and int(step) < len(holder):
        return holder[int(step)]
    return _NOTHING


_NOTHING = object()
_NUMBERS: frozenset[type] = frozenset({int, float, type(None)})
_KEYS: frozenset[type] = frozenset({int, str})
_TIMES: frozenset[type] = frozenset({int, float, str})
_WHOLE: frozenset[type] = frozenset({int})


def _column(messages: Sequence[dict[str, Any]], field: str, kinds: Set[type]) -> list[Any] | None:
    """What is in a field of objects, None where there is none; None if something else is there."""
    if _path(field) == (field,):
        cells = [message.get(field) for message in messages]
    else:
        cells = [_of(message, field) for message in messages]
    return cells if set(map(type, cells)) <= kinds else None


def _texts_beside(cells: Sequence[Any], values: NDArray[np.float64]) -> list[str]:
    """Numbers as they are written; empty where the value is missing."""
    if not np.isnan(values).any():
        return list(map(str, cells))
    missing = np.isnan(values).tolist()
    return ["" if is_not else str(its) for its, is_not in zip(cells, missing, strict=True)]


def _walked(message: Any, field: str) -> Any:
    if isinstance(message, dict) and field in message:
        return message[field]
    found = message
    for step in _path(field):
        found = _step(found, step)
    return found


def _of(message: Any, field: str) -> Any:
    """A field; None if there is none."""
    found = _walked(message, field)
    return None if found is _NOTHING else found


def texts_of(message: Any, fields: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The fields of these that hold a text, and the texts."""
    for field in fields:
        if isinstance(found := _of(message, field), str):
            yield field, found


def has_field(message: Any, field: str) -> bool:
    """Whether a field is there, be it null."""
    return _walked(message, field) is not _NOTHING


def _shown(found: Any) -> str:
    if found is None:
        return "missing"
    if isinstance(found, float) and not math.isfinite(found):
        return str(found)
    text = msgspec.json.encode(found).decode()
    return text if len(text) <= 40 else text[:40] + "..."
