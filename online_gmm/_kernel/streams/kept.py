"""Points of a stream that are kept, to be fitted again."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, copy, packed, unpack
else:
    from online_gmm._kernel.memory import Memory, copy, packed, unpack
from online_gmm._kernel.values import doubles


@cython.final
@cython.no_gc
@cython.cclass
class KeptPoints:
    """At most ``capacity`` points of a stream.

    With ``thinned`` every ``stride``-th point is kept. When there are more than fit, every second
    one is dropped and the stride doubles. Otherwise the first points are kept, with their times.
    """

    n_features: cython.Py_ssize_t
    capacity: cython.Py_ssize_t
    thinned: cython.bint
    stride: cython.Py_ssize_t
    due: cython.Py_ssize_t  # points before this one are not to be kept
    count: cython.Py_ssize_t
    room: cython.Py_ssize_t  # points that the memory has room for
    memory: Memory
    points: cython.p_double
    times: cython.p_double

    def __init__(self, n_features: int, capacity: int, thinned: bool) -> None:
        self.n_features = n_features
        self.capacity = capacity
        self.thinned = thinned
        self.stride = 1
        self.due = 0
        self.count = 0
        self.room = 0
        self.memory = Memory(0)
        self.points = self.memory.piece(0)
        self.times = self.memory.piece(0)

    @cython.cfunc
    def enlarge(self, room: cython.Py_ssize_t) -> cython.int:
        """Move to memory for so many points."""
        d: cython.Py_ssize_t = self.n_features
        n_times: cython.Py_ssize_t = 0 if self.thinned else room
        memory: Memory = Memory(room * d + n_times)
        points: cython.p_double = memory.piece(room * d)
        times: cython.p_double = memory.piece(n_times)
        copy(self.points, self.count * d, points)
        copy(self.times, 0 if self.thinned else self.count, times)
        self.room = room
        self.memory = memory
        self.points = points
        self.times = times
        return 0

    @cython.cfunc
    def make_room(self, n: cython.Py_ssize_t) -> cython.int:
        """Make room for n more points, or for as many as are ever kept."""
        n += self.count
        if n > self.capacity:
            n = self.capacity
        if n > self.room:
            # twice as many as before, so that growing point by point costs O(1) a point
            twice: cython.Py_ssize_t = 2 * self.room
            if twice > self.capacity:
                twice = self.capacity
            self.enlarge(n if n > twice else twice)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def keep(self, point: cython.p_double, n: cython.Py_ssize_t, time: cython.double) -> cython.int:
        """Keep a point, the n-th of its stream, if it is one of those to be kept.

        There must be room for it.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        j = n % self.stride
        self.due = n + self.stride - j
        if j != 0:
            return 0
        if self.count == self.capacity:
            if not self.thinned:
                return 0
            self.stride *= 2
            self.count = self.capacity // 2
            for i in range(self.count):
                for j in range(d):
                    self.points[i * d + j] = self.points[(2 * i + 1) * d + j]
            if n % self.stride != 0 or self.capacity == 0:
                return 0
        for j in range(d):
            self.points[self.count * d + j] = point[j]
        if not self.thinned:
            self.times[self.count] = time
        self.count += 1
        return 0

    def as_bytes(self) -> bytes:
        """Return the points as doubles, row by row."""
        return packed(self.points, self.count * self.n_features)

    def times_as_bytes(self) -> bytes:
        """Return the times of the points as doubles."""
        return packed(self.times, self.count)

    def replace(self, points: bytes, times: bytes, stride: int) -> None:
        """Keep these points instead, every stride-th of all."""
        count: cython.Py_ssize_t = len(points) // (8 * self.n_features)
        self.count = 0
        self.make_room(count)
        unpack(doubles(points), self.points, count * self.n_features)
        if not self.thinned:
            unpack(doubles(times), self.times, count)
        self.count = count
        self.stride = stride
        self.due = 0
