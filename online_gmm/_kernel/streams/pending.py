"""Points that wait until later ones have told where the chain was: fixed-lag smoothing."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, move, packed
    from cython.cimports.online_gmm._kernel.streams.chain import Chain
else:
    from online_gmm._kernel.memory import Memory, move, packed
    from online_gmm._kernel.streams.chain import Chain


@cython.final
@cython.no_gc
@cython.cclass
class PendingPoints(Memory):
    """The last points, each with where the chain came from, and what is known of where it was.

    With R_t(i, j) the probability that the chain came from i, given that it is in j at point t and
    the points until then, and gamma_T the belief at the last point,

        gamma_(t-1)(i)  =  sum_j R_t(i, j) gamma_t(j)

    are the smoothed probabilities, and R_t(i, j) gamma_t(j) those of the change i -> j
    (Rauch-Tung-Striebel form of the backward pass).
    """

    n: cython.Py_ssize_t
    d: cython.Py_ssize_t
    size: cython.Py_ssize_t  # doubles of one point
    room: cython.Py_ssize_t
    count: cython.Py_ssize_t
    points: cython.p_double  # [t, :]: step, step of changes, x, R_t [from, to]
    gamma: cython.p_double  # [t, :]

    def __init__(self, n_components: int, n_features: int, room: int) -> None:
        k: int = n_components
        size: int = 2 + n_features + k * k
        Memory.__init__(self, room * (size + k))
        self.n = k
        self.d = n_features
        self.size = size
        self.room = room
        self.count = 0
        self.points = self.piece(room * size)
        self.gamma = self.piece(room * k)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def push(self, chain: Chain, g: cython.double, g_changes: cython.double) -> cython.int:
        """Keep the point that the chain has filtered."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = self.count * self.size
        self.points[at] = g
        self.points[at + 1] = g_changes
        at += 2
        for i in range(self.d):
            self.points[at + i] = chain.components.point[i]
        at += self.d
        for i in range(self.n * self.n):
            self.points[at + i] = chain.backward[i]
        self.count += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def smooth(self, belief: cython.p_double) -> cython.int:
        """Compute ``gamma`` of all points, from the belief at the last one. O(K^2) a point."""
        t: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.n
        value: cython.double
        for i in range(n):
            self.gamma[(self.count - 1) * n + i] = belief[i]
        for t in range(self.count - 1, 0, -1):
            at = t * self.size + 2 + self.d
            for i in range(n):
                value = 0.0
                for j in range(n):
                    value += self.points[at + i * n + j] * self.gamma[t * n + j]
                self.gamma[(t - 1) * n + i] = value
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def drop(self, m: cython.Py_ssize_t) -> cython.int:
        """Drop the first m points."""
        self.count -= m
        move(self.points, m * self.size, self.count * self.size, 0)
        return 0

    def state(self) -> bytes:
        """All points, as doubles."""
        return packed(self.points, self.count * self.size)

    def load(self, values: array[float]) -> None:
        """Set the points to those of a state."""
        count: cython.Py_ssize_t = len(values) // self.size
        i: cython.Py_ssize_t
        numbers: cython.double[::1] = values
        if count * self.size != len(values) or count >= self.room:
            raise ValueError(
                f"pending is {len(values)} doubles; it must be less than {self.room} "
                f"times {self.size}"
            )
        for i in range(count * self.size):
            self.points[i] = numbers[i]
        self.count = count
