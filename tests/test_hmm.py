"""OnlineHMM as its users meet it."""

import copy
import itertools
import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from online_gmm import Constant, HalfLife, MixtureParameters, OnlineHMM, PowerDecay
from tests import naive_hmm
from tests.conftest import KERNELS, on_one_kernel
from tests.test_bad_input import REFUSED
from tests.test_chain import random_chain, regimes, sticky
from tests.test_gmm import dicts
from tests.test_kernel import TYPES

LEVELS = MixtureParameters(np.ones(3) / 3, [[-4.0], [0.0], [4.0]], np.ones((3, 1, 1)))
PLANE = MixtureParameters(np.ones(3) / 3, [[-4.0, 1.0], [0.0, -2.0], [4.0, 1.0]], [np.eye(2)] * 3)


def series(n, mixture=PLANE, stay=0.95, seed=1, **more):
    return regimes(n, mixture, sticky(mixture.n_components, stay), seed, **more)[0]


def started(n=160, **more):
    X = series(n)
    more = {"warm_up": 60, "n_init": 4, "seed": 1, "capacity": 0, "features": ["a", "b"]} | more
    model = OnlineHMM(3, **more)
    for x in dicts(X):
        model.learn_one(x)
    return model, X


def accuracy(labels, truth):
    return float(np.mean(np.asarray(labels) == truth))


def state(model):
    return None if model._stream is None else model._stream.state(), repr(model._buffer)


# steps too small to move anything, and no prior that fades as points are counted
FROZEN = {"step_size": Constant(1e-300), "average": False, "prior_strength": 0.0, "stickiness": 0.0}


# -- labels -------------------------------------------------------------------------------------


def test_before_the_warm_start_answers_are_defined():
    model = OnlineHMM(4, warm_up=10, lag=2)
    model.learn_one({"a": 1.0})
    assert model.predict_one({"a": 1.0}) == -1
    assert model.predict_proba_one({}) == model.belief == {}
    assert math.isnan(model.log_density_one({"a": 1.0}))
    assert model.assign_one({"a": 1.0}).label == -1
    assert model.smoothed is None
    assert model.centers == {}
    X = pd.DataFrame({"a": np.zeros(3)})
    assert model.predict_many(X).tolist() == model.decode_many(X).tolist() == [-1, -1, -1]
    assert model.smooth_many(X).shape == (3, 0)
    with pytest.raises(ValueError, match="1 of 10 warm-up points"):
        _ = model.transition


@pytest.mark.parametrize("average", [True, False])
def test_answers_change_nothing(average):
    model, X = started(average=average, lag=3)
    before = pickle.dumps(model)
    for x in [*dicts(X[:20]), {}, {"a": None}, {"a": 1e140, "b": 0.0}]:
        model.predict_one(x)
        model.predict_proba_one(x)
        model.log_density_one(x)
        model.assign_one(x)
    for answer in (
        model.predict_many,
        model.predict_proba_many,
        model.log_density_many,
        model.assign_many,
        model.smooth_many,
        model.decode_many,
    ):
        answer(X)
        assert len(answer(pd.DataFrame(X[:0], columns=["a", "b"]))) == 0
    _ = model.mixture, model.centers, model.transition, model.dwell, model.smoothed, model.belief
    assert pickle.dumps(model) == before


@on_one_kernel
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 99), scale=st.sampled_from([1.0, 1e3, 1e140]))
def test_a_label_is_not_changed_by_any_future(seed, cut, scale):
    past = series(100, seed=3)
    future = np.random.default_rng(seed).normal(0, scale, (40, 2))

    def labels(X):
        model = OnlineHMM(3, warm_up=40, capacity=80, n_init=2, seed=1)
        found = []
        for x in dicts(X):
            found.append(model.assign_one(x))
            model.learn_one(x)
        return repr(found[: cut + 1])

    assert labels(past) == labels(np.vstack([past[: cut + 1], future]))
    model, _ = started()
    whole = model.predict_proba_many(np.vstack([past[: cut + 1], future]))
    np.testing.assert_array_equal(whole[: cut + 1], model.predict_proba_many(past[: cut + 1]))


def test_many_answers_are_those_of_one_that_follows_the_points():
    model, X = started(**FROZEN)
    proba, scores = model.predict_proba_many(X), model.log_density_many(X)
    labels, table = model.predict_many(X), model.assign_many(X)
    for i, x in enumerate(dicts(X)):
        one = model.assign_one(x)
        assert proba[i].tolist() == pytest.approx(list(model.predict_proba_one(x).values()))
        assert scores[i] == pytest.approx(model.log_density_one(x))
        assert labels[i] == model.predict_one(x) == one.label
        assert list(table.one(i)) == pytest.approx(list(one))
        model.learn_one(x)


def test_first_of_many_is_one():
    model, X = started()
    x = dicts(X)[0]
    assert model.predict_many(X)[0] == model.predict_one(x)
    assert model.predict_proba_many(X)[0].tolist() == list(model.predict_proba_one(x).values())
    assert model.log_density_many(X)[0] == model.log_density_one(x)


def test_frames_come_back_as_they_came():
    model, X = started()
    frame = pd.DataFrame(X, columns=["a", "b"], index=pd.date_range("2024", periods=len(X)))
    polars = pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    for answer in (model.predict_many, model.decode_many, model.log_density_many):
        assert isinstance(answer(frame), pd.Series)
        assert isinstance(answer(polars), pl.Series)
        np.testing.assert_array_equal(answer(polars).to_numpy(), answer(frame).to_numpy())
    for answer in (model.predict_proba_many, model.smooth_many, model.assign_many):
        pd.testing.assert_index_equal(answer(frame).index, frame.index)
        assert isinstance(answer(polars), pl.DataFrame)
    assert model.smooth_many(X).shape == (len(X), 3)


@on_one_kernel
def test_looking_back_is_smoothing():
    lag = 7
    model, X = started(140, warm_up=120, lag=lag, **FROZEN)
    more = series(40, seed=9)
    mixture, transition = model.mixture, model.transition
    pi = np.array(list(model.belief.values())) @ transition
    for n in range(1, 41):
        model.learn_one(dicts(more)[n - 1])
        log_b = naive_hmm.log_densities(more[:n], mixture.means, mixture.covariances)
        gamma = naive_hmm.forward_backward(log_b, [transition] * (n - 1), pi)[1]
        for back in range(min(n, lag + 1)):
            seen = model.look_back(back)
            assert seen.n == len(X) + n - 1 - back
            assert list(seen.probabilities.values()) == pytest.approx(gamma[-1 - back], abs=1e-7)
            assert (
                seen.probability
                == seen.probabilities[seen.label]
                == max(seen.probabilities.values())
            )
            assert math.isnan(seen.time)
    assert model.smoothed.probabilities == model.look_back(lag).probabilities
    assert model.look_back(0).probabilities == model.belief
    with pytest.raises(ValueError, match="lag is 8; this model looks back 0 to 7 points"):
        model.look_back(8)
    with pytest.raises(ValueError, match="lag is -1"):
        model.look_back(-1)


def test_after_sight_is_lost_the_regime_may_be_any():
    lag = 4
    model, _ = started(140, warm_up=120, lag=lag, **FROZEN)
    mixture, transition = model.mixture, model.transition
    pi = naive_hmm.stationary(transition)
    before = [model.look_back(back).probabilities for back in range(lag + 1)]
    model.reset_state()
    assert list(model.belief.values()) == pytest.approx(pi, abs=1e-9)
    # of the points before the gap all is known that ever will be
    for back in range(lag + 1):
        seen = model.look_back(back)
        assert seen.probabilities == pytest.approx(before[back], abs=1e-12)
    more = series(10, seed=9)
    for n, x in enumerate(dicts(more), 1):
        log_b = naive_hmm.log_densities(more[:n], mixture.means, mixture.covariances)
        alpha, gamma, _, log_p = naive_hmm.forward_backward(log_b, [transition] * (n - 1), pi)
        assert list(model.predict_proba_one(x).values()) == pytest.approx(alpha[-1], abs=1e-9)
        assert model.log_density_one(x) == pytest.approx(log_p[-1], rel=1e-9)
        again = OnlineHMM.from_bytes(model.to_bytes())
        again.learn_one(x)
        model.learn_one(x)
        assert again.to_bytes() == model.to_bytes()
        assert list(model.belief.values()) == pytest.approx(alpha[-1], abs=1e-9)
        for back in range(lag + 1):
            expected = gamma[-1 - back] if back < n else list(before[back - n].values())
            probabilities = list(model.look_back(back).probabilities.values())
            assert probabilities == pytest.approx(expected, abs=1e-7)
    np.testing.assert_allclose(model.transition, transition)
    np.testing.assert_allclose(model.mixture.means, mixture.means)


@pytest.mark.parametrize("average", [True, False])
def test_a_gap_teaches_nothing(average):
    model, X = started(300, average=average)
    means, transition = model.mixture.means, model.transition
    for _ in range(50):
        model.reset_state()
        model.learn_one({"a": None, "b": None})
    np.testing.assert_allclose(model.mixture.means, means)
    np.testing.assert_allclose(model.transition, transition)
    assert model.n_points == len(X)


def test_nothing_is_in_sight_before_the_start():
    model = OnlineHMM(2, warm_up=10)
    model.learn_one({"x": 1.0})
    before = model.to_bytes()
    model.reset_state()
    assert model.to_bytes() == before


def test_series_as_a_whole(kernel):
    model, _ = started()
    X = series(50, seed=5)
    mixture, transition = model.mixture, model.transition
    log_b = naive_hmm.log_densities(X, mixture.means, mixture.covariances)
    gamma = naive_hmm.forward_backward(log_b, [transition] * 49, naive_hmm.stationary(transition))[
        1
    ]
    np.testing.assert_allclose(model.smooth_many(X), gamma, atol=1e-4)
    # it does not matter what came before
    before = model.decode_many(X)
    model.learn_one({"a": 4.0, "b": 1.0})
    np.testing.assert_array_equal(model.decode_many(X), before)


# -- learning -----------------------------------------------------------------------------------


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
def test_learn_many_is_repeated_learn_one(covariance_type):
    X = series(200, missing=0.1)
    X[150] = np.nan
    settings = {"covariance_type": covariance_type, "warm_up": 40, "n_init": 2, "capacity": 100}
    one = OnlineHMM(3, seed=1, lag=2, **settings)
    for x in dicts(X):
        one.learn_one(x)
    for make in (pd.DataFrame, lambda X, columns: pl.DataFrame(X, schema=columns)):
        many = OnlineHMM(3, seed=1, lag=2, **settings)
        for i, j in itertools.pairwise([0, 30, 40, 41, 79, 130, 200]):
            many.learn_many(make(X[i:j], columns=["a", "b"]))
        assert many._stream.state() == one._stream.state()
    assert one.n_points == 199
    assert one.n_empty == 1


@pytest.mark.parametrize("average", [True, False])
def test_copies_go_on_the_same(average):
    model, X = started(average=average, lag=2)
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert duplicate._stream.state() == model._stream.state()
        here = copy.deepcopy(model)
        here.learn_many(X)
        duplicate.learn_many(X)
        assert duplicate._stream.state() == here._stream.state() != model._stream.state()
    clone = model.clone()
    assert not clone.is_started
    assert clone._get_params() == model._get_params()


@pytest.mark.parametrize("kernel", [min(KERNELS)], indirect=True)
def test_three_regimes_as_well_as_if_they_were_known(kernel):
    """The 12 seeds of `benchmarks/regimes.py` in small; on the compiled kernel if there is one."""
    n = 20_000
    truth = MixtureParameters(np.ones(3) / 3, [[-2.27], [0.0], [2.27]], np.ones((3, 1, 1)))
    for seed in range(3):
        X, z = regimes(n, truth, sticky(3, 0.98), seed)
        model = OnlineHMM(3, seed=seed, capacity=1600)
        labels = model.label_then_learn_many(X).labels
        log_b = naive_hmm.log_densities(X[: n // 8], truth.means, truth.covariances)
        known = naive_hmm.forward_backward(log_b, [sticky(3, 0.98)] * (n // 8 - 1), np.ones(3) / 3)
        best = accuracy(known[0].argmax(axis=1), z[: n // 8])
        # which regime each label stands for; labels that are gone stand for none
        number = np.full(labels.max() + 1, -1)
        number[np.array(model.labels)[model.mixture.order_like(truth)]] = range(3)
        assert accuracy(number[labels[200:]], z[200:]) > best - 0.02
        np.testing.assert_allclose(model.mixture.matched_to(truth).means, truth.means, atol=0.06)
        np.testing.assert_allclose(np.diagonal(model.transition), 0.98, atol=0.006)
        np.testing.assert_allclose(model.dwell, 50.0, rtol=0.3)


@on_one_kernel
@pytest.mark.parametrize("seed", [3, 4])
def test_sixteen_regimes_are_told_apart(seed):
    mixture = MixtureParameters(np.ones(16) / 16, 8.0 * np.arange(16)[:, None], np.ones((16, 1, 1)))
    X, truth = regimes(4_000, mixture, sticky(16, 0.9), seed)
    model = OnlineHMM(16, warm_up=1_000, seed=1)
    model.learn_many(X)
    assert len(model.labels) >= 15
    assert adjusted_rand_score(truth, model.predict_many(X)) > 0.94
    assert np.diagonal(model.transition).mean() == pytest.approx(0.9, abs=0.03)


@on_one_kernel
def test_a_regime_that_comes_after_the_warm_up_is_found():
    early = series(80, LEVELS, seed=2)
    two = early[early[:, 0] < 2.0][:60]
    rest = series(200, LEVELS, stay=0.9, seed=4)
    model = OnlineHMM(3, warm_up=50, capacity=240, n_init=4, seed=1)
    model.learn_many(np.vstack([two, rest]))
    np.testing.assert_allclose(model.mixture.means.ravel(), [-4.0, 0.0, 4.0], atol=0.8)


def test_labels_keep_their_numbers_when_all_is_fitted_again():
    # long enough for all three to be known
    X = series(250, LEVELS)
    model = OnlineHMM(3, warm_up=120, capacity=400, n_init=2, seed=1)
    model.learn_many(X[:239])
    before = model.mixture.means
    model.learn_many(X[239:])
    np.testing.assert_allclose(model.mixture.means, before, atol=1.5)


@on_one_kernel
@pytest.mark.parametrize("step_size", [Constant(0.02), HalfLife(points=50)])
def test_drift_in_levels_and_dwell_is_followed(step_size, compiled):
    n = 4000 if compiled else 500
    slow, fast = series(n, LEVELS, 0.98), series(n, LEVELS, 0.7, seed=2) + 2.0
    model = OnlineHMM(3, warm_up=100, step_size=step_size, seed=1)
    model.learn_many(slow)
    assert np.diagonal(model.transition).min() > 0.85
    for i in range(0, n, 100):
        model.learn_many(slow[:100] + 2.0 * i / n)
    model.learn_many(fast)
    np.testing.assert_allclose(np.sort(model.mixture.means.ravel()), [-2.0, 2.0, 6.0], atol=1.2)
    assert np.diagonal(model.transition).max() < 0.9


@on_one_kernel
def test_repeated_points_are_tempered(compiled):
    single, w = series(150 if compiled else 80, LEVELS), 4
    repeated = np.repeat(single, w, axis=0)

    def entropy(model, X):
        p = model.predict_proba_many(X)
        return float(-(p * np.log(p + 1e-300)).sum(axis=1).mean())

    one = OnlineHMM(3, warm_up=100, n_init=2, capacity=0, seed=1).fit_start(single)
    sure, tempered = (
        OnlineHMM(3, n_init=2, capacity=0, tempering=t, seed=1).fit_start(repeated)
        for t in (1.0, 1.0 / w)
    )
    at_end = slice(w - 1, None, w)
    p = one.predict_proba_many(single)
    error = [np.abs(m.predict_proba_many(repeated)[at_end] - p).mean() for m in (tempered, sure)]
    assert error[0] < 0.02
    assert entropy(tempered, repeated) > entropy(sure, repeated)


@pytest.mark.parametrize("n_components", [1, "auto"])
def test_numbers_of_components(n_components):
    model = OnlineHMM(n_components, max_components=4, warm_up=100, capacity=200, n_init=2, seed=1)
    model.learn_many(series(210, LEVELS, stay=0.5))
    k = 1 if n_components == 1 else 3
    assert model.transition.shape == (k, k)
    assert len(model.centers) == k
    if k == 1:
        assert model.dwell.tolist() == [math.inf]
    else:
        # chosen once, and on record after all has been fitted again
        assert len(model.start.criteria) >= 3


def test_memory_does_not_grow(compiled):
    model, X = started(lag=4)
    size = len(pickle.dumps(model))
    for _ in range(600 if compiled else 3):
        model.learn_many(X)
    assert abs(len(pickle.dumps(model)) - size) < 50


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [30, 80])
@pytest.mark.parametrize(("x", "error", "message"), REFUSED)
def test_refused_points_change_nothing(n, x, error, message):
    model, X = started(n)
    before = state(model)
    with pytest.raises(error, match=message):
        model.learn_one(x)
    if model.is_started:
        with pytest.raises(error, match=message):
            model.predict_one(x)
    bad = X[:3].copy()
    bad[1, 0] = np.inf
    for answer in (model.learn_many, model.predict_many, model.smooth_many, model.decode_many):
        with pytest.raises(ValueError, match="row 1"):
            answer(bad)
    assert state(model) == before


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("size", "capacity"), [(1e6, 200), (1e149, 0)])
def test_points_beyond_reason_move_nothing_and_change_no_regime(covariance_type, size, capacity):
    X = series(220)
    X[100:112] = X[100]
    settings = {"covariance_type": covariance_type, "warm_up": 60, "n_init": 2}
    hit, spared = (OnlineHMM(3, capacity=capacity, seed=1, **settings) for _ in range(2))
    hit.learn_many(X[:112])
    spared.learn_many(X[:112])
    regime, before = hit.predict_one(dict(enumerate(X[111]))), hit.n_outliers
    for i in range(3):
        glitch = {0: size * (-1) ** i, 1: 0.0}
        assert hit.assign_one(glitch).outlier
        assert hit.assign_one(glitch).label == regime
        hit.learn_one(glitch)
        spared.learn_one({})
        assert max(hit.belief, key=hit.belief.get) == regime
    assert hit.n_outliers == before + 3
    for _ in range(2):
        sd = np.sqrt(np.diagonal(spared.mixture.covariances, axis1=1, axis2=2))
        assert (np.abs(hit.mixture.means - spared.mixture.means) < 0.15 * sd).all()
        np.testing.assert_allclose(hit.transition, spared.transition, atol=0.04)
        # past the point where all is fitted again
        hit.learn_many(X[112:])
        spared.learn_many(X[112:])
    assert hit.n_points == spared.n_points + 3


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("values", [[0.0], [-1e12], [1.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
def test_constant_and_repeated_values_stay_finite(covariance_type, values):
    model = OnlineHMM(3, covariance_type=covariance_type, warm_up=12, capacity=40, n_init=2, seed=1)
    for _ in range(60 // len(values)):
        for value in values:
            model.learn_one({"a": value, "b": value})
    assert np.isfinite(model.mixture.means).all()
    assert (np.diagonal(model.mixture.covariances, axis1=1, axis2=2) > 0).all()
    np.testing.assert_allclose(model.transition.sum(axis=1), 1.0)
    assert math.isfinite(model.log_density_one({"a": values[0] + 1.0, "b": values[0]}))


def test_rows_without_values_let_the_belief_relax():
    model, _ = started()
    for _ in range(2000):
        model.learn_one({})
    assert model.n_empty == 2000
    expected = naive_hmm.stationary(model.transition)
    assert list(model.belief.values()) == pytest.approx(expected, abs=1e-9)
    model.learn_one({"a": 4.0, "b": 1.0})
    assert np.isfinite(model.mixture.means).all()


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e9)])
def test_units_and_offset(covariance_type, scale, shift):
    X = series(150)
    settings = {"covariance_type": covariance_type, "warm_up": 60, "capacity": 0, "n_init": 2}
    near, far = (OnlineHMM(3, seed=1, **settings) for _ in range(2))
    near.learn_many(X)
    far.learn_many(X * scale + shift)
    sd = np.sqrt(np.diagonal(near.mixture.covariances, axis1=1, axis2=2))
    assert (np.abs((far.mixture.means - shift) / scale - near.mixture.means) < 1e-4 * sd).all()
    np.testing.assert_allclose(far.transition, near.transition, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(far.predict_many(X * scale + shift), near.predict_many(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "n_components is 0; it must be at least 1"),
        ({"n_components": 17}, "n_components is 17; OnlineHMM takes at most 16"),
        ({"n_components": np.int64(17)}, "n_components is 17"),
        ({"n_components": "auto", "max_components": 18}, "max_components is 18"),
        ({"stickiness": -1.0}, "stickiness is -1.0"),
        ({"stickiness": math.nan}, "stickiness is nan"),
        ({"tempering": 0.0}, "tempering is 0.0"),
        ({"tempering": 1.5}, "tempering is 1.5"),
        ({"lag": -1}, "lag is -1"),
        ({"lag": 2.5}, "lag is 2.5"),
        ({"warm_up": 0}, "warm_up is 0"),
        ({"covariance_type": "round"}, "covariance_type is 'round'"),
        ({"late": "never"}, "late is 'never'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        OnlineHMM(**settings)


# -- a published example ------------------------------------------------------------------------


def test_cappes_two_states(kernel, compiled):
    """Cappe (2011), section 4: a few of the repetitions of `benchmarks/regimes.py`."""
    from benchmarks.regimes import cappe

    n = 8000 if compiled else 300
    found = np.array([cappe(kernel, seed, n) for seed in range(8 if compiled else 1)])
    if compiled:
        # published means and standard deviations of 100 repetitions
        error = np.abs(found.mean(axis=0) - [0.928, 0.942]) / [0.022, 0.079]
        assert (error < 1.5).all()


def test_exponent_one_weighs_alike():
    model, X = started(step_size=PowerDecay(1.0))
    assert not model._averages
    assert model.predict_many(X).max() == 2


@on_one_kernel
def test_random_transitions_are_found(compiled):
    n = 20_000 if compiled else 400
    truth = random_chain(3, 1)
    X, _ = regimes(n, PLANE, truth, 1)
    model = OnlineHMM(3, warm_up=100, capacity=400 if compiled else 0, seed=1)
    model.learn_many(X)
    np.testing.assert_allclose(model.transition, truth, atol=0.03 if compiled else 0.15)


@on_one_kernel
def test_label_then_learn_many_is_assign_one_then_learn_one():
    """On both kernels; `test_learners` has all learners."""
    X = series(160, seed=4)
    settings = {"warm_up": 60, "n_init": 2, "capacity": 120, "features": ["a", "b"], "seed": 1}
    one, many = (OnlineHMM(3, **settings) for _ in range(2))
    expected = []
    for x in dicts(X):
        expected.append(one.assign_one(x))
        one.learn_one(x)
    answers = many.label_then_learn_many(X)
    assert repr([answers.one(i) for i in range(len(X))]) == repr(expected)
    assert many.to_bytes() == one.to_bytes()
