"""Magnitudes: what is accepted can be survived, and what is refused changes nothing."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from online_gmm import HalfLife, OnlineGMM, OnlineHMM
from online_gmm.data.state import load
from online_gmm.em.mixture import MixtureParameters
from tests.fuzz import points

CORPUS = sorted((Path(__file__).parent / "fuzz" / "corpus" / "points").iterdir())


@pytest.fixture
def kernel():
    """Once, with the kernel that is installed: both give the same bits."""


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_fuzzing_has_found_stays_mended(path):
    points.run(path.read_bytes())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=12, max_size=120))
def test_a_story_of_any_magnitudes(data):
    points.run(data)


LEARNERS = {
    "full": lambda **more: OnlineGMM(2, warm_up=12, n_init=2, seed=1, capacity=16, **more),
    "diag": lambda **more: OnlineGMM(
        2, covariance_type="diag", warm_up=12, n_init=2, seed=1, **more
    ),
    "no prior, no gate": lambda **more: OnlineGMM(
        2, prior_strength=0.0, gate=0.0, warm_up=12, n_init=2, seed=1, **more
    ),
    "recycled": lambda **more: OnlineGMM(
        3, recycle=True, step_size=HalfLife(points=30), warm_up=12, n_init=2, seed=1, **more
    ),
    "chain": lambda **more: OnlineHMM(2, lag=2, warm_up=12, n_init=2, seed=1, **more),
}


def two_levels(scale, n=40):
    rng = np.random.default_rng(3)
    level, other = rng.normal(6.0 * (np.arange(n) // 5 % 2), 1.0), rng.normal(size=n)
    return [{"a": scale * y, "b": z} for y, z in zip(level.tolist(), other.tolist(), strict=True)]


def survives(model):
    """Whether a model can be written, read back, and asked."""
    data = model.to_bytes()
    assert load(data).to_bytes() == data
    x = {"a": 0.5, "b": 0.5}
    shares = model.predict_proba_one(x if model.time is None else {**x, "t": 1e149}).values()
    assert not model.is_started or abs(sum(shares) - 1.0) < 1e-9
    return True


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(LEARNERS)), st.floats(-320.0, 308.0), st.booleans())
def test_accepted_at_every_scale_or_refused(name, exponent, late):
    """Scales from 1e-320 to 1e308, from the beginning or from the 21st point on."""
    model, ordinary = LEARNERS[name](), two_levels(1.0)
    scale = 10.0**exponent if exponent > -308.0 else 5e-324
    for i, x in enumerate(two_levels(scale)):
        before = model.to_bytes()
        try:
            model.learn_one(ordinary[i] if late and i < 20 else x)
        except ValueError:
            assert model.to_bytes() == before
        assert survives(model)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_huge_value_before_the_start(name):
    model = LEARNERS[name]()
    for i, x in enumerate(two_levels(1.0)):
        model.learn_one({**x, "a": 1e150} if i == 5 else x)
        assert survives(model)
    assert model.n_points == 40


def test_data_too_fine_for_doubles_are_a_constant():
    """A standard deviation of 1e-160 has no square: one regime, whatever happens there."""
    model = LEARNERS["recycled"]()
    for x in two_levels(1e-160, 400):
        model.learn_one(x)
    assert survives(model)
    assert np.isfinite(model.mixture.covariances).all()
    fine = OnlineGMM(2, warm_up=40, seed=1)
    for x in two_levels(1e-130, 400):
        fine.learn_one({"a": x["a"]})
    assert fine.predict_one({"a": 0.0}) != fine.predict_one({"a": 6e-130})


def test_a_feature_that_is_never_seen_before_the_start():
    model = OnlineGMM(2, features=["a", "b"], warm_up=20, seed=1)
    for x in two_levels(1.0):
        model.learn_one({"a": x["a"]})
    assert survives(model)
    assert np.isfinite(model.mixture.means).all()
    means = model.mixture.means[:, 0]
    model.polish()
    assert np.allclose(model.mixture.means[:, 0], means, atol=0.2)
    for x in two_levels(1.0):
        model.learn_one(x)
    assert abs(model.mixture.means[:, 1]).max() < 1.0


@pytest.mark.parametrize("time", [1e308, -1e308, 1.1e150, 10**400, math.inf, math.nan])
@pytest.mark.parametrize("name", ["full", "chain"])
def test_times_out_of_range_are_refused(name, time):
    model = LEARNERS[name](time="t")
    for i, x in enumerate(two_levels(1.0)):
        before = model.to_bytes()
        with pytest.raises(ValueError, match="time 't' is"):
            model.learn_one({**x, "t": time})
        with pytest.raises(ValueError, match=r"row 1: time 't' is"):
            model.learn_many(pd.DataFrame([{**x, "t": i}, {**x, "t": time}]))
        assert model.to_bytes() == before
        model.learn_one({**x, "t": float(i)})


@pytest.mark.parametrize("step", [1e-150, 1e100, 1e148])
@pytest.mark.parametrize("name", ["full", "chain"])
def test_times_in_range_are_survived(name, step):
    model = LEARNERS[name](time="t", step_size=HalfLife(seconds=10 * step))
    for i, x in enumerate(two_levels(1.0)):
        model.learn_one({**x, "t": i * step})
        assert survives(model)


# -- refused and unchanged ------------------------------------------------------------------------


def fail(*arguments, **options):
    raise ValueError("cannot be fitted")


@pytest.mark.parametrize(("name", "module"), [("full", "gmm"), ("chain", "hmm")])
def test_a_start_that_fails_takes_nothing(monkeypatch, name, module):
    model = LEARNERS[name](time="t", late="skip")
    rows = [{**x, "t": float(i), "c": 1.0} for i, x in enumerate(two_levels(1.0))]
    for x in rows[:8]:
        model.learn_one(x)
    before = model.to_bytes()
    monkeypatch.setattr(f"online_gmm.learners.{module}.warm_starting", fail)
    frame = pd.DataFrame(rows[5:30])
    for learn in (model.learn_many, model.label_then_learn_many, model.fit_start):
        with pytest.raises(ValueError, match="cannot be fitted"):
            learn(frame)
        assert model.to_bytes() == before
    for x in rows[8:11]:
        model.learn_one(x)
    before = model.to_bytes()
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be fitted"):
            model.learn_one(rows[11])
        assert model.to_bytes() == before
    monkeypatch.undo()
    rest = iter(rows[11:40])
    while not model.is_started:
        model.learn_one(next(rest))
    assert model.start.n_points == 12
    assert model.n_points == 40 - len(list(rest))


def test_a_merge_that_fails_changes_neither_model(monkeypatch):
    rows = two_levels(1.0, 80)
    one, two = (OnlineGMM(2, warm_up=40, n_init=2, seed=1) for _ in range(2))
    for x in rows:
        one.learn_one(x)
    for x in rows[::-1]:
        two.learn_one(x)
    before = one.to_bytes(), two.to_bytes()
    monkeypatch.setattr(MixtureParameters, "order_like", fail)
    with pytest.raises(ValueError, match="cannot be fitted"):
        one.merge(two)
    assert (one.to_bytes(), two.to_bytes()) == before
    with pytest.raises(ValueError, match="prior_strength"):
        one.merge(OnlineGMM(2, warm_up=40, n_init=2, seed=1, prior_strength=1.0))
    other = OnlineGMM(2, warm_up=40, n_init=2, seed=1)
    monkeypatch.undo()
    for x in rows:
        other.learn_one({"c": x["a"]})
    with pytest.raises(ValueError, match="features"):
        one.merge(other)
    assert one.to_bytes() == before[0]


def test_a_polish_that_is_refused_changes_nothing():
    model = LEARNERS["full"]()
    for x in two_levels(1.0, 80):
        model.learn_one(x)
    before = model.to_bytes()
    bad = pd.DataFrame([{"a": 0.0, "b": 0.0}, {"a": 1e151, "b": 0.0}])
    with pytest.raises(ValueError, match=r"row 1: feature 'a' is 1e\+151"):
        model.polish(bad)
    assert model.to_bytes() == before


@pytest.mark.parametrize("strength", [-1.0, 1.1e6, math.inf, math.nan])
def test_prior_strengths_out_of_range(strength):
    with pytest.raises(ValueError, match=r"prior_strength is .*from 0 to 1e\+06"):
        OnlineGMM(2, prior_strength=strength)


def test_distances_beyond_doubles_are_the_farthest():
    far = MixtureParameters([1.0], [[1e150, 1e150]], [1e-6 * np.eye(2)])
    near = MixtureParameters([1.0], [[0.0, 0.0]], [1e-14 * np.eye(2)])
    assert near.bhattacharyya(far) == far.bhattacharyya(near) == 1e300
    assert far.order_like(near) == [0]
