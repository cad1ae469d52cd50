"""What is known of regimes, as views show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from online_gmm.learners.base import Learner
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent
from replay.engine.costs import Cost, Costs
from replay.engine.series import Series
from replay.views.costs import remarks
from replay.views.decimation import Floats


class Spent(NamedTuple):
    """What regimes have cost, apart from what comes later.

    Parameters
    ----------
    channels, timed
        What is integrated, and whether by hours.
    total
        What each regime has cost.
    days
        The same by day, of the last days.
    remarks
        What is in none of the sums, a line each.
    """

    channels: tuple[str, ...]
    timed: bool
    total: list[Cost]
    days: list[tuple[str, list[Cost]]]
    remarks: list[str]

    @classmethod
    def of(cls, costs: Costs) -> Spent:
        days = costs.days()
        if len(days) < 2 or not costs.timed:
            days = []
        return cls(costs.channels, costs.timed, costs.total(), days, list(remarks([costs])))


class Parameters(NamedTuple):
    """What a learner has learnt, apart from what comes later.

    Parameters
    ----------
    n_points
        Points it has learnt.
    labels, weights, means, sds
        Of each regime; means and standard deviations by column.
    names
        The names of labels, of those that have one.
    stays
        How long each lasts in the mean, where that is learnt: seconds if ``timed``, or rows.
    cards, changes
        Of regimes that were found, and from one to another.
    costs
        What regimes have cost, if that is kept account of.
    merged
        Regimes that turned out to be another one, and which.
    in_hindsight
        Whether a second pass has found the changes, which knew all of them at the last row.
    """

    n_points: int
    labels: tuple[int, ...]
    weights: Floats
    means: Floats
    sds: Floats
    stays: Floats | None
    timed: bool
    names: dict[int, str]
    cards: tuple[RegimeCard, ...] = ()
    changes: tuple[RegimeChange, ...] = ()
    costs: Spent | None = None
    merged: Mapping[int, int] = MappingProxyType({})
    in_hindsight: bool = False

    @classmethod
    def of_series(cls, series: Series) -> Parameters | None:
        """Of a series: what a second pass has found, or else what its learner knows."""
        found = series.finished
        costs = None if series.costs is None else Spent.of(series.costs)
        if found is None:
            known = cls.of(series.model)
            return None if known is None else known._replace(costs=costs)
        cards = list(found.regimes.values())
        return cls(
            series.summary.n_rows,
            tuple(card.label for card in cards),
            np.array([card.share for card in cards]),
            np.array([list(card.mean.values()) for card in cards]),
            np.array([list(card.sd.values()) for card in cards]),
            None,
            False,
            series.model.names,
            tuple(cards),
            found.changes,
            costs,
            in_hindsight=True,
        )

    @classmethod
    def of(cls, model: Learner) -> Parameters | None:
        """Of a learner; None if it knows nothing yet."""
        if not model.labels:
            return None
        mixture = model.mixture
        cards: Any = model.regimes if isinstance(model, FoundRegimes) else {}
        events: Any = model.events if isinstance(model, FoundRegimes) else ()
        return cls(
            model.n_points,
            model.labels,
            mixture.weights,
            mixture.means,
            np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2)),
            model.dwell,
            model.time is not None,
            model.names,
            tuple(cards.values()),
            tuple(event for event in events if isinstance(event, RegimeChange)),
            merged=merged_into(events),
        )


def merged_into(events: Iterable[Event]) -> dict[int, int]:
    """Which regimes turned out to be another one, and which that is now."""
    merged: dict[int, int] = {}
    for event in events:
        if isinstance(event, RegimeEvent) and event.into is not None:
            merged = {
                gone: event.into if into == event.label else into for gone, into in merged.items()
            }
            merged[event.label] = event.into
    return merged
