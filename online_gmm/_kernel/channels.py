"""Rows of a stream, cleaned of single wild readings and in the usual units of their channels.

The first rows give each channel its origin and its unit: mean and standard deviation, without the
few readings of a sensor that starts far from what it measures. Where a reading lies far from both
before it, each reading of its row counts as the middle one of the last three of its channel. So a
single wild row does not count, and channels that change at one row still do so, a row later. The
first rows give the period of the stream too.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.bursts import Bursts
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from online_gmm._kernel.bursts import Bursts
    from online_gmm._kernel.memory import first
from array import array
from typing import Any

from online_gmm._kernel.blocks import RING
from online_gmm._kernel.values import block, real, whole, zeros

FIRST_ROWS = 48
"""Rows by which the units of the channels are known."""
PERIOD_ROWS = 300
"""Rows by which the period is known."""
BUFFER = 768
LONGEST_PERIOD = 150
WILD = 8.0
EVENTFUL = 4
"""Rows of the windows for which a channel has rare events, if it has any."""
HANDFUL = 3
"""Readings among the first FIRST_ROWS that may be no part of what the channel does."""


@cython.final
@cython.cclass
class Channels:
    """The last rows of a stream with ``n_channels`` numbers each; NaN stands for a missing one."""

    n_channels: cython.Py_ssize_t
    n: cython.Py_ssize_t  # rows taken
    ring: cython.double[::1]
    buffer: cython.double[::1]  # the first rows
    n_buffered: cython.Py_ssize_t
    recent: cython.p_double  # the first number of the ring, and of the buffer
    early: cython.p_double
    origin: cython.double[::1]
    unit: cython.double[::1]
    last: cython.double[::1]  # the last two readings of each channel
    n_read: cython.double[::1]
    step: cython.double[::1]  # usual difference of two readings that differ
    period: cython.Py_ssize_t
    rhythm: cython.double  # autocorrelation at the period

    def __init__(self, n_channels: int) -> None:
        d = n_channels
        self.n_channels = d
        self.n = 0
        self.ring = zeros(RING * d)
        self.buffer = zeros(BUFFER * d)
        self.n_buffered = 0
        self.recent = first(self.ring)
        self.early = first(self.buffer)
        self.origin = zeros(d)
        self.unit = zeros(d)
        self.last = zeros(2 * d)
        self.n_read = zeros(d)
        self.step = zeros(d)
        self.period = 0
        self.rhythm = 0.0

    @cython.cfunc
    @cython.exceptval(check=False)
    def take(self, x: cython.p_double, at: cython.Py_ssize_t) -> cython.int:
        """Take in the row that stands at a place."""
        d: cython.Py_ssize_t = self.n_channels
        j: cython.Py_ssize_t
        now: cython.Py_ssize_t = RING
        buffer: cython.Py_ssize_t = BUFFER
        v: cython.double
        far: cython.bint = False
        now = self.n % now
        for j in range(d):
            if self.is_far(j, x[at + j]):
                far = True
                break
        for j in range(d):
            v = x[at + j]
            if v == v:
                # all channels of the row, so that they change together where they do
                v = self.middle(j, v) if far else v
                self.keep(j, x[at + j])
            if self.n < buffer:
                self.buffer[self.n * d + j] = v
            else:
                self.ring[now * d + j] = self.standard(j, v)
        self.n += 1
        if self.n <= buffer:
            self.begin(now)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(self, now: cython.Py_ssize_t) -> cython.int:
        """What the first rows are for besides: units and the period."""
        d: cython.Py_ssize_t = self.n_channels
        j: cython.Py_ssize_t
        at: cython.Py_ssize_t = (self.n - 1) * d
        self.n_buffered = self.n
        if self.n < FIRST_ROWS:
            return 0
        if self.n == FIRST_ROWS:
            self.settle()
        else:
            for j in range(d):
                self.buffer[at + j] = self.standard(j, self.buffer[at + j])
        for j in range(d):
            self.ring[now * d + j] = self.buffer[at + j]
        if self.n == PERIOD_ROWS:
            self.find_period()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def gap(self) -> cython.int:
        """Time has passed without rows: the next reading has none before it."""
        i: cython.Py_ssize_t
        for i in range(2 * self.n_channels):
            self.last[i] = float("nan")
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def middle(self, j: cython.Py_ssize_t, v: cython.double) -> cython.double:
        """The middle one of a reading and the two before it; the reading if there are no two."""
        a: cython.double = self.last[2 * j]
        b: cython.double = self.last[2 * j + 1]
        if self.n_read[j] < 2.0 or a != a or b != b:
            return v
        if (a <= b and v > b) or (a > b and v < b):
            return b
        if (a <= b and v < a) or (a > b and v > a):
            return a
        return v

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_far(self, j: cython.Py_ssize_t, v: cython.double) -> cython.bint:
        """Whether a reading lies far from both before it."""
        usual: cython.double = self.step[j]
        middle: cython.double
        wild: cython.double = WILD
        if self.n_read[j] <= 20.0 or usual == 0.0:
            return False
        middle = self.middle(j, v)
        return (v - middle if v > middle else middle - v) > wild * usual

    @cython.cfunc
    @cython.exceptval(check=False)
    def keep(self, j: cython.Py_ssize_t, v: cython.double) -> cython.int:
        """Remember a reading, and how far it is from the one before."""
        a: cython.double = self.last[2 * j]
        b: cython.double = self.last[2 * j + 1]
        usual: cython.double = self.step[j]
        gap: cython.double
        gain: cython.double
        n: cython.double = self.n_read[j]
        if n >= 2.0 and a == a and b == b:
            gap = v - b if v > b else b - v
            if n > 20.0 and gap > 4.0 * usual:
                gap = 4.0 * usual
            gain = 1.0 / (n - 1.0)
            if gain < 0.005:
                gain = 0.005
            # while nothing moves, that says nothing of how far the next event is
            if usual == 0.0:
                self.step[j] = gap
            elif gap > 0.0:
                self.step[j] += gain * (gap - usual)
        self.last[2 * j] = b
        self.last[2 * j + 1] = v
        self.n_read[j] = n + 1.0
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def standard(self, j: cython.Py_ssize_t, v: cython.double) -> cython.double:
        """A reading in the channel's units."""
        if v != v:
            return v
        if self.unit[j] < 0.0:  # nothing was read so far
            self.origin[j] = v
            self.unit[j] = 0.0
        v -= self.origin[j]
        if self.unit[j] == 0.0:
            if v == 0.0:
                return 0.0
            # it has not moved so far: the first step is the unit
            self.unit[j] = v if v > 0.0 else -v
        v /= self.unit[j]
        return 1e30 if v > 1e30 else -1e30 if v < -1e30 else v

    def shares(self) -> array[float]:
        """In what share of the first rows each channel has a reading."""
        d: cython.Py_ssize_t = self.n_channels
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        v: cython.double
        result = zeros(d)
        shares: cython.double[::1] = result
        for i in range(self.n_buffered):
            for j in range(d):
                v = self.buffer[i * d + j]
                if v == v:
                    shares[j] += 1.0
        for j in range(d):
            shares[j] /= max(1, self.n_buffered)
        return result

    @cython.cfunc
    @cython.exceptval(check=False)
    def leave_out(self, j: cython.Py_ssize_t) -> cython.int:
        """Take the few first readings of a channel as missing that lie far from all others.

        A sensor may start far from what it measures then. Such readings are farther from the others
        than these are from each other.
        """
        d: cython.Py_ssize_t = self.n_channels
        n: cython.Py_ssize_t = self.n_buffered
        handful: cython.Py_ssize_t = HANDFUL
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        m: cython.Py_ssize_t
        v: cython.double
        sign: cython.double
        least: cython.double
        bound: cython.double
        top: cython.double[::1] = zeros(handful + 1)
        for m in range(2):
            sign = 1.0 if m == 0 else -1.0
            least = float("inf")
            for k in range(handful + 1):
                top[k] = -float("inf")
            for i in range(n):
                v = sign * self.buffer[i * d + j]
                if v != v:
                    continue
                if v < least:
                    least = v
                for k in range(handful + 1):
                    if v > top[k]:
                        v, top[k] = top[k], v
            if top[handful] <= least:
                continue
            for k in range(handful):
                bound = top[k + 1]
                if top[k] - bound > bound - least:
                    for i in range(n - handful):
                        if sign * self.buffer[i * d + j] > bound:
                            self.buffer[i * d + j] = float("nan")
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def settle(self) -> cython.int:
        """Find the units of the channels from the first rows."""
        d: cython.Py_ssize_t = self.n_channels
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        n: cython.double
        v: cython.double
        mean: cython.double
        second: cython.double
        for j in range(d):
            self.leave_out(j)
            n = 0.0
            mean = 0.0
            second = 0.0
            for i in range(self.n_buffered):
                v = self.buffer[i * d + j]
                if v == v:
                    n += 1.0
                    v -= mean
                    mean += v / n
                    second += v * v * ((n - 1.0) / n)
            self.origin[j] = mean
            self.unit[j] = (second / n) ** 0.5 if n > 0.0 else -1.0
            if n > 0.0:
                v = mean if mean > 0.0 else -mean
                if self.unit[j] <= 1e-12 * v:
                    # rounding of the mean is no movement
                    for i in range(self.n_buffered):
                        if self.buffer[i * d + j] == self.buffer[i * d + j]:
                            self.origin[j] = self.buffer[i * d + j]
                            break
                    self.unit[j] = 0.0
            for i in range(self.n_buffered):
                self.buffer[i * d + j] = self.standard(j, self.buffer[i * d + j])
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def has_events(self, j: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.bint:
        """Whether rare events are what a channel does in the first n rows."""
        i: cython.Py_ssize_t
        v: cython.double
        bursts: Bursts = Bursts(1, EVENTFUL)
        for i in range(n):
            v = self.buffer[i * self.n_channels + j]
            if v == v:
                bursts.take(0, v)
        return bursts.are_events(0)

    @cython.cfunc
    @cython.exceptval(check=False)
    def find_period(self) -> cython.int:
        """The first high peak of the mean autocorrelation of the channels in the first rows.

        Products are divided by the squares of both parts of the series, so that a repetition
        counts 1 at its period, however few periods there are (McLeod & Wyvill 2005).
        """
        d: cython.Py_ssize_t = self.n_channels
        n: cython.Py_ssize_t = PERIOD_ROWS
        most: cython.Py_ssize_t = LONGEST_PERIOD
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        lag: cython.Py_ssize_t
        begin: cython.Py_ssize_t = 1
        m: cython.double
        v: cython.double
        mean: cython.double
        high: cython.double
        size: cython.double
        least: cython.double
        n_moving: cython.double = 0.0
        x: cython.double[::1] = zeros(n)
        total: cython.double[::1] = zeros(most)
        self.period = 4
        self.rhythm = -1.0
        for j in range(d if d < 8 else 8):
            if self.has_events(j, n):
                # a few come in a rhythm by chance
                continue
            mean = 0.0
            m = 0.0
            for i in range(n):
                v = self.buffer[i * d + j]
                if v == v:
                    mean += v
                    m += 1.0
            mean = mean / m if m > 0.0 else 0.0
            for i in range(n):
                v = self.buffer[i * d + j]
                x[i] = v - mean if v == v else 0.0
            size = 0.0
            for i in range(n):
                size += 2.0 * x[i] * x[i]
            least = 1e-9 * size
            if size > 0.0:
                n_moving += 1.0
                for lag in range(most):
                    v = 0.0
                    for i in range(n - lag):
                        v += x[i] * x[i + lag]
                    total[lag] += 2.0 * v / size if size > least else 0.0
                    size -= x[lag] * x[lag] + x[n - 1 - lag] * x[n - 1 - lag]
        if n_moving == 0.0:
            return 0
        while begin < most and total[begin] >= 0.0:
            begin += 1
        if begin == most or begin < 4:
            begin = 4
        high = total[begin]
        for lag in range(begin, most):
            if total[lag] > high:
                high = total[lag]
        i = -1
        for lag in range(begin + 1, most - 1):
            if i >= 0:
                # the highest place of that peak
                if total[lag] < 0.8 * high:
                    break
                if total[lag] > total[i]:
                    i = lag
            elif (
                total[lag] >= total[lag - 1]
                and total[lag] >= total[lag + 1]
                and total[lag] >= 0.8 * high
            ):
                i = lag
        if i < 0:
            i = begin
            for lag in range(begin, most):
                if total[lag] > total[i]:
                    i = lag
        self.period = i
        self.rhythm = total[i] / n_moving
        return 0

    def state(self) -> dict[str, Any]:
        return {
            "n_channels": self.n_channels,
            "rhythm": self.rhythm,
            "ring": bytes(self.ring),
            "buffer": bytes(self.buffer),
            "origin": bytes(self.origin),
            "unit": bytes(self.unit),
            "last": bytes(self.last),
            "n_read": bytes(self.n_read),
            "step": bytes(self.step),
            "n": self.n,
            "n_buffered": self.n_buffered,
            "period": self.period,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.rhythm = real(state["rhythm"], "rhythm", -1e300)
        self.ring = block(state, "ring", len(self.ring), False)
        self.buffer = block(state, "buffer", len(self.buffer), False)
        self.recent = first(self.ring)
        self.early = first(self.buffer)
        self.origin = block(state, "origin", len(self.origin), False)
        self.unit = block(state, "unit", len(self.unit), False)
        self.last = block(state, "last", len(self.last), False)
        self.n_read = block(state, "n_read", len(self.n_read), False)
        self.step = block(state, "step", len(self.step), False)
        self.n = whole(state["n"], "n")
        self.n_buffered = whole(state["n_buffered"], "n_buffered", 0, BUFFER)
        self.period = whole(state["period"], "period")
