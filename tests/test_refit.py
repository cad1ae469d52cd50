"""The points that are kept, and what happens when they are fitted again."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from online_gmm import Constant, OnlineGMM
from online_gmm.em.batch import fit
from tests.test_kernel import blobs


def kept(model, d):
    return np.frombuffer(model._stream.points_kept()).reshape(-1, d)


@pytest.mark.parametrize("capacity", [2, 10, 64, 65, 1000])
@pytest.mark.parametrize("warm_up", [1, 7, 100])
def test_every_stride_th_point_is_kept(capacity, warm_up):
    X = np.arange(1.0, 701.0)[:, None] + np.random.default_rng(1).normal(0, 0.01, (700, 1))
    model = OnlineGMM(2, warm_up=warm_up, capacity=capacity, n_init=2, seed=1)
    for n, row in enumerate(X, start=1):
        model.learn_one({0: row[0]})
        if model.is_started:
            stride = model._stream.stride_kept
            np.testing.assert_array_equal(kept(model, 1), X[:n][stride - 1 :: stride])
            assert len(kept(model, 1)) <= capacity
            assert stride == 1 or len(kept(model, 1)) >= capacity // 2 - 1


def test_nothing_is_kept_where_it_would_not_be_used():
    for settings in ({"capacity": 0}, {"capacity": 1}, {"step_size": Constant(0.1)}):
        model = OnlineGMM(2, warm_up=10, seed=1, **settings)
        model.learn_many(blobs(100, 2, seed=1))
        assert kept(model, 2).size == 0
        assert model.start.n_points == 10


def test_the_start_grows_while_all_points_are_kept():
    X = blobs(500, 2, seed=2)
    model = OnlineGMM(3, warm_up=50, capacity=400, seed=1)
    sizes = []
    for x in X:
        model.learn_one(dict(enumerate(x)))
        if model.start is not None and (not sizes or sizes[-1] != model.start.n_points):
            sizes.append(model.start.n_points)
    assert sizes == [50, 100, 200, 400]
    best = fit(X[:400], model.start.mixture, model.start.prior, tol=1e-6).log_likelihood
    assert best - model.start.log_likelihood < 1e-3


def test_a_regime_that_comes_late_is_found():
    """The first 300 points show one regime of three."""
    rng = np.random.default_rng(1)
    levels = np.concatenate([np.zeros(300), rng.choice([0.0, 8.0, 30.0], size=5000)])
    X = rng.normal(levels, 1.0)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X)
    np.testing.assert_allclose(np.sort(model.mixture.means.ravel()), [0, 8, 30], atol=0.3)
    plain = OnlineGMM(3, warm_up=100, capacity=0, seed=1)
    plain.learn_many(X)
    assert np.abs(np.sort(plain.mixture.means.ravel()) - [0, 8, 30]).max() > 1.0


def test_a_late_fit_is_not_taken_up_without_need(compiled):
    """Beyond its capacity a model of a steady stream keeps what the stream has made of it."""
    X = blobs(20_000 if compiled else 2_000, 2, seed=3)
    model = OnlineGMM(3, warm_up=100, capacity=400, seed=1)
    model.learn_many(X)
    assert model.start.n_points == 400


def test_components_keep_their_numbers():
    X = blobs(3000, 2, seed=4)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X[:150])
    early = model.predict_many(X)
    model.learn_many(X[150:])
    assert np.mean(early == model.predict_many(X)) > 0.95
    assert adjusted_rand_score(early, model.predict_many(X)) > 0.9


def test_a_few_outliers_are_left_out_of_a_fit():
    X = blobs(800, 2, seed=5)
    hit = X.copy()
    hit[150:160] = 1e149
    models = [OnlineGMM(3, warm_up=100, seed=1) for _ in range(2)]
    for model, rows in zip(models, (X, hit), strict=True):
        model.learn_many(rows)
    assert models[1].mixture.matched_to(models[0].mixture).error(models[0].mixture) < 0.2
    assert models[1].n_outliers == 10


def test_units_do_not_matter_for_a_fit():
    X = blobs(1000, 2, seed=6)
    models = [OnlineGMM(3, warm_up=100, capacity=200, seed=1) for _ in range(2)]
    models[0].learn_many(X)
    models[1].learn_many(X * 1e6)
    np.testing.assert_array_equal(models[0].predict_many(X), models[1].predict_many(X * 1e6))
