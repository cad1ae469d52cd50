"""What the first cells of each column are: numbers, times, or texts that tell things apart."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from online_gmm.data.counted import counted
from replay.sources.dates import readings
from replay.sources.epochs import ID_NAME, TIME_NAME, are_times, may_be_times
from replay.sources.message import as_object
from replay.sources.numbers import DECIDES, MISSING, SWITCHES, Numbers, in_digits, kind_of
from replay.sources.order_of_times import is_newest_first
from replay.sources.times import EXCEL, Clock

FEW = 50
"""Different texts of a column that tells things apart, at most."""
JSON = "JSON in texts"
"""What a column holds whose texts are objects."""
SHORT = 30
"""Characters of a text that is shown as an example."""
USUAL = 0.95
"""Share of the cells from which on a text tells nothing apart: a state is good, but for a few."""
ENOUGH = 8
"""Rows from which on a column is said to be constant, or to count."""
DIGITS = 15
"""So many digits of a whole number a double keeps in any case."""
MANY = 50
"""Rows from which on a column whose numbers never fall is said to hold a running total."""
ANEW = 0.01
"""Share of the rows in which a running total begins anew, at most."""
MOST_HELD = 8
"""Columns of which it is said what they hold where none holds numbers."""
TRIED = 20
"""Texts of a column that are tried as times."""
SUM = re.compile(
    r"\W*(?:(?:grand|sub)[ -]?)?(?:totals?|sum(?:me|ma)?|averages?|avg|mean|median|min(?:imum)?|"
    r"max(?:imum)?|count|st(?:andar)?d\.?[ -]?dev(?:iation)?|std|gesamt(?:summe)?|mittel(?:wert)?|"
    r"durchschnitt|anzahl|somme|moyenne|suma|promedio|media|totale|somma|totaal|gemiddelde)\b\D*",
    re.IGNORECASE,
)
"""What stands in place of a time in a row that sums up others."""
PARTS = {
    "year": (("year", "yr", "yyyy", "yy", "jahr", "año", "année"), 0, 2200),
    "month": (("month", "mon", "mo", "mm", "monat", "mes", "mois"), 1, 12),
    "day": (("day", "dy", "dd", "tag", "día", "jour"), 1, 31),
    "hour": (("hour", "hours", "hr", "hh", "stunde", "hora", "heure"), 0, 24),
    "minute": (("minute", "minutes", "min", "mn", "mm"), 0, 59),
    "second": (("second", "seconds", "sec", "ss"), 0, 59),
    "day of the year": (("doy", "yday", "jday", "julian day", "day of year", "dayofyear"), 1, 366),
}
"""What columns of parts of a time are called, in small letters, and their least and most."""
MILLIS = ("ms", "msec", "millis", "millisec", "millisecond", "milliseconds")
"""What a column is called that goes on where the clock of another ends."""
EARLIEST_YEAR = 1500
"""A year in four digits that stands alone."""
FIRST_DAY, LAST_DAY = 20_000, 90_000
"""Day numbers of a spreadsheet, from 1954 to 2146."""
DAYS, DAY_FORMS = ("date", "datum", "fecha", "data"), ("%y%m%d", "%d%m%y", "%m%d%y")
"""How dates may be written that look like numbers, in columns of these names."""
CLOCKS = ("time", "uhrzeit", "zeit", "hora", "heure", "utc")
CLOCK_FORMS, BARE_CLOCKS = ("%H.%M",), ("%H%M%S", "%H%M")
"""The same of clocks: those that can be read beside a date, and those that cannot."""
DOTTED_CLOCK = re.compile(r"(?:[01]?\d|2[0-3])\.[0-5]\d\.[0-5]\d")
"""A clock that may as well be a date, but for the name of its column."""
CLOCK = re.compile(
    r"\d{1,2}[hH][0-5]\d|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?"
)


@dataclass
class Column:
    """What the first cells of a column are.

    Parameters
    ----------
    name
        Of the column.
    n, n_missing, n_numbers
        Cells, those of them without a value, and those that are numbers.
    texts
        Different cells and how often each came, in the order in which they came; no more than
        FEW + 1 unless they are numbers.
    is_counter
        Whether the cells are whole numbers with the same step from each to the next.
    is_total
        Whether the numbers rise in most rows, and are many: a meter, or a distance. They may fall
        in one row of a hundred, where it begins anew.
    n_falls
        Rows in which a number is less than the one before.
    time
        ``date`` if they are dates, ``clock`` if they are clocks without a date, ``number`` if they
        are numbers that rise, or mostly go one way in a column called a time, and are times since
        1970; empty if they are no times.
    may_be_time
        Whether they rise and are of the size of times since 1970, but may as well count something.
    stored
        What a file of typed columns holds here that is no cell, such as ``lists``.
    part
        Which part of a time in several columns they are, such as ``month``; empty if none.
    """

    name: str
    n: int = 0
    n_missing: int = 0
    n_numbers: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    is_counter: bool = False
    is_whole: bool = True
    is_total: bool = False
    n_falls: int = 0
    time: str = ""
    may_be_time: bool = False
    stored: str = ""
    part: str = ""

    @property
    def n_given(self) -> int:
        """Cells with a value."""
        return self.n - self.n_missing

    @property
    def numbers(self) -> list[float]:
        """Different cells that are numbers; a ValueError if their marks contradict each other."""
        return _values([bare for text in self.texts if kind_of(bare := in_digits(text))])

    @property
    def is_numeric(self) -> bool:
        """Whether at least half of the cells with a value are numbers."""
        return self.n_numbers > 0 and 2 * self.n_numbers >= self.n_given

    @property
    def is_switch(self) -> bool:
        """Whether all cells with a value are `on` or `off`."""
        return bool(self.texts) and all(text.lower() in SWITCHES for text in self.texts)

    @property
    def is_mixed(self) -> bool:
        """Whether they are, enough to say so, and more than a fifth are something else."""
        n_others = self.n_given - self.n_numbers
        return self.is_numeric and self.n_given >= ENOUGH and 5 * n_others > self.n_given

    @property
    def is_constant(self) -> bool:
        """Whether all cells with a value are alike, and there are enough cells to say so."""
        return self.n >= ENOUGH and len(self.texts) == 1

    @property
    def time_format(self) -> str:
        """How its numbers may be times, if that has to be told; empty if it has not."""
        names, _, most = PARTS["year"]
        try:
            numbers = self.numbers if self.is_numeric else []
        except ValueError:
            return ""
        if not numbers:
            return ""
        if self.is_whole and self.name.strip().lower() in names:
            return "%Y" if min(numbers) >= EARLIEST_YEAR and max(numbers) <= most else ""
        is_day = min(numbers) > FIRST_DAY and max(numbers) < LAST_DAY
        return EXCEL if is_day and TIME_NAME.search(self.name) is not None else ""

    @property
    def is_beyond_doubles(self) -> bool:
        """Whether they are whole numbers of which a double is the same for two, on average."""
        if self.is_identifier or not self.is_whole:
            return False
        is_wide = any(len(text) > DIGITS for text in self.texts)
        return is_wide and 2 * len(set(self.numbers)) <= len(self.texts)

    @property
    def is_identifier(self) -> bool:
        """Whether the numbers count rows, or name things."""
        return self.is_counter or (self.is_whole and ID_NAME.search(self.name) is not None)

    @property
    def why_not(self) -> str:
        """Why its numbers are learnt only if it is named; empty if they are learnt anyway."""
        if self.is_switch:
            return "holds on and off, which are 1 and 0"
        if self.part:
            return "is a part of the time, which is not put together"
        if self.is_beyond_doubles:
            n_texts, n = len(self.texts), len(set(self.numbers))
            left = "1 is" if n == 1 else f"{n:,} are"
            return f"has {n_texts:,} different numbers, of which {left} left as 16 digits are kept"
        if self.is_constant:
            where = "wherever it is given in" if self.n_missing else "in all of"
            rows = counted(self.n, "rows")
            return f"is {next(iter(self.texts))} {where} the first {rows}"
        if self.is_mixed:
            share = 1 - self.n_numbers / self.n_given
            word = next(text for text in self.texts if not kind_of(in_digits(text)))
            return f"holds texts such as {word!r} in {share:.0%} of its first {self.n:,} rows"
        if self.time:
            return "holds times"
        if self.is_identifier:
            return "counts rows" if self.is_counter else "holds identifiers"
        if self.may_be_time:
            return "rises, and may be times since 1970 or a count"
        if not self.is_total:
            return ""
        if self.n_falls:
            return f"rises but for {counted(self.n_falls, 'rows')}, as a total that begins anew"
        return "never falls, as a running total"

    @property
    def holds(self) -> str:
        """What it holds, in words."""
        if self.stored:
            return self.stored
        if self.time:
            kinds = {
                "date": "times",
                "clock": "clocks without a date",
                "number": "times in numbers",
            }
            return kinds[self.time]
        if not self.n_given:
            return "nothing"
        if self.is_numeric:
            kind = f"{'whole ' * self.is_whole}numbers{' and texts' * self.is_mixed}"
            rising = ", rising" if self.n_falls else ", never falling"
            more = ", constant" * self.is_constant + rising * self.is_total
            return "a counter" if self.is_counter else kind + more
        if len(self.texts) == 1:
            return f"{next(iter(self.texts))!r}"
        if self.is_switch:
            return "on and off"
        n = len(self.texts)
        return f"texts, {n} different" if n <= FEW else f"texts such as {_shortened(self.texts)!r}"

    @property
    def usual(self) -> str:
        """The text that nearly all cells with a value hold, if there are a few others."""
        if not 1 < len(self.texts) <= FEW or self.is_numeric or self.time or self.is_switch:
            return ""
        text = max(self.texts, key=self.texts.__getitem__)
        return text if self.texts[text] >= USUAL * self.n_given else ""

    @property
    def tells_apart(self) -> bool:
        """Whether there are a few texts that come again and again, in every row."""
        return (
            not self.time
            and not self.stored
            and not self.usual
            and not self.is_switch
            and not self.is_constant
            and (not self.is_numeric or self.is_mixed or self.is_identifier)
            and not self.is_counter
            and not self.n_missing
            and 1 < len(self.texts) <= FEW
            and 4 * len(self.texts) <= self.n_given
        )


def columns_in(
    names: Sequence[str], rows: Iterable[Sequence[str]], stored: Mapping[str, str] | None = None
) -> list[Column]:
    """What the cells of rows are, column by column, from the oldest row on.

    ``stored``: what columns hold that is no cell, by their names.
    """
    cells: list[list[str]] = [[] for _ in names]
    for row in rows:
        for j, cell in enumerate(row[: len(names)]):
            cells[j].append(cell.strip())
    columns = _described(names, cells)
    dated = (column for column in columns if column.time in ("date", "number"))
    if any(is_newest_first(list(column.texts), Clock()) for column in dated):
        columns = _described(names, [its[::-1] for its in cells])
    _find_parts(columns)
    for column in columns:
        column.stored = (stored or {}).get(column.name, column.stored)
        if _is_bare(column, CLOCKS, CLOCK_FORMS):
            column.time = "clock"
        if _is_millisecond(column) and any(its.time == "clock" for its in columns):
            column.part = column.part or "millisecond"
        if _is_bare(column, DAYS, DAY_FORMS) or _is_bare(column, CLOCKS, BARE_CLOCKS):
            column.part = column.part or "date or clock"
    return columns


def _is_millisecond(column: Column) -> bool:
    """Whether it is called so, and holds whole numbers as there are within a second."""
    if not column.is_numeric or not column.is_whole or column.name.strip().lower() not in MILLIS:
        return False
    return all(0 <= number < 1000 for number in column.numbers)


def _is_bare(column: Column, names: Sequence[str], forms: Sequence[str]) -> bool:
    """Whether all numbers are times of one of these forms, and the column is called so."""
    if not column.is_numeric or column.n_given < ENOUGH or column.n_missing:
        return False
    if column.name.strip("#%_ ").lower() not in names:
        return False
    return any(all(_is_of(text, form) for text in column.texts) for form in forms)


def _is_of(text: str, form: str) -> bool:
    try:
        written = datetime.datetime.strptime(text, form).strftime(form)
    except ValueError:
        return False
    return len(written) == len(text)


def _find_parts(columns: Sequence[Column]) -> None:
    """Tell which columns are parts of a time: there is a year, and a day or month of it."""
    dates = (("year", "month", "day"), ("year", "day of the year"), ("year", "month"))
    date = next((d for d in dates if all(_part(columns, what) for what in d)), None)
    if date is None:
        return
    clock = () if date[-1] == "month" else ("hour", "minute", "second")
    for what in (*date, *clock):
        column = _part(columns, what)
        if column is None:
            # there are no minutes without hours: the least of something is called min too
            return
        column.part = what


def _part(columns: Sequence[Column], what: str) -> Column | None:
    """The column that is called like a part of a time, and holds whole numbers as this has."""
    names, least, most = PARTS[what]
    for column in columns:
        if column.part or not column.is_whole or not column.is_numeric:
            continue
        name = " ".join(re.split(r"[\W_]+", column.name.lower())).strip()
        if name in names and all(least <= number <= most for number in column.numbers):
            return column
    return None


def _described(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[Column]:
    columns = [Column(name) for name in names]
    for column, its in zip(columns, cells, strict=True):
        _describe(column, its)
    return columns


def _describe(column: Column, cells: Sequence[str]) -> None:
    column.n = len(cells)
    given = [cell for cell in cells if cell.lower() not in MISSING]
    column.n_missing = column.n - len(given)
    numbers = [bare for cell in given if kind_of(bare := in_digits(cell))]
    column.n_numbers = len(numbers)
    column.is_whole = all(kind_of(bare) == "whole" for bare in numbers)
    for cell in given:
        if cell in column.texts or len(column.texts) <= FEW or column.is_numeric:
            column.texts[cell] = column.texts.get(cell, 0) + 1
    if column.is_numeric:
        _describe_numbers(column, numbers)
    elif given and all(_is_json(cell) for cell in given[:TRIED]):
        column.stored = JSON
    elif given:
        column.time = kind_of_time(given, column.name)


def _describe_numbers(column: Column, numbers: Sequence[str]) -> None:
    """Whether numbers count, never fall, or are times since 1970."""
    try:
        values = _values(numbers)
    except ValueError:
        return
    differences = [after - before for before, after in pairwise(values)]
    steps = set(differences)
    if column.is_whole and len(values) >= ENOUGH and len(steps) == 1 and steps != {0.0}:
        column.is_counter = True
    column.n_falls = sum(step < 0 for step in differences)
    column.is_total = (
        len(values) >= MANY
        and column.n_falls <= ANEW * len(values)
        and 2 * differences.count(0.0) < len(values)
    )
    if are_times(column.name, numbers, values):
        column.time = "number"
    elif len(values) >= ENOUGH and not column.is_identifier:
        rises = min(differences) >= 0 and steps != {0.0}
        column.may_be_time = rises and may_be_times(column.name, values)


def _is_json(text: str) -> bool:
    """Whether a text is a JSON object."""
    return text.startswith("{") and text.endswith("}") and as_object(text.encode()) is not None


def _shortened(texts: Iterable[str]) -> str:
    """The first of some texts, or how it begins."""
    first = next(iter(texts))
    return first if len(first) <= SHORT else f"{first[:SHORT]}..."


def _values(numbers: Sequence[str]) -> list[float]:
    """Numbers with whichever decimal mark they show; a ValueError if they contradict it."""
    try:
        return [float(text) for text in numbers]
    except ValueError:
        comma = any(DECIDES.get(kind_of(text)) == "," for text in numbers)
        reader = Numbers("," if comma else ".", is_sure=True)
        return [reader.read(text, "") for text in numbers]


def kind_of_time(given: Sequence[str], name: str = "") -> str:
    tried = [cell for cell in given[:TRIED] if not SUM.fullmatch(cell)]
    if not tried:
        return ""
    is_clock = name.strip("#%_ ").lower() in CLOCKS and all(map(DOTTED_CLOCK.fullmatch, tried))
    if is_clock or all(CLOCK.fullmatch(cell) for cell in tried):
        return "clock"
    good = 0
    for cell in tried:
        try:
            good += bool(readings(cell, datetime.UTC)) and any(map(str.isdigit, cell))
        except ValueError:
            continue
    return "date" if 10 * good >= 9 * len(tried) else ""


def how_to_get_at(name: str, stored: str) -> str:
    """How what is stored in a column becomes columns of numbers, to be said behind it."""
    frame = f"frame[{name!r}]"
    made = {
        "lists": f"pandas.DataFrame({frame}.tolist())",
        "maps": f"pandas.DataFrame(map(dict, {frame}))",
        JSON: f"pandas.json_normalize({frame}.map(json.loads))",
    }
    if stored not in made:
        return ""
    return f"; in pandas, frame.join({made[stored]}) puts what is in them into columns"


def held(columns: Sequence[Column]) -> str:
    """What columns hold, in words, and how to get at it."""
    words = [
        f"{its.name!r} holds {its.holds}{how_to_get_at(its.name, its.stored)}"
        for its in columns[:MOST_HELD]
    ]
    more = len(columns) - MOST_HELD
    return ", ".join(words) + (f", and {counted(more, 'more columns')}" if more > 0 else "")
