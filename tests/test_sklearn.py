"""The scikit-learn facade, judged by scikit-learn's own checks and its batch mixture."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from online_gmm.sklearn import StreamingGaussianMixture

KINDS = ("full", "tied", "diag", "spherical")


def three(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    means = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    return means[labels] + rng.normal(size=(n, 2)), labels


@pytest.fixture(autouse=True)
def kernel() -> None:
    """The facade knows no kernel: once is enough."""


@parametrize_with_checks([StreamingGaussianMixture(n_components=2, warm_up=50, random_state=0)])
def test_scikit_learn_accepts_the_estimator(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_is_as_good_as_batch_em(kind) -> None:
    X, labels = three(3000, 1)
    ours = StreamingGaussianMixture(3, covariance_type=kind, random_state=1).fit(X)
    theirs = GaussianMixture(3, covariance_type=kind, random_state=1, n_init=5).fit(X)
    assert ours.covariances_.shape == theirs.covariances_.shape
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=2e-3)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=2e-3)
    assert ours.aic(X) == pytest.approx(theirs.aic(X), rel=2e-3)
    assert adjusted_rand_score(ours.predict(X), theirs.predict(X)) > 0.99
    assert adjusted_rand_score(ours.predict(X), labels) > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_criteria_have_the_sign_and_the_count_of_scikit_learn(kind) -> None:
    X, _ = three(500, 2)
    ours = StreamingGaussianMixture(2, covariance_type=kind, random_state=1).fit(X)
    theirs = GaussianMixture(2, covariance_type=kind)
    theirs.weights_, theirs.means_ = ours.weights_, ours.means_
    theirs.covariances_ = ours.covariances_
    from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

    theirs.precisions_cholesky_ = _compute_precision_cholesky(ours.covariances_, kind)
    assert ours.bic(X) == pytest.approx(theirs.bic(X))
    assert ours.aic(X) == pytest.approx(theirs.aic(X))
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_parts_are_learnt_as_the_whole() -> None:
    X, _ = three(2000, 3)
    whole = StreamingGaussianMixture(3, random_state=1).partial_fit(X)
    parts = StreamingGaussianMixture(3, random_state=1)
    for part in np.split(X, 10):
        parts.partial_fit(part)
    np.testing.assert_array_equal(parts.means_, whole.means_)
    assert parts.n_samples_seen_ == 2000


def test_few_rows_answer_before_the_warm_up_is_complete() -> None:
    X, _ = three(60, 4)
    model = StreamingGaussianMixture(3, random_state=1).partial_fit(X)
    assert model.predict(X).shape == (60,)
    again = StreamingGaussianMixture(3, random_state=1).partial_fit(X[:30]).partial_fit(X[30:])
    np.testing.assert_array_equal(again.means_, model.means_)


def test_missing_values_are_marginalised_out() -> None:
    X, labels = three(3000, 5)
    X[np.random.default_rng(5).random(X.shape) < 0.2] = np.nan
    model = StreamingGaussianMixture(3, random_state=1).fit(X)
    seen = ~np.isnan(X).any(axis=1)
    assert adjusted_rand_score(model.predict(X)[seen], labels[seen]) > 0.97


def test_in_a_pipeline_and_a_grid_search() -> None:
    X, _ = three(1500, 6)
    model = make_pipeline(StandardScaler(), StreamingGaussianMixture(random_state=1))
    name = "streaminggaussianmixture__n_components"
    search = GridSearchCV(model, {name: [1, 2, 3]}, cv=3).fit(X)
    assert search.best_params_ == {name: 3}


def test_samples_have_the_moments_of_the_mixture() -> None:
    X, _ = three(3000, 7)
    model = StreamingGaussianMixture(3, random_state=1).fit(X)
    drawn, labels = model.sample(20_000)
    assert drawn.shape == (20_000, 2)
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.bincount(labels) / 20_000, model.weights_, atol=0.02)
    with pytest.raises(ValueError, match="n_samples is 0"):
        model.sample(0)


def test_half_life_follows_a_level_that_moves() -> None:
    rng = np.random.default_rng(8)
    level = np.linspace(0.0, 20.0, 20_000)
    X = (level + rng.normal(size=20_000))[:, None]
    model = StreamingGaussianMixture(1, half_life=200.0, random_state=1).fit(X)
    assert model.means_[0, 0] == pytest.approx(20.0, abs=0.8)
