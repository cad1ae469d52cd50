"""The order of the rows of a key: rows that come late or twice, and gaps between them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.series import OrderGuard
from replay.engine.batch import Batch
from replay.engine.rows import InputError, Row

HOUR = 3600.0
"""Seconds by which clocks are set back for winter."""
COUNTS = ("n_duplicates", "n_late", "n_lost", "n_gaps", "n_steps_back")
"""What is counted."""
STUCK = 100
"""So many rows in a row that come late are no late rows: the last time was wrong."""
DAY = 24 * HOUR
"""A time that is farther than this from now on is wrong: no zone is so far away."""
TOGETHER = 16
"""Rows from which on their order is looked at in less time together than row by row."""


@dataclass(frozen=True)
class SeriesOptions:
    """How the rows of a series are labelled and segmented.

    Parameters
    ----------
    min_dwell, confirm
        As in `Segmenter`.
    late
        What is done with a row whose time is not after that of the one before: ``raise``, ``skip``
        or ``learn``.
    max_gap
        Seconds without a row after which one is said to be missing; None for no limit.
    on_gap
        ``reset`` ends the segment there and begins anew, ``hold`` lets the regime last as if no
        more than ``max_gap`` had passed.
    """

    min_dwell: int = 1
    confirm: int = 1
    late: str = "raise"
    max_gap: float | None = None
    on_gap: str = "reset"

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> SeriesOptions:
        """Return the options that the header of a checkpoint has recorded."""
        return cls(**{field.name: recorded[field.name] for field in fields(cls)})


class Refusal(NamedTuple):
    """A row of a batch that is refused, and the reason."""

    row: int
    error: InputError


class Accepted(NamedTuple):
    """Which rows of a batch are labelled.

    Parameters
    ----------
    rows
        Their numbers in the batch.
    seconds
        Their times as the model has them; None if there are none.
    resets
        Places in ``rows`` before which there is a gap at which everything begins anew.
    refusal
        Why there is an end, if there is one.
    """

    rows: NDArray[np.intp]
    seconds: NDArray[np.float64] | None
    resets: list[int]
    refusal: Refusal | None


class Order(OrderGuard):
    """Tell which rows of a key are labelled, and where gaps are between them.

    Parameters
    ----------
    options
        What is done with late rows and at gaps.

    Attributes
    ----------
    n_gaps
        Gaps in time.
    n_steps_back
        Places where the time steps back by exactly an hour from where the next row was due.
    was_ahead
        Where a clock was ahead after which rows are taken again, and where that is; empty if none
        was.
    """

    def __init__(self, options: SeriesOptions) -> None:
        super().__init__()
        self.n_gaps = self.n_steps_back = 0
        self._options = options
        self._last: tuple[str, int] = ("", 0)
        self._step = math.nan
        self._cut = 0.0
        self._n_late_in_a_row = self._n_in_order = 0
        self._late_at = -math.inf
        self._was_late = False
        self.was_ahead = ""

    @property
    def n_dropped(self) -> int:
        """Rows that came twice or late."""
        return self.n_duplicates + self.n_late

    @property
    def is_stuck(self) -> bool:
        """Whether all of the last rows came late, as they do after a clock that was wrong."""
        return self._n_late_in_a_row >= STUCK

    def why_stuck(self, key: str) -> str:
        """Say why, and what to do, for the rows of this key."""
        text, line = self._last
        of = f" of {key!r}" if key else ""
        return (
            f"{STUCK} rows in a row{of} came late and were dropped: none is after {text!r} in line "
            f"{line:,}. If the clock was wrong there, nothing is labelled until that time has "
            "come, and --resume goes on so: start afresh without that row, or with --late learn"
        )

    def accept(self, batch: Batch) -> Accepted:
        """Return the rows that have not come before and are not late, and the gaps between them."""
        n = len(batch)
        if batch.seconds is None and batch.sequence is None:
            return Accepted(np.arange(n), None, [], None)
        if batch.seconds is not None and batch.sequence is None and n >= TOGETHER:
            steps = np.diff(batch.seconds, prepend=self.seconds)
            if (steps > 0.0).all():
                return self._accept_in_order(batch, batch.seconds, steps)
        nothing: list[Any] = [None] * n
        all_seconds = nothing if batch.seconds is None else batch.seconds.tolist()
        sequence = nothing if batch.sequence is None else batch.sequence
        late = self._options.late
        rows: list[int] = []
        times: list[float] = []
        resets: list[int] = []
        refusal: Refusal | None = None
        for i, (number, seconds) in enumerate(zip(sequence, all_seconds, strict=True)):
            if number is not None and self.is_duplicate(number, seconds):
                continue
            if seconds is not None:
                if seconds <= self.seconds:
                    is_hour = abs(self.seconds + self._step - HOUR - seconds) < 1e-3
                    is_step_back = is_hour and not self._was_late
                    self._was_late = True
                    self.n_steps_back += is_step_back
                    if late == "raise":
                        refusal = Refusal(i, self._late(batch.row(i), is_step_back))
                        break
                    if late == "skip" and not self._is_set_right(seconds, batch, i):
                        self.drop(seconds)
                        self._n_late_in_a_row += seconds < self.seconds
                        continue
                elif self._is_reset(seconds, batch, i):
                    resets.append(len(rows))
                times.append(seconds - self._cut)
            rows.append(i)
        of_model = np.array(times) if batch.seconds is not None else None
        return Accepted(np.array(rows, dtype=np.intp), of_model, resets, refusal)

    def _accept_in_order(
        self, batch: Batch, seconds: NDArray[np.float64], steps: NDArray[np.float64]
    ) -> Accepted:
        """Do the same for rows that are later than the last one, each by such a step."""
        n, longest = len(batch), self._options.max_gap
        cut: float | NDArray[np.float64] = self._cut
        resets: list[int] = []
        if longest is not None:
            is_gap = steps > longest
            is_gap[0] &= self.seconds > -math.inf
            self.n_gaps += int(np.count_nonzero(is_gap))
            if self._options.on_gap == "hold":
                # one after the other, as sums of floats depend on their order
                cut = np.cumsum(np.append(self._cut, np.where(is_gap, steps - longest, 0.0)))[1:]
                self._cut = float(cut[-1])
            else:
                resets = np.flatnonzero(is_gap).tolist()
        self._be_at(float(seconds[-1]), float(steps[-1]), batch, n - 1)
        return Accepted(np.arange(n), seconds - cut, resets, None)

    def _is_set_right(self, seconds: float, batch: Batch, i: int) -> bool:
        """Go on from a late row if the last time has not come yet, and late rows go on in order.

        The model has its time as that of the row after the last one.
        """
        step = seconds - self._late_at
        self._n_in_order = self._n_in_order + 1 if step > 0.0 else 1
        self._late_at = seconds
        latest = time.time() + DAY
        if self._n_in_order < STUCK or not seconds <= latest < self.seconds:
            return False
        text, line = self._last
        now, key = int(batch.lines[i]), batch.row(i).key
        self.was_ahead = (
            f"the clock{f' of {key!r}' if key else ''} was ahead in line {line:,}, where the time "
            f"is {text!r}: the {STUCK - 1} rows after it are dropped as late, and from line "
            f"{now:,} on rows are taken again"
        )
        self._cut += seconds - self.seconds - step
        self._be_at(seconds, step, batch, i)
        return True

    def _late(self, row: Row, is_step_back: bool) -> InputError:
        text, line = self._last
        of = f" of {row.key!r}" if row.key else ""
        advice = "sort the rows, or say --late skip or --late learn"
        if is_step_back:
            advice = (
                "it steps back by exactly an hour, as clocks that are set back for winter do: name "
                "the zone, as in --time-zone Europe/Berlin"
            )
        return InputError(
            f"line {row.line}: time {row.time!r}{of} is not after {text!r} in line {line}; {advice}"
        )

    def _is_reset(self, seconds: float, batch: Batch, i: int) -> bool:
        """Go on to a later row; return whether everything begins anew there, after a gap."""
        last = self.seconds
        self._be_at(seconds, seconds - last, batch, i)
        longest = self._options.max_gap
        if longest is None or seconds - last <= longest or last == -math.inf:
            return False
        self.n_gaps += 1
        if self._options.on_gap == "hold":
            self._cut += seconds - last - longest
            return False
        return True

    def _be_at(self, seconds: float, step: float, batch: Batch, i: int) -> None:
        self.seconds, self._step = seconds, step
        self._n_late_in_a_row = self._n_in_order = 0
        self._late_at = -math.inf
        self._was_late = False
        self._last = (batch.texts.time_at(i), int(batch.lines[i]))

    def state(self) -> dict[str, Any]:
        """Return all that is needed to continue, as plain values, for `load`."""
        return {
            "counts": [getattr(self, name) for name in COUNTS],
            "sequence": self.sequence,
            "last": (self.seconds, *self._last),
            "step": self._step,
            "cut": self._cut,
            "late": (self._n_late_in_a_row, self._n_in_order, self._late_at),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` has returned."""
        for name, count in zip(COUNTS, state["counts"], strict=True):
            setattr(self, name, count)
        self.sequence = state["sequence"]
        self.seconds, text, line = state["last"]
        self._last = (text, line)
        self._step, self._cut = state["step"], state["cut"]
        self._n_late_in_a_row, self._n_in_order, self._late_at = state["late"]
