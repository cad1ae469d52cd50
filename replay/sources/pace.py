"""A source as fast as its rows came, or so many times faster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from replay.engine.rows import InputError, Row, Source

NAP = 0.1
"""Seconds between two chances to stop."""


def at_speed(speed: str) -> float | None:
    """How many times faster than it was; None for as fast as it goes."""
    if speed == "max":
        return None
    try:
        times = float(speed)
    except ValueError:
        times = 0.0
    if not 0.0 < times < float("inf"):
        raise InputError(f"--speed is {speed!r}; it must be a number above 0, or max")
    return times


class Paced:
    """Hands on each row of a source when its time has come.

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
        self.name = source.name
        self.values = source.values
        self.time = source.time
        self.key = source.key
        self.timed = source.timed
        self.files = source.files

    def __iter__(self) -> Iterator[Row | None]:
        begun: tuple[float, float] | None = None
        for row in self._source:
            if row is not None and row.seconds is not None:
                begun = begun or (row.seconds, time.monotonic())
                due = begun[1] + (row.seconds - begun[0]) / self._speed
                while (left := due - time.monotonic()) > 0.0:
                    yield None
                    time.sleep(min(left, NAP))
            # a row that waits has been read, but is not handed on
            self._position = self._source.position
            yield row

    @property
    def position(self) -> dict[str, Any]:
        return self._position

    def go_to(self, position: dict[str, Any]) -> None:
        self._source.go_to(position)
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
