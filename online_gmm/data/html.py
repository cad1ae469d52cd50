"""Values as HTML, for notebooks: a title, notes, and a table in which shares have bars."""

from __future__ import annotations

import inspect
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#999933",
    "#808080",
)
"""Colours of regimes, on light and dark ground.

They differ for colour-blind people too (Okabe & Ito 2008).
"""
MOST_ROWS = 50
"""Rows of a table that are shown."""
MOST_CHANNELS = 12
"""Channels of a table that are shown."""


class Share(NamedTuple):
    """A cell with a bar: a part of a whole, from 0 to 1, and the colour of its bar."""

    value: float
    colour: str = COLOURS[0]


def colour_of(label: int) -> str:
    """Return the colour of a regime."""
    return COLOURS[label % len(COLOURS)] if label >= 0 else "#888888"


def page(title: str, notes: Iterable[str] = (), *tables: str) -> str:
    """Return a block of HTML. The title and the notes are plain text."""
    said = "".join(f"<div>{escape(note)}</div>" for note in notes if note)
    return f"<div><div><b>{escape(title)}</b></div>{said}{''.join(tables)}</div>"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """Return a table of at most `MOST_ROWS` rows, and say how many more there are."""
    if not rows:
        return ""
    left = len(rows) - MOST_ROWS
    more = f"; the first {MOST_ROWS} of {len(rows):,} rows" if left > 0 else ""
    said = escape((caption + more).removeprefix("; "))
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:MOST_ROWS])
    top = f"<caption style='text-align:left'>{said}</caption>" if said else ""
    return f"<table>{top}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, Share):
        if math.isnan(value.value):
            return "<td>-</td>"
        width = round(80.0 * min(max(value.value, 0.0), 1.0))
        bar = (
            f"<span style='display:inline-block;height:0.7em;width:{width}px;"
            f"background:{value.colour}'></span>"
        )
        return f"<td style='text-align:left;white-space:nowrap'>{bar} {value.value:.1%}</td>"
    return f"<td>{escape(str(value))}</td>"


def mean_and_sd(mean: float, sd: float) -> str:
    """Return a mean and a standard deviation with as many digits as are of use."""
    return "-" if math.isnan(mean) else f"{mean:.4g} ± {sd:.2g}"


def number(value: float) -> str:
    """Return a number in short; - if it is not known."""
    return "-" if math.isnan(value) else f"{value:,.4g}"


def channel_cells(
    channels: Sequence[Hashable], mean: Mapping[Any, float], sd: Mapping[Any, float]
) -> list[str]:
    """Return what the cells of the first channels say."""
    return [
        mean_and_sd(mean.get(name, math.nan), sd.get(name, math.nan))
        for name in channels[:MOST_CHANNELS]
    ]


def channel_heads(channels: Sequence[Hashable]) -> list[str]:
    """Return the heads that go with `channel_cells`."""
    return [f"{name}, mean ± sd" for name in channels[:MOST_CHANNELS]]


def call_of(its: Any) -> str:
    """Return the call that makes an estimator: its class, and parameters that are no defaults."""
    given = [
        f"{name}={_as_code(getattr(its, name))}"
        for name, parameter in inspect.signature(type(its)).parameters.items()
        if not _is_default(getattr(its, name, None), parameter.default)
    ]
    return f"{type(its).__name__}({', '.join(given)})"


def _as_code(value: Any) -> str:
    return call_of(value) if hasattr(value, "learn_one") else " ".join(repr(value).split())


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
