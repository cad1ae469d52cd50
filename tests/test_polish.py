"""Polishing brings what a stream reports closer to batch EM."""

import numpy as np
import pandas as pd
import pytest

from online_gmm import Constant, OnlineGMM, PowerDecay, _kernel
from online_gmm.em import polish as polishing
from online_gmm.em.batch import fit
from online_gmm.em.mixture import from_kernel, to_kernel
from online_gmm.em.polish import EMMap, corrected, correcting, polish
from online_gmm.em.prior import Prior
from online_gmm.em.slices import Meter, finish
from tests.conftest import on_one_kernel
from tests.test_incremental import overlapping
from tests.test_kernel import TYPES, blobs, random_mixture


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_map_is_an_em_step(covariance_type):
    X = blobs(200, 3, seed=1, missing=0.1)
    prior = Prior.of(X, 3, 0.5)
    start = random_mixture(3, 3, seed=1)
    components = to_kernel(start, covariance_type, 0.5, prior.variances, points=200.0)
    m = EMMap(components, np.nanmean(X, axis=0), 200)
    s = m.raw(components)
    two = m(m(s, X), X)
    begun = from_kernel(to_kernel(start, covariance_type, 0.5, prior.variances, points=200.0))
    expected = fit(X, begun, prior, covariance_type, tol=0.0, max_iter=2).mixture
    assert from_kernel(m.load(two)).error(expected) < 1e-9


@pytest.mark.parametrize("covariance_type", TYPES)
def test_statistics_survive_the_way_there_and_back(covariance_type):
    components = to_kernel(random_mixture(3, 2, 1), covariance_type, 0.0, np.ones(2), points=10.0)
    m = EMMap(components, np.array([5.0, -3.0]), 10)
    s = m.raw(components)
    np.testing.assert_allclose(m.raw(m.load(s)), s, rtol=1e-12, atol=1e-12)


def test_statistics_that_no_data_can_have():
    components = to_kernel(random_mixture(2, 2, 1), "full", 0.0, np.ones(2), points=10.0)
    m = EMMap(components, np.zeros(2), 10)
    s = m.raw(components)
    for bad in (-s, np.where(np.arange(len(s)) == 6, -100.0, s), s * np.nan):
        assert m.load(bad) is None


@pytest.mark.parametrize("d", [2, 3, 6])
def test_scatters_near_a_singular_one_are_told_by_their_eigenvalues(d):
    """However near: what is surely possible is told without them."""
    rng = np.random.default_rng(d)
    known = random_mixture(1, d, seed=1)
    components = to_kernel(known, "full", 0.0, np.ones(d), points=10.0)
    m = EMMap(components, np.zeros(d), 10)
    told = []
    for least in (-1.0, -1e-6, -1e-12, 1e-12, 1e-9, 1e-6, 1.0):
        axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
        scatter = (axes * np.append(least, np.linspace(1.0, 2.0, d - 1))) @ axes.T
        scatter = (scatter + scatter.T) / 2.0
        s = np.concatenate([[1.0], np.zeros(d), scatter.ravel()])
        told.append(m.load(s) is not None)
        assert told[-1] == (np.linalg.eigvalsh(scatter)[0] >= 0.0)
    assert told == [False] * 3 + [True] * 4


def gaps(n, seeds, **settings):
    """Mean log-likelihood below batch EM's: as reported, polished, polished with all points."""
    result = []
    for seed in seeds:
        X = overlapping(n, seed)
        model = OnlineGMM(3, seed=1, **settings)
        model.learn_many(X)
        best = fit(X, model.mixture, model.start.prior, tol=1e-5).log_likelihood
        row = [best - model.mixture.score_samples(X).mean()]
        row.append(best - model.polish().mixture.score_samples(X).mean())
        row.append(best - model.polish(X).mixture.score_samples(X).mean())
        result.append(row)
    return np.mean(result, axis=0)


@on_one_kernel
def test_comes_closer_to_batch_em():
    reported, polished, exact = gaps(20_000, range(6))
    assert polished < reported
    assert exact < reported / 2
    assert exact < 2e-5


@on_one_kernel
def test_is_at_rest_afterwards_and_learns_on(compiled):
    X = blobs(2000 if compiled else 600, 2, seed=3)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X)
    once = model.polish().mixture
    assert model.polish().mixture.error(once) < 1e-8
    model.learn_many(X)
    assert model.n_points == 2 * len(X)
    assert np.isfinite(model.mixture.means).all()


@on_one_kernel
def test_points_that_are_all_kept_are_batch_em(compiled):
    X = overlapping(300, seed=2)
    model = OnlineGMM(3, warm_up=200, seed=1)
    model.learn_many(X)
    for _ in range(40):
        model.polish(X)
    best = fit(X, model.mixture, model.start.prior, tol=1e-8)
    assert best.log_likelihood - model.mixture.score_samples(X).mean() < 1e-7


@on_one_kernel
def test_frames_with_missing_values():
    X = blobs(600, 2, seed=3, missing=0.2)
    model = OnlineGMM(3, warm_up=100, seed=1)
    frame = pd.DataFrame(X, columns=["a", "b"])
    model.learn_many(frame)
    before = model.mixture.score_samples(frame).mean()
    assert model.polish(frame).mixture.score_samples(frame).mean() > before - 1e-9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"capacity": 0}, "capacity above 1"),
        ({"capacity": 1}, "capacity above 1"),
        ({"step_size": Constant(0.1)}, "does not follow"),
    ],
)
def test_models_that_keep_nothing(settings, message):
    model = OnlineGMM(2, seed=1, **settings).fit_start(blobs(50, 2, seed=1))
    with pytest.raises(ValueError, match=message):
        model.polish()
    with pytest.raises(ValueError, match="nothing is learnt yet"):
        OnlineGMM(2, **settings).polish()


@on_one_kernel
def test_without_an_average():
    X = overlapping(3000, seed=4)
    model = OnlineGMM(3, step_size=PowerDecay(1.0), seed=1)
    model.learn_many(X)
    before = model.mixture.score_samples(X).mean()
    assert model.polish(X).mixture.score_samples(X).mean() > before


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_correction_in_slices_is_the_polish(covariance_type, monkeypatch):
    """If its steps do not end early."""
    monkeypatch.setattr(polishing, "AT_REST", 0.0)
    monkeypatch.setattr(polishing, "SLICE", 1.0)
    X = blobs(700, 2, seed=2)
    model = OnlineGMM(3, warm_up=100, covariance_type=covariance_type, capacity=200, seed=1)
    model.learn_many(X)
    stream = model._stream
    few = np.frombuffer(stream.points_kept()).reshape(-1, 2)
    one, other = stream.components, _kernel.components_from_state(stream.components.state())
    n = model.n_points
    m = EMMap(_kernel.components_from_state(one.state()), few.mean(axis=0), n)
    moments = m.raw(stream.average_components), m.raw(one)
    correction = finish(correcting(m, *moments, few, Meter()))
    polish(stream.average_components, one, few, n)
    assert corrected(m, other, correction)
    np.testing.assert_allclose(m.raw(other), m.raw(one), rtol=1e-9, atol=1e-9)


@on_one_kernel
def test_a_stream_that_is_polished_goes_on_from_bytes():
    """To the same bits, in the middle of a correction and after each."""
    X = overlapping(2500, seed=3)
    model = OnlineGMM(3, warm_up=100, capacity=200, seed=1)
    model.learn_many(X[:500])
    read, fits = OnlineGMM.from_bytes(model.to_bytes()), []
    for x in X[500:]:
        searched = model._searches
        for one in (model, read):
            one.learn_one({0: x[0]})
        if model._searches != searched:
            fits.append(model.n_points)
        if model._searches != searched or (model._refit is not None and model._refit.done == 1):
            read = OnlineGMM.from_bytes(read.to_bytes())
    # doubled, halfway, doubled, ...
    assert len(fits) >= 4
    assert read.to_bytes() == model.to_bytes()
    many = OnlineGMM(3, warm_up=100, capacity=200, seed=1)
    many.learn_many(X)
    assert many.to_bytes() == model.to_bytes()
