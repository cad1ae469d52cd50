"""Spreadsheets as lines of CSV: what is in them is then found out as of any other file."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from replay.engine.rows import InputError
from replay.sources.reading import Input

A_TABLE = 10
"""Rows with numbers from which on a sheet is a table; a page before it may have some."""


class Spreadsheet(Input):
    """The first sheet of a spreadsheet that holds a table of numbers, as CSV.

    If there is none, it is the one with most rows of numbers, or the first that holds something.
    All of it is held in memory. Dates are written as ISO 8601.

    Parameters
    ----------
    path
        Its name.

    Attributes
    ----------
    said
        Which sheet was taken, if there are others.

    Raises
    ------
    InputError
        If nothing is there to read it with, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
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
            sheets = ((name, book.get_sheet_by_name(name).to_python()) for name in names)
            name, rows = _chosen(sheets)
        except (CalamineError, OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a spreadsheet: {error}") from None
        if len(names) > 1:
            self.said.append(f"sheet {name!r} is read, of {', '.join(map(repr, names))}")
        self._data = _as_csv(rows)

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        cells = [_text(cell) for cell in row]
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
