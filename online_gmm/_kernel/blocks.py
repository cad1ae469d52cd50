"""Statistics of a trailing window, as the sums of its blocks: nothing is ever taken away.

A window of ``length`` blocks of ``stride`` points is looked at when a block is complete. Each block
has centred moments of every channel, products of every pair of channels, and for every lag the
size of the differences and how many of them rise. A look merges the blocks of the window (Chan,
Golub & LeVeque 1983), so a point costs O(1) for each statistic, whatever the window, and a point
that leaves takes its rounding error with it.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import fabs, log, log1p, sqrt
    from cython.cimports.online_gmm._kernel.bursts import Bursts
    from cython.cimports.online_gmm._kernel.memory import Memory, first, move, packed, unpack
    from cython.cimports.online_gmm._kernel.presence import Presence
else:
    from math import fabs, log, log1p, sqrt

    from online_gmm._kernel.bursts import Bursts
    from online_gmm._kernel.memory import Memory, first, move, packed, unpack
    from online_gmm._kernel.presence import Presence
from array import array
from typing import Any

from online_gmm._kernel.values import block, whole, zeros

RING = 32
"""Rows that are kept for differences; more than the largest lag."""
LAGS = (1, 2, 4, 8, 16)
MOST_FEATURES = 100
MOST_PAIRED = 8
"""Pairs of channels are compared up to so many channels."""
SOFT = 0.1
"""Standard deviations are no smaller than this share of a channel's usual one."""


def lags_of(n_channels: int, window: int) -> tuple[int, ...]:
    """The lags of a window: below half of it, and no more than there is room for features."""
    fitting = [lag for lag in LAGS if 2 * lag < window]
    pairs = n_channels * (n_channels - 1) // 2 if n_channels <= MOST_PAIRED else 0
    room = max(0, (MOST_FEATURES - pairs - 3 * n_channels) // (2 * n_channels))
    if room < len(fitting):
        fitting = {0: [], 1: [1], 2: [1, 4], 3: [1, 4, 16], 4: [1, 2, 4, 16]}[room]
        fitting = [lag for lag in fitting if 2 * lag < window]
    return tuple(fitting)


def blocks_of(window: int) -> tuple[int, int]:
    """Points of a block, and blocks of a window: some eight that come nearest to its length.

    A window below 16 points has blocks of one point.
    """
    if window < 16:
        return 1, window
    sizes = [(max(1, round(window / length)), length) for length in (8, 9, 10, 7)]
    return min(sizes, key=lambda its: abs(its[0] * its[1] - window))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def rise(x: cython.double) -> cython.double:
    """1 for a difference that rises, 0 for one that falls, and 0.5 between them."""
    above: cython.int = x > 0.0
    level: cython.int = x >= 0.0
    return 0.5 * (above + level)


@cython.final
@cython.no_gc
@cython.cclass
class Blocks(Memory):
    """The window of one length over rows of channels in their usual units.

    Parameters
    ----------
    n_channels
        Numbers in a row.
    stride
        Points of a block.
    length
        Blocks of a window.
    periodic
        Whether the window is some whole periods. Then differences reach back before it, so that
        they are of whole periods too, and come to the same at every phase.
    """

    n_channels: cython.Py_ssize_t
    stride: cython.Py_ssize_t
    length: cython.Py_ssize_t
    periodic: cython.bint
    n_features: cython.Py_ssize_t
    n_lags: cython.Py_ssize_t
    lags: cython.p_Py_ssize_t
    n_pairs: cython.Py_ssize_t
    size: cython.Py_ssize_t  # of a block
    sums: cython.p_double  # a ring of blocks, and the current one behind them
    merged: cython.p_double  # n, mean and squared deviations of the channels at the last look
    features: cython.p_double  # of the last look
    parts: cython.p_double  # what a complete block weighs beside those before it, three numbers
    added: cython.p_double  # sums of the differences in the window
    filled: cython.Py_ssize_t  # points of the current block
    newest: cython.Py_ssize_t
    ring: cython.Py_ssize_t
    n_blocks: cython.Py_ssize_t  # complete ones since the window was empty
    soft: cython.double
    presence: Presence
    bursts: Bursts

    def __init__(self, n_channels: int, stride: int, length: int, periodic: bool = False) -> None:
        d = n_channels
        lags = lags_of(d, stride * length)
        self.n_channels = d
        self.stride = stride
        self.length = length
        self.periodic = periodic
        self.n_lags = len(lags)
        self.n_pairs = d * (d - 1) // 2 if d <= MOST_PAIRED else 0
        self.size = 4 * d + 3 * d * len(lags) + 4 * self.n_pairs
        self.n_features = 3 * d + 2 * d * len(lags) + self.n_pairs
        differences = 3 * d * len(lags)
        Memory.__init__(
            self,
            (length + 1) * self.size
            + 4 * d
            + self.n_features
            + 3 * length
            + differences
            + len(lags),
        )
        self.sums = self.piece((length + 1) * self.size)
        self.merged = self.piece(4 * d)
        self.features = self.piece(self.n_features)
        self.parts = self.piece(3 * length)
        self.added = self.piece(differences)
        self.lags = self.places(len(lags))
        for i, lag in enumerate(lags):
            self.lags[i] = lag
        m = float(stride)
        for b in range(length):
            n = b * m
            self.parts[3 * b] = n * m / (n + m)
            self.parts[3 * b + 1] = n * m / (n + m) * ((n - m) / (n + m))
            self.parts[3 * b + 2] = m / (n + m)
        self.filled = 0
        self.newest = length - 1
        self.n_blocks = 0
        self.ring = RING
        self.soft = SOFT
        self.presence = Presence(d, stride, length)
        self.bursts = Bursts(d, stride * length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add(
        self,
        rows: cython.p_double,
        now: cython.Py_ssize_t,
        n_rows: cython.Py_ssize_t,
    ) -> cython.bint:
        """Take in row ``now`` of a ring that has n_rows; whether there is something to look at."""
        d: cython.Py_ssize_t = self.n_channels
        base: cython.Py_ssize_t = self.length * self.size
        row: cython.Py_ssize_t = now * d
        at: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        then: cython.Py_ssize_t
        n_lags: cython.Py_ssize_t = self.n_lags
        lags: cython.p_Py_ssize_t = self.lags
        ring: cython.Py_ssize_t = self.ring
        n: cython.double
        x: cython.double
        y: cython.double
        gap: cython.double
        step: cython.double
        s: cython.p_double = self.sums
        at = base - 4
        for j in range(d):
            at += 4
            x = rows[row + j]
            if x == x:
                self.bursts.take(j, x)
                n = s[at] + 1.0
                if n == 1.0:
                    s[at] = n
                    s[at + 1] += x
                    continue
                gap = x - s[at + 1]
                step = gap / n
                s[at + 3] += gap * step * (n - 1.0) * step * (n - 2.0) - 3.0 * step * s[at + 2]
                s[at + 2] += gap * step * (n - 1.0)
                s[at + 1] += step
                s[at] = n
        for i in range(n_lags):
            if n_rows <= lags[i]:
                continue
            then = now - lags[i]
            if then < 0:
                then += ring
            then *= d
            at = base + 4 * d + 3 * i * d
            for j in range(d):
                x = rows[row + j] - rows[then + j]
                if x == x:
                    s[at] += 1.0
                    s[at + 1] += fabs(x)
                    # no branches: nobody can foresee whether a difference rises
                    s[at + 2] += rise(x)
                at += 3
        if self.n_pairs > 0:
            at = base + 4 * d + 3 * d * n_lags
            for j in range(d):
                x = rows[row + j]
                for k in range(j + 1, d):
                    y = rows[row + k]
                    if x == x and y == y:
                        n = s[at] + 1.0
                        gap = x - s[at + 1]
                        step = s[at + 2] + (y - s[at + 2]) / n
                        s[at] = n
                        s[at + 1] += gap / n
                        s[at + 2] = step
                        s[at + 3] += gap * (y - step)
                    at += 4
        self.filled += 1
        if self.filled < self.stride:
            return False
        self.newest = self.newest + 1 if self.newest + 1 < self.length else 0
        move(s, base, self.size, self.newest * self.size)
        for i in range(base, base + self.size):
            s[i] = 0.0
        self.filled = 0
        self.n_blocks += 1
        return self.n_blocks >= self.length

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def clear(self) -> cython.int:
        """Forget the window, as after a gap: the next look comes when it is full again."""
        i: cython.Py_ssize_t
        for i in range((self.length + 1) * self.size):
            self.sums[i] = 0.0
        self.filled = 0
        self.n_blocks = 0
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def look(self) -> cython.bint:
        """Write the statistics of the window to ``features``; what is not defined stays.

        A channel that is silent has statistics of its own, so that silence is a regime. Returns
        whether the look counts: it does not while it is not known yet if a channel is silent.
        """
        d: cython.Py_ssize_t = self.n_channels
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        b: cython.Py_ssize_t
        at: cython.Py_ssize_t
        out: cython.Py_ssize_t
        n: cython.double
        m: cython.double
        gap: cython.double
        mean: cython.double
        other: cython.double
        second: cython.double
        third: cython.double
        r: cython.double
        s: cython.p_double = self.sums
        parts: cython.p_double = self.parts
        added: cython.p_double = self.added
        features: cython.p_double = self.features
        size: cython.Py_ssize_t = self.size
        length: cython.Py_ssize_t = self.length
        stride: cython.double = self.stride
        end: cython.Py_ssize_t = length * size
        oldest: cython.Py_ssize_t = (self.newest + 1) * size
        presence: cython.p_double = self.presence.seen
        n_lags: cython.Py_ssize_t = self.n_lags
        lags: cython.p_Py_ssize_t = self.lags
        merged: cython.p_double = self.merged
        full: cython.double
        complete: cython.double  # pairs with a lag if no reading is missing
        soft: cython.double = self.soft
        if oldest == end:
            oldest = 0
        for j in range(d):
            n = 0.0
            mean = 0.0
            second = 0.0
            third = 0.0
            full = 0.0
            at = oldest + 4 * j
            for b in range(length):
                m = s[at]
                if m == stride and n == full:
                    gap = s[at + 1] - mean
                    r = n + m
                    third += s[at + 3] + gap * gap * gap * parts[3 * b + 1]
                    third += 3.0 * gap * ((n * s[at + 2] - m * second) / r)
                    second += s[at + 2] + gap * gap * parts[3 * b]
                    mean += gap * parts[3 * b + 2]
                    n = r
                elif m > 0.0:
                    gap = s[at + 1] - mean
                    r = n + m
                    third += s[at + 3] + gap * gap * gap * (n * m / r * ((n - m) / r))
                    third += 3.0 * gap * ((n * s[at + 2] - m * second) / r)
                    second += s[at + 2] + gap * gap * (n * m / r)
                    mean += gap * (m / r)
                    n = r
                full += stride
                at += size
                if at >= end:
                    at -= end
            merged[4 * j] = n
            merged[4 * j + 1] = mean
            merged[4 * j + 2] = second
            merged[4 * j + 3] = 0.0  # whether it is hidden
            self.presence.count(j, n)
            if presence[j] < 0.0:
                self.hush(j)
            elif self.bursts.hide(j):
                presence[j] = 0.0
                merged[4 * j + 3] = 1.0
            if presence[j] <= 0.0:
                continue
            features[j] = mean
            r = second / (n - 1.0)
            features[d + j] = 0.5 * log(r + soft * soft)
            r = sqrt(second / n) if second > 0.0 else 0.0
            if r < soft:
                r = soft
            r = third / n / r / r / r
            features[2 * d + j] = log1p(r) if r > 0.0 else -log1p(-r)
        for i in range(3 * d * n_lags):
            added[i] = 0.0
        at = oldest + 4 * d
        i = 0
        for b in range(length):
            # pairs that reach back before the window are left out, if it is not whole periods
            while i < n_lags and (self.periodic or b * self.stride >= lags[i]):
                i += 1
            for k in range(3 * d * i):
                added[k] += s[at + k]
            at += size
            if at >= end:
                at -= end
        out = 3 * d
        for i in range(n_lags):
            b = 0 if self.periodic else (lags[i] + self.stride - 1) // self.stride
            complete = stride * (length - b)
            for j in range(d):
                at = 3 * (i * d + j)
                n = added[at]
                if presence[j] > 0.0 and self.presence.is_enough(n, j, j, complete):
                    mean = added[at + 1] / n
                    r = 0.5 * log(mean * mean + soft * soft)
                    features[out + j] = r - features[d + j]
                    features[out + d + j] = added[at + 2] / n
            out += 2 * d
        if self.n_pairs > 0:
            i = 4 * d + 3 * d * n_lags
            for j in range(d):
                for k in range(j + 1, d):
                    n = 0.0
                    mean = 0.0
                    other = 0.0
                    second = 0.0
                    full = 0.0
                    at = oldest + i
                    for b in range(length):
                        m = s[at]
                        if m == stride and n == full:
                            gap = s[at + 1] - mean
                            second += s[at + 3] + gap * (s[at + 2] - other) * parts[3 * b]
                            mean += gap * parts[3 * b + 2]
                            other += (s[at + 2] - other) * parts[3 * b + 2]
                            n += m
                        elif m > 0.0:
                            r = n + m
                            gap = s[at + 1] - mean
                            second += s[at + 3] + gap * (s[at + 2] - other) * (n * m / r)
                            mean += gap * (m / r)
                            other += (s[at + 2] - other) * (m / r)
                            n = r
                        full += stride
                        at += size
                        if at >= end:
                            at -= end
                    r = merged[4 * j + 2] * merged[4 * k + 2]
                    if presence[j] < 0.0 or presence[k] < 0.0:
                        features[out] = 0.0
                    elif (
                        r >= 0.0
                        and merged[4 * j + 3] + merged[4 * k + 3] == 0.0
                        and self.presence.is_enough(n, j, k, stride * length)
                    ):
                        r = sqrt(r)
                        # of channels that hardly move nothing is said
                        r = second / r if r > 1e-6 * n else 0.0
                        features[out] = -1.0 if r < -1.0 else 1.0 if r > 1.0 else r
                    out += 1
                    i += 4
        return self.presence.end_look()

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def hush(self, j: cython.Py_ssize_t) -> cython.int:
        """Write what there is to see of a silent channel: no reading varies so little."""
        d: cython.Py_ssize_t = self.n_channels
        at: cython.Py_ssize_t = 3 * d + j
        end: cython.Py_ssize_t = at + 2 * d * self.n_lags
        self.features[j] = 0.0
        self.features[d + j] = 2.0 * log(self.soft)
        self.features[2 * d + j] = 0.0
        while at < end:
            self.features[at] = 0.0
            self.features[at + d] = 0.5
            at += 2 * d
        return 0

    def looks(self, rows: cython.double[::1]) -> array[float]:
        """Return what there is to see in rows that follow one another, a look after another.

        Begins with an empty window. Features that are not defined are those of the look before.
        """
        p: cython.Py_ssize_t = self.n_features
        n: cython.Py_ssize_t = len(rows) // self.n_channels
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t = 0
        n_looks: cython.Py_ssize_t = n // self.stride - self.length + 1
        result = zeros((n_looks if n_looks > 0 else 0) * p)
        out: cython.double[::1] = result
        values: cython.p_double = first(rows)
        self.clear()
        self.ring = n
        with cython.nogil:
            for i in range(n):
                if self.add(values, i, i + 1):
                    self.look()
                    for j in range(p):
                        out[k * p + j] = self.features[j]
                    k += 1
        return result

    def state(self) -> dict[str, Any]:
        return {
            "sums": packed(self.sums, (self.length + 1) * self.size),
            "features": packed(self.features, self.n_features),
            "presence": self.presence.state(),
            "bursts": self.bursts.state(),
            "filled": self.filled,
            "newest": self.newest,
            "n_blocks": self.n_blocks,
        }

    def load(self, state: dict[str, Any]) -> None:
        size = (self.length + 1) * self.size
        unpack(block(state, "sums", size), self.sums, size)
        unpack(block(state, "features", self.n_features), self.features, self.n_features)
        self.presence.load(state["presence"])
        self.bursts.load(state["bursts"])
        self.filled = whole(state["filled"], "filled", 0, self.stride - 1)
        self.newest = whole(state["newest"], "newest", 0, self.length - 1)
        self.n_blocks = whole(state["n_blocks"], "n_blocks")
