"""Counts in words: 1 row, 2 rows; and counts and other numbers that somebody has given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

_ONE = [
    # the first word that is a plural
    (re.compile(r"^(?!series\b)((?:\w+ )*?\w*?)(?:(?<=ss)es|s)\b"), r"\1"),
    (re.compile(r"^(\w+(?: that)?) are\b"), r"\1 is"),
    (re.compile(r"^(\w+(?: that)?) were\b"), r"\1 was"),
    (re.compile(r"^(\w+(?: that)?) have\b"), r"\1 has"),
    (re.compile(r"^(\w+ that) (repeat|sum)\b"), r"\1 \2s"),
    (re.compile(r"\btheir\b"), "its"),
]
"""What of a phrase about many things is otherwise about one."""


def counted(n: int, what: str) -> str:
    """A number of things in words.

    Parameters
    ----------
    n
        How many.
    what
        The words for many, such as ``rows without a key`` or ``rows are left out``.

    Examples
    --------
    >>> counted(1268, "rows")
    '1,268 rows'
    >>> counted(1, "rows that repeat the header")
    '1 row that repeats the header'
    >>> counted(1, "series")
    '1 series'
    """
    if n == 1:
        for many, one in _ONE:
            what = many.sub(one, what, 1)
    return f"{n:,} {what}"


def in_part(names: Sequence[str], most: int = 20) -> str:
    """Names one after the other, or as many of them, and how many more there are.

    Examples
    --------
    >>> in_part(["a", "b", "c"]), in_part(["a", "b", "c"], 2)
    ('a, b, c', 'a, b and 1 more')
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def must_be_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse a count that is no whole number within these bounds.

    Raises
    ------
    ValueError
        If it is none; the message names it, and the bounds.
    """
    is_whole = isinstance(value, Integral)
    if not is_whole or int(value) < least or (most is not None and int(value) > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}; it must be {bounds} and whole")


def must_be_real(name: str, value: Any, bounds: str, within: Callable[[Any], bool]) -> None:
    """Refuse a parameter that is no real number, or not within its bounds.

    Parameters
    ----------
    name, value
        Of the parameter.
    bounds
        The bounds in words, such as ``a number above 0``.
    within
        Whether a number is within them.

    Raises
    ------
    ValueError
        If it is none; the message names it, and the bounds.
    """
    if not (isinstance(value, Real) and within(value)):
        raise ValueError(f"{name} is {value!r}; it must be {bounds}")
