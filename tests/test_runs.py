"""Moments of runs, beside those that numpy computes of each run by itself."""

import sys

import numpy as np
import pytest

from online_gmm.data.frames import view


def summed(X, starts, begun=None):
    shape = (len(starts), X.shape[1])
    count, mean, deviations = begun or (
        np.zeros(shape, np.int64),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
    )
    sys.modules["online_gmm._kernel"].sum_up(
        *map(view, (X[:, :-1], X[:, -1], np.array(starts), count, mean, deviations)),
    )
    return count, mean, deviations


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_of_each_run(offset):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3)) + offset
    X[rng.random(X.shape) < 0.2] = np.nan
    X[40:45] = np.nan
    starts = [0, 1, 40, 45, 200, 299]
    count, mean, deviations = summed(X, starts)
    for i, (begin, end) in enumerate(zip(starts, [*starts[1:], 300], strict=True)):
        for j in range(3):
            values = X[begin:end, j][~np.isnan(X[begin:end, j])]
            assert count[i, j] == len(values)
            if not len(values):
                assert np.isnan(mean[i, j]) and np.isnan(deviations[i, j])  # noqa: PT018
                continue
            assert mean[i, j] == pytest.approx(values.mean(), rel=1e-13, abs=1e-13)
            assert deviations[i, j] == pytest.approx(
                values.var() * len(values), rel=1e-9, abs=1e-13 + 1e-15 * offset**2
            )


def test_a_run_goes_on_where_it_was():
    X = np.random.default_rng(2).normal(size=(100, 2))
    whole = summed(X, [0])
    first = summed(X[:37], [0])
    for one, other in zip(summed(X[37:], [0], first), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("parts", [(37, 63), (1, 9), (5, 0), (0, 5)])
def test_joined_moments_are_those_of_all_rows(parts):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(sum(parts), 3)) + 1e3
    X[:, 2] = np.nan if parts[0] < 2 else X[:, 2]

    def moments(rows):
        known = ~np.isnan(rows)
        counts = known.sum(axis=0).astype(float)
        means = np.array(
            [x[k].mean() if k.any() else 0.0 for x, k in zip(rows.T, known.T, strict=True)]
        )
        gaps = np.where(known, rows - means, 0.0)
        return counts, means, gaps.T @ gaps

    whole = moments(X)
    ours, theirs = moments(X[: parts[0]]), moments(X[parts[0] :])
    kept = [values.copy() for values in theirs]
    sys.modules["online_gmm._kernel"].join(*ours, *theirs, np.empty(3))
    for one, other in zip(ours, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    for one, other in zip(theirs, kept, strict=True):
        np.testing.assert_array_equal(one, other)
