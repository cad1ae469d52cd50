"""How a CSV file is written, and which columns it has: as options say, or found out."""

from __future__ import annotations

import codecs
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise

from replay.engine.rows import InputError
from replay.sources.choice import chosen
from replay.sources.columns import Column, columns_in, held
from replay.sources.csv_records import CsvRecords, squeezed
from replay.sources.numbers import (
    Cell,
    ContradictionError,
    Numbers,
    is_number,
    kind_of_bare,
    study,
)
from replay.sources.preamble import DELIMITERS, LINES, Head, find_head
from replay.sources.read_options import LOOKED_AT, ReadOptions, unique_names
from replay.sources.reading import Input
from replay.sources.times import Clock

WITH_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
"""A number with a decimal comma; or with a comma between thousands."""
LINE_PROTOCOL = re.compile(r"[^\s,=]+(?:,[^\s,=]+=[^\s,=]+)* [^\s,=]+=[^\s]+(?: -?\d{10,19})?\s*$")
"""A line in which InfluxDB is given points."""
SINGLE_QUOTED = re.compile("'[^']+'")
DIGITS = re.compile(r"[+-]?\d+")
COMMENTS = re.compile(
    r"(?:comment|note|remark|commentaire|remarque|comentario|opmerking)s?|commento|"
    r"kommentare?|(?:be|an)merkung(?:en)?",
    re.IGNORECASE,
)
"""What a last column is called before which rows may end."""
FEW = 20
"""Rows of which it is asked whether spaces stand between columns, where no other mark does."""
MOST_ABOVE = 5
"""Lines above a table whose columns are aligned by spaces, at most."""
MOST_LOOKED_AT = 1 << 18
"""Characters looked at to find out what no option says."""
ALIKE = 0.9
"""Share of the first lines that have as many words if columns are aligned by spaces."""
MINUTES = 60
"""Numbers from which on two digits are no minutes, hours or months of a time."""


@dataclass(frozen=True)
class Style:
    """How a file of text or a spreadsheet is written; None finds it out.

    Parameters
    ----------
    delimiter
        Between cells: one of DELIMITERS, by the first line.
    encoding
        By which bytes become text: UTF-8, or UTF-16 where its mark is.
    header
        Whether the first line names the columns; otherwise they are called 0, 1, ...
    skip_lines
        Lines above the header to leave out.
    comment
        What lines begin with that are passed over; ``#`` if the first line begins with it.
    sheet
        Which sheet of a spreadsheet is read, by its name or number.
    """

    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    skip_lines: int = 0
    comment: str | None = None
    sheet: str | None = None


class CsvFormat(CsvRecords):
    """A CSV file whose format and columns are known.

    Parameters
    ----------
    source
        The file.
    options
        Which columns to read, and how.
    style
        How it is written.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or can be read in two ways.
    """

    def __init__(
        self, source: Input, options: ReadOptions | None = None, style: Style = Style()
    ) -> None:
        super().__init__(source)
        self.encoding = self._find_encoding(style.encoding)
        options = options or ReadOptions()
        # what is known of the format while it is found out
        self.columns = ()
        self._head = Head(style.skip_lines)
        self._head = self._find_head(style, options)
        self._header = style.header and self._head.names is None
        self._at_head = True
        self._names = None
        # cells of the header, those without a name at the end included
        self._width = 0
        self.delimiter, self.decimal = self._head.delimiter or ",", options.decimal or "."
        self.delimiter = self._head.delimiter or self._find_delimiter(options.decimal)
        self.columns = self._find_columns(given=style.delimiter is not None)
        # cells of a row: rows may end in delimiters, and before comments
        self._least = len(self.columns) - self._has_comments()
        widths = Counter(len(cells) for _, cells in self._first_rows())
        self._full = widths.most_common(1)[0][0] if widths else len(self.columns)
        self._least = min(self._full, len(self.columns))
        first = [(line, self._fitted(cells)) for line, cells in self._first_rows()]
        options, said = self._chosen(options.of(self.columns, self._bad_column), first)
        self.numbers, more = self._find_numbers(first, options)
        self.decimal = self.numbers.decimal
        self.said = [*self._head.said, *said, *more]
        self._hand_on(options)
        self._check_header(first)
        if not style.header and style.delimiter is None and options.decimal is None:
            self._check_not_cut(first)
        self._dated = self._find_dated(first)
        if self.time is not None:
            times = [self.columns.index(name) for name in options.parts or (self.time,)]
            self.first_times = [
                self._time_text(" ".join([row[place] for place in times])) for _, row in first
            ]
        if self.timed:
            self._look_at_times(options)
        self._rewind()

    def _all_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that have as many cells as all have, and their lines; from the table's start."""
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
                if len(cells) >= self._least and cells != self._names:
                    yield line, cells

    def _first_rows(self) -> Iterator[tuple[int, list[str]]]:
        """The first rows, with all their cells, and their lines."""
        n = 0
        for i, (line, cells) in enumerate(self._all_rows()):
            n += sum(map(len, cells)) + len(cells)
            yield line, cells
            if i + 1 >= LOOKED_AT or n > MOST_LOOKED_AT:
                return

    def _fitted(self, cells: list[str]) -> list[str]:
        """Return the cells without empty ones at the end that have no name, and with a comment."""
        width = len(self.columns)
        if self._least <= len(cells) < width:
            return [*cells, ""]
        if len(cells) > width and not any(cell.strip() for cell in cells[self._width :]):
            return cells[:width]
        return cells

    def _has_comments(self) -> bool:
        """Whether the last of several columns is called as one of comments."""
        return len(self.columns) > 1 and COMMENTS.fullmatch(self.columns[-1]) is not None

    def _find_encoding(self, given: str | None) -> str:
        if given is None:
            marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            return "utf-16" if self._input.head(2) in marks else "utf-8-sig"
        try:
            utf_8 = codecs.lookup(given).name == "utf-8"
        except LookupError:
            raise InputError(
                f"--encoding is {given!r}, which is not known; utf-8, utf-16, latin-1 "
                "and cp1252 are common ones"
            ) from None
        # skips a byte order mark
        return "utf-8-sig" if utf_8 else given

    def _find_head(self, style: Style, options: ReadOptions) -> Head:
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
        if style.delimiter == " " and _are_aligned(lines[style.skip_lines :]):
            self._squeezes = True
            lines = [squeezed(line) for line in lines]
        if any("\ufffd" in line or "\0" in line for line in lines[:1]):
            return Head(style.skip_lines, style.delimiter)
        return find_head(
            lines, style.delimiter, style.header, style.skip_lines, style.comment,
            [name for name in (*options.values, *options.others) if name],
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

    def _find_columns(self, given: bool) -> tuple[str, ...]:
        with self._opened() as text, closing(self._records(text)) as records:
            cells = next(records, None)
            first = "".join(self._fetched)
        if cells is None:
            raise self._bad(1, None, "the file is empty; a header and rows are expected")
        if "\ufffd" in first or "\0" in first:
            raise self._unreadable(first)
        if self._broken is not None:
            raise self._torn(self._broken)
        if first.lstrip().lower().startswith(("<!doctype", "<html", "<table", "<?xml")):
            what = "HTML, and no table; it may be the page of an error or of a login: fetch the"
            advice = f"{what} file again, or write its table as CSV, as pandas.read_html reads it"
            if first.lstrip().lower().startswith("<?xml") and "<html" not in first.lower():
                advice = (
                    "XML, and no table; write its rows as CSV, as pandas.read_xml reads them, or "
                    "GPSBabel those of a track"
                )
            raise self._bad(1, None, f"this is {advice}")
        if LINE_PROTOCOL.match(first):
            raise self._bad(
                1, None, "this is the line protocol of InfluxDB, which is not read; query the data "
                "as CSV, or write lines of JSON"
            )  # fmt: skip
        is_header = self._header and self._head.names is None
        if not cells or (is_header and not any(cell.strip() for cell in cells)):
            raise self._bad(1, None, "the line is blank; a header is expected there")
        if self._head.names is not None:
            return unique_names(self._head.names)
        if not self._header:
            return tuple(str(place) for place in range(len(cells)))
        names = tuple(cell.strip() for cell in cells)
        if all(map(is_number, self._fitted_names(cells))):
            raise self._bad(
                1, names[0], "a header is expected here, and this is a number; "
                "if the file has no header, say --no-header"
            )  # fmt: skip
        if len(names) > 1 and all(SINGLE_QUOTED.fullmatch(name) for name in names):
            raise self._bad(
                1, names[0], "the names are in single quotes, which are no quotes in CSV; write "
                "double quotes, or none"
            )  # fmt: skip
        others = [d for d in DELIMITERS if d in names[0]]
        if len(names) == 1 and others and given:
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
        self, options: ReadOptions, first: Sequence[tuple[int, list[str]]]
    ) -> tuple[ReadOptions, Sequence[str]]:
        """Return the options with values chosen if none were given, and notes on the choice."""
        if options.values:
            return options, ()
        if (n_above := self._above_spaced(first)) is not None:
            no_header = " --no-header" * all(map(is_number, self.columns[0].split()))
            skip = f" --skip-lines {self._head.above + n_above}" * (n_above > 0)
            raise self._bad_column(
                self.columns[0], "it is the only column, and its cells are no numbers; if ' ' "
                f"stands between columns, say --delimiter ' '{skip}{no_header}"
            )  # fmt: skip
        taken = chosen(options, self.columns, (cells for _, cells in first))
        if taken is None and not first and next(self._all_rows(), None) is None:
            raise self._short() or self._no_rows(self.columns[0])
        if taken is None:
            columns = columns_in(self.columns, (cells for _, cells in first))
            raise self._bad_column(
                ", ".join(self.columns),
                f"no column holds numbers in the first {LOOKED_AT:,} rows: {held(columns)}; if "
                "one does later, name it with --value",
            )
        return taken

    def _short(self) -> InputError | None:
        """What is wrong with the first row, where none is complete; None if there is no row."""
        with self._opened() as text, closing(self._records(text)) as records:
            n_head = self._head.units + self._header
            for cells in records:
                if n_head <= 0 and any(cell.strip() for cell in cells):
                    error, line = self._wrong(cells)[1], self._line
                    words = [len(its[0].split()) for its in (cells, *islice(records, FEW)) if its]
                    if len(cells) > 1 or words.count(max(words[0], 2)) < ALIKE * len(words):
                        return error
                    option = f"--delimiter ' ' --skip-lines {line - 1}"
                    return InputError(f"{error}; if ' ' stands between columns, say {option}")
                n_head -= len(self._fetched)
                self._pass(len(self._fetched))
        return None

    def _check_header(self, first: Sequence[tuple[int, list[str]]]) -> None:
        """Refuse a row in place of the header, and tell of one that may be a row.

        A row has a time where rows have theirs, or numbers beside a text as all rows have it.
        """
        if self._names is None:
            return
        name = next(iter(self._options.parts or (self.time or "",)))
        numbers = [name for name in self.values if kind_of_bare(name)]
        cells = list(zip(*(row for _, row in first), strict=False))
        (column,) = columns_in((name,), [[name]])
        if column.time and sum(map(str.isdigit, name)) >= 6:
            what = "a time"
        elif numbers and any(map(_are_alike, self._names, cells)):
            name, what = numbers[0], "a number, beside a text as all rows have it"
        else:
            if decimals := [name for name in numbers if kind_of_bare(name) != "whole"]:
                note = f"a column is called {decimals[0]!r}: say --no-header if there is no header"
                self.said = [*self.said, note]
            return
        raise self._bad_column(
            name, f"a header is expected here, and this is {what}; if the file has no header, say "
            "--no-header"
        )  # fmt: skip

    def _check_not_cut(self, first: Sequence[tuple[int, list[str]]]) -> None:
        """Refuse columns of whole numbers that may be those before and after decimal commas."""
        if self.delimiter != ",":
            return
        columns = list(zip(*(row for _, row in first), strict=True))
        if any("." in cell for column in columns for cell in column if is_number(cell)):
            return
        for place, (before, after) in enumerate(pairwise(columns), 1):
            if all(map(DIGITS.fullmatch, before)) and all(map(str.isdecimal, after)):
                # more than the months, minutes and seconds of a time
                padded = [i for i, cell in enumerate(after) if cell[0] == "0" and len(cell) > 1]
                if padded and max(map(int, after)) >= MINUTES:
                    line, row = first[padded[0]]
                    way = (
                        "say --decimal , if it is"
                        if len(columns) == 2
                        else "put such numbers in quotes if it is"
                    )
                    raise self._bad(
                        line, str(place), f"{row[place]!r} may be what stands behind a decimal "
                        f"comma, as in {f'{row[place - 1]},{row[place]}'!r}; {way}, and "
                        "--delimiter , if commas stand between columns"
                    )  # fmt: skip

    def _above_spaced(self, first: Sequence[tuple[int, list[str]]]) -> int | None:
        """Lines above a header that has as many words as each row, as spaces stand between columns.

        None if something else stands between them.
        """
        cells = [row[0].strip() for _, row in first if row[0].strip()]
        if len(self.columns) > 1 or not cells or all(map(is_number, cells)):
            return None
        words = [line.split() for line in (self.columns[0], *cells)]
        n = len(words[-1])
        n_above = sum(len(its) != n for its in words[:MOST_ABOVE])
        if n < 2 or len(words) < n_above + 2 or any(len(its) != n for its in words[n_above:]):
            return None
        return None if n_above and any(map(kind_of_bare, words[n_above])) else n_above

    def _find_dated(self, first: Sequence[tuple[int, list[str]]]) -> int | None:
        """The column in which every row has a time or its number: that of the time, or the first.

        None if there is none.
        """
        options = self._options
        name = next(iter(options.parts or (self.time or self.columns[0],)))
        if name in (*options.values, self.key, options.sequence):
            return None
        place = self.columns.index(name)
        (column,) = columns_in((name,), ([row[place]] for _, row in first))
        return place if column.time or column.is_counter else None

    def _find_numbers(
        self, first: Sequence[tuple[int, list[str]]], options: ReadOptions
    ) -> tuple[Numbers, list[str]]:
        """How numbers are written in the columns of values."""
        places = [(name, self.columns.index(name)) for name in options.values]
        cells = (Cell(line, name, row[place]) for line, row in first for name, place in places)
        try:
            return study(cells, options.decimal, self.delimiter, options.unit, options.missing)
        except ContradictionError as error:
            cell = error.cell
            raise self._bad(cell.line, cell.column, str(error)) from None

    def _look_at_times(self, options: ReadOptions) -> None:
        """Find out how times are written."""
        try:
            self.look_at_times(options.clock)
        except ValueError as error:
            line = next(iter(self._first_rows()))[0]
            raise self._bad(line, options.time, str(error)) from None

    def look_at_times(self, clock: Clock) -> None:
        options = self._options
        places = [self.columns.index(name) for name in options.parts or (options.time or "",)]
        # what has been read of a pipe is gone, but for its start
        rows = self._first_rows() if self._input.piped else self._all_rows()
        whole = (self._fitted(cells) for _, cells in rows)
        texts = (self._time_text(" ".join([cells[place] for place in places])) for cells in whole)
        try:
            clock.look_at(texts)
        finally:
            self._rewind()

    def _rewind(self) -> None:
        """Forget which lines were looked at: nothing has been handed on yet."""
        self._line, self._last = 1, ""
        self._fetched.clear()

    def _time_text(self, text: str) -> str:
        """A time, in which a comma may be the decimal mark of a number."""
        return text.replace(",", ".") if self.decimal == "," and text.count(",") == 1 else text


def _are_aligned(lines: Sequence[str]) -> bool:
    """Whether most lines have as many words, and not one space between each two."""
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        return False
    words = Counter(len(text.split()) for text in texts)
    n, count = words.most_common(1)[0]
    single = sum(text.count(" ") == n - 1 for text in texts)
    return count >= ALIKE * len(texts) > single


def _are_alike(name: str, cells: Sequence[str]) -> bool:
    """Whether a name is no number, and all cells below it are the same but for their digits."""
    shape = DIGITS.sub("0", name.strip())
    return not kind_of_bare(name) and all(DIGITS.sub("0", c.strip()) == shape for c in cells)


def _has_decimal_commas(line: str) -> bool:
    """Whether all commas of a line without a header are decimal marks, between semicolons."""
    return all(WITH_COMMA.fullmatch(cell) for cell in line.split(";") if "," in cell)
