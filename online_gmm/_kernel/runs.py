"""Runs of equal labels, summed up: how many values there are, their mean and squared deviations."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython


def sum_up(
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    n_columns: cython.Py_ssize_t,
    starts: cython.Py_ssize_t[::1],
    count: cython.Py_ssize_t[::1],
    mean: cython.double[::1],
    deviations: cython.double[::1],
) -> None:
    """Add n rows to the moments of their runs, one after the other (Welford 1962).

    Parameters
    ----------
    x
        Values, shape (n, n_columns); NaN is left out.
    starts
        First rows of the runs, from 0 on, ascending; shape (R,).
    count, mean, deviations
        Of each run and column, shape (R, n_columns), written in place. What stands there is gone on
        with.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    run: cython.Py_ssize_t = -1
    at: cython.Py_ssize_t
    n_runs: cython.Py_ssize_t = len(starts)
    value: cython.double
    gap: cython.double
    with cython.nogil:
        for i in range(n):
            if run + 1 < n_runs and starts[run + 1] == i:
                run += 1
            for j in range(n_columns):
                value = x[i * n_columns + j]
                if value != value:
                    continue
                at = run * n_columns + j
                count[at] += 1
                if count[at] == 1:
                    mean[at] = value
                    deviations[at] = 0.0
                    continue
                gap = value - mean[at]
                mean[at] += gap / count[at]
                deviations[at] += gap * (value - mean[at])
