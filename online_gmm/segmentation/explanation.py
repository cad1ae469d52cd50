"""Why a segment is another regime: which channels differ from the segment before, and how."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from online_gmm.segmentation.row_statistics import Matrix, RowStatistics

Kind = Literal["level", "spread", "rhythm", "correlation", "missing", "other"]

MOST = 5
"""Reasons that are reported one by one."""
LEAST = 0.02
"""Share of the whole below which a reason is reported with the others."""
WIDE = 16
"""Channels beyond which correlations are left out: there are too many pairs."""
FLOOR = 1e-6
"""Least variance within a segment, as a share of that of both segments together."""
LOST = 0.5
"""Difference in the share of missing values from which on it is a reason of its own."""
TINY = 1e-290
"""Least variance of both segments together: with less, ratios of variances lose their digits."""


@dataclass(frozen=True)
class Reason:
    """One way in which a segment differs from the one before.

    Parameters
    ----------
    channel
        The channel, or the two channels of a correlation as a tuple; None for all the rest.
    kind
        ``level`` (the mean), ``spread`` (the standard deviation), ``rhythm`` (the size of steps
        between neighbouring rows beside the spread), ``correlation``, ``missing`` (a channel that
        vanishes or comes back), or ``other`` for the sum of all smaller reasons.
    before, after
        The mean, standard deviation, roughness or correlation in both segments, in the units of the
        channel; the share of missing values. NaN for ``other``.
    share
        Its part of the log ratio of the change, from 0 to 1. The shares of all reasons sum to 1.
    """

    channel: Hashable | None
    kind: Kind
    before: float
    after: float
    share: float

    def __str__(self) -> str:
        if self.kind == "level":
            return f"{self.channel} {_short(self.before)} -> {_short(self.after)}"
        if self.kind == "other":
            return "other differences"
        if self.kind == "missing":
            return f"{self.channel} missing {self.before:.0%} -> {self.after:.0%}"
        if self.kind == "correlation":
            assert isinstance(self.channel, tuple)
            first, second = self.channel
            return f"correlation of {first} and {second} {self.before:.2f} -> {self.after:.2f}"
        name = "sd" if self.kind == "spread" else "roughness"
        if not self.before > 0.0:
            return f"{self.channel} {name} {_short(self.before)} -> {_short(self.after)}"
        return f"{self.channel} {name} x {self.after / self.before:.2g}"


def _short(value: float) -> str:
    """A number with as many digits as a person reads."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


@dataclass(frozen=True)
class Explanation:
    """How far two segments differ, and why.

    Parameters
    ----------
    log_ratio
        Nats per row by which rows of the new segment are more probable under its own statistics
        than under those of the segment before.
    reasons
        The largest first; their shares sum to 1. Empty if the segments cannot be told apart.
    """

    log_ratio: float
    reasons: tuple[Reason, ...]


NOTHING = Explanation(0.0, ())


def _excess(ratio: Matrix) -> Matrix:
    """Log ratio of two variances' Gaussians with the same mean, (r - 1 - log r) / 2."""
    return 0.5 * (ratio - 1.0 - np.log(ratio))


def _lost(before: RowStatistics, after: RowStatistics) -> Matrix:
    """Log ratio by which values are missing, of channels that are mostly so in one of two only."""
    m0, m1 = (((its.n - its.counts) + 0.5) / (its.n + 1.0) for its in (before, after))
    ratio = m1 * np.log(m1 / m0) + (1.0 - m1) * np.log((1.0 - m1) / (1.0 - m0))
    return np.where(abs(after.shares_missing - before.shares_missing) > LOST, ratio, 0.0)


def explain(
    before: RowStatistics, after: RowStatistics, names: Sequence[Hashable], missing: bool = False
) -> Explanation:
    """Compare two segments channel by channel.

    Parameters
    ----------
    before, after
        Statistics of the two segments.
    names
        The D names of the channels.
    missing
        Whether it is a reason that most values of a channel are missing in one of them.

    Returns
    -------
    Explanation

    Notes
    -----
    The log ratio is that of a composite likelihood: each channel has a Gaussian level and spread,
    Gaussian steps beside its spread, and, with at most 16 channels, a Gaussian correlation with
    each other one. With ``missing``, its values are missing by chance. Every part is a
    Kullback-Leibler divergence, so none is negative, and they add up. O(D^2).

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.segmentation.explanation import explain
    >>> from online_gmm.segmentation.row_statistics import RowStatistics
    >>> rng = np.random.default_rng(1)
    >>> idle = rng.normal([0.2, 1.0], [0.1, 0.1], size=(200, 2))
    >>> run = rng.normal([40.0, 1.0], [0.1, 0.3], size=(50, 2))
    >>> why = explain(RowStatistics.of(idle), RowStatistics.of(run), ("flow", "vibration"))
    >>> print(why.reasons[0], round(sum(reason.share for reason in why.reasons), 12))
    flow 0.186 -> 40 1.0
    """
    known = (before.counts > 1) & (after.counts > 1)
    lost = _lost(before, after) if missing else np.zeros(len(names))
    if not (known.any() or lost.any()):
        return NOTHING
    together = before.copy()
    together.add(after)
    overall, own0, own1 = together.variances, before.variances, after.variances
    # a channel that never moves cannot be told from itself, nor one whose variance is next to zero
    moves = known & (overall > np.maximum(TINY, 1e-24 * together.means**2))
    floor = np.where(moves, FLOOR * overall, 1.0)
    v0 = np.where(moves, np.maximum(own0, floor), 1.0)
    v1 = np.where(moves, np.maximum(own1, floor), 1.0)
    parts: list[tuple[float, Hashable, Kind, float, float]] = []
    level = np.where(moves, (after.means - before.means) ** 2 / (2.0 * v0), 0.0)
    spread = np.where(moves, _excess(v1 / v0), 0.0)
    q0 = np.maximum(before.roughness_of(own0), FLOOR)
    q1 = np.maximum(after.roughness_of(own1), FLOOR)
    has_steps = moves & (before.n_steps > 1) & (after.n_steps > 1)
    has_steps &= (own0 > floor) & (own1 > floor)
    rhythm = np.where(has_steps, _excess(q1 / q0), 0.0)
    kinds: tuple[tuple[Kind, Matrix, Matrix, Matrix], ...] = (
        ("level", level, before.means, after.means),
        ("spread", spread, before.sds_of(own0), after.sds_of(own1)),
        ("rhythm", rhythm, q0, q1),
        ("missing", lost, before.shares_missing, after.shares_missing),
    )
    columns = [
        (kind, values.tolist(), ones.tolist(), others.tolist())
        for kind, values, ones, others in kinds
    ]
    for i, name in enumerate(names):
        parts += [(values[i], name, kind, one[i], other[i]) for kind, values, one, other in columns]
    if 1 < len(names) <= WIDE:
        c0, c1 = (
            np.minimum(np.maximum(its.correlations, -0.999), 0.999) for its in (before, after)
        )
        pairs = 0.5 * np.log((1.0 - c0**2) / (1.0 - c1**2)) + (c0**2 - c0 * c1) / (1.0 - c0**2)
        values, one, other = pairs.tolist(), c0.tolist(), c1.tolist()
        moving = np.flatnonzero(moves).tolist()
        for i, j in ((i, j) for i in moving for j in moving if j < i):
            both = (names[j], names[i])
            share = max(values[i][j], 0.0)
            parts.append((share, both, "correlation", one[i][j], other[i][j]))
    whole = sum(part[0] for part in parts)
    if not 0.0 < whole < np.inf:
        return NOTHING
    parts.sort(key=lambda part: -part[0])
    reasons = [
        Reason(channel, kind, one, other, value / whole)
        for i, (value, channel, kind, one, other) in enumerate(parts[:MOST])
        # of very many alike, one is named
        if value >= LEAST * whole or i == 0
    ]
    rest = 1.0 - sum(reason.share for reason in reasons)
    if len(parts) > len(reasons) and rest > 1e-12:
        reasons.append(Reason(None, "other", np.nan, np.nan, rest))
    return Explanation(whole, tuple(reasons))
