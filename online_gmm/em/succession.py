"""Which component of a new fit continues which one of the old."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.mixture import MixtureParameters, labels_of

SAME = 1.0
"""Standard deviations, by feature, by which the centre of a component may move unsaid."""
ERRORS = 4.0
"""The same in standard errors of the centre, for a component of few points."""


def successors(
    old: MixtureParameters, new: MixtureParameters, X: NDArray[np.float64]
) -> list[int | None]:
    """Return for each new component the old one that it continues, or None. O(n K D^2).

    A component continues another if most of its rows were the other's, and most of the other's rows
    are its own now. Of a component that was cut in two, the larger piece continues it.
    """
    before, after = labels_of(old, X), labels_of(new, X)
    counts = np.zeros((old.n_components, new.n_components), dtype=np.int64)
    np.add.at(counts, (before, after), 1)
    result: list[int | None] = []
    for j in range(new.n_components):
        i = int(counts[:, j].argmax())
        mutual = counts[i, j] > 0 and int(counts[i].argmax()) == j
        result.append(i if mutual else None)
    return result


def has_moved(
    old: MixtureParameters, i: int, new: MixtureParameters, j: int, n_points: float
) -> bool:
    """Whether a centre is farther from where it was than estimation error allows.

    ``n_points`` are those behind the old component.
    """
    allowed = max(SAME, ERRORS / np.sqrt(max(n_points, 1.0)))
    with np.errstate(over="ignore", invalid="ignore"):
        gap = new.means[j] - old.means[i]
        most = len(gap) * allowed**2
        if _kernel.squared_length(flat(gap), flat(old.covariances[i])) <= most:
            return False
        # a covariance that is all but singular says nothing of some directions
        distance = float(gap @ np.linalg.lstsq(old.covariances[i], gap, rcond=None)[0])
    return bool(distance > most)
