"""A chain whose components come as they are needed, over features of a sliding window.

Neighbouring windows of W points share most of them, so every ``hop``-th row is looked at, and one
look weighs h = hop / W windows. With the belief b over the K components alive and over the novelty,
a flat density that says "none of these", a look at the row x is a step of a sticky filter

    p_k = s b_k + (1-s)(1-a)(1-b_k) / K    p_0 = s b_0 + (1-s) a (1-b_0)    s = exp(-h / dwell)
    b_k  is proportional to  p_k exp(temper h l_k)

in which l_k is the log of the predictive density of a Gaussian known from n_k windows, and l_0 that
of one at a squared distance of ``novelty`` a feature. Components learn with steps b_k h / n_k;
their variances are drawn to those pooled over all, and never fall below a floor. A novelty that
lasts becomes a component; one that is left for another and returned to at once is part of it.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import exp, log
    from cython.cimports.online_gmm._kernel.points import fill
else:
    from math import exp, log

    from online_gmm._kernel.points import fill
from online_gmm._kernel.values import block, check_points, doubles, real, whole, zeros

ALPHA = 0.1
"""Share of the changes that lead to something new."""
POOLING = 20.0
"""Windows over which the pooled variances are averaged, beside the prior's."""
SURE = 0.98
"""Belief in a component that is born."""


@cython.final
@cython.cclass
class OpenChain:
    """At most K components with variances per feature, numbered as they are born."""

    capacity: cython.Py_ssize_t  # K
    d: cython.Py_ssize_t
    hop: cython.Py_ssize_t
    look: cython.double  # h
    temper: cython.double
    stay: cython.double
    novelty: cython.double
    floor: cython.double  # a variance
    strength: cython.double  # windows
    warm: cython.Py_ssize_t  # looks, as all that follow
    birth: cython.Py_ssize_t
    young: cython.Py_ssize_t
    bounce: cython.Py_ssize_t
    # components
    alive: cython.Py_ssize_t
    count: cython.double[::1]  # windows
    mean: cython.double[::1]
    scatter: cython.double[::1]
    variance: cython.double[::1]  # scatter drawn to the pool
    pool: cython.double[::1]
    belief: cython.double[::1]  # the last entry is that in the novelty
    number: cython.Py_ssize_t[::1]
    used: cython.Py_ssize_t[::1]  # look at which it was the label last
    born: cython.Py_ssize_t[::1]
    # where the chain is
    looks: cython.Py_ssize_t
    next_number: cython.Py_ssize_t
    now: cython.Py_ssize_t  # component, or K for the novelty
    regime: cython.Py_ssize_t  # the component last left for another is ``before``
    before: cython.Py_ssize_t
    entered: cython.Py_ssize_t
    held: cython.Py_ssize_t  # looks that the novelty has lasted
    shown: cython.Py_ssize_t  # number
    n: cython.Py_ssize_t  # rows
    n_empty: cython.Py_ssize_t
    last: cython.double
    recent: cython.double[::1]  # rows of the last looks
    # work space
    outlook: cython.double[::1]
    point: cython.double[::1]

    def __init__(
        self,
        n_features: int,
        capacity: int,
        hop: int,
        window: int,
        settings: Any,
        spans: Any,
        last: float,
    ) -> None:
        k: cython.Py_ssize_t = capacity
        d: cython.Py_ssize_t = n_features
        self.capacity = k
        self.d = d
        self.hop = hop
        self.look = hop / window
        self.temper, dwell, self.novelty, self.floor, self.strength = settings
        self.stay = exp(-self.look / dwell)
        self.warm, self.birth, self.young, self.bounce = spans
        self.alive = 0
        self.count = zeros(k)
        self.mean = zeros(k * d)
        self.scatter = zeros(k * d)
        self.variance = zeros(k * d)
        self.pool = zeros(d)
        self.belief = zeros(k + 1)
        self.number = array("q", bytes(8 * k))
        self.used = array("q", bytes(8 * k))
        self.born = array("q", bytes(8 * k))
        self.looks = 0
        self.next_number = 1
        self.now = 0
        self.regime = 0
        self.before = -1
        self.entered = 0
        self.held = 0
        self.shown = 0
        self.n = 0
        self.n_empty = 0
        self.last = last
        self.recent = zeros(self.birth * d)
        self.outlook = zeros(k + 1)
        self.point = zeros(d)

    # -- filter ---------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def examine(self, x: cython.double[::1], at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Belief after a row, in ``outlook``; the component it is highest for. O(K D)."""
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        best: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.d
        unknown: cython.Py_ssize_t = self.capacity
        observed: cython.Py_ssize_t = 0
        z: cython.double
        value: cython.double
        scale: cython.double
        total: cython.double
        out: cython.double[::1] = self.outlook
        for k in range(self.alive):
            scale = self.count[k] / (self.count[k] + 1.0)
            value = 0.0
            observed = 0
            for j in range(d):
                if x[at + j] == x[at + j]:
                    z = x[at + j] - self.mean[k * d + j]
                    value += log(self.variance[k * d + j]) - log(scale)
                    value += scale * z * z / self.variance[k * d + j]
                    observed += 1
            total = self.stay * self.belief[k]
            total += (1.0 - self.stay) * (1.0 - ALPHA) * (1.0 - self.belief[k]) / self.alive
            out[k] = log(total + 1e-300) - 0.5 * self.temper * self.look * value
        value = observed * self.novelty
        for j in range(d):
            if x[at + j] == x[at + j]:
                value += log(self.pool[j] + self.floor)
        total = self.stay * self.belief[unknown]
        total += (1.0 - self.stay) * ALPHA * (1.0 - self.belief[unknown])
        out[unknown] = log(total + 1e-300) - 0.5 * self.temper * self.look * value
        # what is young has not shown its breadth yet
        if self.now < unknown and self.looks - self.born[self.now] < self.young:
            out[unknown] = -1e300
        best = unknown
        for k in range(self.alive):
            if out[k] > out[best]:
                best = k
        value = out[best]
        total = 0.0
        for k in range(self.alive):
            out[k] = exp(out[k] - value) if out[k] - value > -690.0 else 0.0
            total += out[k]
        out[unknown] = exp(out[unknown] - value) if out[unknown] - value > -690.0 else 0.0
        total += out[unknown]
        for k in range(self.alive):
            out[k] = out[k] / total if out[k] > 1e-30 * total else 1e-30
        out[unknown] = out[unknown] / total if out[unknown] > 1e-30 * total else 1e-30
        return best

    # -- learning -------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def shrink(self, k: cython.Py_ssize_t) -> cython.int:
        """Variances from the scatter of component k and those pooled."""
        j: cython.Py_ssize_t
        total: cython.double = self.count[k] + self.strength
        for j in range(k * self.d, (k + 1) * self.d):
            self.variance[j] = self.floor + (
                self.count[k] * self.scatter[j] + self.strength * self.pool[j - k * self.d]
            ) / (total if total > 0.0 else 1.0)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def absorb(
        self, k: cython.Py_ssize_t, x: cython.double[::1], at: cython.Py_ssize_t, h: cython.double
    ) -> cython.int:
        """Component k takes in a row, worth so many windows."""
        j: cython.Py_ssize_t
        i: cython.Py_ssize_t
        g: cython.double = h / (self.count[k] + h)
        z: cython.double
        self.count[k] += h
        for j in range(self.d):
            if x[at + j] == x[at + j]:
                i = k * self.d + j
                z = x[at + j] - self.mean[i]
                self.scatter[i] = (1.0 - g) * (self.scatter[i] + g * z * z)
                self.mean[i] += g * z
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn_look(self, x: cython.double[::1], at: cython.Py_ssize_t) -> cython.int:
        """Look at a row and learn it."""
        k: cython.Py_ssize_t
        j: cython.Py_ssize_t
        slot: cython.Py_ssize_t = self.looks % self.birth
        d: cython.Py_ssize_t = self.d
        unknown: cython.Py_ssize_t = self.capacity
        h: cython.double
        z: cython.double
        most: cython.double
        for j in range(d):
            self.recent[slot * d + j] = x[at + j]
        if self.alive == 0:
            self.absorb(0, x, at, self.look)
            self.looks += 1
            if self.looks >= self.warm:
                self.alive = 1
                self.belief[0] = 1.0
                self.born[0] = -self.young
                for j in range(d):
                    self.pool[j] = self.scatter[j]
                self.shrink(0)
            return 0
        self.now = self.examine(x, at)
        self.belief[unknown] = self.outlook[unknown]
        for k in range(self.alive):
            self.belief[k] = self.outlook[k]
            if self.belief[k] < 1e-3:
                continue
            h = self.belief[k] * self.look
            self.absorb(k, x, at, h)
            for j in range(d):
                if x[at + j] == x[at + j]:
                    z = x[at + j] - self.mean[k * d + j]
                    z *= z
                    most = 9.0 * (self.pool[j] + self.floor)
                    if z > most:
                        z = most
                    self.pool[j] += h / (POOLING + self.strength) * (z - self.pool[j])
            self.shrink(k)
        if self.now < unknown and self.now != self.regime:
            self.change()
        if self.now == unknown:
            self.held += 1
            self.shown = self.next_number
            if self.held >= self.birth:
                self.bear()
        else:
            self.held = 0
            self.shown = self.number[self.now]
            self.used[self.now] = self.looks
        self.looks += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def change(self) -> cython.int:
        """The regime is another; what was left and returned to at once is one with it."""
        elder: cython.Py_ssize_t
        younger: cython.Py_ssize_t
        left: cython.Py_ssize_t = self.regime
        back: cython.bint = self.now == self.before and self.looks - self.entered < self.bounce
        self.before = left
        self.regime = self.now
        self.entered = self.looks
        if back:
            elder = left if self.number[left] < self.number[self.now] else self.now
            younger = self.now if elder == left else left
            self.merge(elder, younger)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def merge(self, i: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.int:
        """Component k becomes part of i, and the last one takes its place."""
        j: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.d
        end: cython.Py_ssize_t = self.alive - 1
        g: cython.double = self.count[k] / (self.count[i] + self.count[k])
        z: cython.double
        for j in range(d):
            z = self.mean[k * d + j] - self.mean[i * d + j]
            self.scatter[i * d + j] += (
                g * (self.scatter[k * d + j] - self.scatter[i * d + j]) + g * (1.0 - g) * z * z
            )
            self.mean[i * d + j] += g * z
        self.count[i] += self.count[k]
        self.belief[i] += self.belief[k]
        if self.born[k] < self.born[i]:
            self.born[i] = self.born[k]
        if self.used[k] > self.used[i]:
            self.used[i] = self.used[k]
        self.shrink(i)
        self.now = self.place_after(self.now, i, k, end)
        self.regime = self.place_after(self.regime, i, k, end)
        self.before = self.place_after(self.before, i, k, end)
        if k != end:
            for j in range(d):
                self.mean[k * d + j] = self.mean[end * d + j]
                self.scatter[k * d + j] = self.scatter[end * d + j]
                self.variance[k * d + j] = self.variance[end * d + j]
            self.count[k] = self.count[end]
            self.belief[k] = self.belief[end]
            self.number[k] = self.number[end]
            self.used[k] = self.used[end]
            self.born[k] = self.born[end]
        self.belief[end] = 0.0
        self.alive = end
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def place_after(
        self,
        place: cython.Py_ssize_t,
        i: cython.Py_ssize_t,
        k: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:
        """Where a component is once k is part of i and the last one in its place."""
        if place == k:
            place = i
        return k if place == end else place

    @cython.cfunc
    @cython.exceptval(check=False)
    def bear(self) -> cython.int:
        """A component of the later half of the looks that the novelty has lasted."""
        k: cython.Py_ssize_t = self.alive
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        n: cython.Py_ssize_t = self.birth // 2
        d: cython.Py_ssize_t = self.d
        if n < 2:
            n = 2
        if k == self.capacity:
            k = 0
            for i in range(self.capacity):
                if self.used[i] < self.used[k]:
                    k = i
        else:
            self.alive += 1
        self.count[k] = 0.0
        for j in range(k * d, (k + 1) * d):
            self.mean[j] = 0.0
            self.scatter[j] = 0.0
        for i in range(n):
            self.absorb(k, self.recent, (self.looks - n + 1 + i) % self.birth * d, self.look)
        self.shrink(k)
        self.number[k] = self.next_number
        self.next_number += 1
        self.used[k] = self.looks
        self.born[k] = self.looks
        for i in range(self.capacity):
            self.belief[i] *= 0.01
        self.belief[k] = SURE
        self.belief[self.capacity] = 1e-3
        self.before = self.regime
        self.regime = k
        self.now = k
        self.entered = self.looks
        self.held = 0
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn_at(
        self, x: cython.double[::1], at: cython.Py_ssize_t, time: cython.double
    ) -> cython.int:
        j: cython.Py_ssize_t
        observed: cython.bint = False
        for j in range(self.d):
            if x[at + j] == x[at + j]:
                observed = True
        if time > self.last:
            self.last = time
        self.n += 1
        if not observed:
            self.n_empty += 1
        elif self.n % self.hop == 0:
            self.learn_look(x, at)
        return 0

    def pass_over(self, n: int) -> None:
        """Count rows that are not learnt."""
        self.n += n

    def learn(
        self,
        x: cython.double[::1],
        begin: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        times: cython.double[::1] | None,
    ) -> int:
        """Learn rows from begin to end; returns that. O(K D) for every hop-th."""
        i: cython.Py_ssize_t
        missing: cython.double = float("nan")
        for i in range(begin, end):
            self.learn_at(x, i * self.d, missing if times is None else times[i])
        return end

    def label(
        self, x: cython.double[::1], n: cython.Py_ssize_t, labels: cython.longlong[::1]
    ) -> None:
        """Learn n rows, and write the label that each leaves behind."""
        i: cython.Py_ssize_t
        missing: cython.double = float("nan")
        for i in range(n):
            self.learn_at(x, i * self.d, missing)
            labels[i] = self.shown

    @cython.ccall
    def learn_one(self, x: Any, names: tuple[Any, ...], time: cython.double) -> cython.Py_ssize_t:
        """Learn a mapping. Of its features how many are not named."""
        unknown: cython.Py_ssize_t = len(x) - fill(x, names, self.point)
        self.learn_at(self.point, 0, time)
        return unknown

    # -- answers --------------------------------------------------------------------------------

    def label_one(self, x: Any, names: tuple[Any, ...]) -> int:
        """The label of a mapping that comes next; nothing is learnt."""
        best: cython.Py_ssize_t
        fill(x, names, self.point)
        if self.alive == 0 or (self.n + 1) % self.hop != 0:
            return self.shown
        best = self.examine(self.point, 0)
        return self.next_number if best == self.capacity else self.number[best]

    def probabilities_one(self, x: Any, names: tuple[Any, ...]) -> dict[int, float]:
        """As `beliefs`, of a mapping that comes next; nothing is learnt."""
        fill(x, names, self.point)
        if self.alive == 0 or (self.n + 1) % self.hop != 0:
            return self.beliefs
        self.examine(self.point, 0)
        return self.by_number(self.outlook)

    @property
    def beliefs(self) -> dict[int, float]:
        """Probability of each component alive, by number, and of one to be born by the next."""
        return {0: 1.0} if self.alive == 0 else self.by_number(self.belief)

    def by_number(self, belief: cython.double[::1]) -> dict[int, float]:
        k: cython.Py_ssize_t
        total: cython.double = belief[self.capacity]
        result: dict[int, float] = {}
        for k in range(self.alive):
            total += belief[k]
        for k in range(self.alive):
            result[self.number[k]] = belief[k] / total
        result[self.next_number] = belief[self.capacity] / total
        return result

    @property
    def n_points(self) -> int:
        return self.n

    @property
    def outliers(self) -> int:
        return 0

    @property
    def empty(self) -> int:
        return self.n_empty

    @property
    def is_due(self) -> bool:
        return False

    @property
    def last_time(self) -> float:
        return self.last

    @property
    def means(self) -> dict[int, list[float]]:
        """Of the components alive, by number."""
        d: int = self.d
        values = doubles(bytes(self.mean))
        return {int(self.number[k]): list(values[k * d : k * d + d]) for k in range(self.alive)}

    def state(self) -> dict[str, Any]:
        """All that learning goes on from, as plain values."""
        return {
            "shape": (self.d, self.capacity, self.hop),
            "rates": tuple(
                float(rate)
                for rate in (
                    self.look,
                    self.temper,
                    self.stay,
                    self.novelty,
                    self.floor,
                    self.strength,
                )
            ),
            "spans": (self.warm, self.birth, self.young, self.bounce),
            "places": (
                self.alive,
                self.looks,
                self.next_number,
                self.now,
                self.regime,
                self.before,
                self.entered,
                self.held,
                self.shown,
                self.n,
                self.n_empty,
            ),
            "last": float(self.last),
            "count": bytes(self.count),
            "mean": bytes(self.mean),
            "scatter": bytes(self.scatter),
            "variance": bytes(self.variance),
            "pool": bytes(self.pool),
            "belief": bytes(self.belief),
            "number": bytes(self.number),
            "used": bytes(self.used),
            "born": bytes(self.born),
            "recent": bytes(self.recent),
        }

    def __reduce__(self) -> Any:
        return open_chain_from_state, (self.state(),)


def integers(state: dict[str, Any], name: str, size: int) -> array[int]:
    data = state[name]
    if type(data) is not bytes or len(data) != 8 * size:
        raise ValueError(f"{name} are not {size} integers")
    values = array("q")
    values.frombytes(data)
    return values


def open_chain_from_state(state: dict[str, Any]) -> OpenChain:
    d, capacity, hop = state["shape"]
    whole(d, "n_features", 1)
    whole(capacity, "max_components", 1)
    whole(hop, "hop", 1)
    look, temper, stay, novelty, floor, strength = (real(rate, "rate") for rate in state["rates"])
    warm, birth, young, bounce = (whole(span, "span") for span in state["spans"])
    if birth < 2:
        raise ValueError("a birth takes 2 looks at least")
    # before anything is made of that size
    recent = block(state, "recent", birth * d, False)
    mean = block(state, "mean", capacity * d)
    result: OpenChain = OpenChain(
        d,
        capacity,
        hop,
        1,
        (temper, 1.0, novelty, floor, strength),
        (warm, birth, young, bounce),
        real(state["last"], "last", float("-inf")),
    )
    result.look = look
    result.stay = stay
    alive, looks, next_number, now, regime, before, entered, held, shown, n, n_empty = state[
        "places"
    ]
    result.alive = whole(alive, "alive", 0, capacity)
    result.looks = whole(looks, "looks")
    result.next_number = whole(next_number, "next_number", 1)
    highest = max(alive - 1, 0)
    result.now = capacity if now == capacity else whole(now, "now", 0, highest)
    result.regime = whole(regime, "regime", 0, highest)
    result.before = whole(before, "before", -1, highest)
    result.entered = whole(entered, "entered")
    result.held = whole(held, "held", 0, looks)
    result.shown = whole(shown, "shown")
    result.n = whole(n, "n")
    result.n_empty = whole(n_empty, "n_empty")
    result.count = block(state, "count", capacity)
    result.mean = mean
    result.scatter = block(state, "scatter", capacity * d)
    result.variance = block(state, "variance", capacity * d)
    result.pool = block(state, "pool", d)
    result.belief = block(state, "belief", capacity + 1)
    result.number = integers(state, "number", capacity)
    result.used = integers(state, "used", capacity)
    result.born = integers(state, "born", capacity)
    check_points(recent, "recent")
    result.recent = recent
    return result
