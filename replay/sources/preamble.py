"""What stands above the rows of a table: titles, comments, a logger's lines, the header, units."""

from __future__ import annotations

import csv
import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from online_gmm.data.counted import counted
from replay.sources.numbers import LOOKED_AT, MISSING, in_digits, kind_of

DELIMITERS = (",", ";", "\t", "|")
LINES = 200
"""Lines that are looked at."""
SEP = re.compile(r'"?sep=(.)"?[\s;,]*', re.IGNORECASE)
"""The line by which a spreadsheet learns the delimiter."""
BRACKETED = re.compile(r"[(\[{].{1,20}[)\]}]")
COMPOUND = re.compile(r"[^\W\d][\w°²³%]{0,5}[/·*^.-][\w°²³%^-]{1,6}(?:[/*][\w²³]{1,4})?")
LABVIEW, END_OF_HEADER = "LabVIEW Measurement", "***End_of_Header***"
"""The first line of a file of LabVIEW, and the last one of its header and of that of each block."""
ABOVE_ROWS = (
    LABVIEW,
    "Writer_Version",
    "Reader_Version",
    "Separator",
    "Decimal_Separator",
    "Description",
    "Multi_Headings",
    "X_Columns",
    "Time_Pref",
    "Operator",
    "Channels",
    "Samples",
    "Date",
    "Time",
    "Y_Unit_Label",
    "X_Dimension",
    "X0",
    "Delta_X",
    END_OF_HEADER,
)
"""What lines of LabVIEW above rows begin with; files and blocks may stand below each other."""
LABVIEW_DELIMITERS = {"Tab": "\t", "Comma": ","}
RULE = re.compile(r":?(?:-{3,}|={3,}):?")
WIDTH = re.compile(r"\d{1,3}[dns]")
"""How wide a column of RDB is, and of which kind: the line under its header says no more."""
UNITS = frozenset(
    {
        *("s", "ms", "us", "µs", "ns", "h", "hr", "d", "v", "mv", "kv", "a", "ma", "ua", "µa"),
        *("w", "kw", "mw", "gw", "wh", "kwh", "mwh", "va", "kva", "var", "kvar", "ohm", "kohm"),
        *("pa", "kpa", "hpa", "mpa", "mbar", "bar", "psi", "inhg", "k", "c", "f", "°c", "°f"),
        *("degc", "degf", "deg", "°", "rad", "%", "‰", "hz", "khz", "mhz", "rpm", "1/min", "j"),
        *("m", "mm", "cm", "km", "um", "µm", "l", "ml", "kg", "g", "mg", "t", "n", "nm", "kj"),
        *("lux", "lx", "ppm", "ppb", "db", "dba", "dbm", "ph", "pf", "cos", "ω", "m³", "m3", "m²"),
        *("m2", "ts", "rn", "avg", "max", "min", "smp", "std", "tot", "utc", "gmt", "local"),
        *("none", "n/a", "-", "--", "counts", "pcs", "raw"),
    }
)
"""Units, in small letters, and what loggers write in their place."""


@dataclass(frozen=True)
class Head:
    """Where a table begins.

    Parameters
    ----------
    above
        Lines above the header, or above the first row if there is no header.
    delimiter
        Between cells, if a line names it or it follows from where the table is.
    comments
        What lines begin with that are passed over.
    names
        The header, if it stands in a comment.
    units
        Lines under the header that hold units.
    titles
        Lines above a header of several lines.
    said
        What was found, a line each.
    """

    above: int = 0
    delimiter: str | None = None
    comments: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    units: int = 0
    titles: int = 0
    said: tuple[str, ...] = field(default=())


def find_head(
    lines: Sequence[str],
    delimiter: str | None = None,
    has_header: bool = True,
    skip_lines: int = 0,
    comment: str | None = None,
    wanted: Iterable[str] = (),
) -> Head:
    """Find where the table of a file begins.

    Parameters
    ----------
    lines
        The first lines of the file.
    delimiter
        Between cells, if an option gives it.
    has_header
        Whether there is a header.
    skip_lines
        Lines to leave out at the start.
    comment
        What lines begin with that are to be passed over, if an option gives it.
    wanted
        Names of columns: a line that holds all of them is the header.
    """
    said: list[str] = []
    at = min(skip_lines, len(lines))
    mark = comment or ""
    if at < len(lines) and lines[at].startswith(LABVIEW) and has_header:
        return _of_labview(lines, at, delimiter)
    if found := SEP.fullmatch(lines[at].strip("\r\n") if at < len(lines) else ""):
        delimiter = delimiter or found[1]
        said.append(f"line {at + 1} names the delimiter, {found[1]!r}")
        at += 1
    first = _not_blank(lines, at)
    names = None
    if first is not None and comment is None and lines[first].startswith("#"):
        mark = "#"
    if mark:
        last: int | None = None
        while first is not None and lines[first].startswith(mark):
            last = first
            first = _not_blank(lines, first + 1)
        if last is not None and first is not None and has_header:
            names = _in_comment(lines[last], lines[first], mark, delimiter)
            if names is not None and len(lines) > 1:
                said.append(f"the header is the comment in line {last + 1}")
    marks = (mark,) if mark else ()
    if first is None:
        return Head(at, delimiter, marks, None, said=tuple(said))
    begin = first
    head = Head(begin, delimiter, marks, names)
    if names is None and has_header:
        head = _structure(lines, begin, head, delimiter, tuple(wanted))
        names = head.names
    if names is not None and not head.comments:
        if n := head.titles - skip_lines - len(said):
            said.append(_passed(n))
        said.append(f"columns are called by several lines, such as {max(names, key=len)!r}")
    elif n := head.above - skip_lines - len(said):
        said.append(_passed(n))
    if head.units:
        for where in range(head.above + 2, head.above + 2 + head.units):
            if texts := lines[where - 1].strip():
                holds = _held_by(_split(texts, head.delimiter or max(DELIMITERS, key=texts.count)))
                said.append(f"line {where} holds {holds} and is passed over: {texts[:60]!r}")
    return Head(head.above, head.delimiter, marks, names, head.units, head.titles, tuple(said))


def _held_by(cells: Sequence[str]) -> str:
    """What a line under the header holds, in words."""
    if _is_rule(cells):
        return "a rule"
    return "units" if _are_units(cells, range(len(cells))) else "words"


def _passed(n: int) -> str:
    return f"{counted(n, 'lines')} above the table passed over"


def _of_labview(lines: Sequence[str], at: int, delimiter: str | None) -> Head:
    """The header under that of the file and that of the first block."""
    ends = [i for i, line in enumerate(lines) if line.startswith(END_OF_HEADER)][:2]
    above = ends[-1] + 1 if ends else at
    pairs = dict(line.split()[:2] for line in lines[at:above] if len(line.split()) == 2)
    delimiter = delimiter or LABVIEW_DELIMITERS.get(pairs.get("Separator", ""))
    return Head(above, delimiter, ABOVE_ROWS, said=(_passed(above - at),))


def _not_blank(lines: Sequence[str], at: int) -> int | None:
    """The first line from there on that is not blank."""
    return next((i for i in range(at, len(lines)) if lines[i].strip()), None)


def _in_comment(line: str, after: str, mark: str, delimiter: str | None) -> tuple[str, ...] | None:
    """The names in a comment, if rows of as many numbers or times follow at once."""
    choices = (delimiter,) if delimiter else DELIMITERS
    for choice in choices:
        cells = _split(after, choice)
        # numpy puts a space behind the mark, which stands between no cells
        names = _split(line.removeprefix(mark).strip() if choice == " " else line, choice)
        if len(cells) == len(names) and all(is_typed(cell) for cell in cells if cell.strip()):
            is_name = names[0].removeprefix(mark).strip().isidentifier()
            if len(cells) == 1 and not (is_name and kind_of(in_digits(cells[0]))):
                continue
            names[0] = names[0].removeprefix(mark).strip() or names[0]
            return tuple(name.strip() for name in names)
    return None


def _structure(
    lines: Sequence[str], begin: int, head: Head, delimiter: str | None, wanted: tuple[str, ...]
) -> Head:
    """Where the header is, by the names wanted and by how many cells lines have."""
    choices = (delimiter,) if delimiter else DELIMITERS
    tables = {choice: _records(lines[begin:], choice, head.comments) for choice in choices}
    for choice, records in tables.items():
        for number, cells in records[:100]:
            names = [cell.strip() for cell in cells]
            if wanted and len(names) > 1 and _holds(names, wanted):
                above = begin + number
                units = _units(records, number)
                mark = choice if above > begin else delimiter
                return Head(above, mark, head.comments, None, units)
    best: tuple[float, int, str, int] | None = None
    for choice, records in tables.items():
        rows = [cells for _, cells in records]
        if (shape := _shape(rows)) is not None and (start := _start(rows, shape)) is not None:
            below = [len(cells) for cells in rows[start + 1 :]]
            share = below.count(shape[1]) / len(below)
            key = (share, shape[1], choice, start)
            best = key if best is None or key[:2] > best[:2] else best
    counted = delimiter or max(DELIMITERS, key=_unquoted(lines[begin]).count)
    records = tables[counted]
    shape = _shape([cells for _, cells in records])
    if (
        best is None
        or best[3] == 0
        or shape is None
        or (_names(records[0][1], shape) and shape[1] > 1)
    ):
        above = _under_pairs(records)
        choice_of: str | None = delimiter
    else:
        assert best is not None
        choice_of = best[2]
        records = tables[choice_of]
        above = best[3] + _under_pairs(records[best[3] :])
    for in_lines in (_in_levels, _in_groups):
        if (found := in_lines(records[above:])) is not None:
            first, called = found
            titles = begin + records[above][0]
            return Head(begin + first, choice_of or counted, head.comments, called, 0, titles)
    above += _under_groups(records[above:])
    number = records[above][0] if above < len(records) else 0
    units = _units(records, number)
    return Head(begin + number, choice_of, head.comments, None, units)


def _in_levels(records: Sequence[tuple[int, list[str]]]) -> tuple[int, tuple[str, ...]] | None:
    """The first row under a header of two or three lines, and what columns are called by them.

    pandas writes such a header: names come again in a line, and each column has another pair. The
    name of the index may stand alone in the last line.
    """
    typed = _typed_columns(records)
    n = next((i for i, (_, cells) in enumerate(records[:4]) if _is_row(cells, typed)), 0)
    rows = [[cell.strip() for cell in cells] for _, cells in records[:n]]
    if n < 2 or any(_are_units(cells, typed) or _is_rule(cells) for cells in rows[1:]):
        return None
    if len({len(cells) for _, cells in records[: n + 1]}) > 1:
        return None
    index = rows.pop()[0] if not any(rows[-1][1:]) else ""
    columns = list(zip(*(cells[1:] for cells in rows), strict=True))
    comes_again = any(len(set(cells[1:])) < len(cells[1:]) for cells in rows)
    if len(rows) < 2 or not comes_again or len(set(columns)) < len(columns):
        return None
    if not all(map(all, columns)) or any(is_typed(cell) for cells in columns for cell in cells):
        return None
    return records[n][0], (index, *(" ".join(cells) for cells in columns))


def _in_groups(records: Sequence[tuple[int, list[str]]]) -> tuple[int, tuple[str, ...]] | None:
    """The first row under names of groups and names within them, and what columns are called.

    A cell that is merged over several columns stands in the first of them, and one that is merged
    over both lines in the upper one. The title of a table stands above its first column, too: where
    no cell is merged over both lines, groups are told only where names within them come again.
    """
    typed = _typed_columns(records)
    n = next((i for i, (_, cells) in enumerate(records[:5]) if _is_row(cells, typed)), 0)
    rows = [[cell.strip() for cell in cells] for _, cells in records[:n]]
    if n < 2 or any(is_typed(cell) for cells in rows[:2] for cell in cells):
        return None
    if _are_units(rows[1], typed) or _is_rule(rows[1]):
        return None
    if not all(_are_units(cells, typed) for cells in rows[2:]):
        return None
    width = max(map(len, rows[:2]))
    upper, lower = (cells + [""] * (width - len(cells)) for cells in rows[:2])
    over_both = [bool(above and not below) for above, below in zip(upper, lower, strict=True)]
    again = {name for name, times in Counter(filter(None, lower)).items() if times > 1}
    if not any(upper) or all(upper) or not any(lower):
        return None
    if upper[0] and not (any(over_both) or again):
        return None
    names, group = [], ""
    for above, below, alone in zip(upper, lower, over_both, strict=True):
        group = "" if alone else above or group
        is_told = not upper[0] or any(over_both) or below in again
        names.append(above if alone else f"{group} {below}".strip() if is_told else below)
    return records[n][0], tuple(names)


def _records(
    lines: Sequence[str], delimiter: str, comments: tuple[str, ...]
) -> list[tuple[int, list[str]]]:
    """Records that are not blank or comments, and the line that each begins at, from 0."""
    found: list[tuple[int, list[str]]] = []
    reader = csv.reader(lines, delimiter=delimiter)
    begin = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not lines[begin].startswith(comments):
                found.append((begin, cells))
            begin = reader.line_num
    except csv.Error:
        pass
    # the last line may be cut off
    return found


def _width(cells: Sequence[str]) -> int:
    """How many cells there are, without empty ones at the end."""
    n = len(cells)
    while n and not cells[n - 1].strip():
        n -= 1
    return n


def _shape(rows: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """How many cells most rows have, without and with empty ones at the end."""
    if len(rows) < 3:
        return None
    lower = rows[len(rows) // 3 :]
    full = Counter(map(len, lower)).most_common(1)[0][0]
    filled = Counter(_width(cells) for cells in lower if len(cells) == full).most_common(1)[0][0]
    return filled, full


def _names(cells: Sequence[str], shape: tuple[int, int]) -> bool:
    """Whether there are about as many cells as rows have."""
    filled, full = shape
    if filled <= _width(cells) <= full:
        return True
    # names may be blank, but not most of them
    names = [cell for cell in cells if cell.strip()]
    return (
        filled <= len(cells) <= full
        and 2 * len(names) >= max(filled, 4)
        and not any(map(is_typed, names))
    )


def _start(rows: Sequence[Sequence[str]], shape: tuple[int, int]) -> int | None:
    """The first line with names for the cells of the rows that follow."""
    typed = _typed_columns([(i, list(cells)) for i, cells in enumerate(rows)])
    if shape[0] < 2 or not typed:
        return None
    for i in range(len(rows) - 2):
        if not _names(rows[i], shape) or _is_row(rows[i], typed):
            continue
        if all(shape[0] <= len(cells) <= shape[1] for cells in rows[i + 1 : i + 3]):
            return i
    return None


def _under_pairs(records: Sequence[tuple[int, list[str]]]) -> int:
    """The header under pairs of a name and a value that look like rows of two cells; else 0."""
    typed = _typed_columns(records)
    rows = [cells for _, cells in records]
    first = next((i for i, cells in enumerate(rows) if i and _is_row(cells, typed)), 0)
    # what holds numbers is no header: a column may hold words in the first rows, and numbers later
    if first < 2 or not typed or any(map(is_typed, rows[first - 1])):
        return 0
    with_values = any(is_typed(cell) for cells in rows[: first - 1] for cell in cells)
    return first - 1 if with_values and not _are_units(rows[first - 1], typed) else 0


def _under_groups(records: Sequence[tuple[int, list[str]]]) -> int:
    """The header under names of groups of columns, most of them merged cells; else 0."""
    typed = _typed_columns(records)
    rows = [[cell.strip() for cell in cells] for _, cells in records[:3]]
    if len(rows) < 3 or all(rows[0]) or not any(rows[0]):
        return 0
    names = rows[1][: max(_width(rows[1]), _width(rows[0]))]
    is_header = all(names) and not any(map(is_typed, names)) and not _are_units(names, typed)
    return 1 if is_header and _width(rows[2]) <= len(names) else 0


def _units(records: Sequence[tuple[int, list[str]]], header: int) -> int:
    """How many lines under the header hold units, a rule, or words about the columns."""
    rows = [(number, cells) for number, cells in records if number > header]
    typed = _typed_columns(rows)
    units = functools.partial(_are_units, typed=typed)
    words = functools.partial(_are_words, typed=typed)
    n = 0
    while n < min(3, len(rows) - 1) and any(its(rows[n][1]) for its in (units, _is_rule, words)):
        n += 1
    if n and not _is_row(rows[n][1], typed):
        return 0
    return rows[n][0] - header - 1 if n else 0


def _typed_columns(records: Sequence[tuple[int, list[str]]]) -> list[int]:
    """The columns that hold numbers or times in most rows of the lower half."""
    rows = [cells for _, cells in records[len(records) // 2 :]]
    width = max(map(len, rows), default=0)
    typed = []
    for j in range(width):
        cells = [row[j] for row in rows if j < len(row) and row[j].strip().lower() not in MISSING]
        if cells and 2 * sum(map(is_typed, cells)) > len(cells):
            typed.append(j)
    return typed


def _is_row(cells: Sequence[str], typed: Sequence[int]) -> bool:
    """Whether cells have numbers and times where rows have them, or nothing."""
    here = [cells[j] for j in typed if j < len(cells)]
    return bool(here) and all(is_typed(c) or c.strip().lower() in MISSING for c in here)


def _are_units(cells: Sequence[str], typed: Sequence[int]) -> bool:
    """Whether all cells where rows have numbers and times hold units, or nothing."""
    here = [cells[j].strip() for j in typed if j < len(cells)]
    texts = [cell for cell in here if cell]
    if not texts or any(is_typed(cell) or cell.lower() in MISSING - {"-", "--"} for cell in texts):
        return False
    known = sum(
        cell.lower() in UNITS or bool(BRACKETED.fullmatch(cell) or COMPOUND.fullmatch(cell))
        for cell in texts
    )
    return 2 * known >= len(texts)


def _are_words(cells: Sequence[str], typed: Sequence[int]) -> bool:
    """Whether there are words in all of several places where rows have numbers and times."""
    here = [cells[j].strip() for j in typed if j < len(cells)]
    return len(here) > 1 and not any(is_typed(it) or it.lower() in MISSING for it in here)


def _is_rule(cells: Sequence[str]) -> bool:
    """Whether cells are a rule, as Markdown has it under its header, or the widths of RDB."""
    if all(map(WIDTH.fullmatch, cells)):
        return len({cell[-1] for cell in cells}) > 1
    return all(RULE.fullmatch(cell.strip()) for cell in cells if cell.strip())


@functools.lru_cache(LOOKED_AT)
def is_typed(text: str) -> bool:
    """Whether a cell looks like a number or a time."""
    text = text.strip()
    if kind_of(in_digits(text)):
        return True
    digits = sum(map(str.isdigit, text))
    return digits >= 4 and (text[:1].isdigit() or re.search(r"\d:\d\d", text) is not None)


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])


def _holds(names: Sequence[str], wanted: Iterable[str]) -> bool:
    """Whether every name wanted is there, or its parts between commas are."""
    return all(
        name in names or all(part.strip() in names for part in name.split(",")) for name in wanted
    )


def _unquoted(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)
