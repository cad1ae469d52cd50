"""What the loop asks of a source and of a sink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from replay.engine.batch import Batch, LabelledBatch


class Source(Protocol):
    """Rows in order, in batches.

    Attributes
    ----------
    name
        Of what they are read from at the moment, for people.
    files
        All that is read, if it is files.
    values
        The columns to learn, in order.
    time, key
        The columns that tell the time and what a row is a measurement of, None if there is none.
    timed
        Whether rows have ``seconds``.
    position
        Where the batch handed on last ends, in plain values: what `go_to` takes. Plain means None,
        bool, int, float, str, bytes and lists and dicts (of string keys) of these.
    said
        What was guessed about how the rows are written, a line each, for people.
    done, size
        How far it is, and of how much, in bytes; ``size`` is None if nobody can tell.
    """

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> tuple[Path, ...]: ...

    @property
    def values(self) -> tuple[str, ...]: ...

    @property
    def said(self) -> Sequence[str]: ...

    @property
    def time(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...

    @property
    def timed(self) -> bool: ...

    def next_batch(self, at_most: int) -> Batch | None:
        """The next rows, at most so many.

        A batch without a row means that nothing has come for a moment. None is the end; a file is
        read again from its start by the call after that.

        Raises
        ------
        InputError
            If the next row is bad, and that is not to be passed over. All rows before it have been
            handed on then.
        """
        ...

    @property
    def position(self) -> dict[str, Any]: ...

    def go_to(self, position: dict[str, Any]) -> None:
        """Let the next batch begin after a position.

        Raises
        ------
        InputError
            If what is read is not what the position was taken in.
        """
        ...

    def stop(self) -> None:
        """End after what has come already. Only live sources are asked to."""
        ...

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether whoever sends the rows sends no more before some are acknowledged."""
        ...

    def acknowledge(self) -> None:
        """Tell the sender that all rows handed on are safe: it need not keep them."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...

    @property
    def done(self) -> int: ...

    @property
    def size(self) -> int | None: ...


class LiveSource(Source, Protocol):
    """A source of messages that come as they are sent."""

    @property
    def n_messages(self) -> int:
        """Messages that have come, used or not."""
        ...

    def left(self) -> int:
        """Count messages that have come, are not labelled, and are not sent again.

        Called once, when nothing more is read.
        """
        ...


class Output(Protocol):
    """What is written, and goes on after a checkpoint."""

    def begin(self) -> None:
        """Start with nothing written."""
        ...

    def flush(self) -> None:
        """Let others see what was written so far."""
        ...

    def position(self) -> Any:
        """Put all on disk, and return how far the output is, as plain values."""
        ...

    def go_to(self, position: Any) -> None:
        """Forget what was written after a position."""
        ...

    def finish(self) -> None:
        """All is written."""
        ...

    def close(self) -> None:
        """Let go of what is open; what is not finished stays as it is, or goes."""
        ...


class RefusalLog(Output, Protocol):
    """Counts what a source refuses, and writes it down if a file is asked for."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many were refused, by reason."""
        ...

    @property
    def hints(self) -> list[str]:
        """What has been noticed about the input that somebody should know at once."""
        ...

    @property
    def summary(self) -> str:
        """How many were refused for which reasons, and the first one; empty if there was none."""
        ...


class Sink(Output, Protocol):
    """Takes labelled rows, and the segments that have ended; after `begin` or `go_to`."""

    def write(self, labelled: LabelledBatch) -> None:
        """Take labelled rows, and the segments that have ended among them."""
        ...


class Herald(Protocol):
    """Does something about what was written, once that outlives a crash."""

    @property
    def wants_saving(self) -> bool:
        """Whether it waits for a checkpoint."""
        ...

    def saved(self) -> None:
        """Note that all written so far is safe. Without checkpoints: as safe as it will ever be."""
        ...


class MemorySink:
    """The methods of a sink that keeps everything in memory: they do nothing."""

    def begin(self) -> None:
        """Nothing."""

    def write(self, labelled: LabelledBatch) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def position(self) -> Any:
        return None

    def go_to(self, position: Any) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class NoRefusals(MemorySink):
    """The log of a source that refuses nothing."""

    summary = ""
    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self) -> None:
        self.hints: list[str] = []


def batches_of(source: Source, at_most: int) -> Iterator[Batch]:
    """All batches of a source."""
    while (batch := source.next_batch(at_most)) is not None:
        yield batch
