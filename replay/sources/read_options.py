"""Options of a source: which columns to read, and what to do with bad rows."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.times import Clock

LOOKED_AT = 1000
"""Rows looked at to guess what no option says."""

NO_VALUE = "rows with a value that is no number"
TAKEN_AS_MISSING = "values that are no number, taken as missing"
NO_TIME = "rows without a time that can be read"
WITHOUT_TIME = "rows without a time, learnt in their place"
NO_KEY = "rows without a key"
LONG_KEY = "rows with a key that is too long"
LONGEST_KEY = 256
"""Characters of a key of a message: whoever sends it may send any."""
NO_NUMBER = "rows without a sequence number"


@dataclass(frozen=True)
class ReadOptions:
    """Which columns a source reads, and what it does with bad rows.

    Parameters
    ----------
    values
        The columns to learn, in order. When empty, all that hold numbers and vary. A name that is
        not a column may be several with commas between.
    time, key, sequence
        The columns with the time, the series that a row belongs to, and its number. The time may
        be in two columns, with a comma between their names.
    timed
        Whether the time is read as well as copied.
    clock
        How it is read.
    on_bad
        With a row that is not as it should be: ``raise``, ``skip`` it, or ``missing``, which takes
        a value that is no number as missing, and skips rows that are bad in another way.
    refusals
        What is skipped, or taken as missing.
    missing
        What stands for a missing value, beside what always does.
    unit
        Units that may stand behind numbers.
    decimal
        The decimal mark, ``.`` or ``,``; None finds it out.
    parts
        The columns that the time is in, if there are several.
    as_they_stand
        Whether rows come in the order of the file, also if the newest one comes first.
    """

    values: tuple[str, ...] = ()
    time: str | None = None
    key: str | None = None
    sequence: str | None = None
    timed: bool = False
    clock: Clock = field(default_factory=Clock)
    on_bad: Literal["raise", "skip", "missing"] = "raise"
    refusals: Refusals = field(default_factory=Refusals)
    missing: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    decimal: str | None = None
    parts: tuple[str, ...] = ()
    as_they_stand: bool = False

    def of(self, columns: Sequence[str], bad: Callable[[str, str], InputError]) -> ReadOptions:
        """The same, of columns that there are.

        Parameters
        ----------
        columns
            Those that there are.
        bad
            The error that says what is wrong with a column.
        """
        values = tuple(
            column
            for name in self.values
            for column in columns_named(name, columns, "--value", bad)
        )
        time, parts = self.time, self.parts
        if time is not None and not parts:
            parts = columns_named(time, columns, "--time", bad)
            time = " ".join(parts)
        for part in parts:
            if part not in columns:
                raise _no_such(part, columns, "--time", bad)
        for option, name in {"--key": self.key, "--sequence": self.sequence}.items():
            if name is not None and name not in columns:
                raise _no_such(name, columns, option, bad)
        options = replace(self, values=values, time=time, parts=parts if len(parts) > 1 else ())
        options.check()
        return options

    def check(self) -> None:
        """Refuse columns that are named twice."""
        by_option = {"--time": self.time, "--key": self.key, "--sequence": self.sequence}
        for option, name in by_option.items():
            if name is not None and name in self.values and (option != "--time" or self.timed):
                raise InputError(
                    f"--value {name!r} is the column of {option}, which is read and not learnt; "
                    "leave it out there"
                )
        if len(set(self.values)) < len(self.values):
            twice = next(name for name in self.values if self.values.count(name) > 1)
            raise InputError(f"--value {twice!r} is given twice; once is enough")

    @property
    def others(self) -> tuple[str, ...]:
        """The columns named, without the values."""
        time = self.parts or (() if self.time is None else (self.time,))
        named = (*time, self.key, self.sequence)
        return tuple(name for name in named if name is not None)

    @property
    def is_timed(self) -> bool:
        """Whether there is a time that is read."""
        return self.timed and self.time is not None

    def refuse(self, error: InputError, file: str, line: int, reason: str, text: str) -> None:
        """Count what is bad, or raise the error that says what is wrong with it."""
        if self.on_bad == "raise":
            raise error
        self.refusals.first = self.refusals.first or str(error)
        self.refusals.add(file, line, reason, text)


def split_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names at their commas, where nobody knows the columns."""
    return tuple(part for name in names for part in name.split(",") if part)


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, none twice: of those with the same name, the first is ``name[1]``.

    Blank names at the end are left out, and others are called by their number.
    """
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    counts = Counter(names)
    passed: Counter[str] = Counter()
    unique = []
    for place, name in enumerate(names, 1):
        passed[name] += 1
        if not name:
            unique.append(f"column {place}")
        else:
            unique.append(name if counts[name] == 1 else f"{name}[{passed[name]}]")
    return tuple(unique)


def columns_named(
    name: str, columns: Sequence[str], option: str, bad: Callable[[str, str], InputError]
) -> tuple[str, ...]:
    """The columns that a name means: the one of that name, or several with commas between.

    Parameters
    ----------
    name
        What was given.
    columns
        What there is.
    option
        That was given, for messages.
    bad
        Makes the error, of the part that is no column and what is wrong with it.
    """
    if name in columns:
        return (name,)
    if name.strip() in columns:
        return (name.strip(),)
    pieces = name.split(",")
    found: list[str] = []
    while pieces:
        # names may hold commas themselves: the longest that is a column
        for n in range(len(pieces), 0, -1):
            joined = ",".join(pieces[:n])
            if (
                which := next((c for c in (joined, joined.strip()) if c in columns), None)
            ) is not None:
                found.append(which)
                del pieces[:n]
                break
        else:
            if not pieces[0].strip() and found:
                pieces.pop(0)
                continue
            wrong = pieces[0].strip() if found or option == "--value" else name
            close = difflib.get_close_matches(name, columns, n=1, cutoff=0.8)
            raise _no_such(name if close and "," in close[0] else wrong, columns, option, bad)
    return tuple(found)


def _no_such(
    name: str, columns: Sequence[str], option: str, bad: Callable[[str, str], InputError]
) -> InputError:
    same = [column for column in columns if column.startswith(f"{name}[")]
    if same:
        return bad(
            name,
            f"{len(same)} columns have this name; rename all but one, or say which with "
            + " or ".join(f"{option} {column!r}" for column in same),
        )
    by_case = {column.casefold(): column for column in columns}
    close = difflib.get_close_matches(name.casefold(), by_case, n=1, cutoff=0.5)
    guess = f"; did you mean {by_case[close[0]]!r}?" if close else ""
    names = ", ".join(map(repr, columns))
    return bad(name, f"there is no such column for {option}{guess} (the columns are {names})")
