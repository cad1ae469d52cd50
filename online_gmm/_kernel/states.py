"""The states of a stream: means of the segments that were alike.

A segment is in the nearest state if that is as near as sampling allows; else a state is born. What
counts is the mean of the state or of its last visit, whichever is nearer. States learn the segments
in them, and follow a drift.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import sqrt
    from cython.cimports.online_gmm._kernel.memory import first
    from cython.cimports.online_gmm._kernel.metric import Metric
else:
    from math import sqrt

    from online_gmm._kernel.memory import first
    from online_gmm._kernel.metric import Metric
from array import array
from typing import Any

from online_gmm._kernel.values import block, longer, places, whole, zeros

NEAR = 3.0
"""Sampling makes a squared distance at most so many standard deviations larger than its mean."""
NEAR_NOW = 1.0
"""The same for a segment that has only begun, if its state is to be taken as known."""
LEAST_NEAR = 2.0
"""A squared distance up to this is near, however long both have lasted."""
FEWEST = 0.8
"""Windows that a segment counts as at least: one look says nearly as much as a window."""
MOST_STATES = 64
FEW_STATES = 4
"""There is room for so many at first, and for twice as many whenever they are too many."""


@cython.final
@cython.cclass
class States:
    """The states that a scale sees, by means of p features.

    ``most`` is the number of windows after which a state has followed a drift.
    """

    n_features: cython.Py_ssize_t
    most: cython.double
    n: cython.Py_ssize_t
    alive: cython.Py_ssize_t[::1]
    visits: cython.Py_ssize_t[::1]
    weight: cython.double[::1]  # windows
    means: cython.double[::1]
    lasts: cython.double[::1]  # of the last visit
    room: cython.Py_ssize_t  # states there may be
    # what `nearest` finds: how far the nearest one and the next one are, 1 is as sampling allows
    first: cython.double
    second: cython.double
    # what `measure` finds
    windows: cython.double
    between: cython.double  # squared distances of the states from their mean, summed over windows
    n_seen: cython.Py_ssize_t  # states
    shortest: cython.double  # mean visit of a state, windows
    middle: cython.double[::1]

    def __init__(self, n_features: int, most: float) -> None:
        self.n_features = n_features
        self.most = most
        self.n = 0
        self.alive = array("q")
        self.visits = array("q")
        self.weight = zeros(0)
        self.means = zeros(0)
        self.lasts = zeros(0)
        self.make_room(FEW_STATES)
        self.room = MOST_STATES
        self.first = 0.0
        self.second = 0.0
        self.windows = 0.0
        self.between = 0.0
        self.n_seen = 0
        self.shortest = 0.0
        self.middle = zeros(n_features)

    @cython.cfunc
    @cython.exceptval(-2)
    def birth(self, mean: cython.p_double) -> cython.Py_ssize_t:
        """A new state."""
        k: cython.Py_ssize_t = 0
        while k < self.n and self.alive[k] != 0:
            k += 1
        if k == len(self.alive):
            self.make_room(2 * k)
        self.move(k, mean)
        self.alive[k] = 1
        self.visits[k] = 0
        self.weight[k] = 0.0
        if k == self.n:
            self.n += 1
        return k

    @cython.cfunc
    @cython.exceptval(check=False)
    def move(self, k: cython.Py_ssize_t, mean: cython.p_double) -> cython.int:
        """State k, which has learnt nothing yet, has this mean."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        for i in range(p):
            self.means[k * p + i] = mean[i]
            self.lasts[k * p + i] = mean[i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def has_room(self) -> cython.bint:
        """Whether there may be one more state."""
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t = 0
        for k in range(self.n):
            n += self.alive[k]
        return n < self.room

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn(
        self, k: cython.Py_ssize_t, mean: cython.p_double, windows: cython.double
    ) -> cython.int:
        """State k learns the mean of a segment of so many windows."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        had: cython.double = self.weight[k] if self.weight[k] < self.most else self.most
        fraction: cython.double = windows / (had + windows)
        for i in range(p):
            self.means[k * p + i] += fraction * (mean[i] - self.means[k * p + i])
            self.lasts[k * p + i] = mean[i]
        self.weight[k] += windows
        self.visits[k] += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def nearest(
        self,
        metric: Metric,
        mean: cython.p_double,
        windows: cython.double,
        but: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:
        """The state that a segment of this mean is in, -1 if there is none as near."""
        p: cython.Py_ssize_t = self.n_features
        s: cython.Py_ssize_t
        k: cython.Py_ssize_t = -1
        closest: cython.Py_ssize_t = -1
        d: cython.double
        last: cython.double
        far: cython.double
        v: cython.double
        least: cython.double = 1e300
        df: cython.double = metric.freedom
        spread: cython.double = df * (1.0 + NEAR * sqrt(2.0 / df))
        had: cython.double
        near: cython.double = LEAST_NEAR
        fewest: cython.double = FEWEST
        self.second = 1e300
        if windows < fewest:
            windows = fewest
        if windows > self.most:
            windows = self.most
        for s in range(self.n):
            if self.alive[s] == 0 or s == but or self.weight[s] == 0.0:
                continue
            had = self.weight[s] if self.weight[s] < self.most else self.most
            v = spread * (1.0 / windows + 1.0 / had)
            if v < near:
                v = near
            # what is clearly farther than the second is not measured to the end
            far = 1.000001 * self.second * v
            d = metric.distance(mean, first(self.means), s * p, far)
            last = metric.distance(mean, first(self.lasts), s * p, far)
            if last < d:
                d = last
            d /= v
            if d < least:
                self.second = least
                least = d
                closest = s
            elif d < self.second:
                self.second = d
        self.first = least
        if least < 1.0 or (but < 0 and not self.has_room()):
            k = closest
        return k

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_doubtful(self, k: cython.Py_ssize_t, metric: Metric) -> cython.bint:
        """Whether state k is not as near to the segment as one that has only begun should be."""
        spread: cython.double = sqrt(2.0 / metric.freedom)
        return k >= 0 and self.first > (1.0 + NEAR_NOW * spread) / (1.0 + NEAR * spread)

    @cython.cfunc
    @cython.exceptval(check=False)
    def measure(
        self,
        metric: Metric,
        mean: cython.p_double,
        windows: cython.double,
        now: cython.Py_ssize_t,
    ) -> cython.int:
        """See how far the states are apart.

        ``mean`` and ``windows`` are of the segment that is going on, which is in state ``now``.
        """
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        whole: cython.double = float("inf")  # distances are measured to the end
        self.windows = windows
        self.n_seen = 0
        self.shortest = 1e300
        self.between = 0.0
        for i in range(p):
            self.middle[i] = windows * mean[i]
        for k in range(self.n):
            if self.alive[k] != 0 and (self.weight[k] > 0.0 or k == now):
                self.n_seen += 1
                self.windows += self.weight[k]
                if self.visits[k] > 0 and self.weight[k] < self.shortest * self.visits[k]:
                    self.shortest = self.weight[k] / self.visits[k]
                for i in range(p):
                    self.middle[i] += self.weight[k] * self.means[k * p + i]
        if self.windows == 0.0:
            return 0
        for i in range(p):
            self.middle[i] /= self.windows
        self.between = windows * metric.distance(first(self.middle), mean, 0, whole)
        for k in range(self.n):
            if self.alive[k] != 0 and self.weight[k] > 0.0:
                self.between += self.weight[k] * metric.distance(
                    first(self.middle), first(self.means), k * p, whole
                )
        return 0

    @cython.cfunc
    @cython.exceptval(-2)
    def make_room(self, n: cython.Py_ssize_t) -> cython.int:
        """Let there be room for n states."""
        p: cython.Py_ssize_t = self.n_features
        self.alive = longer(self.alive, n)
        self.visits = longer(self.visits, n)
        self.weight = longer(self.weight, n)
        self.means = longer(self.means, n * p)
        self.lasts = longer(self.lasts, n * p)
        return 0

    def state(self) -> dict[str, Any]:
        p, n = self.n_features, self.n
        return {
            "n_states": n,
            "alive": bytes(self.alive[:n]),
            "visits": bytes(self.visits[:n]),
            "weight": bytes(self.weight[:n]),
            "means": bytes(self.means[: n * p]),
            "lasts": bytes(self.lasts[: n * p]),
        }

    def load(self, state: dict[str, Any]) -> None:
        p = self.n_features
        n = whole(state["n_states"], "n_states", 0, MOST_STATES)
        self.n = n
        self.alive = places(state, "alive", n, 0, 1)
        self.visits = places(state, "visits", n)
        self.weight = block(state, "weight", n)
        self.means = block(state, "means", n * p)
        self.lasts = block(state, "lasts", n * p)
        self.make_room(max(n, FEW_STATES))
