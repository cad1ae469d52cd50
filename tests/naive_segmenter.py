"""The segmenter's core for one window, slowly and plainly: what both kernels are compared with.

Features are computed from the rows of each window, whitening and means from all looks so far.
"""

import math

import numpy as np

from online_gmm._kernel import (
    blocks,
    bursts,
    candidates,
    channels,
    jumps,
    metric,
    presence,
    scale,
    states,
)


def mean_of(x):
    """As `x.mean()`, which takes several times as long for a few numbers."""
    return x.sum() / len(x)


def cleaned(X):
    """Rows; where a reading of one is wild, all of it are the middle ones of the last three."""
    out = np.array(X, dtype=float)
    last = [[math.nan, math.nan] for _ in X.T]
    usual, n = np.zeros((2, X.shape[1]))
    for i, row in enumerate(X):
        known = [j for j, v in enumerate(row) if not math.isnan(v)]
        middles = {j: sorted([*last[j], row[j]])[1] if n[j] >= 2 else row[j] for j in known}
        if any(
            n[j] > 20 and usual[j] > 0.0 and abs(row[j] - middles[j]) > channels.WILD * usual[j]
            for j in known
        ):
            for j, middle in middles.items():
                out[i, j] = middle
        for j in known:
            if n[j] >= 2:
                step = abs(row[j] - last[j][1])
                if n[j] > 20:
                    step = min(step, 4.0 * usual[j])
                if usual[j] == 0.0:
                    usual[j] = step
                elif step > 0.0:
                    usual[j] += max(1.0 / (n[j] - 1.0), 0.005) * (step - usual[j])
            last[j], n[j] = [last[j][1], row[j]], n[j] + 1
    return out


def without_transient(first):
    """The first readings, without up to three that are farther away than the others are apart."""
    first = first.copy()
    for sign in (1.0, -1.0):
        falling = -np.sort(-sign * first[~np.isnan(first)])
        if len(falling) < 4 or falling[3] == falling[-1]:
            continue
        for k in (1, 2, 3):
            others = falling[k:]
            if falling[k - 1] - others[0] > np.ptp(others):
                first[:-3][sign * first[:-3] > others[0]] = np.nan
    return first


def standard(values):
    """A cleaned channel beside the mean and in units of the sd of its first 48 rows."""
    values = values.copy()
    if len(values) >= channels.FIRST_ROWS:
        values[: channels.FIRST_ROWS] = without_transient(values[: channels.FIRST_ROWS])
    first = values[: channels.FIRST_ROWS]
    first = first[~np.isnan(first)]
    if len(first):
        origin, unit = first.mean(), first.std()
        if unit <= 1e-12 * abs(origin):
            origin, unit = first[0], 0.0
    else:
        known = values[~np.isnan(values)]
        origin, unit = (known[0] if len(known) else 0.0), 0.0
    away = values - origin
    if unit == 0.0:
        moved = away[~np.isnan(away) & (away != 0.0)]
        unit = abs(moved[0]) if len(moved) else 1.0
    return np.clip(away / unit, -1e30, 1e30)


class Usual:
    """How many readings of each channel a window usually has, followed in steps of two."""

    def __init__(self, shares, window, stride):
        self.window, self.stride, self.length = window, stride, window // stride
        self.readings = [share * window for share in shares]
        self.mean = list(self.readings)
        self.looks = [(presence.EXPECTED + self.length) * (share > 0.0) for share in shares]
        self.silent = [0 for _ in shares]
        self.unsure = 0

    def take(self, counts):
        """What a window with so many readings sees: "it", "silence", "?" or "", per channel."""
        seen = [self.of(j, n) for j, n in enumerate(counts)]
        self.unsure = self.unsure + self.stride if "?" in seen else 0
        return seen

    @property
    def says_nothing(self):
        """Whether a channel may be about to be silent, and has not been so for long."""
        return 0 < self.unsure <= presence.SILENCE + 0.5 * self.window

    def of(self, j, n):
        if n == 0:
            self.silent[j] = self.silent[j] + self.stride if self.silent[j] else self.window
            if not self.is_frequent(j):
                return ""
            return "silence" if self.silent[j] >= presence.SILENCE else "?"
        self.silent[j] = 0
        self.looks[j] += 1
        if self.looks[j] < self.length:
            return ""
        gain = max(1.0 / (self.looks[j] - self.length + 1), 1.0 / presence.FOLLOW)
        self.mean[j] += gain * (n - self.mean[j])
        if not 0.5 <= (self.mean[j] / self.readings[j] if self.readings[j] else math.inf) <= 2.0:
            self.readings[j] = self.mean[j]
        plenty = self.readings[j] >= min(presence.PLENTY, 0.75 * self.window)
        enough = n >= min(presence.FEWEST, 0.5 * self.window) and 2 * n >= self.readings[j]
        if plenty and enough:
            return "it"
        return "?" if self.is_frequent(j) else ""

    def is_frequent(self, j):
        """Whether a channel usually has a reading in nearly each row, or many in a window."""
        return self.readings[j] >= min(presence.PRESENT, presence.OFTEN * self.window)

    def is_enough(self, n, j, k, most):
        """Whether n pairs of two channels are enough, of at most so many."""
        usual = self.readings[j] * self.readings[k] / self.window**2 * most
        return usual >= min(presence.PLENTY, 0.75 * self.window, 0.75 * most) and 2 * n >= usual


class Readings:
    """The readings of a channel so far, and the bursts in which it has moved."""

    def __init__(self, window):
        self.window, self.values, self.moves = window, [], []
        self.burst, self.n_events, self.n_others = None, 0, 0

    def take(self, x):
        if np.isnan(x):
            return
        last, still = (self.values[-1] if self.values else 0.0), self.still
        self.values.append(x)
        if x != last:
            if self.burst is None and 2 * still >= self.window:
                self.burst = len(self.values), last
            self.moves.append(len(self.values))
        elif self.burst is not None and 2 * self.still >= self.window:
            if x == self.burst[1] and self.lasted < self.window:
                self.n_events += 1
            else:
                self.n_others += 1
            if self.n_events + self.n_others >= bursts.REMEMBERED:
                self.n_events, self.n_others = self.n_events / 2, self.n_others / 2
            self.burst = None

    @property
    def still(self):
        return len(self.values) - (self.moves[-1] if self.moves else 0)

    @property
    def lasted(self):
        return self.moves[-1] - self.burst[0]

    @property
    def are_events(self):
        enough = self.n_events >= bursts.FEWEST
        return enough and self.n_events >= bursts.MOSTLY * self.n_others

    @property
    def goes_on(self):
        """Whether there is a burst that is no chance run of events."""
        if self.burst is None:
            return False
        dense = 2 * sum(move >= self.burst[0] for move in self.moves) >= self.lasted
        return self.lasted >= (bursts.DENSE if dense else bursts.RUN) * self.window

    @staticmethod
    def hidden(channels):
        """Of which channels a window that ends here says nothing."""
        moving = [c for c in channels if c.are_events or c.still + 1 < len(c.values)]
        if all(c.are_events for c in moving):
            return [False] * len(channels)
        return [c.are_events and c.still + 1 < c.window and not c.goes_on for c in channels]


def features(X, stride, before, usual, past=None, hidden=None):
    """The statistics of the rows of one window; what is not defined is as before.

    Differences reach back into the rows of the past, if any are given. Nothing is seen of channels
    that are hidden.
    """
    n, d = X.shape
    joined = X if past is None else np.concatenate([past, X])
    begin = len(joined) - n
    f, soft = before.copy(), blocks.SOFT
    seen = usual.take((~np.isnan(X)).sum(axis=0))
    hidden = [
        its and one != "silence" for its, one in zip(hidden or [False] * d, seen, strict=True)
    ]
    seen = ["" if its else one for its, one in zip(hidden, seen, strict=True)]
    squares = np.zeros(d)
    for j in range(d):
        x = X[~np.isnan(X[:, j]), j]
        if len(x):
            squares[j] = ((x - mean_of(x)) ** 2).sum()
        if seen[j] == "silence":
            f[[j, d + j, 2 * d + j]] = 0.0, 2.0 * math.log(soft), 0.0
        if seen[j] != "it":
            continue
        f[j] = mean_of(x)
        f[d + j] = 0.5 * math.log(squares[j] / (len(x) - 1) + soft**2)
        sd = max(math.sqrt(squares[j] / len(x)), soft)
        skewness = mean_of((x - mean_of(x)) ** 3) / sd**3
        f[2 * d + j] = math.copysign(math.log1p(abs(skewness)), skewness)
    at = 3 * d
    for lag in blocks.lags_of(d, n):
        most = n if past is not None else n - -(-lag // stride) * stride
        first = -(-lag // stride) * stride if past is None else max(begin, lag)
        for j in range(d):
            gaps = joined[first:, j] - joined[first - lag : len(joined) - lag, j]
            gaps = gaps[~np.isnan(gaps)]
            if seen[j] == "silence":
                f[[at + j, at + d + j]] = 0.0, 0.5
            elif seen[j] == "it" and usual.is_enough(len(gaps), j, j, most):
                f[at + j] = 0.5 * math.log(mean_of(np.abs(gaps)) ** 2 + soft**2) - f[d + j]
                f[at + d + j] = mean_of((gaps > 0) + 0.5 * (gaps == 0))
        at += 2 * d
    for j in range(d if d <= blocks.MOST_PAIRED else 0):
        for k in range(j + 1, d):
            both = ~np.isnan(X[:, j]) & ~np.isnan(X[:, k])
            if "silence" in (seen[j], seen[k]):
                f[at] = 0.0
            elif not hidden[j] and not hidden[k] and usual.is_enough(both.sum(), j, k, n):
                x, y = X[both, j], X[both, k]
                size = math.sqrt(squares[j] * squares[k])
                shared = ((x - mean_of(x)) * (y - mean_of(y))).sum()
                f[at] = np.clip(shared / size, -1, 1) if size > 1e-6 * both.sum() else 0.0
            at += 1
    return f


class Whitening:
    """Of looks F, refitted as they come."""

    def __init__(self, length, clipped):
        self.length, self.clipped = length, clipped
        self.kept, self.usual = [], None
        self.n_sizes, self.quantile = 0, 0.0

    def learn(self, F, variance):
        """See whether the last look and the one a window before lie within a regime."""
        if len(F) <= self.length:
            return
        half = (F[-1] - F[-1 - self.length]) / math.sqrt(2.0)
        moves = variance > 1e-18
        size = math.log((half[moves] ** 2 / variance[moves]).sum() + 1e-12)
        self.n_sizes += 1
        if self.n_sizes == 1:
            self.quantile = size
        step = max(4.0 / self.n_sizes, 0.02)
        if self.clipped:
            half = self.clip(half, np.sqrt(variance), 1.0 + 0.5 * step)
        if size <= self.quantile or self.n_sizes <= self.length:
            self.kept.append(half)
        self.quantile += step * (metric.KEPT - (size <= self.quantile))

    def clip(self, half, sd, step):
        """A difference, no larger than usual; the median of each feature is followed."""
        far = np.abs(half)
        usual = np.zeros(len(far)) if self.usual is None else self.usual
        moved = np.where(far > usual, usual * step, usual / step)
        self.usual = np.where(usual < 1e-6 * far, far, moved)
        most = np.maximum(metric.LEAST_CLIP * sd, metric.CLIP * self.usual)
        return np.clip(half, -most, most)

    def fit(self, F):
        p, n = F.shape[1], max(1, len(self.kept))
        within = np.array(self.kept).T @ np.array(self.kept) / n
        least = metric.LEAST_WITHIN * F.std(axis=0)
        np.fill_diagonal(within, np.maximum(np.diag(within), least**2))
        unit = np.sqrt(np.sqrt(np.diag(within)) * F.std(axis=0))
        unit = np.where(unit > 1e-9, unit + 1e-6, 1e30)
        A = within / np.outer(unit, unit)
        share = p * self.length / n
        shrink = metric.SHRINK + metric.SHRINK_RATIO * share
        shrink += metric.SHRINK_EARLY * min(1.0, share)
        shrink = shrink * np.trace(A) / p + 1e-9
        inverse = np.linalg.inv(np.linalg.cholesky(A + shrink * np.eye(p)))
        freedom = max(0.5, p - shrink * (inverse**2).sum())
        unseen = 1.0 - freedom / (metric.INDEPENDENT * n / self.length)
        self.freedom = freedom / max(unseen, metric.LEAST_RATIO)
        self.matrix = inverse / unit


class Candidate:
    """A place where the segment that is going on may have begun."""

    def __init__(self, start, row, before, path, p):
        self.start, self.row, self.before, self.path = start, row, before, path
        self.count, self.cost, self.center = 0, 0.0, np.zeros(p)
        self.straddling, self.usual, self.soft = 0.0, 0.0, False

    @property
    def is_costly(self):
        return self.cost - self.straddling > candidates.STEADY * self.usual

    @property
    def value(self):
        """What the partition costs; beyond the usual, the segment may count logarithmically."""
        if not (self.soft and self.usual and self.is_costly):
            return self.before + self.cost
        steady = candidates.STEADY * self.usual
        own = steady + self.usual * math.log((self.cost - self.straddling) / steady)
        return self.before + self.straddling + own


class Naive:
    """`tell` has the changes and merges of a stream X, as the kernel tells them for one window."""

    def __init__(self, X, window, room=states.MOST_STATES):
        fits = [(abs(window - n * round(window / n)), i) for i, n in enumerate((8, 9, 10, 7))]
        self.length = window if window < 16 else (8, 9, 10, 7)[min(fits)[1]]
        self.stride = round(window / self.length)
        self.window = self.stride * self.length
        self.room = room
        self.dead = self.length - 1
        self.least = self.dead + max(1, int(0.35 * self.length))
        self.hold = max(4, int(0.5 * self.length + 0.5))
        unsettled = scale.UNSETTLED if self.window >= scale.LONG else 0.0
        self.longest_hold = self.hold + math.ceil(unsettled * self.least)
        self.most = scale.MEMORY / self.window
        self.candidates, self.events = [], []
        self.look = self.base = self.last = self.streak = 0
        self.means, self.lasts, self.weight = {}, {}, {}
        self.now, self.fresh, self.previous = -1, False, -1
        self.waiting, self.passing = False, False
        self.run(np.column_stack([standard(x) for x in cleaned(X).T]))

    def run(self, X):
        rows, waiting = [], []
        white = self.white = Whitening(self.length, self.window <= scale.SHORT)
        f = np.zeros(0)
        ends = range(self.window, len(X) + 1, self.stride)
        look = n_read = 0
        readings = [Readings(self.window) for _ in X.T]
        for end in ends:
            if not len(f):
                d = X.shape[1]
                pairs = d * (d - 1) // 2 if d <= blocks.MOST_PAIRED else 0
                f = np.zeros(3 * d + 2 * d * len(blocks.lags_of(d, self.window)) + pairs)
                shares = 1.0 - np.isnan(X[: channels.FIRST_ROWS]).mean(axis=0)
                usual = Usual(shares, self.window, self.stride)
                p = len(f)
                refit = max(
                    scale.FIRST_WINDOWS * self.length,
                    scale.FIRST_ROWS // self.stride,
                    p * self.length // 2,
                )
                refit = min(
                    refit,
                    max(scale.FIRST_WINDOWS * self.length, scale.LATEST_ROWS // self.stride),
                )
                self.median, self.excess = np.full(p, metric.MEDIAN), np.ones(p)
                self.whitened = []
                looks = np.empty((len(ends), p))
            for row in X[n_read:end]:
                for channel, x in zip(readings, row, strict=True):
                    channel.take(x)
            n_read, hidden = end, Readings.hidden(readings)
            f = features(X[end - self.window : end], self.stride, f, usual, hidden=hidden)
            if usual.says_nothing:
                continue
            look += 1
            looks[look - 1] = f
            self.F = looks[:look]
            rows.append(end - 1)
            waiting.append(look - 1)
            variance = self.F.var(axis=0)
            white.learn(self.F, variance)
            begun = hasattr(white, "matrix") and (
                (np.diag(white.matrix) < metric.STILL) & (variance > metric.MOVES)
            )
            if look >= refit or np.any(begun):
                old = getattr(white, "matrix", None)
                white.fit(self.F)
                refit = int(look * scale.GROWTH) + 1
                for c in self.candidates:
                    c.center = white.matrix @ np.linalg.solve(old, c.center)
                if old is None:
                    self.now, self.fresh = self.birth(self.F.mean(axis=0)), True
            if hasattr(white, "matrix"):
                self.row = end - 1  # at which it is told
                for i in waiting[: scale.CATCH_UP]:
                    self.step(self.F[i], rows[i])
                del waiting[: scale.CATCH_UP]

    def distance(self, a, b):
        return ((self.white.matrix @ (a - b)) ** 2 / self.excess).sum()

    def follow(self, z):
        """Follow how much whitened features vary from one window to the next, by medians."""
        if len(self.whitened) >= self.length:
            moved = np.abs(z - self.whitened[-self.length]) * metric.HALF
            step = 1.0 + metric.FOLLOW / self.length
            self.median = np.where(moved > self.median, self.median * step, self.median / step)
            self.median = np.maximum(self.median, 0.5 * metric.MEDIAN)
            self.excess = np.maximum(1.0, (self.median / metric.MEDIAN) ** 2)
        self.whitened.append(z)

    def step(self, f, row):
        t, df = self.look, self.white.freedom
        penalty = scale.BETA * (df + math.log(max(t, 2)))
        cap = candidates.CAP * df
        z = self.white.matrix @ f
        self.follow(z)
        if not self.candidates:
            self.candidates.append(Candidate(t, row - self.window + 1, -penalty, [], len(z)))
        best, soon, soft = None, math.inf, False
        for i, c in enumerate(self.candidates):
            c.soft = soft
            age = t - c.start
            if age < self.dead and c.start > 0:
                c.cost += candidates.DEAD_COST * df / self.length
                c.straddling = c.cost
                rest = candidates.DEAD_COST * df * (self.dead - age - 1) / self.length
                soon = min(soon, c.value + rest)
                continue
            d = ((z - c.center) ** 2 / self.excess).sum()
            if self.stride > 1 and c.start > 0 and c.count == 1 and d > candidates.SPLIT * df:
                c.count = 0
                c.cost += candidates.DEAD_COST * df / self.length
            gain = 1.0 if c.count == 0 else max(1.0 / (c.count + 1), 1 / self.most / self.length)
            far = max(d / cap, 1.0)
            c.center = c.center + gain / (math.sqrt(far) if c.count else 1.0) * (z - c.center)
            c.cost += min(d, cap * (1.0 + math.log(far))) * (1.0 - gain) / self.length
            c.count += 1
            c.usual = df * c.count / self.length
            if i == 0:
                c.soft = soft = c.is_costly
            if i == 0 or age + 1 >= self.least:
                if best is None or c.value < best.value:
                    best = c
            else:
                soon = min(soon, c.value)
        self.look += 1
        if self.waiting:
            self.settle()
        if best is None or self.look - self.base < self.least:
            return
        if best is self.candidates[0]:
            self.streak = 0
        else:
            self.streak = self.streak + 1 if abs(best.start - self.last) <= 2 else 1
            self.last = best.start
            hold = self.hold if best.value <= soon - penalty else self.longest_hold
            if self.streak >= hold and best.value <= soon:
                self.decide(best)
                return
        path = [] if best is self.candidates[0] else [*best.path, best.start][: candidates.DEPTH]
        most = best.value + penalty
        self.candidates.append(Candidate(self.look, row + 1, best.value + penalty, path, len(z)))
        self.prune(most)

    def prune(self, most):
        """Drop what is worse; of too many, one of two that are close for their age."""
        t, first = self.look, self.candidates[0]
        rest = [c for c in self.candidates[1:] if t - c.start < self.least or c.value <= most]
        self.candidates = all_ = [first, *rest]
        if len(all_) < max(candidates.MOST_CANDIDATES, self.least + candidates.MOST_RIPE):
            return
        old = [i for i in range(1, len(all_) - 1) if t - all_[i + 1].start >= self.least]
        i = min(
            old, key=lambda i: (all_[i + 1].start - all_[i].start) / (t - all_[i].start), default=1
        )
        if old and all_[i].value <= all_[i + 1].value:
            i += 1
        del all_[i]

    def decide(self, best):
        change = best.path[0] if best.path else best.start
        here = next((c for c in self.candidates[1:] if c.start == change and not c.path), best)
        change = here.start
        self.finish(here)
        at = self.candidates.index(here)
        later = [c for c in self.candidates[at + 1 :] if c.path and c.path[0] == change]
        for c in later:
            c.path = c.path[1:]
        here.path = []
        self.candidates = [here, *later]
        self.base, self.place, self.streak = change, here.row, 0
        self.waiting = True
        self.settle()

    def part(self, end):
        """Mean and windows of the segment going on up to a look, without windows that straddle."""
        looks = max(1, self.candidates[0].count - (self.look - end))
        return self.F[end - looks : end].mean(axis=0), looks / self.length

    def finish(self, here):
        change = here.start
        self.mean, windows = self.part(change)
        if self.waiting:
            self.tell(self.mean, windows, True)
        if self.fresh and self.is_on_the_way(windows, here):
            self.passing = True
            return
        k = self.nearest(self.mean, windows, self.now if self.fresh else -1)[0]
        if self.fresh and k >= 0 and (k != self.previous or windows >= scale.APART):
            self.events.append(("merged", self.row, self.now, k))
            del self.means[self.now]
            self.now = k
        elif self.fresh:
            k = self.now
            self.weight[k] = 0.0
        elif k < 0 and len(self.means) < self.room:
            k = self.birth(self.mean)
        self.previous = k if k >= 0 else self.now
        self.events.append(("over", self.row, self.previous))
        if k >= 0:
            share = windows / (min(self.weight[k], self.most) + windows)
            self.means[k] = self.means[k] + share * (self.mean - self.means[k])
            self.lasts[k] = self.mean
            self.weight[k] += windows

    def is_on_the_way(self, windows, here):
        """Whether the segment only leads from the one before it to the one that begins here."""
        if self.previous < 0:
            return False
        before = self.lasts[self.previous]
        after = self.F[self.look - max(1, here.count) : self.look].mean(axis=0)
        apart, usual = self.distance(before, after), self.white.freedom
        is_short = windows < scale.PASSAGE
        ways = self.distance(before, self.mean) + self.distance(self.mean, after)
        if is_short and ways < apart and apart > scale.FAR * usual:
            return True
        may_curve = is_short or windows * self.window < scale.CURVE_ROWS
        may_curve = may_curve and apart > scale.CURVE_FAR * usual
        return may_curve and self.jump_share(here.start, after) < scale.CURVE

    def jump_share(self, change, after):
        """The share of the step to the next segment that the windows next to the change make."""
        first = change - 1 + self.length
        if self.look > change - 1 + jumps.LATE * self.length:
            return 0.0
        if first >= self.look:
            return 1.0
        step = self.white.matrix @ (after - self.mean)
        return self.white.matrix @ (self.F[first] - self.F[change - 1]) @ step / (step @ step)

    def birth(self, mean):
        k = next(k for k in range(self.room + 1) if k not in self.means)
        self.means[k] = self.lasts[k] = mean
        self.weight[k] = 0.0
        return k

    def nearest(self, mean, windows, but=-1):
        """The state as near as sampling allows, and how far the two nearest are."""
        df = self.white.freedom
        spread = df * (1.0 + states.NEAR * math.sqrt(2.0 / df))
        found = []
        for k in sorted(self.means):
            if k == but or self.weight[k] == 0.0:
                continue
            d = min(self.distance(mean, self.means[k]), self.distance(mean, self.lasts[k]))
            had = min(self.weight[k], self.most)
            sampling = 1.0 / min(max(windows, states.FEWEST), self.most) + 1.0 / had
            found.append((d / max(spread * sampling, states.LEAST_NEAR), k))
        found.sort()
        first, second = ([far for far, _ in found] + [1e300, 1e300])[:2]
        full = but < 0 and len(self.means) >= self.room
        return (found[0][1] if found and (first < 1.0 or full) else -1), first, second

    def settle(self):
        mean, windows = self.part(self.look)
        patience = max(scale.WAIT * self.length, scale.WAIT_ROWS / self.stride)
        self.tell(mean, windows, windows * self.length >= patience)

    def tell(self, mean, windows, at_once):
        k, first, second = self.nearest(mean, windows)
        spread = math.sqrt(2.0 / self.white.freedom)
        most = (1.0 + states.NEAR_NOW * spread) / (1.0 + states.NEAR * spread)
        doubtful = k >= 0 and first > most
        if not at_once and doubtful and windows * self.window < scale.WAIT_ROWS:
            return
        if not at_once and (second if k >= 0 else first) < scale.CLEAR:
            return
        if doubtful:
            k = -1
        before = self.now
        if k < 0 and len(self.means) >= self.room:
            k = before
        self.waiting = False
        if self.passing:
            self.passing = False
            if k in (-1, before):
                self.means[before] = self.lasts[before] = mean
            else:
                self.events.append(("merged", self.row, before, k))
                del self.means[before]
                self.now, self.fresh = k, False
            return
        self.fresh = k < 0
        self.now = self.birth(mean) if k < 0 else k
        self.events.append(("change", self.place, self.row, before, self.now))

    @property
    def told(self):
        """Places, rows and regimes of changes, as numbered when they are told."""
        names, label, final, told, since = {0: 0}, 0, None, [], 0
        n_names = 1
        for kind, *values in self.events:
            if kind == "over":
                if values[1] not in names:
                    names[values[1]], n_names = n_names, n_names + 1
                final = names[values[1]]
            elif kind == "merged":
                _, gone, kept = values
                if kept not in names:
                    names[kept], n_names = n_names, n_names + 1
                old = names.pop(gone, None)
                label = names[kept] if label == old else label
                final = names[kept] if final == old else final
            else:
                place, row, _, after = values
                if after not in names:
                    names[after], n_names = n_names, n_names + 1
                if names[after] == label:
                    continue
                since = max(place, since + 1)
                told.append((since, row, label if final is None else final, names[after]))
                label, final = names[after], None
        return told
