"""The models of the page, the same for the file and for the live one."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.core.properties import field
from bokeh.document import Document
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJS,
    CustomJSHover,
    CustomJSTicker,
    CustomJSTickFormatter,
    DataRange1d,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
    LogTicker,
    NumeralTickFormatter,
    PlainText,
    Range1d,
)
from bokeh.models.glyphs import Line, Patches, Scatter, Segment, Text, VStrip
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Div, Select
from bokeh.plotting import figure
from jinja2 import Environment

from online_gmm.data.html import COLOURS
from replay.checks.check import Comparison
from replay.engine.printable import printable
from replay.views.figure import MOST_COLUMNS, SHADE, shortened, some_drawn
from replay.views.local_time import shifts_of
from replay.views.page.content import Content
from replay.views.page.style import (
    AHEAD,
    CHOICE,
    LOCAL_LABEL,
    LOCAL_TICKS,
    LOCAL_TIME,
    PAGE,
    PAINT,
    SWITCH,
    TABLES,
)

HOVER = [("x", "@x1{0,0.[000]}"), ("value", "@y1"), ("regime", "@label")]
LEAST_GAP = 1e-9
"""No gap to batch EM is drawn as less: a log scale has no 0."""

WIDE_LABEL, HIGH_LABEL = 44, 27
"""Characters for which an axis has room, on a phone."""
LISTED = ("parameters", "changes", "segments")
"""Tables of the key that is shown."""
COSTLY = ("costs",)
"""One more, if it is asked for."""

DENSITIES = "Of each regime by its weight, dashed their sum; below, values that have come."
COSTS = "A value lasts until the next row. Starts are how often a regime began."
CONVERGENCE = (
    "How likely each row was, given those before it: the line is the mean of all rows so far, "
    "each dot that of a stretch."
)


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
    zone
        Whose time the axes show, if times are dates.
    """

    def __init__(
        self,
        columns: Sequence[str],
        recent: bool,
        convergence: Sequence[Comparison] = (),
        with_costs: bool = False,
        zone: datetime.tzinfo = datetime.UTC,
    ) -> None:
        self._zone = zone
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
        some = "".join(f"{line[:1].upper()}{line[1:]}." for line in some_drawn(len(columns)))
        last = [("The last rows", some, self._series("recent", drawn))] if recent else []
        # heading, note and the names of the roots below
        self.sections: list[tuple[str, str, list[str]]] = [
            *self._first_sections(recent),
            *last,
            ("All rows", some, self._series("whole", drawn)),
            *([("What regimes cost", COSTS, ["costs"])] if with_costs else []),
            ("Densities", f"{DENSITIES} {some}".rstrip(), densities),
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
                if content.dates and self._zone is not datetime.UTC:
                    _label_local_times(plot, self._zone)
                else:
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
        # the models of a document are looked up anew after each root otherwise
        with document.models.freeze():
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
        plot.xaxis.axis_label = PlainText(text=shortened(printable(x), WIDE_LABEL))
        plot.yaxis.axis_label = PlainText(text=shortened(printable(y), HIGH_LABEL))
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
            plot.add_glyph(
                bands,
                VStrip(x0="x0", x1="x1", fill_color="color", fill_alpha=SHADE, line_color=None),
            )
            line = plot.add_glyph(
                source, Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_color="color")
            )
            points = plot.add_glyph(
                source,
                Scatter(
                    x="x1",
                    y="y1",
                    fill_color="color",
                    line_color=None,
                    size=6 if marked else 3,
                    marker=field("marker") if marked else "circle",
                ),
            )
            text = Text(
                x="x",
                y=0.94,
                text="text",
                text_align="center",
                text_baseline="middle",
                text_font_size="11px",
            )
            plot.add_glyph(names, text, y_range_name="unit", name="text")
            lines += [line, points]
            plot.y_range = DataRange1d(renderers=[line, points], range_padding=0.3)
            plot.add_tools(HoverTool(visible=False, renderers=[points], tooltips=HOVER))
            plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
            # a phone has room for so many
            plot.xaxis.ticker = BasicTicker(desired_num_ticks=4)
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
        curves = plot.add_glyph(
            patches,
            Patches(
                xs="xs",
                ys="ys",
                fill_color="color",
                fill_alpha=SHADE,
                line_color="color",
                line_width=1.5,
            ),
        )
        plot.add_glyph(mixture, Line(x="x", y="y", line_dash="dashed"), name="line")
        plot.add_glyph(
            rug, Segment(x0="x", y0="y0", x1="x", y1="y1", line_color="color", line_alpha=0.6)
        )
        text = Text(
            x="x",
            y="y",
            text="text",
            text_align="center",
            text_baseline="bottom",
            y_offset=-3,
            text_font_size="12px",
        )
        plot.add_glyph(peaks, text, name="text")
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
        points = plot.add_glyph(
            stretches,
            Scatter(
                x="row",
                y="mean",
                size=4,
                fill_color=COLOURS[4],
                fill_alpha=0.7,
                line_color=COLOURS[4],
                line_alpha=0.7,
            ),
        )
        line = plot.add_glyph(
            source, Line(x="row", y="so_far", line_width=2, line_color=COLOURS[0])
        )
        for glyphs, mean in ((line, "so_far"), (points, "mean")):
            hover = [("rows", "@row{0,0}"), ("mean", f"@{mean}")]
            plot.add_tools(HoverTool(visible=False, renderers=[glyphs], tooltips=hover))
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
        plot.xaxis.ticker = LogTicker(desired_num_ticks=4)
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
        plot.add_glyph(source, Line(x="row", y="drawn", line_width=2, line_color=COLOURS[5]))
        points = plot.add_glyph(
            source,
            Scatter(x="row", y="drawn", size=6, fill_color=COLOURS[5], line_color=COLOURS[5]),
        )
        hover = [("rows", "@row{0,0}"), ("gap", "@gap")]
        plot.add_tools(HoverTool(visible=False, renderers=[points], tooltips=hover))
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
        return "gap"


def _label_local_times(plot: figure, zone: datetime.tzinfo) -> None:
    """Show the time of a zone, whose hours may come twice: x is that of UTC."""
    args: Any = {"shifts": shifts_of(zone)}
    plot.xaxis.axis_label = PlainText(text=f"time, {zone}")
    plot.xaxis.ticker = CustomJSTicker(args=args, major_code=AHEAD + LOCAL_TICKS)
    plot.xaxis.formatter = CustomJSTickFormatter(args=args, code=AHEAD + LOCAL_LABEL)
    for tool in plot.tools:
        if isinstance(tool, HoverTool):
            tool.tooltips = [("time", "@x1{custom}"), *HOVER[1:]]
            tool.formatters = {"@x1": CustomJSHover(args=args, code=AHEAD + LOCAL_TIME)}


def _label_times(plot: figure, dates: bool) -> None:
    plot.xaxis.axis_label = PlainText(text="time, UTC" if dates else "time")
    if dates:
        plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=4)
        plot.xaxis.formatter = DatetimeTickFormatter()
        for tool in plot.tools:
            if not isinstance(tool, HoverTool):
                continue
            tool.tooltips = [("time", "@x1{%F %T}"), *HOVER[1:]]
            tool.formatters = {"@x1": "datetime"}
