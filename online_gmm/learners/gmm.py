"""OnlineGMM: a Gaussian mixture that learns a point at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat, view
from online_gmm.data.state import instance, writable
from online_gmm.em.mixture import (
    CovarianceType,
    MixtureParameters,
    from_kernel,
    is_dense,
    n_parameters,
    posterior,
)
from online_gmm.em.slices import Meter, Sliced, aside_cost
from online_gmm.em.step_size import StepSize
from online_gmm.em.warm_start import WarmStart, warm_starting
from online_gmm.learners.base import UNKNOWN
from online_gmm.learners.beginning import Begun, lasting_of
from online_gmm.learners.em_learner import AVERAGE_EVERY, beyond
from online_gmm.learners.intake import Late
from online_gmm.learners.mixture_merges import MergedMixture
from online_gmm.learners.mixture_refits import REFIT_STEPS, SLICED
from online_gmm.learners.places import Newborn, mixture_changed, mixture_with
from online_gmm.learners.recycle import RECENT, Roster, twins
from online_gmm.learners.under_way import under_way_from_state

REVIEW_EVERY = 64
"""Points between two looks at the components, if they are recycled."""
PARAMETERS = 100
"""Free parameters for which ``capacity`` points are kept; for more of them more points are."""
MEMORY = 2**22
"""Bytes that the points kept may take, unless ``capacity`` asks for more."""
MOST_TIMES = 4
"""How many times as many points are kept where values are missing, at most."""
NEVER = 2**62


@writable
class OnlineGMM(MergedMixture):
    """Learn a Gaussian mixture from a stream by incremental EM.

    The first ``warm_up`` points are kept and fitted by batch EM. From then on each point updates
    the sufficient statistics by a step. The parameters are those of the running average of the
    statistics [1]_ [2]_; on a stream that does not change they come as close to the truth as batch
    EM on all points seen.

    Parameters
    ----------
    n_components : int or "auto", default 3
        K, the number of components expected in the end. The warm start has as many of them as its
        points can tell (Bayesian information criterion); the others are born when points come that
        no component explains, or when a later fit finds them. ``"auto"`` expects up to
        ``max_components`` and demands that they can be told apart (ICL, see
        `online_gmm.em.how_many.compare`); ``start.criteria`` shows how the numbers tried were
        judged. Without points kept (``capacity=0``, a step size that follows) the warm start has K.
    max_components : int, default 8
        The most components that ``"auto"`` finds.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        The shape of covariances: ``full`` (a matrix for each component), ``tied`` (one matrix for
        all), ``diag`` (a variance for each feature) or ``spherical`` (one variance for each
        component). ``full`` is best if there are enough points: about 10 (D + 1) for each.
    warm_up : int, default 200
        How many points are fitted together at the start.
    step_size : PowerDecay, Constant or HalfLife, optional
        How fast new points replace old ones. By default ``PowerDecay(0.7)``, for streams that do
        not change; `HalfLife` and `Constant` follow streams that do. Where regimes last, default
        steps are smaller: at most 1 / (6 t), or 2 / n after n points if that is more. A regime is
        forgotten to a factor 1 / e after t points; fits of the points kept tell t.
    average : bool, optional
        Whether to report the average of the iterates instead of the last one. The average is more
        precise on a stream that does not change; the last iterate follows one that does. By default
        this depends on the step size: no average if it follows, or gives all points equal weight.
    prior_strength : float, default 0.001
        How many pseudo-points with the variance of the data each component starts with. They keep
        variances above 0. Increase it if a component shrinks to a few equal points. See `Prior`.
    gate : float, default 1e-12
        The tail probability beyond which a point is an outlier, from 0 to below 1. A point that is
        an outlier to every component is counted, and learnt with a step that becomes smaller with
        its distance. 0 switches the gate off.
    capacity : int, default 1600
        How many points of the stream are kept, evenly thinned. They are fitted again by batch EM
        each time the stream has doubled, and more often after a component was born. The fit is done
        in slices while the next points come, so that no point takes long; a stream that ends before
        the last slice goes without its result. Once not all points are kept, a fit rarely replaces
        what was learnt, but corrects it, see `polish`. For more than 100 free parameters more
        points are kept in proportion, within 4 MiB, and up to four times as many where values are
        missing. 0 keeps none; step sizes that follow keep none
        either.
    recycle : bool, default False
        Whether to retire components that have lost their support, merge two that have become one,
        and start new ones at points that none explains. Each of these is an event. Numbers are not
        used again, so labels can be any number.
    n_init : int, default 12
        How many EM starts are tried in the warm start; half are k-means++, half random.
    features : sequence of hashable, optional
        The names of the features, in order. By default all names that the warm start has seen,
        sorted. Other features are ignored and counted.
    order_by : hashable, optional
        Components are numbered in the order of their means of this feature, by default of the
        first.
    time : hashable, optional
        The key of a point that holds its time, in seconds or as a datetime. It is not a feature.
        Outside of pipelines the time can be an argument of `learn_one` instead.
    late : {"raise", "skip", "learn"}, default "raise"
        What to do with a point whose time is not after that of the last one: raise an error, skip
        and count it, or learn it.
    seed : int, optional
        Makes the warm start and later fits repeatable; nothing else is random.

    Attributes
    ----------
    start : WarmStart or None
        The warm start that was chosen, None before.
    n_points : int
        Points learnt, those of the warm start included.
    n_outliers : int
        Points that were outliers; those of the warm start are set aside before it.
    n_empty : int
        Points in which no known feature had a value. Nothing is learnt from them.
    n_late : int
        Points skipped because their time was not after that of the last one.
    n_unknown : int
        Values ignored because their feature is not known.
    events : tuple of ComponentEvent
        What has happened to components since the warm start: born, moved, merged, retired.

    Notes
    -----
    Until the warm start is complete, the label is -1. The warm start is made in slices while the
    points after the first ``warm_up`` come, so that no point takes long: 10 to 30 of them for three
    components. They are learnt, in their order, when it ends. `fit_start` makes it at once. After
    it a label keeps its meaning: a new fit
    moves a component within its estimation error, and what else happens to a component is one of
    the ``events``. A component that is born gets a new label; ``labels`` says which there are.

    As long as a component may be born, nothing is learnt from a point that none explains (tail
    probability below 1e-5). Such points start a component when enough of them come together.

    A missing feature (absent, None or NaN) is marginalised out of the E-step and replaced by its
    conditional moments in the M-step [3]_. A value that is infinite, beyond 1e150 in magnitude or
    not a real number raises an error, and the model does not change.

    Cost per point: O(K D^2) for ``full``, O(K D) for ``diag``; ``tied`` adds O(D^3). Memory: O(K
    D^2), and the warm-up points until it is complete. A point with missing features costs O(K D^3)
    unless covariances are ``diag`` or ``spherical``. In 100 features of which few are present in
    each point that is about 0.4 ms for each component, and seconds for the warm start, which then
    tries fewer starts: choose ``diag`` there.

    References
    ----------
    .. [1] Cappe, O. & Moulines, E. (2009). On-line expectation-maximization algorithm for latent
           data models. Journal of the Royal Statistical Society B 71(3), 593-613.
    .. [2] Polyak, B. T. & Juditsky, A. B. (1992). Acceleration of stochastic approximation by
           averaging. SIAM Journal on Control and Optimization 30(4), 838-855.
    .. [3] Ghahramani, Z. & Jordan, M. I. (1994). Supervised learning from incomplete data via an
           EM approach. Advances in Neural Information Processing Systems 6.

    Examples
    --------
    >>> import random
    >>> from online_gmm import OnlineGMM
    >>> rng = random.Random(1)
    >>> model = OnlineGMM(n_components=2, warm_up=100, seed=1)
    >>> for _ in range(2000):
    ...     level = rng.choice([10.0, 20.0])
    ...     model.learn_one({"level": rng.gauss(level, 1.0)})
    >>> model.predict_one({"level": 9.5}), model.predict_one({"level": 21.0})
    (0, 1)
    >>> model.mixture.means.round(0)
    array([[10.],
           [20.]])
    """

    def __init__(
        self,
        n_components: int | Literal["auto"] = 3,
        *,
        max_components: int = 8,
        covariance_type: CovarianceType = "full",
        warm_up: int = 200,
        step_size: StepSize | None = None,
        average: bool | None = None,
        prior_strength: float = 1e-3,
        gate: float = 1e-12,
        capacity: int = 1600,
        recycle: bool = False,
        n_init: int = 12,
        features: Sequence[Hashable] | None = None,
        order_by: Hashable | None = None,
        time: Hashable | None = None,
        late: Late = "raise",
        seed: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.max_components = max_components
        self.covariance_type = covariance_type
        self.warm_up = warm_up
        self.step_size = step_size
        self.average = average
        self.prior_strength = prior_strength
        self.gate = gate
        self.capacity = capacity
        self.recycle = recycle
        self.n_init = n_init
        self.features = features
        self.order_by = order_by
        self.time = time
        self.late = late
        self.seed = seed

        self._prepare()
        self._roster = Roster(0)
        self._refit_at = NEVER
        self._searches = True
        self._next_slice = NEVER

    # set by estimators that begin in another way
    _first: Callable[[NDArray[np.float64]], MixtureParameters] | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_components": 3, "warm_up": 20, "seed": 1}
        yield {"n_components": 2, "warm_up": 50, "covariance_type": "diag", "seed": 2}
        yield {"n_components": 2, "warm_up": 30, "covariance_type": "tied", "seed": 3}
        yield {"n_components": 4, "warm_up": 30, "covariance_type": "spherical", "seed": 4}
        yield {"n_components": 1, "warm_up": 1, "average": False, "seed": 5}
        yield {"n_components": "auto", "max_components": 4, "warm_up": 40, "seed": 6}

    # -- learning -------------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        if not self._keeps_points:
            return 0
        d = len(self._names)
        free = n_parameters(self._most, d, self.covariance_type)
        room = max(self.capacity, min(self.capacity * free // PARAMETERS, MEMORY // (8 * d)))
        return room - room % 2

    def _room_beside(self, rows: NDArray[np.float64]) -> int:
        """The same for a stream in which as many values are missing as in these rows.

        Rows with missing values say less of the parameters, so more are kept: as many times more as
        there are rows for each complete one, where memory and later fits allow it.
        """
        room, (d, k) = self._room, (rows.shape[1], self._most)
        complete = 1.0 - float(np.isnan(rows).any(axis=1).mean())
        times = 1.0 / max(complete, 1.0 / MOST_TIMES)
        cost = k * d * d * d if is_dense(self.covariance_type) else k * d
        more = min(int(room * times), MEMORY // (8 * d), int(SLICED / (REFIT_STEPS * cost)))
        return int(max(room, more - more % 2))

    def _starting(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> Sliced[Begun]:
        self._names = names
        return self._begun(rows, times)

    def _begun(self, rows: NDArray[np.float64], times: NDArray[np.float64]) -> Sliced[Begun]:
        meter = Meter()
        if meter.is_full(aside_cost(len(rows))):
            yield
        start, isolated = yield from self._first_fit(rows, meter)
        if meter.is_full(aside_cost(len(rows))):
            yield
        em = self._under(start)
        yield from em.accumulating(rows[~isolated], meter)
        components = em.components()
        components.count_as(float(len(rows)))
        stream = _kernel.MixtureStream(
            components,
            self._averages,
            AVERAGE_EVERY,
            self._schedule,
            float(np.fmax.reduce(times, initial=-math.inf)),
            flat(self._gates(len(self._names))),
            self._room_beside(rows),
        )
        stream.keep_many(flat(rows), len(rows))
        lasting = lasting_of(start.mixture, rows)
        return Begun(start, stream, rows[isolated], len(rows), lasting)

    def _first_fit(
        self, rows: NDArray[np.float64], meter: Meter
    ) -> Sliced[tuple[WarmStart, NDArray[np.bool_]]]:
        """Return the warm start, and which of its rows are outliers that have no part in it."""
        first = self._begin_with(rows)
        n_components = self.n_components if first is None else first.n_components
        has_all = self._has_all_at_start or first is not None
        if first is None and self._first is not None:
            first = self._first(rows)
        isolated = np.zeros(len(rows), dtype=bool)
        looks = self._looks if first is None else 0
        while True:
            start = yield from warm_starting(
                rows[~isolated],
                n_components,
                self._names,
                self.covariance_type,
                self.prior_strength,
                self.n_init if first is None else 0,
                self.order_by,
                self.seed,
                current=first,
                max_components=self.max_components,
                at_most=self._keeps_points and not has_all,
                meter=meter,
            )
            if meter.is_full(aside_cost(len(rows))):
                yield
            found = self._isolated(start.mixture, rows) if looks else isolated
            if (found == isolated).all():
                return start, isolated
            isolated, looks = found, looks - 1
            if meter.is_full(aside_cost(len(rows))):
                yield

    def _plan_first(self, n: int) -> None:
        self._refit_at = 2 * n

    def _attend(self) -> None:
        """Do what is due."""
        if self.recycle:
            self._review()
        self._consider_birth()
        if self._refit is not None and self._stream.n_points >= self._next_slice:
            self._go_on()
        elif self._keeps_points and self._refit is None and self._stream.n_points >= self._refit_at:
            self._begin_refit()
        self._wait()

    def _wait(self) -> None:
        """Let the stream learn without a break until something is due."""
        refit_at = self._refit_at if self._refit is None else self._next_slice
        self._stream.put_off(
            min(
                refit_at if self._keeps_points else NEVER,
                self._stream.n_points + REVIEW_EVERY if self.recycle else NEVER,
            )
        )

    def _grow(self, newborn: Newborn, share: float) -> None:
        state = mixture_with(self._stream.state(), newborn, share)
        self._stream = _kernel.mixture_stream_from_state(state)
        self._refit_at = min(self._refit_at, self._stream.n_points + RECENT)
        self._searches = True

    def _put(
        self, place: int, center: NDArray[np.float64], covariance: NDArray[np.float64]
    ) -> None:
        state = mixture_changed(
            self._stream.state(), lambda parts: parts.replaced(place, center, covariance)
        )
        self._stream = _kernel.mixture_stream_from_state(state)

    @property
    def _keeps_all(self) -> bool:
        return self._keeps_points and self._stream.stride_kept == 1

    def _review(self) -> None:
        """Retire components without support, and merge two that have become one. O(K^2 D^3)."""
        stream, roster, d = self._stream, self._roster, len(self._names)
        # what holds now, not on average
        now = from_kernel(stream.iterate_components, self._names)
        weight = np.frombuffer(stream.iterate_components.state()["weight"])
        support = weight * stream.iterate_components.state()["points"]
        for place in reversed(range(self._k)):
            if support[place] < d + 1 and self._k > 1:
                cause = f"no support: {support[place]:.2g} points' worth is left"
                roster.note("retired", roster.numbers[place], stream, cause, now.means[place])
                self._change(place, None)
                now = from_kernel(self._stream.iterate_components, self._names)
        pair = twins(now)
        if pair is not None:
            kept, gone = pair
            cause = f"became one with component {roster.numbers[kept]}"
            centers = now.means[gone], now.means[kept]
            roster.note("merged", roster.numbers[gone], stream, cause, *centers)
            self._change(gone, kept)

    def _change(self, gone: int, into: int | None) -> None:
        """Go on without a component, or with one that it is merged into."""
        self._stream = _kernel.mixture_stream_from_state(
            mixture_changed(
                self._stream.state(),
                lambda parts: parts.without(gone) if into is None else parts.merged(into, gone),
            )
        )
        self._roster.drop(gone)
        self._refit = None
        self._watch()

    # -- as bytes ------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        refit = None
        if self._refit is not None:
            refit = {**self._refit.state(), "next": self._next_slice}
        return {
            **super()._state(),
            "refit_at": self._refit_at,
            "searches": self._searches,
            "refit": refit,
        }

    def _restore(self, its: dict[str, Any]) -> None:
        super()._restore(its)
        self._refit_at = _kernel.whole(its["refit_at"], "refit_at", 1, NEVER)
        self._searches = instance(its.get("searches", True), bool, "searches")
        refit = its.get("refit")
        if refit is not None and self._stream is not None:
            k, d, kind = self._shape
            square = d * d if kind in (_kernel.FULL, _kernel.TIED) else d
            size = k * (1 + d + square)
            self._refit = under_way_from_state(refit, self._k, self._names, size)
            self._next_slice = _kernel.whole(refit["next"], "next", 1, NEVER)

    @staticmethod
    def _components_in(its: dict[str, Any]) -> int:
        return _kernel.whole(its["iterate"]["shape"][0], "n_components", 1)

    def _streaming(self, its: dict[str, Any]) -> _kernel.MixtureStream:
        stream = _kernel.mixture_stream_from_state(its)
        if tuple(its["iterate"]["shape"]) != self._shape:
            raise ValueError("the components are not those of the parameters")
        # up to version 2 of the format it did not depend on the number of parameters
        kept = self.capacity - self.capacity % 2 if self._keeps_points else 0
        if its["capacity"] != kept and not (
            self._room <= its["capacity"] <= MOST_TIMES * self._room
        ):
            raise ValueError("capacity is not that of the parameters")
        if its["capacity"] and not its["buffer"]:
            raise ValueError("there are no points kept")
        return stream

    # -- answers --------------------------------------------------------------------------------

    def _posterior(
        self, table: Table, flagging: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        rows = table.select(self._names)
        responsibilities, log_density, distance = posterior(self._stream, rows)
        gates = np.frombuffer(self._stream.outlier_gates)
        return responsibilities, log_density, beyond(gates, distance, rows)

    def _labels_of(self, table: Table) -> NDArray[np.int64]:
        if self._stream is None or not self._knows(table):
            return np.full(len(table), UNKNOWN, dtype=np.int64)
        places = np.zeros(len(table), dtype=np.int64)
        self._stream.predict(view(table.select(self._names)), len(table), view(places))
        return self._by_place[places] if self.recycle else places

    def _log_densities(self, table: Table) -> NDArray[np.float64]:
        log_density = np.full(len(table), np.nan)
        if self._stream is not None and self._knows(table):
            rows = view(table.select(self._names))
            self._stream.log_densities(rows, len(table), view(log_density))
        return log_density

    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return posterior(self._stream, rows)[2]

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def mixture(self) -> MixtureParameters:
        """The mixture as learnt so far, an immutable value. O(K D^3).

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        self._require_start()
        return from_kernel(self._stream.components, self._names)
