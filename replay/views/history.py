"""What a page draws: for each key all of its rows decimated, its last rows, and its segments."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from online_gmm.learners.base import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import Ended, LabelledBatch
from replay.engine.costs import is_date
from replay.engine.rows import Row
from replay.sources.times import Clock
from replay.views.decimation import Floats, Ints, Scores, Trace
from replay.views.log import Columns, Head, LabelledRow, Log
from replay.views.roster import Roster, Standing

MOST_PENDING = 8192
"""Rows that are added to the logs together: one by one they would cost ten times as much."""
MANY = 256
"""Rows of a batch that need not wait for others to be added together."""
MOST_SEGMENTS = 2000
"""Segments of a key that are kept, the last ones."""
MOST_UNMADE = 8
"""Batches whose segments are not made yet: where there are many, only the last of them ever are."""
MOST_GUESTS = 16
"""Keys that are kept because somebody looks at them, the last ones."""
PATIENCE = 100_000
"""Rows of other keys after which a key makes room for a new one."""


@dataclass(frozen=True)
class Snapshot:
    """All that is known of a key, apart from what comes later.

    Parameters
    ----------
    head
        Its counts and its last row.
    columns
        Names of the columns of values.
    clock
        Reads times.
    timed, dates
        Whether x is the time in seconds, rather than the number of the row; and since 1970.
    whole, recent
        The whole series, decimated, and the last rows.
    scores
        Log-densities of the rows, given those before them.
    sample, sample_labels
        Values of rows at even distances, shape (n, D), and their labels.
    """

    head: Head
    columns: tuple[str, ...]
    clock: Clock
    timed: bool
    dates: bool
    whole: Trace
    recent: Trace
    scores: Scores
    sample: Floats
    sample_labels: Ints


class History:
    """The labelled rows of every key, in memory that does not grow with their number.

    A series is kept as the minimum and maximum of each bucket of 2^m rows, with the least m for
    which there are at most ``buckets``. Labels are kept as runs while there are at most
    MOST_RUNS of them, and then as the majority of each bucket. Cost per row: O(D), of which
    most is done for MOST_PENDING rows together.

    Parameters
    ----------
    values
        The columns of values, in the order rows have them.
    buckets
        At most so many of each key.
    keys
        Keys that are kept. A new one takes the place of the one whose last row is longest ago, if
        PATIENCE rows of others have come since; else its rows are only counted.
    recent
        Rows of each key that are kept as they are, the last ones.
    clock
        Reads times, in whose zone they are shown; it is not in `state`.

    Attributes
    ----------
    n_left_out
        Rows of keys for which there was no room.
    roster
        How every key stands, also those for which there was no room. It is not in `state`.

    Notes
    -----
    One thread may add while others take snapshots.
    """

    def __init__(
        self,
        values: Sequence[str],
        buckets: int = 2000,
        keys: int = 50,
        recent: int = 400,
        clock: Clock | None = None,
    ) -> None:
        self.values = tuple(values)
        self.clock = clock or Clock()
        self.n_left_out = 0
        self.roster = Roster()
        self._limits = buckets, keys, recent
        self._lock = threading.Lock()
        self._pending: list[LabelledRow] = []
        self._logs: dict[str, Log] = {}
        self._segments: dict[str, deque[Segment]] = {}
        self._n_segments: Counter[str] = Counter()
        # of rows without a key: how many segments have ended in a batch, and what makes them
        self._unmade: deque[tuple[int, Callable[[], list[Ended]]]] = deque()
        self._n = 0
        self._timed: bool | None = None
        self._dates = False
        # of keys for which there is no room, from the moment when somebody looks at them
        self._guests: OrderedDict[str, Log] = OrderedDict()
        # no key makes room for another one before this row
        self._full_until = 0

    @property
    def timed(self) -> bool | None:
        """Whether x is the time; None before the first row."""
        return self._timed

    @property
    def last_x(self) -> float:
        """The x of the last row that is kept; NaN before the first one."""
        with self._lock:
            self._add_pending()
            logs = self._logs.values()
            return max(logs, key=lambda log: log.last).last_x if logs else math.nan

    def add(self, row: Row, assignment: Assignment, changes: int = 0, name: str = "") -> None:
        """Add a labelled row.

        ``changes`` is the number of changes of regime reported at it. ``name`` is that of its
        regime, empty if it has none.
        """
        self.roster.add(row, assignment, changes, name)
        with self._lock:
            self._pending.append((row, assignment, changes, name))
            if len(self._pending) >= MOST_PENDING:
                self._add_pending()

    def add_batch(self, labelled: LabelledBatch) -> None:
        """Add labelled rows: many of one key all at once, others as by `add`."""
        if labelled.batch.keys is None and len(labelled) >= MANY:
            rows = Columns.of_batch(labelled)
            self.roster.add_many("", rows)
            with self._lock:
                self._add_pending()
                self._be_timed(rows.time_at(0), rows.seconds)
                self._add_to("", rows)
                self._n += len(labelled)
            return
        its_rows = labelled.rows(as_written=False)
        for its, name in zip(its_rows, labelled.name_of_each(), strict=True):
            self.add(*its, name)

    def add_ended(self, labelled: LabelledBatch) -> None:
        """Add the segments that have ended among labelled rows."""
        n = labelled.n_ended
        if n is None or labelled.batch.keys is not None:
            for ended in labelled.ended():
                self.add_segment(ended.key, ended.segment)
            return
        if not n:
            return
        with self._lock:
            self._n_segments[""] += n
            self._unmade.append((n, labelled.ended))
            left = sum(its for its, _ in self._unmade)
            while left - self._unmade[0][0] >= MOST_SEGMENTS:
                left -= self._unmade.popleft()[0]
            self._make_segments(MOST_UNMADE)

    def _make_segments(self, but: int = 0) -> None:
        """Make the segments of all batches but the last so many."""
        while len(self._unmade) > but:
            _, ended = self._unmade.popleft()
            kept = self._segments.setdefault("", deque(maxlen=MOST_SEGMENTS))
            kept.extend(its.segment for its in ended())

    def add_segment(self, key: str, segment: Segment) -> None:
        """Add a segment that has ended; it is dropped if there is no room for its key."""
        with self._lock:
            self._make_segments()
            if key not in self._logs:
                self._add_pending()
                if key not in self._logs and key not in self._guests:
                    return
            self._segments.setdefault(key, deque(maxlen=MOST_SEGMENTS)).append(segment)
            self._n_segments[key] += 1

    @property
    def n(self) -> int:
        """Rows that have come."""
        with self._lock:
            return self._n + len(self._pending)

    def heads(self) -> list[Head]:
        """Return the head of every key, the one with the last row first."""
        with self._lock:
            self._add_pending()
            logs = sorted(self._logs.items(), key=lambda item: -item[1].last)
            return [log.head(key) for key, log in logs]

    def snapshot(self, key: str, buckets: int | None = None) -> Snapshot:
        """Return what is known of a key, the whole series in at most this many buckets.

        Raises
        ------
        KeyError
            If no row of this key has come.
        """
        with self._lock:
            self._add_pending()
            log = self._logs[key] if key in self._logs else self._guests[key]
            if not log.n:
                raise KeyError(key)
            whole, scores = log.whole(buckets)
            return Snapshot(
                log.head(key),
                self.values,
                self.clock,
                bool(self._timed),
                self._dates,
                whole,
                log.recent_rows(),
                scores,
                log.rug.copy(),
                log.rug_labels.copy(),
            )

    def watch(self, key: str) -> bool:
        """Keep the rows of a key from now on; return whether they have been kept from the start.

        It is for somebody who looks at the key, and not in `state`.
        """
        with self._lock:
            self._add_pending()
            if key in self._logs:
                return True
            if key not in self._guests:
                self._guests[key] = Log(len(self.values), *self._log_limits)
                if len(self._guests) > MOST_GUESTS:
                    gone, _ = self._guests.popitem(last=False)
                    self._segments.pop(gone, None)
            self._guests.move_to_end(key)
            return False

    def segments(self, key: str) -> tuple[list[Segment], int]:
        """Return the last segments of a key that have ended, and how many there were."""
        with self._lock:
            self._make_segments()
            return list(self._segments.get(key, ())), self._n_segments[key]

    def state(self) -> dict[str, Any]:
        """Return the whole history as plain values."""
        with self._lock:
            self._add_pending()
            self._make_segments()
            return {
                "values": list(self.values),
                "limits": list(self._limits),
                "counts": [self._n, self.n_left_out, self._timed, self._dates],
                "logs": {key: log.state() for key, log in self._logs.items()},
                "segments": {
                    key: [self._n_segments[key], [_packed(segment) for segment in segments]]
                    for key, segments in self._segments.items()
                    if key in self._logs
                },
            }

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned.

        Raises
        ------
        ValueError
            If it is of other columns or has other limits.
        """
        given = list(self.values), list(self._limits)
        if (list(state["values"]), list(state["limits"])) != given:
            raise ValueError(
                f"the history is of {state['values']!r} with limits {state['limits']!r}, not "
                f"{given[0]!r} with {given[1]!r}"
            )
        with self._lock:
            self._pending.clear()
            self._n, self.n_left_out, self._timed, self._dates = state["counts"]
            self._logs = {key: Log(len(self.values), *self._log_limits) for key in state["logs"]}
            for key, log in self._logs.items():
                log.load(state["logs"][key])
                self.roster.put(Standing.of_head(log.head(key)))
            self._full_until = 0
            self._unmade.clear()
            self._segments.clear()
            self._n_segments.clear()
            for key, (n, segments) in state["segments"].items():
                self._n_segments[key] = n
                self._segments[key] = deque(map(_unpacked, segments), maxlen=MOST_SEGMENTS)

    @property
    def _log_limits(self) -> tuple[int, int]:
        return self._limits[0], self._limits[2]

    def _add_pending(self) -> None:
        """Hand the rows that wait to their keys."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        first = pending[0][0]
        self._be_timed(first.time, None if first.seconds is None else [first.seconds])
        by_key: dict[str, list[int]] = {}
        for i, (row, *_) in enumerate(pending):
            by_key.setdefault(row.key, []).append(i)
        if len(by_key) > 1:
            self._add_pending_by_key(pending, by_key)
        else:
            (key,) = by_key
            self._add_to(key, Columns.of_rows(pending))
        self._n += len(pending)

    def _be_timed(self, time: str, seconds: Sequence[float] | Floats | None) -> None:
        """See by the first row of all whether rows have times, and whether these are dates."""
        if self._timed is None:
            self._timed = seconds is not None
            self._dates = seconds is not None and is_date(time, float(seconds[0]))

    def _add_to(self, key: str, rows: Columns) -> None:
        """Hand rows to their key."""
        n = len(rows.values)
        if key in self._guests:
            self._guests[key].add(rows, self._n + n, bool(self._timed))
        if self._has_room(key, self._n):
            self._logs[key].add(rows, self._n + n, bool(self._timed))
        else:
            self.n_left_out += n

    def _add_pending_by_key(self, pending: list[LabelledRow], by_key: dict[str, list[int]]) -> None:
        # in the order of their first rows: which keys there is room for must not depend on how
        # many rows are taken in together
        for key, places in by_key.items():
            if key in self._guests:
                its = [pending[p] for p in places]
                self._guests[key].add(
                    Columns.of_rows(its), self._n + places[-1] + 1, bool(self._timed)
                )
            for i, place in enumerate(places):
                if self._has_room(key, self._n + place):
                    its = [pending[p] for p in places[i:]]
                    self._logs[key].add(
                        Columns.of_rows(its), self._n + places[-1] + 1, bool(self._timed)
                    )
                    break
                self.n_left_out += 1

    def _has_room(self, key: str, n: int) -> bool:
        """Whether the key is kept from the row of this number on."""
        if key in self._logs:
            return True
        if len(self._logs) >= self._limits[1]:
            if n < self._full_until:
                return False
            idle = min(self._logs, key=lambda name: self._logs[name].last)
            self._full_until = self._logs[idle].last + PATIENCE
            if n < self._full_until:
                return False
            self._guests.pop(key, None)
            del self._logs[idle]
            self._segments.pop(idle, None)
            del self._n_segments[idle]
        self._logs[key] = Log(len(self.values), *self._log_limits)
        return True


def _packed(segment: Segment) -> list[Any]:
    """A segment as plain values; its times are a number of a row and a text."""
    return [
        *(list(segment.start), list(segment.end), segment.label, segment.n, segment.probability),
        *([str(name) for name in segment.mean], list(segment.mean.values())),
        list(segment.sd.values()),
    ]


def _unpacked(cells: Sequence[Any]) -> Segment:
    start, end, label, n, probability, names, mean, sd = cells
    return Segment(
        tuple(start),
        tuple(end),
        label,
        n,
        probability,
        dict(zip(names, mean, strict=True)),
        dict(zip(names, sd, strict=True)),
    )
