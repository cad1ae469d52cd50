"""The last points of a stream that no component explains."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, packed, unpack
else:
    from online_gmm._kernel.memory import Memory, packed, unpack
from online_gmm._kernel.values import block, check_points, whole


@cython.final
@cython.no_gc
@cython.cclass
class Strays(Memory):
    """The last ``room`` points whose squared distance lies beyond the gates.

    Gates go by the number of features observed. With ``crowd`` nothing is learnt from these points,
    and work is due when there are so many of them among the ``recent`` points.
    """

    n_features: cython.Py_ssize_t
    room: cython.Py_ssize_t
    crowd: cython.Py_ssize_t
    recent: cython.Py_ssize_t
    count: cython.Py_ssize_t  # all so far
    gates: cython.p_double
    points: cython.p_double
    at: cython.p_double  # number of each point in the stream

    def __init__(
        self, n_features: int, room: int, gates: array[float], crowd: int, recent: int
    ) -> None:
        d: int = n_features
        Memory.__init__(self, d + 1 + room * (d + 1))
        self.n_features = d
        self.room = room
        self.crowd = crowd
        self.recent = recent
        self.count = 0
        self.gates = self.piece(d + 1)
        unpack(gates, self.gates, d + 1)
        self.points = self.piece(room * d)
        self.at = self.piece(room)

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
        """Return the strays as plain values."""
        return {
            "n": self.count,
            "crowd": self.crowd,
            "recent": self.recent,
            "gates": packed(self.gates, self.n_features + 1),
            "points": packed(self.points, self.room * self.n_features),
            "at": packed(self.at, self.room),
        }


def strays_from_state(state: dict[str, Any], d: int, room: int) -> Strays:
    """Make strays of a state, with this number of features and room."""
    points = block(state, "points", room * d, False)
    check_points(points, "strays")
    crowd, recent = state.get("crowd", 0), state.get("recent", 0)
    result: Strays = Strays(
        d,
        room,
        block(state, "gates", d + 1, False),
        whole(crowd, "crowd", 0, room),
        whole(recent, "recent"),
    )
    result.count = whole(state["n"], "n_strays")
    unpack(points, result.points, room * d)
    unpack(block(state, "at", room), result.at, room)
    return result
