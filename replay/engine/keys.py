"""The keys of rows: each text once, and a number for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

SHORT = 2**16
"""Numbers below this are sorted by their digits."""


class Group(NamedTuple):
    """The rows of a key: its places in what `Keys.groups` has sorted."""

    key: str
    first: int
    end: int


class Keys(Sequence[str]):
    """The key of each row.

    Parameters
    ----------
    codes
        The number of each row's key, shape (n,).
    names
        The keys by their numbers. There may be more than occur.
    """

    __slots__ = ("codes", "names")

    def __init__(self, codes: NDArray[np.int32], names: Sequence[str]) -> None:
        self.codes = codes
        self.names = names

    @classmethod
    def of(cls, keys: Iterable[str]) -> Keys:
        """Number keys in the order in which they come first."""
        known: dict[str, int] = {}
        codes = [known.setdefault(key, len(known)) for key in keys]
        return cls(np.array(codes, dtype=np.int32), list(known))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Keys: ...
    def __getitem__(self, i: int | slice) -> str | Keys:
        return self.part(i) if isinstance(i, slice) else self.names[self.codes[i]]

    def __iter__(self) -> Iterator[str]:
        return map(self.names.__getitem__, self.codes.tolist())

    def part(self, rows: slice | NDArray[np.intp]) -> Keys:
        """Those of some rows."""
        return Keys(self.codes[rows], self.names)

    def copy(self) -> Keys:
        """The same, without the names that do not occur."""
        if len(self.codes) and (self.codes == self.codes[0]).all():
            return Keys(np.zeros(len(self.codes), dtype=np.int32), [self[0]])
        return Keys.of(self)

    @classmethod
    def joined(cls, parts: Sequence[Keys]) -> Keys:
        """The keys of rows that follow each other."""
        known: dict[str, int] = {}
        codes, last, places = [], None, np.empty(0, dtype=np.int32)
        for its in parts:
            if its.names is not last:
                last = its.names
                numbers = [known.setdefault(name, len(known)) for name in last]
                places = np.array(numbers, dtype=np.int32)
            codes.append(places[its.codes])
        return cls(np.concatenate(codes), list(known))

    def groups(self) -> tuple[NDArray[np.intp], list[Group]]:
        """Sort rows by their keys; return their numbers, and the keys in the order they come."""
        if not len(self.codes):
            return np.empty(0, dtype=np.intp), []
        codes = self.codes.astype(np.uint16) if len(self.names) <= SHORT else self.codes
        order = np.argsort(codes, kind="stable")
        sorted_codes = codes[order]
        firsts = np.flatnonzero(np.append(True, sorted_codes[1:] != sorted_codes[:-1]))
        ends = np.append(firsts[1:], len(order))
        as_they_come = np.argsort(order[firsts])
        names = [self.names[code] for code in sorted_codes[firsts[as_they_come]].tolist()]
        places = firsts[as_they_come].tolist(), ends[as_they_come].tolist()
        return order, list(map(Group, names, *places))
