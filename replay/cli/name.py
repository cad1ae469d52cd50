"""``replay name``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.cli.terminal import explained


def name(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of --checkpoint.")],
    label: Annotated[int, typer.Argument(metavar="REGIME", help="The number of the regime.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="What it is called. Without it, the name is taken away.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Key whose regime is named. Needed if the checkpoint has several keys.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Give a regime in a checkpoint a name, such as idle.

    The replay must have ended; **--resume** goes on with the name. It stays with the number of the
    regime. From then on it is in the tables, in the events, on the page, in messages, and in the
    column `name` of the labels and segments. Rows that were written before have none.

    Example: **replay name state 2 idle**

    Example, of one device: **replay name state 2 idle --key pump-7**
    """
    with explained():
        from replay.cli.naming import name_regime

        name_regime(folder, label, name, key)
