"""A whole series through windows of one length: segments, and the states that they are in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm._kernel.blocks import blocks_of
from online_gmm._kernel.metric import INDEPENDENT, LEAST_RATIO, LEAST_WITHIN
from online_gmm._kernel.scale import CURVE, CURVE_ROWS, FAR, PASSAGE
from online_gmm.data.frames import view

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Stretch = tuple[int, int]
"""The first row of a stretch without a gap, and the one after its last."""

KEPT = 0.8
"""The share of differences that are taken to lie within a regime."""
SHRINK, SHRINK_EARLY = 0.1, 0.3
MEMORY = 4000.0
"""Points of a state that count when it is compared with others."""
SILENT_ROWS = 96
"""A channel without a reading in so many rows is silent."""
ROWS = 1024
"""Rows of features that stay in the cache of a processor."""
LEAST_WINDOWS = 4
"""With fewer windows in a series there is nothing to find."""
MOST_SEGMENTS = 400
"""With more segments than that a window is too short for its series,"""
ROWS_A_SEGMENT = 250
"""or with more than one for so many rows of a long series;"""
MOST_JOINED = 2000
"""the states of so many can be joined."""
FAR_BEYOND = 1.25
"""With so many times more at some cost of a change there are too many at lower ones."""
JUMP = 0.1
"""Share of a squared jump within which two visits of a regime may differ."""
CHANGE_COST = 1.5
"""Of a change between states that are known, for each degree of freedom."""


class Labelling(NamedTuple):
    """A regime for every row, and the window by which it was found.

    Parameters
    ----------
    labels
        Shape (n,), from 0.
    window
        In points.
    beta
        The highest cost of a change, of those tried, at which it is the best.
    """

    labels: Ints
    window: int
    beta: float = 0.0


def edges_of(labels: Ints) -> Ints:
    """The first rows of the segments, and the number of rows."""
    return np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])


def _led_to(states: Ints, cuts: Ints, stays: Ints) -> Ints:
    """The labels of looks from the states of stays: the way to a stay belongs to it."""
    begins = cuts[np.append(0, stays[:-1] + 1)]
    return np.repeat(states, np.diff(begins, append=cuts[-1]))


def _shares(X: Matrix) -> Matrix:
    """In what share of the rows each channel has a reading, where it is not silent."""
    known = ~np.isnan(X)
    shares = np.ones(X.shape[1])
    for j in np.flatnonzero(~known.all(axis=0)).tolist():
        its = np.add.reduceat(known[:, j], np.arange(0, len(X), SILENT_ROWS), dtype=np.int64)
        shares[j] = np.median(its[its > 0]) / SILENT_ROWS if its.any() else 0.0
    return shares


def _squared(v: Matrix) -> float:
    return float(v @ v)


def _variances(f: Matrix) -> Matrix:
    """The variance of each column of rows, shape (m, p): that of `numpy.var`, without a copy."""
    means = _sums(f, lambda rows: rows) / len(f)
    return _sums(f, lambda rows: np.square(rows - means)) / len(f)


def _sums(f: Matrix, of: Callable[[Matrix], Matrix]) -> Matrix:
    """Sums over rows of what is made of them block by block, added one row after the other."""
    total: Matrix = np.add.reduce(of(f[:ROWS]), axis=0)
    for at in range(ROWS, len(f), ROWS):
        total = np.add.reduce(np.vstack([total, of(f[at : at + ROWS])]), axis=0)
    return total


class WholeView:
    """What windows of one length see of a whole series.

    Parameters
    ----------
    X
        Rows in the usual units of their channels, shape (n, D); NaN is a missing value.
    stretches
        Rows between gaps: no window spans one.
    window
        Its length in points.
    periodic
        Whether it is some whole periods.

    Attributes
    ----------
    ends
        The last row of the window of each look, shape (m,).
    whitened
        Features in units of what varies within a regime, uncorrelated, shape (m, p).
    freedom
        Effective degrees of freedom of the whitened features.
    expected
        The squared distance from its regime at which a window is expected that had no part in the
        covariance. It is more than ``freedom`` if there are few windows for the features; see
        `online_gmm._kernel.metric`.
    """

    def __init__(
        self, X: Matrix, stretches: Sequence[Stretch], window: int, periodic: bool = False
    ) -> None:
        self.stride, self.length = blocks_of(window)
        self.window = self.stride * self.length
        self.n_rows = len(X)
        self.stretches = stretches
        blocks = _kernel.Blocks(X.shape[1], self.stride, self.length, periodic)
        blocks.presence.expect(view(_shares(X)))
        p = blocks.n_features
        looks: list[Matrix] = []
        ends, counts = [], []
        for begin, end in stretches:
            seen = np.frombuffer(blocks.looks(view(X[begin:end]))).reshape(-1, p)
            looks.append(seen)
            ends.append(begin + self.window - 1 + self.stride * np.arange(len(seen)))
            counts.append(len(seen))
        self.ends: Ints = np.concatenate(ends)
        self._counts = counts
        self._n_features = p
        self.freedom = 0.0
        self.expected = 0.0
        if self.is_clear:
            self._whiten(looks[0] if len(looks) == 1 else np.concatenate(looks))

    @property
    def is_clear(self) -> bool:
        """Whether there are enough windows to say what varies within a regime."""
        return len(self.ends) >= LEAST_WINDOWS * self.length

    def _parts(self) -> Iterator[tuple[Stretch, slice]]:
        """Stretches, and the looks in each."""
        first = 0
        for stretch, count in zip(self.stretches, self._counts, strict=True):
            yield stretch, slice(first, first + count)
            first += count

    @cached_property
    def _firsts(self) -> set[int]:
        """The first look of each stretch."""
        return {part.start for _, part in self._parts()}

    def _whiten(self, f: Matrix) -> None:
        """Whiten by the differences of windows that do not overlap, but for the largest fifth.

        The features of all looks, shape (m, p), are used up.
        """
        p, length = self._n_features, self.length
        variance = _variances(f)
        usual = np.where(variance > 1e-18, variance, np.inf)
        sizes = [
            np.add.reduce(np.square(differences) / usual, axis=1)
            for differences in self._differences(f)
        ]
        most = np.quantile(np.concatenate(sizes), KEPT)
        kept = np.concatenate(
            [
                differences[size <= most]
                for differences, size in zip(self._differences(f), sizes, strict=True)
            ]
        )
        n = len(kept)
        scatter = np.einsum("ni,nj->ij", kept, kept) / n
        # without noise nothing may vary within a regime
        least = LEAST_WITHIN**2 * variance
        np.fill_diagonal(scatter, np.maximum(np.diagonal(scatter), least))
        within = np.sqrt(np.diagonal(scatter))
        # between what varies within regimes and what varies at all
        scale = np.sqrt(within * np.sqrt(variance))
        scale = np.where(scale > 1e-9, scale + 1e-6, 1e30)
        unit = scatter / np.outer(scale, scale)
        share = min(1.0, p * length / n)
        shrink = (SHRINK + SHRINK_EARLY * share) * float(np.trace(unit)) / p + 1e-9
        whitening = np.linalg.inv(np.linalg.cholesky(unit + shrink * np.eye(p)))
        self.freedom = max(0.5, p - shrink * float((whitening**2).sum()))
        unseen = 1.0 - self.freedom * length / (INDEPENDENT * n)
        self.expected = self.freedom / max(unseen, LEAST_RATIO)
        f /= scale
        self.whitened: Matrix = f @ whitening.T

    def _differences(self, f: Matrix) -> Iterator[Matrix]:
        """Features of windows less those of the windows that end where they begin, in blocks."""
        for _, part in self._parts():
            later, before = f[part][self.length :], f[part][: -self.length]
            for at in range(0, len(later), ROWS):
                yield (later[at : at + ROWS] - before[at : at + ROWS]) * math.sqrt(0.5)

    def labellings(self, betas: Sequence[float]) -> Iterator[Labelling]:
        """Yield segmentations of the series at some costs of a change, and smoothed ones."""
        seen = set()
        most = min(max(MOST_SEGMENTS, self.n_rows // ROWS_A_SEGMENT), MOST_JOINED)
        for beta in sorted(betas, reverse=True):
            cuts = self._cuts(beta)
            if len(cuts) > FAR_BEYOND * most:
                break
            key = cuts.tobytes()
            if key in seen or not 2 < len(cuts) <= most + 1:
                continue
            seen.add(key)
            means, weights = self._segments(cuts)
            stays = self._stays(cuts, means, weights)
            states = self._states(means[stays], weights[stays], beta)
            if states.max() == 0:
                continue
            centers = np.array(
                [
                    np.average(
                        means[stays][states == k], axis=0, weights=weights[stays][states == k]
                    )
                    for k in range(states.max() + 1)
                ]
            )
            labels = _led_to(states, cuts, stays)
            yield Labelling(self._rows(labels), self.window, beta)
            labels = self._smoothed(centers)
            cuts = np.union1d(edges_of(labels), list(self._firsts))
            stays = self._stays(cuts, *self._segments(cuts))
            labels = _led_to(labels[cuts[stays]], cuts, stays)
            yield Labelling(self._rows(labels), self.window, beta)

    def certainties(self, labels: Ints, parts: Sequence[Stretch]) -> Matrix:
        """Return the probability of the regime of each segment against the others.

        The windows of a segment are Gaussian about the mean of its regime. Features by which visits
        of one regime differ by more than windows say count for less (McCullagh & Nelder 1989,
        section 9.2). NaN for a segment that has no window of its own.
        """
        means = np.full((len(parts), self.whitened.shape[1]), np.nan)
        weights = np.zeros(len(parts))
        for i, (begin, end) in enumerate(parts):
            first = int(np.searchsorted(self.ends, begin + self.window - 1))
            last = int(np.searchsorted(self.ends, end))
            if last > first:
                means[i] = self.whitened[first:last].mean(axis=0)
                weights[i] = (last - first) / self.length
        known = weights > 0.0
        regimes = np.array([labels[begin] for begin, _ in parts])
        numbers = np.unique(regimes[known])
        result = np.full(len(parts), np.nan)
        if not len(numbers):
            return result
        centers = np.array(
            [
                np.average(means[its], axis=0, weights=weights[its])
                for its in (known & (regimes == number) for number in numbers)
            ]
        )
        places = np.searchsorted(numbers, regimes)
        rests = weights[known, None] * (means[known] - centers[places[known]]) ** 2
        n_returns = int(known.sum()) - len(numbers)
        dispersion = np.maximum(1.0, rests.sum(axis=0) / max(n_returns, 1))
        for i in np.flatnonzero(known).tolist():
            evidence = -0.5 * weights[i] * ((means[i] - centers) ** 2 / dispersion).sum(axis=1)
            likely = np.exp(evidence - evidence.max())
            result[i] = likely[places[i]] / likely.sum()
        return result

    def _cuts(self, beta: float) -> Ints:
        """Looks at which segments begin, and their number; every stretch begins one."""
        cuts = []
        p = self._n_features
        for _, part in self._parts():
            looks = self.whitened[part]
            if len(looks):
                found = _kernel.best_partition(
                    view(looks), p, self.expected, self.length, self.window, beta
                )
                cuts.append(part.start + np.frombuffer(found, dtype=np.int64))
        return np.append(np.concatenate(cuts), len(self.ends))

    def _segments(self, cuts: Ints) -> tuple[Matrix, Matrix]:
        """Mean and length in windows of each segment, without looks that straddle a change."""
        firsts = self._firsts
        means, weights = [], []
        for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            straddling = 0 if begin in firsts else self.length - 1
            first = min(begin + straddling, end - 1)
            means.append(self.whitened[first:end].mean(axis=0))
            weights.append((end - first) / self.length)
        return np.array(means), np.array(weights)

    def _stays(self, cuts: Ints, means: Matrix, weights: Matrix) -> Ints:
        """The segments that do not merely lead from one to another one that is far from it."""
        ends = self._firsts | {len(self.ends)}
        stays: list[int] = []
        for i, windows in enumerate(weights.tolist()):
            is_inner = ends.isdisjoint(cuts[i : i + 2].tolist())
            if not is_inner or not self._leads_on(
                windows, means[stays[-1]], means[i], means[i + 1], cuts[i + 1]
            ):
                stays.append(i)
        return np.array(stays)

    def _leads_on(
        self, windows: float, before: Matrix, mean: Matrix, after: Matrix, end: int
    ) -> bool:
        """Whether a segment leads from the one before it to the one after, which are far apart.

        It is short and in between, or nothing jumps from it to the next at the look where it ends.
        """
        is_short = windows < PASSAGE
        if not is_short and windows * self.window >= CURVE_ROWS:
            return False
        apart, step = _squared(after - before), _squared(after - mean)
        if apart <= FAR * self.expected:
            return False
        if is_short and _squared(mean - before) + step < apart:
            return True
        return bool(self._jump(end) @ (after - mean) < CURVE * step)

    def _jump(self, look: int) -> Matrix:
        """How the windows before and after the beginning of a segment differ."""
        after = min(look + self.length, len(self.whitened)) - 1
        result: Matrix = self.whitened[after] - self.whitened[look - 1]
        return result

    def _states(self, means: Matrix, weights: Matrix, beta: float) -> Ints:
        """Join segments that are in one state, the nearest first (Ward 1963).

        They are if they are as near as sampling allows, or if the difference is small beside the
        jumps from them to their neighbours: a regime may have drifted between two visits.
        """
        steps = ((means[1:] - means[:-1]) ** 2).sum(axis=1)
        jumps = np.minimum(np.append(np.inf, steps), np.append(steps, np.inf))
        joined = _kernel.join_states(
            *(view(means.copy()), view(weights.copy()), view(jumps)),
            *(beta * self.expected, MEMORY / self.window, JUMP),
        )
        result: Ints = np.unique(np.frombuffer(joined, dtype=np.int64), return_inverse=True)[1]
        return result

    def _smoothed(self, centers: Matrix) -> Ints:
        """The states at which the whole series costs least."""
        p = self._n_features
        parts = [
            _kernel.best_states(
                view(self.whitened[part]),
                *(p, view(centers), self.expected, self.length, CHANGE_COST * self.expected),
            )
            for _, part in self._parts()
        ]
        return np.concatenate([np.frombuffer(part, dtype=np.int64) for part in parts])

    def _rows(self, labels: Ints) -> Ints:
        """The labels of rows: a change lies after the last row of the look before it.

        Stretches too short for a window are given the label of the stretch before.
        """
        result = np.zeros(self.n_rows, dtype=np.int64)
        label = labels[0]
        for (begin, end), part in self._parts():
            its = labels[part]
            if not len(its):
                result[begin:end] = label
                continue
            looks = edges_of(its)[:-1]
            starts = begin + (looks - 1) * self.stride + self.window
            starts[0] = begin
            result[begin:end] = np.repeat(its[looks], np.diff(starts, append=end))
            label = its[-1]
        return result
