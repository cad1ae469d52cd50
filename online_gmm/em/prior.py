"""The inverse-Wishart prior on covariances, scaled to the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import view
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.slices import SLICE, Sliced, finish

REDUNDANT = 0.02
"""Eigenvalue of the correlation matrix below which a direction repeats what others say."""
LEAST = 1e-12
"""No floor of a variance is less than this, relative to the variance of the feature."""
LEVEL = 6.0
"""Standard deviations between two levels of few."""
FEW_VALUES = 4
"""Values that may be levels; more are rounded."""
ROUNDED = math.sqrt(2.0 * math.pi)
"""Standard deviations in a step of what is rounded."""
UNMOVED = 0.01
"""Resolution of a feature that has never moved, relative to its value."""
JOINT = 10
"""Rows in which two features must both have values before their correlation is taken."""
LEAST_VARIANCE = 1e-280
"""A feature of less variance does not vary as far as doubles can tell: a tenth of its standard
deviation has no square, and a millionth no inverse square."""
LEAST_VALUE = 1e-130
"""What is nearer to 0 is as good as 0 where a scale is guessed from a value."""
SAMPLE = 4096
"""Rows, or up to twice as many, that tell resolutions and correlations of more rows."""
COLUMN = 40.0
"""The work of telling the scale of a feature, a value: these are sorted."""
STRONGEST = 1e6
"""Pseudo-points at most: times the largest variance, they are still a double."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Each component is born with a few pseudo-points that have the scale of the data.

    The covariance of a component with n_k points of scatter S is read out as
    ``(n_k S + strength C) / (n_k + strength)``, the maximum a posteriori under a prior density
    proportional to ``|Sigma|^(-strength/2) exp(-strength tr(C Sigma^-1) / 2)``. The diagonal of C
    has the variances of the features over K^(2/D) (Fraley & Raftery 2007, section 3), so that data
    in other units get the same answer in those units. C is diagonal unless some features say the
    same as others: in such a direction C is as flat as the data. A C that is wide there would
    reward one component for taking all points, because its variance in the flat direction is
    ``strength C / n_k``.

    Parameters
    ----------
    strength
        Pseudo-points per component.
    covariance
        C, shape (D, D), positive definite.
    floors
        Shape (D,), positive: the least variance that a component may have in each feature, where
        a step is the smallest between two values that were seen. With up to 4 values each may be a
        level of its own, 6 standard deviations from the next one. More values are a measurement
        that was rounded: a component on one of them may be no more probable there than its share
        of the points, which takes a standard deviation of a step over the square root of 2 pi.
        Never below 1e-12 of the variance of the feature.
    scale_known
        False if a feature never varied. Its resolution is then taken as 1 % of its value.
    """

    strength: float
    covariance: NDArray[np.float64]
    floors: NDArray[np.float64]
    scale_known: bool = True

    @property
    def variances(self) -> NDArray[np.float64]:
        """The diagonal of C."""
        return np.diagonal(self.covariance)

    @classmethod
    def of(cls, X: NDArray[np.float64], n_components: int, strength: float) -> Prior:
        """The prior for data of shape (n, D); NaN stands for a missing value. O(n D^2)."""
        return finish(cls.scaling(X, n_components, strength))

    @classmethod
    def scaling(cls, X: NDArray[np.float64], n_components: int, strength: float) -> Sliced[Prior]:
        """Do the same in slices."""
        n, d = X.shape
        variances, values, steps = np.zeros((3, d))
        every = max(n // SAMPLE, 1)
        columns = np.ascontiguousarray(X.T)
        # so many columns are the work of a slice
        size = math.ceil(SLICE / (COLUMN * max(n, 1)))
        for at in range(0, d, size):
            part = slice(at, at + size)
            its = columns[part]
            steps[part] = least_sds(its[:, ::every])
            _kernel.spreads(view(its), n, len(its), view(variances[part]), view(values[part]))
            if len(its) == size:
                yield
        correlation = correlations(X[::every])
        return cls._of_scales(variances, values, steps, correlation, n_components, strength)

    @classmethod
    def of_moments(
        cls,
        variances: NDArray[np.float64],
        values: NDArray[np.float64],
        n_components: int,
        strength: float,
        X: NDArray[np.float64],
    ) -> Prior:
        """The prior for data with these variances, shape (D,); see `of`.

        ``values`` are any of the data, 0 where a feature was never seen. ``X`` are rows of the
        data, or of a sample, that tell resolutions and correlations.
        """
        return cls._of_scales(
            variances, values, least_sds(X.T), correlations(X), n_components, strength
        )

    @classmethod
    def _of_scales(
        cls,
        variances: NDArray[np.float64],
        values: NDArray[np.float64],
        steps: NDArray[np.float64],
        correlation: NDArray[np.float64],
        n_components: int,
        strength: float,
    ) -> Prior:
        scales, varies = variances, variances > LEAST_VARIANCE
        scale_known = bool(varies.all())
        if not scale_known:
            # what doubles can tell from 0
            known = np.abs(values) > LEAST_VALUE
            unmoved = UNMOVED * np.where(known, np.abs(values), 1.0)
            steps = np.where(varies, steps, unmoved / LEVEL)
        floors = np.maximum(steps**2, LEAST * variances)
        floors = np.where(floors > LEAST * LEAST_VARIANCE, floors, LEAST)
        if not scale_known:
            scales = np.where(varies, variances, floors)
        sd = np.sqrt(scales * n_components ** (-2.0 / len(scales)))
        covariance = sd[:, None] * _flattened(correlation) * sd
        return cls(strength, covariance, floors, scale_known)

    def for_more(self, times: float, strength: float) -> Prior:
        """The prior of the same data for so many times as many components."""
        covariance = self.covariance * times ** (-2.0 / len(self.floors))
        return Prior(strength, covariance, self.floors, self.scale_known)

    def with_strength(self, strength: float) -> Prior:
        return Prior(strength, self.covariance, self.floors, self.scale_known)

    def log_density(self, mixture: MixtureParameters, covariance_type: str) -> float:
        """Log prior density of a mixture's covariances, but for a constant."""
        if self.strength == 0.0:
            return 0.0
        covariances = mixture.covariances[:1] if covariance_type == "tied" else mixture.covariances
        factors = np.linalg.cholesky(covariances)
        log_det = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum()
        root = np.linalg.cholesky(self.covariance)
        whitened = np.linalg.solve(factors, root[None])
        return float(-self.strength / 2 * (log_det + np.square(whitened).sum()))


def least_sds(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations that the smallest step between two values asks for, of each column.

    ``columns`` have the shape (D, n). 0 if there is one value only.
    """
    ordered = np.sort(columns, axis=1)
    least, n_steps = np.empty((2, len(columns)))
    _kernel.least_steps(view(ordered), columns.shape[1], len(columns), view(least), view(n_steps))
    return least / np.where(n_steps < FEW_VALUES, LEVEL, ROUNDED)


def correlations(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations of the features, each from the rows that have both; shape (D, D). O(n D^2).

    0 where there are too few such rows, or a feature does not vary. Correlations from different
    rows may be those of no data; the nearest that can be are returned then.
    """
    if X.shape[1] == 1:
        return np.ones((1, 1))
    seen = ~np.isnan(X)
    if seen.all():
        return _complete_correlations(X)
    n = seen.sum(axis=0)
    first = np.array(
        [column[ok][0] if ok.any() else 0.0 for column, ok in zip(X.T, seen.T, strict=True)]
    )
    with np.errstate(invalid="ignore", over="ignore"):
        centred = np.where(seen, X - first, 0.0)
        centred = np.where(seen, centred - centred.sum(axis=0) / np.maximum(n, 1), 0.0)
        scale = np.abs(centred).max(axis=0, initial=0.0)
        centred /= np.where(scale > 0.0, scale, 1.0)
    joint = seen.T.astype(np.float64) @ seen
    products, squares = centred.T @ centred, (centred**2).T @ seen
    spread = np.sqrt(squares * squares.T)
    known = (joint >= JOINT) & (spread > 0.0)
    result = np.where(known, products / np.where(spread > 0.0, spread, 1.0), 0.0)
    np.fill_diagonal(result, 1.0)
    result = np.clip(result, -1.0, 1.0)
    eigenvalues, vectors = np.linalg.eigh(result)
    if eigenvalues[0] < 0.0:
        result = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
        sd = np.sqrt(np.diagonal(result))
        result /= sd[:, None] * sd
        np.fill_diagonal(result, 1.0)
    return np.asarray(result)


def _complete_correlations(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of rows without missing values."""
    if len(X) < JOINT:
        return np.eye(X.shape[1])
    centred = np.ascontiguousarray(X.T)
    centred = centred - centred[:, :1]
    # methods of arrays would be half of the cost of few rows
    centred -= np.add.reduce(centred, axis=1, keepdims=True) / len(X)
    scale = np.maximum.reduce(np.abs(centred), axis=1, keepdims=True)
    centred /= np.where(scale > 0.0, scale, 1.0)
    products = centred @ centred.T
    sd = np.sqrt(np.diagonal(products))
    spread = sd[:, None] * sd
    known = spread > 0.0
    result = np.where(known, products / np.where(known, spread, 1.0), 0.0)
    result.flat[:: len(result) + 1] = 1.0
    return np.asarray(np.minimum(np.maximum(result, -1.0), 1.0))


def _flattened(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The identity, but flat where features repeat each other. O(D^3)."""
    if len(correlation) == 1:
        return np.eye(1)
    eigenvalues, vectors = np.linalg.eigh(correlation)
    redundant = eigenvalues < REDUNDANT
    if not redundant.any():
        return np.eye(len(correlation))
    flat = np.maximum(eigenvalues[redundant], LEAST) / REDUNDANT
    away = vectors[:, redundant]
    return np.asarray(np.eye(len(correlation)) - (away * (1.0 - flat)) @ away.T)
