"""Whether the later half of rows is like the half before it, under components that are known.

A regime that is new in the later half either comes near a component, whose rows then have another
mean or covariance there, or the component that was made of it has no rows before. Where there is
no sign of either, a fit of other regimes would find none that were not there before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import view
from online_gmm.em.slices import ROWS, SLICE, Meter, Sliced

BY_CHANCE = 0.05
"""How often halves that are alike are taken to differ, at most."""
ENOUGH = 10.0
"""Rows of a component in a half that tell something of it."""

Matrix = NDArray[np.float64]


def halves_alike(
    rows: Matrix, means: Matrix, responsibilities: Matrix, meter: Meter
) -> Sliced[bool]:
    """Return whether no component has other rows in the later half, as far as they can tell.

    For each component the means of its features, and of their products about its known mean, are
    compared between the halves. Welch's test has the rows weighted by responsibility, and the
    level is shared among all that is compared.

    Parameters
    ----------
    rows : array of shape (n, D)
        In their order. Halves with missing values are not alike.
    means : array of shape (K, D)
        Of the components known.
    responsibilities : array of shape (n, K)
        Of the components for the rows.
    meter : Meter
        Counts the work, O(n K D^2).
    """
    (n, d), k = rows.shape, len(means)
    n_pairs = (d + 1) * (d + 2) // 2
    farthest = _kernel.exceeded(BY_CHANCE / (k * (n_pairs - 1)), 1)
    weight_before = responsibilities[: n // 2].sum(axis=0)
    its = responsibilities[n // 2 :].sum(axis=0) >= ENOUGH
    if (weight_before[its] < ENOUGH).any():
        return False
    given = view(rows), view(means), view(responsibilities), k
    cost = float((d + 1) * (d + 10))
    size = max(int(SLICE / cost), ROWS)
    for j in np.flatnonzero(its).tolist():
        before, after = np.zeros((2, 3 * n_pairs))
        for sums, begin, end in ((before, 0, n // 2), (after, n // 2, n)):
            for at in range(begin, end, size):
                stop = min(at + size, end)
                _kernel.add_moments(*given, j, at, stop, sums.data)
                if meter.is_full(cost * (stop - at)):
                    yield
        if not _kernel.moments_alike(before.data, after.data, farthest):
            return False
    return True
