"""k-means against scipy's, from the same random numbers."""

import numpy as np
import pytest
from scipy.cluster.vq import ClusterError, kmeans2

from online_gmm.k_means import k_means


@pytest.mark.parametrize(
    ("d", "rounded"), [(1, False), (2, False), (8, False), (1, True), (3, True)]
)
def test_same_labels_as_scipy(d: int, rounded: bool) -> None:
    compared = 0
    for seed in range(80):
        rng = np.random.default_rng([seed, d])
        k = int(rng.integers(1, 9))
        n = int(rng.integers(30, 300))
        X = rng.normal(size=(n, d)) + rng.integers(0, 3, (n, 1)) * 3.0
        if rounded:  # many rows have two nearest clusters
            X = np.round(X)
        if len(np.unique(X, axis=0)) <= k:
            continue
        mine, its = np.random.default_rng(seed), np.random.default_rng(seed)
        labels = k_means(X, k, mine)
        try:
            expected = kmeans2(X, k, minit="++", missing="raise", rng=its)[1]
        except ClusterError:
            assert labels is None
            continue
        assert labels is not None
        np.testing.assert_array_equal(labels, expected)
        assert mine.random() == its.random()
        compared += 1
    assert compared >= 60


def test_a_cluster_that_loses_its_rows() -> None:
    # the seeds are rows of one place twice, so that no row is nearest to the second
    rows = np.array([[0.0], [0.0], [1.0], [2.0]])
    assert k_means(rows, 2, _Draws()) is None  # type: ignore[arg-type]


class _Draws:
    """Always the first."""

    def integers(self, n: int) -> int:
        return 0

    def uniform(self) -> float:
        return 0.0
