"""``replay land``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.cli.config import ConfigFile
from replay.cli.options.groups import with_groups
from replay.cli.options.output import OUTPUT
from replay.cli.options.reading import Address, BrokerOptions, Cells, Columns, Rows, reading_of
from replay.cli.terminal import explained


@with_groups(without=("late", "max_gap", "on_gap"))
def land(
    address: Address,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are written.")],
    columns: Columns = Columns(),
    cells: Cells = Cells(),
    rows: Rows = Rows(on_bad="skip"),
    broker: BrokerOptions = BrokerOptions(),
    file_rows: Annotated[
        int,
        typer.Option(metavar="ROWS", min=1, help="Most rows of a file.", rich_help_panel=OUTPUT),
    ] = 30_000,
    file_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.0,
            help="Most seconds that a row waits for its file to be written.",
            rich_help_panel=OUTPUT,
        ),
    ] = 5.0,
    config: ConfigFile = None,
) -> None:
    """Write live rows to numbered Parquet files, for an engine such as Spark. Nothing is labelled.

    A message is acknowledged when its row is on disk: none is lost. After a kill a row may be
    written twice; the engine recognises it by --sequence or --time. It ends with its input, or by
    Ctrl-C or SIGTERM.

    Example: **replay land 'mqtt://localhost/plant/+/state' landed --key topic:2 --value temperature
    --time t --sequence n**
    """
    with explained():
        from replay.cli.landing import at_most_for, land_source
        from replay.cli.listening import live_source, names_split
        from replay.sinks.refusals import Refusals

        refusals = Refusals(rows.refused, lasting=True)
        reading = names_split(reading_of(columns, cells, rows, refusals, columns.time is not None))
        source = live_source(address, reading, broker, at_most_for(file_rows))
        land_source(source, folder, file_rows, file_seconds, refusals)
