"""Components that are born when points come that none explains."""

from __future__ import annotations

import abc
import math
import warnings

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.frames import flat
from online_gmm.em.merging import merged
from online_gmm.em.mixture import (
    MixtureParameters,
    densities_of,
    from_kernel,
    labels_of,
    n_parameters,
    posterior,
    squared_distances,
    without_prior,
)
from online_gmm.em.other_regimes import SURE
from online_gmm.em.succession import has_moved
from online_gmm.em.warm_start import WarmStart
from online_gmm.learners.em_learner import EMLearner, distances_beyond
from online_gmm.learners.places import Newborn
from online_gmm.learners.recycle import OUTLYING, RECENT, SPREAD_KNOWN, WELL_KNOWN, crowd

RIDGE, TINY = 1e-9, 1e-290
"""Added to variances, as a share, so that a covariance can be inverted; least variance there."""
TOGETHER = 10.0
"""Standard deviations from their median within which points may start a component together."""
PARTS = (1.0, 0.8, 0.6, 0.4)
"""How much of the last points is tried as a regime of its own."""
OUTLIERS_KEPT = 64
"""The last badly explained points that are kept, or 16 (D + 1) if that is more."""


class GrowingLearner(EMLearner, abc.ABC):
    """A learner whose components are born as they are needed."""

    @abc.abstractmethod
    def _grow(self, newborn: Newborn, share: float) -> None:
        """Go on with one more component, which has this share of the weight."""

    @abc.abstractmethod
    def _begin_refit(self) -> None:
        """Begin to fit the points kept again."""

    @abc.abstractmethod
    def _put(
        self, place: int, center: NDArray[np.float64], covariance: NDArray[np.float64]
    ) -> None:
        """Go on with a component at another place."""

    @property
    @abc.abstractmethod
    def _keeps_all(self) -> bool:
        """Whether the points kept are all there were."""

    def _watch(self) -> None:
        """Hold back points that no component explains, as long as a component may be born."""
        d = len(self._names)
        self._numbered = not self._roster.is_plain
        if self._k < self._most:
            self._stream.watch(
                self._buffer_size, flat(distances_beyond(OUTLYING, d)), crowd(d), RECENT
            )
        else:
            self._stream.watch(0, flat(np.full(d + 1, np.inf)), 0, 0)

    @property
    def _buffer_size(self) -> int:
        return max(OUTLIERS_KEPT, 16 * (len(self._names) + 1))

    def _consider_birth(self) -> None:
        """Give the points held back a component of their own, if there are enough of them.

        Points beyond a component of few points may be its own, because its covariance is not well
        known yet. All points are then fitted again, if they are kept; otherwise it takes these
        points in, if their centre is not farther from its own than estimation error allows.
        """
        stream, d = self._stream, len(self._names)
        if self._k >= self._most:
            return
        held = stream.last_outliers(stream.n_points - RECENT)
        if len(held) < 8 * d * crowd(d) and not stream.last_deviating():
            return
        outliers = np.frombuffer(held).reshape(-1, d)
        known = self.mixture
        if len(outliers) >= crowd(d):
            outliers = together(outliers, known)
        cause = f"{len(outliers)} of the last {RECENT} points were unexplained"
        wider = len(outliers) < crowd(d)
        if wider:
            outliers = self._wider_regime()
            if not len(outliers):
                return
            cause = f"the last {len(outliers)} points were farther from all components than usual"
            self._give_back(outliers)
            stream, known = self._stream, self.mixture
        means = np.nanmean(np.vstack([outliers, known.means]), axis=0)
        points = np.where(np.isnan(outliers), means, outliers)
        variances = np.maximum(np.diagonal(known.covariances, axis1=1, axis2=2), TINY)
        # features that say the same would make it singular
        covariances = known.covariances + RIDGE * variances[:, :, None] * np.eye(d)
        # far beyond the components a gap may be more than doubles can hold
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = points.mean(axis=0) - known.means
        distances = squared_distances(gaps, covariances)
        nearest = int(distances.argmin())
        support = known.weights[nearest] * stream.n_points
        if support < (SPREAD_KNOWN if wider else WELL_KNOWN) * (d + 1) and self._keeps_all:
            if self._refit is None:
                self._begin_refit()
            stream.forget_outliers()
            return
        if support < SPREAD_KNOWN * (d + 1):
            both = taken_in(known, nearest, support, points)
            if both is not None:
                self._put(nearest, both.means[0], both.covariances[0])
                self._watch()
                return
        scale, exponent, floor, *_ = self._schedule
        step = max(scale * stream.n_points**-exponent, floor)
        newborn = Newborn.of(points)
        if wider:
            newborn = newborn.correlated_like(known.covariances[nearest], d + 1)
        self._grow(newborn, min(len(points) * max(step, 1.0 / RECENT), 0.5))
        # what is under way knows nothing of the new component; it begins again
        self._refit = None
        self._roster.note("born", self._roster.add(), stream, cause, after=points.mean(axis=0))
        self._watch()

    def _wider_regime(self) -> NDArray[np.float64]:
        """The last points that are surely of a regime of their own; none if there is none.

        A Gaussian of their own must explain them better than the components did. The points since
        the cumulative sum began to rise may begin with some of the regime before, so that only the
        last of them are taken, where that explains more.
        """
        stream, d = self._stream, len(self._names)
        last = np.frombuffer(stream.last_deviating()).reshape(-1, d)
        start = self.start
        assert start is not None
        before = self._before(start)
        components = without_prior(before)
        best, highest = last[:0], SURE
        for part in PARTS:
            rows = last[len(last) - round(part * len(last)) :]
            # those beyond the gates are kept elsewhere
            n_beyond = 0
            for _ in range(2):
                since = stream.n_points - len(rows) - n_beyond
                beyond_gates = np.frombuffer(stream.last_outliers(since)).reshape(-1, d)
                n_beyond = len(beyond_gates)
            if n_beyond:
                rows = together(np.vstack([rows, beyond_gates]), before)
            known = rows[~np.isnan(rows).any(axis=1)]
            n = len(known)
            if n < crowd(d):
                continue
            own = gaussian_of(known)
            if self.covariance_type == "tied":
                own = MixtureParameters([1.0], own.means, before.covariances[:1])
            free = n_parameters(1, d, self.covariance_type) + 1
            responsibilities, log_density, _ = posterior(components, known)
            # rows of one stay: all of them may be one component's, whatever its weight
            with np.errstate(divide="ignore", invalid="ignore"):
                of_one = np.log(responsibilities).sum(axis=0) - n * np.log(before.weights)
            explained = log_density.sum() + max(0.0, np.nanmax(of_one))
            gain = densities_of(own, known).sum() - explained
            gain -= free / 2 * math.log(n)
            # what components of few points miss by their estimation error
            most = np.bincount(responsibilities.argmax(axis=1)).argmax()
            gain -= n * free / max(start.n_points * before.weights[most], 1.0)
            if gain > highest:
                best, highest = rows, gain
        if not len(best) and len(last) == self._buffer_size:
            stream.forget_outliers()
        return best

    def _give_back(self, rows: NDArray[np.float64]) -> None:
        """Put a component that has begun to take rows of a new regime back to where it was.

        The iterate shows it sooner than what is reported.
        """
        assert self.start is not None
        before = self._before(self.start)
        rows = rows[~np.isnan(rows).any(axis=1)]
        iterate = from_kernel(self._stream.iterate_components, self._names)
        taken = densities_of(iterate, rows).sum() - densities_of(before, rows).sum()
        place = int(np.bincount(labels_of(before, rows)).argmax())
        if taken > SURE and self.covariance_type != "tied":
            self._put(place, before.means[place], before.covariances[place])

    def _before(self, start: WarmStart) -> MixtureParameters:
        """The components as the last fit left them, with those born since.

        A component may have begun to take the rows of a new regime for its own; then it has not.
        """
        its, known = start.mixture, self.mixture
        # components that are recycled leave their places
        if self.recycle or its.n_components > known.n_components:
            return known
        born = slice(its.n_components, None)
        return MixtureParameters(
            np.append(its.weights * (1.0 - known.weights[born].sum()), known.weights[born]),
            np.vstack([its.means, known.means[born]]),
            np.concatenate([its.covariances, known.covariances[born]]),
        )


def together(points: NDArray[np.float64], known: MixtureParameters) -> NDArray[np.float64]:
    """Return the points that are near the median of all, feature by feature.

    A wild reading among the points of a new regime is no part of it. Scales are the median absolute
    deviation and the least standard deviation of a component known, whichever is larger.
    """
    # a median of contiguous numbers takes a third of the time
    columns = np.ascontiguousarray(points.T)
    if np.isnan(columns).any():
        with warnings.catch_warnings():
            # a feature may be missing throughout
            warnings.simplefilter("ignore", RuntimeWarning)
            away = np.abs(columns - np.nanmedian(columns, axis=1, keepdims=True))
            spread = np.nan_to_num(np.nanmedian(away, axis=1))
        away = np.nan_to_num(away)
    else:
        away = np.abs(columns - np.median(columns, axis=1, keepdims=True))
        spread = np.median(away, axis=1)
    least = np.sqrt(np.diagonal(known.covariances, axis1=1, axis2=2).min(axis=0))
    near = away <= TOGETHER * np.maximum(1.4826 * spread, least)[:, None]
    chosen: NDArray[np.float64] = points[near.all(axis=0)]
    return chosen


def gaussian_of(points: NDArray[np.float64]) -> MixtureParameters:
    """Return the Gaussian with the moments of these points, shape (n, D)."""
    center = points.mean(axis=0)
    away = points - center
    return MixtureParameters([1.0], [center], [away.T @ away / len(points)])


def taken_in(
    known: MixtureParameters, place: int, support: float, points: NDArray[np.float64]
) -> MixtureParameters | None:
    """Return a component of so many points together with further points.

    None if their centre is farther from its own than estimation error allows.
    """
    its, weights = gaussian_of(points), np.array([support, len(points)]) / (support + len(points))
    covariances = np.concatenate([known.covariances[[place]], its.covariances])
    means = known.means[[place]]
    within = MixtureParameters([1.0], means, np.tensordot(weights, covariances, 1)[None])
    if has_moved(within, 0, its, 0, min(support, len(points))):
        return None
    return merged(MixtureParameters(weights, np.vstack([means, its.means]), covariances), 0, 1)
