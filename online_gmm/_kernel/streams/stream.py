"""A stream of points: the one learning loop, and what every stream counts and keeps."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from time import sleep
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import (
        Memory,
        first,
        first_byte,
        first_place,
        packed,
        unpack,
    )
    from cython.cimports.online_gmm._kernel.points import read_point
    from cython.cimports.online_gmm._kernel.streams.kept import KeptPoints
    from cython.cimports.online_gmm._kernel.streams.outlier_buffer import OutlierBuffer
    from cython.cimports.online_gmm._kernel.streams.schedule import StepSchedule
else:
    from online_gmm._kernel.memory import (
        Memory,
        first,
        first_byte,
        first_place,
        packed,
        unpack,
    )
    from online_gmm._kernel.points import read_point
    from online_gmm._kernel.streams.kept import KeptPoints
    from online_gmm._kernel.streams.outlier_buffer import OutlierBuffer
    from online_gmm._kernel.streams.schedule import StepSchedule
from online_gmm._kernel.values import zeros

NEVER = 2**62
"""A number of points that no stream reaches."""
NO_ANSWERS = zeros(1)
NO_LABELS = array("q", [0])
NO_FLAGS = array("B", [0])


@cython.no_gc
@cython.cclass
class Stream(Memory):
    """What streams have in common: counters, step sizes, gates, points kept, and the loop.

    A model that learns from a stream is a subclass with these functions, which the loop calls. All
    of them work on ``point``.

    look_ahead
        How many of the next rows are compared with the parameters as they are now.
    learn_point
        E-step and update. Sets ``is_due`` when work is due that the learner does.
    predict_point
        The most probable component.
    label_point
        The same with its probability, the log density, and whether the point is an outlier.
    """

    n_features: cython.Py_ssize_t
    averaging: cython.bint  # whether an average of the iterates is reported
    every: cython.int  # points between two iterates that enter the average
    n: cython.Py_ssize_t  # points learnt, those of the warm start included
    schedule: StepSchedule
    gates: cython.p_double  # squared distances, by the number of features observed
    n_outliers: cython.Py_ssize_t
    n_empty: cython.Py_ssize_t  # points without any value
    kept: KeptPoints
    outlier_buffer: OutlierBuffer | None
    due: cython.Py_ssize_t  # number of points at which the learner has work to do
    is_due: cython.bint
    moved: cython.bint  # whether the last point has changed the parameters
    busy: cython.bint  # whether a thread is at work here without the GIL
    point: cython.p_double
    # answers of label_point
    label: cython.Py_ssize_t
    probability: cython.double
    log_density: cython.double
    outlier: cython.bint

    def __init__(
        self,
        n_features: int,
        averaging: bool,
        every: int,
        schedule: StepSchedule,
        gates: array[float],
        kept: KeptPoints,
        more: int,
    ) -> None:
        """Allocate what streams have in common, and ``more`` doubles for a subclass."""
        Memory.__init__(self, n_features + 1 + more)
        self.n_features = n_features
        self.averaging = averaging
        self.every = every
        self.n = 0
        self.schedule = schedule
        self.gates = self.piece(n_features + 1)
        unpack(gates, self.gates, n_features + 1)
        self.n_outliers = 0
        self.n_empty = 0
        self.kept = kept
        self.outlier_buffer = None
        self.due = NEVER
        self.is_due = False
        self.moved = False
        self.busy = False
        self.label = 0
        self.probability = 0.0
        self.log_density = 0.0
        self.outlier = False

    # -- what a model has ------------------------------------------------------------------------

    @cython.cfunc
    def begin_rows(self, labelling: cython.bint) -> cython.int:
        """Prepare for many rows."""
        return 0

    @cython.cfunc
    def end_rows(self) -> cython.int:
        """Release what `begin_rows` has allocated."""
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
        """Return how many of the n rows from x[at] on meet the parameters as they are."""
        return 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        """Learn the point. It is this row of those looked at ahead; -1 if it is none of them."""
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def label_point(self, row: cython.Py_ssize_t, time: cython.double) -> cython.int:
        """Set ``label``, ``probability``, ``log_density`` and ``outlier`` for the point."""
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def predict_point(self, time: cython.double) -> cython.Py_ssize_t:
        """Return the most probable component of the point."""
        return 0

    @cython.cfunc
    def refresh(self) -> cython.int:
        """Bring what is reported up to date, once no other thread is at work here."""
        if self.busy:
            self.wait()
        return 0

    # -- the loop -------------------------------------------------------------------------------

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def run(
        self,
        x: cython.p_double,
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.p_double,
        timed: cython.bint,
        time: cython.double,
        labelling: cython.bint,
        labels: cython.p_Py_ssize_t,
        probability: cython.p_double,
        log_density: cython.p_double,
        outlier: cython.p_uchar,
    ) -> cython.Py_ssize_t:
        """Learn rows from begin on until end or until work is due; return where it stopped.

        Without times every row has the time given.
        """
        i: cython.Py_ssize_t = begin
        j: cython.Py_ssize_t
        start: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        while i < end:
            start = i
            stop = i + self.look_ahead(x, i, end - i, labelling)
            self.moved = False
            while i < stop and not self.moved:
                for j in range(d):
                    self.point[j] = x[i * d + j]
                if timed:
                    time = times[i]
                if labelling:
                    self.label_point(i - start, time)
                    labels[i] = self.label
                    probability[i] = self.probability
                    log_density[i] = self.log_density
                    outlier[i] = self.outlier
                self.learn_point(i - start, time)
                i += 1
                if self.is_due:
                    return i
        return i

    def learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
    ) -> int:
        """Learn rows from begin on, one after the other, until end or until work is due.

        Returns the row at which it stopped.
        """
        return self.learn_rows(
            x, begin, end, times, False, NO_LABELS, NO_ANSWERS, NO_ANSWERS, NO_FLAGS
        )

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
        """Learn rows as `learn` does; each is first labelled by what is reported at that moment.

        The answers are those of `assign_one`, written in place. Returns where it stopped.
        """
        return self.learn_rows(
            x, begin, end, times, True, labels, probability, log_density, outlier
        )

    @cython.final
    @cython.cfunc
    def learn_rows(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
        labelling: cython.bint,
        labels: cython.Py_ssize_t[::1],
        probability: cython.double[::1],
        log_density: cython.double[::1],
        outlier: cython.uchar[::1],
    ) -> cython.Py_ssize_t:
        """Learn rows, and label them before if that is asked for."""
        timed: cython.bint = times is not None
        nan: cython.double = float("nan")
        values: cython.p_double = first(x)
        seconds: cython.p_double = first(x if times is None else times)
        places: cython.p_Py_ssize_t = first_place(labels)
        shares: cython.p_double = first(probability)
        densities: cython.p_double = first(log_density)
        flags: cython.p_uchar = first_byte(outlier)
        self.refresh()
        self.kept.make_room(end - begin)
        self.begin_rows(labelling)
        self.busy = True
        with cython.nogil:
            end = self.run(
                values,
                begin,
                end,
                seconds,
                timed,
                nan,
                labelling,
                places,
                shares,
                densities,
                flags,
            )
        self.busy = False
        self.end_rows()
        return end

    @cython.ccall
    def learn_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Learn a mapping, and return how many of its features are not named.

        ``is_due`` then says whether work is due.
        """
        unknown: cython.Py_ssize_t
        if self.busy:
            self.wait()
        unknown = -read_point(x, names, self.point)
        unknown += len(x)
        if self.kept.count < self.kept.capacity:
            self.kept.make_room(1)
        self.learn_point(-1, time)
        return unknown

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_outlier(
        self,
        distance: cython.double,
        observed: cython.Py_ssize_t,
        seen: cython.Py_ssize_t,
    ) -> cython.bint:
        """Keep the point if no component explains it; return whether nothing is learnt from it.

        Work is due, after ``seen`` points, if there is a crowd of such points.
        """
        if self.outlier_buffer is None:
            return False
        if not (distance > self.outlier_buffer.gates[observed]):
            if self.outlier_buffer.crowd > 0 and self.outlier_buffer.look(
                self.point, distance, observed
            ):
                self.due = seen
                self.is_due = True
            return False
        if self.outlier_buffer.add(self.point, self.n):
            self.due = seen
            self.is_due = True
        return self.outlier_buffer.crowd > 0

    @cython.final
    @cython.cfunc
    def wait(self) -> cython.int:
        """Wait until no other thread is at work here."""
        while self.busy:
            sleep(1e-4)
        return 0

    # -- answers --------------------------------------------------------------------------------

    @cython.ccall
    def predict_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Return the most probable component of a mapping. Nothing is learnt."""
        self.refresh()
        read_point(x, names, self.point)
        return self.predict_point(time)

    def assign_one(
        self, x: Any, names: tuple[Any, ...], time: cython.double
    ) -> tuple[int, float, float, bool]:
        """Return label, its probability, log density, and whether the point is an outlier."""
        self.refresh()
        read_point(x, names, self.point)
        self.label_point(-1, time)
        return self.label, self.probability, self.log_density, bool(self.outlier)

    def log_density_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> float:
        """Return the log density of a mapping, in nats."""
        self.refresh()
        read_point(x, names, self.point)
        self.label_point(-1, time)
        return self.log_density

    # -- counters and what is kept --------------------------------------------------------------

    @property
    def n_points(self) -> int:
        """Points learnt, those of the warm start included."""
        return self.n

    @property
    def outliers(self) -> int:
        """Points beyond the gates."""
        return self.n_outliers

    @property
    def empty(self) -> int:
        """Points without any value."""
        return self.n_empty

    def count_on(self, other: Stream) -> None:
        """Continue the other's counts of outliers and empty points, and the limit of its steps."""
        self.schedule.limit(other.schedule.ceiling)
        self.n_outliers = other.n_outliers
        self.n_empty = other.n_empty

    @property
    def last_time(self) -> float:
        """The time of the last point, in seconds; -inf before there is one."""
        return self.schedule.last

    def limit_steps(self, ceiling: float) -> None:
        """Let steps be at most so large, or 2 / n for n points if that is more."""
        self.schedule.limit(ceiling)

    @property
    def outlier_gates(self) -> array[float]:
        """Squared distances of outliers, by the number of features observed."""
        values = zeros(0)
        values.frombytes(packed(self.gates, self.n_features + 1))
        return values

    def watch(self, room: int, gates: array[float], crowd: int = 0, recent: int = 0) -> None:
        """Keep the last ``room`` points beyond these gates, that no component explains.

        With ``crowd`` nothing is learnt from them, and work is due when there are so many of them
        among the ``recent`` points.
        """
        self.outlier_buffer = (
            OutlierBuffer(self.n_features, room, gates, crowd, recent) if room > 0 else None
        )

    def set_aside(self, x: cython.double[::1], n: cython.Py_ssize_t) -> None:
        """Count n rows as outliers that came by now, and keep them in the buffer."""
        self.n_outliers += n
        self.hold_back(x, n)

    def hold_back(self, x: cython.double[::1], n: cython.Py_ssize_t) -> None:
        """Keep n rows in the buffer of outliers, as if they had come by now."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        values: cython.p_double = first(x)
        if self.outlier_buffer is None:
            return
        for i in range(n):
            for j in range(d):
                self.point[j] = values[i * d + j]
            self.outlier_buffer.add(self.point, self.n)

    def last_outliers(self, since: int) -> bytes:
        """Return the outliers kept that came after the first so many points, as doubles."""
        return b"" if self.outlier_buffer is None else self.outlier_buffer.since(since)

    def last_deviating(self) -> bytes:
        """Return the last points if they are farther from all components than chance allows."""
        if self.outlier_buffer is None or self.outlier_buffer.excess <= self.outlier_buffer.limit:
            return b""
        return self.outlier_buffer.lasting()

    def forget_outliers(self) -> None:
        """Drop all outliers kept."""
        if self.outlier_buffer is not None:
            self.outlier_buffer.clear()

    @property
    def capacity(self) -> int:
        """The most points that are kept."""
        return self.kept.capacity

    @property
    def stride_kept(self) -> int:
        """Every how many-th point is kept."""
        return self.kept.stride

    def points_kept(self) -> bytes:
        """Return the points kept as doubles, row by row."""
        return self.kept.as_bytes()

    def times_kept(self) -> bytes:
        """Return the times of the points kept as doubles."""
        return self.kept.times_as_bytes()
