"""``replay models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from replay.cli.terminal import explained


def models(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of --checkpoint.")],
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="Key whose model is shown.", show_default=False),
    ] = None,
    sort: Annotated[
        Literal["strange", "rows", "changes", "outliers"],
        typer.Option(
            help="Which keys are listed first: strange (those whose regime is not known, then "
            "those with the largest share of outliers, then those in a regime in which they rarely "
            "are), or those with most rows, changes or outliers."
        ),
    ] = "strange",
    find: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="List only keys that contain this.", show_default=False),
    ] = None,
) -> None:
    """Show what a checkpoint has learnt: which regime each series is in, and since when.

    With a key, or if there is only one series, its regimes are shown as well.

    Example: **replay models state**

    Example, of a large fleet: **replay models state --sort changes --find hall-3/**

    Example, of one device: **replay models state pump-7**
    """
    with explained():
        from replay.cli.saved import show_models

        show_models(folder, key, sort, find)
