"""How far two labellings agree, whatever their numbers are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def adjusted_rand(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """The adjusted Rand index (Hubert & Arabie 1985): 1 for the same partition, about 0 by chance.

    Parameters
    ----------
    a, b
        Labels of the same points, integers from 0.
    """
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1.0)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1.0)).sum() / 2.0)

    together = pairs(table)
    in_a, in_b = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    most = (in_a + in_b) / 2.0
    if together == most:
        return 1.0
    by_chance = in_a * in_b / pairs(table.sum(keepdims=True))
    return (together - by_chance) / (most - by_chance)
