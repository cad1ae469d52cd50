"""Summaries and comparisons as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from online_gmm import ComponentEvent
from online_gmm.data.counted import counted
from online_gmm.learners.base import UNKNOWN, Learner
from replay.checks.check import Comparison, IncrementalComparison, marks
from replay.engine.durations import duration
from replay.engine.printable import printable
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.engine.summary import Happening, Summary
from replay.sinks.refusals import Refusals
from replay.sources.times import Clock
from replay.views.cards import called, cards_table, changes_table, in_line, mean_and_sd
from replay.views.roster import card

MOST_GONE = 6
"""Regimes that are gone and have a column of their own; those before share one."""
MOST_SHOWN = 12
"""Regimes that are shown, those with most rows."""
MOST_EVENTS = 50
"""Events that are listed, the last ones."""


def regime_tables(series: Series, timed: bool, clock: Clock) -> Iterator[Table | str]:
    """Make the tables of what a series has learnt about its regimes, and of their changes.

    ``timed``: whether the rows have times to show. ``clock``: reads these.
    """
    if series.segmenter.finds_regimes:
        yield cards_table(series)
        yield changes_table(series, timed, clock)
        return
    model = series.model
    yield regimes_table(series.summary, model)
    if (transition := model.transition) is not None:
        yield transition_table(model, transition)


def regimes_table(summary: Summary, model: Learner) -> Table:
    """Make a table with a column for each regime, so that there is room for many features.

    The regimes that the model knows come first, then those with rows that are gone. Rows of which
    nothing was known (label -1) have no column.
    """
    mixture, names = model.mixture, model.names
    here = model.labels
    gone = {event.number: event.kind for event in model.events if event.kind != "born"}
    left = sorted(set(summary.lengths) - {*here, UNKNOWN})
    older, left = left[: -MOST_GONE or None], left[-MOST_GONE:]
    columns: list[tuple[str, tuple[int, ...]]] = [(called(k, names), (k,)) for k in here]
    columns += [(f"{called(k, names)}\n{gone.get(k, 'gone')}", (k,)) for k in left]
    if older:
        columns.append((f"{len(older)} more\ngone", tuple(older)))
    labels = [labels for _, labels in columns]
    table = Table(title="Regimes", title_justify="left")
    table.add_column("regime")
    shown = sorted(range(len(columns)), key=lambda i: -summary.n_labelled(*labels[i]))
    shown = sorted(shown[:MOST_SHOWN])
    for i in shown:
        table.add_column(Text(columns[i][0]), justify="right")
    if len(shown) < len(columns):
        table.caption = f"the {MOST_SHOWN} of {len(columns):,} with most rows"

    def line(name: str, cells: Sequence[str]) -> None:
        table.add_row(name, *[cells[i] if i < len(cells) else "-" for i in shown])

    line("rows", [f"{summary.n_labelled(*k):,}" for k in labels])
    line("share of rows", [f"{summary.n_labelled(*k) / summary.n_rows:.1%}" for k in labels])
    line("weight learnt", [f"{weight:.1%}" for weight in mixture.weights])
    line("segments", [f"{summary.n_segments(*k):,}" for k in labels])
    line("median length, rows", [_length(summary.median_length(*k)) for k in labels])
    line("longest, rows", [f"{summary.longest(*k):,}" for k in labels])
    if (dwell := model.dwell) is not None:
        timed = model.time is not None
        name = "mean stay learnt" if timed else "mean stay learnt, rows"
        line(name, [duration(stay) if timed else _length(stay) for stay in dwell])
    table.add_section()
    for j, feature in enumerate(mixture.features):
        cells = [
            mean_and_sd(mixture.means[k, j], math.sqrt(mixture.covariances[k, j, j]))
            for k in range(mixture.n_components)
        ]
        line(f"{feature}, mean ± sd", cells)
    return table


def events_table(happenings: Sequence[Happening], timed: bool, clock: Clock) -> Table:
    """What happened to components; the last events, if there are very many."""
    table = Table(title="Regimes that came and went", title_justify="left")
    table.add_column("row", justify="right")
    if timed:
        table.add_column("time")
    for name in ("event", "regime", "cause"):
        table.add_column(name, justify="right" if name == "regime" else "left")
    for row, time, event in happenings[-MOST_EVENTS:]:
        when = (clock.shown(time),) if timed else ()
        regime = str(event.number) if event.name is None else f"{event.number} {event.name}"
        table.add_row(f"{row:,}", *when, event.kind, Text(regime), event.cause)
    if len(happenings) > MOST_EVENTS:
        table.caption = f"the last {MOST_EVENTS} of {len(happenings):,} events"
    return table


def events_or_none(happenings: Sequence[Happening], timed: bool, clock: Clock) -> Table | str:
    """What happened to components, or that nothing did."""
    return events_table(happenings, timed, clock) if happenings else "no regime came or went"


def fleet_table(
    listed: Sequence[tuple[str, Series]], n_series: int, key: str, clock: Clock
) -> Table:
    """The series of some keys, one a line: in which regime each is, and since when."""
    table = Table(title="Series", title_justify="left")
    table.add_column(key, no_wrap=True, overflow="fold")
    left = ("typical values", "since")
    for name in ("rows", "regime", *left, "changes", "outliers"):
        table.add_column(name, justify="left" if name in left else "right")
    for name, series in listed:
        summary, segment = series.summary, series.last_segment or series.segmenter.current
        label = since = values = "-"
        if segment is not None:
            label = in_line(segment.label, series.model.names)
            since, values = moment(segment.start, clock), card(series, segment.label)
        table.add_row(
            name,
            f"{summary.n_rows:,}",
            Text(label),
            Text(printable(values)),
            since,
            f"{series.n_changes:,}",
            f"{summary.n_outliers:,}",
        )
    if len(listed) < n_series:
        table.caption = f"the {len(listed)} of {n_series:,} with most rows"
    return table


def left_out(counts: Mapping[str, int], refusals: Refusals) -> list[str]:
    """What was not labelled, and what never came; a line each, if there is any."""
    lines = []
    if refusals.counts:
        reasons = ", ".join(counted(n, reason) for reason, n in refusals.counts.items())
        lines.append(f"refused: {reasons}")
    lines += [counted(n, what) for what, n in counts.items() if n]
    return lines


def transition_table(model: Learner, transition: NDArray[np.float64]) -> Table:
    """Which regime follows which: from one row to the next, or, with times, after a stay."""
    k = len(transition)
    following, title = transition, "Regime of the next row"
    if model.time is not None:
        following, title = np.where(np.eye(k), np.nan, following), "Regime after a stay"
        following = following / np.nansum(following, axis=1, keepdims=True)
    table = Table(title=title, title_justify="left")
    table.add_column("from regime")
    regimes = [in_line(label, model.names) for label in model.labels]
    for regime in regimes:
        table.add_column(Text(f"to {regime}"), justify="right")
    for regime, row in zip(regimes, following, strict=True):
        table.add_row(
            Text(regime), *("-" if math.isnan(share) else f"{share:.2%}" for share in row)
        )
    return table


def labels_given(settings: Settings, whole: bool) -> str:
    """What the labels of a model of regimes that persist are made from."""
    if whole:
        return "rows were labelled together: the most probable sequence given the whole file"
    if settings.lag:
        return f"each row was labelled from those up to {settings.lag} after it"
    return "each row was labelled from those up to it"


def by_points(events: Sequence[ComponentEvent]) -> list[Happening]:
    """Events at the rows learnt, where rows without any value are not counted."""
    return [Happening(event.n_points, "", event) for event in events]


def totals(summary: Summary, n_segments: int | None = None, *, in_hindsight: bool = False) -> str:
    """Rows, segments, outliers and missing values; runs of a label are segments unless counted.

    Outliers are those as rows came, which is said if labels are those in hindsight.
    """
    if n_segments is None:
        n_segments = summary.n_segments(*(its for its in summary.lengths if its != UNKNOWN))
    counts = {
        "rows": summary.n_rows,
        "segments": n_segments,
        f"outliers{' as they came' * in_hindsight}": summary.n_outliers,
        "missing values": summary.n_missing,
    }
    return ", ".join(counted(n, what) for what, n in counts.items())


def changes(series: Series, clock: Clock) -> str:
    """How often the regime changed, and which one it is now since when."""
    n, last, its = series.n_segments, series.last_segment, series.options
    if last is None:
        return "no change of regime: no row had a value"
    options = ""
    if (its.min_dwell, its.confirm) != (1, 1):
        given = f"with --min-dwell {its.min_dwell} --confirm {its.confirm}"
        options = f"{given}: {counted(n, 'segments')}, "
    together = ""
    if series.n_change_rows < series.n_changes:
        together = f", reported at {counted(series.n_change_rows, 'rows')}"
    if last.label == UNKNOWN:
        return "no regime is known yet: there were too few rows"
    return (
        f"{options}{counted(series.n_changes, 'changes of regime')}{together}; in regime "
        f"{in_line(last.label, series.model.names)} since {moment(last.start, clock)}"
    )


def moment(start: tuple[int, str], clock: Clock) -> str:
    """The row at which something began, and its time if it has one."""
    row, time = start
    return f"row {row:,}" + (f", {clock.shown(time)}" if time else "")


def comparison_table() -> Table:
    """The head of the table that `comparison_row` fills."""
    table = Table(title="The learner against batch EM on the same rows", title_justify="left")
    for name in (
        "rows",
        "pass",
        "likelihood gap\nnats a row",
        "parameter error\nrelative",
        "label agreement\nadjusted Rand",
        "batch EM\nsteps",
    ):
        table.add_column(Text(name), justify="right")
    return table


def comparison_row(comparison: Comparison) -> tuple[str, ...]:
    return (
        f"{comparison.rows:,}",
        "polished" if comparison.polished else str(comparison.passes),
        f"{comparison.gap:.2e}",
        # regimes that are fewer than batch EM's cannot be matched to them
        "-" if math.isnan(comparison.error) else f"{comparison.error:.2e}",
        f"{comparison.agreement:.4f}",
        f"{comparison.batch.n_iter}{'' if comparison.batch.converged else ', moving'}",
    )


def incremental_table(comparison: IncrementalComparison) -> Table:
    """Incremental EM and batch EM after as many passes, at 1, 2, 5, 10, ... and the last one."""
    table = Table(title="Incremental EM against the fixed point of batch EM", title_justify="left")
    for name in (
        "pass",
        "free energy gap\nnats a row",
        "never fell",
        "batch EM's gap\nnats a row",
    ):
        table.add_column(Text(name), justify="right")
    for done in marks(comparison.n_passes):
        table.add_row(
            str(done),
            f"{comparison.gap(done):.2e}",
            "yes" if comparison.worst_fall(done)[0] == 0.0 else "no",
            f"{comparison.batch_gap(done):.2e}",
        )
    return table


def _length(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.1f}".removesuffix(".0")
