"""Work that is done in slices, so that no call takes long.

A function that works in slices is a generator: it yields when it has done about as much as one call
may do, and returns its result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from online_gmm import _kernel

Result = TypeVar("Result")
Sliced = Generator[None, None, Result]
"""Work that yields between slices, and returns a result."""

SLICE = 1.5e5
"""The work of a slice, in multiplications or so: a fraction of a millisecond."""
ROWS = 512
"""The least number of rows that a slice goes through."""


class Meter:
    """Counts work, and says when a slice is over."""

    def __init__(self) -> None:
        self.done = 0.0

    @property
    def room(self) -> float:
        """The work that is left of the slice."""
        return SLICE - self.done

    def is_full(self, work: float) -> bool:
        """Add work done; return whether the slice is over. The next one then begins."""
        self.done += work
        if self.done < SLICE:
            return False
        self.done = 0.0
        return True


def aside_cost(n: int) -> float:
    """The work of what is done with n rows between EM steps: their scales, which are distinct."""
    return 800.0 * n


def finish(work: Sliced[Result]) -> Result:
    """Do all slices, and return the result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def pass_cost(n: int, k: int, d: int, dense: bool) -> float:
    """The work of an EM step on n complete rows."""
    return float(n * k) * (12 + (d * d / 4 if dense else 2 * d))


def going_on(
    climbs: list[_kernel.Climb], rows: Any, n: int, k: int, d: int, dense: bool, meter: Meter
) -> Sliced[None]:
    """Let EM make the steps that are planned for some climbs on the same n rows, in slices."""
    cost = pass_cost(1, k, d, dense)
    size = max(int(SLICE // cost), ROWS)
    ended = False
    while not ended:
        work, ended = _kernel.go_on(climbs, rows, n, size, cost, meter.room)
        if meter.is_full(work):
            yield
