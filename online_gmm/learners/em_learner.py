"""What learners of online EM have in common: their start, step sizes, gates, labels and answers."""

from __future__ import annotations

import abc
import dataclasses
import math
import warnings
from collections.abc import Hashable, Mapping
from numbers import Integral
from operator import methodcaller
from typing import Any, ClassVar, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import html, state
from online_gmm.data.frames import Table, flat
from online_gmm.em.how_many import WORTH, Criterion, Selection, merged
from online_gmm.em.mixture import (
    COVARIANCE_TYPES,
    CovarianceType,
    MixtureParameters,
    n_parameters,
    posterior,
    without_prior,
)
from online_gmm.em.other_regimes import SURE, Terms, other_regimes
from online_gmm.em.prior import STRONGEST, Prior
from online_gmm.em.slices import ROWS, Meter, Sliced, pass_cost
from online_gmm.em.step_size import Constant, HalfLife, PowerDecay, StepSize
from online_gmm.em.succession import has_moved, successors
from online_gmm.em.warm_start import WarmStart, in_order, start_from_state
from online_gmm.learners.base import NOTHING_KNOWN, UNKNOWN, Assignment, Assignments, Learner
from online_gmm.learners.intake import NO_TIME, Time
from online_gmm.learners.places import mixture_changed
from online_gmm.learners.recycle import (
    OUTLYING,
    RECENT,
    SPREAD_KNOWN,
    WELL_KNOWN,
    ComponentEvent,
    Roster,
    crowd,
    roster_from_state,
)
from online_gmm.learners.under_way import UnderWay

MOST_COMPONENTS = 10_000
"""Components at most: what is made of that size must fit into memory."""
MOST_POINTS = 2**40
"""Points at most, of what grows only as they come."""
AVERAGE_EVERY = 16
"""Points between two iterates that enter the average."""
RIDGE, TINY = 1e-9, 1e-290
"""Added to variances, as a share, so that a covariance can be inverted; least variance there."""
FEW = 0.1
"""Below this share outliers are left out when points are fitted together."""
HANDFUL = 3, 20
"""So many rows of a warm start are no regime by themselves, nor is one in 20 K of them."""
TOGETHER = 10.0
"""Standard deviations from their median within which points may start a component together."""
LOOKS = 4
"""How often the outliers of the warm start are looked for at most."""
REFIT_STARTS = 2, 4
"""New starts tried when the points kept are fitted again; more if more components are expected."""
FOUND_BY_FIT = "a new fit of the points kept found it"
"""The cause of a birth."""
PARTS = (1.0, 0.8, 0.6, 0.4)
"""How much of the last points is tried as a regime of its own."""
SUCCEEDING = 2048
"""Rows by which it is told which component continues which."""
OUTLIERS_KEPT = 64
"""The last badly explained points that are kept, or 16 (D + 1) if that is more."""


class EMLearner(Learner, abc.ABC):
    """Gaussian components that are started by batch EM and go on by steps."""

    n_components: int | Literal["auto"]
    max_components: int
    covariance_type: CovarianceType
    step_size: StepSize | None
    average: bool | None
    prior_strength: float
    gate: float
    capacity: int
    n_init: int
    order_by: Hashable | None
    seed: int | None

    _start: bytes | None
    _roster: Roster
    _refit: UnderWay | None
    _next_slice: int
    _given: MixtureParameters | None = None
    """The mixture that `fit_start` begins with, while it does."""
    _has_all_at_start = False
    """Whether there are K components at any time; set by estimators that promise so."""

    def _prepare(self, needs_time: bool = False) -> None:
        """Check the parameters above, and begin with nothing."""
        if self.n_components != "auto" and not (
            isinstance(self.n_components, Integral) and self.n_components >= 1
        ):
            raise ValueError(
                f"n_components is {self.n_components!r}; it must be at least 1 and whole, or 'auto'"
            )
        if self.n_components != "auto" and self.n_components > MOST_COMPONENTS:
            raise ValueError(
                f"n_components is {self.n_components!r}; it must be at most {MOST_COMPONENTS}"
            )
        for name, value, least, most in (
            ("max_components", self.max_components, 1, MOST_COMPONENTS),
            ("n_init", self.n_init, 1, MOST_POINTS),
            ("capacity", self.capacity, 0, MOST_POINTS),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} is {value!r}; it must be from {least} to {most}")
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type is {self.covariance_type!r}; "
                f"it must be one of {', '.join(COVARIANCE_TYPES)}"
            )
        if not 0.0 <= self.prior_strength <= STRONGEST:
            raise ValueError(
                f"prior_strength is {self.prior_strength!r}; "
                f"it must be a number of pseudo-points from 0 to {STRONGEST:g}"
            )
        if not 0.0 <= self.gate < 1.0:
            raise ValueError(f"gate is {self.gate!r}; it must be a probability below 1")
        if not isinstance(self.step_size, StepSize | None):
            raise TypeError(
                f"step_size is {self.step_size!r}; a PowerDecay, Constant or HalfLife is expected"
            )
        self._start = None
        self._refit = None
        needs_time |= isinstance(self.step_size, HalfLife) and self.step_size.seconds is not None
        super()._prepare(needs_time)

    def fit_start(
        self, X: Any = None, t: Any = None, *, mixture: MixtureParameters | None = None
    ) -> Self:
        """Fit the first points by batch EM. The stream continues from there.

        Without this call the learner does so by itself after ``warm_up`` points.

        Parameters
        ----------
        X
            Points of the past, as a frame or an array with any number of rows. They are fitted
            together with the points learnt so far, which come first. By default only the points
            learnt so far are fitted, however few they are.
        t
            Times of the rows of X, shape (n,), in seconds or as datetimes, unless X has a column
            ``time``.
        mixture
            What the fit begins with, in place of random starts; for instance the ``mixture`` of a
            `Segmenter`. It must have ``n_components`` components, unless that is ``auto``, and the
            features of the points. Component i of it becomes label i. Points should show each
            regime: of one without points little is left.

        Returns
        -------
        Learner
            This model.

        Raises
        ------
        ValueError
            If no point has a value, the model has started already, or the mixture does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import OnlineHMM, Segmenter
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(np.repeat([40.0, 0.2, 20.0, 40.0], 300), 1.0)
        >>> segmenter = Segmenter()
        >>> segmenter.learn_many(X)
        >>> mixture = segmenter.mixture
        >>> model = OnlineHMM(mixture.n_components, seed=1).fit_start(X, mixture=mixture)
        >>> [segmenter.labels[model.predict_one({0: level})] for level in (39.0, 1.0, 21.0)]
        [0, 1, 2]
        """
        if mixture is not None:
            self._check_mixture(mixture)
        self._given = mixture
        try:
            super().fit_start(X, t)
        finally:
            self._given = None
        return self

    def _check_mixture(self, mixture: MixtureParameters) -> None:
        k = mixture.n_components
        if self.n_components != "auto" and k != self.n_components:
            raise ValueError(
                f"the mixture has {k} components, and n_components is {self.n_components!r}; make "
                f"the model with n_components={k}"
            )
        if k > self._most:
            raise ValueError(
                f"the mixture has {k} components, and max_components is {self._most}; raise that"
            )
        if self.order_by is not None:
            raise ValueError(
                f"order_by is {self.order_by!r}, and the components of a given mixture keep their "
                "order; leave one of them out"
            )

    def _begin_with(self, rows: NDArray[np.float64]) -> MixtureParameters | None:
        """The mixture that was given, its features in the order of the model's.

        A covariance that is not positive definite, as that of a channel that never moves, gets the
        part of the prior that the fit would give it.
        """
        given = self._given
        if given is None:
            return None
        if set(given.features) != set(self._names) or len(given.features) != len(self._names):
            raise ValueError(
                f"the mixture has the features {', '.join(map(repr, given.features))}, and the "
                f"points have {', '.join(map(repr, self._names))}"
            )
        order = [given.features.index(name) for name in self._names]
        prior = Prior.of(rows, given.n_components, self.prior_strength)
        share = self.prior_strength / len(rows)
        covariances = given.covariances[:, order][:, :, order] + share * prior.covariance
        return MixtureParameters(given.weights, given.means[:, order], covariances, self._names)

    @property
    def start(self) -> WarmStart | None:
        """The start that was chosen, None before."""
        if self._start is None:
            return None
        return start_from_state(msgspec.msgpack.decode(self._start), self._names)

    def _started_by(self, start: WarmStart) -> None:
        # as bytes it takes a tenth of the memory, and it is seldom read
        self._start = msgspec.msgpack.encode(start.state())

    @property
    def _k(self) -> int:
        """The number of components there are now."""
        return len(self._roster.numbers)

    @property
    def _most(self) -> int:
        """The most components there may be."""
        return self.max_components if self.n_components == "auto" else self.n_components

    def _value(self, criterion: Criterion) -> float:
        """What is compared when numbers of components are."""
        return criterion.icl if self.n_components == "auto" else criterion.bic

    @property
    def _follows(self) -> bool:
        return self.step_size is not None and self.step_size.follows

    @property
    def _keeps_points(self) -> bool:
        return self.capacity > 1 and not self._follows

    @property
    def _room(self) -> int:
        """The most points that are kept."""
        return self.capacity if self._keeps_points else 0

    @property
    def _averages(self) -> bool:
        if self.average is not None:
            return self.average
        step_size = self.step_size or PowerDecay()
        return not (step_size.follows or step_size.weighs_alike)

    @property
    def _schedule(self) -> tuple[float, float, float, float, bool, bool]:
        """The step size as `StepSchedule` expects it."""
        step_size = self.step_size or PowerDecay()
        if isinstance(step_size, PowerDecay):
            return 1.0, step_size.exponent, step_size.floor, 0.0, False, step_size.follows
        if isinstance(step_size, Constant):
            return step_size.step, 0.0, 0.0, 0.0, False, True
        assert isinstance(step_size, HalfLife)
        timed = step_size.seconds is not None
        return 0.0, 0.0, 0.0, step_size.seconds or step_size.points or 0.0, timed, True

    def _state(self) -> dict[str, Any]:
        start = self._start
        return {
            **super()._state(),
            "start": None if start is None else msgspec.Raw(start),
            "roster": self._roster.state(),
        }

    def _restore(self, its: dict[str, Any]) -> None:
        if (its["start"] is None) != (its["stream"] is None):
            raise ValueError("there is a warm start without a stream, or a stream without one")
        if its["start"] is not None:
            start = start_from_state(its["start"], state.names_of(its["names"]))
            self._started_by(start)
            if not start.mixture.n_components <= self._most:
                raise ValueError("the warm start has more than n_components components")
            its = {**its, "stream": self._without_free_places(its)}
            k = self._components_in(its["stream"])
            # chains of version 2 of the format have all the components they began with
            self._roster = roster_from_state(its["roster"], k) if "roster" in its else Roster(k)
            self._numbered = not self._roster.is_plain
            if k > self._most:
                raise ValueError("there are more components than n_components")
        super()._restore(its)

    @staticmethod
    def _without_free_places(its: dict[str, Any]) -> dict[str, Any]:
        """Return the state of the stream without places that no component has.

        Up to version 2 of the format such places were kept.
        """
        stream: dict[str, Any] = its["stream"]
        numbers = its.get("roster", {}).get("numbers", [])
        for place in reversed(range(len(numbers))):
            if numbers[place] is None:
                stream = mixture_changed(stream, methodcaller("without", place))
        return stream

    @staticmethod
    @abc.abstractmethod
    def _components_in(its: dict[str, Any]) -> int:
        """Return the number of components in the state of a stream."""

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of the components: K, D and their kind."""
        return self._k, len(self._names), COVARIANCE_TYPES[self.covariance_type]

    def _gates(self, n_features: int) -> NDArray[np.float64]:
        """Squared distance of an outlier, by the number of features observed."""
        if self.gate > 0.0:
            return distances_beyond(self.gate, n_features)
        return np.full(n_features + 1, np.inf)

    def _outlying(
        self, distance: NDArray[np.float64], rows: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which rows lie beyond the gate, by their squared distances."""
        return beyond(self._gates(rows.shape[1]), distance, rows)

    @property
    def _looks(self) -> int:
        """How often outliers are looked for in the rows of the warm start."""
        return LOOKS if self.gate > 0.0 and not self._has_all_at_start else 0

    def _isolated(self, mixture: MixtureParameters, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of the warm start lie beyond the gate of all components but the smallest.

        A component of a handful of rows does not count: single wild readings would otherwise take
        the place of a regime. None if there are too many such rows to be outliers.
        """
        least, share = HANDFUL
        handful = max(least, len(rows) // (share * self._most))
        sizes = np.bincount(mixture.predict(rows), minlength=mixture.n_components)
        large = np.flatnonzero(sizes > handful)
        if not len(large):
            return np.zeros(len(rows), dtype=bool)
        components = without_prior(mixture.reordered(large))
        isolated = self._outlying(posterior(components, rows)[2], rows)
        return isolated if isolated.mean() < FEW else np.zeros(len(rows), dtype=bool)

    # -- components that come and go ------------------------------------------------------------

    @abc.abstractmethod
    def _grow(self, points: NDArray[np.float64], share: float) -> None:
        """Go on with a component of these points, which has this share of the weight."""

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
        outliers = np.frombuffer(stream.last_outliers(stream.n_points - RECENT)).reshape(-1, d)
        if len(outliers) < crowd(d) and not stream.last_deviating():
            return
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
        # beyond the range of doubles a gap is infinite, and not the nearest
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = points.mean(axis=0) - known.means
            inward = np.linalg.solve(covariances, gaps[:, :, None])[:, :, 0]
            distances = np.nan_to_num((gaps * inward).sum(axis=1), nan=np.inf)
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
        self._grow(points, min(len(points) * max(step, 1.0 / RECENT), 0.5))
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
            gain = own.score_samples(known).sum() - explained
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
        """Put a component that has begun to take rows of a new regime back to where it was."""
        assert self.start is not None
        before = self._before(self.start)
        rows = rows[~np.isnan(rows).any(axis=1)]
        taken = self.mixture.score_samples(rows).sum() - before.score_samples(rows).sum()
        place = int(np.bincount(before.predict(rows)).argmax())
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

    def _other_regimes(
        self, known: MixtureParameters, rows: NDArray[np.float64], n_points: int, meter: Meter
    ) -> Sliced[MixtureParameters | None]:
        """A fit of other regimes to rows, if it is surely better than the one known."""
        rng = np.random.default_rng(None if self.seed is None else self.seed + n_points)
        selection = yield from Selection.of(
            rows,
            self._most,
            self._names,
            self.covariance_type,
            self.prior_strength,
            rng,
            icl=not self._k_is_told,
        )
        yield
        k = known.n_components
        terms = Terms(
            self._value,
            lambda n: self._price(n, k),
            k if self._has_all_at_start else 1,
            lambda fitted: self._loses_one_of_late(known, fitted, rows, n_points),
        )
        found = yield from other_regimes(selection, known, self._refit_starts(k), terms, meter)
        return found

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
        after = fitted.predict(known.means)
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
        roster.numbers = [numbers[i] for i in old if i is not None]
        for j, continued in enumerate(old):
            if continued is None:
                cause = FOUND_BY_FIT
                roster.note("born", roster.add(), stream, cause, after=fitted.means[j])

    def _examined(
        self, refit: UnderWay, meter: Meter
    ) -> Sliced[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
        """Which of the points kept are outliers, and the log densities of all."""
        known, rows = refit.known, refit.rows
        components = without_prior(known)
        log_density, distance = np.empty(len(rows)), np.empty(len(rows))
        for at in range(0, len(rows), ROWS):
            part = slice(at, at + ROWS)
            _, log_density[part], distance[part] = posterior(components, rows[part])
            if meter.is_full(pass_cost(len(rows[part]), known.n_components, rows.shape[1], True)):
                yield
        return self._outlying(distance, rows), log_density

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

    # -- answers about one point ----------------------------------------------------------------

    def _when(self, x: Mapping[Any, Any], t: Time | None) -> float:
        """Return the time of a point in seconds, NaN if answers do not depend on it."""
        return NO_TIME

    def _is_known(self, x: Mapping[Any, Any]) -> bool:
        """Return whether anything is known of a point; warn if all its features are unknown."""
        if self._stream is None:
            return False
        if any(name in x for name in self._names) or all(name == self.time for name in x):
            return True
        self._warn_unknown(x)
        return False

    def _label(self, x: Mapping[Any, Any], t: Time | None) -> int:
        if not self._is_known(x):
            return UNKNOWN
        return self._number(self._stream.predict_one(x, self._names, self._when(x, t)))

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        if not self._is_known(x):
            return {}
        return self._by_label(self._stream.probabilities_one(x, self._names, self._when(x, t)))

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if not self._is_known(x):
            return math.nan
        density: float = self._stream.log_density_one(x, self._names, self._when(x, t))
        return density

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        if not self._is_known(x):
            return NOTHING_KNOWN
        place, *rest = self._stream.assign_one(x, self._names, self._when(x, t))
        return Assignment(self._number(place), *rest)

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if not self._is_known(x):
            return math.nan
        values = flat(np.empty(len(self._names)))
        _kernel.fill(x, self._names, values)
        self._when(x, t)
        return float(self._strangeness(np.frombuffer(values)[None])[0])

    # -- answers about many points --------------------------------------------------------------

    @abc.abstractmethod
    def _posterior(
        self, table: Table, flagging: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return probabilities by place (n, K), log densities, and which rows are outliers.

        The last one matters only with ``flagging``.
        """

    @abc.abstractmethod
    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squared distance of each row to the nearest component."""

    def _probabilities(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full((len(table), len(self.labels)), math.nan)
        return self._posterior(table, False)[0]

    def _labels_of(self, table: Table) -> NDArray[np.int64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), UNKNOWN, dtype=np.int64)
        labels: NDArray[np.int64] = self._by_place[self._posterior(table, False)[0].argmax(axis=1)]
        return labels

    def _log_densities(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), math.nan)
        return self._posterior(table, False)[1]

    def _assignments(self, table: Table) -> Assignments:
        if self._stream is None or not self._knows(table):
            return Assignments.unknown(len(table))
        probabilities, log_density, outlier = self._posterior(table, True)
        place = probabilities.argmax(axis=1)
        return Assignments(self._by_place[place], probabilities.max(axis=1), log_density, outlier)

    def _scores(self, table: Table) -> NDArray[np.float64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), math.nan)
        return self._strangeness(table.select(self._names))

    def _strangeness(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 of the tail probability of each row."""
        start = self.start
        assert start is not None
        return strangeness(self._distances(rows), np.count_nonzero(~np.isnan(rows), axis=1))

    # -- labels ---------------------------------------------------------------------------------

    def _number(self, place: int) -> int:
        """Return the label of a place in the kernel."""
        return self._roster.numbers[place]

    def _by_label(self, by_place: list[float]) -> dict[int, float]:
        return dict(zip(self._roster.numbers, by_place, strict=True))

    @property
    def _by_place(self) -> NDArray[np.int64]:
        return np.array(self._roster.numbers, dtype=np.int64)

    @property
    def labels(self) -> tuple[int, ...]:
        if self._stream is None:
            return ()
        return tuple(self._roster.numbers)

    @property
    def events(self) -> tuple[ComponentEvent, ...]:
        names = self._label_names
        return tuple(
            dataclasses.replace(event, name=names.get(event.number)) if names else event
            for event in self._roster.events
        )

    def _has_been(self, label: int) -> bool:
        return label in self.labels or any(e.number == label for e in self._roster.events)

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        if self._stream is None:
            return {}
        return {
            label: dict(zip(self._names, mean, strict=True))
            for label, mean in zip(self.labels, self.mixture.means.tolist(), strict=True)
        }

    def _repr_html_(self) -> str:
        said = f"{self.n_points:,} points"
        if self._stream is None:
            return html.page(html.call_of(self), [f"{said}, not started"])
        mixture = self.mixture
        shares = zip(self.labels, mixture.weights.tolist(), mixture.covariances, strict=True)
        rows = [
            [
                label,
                *([self.names.get(label, "")] if self.names else []),
                html.Share(weight, html.colour_of(label)),
                *self._html_cells(i),
                *html.channel_cells(
                    mixture.features,
                    self.centers[label],
                    dict(zip(mixture.features, np.sqrt(np.diagonal(covariance)), strict=True)),
                ),
            ]
            for i, (label, weight, covariance) in enumerate(shares)
        ]
        heads = ["label", *(["name"] if self.names else []), "weight", *self._html_heads]
        whole = html.table([*heads, *html.channel_heads(mixture.features)], rows)
        return html.page(html.call_of(self), [said], whole)

    _html_heads: ClassVar[tuple[str, ...]] = ()
    """Columns that a learner adds to its table in a notebook."""

    def _html_cells(self, place: int) -> list[str]:
        """Return the cells of these columns for the component in this place."""
        return []


def together(points: NDArray[np.float64], known: MixtureParameters) -> NDArray[np.float64]:
    """Return the points that are near the median of all, feature by feature.

    A wild reading among the points of a new regime is no part of it. Scales are the median absolute
    deviation and the least standard deviation of a component known, whichever is larger.
    """
    if np.isnan(points).any():
        with warnings.catch_warnings():
            # a feature may be missing throughout
            warnings.simplefilter("ignore", RuntimeWarning)
            away = np.abs(points - np.nanmedian(points, axis=0))
            spread = np.nan_to_num(np.nanmedian(away, axis=0))
        away = np.nan_to_num(away)
    else:
        away = np.abs(points - np.median(points, axis=0))
        spread = np.median(away, axis=0)
    least = np.sqrt(np.diagonal(known.covariances, axis1=1, axis2=2).min(axis=0))
    near = away <= TOGETHER * np.maximum(1.4826 * spread, least)
    chosen: NDArray[np.float64] = points[near.all(axis=1)]
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


def strangeness(
    distance: NDArray[np.float64], n_observed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return -log10 of the probability that a chi-squared variable exceeds each distance."""
    from scipy.special import chdtrc, gammaln

    degrees = np.maximum(n_observed, 1).astype(np.float64)
    tail = np.where(n_observed > 0, chdtrc(degrees, distance), 1.0)
    with np.errstate(divide="ignore"):
        result = -np.log10(tail)
    # below the smallest double the asymptotic series of the incomplete gamma function goes on
    for i in np.flatnonzero(tail < 1e-300):
        a, x = degrees[i] / 2.0, distance[i] / 2.0
        terms = np.cumprod((a - np.arange(1.0, max(2.0, a))) / x)
        series = math.log1p(float(terms.sum()))
        result[i] = -((a - 1.0) * math.log(x) - x - float(gammaln(a)) + series) / math.log(10.0)
    return np.asarray(result, dtype=np.float64) + 0.0


def distances_beyond(probability: float, n_features: int) -> NDArray[np.float64]:
    """Squared distances beyond which so few points lie, by the number of features observed."""
    # takes longer to import than this package
    from scipy.special import chdtri

    degrees = np.arange(1.0, n_features + 1)
    return np.concatenate([[np.inf], np.asarray(chdtri(degrees, probability), dtype=np.float64)])


def beyond(
    gates: NDArray[np.float64], distance: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which rows lie beyond the gate of as many features as they have."""
    result: NDArray[np.bool_] = distance > gates[np.count_nonzero(~np.isnan(rows), axis=1)]
    return result
