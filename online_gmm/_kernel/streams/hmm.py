"""A Gaussian hidden Markov model that learns from a stream of points: online EM (Cappe 2011)."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.gaussian.statistics import Statistics
    from cython.cimports.online_gmm._kernel.memory import copy, first, packed, unpack
    from cython.cimports.online_gmm._kernel.points import read_point
    from cython.cimports.online_gmm._kernel.streams.chain import Chain
    from cython.cimports.online_gmm._kernel.streams.kept import KeptPoints
    from cython.cimports.online_gmm._kernel.streams.recursion import ChainStatistics
    from cython.cimports.online_gmm._kernel.streams.schedule import StepSchedule
    from cython.cimports.online_gmm._kernel.streams.series import Series
    from cython.cimports.online_gmm._kernel.streams.stream import Stream
else:
    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.gaussian.statistics import Statistics
    from online_gmm._kernel.memory import copy, first, packed, unpack
    from online_gmm._kernel.points import read_point
    from online_gmm._kernel.streams.chain import Chain
    from online_gmm._kernel.streams.kept import KeptPoints
    from online_gmm._kernel.streams.recursion import ChainStatistics
    from online_gmm._kernel.streams.schedule import StepSchedule
    from online_gmm._kernel.streams.series import Series
    from online_gmm._kernel.streams.stream import Stream
from online_gmm._kernel.gaussian.statistics import statistics_from_state
from online_gmm._kernel.streams.chain import chain_from_state
from online_gmm._kernel.streams.outlier_buffer import outlier_buffer_from_state
from online_gmm._kernel.streams.schedule import schedule_from_state
from online_gmm._kernel.streams.stream import NEVER
from online_gmm._kernel.values import block, check_points, doubles, flag, whole


@cython.final
@cython.no_gc
@cython.cclass
class ChainStream(Stream):
    """A chain that learns from every point, and what is reported of it.

    The iterate drives the recursion. What is reported is the average of the iterates, as in
    `MixtureStream`, and has a belief of its own. The backward probabilities of the last ``lag``
    points are kept, so that a point can be smoothed by those that came after it.
    """

    iterate: Chain
    report: Chain  # without an average the iterate
    average: Statistics
    belief: cython.p_double  # of the iterate
    report_belief: cython.p_double
    statistics: ChainStatistics
    average_changes: cython.p_double
    report_changes: cython.p_double
    prior: cython.p_double
    seen: cython.Py_ssize_t  # points, those without any value included
    followed: cython.Py_ssize_t  # of those that `follow` has seen, the ones with a value
    # the last points
    lag: cython.Py_ssize_t
    backward: cython.p_double
    times: cython.p_double
    interrupted: cython.bint  # whether the series has been interrupted since the last point
    parting: cython.p_double  # the belief at that point
    gamma: cython.p_double  # work space

    def __init__(
        self,
        chain: Chain,
        prior: array[float],
        averaging: bool,
        every: int,
        settings: Any,
        gates: array[float],
        lag: int,
        capacity: int,
    ) -> None:
        """Prepare a stream; `accumulate` and `begin` start it.

        Parameters
        ----------
        chain
            The parameters to begin with.
        prior
            Pseudo-changes [from, to] added to those counted, on the diagonal pseudo-stays. For a
            timed chain the diagonal holds pseudo-time.
        averaging
            Whether to report the average of the iterates.
        every
            Points between two iterates that enter the average.
        settings
            Of the step sizes; see `StepSchedule`.
        gates
            Squared distances of outliers, by the number of features observed.
        lag
            Points that smoothing can look back.
        capacity
            Points to keep: the first ones.
        """
        k: int = chain.n
        d: int = chain.components.n_features
        Stream.__init__(
            self,
            d,
            averaging,
            every,
            StepSchedule(settings, 0.0, float("-inf")),
            gates,
            KeptPoints(d, capacity, False),
            5 * k + 3 * k * k + (lag + 1) * (k * k + 1),
        )
        self.iterate = chain
        self.report = chain
        self.average = chain.components
        self.point = chain.components.point
        self.statistics = ChainStatistics(k, d, chain.components.dense, chain.transition.timed)
        self.belief = self.piece(k)
        chain.transition.stationary(self.belief)
        self.report_belief = self.piece(k) if averaging else self.belief
        copy(self.belief, k, self.report_belief)
        self.average_changes = self.piece(k * k)
        self.report_changes = self.piece(k * k)
        self.prior = self.piece(k * k)
        unpack(prior, self.prior, k * k)
        self.seen = 0
        self.followed = 0
        self.lag = lag
        self.backward = self.piece((lag + 1) * k * k)
        self.times = self.piece(lag + 1)
        self.interrupted = False
        self.parting = self.piece(k)
        self.gamma = self.piece(2 * k)
        self.due = capacity if capacity > 0 else NEVER

    # -- batch ----------------------------------------------------------------------------------

    @property
    def is_simple(self) -> bool:
        """Whether `expect` can do the E-step: without times and tempering."""
        return self.iterate.temper == 1.0 and not self.iterate.transition.timed

    def expect(self, x: cython.double[::1], n: cython.Py_ssize_t) -> float:
        """Compute the statistics of a series under frozen parameters, without the recursion.

        They are those of `accumulate`, at O(K^2 + K D^2) a point, but streaming cannot go on from
        them.
        """
        total: cython.double
        values: cython.p_double = first(x)
        series: Series = Series(n, self.iterate.n, self.n_features)
        with cython.nogil:
            total = series.expect(self.iterate, values, self.statistics.changes)
        self.n = int(self.iterate.components.points)
        return total

    @property
    def is_exact(self) -> bool:
        """Whether the recursion is exact, so that no point waits."""
        return self.statistics.lag == 0

    def accumulate(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        gaps: cython.double[::1],
    ) -> float:
        """Compute the statistics of a series under frozen parameters: the E-step of Baum-Welch.

        The exact recursion with steps 1 / n and no M-step between needs no backward pass. The
        first point has the stationary distribution. Neither a point without any value nor the
        change that led to it is counted. The rows from ``begin`` on follow those accumulated
        before, unless it is 0.

        Returns
        -------
        float
            The sum of the log densities of the points, each given those before it, in nats.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.iterate.n
        chain: Chain = self.iterate
        components: Components = chain.components
        d: cython.Py_ssize_t = self.n_features
        g: cython.double
        g_changes: cython.double
        total: cython.double = 0.0
        no_gates: cython.double[::1] = array("d", [float("inf")] * (d + 1))
        values: cython.p_double = first(x)
        limits: cython.p_double = first(no_gates)
        if begin == 0:
            self.statistics.clear(components)
            chain.transition.stationary(self.belief)
            self.n = 0
        for i in range(begin, end):
            components.set_point(values, i * d)
            total += chain.filter_point(self.belief, gaps[i], limits, self.statistics.lag == 0)
            if i == 0:
                for j in range(k * k * k):
                    chain.changes[j] = 0.0
            g = 0.0
            if components.observed > 0:
                self.n += 1
                g = 1.0 / self.n
            g_changes = self.step_of_changes(g)
            if i == 0 and self.statistics.lag > 0:
                # no change led there
                g_changes = 0.0
            self.statistics.update(chain, self.belief, g, g_changes)
        self.statistics.collect(self.belief, components)
        components.update_coefficients()
        components.points = self.n
        return total

    def end_series(self) -> None:
        """Let the points of the series that wait to be smoothed enter the statistics."""
        if self.statistics.pending.count > 0:
            self.statistics.settle(self.iterate.components, self.belief)
            self.statistics.collect(self.belief, self.iterate.components)
            self.iterate.components.update_coefficients()

    def update_parameters(self) -> None:
        """Compute the parameters from the statistics accumulated: the M-step of Baum-Welch."""
        self.end_series()
        self.statistics.recentre(self.iterate.components)
        self.iterate.components.m_step()
        self.iterate.transition.m_step(self.statistics.changes, self.prior, self.n)

    def begin(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        times: cython.double[::1],
    ) -> None:
        """Begin to stream after the series accumulated, with the parameters as they are.

        ``x`` is that series, of n rows. Outliers whose values were set to NaN there may be among
        these rows. `follow` may have gone through the first of them.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.iterate.n
        self.end_series()
        self.statistics.recentre(self.iterate.components)
        if self.averaging:
            self.report = self.iterate.beside()
            self.average = self.iterate.components.statistics()
            copy(self.statistics.changes, k * k, self.average_changes)
        self.follow(x, self.seen, n, gaps, times)
        last: cython.double = float("-inf")
        for i in range(n):
            if times[i] > last:
                last = times[i]
        self.n = self.followed
        self.schedule.mass = float(self.n)
        self.schedule.last = last

    @property
    def follows_ahead(self) -> bool:
        """Whether `follow` may go through rows before `begin`: what is reported has its belief."""
        return bool(self.averaging)

    @cython.ccall
    @cython.exceptval(check=True)
    def follow(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        gaps: cython.double[::1],
        times: cython.double[::1],
    ) -> cython.void:
        """Keep rows of the series that is begun next, and see where the chain is after them.

        The rows from ``begin`` on follow those of the last call, unless it is 0. The parameters may
        not change until `begin`.
        """
        i: cython.Py_ssize_t
        values: cython.p_double = first(x)
        if begin == 0:
            self.report.transition.stationary(self.report_belief)
            self.followed = 0
        self.kept.make_room(len(times) - self.kept.count)
        for i in range(begin, end):
            self.iterate.components.set_point(values, i * self.n_features)
            self.report.filter_point(self.report_belief, gaps[i], self.gates, False)
            self.remember(times[i])
            if self.report.components.observed > 0:
                self.followed += 1

    # -- learning -------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def step_of_changes(self, g: cython.double) -> cython.double:
        """Return the step size for the changes that led to a point with step size g.

        Nothing is learnt of them across an interruption, or from a gap that says nothing about the
        rates.
        """
        if self.interrupted:
            return 0.0
        if self.iterate.transition.timed and self.iterate.transition.n_nodes == 0:
            return 0.0
        return g

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        g: cython.double = 0.0
        step: cython.double
        changed: cython.bint
        gap: cython.double = time - self.schedule.last
        self.iterate.filter_point(self.belief, gap, self.gates, self.statistics.lag == 0)
        if self.iterate.components.observed == 0:
            self.n_empty += 1
            if time > self.schedule.last:
                self.schedule.last = time
        else:
            self.n += 1
            g = self.schedule.step_size(self.n, time)
            self.iterate.components.points += 1.0
            if self.schedule.follows and self.iterate.components.points * g > 1.0:
                # what is forgotten no longer stands against the prior
                self.iterate.components.points = 1.0 / g
            if self.iterate.outlying < 1.0:
                self.n_outliers += 1
            if self.is_outlier(
                self.iterate.components.distance, self.iterate.components.observed, self.seen + 1
            ):
                g = 0.0
        step = g * self.iterate.outlying * self.iterate.outlying
        changed = self.statistics.update(
            self.iterate, self.belief, step, self.step_of_changes(step)
        )
        if changed and (g > 0.0 or self.statistics.lag > 0):
            self.statistics.collect(self.belief, self.iterate.components)
            self.iterate.components.m_step()
            self.iterate.transition.m_step(
                self.statistics.changes, self.prior, self.iterate.components.points
            )
        if self.averaging:
            self.report.filter_point(self.report_belief, gap, self.gates, False)
        self.remember(time)
        if g > 0.0 and self.n % self.every == 0:
            self.statistics.recentre(self.iterate.components)
            if self.averaging:
                self.update_report(g)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_report(self, g: cython.double) -> cython.int:
        """Set what is reported, from the average and the last iterate."""
        i: cython.Py_ssize_t
        step: cython.double = self.every
        step /= self.n
        changes: cython.p_double = self.statistics.changes
        self.average.mix(self.iterate.components, step)
        self.average.points = self.iterate.components.points
        for i in range(self.iterate.n * self.iterate.n):
            self.average_changes[i] += step * (changes[i] - self.average_changes[i])
        step = 1.0 / (self.n * g)
        if step > 1.0:
            step = 1.0
        self.report.components.copy_from(self.average)
        self.report.components.mix(self.iterate.components, step)
        self.report.components.m_step()
        for i in range(self.iterate.n * self.iterate.n):
            self.report_changes[i] = self.average_changes[i] + step * (
                changes[i] - self.average_changes[i]
            )
        self.report.transition.m_step(
            self.report_changes, self.prior, self.report.components.points
        )
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def remember(self, time: cython.double) -> cython.int:
        """Keep the point, and the backward probabilities that lead from it."""
        i: cython.Py_ssize_t
        slot: cython.Py_ssize_t = self.seen % (self.lag + 1)
        k: cython.Py_ssize_t = self.report.n
        if self.kept.capacity > 0:
            self.kept.keep(self.point, self.seen, time)
        self.seen += 1
        self.is_due = self.seen >= self.due
        for i in range(k * k):
            # across an interruption the component before is the one believed in then
            self.backward[slot * k * k + i] = (
                self.parting[i // k] if self.interrupted else self.report.backward[i]
            )
        self.interrupted = False
        self.times[slot] = time
        return 0

    # -- answers --------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def label_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        self.label = self.predict_point(time)
        self.probability = self.report.components.resp[self.label]
        self.outlier = self.report.outlying < 1.0
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def predict_point(self, time: cython.double) -> cython.Py_ssize_t:
        k: cython.Py_ssize_t
        label: cython.Py_ssize_t = 0
        self.report.predict(self.report_belief, time - self.schedule.last)
        self.log_density = self.report.weigh(self.gates)
        for k in range(1, self.report.n):
            if self.report.components.resp[k] > self.report.components.resp[label]:
                label = k
        return label

    def probabilities_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> list[float]:
        """Return the probabilities of the components for a mapping that comes next."""
        self.refresh()
        read_point(x, names, self.point)
        self.predict_point(time)
        return [self.report.components.resp[k] for k in range(self.report.n)]

    def smoothed(self, lag: cython.Py_ssize_t) -> list[float] | None:
        """Return the probabilities of the components ``lag`` points ago, given all since.

        None if fewer points have come or are kept. O(lag K^2).
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        at: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.report.n
        value: cython.double
        self.refresh()
        if lag > self.lag or lag >= self.seen:
            return None
        for j in range(k):
            self.gamma[j] = self.parting[j] if self.interrupted else self.report_belief[j]
        for i in range(lag):
            at = (self.seen - 1 - i) % (self.lag + 1) * k * k
            for h in range(k):
                value = 0.0
                for j in range(k):
                    value += self.backward[at + h * k + j] * self.gamma[j]
                self.gamma[k + h] = value
            for h in range(k):
                self.gamma[h] = self.gamma[k + h]
        return [self.gamma[j] for j in range(k)]

    def time_of(self, lag: cython.Py_ssize_t) -> float:
        """Return the time of the point ``lag`` points ago."""
        at: float = self.times[(self.seen - 1 - lag) % (self.lag + 1)]
        return at

    @property
    def chain(self) -> Chain:
        """The chain that is reported."""
        self.refresh()
        return self.report

    @property
    def iterate_chain(self) -> Chain:
        """The chain that drives the recursion."""
        return self.iterate

    @property
    def components(self) -> Components:
        """The components that are reported."""
        self.refresh()
        return self.report.components

    @property
    def iterate_components(self) -> Components:
        """The components of the iterate."""
        return self.iterate.components

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of components, number of features, and kind of covariance."""
        return self.iterate.components.shape

    @property
    def transition(self) -> array[float]:
        """Transition probabilities, or rates, as reported."""
        return doubles(packed(self.report.transition.matrix, self.report.n * self.report.n))

    @property
    def beliefs(self) -> array[float]:
        """Probabilities of the components at the last point."""
        return doubles(packed(self.report_belief, self.report.n))

    @property
    def n_seen(self) -> int:
        """Points, those without any value included."""
        return self.seen

    # -- what the learner does ------------------------------------------------------------------

    def put_off(self, n: int) -> None:
        """Learn without a break until n points are seen; -1 for ever."""
        self.due = n if n >= 0 else NEVER
        self.is_due = self.seen >= self.due

    def settle(self) -> None:
        """Let all points enter the statistics, those too that wait to be smoothed."""
        self.refresh()
        if self.statistics.pending.count > 0:
            self.end_series()
            self.iterate.components.m_step()
            self.iterate.transition.m_step(
                self.statistics.changes, self.prior, self.iterate.components.points
            )

    def reset_belief(self) -> None:
        """Reset the belief to the stationary distribution: the series is interrupted here."""
        self.refresh()
        if self.interrupted:
            return
        self.statistics.forget_component(self.belief, self.iterate.components)
        copy(self.report_belief, self.report.n, self.parting)
        self.interrupted = True
        self.iterate.transition.stationary(self.belief)
        if self.averaging:
            self.report.transition.stationary(self.report_belief)

    def state(self) -> dict[str, Any]:
        """Return all that learning goes on from, as plain values."""
        k: cython.Py_ssize_t = self.iterate.n
        size: cython.Py_ssize_t = k * k
        self.refresh()
        statistics: ChainStatistics = self.statistics
        return {
            "iterate": {**self.iterate.state(), "belief": packed(self.belief, k)},
            "average": self.average.state() if self.averaging else None,
            "report": {**self.report.state(), "belief": packed(self.report_belief, k)}
            if self.averaging
            else None,
            "prior": packed(self.prior, size),
            "pace": self.schedule.state(),
            "averaging": bool(self.averaging),
            "every": self.every,
            "n": self.n,
            "seen": self.seen,
            "gates": packed(self.gates, self.n_features + 1),
            "n_outliers": self.n_outliers,
            "n_empty": self.n_empty,
            "origin": packed(statistics.origin, k * self.n_features),
            "moments": statistics.moments_in_state,
            "pairs": statistics.pairs_in_state,
            "pending": statistics.pending.state() if statistics.lag > 0 else None,
            "flow": packed(statistics.changes, size),
            "average_flow": packed(self.average_changes, size),
            "lag": self.lag,
            "backs": packed(self.backward, (self.lag + 1) * size),
            "times": packed(self.times, self.lag + 1),
            "parting": packed(self.parting, k) if self.interrupted else None,
            "capacity": self.kept.capacity,
            "due": -1 if self.due == 2**62 else self.due,
            "kept": self.kept.as_bytes(),
            "kept_times": self.kept.times_as_bytes(),
            "room": 0 if self.outlier_buffer is None else self.outlier_buffer.room,
            "strays": None if self.outlier_buffer is None else self.outlier_buffer.state(),
        }

    def __reduce__(self) -> Any:
        return chain_stream_from_state, (self.state(),)


def chain_stream_from_state(state: dict[str, Any]) -> ChainStream:
    """Make a stream of what `ChainStream.state` has returned."""
    shape = state["iterate"]["components"]["shape"]
    k, d, _ = shape
    # a chain takes memory of this size
    pairs = block(state, "pairs", whole(k, "n_components", 1) ** 3)
    chain: Chain = chain_from_state(state["iterate"])
    # unpacked, because an index is unchecked here
    settings, *_ = state["pace"]
    lag = whole(state["lag"], "lag")
    backward = block(state, "backs", (lag + 1) * k * k)
    moments = block(state, "moments", len(state["moments"]) // 8)
    result: ChainStream = ChainStream(
        chain,
        block(state, "prior", k * k),
        flag(state["averaging"], "averaging"),
        whole(state["every"], "every", 1),
        settings,
        block(state, "gates", d + 1, False),
        lag,
        whole(state["capacity"], "capacity"),
    )
    statistics: ChainStatistics = result.statistics
    if len(moments) != k * k * statistics.width:
        raise ValueError(f"moments are not {k * k * statistics.width} doubles")
    unpack(block(state["iterate"], "belief", k), result.belief, k)
    if result.averaging:
        if list(state["average"]["shape"]) != list(shape):
            raise ValueError("the average has not the shape of the iterate")
        if list(state["report"]["components"]["shape"]) != list(shape):
            raise ValueError("the report has not the shape of the iterate")
        result.average = statistics_from_state(state["average"])
        result.report = chain_from_state(state["report"], chain.components)
        if result.report.transition.timed != chain.transition.timed:
            raise ValueError("of iterate and report only one is timed")
        unpack(block(state["report"], "belief", k), result.report_belief, k)
    result.schedule = schedule_from_state(state["pace"])
    result.n = whole(state["n"], "n")
    result.seen = whole(state["seen"], "seen")
    result.n_outliers = whole(state["n_outliers"], "n_outliers")
    result.n_empty = whole(state["n_empty"], "n_empty")
    unpack(block(state, "origin", k * d), statistics.origin, k * d)
    pending = state.get("pending")
    if pending is not None:
        pending = block(state, "pending", len(pending) // 8, False)
    statistics.load(moments, pairs, block(state["iterate"], "belief", k), pending)
    unpack(block(state, "flow", k * k), statistics.changes, k * k)
    unpack(block(state, "average_flow", k * k), result.average_changes, k * k)
    unpack(backward, result.backward, len(backward))
    unpack(block(state, "times", lag + 1, False), result.times, lag + 1)
    if state["parting"] is not None:
        unpack(block(state, "parting", k), result.parting, k)
        result.interrupted = True
    result.put_off(whole(state["due"], "due", -1, NEVER - 1))
    count = len(state["kept"]) // (8 * d)
    if count > min(result.seen, result.kept.capacity):
        raise ValueError("more points are kept than capacity, or than have come")
    check_points(block(state, "kept", count * d, False), "kept")
    block(state, "kept_times", count, False)
    result.kept.replace(state["kept"], state["kept_times"], 1)
    room = whole(state.get("room", 0), "room")
    if room > 0:
        result.outlier_buffer = outlier_buffer_from_state(state["strays"], d, room)
    return result
