"""A labelled series in buckets of rows: extremes, majorities and means, to draw and to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Bands:
    """Stretches of one label, one after the other.

    Parameters
    ----------
    labels, starts, ends
        Of each, on the x axis.
    by_majority
        Rows over which each label is that of most; 1 if it is that of every row.
    """

    labels: Ints
    starts: Floats
    ends: Floats
    by_majority: int = 1


@dataclass(frozen=True)
class Trace:
    """A series to draw.

    Parameters
    ----------
    x, y, labels
        For each column its points, in order; the labels are those of their rows.
    bands
        The regimes.
    rows
        Rows of which each pair of points is the minimum and the maximum; 1 if all rows are there.
    """

    x: tuple[Floats, ...]
    y: tuple[Floats, ...]
    labels: tuple[Ints, ...]
    bands: Bands
    rows: int


@dataclass(frozen=True)
class Scores:
    """Log-densities of rows given those before them, in nats.

    Parameters
    ----------
    rows, so_far
        Numbers of rows, from 1, and the mean over all rows up to each; NaN if none is known.
    ends, means
        Last rows of longer stretches, and the mean over each stretch.
    """

    rows: Ints
    so_far: Floats
    ends: Ints
    means: Floats


class Buckets(NamedTuple):
    """A series in buckets of one or more rows, in order.

    Parameters
    ----------
    sizes, firsts
        Rows of each bucket, and the place of its first one on the x axis.
    extremes, places, point_labels
        The minimum and the maximum, shape (2, n, D); where they are, and the labels of
        their rows. Without any value they are infinite.
    majority
        The commonest label, the least if there are several, and how often it came.
    scores
        Sum of the log-densities, and how many there are.
    """

    sizes: Ints
    firsts: Floats
    extremes: Floats
    places: Floats
    point_labels: Ints
    majority: Ints
    scores: Floats

    @classmethod
    def of_rows(cls, x: Floats, y: Floats, labels: Ints, scores: Floats) -> Buckets:
        ones = np.ones(len(x), dtype=np.int64)
        known = np.isfinite(scores)
        return cls(
            ones,
            x,
            np.stack([np.where(np.isnan(y), infinite, y) for infinite in (np.inf, -np.inf)]),
            np.broadcast_to(x[:, None], (2, *y.shape)),
            np.broadcast_to(labels[:, None], (2, *y.shape)),
            np.stack((labels, ones), axis=1),
            np.stack((np.where(known, scores, 0.0), known), axis=1),
        )

    @classmethod
    def of_groups(cls, x: Floats, y: Floats, labels: Ints, scores: Floats, size: int) -> Buckets:
        """Return buckets of ``size`` rows each, of a multiple of as many rows. O(n D)."""
        if size == 1:
            return cls.of_rows(x, y, labels, scores)
        n = len(x) // size
        columns = np.ascontiguousarray(y.T).reshape(-1, n, size)
        missing = np.isnan(columns)
        # those that are missing are out of the question
        low, high = (np.where(missing, infinite, columns) for infinite in (np.inf, -np.inf))
        both = np.stack((low.argmin(axis=2), high.argmax(axis=2)))
        ends = [
            np.take_along_axis(its, at[..., None], axis=2)[..., 0]
            for its, at in zip((low, high), both, strict=True)
        ]
        rows = (both + size * np.arange(n)).swapaxes(1, 2)
        codes = labels - labels.min()
        n_kinds = int(codes.max()) + 1
        cells = np.repeat(np.arange(n) * n_kinds, size) + codes
        counts = np.bincount(cells, minlength=n * n_kinds).reshape(n, n_kinds)
        known = np.isfinite(scores)
        return cls(
            np.full(n, size),
            x[::size],
            np.stack(ends).swapaxes(1, 2),
            x[rows],
            labels[rows],
            np.stack((counts.argmax(axis=1) + labels.min(), counts.max(axis=1)), axis=1),
            np.stack(
                [its.reshape(n, size).sum(axis=1) for its in (np.where(known, scores, 0.0), known)],
                axis=1,
            ),
        )

    def coarser(self, size: int) -> Buckets:
        """Return buckets of ``size`` rows, not fewer than now; the last may have fewer. O(n D)."""
        if size == 1 or not len(self.sizes):
            return self
        groups = (np.cumsum(self.sizes) - self.sizes) // size
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        both = np.stack((_least(self.extremes[0], starts), _least(-self.extremes[1], starts)))
        kinds, codes = np.unique(self.majority[:, 0], return_inverse=True)
        cells = (groups - groups[0]) * len(kinds) + codes
        # counts of rows are far below the numbers that are no more whole as doubles
        counted = np.bincount(cells, self.majority[:, 1], len(starts) * len(kinds))
        counts = counted.astype(np.int64).reshape(len(starts), len(kinds))
        return Buckets(
            np.add.reduceat(self.sizes, starts),
            self.firsts[starts],
            np.take_along_axis(self.extremes, both, axis=1),
            np.take_along_axis(self.places, both, axis=1),
            np.take_along_axis(self.point_labels, both, axis=1),
            np.stack((kinds[counts.argmax(axis=1)], counts.max(axis=1)), axis=1),
            np.add.reduceat(self.scores, starts),
        )

    def split(self, n: int) -> tuple[Buckets, Buckets]:
        """Return the first n buckets, and the others, in memory of their own."""
        parts = [np.split(array, [n], axis) for array, axis in zip(self, AXES, strict=True)]
        return Buckets(*(part[0] for part in parts)), Buckets(*(part[1].copy() for part in parts))


AXES = (0, 0, 1, 1, 1, 0, 0)
"""Along which the buckets are, for each array of a table."""


def joined(tables: Sequence[Buckets]) -> Buckets:
    return Buckets(*map(np.concatenate, zip(*tables, strict=True), AXES))


def counts_of(labels: Ints) -> dict[int, int]:
    """Return how often each label comes, the least first."""
    least = int(labels.min())
    counts = np.bincount(labels - least)
    return {int(kind) + least: int(counts[kind]) for kind in np.flatnonzero(counts)}


def size_of_buckets(n: int, most: int) -> int:
    """Return the least power of two with which ``most`` buckets hold n rows."""
    return 1 << max((-(-n // most) - 1).bit_length(), 0)


def scores_of(table: Buckets, stretch: int) -> Scores:
    stretches = table.coarser(stretch)
    sums, counts = np.cumsum(table.scores, axis=0).T
    with np.errstate(invalid="ignore"):
        means = stretches.scores[:, 0] / stretches.scores[:, 1]
        return Scores(np.cumsum(table.sizes), sums / counts, np.cumsum(stretches.sizes), means)


def runs_of(labels: Ints, x: Floats, last_x: float, by_majority: int) -> Bands:
    """Return the runs of equal labels as bands."""
    begins = np.append(0, np.flatnonzero(np.diff(labels)) + 1)
    starts = x[begins]
    return Bands(labels[begins], starts, np.append(starts[1:], last_x), by_majority)


def _least(y: Floats, starts: Ints) -> Ints:
    """Return where the first minimum of each stretch is, by column."""
    least = np.minimum.reduceat(y, starts, axis=0)
    lengths = np.diff(starts, append=len(y))
    rows = np.arange(len(y))[:, None]
    # those that are not the least are out of the question
    where = np.where(y == np.repeat(least, lengths, axis=0), rows, len(y))
    found: Ints = np.minimum.reduceat(where, starts, axis=0)
    return found
