"""What regimes cost: how long a key was in each, how often it began, and integrals of channels."""

from __future__ import annotations

import datetime
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

HOUR = 3600.0
DAYS_KEPT = 31
"""Days of a key that are kept by themselves, the last ones; those before are in its sums."""
CALENDAR = 1e9
"""Seconds since 1970 from which a time that is written as a number is one of the calendar."""
LONGEST = 366 * 24 * HOUR
"""Seconds between two rows that always are a gap: a clock was set, or nobody was there."""
LAST_DATE = 2.5e11
"""Seconds before and after 1970 between which there are dates."""
LENGTH, STARTS, CHANNELS = 0, 1, 2
"""Places in a cell: how long, how often, and from there on integral and missing of each channel."""

Cell = list[float]


class Cost(NamedTuple):
    """What a regime has cost.

    Parameters
    ----------
    label
        The regime; -1 for rows whose regime was not known.
    length
        Hours, or rows if there are no times.
    starts
        How often it began.
    integrals
        Of each channel, in its unit times hours; sums over rows if there are no times.
    missing
        Hours, or rows, in which the value of each channel was missing. They are not in the
        integral.
    """

    label: int
    length: float
    starts: int
    integrals: tuple[float, ...]
    missing: tuple[float, ...]


class Costs:
    """Hours, starts and integrals of the regimes of one key, by day.

    A value lasts until the next row, and the time between the two belongs to the regime of the
    first. It is shared out at midnight. A time longer than ``max_gap`` counts for no regime, and
    what comes after it is a start. Sums are made row by row, so that they do not depend on how rows
    were batched.

    Parameters
    ----------
    channels
        Names of the channels that are integrated.
    timed
        Whether rows have times. Without, each row has the length 1.
    zone
        The time zone of the days.
    max_gap
        Seconds between two rows beyond which nothing is integrated; None, or more than LONGEST,
        for that.

    Attributes
    ----------
    zone, channels, timed
        As they were given.
    gap
        Seconds of gaps, which count for no regime.
    longest
        Seconds of the longest time between two rows that is no gap.
    n_late
        Rows that were learnt though they came late, which count for nothing.
    """

    def __init__(
        self,
        channels: Sequence[str],
        timed: bool,
        zone: datetime.tzinfo = datetime.UTC,
        max_gap: float | None = None,
    ) -> None:
        self.gap = self.longest = 0.0
        self.n_late = 0
        self.zone = zone
        self.timed = timed
        self.channels = tuple(channels)
        self._width = CHANNELS + 2 * len(self.channels)
        self._max_gap = LONGEST if max_gap is None else min(max_gap, LONGEST)
        self._sums: dict[int, Cell] = {}
        self._days: deque[tuple[str, dict[int, Cell]]] = deque()
        # the day of the last row, and when it ends; no day if times are not of the calendar
        self._day = ""
        self._today: dict[int, Cell] = {}
        self._day_ends = math.inf
        self._last: tuple[float, int, list[float]] | None = None
        self._label: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether no row has come, so that the text of the next one's time is looked at."""
        return self._last is None

    def add(
        self, label: int, seconds: float, text: str, values: list[float]
    ) -> list[tuple[str, list[Cost]]]:
        """Take a row, and return the days that have ended with it.

        Parameters
        ----------
        label
            Its regime.
        seconds, text
            Its time, as a number and as it was written; not used if rows have none.
        values
            Those of the channels; NaN is a missing one.
        """
        if not self.timed:
            self._start(label)
            self._hold(self._cell(label), values, 1.0)
            return []
        ended: list[tuple[str, list[Cost]]] = []
        last = self._last
        if last is None:
            if is_date(text, seconds):
                self._begin_day(seconds)
        else:
            before, its_label, its_values = last
            if seconds <= before:
                # its time has been counted already
                self.n_late += 1
                return []
            length = seconds - before
            if length > self._max_gap:
                self.gap += length
                self._label = None
                if seconds >= self._day_ends:
                    ended.append(self._end_day())
                    self._begin_day(seconds)
            else:
                self.longest = max(self.longest, length)
                while seconds >= self._day_ends:
                    midnight = self._day_ends
                    self._hold(self._cell(its_label), its_values, midnight - before)
                    ended.append(self._end_day())
                    self._begin_day(midnight)
                    before = midnight
                self._hold(self._cell(its_label), its_values, seconds - before)
        self._start(label)
        self._last = seconds, label, values
        return ended

    def _start(self, label: int) -> None:
        if label != self._label:
            self._label = label
            self._cell(label)[STARTS] += 1.0

    def _cell(self, label: int) -> Cell:
        cell = self._today.get(label)
        if cell is None:
            cell = self._today[label] = [0.0] * self._width
        return cell

    @staticmethod
    def _hold(cell: Cell, values: list[float], length: float) -> None:
        cell[LENGTH] += length
        place = CHANNELS
        for value in values:
            if value == value:
                cell[place] += value * length
            else:
                cell[place + 1] += length
            place += 2

    def _begin_day(self, seconds: float) -> None:
        if abs(seconds) > LAST_DATE:
            self._day, self._day_ends = "", math.inf
            return
        date = datetime.datetime.fromtimestamp(seconds, self.zone).date()
        self._day = date.isoformat()
        midnight = datetime.datetime.combine(date + datetime.timedelta(days=1), datetime.time())
        self._day_ends = midnight.replace(tzinfo=self.zone).timestamp()

    def _end_day(self) -> tuple[str, list[Cost]]:
        day, cells = self._day, self._today
        self._days.append((day, cells))
        self._today = {}
        if len(self._days) > DAYS_KEPT:
            _, first = self._days.popleft()
            _add(self._sums, first)
        return day, self._costs(cells)

    # -- answers --------------------------------------------------------------------------------

    def total(self) -> list[Cost]:
        """What each regime has cost from the first row to the last one."""
        sums: dict[int, Cell] = {}
        for cells in (self._sums, *(cells for _, cells in self._days), self._today):
            _add(sums, cells)
        return self._costs(sums)

    def days(self) -> list[tuple[str, list[Cost]]]:
        """The same by day, of the days that are kept, with the one under way as the last."""
        return [(day, self._costs(cells)) for day, cells in (*self._days, (self._day, self._today))]

    def today(self) -> tuple[str, list[Cost]]:
        """The day under way; its name is empty if rows have no dates."""
        return self._day, self._costs(self._today)

    def _costs(self, cells: Mapping[int, Cell]) -> list[Cost]:
        unit = HOUR if self.timed else 1.0
        return [
            Cost(
                label,
                cell[LENGTH] / unit,
                int(cell[STARTS]),
                tuple(value / unit for value in cell[CHANNELS::2]),
                tuple(value / unit for value in cell[CHANNELS + 1 :: 2]),
            )
            for label, cell in sorted(cells.items())
        ]

    # -- state ----------------------------------------------------------------------------------

    def state(self) -> list[Any]:
        """All of it but the zone, as plain values."""
        return [
            *(self.timed, list(self.channels), self._max_gap, self.gap, self.longest, self.n_late),
            *(self._sums, list(self._days), self._day, self._today),
            None if self._day_ends == math.inf else self._day_ends,
            *(self._last, self._label),
        ]

    @classmethod
    def of(cls, state: Sequence[Any]) -> Costs:
        """Restore what `state` has returned. Days are in UTC until `zone` is set."""
        timed, channels, max_gap, *counts = state[:6]
        sums, days, day, today, ends, last, label = state[6:]
        costs = cls(channels, timed, max_gap=max_gap)
        costs.gap, costs.longest, costs.n_late = counts
        costs._sums = sums
        costs._days.extend((name, cells) for name, cells in days)
        costs._day, costs._today = day, today
        costs._day_ends = math.inf if ends is None else ends
        costs._last = None if last is None else (last[0], last[1], list(last[2]))
        costs._label = label
        return costs


def _add(sums: dict[int, Cell], cells: Mapping[int, Cell]) -> None:
    for label, cell in cells.items():
        before = sums.get(label)
        sums[label] = (
            list(cell) if before is None else [a + b for a, b in zip(before, cell, strict=True)]
        )


def is_date(text: str, seconds: float) -> bool:
    """Whether a time is one of the calendar, by its text and its seconds since 1970.

    A number may be the time that has passed since some start, if it is small.
    """
    try:
        float(text)
    except ValueError:
        return True
    return seconds >= CALENDAR
