"""The command line. What is slow to import is imported where it is needed: help is instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from rich.console import Console

from replay.source import Format, InputError, Source

if TYPE_CHECKING:
    from rich.table import Table

    from online_gmm.segments import Segment
    from replay.check import Tolerances, Verdict
    from replay.run import LabelledRow, Settings

OUT = Path("out")
"""Where pictures and labels go unless told."""
PASSES = 60
"""Of incremental EM, unless told."""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", no_args_is_help=False)


class Covariance(StrEnum):
    full = "full"
    tied = "tied"
    diag = "diag"
    spherical = "spherical"


class Decimal(StrEnum):
    point = "."
    comma = ","


File = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE.csv]",
        help="CSV file, plain or gzipped. Without it the two bundled series are taken.",
        show_default=False,
    ),
]
Value = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL",
        help="Column to learn; repeat it for more. May be left out if only one column has numbers.",
        show_default=False,
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        metavar="COL", help="Column that tells the time; copied as it is.", show_default=False
    ),
]
Persist = Annotated[
    bool,
    typer.Option(
        "--persist",
        help="Regimes last: learn how long, and which follows which (a hidden Markov model), and "
        "label a row by those before it too. At most 8 regimes.",
    ),
]
Stickiness = Annotated[
    float | None,
    typer.Option(
        metavar="ROWS",
        help="With --persist: what a regime is believed to last before anything is seen; weighs as "
        "much as one stay. [default: 10]",
        show_default=False,
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
    ),
]
Irregular = Annotated[
    bool,
    typer.Option(
        "--irregular",
        help="With --persist: rows come at irregular times. Those of --time count, in seconds or "
        "as in 2022-03-20T11:00:00+01:00, and regimes last for times rather than rows.",
    ),
]
Regimes = Annotated[
    str,
    typer.Option(
        metavar="K|auto", help="How many there are; auto lets the rows of the warm-up decide."
    ),
]
WarmUp = Annotated[
    int,
    typer.Option(
        min=1, help="Rows fitted together at the start; they should show every regime if possible."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Makes the warm start repeatable.")]
CovarianceType = Annotated[Covariance, typer.Option(help="Shape of the components.")]
Prior = Annotated[
    float, typer.Option(min=0.0, help="Pseudo-points that keep each component from collapsing.")
]
Exponent = Annotated[
    float | None,
    typer.Option(
        help="Step n^-EXPONENT, above 0.5 and up to 1. The lower, the sooner a bad start is "
        "forgotten, and a regime that stays away; at 1 all rows weigh alike. [default: 0.7]",
        show_default=False,
    ),
]
Recycle = Annotated[
    bool,
    typer.Option(
        "--recycle",
        help="Retire regimes that have lost their rows, merge two that have become one, and give "
        "their places to rows that none explains. These events are listed; numbers are not used "
        "again, so labels may then be any number.",
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="Between columns. [default: comma, semicolon or tab, as in the first line]",
        show_default=False,
    ),
]
DecimalMark = Annotated[Decimal, typer.Option(help="Decimal mark.")]
Encoding = Annotated[str, typer.Option(help="Encoding of the file, such as utf-16 or latin-1.")]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line is data; columns are called 0, 1, ...")
]


@app.callback(invoke_without_command=True)
def replay(context: typer.Context) -> None:
    """Replay a CSV file through the streaming segmenter, and check it against batch EM.

    **replay run** labels a file row by row, **replay check** compares with batch EM.

    Without a command both are done for the two bundled series: the 50-point series and river's
    WaterFlow. Labels and pictures go to the folder `out`.

    Exit status: 0 when all is within the tolerances, 1 when not, 2 for bad input.
    """
    if context.invoked_subcommand is not None:
        return
    with _explained():
        from replay.run import Settings

        all_passed = True
        for name, source, settings in _bundled(Settings()):
            _run(source, settings, OUT / f"{name}_labels.csv", OUT / f"{name}_series.png")
            all_passed &= _check(source, settings, _tolerances(), OUT / f"{name}_check.png", None)
    raise typer.Exit(0 if all_passed else 1)


@app.command()
def run(
    file: File = None,
    value: Value = None,
    time: Time = None,
    regimes: Regimes = "3",
    warm_up: WarmUp = 200,
    seed: Seed = 1,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="OUT.csv", help="Write the labelled rows here; - is stdout."),
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(metavar="OUT.csv", help="Write the segments here, one a line; - is stdout."),
    ] = None,
    min_dwell: Annotated[
        int,
        typer.Option(
            metavar="ROWS",
            min=1,
            help="A regime that lasts less is no segment; its rows belong to the one before.",
        ),
    ] = 1,
    confirm: Annotated[
        int,
        typer.Option(
            metavar="ROWS", min=1, help="Rows in a row that it takes to believe in another regime."
        ),
    ] = 1,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the series coloured by regime here, and where the regime changes.",
        ),
    ] = None,
    covariance: CovarianceType = Covariance.full,
    prior: Prior = 1e-3,
    exponent: Exponent = None,
    half_life: Annotated[
        float | None,
        typer.Option(
            metavar="ROWS",
            help="For a series that changes: a row counts half after so many more. Takes the place "
            "of --exponent, and follows for ever. [default: all rows count]",
            show_default=False,
        ),
    ] = None,
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
        ),
    ] = False,
    irregular: Irregular = False,
    delimiter: Delimiter = None,
    decimal: DecimalMark = Decimal.point,
    encoding: Encoding = "utf-8",
    no_header: NoHeader = False,
) -> None:
    """Label a file row by row, in constant memory, and sum up what was found.

    Every row is labelled *before* it is learnt, from the rows above it; only the warm-up is
    labelled as a whole. With --persist, --lag and --smooth let later rows have a say. Rows without
    any value do not count for the warm-up, but no more than 10 times its rows are held: then it
    makes do with those that have one. The labels file has the time and the values as they were, the
    `label`, its `probability`, and `outlier` (1 for a row far from every regime). An empty cell,
    NaN, NA, null or None is a missing value.

    The segments file has `start` and `end` (times, or numbers of rows from 1), `label`, `n`, the
    mean `probability` of the label, and mean and standard deviation of each column. Its segments
    are as --min-dwell and --confirm make them; labels and the table of regimes stay as they are.

    Example: **replay run pump.csv --value pressure --value flow --time when --regimes 3 --labels
    labels.csv --plot series.png**

    Example, of segments: **replay run pump.csv --value pressure --segments segments.csv --min-dwell
    50 --confirm 5**

    Example, of a series that changes: **replay run pump.csv --value pressure --half-life 5000
    --recycle**

    Example, of regimes that last: **replay run pump.csv --value pressure --persist --lag 20
    --labels labels.csv**

    Example, at irregular times: **replay run pump.csv --value pressure --time when --persist
    --irregular --smooth**
    """
    with _explained():
        if half_life is not None and exponent is not None:
            raise InputError(
                "--half-life and --exponent are two ways to weigh rows; give one of them"
            )
        settings = _settings(
            regimes, warm_up, seed, covariance, prior, exponent, half_life, recycle
        )
        settings = _persistent(settings, persist, stickiness, lag, smooth, irregular)
        if irregular and file is not None and time is None:
            raise InputError("--irregular needs --time, the column that tells when rows came")
        style = _style(delimiter, decimal, encoding, no_header)
        if file is None:
            _only_with_a_file(
                **{
                    "--value": value,
                    "--time": time,
                    "--labels": labels,
                    "--segments": segments,
                    "--plot": plot,
                }
            )
        if labels is not None and labels == segments:
            raise InputError(f"--labels and --segments are both {labels}; choose another name")
        for _, source, chosen in _sources(file, value, time, style, settings, irregular):
            _run(source, chosen, labels, plot, segments, min_dwell, confirm, smooth)


@app.command()
def check(
    file: File = None,
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
    covariance: CovarianceType = Covariance.full,
    prior: Prior = 1e-3,
    exponent: Exponent = None,
    recycle: Recycle = False,
    persist: Annotated[bool, typer.Option("--persist", hidden=True)] = False,
    delimiter: Delimiter = None,
    decimal: DecimalMark = Decimal.point,
    encoding: Encoding = "utf-8",
    no_header: NoHeader = False,
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
    with _explained():
        if persist:
            raise InputError(
                "--persist is for replay run; replay check compares the mixture, which takes every "
                "row by itself, with batch EM"
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
        settings = _settings(regimes, warm_up, seed, covariance, prior, exponent, recycle=recycle)
        style = _style(delimiter, decimal, encoding, no_header)
        tolerances = _tolerances(max_gap, min_agreement, max_error if exact else None)
        if file is None:
            _only_with_a_file(**{"--value": value, "--time": time, "--plot": plot})
        all_passed = True
        for name, source, chosen in _sources(file, value, time, style, settings):
            picture = plot or OUT / f"{name}_check.png"
            if incremental:
                all_passed &= _check_increments(
                    source, chosen, max_gap_exact, max_error, picture, passes
                )
            else:
                all_passed &= _check(source, chosen, tolerances, picture, passes, polish)
    raise typer.Exit(0 if all_passed else 1)


# -- what the commands share --------------------------------------------------------------------


class Task(NamedTuple):
    name: str
    source: Source
    settings: Settings


def _settings(
    regimes: str,
    warm_up: int,
    seed: int,
    covariance: str,
    prior: float,
    exponent: float | None,
    half_life: float | None = None,
    recycle: bool = False,
) -> Settings:
    from replay.run import Settings

    k: int | Literal["auto"] = "auto"
    if regimes != "auto":
        if not (regimes.isdecimal() and int(regimes) >= 1):
            raise InputError(f"--regimes is {regimes!r}; it must be a number from 1, or auto")
        k = int(regimes)
    settings = Settings(
        k, warm_up, seed, str(covariance), prior, half_life=half_life, recycle=recycle
    )
    return settings if exponent is None else replace(settings, exponent=exponent)


def _persistent(
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
    return replace(settings, persist=True, **known)


def _style(delimiter: str | None, decimal: str, encoding: str, no_header: bool) -> Format:
    if delimiter in ("\\t", "tab"):
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InputError(
            f"--delimiter is {delimiter!r}; it must be one character and no quote, or the word tab"
        )
    if delimiter == str(decimal):
        raise InputError(f"--delimiter and --decimal are both {delimiter!r}; they must differ")
    return Format(delimiter, str(decimal), encoding, not no_header)


def _tolerances(
    gap: float = 0.01, agreement: float = 0.95, error: float | None = None
) -> Tolerances:
    from replay.check import Tolerances

    return Tolerances(gap, agreement, error)


def _sources(
    file: Path | None,
    value: list[str] | None,
    time: str | None,
    style: Format,
    settings: Settings,
    irregular: bool = False,
) -> Iterator[Task]:
    if file is None:
        yield from _bundled(settings, irregular)
    else:
        source = Source(file, value or (), time, style, irregular)
        yield Task(file.name.split(".")[0] or "series", source, settings)


def _bundled(settings: Settings, irregular: bool = False) -> Iterator[Task]:
    """The series that come along; those without times are regular in any case."""
    from replay.bundled import FIRST_SERIES, bundled

    if not FIRST_SERIES.exists():
        _err().print(
            "The 50-point series comes with a checkout only; going on with WaterFlow.",
            soft_wrap=True,
        )
    for series in bundled():
        timed = irregular and series.time is not None
        source = Source(series.path, series.values, series.time, timed=timed)
        yield Task(series.name, source, settings)


def _only_with_a_file(**options: object) -> None:
    for name, given in options.items():
        if given:
            raise InputError(f"{name} is for a file of yours; put FILE.csv before it")


@contextmanager
def _explained() -> Iterator[None]:
    """Bad input ends with its message and status 2."""
    try:
        yield
    except InputError as error:
        _err().print(f"error: {error}", style="red", soft_wrap=True)
        raise typer.Exit(2) from None


def _out() -> Console:
    return _console(stderr=False)


def _err() -> Console:
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    # column names such as "flow [l/s]" are not markup
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console


def _heading(
    console: Console, source: Source, settings: Settings, found: int, streamed: bool = True
) -> None:
    """What was asked for; and with --regimes auto how many regimes were found."""
    steps = ""
    if streamed and settings.half_life is None:
        steps = f", step exponent {settings.exponent:g}"
    elif streamed:
        steps = f", half-life {settings.half_life:g} rows"
    persistence = ""
    if settings.persist:
        times = f", times of {source.time}" if source.timed else ""
        persistence = f" that persist (stickiness {settings.stickiness:g} rows{times})"
    regimes = f"{found} (auto)" if settings.regimes == "auto" else str(settings.regimes)
    console.print()
    console.print(str(source.path), style="bold", soft_wrap=True)
    console.print(
        f"columns {', '.join(source.values)}; {regimes} regimes{persistence}, "
        f"{settings.covariance} covariance, warm-up of up to {settings.warm_up} rows, "
        f"seed {settings.seed}, prior {settings.prior:g}{steps}"
        f"{', regimes recycled' if settings.recycle else ''}",
        soft_wrap=True,
    )


def _parent(path: Path) -> Path:
    """The path, its folder made if it is the default one."""
    if path.parent == OUT:
        try:
            OUT.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {OUT} cannot be made: {error.strerror}") from None
    return path


def _run(
    source: Source,
    settings: Settings,
    labels: Path | None,
    plot: Path | None,
    segments: Path | None = None,
    min_dwell: int = 1,
    confirm: int = 1,
    smooth: bool = False,
) -> None:
    from online_gmm import OnlineGMM, OnlineHMM
    from online_gmm.segments import Segmenter
    from replay.progress import bar_on
    from replay.run import (
        Segmentation,
        labelled,
        labelled_as_a_whole,
        labels_writer,
        segments_writer,
    )
    from replay.summary import Chronicle, Summary
    from replay.tables import (
        changes,
        events_table,
        labels_given,
        regimes_table,
        totals,
        transition_table,
    )

    stdout = Path("-")
    console = _err() if stdout in (labels, segments) else _out()
    model = settings.model(source)
    summary = Summary()
    segment_takers: list[Callable[[Segment], object]] = []
    segmenter = Segmenter(model, min_dwell=min_dwell, confirm=confirm)
    segmentation = Segmentation(segmenter, segment_takers)
    takers: list[Callable[[LabelledRow], object]] = [summary.add, segmentation.add]
    chronicle = None
    if settings.recycle and isinstance(model, OnlineGMM):
        chronicle = Chronicle(model)
        takers.append(chronicle.add)
    if plot is not None:
        from replay.plot import Bands, Sample, draw_series

        sample, bands = Sample(), Bands()
        takers.append(sample.add)
        segment_takers.append(bands.add)
    with ExitStack() as files:
        if labels is not None:
            path = None if labels == stdout else _parent(labels)
            takers.append(files.enter_context(labels_writer(path, source)))
        if segments is not None:
            path = None if segments == stdout else _parent(segments)
            segment_takers.append(files.enter_context(segments_writer(path, source)))
        if smooth and isinstance(model, OnlineHMM):
            rows = labelled_as_a_whole(source, model, bar_on(_err()))
        else:
            rows = labelled(source, model, bar_on(_err()))
        for labelled_row in rows:
            for take in takers:
                take(labelled_row)
        segmentation.close()
    summary.close()
    _heading(console, source, settings, model.mixture.n_components)
    console.print(totals(summary))
    console.print(changes(segmentation, min_dwell, confirm), soft_wrap=True)
    if settings.persist:
        console.print(labels_given(settings, smooth), soft_wrap=True)
    console.print(regimes_table(summary, model))
    if isinstance(model, OnlineHMM):
        console.print(transition_table(model))
    if chronicle is not None:
        _events(console, events_table(chronicle.happenings, source.time is not None))
    for what, written in (("labels", labels), ("segments", segments)):
        if written not in (None, stdout):
            console.print(f"{what}: {written}", soft_wrap=True)
    if plot is not None:
        draw_series(sample, bands, model, source.path.name, _parent(plot))
        console.print(f"picture: {plot}", soft_wrap=True)


def _check(
    source: Source,
    settings: Settings,
    tolerances: Tolerances,
    plot: Path,
    passes: int | None,
    polish: bool = False,
) -> bool:
    """Print the comparison and its verdicts; with a tolerance for the error, the exact one."""
    from replay import check
    from replay.plot import draw_check
    from replay.progress import bar_on
    from replay.tables import by_points, comparison_row, comparison_table, events_table

    console, notes = _out(), _err()
    if tolerances.error is not None:
        still = tolerances.error / 1000
        comparisons = check.exact(source, settings, passes, still, bar_on(notes))
    else:
        comparisons = check.converge(source, settings, passes or 1, bar_on(notes), polish)
    table = comparison_table()
    done = []
    for comparison in comparisons:
        done.append(comparison)
        table.add_row(*comparison_row(comparison))
        if notes.is_terminal:
            notes.print(f"compared at {comparison.rows:,} rows", style="dim")
    found = done[-1].batch.mixture.n_components
    _heading(console, source, settings, found, streamed=tolerances.error is None)
    console.print(table)
    if settings.recycle:
        _events(console, events_table(by_points(done[-1].events), timed=False))
    passed = _verdicts(console, check.judge(done[-1], tolerances))
    draw_check(done, tolerances, source.path.name, _parent(plot))
    console.print(f"picture: {plot}", soft_wrap=True)
    return passed


def _check_increments(
    source: Source,
    settings: Settings,
    max_gap: float,
    max_error: float,
    plot: Path,
    passes: int | None,
) -> bool:
    """Print how incremental EM did beside batch EM, and the verdicts."""
    from replay import check
    from replay.plot import draw_increments
    from replay.progress import bar_on
    from replay.tables import incremental_table

    console = _out()
    comparison = check.in_increments(source, settings, passes or PASSES, bar_on(_err()))
    found = comparison.batch.mixture.n_components
    _heading(console, source, settings, found, streamed=False)
    console.print(incremental_table(comparison))
    passed = _verdicts(console, check.judge_increments(comparison, max_gap, max_error))
    draw_increments(comparison, max_gap, source.path.name, _parent(plot))
    console.print(f"picture: {plot}", soft_wrap=True)
    return passed


def _verdicts(console: Console, verdicts: Iterable[Verdict]) -> bool:
    """Print them; whether all passed."""
    passed = True
    for verdict in verdicts:
        console.print("PASS" if verdict.passed else "FAIL", verdict.text, soft_wrap=True)
        passed &= verdict.passed
    return passed


def _events(console: Console, events: Table) -> None:
    console.print(events if events.row_count else "no regime came or went")
