"""How long regimes last, by the responsibilities of points that follow each other."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.memory import Memory, first
else:
    from math import log

    from online_gmm._kernel.memory import Memory, first


def time_constant(
    responsibilities: cython.double[::1],
    k: cython.Py_ssize_t,
    lasting: cython.double,
    least: cython.double,
) -> float:
    """Return after how many points a regime is forgotten, to a factor 1 / e; 0 if none is seen.

    Parameters
    ----------
    responsibilities
        Shape (n, K), n at least 4.
    k
        K.
    lasting
        The autocorrelation of neighbours below which regimes are not seen to last.
    least
        The fall from one lag to the next at most.
    """
    i: cython.Py_ssize_t
    c: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(responsibilities) // k
    lag: cython.Py_ssize_t = 1
    far: cython.double
    near: cython.double
    memory: Memory = Memory(n * k + k)
    centred: cython.p_double = memory.piece(n * k)
    mean: cython.p_double = memory.piece(k)
    shares: cython.p_double = first(responsibilities)
    for i in range(n):
        for c in range(k):
            mean[c] += shares[i * k + c]
    for c in range(k):
        mean[c] /= n
    for i in range(n):
        for c in range(k):
            centred[i * k + c] = shares[i * k + c] - mean[c]
    near = covariance(centred, n, k, 1)
    if not near > lasting * covariance(centred, n, k, 0):
        return 0.0
    while True:
        far = covariance(centred, n, k, 2 * lag)
        if far < near / 1.6487212707001282 or 8 * lag > n:
            break
        lag, near = 2 * lag, far
    if far >= near:
        return float(n)
    return min(lag / log(near / max(far, near * least)), float(n))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def covariance(
    centred: cython.p_double, n: cython.Py_ssize_t, k: cython.Py_ssize_t, lag: cython.Py_ssize_t
) -> cython.double:
    """Return the mean product of values so many points apart, summed over K columns."""
    i: cython.Py_ssize_t
    total: cython.double = 0.0
    for i in range((n - lag) * k):
        total += centred[i] * centred[i + lag * k]
    return total / (n - lag)
