"""Rows of which the later half is like the half before it are not searched for other regimes."""

import numpy as np
import pytest
from scipy import stats

from online_gmm import MixtureParameters, OnlineGMM
from online_gmm.em import halves
from online_gmm.em.mixture import posterior, without_prior
from online_gmm.em.slices import Meter, finish
from online_gmm.learners import refits
from tests.conftest import on_one_kernel

MIXTURE = MixtureParameters(
    [0.6, 0.4], [[0.0, 0.0], [6.0, 2.0]], [[[1.0, 0.5], [0.5, 2.0]], [[0.5, 0.0], [0.0, 1.0]]]
)
N = 600
"""Rows of a half."""


def alike(rows, mixture=MIXTURE):
    shares = posterior(without_prior(mixture), np.ascontiguousarray(rows))[0]
    return finish(halves.halves_alike(rows, mixture.means, shares, Meter()))


@on_one_kernel
def test_rows_of_one_mixture_are_alike_but_for_chance():
    alike_ones = [alike(MIXTURE.sample(2 * N, seed)[0]) for seed in range(300)]
    expected = 1.0 - halves.BY_CHANCE
    # what is compared is not independent, and then there are fewer errors than allowed
    assert expected - 0.04 < np.mean(alike_ones) <= 1.0


@on_one_kernel
def test_other_shares_of_the_same_regimes_are_alike():
    """A regime that comes more often, or not at all, is nothing new."""
    rare, frequent, alone = (
        MixtureParameters([w, 1.0 - w], MIXTURE.means, MIXTURE.covariances) for w in (0.1, 0.9, 1.0)
    )
    for before, after in ((rare, frequent), (frequent, rare), (MIXTURE, alone)):
        pairs = [(before.sample(N, i)[0], after.sample(N, i + 90)[0]) for i in range(90)]
        assert np.mean([alike(np.concatenate(pair)) for pair in pairs]) > 0.85


@on_one_kernel
@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        ([0.0, 2.5], [[1.0, 0.5], [0.5, 2.0]]),
        ([0.0, 0.0], [[1.0, 0.5], [0.5, 8.0]]),
        ([0.0, 0.0], [[1.0, -1.3], [-1.3, 2.0]]),
        ([0.0, 20.0], [[1.0, 0.0], [0.0, 1.0]]),
    ],
    ids=["nearby", "wider", "of another correlation", "far away"],
)
def test_a_new_regime_in_the_later_half_is_seen(mean, covariance):
    new = MixtureParameters([1.0], [mean], [covariance])
    for seed in range(5):
        known = MIXTURE.sample(N * 3 // 4, seed + 90)[0]
        later = np.concatenate([known, new.sample(N // 4, seed)[0]])
        assert not alike(np.concatenate([MIXTURE.sample(N, seed)[0], later]))


@on_one_kernel
def test_a_component_without_rows_before_is_new():
    alone = MixtureParameters([1.0], MIXTURE.means[:1], MIXTURE.covariances[:1])
    assert not alike(np.concatenate([alone.sample(N, 1)[0], MIXTURE.sample(N, 2)[0]]))


@on_one_kernel
def test_values_that_cannot_be_compared():
    rows = MIXTURE.sample(2 * N, 1)[0]
    hole = rows.copy()
    hole[3, 1] = np.nan
    far = rows.copy()
    far[-1] = 1e200
    assert alike(rows)
    assert not alike(hole)
    assert not alike(far)
    flat = MixtureParameters([1.0], [[3.0]], [[[1e-6]]])
    assert alike(np.full((2 * N, 1), 3.0), flat)


@on_one_kernel
def test_moments_are_compared_as_by_welch(monkeypatch):
    """Of one component, whose rows all count fully."""
    mixture = MixtureParameters([1.0], [[0.0, 0.0]], [np.eye(2)])
    monkeypatch.setattr(halves, "BY_CHANCE", 0.3)
    for seed in range(40):
        rows = np.random.default_rng(seed).normal(size=(2 * N, 2))
        columns = np.column_stack([rows, rows**2, rows.prod(axis=1)])
        before, after = columns[:N], columns[N:]
        spread = np.hypot(before.std(axis=0), after.std(axis=0)) / N**0.5
        p = 2.0 * stats.norm.sf(np.abs(before.mean(axis=0) - after.mean(axis=0)) / spread)
        assert alike(rows, mixture) == (p.min() >= 0.3 / 5)


@pytest.fixture
def searches(monkeypatch):
    """How many points had been learnt, each time that other regimes were looked for."""
    found = []
    looks = refits.other_regimes

    def noting(selection, *arguments):
        found.append(selection.n_rows)
        return (yield from looks(selection, *arguments))

    monkeypatch.setattr(refits, "other_regimes", noting)
    return found


@on_one_kernel
def test_a_steady_stream_is_not_searched_again_and_again(searches, compiled):
    n = 20_000 if compiled else 2_500
    model = OnlineGMM(2, warm_up=50, capacity=400, seed=1)
    model.learn_many(MIXTURE.sample(n, 1)[0])
    assert len(searches) <= 2


@on_one_kernel
@pytest.mark.parametrize("n_components", [3, "auto"])
def test_it_is_where_more_regimes_may_be_found(searches, n_components):
    model = OnlineGMM(n_components, warm_up=50, capacity=200, seed=1)
    model.learn_many(MIXTURE.sample(1_000, 1)[0])
    assert len(model.labels) == 2
    assert len(searches) == 4


@on_one_kernel
def test_a_late_regime_beside_another_is_found(compiled):
    """It is too near for a birth, so only a fit can find it."""
    rng = np.random.default_rng(1)
    n = 4_000 if compiled else 1_000
    level = np.concatenate([rng.choice([0.0, 20.0], n), rng.choice([0.0, 4.0, 20.0], 4 * n)])
    model = OnlineGMM(3, warm_up=50, capacity=400, seed=1)
    model.learn_many(rng.normal(level, 1.0))
    assert [e.kind for e in model.events] == ["born"]
    np.testing.assert_allclose(np.sort(model.mixture.means.ravel()), [0, 4, 20], atol=0.4)
