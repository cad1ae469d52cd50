"""Batches: rows by columns, and the texts that they were read from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import Assignment, Assignments
from online_gmm.segmentation.segments import Segment
from replay.engine.keys import Keys
from replay.engine.rows import Row

MOST_BYTES = 2**30
"""Of texts that are cut: their places are of 32 bits."""
Rows = slice | NDArray[np.intp]
"""Which rows: those between two, or by their numbers."""


class Texts(Protocol):
    """Times and values of rows as they were written."""

    def part(self, rows: Rows) -> Texts:
        """Those of some rows."""
        ...

    def copy(self) -> Texts:
        """The same in memory of their own."""
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

    def values(self) -> list[tuple[str, ...]]:
        """The values of all rows."""
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

    data: bytes | bytearray
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    places: Places
    bare: bool

    def part(self, rows: Rows) -> CutTexts:
        return CutTexts(self.data, self.starts[rows], self.ends[rows], self.places, self.bare)

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are those of the cells, and no others."""
        return int((self.ends - self.starts).sum()) == len(self.data)

    def copy(self) -> CutTexts:
        if self.is_whole:
            starts, ends = self.starts.copy(), self.ends.copy()
            return CutTexts(bytearray(self.data), starts, ends, self.places, self.bare)
        lengths = (self.ends - self.starts).ravel()
        ends = np.cumsum(lengths, dtype=np.int32)
        starts = ends - lengths
        at = np.arange(ends[-1] if len(ends) else 0, dtype=np.int32)
        at += np.repeat(self.starts.ravel() - starts, lengths)
        data = bytearray(np.frombuffer(self.data, np.uint8)[at])
        shape = self.starts.shape
        return CutTexts(data, starts.reshape(shape), ends.reshape(shape), self.places, self.bare)

    def like(self, batch: Batch) -> CutTexts:
        """The texts of a batch as cells at the same places."""
        columns = [[""] * len(batch)] * self.starts.shape[1]
        if self.places.time is not None:
            columns[self.places.time] = batch.texts.times()
        if self.places.key is not None and batch.keys is not None:
            columns[self.places.key] = list(batch.keys)
        values = batch.texts.values()
        for j, place in enumerate(self.places.values):
            columns[place] = [written[j] for written in values]
        cells = [cell.encode() for row in zip(*columns, strict=True) for cell in row]
        lengths = np.array([len(cell) for cell in cells], dtype=np.int32)
        ends = np.cumsum(lengths, dtype=np.int32)
        starts, shape = ends - lengths, (len(batch), len(columns))
        data = bytearray(b"".join(cells))
        is_bare = not any(mark in data for mark in b',"\r\n')
        return CutTexts(data, starts.reshape(shape), ends.reshape(shape), self.places, is_bare)

    @classmethod
    def joined(cls, texts: Sequence[CutTexts]) -> CutTexts:
        """Those of the same cells of rows, one after the other."""
        first: dict[int, int] = {}
        data = bytearray()
        for its in texts:
            # parts of a batch have their bytes in common
            if id(its.data) not in first:
                first[id(its.data)] = len(data)
                data += its.data
        shifts = np.repeat(
            np.array([first[id(its.data)] for its in texts], dtype=np.int32),
            [len(its.starts) for its in texts],
        )[:, None]
        return cls(
            data,
            np.concatenate([its.starts for its in texts]) + shifts,
            np.concatenate([its.ends for its in texts]) + shifts,
            texts[0].places,
            all(its.bare for its in texts),
        )

    def time_at(self, row: int) -> str:
        return "" if self.places.time is None else self._cell(row, self.places.time)

    def times(self) -> list[str]:
        time = self.places.time
        return [""] * len(self.starts) if time is None else self._column(time)

    def values_at(self, row: int) -> tuple[str, ...]:
        return tuple([self._cell(row, place) for place in self.places.values])

    def values(self) -> list[tuple[str, ...]]:
        columns = [self._column(place) for place in self.places.values]
        return list(zip(*columns, strict=True))

    def cells_of(self, place: int) -> tuple[bytes | bytearray | memoryview, NDArray[np.int32]]:
        """The cells at a place one after the other, and where they begin and the last one ends."""
        starts, ends = self.starts[:, place], self.ends[:, place]
        offsets = np.zeros(len(starts) + 1, dtype=np.int32)
        np.cumsum(ends - starts, out=offsets[1:])
        if not len(starts) or (starts[1:] == ends[:-1]).all():
            first = int(starts[0]) if len(starts) else 0
            return memoryview(self.data)[first : first + int(offsets[-1])], offsets
        at = np.arange(offsets[-1], dtype=np.int32)
        at += np.repeat(starts - offsets[:-1], ends - starts)
        return np.frombuffer(self.data, np.uint8)[at].tobytes(), offsets

    def _cell(self, row: int, place: int) -> str:
        return self.data[self.starts[row, place] : self.ends[row, place]].decode()

    def _column(self, place: int) -> list[str]:
        data = self.data
        cells = zip(self.starts[:, place].tolist(), self.ends[:, place].tolist(), strict=True)
        return [data[start:end].decode() for start, end in cells]


@dataclass(frozen=True)
class ListTexts:
    """Texts of rows that were read one by one.

    Parameters
    ----------
    moments
        Their times.
    cells
        Their values.
    """

    moments: list[str]
    cells: list[tuple[str, ...]]

    def part(self, rows: Rows) -> ListTexts:
        if isinstance(rows, slice):
            return ListTexts(self.moments[rows], self.cells[rows])
        places = rows.tolist()
        return ListTexts([self.moments[i] for i in places], [self.cells[i] for i in places])

    def copy(self) -> ListTexts:
        return ListTexts(self.moments[:], self.cells[:])

    def time_at(self, row: int) -> str:
        return self.moments[row]

    def times(self) -> list[str]:
        return self.moments

    def values_at(self, row: int) -> tuple[str, ...]:
        return self.cells[row]

    def values(self) -> list[tuple[str, ...]]:
        return self.cells


@dataclass(frozen=True)
class Batch:
    """Consecutive rows, stored by column: what a source hands on. A batch may be empty.

    Parameters
    ----------
    names
        Of the values.
    values
        Shape (n, D), row by row; NaN is a missing one.
    texts
        As they were written.
    lines
        Of each row its line in the file, or its number among the messages; shape (n,).
    keys
        Of what each row is a measurement; None if all are of the same.
    seconds
        The time of each row, shape (n,); None if times are not read.
    sequence
        The number that its device gave each row; None if numbers are not read.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    texts: Texts
    lines: NDArray[np.int64]
    keys: Keys | None = None
    seconds: NDArray[np.float64] | None = None
    sequence: list[int] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of_rows(cls, rows: Sequence[Row], names: Sequence[str] = ()) -> Batch:
        """The rows as a batch; the names of values are needed only if there is no row.

        All rows have a key, a time and a number, or none has.
        """
        values = np.array([tuple(row.values.values()) for row in rows], dtype=np.float64)
        first = rows[0] if rows else None
        names = names if first is None else [str(name) for name in first.values]
        keys = seconds = sequence = None
        if first is not None and first.key:
            keys = Keys.of(row.key for row in rows)
        if first is not None and first.seconds is not None:
            seconds = np.array([row.seconds for row in rows], dtype=np.float64)
        if first is not None and first.sequence is not None:
            sequence = [row.sequence or 0 for row in rows]
        return cls(
            tuple(names),
            values.reshape(len(rows), len(names)),
            ListTexts([row.time for row in rows], [row.texts for row in rows]),
            np.array([row.line for row in rows], dtype=np.int64),
            keys,
            seconds,
            sequence,
        )

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """The rows of batches of the same columns, one after the other."""
        if len(batches) == 1:
            return batches[0]
        first = batches[0]
        seconds = [batch.seconds for batch in batches if batch.seconds is not None]
        return cls(
            first.names,
            np.concatenate([batch.values for batch in batches]),
            _joined_texts(batches),
            np.concatenate([batch.lines for batch in batches]),
            None if first.keys is None else Keys.joined([its.keys for its in batches if its.keys]),
            np.concatenate(seconds) if seconds else None,
            None if first.sequence is None else [n for its in batches for n in its.sequence or ()],
        )

    def state(self) -> dict[str, Any]:
        """Return the rows by column, as plain values, for `of_state`."""
        texts: Any = self.texts
        if isinstance(texts, CutTexts):
            its = texts if texts.is_whole else texts.copy()
            written = [bytes(its.data), its.starts.tobytes(), its.ends.tobytes(), its.bare]
            texts = [*written, its.places]
        else:
            texts = [texts.times(), texts.values()]
        keys = self.keys
        return {
            "names": self.names,
            "values": self.values.tobytes(),
            "texts": texts,
            "lines": self.lines.tobytes(),
            "keys": None if keys is None else [keys.codes.tobytes(), keys.names],
            "seconds": None if self.seconds is None else self.seconds.tobytes(),
            "sequence": self.sequence,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Batch:
        """The rows that `state` has written, which are not checked; they cannot be changed."""
        lines = np.frombuffer(state["lines"], np.int64)
        n, keys, seconds = len(lines), state["keys"], state["seconds"]
        texts: Texts
        if len(state["texts"]) == 2:
            times, cells = state["texts"]
            texts = ListTexts(times, [tuple(written) for written in cells])
        else:
            data, *bounds, is_bare, (time, key, values) = state["texts"]
            starts, ends = (np.frombuffer(its, np.int32).reshape(n, -1) for its in bounds)
            texts = CutTexts(data, starts, ends, Places(time, key, tuple(values)), is_bare)
        return cls(
            tuple(state["names"]),
            np.frombuffer(state["values"]).reshape(n, -1),
            texts,
            lines,
            None if keys is None else Keys(np.frombuffer(keys[0], np.int32), keys[1]),
            None if seconds is None else np.frombuffer(seconds),
            state["sequence"],
        )

    def copy(self) -> Batch:
        """The same rows in memory of their own."""
        return Batch(
            self.names,
            self.values.copy(),
            self.texts.copy(),
            self.lines.copy(),
            None if self.keys is None else self.keys.copy(),
            None if self.seconds is None else self.seconds.copy(),
            None if self.sequence is None else self.sequence[:],
        )

    def part(self, first: int, end: int) -> Batch:
        """The rows from the first to the one before the end."""
        if first == 0 and end >= len(self):
            return self
        rows = slice(first, end)
        return Batch(
            self.names,
            self.values[rows],
            self.texts.part(rows),
            self.lines[rows],
            None if self.keys is None else self.keys.part(rows),
            None if self.seconds is None else self.seconds[rows],
            None if self.sequence is None else self.sequence[rows],
        )

    def take(self, rows: NDArray[np.intp]) -> Batch:
        """The rows of these numbers."""
        return Batch(
            self.names,
            self.values[rows],
            self.texts.part(rows),
            self.lines[rows],
            None if self.keys is None else self.keys.part(rows),
            None if self.seconds is None else self.seconds[rows],
            None if self.sequence is None else [self.sequence[i] for i in rows.tolist()],
        )

    def key_at(self, i: int) -> str:
        return "" if self.keys is None else self.keys[i]

    def row(self, i: int) -> Row:
        """A row by itself."""
        return Row(
            int(self.lines[i]),
            self.texts.time_at(i),
            self.texts.values_at(i),
            dict(zip(self.names, self.values[i].tolist(), strict=True)),
            None if self.seconds is None else float(self.seconds[i]),
            self.key_at(i),
            None if self.sequence is None else self.sequence[i],
        )

    def rows(self) -> Iterator[Row]:
        """The rows one by one."""
        return self._rows(self.texts.values())

    def numbers(self) -> Iterator[Row]:
        """The rows one by one, without their values as written, which take most of the time."""
        return self._rows([()] * len(self))

    def _rows(self, texts: Sequence[tuple[str, ...]]) -> Iterator[Row]:
        nothing: list[None] = [None] * len(self)
        its = zip(
            self.lines.tolist(),
            self.texts.times(),
            texts,
            self.values.tolist(),
            nothing if self.seconds is None else self.seconds.tolist(),
            [""] * len(self) if self.keys is None else self.keys,
            nothing if self.sequence is None else self.sequence,
            strict=True,
        )
        for line, time, written, values, seconds, key, sequence in its:
            named: dict[Hashable, float] = dict(zip(self.names, values, strict=True))
            yield Row(line, time, written, named, seconds, key, sequence)


def _joined_texts(batches: Sequence[Batch]) -> Texts:
    """The texts of rows that follow each other; all are as those that are cut, if any are."""
    texts = [batch.texts for batch in batches]
    cut = [its for its in texts if isinstance(its, CutTexts)]
    kinds = {(its.places, its.starts.shape[1]) for its in cut}
    n_bytes = sum({id(its.data): len(its.data) for its in cut}.values())
    if len(kinds) == 1 and n_bytes <= MOST_BYTES:
        return CutTexts.joined(
            [
                batch.texts if isinstance(batch.texts, CutTexts) else cut[0].like(batch)
                for batch in batches
            ]
        )
    return ListTexts(
        [time for its in texts for time in its.times()],
        [cells for its in texts for cells in its.values()],
    )


def answers_at(answers: Assignments, rows: Rows) -> Assignments:
    """Those of some rows."""
    return Assignments(
        answers.labels[rows],
        answers.probabilities[rows],
        answers.log_densities[rows],
        answers.outliers[rows],
    )


class Ended(NamedTuple):
    """A segment that has ended, the row of the batch at which it ended, its key and its name."""

    row: int
    key: str
    segment: Segment
    name: str = ""


def none_ended() -> list[Ended]:
    return []


@dataclass(frozen=True)
class LabelledBatch:
    """Rows with the answers of the model, and the segments that ended among them.

    Parameters
    ----------
    batch
        The rows.
    answers
        Label, probability, log density and outlier flag of each.
    changes
        How many changes of regime are reported at a row, shape (n,). It may be more than one where
        regimes are found.
    ended
        Gives the segments that have ended, in order. They are made when they are asked for.
    names
        The name of each row's regime, empty where it has none; None if no regime has a name.
    causal
        The label that was known when each row came, shape (n,), if answers came later.
    n_ended
        How many segments have ended; None where they must be made to tell.
    """

    batch: Batch
    answers: Assignments
    changes: NDArray[np.int64]
    ended: Callable[[], list[Ended]] = none_ended
    names: list[str] | None = None
    causal: NDArray[np.int64] | None = None
    n_ended: int | None = None

    def __len__(self) -> int:
        return len(self.batch)

    def part(self, first: int, end: int) -> LabelledBatch:
        """Rows from the first to the one before the end, and the segments that ended there."""
        answers = answers_at(self.answers, slice(first, end))

        def ended() -> list[Ended]:
            found = self.ended()
            return [its._replace(row=its.row - first) for its in found if first <= its.row < end]

        return LabelledBatch(
            self.batch.part(first, end),
            answers,
            self.changes[first:end],
            ended,
            names=None if self.names is None else self.names[first:end],
            causal=None if self.causal is None else self.causal[first:end],
        )

    def rows(self, *, as_written: bool = True) -> Iterator[tuple[Row, Assignment, int]]:
        """Each row, what the model said of it, and how many changes are reported there.

        Without ``as_written`` a row has its values as numbers only.
        """
        rows = self.batch.rows() if as_written else self.batch.numbers()
        known = zip(*(column.tolist() for column in self.answers), strict=True)
        for row, its, change in zip(rows, known, self.changes.tolist(), strict=True):
            yield row, Assignment(*its), change

    @property
    def causal_labels(self) -> NDArray[np.int64]:
        """The label that was known when each row came, shape (n,)."""
        return self.answers.labels if self.causal is None else self.causal

    def name_of_each(self) -> list[str]:
        """The name of each row's regime, empty where it has none."""
        return [""] * len(self) if self.names is None else self.names


def of_segment(segment: Segment, key: str, name: str = "") -> LabelledBatch:
    """A segment that ends after the last row."""
    return LabelledBatch(
        Batch.of_rows((), [str(name) for name in segment.mean]),
        Assignments.unknown(0),
        np.empty(0, dtype=np.int64),
        lambda: [Ended(0, key, segment, name)],
    )
