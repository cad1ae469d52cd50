"""k-means++, and Lloyd's iterations, which go on from the clusters so far."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, first, first_place
else:
    from online_gmm._kernel.memory import Memory, first, first_place


def draw_clusters(
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    draws: cython.double[::1],
    labels: cython.Py_ssize_t[::1],
) -> bool:
    """Draw centres among n rows of d values; write the nearest to each row to ``labels``.

    A row is drawn with a probability in proportion to the squared distance to the nearest centre
    drawn before (Arthur & Vassilvitskii 2007). Of several rows drawn for a centre it is the one
    that leaves the least sum of such distances. ``draws`` are uniform random numbers, as many times
    k as rows are drawn for a centre. O(draws n d).

    Returns whether there are rows away from their centre.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    c: cython.Py_ssize_t
    at: cython.Py_ssize_t
    value: cython.double
    square: cython.double
    total: cython.double
    trial: cython.Py_ssize_t
    lowest: cython.double
    left: cython.double
    trials: cython.Py_ssize_t = len(draws) // k
    memory: Memory = Memory(3 * n)
    least: cython.p_double = memory.piece(n)
    among: cython.p_double = memory.piece(n)
    best: cython.p_double = memory.piece(n)
    values: cython.p_double = first(x)
    uniform: cython.p_double = first(draws)
    clusters: cython.p_Py_ssize_t = first_place(labels)
    with cython.nogil:
        total = n
        for i in range(n):
            least[i] = 1.0
        for c in range(k):
            lowest = 1e308
            for trial in range(trials):
                # the first row at which the sum of the squares so far exceeds the number drawn
                value = uniform[c * trials + trial] * total
                at = n - 1
                for i in range(n):
                    value -= least[i]
                    if value < 0.0 and least[i] > 0.0:
                        at = i
                        break
                left = 0.0
                for i in range(n):
                    square = 0.0
                    for j in range(d):
                        value = values[i * d + j] - values[at * d + j]
                        square += value * value
                    square = square if c == 0 or square < least[i] else least[i]
                    among[i] = square
                    left += square
                if trial == 0 or left < lowest:
                    lowest = left
                    for i in range(n):
                        best[i] = among[i]
            total = lowest
            for i in range(n):
                if c == 0 or best[i] < least[i]:
                    clusters[i] = c
                least[i] = best[i]
            if not (total > 0.0):
                break
    return bool(total > 0.0)


def move_centers(
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    most: cython.Py_ssize_t,
    labels: cython.Py_ssize_t[::1],
) -> int:
    """Do at most so many iterations of k-means (Lloyd 1982) from ``labels`` on. O(most n k d).

    Returns how many rows changed their cluster in the last iteration; -1 if a cluster has no row.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    c: cython.Py_ssize_t
    nearest: cython.Py_ssize_t
    value: cython.double
    square: cython.double
    least: cython.double
    changed: cython.Py_ssize_t = 0
    memory: Memory = Memory(k * d + k)
    centers: cython.p_double = memory.piece(k * d)
    counts: cython.p_double = memory.piece(k)
    values: cython.p_double = first(x)
    clusters: cython.p_Py_ssize_t = first_place(labels)
    with cython.nogil:
        for _ in range(most):
            for j in range(k * d):
                centers[j] = 0.0
            for c in range(k):
                counts[c] = 0.0
            for i in range(n):
                c = clusters[i]
                counts[c] += 1.0
                for j in range(d):
                    centers[c * d + j] += values[i * d + j]
            for c in range(k):
                if counts[c] == 0.0:
                    changed = -1
                    break
                for j in range(d):
                    centers[c * d + j] /= counts[c]
            if changed < 0:
                break
            changed = 0
            for i in range(n):
                nearest = 0
                least = 1e308
                for c in range(k):
                    square = 0.0
                    for j in range(d):
                        value = values[i * d + j] - centers[c * d + j]
                        square += value * value
                    if square < least:
                        least = square
                        nearest = c
                if nearest != clusters[i]:
                    clusters[i] = nearest
                    changed += 1
            if changed == 0:
                break
    return int(changed)


def number_in_order(labels: cython.Py_ssize_t[::1], k: cython.Py_ssize_t) -> int:
    """Number clusters in the order in which they first come; return how many there are."""
    i: cython.Py_ssize_t
    found: cython.Py_ssize_t = 0
    memory: Memory = Memory(k)
    numbers: cython.p_Py_ssize_t = memory.places(k)
    for i in range(len(labels)):
        if numbers[labels[i]] == 0:
            found += 1
            numbers[labels[i]] = found
        labels[i] = numbers[labels[i]] - 1
    return found
