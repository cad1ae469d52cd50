"""The first fit."""

from array import array

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM
from online_gmm.data.frames import view
from online_gmm.em.mixture import from_kernel, to_kernel
from online_gmm.em.prior import Prior
from online_gmm.em.warm_start import warm_start
from tests.conftest import on_one_kernel
from tests.test_batch import FIRST
from tests.test_kernel import blobs


@on_one_kernel
def test_random_restarts_do_not_win_by_collapsing_onto_repeated_values(compiled):
    for seed in range(40 if compiled else 5):
        start = warm_start(FIRST, 3, (0,), seed=seed)
        np.testing.assert_allclose(start.mixture.means.ravel(), [24.57, 37.58, 44.34], atol=0.01)
        assert start.mixture.covariances.min() > 0.14


def test_start_can_be_inspected():
    X = blobs(200, 2, seed=1)
    start = warm_start(X, 3, ("a", "b"), n_init=6, seed=3)
    assert [c.method for c in start.candidates] == ["k-means++", "random"] * 3
    best = max(start.candidates, key=lambda c: c.penalised)
    assert start.method == best.method
    assert start.n_points == 200
    assert start.mixture.features == ("a", "b")
    scores = start.mixture.score_samples(pd.DataFrame(X, columns=["a", "b"]))
    assert start.log_likelihood == pytest.approx(scores.mean(), abs=1e-9)


def test_seed_decides():
    X = blobs(100, 2, seed=2)
    one, two = (warm_start(X, 3, (0, 1), seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.mixture.means, two.mixture.means)
    assert [c.penalised for c in one.candidates] == [c.penalised for c in two.candidates]
    other = warm_start(X, 3, (0, 1), seed=6)
    assert [c.penalised for c in one.candidates] != [c.penalised for c in other.candidates]


@on_one_kernel
def test_stripes_that_mislead_k_means(compiled):
    """Two close parallel stripes and a blob: k-means cuts the stripes across."""
    scores = []
    for seed in range(10 if compiled else 2):
        rng = np.random.default_rng(seed)
        stripes = [rng.normal(size=(150, 2)) * [6.0, 0.25] + [0, y] for y in (0.0, 2.0)]
        X = np.vstack([*stripes, rng.normal(size=(150, 2)) * 0.5 + [0, 8]])
        truth = np.repeat([0, 1, 2], 150)
        labels = warm_start(X, 3, (0, 1), seed=seed).mixture.predict(X)
        scores.append(adjusted_rand_score(truth, labels))
    assert np.median(scores) > 0.95


@on_one_kernel
def test_components_are_numbered_by_the_feature_asked_for():
    X = blobs(300, 2, seed=3)
    by_first = OnlineGMM(3, seed=1).fit_start(X).mixture
    by_second = OnlineGMM(3, seed=1, order_by=1).fit_start(X).mixture
    assert (np.diff(by_first.means[:, 0]) > 0).all()
    assert (np.diff(by_second.means[:, 1]) > 0).all()
    np.testing.assert_allclose(np.sort(by_first.weights), np.sort(by_second.weights))


@on_one_kernel
def test_numbers_are_kept_while_components_cross():
    model = OnlineGMM(2, average=False, gate=0.0, seed=1)
    rng = np.random.default_rng(1)
    model.fit_start(np.concatenate([rng.normal(0, 1, 100), rng.normal(20, 1, 100)]))
    for t in range(6000):
        z = rng.integers(2)
        model.learn_one({0: rng.normal((0, 20)[z] + (t / 100 if z == 0 else 0), 1)})
    assert model.mixture.means[0, 0] > model.mixture.means[1, 0] + 20


@pytest.mark.parametrize("value", [0.0, 5.0, -1e9, 1e-200])
def test_constant_data_stay_finite(value):
    start = warm_start(np.full((30, 2), value), 3, (0, 1), seed=1)
    assert np.isfinite(start.mixture.covariances).all()
    assert np.isfinite(start.log_likelihood)
    np.testing.assert_allclose(start.mixture.means, value)


@pytest.mark.parametrize("rows", [[[1.0]], [[1.0], [2.0]], [[1.0], [1.0], [2.0], [2.0]]])
def test_more_components_than_distinct_rows(rows):
    start = warm_start(np.array(rows), 3, (0,), seed=1)
    assert np.isfinite(start.mixture.score_samples(rows)).all()
    assert (start.mixture.covariances > 0).all()


def test_prior_scales_with_the_data():
    X = blobs(50, 2, seed=4)
    one, big = Prior.of(X, 3, 1.0), Prior.of(X * 1e6 + 1e7, 3, 1.0)
    np.testing.assert_allclose(big.variances, one.variances * 1e12, rtol=1e-6)
    np.testing.assert_allclose(one.variances, X.var(axis=0) / 3)


@on_one_kernel
def test_missing_values_in_the_warm_start(compiled):
    X = blobs(400 if compiled else 150, 3, seed=5)
    holes = np.random.default_rng(1).random(X.shape) < 0.3
    full = warm_start(X, 3, (0, 1, 2), seed=1).mixture
    some = warm_start(np.where(holes, np.nan, X), 3, (0, 1, 2), seed=1).mixture
    assert some.matched_to(full).error(full) < 1.0
    assert adjusted_rand_score(full.predict(X), some.predict(X)) > 0.95


def test_a_climb_in_slices_is_the_same_climb(kernel, compiled):
    """However small the slices are; climbs that are left go on where they were."""
    X = blobs(150 if compiled else 40, 2, seed=4, missing=0.1)
    start = warm_start(X, 3, (0, 1), n_init=2, seed=1)
    ends = []
    for size, room in ((10**6, 1e300), (512, 1e300), (7, 1.0), (40, 90.0)):
        components = [
            to_kernel(mixture, "full", 0.5, start.prior.covariance, 0.0)
            for mixture in (start.mixture, start.mixture.reordered([2, 0, 1]))
        ]
        climbs = [kernel.Climb(its) for its in components]
        for climb in climbs:
            climb.plan(4, 0.0)
        ended, n_slices, work = False, 0, 0.0
        while not ended:
            done, ended = kernel.go_on(climbs, view(X), len(X), size, 1.0, room)
            n_slices, work = n_slices + 1, work + done
        # a pass before the first step
        assert work == 2 * 5 * len(X)
        assert (n_slices > 1) == (room < 1e300)
        assert climbs[0].penalised < climbs[0].mean_log_likelihood
        ends.append([climb.log_likelihood for climb in climbs])
        ends[-1] += [from_kernel(its).means.tobytes() for its in components]
    assert ends[0] == ends[1]
    np.testing.assert_allclose(ends[2][:2], ends[0][:2], rtol=1e-12)
    np.testing.assert_allclose(ends[3][:2], ends[0][:2], rtol=1e-12)


def test_clusters_are_numbered_in_the_order_of_their_first_rows(kernel):
    clusters = array("q", [3, 1, 3, 0, 1])
    assert kernel.number_in_order(clusters, 5) == 3
    assert clusters.tolist() == [0, 1, 0, 2, 1]
