"""Centred statistics of rows: level, spread, rhythm and correlation of the raw channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.state import doubles

Matrix = NDArray[np.float64]
Arrays = tuple[Matrix, Matrix, Matrix, Matrix, Matrix]
"""Counts, means, scatter, steps and numbers of steps."""


class RowStatistics:
    """Sufficient statistics of rows, which can be merged (Chan, Golub & LeVeque 1979).

    Parameters
    ----------
    n_channels
        D.

    Attributes
    ----------
    n
        Rows.
    values
        All that follows, as one array.

    Notes
    -----
    With missing values, products of two channels are summed over rows that have both. When such
    statistics are merged, values are taken to be missing independently.
    """

    __slots__ = ("n", "n_channels", "values")

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.n_channels = n_channels
        self.values = np.zeros(n_values(n_channels))

    @classmethod
    def of(cls, rows: Matrix) -> RowStatistics:
        """Return the statistics of rows, shape (n, D). O(n D^2)."""
        n, n_channels = rows.shape
        return cls.holding(n, n_channels, values_of(rows[None])[0]) if n else cls(n_channels)

    @classmethod
    def holding(cls, n: int, n_channels: int, values: Matrix) -> RowStatistics:
        """Return statistics of n rows that have these values."""
        result = cls.__new__(cls)
        result.n = n
        result.n_channels = n_channels
        result.values = values
        return result

    def add(self, other: RowStatistics) -> None:
        """Take in the statistics of other rows. O(D^2)."""
        if not other.n:
            return
        if self.n:
            _kernel.join(self.values, other.values, self.n_channels)
        else:
            self.values = other._copied()
        self.n += other.n

    def copy(self) -> RowStatistics:
        """Return statistics that change apart from these."""
        return RowStatistics.holding(self.n, self.n_channels, self._copied())

    def _copied(self) -> Matrix:
        """The values as if sums were added to zeros: there is no -0 among them."""
        values = self.values.copy()
        values[2 * self.n_channels :] += 0.0
        return values

    @property
    def counts(self) -> Matrix:
        """Values per channel, shape (D,): rows without the missing ones."""
        return self.values[: self.n_channels]

    @property
    def shares_missing(self) -> Matrix:
        """Share of missing values per channel, shape (D,)."""
        return np.asarray(1.0 - self.counts / max(self.n, 1))

    @property
    def means(self) -> Matrix:
        """Shape (D,), in the units of the channels; 0 where there is no value."""
        return self.values[self.n_channels : 2 * self.n_channels]

    @property
    def steps(self) -> Matrix:
        """Sums of squares of the differences between neighbouring rows, shape (D,)."""
        return self.values[2 * self.n_channels : 3 * self.n_channels]

    @property
    def n_steps(self) -> Matrix:
        """How many differences there are, shape (D,)."""
        return self.values[3 * self.n_channels : 4 * self.n_channels]

    @property
    def scatter(self) -> Matrix:
        """Sums of products of deviations from the means, shape (D, D)."""
        d = self.n_channels
        return self.values[4 * d :].reshape(d, d)

    @property
    def variances(self) -> Matrix:
        """Variance of each channel, over n; 0 where there is no value."""
        return np.maximum(np.diagonal(self.scatter), 0.0) / np.maximum(self.counts, 1.0)

    @property
    def sds(self) -> Matrix:
        """Standard deviation of each channel, over n; NaN where there is no value."""
        return self.sds_of(self.variances)

    def sds_of(self, variances: Matrix) -> Matrix:
        """The same, where `variances` are known already."""
        result: Matrix = np.where(self.counts > 0, np.sqrt(variances), np.nan)
        return result

    @property
    def levels(self) -> Matrix:
        """Mean of each channel; NaN where there is no value."""
        result: Matrix = np.where(self.counts > 0, self.means, np.nan)
        return result

    @property
    def correlations(self) -> Matrix:
        """Correlation of each two channels, shape (D, D); 0 where one of them does not move."""
        size = np.sqrt(np.maximum(np.diagonal(self.scatter), 0.0))
        scale = np.outer(size, size)
        ratio = np.divide(self.scatter, scale, out=np.zeros_like(scale), where=scale > 0.0)
        result: Matrix = np.minimum(np.maximum(ratio, -1.0), 1.0)
        return result

    @property
    def roughness(self) -> Matrix:
        """Mean square of the steps over twice the variance: 1 for white noise, 0 for a ramp.

        This is von Neumann's ratio (1941), halved. 1 where a channel does not move.
        """
        return self.roughness_of(self.variances)

    def roughness_of(self, variances: Matrix) -> Matrix:
        """The same, where `variances` are known already."""
        mean_square = self.steps / np.maximum(self.n_steps, 1.0)
        known = (variances > 0.0) & (self.n_steps > 0)
        result: Matrix = np.ones_like(variances)
        np.divide(mean_square, 2.0 * variances, out=result, where=known)
        return result

    @property
    def covariance(self) -> Matrix:
        """Covariance over n, shape (D, D)."""
        root = np.sqrt(np.maximum(self.counts, 1.0))
        result: Matrix = self.scatter / np.outer(root, root)
        return result

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> list[Any]:
        """Return the statistics as plain values, for `from_state`."""
        parts = self.counts, self.means, self.scatter, self.steps, self.n_steps
        return [self.n, *(part.tobytes() for part in parts)]

    @classmethod
    def from_state(cls, state: Any, n_channels: int) -> RowStatistics:
        """Return what `state` was made of."""
        n, counts, means, scatter, steps, n_steps = state
        if type(n) is not int or n < 0:
            raise ValueError(f"the number of rows is {n!r}")
        result, vector = cls(n_channels), (n_channels,)
        result.n = n
        result.counts[:] = doubles(counts, vector, "counts")
        result.means[:] = doubles(means, vector, "means")
        result.scatter[:] = doubles(scatter, (n_channels, n_channels), "scatter")
        result.steps[:] = doubles(steps, vector, "steps")
        result.n_steps[:] = doubles(n_steps, vector, "n_steps")
        return result


def n_values(n_channels: int) -> int:
    """How many numbers the statistics of rows with so many channels are."""
    return n_channels * (4 + n_channels)


def values_of(pieces: Matrix) -> Matrix:
    """Return the values of the statistics of each of several pieces, a row for each.

    Parameters
    ----------
    pieces
        Rows, shape (n_pieces, n, D), n at least 1.
    """
    n_pieces, n, d = pieces.shape
    result = np.empty((n_pieces, n_values(d)))
    missing = np.isnan(pieces)
    if missing.any():
        counts, means, scatter, steps, n_steps = _with_missing(pieces, ~missing)
        result[:, :d] = counts
        result[:, 3 * d : 4 * d] = n_steps
    else:
        # deviations from the first values are summed, so that large offsets cost no digits
        first = pieces[:, :1]
        means = (pieces - first).sum(axis=1) / float(n) + first[:, 0]
        deviations = pieces - means[:, None]
        gaps = pieces[:, 1:] - pieces[:, :-1]
        scatter = np.einsum("bni,bnj->bij", deviations, deviations)
        steps = np.einsum("bni,bni->bi", gaps, gaps)
        result[:, :d] = n
        result[:, 3 * d : 4 * d] = n - 1
    result[:, d : 2 * d] = means
    result[:, 2 * d : 3 * d] = steps
    result[:, 4 * d :] = scatter.reshape(n_pieces, -1)
    return result


def _with_missing(pieces: Matrix, known: NDArray[np.bool_]) -> Arrays:
    """The same for pieces of which some values are missing."""
    values = np.where(known, pieces, 0.0)
    counts = known.sum(axis=1).astype(np.float64)
    first = np.take_along_axis(values, known.argmax(axis=1)[:, None], axis=1)
    means = np.where(known, values - first, 0.0).sum(axis=1) / np.maximum(counts, 1.0)
    means += first[:, 0]
    means[counts == 0] = 0.0
    deviations = np.where(known, values - means[:, None], 0.0)
    both = known[:, 1:] & known[:, :-1]
    steps = np.where(both, values[:, 1:] - values[:, :-1], 0.0)
    return (
        counts,
        means,
        np.einsum("bni,bnj->bij", deviations, deviations),
        np.einsum("bni,bni->bi", steps, steps),
        both.sum(axis=1).astype(np.float64),
    )
