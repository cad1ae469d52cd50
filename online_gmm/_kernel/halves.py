"""Moments of a component's rows in two halves, and whether they are alike."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory
else:
    from online_gmm._kernel.memory import Memory


def add_moments(
    x: cython.double[::1],
    means: cython.double[::1],
    responsibilities: cython.double[::1],
    n_components: cython.Py_ssize_t,
    component: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    sums: cython.double[::1],
) -> None:
    """Add rows, by their responsibilities, to the sums of products of features and 1.

    Parameters
    ----------
    x
        Rows, shape (n, D).
    means
        Of the components, shape (K, D). The features are taken from the component's.
    responsibilities
        Shape (n, K).
    n_components, component
        K, and the component.
    begin, end
        The first row, and the one after the last.
    sums
        Shape (3, (D + 1) (D + 2) / 2), gone on with. For each two of the features and 1: the sum of
        their products times the responsibility r, of the products times r^2, and of the squares of
        the first.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    other: cython.Py_ssize_t
    at: cython.Py_ssize_t
    share: cython.double
    weighted: cython.double
    product: cython.double
    d: cython.Py_ssize_t = len(means) // n_components
    n_pairs: cython.Py_ssize_t = len(sums) // 3
    memory: Memory = Memory(d + 1)
    away: cython.p_double = memory.piece(d + 1)
    with cython.nogil:
        away[d] = 1.0
        for i in range(begin, end):
            share = responsibilities[i * n_components + component]
            for j in range(d):
                away[j] = x[i * d + j] - means[component * d + j]
            at = 0
            for j in range(d + 1):
                weighted = share * away[j]
                for other in range(j + 1):
                    product = weighted * away[other]
                    sums[at] += product
                    sums[n_pairs + at] += share * product
                    sums[2 * n_pairs + at] += product * product
                    at += 1


def moments_alike(
    before: cython.double[::1], after: cython.double[::1], farthest: cython.double
) -> bool:
    """Whether no two weighted means differ by more than chance, by Welch's test.

    ``before`` and ``after`` are what `add_moments` has written. ``farthest`` is the largest squared
    difference, in variances. What is not a number is not alike.
    """
    at: cython.Py_ssize_t
    half: cython.Py_ssize_t
    n_pairs: cython.Py_ssize_t = len(before) // 3
    total: cython.double
    mean: cython.double
    gap: cython.double
    value: cython.double
    variance: cython.double
    sums: cython.double[::1]
    for at in range(n_pairs):
        gap = variance = 0.0
        for half in range(2):
            sums = before if half == 0 else after
            total = sums[n_pairs - 1]
            mean = sums[at] / total
            value = sums[2 * n_pairs + at] - mean * (
                2.0 * sums[n_pairs + at] - mean * sums[2 * n_pairs - 1]
            )
            if value < 0.0:
                value = 0.0
            variance += value / (total * total)
            gap = mean - gap
        if not gap * gap <= farthest * variance:
            return False
    return True
