"""In which order the rows of files have their times, where these are copied and not read."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from online_gmm.data.counted import counted
from replay.engine.batch import Batch
from replay.sources.dates import ORDERS
from replay.sources.times import HOUR, Clock

NEWEST_FIRST = 0.9
"""Share of steps that go back in time from which on the newest row is said to come first."""
FIRST = 200
"""Rows by which it is told whether the newest one comes first."""
MOST_LOOKED_AT, FEW_LOOKED_AT = 1000, 16
"""First rows, of which all are looked at, and rows of each batch after these."""
TWICE = 0.1
"""Share of rows that are as the row before from which on it is said."""
OVERLAP = 0.01
"""Share of all time by which times may go back in a picture."""
MOST_KEYS = 1000
"""Keys whose order is looked at."""


def by_an_hour(zone: str | None) -> str:
    """What steps back by exactly an hour are, and what to do, where a zone is named or none is."""
    if zone is None:
        return (
            "by exactly an hour, as clocks that are set back for winter do: name the zone, as in "
            "--time-zone Europe/Berlin"
        )
    return (
        f"by exactly an hour: these may be no times of {zone}, as named; if the device does not "
        "change its clock, name its offset, as in --time-zone +01:00"
    )


def is_newest_first(texts: Sequence[str], clock: Clock) -> bool:
    """Whether times go back from row to row, but for a few.

    Parameters
    ----------
    texts
        The first times of a file.
    clock
        How they are read; where day and month cannot be told apart, either order may show it.
    """
    texts = texts[:FIRST]
    read = _reader(texts, Clock(clock.time_format, clock.time_zone))
    if read is not None:
        return _goes_back(texts, read)
    readers = [_reader(texts, Clock(order, clock.time_zone)) for order in ORDERS]
    return any(_goes_back(texts, read) for read in readers if read is not None)


def _goes_back(texts: Sequence[str], read: Callable[[str, str], float | None]) -> bool:
    known = [seconds for text in texts if (seconds := read(text, "")) is not None]
    steps = [after - before for before, after in pairwise(known) if after != before]
    return len(steps) > 1 and sum(step < 0 for step in steps) > NEWEST_FIRST * len(steps)


class StepsBack:
    """Looks for rows that are earlier than the row before, and for those that came twice.

    Parameters
    ----------
    clock
        How times are read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = Clock(clock.time_format, clock.time_zone)
        self._read: Callable[[str, str], float | None] | None = None
        self._is_first = True
        self._n = self._n_back = self._n_of_winter = 0
        # of each key the last time, how it is written, and the step to it
        self._last: dict[str, tuple[float, str, float]] = {}
        self._example = ""
        # the earliest and the latest time, and by how much one was before the one above
        self._from, self._to, self._most_back = math.inf, -math.inf, 0.0
        # of the first rows: those that have the time of the row before, and those that are it
        self._n_first = self._n_same_time = self._n_twice = 0
        self._before: tuple[tuple[str, str], Any] = (("", ""), None)

    def add(self, name: str, batch: Batch) -> None:
        """Look at rows of a file of this name."""
        most = max(MOST_LOOKED_AT - self._n, FEW_LOOKED_AT)
        rows: Sequence[int] = range(len(batch))
        if len(batch) > most:
            rows = [(len(batch) - 1) * i // (most - 1) for i in range(most)]
        texts = [batch.texts.time_at(row) for row in rows]
        if self._is_first:
            self._is_first = False
            self._read = _reader(texts, self._clock)
        if self._n_first < MOST_LOOKED_AT:
            self._look_for_twins(batch)
        if self._read is None:
            return
        for row, text in zip(rows, texts, strict=True):
            key = batch.key_at(row)
            seconds = self._read(text, key)
            if seconds is None:
                continue
            self._n += 1
            before = self._last.get(key)
            self._from, self._to = min(self._from, seconds), max(self._to, seconds)
            if before is not None and seconds < before[0]:
                self._n_back += 1
                self._most_back = max(self._most_back, before[0] - seconds)
                self._n_of_winter += abs(before[0] + before[2] - HOUR - seconds) < 1e-3
                self._example = self._example or (
                    f"{name}, line {batch.lines[row]}: {text!r} after {before[1]!r}"
                )
            if before is not None or len(self._last) < MOST_KEYS:
                step = math.nan if before is None else seconds - before[0]
                self._last[key] = seconds, text, step

    def _look_for_twins(self, batch: Batch) -> None:
        for row in range(min(len(batch), MOST_LOOKED_AT - self._n_first)):
            its = batch.key_at(row), batch.texts.time_at(row)
            values = batch.values[row].copy()
            if its[1] and its == self._before[0]:
                self._n_same_time += 1
                self._n_twice += np.array_equal(values, self._before[1], equal_nan=True)
            self._before = its, values
            self._n_first += 1

    @property
    def has_overlap(self) -> bool:
        """Whether times go back so far that rows would lie upon each other in a picture."""
        return self._most_back > OVERLAP * max(self._to - self._from, 0.0)

    def said(self, key: str | None) -> list[str]:
        """What was found, a line each; nothing if times only go on."""
        twice = []
        # with times of coarse steps, rows of one time have other values
        if self._n_twice == self._n_same_time and self._n_twice > TWICE * self._n_first:
            twice = [
                f"{self._n_twice:,} of the first {counted(self._n_first, 'rows')} have the time "
                "and the values of the row before, and all are learnt; if they are there twice, "
                "--late skip leaves them out"
            ]
        if not self._n_back:
            return twice
        advice = "sort them"
        if key is None:
            advice += ", or say --key if they are of several things"
        if self._n_of_winter == self._n_back:
            advice = f"it is {by_an_hour(self._clock.time_zone)}"
        return [
            *twice,
            f"times go back in {self._n_back:,} of {counted(self._n, 'rows')} looked at "
            f"({self._example}); rows are taken in the order of the file: {advice}",
        ]


def _of_number(text: str, key: str) -> float:
    return float(text)


def _of_iso(text: str, key: str) -> float:
    """A time of ISO 8601 in seconds; one that names no zone is taken as UTC."""
    date = datetime.datetime.fromisoformat(text.strip())
    return (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp()


def _reader(texts: Sequence[str], clock: Clock) -> Callable[[str, str], float | None] | None:
    """What reads times like these, each of a key; None if nobody can tell how."""
    read: Callable[[str, str], float] = clock.seconds
    iso = clock.time_format is None and all(text[4:5] == "-" for text in texts if text)
    if iso and clock.zone is datetime.UTC:
        read = _of_iso
    else:
        try:
            clock.look_at(texts)
        except ValueError:
            # numbers may count from anywhere
            read = _of_number

    def read_or_none(text: str, key: str) -> float | None:
        try:
            return read(text, key)
        except ValueError:
            return None

    can_read = any(read_or_none(text, "") is not None for text in texts)
    return read_or_none if can_read else None
