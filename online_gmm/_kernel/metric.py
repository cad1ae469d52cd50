"""Distances in units of what a window varies by within a regime.

Two windows that do not overlap and lie in one regime differ by twice the covariance within it. Of
the differences f(t + W) - f(t) the largest fifth are left out as changes of regime, and the rest
are summed up as they come. Their covariance, shrunk towards a multiple of the identity in units of
the whole variance (more so while little has been seen), whitens the features, so that distances
have the same unit everywhere. How much each whitened feature varies at present, beyond what is
usual, is followed by medians.

Short windows are there for short stays, where more than a fifth of the differences reach over a
change. Their differences are clipped, each feature by its median.

A covariance of few differences is too small in the directions that these differences do not show,
so that windows which come later seem far away. ``freedom`` is the squared distance at which a
window that had no part in the covariance is expected: with the regularised covariance of n
differences that have e effective degrees of freedom it is e / (1 - e / n) (Chen, Paul, Prentice &
Wang 2011).
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import fabs, log, sqrt
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, packed, unpack
else:
    from math import fabs, log, sqrt

    from online_gmm._kernel.memory import Memory, copy, packed, unpack
from typing import Any

from online_gmm._kernel.values import block, real, whole

SHRINK = 0.1
SHRINK_EARLY = 0.3
SHRINK_RATIO = 0.1
"""Shrinkage for each feature beyond the differences that there are."""
INDEPENDENT = 3.7
"""Differences a window that tell as much as independent ones would, as measured on noise."""
LEAST_RATIO = 0.1
"""The expected distance is at most the effective degrees of freedom over this."""
KEPT = 0.8
"""The share of differences that are taken to lie within a regime."""
LEAST_WITHIN = 0.01
"""Standard deviations of a feature by which it is taken to vary within a regime at least."""
STILL = 1e-20
"""Whitening weighs a feature that has not moved by less."""
MOVES = 1e-16
"""Variance of a feature that has begun to move."""
HALF = 0.7071067811865476
MEDIAN = 0.6744897501960817
"""Of the magnitude of a standard normal variable."""
FOLLOW = 0.2
CLIP = 3.5
"""Times the median of a feature that a difference counts at most, if differences are clipped."""
LEAST_CLIP = 0.3
"""Standard deviations of a feature that a difference counts in any case."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def multiply(
    columns: cython.p_double, p: cython.Py_ssize_t, f: cython.p_double, z: cython.p_double
) -> cython.int:
    """Write the product of a lower triangle, its columns one after another, and f to z."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t = 0
    a: cython.Py_ssize_t = 0  # columns[a + i] is row i of column j
    b: cython.Py_ssize_t  # and of the three columns after it
    c: cython.Py_ssize_t
    d: cython.Py_ssize_t
    s: cython.double
    t: cython.double
    u: cython.double
    v: cython.double
    for i in range(p):
        z[i] = 0.0
    # four columns at a time: the order of additions is that of one after another
    while j + 3 < p:
        s = f[j]
        t = f[j + 1]
        u = f[j + 2]
        v = f[j + 3]
        b = a + p - j - 1
        c = b + p - j - 2
        d = c + p - j - 3
        z[j] += columns[a + j] * s
        i = j + 1
        z[i] = (z[i] + columns[a + i] * s) + columns[b + i] * t
        i = j + 2
        z[i] = ((z[i] + columns[a + i] * s) + columns[b + i] * t) + columns[c + i] * u
        for i in range(j + 3, p):
            z[i] = (
                ((z[i] + columns[a + i] * s) + columns[b + i] * t) + columns[c + i] * u
            ) + columns[d + i] * v
        a = d + p - j - 4
        j += 4
    while j < p:
        s = f[j]
        for i in range(j, p):
            z[i] += columns[a + i] * s
        a += p - j - 1
        j += 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def add_products(d: cython.p_double, p: cython.Py_ssize_t, scatter: cython.p_double) -> cython.int:
    """Add the products of each two of p numbers to a lower triangle, its rows one after another."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    v: cython.double
    for i in range(p):
        v = d[i]
        for j in range(i + 1):
            scatter[at + j] += v * d[j]
        at += i + 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def add_four_products(
    d: cython.p_double, p: cython.Py_ssize_t, scatter: cython.p_double
) -> cython.int:
    """The same of four times p numbers, one after another: the sums are those of `add_products`."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    b: cython.Py_ssize_t = p
    c: cython.Py_ssize_t = 2 * p
    e: cython.Py_ssize_t = 3 * p
    s: cython.double
    t: cython.double
    u: cython.double
    v: cython.double
    for i in range(p):
        s = d[i]
        t = d[b + i]
        u = d[c + i]
        v = d[e + i]
        for j in range(i + 1):
            scatter[at + j] = (
                ((scatter[at + j] + s * d[j]) + t * d[b + j]) + u * d[c + j]
            ) + v * d[e + j]
        at += i + 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def follow_moments(
    f: cython.p_double,
    p: cython.Py_ssize_t,
    share: cython.double,
    mean: cython.p_double,
    variance: cython.p_double,
) -> cython.int:
    """Let f have a share in means and variances."""
    i: cython.Py_ssize_t
    d: cython.double
    for i in range(p):
        d = f[i] - mean[i]
        mean[i] += share * d
        variance[i] = (1.0 - share) * (variance[i] + share * d * d)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def differ(
    f: cython.p_double,
    p: cython.Py_ssize_t,
    ring: cython.p_double,
    at: cython.Py_ssize_t,
    variance: cython.p_double,
    difference: cython.p_double,
    squares: cython.p_double,
) -> cython.int:
    """How f differs from ring[at:], and the squares of that in units of the variances."""
    i: cython.Py_ssize_t
    d: cython.double
    half: cython.double = HALF
    for i in range(p):
        d = (f[i] - ring[at + i]) * half
        difference[i] = d
        squares[i] = d * d / variance[i] if variance[i] > 1e-18 else 0.0
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def follow_usual(
    p: cython.Py_ssize_t,
    step: cython.double,
    variance: cython.p_double,
    usual: cython.p_double,
    difference: cython.p_double,
) -> cython.int:
    """Follow the median magnitude of each feature's differences, and clip these."""
    i: cython.Py_ssize_t
    d: cython.double
    v: cython.double
    more: cython.double
    less: cython.double
    most: cython.double
    times: cython.double = CLIP
    least: cython.double = LEAST_CLIP
    growth: cython.double = 1.0 + step
    for i in range(p):
        d = fabs(difference[i])
        v = usual[i]
        more = v * growth
        less = v / growth
        less = more if d > v else less
        v = d if v < 1e-6 * d else less
        usual[i] = v
        most = least * sqrt(variance[i])
        v *= times
        most = v if most < v else most
        v = most if difference[i] > 0.0 else -most
        difference[i] = v if d > most else difference[i]
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def follow_medians(
    now: cython.p_double,
    p: cython.Py_ssize_t,
    then: cython.p_double,
    at: cython.Py_ssize_t,
    step: cython.double,
    medians: cython.p_double,
    excess: cython.p_double,
) -> cython.int:
    """Follow the median magnitudes of whitened differences, and the variances that they mean."""
    i: cython.Py_ssize_t
    v: cython.double
    half: cython.double = HALF
    median: cython.double = MEDIAN
    least: cython.double = 0.5 * median
    more: cython.double
    less: cython.double
    for i in range(p):
        v = medians[i]
        more = v * step
        less = v / step
        v = more if fabs(now[i] - then[at + i]) * half > v else less
        v = least if v < least else v
        medians[i] = v
        v /= median
        excess[i] = v * v if v > 1.0 else 1.0
    return 0


@cython.final
@cython.no_gc
@cython.cclass
class Metric(Memory):
    """Whitening of p features that are looked at ``length`` times a window."""

    n_features: cython.Py_ssize_t
    length: cython.Py_ssize_t
    clipped: cython.bint
    steady: cython.double  # by so much a feature is taken to vary within a regime at least
    ring: cython.p_double  # features of the last looks
    white_ring: cython.p_double
    n_looks: cython.Py_ssize_t
    n_white: cython.Py_ssize_t
    mean: cython.p_double
    variance: cython.p_double
    scatter: cython.p_double  # of differences: rows of a lower triangle
    waiting: cython.p_double  # differences that are not in it yet: four are added at once
    n_waiting: cython.Py_ssize_t
    n_kept: cython.double
    usual: cython.p_double  # medians of the magnitudes of differences, if they are clipped
    quantile: cython.double  # of the logarithm of their size
    n_sizes: cython.Py_ssize_t
    factor: cython.p_double  # whitens: columns of a lower triangle
    fitting: Memory  # what is only needed from `fit` to `end_fit`
    last_factor: cython.p_double
    n_still: cython.Py_ssize_t  # features that did not move before the last fit
    freedom: cython.double  # the squared distance that is expected within a regime
    median: cython.p_double
    excess: cython.p_double  # variance at present, at least 1
    difference: cython.p_double
    squares: cython.p_double

    def __init__(
        self, n_features: int, length: int, clipped: bool = False, steady: float = 0.0
    ) -> None:
        p = n_features
        triangle = p * (p + 1) // 2
        self.n_features = p
        self.length = length
        self.clipped = clipped
        self.steady = steady
        Memory.__init__(self, p * (2 * length + 11) + 2 * triangle)
        self.ring = self.piece(p * length)
        self.white_ring = self.piece(p * length)
        self.n_looks = 0
        self.n_white = 0
        self.mean = self.piece(p)
        self.variance = self.piece(p)
        self.scatter = self.piece(triangle)
        self.waiting = self.piece(4 * p)
        self.n_waiting = 0
        self.n_kept = 0.0
        self.usual = self.piece(p)
        self.quantile = 0.0
        self.n_sizes = 0
        self.factor = self.piece(triangle)
        self.n_still = 0
        self.freedom = 1.0
        self.median = self.piece(p)
        self.excess = self.piece(p)
        self.difference = self.piece(p)
        self.squares = self.piece(p)
        self.fitting = Memory(0)
        for i in range(p):
            self.median[i] = MEDIAN
            self.excess[i] = 1.0

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn(self, f: cython.p_double) -> cython.int:
        """Take in the features of a look."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        step: cython.double
        at: cython.Py_ssize_t = self.n_looks % self.length * p
        size: cython.double = 0.0
        kept: cython.double = KEPT
        ring: cython.p_double = self.ring
        follow_moments(f, p, 1.0 / (self.n_looks + 1.0), self.mean, self.variance)
        if self.n_looks >= self.length:
            differ(f, p, ring, at, self.variance, self.difference, self.squares)
            for i in range(p):
                size += self.squares[i]
            size = log(size + 1e-12)
            self.n_sizes += 1
            if self.n_sizes == 1:
                self.quantile = size
            step = 4.0 / self.n_sizes
            if step < 0.02:
                step = 0.02
            if self.clipped:
                follow_usual(p, 0.5 * step, self.variance, self.usual, self.difference)
            if size <= self.quantile or self.n_sizes <= self.length:
                self.n_kept += 1.0
                self.keep()
            self.quantile += step * kept if size > self.quantile else step * (kept - 1.0)
        for i in range(p):
            ring[at + i] = f[i]
        self.n_looks += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def keep(self) -> cython.int:
        """Let the difference have a part in the scatter."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = self.n_waiting * p
        for i in range(p):
            self.waiting[at + i] = self.difference[i]
        self.n_waiting += 1
        if self.n_waiting == 4:
            self.n_waiting = 0
            add_four_products(self.waiting, p, self.scatter)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def add_waiting(self) -> cython.int:
        """Let the differences that wait have their part in the scatter now."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        for k in range(self.n_waiting):
            for i in range(p):
                self.squares[i] = self.waiting[k * p + i]
            add_products(self.squares, p, self.scatter)
        self.n_waiting = 0
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def fit(self) -> cython.int:
        """Make the whitening of what has been learnt: the inverse of a Cholesky factor.

        Then `renew` may be called, and `end_fit` at last.
        """
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        at: cython.Py_ssize_t = 0
        v: cython.double
        trace: cython.double = 0.0
        steady: cython.double = self.steady * self.steady
        shrink: cython.double
        share: cython.double
        a: cython.p_double
        t: cython.p_double
        s: cython.p_double = self.difference
        n: cython.double = self.n_kept if self.n_kept > 1.0 else 1.0
        self.add_waiting()
        self.fitting = Memory(p * (p + 1) // 2 + 2 * p * p)
        self.last_factor = self.fitting.piece(p * (p + 1) // 2)
        a = self.fitting.piece(p * p)
        t = self.fitting.piece(p * p)
        copy(self.factor, p * (p + 1) // 2, self.last_factor)
        for i in range(p):
            # between what varies within regimes and what varies at all
            v = self.scatter[at + i] / n
            share = LEAST_WITHIN * LEAST_WITHIN * self.variance[i]
            v = v if v > share else share
            v = v if v > steady else steady
            share = self.variance[i] if self.variance[i] > steady else steady
            self.squares[i] = v
            v = sqrt(sqrt(v) * sqrt(share))
            s[i] = v + 1e-6 if v > 1e-9 and self.variance[i] > 0.0 else 1e30
            at += i + 1
        at = 0
        for i in range(p):
            for j in range(i):
                a[i * p + j] = self.scatter[at + j] / n / (s[i] * s[j])
            at += i + 1
            a[i * p + i] = self.squares[i] / (s[i] * s[i])
            trace += a[i * p + i]
        share = p * self.length / n
        shrink = SHRINK + SHRINK_RATIO * share
        if share > 1.0:
            share = 1.0
        shrink = (shrink + SHRINK_EARLY * share) * trace / p + 1e-9
        for i in range(p):
            a[i * p + i] += shrink
        for i in range(p):
            for j in range(i + 1):
                v = a[i * p + j]
                for k in range(j):
                    v -= a[i * p + k] * a[j * p + k]
                if i == j:
                    a[i * p + i] = sqrt(v) if v > 1e-12 else 1e-6
                else:
                    a[i * p + j] = v / a[j * p + j]
        # rows of the inverse: t_i = (e_i - sum_k<i a_ik t_k) / a_ii
        v = 0.0
        for i in range(p):
            for j in range(i):
                t[i * p + j] = 0.0
            for k in range(i):
                share = a[i * p + k]
                for j in range(k + 1):
                    t[i * p + j] -= share * t[k * p + j]
            share = 1.0 / a[i * p + i]
            for j in range(i):
                t[i * p + j] *= share
                v += t[i * p + j] * t[i * p + j]
            t[i * p + i] = share
            v += share * share
        self.freedom = p - shrink * v
        if self.freedom < 0.5:
            self.freedom = 0.5
        # of windows that the covariance does not know
        share = 1.0 - self.freedom * self.length / (INDEPENDENT * n)
        self.freedom /= share if share > LEAST_RATIO else LEAST_RATIO
        at = 0
        for j in range(p):
            for i in range(j, p):
                self.factor[at + i] = t[i * p + j] / s[j]
            at += p - j - 1
        self.count_still()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def count_still(self) -> cython.int:
        """Count the features that did not move before the last fit."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = 0
        self.n_still = 0
        for i in range(self.n_features):
            if self.factor[at + i] < STILL:
                self.n_still += 1
            at += self.n_features - i - 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def has_begun(self) -> cython.bint:
        """Whether a feature moves that did not before the last fit."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = 0
        if self.n_still == 0:
            return False
        for i in range(self.n_features):
            if self.factor[at + i] < STILL and self.variance[i] > MOVES:
                return True
            at += self.n_features - i - 1
        return False

    @cython.cfunc
    @cython.exceptval(check=False)
    def end_fit(self) -> cython.int:
        """Let go of what a fit needs."""
        self.fitting = Memory(0)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def whiten(self, f: cython.p_double, z: cython.p_double) -> cython.int:
        """Write the whitened features to z."""
        return multiply(self.factor, self.n_features, f, z)

    @cython.cfunc
    @cython.exceptval(check=False)
    def renew(self, z: cython.p_double) -> cython.int:
        """What the last whitening has made of features becomes what this one makes of them."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        at: cython.Py_ssize_t
        v: cython.double
        f: cython.p_double = self.difference
        last: cython.p_double = self.last_factor
        for i in range(p):
            v = z[i]
            at = i
            for j in range(i):
                v -= last[at] * f[j]
                at += p - j - 1
            f[i] = v / last[at]
        return self.whiten(f, z)

    @cython.cfunc
    @cython.exceptval(check=False)
    def follow(self, z: cython.p_double) -> cython.int:
        """Follow how much whitened features vary at present from one window to the next."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = self.n_white % self.length * p
        step: cython.double = FOLLOW
        then: cython.p_double = self.white_ring
        if self.n_white >= self.length:
            step = 1.0 + step / self.length
            follow_medians(z, p, then, at, step, self.median, self.excess)
        for i in range(p):
            then[at + i] = z[i]
        self.n_white += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def distance(
        self,
        f: cython.p_double,
        g: cython.p_double,
        at: cython.Py_ssize_t,
        most: cython.double,
    ) -> cython.double:
        """The squared distance of f from g[at:]; some number beyond ``most`` if it is farther."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        place: cython.Py_ssize_t
        v: cython.double
        total: cython.double = 0.0
        factor: cython.p_double = self.factor
        gap: cython.p_double = self.squares
        for i in range(p):
            gap[i] = f[i] - g[at + i]
            v = 0.0
            place = i
            for j in range(i + 1):
                v += factor[place] * gap[j]
                place += p - j - 1
            total += v * v / self.excess[i]
            if total > most:
                break
        return total

    def state(self) -> dict[str, Any]:
        p = self.n_features
        self.add_waiting()
        return {
            "ring": packed(self.ring, p * self.length),
            "white_ring": packed(self.white_ring, p * self.length),
            "mean": packed(self.mean, p),
            "variance": packed(self.variance, p),
            "scatter": packed(self.scatter, p * (p + 1) // 2),
            "usual": packed(self.usual, p),
            "factor": packed(self.factor, p * (p + 1) // 2),
            "median": packed(self.median, p),
            "excess": packed(self.excess, p),
            "n_looks": self.n_looks,
            "n_white": self.n_white,
            "n_kept": self.n_kept,
            "quantile": self.quantile,
            "n_sizes": self.n_sizes,
            "freedom": self.freedom,
        }

    def load(self, state: dict[str, Any]) -> None:
        p = self.n_features
        unpack(block(state, "ring", p * self.length), self.ring, p * self.length)
        unpack(block(state, "white_ring", p * self.length), self.white_ring, p * self.length)
        unpack(block(state, "mean", p), self.mean, p)
        unpack(block(state, "variance", p), self.variance, p)
        unpack(block(state, "scatter", p * (p + 1) // 2), self.scatter, p * (p + 1) // 2)
        unpack(block(state, "usual", p), self.usual, p)
        unpack(block(state, "factor", p * (p + 1) // 2), self.factor, p * (p + 1) // 2)
        unpack(block(state, "median", p), self.median, p)
        unpack(block(state, "excess", p), self.excess, p)
        self.n_looks = whole(state["n_looks"], "n_looks")
        self.n_white = whole(state["n_white"], "n_white")
        self.n_kept = real(state["n_kept"], "n_kept")
        self.quantile = real(state["quantile"], "quantile", -1e300)
        self.n_sizes = whole(state["n_sizes"], "n_sizes")
        self.freedom = real(state["freedom"], "freedom")
        self.count_still()
