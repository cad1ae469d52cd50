"""OnlineHMM in continuous time."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from online_gmm import OnlineHMM
from tests import naive_hmm
from tests.conftest import on_one_kernel
from tests.test_chain import regimes, sticky
from tests.test_hmm import LEVELS, state

RATES = np.array([[-0.05, 0.03, 0.02], [0.04, -0.08, 0.04], [0.02, 0.04, -0.06]])
FEW = {"warm_up": 60, "n_init": 2, "capacity": 0, "time": "t", "seed": 1}


def frame_of(n, rates=RATES, seed=1, mixed=False):
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1.0, n)
    if mixed:
        gaps *= rng.choice([0.05, 1.0, 10.0], n)
    X, z = regimes(n, LEVELS, rates, seed, gaps)
    return pd.DataFrame({"x": X[:, 0], "t": np.cumsum(gaps)}), z


def learnt(frame, **more):
    model = OnlineHMM(3, **(FEW | more))
    model.learn_many(frame)
    return model


@on_one_kernel
@pytest.mark.parametrize("mixed", [False, True])
def test_random_times_give_the_rates(mixed, compiled):
    n = 6000 if compiled else 300
    frame, _ = frame_of(n, mixed=mixed)
    model = learnt(frame, warm_up=200, capacity=1600 if compiled else 0)
    if compiled:
        order = np.argsort(model.mixture.means.ravel())
        rates = model.transition[np.ix_(order, order)]
        np.testing.assert_allclose(rates, RATES, atol=0.025)
        np.testing.assert_allclose(model.dwell[order], -1 / np.diagonal(RATES), rtol=0.35)
    np.testing.assert_allclose(model.transition.sum(axis=1), 0.0, atol=1e-12)


def test_regular_times_are_steps():
    n = 600
    X, _ = regimes(n, LEVELS, sticky(3, 0.9), 1)
    steps = OnlineHMM(3, **(FEW | {"time": None}))
    steps.learn_many(pd.DataFrame({"x": X[:, 0]}))
    timed = learnt(pd.DataFrame({"x": X[:, 0], "t": 2.0 * np.arange(n)}))
    over = naive_hmm.expm(timed.transition * 2.0)
    np.testing.assert_allclose(over, steps.transition, atol=0.04)
    np.testing.assert_allclose(timed.mixture.means, steps.mixture.means, atol=0.1)


def test_a_long_gap_relaxes_the_belief():
    frame, _ = frame_of(120)
    model = learnt(frame)
    last = frame["t"].iloc[-1]
    expected = naive_hmm.stationary(model.transition, timed=True)
    seen = model.predict_proba_one({}, t=last + 1e7)
    assert list(seen.values()) == pytest.approx(expected, abs=1e-9)
    near = list(model.predict_proba_one({}, t=last + 1e-9).values())
    assert near == pytest.approx(list(model.belief.values()), abs=1e-6)
    before = model.transition
    model.learn_one({"x": 0.0}, t=last + 1e7)
    # a gap that tells nothing of the rates moves none
    np.testing.assert_allclose(model.transition, before, rtol=0.2)


def test_units_of_time():
    frame, _ = frame_of(160)
    one = learnt(frame)
    other = learnt(frame.assign(t=frame["t"] * 1024.0))
    np.testing.assert_allclose(other.transition * 1024.0, one.transition, rtol=1e-6)
    np.testing.assert_array_equal(
        other.predict_many(frame.assign(t=frame["t"] * 1024.0)), one.predict_many(frame)
    )


@on_one_kernel
def test_times_of_every_kind_are_the_same():
    frame, _ = frame_of(150)
    # microseconds are what a datetime holds
    frame["t"] = frame["t"].round(6)
    dates = pd.Timestamp("1970-01-01") + pd.to_timedelta((frame["t"] * 1e6).round(), unit="us")
    many, refitted = learnt(frame, lag=3), learnt(frame, lag=3, capacity=130)
    for model, capacity in ((many, 0), (refitted, 130)):
        by_key = OnlineHMM(3, **(FEW | {"lag": 3, "capacity": capacity}))
        by_argument = OnlineHMM(3, **(FEW | {"lag": 3, "capacity": capacity, "time": None}))
        for row, date in zip(frame.to_dict("records"), dates, strict=True):
            by_key.learn_one(row)
            by_argument.learn_one({"x": row["x"]}, t=date.to_pydatetime())
        assert by_key._stream.state() == model._stream.state()
        np.testing.assert_allclose(by_argument.transition, model.transition, rtol=1e-6)
    polars = OnlineHMM(3, **(FEW | {"lag": 3}))
    polars.learn_many(pl.DataFrame(frame.to_dict("list")))
    assert polars._stream.state() == many._stream.state()
    assert many.smoothed.time == frame["t"].iloc[-4]
    assert many.predict_one({"x": 0.0}, t=datetime.datetime(2030, 1, 1)) in range(3)


@on_one_kernel
def test_late_points_are_those_of_the_last_moment():
    frame, _ = frame_of(150)
    twice = pd.concat([frame[:80], frame[75:]])
    with pytest.raises(ValueError, match="row 80: time"):
        learnt(twice)
    skipped = learnt(twice, late="skip")
    assert skipped.n_late == 5
    assert skipped._stream.state() == learnt(frame)._stream.state()
    for capacity in (0, 130):
        model = learnt(twice, late="learn", capacity=capacity)
        assert model._last_time == frame["t"].iloc[-1]
        np.testing.assert_allclose(
            np.sort(np.diagonal(model.transition)),
            np.sort(np.diagonal(learnt(frame).transition)),
            atol=0.05,
        )
        assert (np.diagonal(model.transition) < 0).all()


def test_points_without_the_time_they_need_change_nothing():
    frame, _ = frame_of(100)
    model = learnt(frame)
    before = state(model)
    for act in (model.learn_one, model.predict_one, model.log_density_one):
        with pytest.raises(ValueError, match="this point has no time"):
            act({"x": 0.0})
    rows = frame[["x"]]
    for act in (model.learn_many, model.predict_many, model.smooth_many, model.decode_many):
        with pytest.raises(ValueError, match="column 't' is not among 'x'"):
            act(rows)
    assert state(model) == before
    # the argument will do where the key is missing
    model.learn_one({"x": 0.0}, t=frame["t"].iloc[-1] + 1.0)


def test_one_regime_has_no_rates():
    frame, _ = frame_of(80)
    model = OnlineHMM(1, **FEW)
    model.learn_many(frame)
    assert model.transition.tolist() == [[0.0]]
    assert model.dwell.tolist() == [np.inf]
