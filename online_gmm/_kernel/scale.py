"""Change points of a stream, as the windows of one length see them.

Optimal partitioning from the last decision on: each place where the segment that is going on may
have begun is a candidate with a running mean of whitened features and a cost. A window's worth of
looks adds a window's worth of evidence. Windows that straddle the beginning of a segment count as
usual, whatever they show. A change is decided when the best partition has had the same last change
for some looks; its first change is then reported, and what does not follow it is dropped.
What state a segment is in is told once that is clear. A short segment between two that are far
apart is the way from one to the other, and belongs to the later one. So does one that a curve leads
on from.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import exp, log
    from cython.cimports.online_gmm._kernel.blocks import Blocks
    from cython.cimports.online_gmm._kernel.candidates import Candidates
    from cython.cimports.online_gmm._kernel.jumps import Jumps
    from cython.cimports.online_gmm._kernel.memory import first
    from cython.cimports.online_gmm._kernel.metric import Metric
    from cython.cimports.online_gmm._kernel.states import States
else:
    from math import exp, log

    from online_gmm._kernel.blocks import Blocks
    from online_gmm._kernel.candidates import Candidates
    from online_gmm._kernel.jumps import Jumps
    from online_gmm._kernel.memory import first
    from online_gmm._kernel.metric import Metric
    from online_gmm._kernel.states import States
import math
from array import array
from typing import Any

from online_gmm._kernel.candidates import DEAD_COST
from online_gmm._kernel.values import (
    block,
    flag,
    longer,
    places,
    real,
    whole,
    zeros,
)

BETA = 2.5
"""What a change costs, for each degree of freedom and the logarithm of the looks."""
MEMORY = 2500.0
"""Points after which a regime's mean has followed it."""
GROWTH = 1.3
WAIT = 1.0
"""Windows since a change after which it is reported, even if its state is not clear."""
WAIT_ROWS = 32
"""Not before so many points, though: of the shortest windows two say little."""
CLEAR = 1.5
FIRST_WINDOWS = 3
FIRST_ROWS = 96
LATEST_ROWS = 300
CATCH_UP = 8
SHORT = 8
"""Windows of up to so many points are for short stays."""
LONG = 32
"""From this length on windows that straddle the next beginning may look like a regime."""
UNSETTLED = 0.5
"""Share of the shortest segment for which a change is held back then."""
APART = 1.5
"""Windows that a new regime must have lasted before it may be the one before it, after all."""
PASSAGE = 2.5
"""What leads from one regime to another takes less than so many windows."""
FAR = 10.0
"""Times what is usual that the squared distance of these two is more than."""
CURVE_ROWS = 160
"""Or, in a curve, less than so many points."""
CURVE_FAR = 4.0
"""Times what is usual that their squared distance is more than then."""
CURVE = 0.7
"""Share of the next step below which windows on either side of a change differ in a curve."""


@cython.final
@cython.cclass
class Scale:
    """The partition of a stream by windows of ``length`` blocks of ``stride`` points.

    ``periodic`` says that a window is some whole periods.
    """

    blocks: Blocks
    metric: Metric
    jumps: Jumps
    window: cython.Py_ssize_t
    n_features: cython.Py_ssize_t
    length: cython.Py_ssize_t
    dead: cython.Py_ssize_t  # looks that straddle a beginning
    least: cython.Py_ssize_t  # looks of a segment
    hold: cython.Py_ssize_t  # looks for which a change must be the last one
    longest_hold: cython.Py_ssize_t  # the same while another one may be about to show
    drift: cython.double
    patience: cython.double  # looks after which a change is reported whether its state is clear
    fitted: cython.bint
    refit: cython.Py_ssize_t
    # looks that are not partitioned yet
    pending: cython.double[::1]
    pending_rows: cython.Py_ssize_t[::1]
    n_pending: cython.Py_ssize_t
    look: cython.Py_ssize_t  # looks partitioned
    base: cython.Py_ssize_t  # look at which the segment that is going on begins
    base_row: cython.Py_ssize_t
    total: cython.double[::1]  # of features since then
    z: cython.double[::1]
    candidates: Candidates  # the first one is the beginning of the segment that is going on
    last_change: cython.Py_ssize_t
    streak: cython.Py_ssize_t
    states: States
    now: cython.Py_ssize_t  # state of the segment that is going on, -1 if not known
    fresh: cython.bint  # whether it was born with this segment
    passing: cython.bint  # whether it began as the way from the one before to what it is now
    previous: cython.Py_ssize_t  # state of the segment before, -1 if there is none
    segment_mean: cython.double[::1]
    new_mean: cython.double[::1]
    f: cython.double[::1]
    waiting: cython.bint  # whether the last change is not reported yet
    place: cython.Py_ssize_t
    n_changes: cython.Py_ssize_t
    events: list[Any]
    ahead: cython.double  # by how much the decision was better than none
    spent: cython.double  # costs of the segments that are over
    # squared distances of looks from their segment, summed over windows: what `measure` finds
    within: cython.double

    def __init__(self, n_channels: int, stride: int, length: int, periodic: bool) -> None:
        self.blocks = Blocks(n_channels, stride, length, periodic)
        p = self.blocks.n_features
        self.window = stride * length
        # whole periods, but for up to half a point
        steady = 0.5 / self.window if periodic else 0.0
        is_short = self.window <= SHORT
        self.metric = Metric(p, length, is_short, steady)
        self.jumps = Jumps(p, length, is_short)
        self.n_features = p
        self.length = length
        self.dead = length - 1
        self.least = self.dead + max(1, int(0.35 * length))
        self.hold = max(4, int(0.5 * length + 0.5))
        self.longest_hold = self.hold
        if self.window >= LONG:
            self.longest_hold += math.ceil(UNSETTLED * self.least)
        self.drift = self.window / MEMORY
        self.patience = max(WAIT * length, WAIT_ROWS / stride)
        self.fitted = False
        refit = max(FIRST_WINDOWS * length, FIRST_ROWS // stride, p * length // 2)
        self.refit = min(refit, max(FIRST_WINDOWS * length, LATEST_ROWS // stride))
        self.pending = zeros(CATCH_UP * p)
        self.pending_rows = array("q", bytes(8 * CATCH_UP))
        self.n_pending = 0
        self.look = 0
        self.base = 0
        self.base_row = 0
        self.total = zeros(p)
        self.z = zeros(p)
        self.candidates = Candidates(p, length, self.dead, self.least, stride > 1)
        self.last_change = 0
        self.streak = 0
        self.states = States(p, 1.0 / self.drift)
        self.now = -1
        self.fresh = False
        self.passing = False
        self.previous = -1
        self.segment_mean = zeros(p)
        self.new_mean = zeros(p)
        self.f = zeros(p)
        self.waiting = False
        self.place = 0
        self.n_changes = 0
        self.events = []
        self.ahead = 0.0
        self.spent = 0.0
        self.within = 0.0

    @cython.cfunc
    @cython.exceptval(-2)
    def learn(
        self,
        rows: cython.p_double,
        now: cython.Py_ssize_t,
        n_rows: cython.Py_ssize_t,
        row: cython.Py_ssize_t,
    ) -> cython.int:
        """Take in a row; 1 if there was a look."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        done: cython.Py_ssize_t = CATCH_UP
        blocks: Blocks = self.blocks
        features: cython.p_double = blocks.features
        if not blocks.add(rows, now, n_rows):
            return 0
        if not blocks.look():
            return 0
        self.metric.learn(features)
        at: cython.Py_ssize_t = self.n_pending
        pending: cython.p_double
        if at == 0 and self.fitted and not self.is_fit_due():
            self.step(features, row)
            return 1
        if at == len(self.pending_rows):
            self.pending_rows = longer(self.pending_rows, 2 * at)
            self.pending = longer(self.pending, 2 * at * p)
        pending = first(self.pending)
        for i in range(p):
            pending[at * p + i] = features[i]
        self.pending_rows[at] = row
        self.n_pending += 1
        if self.is_fit_due():
            self.metric.fit()
            self.refit = int(self.metric.n_looks * GROWTH) + 1
            for k in range(self.candidates.n):
                self.candidates.copy_center(k, first(self.z))
                self.metric.renew(first(self.z))
                self.candidates.set_center(k, first(self.z))
            self.metric.end_fit()
            if not self.fitted:
                self.now = self.states.birth(self.metric.mean)
                self.fresh = True
            self.fitted = True
        if not self.fitted:
            return 1
        if self.n_pending < done:
            done = self.n_pending
        f: cython.p_double = first(self.f)
        for k in range(done):
            for i in range(p):
                f[i] = pending[k * p + i]
            self.step(f, self.pending_rows[k])
        self.n_pending -= done
        for k in range(self.n_pending):
            self.pending_rows[k] = self.pending_rows[k + done]
        for i in range(self.n_pending * p):
            pending[i] = pending[i + done * p]
        if self.n_pending == 0 and len(self.pending_rows) > 1:
            self.pending_rows = array("q", bytes(8))
            self.pending = zeros(p)
        return 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_fit_due(self) -> cython.bint:
        """Whether the whitening is to be made of what has been learnt by now."""
        return self.metric.n_looks >= self.refit or (self.fitted and self.metric.has_begun())

    @cython.cfunc
    @cython.exceptval(-2)
    def step(self, f: cython.p_double, row: cython.Py_ssize_t) -> cython.int:
        """Partition one look more: features, and the row at which they were seen."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        n: cython.Py_ssize_t
        n_counting: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        best: cython.Py_ssize_t
        t: cython.Py_ssize_t = self.look
        gain: cython.Py_ssize_t
        hold: cython.Py_ssize_t
        v: cython.double
        value: cython.double
        soon: cython.double = 1e300  # of what is too short to be a segment yet
        its: Candidates = self.candidates
        order: cython.p_Py_ssize_t = its.order
        start: cython.p_Py_ssize_t = its.start
        costs: cython.p_double = its.total
        z: cython.p_double = first(self.z)
        total: cython.p_double = first(self.total)
        length: cython.Py_ssize_t = self.length
        dead: cython.Py_ssize_t = self.dead
        least: cython.Py_ssize_t = self.least
        df: cython.double = self.metric.freedom
        penalty: cython.double = BETA
        dead_cost: cython.double = DEAD_COST
        penalty *= df + log(t if t > 2 else 2.0)
        dead_cost *= df
        self.metric.whiten(f, z)
        self.metric.follow(z)
        self.jumps.take(f, t)
        if its.n == 0:
            its.open(t, row - self.window + 1, -penalty, -1, total)
        n = its.learn(z, self.metric.excess, total, t, self.drift / length, df)
        its.soften(df)
        n_counting = n
        while n > 1 and t + 1 - start[order[n - 1]] < least:
            n -= 1
        its.n_ripe = n
        best = its.cheapest(n, penalty)
        for i in range(p):
            total[i] += f[i]
        self.look += 1
        if self.waiting:
            self.settle(row)
        if best < 0 or t + 1 - self.base < least:
            return 0
        value = costs[order[best]] + penalty
        if best == 0:
            self.streak = 0
        else:
            lane = order[best]
            gain = start[lane] - self.last_change
            self.streak = self.streak + 1 if -2 <= gain <= 2 else 1
            self.last_change = start[lane]
            for c in range(n_counting, its.n):
                lane = order[c]
                v = dead_cost * (start[lane] + dead - t - 1.0) / length
                v += costs[lane] + penalty
                if v < soon:
                    soon = v
            for c in range(n, n_counting):
                v = costs[order[c]] + penalty
                if v < soon:
                    soon = v
            # where a younger beginning costs less but for its penalty, windows may straddle one
            hold = self.hold if value <= soon - penalty else self.longest_hold
            if self.streak >= hold and value <= soon:
                lane = order[0]
                self.ahead = its.total[lane] + penalty - value
                self.decide(best, row)
                return 0
        its.open(t + 1, row + 1, value, best, total)
        its.prune(value, self.look)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def decide(self, best: cython.Py_ssize_t, row: cython.Py_ssize_t) -> cython.int:
        """Tell the first change of the partition that ends with this candidate."""
        c: cython.Py_ssize_t
        place: cython.Py_ssize_t
        penalty: cython.double
        its: Candidates = self.candidates
        lane: cython.Py_ssize_t = its.order[best]
        change: cython.Py_ssize_t = its.first_change(best)
        here: cython.Py_ssize_t = 0
        for c in range(1, its.n):
            if its.start[its.order[c]] == change and its.n_path[its.order[c]] == 0:
                here = c
                break
        if here == 0:
            # it was dropped meanwhile: the change is at the candidate itself
            here = best
            change = its.start[lane]
        lane = its.order[here]
        self.finish(change, lane, row)
        place = its.start_row[lane]
        penalty = BETA * (self.metric.freedom + log(self.look if self.look > 2 else 2.0))
        self.spent += (
            its.before[lane] - its.before[its.order[0]] - (its.n_path[lane] + 1.0) * penalty
        )
        its.follow(here, change)
        self.base = change
        self.base_row = place
        self.streak = 0
        self.begin(place)
        self.settle(row)
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def finish(
        self, change: cython.Py_ssize_t, lane: cython.Py_ssize_t, row: cython.Py_ssize_t
    ) -> cython.int:
        """The segment that ends with a change is over: its state learns it."""
        p: cython.Py_ssize_t = self.n_features
        states: States = self.states
        mean: cython.p_double = first(self.segment_mean)
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        windows: cython.double
        apart: cython.double
        opened: cython.p_double = self.candidates.opened
        sums: cython.p_double = self.candidates.sums
        first_lane: cython.Py_ssize_t = self.candidates.order[0]
        looks: cython.double = self.candidates.count[first_lane] - (self.look - change)
        if looks < 1.0:
            looks = 1.0
        windows = looks / self.length
        for i in range(p):
            mean[i] = (opened[lane * p + i] - sums[first_lane * p + i]) / looks
        if self.waiting:
            self.report(mean, windows, row, True)
        self.jumps.end(mean, change, self.look - 1, self.metric)
        apart = self.apart(lane) if self.fresh else 0.0
        if self.is_passage(windows, apart):
            # the segment after it goes on with it, under the state that is told then
            self.passing = True
            return 0
        # that this scale cuts a curve into pieces counts against it
        self.n_changes += 1
        if self.is_in_curve(windows, apart):
            self.passing = True
            return 0
        k = states.nearest(self.metric, mean, windows, self.now if self.fresh else -1)
        if self.fresh:
            if k >= 0 and (k != self.previous or windows >= APART):
                self.merge(k, row)
            else:
                k = self.now
                states.weight[k] = 0.0
        elif k < 0 and states.has_room():
            k = states.birth(mean)
        self.previous = k if k >= 0 else self.now
        self.events.append(("over", row, self.previous))
        if k >= 0:
            states.learn(k, mean, windows)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_passage(self, windows: cython.double, apart: cython.double) -> cython.bint:
        """Whether the segment that is over only leads from the one before it to the one after.

        It is short, its mean is between theirs, and these are far `apart`.
        """
        whole: cython.double = float("inf")  # distances are measured to the end
        ways: cython.double
        before: cython.Py_ssize_t = self.previous * self.n_features
        mean: cython.p_double = first(self.segment_mean)
        after: cython.p_double = first(self.new_mean)
        if windows >= PASSAGE or apart <= FAR * self.metric.freedom:
            return False
        ways = self.metric.distance(mean, first(self.states.lasts), before, whole)
        ways += self.metric.distance(mean, after, 0, whole)
        return ways < apart

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_in_curve(self, windows: cython.double, apart: cython.double) -> cython.bint:
        """Whether a curve leads on from the segment that is over.

        It does not take long, nothing jumps from it to the one after it, and this is far `apart`
        from the one before it.
        """
        if windows >= PASSAGE and windows * self.window >= CURVE_ROWS:
            return False
        if apart <= CURVE_FAR * self.metric.freedom:
            return False
        return self.jumps.share(first(self.new_mean), self.metric) < CURVE

    @cython.cfunc
    @cython.exceptval(check=False)
    def apart(self, lane: cython.Py_ssize_t) -> cython.double:
        """The squared distance of the segment before the one that is over and the one after it.

        The one after it begins with the candidate of this lane; its mean is ``new_mean`` then. 0 if
        there is no segment before.
        """
        whole: cython.double = float("inf")  # distances are measured to the end
        before: cython.Py_ssize_t = self.previous * self.n_features
        if before < 0:
            return 0.0
        self.look_since(lane)
        return self.metric.distance(first(self.new_mean), first(self.states.lasts), before, whole)

    @cython.cfunc
    @cython.exceptval(-2)
    def merge(self, k: cython.Py_ssize_t, row: cython.Py_ssize_t) -> cython.int:
        """The segment is in state k, and the state that was born with it is gone."""
        self.states.alive[self.now] = 0
        self.events.append(("merged", row, self.now, k))
        self.now = k
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def measure(self) -> cython.int:
        """See how far the states are apart, and how much looks vary within segments."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        its: Candidates = self.candidates
        lane: cython.Py_ssize_t = its.order[0]
        looks: cython.double = its.count[lane] if its.n > 0 else 0.0
        self.within = self.spent
        if looks > 0.0:
            self.within += its.cost[lane]
        for i in range(p):
            self.f[i] = 0.0
            if looks > 0.0:
                self.f[i] = (self.total[i] - its.sums[lane * p + i]) / looks
        self.states.measure(self.metric, first(self.f), looks / self.length, self.now)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def jumps_by(self, share: cython.double) -> cython.bint:
        """Whether windows next to changes differ by this share of the segments' difference.

        Of longer windows that is not asked.
        """
        return self.window > SHORT or self.jumps.make_up(share)

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(self, place: cython.Py_ssize_t) -> cython.int:
        """A segment has begun at a place; its state is not known yet."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        sums: cython.p_double = self.candidates.sums
        lane: cython.Py_ssize_t = self.candidates.order[0]
        self.waiting = True
        self.place = place
        for i in range(p):
            # sums start anew, so that no digits are lost
            self.f[i] = sums[lane * p + i]
        for i in range(p):
            self.total[i] -= self.f[i]
        self.candidates.shift(first(self.f))
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def settle(self, row: cython.Py_ssize_t) -> cython.int:
        """Tell the last change once the state it led to is clear, or after some windows."""
        looks: cython.double = self.look_since(self.candidates.order[0])
        self.report(first(self.new_mean), looks / self.length, row, looks >= self.patience)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def look_since(self, lane: cython.Py_ssize_t) -> cython.double:
        """Write the mean of the looks since a candidate to ``new_mean``; return how many count."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        its: Candidates = self.candidates
        looks: cython.double = its.count[lane]
        if looks < 1.0:
            looks = 1.0
        for i in range(p):
            self.new_mean[i] = (self.total[i] - its.sums[lane * p + i]) / looks
        return looks

    @cython.cfunc
    @cython.exceptval(-2)
    def report(
        self,
        mean: cython.p_double,
        windows: cython.double,
        row: cython.Py_ssize_t,
        at_once: cython.bint,
    ) -> cython.int:
        states: States = self.states
        before: cython.Py_ssize_t = self.now
        k: cython.Py_ssize_t = states.nearest(self.metric, mean, windows, -1)
        doubtful: cython.bint = states.is_doubtful(k, self.metric)
        if not at_once:
            if doubtful and windows * self.window < WAIT_ROWS:
                return 0
            if (states.second if k >= 0 else states.first) < CLEAR:
                return 0
        # where in doubt a state is born: it can still be merged, but what is reported is not taken
        # back
        if doubtful:
            k = -1
        if k < 0 and not states.has_room():
            k = before
        self.waiting = False
        if self.passing:
            self.passing = False
            if k < 0 or k == before:
                states.move(before, mean)
            else:
                self.merge(k, row)
                self.fresh = False
            return 0
        self.fresh = k < 0
        if k < 0:
            k = states.birth(mean)
        self.now = k
        self.events.append(
            ("change", self.place, row, before, k, 1.0 / (1.0 + exp(-0.5 * self.ahead)))
        )
        return 0

    def shape(self) -> tuple[int, int, bool]:
        """Points of a block, blocks of a window, and whether that is some whole periods."""
        return self.blocks.stride, self.length, bool(self.blocks.periodic)

    def state(self) -> dict[str, Any]:
        p = self.n_features
        return {
            "blocks": self.blocks.state(),
            "metric": self.metric.state(),
            "jumps": self.jumps.state(),
            "pending": bytes(self.pending[: self.n_pending * p]),
            "total": bytes(self.total),
            "segment_mean": bytes(self.segment_mean),
            "waiting": bool(self.waiting),
            "place": self.place,
            "ahead": self.ahead,
            "spent": self.spent,
            "new_mean": bytes(self.new_mean),
            "pending_rows": bytes(self.pending_rows[: self.n_pending]),
            "refit": self.refit,
            "n_pending": self.n_pending,
            "look": self.look,
            "base": self.base,
            "base_row": self.base_row,
            "last_change": self.last_change,
            "streak": self.streak,
            "now": self.now,
            "n_changes": self.n_changes,
            "fitted": bool(self.fitted),
            "fresh": bool(self.fresh),
            "passing": bool(self.passing),
            "previous": self.previous,
            **self.states.state(),
            **self.candidates.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        p = self.n_features
        most_pending = self.refit  # before the first fit
        self.blocks.load(state["blocks"])
        self.metric.load(state["metric"])
        self.jumps.load(state["jumps"])
        self.total = block(state, "total", p)
        self.segment_mean = block(state, "segment_mean", p)
        self.new_mean = block(state, "new_mean", p)
        self.waiting = flag(state["waiting"], "waiting")
        self.place = whole(state["place"], "place")
        self.ahead = real(state["ahead"], "ahead", -1e300)
        self.spent = real(state["spent"], "spent", -1e300)
        self.n_pending = whole(state["n_pending"], "n_pending", 0, most_pending)
        self.pending = longer(block(state, "pending", self.n_pending * p), (self.n_pending + 1) * p)
        self.pending_rows = longer(
            places(state, "pending_rows", self.n_pending), self.n_pending + 1
        )
        self.candidates.load(state)
        self.states.load(state)
        self.refit = whole(state["refit"], "refit")
        self.look = whole(state["look"], "look")
        self.base = whole(state["base"], "base")
        self.base_row = whole(state["base_row"], "base_row")
        self.last_change = whole(state["last_change"], "last_change")
        self.streak = whole(state["streak"], "streak")
        self.now = whole(state["now"], "now", -1, self.states.n - 1)
        self.n_changes = whole(state["n_changes"], "n_changes")
        self.fitted = flag(state["fitted"], "fitted")
        self.fresh = flag(state["fresh"], "fresh")
        self.passing = flag(state["passing"], "passing")
        self.previous = whole(state["previous"], "previous", -1, self.states.n - 1)
        if not self.fitted and (self.refit > most_pending or self.n_pending > self.metric.n_looks):
            raise ValueError("more looks are waiting than there is room for")
        if self.fitted and self.now < 0:
            raise ValueError("a scale that has begun is in a state")
