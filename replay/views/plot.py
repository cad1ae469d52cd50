"""Pictures of a labelled series and of a check."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import dates
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    StrMethodFormatter,
    SymmetricalLogLocator,
)
from numpy.typing import NDArray

from online_gmm.data.counted import counted
from online_gmm.data.html import COLOURS
from online_gmm.plot import CHANGE
from online_gmm.segmentation.segments import Segment
from replay.checks.check import Comparison, IncrementalComparison, Tolerances
from replay.engine.batch import LabelledBatch, answers_at
from replay.engine.costs import is_date
from replay.engine.printable import printable
from replay.engine.protocols import MemorySink
from replay.engine.rows import InputError
from replay.sources.times_shown import TimesShown
from replay.views.decimation import Bands as Stretches
from replay.views.decimation import Trace
from replay.views.figure import GAP, MOST_COLUMNS, SHADE, Data, Figures, some_drawn
from replay.views.local_time import offsets_in
from replay.views.parameters import Parameters

STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
}
MOST_POINTS = 4000
"""Points that a plot keeps of a series of any length; they are thinned evenly."""
MOST_SEGMENTS = 100
"""Segments that can be told apart in a plot; of a series with more none is drawn."""
MOST_NAMED = 24
"""Regimes that a legend has room for."""
MOST_GAPS = 200
"""Gaps whose ends are kept, the longest ones."""
DAY = 86_400.0
"""Seconds, as matplotlib counts days."""
NO_GAP = 1e-12
"""Below this a gap is rounding, and a curve ends."""


class Sample:
    """Rows at even distances, between MOST_POINTS / 2 and MOST_POINTS of them."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.labels: list[int] = []
        self.values: list[tuple[float, ...]] = []
        self.seconds: list[float] = []
        self.steps: list[list[float]] = []  # the longest: row before, times before and after
        self.times = ("", "")
        self._last = math.nan
        self._n = 0
        self._every = 1

    def add(self, labelled: LabelledBatch) -> None:
        """Add rows, of which only those at these distances are looked at, and the last one."""
        if not (n := len(labelled)):
            return
        texts, seconds, before, at = labelled.batch.texts, labelled.batch.seconds, self._n, 0
        if before == 0:
            self.times = (texts.time_at(0), "")
        if seconds is not None:
            self._add_steps(seconds)
        at = -before % self._every
        while at < n:
            if len(self.rows) == MOST_POINTS:
                for kept in (self.rows, self.labels, self.values, self.seconds):
                    del kept[1::2]
                self._every *= 2
            if (before + at) % self._every == 0:
                self.rows.append(before + at + 1)
                self.labels.append(int(labelled.answers.labels[at]))
                self.values.append(tuple(labelled.batch.values[at].tolist()))
                if seconds is not None:
                    self.seconds.append(float(seconds[at]))
            at += self._every - (before + at) % self._every
        self.times = (self.times[0], texts.time_at(n - 1))
        self._n += n

    def _add_steps(self, seconds: NDArray[np.float64]) -> None:
        """Keep the longest times between two rows, the earlier one of equal ones."""
        its = np.append(self._last, seconds)
        rows = self._n + np.arange(len(seconds))
        new = np.column_stack([rows, its[:-1], its[1:]])[rows > 0]
        steps = np.concatenate([np.reshape(self.steps, (-1, 3)), new])
        longest = np.argsort(steps[:, 1] - steps[:, 2], kind="stable")[:MOST_GAPS]
        self.steps = steps[np.sort(longest)].tolist()
        self._last = float(seconds[-1])

    @property
    def gaps(self) -> dict[int, tuple[float, float]]:
        """Times on both sides of gaps, by the row before."""
        between = np.diff(self.seconds)
        between = between[between > 0.0] / self._every
        usual = np.median(between) if len(between) else math.inf
        return {
            int(row): (before, after)
            for row, before, after in self.steps
            if after - before > GAP * usual
        }

    @property
    def is_timed(self) -> bool:
        """Whether rows have times in seconds."""
        return len(self.seconds) > 0

    @property
    def is_dated(self) -> bool:
        """Whether these are dates."""
        return self.is_timed and is_date(self.times[0], self.seconds[0])

    def x(self, rows: Sequence[float]) -> NDArray[np.float64]:
        """Where rows are on the axis, by their numbers: at their times, if they have any.

        Those between two rows that are kept are put between them.
        """
        if not self.is_timed:
            return np.array(rows, dtype=np.float64)
        known = dict(zip(self.rows, self.seconds, strict=True)) | {self._n: self._last}
        for row, (before, after) in self.gaps.items():
            known |= {row: before, row + 1: after}
        given = sorted(known)
        scale = DAY if self.is_dated else 1.0
        return np.interp(rows, given, np.array([known[row] for row in given]) / scale)

    def ends(self, segments: Sequence[Segment]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where segments begin and end: each where the next one begins, unless there is a gap."""
        if not self.is_timed:
            starts = np.array([segment.start[0] - 0.5 for segment in segments])
            return starts, np.array([segment.end[0] + 0.5 for segment in segments])
        rows = [segment.end[0] for segment in segments]
        gaps = self.gaps
        ends = [row if row in gaps else row + 1 for row in rows]
        return self.x([segment.start[0] for segment in segments]), self.x(ends)


class Bands:
    """Segments, as far as there is room to draw them."""

    def __init__(self) -> None:
        self.n_segments = 0
        self._segments: list[Segment] = []

    def add(self, segment: Segment) -> None:
        self.n_segments += 1
        if self.n_segments <= MOST_SEGMENTS:
            self._segments.append(segment)

    @property
    def segments(self) -> Sequence[Segment]:
        """All of them, or none if they are too many."""
        return self._segments if self.n_segments <= MOST_SEGMENTS else ()

    @property
    def title(self) -> str:
        changes = self.n_segments - 1
        too_many = "" if self.segments else ", too many to draw"
        return f"{counted(changes, 'changes of regime')}{too_many}"


class Picture(MemorySink):
    """What `draw_series` draws of a series.

    Parameters
    ----------
    key
        Whose series; None if rows have no key.
    times
        Reads the times of rows that have none in seconds; None if nobody does.
    zone
        Whose time the axis shows, if times are dates.
    """

    def __init__(
        self,
        key: str | None = None,
        times: TimesShown | None = None,
        zone: datetime.tzinfo = datetime.UTC,
    ) -> None:
        self.zone = zone
        self.sample = Sample()
        self.bands = Bands()
        self._key = key
        self._times = times
        self._n_columns = 0

    @property
    def said(self) -> list[str]:
        """How times are shown, and what is not drawn, a line each."""
        times = [] if self._times is None else self._times.said
        return [*times, *some_drawn(self._n_columns)]

    def write(self, labelled: LabelledBatch) -> None:
        self._n_columns = len(labelled.batch.names)
        if self._times is not None:
            labelled = self._times.shown(labelled)
        keys = labelled.batch.keys
        if self._key is None or keys is None:
            self.sample.add(labelled)
        else:
            places = [i for i, key in enumerate(keys) if key == self._key]
            rows = np.array(places, dtype=np.intp)
            answers = answers_at(labelled.answers, rows)
            its = LabelledBatch(labelled.batch.take(rows), answers, labelled.changes[rows])
            self.sample.add(its)
        for ended in labelled.ended():
            if self._key in (None, ended.key):
                self.bands.add(ended.segment)

    def figures(self, n_columns: int, parameters: Parameters | None) -> Figures:
        """The data of the figures, with what is known of the regimes."""
        x, labels = self.sample.x(self.sample.rows), np.array(self.sample.labels)
        values = np.array(self.sample.values)
        columns = [(~np.isnan(column), column) for column in values.T[:n_columns]]
        trace = Trace(
            tuple(x[known] for known, _ in columns),
            tuple(column[known] for known, column in columns),
            tuple(labels[known] for known, _ in columns),
            Stretches(
                np.array([segment.label for segment in self.bands.segments], dtype=np.int64),
                *self.sample.ends(self.bands.segments),
            ),
            1,
        )
        figures = Figures()
        figures.add_series("whole", trace, {} if parameters is None else parameters.names)
        for j, (_, column) in enumerate(columns):
            figures.add_density(j, column, labels, parameters, MOST_POINTS)
        return figures


def draw_series(
    picture: Picture,
    columns: Sequence[str],
    parameters: Parameters | None,
    title: str,
    path: Path,
) -> None:
    """The series coloured by regime, and beside it the density of each regime that is left.

    Points have the colour of their label, the ground that of the segment; lines are changes.
    """
    columns = columns[:MOST_COLUMNS]
    figures = picture.figures(len(columns), parameters)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(columns),
            2,
            figsize=(10, 1.2 + 2.6 * len(columns)),
            squeeze=False,
            sharey="row",
            width_ratios=(4, 1),
            layout="constrained",
        )
        for j, column in enumerate(columns):
            series, density = axes[j]
            series.sharex(axes[0, 0])
            _draw_line(series, figures, j)
            _draw_density(density, figures, j)
            low, high = figures.ranges[f"density {j}"]
            # names of regimes are above the values
            series.set_ylim(low, high + 0.1 * (high - low))
            series.set_ylabel(_text(str(column)))
            if j < len(columns) - 1:
                series.tick_params(labelbottom=False)
        _label_x(axes[-1, 0], picture.sample, picture.zone)
        axes[-1, 1].set_xlabel("density")
        figure.suptitle(f"{_text(title)}: {picture.bands.title}")
        handles, names = _legend(picture, parameters)
        figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False)
        _save(figure, path)


def _label_x(axes: Axes, sample: Sample, zone: datetime.tzinfo) -> None:
    """Dates, times or numbers of rows."""
    if sample.is_dated:
        offsets = offsets_in(zone, sample.seconds[0], sample.seconds[-1])
        # where hours come twice or not at all
        steps = f" ({', then '.join(offsets)})" if len(offsets) > 1 else ""
        axes.set_xlabel(f"time, {zone}{steps}")
        axes.xaxis_date(zone)
        concise: Any = dates.ConciseDateFormatter
        axes.xaxis.set_major_formatter(concise(axes.xaxis.get_major_locator(), tz=zone))
        return
    first, last = map(_text, sample.times)
    row = f"row (time: {first} to {last})" if first else "row"
    axes.set_xlabel("time" if sample.is_timed else row)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_line(axes: Axes, figures: Figures, j: int) -> None:
    """The bands of regimes and their names, the line and its points."""
    bands, names, line = (
        figures.data[name] for name in ("whole bands", "whole names", f"whole {j}")
    )
    shown = zip(bands["x0"], bands["x1"], _colours(bands), strict=True)
    for i, (start, end, colour) in enumerate(shown):
        axes.axvspan(start, end, color=colour, alpha=SHADE, linewidth=0, zorder=0)
        if i:
            axes.axvline(start, zorder=0.5, **CHANGE)
    for x, text in zip(names["x"], names["text"], strict=True):
        place = axes.get_xaxis_transform()
        axes.text(x, 0.94, _text(text), ha="center", va="center", transform=place, clip_on=True)
    ends = np.array([line[name] for name in ("x0", "y0", "x1", "y1")]).T.reshape(-1, 2, 2)
    axes.add_collection(LineCollection(list(ends), colors="0.8", linewidths=0.6, zorder=1))
    axes.scatter(line["x1"], line["y1"], s=6, color=_colours(line), zorder=2)


def _draw_density(axes: Axes, figures: Figures, j: int) -> None:
    """The density of each regime, their sum and the rug; values run up, as those of the line."""
    densities, total, rug = (figures.data[f"{name} {j}"] for name in ("density", "mixture", "rug"))
    curves = zip(densities["xs"], densities["ys"], _colours(densities), strict=True)
    for values, heights, colour in curves:
        axes.plot(heights, values, color=colour)
        axes.fill_betweenx(values, heights, color=colour, alpha=SHADE, linewidth=0)
    axes.plot(total["y"], total["x"], color="0.3", linewidth=0.8, linestyle="--")
    axes.hlines(rug["x"], rug["y0"], rug["y1"], color=_colours(rug), alpha=0.5, linewidth=0.5)
    axes.set_xlim(figures.ranges[f"height {j}"])
    axes.xaxis.set_major_locator(MaxNLocator(2))


def _legend(picture: Picture, parameters: Parameters | None) -> tuple[list[Line2D], list[str]]:
    """The lines and texts of the legend: of very many regimes the last ones."""
    known = () if parameters is None else parameters.labels
    called = {} if parameters is None else parameters.names
    labels = sorted({*known, *picture.sample.labels})[-MOST_NAMED:]
    handles = [Line2D([], [], color=COLOURS[label % len(COLOURS)]) for label in labels]
    names = [
        _text(called.get(label, f"regime {label}")) + ("" if label in known else " (gone)")
        for label in labels
    ]
    if len(picture.bands.segments) > 1:
        handles.append(Line2D([], [], **CHANGE))
        names.append("change of regime")
    return handles, names


def _colours(data: Data) -> NDArray[np.float64]:
    """Colours as matplotlib has them."""
    its = np.asarray(data["color"], dtype=">u4").view(np.uint8).reshape(-1, 4)
    return its / 255.0


def _text(text: str) -> str:
    """A text of the input: what is between two dollars is not a formula."""
    return printable(text).replace("$", r"\$")


def draw_check(
    comparisons: Sequence[Comparison], tolerances: Tolerances, title: str, path: Path
) -> None:
    """Gap, parameter error and agreement against the number of rows replayed."""
    rows = [comparison.rows for comparison in comparisons]
    panels = (
        ("likelihood gap\n(nats a row)", [c.gap for c in comparisons], tolerances.gap),
        # at the very bottom where there is none: a log scale has no 0
        (
            "parameter error\n(relative)",
            [max(c.error, 1e-16) for c in comparisons],
            tolerances.error,
        ),
        ("label agreement\n(adj. Rand)", [c.agreement for c in comparisons], tolerances.agreement),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
        for panel, (name, values, tolerance) in zip(axes, panels, strict=True):
            panel.plot(rows, values, "o-", color=COLOURS[0])
            panel.set_ylabel(name)
            if tolerance is not None:
                panel.axhline(tolerance, color=COLOURS[5], linestyle="--")
        figure.align_ylabels()
        axes[0].plot([], [], "--", color=COLOURS[5], label="tolerance")
        figure.legend(loc="outside lower center", frameon=False)
        # the gap may be 0 or below, where the learner found the better optimum
        axes[0].set_yscale("symlog", linthresh=1e-7)
        axes[1].set_yscale("log")
        least = min(tolerances.agreement, *(c.agreement for c in comparisons))
        axes[2].set_ylim(1.0 - 1.1 * (1.0 - least), 1.0 + 0.1 * (1.0 - least) + 1e-3)
        axes[2].set_xscale("log")
        axes[2].xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes[2].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes[2].xaxis.set_minor_formatter(NullFormatter())
        axes[2].set_xlabel("rows replayed")
        figure.suptitle(_text(title))
        _save(figure, path)


def draw_increments(
    comparison: IncrementalComparison, max_gap: float, title: str, path: Path
) -> None:
    """The gap to batch EM's fixed point against the pass, of incremental and of batch EM."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for name, colour, gap, last in (
            ("incremental EM", COLOURS[0], comparison.gap, comparison.n_passes),
            ("batch EM", COLOURS[1], comparison.batch_gap, comparison.batch.n_iter),
        ):
            gaps = [gap(done) for done in range(last + 1)]
            there = next((p for p, g in enumerate(gaps) if abs(g) < NO_GAP), last)
            axes.plot(range(there + 1), gaps[: there + 1], ".-", color=colour, label=name)
        axes.axhline(max_gap, color=COLOURS[5], linestyle="--", label="tolerance")
        # below 0 where incremental EM found a better optimum
        axes.set_yscale("symlog", linthresh=NO_GAP)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=NO_GAP))
        if comparison.gap(comparison.n_passes) > -NO_GAP:
            axes.set_ylim(bottom=-NO_GAP / 2)
        axes.set_xlabel("pass over the rows")
        axes.set_ylabel("gap to batch EM's fixed point\n(nats a row)")
        axes.legend(frameon=False)
        figure.suptitle(_text(title))
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150, format="png")
    except OSError as error:
        raise InputError(f"--plot {path} cannot be written: {error.strerror}") from None
    finally:
        plt.close(figure)
