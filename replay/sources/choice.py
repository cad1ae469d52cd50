"""Which columns are learnt, which tell the time, and what may be a key, if no option says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from online_gmm.data.counted import counted, in_part
from replay.sources.columns import ENOUGH, PARTS, Column, columns_in, how_to_get_at, kind_of_time
from replay.sources.epochs import ID_NAME, TIME_NAME, is_early
from replay.sources.numbers import in_digits
from replay.sources.read_options import ReadOptions

INTERLEAVED = 0.7
"""Different times, as a share of the rows, below which rows of the same time are looked at."""
WIDE = 5
"""Columns called by a time from which on it is said that a row holds several times."""
LEFT_OUT = "left out: "
"""How a line begins that says what is not learnt, and why."""
MOST_SAID = 20
"""Columns that are left out of which it is said why."""
FIRST_YEAR = 1900
"""A year in four digits, with which a time is put together."""


@dataclass(frozen=True)
class Choice:
    """What is taken of a file without options.

    Parameters
    ----------
    values
        The columns to learn.
    time
        The columns that tell the time: one, or a date and a clock; empty if there is none.
    keys
        Columns that may tell what a row is a measurement of.
    said
        What was left out and why, a line each.
    """

    values: tuple[str, ...]
    time: tuple[str, ...]
    keys: tuple[str, ...]
    said: tuple[str, ...]


def told_apart_by(key: str, n: int) -> str:
    """What to say of a column of few texts."""
    return (
        f"{key!r} has {n} different texts; --key {quoted(key)} would give each a model of its own"
    )


def choose(columns: Sequence[Column], taken: Sequence[str], with_time: bool) -> Choice:
    """Which columns to learn, which tells the time, and what may be a key.

    Parameters
    ----------
    columns
        Those of the file.
    taken
        Names that are used as something else.
    with_time
        Whether the time is looked for.
    """
    time = _time(columns, taken) if with_time else ()
    free = [column for column in columns if column.name not in (*taken, *time)]
    numeric = [column for column in free if column.is_numeric and not column.time]
    values = [column for column in numeric if not column.why_not]
    said = []
    if not values:
        values = [column for column in numeric if not column.is_constant] or numeric
        values = values or [its for its in free if its.is_switch and not its.is_constant]
        if not values and with_time:
            # times in numbers, if there is nothing else
            values = [column for column in free if column.is_numeric]
        for column in values:
            said.append(
                f"{column.name!r} {column.why_not}; it is learnt as no other column holds numbers"
            )
    keys = tuple(column.name for column in free if column.tells_apart)
    left_out = [
        f"{LEFT_OUT}{column.name!r} {_why_left_out(column, with_time and not time)}"
        for column in free
        if column not in values and (column.name not in keys or column.is_numeric)
    ]
    dated = [column.name for column in values if kind_of_time([column.name])]
    if len(dated) >= WIDE:
        said.append(
            f"{len(dated)} columns are called by a time, such as {dated[0]!r}, and each is learnt "
            "as a channel of its own; if they follow each other, put them below each other, as "
            "pandas.melt does"
        )
    said += left_out[:MOST_SAID]
    if len(left_out) > MOST_SAID:
        said.append(
            f"{LEFT_OUT}{counted(len(left_out) - MOST_SAID, 'more columns')}; replay look shows all"
        )
    return Choice(tuple(column.name for column in values), time, keys, tuple(said))


def _why_left_out(column: Column, time_is_missing: bool) -> str:
    """Why a column is not learnt, and what takes it in."""
    if not column.is_numeric and not column.is_switch:
        if not column.usual:
            return f"holds {column.holds}{how_to_get_at(column.name, column.stored)}"
        others = in_part([repr(it) for it in column.texts if it != column.usual])
        return (
            f"is {column.usual!r} in {column.texts[column.usual]:,} of the first "
            f"{counted(column.n, 'rows')}, and {others} in others; all of them are learnt"
        )
    is_year = column.time_format == "%Y"
    named = not column.part and (is_year or TIME_NAME.search(column.name) is not None)
    may_be_time = time_is_missing and (named or column.may_be_time)
    form = f" --time-format {column.time_format}" if column.time_format else ""
    or_time = f", --time {quoted(column.name)}{form} if it is the time" * may_be_time
    return f"{column.why_not}; --value takes it in{or_time}"


def chosen(
    options: ReadOptions,
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    stored: Mapping[str, str] | None = None,
) -> tuple[ReadOptions, list[str]] | None:
    """Return the options with values and a time chosen by the first rows, and notes on the choice.

    None if no column holds numbers.
    """
    rows = list(rows)
    columns = columns_in(names, rows, stored)
    choice = choose(columns, options.others, with_time=options.time is None)
    free = [column for column in columns if column.name not in options.others]
    if not choice.values and len(free) == 1 and free[0].n_given < ENOUGH:
        choice = replace(choice, values=(free[0].name,))
    if not choice.values:
        return None
    said = []
    if len(free) > 1:
        said.append(f"--value is not given: learnt is {in_part(list(map(repr, choice.values)))}")
    if choice.time:
        *others, last = map(repr, choice.time)
        before = f"{', '.join(others)} and " if others else ""
        said.append(f"the time is in {before}{last}")
        parts = choice.time if len(choice.time) > 1 else ()
        options = replace(options, time=" ".join(choice.time), parts=parts)
    told = options.parts or (() if options.time is None else (options.time,))
    if options.key is None:
        said += _interleaved(names, rows, told, choice.keys)
    n_texts = {column.name: len(column.texts) for column in columns}
    apart = [told_apart_by(key, n_texts[key]) for key in choice.keys]
    return replace(options, values=choice.values), [*said, *choice.said, *apart]


def _interleaved(
    names: Sequence[str], rows: Sequence[Sequence[str]], time: Sequence[str], keys: Sequence[str]
) -> list[str]:
    """That rows of the same time are of several things, in a line, if they are."""
    if not time or any(name not in names for name in time):
        return []
    places = [names.index(name) for name in time]
    whole = [row for row in rows if len(row) >= len(names)]
    times = [tuple(row[place] for place in places) for row in whole]
    if len(whole) < ENOUGH or len(set(times)) > INTERLEAVED * len(whole):
        return []
    # a number is a name of last resort
    for key in sorted(keys, key=lambda name: ID_NAME.search(name) is not None):
        place = names.index(key)
        both = {(*moment, row[place]) for moment, row in zip(times, whole, strict=True)}
        if len(both) == len(whole):
            return [
                f"the same times come again for each {key!r}, and all rows are learnt as one "
                f"series: say --key {quoted(key)}, or keep the rows of one"
            ]
    return []


def _time(columns: Sequence[Column], taken: Sequence[str]) -> tuple[str, ...]:
    """The column that tells the time; or two, a date and a clock; or a year, a month and so on."""
    free = [c for c in columns if c.name not in taken and c.time and not _stands(c)]
    dates = [column for column in free if column.time in ("date", "number")]
    dates.sort(
        key=lambda column: (
            _is_early(column),
            not TIME_NAME.search(column.name),
            column.time == "number",
        )
    )
    clocks = [c for c in columns if c.name not in taken and c.time == "clock"]
    if clocks:
        days = [c for c in columns if c.name not in taken and c.time == "date" and _has_no_clock(c)]
        if days:
            return days[0].name, clocks[0].name
    if dates:
        return (dates[0].name,)
    return _put_together([column for column in columns if column.name not in taken])


def _put_together(columns: Sequence[Column]) -> tuple[str, ...]:
    """Year, month, day and as much of the clock as there is, of a time in several columns."""
    its = {column.part: column for column in columns if column.n_numbers == column.n}
    names = []
    for what in PARTS:
        if what not in its:
            break
        names.append(its[what].name)
    has_day = any("day" in column.part for column in columns)
    if len(names) < len(("year", "month", "day") if has_day else ("year", "month")):
        return ()
    return tuple(names) if min(its["year"].numbers) >= FIRST_YEAR else ()


def _stands(column: Column) -> bool:
    """Whether a time does not change."""
    return column.n_given > 1 and len(column.texts) == 1


def _is_early(column: Column) -> bool:
    """Whether numbers would be times before 2000, and may rather count something else."""
    return column.time == "number" and is_early(float(in_digits(next(iter(column.texts)))))


def _has_no_clock(column: Column) -> bool:
    return ":" not in next(iter(column.texts))


def quoted(name: str) -> str:
    """A name as a shell takes it."""
    return name if re.fullmatch(r"[\w.:/@%+-]+", name) else "'" + name.replace("'", "'\\''") + "'"
