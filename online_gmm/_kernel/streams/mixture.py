"""A mixture that learns from a stream of points: online EM, step by step."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.gaussian.rows import Rows
    from cython.cimports.online_gmm._kernel.gaussian.statistics import Statistics
    from cython.cimports.online_gmm._kernel.memory import first, packed, unpack
    from cython.cimports.online_gmm._kernel.points import read_point
    from cython.cimports.online_gmm._kernel.streams.kept import KeptPoints
    from cython.cimports.online_gmm._kernel.streams.schedule import StepSchedule
    from cython.cimports.online_gmm._kernel.streams.stream import Stream
else:
    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.gaussian.rows import Rows
    from online_gmm._kernel.gaussian.statistics import Statistics
    from online_gmm._kernel.memory import first, packed, unpack
    from online_gmm._kernel.points import read_point
    from online_gmm._kernel.streams.kept import KeptPoints
    from online_gmm._kernel.streams.schedule import StepSchedule
    from online_gmm._kernel.streams.stream import Stream
from online_gmm._kernel.gaussian.components import components_from_state
from online_gmm._kernel.gaussian.statistics import statistics_from_state
from online_gmm._kernel.streams.outlier_buffer import outlier_buffer_from_state
from online_gmm._kernel.streams.schedule import schedule_from_state
from online_gmm._kernel.values import block, check_points, flag, whole

NO_ROWS = Rows(0, 0)
NO_TIMES = b""


@cython.final
@cython.no_gc
@cython.cclass
class MixtureStream(Stream):
    """Online EM for a mixture: an iterate that learns from every point, and what is reported of it.

    The iterate drives the E-step. An average of the iterates is reported (Polyak & Ruppert).
    Every ``every``-th iterate enters it, since neighbours differ by one step only, and it begins
    with the warm start, weighted by the points behind that. The average lags. The weight
    1 / (n gamma_n) of the last iterate is added to it, which makes it the mean of the conditional
    statistics of all points, each under the parameters it met: summation by parts of
    s_t - s_(t-1) = gamma_t (new - s_(t-1)).

    A point further than ``gates[n observed]`` (squared) from every component is an outlier. Its
    step is scaled by (gate / distance)^2, so that its pull fades with its distance.
    """

    iterate: Components
    average: Statistics | None
    report: Components  # without an average the iterate
    outdated: cython.bint  # whether the parameters of the report are older than its statistics
    lagging: cython.int  # points from the last M-step of the iterate to the next
    # for many rows
    rows: Rows
    report_rows: Rows

    def __init__(
        self,
        components: Components,
        averaging: bool,
        every: int,
        settings: Any,
        last: float,
        gates: array[float],
        capacity: int,
    ) -> None:
        """Begin a stream.

        Parameters
        ----------
        components
            The warm start.
        averaging
            Whether to report the average of the iterates.
        every
            Points between two iterates that enter the average.
        settings
            Of the step sizes; see `StepSchedule`.
        last
            The time of the last point.
        gates
            Squared distances of outliers, by the number of features observed.
        capacity
            Points to keep, evenly thinned.
        """
        Stream.__init__(
            self,
            components.n_features,
            averaging,
            every,
            StepSchedule(settings, components.points, last),
            gates,
            KeptPoints(components.n_features, capacity, True),
            0,
        )
        self.restart(components, gates)
        self.lagging = 1
        self.n = int(components.points)
        self.due = 2 * self.n
        self.rows = NO_ROWS
        self.report_rows = NO_ROWS

    # -- learning -------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        g: cython.double
        gate: cython.double
        step: cython.double
        if row >= 0:
            self.iterate.e_step_row(self.rows, row)
        else:
            self.iterate.e_step(self.iterate.log_coef, 1.0)
        if self.iterate.observed == 0:
            self.n_empty += 1
            return 0
        self.n += 1
        self.is_due = self.n >= self.due
        g = self.schedule.step_size(self.n, time)
        if self.schedule.follows and self.iterate.points * g > 1.0:
            # what is forgotten no longer stands against the prior
            self.iterate.points = 1.0 / g
        if self.kept.capacity > 0 and self.n >= self.kept.due:
            self.kept.keep(self.point, self.n, time)
        phase: cython.int = self.n % self.every
        self.lagging = self.lag(g)
        self.moved = phase == 0 if self.lagging == self.every else phase % self.lagging == 0
        step = g
        gate = self.gates[self.iterate.observed]
        if self.iterate.distance > gate:
            gate /= self.iterate.distance
            step = g * gate * gate
            self.n_outliers += 1
        if self.is_outlier(self.iterate.distance, self.iterate.observed, self.n):
            step = 0.0
        if self.moved:
            self.iterate.update(step)
        else:
            self.iterate.update_statistics(step)
        if self.average is not None and phase == 0:
            step = self.every
            self.average.mix(self.iterate, step / self.n)
            self.average.points = self.iterate.points
            self.update_report(g)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def lag(self, g: cython.double) -> cython.int:
        """Return the number of points from one M-step of the iterate to the next.

        Without an average it is one. With an average it is as large as keeps the steps between two
        M-steps below 2 % together, at most ``every``. With covariances it is one where a new factor
        costs more than a rank-one update for each point.
        """
        points: cython.int = self.every
        least: cython.Py_ssize_t = self.n_features // 8 if self.iterate.dense else 1
        if not self.averaging:
            return 1
        while points > 1 and points * g > 0.02:
            points //= 2
        return points if points > least else 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_report(self, g: cython.double) -> cython.int:
        """Set what is reported, from the average and the last iterate."""
        step: cython.double = 1.0 / (self.n * g)
        self.report.copy_from(self.average)
        self.report.mix(self.iterate, step if step < 1.0 else 1.0)
        self.outdated = True
        return 0

    @cython.cfunc
    def refresh(self) -> cython.int:
        """Compute the parameters of the report if they are outdated."""
        if self.busy:
            self.wait()
        if self.outdated:
            self.report.m_step()
            self.outdated = False
        return 0

    # -- the loop's functions -------------------------------------------------------------------

    @cython.cfunc
    def begin_rows(self, labelling: cython.bint) -> cython.int:
        self.rows = Rows(self.iterate.n_components, self.n_features)
        if labelling:
            self.report_rows = Rows(self.iterate.n_components, self.n_features)
        return 0

    @cython.cfunc
    def end_rows(self) -> cython.int:
        self.rows = NO_ROWS
        self.report_rows = NO_ROWS
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def look_ahead(
        self,
        x: cython.p_double,
        at: cython.Py_ssize_t,
        n: cython.Py_ssize_t,
        labelling: cython.bint,
    ) -> cython.Py_ssize_t:
        phase: cython.Py_ssize_t = self.n % self.every
        points: cython.Py_ssize_t = self.lagging - phase % self.lagging
        if points > n:
            points = n
        self.iterate.e_step_many(self.rows, x, at, points)
        if labelling:
            # the report changes when the iterate's parameters do, or less often
            if self.outdated:
                self.report.m_step()
                self.outdated = False
            self.report.e_step_many(self.report_rows, x, at, points)
        return points

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def label_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        k: cython.Py_ssize_t
        label: cython.Py_ssize_t = 0
        if row >= 0:
            self.report.e_step_row(self.report_rows, row)
        else:
            self.report.e_step(self.report.log_coef, 1.0)
        for k in range(1, self.report.n_components):
            if self.report.resp[k] > self.report.resp[label]:
                label = k
        self.label = label
        self.probability = self.report.resp[label]
        self.log_density = self.report.log_density()
        self.outlier = self.report.distance > self.gates[self.report.observed]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def predict_point(self, time: cython.double) -> cython.Py_ssize_t:
        return self.report.log_joint(self.report.log_coef, 1.0)

    # -- what is reported -----------------------------------------------------------------------

    @property
    def components(self) -> Components:
        """The components that are reported."""
        self.refresh()
        return self.report

    @property
    def iterate_components(self) -> Components:
        """The iterate, with the parameters of its statistics. In the stream these may lag."""
        if self.averaging:
            self.iterate.m_step()
        return self.iterate

    @property
    def average_components(self) -> Components:
        """The average of the iterates; a copy, if that is not the iterate itself."""
        return self.iterate if self.average is None else self.iterate.beside(self.average)

    @property
    def parts(self) -> list[Statistics]:
        """All statistics of the stream: iterate, average and report."""
        if self.average is None:
            return [self.iterate]
        return [self.iterate_components, self.average, self.components]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of components, number of features, and kind of covariance."""
        return self.iterate.shape

    def probabilities_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> list[float]:
        """Return the responsibilities of the components for a mapping."""
        components: Components = self.components
        read_point(x, names, self.point)
        components.e_step(components.log_coef, 1.0)
        return [components.resp[k] for k in range(components.n_components)]

    def predict(
        self, x: cython.double[::1], n: cython.Py_ssize_t, labels: cython.Py_ssize_t[::1]
    ) -> None:
        """Write the most probable component of each of n points in place."""
        components: Components = self.components
        self.busy = True
        components.predict(x, n, labels)
        self.busy = False

    def log_densities(
        self, x: cython.double[::1], n: cython.Py_ssize_t, log_density: cython.double[::1]
    ) -> None:
        """Write the log densities of n points in place."""
        components: Components = self.components
        self.busy = True
        components.log_densities(x, n, log_density)
        self.busy = False

    def posterior(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        responsibilities: cython.double[::1],
        log_density: cython.double[::1],
        distance: cython.double[::1],
    ) -> None:
        """Write responsibilities, log densities and squared distances of n points in place."""
        components: Components = self.components
        self.busy = True
        components.posterior(x, n, responsibilities, log_density, distance)
        self.busy = False

    # -- what the learner does ------------------------------------------------------------------

    def put_off(self, n: int) -> None:
        """Learn without a break until there are n points."""
        self.due = n
        self.is_due = self.n >= self.due

    def restart(self, components: Components, gates: array[float]) -> None:
        """Go on from other components, as if all points so far had led there."""
        self.iterate = components
        self.average = components.statistics() if self.averaging else None
        self.report = components.beside() if self.averaging else components
        self.outdated = False
        self.point = components.point
        unpack(gates, self.gates, self.n_features + 1)

    def keep_many(self, x: cython.double[::1], n: cython.Py_ssize_t) -> None:
        """Keep the points of the warm start."""
        i: cython.Py_ssize_t
        values: cython.p_double = first(x)
        self.kept.make_room(n)
        for i in range(n):
            self.iterate.set_point(values, i * self.n_features)
            self.kept.keep(self.point, self.n - n + i + 1, 0.0)

    def keep_instead(self, points: bytes, stride: int) -> None:
        """Keep these points, one of every ``stride`` of all, in place of those kept."""
        self.kept.replace(points, NO_TIMES, stride)

    def reorder(self, order: list[int]) -> None:
        """Reorder the components: component k becomes what order[k] was."""
        self.refresh()
        self.iterate.reorder(order)
        if self.average is not None:
            self.average.reorder(order)
            self.report.reorder(order)

    def merge(self, other: MixtureStream) -> None:
        """Go on as if the other's points had been learnt here too."""
        self.iterate.merge(other.iterate)
        self.iterate.m_step()
        self.n += other.n
        self.is_due = self.n >= self.due
        self.schedule.mass += other.schedule.mass
        self.schedule.last = max(self.schedule.last, other.schedule.last)
        if self.average is not None:
            self.average.add(other.average)
            self.report.merge(other.report)
            self.report.m_step()
        self.outdated = False
        self.n_outliers += other.n_outliers
        self.n_empty += other.n_empty

    def state(self) -> dict[str, Any]:
        """Return all that learning goes on from, as plain values."""
        self.refresh()
        return {
            "iterate": self.iterate.state(),
            "average": None if self.average is None else self.average.state(),
            "report": None if self.average is None else self.report.statistics_state(),
            "averaging": bool(self.averaging),
            "every": self.every,
            "n": self.n,
            "pace": self.schedule.state(),
            "gates": packed(self.gates, self.n_features + 1),
            "n_outliers": self.n_outliers,
            "n_empty": self.n_empty,
            "capacity": self.kept.capacity,
            "stride": self.kept.stride,
            "due": self.due,
            "buffer": self.kept.as_bytes(),
            "room": 0 if self.outlier_buffer is None else self.outlier_buffer.room,
            "strays": None if self.outlier_buffer is None else self.outlier_buffer.state(),
        }

    def __reduce__(self) -> Any:
        return mixture_stream_from_state, (self.state(),)


def mixture_stream_from_state(state: dict[str, Any]) -> MixtureStream:
    """Make a stream of what `MixtureStream.state` has returned."""
    iterate, average, report = (state[name] for name in ("iterate", "average", "report"))
    components: Components = components_from_state(iterate)
    # unpacked, because an index is unchecked here
    settings, *_ = state["pace"]
    d: int = components.n_features
    result: MixtureStream = MixtureStream(
        components,
        flag(state["averaging"], "averaging"),
        whole(state["every"], "every", 1),
        settings,
        0.0,
        block(state, "gates", d + 1, False),
        whole(state["capacity"], "capacity"),
    )
    if result.averaging:
        if not tuple(iterate["shape"]) == tuple(average["shape"]) == tuple(report["shape"]):
            raise ValueError("average and report have not the shape of the iterate")
        result.average = statistics_from_state(average)
        result.report = components_from_state(report, components)
    result.schedule = schedule_from_state(state["pace"])
    result.n = whole(state["n"], "n", 1)
    result.n_outliers = whole(state["n_outliers"], "n_outliers")
    result.n_empty = whole(state["n_empty"], "n_empty")
    result.put_off(whole(state["due"], "due", 0, 2**62))
    count = len(state["buffer"]) // (8 * d)
    if count > result.kept.capacity:
        raise ValueError("buffer holds more points than capacity")
    check_points(block(state, "buffer", count * d, False), "buffer")
    result.keep_instead(state["buffer"], whole(state["stride"], "stride", 1))
    room = whole(state["room"], "room")
    if room > 0:
        result.outlier_buffer = outlier_buffer_from_state(state["strays"], d, room)
    return result
