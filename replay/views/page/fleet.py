"""The table of keys on the live page: strange ones first, sorted, searched, and by pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from bokeh.layouts import row
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Button, Select, TextInput

from online_gmm.data.counted import counted
from replay.sources.times import Clock
from replay.views.page.style import BUTTON, CHOICE, WRAP
from replay.views.page.tables import chip, html_of, table_of, time_of
from replay.views.parameters import Parameters
from replay.views.roster import ORDERS, Roster, Standing, card_of, placed

ON_PAGE = 50
"""Keys that are listed at once."""
LONGEST = 200
"""Characters of a search that are looked at."""


class FleetTable:
    """Which keys a visitor lists, and the table of them.

    Parameters
    ----------
    columns
        Names of the columns of values.
    clock
        Reads times.
    find, order
        What the address asks for.

    Attributes
    ----------
    listed
        The keys of the table.
    has_changed
        Whether something else is asked for than what the table shows.
    """

    def __init__(
        self, columns: Sequence[str], clock: Clock, find: str = "", order: str = "strange"
    ) -> None:
        self.listed: list[str] = []
        self.has_changed = True
        self._columns = columns
        self._clock = clock
        self._first = 0
        self._n = 0
        self._find = TextInput(
            title="Find",
            value=find[:LONGEST],
            placeholder="a part of the key",
            width=165,
            margin=(8, 8, 8, 0),
            stylesheets=[CHOICE],
        )
        orders: list[Any] = [(name, its.label) for name, its in ORDERS.items()]
        self._order = Select(
            title="First those",
            value=order if order in ORDERS else "strange",
            options=orders,
            width=165,
            margin=(8, 8, 8, 0),
            stylesheets=[CHOICE],
        )
        self._back, self._on = (
            Button(label=label, width=90, margin=(27, 8, 8, 0), stylesheets=[BUTTON])
            for label in ("Previous", "Next")
        )
        self._find.on_change("value", self._searched)
        self._order.on_change("value", self._searched)
        self._back.on_click(lambda: self._turn(-1))
        self._on.on_click(lambda: self._turn(1))
        self.controls: UIElement = row(
            [self._find, self._order, self._back, self._on],
            name="controls",
            visible=False,
            stylesheets=[WRAP],
        )

    def _searched(self, name: str, old: object, new: object) -> None:
        self._first, self.has_changed = 0, True

    def _turn(self, pages: int) -> None:
        first = self._first + pages * ON_PAGE
        if 0 <= first < self._n:
            self._first, self.has_changed = first, True

    def update(self, roster: Roster, parameters: Callable[[str], Parameters | None]) -> str:
        """The table as HTML; nothing if there is one key only.

        ``parameters`` gives what is learnt of a key.
        """
        self.has_changed = False
        self.controls.visible = len(roster) > 1
        # what a visitor's page sends may be anything
        find, order = str(self._find.value or "")[:LONGEST], str(self._order.value)
        order = order if order in ORDERS else "strange"
        listed, self._n = roster.page(find, order, self._first, ON_PAGE)
        self.listed = [its.key for its in listed]
        if len(roster) < 2:
            return "" if len(roster) else "<p>no row has come yet</p>"
        self._back.disabled = self._first == 0
        self._on.disabled = self._first + ON_PAGE >= self._n
        if not listed:
            return f"<p>no key of {len(roster):,} has this in it</p>"
        lines = [self._line(its, parameters(its.key), find, order) for its in listed]
        last = self._first + len(listed)
        note = f"{self._first + 1:,} to {last:,} of {self._n:,}"
        if self._n < len(roster):
            note += f" that are found among {len(roster):,}"
        if roster.n_left_out:
            note += f"; not counted here: {counted(roster.n_left_out, 'rows')} of further keys"
        names = (
            *("series", "regime", "typical values", "since", "probability", "rows", "changes"),
            "outliers",
        )
        return table_of(names, lines, note, "scroll tall")

    def _line(
        self, its: Standing, parameters: Parameters | None, find: str, order: str
    ) -> tuple[str, ...]:
        asked = {"key": its.key, "find": find, "order": order}
        link = urlencode({name: value for name, value in asked.items() if value})
        its = placed(its, parameters)
        since = time_of(its.since_time, self._clock) or f"row {its.since:,}"
        known = "" if parameters is None else card_of(parameters, self._columns, its.label)
        return (
            f'<a href="?{html_of(link)}">{html_of(its.key)}</a>',
            chip(its.label, {its.label: its.name} if its.name else {}),
            html_of(known),
            since,
            "-" if math.isnan(its.probability) else f"{its.probability:.1%}",
            f"{its.n:,}",
            f"{its.n_changes:,}",
            f"{its.n_outliers:,}",
        )
