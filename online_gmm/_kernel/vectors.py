"""Exponential functions and logarithms of many numbers at once.

They consist of additions, multiplications, one division and moves of bits. Compilers therefore
vectorise the loops, and the interpreted kernel gives the same bits. Both functions are within one
unit in the last place of the exact result.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from math import frexp, ldexp

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from online_gmm._kernel.memory import first


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def exp_of(value: cython.double) -> cython.double:
    """Return the exponential function of a number up to 700; below -708.8 it is 0.

    With x = k log 2 + r, where k is whole, exp x = 2^k (1 + r + r^2 q(r)). The polynomial q is the
    one through the Chebyshev nodes of |r| <= log(2) / 2. Its error is below 2e-19.
    """
    bits: cython.longlong
    k: cython.double
    r: cython.double
    r2: cython.double
    r4: cython.double
    low: cython.double
    mid: cython.double
    high: cython.double
    result: cython.double
    # there k is -1023, and 2^k has the bits of 0
    value = value if value > -709.09 else -709.09
    # 1.5 * 2^52: the sum holds k in its last bits
    k = value * 1.4426950408889634 + 6755399441055744.0
    if cython.compiled:
        bits = (cython.cast(cython.p_longlong, cython.address(k))[0] + 1023) << 52
    k -= 6755399441055744.0
    # log 2 in two parts, of which the first has so few bits that the product is exact
    r = (value - k * 0.6931471805582987) - k * 1.6465949582897082e-12
    r2 = r * r
    r4 = r2 * r2
    # in three parts that do not wait for each other
    low = (0.5 + 0.1666666666666667 * r) + (0.04166666666666667 + 0.008333333333326136 * r) * r2
    mid = (0.001388888888888375 + 0.00019841269874815834 * r) + (
        2.480158732554432e-05 + 2.7557255406285044e-06 * r
    ) * r2
    high = (2.7557273647451087e-07 + 2.5105214474751413e-08 * r) + 2.0914685161418067e-09 * r2
    result = 1.0 + (r + r2 * (low + r4 * (mid + r4 * high)))
    if cython.compiled:
        return result * cython.cast(cython.p_double, cython.address(bits))[0]
    else:
        return ldexp(result, int(k)) if k > -1023.0 else 0.0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def exp_each(x: cython.p_double, n: cython.Py_ssize_t) -> cython.int:
    """Replace n numbers up to 700 by their exponential function; below -708.8 it is 0."""
    i: cython.Py_ssize_t
    for i in range(n):
        x[i] = exp_of(x[i])
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def log_of(m: cython.double) -> cython.double:
    """Return the natural logarithm of a positive normal number.

    With x = 2^k m, where m is from sqrt(1/2) to sqrt(2), and s = (m - 1) / (m + 1), log m is
    2 artanh s. The polynomial is that of FreeBSD's ``e_log.c``.
    """
    k: cython.double
    f: cython.double
    s: cython.double
    z: cython.double
    w: cython.double
    half: cython.double
    if cython.compiled:
        # the bits of sqrt(1/2), of 2^52, and of what follows sign and exponent
        root: cython.ulonglong = 1072079006
        root = (root << 32) + 1719614413
        large: cython.ulonglong = 1127219200
        large = large << 32
        fraction: cython.ulonglong = 1
        fraction = (fraction << 52) - 1
        one: cython.ulonglong = 1023
        one = one << 52
        bits: cython.ulonglong
        whole: cython.ulonglong
        bits = cython.cast(cython.p_ulonglong, cython.address(m))[0] + one - root
        # k + 1023 as the last bits of 2^52 + k + 1023
        whole = (bits >> 52) | large
        bits = (bits & fraction) + root
        k = cython.cast(cython.p_double, cython.address(whole))[0] - 4503599627371519.0
        m = cython.cast(cython.p_double, cython.address(bits))[0]
    else:
        m, k = frexp(m)
        if m < 0.7071067811865476:
            m *= 2.0
            k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    half = 0.5 * f * f
    z = z * (
        0.6666666666666735130
        + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    ) + w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    return k * 0.6931471803691238 - ((half - (s * (half + z) + k * 1.9082149292705877e-10)) - f)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def log_each(x: cython.p_double, n: cython.Py_ssize_t) -> cython.int:
    """Replace n positive normal numbers by their natural logarithm."""
    i: cython.Py_ssize_t
    for i in range(n):
        x[i] = log_of(x[i])
    return 0


def exp_in_place(values: cython.double[::1]) -> None:
    """Replace numbers up to 700 by their exponential function; below -708.8 it is 0."""
    exp_each(first(values), len(values))


def log_in_place(values: cython.double[::1]) -> None:
    """Replace positive normal numbers by their natural logarithm."""
    log_each(first(values), len(values))
