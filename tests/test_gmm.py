"""OnlineGMM as its users meet it."""

import copy
import itertools
import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import online_gmm
from online_gmm import OnlineGMM, PowerDecay
from online_gmm.em.batch import fit
from tests.conftest import on_one_kernel
from tests.test_batch import FIRST
from tests.test_kernel import TYPES, blobs


def dicts(X, names="abcdefgh"):
    return [dict(zip(names, row, strict=False)) for row in X.tolist()]


def started(n=300, d=2, **settings):
    X = blobs(n, d, seed=1)
    model = OnlineGMM(3, warm_up=100, seed=1, features=list("abcdefgh"[:d]), **settings)
    for x in dicts(X):
        model.learn_one(x)
    return model, X


def test_public_names():
    packages = {"data", "em", "features", "learners", "segmentation"}
    assert set(online_gmm.__all__) - packages == {
        "Assignment",
        "Assignments",
        "ComponentEvent",
        "Constant",
        "HalfLife",
        "MixtureParameters",
        "OnlineGMM",
        "OnlineHMM",
        "Pool",
        "PowerDecay",
        "Reason",
        "RegimeCard",
        "RegimeChange",
        "RegimeEvent",
        "RollingFeatures",
        "SecondPass",
        "Segment",
        "Segmenter",
        "Smoothed",
        "StrangenessDetector",
        "pool",
    }
    assert all(hasattr(online_gmm, name) for name in online_gmm.__all__)
    assert online_gmm.__version__.count(".") == 2


def test_before_the_warm_start_answers_are_defined():
    model = OnlineGMM(4, warm_up=10)
    for x in [{"a": 1.0}, {}, {"b": None}]:
        assert model.predict_one(x) == -1
        assert model.predict_proba_one(x) == {}
        assert math.isnan(model.log_density_one(x))
        assert model.assign_one(x).label == -1
        model.learn_one({"a": 1.0})
    assert model.centers == {}
    assert model.n_points == 3
    assert not model.is_started
    assert model.predict_many(pd.DataFrame({"a": [0.0, 0.0]})).tolist() == [-1, -1]
    with pytest.raises(ValueError, match="3 of 10 warm-up points"):
        _ = model.mixture


def test_warm_start_is_of_the_points_asked_for():
    X = dicts(blobs(150, 2, seed=1))
    model = OnlineGMM(3, warm_up=100, seed=1)
    for i, x in enumerate(X):
        model.learn_one(x)
        assert model.n_points == i + 1
        assert i + 1 > 100 or not model.is_started
    assert model.is_started
    assert model.start.n_points == 100


@on_one_kernel
def test_history_and_first_points_make_the_same_start():
    X = blobs(150, 2, seed=2)
    stream = OnlineGMM(3, warm_up=150, seed=1)
    stream.learn_many(X)
    stream.fit_start()
    history = OnlineGMM(3, seed=1).fit_start(X)
    both = OnlineGMM(3, warm_up=200, seed=1)
    both.learn_many(X[:60])
    both.fit_start(X[60:])
    assert stream._stream.state() == history._stream.state() == both._stream.state()


def test_warm_start_on_what_there_is():
    X = blobs(40, 2, seed=2)
    early = OnlineGMM(3, warm_up=1000, seed=1)
    early.learn_many(X)
    assert early.fit_start() is early
    assert early.start.n_points == 40
    with pytest.raises(ValueError, match="started already"):
        early.fit_start(X)
    with pytest.raises(ValueError, match="at least one point"):
        OnlineGMM(2).fit_start()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_learn_many_is_repeated_learn_one(covariance_type, compiled):
    n = 500 if compiled else 160
    X = blobs(n, 3, seed=3, missing=0.1)
    one = OnlineGMM(3, covariance_type=covariance_type, warm_up=80, n_init=2, seed=1)
    for x in dicts(X):
        one.learn_one(x)
    frame = pd.DataFrame(X, columns=list("abc"))
    for cuts in ([0, n], [0, 30, 80, 81, 140, n], [0, 79, n]):
        many = OnlineGMM(3, covariance_type=covariance_type, warm_up=80, n_init=2, seed=1)
        for i, j in itertools.pairwise(cuts):
            many.learn_many(frame[i:j])
        assert many._stream.state() == one._stream.state()
        assert many.n_points == one.n_points


def test_many_answers_are_those_of_one():
    model, X = started(d=3)
    labels = model.predict_many(X)
    proba = model.predict_proba_many(X)
    scores = model.log_density_many(X)
    for i, x in enumerate(dicts(X)):
        assert labels[i] == model.predict_one(x) == model.assign_one(x).label
        assert proba[i].tolist() == list(model.predict_proba_one(x).values())
        assert scores[i] == model.log_density_one(x) == model.assign_one(x).log_density
        assert proba[i].max() == model.assign_one(x).probability


def test_what_goes_in_decides_what_comes_out():
    model, X = started()
    frame = pd.DataFrame(X, columns=["a", "b"], index=pd.date_range("2024", periods=len(X)))
    labels = model.predict_many(frame)
    assert isinstance(labels, pd.Series)
    assert labels.name == "label"
    pd.testing.assert_index_equal(labels.index, frame.index)
    proba = model.predict_proba_many(frame)
    assert isinstance(proba, pd.DataFrame)
    assert list(proba.columns) == [0, 1, 2]
    pd.testing.assert_index_equal(proba.index, frame.index)
    assert isinstance(model.log_density_many(frame), pd.Series)

    polars = pl.DataFrame({"b": X[:, 1], "a": X[:, 0]})
    assert isinstance(model.predict_many(polars), pl.Series)
    assert isinstance(model.predict_proba_many(polars), pl.DataFrame)
    assert isinstance(model.log_density_many(polars), pl.Series)
    np.testing.assert_array_equal(model.predict_many(polars).to_numpy(), labels.to_numpy())
    np.testing.assert_array_equal(model.predict_proba_many(polars).to_numpy(), proba.to_numpy())

    assert isinstance(model.predict_many(X), np.ndarray)
    assert model.predict_proba_many(X).shape == (len(X), 3)


@pytest.mark.parametrize("kind", ["pandas nullable", "polars nulls", "pandas objects", "integers"])
def test_frames_of_many_kinds(kind):
    model, _ = started()
    frame = {
        "pandas nullable": lambda: pd.DataFrame({"a": [1, None], "b": [2, 3]}, dtype="Int64"),
        "polars nulls": lambda: pl.DataFrame({"a": [1, None], "b": [2, 3]}),
        "pandas objects": lambda: pd.DataFrame({"a": [1, None], "b": [2.0, 3]}, dtype=object),
        "integers": lambda: pd.DataFrame({"a": [1, np.nan], "b": np.array([2, 3], np.uint8)}),
    }[kind]()
    expected = [model.log_density_one({"a": 1.0, "b": 2.0}), model.log_density_one({"b": 3.0})]
    np.testing.assert_array_equal(np.asarray(model.log_density_many(frame)), expected)


def test_predictions_change_nothing():
    model, X = started()
    before = pickle.dumps(model)
    for x in [*dicts(X[:20]), {}, {"a": None}, {"a": 1e140, "b": 0.0}]:
        model.predict_one(x)
        model.predict_proba_one(x)
        model.log_density_one(x)
        model.assign_one(x)
    model.predict_many(X)
    model.predict_proba_many(X)
    model.log_density_many(X)
    _ = model.mixture, model.centers
    assert pickle.dumps(model) == before


def test_copies_are_independent():
    model, X = started()
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        state = model._stream.state()
        duplicate.learn_many(X)
        assert model._stream.state() == state
        assert duplicate._stream.state() != state
    clone = model.clone()
    assert not clone.is_started
    assert clone._get_params() == model._get_params()
    assert model.clone({"n_components": 5}).n_components == 5


def test_repr_names_the_settings():
    text = repr(OnlineGMM(4, step_size=PowerDecay(0.7)))
    assert text.startswith("OnlineGMM")
    for part in ("n_components=4", "warm_up=200", "PowerDecay(exponent=0.7, floor=0.0)"):
        assert part in text


def test_centers_and_mixture_agree():
    model, _ = started()
    assert list(model.centers) == [0, 1, 2]
    np.testing.assert_array_equal(
        [[c["a"], c["b"]] for c in model.centers.values()], model.mixture.means
    )
    assert model.mixture.features == ("a", "b")


def test_features_asked_for_are_the_features():
    X = dicts(blobs(120, 3, seed=1))
    model = OnlineGMM(2, warm_up=100, features=["c", "a"], seed=1)
    for x in X:
        model.learn_one(x)
    assert model.mixture.features == ("c", "a")
    assert model.n_unknown == 120
    assert (np.diff(model.mixture.means[:, 0]) > 0).all()


def test_columns_of_an_array_are_the_features_asked_for():
    X = blobs(120, 2, seed=1)
    array, one = (OnlineGMM(2, warm_up=50, features=["b", "a"], seed=1) for _ in range(2))
    array.learn_many(X[:20])
    array.learn_many(X[20:])
    for x in dicts(X, "ba"):
        one.learn_one(x)
    assert array._stream.state() == one._stream.state()
    assert array.n_unknown == array.n_empty == 0


def test_order_of_keys_does_not_matter():
    X = dicts(blobs(200, 3, seed=1))
    one, other = (OnlineGMM(2, warm_up=50, seed=1) for _ in range(2))
    for x in X:
        one.learn_one(x)
        other.learn_one(dict(reversed(x.items())))
    assert one._stream.state() == other._stream.state()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "n_components is 0; it must be at least 1"),
        ({"warm_up": 0}, "warm_up is 0"),
        ({"n_init": 0}, "n_init is 0"),
        ({"covariance_type": "round"}, "covariance_type is 'round'; it must be one of full, tied"),
        ({"prior_strength": -1.0}, "prior_strength is -1.0"),
        ({"prior_strength": math.nan}, "prior_strength is nan"),
        ({"gate": 1.0}, "gate is 1.0"),
        ({"features": ["a", "a"]}, "each name may be there once"),
        ({"features": ["a"], "order_by": "b"}, "order_by is 'b'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        OnlineGMM(**settings)


def test_order_by_a_feature_that_never_came():
    model = OnlineGMM(2, order_by="z", seed=1)
    with pytest.raises(ValueError, match="order_by is 'z', which is not among the features 'a'"):
        model.fit_start(pd.DataFrame({"a": [1.0, 2.0]}))


@on_one_kernel
def test_one_pass_comes_close_to_batch():
    n = 20_000
    rng = np.random.default_rng(3)
    z = rng.choice(3, p=[0.5, 0.3, 0.2], size=n)
    X = rng.normal(np.array([-3.0, 0.0, 4.0])[z], np.array([1.0, 0.8, 1.5])[z])[:, None]
    model = OnlineGMM(3, seed=1)
    model.learn_many(X)
    best = fit(X, model.start.mixture, model.start.prior)
    gap = best.log_likelihood - model.mixture.score_samples(X).mean()
    assert -1e-9 < gap < 1e-4
    start_gap = best.log_likelihood - model.start.mixture.score_samples(X).mean()
    assert gap < start_gap / 3


@on_one_kernel
def test_outliers_are_gated_counted_and_flagged():
    rng = np.random.default_rng(1)
    model = OnlineGMM(2, warm_up=200, average=False, seed=1)
    model.learn_many(rng.normal(rng.choice([0.0, 10.0], size=1000), 1.0))
    before = model.mixture
    for sign in (1, -1) * 5:
        assert model.assign_one({0: sign * 1e6}).outlier
        model.learn_one({0: sign * 1e6})
    assert model.n_outliers == 10
    assert model.mixture.error(before) < 1e-6
    assert not model.assign_one({0: 10.0}).outlier


def test_a_level_that_stays_is_learnt_in_spite_of_the_gate():
    rng = np.random.default_rng(1)
    model = OnlineGMM(2, warm_up=200, average=False, seed=1)
    model.learn_many(rng.normal(rng.choice([0.0, 10.0], size=1000), 1.0))
    model.learn_many(rng.normal(40.0, 1.0, size=4000))
    assert model.mixture.means.max() == pytest.approx(40.0, abs=1.0)
    assert not model.assign_one({0: 40.0}).outlier


def test_assign_many_is_repeated_assign_one():
    model, X = started(d=2)
    X[3] *= 1e5
    frame = pd.DataFrame(X, columns=["a", "b"])
    table = model.assign_many(frame)
    assert list(table.columns) == ["label", "probability", "log_density", "outlier"]
    assert table["outlier"].sum() == 1
    for row, x in zip(table.itertuples(index=False), dicts(X), strict=True):
        assert tuple(row) == tuple(model.assign_one(x))
    answers = model.assign_many(X)
    assert [answers.one(i) for i in range(3)] == [model.assign_one(x) for x in dicts(X[:3])]
    assert isinstance(model.assign_many(pl.DataFrame(frame.to_dict("list"))), pl.DataFrame)


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
def test_repeated_values_do_not_collapse_a_stream(covariance_type):
    """The 50 points with their thirteen equal values, over and over."""
    for seed in range(3):
        model = OnlineGMM(3, covariance_type=covariance_type, warm_up=50, seed=seed)
        for _ in range(20):
            model.learn_many(FIRST)
        assert model.mixture.covariances.min() > 0.1
        assert model.mixture.weights.min() > 0.1


@on_one_kernel
def test_label_then_learn_many_is_assign_one_then_learn_one():
    """On both kernels; `test_learners` has all learners."""
    X = blobs(300, 2, seed=8, missing=0.05)
    one, many = (OnlineGMM(3, warm_up=60, seed=1, features=["a", "b"]) for _ in range(2))
    expected = []
    for x in dicts(X):
        expected.append(one.assign_one(x))
        one.learn_one(x)
    answers = many.label_then_learn_many(X)
    assert repr([answers.one(i) for i in range(300)]) == repr(expected)
    assert many.to_bytes() == one.to_bytes()
