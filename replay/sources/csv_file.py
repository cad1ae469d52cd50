"""CSV files as a stream of rows, and what to say when one is not as it should be."""

from __future__ import annotations

import codecs
import csv
import datetime
import difflib
import gzip
import io
import math
import re
import zlib
from collections.abc import Generator, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO, cast

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""What stands for a missing value, in any case."""
LARGEST = 1e150
"""The learner squares values; beyond this the squares are infinite."""
DELIMITERS = (",", ";", "\t")
LOOKED_AT = 100
"""Rows looked at to find the columns that hold numbers."""


class InputError(Exception):
    """What is wrong with the input: which file, line and column, and what to do about it."""


@dataclass(frozen=True)
class Format:
    """How a file is written.

    Parameters
    ----------
    delimiter
        Between cells; None finds it in the first line.
    decimal
        The decimal mark, ``.`` or ``,``.
    encoding
        By which bytes become text.
    header
        Whether the first line names the columns; otherwise they are called 0, 1, ...
    """

    delimiter: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    header: bool = True


class Row(NamedTuple):
    """One record: its line, its time and its values as written, and the values as numbers.

    ``seconds`` is the time as a number, where it is asked for.
    """

    line: int
    time: str
    texts: tuple[str, ...]
    values: dict[Hashable, float]
    seconds: float | None = None


class Source:
    """The rows of a CSV file, plain or gzipped, in constant memory; every iteration reads it anew.

    Parameters
    ----------
    path
        The file.
    values
        The columns to learn, in order. When empty, the only column of numbers there is.
    time
        A column that is passed through as it is, or None.
    style
        How the file is written.
    timed
        Whether that column is read as well: seconds, or dates as ISO 8601 has them, each after the
        one before.

    Raises
    ------
    InputError
        At once if the file cannot be read or lacks a column, and while iterating at the first row
        that is not as it should be.
    """

    def __init__(
        self,
        path: Path,
        values: Sequence[str] = (),
        time: str | None = None,
        style: Format = Format(),
        timed: bool = False,
    ) -> None:
        self.path = path
        self.style = style
        self.timed = timed
        self.columns: tuple[str, ...] = ()
        self.last_line = 0
        self._raw: BinaryIO | None = None
        try:
            codecs.lookup(style.encoding)
        except LookupError:
            raise InputError(
                f"--encoding is {style.encoding!r}, which is not known; utf-8, utf-16, latin-1 "
                "and cp1252 are common ones"
            ) from None
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {what}; give the path of a CSV file")
        self.size = path.stat().st_size
        self.delimiter = style.delimiter or self._find_delimiter()
        self.columns = self._find_columns()
        self.time = None if time is None else self._column(time, "--time")
        self.values = tuple(self._column(name, "--value") for name in values) or self._only_values()
        if len(set(self.values)) < len(self.values):
            twice = next(name for name in self.values if self.values.count(name) > 1)
            raise InputError(f"--value {twice!r} is given twice; once is enough")
        if timed and self.time in self.values:
            raise InputError(
                f"--value {self.time!r} is the column of --time; with --irregular it tells the "
                "time and is not learnt"
            )

    @property
    def position(self) -> int:
        """How far into the file the iteration under way is, of ``size`` bytes."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[Row]:
        places = [self.columns.index(name) for name in self.values]
        targets = list(zip(self.values, places, strict=True))
        time = None if self.time is None else self.columns.index(self.time)
        decimal_comma = self.style.decimal == ","
        seconds, before = None, (-math.inf, 0, "")
        line = 1
        with closing(self._rows()) as rows:
            for line, cells in rows:
                values: dict[Hashable, float] = {}
                for name, place in targets:
                    text = cells[place]
                    try:
                        if decimal_comma:
                            text = _with_point(text)
                        value = float(text)
                        if not -LARGEST <= value <= LARGEST or "_" in text:
                            value = number(text)
                    except ValueError:
                        value = self._missing(cells[place], line, name)
                    values[name] = value
                if self.timed and time is not None:
                    seconds = self._seconds(cells[time], line)
                    if seconds <= before[0]:
                        raise self._bad(
                            line, self.time, f"time {cells[time]!r} is not after {before[2]!r} in "
                            f"line {before[1]}; sort the rows, or leave out --irregular"
                        )  # fmt: skip
                    before = seconds, line, cells[time]
                yield Row(
                    line,
                    "" if time is None else cells[time],
                    tuple([cells[place] for place in places]),
                    values,
                    seconds,
                )
        self.last_line = line
        if line == 1 and self.style.header:
            raise self._bad(2, self.values[0], "no row follows the header; at least one is needed")

    # -- from bytes to records ------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        """The file as text; what does not decode becomes U+FFFD, to be found by line later."""
        # utf-8-sig is utf-8 that skips a byte order mark
        utf_8 = codecs.lookup(self.style.encoding).name == "utf-8"
        encoding = "utf-8-sig" if utf_8 else self.style.encoding
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from None
        with raw:
            start = raw.peek(2)[:2]
            if utf_8 and start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise self._bad(1, None, "the file is UTF-16; read it with --encoding utf-16")
            packed = start == b"\x1f\x8b"
            binary = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            self._raw = raw
            with io.TextIOWrapper(binary, encoding, errors="replace", newline="") as text:
                yield text

    def _lines(self, text: TextIO) -> Iterator[str]:
        line = 0
        try:
            for line, content in enumerate(text, 1):
                if "\ufffd" in content or "\0" in content:
                    raise self._undecodable(line, content)
                yield content
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._bad(
                line + 1,
                None,
                f"the gzip data is damaged or cut off here ({error}); fetch it again",
            ) from None
        except UnicodeError as error:  # UTF-16 without its mark, for one
            raise self._bad(
                line + 1,
                None,
                f"the file is not {self.style.encoding} ({error}); choose another --encoding",
            ) from None

    def _undecodable(self, line: int, content: str) -> InputError:
        mark = "\0" if "\0" in content else "\ufffd"
        before = content[: content.index(mark)]
        delimiter = getattr(self, "delimiter", ",")
        place = max(len(next(csv.reader([before], delimiter=delimiter), ())) - 1, 0)
        column = self.columns[place] if place < len(self.columns) else str(place)
        if mark == "\0":
            return self._bad(
                line, column, "there is a NUL character, as when UTF-16 is read as something else; "
                "try --encoding utf-16"
            )  # fmt: skip
        return self._bad(
            line, column, f"there are bytes that are not {self.style.encoding}; "
            "say what the file is written in, as in --encoding latin-1 or --encoding cp1252"
        )  # fmt: skip

    def _records(self) -> Generator[tuple[int, list[str]], None, None]:
        """The line where each record begins, and its cells; a blank line has none."""
        line = 1
        with self._open() as text:
            reader = csv.reader(self._lines(text), delimiter=self.delimiter, strict=True)
            try:
                for cells in reader:
                    yield line, cells
                    line = reader.line_num + 1
            except csv.Error as error:
                if "end of data" in str(error) or "field limit" in str(error):
                    raise self._bad(
                        line,
                        None,
                        'a quote (") is opened in this row and not closed; close it, '
                        "or double it if it is meant as a character",
                    ) from None
                raise self._bad(
                    line,
                    None,
                    f"this row cannot be taken apart ({error}); a quoted cell must end at its "
                    "quote, and a quote within it must be doubled",
                ) from None

    def _rows(self) -> Generator[tuple[int, list[str]], None, None]:
        """The records after the header, each with as many cells as there are columns."""
        width = len(self.columns)
        blank = 0
        with closing(self._records()) as records:
            if self.style.header:
                next(records)
            for line, cells in records:
                if len(cells) != width or blank:
                    if not cells:
                        # at the end of a file blank lines mean nothing
                        blank = blank or line
                        continue
                    if blank and width > 1:
                        raise self._bad(
                            blank, self.columns[0], "the line is blank; remove it, or fill it with "
                            f"{self.delimiter!r} if all its values are missing"
                        )  # fmt: skip
                    if blank:
                        # in a file of one column a blank line is how a missing value looks
                        for missed in range(blank, line):
                            yield missed, [""]
                        blank = 0
                    if len(cells) != width:
                        raise self._wrong_width(line, cells)
                yield line, cells

    # -- the columns ----------------------------------------------------------------------------

    def _find_delimiter(self) -> str:
        with self._open() as text:
            first = next(self._lines(text), "")
        candidates = [d for d in DELIMITERS if d != self.style.decimal]
        counts = {d: re.sub(r'"[^"]*"', "", first).count(d) for d in candidates}
        best = max(counts.values())
        winners = [d for d in candidates if counts[d] == best]
        if best and len(winners) > 1:
            raise self._bad(
                1,
                None,
                f"{' and '.join(map(repr, winners))} are equally frequent, so the delimiter is "
                "unclear; name it with --delimiter",
            )
        return winners[0]

    def _find_columns(self) -> tuple[str, ...]:
        with closing(self._records()) as records:
            record = next(records, None)
        if record is None:
            raise self._bad(1, None, "the file is empty; a header and rows are expected")
        _, cells = record
        if not cells:
            raise self._bad(1, None, "the line is blank; a header is expected there")
        if not self.style.header:
            return tuple(str(place) for place in range(len(cells)))
        names = tuple(cell.strip() for cell in cells)
        if all(_is_number(name) for name in names):
            raise self._bad(
                1, names[0], "a header is expected here, and this is a number; "
                "if the file has no header, say --no-header"
            )  # fmt: skip
        for name in names:
            if names.count(name) > 1:
                raise self._bad(
                    1, name, f"{names.count(name)} columns have this name; rename all but one"
                )
        others = [d for d in (*DELIMITERS, "|") if d in names[0] and d != self.style.decimal]
        if len(names) == 1 and others and self.style.delimiter:
            raise self._bad(
                1, names[0], f"the header is a single column when split at {self.delimiter!r}; "
                f"it holds {others[0]!r}, so try --delimiter {others[0]!r}"
            )  # fmt: skip
        return names

    def _column(self, name: str, option: str) -> str:
        if name in self.columns:
            return name
        close = difflib.get_close_matches(name, self.columns, n=1, cutoff=0.5)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise self._bad(1, name, f"there is no such column for {option}{guess} {self._list()}")

    def _list(self) -> str:
        return f"(the columns are {', '.join(map(repr, self.columns))})"

    def _only_values(self) -> tuple[str, ...]:
        """The column of numbers, if there is only one to choose."""
        choice = [name for name in self.columns if name != self.time]
        if len(choice) > 1:
            seen: set[str] = set()
            with closing(self._rows()) as rows:
                for i, (_, cells) in enumerate(rows):
                    if i == LOOKED_AT:
                        break
                    seen.update(
                        name
                        for name, cell in zip(self.columns, cells, strict=True)
                        if _is_number(cell, self.style.decimal)
                    )
            choice = [name for name in choice if name in seen]
        if len(choice) == 1:
            return tuple(choice)
        if not choice:
            raise self._bad(
                1,
                ", ".join(self.columns),
                f"no column holds numbers in the first {LOOKED_AT} rows; name one with --value",
            )
        raise self._bad(
            1,
            ", ".join(choice),
            "these columns all hold numbers; choose with --value, once for each column wanted",
        )

    def _seconds(self, text: str, line: int) -> float:
        """A time: a number of seconds, or a date."""
        try:
            return number(_with_point(text) if self.style.decimal == "," else text)
        except ValueError:
            pass
        try:
            date = datetime.datetime.fromisoformat(text.strip())
        except ValueError:
            raise self._bad(
                line, self.time, f"{text!r} is no time; with --irregular every row needs one, in "
                "seconds or as in 2022-03-20T11:00:00+01:00"
            ) from None  # fmt: skip
        return (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp()

    # -- what to say ----------------------------------------------------------------------------

    def _bad(self, line: int, column: str | None, problem: str) -> InputError:
        place = "" if column is None else f", column {column!r}"
        return InputError(f"{self.path}, line {line}{place}: {problem}")

    def _wrong_width(self, line: int, cells: list[str]) -> InputError:
        n, width = len(cells), len(self.columns)
        if n < width:
            return self._bad(
                line, self.columns[n], f"the row ends before this column: it has {n} cells of "
                f"{width}; complete it, leaving cells empty where values are missing"
            )  # fmt: skip
        commas = " (if commas are decimal marks here, the cells need quotes)"
        return self._bad(
            line, self.columns[-1], f"the row goes on after this column: it has {n} cells for "
            f"{width} columns; put cells that hold {self.delimiter!r} in quotes"
            f"{commas if self.delimiter == ',' else ''}"
        )  # fmt: skip

    def _missing(self, text: str, line: int, column: str) -> float:
        """NaN if the cell says that its value is missing; the error otherwise."""
        if text.strip().lower() in MISSING:
            return math.nan
        shown = text if len(text) <= 40 else text[:40] + "..."
        advice = "leave the cell empty if the value is missing"
        if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text) and self.style.decimal == ".":
            advice = "if the comma is a decimal mark, say --decimal ,"
        elif self.style.decimal == "," and "." in text:
            advice = "the decimal mark is set to a comma; leave out --decimal if it is a point"
        elif _is_number(text.replace("_", "")) and "_" in text:
            advice = f"write {text.replace('_', '')}"
        elif other := next((d for d in (*DELIMITERS, "|") if d in text), None):
            advice = f"if {other!r} stands between columns, say --delimiter {other!r}"
        what = f"{shown!r} is no number"
        if re.fullmatch(r"\s*[+-]?inf(inity)?\s*", text, re.IGNORECASE):
            what = f"{shown!r} is infinite"
        elif _is_number(text, limit=math.inf):
            what = f"{shown!r} is beyond {LARGEST:g}, the largest value that can be learnt"
        raise self._bad(line, column, f"{what}; {advice}")


def number(text: str, limit: float = LARGEST) -> float:
    """A finite number, written without underscores; anything else is a ValueError."""
    value = float(text)
    if not -limit <= value <= limit or math.isinf(value) or "_" in text:
        raise ValueError(text)
    return value


def _with_point(text: str) -> str:
    """A number with a decimal comma as one with a decimal point."""
    if "." in text:
        raise ValueError(text)
    return text.replace(",", ".")


def _is_number(text: str, decimal: str = ".", limit: float = LARGEST) -> bool:
    try:
        number(_with_point(text) if decimal == "," else text, limit)
    except ValueError:
        return False
    return True
