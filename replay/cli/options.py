"""The options of the command line, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from replay.engine.rows import InputError

if TYPE_CHECKING:
    from replay.engine.settings import Settings
    from replay.sources.csv_file import Style

INPUT, LEARNING, OUTPUT, LASTING = "Input", "Regimes", "Output", "Going on after a stop"
LANDING = "Rows for an engine"

LANDED = {
    *("address", "client", "credentials", "ca"),
    *("value", "time", "key", "sequence", "time_format", "time_zone", "on_bad", "refused"),
    *("missing", "unit", "join"),
    *("land", "land_rows", "land_seconds"),
}
"""What can be told of rows that land, by the names of the parameters."""


class Covariance(StrEnum):
    full = "full"
    tied = "tied"
    diag = "diag"
    spherical = "spherical"


class LearnerOption(StrEnum):
    segmenter = "segmenter"
    mixture = "mixture"
    hmm = "hmm"


class OnBad(StrEnum):
    fail = "fail"
    skip = "skip"
    missing = "missing"


class Format(StrEnum):
    csv = "csv"
    ndjson = "ndjson"
    parquet = "parquet"


class Late(StrEnum):
    fail = "fail"
    skip = "skip"
    learn = "learn"


class OnGap(StrEnum):
    reset = "reset"
    hold = "hold"


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Files to replay, one after the other: CSV or lines of JSON, plain or gzipped, or "
        "Parquet. A pattern such as 'log/*.csv' takes all that match, in the order of their names; "
        "- is standard input. Without a file the two bundled series are taken.",
        show_default=False,
    ),
]
Value = Annotated[
    list[str] | None,
    typer.Option(
        "--value",
        "--values",
        metavar="COL",
        help="Column to learn; repeat it for more, or put commas between. [default: all that hold "
        "numbers and vary, but for those that count rows]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Column that tells the time; copied as it is. A date and a clock in two columns are "
        "given as Date,Time. [default: found if --value is not given]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Column that tells what a row is a measurement of: each has a model of its own. Of "
        "messages, topic:2 is the second level of the topic, counted from 1: p7 in plant/p7/state.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Join = Annotated[
    str,
    typer.Option(
        "--join",
        metavar="hold|SECONDS",
        help="With several topics as values, such as --value 'sensors/+/temp,sensors/+/flow' "
        "(sensors/+/state:power is a field): hold makes a row of every message, with the last "
        "value of the other topics; SECONDS makes one row of the messages that come within. What "
        "stands for + is the key, unless --key names a level.",
        rich_help_panel=INPUT,
    ),
]
Sequence_ = Annotated[
    str | None,
    typer.Option(
        "--sequence",
        metavar="COL",
        help="Column of the number that the device gives each row, counting up by one: rows that "
        "come twice are dropped, those that never come are counted.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Learner = Annotated[
    LearnerOption | None,
    typer.Option(
        "--learner",
        help="segmenter finds the regimes, their number, and where they change; it needs no other "
        "option of this section. mixture has --regimes of them and judges each row by itself; hmm "
        "is --persist. [default: segmenter; mixture or hmm if one of their options is given]",
        show_default=False,
        rich_help_panel=LEARNING,
    ),
]
Persist = Annotated[
    bool,
    typer.Option(
        "--persist",
        help="Regimes last: learn how long, and which follows which (a hidden Markov model), and "
        "label a row by those before it too. At most 8 regimes.",
        rich_help_panel=LEARNING,
    ),
]
Stickiness = Annotated[
    float | None,
    typer.Option(
        metavar="ROWS",
        help="With --persist: what a regime is believed to last before anything is seen; weighs as "
        "much as one stay. [default: 10]",
        show_default=False,
        rich_help_panel=LEARNING,
    ),
]
Lag = Annotated[
    int | None,
    typer.Option(
        metavar="ROWS",
        min=0,
        help="With --persist: label a row when so many more have come, by these too; the last rows "
        "by those there are. [default: 0, at once]",
        show_default=False,
        rich_help_panel=LEARNING,
    ),
]
Irregular = Annotated[
    bool,
    typer.Option(
        "--irregular",
        help="With --persist: rows come at irregular times. Those of --time count, in seconds or "
        "as in 2022-03-20T11:00:00+01:00, and regimes last for times rather than rows.",
        rich_help_panel=LEARNING,
    ),
]
Regimes = Annotated[
    str,
    typer.Option(
        metavar="K|auto",
        help="How many there are; auto lets the rows of the warm-up decide.",
        rich_help_panel=LEARNING,
    ),
]
WarmUp = Annotated[
    int,
    typer.Option(
        min=1,
        help="Rows fitted together at the start; they should show every regime if possible.",
        rich_help_panel=LEARNING,
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Makes the warm start repeatable.", rich_help_panel=LEARNING),
]
CovarianceType = Annotated[
    Covariance, typer.Option(help="Shape of the components.", rich_help_panel=LEARNING)
]
Prior = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Pseudo-points that keep each component from collapsing.",
        rich_help_panel=LEARNING,
    ),
]
Exponent = Annotated[
    float | None,
    typer.Option(
        help="Step n^-EXPONENT, above 0.5 and up to 1. The lower, the sooner a bad start is "
        "forgotten, and a regime that stays away; at 1 all rows weigh alike. [default: 0.7]",
        show_default=False,
        rich_help_panel=LEARNING,
    ),
]
HalfLife = Annotated[
    float | None,
    typer.Option(
        metavar="ROWS",
        help="For a series that changes: a row counts half after so many more. Takes the place "
        "of --exponent, and follows for ever. [default: all rows count]",
        show_default=False,
        rich_help_panel=LEARNING,
    ),
]
Recycle = Annotated[
    bool,
    typer.Option(
        "--recycle",
        help="Retire regimes that have lost their rows, merge two that have become one, and give "
        "their places to rows that none explains. These events are listed; numbers are not used "
        "again, so labels may then be any number.",
        rich_help_panel=LEARNING,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="Between columns. [default: comma, semicolon or tab, as in the first line]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        metavar=".|,",
        help="Decimal mark; the other one of point and comma may then stand between thousands. "
        "[default: as the first rows have it]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the file, such as latin-1 or cp1252. [default: utf-8, or utf-16 if the "
        "file begins with its mark]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The first line is data; columns are called 0, 1, ...",
        rich_help_panel=INPUT,
    ),
]
SkipLines = Annotated[
    int,
    typer.Option(
        "--skip-lines",
        metavar="N",
        min=0,
        help="Lines at the start of a CSV file to leave out. What stands above the header is found "
        "as a rule.",
        rich_help_panel=INPUT,
    ),
]
Comment = Annotated[
    str | None,
    typer.Option(
        "--comment",
        metavar="TEXT",
        help="Lines of CSV that begin with this are passed over. [default: # if the first line "
        "begins with it]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="TEXT",
        help="What stands for a missing value, such as -9999; repeat it for more. Empty cells, "
        "NaN, NA, null, unavailable, unknown, -, ? and the like always do.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Unit = Annotated[
    list[str] | None,
    typer.Option(
        "--unit",
        metavar="TEXT",
        help="Unit that may stand behind numbers, such as kW; repeat it for more. One that all "
        "numbers of a column have is found.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="How times are written: as strptime has it ('%d.%m.%Y %H:%M'); dmy, mdy or ymd for "
        "the order of day, month and year; s, ms, us or ns for numbers since 1970 or some other "
        "start; excel for a spreadsheet's day numbers. [default: as the first rows have it]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help="Zone of times that name none, such as Europe/Berlin or +01:00. Of an hour that comes "
        "twice, rows in order are in order. [default: UTC]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
Bad = Annotated[
    OnBad,
    typer.Option(
        help="What to do with a row that is not as it should be: fail at once, skip it, or take "
        "its bad cells as missing. What is skipped is counted.",
        rich_help_panel=INPUT,
    ),
]
Refused = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.csv",
        help="Write the rows refused here: file, line, reason and text.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
LateRows = Annotated[
    Late | None,
    typer.Option(
        "--late",
        help="What to do with a row whose time is not after that of the one before: fail, skip it "
        "(and count it), or learn it all the same. [default: fail with --irregular or --max-gap; "
        "skip when live]",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
MaxGap = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="A longer time without a row is a gap; see --on-gap.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]
GapManner = Annotated[
    OnGap,
    typer.Option(
        "--on-gap",
        help="At a gap end the segment and begin anew (reset), or let the regime last (hold).",
        rich_help_panel=INPUT,
    ),
]
Segments = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT",
        help="Write the segments here, one a line: CSV, or Parquet if so called; - is standard "
        "output.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
LabelsAs = Annotated[
    Format | None,
    typer.Option(
        "--as",
        help="Format of the labels. [default: as the name says; on standard output CSV, and lines "
        "of JSON when live]",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
MinDwell = Annotated[
    int,
    typer.Option(
        metavar="ROWS",
        min=1,
        help="A regime that lasts less is no segment; its rows belong to the one before.",
        rich_help_panel=OUTPUT,
    ),
]
Confirm = Annotated[
    int,
    typer.Option(
        metavar="ROWS",
        min=1,
        help="Rows in a row that it takes to believe in another regime.",
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.html",
        help="Write a page of series, densities, segments and parameters here, to be opened in a "
        "browser without a network. Needs Bokeh.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Save here how far it is and what is learnt, to go on from after any stop. Outputs "
        "then stand under their names from the start.",
        show_default=False,
        rich_help_panel=LASTING,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on from the checkpoint, if there is one: what comes out is the same as without "
        "the stop.",
        rich_help_panel=LASTING,
    ),
]
EveryRows = Annotated[
    int,
    typer.Option(
        metavar="ROWS",
        min=1,
        help="Rows between two checkpoints at most.",
        rich_help_panel=LASTING,
    ),
]
EverySeconds = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="Time between two checkpoints at most.",
        rich_help_panel=LASTING,
    ),
]
InMemory = Annotated[
    int | None,
    typer.Option(
        metavar="KEYS",
        min=1,
        help="Models in memory at most; those not used for longest are parked on disk. [default: "
        "all]",
        show_default=False,
        rich_help_panel=LASTING,
    ),
]

Land = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Label nothing: put the rows here as they come, in batches, as numbered Parquet files "
        "for an engine to read. A batch is acknowledged when it is on disk.",
        show_default=False,
        rich_help_panel=LANDING,
    ),
]
LandRows = Annotated[
    int,
    typer.Option(
        metavar="ROWS",
        min=1,
        help="With --land: rows of a batch at most.",
        rich_help_panel=LANDING,
    ),
]
LandSeconds = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="With --land: time that a row waits at most for its batch to be closed.",
        rich_help_panel=LANDING,
    ),
]


@dataclass(frozen=True)
class Lasting:
    """How a replay outlives a stop."""

    folder: Path | None = None
    resume: bool = False
    rows: int = 100_000
    seconds: float = 30.0
    in_memory: int | None = None


def settings_of(
    regimes: str,
    warm_up: int,
    seed: int,
    covariance: str,
    prior: float,
    exponent: float | None,
    half_life: float | None = None,
    recycle: bool = False,
) -> Settings:
    """What the learner is told."""
    from replay.engine.settings import Settings

    if half_life is not None and exponent is not None:
        raise InputError("--half-life and --exponent are two ways to weigh rows; give one of them")
    k: int | Literal["auto"] = "auto"
    if regimes != "auto":
        if not (regimes.isdecimal() and int(regimes) >= 1):
            raise InputError(f"--regimes is {regimes!r}; it must be a number from 1, or auto")
        k = int(regimes)
    settings = Settings(
        k, warm_up, seed, str(covariance), prior, half_life=half_life, recycle=recycle
    )
    return settings if exponent is None else replace(settings, exponent=exponent)


NOT_OF_SEGMENTER = (
    *("regimes", "warm_up", "seed", "covariance", "prior", "exponent", "half_life", "recycle"),
    *("persist", "stickiness", "lag", "smooth", "irregular", "min_dwell", "confirm"),
)
"""Options that the segmenter has no use for, by the names of their parameters."""


def finding(settings: Settings, context: typer.Context, learner: LearnerOption | None) -> Settings:
    """The settings of the learner that was chosen, or that goes with the options given."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in NOT_OF_SEGMENTER
        if (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if learner is None:
        return settings if given else replace(settings, finds=True)
    if learner == LearnerOption.segmenter:
        if given:
            raise InputError(
                f"{given[0]} is not for --learner segmenter, which finds this itself; leave it "
                "out, or choose --learner mixture or hmm"
            )
        return replace(settings, finds=True)
    if learner == LearnerOption.mixture and settings.persist:
        raise InputError("--persist is --learner hmm; leave out --learner mixture")
    return settings


def persistent(
    settings: Settings,
    persist: bool,
    stickiness: float | None,
    lag: int | None,
    smooth: bool,
    irregular: bool,
) -> Settings:
    """The settings, with those of regimes that persist."""
    given = {
        "--stickiness": stickiness is not None,
        "--lag": lag is not None,
        "--smooth": smooth,
        "--irregular": irregular,
    }
    if not persist:
        if name := next((name for name, is_given in given.items() if is_given), None):
            raise InputError(f"{name} is for regimes that persist; add --persist, or leave it out")
        return settings
    if settings.recycle:
        raise InputError("--recycle and --persist do not go together; give one of them")
    if smooth and lag:
        raise InputError(
            "--lag and --smooth are two ways to give later rows a say; give one of them"
        )
    known: dict[str, Any] = {"stickiness": stickiness, "lag": lag}
    known = {name: value for name, value in known.items() if value is not None}
    return replace(settings, persist=True, irregular=irregular, **known)


def style_of(
    delimiter: str | None,
    decimal: str | None,
    encoding: str | None,
    no_header: bool,
    skip_lines: int = 0,
    comment: str | None = None,
) -> Style:
    """How the files are written."""
    from replay.sources.csv_file import Style

    if delimiter in ("\\t", "tab"):
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InputError(
            f"--delimiter is {delimiter!r}; it must be one character and no quote, or the word tab"
        )
    if decimal not in (None, ".", ","):
        raise InputError(f"--decimal is {decimal!r}; it must be . or ,")
    if delimiter is not None and delimiter == decimal:
        raise InputError(f"--delimiter and --decimal are both {delimiter!r}; they must differ")
    if comment == "":
        raise InputError("--comment is empty; it must be what comments begin with, such as #")
    return Style(delimiter, decimal, encoding, not no_header, skip_lines, comment)


def given_of(context: typer.Context, *but: str) -> list[str]:
    """The options that were given on the command line, as words for a shell."""
    from shlex import quote

    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        origin = context.get_parameter_source(name)
        if name in but or origin is None or origin.name == "DEFAULT":
            continue
        given = context.params[name]
        if given is True:
            words.append(parameter.opts[0])
            continue
        for text in given if isinstance(given, list) else [given]:
            words += [parameter.opts[0], quote(str(text))]
    return words


def columns_of(given: list[str] | None) -> tuple[str, ...]:
    """The columns of --value, as they were typed."""
    return tuple(name for name in given or () if name)


def of_landing(context: typer.Context) -> None:
    """Refuse what is given beside --land and is not for rows that nobody labels; and without it
    what is for them only."""
    lands = context.params["land"] is not None
    for parameter in context.command.params:
        name, origin = parameter.name or "", context.get_parameter_source(parameter.name or "")
        if origin is None or origin.name == "DEFAULT":
            continue
        if lands and name not in LANDED:
            raise InputError(
                f"{parameter.opts[0]} is for rows that are labelled here, and --land puts them "
                "down as they come; leave one of them out"
            )
        if not lands and name in ("land_rows", "land_seconds"):
            raise InputError(f"{parameter.opts[0]} is for --land, the folder that rows are put in")
