"""A Markov chain of Gaussian components: which one is at work, given the points so far.

With the belief phi after the last point, the transition matrix A and the densities g,

    predicted_k = sum_j phi_j A_jk        phi'_k  is proportional to  predicted_k g_k(x)

which is the E-step of a mixture whose weights are what was predicted. Over a time dt the matrix is
A = exp(Q dt), computed by uniformisation: with q the largest rate of leaving and P = I + Q / q,

    exp(Q s) = sum_m  e^(-q s) (q s)^m / m!  P^m

and a longer time by squaring.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import exp, log
    from cython.cimports.online_gmm._kernel.components import Components
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from math import exp, log

    from online_gmm._kernel.components import Components
    from online_gmm._kernel.memory import first
from online_gmm._kernel.components import components_from_state
from online_gmm._kernel.points import block, doubles, flag, real, zeros

LONG = 4.0
"""Beyond so many expected changes a gap tells nothing of the rates."""
TERMS = 48
"""Of the series; at LONG the last one is below 1e-17."""
NODES = array(
    "d",
    (
        *(0.1127016653792583, 0.5, 0.8872983346207417),
        *(0.2777777777777778, 0.4444444444444444, 0.2777777777777778),
        *(0.03376524289842399, 0.16939530676686774, 0.38069040695840155),
        *(0.6193095930415985, 0.8306046932331322, 0.966234757101576),
        *(0.08566224618958517, 0.1803807865240693, 0.23395696728634552),
        *(0.23395696728634552, 0.1803807865240693, 0.08566224618958517),
    ),
)
"""Gauss and Legendre's nodes, then weights, on [0, 1]: of three, then of six."""


@cython.final
@cython.cclass
class Chain:
    """Components, transitions between them, and the belief about the one now at work.

    ``transition`` holds probabilities [from, to] of a step; for a chain in continuous time rates,
    with minus their sum on the diagonal.
    """

    components: Components
    n: cython.Py_ssize_t
    timed: cython.bint
    temper: cython.double
    transition: cython.double[::1]
    belief: cython.double[::1]
    predicted: cython.double[::1]
    back: cython.double[::1]  # [from, to]: that it came from there, given where it is
    outlying: cython.double  # gate / distance of an outlier, else 1
    # over the last gap
    gap: cython.double
    step: cython.double[::1]  # transition probabilities
    n_nodes: cython.Py_ssize_t  # 0 if it tells nothing of the rates
    nodes: cython.double[::1]
    at_node: cython.double[::1]  # transition probabilities up to each node
    # work space
    power: cython.double[::1]
    series: cython.double[::1]
    flow: cython.double[::1]

    def __init__(
        self,
        components: Components,
        transition: array[float],
        timed: bool,
        temper: float,
    ) -> None:
        k: cython.Py_ssize_t = components.n_components
        self.components = components
        self.n = k
        self.timed = timed
        self.temper = temper
        self.transition = doubles(bytes(transition))
        self.belief = zeros(k)
        self.predicted = zeros(k)
        self.back = zeros(k * k)
        self.outlying = 1.0
        self.gap = float("nan")
        self.step = zeros(k * k)
        self.n_nodes = 0
        self.nodes = NODES
        self.at_node = zeros(6 * k * k)
        self.power = zeros(TERMS * k * k)
        self.series = zeros(TERMS)
        self.flow = zeros(k * k * k)
        self.settle()

    # -- transitions ----------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def multiply(
        self, a: cython.double[::1], b: cython.double[::1], out: cython.double[::1]
    ) -> cython.int:
        """Product of two stochastic matrices, rows brought back to a sum of 1."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        value: cython.double
        total: cython.double
        k: cython.Py_ssize_t = self.n
        for i in range(k):
            total = 0.0
            for j in range(k):
                value = 0.0
                for m in range(k):
                    value += a[i * k + m] * b[m * k + j]
                out[i * k + j] = value
                total += value
            for j in range(k):
                out[i * k + j] /= total
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def blend(
        self,
        c: cython.double,
        terms: cython.Py_ssize_t,
        out: cython.double[::1],
        at: cython.Py_ssize_t,
    ) -> cython.int:
        """Transition probabilities after a time of c expected events, from the powers of P."""
        i: cython.Py_ssize_t
        m: cython.Py_ssize_t
        value: cython.double
        size: cython.Py_ssize_t = self.n * self.n
        value = exp(-c)
        for m in range(terms):
            self.series[m] = value
            value *= c / (m + 1.0)
        for i in range(size):
            value = 0.0
            for m in range(terms):
                value += self.series[m] * self.power[m * size + i]
            out[at + i] = value
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def over(self, gap: cython.double) -> cython.int:
        """Transition probabilities over a time; those of a step without times. O(K^3)."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        m: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        size: cython.Py_ssize_t = k * k
        terms: cython.Py_ssize_t = 2
        halvings: cython.Py_ssize_t = 0
        c: cython.double
        q: cython.double = 0.0
        value: cython.double
        if not self.timed:
            self.step = self.transition
            return 0
        if gap == self.gap:
            return 0
        self.gap = gap
        self.n_nodes = 0
        for i in range(k):
            if -self.transition[i * k + i] > q:
                q = -self.transition[i * k + i]
        c = q * gap
        if not (c > 0.0):
            for i in range(k):
                for j in range(k):
                    self.step[i * k + j] = 1.0 if i == j else 0.0
            return 0
        while c > LONG and halvings < 60:
            c *= 0.5
            halvings += 1
        if c > LONG:
            c = LONG
        value = c
        while value > 1e-18 and terms < TERMS:
            value *= c / terms
            terms += 1
        for i in range(k):
            for j in range(k):
                self.power[i * k + j] = 1.0 if i == j else 0.0
                value = self.power[i * k + j] + self.transition[i * k + j] / q
                self.power[size + i * k + j] = value if value > 0.0 else 0.0
        for m in range(2, terms):
            for i in range(k):
                for j in range(k):
                    value = 0.0
                    for h in range(k):
                        value += (
                            self.power[(m - 1) * size + i * k + h] * self.power[size + h * k + j]
                        )
                    self.power[m * size + i * k + j] = value
        self.blend(c, terms, self.step, 0)
        if halvings == 0:
            self.n_nodes = 3 if c < 0.1 else 6
            for m in range(self.n_nodes):
                value = self.nodes[m if self.n_nodes == 3 else 6 + m]
                self.blend(c * value, terms, self.at_node, m * size)
        for _ in range(halvings):
            self.multiply(self.step, self.step, self.power)
            for i in range(size):
                self.step[i] = self.power[i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def renew(self) -> cython.int:
        """The transitions have changed: nothing computed of them holds."""
        self.gap = float("nan")
        return 0

    def settle(self) -> None:
        """Believe what holds in the long run."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        self.renew()
        if self.timed:
            self.over(float("inf"))
            for i in range(k * k):
                self.power[i] = self.step[i]
        else:
            for i in range(k * k):
                self.power[i] = self.transition[i]
            for _ in range(30):
                self.multiply(self.power, self.power, self.flow)
                for i in range(k * k):
                    self.power[i] = self.flow[i]
        for j in range(k):
            self.belief[j] = 0.0
            for i in range(k):
                self.belief[j] += self.power[i * k + j] / k

    # -- filter ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def predict(self, gap: cython.double) -> cython.int:
        """Probabilities of the components before the next point is seen."""
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        self.over(gap)
        for j in range(k):
            value = 0.0
            for h in range(k):
                value += self.belief[h] * self.step[h * k + j]
            self.predicted[j] = value if value > 1e-300 else 1e-300
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def weigh(
        self, x: cython.double[::1], at: cython.Py_ssize_t, gates: cython.double[::1]
    ) -> cython.double:
        """E-step of a point with the weights predicted; its log density given the past, in nats.

        The evidence of an outlier fades with its distance: tempered by outlying once, what tells
        wide components from narrow ones would stay, by its square nothing does.
        """
        components: Components = self.components
        log_density: cython.double
        gate: cython.double
        self.e_step(x, at, 1.0)
        log_density = components.log_density()
        gate = gates[components.observed]
        self.outlying = gate / components.distance if components.distance > gate else 1.0
        if self.temper != 1.0 or self.outlying != 1.0:
            self.e_step(x, at, self.temper * self.outlying * self.outlying)
        return log_density

    @cython.cfunc
    @cython.exceptval(check=False)
    def e_step(
        self, x: cython.double[::1], at: cython.Py_ssize_t, temper: cython.double
    ) -> cython.int:
        j: cython.Py_ssize_t
        components: Components = self.components
        components.temper = temper
        for j in range(self.n):
            components.log_coef[j] = (
                log(self.predicted[j]) + temper * components.log_norm[j]
                if components.log_coef[j] > -1e299
                else -1e300
            )
        components.take_point(first(x), at)
        components.e_step()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def observe(
        self,
        x: cython.double[::1],
        at: cython.Py_ssize_t,
        gap: cython.double,
        gates: cython.double[::1],
        learning: cython.bint,
    ) -> cython.double:
        """Take a point into the belief; its log density given the past, in nats."""
        j: cython.Py_ssize_t
        log_density: cython.double
        self.predict(gap)
        self.look_back()
        if learning:
            self.flows()
        log_density = self.weigh(x, at, gates)
        for j in range(self.n):
            self.belief[j] = self.components.resp[j]
        return log_density

    @cython.cfunc
    @cython.exceptval(check=False)
    def look_back(self) -> cython.int:
        """Where the chain came from, given where it is predicted to be."""
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        for j in range(k):
            for h in range(k):
                # from where nothing leads it may have come from anywhere
                self.back[h * k + j] = (
                    self.belief[h] * self.step[h * k + j] / self.predicted[j]
                    if self.predicted[j] > 1e-300
                    else self.belief[h]
                )
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def flows(self) -> cython.int:
        """Changes i -> j over the last gap, given that the chain is now in k: at [i, j, k].

        In continuous time their expected number, and on the diagonal the time spent in i:

            q_ij / predicted_k  int_0^dt  (phi exp(Q s))_i  exp(Q (dt - s))_jk  ds

        the integral by Gauss-Legendre quadrature, whose nodes lie symmetric about dt / 2.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        m: cython.Py_ssize_t
        other: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        size: cython.Py_ssize_t = k * k
        first: cython.Py_ssize_t
        value: cython.double
        for i in range(k * size):
            self.flow[i] = 0.0
        if not self.timed:
            for i in range(k):
                for j in range(k):
                    self.flow[i * size + j * k + j] = self.back[i * k + j]
            return 0
        first = 0 if self.n_nodes == 3 else 6
        for m in range(self.n_nodes):
            other = (self.n_nodes - 1 - m) * size
            for i in range(k):
                value = 0.0
                for h in range(k):
                    value += self.belief[h] * self.at_node[m * size + h * k + i]
                value *= self.gap * self.nodes[first + self.n_nodes + m]
                for j in range(k):
                    for h in range(k):
                        self.flow[i * size + j * k + h] += (
                            value
                            * (1.0 if i == j else self.transition[i * k + j])
                            * self.at_node[other + j * k + h]
                            / self.predicted[h]
                        )
        return 0

    # -- finite series --------------------------------------------------------------------------

    def filter(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        gates: cython.double[::1],
        probabilities: cython.double[::1],
        log_density: cython.double[::1],
    ) -> None:
        """Probabilities of the components after each of n points, and log densities, in place."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        for i in range(n):
            log_density[i] = self.observe(x, i * self.components.n_features, gaps[i], gates, False)
            for j in range(self.n):
                probabilities[i * self.n + j] = self.belief[j]

    def smooth(
        self, n: cython.Py_ssize_t, gaps: cython.double[::1], probabilities: cython.double[::1]
    ) -> None:
        """From probabilities after each of n points to those given all of them, in place."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        for i in range(n - 2, -1, -1):
            for h in range(k):
                self.belief[h] = probabilities[i * k + h]
            self.predict(gaps[i + 1])
            self.look_back()
            for h in range(k):
                value = 0.0
                for j in range(k):
                    value += self.back[h * k + j] * probabilities[(i + 1) * k + j]
                probabilities[i * k + h] = value

    def decode(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        gates: cython.double[::1],
        labels: cython.longlong[::1],
    ) -> None:
        """The most probable path through n points, written in place (Viterbi 1967)."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        best: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        value: cython.double
        found: cython.double
        came: cython.longlong[::1] = array("q", bytes(8 * n * k))
        score: cython.double[::1] = zeros(k)
        ahead: cython.double[::1] = zeros(k)
        for i in range(n):
            self.predict(gaps[i])
            for j in range(k):
                best = 0
                found = log(self.predicted[j]) if i == 0 else -1e308
                if i > 0:
                    for h in range(k):
                        value = self.step[h * k + j]
                        value = score[h] + (log(value) if value > 1e-300 else -700.0)
                        if value > found:
                            found = value
                            best = h
                came[i * k + j] = best
                ahead[j] = found
            for j in range(k):
                self.predicted[j] = 1.0
            self.weigh(x, i * self.components.n_features, gates)
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

    def believe(self, belief: array[float]) -> None:
        """Go on from these probabilities of the components."""
        j: cython.Py_ssize_t
        for j in range(self.n):
            self.belief[j] = belief[j]

    def beliefs(self) -> array[float]:
        return doubles(bytes(self.belief))

    def state(self) -> dict[str, Any]:
        """All that the chain goes on from, as plain values."""
        j: cython.Py_ssize_t
        components: Components = self.components
        parts = components.state()
        # the E-step has put there the weights predicted for the point it saw last
        log_coef = doubles(parts["log_coef"])
        for j in range(self.n):
            if log_coef[j] > -1e299:
                log_coef[j] = components.log_norm[j]
                if components.weight[j] > 0.0:
                    log_coef[j] += log(components.weight[j])
        parts["log_coef"] = bytes(log_coef)
        return {
            "components": parts,
            "transition": bytes(self.transition),
            "timed": bool(self.timed),
            "temper": float(self.temper),
            "belief": bytes(self.belief),
        }

    def __reduce__(self) -> Any:
        return chain_from_state, (self.state(),)


def chain_from_state(state: dict[str, Any]) -> Chain:
    components: Components = components_from_state(state["components"])
    k: int = components.n_components
    belief = block(state, "belief", k)
    result: Chain = Chain(
        components,
        block(state, "transition", k * k),
        flag(state["timed"], "timed"),
        real(state["temper"], "temper", 0.0, 1.0),
    )
    result.belief = belief
    return result
