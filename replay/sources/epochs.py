"""Whether rising numbers are times, or count and name things: by their name, size and steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from replay.sources.times import DAY, EARLIEST, LATEST, UNITS, compact_date

TIME_NAME = re.compile(
    r"(?:^|[\W_])(?:time|timestamp|date|datetime|datum|zeit|zeitstempel|uhrzeit|ts|when|utc|"
    r"fecha|hora|heure|last_changed|last_updated|recorded|created|x_value|epoch|unix(?:time)?)"
    r"(?:$|[\W_])|^t$|time$|date$|timestamp$|epoch$",
    re.IGNORECASE,
)
ID_NAME = re.compile(
    r"(?:^|[\W_])(?:id|index|idx|no|nr|num|serial|row|record|recnum|seq|sequence|uuid)$|^#$|"
    r"^table$|^column 1$|Id$|ID$|^unnamed",
    re.IGNORECASE,
)
COUNT_NAME = re.compile(
    r"(?:^|[\W_])(?:count|counter|total|order|number|number of|ticket|batch|lot|serial number|sn|"
    r"barcode|key|hash|meter|reading|[kmg]?wh|bytes|packets)$",
    re.IGNORECASE,
)
"""Names of what counts something or names it, beside ID_NAME."""
NAMELESS = re.compile(r"(?:column )?\d*|unnamed.*", re.IGNORECASE)
"""What a column is called that has no name."""
ENOUGH = 8
"""Numbers from which on their size and steps say that they are times, whatever they are called."""
FROM, TO = 946_684_800.0, 4_102_444_800.0
"""2000 and 2100: by their size alone, only numbers between these are times."""
STEPS = 1e-6, 366 * DAY
"""The usual step of times, in seconds: the least and the greatest."""
MOSTLY = 0.9
"""Share of the steps of a column called a time that go one way: of several series, some go back."""
USUAL = 0.5
"""Share of the steps of times that are as long as the usual one, within a tenth of it."""
Floats = Sequence[float]


def are_times(name: str, numbers: Sequence[str], values: Floats) -> bool:
    """Whether numbers are dates in digits, or times since 1970, and go one way.

    A column called a time has to begin at a time. Any other one has to hold times of this century
    only, which a number that counts or names things seldom does by chance, and mostly steps of one
    length, which such a number has if it goes on by 1: a step of a millionth of a second or more.
    A column without a name may have steps of any length. One that is called a number of something
    is none.

    Parameters
    ----------
    name
        What the column is called.
    numbers, values
        The numbers as they are written, and as they are.
    """
    differences = [after - before for before, after in pairwise(values)]
    rises = all(step >= 0 for step in differences)
    if not any(differences) and differences:
        return False
    dates = _are_dates(numbers)
    is_number = ID_NAME.search(name) or COUNT_NAME.search(name)
    nameless = NAMELESS.fullmatch(name) is not None
    if TIME_NAME.search(name) and (dates or not is_number):
        n_up = sum(step >= 0 for step in differences)
        n_down = sum(step <= 0 for step in differences)
        goes_on = rises or max(n_up, n_down) >= MOSTLY * len(differences)
        return goes_on and (dates or _unit_of(values[:1], EARLIEST, LATEST) is not None)
    if len(values) < ENOUGH or (is_number and not nameless):
        return False
    if dates:
        return rises
    one_way = rises or all(step <= 0 for step in differences)
    unit = _unit_of(values, FROM, TO)
    return one_way and unit is not None and _are_steps_of_times(differences, unit, nameless)


def may_be_times(name: str, values: Floats) -> bool:
    """Whether rising numbers are of the size of times of this century, and not called a number."""
    return COUNT_NAME.search(name) is None and _unit_of(values, FROM, TO) is not None


def is_early(value: float) -> bool:
    """Whether a number is a time since 1970, but one before 2000."""
    unit = _unit_of([value], EARLIEST, LATEST)
    return unit is not None and value * unit < FROM


def _are_steps_of_times(differences: Floats, unit: float, any_length: bool) -> bool:
    steps = [abs(step) * unit for step in differences if step]
    least, most = STEPS
    usual = sorted(steps)[len(steps) // 2]
    if not least <= usual <= most:
        return False
    return any_length or sum(abs(s - usual) <= 0.1 * usual for s in steps) >= USUAL * len(steps)


def _are_dates(numbers: Sequence[str]) -> bool:
    """Whether all are dates in digits, such as 20240304 or 20240304100000."""
    return all(len(n) in (8, 12, 14) and n[:2] in ("19", "20") and compact_date(n) for n in numbers)


def _unit_of(values: Floats, least: float, most: float) -> float | None:
    """The unit, in seconds, in which all values are times since 1970 between two."""
    for unit in UNITS.values():
        if least <= min(values) * unit and max(values) * unit < most:
            return unit
    return None
