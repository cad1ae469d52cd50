"""Parameters of K Gaussian components: the M-step.

The weights are N, the means mu, and the covariances

    (N S + e C) / (N + e)

the MAP estimate under an inverse-Wishart prior with covariance C. Its weight e is the prior's
strength in pseudo-points over the number of points behind the statistics. The prior never enters
the statistics.
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
    from cython.cimports.online_gmm._kernel.gaussian.statistics import Statistics
    from cython.cimports.online_gmm._kernel.memory import Memory, packed, rearrange, unpack
else:
    from math import exp, log, sqrt

    from online_gmm._kernel.gaussian.statistics import Statistics
    from online_gmm._kernel.memory import Memory, packed, rearrange, unpack
from online_gmm._kernel.gaussian.statistics import FULL, SPHERICAL, TIED, width
from online_gmm._kernel.values import block, doubles, real


@cython.no_gc
@cython.cclass
class Parameters(Statistics):
    """Sufficient statistics of K Gaussian components, and the parameters computed from them."""

    pooled: cython.bint  # one covariance for all components, or one variance for all features
    mean: cython.p_double
    # dense: lower Cholesky factor, column by column, so that loops down a column are over
    # neighbours; else: inverse standard deviations
    factor: cython.p_double
    inverse: cython.p_double  # dense: inverse diagonal of the factor
    log_norm: cython.p_double  # -(D log 2 pi + log det) / 2
    log_coef: cython.p_double  # log weight + log_norm
    stale: cython.double  # sum of the steps since the factors were last computed afresh
    strength: cython.double  # of the prior, in points
    prior: cython.p_double  # C
    floor: cython.p_double  # the least variance of each feature
    # work space
    work: Memory
    residual: cython.p_double
    matrix: cython.p_double

    def __init__(
        self,
        n_components: int,
        n_features: int,
        kind: int,
        strength: float,
        prior: array[float],
        beside: Parameters | None,
        more_work: int,
    ) -> None:
        """Allocate the parameters.

        They use the work space of ``beside``, which must be of the same shape, or else one of their
        own, with ``more_work`` doubles for a subclass.
        """
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
        self.stale = 0.0
        if beside is None:
            self.work = Memory(d + size + more_work)
            self.residual = self.work.piece(d)
            self.matrix = self.work.piece(size)
        else:
            self.work = beside.work
            self.residual = beside.residual
            self.matrix = beside.matrix

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def m_step(self) -> cython.int:
        """Compute the parameters of every component from its statistics. O(K D^3), or O(K D)."""
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        prior_weight: cython.double = self.strength / self.points if self.points > 0.0 else 0.0
        value: cython.double
        total: cython.double = 0.0
        self.stale = 0.0
        if not self.pooled:
            for k in range(self.n_components):
                self.m_step_one(k, prior_weight)
            return 0
        # tied: one covariance for all components; spherical: one variance for all features
        if self.dense:
            for j in range(self.size):
                value = prior_weight * self.prior[j]
                for k in range(self.n_components):
                    value += self.weight[k] * self.scatter[k * self.size + j]
                self.matrix[j] = value
            for k in range(self.n_components):
                total += self.weight[k]
            self.factorise(0, total + prior_weight)
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
                        self.weight[k] * self.scatter[k * self.size + j]
                        + prior_weight * self.prior[j]
                    )
                value /= self.size
                for j in range(self.size):
                    self.matrix[j] = value
                self.factorise(k, self.weight[k] + prior_weight)
        for k in range(self.n_components):
            self.update_location(k)
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def m_step_one(self, k: cython.Py_ssize_t, prior_weight: cython.double) -> cython.int:
        """Compute the parameters of component k from its statistics."""
        j: cython.Py_ssize_t
        start: cython.Py_ssize_t = k * self.size
        n: cython.double = self.weight[k]
        for j in range(self.size):
            self.matrix[j] = n * self.scatter[start + j] + prior_weight * self.prior[j]
        self.factorise(k, n + prior_weight)
        self.update_location(k)
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_location(self, k: cython.Py_ssize_t) -> cython.int:
        """Set the mean and the log coefficient of component k."""
        j: cython.Py_ssize_t
        base: cython.Py_ssize_t = k * self.n_features
        for j in range(self.n_features):
            self.mean[base + j] = self.center[base + j]
        self.log_coef[k] = (
            log(self.weight[k]) if self.weight[k] > 0.0 else -1e300
        ) + self.log_norm[k]
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_coefficients(self) -> cython.int:
        """Set the log coefficients to those of the weights, the other parameters unchanged."""
        k: cython.Py_ssize_t
        for k in range(self.n_components):
            if self.log_coef[k] > -1e299:
                self.log_coef[k] = self.log_norm[k]
                if self.weight[k] > 0.0:
                    self.log_coef[k] += log(self.weight[k])
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def factorise(self, k: cython.Py_ssize_t, total: cython.double) -> cython.int:
        """Factor the covariance ``matrix / total``, or the prior's where the total is zero.

        No pivot falls below the floor of its feature. This keeps components finite whatever they
        have learnt.
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

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def factorise_diagonal(self, k: cython.Py_ssize_t, total: cython.double) -> cython.int:
        """Factor the diagonal of the covariance, when the factor of all of it has overflowed.

        Features so many orders of magnitude apart have no correlation that doubles can hold.
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

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def rank_one(
        self, k: cython.Py_ssize_t, gain: cython.double, keep: cython.double
    ) -> cython.int:
        """Update the factor L to that of keep * (L L' + gain * d d') (Gill et al. 1974).

        d is in ``residual``.
        """
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

    def log_prior(self) -> float:
        """Return the log prior density of the covariances, but for a constant. O(K D^3).

        It is -strength (log det + tr(C covariance^-1)) / 2, summed over the components.
        """
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        start: cython.Py_ssize_t
        of_unit: cython.double
        of_prior: cython.double
        total: cython.double = 0.0
        column: cython.p_double = self.matrix
        if self.strength == 0.0:
            return 0.0
        for k in range(1 if self.kind == TIED else self.n_components):
            start = k * self.size
            total -= 2.0 * self.log_norm[k] + d * 1.8378770664093453
            for j in range(d):
                if not self.dense:
                    total += self.prior[j] * self.factor[start + j] * self.factor[start + j]
                    continue
                # the trace as the sum over columns e of (L^-1 e) . (L^-1 C e)
                for i in range(d):
                    of_unit = 1.0 if i == j else 0.0
                    of_prior = self.prior[i * d + j]
                    for m in range(i):
                        of_unit -= self.factor[start + m * d + i] * self.residual[m]
                        of_prior -= self.factor[start + m * d + i] * column[m]
                    self.residual[i] = of_unit * self.inverse[k * d + i]
                    column[i] = of_prior * self.inverse[k * d + i]
                    total += self.residual[i] * column[i]
        return -0.5 * self.strength * total

    def load(
        self, weight: array[float], center: array[float], scatter: array[float], points: float
    ) -> None:
        """Set the statistics and compute the parameters; with no points, without the prior."""
        Statistics.load(self, weight, center, scatter, points)
        self.m_step()

    @property
    def floors(self) -> bytes:
        """The least variance of each feature; doubles."""
        return packed(self.floor, self.n_features)

    def hold_above(self, floors: array[float]) -> None:
        """Let no variance fall below these, by feature, from the next M-step on."""
        unpack(floors, self.floor, self.n_features)

    def update_parameters(self) -> None:
        """Compute the parameters from the statistics accumulated: the M-step."""
        self.m_step()

    def count_as(self, points: float) -> None:
        """Let the statistics count as those of so many points, and compute the parameters."""
        self.points = points
        self.m_step()

    def set_statistics(self, other: Statistics) -> None:
        """Copy another's statistics, and compute the parameters from them."""
        self.copy_from(other)
        self.m_step()

    def statistics(self) -> Statistics:
        """Return a copy of the statistics."""
        result: Statistics = Statistics(self.n_components, self.n_features, self.kind)
        result.copy_from(self)
        return result

    def merge(self, other: Parameters) -> None:
        """Add another's statistics and prior, as if its points had been accumulated here."""
        j: cython.Py_ssize_t
        points: cython.double = self.points + other.points
        if points > 0.0:
            for j in range(self.size):
                self.prior[j] += other.points / points * (other.prior[j] - self.prior[j])
            for j in range(self.n_features):
                self.floor[j] = max(self.floor[j], other.floor[j])
        self.add(other)

    def reorder(self, order: list[int]) -> None:
        """Reorder the components: component k becomes what order[k] was."""
        Statistics.reorder(self, order)
        rearrange(self.mean, order, self.n_features)
        rearrange(self.factor, order, self.size)
        if self.dense:
            rearrange(self.inverse, order, self.n_features)
        rearrange(self.log_norm, order, 1)
        rearrange(self.log_coef, order, 1)

    def transposed(self, factor: array[float]) -> array[float]:
        """Return factors in row order from factors in column order, and the other way round."""
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

    def read_out(self) -> tuple[bytes, bytes, bytes]:
        """Return weights that sum to 1, means and covariance matrices, as doubles."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n_components
        d: cython.Py_ssize_t = self.n_features
        value: cython.double
        total: cython.double = 0.0
        memory: Memory = Memory(n + n * d * d)
        weights: cython.p_double = memory.piece(n)
        covariances: cython.p_double = memory.piece(n * d * d)
        for k in range(n):
            weights[k] = exp(self.log_coef[k] - self.log_norm[k])
            total += weights[k]
            for i in range(d):
                at = (k * d + i) * d
                if not self.dense:
                    value = 1.0 / self.factor[k * d + i]
                    covariances[at + i] = value * value
                    continue
                for j in range(i + 1):
                    value = 0.0
                    for m in range(j + 1):
                        value += self.factor[(k * d + m) * d + i] * self.factor[(k * d + m) * d + j]
                    covariances[at + j] = value
                    covariances[(k * d + j) * d + i] = value
        for k in range(n):
            weights[k] /= total
        return packed(weights, n), packed(self.mean, n * d), packed(covariances, n * d * d)

    def state(self) -> dict[str, Any]:
        """Return statistics and parameters as plain values."""
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

    def statistics_state(self) -> dict[str, Any]:
        """Return the same without the parameters, where these are those of the statistics."""
        return {
            **Statistics.state(self),
            "strength": float(self.strength),
            "prior": packed(self.prior, self.size),
            "floors": self.floors,
        }

    def restore_parameters(self, state: dict[str, Any]) -> None:
        """Set the parameters to those of a state."""
        k: cython.Py_ssize_t = self.n_components
        d: cython.Py_ssize_t = self.n_features
        size: cython.Py_ssize_t = self.size
        n_inverse: cython.Py_ssize_t = k * d if self.dense else 1
        self.stale = real(state["stale"], "stale")
        unpack(block(state, "mean", k * d), self.mean, k * d)
        unpack(self.transposed(block(state, "factor", k * size)), self.factor, k * size)
        unpack(block(state, "inverse", n_inverse), self.inverse, n_inverse)
        unpack(block(state, "log_norm", k), self.log_norm, k)
        unpack(block(state, "log_coef", k), self.log_coef, k)
