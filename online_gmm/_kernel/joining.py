"""Joins the states of a whole series that are one."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, first
else:
    from online_gmm._kernel.memory import Memory, first
from array import array


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def squared_gap(
    a: cython.p_double, at: cython.Py_ssize_t, other: cython.Py_ssize_t, p: cython.Py_ssize_t
) -> cython.double:
    """The squared distance of two vectors, in eight sums that do not wait for each other.

    They are added in the order in which numpy adds up to 128 numbers.
    """
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
