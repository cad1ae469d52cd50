"""The learner behind `Segmenter()`: it finds regimes, their number, and where they change."""

from __future__ import annotations

import datetime
import math
import warnings
from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data import clock
from online_gmm.data.counted import must_be_real, must_be_whole
from online_gmm.data.frames import Table, view
from online_gmm.data.state import OldStateError, instance, plain, writable
from online_gmm.learners.base import Assignments
from online_gmm.learners.intake import NO_TIME, Late, Time
from online_gmm.segmentation.hindsight import Labelling
from online_gmm.segmentation.lagged import Lagged
from online_gmm.segmentation.placed import PlacedSegments
from online_gmm.segmentation.second_pass import SecondPass, labels_of_events, second_pass
from online_gmm.segmentation.segmented_rows import SegmentedRows
from online_gmm.segmentation.segments import Segment
from online_gmm.segmentation.stamps import stamp_of, stamps_of
from online_gmm.segmentation.window_of_time import (
    LEAST_WINDOW,
    points_if_number,
    points_of_window,
    seconds_of_gap,
    seconds_of_window,
    told_if_all_are_gaps,
)

FIRST = 16
"""Points whose features make the channels, unless features are given."""
MANY = 50
"""Channels from which on it is said that there are many, if nobody has named them."""
FIRST_VERSION = 4
"""Of the format of states, from which on those without a model are read."""
MAX_REGIMES = 64
"""Regimes at most, unless it is said otherwise."""


@writable
class FoundRegimes(SegmentedRows):
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

    _keeps_empty_points = True

    def __init__(
        self,
        window: int | str | datetime.timedelta | None = None,
        *,
        max_regimes: int = MAX_REGIMES,
        confirm: float = 1.0,
        features: Sequence[Hashable] | None = None,
        time: Hashable | None = None,
        max_gap: float | str | datetime.timedelta | None = None,
        late: Late = "raise",
        lag: int = 0,
    ) -> None:
        self.window = window
        self.max_regimes = max_regimes
        self.confirm = confirm
        self.features = features
        self.time = time
        self.max_gap = seconds_of_gap(max_gap)
        self.late = late
        self.lag = lag
        self.order_by = None
        self.warm_up = FIRST
        self._seconds_of_window = seconds_of_window(window)
        self._n_window = points_if_number(window)
        self._prepare(needs_time=max_gap is not None or self._seconds_of_window is not None)
        must_be_whole("max_regimes", max_regimes, 1, MAX_REGIMES)
        must_be_whole("lag", lag, 0)
        must_be_real("confirm", confirm, "a positive number", lambda its: 0.0 < its < math.inf)
        self.new_events = []
        self._lagged = Lagged(int(lag))
        self._n_dropped = 0
        self._stamps: list[Any] = []
        self._placed = None
        self._densities = None

    @property
    def _made_of_unknown(self) -> str:
        if self._stream is None:
            return super()._made_of_unknown
        return "Such points have no value; those that are learnt become a regime of their own"

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {}
        yield {"window": 16, "max_regimes": 4, "confirm": 2.0, "lag": 20}

    # -- learning -------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Any, Any], t: Time | None = None) -> None:
        try:
            core = self._stream
            if t is None and core is not None and not self._clocked:
                self._learn_row(core, x, NO_TIME, None)
            else:
                self._learn(x, t)
        except (AttributeError, TypeError):
            _kernel.must_be_mapping(x)
            raise

    def _learn(self, x: Mapping[Any, Any], t: Time | None = None) -> None:
        stamp, seconds = None, NO_TIME
        if self._clocked or t is not None:
            stamp = t if t is not None or self.time is None else x.get(self.time)
            stamp = None if stamp is None else stamp_of(stamp)
            seconds = self._seconds(x, t)
            if seconds <= self._last_time and self._refuse(seconds, x, t):
                return
            if self._last_time == -math.inf:
                self._doubt_unit(seconds, x[self.time] if t is None else t)
        if self._stream is not None:
            self._learn_row(self._stream, x, seconds, stamp)
            if self._clocked:
                self._last = seconds
            return
        self._begin_call()
        self._keep(x, seconds)
        self._stamps.append(stamp)
        self._begin_if_full()

    def learn_many(self, X: Any, t: Any = None) -> None:
        table = self._table(X, t)
        self._knows(table)
        self._learn_table(table, stamps_of(table, X, self.time, t), None)

    def label_then_learn_many(
        self, X: Any, t: Any = None, stamps: Sequence[Any] | None = None
    ) -> Assignments:
        table = self._table(X, t)
        answers = Assignments.unknown(len(table))
        stamps = stamps_of(table, X, self.time, t) if stamps is None else stamps
        known = self._knows(table)
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
        self._pass_over_columns(table, len(rows))
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

        Raises
        ------
        ValueError
            If a row is earlier than the one before it, unless ``late`` is ``learn``.
        """
        table = self._table(X, t)
        names = self._wanted or table.names
        rows = table.select(names)
        if stamps is None:
            stamps = stamps_of(table, X, self.time, t)
        if stretches is None:
            stretches = self._stretches(table)
        if self.late != "learn":
            self._refuse_disorder(table)
        its_window = self._n_window
        if its_window is None and self._seconds_of_window is not None:
            if table.times is None:
                raise table.without_times(self.time, self._why_times)
            its_window = points_of_window(
                self.window, self._seconds_of_window, table.times, FIRST, self.max_gap
            )
        window = self._stream.answering_window if self._stream is not None else 0
        if placed is None:
            learner = self.clone(
                {"features": names, "time": None, "max_gap": None, "window": its_window}
            )
            learner.label_then_learn_many(rows)
            new_events = [*learner.new_events, learner.finish()]
            placed = labels_of_events(new_events, len(rows))
            window = learner._stream.answering_window if learner._stream is not None else 0
        regimes = {label: its.statistics for label, its in self.all_regimes().items()}
        return second_pass(
            *(rows, names, stamps, stretches),
            window=its_window,
            max_regimes=self.max_regimes,
            confirm=self.confirm,
            placed=Labelling(placed, window) if window else None,
            regimes=regimes,
        )

    @staticmethod
    def _refuse_disorder(table: Table) -> None:
        """Refuse rows of which one is earlier than the row before: each is to have a label."""
        if table.times is None or not (back := np.diff(table.times) < 0.0).any():
            return
        i = int(back.argmax()) + 1
        before, its = (clock.shown(float(table.times[j]), table.a_time) for j in (i - 1, i))
        raise ValueError(
            f"row {i}: time {its} is before that of the row above, {before}; sort the rows, or "
            "make the segmenter with late='learn', which takes them as they stand"
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
        names = tuple(x.keys()) if self.features is None else tuple(self.features)
        names = tuple(name for name in names if name != self.time)
        values = array("d", bytes(8 * len(names)))
        found = _kernel.fill(x, names, values) + (self.time in x)
        if not found and len(x):
            self._warn_unknown(x.keys())
        self.n_unknown += len(x) - found
        self._last = max(self._last, seconds) if seconds == seconds else self._last
        self._buffer.add(names, values)
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
                self._buffer.restrict(slice(-1))
                del self._times[-1], self._stamps[-1]
                raise
        else:
            # nothing is known of the channels yet
            self._n_empty += 1
            self._n_dropped += 1
            self._buffer.restrict(slice(1, None))
            del self._times[0], self._stamps[0]
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
        rows = self._buffer.matrix(names, len(self._buffer))
        times = np.array(self._times)
        clocked = not bool(np.isnan(times).any())
        timed = clocked or all(stamp is not None for stamp in self._stamps)
        self._names = names
        if self.features is None and len(names) > MANY:
            warnings.warn(
                f"{len(names)} channels are many: time and memory grow with more than their "
                "square. Name those that tell regimes apart, features=[...], or all of them if "
                "each is needed",
                UserWarning,
                stacklevel=5,
            )
        if self._seconds_of_window is not None:
            self._n_window = points_of_window(
                self.window, self._seconds_of_window, times, FIRST, self.max_gap
            )
        self._clocked = self._clocked or clocked
        if self.max_gap is not None and len(times) >= FIRST:
            told_if_all_are_gaps(times, self.max_gap)
        self._stream = _kernel.Partition(len(names), self._n_window or 0, self.max_regimes)
        self._placed = PlacedSegments(names, timed, self._n_dropped)
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

    # -- as bytes -------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {
            **super()._state(),
            "n_window": self._n_window,
            "stamps": [plain(stamp, "a time") for stamp in self._stamps],
            "lagged": [self._n_dropped, *self._lagged.state()],
            "placed": None if self._placed is None else self._placed.state(),
        }

    @classmethod
    def _must_be_read(cls, version: int) -> None:
        if version < FIRST_VERSION:
            raise OldStateError(
                f"this state of a segmenter without a model is of version {version} of the format, "
                "which versions of online_gmm before 0.2.0 was released wrote, and it is read from "
                f"version {FIRST_VERSION} on; go on with the version that wrote it, or let a new "
                "segmenter learn the series from its start"
            )

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
            self._placed = PlacedSegments.from_state(its["placed"], self._names, self._n_dropped)

    def _streaming(self, its: dict[str, Any]) -> Any:
        return _kernel.Partition.from_state(its)
