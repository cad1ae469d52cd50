"""Lines of plain CSV cut into cells and numbers by pyarrow, up to one that is not plain."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from replay.engine.keys import Keys
from replay.engine.rows import LARGEST

MOST = 2**31
"""Bytes of a piece of which cells can be told apart; only a line can be as long."""
LONGEST = 131_072
"""Bytes of a line that is cut."""
LF, CR, QUOTE = b'\n\r"'
PLAIN = {mark: rf"^-?([0-9]+[{mark}]?[0-9]*|[{mark}][0-9]+)([eE][-+]?[0-9]+)?$" for mark in ".,"}
"""Numbers in digits, by their decimal mark."""


@dataclass(frozen=True)
class Layout:
    """What is wanted of the cells of a line.

    Parameters
    ----------
    delimiter, decimal
        Between cells, and in numbers.
    slots
        For each cell of a line, at which place its text is wanted; -1 where it is not.
    numbers
        The same for its number.
    """

    delimiter: str
    decimal: str
    slots: tuple[int, ...]
    numbers: tuple[int, ...]


@dataclass
class Cut:
    """Lines that were cut into cells.

    Parameters
    ----------
    data
        The bytes that they are part of.
    bounds
        Where each line begins in these, and where the last one ends; shape (n + 1,).
    texts
        The cells wanted, one after the other.
    starts, ends
        Of the cells wanted in these, shape (n, S).
    values
        Numbers wanted, shape (n, D), NaN where a cell is empty or unread.
    unread
        Flat places in values of cells that are yet to be read, ascending.
    """

    data: bytearray
    bounds: NDArray[np.int64]
    texts: bytearray
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    values: NDArray[np.float64]
    unread: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def end(self) -> int:
        """Where the last line ends."""
        return int(self.bounds[-1])

    def shorten(self, n: int) -> None:
        """Leave out all lines but the first so many."""
        self.bounds = self.bounds[: n + 1]
        self.starts, self.ends, self.values = self.starts[:n], self.ends[:n], self.values[:n]

    def line(self, i: int) -> str:
        """The text of a line."""
        return self.data[self.bounds[i] : self.bounds[i + 1]].decode()

    def keys(self, slot: int) -> Keys:
        """The texts of a column, of which many are equal."""
        starts, ends, n = self.starts[:, slot], self.ends[:, slot], len(self)
        if not n:
            return Keys.of(())
        # the cells of a column stand one after the other
        begin, end = int(starts[0]), int(ends[-1])
        offsets = np.append(starts, ends[-1]) - np.int32(begin)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.texts[begin:end])]
        coded = pa.Array.from_buffers(pa.string(), n, buffers).dictionary_encode()
        codes = np.frombuffer(coded.indices.buffers()[1], np.int32)[:n]
        return Keys(codes, coded.dictionary.to_pylist())

    def text(self, i: int, slot: int) -> str:
        """The text of a cell."""
        return self.texts[self.starts[i, slot] : self.ends[i, slot]].decode()


def cut_lines(data: bytearray, begin: int, layout: Layout) -> Cut:
    """The lines from begin on that are plain, cut by pyarrow."""
    line_feeds = np.flatnonzero(np.frombuffer(data, np.uint8)[begin:] == LF)
    bounds = np.append(begin, begin + 1 + line_feeds)
    n = _n_plain(data, bounds, layout.delimiter) if len(data) < MOST and _is_text(data) else 0
    columns, n = _texts(data[begin : bounds[n]], n, layout)
    texts = bytearray()
    starts, ends = (np.empty((n, len(columns)), np.int32) for _ in range(2))
    for j, column in enumerate(columns):
        _, offsets, cells = column.buffers()
        at = len(texts) + np.frombuffer(offsets, np.int32)[: n + 1]
        starts[:, j], ends[:, j] = at[:-1], at[1:]
        texts += cells or b""
    wanted = [slot for _, slot in _places(layout.numbers, layout.slots)]
    values = _numbers([columns[slot] for slot in wanted], layout)
    filled = (ends > starts)[:, wanted]
    with np.errstate(invalid="ignore"):
        known = filled & (np.abs(values) <= LARGEST)
    values[~known] = np.nan
    return Cut(data, bounds[: n + 1], texts, starts, ends, values, np.flatnonzero(filled & ~known))


def _places(order: Sequence[int], places: Sequence[int]) -> list[tuple[int, int]]:
    """Those that are wanted, in order: none where the order is -1."""
    return sorted(both for both in zip(order, places, strict=True) if both[0] >= 0)


def _n_plain(data: bytearray, bounds: NDArray[np.int64], delimiter: str) -> int:
    """How many lines come before one that is blank, marked, too long, or of odd ends or quotes."""
    begin, lengths = int(bounds[0]), np.diff(bounds)
    if data.startswith(codecs.BOM_UTF8, begin):
        return 0
    codes = np.frombuffer(data, np.uint8)
    blank = (lengths == 1) | ((lengths == 2) & (codes[bounds[:-1]] == CR))
    wrong = [np.flatnonzero(blank | (lengths > LONGEST))[:1]]
    if (marked := data.find(b"\n" + codecs.BOM_UTF8, begin)) >= 0:
        wrong.append(_lines(bounds, np.array([marked + 1])))
    if data.find(b"\r", begin) >= 0:
        places = begin + np.flatnonzero(codes[begin:] == CR)
        wrong.append(_lines(bounds, places[codes[places + 1] != LF][:1]))
    if data.find(b'"', begin) >= 0:
        # cells in quotes have none within, and end in their line
        places = begin + np.flatnonzero(codes[begin:] == QUOTE)
        lines = _lines(bounds, places)
        around = np.zeros(256, np.bool_)
        around[[ord(delimiter), LF, CR]] = True
        opens = around[codes[places - 1]] | (places == bounds[lines])
        closes = around[codes[places + 1]]
        n = len(places) // 2
        good = np.zeros(len(places) - n, np.bool_)
        good[:n] = opens[: 2 * n : 2] & closes[1::2] & (lines[: 2 * n : 2] == lines[1::2])
        wrong.append(lines[::2][~good][:1])
    return int(min((its[0] for its in wrong if len(its)), default=len(lengths)))


def _lines(bounds: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The line that each place is in."""
    return np.searchsorted(bounds, places, "right") - 1


def _texts(data: bytearray, n: int, layout: Layout) -> tuple[list[pa.Array], int]:
    """The cells wanted of n lines, up to one of another width; and how many lines these are."""
    wanted = [place for _, place in _places(layout.slots, range(len(layout.slots)))]
    wrong: list[int] = []

    def refused(row: csv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    columns = _columns(data, wanted, layout, refused) if n else []
    n = min(wrong, default=n)
    if not n:
        columns = [pa.array([""], pa.string()) for _ in wanted]
    return [column[:n] for column in columns], n


def _numbers(texts: list[pa.Array], layout: Layout) -> NDArray[np.float64]:
    """The numbers that these texts are; NaN where one is not plain."""
    values = np.empty((len(texts[0]), len(texts)))
    for j, column in enumerate(texts if len(values) else ()):
        # `to_numpy` would import pandas
        values[:, j] = np.frombuffer(_cast(column, layout.decimal).buffers()[1])[: len(column)]
    return values


def _cast(texts: pa.Array, decimal: str) -> pa.Array:
    """The numbers of a column. Reading its cells a second time would take twice as long."""
    pointed = texts
    if decimal != ".":
        if pc.any(pc.match_substring(texts, ".")).as_py():
            return _plain(texts, decimal)
        pointed = pc.replace_substring(texts, decimal, ".")
    for trim in (False, True):
        try:
            bare = pc.ascii_trim(pointed, " \t") if trim else pointed
            return bare.cast(pa.float64())
        except pa.ArrowInvalid:
            continue
    return _plain(texts, decimal)


def _plain(texts: pa.Array, decimal: str) -> pa.Array:
    """The numbers of a column with other texts in between; NaN where there is one."""
    bare = pc.ascii_trim(texts, " ")
    bare = pc.if_else(pc.match_substring_regex(bare, PLAIN[decimal]), bare, None)
    try:
        numbers = pc.replace_substring(bare, decimal, ".").cast(pa.float64())
    except pa.ArrowInvalid:
        numbers = pa.nulls(len(texts), pa.float64())
    return pc.fill_null(numbers, math.nan)


def _columns(
    data: bytearray,
    places: list[int],
    layout: Layout,
    refused: Callable[[csv.InvalidRow], str],
) -> list[pa.Array]:
    """The texts of some columns; ``refused`` gets lines of another width."""
    names = [str(place) for place in range(len(layout.slots))]
    wanted = [names[place] for place in places]
    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        csv.ParseOptions(
            delimiter=layout.delimiter, ignore_empty_lines=False, invalid_row_handler=refused
        ),
        csv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()),
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    return [column.combine_chunks() for column in table.columns]


def _is_text(data: bytearray) -> bool:
    """Whether it is UTF-8 without what stands for characters that were lost."""
    if b"\0" in data:
        return False
    if data.isascii():
        return True
    try:
        return "\ufffd" not in data.decode()
    except UnicodeDecodeError:
        return False
