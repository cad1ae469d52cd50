"""A row as it is read, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

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
