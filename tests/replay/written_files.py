"""Files as people have them, made at random, with what is written in them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

TIME_FORMS = {
    # how times are written: whether they name their zone
    "%Y-%m-%dT%H:%M:%SZ": True,
    "%Y-%m-%d %H:%M:%S": False,
    "%Y-%m-%dT%H:%M:%S.%f": False,
    "%d.%m.%Y %H:%M:%S": False,
    "%Y/%m/%d %H:%M": False,
    "%d-%b-%Y %I:%M:%S %p": False,
    "%d %B %Y %H:%M:%S": False,
    "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)": True,
    "%a %b %d %H:%M:%S UTC %Y": True,
    "%Y%m%dT%H%M%SZ": True,
    "%Y%m%d%H%M%S": False,
    "%d/%m/%Y %H:%M:%S": False,
    "%m/%d/%Y %I:%M:%S %p": False,
    "s": True,
    "ms": True,
    "us": True,
    "two columns": False,
}
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
DECIMALS = {
    # decimal mark and mark between thousands: delimiters it goes with
    (".", ""): ",;\t|",
    (",", ""): ";\t|",
    (".", ","): ";\t|",
    (",", "."): ";\t|",
    (".", "'"): ",;\t|",
    (",", " "): ";\t|",
    (",", "\u202f"): ";\t|",
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
ABOVE = ("nothing", "comments", "title", "pairs", "sep", "blank")
UNITS = ("", "", "", " degC", " V", " %", "kW", " m3/h")
MISSING = ("", "NaN", "NA", "null", "unavailable", "unknown", "-", "--", "#N/A", "?", "n/a")
NAMES = (
    *("level", "Druck", "Temp, degF (LGR S/N: 1)", "flow [l/s]", "p_1", "größe", "Value", "P/kW"),
    *("a.b", "Pump 1"),
)


@dataclass(frozen=True)
class Written:
    """A file, and what is in it.

    Parameters
    ----------
    data
        Its bytes.
    encoding
        What has to be told of it; None if it can be found out.
    value, time
        Its columns, as they are asked for.
    seconds, values
        What its rows say; None for a missing value.
    """

    data: bytes
    encoding: str | None
    value: str
    time: str
    seconds: list[float]
    values: list[float | None]


@st.composite
def written_files(draw: Any) -> Written:
    """Draw a file."""
    n = draw(st.integers(12, 40))
    form = draw(st.sampled_from(list(TIME_FORMS)))
    # day and month can be told apart from some row on
    start = draw(st.datetimes(datetime(2001, 1, 14), datetime(2037, 1, 1)))
    start = start.replace(day=min(28, max(13, start.day)), second=0, microsecond=0)
    step = draw(st.sampled_from([60, 600, 3600, 86_400]))
    dates = [start + timedelta(seconds=step * i) for i in range(n)]
    times = [_time(date, form) for date in dates]
    decimal, thousands = draw(st.sampled_from(list(DECIMALS)))
    delimiter = draw(st.sampled_from(DECIMALS[decimal, thousands]))
    digits = draw(st.integers(1, 2))
    largest = draw(st.sampled_from([90.0, 900.0, 9e4, 9e6]))
    unit = draw(st.sampled_from(UNITS))
    missing = draw(st.sampled_from(MISSING))
    numbers: list[float | None] = draw(
        st.lists(
            st.floats(-largest, largest).map(lambda x: round(x, digits) + 0.0),
            min_size=n,
            max_size=n,
        )
    )
    gone = draw(st.sets(st.integers(1, n - 1), max_size=3))
    numbers = [None if i in gone else number for i, number in enumerate(numbers)]
    cells = [
        missing if x is None else _number(x, digits, decimal, thousands) + unit for x in numbers
    ]
    name = draw(st.sampled_from(NAMES))
    note = draw(st.sampled_from(["note", "Quality", ""]))
    heads = ["Date", "Clock"] if form == "two columns" else ["when"]
    header = [*heads, note, name, note]
    rows = [[*time, "x", cell, "x y"] for time, cell in zip(times, cells, strict=True)]
    if draw(st.booleans()):
        # rows end in the delimiter
        rows = [[*row, ""] for row in rows]
    encoding = draw(st.sampled_from(ENCODINGS))
    text = _text(draw, header, rows, delimiter, unit.strip())
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8"
        data = text.encode(encoding)
    told = encoding if encoding == "latin-1" else None
    seconds = [date.replace(tzinfo=UTC).timestamp() for date in dates]
    return Written(data, told, name, ",".join(heads), seconds, numbers)


def _time(date: datetime, form: str) -> list[str]:
    if form == "two columns":
        return [date.strftime("%d/%m/%Y"), date.strftime("%H:%M:%S")]
    if form in PER_SECOND:
        return [str(int(date.replace(tzinfo=UTC).timestamp()) * PER_SECOND[form])]
    return [date.strftime(form)]


def _number(value: float, digits: int, decimal: str, thousands: str) -> str:
    text = f"{value:,.{digits}f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def _text(draw: Any, header: list[str], rows: list[list[str]], delimiter: str, unit: str) -> str:
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    above = draw(st.sampled_from(ABOVE))
    if above == "comments":
        out.write(f"# logger: X200{ending}# interval: 1 min{ending}")
    elif above == "title":
        out.write(f"Plot Title: pumphouse{ending}")
    elif above == "pairs":
        out.write(f"Data logger X200{ending}Serial number{delimiter}0000{ending}{ending}")
    elif above == "sep":
        out.write(f"sep={delimiter}{ending}")
    elif above == "blank":
        out.write(ending)
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending)
    writer.writerow(header)
    if draw(st.booleans()):
        # a row of units
        writer.writerow(["UTC"] * (len(header) - 3) + ["", unit or "bar", ""])
    writer.writerows(rows)
    return out.getvalue()
