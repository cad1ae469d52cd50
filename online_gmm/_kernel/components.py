"""K Gaussian components: sufficient statistics, and the parameters read out of them.

With the step size g and the responsibility r of the point x the statistics move by

    N <- (1-g) N + g r        rho = g r / N        d = x - mu
    mu <- mu + rho d          S <- (1-rho) (S + rho d d')

The parameters are read out of them as weights N, means mu and covariances
(N S + e C) / (N + e): the inverse-Wishart MAP, where C is the prior's covariance and e its
pseudo-points over the points behind the statistics. The prior never enters the statistics.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import exp, log, sqrt
    from cython.cimports.online_gmm._kernel.memory import (
        Memory,
        first,
        first_place,
        packed,
        rearrange,
        unpack,
    )
    from cython.cimports.online_gmm._kernel.rows import Rows
    from cython.cimports.online_gmm._kernel.statistics import Statistics
else:
    from math import exp, log, sqrt

    from online_gmm._kernel.memory import (
        Memory,
        first,
        first_place,
        packed,
        rearrange,
        unpack,
    )
    from online_gmm._kernel.rows import Rows
    from online_gmm._kernel.statistics import Statistics
from online_gmm._kernel.points import block, doubles, real
from online_gmm._kernel.statistics import (
    DIAG,
    FULL,
    SPHERICAL,
    TIED,
    shape_of,
    statistics_of,
    width,
)

__all__ = ["DIAG", "FULL", "SPHERICAL", "TIED", "Components", "components_from_state"]


@cython.final
@cython.no_gc
@cython.cclass
class Components(Statistics):
    """Sufficient statistics of K Gaussian components and the parameters read out of them."""

    pooled: cython.bint
    # parameters
    mean: cython.p_double
    # dense: lower Cholesky factor, column by column, so that loops down a column are over
    # neighbours; else: inverse standard deviations
    factor: cython.p_double
    inverse: cython.p_double  # dense: inverse diagonal of the factor
    log_norm: cython.p_double  # -(D log 2 pi + log det) / 2
    log_coef: cython.p_double  # log weight + log_norm
    stale: cython.double  # steps taken since the factors were last computed afresh
    # prior
    strength: cython.double
    prior: cython.p_double  # C
    floor: cython.p_double  # the least variance of each feature
    temper: cython.double  # power of the Gaussian densities in the E-step
    # of the point last seen
    point: cython.p_double
    resp: cython.p_double
    best: cython.double  # the largest log joint density
    total: cython.double  # of the joint densities, as multiples of that
    distance: cython.double  # squared Mahalanobis distance to the nearest component
    observed: cython.Py_ssize_t
    filled: cython.p_double  # conditional means
    spread: cython.p_double  # conditional covariances
    # work space
    work: Memory
    residual: cython.p_double
    matrix: cython.p_double
    order: cython.p_Py_ssize_t

    def __init__(
        self,
        n_components: int,
        n_features: int,
        kind: int,
        strength: float,
        prior: array[float],
        beside: Components | None = None,
    ) -> None:
        """With ``beside``, components of the same shape, they work in the same space in turn."""
        k: int = n_components
        d: int = n_features
        j: cython.Py_ssize_t
        size: int = width(d, kind)
        n_inverse: int = k * d if kind in (FULL, TIED) else 1
        Statistics.__init__(self, k, d, kind, k * d + k * size + n_inverse + 2 * k + size + d)
        self.pooled = kind == TIED or kind == SPHERICAL
        self.mean = self.piece(k * d)
        self.factor = self.piece(k * size)
        self.inverse = self.piece(n_inverse)
        self.log_norm = self.piece(k)
        self.log_coef = self.piece(k)
        self.prior = self.piece(size)
        unpack(prior, self.prior, size)
        self.floor = self.piece(d)
        for j in range(d):
            self.floor[j] = 1e-12 * self.prior[j * d + j if self.dense else j]
        self.strength = strength
        self.temper = 1.0
        self.stale = 0.0
        self.best = 0.0
        self.total = 1.0
        self.distance = 0.0
        self.observed = 0
        if beside is None:
            self.work = Memory(k + 3 * d + k * d + k * size + size)
            self.resp = self.work.piece(k)
            self.point = self.work.piece(d)
            self.filled = self.work.piece(k * d)
            self.spread = self.work.piece(k * size)
            self.residual = self.work.piece(d)
            self.matrix = self.work.piece(size)
            self.order = self.work.places(d)
        else:
            self.work = beside.work
            self.resp = beside.resp
            self.point = beside.point
            self.filled = beside.filled
            self.spread = beside.spread
            self.residual = beside.residual
            self.matrix = beside.matrix
            self.order = beside.order

    # -- E-step ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def take_point(self, x: cython.p_double, at: cython.Py_ssize_t) -> cython.int:
        """x[at : at + D] becomes the point."""
        j: cython.Py_ssize_t
        for j in range(self.n_features):
            self.point[j] = x[at + j]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step(self) -> cython.int:
        """Responsibilities of the point."""
        self.share(self.join())
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def share(self, nearest: cython.Py_ssize_t) -> cython.int:
        """Responsibilities from log joint densities, of which `join` has said which is first."""
        k: cython.Py_ssize_t
        value: cython.double
        best: cython.double = self.best
        total: cython.double = 0.0
        if not (best > -1e308):
            for k in range(self.n_components):
                self.resp[k] = 1.0 if k == nearest else 0.0
            self.total = 1.0
            return 0
        for k in range(self.n_components):
            value = self.resp[k] - best
            # of the most probable one there is nothing to compute
            value = 1.0 if value == 0.0 else exp(value) if value > -700.0 else 0.0
            self.resp[k] = value
            total += value
        for k in range(self.n_components):
            self.resp[k] /= total
        self.total = total
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_density(self) -> cython.double:
        """Of the point last seen by e_step, in nats."""
        return self.best + log(self.total)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def join(self) -> cython.Py_ssize_t:
        """Log joint densities of the point and each component, in resp; the most probable one."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        base: cython.Py_ssize_t
        column: cython.Py_ssize_t
        n_features: cython.Py_ssize_t = self.n_features
        value: cython.double
        square: cython.double
        observed: cython.Py_ssize_t = 0
        for j in range(n_features):
            if self.point[j] == self.point[j]:
                observed += 1
        self.observed = observed
        if observed < n_features:
            return self.likeliest(self.join_missing())
        for k in range(self.n_components):
            base = k * n_features
            square = 0.0
            if self.dense:
                for i in range(n_features):
                    self.residual[i] = self.point[i] - self.mean[base + i]
            for i in range(n_features):
                if self.dense:
                    value = self.residual[i] * self.inverse[base + i]
                else:
                    value = (self.point[i] - self.mean[base + i]) * self.factor[base + i]
                # not (v > a) also holds for NaN, what is left when two overflows meet
                if not (value > -1e150):
                    value = -1e150
                elif value > 1e150:
                    value = 1e150
                square += value * value
                if self.dense:
                    column = (base + i) * n_features
                    for j in range(i + 1, n_features):
                        self.residual[j] -= self.factor[column + j] * value
            self.resp[k] = square
        return self.weigh()

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def measure(
        self, rows: Rows, x: cython.p_double, at: cython.Py_ssize_t, n: cython.Py_ssize_t
    ) -> cython.bint:
        """Look at n rows of x at once, if that can be and is worth it."""
        return 2 < n <= 16 and rows.measure(
            x,
            at * self.n_features,
            n,
            self.mean,
            self.factor,
            self.inverse,
            self.n_components,
            self.n_features,
            self.dense,
        )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def join_row(self, rows: Rows, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The same as `join`, of the row i last measured."""
        k: cython.Py_ssize_t
        for k in range(self.n_components):
            self.resp[k] = rows.squares[16 * k + i]
        self.observed = self.n_features
        return self.weigh()

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def weigh(self) -> cython.Py_ssize_t:
        """Log joint densities from squared distances, in place; the most probable component."""
        k: cython.Py_ssize_t
        nearest: cython.Py_ssize_t = 0
        square: cython.double
        least: cython.double = 1e308
        half: cython.double = 0.5 * self.temper
        for k in range(self.n_components):
            square = self.resp[k]
            # a place that is free has no weight and is near to nothing
            if square < least and self.log_coef[k] > -1e299:
                least = square
                nearest = k
            self.resp[k] = self.log_coef[k] - half * square
        self.distance = least
        return self.likeliest(nearest)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def likeliest(self, nearest: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The component of the largest log joint density; the nearest one if there is none."""
        k: cython.Py_ssize_t
        likeliest: cython.Py_ssize_t = 0
        best: cython.double = self.resp[0]
        for k in range(1, self.n_components):
            if self.resp[k] > best:
                best = self.resp[k]
                likeliest = k
        self.best = best
        return likeliest if best > -1e308 else nearest

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def join_missing(self) -> cython.Py_ssize_t:
        """Joint densities with missing values marginalised out; the nearest component.

        One Cholesky factor per component, observed features first, gives the marginal density and
        the conditional mean and covariance of what is missing. A wholly missing point has density 1
        and the weights for responsibilities.
        """
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        p: cython.Py_ssize_t
        q: cython.Py_ssize_t
        base: cython.Py_ssize_t
        start: cython.Py_ssize_t
        nearest: cython.Py_ssize_t = 0
        value: cython.double
        square: cython.double
        log_det: cython.double
        floor: cython.double
        half: cython.double = 0.5 * self.temper
        d: cython.Py_ssize_t = self.n_features
        observed: cython.Py_ssize_t = 0

        for j in range(d):
            if self.point[j] == self.point[j]:
                self.order[observed] = j
                observed += 1
        i = observed
        for j in range(d):
            if self.point[j] != self.point[j]:
                self.order[i] = j
                i += 1

        self.distance = 1e308
        for k in range(self.n_components):
            base = k * d
            start = k * self.size
            square = 0.0
            log_det = 0.0
            if self.dense:
                for i in range(d):
                    for j in range(i + 1):
                        p = self.order[i]
                        q = self.order[j]
                        value = 0.0
                        for m in range((p if p < q else q) + 1):
                            value += self.factor[start + m * d + p] * self.factor[start + m * d + q]
                        self.matrix[i * d + j] = value
                for i in range(d):
                    for j in range(i + 1):
                        value = self.matrix[i * d + j]
                        for m in range(j):
                            value -= self.matrix[i * d + m] * self.matrix[j * d + m]
                        if i > j:
                            self.matrix[i * d + j] = value / self.matrix[j * d + j]
                        else:
                            floor = 1e-24 * self.matrix[i * d + i]
                            self.matrix[i * d + i] = sqrt(value if value > floor else floor)
                for i in range(observed):
                    p = self.order[i]
                    value = self.point[p] - self.mean[base + p]
                    for j in range(i):
                        value -= self.matrix[i * d + j] * self.residual[j]
                    value /= self.matrix[i * d + i]
                    if not (value > -1e150):
                        value = -1e150
                    elif value > 1e150:
                        value = 1e150
                    self.residual[i] = value
                    square += value * value
                    log_det += 2.0 * log(self.matrix[i * d + i])
                    self.filled[base + p] = self.point[p]
                for i in range(observed, d):
                    value = self.mean[base + self.order[i]]
                    for j in range(observed):
                        value += self.matrix[i * d + j] * self.residual[j]
                    if value > 1e150:
                        value = 1e150
                    elif value < -1e150:
                        value = -1e150
                    elif value != value:
                        # what is left when two overflows meet
                        value = self.mean[base + self.order[i]]
                    self.filled[base + self.order[i]] = value
                for i in range(d):
                    for j in range(i + 1):
                        value = 0.0
                        if j >= observed:
                            for m in range(observed, j + 1):
                                value += self.matrix[i * d + m] * self.matrix[j * d + m]
                        self.spread[start + self.order[i] * d + self.order[j]] = value
                        self.spread[start + self.order[j] * d + self.order[i]] = value
            else:
                for i in range(d):
                    p = self.order[i]
                    if i < observed:
                        value = (self.point[p] - self.mean[base + p]) * self.factor[base + p]
                        square += value * value
                        log_det -= 2.0 * log(self.factor[base + p])
                        self.filled[base + p] = self.point[p]
                        self.spread[start + p] = 0.0
                    else:
                        value = 1.0 / self.factor[base + p]
                        self.filled[base + p] = self.mean[base + p]
                        self.spread[start + p] = value * value
            if square < self.distance and self.log_coef[k] > -1e299:
                self.distance = square
                nearest = k
            self.resp[k] = (
                self.log_coef[k]
                - self.temper * self.log_norm[k]
                - half * (observed * 1.8378770664093453 + log_det + square)
            )
        return nearest

    # -- M-step ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def m_step(self, g: cython.double, follow: cython.bint) -> cython.int:
        """Move the statistics a step g towards the point, by its responsibilities.

        With follow the parameters go along: a rank-one update of each Cholesky factor. In it the
        prior fades by 1 - g a step, so the factors are computed afresh before the steps since the
        last time add up to 5 %, or if they have not gone along with the point before.
        """
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        base: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        rank_one: cython.bint = self.dense and self.observed == d
        n_old: cython.double
        n_new: cython.double
        rho: cython.double
        value: cython.double
        share: cython.double = self.strength / self.points if self.points > 0.0 else 0.0
        faded: cython.double = 0.0

        self.points += 1.0
        if d == 1 and self.observed == 1 and not follow:
            # the same as below; of a single feature loops over features are most of the cost
            self.stale = 1.0
            for k in range(self.n_components):
                value = g * self.resp[k]
                n_new = (1.0 - g) * self.weight[k] + value
                self.weight[k] = n_new
                if value > 1e-17 * n_new:
                    rho = value / n_new
                    value = self.point[0] - self.center[k]
                    self.center[k] += rho * value
                    self.scatter[k] = (1.0 - rho) * (self.scatter[k] + rho * value * value)
            return 0
        self.stale = self.stale + g if follow else 1.0
        all_anew: cython.bint = follow and (self.pooled or self.stale > 0.05)
        for k in range(self.n_components):
            n_old = self.weight[k]
            value = g * self.resp[k]
            n_new = (1.0 - g) * n_old + value
            self.weight[k] = n_new
            if value <= 1e-17 * n_new:
                if follow and not all_anew:
                    if faded == 0.0:
                        faded = log(1.0 - g) if g < 1.0 else -745.0
                    self.log_coef[k] += faded
                continue
            rho = value / n_new
            self.absorb(k, rho)
            if not follow or all_anew:
                continue
            if rank_one and n_old > 0.0:
                base = k * d
                for j in range(d):
                    self.mean[base + j] = self.center[base + j]
                self.rank_one(
                    k,
                    n_old * rho / (n_old + share),
                    (1.0 - g) * (n_old + share) / (n_new + share),
                )
                self.log_coef[k] = log(n_new) + self.log_norm[k]
                if self.log_norm[k] - self.log_norm[k] != 0.0:
                    # the update has overflowed
                    self.read_out_one(k, self.strength / self.points)
            else:
                self.read_out_one(k, self.strength / self.points)
        if all_anew:
            self.read_out()
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def absorb(self, k: cython.Py_ssize_t, rho: cython.double) -> cython.int:
        """Mean and scatter of component k move by rho towards the point; d is left in residual."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        row: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        base: cython.Py_ssize_t = k * d
        start: cython.Py_ssize_t = k * self.size
        complete: cython.bint = self.observed == d
        keep: cython.double = 1.0 - rho
        value: cython.double
        for j in range(d):
            value = (self.point[j] if complete else self.filled[base + j]) - self.center[base + j]
            self.residual[j] = value
            self.center[base + j] += rho * value
        if self.dense:
            for i in range(d):
                row = start + i * d
                value = rho * self.residual[i]
                for j in range(i + 1):
                    self.scatter[row + j] = keep * (
                        self.scatter[row + j] + value * self.residual[j]
                    )
        else:
            for j in range(d):
                value = self.residual[j]
                self.scatter[start + j] = keep * (self.scatter[start + j] + rho * value * value)
        if not complete:
            if self.dense:
                for i in range(d):
                    row = start + i * d
                    for j in range(i + 1):
                        self.scatter[row + j] += rho * self.spread[row + j]
            else:
                for j in range(d):
                    self.scatter[start + j] += rho * self.spread[start + j]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def rank_one(
        self, k: cython.Py_ssize_t, gain: cython.double, keep: cython.double
    ) -> cython.int:
        """Factor of keep * (L L' + gain * d d'), with d in residual (Gill et al. 1974)."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        base: cython.Py_ssize_t = k * d
        start: cython.Py_ssize_t = k * self.size
        c: cython.double
        s: cython.double
        value: cython.double
        pivot: cython.double
        product: cython.double = 1.0
        log_det: cython.double = 0.0
        gain = sqrt(gain)
        keep = sqrt(keep)
        for j in range(d):
            self.residual[j] *= gain
        for j in range(d):
            pivot = self.factor[start + j * d + j]
            value = sqrt(pivot * pivot + self.residual[j] * self.residual[j])
            c = value / pivot
            s = self.residual[j] / pivot
            self.factor[start + j * d + j] = keep * value
            self.inverse[base + j] = 1.0 / (keep * value)
            product *= keep * value
            if product > 1e150 or product < 1e-150:
                log_det += log(product)
                product = 1.0
            for i in range(j + 1, d):
                value = (self.factor[start + j * d + i] + s * self.residual[i]) / c
                self.residual[i] = c * self.residual[i] - s * value
                self.factor[start + j * d + i] = keep * value
        self.log_norm[k] = -0.5 * d * 1.8378770664093453 - log_det - log(product)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_out(self) -> cython.int:
        """Parameters from statistics, for every component."""
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        share: cython.double = self.strength / self.points if self.points > 0.0 else 0.0
        value: cython.double
        total: cython.double = 0.0
        self.stale = 0.0
        if not self.pooled:
            for k in range(self.n_components):
                self.read_out_one(k, share)
            return 0
        # tied: one covariance for all components; spherical: one variance for all features
        if self.dense:
            for j in range(self.size):
                value = share * self.prior[j]
                for k in range(self.n_components):
                    value += self.weight[k] * self.scatter[k * self.size + j]
                self.matrix[j] = value
            for k in range(self.n_components):
                total += self.weight[k]
            self.factorise(0, total + share)
            for k in range(1, self.n_components):
                for j in range(self.size):
                    self.factor[k * self.size + j] = self.factor[j]
                for j in range(self.n_features):
                    self.inverse[k * self.n_features + j] = self.inverse[j]
                self.log_norm[k] = self.log_norm[0]
        else:
            for k in range(self.n_components):
                value = 0.0
                for j in range(self.size):
                    value += (
                        self.weight[k] * self.scatter[k * self.size + j] + share * self.prior[j]
                    )
                value /= self.size
                for j in range(self.size):
                    self.matrix[j] = value
                self.factorise(k, self.weight[k] + share)
        for k in range(self.n_components):
            self.read_out_location(k)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_out_one(self, k: cython.Py_ssize_t, share: cython.double) -> cython.int:
        j: cython.Py_ssize_t
        start: cython.Py_ssize_t = k * self.size
        n: cython.double = self.weight[k]
        for j in range(self.size):
            self.matrix[j] = n * self.scatter[start + j] + share * self.prior[j]
        self.factorise(k, n + share)
        self.read_out_location(k)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_out_location(self, k: cython.Py_ssize_t) -> cython.int:
        j: cython.Py_ssize_t
        base: cython.Py_ssize_t = k * self.n_features
        for j in range(self.n_features):
            self.mean[base + j] = self.center[base + j]
        self.log_coef[k] = (
            log(self.weight[k]) if self.weight[k] > 0.0 else -1e300
        ) + self.log_norm[k]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def factorise(self, k: cython.Py_ssize_t, total: cython.double) -> cython.int:
        """Factor of matrix / total, or of the prior where total is nothing.

        No pivot falls below the floor of its feature, which keeps components finite whatever they
        were fed.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        base: cython.Py_ssize_t = k * d
        start: cython.Py_ssize_t = k * self.size
        column: cython.Py_ssize_t = 0
        value: cython.double
        product: cython.double = 1.0
        log_det: cython.double = 0.0
        overflow: cython.bint = False
        if not (total > 1e-300):
            total = 1.0
            for j in range(self.size):
                self.matrix[j] = self.prior[j]
        for j in range(d):
            if self.dense:
                column = start + j * d
                for i in range(j, d):
                    self.factor[column + i] = self.matrix[i * d + j] / total
                for m in range(j):
                    value = self.factor[start + m * d + j]
                    for i in range(j, d):
                        self.factor[column + i] -= self.factor[start + m * d + i] * value
                value = self.factor[column + j]
                if not (value > -1e305):
                    overflow = True
            else:
                value = self.matrix[j] / total
            value = sqrt(value if value > self.floor[j] else self.floor[j])
            if self.dense:
                self.factor[column + j] = value
                self.inverse[base + j] = 1.0 / value
                for i in range(j + 1, d):
                    self.factor[column + i] *= self.inverse[base + j]
            else:
                self.factor[start + j] = 1.0 / value
            product *= value
            if product > 1e150 or product < 1e-150:
                log_det += log(product)
                product = 1.0
        self.log_norm[k] = -0.5 * d * 1.8378770664093453 - log_det - log(product)
        if overflow:
            self.factorise_diagonal(k, total)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def factorise_diagonal(self, k: cython.Py_ssize_t, total: cython.double) -> cython.int:
        """Factor of the diagonal of matrix / total, when that of the matrix has overflowed.

        So many orders of magnitude apart, features have no correlation that doubles can hold.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        column: cython.Py_ssize_t
        value: cython.double
        log_det: cython.double = 0.0
        for j in range(d):
            column = (k * d + j) * d
            for i in range(d):
                self.factor[column + i] = 0.0
            value = self.matrix[j * d + j] / total
            value = sqrt(value if value > self.floor[j] else self.floor[j])
            self.factor[column + j] = value
            self.inverse[k * d + j] = 1.0 / value
            log_det += log(value)
        self.log_norm[k] = -0.5 * d * 1.8378770664093453 - log_det
        return 0

    # -- whole statistics -----------------------------------------------------------------------

    def merge(self, other: Components) -> None:
        """Add another's statistics, as if its points had been accumulated here."""
        j: cython.Py_ssize_t
        points: cython.double = self.points + other.points
        if points > 0.0:
            for j in range(self.size):
                self.prior[j] += other.points / points * (other.prior[j] - self.prior[j])
            for j in range(self.n_features):
                self.floor[j] = max(self.floor[j], other.floor[j])
        self.add(other)

    def reorder(self, order: list[int]) -> None:
        """Component k becomes what order[k] was."""
        Statistics.reorder(self, order)
        rearrange(self.mean, order, self.n_features)
        rearrange(self.factor, order, self.size)
        if self.dense:
            rearrange(self.inverse, order, self.n_features)
        rearrange(self.log_norm, order, 1)
        rearrange(self.log_coef, order, 1)

    def statistics(self) -> Statistics:
        """A copy of them."""
        result: Statistics = Statistics(self.n_components, self.n_features, self.kind)
        result.take(self)
        return result

    def beside(self, other: Statistics | None = None) -> Components:
        """Components of the same prior that work in the same space, with another's statistics."""
        result: Components = Components(
            self.n_components,
            self.n_features,
            self.kind,
            self.strength,
            doubles(packed(self.prior, self.size)),
            self,
        )
        result.hold_above(doubles(self.floors))
        result.take_from(self if other is None else other)
        return result

    @property
    def floors(self) -> bytes:
        """The least variance of each feature; doubles."""
        return packed(self.floor, self.n_features)

    def hold_above(self, floors: array[float]) -> None:
        """Let no variance fall below these, by feature, from the next read-out on."""
        unpack(floors, self.floor, self.n_features)

    def take_from(self, other: Statistics) -> None:
        """The other's statistics, and the parameters that they make here."""
        self.take(other)
        self.read_out()

    def stand_for(self, points: float) -> None:
        """Let the statistics count as those of so many points."""
        self.points = points
        self.read_out()

    def load(
        self, weight: array[float], center: array[float], scatter: array[float], points: float
    ) -> None:
        """Take statistics as given and read out the parameters; with no points, without prior."""
        Statistics.load(self, weight, center, scatter, points)
        self.read_out()

    def maximise(self) -> None:
        """M-step: parameters from the statistics accumulated."""
        self.read_out()

    def accumulate(self, x: cython.double[::1], n: cython.Py_ssize_t) -> float:
        """Add n points to the statistics under frozen parameters; the sum of their log densities.

        Where nothing is observed nothing is added.
        """
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        whole: cython.bint
        values: cython.p_double = first(x)
        rows: Rows = Rows(self.n_components, self.n_features)
        total: cython.double = 0.0
        with cython.nogil:
            for at in range(0, n, 16):
                many = n - at if n - at < 16 else 16
                whole = self.measure(rows, values, at, many)
                for i in range(many):
                    self.take_point(values, (at + i) * self.n_features)
                    self.share(self.join_row(rows, i) if whole else self.join())
                    total += self.log_density()
                    if self.observed > 0:
                        self.m_step(1.0 / (self.points + 1.0), False)
        return total

    def collect(
        self, x: cython.double[::1], n: cython.Py_ssize_t, responsibilities: cython.double[::1]
    ) -> None:
        """Statistics of n complete points with the responsibilities given, and the parameters."""
        i: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        k: cython.Py_ssize_t
        self.clear()
        self.observed = self.n_features
        for i in range(n):
            self.take_point(rows, i * self.n_features)
            for k in range(self.n_components):
                self.resp[k] = responsibilities[i * self.n_components + k]
            self.m_step(1.0 / (self.points + 1.0), False)
        self.read_out()

    def revisit(
        self, x: cython.double[::1], n: cython.Py_ssize_t, responsibilities: cython.double[::1]
    ) -> None:
        """Make each of the n points collected responsible anew, the parameters following each.

        A point's old share is taken out and its new one put in at once: an M-step whose weight, the
        difference, may be negative. A point that would take away half of a component is left as it
        is for this time.
        """
        i: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        k: cython.Py_ssize_t
        row: cython.Py_ssize_t
        share: cython.double = self.strength / self.points
        change: cython.double
        bearable: cython.bint
        for i in range(n):
            self.take_point(rows, i * self.n_features)
            self.e_step()
            row = i * self.n_components
            bearable = True
            for k in range(self.n_components):
                change = (self.resp[k] - responsibilities[row + k]) / self.points
                if change < -0.5 * self.weight[k]:
                    bearable = False
            if not bearable:
                continue
            for k in range(self.n_components):
                change = (self.resp[k] - responsibilities[row + k]) / self.points
                responsibilities[row + k] = self.resp[k]
                if change > 1e-17 * self.weight[k] or change < -1e-17 * self.weight[k]:
                    self.weight[k] += change
                    self.absorb(k, change / self.weight[k])
                    if not self.pooled:
                        self.read_out_one(k, share)
            if self.pooled:
                self.read_out()

    def posterior(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        responsibilities: cython.double[::1],
        log_density: cython.double[::1],
        distance: cython.double[::1],
    ) -> None:
        """Responsibilities, log densities and squared distances of n points, written in place."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        whole: cython.bint
        values: cython.p_double = first(x)
        rows: Rows = Rows(self.n_components, self.n_features)
        k: cython.Py_ssize_t
        with cython.nogil:
            for at in range(0, n, 16):
                many = n - at if n - at < 16 else 16
                whole = self.measure(rows, values, at, many)
                for i in range(many):
                    if not whole:
                        self.take_point(values, (at + i) * self.n_features)
                    self.share(self.join_row(rows, i) if whole else self.join())
                    log_density[at + i] = self.log_density()
                    distance[at + i] = self.distance
                    for k in range(self.n_components):
                        responsibilities[(at + i) * self.n_components + k] = self.resp[k]

    def label(
        self, x: cython.double[::1], n: cython.Py_ssize_t, labels: cython.Py_ssize_t[::1]
    ) -> None:
        """The most probable component of each of n points, written in place."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        values: cython.p_double = first(x)
        out: cython.p_Py_ssize_t = first_place(labels)
        rows: Rows = Rows(self.n_components, self.n_features)
        with cython.nogil:
            for at in range(0, n, 16):
                many = n - at if n - at < 16 else 16
                if self.measure(rows, values, at, many) and rows.choose(
                    self.log_coef, 0.5 * self.temper, self.n_components, many, out, at
                ):
                    continue
                for i in range(at, at + many):
                    self.take_point(values, i * self.n_features)
                    out[i] = self.join()

    def score(
        self, x: cython.double[::1], n: cython.Py_ssize_t, log_density: cython.double[::1]
    ) -> None:
        """Log densities of n points, written in place."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        whole: cython.bint
        values: cython.p_double = first(x)
        rows: Rows = Rows(self.n_components, self.n_features)
        with cython.nogil:
            for at in range(0, n, 16):
                many = n - at if n - at < 16 else 16
                whole = self.measure(rows, values, at, many)
                for i in range(many):
                    if not whole:
                        self.take_point(values, (at + i) * self.n_features)
                    self.share(self.join_row(rows, i) if whole else self.join())
                    log_density[at + i] = self.log_density()

    def transposed(self, factor: array[float]) -> array[float]:
        """Factors row by row from those column by column, and the other way round."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        result = doubles(bytes(factor))
        if not self.dense:
            return result
        old: cython.double[::1] = factor
        new: cython.double[::1] = result
        for k in range(self.n_components):
            for i in range(d):
                for j in range(d):
                    new[(k * d + i) * d + j] = old[(k * d + j) * d + i]
        return result

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        n: cython.Py_ssize_t = self.n_components
        d: cython.Py_ssize_t = self.n_features
        return {
            **Statistics.state(self),
            "strength": float(self.strength),
            "stale": float(self.stale),
            "prior": packed(self.prior, self.size),
            "floors": self.floors,
            "mean": packed(self.mean, n * d),
            "factor": bytes(self.transposed(doubles(packed(self.factor, n * self.size)))),
            "inverse": packed(self.inverse, n * d if self.dense else 1),
            "log_norm": packed(self.log_norm, n),
            "log_coef": packed(self.log_coef, n),
        }

    def reported_state(self) -> dict[str, Any]:
        """The same where the parameters are those of the statistics, and need not be told."""
        return {
            **Statistics.state(self),
            "strength": float(self.strength),
            "prior": packed(self.prior, self.size),
            "floors": self.floors,
        }

    def __reduce__(self) -> Any:
        return components_from_state, (self.state(),)


def components_from_state(state: dict[str, Any], beside: Components | None = None) -> Components:
    """Components of a state; without parameters there, those of the statistics."""
    k, d, kind = shape_of(state)
    size = width(d, kind)
    # before anything is made of that size
    weight, center, scatter, points = statistics_of(state)
    strength = real(state["strength"], "strength")
    result: Components = Components(k, d, kind, strength, block(state, "prior", size), beside)
    if "floors" in state:
        result.hold_above(block(state, "floors", d))
    result.load(weight, center, scatter, points)
    if "mean" in state:
        result.stale = real(state["stale"], "stale")
        unpack(block(state, "mean", k * d), result.mean, k * d)
        unpack(result.transposed(block(state, "factor", k * size)), result.factor, k * size)
        n_inverse = k * d if result.dense else 1
        unpack(block(state, "inverse", n_inverse), result.inverse, n_inverse)
        unpack(block(state, "log_norm", k), result.log_norm, k)
        unpack(block(state, "log_coef", k), result.log_coef, k)
    return result
