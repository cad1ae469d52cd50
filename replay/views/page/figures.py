"""The figures and tables of the page, the same for the file and for the live one."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJS,
    DataRange1d,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    PlainText,
    Range1d,
)
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Div, Select
from bokeh.plotting import figure
from jinja2 import Environment
from numpy.typing import NDArray

from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.segments import Segment
from replay.checks.check import Comparison
from replay.engine.costs import Cost
from replay.engine.printable import printable
from replay.views.costs import NOT_KNOWN, cells, heads
from replay.views.decimation import Bands, Ints, Scores, Trace
from replay.views.history import Snapshot
from replay.views.log import MOST_SAMPLED, Head
from replay.views.page.style import CHOICE, MARKERS, PAGE, PAINT, REGIMES, SWITCH, TABLES
from replay.views.parameters import Parameters
from replay.views.tables import duration, mean_and_sd

MOST_COLUMNS = 6
"""Columns of values that are drawn, the first ones."""
GRID = 161
"""Points of a density curve."""
WIDE = 0.04
"""Share of the width from which on a band has room for its label."""
HOVER = [("x", "@x1{0,0.[000]}"), ("value", "@y1"), ("regime", "@label")]
LEAST_GAP = 1e-9
"""No gap to batch EM is drawn as less: a log scale has no 0."""

LISTED = ("parameters", "changes", "segments")
"""Tables of the key that is shown."""
COSTLY = ("costs",)
"""One more, if it is asked for."""
GAP = 10.0
"""Times the usual distance of two points beyond which no line joins them."""

DENSITIES = "Of each regime by its weight, dashed their sum; below, values that have come."
COSTS = "A value lasts until the next row. Starts are how often a regime began."
CONVERGENCE = (
    "How likely each row was, given those before it: the line is the mean of all rows so far, "
    "each dot that of a stretch."
)

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
        "head": _head(head, rows, names, note),
        "parameters": _parameters(head, columns, parameters, names),
        "costs": _costs(parameters, names),
        "changes": _changes(parameters, names),
        "segments": _segments(columns, segments, n_segments, names),
    }


class Page:
    """The models of a page; `show` puts a key's content into them.

    Parameters
    ----------
    columns
        Names of the columns of values.
    recent
        Whether the last rows have figures of their own.
    convergence
        How far the learner was from batch EM; drawn if there is any.
    with_costs
        Whether it shows what regimes cost.
    """

    def __init__(
        self,
        columns: Sequence[str],
        recent: bool,
        convergence: Sequence[Comparison] = (),
        with_costs: bool = False,
    ) -> None:
        self.sources: dict[str, ColumnDataSource] = {}
        self.ranges: dict[str, Range1d] = {}
        self.figures: list[figure] = []
        self.texts = {
            name: Div(
                name=name,
                text="",
                disable_math=True,
                margin=0,
                sizing_mode="stretch_width",
                stylesheets=[TABLES],
            )
            for name in ("head", "keys", *(COSTLY if with_costs else ()), *LISTED)
        }
        self.keys: list[str] = []
        self.select = Select(
            name="select",
            title="Series",
            visible=False,
            margin=(8, 0, 8, 0),
            stylesheets=[CHOICE],
        )
        self._timed: list[figure] = []
        self._dates: bool | None = None
        drawn = columns[:MOST_COLUMNS]
        densities = [self._density(j, column) for j, column in enumerate(drawn)]
        curves = [self._scores()]
        if convergence:
            curves.append(self._gap(convergence))
        last = [("The last rows", "", self._series("recent", drawn))] if recent else []
        # heading, note and the names of the roots below
        self.sections: list[tuple[str, str, list[str]]] = [
            *self._first_sections(recent),
            *last,
            ("All rows", "", self._series("whole", drawn)),
            *([("What regimes cost", COSTS, ["costs"])] if with_costs else []),
            ("Densities", DENSITIES, densities),
            ("Convergence", CONVERGENCE, curves),
            ("Parameters", "", ["parameters"]),
            ("Changes", "", ["changes"]),
            ("Segments", "", ["segments"]),
        ]

    @staticmethod
    def _first_sections(is_live: bool) -> list[tuple[str, str, list[str]]]:
        """The keys and the one that is shown; of a fleet that lives, the keys come first."""
        if is_live:
            return [("", "", ["controls", "keys"]), ("", "", ["select", "head"])]
        return [("", "", ["head", "select", "keys"])]

    def clear(self) -> None:
        """Draw nothing, as there is nothing to draw."""
        self._be_visible(False)
        for source in self.sources.values():
            source.data = {str(name): [] for name in source.data}

    def _be_visible(self, visible: bool) -> None:
        for plot in self.figures:
            if plot.visible != visible:
                plot.visible = visible

    def show(self, content: Content, streamed: Mapping[str, int] | None = None) -> None:
        """Show a key.

        Parameters
        ----------
        content
            What to show; of what is not in it, nothing changes.
        streamed
            Sources of which only so many last points are new, and as many first ones go.
        """
        self._be_visible(True)
        for name, data in content.data.items():
            source, n = self.sources[name], (streamed or {}).get(name)
            if n is None:
                source.data = data
            elif n:
                rollover = len(data["x1"])
                source.stream({key: cells[-n:] for key, cells in data.items()}, rollover)
        for name, (start, end) in content.ranges.items():
            self.ranges[name].update(start=start, end=end)
        self.write(content.texts)
        if content.dates is not None and content.dates != self._dates:
            self._dates = content.dates
            for plot in self._timed:
                _label_times(plot, content.dates)

    def write(self, texts: Mapping[str, str]) -> None:
        """Set tables that the page has, where they have changed."""
        for name, text in texts.items():
            if name in self.texts and self.texts[name].text != text:
                self.texts[name].text = text

    def choose_from(self, stored: Mapping[str, Content]) -> None:
        """Let the reader choose a key, without a server."""
        sources = {
            key: {name: ColumnDataSource(data) for name, data in content.data.items()}
            for key, content in stored.items()
        }
        args = {
            "shown": self.sources,
            "stored": sources,
            "divs": {name: div for name, div in self.texts.items() if name != "keys"},
            "texts": {key: content.texts for key, content in stored.items()},
            "axes": self.ranges,
            "ranges": {
                key: {name: list(ends) for name, ends in content.ranges.items()}
                for key, content in stored.items()
            },
        }
        self.offer(list(stored))
        self.select.js_on_change("value", CustomJS(args=args, code=SWITCH))

    def offer(self, keys: list[str]) -> None:
        """Put keys up for choice."""
        self.keys = keys
        options: list[Any] = [(key, printable(key) or "(no key)") for key in keys]
        self.select.options = options
        if keys and self.select.value not in keys:
            self.select.value = keys[0]
        self.select.visible = len(keys) > 1

    def add_to(
        self, document: Document, title: str, policy: str, controls: UIElement | None = None
    ) -> None:
        """Make it the page of a document; the live one has controls of its keys."""
        roots: list[UIElement] = [*self.texts.values(), self.select, *self.figures]
        if controls is not None:
            roots.append(controls)
        for root in roots:
            document.add_root(root)
        document.title = printable(title)
        document.template = Environment(autoescape=False).from_string(PAGE)
        document.template_variables.update(sections=self.sections, policy=policy)
        paint = CustomJS(args={"figures": self.figures}, code=PAINT)
        document.js_on_event("document_ready", paint)

    # -- figures --------------------------------------------------------------------------------

    def _source(self, name: str, *columns: str) -> ColumnDataSource:
        source = ColumnDataSource({column: [] for column in columns})
        self.sources[name] = source
        return source

    def _figure(self, name: str, x: str, y: str, height: int, **options: Any) -> figure:
        plot = figure(
            name=name,
            height=height,
            sizing_mode="stretch_width",
            # a drag of a finger is to scroll the page
            tools="xpan,xwheel_zoom,box_zoom,reset",
            active_drag=None,
            active_scroll=None,
            toolbar_location="above",
            background_fill_color=None,
            border_fill_color=None,
            outline_line_color=None,
            **options,
        )
        plot.toolbar.logo = None
        # plain: what looks like a formula would be set by a library from the network
        plot.xaxis.axis_label = PlainText(text=x)
        plot.yaxis.axis_label = PlainText(text=printable(y))
        plot.axis.axis_label_text_font_style = "normal"
        plot.axis.minor_tick_line_color = None
        plot.xgrid.visible = False
        plot.min_border_left, plot.min_border_right = 64, 12
        self.figures.append(plot)
        return plot

    def _series(self, part: str, columns: Sequence[str]) -> list[str]:
        bands = self._source(f"{part} bands", "x0", "x1", "color")
        names = self._source(f"{part} names", "x", "text")
        x_range = DataRange1d(range_padding=0.0)
        lines: list[Any] = []
        for j, column in enumerate(columns):
            marked = ("marker",) if part == "recent" else ()
            cells = ("x0", "y0", "x1", "y1", "color", "label", *marked)
            source = self._source(f"{part} {j}", *cells)
            plot = self._figure(f"{part} {j}", "row", column, 230, x_range=x_range)
            plot.extra_y_ranges["unit"] = Range1d(start=0.0, end=1.0)
            plot.vstrip("x0", "x1", source=bands, color="color", fill_alpha=0.16, line_alpha=0.0)
            line = plot.segment("x0", "y0", "x1", "y1", source=source, color="color")
            points = plot.scatter(
                *("x1", "y1"),
                source=source,
                color="color",
                line_alpha=0.0,
                size=6 if marked else 3,
                marker="marker" if marked else "circle",
            )
            plot.text(
                x="x",
                y=0.94,
                text="text",
                source=names,
                y_range_name="unit",
                text_align="center",
                text_baseline="middle",
                text_font_size="11px",
                name="text",
            )
            lines += [line, points]
            plot.y_range = DataRange1d(renderers=[line, points], range_padding=0.3)
            plot.add_tools(HoverTool(visible=False, renderers=[points], tooltips=HOVER))
            plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
            self._timed.append(plot)
        x_range.renderers = lines
        return [f"{part} {j}" for j in range(len(columns))]

    def _density(self, j: int, column: str) -> str:
        name = f"density {j}"
        x_range, y_range = (Range1d(start=0.0, end=1.0) for _ in range(2))
        self.ranges |= {name: x_range, f"height {j}": y_range}
        plot = self._figure(name, column, "density", 230, x_range=x_range, y_range=y_range)
        patches = self._source(name, "xs", "ys", "color", "label")
        mixture = self._source(f"mixture {j}", "x", "y")
        peaks = self._source(f"peaks {j}", "x", "y", "text")
        rug = self._source(f"rug {j}", "x", "y0", "y1", "color")
        curves = plot.patches(
            "xs", "ys", source=patches, color="color", fill_alpha=0.16, line_width=1.5
        )
        plot.line("x", "y", source=mixture, line_width=1.0, line_dash="dashed", name="line")
        plot.segment("x", "y0", "x", "y1", source=rug, color="color", line_alpha=0.6)
        plot.text(
            *("x", "y", "text"),
            source=peaks,
            text_align="center",
            text_baseline="bottom",
            y_offset=-3,
            text_font_size="12px",
            name="text",
        )
        plot.add_tools(
            HoverTool(visible=False, renderers=[curves], tooltips=[("regime", "@label")])
        )
        plot.yaxis.ticker = BasicTicker(desired_num_ticks=4)
        return name

    def _scores(self) -> str:
        source = self._source("scores", "row", "so_far")
        stretches = self._source("stretches", "row", "mean")
        self.ranges["scores"] = Range1d(start=-1.0, end=1.0)
        plot = self._figure(
            *("scores", "rows", "log-likelihood, nats a row", 230),
            x_axis_type="log",
            y_range=self.ranges["scores"],
        )
        points = plot.scatter("row", "mean", source=stretches, size=4, color=REGIMES[4], alpha=0.7)
        line = plot.line("row", "so_far", source=source, line_width=2, color=REGIMES[0])
        for glyphs, mean in ((line, "so_far"), (points, "mean")):
            hover = [("rows", "@row{0,0}"), ("mean", f"@{mean}")]
            plot.add_tools(HoverTool(visible=False, renderers=[glyphs], tooltips=hover))
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
        return "scores"

    def _gap(self, convergence: Sequence[Comparison]) -> str:
        source = self._source("gap", "row", "gap", "drawn")
        gaps = [comparison.gap for comparison in convergence]
        least = min((gap for gap in gaps if gap > LEAST_GAP), default=10 * LEAST_GAP) / 10.0
        source.data = {
            "row": [comparison.rows for comparison in convergence],
            "gap": gaps,
            "drawn": np.maximum(gaps, least),
        }
        plot = self._figure(
            *("gap", "rows", "gap to batch EM, nats a row", 230),
            x_range=self.figures[-1].x_range,
            x_axis_type="log",
            y_axis_type="log",
        )
        plot.line("row", "drawn", source=source, line_width=2, color=REGIMES[5])
        points = plot.scatter("row", "drawn", source=source, size=6, color=REGIMES[5])
        hover = [("rows", "@row{0,0}"), ("gap", "@gap")]
        plot.add_tools(HoverTool(visible=False, renderers=[points], tooltips=hover))
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
        return "gap"


def _label_times(plot: figure, dates: bool) -> None:
    plot.xaxis.axis_label = PlainText(text="time, UTC" if dates else "time")
    if dates:
        plot.xaxis.ticker = DatetimeTicker()
        plot.xaxis.formatter = DatetimeTickFormatter()
        for tool in plot.tools:
            if not isinstance(tool, HoverTool):
                continue
            tool.tooltips = [("time", "@x1{%F %T}"), *HOVER[1:]]
            tool.formatters = {"@x1": "datetime"}


# -- data ---------------------------------------------------------------------------------------

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


# -- tables -------------------------------------------------------------------------------------


def html_of(text: str) -> str:
    """A text of the input as HTML."""
    return html.escape(printable(text))


def chip(label: int, names: Mapping[int, str]) -> str:
    """A regime, with its colour, and its name if it has one."""
    colour = REGIMES[label % len(REGIMES)]
    name = f" {html_of(names[label])}" if label in names else ""
    return f'<span class="chip"><i style="background:{colour}"></i>{label}{name}</span>'


def _head(head: Head, rows: int, called: Mapping[int, str], said: str = "") -> str:
    since = html_of(head.since_time) or f"row {head.since:,}"
    facts = {
        "regime": chip(head.label, called),
        f"since{f' (row {head.since:,})' if head.since_time else ''}": since,
        "probability": _share(head.probability),
        "rows": f"{head.n:,}",
        "changes": f"{head.n_changes:,}",
        "outliers": f"{head.n_outliers:,}",
    }
    if head.n_missing is not None:
        facts["missing values"] = f"{head.n_missing:,}"
    name = f"<h3>{html_of(head.key)}</h3>" if head.key else ""
    cells = "".join(f"<div><dt>{what}</dt><dd>{how}</dd></div>" for what, how in facts.items())
    note = ""
    if rows > 1:
        note = f"<p>of every {rows:,} rows the least and the greatest value are drawn</p>"
    note += f"<p>{said}</p>" if said else ""
    return f"{name}<dl>{cells}</dl>{note}"


def keys_table(heads: Sequence[Head], n_left_out: int = 0) -> str:
    """How each key stands, the one with the last row first; nothing if there is one only."""
    if len(heads) < 2:
        return "" if heads else "<p>no row has come yet</p>"
    lines = (
        (
            html_of(head.key),
            chip(head.label, head.names),
            html_of(head.since_time) or f"row {head.since:,}",
            _share(head.probability),
            f"{head.n:,}",
        )
        for head in heads
    )
    note = f"{n_left_out:,} rows of further keys are not shown" if n_left_out else ""
    names = ("series", "regime", "since", "probability", "rows")
    return table_of(names, lines, note, "scroll tall")


def _parameters(
    head: Head,
    columns: Sequence[str],
    parameters: Parameters | None,
    called: Mapping[int, str],
) -> str:
    if parameters is None:
        return "<p>nothing is learnt yet: the rows of the warm-up are still coming</p>"
    if parameters.cards:
        return _cards(columns, parameters.cards, called)
    stays = parameters.stays
    timed = parameters.timed
    names = ["regime", "rows", "weight"]
    if stays is not None:
        names.append("mean stay" if timed else "mean stay, rows")
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines: list[list[str]] = []
    for k, label in enumerate(parameters.labels):
        line = [
            chip(label, called),
            f"{head.counts.get(label, 0):,}",
            f"{parameters.weights[k]:.1%}",
        ]
        if stays is not None:
            line.append(duration(stays[k]) if timed else f"{stays[k]:,.1f}")
        line += [
            mean_and_sd(mean, sd)
            for mean, sd in zip(parameters.means[k], parameters.sds[k], strict=True)
        ]
        lines.append(line)
    gone = sorted(set(head.counts) - set(parameters.labels))
    note = ""
    if gone:
        its = ", ".join(f"{label} ({head.counts[label]:,} rows)" for label in gone[-20:])
        note = f"gone: {'..., ' if len(gone) > 20 else ''}{its}"
    return table_of(names, lines, note)


def _cards(columns: Sequence[str], cards: Sequence[RegimeCard], called: Mapping[int, str]) -> str:
    """A line for each regime that was found."""
    names = ["regime", "rows", "share of rows", "visits", "typical stay, rows"]
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines = (
        [
            chip(card.label, called),
            f"{card.n:,}",
            f"{card.share:.1%}",
            f"{card.visits:,}",
            "-" if math.isnan(card.typical_stay) else f"{card.typical_stay:,.0f}",
            *(_mean_and_sd(card.mean.get(column), card.sd.get(column)) for column in columns),
        ]
        for card in cards
    )
    return table_of(names, lines)


def _costs(parameters: Parameters | None, called: Mapping[int, str]) -> str:
    """Hours, starts and integrals of each regime, and below by day, the newest first."""
    if parameters is None or (spent := parameters.costs) is None:
        return "<p>nothing is known yet</p>"
    names = [html_of(name) for name in heads(spent.channels, spent.timed)]

    def line(cost: Cost) -> list[str]:
        regime = NOT_KNOWN if cost.label < 0 else chip(cost.label, called)
        return [regime, *cells(cost, spent.timed)]

    note = "; ".join(map(html_of, spent.remarks))
    text = table_of(["regime", *names], map(line, spent.total), note)
    if spent.days:
        lines = ([day, *line(cost)] for day, costs in reversed(spent.days) for cost in costs)
        text += table_of(["day", "regime", *names], lines, "the newest first", "scroll tall")
    return text


def _changes(parameters: Parameters | None, called: Mapping[int, str]) -> str:
    """A line for each change between regimes that were found, the newest first."""
    if parameters is None or not parameters.cards:
        return "<p>changes and their reasons are those of regimes that are found</p>"
    if not parameters.changes:
        return "<p>the regime did not change</p>"
    lines = (
        [
            html_of(change.at[1]) or f"row {change.at[0]:,}",
            f"{chip(change.before, called)} to {chip(change.after, called)}",
            html_of("; ".join(f"{its} ({its.share:.0%})" for its in change.why)),
        ]
        for change in reversed(parameters.changes)
    )
    return table_of(["since", "regime", "why"], lines, "the newest first", "scroll tall")


def _segments(
    columns: Sequence[str], segments: Sequence[Segment], n: int, called: Mapping[int, str]
) -> str:
    if not segments:
        return "<p>no segment has ended yet</p>"
    names = ["regime", "start", "end", "rows", "probability"]
    names += [f"{html_of(column)}, mean ± sd" for column in columns]
    lines = (
        [
            chip(segment.label, called),
            *(html_of(time) or f"row {row:,}" for row, time in (segment.start, segment.end)),
            f"{segment.n:,}",
            _share(segment.probability),
            *(_mean_and_sd(segment.mean.get(column), segment.sd.get(column)) for column in columns),
        ]
        for segment in reversed(segments)
    )
    note = f"the last {len(segments):,} of {n:,}, the newest first" if len(segments) < n else ""
    return table_of(names, lines, note or "the newest first", "scroll tall")


def _mean_and_sd(mean: float | None, sd: float | None) -> str:
    if mean is None or sd is None or math.isnan(mean):
        return "-"
    return mean_and_sd(mean, sd)


def _share(probability: float) -> str:
    return "-" if math.isnan(probability) else f"{probability:.1%}"


def table_of(
    names: Sequence[str], lines: Iterable[Sequence[str]], note: str = "", kind: str = "scroll"
) -> str:
    """A table of cells that are HTML."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines
    )
    below = f"<p>{note}</p>" if note else ""
    return (
        f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div>{below}"
    )
