"""Blocks: many rows at a time, by columns, and the texts that they were cut from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from replay.engine.rows import Row, Source

BLOCK = 16_384
"""Rows of a block at most."""


Rows = slice | NDArray[np.intp]
"""Which rows: those between two, or by their numbers."""


class Texts(Protocol):
    """Times and values of rows as they were written."""

    def part(self, rows: Rows) -> Texts:
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


class Places(NamedTuple):
    """Which of the cells of a row are its time, its key and its values; None if there is none."""

    time: int | None
    key: int | None
    values: tuple[int, ...]


@dataclass(frozen=True)
class CutTexts:
    """Texts cut out of bytes, without their quotes.

    Parameters
    ----------
    data
        The bytes, UTF-8.
    starts, ends
        Of each row's cells, shape (n, S), 32-bit.
    places
        Which cells are what.
    bare
        Whether all of them can stand between commas as they are.
    """

    data: bytearray
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    places: Places
    bare: bool

    def part(self, rows: Rows) -> CutTexts:
        return CutTexts(self.data, self.starts[rows], self.ends[rows], self.places, self.bare)

    def time_at(self, row: int) -> str:
        return "" if self.places.time is None else self._cell(row, self.places.time)

    def times(self) -> list[str]:
        time = self.places.time
        return [""] * len(self.starts) if time is None else self._column(time)

    def keys(self) -> list[str] | None:
        """The keys of all rows; None if they have none."""
        return None if self.places.key is None else self._column(self.places.key)

    def values_at(self, row: int) -> tuple[str, ...]:
        return tuple([self._cell(row, place) for place in self.places.values])

    def _cell(self, row: int, place: int) -> str:
        return self.data[self.starts[row, place] : self.ends[row, place]].decode()

    def _column(self, place: int) -> list[str]:
        data = self.data
        cells = zip(self.starts[:, place].tolist(), self.ends[:, place].tolist(), strict=True)
        return [data[start:end].decode() for start, end in cells]


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
    keys
        Of what each row is a measurement; None if all are of the same.
    """

    line: int
    names: tuple[str, ...]
    values: NDArray[np.float64]
    texts: Texts
    keys: list[str] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, first: int, end: int) -> Block:
        """The rows from the first to the one before the end."""
        rows = slice(first, end)
        keys = None if self.keys is None else self.keys[rows]
        return Block(self.line + first, self.names, self.values[rows], self.texts.part(rows), keys)

    def key_at(self, i: int) -> str:
        return "" if self.keys is None else self.keys[i]

    def row(self, i: int) -> Row:
        values: dict[Any, float] = dict(zip(self.names, self.values[i].tolist(), strict=True))
        texts = self.texts
        return Row(self.line + i, texts.time_at(i), texts.values_at(i), values, key=self.key_at(i))


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
