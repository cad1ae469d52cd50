"""Regimes that were found, as a person reads them: a card for each, and every change with why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from online_gmm import RegimeCard, RegimeChange, Segmenter

MOST_SHOWN = 12
"""Regimes that are shown, those with most rows."""
MOST_CHANGES = 30
"""Changes that are listed, the last ones."""


def cards_table(segmenter: Segmenter) -> Table:
    """Make a table with a column for each regime: share of time, visits, stays, channels."""
    cards = sorted(segmenter.regimes.values(), key=lambda card: -card.n)
    table = Table(title="Regimes", title_justify="left")
    table.add_column("regime")
    shown = sorted(cards[:MOST_SHOWN], key=lambda card: card.label)
    for card in shown:
        table.add_column(Text(called(card.label, segmenter.names)), justify="right")
    if len(shown) < len(cards):
        table.caption = f"the {MOST_SHOWN} of {len(cards):,} with most rows"
    table.add_row("rows", *(f"{card.n:,}" for card in shown))
    table.add_row("share of rows", *(f"{card.share:.1%}" for card in shown))
    table.add_row("visits", *(f"{card.visits:,}" for card in shown))
    table.add_row("typical stay, rows", *(_stay(card) for card in shown))
    table.add_section()
    for channel in segmenter.learner.channels:
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
    return "-" if math.isnan(mean) else f"{mean:.4g} ± {sd:.2g}"


def changes_table(segmenter: Segmenter, n_changes: int, timed: bool) -> Table | str:
    """Make a table of the changes of regime: where each began, when it was known, and why."""
    names = segmenter.names
    changes = [event for event in segmenter.events if isinstance(event, RegimeChange)]
    changes = changes[-MOST_CHANGES:]
    if not changes:
        return "the regime did not change"
    table = Table(title="Changes of regime", title_justify="left")
    table.add_column("since row", justify="right")
    if timed:
        table.add_column("time")
    table.add_column("known", justify="right")
    table.add_column("regime")
    table.add_column("why")
    for change in changes:
        row, time = change.at
        when = (Text(time),) if timed else ()
        why = "; ".join(str(reason) for reason in change.why if reason.kind != "other")
        before, after = (in_line(label, names) for label in (change.before, change.after))
        table.add_row(
            f"{row:,}", *when, f"+{change.delay:,}", Text(f"{before} -> {after}"), Text(why)
        )
    if len(changes) < n_changes:
        table.caption = f"the last {len(changes):,} of {n_changes:,} changes"
    return table
