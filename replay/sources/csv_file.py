"""CSV files as a stream of rows, and what to say when one is not as it should be."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from online_gmm import _kernel
from replay.engine.batch import Batch, CutTexts, Places
from replay.engine.rows import LARGEST, CutOffError, InputError, Row
from replay.sources.asked import (
    LOOKED_AT,
    NO_KEY,
    NO_NUMBER,
    NO_TIME,
    NO_VALUE,
    TAKEN_AS_MISSING,
    Asked,
    unique_names,
)
from replay.sources.file_source import FileSource
from replay.sources.look import Column, chosen, columns_in
from replay.sources.numbers import (
    Cell,
    ContradictionError,
    Numbers,
    is_number,
    kind_of,
    split_unit,
    study,
)
from replay.sources.preamble import DELIMITERS, LINES, Head, find_head
from replay.sources.reading import Input, digest

if TYPE_CHECKING:
    from replay.sources.pieces import Cut, Layout, Pieces

PLAIN_DELIMITERS = frozenset({*DELIMITERS, " "})
"""Those that are no part of a number."""
WITH_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
"""A number with a decimal comma; or with a comma between thousands."""
MOST_LOOKED_AT = 1 << 18
"""Characters looked at to find out what nobody has told."""
FIRST = 200
"""Lines by which a file is known again, with the last one that was read."""

SHORT = "rows with too few cells"
LONG = "rows with too many cells"
BLANK = "blank lines"
UNREADABLE = "rows with bytes that are not text"
TORN = "rows with a stray quote"


@dataclass(frozen=True)
class Style:
    """How a file is written; None finds it out.

    Parameters
    ----------
    delimiter
        Between cells: one of DELIMITERS, by the first line.
    decimal
        The decimal mark, ``.`` or ``,``; by the first rows. A comma is only found where it does not
        stand between cells too.
    encoding
        By which bytes become text: UTF-8, or UTF-16 where its mark is.
    header
        Whether the first line names the columns; otherwise they are called 0, 1, ...
    skip_lines
        Lines above the header to leave out.
    comment
        What lines begin with that are passed over; ``#`` if the first line begins with it.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool = True
    skip_lines: int = 0
    comment: str | None = None


class CsvFile(FileSource):
    """The rows of a CSV file, plain or gzipped, in constant memory; a `replay.engine.rows.Source`.

    Every iteration reads it anew.

    Parameters
    ----------
    source
        The file.
    asked
        What is asked of it.
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
        that is not as it should be, if that is asked for.
    """

    def __init__(self, source: Input, asked: Asked | None = None, style: Style = Style()) -> None:
        super().__init__(source)
        # the line that the record under way begins at, and the one before it
        self._line, self._last = 1, ""
        # lines of that record, and lines to be taken apart once more
        self._fetched: list[str] = []
        self._again: deque[str] = deque()
        self._broken: str | None = None
        self._start: dict[str, Any] | None = None
        self._is_empty = True
        self._is_at_end = False
        self.encoding = self._find_encoding(style.encoding)
        asked = asked or Asked()
        # what is known of the format while it is found out
        self.columns: tuple[str, ...] = ()
        self._head = Head(style.skip_lines)
        self._head = self._find_head(style, asked)
        self._header = style.header and self._head.names is None
        self._at_head = True
        self._names: list[str] | None = None
        self._n_repeated = 0
        # cells of the header, those without a name at the end included
        self._width = 0
        self.delimiter, self.decimal = self._head.delimiter or ",", style.decimal or "."
        self.delimiter = self._head.delimiter or self._find_delimiter(style.decimal)
        self.columns = self._find_columns(told=style.delimiter is not None)
        first = list(self._first_rows())
        # cells of a row: rows may end in delimiters
        widths = Counter(len(cells) for _, cells in first)
        self._full = widths.most_common(1)[0][0] if widths else len(self.columns)
        asked, said = self._chosen(asked.of(self.columns, self._bad_column), first)
        self.numbers, more = self._find_numbers(first, asked, style.decimal)
        self.decimal = self.numbers.decimal
        self.said = [*self._head.said, *said, *more]
        self._hand_on(asked)
        if self.timed:
            self._look_at_times(asked)
        # nothing has been handed on yet
        self._line, self._last = 1, ""
        self._fetched.clear()

    def _batches(self) -> Generator[Batch, None, None]:
        """Lines that are plain are cut by the kernel, the others are read one by one.

        Where the kernel is not compiled, for encodings other than UTF-8, and if more than values is
        asked for, all are read one by one.
        """
        asked = self._asked
        if (
            not _kernel.COMPILED
            or self.encoding != "utf-8-sig"
            or self.delimiter not in PLAIN_DELIMITERS
            or self.delimiter == self.decimal
            or self.timed
            or asked.parts
            or asked.sequence is not None
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

    def _careful(self, rows: Iterator[Row], pieces: Pieces) -> Iterator[Row]:
        """Rows that are read one by one, until they can be cut."""
        for row in rows:
            yield row
            if pieces.can_be_cut and not self._fetched and not self._again:
                return
        self._is_at_end = True

    def _layout(self) -> tuple[Layout, Places]:
        """What is wanted of a line, and at which places it is then."""
        from replay.sources.pieces import Layout

        others = [name for name in (self.time, self.key) if name is not None]
        wanted = list(dict.fromkeys([*self.values, *others]))
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
        while (cut := self._cut(pieces)) is not None:
            data, all_read = cut.data, self._read_rest(cut, places)
            texts = CutTexts(data, cut.starts, cut.ends, places, cut.bare)
            lines = np.arange(self._line, self._line + len(cut))
            batch = Batch(self.values, cut.values, texts, lines, texts.keys())
            done = 0
            for part in self._in_parts(batch):
                done += len(part)
                end = data.index(b"\n", int(cut.ends[done - 1].max()))
                self._last = data[data.rfind(b"\n", 0, end) + 1 : end].decode()
                self._line = int(part.lines[-1]) + 1
                self._is_empty = False
                yield part
            if not all_read:
                pieces.go_back(cut)

    def _cut(self, pieces: Pieces) -> Cut | None:
        try:
            return pieces.cut()
        except (EOFError, zlib.error) as error:
            raise self._cut_off(error) from None

    def _read_rest(self, cut: Cut, places: Places) -> bool:
        """Read the cells that the kernel left; False if one is bad, and rows end before it."""
        n = len(cut)
        n_wanted = len(dict.fromkeys(p for p in (*places.values, places.time, places.key)
                                     if p is not None))  # fmt: skip
        if cut.starts.shape[1] > n_wanted:
            has_more = (cut.starts[:, n_wanted:] != cut.ends[:, n_wanted:]).any(axis=1)
            if has_more.any():
                n = int(has_more.argmax())
        if self._head.comment and (at := self._comment_in(cut)) is not None:
            n = min(n, at)
        if places.key is not None:
            lacks_key = cut.starts[:n, places.key] == cut.ends[:n, places.key]
            if lacks_key.any():
                n = int(lacks_key.argmax())
        for at in cut.unread.tolist():
            row, j = divmod(at, len(places.values))
            if row >= n:
                break
            place = places.values[j]
            text = cut.data[cut.starts[row, place] : cut.ends[row, place]].decode()
            try:
                cut.values[row, j] = self.numbers.read(text, self.values[j])
            except ValueError:
                n = row
        self.numbers.blanked(cut.values[:n])
        if not self.numbers.is_sure:
            self._watch(cut, n, places)
        all_good = n == len(cut)
        cut.shorten(n)
        return all_good

    def _comment_in(self, cut: Cut) -> int | None:
        """The first row that is a comment; None if there is none."""
        mark = self._head.comment.encode()
        at = cut.data.find(b"\n" + mark, max(cut.begin - 1, 0), cut.end)
        if cut.data.startswith(mark, cut.begin):
            return 0
        return None if at < 0 else cut.data.count(b"\n", cut.begin, at + 1)

    def _watch(self, cut: Cut, n: int, places: Places) -> None:
        """Look whether the marks in numbers contradict those before."""
        for j, (column, place) in enumerate(zip(self.values, places.values, strict=True)):
            for row in self.numbers.is_watched(cut.values[:n], j, column).tolist():
                text = cut.data[cut.starts[row, place] : cut.ends[row, place]].decode()
                self._watch_cell(text, self._line + row, column)
                if self.numbers.is_sure:
                    return

    def _watch_cell(self, text: str, line: int, column: str) -> None:
        try:
            self.numbers.watch(Cell(line, column, text))
        except ContradictionError as error:
            raise self._bad(line, column, str(error)) from None

    def _rows(self, records: Iterator[list[str]]) -> Iterator[Row]:
        asked, name = self._asked, self.name
        places = [self.columns.index(name) for name in self.values]
        targets = list(zip(self.values, places, strict=True))
        width = len(self.columns)
        parts = [self.columns.index(part) for part in asked.parts]
        time, key, sequence = (
            None if name is None else self.columns.index(name)
            for name in (None if parts else self.time, self.key, asked.sequence)
        )
        moment = ""
        numbers = self.numbers
        timed, decimal_comma = self.timed, self.decimal == ","
        seconds: float | None = None
        number_of: int | None = None
        whose = ""
        fetched = self._fetched
        n_blank = 0
        if self._at_head:
            n_lines = self._head.units + self._header
            while n_lines > 0:
                next(records)
                n_lines -= len(fetched)
                self._pass(len(fetched))
            self._at_head = False
        for cells in records:
            if len(cells) != width:
                cells = self._fitted(cells)
            if len(cells) != width or n_blank:
                if not cells and self._broken is None:
                    # at the end of a file blank lines mean nothing
                    n_blank += 1
                    continue
                for _ in range(n_blank):
                    if width > 1:
                        asked.refuse(self._blank_line(), name, self._line, BLANK, "")
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
                # tables that follow one another repeat the header
                self._n_repeated += 1
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
                if sequence is not None:
                    number_of = self._number(cells[sequence], line)
            except _CellError as bad:
                asked.refuse(bad.error, name, line, bad.reason, content.rstrip("\r\n"))
                self._pass(len(fetched))
                continue
            self._line, self._last = line + len(fetched), fetched[-1]
            fetched.clear()
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

    def _fitted(self, cells: list[str]) -> list[str]:
        """Cells without those at the end that no column is named for, if they are empty."""
        width = len(self.columns)
        if len(cells) > width and not any(cell.strip() for cell in cells[self._width :]):
            return cells[:width]
        return cells

    # -- where it is ----------------------------------------------------------------------------

    @property
    def position(self) -> dict[str, Any]:
        """Lines that are done with; by the first and the last of them the file is known again."""
        n = self._line - 1
        return {
            "lines": n,
            "first": self._digest_of_first(n),
            "last": digest(self._last.rstrip("\r\n").encode()),
            **({"sure": True} if self.numbers.is_sure else {}),
        }

    def go_to(self, position: dict[str, Any]) -> None:
        if self._digest_of_first(position["lines"]) != position["first"]:
            raise self._input.changed()
        self._start = position

    def _digest_of_first(self, n: int) -> str:
        if self._input.piped:
            return ""
        with self._text() as text:
            return digest("".join(islice(text, min(n, FIRST))).encode())

    def _pass(self, n: int) -> int:
        """Be done with so many of the lines fetched; the number of the first."""
        line = self._line
        if n:
            self._line, self._last = line + n, self._fetched[n - 1]
            del self._fetched[:n]
        return line

    # -- from bytes to records ------------------------------------------------------------------

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        """The file as text; what does not decode becomes U+FFFD, to be found by line later."""
        stream = self._input.open()
        with io.TextIOWrapper(stream, self.encoding, errors="replace", newline="") as text:
            yield text

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        """The file as text, from where it is to be read."""
        with self._text() as text:

            def skip(n: int) -> tuple[int, str]:
                read, last = 0, ""
                for line in islice(text, n):
                    read, last = read + 1, line
                return read, last

            self._begin(skip)
            yield text

    def _begin(self, skip: Callable[[int], tuple[int, str]]) -> None:
        """Be where it is to be read from; ``skip`` passes lines: how many, and the last."""
        start, self._start = self._start, None
        self._is_empty = start is None
        self._line, self._last, self._broken = 1, "", None
        self._fetched.clear()
        self._again.clear()
        self._at_head = start is None or not start["lines"]
        if self._at_head:
            self._line += skip(self._head.above)[0]
        elif start is not None:
            n = start["lines"]
            self._line = n + 1
            self.numbers.is_sure |= "sure" in start
            read, self._last = skip(n)
            if read < n or digest(self._last.rstrip("\r\n").encode()) != start["last"]:
                raise self._input.changed()

    def _lines(self, text: Iterable[str]) -> Iterator[str]:
        fetched, again, comment = self._fetched, self._again, self._head.comment
        try:
            while True:
                while again:
                    fetched.append(again.popleft())
                    yield fetched[-1]
                for content in text:
                    fetched.append(content)
                    if comment and len(fetched) == 1 and _is_passed(content, comment):
                        self._pass(1)
                        continue
                    yield content
                    if again:
                        break
                else:
                    return
        except (EOFError, zlib.error) as error:
            raise self._cut_off(error) from None
        except UnicodeError as error:  # UTF-16 without its mark, for one
            raise self._bad(
                self._line + len(fetched),
                None,
                f"the file is not {self.encoding} ({error}); choose another --encoding",
            ) from None

    def _records(self, text: Iterable[str]) -> Generator[list[str], None, None]:
        """The cells of each record; a blank line has none, nor has one that is broken."""
        while True:
            reader = csv.reader(self._lines(text), delimiter=self.delimiter, strict=True)
            try:
                yield from reader
                return
            except csv.Error as error:
                self._broken = str(error)
            yield []

    def _all_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that have a cell for each column, and their lines; from the start of the table."""
        with self._opened() as text, closing(self._records(text)) as records:
            n_head = self._head.units + self._header
            for cells in records:
                if self._broken is not None:
                    return
                line = self._line
                self._pass(len(self._fetched))
                if n_head > 0:
                    n_head -= self._line - line
                    continue
                if len(cells) >= len(self.columns) and cells != self._names:
                    yield line, cells

    def _first_rows(self) -> Iterator[tuple[int, list[str]]]:
        """The first rows, with all their cells, and their lines."""
        n = 0
        for i, (line, cells) in enumerate(self._all_rows()):
            n += sum(map(len, cells)) + len(cells)
            yield line, cells
            if i + 1 >= LOOKED_AT or n > MOST_LOOKED_AT:
                return

    # -- the format and the columns -------------------------------------------------------------

    def _find_encoding(self, told: str | None) -> str:
        if told is None:
            marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            return "utf-16" if self._input.head(2) in marks else "utf-8-sig"
        try:
            utf_8 = codecs.lookup(told).name == "utf-8"
        except LookupError:
            raise InputError(
                f"--encoding is {told!r}, which is not known; utf-8, utf-16, latin-1 "
                "and cp1252 are common ones"
            ) from None
        # skips a byte order mark
        return "utf-8-sig" if utf_8 else told

    def _find_head(self, style: Style, asked: Asked) -> Head:
        """Where the table begins."""
        with self._text() as text:
            lines, n = [], 0
            try:
                for line in islice(text, style.skip_lines + LINES):
                    lines.append(line)
                    n += len(line)
                    if n > MOST_LOOKED_AT:
                        break
            except (EOFError, zlib.error, UnicodeError):
                pass
        if any("\ufffd" in line or "\0" in line for line in lines[:1]):
            return Head(style.skip_lines, style.delimiter)
        return find_head(
            lines, style.delimiter, style.header, style.skip_lines, style.comment,
            [name for name in (*asked.values, *asked.others) if name],
        )  # fmt: skip

    def _find_delimiter(self, decimal: str | None) -> str:
        with self._opened() as text:
            first = re.sub(r'"[^"]*"', "", next(self._lines(text), "")).strip("\r\n ")
        counts = {d: first.count(d) for d in DELIMITERS if d != decimal}
        if decimal is None and counts[";"] and _has_decimal_commas(first):
            return ";"
        best = max(counts.values())
        winners = [d for d in counts if counts[d] == best]
        if best and len(winners) > 1:
            raise self._bad(
                self._line,
                None,
                f"{' and '.join(map(repr, winners))} are equally frequent, so the delimiter is "
                "unclear; name it with --delimiter",
            )
        return winners[0]

    def _find_columns(self, told: bool) -> tuple[str, ...]:
        with self._opened() as text, closing(self._records(text)) as records:
            cells = next(records, None)
            first = "".join(self._fetched)
        if cells is None:
            raise self._bad(1, None, "the file is empty; a header and rows are expected")
        if "\ufffd" in first or "\0" in first:
            raise self._unreadable(first)
        if self._broken is not None:
            raise self._torn(self._broken)
        if not cells:
            raise self._bad(1, None, "the line is blank; a header is expected there")
        if self._head.names is not None:
            return unique_names(self._head.names)
        if not self._header:
            return tuple(str(place) for place in range(len(cells)))
        names = tuple(cell.strip() for cell in cells)
        if all(is_number(name) for name in names):
            raise self._bad(
                1, names[0], "a header is expected here, and this is a number; "
                "if the file has no header, say --no-header"
            )  # fmt: skip
        others = [d for d in DELIMITERS if d in names[0]]
        if len(names) == 1 and others and told:
            raise self._bad(
                1, names[0], f"the header is a single column when split at {self.delimiter!r}; "
                f"it holds {others[0]!r}, so try --delimiter {others[0]!r}"
            )  # fmt: skip
        self._names, self._width = self._fitted_names(cells), len(cells)
        return unique_names(names)

    @staticmethod
    def _fitted_names(cells: list[str]) -> list[str]:
        """The cells of the header, without empty ones at the end."""
        n = len(cells)
        while n and not cells[n - 1].strip():
            n -= 1
        return cells[:n]

    def first_columns(self) -> list[Column]:
        """What the first cells of each column are."""
        return columns_in(self.columns, (cells for _, cells in self._first_rows()))

    def _chosen(
        self, asked: Asked, first: Sequence[tuple[int, list[str]]]
    ) -> tuple[Asked, Sequence[str]]:
        """What is asked, with values in any case, and what is said about the choice."""
        if asked.values:
            return asked, ()
        taken = chosen(asked, self.columns, (cells for _, cells in first))
        if taken is None and not first and next(self._all_rows(), None) is None:
            raise self._no_rows(self.columns[0])
        if taken is None:
            raise self._bad_column(
                ", ".join(self.columns),
                f"no column holds numbers in the first {LOOKED_AT:,} rows; name one with --value",
            )
        return taken

    def _find_numbers(
        self, first: Sequence[tuple[int, list[str]]], asked: Asked, told: str | None
    ) -> tuple[Numbers, list[str]]:
        """How numbers are written in the columns of values."""
        places = [(name, self.columns.index(name)) for name in asked.values]
        cells = (Cell(line, name, row[place]) for line, row in first for name, place in places)
        try:
            return study(cells, told, self.delimiter, asked.unit, asked.missing)
        except ContradictionError as error:
            cell = error.cell
            raise self._bad(cell.line, cell.column, str(error)) from None

    def _look_at_times(self, asked: Asked) -> None:
        """Find out how times are written."""
        places = [self.columns.index(name) for name in asked.parts or (asked.time or "",)]
        lines: list[int] = []

        def texts() -> Iterator[str]:
            # what has been read of a pipe is gone, but for its start
            rows = self._first_rows() if self._input.piped else self._all_rows()
            for line, cells in rows:
                lines.append(line)
                yield self._time_text(" ".join([cells[place] for place in places]))

        try:
            asked.clock.look_at(texts())
        except ValueError as error:
            raise self._bad(lines[0], asked.time, str(error)) from None

    # -- what is not as it should be ------------------------------------------------------------

    def _cut_off(self, error: Exception) -> CutOffError:
        line, packing = self._line + len(self._fetched), self._input.packing
        return CutOffError(
            f"{self.name}, line {line}: the {packing} data is damaged or cut off here ({error}); "
            "fetch it again"
        )

    def _refuse_line(self, reason: str, error: InputError) -> None:
        """Refuse the first line that was fetched, and take the others apart once more.

        With a quote that was opened by mistake, they were taken for one record.
        """
        content = self._fetched[0].rstrip("\r\n")
        self._asked.refuse(error, self.name, self._line, reason, content)
        self._pass(1)
        self._again.extendleft(reversed(self._fetched))
        self._fetched.clear()
        self._broken = None

    def _bad(self, line: int, column: str | None, problem: str) -> InputError:
        place = "" if column is None else f", column {column!r}"
        return InputError(f"{self.name}, line {line}{place}: {problem}")

    def _bad_column(self, column: str, problem: str) -> InputError:
        return self._bad(self._head.above + 1, column, problem)

    def _no_rows(self, column: str) -> InputError:
        line = self._head.above + self._header + 1
        return self._bad(line, column, "no row follows the header; at least one is needed")

    def _blank_line(self) -> InputError:
        return self._bad(
            self._line, self.columns[0], "the line is blank; remove it, or fill it with "
            f"{self.delimiter!r} if all its values are missing"
        )  # fmt: skip

    def _unreadable(self, content: str) -> InputError:
        mark = "\0" if "\0" in content else "\ufffd"
        before = content[: content.index(mark)]
        place = max(len(next(csv.reader([before], delimiter=self.delimiter), ())) - 1, 0)
        column = self.columns[place] if place < len(self.columns) else str(place)
        if mark == "\0":
            return self._bad(
                self._line, column, "there is a NUL character, as when UTF-16 is read as something "
                "else; try --encoding utf-16"
            )  # fmt: skip
        encoding = self.encoding.removesuffix("-sig")
        return self._bad(
            self._line, column, f"there are bytes that are not {encoding}; say what the file is "
            "written in, as in --encoding latin-1 or --encoding cp1252"
        )  # fmt: skip

    def _torn(self, error: str) -> InputError:
        if "end of data" in error or "field limit" in error:
            return self._bad(
                self._line, None, 'a quote (") is opened in this row and not closed; close it, or '
                "double it if it is meant as a character"
            )  # fmt: skip
        return self._bad(
            self._line, None, f"this row cannot be taken apart ({error}); a quoted cell must end "
            "at its quote, and a quote within it must be doubled"
        )  # fmt: skip

    def _wrong(self, cells: list[str]) -> tuple[str, InputError]:
        """Why a record that has not as many cells as there are columns is refused."""
        if self._broken is not None:
            return TORN, self._torn(self._broken)
        n, width = len(cells), len(self.columns)
        if n < width:
            return SHORT, self._bad(
                self._line, self.columns[n], f"the row ends before this column: it has {n} cells "
                f"of {width}; complete it, leaving cells empty where values are missing"
            )  # fmt: skip
        commas = " (if commas are decimal marks here, the cells need quotes)"
        return LONG, self._bad(
            self._line, self.columns[-1], f"the row goes on after this column: it has {n} cells "
            f"for {width} columns; put cells that hold {self.delimiter!r} in quotes"
            f"{commas if self.delimiter == ',' else ''}"
        )  # fmt: skip

    def _seconds(self, text: str, line: int, key: str) -> float:
        try:
            return self._asked.clock.seconds(self._time_text(text), key)
        except ValueError as error:
            raise _CellError(NO_TIME, self._bad(line, self.time, str(error))) from None

    def _time_text(self, text: str) -> str:
        """A time, in which a comma may be the decimal mark of a number."""
        return text.replace(",", ".") if self.decimal == "," and text.count(",") == 1 else text

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
                    line, self._asked.sequence, f"{text!r} is no whole number, as --sequence needs"
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
        if self._asked.on_bad == "missing":
            self._asked.refusals.add(self.name, line, TAKEN_AS_MISSING, shown)
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
            return f"has a unit that not all numbers have; say --unit {unit!r} to read it without"
        if kind.startswith("comma"):
            other = "--decimal . if it stands between thousands"
            return f"is no number; say --decimal , if the comma is a decimal mark, or {other}"
        if kind.startswith("point"):
            return "is no number; say --decimal . if the point is a decimal mark"
        what = "is no number; "
        if is_number(text.replace("_", "")) and "_" in text:
            return what + f"write {text.replace('_', '')}"
        others = (d for d in DELIMITERS if d in text and d != self.delimiter)
        if (other_mark := next(others, None)) and _is_between_numbers(text, other_mark):
            return (
                what + f"if {other_mark!r} stands between columns, say --delimiter {other_mark!r}"
            )
        return what + (
            "leave the cell empty if the value is missing, or say --missing with what stands for it"
        )


class _CellError(Exception):
    """A cell for which its row is refused."""

    def __init__(self, reason: str, error: InputError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


def _is_passed(line: str, comment: str) -> bool:
    """Whether a line is a comment, or blank between comments."""
    return line.startswith(comment) or not line.strip()


def _is_between_numbers(text: str, mark: str) -> bool:
    return all(is_number(part) or not part.strip() for part in text.split(mark))


def _has_decimal_commas(line: str) -> bool:
    """Whether all commas of a line without a header are decimal marks, between semicolons."""
    return all(WITH_COMMA.fullmatch(cell) for cell in line.split(";") if "," in cell)


def whole_number(text: str) -> int:
    """A whole number that is not negative; anything else is a ValueError."""
    if not (text.strip().isdecimal() and len(text) < 20):
        raise ValueError(text)
    return int(text)
