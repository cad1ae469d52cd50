"""Times as people write them: the time that is written, or a question; never a part of it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from batches import one_by_one
from hypothesis import given
from hypothesis import strategies as st

from replay.engine.protocols import batches_of
from replay.engine.rows import InputError
from replay.sources import dates
from replay.sources.dates import readings
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.times import Clock

WRITTEN = {
    # behind the clock
    "04 Mar 2024 10:00 PM": "2024-03-04T22:00",
    "04-Mar-2024 12:00:00 AM": "2024-03-04T00:00",
    "04-Mar-2024 12:24:00 AM": "2024-03-04T00:24",
    "12:05 AM 24 Mar 2024": "2024-03-24T00:05",
    "04-Mar-2024 12:30:00 PM": "2024-03-04T12:30",
    "2024-03-04 10:00 p.m.": "2024-03-04T22:00",
    "13/3/2024, 10:00:00\u202fPM": "2024-03-13T22:00",
    "Mon Mar 04 2024 00:00:00 GMT+0530 (IST)": "2024-03-03T18:30",
    "Sat Oct 26 2024 02:00:00 GMT+0200 (Central European Summer Time)": "2024-10-26T00:00",
    "04 Mar 2024 10:00:00 +02:00": "2024-03-04T08:00",
    "2024-03-04 10:00:00 -0500": "2024-03-04T15:00",
    "2024-03-04 10:00:00 UTC+2": "2024-03-04T08:00",
    "2024-03-04 10:00:00 +0000 UTC": "2024-03-04T10:00",
    "Mon Mar  4 10:00:00 CET 2024": "2024-03-04T09:00",
    "Mon Mar 04 10:00:00 +0100 2024": "2024-03-04T09:00",
    "04 Mar 2024 10:00:00 America/New_York": "2024-03-04T15:00",
    "2024-07-04T10:00:00[Europe/Berlin]": "2024-07-04T08:00",
    "2024-03-04T10:00:00+01:00[Europe/Berlin]": "2024-03-04T09:00",
    "2024-03-04 10:00:00 UTC": "2024-03-04T10:00",
    "2024-03-04 10:00:00.250 UTC": "2024-03-04T10:00:00.250",
    "2024-03-04 10:00:00,250": "2024-03-04T10:00:00.250",
    "2024-03-04 10:00:00:250": "2024-03-04T10:00:00.250",
    "2024-03-04 10:00:00.1234567 Z": "2024-03-04T10:00:00.123456",
    # months and days
    "04-MAR-24": "2024-03-04T00:00",
    "04MAR2024:10:00:00": "2024-03-04T10:00",
    "20/Mar/2022:11:00:00 +0000": "2022-03-20T11:00",
    "March 4th, 2024 at 10:00 PM": "2024-03-04T22:00",
    "Monday, 4 March 2024 10:00": "2024-03-04T10:00",
    "4. März 2024 10:00 Uhr": "2024-03-04T10:00",
    "Mo., 04.03.2024 10:00": "2024-03-04T10:00",
    "04.03.24 10:30": "2024-03-04T10:30",
    "04.03.2024 10.30": "2024-03-04T10:30",
    "2024.03.04 10:00": "2024-03-04T10:00",
    "2024/03/04 10:00": "2024-03-04T10:00",
    "10:00:00 14-03-2024": "2024-03-14T10:00",
    # ISO 8601
    "20240304T000000Z": "2024-03-04T00:00",
    "20240304_100000": "2024-03-04T10:00",
    "2024-W10-1T10:00": "2024-03-04T10:00",
    "2024-064T10:00": "2024-03-04T10:00",
    "2024-03": "2024-03-01T00:00",
    # midnight
    "04.03.2024 24:00": "2024-03-05T00:00",
    "2024-12-31 24:00:00": "2025-01-01T00:00",
    "20240304T240000Z": "2024-03-05T00:00",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_the_time_that_is_written(text):
    expected = datetime.fromisoformat(WRITTEN[text]).replace(tzinfo=UTC).timestamp()
    assert Clock().seconds(text) == expected
    clock = Clock()
    # the second reading takes a shorter way
    assert [clock.seconds(text), clock.seconds(text)] == [expected, expected]


UNREAD = {
    "2024-03-04 10:00 foo": "foo",
    "2024-03-04 10:00:00 IST": "IST",
    "04 Mar 2024 10:00:00 XYZ": "XYZ",
    "2024-03-04 10:00 (about)": "(about)",
    "2024-03-04 13:00 PM": "",
    "2024-03-04 24:30": "",
    "2024-03-04 25:00": "",
    "2024-03-04 10:00:00 5": "",
    "10:30": "",
    "Mar 2024": "",
    "99.99.9999": "",
    "noon": "",
}


@pytest.mark.parametrize("text", UNREAD)
def test_what_is_left_unread_is_an_error(text):
    with pytest.raises(ValueError, match="is no time") as caught:
        Clock().seconds(text)
    if UNREAD[text]:
        assert f"{UNREAD[text]!r} cannot be read" in str(caught.value)


FORMS = [
    *("%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d-%b-%Y %I:%M:%S %p"),
    *("%a %b %d %H:%M:%S %Y", "%d %B %Y %H:%M:%S", "%b %d, %Y %I:%M:%S %p", "%Y%m%dT%H%M%S"),
    *("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", "%d/%b/%Y:%H:%M:%S +0000"),
    *("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC", "%G-W%V-%uT%H:%M:%S", "%Y%m%d%H%M%S"),
]


@given(
    st.datetimes(datetime(1972, 1, 1), datetime(2060, 1, 1)).map(
        lambda d: d.replace(microsecond=0)
    ),
    st.sampled_from(FORMS),
    st.lists(st.integers(0, 400_000), min_size=1, max_size=4),
)
def test_dates_in_any_form(start, form, steps):
    dates = [start]
    for step in steps:
        dates.append(dates[-1] + timedelta(seconds=step))
    texts = [date.strftime(form) for date in dates]
    clock = Clock()
    clock.look_at(texts)
    assert [clock.seconds(text) for text in texts] == [
        date.replace(tzinfo=UTC).timestamp() for date in dates
    ]


@given(st.text(st.sampled_from("0123456789-/.: TZAPMWGu+,()ar"), max_size=24))
def test_a_time_is_read_whole_or_not_at_all(text):
    """Every number of a text that is read is found again in the date, or in its zone."""
    try:
        found = readings(text, UTC)
    except ValueError:
        return
    for date in found.values():
        offset = date.utcoffset() or timedelta()
        made = f"{date:%Y %y %m %d %H %I %M %S %f %V %u %j} {offset} {-offset}"
        made += f" {date - timedelta(days=1):%Y %m %d} 24"
        numbers = {int(number) for number in re.findall(r"\d+", made)}
        for digits in re.findall(r"\d+", re.sub(r"[.,:]\d+", "", text)):
            if len(digits) <= 2:
                assert int(digits) in numbers


NUMBERS = {
    # text: seconds, what is said
    "1709510400": (1709510400.0, "seconds"),
    "1709510400.25": (1709510400.25, "seconds"),
    "1709510400000": (1709510400.0, "milliseconds"),
    "1709510400000000": (1709510400.0, "microseconds"),
    "1709510400000000000": (1709510400.0, "nanoseconds"),
    "1.7095104E+12": (1709510400.0, "milliseconds"),
    "20240304000000": (1709510400.0, "digits are read as dates"),
    "202403040000": (1709510400.0, "digits are read as dates"),
    "20240304": (1709510400.0, "digits are read as dates"),
}


@pytest.mark.parametrize("text", NUMBERS)
@pytest.mark.parametrize("looked", [True, False])
def test_numbers_are_told_by_their_size(text, looked):
    seconds, said = NUMBERS[text]
    clock = Clock()
    if looked:
        clock.look_at([text] * 3)
    assert clock.seconds(text) == pytest.approx(seconds, abs=1e-6)
    assert said in clock.said[0]
    with pytest.raises(ValueError, match="is no time"):
        clock.seconds("17")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("45355.25", "--time-format excel"),
        ("0", "time that has passed"),
        ("90400", "--time-format s, ms"),
        ("1e10", "between two units"),
        ("1e100", "after 2200"),
    ],
)
def test_a_number_that_is_no_time_of_today_is_a_question(text, advice, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"t,level\n{text},1\n{text},2\n")
    with pytest.raises(InputError, match=r"rows\.csv, line 2, column 't'") as caught:
        Files([str(path)], ReadOptions(("level",), "t", timed=True))
    assert advice in str(caught.value)
    answered = ReadOptions(("level",), "t", timed=True, clock=Clock("s"))
    assert next(one_by_one(Files([str(path)], answered))).seconds == float(text)


def test_day_numbers_of_spreadsheets():
    assert Clock("excel").seconds("45355.25") == 1709532000.0
    assert Clock("excel", "Europe/Berlin").seconds("45355.0416666667") == 1709510400.0


def test_times_that_do_not_count_from_1970_are_said_when_live():
    clock = Clock()
    assert [clock.seconds("12"), clock.seconds("13.5")] == [12.0, 13.5]
    assert "times such as '12' are before 1971" in clock.said[0]


AUTUMN = ["01:45", "02:00", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45", "03:00"]


@pytest.mark.parametrize("form", ["27.10.2024 {}", "2024-10-27 {}:00", "27 Oct 2024 {}"])
def test_the_hour_that_comes_twice(form):
    clock = Clock(None, "Europe/Berlin")
    seconds = [clock.seconds(form.format(text)) for text in AUTUMN]
    first = datetime(2024, 10, 26, 23, 45, tzinfo=UTC).timestamp()
    assert seconds == [first + 900.0 * i for i in range(10)]
    # each key has its own order, also after a stop
    clock = Clock(None, "Europe/Berlin")
    for i, text in enumerate(AUTUMN):
        assert clock.seconds(form.format(text), "a") == first + 900.0 * i
        assert clock.seconds(form.format(text), "b") == first + 900.0 * i
        state = clock.state
        clock = Clock(None, "Europe/Berlin")
        clock.go_to(state)
    assert clock.state == {}


def test_the_hour_that_is_missing_is_said():
    clock = Clock(None, "Europe/Berlin")
    assert clock.seconds("31.03.2024 02:30") == clock.seconds("31.03.2024 03:30")
    assert "1 time is in an hour that Europe/Berlin skips" in clock.said[-1]
    assert Clock(None, "+01:00").seconds("31.03.2024 02:30") == 1711848600.0


def test_the_zone_of_an_abbreviation_is_the_one_named():
    assert Clock(None, "Asia/Kolkata").seconds("2024-03-04 10:00 IST") == 1709526600.0
    assert Clock(None, "Europe/Berlin").seconds("4 Mar 2024 10:00 CET") == 1709542800.0


def test_days_and_months_that_cannot_be_told_apart():
    for text in ("03/04/2024", "03-04-2024 10:00", "3/4/24"):
        with pytest.raises(ValueError, match="say which with --time-format dmy"):
            Clock().look_at([text] * 200)
        assert Clock("dmy").seconds(text) < Clock("mdy").seconds("04/05/2024")
    clock = Clock()
    # rows much later tell them apart
    clock.look_at([*["03/04/2024 10:00"] * 5000, "13/04/2024 10:00"])
    assert clock.seconds("03/04/2024 10:00") == 1712138400.0
    assert "day, month, year, which '13/04/2024 10:00' shows" in clock.said[0]


def test_midnight_by_a_format():
    clock = Clock("%d.%m.%Y %H:%M")
    assert clock.seconds("04.03.2024 24:00") == clock.seconds("05.03.2024 00:00")
    with pytest.raises(ValueError, match="':30' is left over"):
        clock.seconds("04.03.2024 10:00:30")


def test_a_date_and_a_clock_in_two_columns(tmp_path):
    path = tmp_path / "house.txt"
    path.write_text("Date;Time;power\n16/12/2006;17:24:00;4.2\n16/12/2006;17:25:00;?\n")
    source = Files([str(path)], ReadOptions(("power",), "Date,Time", timed=True))
    rows = list(one_by_one(source))
    assert source.time == "Date Time"
    assert [row.time for row in rows] == ["16/12/2006 17:24:00", "16/12/2006 17:25:00"]
    assert [row.seconds for row in rows] == [1166289840.0, 1166289900.0]
    assert rows[1].values["power"] != rows[1].values["power"]


def test_a_format_that_is_given_is_the_one_that_is_read():
    """Also of times that look like those of ISO 8601."""
    day, hour = 86400.0, 3600.0
    april = Clock("%Y-%d-%m %H:%M").seconds("2024-03-04 10:00")
    march = Clock("%Y-%m-%d %H:%M").seconds("2024-03-04 10:00")
    assert april - march == 30 * day
    assert march == Clock().seconds("2024-03-04 10:00") == 19786 * day + 10 * hour
    with pytest.raises(ValueError, match="is no time as --time-format"):
        Clock("%d.%m.%Y").seconds("2024-03-04 10:00")


def test_a_date_of_the_first_rows_is_read_once(tmp_path, monkeypatch):
    """However often the format, the order of the rows and the clock are found out from them."""
    read = []
    monkeypatch.setattr(
        dates, "_read", lambda text, zone, its=dates._read: read.append(text) or its(text, zone)
    )
    path = tmp_path / "rows.csv"
    path.write_text("time;level\n" + "".join(f"11.03.2031 00:{i:02};{i}\n" for i in range(60)))
    source = Files([str(path)], ReadOptions(("level",), "time", timed=True))
    assert sum(map(len, batches_of(source, 100))) == 60
    assert len(read) == len(set(read)) > 10
