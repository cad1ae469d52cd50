"""The scikit-learn facade, judged by scikit-learn's own checks and its batch mixture."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from online_gmm.sklearn import StreamingGaussianMixture, StreamingSegmenter

KINDS = ("full", "tied", "diag", "spherical")


def three(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    means = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    return means[labels] + rng.normal(size=(n, 2)), labels


@pytest.fixture(autouse=True)
def kernel() -> None:
    """The facade knows no kernel: once is enough."""


@parametrize_with_checks(
    [
        StreamingGaussianMixture(n_components=2, warm_up=50, random_state=0),
        StreamingGaussianMixture(n_components=2, warm_up=50, init_params="kmeans", random_state=0),
        StreamingSegmenter(),
    ]
)
def test_scikit_learn_accepts_the_estimator(estimator, check) -> None:
    check(estimator)


WHEN = pd.date_range("2024-01-01", periods=30, freq="h")
TIMES = "column {} holds times .* leave it out, or use .* which take it as time={}"
TEXTS = "column {} holds '.*' in row 20, and numbers are expected; leave the column out, or make"


@pytest.mark.parametrize("model", [StreamingGaussianMixture(), StreamingSegmenter()])
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (WHEN, TIMES),
        (WHEN.tz_localize("Asia/Tokyo"), TIMES),
        (WHEN - WHEN[0], TIMES),
        ([when.date() for when in WHEN], TIMES),
        (["1.5"] * 20 + ["on"] + ["2"] * 9, TEXTS),
        (pd.Categorical(["1"] * 20 + ["off"] * 10), TEXTS),
    ],
)
def test_a_column_without_numbers_is_named(model, column, said) -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "this": column})
    with pytest.raises((TypeError, ValueError), match=said.format("'this'", "'this'")):
        clone(model).fit(frame)
    for X in (frame.to_numpy(), frame.to_numpy().tolist()):
        with pytest.raises((TypeError, ValueError), match=said.format("1", "1")):
            clone(model).fit(X)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_times_of_other_frames_are_not_learnt_as_numbers(make) -> None:
    """Nor are arrays that hold nothing else."""
    model = StreamingSegmenter().fit(np.random.default_rng(1).normal(size=(60, 1)))
    with pytest.raises(TypeError, match=TIMES.format("'when'", "'when'")):
        model.predict(make({"when": WHEN.to_numpy()}))
    with pytest.raises(TypeError, match=TIMES.format("0", "0")):
        model.partial_fit(WHEN.to_numpy()[:, None])
    with pytest.raises(TypeError, match=r"a list of dicts.*pandas.DataFrame\(X\) makes one"):
        model.predict([{"x": 1.0}])


WITH_ARRAY_API = """
from sklearn.utils.estimator_checks import check_estimator
from online_gmm.sklearn import StreamingGaussianMixture, StreamingSegmenter

for model in (StreamingGaussianMixture(warm_up=20), StreamingSegmenter()):
    print(*{check["status"] for check in check_estimator(model, on_skip=None)})
"""


def test_no_check_is_skipped_with_the_array_api() -> None:
    """One is skipped unless SciPy was imported with its array API."""
    done = subprocess.run(
        [sys.executable, "-c", WITH_ARRAY_API],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout.split() == ["passed", "passed"], done.stderr


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


# -- scikit-learn's own tests of mixtures, as far as they apply ---------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("init", ["auto", "kmeans", "k-means++", "random", "random_from_data"])
def test_there_are_k_components_by_every_start(kind, init) -> None:
    """Adapted from test_means_for_all_inits."""
    X = np.random.default_rng(0).random((60, 4))
    model = StreamingGaussianMixture(
        5, covariance_type=kind, init_params=init, n_init=2, random_state=0
    )
    for fitted in (model.fit(X), model.__class__(**model.get_params()).partial_fit(X)):
        assert fitted.means_.shape == (5, 4)
        assert np.isfinite(fitted.means_).all()
        assert (fitted.means_ >= X.min(axis=0)).all()
        assert (fitted.means_ <= X.max(axis=0)).all()
        assert fitted.weights_.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("init", ["auto", "kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_recovered(kind, init) -> None:
    """Adapted from test_gaussian_mixture_fit."""
    X, labels = three(5000, 11)
    model = StreamingGaussianMixture(
        3, covariance_type=kind, init_params=init, n_init=4, random_state=0
    ).fit(X)
    order = np.lexsort(model.means_.round().T)
    np.testing.assert_allclose(model.weights_[order], 1 / 3, atol=0.02)
    np.testing.assert_allclose(model.means_[order], [[0, 0], [6, 0], [0, 6]], atol=0.1)
    variances = {"full": (0, 1), "tied": None, "diag": None, "spherical": None}[kind]
    its = model.covariances_ if variances is None else np.diagonal(model.covariances_, 0, 1, 2)
    assert np.abs(np.asarray(its)[np.abs(its) > 0.3] - 1.0).max() < 0.1
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    assert adjusted_rand_score(labels, model.predict(X)) > 0.95


def test_more_starts_are_not_worse() -> None:
    """Adapted from test_multiple_init."""
    X = np.random.RandomState(0).randn(50, 5)
    for kind in KINDS:
        one, twelve = (
            StreamingGaussianMixture(2, covariance_type=kind, n_init=n, random_state=0)
            .fit(X)
            .score(X)
            for n in (1, 12)
        )
        assert twelve > -1e-8 + one


@pytest.mark.parametrize("model", [StreamingGaussianMixture(2), StreamingSegmenter()])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic"])
def test_what_is_not_fitted_says_so(model, method) -> None:
    """Adapted from test_score_samples, test_score and test_sample."""
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(model, method)(np.zeros((3, 2)))
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        model.sample(1)


def test_fewer_rows_than_components_are_an_error() -> None:
    """Adapted from test_mixture_n_components_greater_than_n_samples_error."""
    with pytest.raises(ValueError, match="should be >= n_components=12"):
        StreamingGaussianMixture(12).fit(np.random.default_rng(0).random((10, 5)))


@pytest.mark.parametrize("kind", KINDS)
def test_criteria_are_near_the_entropy(kind) -> None:
    """Adapted from test_gaussian_mixture_aic_bic."""
    rng = np.random.RandomState(0)
    n, d, k = 50, 3, 2
    X = rng.randn(n, d)
    entropy = 0.5 * (np.linalg.slogdet(np.cov(X.T, bias=True))[1] + d * (1 + np.log(2 * np.pi)))
    model = StreamingGaussianMixture(k, covariance_type=kind, random_state=0).fit(X)
    free = model._n_parameters()
    assert abs((model.aic(X) - (2 * n * entropy + 2 * free)) / n) < np.sqrt(d)
    assert abs((model.bic(X) - (2 * n * entropy + np.log(n) * free)) / n) < np.sqrt(d)


def test_samples_have_the_covariances_of_their_components() -> None:
    """Adapted from test_sample."""
    X, _ = three(3000, 12)
    for kind in KINDS:
        model = StreamingGaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
        drawn, labels = model.sample(20_000)
        for k in range(3):
            mine = model.mixture_.covariances[k]
            np.testing.assert_allclose(np.cov(drawn[labels == k].T), mine, atol=0.1)
        for size in (1, 2, 99):
            assert model.sample(size)[0].shape == (size, 2)


# -- the segmenter ------------------------------------------------------------------------------


def steps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat([0, 1, 0, 2, 1], 300)
    rng = np.random.default_rng(seed)
    return np.array([[0.0, 5.0], [8.0, 5.0], [8.0, 0.0]])[truth] + rng.normal(size=(1500, 2)), truth


def test_a_series_is_labelled_in_hindsight() -> None:
    X, truth = steps(2)
    model = StreamingSegmenter()
    labels = model.fit_predict(X)
    assert adjusted_rand_score(labels, truth) > 0.97
    assert model.segments_["label"].tolist() == [0, 1, 0, 2, 1]
    assert model.classes_.tolist() == [0, 1, 2]
    assert sorted(model.regimes_) == [0, 1, 2]
    assert model.n_samples_seen_ == 1500
    # rows by themselves, in any order
    shuffled = np.random.default_rng(1).permutation(1500)
    assert adjusted_rand_score(model.predict(X[shuffled]), truth[shuffled]) > 0.95
    assert model.predict_proba(X).shape == (1500, 3)
    assert model.score(X) > StreamingGaussianMixture(1).fit(X).score(X)
    assert model.bic(X) < StreamingGaussianMixture(1).fit(X).bic(X)
    drawn, _ = model.sample(5000)
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.2)


def test_parts_of_a_series_are_labelled_by_what_came_before() -> None:
    X, _ = steps(2)
    from online_gmm import Segmenter

    model, labels = StreamingSegmenter(), []
    for part in np.split(X, 10):
        labels.append(model.partial_fit(part).labels_)
    causal = Segmenter(features=(0, 1)).label_then_learn_many(X).labels
    np.testing.assert_array_equal(np.concatenate(labels), causal)
    np.testing.assert_allclose(model.mixture_.means[:, 0], [0.0, 8.0, 8.0], atol=1.0)


def test_a_series_without_a_change_is_one_regime() -> None:
    X = np.random.default_rng(3).normal(3.0, 2.0, size=(12, 1))
    for model in (StreamingSegmenter().fit(X), StreamingSegmenter().partial_fit(X)):
        assert set(model.predict(X)) == {0}
        assert model.mixture_.means[0, 0] == pytest.approx(X.mean())
        assert model.mixture_.covariances[0, 0, 0] == pytest.approx(X.var())
    assert set(StreamingSegmenter().fit(X).labels_) == {0}


def test_the_segmenter_in_a_pipeline_and_a_grid_search() -> None:
    X, _ = steps(4)
    model = make_pipeline(StandardScaler(), StreamingSegmenter())
    assert model.fit(X).predict(X).shape == (1500,)
    name = "streamingsegmenter__confirm"
    search = GridSearchCV(model, {name: [1.0, 1e6]}, cv=TimeSeriesSplit(2)).fit(X)
    assert search.best_params_ == {name: 1.0}


@pytest.mark.parametrize("init", ["auto", "kmeans"])
def test_a_pickle_begins_as_the_model_would(init) -> None:
    X = np.random.default_rng(13).random((400, 3))
    model = StreamingGaussianMixture(4, init_params=init, random_state=1).partial_fit(X[:50])
    again = pickle.loads(pickle.dumps(model))
    model.partial_fit(X[50:])
    again.partial_fit(X[50:])
    assert model.means_.shape == (4, 3)
    np.testing.assert_array_equal(again.means_, model.means_)
