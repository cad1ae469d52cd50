"""Number, mean and deviations of single values, as they come."""

from __future__ import annotations

import math
from typing import Any

from online_gmm import _kernel

LARGEST = 1e150
"""Beyond this, squares of deviations might be infinite."""


class Moments:
    """Number, mean and squared deviations of the values that came (Welford 1962)."""

    __slots__ = ("deviations", "mean", "n")

    def __init__(self) -> None:
        self.n = 0
        self.mean = math.nan
        self.deviations = math.nan

    @classmethod
    def of(cls, n: int, mean: float, deviations: float) -> Moments:
        """The moments of n values."""
        result = cls()
        result.n, result.mean, result.deviations = n, mean, deviations
        return result

    def add(self, value: float) -> None:
        if math.isnan(value):
            return
        self.n += 1
        if self.n == 1:
            self.mean, self.deviations = value, 0.0
            return
        gap = value - self.mean
        self.mean += gap / self.n
        self.deviations += gap * (value - self.mean)

    def absorb(self, other: Moments) -> None:
        """Merge the moments of other values into these (Chan, Golub & LeVeque 1979)."""
        if not other.n:
            return
        if not self.n:
            self.n, self.mean, self.deviations = other.n, other.mean, other.deviations
            return
        n = self.n + other.n
        gap = other.mean - self.mean
        self.mean += gap * (other.n / n)
        self.deviations += other.deviations + gap * gap * (self.n * (other.n / n))
        self.n = n

    def state(self) -> list[Any]:
        return [self.n, self.mean, self.deviations]

    @property
    def sd(self) -> float:
        return math.sqrt(self.deviations / self.n) if self.n else math.nan


def moments_from_state(state: Any) -> Moments:
    n, mean, deviations = state
    if not _kernel.whole(n, "n"):
        return Moments()
    return Moments.of(
        n,
        _kernel.real(mean, "mean", -LARGEST, LARGEST),
        _kernel.real(deviations, "deviations", 0.0, math.inf),
    )
