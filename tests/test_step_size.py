"""Step sizes, and the clock that some of them need."""

import datetime
import math
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from river import compose, preprocessing

from online_gmm import Constant, HalfLife, OnlineGMM, PowerDecay


@pytest.mark.parametrize("exponent", [0.5, 0.0, 1.1, math.nan])
def test_exponents_that_do_not_converge(exponent):
    with pytest.raises(ValueError, match="exponent is"):
        PowerDecay(exponent)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PowerDecay(floor=-0.1), "floor is -0.1"),
        (lambda: Constant(0.0), "step is 0.0"),
        (lambda: Constant(1.0), "step is 1.0"),
        (lambda: HalfLife(), "points or seconds"),
        (lambda: HalfLife(points=1, seconds=1), "points or seconds"),
        (lambda: HalfLife(points=0), "a half-life in points is 0"),
        (lambda: HalfLife(seconds=math.inf), "a half-life in seconds is inf"),
        (lambda: HalfLife(seconds="90"), "a half-life is '90'; .* and this has no unit"),
        (lambda: HalfLife(seconds="0s"), "a half-life is '0s'; .*, above 0"),
        (lambda: HalfLife("1h"), "a half-life in points is '1h'; give a time as seconds='1h'"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "hour", [datetime.timedelta(hours=1), "1h", "60min", np.timedelta64(1, "h"), pd.Timedelta("1h")]
)
def test_a_half_life_is_a_time_too(hour):
    model = OnlineGMM(1, time="t", step_size=HalfLife(seconds=hour))
    assert model.step_size == HalfLife(seconds=3600.0)
    assert OnlineGMM.from_bytes(model.to_bytes()).step_size == HalfLife(seconds=3600.0)


def test_a_step_size_of_another_kind():
    with pytest.raises(TypeError, match="step_size is 'fast'; a PowerDecay, Constant or HalfLife"):
        OnlineGMM(1, step_size="fast")


def single(step_size, values, t0=10, times=None):
    """Means of one component after each point, started from t0 zeros and ones."""
    model = OnlineGMM(
        1, step_size=step_size, average=False, gate=0.0, prior_strength=0.0, capacity=0
    )
    model.fit_start(np.arange(t0) % 2.0)
    means = []
    for i, value in enumerate(values):
        model.learn_one({0: value}, t=None if times is None else times[i])
        means.append(model.mixture.means[0, 0])
    return means


@pytest.mark.parametrize(
    "step_size",
    [PowerDecay(0.7), PowerDecay(1.0), PowerDecay(0.7, floor=0.12), Constant(0.2), HalfLife(20)],
)
def test_kernel_takes_the_steps_that_are_stated(step_size):
    values = np.random.default_rng(1).normal(size=60)
    mean, expected = 0.5, []
    for t, value in enumerate(values, start=1):
        mean += step_size(t, 10) * (value - mean)
        expected.append(mean)
    np.testing.assert_allclose(single(step_size, values), expected, rtol=1e-12)


def test_half_life_in_seconds_weighs_by_age():
    """Every point weighs 2^(-age / half-life), whatever the times between them."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=80)
    times = np.cumsum(rng.exponential(5.0, size=80)) * (rng.random(80) < 0.8)
    times = np.maximum.accumulate(times)
    model = OnlineGMM(
        1, step_size=HalfLife(seconds=30.0), gate=0.0, prior_strength=0.0, late="learn", seed=1
    )
    for value, t in zip(values[:5], times[:5], strict=True):
        model.learn_one({"x": value}, t=t)
    model.fit_start()
    for i in range(5, 80):
        model.learn_one({"x": values[i]}, t=times[i])
        ages = times[i] - np.maximum(times[: i + 1], times[4])
        weights = 2.0 ** (-ages / 30.0)
        expected = np.average(values[: i + 1], weights=weights)
        assert model.mixture.means[0, 0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_what_follows_is_reported_as_it_is_now():
    assert OnlineGMM()._averages
    for step_size in (Constant(0.05), HalfLife(100), PowerDecay(0.6, floor=0.01)):
        model = OnlineGMM(2, step_size=step_size, seed=1)
        rng = np.random.default_rng(1)
        for t in range(6000):
            z = int(rng.integers(2))
            model.learn_one({"x": rng.normal(20.0 * z + t / 1000, 1.0)})
        np.testing.assert_allclose(model.mixture.means.ravel(), [6.0, 26.0], atol=0.8)


def timed(n, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(rng.choice([0.0, 9.0], n), 1.0),
            "when": pd.Timestamp("2024-03-01", tz="UTC")
            + pd.to_timedelta(np.cumsum(rng.integers(1, 10**8, n)), unit="us"),
        }
    )


SETTINGS = {"n_components": 2, "warm_up": 50, "time": "when", "seed": 1}


def test_time_as_a_key_is_kept_out_of_the_mixture():
    frame = timed(200)
    model = OnlineGMM(step_size=HalfLife(seconds=3600), **SETTINGS)
    for row in frame.to_dict("records"):
        model.learn_one(row)
        assert model.predict_one(row) in ((0, 1) if model.is_started else (-1,))
    assert model.mixture.features == ("x",)
    assert model.n_unknown == 0
    outside = OnlineGMM(step_size=HalfLife(seconds=3600), **{**SETTINGS, "time": None})
    for row in frame.to_dict("records"):
        outside.learn_one({"x": row["x"]}, t=row["when"].to_pydatetime())
    assert outside._stream.state() == model._stream.state()


def test_learn_many_with_times_is_repeated_learn_one():
    frame = timed(200)
    one = OnlineGMM(step_size=HalfLife(seconds=3600), **SETTINGS)
    for row in frame.to_dict("records"):
        one.learn_one(row)
    naive = frame.assign(when=frame["when"].dt.tz_localize(None))
    for kind in (frame, naive, pl.DataFrame(naive.to_dict("list"))):
        many = OnlineGMM(step_size=HalfLife(seconds=3600), **SETTINGS)
        many.learn_many(kind[:30])
        many.learn_many(kind[30:])
        assert many._stream.state() == one._stream.state()
        assert len(many.predict_many(kind)) == 200


def test_time_goes_through_a_pipeline():
    through = (
        (compose.Select("x") | preprocessing.StandardScaler()) + compose.Select("t")
    ) | OnlineGMM(2, warm_up=50, time="t", step_size=HalfLife(seconds=100.0), seed=1)
    rng = np.random.default_rng(1)
    for t in range(200):
        through.learn_one({"x": rng.normal(), "t": float(t)})
    assert through["OnlineGMM"].mixture.features == ("x",)
    assert through["OnlineGMM"]._stream.last_time == 199.0


@pytest.mark.parametrize("started", [False, True])
def test_late_points(started):
    def fresh(late):
        model = OnlineGMM(1, warm_up=10 if started else 100, late=late, seed=1)
        for i in range(20):
            model.learn_one({"x": i % 3}, t=i)
        return model

    def learnt(model):
        return model._stream.state() if started else repr(model._buffer)

    for t, shown, last in (
        (19, "19.0", "19.0"),
        (5.0, "5.0", "19.0"),
        (datetime.datetime(1969, 1, 1), "1969-01-01 00:00:00", "1970-01-01 00:00:19"),
    ):
        told = re.escape(f"time {shown} is not after the last point's, {last}; late='skip'")
        model = fresh("raise")
        with pytest.raises(ValueError, match=f"^{told}"):
            model.learn_one({"x": 1.0}, t=t)
        with pytest.raises(ValueError, match=f"^row 0: {told}"):
            model.learn_many(pd.DataFrame({"x": [1.0]}), [t])
        assert learnt(model) == learnt(fresh("raise"))
        model = fresh("skip")
        model.learn_one({"x": 1.0}, t=t)
        assert model.n_late == 1
        assert learnt(model) == learnt(fresh("raise"))
        model = fresh("learn")
        model.learn_one({"x": 1.0}, t=t)
        assert learnt(model) != learnt(fresh("raise"))
        assert model.n_late == 0
        model.learn_one({"x": 1.0}, t=20)


def test_late_rows_of_a_frame():
    frame = pd.DataFrame({"x": np.arange(8.0), "t": [1, 2, 2, 3, 1, 5, 4, 6]})
    settings = {"n_components": 1, "warm_up": 2, "time": "t", "seed": 1}
    with pytest.raises(ValueError, match=r"row 2: time .*2\.0.* is not after"):
        OnlineGMM(**settings).learn_many(frame)
    for late in ("skip", "learn"):
        many, one = (OnlineGMM(late=late, **settings) for _ in range(2))
        many.learn_many(frame)
        for row in frame.to_dict("records"):
            one.learn_one(row)
        assert many._stream.state() == one._stream.state()
        assert many.n_late == one.n_late == (3 if late == "skip" else 0)


@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        ({"x": 1.0}, None, ValueError, "this point has no time"),
        ({"x": 1.0, "when": "2024-01-01"}, None, TypeError, "time 'when' is '2024-01-01'"),
        ({"x": 1.0, "when": None}, None, TypeError, "time 'when' is None"),
        ({"x": 1.0, "when": math.nan}, None, ValueError, "time 'when' is nan; every point needs"),
        ({"x": 1.0, "when": pd.NaT}, None, ValueError, "time 'when'"),
        ({"x": 1.0}, math.inf, ValueError, "time 't' is inf"),
        ({"x": 1.0}, [1], TypeError, "time 't' is"),
    ],
)
def test_times_that_make_no_sense(x, t, error, message):
    model = OnlineGMM(**SETTINGS)
    with pytest.raises(error, match=message):
        model.learn_one(x, t=t)
    assert model.n_points == 0


def test_frames_without_the_times_they_need():
    model = OnlineGMM(**SETTINGS)
    with pytest.raises(ValueError, match="column 'when' is not among 'x'"):
        model.learn_many(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(TypeError, match="row 1: time 'when' is 'noon'"):
        model.learn_many(
            pd.DataFrame({"x": [1.0, 2.0], "when": ["1", "noon"]}).assign(when=[1.0, "noon"])
        )
