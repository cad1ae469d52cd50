"""Transitions of a Markov chain, in discrete and in continuous time.

Over a time dt the transition matrix is A = exp(Q dt). It is computed by uniformisation: with q the
largest rate of leaving a state and P = I + Q / q,

    exp(Q s) = sum_m  e^(-q s) (q s)^m / m!  P^m

and for longer times by squaring.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array

if cython.compiled:
    from cython.cimports.libc.math import exp
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, first, unpack
else:
    from math import exp

    from online_gmm._kernel.memory import Memory, copy, first, unpack

TERMS = 48
"""Terms of the series; with 4 expected events the last one is below 1e-17."""
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
"""Gauss-Legendre nodes, then weights, on [0, 1]: of three, then of six."""


@cython.final
@cython.no_gc
@cython.cclass
class Transition(Memory):
    """Transitions between n states.

    ``matrix`` holds probabilities [from, to] of a step. If ``timed`` it holds rates, with minus
    their sum on the diagonal.
    """

    n: cython.Py_ssize_t
    timed: cython.bint
    matrix: cython.p_double
    # over the last gap
    gap: cython.double
    fresh: cython.bint  # whether what follows was computed from the transitions as they are
    step: cython.p_double  # transition probabilities
    n_nodes: cython.Py_ssize_t  # 0 if the gap says nothing about the rates
    nodes: cython.p_double
    at_node: cython.p_double  # transition probabilities up to each node
    # work space
    power: cython.p_double
    series: cython.p_double
    product: cython.p_double

    def __init__(self, n: int, matrix: array[float], timed: bool) -> None:
        size: int = n * n
        Memory.__init__(self, 3 * size + ((7 + TERMS) * size + TERMS if timed else 0))
        self.n = n
        self.timed = timed
        self.matrix = self.piece(size)
        unpack(matrix, self.matrix, size)
        self.product = self.piece(size)
        self.gap = 0.0
        self.fresh = False
        self.n_nodes = 0
        self.nodes = first(NODES)
        self.power = self.piece(TERMS * size if timed else size)
        self.at_node = self.piece(6 * size if timed else 0)
        self.series = self.piece(TERMS if timed else 0)
        # without times a step is always the same
        self.step = self.piece(size) if timed else self.matrix

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def square(self) -> cython.int:
        """Square the stochastic matrix in ``power``, and scale its rows to a sum of 1."""
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
                    value += self.power[i * k + m] * self.power[m * k + j]
                self.product[i * k + j] = value
                total += value
            for j in range(k):
                self.product[i * k + j] /= total
        copy(self.product, k * k, self.power)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def blend(
        self,
        c: cython.double,
        terms: cython.Py_ssize_t,
        out: cython.p_double,
        at: cython.Py_ssize_t,
    ) -> cython.int:
        """Write transition probabilities after c expected events, from the powers of P."""
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
    @cython.nogil
    @cython.exceptval(check=False)
    def over(self, gap: cython.double) -> cython.int:
        """Compute the transition probabilities over a time, in ``step``. O(K^3).

        Without times they are those of a step.
        """
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
        if not self.timed or (self.fresh and gap == self.gap):
            return 0
        self.gap = gap
        self.fresh = True
        self.n_nodes = 0
        for i in range(k):
            if -self.matrix[i * k + i] > q:
                q = -self.matrix[i * k + i]
        c = q * gap
        if not (c > 0.0):
            for i in range(k):
                for j in range(k):
                    self.step[i * k + j] = 1.0 if i == j else 0.0
            return 0
        # a gap with more than 4 expected changes says nothing about the rates
        while c > 4.0 and halvings < 60:
            c *= 0.5
            halvings += 1
        if c > 4.0:
            c = 4.0
        value = c
        while value > 1e-18 and terms < 48:
            value *= c / terms
            terms += 1
        for i in range(k):
            for j in range(k):
                self.power[i * k + j] = 1.0 if i == j else 0.0
                value = self.power[i * k + j] + self.matrix[i * k + j] / q
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
            return 0
        copy(self.step, size, self.power)
        for _ in range(halvings):
            self.square()
        copy(self.power, size, self.step)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def stationary(self, out: cython.p_double) -> cython.int:
        """Write the stationary distribution to out."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.n
        long: cython.double = 1e300
        if self.timed:
            # infinite
            self.over(long * long)
            copy(self.step, k * k, self.power)
        else:
            copy(self.matrix, k * k, self.power)
            for _ in range(30):
                self.square()
        for j in range(k):
            out[j] = 0.0
            for i in range(k):
                out[j] += self.power[i * k + j] / k
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def m_step(
        self, changes: cython.p_double, prior: cython.p_double, points: cython.double
    ) -> cython.int:
        """Compute the transitions from changes [from, to] a point, and pseudo-changes.

        If timed the diagonal of both holds time. Rows without any change known stay as they are.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        total: cython.double
        value: cython.double
        # what was computed from the old transitions no longer holds
        self.fresh = False
        for i in range(n):
            total = 0.0
            if self.timed:
                value = points * changes[i * n + i] + prior[i * n + i]
                if not (value > 0.0):
                    continue
                for j in range(n):
                    if j != i:
                        self.matrix[i * n + j] = (
                            points * changes[i * n + j] + prior[i * n + j]
                        ) / value
                        total += self.matrix[i * n + j]
                self.matrix[i * n + i] = -total
            else:
                for j in range(n):
                    total += points * changes[i * n + j] + prior[i * n + j]
                if not (total > 0.0):
                    continue
                for j in range(n):
                    self.matrix[i * n + j] = (
                        points * changes[i * n + j] + prior[i * n + j]
                    ) / total
        return 0
