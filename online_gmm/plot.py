"""Pictures: a series in bands, densities, and regimes side by side. Each returns matplotlib axes.

Needs matplotlib: ``pip install 'online-gmm[plot]'``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.plot needs matplotlib: pip install 'online-gmm[plot]'", name=error.name
    ) from None

from online_gmm.data.counted import counted
from online_gmm.data.frames import Table
from online_gmm.data.html import colour_of
from online_gmm.em.mixture import labels_of, rows_of

CHANGE: Any = {"color": "0.3", "linestyle": "--", "linewidth": 0.7}
"""How a change of regime is drawn."""
MOST_RUG = 500
"""Points of a rug; they are thinned evenly."""


def series(
    X: Any,
    segments: Any,
    *,
    t: Any = None,
    time: Hashable | None = None,
    axes: Any = None,
) -> NDArray[Any]:
    """Draw each channel of a series, with its segments as bands in the colours of their regimes.

    Parameters
    ----------
    X
        Rows: a data frame, or an array of shape (n, D). Missing values leave gaps.
    segments
        An iterable of `Segment` (what `Segmenter.stream` yields will do: other events are passed
        over), or the frame ``segments_`` of `Segmenter.label_many`.
    t
        Times of the rows, as they were given to the segmenter. By default their numbers from 0.
    time
        The name of the column of X that holds the times, or of its index; it is not drawn.
    axes
        An array of D axes to draw in; a new figure by default.

    Returns
    -------
    numpy.ndarray
        The D axes, one below the other.

    Raises
    ------
    ValueError
        If the segments do not lie among the rows: segments with times need rows with times.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import Segmenter, plot
    >>> rng = np.random.default_rng(2)
    >>> X = rng.normal(np.repeat([0.0, 5.0, 0.0], 300), 1.0)[:, None]
    >>> segmenter = Segmenter()
    >>> labels = segmenter.label_many(X)
    >>> (panel,) = plot.series(X, segmenter.segments_)
    >>> panel.get_legend_handles_labels()[1]
    ['regime 0', 'regime 1']
    """
    table = Table(X, time=time, t=t)
    at: Any = np.arange(len(table))
    if t is not None:
        at = np.asarray(t)
    elif time is not None:
        at = np.asarray(X.index if table.is_timed_by_index else X[time])
    spans = _spans(segments)
    if spans and len(at):
        _must_lie_among(spans[0][0], at)
    if axes is None:
        rows = len(table.names)
        size = (9.0, 1.0 + 1.8 * rows)
        _, axes = plt.subplots(
            rows, 1, sharex=True, squeeze=False, figsize=size, layout="constrained"
        )
    panels = np.asarray(axes).reshape(-1)
    if len(panels) != len(table.names):
        raise ValueError(
            f"there are {len(panels)} axes for {counted(len(table.names), 'channels')}"
        )
    for panel, name, values in zip(panels, table.names, table.values.T, strict=True):
        _draw_bands(panel, spans)
        panel.plot(at, values, color="0.2", linewidth=0.8)
        panel.set_ylabel(str(name))
        panel.margins(x=0)
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), borderpad=0.0, ncols=8, frameon=False
    )
    return panels


def bands(axes: Axes, segments: Any) -> None:
    """Draw segments as bands behind what is in these axes, and lines between them.

    Parameters
    ----------
    axes
        Where to draw.
    segments
        As in `series`.
    """
    _draw_bands(axes, _spans(segments))


def _must_lie_among(start: Any, at: NDArray[Any]) -> None:
    """Refuse segments whose first start is no place among those of the rows."""
    numbered = isinstance(start, Real)
    if numbered != isinstance(at[0], Real) or (numbered and start > at[-1]):
        raise ValueError(
            f"the segments begin at {start}, and the rows go from {at[0]} to {at[-1]}; give the "
            "rows the times that the segmenter got, by t=... or time=..., or none if it got none"
        )


def _draw_bands(axes: Axes, spans: Iterable[tuple[Any, Any, int]]) -> None:
    known: set[int] = set()
    before = None
    for start, end, label in spans:
        axes.axvspan(
            start,
            end,
            color=colour_of(label),
            alpha=0.25,
            linewidth=0,
            zorder=0,
            label=None if label in known else f"regime {label}",
        )
        known.add(label)
        if before not in (None, label):
            axes.axvline(start, zorder=0.5, **CHANGE)
        before = label


def _spans(segments: Any) -> list[tuple[Any, Any, int]]:
    """Return start, end and label of segments."""
    if hasattr(segments, "columns"):
        columns = (segments[name].tolist() for name in ("start", "end", "label"))
        return list(zip(*columns, strict=True))
    wanted = (its for its in segments if hasattr(its, "start"))
    return [(its.start, its.end, its.label) for its in wanted]


def densities(
    learner: Any, X: Any = None, *, channel: Hashable | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the density of a channel under each component, times its weight, and their sum.

    Parameters
    ----------
    learner
        A learner that has started, a `Segmenter`, or a `MixtureParameters`.
    X
        Rows to draw as a rug, in the colours of their components. By default none.
    channel
        The name of the channel; the first one by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no such channel, or the learner has not started.

    Examples
    --------
    >>> from online_gmm import MixtureParameters, plot
    >>> mixture = MixtureParameters([0.3, 0.7], [[0.0], [4.0]], [[[1.0]], [[2.0]]], ("flow",))
    >>> plot.densities(mixture).get_xlabel()
    'flow'
    """
    mixture = getattr(learner, "mixture", learner)
    labels = getattr(learner, "labels", range(mixture.n_components))
    channel = mixture.features[0] if channel is None else channel
    if channel not in mixture.features:
        known = ", ".join(map(repr, mixture.features))
        raise ValueError(f"there is no channel {channel!r}; the channels are {known}")
    j = mixture.features.index(channel)
    means, sds = mixture.means[:, j], np.sqrt(mixture.covariances[:, j, j])
    values = grid = np.linspace((means - 4 * sds).min(), (means + 4 * sds).max(), 801)
    if X is not None:
        seen = rows_of(mixture, X)
        owners = labels_of(mixture, seen)
        values = seen[:, j][~np.isnan(seen[:, j])]
        low, high = values.min(), values.max()
        margin = 0.1 * (high - low) or 1.0
        grid = np.linspace(low - margin, high + margin, 801)
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.0), layout="constrained")
    total = np.zeros_like(grid)
    for label, weight, mean, sd in zip(labels, mixture.weights, means, sds, strict=True):
        density = weight * np.exp(-0.5 * ((grid - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        total += density
        ax.plot(grid, density, color=colour_of(label), label=f"regime {label}")
        ax.fill_between(grid, density, color=colour_of(label), alpha=0.2, linewidth=0)
    ax.plot(grid, total, color="0.3", linewidth=0.8, linestyle=":", label="sum")
    if X is not None:
        for place, label in enumerate(labels):
            its = seen[owners == place, j]
            its = its[:: max(1, len(its) // MOST_RUG)]
            ax.plot(
                its, np.full(len(its), -0.03), "|", color=colour_of(label), alpha=0.5,
                transform=ax.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
        ax.tick_params(axis="x", pad=8)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(str(channel))
    ax.set_ylabel("weight x density")
    ax.legend(frameon=False)
    return ax


def regimes(segmenter: Any, *, axes: Any = None) -> NDArray[Any]:
    """Draw the card of each regime: its share of rows, and mean and sd of each channel.

    Parameters
    ----------
    segmenter
        A `Segmenter` without a model, or an iterable of `RegimeCard`.
    axes
        An array of 1 + D axes to draw in; a new figure by default.

    Returns
    -------
    numpy.ndarray
        1 + D axes, side by side: shares, then a panel for each channel.

    Examples
    --------
    >>> from online_gmm import RegimeCard, plot
    >>> idle = RegimeCard(0, 0.6, 2, 30.0, 60, {"rpm": 0.0}, {"rpm": 1.0})
    >>> busy = RegimeCard(1, 0.4, 1, 40.0, 40, {"rpm": 900.0}, {"rpm": 25.0})
    >>> [panel.get_title() for panel in plot.regimes([idle, busy])]
    ['share of rows', 'rpm']
    """
    found = getattr(segmenter, "regimes", None)
    if found is None and not isinstance(segmenter, Iterable):
        raise TypeError(
            f"a Segmenter without a model, or cards of regimes, are expected; {segmenter} has none"
        )
    cards = list(segmenter if found is None else found.values())
    names = getattr(segmenter, "names", {})
    if not cards:
        raise ValueError("no regime is known yet")
    channels = list(dict.fromkeys(channel for card in cards for channel in card.mean))
    if axes is None:
        size = (2.2 * (1 + len(channels)) + 1.0, 0.8 + 0.45 * len(cards))
        _, axes = plt.subplots(
            1, 1 + len(channels), sharey=True, squeeze=False, figsize=size, layout="constrained"
        )
    panels = np.asarray(axes).reshape(-1)
    if len(panels) != 1 + len(channels):
        raise ValueError(f"there are {len(panels)} axes; {1 + len(channels)} are needed")
    for y, card in enumerate(cards):
        colour = colour_of(card.label)
        panels[0].barh(y, card.share, color=colour)
        said = f" {card.share:.0%}, {counted(card.visits, 'visits')}"
        panels[0].text(card.share, y, said, va="center", fontsize="small")
        for panel, channel in zip(panels[1:], channels, strict=True):
            panel.errorbar(
                card.mean[channel], y, xerr=card.sd[channel], fmt="o", capsize=3, color=colour
            )
    panels[0].set_yticks(
        range(len(cards)), [names.get(card.label, f"regime {card.label}") for card in cards]
    )
    panels[0].set_ylim(len(cards) - 0.5, -0.5)
    panels[0].set_xlim(0.0, 1.8)
    panels[0].set_xticks([0.0, 0.5, 1.0])
    for panel, title in zip(panels, ["share of rows", *map(str, channels)], strict=True):
        panel.set_title(title, fontsize="medium")
    return panels
