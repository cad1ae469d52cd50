"""Labelled cells as lines of CSV: what a replay writes most; compiled as the kernel is."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython


def joined(
    data: cython.uchar[::1],
    starts: cython.int[::1],
    ends: cython.int[::1],
    order: cython.Py_ssize_t[::1],
    n_slots: cython.Py_ssize_t,
    labels: cython.Py_ssize_t[::1],
    digits: cython.int[::1],
    decimals: cython.int[::1],
    outlier: cython.uchar[::1],
    change: cython.uchar[::1],
    out: cython.uchar[::1],
) -> int:
    """Write lines of cells, each with a label, a probability and two flags, between commas.

    Parameters
    ----------
    data, starts, ends, n_slots
        Cells, as of `cut`.
    order
        The slots of those that are written.
    labels
        Numbers from 0, shape (n,).
    digits, decimals
        Probabilities as digits / 10^decimals, from 0 to 1; final zeros are left out.
    outlier, change
        0 or 1.
    out
        Where they are written; it has room for the cells, a byte more for each, and 40 a line.

    Returns
    -------
    int
        Bytes written.
    """
    n: cython.Py_ssize_t = len(labels)
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    left: cython.Py_ssize_t
    unit: cython.Py_ssize_t
    k: cython.int
    with cython.nogil:
        for i in range(n):
            for j in range(len(order)):
                slot = i * n_slots + order[j]
                for m in range(starts[slot], ends[slot]):
                    out[at] = data[m]
                    at += 1
                out[at] = 44
                at += 1
            left = labels[i]
            unit = 1
            while left // unit >= 10:
                unit *= 10
            while unit > 0:
                out[at] = 48 + left // unit % 10
                unit //= 10
                at += 1
            out[at] = 44
            at += 1
            left = digits[i]
            unit = 1
            k = decimals[i]
            while k > 0:
                unit *= 10
                k -= 1
            out[at] = 48 + left // unit
            at += 1
            left %= unit
            if left > 0:
                out[at] = 46
                at += 1
                while left > 0:
                    unit //= 10
                    out[at] = 48 + left // unit
                    left %= unit
                    at += 1
            out[at] = 44
            out[at + 1] = 48 + outlier[i]
            out[at + 2] = 44
            out[at + 3] = 48 + change[i]
            out[at + 4] = 10
            at += 5
    return at
