"""The time of a zone on an axis: how far it is from UTC, and since when."""

from __future__ import annotations

import datetime
from functools import cache

FIRST, LAST = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (1970, 2100))
"""Zones are asked between these; before and after them nothing changes."""
STEP = datetime.timedelta(days=7)
"""A zone changes once within so long, or not at all."""
SECOND = datetime.timedelta(seconds=1)


@cache
def shifts_of(zone: datetime.tzinfo) -> tuple[tuple[float, float], ...]:
    """From which milliseconds since 1970 on a zone is how many of them ahead of UTC.

    Examples
    --------
    >>> import zoneinfo
    >>> shifts_of(zoneinfo.ZoneInfo("Europe/Berlin"))[-2:]
    ((4078429200000.0, 7200000.0), (4096573200000.0, 3600000.0))
    """
    found = [(FIRST, _ahead(zone, FIRST))]
    at = FIRST
    while at < LAST:
        after = at + STEP
        if (ahead := _ahead(zone, after)) != found[-1][1]:
            before = at
            while after - before > SECOND:
                middle = before + (after - before) // (2 * SECOND) * SECOND
                if _ahead(zone, middle) == found[-1][1]:
                    before = middle
                else:
                    after = middle
            found.append((after, ahead))
        at += STEP
    return tuple((1e3 * since.timestamp(), 1e3 * its.total_seconds()) for since, its in found)


def _ahead(zone: datetime.tzinfo, at: datetime.datetime) -> datetime.timedelta:
    return at.astimezone(zone).utcoffset() or datetime.timedelta()


def offsets_in(zone: datetime.tzinfo, first: float, last: float) -> list[str]:
    """How far a zone is from UTC between two times in seconds, as `+01:00`, in their order."""
    shifts = shifts_of(zone)
    begun = [ahead for since, ahead in shifts if since <= 1e3 * first]
    found = [*begun[-1:], *(ahead for since, ahead in shifts if first < since / 1e3 <= last)]
    return list(dict.fromkeys(map(_written, found or [shifts[0][1]])))


def _written(ahead: float) -> str:
    minutes = round(ahead / 60e3)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
