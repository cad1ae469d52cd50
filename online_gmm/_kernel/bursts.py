"""Rare events in the channels of a stream: what moves for some rows and then is as it was.

Windows that are short beside the time from one event to the next show an event, or none, and
nothing of how many there are. A burst begins with the first move after half a window without any,
and is over after as much. It is an event if the channel is as it was before, and if it has lasted
less than a window. What a switch or a setpoint does is no event, nor is a machine that runs for a
while. Where most bursts are events, a window with moves says nothing of the channel, unless a burst
goes on. If events are all that there is, they are shown, but to short windows nothing is clear.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, packed, unpack
else:
    from online_gmm._kernel.memory import Memory, packed, unpack
from typing import Any

from online_gmm._kernel.values import block

FEWEST = 3.0
"""Events from which on they are what a channel does,"""
MOSTLY = 2.0
"""if there are so many for each other burst."""
REMEMBERED = 64.0
"""With so many bursts all earlier ones count half."""
DENSE = 2.0
"""Windows that a burst goes on for which is no chance run of events, if half the readings move,"""
RUN = 8.0
"""or however many do."""


@cython.final
@cython.no_gc
@cython.cclass
class Bursts(Memory):
    """The bursts of each of ``n_channels``, as windows of so many rows see them."""

    n_channels: cython.Py_ssize_t
    window: cython.double
    n_read: cython.p_double
    value: cython.p_double  # the last reading
    still: cython.p_double  # readings since the last move
    before: cython.p_double  # the reading before the burst
    moves: cython.p_double  # in the burst
    begin: cython.p_double  # the number of the reading at which it began, 0 if there is none
    n_events: cython.p_double
    n_others: cython.p_double
    fewest: cython.double
    mostly: cython.double
    remembered: cython.double
    dense: cython.double
    run: cython.double

    def __init__(self, n_channels: int, window: int) -> None:
        d = n_channels
        self.n_channels = d
        self.window = window
        Memory.__init__(self, 8 * d)
        self.n_read = self.piece(d)
        self.value = self.piece(d)
        self.still = self.piece(d)
        self.before = self.piece(d)
        self.moves = self.piece(d)
        self.begin = self.piece(d)
        self.n_events = self.piece(d)
        self.n_others = self.piece(d)
        self.fewest = FEWEST
        self.mostly = MOSTLY
        self.remembered = REMEMBERED
        self.dense = DENSE
        self.run = RUN

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def take(self, j: cython.Py_ssize_t, x: cython.double) -> cython.int:
        """Take in a reading of a channel."""
        self.n_read[j] += 1.0
        if x != self.value[j]:
            if self.begin[j] == 0.0 and 2.0 * self.still[j] >= self.window:
                self.before[j] = self.value[j]
                self.begin[j] = self.n_read[j]
                self.moves[j] = 0.0
            self.moves[j] += 1.0
            self.value[j] = x
            self.still[j] = 0.0
            return 0
        self.still[j] += 1.0
        if self.begin[j] > 0.0 and 2.0 * self.still[j] >= self.window:
            self.end(j)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def end(self, j: cython.Py_ssize_t) -> cython.int:
        """The burst of a channel is over."""
        if self.value[j] == self.before[j] and self.lasted(j) < self.window:
            self.n_events[j] += 1.0
        else:
            self.n_others[j] += 1.0
        if self.n_events[j] + self.n_others[j] >= self.remembered:
            self.n_events[j] *= 0.5
            self.n_others[j] *= 0.5
        self.begin[j] = 0.0
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def lasted(self, j: cython.Py_ssize_t) -> cython.double:
        """Readings of the burst from its first move to its last one."""
        return self.n_read[j] - self.still[j] - self.begin[j]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def are_events(self, j: cython.Py_ssize_t) -> cython.bint:
        """Whether most bursts of a channel are events."""
        n: cython.double = self.n_events[j]
        return n >= self.fewest and n >= self.mostly * self.n_others[j]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def are_all(self) -> cython.bint:
        """Whether events are all that happens in the channels that ever move."""
        j: cython.Py_ssize_t
        result: cython.bint = False
        for j in range(self.n_channels):
            if self.are_events(j):
                result = True
            elif self.still[j] + 1.0 < self.n_read[j]:
                return False
        return result

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def hide(self, j: cython.Py_ssize_t) -> cython.bint:
        """Whether a window that ends here says nothing of a channel."""
        if not self.are_events(j) or self.still[j] + 1.0 >= self.window or self.are_all():
            return False
        return self.begin[j] == 0.0 or not self.goes_on(j)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def goes_on(self, j: cython.Py_ssize_t) -> cython.bint:
        """Whether the burst of a channel is no chance run of events."""
        lasted: cython.double = self.lasted(j)
        most: cython.double = self.dense if 2.0 * self.moves[j] >= lasted else self.run
        return lasted >= most * self.window

    def state(self) -> dict[str, Any]:
        d = self.n_channels
        return {
            "n_read": packed(self.n_read, d),
            "value": packed(self.value, d),
            "still": packed(self.still, d),
            "before": packed(self.before, d),
            "moves": packed(self.moves, d),
            "begin": packed(self.begin, d),
            "n_events": packed(self.n_events, d),
            "n_others": packed(self.n_others, d),
        }

    def load(self, state: dict[str, Any]) -> None:
        d = self.n_channels
        unpack(block(state, "n_read", d), self.n_read, d)
        unpack(block(state, "value", d), self.value, d)
        unpack(block(state, "still", d), self.still, d)
        unpack(block(state, "before", d), self.before, d)
        unpack(block(state, "moves", d), self.moves, d)
        unpack(block(state, "begin", d), self.begin, d)
        unpack(block(state, "n_events", d), self.n_events, d)
        unpack(block(state, "n_others", d), self.n_others, d)
