"""``replay models``: what a checkpoint has learnt."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from online_gmm.data.counted import counted
from replay.cli.terminal import out
from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import of_checkpoint, of_key
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.engine.shared import SharedModel
from replay.sources.times import Clock
from replay.views.costs import cost_tables
from replay.views.roster import ORDERS, Standing
from replay.views.tables import fleet_table, regime_tables, totals

MOST_LISTED = 100
"""Keys whose series are listed."""


def show_models(
    folder: Path, key: str | None, sort: str = "strange", find: str | None = None
) -> None:
    """Print the series of a checkpoint, or one of them and its model.

    Parameters
    ----------
    folder
        That of the checkpoint.
    key
        Whose model is shown; None lists all keys.
    sort
        One of ORDERS: which are listed first.
    find
        A part of the keys that are listed; None for all.
    """
    header, states = Checkpoints(folder).load()
    recorded = header.options
    options = SeriesOptions.of(recorded)
    shared = None
    if header.shared is not None:
        with of_checkpoint(" of all keys"):
            shared = SharedModel.from_bytes(header.shared).model
    console = out()
    n = 0

    def loaded() -> Iterator[tuple[str, Series]]:
        nonlocal n
        for name, state in states:
            n += 1
            if name == key or (key is None and (find is None or find in name)):
                with of_checkpoint(of_key(name)):
                    series = Series.from_bytes(state, recorded["value"], options, shared)
                yield name, series

    order = ORDERS[sort]
    listed = heapq.nlargest(MOST_LISTED, loaded(), key=lambda item: order.by(Standing.of(*item)))
    if key is not None and not listed:
        raise InputError(f"{folder} has no model of {key!r}; without a key all are listed")
    console.print(f"{folder}: after {counted(header.rows, 'rows')}, {counted(n, 'models')}")
    if not listed:
        if find is not None:
            console.print(f"no key has {find!r} in it")
        return
    overview = fleet_table(listed, len(listed), recorded["key"] or "series", Clock())
    if len(listed) < n and key is None:
        of = "" if find is None else f", of the keys with {find!r} in them"
        overview.caption = f"the {len(listed):,} of {n:,} {order.words}{of}"
    console.print(overview)
    if len(listed) > 1:
        return
    series = listed[0][1]
    if not series.model.is_started:
        console.print(
            f"nothing is learnt yet: {series.model.n_points} of {series.model.warm_up} rows of "
            "the warm-up have come"
        )
        return
    n_segments = None
    if series.model.finds_regimes:
        # the one that is going on too
        n_segments = series.n_segments + (series.segmenter.current is not None)
    console.print(totals(series.summary, n_segments))
    for table in regime_tables(series, recorded["time"] is not None, Clock()):
        console.print(table)
    for table in cost_tables(listed, None):
        console.print(table)
