"""What is asked of a source: which columns, and what to do with bad rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.times import Clock

LOOKED_AT = 100
"""Rows looked at to find out what nobody has told."""

NO_VALUE = "rows with a value that is no number"
TAKEN_AS_MISSING = "values that are no number, taken as missing"
NO_TIME = "rows without a time that can be read"
NO_KEY = "rows without a key"
NO_NUMBER = "rows without a sequence number"


@dataclass(frozen=True)
class Asked:
    """What is asked of a source.

    Parameters
    ----------
    values
        The columns to learn, in order. When empty, the only column of numbers there is.
    time, key, sequence
        The columns that tell the time, what a row is a measurement of, and its number.
    timed
        Whether the time is read as well as copied.
    clock
        How it is read.
    on_bad
        With a row that is not as it should be: ``fail``, ``skip`` it, or ``missing``, which takes
        a value that is no number as missing, and skips rows that are bad in another way.
    refusals
        What is skipped, or taken as missing.
    """

    values: tuple[str, ...] = ()
    time: str | None = None
    key: str | None = None
    sequence: str | None = None
    timed: bool = False
    clock: Clock = field(default_factory=Clock)
    on_bad: Literal["fail", "skip", "missing"] = "fail"
    refusals: Refusals = field(default_factory=Refusals)

    def of(
        self,
        columns: Sequence[str],
        bad: Callable[[str, str], InputError],
        with_numbers: Callable[[Iterable[str]], set[str]],
    ) -> Asked:
        """The same, of columns that there are, and with values in any case.

        Parameters
        ----------
        columns
            Those that there are.
        bad
            The error that says what is wrong with a column.
        with_numbers
            Which of these columns hold numbers.
        """
        options = {"--time": self.time, "--key": self.key, "--sequence": self.sequence}
        asked = [*(("--value", name) for name in self.values), *options.items()]
        for option, name in asked:
            if name is not None and name not in columns:
                close = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
                guess = f"; did you mean {close[0]!r}?" if close else ""
                names = ", ".join(map(repr, columns))
                raise bad(
                    name, f"there is no such column for {option}{guess} (the columns are {names})"
                )
        for option, name in options.items():
            if name is not None and name in self.values and (option != "--time" or self.timed):
                raise InputError(
                    f"--value {name!r} is the column of {option}, which is read and not learnt; "
                    "leave it out there"
                )
        if len(set(self.values)) < len(self.values):
            twice = next(name for name in self.values if self.values.count(name) > 1)
            raise InputError(f"--value {twice!r} is given twice; once is enough")
        if self.values:
            return self
        choice = [name for name in columns if name not in options.values()]
        if len(choice) > 1:
            seen = with_numbers(choice)
            choice = [name for name in choice if name in seen]
        if len(choice) > 1:
            raise bad(
                ", ".join(choice),
                "these columns all hold numbers; choose with --value, once for each column wanted",
            )
        if not choice:
            raise bad(
                ", ".join(columns),
                f"no column holds numbers in the first {LOOKED_AT} rows; name one with --value",
            )
        return replace(self, values=tuple(choice))

    @property
    def is_timed(self) -> bool:
        """Whether there is a time that is read."""
        return self.timed and self.time is not None

    def refuse(self, error: InputError, file: str, line: int, reason: str, text: str) -> None:
        """Count what is bad, or raise the error that says what is wrong with it."""
        if self.on_bad == "fail":
            raise error
        self.refusals.add(file, line, reason, text)
