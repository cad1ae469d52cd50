"""A Markov chain of Gaussian components: filter, smoother and most probable path.

With the belief phi after the last point, the transition matrix A and the densities g,

    predicted_k = sum_j phi_j A_jk        phi'_k  is proportional to  predicted_k g_k(x)

This is the E-step of a mixture whose weights are the predicted probabilities. A belief is passed in
and comes out; the chain has none of its own.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, first, packed
    from cython.cimports.online_gmm._kernel.streams.transition import Transition
else:
    from math import log

    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.memory import Memory, copy, first, packed
    from online_gmm._kernel.streams.transition import Transition
from online_gmm._kernel.gaussian.components import components_from_state
from online_gmm._kernel.values import block, doubles, flag, real


@cython.final
@cython.no_gc
@cython.cclass
class Chain(Memory):
    """Gaussian components and the transitions between them."""

    components: Components
    transition: Transition
    n: cython.Py_ssize_t
    temper: cython.double  # power of the densities
    # of the point last seen
    predicted: cython.p_double
    log_coef: cython.p_double  # log predicted + temper * log_norm
    backward: cython.p_double  # [from, to]: where it came from, given where it is
    outlying: cython.double  # gate / distance of an outlier, else 1
    changes: cython.p_double  # [now in, from, to]
    scratch: cython.p_double

    def __init__(
        self, components: Components, transition: array[float], timed: bool, temper: float
    ) -> None:
        """Make a chain.

        Parameters
        ----------
        components
            The Gaussian components.
        transition
            Probabilities [from, to] of a step; if timed, rates with minus their sum on the
            diagonal.
        timed
            Whether the chain moves in continuous time.
        temper
            Power of the densities.
        """
        k: int = components.n_components
        Memory.__init__(self, 3 * k + k * k + k * k * k)
        self.components = components
        self.transition = Transition(k, transition, timed)
        self.n = k
        self.temper = temper
        self.predicted = self.piece(k)
        self.log_coef = self.piece(k)
        self.scratch = self.piece(k)
        self.backward = self.piece(k * k)
        self.changes = self.piece(k * k * k)
        self.outlying = 1.0

    # -- filter ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def predict(self, belief: cython.p_double, gap: cython.double) -> cython.int:
        """Compute the probabilities of the components before the next point is seen."""
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        self.transition.over(gap)
        for j in range(k):
            value = 0.0
            for h in range(k):
                value += belief[h] * self.transition.step[h * k + j]
            self.predicted[j] = value if value > 1e-300 else 1e-300
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def weigh(self, gates: cython.p_double) -> cython.double:
        """Do the E-step of the point with the predicted weights.

        Returns its log density given the past, in nats. The evidence of an outlier fades with its
        distance. It is tempered by the square of ``outlying``: tempered by ``outlying`` alone, the
        evidence that tells wide components from narrow ones would stay.
        """
        log_density: cython.double
        gate: cython.double
        self.e_step(1.0)
        log_density = self.components.log_density()
        gate = gates[self.components.observed]
        self.outlying = gate / self.components.distance if self.components.distance > gate else 1.0
        if self.temper != 1.0 or self.outlying != 1.0:
            self.e_step(self.temper * self.outlying * self.outlying)
        return log_density

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def e_step(self, temper: cython.double) -> cython.int:
        """Compute the responsibilities of the point, with the predicted weights."""
        j: cython.Py_ssize_t
        for j in range(self.n):
            self.log_coef[j] = (
                log(self.predicted[j]) + temper * self.components.log_norm[j]
                if self.components.log_coef[j] > -1e299
                else -1e300
            )
        self.components.e_step(self.log_coef, temper)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def filter_point(
        self,
        belief: cython.p_double,
        gap: cython.double,
        gates: cython.p_double,
        learning: cython.bint,
    ) -> cython.double:
        """Update the belief with the point; return its log density given the past, in nats.

        With ``learning`` the changes over the gap are computed too.
        """
        log_density: cython.double
        self.predict(belief, gap)
        self.look_backward(belief)
        if learning:
            self.expect_changes(belief)
        log_density = self.weigh(gates)
        copy(self.components.resp, self.n, belief)
        return log_density

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def look_backward(self, belief: cython.p_double) -> cython.int:
        """Compute where the chain came from, given where it is predicted to be."""
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        for j in range(k):
            for h in range(k):
                # a component that no path leads to says nothing about the one before
                self.backward[h * k + j] = (
                    belief[h] * self.transition.step[h * k + j] / self.predicted[j]
                    if self.predicted[j] > 1e-300
                    else belief[h]
                )
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def expect_changes(self, belief: cython.p_double) -> cython.int:
        """Compute the changes i -> j over the last gap, given that the chain is now in k.

        They are written to ``changes`` at [k, i, j]. In continuous time they are expected numbers,
        and on the diagonal the time spent in i:

            q_ij / predicted_k  int_0^dt  (phi exp(Q s))_i  exp(Q (dt - s))_jk  ds

        The integral is computed by Gauss-Legendre quadrature. Its nodes are symmetric about dt / 2.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        m: cython.Py_ssize_t
        other: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        size: cython.Py_ssize_t = k * k
        start: cython.Py_ssize_t
        n_nodes: cython.Py_ssize_t = self.transition.n_nodes
        value: cython.double
        for i in range(k * size):
            self.changes[i] = 0.0
        if not self.transition.timed:
            for i in range(k):
                for j in range(k):
                    self.changes[j * size + i * k + j] = self.backward[i * k + j]
            return 0
        start = 0 if n_nodes == 3 else 6
        for m in range(n_nodes):
            other = (n_nodes - 1 - m) * size
            for i in range(k):
                value = 0.0
                for h in range(k):
                    value += belief[h] * self.transition.at_node[m * size + h * k + i]
                value *= self.transition.gap * self.transition.nodes[start + n_nodes + m]
                for j in range(k):
                    for h in range(k):
                        self.changes[h * size + i * k + j] += (
                            value
                            * (1.0 if i == j else self.transition.matrix[i * k + j])
                            * self.transition.at_node[other + j * k + h]
                            / self.predicted[h]
                        )
        return 0

    # -- finite series --------------------------------------------------------------------------

    def stationary(self) -> array[float]:
        """Return the stationary distribution of the components."""
        self.transition.stationary(self.scratch)
        return doubles(packed(self.scratch, self.n))

    def filter(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        gates: cython.double[::1],
        belief: cython.double[::1],
        probabilities: cython.double[::1],
        log_density: cython.double[::1],
    ) -> None:
        """Filter n points.

        Parameters
        ----------
        x
            Rows, shape (n, D).
        n
            Their number.
        gaps
            Seconds since the row before, shape (n,); not used without times.
        gates
            Squared distances of outliers, by the number of features observed.
        belief
            Probabilities of the components at the point before; at the last point afterwards.
        probabilities, log_density
            Of the components after each point, and of each point given those before it, in nats.
            Written in place.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        values: cython.p_double = first(x)
        limits: cython.p_double = first(gates)
        state: cython.p_double = first(belief)
        for i in range(n):
            self.components.set_point(values, i * self.components.n_features)
            log_density[i] = self.filter_point(state, gaps[i], limits, False)
            for j in range(self.n):
                probabilities[i * self.n + j] = state[j]

    def smooth(
        self, n: cython.Py_ssize_t, gaps: cython.double[::1], probabilities: cython.double[::1]
    ) -> None:
        """Turn probabilities after each of n points into those given all points, in place."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        belief: cython.p_double = self.scratch
        for i in range(n - 2, -1, -1):
            for h in range(k):
                belief[h] = probabilities[i * k + h]
            self.predict(belief, gaps[i + 1])
            self.look_backward(belief)
            for h in range(k):
                value = 0.0
                for j in range(k):
                    value += self.backward[h * k + j] * probabilities[(i + 1) * k + j]
                probabilities[i * k + h] = value

    def decode(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        gates: cython.double[::1],
        belief: cython.double[::1],
        labels: cython.longlong[::1],
    ) -> None:
        """Write the most probable path through n points in place (Viterbi 1967).

        ``belief`` holds the probabilities of the components at the point before the first one.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        best: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        found: cython.double
        values: cython.p_double = first(x)
        limits: cython.p_double = first(gates)
        came: cython.longlong[::1] = array("q", bytes(8 * n * k))
        work: Memory = Memory(2 * k)
        score: cython.p_double = work.piece(k)
        ahead: cython.p_double = work.piece(k)
        for i in range(n):
            self.predict(first(belief), gaps[i])
            for j in range(k):
                best = 0
                found = log(self.predicted[j]) if i == 0 else -1e308
                if i > 0:
                    for h in range(k):
                        value = self.transition.step[h * k + j]
                        value = score[h] + (log(value) if value > 1e-300 else -700.0)
                        if value > found:
                            found = value
                            best = h
                came[i * k + j] = best
                ahead[j] = found
            for j in range(k):
                self.predicted[j] = 1.0
            self.components.set_point(values, i * self.components.n_features)
            self.weigh(limits)
            for j in range(k):
                value = self.components.resp[j]
                score[j] = ahead[j] + (log(value) if value > 1e-300 else -700.0)
        best = 0
        for j in range(1, k):
            if score[j] > score[best]:
                best = j
        for i in range(n - 1, -1, -1):
            labels[i] = best
            best = came[i * k + best]

    # -- copies and states ----------------------------------------------------------------------

    def beside(self) -> Chain:
        """Return a copy that shares the work space of the components."""
        return Chain(
            components_from_state(self.components.state(), self.components),
            doubles(packed(self.transition.matrix, self.n * self.n)),
            self.transition.timed,
            self.temper,
        )

    def state(self) -> dict[str, Any]:
        """Return components and transitions as plain values."""
        return {
            "components": self.components.state(),
            "transition": packed(self.transition.matrix, self.n * self.n),
            "timed": bool(self.transition.timed),
            "temper": float(self.temper),
        }

    def __reduce__(self) -> Any:
        return chain_from_state, (self.state(),)


def chain_from_state(state: dict[str, Any], beside: Components | None = None) -> Chain:
    """Make a chain of what `Chain.state` has returned."""
    components: Components = components_from_state(state["components"], beside)
    k: int = components.n_components
    return Chain(
        components,
        block(state, "transition", k * k),
        flag(state["timed"], "timed"),
        real(state["temper"], "temper", 0.0, 1.0),
    )
