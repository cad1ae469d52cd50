"""Centred statistics of rows: level, spread, rhythm and correlation of the raw channels."""

from __future__ import annotations

from collections.abc import Sequence
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
    counts
        Values per channel, shape (D,): rows without the missing ones.
    means
        Shape (D,), in the units of the channels; 0 where there is no value.
    scatter
        Sums of products of deviations from the means, shape (D, D).
    steps, n_steps
        Sum of squares of the differences between neighbouring rows, and how many there are, both of
        shape (D,).

    Notes
    -----
    With missing values, products of two channels are summed over rows that have both. When such
    statistics are merged, values are taken to be missing independently.
    """

    __slots__ = ("counts", "means", "n", "n_steps", "scatter", "steps")

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.counts = np.zeros(n_channels)
        self.means = np.zeros(n_channels)
        self.scatter = np.zeros((n_channels, n_channels))
        self.steps = np.zeros(n_channels)
        self.n_steps = np.zeros(n_channels)

    @classmethod
    def of(cls, rows: Matrix) -> RowStatistics:
        """Return the statistics of rows, shape (n, D). O(n D^2)."""
        return cls.of_pieces(rows[None])[0] if len(rows) else cls(rows.shape[1])

    @classmethod
    def of_pieces(cls, pieces: Matrix) -> list[RowStatistics]:
        """Return the statistics of each of several pieces, shape (n_pieces, n, D), n at least 1."""
        n_pieces, n, n_channels = pieces.shape
        missing = np.isnan(pieces)
        if missing.any():
            arrays = _with_missing(pieces, ~missing)
        else:
            # deviations from the first values are summed, so that large offsets cost no digits
            first = pieces[:, :1]
            counts = np.full((n_pieces, n_channels), float(n))
            means = (pieces - first).sum(axis=1) / counts + first[:, 0]
            deviations = pieces - means[:, None]
            steps = pieces[:, 1:] - pieces[:, :-1]
            arrays = (
                counts,
                means,
                np.einsum("bni,bnj->bij", deviations, deviations),
                np.einsum("bni,bni->bi", steps, steps),
                np.full((n_pieces, n_channels), float(n - 1)),
            )
        result = []
        for columns in zip(*arrays, strict=True):
            piece = cls.__new__(cls)
            piece.n = n
            piece._set(columns)
            result.append(piece)
        return result

    def add(self, other: RowStatistics) -> None:
        """Take in the statistics of other rows. O(D^2)."""
        if not other.n:
            return
        if self.n:
            _kernel.join(
                *(self.counts, self.means, self.scatter),
                *(other.counts, other.means, other.scatter),
                np.empty(len(self.means)),
            )
            self.steps += other.steps
            self.n_steps += other.n_steps
        else:
            self._set(other._copies())
        self.n += other.n

    @staticmethod
    def add_each(ones: Sequence[RowStatistics], others: Sequence[RowStatistics]) -> None:
        """Take into each of some statistics those of other rows, as `add` does one by one."""
        joined = _joined(_stacked(ones), _stacked(others))
        for one, other, arrays in zip(ones, others, zip(*joined, strict=True), strict=True):
            one.n += other.n
            one._set(arrays)

    @property
    def _arrays(self) -> Arrays:
        return self.counts, self.means, self.scatter, self.steps, self.n_steps

    def _set(self, arrays: Arrays) -> None:
        self.counts, self.means, self.scatter, self.steps, self.n_steps = arrays

    def copy(self) -> RowStatistics:
        """Return statistics that change apart from these."""
        result = RowStatistics.__new__(RowStatistics)
        result.n = self.n
        result._set(self._copies())
        return result

    def _copies(self) -> Arrays:
        """The arrays as if they were added to zeros: there is no -0 among sums."""
        return (
            self.counts.copy(),
            self.means.copy(),
            self.scatter + 0.0,
            self.steps + 0.0,
            self.n_steps + 0.0,
        )

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
        return [self.n, *(values.tobytes() for values in self._arrays)]

    @classmethod
    def from_state(cls, state: Any, n_channels: int) -> RowStatistics:
        """Return what `state` was made of."""
        n, counts, means, scatter, steps, n_steps = state
        if type(n) is not int or n < 0:
            raise ValueError(f"the number of rows is {n!r}")
        result, vector = cls(n_channels), (n_channels,)
        result.n = n
        result.counts = doubles(counts, vector, "counts").copy()
        result.means = doubles(means, vector, "means").copy()
        result.scatter = doubles(scatter, (n_channels, n_channels), "scatter").copy()
        result.steps = doubles(steps, vector, "steps").copy()
        result.n_steps = doubles(n_steps, vector, "n_steps").copy()
        return result


def _joined(ones: Arrays, others: Arrays) -> Arrays:
    """The statistics of the rows of both; arrays may have more axes in front."""
    n, means, scatter, steps, n_steps = ones
    m, other_means, other_scatter, other_steps, other_n_steps = others
    counts = n + m
    total = np.maximum(counts, 1.0)
    gaps = np.where((n > 0) & (m > 0), other_means - means, 0.0)
    apart = gaps * np.sqrt(n * m / total)
    return (
        counts,
        np.where(n > 0, means + gaps * (m / total), other_means),
        scatter + other_scatter + apart[..., :, None] * apart[..., None, :],
        steps + other_steps,
        n_steps + other_n_steps,
    )


def _stacked(parts: Sequence[RowStatistics]) -> Arrays:
    counts, means, scatter, steps, n_steps = map(
        np.stack, zip(*(part._arrays for part in parts), strict=True)
    )
    return counts, means, scatter, steps, n_steps


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
