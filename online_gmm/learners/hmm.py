"""OnlineHMM: regimes that persist, learnt a point at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import html
from online_gmm.data.counted import must_be_real, must_be_whole
from online_gmm.data.frames import flat
from online_gmm.data.state import instance, writable
from online_gmm.em import baum_welch
from online_gmm.em.how_many import WORTH
from online_gmm.em.merging import one_fewer
from online_gmm.em.mixture import (
    CovarianceType,
    MixtureParameters,
    from_kernel,
)
from online_gmm.em.slices import Meter, Sliced, aside_cost
from online_gmm.em.step_size import StepSize
from online_gmm.em.warm_start import WarmStart, in_order, warm_starting
from online_gmm.learners.beginning import Begun, lasting_of
from online_gmm.learners.chain_answers import ChainAnswers
from online_gmm.learners.intake import Late
from online_gmm.learners.recycle import Roster
from online_gmm.learners.refits import REFIT_STARTS
from online_gmm.learners.under_way import under_way_from_state

MOST_BACK = 10_000_000
"""Doubles that are kept at most to look back."""
NEVER = 2**62 - 1
MOST = 16
"""Components: a chain of more has hundreds of transitions, each of which must be seen."""


@writable
class OnlineHMM(ChainAnswers):
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
        not change; `HalfLife` and `Constant` follow streams that do. Where regimes last, default
        steps are smaller: at most 1 / (6 t), or 2 / n after n points if that is more. A regime is
        forgotten to a factor 1 / e after t points; fits of the points kept tell t.
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
    Cost per point: O(K^2 + K D^2) to learn and to predict. Up to four regimes the statistics are
    exact, by Cappé's recursion. With more, each point is smoothed by at least 20 later ones, and
    enters the statistics then (fixed-lag smoothing). With the same parameters the lag loses less
    than 1e-4 nats a point on streams of 40,000 points and 5 to 16 regimes; on short streams it may
    lose more. A chain with times is exact for any K, at
    O(K^4 + K^3 D^2). Memory: O(K^3 + K^2 D^2), and the points kept.

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
                f"OnlineHMM takes at most {MOST}, because each of the transitions must "
                "be seen to be learnt; OnlineGMM takes more"
            )
        must_be_real(
            "stickiness",
            stickiness,
            "a number of points, at least 0",
            lambda points: 0.0 <= points < math.inf,
        )
        must_be_real(
            "tempering", tempering, "a number above 0 and at most 1", lambda its: 0.0 < its <= 1.0
        )
        must_be_whole("lag", lag, 0)
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
        lasting = lasting_of(found, rows)
        return Begun(start, stream, rows[isolated], len(rows), lasting)

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
