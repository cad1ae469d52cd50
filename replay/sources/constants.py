"""Values far outside that come again and again: a number that may stand for a missing value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE, MOST_SHARE = 0.01, 0.5
"""Of the rows: what is rarer is an outlier, and what is more frequent is what a column is like."""
USUAL = (-99.0, -127.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, -6999.0, -32768.0)
"""What often stands for a missing value: it need not come again and again."""
FAR = 10.0
"""Standard deviations of the other values, from their mean."""
SAMPLE = 512
"""Rows of the sample that tells where the other values are."""


class Constants:
    """Looks for the least and the greatest value of each column that come many times.

    Memory does not grow with the rows.

    Parameters
    ----------
    names
        Of the columns.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._n = 0
        self._ends = np.full((2, len(names)), np.nan)
        self._counts = np.zeros((2, len(names)), dtype=np.int64)
        self._given = np.zeros(len(names), dtype=np.int64)
        self._sample: list[NDArray[np.float64]] = []
        self._every = 1

    def add(self, values: NDArray[np.float64]) -> None:
        """Look at rows, shape (n, D)."""
        # numpy is many times as fast along values that lie one after the other
        columns = np.ascontiguousarray(values.T)
        self._given += len(values) - np.isnan(columns).sum(axis=1)
        for which, ufunc in enumerate((np.fmin, np.fmax)):
            end = ufunc.reduce(columns, axis=1)
            counts = (columns == end[:, None]).sum(axis=1)
            now = self._ends[which]
            both = ufunc(now, end)
            kept = np.where(both == now, self._counts[which], 0)
            self._counts[which] = kept + np.where(both == end, counts, 0)
            self._ends[which] = both
        first = -self._n % self._every
        self._sample.extend(values[first :: self._every].copy())
        self._n += len(values)
        while len(self._sample) > SAMPLE:
            self._sample = self._sample[::2]
            self._every *= 2

    @property
    def said(self) -> list[str]:
        """The notes on what was found, one line each."""
        lines = []
        sample = np.array(self._sample).reshape(len(self._sample), len(self._names))
        for j, name in enumerate(self._names):
            column = sample[:, j]
            rest = column[~np.isnan(column) & ~np.isin(column, self._ends[:, j])]
            if len(rest) < 10:
                continue
            middle, spread = float(rest.mean()), float(rest.std())
            ends = self._ends[:, j]
            for value, other, count in zip(ends, ends[::-1], self._counts[:, j], strict=True):
                share = count / max(int(self._given[j]), 1)
                # of three values in all, the other two tell what is far
                is_far = abs(value - middle) > FAR * (spread or abs(other - middle))
                is_frequent = share > LEAST_SHARE and count > 2
                if share < MOST_SHARE and is_far and (is_frequent or value in USUAL):
                    lines.append(
                        f"{name!r} is exactly {value:.10g} in {count:,} of {self._given[j]:,} "
                        "rows looked at, far from all others; if it stands for a missing value, "
                        f"say --missing {value:.10g}"
                    )
        return lines
