"""What the page shows of a key: the data of its figures, and its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.segmentation.segments import Segment
from replay.engine.printable import printable
from replay.views.decimation import Bands, Ints, Scores, Trace
from replay.views.history import Snapshot
from replay.views.log import MOST_SAMPLED, Head
from replay.views.page.style import MARKERS, REGIMES
from replay.views.page.tables import (
    changes_table,
    costs_table,
    head_of,
    parameters_table,
    segments_table,
)
from replay.views.parameters import Parameters

MOST_COLUMNS = 6
"""Columns of values that are drawn, the first ones."""
GRID = 161
"""Points of a density curve."""
WIDE = 0.04
"""Share of the width from which on a band has room for its label."""
GAP = 10.0
"""Times the usual distance of two points beyond which no line joins them."""

Data = dict[str, Any]


@dataclass
class Content:
    """What the page shows of a key.

    Parameters
    ----------
    data
        What the glyphs are drawn from, by the name of their source.
    ranges
        Start and end of the axes that are set.
    texts
        HTML of the tables.
    dates
        Whether x are dates; None if they are numbers of rows.
    """

    data: dict[str, Data] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    dates: bool | None = None


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
        content.data[f"{part} bands"] = _bands(trace.bands, scale)
        content.data[f"{part} names"] = _names(trace.bands, scale, names)
        for j in range(min(len(columns), MOST_COLUMNS)):
            content.data[f"{part} {j}"] = _line(trace, j, scale, part == "recent")
    for j in range(min(len(columns), MOST_COLUMNS)):
        _add_density(content, snapshot, j, parameters, most_sampled)
    _add_scores(content, snapshot.scores)
    content.texts = texts_of(head, columns, segments, n_segments, parameters, snapshot.whole.rows)
    return content


def texts_of(
    head: Head,
    columns: Sequence[str],
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
    rows
        Rows of which each two points are the least and the greatest value.
    note
        What is to be said of what is drawn.
    """
    names = head.names if parameters is None else head.names | parameters.names
    return {
        "head": head_of(head, rows, names, note),
        "parameters": parameters_table(head, columns, parameters, names),
        "costs": costs_table(parameters, names),
        "changes": changes_table(parameters, names),
        "segments": segments_table(columns, segments, n_segments, names),
    }


COLOURS = np.array([int(colour[1:] + "ff", 16) for colour in REGIMES], dtype=np.uint32)


def _colours(labels: Ints) -> NDArray[np.uint32]:
    colours: NDArray[np.uint32] = COLOURS[labels % len(COLOURS)]
    return colours


def _line(trace: Trace, j: int, scale: float, marked: bool) -> Data:
    """Pieces from point to point, and the point that each leads to."""
    x, y = scale * trace.x[j], trace.y[j].astype(np.float32)
    labels = trace.labels[j]
    x0, y0 = np.concatenate((x[:1], x[:-1])), np.concatenate((y[:1], y[:-1]))
    steps = x - x0
    usual = np.median(steps[steps > 0.0]) if (steps > 0.0).any() else 0.0
    # a piece without a length: nothing is known of the time between
    apart = steps > GAP * usual
    x0[apart], y0[apart] = x[apart], y[apart]
    data: Data = {
        "x0": x0,
        "y0": y0,
        "x1": x,
        "y1": y,
        "color": _colours(labels),
        "label": labels.astype(np.int32),
    }
    if marked:
        data["marker"] = [MARKERS[label % len(MARKERS)] for label in labels.tolist()]
    return data


def _bands(bands: Bands, scale: float) -> Data:
    return {
        "x0": scale * bands.starts,
        "x1": scale * bands.ends,
        "color": _colours(bands.labels),
    }


def _names(bands: Bands, scale: float, names: Mapping[int, str]) -> Data:
    """Names, or labels, of the bands that have room for them."""
    if not len(bands.labels):
        return {"x": [], "text": []}
    wide = bands.ends - bands.starts >= WIDE * (bands.ends[-1] - bands.starts[0])
    middle = scale * (bands.starts + bands.ends) / 2.0
    text = [printable(names.get(label, str(label))) for label in bands.labels[wide].tolist()]
    return {"x": middle[wide], "text": text}


def _add_density(
    content: Content,
    snapshot: Snapshot,
    j: int,
    parameters: Parameters | None,
    most_sampled: int,
) -> None:
    """The density of each regime, their sum, and the sample below as a rug."""
    every = -(-len(snapshot.sample) // most_sampled) or 1
    values, labels = snapshot.sample[::every, j], snapshot.sample_labels[::every]
    known = ~np.isnan(values)
    values, labels = values[known], labels[known]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 1.0
    low, high = low - margin, high + margin
    grid = np.linspace(low, high, GRID)
    heights = np.empty((0, GRID))
    if parameters is not None:
        mean, sd = parameters.means[:, j, None], parameters.sds[:, j, None]
        heights = parameters.weights[:, None] * np.exp(-0.5 * ((grid - mean) / sd) ** 2)
        heights /= sd * math.sqrt(2.0 * math.pi)
    its = parameters.labels if parameters is not None else ()
    called = parameters.names if parameters is not None else {}
    total = heights.sum(axis=0)
    highest = float(total.max()) if len(heights) else 1.0
    peaks = heights.argmax(axis=1) if len(heights) else np.empty(0, dtype=np.int64)
    content.ranges[f"density {j}"] = low, high
    content.ranges[f"height {j}"] = -0.12 * highest, 1.2 * highest
    content.data |= {
        f"density {j}": {
            "xs": [np.concatenate((grid[:1], grid, grid[-1:])) for _ in its],
            "ys": [np.concatenate(([0.0], height, [0.0])).astype(np.float32) for height in heights],
            "color": _colours(np.array(its, dtype=np.int64)),
            "label": list(its),
        },
        f"mixture {j}": {"x": grid, "y": total} if len(heights) else {"x": [], "y": []},
        f"peaks {j}": {
            "x": grid[peaks],
            "y": heights[np.arange(len(heights)), peaks],
            "text": [printable(called.get(label, str(label))) for label in its],
        },
        f"rug {j}": {
            "x": values,
            "y0": np.full(len(values), -0.09 * highest, dtype=np.float32),
            "y1": np.full(len(values), -0.03 * highest, dtype=np.float32),
            "color": _colours(labels),
        },
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
