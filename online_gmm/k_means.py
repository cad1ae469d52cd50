"""k-means of the few points of a start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 10
"""At most."""


def k_means(X: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.intp] | None:
    """The cluster of each row, shape (n,), by a few of Lloyd's steps from k-means++ seeds [1]_.

    There must be more distinct rows than clusters. None if a cluster loses all its rows. O(n k D) a
    step. As ``scipy.cluster.vq.kmeans2``, whose import takes longer than a warm start.

    References
    ----------
    .. [1] Arthur, D. & Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding.
           Proceedings of the 18th ACM-SIAM Symposium on Discrete Algorithms, 1027-1035.
    """
    centers = X[[rng.integers(len(X))]]
    nearest = np.full(len(X), np.inf)
    while len(centers) < k:
        nearest = np.minimum(nearest, _squares(X, centers[-1:])[0])
        reached = int(np.cumsum(nearest / nearest.sum()).searchsorted(rng.uniform()))
        # rounding may leave the last sum below 1
        centers = np.vstack([centers, X[min(reached, len(X) - 1)]])
    labels = np.full(len(X), -1)
    for _ in range(STEPS):
        before, labels = labels, _squares(X, centers).argmin(axis=0)
        if np.array_equal(labels, before):
            break
        counts = np.bincount(labels, minlength=k)
        if not counts.all():
            return None
        sums = [np.bincount(labels, column, minlength=k) for column in X.T]
        centers = np.stack(sums, axis=1) / counts[:, None]
    return labels


def _squares(X: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of every row from every centre, shape (k, n)."""
    squares = np.zeros((len(centers), len(X)))
    for column, places in zip(X.T, centers.T, strict=True):
        squares += (column - places[:, None]) ** 2
    return squares
