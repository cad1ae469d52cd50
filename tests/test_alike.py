"""Regimes of a chain that have become alike are merged as the stream goes on."""

import numpy as np
import pytest

from online_gmm import OnlineHMM, _kernel
from online_gmm.em.baum_welch import pseudo_changes
from online_gmm.em.merging import merged
from online_gmm.em.mixture import from_kernel
from online_gmm.learners import chain_refits
from online_gmm.learners.places import chain_merged
from online_gmm.learners.recycle import twins
from tests.conftest import on_one_kernel


def two_levels(n, d, seed):
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.random(n) < 0.02) % 2
    return rng.normal(8.0 * level[:, None], 1.0, (n, d)), level


def with_twins(covariance_type, d, timed):
    """A model of three regimes, two of which share a level of two, and what comes next."""
    X, _ = two_levels(2600, d, seed=d)
    model = OnlineHMM(3, covariance_type=covariance_type, capacity=0, lag=2, seed=1)
    times = np.cumsum(np.random.default_rng(1).uniform(0.5, 1.5, len(X))) if timed else None
    model.learn_many(X[:2000], None if times is None else times[:2000])
    return model, X[2000:], None if times is None else times[2000:]


@on_one_kernel
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(("covariance_type", "d"), [("full", 1), ("full", 2), ("diag", 2)])
def test_a_merger_keeps_moments_and_what_comes_next_is_as_probable(covariance_type, d, timed):
    model, X, times = with_twins(covariance_type, d, timed)
    kept, gone = twins(model.mixture, np.inf)
    before = model.log_density_many(X, times)
    prior = pseudo_changes(2, model.stickiness, 1.0 if timed else None)
    known = from_kernel(model._stream.components)
    state = chain_merged(model._stream.state(), kept, gone, prior)
    model._stream = _kernel.chain_stream_from_state(state)
    model._roster.drop(gone)
    expected = merged(known, kept, gone)
    np.testing.assert_allclose(model.mixture.means, expected.means, rtol=1e-3, atol=1e-3)
    of = slice(None) if covariance_type == "full" else np.eye(d, dtype=bool)
    found, wanted = model.mixture.covariances, expected.covariances
    np.testing.assert_allclose(found[:, of], wanted[:, of], rtol=0.01, atol=1e-3)
    np.testing.assert_allclose(model.mixture.weights, expected.weights, rtol=1e-9)
    np.testing.assert_allclose(
        model.transition.sum(axis=1), 0.0 if timed else 1.0, rtol=1e-9, atol=1e-12
    )
    after = model.log_density_many(X, times)
    assert abs(after.mean() - before.mean()) < 0.02
    model.learn_many(X, times)
    np.testing.assert_allclose(np.sort(model.mixture.means[:, 0]), [0.0, 8.0], atol=0.3)
    # a change every fifty points
    assert (model.dwell > 20).all()
    assert (model.dwell < 125).all()


@on_one_kernel
def test_the_statistics_of_the_recursion_are_those_of_the_sum():
    """What is summed over where the chain may be is not changed by a merger, but for origins."""
    model, _, _ = with_twins("full", 2, False)
    kept, gone = twins(model.mixture, np.inf)
    state = model._stream.state()
    other = chain_merged(state, kept, gone, pseudo_changes(2, 10.0, None))

    def raw(its):
        """Zeroth, first and second moments about 0, summed over components and places."""
        k, d, _ = its["iterate"]["components"]["shape"]
        moments = np.frombuffer(its["moments"]).reshape(k, k, -1)
        belief = np.frombuffer(its["iterate"]["belief"])
        origin = np.frombuffer(its["origin"]).reshape(k, d)
        s = np.einsum("ikp,k->ip", moments, belief)
        first = s[:, 1 : d + 1] + s[:, :1] * origin
        square = np.zeros((k, d, d))
        square[:, *np.tril_indices(d)] = s[:, d + 1 :]
        square = square + np.tril(square, -1).transpose(0, 2, 1)
        mean = s[:, 1 : d + 1]
        square += mean[:, :, None] * origin[:, None] + origin[:, :, None] * mean[:, None]
        square += s[:, :1, None] * origin[:, :, None] * origin[:, None]
        return s[:, 0].sum(), first.sum(axis=0), square.sum(axis=0)

    for mine, theirs in zip(raw(state), raw(other), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-9)
    for name in ("flow", "average_flow", "pairs"):
        totals = [np.frombuffer(its[name]).sum() for its in (state, other)]
        if name != "pairs":
            assert totals[1] == pytest.approx(totals[0])


def test_regimes_that_have_become_alike_are_merged_later(monkeypatch):
    monkeypatch.setattr(chain_refits, "ALIKE", 100.0)
    X, _ = two_levels(900, 1, seed=3)
    model = OnlineHMM(2, warm_up=100, capacity=200, seed=1)
    model.learn_many(X[:399])
    assert model.labels == (0, 1)
    again = OnlineHMM.from_bytes(model.to_bytes())
    model.learn_many(X[399:400])
    (event,) = model.events
    assert (event.kind, event.n_points, event.number) == ("merged", 400, 1)
    assert event.cause == "became one with component 0"
    assert model.labels == (0,)
    assert (model.predict_many(X) == 0).all()
    again.learn_many(X[399:])
    for x in X[400:]:
        model.learn_one({0: x[0]})
    assert model.to_bytes() == again.to_bytes()


def test_regimes_that_differ_stay():
    X, level = two_levels(5000, 1, seed=3)
    model = OnlineHMM(2, warm_up=100, capacity=200, seed=1)
    model.learn_many(X)
    assert (model.labels, model.events) == ((0, 1), ())
    assert (model.predict_many(X) == level).mean() > 0.99
