"""A stream of points: online EM step by step, and what is kept and reported of it."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from time import sleep
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.components import Components
    from cython.cimports.online_gmm._kernel.memory import Memory, first, packed, unpack
    from cython.cimports.online_gmm._kernel.pace import Pace
    from cython.cimports.online_gmm._kernel.points import take
    from cython.cimports.online_gmm._kernel.rows import Rows
    from cython.cimports.online_gmm._kernel.statistics import Statistics
else:
    from online_gmm._kernel.components import Components
    from online_gmm._kernel.memory import Memory, first, packed, unpack
    from online_gmm._kernel.pace import Pace
    from online_gmm._kernel.points import take
    from online_gmm._kernel.rows import Rows
    from online_gmm._kernel.statistics import Statistics
from online_gmm._kernel.components import components_from_state
from online_gmm._kernel.pace import pace_from_state
from online_gmm._kernel.points import block, check_points, doubles, flag, grown, whole, zeros
from online_gmm._kernel.statistics import statistics_from_state

NOTHING = zeros(0)


@cython.final
@cython.no_gc
@cython.cclass
class Stream(Memory):
    """Online EM: an iterate that learns from every point, and what is reported of it.

    The iterate drives the E-step. Reported is an average of the iterates (Polyak & Ruppert), taken
    of every ``every``-th, since neighbours differ by a step only, and begun with the warm start for
    as many of them as it had points. The average lags; to it is added the share 1 / (n gamma_n) of
    the last iterate, which makes it the mean of the conditional statistics of all points, each
    under the parameters it met: s_t - s_(t-1) = gamma_t (new - s_(t-1)), summed by parts.

    A point further than ``gates[n observed]`` (squared) from every component is an outlier. Its
    step is scaled by (gate / distance)^2, so that its pull fades as it goes out.

    Every ``stride``-th point is kept, at most ``capacity`` of them: when there are more, every
    second one goes and the stride doubles. ``due`` is when they are to be fitted again.
    """

    iterate: Components
    average: Statistics | None
    report: Components  # without an average the iterate
    unread: cython.bint  # whether what is reported has changed since its parameters were read out
    averaging: cython.bint
    every: cython.int
    lagging: cython.int  # points from the last read-out of the iterate to the next
    n: cython.Py_ssize_t  # points learnt, those of the warm start included
    pace: Pace
    gates: cython.p_double
    n_outliers: cython.Py_ssize_t
    n_empty: cython.Py_ssize_t
    capacity: cython.Py_ssize_t
    stride: cython.Py_ssize_t
    kept: cython.Py_ssize_t
    due: cython.Py_ssize_t
    held: Any  # the array of which buffer are the values
    buffer: cython.p_double
    room: cython.Py_ssize_t  # for strays
    n_strays: cython.Py_ssize_t
    stray_memory: Memory | None
    stray_gates: cython.p_double
    strays: cython.p_double
    stray_at: cython.p_double  # n of each
    busy: cython.bint  # learning many points, without the GIL

    def __init__(
        self,
        components: Components,
        averaging: bool,
        every: int,
        schedule: Any,
        last: float,
        gates: array[float],
        capacity: int,
    ) -> None:
        d: int = components.n_features
        self.averaging = averaging
        Memory.__init__(self, d + 1)
        self.gates = self.piece(d + 1)
        self.restart(components, gates)
        self.every = every
        self.lagging = 1
        self.n = int(components.points)
        self.pace = Pace(schedule, components.points, last)
        self.n_outliers = 0
        self.n_empty = 0
        self.capacity = capacity
        self.stride = 1
        self.kept = 0
        self.due = 2 * self.n
        self.keep_in(NOTHING)
        self.watch(0, gates)
        self.busy = False

    @property
    def iterate_components(self) -> Components:
        """The iterate, with the parameters of its statistics: in the stream these may lag."""
        if self.averaging:
            self.iterate.read_out()
        return self.iterate

    @property
    def average_components(self) -> Components:
        """Where the stream has been on average; a copy, if that is not the iterate."""
        return self.iterate if self.average is None else self.iterate.beside(self.average)

    @property
    def components(self) -> Components:
        """What is reported."""
        return self.reported()

    @property
    def parts(self) -> list[Statistics]:
        """All the statistics that go along: iterate, average, and what is reported."""
        if self.average is None:
            return [self.iterate]
        return [self.iterate_components, self.average, self.reported()]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.iterate.shape

    @property
    def outlier_gates(self) -> bytes:
        """Squared distances, by the number of features observed; doubles."""
        return packed(self.gates, self.iterate.n_features + 1)

    @property
    def n_points(self) -> int:
        """Learnt, those of the warm start included."""
        return self.n

    @property
    def outliers(self) -> int:
        return self.n_outliers

    @property
    def empty(self) -> int:
        return self.n_empty

    @property
    def is_due(self) -> bool:
        """Whether it is time to look after the components."""
        return self.n >= self.due

    @property
    def stride_kept(self) -> int:
        """Every how many-th point is kept."""
        return self.stride

    def points_kept(self) -> bytes:
        return packed(self.buffer, self.kept * self.iterate.n_features)

    @property
    def last_time(self) -> float:
        return self.pace.last

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_point(self, time: cython.double) -> cython.bint:
        """Learn the iterate's point."""
        return self.learn_joined(self.iterate.join(), time)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_joined(self, first_one: cython.Py_ssize_t, time: cython.double) -> cython.bint:
        """Learn the iterate's point, which has been joined; whether parameters are others now."""
        g: cython.double
        gate: cython.double
        share: cython.double
        follow: cython.bint
        self.iterate.share(first_one)
        if self.iterate.observed == 0:
            self.n_empty += 1
            return False
        self.n += 1
        g = self.pace.step_size(self.n, time)
        if self.pace.follows and self.iterate.points * g > 1.0:
            # what is forgotten no longer stands against the prior
            self.iterate.points = 1.0 / g
        if self.capacity > 0:
            self.keep()
        if self.room > 0 and self.iterate.distance > self.stray_gates[self.iterate.observed]:
            self.stray()
        phase: cython.int = self.n % self.every
        self.lagging = self.lag(g)
        follow = phase % self.lagging == 0
        gate = self.gates[self.iterate.observed]
        if self.iterate.distance > gate:
            gate /= self.iterate.distance
            self.iterate.m_step(g * gate * gate, follow)
            self.n_outliers += 1
        else:
            self.iterate.m_step(g, follow)
        if self.average is not None and phase == 0:
            share = self.every
            self.average.mix(self.iterate, share / self.n)
            self.average.points = self.iterate.points
            self.settle(g)
        return follow

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def ahead(self, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """How many of the next n points will meet the iterate's parameters as they are."""
        phase: cython.Py_ssize_t = self.n % self.every
        points: cython.Py_ssize_t = self.lagging - phase % self.lagging
        return points if points < n else n

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def lag(self, g: cython.double) -> cython.int:
        """Points from one read-out of the iterate to the next.

        One, unless an average is reported. Then as many, up to those between two iterates that
        enter it, as make no more than 2 % of steps together: but with covariances not so few that
        a new factor costs more than a rank-one update for each.
        """
        points: cython.int = self.every
        least: cython.Py_ssize_t = self.iterate.n_features // 8 if self.iterate.dense else 1
        if not self.averaging:
            return 1
        while points > 1 and points * g > 0.02:
            points //= 2
        return points if points > least else 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def settle(self, g: cython.double) -> cython.int:
        """What is reported, from the average and the last iterate."""
        share: cython.double = 1.0 / (self.n * g)
        self.report.take(self.average)
        self.report.mix(self.iterate, share if share < 1.0 else 1.0)
        self.unread = True
        return 0

    @cython.cfunc
    def reported(self) -> Components:
        """What is reported, its parameters read out as soon as someone asks."""
        if self.busy:
            self.wait()
        if self.unread:
            self.report.read_out()
            self.unread = False
        return self.report

    @cython.cfunc
    def keep_in(self, values: Any) -> cython.int:
        """Make this array the place of the points kept."""
        self.held = values
        self.buffer = first(values)
        return 0

    @cython.cfunc
    def make_room(self, n: cython.Py_ssize_t) -> cython.int:
        """For so many more points, or as many as are ever kept."""
        d: cython.Py_ssize_t = self.iterate.n_features
        n += self.kept
        if n > self.capacity:
            n = self.capacity
        if n * d > len(self.held):
            self.keep_in(grown(self.held, n * d, self.capacity * d))
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def keep(self) -> cython.int:
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.iterate.n_features
        if self.n % self.stride != 0:
            return 0
        if self.kept == self.capacity:
            self.stride *= 2
            self.kept = self.capacity // 2
            for i in range(self.kept):
                for j in range(d):
                    self.buffer[i * d + j] = self.buffer[(2 * i + 1) * d + j]
            if self.n % self.stride != 0:
                return 0
        for j in range(d):
            self.buffer[self.kept * d + j] = self.iterate.point[j]
        self.kept += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def stray(self) -> cython.int:
        j: cython.Py_ssize_t
        slot: cython.Py_ssize_t = self.n_strays % self.room
        for j in range(self.iterate.n_features):
            self.strays[slot * self.iterate.n_features + j] = self.iterate.point[j]
        self.stray_at[slot] = self.n
        self.n_strays += 1
        return 0

    def keep_many(self, x: cython.double[::1], n: cython.Py_ssize_t) -> None:
        """Keep the points of the warm start."""
        i: cython.Py_ssize_t
        learnt: cython.Py_ssize_t = self.n
        rows: cython.p_double = first(x)
        self.make_room(n)
        for i in range(n):
            self.n = learnt - n + i + 1
            self.iterate.take_point(rows, i * self.iterate.n_features)
            self.keep()

    def restart(self, components: Components, gates: array[float]) -> None:
        """Go on from other components, as if all points so far had led there."""
        self.iterate = components
        self.average = components.statistics() if self.averaging else None
        self.report = components.beside() if self.averaging else components
        self.unread = False
        unpack(gates, self.gates, self.iterate.n_features + 1)

    def put_off(self, n: int) -> None:
        """Learn without a break until there are n points."""
        self.due = n

    def watch(self, room: int, gates: array[float]) -> None:
        """Keep the last so many points beyond these gates."""
        d: int = self.iterate.n_features
        self.room = room
        self.n_strays = 0
        self.stray_memory = None
        if room > 0:
            self.stray_memory = Memory(d + 1 + room * (d + 1))
            self.stray_gates = self.stray_memory.piece(d + 1)
            unpack(gates, self.stray_gates, d + 1)
            self.strays = self.stray_memory.piece(room * d)
            self.stray_at = self.stray_memory.piece(room)

    def forget_strays(self) -> None:
        self.n_strays = 0

    def last_strays(self, since: int) -> bytes:
        """The strays among the points after the first so many."""
        i: cython.Py_ssize_t
        size: int = 8 * self.iterate.n_features
        values = packed(self.strays, self.room * self.iterate.n_features)
        recent = []
        for i in range(min(self.n_strays, self.room)):
            if self.stray_at[i] > since:
                recent.append(values[size * i : size * (i + 1)])
        return b"".join(recent)

    def learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
    ) -> int:
        """Learn points from begin on, one after the other, until end or until a fit is due.

        Returns where it stopped. O(K D^2) a point, or O(K D) without covariances.
        """
        i: cython.Py_ssize_t = begin
        d: cython.Py_ssize_t = self.iterate.n_features
        missing: cython.double = float("nan")
        untimed: cython.bint = times is None
        end_of_block: cython.Py_ssize_t
        whole: cython.bint
        followed: cython.bint
        rows: Rows = Rows(self.iterate.n_components, d)
        values: cython.p_double = first(x)
        seconds: cython.p_double = first(x if times is None else times)
        self.wait()
        self.make_room(end - begin)
        self.busy = True
        with cython.nogil:
            while i < end:
                begin = i
                end_of_block = i + self.ahead(end - i)
                whole = self.iterate.measure(rows, values, i, end_of_block - i)
                followed = False
                while i < end_of_block and not followed:
                    self.iterate.take_point(values, i * d)
                    followed = self.learn_joined(
                        self.iterate.join_row(rows, i - begin) if whole else self.iterate.join(),
                        missing if untimed else seconds[i],
                    )
                    i += 1
                    if self.n >= self.due:
                        end = i
                        break
        self.busy = False
        return i

    def label_and_learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
        labels: cython.Py_ssize_t[::1],
        probability: cython.double[::1],
        log_density: cython.double[::1],
        outlier: cython.uchar[::1],
    ) -> int:
        """Learn points as `learn` does, each labelled first by what is reported at that moment.

        Answers are those of `assign_one`, written in place. Returns where it stopped.
        """
        i: cython.Py_ssize_t = begin
        k: cython.Py_ssize_t
        label: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.iterate.n_features
        missing: cython.double = float("nan")
        untimed: cython.bint = times is None
        end_of_block: cython.Py_ssize_t
        whole: cython.bint
        seen: cython.bint
        followed: cython.bint
        rows: Rows = Rows(self.iterate.n_components, d)
        told_rows: Rows = Rows(self.iterate.n_components, d)
        values: cython.p_double = first(x)
        seconds: cython.p_double = first(x if times is None else times)
        told: Components = self.reported()
        self.make_room(end - begin)
        self.busy = True
        with cython.nogil:
            while i < end:
                if self.unread:
                    self.report.read_out()
                    self.unread = False
                begin = i
                end_of_block = i + self.ahead(end - i)
                whole = self.iterate.measure(rows, values, i, end_of_block - i)
                # what is reported changes when the iterate's parameters do, or more seldom
                seen = told.measure(told_rows, values, i, end_of_block - i)
                followed = False
                while i < end_of_block and not followed:
                    told.take_point(values, i * d)
                    told.share(told.join_row(told_rows, i - begin) if seen else told.join())
                    label = 0
                    for k in range(1, told.n_components):
                        if told.resp[k] > told.resp[label]:
                            label = k
                    labels[i] = label
                    probability[i] = told.resp[label]
                    log_density[i] = told.log_density()
                    outlier[i] = told.distance > self.gates[told.observed]
                    # it is the iterate's point too
                    followed = self.learn_joined(
                        self.iterate.join_row(rows, i - begin) if whole else self.iterate.join(),
                        missing if untimed else seconds[i],
                    )
                    i += 1
                    if self.n >= self.due:
                        end = i
                        break
        self.busy = False
        return i

    @cython.ccall
    def learn_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Learn a mapping. Of its features how many are not named; -1 - that if work is due."""
        unknown: cython.Py_ssize_t
        if self.busy:
            self.wait()
        unknown = len(x) - take(x, names, self.iterate.point)
        if self.capacity > self.kept:
            self.make_room(1)
        self.learn_point(time)
        return -1 - unknown if self.n >= self.due else unknown

    @cython.cfunc
    def wait(self) -> cython.int:
        """Until no other thread is learning here."""
        while self.busy:
            sleep(1e-4)
        return 0

    def reorder(self, order: list[int]) -> None:
        """Component k becomes what order[k] was."""
        self.reported()
        self.iterate.reorder(order)
        if self.average is not None:
            self.average.reorder(order)
            self.report.reorder(order)

    def merge(self, other: Stream) -> None:
        """Go on as if the other's points had been learnt here too."""
        self.iterate.merge(other.iterate)
        self.iterate.read_out()
        self.n += other.n
        self.pace.mass += other.pace.mass
        self.pace.last = max(self.pace.last, other.pace.last)
        if self.average is not None:
            self.average.add(other.average)
            self.report.merge(other.report)
            self.report.read_out()
        self.unread = False
        self.n_outliers += other.n_outliers
        self.n_empty += other.n_empty

    def hold(self, points: bytes, stride: int) -> None:
        """Keep these points, every stride-th of all, in place of those kept."""
        self.kept = 0
        self.make_room(len(points) // (8 * self.iterate.n_features))
        self.kept = len(points) // (8 * self.iterate.n_features)
        unpack(doubles(points), self.buffer, self.kept * self.iterate.n_features)
        self.stride = stride

    # -- answers --------------------------------------------------------------------------------

    @cython.cfunc
    def see(self, x: Any, names: tuple[Any, ...]) -> Components:
        """What is reported, with a mapping for its point."""
        components: Components = self.reported()
        take(x, names, components.point)
        return components

    @cython.ccall
    def label_one(self, x: Any, names: tuple[Any, ...]) -> cython.Py_ssize_t:
        return self.see(x, names).join()

    def probabilities_one(self, x: Any, names: tuple[Any, ...]) -> list[float]:
        components: Components = self.see(x, names)
        components.e_step()
        return [components.resp[k] for k in range(components.n_components)]

    def log_density_one(self, x: Any, names: tuple[Any, ...]) -> float:
        components: Components = self.see(x, names)
        components.e_step()
        return components.log_density()

    def assign_one(self, x: Any, names: tuple[Any, ...]) -> tuple[int, float, float, bool]:
        """Label, its responsibility, log density, and whether the point is an outlier."""
        k: cython.Py_ssize_t
        label: cython.Py_ssize_t = 0
        components: Components = self.see(x, names)
        components.e_step()
        for k in range(1, components.n_components):
            if components.resp[k] > components.resp[label]:
                label = k
        outlier: cython.bint = components.distance > self.gates[components.observed]
        return label, components.resp[label], components.log_density(), bool(outlier)

    def label(
        self, x: cython.double[::1], n: cython.Py_ssize_t, labels: cython.Py_ssize_t[::1]
    ) -> None:
        """The most probable component of each of n points, written in place."""
        components: Components = self.reported()
        self.busy = True
        components.label(x, n, labels)
        self.busy = False

    def score(
        self, x: cython.double[::1], n: cython.Py_ssize_t, log_density: cython.double[::1]
    ) -> None:
        """Log densities of n points, written in place."""
        components: Components = self.reported()
        self.busy = True
        components.score(x, n, log_density)
        self.busy = False

    def posterior(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        responsibilities: cython.double[::1],
        log_density: cython.double[::1],
        distance: cython.double[::1],
    ) -> None:
        """Responsibilities, log densities and squared distances of n points, written in place."""
        components: Components = self.reported()
        self.busy = True
        components.posterior(x, n, responsibilities, log_density, distance)
        self.busy = False

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        self.reported()
        return {
            "iterate": self.iterate.state(),
            "average": None if self.average is None else self.average.state(),
            "report": None if self.average is None else self.report.reported_state(),
            "averaging": bool(self.averaging),
            "every": self.every,
            "n": self.n,
            "pace": self.pace.state(),
            "gates": packed(self.gates, self.iterate.n_features + 1),
            "n_outliers": self.n_outliers,
            "n_empty": self.n_empty,
            "capacity": self.capacity,
            "stride": self.stride,
            "due": self.due,
            "buffer": self.points_kept(),
            "room": self.room,
            "strays": {
                "n": self.n_strays,
                "gates": packed(self.stray_gates, self.iterate.n_features + 1),
                "points": packed(self.strays, self.room * self.iterate.n_features),
                "at": packed(self.stray_at, self.room),
            }
            if self.room > 0
            else None,
        }

    def __reduce__(self) -> Any:
        return stream_from_state, (self.state(),)


def stream_from_state(state: dict[str, Any]) -> Stream:
    iterate, average, report = (state[name] for name in ("iterate", "average", "report"))
    components: Components = components_from_state(iterate)
    # not by an index, which is unchecked in here
    schedule, _, _ = state["pace"]
    d: int = components.n_features
    result: Stream = Stream(
        components,
        flag(state["averaging"], "averaging"),
        whole(state["every"], "every", 1),
        schedule,
        0.0,
        block(state, "gates", d + 1, False),
        whole(state["capacity"], "capacity"),
    )
    if result.averaging:
        if not tuple(iterate["shape"]) == tuple(average["shape"]) == tuple(report["shape"]):
            raise ValueError("average and report have not the shape of the iterate")
        result.average = statistics_from_state(average)
        result.report = components_from_state(report, components)
    result.pace = pace_from_state(state["pace"])
    result.n = whole(state["n"], "n", 1)
    result.n_outliers = whole(state["n_outliers"], "n_outliers")
    result.n_empty = whole(state["n_empty"], "n_empty")
    result.due = whole(state["due"], "due", 0, 2**62)
    kept = len(state["buffer"]) // (8 * d)
    if kept > result.capacity:
        raise ValueError("buffer holds more points than capacity")
    check_points(block(state, "buffer", kept * d, False), "buffer")
    result.hold(state["buffer"], whole(state["stride"], "stride", 1))
    room = whole(state["room"], "room")
    if room > 0:
        strays = state["strays"]
        points = block(strays, "points", room * d, False)
        check_points(points, "strays")
        result.watch(room, block(strays, "gates", d + 1, False))
        result.n_strays = whole(strays["n"], "n_strays")
        unpack(points, result.strays, room * d)
        unpack(block(strays, "at", room), result.stray_at, room)
    return result
