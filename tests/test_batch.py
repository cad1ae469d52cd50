"""Batch EM against scikit-learn, published values and naive EM."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.mixture import GaussianMixture as Sklearn

from online_gmm import MixtureParameters
from online_gmm.em.batch import BatchEM, fit
from online_gmm.em.prior import Prior
from online_gmm.em.warm_start import warm_start
from tests import naive
from tests.conftest import on_one_kernel
from tests.test_kernel import TYPES, blobs

HERE = Path(__file__).parent


def read(path):
    with path.open() as file:
        rows = list(csv.reader(file))
    return np.array(rows[1:], dtype=float)


FAITHFUL = read(HERE.parent / "examples" / "old_faithful.csv")
FIRST = read(HERE.parent / "examples" / "first_series.csv")

SETS = {
    "first series": (FIRST, 3),
    "old faithful": (FAITHFUL, 2),
    "iris": (datasets.load_iris().data, 3),
    "wine": (datasets.load_wine().data[:, :6], 3),
    "breast cancer": (datasets.load_breast_cancer().data[:, :4], 2),
    "blobs": (blobs(400, 3, seed=8), 3),
}


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", SETS)
def test_agrees_with_scikit_learn_from_the_same_start(name, covariance_type, compiled):
    X, k = SETS[name]
    if not compiled and len(X) > 200:
        X = X[::2]
    names, n_init = tuple(range(X.shape[1])), 12 if compiled else 2
    start = warm_start(X, k, names, covariance_type, n_init=n_init, seed=1).mixture
    n_iter = 100 if compiled else 10
    mine = fit(X, start, Prior.of(X, k, 0.0), covariance_type, tol=0.0, max_iter=n_iter)
    precisions = np.linalg.inv(start.covariances)
    theirs = Sklearn(
        k,
        covariance_type=covariance_type,
        reg_covar=0.0,
        tol=0.0,
        max_iter=n_iter,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init={
            "full": precisions,
            "tied": precisions[0],
            "diag": np.diagonal(precisions, axis1=1, axis2=2),
            "spherical": precisions[:, 0, 0],
        }[covariance_type],
    )
    with pytest.warns(match="did not converge"):
        theirs.fit(X)
    covs = np.broadcast_to(
        {
            "full": lambda c: c,
            "tied": lambda c: c[None],
            "diag": lambda c: c[:, :, None] * np.eye(X.shape[1]),
            "spherical": lambda c: c[:, None, None] * np.eye(X.shape[1]),
        }[covariance_type](theirs.covariances_),
        mine.mixture.covariances.shape,
    )
    other = MixtureParameters(theirs.weights_, theirs.means_, covs)
    assert mine.mixture.error(other) < 1e-6
    assert mine.log_likelihood == pytest.approx(theirs.score(X), rel=1e-6)


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("strength", [0.0, 1e-3, 5.0])
def test_penalised_likelihood_never_falls(covariance_type, strength, compiled):
    for seed in range(5 if compiled else 2):
        X = blobs(120, 2, seed=seed, missing=0.2 if strength else 0.0)
        prior = Prior.of(X, 3, strength)
        rng = np.random.default_rng(seed)
        rows = np.where(np.isnan(X), 0, X)[rng.choice(len(X), 3, replace=False)]
        start = MixtureParameters(
            np.ones(3) / 3, rows, np.tile(np.diag(prior.variances), (3, 1, 1))
        )
        history = np.array(fit(X, start, prior, covariance_type, max_iter=60).penalised)
        assert np.diff(history).min() > -1e-12 * np.abs(history).max()
        assert history[-1] - history[1] > 1e-4


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_agrees_with_naive(covariance_type, missing):
    X = blobs(80, 3, seed=11, missing=missing)
    prior = Prior.of(X, 2, 0.5)
    start = warm_start(X, 2, (0, 1, 2), covariance_type, n_init=2, seed=1).mixture
    mine = fit(X, start, prior, covariance_type, tol=0.0, max_iter=8).mixture
    weights, means, covs = naive.em(
        X,
        start.weights,
        start.means,
        start.covariances,
        0.5,
        prior.variances,
        covariance_type,
        n_iter=8,
    )
    assert mine.error(MixtureParameters(weights, means, covs)) < 1e-9


def test_stated_tolerance_is_kept():
    X = blobs(300, 2, seed=12)
    start = warm_start(X, 3, (0, 1), seed=1).mixture
    prior = Prior.of(X, 3, 1e-3)
    exact = fit(X, start, prior, tol=1e-12)
    assert exact.converged
    for tol in (1e-3, 1e-5, 1e-8):
        rough = fit(X, start, prior, tol=tol)
        assert rough.converged
        assert rough.n_iter < exact.n_iter
        assert rough.mixture.error(exact.mixture) < 3 * tol


def test_chunks_of_a_pass_are_one_pass():
    X = blobs(90, 2, seed=13)
    prior = Prior.of(X, 2, 1e-3)
    start = warm_start(X, 2, (0, 1), seed=1).mixture
    whole, left, right = (BatchEM(start, prior) for _ in range(3))
    whole.accumulate(X)
    left.accumulate(X[50:])
    right.accumulate(X[:20])
    right.accumulate(X[20:50])
    left.merge(right)
    assert left.penalised == pytest.approx(whole.penalised, rel=1e-13)
    left.maximise()
    whole.maximise()
    assert left.mixture.error(whole.mixture) < 1e-12


# Old Faithful: R's mixtools (one feature) and mclust (two), see Benaglia et al. 2009 and
# Scrucca et al. 2016.


def converged(X, k, covariance_type):
    start = warm_start(X, k, tuple(range(X.shape[1])), covariance_type, 0.0, seed=1).mixture
    return fit(X, start, Prior.of(X, k, 0.0), covariance_type, tol=1e-9, max_iter=3000)


def test_old_faithful_waiting_times():
    got = converged(FAITHFUL[:, 1:], 2, "full")
    assert 272 * got.log_likelihood == pytest.approx(-1034.002, abs=5e-4)
    np.testing.assert_allclose(got.mixture.weights, [0.360887, 0.639113], atol=2e-6)
    np.testing.assert_allclose(got.mixture.means.ravel(), [54.6149, 80.0911], atol=5e-5)
    np.testing.assert_allclose(
        np.sqrt(got.mixture.covariances.ravel()), [5.8712, 5.8677], atol=6e-5
    )


def test_old_faithful_full_covariance():
    assert 272 * converged(FAITHFUL, 2, "full").log_likelihood == pytest.approx(-1130.264, abs=5e-4)


def test_old_faithful_equal_covariance(compiled):
    assert 272 * converged(FAITHFUL, 2, "tied").log_likelihood == pytest.approx(-1140.187, abs=5e-4)
    if compiled:
        assert 272 * converged(FAITHFUL, 3, "tied").log_likelihood >= -1126.326
