"""Pictures of a labelled series and of a check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    LogLocator,
    NullFormatter,
    StrMethodFormatter,
    SymmetricalLogLocator,
)

from online_gmm.data.html import COLOURS as OKABE_ITO
from online_gmm.plot import CHANGE
from online_gmm.segmentation.segments import Segment
from replay.checks.check import Comparison, IncrementalComparison, Tolerances
from replay.engine.batch import LabelledBatch, answers_at
from replay.engine.printable import printable
from replay.engine.protocols import MemorySink
from replay.engine.rows import InputError
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
MOST_FEATURES = 6
"""Features that are drawn; further ones would be too small to see."""
MOST_SEGMENTS = 100
"""Segments that can be told apart in a plot; of a series with more none is drawn."""
MOST_NAMED = 24
"""Regimes that a legend has room for."""
NO_GAP = 1e-12
"""Below this a gap is rounding, and a curve ends."""


class Sample:
    """Rows at even distances, between MOST_POINTS / 2 and MOST_POINTS of them."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.labels: list[int] = []
        self.values: list[tuple[float, ...]] = []
        self.times = ("", "")
        self._n = 0
        self._every = 1

    def add(self, labelled: LabelledBatch) -> None:
        """Add rows, of which only those at these distances are looked at, and the last one."""
        if not (n := len(labelled)):
            return
        texts, before, at = labelled.batch.texts, self._n, 0
        if before == 0:
            self.times = (texts.time_at(0), "")
        at = -before % self._every
        while at < n:
            if len(self.rows) == MOST_POINTS:
                for kept in (self.rows, self.labels, self.values):
                    del kept[1::2]
                self._every *= 2
            if (before + at) % self._every == 0:
                self.rows.append(before + at + 1)
                self.labels.append(int(labelled.answers.labels[at]))
                self.values.append(tuple(labelled.batch.values[at].tolist()))
            at += self._every - (before + at) % self._every
        self.times = (self.times[0], texts.time_at(n - 1))
        self._n += n


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
        return f"{changes:,} change{'' if changes == 1 else 's'} of regime{too_many}"


class Picture(MemorySink):
    """What `draw_series` draws of a series.

    Parameters
    ----------
    key
        Whose series; None if rows have no key.
    """

    def __init__(self, key: str | None = None) -> None:
        self.sample = Sample()
        self.bands = Bands()
        self._key = key

    def write(self, labelled: LabelledBatch) -> None:
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


def draw_series(
    sample: Sample,
    bands: Bands,
    features: Sequence[str],
    parameters: Parameters | None,
    title: str,
    path: Path,
) -> None:
    """The series coloured by regime, and beside it the density of each regime that is left.

    Points have the colour of their label, the ground that of the segment; lines are changes.
    """
    known = () if parameters is None else parameters.labels
    places = {label: place for place, label in enumerate(known)}
    features = features[:MOST_FEATURES]
    rows, labels, values = map(np.array, (sample.rows, sample.labels, sample.values))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(features),
            2,
            figsize=(10, 1.2 + 2.6 * len(features)),
            squeeze=False,
            sharey="row",
            sharex="col",
            width_ratios=(4, 1),
            layout="constrained",
        )
        for j, feature in enumerate(features):
            series, density = axes[j]
            series.plot(rows, values[:, j], color="0.8", linewidth=0.6, zorder=1)
            for label in sorted({*places, *sample.labels}):
                its = labels == label
                colour = OKABE_ITO[label % len(OKABE_ITO)]
                series.scatter(rows[its], values[its, j], s=6, color=colour, zorder=2)
                # the rug, in a strip left of the densities
                density.plot(
                    np.full(its.sum(), -0.06), values[its, j], "_", color=colour, alpha=0.5
                )
                if label not in places:
                    density.plot([], [], color=colour, label=f"regime {label} (gone)")
                    continue
                assert parameters is not None
                mean, sd = (its[places[label], j] for its in (parameters.means, parameters.sds))
                grid = mean + sd * np.linspace(-4.0, 4.0, 201)
                height = np.exp(-0.5 * np.linspace(-4.0, 4.0, 201) ** 2)
                density.plot(height, grid, color=colour, label=f"regime {label}")
                density.fill_betweenx(grid, height, color=colour, alpha=0.15, linewidth=0)
            _draw_bands(series, bands.segments)
            _keep_to(series, values[:, j])
            series.set_ylabel(_text(str(feature)))
        first, last = map(_text, sample.times)
        axes[-1, 0].set_xlabel(f"row (time: {first} to {last})" if first else "row")
        axes[-1, 0].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes[-1, 1].set_xlabel("density / its peak")
        axes[-1, 1].set_xlim(-0.12, 1.08)
        axes[-1, 1].set_xticks([0.0, 0.5, 1.0])
        figure.suptitle(f"{_text(title)}: {bands.title}")
        handles, names = axes[0, 1].get_legend_handles_labels()
        # of very many regimes the last
        handles, names = handles[-MOST_NAMED:], names[-MOST_NAMED:]
        if len(bands.segments) > 1:
            handles.append(Line2D([], [], **CHANGE))
            names.append("change of regime")
        figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False)
        _save(figure, path)


def _text(text: str) -> str:
    """A text of the input: what is between two dollars is not a formula."""
    return printable(text).replace("$", r"\$")


def _draw_bands(axes: Axes, segments: Sequence[Segment]) -> None:
    """The ground of each segment, and a line where one ends and the next begins."""
    for i, segment in enumerate(segments):
        first, last = segment.start[0] - 0.5, segment.end[0] + 0.5
        colour = OKABE_ITO[segment.label % len(OKABE_ITO)]
        axes.axvspan(first, last, color=colour, alpha=0.15, linewidth=0, zorder=0)
        if i:
            axes.axvline(first, zorder=0.5, **CHANGE)


def _keep_to(axes: Axes, values: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """The range of the values: a wide component would dwarf it otherwise."""
    observed = values[~np.isnan(values)]
    if observed.size:
        low, high = float(observed.min()), float(observed.max())
        margin = 0.08 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)


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
            panel.plot(rows, values, "o-", color=OKABE_ITO[0])
            panel.set_ylabel(name)
            if tolerance is not None:
                panel.axhline(tolerance, color=OKABE_ITO[5], linestyle="--")
        figure.align_ylabels()
        axes[0].plot([], [], "--", color=OKABE_ITO[5], label="tolerance")
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
            ("incremental EM", OKABE_ITO[0], comparison.gap, comparison.n_passes),
            ("batch EM", OKABE_ITO[1], comparison.batch_gap, comparison.batch.n_iter),
        ):
            gaps = [gap(done) for done in range(last + 1)]
            there = next((p for p, g in enumerate(gaps) if abs(g) < NO_GAP), last)
            axes.plot(range(there + 1), gaps[: there + 1], ".-", color=colour, label=name)
        axes.axhline(max_gap, color=OKABE_ITO[5], linestyle="--", label="tolerance")
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
