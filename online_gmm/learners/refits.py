"""What learners do alike when the points they keep are fitted again."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.em.how_many import WORTH, Selection
from online_gmm.em.mixture import MixtureParameters, labels_of, posterior, without_prior
from online_gmm.em.other_regimes import SURE, Terms, other_regimes
from online_gmm.em.persistence import time_constant
from online_gmm.em.slices import ROWS, Meter, Sliced, pass_cost
from online_gmm.em.succession import has_moved, successors
from online_gmm.em.warm_start import WarmStart, in_order, warm_starting
from online_gmm.learners.beginning import BeginningLearner
from online_gmm.learners.em_learner import FEW, beyond, distances_beyond
from online_gmm.learners.recycle import OUTLYING, crowd
from online_gmm.learners.under_way import UnderWay

REFIT_STARTS = 2, 4
"""New starts tried when the points kept are fitted again; more if more components are expected."""
FOUND_BY_FIT = "a new fit of the points kept found it"
"""The cause of a birth."""
SUCCEEDING = 2048
"""Rows by which it is told which component continues which."""


class Examined(NamedTuple):
    """Points that are fitted again, and what the components known say of each.

    Parameters
    ----------
    rows : array of shape (n, D)
        The points.
    responsibilities : array of shape (n, K)
        Of the components.
    log_density : array of shape (n,)
        In nats.
    strange : array of shape (n,)
        Which of them are outliers.
    """

    rows: NDArray[np.float64]
    responsibilities: NDArray[np.float64]
    log_density: NDArray[np.float64]
    strange: NDArray[np.bool_]

    def usual(self) -> Examined:
        """The same without outliers, if these are few."""
        if not 0.0 < self.strange.mean() < FEW:
            return self
        return Examined._make(values[~self.strange] for values in self)


class RefittedLearner(BeginningLearner, abc.ABC):
    """A learner that fits points again, and numbers the regimes that a fit shows."""

    def _points_of(
        self, stream: _kernel.MixtureStream | _kernel.ChainStream
    ) -> NDArray[np.float64]:
        """The points that a stream has kept, shape (n, D)."""
        return np.frombuffer(stream.points_kept()).reshape(-1, len(self._names))

    def _other_regimes(
        self, known: MixtureParameters, rows: NDArray[np.float64], n_points: int, meter: Meter
    ) -> Sliced[MixtureParameters | None]:
        """A fit of other regimes to rows, if it is surely better than the one known."""
        selection = yield from self._selection(rows, n_points, icl=not self._k_is_told)
        yield
        k = known.n_components
        if not self._k_is_told and self._born_since(n_points / 2):
            # what is known of a young component is not at rest, and more of them may fit better
            selection.most = min(selection.most, k)
        terms = Terms(
            self._value,
            lambda n: self._price(n, k),
            k if self._has_all_at_start else 1,
            lambda fitted: (
                self._finds_a_handful(known, fitted, rows)
                or self._loses_one_of_late(known, fitted, rows, n_points)
            ),
        )
        found = yield from other_regimes(selection, known, self._refit_starts(k), terms, meter)
        return found

    def _refined(
        self, mixture: MixtureParameters, rows: NDArray[np.float64], meter: Meter
    ) -> Sliced[WarmStart]:
        """EM steps from a mixture on, its components staying what they are."""
        start = yield from warm_starting(
            rows,
            mixture.n_components,
            self._names,
            self.covariance_type,
            self.prior_strength,
            n_init=0,
            order_by=None,
            seed=None,
            current=mixture,
            max_components=self.max_components,
            at_most=False,
            meter=meter,
        )
        return start

    def _selection(
        self, rows: NDArray[np.float64], n_points: int, *, icl: bool
    ) -> Sliced[Selection]:
        """The rows of a fit after so many points, from which components are chosen."""
        rng = np.random.default_rng(None if self.seed is None else self.seed + n_points)
        selection = yield from Selection.of(
            rows,
            self._most,
            self._names,
            self.covariance_type,
            self.prior_strength,
            rng,
            icl=icl,
        )
        return selection

    def _refit_starts(self, known: int) -> int:
        """How many starts a new fit tries, when so many components are known."""
        return REFIT_STARTS[self._k_is_told and known < self._most]

    def _price(self, n: int, known: int) -> float:
        """Nats by which a fit of n components must be better than one of those known.

        A component less is no advantage by itself. One more is what the user expects, up to the
        number told; other regimes than those known must be sure.
        """
        expected = self._k_is_told and n > known
        return WORTH * max(n, known) + (0.0 if expected else SURE)

    @property
    def _k_is_told(self) -> bool:
        return self.n_components != "auto"

    def _finds_a_handful(
        self, known: MixtureParameters, fitted: MixtureParameters, rows: NDArray[np.float64]
    ) -> bool:
        """Whether a fit has a new component of fewer rows than would be born.

        In many features a few rows have a covariance that explains them too well.
        """
        small = fitted.weights * len(rows) < crowd(len(self._names))
        if not small.any():
            return False
        old = successors(known, fitted, rows)
        return any(old[j] is None for j in np.flatnonzero(small))

    def _loses_one_of_late(
        self,
        known: MixtureParameters,
        fitted: MixtureParameters,
        rows: NDArray[np.float64],
        n_points: int,
    ) -> bool:
        """Whether a fit leaves out a component that was born in the second half of the stream.

        Too few of its points are among those kept.
        """
        young = self._born_since(n_points / 2)
        if not young:
            return False
        numbers = self._roster.numbers
        return not young <= {numbers[i] for i in successors(known, fitted, rows) if i is not None}

    def _born_since(self, n: float, by_fit: bool = True) -> set[int]:
        """The components there are that were born after this many points.

        ``by_fit`` counts those that a fit of the points kept has found.
        """
        born = {
            e.number
            for e in self._roster.events
            if e.kind == "born" and e.n_points > n and (by_fit or e.cause != FOUND_BY_FIT)
        }
        return born.intersection(self._roster.numbers)

    def _succession(
        self, known: MixtureParameters, fitted: MixtureParameters, rows: NDArray[np.float64]
    ) -> tuple[list[int | None], list[int]]:
        """Return which component continues which, and the order in which they are numbered.

        The first list has the known component that each of the fit continues, None if there is
        none. The second has the components of the fit: those that continue others come first.
        """
        old = successors(known, fitted, rows[:: max(len(rows) // SUCCEEDING, 1)])
        kept = sorted((i, j) for j, i in enumerate(old) if i is not None)
        rank = in_order(fitted, self.order_by).tolist()
        return old, [j for _, j in kept] + [j for j in rank if old[j] is None]

    def _succeed(
        self, known: MixtureParameters, fitted: MixtureParameters, old: list[int | None]
    ) -> None:
        """Number the components of a new fit, and tell what has become of those known.

        The components of the fit are in the order that `_succession` has returned, and so are those
        in ``old`` that they continue.
        """
        stream, roster = self._stream, self._roster
        after = labels_of(fitted, known.means)
        numbers = roster.numbers
        for i in sorted(set(range(known.n_components)) - set(old)):
            into = old[int(after[i])]
            if into is None:
                cause = "a new fit of the points kept does without it"
                roster.note("retired", numbers[i], stream, cause, known.means[i])
            else:
                cause = f"became one with component {numbers[into]}"
                center = fitted.means[int(after[i])]
                roster.note("merged", numbers[i], stream, cause, known.means[i], center)
        for j, continued in enumerate(old):
            if continued is not None:
                self._note_move(known, continued, fitted, j)
        roster.numbers = tuple(numbers[i] for i in old if i is not None)
        for j, continued in enumerate(old):
            if continued is None:
                cause = FOUND_BY_FIT
                roster.note("born", roster.add(), stream, cause, after=fitted.means[j])

    def _examined(self, refit: UnderWay, meter: Meter) -> Sliced[Examined]:
        """What the components known say of the points fitted.

        How long regimes last is seen here too.
        """
        known, rows = refit.known, refit.rows[: refit.n_fitted]
        components = without_prior(known)
        log_density, distance = np.empty(len(rows)), np.empty(len(rows))
        responsibilities = np.empty((len(rows), known.n_components))
        for at in range(0, len(rows), ROWS):
            part = slice(at, at + ROWS)
            responsibilities[part], log_density[part], distance[part] = posterior(
                components, rows[part]
            )
            if meter.is_full(pass_cost(len(rows[part]), known.n_components, rows.shape[1], True)):
                yield
        refit.lasting = time_constant(responsibilities)
        strange = self._outlying(distance, rows)
        return Examined(rows, responsibilities, log_density, strange)

    def _held_back(
        self, components: _kernel.Components, rows: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which rows are not learnt after a fit: those that the stream would not learn either.

        Beside outliers they are those that no component explains, if one may be born of them.
        """
        distance = posterior(components, rows)[2]
        held = self._outlying(distance, rows)
        if components.state()["shape"][0] < self._most:
            held |= beyond(distances_beyond(OUTLYING, rows.shape[1]), distance, rows)
        return held

    def _note_move(
        self, known: MixtureParameters, i: int, fitted: MixtureParameters, j: int
    ) -> None:
        n = known.weights[i] * self._stream.n_points
        if has_moved(known, i, fitted, j, n):
            self._roster.note(
                "moved",
                self._roster.numbers[i],
                self._stream,
                "a new fit of the points kept puts its centre elsewhere",
                known.means[i],
                fitted.means[j],
            )
