"""The tail of the chi-squared distribution, for whole degrees of freedom.

With h = x / 2, P(X > x) is exp(-h) times a sum. It is 1 for two degrees and e^h erfc(sqrt h) for
one, and two degrees more add one term (Abramowitz & Stegun 1964, 26.4.4 and 26.4.5). The result is
held as a logarithm, which goes on where doubles end.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import erfc, exp, log, sqrt
else:
    from math import erfc, exp, log, sqrt

PI = 3.141592653589793
LOG_10 = 2.302585092994046
FAR = 1e20
"""Half a distance beside which the logarithm of the sum is nothing."""
HUGE, LOG_HUGE = 1e250, 250 * LOG_10
"""What a sum is divided by before it is beyond doubles."""
STEPS = 100
CLOSE = 2e-16
"""Newton's method ends at a step of this share."""


@cython.cfunc
@cython.exceptval(check=False)
def log_tail(degrees: cython.Py_ssize_t, x: cython.double) -> cython.double:
    """Return log P(X > x)."""
    _i: cython.Py_ssize_t
    h: cython.double = x / 2.0
    a: cython.double = 1.0
    total: cython.double = 0.0
    term: cython.double = 1.0
    scale: cython.double = 0.0
    if not h <= FAR:
        return -h
    if degrees % 2 == 1:
        a = 1.5
        term = 2.0 * sqrt(h / PI)
        total = exp(h) * erfc(sqrt(h)) if h < 4.0 else sqrt(h / PI) / fraction(h)
    for _i in range(degrees // 2):
        total += term
        term *= h / a
        a += 1.0
        if total > HUGE:
            total /= HUGE
            term /= HUGE
            scale += LOG_HUGE
    # near 1 it may be rounded to more
    return min(log(total) - h + scale, 0.0)


@cython.cfunc
@cython.exceptval(check=False)
def fraction(h: cython.double) -> cython.double:
    """Return sqrt(h / pi) e^-h / erfc(sqrt h), by its continued fraction."""
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t = int(10.0 + 300.0 / h)
    rest: cython.double = 0.0
    for k in range(n, 0, -1):
        rest = k * (k - 0.5) / (h + 2.0 * k + 0.5 - rest)
    return h + 0.5 - rest


@cython.cfunc
@cython.exceptval(check=False)
def log_gamma_of_half(degrees: cython.Py_ssize_t) -> cython.double:
    """Return log Gamma(degrees / 2); Python and C do not agree on it."""
    _i: cython.Py_ssize_t
    a: cython.double = 1.0
    result: cython.double = 0.0
    if degrees % 2 == 1:
        a = 0.5
        result = 0.5 * log(PI)
    for _i in range((degrees - 1) // 2):
        result += log(a)
        a += 1.0
    return result


def tail(degrees: cython.Py_ssize_t, x: cython.double) -> float:
    """Return P(X > x) for 0 <= x and 1 <= degrees."""
    return exp(log_tail(degrees, x))


def exceeded(probability: cython.double, degrees: cython.Py_ssize_t) -> float:
    """Return what X exceeds with this probability, by Newton's method on the logarithm."""
    _i: cython.Py_ssize_t
    a: cython.double = degrees / 2.0
    x: cython.double = degrees
    log_gamma: cython.double = log_gamma_of_half(degrees)
    wanted: cython.double = log(probability)
    now: cython.double
    step: cython.double
    for _i in range(STEPS):
        now = log_tail(degrees, x)
        # over the share of the density in the tail
        step = (now - wanted) * 2.0 * exp(now + x / 2.0 + log_gamma - (a - 1.0) * log(x / 2.0))
        x = x + step if x + step > 0.0 else x / 2.0
        if -CLOSE * x <= step <= CLOSE * x:
            break
    return x


def strangeness(
    x: cython.double[::1], degrees: cython.Py_ssize_t[::1], result: cython.double[::1]
) -> None:
    """Write -log10 P(X > x) of each, and 0 where there are no degrees of freedom."""
    i: cython.Py_ssize_t
    for i in range(len(x)):
        result[i] = -log_tail(degrees[i], x[i]) / LOG_10 + 0.0 if degrees[i] > 0 else 0.0
