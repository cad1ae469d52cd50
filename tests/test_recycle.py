"""Components that are born, retired and merged."""

import copy
import math
import pickle

import numpy as np
import pandas as pd
import pytest

from online_gmm import Constant, HalfLife, OnlineGMM
from online_gmm.em.mixture import MixtureParameters
from online_gmm.learners.places import parts_of
from online_gmm.learners.recycle import crowd, roster_from_state, twins
from tests.conftest import on_one_kernel
from tests.test_kernel import TYPES


def levels(n, means, seed, d=2):
    """Points of unit variance around levels, in random order."""
    rng = np.random.default_rng(seed)
    return rng.normal(rng.choice(means, size=n)[:, None], 1.0, (n, d))


def moved_on(recycle, covariance_type="full"):
    """Levels 0, 10 and 20; then 20 is left for ever, and later 60 comes."""
    model = OnlineGMM(
        3, covariance_type=covariance_type, step_size=Constant(0.02), recycle=recycle, seed=1
    )
    model.learn_many(levels(1000, [0.0, 10.0, 20.0], seed=1))
    model.learn_many(levels(1500, [0.0, 10.0], seed=2))
    model.learn_many(levels(1000, [0.0, 10.0, 60.0], seed=3))
    return model


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_the_dead_are_retired_and_outliers_get_a_component(covariance_type):
    model = moved_on(True, covariance_type)
    assert [(e.kind, e.number) for e in model.events] == [("retired", 2), ("born", 3)]
    retired, born = model.events
    assert 1000 < retired.n_points < 2500 < born.n_points < 2700
    assert retired.time is None
    assert "no support" in retired.cause
    assert "unexplained" in born.cause
    assert model.labels == (0, 1, 3)
    np.testing.assert_allclose(model.mixture.means[:, 0], [0, 10, 60], atol=0.6)
    assert model.predict_one({0: 60.0, 1: 60.0}) == 3
    assert set(model.predict_proba_one({0: 0.0, 1: 0.0})) == {0, 1, 3} == set(model.centers)
    X = levels(50, [0.0, 10.0, 60.0], seed=4)
    assert set(model.predict_many(X)) == {0, 1, 3}
    frame = pd.DataFrame(X)
    assert list(model.predict_proba_many(frame).columns) == [0, 1, 3]


def test_off_by_default():
    model = moved_on(False)
    assert OnlineGMM().recycle is False
    assert model.events == ()
    assert model.labels == (0, 1, 2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_two_that_have_become_one_are_merged(covariance_type):
    model = OnlineGMM(
        2, covariance_type=covariance_type, step_size=HalfLife(200), recycle=True, seed=1
    )
    model.learn_many(levels(500, [0.0, 30.0], seed=1))
    rng = np.random.default_rng(2)
    for t in range(6000):
        level = 30.0 * max(0.0, 1.0 - t / 3000) * rng.integers(2)
        model.learn_one({0: rng.normal(level, 1.0), 1: rng.normal(level, 1.0)}, t=float(t))
    kinds = [(e.kind, e.number) for e in model.events]
    assert kinds[0] in (("merged", 1), ("retired", 1), ("retired", 0), ("merged", 0))
    assert len(model.labels) == 1
    assert model.events[0].time == model.events[0].n_points - 501
    np.testing.assert_allclose(model.mixture.means, 0.0, atol=0.3)
    np.testing.assert_allclose(model.mixture.weights, 1.0)


@pytest.mark.parametrize(("factor", "are_one"), [(0.999, True), (1.001, False)])
def test_two_are_one_below_a_bhattacharyya_distance_of_a_twentieth(factor, are_one):
    """Between normal distributions of one variance it is d^2 / 8, d in standard deviations."""
    sd = 3.0
    apart = factor * sd * math.sqrt(8.0 * 0.05)
    mixture = MixtureParameters(
        weights=np.array([0.2, 0.5, 0.3]),
        means=np.array([[-50.0], [4.0], [4.0 + apart]]),
        covariances=np.full((3, 1, 1), sd**2),
    )
    assert twins(mixture) == ((1, 2) if are_one else None)


@pytest.mark.parametrize(("n_features", "expected"), [(1, 12), (3, 12), (4, 15), (9, 30)])
def test_outliers_that_are_more_than_chance(n_features, expected):
    assert crowd(n_features) == expected


@on_one_kernel
def test_merging_keeps_the_moments():
    model = OnlineGMM(3, capacity=0, step_size=Constant(0.01), seed=1)
    model.fit_start(np.concatenate([levels(300, [0.0, 0.0, 50.0], 1)]))
    before = parts_of(model._stream.components.state())
    after = before.merged(0, 1)

    def moments(m):
        spread = m.scatter.reshape(-1, 2, 2) + m.center[:, :, None] * m.center[:, None, :]
        return m.weight @ m.center, np.tensordot(m.weight, spread, 1)

    for one, other in zip(moments(before), moments(after), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@on_one_kernel
def test_a_steady_stream_sees_no_events():
    model = OnlineGMM(3, recycle=True, seed=1)
    model.learn_many(levels(30_000, [0.0, 5.0, 10.0], seed=1))
    assert model.events == ()


@on_one_kernel
def test_outliers_here_and_there_are_no_component(compiled):
    rng = np.random.default_rng(1)
    X = levels(20_000 if compiled else 3_000, [0.0, 10.0], seed=1)
    X[rng.random(len(X)) < 0.005] = rng.normal(0, 1e4, 2)
    model = OnlineGMM(3, recycle=True, step_size=Constant(0.01), seed=1)
    model.learn_many(X)
    assert all(e.kind != "born" for e in model.events)


def test_numbers_are_never_used_again():
    model = OnlineGMM(2, step_size=Constant(0.03), recycle=True, seed=1)
    model.learn_many(levels(600, [0.0, 50.0], seed=1))
    for i in range(4):
        model.learn_many(levels(1500, [0.0], seed=10 + i))
        model.learn_many(levels(400, [0.0, 100.0 * (i + 1)], seed=20 + i))
    numbers = [e.number for e in model.events if e.kind == "born"]
    assert numbers == sorted(set(numbers))
    assert min(numbers) == 2
    assert len(numbers) >= 3


def test_many_is_one_and_copies_go_on_the_same():
    X = np.vstack([levels(700, [0.0, 20.0], 1), levels(1500, [0.0], 2), levels(600, [0, 50.0], 3)])
    one, many = (OnlineGMM(2, step_size=Constant(0.02), recycle=True, seed=1) for _ in range(2))
    for row in X.tolist():
        one.learn_one(dict(enumerate(row)))
    many.learn_many(X[:1111])
    many = pickle.loads(pickle.dumps(copy.deepcopy(many)))
    many.learn_many(X[1111:])
    assert one.events == many.events != ()
    assert one._stream.state() == many._stream.state()


@on_one_kernel
def test_with_refits():
    model = OnlineGMM(3, recycle=True, capacity=400, seed=1)
    model.learn_many(levels(1500, [0.0, 10.0, 20.0], seed=1))
    model.learn_many(levels(8000, [0.0, 10.0, 40.0], seed=2))
    assert math.isfinite(model.log_density_one({0: 40.0, 1: 40.0}))
    assert model.predict_one({0: 40.0, 1: 40.0}) != model.predict_one({0: 10.0, 1: 10.0})


# -- what is kept of numbers and events -----------------------------------------------------------


def roster_state(**changed):
    """The state of three components, of which one is of a later number, after two events."""
    return {
        "numbers": [0, 4, 2],
        "next": 5,
        "events": [
            ["retired", 1, 700, None, "no support", [1.5, -2.0], None],
            ["born", 4, 900, 12.5, "outliers", None, [0.25, 8.0]],
        ],
    } | changed


def test_numbers_and_events_outlive_bytes():
    roster = roster_from_state(roster_state(), 3)
    assert roster.numbers == (0, 4, 2)
    retired, born = roster.events
    assert (retired.kind, retired.number, retired.n_points) == ("retired", 1, 700)
    assert (retired.time, retired.cause) == (None, "no support")
    assert (retired.before, retired.after) == ((1.5, -2.0), None)
    assert (born.time, born.before, born.after) == (12.5, None, (0.25, 8.0))
    again = roster_from_state(roster.state(), 3)
    assert again.state() == roster.state()
    # the next components get the next numbers, one after the other
    assert [roster.add(), roster.add()] == [5, 6]
    assert roster.numbers == (0, 4, 2, 5, 6)


def test_events_of_older_releases_have_no_centres():
    state = roster_state(events=[["born", 4, 900, None, "outliers"]])
    (event,) = roster_from_state(state, 3).events
    assert (event.before, event.after) == (None, None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"numbers": [0, 4]}, "numbers are not those of 3 components"),
        ({"numbers": [0, 4, 4]}, "numbers are not those of 3 components"),
        ({"numbers": [0, 4, 5]}, "^number is not a whole number from 0 to 4$"),
        ({"numbers": [0, 4, 6]}, "^number is not a whole number from 0 to 4$"),
        ({"numbers": [0, 4, -1]}, "^number is not a whole number from 0 to 4$"),
        ({"next": -1}, "^next is not a whole number"),
        ({"events": [["lost", 1, 700, None, "why", None, None]]}, "an event is of the kind 'lost'"),
        ({"events": [["born", 1, 700, 3, "why", None, None]]}, "^time"),
        ({"events": [["born", 1, 700, None, 3, None, None]]}, "^cause"),
        ({"events": [["born", 1, 700, None, "why", [1], None]]}, "^a centre"),
        ({"events": [["born", 1, 700, None, "why", None, ["x"]]]}, "a centre"),
    ],
)
def test_states_that_are_none(changed, said):
    with pytest.raises((ValueError, TypeError), match=said):
        roster_from_state(roster_state(**changed), 3)


def test_no_component_has_no_numbers():
    with pytest.raises(ValueError, match="numbers are not those of 0 components"):
        roster_from_state(roster_state(numbers=[]), 0)
