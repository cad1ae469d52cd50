"""What a page draws of a labelled series: all of it decimated, the last rows as they are."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.rows import Row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PENDING = 8192
"""Rows that are taken in together: one by one they would cost ten times as much."""
MOST_RUNS = 2000
"""Runs of a label that are kept as they are; with more, the majority of each bucket is."""
MOST_STRETCHES = 256
"""Stretches of rows of which the mean log-density is told."""
MOST_SAMPLED = 1000
"""Rows of a key in the sample of its values."""
MOST_SEGMENTS = 10_000
"""Segments of a key that are kept, the last ones."""
PATIENCE = 100_000
"""Rows of other keys after which a key makes room for a new one."""


@dataclass(frozen=True)
class Bands:
    """Stretches of one label, one after the other.

    Parameters
    ----------
    labels, starts, ends
        Of each, on the x axis.
    by_majority
        Rows over which each label is that of most; 1 if it is that of every row.
    """

    labels: Ints
    starts: Floats
    ends: Floats
    by_majority: int = 1


@dataclass(frozen=True)
class Trace:
    """A series to draw.

    Parameters
    ----------
    x, y, labels
        For each column its points, in order; the labels are those of their rows.
    bands
        The regimes.
    rows
        Rows of which each two points are the least and the greatest value; 1 if all are there.
    """

    x: tuple[Floats, ...]
    y: tuple[Floats, ...]
    labels: tuple[Ints, ...]
    bands: Bands
    rows: int


@dataclass(frozen=True)
class Scores:
    """Log-densities of rows given those before them, in nats.

    Parameters
    ----------
    rows, so_far
        Numbers of rows, from 1, and the mean over all rows up to each; NaN if none is known.
    ends, means
        Last rows of longer stretches, and the mean over each stretch.
    """

    rows: Ints
    so_far: Floats
    ends: Ints
    means: Floats


@dataclass(frozen=True)
class Head:
    """How a key stands.

    Parameters
    ----------
    key
        Its name.
    n, n_outliers, n_missing, n_changes
        Rows, those beyond every component, missing values, and changes of regime reported.
    label, probability
        Of the last row.
    since, since_time, stay
        The row (from 1) from which on all rows have had this label, its time as written, and how
        many these rows are.
    first_time, last_time
        Times of the first and last row, as written.
    counts
        Rows of each label.
    names
        The names of labels, of those that have one.
    """

    key: str
    n: int
    n_outliers: int
    n_missing: int
    n_changes: int
    label: int
    probability: float
    since: int
    since_time: str
    stay: int
    first_time: str
    last_time: str
    counts: dict[int, int]
    names: dict[int, str]


@dataclass(frozen=True)
class Snapshot:
    """All that is known of a key, apart from what comes later.

    Parameters
    ----------
    head
        How it stands.
    columns
        Names of the columns of values.
    timed, dates
        Whether x is the time in seconds, rather than the number of the row; and since 1970.
    whole, recent
        The whole series, decimated, and the last rows.
    scores
        How well the rows were foretold.
    sample, sample_labels
        Values of rows at even distances, shape (n, D), and their labels.
    """

    head: Head
    columns: tuple[str, ...]
    timed: bool
    dates: bool
    whole: Trace
    recent: Trace
    scores: Scores
    sample: Floats
    sample_labels: Ints


_Labelled = tuple[Row, Assignment, int, str]
"""A row, what is known of it, how many changes are reported at it, and its regime's name."""


class History:
    """The labelled rows of every key, in memory that does not grow with their number.

    Of a whole series the least and the greatest value of each bucket of 2^m rows are kept, m the
    least with which there are no more than ``buckets``. Labels are kept as runs as long as there
    are at most MOST_RUNS, and then as the majority of each bucket. Cost per row: O(D), of which
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

    Attributes
    ----------
    n_left_out
        Rows of keys for which there was no room.

    Notes
    -----
    One thread may add while others take snapshots.
    """

    def __init__(
        self, values: Sequence[str], buckets: int = 2000, keys: int = 50, recent: int = 400
    ) -> None:
        self.values = tuple(values)
        self.n_left_out = 0
        self._limits = buckets, keys, recent
        self._lock = threading.Lock()
        self._pending: list[_Labelled] = []
        self._logs: dict[str, _Log] = {}
        self._segments: dict[str, deque[Segment]] = {}
        self._n_segments: Counter[str] = Counter()
        self._n = 0
        self._timed: bool | None = None
        self._dates = False

    def add(self, row: Row, assignment: Assignment, changes: int = 0, name: str = "") -> None:
        """Take a labelled row.

        ``changes`` tells how many changes of regime are reported at it, and ``name`` is that of its
        regime, empty if it has none.
        """
        with self._lock:
            self._pending.append((row, assignment, changes, name))
            if len(self._pending) >= MOST_PENDING:
                self._take_in()

    def add_segment(self, key: str, segment: Segment) -> None:
        """Take a segment that has ended; of keys for which there is no room none is kept."""
        with self._lock:
            if key not in self._logs:
                self._take_in()
                if key not in self._logs:
                    return
            self._segments.setdefault(key, deque(maxlen=MOST_SEGMENTS)).append(segment)
            self._n_segments[key] += 1

    @property
    def n(self) -> int:
        """Rows that have come."""
        with self._lock:
            return self._n + len(self._pending)

    def heads(self) -> list[Head]:
        """How every key stands, the one with the last row first."""
        with self._lock:
            self._take_in()
            logs = sorted(self._logs.items(), key=lambda item: -item[1].last)
            return [log.head(key) for key, log in logs]

    def snapshot(self, key: str, buckets: int | None = None) -> Snapshot:
        """What there is of a key, the whole series in no more than this many buckets.

        Raises
        ------
        KeyError
            If there is nothing.
        """
        with self._lock:
            self._take_in()
            log = self._logs[key]
            whole, scores = log.whole(buckets)
            return Snapshot(
                log.head(key),
                self.values,
                bool(self._timed),
                self._dates,
                whole,
                log.recent_rows(),
                scores,
                log.rug.copy(),
                log.rug_labels.copy(),
            )

    def segments(self, key: str) -> tuple[list[Segment], int]:
        """The last segments of a key that have ended, and how many there were."""
        with self._lock:
            return list(self._segments.get(key, ())), self._n_segments[key]

    def state(self) -> dict[str, Any]:
        """All of it, as plain values."""
        with self._lock:
            self._take_in()
            return {
                "values": list(self.values),
                "limits": list(self._limits),
                "counts": [self._n, self.n_left_out, self._timed, self._dates],
                "logs": {key: log.state() for key, log in self._logs.items()},
                "segments": {
                    key: [self._n_segments[key], [_packed(segment) for segment in segments]]
                    for key, segments in self._segments.items()
                },
            }

    def load(self, state: dict[str, Any]) -> None:
        """Be what `state` was made of.

        Raises
        ------
        ValueError
            If it was made of other columns or with other limits.
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
            self._logs = {key: _Log(len(self.values), *self._log_limits) for key in state["logs"]}
            for key, log in self._logs.items():
                log.load(state["logs"][key])
            self._segments.clear()
            self._n_segments.clear()
            for key, (n, segments) in state["segments"].items():
                self._n_segments[key] = n
                self._segments[key] = deque(map(_unpacked, segments), maxlen=MOST_SEGMENTS)

    @property
    def _log_limits(self) -> tuple[int, int]:
        return self._limits[0], self._limits[2]

    def _take_in(self) -> None:
        """Hand the rows that wait to their keys."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        if self._timed is None:
            first = pending[0][0]
            self._timed = first.seconds is not None
            self._dates = self._timed and not _is_number(first.time)
        by_key: dict[str, list[int]] = {}
        for i, (row, *_) in enumerate(pending):
            by_key.setdefault(row.key, []).append(i)
        if len(by_key) > 1:
            self._take_in_keys(pending, by_key)
        else:
            (key,) = by_key
            if self._has_room(key, self._n):
                self._logs[key].take(pending, self._n + len(pending), self._timed)
            else:
                self.n_left_out += len(pending)
        self._n += len(pending)

    def _take_in_keys(self, pending: list[_Labelled], by_key: dict[str, list[int]]) -> None:
        # in the order of their first rows: which keys there is room for must not depend on how
        # many rows are taken in together
        for key, places in by_key.items():
            for i, place in enumerate(places):
                if self._has_room(key, self._n + place):
                    its = [pending[p] for p in places[i:]]
                    self._logs[key].take(its, self._n + places[-1] + 1, bool(self._timed))
                    break
                self.n_left_out += 1

    def _has_room(self, key: str, n: int) -> bool:
        """Whether the key is kept from the row of this number on."""
        if key in self._logs:
            return True
        if len(self._logs) >= self._limits[1]:
            idle = min(self._logs, key=lambda name: self._logs[name].last)
            if n - self._logs[idle].last < PATIENCE:
                return False
            del self._logs[idle]
            self._segments.pop(idle, None)
            del self._n_segments[idle]
        self._logs[key] = _Log(len(self.values), *self._log_limits)
        return True


COUNTS = (
    *("n", "n_outliers", "n_missing", "n_changes", "label", "probability", "since"),
    *("since_time", "first_time", "last_time", "last", "last_x", "every"),
)
ARRAYS = ("recent_x", "recent_y", "recent_labels", "rug", "rug_labels")


class _Log:
    """The rows of one key: in a table, single ones at first, and in buckets when it is full."""

    def __init__(self, n_columns: int, buckets: int, recent: int) -> None:
        self.buckets = buckets
        self.recent = recent
        self.n = self.n_outliers = self.n_missing = self.n_changes = 0
        self.label = 0
        self.probability = math.nan
        self.since = 0
        self.since_time = self.first_time = self.last_time = ""
        self.last = 0
        self.last_x = math.nan
        self.every = 1
        self.counts: Counter[int] = Counter()
        self.names: dict[int, str] = {}
        # label and place of the first row of each; None when they have become too many
        self.runs: list[tuple[int, float]] | None = []
        self.table = _Table.of_rows(
            np.empty(0), np.empty((0, n_columns)), np.empty(0, np.int64), np.empty(0)
        )
        self.recent_x: Floats = np.empty(0)
        self.recent_y: Floats = np.empty((0, n_columns))
        self.recent_labels: Ints = np.empty(0, dtype=np.int64)
        self.rug: Floats = np.empty((0, n_columns))
        self.rug_labels: Ints = np.empty(0, dtype=np.int64)

    # -- rows -----------------------------------------------------------------------------------

    def take(self, rows: list[_Labelled], last: int, timed: bool) -> None:
        """Take rows, the last of which has this number among those of all keys."""
        n = len(rows)
        y = np.array([tuple(row.values.values()) for row, *_ in rows], dtype=np.float64)
        labels = np.array([assignment.label for _, assignment, *_ in rows], dtype=np.int64)
        scores = np.array([assignment.log_density for _, assignment, *_ in rows], dtype=np.float64)
        if timed:
            x = np.array([row.seconds for row, *_ in rows], dtype=np.float64)
        else:
            x = np.arange(self.n + 1, self.n + n + 1, dtype=np.float64)
        self._count(rows, labels, x)
        self.n_missing += int(np.isnan(y).sum())
        self._sample(y, labels)
        done = 0
        while done < n:
            room = slice(done, done + 2 * self.buckets - len(self.table.sizes))
            added = _Table.of_rows(x[room], y[room], labels[room], scores[room])
            self.table = _joined([self.table, added])
            self.n += len(added.sizes)
            done += len(added.sizes)
            if len(self.table.sizes) == 2 * self.buckets:
                self.table = self.table.coarser(_size(self.n, self.buckets))
        self.recent_x = np.concatenate((self.recent_x, x))[-self.recent :]
        self.recent_y = np.concatenate((self.recent_y, y))[-self.recent :]
        self.recent_labels = np.concatenate((self.recent_labels, labels))[-self.recent :]
        self.last = last
        self.last_x = float(x[-1])

    def _count(self, rows: list[_Labelled], labels: Ints, x: Floats) -> None:
        """What is counted, and the runs of labels."""
        self.n_outliers += sum(assignment.outlier for _, assignment, *_ in rows)
        self.n_changes += sum(changes for _, _, changes, _ in rows)
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            self.counts[int(label)] += int(count)
        if not self.n:
            self.first_time = rows[0][0].time
        before = labels[0] - 1 if not self.n else self.label
        begins = np.flatnonzero(np.diff(labels, prepend=before))
        if len(begins):
            newest = int(begins[-1])
            self.since, self.since_time = self.n + newest + 1, rows[newest][0].time
        if self.runs is not None:
            self.runs += [(int(labels[i]), float(x[i])) for i in begins[: MOST_RUNS + 1]]
            if len(self.runs) > MOST_RUNS:
                self.runs = None
        for label, name in {assignment.label: name for _, assignment, _, name in rows}.items():
            self.names.pop(label, None)
            if name:
                self.names[label] = name
        final = rows[-1]
        self.label, self.probability = int(labels[-1]), float(final[1].probability)
        self.last_time = final[0].time

    def _sample(self, y: Floats, labels: Ints) -> None:
        """Keep every so manieth row, and when they are too many every other one of these."""
        done = 0
        while True:
            first = done + -(self.n + done) % self.every
            room = MOST_SAMPLED - len(self.rug)
            its = slice(first, first + room * self.every, self.every)
            self.rug = np.concatenate((self.rug, y[its]))
            self.rug_labels = np.concatenate((self.rug_labels, labels[its]))
            done = first + room * self.every
            if done >= len(y) or len(self.rug) < MOST_SAMPLED:
                return
            self.rug, self.rug_labels = self.rug[::2], self.rug_labels[::2]
            self.every *= 2

    # -- answers --------------------------------------------------------------------------------

    def head(self, key: str) -> Head:
        return Head(
            key,
            self.n,
            self.n_outliers,
            self.n_missing,
            self.n_changes,
            self.label,
            self.probability,
            self.since,
            self.since_time,
            self.n - self.since + 1,
            self.first_time,
            self.last_time,
            dict(self.counts),
            dict(self.names),
        )

    def whole(self, buckets: int | None) -> tuple[Trace, Scores]:
        size = _size(self.n, min(buckets or self.buckets, self.buckets))
        table = self.table.coarser(size)
        if size == 1:
            x, y, labels = table.places[0], table.extremes[0], table.point_labels[0]
        else:
            order = np.argsort(table.places, axis=0, kind="stable")
            x, y, labels = (
                np.take_along_axis(kept, order, axis=0).swapaxes(0, 1).reshape(-1, kept.shape[2])
                for kept in (table.places, table.extremes, table.point_labels)
            )
        y = np.where(np.isfinite(y), y, np.nan)
        trace = Trace(tuple(x.T), tuple(y.T), tuple(labels.T), self._bands(table, size), size)
        return trace, _scores(table, max(size, _size(self.n, MOST_STRETCHES)))

    def _bands(self, table: _Table, size: int) -> Bands:
        if self.runs is not None:
            labels = np.array([label for label, _ in self.runs], dtype=np.int64)
            starts = np.array([x for _, x in self.runs])
            return Bands(labels, starts, np.append(starts[1:], self.last_x))
        # as few bands as there may be runs
        size = max(size, _size(self.n, MOST_RUNS))
        table = table.coarser(size)
        return _runs(table.majority[:, 0], table.firsts, self.last_x, size)

    def recent_rows(self) -> Trace:
        columns = self.recent_y.shape[1]
        bands = _runs(self.recent_labels, self.recent_x, self.last_x, 1)
        y = tuple(self.recent_y[:, j].copy() for j in range(columns))
        return Trace((self.recent_x,) * columns, y, (self.recent_labels,) * columns, bands, 1)

    # -- state ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "counts": [getattr(self, name) for name in COUNTS],
            "labels": list(map(list, sorted(self.counts.items()))),
            "names": list(map(list, sorted(self.names.items()))),
            "runs": None if self.runs is None else [list(run) for run in self.runs],
            "arrays": [_array_state(getattr(self, name)) for name in ARRAYS],
            "table": [_array_state(array) for array in self.table],
        }

    def load(self, state: dict[str, Any]) -> None:
        for name, value in zip(COUNTS, state["counts"], strict=True):
            setattr(self, name, value)
        self.counts = Counter(dict(state["labels"]))
        self.names = dict(state["names"])
        runs = state["runs"]
        self.runs = None if runs is None else [(label, x) for label, x in runs]
        for name, array in zip(ARRAYS, state["arrays"], strict=True):
            setattr(self, name, _array(array))
        self.table = _Table(*map(_array, state["table"]))


class _Table(NamedTuple):
    """Rows in cells of one or more, in order.

    Parameters
    ----------
    sizes, firsts
        Rows of each cell, and the place of its first one on the x axis.
    extremes, places, point_labels
        The least and the greatest value, shape (2, cells, D); where they are, and the labels of
        their rows. Without any value they are infinite.
    majority
        The commonest label, the least if there are several, and how often it came.
    scores
        Sum of the log-densities, and how many there are.
    """

    sizes: Ints
    firsts: Floats
    extremes: Floats
    places: Floats
    point_labels: Ints
    majority: Ints
    scores: Floats

    @classmethod
    def of_rows(cls, x: Floats, y: Floats, labels: Ints, scores: Floats) -> _Table:
        ones = np.ones(len(x), dtype=np.int64)
        known = np.isfinite(scores)
        return cls(
            ones,
            x,
            np.stack([np.where(np.isnan(y), infinite, y) for infinite in (np.inf, -np.inf)]),
            np.broadcast_to(x[:, None], (2, *y.shape)),
            np.broadcast_to(labels[:, None], (2, *y.shape)),
            np.stack((labels, ones), axis=1),
            np.stack((np.where(known, scores, 0.0), known), axis=1),
        )

    def coarser(self, size: int) -> _Table:
        """With cells of so many rows, no fewer than now, but perhaps the last; O(cells D)."""
        if size == 1 or not len(self.sizes):
            return self
        groups = (np.cumsum(self.sizes) - self.sizes) // size
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        both = np.stack((_least(self.extremes[0], starts), _least(-self.extremes[1], starts)))
        kinds, codes = np.unique(self.majority[:, 0], return_inverse=True)
        counts = np.zeros((len(starts), len(kinds)), dtype=np.int64)
        np.add.at(counts, (groups - groups[0], codes), self.majority[:, 1])
        return _Table(
            np.add.reduceat(self.sizes, starts),
            self.firsts[starts],
            np.take_along_axis(self.extremes, both, axis=1),
            np.take_along_axis(self.places, both, axis=1),
            np.take_along_axis(self.point_labels, both, axis=1),
            np.stack((kinds[counts.argmax(axis=1)], counts.max(axis=1)), axis=1),
            np.add.reduceat(self.scores, starts),
        )


AXES = (0, 0, 1, 1, 1, 0, 0)
"""Along which the cells are, for each array of a table."""


def _joined(tables: Sequence[_Table]) -> _Table:
    return _Table(*map(np.concatenate, zip(*tables, strict=True), AXES))


def _size(n: int, most: int) -> int:
    """The least power of two of which so many make up n."""
    return 1 << max((-(-n // most) - 1).bit_length(), 0)


def _scores(table: _Table, stretch: int) -> Scores:
    stretches = table.coarser(stretch)
    sums, counts = np.cumsum(table.scores, axis=0).T
    with np.errstate(invalid="ignore"):
        means = stretches.scores[:, 0] / stretches.scores[:, 1]
        return Scores(np.cumsum(table.sizes), sums / counts, np.cumsum(stretches.sizes), means)


def _least(y: Floats, starts: Ints) -> Ints:
    """Where the first least value of each stretch is, by column."""
    least = np.minimum.reduceat(y, starts, axis=0)
    lengths = np.diff(starts, append=len(y))
    rows = np.arange(len(y))[:, None]
    # those that are not the least are out of the question
    where = np.where(y == np.repeat(least, lengths, axis=0), rows, len(y))
    found: Ints = np.minimum.reduceat(where, starts, axis=0)
    return found


def _runs(labels: Ints, x: Floats, last_x: float, by_majority: int) -> Bands:
    """Stretches of the same label."""
    begins = np.append(0, np.flatnonzero(np.diff(labels)) + 1)
    starts = x[begins]
    return Bands(labels[begins], starts, np.append(starts[1:], last_x), by_majority)


def _array_state(array: NDArray[Any]) -> list[Any]:
    dtype = array.dtype.newbyteorder("<")
    return [dtype.str, list(array.shape), array.astype(dtype).tobytes()]


def _array(state: list[Any]) -> NDArray[Any]:
    dtype, shape, data = state
    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
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
