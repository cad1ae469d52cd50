"""Rows go through the kernel, and become segments where it decides that regimes change."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.learners.base import Assignments
from online_gmm.segmentation.found_answers import FoundAnswers
from online_gmm.segmentation.placed import Decision, Event
from online_gmm.segmentation.segments import RegimeEvent, Segment


class SegmentedRows(FoundAnswers, abc.ABC):
    """Learns rows: the kernel decides, and segments are cut where it says."""

    max_gap: float | None
    new_events: list[Event]

    def _learn_row(
        self, core: _kernel.Partition, x: Mapping[Any, Any], seconds: float, stamp: Any
    ) -> None:
        """Learn a point: the same as `_learn_stamped` for many."""
        placed = self._placed
        assert placed is not None
        self.new_events = []
        if self.lag:
            self._lagged.begin_call()
        if self.max_gap is not None and self._is_gap(seconds):
            # what is refused interrupts nothing
            _kernel.fill(x, self._names, core.row)
            self._interrupt()
        unknown = core.learn_one(x, self._names)
        if unknown:
            self._pass_over(unknown - (self.time in x), x.keys())
        n = placed.rows.append(core.row, stamp)
        told = core.events
        if told:
            told = [decision for decision in core.drain() if _is_told(decision)]
            self._bring_out(placed.rows.first + n - 1)
            self._decide(told)
        if told or n == placed.next_snapshot:
            self._take_snapshot()
        if self.lag:
            self._bring_out(placed.rows.end)

    def _learn_stamped(
        self,
        rows: memoryview,
        n: int,
        times: memoryview,
        stamps: Sequence[Any] | None,
        answers: Assignments | None = None,
    ) -> None:
        """Learn n rows from a buffer, and cut segments where the kernel decides."""
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
        """Label rows between two decisions, and add them to the segment going on."""
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

    def _take_snapshot(self) -> None:
        assert self._placed is not None
        self._placed.take_snapshot()
        self._densities = None

    # -- interruptions --------------------------------------------------------------------------

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


def _is_told(decision: Decision) -> bool:
    """Whether this is reported to the user; a change says what the segment before it was."""
    return decision[0] in ("change", "born", "merged")


def _told_at(decision: Decision) -> int:
    """The row at which a decision was reported."""
    row: int = decision[2] if decision[0] == "change" else decision[1]
    return row
