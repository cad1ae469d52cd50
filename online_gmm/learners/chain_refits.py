"""How a chain fits the points it keeps again, and which of its regimes have become alike."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em import baum_welch
from online_gmm.em.how_many import WORTH
from online_gmm.em.merging import one_fewer
from online_gmm.em.mixture import (
    MixtureParameters,
    from_kernel,
    labels_of,
    n_parameters,
    to_kernel,
)
from online_gmm.em.prior import Prior
from online_gmm.em.slices import SLICE, Meter, Sliced, finish, pass_cost
from online_gmm.em.succession import has_moved
from online_gmm.em.warm_start import WarmStart
from online_gmm.learners.em_learner import AVERAGE_EVERY, FEW
from online_gmm.learners.places import Newborn, chain_merged, chain_replaced, chain_with
from online_gmm.learners.recycle import crowd, twins
from online_gmm.learners.refits import FOUND_BY_FIT, RefittedLearner
from online_gmm.learners.under_way import UnderWay

ALIKE = 0.005
"""Bhattacharyya distance below which two regimes are one: 0.2 standard deviations."""


class RefittedChain(RefittedLearner, abc.ABC):
    """A chain that fits the points it keeps again."""

    stickiness: float
    tempering: float

    _timed: bool
    _refit_at: int

    def _plan(self, seen: int) -> None:
        """Set when the points kept are fitted again, after a fit of the first ``seen`` points.

        The last fit of all points begins while there is room for those that come until it ends.
        Later fits, when the stream has doubled, are of half the first points and the last ones.
        """
        last = self._room - self._room // 8
        if not self._keeps_points:
            self._refit_at = -1
        elif seen < last:
            self._refit_at = min(2 * seen, last)
        else:
            self._refit_at = 2 * max(seen, self._room)

    @property
    def _keeps_all(self) -> bool:
        return 0 < self._refit_at <= self._room

    @property
    def _renew_at(self) -> int:
        """After how many points the second half of those kept is replaced by those that come.

        They are full again when the next fit is due.
        """
        return self._refit_at - self._room // 2

    def _renew(self) -> None:
        """Let go of the second half of the points kept, so that the next ones are kept."""
        d, half = len(self._names), self._room // 2
        state = self._stream.state()
        if len(state["kept"]) == 8 * d * self._room:
            state["kept"] = state["kept"][: 8 * d * half]
            state["kept_times"] = state["kept_times"][: 8 * half]
            self._stream = _kernel.chain_stream_from_state(state)

    def _merge_alike(self) -> None:
        """Merge regimes that the points of a stay could not tell apart. O(K^2 D^3)."""
        while not self._has_all_at_start and (pair := twins(self.mixture, ALIKE)) is not None:
            kept, gone = pair
            roster, stream, known = self._roster, self._stream, self.mixture
            unit = self._unit(baum_welch.gaps(np.frombuffer(stream.times_kept())))
            prior = baum_welch.pseudo_changes(self._k - 1, self.stickiness, unit)
            stream.settle()
            state = chain_merged(stream.state(), kept, gone, prior)
            self._stream = _kernel.chain_stream_from_state(state)
            cause = f"became one with component {roster.numbers[kept]}"
            centers = known.means[gone], self.mixture.means[kept]
            roster.note("merged", roster.numbers[gone], stream, cause, *centers)
            roster.drop(gone)
            self._watch()

    def _begin_refit(self) -> None:
        stream = self._stream
        rows, times = self._kept()
        stride = 1 if self._keeps_all else max(stream.n_seen // self._room, 2)
        self._refit = UnderWay(self.mixture, rows, stream.n_points, stride, times, self.transition)
        self._next_slice = stream.n_seen + 1

    def _go_on(self) -> None:
        """Do a slice of the fit under way, and take its result up if it was the last.

        It must have ended when the points kept are full, so that two are done when half of the
        points that came before that have come.
        """
        refit = self._refit
        assert refit is not None
        seen = self._stream.n_seen
        ended, result = refit.advance(self._refitting)
        if not ended and refit.stride == 1 and 2 * seen > refit.n_points + self._room:
            ended, result = refit.advance(self._refitting)
        while not ended and refit.stride == 1 and seen >= self._room:
            # later points are not kept
            ended, result = refit.advance(self._refitting)
        if not ended:
            self._next_slice = seen + 1
            return
        self._refit = None
        if refit.stride == 1:
            self._take_up(refit, *result)
        else:
            self._refit_at = 2 * seen
            self._take_in(refit, *result)
        self._limit_steps(refit.lasting)

    def _refitting(
        self, refit: UnderWay
    ) -> Sliced[tuple[WarmStart, list[int | None] | None, _kernel.ChainStream]]:
        """Fit all points so far again, without outliers if these are few.

        If they show other regimes than those known, these get numbers of their own.
        """
        meter = Meter()
        assert refit.times is not None
        known, n = refit.known, refit.n_fitted
        rows, times = refit.rows[:n], refit.times[:n]
        strange = (yield from self._examined(refit, meter)).strange
        trusted = rows
        if strange.mean() < FEW:
            trusted = np.where(strange[:, None], np.nan, rows)
        seen = trusted[~np.isnan(trusted).all(axis=1)]
        k = known.n_components
        yield
        fitted = yield from self._refined(known, seen, meter)
        yield
        best, now = yield from self._climbed(
            known, fitted.prior, trusted, times, meter, refit.transition
        )
        highest, others = now - WORTH * k, False
        yield
        selection = yield from self._selection(seen, len(rows), icl=False)
        yield
        starts = self._refit_starts(k)
        mixture = (yield from selection.started(selection.most, starts, meter)).mixture
        yield
        least = max(k - 1, 1) if self.n_components == "auto" else k
        while mixture.n_components >= least:
            mixture, _ = yield from selection.climbed(mixture, meter)
            whole = selection.whole(mixture)
            yield
            other = yield from self._refined(whole, seen, meter)
            yield
            again, value = yield from self._climbed(
                other.mixture, other.prior, trusted, times, meter
            )
            worth = value - self._price(mixture.n_components, k)
            if worth > highest and not self._loses_one_of_late(known, whole, seen, refit.n_points):
                best, highest, fitted, others = again, worth, other, True
            if mixture.n_components == 1:
                break
            mixture = one_fewer(mixture)
        old, order = None, list(range(k))
        if others:
            found = from_kernel(best.components, self._names)
            succeeds, order = self._succession(known, found, seen)
            old = [succeeds[j] for j in order]
        between = baum_welch.gaps(times)
        yield
        stream = yield from self._ordered(best, order, fitted.prior, trusted, between, meter)
        yield
        if refit.stride == 1:
            refit.add(*self._kept())
            between = baum_welch.gaps(refit.times)
            yield from self._learn_since(stream, refit.rows, between, n, meter)
            if stream.follows_ahead:
                yield from _following(stream, refit.rows, between, refit.times, meter)
        return fitted, old, stream

    def _take_up(
        self,
        refit: UnderWay,
        fitted: WarmStart,
        old: list[int | None] | None,
        chain: _kernel.ChainStream,
    ) -> None:
        """Go on from a new fit of the points kept.

        ``old`` are the regimes that those of the fit continue, if it shows others.
        """
        stream, known, first = self._stream, self.mixture, self.start
        assert first is not None
        found = from_kernel(chain.components, self._names)
        if old is None:
            for i in range(self._k):
                self._note_move(known, i, found, i)
        else:
            self._succeed(known, found, old)
        rows, times = self._kept()
        between = baum_welch.gaps(times)
        finish(self._learn_since(chain, rows, between, len(refit.rows), Meter()))
        since = rows[refit.n_fitted :]
        held = since[self._held_back(chain.components, since)]
        chain.begin(flat(rows), len(rows), flat(between), flat(times))
        chain.count_on(stream)
        self._stream = chain
        fitted = dataclasses.replace(fitted, mixture=found, criteria=first.criteria)
        self._started_by(fitted)
        self._plan(refit.n_fitted)
        self._watch()
        chain.hold_back(flat(held), len(held))

    def _take_in(
        self,
        refit: UnderWay,
        fitted: WarmStart,
        old: list[int | None] | None,
        chain: _kernel.ChainStream,
    ) -> None:
        """Go on with the regimes that a fit of some of the points has found.

        The stream knows the others better than these points do. Only a regime that had the points
        of a new one for its own is put where the fit has it.
        """
        if old is None:
            return
        found, known = from_kernel(chain.components, self._names), self.mixture
        rows = refit.rows[~np.isnan(refit.rows).any(axis=1)]
        its, before = labels_of(found, rows), labels_of(known, rows)
        for j in [j for j, i in enumerate(old) if i is None]:
            points = rows[its == j]
            if self._k >= self._most or len(points) < crowd(len(self._names)):
                continue
            had = int(np.bincount(before[its == j]).argmax())
            if had in old:
                at = old.index(had)
                n = found.weights[at] * len(rows)
                if has_moved(known, had, found, at, n):
                    cause = "a new fit finds a second regime among its points"
                    centers = known.means[had], found.means[at]
                    number = self._roster.numbers[had]
                    self._roster.note("moved", number, self._stream, cause, *centers)
                self._put(had, found.means[at], found.covariances[at])
            self._grow(Newborn.of(points), min(float(found.weights[j]), 0.5))
            number = self._roster.add()
            self._roster.note("born", number, self._stream, FOUND_BY_FIT, after=found.means[j])
        self._watch()

    def _grow(self, newborn: Newborn, share: float) -> None:
        unit = self._unit(baum_welch.gaps(np.frombuffer(self._stream.times_kept())))
        prior = baum_welch.pseudo_changes(self._k + 1, self.stickiness, unit)
        self._stream.put_off(-1)
        self._stream.settle()
        state = chain_with(self._stream.state(), newborn, share, prior)
        self._stream = _kernel.chain_stream_from_state(state)

    def _put(
        self, place: int, center: NDArray[np.float64], covariance: NDArray[np.float64]
    ) -> None:
        self._stream.put_off(-1)
        self._stream.settle()
        state = chain_replaced(self._stream.state(), place, center, covariance)
        self._stream = _kernel.chain_stream_from_state(state)

    def _unit(self, between: NDArray[np.float64]) -> float | None:
        """The usual time between two points, in seconds; None without times."""
        if not self._timed:
            return None
        known = between[between > 0.0]
        return float(np.median(known)) if len(known) else 1.0

    def _chain(
        self,
        mixture: MixtureParameters,
        transition: NDArray[np.float64],
        unit: float | None,
        prior: Prior,
    ) -> _kernel.ChainStream:
        """A stream that begins with these parameters."""
        pseudo = baum_welch.pseudo_changes(mixture.n_components, self.stickiness, unit)
        return _kernel.ChainStream(
            _kernel.Chain(
                to_kernel(
                    mixture,
                    self.covariance_type,
                    self.prior_strength,
                    prior.covariance,
                    0.0,
                    prior.floors,
                ),
                flat(transition),
                unit is not None,
                self.tempering,
            ),
            flat(pseudo),
            self._averages,
            AVERAGE_EVERY,
            self._schedule,
            flat(self._gates(len(self._names))),
            self.lag,
            self._room,
        )

    def _strange(self, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows lie beyond the gate of every regime."""
        return self._outlying(self._distances(rows), rows)

    def _climbed(
        self,
        mixture: MixtureParameters,
        prior: Prior,
        rows: NDArray[np.float64],
        times: NDArray[np.float64],
        meter: Meter,
        transition: NDArray[np.float64] | None = None,
    ) -> Sliced[tuple[_kernel.ChainStream, float]]:
        """Baum-Welch from a mixture on: the chain, and its Bayesian information criterion."""
        between = baum_welch.gaps(times)
        unit, k = self._unit(between), mixture.n_components
        if transition is None:
            transition = baum_welch.first_transition(k, unit)
        stream = self._chain(mixture, transition, unit, prior)
        log_likelihood = yield from baum_welch.climbing(stream, rows, between, meter)
        # the chain has rates or probabilities in place of weights
        free = n_parameters(k, len(self._names), self.covariance_type) + (k - 1) ** 2
        value = log_likelihood * len(rows) - free / 2 * math.log(max(len(rows), 2))
        return stream, value

    def _ordered(
        self,
        stream: _kernel.ChainStream,
        order: list[int],
        prior: Prior,
        trusted: NDArray[np.float64],
        between: NDArray[np.float64],
        meter: Meter,
    ) -> Sliced[_kernel.ChainStream]:
        """A stream that has learnt these rows, with its regimes in this order."""
        k = len(order)
        mixture = from_kernel(stream.components, self._names)
        transition = np.array(stream.transition).reshape(k, k)[np.ix_(order, order)]
        result = self._chain(mixture.reordered(order), transition, self._unit(between), prior)
        yield from _accumulating(result, trusted, between, 0, meter)
        return result

    def _learn_since(
        self,
        chain: _kernel.ChainStream,
        rows: NDArray[np.float64],
        between: NDArray[np.float64],
        begin: int,
        meter: Meter,
    ) -> Sliced[None]:
        """Learn the rows from there on, without outliers, by a chain that has learnt the others."""
        trusted = rows.copy()
        trusted[begin:][self._held_back(chain.components, rows[begin:])] = np.nan
        yield from _accumulating(chain, trusted, between, begin, meter)

    def _kept(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The points kept, and their times."""
        return self._points_of(self._stream), np.frombuffer(self._stream.times_kept())


def _following(
    chain: _kernel.ChainStream,
    rows: NDArray[np.float64],
    between: NDArray[np.float64],
    times: NDArray[np.float64],
    meter: Meter,
) -> Sliced[None]:
    """Go through the rows that the chain has learnt, before it begins to stream."""
    k, d, _ = chain.shape
    values, seconds, at_times = flat(rows), flat(between), flat(times)
    cost = pass_cost(1, k, d, True) + 4.0 * k * k

    def step(at: int, end: int) -> None:
        chain.follow(values, at, end, seconds, at_times)

    yield from _in_slices(step, 0, len(rows), cost, meter)


def _accumulating(
    chain: _kernel.ChainStream,
    rows: NDArray[np.float64],
    between: NDArray[np.float64],
    begin: int,
    meter: Meter,
) -> Sliced[None]:
    """Learn the rows from there on by the recursion, under frozen parameters."""
    k, d, _ = chain.shape
    values, seconds = flat(rows), flat(between)
    cost = float(k**3) * (k + (d + 3) ** 2) if chain.is_exact else float(k) * (6 * k + (d + 3) ** 2)

    def step(at: int, end: int) -> None:
        chain.accumulate(values, at, end, seconds)

    yield from _in_slices(step, begin, len(rows), cost, meter)


def _in_slices(
    step: Callable[[int, int], object], begin: int, n: int, cost: float, meter: Meter
) -> Sliced[None]:
    """Do a step with the rows from one to another, until n; ``cost`` is the work of a row."""
    size = max(int(SLICE // cost), 64)
    for at in range(begin, n, size):
        step(at, min(at + size, n))
        if meter.is_full(size * cost):
            yield
