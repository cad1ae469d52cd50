"""Dates and clocks as people write them: read whole, or refused with what is left unread."""

from __future__ import annotations

import datetime
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from replay.sources.zones import split_zone

if TYPE_CHECKING:
    from dateutil.parser import parser, parserinfo

ORDERS = ("dmy", "mdy", "ymd")
"""In which day, month and year may stand; also what ``--time-format`` takes."""
ISO = re.compile(
    r"\d{4}-?(?:W\d{2}(?:-?[1-7])?|\d{3}|\d{2}(?:-?\d{2})?)"
    r"(?:[T ]\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?",
    re.IGNORECASE,
)
"""What ISO 8601 allows; a space may take the place of the T."""
NUMBERS = re.compile(r"(?<![\d:./-])(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})\.?(?![\d/-])")
MIDNIGHT = re.compile(r"(?<![\d:])24(:?)00((?:\1)00(?:[.,]0+)?)?(?![\d:])")
BEFORE_CLOCK = re.compile(
    r"(?:(?<=\d{4}):|(?<=[A-Za-z]{2}\d\d):|(?<=\d)[_T])(?=\d{1,2}:\d{2})|(?<=\d)-(?=\d{1,2}:\d{2}:\d{2})"
)
DOTTED_CLOCK = re.compile(r"(\S+[./-]\S+[./-]?\S*,? )(\d{1,2})\.(\d{2})(?:\.(\d{2}))?")
FRACTION = re.compile(r"(:\d{2}:\d{2})[.,:](\d+)")
SPACED = re.compile(r"(\d{4})((?: \d{1,2}){3,5})(\.\d+)?")
"""Year, month, day, and hour, minute and second as far as they are there."""
QUARTER = re.compile(r"(?:(\d{4})[- ]?Q([1-4])|Q([1-4])[- /]?(\d{4}))", re.IGNORECASE)
"""A quarter of a year, as pandas writes a period; it is the first day of it."""
IN_KANJI = re.compile(
    r"(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日(?: ?(\d{1,2})時(\d{1,2})分(?:(\d{1,2})秒)?)?"
)
"""A date, and a clock perhaps, as Chinese and Japanese write it."""
INTERVAL = re.compile(r"(.*\d\d:\d\d\S*) ?(?:- |/|\u2013|\u2014) ?(.*\d\d:\d\d.*)")
"""From when to when: it is the time at which it begins."""
YEAR_AND_MONTH = re.compile(r"(\d{4}) (\d{1,2})")
COMPACT = re.compile(r"(\d{8})[_-](\d{4}(?:\d{2})?)")
O_CLOCK = re.compile(r"(?<=\d) ?(?:Uhr|uhr|Hrs|hrs)\.?$")
MERIDIEM = re.compile(r"(?<=\d) ?([AaPp])\.? ?[Mm]\.?(?![A-Za-z])")
DEFAULTS = (datetime.datetime(2000, 1, 1), datetime.datetime(2001, 2, 2, 1, 1, 1, 1))
"""What is not written is taken from these: where two readings differ, it was not written."""


_MONTHS = [
    ("Jan", "January", "Januar", "Jän", "Jänner", "janv", "janvier", "ene", "enero", "gennaio"),
    ("Feb", "February", "Februar", "févr", "février", "febrero", "febbraio"),
    ("Mar", "March", "März", "Mär", "Mrz", "mars", "marzo", "maart", "mrt"),
    ("Apr", "April", "avr", "avril", "abr", "abril", "aprile"),
    ("May", "Mai", "mayo", "maggio", "mei"),
    ("Jun", "June", "Juni", "juin", "junio", "giugno"),
    ("Jul", "July", "Juli", "juil", "juillet", "julio", "luglio"),
    ("Aug", "August", "août", "agosto", "ago"),
    ("Sep", "Sept", "September", "septembre", "septiembre", "settembre"),
    ("Oct", "October", "Okt", "Oktober", "octobre", "octubre", "ottobre"),
    ("Nov", "November", "novembre", "noviembre"),
    ("Dec", "December", "Dez", "Dezember", "déc", "décembre", "dic", "diciembre", "dicembre"),
]
_WEEKDAYS = [
    ("Mon", "Monday", "Montag", "Mo"),
    ("Tue", "Tues", "Tuesday", "Dienstag", "Di"),
    ("Wed", "Weds", "Wednesday", "Mittwoch", "Mi"),
    ("Thu", "Thur", "Thurs", "Thursday", "Donnerstag", "Do"),
    ("Fri", "Friday", "Freitag", "Fr"),
    ("Sat", "Saturday", "Samstag", "Sa"),
    ("Sun", "Sunday", "Sonntag", "So"),
]


@cache
def words() -> parserinfo:
    """Names of months and days, in English and some other languages."""
    # it reads the time zone of the machine when it is imported; most files need none of it
    from dateutil.parser import parserinfo

    class Words(parserinfo):
        MONTHS = _MONTHS  # type: ignore[assignment]
        WEEKDAYS = _WEEKDAYS  # type: ignore[assignment]

    return Words()


@cache
def _parser() -> parser:
    from dateutil.parser import parser

    return parser(words())


def readings(text: str, default: datetime.tzinfo) -> dict[str, datetime.datetime]:
    """What a text may mean as a date and a clock: in each order of day, month and year, if unclear.

    Parameters
    ----------
    text
        The whole text.
    default
        The zone of times that name none, to understand abbreviations; it is not put into dates.

    Returns
    -------
    dict
        A date for each order of ORDERS that is possible. A date that can be read in one way only
        stands under the empty text. Dates have a zone if the text names one.

    Raises
    ------
    ValueError
        If it is no time, or some of it cannot be read, with what is left.
    """
    found, refusal = _known(text, default)
    if refusal is not None:
        raise ValueError(refusal)
    return dict(found)


@lru_cache(1024)
def _known(text: str, default: datetime.tzinfo) -> tuple[dict[str, datetime.datetime], str | None]:
    """What `readings` gives, or why not: the first rows of a file are looked at several times."""
    try:
        return _read(text, default), None
    except ValueError as error:
        return {}, str(error)


def _read(text: str, default: datetime.tzinfo) -> dict[str, datetime.datetime]:
    """What a text may mean, read anew."""
    text = " ".join(text.split()).replace(".,", ",")
    if (spaced := SPACED.fullmatch(text)) is not None:
        month, day, *clock = spaced[2].split()
        clock += ["0"] * (3 - len(clock))
        hour, minute, second = (number.zfill(2) for number in clock)
        text = f"{spaced[1]}-{month:0>2}-{day:0>2}T{hour}:{minute}:{second}{spaced[3] or ''}"
    if (interval := INTERVAL.fullmatch(text)) is not None:
        # the end is read, too: a time is read whole, or not at all
        _read(interval[2], default)
        return _read(interval[1], default)
    text = IN_KANJI.sub(_from_kanji, text)
    if (pair := YEAR_AND_MONTH.fullmatch(text)) is not None:
        text = f"{pair[1]}-{pair[2]:0>2}"
    if (quarter := QUARTER.fullmatch(text)) is not None:
        year, n_th, n_th_before, year_behind = quarter.groups()
        text = f"{year or year_behind}-{3 * int(n_th or n_th_before) - 2:02d}"
    text, n = MIDNIGHT.subn(lambda found: f"00{found[1]}00{found[2] or ''}", text)
    later = datetime.timedelta(days=n)
    if n > 1:
        raise ValueError(text)
    text = COMPACT.sub(r"\1T\2", O_CLOCK.sub("", text)) if len(text) < 40 else text
    if ISO.fullmatch(text):
        from dateutil.parser import isoparse

        whole = isoparse(text.replace(" ", "T", 1).upper().replace(",", "."))
        return {"": whole + later}
    text, zone = split_zone(text, default)
    text = DOTTED_CLOCK.sub(lambda f: f"{f[1]}{f[2]}:{f[3]}" + (f":{f[4]}" if f[4] else ""), text)
    text = BEFORE_CLOCK.sub(" ", text)
    text = MERIDIEM.sub(r" \1M", text)
    numbers = NUMBERS.search(text)
    if numbers is None:
        return {"": (_whole(text) + later).replace(tzinfo=zone)}
    before, after = text[: numbers.start()], text[numbers.end() :]
    found = {}
    for order, date in _dates(numbers[1], numbers[2], numbers[3], numbers[4]).items():
        whole = _whole(f"{before}{date.isoformat()}{after}")
        found[order] = (whole + later).replace(tzinfo=zone)
    if not found:
        raise ValueError(numbers[0])
    return found


def _from_kanji(found: re.Match[str]) -> str:
    year, month, day, *clock = found.groups()
    date = f"{year}-{month:0>2}-{day:0>2}"
    return date if clock[0] is None else f"{date}T{':'.join(it.zfill(2) for it in clock if it)}"


def _dates(a: str, mark: str, b: str, c: str) -> dict[str, datetime.date]:
    """Three numbers as dates, by the orders that their lengths and the mark between leave open."""
    orders: tuple[str, ...]
    if len(a) > 2:
        orders = ("",) if len(a) == 4 else ()
    elif mark == ".":
        # between points, days come first
        orders = ("dmy",)
    else:
        orders = ORDERS if len(c) < 3 else ORDERS[:2]
    if len(c) == 3 or (len(a) == 4 and len(c) > 2):
        return {}
    dates: dict[str, datetime.date] = {}
    for order in orders:
        parts = dict(zip(order or "ymd", (a, b, c), strict=True))
        year = int(parts["y"])
        if len(parts["y"]) < 3:
            year += 1900 if year > 68 else 2000
        try:
            dates[order] = datetime.date(year, int(parts["m"]), int(parts["d"]))
        except ValueError:
            continue
    return {"": dates["dmy"]} if mark == "." and "dmy" in dates else dates


def _whole(text: str) -> datetime.datetime:
    """A date and a clock without a zone, every number of which is found again in the result."""
    fraction = FRACTION.search(text)
    micros = 0
    if fraction is not None:
        micros = int(fraction[2][:6].ljust(6, "0"))
        text = f"{text[: fraction.start()]}{fraction[1]}{text[fraction.end() :]}"
    try:
        first, second = (_parser().parse(text, default=day, tzinfos=_no_zone) for day in DEFAULTS)
    except (ValueError, OverflowError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(_rest(text)) from error
    if first.date() != second.date():
        raise ValueError("")
    if left := _unaccounted(text, first, second):
        raise ValueError(" ".join(left))
    clock = datetime.time()
    if first.hour == second.hour:
        clock = datetime.time(first.hour, first.minute, first.second, micros)
    return datetime.datetime.combine(first.date(), clock)


def _unaccounted(text: str, first: datetime.datetime, second: datetime.datetime) -> list[str]:
    """Numbers of a text that are not found in what was made of it."""
    pool = [first.day, first.month, first.year]
    pool += [
        getattr(first, name)
        for name in ("hour", "minute", "second")
        if getattr(first, name) == getattr(second, name)
    ]
    left = []
    for number in re.findall(r"\d+", text):
        value = int(number)
        near = [value, 2000 + value, 1900 + value] if len(number) <= 2 else [value]
        # 12 AM is 0, and may stand beside the minute 24
        near += [value - 12, value + 12] if MERIDIEM.search(text) else []
        found = next((which for which in near if which in pool), None)
        if found is None:
            left.append(number)
        else:
            pool.remove(found)
    return left


def _no_zone(name: str | None, offset: int | None) -> None:
    """Refuse what is left of a zone: all that can be read of it was read before."""
    if name is not None or offset is not None:
        raise ValueError(name or str(offset))


def _rest(text: str) -> str:
    """What of a text cannot be read; empty if that is not known."""
    options: dict[str, Any] = {"fuzzy_with_tokens": True, "default": DEFAULTS[0], "ignoretz": True}
    try:
        parts = _parser().parse(text, **options)[1]
    except (ValueError, OverflowError, TypeError, AttributeError, IndexError):
        return ""
    return " ".join(part.strip() for part in parts if part.strip(" ,.;-/"))
