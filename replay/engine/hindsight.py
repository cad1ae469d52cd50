"""A finished source: its rows are labelled again, with all of them at hand, before they go on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import UNKNOWN, Assignments
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.second_pass import SecondPass, labels_of_events
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import Ended, LabelledBatch
from replay.engine.fleet import Fleet
from replay.engine.keys import Keys
from replay.engine.protocols import MemorySink, Sink
from replay.engine.series import Series
from replay.engine.summary import Summary

MOST_VALUES = 2**21
"""Values of all rows together that are held; of more, each row keeps the label it came with."""

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]


class Hindsight(MemorySink):
    """Holds labelled rows until their source has ended, and hands them on with later labels.

    Parameters
    ----------
    sinks
        Where rows go then.
    fleet
        The series of all keys; each is given what was found of it (`Series.be_finished`).

    Attributes
    ----------
    is_over
        Whether there were too many rows: then they went on as they came.
    """

    def __init__(self, sinks: Mapping[str, Sink], fleet: Fleet) -> None:
        self.is_over = False
        self._sinks = sinks
        self._fleet = fleet
        self._held: list[LabelledBatch] = []
        self._segments: dict[str, list[Segment]] = {}
        self._n_values = 0

    @property
    def said(self) -> list[str]:
        """That there were too many rows, in a line."""
        if not self.is_over:
            return []
        return [
            f"the source has more than {MOST_VALUES:,} values, which are too many to be held and "
            "labelled again with all of them at hand"
        ]

    def begin(self) -> None:
        for sink in self._sinks.values():
            sink.begin()

    def write(self, labelled: LabelledBatch) -> None:
        if not self.is_over:
            self._held.append(labelled)
            self._n_values += labelled.batch.values.size
            if self._n_values <= MOST_VALUES:
                for ended in labelled.ended():
                    self._segments.setdefault(ended.key, []).append(ended.segment)
                return
            self.is_over = True
            self._segments.clear()
            held, self._held = self._held, []
            for one in held:
                self._hand_on(one)
            return
        self._hand_on(labelled)

    def _hand_on(self, labelled: LabelledBatch) -> None:
        for sink in self._sinks.values():
            sink.write(labelled)

    def flush(self) -> None:
        for sink in self._sinks.values():
            sink.flush()

    def finish(self) -> None:
        """Label the rows that are held, and hand them on."""
        held = [its for its in self._held if len(its)]
        if held:
            for labelled in _again(held, self._segments, self._fleet):
                self._hand_on(labelled)
        for sink in self._sinks.values():
            sink.finish()


def _again(
    held: Sequence[LabelledBatch], segments: Mapping[str, list[Segment]], fleet: Fleet
) -> list[LabelledBatch]:
    """The same rows, labelled with the whole of their series at hand."""
    n = sum(map(len, held))
    values = np.concatenate([its.batch.values for its in held])
    outliers = np.concatenate([its.answers.outliers for its in held])
    causal = np.concatenate([its.answers.labels for its in held])
    labels, changes = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    probabilities = np.zeros(n)
    ends: list[tuple[int, str, Segment]] = []
    for key, rows in _rows_of_keys(held, n):
        series = fleet[key]
        moments = _Moments(held, rows)
        found = _found(series, values[rows], moments, segments.get(key, ()))
        numbers = _numbers(found.labels, causal[rows])
        found, causal[rows] = _renumbered(found, numbers), numbers[causal[rows]]
        summary = Summary()
        summary.add(values[rows], found.labels, outliers[rows])
        summary.close()
        series.be_finished(found, summary)
        labels[rows], probabilities[rows] = found.labels, found.probabilities
        changes[rows[[change.at[0] - 1 for change in found.changes]]] = 1
        ends += [(int(rows[its.end[0] - 1]), key, its) for its in found.segments]
    ends.sort(key=lambda end: end[0])
    result, first = [], 0
    for one in held:
        part = slice(first, first + len(one))
        answers = one.answers._replace(labels=labels[part], probabilities=probabilities[part])
        result.append(_later(one, answers, causal[part], changes[part], ends, first))
        first += len(one)
    return result


def _rows_of_keys(held: Sequence[LabelledBatch], n: int) -> Iterator[tuple[str, Rows]]:
    """The keys in the order in which they come, and the numbers of their rows."""
    keys = [its.batch.keys for its in held if its.batch.keys is not None]
    if not keys:
        yield "", np.arange(n)
        return
    order, groups = Keys.joined(keys).groups()
    for key, first, end in groups:
        yield key, order[first:end]


class _Moments(Sequence[tuple[int, str]]):
    """Number and time of each row of a series; few of them are asked for."""

    def __init__(self, held: Sequence[LabelledBatch], rows: Rows) -> None:
        self._held = held
        self._rows = rows
        self._ends = list(accumulate(map(len, held)))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        row = int(self._rows[i])
        which = bisect_right(self._ends, row)
        batch = self._held[which].batch
        return i + 1, batch.texts.time_at(row - self._ends[which] + len(batch))


def _later(
    labelled: LabelledBatch,
    answers: Assignments,
    causal: Ints,
    changes: Ints,
    ends: Sequence[tuple[int, str, Segment]],
    first: int,
) -> LabelledBatch:
    """A batch with later answers; ``first`` is the number of its first row."""
    last = first + len(labelled)
    ended = [Ended(row - first, key, its) for row, key, its in ends if first <= row < last]
    return LabelledBatch(labelled.batch, answers, changes, lambda: ended, causal=causal)


def _numbers(labels: Ints, causal: Ints) -> Ints:
    """The numbers that regimes get: from 0 in the order in which labels show them, without holes.

    A regime that causal labels alone show comes after those. At place -1, for a regime that is not
    known, there is -1.
    """
    both = np.concatenate([labels, causal])
    shown, at = np.unique(both[both != UNKNOWN], return_index=True)
    numbers = np.full(int(both.max(initial=UNKNOWN)) + 2, UNKNOWN, dtype=np.int64)
    numbers[shown[np.argsort(at)]] = np.arange(len(shown))
    return numbers


def _renumbered(found: SecondPass, numbers: Ints) -> SecondPass:
    """The same with other numbers of regimes."""
    new = numbers.tolist()
    cards = [replace(its, label=new[label]) for label, its in found.regimes.items()]
    return replace(
        found,
        labels=numbers[found.labels],
        segments=tuple(replace(its, label=new[its.label]) for its in found.segments),
        changes=tuple(
            replace(its, before=new[its.before], after=new[its.after]) for its in found.changes
        ),
        regimes={its.label: its for its in sorted(cards, key=lambda its: its.label)},
    )


def _found(
    series: Series, values: NDArray[np.float64], moments: _Moments, segments: Sequence[Segment]
) -> SecondPass:
    model = series.model
    assert isinstance(model, FoundRegimes)
    n = len(values)
    begins = sorted({0, *(row for row in series.breaks if 0 < row < n)})
    by_number = [replace(its, start=its.start[0] - 1, end=its.end[0] - 1) for its in segments]
    return model.second_pass(
        values,
        stamps=moments,
        stretches=list(zip(begins, [*begins[1:], n], strict=True)),
        placed=labels_of_events(by_number, n),
    )
