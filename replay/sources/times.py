"""Times as they are written, as seconds."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.counted import counted
from replay.engine.rows import LARGEST
from replay.sources.dates import ISO, MERIDIEM, ORDERS, readings
from replay.sources.zones import zone_named

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Formats of numbers, in seconds."""
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
EXCEL = "excel"
"""The format of days since the end of 1899, as spreadsheets count them."""
HOUR, DAY = 3600.0, 86_400.0
EARLIEST, LATEST = 31_536_000.0, 7_258_118_400.0
"""1971 and 2200: a time outside of these is not taken without a question."""
COMPACT = re.compile(r"(\d{8})(?:(\d{2})(?:(\d{2})(?:(\d{2})(\d{3})?)?)?)?")
"""Digits alone that may be a date: 20240304, 20240304100000 and lengths between."""
CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?(?![\d:])")
WITH_ZONE = re.compile(r":\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)
"""A time of ISO 8601 that names its zone."""
LOOKED_AT = 100
MOST_LOOKED_AT = 200_000
"""Times that are looked at to tell days from months."""
MOST_KNOWN = 4096
"""What stands around clocks, and is remembered."""


class Around(NamedTuple):
    """What a text around a clock means: the date, and which half of the day."""

    midnight: int
    half: str


class Clock:
    """Reads times.

    Parameters
    ----------
    time_format
        As strptime has it; one of UNITS for numbers, or EXCEL; or one of ORDERS for dates in
        numbers. None finds it out.
    time_zone
        Zone of times that name none; None is UTC.

    Attributes
    ----------
    said
        What was guessed, a line each.

    Raises
    ------
    InputError
        If there is no such zone.
    """

    def __init__(self, time_format: str | None = None, time_zone: str | None = None) -> None:
        self.time_format = time_format
        self.time_zone = time_zone
        self._zone = datetime.UTC if time_zone is None else zone_named(time_zone)
        self._unit = time_format if time_format in (*UNITS, EXCEL) else None
        self._is_compact = False
        self._order = time_format if time_format in ORDERS else None
        # whether a time of ISO 8601 is read as such, in UTC if it names no zone
        self._reads_iso = self._zone is datetime.UTC and time_format in (None, *ORDERS)
        self._found: dict[str, str] = {}
        self._skipped: tuple[int, str] = (0, "")
        self._around: dict[tuple[str, str], Around | None] = {}
        # of keys in an hour that comes twice, the last time
        self._twice: dict[str, float] = {}

    @property
    def zone(self) -> datetime.tzinfo:
        """That of times that name none."""
        return self._zone

    # -- what is found out ----------------------------------------------------------------------

    @property
    def said(self) -> list[str]:
        lines = list(self._found.values())
        n, first = self._skipped
        if n:
            lines.append(
                f"{counted(n, 'times are')} in an hour that {self.time_zone} skips, such as "
                f"{first!r}: read as an hour later; if the device does not change its clock, "
                "name its offset, as in --time-zone +01:00"
            )
        return lines

    def look_at(self, texts: Iterable[str]) -> None:
        """Find out how times are written, of as many of the first as that takes.

        Raises
        ------
        ValueError
            If that is a question.
        """
        if self.time_format is not None:
            return
        rest = iter(texts)
        first = [text.strip() for text in islice(rest, LOOKED_AT)]
        if self._look_at_numbers(first):
            return
        orders: set[str] | None = None
        example = ""
        for i, text in enumerate(_both(first, rest)):
            if orders is not None and len(orders) < 2:
                break
            if i >= (LOOKED_AT if orders is None else MOST_LOOKED_AT):
                break
            try:
                found = readings(text, self._zone)
            except ValueError:
                continue
            if "" in found:
                if example:
                    continue
                example = text
                date = self._with_zone(next(iter(found.values())))
                self._say(f"times are read as they are: {text!r} is {date.isoformat(' ')}")
                continue
            orders = set(found) if orders is None else orders & set(found) or orders
            if len(found) == 1:
                example = text
        if orders is not None and len(orders) > 1:
            # they look alike
            self._date(next(text for text in first if len(_readings(text, self._zone)) > 1))
        elif orders is not None:
            self._order = orders.pop()
            self._say(f"dates are read as {_worded(self._order)}, which {example!r} shows")

    def _look_at_numbers(self, texts: list[str]) -> bool:
        """Find the unit of numbers, if these are some."""
        values = [value for value in map(_number, texts) if value is not None]
        n_texts = sum(text != "" for text in texts)
        if not values or 2 * len(values) < n_texts:
            return False
        self._decide(texts, sorted(values)[len(values) // 2])
        if self._unit is None and not self._is_compact:
            example = next(text for text in texts if _number(text) is not None)
            raise ValueError(_question(example, values[0]))
        return True

    def _decide(self, texts: list[str], value: float) -> None:
        """How numbers are times, by one of them and by how they are written."""
        written = [text for text in texts if text]
        unit = _unit_of(value)
        is_compact = all(map(compact_date, written))
        seconds = value if unit == "s" else 0.0
        if is_compact and (unit is None or _is_compact(written[0], seconds)):
            self._is_compact = True
            self._say(f"digits are read as dates: {written[0]!r} is {compact_date(written[0])}")
        elif unit is not None:
            self._unit = unit
            first = next(number for text in written if (number := _number(text)) is not None)
            date = datetime.datetime.fromtimestamp(first * UNITS[unit], datetime.UTC)
            self._say(
                f"numbers are read as {NAMES[unit]} since 1970: {written[0]!r} is about "
                f"{date:%Y-%m-%d %H:%M} UTC"
            )

    def _say(self, line: str) -> None:
        self._found.setdefault(line.split(" are ")[0], line)

    # -- reading --------------------------------------------------------------------------------

    def seconds(self, text: str, key: str = "") -> float:
        """A time in seconds, since 1970 if it is a date.

        Parameters
        ----------
        text
            As it is written.
        key
            Of what it is a time: of an hour that comes twice, each key has its own order.

        Raises
        ------
        ValueError
            If it is none, with what to do about it.
        """
        if self._unit is not None:
            seconds = self._of_number(text)
            if seconds is not None:
                return seconds
            if self.time_format is not None:
                raise ValueError(
                    f"{text!r} is no time as --time-format {self.time_format!r} has it"
                )
        elif self.time_format is None and (value := _number(text)) is not None:
            return self._of_digits(text.strip(), value, key)
        elif self._reads_iso and text[4:5] == "-" and text[10:11] in ("T", " "):
            try:
                date = datetime.datetime.fromisoformat(text)
            except ValueError:
                pass
            else:
                return (date if date.tzinfo else date.replace(tzinfo=self._zone)).timestamp()
        if self.time_format is not None and self._order is None:
            return self._since_1970(self._formatted(text), text, key)
        found = CLOCK.search(text)
        if found is None or (self._zone is not datetime.UTC and self._twice):
            return self._since_1970(self._date(text), text, key)
        return self._by_what_is_around(text, found, key)

    def seconds_of(
        self, cells: bytes | bytearray | memoryview, offsets: NDArray[np.int32]
    ) -> NDArray[np.float64] | None:
        """Many times in seconds, if all are numbers in a unit that is known, or ISO 8601 in UTC.

        Parameters
        ----------
        cells
            The times one after the other, UTF-8.
        offsets
            Where they begin, and where the last one ends.

        Returns
        -------
        array or None
            None if they have to be read one by one.
        """
        import pyarrow as pa

        n = len(offsets) - 1
        texts = pa.Array.from_buffers(
            pa.string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(cells)]
        )
        if self._unit in UNITS:
            numbers = _cast(texts, pa.float64())
            if numbers is None:
                return None
            seconds = np.frombuffer(numbers, np.float64)[:n] * UNITS[self._unit or ""]
            least, most = (EARLIEST, LATEST) if self.time_format is None else (-LARGEST, LARGEST)
            return seconds if ((least <= seconds) & (seconds < most)).all() else None
        if self._unit or self._order or self._is_compact or self.time_format is not None:
            return None
        first = texts[0].as_py() if n else ""
        zoned = WITH_ZONE.search(first) is not None
        # to try in vain takes as long as to read one by one
        if not ISO.fullmatch(first) or not (zoned or self._zone is datetime.UTC):
            return None
        dates = _cast(texts, pa.timestamp("ns", "UTC") if zoned else pa.timestamp("ns"))
        return None if dates is None else np.frombuffer(dates, np.int64)[:n] // 1000 / 1e6

    def _by_what_is_around(self, text: str, clock: re.Match[str], key: str) -> float:
        """Read only the clock, where what stands around it has been read before."""
        around = text[: clock.start()], text[clock.end() :]
        if around not in self._around:
            seconds = self._since_1970(self._date(text), text, key)
            if len(self._around) >= MOST_KNOWN:
                self._around.clear()
            self._around[around] = self._learnt(text, clock, seconds)
            return seconds
        known = self._around[around]
        hours, minutes, whole, fraction = clock.groups()
        hour, minute, second = int(hours), int(minutes), int(whole or 0)
        if known is None or minute > 59 or second > 59 or hour > (12 if known.half else 23):
            return self._since_1970(self._date(text), text, key)
        if known.half:
            if not hour and known.half == "p":
                return self._since_1970(self._date(text), text, key)
            hour = hour % 12 + (12 if known.half == "p" else 0)
        micros = 1_000_000 * (known.midnight + 3600 * hour + 60 * minute + second)
        return (micros + int((fraction or "0").ljust(6, "0"))) / 1e6

    def _learnt(self, text: str, clock: re.Match[str], seconds: float) -> Around | None:
        """What stands around a clock; None if that does not tell the time of every clock."""
        half = MERIDIEM.search(text)
        known = Around(0, half[1].lower() if half else "")
        noon = f"{text[: clock.start()]}06:00:00{text[clock.end() :]}"
        try:
            date = self._date(noon)
        except ValueError:
            return None
        zone = date.tzinfo or self._zone
        morning = date.replace(tzinfo=zone)
        start, end = (morning.replace(hour=0), morning.replace(hour=0) + datetime.timedelta(days=1))
        if start.utcoffset() != end.utcoffset():
            return None
        six = 18 if known.half == "p" else 6
        midnight = int(morning.timestamp()) - 3600 * six
        hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        if known.half:
            hour = hour % 12 + (12 if known.half == "p" else 0)
        if math.floor(seconds) != midnight + 3600 * hour + 60 * minute + second:
            return None
        return known._replace(midnight=midnight)

    def _of_number(self, text: str) -> float | None:
        """A number in the unit that is known; None if it is no number."""
        value = _number(text)
        if value is None or self._unit is None:
            return None
        if self._unit == EXCEL:
            date = _of_excel(value)
            return None if date is None else self._since_1970(date, text, "")
        seconds = value * UNITS[self._unit]
        if self.time_format is None and not EARLIEST <= seconds < LATEST:
            raise ValueError(
                f"{text!r} is no time in {NAMES[self._unit]} since 1970, as the first rows have "
                "them; say how times are written with --time-format"
            )
        return seconds

    def _of_digits(self, text: str, value: float, key: str) -> float:
        """A number, without an option or a look ahead: what the first one is, all others are."""
        if not self._is_compact:
            self._decide([text], value)
            if self._unit is not None:
                return value * UNITS[self._unit]
        if self._is_compact:
            date = compact_date(text)
            if date is None:
                raise ValueError(f"{text!r} is no time in digits, as the first rows have them")
            return self._since_1970(date, text, key)
        if value >= LATEST:
            raise ValueError(_question(text, value))
        self._unit = self.time_format = "s"
        self._say(
            f"times such as {text!r} are before 1971, and are taken as seconds that have passed; "
            "--time-format ms, us, ns or excel says otherwise"
        )
        return value

    def _date(self, text: str) -> datetime.datetime:
        """A date in the order that is known; with a zone if it names one."""
        try:
            found = readings(text, self._zone)
        except ValueError as error:
            rest = str(error)
            left = f": {rest!r} cannot be read" if rest and rest in text and rest != text else ""
            raise ValueError(
                f"{text!r} is no time{left}; write seconds, or 2022-03-20T11:00:00+01:00, or say "
                "how times are written with --time-format"
            ) from None
        if self._order in found:
            return found[self._order]
        if len(found) == 1 and ("" in found or self._order is None):
            return next(iter(found.values()))
        if self._order is not None:
            raise ValueError(f"{text!r} is no time with {_worded(self._order)}")
        meant = " or ".join(dict.fromkeys(f"{date:%d %B %Y}" for date in found.values()))
        options = " or ".join(f"--time-format {order} ({_worded(order)})" for order in found)
        raise ValueError(f"{text!r} may be {meant}; say which with {options}")

    def _formatted(self, text: str) -> datetime.datetime:
        """A date as strptime reads it; 24:00 is the next day."""
        assert self.time_format is not None
        days = 0
        if (found := re.search(r"(?<![\d:])24(:?)00(?:\1(?:00)(?:[.,]0+)?)?(?![\d:])", text)) and (
            "%H" in self.time_format or "%T" in self.time_format
        ):
            text = f"{text[: found.start()]}00{text[found.start() + 2 :]}"
            days = 1
        try:
            date = datetime.datetime.strptime(text, self.time_format)
        except ValueError as error:
            left = str(error).partition("unconverted data remains: ")[2]
            rest = f": {left!r} is left over" if left else ""
            raise ValueError(
                f"{text!r} is no time as --time-format {self.time_format!r} has it{rest}"
            ) from None
        return date + datetime.timedelta(days=days)

    # -- what is shown --------------------------------------------------------------------------

    def shown(self, text: str) -> str:
        """Return a time as it is written, and behind it the date if that says more.

        It does if the time is a number, and if it names another offset than the zone has then.

        Examples
        --------
        >>> Clock().shown("1709251200000")
        '1709251200000 (2024-03-01 00:00:00 UTC)'
        >>> Clock(time_zone="Europe/Berlin").shown("2024-03-01T00:00Z")
        '2024-03-01T00:00Z (2024-03-01 01:00:00+01:00)'
        >>> Clock().shown("2024-03-01 00:00"), Clock().shown("12.5"), Clock().shown("20240301")
        ('2024-03-01 00:00', '12.5', '20240301')
        """
        text = text.strip()
        date = self._shown_date(text)
        if date is None:
            return text
        try:
            local = date.astimezone(self._zone)
        except OverflowError:
            return text
        written = local.isoformat(" ", "milliseconds" if local.microsecond else "seconds")
        if self._zone is datetime.UTC:
            written = f"{written.removesuffix('+00:00')} UTC"
        return f"{text} ({written})"

    def _shown_date(self, text: str) -> datetime.datetime | None:
        """The date of a number, or of a text with another offset; None of any other text."""
        value = _number(text)
        if value is not None:
            return self._date_of_number(text, value)
        if self.time_zone is None:
            return None
        try:
            is_by_pattern = self.time_format is not None and self._order is None
            date = self._formatted(text) if is_by_pattern else self._date(text)
        except ValueError:
            return None
        if date.tzinfo is None:
            return None
        return None if date.utcoffset() == date.astimezone(self._zone).utcoffset() else date

    def _date_of_number(self, text: str, value: float) -> datetime.datetime | None:
        if self.time_format == EXCEL:
            return None if (date := _of_excel(value)) is None else self.in_zone(date)
        if self.time_format not in (None, *UNITS):
            return None
        unit = self.time_format or _unit_of(value)
        if unit is None or not EARLIEST <= value * UNITS[unit] < LATEST:
            return None
        if self.time_format is None and _is_compact(text, value if unit == "s" else 0.0):
            return None
        return datetime.datetime.fromtimestamp(value * UNITS[unit], datetime.UTC)

    # -- zones ----------------------------------------------------------------------------------

    def in_zone(self, date: datetime.datetime) -> datetime.datetime:
        """A date with the zone it is in."""
        return date if date.tzinfo else date.replace(tzinfo=self._zone)

    _with_zone = in_zone

    def _since_1970(self, date: datetime.datetime, text: str, key: str) -> float:
        if date.tzinfo is not None or self._zone is datetime.UTC:
            return self.in_zone(date).timestamp()
        local = date.replace(tzinfo=self._zone)
        first, second = local.timestamp(), local.replace(fold=1).timestamp()
        if first == second:
            if self._twice:
                self._twice.pop(key, None)
                near = {key: last for key, last in self._twice.items() if last > first - 2 * HOUR}
                self._twice = near
            return first
        if second < first:
            n, example = self._skipped
            self._skipped = n + 1, example or text
            return first
        # PEP 495: the hour that comes twice; rows in order are in order
        last = self._twice.get(key, -math.inf)
        self._twice[key] = seconds = first if last < first else second
        return seconds

    @property
    def state(self) -> dict[str, float]:
        """Keys that are in an hour that comes twice, and their last times."""
        return dict(self._twice)

    def go_to(self, state: dict[str, float]) -> None:
        """Go on from a state."""
        self._twice = dict(state)


def _is_compact(text: str, seconds: float) -> bool:
    """Whether digits are a date, and rather that than a number since 1970."""
    return compact_date(text) is not None and (len(text) == 12 or seconds > 1.95e9)


def _readings(text: str, zone: datetime.tzinfo) -> dict[str, datetime.datetime]:
    """The same as `readings`, nothing if it is no time."""
    try:
        return readings(text, zone)
    except ValueError:
        return {}


def _both(first: list[str], rest: Iterable[str]) -> Iterable[str]:
    yield from first
    for text in rest:
        yield text.strip()


def _cast(texts: Any, kind: Any) -> Any:
    """The bytes of a column of pyarrow as another type; None if not all cells are of it."""
    import pyarrow as pa

    try:
        return texts.cast(kind).buffers()[1]
    except pa.ArrowInvalid:
        return None


def _number(text: str) -> float | None:
    """A finite number, if that is what it is."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if -LARGEST <= value <= LARGEST and "_" not in text else None


def _unit_of(value: float) -> str | None:
    """The unit in which a number is a time between 1971 and 2200."""
    for unit, factor in UNITS.items():
        if EARLIEST <= value * factor < LATEST:
            return unit
    return None


def compact_date(text: str) -> datetime.datetime | None:
    """Digits as a date and a clock; None if they are none."""
    found = COMPACT.fullmatch(text)
    if found is None:
        return None
    day, hour, minute, second, millis = found.groups()
    try:
        date = datetime.datetime(int(day[:4]), int(day[4:6]), int(day[6:]))
        clock = datetime.time(
            int(hour or 0) % 24, int(minute or 0), int(second or 0), 1000 * int(millis or 0)
        )
    except ValueError:
        return None
    if not 1971 <= date.year < 2200 or (hour == "24" and clock != datetime.time()):
        return None
    later = datetime.timedelta(days=hour == "24")
    return datetime.datetime.combine(date, clock) + later


def _of_excel(value: float) -> datetime.datetime | None:
    """A spreadsheet's day number as a date; None if there is no such day."""
    try:
        days = datetime.timedelta(milliseconds=round(value * DAY * 1e3))
        return datetime.datetime(1899, 12, 30) + days
    except OverflowError:
        return None


def _question(text: str, value: float) -> str:
    """Why a number is not taken as a time, and what to say."""
    advice = "say what it is with --time-format s, ms, us or ns"
    if 20_000 < value < 90_000:
        advice = (
            "say --time-format excel if these are a spreadsheet's day numbers, or --time-format s "
            "if they are seconds"
        )
    elif value < EARLIEST:
        advice = (
            "say --time-format s, ms, us or ns if this is time that has passed since some start"
        )
    when = "before 1971" if value < EARLIEST else "after 2200, or between two units"
    return f"{text!r} would be a time {when}; {advice}"


def _worded(order: str) -> str:
    """An order of ORDERS in words."""
    names = {"d": "day", "m": "month", "y": "year"}
    return ", ".join(names[letter] for letter in order)


def state_of(clock: Clock) -> dict[str, Any]:
    """What a position has to know of a clock; empty as a rule."""
    return {"clock": clock.state} if clock.state else {}
