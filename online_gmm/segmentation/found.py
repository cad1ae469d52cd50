"""The learner behind `Segmenter()`: it finds regimes, their number, and where they change."""

from __future__ import annotations

import datetime
import itertools
import math
from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat, view
from online_gmm.data.state import instance, plain, writable
from online_gmm.em.mixture import MixtureParameters, posterior, without_prior
from online_gmm.learners.base import NOTHING_KNOWN, UNKNOWN, Assignment, Assignments, Learner
from online_gmm.learners.em_learner import distances_beyond, strangeness
from online_gmm.learners.intake import NO_TIME, Late, Time
from online_gmm.segmentation.hindsight import Labelling
from online_gmm.segmentation.lagged import Lagged, LaggedLabel, LaggedLabels
from online_gmm.segmentation.placed import Decision, Event, PlacedSegments
from online_gmm.segmentation.regimes import Regime, RegimeCard
from online_gmm.segmentation.second_pass import SecondPass, labels_of_events, second_pass
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment
from online_gmm.segmentation.window_of_time import (
    LEAST_WINDOW,
    points_of_window,
    seconds_of_window,
)

FIRST = 16
"""Points whose features make the channels, unless features are given."""
MAX_REGIMES = 64
"""Regimes at most, unless it is said otherwise."""
GATE = 1e-12
"""Tail probability beyond which a point is an outlier."""


@writable
class FoundRegimes(Learner):
    """Find the regimes of a stream, and their number.

    The label of a point is the regime of the segment that is going on, as far as that is known: a
    change is known some time after it took place. The first 16 points say which channels there are.

    Parameters
    ----------
    window
        The length that tells regimes apart: a number of points, at least 4, or a time ("30s", a
        timedelta), which needs times; see `Segmenter`. None to find it from the data.
    max_regimes
        Regimes at most. When there are so many, a segment that is like none of them is given the
        nearest one.
    confirm
        What a change costs in `second_pass`, as a multiple of the usual. More finds fewer changes.
    features
        Names of the channels; None for those of the first points.
    time
        The key of a point that holds its time; None if points have none.
    max_gap
        Seconds without a point after which the segment ends. None for no limit.
    late
        What to do with a point whose time is not after that of the last one: ``raise`` an error,
        ``skip`` and count it, or ``learn`` it.
    lag
        How many later points have a say in `new_labels`; with 0 there are none. O(1) a point.

    Attributes
    ----------
    new_events
        What the last call that learnt has found: segments, changes and events, oldest first.
    new_labels
        With a lag: the labels of the points that had ``lag`` later ones for the first time.

    Notes
    -----
    Cost per point: O(D) amortised over a window for the statistics, and a look now and then; see
    `online_gmm._kernel.partition`. Memory is bounded.
    """

    finds_regimes = True
    _keeps_empty_points = True

    def __init__(
        self,
        window: int | str | datetime.timedelta | None = None,
        *,
        max_regimes: int = MAX_REGIMES,
        confirm: float = 1.0,
        features: Sequence[Hashable] | None = None,
        time: Hashable | None = None,
        max_gap: float | None = None,
        late: Late = "raise",
        lag: int = 0,
    ) -> None:
        self.window = window
        self.max_regimes = max_regimes
        self.confirm = confirm
        self.features = features
        self.time = time
        self.max_gap = max_gap
        self.late = late
        self.lag = lag
        self.order_by = None
        self.warm_up = FIRST
        self._seconds_of_window = seconds_of_window(window)
        self._n_window: int | None = int(window) if isinstance(window, Integral) else None
        self._prepare(needs_time=max_gap is not None or self._seconds_of_window is not None)
        if not 1 <= max_regimes <= MAX_REGIMES:
            raise ValueError(f"max_regimes is {max_regimes!r}; it must be from 1 to {MAX_REGIMES}")
        if not 0.0 < confirm < math.inf:
            raise ValueError(f"confirm is {confirm!r}; it must be a positive number")
        if max_gap is not None and not 0.0 < max_gap < math.inf:
            raise ValueError(f"max_gap is {max_gap!r}; it must be a positive number of seconds")
        if not (lag >= 0 and lag == int(lag)):
            raise ValueError(f"lag is {lag!r}; it must be a number of points, at least 0")
        self.new_events: list[Event] = []
        self._lagged = Lagged(int(lag))
        self._n_dropped = 0
        self._stamps: list[Any] = []
        self._placed: PlacedSegments | None = None
        self._densities: _kernel.Components | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {}
        yield {"window": 16, "max_regimes": 4, "confirm": 2.0, "lag": 20}

    # -- learning -------------------------------------------------------------------------------

    def _learn(self, x: Mapping[Any, Any], t: Time | None = None) -> None:
        stamp = t if t is not None or self.time is None else x.get(self.time)
        stamp = None if stamp is None else _stamp(stamp)
        seconds = NO_TIME
        if self._clocked or t is not None:
            seconds = self._seconds(x, t)
            if seconds <= self._last_time and self._refuse(seconds):
                return
        self._begin_call()
        if self._stream is None:
            self._keep(x, seconds)
            self._stamps.append(stamp)
            self._begin_if_full()
            return
        assert self._placed is not None
        row = self._placed.row
        found = _kernel.fill(x, self._names, row)
        if found != len(x):
            self.n_unknown += len(x) - found - (self.time in x)
        self._learn_row(row, seconds, stamp)

    def learn_many(self, X: Any, t: Any = None) -> None:
        table = self._table(X, t)
        self._learn_table(table, self._stamps_of(X, t, table), None)

    def label_then_learn_many(
        self, X: Any, t: Any = None, stamps: Sequence[Any] | None = None
    ) -> Assignments:
        table = self._table(X, t)
        answers = Assignments.unknown(len(table))
        stamps = self._stamps_of(X, t, table) if stamps is None else stamps
        known = self._stream is None or self._knows(table)
        self._learn_table(table, stamps, answers)
        return answers if known else Assignments.unknown(len(table))

    def _learn_table(
        self, table: Table, stamps: Sequence[Any] | None, answers: Assignments | None
    ) -> None:
        """Learn the rows of a table, and say before each one what is known of it."""
        keep = self._in_time(table)
        rows = np.arange(len(table)) if keep is None else np.flatnonzero(keep)
        self._begin_call()
        done = 0
        while self._stream is None and done < len(rows):
            i = int(rows[done])
            at = NO_TIME if table.times is None else float(table.times[i])
            self._keep(dict(zip(table.names, table.values[i].tolist(), strict=True)), at)
            self._stamps.append(None if stamps is None else stamps[i])
            self._begin_if_full()
            done += 1
        rows = rows[done:]
        if not len(rows):
            return
        values = table.select(self._names)
        self.n_unknown += len(rows) * len(set(table.names) - set(self._names))
        all_of_it = len(rows) == len(table)
        learnt = values if all_of_it else values[rows]
        times = np.full(len(rows), np.nan) if table.times is None else table.times[rows]
        its_stamps = None
        if stamps is not None:
            its_stamps = list(stamps) if all_of_it else [stamps[i] for i in rows.tolist()]
        whole = Assignments.unknown(len(rows))
        self._learn_stamped(
            view(learnt), len(rows), view(times), its_stamps, None if answers is None else whole
        )
        if answers is not None:
            for column, values_of in zip(answers, whole, strict=True):
                column[rows] = values_of
            if keep is not None:
                self._label_late(table, values, np.flatnonzero(~keep), rows, answers)

    def _label_late(
        self,
        table: Table,
        values: NDArray[np.float64],
        late: NDArray[np.intp],
        rows: NDArray[np.intp],
        answers: Assignments,
    ) -> None:
        """Give rows that are left out as late the labels of the rows after them."""
        after = np.searchsorted(rows, late)
        for i, j in zip(late.tolist(), after.tolist(), strict=True):
            if j < len(rows):
                answers.labels[i] = answers.labels[rows[j]]
                answers.probabilities[i] = answers.probabilities[rows[j]]
            elif self._stream is not None:
                known = self._assignments_of(values[i : i + 1])
                for column, value in zip(answers, known, strict=True):
                    column[i] = value[0]

    def _learn_row(self, row: array[float], seconds: float, stamp: Any) -> None:
        """Learn one row, as `_learn_stamped` learns many."""
        placed, core = self._placed, self._stream
        assert placed is not None
        if self.max_gap is not None and self._is_gap(seconds):
            self._interrupt()
        core.learn(row, 1)
        n = placed.append(row, stamp)
        told = core.drain()
        if told:
            told = [decision for decision in told if _is_told(decision)]
            self._bring_out(placed.rows.first + n - 1)
            self._decide(told)
        if told or n == placed.next_snapshot:
            self._take_snapshot()
        if self.lag:
            self._bring_out(placed.rows.end)
        if self._clocked:
            self._last = seconds

    def _learn_stamped(
        self,
        rows: memoryview,
        n: int,
        times: memoryview,
        stamps: Sequence[Any] | None,
        answers: Assignments | None = None,
    ) -> None:
        """Learn n rows from a buffer, cut segments where the kernel decides."""
        placed, core = self._placed, self._stream
        assert placed is not None
        its = _Rows(rows, len(self._names), times, stamps if placed.rows.timed else None)
        done = 0
        while done < n:
            begin, before = done, None
            if self._is_gap(times[done]):
                if answers is not None:
                    before = self._assignments_of(its.matrix[done : done + 1])
                self._interrupt()
            stop = self._until_gap(times, done, n)
            first = placed.rows.end - done
            core.learn(its.part(done, stop)[0], stop - done)
            told = filter(_is_told, core.drain())
            for row, decisions in itertools.groupby(told, _told_at):
                self._extend(its, done, row + 1 - first, answers)
                done = row + 1 - first
                self._bring_out(row)
                self._decide(decisions)
                self._take_snapshot()
            self._extend(its, done, stop, answers)
            self._bring_out(placed.rows.end)
            done = stop
            if answers is not None and before is not None:
                # that there was a gap is known with the row after it
                for column, values in zip(answers, before, strict=True):
                    column[begin] = values[0]
        if self._clocked:
            self._last = times[n - 1]

    def _extend(self, its: _Rows, done: int, stop: int, answers: Assignments | None) -> None:
        """Add rows between two decisions to the segment going on, and say what is known of them."""
        placed = self._placed
        assert placed is not None
        while done < stop:
            end = min(stop, done + placed.until_snapshot)
            if answers is not None:
                known = self._assignments_of(its.matrix[done:end])
                for column, values in zip(answers, known, strict=True):
                    column[done:end] = values
            placed.extend(*its.part(done, end))
            if placed.until_snapshot == 0:
                self._take_snapshot()
            done = end

    def _decide(self, decisions: Iterable[Decision]) -> None:
        placed = self._placed
        assert placed is not None
        first = placed.rows.first + self._n_dropped
        new_events = placed.decide(decisions)
        self.new_events += new_events
        if not self.lag:
            return
        for event in new_events:
            if isinstance(event, Segment):
                self._lagged.end_segment(event.n, event.label, event.probability, first)
            elif isinstance(event, RegimeEvent) and event.into is not None:
                self._lagged.merge(event.label, event.into)

    def _begin_call(self) -> None:
        self.new_events = []
        if self.lag:
            self._lagged.begin_call()

    def _bring_out(self, n_rows: int, lag: int | None = None) -> None:
        """Label points that have ``lag`` later ones now that the core has learnt so many rows."""
        if self.lag:
            lag = self.lag if lag is None else lag
            self._lagged.bring_out(n_rows + self._n_dropped - lag, *self._going_on)

    @property
    def _going_on(self) -> tuple[int, float]:
        """The regime of the segment that is going on, and the probability of that."""
        placed = self._placed
        return (UNKNOWN, math.nan) if placed is None else (placed.label, placed.probability)

    @property
    def new_labels(self) -> LaggedLabels:
        if not self.lag:
            raise ValueError("lag is 0, so there are no labels of later; set lag=...")
        return self._lagged.labels

    def look_back(self, lag: int | None = None) -> LaggedLabel | None:
        """Return the regime of the point ``lag`` points ago as it is known now, and how certain.

        Parameters
        ----------
        lag
            How many points to go back, from 0 to the segmenter's ``lag``, which is the default.

        Returns
        -------
        LaggedLabel or None
            The label, -1 if it is not known, and its probability; None if fewer points have come
            since the start or the last interruption.

        Raises
        ------
        ValueError
            If ``lag`` is larger than the segmenter's.
        """
        lag = self.lag if lag is None else lag
        if not 0 <= lag <= self.lag:
            raise ValueError(f"lag is {lag!r}; this segmenter looks back 0 to {self.lag} points")
        number = self.n_points + self._n_dropped - 1 - lag
        if number < self._lagged.n_interrupted:
            return None
        return self._lagged.at(number, *self._going_on)

    def _take_snapshot(self) -> None:
        assert self._placed is not None
        self._placed.take_snapshot()
        self._densities = None

    def _is_gap(self, seconds: float) -> bool:
        return self.max_gap is not None and seconds - self._last > self.max_gap

    def _until_gap(self, times: memoryview, done: int, stop: int) -> int:
        """Return the row of the next gap, or ``stop`` if there is none before it."""
        if self.max_gap is None:
            return stop
        between = np.diff(np.asarray(times[done:stop]))
        gaps = np.flatnonzero(between > self.max_gap)
        return done + 1 + int(gaps[0]) if len(gaps) else stop

    def _interrupt(self) -> None:
        assert self._placed is not None
        self._let_go()
        self._stream.gap()
        closed = self._placed.finish()
        if closed is not None:
            self.new_events.append(closed)
        self._placed.label = self._stream.label

    def _let_go(self) -> None:
        """Label all points that have come: what comes next has no say in it."""
        if self.lag:
            self._bring_out(self.n_points, 0)
            self._lagged.interrupt()

    def reset_state(self) -> None:
        """Declare an interruption: the segment ends here, and the next point begins a new one.

        What has been learnt stays. The new segment is taken to be in the last regime until its own
        is known; then a change may be reported that took place at its first point.
        """
        self._begin_call()
        if self._stream is None:
            self._let_go()
        else:
            self._interrupt()

    def finish(self) -> Segment | None:
        """End the stream: return the segment that is going on, None before the first point.

        What comes after begins a new segment, though points are counted on.
        """
        self._begin_call()
        if self._has_values:
            self.fit_start()
        self._let_go()
        if self._placed is None:
            return None
        self._stream.gap()
        last = self._placed.finish()
        self._placed.label = self._stream.label
        return last

    # -- the whole series -----------------------------------------------------------------------

    def second_pass(
        self,
        X: Any,
        t: Any = None,
        *,
        stamps: Sequence[Any] | None = None,
        stretches: Sequence[tuple[int, int]] | None = None,
        placed: NDArray[np.int64] | None = None,
    ) -> SecondPass:
        """Segment a finished series again, with all of it at hand.

        Parameters
        ----------
        X, t
            Rows and their times, as in `learn_many`.
        stamps
            What segments and changes hand back as the times of the rows, if that is not t.
        stretches
            First rows of stretches without a gap, and the rows after their last; by default a gap
            is one that ``max_gap`` calls so.
        placed
            The regime of each row as it was reported; None to find it by learning the rows anew,
            with a learner of the same parameters.
        """
        table = self._table(X, t)
        rows = table.select(self._names or table.names)
        if stamps is None:
            stamps = self._stamps_of(X, t, table)
        if stretches is None:
            stretches = self._stretches(table)
        its_window = self._n_window
        if its_window is None and self._seconds_of_window is not None:
            if table.times is None:
                raise ValueError(f"window is {self.window!r}, a time, and these rows have no times")
            its_window = points_of_window(
                self.window, self._seconds_of_window, table.times, FIRST, self.max_gap
            )
        window = self._stream.answering_window if self._stream is not None else 0
        if placed is None:
            names = self._names or table.names
            learner = self.clone(
                {"features": names, "time": None, "max_gap": None, "window": its_window}
            )
            learner.label_then_learn_many(rows)
            new_events = [*learner.new_events, learner.finish()]
            placed = labels_of_events(new_events, len(rows))
            window = learner._stream.answering_window if learner._stream is not None else 0
        regimes = {label: its.statistics for label, its in self.all_regimes().items()}
        return second_pass(
            *(rows, self._names or table.names, stamps, stretches),
            window=its_window,
            max_regimes=self.max_regimes,
            confirm=self.confirm,
            placed=Labelling(placed, window) if window else None,
            regimes=regimes,
        )

    def decode_many(self, X: Any, t: Any = None) -> Any:
        """Return the labels of the rows of a whole series: those of `second_pass`."""
        return self._table(X, t).series(self.second_pass(X, t).labels, "label")

    def _stretches(self, table: Table) -> list[tuple[int, int]]:
        n = len(table)
        begins = [0]
        if self.max_gap is not None and table.times is not None:
            begins += (np.flatnonzero(np.diff(table.times) > self.max_gap) + 1).tolist()
        return list(zip(begins, [*begins[1:], n], strict=True))

    # -- the first points -----------------------------------------------------------------------

    def _keep(self, x: Mapping[Any, Any], seconds: float) -> None:
        """Keep a point until the channels are known."""
        names = tuple(x) if self.features is None else tuple(self.features)
        names = tuple(name for name in names if name != self.time)
        values = array("d", bytes(8 * len(names)))
        found = _kernel.fill(x, names, values) + (self.time in x)
        self.n_unknown += len(x) - found
        self._last = max(self._last, seconds) if seconds == seconds else self._last
        self._buffer.append(dict(zip(names, values, strict=True)))
        self._times.append(seconds)

    @property
    def _has_values(self) -> bool:
        """Whether the points that are kept say anything of the channels."""
        return any(value == value for row in self._buffer for value in row.values())

    def _begin_if_full(self) -> None:
        if len(self._buffer) < self.warm_up:
            self._bring_out(len(self._buffer))
            return
        if self._has_values:
            try:
                self._start_with()
            except ValueError:
                del self._buffer[-1], self._times[-1], self._stamps[-1]
                raise
        else:
            # nothing is known of the channels yet
            self._n_empty += 1
            self._n_dropped += 1
            del self._buffer[0], self._times[0], self._stamps[0]
            self._bring_out(len(self._buffer))

    def fit_start(self, X: Any = None, t: Any = None) -> Self:
        """Begin with the points learnt so far, however few they are, and learn those of X.

        There is no need to call this: the segmenter begins by itself after 16 points.
        """
        if self._stream is not None:
            raise ValueError(
                "this segmenter has started already; learn_many(X) goes on from where it is"
            )
        if X is not None:
            self.learn_many(X, t)
        if self._stream is None:
            self._start_with()
        return self

    def _begin(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> None:
        # rows without a value are rows all the same: they count in the places of changes
        rows = np.array([[row.get(name, math.nan) for name in names] for row in self._buffer])
        times = np.array(self._times)
        clocked = not bool(np.isnan(times).any())
        timed = clocked or all(stamp is not None for stamp in self._stamps)
        self._names = names
        if self._seconds_of_window is not None:
            self._n_window = points_of_window(
                self.window, self._seconds_of_window, times, FIRST, self.max_gap
            )
        self._clocked = self._clocked or clocked
        self._stream = self._new_core(len(names))
        self._placed = PlacedSegments(names, timed)
        stamps = (
            [
                seconds if stamp is None else stamp
                for stamp, seconds in zip(self._stamps, self._times, strict=True)
            ]
            if timed
            else None
        )
        self._stamps = []
        self._last = -math.inf
        self._learn_stamped(view(rows), len(rows), view(times), stamps)

    def _new_core(self, n_channels: int) -> Any:
        return _kernel.Partition(n_channels, self._n_window or 0, self.max_regimes)

    def _attend(self) -> None:
        """Nothing is due: decisions are drained as they come."""

    @property
    def _last_time(self) -> float:
        return self._last

    @property
    def _why_times(self) -> str:
        """What needs times, for errors."""
        if self._seconds_of_window is not None:
            return f". Times are needed because window is {self.window!r}"
        return "" if self.max_gap is None else ". Times are needed because max_gap is given"

    def _stamps_of(self, X: Any, t: Any, table: Table) -> Sequence[Any] | None:
        """The times of rows as they were given."""
        if table.times is None:
            return None
        column = np.asarray(X[self.time] if t is None else t).reshape(-1)
        if column.dtype.kind == "M":
            column = column.astype("datetime64[us]")
        return [_stamp(value) for value in column.tolist()]

    # -- as bytes -------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {
            **super()._state(),
            "n_window": self._n_window,
            "stamps": [plain(stamp, "a time") for stamp in self._stamps],
            "lagged": [self._n_dropped, *self._lagged.state()],
            "placed": None if self._placed is None else self._placed.state(),
        }

    def _restore(self, its: dict[str, Any]) -> None:
        super()._restore(its)
        if (n_window := its["n_window"]) is not None:
            self._n_window = _kernel.whole(n_window, "n_window", LEAST_WINDOW)
        self._stamps = list(instance(its["stamps"], list, "stamps"))
        n_dropped, *lagged = its["lagged"]
        self._n_dropped = _kernel.whole(n_dropped, "n_dropped")
        self._lagged.load(lagged)
        if (its["placed"] is None) != (self._stream is None):
            raise ValueError("there are segments without a kernel, or a kernel without segments")
        if its["placed"] is not None:
            self._placed = PlacedSegments.from_state(its["placed"], self._names)

    def _streaming(self, its: dict[str, Any]) -> Any:
        return _kernel.Partition.from_state(its)

    # -- answers --------------------------------------------------------------------------------

    @property
    def n_points(self) -> int:
        """Points learnt."""
        placed = self._placed
        return len(self._buffer) if placed is None else placed.rows.end

    @property
    def window_(self) -> int | None:
        """Points of the window that gives the answers now; None before one does."""
        if self._stream is None:
            return self._n_window
        return self._stream.answering_window or self._n_window

    @property
    def n_changes(self) -> int:
        """Changes of regime that were reported."""
        return 0 if self._placed is None else self._placed.n_changes

    @property
    def is_started(self) -> bool:
        """Whether the channels are known."""
        return self._stream is not None

    @property
    def regimes(self) -> dict[int, RegimeCard]:
        """A card for each regime, by its number."""
        return {} if self._placed is None else self._placed.cards()

    @property
    def channels(self) -> tuple[Hashable, ...]:
        """The names of the channels; none before they are known."""
        return self._names

    def all_regimes(self) -> dict[int, Regime]:
        """Return the statistics of each regime, the segment going on included. O(K D^2)."""
        return {} if self._placed is None else self._placed.all_regimes()

    @property
    def current(self) -> Segment | None:
        """The segment that is going on, and its regime; None before the first 16 points. O(D^2)."""
        return None if self._placed is None else self._placed.current

    def _is_known(self, table: Table) -> bool:
        """Whether anything can be said of rows; warns if all their features are unknown."""
        return self._placed_label != UNKNOWN and self._knows(table)

    @property
    def _placed_label(self) -> int:
        return UNKNOWN if self._placed is None else self._placed.label

    def _label(self, x: Mapping[Any, Any], t: Time | None) -> int:
        return self._placed_label

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            return {}
        return placed.probabilities

    def _row(self, x: Mapping[Any, Any]) -> NDArray[np.float64]:
        values = flat(np.empty(len(self._names)))
        _kernel.fill(x, self._names, values)
        return np.frombuffer(values)[None]

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        if self._placed_label == UNKNOWN:
            return NOTHING_KNOWN
        return self._assignments_of(self._row(x)).one(0)

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        return self.assign_one(x, t).log_density

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        if self._placed_label == UNKNOWN:
            return math.nan
        return float(self._strangeness(self._row(x))[0])

    def _assignments(self, table: Table) -> Assignments:
        if not self._is_known(table):
            return Assignments.unknown(len(table))
        return self._assignments_of(table.select(self._names))

    def _assignments_of(self, rows: NDArray[np.float64]) -> Assignments:
        """What is known of rows: the regime that is going on, and how well the mixture has them."""
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            return Assignments.unknown(len(rows))
        _, log_density, distance = posterior(self._components, rows)
        gates = _gates(rows.shape[1])
        outlier = distance > gates[np.count_nonzero(~np.isnan(rows), axis=1)]
        n, label = len(rows), placed.label
        sure = placed.probabilities[label]
        return Assignments(np.full(n, label), np.full(n, sure), log_density, outlier)

    def _probabilities(self, table: Table) -> NDArray[np.float64]:
        known = self.predict_proba_one({})
        row = [known.get(label, 0.0) for label in self.labels]
        return np.tile(np.array(row), (len(table), 1))

    def _scores(self, table: Table) -> NDArray[np.float64]:
        if not self._is_known(table):
            return np.full(len(table), math.nan)
        return self._strangeness(table.select(self._names))

    def _strangeness(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = posterior(self._components, rows)[2]
        return strangeness(distance, np.count_nonzero(~np.isnan(rows), axis=1))

    @property
    def _components(self) -> _kernel.Components:
        """The mixture as the kernel has it."""
        if self._densities is None:
            mixture = self.mixture
            self._densities = without_prior(mixture)
        return self._densities

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def mixture(self) -> MixtureParameters:
        """The regimes as components of a Gaussian mixture, in the order of ``labels``.

        Weights are shares of time. Means and covariances are those of all rows of each regime.
        """
        placed = self._placed
        if placed is None or placed.label == UNKNOWN:
            raise ValueError("no regime is known yet, so there is no mixture")
        return placed.mixture()

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of the regimes that are known."""
        return () if self._placed is None else self._placed.labels

    @property
    def _by_place(self) -> NDArray[np.int64]:
        return np.array(self.labels, dtype=np.int64)

    @property
    def events(self) -> tuple[RegimeChange | RegimeEvent, ...]:
        """The last events, at most 1,000: changes of regime, regimes born and merged."""
        return () if self._placed is None else tuple(self._placed.events)

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The mean of every channel, by regime."""
        if self._placed is None:
            return {}
        return {label: card.mean for label, card in self._placed.cards().items()}


class _Rows(NamedTuple):
    """Rows in a buffer, and their times as they were given, if they have times."""

    buffer: memoryview
    n_channels: int
    seconds: memoryview
    stamps: Sequence[Any] | None

    @property
    def matrix(self) -> NDArray[np.float64]:
        return np.asarray(self.buffer).reshape(-1, self.n_channels)

    def part(self, begin: int, end: int) -> tuple[memoryview, Sequence[Any]]:
        """Some of the rows, and their times."""
        times = () if self.stamps is None else self.stamps[begin:end]
        return self.buffer[begin * self.n_channels : end * self.n_channels], times


@cache
def _gates(n_channels: int) -> NDArray[np.float64]:
    """The squared distances beyond which a point is an outlier, by how many values it has."""
    return distances_beyond(GATE, n_channels)


def _is_told(decision: Decision) -> bool:
    """Whether this is reported to the user; a change says what the segment before it was."""
    return decision[0] in ("change", "born", "merged")


def _told_at(decision: Decision) -> int:
    """The row at which a decision was reported."""
    row: int = decision[2] if decision[0] == "change" else decision[1]
    return row


def _stamp(value: Any) -> Any:
    """A time as Python has it."""
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
