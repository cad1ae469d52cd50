"""The points that a learner keeps until it begins, in little memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class _Run:
    """Points that follow each other and have the same names: their values, row by row."""

    names: tuple[Hashable, ...]
    values: array[float]
    n: int

    def rows(self, first: int, end: int) -> Iterator[dict[Hashable, float]]:
        d = len(self.names)
        for i in range(first, end):
            yield dict(zip(self.names, self.values[i * d : (i + 1) * d], strict=True))


class FirstPoints:
    """Points in the order in which they came; each is given back as a mapping."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[dict[Hashable, float]]:
        for run in self._runs:
            yield from run.rows(0, run.n)

    def __repr__(self) -> str:
        return f"FirstPoints({list(self)!r})"

    def add(self, names: tuple[Hashable, ...], values: Iterable[float]) -> None:
        """Add a point."""
        self._run_of(names, 1).values.extend(values)

    def add_rows(self, names: tuple[Hashable, ...], rows: NDArray[np.float64]) -> None:
        """Add points of the same names, shape (n, D)."""
        if len(rows):
            self._run_of(names, len(rows)).values.frombytes(rows.tobytes())

    def _run_of(self, names: tuple[Hashable, ...], n: int) -> _Run:
        """The last run, to which n more points of these names belong."""
        if not self._runs or self._runs[-1].names != names:
            self._runs.append(_Run(names, array("d"), 0))
        run = self._runs[-1]
        run.n += n
        self._n += n
        return run

    def since(self, n: int) -> list[dict[Hashable, float]]:
        """All points but the first n."""
        found: list[dict[Hashable, float]] = []
        for run in self._runs:
            found += run.rows(min(n, run.n), run.n)
            n -= min(n, run.n)
        return found

    def names(self, n: int) -> dict[Hashable, None]:
        """The names of the first n points, in the order in which they came."""
        found: dict[Hashable, None] = {}
        for run in self._runs:
            if n > 0:
                found |= dict.fromkeys(run.names)
            n -= run.n
        return found

    def matrix(self, names: tuple[Hashable, ...], n: int) -> NDArray[np.float64]:
        """The values of the first n points, shape (n, D); NaN where a point lacks a name."""
        n = min(n, self._n)
        rows = np.full((n, len(names)), math.nan)
        done = 0
        for run in self._runs:
            end = min(done + run.n, n)
            its = np.array(run.values).reshape(run.n, len(run.names))[: end - done]
            for j, name in enumerate(names):
                if name in run.names:
                    rows[done:end, j] = its[:, run.names.index(name)]
            done = end
        return rows

    def runs(self) -> Iterator[tuple[tuple[Hashable, ...], array[float]]]:
        """Points that follow each other and have the same names, and their values row by row."""
        for run in self._runs:
            yield run.names, run.values

    def restrict(self, which: slice) -> None:
        """Keep these points and let go of the others."""
        left = list(self)[which]
        if len(left) < self._n:
            self._runs, self._n = [], 0
            for row in left:
                self.add(tuple(row), row.values())
