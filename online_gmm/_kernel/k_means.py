"""k-means: k-means++ and Lloyd's iterations."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.online_gmm._kernel.memory import Memory, first, first_place
else:
    from online_gmm._kernel.memory import Memory, first, first_place


def k_means(
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    d: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    draws: cython.double[::1],
    most: cython.Py_ssize_t,
    labels: cython.Py_ssize_t[::1],
) -> bool:
    """Cluster n rows of d values; write the cluster of each row to ``labels``.

    The centres begin at rows that are drawn with a probability in proportion to the squared
    distance to the nearest centre drawn before (Arthur & Vassilvitskii 2007). Of several rows drawn
    for a centre it is the one that leaves the least sum of such distances. ``draws`` are uniform
    random numbers, as many times k as rows are drawn for a centre. At most ``most`` iterations
    follow (Lloyd 1982). O((most + draws / k) n k d).

    Returns whether every cluster has rows, or every distinct row a cluster.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    c: cython.Py_ssize_t
    at: cython.Py_ssize_t
    nearest: cython.Py_ssize_t
    value: cython.double
    square: cython.double
    total: cython.double
    moved: cython.bint
    full: cython.bint = True
    trial: cython.Py_ssize_t
    chosen: cython.Py_ssize_t = 0
    lowest: cython.double
    left: cython.double
    trials: cython.Py_ssize_t = len(draws) // k
    memory: Memory = Memory(3 * n + k * d + k)
    least: cython.p_double = memory.piece(n)
    among: cython.p_double = memory.piece(n)
    best: cython.p_double = memory.piece(n)
    centers: cython.p_double = memory.piece(k * d)
    counts: cython.p_double = memory.piece(k)
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
                    chosen = at
                    for i in range(n):
                        best[i] = among[i]
            total = lowest
            for j in range(d):
                centers[c * d + j] = values[chosen * d + j]
            for i in range(n):
                if c == 0 or best[i] < least[i]:
                    clusters[i] = c
                least[i] = best[i]
            if not (total > 0.0):
                # every row is at a centre
                most = 0
                break
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
                    full = False
                    break
                for j in range(d):
                    centers[c * d + j] /= counts[c]
            if not full:
                break
            moved = False
            for i in range(n):
                nearest = 0
                total = 1e308
                for c in range(k):
                    square = 0.0
                    for j in range(d):
                        value = values[i * d + j] - centers[c * d + j]
                        square += value * value
                    if square < total:
                        total = square
                        nearest = c
                if nearest != clusters[i]:
                    clusters[i] = nearest
                    moved = True
            if not moved:
                break
    return bool(full)
