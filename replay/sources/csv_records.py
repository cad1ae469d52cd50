"""CSV from bytes to records: lines, cells, positions, and what is wrong with a line."""

from __future__ import annotations

import csv
import io
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TextIO

from online_gmm.data.counted import counted
from replay.engine.rows import CutOffError, InputError
from replay.sources.file_source import FileSource
from replay.sources.not_read import why_nul
from replay.sources.numbers import Numbers
from replay.sources.preamble import DELIMITERS, Head
from replay.sources.reading import Input, digest
from replay.sources.running_sums import RunningSums

MOST_BEFORE = 20
"""Characters that are shown of what stands before bytes that are no text."""
FIRST = 200
"""Lines by which a file is known again, with the last one that was read."""

MARK = "\ufeff"
"""What files may begin with, and so a line of files that were joined to one."""

SHORT = "rows with too few cells"
LONG = "rows with too many cells"
BLANK = "blank lines"
UNREADABLE = "rows with bytes that are not text"
TORN = "rows with a stray quote"
REPEATED = "rows that repeat the header"
SUMS = "rows that sum up others"


class CsvRecords(FileSource):
    """The records of a CSV file, and the line that each begins at.

    Parameters
    ----------
    source
        The file.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    numbers: Numbers
    _head: Head
    _header: bool
    _names: list[str] | None
    _dated: int | None
    _full: int

    def __init__(self, source: Input) -> None:
        super().__init__(source)
        # the line that the record under way begins at, and the one before it
        self._line, self._last = 1, ""
        # lines of that record, and lines to be taken apart once more
        self._fetched: list[str] = []
        self._again: deque[str] = deque()
        self._broken: str | None = None
        self._start: dict[str, Any] | None = None
        self._is_empty = True
        self._sums = RunningSums()
        # whether several spaces between cells are as good as one
        self._squeezes = False
        # cells of a row, without those that it may leave out
        self._least = 0
        self._at_head = True

    # -- where it is ------------------------------------------------------------------------------

    @property
    def position(self) -> dict[str, Any]:
        """Lines that are done with; by the first and the last of them the file is known again."""
        n = self._line - 1
        return {
            "lines": n,
            "first": self._digest_of_first(n),
            "last": digest(self._last.rstrip("\r\n").encode()),
            **({"sure": True} if self.numbers.is_sure else {}),
            "sums": self._sums.state,
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
        """Consume so many of the lines fetched, and return the number of the first."""
        line = self._line
        if n:
            self._line, self._last = line + n, self._fetched[n - 1]
            del self._fetched[:n]
        return line

    # -- from bytes to records --------------------------------------------------------------------

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
        """Go to where reading begins; ``skip`` passes lines, and returns how many and the last."""
        start, self._start = self._start, None
        self._is_empty = start is None
        self._sums = RunningSums()
        if start is not None and "sums" in start:
            self._sums.load(start["sums"])
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
        fetched, again, comments = self._fetched, self._again, self._head.comments
        try:
            while True:
                while again:
                    fetched.append(again.popleft())
                    content = fetched[-1].removeprefix(MARK)
                    yield squeezed(content) if self._squeezes else content
                for line in text:
                    fetched.append(line)
                    content = line.removeprefix(MARK)
                    if comments and len(fetched) == 1 and self._is_passed(content):
                        self._pass(1)
                        continue
                    yield squeezed(content) if self._squeezes else content
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

    def _is_passed(self, line: str) -> bool:
        """Whether a line is a comment, or blank between comments and not a row of empty cells."""
        if line.startswith(self._head.comments):
            return True
        is_row = len(self.columns) == 1 or line.count(self.delimiter) >= max(self._least - 1, 1)
        return not line.strip("\r\n" if is_row else None)

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

    # -- what is not as it should be --------------------------------------------------------------

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
        self._options.refuse(error, self.name, self._line, reason, content)
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

    def _unreadable(self, content: str) -> InputError:
        mark = "\0" if "\0" in content else "\ufffd"
        before = content[: content.index(mark)]
        place = max(len(next(csv.reader([before], delimiter=self.delimiter), ())) - 1, 0)
        column = self.columns[place] if place < len(self.columns) else None
        if mark == "\0":
            return self._bad(self._line, column, why_nul(content))
        encoding = self.encoding.removesuffix("-sig")
        # of a header that cannot be read there are no names
        after = f", after {before[-MOST_BEFORE:]!r}" if column is None and before else ""
        return self._bad(
            self._line, column, f"there are bytes that are not {encoding}{after}; say what the "
            "file is written in, as in --encoding cp1252 (Western Europe), cp1251 (Cyrillic), "
            "gb18030 or shift_jis"
        )  # fmt: skip

    def _torn(self, error: str) -> InputError:
        if "end of data" in error or "field limit" in error:
            return self._bad(
                self._line, None, 'a quote (") is opened in this row and not closed; close it, or '
                "double it if it is meant as a character"
            )  # fmt: skip
        others = [mark for mark in (*DELIMITERS, " ") if f'"{mark}"' in self._fetched[0]]
        if "expected after" in error and others and others[0] != self.delimiter:
            return self._bad(
                self._line, None, f"{others[0]!r} stands between cells in quotes, and the "
                f"delimiter is {self.delimiter!r}; say --delimiter {others[0]!r}"
            )  # fmt: skip
        return self._bad(
            self._line, None, f"this row cannot be taken apart ({error}); a quoted cell must end "
            "at its quote, and a quote within it must be doubled"
        )  # fmt: skip

    def _wrong(self, cells: list[str]) -> tuple[str, InputError]:
        """Why a record that has not as many cells as there are columns is refused."""
        if self._broken is not None:
            return TORN, self._torn(self._broken)
        if "\0" in self._fetched[0]:
            return UNREADABLE, self._unreadable(self._fetched[0])
        n, width = len(cells), len(self.columns)
        if n < width:
            return SHORT, self._bad(
                self._line, self.columns[n], "the row ends before this column: it has "
                f"{counted(n, 'cells')} of {width}; complete it, leaving cells empty where "
                "values are missing"
            )  # fmt: skip
        more = ""
        if self.delimiter == ",":
            way = "say --decimal ," if width == 1 else "they need quotes"
            more = f" (if commas are decimal marks here, {way})"
        if n == self._full == width + 1:
            more += (
                "; if rows begin with their names, as R writes them, the header has to name those"
            )
        return LONG, self._bad(
            self._line, self.columns[-1], "the row goes on after this column: it has "
            f"{counted(n, 'cells')} for {counted(width, 'columns')}; put cells that "
            f"hold {self.delimiter!r} in quotes{more}"
        )  # fmt: skip


def squeezed(line: str) -> str:
    """A line without spaces around it, and with single ones between its cells."""
    return " ".join(line.split()) + "\n"
