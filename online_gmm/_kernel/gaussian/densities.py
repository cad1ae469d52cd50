"""Densities of K Gaussian components: the E-step.

Responsibilities r_k are computed by log-sum-exp of the log joint densities

    log weight_k + temper * log N(x; mean_k, covariance_k)
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array

if cython.compiled:
    from cython.cimports.libc.math import log, sqrt
    from cython.cimports.online_gmm._kernel.gaussian.parameters import Parameters
    from cython.cimports.online_gmm._kernel.gaussian.rows import Rows
    from cython.cimports.online_gmm._kernel.vectors import exp_of, log_of
else:
    from math import log, sqrt

    from online_gmm._kernel.gaussian.parameters import Parameters
    from online_gmm._kernel.gaussian.rows import Rows
    from online_gmm._kernel.vectors import exp_of, log_of
from online_gmm._kernel.gaussian.statistics import width


@cython.no_gc
@cython.cclass
class Densities(Parameters):
    """Components that a point is compared with."""

    # of the point last seen
    point: cython.p_double
    resp: cython.p_double  # log joint densities, then responsibilities
    best: cython.double  # the largest log joint density
    total: cython.double  # of the joint densities, as multiples of the largest
    distance: cython.double  # squared Mahalanobis distance to the nearest component
    observed: cython.Py_ssize_t
    filled: cython.p_double  # conditional means
    spread: cython.p_double  # conditional covariances
    order: cython.p_Py_ssize_t  # of features, observed ones first

    def __init__(
        self,
        n_components: int,
        n_features: int,
        kind: int,
        strength: float,
        prior: array[float],
        beside: Densities | None = None,
    ) -> None:
        """Allocate components; with ``beside``, of the same shape, they share its work space.

        The point and its responsibilities are part of the work space.
        """
        k: int = n_components
        d: int = n_features
        size: int = width(d, kind)
        Parameters.__init__(self, k, d, kind, strength, prior, beside, k + 2 * d + k * d + k * size)
        self.best = 0.0
        self.total = 1.0
        self.distance = 0.0
        self.observed = 0
        if beside is None:
            self.resp = self.work.piece(k)
            self.point = self.work.piece(d)
            self.filled = self.work.piece(k * d)
            self.spread = self.work.piece(k * size)
            self.order = self.work.places(d)
        else:
            self.resp = beside.resp
            self.point = beside.point
            self.filled = beside.filled
            self.spread = beside.spread
            self.order = beside.order

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def set_point(self, x: cython.p_double, at: cython.Py_ssize_t) -> cython.int:
        """Make x[at : at + D] the point."""
        j: cython.Py_ssize_t
        for j in range(self.n_features):
            self.point[j] = x[at + j]
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step(self, log_coef: cython.p_double, temper: cython.double) -> cython.int:
        """Compute the responsibilities of the point; for the arguments see `log_joint`."""
        self.normalise(self.log_joint(log_coef, temper))
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def normalise(self, likeliest: cython.Py_ssize_t) -> cython.int:
        """Compute responsibilities from the log joint densities in ``resp``.

        ``likeliest`` is what `log_joint` has returned.
        """
        k: cython.Py_ssize_t
        value: cython.double
        best: cython.double = self.best
        total: cython.double = 0.0
        if not (best > -1e308):
            for k in range(self.n_components):
                self.resp[k] = 1.0 if k == likeliest else 0.0
            self.total = 1.0
            return 0
        for k in range(self.n_components):
            value = self.resp[k] - best
            # of the most probable one there is nothing to compute
            value = 1.0 if value == 0.0 else exp_of(value)
            self.resp[k] = value
            total += value
        best = 1.0 / total
        for k in range(self.n_components):
            self.resp[k] *= best
        self.total = total
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_density(self) -> cython.double:
        """Return the log density of the point last seen by `e_step`, in nats."""
        return self.best + log_of(self.total)

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_joint(self, log_coef: cython.p_double, temper: cython.double) -> cython.Py_ssize_t:
        """Compute the log joint density of the point and each component, in ``resp``.

        Parameters
        ----------
        log_coef
            Log weight + temper * log_norm of each component; at most -1e299 for a free place.
        temper
            Power of the Gaussian densities.

        Returns
        -------
        int
            The component with the largest log joint density.

        Notes
        -----
        O(K D^2), or O(K D) for variances. Missing values cost O(K D^3).
        """
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
            return self.likeliest(self.log_joint_missing(log_coef, temper))
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
        return self.add_weights(log_coef, temper)

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def measure(
        self, rows: Rows, x: cython.p_double, at: cython.Py_ssize_t, n: cython.Py_ssize_t
    ) -> cython.bint:
        """Compute the squared distances of n rows of x at once, if that is possible and pays."""
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

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step_many(
        self, rows: Rows, x: cython.p_double, at: cython.Py_ssize_t, n: cython.Py_ssize_t
    ) -> cython.bint:
        """Do the E-step of n rows of x at once, if that is possible and pays."""
        rows.weighed = self.measure(rows, x, at, n) and rows.weigh(
            self.log_coef, self.n_components, n
        )
        return rows.weighed

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step_row(self, rows: Rows, i: cython.Py_ssize_t) -> cython.int:
        """Do the E-step of the point, which is row i of those of the last `e_step_many`."""
        k: cython.Py_ssize_t
        if rows.weighed:
            for k in range(self.n_components):
                self.resp[k] = rows.resp[16 * k + i]
            self.best = rows.best[i]
            self.total = rows.total[i]
            self.distance = rows.distance[i]
            self.observed = self.n_features
        else:
            self.e_step(self.log_coef, 1.0)
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add_weights(self, log_coef: cython.p_double, temper: cython.double) -> cython.Py_ssize_t:
        """Turn squared distances in ``resp`` into log joint densities; return the largest."""
        k: cython.Py_ssize_t
        nearest: cython.Py_ssize_t = 0
        square: cython.double
        least: cython.double = 1e308
        half: cython.double = 0.5 * temper
        for k in range(self.n_components):
            square = self.resp[k]
            # a free place has no weight and is not the nearest component
            if square < least and log_coef[k] > -1e299:
                least = square
                nearest = k
            self.resp[k] = log_coef[k] - half * square
        self.distance = least
        return self.likeliest(nearest)

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def likeliest(self, nearest: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Return the component with the largest log joint density, the nearest if all are zero."""
        k: cython.Py_ssize_t
        likeliest: cython.Py_ssize_t = 0
        best: cython.double = self.resp[0]
        for k in range(1, self.n_components):
            if self.resp[k] > best:
                best = self.resp[k]
                likeliest = k
        self.best = best
        return likeliest if best > -1e308 else nearest

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_joint_missing(
        self, log_coef: cython.p_double, temper: cython.double
    ) -> cython.Py_ssize_t:
        """Do the same with missing values marginalised out; return the nearest component.

        One Cholesky factor per component, observed features first, gives the marginal density and
        the conditional mean and covariance of the missing features, in ``filled`` and ``spread``. A
        point without any value has density 1, and the weights as responsibilities.
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
        half: cython.double = 0.5 * temper
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
            if square < self.distance and log_coef[k] > -1e299:
                self.distance = square
                nearest = k
            self.resp[k] = (
                log_coef[k]
                - temper * self.log_norm[k]
                - half * (observed * 1.8378770664093453 + log_det + square)
            )
        return nearest
