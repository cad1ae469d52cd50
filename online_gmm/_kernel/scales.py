"""The scales of features, and equal values that are spread over the room they have."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, first_place
else:
    from online_gmm._kernel.memory import Memory, first_place


def spreads(
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    variances: cython.double[::1],
    values: cython.double[::1],
) -> None:
    """Write the variance of each of d columns of n values, and its first value.

    ``x`` has the columns one after the other, NaN where a value is missing. A column without any
    value has 0 for both. The values are taken from the first one: a constant column has variance 0
    exactly.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n_seen: cython.Py_ssize_t
    origin: cython.double
    value: cython.double
    mean: cython.double
    total: cython.double
    with cython.nogil:
        for j in range(d):
            n_seen = 0
            origin = mean = total = 0.0
            for i in range(n):
                value = x[j * n + i]
                if value == value:
                    if n_seen == 0:
                        origin = value
                    n_seen += 1
                    mean += value - origin
            if n_seen > 0:
                mean /= n_seen
                for i in range(n):
                    value = x[j * n + i]
                    if value == value:
                        value = (value - origin) - mean
                        total += value * value
                total /= n_seen
            variances[j] = total
            values[j] = origin


def least_steps(
    ordered: cython.double[::1],
    n: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    steps: cython.double[::1],
    counts: cython.double[::1],
) -> None:
    """Write the smallest step between two values of each of d columns, and how many steps it has.

    ``ordered`` has the columns one after the other, n values each, ascending; NaN comes last. A
    column without a step has 0.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    step: cython.double
    least: cython.double
    n_steps: cython.Py_ssize_t
    with cython.nogil:
        for j in range(d):
            least = 0.0
            n_steps = 0
            for i in range(j * n + 1, j * n + n):
                step = ordered[i] - ordered[i - 1]
                if step > 0.0:
                    if n_steps == 0 or step < least:
                        least = step
                    n_steps += 1
            steps[j] = least
            counts[j] = n_steps


def distinct_values(
    values: cython.double[::1],
    order: cython.Py_ssize_t[::1],
    groups: cython.Py_ssize_t[::1],
    gaps: cython.double[::1],
) -> int:
    """Return how many distinct values there are.

    ``order`` sorts the values. Of each value is written the number of distinct ones below it, and
    of each distinct one the gap to the next.
    """
    i: cython.Py_ssize_t
    gap: cython.double
    n: cython.Py_ssize_t = len(values)
    places: cython.p_Py_ssize_t = first_place(order)
    found: cython.Py_ssize_t = 0
    for i in range(n):
        if i > 0:
            gap = values[places[i]] - values[places[i - 1]]
            if gap > 0.0:
                gaps[found] = gap
                found += 1
        groups[places[i]] = found
    return found + 1 if n else 0


def spread_equal(
    values: cython.double[::1],
    groups: cython.Py_ssize_t[::1],
    gaps: cython.double[::1],
    n_distinct: cython.Py_ssize_t,
    usual: cython.double,
    order: cython.Py_ssize_t[::1],
) -> None:
    """Spread equal values evenly over the room to their neighbours, but no more than is ``usual``.

    ``groups`` and ``gaps`` are what `distinct_values` has written. Equal values get their places in
    the ``order`` given, which has each value once.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    group: cython.Py_ssize_t
    room: cython.double
    n: cython.Py_ssize_t = len(values)
    memory: Memory = Memory(2 * n_distinct)
    count: cython.p_double = memory.piece(n_distinct)
    rank: cython.p_double = memory.piece(n_distinct)
    for i in range(n):
        count[groups[i]] += 1.0
    for i in range(n):
        at = order[i]
        group = groups[at]
        if count[group] < 2.0:
            continue
        room = usual
        if group > 0 and gaps[group - 1] < room:
            room = gaps[group - 1]
        if group < n_distinct - 1 and gaps[group] < room:
            room = gaps[group]
        values[at] += ((rank[group] + 0.5) / count[group] - 0.5) * room
        rank[group] += 1.0
