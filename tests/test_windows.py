"""Windowed features against pandas and numpy on the raw window, and in river's pipelines."""

import copy
import gc
import math
import pickle
import tracemalloc
from array import array
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import checks, compose, preprocessing
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM, RollingFeatures
from online_gmm.features.rolling import STATISTICS
from tests.conftest import KERNELS, on_one_kernel
from tests.test_properties import few

ALL = tuple(STATISTICS)
MODELS = [RollingFeatures(**params) for params in RollingFeatures._unit_test_params()]


def series(n, d=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 0.1 * np.arange(n)[:, None]
    return np.where(rng.random((n, d)) < missing, np.nan, X)


def points(X):
    return [{f"x{j}": value for j, value in enumerate(row)} for row in X.tolist()]


def correlation(u, v):
    kept = ~np.isnan(u + v)
    u, v = u[kept], v[kept]
    if len(u) < 2 or np.ptp(u) == 0.0 or np.ptp(v) == 0.0:
        return np.nan
    u, v = u - u[0], v - v[0]
    u, v = u - u.mean(), v - v.mean()
    return (u / np.linalg.norm(u)) @ (v / np.linalg.norm(v))


def compressed_skewness(x, floor=1e-12):
    if len(x) < 3 or np.ptp(x) == 0.0:
        return np.nan if len(x) < 3 else 0.0
    scale = np.ptp(x)
    x = (x - x[0]) / scale
    x = x - x.mean()
    x = x - x.mean()
    g = np.mean(x**3) * (scale / max(scale * np.sqrt(np.mean(x**2)), floor)) ** 3
    return np.sign(g) * np.log1p(abs(g))


def naive(W, lag=1, floor=1e-12, window=None):
    """All statistics of a window with these rows, where they are defined."""
    result = {}
    for j, column in enumerate(W.T):
        x = column[~np.isnan(column)]
        steps = column[lag:] - column[:-lag]
        steps = steps[~np.isnan(steps)]
        rises, steps = steps > 0.0, np.abs(steps)
        result[f"x{j}_mean_{window}"] = x[0] + (x - x[0]).mean() if len(x) else np.nan
        sd = np.std(x - x[0], ddof=1) if len(x) > 1 else np.nan
        result[f"x{j}_log_sd_{window}"] = np.log(max(sd, floor)) if len(x) > 1 else np.nan
        result[f"x{j}_autocorrelation_{lag}_{window}"] = correlation(column[lag:], column[:-lag])
        result[f"x{j}_log_difference_{lag}_{window}"] = (
            np.log(max(steps.mean(), floor)) if len(steps) else np.nan
        )
        result[f"x{j}_skewness_{window}"] = compressed_skewness(x, floor)
        result[f"x{j}_rises_{lag}_{window}"] = rises.mean() if len(steps) else np.nan
        result[f"x{j}_log_roughness_{lag}_{window}"] = (
            result[f"x{j}_log_difference_{lag}_{window}"] - result[f"x{j}_log_sd_{window}"]
        )
    for i, j in combinations(range(W.shape[1]), 2):
        result[f"x{i}_x{j}_correlation_{window}"] = correlation(W[:, i], W[:, j])
    return {key: float(value) for key, value in result.items() if not np.isnan(value)}


def assert_same(seen, expected, **tolerance):
    assert seen.keys() == expected.keys()
    for key, value in expected.items():
        assert seen[key] == pytest.approx(value, **tolerance), key


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("lag", [1, 3])
def test_as_pandas_rolls(lag, missing):
    frame = pd.DataFrame(series(300, 3, seed=1, missing=missing), columns=["a", "b", "c"])
    seen = RollingFeatures(20, ALL, lag=lag).transform_many(frame)
    rolling = frame.rolling(20, min_periods=1)
    pairs = frame.rolling(20 - lag, min_periods=2)
    expected = {}
    for name in frame:
        expected[f"{name}_mean_20"] = rolling[name].mean()
        expected[f"{name}_log_sd_20"] = np.log(rolling[name].std())
        expected[f"{name}_autocorrelation_{lag}_20"] = pairs[name].corr(frame[name].shift(lag))
        steps = frame[name].diff(lag).abs().rolling(20 - lag, min_periods=1)
        expected[f"{name}_log_difference_{lag}_20"] = np.log(steps.mean())
        expected[f"{name}_log_roughness_{lag}_20"] = np.log(steps.mean() / rolling[name].std())
        rises = frame[name].diff(lag).gt(0.0).where(frame[name].diff(lag).notna()).astype(float)
        expected[f"{name}_rises_{lag}_20"] = rises.rolling(20 - lag, min_periods=1).mean()
        n = rolling[name].count()
        skewness = frame[name].rolling(20, min_periods=3).skew() * (n - 2) / np.sqrt(n * (n - 1))
        expected[f"{name}_skewness_20"] = np.sign(skewness) * np.log1p(skewness.abs())
    for a, b in combinations(frame, 2):
        whole = frame[[a, b]].where(frame[[a, b]].notna().all(axis=1))
        expected[f"{a}_{b}_correlation_20"] = whole[a].rolling(20, min_periods=2).corr(whole[b])
    pd.testing.assert_frame_equal(seen, pd.DataFrame(expected), check_like=True, rtol=1e-9)


@few
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 3),
    window=st.integers(3, 30),
    lag=st.integers(1, 28),
    missing=st.sampled_from([0.0, 0.1, 0.8]),
    offset=st.sampled_from([0.0, -3e3, 1e9]),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    wild=st.sampled_from([1.0, 1e4, 1e120]),
)
def test_any_window_is_that_of_its_points(seed, d, window, lag, missing, offset, scale, wild):
    lag = min(lag, window - 2)
    X = series(80, d, seed, missing)
    X[np.random.default_rng(seed).integers(80, size=2)] *= wild
    X[40:50] = X[40]
    X = (X + offset) * scale
    model = RollingFeatures(window, ALL, lag=lag, floor=1e-200)
    for i, x in enumerate(points(X)):
        model.learn_one(x)
        expected = naive(X[max(0, i + 1 - window) : i + 1], lag, 1e-200, window)
        assert_same(model.transform_one(x), expected, rel=1e-10, abs=1e-8)


@on_one_kernel
def test_no_drift(compiled):
    n = 1_000_000 if compiled else 20_000
    rng = np.random.default_rng(1)
    X = 1e9 + np.cumsum(rng.normal(size=(n, 1)), axis=0)
    X[rng.integers(n, size=n // 1000)] *= 1e6
    seen = RollingFeatures(1000, ALL).transform_many(X)
    for i in [*rng.integers(1000, n, size=200).tolist(), n - 1]:
        W = X[i - 999 : i + 1]
        expected = list(naive(W, window=1000).values())
        np.testing.assert_allclose(seen[i], expected, rtol=1e-11, atol=1e-11)


def test_an_outlier_leaves_no_trace():
    X = series(60, 1)
    wild = X.copy()
    wild[20] = 1e140
    keys = naive(X[:10], window=10).keys()
    calm, shaken = RollingFeatures(10, ALL), RollingFeatures(10, ALL)
    for i, (x, y) in enumerate(zip(points(X), points(wild), strict=True)):
        calm.learn_one(x)
        shaken.learn_one(y)
        if i >= 30:
            assert shaken.transform_one(y) == calm.transform_one(x)
            assert keys == calm.transform_one(x).keys()


@few
@given(seed=st.integers(0, 10_000), exponent=st.integers(-100, 100))
def test_scale_by_a_power_of_two_is_exact(seed, exponent):
    X, scale = series(60, 2, seed), 2.0**exponent
    one = RollingFeatures(8, ALL, floor=1e-200).transform_many(X)
    other = RollingFeatures(8, ALL, floor=1e-200).transform_many(X * scale)
    logs = [0.0, 0.0, exponent * math.log(2), exponent * math.log(2), 0.0, 0.0]
    logs += [exponent * math.log(2)] * 2 + [0.0] * 7
    factors = np.array([scale] * 2 + [1.0] * 13)
    np.testing.assert_allclose(other, one * factors + logs, rtol=1e-13, atol=1e-13)
    exact = [0, 1, 4, 5, 8, 9, 10, 11, 12]
    np.testing.assert_array_equal(other[:, exact], (one * factors)[:, exact])


def test_constant_windows():
    model = RollingFeatures(5, ALL, floor=1e-6)
    for _ in range(12):
        model.learn_one({"x0": 1e9 + 0.1, "x1": 0.0})
    x = {"x0": 1e9 + 0.1, "x1": 0.0}
    assert model.transform_one(x) == {
        "x0_mean_5": 1e9 + 0.1,
        "x1_mean_5": 0.0,
        **{f"x{j}_log_sd_5": math.log(1e-6) for j in range(2)},
        **{f"x{j}_log_difference_1_5": math.log(1e-6) for j in range(2)},
        **{f"x{j}_{name}_5": 0.0 for j in range(2) for name in ("skewness", "rises_1")},
        **{f"x{j}_log_roughness_1_5": 0.0 for j in range(2)},
    }


def test_what_is_there_before_the_window_is_full():
    model = RollingFeatures(10, ALL)
    assert model.transform_one({}) == {}
    assert model.transform_one({"x0": 1.0, "x1": 4.0}) == {"x0_mean_10": 1.0, "x1_mean_10": 4.0}
    X = np.array([[1.0, 4.0], [3.0, 8.0]])
    model.learn_one(dict(zip(("x0", "x1"), X[0], strict=True)))
    assert_same(model.transform_one({"x0": 3.0, "x1": 8.0}), naive(X, window=10))


@pytest.mark.skipif("compiled" not in KERNELS, reason="one kernel cannot differ from itself")
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_kernels_agree_to_the_last_bit(missing):
    X = series(500, 3, seed=5, missing=missing) + 1e5
    X[100] *= 1e100
    x = {"a": 0.5, "b": None, "c": 1e6}
    answers = []
    for module in KERNELS.values():
        keys = tuple(range(36))
        kinds = tuple(range(8))
        windows = module.Windows(("a", "b", "c"), keys, False, 17, (2, 5), 1e-9, kinds)
        answer = windows.learn(array("d", X.ravel()), len(X))
        answers.append((bytes(answer), windows.state(), windows.transform_one(x, False)))
    assert answers[0] == answers[1]


# -- learn and transform --------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_transform_is_as_if_learnt_and_changes_nothing(missing):
    model = RollingFeatures(6, ALL, lag=2)
    for x in points(series(40, 2, seed=3, missing=missing)):
        before = pickle.dumps(model)
        ahead = model.transform_one(x)
        assert pickle.dumps(model) == before
        model.learn_one(x)
        assert model.transform_one(x) == ahead
        assert model.transform_one(x) == ahead


def test_the_point_learnt_last_counts_once():
    model = RollingFeatures(3, ["mean"])
    x = {"x": 3.0}
    model.learn_one({"x": 0.0})
    model.learn_one(x)
    assert model.transform_one(x) == {"x_mean_3": 1.5}
    assert model.transform_one({"x": 3.0}) == {"x_mean_3": 2.0}
    x["x"] = 9.0
    assert model.transform_one(x) == {"x_mean_3": 4.0}
    x["x"] = 3.0
    assert model.transform_one(x) == {"x_mean_3": 1.5}


def test_features_that_come_and_go():
    model = RollingFeatures(4, ("mean", "log_difference", "correlation"))
    rows = [{"b": 1.0}, {"b": 2.0, "a": 5.0}, {"a": 7.0}, {"b": 4.0, "a": None}, {"c": 1.0}, {}, {}]
    X = np.array([[row.get(name) for name in "abc"] for row in rows], dtype=float)
    rename = {"a": "x0", "b": "x1", "c": "x2"}
    for i, x in enumerate(rows):
        ahead = model.transform_one(x)
        model.learn_one(x)
        assert model.transform_one(x) == pytest.approx(ahead)
        expected = naive(X[max(0, i - 3) : i + 1], window=4)
        for old, new in rename.items():
            ahead = {key.replace(f"{old}_", f"{new}_"): v for key, v in ahead.items()}
        names = ("_mean_", "_log_difference_", "_correlation_")
        wanted = {k: v for k, v in expected.items() if any(name in k for name in names)}
        assert_same(ahead, wanted)


def test_named_features_only():
    model = RollingFeatures(5, ["correlation"], features=["b", "a"])
    for i in range(4):
        model.learn_one({"a": i, "text": "x", "b": i * i})
    assert list(model.transform_one({"a": 9, "text": "x", "b": 9})) == ["b_a_correlation_5"]


def test_pairs_are_named_alike_in_any_order():
    model = RollingFeatures(5, ["correlation"])
    for x in ({"b": 1.0, "a": 2.0}, {"a": 3.0, "b": 2.0}):
        model.learn_one(x)
    assert model.transform_one({"b": 1.0, "a": 2.0}).keys() == {"a_b_correlation_5"}


@pytest.mark.parametrize(
    ("value", "error"),
    [("high", TypeError), (math.inf, ValueError), (-1e200, ValueError), ([], TypeError)],
)
def test_bad_values_change_nothing(value, error):
    model = RollingFeatures(5, ALL)
    for bad in ({"a": 1.0, "b": value}, {"a": value}, {"a": 1.0, "b": 1.0, "c": value}):
        before = pickle.dumps(model)
        name = max(bad)
        with pytest.raises(error, match=f"feature '{name}'"):
            model.learn_one(bad)
        with pytest.raises(error, match=f"feature '{name}'"):
            model.transform_one(bad)
        for many in (model.learn_many, model.transform_many):
            with pytest.raises(error, match=f"row 1: feature '{name}'"):
                many(pd.DataFrame([dict.fromkeys(bad, 1.0), bad], dtype=object))
        assert pickle.dumps(model) == before
        model.learn_one({"a": 1.0, "b": 2.0})


def test_names_that_would_fall_together():
    model = RollingFeatures(5, ["correlation"])
    with pytest.raises(ValueError, match="both be called 'a_b_c_correlation_5'"):
        model.learn_one({"a": 1.0, "b_c": 2.0, "a_b": 3.0, "c": 4.0})
    assert model.transform_one({"a": 1.0}) == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RollingFeatures(1, ["mean"]), "window is 1"),
        (lambda: RollingFeatures(statistics=["mean"], features=["a", "a"]), "once"),
        (lambda: RollingFeatures(2, ["autocorrelation"]), "3 points"),
        (lambda: RollingFeatures(10, ["autocorrelation"], lag=9), "lag is 9"),
        (lambda: RollingFeatures(10, ["log_difference"], lag=0), "lag is 0"),
        (lambda: RollingFeatures(10, ["log_sd"], floor=0.0), "floor is 0.0"),
        (lambda: RollingFeatures(10, ["log_sd"], floor=math.nan), "floor is nan"),
        (lambda: RollingFeatures(10, ["mean", "median"]), "median"),
        (lambda: RollingFeatures(10, []), "statistics are"),
        (
            lambda: RollingFeatures(10, ["mean", "sd"]),
            "there is no statistic 'sd'; there are 'mean'",
        ),
        (lambda: RollingFeatures(10, ["mean", "mean"]), "each may be there once"),
        (lambda: RollingFeatures(10, ["mean", "mean"]), "once"),
        (lambda: RollingFeatures(2, ["skewness"]), "a skewness needs at least 3 points"),
        (lambda: RollingFeatures(10, lag=(1, 9, 2)), "lag is 9"),
        (lambda: RollingFeatures(10, lag=(1, 2.5)), "lag is 2.5"),
        (lambda: RollingFeatures(10, lag=(3, 2, 3)), "lag is 3 more than once"),
        (lambda: RollingFeatures(10, lag=()), "at least one"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_trailing_is_the_sum_of_its_parts():
    X = points(series(50, 2, seed=2, missing=0.1))
    one = RollingFeatures(7, ALL, lag=2)
    parts = [
        RollingFeatures(7, ["mean"]),
        RollingFeatures(7, ["log_sd"]),
        RollingFeatures(7, ["autocorrelation"], lag=2),
    ]
    sums = (
        parts[0]
        + parts[1]
        + parts[2]
        + RollingFeatures(7, ["log_difference"], lag=2)
        + RollingFeatures(7, ["correlation"])
    )
    for name in ("skewness", "rises", "log_roughness"):
        sums += (name, RollingFeatures(7, [name], lag=2))
    for x in X:
        one.learn_one(x)
        sums.learn_one(x)
        assert one.transform_one(x) == sums.transform_one(x)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_several_lags_are_each_by_itself(missing):
    X = points(series(60, 2, seed=10, missing=missing))
    lags = (4, 1, 9)
    model = RollingFeatures(12, ALL, lag=lags)
    each = [RollingFeatures(12, ALL, lag=lag) for lag in lags]
    for x in X:
        expected = {}
        for m in (model, *each):
            m.learn_one(x)
        for m in each:
            expected |= m.transform_one(x)
        assert model.transform_one(x) == expected
    keys = list(model.transform_many(pd.DataFrame(X)))
    assert len(keys) == 6 + 8 * len(lags) + 1
    assert [key for key in keys if "x0_rises" in key] == [f"x0_rises_{lag}_12" for lag in lags]
    many = RollingFeatures(12, ALL, lag=np.array(lags))
    assert many.transform_one(X[0]) == RollingFeatures(12, ALL, lag=list(lags)).transform_one(X[0])


@pytest.mark.parametrize("n", [3, 8, 200])
def test_skewness_is_that_of_scipy_compressed(n):
    x = np.random.default_rng(n).exponential(size=n)
    for sign, offset in ((1.0, 0.0), (-1.0, 0.0), (1.0, 1e6)):
        seen = RollingFeatures(200, ["skewness"]).transform_many(sign * x[:, None] + offset)
        assert np.isnan(seen[:2]).all()
        expected = sign * np.log1p(stats.skew(x))
        assert seen[-1, 0] == pytest.approx(expected, rel=1e-12 if offset == 0.0 else 1e-7)


@pytest.mark.parametrize("scale", [1e-30, 1e145])
def test_skewness_of_the_smallest_and_the_largest(scale):
    X = 1e4 * np.random.default_rng(1).random(size=(90, 1)) ** 4
    one = RollingFeatures(20, ["skewness"], floor=1e-200).transform_many(X)
    other = RollingFeatures(20, ["skewness"], floor=1e-200).transform_many(X * scale)
    np.testing.assert_allclose(one, other, rtol=1e-9)
    assert abs(RollingFeatures(20, ["skewness"], floor=1e8).transform_many(X)[2:]).max() < 1e-9


@pytest.mark.parametrize("replicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_the_same(replicate):
    X = points(series(60, 2, seed=4, missing=0.1))
    model = RollingFeatures(7, ALL)
    for x in X[:40]:
        model.learn_one(x)
    other, third = replicate(model), model.clone(include_attributes=True)
    for x in X[40:]:
        for m in (model, other, third):
            m.learn_one(x)
        assert model.transform_one(x) == other.transform_one(x) == third.transform_one(x)
    assert model.clone().transform_one({}) == {}


def test_nothing_is_held_per_point(compiled):
    X = points(series(3000 if compiled else 700, 2))
    model = RollingFeatures(50, ALL)
    for x in X[:200]:
        model.learn_one(x)
        model.transform_one(x)
    rest = X[200:]
    gc.collect()
    size = len(pickle.dumps(model))
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        for x in rest:
            model.learn_one(x)
            model.transform_one(x)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now - held < 2_000
    assert peak - held < 5_000
    assert abs(len(pickle.dumps(model)) - size) < 10


# -- rows of frames and arrays --------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_rows_are_points_in_turn(missing):
    X = series(90, 2, seed=6, missing=missing)
    frame = pd.DataFrame(X, columns=["x0", "x1"], index=range(100, 190))
    one, many = RollingFeatures(8, ALL), RollingFeatures(8, ALL)
    for x in points(X[:30]):
        one.learn_one(x)
    many.learn_many(frame[:30])
    asked = many.transform_many(frame[30:])
    batch = frame[30:]
    many.learn_many(batch)
    stands = many.transform_many(batch)
    pd.testing.assert_frame_equal(asked, stands)
    assert list(stands.index) == list(range(130, 190))
    for x, row in zip(points(X[30:]), stands.to_dict("records"), strict=True):
        one.learn_one(x)
        assert one.transform_one(x) == {key: v for key, v in row.items() if not math.isnan(v)}
    assert one.transform_one({"x0": 1.0}) == many.transform_one({"x0": 1.0})


def test_rows_learnt_last_count_once():
    model = RollingFeatures(3, ["mean"])
    X = np.array([[1.0], [4.0]])
    model.learn_many(X)
    assert model.transform_many(X).ravel().tolist() == [1.0, 2.5]
    assert model.transform_many(X.copy()).ravel().tolist() == [2.0, 3.0]
    X[1] = 7.0
    assert model.transform_many(X).ravel().tolist() == [2.0, 4.0]
    X[1] = 4.0
    model.learn_one({0: 10.0})
    assert model.transform_many(X).ravel().tolist() == [5.0, 5.0]


def test_frames_and_arrays_come_back_as_they_are():
    X = series(20, 2, seed=7)
    by_array = RollingFeatures(5).transform_many(X)
    by_polars = RollingFeatures(5).transform_many(pl.DataFrame(X, schema=["a", "b"]))
    assert isinstance(by_polars, pl.DataFrame)
    assert by_polars.columns[:2] == ["a_mean_5", "b_mean_5"]
    np.testing.assert_array_equal(by_polars.to_numpy(), by_array)
    with pytest.raises(ValueError, match="no correlations of 0"):
        RollingFeatures(5, ["correlation"]).transform_many(X[:, :1])
    assert RollingFeatures(5).transform_many(X[:0]).shape == (0, 9)


def test_batches_are_not_pickled():
    model = RollingFeatures(4, ["mean"])
    model.learn_many(np.zeros((10_000, 1)))
    assert len(pickle.dumps(model)) < 2_000


# -- in river -------------------------------------------------------------------------------------


@on_one_kernel
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_river_checks(model):
    for check in checks.yield_checks(model):
        if check.__name__ not in model._unit_test_skips():
            check(model.clone())


def variances(n, seed):
    """Regimes of 200 points with mean 0 and standard deviation 1 or 4."""
    rng = np.random.default_rng(seed)
    z = np.arange(n) // 200 % 2
    return rng.normal(0.0, np.where(z, 4.0, 1.0)), z


def regimes(kind, n, seed):
    """Regimes of 200 points that differ in variance, rhythm, correlation, or by a mirror."""
    if kind == "variance":
        X, z = variances(n, seed)
        return X[:, None], z
    rng = np.random.default_rng(seed)
    z = np.arange(n) // 200 % 2
    X = rng.normal(size=(n, 2))
    if kind == "tilt":
        teeth = np.arange(n) % 10 - 4.5
        return (np.where(z, teeth, -teeth) + 0.2 * X[:, 0])[:, None], z
    if kind == "skew":
        return (np.where(z, 1.0, -1.0) * (rng.exponential(size=n) - 1.0))[:, None], z
    if kind == "correlation":
        X[:, 1] = np.where(z, 0.8, -0.8) * X[:, 0] + 0.6 * X[:, 1]
        return X, z
    for i in range(1, n):
        X[i, 0] = (0.9, -0.9)[z[i]] * X[i - 1, 0] + 0.4 * X[i, 0]
    return X[:, :1], z


@on_one_kernel
@pytest.mark.parametrize(
    ("kind", "transformer"),
    [
        ("variance", RollingFeatures(30, ["log_sd"])),
        ("rhythm", RollingFeatures(30, ["autocorrelation"])),
        ("rhythm", RollingFeatures(30, ["log_difference"])),
        ("rhythm", RollingFeatures(30, ("log_roughness",), lag=(1, 2))),
        ("correlation", RollingFeatures(30, ["correlation"])),
        ("tilt", RollingFeatures(30, ("rises",), lag=(1, 2))),
        ("skew", RollingFeatures(30, ("skewness",))),
    ],
    ids=repr,
)
def test_regimes_become_visible(kind, transformer):
    X, z = regimes(kind, 1600, 1)
    model = transformer.clone() | OnlineGMM(2, warm_up=400, seed=1)
    labels = []
    for x in points(X):
        labels.append(model.predict_one(x))
        model.learn_one(x)
    plain = OnlineGMM(2, warm_up=400, seed=1)
    plain.learn_many(X)
    assert adjusted_rand_score(z[400:], plain.predict_many(X)[400:]) < 0.45
    assert adjusted_rand_score(z[400:], labels[400:]) > 0.65


def test_a_pipeline_gives_the_learner_the_window_of_each_point(compiled):
    X = variances(700 if compiled else 350, 2)[0][:, None]
    model = (
        RollingFeatures(20, ["mean"]) + RollingFeatures(20, ["log_sd"])
    ) | preprocessing.StandardScaler()
    model |= OnlineGMM(2, warm_up=200, seed=1)
    scaler, learner = preprocessing.StandardScaler(), OnlineGMM(2, warm_up=200, seed=1)
    for i, x in enumerate(points(X)):
        features = naive(X[max(0, i - 19) : i + 1], window=20)
        features = {k: v for k, v in features.items() if "mean" in k or "log_sd" in k}
        assert model.predict_one(x) == learner.predict_one(scaler.transform_one(features))
        model.learn_one(x)
        scaler.learn_one(features)
        learner.learn_one(scaler.transform_one(features))
        if i % 50 == 0:
            assert model.predict_one(x) == learner.predict_one(scaler.transform_one(features))
    np.testing.assert_allclose(
        np.sort(model["OnlineGMM"].mixture.means, axis=0),
        np.sort(learner.mixture.means, axis=0),
        rtol=1e-9,
    )


def test_a_scaler_before():
    X = series(60, 2, seed=8)
    model = (
        preprocessing.StandardScaler() | RollingFeatures(9, ALL) | OnlineGMM(2, warm_up=20, seed=1)
    )
    scaler = preprocessing.StandardScaler()
    rows, seen = [], []
    model["OnlineGMM"].learn_one = lambda x: seen.append(x)
    for x in points(X):
        scaler.learn_one(x)
        rows.append(list(scaler.transform_one(x).values()))
        model.learn_one(x)
        assert_same(seen[-1], naive(np.array(rows[-9:]), window=9), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("scale", [False, True])
def test_learning_during_predict(scale):
    X = series(60, 1, seed=9)
    model = RollingFeatures(5, ["mean"]) | OnlineGMM(2, warm_up=20, seed=1)
    if scale:
        model = preprocessing.StandardScaler() | model
    scaler = preprocessing.StandardScaler()
    rows, seen = [], []
    model["OnlineGMM"].learn_one = lambda x: seen.append(x)
    for x in points(X):
        scaler.learn_one(x)
        rows.append(scaler.transform_one(x)["x0"] if scale else x["x0"])
        with compose.learn_during_predict():
            model.predict_one(x)
            model.learn_one(x)
        assert seen[-1] == {"x0_mean_5": pytest.approx(np.mean(rows[-5:]))}
    assert len(seen) == 60


@on_one_kernel
def test_batches_in_a_pipeline():
    X, z = variances(2400, 3)
    frame = pd.DataFrame({"x": X})
    model = (RollingFeatures(30, ["mean"]) + RollingFeatures(30, ["log_sd"])) | OnlineGMM(
        2, warm_up=400, seed=1
    )
    one = model.clone()
    labels = []
    for start in range(0, 2400, 200):
        batch = frame[start : start + 200]
        labels.extend(model.predict_many(batch))
        model.learn_many(batch)
        for x in batch.to_dict("records"):
            one.learn_one(x)
    # the warm start ends within the third batch, after it has been labelled
    assert set(labels[:600]) == {-1}
    assert adjusted_rand_score(z[600:], labels[600:]) > 0.7
    np.testing.assert_array_equal(model["OnlineGMM"].mixture.means, one["OnlineGMM"].mixture.means)


def test_two_windows_side_by_side():
    both = RollingFeatures(2, ["mean"]) + RollingFeatures(4, ["mean"])
    for x in (0.0, 2.0, 4.0):
        both.learn_one({"x": x})
    assert both.transform_one({"x": 6.0}) == {"x_mean_2": 5.0, "x_mean_4": 3.0}
