"""``replay check``: the comparisons as they are printed and drawn."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from online_gmm.data.counted import counted
from replay.cli.terminal import err, heading, out, parent
from replay.engine.protocols import Source
from replay.engine.settings import Settings
from replay.sources.times import Clock

if TYPE_CHECKING:
    from replay.checks.check import Tolerances, Verdict
    from replay.sinks.refusals import Refusals

PASSES = 60
"""Of incremental EM, by default."""


def compare(
    source: Source,
    settings: Settings,
    tolerances: Tolerances,
    plot: Path,
    passes: int | None,
    refusals: Refusals,
    polish: bool = False,
    report: Path | None = None,
    clock: Clock | None = None,
) -> bool:
    """Print the comparison and its verdicts; with a tolerance for the error, the exact one."""
    from replay.checks import check
    from replay.engine.progress import bar_on
    from replay.views.plot import draw_check
    from replay.views.tables import (
        by_points,
        comparison_row,
        comparison_table,
        events_or_none,
        left_out,
    )

    console, notes = out(), err()
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
            notes.print(f"compared at {counted(comparison.rows, 'rows')}", style="dim")
    found = done[-1].batch.mixture.n_components
    heading(console, source, settings, found, streamed=tolerances.error is None)
    console.print(table)
    for line in left_out({}, refusals):
        console.print(line, soft_wrap=True)
    if settings.recycle:
        console.print(events_or_none(by_points(done[-1].events), timed=False, clock=Clock()))
    passed = _verdicts(console, check.judge(done[-1], tolerances))
    draw_check(done, tolerances, Path(source.name).name, parent(plot))
    console.print(f"picture: {plot}", soft_wrap=True)
    if report is not None:
        from replay.cli.running import report_comparison

        report_comparison(report, source, settings, done, refusals, clock or Clock())
    return passed


def compare_increments(
    source: Source,
    settings: Settings,
    max_gap: float,
    max_error: float,
    plot: Path,
    passes: int | None,
    refusals: Refusals,
) -> bool:
    """Print how incremental EM did beside batch EM, and the verdicts."""
    from replay.checks import check
    from replay.engine.progress import bar_on
    from replay.views.plot import draw_increments
    from replay.views.tables import incremental_table, left_out

    console = out()
    comparison = check.in_increments(source, settings, passes or PASSES, bar_on(err()))
    found = comparison.batch.mixture.n_components
    heading(console, source, settings, found, streamed=False)
    console.print(incremental_table(comparison))
    for line in left_out({}, refusals):
        console.print(line, soft_wrap=True)
    passed = _verdicts(console, check.judge_increments(comparison, max_gap, max_error))
    draw_increments(comparison, max_gap, Path(source.name).name, parent(plot))
    console.print(f"picture: {plot}", soft_wrap=True)
    return passed


def _verdicts(console: Console, verdicts: Iterable[Verdict]) -> bool:
    """Print them; whether all passed."""
    passed = True
    for verdict in verdicts:
        console.print("PASS" if verdict.passed else "FAIL", verdict.text, soft_wrap=True)
        passed &= verdict.passed
    return passed
