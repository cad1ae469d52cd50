"""OnlineHMM: regimes that persist, learnt a point at a time."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import html
from online_gmm.data.frames import Table, flat
from online_gmm.data.state import instance, writable
from online_gmm.em import baum_welch
from online_gmm.em.how_many import WORTH
from online_gmm.em.merging import one_fewer
from online_gmm.em.mixture import (
    CovarianceType,
    MixtureParameters,
    from_kernel,
    posterior,
)
from online_gmm.em.slices import Meter, Sliced, aside_cost
from online_gmm.em.step_size import StepSize
from online_gmm.em.warm_start import WarmStart, in_order, warm_starting
from online_gmm.learners.base import UNKNOWN, Assignment
from online_gmm.learners.beginning import Begun
from online_gmm.learners.chain_refits import RefittedChain
from online_gmm.learners.intake import NO_TIME, Late, Time
from online_gmm.learners.recycle import Roster
from online_gmm.learners.refits import REFIT_STARTS
from online_gmm.learners.under_way import under_way_from_state

MOST_BACK = 10_000_000
"""Doubles that are kept at most to look back."""
NEVER = 2**62 - 1
LEAST_BELIEF = 1e-12
"""No regime is less probable for a series that is followed."""
MOST = 16
"""Components: statistics for each place the chain may be in grow as K^3, and their cost as K^4."""


class Smoothed(NamedTuple):
    """What is known of a point, given those that came after it as well.

    Parameters
    ----------
    n
        The number of the point in the stream, from 0.
    time
        Its time, in seconds; NaN without times.
    label
        Its most probable regime.
    probability
        The probability of that regime.
    probabilities
        The probabilities of all regimes, by label.
    """

    n: int
    time: float
    label: int
    probability: float
    probabilities: dict[int, float]


@writable
class OnlineHMM(RefittedChain):
    """Learn a Gaussian hidden Markov model from a stream by online EM.

    A mixture judges every point by itself; this model knows that regimes last. The first
    ``warm_up`` points are fitted by the warm start of a mixture and then by Baum-Welch. From then
    on each point updates the statistics of regimes and of changes between them by a step of Cappe's
    exact recursion [1]_. The parameters are those of the running average of the statistics.

    Parameters
    ----------
    n_components : int or "auto", default 3
        K, the number of regimes expected in the end, at most 16. The warm start has as many of them
        as its points can tell (Bayesian information criterion of the chain); the others are born
        when points come that no regime explains, or when a later fit finds them. ``"auto"`` expects
        up to ``max_components``. Without points kept (``capacity=0``, a step size that follows) the
        warm start has K.
    max_components : int, default 8
        The most regimes that ``"auto"`` finds, at most 16.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        The shape of covariances: ``full`` (a matrix for each regime), ``tied`` (one matrix for
        all), ``diag`` (a variance for each feature) or ``spherical`` (one variance for each
        regime). ``full`` is best if there are enough points: about 10 (D + 1) for each.
    warm_up : int, default 200
        How many points are fitted together at the start.
    step_size : PowerDecay, Constant or HalfLife, optional
        How fast new points replace old ones. By default ``PowerDecay(0.7)``, for streams that do
        not change; `HalfLife` and `Constant` follow streams that do.
    average : bool, optional
        Whether to report the average of the iterates instead of the last one. The average is more
        precise on a stream that does not change; the last iterate follows one that does. By default
        this depends on the step size: no average if it follows, or gives all points equal weight.
    prior_strength : float, default 0.001
        How many pseudo-points with the variance of the data each regime starts with. They keep
        variances above 0. Increase it if a regime shrinks to a few equal points. See `Prior`.
    stickiness : float, default 10
        How many points each regime is assumed to last before anything is seen. This assumption
        counts as much as one observed stay. Choose the dwell that you expect, 0 for no assumption.
    tempering : float, default 1
        The power of the densities in the filter, above 0 and at most 1. Points that are not
        independent given the regime contribute less evidence than their density claims: for
        features of a window of W points choose about 1 / W.
    gate : float, default 1e-12
        The tail probability beyond which a point is an outlier, from 0 to below 1. A point that is
        an outlier to every regime is counted, and learnt with a step that becomes smaller with
        its distance. Its
        evidence fades too: a glitch does not change the regime. 0 switches the gate off.
    lag : int, default 0
        How many later points `smoothed` takes into account.
    capacity : int, default 1600
        How many points are kept. As long as these are all points, they are fitted again by
        Baum-Welch each time they have doubled. Later half of them are the first of the stream and
        half the last; each time the stream has doubled, regimes that have become alike are merged,
        and these points are fitted to look for a regime that the model lacks. A fit is done in
        slices while the next points come. 0 keeps none; step sizes that follow keep none either.
    n_init : int, default 12
        How many EM starts are tried in the warm start; half are k-means++, half random.
    features : sequence of hashable, optional
        The names of the features, in order. By default all names that the warm start has seen,
        sorted. Other features are ignored and counted.
    order_by : hashable, optional
        Regimes are numbered in the order of their means of this feature; by default of the first.
    time : hashable, optional
        The key of a point that holds its time, in seconds or as a datetime. It is not a feature.
        Outside of pipelines the time can be an argument of `learn_one` instead. If all points of
        the warm start have times, regimes change in continuous time: over a gap dt with
        probabilities exp(Q dt), where the rates Q are learnt [2]_. After a long gap the regimes
        have their stationary probabilities. From then on every point needs a time.
    late : {"raise", "skip", "learn"}, default "raise"
        What to do with a point whose time is not after that of the last one: raise an error, skip
        and count it, or learn it as if it had come at the same time as the last one.
    seed : int, optional
        Makes the warm start and later fits repeatable; nothing else is random.

    Attributes
    ----------
    start : WarmStart or None
        The warm start of the mixture, before Baum-Welch; None before.
    n_points : int
        Points learnt, those of the warm start included.
    n_outliers : int
        Points that were outliers; those of the warm start are set aside before it.
    n_empty : int
        Points in which no known feature had a value. After the warm start such a point is a step of
        the chain all the same.
    n_late : int
        Points skipped because their time was not after that of the last one.
    n_unknown : int
        Values ignored because their feature is not known.
    events : tuple of ComponentEvent
        What has happened to regimes since the warm start: born, moved, merged.

    Notes
    -----
    Cost per point: O(K^4 + K^3 D^2) to learn, O(K^2 + K D^2) to predict. Memory: O(K^3 D^2), and
    the points kept.

    Until the warm start is complete, the label is -1. The warm start is made in slices while the
    points after the first ``warm_up`` come, so that no point takes long: 15 to 40 of them for three
    regimes. They are learnt, in their order, when it ends. `fit_start` makes it at once.

    The label of `predict_one` does not depend on later points. `smoothed` takes the next ``lag``
    points into account, `smooth_many` and `decode_many` a whole series.

    References
    ----------
    .. [1] Cappe, O. (2011). Online EM algorithm for hidden Markov models. Journal of Computational
           and Graphical Statistics 20(3), 728-749.
    .. [2] Liu, Y.-Y., Li, S., Li, F., Song, L. & Rehg, J. M. (2015). Efficient learning of
           continuous-time hidden Markov models for disease progression. Advances in Neural
           Information Processing Systems 28.

    Examples
    --------
    >>> import random
    >>> from online_gmm import OnlineHMM
    >>> rng = random.Random(1)
    >>> model = OnlineHMM(n_components=2, warm_up=200, seed=1)
    >>> level = 0.0
    >>> for _ in range(2000):
    ...     if rng.random() < 0.02:
    ...         level = 2.0 - level
    ...     model.learn_one({"x": rng.gauss(level, 1.0)})
    >>> [round(center["x"]) for center in model.centers.values()]
    [0, 2]
    >>> model.transition.round(2)
    array([[0.98, 0.02],
           [0.02, 0.98]])
    """

    _timed: bool
    _refit_at: int

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
        stickiness: float = 10.0,
        tempering: float = 1.0,
        gate: float = 1e-12,
        lag: int = 0,
        capacity: int = 1600,
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
        self.stickiness = stickiness
        self.tempering = tempering
        self.gate = gate
        self.lag = lag
        self.capacity = capacity
        self.n_init = n_init
        self.features = features
        self.order_by = order_by
        self.time = time
        self.late = late
        self.seed = seed
        self._prepare()
        most = max_components if n_components == "auto" else n_components
        if most > MOST:
            raise ValueError(
                f"{'max_components' if n_components == 'auto' else 'n_components'} is {most}; "
                f"OnlineHMM takes at most {MOST}, because learning a point costs O(K^4); "
                "OnlineGMM takes more"
            )
        if not 0.0 <= stickiness < math.inf:
            raise ValueError(f"stickiness is {stickiness!r}; it must be a number of points")
        if not 0.0 < tempering <= 1.0:
            raise ValueError(f"tempering is {tempering!r}; it must be above 0 and at most 1")
        if not (isinstance(lag, Integral) and lag >= 0):
            raise ValueError(f"lag is {lag!r}; it must be a number of points")
        most = max_components if n_components == "auto" else n_components
        if (lag + 1) * most**2 > MOST_BACK:
            raise ValueError(
                f"lag is {lag!r}; with {most} components it must be below {MOST_BACK // most**2}, "
                "since every point back takes a matrix"
            )
        self._timed = False
        self._roster = Roster(0)
        self._refit_at = -1
        self._next_slice = -1

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_components": 3, "warm_up": 20, "seed": 1}
        yield {"n_components": 2, "warm_up": 50, "covariance_type": "diag", "lag": 5, "seed": 2}
        yield {"n_components": 2, "warm_up": 30, "covariance_type": "tied", "seed": 3}
        yield {"n_components": 1, "warm_up": 1, "average": False, "tempering": 0.5, "seed": 4}

    # -- learning -------------------------------------------------------------------------------

    def _starting(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> Sliced[Begun]:
        self._names = names
        self._timed = not np.isnan(times).any()
        self._clocked = self._clocked or self._timed
        return self._begun(rows, times)

    def _begun(self, rows: NDArray[np.float64], times: NDArray[np.float64]) -> Sliced[Begun]:
        meter = Meter()
        if meter.is_full(aside_cost(len(rows))):
            yield
        isolated, trusted = np.zeros(len(rows), dtype=bool), rows
        for looks in reversed(range(self._looks + 1)):
            start, stream = yield from self._best_start(trusted, times, meter)
            if meter.is_full(aside_cost(len(rows))):
                yield
            found = from_kernel(stream.components, self._names)
            last, isolated = isolated, self._isolated(found, rows) if looks else isolated
            if (isolated == last).all():
                break
            trusted = np.where(isolated[:, None], np.nan, rows)
            if meter.is_full(aside_cost(len(rows))):
                yield
        order = in_order(found, self.order_by).tolist()
        if self._given is not None:
            order = list(range(found.n_components))
        between = baum_welch.gaps(times)
        if meter.is_full(aside_cost(len(rows))):
            yield
        stream = yield from self._ordered(stream, order, start.prior, trusted, between, meter)
        stream.begin(flat(rows), len(rows), flat(between), flat(times))
        start = dataclasses.replace(start, mixture=found.reordered(order))
        return Begun(start, stream, rows[isolated], len(rows))

    def _best_start(
        self, rows: NDArray[np.float64], times: NDArray[np.float64], meter: Meter
    ) -> Sliced[tuple[WarmStart, _kernel.ChainStream]]:
        """The first fit: of K regimes, or of fewer if the rows cannot tell so many.

        Regimes that overlap can be told by how long they last, so fits are compared by the
        likelihood of the chain.
        """
        seen = rows[~np.isnan(rows).all(axis=1)]
        given = self._begin_with(seen)
        start = yield from warm_starting(
            seen,
            self.n_components if given is None else given.n_components,
            self._names,
            self.covariance_type,
            self.prior_strength,
            self.n_init if given is None else 0,
            self.order_by,
            self.seed,
            current=given,
            max_components=self.max_components,
            at_most=False,
            meter=meter,
        )
        if meter.is_full(aside_cost(len(rows))):
            yield
        stream, highest = yield from self._climbed(start.mixture, start.prior, rows, times, meter)
        if self.n_components == "auto" or not self._keeps_points or given is not None:
            return start, stream
        if meter.is_full(aside_cost(len(rows))):
            yield
        selection = yield from self._selection(seen, 0, icl=False)
        if meter.is_full(aside_cost(len(rows))):
            yield
        mixture = (yield from selection.started(selection.most, REFIT_STARTS[0], meter)).mixture
        while True:
            mixture, _ = yield from selection.climbed(mixture, meter)
            if mixture.n_components < start.mixture.n_components:
                fewer = yield from self._refined(selection.whole(mixture), seen, meter)
                again, value = yield from self._climbed(
                    fewer.mixture, fewer.prior, rows, times, meter
                )
                if value + WORTH < highest:
                    return start, stream
                start, stream, highest = fewer, again, value
            if mixture.n_components == 1:
                return start, stream
            mixture = one_fewer(mixture)
            if meter.is_full(aside_cost(len(rows))):
                yield

    def _plan_first(self, n: int) -> None:
        self._plan(n)

    def _attend(self) -> None:
        """Do what is due."""
        self._consider_birth()
        seen = self._stream.n_seen
        if self._refit is not None and seen >= self._next_slice:
            self._go_on()
        elif self._refit is None and 0 < self._refit_at <= seen:
            if not self._keeps_all:
                self._merge_alike()
            self._begin_refit()
        elif self._refit is None and self._room < self._renew_at <= seen:
            self._renew()
        self._wait()

    def _wait(self) -> None:
        """Let the stream learn without a break until something is due."""
        due = self._refit_at if self._refit is None else self._next_slice
        if self._refit is None and max(self._room, self._stream.n_seen) < self._renew_at:
            due = self._renew_at
        self._stream.put_off(due)

    # -- as bytes ------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        refit = None
        if self._refit is not None:
            refit = {**self._refit.state(), "next": self._next_slice}
        return {
            **super()._state(),
            "timed": self._timed,
            "refit_at": self._refit_at,
            "refit": refit,
        }

    def _restore(self, its: dict[str, Any]) -> None:
        self._timed = instance(its["timed"], bool, "timed")
        super()._restore(its)
        if self._stream is not None:
            # up to version 2 of the format, and early in version 3, the stream knew it
            due = its.get("refit_at", its["stream"]["due"])
            self._refit_at = _kernel.whole(due, "refit_at", -1, NEVER)
            refit = its.get("refit")
            if refit is not None:
                self._refit = under_way_from_state(refit, self._k, self._names)
                if self._refit.times is None or self._refit.transition is None:
                    raise ValueError("a fit under way has no times, or no transitions")
                self._next_slice = _kernel.whole(refit["next"], "next", 1, NEVER)

    @staticmethod
    def _components_in(its: dict[str, Any]) -> int:
        return _kernel.whole(its["iterate"]["components"]["shape"][0], "n_components", 1)

    def _streaming(self, its: dict[str, Any]) -> _kernel.ChainStream:
        stream = _kernel.chain_stream_from_state(its)
        chain = its["iterate"]
        if tuple(chain["components"]["shape"]) != self._shape or chain["timed"] != self._timed:
            raise ValueError("the chain is not that of the parameters")
        if its["lag"] != self.lag:
            raise ValueError("lag is not that of the parameters")
        if its["capacity"] != self._room:
            raise ValueError("capacity is not that of the parameters")
        return stream

    # -- answers --------------------------------------------------------------------------------

    def _when(self, x: Mapping[Any, Any], t: Time | None) -> float:
        return self._seconds(x, t) if self._timed else NO_TIME

    def reset_state(self) -> None:
        """Declare an interruption: the next point may be in any regime.

        What has been learnt stays. The belief is reset to the stationary distribution, and the
        change across the gap is not counted. Without this call the next point is assumed to follow
        the last one; with times, after the time between them. The points kept for further fits are
        still fitted as one series. O(K^2 (K + D^2)).

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> round(model.belief[1], 2)
        1.0
        >>> model.reset_state()
        >>> round(model.belief[1], 2)
        0.55
        """
        if self._stream is not None:
            self._stream.reset_belief()

    @property
    def belief(self) -> dict[int, float]:
        """The filtered probability of each regime at the last point learnt, by label.

        After `reset_state` it is that of the next point. Empty if nothing is known.
        """
        return {} if self._stream is None else self._by_label(self._stream.beliefs)

    def follow_one(
        self, x: Mapping[Any, Any], belief: Mapping[int, float] | None = None
    ) -> tuple[Assignment, dict[int, float]]:
        """Label the next point of another series with the same regimes; the model stays as it is.

        Parameters
        ----------
        x
            The point.
        belief
            The probability of each regime at the last point of that series, by label. None if there
            is none: the point may then be in any regime.

        Returns
        -------
        tuple
            The answer for the point, as `assign_one` gives it, and the belief after it.

        Raises
        ------
        ValueError
            Before the warm start is complete, and if the model has times.

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> answer, belief = model.follow_one({"x": 0.05})
        >>> answer.label, model.follow_one({"x": 9.0}, belief)[0].label
        (0, 1)
        """
        self._require_start()
        if self._timed:
            raise ValueError("a model with times follows one series only; make it without time=")
        chain, labels, row = self._stream.chain, self.labels, self._row_of(x)
        before = chain.stationary()
        if belief is not None:
            before = array("d", [max(belief.get(label, 0.0), LEAST_BELIEF) for label in labels])
            total = math.fsum(before)
            before = array("d", [p / total for p in before])
        probabilities, log_density = array("d", bytes(8 * self._k)), array("d", bytes(8))
        gaps, gates = flat(np.full(1, np.nan)), self._stream.outlier_gates
        chain.filter(flat(row), 1, gaps, gates, before, probabilities, log_density)
        after = dict(zip(labels, probabilities.tolist(), strict=True))
        label = max(labels, key=after.__getitem__)
        is_outlier = bool(self._strange(row)[0])
        return Assignment(label, after[label], log_density[0], is_outlier), after

    def _row_of(self, x: Mapping[Any, Any]) -> NDArray[np.float64]:
        """A point as a row of the features of the model."""
        values = [x.get(name) for name in self._names]
        row = np.array([[math.nan if value is None else value for value in values]], dtype=float)
        if (np.abs(row[~np.isnan(row)]) > _kernel.LARGEST).any():
            raise ValueError(f"{dict(x)!r} has a value beyond {_kernel.LARGEST:g} in magnitude")
        return row

    @property
    def smoothed(self) -> Smoothed | None:
        """What is known of the point ``lag`` points ago, given all later points; None before.

        O(lag K^2).

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, lag=3, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> model.smoothed[:1] + model.smoothed[2:3]
        (60, 1)
        """
        return self.look_back(self.lag)

    def look_back(self, lag: int) -> Smoothed | None:
        """Return what is known of the point ``lag`` points ago, given all later points.

        None if fewer points have come. O(lag K^2).

        Parameters
        ----------
        lag : int
            How many points to go back, from 0 to the model's ``lag``.

        Raises
        ------
        ValueError
            If ``lag`` is larger than the model's.
        """
        if not 0 <= lag <= self.lag:
            raise ValueError(f"lag is {lag!r}; this model looks back 0 to {self.lag} points")
        if self._stream is None:
            return None
        probabilities = self._stream.smoothed(lag)
        if probabilities is None:
            return None
        by_label = self._by_label(probabilities)
        label = max(by_label, key=by_label.__getitem__)
        return Smoothed(
            self._stream.n_seen - 1 - lag,
            self._stream.time_of(lag),
            label,
            by_label[label],
            by_label,
        )

    def smooth_many(self, X: Any, t: Any = None) -> Any:
        """Return the probability of each regime at the rows of a whole series, given all of them.

        The series stands by itself; it does not follow what was learnt last. O(n K^2).

        Parameters
        ----------
        X
            Rows: a data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D).
        t
            Times of the rows, shape (n,), in seconds or as datetimes, if the model needs times and
            X has no column ``time``.

        Returns
        -------
        frame or numpy.ndarray
            A frame like X with a column for each of ``labels``, or an array of shape (n, K).
        """
        table = self._table(X, t)
        n, k = len(table), self._k
        if self._stream is None:
            return table.frame({})
        between = flat(baum_welch.gaps(self._times_of(table)))
        probabilities = array("d", bytes(8 * n * k))
        rows = flat(table.select(self._names))
        chain = self._stream.chain
        gates, log_density = self._stream.outlier_gates, array("d", bytes(8 * n))
        chain.filter(rows, n, between, gates, chain.stationary(), probabilities, log_density)
        chain.smooth(n, between, probabilities)
        columns = np.frombuffer(probabilities).reshape(n, k).T
        return table.frame(dict(zip(self.labels, columns, strict=True)))

    def decode_many(self, X: Any, t: Any = None) -> Any:
        """Return the most probable sequence of labels for the rows of a whole series.

        The series stands by itself; it does not follow what was learnt last (Viterbi 1967).
        O(n K^2). Parameters as in `smooth_many`.

        Returns
        -------
        series or numpy.ndarray
            A series of the kind that goes with the frame, or an array of shape (n,).
        """
        table = self._table(X, t)
        n = len(table)
        if self._stream is None:
            return table.series(np.full(n, UNKNOWN), "label")
        places = array("q", bytes(8 * n))
        between = flat(baum_welch.gaps(self._times_of(table)))
        rows = flat(table.select(self._names))
        chain = self._stream.chain
        gates = self._stream.outlier_gates
        chain.decode(rows, n, between, gates, chain.stationary(), places)
        return table.series(self._by_place[np.frombuffer(places, dtype=np.int64)], "label")

    def _times_of(self, table: Table) -> NDArray[np.float64]:
        if not self._timed:
            return np.full(len(table), np.nan)
        if table.times is None:
            raise ValueError(
                f"these rows have no times: column {self.time!r} is not among "
                f"{', '.join(map(repr, table.names))}"
            )
        return table.times

    def _posterior(
        self, table: Table, flagging: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        n, k = len(table), self._k
        rows = table.select(self._names)
        between = flat(baum_welch.gaps(self._times_of(table), self._last_time))
        probabilities, log_density = array("d", bytes(8 * n * k)), array("d", bytes(8 * n))
        gates, belief = self._stream.outlier_gates, self._stream.beliefs
        self._stream.chain.filter(flat(rows), n, between, gates, belief, probabilities, log_density)
        return (
            np.frombuffer(probabilities).reshape(n, k),
            np.frombuffer(log_density),
            # a pass of its own
            self._strange(rows) if flagging else np.zeros(n, dtype=bool),
        )

    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return posterior(self._stream.components, rows)[2]

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def mixture(self) -> MixtureParameters:
        """The regimes as a mixture, weighted by the fraction of points in each. O(K D^3).

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        self._require_start()
        components = _kernel.components_from_state(self._stream.components.state())
        components.update_parameters()
        return from_kernel(components, self._names)

    @property
    def transition(self) -> NDArray[np.float64]:
        """The transition matrix, shape (K, K), from row to column.

        Probabilities of the next point's regime; with times, rates per second, with minus their sum
        on the diagonal.

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        self._require_start()
        return np.array(self._stream.transition).reshape(self._k, self._k)

    @property
    def dwell(self) -> NDArray[np.float64]:
        """The mean dwell of each regime, shape (K,): in points, or with times in seconds."""
        stay = np.diagonal(self.transition)
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.abs(stay) if self._timed else 1.0 / (1.0 - stay))

    _html_heads = ("mean dwell",)

    def _html_cells(self, place: int) -> list[str]:
        return [f"{html.number(self.dwell[place])} {'s' if self._timed else 'points'}"]
