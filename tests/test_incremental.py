"""Incremental EM reaches the fixed points of batch EM."""

import numpy as np
import pytest

from online_gmm.em import incremental
from online_gmm.em.batch import fit
from online_gmm.em.prior import Prior
from online_gmm.em.warm_start import warm_start
from tests.conftest import on_one_kernel
from tests.test_batch import FIRST
from tests.test_kernel import TYPES, blobs


def overlapping(n, seed):
    rng = np.random.default_rng(seed)
    z = rng.choice(3, p=[0.5, 0.3, 0.2], size=n)
    return rng.normal(np.array([-3.0, 0.0, 4.0])[z], np.array([1.0, 0.8, 1.5])[z])[:, None]


@pytest.mark.parametrize("covariance_type", TYPES)
def test_reaches_the_fixed_point_of_batch_em(covariance_type, compiled):
    X = blobs(400 if compiled else 100, 2, seed=3)
    prior = Prior.of(X, 3, 0.01)
    start = warm_start(X[:60], 3, (0, 1), covariance_type, seed=1).mixture
    inc = incremental.fit(X, start, prior, covariance_type, n_passes=60)
    best = fit(X, inc.mixture, prior, covariance_type, tol=1e-10)
    assert best.log_likelihood - inc.log_likelihood < 1e-9
    assert inc.mixture.error(best.mixture) < 1e-3
    assert np.diff(inc.free_energy).min() > -1e-12


@on_one_kernel
def test_gap_below_a_billionth_within_60_passes(compiled):
    X = overlapping(20_000 if compiled else 300, seed=1)
    start = warm_start(X[:200], 3, (0,), seed=1)
    prior = start.prior
    best = fit(X, start.mixture, prior, tol=1e-12)
    inc = incremental.fit(X, start.mixture, prior, n_passes=60)
    assert abs(best.penalised[-1] - inc.free_energy[-1]) < 1e-9
    assert np.diff(inc.free_energy).min() > -1e-12
    # in fewer passes than batch EM, from the same start
    passes = next(i for i, f in enumerate(inc.free_energy) if best.penalised[-1] - f < 1e-6)
    steps = next(i for i, f in enumerate(best.penalised) if best.penalised[-1] - f < 1e-6)
    assert passes < 0.7 * steps


def test_the_first_series():
    start = warm_start(FIRST, 3, (0,), seed=1)
    inc = incremental.fit(FIRST, start.mixture, Prior.of(FIRST, 3, 0.0), n_passes=40)
    np.testing.assert_allclose(inc.mixture.means.ravel(), [24.5663, 37.5757, 44.3396], atol=5e-5)
    assert inc.log_likelihood == pytest.approx(-2.12372, abs=5e-6)


def test_a_component_that_loses_its_points():
    X = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    start = warm_start(X, 4, (0,), seed=1).mixture
    inc = incremental.fit(X, start, Prior.of(X, 4, 0.1), n_passes=30)
    assert np.isfinite(inc.mixture.covariances).all()
    assert np.diff(inc.free_energy).min() > -1e-9


def test_missing_values_are_refused():
    X = blobs(20, 2, seed=1)
    start = warm_start(X, 2, (0, 1), seed=1)
    X[7, 1] = np.nan
    with pytest.raises(ValueError, match="row 7 has a missing value"):
        incremental.fit(X, start.mixture, start.prior)
