"""The rows of the segment that is going on, so that it can be cut at a row of the past."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.state import doubles, instance, plain
from online_gmm.segmentation.pieces import Pieces
from online_gmm.segmentation.row_statistics import RowStatistics

Matrix = NDArray[np.float64]

KEPT = 512
"""Rows that are kept as they are, at least, if the segment has so many."""
SUMMED = 256
"""Rows that are summed up together, once there are so many more than `KEPT`."""
WAITING = 1024
"""Rows that may wait until they are summed up: many at once cost less, and come to the same."""
MOST = KEPT + SUMMED + WAITING
"""Rows from which on they are summed up."""
AT_ONCE = 64 * SUMMED
"""Rows that are summed up at once, so that memory stays bounded."""


class RecentRows:
    """Rows from the start of a segment on: the latest as they are, older ones as sums.

    A change of regime is known some time after it took place. Then the segment is cut where the
    change took place: exactly, if that is among the last 512 rows, else between two pieces whose
    length is at most 1/16 of their age. Rows of the piece in which a cut falls are counted, but
    have no part in the statistics of either side.

    Parameters
    ----------
    n_channels
        D.
    first
        The number of the first row.
    timed
        Whether rows have times; else their numbers stand for them.

    Notes
    -----
    Memory: O(D) for each of at most 1,792 rows, and O(D^2 log n).
    """

    __slots__ = (
        *("_first_kept", "_pieces", "_rows", "_times", "_total"),
        *("first", "n_channels", "timed"),
    )

    def __init__(self, n_channels: int, first: int = 0, timed: bool = False) -> None:
        self.n_channels = n_channels
        self.first = first
        self.timed = timed
        self._pieces = Pieces(n_channels)
        self._rows = array("d")
        self._times: list[Any] = []
        # the number of the first row that is kept as it is
        self._first_kept = first
        # the statistics of all rows when they were last asked for, and which rows these were
        self._total: tuple[int, int, RowStatistics] | None = None

    def __len__(self) -> int:
        return self._first_kept - self.first + len(self._rows) // self.n_channels

    @property
    def end(self) -> int:
        """The number of the row that comes next."""
        return self._first_kept + len(self._rows) // self.n_channels

    def extend(self, rows: memoryview, times: Sequence[Any] = ()) -> None:
        """Add rows, n * D doubles, and their n times if rows are timed.

        Amortised O(D^2) a row.
        """
        self._rows.frombytes(rows.cast("B"))
        self._times.extend(times)
        if len(self._rows) >= MOST * self.n_channels:
            self._sum_up()

    def append(self, row: array[float], time: Any) -> int:
        """Add one row of D doubles, and its time if rows are timed; return how many there are."""
        rows = self._rows
        rows.extend(row)
        if self.timed:
            self._times.append(time)
        n_kept = len(rows) // self.n_channels
        n = self._first_kept - self.first + n_kept
        if n_kept >= MOST:
            self._sum_up()
        return n

    def _sum_up(self) -> None:
        """Sum up what is due, `SUMMED` rows and their multiples."""
        n = (len(self._rows) // self.n_channels - KEPT) // SUMMED * SUMMED
        if n <= 0:
            return
        kept = np.frombuffer(self._rows).reshape(-1, self.n_channels)
        done = 0
        while done < n:
            end = min(n, done + (AT_ONCE if self._pieces.is_regular else SUMMED))
            times = self._times[done:end] if self.timed else None
            self._pieces.add(self._first_kept + done, kept[done:end], times)
            done = end
        del kept
        self._rows = self._rows[done * self.n_channels :]
        self._times = self._times[done:]
        self._first_kept += done

    def latest(self, end: int) -> tuple[int, Matrix]:
        """Return the number of the first of the last 512 rows, and those of them before ``end``."""
        first = max(self.first, self.end - KEPT)
        rows = np.array(self._rows[(first - self._first_kept) * self.n_channels :])
        return first, rows.reshape(-1, self.n_channels)[: max(0, end - first)]

    def total(self) -> RowStatistics:
        """Return the statistics of all rows. O(n D^2), n at most 768 and the pieces.

        They are handed out again while no row comes or goes, and not to be changed.
        """
        first, end = self.first, self.end
        if self._total is None or self._total[:2] != (first, end):
            self._sum_up()
            self._total = (first, end, self._sum(first, end))
        return self._total[2]

    def cut(self, at: int) -> RowStatistics:
        """Let go of the rows before number ``at``, and return their statistics."""
        end = self.end
        if not self.first <= at <= end:
            raise ValueError(f"row {at} is not among rows {self.first} to {end}")
        self._sum_up()
        result = self._sum(self.first, at)
        result.n = at - self.first
        begin = self._first_kept
        if at >= begin:
            self._rows = self._rows[(at - begin) * self.n_channels :]
            self._times = self._times[at - begin :]
            self._pieces = Pieces(self.n_channels)
            self._first_kept = at
        else:
            time = self.time_of(at)
            inside = self._pieces.cut(at)
            if inside is not None:
                # what is left of the piece that the cut falls into: its rows are not known
                start, n = inside
                rest = RowStatistics(self.n_channels)
                rest.n = start + n - at
                self._pieces.insert(0, at, time, rest)
        self.first = at
        return result

    def _sum(self, begin: int, end: int) -> RowStatistics:
        result = self._pieces.total(begin, end)
        kept = self._first_kept
        low, high = max(begin - kept, 0), end - kept
        if high > low:
            rows = np.frombuffer(self._rows).reshape(-1, self.n_channels)
            result.add(RowStatistics.of(rows[low:high]))
            del rows
        result.n = end - begin
        return result

    def time_of(self, row: int) -> Any:
        """Return the time of a row, or its number if rows have no times.

        The time of a row that is no longer kept is interpolated between the first rows of pieces.
        If times are no numbers or dates, it is that of the first row of its piece; in a tuple, a
        whole number at the front is taken to count rows, and stays exact.
        """
        if not self.timed:
            return row
        self._sum_up()
        kept = self._first_kept
        if row >= kept:
            return self._times[row - kept]
        pieces = self._pieces
        i = pieces.place_of(row)
        begin, time = pieces.starts[i], pieces.times[i]
        if begin == row:
            return time
        if isinstance(time, tuple) and time and isinstance(time[0], int):
            return (time[0] + row - begin, *time[1:])
        after = pieces.times[i + 1] if i + 1 < len(pieces) else self._times[0]
        try:
            return time + (after - time) * ((row - begin) / pieces.sizes[i])
        except TypeError:
            return time

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> list[Any]:
        """Return the rows as plain values, for `from_state`."""
        self._sum_up()
        its = self._pieces
        pieces = [
            [its.starts[i], plain(its.times[i], "a time"), its[i].state()] for i in range(len(its))
        ]
        times = [plain(time, "a time") for time in self._times]
        return [self.first, self.timed, pieces, self._rows.tobytes(), times]

    @classmethod
    def from_state(cls, state: Any, n_channels: int) -> RecentRows:
        """Return what `state` was made of."""
        first, timed, pieces, rows, times = state
        result = cls(n_channels, instance(first, int, "first"), instance(timed, bool, "timed"))
        for begin, time, piece in pieces:
            if begin != result._first_kept:
                raise ValueError("a piece does not follow the one before")
            its = RowStatistics.from_state(piece, n_channels)
            result._pieces.insert(len(result._pieces), begin, time, its)
            result._first_kept += its.n
        kept = doubles(rows, (-1, n_channels), "rows", missing=True)
        result._rows.frombytes(kept.tobytes())
        result._times = instance(times, list, "times")
        if len(times) != (len(kept) if timed else 0):
            raise ValueError("there is not a time for each row")
        return result
