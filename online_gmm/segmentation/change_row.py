"""At which row a change took place: the one before which rows are like the segment before it.

Windows tell that there was a change, and where to within about their own length. Single rows tell
its row where their level or spread differs, or which readings are missing, whichever window has
seen the change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

AROUND = 1.0
"""Windows to both sides of a change within which its row is looked for."""
LEAST_AROUND = 8
"""Rows of that at least."""
LEAST_ROWS = 4
"""Readings of a channel on each side of a change, at least, to tell its level and spread."""
GAIN = 1.5
"""Nats by which another row must be more likely."""
FLOOR = 0.05
"""Share of the mean variance of both sides that is added to each."""
LEAST_VARIANCE = 1e-12
"""Of a channel whose readings reach from 0 to 1."""
MOST_TELLING = 5.0
"""Nats that a single reading may say at most."""
LEAST_SHARE = 0.05
"""Share of readings that are taken to be missing, and not to be, at least."""
WILD = 8.0
"""Times the usual step by which a single reading must stand out to be taken for wild."""

LARGE = 4.0
"""Times the mean step that a single step counts at most in what is usual."""


def likeliest_row(rows: Matrix, at: int, window: float) -> int:
    """Return the row near ``at`` at which the change is most likely to have taken place.

    Rows before the change and rows from it on have Gaussian levels and spreads in every channel,
    and shares of missing readings, which are those of the rows before and from ``at``. Rows of a
    smooth channel tell little that their neighbours do not: their evidence counts by the share of
    its variance that is new from one row to the next (von Neumann 1941).

    Parameters
    ----------
    rows
        Rows of both segments, shape (n, D); NaN is a missing value.
    at
        Where the change was told, from 0 to n.
    window
        Points of the window that has seen it. The row is at most so far from ``at``, and not less
        than 8.

    Returns
    -------
    int
        ``at`` itself where no other row is clearly more likely. O(n D).
    """
    n, around = len(rows), max(LEAST_AROUND, int(AROUND * window))
    low, high = max(1, at - around, at // 2), min(n - 1, at + around, (at + n) // 2)
    if min(at, n - at) < LEAST_ROWS or high <= low:
        return at
    cleaned = without_wild(rows, _usual_steps(rows))
    ratio = np.append(0.0, np.cumsum(_more_likely_before(cleaned, at, low, high)))
    best = int(ratio.argmax())
    return low + best if ratio[best] - ratio[at - low] > GAIN else at


def without_wild(rows: Matrix, usual: Matrix | float) -> Matrix:
    """Replace single readings that stand out of both their neighbours by the one in the middle.

    Parameters
    ----------
    rows
        Shape (n, D), or (n,) of one channel.
    usual
        The usual step from one reading to the next, of each channel.
    """
    if len(rows) < 3:
        return rows
    before, here, after = rows[:-2], rows[1:-1], rows[2:]
    least, most = np.minimum(before, after), np.maximum(before, after)
    middle = np.minimum(np.maximum(here, least), most)
    result = rows.copy()
    result[1:-1] = np.where(np.abs(here - middle) > WILD * usual, middle, here)
    return result


def _usual_steps(rows: Matrix) -> Matrix:
    """The mean step of each channel, of which the largest count as `LARGE` times the mean."""
    steps = np.abs(np.diff(rows, axis=0))
    usual: Matrix = _means(np.minimum(steps, LARGE * _means(steps)[1]))[1]
    return usual


class _Moments(NamedTuple):
    """Of the readings of each channel on one side of a change, shape (D,)."""

    counts: Matrix | int
    means: Matrix
    variances: Matrix
    steps: Matrix
    """Half the mean squared step: the variance if readings are independent."""


def _moments(rows: Matrix) -> _Moments:
    counts, means = _means(rows)
    variances = _means((rows - means) ** 2)[1]
    return _Moments(counts, means, variances, 0.5 * _means(np.diff(rows, axis=0) ** 2)[1])


def _means(rows: Matrix) -> tuple[Matrix | int, Matrix]:
    """How many values there are in each column, and their mean; 0 if there is none."""
    missing = np.isnan(rows)
    if not missing.any():
        total: Matrix = rows.sum(axis=0)
        return len(rows), total / max(len(rows), 1)
    known = ~missing
    counts = known.sum(axis=0)
    sums: Matrix = np.where(known, rows, 0.0).sum(axis=0)
    return counts, sums / np.maximum(counts, 1)


def _more_likely_before(rows: Matrix, at: int, begin: int, end: int) -> Matrix:
    """By how many nats rows are more likely among those before ``at`` than among the others."""
    low, high = np.fmin.reduce(rows), np.fmax.reduce(rows)
    moving = high > low
    x = (rows[:, moving] - low[moving]) / (high - low)[moving]
    before, after = _moments(x[:at]), _moments(x[at:])
    floor = FLOOR * 0.5 * (before.variances + after.variances) + LEAST_VARIANCE
    a, b = before.variances + floor, after.variances + floor
    x = x[begin:end]
    nats = 0.5 * (np.log(b / a) + (x - after.means) ** 2 / b - (x - before.means) ** 2 / a)
    nats = np.minimum(np.maximum(np.nan_to_num(nats), -MOST_TELLING), MOST_TELLING)
    variance = before.variances + after.variances + LEAST_VARIANCE
    new = np.minimum(1.0, (before.steps + after.steps) / variance)
    told = np.minimum(before.counts, after.counts) >= LEAST_ROWS
    total: Matrix = (nats * np.where(told, new, 0.0)).sum(axis=1)
    missing = np.isnan(rows)
    if missing.any():
        total += _missing_before(missing, at)[begin:end]
    return total


def _missing_before(missing: NDArray[np.bool_], at: int) -> Matrix:
    """The same, of which readings are missing."""
    before, after = (
        np.clip(rows.mean(axis=0), LEAST_SHARE, 1.0 - LEAST_SHARE)
        for rows in (missing[:at], missing[at:])
    )
    nats = np.where(missing, np.log(before / after), np.log((1.0 - before) / (1.0 - after)))
    total: Matrix = nats.sum(axis=1)
    return total
