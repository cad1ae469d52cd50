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
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from math import log

    from online_gmm._kernel.candidates import Candidates
    from online_gmm._kernel.memory import first
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
    its: Candidates = Candidates(p, length, dead, least, at_least=room + 2)
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
