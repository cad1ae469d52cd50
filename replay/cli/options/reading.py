"""Options that say where rows come from and how they are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from replay.cli.options.groups import Group
from replay.engine.rows import InputError

if TYPE_CHECKING:
    from replay.cli.options.learning import Learning
    from replay.sinks.refusals import Refusals
    from replay.sources.csv_format import Style
    from replay.sources.read_options import ReadOptions

INPUT = "Input"


def seconds(text: str | float) -> float:
    """A time in seconds, from a number or a text with a unit."""
    try:
        result = float(text)
    except ValueError:
        from online_gmm.data.clock import duration

        try:
            return duration(str(text), "it")
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if not 0.0 <= result < math.inf:
        raise typer.BadParameter(f"it is {text!r}; it must be a number of seconds from 0 on")
    return result


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="Files to replay, one after the other: CSV, lines of JSON, Parquet, Feather, ORC or "
        "spreadsheets; text may be compressed (gz, bz2, xz, zst, zip). A pattern such as "
        "'log/*.csv' takes all that match, in the order of their names, 2 before 10; - is standard "
        "input. Without a file the two bundled series are taken.",
        show_default=False,
    ),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="-|mqtt://HOST[:PORT]/TOPIC|kafka://HOST[:PORT]/TOPIC",
        help="Where rows come from: - is standard input, one JSON object a line; mqtt:// (or "
        "mqtts://, with TLS) is a broker and a topic filter, in which + and # may stand; kafka:// "
        "is a topic of Kafka, read from its start or from the checkpoint on.",
    ),
]


@dataclass(frozen=True)
class Columns(Group):
    """Which columns mean what."""

    panel = INPUT
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            "--values",
            metavar="COL",
            help="Column to learn; repeat it for more, or put commas between. [default: in files "
            "all that hold numbers and vary, except those that count rows or never fall]",
        ),
    ] = None
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column with the time, which is copied to the output as it is. Date and time of "
            "day in two columns are given as Date,Time. [default: in files found if --value is not "
            "given]",
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column that names the thing a row measures, such as the device. Each has a model "
            "of its own. Of messages, topic:2 is the second level of the topic, counted from 1: p7 "
            "in plant/p7/state; message-key is the key of a message of Kafka.",
        ),
    ] = None
    sequence: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column of the number that the device gives each row, counting up by one. Rows "
            "that come twice are dropped, and those that never come are counted.",
        ),
    ] = None

    @property
    def values(self) -> tuple[str, ...]:
        """The columns to learn, as they were typed."""
        return tuple(name for name in self.value or () if name)


@dataclass(frozen=True)
class CsvStyle(Group):
    """How a CSV file or a spreadsheet is written."""

    panel = INPUT
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Character between columns, or the word tab. [default: comma, semicolon, tab or "
            "|, as in the first line]",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Encoding of the file, such as latin-1 or cp1252. [default: utf-8, or utf-16 if "
            "the file begins with its mark]",
        ),
    ] = None
    no_header: Annotated[
        bool, typer.Option(help="The first line is data. Columns are called 0, 1, ...")
    ] = False
    skip_lines: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Number of lines to leave out at the start of the file. Lines above the header "
            "are usually found without it.",
        ),
    ] = 0
    comment: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Lines that begin with this text are left out. [default: # if the first line "
            "begins with it]",
        ),
    ] = None
    sheet: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER",
            help="Sheet of a spreadsheet to read, by its name, or by its number from 1. [default: "
            "the first with ten rows of numbers, or else the one with most of them]",
        ),
    ] = None

    def style(self, decimal: str | None) -> Style:
        """Check the options, and return them as the reader of CSV takes them.

        Parameters
        ----------
        decimal
            The decimal mark, if it is given.
        """
        from replay.sources.csv_format import Style

        delimiter = self.delimiter
        if delimiter in ("\\t", "tab"):
            delimiter = "\t"
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise InputError(
                f"--delimiter is {delimiter!r}; it must be one character and no quote, or the "
                "word tab"
            )
        if delimiter is not None and delimiter == decimal:
            raise InputError(f"--delimiter and --decimal are both {delimiter!r}; they must differ")
        if self.comment == "":
            raise InputError("--comment is empty; it must be what comments begin with, such as #")
        header = not self.no_header
        return Style(delimiter, self.encoding, header, self.skip_lines, self.comment, self.sheet)


@dataclass(frozen=True)
class Cells(Group):
    """How numbers and times are written in a cell or a field."""

    panel = INPUT
    decimal: Annotated[
        str | None,
        typer.Option(
            metavar=".|,",
            help="Decimal mark of numbers, in JSON of those that are texts. The other one of point "
            "and comma may then separate thousands. [default: in files as in the first rows; a "
            "point when live]",
        ),
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Text that marks a missing value, such as -9999; repeat it for more. Empty cells, "
            "NaN, NA, null, unavailable, unknown, -, ? and similar marks are always recognised.",
        ),
    ] = None
    unit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Unit that may follow numbers, such as kW; repeat it for more. A unit that all "
            "numbers of a column have is found.",
        ),
    ] = None
    time_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="How times are written: a format of strptime ('%d.%m.%Y %H:%M'); dmy, mdy or ymd "
            "for the order of day, month and year; s, ms, us or ns for numbers since 1970 or "
            "another start; excel for the day numbers of a spreadsheet. [default: as in the first "
            "rows]",
        ),
    ] = None
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="Zone of times that name none, such as Europe/Berlin or +01:00. In an hour that "
            "occurs twice, the order of the rows decides. Tables and pictures show its time. "
            "[default: UTC]",
        ),
    ] = None


@dataclass(frozen=True)
class Rows(Group):
    """What happens to rows that are bad, late, or come after a gap."""

    panel = INPUT
    on_bad: Annotated[
        Literal["raise", "skip", "missing"],
        typer.Option(
            help="What to do with a bad row: raise ends with an error, skip leaves the row out, "
            "and missing takes its bad cells as missing. Rows that are left out are counted.",
        ),
    ] = "raise"
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.csv",
            help="Write the rows that are left out here: file, line, reason and text.",
        ),
    ] = None
    late: Annotated[
        Literal["raise", "skip", "learn"] | None,
        typer.Option(
            help="What to do with a row whose time is not after that of the row before: raise ends "
            "with an error, skip leaves the row out and counts it, and learn learns it. [default: "
            "raise with --irregular or --max-gap; skip when live]",
        ),
    ] = None
    max_gap: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            parser=seconds,
            help="A longer time without a row is a gap; see --on-gap. In seconds, or with a unit, "
            "such as 5min or 1h.",
        ),
    ] = None
    on_gap: Annotated[
        Literal["reset", "hold"],
        typer.Option(
            help="What a gap does: reset ends the segment and starts a new one, hold lets the "
            "regime last.",
        ),
    ] = "reset"


@dataclass(frozen=True)
class BrokerOptions(Group):
    """How to connect to an MQTT broker, and how its topics become rows."""

    panel = INPUT
    join: Annotated[
        str,
        typer.Option(
            metavar="hold|SECONDS",
            help="With several topics as values, such as --value 'sensors/+/temp,sensors/+/flow' "
            "(sensors/+/state:power is a field): hold makes a row of every message, with the last "
            "value of the other topics; SECONDS makes one row of the messages that come within "
            "that time. What stands for + is the key, unless --key names a level.",
        ),
    ] = "hold"
    client: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Name by which the broker knows this reader and keeps its messages. [default: "
            "made of host and topic]",
        ),
    ] = None
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with user=NAME and password=WORD that only you can read. Without it they "
            "are taken from REPLAY_MQTT_USER and REPLAY_MQTT_PASSWORD. For Kafka: settings of "
            "librdkafka, such as sasl.password=WORD.",
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificates to trust, for mqtts://. [default: those of the system]",
        ),
    ] = None


def above_zero(text: str, name: str, word: str) -> float | None:
    """Return an option that is a number above 0, or None if it is this word."""
    if text == word:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise InputError(f"{name} is {text!r}; it must be a number above 0, or {word}")
    return number


def needing_time(learning: Learning, rows: Rows, speed: float | None = None) -> str | None:
    """Return the first option given that needs times; None if there is none.

    Parameters
    ----------
    learning, rows
        The options.
    speed
        How fast rows are replayed, if they are paced.
    """
    given = {
        "--irregular": learning.irregular,
        "--window": learning.window_of_time,
        "--max-gap": rows.max_gap,
        "--late": rows.late,
        "--speed": speed,
    }
    return next((name for name, its in given.items() if its is not None and its is not False), None)


def must_have_time(option: str | None, time: str | None) -> None:
    """Refuse an option that needs times when no column holds them."""
    if option is not None and time is None:
        raise InputError(f"{option} needs --time, the column that tells when rows came")


def reading_of(
    columns: Columns,
    cells: Cells,
    rows: Rows | None = None,
    refusals: Refusals | None = None,
    timed: bool = False,
) -> ReadOptions:
    """Return the options of a source, from those of the command line.

    Parameters
    ----------
    columns, cells, rows
        The options.
    refusals
        Where bad rows are counted.
    timed
        Whether times are read as well as copied.
    """
    from replay.sinks.refusals import Refusals
    from replay.sources.read_options import ReadOptions
    from replay.sources.times import Clock

    if cells.decimal not in (None, ".", ","):
        raise InputError(f"--decimal is {cells.decimal!r}; it must be . or ,")
    return ReadOptions(
        columns.values,
        columns.time,
        columns.key,
        columns.sequence,
        timed,
        Clock(cells.time_format, cells.time_zone),
        (rows or Rows()).on_bad,
        refusals or Refusals(),
        tuple(cells.missing or ()),
        tuple(cells.unit or ()),
        cells.decimal,
    )
