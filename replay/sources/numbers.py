"""Numbers as people write them: which marks they have, which units, and what is missing."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay.engine.rows import LARGEST

MISSING = frozenset(
    {
        *("", "nan", "na", "n/a", "null", "none", "nil", "missing", "(null)", "\\n", "<na>", "nat"),
        *("unavailable", "unknown", "-", "--", "---", "?", "#n/a", "#na", "n.a.", "#value!"),
        *("#div/0!", "#num!", "#ref!", "-nan", "1.#qnan", "-1.#ind", "#n/v", "#wert!"),
        *("1.#ind", "-1.#qnan", "#n/a n/a", ".", "[n/a]", "[not supported]"),
    }
)
"""What stands for a missing value, in any case."""
TRUTH = {"true": 1.0, "false": 0.0}
"""Words that are numbers, in any case."""
SWITCHES = {"on": 1.0, "off": 0.0}
"""Words that are numbers too, but may as well be texts where a column holds no numbers."""
WORDS = TRUTH | SWITCHES
SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})
"""Spaces and marks of print, and the same as they are typed."""
GROUPED = re.compile(r"[+-]?\d{1,3}(?:[ ']\d{3})+(?![\d])")
"""A number with spaces or apostrophes between its thousands."""
NUMBER = r"[+-]?(?:\d[\d.,' ]*|[.,]\d+)(?:[eE][+-]?\d+)?"
WITH_UNIT = re.compile(
    rf"({NUMBER}?) ?(?![Qq][1-4]$|[hH][0-5]\d$)"
    r"((?:[^\W\d_]|[%°‰$€£(\[])[^\d]{0,11}\d?[^\d]{0,6}\d?)"
)
MONEY = re.compile(rf"([+-]?) ?([$€£¥]) ?({NUMBER})")
IN_BRACKETS = re.compile(r"\(([^()]*\d[^()]*)\)")
"""A negative number, as accounts have it."""
FORTRAN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)")
"""A number whose exponent stands behind a D."""
EXPONENT = r"(?:[eE][+-]?\d+)?"
KINDS = {
    "whole": r"[+-]?\d+",
    "point or thousands": r"[+-]?[1-9]\d{0,2}\.\d{3}",
    "comma or thousands": r"[+-]?[1-9]\d{0,2},\d{3}",
    "point": rf"[+-]?(?:\d+\.\d*|\.\d+){EXPONENT}",
    "power": r"[+-]?\d+[eE][+-]?\d+",
    "comma": rf"[+-]?(?:\d+,\d*|,\d+){EXPONENT}",
    "commas between thousands": r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?",
    "points between thousands": r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?",
}
"""How a number may be written, the first that fits."""
NAMES_OF_KINDS = tuple(KINDS)
ANY_KIND = re.compile("|".join(f"({pattern})" for pattern in KINDS.values()))
DECIDES = {
    "point": ".",
    "commas between thousands": ".",
    "comma": ",",
    "points between thousands": ",",
}
"""The decimal mark that some of these are evidence for."""
LOOKED_AT = 4096
"""Cells of which it is remembered what they are: the first ones are looked at again and again."""


class Cell(NamedTuple):
    """A cell, and where it stands."""

    line: int
    column: str
    text: str


class ContradictionError(Exception):
    """Cells that cannot all be read in one way.

    Parameters
    ----------
    cell
        The second of them.
    problem
        What is wrong, and what to say.
    """

    def __init__(self, cell: Cell, problem: str) -> None:
        super().__init__(problem)
        self.cell = cell


@dataclass
class Numbers:
    """Reads the cells of columns as numbers.

    Parameters
    ----------
    decimal
        The decimal mark.
    is_sure
        Whether an option gives the mark, or some cell shows it: then the other one of point and
        comma may stand between thousands.
    units
        What stands behind the numbers of a column.
    unit
        Units that may stand behind any number.
    missing
        What stands for a missing value, in any case, beside MISSING.
    mixed
        The options that read the numbers of a column that has several units as they stand.
    """

    decimal: str = "."
    is_sure: bool = False
    units: Mapping[str, str] = field(default_factory=dict)
    unit: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mixed: Mapping[str, str] = field(default_factory=dict)
    _texts: frozenset[str] = field(init=False)
    _numbers: tuple[float, ...] = field(init=False)
    _seen: dict[str, Cell] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._texts = MISSING | {text.strip().lower() for text in self.missing}
        numbers = (_plain(text.strip(), self.decimal) for text in self.missing)
        self._numbers = tuple(number for number in numbers if number is not None)

    def is_missing(self, text: str) -> bool:
        """Whether a cell says that its value is missing."""
        return text.strip().lower() in self._texts

    def blanked(self, values: NDArray[np.float64]) -> None:
        """Put NaN where a number stands for a missing value."""
        for number in self._numbers:
            values[values == number] = np.nan

    def value(self, value: float) -> float:
        """Return a number, or NaN if it stands for a missing value."""
        return math.nan if value in self._numbers else value

    def read(self, text: str, column: str) -> float:
        """A cell as a number; NaN if its value is missing.

        Raises
        ------
        ValueError
            If it is no number, beyond LARGEST, or not written as the others are.
        """
        if self.is_missing(text):
            return math.nan
        if (number := WORDS.get(text.strip().lower())) is not None:
            return self.value(number)
        bare, unit = split_unit(text)
        if unit and unit != self.units.get(column) and unit not in self.unit:
            raise ValueError(text)
        if self.is_sure:
            kind = kind_of(bare)
            if self.decimal == "." and ("commas" in kind or kind == "comma or thousands"):
                bare = bare.replace(",", "")
            elif self.decimal == "," and ("points" in kind or kind == "point or thousands"):
                bare = bare.replace(".", "")
        value = _plain(bare, self.decimal)
        if value is None or not -LARGEST <= value <= LARGEST:
            raise ValueError(text)
        return self.value(value)

    # -- cells that come later ------------------------------------------------------------------

    def watch(self, cell: Cell) -> None:
        """Look at a cell while it is not sure which mark is the decimal one.

        Raises
        ------
        ContradictionError
            If it can be read in two ways, and so can those before.
        """
        kind = kind_of_bare(cell.text)
        if DECIDES.get(kind) == self.decimal:
            self.is_sure = True
            return
        if kind == "whole" and not float(split_unit(cell.text)[0]):
            return
        self._seen.setdefault(f"{kind} {cell.column}", cell)
        other = {"whole": "point or thousands", "point or thousands": "whole"}.get(kind)
        if other is None:
            return
        if (before := self._seen.get(f"{other} {cell.column}")) is not None:
            raise contradiction(before, cell)

    def is_watched(self, values: NDArray[np.float64], j: int, column: str) -> NDArray[np.int64]:
        """Rows of a column whose cells `watch` has to see."""
        with_mark = f"point or thousands {column}" in self._seen
        whole = values[:, j] == np.floor(values[:, j])
        wanted = whole & (values[:, j] != 0) if with_mark else ~whole & ~np.isnan(values[:, j])
        return np.flatnonzero(wanted)


def study(
    cells: Iterable[Cell],
    decimal: str | None,
    delimiter: str,
    unit: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> tuple[Numbers, list[str]]:
    """Find out how numbers are written in the first cells of columns, and what is a guess.

    Parameters
    ----------
    cells
        Those of columns that hold numbers.
    decimal
        The decimal mark, if an option gives it.
    delimiter
        Between cells: a comma that is one is no decimal mark.
    unit, missing
        As in `Numbers`.

    Raises
    ------
    ContradictionError
        If the cells can be read in two ways, and no option says which is meant.
    """
    known = MISSING | {text.strip().lower() for text in missing}
    evidence: dict[str, Cell] = {}
    truths: set[str] = set()
    seen: dict[str, dict[str, Cell]] = {}
    units: dict[str, dict[str, Cell]] = {}
    grouped = apostrophe = negative = None
    said = []
    for cell in cells:
        text = cell.text.strip()
        word = text.lower()
        if word in known:
            continue
        if word in WORDS and cell.column not in truths:
            truths.add(cell.column)
            both = "true and false" if word in TRUTH else "on and off"
            said.append(f"{both} of {cell.column!r} are read as 1 and 0")
        bare, its_unit = text, ""
        kind = kind_of(text)
        if not kind:
            bare, its_unit = split_unit(text)
            kind = kind_of(bare)
            if not kind:
                continue
            if GROUPED.match(text.translate(SPACES)):
                grouped = grouped or cell
            if text.startswith(("'", "\u2019")):
                apostrophe = apostrophe or cell
            if text.startswith("("):
                negative = negative or cell
        if kind == "power":
            kind = "whole"
        units.setdefault(cell.column, {}).setdefault(its_unit, cell)
        seen.setdefault(cell.column, {}).setdefault(kind, cell)
        if kind == "whole" and float(bare):
            seen[cell.column].setdefault("not 0", cell)
        if kind in DECIDES:
            evidence.setdefault(DECIDES[kind], cell)
    sure = decimal is not None
    if decimal is None:
        if len(evidence) > 1:
            first, second = sorted(evidence.values())
            raise contradiction(first, second)
        decimal, sure = next(iter(evidence), "."), bool(evidence)
        if not evidence:
            decimal = _without_evidence(seen, delimiter)
    column_units, mixed = {}, {}
    for column, its in units.items():
        found = [name for name in its if name not in unit]
        if found and found != [""] and len(its) == 1:
            column_units[column] = found[0]
            said.append(f"numbers of {column!r} are read without their unit, {found[0]!r}")
        elif len(several := [name for name in its if name]) > 1:
            both = f"some have the unit {several[0]!r}, and others {several[1]!r}"
            options = " ".join(f"--unit {name!r}" for name in several)
            mixed[column] = options
            said.append(
                f"numbers of {column!r} are not read, as none is converted: {both}; make one unit "
                f"of them, or say {options} to read them as they stand"
                if any(found)
                else f"numbers of {column!r} are read as they stand, and none is converted: {both}"
            )
    numbers = Numbers(decimal, sure, column_units, tuple(unit), tuple(missing), mixed)
    if decimal == ",":
        shown = next((cells[kind] for cells in seen.values() for kind in cells if "," in kind or
                      "comma" in kind), None)  # fmt: skip
        if shown is not None:
            said.append(f"decimal marks are commas, as in {shown.text.strip()!r}")
    between = "commas" if decimal == "." else "points"
    kinds = (f"{between} between thousands", f"{between[:-1]} or thousands")
    if sure:
        for column_cells in seen.values():
            if shown := next((column_cells[kind] for kind in kinds if kind in column_cells), None):
                value = numbers.read(split_unit(shown.text)[0], shown.column)
                said.append(
                    f"{between} stand between thousands: {shown.text.strip()!r} is {value:.12g}"
                )
                break
    elif shown := next((its["point or thousands"] for its in seen.values() if decimal == "." and
                        "point or thousands" in its), None):  # fmt: skip
        said.append(
            f"decimal marks are points, as in {shown.text.strip()!r}; say --decimal , if they "
            "stand between thousands"
        )
    if grouped is not None:
        said.append(f"thousands are set apart: {grouped.text.strip()!r} is one number")
    if negative is not None:
        said.append(f"numbers in brackets are read as negative, as in {negative.text.strip()!r}")
    if apostrophe is not None:
        said.append(f"apostrophes before numbers are passed over, as in {apostrophe.text!r}")
    for column, column_cells in seen.items():
        numbers._seen |= {
            f"{kind} {column}": cell for kind, cell in column_cells.items() if kind != "not 0"
        }
        if "not 0" not in column_cells:
            numbers._seen.pop(f"whole {column}", None)
    return numbers, said


def _without_evidence(seen: Mapping[str, Mapping[str, Cell]], delimiter: str) -> str:
    """The decimal mark where each number with a mark may be a whole one as well."""
    points = [cells["point or thousands"] for cells in seen.values()
              if "point or thousands" in cells]  # fmt: skip
    commas = [cells["comma or thousands"] for cells in seen.values()
              if "comma or thousands" in cells]  # fmt: skip
    if points and commas:
        raise contradiction(*sorted((points[0], commas[0])))
    for kind in ("point or thousands", "comma or thousands"):
        for cells in seen.values():
            if kind in cells and "not 0" in cells:
                raise contradiction(*sorted((cells[kind], cells["not 0"])))
    if commas and delimiter == ",":
        raise contradiction(commas[0], commas[0])
    return "," if commas else "."


def contradiction(first: Cell, second: Cell) -> ContradictionError:
    """Two cells of which one has a mark that can be read in two ways."""
    marked = second if set(split_unit(second.text)[0]) & {".", ","} else first
    other = first if marked is second else second
    bare, _ = split_unit(marked.text)
    kind = kind_of(bare)
    where = f" beside {other.text.strip()!r} in line {other.line}" if other != marked else ""
    if other.column != marked.column:
        where = f" beside {other.text.strip()!r} in column {other.column!r}, line {other.line}"
    text = marked.text.strip()
    if kind in DECIDES:
        problem = f"{text!r}{where}: one has a decimal comma and the other a decimal point; "
        return ContradictionError(marked, problem + "say --decimal , or --decimal .")
    mark = "," if "," in bare else "."
    readings = {}
    for decimal in (mark, "," if mark == "." else "."):
        readings[decimal] = Numbers(decimal, is_sure=True).read(bare, marked.column)
    meant = ", ".join(f"--decimal {d} if it is {value:.12g}" for d, value in readings.items())
    return ContradictionError(
        marked, f"{text!r}{where}: the mark may stand between thousands; say {meant}"
    )


@functools.lru_cache(LOOKED_AT)
def kind_of(text: str) -> str:
    """How a number is written, of KINDS; empty if it is none."""
    found = ANY_KIND.fullmatch(text)
    return "" if found is None else NAMES_OF_KINDS[(found.lastindex or 1) - 1]


def kind_of_bare(text: str) -> str:
    """How a number is written that may have a unit, of KINDS; empty if it is none."""
    return kind_of(split_unit(text)[0])


def in_digits(text: str) -> str:
    """A cell as it is typed, without its unit; 1 and 0 for true and false."""
    truth = TRUTH.get(text.strip().lower())
    return split_unit(text)[0] if truth is None else f"{truth:.0f}"


@functools.lru_cache(LOOKED_AT)
def split_unit(text: str) -> tuple[str, str]:
    """A number as it is typed, without spaces and apostrophes, and what stands behind it."""
    text = text.strip().translate(SPACES)
    if text[:1] == "'" and text[1:2] in "+-.,0123456789":
        text = text[1:]
    if kind_of(text):
        return text, ""
    if found := FORTRAN.fullmatch(text):
        return f"{found[1]}e{found[2]}", ""
    if (found := IN_BRACKETS.fullmatch(text)) and text[1] not in "(+-":
        bare, unit = split_unit(found[1])
        return (f"-{bare}", unit) if kind_of(bare) else (text, "")
    unit = ""
    if money := MONEY.fullmatch(text):
        text, unit = money[1] + money[3], money[2]
    elif (found := WITH_UNIT.fullmatch(text)) and found[1]:
        text, unit = found[1].strip(), found[2].strip()
    if GROUPED.match(text):
        text = text.replace(" ", "").replace("'", "")
    return text, unit


def _plain(text: str, decimal: str) -> float | None:
    """A finite number without marks between thousands; None if it is none."""
    try:
        return number(text, decimal, math.inf)
    except ValueError:
        return None


def number(text: str, decimal: str = ".", limit: float = LARGEST) -> float:
    """A finite number, written without underscores; anything else is a ValueError."""
    if decimal == ",":
        if "." in text:
            raise ValueError(text)
        text = text.replace(",", ".")
    value = float(text)
    if not -limit <= value <= limit or math.isinf(value) or "_" in text:
        raise ValueError(text)
    return value


def is_number(text: str, decimal: str = ".", limit: float = LARGEST) -> bool:
    """Whether `number` takes it."""
    try:
        number(text, decimal, limit)
    except ValueError:
        return False
    return True
