"""Rows of long ago as sums: pieces that follow one another, the longer the older they are."""

from __future__ import annotations

from array import array
from typing import Any

from online_gmm import _kernel
from online_gmm.segmentation.row_statistics import Matrix, RowStatistics, n_values, values_of

PIECE = 16
"""Rows of the smallest piece."""
SAME = 16
"""Pieces of one size; one more, and the two oldest of them become one of twice the size."""


class Pieces:
    """Sums of pieces of rows with ``n_channels`` numbers, the oldest first.

    Attributes
    ----------
    starts, sizes
        The number of the first row of each piece, and how many rows it has.
    times
        Of the first rows; None without times.
    values
        Those of the statistics of each piece, one piece after another.
    """

    __slots__ = ("n_channels", "sizes", "starts", "times", "values")

    def __init__(self, n_channels: int) -> None:
        self.n_channels = n_channels
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.times: list[Any] = []
        self.values = array("d")

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def is_regular(self) -> bool:
        """Whether no piece stands apart: what is left of one that was cut does, until joined."""
        return all(map(is_size, self.sizes)) and self.sizes == sorted(self.sizes, reverse=True)

    def add(self, start: int, rows: Matrix, times: list[Any] | None) -> None:
        """Sum up rows from number ``start`` on, a multiple of `PIECE`, and join older pieces."""
        n = len(rows) // PIECE
        self.values.frombytes(values_of(rows.reshape(n, PIECE, self.n_channels)).tobytes())
        self.starts += range(start, start + len(rows), PIECE)
        self.sizes += [PIECE] * n
        self.times += [None] * n if times is None else times[: len(rows) : PIECE]
        self._coarsen()

    def insert(self, place: int, start: int, time: Any, piece: RowStatistics) -> None:
        """Insert a piece."""
        width = n_values(self.n_channels)
        self.values[place * width : place * width] = array("d", piece.values.tobytes())
        self.starts.insert(place, start)
        self.sizes.insert(place, piece.n)
        self.times.insert(place, time)

    def _coarsen(self) -> None:
        """Join the two oldest pieces of each size of which there are too many."""
        sizes = self.sizes
        size = PIECE
        while size in sizes:
            n, first = sizes.count(size), sizes.index(size)
            n_pairs = (n - SAME + 1) // 2
            if n_pairs > 1 and sizes[first : first + n] == [size] * n:
                self._join(first, n_pairs)
            # what is left of a piece that was cut may have this size by chance, and stands apart
            while sizes.count(size) > SAME:
                self._join(sizes.index(size), 1)
            size *= 2

    def _join(self, first: int, n_pairs: int) -> None:
        """Join each two of 2 ``n_pairs`` pieces from a place on."""
        _kernel.join_pairs(self.values, self.n_channels, first, n_pairs)
        width, middle, end = n_values(self.n_channels), first + n_pairs, first + 2 * n_pairs
        del self.values[middle * width : end * width]
        sizes = self.sizes[first:end]
        self.sizes[first:end] = map(sum, zip(sizes[::2], sizes[1::2], strict=True))
        del self.starts[first + 1 : end : 2]
        del self.times[first + 1 : end : 2]

    def __getitem__(self, place: int) -> RowStatistics:
        """The statistics of a piece."""
        result = RowStatistics(self.n_channels)
        result.n = self.sizes[place]
        width = n_values(self.n_channels)
        result.values[:] = self.values[place * width : (place + 1) * width]
        return result

    def total(self, begin: int, end: int) -> RowStatistics:
        """The statistics of the pieces that lie within some rows, joined one after another."""
        ends = map(int.__add__, self.starts, self.sizes)
        low = sum(start < begin for start in self.starts)
        high = sum(its <= end for its in ends)
        if low >= high:
            return RowStatistics(self.n_channels)
        result = self[low].copy()
        result.n = sum(self.sizes[low:high])
        _kernel.join_all(result.values, self.values, self.n_channels, low + 1, high)
        return result

    def place_of(self, row: int) -> int:
        """The last piece that begins at a row or before it."""
        return sum(start <= row for start in self.starts) - 1

    def cut(self, at: int) -> tuple[int, int] | None:
        """Let go of pieces that begin before a row.

        Returns the first row of the piece that the cut falls into, and how many it had, if any.
        """
        n = sum(start < at for start in self.starts)
        inside = None
        if n and at < self.starts[n - 1] + self.sizes[n - 1]:
            inside = self.starts[n - 1], self.sizes[n - 1]
        del self.starts[:n], self.sizes[:n], self.times[:n]
        del self.values[: n * n_values(self.n_channels)]
        return inside


def is_size(n: int) -> bool:
    """Whether pieces are made of so many rows: `PIECE`, doubled some times."""
    return n % PIECE == 0 and (n // PIECE) & (n // PIECE - 1) == 0
