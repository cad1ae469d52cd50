"""Which of several segmentations of a series explains it best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from online_gmm.segmentation.hindsight import Ints, Labelling, Matrix, WholeView, edges_of
from online_gmm.segmentation.recognition import Recognised, Recognition

N_SNAPSHOTS = 400
"""Rows at which windows are looked at, evenly spread."""


class Snapshots:
    """What the windows of one length show at some rows of the series.

    Parameters
    ----------
    view
        The windows.
    rows
        The rows, ascending. Each is given the last look before it.
    """

    def __init__(self, view: WholeView, rows: Ints) -> None:
        looks = np.searchsorted(view.ends, rows, side="right") - 1
        self.seen: NDArray[np.bool_] = looks >= 0
        self.values: Matrix = view.whitened[looks[self.seen]]
        self.freedom = view.freedom
        self.n_windows = max(2.0, view.n_rows / view.window)

    def explained(self, labels: Ints) -> float:
        """Nats a window by which the regimes explain the features, over a single regime."""
        values, labels = self.values, labels[self.seen]
        n, p = values.shape
        whole = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
        places = np.unique(labels, return_inverse=True)[1]
        counts = np.bincount(places)
        sums = np.stack([np.bincount(places, column) for column in values.T], axis=1)
        rest = ((values - (sums / counts[:, None])[places]) ** 2).sum(axis=0)
        # variances beyond half of what varies within a regime
        blur = 0.5 * n
        gain = 0.5 * np.log((whole + blur) / (rest + blur)).sum()
        return float(gain * self.freedom / p)

    def cost(self, labels: Ints) -> float:
        """Nats a window that the means of all regimes but one cost (Schwarz 1978)."""
        n_regimes = len(np.unique(labels[self.seen]))
        n = self.n_windows
        return (n_regimes - 1) * self.freedom * math.log(n) / (2.0 * n)


EXPLAINED = 0.5
RECOGNISED = 2.0
REGIME_COST = 0.4
CHANGE_COST = 0.4
SHORT_COST = 67.0
AGREEMENT = 1.0
REPORTED = 1.0
LEAST_WORTH = 0.3
"""Nats a window, tuned on labelled series: what counts for and against a segmentation."""
PURE = 2.0
"""Windows that a segment should have at least."""
SHARP = 0.3
"""Nats a row by which levels must explain rows better than the segmentation of most worth."""
SHARP_ALONE = 0.45
"""The same if there is none."""
NUMBER_COST = 0.02
"""Nats a row that each further level costs."""
ENOUGH = 0.7
"""Share of the nats of the sharpest with which fewer levels will do."""
MOST_LEVELS = 12
"""With more levels than that a series wanders."""
VISITS = 2
"""Segments for each level, at least."""
APART = 3.0
"""Standard deviations within levels that the usual jump has, at least: less is a wander."""
STEEP = 0.55
"""Rows next to a change differ by this share of what its segments differ by, at least."""
NEXT = 8
"""So many rows are next to a change, on either side, or a window of them."""
LEVELS = 0.35
"""Nats a row from which on regimes are levels,"""
OFTEN = 6
"""and changes from which on a curve between them is an oscillation."""
ROUGH = 0.25
"""Roughness of rows within a level, at least: below that, the levels follow an oscillation."""


def most_worth(
    views: Sequence[WholeView],
    labellings: Sequence[Labelling],
    X: Matrix,
    placed: Labelling | None = None,
    *,
    doubtful: bool = False,
) -> Labelling | None:
    """Return the segmentation that explains the series best; None if none explains anything.

    A segmentation gains the nats a window by which its regimes explain what windows of all lengths
    show, and those by which they are recognised where a classifier was not told them, less what it
    costs to describe its regimes and changes. It gains if others, found through windows of other
    lengths, agree with it, and if what was found as the series came does. It loses if segments are
    too short for the window through which they were found. It is not chosen if its regimes follow a
    curve.

    Parameters
    ----------
    views
        Windows of all lengths.
    labellings
        Segmentations of at least two regimes.
    X
        Rows in the usual units of their channels.
    placed
        What was found as the series came, with at least two regimes; it is one of those to choose
        from.
    doubtful
        Whether regimes must be recognised, since noise shows such changes too.
    """
    if not labellings or not views:
        return None
    if placed is not None:
        labellings = [*labellings, placed]
    n = len(X)
    rows = np.linspace(0, n - 1, min(n, N_SNAPSHOTS)).astype(np.int64)
    at_rows = [its.labels[rows] for its in labellings]
    snapshots = [Snapshots(view, rows) for view in views]
    worths = []
    for labelling, labels, agreement in zip(
        labellings, at_rows, _agreements(labellings, at_rows), strict=True
    ):
        explained = [its.explained(labels) - REGIME_COST * its.cost(labels) for its in snapshots]
        worth = EXPLAINED * float(np.mean(explained)) + AGREEMENT * agreement
        worth -= _description(labelling, n)
        if placed is not None:
            worth += REPORTED * adjusted_rand(labels, placed.labels[rows])
        worths.append(worth)
    recognition = Recognition(X, views[0].stretches, [view.window for view in views])
    asked: dict[bytes, Recognised] = {}
    # windows of several lengths may find the same
    keys = [_key(its.labels) for its in labellings]

    def recognised(place: int) -> Recognised:
        if keys[place] not in asked:
            asked[keys[place]] = recognition.of(labellings[place].labels)
        return asked[keys[place]]

    best, found = LEAST_WORTH, None
    order = np.argsort(worths)[::-1].tolist()
    # where nothing is recognised, that says nothing about which of them is best
    weight = RECOGNISED if any(recognised(place).worth > 0.0 for place in order) else 0.0
    for place in order:
        labelling = labellings[place]
        if worths[place] + weight * recognition.most(labelling.labels) <= best:
            continue
        if doubtful and not recognised(place).beyond_chance:
            continue
        worth = worths[place] + weight * recognised(place).worth
        if worth > best and not follows_curve(X, labelling.labels, labelling.window):
            best, found = worth, labelling
    return found


def sharpest(
    X: Matrix, labellings: Sequence[Labelling], found: Labelling | None
) -> Labelling | None:
    """Return the segmentation whose levels explain single rows far better than one found, if any.

    Short stays at levels that return are hidden from windows that are longer than the stays.

    Parameters
    ----------
    X
        Rows in the usual units of their channels.
    labellings
        Those found through short windows, or as the series came.
    found
        The segmentation of most worth; None for a single regime.
    """
    n = len(X)
    least = SHARP_ALONE if found is None else SHARP + row_gain(X, found.labels)
    sharp: list[tuple[int, float, Labelling]] = []
    for labelling in labellings:
        n_segments = 1 + int(np.count_nonzero(np.diff(labelling.labels)))
        n_levels = len(np.unique(labelling.labels))
        few = n_levels <= min(MOST_LEVELS, n_segments // VISITS)
        if not few or n_segments * labelling.window > n:
            continue
        gain = row_gain(X, labelling.labels) - NUMBER_COST * n_levels
        if gain > least:
            sharp.append((n_levels, -gain, labelling))
    if not sharp:
        return found
    enough = ENOUGH * min(loss for _, loss, _ in sharp)
    return min((its for its in sharp if its[1] <= enough), key=lambda its: its[:2])[2]


def row_gain(X: Matrix, labels: Ints) -> float:
    """Nats a row by which the levels of regimes explain the channel that they explain best.

    0 where rows within a level are smooth, where levels lie close together, or where a curve leads
    from one to the next: then the levels follow an oscillation or a wander.
    """
    best = 0.0
    same = labels[1:] == labels[:-1]
    edges = edges_of(labels)
    for column in X.T:
        if np.isnan(column).all():
            continue
        rest = _rest(column, labels)
        steps = np.diff(rest)[same]
        steps = steps[~np.isnan(steps)]
        variance = float(np.nanvar(rest))
        if not len(steps) or float((steps**2).mean()) < 2.0 * ROUGH * variance:
            continue
        # where a wander crosses from one level to another, these differ less than the levels do
        jumps = np.diff(_means(column, edges[:-1], edges[1:]))
        known = np.abs(jumps[~np.isnan(jumps)])
        if not len(known) or not np.median(known) >= APART * math.sqrt(variance):
            continue
        if not _is_steep(column, edges, jumps, NEXT):
            continue
        total = float(np.nanvar(column))
        best = max(best, 0.5 * math.log((total + 1.0) / (variance + 1.0)))
    return best


def follows_curve(X: Matrix, labels: Ints, window: int) -> bool:
    """Whether regimes are levels between which a curve leads to and fro, as an oscillation does.

    Of the channel of which levels say most. Windows next to changes then hardly differ.
    """
    edges = edges_of(labels)
    if len(edges) - 2 < OFTEN:
        return False
    most, result = LEVELS, False
    for column in X.T:
        # what a constant differs by from its mean is rounding
        if np.isnan(column).all() or np.nanmin(column) == np.nanmax(column):
            continue
        variance = float(np.nanvar(_rest(column, labels)))
        gain = 0.5 * math.log(float(np.nanvar(column)) / variance) if variance > 0.0 else 0.0
        if gain > most:
            steps = np.diff(_means(column, edges[:-1], edges[1:]))
            most, result = gain, not _is_steep(column, edges, steps, max(NEXT, window))
    return result


def _rest(column: Matrix, labels: Ints) -> Matrix:
    """What a channel differs by from its means in the regimes."""
    known = ~np.isnan(column)
    n = int(labels.max()) + 1
    counts = np.bincount(labels[known], minlength=n)
    sums = np.bincount(labels[known], column[known], minlength=n)
    result: Matrix = column - (sums / np.maximum(counts, 1))[labels]
    return result


def _means(column: Matrix, begins: Ints, ends: Ints) -> Matrix:
    """The mean of the values from each of some rows to another, NaN without a value."""
    known = ~np.isnan(column)
    counts = np.concatenate([[0], np.cumsum(known)])
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, column, 0.0))])
    n = counts[ends] - counts[begins]
    result: Matrix = np.divide(
        sums[ends] - sums[begins], n, out=np.full(len(n), np.nan), where=n > 0
    )
    return result


def _is_steep(column: Matrix, edges: Ints, steps: Matrix, n: int) -> bool:
    """Whether rows next to changes differ nearly as much as the segments: no curve leads there.

    Parameters
    ----------
    column
        Of one channel.
    edges
        As of `edges_of`.
    steps
        What the means of the segments change by.
    n
        Rows next to a change, on either side.
    """
    changes = edges[1:-1]
    before = _means(column, np.maximum(changes - n, edges[:-2]), changes)
    after = _means(column, changes, np.minimum(changes + n, edges[2:]))
    along = np.nansum((after - before) * steps)
    return bool(along >= STEEP * np.nansum(steps**2))


def _description(labelling: Labelling, n: int) -> float:
    """What changes cost, and segments that are too short for their window."""
    window = labelling.window
    lengths = np.diff(edges_of(labelling.labels))
    n_windows = max(2.0, n / window)
    changes = (len(lengths) - 1) * math.log(n_windows) / n_windows
    return CHANGE_COST * changes + SHORT_COST * float(np.mean(lengths < PURE * window))


def _agreements(labellings: Sequence[Labelling], labels: Sequence[Ints]) -> list[float]:
    """How far the third that agrees most with each segmentation, of other windows, does."""
    result = []
    indices = np.array([[adjusted_rand(a, b) for b in labels] for a in labels])
    windows = np.array([its.window for its in labellings])
    for its, window in zip(indices, windows, strict=True):
        others = np.sort(its[windows != window])[::-1]
        result.append(float(others[: max(1, len(others) // 3)].mean()) if len(others) else 0.0)
    return result


def _key(labels: Ints) -> bytes:
    """What tells labels from others: where segments begin, and their regimes."""
    begins = edges_of(labels)[:-1]
    return begins.tobytes() + labels[begins].tobytes()


def adjusted_rand(a: Ints, b: Ints) -> float:
    """The adjusted Rand index of two labellings (Hubert & Arabie 1985)."""
    n, width = len(a), int(b.max()) + 1
    table = np.bincount(a * width + b).astype(np.float64)
    rows, columns = (np.bincount(its).astype(np.float64) for its in (a, b))
    pairs, ours, theirs = ((its * (its - 1.0)).sum() / 2.0 for its in (table, rows, columns))
    expected = ours * theirs / (n * (n - 1.0) / 2.0) if n > 1 else 0.0
    most = (ours + theirs) / 2.0
    return float((pairs - expected) / (most - expected)) if most > expected else 0.0
