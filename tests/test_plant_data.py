"""Channels as plants have them: some say the same twice, some never move."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM, OnlineHMM
from online_gmm.em.how_many import informative, select
from online_gmm.em.prior import Prior, least_sds
from tests.conftest import on_one_kernel


def two_levels(apart, n=2000, stay=25, seed=1):
    """One channel in two regimes that alternate, and the regime of each row."""
    rng = np.random.default_rng(seed)
    regimes = np.arange(n) // stay % 2
    return rng.normal(apart * regimes, 1.0), regimes


def copies(x, n_features, noise, seed=2):
    """The channel and copies of it in other units, with noise in units of the channel."""
    rng = np.random.default_rng(seed)
    others = [1.8 * (x + noise * rng.normal(size=len(x))) + 32.0 for _ in range(n_features - 1)]
    return np.column_stack([x, *others])


@on_one_kernel
@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM])
@pytest.mark.parametrize(("n_features", "noise"), [(2, 0.0), (2, 0.1), (6, 0.01), (10, 0.0)])
def test_copies_of_a_channel_change_nothing(learner, n_features, noise):
    x, regimes = two_levels(7.0, 2000)
    alone = learner(2, seed=1, n_init=4)
    alone.learn_many(x[:, None])
    X = copies(x, n_features, noise)
    model = learner(2, seed=1, n_init=4)
    model.learn_many(X)
    assert adjusted_rand_score(alone.predict_many(x[:, None]), model.predict_many(X)) > 0.98
    assert adjusted_rand_score(regimes, model.predict_many(X)) > 0.97


@on_one_kernel
@pytest.mark.parametrize(("n_features", "noise"), [(2, 0.0), (10, 0.0), (10, 0.01), (10, 0.1)])
def test_copies_do_not_change_the_number_of_components(n_features, noise):
    x, _ = two_levels(7.0, 200)
    X = copies(x, n_features, noise)
    start = OnlineGMM("auto", seed=1).fit_start(X).start
    assert start.mixture.n_components == 2
    assert select(X, 3, tuple(range(n_features)), seed=1)[0].n_components == 2


def test_a_difference_that_has_regimes_is_informative():
    """Two flows say the same, but for a leak between them."""
    x, _ = two_levels(30.0, 400)
    rng = np.random.default_rng(3)
    leak = 0.5 * (np.arange(400) // 100 % 2)
    assert informative(np.column_stack([x, x + leak + rng.normal(0, 0.05, 400)])) == [0, 1]
    assert informative(np.column_stack([x, x + rng.normal(0, 0.05, 400)])) == [0]
    assert informative(np.column_stack([np.full(400, 7.0), x])) == [1]
    assert informative(np.full((5, 2), 7.0)) == [0]


def test_the_prior_is_diagonal_unless_features_repeat_each_other():
    x, _ = two_levels(0.0, 400)
    rng = np.random.default_rng(4)
    X = np.column_stack([x, 0.9 * x + 0.5 * rng.normal(size=400), rng.normal(size=400)])
    prior = Prior.of(X, 3, 1.0)
    np.testing.assert_array_equal(prior.covariance, np.diag(prior.variances))
    repeated = Prior.of(copies(x, 2, 0.01), 3, 1.0)
    eigenvalues = np.linalg.eigvalsh(repeated.covariance / np.sqrt(np.prod(repeated.variances)))
    assert eigenvalues.min() < 0.01 * eigenvalues.max()


def test_few_values_are_levels_and_many_are_rounded():
    nan = np.nan
    columns = [[70.0, 70.5, 72.0, nan, nan], [0.0, 1.0, 2.0, 3.0, nan], np.arange(5.0), [70.0] * 5]
    sds = least_sds(np.array(columns))
    np.testing.assert_array_equal(sds, [0.5 / 6.0, 1.0 / 6.0, 1.0 / np.sqrt(2.0 * np.pi), 0.0])


@on_one_kernel
def test_counts_are_not_a_component_each(compiled):
    x = np.random.default_rng(1).poisson(2.0, 4000 if compiled else 1000)
    model = OnlineGMM("auto", seed=1)
    model.learn_many(x[:, None].astype(float))
    assert len(model.labels) == 1


@on_one_kernel
def test_regimes_of_rounded_readings(compiled):
    scores = []
    for seed in range(4 if compiled else 1):
        rng = np.random.default_rng(seed)
        n = 6000 if compiled else 1500
        regimes = np.repeat(rng.permuted(np.tile([0, 1, 2], 10)), n // 30)
        x = np.round(np.array([0.0, 2.0, 5.0])[regimes] + 0.4 * rng.normal(size=n))
        model = OnlineHMM("auto", seed=1)
        labels = model.label_then_learn_many(x[:, None]).labels
        # values between two regimes may be some more
        assert 3 <= len(model.labels) <= 6
        scores.append(adjusted_rand_score(regimes[n // 2 :], labels[n // 2 :]))
    assert np.mean(scores) > 0.93


@on_one_kernel
def test_each_of_few_values_may_be_a_regime():
    values = np.repeat(np.random.default_rng(3).permuted(np.tile(np.arange(4), 8)), 25)
    model = OnlineGMM("auto", seed=1).fit_start(values[:, None].astype(float))
    assert len(model.labels) == 4


def test_a_wild_reading_of_a_channel_that_never_moved_is_an_outlier():
    model = OnlineGMM(1, warm_up=50, seed=1)
    model.learn_many(np.full(200, 7.0))
    assert model.assign_one({0: 1007.0}).outlier
    assert not model.assign_one({0: 7.0}).outlier
    model.learn_one({0: 1007.0})
    assert model.n_outliers == 1
    assert model.centers[0][0] == pytest.approx(7.0)


@on_one_kernel
@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM])
def test_a_wild_reading_of_a_setpoint_keeps_the_regimes(learner, compiled):
    n = 3000 if compiled else 800
    x, regimes = two_levels(8.0, n, stay=50)
    X = np.column_stack([np.full(n, 70.0), x])
    X[n // 2, 0] = 6553.5
    model = learner(2, warm_up=200, seed=1, n_init=4)
    model.learn_many(X)
    assert model.n_outliers == 1
    usual = np.arange(n) != n // 2
    assert adjusted_rand_score(regimes[usual], model.predict_many(X[usual])) > 0.97


@on_one_kernel
def test_a_channel_that_begins_to_move_joins_in(compiled):
    """A setpoint stands still for longer than the warm-up, and then tells the regimes."""
    n = 6000 if compiled else 1600
    rng = np.random.default_rng(5)
    regimes = np.arange(n) // 50 % 2
    setpoint = np.where(np.arange(n) < n // 4, 70.0, 70.0 + 5.0 * regimes)
    X = np.column_stack([setpoint, rng.normal(size=n)])
    model = OnlineGMM(2, warm_up=100, seed=1, n_init=4)
    model.learn_many(X)
    later = slice(n // 2, n)
    assert adjusted_rand_score(regimes[later], model.predict_many(X[later])) > 0.97
