"""What the page shows of a key: the data of its figures, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from online_gmm.segmentation.segments import Segment
from replay.sources.times import Clock
from replay.views.decimation import Scores
from replay.views.figure import MOST_COLUMNS, Figures
from replay.views.history import Snapshot
from replay.views.log import MOST_SAMPLED, Head
from replay.views.page.tables import (
    changes_table,
    costs_table,
    head_of,
    parameters_table,
    segments_table,
)
from replay.views.parameters import Parameters
from replay.views.roster import placed


@dataclass
class Content(Figures):
    """What the page shows of a key: figures, and tables.

    Parameters
    ----------
    data, ranges, dates
        As in `Figures`.
    texts
        HTML of the tables.
    """

    texts: dict[str, str] = field(default_factory=dict)


def content_of(
    snapshot: Snapshot,
    segments: Sequence[Segment],
    n_segments: int,
    parameters: Parameters | None,
    recent: bool = False,
    most_sampled: int = MOST_SAMPLED,
) -> Content:
    """What there is to show of a key.

    Parameters
    ----------
    snapshot, parameters
        The key.
    segments, n_segments
        Those to list, and how many there were.
    recent
        Whether its last rows are shown as well.
    most_sampled
        Values in a rug at most.
    """
    head, columns = snapshot.head, snapshot.columns
    content = Content(dates=snapshot.dates if snapshot.timed else None)
    names = head.names if parameters is None else head.names | parameters.names
    scale = 1000.0 if snapshot.dates else 1.0
    parts = {"whole": snapshot.whole, **({"recent": snapshot.recent} if recent else {})}
    for part, trace in parts.items():
        content.add_series(part, trace, names, scale, marked=part == "recent")
    sample, labels = snapshot.sample, snapshot.sample_labels
    for j in range(min(len(columns), MOST_COLUMNS)):
        content.add_density(j, sample[:, j], labels, parameters, most_sampled)
    _add_scores(content, snapshot.scores)
    content.texts = texts_of(
        head, columns, snapshot.clock, segments, n_segments, parameters, snapshot.whole.rows
    )
    return content


def texts_of(
    head: Head,
    columns: Sequence[str],
    clock: Clock,
    segments: Sequence[Segment],
    n_segments: int,
    parameters: Parameters | None,
    rows: int = 1,
    note: str = "",
) -> dict[str, str]:
    """The tables of a key, as HTML.

    Parameters
    ----------
    head, columns, segments, n_segments, parameters
        As in `content_of`.
    clock
        Reads times.
    rows
        Rows of which each two points are the least and the greatest value.
    note
        What is to be said of what is drawn.
    """
    names = head.names if parameters is None else head.names | parameters.names
    return {
        "head": head_of(placed(head, parameters), clock, rows, names, note),
        "parameters": parameters_table(head, columns, parameters, names),
        "costs": costs_table(parameters, names),
        "changes": changes_table(parameters, clock, names),
        "segments": segments_table(columns, segments, n_segments, clock, names),
    }


def _add_scores(content: Content, scores: Scores) -> None:
    content.data["scores"] = {
        "row": scores.rows.astype(np.float64),
        "so_far": scores.so_far.astype(np.float32),
    }
    content.data["stretches"] = {
        "row": scores.ends.astype(np.float64),
        "mean": scores.means.astype(np.float32),
    }
    means = scores.means[np.isfinite(scores.means)]
    so_far = scores.so_far[np.isfinite(scores.so_far)]
    if len(means):
        # a few rows that nobody could foretell would dwarf all others
        low, high = np.quantile(means, (0.02, 0.98))
        spread = high - low
        low = min(low, so_far[-1], max(so_far.min(), low - spread))
        high = max(high, so_far[-1], min(so_far.max(), high + spread))
        margin = max(0.08 * (high - low), 0.01)
        content.ranges["scores"] = float(low - margin), float(high + margin)
