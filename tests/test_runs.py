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
