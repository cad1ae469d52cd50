"""Pairs of components: how far apart they are, and what two become that are one."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.memory import Memory, first, packed
else:
    from math import log

    from online_gmm._kernel.memory import Memory, first, packed


def merged(
    weights: cython.double[::1],
    means: cython.double[::1],
    covariances: cython.double[::1],
    i: cython.Py_ssize_t,
    j: cython.Py_ssize_t,
) -> tuple[bytes, bytes, bytes]:
    """Return weights, means and covariance matrices, as doubles, with component j taken into i."""
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    c: cython.Py_ssize_t
    to: cython.Py_ssize_t
    k: cython.Py_ssize_t = len(weights)
    d: cython.Py_ssize_t = len(means) // k
    share: cython.double = weights[j] / (weights[i] + weights[j])
    memory: Memory = Memory((k - 1) * (1 + d + d * d) + d * d)
    weight: cython.p_double = memory.piece(k - 1)
    mean: cython.p_double = memory.piece((k - 1) * d)
    covariance: cython.p_double = memory.piece((k - 1) * d * d)
    both: cython.p_double = memory.piece(d * d)
    pool(first(means), first(covariances), i, j, d, share, both)
    for c in range(k):
        if c == j:
            continue
        to = c if c < j else c - 1
        weight[to] = weights[c] + (weights[j] if c == i else 0.0)
        for a in range(d):
            mean[to * d + a] = means[c * d + a]
            if c == i:
                mean[to * d + a] += share * (means[j * d + a] - means[i * d + a])
            for b in range(d):
                covariance[(to * d + a) * d + b] = (
                    both[a * d + b] if c == i else covariances[(c * d + a) * d + b]
                )
    return packed(weight, k - 1), packed(mean, (k - 1) * d), packed(covariance, (k - 1) * d * d)


def cheapest_pair(
    weights: cython.double[::1], means: cython.double[::1], covariances: cython.double[::1]
) -> tuple[int, int]:
    """Return the two components of which the merger costs the least likelihood.

    Rows are taken as assigned to one component each. O(K^2 D^3).
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t = len(weights)
    d: cython.Py_ssize_t = len(means) // k
    best: tuple[int, int] = (0, 1)
    least: cython.double = 0.0
    cost: cython.double
    weight: cython.double
    memory: Memory = Memory(k + d * d)
    single: cython.p_double = memory.piece(k)
    both: cython.p_double = memory.piece(d * d)
    centers: cython.p_double = first(means)
    matrices: cython.p_double = first(covariances)
    for i in range(k):
        pool(centers, matrices, i, i, d, 0.0, both)
        weight = weights[i]
        single[i] = weight * (
            log_determinant(both, d) / 2.0 - log(weight if weight > 1e-300 else 1e-300)
        )
    for i in range(k):
        for j in range(i + 1, k):
            weight = weights[i] + weights[j]
            pool(centers, matrices, i, j, d, weights[j] / weight, both)
            cost = weight * (log_determinant(both, d) / 2.0 - log(weight)) - single[i] - single[j]
            if (i == 0 and j == 1) or cost < least:
                least = cost
                best = (i, j)
    return best


def bhattacharyya(
    means: cython.double[::1],
    covariances: cython.double[::1],
    other_means: cython.double[::1],
    other_covariances: cython.double[::1],
    d: cython.Py_ssize_t,
    farthest: cython.double,
    out: cython.double[::1],
) -> None:
    """Write the Bhattacharyya distances of components to others, shape (K, K').

    What doubles cannot hold, and that of a singular covariance, is ``farthest``. O(K K' D^3).
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    a: cython.Py_ssize_t
    square: cython.double
    value: cython.double
    k: cython.Py_ssize_t = len(means) // d
    n: cython.Py_ssize_t = len(other_means) // d
    memory: Memory = Memory(k + n + d * d + d)
    mine: cython.p_double = memory.piece(k)
    theirs: cython.p_double = memory.piece(n)
    both: cython.p_double = memory.piece(d * d)
    gap: cython.p_double = memory.piece(d)
    for i in range(k):
        for a in range(d * d):
            both[a] = covariances[i * d * d + a]
        mine[i] = log_determinant(both, d)
    for j in range(n):
        for a in range(d * d):
            both[a] = other_covariances[j * d * d + a]
        theirs[j] = log_determinant(both, d)
    for i in range(k):
        for j in range(n):
            for a in range(d * d):
                both[a] = (covariances[i * d * d + a] + other_covariances[j * d * d + a]) / 2.0
            for a in range(d):
                gap[a] = means[i * d + a] - other_means[j * d + a]
            value = log_determinant(both, d)
            out[i * n + j] = farthest
            if mine[i] > -1e299 and theirs[j] > -1e299 and value > -1e299:
                square = squared_in(gap, both, d)
                value = square / 8.0 + (value - (mine[i] + theirs[j]) / 2.0) / 2.0
                if value < farthest:
                    out[i * n + j] = value


def squared_length(gap: cython.double[::1], covariance: cython.double[::1]) -> float:
    """Return the squared Mahalanobis length of a gap; infinite if the covariance is singular."""
    a: cython.Py_ssize_t
    d: cython.Py_ssize_t = len(gap)
    memory: Memory = Memory(d * d + d)
    matrix: cython.p_double = memory.piece(d * d)
    rest: cython.p_double = memory.piece(d)
    square: cython.double
    for a in range(d * d):
        matrix[a] = covariance[a]
    for a in range(d):
        rest[a] = gap[a]
    if log_determinant(matrix, d) < -1e299:
        return float("inf")
    square = squared_in(rest, matrix, d)
    return square if square == square else float("inf")


@cython.cfunc
@cython.exceptval(check=False)
def squared_in(
    gap: cython.p_double, matrix: cython.p_double, d: cython.Py_ssize_t
) -> cython.double:
    """Return the squared length of a gap by a matrix that `log_determinant` has written over."""
    a: cython.Py_ssize_t
    c: cython.Py_ssize_t
    result: cython.double = 0.0
    for c in range(d):
        result += gap[c] * gap[c] / matrix[c * d + c]
        for a in range(c + 1, d):
            gap[a] -= matrix[c * d + a] * (gap[c] / matrix[c * d + c])
    return result


@cython.cfunc
@cython.exceptval(check=False)
def pool(
    means: cython.p_double,
    covariances: cython.p_double,
    i: cython.Py_ssize_t,
    j: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    share: cython.double,
    out: cython.p_double,
) -> cython.int:
    """Write the covariance of components i and j together, of which j has this share."""
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    value: cython.double
    for a in range(d):
        for b in range(d):
            value = covariances[(i * d + a) * d + b]
            value += share * (covariances[(j * d + a) * d + b] - value)
            out[a * d + b] = value + share * (1.0 - share) * (
                (means[j * d + a] - means[i * d + a]) * (means[j * d + b] - means[i * d + b])
            )
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def log_determinant(matrix: cython.p_double, d: cython.Py_ssize_t) -> cython.double:
    """Return the log determinant of a symmetric matrix (D, D) without negative eigenvalues.

    The matrix is written over by its pivots and what is right of them, D U = L' of L D L'. What is
    singular has -1e300.
    """
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    c: cython.Py_ssize_t
    pivot: cython.double
    result: cython.double = 0.0
    for c in range(d):
        pivot = matrix[c * d + c]
        if not (pivot > 0.0):
            return -1e300
        result += log(pivot)
        for a in range(c + 1, d):
            for b in range(a, d):
                matrix[a * d + b] -= matrix[c * d + a] * matrix[c * d + b] / pivot
    return result
