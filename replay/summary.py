"""What a labelled series amounts to: rows, regimes and segments, counted as they pass."""

from __future__ import annotations

import math
from collections import Counter

from replay.run import LabelledRow


class Summary:
    """Counts over labelled rows; memory grows with the number of different segment lengths only.

    A segment is a stretch of rows with the same label.

    Attributes
    ----------
    n_rows, n_outliers, n_missing
        Rows, rows flagged as outliers, and values missing.
    lengths
        For each label, how many segments there are of each length; `close` completes the last one.
    """

    def __init__(self, n_regimes: int) -> None:
        self.n_rows = 0
        self.n_outliers = 0
        self.n_missing = 0
        self.lengths: list[Counter[int]] = [Counter() for _ in range(n_regimes)]
        self._label = 0
        self._length = 0

    def add(self, labelled_row: LabelledRow) -> None:
        row, assignment = labelled_row
        self.n_rows += 1
        self.n_outliers += assignment.outlier
        self.n_missing += sum(map(math.isnan, row.values.values()))
        if assignment.label == self._label:
            self._length += 1
        else:
            self.close()
            self._label = assignment.label
            self._length = 1

    def close(self) -> None:
        """End the segment under way."""
        if self._length:
            self.lengths[self._label][self._length] += 1
        self._length = 0

    def n_labelled(self, label: int) -> int:
        return sum(length * count for length, count in self.lengths[label].items())

    def n_segments(self, label: int) -> int:
        return self.lengths[label].total()

    def longest(self, label: int) -> int:
        return max(self.lengths[label], default=0)

    def median_length(self, label: int) -> float:
        """The median length of the segments of a label; NaN if there are none."""
        n = self.n_segments(label)
        if not n:
            return math.nan
        # the one in the middle, or the two around it
        return (self._ranked(label, (n - 1) // 2) + self._ranked(label, n // 2)) / 2

    def _ranked(self, label: int, rank: int) -> int:
        passed = 0
        for length in sorted(self.lengths[label]):
            passed += self.lengths[label][length]
            if passed > rank:
                return length
        raise IndexError(rank)
