"""Options that say what is written, and how a replay goes on after a stop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from replay.cli.options.groups import Group

OUTPUT, CHECKPOINTS = "Output", "Going on after a stop"


@dataclass(frozen=True)
class Outputs(Group):
    """What is written where; None is not written."""

    panel = OUTPUT
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write the labelled rows here: CSV, Parquet, lines of JSON or the line protocol "
            "of InfluxDB, as --as or the name says (.csv, .parquet, .ndjson, .lp); - is standard "
            "output.",
        ),
    ] = None
    labels_as: Annotated[
        Literal["csv", "ndjson", "parquet", "influx"] | None,
        typer.Option(
            "--as",
            help="Format of the labels. [default: as the name says; on standard output CSV, and "
            "lines of JSON when live]",
        ),
    ] = None
    segments: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write the segments here, one a line: CSV, or Parquet if the name ends in "
            ".parquet; - is standard output.",
        ),
    ] = None
    integrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL",
            help="Say what each regime costs: hours, starts, and the integral of this column, "
            "which is one of --value; repeat it for more, or put commas between. A value lasts "
            "until the next row. The integral is in the unit of the column times hours, so that "
            "kW become kWh; without times it is the sum over rows. A time longer than --max-gap "
            "counts for no regime.",
        ),
    ] = None
    costs: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.csv|OUT.json",
            help="Write what each regime costs here. CSV has a line for each regime of each day "
            "and key, written when the day has ended; days are those of --time-zone. JSON has the "
            "sums and the last 31 days, written at the end. Without --integrate it has hours and "
            "starts.",
        ),
    ] = None
    escape_formulas: Annotated[
        bool,
        typer.Option(
            help="Write an apostrophe before cells of CSV that a spreadsheet would compute, such "
            "as =1+1. Use it if you open the files in a spreadsheet and do not trust the "
            "source of the data.",
        ),
    ] = False
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the series here, coloured by regime, with the changes of regime.",
        ),
    ] = None
    plot_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="With --plot and --key: the key whose series is drawn.",
        ),
    ] = None
    publish: Annotated[
        str | None,
        typer.Option(
            metavar="mqtt://HOST/TOPIC|kafka://HOST/TOPIC",
            help="Publish the labelled rows there. {key} in a topic of MQTT stands for the key of "
            "the row. A message of Kafka has the key KEY/NUMBER, by which rows that come again "
            "after a kill are recognised.",
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.html",
            help="Write a page of series, densities, segments and parameters here. A browser opens "
            "it without a network. Needs Bokeh.",
        ),
    ] = None
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve a page that shows every key: its series, its regime and since when. Needs "
            "Bokeh. On an address that other machines can reach, the address of the page contains "
            "a token: whoever knows it can read every series.",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="With --serve: a name or address by which browsers may open the page, in addition "
            "to that of --serve and localhost; repeat it for more. Needed with 0.0.0.0.",
        ),
    ] = None


@dataclass(frozen=True)
class Segmenting(Group):
    """Which changes of label are changes of regime."""

    panel = OUTPUT
    min_dwell: Annotated[
        int,
        typer.Option(
            metavar="ROWS",
            min=1,
            help="With a mixture or a hidden Markov model: segments with fewer rows are merged "
            "into the segment before.",
        ),
    ] = 1
    confirm: Annotated[
        int,
        typer.Option(
            metavar="ROWS",
            min=1,
            help="With a mixture or a hidden Markov model: number of consecutive rows in another "
            "regime after which a change is reported.",
        ),
    ] = 1


@dataclass(frozen=True)
class Checkpointing(Group):
    """How a replay outlives a stop."""

    panel = CHECKPOINTS
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save the position in the input and what is learnt in this folder, to go on after "
            "any stop. Outputs then have their names from the start.",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            help="Go on from the checkpoint, if there is one. The output is the same as without "
            "the stop.",
        ),
    ] = False
    every_rows: Annotated[
        int,
        typer.Option(metavar="ROWS", min=1, help="Most rows between two checkpoints."),
    ] = 100_000
    every_seconds: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.0, help="Most seconds between two checkpoints."),
    ] = 30.0
    in_memory: Annotated[
        int | None,
        typer.Option(
            "--max-keys",
            "--in-memory",
            metavar="KEYS",
            min=1,
            help="Most models in memory. Those that have not been used for longest are kept on "
            "disk, which is said and counted. [default: 10,000 when live; otherwise all are in "
            "memory]",
            show_default=False,
        ),
    ] = None
