"""Rows summed up: how many values there are, their means and squared deviations."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython


def sum_up(
    x: cython.double[::1],
    probability: cython.double[::1],
    starts: cython.Py_ssize_t[::1],
    count: cython.Py_ssize_t[::1],
    mean: cython.double[::1],
    deviations: cython.double[::1],
) -> None:
    """Add rows to the moments of their runs, one after the other (Welford 1962).

    Parameters
    ----------
    x
        Values, shape (n, D); NaN is left out.
    probability
        One more column, shape (n,).
    starts
        First rows of the runs, ascending, the first of them 0; shape (R,).
    count, mean, deviations
        Of each run and column, shape (R, D + 1), written in place. What stands there is gone on
        with.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    run: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(probability)
    d: cython.Py_ssize_t = len(x) // n if n > 0 else 0
    n_runs: cython.Py_ssize_t = len(starts)
    value: cython.double
    gap: cython.double
    with cython.nogil:
        for i in range(n):
            if run + 1 < n_runs and starts[run + 1] == i:
                run += 1
            for j in range(d + 1):
                value = x[i * d + j] if j < d else probability[i]
                if value != value:
                    continue
                at = run * (d + 1) + j
                count[at] += 1
                if count[at] == 1:
                    mean[at] = value
                    deviations[at] = 0.0
                    continue
                gap = value - mean[at]
                mean[at] += gap / count[at]
                deviations[at] += gap * (value - mean[at])
