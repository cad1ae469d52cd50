"""Files whose newest row comes first, read from the last row to the first."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from replay.engine.batch import Batch
from replay.engine.rows import CutOffError, InputError
from replay.sources.columns import Column
from replay.sources.file_source import BatchSource, FileSource
from replay.sources.times import Clock

MOST_VALUES = 2**21
"""Values of all rows together that can be turned round, which is done in memory."""
AT_ONCE = 4096
"""Rows that are read together."""


class OldestFirst(BatchSource):
    """The rows of a file from the last to the first; a `Source`.

    Parameters
    ----------
    source
        The file. All its rows are held in memory.
    """

    wants_acknowledgement = False

    def __init__(self, source: FileSource) -> None:
        super().__init__()
        self._source = source
        self.name, self.files, self.said = source.name, source.files, source.said
        self.options, self.values = source.options, source.values
        self.time, self.key, self.timed = source.time, source.key, source.timed
        self._n_done = 0
        self._start: dict[str, Any] | None = None

    def _batches(self) -> Generator[Batch, None, None]:
        start, self._start = self._start, None
        self._n_done = 0
        held: list[Batch] = []
        cut_off: CutOffError | None = None
        try:
            n_values = 0
            while (batch := self._source.next_batch(AT_ONCE)) is not None:
                held.append(batch)
                n_values += batch.values.size
                if n_values > MOST_VALUES:
                    raise InputError(
                        f"{self.name}: its newest row comes first, and it has more than "
                        f"{MOST_VALUES:,} values, which are too many to turn it round in memory; "
                        "sort it by time, or leave out --time and name --value to take the rows "
                        "as they stand"
                    )
        except CutOffError as error:
            cut_off = error
        if start is not None:
            self._go_on(held, start)
        while held:
            batch = held.pop()
            turned = batch.take(np.arange(len(batch))[::-1])
            for part in self._in_parts(turned):
                self._n_done += len(part)
                yield part
        if cut_off is not None:
            raise cut_off

    def _go_on(self, held: list[Batch], start: dict[str, Any]) -> None:
        """Let go of the rows before a position."""
        if start["rows"] and self._source.position != start["within"]:
            raise InputError(
                f"{self.name} is not what it was when the checkpoint was made; put it back, or "
                "start afresh without --resume"
            )
        left = self._n_done = start["rows"]
        while left and held:
            batch = held.pop()
            if len(batch) > left:
                held.append(batch.part(0, len(batch) - left))
            left = max(left - len(batch), 0)

    @property
    def position(self) -> dict[str, Any]:
        """Rows that are done with, from the last one on, and the end of the file."""
        return {"rows": self._n_done, "within": self._source.position}

    def go_to(self, position: dict[str, Any]) -> None:
        self._start = position

    @property
    def done(self) -> int:
        return self._source.done

    @property
    def size(self) -> int | None:
        return self._source.size

    @property
    def first_times(self) -> Sequence[str]:
        """Times of the first rows of the file, as they are written."""
        return self._source.first_times

    def look_at_times(self, clock: Clock) -> None:
        """Find out how times are written; a ValueError if that is a question."""
        self._source.look_at_times(clock)

    def first_columns(self) -> list[Column]:
        """What the first cells of each column are."""
        return self._source.first_columns()

    def acknowledge(self) -> None:
        """Nothing: a file stays."""

    def close(self) -> None:
        super().close()
        self._source.close()
