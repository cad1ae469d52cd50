"""Models that learnt apart become one."""

import copy

import numpy as np
import pytest
from river import cluster
from scipy.integrate import quad

from online_gmm import HalfLife, MixtureParameters, OnlineGMM, OnlineHMM
from online_gmm.em.batch import fit
from online_gmm.em.mixture import from_kernel
from online_gmm.em.prior import Prior
from tests.conftest import bytes_of_kernels, on_one_kernel
from tests.test_kernel import TYPES, blobs

TRUTH = MixtureParameters([0.5, 0.3, 0.2], [[-3.0], [0.0], [4.0]], [[[1.0]], [[0.64]], [[2.25]]])


def divergence(mixture, truth=TRUTH):
    """KL(truth, mixture) of one feature, by quadrature."""

    def integrand(x):
        log_p = truth.score_samples([[x]])[0]
        return np.exp(log_p) * (log_p - mixture.score_samples([[x]])[0])

    return quad(integrand, -14.0, 16.0, points=[-3.0, 0.0, 4.0], limit=200)[0]


def shards(covariance_type, same_start, n=4, capacity=800, n_rows=400):
    X = blobs(n_rows * n, 3, seed=1)
    settings = {"covariance_type": covariance_type, "warm_up": 100, "capacity": capacity}
    first = OnlineGMM(3, seed=1, **settings)
    first.fit_start(X[:100])
    models = []
    for i, rows in enumerate(np.array_split(X, n)):
        model = OnlineGMM(3, seed=i, **settings)
        if same_start:
            model = copy.copy(first)
            model._stream = copy.deepcopy(first._stream)
        model.learn_many(rows)
        models.append(model)
    return models


def merged(models, order):
    result = copy.deepcopy(models[order[0]])
    for i in order[1:]:
        result.merge(models[i])
    return result


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("same_start", [True, False])
def test_order_of_merging_does_not_matter(covariance_type, same_start):
    models = shards(covariance_type, same_start)
    before = [m._stream.state() for m in models]
    one = merged(models, [0, 1, 2, 3])
    two = merged(models, [3, 1, 0, 2])
    left, right = merged(models, [0, 1]), merged(models, [2, 3])
    three = left.merge(right)
    for other in (two, three):
        assert other.mixture.matched_to(one.mixture).error(one.mixture) < 1e-10
        assert other.n_points == one.n_points == sum(m.n_points for m in models)
    assert [m._stream.state() for m in models] == before


@on_one_kernel
@pytest.mark.parametrize("order", [[2, 0, 1], [1, 2, 0], [1, 0, 2]])
@pytest.mark.parametrize("capacity", [0, 800])
def test_labels_are_matched_when_models_started_apart(order, capacity):
    X = blobs(800, 2, seed=4)
    one, other = (OnlineGMM(3, capacity=capacity, seed=1) for _ in range(2))
    one.fit_start(X[:200]).learn_many(X[200:400])
    other.fit_start(X[400:600]).learn_many(X[600:])
    before, numbered = one.mixture, other.mixture
    other._stream.reorder(order)
    # weights are normalised by their sum, which depends on the order in the last digit
    assert other.mixture.error(numbered.reordered(order)) < 1e-15
    one.merge(other)
    stream = one._stream
    for part in (stream.iterate_components, stream.average_components, stream.components):
        assert from_kernel(part).error(before) < 0.5
    np.testing.assert_array_equal(one.mixture.predict(X), before.predict(X))


@on_one_kernel
def test_four_shards_are_nearly_as_good_as_batch():
    online = best = 0.0
    for seed in range(5):
        X, _ = TRUTH.sample(100_000, seed)
        models = [OnlineGMM(3, seed=1) for _ in range(4)]
        for model, rows in zip(models, np.array_split(X, 4), strict=True):
            model.learn_many(rows)
        online += divergence(merged(models, range(4)).mixture)
        best += divergence(fit(X, TRUTH, Prior.of(X, 3, 1e-3), tol=1e-6).mixture)
    assert online / best < 1.5


@on_one_kernel
@pytest.mark.parametrize("same_start", [True, False])
def test_both_kernels_merge_alike(same_start, monkeypatch):
    def learnt():
        both = merged(shards("full", same_start, n=2, n_rows=200), [0, 1])
        both.learn_many(blobs(100, 3, seed=2))
        return both

    assert len(bytes_of_kernels(learnt, monkeypatch)) == 1


@on_one_kernel
def test_goes_on_learning_as_one():
    models = shards("full", same_start=True, n=2, capacity=0)
    both = merged(models, [0, 1])
    X = blobs(3000, 3, seed=1)
    step = (both.n_points + 1) ** -0.7
    before = np.frombuffer(both._stream.iterate_components.state()["weight"])
    r = both._stream.iterate_components
    both.learn_many(X[:1])
    after = np.frombuffer(both._stream.iterate_components.state()["weight"])
    assert np.abs(after - before).max() <= step
    assert np.abs(after - before).max() > step / 4
    both.learn_many(X[1:])
    assert r is both._stream.iterate_components


@pytest.mark.parametrize(("a", "b"), [(30, 40), (30, 80), (80, 30), (150, 30), (30, 150)])
def test_models_that_have_not_started(a, b):
    X = blobs(200, 2, seed=1)
    one, other = (OnlineGMM(2, warm_up=100, seed=1) for _ in range(2))
    one.learn_many(X[:a])
    other.learn_many(X[a : a + b])
    one.merge(other)
    assert one.n_points == a + b
    assert one.is_started == (a + b >= 100)
    if a < 100 and b < 100:
        whole = OnlineGMM(2, warm_up=100, seed=1)
        whole.learn_many(X[: a + b])
        assert whole.is_started == one.is_started
        if one.is_started:
            assert whole._stream.state() == one._stream.state()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 2}, "differ in n_components cannot be merged: 3 and 2"),
        ({"covariance_type": "diag"}, "differ in covariance_type"),
        ({"step_size": HalfLife(100)}, "differ in step_size"),
        ({"prior_strength": 1.0}, "differ in prior"),
    ],
)
def test_models_that_differ(settings, message):
    with pytest.raises(ValueError, match=message):
        OnlineGMM(3).merge(OnlineGMM(**{"n_components": 3, **settings}))


def test_a_model_is_not_merged_with_itself_nor_with_what_is_none():
    model = OnlineGMM(2, seed=1).fit_start(blobs(50, 2, seed=1))
    before = model.to_bytes()
    with pytest.raises(ValueError, match="merged with itself: its points would count twice"):
        model.merge(model)
    for other in (cluster.KMeans(), OnlineHMM(2), None):
        with pytest.raises(TypeError, match="OnlineGMM merges with its like, not with"):
            model.merge(other)
    assert model.to_bytes() == before


def test_models_that_have_found_other_numbers_are_told_how_to_be_merged():
    rng = np.random.default_rng(1)
    X = rng.normal(np.repeat([0.0, 9.0, 30.0], 200), 1.0)
    settings = {"n_components": 3, "seed": 1}
    one, other = (OnlineGMM(**settings).fit_start(rows) for rows in (X[:400], X))
    with pytest.raises(ValueError, match=r"found 2 and 3 .*, or make both with capacity"):
        one.merge(other)
    one, other = (OnlineGMM(**settings, capacity=0).fit_start(rows) for rows in (X[:400], X))
    assert one.merge(other).n_points == 1000


def test_models_of_different_features():
    one = OnlineGMM(2, features=None, seed=1).fit_start(blobs(50, 2, seed=1))
    other = OnlineGMM(2, features=None, seed=1).fit_start(blobs(50, 3, seed=1))
    with pytest.raises(
        ValueError, match="know different features cannot be merged: 0, 1 and 0, 1, 2"
    ):
        one.merge(other)


@on_one_kernel
def test_names_are_those_of_the_components_that_became_one():
    rng = np.random.default_rng(5)
    X = rng.normal(rng.choice([0.0, 9.0, 30.0], size=3000), 1.0)
    one, other = OnlineGMM(3, seed=1), OnlineGMM(3, seed=2)
    one.learn_many(X[:1500])
    other.learn_many(X[1500:])
    one.rename(0, "idle")
    other.rename(0, "off")
    other.rename(2, "run")
    assert one.merge(other).names == {0: "idle", 2: "run"}
    assert OnlineGMM(3, seed=3).merge(other).names == {0: "off", 2: "run"}
