"""Whether the regimes of a segmentation can be told apart where nobody was told them.

The first half of each segment teaches a classifier which regime a window shows; it is asked about
the second half, and the other way round. Two regimes that only differ by chance are not recognised,
nor are the parts of a slow drift: the second half of one part is as near to the next part as to its
own first half. CLaP (Ermshaus, Schäfer & Leser 2025) judges segmentations by a classifier too, with
folds in place of halves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.segmentation.convolutions import shares_above
from online_gmm.segmentation.hindsight import Ints, Matrix, Stretch, edges_of

N_ROWS = 500
"""Rows at which windows are looked at, evenly spread, at most."""
LOOKS = 8
"""Looks in a window at most: closer ones show the same."""
WINDOWS = (48, 192)
RIDGE = 1e-3
SOFT = 0.02
"""Standard deviations count at least as so much."""
STRADDLING = 0.25
"""Windows that straddle a beginning are left out, up to so much of a segment."""
LEVELS = 0.25
"""What means and spreads count beside convolutions, to which a level is nothing."""
FEWEST = 5
"""Windows from which regimes can be learnt."""
CHANGE_COST = 0.4
"""How much it counts what it takes to tell where the changes are; tuned on labelled series."""
DOUBT = 0.4
"""Share of what regimes would tell that they must tell to be worth anything; tuned so, too."""
MOST_BY_CHANCE = 0.55
"""The share that changes in noise do not reach: up to 0.5 in 48 series of noise."""


class Recognised(NamedTuple):
    """What regimes are worth to one who has to recognise them.

    Parameters
    ----------
    worth
        What they tell beyond doubt, less what changes cost, nats a window.
    beyond_chance
        Whether they tell more than changes in noise may.
    """

    worth: float
    beyond_chance: bool


class Recognition:
    """Ridge regression of regimes on the convolutions of windows, half a segment on the other.

    Parameters
    ----------
    X
        Rows in the usual units of their channels, shape (n, D); NaN is a missing value.
    stretches
        Rows between gaps: no window spans one.
    windows
        Lengths of windows to choose from: those that come nearest to `WINDOWS` are looked through.
    """

    def __init__(self, X: Matrix, stretches: Sequence[Stretch], windows: Sequence[int]) -> None:
        n = len(X)
        self.n = n
        nearest = {min(windows, key=lambda its: abs(math.log(its / one))) for one in WINDOWS}
        windows = sorted(nearest)
        n_rows = min(N_ROWS, LOOKS * n // windows[0])
        rows = np.linspace(windows[-1] - 1, n - 1, n_rows).astype(np.int64)
        begins = np.array([begin for begin, _ in stretches])
        start = begins[np.searchsorted(begins, rows, side="right") - 1]
        self.rows: Ints = np.unique(rows[rows - start >= windows[-1] - 1])
        self.windows = tuple(windows)
        self.likeness: list[Matrix] = []
        if len(self.rows) < 2 * FEWEST:
            return
        every = shares_above(X, self.rows, self.windows)
        for window, shares in zip(self.windows, every, strict=True):
            z = shares - shares.mean(axis=0)
            z /= z.std(axis=0) + SOFT
            moments = _moments(X, self.rows, window)
            weight = LEVELS * z.shape[1] / moments.shape[1]
            self.likeness.append((z @ z.T).astype(np.float64) + weight * (moments @ moments.T))

    def most(self, labels: Ints) -> float:
        """The worth if all regimes were recognised, nats a window."""
        return (1.0 - DOUBT) * entropy(labels[self.rows]) - self._cost(labels)

    def of(self, labels: Ints) -> Recognised:
        """What the regimes of a segmentation are worth to one who has to recognise them."""
        whole = entropy(labels[self.rows])
        told = 0.0
        if self.likeness:
            each = zip(self.windows, self.likeness, strict=True)
            told = float(np.mean([self._told(labels, *its) for its in each]))
        return Recognised(told - DOUBT * whole - self._cost(labels), told > MOST_BY_CHANCE * whole)

    def _cost(self, labels: Ints) -> float:
        """Nats a window that it takes to tell where the changes are, as far as they count."""
        changes = int(np.count_nonzero(np.diff(labels)))
        each = [math.log(max(2.0, self.n / its)) * its / self.n for its in self.windows]
        return CHANGE_COST * changes * float(np.mean(each))

    def _told(self, labels: Ints, window: int, likeness: Matrix) -> float:
        """The information between regimes and what they were taken for."""
        rows = self.rows
        edges = edges_of(labels)
        begins, lengths = edges[:-1], np.diff(edges)
        segment = np.searchsorted(begins, rows, side="right") - 1
        age, length = rows - begins[segment], lengths[segment]
        straddling = np.minimum(window, STRADDLING * length)
        middle = (length + straddling) / 2.0
        first = (age >= straddling) & (age < middle)
        second = age >= middle + straddling
        regimes = np.unique(labels[rows], return_inverse=True)[1]
        true, taken = [], []
        for taught, asked in ((first, second), (second, first)):
            if taught.sum() >= FEWEST and asked.any():
                true.append(regimes[asked])
                taken.append(_classified(likeness, regimes, taught, asked))
        return information(np.concatenate(true), np.concatenate(taken)) if true else 0.0


def _moments(X: Matrix, rows: Ints, window: int) -> Matrix:
    """Standardised means and spreads of each channel in the windows that end at some rows."""
    values = X[rows[:, None] - np.arange(window)]
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=1), 1)
    means = np.where(known, values, 0.0).sum(axis=1) / counts
    rests = np.where(known, values - means[:, None], 0.0)
    spreads = np.log1p(np.sqrt((rests**2).sum(axis=1) / counts))
    moments = np.concatenate([means, spreads], axis=1)
    moments -= moments.mean(axis=0)
    result: Matrix = moments / (moments.std(axis=0) + SOFT)
    return result


def _classified(
    likeness: Matrix, regimes: Ints, taught: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> Ints:
    """The regimes of some windows, learnt from others by ridge regression."""
    among = likeness[np.ix_(taught, taught)]
    # windows that all show the same are alike in nothing
    size = float(np.trace(likeness)) or 1.0
    among[np.diag_indices_from(among)] += RIDGE * float(taught.mean()) * size
    members = np.eye(int(regimes.max()) + 1)[regimes[taught]]
    shares = members.mean(axis=0)
    weights = np.linalg.solve(among, members - shares)
    result: Ints = (likeness[np.ix_(asked, taught)] @ weights + shares).argmax(axis=1)
    return result


def information(a: Ints, b: Ints) -> float:
    """Nats that one labelling tells of another (Shannon 1948)."""
    width = int(max(a.max(), b.max())) + 1
    table = np.bincount(a * width + b, minlength=width * width).reshape(width, width) / len(a)
    alone = np.outer(table.sum(axis=1), table.sum(axis=0))
    seen = table > 0.0
    return float((table[seen] * np.log(table[seen] / alone[seen])).sum())


def entropy(labels: Ints) -> float:
    """Nats that a label tells (Shannon 1948)."""
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0.0]
    return float(-(shares * np.log(shares)).sum())
