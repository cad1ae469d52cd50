"""Regimes of several devices as one: the same regime is found by its statistics."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from online_gmm.data.counted import must_be_real
from online_gmm.em.mixture import MixtureParameters
from online_gmm.segmentation.explanation import explain
from online_gmm.segmentation.regimes import Regime, RegimeCard, as_mixture
from online_gmm.segmentation.segmenter import Segmenter

ALIKE = 0.5
"""Nats per row, both ways together: two levels 0.7 sd apart."""


@dataclass(frozen=True)
class Pool:
    """The regimes of several segmenters.

    Parameters
    ----------
    regimes
        A card for each regime, by its number in the pool.
    numbers
        Of each segmenter, the number in the pool of each of its regimes.
    mixture
        The regimes as components of a Gaussian mixture, in the order of their numbers.
    """

    regimes: dict[int, RegimeCard]
    numbers: tuple[dict[int, int], ...]
    mixture: MixtureParameters


def pool(segmenters: Iterable[Segmenter], *, alike: float = ALIKE) -> Pool:
    """Put the regimes of several segmenters together, so that statistics are shared.

    A regime of a segmenter is the nearest regime of the pool if they are alike, else a new one. Two
    regimes of one segmenter are never the same in the pool. The segmenters are left as they are.

    Parameters
    ----------
    segmenters
        Segmenters without a model, of the same channels, at least one that knows a regime. Those
        that know nothing yet have no part.
    alike
        Nats per row up to which two regimes are the same: the sum of the two log ratios by which
        rows of either are more probable under their own statistics than under the other's
        (Jeffreys' divergence). Raise it for devices that are calibrated differently.

    Returns
    -------
    Pool

    Raises
    ------
    TypeError
        If they are no list, or one of them is no segmenter.
    ValueError
        If channels differ, no regime is known, or ``alike`` is below 0.

    Notes
    -----
    Statistics of the same regime are merged exactly (Chan, Golub & LeVeque 1979), as if one
    segmenter had seen the rows of all. O(R K D^2) for R regimes of K in the pool.

    Examples
    --------
    >>> import random
    >>> from online_gmm import Segmenter
    >>> from online_gmm.segmentation.pooling import pool
    >>> rng = random.Random(1)
    >>> first, second = Segmenter(), Segmenter()
    >>> for level in [10.0] * 300 + [20.0] * 300:
    ...     first.learn_one({"flow": rng.gauss(level, 1.0)})
    >>> for level in [20.0] * 300 + [10.0] * 300:
    ...     second.learn_one({"flow": rng.gauss(level, 1.0)})
    >>> both = pool([first, second])
    >>> both.numbers
    ({0: 0, 1: 1}, {0: 1, 1: 0})
    >>> [(round(card.n, -1), round(card.mean["flow"])) for card in both.regimes.values()]
    [(600, 10), (600, 20)]
    """
    must_be_real("alike", alike, "a number of nats, at least 0", lambda nats: nats >= 0.0)
    if isinstance(segmenters, Segmenter):
        raise TypeError("one segmenter is given; pool takes a list of them")
    names: tuple[Hashable, ...] | None = None
    pooled: list[Regime] = []
    numbers: list[dict[int, int]] = []
    for segmenter in segmenters:
        if not isinstance(segmenter, Segmenter):
            advice = "; of a dict give its values()" if isinstance(segmenters, Mapping) else ""
            raise TypeError(f"segmenters are pooled, and {segmenter!r} is none{advice}")
        found = segmenter._finder
        mine: dict[int, int] = {}
        numbers.append(mine)
        for label, regime in found.all_regimes().items():
            if names is None:
                names = found.channels
            if names != found.channels:
                raise ValueError(
                    f"one segmenter has the channels {', '.join(map(repr, names))} and another one "
                    f"{', '.join(map(repr, found.channels))}; pooled regimes need the same"
                )
            place = _nearest(regime, pooled, set(mine.values()), names, alike)
            if place is None:
                place = len(pooled)
                pooled.append(Regime(len(names)))
            pooled[place].absorb(regime)
            mine[label] = place
    if names is None:
        raise ValueError("none of these segmenters knows a regime yet")
    n_all = sum(regime.statistics.n for regime in pooled)
    return Pool(
        {i: regime.card(i, names, n_all, None) for i, regime in enumerate(pooled)},
        tuple(numbers),
        as_mixture([regime.statistics for regime in pooled], names),
    )


def _nearest(
    regime: Regime,
    pooled: Sequence[Regime],
    taken: set[int],
    names: Sequence[Hashable],
    alike: float,
) -> int | None:
    """The place of the regime that is most like this one, if that is alike enough."""
    best, place = alike, None
    for i, other in enumerate(pooled):
        if i in taken:
            continue
        one, two = regime.statistics, other.statistics
        apart = explain(one, two, names).log_ratio + explain(two, one, names).log_ratio
        if apart <= best:
            best, place = apart, i
    return place
