"""Quick versions of the tables of benchmarks/efficiency.py: fixed seeds, generous bounds."""

import copy

import numpy as np
import pytest

from benchmarks.problems import LOST_WEIGHT, PROBLEMS, batch_fit
from online_gmm import Constant, HalfLife, OnlineGMM
from online_gmm.em.mixture import from_kernel


@pytest.fixture(autouse=True)
def kernel():
    """These take the kernel that is installed; the others are the ones that compare kernels."""


def learnt(problem, X, seed, **settings):
    model = OnlineGMM(problem.truth.n_components, seed=seed, **settings)
    model.learn_many(X)
    return model


@pytest.mark.parametrize("name", ["A", "B"])
def test_one_pass_is_nearly_batch_em(name):
    problem = PROBLEMS[name]
    sums = dict.fromkeys(("batch", "default", "iterate", "plain", "polished"), 0.0)
    for seed in range(4):
        X, _ = problem.draw(20_000, seed)
        model = learnt(problem, X, seed)
        sums["batch"] += problem.divergence(batch_fit(X, problem.truth, tol=1e-4))
        sums["default"] += problem.divergence(model.mixture)
        sums["iterate"] += problem.divergence(from_kernel(model._stream.iterate_components))
        sums["plain"] += problem.divergence(learnt(problem, X, seed, capacity=0).mixture)
        sums["polished"] += problem.divergence(model.polish(X).mixture)
    assert sums["default"] < 1.6 * sums["batch"]
    assert sums["polished"] < 1.15 * sums["batch"]
    assert sums["iterate"] > 2.0 * sums["default"]
    assert sums["plain"] > sums["default"]


@pytest.mark.parametrize(("dwell", "bound"), [(50, 1.6), (500, 3.0)])
def test_persistent_regimes_are_not_chased(dwell, bound):
    problem = PROBLEMS["A"]
    default = best = plain = 0.0
    for seed in range(4):
        X, _ = problem.draw(30_000, seed, dwell)
        model = learnt(problem, X, seed)
        assert model.mixture.weights.min() > LOST_WEIGHT * problem.truth.weights.min()
        default += problem.divergence(model.mixture)
        best += problem.divergence(batch_fit(X, problem.truth, tol=1e-4))
        plain += problem.divergence(learnt(problem, X, seed, capacity=0).mixture)
    assert default < bound * best
    assert plain > 2.0 * default


def test_what_follows_tracks_drift():
    """Both means move one sd every 10,000 points."""
    rng = np.random.default_rng(1)
    n = 30_000
    drift = np.arange(n) / 10_000
    z = rng.integers(2, size=n)
    X = rng.normal(6.0 * z + drift, 1.0)
    errors = {}
    for name, step_size in (
        ("default", None),
        ("constant", Constant(0.004)),
        ("half-life", HalfLife(points=200)),
    ):
        model = OnlineGMM(2, step_size=step_size, seed=1)
        model.learn_many(X)
        errors[name] = np.abs(
            np.sort(model.mixture.means.ravel()) - [drift[-1], 6 + drift[-1]]
        ).max()
    assert errors["constant"] < 0.25
    assert errors["half-life"] < 0.25
    assert errors["default"] > 0.5


def test_a_third_of_the_values_missing():
    problem = PROBLEMS["C"]
    online = best = 0.0
    for seed in range(2):
        X, _ = problem.draw(4_000, seed)
        holes = np.random.default_rng(seed).random(X.shape) < 0.3
        X = np.where(holes, np.nan, X)
        online += problem.divergence(learnt(problem, X, seed).mixture)
        best += problem.divergence(batch_fit(X, problem.truth, tol=1e-4))
    assert online < 1.4 * best


@pytest.mark.parametrize("name", ["A", "B"])
def test_four_shards_make_one_model(name):
    problem = PROBLEMS[name]
    merged = best = 0.0
    for seed in range(4):
        X, _ = problem.draw(40_000, seed)
        first, *others = (learnt(problem, rows, seed) for rows in np.array_split(X, 4))
        whole = copy.deepcopy(first)
        for other in others:
            whole.merge(other)
        merged += problem.divergence(whole.mixture)
        best += problem.divergence(batch_fit(X, problem.truth, tol=1e-4))
    assert merged < 2.0 * best
