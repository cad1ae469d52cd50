"""``replay models``: what a checkpoint has learnt."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from replay.cli.terminal import out
from replay.engine.checkpoint import Checkpoints
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.views.tables import fleet_table, regime_tables, totals

MOST_LISTED = 100
"""Keys whose series are listed, those with most rows."""


def show_models(folder: Path, key: str | None) -> None:
    """Print the series of a checkpoint, or one of them and its model."""
    standing, states = Checkpoints(folder).load()
    told = standing.told
    options = SeriesOptions.of(told)
    console = out()
    n = 0

    def loaded() -> Iterator[tuple[str, Series]]:
        nonlocal n
        for name, state in states:
            n += 1
            if key is None or name == key:
                yield name, Series.from_bytes(state, told["value"], options)

    listed = heapq.nlargest(MOST_LISTED, loaded(), key=lambda item: item[1].summary.n_rows)
    if key is not None and not listed:
        raise InputError(f"{folder} has no model of {key!r}; without a key all are listed")
    console.print(f"{folder}: after {standing.rows:,} rows, {n:,} model{'' if n == 1 else 's'}")
    if not listed:
        return
    console.print(fleet_table(listed, 1 if key else n, told["key"] or "series"))
    if len(listed) > 1:
        return
    series = listed[0][1]
    if not series.model.is_started:
        console.print(
            f"nothing is learnt yet: {series.model.n_points} of {series.model.warm_up} rows of "
            "the warm-up have come"
        )
        return
    console.print(totals(series.summary))
    for table in regime_tables(series, told["time"] is not None):
        console.print(table)
