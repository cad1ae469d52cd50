"""Regimes that come after the warm start: what is told of them, in mixtures and chains."""

import numpy as np
import pytest

from benchmarks.machines import vibration
from benchmarks.meaning import levels
from online_gmm import OnlineGMM, OnlineHMM, PowerDecay
from tests.conftest import bytes_of_kernels, on_one_kernel

pytestmark = on_one_kernel
KINDS = {"mixture": OnlineGMM, "chain": OnlineHMM}
CAPACITY = 400
STAY = 60


@pytest.fixture(params=KINDS)
def make(request):
    return lambda **options: KINDS[request.param](
        3, **{"warm_up": 100, "capacity": CAPACITY, "n_init": 4, "seed": 1, **options}
    )


def stays(states, means, sds, seed=1):
    """Stays of STAY rows in these states; means and sds of shape (K, D)."""
    rng = np.random.default_rng(seed)
    places = np.repeat(states, STAY)
    return rng.normal(np.asarray(means, dtype=float)[places], np.asarray(sds, dtype=float)[places])


@pytest.fixture
def third_level():
    """Two levels for 1,200 rows, then a third one."""
    return stays([0, 1] * 10 + [2, 0, 2, 1], [[0.0], [8.0], [20.0]], np.ones((3, 1)))


@pytest.fixture
def wider():
    """Two levels, and from row 1,200 on a regime that is the first but for the spread of one."""
    means = [[0.0, 0.0], [8.0, 8.0], [0.0, 0.0]]
    sds = [[1.0, 1.0], [1.0, 1.0], [1.0, 4.0]]
    return stays([0, 1] * 10 + [2, 2, 2, 1], means, sds)


def test_a_level_is_born_soon_after_it_comes(make, third_level):
    model = make()
    model.learn_many(third_level)
    (born,) = model.events
    assert (born.kind, born.number, born.before) == ("born", 2, None)
    assert 1200 < born.n_points <= 1200 + STAY
    assert abs(born.after[0] - 20.0) < 1.0
    assert model.labels == (0, 1, 2)
    np.testing.assert_allclose([model.centers[k][0] for k in (0, 1, 2)], [0, 8, 20], atol=0.5)
    assert model.predict_many(third_level[-4 * STAY : -3 * STAY]).tolist() == [2] * STAY


def test_a_chain_goes_on_with_probabilities(third_level):
    model = OnlineHMM(3, warm_up=100, capacity=CAPACITY, n_init=4, lag=5, seed=1)
    for i, row in enumerate(third_level):
        model.learn_one({0: row[0]})
        if i >= 1195:
            assert abs(sum(model.belief.values()) - 1.0) < 1e-9
            np.testing.assert_allclose(model.transition.sum(axis=1), 1.0, rtol=1e-9)
            assert (model.transition >= 0.0).all()
            assert abs(sum(model.smoothed.probabilities.values()) - 1.0) < 1e-9
    assert model.transition.shape == (3, 3)
    assert model.dwell[2] > 20.0


def test_a_chain_in_time_has_rates(third_level):
    model = OnlineHMM(3, warm_up=100, capacity=CAPACITY, n_init=4, time="t", seed=1)
    seconds = np.cumsum(np.random.default_rng(2).exponential(2.0, len(third_level)))
    model.learn_many(third_level, seconds)
    (born,) = model.events
    assert born.time == seconds[born.n_points - 1]
    np.testing.assert_allclose(model.transition.sum(axis=1), 0.0, atol=1e-9)
    assert 40.0 < model.dwell[2] < 600.0


def test_a_wider_regime_is_born_and_the_others_stay_what_they_are(make, wider):
    model = make()
    model.learn_many(wider)
    (born,) = model.events
    assert (born.kind, born.number) == ("born", 2)
    assert 1200 < born.n_points <= 1200 + 2 * STAY
    assert "farther from all components than usual" in born.cause
    sds = np.sqrt(np.diagonal(model.mixture.covariances, axis1=1, axis2=2))
    np.testing.assert_allclose(sds[:2], 1.0, atol=0.2)
    assert 2.5 < sds[2, 1] < 5.5
    assert abs(sds[2, 0] - 1.0) < 0.4


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_other_shapes_of_covariances(make, covariance_type, wider):
    model = make(covariance_type=covariance_type)
    model.learn_many(wider)
    again = type(model).from_bytes(model.to_bytes())
    assert again.events == model.events
    assert [e.kind for e in model.events] == ["born"]


def test_rows_of_a_wider_spell_are_no_regime_when_it_is_short(make, wider):
    model = make()
    model.learn_many(wider[: 1200 + 8])
    model.learn_many(wider[:1200])
    assert model.events == ()


def test_both_kernels_have_the_same_births(make, wider, monkeypatch):
    def learnt():
        model = make(features=[0, 1])
        model.learn_many(wider[:1240])
        again = type(model).from_bytes(model.to_bytes())
        again.learn_many(wider[1240:])
        assert again.events
        return again

    assert len(bytes_of_kernels(learnt, monkeypatch)) == 1


def test_events_outlive_bytes_and_both_go_on_the_same(make, third_level, wider):
    for X in (third_level, wider):
        one = make(features=[0, 1][: X.shape[1]])
        for row in X.tolist():
            one.learn_one(dict(enumerate(row)))
        assert one.events
        # also while the points held back are few, and just before and after the birth
        at = one.events[0].n_points
        for cut in (1210, at - 1, at, at + 1):
            many = make(features=[0, 1][: X.shape[1]])
            many.learn_many(X[:cut])
            again = type(many).from_bytes(many.to_bytes())
            again.learn_many(X[cut:])
            assert again.events == one.events
            assert again.to_bytes() == one.to_bytes()


def test_a_new_fit_leaves_no_regime_out_that_came_of_late(make, wider):
    model = make(capacity=200)
    model.learn_many(np.vstack([wider, wider[: 20 * STAY]]))
    assert [e.kind for e in model.events] == ["born"]
    assert model.labels == (0, 1, 2)


def test_a_name_is_that_of_the_number_after_a_birth(make, third_level):
    model = make(step_size=PowerDecay(0.7))
    model.learn_many(third_level[:1200])
    model.rename(1, "run")
    model.learn_many(third_level[1200:])
    assert model.names == {1: "run"}
    assert model.events[-1].name is None
    model.rename(2, "flush")
    assert type(model).from_bytes(model.to_bytes()).events[-1].name == "flush"


def test_the_neighbour_of_a_regime_born_of_few_rows_gives_its_rows_back():
    """A worn bearing shows in the spread of one of six channels; 25 rows make its regime."""
    machine = vibration(2)
    model = OnlineHMM(3, seed=2)
    labels = np.asarray(model.label_then_learn_many(machine.X).labels)
    (*_, born) = model.events
    assert (born.kind, born.number) == ("born", 2)
    worn = np.arange(len(labels)) >= born.n_points
    worn &= machine.states == 2
    assert np.mean(labels[worn] == 2) > 0.95
    rest = np.arange(len(labels)) >= born.n_points
    rest &= machine.states != 2
    assert np.mean(labels[rest] == 2) < 0.05


def test_a_regime_that_comes_back_after_long_is_known_as_it_was():
    """Its weight has decayed; its first rows do not replace what is known of it."""
    machine = vibration(20)
    model = OnlineHMM(3, seed=20)
    labels = np.asarray(model.label_then_learn_many(machine.X).labels)
    worn = (machine.states == 2) & (np.arange(len(labels)) > 3200)
    assert np.mean(labels[worn] == 2) > 0.95


@pytest.mark.parametrize(("learner", "soon"), [(OnlineGMM, 480), (OnlineHMM, 460)])
def test_rows_that_come_during_a_fit_are_not_learnt_if_none_explains_them(learner, soon):
    """A third level comes between two others, at the row at which all are fitted again."""
    stream = levels(12, 400)
    model = learner(3, seed=12)
    labels = np.asarray(model.label_then_learn_many(stream.X[:1000]).labels)
    (born,) = model.events
    assert (born.kind, born.number) == ("born", 2)
    assert 400 < born.n_points < soon
    later = np.arange(1000) >= soon
    assert (labels[later & (stream.states[:1000] == 2)] == 2).all()
    assert (labels[later & (stream.states[:1000] == 0)] == 0).all()


@pytest.mark.parametrize("learner", [OnlineGMM, OnlineHMM])
def test_a_long_stay_right_after_the_warm_start_leaves_the_others_known(learner):
    """It would leave so little weight to a level that a single stray row widens it."""
    stream = levels(12, 400)
    model = learner("auto", seed=12)
    labels = np.asarray(model.label_then_learn_many(stream.X[:1000]).labels)
    (born,) = model.events
    assert 400 < born.n_points < 430
    later = np.arange(1000) >= born.n_points
    assert (labels[later & (stream.states[:1000] == 2)] == 2).all()
