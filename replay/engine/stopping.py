"""Signals to stop: noted when they come, heeded when it suits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """What looks at ``stopped_by`` between two batches, and counts rows."""

    stopped_by: int | None
    n_rows: int


@contextmanager
def signals_noted(on: Stoppable) -> Iterator[None]:
    """Note SIGINT and SIGTERM in ``stopped_by``; the second one ends at once."""

    def note(number: int, frame: FrameType | None) -> None:
        if on.stopped_by is not None:
            raise KeyboardInterrupt
        on.stopped_by = number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
