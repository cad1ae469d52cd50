"""Statistics of the last points: sums of blocks, from which nothing is ever taken away.

A window of L points reaches over two blocks of L: all there is of the current one, and what is left
of the one before. The current block adds its points as they come. When it is full, the sums of its
last 1, 2, .. L - 1 points are made from the back, and a new block begins. A window is the sum of
one of these and of the new block, so that a point which leaves takes its rounding error with it.

Sums are of differences from a point of the same block, which is in the window too. These are no
larger than the window's range R, while its squared deviations add up to R^2 / 2 at least: the
relative error is some n times that of a double, at any offset and any scale. Third powers are
summed in a unit that leaves them room.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import log, log1p, sqrt
    from cython.cimports.online_gmm._kernel.points import fill
else:
    from math import log, log1p, sqrt

    from online_gmm._kernel.points import fill
from online_gmm._kernel.values import block, check_points, doubles, flag, real, whole, zeros

MEAN = 0
LOG_SD = 1
AUTOCORRELATION = 2
LOG_DIFFERENCE = 3
CORRELATION = 4
SKEWNESS = 5
RISES = 6
LOG_ROUGHNESS = 7

LAGGED = (AUTOCORRELATION, LOG_DIFFERENCE, RISES, LOG_ROUGHNESS)
SOURCES = {
    MEAN: LOG_SD,
    SKEWNESS: LOG_SD,
    RISES: LOG_DIFFERENCE,
    LOG_ROUGHNESS: LOG_DIFFERENCE,
}
"""What has its own sums and serves others too."""
LEAST = {MEAN: 1.0, LOG_DIFFERENCE: 1.0, RISES: 1.0, LOG_ROUGHNESS: 1.0, SKEWNESS: 3.0}
"""How many numbers or pairs define a statistic, where it is not 2."""


@cython.final
@cython.cclass
class Track:
    """Trailing sums over columns of numbers u or of pairs (u, v).

    The u of a column is a feature, the v another or the same some points before; or u is how far
    these two are apart, and there are the rises to count instead of its squares.
    """

    n_features: cython.Py_ssize_t
    window: cython.Py_ssize_t
    lag: cython.Py_ssize_t
    joint: cython.bint  # pairs, not numbers
    apart: cython.bint
    cubed: cython.bint
    n_columns: cython.Py_ssize_t
    first: cython.Py_ssize_t[::1]  # feature behind u, for each column
    second: cython.Py_ssize_t[::1]
    length: cython.Py_ssize_t  # of a block
    size: cython.Py_ssize_t  # of a column's sums: n, u, u^2, then v, v^2, u v of pairs or u^3
    filled: cython.Py_ssize_t  # points of the current block
    head: cython.double[::1]  # sums of the current block
    origin: cython.double[::1]  # the u and v from which these are measured
    tail: cython.double[::1]  # [i]: sums of the last block without its first i points
    last_origin: cython.double[::1]
    # of the column last read
    work: cython.double[::1]
    count: cython.double
    mean: cython.double
    uu: cython.double  # sums of products of deviations from the mean
    vv: cython.double
    uv: cython.double
    uuu: cython.double  # in units of 2^510
    rises: cython.double

    def __init__(self, kind: int, n_features: int, window: int, lag: int, cubed: bool) -> None:
        self.n_features = n_features
        self.window = window
        self.lag = lag
        self.joint = kind == AUTOCORRELATION or kind == CORRELATION
        self.apart = kind == LOG_DIFFERENCE
        self.cubed = cubed
        columns = columns_of(kind, n_features)
        self.n_columns = len(columns)
        self.first = array("q", [i for i, _ in columns])
        self.second = array("q", [j for _, j in columns])
        self.length = window - self.lag
        self.size = 6 if self.joint else 4 if cubed else 3
        self.filled = 0
        self.head = zeros(self.n_columns * self.size)
        self.origin = zeros(self.n_columns * 2)
        self.tail = zeros((self.length + 1) * self.n_columns * self.size)
        self.last_origin = zeros(self.n_columns * 2)
        self.work = zeros(8)
        self.count = 0.0
        self.mean = 0.0
        self.uu = 0.0
        self.vv = 0.0
        self.uv = 0.0
        self.uuu = 0.0
        self.rises = 0.0

    @cython.cfunc
    @cython.exceptval(check=False)
    def before(self, row: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The row that came ``lag`` points before this one."""
        row -= self.lag
        return row if row > 0 else row + self.window

    @cython.cfunc
    @cython.exceptval(check=False)
    def add_to(
        self,
        sums: cython.double[::1],
        at: cython.Py_ssize_t,
        origin: cython.double[::1],
        where: cython.Py_ssize_t,
        column: cython.Py_ssize_t,
        rows: cython.double[::1],
        now: cython.Py_ssize_t,
        then: cython.Py_ssize_t,
    ) -> cython.int:
        """Add a column's u and v to sums[at:], measured from origin[where:]."""
        u: cython.double = rows[now * self.n_features + self.first[column]]
        v: cython.double = rows[then * self.n_features + self.second[column]]
        if u != u or v != v:
            return 0
        if self.apart:
            if u > v:
                sums[at + 2] += 1.0
            u = u - v if u > v else v - u
        if sums[at] == 0.0:
            origin[where] = u
            origin[where + 1] = v
        sums[at] += 1.0
        u -= origin[where]
        sums[at + 1] += u
        if self.apart:
            return 0
        sums[at + 2] += u * u
        if self.cubed:
            sums[at + 3] += cube(u)
        if self.joint:
            v -= origin[where + 1]
            sums[at + 3] += v
            sums[at + 4] += v * v
            sums[at + 5] += u * v
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def add(self, rows: cython.double[::1], now: cython.Py_ssize_t) -> cython.int:
        """Take in the point that stands in this row."""
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        then: cython.Py_ssize_t = self.before(now)
        if self.filled == self.length:
            self.filled = 0
            for i in range(self.n_columns * self.size):
                self.head[i] = 0.0
        for c in range(self.n_columns):
            self.add_to(self.head, c * self.size, self.origin, 2 * c, c, rows, now, then)
        self.filled += 1
        if self.filled == self.length:
            self.turn(rows, now)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def turn(self, rows: cython.double[::1], row: cython.Py_ssize_t) -> cython.int:
        """Make the tails of the block that this row completes."""
        i: cython.Py_ssize_t = self.length - 1
        j: cython.Py_ssize_t
        c: cython.Py_ssize_t
        at: cython.Py_ssize_t
        then: cython.Py_ssize_t
        block: cython.Py_ssize_t = self.n_columns * self.size
        while i > 0:
            then = self.before(row)
            for j in range(block):
                self.tail[i * block + j] = self.tail[(i + 1) * block + j]
            for c in range(self.n_columns):
                at = i * block + c * self.size
                self.add_to(self.tail, at, self.last_origin, 2 * c, c, rows, row, then)
            i -= 1
            row = row - 1 if row > 1 else self.window
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def read(
        self,
        column: cython.Py_ssize_t,
        rows: cython.double[::1],
        newest: cython.Py_ssize_t,
        ahead: cython.bint,
    ) -> cython.int:
        """Moments of a column in the window, as if row 0 had been added if ``ahead``."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = column * self.size
        filled: cython.Py_ssize_t = self.filled
        n: cython.double
        m: cython.double
        uu: cython.double
        gap: cython.double
        du: cython.double
        dv: cython.double
        work: cython.double[::1] = self.work
        tail: cython.double[::1] = self.tail
        for i in range(self.size):
            work[i] = self.head[at + i]
        work[6] = self.origin[2 * column]
        work[7] = self.origin[2 * column + 1]
        if ahead:
            if filled == self.length:
                filled = 0
                for i in range(self.size):
                    work[i] = 0.0
            i = self.before(newest + 1) if self.lag > 0 else 0
            self.add_to(work, 0, work, 6, column, rows, 0, i)
            filled += 1
        at += filled * self.n_columns * self.size
        n = work[0]
        m = tail[at]
        self.count = n + m
        if self.count == 0.0:
            return 0
        # an empty part has sums of 0, and no origin
        gap = self.last_origin[2 * column] - work[6] if n > 0.0 and m > 0.0 else 0.0
        self.mean = work[6] if n > 0.0 else self.last_origin[2 * column]
        self.mean += (work[1] + (tail[at + 1] + m * gap)) / self.count
        if self.apart:
            self.rises = (work[2] + tail[at + 2]) / self.count
            return 0
        self.uu = deviations(n, work[1], work[1], work[2])
        uu = deviations(m, tail[at + 1], tail[at + 1], tail[at + 2])
        du = 0.0
        if n > 0.0 and m > 0.0:
            du = gap + (tail[at + 1] / m - work[1] / n)
        if self.cubed:
            self.uuu = deviations3(n, work[1], self.uu, work[3])
            self.uuu += deviations3(m, tail[at + 1], uu, tail[at + 3])
            if n > 0.0 and m > 0.0:
                self.uuu += cube(du) * (n * m / self.count * ((n - m) / self.count))
                self.uuu += 3.0 * product(du, (n * uu - m * self.uu) / self.count)
        self.uu += uu
        if n > 0.0 and m > 0.0:
            self.uu += du * du * (n * m / self.count)
        if not self.joint:
            return 0
        self.vv = deviations(n, work[3], work[3], work[4])
        self.vv += deviations(m, tail[at + 3], tail[at + 3], tail[at + 4])
        self.uv = deviations(n, work[1], work[3], work[5])
        self.uv += deviations(m, tail[at + 1], tail[at + 3], tail[at + 5])
        if n > 0.0 and m > 0.0:
            dv = self.last_origin[2 * column + 1] - work[7]
            dv += tail[at + 3] / m - work[3] / n
            self.vv += dv * dv * (n * m / self.count)
            self.uv += du * dv * (n * m / self.count)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def sd(self) -> cython.double:
        """The standard deviation of the column last read, which has two values."""
        return sqrt(self.uu / (self.count - 1.0)) if self.uu > 0.0 else 0.0

    def state(self) -> dict[str, Any]:
        return {
            "filled": self.filled,
            "head": bytes(self.head),
            "origin": bytes(self.origin),
            "tail": bytes(self.tail),
            "last_origin": bytes(self.last_origin),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.filled = whole(state["filled"], "filled", 0, self.length)
        self.head = block(state, "head", len(self.head), False)
        self.origin = block(state, "origin", len(self.origin), False)
        self.tail = block(state, "tail", len(self.tail), False)
        self.last_origin = block(state, "last_origin", len(self.last_origin), False)


def columns_of(kind: int, n_features: int) -> list[tuple[int, int]]:
    """Which features a statistic is of: each, or each pair of them."""
    if kind == CORRELATION:
        return [(i, j) for i in range(n_features) for j in range(i + 1, n_features)]
    return [(i, i) for i in range(n_features)]


def n_columns(kind: int, n_features: int) -> int:
    return n_features * (n_features - 1) // 2 if kind == CORRELATION else n_features


def each_of(statistics: tuple[int, ...], lags: tuple[int, ...]) -> list[tuple[int, int]]:
    """Statistics with their lags."""
    return [(kind, lag) for kind in statistics for lag in (lags if kind in LAGGED else (0,))]


def tracks_of(statistics: tuple[int, ...], lags: tuple[int, ...]) -> list[tuple[int, int]]:
    """The sums behind them, each once."""
    sources = [(SOURCES.get(kind, kind), lag) for kind, lag in each_of(statistics, lags)]
    spread = [(LOG_SD, 0)] if LOG_ROUGHNESS in statistics else []
    return list(dict.fromkeys(sources + spread))


@cython.cfunc
@cython.exceptval(check=False)
def deviations(
    n: cython.double, u: cython.double, v: cython.double, uv: cython.double
) -> cython.double:
    """Sum of products of deviations from the mean, from sums of u, v and u v."""
    return uv - u * v / n if n > 1.0 else 0.0


@cython.cfunc
@cython.exceptval(check=False)
def product(u: cython.double, vv: cython.double) -> cython.double:
    """u times v^2, in units of 2^510: sums of the largest are finite."""
    return (u * 2.0**-170) * (vv * 2.0**-340)


@cython.cfunc
@cython.exceptval(check=False)
def cube(u: cython.double) -> cython.double:
    """u^3, in the same units."""
    u *= 2.0**-170
    return u * u * u


@cython.cfunc
@cython.exceptval(check=False)
def deviations3(
    n: cython.double, u: cython.double, uu: cython.double, uuu: cython.double
) -> cython.double:
    """Sum of cubed deviations from the mean, from sums of u, u^3 and squared deviations."""
    return uuu - 3.0 * product(u / n, uu) - n * cube(u / n) if n > 1.0 else 0.0


@cython.final
@cython.cclass
class Windows:
    """Statistics of the last ``window`` points of named features.

    There is one key for each column of each statistic, in this order.
    """

    names: tuple[Any, ...]
    keys: tuple[Any, ...]
    closed: cython.bint  # whether names that are not here are passed over
    window: cython.Py_ssize_t
    lags: tuple[int, ...]
    floor: cython.double
    statistics: tuple[int, ...]
    n_features: cython.Py_ssize_t
    n_keys: cython.Py_ssize_t
    tracks: list[Track]
    track: cython.Py_ssize_t[::1]  # of each key
    column: cython.Py_ssize_t[::1]
    statistic: cython.Py_ssize_t[::1]
    least: cython.double[::1]
    spread: cython.Py_ssize_t  # the track of the features themselves, if there is one
    n: cython.Py_ssize_t  # points learnt
    newest: cython.Py_ssize_t  # row of the last point, 0 before there is one
    rows: cython.double[::1]  # a ring from row 1 on; row 0 is for the point in hand
    last: Any  # what was learnt last, to know it again

    def __init__(
        self,
        names: tuple[Any, ...],
        keys: tuple[Any, ...],
        closed: bool,
        window: int,
        lags: tuple[int, ...],
        floor: float,
        statistics: tuple[int, ...],
    ) -> None:
        self.names = names
        self.keys = keys
        self.closed = closed
        self.window = window
        self.lags = lags
        self.floor = floor
        self.statistics = statistics
        self.n_features = len(names)
        each = each_of(statistics, lags)
        sources = [(SOURCES.get(kind, kind), lag) for kind, lag in each]
        place = {source: i for i, source in enumerate(tracks_of(statistics, lags))}
        self.tracks = [
            Track(kind, len(names), window, lag, kind == LOG_SD and SKEWNESS in statistics)
            for kind, lag in place
        ]
        self.spread = place.get((LOG_SD, 0), 0)
        track, column, statistic = [], [], []
        for (kind, _), source in zip(each, sources, strict=True):
            for c in range(len(columns_of(kind, len(names)))):
                track.append(place[source])
                column.append(c)
                statistic.append(kind)
        self.n_keys = len(track)
        self.track = array("q", track)
        self.column = array("q", column)
        self.statistic = array("q", statistic)
        self.least = array("d", [LEAST.get(kind, 2.0) for kind in statistic])
        self.n = 0
        self.newest = 0
        self.rows = zeros((window + 1) * len(names))
        self.last = None

    @property
    def known(self) -> tuple[Any, ...]:
        """The names of the features."""
        return self.names

    @property
    def settings(self) -> tuple[Any, ...]:
        """All that it was made with but the names."""
        return bool(self.closed), self.window, self.lags, self.floor, self.statistics

    @property
    def outputs(self) -> tuple[Any, ...]:
        """The keys of the statistics."""
        return self.keys

    @cython.cfunc
    @cython.exceptval(check=False)
    def take(self) -> cython.int:
        """Learn the point in row 0."""
        j: cython.Py_ssize_t
        i: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        self.newest = self.newest % self.window + 1
        self.n += 1
        for j in range(d):
            self.rows[self.newest * d + j] = self.rows[j]
        for i in range(len(self.tracks)):
            track: Track = cython.cast(Track, self.tracks[i])
            if self.n > track.lag:
                track.add(self.rows, self.newest)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def log_of(self, value: cython.double) -> cython.double:
        return log(value if value > self.floor else self.floor)

    @cython.cfunc
    @cython.exceptval(check=False)
    def value(self, key: cython.Py_ssize_t, ahead: cython.bint) -> cython.double:
        """A statistic, NaN where it is not defined."""
        r: cython.double
        kind: cython.Py_ssize_t = self.statistic[key]
        track: Track = cython.cast(Track, self.tracks[self.track[key]])
        track.read(self.column[key], self.rows, self.newest, ahead and self.n >= track.lag)
        if track.count < self.least[key]:
            return float("nan")
        # a flag costs nothing, but the names of kinds are looked up in Python
        if track.joint:
            if not (track.uu > 0.0 and track.vv > 0.0):
                return float("nan")
            r = track.uv / sqrt(track.uu) / sqrt(track.vv)
            return -1.0 if r < -1.0 else 1.0 if r > 1.0 else r
        if track.apart:
            if kind == RISES:
                return track.rises
            r = self.log_of(track.mean)
            if kind == LOG_ROUGHNESS:
                track = cython.cast(Track, self.tracks[self.spread])
                track.read(self.column[key], self.rows, self.newest, ahead)
                r -= self.log_of(track.sd())
            return r
        if kind == MEAN:
            return track.mean
        if kind == LOG_SD:
            return self.log_of(track.sd())
        if not track.uu > 0.0:
            return 0.0
        r = sqrt(track.uu / track.count)
        r = (r if r > self.floor else self.floor) * 2.0**-170
        r = track.uuu / track.count / r / r / r
        return log1p(r) if r > 0.0 else -log1p(-r)

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_last(self) -> cython.bint:
        """Whether the point in row 0 has the values of the last one learnt."""
        j: cython.Py_ssize_t
        a: cython.double
        b: cython.double
        if self.n == 0:
            return False
        for j in range(self.n_features):
            a = self.rows[j]
            b = self.rows[self.newest * self.n_features + j]
            if a != b and (a == a or b == b):
                return False
        return True

    def learn_one(self, x: Any) -> bool:
        """Learn a mapping. If it has names that are not known, nothing is learnt: False."""
        found: cython.Py_ssize_t = fill(x, self.names, self.rows)
        if not self.closed and found != len(x):
            return False
        self.take()
        self.last = x
        return True

    def transform_one(self, x: Any, learnt: bool) -> dict[Any, float] | None:
        """What is defined of the window that ends with x; None if x has names not known.

        That is the window as it stands if x has the values of the last point, and is the same
        object or ``learnt`` vouches for it; else as if x had been added.
        """
        k: cython.Py_ssize_t
        value: cython.double
        ahead: cython.bint
        found: cython.Py_ssize_t = fill(x, self.names, self.rows)
        if not self.closed and found != len(x):
            return None
        ahead = not ((learnt or x is self.last) and self.is_last())
        result: dict[Any, float] = {}
        for k in range(self.n_keys):
            value = self.value(k, ahead)
            if value == value:
                result[self.keys[k]] = value
        return result

    def learn(self, x: cython.double[::1], n: cython.Py_ssize_t) -> array[float]:
        """Learn n points, and return the statistics of the window that ends with each."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t
        result = zeros(n * self.n_keys)
        out: cython.double[::1] = result
        for i in range(n):
            for j in range(self.n_features):
                self.rows[j] = x[i * self.n_features + j]
            self.take()
            for k in range(self.n_keys):
                out[i * self.n_keys + k] = self.value(k, False)
        self.last = None
        return result

    def points(self) -> bytes:
        """The points of the window, the oldest first."""
        size: int = 8 * self.n_features
        values = bytes(self.rows)
        ring = values[size:]
        if self.n < self.window:
            return ring[: size * self.n]
        return ring[size * self.newest :] + ring[: size * self.newest]

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        return {
            "names": self.names,
            "keys": self.keys,
            "closed": bool(self.closed),
            "window": self.window,
            "lags": self.lags,
            "floor": self.floor,
            "statistics": self.statistics,
            "n": self.n,
            "newest": self.newest,
            "rows": bytes(self.rows)[8 * self.n_features :],
            "tracks": [track.state() for track in self.tracks],
        }

    def __reduce__(self) -> Any:
        return windows_from_state, (self.state(),)


def windows_from_state(state: dict[str, Any]) -> Windows:
    names, keys, lags, statistics = (
        tuple(state[name]) for name in ("names", "keys", "lags", "statistics")
    )
    d = len(names)
    window = whole(state["window"], "window", 2)
    for lag in lags:
        whole(lag, "lag", 1, window - 1)
    for kind in statistics:
        whole(kind, "statistic", MEAN, LOG_ROUGHNESS)
    if len(set(statistics)) != len(statistics):
        raise ValueError("a statistic is there more than once")
    # before anything is made of that size
    rows = block(state, "rows", window * d, False)
    check_points(rows, "rows")
    if len(keys) != sum(n_columns(kind, d) for kind, _ in each_of(statistics, lags)):
        raise ValueError("keys are not one for each column of each statistic")
    for (kind, lag), its in zip(tracks_of(statistics, lags), state["tracks"], strict=True):
        if len(its["tail"]) < 24 * n_columns(kind, d) * (window - lag + 1):
            raise ValueError("tail is too short")
    result: Windows = Windows(
        names,
        keys,
        flag(state["closed"], "closed"),
        window,
        lags,
        real(state["floor"], "floor"),
        statistics,
    )
    result.n = whole(state["n"], "n")
    result.newest = whole(state["newest"], "newest", 0, window)
    result.rows = doubles(bytes(8 * d)) + rows
    for track, its in zip(result.tracks, state["tracks"], strict=True):
        track.load(its)
    return result
