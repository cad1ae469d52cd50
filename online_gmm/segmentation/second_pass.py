"""A finished series once more, with all of it at hand: segments, changes and regimes."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from online_gmm.segmentation.change_row import likeliest_row, without_wild
from online_gmm.segmentation.explanation import explain
from online_gmm.segmentation.hindsight import Ints, Labelling, Matrix, Stretch, WholeView
from online_gmm.segmentation.regimes import Regime, RegimeCard, segment_of
from online_gmm.segmentation.row_statistics import RowStatistics
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment
from online_gmm.segmentation.whole import frame_of
from online_gmm.segmentation.worth import most_worth, sharpest

if TYPE_CHECKING:
    import pandas as pd

WINDOWS = (4, 8, 16, 24, 48, 96, 192, 384)
USUAL = 16
"""Shorter windows see levels only."""
BEYOND_CHANCE = 3
"""So many changes in the stream are kept if nothing else explains the series."""
BETAS = (1.0, 1.5, 2.0, 2.5, 3.5)
"""Costs of a change that are tried, for each degree of freedom and the logarithm of the looks."""
SURE = 2.5
"""What only shows if changes cost less may be noise."""
FROM_PERIOD = 24
"""Windows from this length on are whole periods, if there is a period."""
FAINT = 0.4
"""Below this autocorrelation there is no period."""
LONGEST_PERIOD = 150
PERIOD_ROWS = 2000
HIGH = 0.8
BLOCK = 48
"""Rows over which the usual spread of a channel is looked at."""


@dataclass(frozen=True)
class SecondPass:
    """What a finished series amounts to.

    Parameters
    ----------
    labels
        The regime of each row, shape (n,).
    probabilities
        Of the regime of the row's segment against all others, shape (n,); NaN where it is not
        known.
    segments
        All of them, in order.
    changes
        From one regime to another, with the reasons. ``known_at`` is the last row.
    regimes
        A card for each regime, by its number.
    window
        The points of the window that explains the series best; 0 if nothing was found.
    """

    labels: Ints
    probabilities: Matrix
    segments: tuple[Segment, ...]
    changes: tuple[RegimeChange, ...]
    regimes: dict[int, RegimeCard]
    window: int

    @property
    def segments_(self) -> pd.DataFrame:
        """The segments as a frame, with the columns of ``Segmenter.segments_``."""
        starts = {change.at: change for change in self.changes}
        events = ((starts.get(segment.start), segment) for segment in self.segments)
        return frame_of(event for both in events for event in both if event is not None)


def second_pass(
    X: Matrix,
    names: tuple[Hashable, ...],
    stamps: Sequence[Any] | None = None,
    stretches: Sequence[Stretch] = (),
    *,
    window: int | None = None,
    max_regimes: int = 64,
    confirm: float = 1.0,
    placed: Labelling | None = None,
    regimes: Mapping[int, RowStatistics] | None = None,
) -> SecondPass:
    """Segment a whole series again.

    The series is partitioned at several windows and several costs of a change. The segmentation is
    kept that explains the windows of all lengths best for what it costs to tell, and that others
    agree with. Changes are moved to the row where they are most likely.

    Parameters
    ----------
    X
        Rows, shape (n, D); NaN is a missing value.
    names
        Of the channels.
    stamps
        Times of the rows; None for their numbers.
    stretches
        First rows of stretches without a gap, and the rows after their last; () for one.
    window, max_regimes, confirm
        As in `Segmenter`.
    placed
        What was found as the series came. It is kept if it explains the series best, and what is
        like it is preferred.
    regimes
        Statistics of the regimes that were found as the series came: those of the second pass that
        are like one of them bear its number.

    Notes
    -----
    O(n C p) for each window and cost: C candidates that are not pruned, up to 64 and two windows
    where changes cost little; p features, up to 100. Windows are shared out among all processors.
    Memory: O(n p) for each window.
    """
    n = len(X)
    stretches = stretches or ((0, n),)
    found: Labelling | None = None
    if n:
        scaled = in_usual_units(X)
        lengths = {window: False} if window is not None else windows_for(scaled, n)
        betas = [beta * confirm for beta in BETAS]
        looked = _look_through(scaled, stretches, lengths, betas)
        views = [view for view, _ in looked]
        short: list[Labelling] = []
        usual: list[Labelling] = []
        for view, labellings in looked:
            many = short if window is None and view.window < USUAL else usual
            many += [its for its in labellings if its.labels.max() < max_regimes]
        if placed is not None and not np.ptp(placed.labels):
            placed = None
        if placed is not None:
            short.append(placed)
        seen = [view for view in views if window is not None or view.window >= USUAL]
        doubtful = max((its.beta for its in usual), default=0.0) < SURE * confirm
        best = most_worth(seen, usual, scaled, placed, doubtful=doubtful)
        found = sharpest(scaled, short, best)
        if found is None and placed is not None:
            n_changes = int(np.count_nonzero(np.diff(placed.labels)))
            found = placed if n_changes >= BEYOND_CHANCE else None
        if found is not None:
            found = found._replace(labels=refined(scaled, found, stretches))
    labels = np.zeros(n, dtype=np.int64) if found is None else found.labels
    parts = runs(labels, stretches)
    certainties = np.ones(len(parts))
    if found is not None:
        view = min(views, key=lambda its: abs(math.log(its.window / found.window)))
        certainties = view.certainties(labels, parts)
    statistics = [RowStatistics.of(X[begin:end]) for begin, end in parts]
    labels = _numbered(labels, parts, statistics, regimes or {})
    window = 0 if found is None else found.window
    return _second_pass_of(labels, parts, certainties, statistics, names, stamps, window, stretches)


def _look_through(
    X: Matrix, stretches: Sequence[Stretch], lengths: Mapping[int, bool], betas: Sequence[float]
) -> list[tuple[WholeView, list[Labelling]]]:
    """What windows of each length see, and the segmentations through them, in threads.

    Lengths are left out of which there are too few windows.
    """

    def look(its: tuple[int, bool]) -> tuple[WholeView, list[Labelling]]:
        view = WholeView(X, stretches, *its)
        return view, list(view.labellings(betas)) if view.is_clear else []

    if not lengths:
        return []
    threads = ThreadPoolExecutor(min(len(lengths), os.cpu_count() or 1))
    try:
        return [its for its in threads.map(look, lengths.items()) if its[0].is_clear]
    finally:
        # whoever interrupts it does not wait for what nobody wants any more
        threads.shutdown(wait=False, cancel_futures=True)


def labels_of_events(new_events: Iterable[Any], n: int) -> Ints:
    """Return the regime of each row from segments whose times are numbers of rows."""
    labels = np.zeros(n, dtype=np.int64)
    for event in new_events:
        if isinstance(event, Segment):
            labels[event.start : event.end + 1] = max(event.label, 0)
        elif isinstance(event, RegimeEvent) and event.into is not None:
            labels[labels == event.label] = event.into
    return labels


def in_usual_units(X: Matrix) -> Matrix:
    """Rows less their means, in units of what a channel usually varies by within 48 rows.

    A single reading that stands out of both its neighbours is replaced by the one in the middle.
    """
    result = np.empty_like(X, dtype=np.float64)
    for j in range(X.shape[1]):
        x = X[:, j].astype(np.float64)
        known = x[~np.isnan(x)]
        if not len(known):
            result[:, j] = np.nan
            continue
        x = _without_wild(x)
        whole = len(known) // BLOCK
        spreads = known[: whole * BLOCK].reshape(whole, BLOCK).std(axis=1)
        unit = float(np.median(spreads)) if whole else 0.0
        for other in (spreads.mean() if whole else 0.0, known.std(), 1.0):
            # rounding of a mean is no movement
            if unit > 1e-12 * (1e-300 + float(np.abs(known).max())):
                break
            unit = float(other)
        result[:, j] = np.clip((x - known.mean()) / unit, -1e30, 1e30)
    return result


def _without_wild(x: Matrix) -> Matrix:
    steps = np.abs(np.diff(x))
    steps = steps[~np.isnan(steps)]
    usual = float(np.median(steps)) if len(steps) else 0.0
    usual = usual or (float(steps.mean()) if len(steps) else 0.0)
    return without_wild(x, usual)


def windows_for(X: Matrix, n: int) -> dict[int, bool]:
    """Windows to look through, and whether each is some whole periods, as the longer ones are."""
    strength, period = _period(X)
    result: dict[int, bool] = {}
    for window in WINDOWS:
        periodic = window >= FROM_PERIOD and strength > FAINT and period <= 2 * window
        if periodic:
            window = period * -(-window // period)
        if 4 * window <= n:
            result.setdefault(window, periodic)
    return result


def _period(X: Matrix) -> tuple[float, int]:
    """The clearest first high peak of the autocorrelation of a channel, and where it is."""
    best = (-1.0, 4)
    for x in X[:PERIOD_ROWS, :8].T:
        y = np.nan_to_num(x - np.nanmean(x)) if not np.isnan(x).all() else np.zeros(len(x))
        n = len(y)
        r = np.fft.irfft(np.abs(np.fft.rfft(y, 2 * n)) ** 2, 2 * n)[:n] / (n - np.arange(n))
        r = r[: min(LONGEST_PERIOD, n // 2)]
        if not len(r) or not r[0] > 0.0:
            continue
        negative = np.flatnonzero(r < 0.0)
        begin = max(4, int(negative[0])) if len(negative) else 4
        tail = r[begin:]
        if len(tail) < 3:
            continue
        inner = tail[1:-1]
        peaks = (inner >= tail[:-2]) & (inner >= tail[2:]) & (inner >= HIGH * tail.max())
        lag = begin + (1 + int(np.argmax(peaks)) if peaks.any() else int(np.argmax(tail)))
        best = max(best, (float(r[lag] / r[0]), lag))
    return best


def runs(labels: Ints, stretches: Sequence[Stretch]) -> list[Stretch]:
    """First rows of the segments, and the rows after their last ones."""
    if not len(labels):
        return []
    begins = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    begins = np.union1d(begins, [begin for begin, _ in stretches]).tolist()
    return list(zip(begins, [*begins[1:], len(labels)], strict=True))


def refined(X: Matrix, found: Labelling, stretches: Sequence[Stretch]) -> Ints:
    """Move each change to the row near it where it is most likely."""
    labels = found.labels.copy()
    fixed = {begin for begin, _ in stretches}
    parts = [list(part) for part in runs(labels, stretches)]
    for before, after in itertools.pairwise(parts):
        at = after[0]
        if at in fixed:
            continue
        row = before[0] + likeliest_row(X[before[0] : after[1]], at - before[0], found.window / 2)
        labels[row:at] = labels[at]
        labels[at:row] = labels[before[0]]
        before[1] = after[0] = row
    return labels


def _numbered(
    labels: Ints,
    parts: Sequence[Stretch],
    statistics: Sequence[RowStatistics],
    regimes: Mapping[int, RowStatistics],
) -> Ints:
    """Give each regime the number of the known one that it is most like, or else a new one."""
    d = len(statistics[0].means) if statistics else 0
    pooled: dict[int, RowStatistics] = {}
    for (begin, _), its in zip(parts, statistics, strict=True):
        pooled.setdefault(int(labels[begin]), RowStatistics(d)).add(its)
    names = tuple(range(d))
    pairs = sorted(
        (explain(one, other, names).log_ratio + explain(other, one, names).log_ratio, label, number)
        for label, one in pooled.items()
        for number, other in regimes.items()
    )
    number_of: dict[int, int] = {}
    for _, label, number in pairs:
        if label not in number_of and number not in number_of.values():
            number_of[label] = number
    free = max(regimes, default=-1) + 1
    for label in pooled:
        if label not in number_of:
            number_of[label] = free
            free += 1
    if not len(labels):
        return labels
    table = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    for label, number in number_of.items():
        table[label] = number
    result: Ints = table[labels]
    return result


def _second_pass_of(
    labels: Ints,
    parts: Sequence[Stretch],
    certainties: Matrix,
    statistics: Sequence[RowStatistics],
    names: tuple[Hashable, ...],
    stamps: Sequence[Any] | None,
    window: int,
    stretches: Sequence[Stretch],
) -> SecondPass:
    """Segments, changes and cards."""

    def time_of(row: int) -> Any:
        return row if stamps is None else stamps[row]

    n, d = len(labels), len(names)
    gaps = {begin for begin, _ in stretches}
    regimes: dict[int, Regime] = {}
    for (begin, _), its in zip(parts, statistics, strict=True):
        regimes.setdefault(int(labels[begin]), Regime(d)).add(its)
    segments, changes = [], []
    for k, ((begin, end), its) in enumerate(zip(parts, statistics, strict=True)):
        label = int(labels[begin])
        sure = float(certainties[k])
        segments.append(segment_of(time_of(begin), time_of(end - 1), label, its, sure, names))
        if k == 0 or begin in gaps:
            continue
        why = explain(statistics[k - 1], its, names, missing=True)
        changes.append(
            RegimeChange(
                *(time_of(begin), time_of(n - 1), int(labels[begin - 1]), label),
                *(sure, n - 1 - begin, why.log_ratio, why.reasons),
            )
        )
    cards = {label: regime.card(label, names, n, None) for label, regime in regimes.items()}
    probabilities = np.repeat(certainties, [end - begin for begin, end in parts])
    return SecondPass(
        labels, probabilities, tuple(segments), tuple(changes), dict(sorted(cards.items())), window
    )
