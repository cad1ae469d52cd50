"""CSV files as batches of rows: plain lines are cut by pyarrow, others are read with care."""

from __future__ import annotations

import math
import re
import zlib
from collections import deque
from collections.abc import Generator, Hashable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from replay.engine.batch import Batch, CutTexts, Places, Texts
from replay.engine.rows import LARGEST, InputError, Row
from replay.sources.columns import CLOCK, SUM
from replay.sources.csv_format import CsvFormat
from replay.sources.csv_records import BLANK, REPEATED, SUMS, UNREADABLE
from replay.sources.numbers import (
    Cell,
    ContradictionError,
    is_number,
    kind_of,
    kind_of_bare,
    split_unit,
)
from replay.sources.preamble import DELIMITERS
from replay.sources.read_options import (
    NO_KEY,
    NO_NUMBER,
    NO_TIME,
    NO_VALUE,
    TAKEN_AS_MISSING,
    WITHOUT_TIME,
)

if TYPE_CHECKING:
    from replay.sources.pieces import Pieces
    from replay.sources.plain_lines import Cut, Layout

DIGIT = re.compile(r"\d")
SMALL = 1 << 18
"""Bytes of a file below which rows are read one by one: pyarrow's import would take longer."""
PLAIN_DELIMITERS = frozenset({*DELIMITERS, " "})
"""Those that are no part of a number."""


class CsvFile(CsvFormat):
    """The rows of a CSV file, plain or gzipped, in constant memory; a `replay.engine.rows.Source`.

    Every iteration reads it anew.

    Parameters
    ----------
    source
        The file.
    options
        Which columns to read, and how.
    style
        How it is written.

    Attributes
    ----------
    columns
        All its columns.

    Raises
    ------
    InputError
        At once if the file cannot be read or lacks a column, and while iterating at the first row
        that is not as it should be, with ``on_bad="raise"``.
    """

    _is_at_end = False
    _odd: Sequence[tuple[int, str]] = ()

    def _batches(self) -> Generator[Batch, None, None]:
        """Lines that are plain are cut by pyarrow, the others are read one by one.

        All are read one by one in small files, for encodings other than UTF-8, if times of several
        columns or row numbers are read, if rows end before the last column, and if a header that
        comes again could be taken for values.
        """
        options = self._options
        if (
            self._input.is_smaller_than(SMALL)
            or self.encoding != "utf-8-sig"
            or self.delimiter not in PLAIN_DELIMITERS
            or self.delimiter == self.decimal
            or self._squeezes
            or self._least < len(self.columns)
            or options.parts
            or options.sequence is not None
            or self._reads_as_values()
        ):
            with self._opened() as text, closing(self._records(text)) as records:
                yield from self._collected(self._rows(records))
            return
        from replay.sources.pieces import Pieces

        layout, places = self._layout()
        with self._input.open() as stream:
            # standard input may keep whoever waits for it waiting
            pieces = Pieces(stream, layout, ahead=not self._input.piped)
            with closing(pieces), closing(self._records(pieces)) as records:
                self._begin(pieces.skip)
                rows = self._rows(records)
                self._is_at_end = False
                while not self._is_at_end:
                    if not self._at_head:
                        yield from self._cut_batches(pieces, places)
                    yield from self._collected(self._careful(rows, pieces))

    @property
    def _is_told(self) -> bool:
        """Whether it is said which rows have no time."""
        return self._dated is not None and self.time is not None

    def _reads_as_values(self) -> bool:
        """Whether every column of values is called by a number, or by what is missing."""
        if self._names is None:
            return False
        names = [self._names[self.columns.index(column)] for column in self.values]
        return all(self.numbers.is_missing(n) or kind_of_bare(n) for n in names)

    def _careful(self, rows: Iterator[Row], pieces: Pieces) -> Iterator[Row]:
        """Rows that are read one by one, until they can be cut."""
        for row in rows:
            yield row
            if pieces.can_be_cut and not self._fetched and not self._again:
                return
        self._is_at_end = True

    @property
    def _wanted(self) -> list[str]:
        """The columns whose cells are looked at."""
        dated = None if self._dated is None else self.columns[self._dated]
        others = [name for name in (self.time, self.key, dated) if name is not None]
        return list(dict.fromkeys([*self.values, *others]))

    def _layout(self) -> tuple[Layout, Places]:
        """What is wanted of a line, and at which places it is then."""
        from replay.sources.plain_lines import Layout

        wanted = self._wanted
        slots = [wanted.index(name) if name in wanted else -1 for name in self.columns]
        numbers = [self.values.index(name) if name in self.values else -1 for name in self.columns]
        unnamed = min(self._full, self._width) - len(self.columns)
        slots += [-1] * unnamed
        # what is beyond the header must be empty
        n_more = max(self._full - len(slots), 0)
        slots += range(len(wanted), len(wanted) + n_more)
        numbers += [-1] * (len(slots) - len(numbers))
        places = Places(
            None if self.time is None else wanted.index(self.time),
            None if self.key is None else wanted.index(self.key),
            tuple(wanted.index(name) for name in self.values),
        )
        return Layout(self.delimiter, self.decimal, tuple(slots), tuple(numbers)), places

    def _cut_batches(self, pieces: Pieces, places: Places) -> Iterator[Batch]:
        """The next rows that are plain, up to one that is not."""
        from replay.sources.pieces import MOST_AT_A_TIME, PIECE

        while (cut := self._cut(pieces)) is not None:
            all_read = self._read_rest(cut, places)
            texts = CutTexts(cut.texts, cut.starts, cut.ends, places, b"," not in cut.texts)
            lines = np.arange(self._line, self._line + len(cut))
            keys = None if places.key is None else cut.keys(places.key)
            batch = Batch(self.values, cut.values, texts, lines, keys)
            done = 0
            without_time = self._without_time(len(cut))
            for part in self._with_seconds(self._in_parts(batch)):
                while without_time and without_time[0] < done + len(part):
                    row = without_time.popleft()
                    line, text = self._line + row - done, cut.line(row).rstrip("\r\n")
                    self._options.refusals.add(self.name, line, WITHOUT_TIME, text)
                done += len(part)
                self._last = cut.line(done - 1).removesuffix("\n")
                self._line = int(part.lines[-1]) + 1
                if self._is_told:
                    self._sums.add(part.values)
                self._is_empty = False
                yield part
            if done < len(cut):
                cut.shorten(done)
                all_read = False
            if self.key is not None and len(cut):
                # as many rows as are asked for
                line = (cut.end - int(cut.bounds[0])) // len(cut)
                pieces.size = min(max(PIECE, self._at_most * line), MOST_AT_A_TIME)
            if not all_read:
                pieces.go_back(cut)

    def _plain_seconds(self, texts: Texts) -> NDArray[np.float64] | None:
        if not isinstance(texts, CutTexts) or texts.places.time is None:
            return None
        return self._options.clock.seconds_of(*texts.cells_of(texts.places.time))

    def _cut(self, pieces: Pieces) -> Cut | None:
        try:
            return pieces.cut()
        except (EOFError, zlib.error) as error:
            raise self._cut_off(error) from None

    def _read_rest(self, cut: Cut, places: Places) -> bool:
        """Read the cells that the kernel left; False if one is bad, and rows end before it."""
        n = len(cut)
        n_wanted = len(self._wanted)
        if cut.starts.shape[1] > n_wanted:
            has_more = (cut.starts[:, n_wanted:] != cut.ends[:, n_wanted:]).any(axis=1)
            if has_more.any():
                n = int(has_more.argmax())
        n = min([n, *self._comments_in(cut)])
        self._odd = self._odd_times(cut)
        n = min([n, *(row for row, text in self._odd if _is_sum(text))])
        if self._odd and self._odd[-1][0] == len(cut) - 1 and _is_no_time(self._odd[-1][1]):
            # it may be one of totals
            n = min(n, len(cut) - 1)
        if places.key is not None:
            lacks_key = cut.starts[:n, places.key] == cut.ends[:n, places.key]
            if lacks_key.any():
                n = int(lacks_key.argmax())
        for at in cut.unread.tolist():
            row, j = divmod(at, len(places.values))
            if row >= n:
                break
            place = places.values[j]
            try:
                cut.values[row, j] = self.numbers.read(cut.text(row, place), self.values[j])
            except ValueError:
                n = row
        self.numbers.blanked(cut.values[:n])
        blank = (row for row, text in self._odd if row < n and not text.strip())
        n = next((row for row in blank if np.isnan(cut.values[row]).all()), n)
        if not self.numbers.is_sure:
            self._watch(cut, n, places)
        all_good = n == len(cut)
        cut.shorten(n)
        return all_good

    def _odd_times(self, cut: Cut) -> list[tuple[int, str]]:
        """Rows that have no digit first in the place of a time or a number, and what they have."""
        if self._dated is None or not len(cut):
            return []
        slot = self._wanted.index(self.columns[self._dated])
        starts, ends = cut.starts[:, slot], cut.ends[:, slot]
        lengths = ends - starts
        codes = np.frombuffer(cut.texts or b"\0", np.uint8)
        length = int(lengths[0])
        if length and (lengths == length).all():
            # the cells of a column stand one after the other
            first = codes[starts[0] : ends[-1] : length]
        else:
            # a cell that is empty begins with whatever comes next
            first = codes.take(starts, mode="clip")
        odd = (lengths == 0) | (first < ord("0")) | (first > ord("9"))
        return [(row, cut.text(row, slot)) for row in np.flatnonzero(odd).tolist()]

    def _without_time(self, n: int) -> deque[int]:
        """Those of the first n rows that have no time, of a file whose times are copied."""
        told = self._odd if self._is_told and not self.timed else ()
        return deque(row for row, text in told if row < n and _is_no_time(text))

    def _comments_in(self, cut: Cut) -> Iterator[int]:
        """The first row that begins with each mark of a comment, where there is one."""
        begin = int(cut.bounds[0])
        for mark in map(str.encode, self._head.comments):
            if cut.data.startswith(mark, begin):
                yield 0
            elif (at := cut.data.find(b"\n" + mark, begin, cut.end)) >= 0:
                yield int(np.searchsorted(cut.bounds, at, "right"))

    def _watch(self, cut: Cut, n: int, places: Places) -> None:
        """Raise if the marks in numbers contradict those before."""
        for j, (column, place) in enumerate(zip(self.values, places.values, strict=True)):
            for row in self.numbers.is_watched(cut.values[:n], j, column).tolist():
                self._watch_cell(cut.text(row, place), self._line + row, column)
                if self.numbers.is_sure:
                    return

    def _watch_cell(self, text: str, line: int, column: str) -> None:
        try:
            self.numbers.watch(Cell(line, column, text))
        except ContradictionError as error:
            raise self._bad(line, column, str(error)) from None

    def _rows(self, records: Iterator[list[str]]) -> Iterator[Row]:
        options, name = self._options, self.name
        places = [self.columns.index(name) for name in self.values]
        targets = list(zip(self.values, places, strict=True))
        width = len(self.columns)
        parts = [self.columns.index(part) for part in options.parts]
        time, key, sequence = (
            None if name is None else self.columns.index(name)
            for name in (None if parts else self.time, self.key, options.sequence)
        )
        moment = ""
        numbers = self.numbers
        timed, decimal_comma = self.timed, self.decimal == ","
        seconds: float | None = None
        number_of: int | None = None
        whose = ""
        fetched = self._fetched
        n_blank = 0
        dated = self._dated
        told = self._is_told
        if self._at_head:
            n_lines = self._head.units + self._header
            while n_lines > 0:
                next(records)
                n_lines -= len(fetched)
                self._pass(len(fetched))
            self._at_head = False
        for cells in records:
            if dated is not None and len(cells) > dated and _sums_up(cells, dated):
                # blank lines before it mean nothing, as at the end of a file
                self._pass(n_blank)
                n_blank = 0
                text = "".join(fetched).rstrip("\r\n")
                options.refusals.add(name, self._line, SUMS, text)
                self._pass(len(fetched))
                continue
            if len(cells) != width:
                cells = self._fitted(cells)
            if len(cells) != width or n_blank:
                if self._broken is None and _is_blank(cells, width):
                    # at the end of a file blank lines mean nothing
                    n_blank += 1
                    continue
                for _ in range(n_blank):
                    if width > 1:
                        options.refusals.add(name, self._line, BLANK, "")
                        self._pass(1)
                        continue
                    # in a file of one column this is how a missing value looks
                    line = self._pass(1)
                    yield Row(line, "", ("",), {self.values[0]: math.nan})
                n_blank, self._is_empty = 0, False
                if len(cells) != width:
                    self._refuse_line(*self._wrong(cells))
                    continue
            if cells == self._names:
                # files joined to one repeat it
                text = "".join(fetched).rstrip("\r\n")
                options.refusals.add(name, self._line, REPEATED, text)
                self._pass(len(fetched))
                continue
            if dated is not None and not any(map(str.strip, cells)):
                # as a spreadsheet writes blank rows
                options.refusals.add(name, self._line, BLANK, "".join(fetched).rstrip("\r\n"))
                self._pass(len(fetched))
                continue
            self._is_empty = False
            line, content = self._line, fetched[0]
            if len(fetched) > 1:
                content = "".join(fetched)
            if "\ufffd" in content or "\0" in content:
                self._refuse_line(UNREADABLE, self._unreadable(content))
                continue
            values: dict[Hashable, float] = {}
            try:
                for column, place in targets:
                    cell = cells[place]
                    try:
                        value = float(cell.replace(",", ".") if decimal_comma else cell)
                        if (
                            not -LARGEST <= value <= LARGEST
                            or "_" in cell
                            or (decimal_comma and "." in cell)
                        ):
                            value = numbers.read(cell, column)
                        elif numbers.missing:
                            value = numbers.value(value)
                        if not numbers.is_sure:
                            self._watch_cell(cell, line, column)
                    except ValueError:
                        value = self._read(cell, line, column)
                    values[column] = value
                if key is not None:
                    whose = self._whose(cells[key], line)
                if parts:
                    moment = " ".join([cells[part] for part in parts])
                elif time is not None:
                    moment = cells[time]
                if timed:
                    seconds = self._seconds(moment, line, whose)
                elif told and _is_no_time(moment):
                    is_total = self._sums.are(list(values.values()))
                    reason = SUMS if is_total else WITHOUT_TIME
                    options.refusals.add(name, line, reason, content.rstrip("\r\n"))
                    if is_total:
                        self._pass(len(fetched))
                        continue
                if sequence is not None:
                    number_of = self._number(cells[sequence], line)
            except _CellError as bad:
                options.refuse(bad.error, name, line, bad.reason, content.rstrip("\r\n"))
                self._pass(len(fetched))
                continue
            self._line, self._last = line + len(fetched), fetched[-1]
            fetched.clear()
            if told:
                self._sums.add_row(values.values())
            yield Row(
                line,
                moment,
                tuple([cells[place] for place in places]),
                values,
                seconds,
                whose,
                number_of,
            )
        self._pass(len(fetched))
        if self._is_empty:
            raise self._no_rows(self.values[0])

    # -- cells ------------------------------------------------------------------------------------

    def _seconds(self, text: str, line: int, key: str) -> float:
        try:
            return self._options.clock.seconds(self._time_text(text), key)
        except ValueError as error:
            raise _CellError(NO_TIME, self._bad(line, self.time, str(error))) from None

    def _whose(self, text: str, line: int) -> str:
        if not text:
            raise _CellError(
                NO_KEY, self._bad(line, self.key, "the cell is empty; every row needs a key")
            )
        return text

    def _number(self, text: str, line: int) -> int:
        try:
            return whole_number(text)
        except ValueError:
            raise _CellError(
                NO_NUMBER,
                self._bad(
                    line,
                    self._options.sequence,
                    f"{text!r} is no whole number, as --sequence needs",
                ),
            ) from None

    def _read(self, text: str, line: int, column: str) -> float:
        """A number that is not plain, NaN if it is missing or taken so; the error otherwise."""
        try:
            value = self.numbers.read(text, column)
        except ValueError:
            pass
        else:
            if not self.numbers.is_sure and value == value:
                self._watch_cell(text, line, column)
            return value
        shown = text if len(text) <= 40 else text[:40] + "..."
        if self._options.on_bad == "missing":
            self._options.refusals.add(self.name, line, TAKEN_AS_MISSING, shown)
            return math.nan
        problem = f"{shown!r} {self._why(text, column)}"
        raise _CellError(NO_VALUE, self._bad(line, column, problem))

    def _why(self, text: str, column: str) -> str:
        """Why a cell is no number, and what to do about it."""
        if re.fullmatch(r"\s*[+-]?inf(inity)?\s*", text, re.IGNORECASE):
            return "is infinite; leave the cell empty if the value is missing"
        bare, unit = split_unit(text)
        if is_number(bare, self.decimal, math.inf) and not unit:
            return (
                f"is beyond {LARGEST:g}, the largest value that can be learnt; leave the cell "
                "empty if the value is missing"
            )
        kind = kind_of(bare)
        if kind and unit and unit != self.numbers.units.get(column):
            options = self.numbers.mixed.get(column, f"--unit {unit!r}")
            return (
                f"has a unit that not all numbers have; say {options} to read them as they stand, "
                "or convert them first"
            )
        if kind.startswith("comma"):
            other = "--decimal . if it stands between thousands"
            return f"is no number; say --decimal , if the comma is a decimal mark, or {other}"
        if kind.startswith("point"):
            return "is no number; say --decimal . if the point is a decimal mark"
        what = "is no number; "
        if is_number(text.replace("_", "")) and "_" in text:
            return what + f"write {text.replace('_', '')}"
        others = (d for d in (*DELIMITERS, " ") if d in text and d != self.delimiter)
        if (other_mark := next(others, None)) and _is_between_numbers(text, other_mark):
            return (
                what + f"if {other_mark!r} stands between columns, say --delimiter {other_mark!r}"
            )
        if CLOCK.fullmatch(text.strip()):
            return what + "write clocks and durations in seconds, or leave the column out"
        return what + (
            "leave the cell empty if the value is missing, or say --missing with what stands for "
            "it; --on-bad missing takes all that is no number as missing"
        )


class _CellError(Exception):
    """A bad cell, for which its row is refused."""

    def __init__(self, reason: str, error: InputError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


def _is_no_time(text: str) -> bool:
    """Whether a cell in a column of times or numbers has no digit."""
    return not "0" <= text[:1] <= "9" and DIGIT.search(text) is None


def _is_sum(text: str) -> bool:
    """Whether a cell in a column of times or numbers says that its row sums up others."""
    return not "0" <= text[:1] <= "9" and SUM.fullmatch(text) is not None


def _sums_up(cells: Sequence[str], dated: int) -> bool:
    """Whether a row says that it sums up others, in place of its time or beside an empty one."""
    time = cells[dated]
    return _is_sum(time) or (not time.strip() and any(map(SUM.fullmatch, cells)))


def _is_blank(cells: Sequence[str], width: int) -> bool:
    """Whether a record is a blank line, or one of spaces that is no cell."""
    return not cells or (len(cells) == 1 < width and not cells[0].strip(" \t"))


def _is_between_numbers(text: str, mark: str) -> bool:
    return all(is_number(part) or not part.strip() for part in text.split(mark))


def whole_number(text: str) -> int:
    """A whole number that is not negative; anything else is a ValueError."""
    if not (text.strip().isdecimal() and len(text) < 20):
        raise ValueError(text)
    return int(text)
