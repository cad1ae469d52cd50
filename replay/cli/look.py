"""``replay look``."""

from __future__ import annotations

from typing import Annotated

import typer

from replay.cli.options.groups import given_words, with_groups
from replay.cli.options.reading import Cells, Columns, CsvStyle, reading_of
from replay.cli.terminal import explained


@with_groups(without=("sequence",))
def look(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Files to look at, as for replay run."),
    ],
    columns: Columns = Columns(),
    style: CsvStyle = CsvStyle(),
    cells: Cells = Cells(),
) -> None:
    """Show what a file holds: columns, times, gaps, missing values, and how to replay it.

    All rows are read, in constant memory. The output says what was guessed about the way the file
    is written, and names constant columns, pairs of columns that hold the same (twins), and a
    column that may be the key. The last line is a command to go on with.

    Example: **replay look pump.csv**
    """
    with explained():
        from replay.cli.looking import look_at

        look_at(
            files,
            reading_of(columns, cells),
            style.style(cells.decimal),
            given_words(context, "files"),
        )
