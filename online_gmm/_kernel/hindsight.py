"""The best partition of a whole series, and its most probable states.

What `scale` decides as the windows of one length come is decided here with all of them at hand. A
look is a vector of p whitened features; ``length`` looks make a window. The first looks of a
segment straddle its beginning: they count as usual, whatever they show.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.candidates import Candidates
    from cython.cimports.online_gmm._kernel.memory import Memory, first
else:
    from math import log

    from online_gmm._kernel.candidates import Candidates
    from online_gmm._kernel.memory import Memory, first
from array import array

from online_gmm._kernel.candidates import CAP, DEAD_COST
from online_gmm._kernel.values import zeros

MEMORY = 4000.0
"""Points after which the mean of a segment has followed it."""
LEAST = 0.35
"""Windows of a segment beyond the looks that straddle its beginning."""
SLACK = 3.0
ROOM = 64
NEVER = 1e300


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def capped(d: cython.double, cap: cython.double) -> cython.double:
    """A squared distance; what is far counts logarithmically."""
    return d if d <= cap else cap * (1.0 + log(d / cap))


def best_partition(
    z: cython.double[::1],
    p: cython.Py_ssize_t,
    freedom: cython.double,
    length: cython.Py_ssize_t,
    window: cython.Py_ssize_t,
    beta: cython.double,
) -> array[int]:
    """Return where segments begin in the best partition, 0 first (Killick et al. 2012).

    Parameters
    ----------
    z
        Looks, shape (n, p), whitened.
    p
        Features.
    freedom
        The squared distance from its regime at which a look is expected.
    length, window
        Looks and points of a window.
    beta
        What a change costs, for each degree of freedom and the logarithm of the looks.

    Notes
    -----
    O(n C p) for C candidates that are not pruned, at most 64 and two windows.
    """
    n: cython.Py_ssize_t = len(z) // p
    room: cython.Py_ssize_t = ROOM + 2 * length
    dead: cython.Py_ssize_t = length - 1
    least: cython.Py_ssize_t = dead + max(1, int(LEAST * length))
    drift: cython.double = window / MEMORY / length
    slack: cython.double = SLACK * freedom
    never: cython.double = NEVER
    penalty: cython.double = beta * (freedom + log(n if n > 2 else 2.0))
    best: cython.double[::1] = zeros(n + 1)
    before: cython.Py_ssize_t[::1] = array("q", bytes(8 * (n + 1)))
    look: cython.double[::1] = zeros(p)
    ones: cython.double[::1] = array("d", [1.0] * p)
    its: Candidates = Candidates(p, length, dead, least, room + 2)
    its_look: cython.p_double = first(look)
    its_ones: cython.p_double = first(ones)
    t: cython.Py_ssize_t
    c: cython.Py_ssize_t
    i: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    n_ripe: cython.Py_ssize_t
    v: cython.double
    best[0] = -penalty
    its.open(0, 0, best[0], -1, its_look)
    with cython.nogil:
        for t in range(n):
            best[t + 1] = never
            before[t + 1] = 0
            for i in range(p):
                look[i] = z[t * p + i]
            n_ripe = its.learn(its_look, its_ones, its_look, t, drift, freedom)
            while n_ripe > 0 and t + 1 - its.start[its.order[n_ripe - 1]] < least:
                n_ripe -= 1
            for c in range(its.n):
                lane = its.order[c]
                if c >= n_ripe and its.start[lane] > 0:
                    break
                v = its.total[lane] + penalty
                if v < best[t + 1]:
                    best[t + 1] = v
                    before[t + 1] = its.start[lane]
            its.n_ripe = n_ripe
            its.drop_beyond(best[t + 1] - penalty + slack, room)
            its.open(t + 1, 0, best[t + 1], -1, its_look)
    result = []
    t = n
    while t > 0:
        t = before[t]
        result.append(t)
    return array("q", result[::-1] or [0])


def best_states(
    z: cython.double[::1],
    p: cython.Py_ssize_t,
    means: cython.double[::1],
    freedom: cython.double,
    length: cython.Py_ssize_t,
    penalty: cython.double,
) -> array[int]:
    """Return the states of looks at which the whole costs least (Viterbi 1967). O(n K p).

    Parameters
    ----------
    z, p, freedom, length
        As in `best_partition`.
    means
        Of the K states, shape (K, p).
    penalty
        What a change from one state to another costs, beside the looks that straddle it.
    """
    n: cython.Py_ssize_t = len(z) // p
    n_states: cython.Py_ssize_t = len(means) // p
    dead: cython.Py_ssize_t = length - 1
    cap: cython.double = CAP * freedom
    value: cython.double[::1] = zeros(n_states)
    best: cython.double[::1] = zeros(n + 1)
    leader: cython.Py_ssize_t[::1] = array("q", bytes(8 * (n + 1)))
    # where each state was come to from: -1 from itself, else the state before the straddling looks
    come: cython.Py_ssize_t[::1] = array("q", bytes(8 * n * n_states))
    labels: cython.Py_ssize_t[::1] = array("q", bytes(8 * n))
    t: cython.Py_ssize_t
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    s: cython.Py_ssize_t
    d: cython.double
    v: cython.double
    change: cython.double = penalty + dead * DEAD_COST * freedom / length
    with cython.nogil:
        for t in range(n):
            s = t - dead
            for k in range(n_states):
                come[t * n_states + k] = -1
                if s > 0 and best[s] + change < value[k]:
                    value[k] = best[s] + change
                    come[t * n_states + k] = leader[s]
                d = 0.0
                for i in range(p):
                    v = z[t * p + i] - means[k * p + i]
                    d += v * v
                value[k] += capped(d, cap) / length
            best[t + 1] = value[0]
            for k in range(1, n_states):
                if value[k] < best[t + 1]:
                    best[t + 1] = value[k]
                    leader[t + 1] = k
    if n == 0:
        return array("q")
    k = leader[n]
    t = n - 1
    while t >= 0:
        i = come[t * n_states + k]
        if i < 0:
            labels[t] = k
            t -= 1
            continue
        for s in range(t - dead, t + 1):
            labels[s] = k
        t -= length
        k = i
    return array("q", labels)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def squared_gap(
    a: cython.p_double, at: cython.Py_ssize_t, other: cython.Py_ssize_t, p: cython.Py_ssize_t
) -> cython.double:
    """The squared distance of two vectors, in eight sums that do not wait for each other."""
    i: cython.Py_ssize_t
    whole: cython.Py_ssize_t = p - p % 8
    gap: cython.double
    total: cython.double = 0.0
    if whole > 0:
        s0: cython.double = 0.0
        s1: cython.double = 0.0
        s2: cython.double = 0.0
        s3: cython.double = 0.0
        s4: cython.double = 0.0
        s5: cython.double = 0.0
        s6: cython.double = 0.0
        s7: cython.double = 0.0
        for i in range(0, whole, 8):
            gap = a[at + i] - a[other + i]
            s0 += gap * gap
            gap = a[at + i + 1] - a[other + i + 1]
            s1 += gap * gap
            gap = a[at + i + 2] - a[other + i + 2]
            s2 += gap * gap
            gap = a[at + i + 3] - a[other + i + 3]
            s3 += gap * gap
            gap = a[at + i + 4] - a[other + i + 4]
            s4 += gap * gap
            gap = a[at + i + 5] - a[other + i + 5]
            s5 += gap * gap
            gap = a[at + i + 6] - a[other + i + 6]
            s6 += gap * gap
            gap = a[at + i + 7] - a[other + i + 7]
            s7 += gap * gap
        total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for i in range(whole, p):
        gap = a[at + i] - a[other + i]
        total += gap * gap
    return total


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def apart(
    means: cython.p_double,
    weights: cython.double[::1],
    jumps: cython.double[::1],
    i: cython.Py_ssize_t,
    j: cython.Py_ssize_t,
    p: cython.Py_ssize_t,
    sampling: cython.double,
    most: cython.double,
    jump: cython.double,
) -> cython.double:
    """How far two states are from each other; below 1 they are one."""
    one: cython.double = weights[i] if weights[i] < most else most
    other: cython.double = weights[j] if weights[j] < most else most
    near: cython.double = sampling * (1.0 / one + 1.0 / other)
    least: cython.double = jump * (jumps[i] if jumps[i] < jumps[j] else jumps[j])
    if least > near:
        near = least
    return squared_gap(means, i * p, j * p, p) / near


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_nearest(
    table: cython.p_double,
    k: cython.Py_ssize_t,
    i: cython.Py_ssize_t,
    nearest: cython.p_Py_ssize_t,
) -> cython.int:
    """Note the first state that is nearest to state i."""
    j: cython.Py_ssize_t
    best: cython.Py_ssize_t = 0
    for j in range(1, k):
        if table[i * k + j] < table[i * k + best]:
            best = j
    nearest[i] = best
    return 0


def join_states(
    means: cython.double[::1],
    weights: cython.double[::1],
    jumps: cython.double[::1],
    sampling: cython.double,
    most: cython.double,
    jump: cython.double,
) -> array[int]:
    """Join states that are one, the nearest first (Ward 1963); return the first state of each.

    States are one where the squared distance of their means is below what sampling allows, or a
    share of the least jump from one of them to a neighbour. O(k^2 p), and O(k^2) for each that is
    joined.

    Parameters
    ----------
    means, weights, jumps
        Of k states: their means, shape (k, p), how many windows they have, and the squared jump to
        the nearer neighbour, shape (k,). Those of joined states are written in place.
    sampling
        The squared distance that sampling allows for one window each, halved.
    most
        Windows of a state that count.
    jump
        The share of a jump.
    """
    k: cython.Py_ssize_t = len(weights)
    p: cython.Py_ssize_t = len(means) // k
    memory: Memory = Memory(k * k + 2 * k)
    table: cython.p_double = memory.piece(k * k)
    nearest: cython.p_Py_ssize_t = memory.places(k)
    alive: cython.p_double = memory.piece(k)
    result: cython.Py_ssize_t[::1] = array("q", range(k))
    values: cython.p_double = first(means)
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    gone: cython.Py_ssize_t
    left: cython.Py_ssize_t = k
    never: cython.double = float("inf")
    ratio: cython.double
    share: cython.double
    with cython.nogil:
        for i in range(k):
            alive[i] = 1.0
        for i in range(k):
            table[i * k + i] = never
            for j in range(i):
                ratio = apart(values, weights, jumps, i, j, p, sampling, most, jump)
                table[i * k + j] = ratio
                table[j * k + i] = ratio
        for i in range(k):
            find_nearest(table, k, i, nearest)
        while left > 1:
            i = 0
            for j in range(1, k):
                if table[j * k + nearest[j]] < table[i * k + nearest[i]]:
                    i = j
            gone = nearest[i]
            if not table[i * k + gone] < 1.0:
                break
            if gone < i:
                j = gone
                gone = i
                i = j
            share = weights[gone] / (weights[i] + weights[gone])
            for j in range(p):
                values[i * p + j] += share * (values[gone * p + j] - values[i * p + j])
            weights[i] += weights[gone]
            if jumps[gone] < jumps[i]:
                jumps[i] = jumps[gone]
            alive[gone] = 0.0
            left -= 1
            for j in range(k):
                if result[j] == gone:
                    result[j] = i
                table[gone * k + j] = never
                table[j * k + gone] = never
            for j in range(k):
                if j != i and alive[j] > 0.0:
                    ratio = apart(values, weights, jumps, j, i, p, sampling, most, jump)
                    table[i * k + j] = ratio
                    table[j * k + i] = ratio
            for j in range(k):
                # others have one that is as near, or come to this one
                if j == i or nearest[j] == i or nearest[j] == gone:
                    find_nearest(table, k, j, nearest)
                elif table[j * k + i] < table[j * k + nearest[j]] or (
                    table[j * k + i] == table[j * k + nearest[j]] and i < nearest[j]
                ):
                    nearest[j] = i
    return array("q", result)
