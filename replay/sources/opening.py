"""Files by their names: which there are, what they hold, and one after the other."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from online_gmm.data.counted import counted
from replay.engine.batch import Batch
from replay.engine.rows import InputError
from replay.sinks.files import LINES, PARQUET, SHEETS
from replay.sources.columns import Column
from replay.sources.constants import Constants
from replay.sources.csv_file import CsvFile
from replay.sources.csv_format import Style
from replay.sources.not_read import why_not
from replay.sources.oldest_first import OldestFirst
from replay.sources.order_of_times import StepsBack, is_newest_first
from replay.sources.read_options import LOOKED_AT, ReadOptions
from replay.sources.reading import PACKED_SUFFIXES, ZIP, Input, members_of
from replay.sources.times import Clock, state_of

if TYPE_CHECKING:
    from replay.sources.json_lines import JsonLines
    from replay.sources.parquet_file import ParquetFile


TABLES = (*PARQUET, ".orc", ".feather", ".arrow")
"""Of files whose columns have types."""


class Files:
    """The rows of files, one after the other; a `Source`.

    All must have the columns that are read of the first. CSV, Parquet and lines of JSON are
    recognised by the name of the file, or by its first bytes.

    Parameters
    ----------
    names
        Their names; in each ``*``, ``?``, ``[...]`` and ``**`` stand for what there is, in the
        order of the alphabet, and 2 before 10. ``-`` is standard input.
    options
        Which columns to read, and how.
    style
        How they are written, if they are CSV.

    Raises
    ------
    InputError
        If there is no such file, and if the first cannot be read or lacks a column.
    """

    def __init__(
        self, names: Sequence[str], options: ReadOptions | None = None, style: Style | None = None
    ) -> None:
        self._inputs = [Input(path) for name in names for path in _matching(name)]
        self._options = options or ReadOptions()
        self._style = style or Style()
        self.files = tuple(source.path for source in self._inputs if not source.piped)
        self._next: int | None = 0
        self._open_now = 0
        self._has_ended = False
        self._clock: dict[str, float] = {}
        self._turned: list[str] = []
        self._source = self._opened(0)
        self._options = replace(self._source.options, clock=self._options.clock)
        self.values = self._source.values
        self.time = self._source.time
        self.key = self._source.key
        self.timed = self._source.timed
        self._found = tuple(self._source.said)
        self._constants = Constants(self.values)
        self._steps_back = StepsBack(self._options.clock)

    @property
    def options(self) -> ReadOptions:
        """The options, with values and a time chosen if none were given."""
        return self._options

    @property
    def columns(self) -> list[Column]:
        """What the first cells of each column of the first file are."""
        return self._source.first_columns()

    @property
    def first_times(self) -> Sequence[str]:
        """Times of the first rows, as they are written."""
        return self._source.first_times

    def look_at_times(self, clock: Clock) -> None:
        """Find out how times are written, before any row is handed on.

        Raises
        ------
        ValueError
            If that is a question.
        """
        self._source.look_at_times(clock)

    @property
    def has_overlap(self) -> bool:
        """Whether times go back so far, in the rows that have come, that rows would overlap."""
        return self._steps_back.has_overlap

    @property
    def name(self) -> str:
        return self._source.name

    def next_batch(self, at_most: int) -> Batch | None:
        """The next rows, at most so many. After the end, which is None, it begins anew."""
        if self._next is not None:
            # where `go_to` has put it, or at the first file
            if self._next != self._open_now:
                self._turned.clear()
                self._source = self._opened(self._next)
            self._next = None
            if self._has_ended:
                # rows that are read again are refused once
                self._options.refusals.begin()
                self._has_ended = False
            self._constants = Constants(self.values)
            self._steps_back = StepsBack(self._options.clock)
            self._options.clock.go_to(self._clock)
            self._clock = {}
        while (batch := self._source.next_batch(at_most)) is None:
            if self._open_now + 1 == len(self._inputs):
                self._next, self._has_ended = 0, True
                return None
            self._source = self._opened(self._open_now + 1)
        self._constants.add(batch.values[:LOOKED_AT])
        if self.time is not None and not self.timed and len(batch):
            self._steps_back.add(self.name, batch)
        return batch

    def stop(self) -> None:
        """Nothing: files can be read again."""

    @property
    def said(self) -> list[str]:
        """What was guessed of the first file, and what struck in the rows that have come."""
        clock = self._options.clock.said if self.timed else []
        turned = []
        if self._turned:
            n = len(self._turned) - 1
            more = f" and {counted(n, 'more files')}" if n else ""
            turned = [
                f"the newest row comes first in {self._turned[0]}{more}: read from the last row to "
                "the first"
            ]
        order = self._steps_back.said(self.key)
        return [*self._found, *clock, *turned, *order, *self._constants.said]

    def _opened(self, at: int) -> CsvFile | JsonLines | ParquetFile | OldestFirst:
        self._open_now = at
        file = self._file(self._inputs[at])
        if self._options.as_they_stand or not is_newest_first(file.first_times, file.options.clock):
            return file
        if file.name not in self._turned:
            self._turned.append(file.name)
        return OldestFirst(file)

    def _file(self, source: Input) -> CsvFile | JsonLines | ParquetFile:
        kind = _kind(source)
        if kind == "spreadsheet":
            return self._sheet(source)
        if self._style.sheet is not None:
            raise InputError(
                f"--sheet is {self._style.sheet!r}, but {source.name} is no spreadsheet; leave "
                "the option out"
            )
        if kind == "parquet":
            from replay.sources.parquet_file import ParquetFile

            return ParquetFile(source, self._options)
        if kind == "lines":
            from replay.sources.json_lines import JsonLines

            return JsonLines(source, self._options)
        if kind == "array":
            from replay.sources.json_array import JsonArray
            from replay.sources.json_lines import JsonLines

            array = JsonArray(source)
            its = JsonLines(array, self._options)
            its.said = [*array.said, *its.said]
            return its
        return CsvFile(source, self._options, self._style)

    def _sheet(self, source: Input) -> CsvFile:
        from replay.sources.spreadsheet import Spreadsheet

        sheet = Spreadsheet(source.path, self._style.sheet)
        style = Style(header=self._style.header, skip_lines=self._style.skip_lines)
        file = CsvFile(sheet, self._options, replace(style, delimiter=",", encoding="utf-8"))
        file.said = [*sheet.said, *file.said]
        return file

    # -- where it is ----------------------------------------------------------------------------

    @property
    def position(self) -> dict[str, Any]:
        """Which file it is at, those before, and where in it."""
        names = [source.name for source in self._inputs[: self._open_now + 1]]
        within = self._source.position
        return {"files": names, "within": within, **state_of(self._options.clock)}

    def go_to(self, position: dict[str, Any]) -> None:
        names = position["files"]
        for place, name in enumerate(names):
            now = self._inputs[place].name if place < len(self._inputs) else "missing"
            if now != name:
                raise InputError(
                    f"file {place + 1} of the input is {now}, and was {name} when the checkpoint "
                    "was made; put it back, or start afresh without --resume"
                )
        self._next = len(names) - 1
        self._clock = position.get("clock", {})
        self._source = self._opened(self._next)
        if isinstance(self._source, OldestFirst) != ("within" in position["within"]):
            raise self._inputs[self._next].changed()
        self._source.go_to(position["within"])

    @property
    def done(self) -> int:
        before = sum(source.size or 0 for source in self._inputs[: self._open_now])
        return before + self._source.done

    @property
    def size(self) -> int | None:
        sizes = [source.size for source in self._inputs if source.size is not None]
        return sum(sizes) if len(sizes) == len(self._inputs) else None

    @property
    def wants_acknowledgement(self) -> bool:
        return self._source.wants_acknowledgement

    def acknowledge(self) -> None:
        self._source.acknowledge()

    def close(self) -> None:
        self._source.close()


def _matching(name: str) -> list[Path]:
    if "://" in name:
        raise InputError(
            f"{name} is an address; fetch the file, or its rows: curl ... | replay run -"
        )
    if name == "-" or not glob.has_magic(name) or Path(name).exists():
        return [Path(name)]
    paths = sorted(glob.glob(name, recursive=True), key=_in_order)
    found = [path for path in paths if Path(path).is_file()]
    if not found:
        raise InputError(f"{name} does not exist: no file is named like that")
    return [Path(path) for path in found]


def _in_order(path: str) -> list[tuple[int, str]]:
    """By what names are sorted: their letters, and their numbers by size."""
    parts = re.split(r"(\d+)", path)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _kind(source: Input) -> str:
    suffixes = source.path.suffixes
    if suffixes[-1:] and suffixes[-1].lower() in PACKED_SUFFIXES:
        suffixes.pop()
    last = suffixes[-1].lower() if suffixes else ""
    start = source.head(64)
    if problem := why_not(start):
        raise InputError(f"{source.name}: {problem}")
    if last in TABLES or start.startswith((b"PAR1", b"ORC", b"ARROW1", b"FEA1")):
        return "parquet"
    if last in SHEETS and source.size:
        return "spreadsheet"
    if start.startswith(ZIP):
        names = members_of(source.path) if not source.piped else []
        of = f" of {len(names):,} files, such as {names[0]!r}" if names else ""
        raise InputError(
            f"{source.name} is a zip archive{of}, and only those of one file are read; unpack it, "
            "and name its files"
        )
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"]", b""):
        return "array"
    if last in LINES or text.startswith(b"{"):
        return "lines"
    return "csv"
