"""Exponential functions and logarithms of many numbers, and k-means."""

from array import array

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from tests.conftest import KERNELS, PARTS
from tests.test_kernel import blobs


def function(kernel, name):
    return getattr(PARTS[kernel]["online_gmm._kernel.vectors"], name)


def arguments(n):
    rng = np.random.default_rng(1)
    least = np.concatenate([-rng.exponential(5.0, n // 2), rng.uniform(-708, 9, n // 2)])
    near = 1.0 + rng.normal(0, 1e-4, n // 4)
    wide = np.exp(rng.uniform(-700, 700, n // 2))
    positive = np.concatenate([rng.uniform(1e-3, 20.0, n // 4), wide, near])
    return {"exp_in_place": least, "log_in_place": positive}


@pytest.mark.parametrize("name", ["exp_in_place", "log_in_place"])
def test_one_unit_in_the_last_place(name, kernel, compiled):
    values = arguments(1_000_000 if compiled else 20_000)[name]
    found = array("d", values.tobytes())
    function("compiled" if compiled else "interpreted", name)(found)
    expected = getattr(np, name.split("_")[0])(values)
    off = np.abs(np.frombuffer(found) - expected) / np.spacing(np.abs(expected))
    assert off.max() <= 1.0


@pytest.mark.skipif(len(KERNELS) == 1, reason="only one kernel is there")
@pytest.mark.parametrize("name", ["exp_in_place", "log_in_place"])
def test_both_kernels_give_the_same_bits(name):
    values = arguments(40_000)[name]
    if name == "exp_in_place":
        values = np.concatenate([values, [0.0, -0.0, -708.5, -708.9, -1e5, -1e300]])
    one, other = (array("d", values.tobytes()) for _ in range(2))
    function("compiled", name)(one)
    function("interpreted", name)(other)
    assert one.tobytes() == other.tobytes()


def test_exponential_functions_of_very_little_are_zero():
    values = array("d", [-709.0, -1e5, -1e300, 0.0])
    function("interpreted", "exp_in_place")(values)
    assert list(values) == [0.0, 0.0, 0.0, 1.0]


def k_means(kernel, x, shape, draws, most, labels):
    """Cluster rows; return whether no cluster is without rows."""
    if not kernel.draw_clusters(x, *shape, draws, labels):
        return True
    return kernel.move_centers(x, *shape, most, labels) >= 0


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_k_means_is_as_good_as_scipys(seed, trials, kernel):
    X = blobs(300, 2, seed)
    rng = np.random.default_rng(seed)
    labels = np.zeros(len(X), dtype=np.int64)

    def within(labels):
        return sum(((X[labels == j] - X[labels == j].mean(axis=0)) ** 2).sum() for j in range(3))

    ours, theirs = [], []
    for _ in range(8):
        assert k_means(kernel, X.ravel(), (300, 2, 3), rng.random(3 * trials), 50, labels)
        ours.append(within(labels.copy()))
        theirs.append(within(kmeans2(X, 3, iter=50, minit="++", rng=rng)[1]))
    assert min(ours) == pytest.approx(min(theirs), rel=1e-3)


def test_iterations_may_stop_and_go_on(kernel):
    X, labels = blobs(300, 2, 0).ravel(), np.zeros((2, 300), dtype=np.int64)
    draws = np.random.default_rng(2).random(5)
    for its in labels:
        kernel.draw_clusters(X, 300, 2, 5, draws, its)
    at_once = kernel.move_centers(X, 300, 2, 5, 6, labels[0])
    assert at_once > 0
    singly = [kernel.move_centers(X, 300, 2, 5, 1, labels[1]) for _ in range(6)]
    assert singly[-1] == at_once
    np.testing.assert_array_equal(labels[0], labels[1])


def test_the_best_of_several_rows_begins_a_cluster(kernel):
    # 12 groups far apart, of which single draws often miss one
    X = (10.0 * np.repeat(np.arange(12.0), 25) + np.random.default_rng(0).normal(size=300))[:, None]
    rng = np.random.default_rng(1)
    labels = np.zeros(len(X), dtype=np.int64)
    found = {}
    for trials in (1, 4):
        found[trials] = 0
        for _ in range(20):
            k_means(kernel, X.ravel(), (300, 1, 12), rng.random(12 * trials), 50, labels)
            found[trials] += len({*labels[::25]}) == 12 == len({*labels})
    assert found[4] >= 18 > 14 >= found[1]


def test_k_means_of_few_distinct_rows(kernel):
    labels = np.zeros(4, dtype=np.int64)
    draws = np.array([0.1, 0.5, 0.9])
    assert k_means(kernel, np.array([1.0, 5.0, 1.0, 5.0]), (4, 1, 3), draws, 10, labels)
    assert labels[0] == labels[2] != labels[1] == labels[3]
