"""Spreadsheets as lines of CSV: what is in them is then found out as of any other file."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from online_gmm.data.counted import counted
from replay.engine.rows import InputError
from replay.sources.numbers import DECIDES, kind_of
from replay.sources.reading import Input

A_TABLE = 10
"""Rows with numbers from which on a sheet is a table; a page before it may have some."""


class Spreadsheet(Input):
    """A sheet of a spreadsheet as CSV.

    All of it is held in memory. Dates are written as ISO 8601.

    Parameters
    ----------
    path
        Its name.
    sheet
        Which sheet to read, by its name or else by its number, from 1. None takes the first that
        holds a table of numbers. If there is none, it is the one with most rows of numbers, or the
        first that holds something.

    Attributes
    ----------
    said
        Which sheet was taken, if there are others.

    Raises
    ------
    InputError
        If nothing is there to read it with, it cannot be read, or has no such sheet.
    """

    def __init__(self, path: Path, sheet: str | None = None) -> None:
        super().__init__(path)
        try:
            from python_calamine import CalamineError, load_workbook
        except ModuleNotFoundError:
            raise InputError(
                f"{path} is a spreadsheet, and to read it python-calamine is needed; install it "
                "with: pip install 'online-gmm[excel]', or save the sheet as CSV"
            ) from None
        self.said: list[str] = []
        try:
            book = load_workbook(str(path))
            names = list(book.sheet_names)
            wanted = names if sheet is None else [_named(sheet, names, path)]
            sheets = ((name, book.get_sheet_by_name(name).to_python()) for name in wanted)
            name, rows = _chosen(sheets)
        except (CalamineError, OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a spreadsheet: {error}") from None
        if not rows:
            which = "it" if sheet is None else f"sheet {wanted[0]!r}"
            raise InputError(f"{path}: {which} holds no cells; {_advice(names)}")
        if len(names) > 1:
            self.name = f"{path}, sheet {name!r}"
            if sheet is None:
                others = ", ".join(repr(other) for other in names if other != name)
                self.said.append(f"sheet {name!r} is read; --sheet reads another: {others}")
        self._data = _as_csv(rows)

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


def _named(sheet: str, names: Sequence[str], path: Path) -> str:
    """The sheet of this name, or else of this number."""
    if sheet in names:
        return sheet
    if sheet.isdecimal() and 1 <= int(sheet) <= len(names):
        return names[int(sheet) - 1]
    raise InputError(f"{path} has no sheet {sheet!r}, by name or number; {_advice(names)}")


def _advice(names: Sequence[str]) -> str:
    numbered = ", ".join(f"{i} {name!r}" for i, name in enumerate(names, 1))
    return f"it has {counted(len(names), 'sheets')}: {numbered}"


def _chosen(sheets: Iterable[tuple[str, list[list[Any]]]]) -> tuple[str, list[list[Any]]]:
    """The name and the rows of the sheet to read; looks at no more of them than it must."""
    best: tuple[str, list[list[Any]]] = "", []
    most = -1
    for name, rows in sheets:
        n = sum(any(type(cell) in (int, float) for cell in row) for row in rows)
        if n >= A_TABLE:
            return name, rows
        if rows and n > most:
            best, most = (name, rows), n
    return best


def _as_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    """The rows as CSV; numbers have the decimal mark of those that are texts, if there are some."""
    kinds = {kind_of(cell) for row in rows for cell in row if isinstance(cell, str)}
    marks = {DECIDES[kind] for kind in kinds if kind in DECIDES}
    mark = marks.pop() if len(marks) == 1 else "."
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        cells = [
            str(cell).replace(".", mark)
            if isinstance(cell, float) and not cell.is_integer()
            else _text(cell)
            for cell in row
        ]
        # a row that is blank is a blank line
        writer.writerow(cells if any(cells) else [])
    return text.getvalue().encode()


def _text(cell: Any) -> str:
    if isinstance(cell, datetime.datetime):
        # spreadsheets count days in doubles: the last digits are not exact
        cell += datetime.timedelta(microseconds=500)
        cell = cell.replace(microsecond=cell.microsecond // 1000 * 1000)
        return str(cell.isoformat(" "))
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, bool):
        return str(int(cell))
    return str(cell)
