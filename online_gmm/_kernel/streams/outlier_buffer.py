"""The last points of a stream that no component explains."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import sqrt
    from cython.cimports.online_gmm._kernel.memory import Memory, packed, unpack
else:
    from math import sqrt

    from online_gmm._kernel.memory import Memory, packed, unpack
from online_gmm._kernel.values import block, check_points, real, whole


@cython.final
@cython.no_gc
@cython.cclass
class OutlierBuffer(Memory):
    """The last ``room`` points whose squared distance lies beyond the gates.

    Gates go by the number of features observed. With ``crowd`` nothing is learnt from these points,
    and work is due when there are so many of them among the ``recent`` points.

    A regime may differ from one that is known by its spread only. Few of its points are outliers,
    but the squared distances of the others are too large on average. A cumulative sum (Page 1954)
    of these, less what they are in the mean and a drift, then rises. The last points are kept for
    this.
    """

    n_features: cython.Py_ssize_t
    room: cython.Py_ssize_t
    crowd: cython.Py_ssize_t
    recent: cython.Py_ssize_t
    count: cython.Py_ssize_t  # all so far
    gates: cython.p_double
    points: cython.p_double
    at: cython.p_double  # number of each point in the stream
    seen: cython.Py_ssize_t  # points whose distance entered the sum
    slot: cython.Py_ssize_t  # seen % room: the place of the next one
    length: cython.Py_ssize_t  # the same since the sum was last zero
    excess: cython.double  # the cumulative sum
    drift: cython.double
    limit: cython.double
    last: cython.p_double  # the last points

    def __init__(
        self, n_features: int, room: int, gates: array[float], crowd: int, recent: int
    ) -> None:
        d: int = n_features
        Memory.__init__(self, d + 1 + room * (2 * d + 1))
        self.n_features = d
        self.room = room
        self.crowd = crowd
        self.recent = recent
        self.count = 0
        self.gates = self.piece(d + 1)
        unpack(gates, self.gates, d + 1)
        self.points = self.piece(room * d)
        self.at = self.piece(room)
        self.last = self.piece(room * d)
        self.seen = 0
        self.slot = 0
        self.length = 0
        self.excess = 0.0
        # squared distances have mean D and variance 2 D; the limit is passed once in 1e9 points
        self.drift = 0.3 * sqrt(2.0 * d)
        self.limit = 20.7 * d / self.drift

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def look(
        self, point: cython.p_double, distance: cython.double, observed: cython.Py_ssize_t
    ) -> cython.bint:
        """Add the distance of a point to the sum; return whether that is beyond chance.

        That is looked at when half of ``room`` points have come, for a component that takes them
        for its own becomes wider, and from ``room`` on.
        """
        j: cython.Py_ssize_t
        for j in range(self.n_features):
            self.last[self.slot * self.n_features + j] = point[j]
        self.seen += 1
        self.slot += 1
        if self.slot == self.room:
            self.slot = 0
        self.length += 1
        self.excess += distance - observed - self.drift
        if self.excess <= 0.0:
            self.excess = 0.0
            self.length = 0
        return self.excess > self.limit and (
            self.length >= self.room or self.length == self.room // 2
        )

    def lasting(self) -> bytes:
        """Return the points since the sum was last zero, as far as they are kept; doubles."""
        i: cython.Py_ssize_t
        size: int = 8 * self.n_features
        values = packed(self.last, self.room * self.n_features)
        rows = []
        for i in range(self.seen - min(self.length, self.room), self.seen):
            slot: int = i % self.room
            rows.append(values[size * slot : size * (slot + 1)])
        return b"".join(rows)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add(self, point: cython.p_double, n: cython.Py_ssize_t) -> cython.bint:
        """Add the n-th point of the stream; return whether there is a crowd now.

        The point replaces the oldest if there is no room.
        """
        j: cython.Py_ssize_t
        slot: cython.Py_ssize_t = self.count % self.room
        for j in range(self.n_features):
            self.points[slot * self.n_features + j] = point[j]
        self.at[slot] = n
        self.count += 1
        if self.crowd == 0 or self.count < self.crowd:
            return False
        return self.at[(self.count - self.crowd) % self.room] > n - self.recent

    def clear(self) -> None:
        """Drop all points."""
        self.count = 0
        self.length = 0
        self.excess = 0.0

    def since(self, n: int) -> bytes:
        """Return those that came after the first n points of the stream, as doubles."""
        i: cython.Py_ssize_t
        size: int = 8 * self.n_features
        values = packed(self.points, self.room * self.n_features)
        recent = []
        for i in range(min(self.count, self.room)):
            if self.at[i] > n:
                recent.append(values[size * i : size * (i + 1)])
        return b"".join(recent)

    def state(self) -> dict[str, Any]:
        """Return the points as plain values."""
        return {
            "n": self.count,
            "crowd": self.crowd,
            "recent": self.recent,
            "gates": packed(self.gates, self.n_features + 1),
            "points": packed(self.points, self.room * self.n_features),
            "at": packed(self.at, self.room),
            "seen": self.seen,
            "length": self.length,
            "excess": self.excess,
            "last": packed(self.last, self.room * self.n_features),
        }


def outlier_buffer_from_state(state: dict[str, Any], d: int, room: int) -> OutlierBuffer:
    """Make a buffer from its state, with this number of features and room."""
    points = block(state, "points", room * d, False)
    check_points(points, "strays")
    crowd, recent = state.get("crowd", 0), state.get("recent", 0)
    result: OutlierBuffer = OutlierBuffer(
        d,
        room,
        block(state, "gates", d + 1, False),
        whole(crowd, "crowd", 0, room),
        whole(recent, "recent"),
    )
    result.count = whole(state["n"], "n_buffered")
    unpack(points, result.points, room * d)
    unpack(block(state, "at", room), result.at, room)
    if "last" in state:
        result.seen = whole(state["seen"], "seen")
        result.slot = result.seen % room
        result.length = whole(state["length"], "length", 0, result.seen)
        result.excess = real(state["excess"], "excess")
        last = block(state, "last", room * d, False)
        check_points(last, "last")
        unpack(last, result.last, room * d)
    return result
