"""What short patterns a window shows: how often each of many small convolutions is high.

The kernels are those of MiniRocket (Dempster, Schmidt & Webb 2021): nine points apart by a
dilation, three of weight 2 and six of weight -1, in all 84 ways. They tell shapes from each other
that moments and differences do not.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from online_gmm.segmentation.hindsight import Ints, Matrix

POINTS = 9
KERNELS = np.array(list(itertools.combinations(range(POINTS), 3)))
DILATIONS = (1, 2, 4, 8, 16)
QUANTILES = (0.25, 0.75)
"""Of what a convolution is in the series: the values above which it is high."""
N_SAMPLED = 500
"""Rows from which these are taken, evenly spread."""
AT_ONCE = 200_000
"""Values of convolutions that are in memory together, about."""


def shares_above(
    X: Matrix, rows: Ints, windows: tuple[int, ...]
) -> tuple[NDArray[np.float32], ...]:
    """Return how often each convolution is high in the windows that end at some rows.

    Parameters
    ----------
    X
        Rows in the usual units of their channels, shape (n, D); NaN is a missing value.
    rows
        Last rows of the windows, ascending, shape (m,). The first of them is no smaller than the
        longest window less one.
    windows
        Their lengths in points.

    Returns
    -------
    tuple of ndarray
        For each length the shares, shape (m, up to 840). Each kernel sees one channel.

    Notes
    -----
    O(m w) for the longest window w, however long the series: rows that no window reaches are left
    out.
    """
    X, rows = _reached(np.nan_to_num(X), rows, max(windows) + (POINTS - 1) * DILATIONS[-1])
    n, d = X.shape
    sampled = np.linspace(0, n - 1, min(n, N_SAMPLED)).astype(np.int64)
    levels = [int(quantile * len(sampled)) for quantile in QUANTILES]
    shares: list[list[Matrix]] = [[] for _ in windows]
    together = max(1, AT_ONCE // n)
    for dilation in DILATIONS:
        reach = (POINTS - 1) * dilation
        if 2 * reach > n:
            break
        for channel in range(min(d, len(KERNELS))):
            padded = np.concatenate([np.repeat(X[0, channel], reach), X[:, channel]])
            shifted = np.stack([padded[reach - j * dilation :][:n] for j in range(POINTS)])
            total = shifted.sum(axis=0)
            its = KERNELS[channel::d]
            for first in range(0, len(its), together):
                i, j, k = its[first : first + together].T
                convolved = 3.0 * (shifted[i] + shifted[j] + shifted[k]) - total
                above = np.sort(convolved[:, sampled], axis=1)[:, levels]
                high = np.zeros((len(i), len(levels), n + 1), dtype=np.int32)
                np.cumsum(convolved[:, None] > above[..., None], axis=-1, out=high[..., 1:])
                for window, found in zip(windows, shares, strict=True):
                    counts = high[..., rows + 1] - high[..., rows + 1 - window]
                    found.append(counts.reshape(-1, len(rows)) / window)
    nothing = np.empty((0, len(rows)))
    return tuple(np.concatenate([nothing, *its]).T.astype(np.float32) for its in shares)


def _reached(X: Matrix, rows: Ints, reach: int) -> tuple[Matrix, Ints]:
    """The rows within reach before some of them, and where these are then."""
    steps = np.zeros(len(X) + 1, dtype=np.int64)
    np.add.at(steps, np.maximum(rows + 1 - reach, 0), 1)
    np.add.at(steps, rows + 1, -1)
    reached = np.cumsum(steps[:-1]) > 0
    return X[reached], np.cumsum(reached)[rows] - 1
