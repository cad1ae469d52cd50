"""``replay run`` and ``replay live``: the loop with all that it is given, and what is printed."""

from __future__ import annotations

import dataclasses
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer
from rich.console import Console

from online_gmm import OnlineGMM
from online_gmm.data.counted import counted
from online_gmm.segmentation.found import MANY
from replay.cli.options.output import Checkpointing, Outputs, Segmenting
from replay.cli.options.reading import Rows
from replay.cli.outputs import STDOUT, check_picture, costs_sink, file_sinks, integrated
from replay.cli.terminal import err, heading, out, parent, second_signal_said
from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import Fleet
from replay.engine.hindsight import Hindsight
from replay.engine.loop import Loop, Saving
from replay.engine.order import SeriesOptions
from replay.engine.progress import bar_on
from replay.engine.protocols import Source
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.engine.shared import shared_by_all
from replay.engine.status import Status, told_on
from replay.engine.summary import Summary
from replay.engine.whole import labelled_as_a_whole
from replay.sinks.refusals import Refusals
from replay.sources.times import Clock
from replay.views.cards import doubts, found_when
from replay.views.costs import cost_tables
from replay.views.tables import (
    changes,
    events_or_none,
    fleet_table,
    labels_given,
    left_out,
    regime_tables,
    regimes_table,
    totals,
)

if TYPE_CHECKING:
    from replay.checks.check import Comparison
    from replay.engine.protocols import LiveSource
    from replay.sinks.notices import Notices
    from replay.sources.kafka_cluster import Cluster
    from replay.sources.mqtt_broker import Broker
    from replay.sources.times_shown import TimesShown
    from replay.views.page.sink import Watcher

MOST_LISTED = 20
"""Keys whose series are listed, those with most rows."""
LEFT_OUT = {
    "n_duplicates": "rows that came twice, dropped",
    "n_late": "rows that came late, dropped",
    "n_lost": "sequence numbers that never came",
    "n_gaps": "gaps in time",
    "n_steps_back": "steps back by exactly an hour, as clocks that are set back for winter do; "
    "name the zone with --time-zone",
}
"""What a series counts beside the rows it labels."""


def series_options(rows: Rows, segmenting: Segmenting) -> SeriesOptions:
    """The options of a series, by those of the command line."""
    return SeriesOptions(
        segmenting.min_dwell, segmenting.confirm, rows.late or "raise", rows.max_gap, rows.on_gap
    )


def _console(outputs: Outputs) -> Console:
    """Where the summary goes: not where the rows do."""
    written = (outputs.labels, outputs.segments, outputs.costs)
    return err() if STDOUT in written else out()


class Doubtful:
    """Of how many series changes may not have been found, and why of the first of them."""

    def __init__(self) -> None:
        self.n = 0
        self.first = ""

    def add(self, key: str, series: Series) -> None:
        if why := doubts(series):
            self.n += 1
            self.first = self.first or f"of {key!r}: {why[0]}"


class Totals:
    """What is to be said of the series when they have ended."""

    def __init__(self) -> None:
        self.n_series = 0
        self.left_out: Counter[str] = Counter()
        self.largest: list[tuple[str, Series]] = []
        self.of_all = Summary()
        self.doubtful = Doubtful()

    def add(self, key: str, series: Series) -> None:
        self.n_series += 1
        self.left_out.update({what: getattr(series.order, name) for name, what in LEFT_OUT.items()})
        self.of_all.include(series.summary)
        self.doubtful.add(key, series)
        self.largest.append((key, series))
        if len(self.largest) > 2 * MOST_LISTED:
            self._sort()

    def listed(self) -> Sequence[tuple[str, Series]]:
        self._sort()
        return self.largest

    def _sort(self) -> None:
        self.largest.sort(key=lambda item: -item[1].summary.n_rows)
        del self.largest[MOST_LISTED:]


def replay_source(
    source: Source,
    settings: Settings,
    outputs: Outputs,
    options: SeriesOptions | None = None,
    checkpoints: Checkpointing | None = None,
    refusals: Refusals | None = None,
    smooth: bool = False,
    causal: bool = False,
    topic: Broker | Cluster | None = None,
    live: bool = False,
    notify: Callable[[Source, Fleet], Notices] | None = None,
    clock: Clock | None = None,
    because: str = "",
) -> None:
    """Label the rows of a source, write what is wanted, and print what was found.

    Parameters
    ----------
    causal
        Whether regimes that are found are those known as rows come. Otherwise rows are held until
        the source has ended, and labelled again.
    topic
        Where labelled rows are published; None publishes none.
    notify
        Makes the sink that sends changes of regime; None for none.
    live
        Whether what is written must not be held back, and a signal is the normal end.
    clock
        Reads times, in whose zone days of --costs and what is shown are.
    because
        Why it is this learner, in a line; empty if that goes without saying.
    """
    options, checkpoints = options or SeriesOptions(), checkpoints or Checkpointing()
    clock = clock or Clock()
    refusals = refusals or Refusals()
    console = _console(outputs)
    first = settings.model(source)
    check_picture(outputs, source, smooth)
    if settings.finds and len(source.values) > MANY:
        err().print(
            f"note: {len(source.values):,} columns are many: time and memory grow with more than "
            "the square of their number; name those that tell regimes apart with --value",
            soft_wrap=True,
        )
    if (smooth or outputs.plot) and checkpoints.checkpoint is not None:
        raise InputError(
            f"{'--smooth' if smooth else '--plot'} needs the replay in one go; leave out "
            "--checkpoint"
        )
    totals_of = Totals()
    channels = integrated(outputs, source)
    whole = Series(first, options) if smooth else None
    with ExitStack() as open_now:
        open_now.callback(source.close)
        fleet = _fleet(source, settings, options, checkpoints, open_now)
        later = settings.finds and not (causal or live or _may_go_on(checkpoints))
        sinks = file_sinks(source, outputs, topic, checkpoints, live, later, open_now)
        if channels or outputs.costs is not None:
            sinks["costs"] = costs_sink(
                source, channels, fleet, whole, clock.zone, options, outputs, checkpoints, open_now
            )
        picture = page = None
        if outputs.plot is not None:
            from replay.views.plot import Picture

            picture = Picture(outputs.plot_key, _times(source, "the picture"), clock.zone)
            sinks["plot"] = picture
        if outputs.report is not None or outputs.serve is not None:
            page = sinks["page"] = _page(source, fleet, "costs" in sinks, clock)
        notices = None
        if notify is not None:
            notices = sinks["notices"] = notify(source, fleet)
            open_now.callback(notices.close)
        refusals.open(source.files)
        open_now.callback(refusals.close)
        saving = _saving(source, settings, options, outputs, refusals, checkpoints, open_now)
        hindsight = Hindsight(sinks, fleet)
        loop = Loop(source, fleet, {"": hindsight} if later else sinks, saving, refusals)
        loop.heralds = () if notices is None else (notices,)
        loop.ended = totals_of.add
        loop.flushing = live
        progress = bar_on(err())
        status = Status(cast("LiveSource", source), refusals, fleet) if live else None
        watch = (
            (lambda batches: progress(source, "streaming", batches))
            if status is None
            else told_on(err(), status)
        )
        if checkpoints.resume and loop.saving is not None and loop.saving.checkpoints.exists:
            loop.resume()
        else:
            loop.begin()
        if page is not None and outputs.serve is not None:
            _serve(page, outputs, source.name, status, open_now)
        if whole is not None:
            loop.run_labelled(labelled_as_a_whole(source, whole, progress), whole)
        else:
            left = cast("LiveSource", source).left if live else None
            with second_signal_said(loop, left):
                loop.run(watch)
        pictured = whole
        if picture is not None and whole is None:
            pictured = _pictured(fleet, outputs.plot_key)
        broken_off = loop.stopped_by is not None and not live and checkpoints.checkpoint is None
        if page is not None and outputs.report is not None and not broken_off:
            its_series = None if whole is None else {"": whole}
            notes = [*left_out(totals_of.left_out, refusals), *hindsight.said]
            if settings.finds and source.key is None:
                notes += doubts(totals_of.listed()[0][1])
            _write_report(outputs.report, source, page, fleet, its_series, notes=notes)
    if loop.stopped_by is not None and (not live or checkpoints.checkpoint is not None):
        _say_stopped(loop, checkpoints)
        raise typer.Exit(0 if live else 128 + loop.stopped_by)
    if not totals_of.n_series:
        console.print("no row has come")
        for line in (*source.said, *left_out({}, refusals)):
            console.print(line, soft_wrap=True)
        if refusals.first is not None:
            raise InputError(f"all rows were refused, the first one for this: {refusals.first}")
        return
    _print(console, source, settings, totals_of, refusals, smooth, loop, clock, because)
    drawn = [line for its in (page, picture) if its is not None for line in its.said]
    for line in (*hindsight.said, *dict.fromkeys(drawn)):
        console.print(line, soft_wrap=True)
    for table in cost_tables(totals_of.listed(), source.key):
        console.print(table)
    for what in ("labels", "segments", "costs", "report"):
        written = getattr(outputs, what)
        if written not in (None, STDOUT):
            console.print(f"{what}: {written}", soft_wrap=True)
    if picture is not None and outputs.plot is not None and pictured is not None:
        from replay.views.parameters import Parameters
        from replay.views.plot import draw_series

        parameters = Parameters.of_series(pictured)
        title = Path(source.name).name + (f", {outputs.plot_key}" if outputs.plot_key else "")
        path = parent(outputs.plot)
        draw_series(picture, source.values, parameters, title, path)
        console.print(f"picture: {outputs.plot}", soft_wrap=True)
    if loop.cut_off is not None:
        raise loop.cut_off


def _pictured(fleet: Fleet, key: str | None) -> Series | None:
    """The series that is drawn; None if no row has come."""
    if key is not None and len(fleet) and key not in fleet:
        raise InputError(f"--plot-key: no row has the key {key!r}")
    return fleet[key or ""] if len(fleet) else None


def _times(source: Source, drawn: str) -> TimesShown | None:
    """What reads the times of a source that copies them."""
    from replay.sources.opening import Files
    from replay.sources.times_shown import TimesShown

    if source.time is not None and not source.timed and isinstance(source, Files):
        return TimesShown(source, drawn)
    return None


def _page(
    source: Source,
    fleet: Fleet,
    with_costs: bool,
    clock: Clock,
) -> Watcher:
    from replay.views.history import History
    from replay.views.page.sink import Watcher

    times = _times(source, "the page")
    history = History(source.values, clock=clock)
    return Watcher(history, fleet.__getitem__, with_costs, fleet.items, times)


def _serve(
    page: Watcher, outputs: Outputs, title: str, status: Status | None, open_now: ExitStack
) -> None:
    from replay.views.page.metrics import Metrics
    from replay.views.page.server import PageServer

    assert outputs.serve is not None
    server = PageServer(
        outputs.serve,
        title,
        page.history,
        page.parameters,
        allowed=outputs.allow_host or (),
        metrics=None if status is None else Metrics(status, page.history),
        with_costs=page.with_costs,
    )
    server.start()
    open_now.callback(server.stop)
    err().print(f"page: {server.url} ({server.cost})", soft_wrap=True)


def _write_report(
    path: Path,
    source: Source,
    page: Watcher,
    fleet: Fleet,
    series: dict[str, Series] | None = None,
    convergence: Sequence[Comparison] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write the page of what has been seen; the series are those of the fleet, unless given."""
    from replay.views.page.report import write_report

    if any(path.exists() and path.samefile(taken) for taken in source.files):
        raise InputError(f"--report {path} is the input file; choose another name")
    if series is None:
        kept = {head.key for head in page.history.heads()}
        series = {key: its for key, its in fleet.items() if key in kept}
    title = Path(source.name).name
    write_report(
        parent(path),
        title,
        page.history,
        series,
        convergence,
        page.with_costs,
        [*source.said, *page.said, *notes],
    )


def report_comparison(
    path: Path,
    source: Source,
    settings: Settings,
    convergence: Sequence[Comparison],
    refusals: Refusals,
    clock: Clock,
) -> None:
    """Write the page of a source, with how far its learner is from batch EM."""
    with ExitStack() as open_now:
        fleet = _fleet(source, settings, SeriesOptions(), Checkpointing(), open_now)
        page = _page(source, fleet, False, clock)
        loop = Loop(source, fleet, {"page": page})
        loop.begin()
        loop.run()
        notes = left_out({}, refusals)
        _write_report(path, source, page, fleet, convergence=convergence, notes=notes)
    for line in page.said:
        out().print(line, soft_wrap=True)
    out().print(f"report: {path}", soft_wrap=True)


def _fleet(
    source: Source,
    settings: Settings,
    options: SeriesOptions,
    checkpoints: Checkpointing,
    open_now: ExitStack,
) -> Fleet:
    parking = None
    if checkpoints.in_memory is not None:
        folder = open_now.enter_context(tempfile.TemporaryDirectory(prefix="replay-"))
        parking = Path(folder) / "parked.sqlite"
    shared = shared_by_all(settings, source)

    def mixture() -> OnlineGMM | None:
        return None if shared is None else shared.model

    fleet = Fleet(
        lambda: Series(settings.model(source), options, mixture()),
        lambda state: Series.from_bytes(state, source.values, options, mixture()),
        checkpoints.in_memory,
        parking,
        shared,
    )
    open_now.callback(fleet.close)
    return fleet


def _saving(
    source: Source,
    settings: Settings,
    options: SeriesOptions,
    outputs: Outputs,
    refusals: Refusals,
    checkpoints: Checkpointing,
    open_now: ExitStack,
) -> Saving | None:
    if checkpoints.checkpoint is None:
        if checkpoints.resume:
            raise InputError("--resume needs --checkpoint, the folder to go on from")
        return None
    folder = Checkpoints(checkpoints.checkpoint)
    open_now.enter_context(folder.locked())
    if folder.exists and not checkpoints.resume:
        raise InputError(
            f"--checkpoint {checkpoints.checkpoint} holds a checkpoint already; go on from it with "
            "--resume, or choose another folder"
        )
    recorded: dict[str, Any] = {
        **dataclasses.asdict(settings),
        **dataclasses.asdict(options),
        "value": list(source.values),
        "time": source.time,
        "key": source.key,
        "labels": outputs.labels and str(outputs.labels),
        "as": outputs.labels_as,
        "escape_formulas": outputs.escape_formulas,
        "segments": outputs.segments and str(outputs.segments),
        "integrate": outputs.integrate,
        "costs": outputs.costs and str(outputs.costs),
        "refused": refusals.path and str(refusals.path),
    }
    return Saving(folder, recorded, checkpoints.every_rows, checkpoints.every_seconds)


def _print(
    console: Console,
    source: Source,
    settings: Settings,
    totals_of: Totals,
    refusals: Refusals,
    smooth: bool,
    loop: Loop,
    clock: Clock,
    because: str,
) -> None:
    listed = totals_of.listed()
    only = listed[0][1]
    own = source.key is not None and not settings.shared_model
    heading(console, source, settings, None if own else _n_regimes(only), because=because)
    if source.key is not None:
        console.print(f"{counted(loop.n_rows, 'rows')} of {counted(totals_of.n_series, 'keys')}")
        console.print(fleet_table(listed, totals_of.n_series, source.key, clock))
        if settings.shared_model and only.model.is_started:
            console.print(regimes_table(totals_of.of_all, only.model))
        if settings.finds:
            console.print(found_when(only, with_width=False), soft_wrap=True)
        if settings.persist:
            console.print(labels_given(settings, smooth), soft_wrap=True)
        doubtful = totals_of.doubtful
        if only.finished is not None:
            # these were as rows came
            doubtful = Doubtful()
            for key, series in loop.fleet.items():
                doubtful.add(key, series)
        if doubtful.n:
            console.print(
                f"{doubtful.n:,} of {counted(totals_of.n_series, 'keys')} may lack changes; "
                f"{doubtful.first}",
                soft_wrap=True,
                markup=False,
            )
    else:
        n_segments = only.n_segments if settings.finds else None
        in_hindsight = only.finished is not None
        console.print(totals(only.summary, n_segments, in_hindsight=in_hindsight))
        console.print(changes(only, clock), soft_wrap=True, markup=False)
        if settings.finds:
            for line in (found_when(only), *doubts(only)):
                console.print(line, soft_wrap=True)
        if settings.persist:
            console.print(labels_given(settings, smooth), soft_wrap=True)
        for table in regime_tables(only, source.time is not None, clock):
            console.print(table)
        if only.chronicle is not None:
            happenings = only.chronicle.happenings
            console.print(events_or_none(happenings, source.time is not None, clock))
    for line in left_out(totals_of.left_out, refusals):
        console.print(line, soft_wrap=True)
    for line in filter(None, (loop.fleet.was_ahead, loop.fleet.stuck)):
        console.print(line, soft_wrap=True, markup=False)
    if loop.fleet.n_parked:
        console.print(
            f"{counted(loop.fleet.n_parked_now, 'models were')} on disk at the end, as --max-keys "
            f"asks; models were put there {counted(loop.fleet.n_parked, 'times')}",
            soft_wrap=True,
        )


def _n_regimes(series: Series) -> int:
    if series.finished is not None:
        return len(series.finished.regimes)
    model = series.model
    return len(model.labels) if model.finds_regimes else model.mixture.n_components


def _may_go_on(checkpoints: Checkpointing) -> bool:
    """Whether a series need not end with its source, or need not be in memory."""
    return checkpoints.checkpoint is not None or checkpoints.in_memory is not None


def _say_stopped(loop: Loop, checkpoints: Checkpointing) -> None:
    name = signal.Signals(loop.stopped_by or 0).name
    going_on = (
        f"go on with --resume --checkpoint {checkpoints.checkpoint}"
        if checkpoints.checkpoint
        else ("nothing was written; with --checkpoint it could go on")
    )
    err().print(
        f"stopped by {name} after {counted(loop.n_rows, 'rows')}; {going_on}", soft_wrap=True
    )
