"""How every key of a fleet stands: a few numbers for each, sorted, searched and by pages."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np

from online_gmm.learners.base import UNKNOWN, Assignment
from replay.engine.rows import Row
from replay.engine.series import Series
from replay.views.decimation import counts_of
from replay.views.log import Columns, Head
from replay.views.parameters import Parameters

MOST_KEYS = 200_000
"""Keys that are listed; rows of further ones are counted."""
ON_CARD = 3
"""Columns on the card of a regime, the first ones."""


@dataclass(slots=True)
class Standing:
    """How a key stands.

    Parameters
    ----------
    key
        The key.
    label, name, probability
        The regime of its last row; its name is empty if it has none.
    since, since_time
        The row (from 1) from which on it has been in this regime, and its time as written.
    n, n_changes, n_outliers
        Rows, changes of regime, and rows beyond every regime.
    counts
        Rows of each label.
    changed
        When the regime changed last: the number of that row among those of all keys.
    """

    key: str
    label: int = UNKNOWN
    name: str = ""
    probability: float = math.nan
    since: int = 1
    since_time: str = ""
    n: int = 0
    n_changes: int = 0
    n_outliers: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    changed: int = 0

    @classmethod
    def of(cls, key: str, series: Series) -> Standing:
        """That of a series."""
        summary = series.summary
        segment = series.segmenter.current or series.last_segment
        label = UNKNOWN if segment is None else segment.label
        counts = {its: summary.n_labelled(its) for its in summary.lengths}
        if segment is not None:
            counts[label] = max(counts.get(label, 0), segment.n)
        since, since_time = (1, "") if segment is None else segment.start
        return cls(
            key,
            label,
            series.model.names.get(label, ""),
            math.nan if segment is None else segment.probability,
            since,
            since_time,
            summary.n_rows,
            series.n_changes,
            summary.n_outliers,
            counts,
        )

    @classmethod
    def of_head(cls, head: Head) -> Standing:
        """That of a key that was kept."""
        return cls(
            head.key,
            head.label,
            head.names.get(head.label, ""),
            head.probability,
            head.since,
            head.since_time,
            head.n,
            head.n_changes,
            head.n_outliers,
            dict(head.counts),
        )

    def head(self) -> Head:
        """The same as views show a key; when it came first and what was missing is not known."""
        return Head(
            *(self.key, self.n, self.n_outliers, None, self.n_changes, self.label),
            *(self.probability, self.since, self.since_time, "", ""),
            dict(self.counts),
            {self.label: self.name} if self.name else {},
        )

    @property
    def strangeness(self) -> tuple[float, ...]:
        """Unknown, then the share of outliers, then how rare the regime is for this key."""
        n = max(self.n, 1)
        return (
            float(self.label == UNKNOWN),
            self.n_outliers / n,
            -self.counts.get(self.label, 0) / n,
        )


Stands = TypeVar("Stands", Head, Standing)


def placed(its: Stands, parameters: Parameters | None) -> Stands:
    """How a key stands, in its regime since the change took place rather than was known."""
    if parameters is None:
        return its
    changes = reversed(parameters.changes)
    if not parameters.in_hindsight:
        # what became known later is in none of these labels
        changes = (change for change in changes if change.known_at[0] < its.since)
    last = next(changes, None)
    if last is None or parameters.merged.get(last.after, last.after) != its.label:
        return its
    row, time = last.at
    return its if row >= its.since else replace(its, since=row, since_time=time)


class Order(NamedTuple):
    """Which keys come first, in words and as a choice, and by what, the highest first."""

    words: str
    label: str
    by: Callable[[Standing], tuple[float, ...]]


ORDERS: dict[str, Order] = {
    "strange": Order("that are strangest", "strangest", lambda its: its.strangeness),
    "changed": Order("that changed last", "changed last", lambda its: (its.changed,)),
    "rows": Order("with most rows", "with most rows", lambda its: (its.n,)),
    "changes": Order("with most changes", "with most changes", lambda its: (its.n_changes,)),
    "outliers": Order("with most outliers", "with most outliers", lambda its: (its.n_outliers,)),
}


class Roster:
    """The standing of every key, for whoever looks at a fleet; one thread adds, others look.

    Attributes
    ----------
    n_left_out
        Rows of keys for which there was no room.
    """

    def __init__(self) -> None:
        self.n_left_out = 0
        self._all: dict[str, Standing] = {}
        self._n = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def get(self, key: str) -> Standing | None:
        return self._all.get(key)

    def put(self, standing: Standing) -> None:
        """Take over how a key stands."""
        if len(self._all) < MOST_KEYS:
            self._all[standing.key] = standing

    def add(self, row: Row, assignment: Assignment, changes: int, name: str) -> None:
        """Add a labelled row; O(1)."""
        self._n += 1
        its = self._all.get(row.key)
        if its is None:
            if len(self._all) >= MOST_KEYS:
                self.n_left_out += 1
                return
            its = self._all[row.key] = Standing(row.key, since_time=row.time, changed=self._n)
            its.label = assignment.label
        label = assignment.label
        its.n += 1
        its.counts[label] = its.counts.get(label, 0) + 1
        its.n_outliers += assignment.outlier
        its.n_changes += changes
        if label != its.label:
            its.label, its.changed = label, self._n
            its.since, its.since_time = its.n, row.time
        its.name = name
        its.probability = assignment.probability

    def add_many(self, key: str, rows: Columns) -> None:
        """Add labelled rows of one key."""
        before, n = self._n, len(rows.values)
        self._n += n
        labels = rows.answers.labels
        its = self._all.get(key)
        if its is None:
            if len(self._all) >= MOST_KEYS:
                self.n_left_out += n
                return
            its = Standing(key, since_time=rows.time_at(0), changed=before + 1)
            its.label = int(labels[0])
            self._all[key] = its
        begins = np.flatnonzero(np.diff(labels, prepend=its.label))
        if len(begins):
            newest = int(begins[-1])
            its.label, its.changed = int(labels[newest]), before + newest + 1
            its.since, its.since_time = its.n + newest + 1, rows.time_at(newest)
        its.n += n
        for label, count in counts_of(labels).items():
            its.counts[label] = its.counts.get(label, 0) + count
        its.n_outliers += int(rows.answers.outliers.sum())
        its.n_changes += int(rows.changes.sum())
        its.name = "" if rows.names is None else rows.names[-1]
        its.probability = float(rows.answers.probabilities[-1])

    def page(
        self, find: str = "", order: str = "strange", first: int = 0, at_most: int = 50
    ) -> tuple[list[Standing], int]:
        """Some keys in an order, and how many there are; O(keys log(first + at_most)).

        Parameters
        ----------
        find
            A part of the keys that are listed, in upper or lower case.
        order
            One of ORDERS.
        first, at_most
            How many are left out before, and how many are listed.
        """
        found: Sequence[Standing] = list(self._all.values())
        if find:
            part = find.casefold()
            found = [its for its in found if part in its.key.casefold()]
        by = ORDERS[order].by
        listed = heapq.nlargest(first + at_most, found, key=by)
        return listed[first:], len(found)


def card(series: Series, label: int) -> str:
    """The values that are typical of a regime of a series, in a line; empty if not known."""
    found, model = series.finished, series.model
    center: Mapping[Hashable, float] = {}
    if found is not None:
        center = found.regimes[label].mean if label in found.regimes else {}
    elif model.labels:
        center = model.centers.get(label, {})
    return _in_line([str(name) for name in center], list(center.values()))


def card_of(parameters: Parameters, columns: Sequence[str], label: int) -> str:
    """The same by what views know of a learner."""
    if label not in parameters.labels:
        return ""
    place = parameters.labels.index(label)
    return _in_line(columns, parameters.means[place].tolist())


def _in_line(columns: Sequence[str], values: Sequence[float]) -> str:
    pairs = list(zip(columns, values, strict=True))
    its = [f"{name} {value:.3g}" for name, value in pairs[:ON_CARD]]
    more = len(pairs) - ON_CARD
    return ", ".join([*its, f"{more} more"] if more > 0 else its)
