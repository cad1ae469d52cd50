"""Decisions of the partition become segments: a change is placed where it began."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from online_gmm.data.state import instance
from online_gmm.em.mixture import MixtureParameters
from online_gmm.learners.base import UNKNOWN
from online_gmm.segmentation.change_row import likeliest_row
from online_gmm.segmentation.explanation import NOTHING, explain
from online_gmm.segmentation.recent_rows import RecentRows
from online_gmm.segmentation.regimes import Regime, RegimeCard, as_mixture, segment_of
from online_gmm.segmentation.row_statistics import RowStatistics
from online_gmm.segmentation.segments import (
    RegimeChange,
    RegimeEvent,
    Segment,
    event_from_state,
    event_state,
)

MOST_EVENTS = 1000
"""Events that are kept; all are reported when they come."""
EARLY = 32
"""Rows of a segment after which its rows have a part in the mixture; then whenever they double."""

Event = Segment | RegimeChange | RegimeEvent
Decision = tuple[Any, ...]
"""As the kernel tells them: ("change", at, known_at, before, after, certainty, window), ("born",
row, state) or ("merged", row, state_gone, state_kept)."""


class PlacedSegments:
    """Cuts a stream of rows into segments where the partition says that changes took place.

    Parameters
    ----------
    names
        Of the D channels.
    timed
        Whether rows have times.
    n_before
        Rows before the first one, which count in the numbers that stand for times.

    Attributes
    ----------
    rows
        Those of the segment going on.
    label
        The number of its regime; -1 until that is known.
    probability
        Of that regime, when the change to it was reported; 1 for the first one, which is new.
    regimes
        Finished segments by regime.
    next_snapshot
        Rows that the segment going on has when `take_snapshot` is due.
    """

    def __init__(self, names: tuple[Hashable, ...], timed: bool, n_before: int = 0) -> None:
        self.names = names
        self._n_before = n_before
        self.rows = RecentRows(len(names), 0, timed)
        self.label = UNKNOWN
        self.probability = 1.0
        self.regimes: dict[int, Regime] = {}
        self.events: deque[RegimeChange | RegimeEvent] = deque(maxlen=MOST_EVENTS)
        self.n_changes = 0
        self._snapshot = RowStatistics(len(names))
        self.next_snapshot = EARLY

    @property
    def until_snapshot(self) -> int:
        """Rows until `take_snapshot` is due."""
        return self.next_snapshot - len(self.rows)

    def take_snapshot(self) -> None:
        """Include the rows of the segment going on in the mixture, as they are now."""
        self._snapshot = self.rows.total()
        self.next_snapshot = max(EARLY, 2 * len(self.rows))

    def extend(self, rows: memoryview, times: Sequence[Any] = ()) -> None:
        """Add rows that the kernel has learnt."""
        self.rows.extend(rows, times)

    def decide(self, decisions: Iterable[Decision]) -> list[Event]:
        """Turn decisions that were made at one row into segments and events, oldest first.

        A segment comes before the change that ends it.
        """
        new_events: list[Event] = []
        decisions = list(decisions)
        ends = [values[0] for kind, *values in decisions if kind == "change"]
        for kind, *values in decisions:
            if kind == "change":
                ends.pop(0)
                new_events += self._change(ends[0] if ends else self.rows.end, *values)
            elif kind == "born":
                row, state = values
                self.regimes.setdefault(state, Regime(len(self.names)))
                if self.label == UNKNOWN:
                    self.label = state
                new_events.append(RegimeEvent("born", state, self._time_of(row)))
            elif kind == "merged":
                row, gone, kept = values
                new_events.append(RegimeEvent("merged", gone, self._time_of(row), kept))
                regime = self.regimes.pop(gone, None)
                if regime is not None:
                    self.regimes.setdefault(kept, Regime(len(self.names))).absorb(regime)
                if self.label == gone:
                    self.label = kept
        self.events.extend(event for event in new_events if not isinstance(event, Segment))
        return new_events

    def _change(
        self,
        end: int,
        at: int,
        known_at: int,
        before: int,
        after: int,
        certainty: float,
        window: int,
    ) -> list[Event]:
        """Cut where a change took place that began a segment of rows before ``end``."""
        new_events: list[Event] = []
        why = NOTHING
        at = self._row_of_change(at, window, end)
        # the regime of the segment that is over is reported again with the change that ends it: by
        # then more is known of it than at its start
        self.label = before
        time = self._time_at(at)
        if at > self.rows.first:
            segment, statistics = self._end(at)
            new_events.append(segment)
            why = explain(statistics, self.rows.total(), self.names, missing=True)
        new_events.append(
            RegimeChange(
                time,
                self._time_of(known_at),
                before,
                after,
                certainty,
                known_at - at,
                why.log_ratio,
                why.reasons,
            )
        )
        self.label, self.probability = after, certainty
        self.n_changes += 1
        return new_events

    def _row_of_change(self, at: int, window: int, end: int) -> int:
        """The row at which a change is placed that a window has told at a row."""
        # what came before an interruption is reported already; else no segment is empty
        at = max(at, self.rows.first + (self.label != UNKNOWN))
        at = min(at, self.rows.end - 1)
        kept, rows = self.rows.latest(end)
        return kept + likeliest_row(rows, at - kept, window) if at > kept else at

    def _end(self, at: int) -> tuple[Segment, RowStatistics]:
        """End the segment before this row."""
        start = self._time_at(self.rows.first)
        end = self._time_at(at - 1)
        statistics = self.rows.cut(at)
        if self.label != UNKNOWN:
            self.regimes.setdefault(self.label, Regime(len(self.names))).add(statistics)
        return self._segment(start, end, statistics), statistics

    def _segment(self, start: Any, end: Any, statistics: RowStatistics) -> Segment:
        probability = self.probability if self.label != UNKNOWN else math.nan
        return segment_of(start, end, self.label, statistics, probability, self.names)

    def _time_of(self, row: int) -> Any:
        return self._time_at(min(max(row, self.rows.first), self.rows.end - 1))

    def _time_at(self, row: int) -> Any:
        time = self.rows.time_of(row)
        return time if self.rows.timed else time + self._n_before

    @property
    def current(self) -> Segment | None:
        """The segment going on; None before the first row. O(D^2)."""
        if not len(self.rows):
            return None
        start = self._time_at(self.rows.first)
        return self._segment(start, self._time_at(self.rows.end - 1), self.rows.total())

    def finish(self) -> Segment | None:
        """End the segment going on. What comes next begins a new one, whose regime is unknown."""
        if not len(self.rows):
            return None
        segment = self._end(self.rows.end)[0]
        self._snapshot = RowStatistics(len(self.names))
        self.label, self.probability = UNKNOWN, 1.0
        return segment

    def all_regimes(self) -> dict[int, Regime]:
        """Return each regime that has rows, the segment going on taken as finished. O(K D^2)."""
        result = {}
        for label in self.labels:
            result[label] = Regime(len(self.names))
            if label in self.regimes:
                result[label].absorb(self.regimes[label])
            if label == self.label and len(self.rows):
                result[label].add(self.rows.total())
        return {label: regime for label, regime in result.items() if regime.visits}

    def cards(self) -> dict[int, RegimeCard]:
        """Return a card for each regime, by its number. O(K D^2)."""
        going_on = self.rows.total() if len(self.rows) and self.label != UNKNOWN else None
        n_all = sum(regime.statistics.n for regime in self.regimes.values())
        n_all += 0 if going_on is None else going_on.n
        cards = {}
        for label in self.labels:
            regime = self.regimes.get(label, Regime(len(self.names)))
            card = regime.card(label, self.names, n_all, going_on if label == self.label else None)
            if card.visits:
                cards[label] = card
        return cards

    @property
    def probabilities(self) -> dict[int, float]:
        """The probability of each regime, which is that reported with the last change."""
        others = len(self.labels) - 1
        rest = (1.0 - self.probability) / others if others else 0.0
        sure = self.probability if others else 1.0
        return {label: sure if label == self.label else rest for label in self.labels}

    @property
    def labels(self) -> tuple[int, ...]:
        """Regimes that there are rows of."""
        return tuple(sorted({*self.regimes, *(() if self.label == UNKNOWN else (self.label,))}))

    def mixture(self) -> MixtureParameters:
        """The regimes as a mixture, from finished segments and the last snapshot. O(K D^2)."""
        parts = []
        for label in self.labels:
            statistics = self._snapshot
            if label in self.regimes:
                statistics = self.regimes[label].statistics
                if label == self.label:
                    statistics = statistics.copy()
                    statistics.add(self._snapshot)
            parts.append(statistics)
        return as_mixture(parts, self.names)

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all this as plain values, for `from_state`."""
        return {
            "rows": self.rows.state(),
            "label": self.label,
            "probability": self.probability,
            "regimes": [[label, regime.state()] for label, regime in self.regimes.items()],
            "snapshot": self._snapshot.state(),
            "next_snapshot": self.next_snapshot,
            "n_changes": self.n_changes,
            "events": [event_state(event) for event in self.events],
        }

    @classmethod
    def from_state(
        cls, state: dict[str, Any], names: tuple[Hashable, ...], n_before: int
    ) -> PlacedSegments:
        """Return what `state` was made of, so many rows after the first one."""
        rows = RecentRows.from_state(state["rows"], len(names))
        result = cls(names, rows.timed, n_before)
        result.rows = rows
        result.label = instance(state["label"], int, "label")
        result.probability = instance(state["probability"], float, "probability")
        for label, regime in state["regimes"]:
            result.regimes[instance(label, int, "label")] = Regime.from_state(regime, len(names))
        result._snapshot = RowStatistics.from_state(state["snapshot"], len(names))
        result.next_snapshot = instance(state["next_snapshot"], int, "next_snapshot")
        result.n_changes = instance(state["n_changes"], int, "n_changes")
        result.events.extend(event_from_state(its) for its in state["events"])
        return result
