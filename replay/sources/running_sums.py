"""Sums of columns, by which a row of totals is known that has nothing in the place of its time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 8
"""Rows that are summed up at least."""
NEAR = 1e-4
"""By how much, relatively, totals may differ from the sums: what is summed up may be rounded."""
TOGETHER = 4096
"""Rows that are added together."""


class RunningSums:
    """The sum and the largest size of each column so far."""

    def __init__(self) -> None:
        self._n = 0
        self._sums: NDArray[np.float64] | float = 0.0
        self._most: NDArray[np.float64] | float = 0.0
        self._waiting: list[tuple[float, ...]] = []

    def add_row(self, values: Iterable[float]) -> None:
        """Add a row; NaN is a missing value."""
        self._waiting.append(tuple(values))
        if len(self._waiting) >= TOGETHER:
            self._take()

    def add(self, values: NDArray[np.float64]) -> None:
        """Add rows, shape (n, D)."""
        if len(values):
            self._n += len(values)
            # numpy is many times as fast along values that lie one after the other
            columns = np.ascontiguousarray(values.T)
            sums = columns.sum(axis=1)
            self._sums = self._sums + (np.nansum(columns, axis=1) if np.isnan(sums).any() else sums)
            for ends in (np.fmax.reduce(columns, axis=1), np.fmin.reduce(columns, axis=1)):
                self._most = np.fmax(self._most, np.abs(ends))

    def are(self, values: Sequence[float]) -> bool:
        """Whether values are the sums, and one of them is larger than all that are summed up."""
        self._take()
        given = [j for j, value in enumerate(values) if not math.isnan(value)]
        if self._n < LEAST or not given:
            return False
        row, sums, most = (np.array(its)[given] for its in (values, self._sums, self._most))
        return bool((np.abs(row - sums) <= NEAR * np.abs(sums)).all() and (abs(row) > most).any())

    def _take(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self.add(np.array(waiting))

    @property
    def state(self) -> list[Any]:
        """All of it, as plain values."""
        self._take()
        return [self._n, *(np.atleast_1d(its).tolist() for its in (self._sums, self._most))]

    def load(self, state: Sequence[Any]) -> None:
        """Restore what `state` was."""
        self._waiting.clear()
        self._n, self._sums, self._most = state[0], np.array(state[1]), np.array(state[2])
