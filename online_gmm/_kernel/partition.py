"""The segmenter's core: several window lengths at once, and one answer.

Every row is cleaned of single wild readings, brought to the usual units of its channels and given
to scales of different window lengths. Each of them finds its own change points and states. The
scale of 48 points, or of a whole number of periods if there is a period, answers from the start. A
scale with shorter windows takes over when its regimes are clear: when they return, last, and are
far apart, so that short windows see levels and not the parts of a rhythm. If there is none, the
scale takes over on whose regimes another one agrees most: regimes show in windows of several
lengths, what drifts or varies by chance does not. Numbers that are reported keep their meaning when
another scale takes over: its states get the numbers that they overlap with.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.scale import Scale
else:
    from online_gmm._kernel.scale import Scale
from array import array
from typing import Any

from online_gmm._kernel.blocks import RING, blocks_of
from online_gmm._kernel.scale import MOST_STATES
from online_gmm._kernel.values import block, places, real, whole, zeros

WINDOWS = (4, 8, 16, 24, 48, 96, 192)
IMMEDIATE = 2
"""The first so many do not wait for the period."""
FIRST_ROWS = 48
"""Rows by which the units of the channels are known."""
PERIOD_ROWS = 300
BUFFER = 768
FEED = 4
LONGEST_PERIOD = 150
FAINT = 0.3
"""Below this autocorrelation there is no period."""
MOST_WINDOWS = 3.2
"""A window becomes whole periods if a period is no longer than so many windows."""
RHYTHM = 0.67
"""Above this autocorrelation no window is shorter than the period."""
WILD = 8.0
HANDFUL = 3
"""Readings among the first FIRST_ROWS that may be no part of what the channel does."""
N_SNAPSHOTS = 256
CLEAR_CHANGES = 3.0
"""The regimes of short windows are clear from so many changes on; see `Partition.weigh`."""
CLEAR_APART = 1.0
CLEAR_NOISE = 2.3
CLEAR_STAY = 8.0
PLAIN_APART = 0.3
"""Regimes within which nothing but noise is left are clear from the first change on."""
PLAIN_NOISE = 1.12
PLAIN_STAY = 20.0
FAR_APART = 1.5
"""Few regimes, far apart and visited often, may have stays of some windows of the shortest."""
FAR_NOISE = 1.25
FAR_STAY = 5.0
FAR_VISITS = 4.0
LENIENT = 1.5
"""Regimes that were clear remain so with less."""
FIRST_CHOICE = 64
USUAL = 4
"""The scale that answers when no shorter one is clear and no other agrees with one more."""
COMPARED = 3
"""From this scale on, it counts whether another sees the same regimes."""
COMPARED_WINDOWS = 6
"""A scale is compared when the stream is so many windows long."""
TRUST = 0.15
"""By how much the adjusted Rand index of others must be higher than that of the usual scale."""
PATIENCE = 0.1
SHARED = 0.7
"""From this adjusted Rand index on, two scales see the same regimes."""
"""And than that of the scale that answers."""
HISTORY = 16


@cython.cfunc
@cython.exceptval(check=False)
def state_of(scale: Scale) -> cython.Py_ssize_t:
    """The state a scale is in, the first one while it has looks only, -1 before."""
    if scale.now >= 0:
        return scale.now
    return 0 if scale.metric.n_looks > 0 else -1


@cython.final
@cython.cclass
class Partition:
    """Regimes of a stream of rows with ``n_channels`` numbers; NaN stands for a missing one.

    Parameters
    ----------
    n_channels
        Numbers in a row.
    window
        Points of a window; 0 lets the data choose.
    max_regimes
        Regimes there may be at once, at most 64.
    """

    n_channels: cython.Py_ssize_t
    fixed_window: cython.Py_ssize_t
    max_regimes: cython.Py_ssize_t
    scales: list[Scale]
    fed: cython.Py_ssize_t[::1]  # rows that each scale has been given
    n: cython.Py_ssize_t  # rows learnt
    ring: cython.double[::1]
    buffer: cython.double[::1]  # the first rows
    n_buffered: cython.Py_ssize_t
    origin: cython.double[::1]
    unit: cython.double[::1]
    last: cython.double[::1]  # the last two readings of each channel
    n_read: cython.double[::1]
    step: cython.double[::1]  # usual difference of two readings
    period: cython.Py_ssize_t
    rhythm: cython.double
    n_scales: cython.Py_ssize_t
    chosen: cython.Py_ssize_t
    clear: cython.double[::1]
    turn: cython.Py_ssize_t
    # snapshots
    every: cython.Py_ssize_t
    n_snapshots: cython.Py_ssize_t
    snapshot_row: cython.Py_ssize_t[::1]
    snapshot_label: cython.Py_ssize_t[::1]  # as reported
    snapshot_state: cython.Py_ssize_t[::1]  # of each scale, -1 while it has no look
    number: cython.Py_ssize_t[::1]  # reported for a state of a scale, -1 none yet
    history: list[Any]  # last changes of each scale
    n_numbers: cython.Py_ssize_t
    label: cython.Py_ssize_t
    since: cython.Py_ssize_t
    certainty: cython.double
    gap_row: cython.Py_ssize_t
    final: cython.Py_ssize_t  # what the segment was that is over, -1 if that is as reported
    events: list[Any]

    def __init__(self, n_channels: int, window: int = 0, max_regimes: int = MOST_STATES) -> None:
        d = n_channels
        self.n_channels = d
        self.fixed_window = window
        self.max_regimes = max_regimes
        self.scales = []
        self.n_scales = 1 if window else len(WINDOWS)
        self.fed = array("q", bytes(8 * self.n_scales))
        self.n = 0
        self.ring = zeros(RING * d)
        self.buffer = zeros(BUFFER * d)
        self.n_buffered = 0
        self.origin = zeros(d)
        self.unit = zeros(d)
        self.last = zeros(2 * d)
        self.n_read = zeros(d)
        self.step = zeros(d)
        self.period = 0
        self.rhythm = 0.0
        self.chosen = -1
        self.clear = zeros(self.n_scales)
        self.turn = 0
        self.every = 1
        self.n_snapshots = 0
        self.snapshot_row = array("q", bytes(8 * N_SNAPSHOTS))
        self.snapshot_label = array("q", bytes(8 * N_SNAPSHOTS))
        self.snapshot_state = array("q", bytes(8 * N_SNAPSHOTS * self.n_scales))
        self.number = array("q", [-1] * (self.n_scales * MOST_STATES))
        self.history = []
        self.n_numbers = 0
        self.label = -1
        self.since = 0
        self.certainty = 1.0
        self.gap_row = 0
        self.final = -1
        self.events = []

    def learn(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        labels: cython.Py_ssize_t[::1] | None = None,
    ) -> int:
        """Learn n rows; ``labels`` takes the label after each."""
        i: cython.Py_ssize_t
        for i in range(n):
            self.take(x, i * self.n_channels)
            if labels is not None:
                labels[i] = self.label
        return n

    def gap(self) -> None:
        """Time has passed without rows: windows and differences begin anew at the next one."""
        self.gap_row = self.n
        for i in range(2 * self.n_channels):
            self.last[i] = float("nan")

    @property
    def answering_window(self) -> int:
        """Points of the windows of the scale that answers; 0 before there is one."""
        if not self.scales:
            return 0
        scale: Scale = cython.cast(Scale, self.scales[max(0, self.chosen)])
        return scale.window

    @property
    def probability(self) -> float:
        """How certain the label is; NaN while there is none."""
        return self.certainty if self.label >= 0 else float("nan")

    @cython.cfunc
    @cython.exceptval(-2)
    def take(self, x: cython.double[::1], at: cython.Py_ssize_t) -> cython.int:
        """Learn the row that stands at a place."""
        d: cython.Py_ssize_t = self.n_channels
        j: cython.Py_ssize_t
        n_made: cython.Py_ssize_t
        now: cython.Py_ssize_t = RING
        buffer: cython.Py_ssize_t = BUFFER
        v: cython.double
        now = self.n % now
        for j in range(d):
            v = x[at + j]
            if v == v:
                v = self.cleaned(j, v)
            if self.n < buffer:
                self.buffer[self.n * d + j] = v
            else:
                self.ring[now * d + j] = self.standard(j, v)
        self.n += 1
        if self.n <= buffer:
            self.begin(now)
        n_made = len(self.scales)
        if n_made == 0:
            return 0
        for j in range(n_made):
            self.feed(j)
        if self.n % self.every == 0:
            self.snapshot()
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def begin(self, now: cython.Py_ssize_t) -> cython.int:
        """What the first rows are for besides: units, the period and the scales."""
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
        if self.n == FIRST_ROWS:
            self.found(0)
        if self.n == PERIOD_ROWS:
            self.find_period()
            self.found(1)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def cleaned(self, j: cython.Py_ssize_t, v: cython.double) -> cython.double:
        """A reading; if it lies far from both before it, the middle one of the three."""
        a: cython.double = self.last[2 * j]
        b: cython.double = self.last[2 * j + 1]
        middle: cython.double = v
        usual: cython.double = self.step[j]
        gap: cython.double
        gain: cython.double
        n: cython.double = self.n_read[j]
        wild: cython.double = WILD
        if n >= 2.0 and a == a and b == b:
            if (a <= b and v > b) or (a > b and v < b):
                middle = b
            elif (a <= b and v < a) or (a > b and v > a):
                middle = a
            gap = v - middle if v > middle else middle - v
            if n <= 20.0 or usual == 0.0 or gap <= wild * usual:
                middle = v
            gap = v - b if v > b else b - v
            if n > 20.0 and gap > 4.0 * usual:
                gap = 4.0 * usual
            gain = 1.0 / (n - 1.0)
            if gain < 0.005:
                gain = 0.005
            self.step[j] += gain * (gap - usual)
        self.last[2 * j] = b
        self.last[2 * j + 1] = v
        self.n_read[j] = n + 1.0
        return middle

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
    @cython.exceptval(check=False)
    def find_period(self) -> cython.int:
        """The first high peak of the mean autocorrelation of the channels in the first rows."""
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
        n_moving: cython.double = 0.0
        x: cython.double[::1] = zeros(n)
        r: cython.double[::1] = zeros(most)
        total: cython.double[::1] = zeros(most)
        self.period = 4
        self.rhythm = -1.0
        for j in range(d if d < 8 else 8):
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
            for lag in range(most):
                v = 0.0
                for i in range(n - lag):
                    v += x[i] * x[i + lag]
                r[lag] = v / (n - lag)
            if r[0] > 0.0:
                n_moving += 1.0
                for lag in range(most):
                    total[lag] += r[lag] / r[0]
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
            if (
                total[lag] >= total[lag - 1]
                and total[lag] >= total[lag + 1]
                and total[lag] >= 0.8 * high
            ):
                i = lag
                break
        if i < 0:
            i = begin
            for lag in range(begin, most):
                if total[lag] > total[i]:
                    i = lag
        self.period = i
        self.rhythm = total[i] / n_moving
        return 0

    @cython.cfunc
    def found(self, later: cython.bint) -> Any:
        """Make the scales that can be made now."""
        if self.fixed_window:
            if not later:
                self.add_scale(self.fixed_window)
            return
        for i, window in enumerate(WINDOWS):
            if (i >= IMMEDIATE) == later:
                if later and self.rhythm > FAINT and self.period <= MOST_WINDOWS * window:
                    window = self.period * -(-window // self.period)
                self.add_scale(window)

    @cython.cfunc
    @cython.exceptval(-1)
    def is_long(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether the windows of a scale are no shorter than a clear period."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        return self.rhythm <= RHYTHM or scale.window >= 0.9 * self.period

    def add_scale(self, window: int) -> None:
        self.add_blocks(*blocks_of(window))

    def add_blocks(self, stride: int, length: int) -> None:
        scale = Scale(self.n_channels, stride, length)
        scale.room = self.max_regimes
        self.scales.append(scale)
        self.history.append([])
        k = len(self.scales) - 1
        for i in range(N_SNAPSHOTS):
            self.snapshot_state[k * N_SNAPSHOTS + i] = -1

    @cython.cfunc
    @cython.exceptval(-2)
    def feed(self, k: cython.Py_ssize_t) -> cython.int:
        """Give a scale the rows that it has not had."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        row: cython.Py_ssize_t
        first: cython.Py_ssize_t
        usual: cython.bint
        left: cython.Py_ssize_t = FEED
        ring: cython.Py_ssize_t = RING
        while left > 0:
            row = self.fed[k]
            if row == self.n:
                break
            left -= 1
            first = self.gap_row if row >= self.gap_row else 0
            if row == first:
                scale.blocks.clear()
            if row < self.n_buffered:
                scale.learn(self.buffer, row, row + 1 - first, row)
            else:
                scale.learn(self.ring, row % ring, row + 1 - first, row)
            self.fed[k] += 1
            if len(scale.events) > 0:
                self.hear(k)
        if scale.fitted and (self.label < 0 or self.chosen < 0):
            usual = k == USUAL or self.fixed_window > 0
            if self.label < 0:
                self.label = self.named(k, scale.now)
                if usual:
                    self.chosen = k
            elif usual:
                self.change_over(k)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def hear(self, k: cython.Py_ssize_t) -> cython.int:
        """Take note of what a scale tells."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * N_SNAPSHOTS
        scale: Scale = cython.cast(Scale, self.scales[k])
        for event in scale.events:
            if event[0] == "change":
                place, after = event[1], event[4]
                for i in range(self.n_snapshots):
                    if self.snapshot_row[i] >= place and self.snapshot_state[at + i] >= 0:
                        self.snapshot_state[at + i] = after
                self.history[k].append((place, after, event[5]))
                if len(self.history[k]) > HISTORY:
                    self.history[k].pop(0)
                if k == self.chosen:
                    self.report(k, place, after, event[5])
            elif event[0] == "over":
                # what the segment that is over was, reported with the change that ended it
                place = 0
                if self.history[k]:
                    place, _, certainty = self.history[k].pop()
                    self.history[k].append((place, event[2], certainty))
                for i in range(self.n_snapshots):
                    if self.snapshot_row[i] >= place and self.snapshot_state[at + i] >= 0:
                        self.snapshot_state[at + i] = event[2]
                if k == self.chosen:
                    self.final = self.named(k, event[2])
            else:
                gone, kept = event[2], event[3]
                for i in range(self.n_snapshots):
                    if self.snapshot_state[at + i] == gone:
                        self.snapshot_state[at + i] = kept
                self.history[k] = [
                    (place, kept if state == gone else state, certainty)
                    for place, state, certainty in self.history[k]
                ]
                if k == self.chosen:
                    self.merge(k, gone, kept)
                self.number[k * MOST_STATES + gone] = -1
        scale.events.clear()
        return 0

    @cython.cfunc
    def merge(self, k: cython.Py_ssize_t, gone: cython.Py_ssize_t, kept: cython.Py_ssize_t) -> Any:
        """Tell that two states are one."""
        i: cython.Py_ssize_t
        old: cython.Py_ssize_t = self.number[k * MOST_STATES + gone]
        new: cython.Py_ssize_t = self.named(k, kept)
        if old < 0 or old == new:
            return
        self.events.append(("merged", self.n - 1, old, new))
        if self.label == old:
            self.label = new
        if self.final == old:
            self.final = new
        for i in range(self.n_snapshots):
            if self.snapshot_label[i] == old:
                self.snapshot_label[i] = new

    @cython.cfunc
    @cython.exceptval(-2)
    def named(self, k: cython.Py_ssize_t, state: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The number reported for a state of a scale; a new one if it has none."""
        at: cython.Py_ssize_t = k * MOST_STATES + state
        if self.number[at] < 0:
            self.number[at] = self.n_numbers
            self.events.append(("born", self.n - 1, self.n_numbers))
            self.n_numbers += 1
        return self.number[at]

    @cython.cfunc
    def report(
        self,
        k: cython.Py_ssize_t,
        place: cython.Py_ssize_t,
        state: cython.Py_ssize_t,
        certainty: cython.double,
    ) -> Any:
        """Tell a change, if it is one."""
        i: cython.Py_ssize_t
        label: cython.Py_ssize_t = self.named(k, state)
        if label == self.label:
            return
        before: cython.Py_ssize_t = self.final if self.final >= 0 else self.label
        self.final = -1
        if place <= self.since:
            place = self.since + 1
        self.events.append(("segment", self.since, place, before))
        self.events.append(("change", place, self.n - 1, before, label, certainty))
        self.label = label
        self.since = place
        self.certainty = certainty
        for i in range(self.n_snapshots):
            if self.snapshot_row[i] >= place:
                self.snapshot_label[i] = label

    @cython.cfunc
    @cython.exceptval(-2)
    def snapshot(self) -> cython.int:
        """Keep the states of all scales, and see whether those of one of them are clear."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t
        room: cython.Py_ssize_t = N_SNAPSHOTS
        if self.n_snapshots == room:
            n = room // 2
            for i in range(n):
                self.snapshot_row[i] = self.snapshot_row[2 * i + 1]
                self.snapshot_label[i] = self.snapshot_label[2 * i + 1]
            for k in range(len(self.scales)):
                j = k * room
                for i in range(n):
                    self.snapshot_state[j + i] = self.snapshot_state[j + 2 * i + 1]
            self.n_snapshots = n
            self.every *= 2
            if self.n % self.every != 0:
                return 0
        i = self.n_snapshots
        self.snapshot_row[i] = self.n - 1
        self.snapshot_label[i] = self.label
        for k in range(len(self.scales)):
            self.snapshot_state[k * room + i] = state_of(cython.cast(Scale, self.scales[k]))
        self.n_snapshots += 1
        if self.n >= FIRST_CHOICE and len(self.scales) > 1:
            if self.turn < USUAL:
                self.weigh(self.turn)
            self.turn += 1
            if self.turn >= len(self.scales):
                self.turn = 0
                self.choose()
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def weigh(self, k: cython.Py_ssize_t) -> cython.int:
        """See whether the regimes of a scale with short windows are clear.

        They are if they return, last for several windows, are far apart beside what a window
        varies by within a segment, and if that is not much more than from one window to the next:
        short windows of a curve or a rhythm follow its parts, which are no regimes. Where windows
        vary no more within a segment than from one to the next, the first change is enough; more
        than two regimes must then be seen by a scale with longer windows too. Of the shortest
        windows a few levels that are far apart are clear whatever their rhythm: the parts of a
        curve are many.
        """
        scale: Scale = cython.cast(Scale, self.scales[k])
        changes: cython.double = scale.n_changes
        others: cython.double
        ease: cython.double = LENIENT if self.clear[k] > 0.0 else 1.0
        far: cython.double = FAR_APART if k < IMMEDIATE else CLEAR_APART
        few: cython.double = FAR_VISITS if k < IMMEDIATE else 1.0
        apart: cython.double
        noise: cython.double
        self.clear[k] = 0.0
        if changes < 1.0:
            return 0
        scale.measure()
        if scale.within <= 0.0 or scale.windows <= 0.0:
            return 0
        others = scale.n_seen - 1.0
        apart = scale.between / scale.within
        noise = scale.within / (scale.metric.freedom * scale.windows)
        if (
            (
                (others <= 1.0 or self.is_shared(k))
                and ease * apart >= PLAIN_APART
                and noise <= 1.0 + ease * (PLAIN_NOISE - 1.0)
                and ease * scale.windows >= PLAIN_STAY * (changes + 1.0)
            )
            or (
                changes >= CLEAR_CHANGES
                and self.is_long(k)
                and few * others * others <= ease * changes
                and ease * apart >= far
                and noise <= ease * CLEAR_NOISE
                and ease * scale.windows >= CLEAR_STAY * (changes + 1.0)
            )
            or (
                k < IMMEDIATE
                and changes >= CLEAR_CHANGES
                and FAR_VISITS * others * others <= ease * changes
                and ease * apart >= FAR_APART
                and noise <= 1.0 + ease * (FAR_NOISE - 1.0)
                and ease * scale.windows >= FAR_STAY * (changes + 1.0)
            )
        ):
            self.clear[k] = apart
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def choose(self) -> cython.int:
        """Let the shortest scale answer whose regimes are clear, the usual one if there is none."""
        k: cython.Py_ssize_t
        best: cython.Py_ssize_t = -1
        for k in range(min(USUAL, len(self.scales))):
            if best < 0 and self.clear[k] > 0.0:
                best = k
        if best < 0 and len(self.scales) > USUAL:
            best = self.most_agreed() if cython.cast(Scale, self.scales[USUAL]).fitted else -1
        if best >= 0 and best != self.chosen:
            self.change_over(best)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def most_agreed(self) -> cython.Py_ssize_t:
        """The scale whose regimes another scale sees most alike."""
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(self.scales)
        usual: cython.Py_ssize_t = USUAL
        compared: cython.Py_ssize_t = COMPARED
        best: cython.Py_ssize_t = usual
        most: cython.double = -1.0
        index: cython.double
        likeness: cython.double[::1] = zeros(n)
        for k in range(compared, n):
            if not self.is_comparable(k):
                continue
            for j in range(compared, k):
                if self.is_comparable(j) and self.differ(j, k):
                    index = self.rand_index(j, k)
                    if index > likeness[j]:
                        likeness[j] = index
                    if index > likeness[k]:
                        likeness[k] = index
        for k in range(compared, n):
            if k == usual or self.is_comparable(k):
                index = likeness[k]
                if k == usual:
                    index += TRUST
                if k == self.chosen:
                    index += PATIENCE
                if index > most:
                    most = index
                    best = k
        return best

    @cython.cfunc
    @cython.exceptval(-1)
    def is_shared(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether a scale with longer windows sees regimes like those of scale k."""
        j: cython.Py_ssize_t
        for j in range(k + 1, len(self.scales)):
            if self.is_comparable(j) and self.rand_index(k, j) >= SHARED:
                return True
        return False

    @cython.cfunc
    @cython.exceptval(-1)
    def is_comparable(self, k: cython.Py_ssize_t) -> cython.bint:
        """Whether a scale has seen enough to be compared with others."""
        scale: Scale = cython.cast(Scale, self.scales[k])
        return scale.fitted and self.n >= COMPARED_WINDOWS * scale.window

    @cython.cfunc
    @cython.exceptval(-1)
    def differ(self, j: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.bint:
        """Whether the windows of two scales, the shorter first, are not of nearly one length."""
        one: Scale = cython.cast(Scale, self.scales[j])
        other: Scale = cython.cast(Scale, self.scales[k])
        return 4 * other.window >= 5 * one.window

    @cython.cfunc
    @cython.exceptval(check=False)
    def rand_index(self, j: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.double:
        """The adjusted Rand index of the states of two scales, 0 if one of them has one state.

        Of snapshots at which both have one (Hubert & Arabie 1985).
        """
        i: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        room: cython.Py_ssize_t = N_SNAPSHOTS
        width: cython.Py_ssize_t = MOST_STATES
        n: cython.double = 0.0
        v: cython.double
        both: cython.double = 0.0
        ours: cython.double = 0.0
        theirs: cython.double = 0.0
        table: cython.double[::1] = zeros(width * width)
        rows: cython.double[::1] = zeros(width)
        columns: cython.double[::1] = zeros(width)
        for i in range(self.n_snapshots):
            a = self.snapshot_state[j * room + i]
            b = self.snapshot_state[k * room + i]
            if a >= 0 and b >= 0:
                n += 1.0
                # pairs: a further one for each that is there
                both += table[a * width + b]
                ours += rows[a]
                theirs += columns[b]
                table[a * width + b] += 1.0
                rows[a] += 1.0
                columns[b] += 1.0
        v = n * (n - 1.0) * 0.5
        if ours == v or theirs == v:
            return 0.0
        v = ours * theirs / v
        return (both - v) / (0.5 * (ours + theirs) - v)

    @cython.cfunc
    def change_over(self, k: cython.Py_ssize_t) -> Any:
        """Another scale takes over; its states get the numbers that they overlap with most."""
        i: cython.Py_ssize_t
        s: cython.Py_ssize_t
        number: cython.Py_ssize_t
        at: cython.Py_ssize_t = k * MOST_STATES
        overlap: dict[Any, Any] = {}
        for i in range(self.n_snapshots):
            s = self.snapshot_state[k * N_SNAPSHOTS + i]
            if s >= 0 and self.snapshot_label[i] >= 0:
                pair = (s, self.snapshot_label[i])
                overlap[pair] = overlap.get(pair, 0) + 1
        for s in range(MOST_STATES):
            self.number[at + s] = -1
        taken = set()
        for (s, number), _ in sorted(overlap.items(), key=order):
            if self.number[at + s] < 0 and number not in taken:
                self.number[at + s] = number
                taken.add(number)
        self.chosen = k
        self.final = -1
        scale: Scale = cython.cast(Scale, self.scales[k])
        least: cython.Py_ssize_t = scale.window if self.label >= 0 else 0
        for place, state, certainty in self.history[k]:
            if place > self.since + least:
                self.report(k, place, state, certainty)
        if self.label < 0 or scale.base_row > self.since + least:
            self.report(k, scale.base_row, scale.now, 0.5)
            return
        # both scales see the same segment going on: no change is reported, but it may be a known
        # regime
        newest: cython.Py_ssize_t = self.n_numbers - 1
        number = self.named(k, scale.now)
        if number == self.label:
            return
        if self.label != newest or number > newest:
            self.final = number
            return
        self.events.append(("merged", self.n - 1, self.label, number))
        for i in range(self.n_snapshots):
            if self.snapshot_label[i] == self.label:
                self.snapshot_label[i] = number
        self.label = number

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        return {
            "n_channels": self.n_channels,
            "window": self.fixed_window,
            "max_regimes": self.max_regimes,
            "windows": [scale.shape() for scale in self.scales],
            "scales": [scale.state() for scale in self.scales],
            "history": [list(changes) for changes in self.history],
            "told": list(self.events),
            "rhythm": self.rhythm,
            "ring": bytes(self.ring),
            "buffer": bytes(self.buffer),
            "origin": bytes(self.origin),
            "unit": bytes(self.unit),
            "last": bytes(self.last),
            "n_read": bytes(self.n_read),
            "step": bytes(self.step),
            "clear": bytes(self.clear),
            "fed": bytes(self.fed),
            "snapshot_row": bytes(self.snapshot_row),
            "snapshot_label": bytes(self.snapshot_label),
            "snapshot_state": bytes(self.snapshot_state),
            "number": bytes(self.number),
            "n": self.n,
            "n_buffered": self.n_buffered,
            "period": self.period,
            "chosen": self.chosen,
            "turn": self.turn,
            "every": self.every,
            "n_snapshots": self.n_snapshots,
            "n_numbers": self.n_numbers,
            "label": self.label,
            "since": self.since,
            "final": self.final,
            "certainty": self.certainty,
            "gap_row": self.gap_row,
        }

    @staticmethod
    def from_state(state: dict[str, Any]) -> Partition:
        """The core whose state this is."""
        core = Partition(
            whole(state["n_channels"], "n_channels", 1),
            whole(state["window"], "window"),
            whole(state["max_regimes"], "max_regimes", 1, MOST_STATES),
        )
        core.load(state)
        return core

    def load(self, state: dict[str, Any]) -> None:
        if len(state["windows"]) > self.n_scales:
            raise ValueError("there are more windows than scales")
        for stride, length in state["windows"]:
            self.add_blocks(whole(stride, "stride", 1), whole(length, "length", 1))
        for scale, one in zip(self.scales, state["scales"], strict=True):
            scale.load(one)
        if len(state["history"]) != len(self.scales):
            raise ValueError("each scale has a history")
        self.history = [[known(one) for one in changes] for changes in state["history"]]
        self.events = [tuple(one) for one in state["told"]]
        self.rhythm = real(state["rhythm"], "rhythm", -1e300)
        self.ring = block(state, "ring", len(self.ring), False)
        self.buffer = block(state, "buffer", len(self.buffer), False)
        self.origin = block(state, "origin", len(self.origin), False)
        self.unit = block(state, "unit", len(self.unit), False)
        self.last = block(state, "last", len(self.last), False)
        self.n_read = block(state, "n_read", len(self.n_read), False)
        self.step = block(state, "step", len(self.step), False)
        self.clear = block(state, "clear", len(self.clear), False)
        self.fed = places(state, "fed", len(self.fed))
        self.snapshot_row = places(state, "snapshot_row", len(self.snapshot_row))
        self.snapshot_label = places(state, "snapshot_label", len(self.snapshot_label), -1)
        self.snapshot_state = places(
            state, "snapshot_state", len(self.snapshot_state), -1, MOST_STATES - 1
        )
        self.number = places(state, "number", len(self.number), -1)
        self.n = whole(state["n"], "n")
        self.n_buffered = whole(state["n_buffered"], "n_buffered", 0, BUFFER)
        self.period = whole(state["period"], "period")
        self.chosen = whole(state["chosen"], "chosen", -1, len(self.scales) - 1)
        self.turn = whole(state["turn"], "turn", 0, max(0, len(self.scales) - 1))
        self.every = whole(state["every"], "every", 1)
        self.n_snapshots = whole(state["n_snapshots"], "n_snapshots", 0, N_SNAPSHOTS)
        self.n_numbers = whole(state["n_numbers"], "n_numbers")
        self.label = whole(state["label"], "label", -1)
        self.since = whole(state["since"], "since")
        self.final = whole(state["final"], "final", -1)
        self.gap_row = whole(state["gap_row"], "gap_row")
        self.certainty = real(state["certainty"], "certainty", 0.0, 1.0)

    def __reduce__(self) -> Any:
        return partition_from_state, (self.state(),)

    def drain(self) -> list[tuple[Any, ...]]:
        """What there is to tell since the last time, oldest first."""
        result = list(self.events)
        self.events.clear()
        return result


def known(change: Any) -> tuple[int, int, float]:
    """A change of a scale's history: its place, its state and how certain it is."""
    place, state, certainty = change
    return (
        whole(place, "place"),
        whole(state, "state", 0, MOST_STATES - 1),
        real(certainty, "certainty", 0.0, 1.0),
    )


def order(item: Any) -> Any:
    """Greatest overlap first, then the smaller numbers."""
    return -item[1], item[0]


def partition_from_state(state: dict[str, Any]) -> Partition:
    return Partition.from_state(state)
