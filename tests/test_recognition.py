"""Regimes told apart by a classifier: against plain loops and scikit-learn, and on known series."""

import itertools
import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mutual_info_score

from online_gmm.segmentation.convolutions import shares_above
from online_gmm.segmentation.recognition import LEVELS, Recognition, information
from tests.conftest import on_one_kernel

pytestmark = on_one_kernel


def noise(n, d=1, seed=1):
    return np.random.default_rng(seed).normal(size=(n, d))


def halves(n):
    return (np.arange(n) >= n // 2).astype(np.int64)


def naive_shares(x, rows, window):
    """Shares of one channel, value by value, in the order of dilation, kernel and quantile."""
    result = []
    n = len(x)
    at = np.linspace(0, n - 1, min(n, 500)).astype(int)
    for dilation in (1, 2, 4, 8, 16):
        for kernel in itertools.combinations(range(9), 3):
            convolved = []
            for t in range(n):
                points = [x[max(0, t - j * dilation)] for j in range(9)]
                convolved.append(
                    math.fsum((2.0 if j in kernel else -1.0) * its for j, its in enumerate(points))
                )
            convolved = np.array(convolved)
            taken = np.sort(convolved[at])
            for quantile in (0.25, 0.75):
                level = taken[int(quantile * len(taken))]
                # equal to the level up to rounding is either
                result.append(
                    [
                        (np.mean(its > level + 1e-9), np.mean(its > level - 1e-9))
                        for its in (convolved[row + 1 - window : row + 1] for row in rows)
                    ]
                )
    return np.array(result).transpose(1, 0, 2)


def test_shares_are_those_of_plain_loops():
    X = noise(300)
    rows = np.array([40, 120, 121, 200, 299])
    for window, shares in zip((10, 30), shares_above(X, rows, (10, 30)), strict=True):
        naive = naive_shares(X[:, 0], rows, window)
        assert shares.shape == (5, 840)
        assert (shares >= naive[..., 0] - 1e-6).all()
        assert (shares <= naive[..., 1] + 1e-6).all()


def test_rows_that_no_window_reaches_do_not_count():
    X = noise(5000, seed=3)
    rows = np.array([700, 720, 4000])
    Y = X.copy()
    # 100 rows of the window and eight times 16 before it
    Y[:473] = 1e6
    Y[721:3773] = -1e6
    Y[4001:] = np.nan
    one, other = (shares_above(its, rows, (100,))[0] for its in (X, Y))
    assert np.array_equal(one, other)


def test_each_channel_has_kernels_of_its_own():
    X = noise(1000, 3, seed=4)
    rows = np.arange(200, 1000, 50)
    before = shares_above(X, rows, (50,))[0]
    assert before.shape == (16, 840)
    X[:, 1] = noise(1000, seed=5)[:, 0]
    after = shares_above(X, rows, (50,))[0]
    assert (before != after).any(axis=0).sum() <= 280


def test_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(6)
    for k in (1, 2, 5):
        a, b = rng.integers(0, k, 200), rng.integers(0, 5, 200)
        assert information(a, b) == pytest.approx(mutual_info_score(a, b), abs=1e-12)


def test_what_is_recognised_is_what_ridge_regression_says():
    """Half of each segment teaches scikit-learn's ridge regression, the other half is asked."""
    n, window = 4000, 50
    labels = (np.arange(n) // 800) % 2
    smooth = np.convolve(noise(n, seed=8)[:, 0], np.ones(3) / math.sqrt(3), "same")
    X = np.where(labels == 1, smooth, noise(n, seed=7)[:, 0])[:, None]
    recognition = Recognition(X, ((0, n),), (window,))
    rows = recognition.rows
    (shares,) = shares_above(X, rows, (window,))
    seen = np.stack([X[row + 1 - window : row + 1, 0] for row in rows])
    moments = np.stack([seen.mean(axis=1), np.log1p(seen.std(axis=1))], axis=1)
    parts = []
    for part, weight in ((shares, 1.0), (moments, LEVELS * 840 / 2)):
        parts.append(math.sqrt(weight) * (part - part.mean(axis=0)) / (part.std(axis=0) + 0.02))
    z = np.concatenate(parts, axis=1).astype(float)
    age = rows % 800
    first = (age >= window) & (age < (800 + window) / 2)
    second = age >= (800 + window) / 2 + window
    true, taken = [], []
    for taught, asked in ((first, second), (second, first)):
        model = Ridge(alpha=1e-3 * taught.mean() * float((z**2).sum()), fit_intercept=False)
        share = labels[rows][taught].mean()
        model.fit(z[taught], labels[rows][taught] - share)
        true.append(labels[rows][asked])
        taken.append((model.predict(z[asked]) + share > 0.5).astype(int))
    told = mutual_info_score(np.concatenate(true), np.concatenate(taken))
    shares = np.bincount(labels[rows]) / len(rows)
    most = -float((shares * np.log(shares)).sum())
    assert recognition.of(labels).worth - recognition.most(labels) + most == pytest.approx(told)
    assert told > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_halves_of_noise_are_not_recognised(seed):
    X = noise(3000, seed=seed)
    recognition = Recognition(X, ((0, 3000),), (48, 192))
    worth, beyond_chance = recognition.of(halves(3000))
    assert worth < 0.0
    assert not beyond_chance


def test_levels_are_recognised_and_parts_of_a_drift_are_not():
    n = 6000
    labels = (np.arange(n) // 1000) % 2
    X = noise(n, seed=8) + 3.0 * labels[:, None]
    recognition = Recognition(X, ((0, n),), (48, 192))
    assert recognition.of(labels).beyond_chance
    assert recognition.of(labels).worth > 0.9 * recognition.most(labels) > 0.2
    X = noise(n, seed=8) + np.linspace(0.0, 4.0, n)[:, None]
    recognition = Recognition(X, ((0, n),), (48, 192))
    parts = np.arange(n) // (n // 4)
    assert recognition.of(parts).worth < 0.5 * recognition.most(parts)


def test_regimes_of_shape_are_recognised():
    """A sine and a saw tooth of the same period, mean and spread, in turns."""
    n = 6000
    t = np.arange(n) / 25.0
    labels = (np.arange(n) // 1000) % 2
    saw = (t % 1.0 - 0.5) * math.sqrt(12.0)
    x = np.where(labels == 1, saw, math.sqrt(2.0) * np.sin(2 * math.pi * t))
    X = x[:, None] + 0.3 * noise(n, seed=9)
    recognition = Recognition(X, ((0, n),), (50, 200))
    assert recognition.of(labels).beyond_chance
    assert recognition.of(labels).worth > 0.95 * recognition.most(labels) > 0.2


def test_windows_do_not_span_gaps():
    X = noise(2000, seed=10)
    recognition = Recognition(X, ((0, 300), (300, 340), (340, 2000)), (48, 192))
    begins = np.array([0, 300, 340])
    start = begins[np.searchsorted(begins, recognition.rows, side="right") - 1]
    assert (recognition.rows - start >= 191).all()


def test_a_series_too_short_to_learn_from_has_nothing_recognised():
    X = noise(60, seed=11)
    recognition = Recognition(X, ((0, 30), (30, 60)), (48,))
    worth, beyond_chance = recognition.of(halves(60))
    assert worth < 0.0
    assert not beyond_chance


def test_windows_that_all_show_the_same_tell_nothing():
    X = np.zeros((100_000, 1))
    recognition = Recognition(X, ((0, 100_000),), (48,))
    worth, beyond_chance = recognition.of(halves(100_000))
    assert worth < 0.0
    assert not beyond_chance
