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


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bars(plot: Bars, axes: Axes) -> None:
    names = list(plot.values)[::-1]
    lengths = [plot.values[name] for name in names]
    drawn = axes.barh(names, lengths, log=True)
    axes.bar_label(drawn, [_short(length) for length in lengths], padding=3)
    axes.set_xlim(min(lengths) / 2, 4 * max(lengths))
    axes.set_xlabel(plot.unit)


def _lines(plot: Lines, axes: Axes) -> None:
    for name, (places, heights) in plot.curves.items():
        axes.loglog(places, heights, "o-", markersize=4, label=name)
    ticks = sorted({place for places, _ in plot.curves.values() for place in places})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
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
