"""Statistics of a whole series, by the forward-backward algorithm (Baum et al. 1970).

The exact recursion of `recursion` gives the same numbers without a backward pass, but at
O(K^4 + K^3 D^2) a point. Here a point costs O(K^2 + K D^2), and memory grows with the series.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.gaussian.rows import Rows
    from cython.cimports.online_gmm._kernel.memory import Memory
    from cython.cimports.online_gmm._kernel.streams.chain import Chain
else:
    from math import log

    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.gaussian.rows import Rows
    from online_gmm._kernel.memory import Memory
    from online_gmm._kernel.streams.chain import Chain


@cython.final
@cython.no_gc
@cython.cclass
class Series(Memory):
    """Work space for the E-step of n points of a chain without times."""

    n: cython.Py_ssize_t
    k: cython.Py_ssize_t
    rows: Rows
    belief: cython.p_double  # [point, component], filtered; then given all points
    resp: cython.p_double  # [point, component], responsibilities; then predicted probabilities
    log_coef: cython.p_double
    ratio: cython.p_double
    first_belief: cython.p_double

    def __init__(self, n: int, n_components: int, n_features: int) -> None:
        k: int = n_components
        Memory.__init__(self, 2 * n * k + 3 * k)
        self.n = n
        self.k = k
        self.rows = Rows(n_components, n_features)
        self.belief = self.piece(n * k)
        self.resp = self.piece(n * k)
        self.log_coef = self.piece(k)
        self.ratio = self.piece(k)
        self.first_belief = self.piece(k)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def weigh(self, components: Components, x: cython.p_double) -> cython.double:
        """Compute the densities of the points in each component, as shares of their sum.

        Returns the sum of the logarithms of these sums.
        """
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        total: cython.double = 0.0
        k: cython.Py_ssize_t = self.k
        d: cython.Py_ssize_t = components.n_features
        for c in range(k):
            self.log_coef[c] = components.log_norm[c] if components.log_coef[c] > -1e299 else -1e300
        for at in range(0, self.n, 16):
            many = self.n - at if self.n - at < 16 else 16
            if components.measure(self.rows, x, at, many) and self.rows.weigh(
                self.log_coef, k, many
            ):
                total += self.rows.log_likelihood(many)
                for c in range(k):
                    for i in range(many):
                        self.resp[(at + i) * k + c] = self.rows.resp[16 * c + i]
                continue
            for i in range(at, at + many):
                components.set_point(x, i * d)
                components.e_step(self.log_coef, 1.0)
                total += components.log_density()
                for c in range(k):
                    self.resp[i * k + c] = components.resp[c]
        return total

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def forward(self, step: cython.p_double) -> cython.double:
        """Filter. Returns the sum of the log densities beyond what `weigh` has returned."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.k
        value: cython.double
        total: cython.double
        product: cython.double = 1.0
        result: cython.double = 0.0
        before: cython.p_double = self.first_belief
        origin: cython.Py_ssize_t = 0
        for i in range(self.n):
            total = 0.0
            for j in range(k):
                value = 0.0
                for h in range(k):
                    value += before[origin + h] * step[h * k + j]
                if not (value > 1e-300):
                    value = 1e-300
                self.belief[i * k + j] = value * self.resp[i * k + j]
                total += self.belief[i * k + j]
                # from here on the responsibility is not needed
                self.resp[i * k + j] = value
            if not (total > 1e-300):
                # no component can be reached that explains the point
                total = 1e-300
                for j in range(k):
                    self.belief[i * k + j] = self.resp[i * k + j] * total
            value = 1.0 / total
            for j in range(k):
                self.belief[i * k + j] *= value
            if total > 1e-100:
                product *= total
                if product < 1e-100:
                    result += log(product)
                    product = 1.0
            else:
                result += log(total)
            before = self.belief
            origin = i * k
        return result + log(product)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def backward(
        self,
        step: cython.p_double,
        x: cython.p_double,
        d: cython.Py_ssize_t,
        changes: cython.p_double,
    ) -> cython.int:
        """Smooth, and count the changes that lead to points with a value."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.k
        value: cython.double
        total: cython.double
        known: cython.bint
        for j in range(k * k):
            changes[j] = 0.0
        for i in range(self.n - 2, -1, -1):
            known = False
            for j in range(d):
                if x[(i + 1) * d + j] == x[(i + 1) * d + j]:
                    known = True
            for j in range(k):
                self.ratio[j] = self.belief[(i + 1) * k + j] / self.resp[(i + 1) * k + j]
            total = 0.0
            for h in range(k):
                value = 0.0
                for j in range(k):
                    value += step[h * k + j] * self.ratio[j]
                self.log_coef[h] = value * self.belief[i * k + h]
                total += self.log_coef[h]
            if not (total > 1e-300):
                continue
            total = 1.0 / total
            for h in range(k):
                if known:
                    value = self.belief[i * k + h] * total
                    for j in range(k):
                        changes[h * k + j] += value * step[h * k + j] * self.ratio[j]
                self.belief[i * k + h] = self.log_coef[h] * total
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def collect(self, components: Components, x: cython.p_double) -> cython.int:
        """Set the statistics of the components to those of the points."""
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        at: cython.Py_ssize_t
        many: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.k
        d: cython.Py_ssize_t = components.n_features
        together: cython.bint = d <= 3 or not components.dense
        components.empty()
        for at in range(0, self.n, 16):
            many = self.n - at if self.n - at < 16 else 16
            if together and components.measure(self.rows, x, at, many):
                for c in range(k):
                    for i in range(16):
                        self.rows.resp[16 * c + i] = (
                            self.belief[(at + i) * k + c] if i < many else 0.0
                        )
                components.learn_rows(self.rows, many)
                continue
            for i in range(at, at + many):
                components.set_point(x, i * d)
                components.observed = 0
                for c in range(d):
                    if components.point[c] == components.point[c]:
                        components.observed += 1
                if components.observed == 0:
                    continue
                if components.observed < d:
                    # what is missing is filled in
                    components.log_joint(components.log_coef, 1.0)
                for c in range(k):
                    components.resp[c] = self.belief[i * k + c]
                components.update_statistics(1.0 / (components.points + 1.0))
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def expect(self, chain: Chain, x: cython.p_double, changes: cython.p_double) -> cython.double:
        """Do the E-step: set the statistics of the chain's components, and the changes a point.

        Returns the sum of the log densities of the points, each given those before it.
        """
        j: cython.Py_ssize_t
        total: cython.double
        step: cython.p_double = chain.transition.step
        chain.transition.stationary(self.first_belief)
        total = self.weigh(chain.components, x)
        total += self.forward(step)
        self.backward(step, x, chain.components.n_features, changes)
        self.collect(chain.components, x)
        for j in range(self.k * self.k):
            if chain.components.points > 0.0:
                changes[j] /= chain.components.points
        chain.components.update_coefficients()
        return total
