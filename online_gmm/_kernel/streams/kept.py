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

NOTHING = Memory(0)
"""Where no point is kept."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def second(block: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Whether the point of a block of this size is in its second half: 0 or 1, as if at random."""
    # no product is beyond 63 bits, so that both kernels have the same one
    mixed: cython.Py_ssize_t = (block & 16777215) * 1640531527 + (size & 16777215) * 1274126177
    mixed ^= mixed >> 15
    mixed = (mixed & 134217727) * 739982445
    mixed ^= mixed >> 12
    mixed = (mixed & 134217727) * 695872825
    return (mixed >> 27) & 1


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def place_in_block(block: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Which point of a block is kept, from 1, of blocks of ``size`` points that count from 0.

    It is the one of the half that `second` chooses, and so on, so that the points of larger blocks
    are among those of smaller ones.
    """
    place: cython.Py_ssize_t = 1
    which: cython.Py_ssize_t
    while size > 1:
        which = second(block, size)
        size //= 2
        place += which * size
        block = 2 * block + which
    return place


@cython.final
@cython.no_gc
@cython.cclass
class KeptPoints:
    """At most ``capacity`` points of a stream.

    With ``thinned`` one of every ``stride`` points is kept. When there are more than fit, one of
    every two is dropped and the stride doubles. Which one it is changes from block to block, as if
    at random: always the same one would be of one and the same device where several take turns.
    Otherwise the first points are kept, with their times.
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
        self.memory = NOTHING
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
        from_: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        if not self.is_due(n):
            return 0
        if self.count == self.capacity:
            if not self.thinned:
                return 0
            self.stride *= 2
            # the last block may have begun only: its point is kept if it is in the first half
            self.count = self.capacity // 2
            if self.capacity % 2 == 1 and second(self.count, self.stride) == 0:
                self.count += 1
            for i in range(self.count):
                from_ = 2 * i + second(i, self.stride)
                for j in range(d):
                    self.points[i * d + j] = self.points[from_ * d + j]
            if self.capacity == 0 or not self.is_due(n):
                return 0
        for j in range(d):
            self.points[self.count * d + j] = point[j]
        if not self.thinned:
            self.times[self.count] = time
        self.count += 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def is_due(self, n: cython.Py_ssize_t) -> cython.bint:
        """Whether the n-th point is to be kept; note which one is the next."""
        block: cython.Py_ssize_t = (n - 1) // self.stride
        mine: cython.Py_ssize_t = block * self.stride + place_in_block(block, self.stride)
        if n < mine:
            self.due = mine
            return False
        self.due = (block + 1) * self.stride + place_in_block(block + 1, self.stride)
        return n == mine

    def as_bytes(self) -> bytes:
        """Return the points as doubles, row by row."""
        return packed(self.points, self.count * self.n_features)

    def times_as_bytes(self) -> bytes:
        """Return the times of the points as doubles."""
        return packed(self.times, self.count)

    def replace(self, points: bytes, times: bytes, stride: int) -> None:
        """Keep these points instead, one of every ``stride`` of all."""
        count: cython.Py_ssize_t = len(points) // (8 * self.n_features)
        self.count = 0
        self.make_room(count)
        unpack(doubles(points), self.points, count * self.n_features)
        if not self.thinned:
            unpack(doubles(times), self.times, count)
        self.count = count
        self.stride = stride
        self.due = 0
