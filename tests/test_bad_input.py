"""No point, however bad, makes the model forget what it has learnt."""

import collections
import copy
import datetime
import decimal
import functools
import math
import pickle
import re
import types
from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
from river import cluster

import online_gmm
from online_gmm import Constant, HalfLife, OnlineGMM, OnlineHMM, PowerDecay, Segmenter, pool
from online_gmm.em.mixture import from_kernel
from online_gmm.features.rolling import RollingFeatures
from online_gmm.learners.strangeness import StrangenessDetector
from tests.conftest import on_one_kernel
from tests.test_gmm import dicts
from tests.test_kernel import TYPES, blobs


def model_of(n, covariance_type="full"):
    """A model of so many points, learnt once for all tests."""
    return copy.deepcopy(_learnt(n, covariance_type, online_gmm._kernel.COMPILED))


@functools.cache
def _learnt(n, covariance_type, compiled):
    model = OnlineGMM(3, warm_up=100, covariance_type=covariance_type, features=["a", "b"], seed=1)
    for x in dicts(blobs(n, 2, seed=1)):
        model.learn_one(x)
    return model


def learnt(model):
    return None if model._stream is None else model._stream.state(), repr(model._buffer)


REFUSED = [
    ({"a": math.inf, "b": 0.0}, ValueError, "feature 'a' is inf; only finite values"),
    ({"a": 0.0, "b": -math.inf}, ValueError, "feature 'b' is -inf; only finite values"),
    ({"a": np.float32("inf"), "b": 0.0}, ValueError, "feature 'a'"),
    ({"a": "x", "b": 0.0}, TypeError, "feature 'a' is 'x' of type str"),
    ({"a": 0.0, "b": "1.5"}, TypeError, "feature 'b' is '1.5' of type str"),
    ({"a": b"1", "b": 0.0}, TypeError, "feature 'a'"),
    ({"a": 1e300, "b": 0.0}, ValueError, r"feature 'a' is 1e\+300, beyond 1e\+150 in magnitude"),
    ({"a": 0.0, "b": 10**400}, ValueError, r"feature 'b' is beyond 1e\+150 in magnitude; rescale"),
    ({"a": 1j, "b": 0.0}, TypeError, "feature 'a' is 1j of type complex"),
    ({"a": [1.0], "b": 0.0}, TypeError, "feature 'a'"),
    ({"a": pd.NaT, "b": "?"}, TypeError, "feature"),
]


@pytest.mark.parametrize("n", [0, 50, 150])
@pytest.mark.parametrize(("x", "error", "message"), REFUSED)
def test_refused_points_change_nothing(n, x, error, message):
    model = model_of(n)
    before = learnt(model)
    with pytest.raises(error, match=message):
        model.learn_one(x)
    assert learnt(model) == before
    if model.is_started:
        with pytest.raises(error, match=message):
            model.predict_one(x)
        assert learnt(model) == before


NO_POINTS = [
    (5.0, r"got 5.0 of type float; for one feature write \{'x': 5.0\}"),
    (7, r"got 7 of type int; for one feature write \{'x': 7\}"),
    (
        [1.0, 2.0],
        r"got \[1.0, 2.0\] of type list; for a row of values write dict\(enumerate\(x\)\)",
    ),
    (np.array([1.0, 2.0]), r"got array\(\[1., 2.\]\) of type ndarray; .* for many rows learn_many"),
    (None, "got None of type NoneType$"),
    ("abc", r"got 'abc' of type str; a frame gives its columns .*, and learn_many takes all of"),
    ({1.0}, r"got \{1.0\} of type set$"),
]
LEARNERS = {
    "mixture": lambda: OnlineGMM(2, warm_up=50, seed=1),
    "with times": lambda: OnlineGMM(2, warm_up=50, time="t", seed=1),
    "chain": lambda: OnlineHMM(2, warm_up=50, seed=1),
    "recycled": lambda: OnlineGMM(2, warm_up=50, recycle=True, seed=1),
    "segmenter": lambda: Segmenter(),
    "segmenter with times": lambda: Segmenter(time="t"),
    "segmenter of a model": lambda: Segmenter(OnlineGMM(2, warm_up=50, seed=1)),
    "segmenter of river": lambda: Segmenter(cluster.KMeans(2, seed=1)),
    "features": lambda: RollingFeatures(10, ("mean",)),
    "strangeness": lambda: StrangenessDetector(OnlineGMM(2, warm_up=50, seed=1)),
}


@pytest.mark.parametrize("n", [0, 300])
@pytest.mark.parametrize("kind", LEARNERS)
def test_what_is_no_mapping_is_refused_with_what_a_point_is(n, kind):
    learner = LEARNERS[kind]()
    for i, (a, b) in enumerate(blobs(n, 2, seed=1)):
        learner.learn_one({"a": a, "b": b, **({"t": float(i)} if "times" in kind else {})})
    before = repr(learner)
    for x, message in NO_POINTS:
        for call in (learner.learn_one, getattr(learner, "assign_one", None)):
            if call is not None:
                with pytest.raises(
                    TypeError, match=f"a dict of feature names to numbers; {message}"
                ):
                    call(x)
    assert repr(learner) == before


def test_a_frame_is_many_rows():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    with pytest.raises(TypeError, match=r"feature 'a' is 0 1.0 1 2.0 .* for many rows learn_many"):
        model_of(150).learn_one(frame)


@pytest.mark.parametrize(
    "missing", [math.nan, None, pd.NA, np.float64("nan"), decimal.Decimal("NaN")]
)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_missing_values_are_learnt_around(missing, covariance_type):
    one, other = model_of(150, covariance_type), model_of(150, covariance_type)
    one.learn_one({"a": missing, "b": 1.0})
    other.learn_one({"b": 1.0})
    assert learnt(one) == learnt(other) != learnt(model_of(150, covariance_type))
    assert np.isfinite(one.mixture.means).all()


@pytest.mark.parametrize("x", [{}, {"a": None, "b": math.nan}, {"z": 1.0}])
@pytest.mark.parametrize("n", [0, 50, 150])
def test_empty_points_are_counted_and_nothing_else(x, n):
    model = OnlineGMM(3, warm_up=100, features=["a", "b"], seed=1)
    for point in dicts(blobs(n, 2, seed=1)):
        model.learn_one(point)
    before, mixture = learnt(model), model.is_started and model.mixture
    is_told = "z" in x and not model.is_started
    with pytest.warns(UserWarning, match="it knows 'a', 'b'") if is_told else nullcontext():
        model.learn_one(x)
    assert model.n_empty == 1
    assert model.n_points == n
    if model.is_started:
        assert model.mixture.error(mixture) == 0.0
        known = {name: value for name, value in x.items() if name in "ab"}
        assert model.assign_one(known).label == model.mixture.weights.argmax()
    else:
        assert learnt(model) == before


def test_unknown_features_are_ignored_and_counted():
    one, other = model_of(150), model_of(150)
    one.learn_one({"a": 1.0, "b": 2.0, "new": 3.0, "newer": "text"})
    other.learn_one({"a": 1.0, "b": 2.0})
    assert learnt(one) == learnt(other)
    assert one.n_unknown == 2


@pytest.mark.parametrize(
    "value",
    [5e-324, True, 3, np.float32(1.5), np.int8(2), np.bool_(True), decimal.Decimal("1.25"), 1e149],
)
def test_real_numbers_of_every_kind(value):
    one, other = model_of(150), model_of(150)
    one.learn_one({"a": value, "b": 0.0})
    other.learn_one({"a": float(value), "b": 0.0})
    assert learnt(one) == learnt(other)


@pytest.mark.parametrize(
    "mapping", [collections.OrderedDict, types.MappingProxyType, lambda x: collections.ChainMap(x)]
)
def test_mappings_of_every_kind(mapping):
    one, other = model_of(0), model_of(0)
    for x in dicts(blobs(150, 2, seed=1)):
        one.learn_one(mapping(x))
        other.learn_one(x)
    assert learnt(one) == learnt(other)


@pytest.mark.parametrize("kind", ["mixture", "chain", "segmenter", "segmenter of a model"])
def test_rows_of_a_frame_are_points(kind):
    """A series of pandas goes through its values, and not through its names."""
    one, other = LEARNERS[kind](), LEARNERS[kind]()
    frame = pd.DataFrame(blobs(150, 2, seed=1), columns=["a", "b"])
    for _, row in frame.iterrows():
        one.learn_one(row)
        other.learn_one(dict(row))
    assert one.is_started
    assert one.to_bytes() == other.to_bytes()
    assert one.assign_one(row) == other.assign_one(dict(row))


def test_features_of_rows_of_a_frame():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0]})
    one = RollingFeatures(3, ("mean",))
    for _, row in frame.iterrows():
        features = one.transform_one(row)
        one.learn_one(row)
    assert features == {"a_mean_3": pytest.approx(7 / 3)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnlineGMM(2, warm_up="5"),
        lambda: OnlineGMM(2, warm_up=20.5),
        lambda: OnlineGMM(2, capacity=None),
        lambda: OnlineGMM(2, n_init="many"),
        lambda: Segmenter(lag="5"),
        lambda: Segmenter(lag=3.0),
        lambda: Segmenter(max_regimes=None),
        lambda: Segmenter(max_regimes=2.5),
        lambda: RollingFeatures("10s"),
        lambda: OnlineHMM(2, lag=2.0),
        lambda: Segmenter(OnlineGMM(2), min_dwell=3.0),
        lambda: Segmenter(OnlineGMM(2), confirm=1.5),
    ],
)
def test_a_count_that_is_no_whole_number_is_named(make):
    """And not only by `to_bytes`, when much has been learnt."""
    with pytest.raises(ValueError, match=r"^\w+ is .*; it must be .* and whole$"):
        make()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (Segmenter, {"confirm": "a"}),
        (Segmenter, {"min_dwell": "a"}),
        (Segmenter, {"max_gap": [1]}),
        (OnlineGMM, {"prior_strength": "a"}),
        (OnlineGMM, {"gate": None}),
        (OnlineHMM, {"stickiness": "a"}),
        (OnlineHMM, {"tempering": [1.0]}),
        (RollingFeatures, {"window": 5, "floor": "a"}),
        (Constant, {"step": "x"}),
        (PowerDecay, {"exponent": "x"}),
        (PowerDecay, {"floor": None}),
        (HalfLife, {"points": "x"}),
        (HalfLife, {"seconds": [1.0]}),
        (pool, {"segmenters": [], "alike": "x"}),
        (pool, {"segmenters": [], "alike": math.nan}),
    ],
)
def test_a_number_that_is_none_is_named(make, options):
    name, value = list(options.items())[-1]
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}")):
        make(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnlineGMM(2, seed="a"), "seed is 'a'; it must be at least 0 and whole"),
        (lambda: OnlineHMM(2, seed=np.random.default_rng(1)), r"seed is Generator\(.*; it must be"),
        (lambda: OnlineGMM(2, average="no"), "average is 'no'; it must be True, False or None"),
        (lambda: OnlineGMM(2, features=[]), r"features are \[\]; at least one is needed"),
        (lambda: Segmenter(features=3), r"features are 3; a list is expected, \[3\]"),
        (lambda: RollingFeatures(5, features=[]), r"features are \[\]; at least one is needed"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_given(make, message):
    """And not when the first fit is made, or never."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("learner", [OnlineGMM, Segmenter])
def test_a_feature_that_is_misnamed_is_told(learner, many):
    """Beside one that is there; it would be missing for ever."""
    frame = pd.DataFrame(blobs(60, 2, seed=1), columns=["a", "b"])
    more = {"warm_up": 30, "seed": 1} if learner is OnlineGMM else {}
    for features, told in ((["a", "B"], "no value of 'B' is in the first"), (["a"], None)):
        its = learner(features=features, **more)
        with pytest.warns(UserWarning, match=told) if told else nullcontext():
            if many:
                its.learn_many(frame)
            else:
                for x in frame.to_dict("records"):
                    its.learn_one(x)


def test_one_segmenter_is_no_list_of_them():
    with pytest.raises(TypeError, match="one segmenter is given; pool takes a list of them"):
        pool(Segmenter())


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (
            1_709_251_200_000,
            "such as 1709251200000, .* milliseconds since 1970, divide them by 1,0",
        ),
        (1_709_251_200_000_000_000, "nanoseconds since 1970, divide them by 1,000,000,000, or"),
        (1_709_251_200.0, None),
        (12.5, None),
        (datetime.datetime(9999, 12, 31), None),
    ],
)
@pytest.mark.parametrize("learner", [OnlineGMM(2, time="t"), Segmenter(time="t"), Segmenter()])
def test_times_in_other_units_than_seconds_are_told_once(time, told, learner):
    """Gaps, windows and half-lives of time would be of no use."""
    frame, point = pd.DataFrame({"a": [1.0], "t": [time]}), {"a": 1.0, "t": time}
    for many in (False, True):
        its = learner.clone()
        with pytest.warns(UserWarning, match=told) if told else nullcontext():
            if its.time is None:
                its.learn_one({"a": 1.0}, time)
            elif many:
                its.learn_many(frame)
            else:
                its.learn_one(point)
        if told:
            its.learn_one({"a": 2.0}, time + 1000)


@pytest.mark.parametrize("many", [False, True])
def test_many_channels_are_told_unless_they_are_named(many):
    X = np.random.default_rng(1).normal(size=(20, 51))
    for learner, told in ((Segmenter(), True), (Segmenter(features=range(51)), False)):
        with pytest.warns(UserWarning, match="51 channels are many") if told else nullcontext():
            if many:
                learner.learn_many(X)
            else:
                for row in X:
                    learner.learn_one(dict(enumerate(row.tolist())))


def test_a_statistic_is_no_list_of_them():
    with pytest.raises(ValueError, match=r"statistics are 'mean'; a list is expected"):
        RollingFeatures(10, "mean")


@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM, Segmenter, RollingFeatures])
def test_a_name_is_no_list_of_features(learner):
    with pytest.raises(ValueError, match=r"features are 'flow'; a list is expected, \['flow'\]"):
        learner(features="flow")


@pytest.mark.parametrize(
    "features",
    [pd.Index(["a", "b"]), np.array(["a", "b"]), {"a": 0, "b": 0}.keys(), ("a", "b")],
    ids=lambda its: type(its).__name__,
)
@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM, Segmenter, RollingFeatures])
def test_names_in_any_collection_are_features_and_can_be_written(learner, features):
    one, other = learner(features=features), learner(features=["a", "b"])
    frame = pd.DataFrame(blobs(60, 2, seed=1), columns=["a", "b"]).assign(c=1.0)
    for its in (one, other):
        if learner is RollingFeatures:
            its.learn_one({"a": 1.0, "b": 2.0})
        else:
            its.learn_many(frame)
    again = learner.from_bytes(one.to_bytes())
    assert list(again.features) == ["a", "b"]
    if not isinstance(features, tuple):
        assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM])
def test_a_number_of_components_may_be_numpys(learner):
    """Points enough for a fit of those that are kept."""
    frame = pd.DataFrame(blobs(900, 2, seed=1), columns=["a", "b"])
    one, other = (learner(k, warm_up=100, seed=1) for k in (np.int64(2), 2))
    for its in (one, other):
        its.learn_many(frame)
    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM, Segmenter])
def test_features_that_no_point_has_are_told_before_the_start(learner):
    frame = pd.DataFrame({"flow": [1.0] * 20})
    for learn in (lambda its: its.learn_one({"flow": 1.0}), lambda its: its.learn_many(frame)):
        with pytest.warns(UserWarning, match="none of the features 'flow'; it knows 'Flow'"):
            learn(learner(features=["Flow"]))


@pytest.mark.parametrize(
    "when", [datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1), pd.Timestamp(2024, 1, 1)]
)
def test_a_date_among_the_features_may_be_the_time(when):
    with pytest.raises(TypeError, match="if it is the time, say time='when'"):
        OnlineGMM(2).learn_one({"a": 1.0, "when": when})
    frame = pd.DataFrame({"when": [when]}).astype(object)
    with pytest.raises(TypeError, match="if it is the time, say time='when'"):
        Segmenter().learn_many(frame)


def test_defaultdict_gets_no_new_keys():
    model = model_of(150)
    x = collections.defaultdict(float, a=1.0)
    model.learn_one(x)
    assert dict(x) == {"a": 1.0}


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("size", [1e6, 1e149])
def test_ten_points_beyond_reason_after_a_thousand_good_ones(covariance_type, size, compiled):
    """Neither then nor a thousand good points later do they move anything."""
    # a multiple of the stride of the average: what is reported waits for no good point
    hit, spared = model_of(1008, covariance_type), model_of(1008, covariance_type)
    for i in range(10):
        hit.learn_one({"a": size * (-1) ** i, "b": 0.0})
    assert hit.n_outliers == 10
    assert hit.assign_one({"a": size, "b": 0.0}).outlier
    for later in (False, True) if compiled else (False,):
        if later:
            for model in (hit, spared):
                model.learn_many(pd.DataFrame(blobs(1000, 2, seed=1), columns=["a", "b"]))
        # later the statistics are polished ten good points earlier where there were ten bad ones
        most = 0.02 if later else 0.01
        iterates = [from_kernel(m._stream.iterate_components) for m in (hit, spared)]
        sd = np.sqrt(np.diagonal(spared.mixture.covariances, axis1=1, axis2=2))
        for one, other in (iterates, (hit.mixture, spared.mixture)):
            assert (np.abs(one.means - other.means) < most * sd).all()


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("value", [0.0, 3.0, -1e12])
def test_constant_streams_stay_finite(covariance_type, value):
    model = OnlineGMM(3, covariance_type=covariance_type, warm_up=20, seed=1)
    for _ in range(300):
        model.learn_one({"a": value, "b": value})
    assert np.isfinite(model.mixture.covariances).all()
    assert (np.diagonal(model.mixture.covariances, axis1=1, axis2=2) > 0).all()
    assert model.predict_one({"a": value, "b": value}) in range(3)
    assert math.isfinite(model.log_density_one({"a": value + 1.0, "b": value}))


@on_one_kernel
def test_a_stream_that_wakes_up_after_the_warm_start():
    rng = np.random.default_rng(1)
    model = OnlineGMM(2, warm_up=50, average=False, seed=1)
    for _ in range(50):
        model.learn_one({"a": 0.0})
    for level in rng.normal(5.0, 1.0, size=3000):
        model.learn_one({"a": level})
    assert not model.assign_one({"a": 5.0}).outlier
    assert model.log_density_one({"a": 5.0}) > -3.0


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
def test_fewer_points_than_components(values):
    model = OnlineGMM(3, seed=1).fit_start(np.array(values))
    for _ in range(50):
        for value in values:
            model.learn_one({0: value})
            assert 0 <= model.predict_one({0: value}) < 3
    assert np.isfinite(model.mixture.means).all()
    assert np.isfinite(model.mixture.covariances).all()


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
def test_offset_of_a_billion(covariance_type):
    X = blobs(600, 2, seed=1)
    near = OnlineGMM(3, covariance_type=covariance_type, warm_up=100, seed=1)
    far = OnlineGMM(3, covariance_type=covariance_type, warm_up=100, seed=1)
    near.learn_many(X)
    far.learn_many(X + 1e9)
    sd = np.sqrt(np.diagonal(near.mixture.covariances, axis1=1, axis2=2))
    assert (np.abs(far.mixture.means - 1e9 - near.mixture.means) < 1e-5 * sd).all()
    np.testing.assert_allclose(
        far.mixture.covariances, near.mixture.covariances, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(far.predict_many(X + 1e9), near.predict_many(X))


FRAMES = [
    (
        lambda: pd.DataFrame({"a": [1.0, math.inf], "b": 0.0}),
        ValueError,
        "row 1: feature 'a' is inf",
    ),
    (lambda: pl.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1e200]}), ValueError, "row 1: feature 'b'"),
    (lambda: pd.DataFrame({"a": [1.0, "x"], "b": 0.0}), TypeError, "row 1: feature 'a' is 'x'"),
    (lambda: pl.DataFrame({"a": ["1", "2"], "b": [0, 0]}), TypeError, "feature 'a'"),
    (
        lambda: pd.DataFrame({"a": pd.to_datetime(["2024", "2025"]), "b": 0.0}),
        TypeError,
        "feature 'a' is of type datetime64.*; if it is the time, say time='a'",
    ),
    (lambda: pd.Series([1.0, 2.0], name="a"), TypeError, r"not Series; X.to_frame\(\) makes one"),
    (lambda: np.array([[1.0, 2.0], [np.nan, -np.inf]]), ValueError, "row 1: feature 'b' is -inf"),
    (lambda: np.zeros((2, 3)), ValueError, "the array has 3 columns; the model knows 2 features"),
    (lambda: np.zeros((2, 2, 2)), ValueError, r"shape \(n, D\)"),
    (
        lambda: [[1.0, 2.0]],
        TypeError,
        r"a data frame .* or a numpy array .* not list; pandas.DataFrame\(X\) makes one of it",
    ),
    (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "'a' stands twice"),
]


@pytest.mark.parametrize(("make", "error", "message"), FRAMES)
def test_refused_frames_change_nothing(make, error, message):
    model = model_of(150)
    before = learnt(model)
    with pytest.raises(error, match=message):
        model.learn_many(make())
    with pytest.raises(error, match=message):
        model.predict_many(make())
    assert learnt(model) == before


def test_refused_frame_during_warm_up_leaves_no_rows_behind():
    model = model_of(50)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="row 3"):
        model.learn_many(pd.DataFrame({"a": [0.0, 1.0, 2.0, math.inf], "b": 0.0}))
    assert pickle.dumps(model) == before


def test_frames_without_rows_are_nothing():
    model = model_of(150)
    before = learnt(model)
    model.learn_many(pd.DataFrame({"a": [], "b": []}, dtype=float))
    assert learnt(model) == before
    assert len(model.predict_many(np.empty((0, 2)))) == 0
