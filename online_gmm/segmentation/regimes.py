"""What is known of each regime: the statistics of its segments, and the card that sums them up."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from online_gmm.data import html
from online_gmm.data.state import instance
from online_gmm.em.mixture import MixtureParameters
from online_gmm.segmentation.row_statistics import RowStatistics
from online_gmm.segmentation.segments import Segment


@dataclass(frozen=True)
class RegimeCard:
    """What a person wants to know of a regime.

    Parameters
    ----------
    label
        Its number.
    share
        The part of all labelled rows that were in it, from 0 to 1.
    visits
        Segments in it, the one going on included.
    typical_stay
        Geometric mean of the rows of its finished segments; NaN before one is finished.
    n
        Rows in it.
    mean, sd
        Mean and standard deviation (over n) of each raw channel, in its units; NaN without a value.
    """

    label: int
    share: float
    visits: int
    typical_stay: float
    n: int
    mean: dict[Hashable, float]
    sd: dict[Hashable, float]

    def _repr_html_(self) -> str:
        return html.page(f"regime {self.label}", (), cards_table([self], {}))


def cards_table(cards: Sequence[RegimeCard], names: Mapping[int, str]) -> str:
    """Return cards as an HTML table with a row for each."""
    channels = list(dict.fromkeys(channel for card in cards for channel in card.mean))
    rows = [
        [
            card.label,
            *([names.get(card.label, "")] if names else []),
            html.Share(card.share, html.colour_of(card.label)),
            f"{card.n:,}",
            f"{card.visits:,}",
            html.number(card.typical_stay),
            *html.channel_cells(channels, card.mean, card.sd),
        ]
        for card in cards
    ]
    heads = ["regime", *(["name"] if names else []), "share of rows", "rows", "visits"]
    return html.table([*heads, "typical stay, rows", *html.channel_heads(channels)], rows)


class Regime:
    """The finished segments of one regime, summed up.

    Attributes
    ----------
    statistics
        Of all rows in it.
    visits
        Finished segments.
    log_stays
        Sum of the logarithms of their lengths in rows.
    """

    __slots__ = ("log_stays", "statistics", "visits")

    def __init__(self, n_channels: int) -> None:
        self.statistics = RowStatistics(n_channels)
        self.visits = 0
        self.log_stays = 0.0

    def add(self, segment: RowStatistics) -> None:
        """Take in a finished segment."""
        self.statistics.add(segment)
        # rows of a segment whose statistics are not known are rows all the same
        self.visits += 1
        self.log_stays += math.log(max(segment.n, 1))

    def absorb(self, other: Regime) -> None:
        """Take in the segments of a regime that turned out to be the same."""
        self.statistics.add(other.statistics)
        self.visits += other.visits
        self.log_stays += other.log_stays

    def card(
        self, label: int, names: Sequence[Hashable], n_all: int, going_on: RowStatistics | None
    ) -> RegimeCard:
        """Sum the regime up, with the segment going on if that is in it. O(D^2)."""
        statistics = self.statistics
        if going_on is not None:
            statistics = statistics.copy()
            statistics.add(going_on)
        return RegimeCard(
            label,
            statistics.n / n_all if n_all else math.nan,
            self.visits + (going_on is not None),
            math.exp(self.log_stays / self.visits) if self.visits else math.nan,
            statistics.n,
            by_name(names, statistics.levels),
            by_name(names, statistics.sds),
        )

    def state(self) -> list[Any]:
        """Return the regime as plain values, for `from_state`."""
        return [self.visits, self.log_stays, self.statistics.state()]

    @classmethod
    def from_state(cls, state: Any, n_channels: int) -> Regime:
        """Return what `state` was made of."""
        visits, log_stays, statistics = state
        result = cls(n_channels)
        result.visits = instance(visits, int, "visits")
        result.log_stays = instance(log_stays, float, "log_stays")
        result.statistics = RowStatistics.from_state(statistics, n_channels)
        return result


def as_mixture(parts: Sequence[RowStatistics], names: tuple[Hashable, ...]) -> MixtureParameters:
    """Return regimes as the components of a mixture. O(K D^2).

    Covariances are shrunk towards the pooled variances within regimes, with the weight of D + 1
    rows, so that a short regime has a density too.
    """
    d = len(names)
    n = np.array([float(part.n) for part in parts])
    values = np.array([part.values for part in parts])
    counts, scatter = values[:, :d], values[:, 4 * d :].reshape(-1, d, d)
    whole = parts[0].copy() if parts[0].n else RowStatistics(d)
    for part in parts[1:]:
        whole.add(part)
    within = sum(np.maximum(values[:, 4 * d :: d + 1], 0.0))
    within = within / np.maximum(whole.counts, 1.0)
    # a channel that never moves has a tiny spread, not none
    least = np.maximum(1e-6 * whole.variances, 1e-12 * (1.0 + whole.means**2))
    pooled = np.zeros((d, d))
    pooled.reshape(-1)[:: d + 1] = np.maximum(within, least)
    weight = d + 1.0
    root = np.sqrt(np.maximum(counts, 1.0))
    covariances = scatter / (root[:, :, None] * root[:, None, :])
    rows = n[:, None, None]
    covariances = (covariances * rows + weight * pooled) / (rows + weight)
    return MixtureParameters(
        (n + 1e-9) / (n + 1e-9).sum(), values[:, d : 2 * d], covariances, names
    )


def segment_of(
    start: Any,
    end: Any,
    label: int,
    statistics: RowStatistics,
    probability: float,
    names: Sequence[Hashable],
) -> Segment:
    """A segment, from the statistics of its rows."""
    levels, sds = by_name(names, statistics.levels), by_name(names, statistics.sds)
    return Segment(start, end, label, statistics.n, probability, levels, sds)


def by_name(
    names: Sequence[Hashable], values: np.ndarray[Any, np.dtype[np.float64]]
) -> dict[Hashable, float]:
    """Values of the channels by their names."""
    return dict(zip(names, values.tolist(), strict=True))
