"""The figures of a series, whatever draws them: Bokeh on the page, matplotlib in a PNG file.

A figure is drawn from named data: the bands of regimes and their names, the pieces and points of a
line, the densities of regimes, their sum and peaks, and a rug of values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.html import COLOURS
from replay.engine.printable import printable
from replay.views.decimation import Bands, Floats, Ints, Trace
from replay.views.parameters import Parameters

MOST_COLUMNS = 6
"""Columns of values that are drawn, the first ones."""
GRID = 161
"""Points of a density curve."""
WIDE = 0.04
"""Share of the width from which on a band has room for its label."""
NEAR = 0.03, 0.14
"""Shares of width and height within which two names of peaks would lie upon each other."""
GAP = 10.0
"""Times the usual distance of two points beyond which no line joins them."""
SHADE = 0.16
"""Opacity of bands, and of the area below a density."""
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star")
"""As many as are prime to the colours: together they tell 56 regimes apart."""

Data = dict[str, Any]


@dataclass
class Figures:
    """The data of the figures of a series.

    Parameters
    ----------
    data
        What is drawn, by the name of its source: arrays by the names of columns. Colours are
        numbers of eight hexadecimal digits, red first and opacity last.
    ranges
        Start and end of the axes that are set.
    dates
        Whether x are dates; None if they are numbers of rows.
    """

    data: dict[str, Data] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    dates: bool | None = None

    def add_series(
        self,
        part: str,
        trace: Trace,
        names: Mapping[int, str],
        scale: float = 1.0,
        marked: bool = False,
    ) -> None:
        """Add a series, of which each column has a figure.

        Parameters
        ----------
        part
            What the names of its data begin with.
        trace
            The series.
        names
            The names of regimes, of those that have one.
        scale
            What x is multiplied by.
        marked
            Whether points have the marker of their regime.
        """
        self.data[f"{part} bands"] = _bands(trace.bands, scale)
        self.data[f"{part} names"] = _names(trace.bands, scale, names)
        for j in range(min(len(trace.x), MOST_COLUMNS)):
            self.data[f"{part} {j}"] = line(trace, j, scale, marked)

    def add_density(
        self,
        j: int,
        values: Floats,
        labels: Ints,
        parameters: Parameters | None,
        most_sampled: int,
    ) -> None:
        """Add the density of each regime in a column, their sum, and below values as a rug.

        Parameters
        ----------
        j
            The number of the column.
        values, labels
            A sample of its values, and the labels of their rows.
        parameters
            What is known of the regimes.
        most_sampled
            Values in the rug at most.
        """
        every = -(-len(values) // most_sampled) or 1
        values, labels = values[::every], labels[::every]
        known = ~np.isnan(values)
        values, labels = values[known], labels[known]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        margin = 0.08 * (high - low) or 1.0
        low, high = low - margin, high + margin
        grid = np.linspace(low, high, GRID)
        heights = np.empty((0, GRID))
        if parameters is not None:
            # where all values are alike, the density is as narrow as can be drawn
            mean, narrowest = parameters.means[:, j, None], (high - low) / GRID
            sd = np.fmax(parameters.sds[:, j, None], narrowest)
            heights = parameters.weights[:, None] * np.exp(-0.5 * ((grid - mean) / sd) ** 2)
            heights /= sd * math.sqrt(2.0 * math.pi)
        its = parameters.labels if parameters is not None else ()
        called = parameters.names if parameters is not None else {}
        total = heights.sum(axis=0)
        highest = float(total.max()) if len(heights) else 1.0
        peaks = heights.argmax(axis=1) if len(heights) else np.empty(0, dtype=np.int64)
        self.ranges[f"density {j}"] = low, high
        self.ranges[f"height {j}"] = -0.12 * highest, 1.2 * highest
        self.data |= {
            f"density {j}": {
                "xs": [np.concatenate((grid[:1], grid, grid[-1:])) for _ in its],
                "ys": [
                    np.concatenate(([0.0], height, [0.0])).astype(np.float32) for height in heights
                ],
                "color": colours(np.array(its, dtype=np.int64)),
                "label": list(its),
            },
            f"mixture {j}": {"x": grid, "y": total} if len(heights) else {"x": [], "y": []},
            f"peaks {j}": _apart(
                (grid[peaks] - low) / (high - low),
                heights[np.arange(len(heights)), peaks] / (highest or 1.0),
                [printable(called.get(label, str(label))) for label in its],
                (grid[peaks], heights[np.arange(len(heights)), peaks]),
            ),
            f"rug {j}": {
                "x": values,
                "y0": np.full(len(values), -0.09 * highest, dtype=np.float32),
                "y1": np.full(len(values), -0.03 * highest, dtype=np.float32),
                "color": colours(labels),
            },
        }


def _apart(x: Floats, y: Floats, texts: list[str], at: tuple[Floats, Floats]) -> Data:
    """The names of peaks where they are; those that would lie upon each other are one text.

    ``x`` and ``y`` are shares of the width and of the height.
    """
    groups: list[list[int]] = []
    for i in np.argsort(-y, kind="stable").tolist():
        for group in groups:
            if abs(x[i] - x[group[0]]) < NEAR[0] and abs(y[i] - y[group[0]]) < NEAR[1]:
                group.append(i)
                break
        else:
            groups.append([i])
    firsts = [group[0] for group in groups]
    return {
        "x": at[0][firsts],
        "y": at[1][firsts],
        "text": [", ".join(texts[i] for i in sorted(group)) for group in groups],
    }


def some_drawn(n_columns: int) -> list[str]:
    """Say that not all columns are drawn, in a line; nothing if all are."""
    if n_columns <= MOST_COLUMNS:
        return []
    return [f"the first {MOST_COLUMNS} of {n_columns:,} columns are drawn, in the order of --value"]


def shortened(name: str, most: int) -> str:
    """Return a name with its middle left out if it has more characters than there is room for.

    Examples
    --------
    >>> shortened("plant 3, line 7, pump 12, temperature", 20)
    'plant 3,...mperature'
    """
    if len(name) <= most:
        return name
    return f"{name[: (most - 3) // 2]}...{name[len(name) - (most - 2) // 2 :]}"


_NUMBERS = np.array([int(colour[1:] + "ff", 16) for colour in COLOURS], dtype=np.uint32)


def colours(labels: Ints) -> NDArray[np.uint32]:
    """The colours of regimes, as numbers."""
    its: NDArray[np.uint32] = _NUMBERS[labels % len(_NUMBERS)]
    return its


def line(trace: Trace, j: int, scale: float, marked: bool) -> Data:
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
        "color": colours(labels),
        "label": labels.astype(np.int32),
    }
    if marked:
        data["marker"] = [MARKERS[label % len(MARKERS)] for label in labels.tolist()]
    return data


def _bands(bands: Bands, scale: float) -> Data:
    return {
        "x0": scale * bands.starts,
        "x1": scale * bands.ends,
        "color": colours(bands.labels),
    }


def _names(bands: Bands, scale: float, names: Mapping[int, str]) -> Data:
    """Names, or labels, of the bands that have room for them."""
    if not len(bands.labels):
        return {"x": [], "text": []}
    wide = bands.ends - bands.starts >= WIDE * (bands.ends[-1] - bands.starts[0])
    middle = scale * (bands.starts + bands.ends) / 2.0
    text = [printable(names.get(label, str(label))) for label in bands.labels[wide].tolist()]
    return {"x": middle[wide], "text": text}
