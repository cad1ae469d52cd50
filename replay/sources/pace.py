"""A source as fast as its rows came, or so many times faster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from replay.engine.batch import Batch
from replay.engine.protocols import Source

NAP = 0.1
"""Seconds between two chances to stop."""


class Paced:
    """Hands on each row of a source when its time has come, a batch of one.

    Parameters
    ----------
    source
        Rows with ``seconds``; those without come at once.
    speed
        How many times faster than it was.
    """

    def __init__(self, source: Source, speed: float) -> None:
        self._source = source
        self._speed = speed
        self._position = source.position
        self._next: Batch | None = None
        self._begun: tuple[float, float] | None = None
        self.name = source.name
        self.values = source.values
        self.time = source.time
        self.key = source.key
        self.timed = source.timed
        self.files = source.files

    def next_batch(self, at_most: int) -> Batch | None:
        """The next row, when its time has come; a batch without a row if that is not now."""
        batch = self._next or self._source.next_batch(1)
        # a row that waits has been read, but is not handed on
        self._next = batch
        if batch is not None and len(batch) and batch.seconds is not None:
            seconds = float(batch.seconds[0])
            self._begun = self._begun or (seconds, time.monotonic())
            due = self._begun[1] + (seconds - self._begun[0]) / self._speed
            if (left := due - time.monotonic()) > 0.0:
                time.sleep(min(left, NAP))
                if left > NAP:
                    return Batch.of_rows((), self.values)
        self._next = None
        if batch is None:
            self._begun = None
        self._position = self._source.position
        return batch

    def stop(self) -> None:
        self._source.stop()

    @property
    def position(self) -> dict[str, Any]:
        return self._position

    def go_to(self, position: dict[str, Any]) -> None:
        self._source.go_to(position)
        self._next = None
        self._position = position

    @property
    def wants_acknowledgement(self) -> bool:
        return self._source.wants_acknowledgement

    def acknowledge(self) -> None:
        self._source.acknowledge()

    def close(self) -> None:
        self._source.close()

    @property
    def said(self) -> Sequence[str]:
        return self._source.said

    @property
    def done(self) -> int:
        return self._source.done

    @property
    def size(self) -> int | None:
        return self._source.size
