"""Times as they are written, as seconds."""

from __future__ import annotations

import datetime
import math
import zoneinfo
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime

from replay.engine.rows import InputError

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Formats of numbers, in seconds."""
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d %b %Y", "%d-%b-%Y")
OTHERS = ("%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y")
"""Of web servers, and of C."""
KNOWN = (*(day + clock for day in DAYS for clock in CLOCKS), *OTHERS)
"""Formats that are found out, beside numbers of seconds and those of ISO 8601 and RFC 5322."""


class Clock:
    """Reads times.

    Parameters
    ----------
    time_format
        As strptime has it, or one of UNITS for numbers. None finds it out: a number of seconds,
        ISO 8601, RFC 5322, or one of KNOWN.
    time_zone
        Zone of times that name none; None is UTC.

    Raises
    ------
    InputError
        If there is no such zone.
    """

    def __init__(self, time_format: str | None = None, time_zone: str | None = None) -> None:
        self.time_format = time_format
        self._unit = UNITS.get(time_format or "s")
        self._zone: datetime.tzinfo = datetime.UTC
        if time_zone is not None:
            try:
                self._zone = zoneinfo.ZoneInfo(time_zone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                raise InputError(
                    f"--time-zone is {time_zone!r}, which is not known; it must be a name such as "
                    "Europe/Berlin or UTC"
                ) from None
        # those in which the times seen so far may be written, and the one the last was written in
        self._possible = KNOWN
        self._last: str | None = None

    def seconds(self, text: str) -> float:
        """A time in seconds, since 1970 if it is a date.

        Raises
        ------
        ValueError
            If it is none, with what to do about it.
        """
        if self._unit is not None and text[4:8:3] != "--":
            try:
                seconds = float(text) * self._unit
            except ValueError:
                seconds = math.nan
            if math.isfinite(seconds) and "_" not in text:
                return seconds
        if self.time_format is None:
            return self._since_1970(self._date(text.strip()))
        if self.time_format not in UNITS:
            try:
                return self._since_1970(datetime.datetime.strptime(text, self.time_format))
            except ValueError:
                pass
        raise ValueError(f"{text!r} is no time as --time-format {self.time_format!r} has it")

    def look_at(self, texts: Iterable[str]) -> None:
        """Find the format in which all of these can be read, if there is one."""
        if self.time_format is not None:
            return
        for text in texts:
            try:
                self._date(text.strip())
            except ValueError:
                continue

    def in_zone(self, date: datetime.datetime) -> datetime.datetime:
        """A date with the zone it is in."""
        return date if date.tzinfo else date.replace(tzinfo=self._zone)

    def _since_1970(self, date: datetime.datetime) -> float:
        return self.in_zone(date).timestamp()

    def _date(self, text: str) -> datetime.datetime:
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
        if self._last is not None:
            if (date := _read(datetime.datetime.strptime, text, self._last)) is not None:
                return date
        elif (date := _read(parsedate_to_datetime, text)) is not None:
            return date
        read = {form: _read(datetime.datetime.strptime, text, form) for form in self._possible}
        found = {form: date for form, date in read.items() if date is not None}
        if not found:
            raise ValueError(
                f"{text!r} is no time; write seconds, or 2022-03-20T11:00:00+01:00, or say how "
                "times are written with --time-format"
            )
        # the days tell formats apart; fractions of a second may come and go
        days = tuple(day for day in DAYS if any(form.startswith(day) for form in found))
        self._possible = tuple(form for form in KNOWN if form.startswith(days)) if days else OTHERS
        if len(set(found.values())) > 1:
            raise ValueError(
                f"{text!r} may be {' or '.join(map(repr, found))}; say which with --time-format"
            )
        self._last = next(iter(found)) if len(days) < 2 else None
        return next(iter(found.values()))


def _read(reader: Callable[..., datetime.datetime], *arguments: str) -> datetime.datetime | None:
    try:
        return reader(*arguments)
    except (ValueError, IndexError, TypeError):
        return None
