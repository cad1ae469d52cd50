"""Blocks: many rows of one key at a time, by columns, and the texts that they were cut from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from replay.rows import Row, Source

BLOCK = 16_384
"""Rows of a block at most."""


class Texts(Protocol):
    """Times and values of rows as they were written."""

    def part(self, rows: slice) -> Texts:
        """Those of some rows."""
        ...

    def time_at(self, row: int) -> str:
        """The time of a row; empty if it has none."""
        ...

    def times(self) -> list[str]:
        """The times of all rows."""
        ...

    def values_at(self, row: int) -> tuple[str, ...]:
        """The values of a row."""
        ...


@dataclass(frozen=True)
class CutTexts:
    """Texts cut out of bytes, without their quotes.

    Parameters
    ----------
    data
        The bytes, UTF-8.
    starts, ends
        Of each row's cells, shape (n, S), 32-bit.
    time
        Which cell is the time; None if there is none.
    values
        Which cells are the values, in their order.
    bare
        Whether all of them can stand between commas as they are.
    """

    data: bytearray
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    time: int | None
    values: tuple[int, ...]
    bare: bool

    def part(self, rows: slice) -> CutTexts:
        return CutTexts(
            self.data, self.starts[rows], self.ends[rows], self.time, self.values, self.bare
        )

    def time_at(self, row: int) -> str:
        return "" if self.time is None else self._cell(row, self.time)

    def times(self) -> list[str]:
        if self.time is None:
            return [""] * len(self.starts)
        data = self.data
        places = zip(
            self.starts[:, self.time].tolist(), self.ends[:, self.time].tolist(), strict=True
        )
        return [data[start:end].decode() for start, end in places]

    def values_at(self, row: int) -> tuple[str, ...]:
        return tuple([self._cell(row, place) for place in self.values])

    def _cell(self, row: int, place: int) -> str:
        return self.data[self.starts[row, place] : self.ends[row, place]].decode()


@dataclass(frozen=True)
class Block:
    """Rows that follow one another, a line each.

    Parameters
    ----------
    line
        That of the first row.
    names
        Of the values.
    values
        Shape (n, D), row by row; NaN is a missing one.
    texts
        As they were written.
    """

    line: int
    names: tuple[str, ...]
    values: NDArray[np.float64]
    texts: Texts

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, end: int) -> Block:
        """The rows from the first to the one before the end."""
        rows = slice(first, end)
        return Block(self.line + first, self.names, self.values[rows], self.texts.part(rows))

    def row(self, i: int) -> Row:
        values: dict[Any, float] = dict(zip(self.names, self.values[i].tolist(), strict=True))
        return Row(self.line + i, self.texts.time_at(i), self.texts.values_at(i), values)


Item = Block | Row | None
"""What comes of a source: many rows, one, or none for the moment."""


@runtime_checkable
class BlockSource(Protocol):
    """A source that can hand on blocks."""

    def blocks(self, at_most: int) -> Iterator[Item]:
        """The rows of the source, where that can be in blocks of so many at most.

        ``position`` is after the block, or row, handed on last.
        """
        ...


def items_of(source: Source, at_most: int) -> Iterator[Item]:
    """Rows, in blocks if the source can."""
    return source.blocks(at_most) if isinstance(source, BlockSource) else iter(source)


def rows_in(item: Item) -> int:
    """How many rows have come."""
    return 0 if item is None else len(item) if isinstance(item, Block) else 1
