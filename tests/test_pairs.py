"""Pairs of components: against numpy, and on both kernels."""

from itertools import combinations

import numpy as np
import pytest

from online_gmm import MixtureParameters
from online_gmm.em.merging import merged, one_fewer
from online_gmm.em.succession import has_moved
from tests.test_kernel import random_mixture


def loss(mixture, i, j):
    """The likelihood, a row, that a merger costs rows that are assigned to one component each."""
    both = merged(mixture, i, j)

    def of(its, k):
        weight = its.weights[k]
        return weight * (np.linalg.slogdet(its.covariances[k])[1] / 2 - np.log(weight))

    return of(both, i) - of(mixture, i) - of(mixture, j)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_cheapest_merger_is_the_cheapest_of_all(d):
    for seed in range(10):
        mixture = random_mixture(5, d, seed)
        i, j = min(combinations(range(5), 2), key=lambda pair: loss(mixture, *pair))
        one, other = one_fewer(mixture), merged(mixture, i, j)
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.means, other.means)


def test_a_merger_keeps_weight_mean_and_covariance():
    mixture = random_mixture(4, 3, seed=1)

    def moments(its):
        mean = its.weights @ its.means
        away = its.means - mean
        return mean, np.einsum("k,kij->ij", its.weights, its.covariances) + (
            its.weights * away.T @ away
        )

    after = merged(mixture, 2, 0)
    assert after.n_components == 3
    assert after.weights.sum() == pytest.approx(1.0)
    for one, other in zip(moments(after), moments(mixture), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("d", [1, 3])
def test_distances_are_those_of_numpy_and_none_to_what_is_singular(d):
    one, other = random_mixture(3, d, seed=2), random_mixture(2, d, seed=3)
    between = (one.covariances[:, None] + other.covariances) / 2
    gaps = one.means[:, None] - other.means
    squares = (gaps * np.linalg.solve(between, gaps[..., None])[..., 0]).sum(axis=-1)
    mine, theirs, both = (
        np.linalg.slogdet(its)[1] for its in (one.covariances, other.covariances, between)
    )
    expected = squares / 8 + (both - (mine[:, None] + theirs) / 2) / 2
    np.testing.assert_allclose(one.bhattacharyya(other), expected, rtol=1e-10)
    flat = MixtureParameters([1.0], np.zeros((1, d)), np.zeros((1, d, d)))
    assert (one.bhattacharyya(flat) == 1e300).all()


def test_a_centre_has_moved_beyond_its_standard_deviation():
    old = random_mixture(2, 3, seed=4)
    step = np.linalg.cholesky(old.covariances[0]) @ np.ones(3)
    for times, moved in ((0.9, False), (1.1, True)):
        means = old.means + times * step
        new = MixtureParameters(old.weights, means, old.covariances)
        assert has_moved(old, 0, new, 0, 1e6) is moved
