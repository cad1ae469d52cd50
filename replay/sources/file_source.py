"""What sources that are files have in common."""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.engine.batch import Batch, Texts
from replay.engine.rows import InputError, Row
from replay.sources.columns import Column
from replay.sources.read_options import ReadOptions
from replay.sources.reading import Input
from replay.sources.times import Clock


class BatchSource(abc.ABC):
    """A source whose batches come of a generator, which begins anew after its end."""

    values: tuple[str, ...]

    def __init__(self) -> None:
        self._running: Generator[Batch, None, None] | None = None
        self._at_most = 0

    @abc.abstractmethod
    def _batches(self) -> Generator[Batch, None, None]:
        """The batches, of at most ``_at_most`` rows, which may change from one to the next."""

    def next_batch(self, at_most: int) -> Batch | None:
        """The next rows, at most so many; none if nothing has come for a moment.

        None is the end; the call after that, or after an error, begins at the start.
        """
        self._at_most = at_most
        if self._running is None:
            self._running = self._batches()
        running, self._running = self._running, None
        batch = next(running, None)
        if batch is not None:
            self._running = running
        return batch

    def _collected(self, rows: Iterable[Row]) -> Iterator[Batch]:
        """Rows in batches. If one is bad, those before it are handed on first."""
        found: list[Row] = []
        try:
            for row in rows:
                found.append(row)
                if len(found) >= self._at_most:
                    yield Batch.of_rows(found)
                    found = []
        except InputError:
            if found:
                yield Batch.of_rows(found)
            raise
        if found:
            yield Batch.of_rows(found)

    def _in_parts(self, batch: Batch) -> Iterator[Batch]:
        """A batch in parts of at most so many rows."""
        done = 0
        while done < len(batch):
            end = done + self._at_most
            yield batch.part(done, end)
            done = end

    def stop(self) -> None:  # noqa: B027 - most sources have nothing to do
        """Nothing: what has not been handed on can be read again."""

    def close(self) -> None:
        """Let go of what is open; the next batch is the first one."""
        running, self._running = self._running, None
        if running is not None:
            running.close()


class FileSource(BatchSource):
    """A file, which needs no acknowledgement.

    Parameters
    ----------
    source
        The file.

    Attributes
    ----------
    first_times
        Those of the first rows, as they are written; empty if there is no time.
    """

    first_times: Sequence[str] = ()

    wants_acknowledgement = False
    said: Sequence[str] = ()
    """What was guessed, a line each."""

    def __init__(self, source: Input) -> None:
        super().__init__()
        self._input = source
        self.name = source.name
        self.files: tuple[Path, ...] = () if source.piped else (source.path,)

    def _hand_on(self, options: ReadOptions) -> None:
        """Note which rows are handed on."""
        self._options = self.options = options
        self.values = options.values
        self.time = options.time
        self.key = options.key
        self.timed = options.is_timed

    def look_at_times(self, clock: Clock) -> None:
        """Find out how times are written, before any row is handed on.

        Raises
        ------
        ValueError
            If that is a question.
        """
        clock.look_at(self.first_times)

    def _with_seconds(self, parts: Iterator[Batch]) -> Iterator[Batch]:
        """Rows, with their times in seconds if these are read, up to one whose time cannot be."""
        if not self.timed:
            yield from parts
            return
        for part in parts:
            seconds = self._seconds_of(part)
            n = len(seconds)
            if n:
                yield replace(part.part(0, n), seconds=seconds)
            if n < len(part):
                return

    def _seconds_of(self, part: Batch) -> NDArray[np.float64]:
        """Times in seconds, of all rows up to one whose time cannot be read."""
        plain = self._plain_seconds(part.texts)
        if plain is not None:
            return plain
        seconds: list[float] = []
        for row, text in enumerate(part.texts.times()):
            try:
                seconds.append(self._options.clock.seconds(self._time_text(text), part.key_at(row)))
            except ValueError:
                break
        return np.array(seconds)

    def _plain_seconds(self, texts: Texts) -> NDArray[np.float64] | None:
        """Times in seconds, if they can be read all at once; None if not."""
        return None

    def _time_text(self, text: str) -> str:
        """A time as the clock reads it."""
        return text

    @property
    @abc.abstractmethod
    def position(self) -> dict[str, Any]:
        """Where it is, as plain values."""

    @abc.abstractmethod
    def first_columns(self) -> list[Column]:
        """What the first cells of each column are."""

    @property
    def done(self) -> int:
        return self._input.done

    @property
    def size(self) -> int | None:
        return self._input.size

    def acknowledge(self) -> None:
        """Nothing: a file stays."""
