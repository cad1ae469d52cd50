"""The labelled rows of one key, in memory that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import Assignment, Assignments
from replay.engine.batch import LabelledBatch
from replay.engine.rows import Row
from replay.views.decimation import (
    Bands,
    Buckets,
    Floats,
    Ints,
    Scores,
    Trace,
    counts_of,
    joined,
    runs_of,
    scores_of,
    size_of_buckets,
)

MOST_RUNS = 2000
"""Runs of a label that are kept as they are; with more, the majority of each bucket is."""
MOST_STRETCHES = 256
"""Stretches of rows, each with its mean log-density."""
MOST_WAITING = 1024
"""Rows that are kept until there are enough for a bucket; larger buckets are made of parts."""
MOST_SAMPLED = 1000
"""Rows of a key in the sample of its values."""


@dataclass(frozen=True)
class Head:
    """The counts of a key, and its last row.

    Parameters
    ----------
    key
        Its name.
    n, n_outliers, n_missing, n_changes
        Rows, those beyond every component, missing values (None if they were not counted), and
        changes of regime reported.
    label, probability
        Of the last row.
    since, since_time
        The row (from 1) from which on all rows have had this label, and its time as written.
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
    n_missing: int | None
    n_changes: int
    label: int
    probability: float
    since: int
    since_time: str
    first_time: str
    last_time: str
    counts: dict[int, int]
    names: dict[int, str]


LabelledRow = tuple[Row, Assignment, int, str]
"""A row, what is known of it, how many changes are reported at it, and its regime's name."""


class Columns(NamedTuple):
    """Labelled rows of one key, by columns.

    Parameters
    ----------
    seconds
        Their times, shape (n,); None if times are not read.
    values
        Shape (n, D).
    answers
        What the model said of each.
    changes
        How many changes are reported at each, shape (n,).
    names
        The name of each one's regime, empty where it has none; None if none has one.
    time_at
        Gives the time of a row as written, by its number from 0.
    """

    seconds: Floats | None
    values: Floats
    answers: Assignments
    changes: Ints
    names: list[str] | None
    time_at: Callable[[int], str]

    @classmethod
    def of_rows(cls, rows: Sequence[LabelledRow]) -> Columns:
        """Rows that came one by one."""
        first = rows[0][0].seconds
        answers = Assignments.unknown(len(rows))
        for column, its in zip(
            answers, zip(*(its for _, its, *_ in rows), strict=True), strict=True
        ):
            column[:] = its
        return cls(
            None if first is None else np.array([row.seconds for row, *_ in rows], dtype=float),
            np.array([tuple(row.values.values()) for row, *_ in rows], dtype=np.float64),
            answers,
            np.array([changes for _, _, changes, _ in rows], dtype=np.int64),
            [name for *_, name in rows],
            lambda i: rows[i][0].time,
        )

    @classmethod
    def of_batch(cls, labelled: LabelledBatch) -> Columns:
        """Rows of a batch, all of one key."""
        batch = labelled.batch
        return cls(
            batch.seconds,
            batch.values,
            labelled.answers,
            labelled.changes,
            labelled.names,
            batch.texts.time_at,
        )


COUNTS = (
    *("n", "n_outliers", "n_missing", "n_changes", "label", "probability", "since"),
    *("since_time", "first_time", "last_time", "last", "last_x", "every"),
)
ARRAYS = ("recent_x", "recent_y", "recent_labels", "rug", "rug_labels")


class Log:
    """The rows of one key: one in each bucket at first, and twice as many when there are too many.

    A bucket is made when its last row has come, so that what it has does not depend on which rows
    were added together.
    """

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
        # rows that wait for those that will be with them: their x, values, labels and scores
        self._waiting = np.empty(0), np.empty((0, n_columns)), np.empty(0, np.int64), np.empty(0)
        # all of them of as many rows, and the parts of the next one
        self._full = self._parts = Buckets.of_rows(*self._waiting)
        self.recent_x: Floats = np.empty(0)
        self.recent_y: Floats = np.empty((0, n_columns))
        self.recent_labels: Ints = np.empty(0, dtype=np.int64)
        self.rug: Floats = np.empty((0, n_columns))
        self.rug_labels: Ints = np.empty(0, dtype=np.int64)

    # -- rows -----------------------------------------------------------------------------------

    def add(self, rows: Columns, last: int, timed: bool) -> None:
        """Add rows; the last has this number among the rows of all keys."""
        y, n = rows.values, len(rows.values)
        labels, _, scores, _ = rows.answers
        if timed and rows.seconds is not None:
            x = rows.seconds
        else:
            x = np.arange(self.n + 1, self.n + n + 1, dtype=np.float64)
        self._count(rows, x)
        self.n_missing += int(np.isnan(y).sum())
        self._sample(y, labels)
        self.n += n
        self._put(x, y, labels, scores)
        self.recent_x = np.concatenate((self.recent_x, x))[-self.recent :]
        self.recent_y = np.concatenate((self.recent_y, y))[-self.recent :]
        self.recent_labels = np.concatenate((self.recent_labels, labels))[-self.recent :]
        self.last = last
        self.last_x = float(x[-1])

    @property
    def _size(self) -> int:
        """Rows of each bucket."""
        return int(self._full.sizes[0]) if len(self._full.sizes) else 1

    @property
    def table(self) -> Buckets:
        """All buckets, and the rows that are in none."""
        return joined([self._full, self._parts, Buckets.of_rows(*self._waiting)])

    def _put(self, *rows: NDArray[Any]) -> None:
        """Make buckets of rows and those that wait. Others wait that are too few for one."""
        x, y, labels, scores = map(np.concatenate, zip(self._waiting, rows, strict=True))
        done, n = 0, len(x)
        while n - done >= (part := min(self._size, MOST_WAITING)):
            of_bucket = self._size // part
            room = of_bucket * (2 * self.buckets - len(self._full.sizes)) - len(self._parts.sizes)
            its = slice(done, done + part * min((n - done) // part, room))
            added = Buckets.of_groups(x[its], y[its], labels[its], scores[its], part)
            parts = joined([self._parts, added])
            whole, self._parts = parts.split(len(parts.sizes) // of_bucket * of_bucket)
            self._full = joined([self._full, whole.coarser(self._size)])
            if len(self._full.sizes) == 2 * self.buckets:
                self._full = self._full.coarser(2 * self._size)
            done = its.stop
        self._waiting = x[done:].copy(), y[done:].copy(), labels[done:].copy(), scores[done:].copy()

    def _be(self, table: Buckets) -> None:
        """Take over what `table` was."""
        size = int(table.sizes[0]) if len(table.sizes) else 1
        self._full, rest = table.split(int(np.count_nonzero(table.sizes == size)))
        self._parts, rows = rest.split(int(np.count_nonzero(rest.sizes > 1)))
        y, known = rows.extremes[0], rows.scores[:, 1] > 0
        self._waiting = (
            rows.firsts,
            np.where(np.isfinite(y), y, np.nan),
            rows.majority[:, 0].copy(),
            np.where(known, rows.scores[:, 0], np.nan),
        )

    def _count(self, rows: Columns, x: Floats) -> None:
        """Update the counts and the runs of labels."""
        labels = rows.answers.labels
        self.n_outliers += int(rows.answers.outliers.sum())
        self.n_changes += int(rows.changes.sum())
        counts = counts_of(labels)
        self.counts.update(counts)
        if not self.n:
            self.first_time = rows.time_at(0)
        before = labels[0] - 1 if not self.n else self.label
        begins = np.flatnonzero(np.diff(labels, prepend=before))
        if len(begins):
            newest = int(begins[-1])
            self.since, self.since_time = self.n + newest + 1, rows.time_at(newest)
        if self.runs is not None:
            self.runs += [(int(labels[i]), float(x[i])) for i in begins[: MOST_RUNS + 1]]
            if len(self.runs) > MOST_RUNS:
                self.runs = None
        its_names = dict.fromkeys(counts, "")
        if rows.names is not None:
            its_names = dict(zip(labels.tolist(), rows.names, strict=True))
        for label, name in its_names.items():
            self.names.pop(label, None)
            if name:
                self.names[label] = name
        self.label = int(labels[-1])
        self.probability = float(rows.answers.probabilities[-1])
        self.last_time = rows.time_at(len(labels) - 1)

    def _sample(self, y: Floats, labels: Ints) -> None:
        """Keep rows at even distances. When they are too many, every other one goes."""
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
            self.first_time,
            self.last_time,
            dict(self.counts),
            dict(self.names),
        )

    def whole(self, buckets: int | None) -> tuple[Trace, Scores]:
        size = size_of_buckets(self.n, min(buckets or self.buckets, self.buckets))
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
        return trace, scores_of(table, max(size, size_of_buckets(self.n, MOST_STRETCHES)))

    def _bands(self, table: Buckets, size: int) -> Bands:
        if self.runs is not None:
            labels = np.array([label for label, _ in self.runs], dtype=np.int64)
            starts = np.array([x for _, x in self.runs])
            return Bands(labels, starts, np.append(starts[1:], self.last_x))
        # as few bands as there may be runs
        size = max(size, size_of_buckets(self.n, MOST_RUNS))
        table = table.coarser(size)
        return runs_of(table.majority[:, 0], table.firsts, self.last_x, size)

    def recent_rows(self) -> Trace:
        columns = self.recent_y.shape[1]
        bands = runs_of(self.recent_labels, self.recent_x, self.last_x, 1)
        y = tuple(self.recent_y[:, j].copy() for j in range(columns))
        return Trace((self.recent_x,) * columns, y, (self.recent_labels,) * columns, bands, 1)

    # -- state ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "counts": [getattr(self, name) for name in COUNTS],
            "labels": list(map(list, sorted(self.counts.items()))),
            "names": list(map(list, sorted(self.names.items()))),
            "runs": None if self.runs is None else [list(run) for run in self.runs],
            "arrays": [_packed_array(getattr(self, name)) for name in ARRAYS],
            "table": [_packed_array(array) for array in self.table],
        }

    def load(self, state: dict[str, Any]) -> None:
        for name, value in zip(COUNTS, state["counts"], strict=True):
            setattr(self, name, value)
        self.counts = Counter(dict(state["labels"]))
        self.names = dict(state["names"])
        runs = state["runs"]
        self.runs = None if runs is None else [(label, x) for label, x in runs]
        for name, array in zip(ARRAYS, state["arrays"], strict=True):
            setattr(self, name, _unpacked_array(array))
        self._be(Buckets(*map(_unpacked_array, state["table"])))


def _packed_array(array: NDArray[Any]) -> list[Any]:
    dtype = array.dtype.newbyteorder("<")
    return [dtype.str, list(array.shape), array.astype(dtype).tobytes()]


def _unpacked_array(state: list[Any]) -> NDArray[Any]:
    dtype, shape, data = state
    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="))
