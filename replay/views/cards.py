"""Regimes that were found, as a person reads them: a card for each, and every change with why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from online_gmm import RegimeCard, RegimeChange
from online_gmm.data.counted import counted
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.window_of_time import LEAST_WINDOW
from replay.engine.series import Series
from replay.sources.times import Clock

MOST_SHOWN = 12
"""Regimes that are shown, those with most rows."""
MOST_CHANGES = 30
"""Changes that are listed, the last ones."""
FEW, FEW_AS_THEY_COME = 130, 300
"""In fewer rows a change is seldom found, with the whole series at hand and without it."""
LEAST_ROWS = 5 * LEAST_WINDOW
"""In fewer rows no change is found, whatever the window."""


def cards_table(series: Series) -> Table:
    """Make a table with a column for each regime: share of time, visits, stays, channels."""
    found = series.finished
    regimes = series.segmenter.regimes if found is None else found.regimes
    cards = sorted(regimes.values(), key=lambda card: -card.n)
    table = Table(title="Regimes", title_justify="left")
    table.add_column("regime")
    shown = sorted(cards[:MOST_SHOWN], key=lambda card: card.label)
    for card in shown:
        table.add_column(Text(called(card.label, series.segmenter.names)), justify="right")
    if len(shown) < len(cards):
        table.caption = f"the {MOST_SHOWN} of {len(cards):,} with most rows"
    table.add_row("rows", *(f"{card.n:,}" for card in shown))
    table.add_row("share of rows", *(f"{card.share:.1%}" for card in shown))
    table.add_row("visits", *(f"{card.visits:,}" for card in shown))
    table.add_row("typical stay, rows", *(_stay(card) for card in shown))
    table.add_section()
    for channel in series.segmenter.learner.channels:
        table.add_row(f"{channel}, mean ± sd", *(_mean_and_sd(card, channel) for card in shown))
    return table


def called(label: int, names: Mapping[int, str]) -> str:
    """A label and its name, if it has one."""
    return f"{label}\n{names[label]}" if label in names else str(label)


def in_line(label: int, names: Mapping[int, str]) -> str:
    """The same in one line."""
    return called(label, names).replace("\n", " ")


def _stay(card: RegimeCard) -> str:
    return "-" if math.isnan(card.typical_stay) else f"{card.typical_stay:,.0f}"


def _mean_and_sd(card: RegimeCard, channel: object) -> str:
    mean, sd = card.mean.get(channel, math.nan), card.sd.get(channel, math.nan)
    return "-" if math.isnan(mean) else mean_and_sd(mean, sd)


def mean_and_sd(mean: float, sd: float) -> str:
    """Both to the second significant digit of the standard deviation."""
    if not 1e-6 <= sd < 1e6 or abs(mean) >= 1e9:
        return f"{mean:.6g} ± {sd:.2g}"
    digits = max(1 - math.floor(math.log10(sd)), 0)
    rounded = round(float(mean), digits) + 0.0  # no minus before a zero
    return f"{rounded:,.{digits}f} ± {sd:,.{digits}f}"


def changes_table(series: Series, timed: bool, clock: Clock) -> Table | str:
    """Make a table of the changes of regime: where each began, when it was known, and why.

    After a second pass all changes are known at the end, so that is left out.
    """
    found, names = series.finished, series.segmenter.names
    events = series.segmenter.events if found is None else found.changes
    changes = [event for event in events if isinstance(event, RegimeChange)][-MOST_CHANGES:]
    if not changes:
        return "the regime did not change"
    table = Table(title="Changes of regime", title_justify="left")
    table.add_column("since row", justify="right")
    if timed:
        table.add_column("time")
    if found is None:
        table.add_column("known", justify="right")
    table.add_column("regime")
    table.add_column("why")
    for change in changes:
        row, time = change.at
        when = (Text(clock.shown(time)),) if timed else ()
        why = "; ".join(str(reason) for reason in change.why if reason.kind != "other")
        regimes = f"{in_line(change.before, names)} -> {in_line(change.after, names)}"
        known = (f"+{change.delay:,}",) if found is None else ()
        table.add_row(f"{row:,}", *when, *known, Text(regimes), Text(why))
    if len(changes) < series.n_changes:
        table.caption = f"the last {len(changes):,} of {series.n_changes:,} changes"
    return table


def found_when(series: Series, *, with_width: bool = True) -> str:
    """Say what the labels, segments and changes are made from, and through windows of how many."""
    if series.finished is None:
        model = series.model
        its = model.window_ if with_width and isinstance(model, FoundRegimes) else None
        width = f", through windows of {its:,} rows" if its else ""
        lag = model.lag
        when = f"when {counted(lag, 'more rows')} had come" if lag else "as rows came"
        return (
            f"labels are those known {when}{width}; changes were reported some rows after they "
            "began"
        )
    window = series.finished.window if with_width else None
    width = f", through windows of {window:,} rows" if window else ""
    return f"labels, segments and changes were found with the whole series at hand{width}"


def doubts(series: Series) -> list[str]:
    """Say what may have kept changes from being found; a line each."""
    lines = []
    n, model = series.summary.n_rows, series.model
    if series.options.on_gap == "reset" and 2 * series.order.n_gaps > n:
        lines.append(
            "most steps are longer than --max-gap: each of them ends a segment, so that no regime "
            "can be told from another"
        )
    few = FEW_AS_THEY_COME if series.finished is None else FEW
    if (
        isinstance(model, FoundRegimes)
        and not series.n_changes
        and model.window is None
        and n < few
    ):
        shorter = f"; --window {LEAST_WINDOW} looks for them in fewer" if n >= LEAST_ROWS else ""
        lines.append(
            f"{counted(n, 'rows are')} few: changes are found from some {few} rows on{shorter}"
        )
    return lines
