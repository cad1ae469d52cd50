"""Times of rows whose times are copied and not read: to be drawn, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from replay.engine.batch import Batch, CutTexts, LabelledBatch
from replay.sources.times import Clock

if TYPE_CHECKING:
    from replay.sources.opening import Files

LEAST_DIFFERENT = 0.05
"""Share of the first times that differ, below which rows would stand upon each other."""
MOST_UNREAD = 0.5
"""Share of the first times from which on none is read."""

Floats = NDArray[np.float64]


class TimesShown:
    """Reads the times of rows for what is drawn; where it cannot, rows are counted.

    Parameters
    ----------
    source
        Where rows come from; none of them has been handed on.
    drawn
        What is drawn, in words.
    """

    def __init__(self, source: Files, drawn: str) -> None:
        self._source = source
        self._drawn = drawn
        options = source.options
        self._clock = Clock(options.clock.time_format, options.clock.time_zone)
        self._last = math.nan
        self._n_unread = 0
        self._has_begun = False
        self._why_not = self._question()

    def _question(self) -> str:
        """Why times cannot be read, by the first ones; empty if they can."""
        try:
            self._source.look_at_times(self._clock)
        except ValueError as error:
            return f"times are not read: {error}"
        given = [text for text in self._source.first_times if text.strip()]
        problems = []
        for text in given:
            try:
                self._seconds(text)
            except ValueError as error:
                problems.append(str(error))
        if len(problems) > MOST_UNREAD * len(given):
            return f"times are not read: {problems[0]}"
        if not given:
            return "the first rows have no time"
        stands = self._source.key is None and len(set(given)) < LEAST_DIFFERENT * len(given)
        return "the same times come again and again" if stands else ""

    @property
    def said(self) -> list[str]:
        """What was guessed, and what could not be read; a line each."""
        if self._why_not:
            return [f"{self._drawn} counts rows, as {self._why_not}"]
        lines = list(self._clock.said)
        if self._n_unread:
            lines.append(
                f"rows without a time that can be read are drawn at the time of the row before: "
                f"{self._n_unread:,}"
            )
        return lines

    def shown(self, labelled: LabelledBatch) -> LabelledBatch:
        """The rows with their times in seconds; as they are if rows are to be counted."""
        seconds = self.of(labelled.batch)
        if seconds is None:
            return labelled
        return replace(labelled, batch=replace(labelled.batch, seconds=seconds))

    def go_on(self, timed: bool | None, last: float) -> None:
        """Go on as a page did that has come from a checkpoint.

        Parameters
        ----------
        timed
            Whether it has times; None if no row has come.
        last
            Where its last row is.
        """
        self._has_begun = timed is not None
        if timed:
            self._last = last
        elif timed is False:
            self._why_not = self._why_not or "it did so before"

    def of(self, batch: Batch) -> Floats | None:
        """The time of each row in seconds, shape (n,); None if rows are to be counted."""
        if not self._has_begun:
            self._has_begun = True
            if self._source.has_overlap:
                self._why_not = self._why_not or "times go back"
        if self._why_not or not len(batch):
            return None
        seconds = self._all(batch)
        known = np.isfinite(seconds)
        if not known.all():
            self._n_unread += int((~known).sum())
            if not known.any() and math.isnan(self._last):
                self._why_not = "the first rows have no time that can be read"
                return None
            before = np.maximum.accumulate(np.where(known, np.arange(len(seconds)), -1))
            first = self._last if math.isfinite(self._last) else seconds[known][0]
            seconds = np.where(before < 0, first, seconds[before])
        self._last = float(seconds[-1])
        return seconds

    def _all(self, batch: Batch) -> Floats:
        """The times of a batch; NaN where one cannot be read."""
        texts = batch.texts
        if isinstance(texts, CutTexts) and texts.places.time is not None:
            plain = self._clock.seconds_of(*texts.cells_of(texts.places.time))
            if plain is not None:
                return plain
        seconds = np.empty(len(batch))
        for i, text in enumerate(texts.times()):
            try:
                seconds[i] = self._seconds(text)
            except ValueError:
                seconds[i] = math.nan
        return seconds

    def _seconds(self, text: str) -> float:
        try:
            return self._clock.seconds(text)
        except ValueError:
            if text.count(",") != 1:
                raise
            return self._clock.seconds(text.replace(",", "."))
