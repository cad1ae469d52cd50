"""What stands behind a clock: offsets, names of zones, and comments."""

from __future__ import annotations

import datetime
import re
import zoneinfo

from replay.engine.rows import InputError

HOURS = {
    "UTC": 0.0,
    "GMT": 0.0,
    "Z": 0.0,
    "UT": 0.0,
    "WET": 0.0,
    "WEST": 1.0,
    "BST": 1.0,
    "CET": 1.0,
    "MEZ": 1.0,
    "CEST": 2.0,
    "MESZ": 2.0,
    "EET": 2.0,
    "EEST": 3.0,
    "MSK": 3.0,
    "EST": -5.0,
    "EDT": -4.0,
    "CST": -6.0,
    "CDT": -5.0,
    "MST": -7.0,
    "MDT": -6.0,
    "PST": -8.0,
    "PDT": -7.0,
    "AKST": -9.0,
    "AKDT": -8.0,
    "HST": -10.0,
    "JST": 9.0,
    "KST": 9.0,
    "SAST": 2.0,
    "AWST": 8.0,
    "ACST": 9.5,
    "ACDT": 10.5,
    "AEST": 10.0,
    "AEDT": 11.0,
    "NZST": 12.0,
    "NZDT": 13.0,
}
"""Offsets of abbreviations that mean one zone only, and of those of RFC 5322."""

CLOCK = r"(?:\d{1,2}:\d{2}(?::\d{2}(?:[.,:]\d+)?)?|T\d{2,6}(?:[.,]\d+)?)(?:\s*[AaPp]\.?\s?[Mm]\.?)?"
COMMENT = re.compile(r"(.*\S)\s*\(([^()]*)\)")
BRACKETS = re.compile(r"(.*\S)\s*\[([A-Za-z][A-Za-z0-9_/+-]*)\]")
REGION = re.compile(r"(?<![\w/+-])([A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z0-9_+-]+){1,2})(?![\w/])")
OFFSET = re.compile(
    rf"(?P<before>.*?{CLOCK})\s*(?P<name>[A-Z]{{2,5}})?\s*(?P<sign>[+\u2212-])(?P<hours>\d{{1,2}})"
    r"(?::?(?P<minutes>\d{2}))?(?:\s+(?P<comment>[A-Z]{1,5}))?(?P<after>(?:\s.*)?)"
)
NAME = re.compile(rf"(?P<before>.*?{CLOCK})\s*(?P<name>[A-Z]{{1,5}}|utc|gmt|z)(?P<after>(?:\s.*)?)")
FIXED = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")


def zone_named(name: str) -> datetime.tzinfo:
    """The zone of ``--time-zone``: a name such as Europe/Berlin, or an offset such as +01:00.

    Raises
    ------
    InputError
        If there is no such zone.
    """
    if (fixed := FIXED.fullmatch(name)) and (zone := _fixed(*fixed.groups())) is not None:
        return zone
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"--time-zone is {name!r}, which is not known; it must be a name such as "
            "Europe/Berlin or UTC, or an offset such as +01:00"
        ) from None


def split_zone(text: str, default: datetime.tzinfo) -> tuple[str, datetime.tzinfo | None]:
    """A time without what it says of its zone, and that zone; None if it says nothing.

    Parameters
    ----------
    text
        A time with single spaces.
    default
        The zone of times that name none. An abbreviation that this zone uses means this zone.

    Raises
    ------
    ValueError
        With what cannot be read.
    """
    comment = ""
    if found := COMMENT.fullmatch(text):
        text, comment = found.groups()
    region: datetime.tzinfo | None = None
    if (found := BRACKETS.fullmatch(text)) and (region := _region(found[2])) is not None:
        text = found[1]
    elif (found := REGION.search(text)) and (region := _region(found[1])) is not None:
        text = " ".join((text[: found.start()] + " " + text[found.end() :]).split())
    if found := OFFSET.fullmatch(text):
        zone = _fixed(found["sign"], found["hours"], found["minutes"])
        name = found["name"]
        if zone is None or (name not in (None, "UTC", "GMT", "UT") and _named(name) != zone):
            raise ValueError(text.removeprefix(found["before"]).strip())
        return found["before"] + found["after"], zone
    if (found := NAME.fullmatch(text)) and not _is_word_of_date(found["name"]):
        named = _of_abbreviation(found["name"].upper(), default)
        if named is None and region is None:
            raise ValueError(found["name"])
        return found["before"] + found["after"], region or named
    if comment and region is None:
        named = _of_abbreviation(comment.strip(), default)
        if named is None:
            raise ValueError(f"({comment})")
        return text, named
    return text, region


def _fixed(sign: str, hours: str, minutes: str | None) -> datetime.tzinfo | None:
    past = datetime.timedelta(hours=int(hours), minutes=int(minutes or 0))
    if past > datetime.timedelta(hours=15) or int(minutes or 0) > 59:
        return None
    return datetime.timezone(past if sign == "+" else -past)


def _named(name: str) -> datetime.tzinfo | None:
    hours = HOURS.get(name)
    return None if hours is None else datetime.timezone(datetime.timedelta(hours=hours))


def _region(name: str) -> datetime.tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _of_abbreviation(name: str, default: datetime.tzinfo) -> datetime.tzinfo | None:
    """The offset that an abbreviation means, in the default zone if that uses it."""
    if isinstance(default, zoneinfo.ZoneInfo):
        for month in (1, 7):
            date = datetime.datetime(2024, month, 1, tzinfo=default)
            offset = date.utcoffset()
            if date.tzname() == name and offset is not None:
                return datetime.timezone(offset)
    return _named(name)


def _is_word_of_date(name: str) -> bool:
    """Whether it is a month or a day of the week, or belongs to the clock."""
    from replay.sources.dates import words

    return (
        name.upper() in ("A", "P", "AM", "PM", "T")
        or words().month(name) is not None
        or words().weekday(name) is not None
    )
