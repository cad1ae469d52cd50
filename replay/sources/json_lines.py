"""Lines of JSON as a stream of rows: of a file, or of standard input as they come."""

from __future__ import annotations

import os
import select
import sys
import zlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from replay.engine.batch import Batch
from replay.engine.rows import CutOffError, InputError, Row
from replay.sources.advice import fields_in, never_came
from replay.sources.choice import chosen, quoted
from replay.sources.columns import Column, columns_in, held
from replay.sources.file_source import BatchSource, FileSource
from replay.sources.message import LIMIT, Messages, as_object, fields_of, has_field, texts_of
from replay.sources.numbers import Cell, ContradictionError, Numbers, study
from replay.sources.preamble import is_typed
from replay.sources.read_options import LOOKED_AT, ReadOptions, split_names
from replay.sources.reading import Input
from replay.sources.times import state_of

IDLE = 0.1
"""Seconds after which a pipe without news is said to be idle."""
MOST_AT_ONCE = 1 << 24
"""Bytes of a file that are looked at for one object in several lines."""
ALL = 2**62
"""More bytes than there can be."""
CHUNK = 1 << 16
"""Bytes read of a pipe at a time."""
AT_ONCE = 1 << 23
"""Bytes of a file whose lines are read together."""


class JsonLines(FileSource):
    """The rows of a file with one JSON object a line, plain or gzipped; a `Source`.

    Parameters
    ----------
    source
        The file.
    options
        Which columns to read, and how.

    Raises
    ------
    InputError
        At once if the file cannot be read, or the values cannot be chosen; and while iterating at
        the first line that is not as it should be, with ``on_bad="raise"``.
    """

    def __init__(self, source: Input, options: ReadOptions | None = None) -> None:
        super().__init__(source)
        first = self._first_messages()
        options = self._found(options or ReadOptions(), first)
        self._messages = Messages(options, self._find_numbers(options, first))
        self._hand_on(options)
        self._line = self._place = 0
        self._start: dict[str, Any] | None = None

    def _batches(self) -> Generator[Batch, None, None]:
        start, self._start = self._start, None
        self._line = self._place = 0
        for lines, sizes in self._pieces(start):
            batch = self._messages.batch(self._line + 1, lines)
            if batch is None:
                yield from self._collected(self._rows(lines, sizes))
                continue
            self._line += len(lines)
            self._place += sum(sizes)
            yield batch

    def _pieces(self, start: dict[str, Any] | None) -> Iterator[tuple[list[bytes], list[int]]]:
        """Lines, and how many bytes each of them has; of one that is too long the first part."""
        with self._input.open() as stream:
            try:
                if start is not None:
                    self._skip(stream, start)
                problem = None
                while problem is None:
                    lines: list[bytes] = []
                    sizes: list[int] = []
                    left = AT_ONCE
                    try:
                        while left > 0 and len(lines) < self._at_most:
                            line = stream.readline(LIMIT + 1)
                            if not line:
                                break
                            n = len(line)
                            if not line.endswith(b"\n"):
                                n += _length_of_rest(stream)
                            lines.append(line)
                            sizes.append(n)
                            left -= n
                    except (EOFError, zlib.error) as error:
                        problem = error
                    if not lines:
                        break
                    yield lines, sizes
                if problem is not None:
                    raise problem
            except (EOFError, zlib.error) as error:
                raise self._cut_off(self._line + 1, error) from None

    def _rows(self, lines: Sequence[bytes], sizes: Sequence[int]) -> Iterator[Row]:
        """Lines as rows, one by one."""
        for line, n in zip(lines, sizes, strict=True):
            row = self._messages.taken(self.name, self._line + 1, line)
            self._line += 1
            self._place += n
            if row is not None:
                yield row

    def _cut_off(self, line: int, error: Exception) -> CutOffError:
        return CutOffError(
            f"{self.name}, line {line}: the {self._input.packing} data is damaged or cut off here "
            f"({error}); fetch it again"
        )

    def _skip(self, stream: BinaryIO, start: dict[str, Any]) -> None:
        self._line, self._place = start["lines"], start["bytes"]
        left = self._place
        while left and (data := stream.read(min(left, CHUNK))):
            left -= len(data)
        if left:
            raise self._input.changed()

    def first_columns(self) -> list[Column]:
        """What the first texts of each field are."""
        return columns_in(*fields_of(it for it in self._first_messages() if it is not None))

    def _first_messages(self) -> list[dict[str, Any] | None]:
        """The objects in the first lines, None for a line that is none."""
        lines: list[bytes] = []
        with self._input.open() as stream:
            try:
                while len(lines) < LOOKED_AT and (line := stream.readline(LIMIT)):
                    lines.append(line)
            except (EOFError, zlib.error) as error:
                if not lines:
                    raise self._cut_off(1, error) from None
        return [as_object(line) for line in lines]

    def _found(self, options: ReadOptions, first: Sequence[dict[str, Any] | None]) -> ReadOptions:
        """Return the options with values chosen if none were given, and times that can be read."""
        messages = [message for message in first if message is not None]
        names, rows = fields_of(messages)
        if len(rows) == 1 or not (rows or options.values):
            self._check_is_row(names)
        if options.values:
            values = [(name,) if name in names else split_names([name]) for name in options.values]
            options = replace(options, values=tuple(name for which in values for name in which))
            self.said = self._never_there(options.values, messages)
        elif (taken := chosen(options, names, rows)) is not None:
            options, self.said = taken
            self.said += [
                f"left out: {name!r} holds lists; --value {quoted(f'{name}[0]')} takes the first "
                "of each"
                for name, _ in _lists_in(self._first_object())
            ]
        else:
            raise InputError(
                f"{self.name}: no field holds numbers in the first {LOOKED_AT:,} messages: "
                f"{held(columns_in(names, rows))}; if one does later, name it with --value"
            )
        if options.time is not None:
            parts = options.parts or (options.time,)
            places = [names.index(part) for part in parts if part in names]
            self.first_times = [" ".join(row[place] for place in places) for row in rows]
        if options.is_timed:
            try:
                self.look_at_times(options.clock)
            except ValueError as error:
                raise InputError(
                    f"{self.name}, message 1, field {options.time!r}: {error}"
                ) from None
        return options

    def _find_numbers(
        self, options: ReadOptions, first: Sequence[dict[str, Any] | None]
    ) -> Numbers:
        """How numbers are written that are texts."""
        cells = (
            Cell(number, field, text)
            for number, message in enumerate(first, 1)
            for field, text in texts_of(message, options.values)
        )
        try:
            numbers, said = study(cells, options.decimal, "", options.unit, options.missing)
        except ContradictionError as error:
            cell = error.cell
            raise InputError(
                f"{self.name}, message {cell.line:,}, field {cell.column!r}: {error}"
            ) from None
        self.said = [*self.said, *said]
        return numbers

    def _never_there(self, values: Sequence[str], messages: Sequence[dict[str, Any]]) -> list[str]:
        """What to say of values that none of the first messages has; they may come later."""
        never = [name for name in values if not any(has_field(it, name) for it in messages)]
        # if there is none, the first message is an error, which says more
        if not messages or len(never) == len(values):
            return []
        fields = dict.fromkeys(field for message in messages for field in fields_in(message))
        where = f"the first {len(messages):,} messages"
        return [never_came(name, where, fields) for name in never]

    def _check_is_row(self, names: Sequence[str]) -> None:
        """Refuse what holds one object, if that is no row, and what holds none.

        Parameters
        ----------
        names
            Fields of the object, if it stands in a line.
        """
        needed = (
            "one object a line is needed, as pandas writes with to_json(orient='records', "
            "lines=True)"
        )
        message = self._first_object() or as_object(self._input.head(MOST_AT_ONCE)) or {}
        if lists := dict(_lists_in(message)):
            name, longest = max(lists.items(), key=lambda item: len(item[1]))
            problem = f"it is one object with lists in it, such as {name!r}; {needed}"
            if isinstance(longest[0], dict) and not any(_lists_in(longest[0])):
                problem += f"; jq -c '.{name}[]' writes them so"
        elif field := _frame_in(message):
            problem = f"it is one object with all rows in it, such as {field!r}; {needed}"
        elif message and not names:
            problem = f"it is one object in several lines; {needed}"
        elif not names:
            problem = f"no line is a JSON object; {needed}, and jq with -c"
        else:
            return
        raise InputError(f"{self.name}, message 1: {problem}")

    def _first_object(self) -> dict[str, Any]:
        """The object in the first line; an empty one if there is none."""
        with self._input.open() as stream:
            return as_object(stream.readline(LIMIT)) or {}

    @property
    def position(self) -> dict[str, Any]:
        """Lines and bytes that are done with, and by what the file is known again."""
        return {
            "lines": self._line,
            "bytes": self._place,
            "known_by": self._input.known_by(self._place),
        }

    def go_to(self, position: dict[str, Any]) -> None:
        self._input.must_be(position["known_by"])
        self._start = position


class LiveLines(BatchSource):
    """The rows of standard input with one JSON object a line, as they come; a `Source`.

    A batch without a row is handed on when nothing has come for IDLE seconds. Lines that were read
    cannot be read again. After `stop`, all lines that were written before are handed on.

    Parameters
    ----------
    options
        Which columns to read, with values given, and how.
    """

    name = "standard input"
    files: tuple[Path, ...] = ()
    wants_acknowledgement = False
    size = None

    def __init__(self, options: ReadOptions) -> None:
        super().__init__()
        self._messages = Messages(options)
        self.values = options.values
        self.time = options.time
        self.key = options.key
        self.timed = options.is_timed
        self._line = 0
        self.done = 0
        self._ready: deque[bytes] = deque()
        self._fresh = bytearray()
        self._labelled = 0
        self._to_read: int | None = None

    def next_batch(self, at_most: int) -> Batch | None:
        # whoever asks for more is done with what came before
        self._labelled = self._line
        return super().next_batch(at_most)

    def _batches(self) -> Generator[Batch, None, None]:
        for lines in self._come():
            if lines:
                self._ready.extend(lines)
                self._fresh = bytearray()
                yield from self._collected(self._rows())
            else:
                yield Batch.of_rows((), self.values)

    def _rows(self) -> Iterator[Row]:
        """Return the rows of the lines that have come."""
        while self._ready:
            line = self._ready.popleft()
            self._line += 1
            self.done += len(line)
            row = self._messages.taken(self.name, self._line, line)
            if row is not None:
                yield row

    def _come(self) -> Iterator[list[bytes]]:
        """Lines as they come, of the longest ones only the start; none for IDLE seconds."""
        descriptor = sys.stdin.fileno()
        begun = b""
        while True:
            to_read = self._to_read
            if to_read == 0 and not begun:
                return
            if not select.select([descriptor], [], [], IDLE)[0]:
                if to_read is not None:
                    return
                yield []
                continue
            # a line that was begun before the stop is read to its end, and nothing after it
            # into what `left` knows of: a signal may end all before the lines are cut
            self._fresh = bytearray(CHUNK if to_read is None else max(1, min(to_read, CHUNK)))
            data = bytes(self._fresh[: os.readv(descriptor, [self._fresh])])
            if self._to_read is not None:
                self._to_read = max(0, self._to_read - len(data))
            *lines, begun = (begun + data).split(b"\n")
            # enough to see that it is too long
            begun = begun[: LIMIT + 1]
            if not data and begun:
                lines.append(begun)
            yield lines
            if not data:
                return

    def stop(self) -> None:
        """Hand on all that was written so far, and end."""
        self._to_read = _readable(sys.stdin.fileno())

    def left(self) -> int:
        descriptor, n = sys.stdin.fileno(), self._line - self._labelled + len(self._ready)
        n += self._fresh.count(b"\n")
        waiting = _readable(descriptor)
        while waiting != ALL and waiting > 0 and (data := os.read(descriptor, CHUNK)):
            n += data.count(b"\n")
            waiting -= len(data)
        return n

    @property
    def position(self) -> dict[str, Any]:
        """Lines that have gone by."""
        return {"lines": self._line, **state_of(self._messages.clock)}

    def go_to(self, position: dict[str, Any]) -> None:
        self._line = position["lines"]
        self._messages.clock.go_to(position.get("clock", {}))

    @property
    def n_messages(self) -> int:
        return self._line

    @property
    def said(self) -> Sequence[str]:
        return self._messages.said

    def acknowledge(self) -> None:
        """Nothing: nobody keeps the lines."""


def _length_of_rest(stream: BinaryIO) -> int:
    """Read a line that has begun to its end, and return how many bytes were left of it.

    It is too long: the reader of messages says so, and needs only the first part.
    """
    n = 0
    while rest := stream.readline(LIMIT):
        n += len(rest)
        if rest.endswith(b"\n"):
            break
    return n


def _frame_in(message: dict[str, Any]) -> str:
    """The first field of a frame, whose rows are called by numbers or times; empty if it is none.

    They are fields of every column, or the columns are fields of every row.
    """
    columns = [its for its in message.values() if isinstance(its, dict)]
    if len(columns) < len(message) or not columns:
        return ""
    names = columns[0] if all(its.keys() == columns[0].keys() for its in columns) else {}
    for rows in (message, names):
        if len(rows) > 2 and all(map(is_typed, rows)):
            return f"{next(iter(message))}.{next(iter(columns[0]))}"
    return ""


def _lists_in(message: dict[str, Any], before: str = "") -> Iterator[tuple[str, list[Any]]]:
    """The fields of a message that hold objects, or several things each, in lists."""
    for name, its in message.items():
        if isinstance(its, dict):
            yield from _lists_in(its, f"{before}{name}.")
        elif isinstance(its, list) and (len(its) > 1 or any(isinstance(i, dict) for i in its)):
            yield before + name, its


def _readable(descriptor: int) -> int:
    """Return how many bytes can be read at once; `ALL` where the system does not tell."""
    try:
        import fcntl
        import termios

        answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    except (ImportError, OSError):
        return ALL
    return int.from_bytes(answer, sys.byteorder)
