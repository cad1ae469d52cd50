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
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from math import fabs, log, sqrt

    from online_gmm._kernel.memory import first
from array import array
from typing import Any

from online_gmm._kernel.values import block, real, whole, zeros

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
HALF = 0.7071067811865476
MEDIAN = 0.6744897501960817
"""Of the magnitude of a standard normal variable."""
FOLLOW = 0.2
CLIP = 3.5
"""Times the median of a feature that a difference counts at most, if differences are clipped."""
LEAST_CLIP = 0.3
"""Standard deviations of a feature that a difference counts in any case."""


@cython.final
@cython.cclass
class Metric:
    """Whitening of p features that are looked at ``length`` times a window."""

    n_features: cython.Py_ssize_t
    length: cython.Py_ssize_t
    clipped: cython.bint
    ring: cython.double[::1]  # features of the last looks
    white_ring: cython.double[::1]
    n_looks: cython.Py_ssize_t
    n_white: cython.Py_ssize_t
    mean: cython.double[::1]
    variance: cython.double[::1]
    scatter: cython.double[::1]  # of differences, lower triangle
    n_kept: cython.double
    usual: cython.double[::1]  # medians of the magnitudes of differences, if they are clipped
    quantile: cython.double  # of the logarithm of their size
    n_sizes: cython.Py_ssize_t
    factor: cython.double[::1]  # whitens: lower triangle
    last_factor: cython.double[::1]
    freedom: cython.double  # the squared distance that is expected within a regime
    median: cython.double[::1]
    excess: cython.double[::1]  # variance at present, at least 1
    difference: cython.double[::1]
    work: cython.double[::1]  # between fits: columns of the factor, one after another

    def __init__(self, n_features: int, length: int, clipped: bool = False) -> None:
        p = n_features
        self.n_features = p
        self.length = length
        self.clipped = clipped
        self.ring = zeros(p * length)
        self.white_ring = zeros(p * length)
        self.n_looks = 0
        self.n_white = 0
        self.mean = zeros(p)
        self.variance = zeros(p)
        self.scatter = zeros(p * p)
        self.n_kept = 0.0
        self.usual = zeros(p)
        self.quantile = 0.0
        self.n_sizes = 0
        self.factor = zeros(p * p)
        self.last_factor = zeros(p * p)
        self.freedom = 1.0
        self.median = array("d", [MEDIAN] * p)
        self.excess = array("d", [1.0] * p)
        self.difference = zeros(p)
        self.work = zeros(p * p)

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn(self, f: cython.double[::1]) -> cython.int:
        """Take in the features of a look."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.double
        step: cython.double
        at: cython.Py_ssize_t = self.n_looks % self.length * p
        size: cython.double = 0.0
        share: cython.double = 1.0 / (self.n_looks + 1.0)
        half: cython.double = HALF
        kept: cython.double = KEPT
        variance: cython.p_double = first(self.variance)
        mean: cython.p_double = first(self.mean)
        ring: cython.p_double = first(self.ring)
        difference: cython.p_double = first(self.difference)
        scatter: cython.p_double = first(self.scatter)
        for i in range(p):
            d = f[i] - mean[i]
            mean[i] += share * d
            variance[i] = (1.0 - share) * (variance[i] + share * d * d)
        if self.n_looks >= self.length:
            for i in range(p):
                d = (f[i] - ring[at + i]) * half
                difference[i] = d
                if variance[i] > 1e-18:
                    size += d * d / variance[i]
            size = log(size + 1e-12)
            self.n_sizes += 1
            if self.n_sizes == 1:
                self.quantile = size
            step = 4.0 / self.n_sizes
            if step < 0.02:
                step = 0.02
            if self.clipped:
                self.clip(0.5 * step)
            if size <= self.quantile or self.n_sizes <= self.length:
                self.n_kept += 1.0
                for i in range(p):
                    d = difference[i]
                    for j in range(i + 1):
                        scatter[i * p + j] += d * difference[j]
            self.quantile += step * kept if size > self.quantile else step * (kept - 1.0)
        for i in range(p):
            ring[at + i] = f[i]
        self.n_looks += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def clip(self, step: cython.double) -> cython.int:
        """Follow the median of each feature's differences, and clip this one."""
        i: cython.Py_ssize_t
        d: cython.double
        most: cython.double
        times: cython.double = CLIP
        least: cython.double = LEAST_CLIP
        for i in range(self.n_features):
            d = fabs(self.difference[i])
            if self.usual[i] < 1e-6 * d:
                self.usual[i] = d
            elif d > self.usual[i]:
                self.usual[i] *= 1.0 + step
            else:
                self.usual[i] /= 1.0 + step
            most = least * sqrt(self.variance[i])
            if most < times * self.usual[i]:
                most = times * self.usual[i]
            if d > most:
                self.difference[i] = most if self.difference[i] > 0.0 else -most
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def fit(self) -> cython.int:
        """Make the whitening of what has been learnt: the inverse of a Cholesky factor."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        v: cython.double
        trace: cython.double = 0.0
        shrink: cython.double
        share: cython.double
        a: cython.double[::1] = self.work
        t: cython.double[::1] = self.factor
        s: cython.double[::1] = self.difference
        n: cython.double = self.n_kept if self.n_kept > 1.0 else 1.0
        for i in range(p * p):
            self.last_factor[i] = t[i]
        for i in range(p):
            # between what varies within regimes and what varies at all
            v = sqrt(sqrt(self.scatter[i * p + i] / n) * sqrt(self.variance[i]))
            s[i] = v + 1e-6 if v > 1e-9 else 1e30
        for i in range(p):
            for j in range(i + 1):
                a[i * p + j] = self.scatter[i * p + j] / n / (s[i] * s[j])
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
        for i in range(p):
            for j in range(i + 1):
                t[i * p + j] /= s[j]
        self.turn()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def turn(self) -> cython.int:
        """Lay the columns of the factor one after another."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        for i in range(p):
            for j in range(i + 1):
                self.work[j * p + i] = self.factor[i * p + j]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def whiten(
        self, f: cython.double[::1], out: cython.double[::1], at: cython.Py_ssize_t
    ) -> cython.int:
        """Write the whitened features to out[at:]."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        v: cython.double
        columns: cython.p_double = first(self.work)
        z: cython.p_double = first(out)
        for i in range(p):
            z[at + i] = 0.0
        for j in range(p):
            v = f[j]
            for i in range(j, p):
                z[at + i] += columns[j * p + i] * v
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def renew(self, z: cython.double[::1], at: cython.Py_ssize_t) -> cython.int:
        """What the last whitening has made of features becomes what this one makes of them."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        v: cython.double
        f: cython.double[::1] = self.difference
        for i in range(p):
            v = z[at + i]
            for j in range(i):
                v -= self.last_factor[i * p + j] * f[j]
            f[i] = v / self.last_factor[i * p + i]
        return self.whiten(f, z, at)

    @cython.cfunc
    @cython.exceptval(check=False)
    def follow(self, z: cython.double[::1]) -> cython.int:
        """Follow how much whitened features vary at present from one window to the next."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        v: cython.double
        at: cython.Py_ssize_t = self.n_white % self.length * p
        step: cython.double = FOLLOW
        half: cython.double = HALF
        median: cython.double = MEDIAN
        least: cython.double = 0.5 * median
        more: cython.double
        less: cython.double
        now: cython.p_double = first(z)
        then: cython.p_double = first(self.white_ring)
        medians: cython.p_double = first(self.median)
        excess: cython.p_double = first(self.excess)
        step = 1.0 + step / self.length
        if self.n_white >= self.length:
            for i in range(p):
                v = medians[i]
                more = v * step
                less = v / step
                v = more if fabs(now[i] - then[at + i]) * half > v else less
                v = least if v < least else v
                medians[i] = v
                v /= median
                excess[i] = v * v if v > 1.0 else 1.0
        for i in range(p):
            then[at + i] = now[i]
        self.n_white += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def distance(
        self, f: cython.double[::1], g: cython.double[::1], at: cython.Py_ssize_t
    ) -> cython.double:
        """The squared distance of features f from g[at:]."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        v: cython.double
        total: cython.double = 0.0
        columns: cython.p_double = first(self.work)
        z: cython.p_double = first(self.difference)
        for i in range(p):
            z[i] = 0.0
        for j in range(p):
            v = f[j] - g[at + j]
            for i in range(j, p):
                z[i] += columns[j * p + i] * v
        for i in range(p):
            total += z[i] * z[i] / self.excess[i]
        return total

    def state(self) -> dict[str, Any]:
        return {
            "ring": bytes(self.ring),
            "white_ring": bytes(self.white_ring),
            "mean": bytes(self.mean),
            "variance": bytes(self.variance),
            "scatter": bytes(self.scatter),
            "usual": bytes(self.usual),
            "factor": bytes(self.factor),
            "median": bytes(self.median),
            "excess": bytes(self.excess),
            "n_looks": self.n_looks,
            "n_white": self.n_white,
            "n_kept": self.n_kept,
            "quantile": self.quantile,
            "n_sizes": self.n_sizes,
            "freedom": self.freedom,
        }

    def load(self, state: dict[str, Any]) -> None:
        p = self.n_features
        self.ring = block(state, "ring", p * self.length)
        self.white_ring = block(state, "white_ring", p * self.length)
        self.mean = block(state, "mean", p)
        self.variance = block(state, "variance", p)
        self.scatter = block(state, "scatter", p * p)
        self.usual = block(state, "usual", p)
        self.factor = block(state, "factor", p * p)
        self.median = block(state, "median", p)
        self.excess = block(state, "excess", p)
        self.n_looks = whole(state["n_looks"], "n_looks")
        self.n_white = whole(state["n_white"], "n_white")
        self.n_kept = real(state["n_kept"], "n_kept")
        self.quantile = real(state["quantile"], "quantile", -1e300)
        self.n_sizes = whole(state["n_sizes"], "n_sizes")
        self.freedom = real(state["freedom"], "freedom")
        self.turn()
