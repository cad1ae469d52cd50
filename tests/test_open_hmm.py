"""Regimes whose number nobody knows: births, returns, merges, and labels without a look ahead."""

import copy
import pickle
from array import array

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from online_gmm import OpenHMM, RollingFeatures, Segmenter
from online_gmm.data.frames import flat
from tests import naive_open

WINDOW = 80


def wandering(seed, n=400, d=3, levels=4, dwell=60):
    """Rows around levels that come and go, shape (n, d)."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(0.0, 3.0, size=(levels, d))
    state = rng.integers(levels, size=n // dwell + 1).repeat(dwell)[:n]
    noise = rng.normal(0.0, 0.3, size=(n, d))
    for t in range(1, n):
        noise[t] = 0.8 * noise[t - 1] + 0.6 * noise[t]
    return centre[state] + noise, state


def series(seed, sds=(1.0, 5.0, 1.0), dwell=1200):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, np.repeat(sds, dwell))


def features(x, window=WINDOW):
    trailing = RollingFeatures(window, ["mean", "log_sd"])
    trailing.learn_many(x)
    return trailing.transform_many(x)


@pytest.mark.parametrize("bounce", [0, 12])
@pytest.mark.parametrize("young", [0, 16])
@pytest.mark.parametrize("capacity", [2, 8])
def test_equals_the_naive_chain(kernel, bounce, young, capacity):
    setting, spans = (2.0, 50.0, 2.0, 0.01, 10.0), (16, 12, young, bounce)
    born = 0
    for seed in range(6):
        rows, _ = wandering(seed)
        chain = kernel.OpenChain(3, capacity, 1, 8, setting, spans, -np.inf)
        labels = array("q", bytes(8 * len(rows)))
        chain.label(flat(rows), len(rows), labels)
        assert list(labels) == naive_open.labels(rows, 1 / 8, capacity, setting, spans)
        born += max(labels)
    assert born > 6


def test_kernels_agree_to_the_last_bit():
    from tests.conftest import KERNELS

    rows, _ = wandering(1, n=300)
    rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    states = []
    for kernel in KERNELS.values():
        chain = kernel.OpenChain(
            3, 4, 2, 16, (2.0, 50.0, 2.0, 0.01, 10.0), (16, 12, 16, 12), -np.inf
        )
        chain.learn(flat(rows), 0, len(rows), None)
        states.append(chain.state())
    assert all(state == states[0] for state in states)


def test_a_regime_is_born_and_known_again(compiled):
    right = 0
    for seed in range(20 if compiled else 3):
        labels = OpenHMM(WINDOW, floor=0.2).label_many(features(series(seed)))
        right += tuple(labels[[1190, 2390, 3590]]) == (0, 1, 0)
    assert right >= (18 if compiled else 2)


def test_labels_do_not_look_ahead():
    rows = features(series(2, dwell=500))
    whole = OpenHMM(WINDOW, floor=0.2).label_many(rows)
    for cut in (300, 700, 1100):
        part = OpenHMM(WINDOW, floor=0.2).label_many(rows[:cut])
        np.testing.assert_array_equal(part, whole[:cut])


def test_a_point_at_a_time_is_the_same_as_many():
    rows = features(series(3, dwell=300))
    one, many = OpenHMM(WINDOW, floor=0.2), OpenHMM(WINDOW, floor=0.2)
    for row in rows:
        one.learn_one(dict(enumerate(row.tolist())))
    for part in np.array_split(rows, [30, 200, 201, 640]):
        many.learn_many(part)
    assert one._stream.state() == many._stream.state()
    labelled = OpenHMM(WINDOW, floor=0.2)
    labelled.label_many(rows)
    assert labelled._stream.state() == one._stream.state()


def test_prediction_changes_nothing_and_is_what_learning_leaves_unless_regimes_merge():
    rows = features(series(4, dwell=400))
    model, left = OpenHMM(WINDOW, floor=0.2, bounce=0.0), OpenHMM(WINDOW, floor=0.2, bounce=0.0)
    expected = left.label_many(rows)
    for row, label in zip(rows, expected, strict=True):
        x = dict(enumerate(row.tolist()))
        before = pickle.dumps(model)
        shares = model.predict_proba_one(x)
        assert model.predict_one(x) == label
        assert pickle.dumps(model) == before
        assert sum(shares.values()) == pytest.approx(1.0)
        model.learn_one(x)


def test_saved_and_copied_it_goes_on_alike():
    rows = features(series(5, dwell=400))
    model = OpenHMM(WINDOW, floor=0.2)
    model.learn_many(rows[:700])
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for other in others:
        other.learn_many(rows[700:])
    model.learn_many(rows[700:])
    assert all(other._stream.state() == model._stream.state() for other in others)


def test_in_a_pipeline_with_segments():
    model = Segmenter(RollingFeatures(WINDOW, ["mean", "log_sd"]) | OpenHMM(WINDOW, floor=0.2))
    changes = []
    x = series(0)
    for value in x:
        model.learn_one({"x": value})
        if model.drift_detected:
            changes.append(model.change)
    assert changes[0].after == 1
    assert abs(changes[0].at - 1200) < WINDOW
    assert (
        adjusted_rand_score(
            np.repeat([0, 1, 0], 1200), OpenHMM(WINDOW, floor=0.2).label_many(features(x))
        )
        > 0.8
    )


def test_frames_and_centers():
    rows = pd.DataFrame(features(series(6, dwell=400)), columns=["m", "s"], index=range(5, 1205))
    model = OpenHMM(WINDOW, floor=0.2)
    labels = model.label_many(rows)
    assert isinstance(labels, pd.Series)
    assert list(labels.index) == list(rows.index)
    assert set(model.centers) <= set(range(max(labels) + 2))
    assert model.centers[0]["s"] == pytest.approx(rows["s"][80:400].mean(), abs=0.3)
    assert sum(model.belief.values()) == pytest.approx(1.0)


def test_no_more_regimes_are_held_than_asked_for():
    rows, _ = wandering(7, n=2000, levels=9, dwell=100)
    model = OpenHMM(8, max_components=3, young=0.0, bounce=0.0)
    labels = model.label_many(rows)
    assert labels.max() > 5
    assert len(model.centers) == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.6))
def test_whatever_is_missing_beliefs_stay_beliefs(seed, missing):
    rows, _ = wandering(seed, n=150)
    rows[np.random.default_rng(seed).random(rows.shape) < missing] = np.nan
    model = OpenHMM(8)
    for row in rows:
        model.learn_one(dict(enumerate(row.tolist())))
    if model.is_started:
        belief = list(model.belief.values())
        assert min(belief) >= 0.0
        assert sum(belief) == pytest.approx(1.0)
        assert np.isfinite([list(c.values()) for c in model.centers.values()]).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", 4),
        ("max_components", 0),
        ("novelty", 0.0),
        ("floor", -1.0),
        ("tempering", float("nan")),
        ("dwell", float("inf")),
        ("birth", 0.0),
        ("bounce", -1.0),
        ("strength", -0.5),
    ],
)
def test_parameters_that_cannot_be(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        OpenHMM(**{name: value})


@pytest.mark.parametrize("bad", [float("inf"), "high", 1e200])
def test_a_bad_value_is_refused_and_nothing_is_lost(bad):
    model = OpenHMM(8)
    model.learn_many(wandering(1, n=100)[0])
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match="feature 1"):
        model.learn_one({0: 1.0, 1: bad, 2: 0.0})
    assert pickle.dumps(model) == before


def test_nothing_grows():
    model = OpenHMM(8)
    sizes = []
    for seed in range(4):
        model.learn_many(wandering(seed, n=1000)[0])
        sizes.append(len(pickle.dumps(model)))
    assert max(sizes) - min(sizes) < 64
