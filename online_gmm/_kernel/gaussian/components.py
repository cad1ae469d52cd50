"""K Gaussian components that learn: statistics, parameters and densities together.

With the step size g and the responsibility r of the point x the statistics move by

    N <- (1-g) N + g r        rho = g r / N        d = x - mu
    mu <- mu + rho d          S <- (1-rho) (S + rho d d')
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.gaussian.densities import Densities
    from cython.cimports.online_gmm._kernel.gaussian.rows import Rows
    from cython.cimports.online_gmm._kernel.gaussian.statistics import Statistics
    from cython.cimports.online_gmm._kernel.memory import first, first_place, packed
else:
    from math import log

    from online_gmm._kernel.gaussian.densities import Densities
    from online_gmm._kernel.gaussian.rows import Rows
    from online_gmm._kernel.gaussian.statistics import Statistics
    from online_gmm._kernel.memory import first, first_place, packed
from online_gmm._kernel.gaussian.statistics import shape_of, statistics_of, width
from online_gmm._kernel.values import block, doubles, real


@cython.final
@cython.no_gc
@cython.cclass
class Components(Densities):
    """K Gaussian components: they are compared with points, and learn them."""

    # -- online ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_statistics(self, g: cython.double) -> cython.int:
        """Move the statistics a step g towards the point, by its responsibilities."""
        k: cython.Py_ssize_t
        n_new: cython.double
        rho: cython.double
        value: cython.double
        single: cython.bint = self.n_features == 1 and self.observed == 1
        self.points += 1.0
        self.stale = 1.0
        for k in range(self.n_components):
            value = g * self.resp[k]
            n_new = (1.0 - g) * self.weight[k] + value
            self.weight[k] = n_new
            if not (value > 1e-17 * n_new):
                continue
            rho = value / n_new
            if single:
                # as in `update_one`; with one feature its loops would be most of the cost
                value = self.point[0] - self.center[k]
                self.center[k] += rho * value
                self.scatter[k] = (1.0 - rho) * (self.scatter[k] + rho * value * value)
            else:
                self.update_one(k, rho)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update(self, g: cython.double) -> cython.int:
        """Move statistics and parameters a step g towards the point.

        Each Cholesky factor gets a rank-one update, in which the prior fades by 1 - g. The factors
        are computed afresh before the steps since the last time add up to 5 %, and if the
        parameters have not followed the point before.
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
        prior_weight: cython.double = self.strength / self.points if self.points > 0.0 else 0.0
        faded: cython.double = 0.0
        if self.pooled or self.stale + g > 0.05:
            self.update_statistics(g)
            self.m_step()
            return 0
        self.points += 1.0
        self.stale += g
        for k in range(self.n_components):
            n_old = self.weight[k]
            value = g * self.resp[k]
            n_new = (1.0 - g) * n_old + value
            self.weight[k] = n_new
            if value <= 1e-17 * n_new:
                if faded == 0.0:
                    faded = log(1.0 - g) if g < 1.0 else -745.0
                self.log_coef[k] += faded
                continue
            rho = value / n_new
            self.update_one(k, rho)
            if rank_one and n_old > 0.0:
                base = k * d
                for j in range(d):
                    self.mean[base + j] = self.center[base + j]
                self.rank_one(
                    k,
                    n_old * rho / (n_old + prior_weight),
                    (1.0 - g) * (n_old + prior_weight) / (n_new + prior_weight),
                )
                self.log_coef[k] = log(n_new) + self.log_norm[k]
                if self.log_norm[k] - self.log_norm[k] != 0.0:
                    # the update has overflowed
                    self.m_step_one(k, self.strength / self.points)
            else:
                self.m_step_one(k, self.strength / self.points)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_one(self, k: cython.Py_ssize_t, rho: cython.double) -> cython.int:
        """Move mean and scatter of component k by rho to the point; d is in ``residual``."""
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

    # -- batch ----------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step_rows(
        self,
        x: cython.p_double,
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        rows: Rows,
        learning: cython.bint,
        answers: cython.int,
        log_density: cython.p_double,
        responsibilities: cython.p_double,
        distance: cython.p_double,
    ) -> cython.double:
        """Do the E-step of points from ``begin`` to ``end``, sixteen at a time; parameters stay.

        With ``learning`` their statistics are added. Of the ``answers`` none (0), the log density
        (1) or all three (2) are written. Returns the sum of the log densities.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        value: cython.double
        total: cython.double = 0.0
        d: cython.Py_ssize_t = self.n_features
        for at in range(begin, end, 16):
            many = end - at if end - at < 16 else 16
            self.e_step_many(rows, x, at, many)
            if rows.weighed and learning and (d <= 3 or not self.dense):
                total += rows.log_likelihood(many)
                self.learn_rows(rows, many)
                continue
            if rows.weighed and not learning:
                rows.log_densities()
                for i in range(many):
                    total += rows.total[i]
                    log_density[at + i] = rows.total[i]
                if answers > 1:
                    for i in range(many):
                        distance[at + i] = rows.distance[i]
                        for k in range(self.n_components):
                            responsibilities[(at + i) * self.n_components + k] = rows.resp[
                                16 * k + i
                            ]
                continue
            for i in range(at, at + many):
                self.set_point(x, i * d)
                self.e_step_row(rows, i - at)
                value = self.log_density()
                total += value
                if learning and self.observed > 0:
                    self.update_statistics(1.0 / (self.points + 1.0))
                if answers > 0:
                    log_density[i] = value
                if answers > 1:
                    distance[i] = self.distance
                    for k in range(self.n_components):
                        responsibilities[i * self.n_components + k] = self.resp[k]
        return total

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn_rows(self, rows: Rows, n: cython.Py_ssize_t) -> cython.int:
        """Add the n rows weighed to the statistics (Chan et al. 1982)."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        base: cython.Py_ssize_t
        at: cython.Py_ssize_t
        new: cython.double
        old: cython.double
        rho: cython.double
        keep: cython.double
        points: cython.double = self.points + n
        d: cython.Py_ssize_t = self.n_features
        moment: cython.p_double = rows.moment
        for k in range(self.n_components):
            old = self.points * self.weight[k]
            new = rows.moments(k, self.mean, d, self.dense)
            self.weight[k] = (old + new) / points
            if not (new > 1e-17 * old):
                continue
            base = k * d
            rho = new / (old + new)
            keep = 1.0 - rho
            for j in range(d):
                # from the mean so far to that of the rows
                moment[j] += self.mean[base + j] - self.center[base + j]
            i = d
            for j in range(d):
                at = k * self.size + (j * d if self.dense else 0)
                for m in range(0 if self.dense else j, j + 1):
                    self.scatter[at + m] = keep * (
                        self.scatter[at + m] + rho * moment[j] * moment[m]
                    ) + moment[i] / (old + new)
                    i += 1
            for j in range(d):
                self.center[base + j] += rho * moment[j]
        self.points += n
        self.stale = 1.0
        return 0

    def accumulate(self, x: cython.double[::1], n: cython.Py_ssize_t) -> float:
        """Add n points to the statistics under frozen parameters.

        A point without any value is not added. Returns the sum of the log densities, in nats.
        """
        total: cython.double
        values: cython.p_double = first(x)
        rows: Rows = Rows(self.n_components, self.n_features)
        with cython.nogil:
            total = self.e_step_rows(values, 0, n, rows, True, 0, values, values, values)
        return total

    def posterior(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        responsibilities: cython.double[::1],
        log_density: cython.double[::1],
        distance: cython.double[::1],
    ) -> None:
        """Write responsibilities, log densities and squared distances of n points in place."""
        values: cython.p_double = first(x)
        resp: cython.p_double = first(responsibilities)
        densities: cython.p_double = first(log_density)
        squares: cython.p_double = first(distance)
        rows: Rows = Rows(self.n_components, self.n_features)
        with cython.nogil:
            self.e_step_rows(values, 0, n, rows, False, 2, densities, resp, squares)

    def log_densities(
        self, x: cython.double[::1], n: cython.Py_ssize_t, log_density: cython.double[::1]
    ) -> None:
        """Write the log densities of n points in place."""
        values: cython.p_double = first(x)
        densities: cython.p_double = first(log_density)
        rows: Rows = Rows(self.n_components, self.n_features)
        with cython.nogil:
            self.e_step_rows(values, 0, n, rows, False, 1, densities, values, values)

    def predict(
        self, x: cython.double[::1], n: cython.Py_ssize_t, labels: cython.Py_ssize_t[::1]
    ) -> None:
        """Write the most probable component of each of n points in place."""
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
                    self.log_coef, self.n_components, many, out, at
                ):
                    continue
                for i in range(at, at + many):
                    self.set_point(values, i * self.n_features)
                    out[i] = self.log_joint(self.log_coef, 1.0)

    def collect(
        self, x: cython.double[::1], n: cython.Py_ssize_t, responsibilities: cython.double[::1]
    ) -> None:
        """Set the statistics to those of n complete points with these responsibilities; M-step."""
        i: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        k: cython.Py_ssize_t
        self.clear()
        self.observed = self.n_features
        for i in range(n):
            self.set_point(rows, i * self.n_features)
            for k in range(self.n_components):
                self.resp[k] = responsibilities[i * self.n_components + k]
            self.update_statistics(1.0 / (self.points + 1.0))
        self.m_step()

    def collect_clusters(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        clusters: cython.Py_ssize_t[::1],
        lent: cython.Py_ssize_t[::1],
    ) -> None:
        """Do the same of points that are in one of K clusters each.

        ``lent`` has for each component a point that half belongs to it too, or -1.
        """
        i: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        k: cython.Py_ssize_t
        with cython.nogil:
            self.empty()
            self.observed = self.n_features
            for i in range(n):
                self.set_point(rows, i * self.n_features)
                for k in range(self.n_components):
                    self.resp[k] = 0.5 if lent[k] == i else 0.0
                self.resp[clusters[i]] = 1.0
                self.update_statistics(1.0 / (self.points + 1.0))
            self.m_step()

    def stand_on(self, x: cython.double[::1], places: cython.Py_ssize_t[::1]) -> None:
        """Let components of equal weights and the covariance C stand on K of the points."""
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        self.empty()
        for k in range(self.n_components):
            self.weight[k] = 1.0 / self.n_components
            for j in range(d):
                self.center[k * d + j] = x[places[k] * d + j]
            for j in range(self.size):
                self.scatter[k * self.size + j] = self.prior[j]
        self.m_step()

    def revisit(
        self, x: cython.double[::1], n: cython.Py_ssize_t, responsibilities: cython.double[::1]
    ) -> None:
        """Compute the responsibilities of the n points collected anew; parameters follow each.

        The difference to a point's old responsibilities is the weight of one update, which may be
        negative. A point that would take away half of a component is left as it is this time.
        """
        i: cython.Py_ssize_t
        rows: cython.p_double = first(x)
        k: cython.Py_ssize_t
        row: cython.Py_ssize_t
        prior_weight: cython.double = self.strength / self.points
        change: cython.double
        bearable: cython.bint
        for i in range(n):
            self.set_point(rows, i * self.n_features)
            self.e_step(self.log_coef, 1.0)
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
                    self.update_one(k, change / self.weight[k])
                    if not self.pooled:
                        self.m_step_one(k, prior_weight)
            if self.pooled:
                self.m_step()

    # -- copies and states ----------------------------------------------------------------------

    def beside(self, other: Statistics | None = None) -> Components:
        """Return components with the same prior and work space, and another's statistics."""
        result: Components = Components(
            self.n_components,
            self.n_features,
            self.kind,
            self.strength,
            doubles(packed(self.prior, self.size)),
            self,
        )
        result.hold_above(doubles(self.floors))
        result.set_statistics(self if other is None else other)
        return result

    def __reduce__(self) -> Any:
        return components_from_state, (self.state(),)


def components_from_state(state: dict[str, Any], beside: Components | None = None) -> Components:
    """Make components of a state; without parameters there, they are computed."""
    k, d, kind = shape_of(state)
    # checked before anything of that size is allocated
    weight, center, scatter, points = statistics_of(state)
    strength = real(state["strength"], "strength")
    prior = block(state, "prior", width(d, kind))
    result: Components = Components(k, d, kind, strength, prior, beside)
    if "floors" in state:
        result.hold_above(block(state, "floors", d))
    result.load(weight, center, scatter, points)
    if "mean" in state:
        result.restore_parameters(state)
    return result
