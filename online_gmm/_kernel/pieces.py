"""Statistics of rows, joined: counts, means, steps, numbers of steps and scatter.

Those of D channels stand one after another in 4 D + D^2 numbers. Scatter is the sums of products of
deviations from the means. Statistics of several pieces of rows follow one another.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import sqrt
    from cython.cimports.online_gmm._kernel.memory import Memory, first, move
else:
    from math import sqrt

    from online_gmm._kernel.memory import Memory, first, move


@cython.cfunc
@cython.exceptval(check=False)
def take_in(
    values: cython.p_double,
    at: cython.Py_ssize_t,
    others: cython.p_double,
    place: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    gap: cython.p_double,
) -> cython.int:
    """Join to values[at:] what stands at others[place:] (Chan, Golub & LeVeque 1979)."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.double
    m: cython.double
    total: cython.double
    between: cython.double
    for i in range(d):
        n = values[at + i]
        m = others[place + i]
        total = n + m
        if total < 1.0:
            total = 1.0
        between = others[place + d + i] - values[at + d + i] if n > 0.0 and m > 0.0 else 0.0
        gap[i] = between * sqrt(n * m / total)
        if n > 0.0:
            values[at + d + i] += between * (m / total)
        else:
            values[at + d + i] = others[place + d + i]
        values[at + i] = n + m
    for i in range(2 * d, 4 * d):
        values[at + i] += others[place + i]
    at += 4 * d
    place += 4 * d
    for i in range(d):
        for j in range(d):
            values[at] = values[at] + others[place] + gap[i] * gap[j]
            at += 1
            place += 1
    return 0


def join(
    values: cython.double[::1], others: cython.double[::1], n_channels: cython.Py_ssize_t
) -> None:
    """Take into the statistics of some rows those of others. O(D^2)."""
    gap = Memory(n_channels)
    take_in(first(values), 0, first(others), 0, n_channels, gap.piece(n_channels))


def join_pairs(
    pieces: cython.double[::1],
    n_channels: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    n_pairs: cython.Py_ssize_t,
) -> None:
    """Join each two neighbours of 2 ``n_pairs`` pieces from one on, which stand there then.

    What stands in the places of the last ``n_pairs`` of these is of no use any more.
    """
    k: cython.Py_ssize_t
    width: cython.Py_ssize_t = n_channels * (4 + n_channels)
    at: cython.Py_ssize_t
    its: cython.p_double = first(pieces)
    memory = Memory(n_channels)
    gap: cython.p_double = memory.piece(n_channels)
    for k in range(n_pairs):
        at = (begin + 2 * k) * width
        take_in(its, at, its, at + width, n_channels, gap)
        move(its, at, width, (begin + k) * width)


def join_all(
    values: cython.double[::1],
    pieces: cython.double[::1],
    n_channels: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> None:
    """Take into the statistics of some rows those of pieces, one after another."""
    k: cython.Py_ssize_t
    width: cython.Py_ssize_t = n_channels * (4 + n_channels)
    memory = Memory(n_channels)
    gap: cython.p_double = memory.piece(n_channels)
    for k in range(begin, end):
        take_in(first(values), 0, first(pieces), k * width, n_channels, gap)
