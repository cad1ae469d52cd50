"""Single wild readings among the first rows: they are outliers, and take no regime's place."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM, OnlineHMM
from tests.conftest import on_one_kernel

KINDS = {"mixture": OnlineGMM, "chain": OnlineHMM}
WILD = {20: (6553.5, 0), 61: (-300.0, 1), 75: (6553.5, 1)}


@pytest.fixture(params=KINDS)
def make(request):
    return lambda k=2, **options: KINDS[request.param](
        k, **{"warm_up": 100, "n_init": 4, "seed": 1, **options}
    )


@pytest.fixture(params=["both", "one"])
def series(request):
    """Two levels, both or one of them among the first 100 rows, and wild readings among these."""
    rng = np.random.default_rng(3)
    stay = 40 if request.param == "both" else 150
    states = np.arange(600) // stay % 2
    X = rng.normal(np.array([[10.0, 5.0], [18.0, 6.5]])[states], [1.0, 0.4])
    for row, (value, channel) in WILD.items():
        X[row, channel] = value
    return X, states


@on_one_kernel
def test_they_are_counted_and_the_levels_are_found(make, series):
    X, states = series
    model = make()
    model.fit_start(X[:100])
    assert model.n_outliers == len(WILD)
    assert model.n_points == 100
    assert (np.abs(model.mixture.means) < 30.0).all()
    model.learn_many(X[100:])
    assert model.n_points == 600
    np.testing.assert_allclose(model.mixture.means, [[10.0, 5.0], [18.0, 6.5]], atol=0.5)
    assert adjusted_rand_score(states[100:], model.predict_many(X[100:])) > 0.98


def test_they_take_no_place_where_k_components_are_made_at_once(make):
    rng = np.random.default_rng(4)
    X = rng.normal(np.arange(400)[:, None] // 30 % 2 * 9.0, 1.0)
    X[50] = 6553.5
    model = make(capacity=0)
    model.learn_many(X)
    assert model.n_outliers == 1
    np.testing.assert_allclose(model.mixture.means.ravel(), [0.0, 9.0], atol=0.6)


def test_without_a_gate_nothing_is_set_aside(make, series):
    model = make(gate=0.0)
    model.fit_start(series[0][:100])
    assert model.n_outliers == 0
    assert np.abs(model.mixture.means).max() > 50.0


def test_readings_that_come_again_are_a_regime_of_their_own(make):
    rng = np.random.default_rng(5)
    X = rng.normal(np.arange(300)[:, None] // 30 % 2 * 9.0, 1.0)
    X[98:100] = rng.normal(60.0, 1.0, (2, 1))
    X[110:121] = rng.normal(60.0, 1.0, (11, 1))
    model = make(3)
    model.fit_start(X[:100])
    assert len(model.labels) == 2
    assert model.n_outliers == 2
    model.learn_many(X[100:119])
    # the two of the warm start count among the twelve
    assert not model.events
    model.learn_many(X[119:120])
    (born,) = model.events
    assert (born.kind, born.number, born.n_points) == ("born", 2, 120)
    assert abs(born.after[0] - 60.0) < 1.0


@on_one_kernel
def test_as_bytes_and_row_by_row(make, series, compiled):
    X, _ = series
    one, many = make(features=[0, 1]), make(features=[0, 1])
    for row in X[:130].tolist():
        one.learn_one(dict(enumerate(row)))
    many.learn_many(X[:100])
    again = type(many).from_bytes(many.to_bytes())
    again.learn_many(X[100:130])
    assert again.n_outliers == len(WILD)
    assert again.to_bytes() == one.to_bytes()
