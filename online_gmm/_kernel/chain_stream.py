"""Online EM for a Gaussian hidden Markov model, by the exact recursion of Cappe (2011).

For each place k where the chain may be now, the statistics of all points so far given that it is
there: with R_lk the probability that it came from h, and the step size g,

    pairs_ij(k)   <-  g [j = k] R_ik  +  (1-g) sum_l R_lk pairs_ij(h)
    moments_i(k)  <-  g [i = k] s(x)  +  (1-g) sum_l R_lk moments_i(h)

s holds 1, x - c_i and its products; the origin c_i goes along with the mean of component i, so that
nothing cancels. Weighed by the belief in k these are the statistics of the M-step.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.chain import Chain
    from cython.cimports.online_gmm._kernel.components import Components
    from cython.cimports.online_gmm._kernel.pace import Pace
    from cython.cimports.online_gmm._kernel.points import fill
    from cython.cimports.online_gmm._kernel.statistics import Statistics
else:
    from online_gmm._kernel.chain import Chain
    from online_gmm._kernel.components import Components
    from online_gmm._kernel.pace import Pace
    from online_gmm._kernel.points import fill
    from online_gmm._kernel.statistics import Statistics
from online_gmm._kernel.chain import chain_from_state
from online_gmm._kernel.pace import pace_from_state
from online_gmm._kernel.points import block, check_points, doubles, flag, grown, whole, zeros
from online_gmm._kernel.statistics import statistics_from_state


@cython.final
@cython.cclass
class ChainStream:
    """A chain that learns from every point, and what is reported of it.

    The iterate drives the recursion. What is reported is the average of the iterates, as in
    `Stream`, and has a belief of its own. The ways back over the last ``lag`` points are kept, so
    that a point can be judged by those that came after it.

    ``prior`` are pseudo-changes [from, to] added to those counted, on the diagonal pseudo-stays;
    for a chain in continuous time changes and, on the diagonal, pseudo-time.
    """

    iterate: Chain
    average: Statistics
    report: Chain
    prior: cython.double[::1]
    pace: Pace
    averaging: cython.bint
    every: cython.Py_ssize_t
    n: cython.Py_ssize_t  # points learnt, those of the warm start included
    seen: cython.Py_ssize_t  # the same with those in which nothing was observed
    gates: cython.double[::1]
    n_outliers: cython.Py_ssize_t
    n_empty: cython.Py_ssize_t
    # statistics
    width: cython.Py_ssize_t  # of one component's moments
    origin: cython.double[::1]
    moments: cython.double[::1]  # [i, k, :]
    pairs: cython.double[::1]  # [i, j, k]
    flow: cython.double[::1]  # changes, and time where the chain is timed
    average_flow: cython.double[::1]
    # the last points
    lag: cython.Py_ssize_t
    backs: cython.double[::1]
    times: cython.double[::1]
    lost: cython.bint  # sight, since the last point
    parting: cython.double[::1]  # the belief in where that one was
    # the first points
    capacity: cython.Py_ssize_t
    due: cython.Py_ssize_t
    kept: cython.double[::1]
    kept_times: cython.double[::1]
    log_density: cython.double  # of the point last examined
    # work space
    spare_moments: cython.double[::1]
    spare_pairs: cython.double[::1]
    sample: cython.double[::1]
    point: cython.double[::1]
    gamma: cython.double[::1]

    def __init__(
        self,
        chain: Chain,
        prior: array[float],
        averaging: bool,
        every: int,
        schedule: Any,
        gates: array[float],
        lag: int,
        capacity: int,
    ) -> None:
        k: cython.Py_ssize_t = chain.n
        d: cython.Py_ssize_t = chain.components.n_features
        self.iterate = chain
        self.report = chain
        self.average = chain.components
        self.prior = prior
        self.pace = Pace(schedule, 0.0, float("-inf"))
        self.averaging = averaging
        self.every = every
        self.n = 0
        self.seen = 0
        self.gates = gates
        self.n_outliers = 0
        self.n_empty = 0
        self.width = 1 + d + (d * (d + 1) // 2 if chain.components.dense else d)
        self.origin = zeros(k * d)
        self.moments = zeros(k * k * self.width)
        self.pairs = zeros(k * k * k)
        self.flow = zeros(k * k)
        self.average_flow = zeros(k * k)
        self.lag = lag
        self.backs = zeros((lag + 1) * k * k)
        self.times = zeros(lag + 1)
        self.lost = False
        self.parting = zeros(k)
        self.capacity = capacity
        self.due = capacity
        self.kept = zeros(0)
        self.kept_times = zeros(0)
        self.log_density = 0.0
        self.spare_moments = zeros(k * k * self.width)
        self.spare_pairs = zeros(k * k * k)
        self.sample = zeros(self.width)
        self.point = zeros(d)
        self.gamma = zeros(2 * k)

    # -- statistics -----------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def recur(self, x: cython.double[::1], at: cython.Py_ssize_t, g: cython.double) -> cython.int:
        """Statistics given each place, one point further. O(K^4 + K^3 D^2)."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        h: cython.Py_ssize_t
        p: cython.Py_ssize_t
        source: cython.Py_ssize_t
        target: cython.Py_ssize_t
        chain: Chain = self.iterate
        n: cython.Py_ssize_t = chain.n
        size: cython.Py_ssize_t = n * n
        width: cython.Py_ssize_t = self.width
        keep: cython.double = 1.0 - g
        share: cython.double
        # a gap that tells nothing of the rates takes nothing from what is known of them
        told: cython.double = g if not chain.timed or chain.n_nodes > 0 else 0.0
        if self.lost:
            told = 0.0
        old: cython.double[::1] = self.moments
        new: cython.double[::1] = self.spare_moments
        old_pairs: cython.double[::1] = self.pairs
        new_pairs: cython.double[::1] = self.spare_pairs

        for i in range(size * width):
            new[i] = 0.0
        for i in range(n * size):
            new_pairs[i] = told * chain.flow[i]
        for k in range(n):
            for h in range(n):
                share = chain.back[h * n + k]
                if share < 1e-20:
                    continue
                for i in range(n):
                    source = (i * n + h) * width
                    target = (i * n + k) * width
                    for p in range(width):
                        new[target + p] += keep * share * old[source + p]
                share *= 1.0 - told
                for i in range(size):
                    new_pairs[i * n + k] += share * old_pairs[i * n + h]
        if g > 0.0:
            for i in range(n):
                self.measure(i, x, at)
                target = (i * n + i) * width
                for p in range(width):
                    new[target + p] += g * self.sample[p]
        self.moments = new
        self.spare_moments = old
        self.pairs = new_pairs
        self.spare_pairs = old_pairs
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def measure(
        self, i: cython.Py_ssize_t, x: cython.double[::1], at: cython.Py_ssize_t
    ) -> cython.int:
        """s(x) about the origin of component i, for the point last seen by its E-step."""
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        components: Components = self.iterate.components
        d: cython.Py_ssize_t = components.n_features
        base: cython.Py_ssize_t = i * d
        start: cython.Py_ssize_t = i * components.size
        p: cython.Py_ssize_t = 1 + d
        complete: cython.bint = components.observed == d
        s: cython.double[::1] = self.sample
        s[0] = 1.0
        for a in range(d):
            s[1 + a] = (x[at + a] if complete else components.filled[base + a]) - self.origin[
                base + a
            ]
        if components.dense:
            for a in range(d):
                for b in range(a + 1):
                    s[p] = s[1 + a] * s[1 + b]
                    if not complete:
                        s[p] += components.spread[start + a * d + b]
                    p += 1
        else:
            for a in range(d):
                s[p] = s[1 + a] * s[1 + a]
                if not complete:
                    s[p] += components.spread[start + a]
                p += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def collect(self) -> cython.int:
        """Statistics of the M-step, those given each place weighed by the belief in it."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        chain: Chain = self.iterate
        components: Components = chain.components
        n: cython.Py_ssize_t = chain.n
        d: cython.Py_ssize_t = components.n_features
        width: cython.Py_ssize_t = self.width
        weight: cython.double
        s: cython.double[::1] = self.sample
        for i in range(n * n):
            weight = 0.0
            for k in range(n):
                weight += chain.belief[k] * self.pairs[i * n + k]
            self.flow[i] = weight
        for i in range(n):
            for p in range(width):
                s[p] = 0.0
            for k in range(n):
                weight = chain.belief[k]
                at = (i * n + k) * width
                for p in range(width):
                    s[p] += weight * self.moments[at + p]
            weight = s[0]
            components.weight[i] = weight
            if not (weight > 1e-300):
                continue
            for a in range(d):
                s[1 + a] /= weight
                components.center[i * d + a] = self.origin[i * d + a] + s[1 + a]
            p = 1 + d
            at = i * components.size
            if components.dense:
                for a in range(d):
                    for b in range(a + 1):
                        components.scatter[at + a * d + b] = s[p] / weight - s[1 + a] * s[1 + b]
                        p += 1
            else:
                for a in range(d):
                    components.scatter[at + a] = s[p] / weight - s[1 + a] * s[1 + a]
                    p += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def recentre(self) -> cython.int:
        """Move the origins to where the means are now. O(K^2 D^2)."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        a: cython.Py_ssize_t
        b: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        components: Components = self.iterate.components
        n: cython.Py_ssize_t = self.iterate.n
        d: cython.Py_ssize_t = components.n_features
        shift: cython.double[::1] = self.sample
        m: cython.double[::1] = self.moments
        for i in range(n):
            for a in range(d):
                shift[a] = components.center[i * d + a] - self.origin[i * d + a]
                self.origin[i * d + a] = components.center[i * d + a]
            for k in range(n):
                at = (i * n + k) * self.width
                p = at + 1 + d
                for a in range(d):
                    for b in range(0 if components.dense else a, a + 1):
                        m[p] += (
                            m[at] * shift[a] * shift[b]
                            - m[at + 1 + a] * shift[b]
                            - m[at + 1 + b] * shift[a]
                        )
                        p += 1
                for a in range(d):
                    m[at + 1 + a] -= m[at] * shift[a]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def maximise_chain(
        self, chain: Chain, flow: cython.double[::1], points: cython.double
    ) -> cython.int:
        """Transitions from the changes counted; rows of which nothing is known stay."""
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        n: cython.Py_ssize_t = chain.n
        total: cython.double
        value: cython.double
        chain.renew()
        for i in range(n):
            total = 0.0
            if chain.timed:
                value = points * flow[i * n + i] + self.prior[i * n + i]
                if not (value > 0.0):
                    continue
                for j in range(n):
                    if j != i:
                        chain.transition[i * n + j] = (
                            points * flow[i * n + j] + self.prior[i * n + j]
                        ) / value
                        total += chain.transition[i * n + j]
                chain.transition[i * n + i] = -total
            else:
                for j in range(n):
                    total += points * flow[i * n + j] + self.prior[i * n + j]
                if not (total > 0.0):
                    continue
                for j in range(n):
                    chain.transition[i * n + j] = (
                        points * flow[i * n + j] + self.prior[i * n + j]
                    ) / total
        return 0

    # -- batch ----------------------------------------------------------------------------------

    def accumulate(
        self, x: cython.double[::1], n: cython.Py_ssize_t, gaps: cython.double[::1]
    ) -> float:
        """Statistics of a series under frozen parameters; the sum of its log densities.

        The recursion with steps 1 / n and no M-step between is the exact E-step of Baum and Welch,
        without a way back. The first point is as probable as in the long run. Where nothing is
        observed neither the point nor the change that led there is counted.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        chain: Chain = self.iterate
        d: cython.Py_ssize_t = chain.components.n_features
        total: cython.double = 0.0
        none: cython.double[::1] = zeros(d + 1)
        for i in range(d + 1):
            none[i] = float("inf")
        for i in range(len(self.moments)):
            self.moments[i] = 0.0
        for i in range(len(self.pairs)):
            self.pairs[i] = 0.0
        for i in range(len(self.origin)):
            self.origin[i] = chain.components.mean[i]
        chain.settle()
        self.n = 0
        for i in range(n):
            total += chain.observe(x, i * d, gaps[i], none, True)
            if i == 0:
                for j in range(len(chain.flow)):
                    chain.flow[j] = 0.0
            if chain.components.observed > 0:
                self.n += 1
                self.recur(x, i * d, 1.0 / self.n)
            else:
                self.recur(x, i * d, 0.0)
        self.collect()
        chain.components.points = self.n
        return total

    def maximise(self) -> None:
        """M-step of the statistics accumulated."""
        self.recentre()
        self.iterate.components.read_out()
        self.maximise_chain(self.iterate, self.flow, self.n)

    def begin(
        self,
        x: cython.double[::1],
        n: cython.Py_ssize_t,
        gaps: cython.double[::1],
        times: cython.double[::1],
    ) -> None:
        """Stream on from the series accumulated, with the parameters as they are.

        Points that were left out there, their values put to NaN, are among them here.
        """
        i: cython.Py_ssize_t
        self.recentre()
        if self.averaging:
            self.report = chain_from_state(self.iterate.state())
            self.average = self.iterate.components.statistics()
            for i in range(len(self.flow)):
                self.average_flow[i] = self.flow[i]
        self.report.settle()
        self.n = 0
        self.make_room(n)
        last: cython.double = float("-inf")
        for i in range(n):
            self.report.observe(
                x, i * self.report.components.n_features, gaps[i], self.gates, False
            )
            self.remember(x, i * self.report.components.n_features, times[i])
            if self.report.components.observed > 0:
                self.n += 1
            if times[i] > last:
                last = times[i]
        self.pace = Pace(self.pace.state()[0], float(self.n), last)

    # -- stream ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn_at(
        self, x: cython.double[::1], at: cython.Py_ssize_t, time: cython.double
    ) -> cython.int:
        g: cython.double = 0.0
        gap: cython.double = time - self.pace.last
        chain: Chain = self.iterate
        components: Components = chain.components
        chain.observe(x, at, gap, self.gates, True)
        if components.observed == 0:
            self.n_empty += 1
            if time > self.pace.last:
                self.pace.last = time
        else:
            self.n += 1
            g = self.pace.step_size(self.n, time)
            components.points += 1.0
            if self.pace.follows and components.points * g > 1.0:
                # what is forgotten no longer stands against the prior
                components.points = 1.0 / g
            if chain.outlying < 1.0:
                self.n_outliers += 1
        self.recur(x, at, g * chain.outlying * chain.outlying)
        if g > 0.0:
            self.collect()
            components.read_out()
            self.maximise_chain(chain, self.flow, components.points)
        if self.averaging:
            self.report.observe(x, at, gap, self.gates, False)
        self.remember(x, at, time)
        if g > 0.0 and self.n % self.every == 0:
            self.recentre()
            if self.averaging:
                self.settle(g)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def settle(self, g: cython.double) -> cython.int:
        """What is reported, from the average and the last iterate."""
        i: cython.Py_ssize_t
        share: cython.double = self.every
        share /= self.n
        components: Components = self.report.components
        self.average.mix(self.iterate.components, share)
        self.average.points = self.iterate.components.points
        for i in range(len(self.flow)):
            self.average_flow[i] += share * (self.flow[i] - self.average_flow[i])
        share = 1.0 / (self.n * g)
        if share > 1.0:
            share = 1.0
        components.take(self.average)
        components.mix(self.iterate.components, share)
        components.read_out()
        for i in range(len(self.flow)):
            self.spare_pairs[i] = self.average_flow[i] + share * (
                self.flow[i] - self.average_flow[i]
            )
        self.maximise_chain(self.report, self.spare_pairs, components.points)
        return 0

    @cython.cfunc
    def make_room(self, n: cython.Py_ssize_t) -> cython.int:
        """For so many more points, or as many as are ever kept."""
        d: cython.Py_ssize_t = len(self.point)
        n += self.seen
        if n > self.capacity:
            n = self.capacity
        if n > len(self.kept_times):
            self.kept = grown(self.kept, n * d, self.capacity * d)
            self.kept_times = grown(self.kept_times, n, self.capacity)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def remember(
        self, x: cython.double[::1], at: cython.Py_ssize_t, time: cython.double
    ) -> cython.int:
        i: cython.Py_ssize_t
        slot: cython.Py_ssize_t = self.seen % (self.lag + 1)
        k: cython.Py_ssize_t = self.report.n
        d: cython.Py_ssize_t = self.report.components.n_features
        if self.seen < self.capacity:
            for i in range(d):
                self.kept[self.seen * d + i] = x[at + i]
            self.kept_times[self.seen] = time
        self.seen += 1
        for i in range(k * k):
            # out of sight, where it was is what was believed then, wherever it is now
            self.backs[slot * k * k + i] = (
                self.parting[i // k] if self.lost else self.report.back[i]
            )
        self.lost = False
        self.times[slot] = time
        return 0

    def look_back(self, lag: cython.Py_ssize_t) -> list[float] | None:
        """Probabilities of the components so many points ago, given all since. O(lag K^2).

        None if fewer points have come or are kept.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        h: cython.Py_ssize_t
        back: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.report.n
        value: cython.double
        if lag > self.lag or lag >= self.seen:
            return None
        for j in range(k):
            self.gamma[j] = self.parting[j] if self.lost else self.report.belief[j]
        for i in range(lag):
            back = (self.seen - 1 - i) % (self.lag + 1) * k * k
            for h in range(k):
                value = 0.0
                for j in range(k):
                    value += self.backs[back + h * k + j] * self.gamma[j]
                self.gamma[k + h] = value
            for h in range(k):
                self.gamma[h] = self.gamma[k + h]
        return [self.gamma[j] for j in range(k)]

    def time_of(self, lag: cython.Py_ssize_t) -> float:
        """When the point so many ago came."""
        at: float = self.times[(self.seen - 1 - lag) % (self.lag + 1)]
        return at

    def learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
    ) -> int:
        """Learn points from begin on, one after the other, until end or until a fit is due.

        Returns where it stopped. O(K^4 + K^3 D^2) a point.
        """
        i: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.iterate.components.n_features
        missing: cython.double = float("nan")
        self.make_room(end - begin)
        for i in range(begin, end):
            self.learn_at(x, i * d, missing if times is None else times[i])
            if self.seen == self.due:
                return i + 1
        return end

    def label_and_learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
        labels: cython.Py_ssize_t[::1],
        probability: cython.double[::1],
        log_density: cython.double[::1],
        outlier: cython.uchar[::1],
    ) -> int:
        """Learn points as `learn` does, each labelled first by what is reported at that moment.

        Answers are those of `assign_one`, written in place. Returns where it stopped.
        """
        i: cython.Py_ssize_t
        label: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.iterate.components.n_features
        time: cython.double = float("nan")
        self.make_room(end - begin)
        for i in range(begin, end):
            if times is not None:
                time = times[i]
            label = self.examine_at(x, i * d, time)
            labels[i] = label
            probability[i] = self.report.components.resp[label]
            log_density[i] = self.log_density
            outlier[i] = self.report.outlying < 1.0
            self.learn_at(x, i * d, time)
            if self.seen == self.due:
                return i + 1
        return end

    @cython.ccall
    def learn_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Learn a mapping. Of its features how many are not named; -1 - that if work is due."""
        unknown: cython.Py_ssize_t = len(x) - fill(x, names, self.point)
        self.make_room(1)
        self.learn_at(self.point, 0, time)
        return -1 - unknown if self.seen == self.due else unknown

    # -- answers --------------------------------------------------------------------------------

    @cython.cfunc
    def examine(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Filter step of a mapping that is not learnt; its most probable component."""
        fill(x, names, self.point)
        return self.examine_at(self.point, 0, time)

    @cython.cfunc
    @cython.exceptval(check=False)
    def examine_at(
        self, x: cython.double[::1], at: cython.Py_ssize_t, time: cython.double
    ) -> cython.Py_ssize_t:
        """The same for a row."""
        k: cython.Py_ssize_t
        best: cython.Py_ssize_t = 0
        components: Components = self.report.components
        self.report.predict(time - self.pace.last)
        self.log_density = self.report.weigh(x, at, self.gates)
        for k in range(1, components.n_components):
            if components.resp[k] > components.resp[best]:
                best = k
        return best

    def label_one(self, x: Any, names: tuple[Any, ...], time: float) -> int:
        return self.examine(x, names, time)

    def probabilities_one(self, x: Any, names: tuple[Any, ...], time: float) -> list[float]:
        self.examine(x, names, time)
        return [self.report.components.resp[k] for k in range(self.report.n)]

    def log_density_one(self, x: Any, names: tuple[Any, ...], time: float) -> float:
        self.examine(x, names, time)
        return self.log_density

    def assign_one(
        self, x: Any, names: tuple[Any, ...], time: float
    ) -> tuple[int, float, float, bool]:
        """Label, its probability, log density, and whether the point is an outlier."""
        label: cython.Py_ssize_t = self.examine(x, names, time)
        chain: Chain = self.report
        outlier: cython.bint = chain.outlying < 1.0
        return label, chain.components.resp[label], self.log_density, bool(outlier)

    @property
    def chain(self) -> Chain:
        """What is reported."""
        return self.report

    @property
    def iterate_chain(self) -> Chain:
        return self.iterate

    @property
    def components(self) -> Components:
        return self.report.components

    @property
    def transition(self) -> array[float]:
        """Transition probabilities, or rates, as reported."""
        return doubles(bytes(self.report.transition))

    @property
    def belief(self) -> list[float]:
        """Probabilities of the components at the last point."""
        return [self.report.belief[k] for k in range(self.report.n)]

    @property
    def outlier_gates(self) -> array[float]:
        return doubles(bytes(self.gates))

    def lose_sight(self) -> None:
        """Believe of the next regime only what holds in the long run.

        The statistics become the same given each place: it tells nothing of what was before.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        p: cython.Py_ssize_t
        at: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.iterate.n
        belief: cython.double[::1] = self.iterate.belief
        total: cython.double
        if self.lost:
            return
        for i in range(n):
            for p in range(self.width):
                total = 0.0
                at = i * n * self.width + p
                for k in range(n):
                    total += belief[k] * self.moments[at + k * self.width]
                for k in range(n):
                    self.moments[at + k * self.width] = total
        for i in range(n * n):
            total = 0.0
            for k in range(n):
                total += belief[k] * self.pairs[i * n + k]
            for k in range(n):
                self.pairs[i * n + k] = total
        for k in range(n):
            self.parting[k] = self.report.belief[k]
        self.lost = True
        self.iterate.settle()
        if self.averaging:
            self.report.settle()

    @property
    def n_points(self) -> int:
        """Learnt, those of the warm start included."""
        return self.n

    @property
    def n_seen(self) -> int:
        return self.seen

    @property
    def outliers(self) -> int:
        return self.n_outliers

    @property
    def empty(self) -> int:
        return self.n_empty

    @property
    def is_due(self) -> bool:
        """Whether all points so far are kept and are to be fitted again."""
        return self.seen == self.due

    def put_off(self, n: int) -> None:
        """Learn without a break until there are n points."""
        self.due = n

    def points_kept(self) -> bytes:
        return bytes(self.kept)[: 8 * min(self.seen, self.capacity) * len(self.point)]

    def times_kept(self) -> bytes:
        return bytes(self.kept_times)[: 8 * min(self.seen, self.capacity)]

    def count(self, other: ChainStream) -> None:
        """Take over what another has counted."""
        self.n_outliers = other.n_outliers
        self.n_empty = other.n_empty

    @property
    def last_time(self) -> float:
        return self.pace.last

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        return {
            "iterate": self.iterate.state(),
            "average": self.average.state() if self.averaging else None,
            "report": self.report.state() if self.averaging else None,
            "prior": bytes(self.prior),
            "pace": self.pace.state(),
            "averaging": bool(self.averaging),
            "every": self.every,
            "n": self.n,
            "seen": self.seen,
            "gates": bytes(self.gates),
            "n_outliers": self.n_outliers,
            "n_empty": self.n_empty,
            "origin": bytes(self.origin),
            "moments": bytes(self.moments),
            "pairs": bytes(self.pairs),
            "flow": bytes(self.flow),
            "average_flow": bytes(self.average_flow),
            "lag": self.lag,
            "backs": bytes(self.backs),
            "times": bytes(self.times),
            "parting": bytes(self.parting) if self.lost else None,
            "capacity": self.capacity,
            "due": self.due,
            "kept": self.points_kept(),
            "kept_times": self.times_kept(),
        }

    def __reduce__(self) -> Any:
        return chain_stream_from_state, (self.state(),)


def chain_stream_from_state(state: dict[str, Any]) -> ChainStream:
    shape = state["iterate"]["components"]["shape"]
    k, d, _ = shape
    # a chain takes memory of this size
    pairs = block(state, "pairs", whole(k, "n_components", 1) ** 3)
    chain: Chain = chain_from_state(state["iterate"])
    # not by an index, which is unchecked in here
    schedule, _, _ = state["pace"]
    lag = whole(state["lag"], "lag")
    backs = block(state, "backs", (lag + 1) * k * k)
    moments = block(state, "moments", len(state["moments"]) // 8)
    result: ChainStream = ChainStream(
        chain,
        block(state, "prior", k * k),
        flag(state["averaging"], "averaging"),
        whole(state["every"], "every", 1),
        schedule,
        block(state, "gates", d + 1, False),
        lag,
        whole(state["capacity"], "capacity"),
    )
    if len(moments) != k * k * result.width:
        raise ValueError(f"moments are not {k * k * result.width} doubles")
    if result.averaging:
        if list(state["average"]["shape"]) != list(shape):
            raise ValueError("the average has not the shape of the iterate")
        if list(state["report"]["components"]["shape"]) != list(shape):
            raise ValueError("the report has not the shape of the iterate")
        result.average = statistics_from_state(state["average"])
        result.report = chain_from_state(state["report"])
        if result.report.timed != chain.timed:
            raise ValueError("of iterate and report only one is timed")
    result.pace = pace_from_state(state["pace"])
    result.n = whole(state["n"], "n")
    result.seen = whole(state["seen"], "seen")
    result.n_outliers = whole(state["n_outliers"], "n_outliers")
    result.n_empty = whole(state["n_empty"], "n_empty")
    result.origin = block(state, "origin", k * d)
    result.moments = moments
    result.pairs = pairs
    result.flow = block(state, "flow", k * k)
    result.average_flow = block(state, "average_flow", k * k)
    result.backs = backs
    result.times = block(state, "times", lag + 1, False)
    if state["parting"] is not None:
        result.parting = block(state, "parting", k)
        result.lost = True
    result.due = whole(state["due"], "due", -1, result.capacity)
    kept = min(result.seen, result.capacity)
    points = block(state, "kept", kept * d, False)
    check_points(points, "kept")
    result.kept = points
    result.kept_times = block(state, "kept_times", kept, False)
    return result
