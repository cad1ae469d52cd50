"""What regimes have cost, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from online_gmm.data.counted import counted
from replay.engine.costs import HOUR, Cost, Costs
from replay.engine.series import Series
from replay.views.cards import in_line

MOST_DAYS = 7
"""Days that are listed, the last ones."""
NOT_KNOWN = "not known"


def heads(channels: Sequence[str], timed: bool) -> list[str]:
    """What the numbers of `cells` are."""
    length = "hours" if timed else "rows"
    return [length, "starts", *(f"{name} x {length}" if timed else name for name in channels)]


def cells(cost: Cost, timed: bool) -> list[str]:
    """How long, how often, and the integral of each channel."""
    length = f"{cost.length:,.2f}" if timed else f"{cost.length:,.0f}"
    return [length, f"{cost.starts:,}", *(f"{value:,.6g}" for value in cost.integrals)]


def regime_of(cost: Cost, series: Series) -> str:
    return NOT_KNOWN if cost.label < 0 else in_line(cost.label, series.model.names)


def cost_tables(listed: Sequence[tuple[str, Series]], key: str | None) -> Iterator[Table | str]:
    """Make the tables of what regimes have cost, and say what is in no regime.

    Parameters
    ----------
    listed
        The series. If there is one only, its last days are shown as well.
    key
        The column of keys; None if there is none.
    """
    kept = [(name, its, its.costs) for name, its in listed if its.costs is not None]
    if not kept:
        return
    all_costs = [costs for _, _, costs in kept]
    channels, timed = all_costs[0].channels, all_costs[0].timed
    table = _table("What regimes cost", [key] if key else [], channels, timed)
    for name, series, costs in kept:
        for i, cost in enumerate(costs.total()):
            first = [Text("" if i else name)] if key else []
            table.add_row(*first, Text(regime_of(cost, series)), *cells(cost, timed))
        table.add_section()
    yield table
    if len(kept) == 1 and timed:
        ((_, series, costs),) = kept
        yield from _days(series, costs)
    yield from remarks(all_costs)


def _days(series: Series, costs: Costs) -> Iterator[Table]:
    days = costs.days()
    if len(days) < 2:
        return
    table = _table("By day", ["day"], costs.channels, True)
    for day, its in days[-MOST_DAYS:]:
        for i, cost in enumerate(its):
            first = "" if i else day
            table.add_row(first, Text(regime_of(cost, series)), *cells(cost, True))
        table.add_section()
    if len(days) > MOST_DAYS:
        table.caption = f"the last {MOST_DAYS} days"
    yield table


def _table(title: str, first: Sequence[str], channels: Sequence[str], timed: bool) -> Table:
    table = Table(title=title, title_justify="left")
    for name in (*first, "regime"):
        table.add_column(Text(name))
    for name in heads(channels, timed):
        table.add_column(Text(name), justify="right")
    return table


def remarks(all_costs: Sequence[Costs]) -> Iterator[str]:
    """What is not in the sums of series of the same channels, a line each."""
    timed = all_costs[0].timed
    for j, channel in enumerate(all_costs[0].channels):
        if missing := sum(cost.missing[j] for costs in all_costs for cost in costs.total()):
            length = f"{missing:,.2f} hours" if timed else counted(round(missing), "rows")
            yield f"{channel} was missing in {length}: not in its integral"
    if gap := sum(costs.gap for costs in all_costs):
        yield f"{gap / HOUR:,.2f} hours of gaps are in no regime"
    if late := sum(costs.n_late for costs in all_costs):
        yield f"{counted(late, 'rows are')} in no integral, as they came late"
    if timed:
        longest = max(costs.longest for costs in all_costs)
        yield (
            f"a value lasts until the next row; the longest time between two rows was "
            f"{longest / HOUR:,.2f} hours (--max-gap sets a limit)"
        )
