"""How long regimes last, and steps that are smaller for it."""

import numpy as np
import pytest

from online_gmm import OnlineGMM, OnlineHMM, PowerDecay
from online_gmm.em.persistence import SHARE, time_constant
from tests.conftest import on_one_kernel


def chain(n, stay, k=3, seed=1):
    """States of n points that stay so long on average, and leave for any other state."""
    rng = np.random.default_rng(seed)
    leaves = rng.random(n) < 1.0 / stay
    return np.cumsum(np.where(leaves, rng.integers(1, k, n), 0)) % k


@pytest.mark.parametrize("stay", [5, 50, 500])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_time_constant_is_that_of_the_chain(stay, noise):
    n = 200 * stay
    states = chain(n, stay)
    rng = np.random.default_rng(2)
    shown = np.where(rng.random(n) < noise, rng.integers(0, 3, n), states)
    # the second eigenvalue of the transitions
    expected = -1.0 / np.log(1.0 - 1.5 / stay)
    assert time_constant(np.eye(3)[shown]) == pytest.approx(expected, rel=0.4)


def test_points_in_any_order_have_none():
    rng = np.random.default_rng(1)
    assert all(time_constant(np.eye(3)[rng.integers(0, 3, 400)]) == 0.0 for _ in range(20))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_points_have_none(n):
    assert time_constant(np.ones((n, 2))) == 0.0


def ceiling(model):
    """The largest step that is left to a model."""
    return model._stream.state()["pace"][-1]


@on_one_kernel
@pytest.mark.parametrize("make", [OnlineGMM, OnlineHMM])
def test_steps_are_smaller_where_regimes_last(make):
    states = chain(13_000, 100, 2)
    X = np.random.default_rng(1).normal(10.0 * states)[:, None]
    model = make(2, seed=1)
    model.learn_many(X)
    expected = SHARE * -np.log(1.0 - 2.0 / 100)
    assert expected / 2 < ceiling(model) < expected * 2
    shuffled = make(2, seed=1)
    shuffled.learn_many(np.random.default_rng(1).permutation(X))
    assert ceiling(shuffled) == SHARE


@on_one_kernel
def test_steps_that_were_chosen_are_kept():
    X = np.random.default_rng(1).normal(10.0 * chain(3000, 200, 2))[:, None]
    model = OnlineGMM(2, step_size=PowerDecay(), seed=1)
    model.learn_many(X)
    assert ceiling(model) == 1.0


def test_the_kernel_takes_the_smaller_of_two_steps():
    model = OnlineGMM(1, average=False, gate=0.0, prior_strength=0.0, capacity=0)
    model.fit_start(np.arange(100.0) % 2.0)
    model._stream.limit_steps(0.004)
    mean = 0.5
    for n in range(101, 3100):
        model.learn_one({0: n % 7})
        mean += min(n**-0.7, max(0.004, 2.0 / n)) * (n % 7 - mean)
        if n % 100 == 0:
            assert model.mixture.means[0, 0] == pytest.approx(mean, rel=1e-9)


def test_a_ceiling_outlives_bytes():
    X = np.random.default_rng(1).normal(10.0 * chain(900, 30, 2))[:, None]
    model = OnlineHMM(2, seed=1)
    model.learn_many(X)
    assert ceiling(model) < 0.05
    again = OnlineHMM.from_bytes(model.to_bytes())
    assert ceiling(again) == ceiling(model)
    model.learn_many(X)
    again.learn_many(X)
    assert again.to_bytes() == model.to_bytes()
