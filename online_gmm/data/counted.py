"""Counts in words: 1 row, 2 rows."""

from __future__ import annotations

import re

_ONE = [
    # the first word that is a plural
    (re.compile(r"^((?:\w+ )*?\w*?)(?:(?<=ss)es|s)\b"), r"\1"),
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
    """
    if n == 1:
        for many, one in _ONE:
            what = many.sub(one, what, 1)
    return f"{n:,} {what}"
