"""Files of typed columns, such as Parquet, as a stream of rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from replay.engine.batch import Batch, ListTexts, Rows, Texts
from replay.engine.keys import Keys
from replay.engine.rows import LARGEST, CutOffError, InputError, Row
from replay.sources.choice import chosen
from replay.sources.columns import Column, columns_in, how_to_get_at
from replay.sources.file_source import FileSource
from replay.sources.numbers import Cell, ContradictionError, Numbers, study
from replay.sources.read_options import (
    LOOKED_AT,
    NO_KEY,
    NO_NUMBER,
    NO_TIME,
    NO_VALUE,
    TAKEN_AS_MISSING,
    ReadOptions,
)
from replay.sources.reading import HEAD, Input
from replay.sources.tables import open_table

BATCH = 16_384
"""Rows held in memory."""


class ParquetFile(FileSource):
    """The rows of a Parquet, ORC or Feather file; a `Source`. Only the columns needed are read.

    A row's ``line`` is its number, from 1. Times of a type of their own are written as ISO 8601.

    Parameters
    ----------
    source
        The file.
    options
        Which columns to read, and how.

    Raises
    ------
    InputError
        At once if the file cannot be read or lacks a column, and while iterating at the first row
        that is not as it should be, with ``on_bad="raise"``.
    """

    def __init__(self, source: Input, options: ReadOptions | None = None) -> None:
        super().__init__(source)
        if source.piped:
            raise InputError("Parquet cannot be read from standard input; save it to a file")
        try:
            with closing(open_table(source.path)) as file:
                self._schema, self._groups = file.schema, file.groups
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is no Parquet file: {error}") from None
        self.n_rows = sum(self._groups)
        options = (options or ReadOptions()).of(self._schema.names, self._bad_column)
        if not options.values:
            options = self._chosen(options)
        for name in options.values:
            kind = self._schema.field(name).type
            if not self._numbers([name]) and not _is_text(kind):
                what = _what_is_stored(kind)
                how = how_to_get_at(name, what) if what else ""
                raise self._bad_column(name, f"it holds {what or kind} and no numbers{how}")
        self._texts = {name for name in options.values if _is_text(self._schema.field(name).type)}
        self.numbers = self._find_numbers(options)
        self._hand_on(options)
        if options.time is not None:
            rows = self._first_rows(options.parts or (options.time,))
            self.first_times = [" ".join(row) for row in rows]
        if self.timed:
            self._look_at_times(options)
        self._row = self._start = 0

    def _batches(self) -> Generator[Batch, None, None]:
        """By columns, and row by row where a row may be refused."""
        by_row = bool(self._texts or self._options.parts or self._options.sequence is not None)
        for record in self._records():
            batch = None if by_row else self._by_columns(record)
            if batch is None:
                yield from self._collected(self._rows(record))
                continue
            first = self._row
            for part in self._with_seconds(self._in_parts(batch)):
                self._row += len(part)
                yield part
            if (done := self._row - first) < len(batch):
                yield from self._collected(self._rows(record[done:]))

    def _by_columns(self, record: Any) -> Batch | None:
        """Rows of which none can be refused but for its time; None if one may be."""
        values = np.column_stack([_numbers(record.column(name)) for name in self.values])
        self.numbers.blanked(values)
        if (np.abs(values) > LARGEST).any():
            return None
        keys = None
        if self.key is not None:
            cells = _plain(record.column(self.key))
            if None in cells or "" in cells:
                return None
            keys = Keys.of(map(_text, cells))
        lines = np.arange(self._row + 1, self._row + 1 + len(record))
        return Batch(self.values, values, _BatchTexts(record, self.time, self.values), lines, keys)

    def _plain_seconds(self, texts: Texts) -> NDArray[np.float64] | None:
        clock = self._options.clock
        times = texts.typed_times if isinstance(texts, _BatchTexts) else None
        if times is None or times.null_count:
            return None
        if pa.types.is_timestamp(times.type):
            is_local = times.type.tz is None and clock.zone is not datetime.UTC
            if clock.time_format is not None or is_local:
                return None
            micros = times.cast(pa.timestamp("us", times.type.tz), safe=False).cast(pa.int64())
            seconds: NDArray[np.float64] = micros.to_numpy() / 1e6
            return seconds
        if not pa.types.is_integer(times.type) and not pa.types.is_string(times.type):
            return None
        written = times.cast(pa.string())
        _, offsets, cells = written.buffers()
        places = np.frombuffer(offsets, np.int32)[written.offset : written.offset + len(times) + 1]
        return clock.seconds_of(cells, places)

    def _records(self) -> Iterator[Any]:
        """Yield record batches of the columns to read, from the position to read from."""
        names = list(dict.fromkeys([*self._options.others, *self.values]))
        self._row, skipped = self._start, 0
        groups = list(range(len(self._groups)))
        while groups and skipped + self._groups[groups[0]] <= self._row:
            skipped += self._groups[groups.pop(0)]
        skip, self._start = self._row - skipped, 0
        if not self.n_rows:
            raise self._bad(1, self.values[0], "there are no rows; at least one is needed")
        try:
            with closing(open_table(self._input.path)) as file:
                for batch in file.batches(BATCH, groups, names):
                    if skip >= len(batch):
                        skip -= len(batch)
                        continue
                    yield batch[skip:]
                    skip = 0
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(self._row + 1, error) from None

    def _rows(self, batch: Any) -> Iterator[Row]:
        options = self._options
        columns = {name: _plain(batch.column(name)) for name in batch.schema.names}
        nothing = [None] * len(batch)
        times: list[Any] = nothing
        if parts := self._options.parts:
            told_times = zip(*(columns[part] for part in parts), strict=True)
            times = [" ".join(map(_time_text, moments)) for moments in told_times]
        elif self.time is not None:
            times = columns[self.time]
        keys = columns[self.key] if self.key is not None else nothing
        numbers = columns[options.sequence] if options.sequence is not None else nothing
        rows = zip(*(columns[name] for name in self.values), strict=True)
        seconds: float | None = None
        for moment, key, number, cells in zip(times, keys, numbers, rows, strict=True):
            row = self._row + 1
            time = _time_text(moment)
            bad: tuple[str, object, str] | None = None
            values: dict[Hashable, float] = {}
            for name, cell in zip(self.values, cells, strict=True):
                if cell is None:
                    values[name] = math.nan
                elif not isinstance(cell, str):
                    values[name] = self.numbers.value(float(cell))
                else:
                    try:
                        values[name] = self.numbers.read(cell, name)
                    except ValueError:
                        values[name] = math.nan
                        if options.on_bad == "missing":
                            options.refusals.add(self.name, row, TAKEN_AS_MISSING, cell[:40])
                        else:
                            bad = NO_VALUE, name, f"{cell[:40]!r} is no number"
            for name, value in list(zip(self.values, values.values(), strict=True)):
                if not -LARGEST <= value <= LARGEST and value == value:
                    if options.on_bad == "missing":
                        options.refusals.add(self.name, row, TAKEN_AS_MISSING, str(value))
                        values[name] = math.nan
                    else:
                        what = f"{value} is beyond {LARGEST:g}, the largest value that is learnt"
                        bad = NO_VALUE, name, what
            if self.timed:
                try:
                    seconds = options.clock.seconds(time, "" if key is None else _text(key))
                except ValueError as error:
                    bad = NO_TIME, self.time, str(error)
            if self.key is not None and key in (None, ""):
                bad = NO_KEY, self.key, "there is nothing; every row needs a key"
            if options.sequence is not None and not (isinstance(number, int) and number >= 0):
                bad = (
                    NO_NUMBER,
                    options.sequence,
                    f"{number!r} is no whole number, as --sequence needs",
                )
            if bad is not None:
                reason, column, problem = bad
                error_of = self._bad(row, str(column), problem)
                options.refuse(error_of, self.name, row, reason, ",".join(map(_text, cells)))
                self._row = row
                continue
            self._row = row
            texts = tuple(map(_cell_text, cells))
            whose = "" if self.key is None else _text(key)
            yield Row(row, time, texts, values, seconds, whose, number)

    # -- where it is ----------------------------------------------------------------------------

    @property
    def position(self) -> dict[str, Any]:
        """Rows that are done with, of how many, and by what the file is known again."""
        return {"rows": self._row, "of": self.n_rows, "known_by": self._input.known_by(HEAD)}

    def go_to(self, position: dict[str, Any]) -> None:
        self._input.must_be(position["known_by"])
        if position["of"] != self.n_rows:
            raise self._input.changed()
        self._start = position["rows"]

    @property
    def done(self) -> int:
        return int((self._input.size or 0) * self._row / max(self.n_rows, 1))

    # -- columns --------------------------------------------------------------------------------

    def _numbers(self, names: Iterable[str]) -> set[str]:
        kinds = {name: self._schema.field(name).type for name in names}
        return {
            name
            for name, kind in kinds.items()
            if pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_boolean(kind)
        }

    def first_columns(self) -> list[Column]:
        """What the first cells of each column are."""
        names = self._schema.names
        return columns_in(names, self._first_rows(names), self._stored)

    @property
    def _stored(self) -> dict[str, str]:
        """What columns hold that are neither numbers nor texts nor times."""
        return {its.name: what for its in self._schema if (what := _what_is_stored(its.type))}

    def _chosen(self, options: ReadOptions) -> ReadOptions:
        """Return the options with values and a time chosen by the first rows."""
        names = self._schema.names
        rows = self._first_rows(names)
        if (taken := chosen(options, names, rows, self._stored)) is not None:
            options, self.said = taken
            return options
        if not rows and (numbers := [name for name in names if self._numbers([name])]):
            return replace(options, values=tuple(numbers))
        raise self._bad_column(
            ", ".join(names),
            f"no column holds numbers in the first {LOOKED_AT:,} rows; if one does later, name it "
            "with --value",
        )

    def _first_rows(self, names: Sequence[str]) -> list[list[str]]:
        """Some columns of the first rows, as texts."""
        try:
            with closing(open_table(self._input.path)) as file:
                batch = next(file.batches(LOOKED_AT, range(len(self._groups)), names), None)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(1, error) from None
        if batch is None:
            return []
        columns = [_plain(batch.column(name)) for name in names]
        return [list(map(_first_text, cells)) for cells in zip(*columns, strict=True)]

    def _find_numbers(self, options: ReadOptions) -> Numbers:
        """How numbers are written in columns of texts."""
        names = sorted(self._texts)
        rows = self._first_rows(names) if names else []
        cells = (
            Cell(i, name, text)
            for i, row in enumerate(rows, 1)
            for name, text in zip(names, row, strict=True)
        )
        try:
            numbers, said = study(cells, options.decimal, "", options.unit, options.missing)
        except ContradictionError as error:
            raise self._bad(error.cell.line, error.cell.column, str(error)) from None
        self.said = [*self.said, *said]
        return numbers

    def _look_at_times(self, options: ReadOptions) -> None:
        """Find out how times are written."""
        try:
            self.look_at_times(options.clock)
        except ValueError as error:
            raise self._bad(1, str(options.time), str(error)) from None

    def _bad(self, row: int, column: str, problem: str) -> InputError:
        return InputError(f"{self.name}, row {row}, column {column!r}: {problem}")

    def _damaged(self, row: int, error: Exception) -> CutOffError:
        return CutOffError(f"{self.name}, row {row}: the file is damaged here ({error})")

    def _bad_column(self, column: str, problem: str) -> InputError:
        return InputError(f"{self.name}, column {column!r}: {problem}")


class _BatchTexts:
    """The texts of the rows of a batch, of which those of a column are made when one is wanted."""

    def __init__(self, batch: Any, time: str | None, values: tuple[str, ...]) -> None:
        self._batch = batch
        self._time = time
        self._values = values

    def part(self, rows: Rows) -> _BatchTexts:
        batch = self._batch[rows] if isinstance(rows, slice) else self._batch.take(pa.array(rows))
        return _BatchTexts(batch, self._time, self._values)

    def copy(self) -> ListTexts:
        return ListTexts(self.times(), self.values())

    @property
    def typed_times(self) -> Any:
        """The times as they are stored; None if there are none."""
        return None if self._time is None else self._batch.column(self._time)

    def times(self) -> list[str]:
        if self._time is None:
            return [""] * len(self._batch)
        return [_time_text(moment) for moment in _plain(self._batch.column(self._time))]

    def time_at(self, row: int) -> str:
        return self._times[row]

    def values_at(self, row: int) -> tuple[str, ...]:
        return self._cells[row]

    def values(self) -> list[tuple[str, ...]]:
        return self._cells

    @cached_property
    def _times(self) -> list[str]:
        return self.times()

    @cached_property
    def _cells(self) -> list[tuple[str, ...]]:
        columns = (_plain(self._batch.column(name)) for name in self._values)
        return [tuple(map(_cell_text, cells)) for cells in zip(*columns, strict=True)]


def _what_is_stored(kind: Any) -> str:
    """What a type is of whose values are no cells; empty if they are."""
    types = pa.types
    whats = {
        "maps": types.is_map,
        "structs": types.is_struct,
        "bytes": lambda it: types.is_binary(it) or types.is_large_binary(it),
        "lists": lambda it: types.is_nested(it),
    }
    return next((what for what, is_it in whats.items() if is_it(kind)), "")


def _is_text(kind: Any) -> bool:
    """Whether a type is of texts, which may be numbers."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(column: Any) -> NDArray[np.float64]:
    """Numbers as doubles, NaN where there is none."""
    if pa.types.is_decimal(column.type) or pa.types.is_float16(column.type):
        return np.array([np.nan if cell is None else float(cell) for cell in column.to_pylist()])
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: NDArray[np.float64] = column.fill_null(0).to_numpy(zero_copy_only=False)
    values = values.astype(np.float64)
    if column.null_count:
        values[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values


def _time_text(moment: Any) -> str:
    return "" if moment is None else _text(moment)


def _first_text(cell: Any) -> str:
    """A cell as text, to find out what it is: true and false are numbers."""
    if isinstance(cell, bool):
        return str(int(cell))
    return "" if cell is None or cell != cell else _text(cell)


def _cell_text(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell)


def _plain(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's dates go to the microsecond
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
