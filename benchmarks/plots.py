"""The plots of a section, as pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.report import Bars, Lines

WIDTH = 8.0
"""Inches."""


def _bars(plot: Bars, axes: Axes) -> None:
    names = list(plot.values)[::-1]
    lengths = [plot.values[name] for name in names]
    drawn = axes.barh(names, lengths, log=True)
    axes.bar_label(drawn, [f"{length:.3g}" for length in lengths], padding=3)
    axes.set_xlim(min(0.5, *lengths) / 1.5, 4 * max(lengths))
    axes.set_xlabel(plot.unit)


def _lines(plot: Lines, axes: Axes) -> None:
    for name, (places, heights) in plot.curves.items():
        axes.loglog(places, heights, "o-", markersize=4, label=name)
    axes.set_xlabel(plot.across)
    axes.set_ylabel(plot.unit)
    axes.grid(which="both", alpha=0.3)
    axes.legend()


def draw(plot: Bars | Lines, path: Path) -> None:
    """Draw it to this PNG file."""
    height = 1.2 + 0.32 * len(plot.values) if isinstance(plot, Bars) else 5.0
    figure, axes = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    if isinstance(plot, Bars):
        _bars(plot, axes)
    else:
        _lines(plot, axes)
    axes.set_title(plot.title)
    figure.savefig(path, dpi=120)
    plt.close(figure)
