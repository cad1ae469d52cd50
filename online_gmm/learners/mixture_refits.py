"""How a mixture fits the points it keeps again, and goes on from there."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.batch import BatchEM, rest_of_climb
from online_gmm.em.halves import halves_alike
from online_gmm.em.mixture import (
    MixtureParameters,
    n_parameters,
    to_kernel,
)
from online_gmm.em.polish import EMMap, corrected, correcting
from online_gmm.em.slices import Meter, Sliced
from online_gmm.em.starts import affordable
from online_gmm.em.warm_start import AGAIN, WarmStart
from online_gmm.learners.places import parts_of, with_parts
from online_gmm.learners.recycle import RECENT, WELL_KNOWN
from online_gmm.learners.refits import Examined, RefittedLearner
from online_gmm.learners.under_way import UnderWay

CHANCE = 1e-4
"""How unlikely the stream's fit must be, beside one of a few points, to be given up for it."""
FIRST_STEPS = 2
"""EM steps, twice, from which is guessed how much a fit will gain."""
REFIT_STEPS = 10
"""EM steps that must be affordable, or points are not fitted again."""
SLICED = 2e9
"""Multiplications that these may take: more than those of a start, as they are done in slices."""


class RefittedMixture(RefittedLearner, abc.ABC):
    """A mixture that fits the points it keeps again."""

    _refit_at: int
    _searches: bool
    """Whether the next fit looks for other regimes."""

    def _begin_refit(self) -> None:
        """Begin to fit the points kept again, unless that would take too long.

        It does where many features have missing values.
        """
        stream = self._stream
        rows = self._points_of(stream)
        if affordable(rows, self._k, self.covariance_type, REFIT_STEPS, SLICED) < REFIT_STEPS:
            self._plan(stream.n_points, True)
            return
        self._refit = refit = UnderWay(
            self.mixture,
            rows,
            stream.n_points,
            stream.stride_kept,
            searches=self._searches,
        )
        if self._polishes:
            m = self._em_map(refit)
            refit.moments = m.raw(stream.average_components), m.raw(stream.components)
        self._next_slice = stream.n_points + self._refit.pause

    @property
    def _polishes(self) -> bool:
        """Whether the points kept can tell how the stream lags behind EM.

        They cannot if a component came later than the stream began: the average then has points
        that were learnt without it.
        """
        lasting = not self._born_since(0.0, by_fit=False)
        return self._averages and self._k > 1 and self._stream.stride_kept > 1 and lasting

    def _em_map(self, refit: UnderWay) -> EMMap:
        """The EM map of this model's statistics about the mean of the rows that are fitted."""
        return EMMap(self._stream.components.beside(), refit.origin, self._stream.n_points)

    def _plan(self, n: int, searched: bool) -> None:
        """Set when the points kept are fitted again, after a fit of the first n points.

        When the stream has doubled, or what has come since the last birth: a component is born with
        a weight that is a guess, and steps correct it slowly where it overlaps with others. Halfway
        to the double, points that were thinned only polish what is reported; other regimes are not
        looked for.
        """
        born = max((e.n_points for e in self._roster.events if e.kind == "born"), default=0)
        since = max(n - born, RECENT)
        halfway = searched and self._polishes and 2 * since > n
        self._searches = not halfway
        if halfway:
            self._refit_at = n + n // 2
        else:
            self._refit_at = n + min(n if searched else max(n // 3, 1), since)

    def _go_on(self) -> None:
        """Do a slice of the fit under way, and take its result up if it was the last."""
        refit = self._refit
        assert refit is not None
        ended, result = refit.advance(self._refitting)
        if not ended:
            self._next_slice = self._stream.n_points + refit.pause
            return
        self._refit = None
        self._plan(refit.n_points, refit.searches)
        if isinstance(result, np.ndarray):
            self._correct(refit, result)
        elif result is not None:
            self._take_up(refit, *result)
        # points that are thinned too much do not tell how long regimes last
        if refit.lasting > 0.0 or refit.stride == 1:
            self._limit_steps(refit.lasting * refit.stride)

    def _correct(self, refit: UnderWay, correction: NDArray[np.float64]) -> None:
        """Go on from what is reported, brought closer to the fixed point of EM on all points."""
        reported = _kernel.components_from_state(self._stream.components.state())
        if corrected(self._em_map(refit), reported, correction):
            polished = _kernel.components_from_state(reported.state())
            self._stream.restart(polished, flat(self._gates(len(self._names))))

    def _refitting(
        self, refit: UnderWay
    ) -> Sliced[
        tuple[WarmStart, list[int | None] | None, _kernel.Components] | NDArray[np.float64] | None
    ]:
        """Fit the points kept again, and go on from there if that is better.

        If they show other regimes than those known, these get numbers of their own. Otherwise
        components stay what they are. While the points kept are all the points there were, batch EM
        on them is better than what the stream made of them. Later they are few, and must be more
        likely under their fit than chance allows (likelihood ratio test). Otherwise they only tell
        how the stream lags behind EM on all points, and what is returned is the correction.
        """
        meter = Meter()
        known = refit.known
        its = (yield from self._examined(refit, meter)).usual()
        rows, log_density = its.rows, its.log_density
        yield
        others = None
        if refit.searches:
            if not (yield from self._is_settled(known, its, meter)):
                others = yield from self._other_regimes(known, rows, refit.n_points, meter)
            yield
        # what the average was before a component was born holds it back for long, unless a fit has
        # begun the average anew
        is_needed = refit.stride == 1 or self._born_since(refit.n_points / 4, by_fit=False)
        if others is None and not is_needed:
            may_be_better = refit.searches
            if may_be_better:
                may_be_better = yield from self._may_be_likelier(known, rows, log_density, meter)
                yield
            if not may_be_better:
                return (yield from self._correction(refit, rows, meter))
        fitted = yield from self._refined(known if others is None else others, rows, meter)
        yield
        if others is None and not is_needed and not self._is_likelier(fitted, log_density):
            return (yield from self._correction(refit, rows, meter))
        em = self._under(fitted)
        yield from em.accumulating(rows, meter)
        components, old = em.components(), None
        if others is not None:
            succeeds, order = self._succession(known, fitted.mixture, rows)
            old = [succeeds[j] for j in order]
            components.reorder(order)
            fitted = dataclasses.replace(fitted, mixture=fitted.mixture.reordered(order))
        if refit.stride > 1:
            few = self._of_few_rows(fitted.mixture, len(rows))
            same = list(range(self._k)) if old is None else old
            put_back = [(j, i) for j in few if (i := same[j]) is not None]
            components, fitted = self._put_back(put_back, known, components, fitted)
        yield
        return fitted, old, components

    def _is_settled(self, known: MixtureParameters, its: Examined, meter: Meter) -> Sliced[bool]:
        """Whether all regimes expected are known, and no others have come since the last fit.

        That was of the first half of the rows, or of as many as these. Where more regimes are
        expected, the next try may find one in the same rows. Where there are K from the start, rows
        need not have shown them, and the start may have been a bad one.
        """
        expects = not self._k_is_told or known.n_components < self._most
        if expects or self._has_all_at_start:
            return False
        return (yield from halves_alike(its.rows, known.means, its.responsibilities, meter))

    def _of_few_rows(self, mixture: MixtureParameters, n: int) -> list[int]:
        """The components that a fit of n thinned rows knows less well than the stream does."""
        least = WELL_KNOWN * (len(self._names) + 1)
        return np.flatnonzero(mixture.weights * n < least).tolist()

    def _put_back(
        self,
        pairs: list[tuple[int, int]],
        known: MixtureParameters,
        components: _kernel.Components,
        fitted: WarmStart,
    ) -> tuple[_kernel.Components, WarmStart]:
        """Statistics and fit in which some components are as they were known.

        ``pairs`` has the component of the fit and the one known that it continues.
        """
        if not pairs or self.covariance_type == "tied":
            return components, fitted
        means, covariances = fitted.mixture.means.copy(), fitted.mixture.covariances.copy()
        state = components.state()
        parts = parts_of(state)
        for j, i in pairs:
            means[j], covariances[j] = known.means[i], known.covariances[i]
            parts = parts.replaced(j, known.means[i], known.covariances[i])
        mixture = MixtureParameters(fitted.mixture.weights, means, covariances, self._names)
        changed = _kernel.components_from_state(with_parts(state, parts))
        return changed, dataclasses.replace(fitted, mixture=mixture)

    def _take_up(
        self,
        refit: UnderWay,
        fitted: WarmStart,
        old: list[int | None] | None,
        components: _kernel.Components,
    ) -> None:
        """Go on from a new fit of the points kept.

        ``old`` are the components that those of the fit continue, if it shows other regimes.
        """
        stream, known = self._stream, self.mixture
        if old is None:
            for i in range(self._k):
                self._note_move(known, i, fitted.mixture, i)
        else:
            self._succeed(known, fitted.mixture, old)
        if not self._k_is_told:
            assert self.start is not None
            fitted = dataclasses.replace(fitted, criteria=self.start.criteria)
        self._started_by(fitted)
        held = refit.rows[:0]
        if stream.stride_kept == 1:
            # the points that have come since it began
            since = self._points_of(stream)[len(refit.rows) :]
            is_held = self._held_back(components, since)
            held, since = since[is_held], since[~is_held]
            components.accumulate(flat(since), len(since))
        components.count_as(float(stream.n_points))
        stream.restart(components, flat(self._gates(len(self._names))))
        self._watch()
        stream.hold_back(flat(held), len(held))

    def _correction(
        self, refit: UnderWay, rows: NDArray[np.float64], meter: Meter
    ) -> Sliced[NDArray[np.float64] | None]:
        """What brings the statistics closer to the fixed point of EM; see `polish`."""
        if refit.moments is None:
            return None
        assert self.start is not None
        prior = self.start.prior
        components = to_kernel(
            refit.known,
            self.covariance_type,
            self.prior_strength,
            prior.covariance,
            float(refit.n_points),
            prior.floors,
        )
        m = EMMap(components, refit.origin, refit.n_points)
        return (yield from correcting(m, *refit.moments, rows, meter))

    def _may_be_likelier(
        self,
        known: MixtureParameters,
        rows: NDArray[np.float64],
        log_density: NDArray[np.float64],
        meter: Meter,
    ) -> Sliced[bool]:
        """Whether a fit that begins with the components known may be likelier than chance allows.

        The first steps of a fit gain the most.
        """
        assert self.start is not None
        prior = self.start.prior.with_strength(self.prior_strength)
        em = BatchEM(known, prior, self.covariance_type)
        yield from em.climbing(rows, FIRST_STEPS, 0.0, meter)
        first = em.log_likelihood - float(log_density.mean())
        yield from em.climbing(rows, FIRST_STEPS, 0.0, meter, begun=True)
        both = em.log_likelihood - float(log_density.mean())
        return self._tail(both + rest_of_climb(first, both - first, AGAIN[0]), len(rows)) <= CHANCE

    def _is_likelier(self, fitted: WarmStart, log_density: NDArray[np.float64]) -> bool:
        """Whether rows with these densities are likelier under their fit than chance allows."""
        gain = fitted.log_likelihood - float(log_density.mean())
        return self._tail(gain, len(log_density)) <= CHANCE

    def _tail(self, gain: float, n: int) -> float:
        """How unlikely it is that a fit of n rows gains so many nats a row by chance."""
        free = n_parameters(self._k, len(self._names), self.covariance_type)
        return _kernel.tail(free, max(2.0 * n * gain, 0.0))

    def _under(self, start: WarmStart) -> BatchEM:
        """The first pass of EM under a fit, and under the prior for one that goes on."""
        prior = start.prior.with_strength(self.prior_strength)
        return BatchEM(start.mixture, prior, self.covariance_type)
