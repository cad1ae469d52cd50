"""Times and durations as seconds. Dates count from 1970; those without a zone are read as UTC."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH = np.datetime64(0, "s")
DURATION = str | datetime.timedelta | np.timedelta64
"""What durations are given as, besides numbers of seconds."""
OTHER_UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
"""What numbers are often in that are no seconds, by how many go to a second."""
FROM_1971, TO_2200 = 31_536_000.0, 7_258_118_400.0
"""Seconds since 1970 between which numbers are dates of our days."""
LATEST = 1e150
"""Times are within this of 0, so that differences and their products are doubles."""


def seconds(value: Any, name: Hashable = "t") -> float:
    """A point's time in seconds.

    Raises
    ------
    TypeError
        If it is no number or date; text has to be parsed before it gets here.
    ValueError
        If it is missing, not finite, or beyond 1e150 in magnitude.
    """
    result: float
    if isinstance(value, datetime.datetime) and value == value:
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        result = value.timestamp()
    elif isinstance(value, np.datetime64):
        result = float(_since_epoch(value))
    elif isinstance(value, datetime.datetime):
        result = math.nan  # pandas.NaT
    elif isinstance(value, datetime.date):
        result = float((np.datetime64(value) - EPOCH) / np.timedelta64(1, "s"))
    elif value is None or isinstance(value, (str, bytes)):
        raise TypeError(
            f"time {name!r} is {value!r}; seconds as a number, or a datetime, are expected"
        )
    else:
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
        except (TypeError, ValueError):
            raise TypeError(
                f"time {name!r} is {value!r}; seconds as a number, or a datetime, are expected"
            ) from None
    if not math.isfinite(result):
        raise ValueError(f"time {name!r} is {value!r}; every point needs a finite time")
    if not abs(result) <= LATEST:
        raise ValueError(f"time {name!r} is {value!r}, beyond {LATEST:g} in magnitude; rescale it")
    return result


def _since_epoch(dates: Any) -> Any:
    """Seconds from 1970 to a date of numpy, or to each of an array of them."""
    # microseconds since 1970 still fit into a double exactly
    return (dates.astype("datetime64[us]") - EPOCH) / np.timedelta64(1, "s")


def other_unit(seconds: float, given: Any) -> tuple[str, float] | None:
    """Return the unit in which a time that is a number is a date of our days, if not in seconds.

    Parameters
    ----------
    seconds
        The number.
    given
        What it was given as; a date is in seconds in any case.

    Returns
    -------
    tuple or None
        The name of the unit, and how many go to a second; None if there is no doubt.
    """
    if isinstance(given, datetime.date | np.datetime64):
        return None
    for unit, parts in OTHER_UNITS.items():
        if FROM_1971 * parts <= seconds < TO_2200 * parts:
            return unit, parts
    return None


def seconds_of_column(column: NDArray[Any], name: Hashable) -> NDArray[np.float64]:
    """The same for every row, errors naming the row."""
    result: NDArray[np.float64]
    if column.dtype.kind in "fiuM":
        numbers = _since_epoch(column) if column.dtype.kind == "M" else column
        with np.errstate(over="ignore"):
            result = numbers.astype(np.float64)
        if (np.abs(result) <= LATEST).all():
            return result
    result = np.empty(len(column))
    for i, value in enumerate(column):
        try:
            result[i] = seconds(value, name)
        except (TypeError, ValueError) as error:
            raise type(error)(f"row {i}: {error}") from None
    return result


def shown(seconds: float, like: Any) -> str:
    """Return a time in seconds as text: a date, with its zone, if that other time is one."""
    if isinstance(like, datetime.date | np.datetime64):
        zone = getattr(like, "tzinfo", None)
        try:
            at = datetime.datetime.fromtimestamp(seconds, zone or datetime.UTC)
        except (OverflowError, ValueError):
            return repr(seconds)
        return str(at if zone is not None else at.replace(tzinfo=None))
    return repr(seconds)


def duration(value: str | datetime.timedelta | np.timedelta64, name: str) -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    value
        A timedelta, or a number with its unit as pandas writes it: "30s", "5min", "1h30min".
    name
        What it is, for errors.

    Raises
    ------
    ValueError
        If it is no duration, has no unit, or is not above 0.
    """
    how = f"{name} is {value!r}; a time such as '30s', '5min' or a timedelta is expected"
    if isinstance(value, str):
        # imported late: most streams have none
        import pandas as pd

        if not re.search(r"[^\W\d_]|:", value):
            raise ValueError(f"{how}, and this has no unit")
        try:
            value = pd.Timedelta(value)
        except ValueError as error:
            raise ValueError(f"{how} ({error})") from None
    if isinstance(value, np.timedelta64):
        result = float(value / np.timedelta64(1, "s"))
    else:
        result = value.total_seconds()
    if not 0.0 < result < math.inf:
        raise ValueError(f"{how}, above 0")
    return result
