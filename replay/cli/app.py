"""The command line. What is slow to import is imported where it is needed: help is instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

import online_gmm
from replay.cli.options import (
    INPUT,
    LEARNING,
    OUTPUT,
    Bad,
    Checkpoint,
    Comment,
    Confirm,
    Covariance,
    CovarianceType,
    Decimal,
    Delimiter,
    Encoding,
    EveryRows,
    EverySeconds,
    Exponent,
    Files,
    GapManner,
    HalfLife,
    InMemory,
    Irregular,
    Join,
    Key,
    LabelsAs,
    Lag,
    Land,
    LandRows,
    LandSeconds,
    Lasting,
    LateRows,
    Learner,
    LearnerOption,
    MaxGap,
    MinDwell,
    Missing,
    NoHeader,
    OnBad,
    OnGap,
    Persist,
    Prior,
    Recycle,
    Refused,
    Regimes,
    Report,
    Resume,
    Seed,
    Segments,
    Sequence_,
    SkipLines,
    Stickiness,
    Time,
    TimeFormat,
    TimeZone,
    Unit,
    Value,
    WarmUp,
    columns_of,
    finding,
    given_of,
    of_landing,
    persistent,
    settings_of,
    style_of,
)
from replay.cli.terminal import OUT, err, explained
from replay.engine.rows import InputError

if TYPE_CHECKING:
    from replay.checks.check import Tolerances
    from replay.engine.protocols import Source
    from replay.engine.settings import Settings
    from replay.sinks.refusals import Refusals
    from replay.sources.csv_file import Style

app = typer.Typer(rich_markup_mode="markdown", no_args_is_help=False)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"online-gmm {online_gmm.__version__}, {online_gmm.__kernel__} kernel")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def replay(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Print the version, and whether the kernel is compiled.",
        ),
    ] = False,
) -> None:
    """Which regime is a series in, and since when? For files and for live streams.

    **replay look** shows what a file holds, **replay run** labels it row by row, **replay live**
    labels what comes in now, **replay check** compares with batch EM, **replay models** shows what
    a checkpoint has learnt.

    Without a command, run and check are done for the two bundled series: the 50-point series, as a
    mixture of three regimes, and river's WaterFlow, whose regimes are found; check compares the
    mixture with batch EM for both. Labels and pictures go to the folder `out`.

    Exit status: 0 when all is well and within the tolerances, 1 when not within them, 2 for bad
    input, 130 or 143 when a signal has ended a replay.
    """
    if context.invoked_subcommand is not None:
        return
    with explained():
        from replay.cli.checking import compare
        from replay.cli.running import Outputs, replay_source
        from replay.engine.settings import Settings

        all_passed = True
        for name, source, settings in _bundled(Settings()):
            outputs = Outputs(OUT / f"{name}_labels.csv", plot=OUT / f"{name}_series.png")
            # 50 points are 3 levels in a mixture; the regimes of WaterFlow are found
            replay_source(source, replace(settings, finds=name == "WaterFlow"), outputs)
            picture = OUT / f"{name}_check.png"
            all_passed &= compare(source, settings, _tolerances(), picture, None)
    raise typer.Exit(0 if all_passed else 1)


@app.command()
def run(
    context: typer.Context,
    files: Files = None,
    value: Value = None,
    time: Time = None,
    key: Key = None,
    sequence: Sequence_ = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    skip_lines: SkipLines = 0,
    comment: Comment = None,
    missing: Missing = None,
    unit: Unit = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    on_bad: Bad = OnBad.fail,
    refused: Refused = None,
    late: LateRows = None,
    max_gap: MaxGap = None,
    on_gap: GapManner = OnGap.reset,
    speed: Annotated[
        str,
        typer.Option(
            metavar="N|max",
            help="Replay by the times of --time: 1 as it was, 100 a hundred times faster, max as "
            "fast as it goes.",
            rich_help_panel=INPUT,
        ),
    ] = "max",
    learner: Learner = None,
    regimes: Regimes = "3",
    warm_up: WarmUp = 200,
    seed: Seed = 1,
    covariance: CovarianceType = Covariance.full,
    prior: Prior = 1e-3,
    exponent: Exponent = None,
    half_life: HalfLife = None,
    recycle: Recycle = False,
    persist: Persist = False,
    stickiness: Stickiness = None,
    lag: Lag = None,
    smooth: Annotated[
        bool,
        typer.Option(
            "--smooth",
            help="With --persist: read the file again when it is learnt, and label it as a whole. "
            "All values are held in memory.",
            rich_help_panel=LEARNING,
        ),
    ] = False,
    irregular: Irregular = False,
    labels_as: LabelsAs = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write the labelled rows here: CSV, Parquet or lines of JSON, as --as or the name "
            "says (.csv, .parquet, .ndjson); - is standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    segments: Segments = None,
    min_dwell: MinDwell = 1,
    confirm: Confirm = 1,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the series coloured by regime here, and where the regime changes.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Report = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    every_rows: EveryRows = 100_000,
    every_seconds: EverySeconds = 30.0,
    in_memory: InMemory = None,
) -> None:
    """Label files row by row, in constant memory, and sum up what was found.

    Without options of a learner, the regimes and their number are found, and each change of regime
    is told with the row at which it began and the reasons. Each row is labelled by what is known
    when it comes: -1 until something is, and the last regime until a change is known.

    With --regimes, --persist or another option of theirs, a mixture or a hidden Markov model labels
    every row *before* it is learnt, from the rows above it; only the warm-up is labelled as a
    whole. With --persist, --lag and --smooth let later rows have a say. Rows without any value do
    not count for the warm-up, but no more than 10 times its rows are held: then it makes do with
    those that have one.

    The labels have the time, the key and the values as they
    were, the `label`, its `probability`, `outlier` (1 for a row far from every regime) and `change`
    (1 where a change of regime is reported).

    How the file is written is found out and said: delimiter, decimal mark, what stands above the
    header, how times are written, and without --value which columns are learnt. What can be read
    in two ways is a question that names the option which answers it. **replay look FILE** shows
    what a file holds.

    The segments have `start` and `end` (times, or numbers of rows from 1), `label`, `n`, the
    mean `probability` of the label, and mean and standard deviation of each column. Its segments
    are as --min-dwell and --confirm make them; labels and the table of regimes stay as they are.

    Example: **replay run pump.csv --segments segments.csv --plot series.png**

    Example, of a mixture: **replay run pump.csv --value pressure --value flow --time when --regimes
    3 --labels labels.csv**

    Example, of segments: **replay run pump.csv --value pressure --segments segments.csv --min-dwell
    50 --confirm 5**

    Example, of a series that changes: **replay run pump.csv --value pressure --half-life 5000
    --recycle**

    Example, of regimes that last: **replay run pump.csv --value pressure --persist --lag 20
    --labels labels.csv**

    Example, at irregular times: **replay run pump.csv --value pressure --time when --persist
    --irregular --smooth**

    Example, of many devices, to be gone on with after a stop: **replay run 'log/*.csv.gz' --key
    device --time when --value pressure --labels labels.parquet --checkpoint state --resume**
    """
    with explained():
        from replay.cli.running import Outputs, replay_source
        from replay.engine.series import Manner
        from replay.sinks.refusals import Refusals
        from replay.sources.pace import Paced, at_speed

        settings = settings_of(
            regimes, warm_up, seed, covariance, prior, exponent, half_life, recycle
        )
        persist = persist or learner == LearnerOption.hmm
        settings = persistent(settings, persist, stickiness, lag, smooth, irregular)
        settings = finding(settings, context, learner)
        style = style_of(delimiter, decimal, encoding, no_header, skip_lines, comment)
        pace = at_speed(speed)
        if files:
            asking = {"--irregular": irregular, "--max-gap": max_gap, "--late": late}
            _needs_time(time, {**asking, "--speed": pace})
        reads_times = irregular or any(given is not None for given in (max_gap, late, pace))
        outputs = Outputs(labels, segments, plot, report, labels_as=labels_as)
        outputs.check()
        manner = Manner(min_dwell, confirm, str(late or "fail"), max_gap, str(on_gap))
        lasting = Lasting(checkpoint, resume, every_rows, every_seconds, in_memory)
        if not files:
            _only_with_a_file(
                **{
                    "--value": value,
                    "--time": time,
                    "--key": key,
                    "--sequence": sequence,
                    "--labels": labels,
                    "--segments": segments,
                    "--plot": plot,
                    "--report": report,
                    "--checkpoint": checkpoint,
                }
            )
            for _, source, chosen in _bundled(settings, irregular):
                replay_source(source, chosen, outputs, manner, smooth=smooth)
            return
        refusals = Refusals(refused, checkpoint is not None)
        source = _opened(
            files, value, time, style, key, sequence, reads_times, on_bad, refusals,
            time_format, time_zone, missing, unit,
        )  # fmt: skip
        if pace is not None:
            source = Paced(source, pace)
        replay_source(source, settings, outputs, manner, lasting, refusals, smooth)


@app.command()
def check(
    files: Files = None,
    value: Value = None,
    time: Time = None,
    regimes: Regimes = "3",
    warm_up: WarmUp = 200,
    seed: Seed = 1,
    passes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Replay the file so many times. [default: once; with --exact until nothing moves; "
            "with --incremental up to 60 times]",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Do not stream: add up the statistics of the whole file under frozen parameters, "
            "pass after pass. This must land where batch EM does.",
        ),
    ] = False,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental",
            help="Do not stream: Neal & Hinton's incremental EM, pass after pass over the rows in "
            "memory. A row's share is replaced when it comes again, and the parameters follow at "
            "once. This must land where batch EM does, in fewer passes, and its free energy must "
            "never fall. No value may be missing; memory holds a number a row and regime more.",
        ),
    ] = False,
    polish: Annotated[
        bool,
        typer.Option(
            "--polish",
            help="After the last pass one more to polish what the learner reports. The line it "
            "adds decides.",
        ),
    ] = False,
    max_gap: Annotated[
        float, typer.Option(help="Nats a row by which batch EM may be more likely.")
    ] = 0.01,
    min_agreement: Annotated[
        float, typer.Option(help="Adjusted Rand index of the labels that is wanted.")
    ] = 0.95,
    max_error: Annotated[
        float,
        typer.Option(
            help="Relative parameter error allowed with --exact; with --incremental, between the "
            "fixed points of the two."
        ),
    ] = 1e-6,
    max_gap_exact: Annotated[
        float,
        typer.Option(
            help="Nats a row that --incremental may end away from the fixed point of batch EM."
        ),
    ] = 1e-9,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the comparison here. [default: out/FILE_check.png]",
            show_default=False,
        ),
    ] = None,
    report: Report = None,
    covariance: CovarianceType = Covariance.full,
    prior: Prior = 1e-3,
    exponent: Exponent = None,
    recycle: Recycle = False,
    persist: Annotated[bool, typer.Option("--persist", hidden=True)] = False,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    skip_lines: SkipLines = 0,
    comment: Comment = None,
    missing: Missing = None,
    unit: Unit = None,
) -> None:
    """Compare the learner with batch EM on the same rows: same start, same prior.

    At 1, 2, 5, 10, ... rows and at the end: by how much batch EM is more likely, how far apart the
    parameters are once components are matched, and how far the labels agree. The last line decides:
    exit status 0 within the tolerances, 1 not. The values are held in memory, 8 bytes each, for
    batch EM. Batch EM forgets nothing: with --recycle, a regime that is retired counts as lost.

    Example: **replay check pump.csv --value pressure --regimes 2 --passes 3**

    Example, with one more pass at the end: **replay check pump.csv --value pressure --polish**

    Example, not streamed: **replay check pump.csv --value pressure --exact**

    Example, the same optimum in fewer passes: **replay check pump.csv --value pressure
    --incremental**
    """
    with explained():
        from replay.cli.checking import compare, compare_increments

        if persist:
            raise InputError(
                "--persist is for replay run; replay check compares the mixture, which takes every "
                "row by itself, with batch EM"
            )
        if report is not None and (exact or incremental):
            raise InputError(
                "--report is for the learner, and with --exact or --incremental nothing streams; "
                "leave it out"
            )
        if exact and incremental:
            raise InputError("--exact and --incremental are two checks; give one of them")
        if exact or incremental:
            check_of_passes = "--exact" if exact else "--incremental"
            for name, given in {"--recycle": recycle, "--polish": polish}.items():
                if given:
                    raise InputError(
                        f"{name} is for the learner, and {check_of_passes} does not stream; "
                        "give one of them"
                    )
        settings = settings_of(regimes, warm_up, seed, covariance, prior, exponent, recycle=recycle)
        style = style_of(delimiter, decimal, encoding, no_header, skip_lines, comment)
        tolerances = _tolerances(max_gap, min_agreement, max_error if exact else None)
        if not files:
            _only_with_a_file(
                **{"--value": value, "--time": time, "--plot": plot, "--report": report}
            )
            tasks = _bundled(settings)
        else:
            source = _opened(files, value, time, style, missing=missing, unit=unit)
            tasks = iter([Task(Path(files[0]).name.split(".")[0] or "series", source, settings)])
        all_passed = True
        for name, source, chosen in tasks:
            picture = plot or OUT / f"{name}_check.png"
            if incremental:
                all_passed &= compare_increments(
                    source, chosen, max_gap_exact, max_error, picture, passes
                )
            else:
                all_passed &= compare(source, chosen, tolerances, picture, passes, polish, report)
    raise typer.Exit(0 if all_passed else 1)


@app.command()
def live(
    context: typer.Context,
    address: Annotated[
        str,
        typer.Argument(
            metavar="-|mqtt://HOST[:PORT]/TOPIC",
            help="Where rows come from: - is standard input, one JSON object a line; mqtt:// (or "
            "mqtts://, with TLS) a broker and a topic filter, in which + and # may stand.",
        ),
    ] = "-",
    value: Value = None,
    time: Time = None,
    key: Key = None,
    sequence: Sequence_ = None,
    missing: Missing = None,
    unit: Unit = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    on_bad: Bad = OnBad.skip,
    refused: Refused = None,
    late: LateRows = None,
    max_gap: MaxGap = None,
    on_gap: GapManner = OnGap.reset,
    join: Join = "hold",
    client: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Name by which the broker knows this reader and keeps its messages. [default: "
            "made of host and topic]",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of user=NAME and password=WORD that only you can read. Without it they are "
            "taken from REPLAY_MQTT_USER and REPLAY_MQTT_PASSWORD.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificates to trust, for mqtts://. [default: those of the system]",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = None,
    learner: Learner = None,
    regimes: Regimes = "3",
    warm_up: WarmUp = 200,
    seed: Seed = 1,
    covariance: CovarianceType = Covariance.full,
    prior: Prior = 1e-3,
    exponent: Exponent = None,
    half_life: HalfLife = None,
    recycle: Recycle = False,
    persist: Persist = False,
    stickiness: Stickiness = None,
    lag: Lag = None,
    irregular: Irregular = False,
    labels_as: LabelsAs = None,
    labels: Annotated[
        Path,
        typer.Option(
            metavar="OUT",
            help="Write the labelled rows here: lines of JSON, CSV or Parquet, as --as or the name "
            "says (.ndjson, .csv, .parquet); - is standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("-"),
    segments: Segments = None,
    min_dwell: MinDwell = 1,
    confirm: Confirm = 1,
    publish: Annotated[
        str | None,
        typer.Option(
            metavar="mqtt://HOST[:PORT]/TOPIC",
            help="Publish the labelled rows there; {key} in the topic is the key of the row.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Report = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve a page that shows every key: its series, its regime and since when. "
            "Needs Bokeh. On an address that other machines can reach, the page's address has a "
            "token in it: whoever knows it can read every series.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="With --serve: a name or address by which browsers may open the page, beside that "
            "of --serve and localhost; repeat it for more. Needed with 0.0.0.0.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    resume: Resume = False,
    every_rows: EveryRows = 10_000,
    every_seconds: EverySeconds = 10.0,
    in_memory: InMemory = None,
    land: Land = None,
    land_rows: LandRows = 30_000,
    land_seconds: LandSeconds = 5.0,
) -> None:
    """Label what comes in, as it comes: which regime is each device in, and since when?

    It ends with its input, or by Ctrl-C or SIGTERM; with --checkpoint what is learnt is saved
    then, and messages are acknowledged only when they are: none is lost, and those that come twice
    are told by --sequence or --time and dropped. Rows of the warm-up are labelled when it is
    complete.

    With --land nothing is labelled: rows are put into a folder, for an engine to label them.

    Example: **sensor | replay live - --value temperature --time t --regimes 2**

    Example, of devices on a broker: **replay live 'mqtt://localhost/plant/+/state' --key topic:2
    --value temperature --value load --time t --sequence n --checkpoint state --resume --serve
    127.0.0.1:8080**

    Example, for an engine: **replay live 'mqtt://localhost/plant/+/state' --key topic:2 --value
    temperature --time t --sequence n --land landed**
    """
    with explained():
        of_landing(context)
        from replay.cli.listening import broker_of, live_source
        from replay.cli.running import Outputs, replay_source
        from replay.engine.series import Manner
        from replay.sinks.refusals import Refusals
        from replay.sources.asked import Asked, split_names
        from replay.sources.times import Clock

        settings = settings_of(
            regimes, warm_up, seed, covariance, prior, exponent, half_life, recycle
        )
        persist = persist or learner == LearnerOption.hmm
        settings = persistent(settings, persist, stickiness, lag, False, irregular)
        settings = finding(settings, context, learner)
        _needs_time(time, {"--irregular": irregular, "--max-gap": max_gap, "--late": late})
        refusals = Refusals(refused, checkpoint is not None or land is not None)
        asked = Asked(
            split_names(columns_of(value)), time, key, sequence, time is not None,
            Clock(time_format, time_zone), on_bad.value, refusals,
            tuple(missing or ()), tuple(unit or ()),
        )  # fmt: skip
        if land is not None:
            from replay.cli.landing import at_most_for, land_source

            source = live_source(
                address, asked, client, credentials, ca, at_most_for(land_rows), join
            )
            land_source(source, land, land_rows, land_seconds, refusals)
            return
        topic = None
        if publish is not None:
            topic = broker_of(publish, credentials, ca if publish.startswith("mqtts:") else None)
        if allow_host and serve is None:
            raise InputError("--allow-host is for --serve, the page; add --serve, or leave it out")
        outputs = Outputs(
            labels, segments, report=report, publish=topic, serve=serve,
            allow_hosts=allow_host or (), labels_as=labels_as,
        )  # fmt: skip
        outputs.check()
        manner = Manner(min_dwell, confirm, str(late or "skip"), max_gap, str(on_gap))
        lasting = Lasting(checkpoint, resume, every_rows, every_seconds, in_memory)
        source = live_source(address, asked, client, credentials, ca, join=join)
        replay_source(source, settings, outputs, manner, lasting, refusals, live=True)


@app.command()
def look(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files to look at, as for replay run."),
    ],
    value: Value = None,
    time: Time = None,
    key: Key = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    skip_lines: SkipLines = 0,
    comment: Comment = None,
    missing: Missing = None,
    unit: Unit = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
) -> None:
    """Show what a file holds: columns, times, gaps, missing values, and how to replay it.

    All rows are read, in constant memory. What was guessed about the way the file is written is
    said, and so are constant columns, columns that tell the same (twins), and a column that may be
    the key. The last line is a command to go on with.

    Example: **replay look pump.csv**
    """
    with explained():
        from replay.cli.look import look_at
        from replay.sources.asked import Asked
        from replay.sources.times import Clock

        style = style_of(delimiter, decimal, encoding, no_header, skip_lines, comment)
        asked = Asked(
            columns_of(value), time, key, clock=Clock(time_format, time_zone),
            missing=tuple(missing or ()), unit=tuple(unit or ()),
        )  # fmt: skip
        look_at(files, asked, style, given_of(context, "files"))


@app.command()
def models(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="That of --checkpoint.")],
    key: Annotated[
        str | None,
        typer.Argument(metavar="[KEY]", help="Whose model is shown.", show_default=False),
    ] = None,
) -> None:
    """Show what a checkpoint has learnt: which regime each series is in, and since when.

    With a key, or if there is only one series, its regimes are shown as well.

    Example: **replay models state**

    Example, of one device: **replay models state pump-7**
    """
    with explained():
        from replay.cli.models import show_models

        show_models(folder, key)


# -- what the commands share --------------------------------------------------------------------


class Task(NamedTuple):
    name: str
    source: Source
    settings: Settings


def _opened(
    files: list[str],
    value: list[str] | None,
    time: str | None,
    style: Style,
    key: str | None = None,
    sequence: str | None = None,
    timed: bool = False,
    on_bad: OnBad = OnBad.fail,
    refusals: Refusals | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    missing: list[str] | None = None,
    unit: list[str] | None = None,
) -> Source:
    from replay.sources.asked import Asked
    from replay.sources.opening import Files as Opened
    from replay.sources.times import Clock

    asked = Asked(
        columns_of(value), time, key, sequence, timed, Clock(time_format, time_zone), on_bad.value,
        missing=tuple(missing or ()), unit=tuple(unit or ()),
    )  # fmt: skip
    return Opened(files, asked if refusals is None else replace(asked, refusals=refusals), style)


def _needs_time(time: str | None, asking: dict[str, object]) -> None:
    name = next((name for name, given in asking.items() if given not in (None, False)), None)
    if name is not None and time is None:
        raise InputError(f"{name} needs --time, the column that tells when rows came")


def _tolerances(
    gap: float = 0.01, agreement: float = 0.95, error: float | None = None
) -> Tolerances:
    from replay.checks.check import Tolerances

    return Tolerances(gap, agreement, error)


def _bundled(settings: Settings, irregular: bool = False) -> Iterator[Task]:
    """The series that come along; those without times are regular in any case."""
    from replay.cli.bundled import FIRST_SERIES, bundled
    from replay.sources.asked import Asked
    from replay.sources.opening import Files as Opened

    if not FIRST_SERIES.exists():
        err().print(
            "The 50-point series comes with a checkout only; going on with WaterFlow.",
            soft_wrap=True,
        )
    for series in bundled():
        timed = irregular and series.time is not None
        asked = Asked(series.values, series.time, timed=timed)
        yield Task(series.name, Opened([str(series.path)], asked), settings)


def _only_with_a_file(**options: object) -> None:
    for name, given in options.items():
        if given:
            raise InputError(f"{name} is for a file of yours; put FILE.csv before it")
