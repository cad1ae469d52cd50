"""Times side by side: ratios of medians, within one run, with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Ratio(NamedTuple):
    """How many times as long one side takes as another: median over rounds, least and most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


class Times(NamedTuple):
    """Seconds of each side in each round, whatever a side counts them by."""

    rounds: dict[str, list[float]]

    def ratio(self, of: str, to: str) -> Ratio:
        """Of each round of one side to the same round of another."""
        ratios = [a / b for a, b in zip(self.rounds[of], self.rounds[to], strict=True)]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def median(self, side: str) -> float:
        return statistics.median(self.rounds[side])


def side_by_side(sides: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """Run all sides in turn, each round in the other order than the last.

    Each side returns its seconds, per point or altogether, as it likes.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds):
        for name in list(sides)[:: 1 if i % 2 == 0 else -1]:
            times[name].append(sides[name]())
    return Times(times)
