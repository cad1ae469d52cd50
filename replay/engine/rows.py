"""What a source hands on: rows, one at a time, and what it must be able to do for the loop."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

LARGEST = 1e150
"""The learner squares values; beyond this the squares are infinite."""


class ReplayError(Exception):
    """What ends a replay with a message."""


class InputError(ReplayError):
    """What is wrong with the input: which file, line and column, and what to do about it."""


class OutputError(ReplayError):
    """What cannot be written. No checkpoint may follow: the one before tells what is on disk."""


class CutOffError(InputError):
    """The input ends where it should not; all before is good."""


class Row(NamedTuple):
    """One record: where it stood, its time and values as written, and the values as numbers.

    Parameters
    ----------
    line
        Its line in the file, or its number among the messages.
    time
        Its time as written; empty if it has none.
    texts
        Its values as written.
    values
        Its values as numbers; NaN is a missing one.
    seconds
        Its time as a number, where it is asked for.
    key
        Of what it is a measurement; empty if all rows are of the same.
    sequence
        The number that its device gave it, where it is asked for.
    """

    line: int
    time: str
    texts: tuple[str, ...]
    values: dict[Hashable, float]
    seconds: float | None = None
    key: str = ""
    sequence: int | None = None


class Source(Protocol):
    """Rows in order.

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
        Where the row handed on last ends, in plain values: what `go_to` takes. Plain means None,
        bool, int, float, str, bytes and lists and dicts (of string keys) of these.
    said
        What was guessed about how the rows are written, a line each, for people.
    done, size
        How far the iteration is, and of how much, in bytes; ``size`` is None if nobody can tell.
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

    def __iter__(self) -> Iterator[Row | None]:
        """The rows from where `go_to` has put it on; None where there is nothing for the moment."""
        ...

    @property
    def position(self) -> dict[str, Any]: ...

    def go_to(self, position: dict[str, Any]) -> None:
        """Let the next iteration begin after a position.

        Raises
        ------
        InputError
            If what is read is not what the position was taken in.
        """
        ...

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether whoever sends the rows sends no more before some are acknowledged."""
        ...

    def acknowledge(self) -> None:
        """All rows handed on are safe: they need not be kept by whoever sends them."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...

    @property
    def done(self) -> int: ...

    @property
    def size(self) -> int | None: ...
