"""A whole frame at once: its segments as a frame, and what a notebook shows of a segmenter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.data import html
from online_gmm.data.counted import counted
from online_gmm.data.frames import Table
from online_gmm.learners.base import UNKNOWN
from online_gmm.segmentation.regimes import cards_table
from online_gmm.segmentation.segments import RegimeChange, Segment

if TYPE_CHECKING:
    import pandas as pd

    from online_gmm.segmentation.segmenter import Segmenter

MOST_CHANGES = 10
"""Changes that a notebook shows, the last ones."""


def label_whole(segmenter: Segmenter, X: Any, t: Any) -> tuple[Any, pd.DataFrame]:
    """Learn all rows, end the stream, and return labels in hindsight and the segments."""
    features = getattr(segmenter.learner, "features", None)
    table = Table(X, features, segmenter.time, t)
    segmenter.finish()
    answers = segmenter.label_then_learn_many(X, t)
    new_events = list(segmenter.new_events)
    last = segmenter.finish()
    new_events += [] if last is None else [last]
    segments = [event for event in new_events if isinstance(event, Segment)]
    labels = np.full(len(table), UNKNOWN, dtype=np.int64)
    rows = _rows_in_segments(segmenter, table, answers.labels)
    numbers = np.repeat([s.label for s in segments], [s.n for s in segments])
    if segmenter.finds_regimes:
        # the last row is in the last segment; the first may be before all values
        numbers = numbers[max(len(numbers) - len(rows), 0) :]
        rows = rows[len(rows) - len(numbers) :]
    labels[rows[: len(numbers)]] = numbers[: len(rows)]
    return table.series(labels, "label"), frame_of(new_events)


def regimes_of_rows(segmenter: Segmenter, rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Label a whole series in hindsight; one in which no change was found is one regime."""
    if not len(rows):
        raise ValueError("the series has no points; at least one is needed")
    labels: NDArray[np.int64] = segmenter.label_many(rows)
    if not segmenter.labels:
        return np.zeros_like(labels)
    known = labels != UNKNOWN
    # rows before all values
    labels[~known] = labels[known.argmax()]
    return labels


def _rows_in_segments(
    segmenter: Segmenter, table: Table, causal: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the rows that segments consist of, in order."""
    if not segmenter.finds_regimes:
        return np.flatnonzero(causal != UNKNOWN)
    if segmenter.late != "skip" or table.times is None:
        return np.arange(len(table))
    latest = np.maximum.accumulate(np.concatenate([[-np.inf], table.times[:-1]]))
    return np.flatnonzero(table.times > latest)


def frame_of(new_events: Iterable[Any]) -> pd.DataFrame:
    """Return segments as a frame, each with the reasons of the change by which it began."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    why = ""
    for event in new_events:
        if isinstance(event, RegimeChange):
            why = "; ".join(str(reason) for reason in event.why if reason.kind != "other")
        elif isinstance(event, Segment):
            rows.append(
                {
                    "start": event.start,
                    "end": event.end,
                    "label": event.label,
                    "n": event.n,
                    "probability": event.probability,
                    "why": why,
                    **{f"{name}_mean": value for name, value in event.mean.items()},
                    **{f"{name}_sd": value for name, value in event.sd.items()},
                }
            )
            why = ""
    columns = ["start", "end", "label", "n", "probability", "why"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def as_html(segmenter: Segmenter) -> str:
    """Return what a notebook shows: the regime now, a table of regimes, the last changes."""
    current = segmenter.current
    notes = [
        counted(segmenter.n_points, "points"),
        "no segment is going on" if current is None else f"now: {current}",
    ]
    if not segmenter.finds_regimes:
        learner = segmenter.learner
        inner = learner._repr_html_() if hasattr(learner, "_repr_html_") else ""
        return html.page(html.call_of(segmenter), notes, inner)
    changes = [event for event in segmenter.events if isinstance(event, RegimeChange)]
    rows = [
        [
            str(change.at),
            f"{change.before} -> {change.after}",
            f"{change.delay:,}",
            "; ".join(str(reason) for reason in change.why if reason.kind != "other"),
        ]
        for change in changes[: -MOST_CHANGES - 1 : -1]
    ]
    caption = f"changes, the latest first ({segmenter.n_changes:,} so far)"
    return html.page(
        html.call_of(segmenter),
        notes,
        cards_table(list(segmenter.regimes.values()), segmenter.names),
        html.table(["since", "regime", "known after, rows", "why"], rows, caption),
    )
