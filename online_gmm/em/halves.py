"""Whether the later half of rows is like the half before it, under components that are known.

A regime that is new in the later half either comes near a component, whose rows then have another
mean or covariance there, or the component that was made of it has no rows before. Where there is
no sign of either, a fit of other regimes would find none that were not there before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
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
    farthest = _kernel.exceeded(BY_CHANCE / (k * (d * (d + 3) // 2)), 1)
    weight_before = responsibilities[: n // 2].sum(axis=0)
    its = responsibilities[n // 2 :].sum(axis=0) >= ENOUGH
    if (weight_before[its] < ENOUGH).any():
        return False
    for j in np.flatnonzero(its).tolist():
        found = []
        for half in (slice(0, n // 2), slice(n // 2, n)):
            pair = yield from _moments(rows[half], means[j], responsibilities[half, j], meter)
            found.append(pair)
        (before, its_variance), (after, variance) = found
        with np.errstate(over="ignore", invalid="ignore"):
            is_near = np.square(after - before) <= farthest * (its_variance + variance)
        # nor is it where a value is missing
        if not is_near.all():
            return False
    return True


def _moments(
    rows: Matrix, center: Matrix, share: Matrix, meter: Meter
) -> Sliced[tuple[Matrix, Matrix]]:
    """Weighted means of the products of features and 1, and the variances of these means."""
    n, d = rows.shape
    away = np.ones((n, d + 1))
    np.subtract(rows, center, out=away[:, :d])
    first, second, square = np.zeros((3, d + 1, d + 1))
    cost = float((d + 1) * (d + 10))
    size = max(int(SLICE / cost), ROWS)
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, n, size):
            its, weight = away[at : at + size], share[at : at + size, None]
            weighted = weight * its
            first += its.T @ weighted
            second += weighted.T @ weighted
            weighted *= its
            square += weighted.T @ weighted
            if meter.is_full(cost * len(its)):
                yield
        total = first[d, d]
        mean = first / total
        variance = square - mean * (2.0 * second - mean * second[d, d])
        return mean, np.maximum(variance, 0.0) / total**2
