"""The mixture as a value."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from online_gmm import MixtureParameters, OnlineGMM
from tests.conftest import on_one_kernel
from tests.test_kernel import random_mixture


def test_does_not_change():
    mixture = random_mixture(2, 2, seed=1)
    with pytest.raises(AttributeError):
        mixture.weights = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        mixture.means[0, 0] = 1.0


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"weights \(K,\), means \(K, D\)"):
        MixtureParameters([1.0], [[0.0, 1.0]], [[[1.0]]])
    with pytest.raises(ValueError, match="2 feature names were given for 1 features"):
        MixtureParameters([1.0], [[0.0]], [[[1.0]]], ("a", "b"))


def test_density_integrates_to_one():
    mixture = random_mixture(3, 1, seed=2)
    total, _ = quad(lambda x: np.exp(mixture.score_samples([[x]])[0]), -40, 40, limit=400)
    assert total == pytest.approx(1.0, abs=1e-6)


def test_sample_has_the_moments_of_the_mixture():
    mixture = random_mixture(3, 2, seed=3)
    X, labels = mixture.sample(200_000, seed=1)
    np.testing.assert_allclose(np.bincount(labels) / 2e5, mixture.weights, atol=5e-3)
    mean = mixture.weights @ mixture.means
    spread = mixture.covariances + mixture.means[:, :, None] * mixture.means[:, None, :]
    cov = np.tensordot(mixture.weights, spread, 1) - np.outer(mean, mean)
    np.testing.assert_allclose(X.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(X.T), cov, rtol=0.03, atol=0.05)
    again, _ = mixture.sample(200_000, seed=1)
    np.testing.assert_array_equal(X, again)


def test_predict_proba_sums_to_one_and_agrees_with_predict():
    mixture = random_mixture(4, 3, seed=4)
    X, _ = mixture.sample(500, seed=2)
    proba = mixture.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba.argmax(axis=1), mixture.predict(X))


def test_frames_are_read_by_name():
    mixture = MixtureParameters([1.0], [[1.0, 2.0]], [np.eye(2)], ("a", "b"))
    frame = pd.DataFrame({"b": [2.0], "c": [9.0], "a": [1.0]})
    np.testing.assert_allclose(mixture.score_samples(frame), -np.log(2 * np.pi))


def test_arrays_are_not_taken_for_features_with_names():
    """Learners have features in alphabetical order, whatever that of the rows was."""
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal([[20.0], [60.0]], 1.0, (2, 200)).ravel(), np.arange(400) % 7])
    frame = pd.DataFrame(X, columns=["temp", "amps"])
    mixture = OnlineGMM(2, seed=1).fit_start(frame).mixture
    assert mixture.features == ("amps", "temp")
    np.testing.assert_array_equal(mixture.predict(frame), np.arange(400) // 200)
    for method in (mixture.predict, mixture.predict_proba, mixture.score_samples):
        with pytest.raises(ValueError, match="knows its features by name: 'amps', 'temp'"):
            method(X)
        with pytest.raises(ValueError, match="these rows have none of the features 'amps', 'temp'"):
            method(frame.set_axis(["a", "b"], axis=1))
    # one feature has no order
    alone = OnlineGMM(2, seed=1).fit_start(frame[["temp"]]).mixture
    np.testing.assert_array_equal(alone.predict(X[:, :1]), alone.predict(frame))


def test_bhattacharyya_against_its_integral():
    left, right = random_mixture(1, 1, seed=5), random_mixture(1, 1, seed=6)

    def overlap(x):
        return np.exp((left.score_samples([[x]])[0] + right.score_samples([[x]])[0]) / 2)

    coefficient, _ = quad(overlap, -30, 30, limit=400)
    assert left.bhattacharyya(right)[0, 0] == pytest.approx(-np.log(coefficient), abs=1e-8)


def test_matching_undoes_a_permutation_and_error_measures_what_is_left():
    mixture = random_mixture(4, 2, seed=7)
    shuffled = mixture.reordered([2, 0, 3, 1])
    assert shuffled.matched_to(mixture).error(mixture) == 0.0
    assert shuffled.error(mixture) > 0.1
    moved = MixtureParameters(mixture.weights, mixture.means + 0.01, mixture.covariances)
    sd = np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2)).min()
    assert moved.error(mixture) == pytest.approx(0.01 / sd)
    with pytest.raises(ValueError, match="4 and 3 components"):
        mixture.matched_to(random_mixture(3, 2, seed=1))


@on_one_kernel
@pytest.mark.parametrize("d", [1, 3])
def test_threads_change_nothing(d):
    mixture = random_mixture(3, d, seed=4)
    X = mixture.sample(5_003, seed=2)[0]
    X[::50, 0] = np.nan
    for name in ("score_samples", "predict_proba", "predict"):
        answer = getattr(mixture, name)
        for n_jobs in (2, 3, -1):
            assert np.array_equal(answer(X), answer(X, n_jobs=n_jobs))
    assert np.array_equal(mixture.predict(X), mixture.predict_proba(X).argmax(axis=1))
    assert mixture.predict(X[:0], n_jobs=2).shape == (0,)


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_refuses_no_threads(n_jobs):
    mixture = random_mixture(2, 1, seed=1)
    with pytest.raises(ValueError, match=f"n_jobs is {n_jobs}; it must be at least 1, or -1"):
        mixture.predict([[0.0]], n_jobs=n_jobs)
