"""Where the segment that is going on may have begun: the candidates of an optimal partition.

Each candidate has a lane in arrays over lanes. Loops over candidates are loops over lanes, which
compilers vectorise. A candidate keeps its lane while others come and go, so nothing is moved; lanes
that are free are worked out with the others, and nobody reads them. Loops end at a whole number of
vectors. ``order`` names the lanes of the candidates, the oldest first, and the free ones after
these.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log, sqrt
    from cython.cimports.online_gmm._kernel.memory import Memory
else:
    from math import log, sqrt

    from online_gmm._kernel.memory import Memory
from array import array
from typing import Any

from online_gmm._kernel.values import MOST, block, places, whole, zeros

CAP = 3.0
"""A look adds at most logarithmically beyond so many times what is usual."""
STEADY = 2.0
"""A segment whose looks cost more than so many times what is usual, in the mean, may be one that
varies by more than those before it; see `Candidates.soften`."""
DEAD_COST = 1.3
"""Times what is usual that windows which straddle the beginning of a segment cost."""
SPLIT = 3000.0
"""Times what is usual that a second look is away from the first one if that straddles too."""
MOST_CANDIDATES = 24
"""With so many candidates they are thinned out."""
MOST_RIPE = 15
"""But not with fewer than so many that are old enough to end a partition."""
DEPTH = 4
"""Changes that a candidate remembers of the partition before it."""
FEW_LANES = 4
"""Free lanes among the others that are worked out in vain before candidates are moved."""
VECTOR = 4
"""Lanes that a processor works out at once."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def measure(
    centers: cython.p_double,
    room: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    z: cython.p_double,
    excess: cython.p_double,
    p: cython.Py_ssize_t,
    squares: cython.p_double,
) -> cython.int:
    """Squared distances of z from the centers of n lanes, each feature in units of its excess."""
    i: cython.Py_ssize_t = 0
    c: cython.Py_ssize_t
    at: cython.Py_ssize_t
    after: cython.Py_ssize_t  # the same lane of the next feature
    v: cython.double
    w: cython.double
    e: cython.double
    u: cython.double
    gap: cython.double
    step: cython.double
    for c in range(n):
        squares[c] = 0.0
    # two features at a time: the order of additions is that of one after another; and no division
    # by 1, which takes longer than all the rest
    while i + 1 < p:
        v = z[i]
        w = z[i + 1]
        e = excess[i]
        u = excess[i + 1]
        at = i * room
        after = at + room
        if e == 1.0 and u == 1.0:
            for c in range(n):
                gap = v - centers[at + c]
                step = w - centers[after + c]
                squares[c] = (squares[c] + gap * gap) + step * step
        elif u == 1.0:
            for c in range(n):
                gap = v - centers[at + c]
                step = w - centers[after + c]
                squares[c] = (squares[c] + gap * gap / e) + step * step
        elif e == 1.0:
            for c in range(n):
                gap = v - centers[at + c]
                step = w - centers[after + c]
                squares[c] = (squares[c] + gap * gap) + step * step / u
        else:
            for c in range(n):
                gap = v - centers[at + c]
                step = w - centers[after + c]
                squares[c] = (squares[c] + gap * gap / e) + step * step / u
        i += 2
    if i < p:
        v = z[i]
        e = excess[i]
        at = i * room
        if e == 1.0:
            for c in range(n):
                gap = v - centers[at + c]
                squares[c] += gap * gap
        else:
            for c in range(n):
                gap = v - centers[at + c]
                squares[c] += gap * gap / e
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def gains(
    count: cython.p_double, n: cython.Py_ssize_t, drift: cython.double, gain: cython.p_double
) -> cython.int:
    """The share that a look has in the mean of each lane; ``drift`` at least."""
    c: cython.Py_ssize_t
    v: cython.double
    for c in range(n):
        v = 1.0 / (count[c] + 1.0)
        gain[c] = drift if count[c] > 0.0 and drift > v else v
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def n_beyond(squares: cython.p_double, n: cython.Py_ssize_t, cap: cython.double) -> cython.longlong:
    """How many squared distances are beyond the cap."""
    c: cython.Py_ssize_t
    result: cython.longlong = 0
    for c in range(n):
        result += 1 if squares[c] > cap else 0
    return result


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def spend(
    squares: cython.p_double,
    gain: cython.p_double,
    n: cython.Py_ssize_t,
    length: cython.double,
    inverse: cython.double,
    cost: cython.p_double,
    count: cython.p_double,
    before: cython.p_double,
    total: cython.p_double,
) -> cython.int:
    """Add what the look costs each lane.

    ``inverse`` is 1 / length if that is exact, else 0: the product is the quotient then.
    """
    c: cython.Py_ssize_t
    # a loop for each array: compilers do not vectorise one over so many
    if inverse > 0.0:
        for c in range(n):
            cost[c] += squares[c] * (1.0 - gain[c]) * inverse
    else:
        for c in range(n):
            cost[c] += squares[c] * (1.0 - gain[c]) / length
    for c in range(n):
        count[c] += 1.0
    for c in range(n):
        total[c] = before[c] + cost[c]
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def approach(
    centers: cython.p_double,
    room: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    z: cython.p_double,
    p: cython.Py_ssize_t,
    share: cython.p_double,
) -> cython.int:
    """Move the center of each lane towards z by its share of the way."""
    i: cython.Py_ssize_t
    c: cython.Py_ssize_t
    at: cython.Py_ssize_t
    v: cython.double
    for i in range(p):
        v = z[i]
        at = i * room
        for c in range(n):
            centers[at + c] += share[c] * (v - centers[at + c])
    return 0


@cython.final
@cython.no_gc
@cython.cclass
class Candidates(Memory):
    """Candidates over looks of p features, at windows of ``length`` looks."""

    n_features: cython.Py_ssize_t
    length: cython.Py_ssize_t
    inverse: cython.double  # of the length, 0 if that is not exact
    dead: cython.Py_ssize_t  # looks that straddle a beginning
    least: cython.Py_ssize_t  # looks of a segment
    divided: cython.bint  # whether a segment may begin within a block
    room: cython.Py_ssize_t
    most: cython.Py_ssize_t
    # constants of this module: code without the GIL cannot read those
    cap: cython.double
    steady: cython.double
    dead_cost: cython.double
    split: cython.double
    depth: cython.Py_ssize_t
    vector: cython.Py_ssize_t
    few: cython.Py_ssize_t
    n: cython.Py_ssize_t
    n_lanes: cython.Py_ssize_t  # from here on all lanes are free
    n_ripe: cython.Py_ssize_t  # candidates that may end the partition, at the last look
    order: cython.p_Py_ssize_t
    # by lane
    start: cython.p_Py_ssize_t
    start_row: cython.p_Py_ssize_t
    path: cython.p_Py_ssize_t  # [lane, depth]
    n_path: cython.p_Py_ssize_t
    count: cython.p_double
    cost: cython.p_double
    before: cython.p_double  # the best partition up to the candidate
    total: cython.p_double  # both at the last look
    centers: cython.p_double  # running means of whitened features, [feature, lane]
    opened: cython.p_double  # total of features when the candidate was opened, [lane, feature]
    sums: cython.p_double  # and when it had its first look that counts
    squares: cython.p_double
    gain: cython.p_double
    share: cython.p_double

    def __init__(
        self,
        n_features: int,
        length: int,
        dead: int,
        least: int,
        divided: bool = False,
        at_least: int = 0,
    ) -> None:
        p: cython.Py_ssize_t = n_features
        i: cython.Py_ssize_t
        most = max(MOST_CANDIDATES, least + MOST_RIPE)
        # one is opened before another one is dropped
        lanes: cython.Py_ssize_t = -(-(max(most, at_least) + 2) // VECTOR) * VECTOR
        self.n_features = p
        self.length = length
        self.inverse = 0.0 if length & (length - 1) else 1.0 / length
        self.dead = dead
        self.least = least
        self.divided = divided
        self.room = lanes
        self.most = most
        self.cap = CAP
        self.steady = STEADY
        self.dead_cost = DEAD_COST
        self.split = SPLIT
        self.depth = DEPTH
        self.vector = VECTOR
        self.few = FEW_LANES
        self.n = 0
        self.n_lanes = 0
        self.n_ripe = 0
        Memory.__init__(self, lanes * (11 + DEPTH + 3 * p))
        self.order = self.places(lanes)
        self.start = self.places(lanes)
        self.start_row = self.places(lanes)
        self.path = self.places(lanes * DEPTH)
        self.n_path = self.places(lanes)
        self.count = self.piece(lanes)
        self.cost = self.piece(lanes)
        self.before = self.piece(lanes)
        self.total = self.piece(lanes)
        self.centers = self.piece(lanes * p)
        self.opened = self.piece(lanes * p)
        self.sums = self.piece(lanes * p)
        self.squares = self.piece(lanes)
        self.gain = self.piece(lanes)
        self.share = self.piece(lanes)
        for i in range(lanes):
            self.order[i] = i

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def open(
        self,
        look: cython.Py_ssize_t,
        row: cython.Py_ssize_t,
        before: cython.double,
        parent: cython.Py_ssize_t,
        sums: cython.p_double,
    ) -> cython.int:
        """Let a segment begin at a look, after the best partition up to there.

        ``sums`` are those of the features of the looks before it.
        """
        p: cython.Py_ssize_t = self.n_features
        lane: cython.Py_ssize_t = self.order[self.n]
        i: cython.Py_ssize_t
        n: cython.Py_ssize_t = 0
        depth: cython.Py_ssize_t = self.depth
        room: cython.Py_ssize_t = self.room
        centers: cython.p_double = self.centers
        opened: cython.p_double = self.opened
        first_sums: cython.p_double = self.sums
        if parent > 0:
            parent = self.order[parent]
            n = self.n_path[parent]
            for i in range(n):
                self.path[lane * depth + i] = self.path[parent * depth + i]
            if n < depth:
                self.path[lane * depth + n] = self.start[parent]
                n += 1
        self.n_path[lane] = n
        self.start[lane] = look
        self.start_row[lane] = row
        self.count[lane] = 0.0
        self.cost[lane] = 0.0
        self.before[lane] = before
        for i in range(p):
            opened[lane * p + i] = sums[i]
        for i in range(lane * p, lane * p + p):
            first_sums[i] = 0.0
        for i in range(p):
            centers[i * room + lane] = 0.0
        self.n += 1
        if lane >= self.n_lanes:
            self.n_lanes = lane + 1
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def learn(
        self,
        z: cython.p_double,
        excess: cython.p_double,
        sums: cython.p_double,
        t: cython.Py_ssize_t,
        drift: cython.double,
        freedom: cython.double,
    ) -> cython.Py_ssize_t:
        """Take in the whitened features of look t; ``sums`` are those of the looks before it.

        ``freedom`` is the squared distance that is usual. Returns the number of candidates for
        which the look counts.
        """
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        vector: cython.Py_ssize_t = self.vector
        n_lanes: cython.Py_ssize_t = (self.n_lanes + vector - 1) // vector * vector
        room: cython.Py_ssize_t = self.room
        dead: cython.Py_ssize_t = self.dead
        n_all: cython.Py_ssize_t = self.n
        n: cython.Py_ssize_t = n_all  # candidates for which the look counts
        cap: cython.double = self.cap * freedom
        split: cython.double = self.split * freedom
        straddling: cython.double = self.dead_cost * freedom / self.length
        far: cython.double
        order: cython.p_Py_ssize_t = self.order
        start: cython.p_Py_ssize_t = self.start
        count: cython.p_double = self.count
        cost: cython.p_double = self.cost
        before: cython.p_double = self.before
        total: cython.p_double = self.total
        first_sums: cython.p_double = self.sums
        squares: cython.p_double = self.squares
        gain: cython.p_double = self.gain
        share: cython.p_double = self.share
        measure(self.centers, room, n_lanes, z, excess, p, squares)
        gains(count, n_lanes, drift, gain)
        while n > 0:
            lane = order[n - 1]
            if start[lane] <= 0 or t - start[lane] >= dead:
                break
            # windows still straddle its beginning
            n -= 1
            gain[lane] = 0.0
            squares[lane] = 0.0
        for c in range(n - 1, -1, -1):
            lane = order[c]
            if count[lane] > 1.0:
                break
            if count[lane] > 0.0:
                if not self.divided or start[lane] <= 0 or squares[lane] <= split:
                    continue
                # it begins within a block: the look before straddled its beginning
                count[lane] = 0.0
                gain[lane] = 1.0
                cost[lane] += straddling
            # its first look is its mean, and costs nothing however far it is
            squares[lane] = 0.0
            for i in range(p):
                first_sums[lane * p + i] = sums[i]
        if n_beyond(squares, n_lanes, cap) == 0:
            share = gain
        else:
            for c in range(n_lanes):
                share[c] = gain[c]
                if squares[c] > cap:
                    far = squares[c] / cap
                    if count[c] > 0.0:
                        share[c] = gain[c] / sqrt(far)
                    squares[c] = cap * (1.0 + log(far))
        spend(squares, gain, n_lanes, self.length, self.inverse, cost, count, before, total)
        for c in range(n, n_all):
            lane = order[c]
            count[lane] = 0.0
            cost[lane] += straddling
            total[lane] = before[lane] + cost[lane]
        approach(self.centers, room, n_lanes, z, p, share)
        return n

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def soften(self, freedom: cython.double) -> cython.int:
        """Let what segments have cost beyond so many times what is usual count logarithmically.

        The usual is not known for good while a stream goes on: a regime that varies by more than
        those before it would be cut into pieces that each vary by less. So nothing is done unless
        the segment that is going on costs as much: what is far because it follows the next change
        counts in full.
        """
        c: cython.Py_ssize_t = self.order[0]
        least: cython.double
        v: cython.double
        usual: cython.double = freedom / self.length  # of a look
        steady: cython.double = self.steady * usual
        straddling: cython.double = self.dead_cost * usual * self.dead
        cost: cython.p_double = self.cost
        count: cython.p_double = self.count
        start: cython.p_Py_ssize_t = self.start
        total: cython.p_double = self.total
        v = cost[c] - straddling if start[c] > 0 else cost[c]
        if v <= steady * count[c]:
            return 0
        for c in range(self.n_lanes):
            least = steady * count[c]
            v = cost[c] - straddling if start[c] > 0 else cost[c]
            if v > least and least > 0.0:
                total[c] += least + usual * count[c] * log(v / least) - v
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def cheapest(self, n: cython.Py_ssize_t, penalty: cython.double) -> cython.Py_ssize_t:
        """The oldest of the first n candidates whose partition costs least, -1 of none."""
        c: cython.Py_ssize_t
        best: cython.Py_ssize_t = -1
        v: cython.double
        least: cython.double = 1e300
        order: cython.p_Py_ssize_t = self.order
        total: cython.p_double = self.total
        for c in range(n):
            v = total[order[c]] + penalty
            if v < least:
                least = v
                best = c
        return best

    @cython.cfunc
    @cython.exceptval(check=False)
    def prune(self, most: cython.double, t: cython.Py_ssize_t) -> cython.int:
        """Drop what cannot become best; of too many, one of two that are close for their age."""
        n: cython.Py_ssize_t = self.n_ripe
        n_all: cython.Py_ssize_t = self.n
        k: cython.Py_ssize_t = 1
        c: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        shortest: cython.Py_ssize_t = self.least
        this: cython.Py_ssize_t
        after: cython.Py_ssize_t
        worst: cython.Py_ssize_t = 1
        gap: cython.double
        age: cython.double
        least: cython.double = 1e300
        order: cython.p_Py_ssize_t = self.order
        start: cython.p_Py_ssize_t = self.start
        total: cython.p_double = self.total
        while k < n and total[order[k]] <= most:
            k += 1
        if k == n:
            k = n_all
        for c in range(k, n_all):
            lane = order[c]
            if c >= n or total[lane] <= most:
                order[c] = order[k]
                order[k] = lane
                k += 1
        self.n = k
        if k >= self.most:
            this = start[order[1]]
            for c in range(1, k - 1):
                after = start[order[c + 1]]
                if t - after < shortest:
                    break
                gap = after - this
                age = t - this
                # what is clearly more is not divided
                if gap <= 1.000001 * least * age and gap / age < least:
                    least = gap / age
                    worst = c
                    if total[order[c]] <= total[order[c + 1]]:
                        worst = c + 1
                this = after
            self.drop(worst)
        self.gather()
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def drop(self, worst: cython.Py_ssize_t) -> cython.int:
        """Let a candidate go."""
        c: cython.Py_ssize_t
        lane: cython.Py_ssize_t = self.order[worst]
        for c in range(worst, self.n - 1):
            self.order[c] = self.order[c + 1]
        self.n -= 1
        self.order[self.n] = lane
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def drop_beyond(self, most: cython.double, room: cython.Py_ssize_t) -> cython.int:
        """Let candidates go whose partition costs more than this, and the worst of too many."""
        c: cython.Py_ssize_t
        k: cython.Py_ssize_t = 0
        worst: cython.Py_ssize_t = -1
        lane: cython.Py_ssize_t
        highest: cython.double = -1e300
        for c in range(self.n):
            lane = self.order[c]
            if c < self.n_ripe:
                if self.total[lane] > most:
                    continue
                if self.total[lane] > highest:
                    highest = self.total[lane]
                    worst = k
            self.order[c] = self.order[k]
            self.order[k] = lane
            k += 1
        self.n = k
        if k == room and worst >= 0:
            self.drop(worst)
        self.gather()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def follow(self, here: cython.Py_ssize_t, change: cython.Py_ssize_t) -> cython.int:
        """Keep a candidate, as the oldest one, and those after it that begin with this change."""
        c: cython.Py_ssize_t
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t = 1
        depth: cython.Py_ssize_t = self.depth
        lane: cython.Py_ssize_t = self.order[here]
        self.order[here] = self.order[0]
        self.order[0] = lane
        self.n_path[lane] = 0
        for c in range(here + 1, self.n):
            lane = self.order[c]
            if self.n_path[lane] > 0 and self.path[lane * depth] == change:
                self.order[c] = self.order[k]
                self.order[k] = lane
                self.n_path[lane] -= 1
                for i in range(self.n_path[lane]):
                    self.path[lane * depth + i] = self.path[lane * depth + i + 1]
                k += 1
        self.n = k
        self.gather()
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def gather(self) -> cython.int:
        """Bring the candidates to the first lanes if too many others are among them."""
        c: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        free: cython.Py_ssize_t = self.n  # place of a free lane
        if self.n_lanes <= self.n + self.few:
            return 0
        for c in range(self.n):
            lane = self.order[c]
            if lane >= self.n:
                while self.order[free] >= self.n:
                    free += 1
                self.move(lane, self.order[free])
                self.order[c] = self.order[free]
                self.order[free] = lane
        self.n_lanes = self.n
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def move(self, lane: cython.Py_ssize_t, to: cython.Py_ssize_t) -> cython.int:
        """Copy a candidate to another lane."""
        p: cython.Py_ssize_t = self.n_features
        i: cython.Py_ssize_t
        depth: cython.Py_ssize_t = self.depth
        self.start[to] = self.start[lane]
        self.start_row[to] = self.start_row[lane]
        self.n_path[to] = self.n_path[lane]
        for i in range(depth):
            self.path[to * depth + i] = self.path[lane * depth + i]
        self.count[to] = self.count[lane]
        self.cost[to] = self.cost[lane]
        self.before[to] = self.before[lane]
        self.total[to] = self.total[lane]
        for i in range(p):
            self.centers[i * self.room + to] = self.centers[i * self.room + lane]
            self.opened[to * p + i] = self.opened[lane * p + i]
            self.sums[to * p + i] = self.sums[lane * p + i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def first_change(self, c: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The first change of the partition that ends with a candidate."""
        lane: cython.Py_ssize_t = self.order[c]
        return self.path[lane * self.depth] if self.n_path[lane] > 0 else self.start[lane]

    @cython.cfunc
    @cython.exceptval(check=False)
    def copy_center(self, c: cython.Py_ssize_t, z: cython.p_double) -> cython.int:
        """Write the center of a candidate to z."""
        i: cython.Py_ssize_t
        for i in range(self.n_features):
            z[i] = self.centers[i * self.room + self.order[c]]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def set_center(self, c: cython.Py_ssize_t, z: cython.p_double) -> cython.int:
        """Let z be the center of a candidate."""
        i: cython.Py_ssize_t
        for i in range(self.n_features):
            self.centers[i * self.room + self.order[c]] = z[i]
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def shift(self, f: cython.p_double) -> cython.int:
        """Measure sums of features from f on."""
        p: cython.Py_ssize_t = self.n_features
        c: cython.Py_ssize_t
        i: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        for c in range(self.n):
            lane = self.order[c]
            for i in range(p):
                self.opened[lane * p + i] -= f[i]
                if self.count[lane] > 0.0:
                    self.sums[lane * p + i] -= f[i]
        return 0

    def state(self) -> dict[str, Any]:
        """All arrays in the order of the candidates."""
        p: cython.Py_ssize_t = self.n_features
        c: cython.Py_ssize_t
        i: cython.Py_ssize_t
        lane: cython.Py_ssize_t
        depth: cython.Py_ssize_t = self.depth
        lanes = [self.order[c] for c in range(self.n)]
        centers: cython.double[::1] = zeros(self.n * p)
        opened: cython.double[::1] = zeros(self.n * p)
        sums: cython.double[::1] = zeros(self.n * p)
        for c in range(self.n):
            lane = self.order[c]
            for i in range(p):
                centers[c * p + i] = self.centers[i * self.room + lane]
                opened[c * p + i] = self.opened[lane * p + i]
                sums[c * p + i] = self.sums[lane * p + i]
        paths = [
            self.path[lane * depth + i] if i < self.n_path[lane] else 0
            for lane in lanes
            for i in range(depth)
        ]
        return {
            "n_candidates": self.n,
            "count": bytes(array("d", [self.count[lane] for lane in lanes])),
            "cost": bytes(array("d", [self.cost[lane] for lane in lanes])),
            "before": bytes(array("d", [self.before[lane] for lane in lanes])),
            "center": bytes(centers),
            "opened": bytes(opened),
            "sums": bytes(sums),
            "start": bytes(array("q", [self.start[lane] for lane in lanes])),
            "start_row": bytes(array("q", [self.start_row[lane] for lane in lanes])),
            "path": bytes(array("q", paths)),
            "n_path": bytes(array("q", [self.n_path[lane] for lane in lanes])),
        }

    def load(self, state: dict[str, Any]) -> None:
        p: cython.Py_ssize_t = self.n_features
        c: cython.Py_ssize_t
        i: cython.Py_ssize_t
        n: cython.Py_ssize_t = whole(state["n_candidates"], "n_candidates", 0, self.room - 2)
        self.n = n
        self.n_lanes = n
        self.n_ripe = 0
        count, cost = block(state, "count", n), block(state, "cost", n)
        before = block(state, "before", n)
        centers: cython.double[::1] = block(state, "center", n * p)
        opened: cython.double[::1] = block(state, "opened", n * p)
        sums: cython.double[::1] = block(state, "sums", n * p)
        start = places(state, "start", n)
        start_row = places(state, "start_row", n, -MOST)
        path = places(state, "path", n * DEPTH)
        n_path = places(state, "n_path", n, 0, DEPTH)
        for c in range(self.room):
            self.order[c] = c
        for c in range(n):
            self.start[c] = start[c]
            self.start_row[c] = start_row[c]
            self.n_path[c] = n_path[c]
            self.count[c] = count[c]
            self.cost[c] = cost[c]
            self.before[c] = before[c]
            for i in range(DEPTH):
                self.path[c * DEPTH + i] = path[c * DEPTH + i]
            for i in range(p):
                self.centers[i * self.room + c] = centers[c * p + i]
                self.opened[c * p + i] = opened[c * p + i]
                self.sums[c * p + i] = sums[c * p + i]
