"""The warm start is made in slices while the next points come, and loses none of them."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from online_gmm import OnlineGMM, OnlineHMM
from online_gmm.em import slices
from tests.conftest import bytes_of_kernels, on_one_kernel

pytestmark = on_one_kernel
WARM_UP = 80
LEARNERS = {
    "mixture": lambda **its: OnlineGMM(3, **{"warm_up": WARM_UP, "n_init": 4, "seed": 1, **its}),
    "auto": lambda **its: OnlineGMM(
        "auto", **{"max_components": 4, "warm_up": WARM_UP, "n_init": 2, "seed": 1, **its}
    ),
    "chain": lambda **its: OnlineHMM(3, **{"warm_up": WARM_UP, "n_init": 4, "seed": 1, **its}),
}


@pytest.fixture(params=LEARNERS)
def make(request):
    return LEARNERS[request.param]


def series(n=240, d=2):
    """Three levels, with values missing and a wild reading."""
    rng = np.random.default_rng(3)
    level = np.repeat(rng.choice([0.0, 4.0, 8.0], size=n // 10 + 1), 10)[:n]
    X = rng.normal(level[:, None], 1.0, (n, d))
    X[rng.random(n) < 0.05, 1] = np.nan
    X[30] = 6553.5
    return X


def dicts(X):
    return [dict(enumerate(row)) for row in X.tolist()]


def test_it_ends_where_a_start_in_one_call_does(make):
    X = series()
    one, many, at_once = make(), make(), make()
    for x in dicts(X):
        one.learn_one(x)
    many.learn_many(X[:85])
    many.learn_many(X[85:])
    at_once.fit_start(X[:WARM_UP])
    at_once.learn_many(X[WARM_UP:])
    assert one.is_started
    assert one.to_bytes() == many.to_bytes() == at_once.to_bytes()


def test_both_kernels_begin_alike(make, monkeypatch):
    def learnt():
        model = make(features=[0, 1])
        model.learn_many(series()[:82])
        assert not model.is_started
        again = type(model).from_bytes(model.to_bytes())
        again.learn_many(series()[82:])
        assert again.is_started
        return again

    assert len(bytes_of_kernels(learnt, monkeypatch)) == 1


def test_labels_then_learns_as_one_by_one(make):
    X = series()
    one, many = make(), make()
    expected = []
    for x in dicts(X):
        expected.append(one.assign_one(x))
        one.learn_one(x)
    answers = many.label_then_learn_many(X)
    np.testing.assert_array_equal(answers.labels, [its.label for its in expected])
    np.testing.assert_array_equal(answers.outliers, [its.outlier for its in expected])
    assert many.to_bytes() == one.to_bytes()


def test_nothing_is_known_until_it_ends(make):
    model = make()
    labels = []
    for n, x in enumerate(dicts(series()), 1):
        labels.append(model.predict_one(x))
        model.learn_one(x)
        assert model.n_points == n
        if n == WARM_UP:
            with pytest.raises(ValueError, match=r"warm start of the first 80 is made while"):
                model.mixture  # noqa: B018
        if not model.is_started:
            assert model.labels == ()
            assert model.start is None
    started = next(i for i, label in enumerate(labels) if label >= 0)
    assert WARM_UP + 1 < started < WARM_UP + 100
    assert -1 not in labels[started:]


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_goes_on_from_bytes_and_copies(learner):
    X = dicts(series())
    model, others = LEARNERS[learner](), []
    for n, x in enumerate(X):
        model.learn_one(x)
        for other in others:
            other.learn_one(x)
        if n + 1 in (80, 81, 82, 83):
            assert not model.is_started
            others += [
                type(model).from_bytes(model.to_bytes()),
                copy.deepcopy(model),
                pickle.loads(pickle.dumps(model)),
            ]
    assert model.is_started
    assert {other.to_bytes() for other in others} == {model.to_bytes()}


def test_points_refused_meanwhile_change_nothing(make):
    X = dicts(series())
    model, other = make(), make()
    for n, x in enumerate(X):
        model.learn_one(x)
        other.learn_one(x)
        if WARM_UP <= n < WARM_UP + 3:
            before = model.to_bytes()
            with pytest.raises(ValueError, match="inf"):
                model.learn_one({0: np.inf})
            # rows before the one that is refused have done slices of their own
            frame = pd.DataFrame(X[:3]).astype(object)
            frame.loc[2, 1] = "wild"
            with pytest.raises((TypeError, ValueError)):
                model.learn_many(frame)
            assert model.to_bytes() == before
    assert model.is_started
    assert model.to_bytes() == other.to_bytes()


def test_an_error_within_a_slice_can_be_tried_again(make, monkeypatch):
    X = dicts(series())
    model, other = make(), make()
    plain, calls = slices.Meter.is_full, 0

    def is_full(self, work):
        nonlocal calls
        calls += 1
        if calls == 7:
            raise MemoryError
        return plain(self, work)

    for x in X:
        other.learn_one(x)
    monkeypatch.setattr(slices.Meter, "is_full", is_full)
    failed = 0
    for x in X:
        before = model.to_bytes()
        try:
            model.learn_one(x)
        except MemoryError:
            failed += 1
            assert model.to_bytes() == before
            model.learn_one(x)
    assert failed == 1
    assert model.to_bytes() == other.to_bytes()


def test_features_that_come_meanwhile_are_unknown(make):
    model = make()
    for n, x in enumerate(dicts(series())):
        model.learn_one(x if n < WARM_UP else {**x, "late": 1.0})
    assert model.is_started
    assert sorted(model.centers[model.labels[0]]) == [0, 1]
    assert model.n_unknown == 240 - WARM_UP


def test_times_of_the_points_kept(make):
    """A late one is skipped while the warm start is made, as before and after it."""
    X = dicts(series())
    model, at_once = (make(time="t", late="skip") for _ in range(2))
    rows = [{**x, "t": float(t)} for t, x in enumerate(X)]
    at_once.fit_start(pd.DataFrame(rows[:WARM_UP]))
    for n, x in enumerate(rows):
        model.learn_one(x)
        if n >= WARM_UP:
            at_once.learn_one(x)
        if n == WARM_UP + 1:
            assert not model.is_started
            model.learn_one(rows[n - 1])
            at_once.learn_one(rows[n - 1])
    assert model.is_started
    assert model.n_late == 1
    assert model.to_bytes() == at_once.to_bytes()


def test_a_start_can_be_made_at_once(make):
    """Of all points that have come, however far the slices are."""
    X = series()
    model = make(features=[0, 1])
    model.learn_many(X[:82])
    assert not model.is_started
    assert model.fit_start() is model
    assert model.to_bytes() == make(features=[0, 1]).fit_start(X[:82]).to_bytes()


def test_models_merge_while_it_is_made():
    X = series(400)
    started, early = (OnlineGMM(3, warm_up=WARM_UP, n_init=4, seed=1) for _ in range(2))
    started.learn_many(X[:200])
    early.learn_many(X[200:282])
    assert started.is_started
    assert not early.is_started
    into_early = copy.deepcopy(early).merge(started)
    into_started = copy.deepcopy(started).merge(early)
    for both in (into_early, into_started):
        assert both.n_points == 282
        both.learn_many(X[282:])
        assert both.n_points == 400
    many = OnlineGMM(3, warm_up=WARM_UP, n_init=4, seed=1)
    many.merge(early).learn_many(X[282:])
    early.learn_many(X[282:])
    assert many.to_bytes() == early.to_bytes()
