"""How near labels come to the true states of a series: covering, and delay of the changes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def changes(labels: Labels) -> NDArray[np.int64]:
    """Where a new segment begins, the first one left out."""
    return np.flatnonzero(labels[1:] != labels[:-1]) + 1


def segments(cuts: NDArray[np.int64], n: int) -> Labels:
    """Each of n points labelled with the number of its segment; these begin at the cuts."""
    starts = np.zeros(n, dtype=np.int64)
    starts[cuts] = 1
    return np.cumsum(starts)


def covering(states: Labels, labels: Labels) -> float:
    """Mean over the points of the greatest overlap of their true segment with a segment found.

    Overlap is the points of both over the points of either; 1 for the true segments. What the
    segments are called plays no part (Arbelaez et al. 2011; van den Burg & Williams 2020).
    """
    n = len(states)
    starts = np.append(0, changes(labels))
    ends = np.append(starts[1:], n)
    total = 0.0
    true_starts = np.append(0, changes(states))
    for start, end in zip(true_starts, np.append(true_starts[1:], n), strict=True):
        both = np.minimum(end, ends) - np.maximum(start, starts)
        either = np.maximum(end, ends) - np.minimum(start, starts)
        total += (end - start) * float(np.max(np.maximum(both, 0) / either))
    return total / n


class Delays(NamedTuple):
    """Points from each change that was noticed to where it was, and how many were not."""

    noticed: list[int]
    missed: int


def delays(states: Labels, labels: Labels) -> Delays:
    """From each true change to the first change of label, at it or later, before the next one."""
    true, found = changes(states), changes(labels)
    first = np.searchsorted(found, true)
    until = np.append(true[1:], len(states))[: len(true)]
    noticed = [
        int(found[i] - change)
        for change, i, end in zip(true, first, until, strict=True)
        if i < len(found) and found[i] < end
    ]
    return Delays(noticed, len(true) - len(noticed))


def delayed(labels: Labels, lag: int) -> Labels:
    """What is said of each point ``lag`` points later; of the last ones, at the end."""
    return np.append(labels[lag:], np.full(min(lag, len(labels)), labels[-1]))
