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
from online_gmm.data.frames import Table, flat
from online_gmm.data.state import instance, writable
from online_gmm.em import baum_welch
from online_gmm.em.mixture import GaussianMixture, from_kernel, posterior, to_kernel
from online_gmm.em.prior import Prior
from online_gmm.em.step_size import StepSize
from online_gmm.em.warm_start import in_order, warm_start
from online_gmm.learners.base import UNKNOWN
from online_gmm.learners.em_learner import AVERAGE_EVERY, FEW, EMLearner
from online_gmm.learners.intake import NO_TIME, Late, Time

MOST = 8
"""Components: statistics for each place the chain may be in grow as K^3, and their cost as K^4."""


class Smoothed(NamedTuple):
    """What is known of a point from those that came after it as well.

    ``n`` is its number in the stream, from 0, ``time`` when it came (NaN without times), ``label``
    its most probable regime, ``probability`` that one's, and ``probabilities`` those of all.
    """

    n: int
    time: float
    label: int
    probability: float
    probabilities: dict[int, float]


@writable
class OnlineHMM(EMLearner):
    """Gaussian hidden Markov model learnt by online EM.

    Where a mixture judges every point by itself, this model knows that regimes last. The first
    ``warm_up`` points are fitted by the mixture's warm start and then by Baum-Welch; from then on
    each point moves the statistics of regimes and of changes between them by a step of Cappe's
    exact recursion [1]_, and what is reported is their running average.

    Parameters
    ----------
    n_components
        K, the number of regimes, at most 8, or ``auto``; as of `OnlineGMM`.
    max_components, covariance_type, warm_up, step_size, average, prior, gate, n_starts, features,
    order_by, late, seed
        As of `OnlineGMM`. The evidence of an outlier, too, fades with its distance: a glitch does
        not change the regime.
    stickiness
        Points that each regime is believed to have lasted in one visit before anything is seen; the
        weight of that belief is that of one visit. 0 for none.
    tempering
        Power of the densities in the filter. Features of a window of W points overlap, so that each
        point brings about 1/W of the evidence that its density claims.
    lag
        Points that `smoothed` waits for.
    capacity
        All points of the stream are kept until there are so many, and fitted again by Baum-Welch
        each time they have doubled: the start grows from ``warm_up`` points to so many. 0 keeps
        none, as do step sizes that follow.
    time
        The key of a point that holds its time. If all points of the warm start have times, by this
        key or as an argument of `learn_one`, regimes change in continuous time: over a gap dt with
        probabilities exp(Q dt), where the rates Q are learnt [2]_. After a long gap every regime is
        as probable as in the long run. From then on every point needs a time; one that comes late
        (``late="learn"``) is taken to have come with the last one.

    Attributes
    ----------
    start
        The `WarmStart` of the mixture before Baum-Welch, None before.
    n_points, n_outliers, n_empty, n_late, n_unknown
        As of `OnlineGMM`. After the warm start a point without a value is a step of the chain all
        the same.

    Notes
    -----
    Cost per point: O(K^4 + K^3 D^2) to learn, O(K^2 + K D^2) to predict. Memory: O(K^3 D^2), and
    the points kept.

    The label of `predict_one` depends on nothing that comes later. `smoothed` says what later
    points make of it, `smooth_many` and `decode_many` what a whole series does.

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

    def __init__(
        self,
        n_components: int | Literal["auto"] = 3,
        *,
        max_components: int = 8,
        covariance_type: str = "full",
        warm_up: int = 200,
        step_size: StepSize | None = None,
        average: bool | None = None,
        prior: float = 1e-3,
        stickiness: float = 10.0,
        tempering: float = 1.0,
        gate: float = 1e-12,
        lag: int = 0,
        capacity: int = 1600,
        n_starts: int = 12,
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
        self.prior = prior
        self.stickiness = stickiness
        self.tempering = tempering
        self.gate = gate
        self.lag = lag
        self.capacity = capacity
        self.n_starts = n_starts
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
        self._timed = False
        self._roster = self._new_roster()

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_components": 3, "warm_up": 20, "seed": 1}
        yield {"n_components": 2, "warm_up": 50, "covariance_type": "diag", "lag": 5, "seed": 2}
        yield {"n_components": 2, "warm_up": 30, "covariance_type": "tied", "seed": 3}
        yield {"n_components": 1, "warm_up": 1, "average": False, "tempering": 0.5, "seed": 4}

    # -- learning -------------------------------------------------------------------------------

    def _begin(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> None:
        self._names = names
        self._timed = not np.isnan(times).any()
        self._clocked = self._clocked or self._timed
        self._stream = self._fitted(rows, times)
        self._roster = self._new_roster()

    def _fitted(
        self,
        rows: NDArray[np.float64],
        times: NDArray[np.float64],
        strange: NDArray[np.bool_] | None = None,
        current: GaussianMixture | None = None,
    ) -> _kernel.ChainStream:
        """A stream that goes on from these rows; fitted without those that are strange.

        Regimes known already keep their numbers.
        """
        trusted = rows
        if strange is not None:
            trusted = np.where(strange[:, None], np.nan, rows)
        start = warm_start(
            trusted[~np.isnan(trusted).all(axis=1)],
            self.n_components if current is None else current.n_components,
            self._names,
            self.covariance_type,
            self.prior,
            self.n_starts,
            self.order_by,
            self.seed,
            max_components=self.max_components,
        )
        between = baum_welch.gaps(times)
        unit = self._unit(between)
        k = start.mixture.n_components
        stream = self._chain(start.mixture, baum_welch.first_transition(k, unit), unit, start.prior)
        baum_welch.climb(stream, trusted, between)
        mixture = from_kernel(stream.components, self._names)
        order = in_order(mixture, self.order_by) if current is None else mixture.order_like(current)
        transition = np.array(stream.transition).reshape(k, k)[np.ix_(order, order)]
        stream = self._chain(mixture.reordered(order), transition, unit, start.prior)
        stream.accumulate(flat(trusted), len(rows), flat(between))
        stream.begin(flat(rows), len(rows), flat(between), flat(times))
        first = start if self.start is None else self.start
        self._started_by(dataclasses.replace(start, criteria=first.criteria))
        seen = stream.n_seen
        more = self._keeps_points and seen < self.capacity
        stream.put_off(min(2 * seen, self.capacity) if more else -1)
        return stream

    def _unit(self, between: NDArray[np.float64]) -> float | None:
        """The usual time between two points, in seconds; None without times."""
        if not self._timed:
            return None
        known = between[between > 0.0]
        return float(np.median(known)) if len(known) else 1.0

    def _chain(
        self,
        mixture: GaussianMixture,
        transition: NDArray[np.float64],
        unit: float | None,
        prior: Prior,
    ) -> _kernel.ChainStream:
        """A stream that begins with these parameters."""
        pseudo = baum_welch.pseudo_changes(mixture.n_components, self.stickiness, unit)
        return _kernel.ChainStream(
            _kernel.Chain(
                to_kernel(mixture, self.covariance_type, self.prior, prior.variances, points=0.0),
                flat(transition),
                unit is not None,
                self.tempering,
            ),
            flat(pseudo),
            self._averages,
            AVERAGE_EVERY,
            self._schedule,
            flat(self._gates(prior, len(self._names))),
            self.lag,
            self.capacity if self._keeps_points else 0,
        )

    def _attend(self) -> None:
        """Fit all points so far again, without outliers if these are few."""
        stream = self._stream
        rows = np.frombuffer(stream.points_kept()).reshape(-1, len(self._names))
        strange = self._strange(rows)
        self._stream = self._fitted(
            rows,
            np.frombuffer(stream.times_kept()),
            strange if strange.mean() < FEW else None,
            self.mixture,
        )
        self._stream.count(stream)

    def _strange(self, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows lie beyond the gate of every regime."""
        assert self.start is not None
        return self._outlying(self._distances(rows), rows, self.start.prior)

    # -- as bytes ------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "timed": self._timed}

    def _restore(self, its: dict[str, Any]) -> None:
        self._timed = instance(its["timed"], bool, "timed")
        super()._restore(its)
        self._roster = self._new_roster()

    def _streaming(self, its: dict[str, Any]) -> _kernel.ChainStream:
        stream = _kernel.chain_stream_from_state(its)
        chain = its["iterate"]
        if tuple(chain["components"]["shape"]) != self._shape or chain["timed"] != self._timed:
            raise ValueError("the chain is not that of the parameters")
        if its["lag"] != self.lag:
            raise ValueError("lag is not that of the parameters")
        if its["capacity"] != (self.capacity if self._keeps_points else 0):
            raise ValueError("capacity is not that of the parameters")
        if not (its["due"] == -1 or its["seen"] < its["due"]):
            raise ValueError("due is over")
        return stream

    # -- answers --------------------------------------------------------------------------------

    def _when(self, x: Mapping[Any, Any], t: Time | None) -> tuple[float, ...]:
        return (self._seconds(x, t) if self._timed else NO_TIME,)

    def reset_state(self) -> None:
        """Say that the series is interrupted here: the next point may be in any regime.

        What is learnt stays; of the regime only what holds in the long run is believed, and the
        change across the gap is not counted. Without this the next point is taken to follow the
        last one, with times after the time between them. Points kept for further fits, of which
        there are at most ``capacity``, are fitted as one series. O(K^2 (K + D^2)).

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
            self._stream.lose_sight()

    @property
    def belief(self) -> dict[int, float]:
        """The probability of every regime at the last point learnt; in a gap, of the next."""
        return {} if self._stream is None else self._by_label(self._stream.belief)

    @property
    def smoothed(self) -> Smoothed | None:
        """The point ``lag`` points ago, given all learnt since; None before there is one.

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
        """The point so many points ago, given all learnt since; None before there is one.

        O(lag K^2).

        Raises
        ------
        ValueError
            If that is more than the model's ``lag``.
        """
        if not 0 <= lag <= self.lag:
            raise ValueError(f"lag is {lag!r}; this model looks back 0 to {self.lag} points")
        if self._stream is None:
            return None
        probabilities = self._stream.look_back(lag)
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
        belief = chain.beliefs()
        chain.settle()
        chain.filter(
            rows, n, between, self._stream.outlier_gates, probabilities, array("d", bytes(8 * n))
        )
        chain.smooth(n, between, probabilities)
        chain.believe(belief)
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
        belief = chain.beliefs()
        chain.settle()
        chain.decode(rows, n, between, self._stream.outlier_gates, places)
        chain.believe(belief)
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
        self, table: Table
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        n, k = len(table), self._k
        rows = table.select(self._names)
        between = flat(baum_welch.gaps(self._times_of(table), self._last_time))
        probabilities, log_density = array("d", bytes(8 * n * k)), array("d", bytes(8 * n))
        chain = self._stream.chain
        belief = chain.beliefs()
        chain.filter(flat(rows), n, between, self._stream.outlier_gates, probabilities, log_density)
        chain.believe(belief)
        return (
            np.frombuffer(probabilities).reshape(n, k),
            np.frombuffer(log_density),
            self._strange(rows),
        )

    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        # the chain's own components carry the weights of the last point
        components = _kernel.components_from_state(self._stream.components.state())
        return posterior(components, rows)[2]

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def mixture(self) -> GaussianMixture:
        """The regimes, weighted by the share of points in each; an immutable value. O(K D^3).

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        self._require_start()
        components = _kernel.components_from_state(self._stream.components.state())
        components.maximise()
        return from_kernel(components, self._names)

    @property
    def transition(self) -> NDArray[np.float64]:
        """Shape (K, K), from and to: probabilities of the next point's regime, or, with times,
        rates per second with minus their sum on the diagonal.

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        self._require_start()
        return np.array(self._stream.transition).reshape(self._k, self._k)

    @property
    def dwell(self) -> NDArray[np.float64]:
        """How long regimes last in the mean, shape (K,): in points, or, with times, in seconds."""
        stay = np.diagonal(self.transition)
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.abs(stay) if self._timed else 1.0 / (1.0 - stay))
