"""What a labelled series amounts to: rows, regimes and segments, counted as they pass."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import ComponentEvent
from online_gmm.learners.base import Learner
from replay.engine.batch import Batch

COUNT_BY_ARRAYS = 256
"""Rows from which on arrays count them in less time than a loop: sooner where no label changes."""
SORTED = 512
"""Segments from which on sorting them by their lengths takes less time than a loop."""
LONGEST = 2**40
"""No segment is as long as this."""


class Summary:
    """Counts over labelled rows; memory grows with the labels and different segment lengths only.

    A segment is a stretch of rows with the same label. Labels may be any numbers; where several are
    asked about, their segments are counted together.

    Attributes
    ----------
    n_rows, n_outliers, n_missing
        Rows, rows flagged as outliers, and values missing.
    lengths
        For each label that came, how many segments there are of each length; `close` completes the
        last one.
    """

    def __init__(self) -> None:
        self.n_rows = 0
        self.n_outliers = 0
        self.n_missing = 0
        self.lengths: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._label = 0
        self._length = 0

    def add(
        self,
        values: NDArray[np.float64],
        labels: NDArray[np.int64],
        outliers: NDArray[np.bool_],
    ) -> None:
        """Take in rows."""
        n = len(labels)
        self.n_rows += n
        self.n_outliers += int(np.count_nonzero(outliers))
        self.n_missing += int(np.count_nonzero(np.isnan(values)))
        if n < COUNT_BY_ARRAYS:
            for label in labels.tolist():
                if label != self._label:
                    self.close()
                    self._label = label
                self._length += 1
            return
        starts = np.concatenate([[0], np.flatnonzero(labels[1:] != labels[:-1]) + 1])
        lengths = np.diff(np.concatenate([starts, [n]]))
        if labels[0] != self._label:
            self.close()
            self._label = int(labels[0])
        if len(starts) == 1:
            self._length += n
            return
        lengths[0] += self._length
        if len(starts) < SORTED:
            ended = zip(labels[starts[:-1]].tolist(), lengths[:-1].tolist(), strict=True)
            for (label, length), count in Counter(ended).items():
                self.lengths[label][length] += count
            self._label, self._length = int(labels[-1]), int(lengths[-1])
            return
        # label and length in one number: pairs of two sort slowly
        codes = labels[starts[:-1]] * LONGEST + lengths[:-1]
        found, first, counts = np.unique(codes, return_index=True, return_counts=True)
        # in the order in which they have come first, as one by one
        for i in np.argsort(first).tolist():
            label, length = divmod(int(found[i]), LONGEST)
            self.lengths[label][length] += int(counts[i])
        self._label, self._length = int(labels[-1]), int(lengths[-1])

    def include(self, other: Summary) -> None:
        """Count the rows of another series too, with its segments."""
        self.n_rows += other.n_rows
        self.n_outliers += other.n_outliers
        self.n_missing += other.n_missing
        for label, lengths in other.lengths.items():
            self.lengths[label].update(lengths)

    def close(self) -> None:
        """End the segment under way."""
        if self._length:
            self.lengths[self._label][self._length] += 1
        self._length = 0

    @property
    def label(self) -> int | None:
        """The label of the last row; None before the first row, and after `close`."""
        return self._label if self._length else None

    def state(self) -> dict[str, Any]:
        """Return the counts as plain values, for `load`."""
        return {
            "counts": [self.n_rows, self.n_outliers, self.n_missing, self._label, self._length],
            "lengths": {label: dict(lengths) for label, lengths in self.lengths.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` has returned."""
        (
            self.n_rows,
            self.n_outliers,
            self.n_missing,
            self._label,
            self._length,
        ) = state["counts"]
        for label, lengths in state["lengths"].items():
            self.lengths[label] = Counter(lengths)

    def n_labelled(self, *labels: int) -> int:
        return sum(length * count for length, count in self._lengths(labels).items())

    def n_segments(self, *labels: int) -> int:
        return self._lengths(labels).total()

    def longest(self, *labels: int) -> int:
        return max(self._lengths(labels), default=0)

    def median_length(self, *labels: int) -> float:
        """The median length of the segments of labels; NaN if there are none."""
        lengths = self._lengths(labels)
        n = lengths.total()
        if not n:
            return math.nan
        # the one in the middle, or the two around it
        return (_ranked(lengths, (n - 1) // 2) + _ranked(lengths, n // 2)) / 2

    def _lengths(self, labels: tuple[int, ...]) -> Counter[int]:
        found = [self.lengths[n] for n in labels if n in self.lengths]
        return found[0] if len(found) == 1 else sum(found, Counter[int]())


def _ranked(lengths: Counter[int], rank: int) -> int:
    passed = 0
    for length in sorted(lengths):
        passed += lengths[length]
        if passed > rank:
            return length
    raise IndexError(rank)


class Happening(NamedTuple):
    """An event, and the row that was learnt when it happened: its number from 1, and its time."""

    row: int
    time: str
    event: ComponentEvent


class Chronicle:
    """At which rows a learner's components came and went."""

    def __init__(self, model: Learner) -> None:
        self.happenings: list[Happening] = []
        self._model = model
        self._n_rows = 0

    def add(self, batch: Batch, n_before: int) -> None:
        """Note what has happened in rows that have been learnt, so many before them."""
        self._n_rows = n_before + len(batch)
        if not (news := self._model.events[len(self.happenings) :]):
            return
        # points learnt at each row: those without any value are not counted
        is_point = ~np.isnan(batch.values).all(axis=1)
        n_points = self._model.n_points - np.count_nonzero(is_point) + np.cumsum(is_point)
        for event in news:
            row = min(int(np.searchsorted(n_points, event.n_points)), len(batch) - 1)
            self.happenings.append(Happening(n_before + row + 1, batch.texts.time_at(row), event))

    def state(self) -> list[Any]:
        """Return when each event was, as plain values; the events themselves are in the model."""
        return [self._n_rows, [(row, time) for row, time, _ in self.happenings]]

    def load(self, state: list[Any]) -> None:
        """Restore what `state` has returned."""
        self._n_rows, moments = state
        for (row, time), event in zip(moments, self._model.events, strict=True):
            self.happenings.append(Happening(row, time, event))
