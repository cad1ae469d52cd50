"""Sufficient statistics of a hidden Markov model, by a recursion.

Up to `EXACT` components, and where time is continuous, it is the exact recursion of Cappe (2011).
For each component k where the chain may be now, the statistics of all points so far given that it
is there: with R_hk the probability that it came from h, and the step size g,

    pairs_ij(k)   <-  g [j = k] R_ik  +  (1-g) sum_h R_hk pairs_ij(h)
    moments_i(k)  <-  g [i = k] s(x)  +  (1-g) sum_h R_hk moments_i(h)

s(x) holds 1, x - c_i and its products. The origin c_i follows the mean of component i, so that
nothing cancels. Weighted by the belief in k these are the statistics of the M-step. O(K^4) a
point.

With more components points are smoothed by those up to `LAG` or more later, and their statistics
enter then (fixed-lag smoothing; Cappe, Moulines & Ryden 2005, section 8.1; Olsson et al. 2008):

    pairs_ij    <-  g R_ij gamma(j)  +  (1-g) pairs_ij
    moments_i   <-  g gamma(i) s(x)  +  (1-g) moments_i

gamma is that of `PendingPoints`. A chain forgets where it was geometrically, so what later points
would still say is negligible. One backward pass over 2 L points, for every L points that come,
smooths the first L of them: O(K^2) a point. The M-step follows it, once for L points.

Cappe, O. (2011). Online EM algorithm for hidden Markov models. Journal of Computational and
Graphical Statistics 20(3), 728-749. Olsson, J., Cappe, O., Douc, R. & Moulines, E. (2008).
Sequential Monte Carlo smoothing with application to parameter estimation in nonlinear state space
models. Bernoulli 14(1), 155-179.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array

if cython.compiled:
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, packed, unpack
    from cython.cimports.online_gmm._kernel.streams.chain import Chain
    from cython.cimports.online_gmm._kernel.streams.pending import PendingPoints
else:
    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.memory import Memory, copy, packed, unpack
    from online_gmm._kernel.streams.chain import Chain
    from online_gmm._kernel.streams.pending import PendingPoints
from online_gmm._kernel.values import zeros

EXACT = 4
"""The most components for which the recursion is exact, unless time is continuous."""
LAG = 20
"""Later points by which a point is smoothed at least, with more components."""


@cython.final
@cython.no_gc
@cython.cclass
class ChainStatistics(Memory):
    """Statistics of a chain's points and changes.

    In the exact recursion there is a set of them for each component that the chain may be in now.
    Otherwise there is one set, and points that wait.
    """

    n: cython.Py_ssize_t
    sets: cython.Py_ssize_t  # of statistics
    lag: cython.Py_ssize_t  # 0 in the exact recursion
    pending: PendingPoints
    width: cython.Py_ssize_t  # of one component's moments: 1, x and its products
    origin: cython.p_double
    moments: cython.p_double  # [set, i, :]
    pairs: cython.p_double  # [set, i, j]
    changes: cython.p_double  # [i, j] of all points; on the diagonal time, if the chain is timed
    # work space
    next_moments: cython.p_double
    next_pairs: cython.p_double
    sample: cython.p_double

    def __init__(self, n_components: int, n_features: int, dense: bool, timed: bool) -> None:
        k: int = n_components
        d: int = n_features
        width: int = 1 + d + (d * (d + 1) // 2 if dense else d)
        sets: int = k if k <= EXACT or timed else 1
        Memory.__init__(self, k * d + 2 * sets * k * (width + k) + k * k + width)
        self.n = k
        self.sets = sets
        self.lag = 0 if sets == k else LAG
        self.pending = PendingPoints(k, d, 2 * self.lag)
        self.width = width
        self.origin = self.piece(k * d)
        self.moments = self.piece(sets * k * width)
        self.pairs = self.piece(sets * k * k)
        self.changes = self.piece(k * k)
        self.next_moments = self.piece(sets * k * width)
        self.next_pairs = self.piece(sets * k * k)
        self.sample = self.piece(width)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def clear(self, components: Components) -> cython.int:
        """Set the statistics to zero, with the means as origins."""
        i: cython.Py_ssize_t
        for i in range(self.sets * self.n * self.width):
            self.moments[i] = 0.0
        for i in range(self.sets * self.n * self.n):
            self.pairs[i] = 0.0
        self.pending.count = 0
        copy(components.mean, self.n * components.n_features, self.origin)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update(
        self,
        chain: Chain,
        belief: cython.p_double,
        g: cython.double,
        g_changes: cython.double,
    ) -> cython.bint:
        """Move the statistics one point further; return whether anything of it has entered.

        ``g`` is the step size for the point, and ``g_changes`` for the changes that led to it.
        """
        if self.lag == 0:
            self.update_exactly(chain, g, g_changes)
            return True
        self.pending.push(chain, g, g_changes)
        if self.pending.count < self.pending.room:
            return False
        self.take(chain.components, belief, self.lag)
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def take(
        self, components: Components, belief: cython.p_double, m: cython.Py_ssize_t
    ) -> cython.int:
        """Let the first m points that wait enter, smoothed by all that do. O(K^2 + K D^2) each."""
        t: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        d: cython.Py_ssize_t = components.n_features
        width: cython.Py_ssize_t = self.width
        g: cython.double
        keep: cython.double
        share: cython.double
        if self.pending.count == 0:
            return 0
        self.pending.smooth(belief)
        for t in range(m):
            at = t * self.pending.size
            g = self.pending.points[at]
            share = self.pending.points[at + 1]
            for i in range(n):
                for j in range(n):
                    self.pairs[i * n + j] = (1.0 - share) * self.pairs[i * n + j] + (
                        share
                        * self.pending.points[at + 2 + d + i * n + j]
                        * self.pending.gamma[t * n + j]
                    )
            if not (g > 0.0):
                continue
            keep = 1.0 - g
            self.see(components, at + 2)
            for i in range(n):
                self.sample_of(i, components)
                share = g * self.pending.gamma[t * n + i]
                for p in range(width):
                    self.moments[i * width + p] = (
                        keep * self.moments[i * width + p] + share * self.sample[p]
                    )
        # the last point is the one at hand
        components.set_point(self.pending.points, (self.pending.count - 1) * self.pending.size + 2)
        self.pending.drop(m)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def see(self, components: Components, at: cython.Py_ssize_t) -> cython.int:
        """Make a point that waits the point; what is missing of it is filled as is known now."""
        a: cython.Py_ssize_t
        complete: cython.bint = True
        components.set_point(self.pending.points, at)
        for a in range(components.n_features):
            if components.point[a] != components.point[a]:
                complete = False
        if complete:
            components.observed = components.n_features
        else:
            components.e_step(components.log_coef, 1.0)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def settle(self, components: Components, belief: cython.p_double) -> cython.int:
        """Let all points that wait enter."""
        return self.take(components, belief, self.pending.count)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def update_exactly(
        self, chain: Chain, g: cython.double, g_changes: cython.double
    ) -> cython.int:
        """Do the exact recursion. O(K^4 + K^3 D^2)."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        h: cython.Py_ssize_t
        p: cython.Py_ssize_t
        target: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        size: cython.Py_ssize_t = n * n
        width: cython.Py_ssize_t = self.width
        row: cython.Py_ssize_t = n * width
        keep: cython.double = 1.0 - g
        weight: cython.double
        share: cython.double
        old: cython.p_double = self.moments
        new: cython.p_double = self.next_moments
        old_pairs: cython.p_double = self.pairs
        new_pairs: cython.p_double = self.next_pairs
        for i in range(n * row):
            new[i] = 0.0
        for i in range(n * size):
            new_pairs[i] = g_changes * chain.changes[i]
        for k in range(n):
            for h in range(n):
                weight = chain.backward[h * n + k]
                if weight < 1e-20:
                    continue
                share = keep * weight
                for i in range(row):
                    new[k * row + i] += share * old[h * row + i]
                weight *= 1.0 - g_changes
                for i in range(size):
                    new_pairs[k * size + i] += weight * old_pairs[h * size + i]
        if g > 0.0:
            for i in range(n):
                self.sample_of(i, chain.components)
                target = i * row + i * width
                for p in range(width):
                    new[target + p] += g * self.sample[p]
        self.moments = new
        self.next_moments = old
        self.pairs = new_pairs
        self.next_pairs = old_pairs
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def sample_of(self, i: cython.Py_ssize_t, components: Components) -> cython.int:
        """Compute s(x) about the origin of component i, for the point of its last E-step."""
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        d: cython.Py_ssize_t = components.n_features
        base: cython.Py_ssize_t = i * d
        start: cython.Py_ssize_t = i * components.size
        p: cython.Py_ssize_t = 1 + d
        complete: cython.bint = components.observed == d
        s: cython.p_double = self.sample
        s[0] = 1.0
        for a in range(d):
            s[1 + a] = (
                components.point[a] if complete else components.filled[base + a]
            ) - self.origin[base + a]
        if components.dense:
            for a in range(d):
                for b in range(a + 1):
                    s[p] = s[1 + a] * s[1 + b]
                    if not complete:
                        s[p] += components.spread[start + a * d + b]
                    p += 1
        else:
            for a in range(d):
                s[p] = s[1 + a] * s[1 + a]
                if not complete:
                    s[p] += components.spread[start + a]
                p += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def collect(self, belief: cython.p_double, components: Components) -> cython.int:
        """Write the statistics of the M-step; those given each component, weighted by the belief.

        Those of the points go to the components, those of the changes to ``changes``.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        size: cython.Py_ssize_t = n * n
        d: cython.Py_ssize_t = components.n_features
        width: cython.Py_ssize_t = self.width
        weight: cython.double
        s: cython.p_double = self.sample
        for i in range(size):
            self.changes[i] = 0.0
        for k in range(self.sets):
            weight = belief[k] if self.lag == 0 else 1.0
            for i in range(size):
                self.changes[i] += weight * self.pairs[k * size + i]
        for i in range(n):
            for p in range(width):
                s[p] = 0.0
            for k in range(self.sets):
                weight = belief[k] if self.lag == 0 else 1.0
                at = (k * n + i) * width
                for p in range(width):
                    s[p] += weight * self.moments[at + p]
            weight = s[0]
            components.weight[i] = weight
            if not (weight > 1e-300):
                continue
            for a in range(d):
                s[1 + a] /= weight
                components.center[i * d + a] = self.origin[i * d + a] + s[1 + a]
            p = 1 + d
            at = i * components.size
            if components.dense:
                for a in range(d):
                    for b in range(a + 1):
                        components.scatter[at + a * d + b] = s[p] / weight - s[1 + a] * s[1 + b]
                        p += 1
            else:
                for a in range(d):
                    components.scatter[at + a] = s[p] / weight - s[1 + a] * s[1 + a]
                    p += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def recentre(self, components: Components) -> cython.int:
        """Move the origins to where the means are now. O(K^2 D^2)."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        d: cython.Py_ssize_t = components.n_features
        shift: cython.p_double = self.sample
        m: cython.p_double = self.moments
        for i in range(n):
            for a in range(d):
                shift[a] = components.center[i * d + a] - self.origin[i * d + a]
                self.origin[i * d + a] = components.center[i * d + a]
            for k in range(self.sets):
                at = (k * n + i) * self.width
                p = at + 1 + d
                for a in range(d):
                    for b in range(0 if components.dense else a, a + 1):
                        m[p] += (
                            m[at] * shift[a] * shift[b]
                            - m[at + 1 + a] * shift[b]
                            - m[at + 1 + b] * shift[a]
                        )
                        p += 1
                for a in range(d):
                    m[at + 1 + a] -= m[at] * shift[a]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def forget_component(self, belief: cython.p_double, components: Components) -> cython.int:
        """Make the statistics the same given each component: their mean under the belief.

        The component after this says nothing about those before.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        total: cython.double
        if self.lag > 0:
            return self.settle(components, belief)
        for i in range(n * self.width):
            total = 0.0
            for k in range(n):
                total += belief[k] * self.moments[k * n * self.width + i]
            for k in range(n):
                self.moments[k * n * self.width + i] = total
        for i in range(n * n):
            total = 0.0
            for k in range(n):
                total += belief[k] * self.pairs[k * n * n + i]
            for k in range(n):
                self.pairs[k * n * n + i] = total
        return 0

    # -- states, where the component that the chain is in now comes later -----------------------

    @property
    def moments_in_state(self) -> bytes:
        """The moments as doubles, [i, k, :]; one set is that of every component k."""
        return self.in_state(self.moments, self.n, self.width)

    @property
    def pairs_in_state(self) -> bytes:
        """The pairs as doubles, [i, j, k]; one set is that of every component k."""
        return self.in_state(self.pairs, self.n * self.n, 1)

    @cython.cfunc
    def in_state(
        self, values: cython.p_double, rows: cython.Py_ssize_t, width: cython.Py_ssize_t
    ) -> bytes:
        n: cython.Py_ssize_t = self.n
        k: cython.Py_ssize_t
        work: Memory = Memory(2 * n * rows * width)
        every: cython.p_double = work.piece(n * rows * width)
        result: cython.p_double = work.piece(n * rows * width)
        for k in range(n * rows * width):
            every[k] = values[k if self.lag == 0 else k % (rows * width)]
        swap(every, n, rows, width, result)
        return packed(result, n * rows * width)

    def load(
        self,
        moments: array[float],
        pairs: array[float],
        belief: array[float],
        pending: array[float] | None,
    ) -> None:
        """Set the statistics to those of a state.

        Where there is one set but the state has one for each component, as one before a birth, it
        is their mean under the belief.
        """
        weights: array[float] = belief
        if pending is not None:
            weights = zeros(self.n)
            weights[0] = 1.0
        self.load_part(moments, self.n, self.width, weights, self.moments)
        self.load_part(pairs, self.n * self.n, 1, weights, self.pairs)
        if self.lag > 0 and pending is not None:
            self.pending.load(pending)

    @cython.cfunc
    @cython.exceptval(-1)
    def load_part(
        self,
        values: cython.double[::1],
        rows: cython.Py_ssize_t,
        width: cython.Py_ssize_t,
        weights: cython.double[::1],
        out: cython.p_double,
    ) -> cython.int:
        n: cython.Py_ssize_t = self.n
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        size: cython.Py_ssize_t = rows * width
        weight: cython.double
        work: Memory = Memory(2 * n * size)
        found: cython.p_double = work.piece(n * size)
        every: cython.p_double = work.piece(n * size)
        unpack(values, found, n * size)
        swap(found, rows, n, width, every)
        if self.lag == 0:
            copy(every, n * size, out)
            return 0
        for i in range(size):
            out[i] = 0.0
        for k in range(n):
            weight = weights[k]
            for i in range(size):
                out[i] += weight * every[k * size + i]
        return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def swap(
    source: cython.p_double,
    m: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    width: cython.Py_ssize_t,
    out: cython.p_double,
) -> cython.int:
    """Write source [m, n, width] to out [n, m, width]."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    p: cython.Py_ssize_t
    for i in range(m):
        for j in range(n):
            for p in range(width):
                out[(j * m + i) * width + p] = source[(i * n + j) * width + p]
    return 0
