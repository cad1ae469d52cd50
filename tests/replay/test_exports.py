"""Exports of loggers, databases and spreadsheets: read as meant, or never without a word."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import openpyxl
import pytest
from batches import one_by_one

from replay.engine.protocols import batches_of
from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.csv_format import Style
from replay.sources.numbers import MISSING
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

N = 400
TEMPERATURE = [round(20.0 + 15.0 * (i // 100 % 2) + 0.37 * (i * 7 % 11), 2) for i in range(N)]
PRESSURE = [round(5.0 + 0.13 * (i * 5 % 13), 2) for i in range(N)]
TIMES = [datetime(2024, 3, 4) + timedelta(minutes=5 * i) for i in range(N)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.csv"


def write(path, head, row, n=N):
    path.write_text(head + "\n" + "".join(f"{row(i)}\n" for i in range(n)))
    return path


def read(path, style=None, **reading):
    source = Files([str(path)], ReadOptions(refusals=Refusals(), **reading), style)
    return source, np.concatenate([batch.values for batch in batches_of(source, 100)])


def said(path, **reading):
    return "\n".join(read(path, **reading)[0].said)


# -- numbers --------------------------------------------------------------------------------------


def test_exponents_behind_a_d_are_exponents(path):
    """As Fortran writes them; they are no unit of the number before."""
    write(path, "time,t,leak", lambda i: f"{TIMES[i]},{0.1 * i:.3E},{10.0 ** -(i % 7):.2e}")
    path.write_text(path.read_text().replace("E+", "D+").replace("E-", "D-").replace("e-", "d-"))
    source, values = read(path, values=("t", "leak"))
    assert not any("unit" in line for line in source.said)
    assert np.allclose(values, [(0.1 * i, 10.0 ** -(i % 7)) for i in range(N)], rtol=1e-3)


def test_several_units_of_a_column_are_told(path, cli):
    write(path, "time,power", lambda i: f"{TIMES[i]},{i % 9 + 1} {'W' if i % 2 else 'kW'}")
    with pytest.raises(InputError, match="say --unit 'kW' --unit 'W' to read them as they stand"):
        read(path)
    note = (
        "numbers of 'power' are read as they stand, and none is converted: some have the unit "
        "'kW', and others 'W'"
    )
    assert note in said(path, unit=("W", "kW"))
    note = (
        "numbers of 'power' are not read, as none is converted: some have the unit 'kW', and "
        "others 'W'; make one unit of them, or say --unit 'kW' --unit 'W' to read them as they"
    )
    write(
        path, "time,power,t", lambda i: f"{TIMES[i]},{i % 9 + 1} {'W' if i % 2 else 'kW'},{i % 7}"
    )
    looked = cli("look", path).stdout
    assert note in looked
    assert looked.endswith("--value t --time time --on-bad missing\n")
    assert "converted" not in said(write(path, "t,p", lambda i: f"{i},{i % 9} W"), unit=("W",))


def test_all_that_pandas_takes_as_missing_is_missing():
    from pandas._libs.parsers import STR_NA_VALUES

    assert {text.strip().lower() for text in STR_NA_VALUES} <= MISSING


def test_a_point_alone_is_missing(path):
    write(path, "time,t", lambda i: f"{TIMES[i]},{'.' if i % 50 == 3 else TEMPERATURE[i]}")
    assert np.isnan(read(path)[1]).sum() == N // 50


@pytest.mark.parametrize("mark", [-9999, -999, -127, 99999])
def test_a_usual_mark_of_a_missing_value_is_told_when_it_comes_once(mark, path):
    write(path, "time,t", lambda i: f"{TIMES[i]},{mark if i == 99 else TEMPERATURE[i]}")
    assert f"if it stands for a missing value, say --missing {mark}" in said(path)
    write(path, "time,t", lambda i: f"{TIMES[i]},{mark + 1 if i == 99 else TEMPERATURE[i]}")
    assert "--missing" not in said(path)
    # where it is not far from the others, it is one of them
    write(path, "time,t", lambda i: f"{TIMES[i]},{mark + i % 9}")
    assert "--missing" not in said(path)


def test_durations_are_a_question_of_seconds(path):
    write(path, "time,run", lambda i: f"{TIMES[i]},00:{i % 60:02d}:30")
    with pytest.raises(InputError, match="write clocks and durations in seconds"):
        read(path, values=("run",))


def test_words_name_the_option_that_takes_all_of_them_as_missing(path):
    write(path, "time,t", lambda i: f"{TIMES[i]},{'offline' if i == 9 else TEMPERATURE[i]}")
    with pytest.raises(InputError, match="--on-bad missing takes all that is no number"):
        read(path)


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", ["", ",°C,bar,°C\n"])
def test_merged_cells_above_the_header(units, path):
    head = "Boiler house,,,Outside\nTime,Temperature,Pressure,Temperature\n" + units
    write(path, head[:-1], lambda i: f"{TIMES[i]},{TEMPERATURE[i]},{PRESSURE[i]},{i % 9}")
    source, values = read(path)
    called = "Boiler house Temperature", "Pressure", "Outside Temperature"
    assert source.values == called
    assert source.time == "Time"
    assert f"columns are called by several lines, such as {called[0]!r}" in source.said
    assert np.array_equal(values[:, 0], TEMPERATURE)
    write(
        path,
        head[:-1].replace("Outside\nTime", "\nTime").replace("re,Tem", "re,Out"),
        lambda i: f"{TIMES[i]},{TEMPERATURE[i]},{PRESSURE[i]},{i % 9}",
    )
    source, _ = read(path)
    assert source.values == ("Temperature", "Pressure", "Outperature")
    assert "1 line above the table passed over" in source.said


@pytest.mark.parametrize("units", ["", ";;bar;;bar;\n"])
@pytest.mark.parametrize("above", ["", "Plant 7\nby hand\n\n"])
def test_cells_that_are_merged_over_one_line_of_the_header_and_over_both(units, above, path):
    head = "Time;Boiler 1;;Boiler 2;;Remark\n;Temperature;Pressure;Temperature;Pressure;\n" + units
    note = {7: "valve opened"}
    write(
        path,
        above + head[:-1],
        lambda i: f"{TIMES[i]};{TEMPERATURE[i]};{PRESSURE[i]};{i % 9};{i % 7};{note.get(i, '')}",
    )
    source, values = read(path)
    assert source.values == (
        "Boiler 1 Temperature",
        "Boiler 1 Pressure",
        "Boiler 2 Temperature",
        "Boiler 2 Pressure",
    )
    assert source.time == "Time"
    assert "columns are called by several lines, such as 'Boiler 1 Temperature'" in source.said
    assert ("3 lines above the table passed over" in source.said) == (above != "")
    assert np.array_equal(values[:, 0], TEMPERATURE)


def test_names_may_be_blank_where_no_other_header_follows(path):
    write(path, "time,,t", lambda i: f"{TIMES[i]},{'ok' if i % 3 else 'fault'},{TEMPERATURE[i]}")
    assert read(path)[0].values == ("t",)


def test_a_rule_under_the_header(path):
    head = "| time | t |\n|---|:---:|"
    write(path, head, lambda i: f"| {TIMES[i]} | {TEMPERATURE[i]} |")
    source, values = read(path)
    assert "line 2 holds a rule and is passed over: '|---|:---:|'" in source.said
    assert np.array_equal(values[:, 0], TEMPERATURE)


def test_names_in_single_quotes_are_a_question(path):
    write(path, "'time','t'", lambda i: f"'{TIMES[i]}','{TEMPERATURE[i]}'")
    with pytest.raises(InputError, match=r"the names are in single quotes, .* write double quotes"):
        read(path)


def test_the_line_protocol_is_named(path):
    path.write_text("".join(f"boiler,site=a t={t},p=2 {10**18 + i}\n" for i, t in enumerate("123")))
    with pytest.raises(InputError, match="line 1: this is the line protocol of InfluxDB"):
        read(path)


# -- tables of other shapes -----------------------------------------------------------------------


def test_rows_of_several_sensors_are_told(path):
    write(
        path,
        "time,id,sensor,value",
        lambda i: f"{TIMES[i // 2]},{i % 2 + 1},{'tp'[i % 2]},{(TEMPERATURE, PRESSURE)[i % 2][i]}",
    )
    note = "the same times come again for each 'sensor', and all rows are learnt as one series"
    assert note in said(path)
    assert note not in said(path, key="sensor")
    # whatever has few texts beside times that all differ tells nothing apart
    write(path, "time,state,value", lambda i: f"{TIMES[i]},{'tp'[i % 2]},{TEMPERATURE[i]}")
    assert "the same times" not in said(path)
    # nor where several rows of a state have the same time
    write(path, "time,state,value", lambda i: f"{TIMES[i // 8]},{'tp'[i % 2]},{TEMPERATURE[i]}")
    assert "the same times" not in said(path)


def test_columns_called_by_days_are_told(path):
    days = [f"2024-03-{day:02d}" for day in range(1, 13)]
    write(path, f"hour,{','.join(days)}", lambda i: f"{i}:00," + ",".join(map(str, PRESSURE[:12])))
    assert "12 columns are called by a time, such as '2024-03-01'" in said(path)


MOMENTS = [datetime(2024, 2, 27, 5) + timedelta(hours=i) for i in range(N)]


@pytest.mark.parametrize(
    ("names", "form", "n"),
    [
        (("year", "month", "day", "hour"), "{0.year},{0.month},{0.day},{0.hour}", 4),
        (("YYYY", "MM", "DD", "hh"), "{0:%Y},{0:%m},{0:%d},{0:%H}", 4),
        (("Jahr", "Mo", "Tag", "h"), "{0.year},{0.month},{0.day},{0.hour}", 3),
        (("hour", "day", "month", "year"), "{0.hour},{0.day},{0.month},{0.year}", 4),
        (
            ("Year", "Month", "Day", "Hour", "Minute", "Sec"),
            "{0.year},{0.month},{0.day},{0.hour},{0.minute},{0.second}",
            6,
        ),
    ],
)
def test_a_time_is_put_together_of_its_parts(names, form, n, path):
    write(path, f"{','.join(names)},t", lambda i: f"{form.format(MOMENTS[i])},{TEMPERATURE[i]}")
    source, values = read(path, timed=True)
    assert source.values == (("t",) if names[3] != "h" else ("h", "t"))
    assert values[:, -1].tolist() == TEMPERATURE
    ordered = names[:n] if names[0] != "hour" else names[::-1]
    *others, last = map(repr, ordered)
    assert f"the time is in {', '.join(others)} and {last}" in source.said
    batches = list(batches_of(Files([str(path)], ReadOptions(timed=True)), 64))
    seconds = np.concatenate([batch.seconds for batch in batches])
    at = [moment.replace(tzinfo=UTC) for moment in MOMENTS]
    if n == 3:
        at = [moment.replace(hour=0) for moment in at]
    assert seconds.tolist() == [moment.timestamp() for moment in at]
    assert read(path, values=(names[1], "t"))[0].values == (names[1], "t")


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (("year", "doy", "hour"), "{0.year},{0:%j},{0.hour}"),
        (("yy", "month", "day"), "{0:%y},{0.month},{0.day}"),
    ],
)
def test_parts_that_cannot_be_put_together_are_not_learnt(names, form, path):
    write(path, f"{','.join(names)},t", lambda i: f"{form.format(MOMENTS[i])},{TEMPERATURE[i]}")
    source, _ = read(path)
    assert (source.values, source.time) == (("t",), None)
    told = f"left out: {names[1]!r} is a part of the time, which is not put together; --value takes"
    assert any(told in line for line in source.said)


@pytest.mark.parametrize("year", ["?", "soon"])
def test_a_time_is_not_put_together_of_words(year, path):
    write(
        path,
        "year,month,day,t",
        lambda i: (
            f"{year if i % 9 == 4 else 2024},{1 + i // 28 % 12},{1 + i % 28},{TEMPERATURE[i]}"
        ),
    )
    source, _ = read(path)
    assert (source.values, source.time) == (("t",), None)


def test_the_time_that_is_found_is_enough_for_options_that_need_one(path, cli):
    hours = [moment + timedelta(days=i // 200) for i, moment in enumerate(MOMENTS)]
    write(path, "year,month,day,hour,t", lambda i: f"{hours[i]:%Y,%m,%d,%H},{TEMPERATURE[i]}")
    result = cli("run", path, "--max-gap", 7200)
    assert result.exit_code == 0, result.output
    assert "1 gap in time" in result.stdout
    write(path, "t", lambda i: f"{TEMPERATURE[i]}")
    assert "--max-gap needs --time" in cli("run", path, "--max-gap", 7200).stderr


def test_the_least_of_a_day_is_no_minute(path):
    write(
        path,
        "year,month,day,min,max",
        lambda i: f"2024,{1 + i // 28 % 12},{1 + i % 28},{i * 7 % 23},{40 + i * 5 % 13}",
    )
    source, _ = read(path)
    assert source.values == ("min", "max")
    assert source.time == "year month day"


def test_a_column_called_day_is_learnt_if_it_is_alone(path):
    write(path, "time,day,month", lambda i: f"{TIMES[i]},{i * 7 % 31},{i * 5 % 13}")
    assert read(path)[0].values == ("day", "month")


ALIGNED = (
    "date       time     t       pressure",
    lambda i: f"{TIMES[i]} {TEMPERATURE[i]:7.2f} {i:8d}",
)


def test_columns_aligned_by_spaces(path):
    write(path, *ALIGNED)
    with pytest.raises(InputError, match="if ' ' stands between columns, say --delimiter ' '"):
        read(path)
    _, values = read(path, Style(delimiter=" "), values=("t", "pressure"))
    assert np.array_equal(values, list(zip(TEMPERATURE, range(N), strict=True)))
    assert read(path, Style(delimiter=" "))[0].time == "date time"


def test_a_large_file_aligned_by_spaces_goes_on_from_a_position(path):
    write(path, ALIGNED[0], lambda i: ALIGNED[1](i % N), 12_000)
    style, reading = Style(delimiter=" "), ReadOptions(("t",), as_they_stand=True)
    source = Files([str(path)], reading, style)
    first = source.next_batch(5000)
    position = json.loads(json.dumps(source.position))
    again = Files([str(path)], reading, style)
    again.go_to(position)
    rest = list(one_by_one(again))
    assert (len(first), len(rest), rest[0].line) == (5000, 7000, 5002)
    assert rest[0].values == {"t": TEMPERATURE[5000 % N]}


def test_two_spaces_are_an_empty_cell_where_all_others_are_single(path):
    write(path, "a b c", lambda i: f"{i % 7} {'' if i % 40 == 3 else i % 5} {i % 3}")
    _, values = read(path, Style(delimiter=" "))
    assert np.isnan(values[:, 1]).sum() == N // 40


@pytest.mark.parametrize(
    "found",
    [
        {"time": [str(t) for t in TIMES], "t": TEMPERATURE},
        [{"target": "t", "datapoints": [[t, i] for i, t in enumerate(TEMPERATURE)]}],
    ],
)
def test_one_object_with_all_rows_in_lists(found, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(found))
    with pytest.raises(
        InputError, match=r"it is one object with lists in it, .* one object a line"
    ):
        read(path)


# -- totals without a word ------------------------------------------------------------------------


def with_totals(path, n, total=lambda its: f"{sum(its):.2f}", marks=""):
    """A file whose last row has sums, and nothing in the place of its time."""
    rows = [(TEMPERATURE[i % N], PRESSURE[i % N]) for i in range(n)]
    write(
        path,
        "time,t,p",
        lambda i: f"{TIMES[0] + timedelta(minutes=i)},{rows[i][0]},{rows[i][1]}",
        n,
    )
    sums = ",".join(f"{marks}{total(its)}{marks}" for its in zip(*rows, strict=True))
    path.write_text(path.read_text() + f",{sums}\n")
    return path


@pytest.mark.parametrize("n", [N, 5000])
@pytest.mark.parametrize("at_most", [1, 7, 1000])
def test_sums_in_a_row_without_a_time_are_totals(n, at_most, small_pieces, path):
    small_pieces(50_000)
    refusals = Refusals()
    source = Files([str(with_totals(path, n))], ReadOptions(refusals=refusals))
    assert sum(map(len, batches_of(source, at_most))) == n
    assert refusals.counts == {"rows that sum up others": 1}
    # a second time, as several passes read it
    assert sum(map(len, batches_of(source, at_most))) == n


def test_totals_may_have_marks_between_thousands(small_pieces, path):
    small_pieces(50_000)
    with_totals(path, 5000, lambda its: f"{sum(its):,.2f}", '"')
    refusals = Refusals()
    source = Files([str(path)], ReadOptions(refusals=refusals))
    assert sum(map(len, batches_of(source, 1000))) == 5000
    assert refusals.counts == {"rows that sum up others": 1}


@pytest.mark.parametrize("total", [lambda its: f"{sum(its) + 1:.2f}", lambda its: f"{max(its)}"])
def test_a_row_without_a_time_that_holds_no_sums_is_learnt(total, path):
    refusals = Refusals()
    source = Files([str(with_totals(path, N, total))], ReadOptions(refusals=refusals))
    assert sum(map(len, batches_of(source, 1000))) == N + 1
    assert refusals.counts == {"rows without a time, learnt in their place": 1}


def test_the_one_event_of_a_series_is_no_total_of_it(path):
    """Its sum is 1, and 1 is nothing out of the ordinary."""
    write(path, "time,event", lambda i: f"{TIMES[i]},{int(i == 9)}")
    path.write_text(path.read_text() + ",1\n")
    assert len(read(path, values=("event",))[1]) == N + 1


@pytest.mark.parametrize("n", [N, 5000])
def test_totals_are_known_after_a_checkpoint(n, small_pieces, path):
    small_pieces(50_000)
    with_totals(path, n)
    refusals = Refusals()
    reading = ReadOptions(refusals=refusals)
    source = Files([str(path)], reading)
    done = len(source.next_batch(n - 40)) + len(source.next_batch(20))
    position = json.loads(json.dumps(source.position))
    again = Files([str(path)], reading)
    again.go_to(position)
    assert done + sum(map(len, iter(lambda: again.next_batch(1000), None))) == n
    assert refusals.counts == {"rows that sum up others": 1}


# -- times ----------------------------------------------------------------------------------------


def test_a_date_is_the_time_rather_than_a_number_that_may_count_something_else(path):
    """Time_ms of a plant's archive: days since 1899 in millionths, not milliseconds since 1970."""
    days = [45_355e6 + i / 288 * 1e6 for i in range(N)]
    write(
        path,
        '"VarName","TimeString","VarValue","Time_ms"',
        lambda i: f"T,{TIMES[i]:%d.%m.%Y %H:%M:%S},{TEMPERATURE[i]},{days[i]:.0f}",
    )
    source, _ = read(path)
    assert (source.values, source.time) == (("VarValue",), "TimeString")
    write(path, "time,since,value", lambda i: f"{TIMES[i].timestamp():.0f},{TIMES[i]},{i % 9}")
    assert read(path)[0].time == "time"


def test_clocks_with_points_beside_a_date(path):
    write(path, "Datum;Uhrzeit;Wert", lambda i: f"{TIMES[i]:%d.%m.%Y;%H.%M};{i % 9},5")
    source, _ = read(path)
    assert (source.values, source.time) == (("Wert",), "Datum Uhrzeit")


def test_dates_and_clocks_in_bare_digits_are_not_learnt(path):
    write(path, "DATE,TIME,t", lambda i: f"{TIMES[i]:%y%m%d,%H%M%S},{TEMPERATURE[i]}")
    source, _ = read(path)
    assert source.values == ("t",)
    # by the same names, numbers that are no times are
    write(path, "DATE,TIME,t", lambda i: f"{i * 7 % 90},{1e5 + i * 37 % 777},{TEMPERATURE[i]}")
    assert read(path)[0].values == ("DATE", "TIME", "t")


# -- what is no table of rows ---------------------------------------------------------------------


def test_rows_that_are_all_too_short_are_said_to_be(path):
    write(path, "X_Value\tT\tP\tQ", lambda i: f"{i / 10}\t{TEMPERATURE[i]}\t{PRESSURE[i]}")
    with pytest.raises(InputError, match="line 2, column 'Q': the row ends before this"):
        read(path)
    path.write_text("time,t\n\n")
    with pytest.raises(InputError, match="no row follows the header"):
        read(path)


def test_the_page_of_a_login_is_no_table(path):
    path.write_text("<!DOCTYPE html>\n<html><body>Please log in</body></html>\n")
    with pytest.raises(InputError, match="line 1: this is HTML, and no table"):
        read(path)


def test_lists_in_lines_of_json_are_told(tmp_path):
    path = tmp_path / "rows.ndjson"
    rows = [{"ts": f"{TIMES[i]}", "t": TEMPERATURE[i], "its": [i % 7, 2]} for i in range(N)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "left out: 'its' holds lists; --value 'its[0]' takes the first of each" in said(path)
    assert np.array_equal(read(path, values=("its[0]",))[1][:, 0], np.arange(N) % 7)


@pytest.mark.parametrize("at", [3, N // 2])
def test_a_zero_does_not_say_that_points_stand_between_thousands(at, path):
    """Numbers of three decimals, and 0 where nothing was measured."""
    rows = [f"{TIMES[i]},{55 + i % 17 / 37:.3f}" for i in range(N)]
    rows[at] = f"{TIMES[at]},0"
    write(path, "time,flow", rows.__getitem__)
    _, values = read(path)
    assert values[at, 0] == 0.0
    assert values[-1, 0] == float(rows[-1].split(",")[1])


@pytest.mark.parametrize("names", ["year,month", "YYYY,MM", "Jahr,Monat"])
def test_a_time_of_a_year_and_a_month_is_put_together(names, path):
    write(path, f"{names},t", lambda i: f"{1961 + i // 12},{i % 12 + 1},{TEMPERATURE[i]}")
    source, _ = read(path, timed=True)
    assert (source.values, source.time) == (("t",), names.replace(",", " "))
    batches = list(batches_of(Files([str(path)], ReadOptions(timed=True)), N))
    at = [datetime(1961 + i // 12, i % 12 + 1, 1, tzinfo=UTC).timestamp() for i in range(N)]
    assert np.concatenate([batch.seconds for batch in batches]).tolist() == at


@pytest.mark.parametrize("form", ["{}-Q{}", "{}Q{}", "{} q{}", "Q{1} {0}"])
def test_quarters_are_times(form, path):
    write(path, "period,t", lambda i: f"{form.format(1961 + i // 4, i % 4 + 1)},{TEMPERATURE[i]}")
    batches = list(batches_of(Files([str(path)], ReadOptions(time="period", timed=True)), N))
    at = [datetime(1961 + i // 4, 3 * (i % 4) + 1, 1, tzinfo=UTC).timestamp() for i in range(N)]
    assert np.concatenate([batch.seconds for batch in batches]).tolist() == at
    assert read(path)[0].time == "period"


@pytest.mark.parametrize(
    ("name", "number", "form"),
    [
        ("year", lambda i: 1600 + i, "%Y"),
        ("Date", lambda i: f"{45_292 + i / 24:.5f}", "excel"),
        ("Datum", lambda i: f"{45_292 + i / 24:.5f}".replace(".", ","), "excel"),
        ("age", lambda i: 1600 + i, ""),
        ("energy", lambda i: f"{45_292 + i / 24:.5f}", ""),
    ],
)
def test_how_numbers_may_be_times_is_told(name, number, form, path, cli):
    mark = "," if name == "Datum" else "."
    write(path, f"{name};t", lambda i: f"{number(i)};{TEMPERATURE[i]:.2f}".replace(".", mark))
    (line,) = (line for line in said(path).splitlines() if f"left out: '{name}'" in line)
    option = f"--time {name} --time-format {form}"
    assert line.endswith(f", {option} if it is the time") == (form != "")
    if form:
        result = cli("run", path, *option.split())
        assert result.exit_code == 0, result.output


def test_a_state_that_nearly_all_rows_have_is_no_key(path, cli):
    state = {3: "Bad", 9: "Uncertain", 70: "Bad"}
    write(path, "time,t,quality", lambda i: f"{TIMES[i]},{TEMPERATURE[i]},{state.get(i, 'Good')}")
    note = (
        f"left out: 'quality' is 'Good' in {N - 3} of the first {N} rows, and 'Bad', 'Uncertain' "
        "in others; all of them are learnt"
    )
    assert note in said(path)
    looked = cli("look", path).stdout
    assert note in looked
    assert "--key" not in looked


def test_json_in_texts_is_named(path, tmp_path, cli):
    how = "; in pandas, frame.join(pandas.json_normalize(frame['payload'].map(json.loads))) puts"
    rows = [{"t": i, "payload": json.dumps({"p": PRESSURE[i]})} for i in range(N)]
    lines = tmp_path / "rows.ndjson"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert f"'payload' holds JSON in texts{how}" in cli("look", lines).stdout
    lines.write_text("".join(json.dumps(row | {"t": "a"}) + "\n" for row in rows))
    assert f"'payload' holds JSON in texts{how}" in cli("look", lines).stderr
    write(path, "p;payload", lambda i: f"{PRESSURE[i]};{{p: {i}}}")
    assert "JSON" not in said(path)
    write(path, "p;payload", lambda i: f'{PRESSURE[i]};"{{""p"": {i}}}"')
    assert f"left out: 'payload' holds JSON in texts{how}" in said(path)


def test_an_xml_file_is_no_page_of_a_login(path):
    path.write_text('<?xml version="1.0"?>\n<gpx><trk/></gpx>\n')
    with pytest.raises(InputError, match="this is XML, and no table; write its rows as CSV"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_called_by_its_byte_order(encoding, path):
    text = "time,t\n" + "".join(f"{TIMES[i]},{TEMPERATURE[i]}\n" for i in range(N))
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match=f"try --encoding {encoding}"):
        read(path)
    source = Files([str(path)], ReadOptions(), Style(encoding=encoding))
    assert source.values == ("t",)


def test_times_are_shown_without_the_spaces_around_them(path, cli):
    write(path, "| time | t |\n|---|---|", lambda i: f"| {TIMES[i]} | {TEMPERATURE[i]} |")
    assert f"times from {TIMES[0]} to {TIMES[N - 1]}\n" in cli("look", path).stdout


@pytest.mark.parametrize("n", [N, 12 * N])
@pytest.mark.parametrize("timed", [True, False])
def test_rows_of_empty_cells_are_blank_lines(n, timed, small_pieces, path):
    """As a spreadsheet writes them, at the end too, where there is a column of times."""
    rows = [f"{TIMES[i % N]},{PRESSURE[i % N]}," + "a" * (i % 5) for i in range(n)]
    for at in (n, n, n // 2, n // 2, 20):
        rows.insert(at, ",,")
    write(path, "time,p,note", rows.__getitem__, n + 5)
    refusals = Refusals()
    source = Files(
        [str(path)], ReadOptions(values=("p",), time="time", timed=timed, refusals=refusals)
    )
    assert sum(map(len, batches_of(source, 1000))) == n
    assert refusals.counts == {"blank lines": 5}


def test_look_does_not_ask_for_bad_rows_because_of_blank_lines(path, cli):
    rows = [f"{TIMES[i]},{PRESSURE[i]}" if i % 99 else "," for i in range(N)]
    write(path, "time,p", rows.__getitem__)
    looked = cli("look", path).stdout
    assert "5 blank lines\n" in looked
    assert looked.endswith("--value p --time time\n")


def test_equal_times_are_not_the_newest_first(path, cli):
    write(path, "time,p", lambda i: f"{TIMES[i]:%Y-%m-%d},{PRESSURE[i]}")
    assert "are not later than the one before\n" in cli("look", path).stdout


def test_clocks_with_points_and_seconds_beside_a_date(path):
    write(path, "Date;Time;t", lambda i: f"{TIMES[i]:%d.%m.%Y;%H.%M.%S};{i % 9},5")
    source, _ = read(path, timed=True)
    assert (source.values, source.time) == (("t",), "Date Time")
    write(path, "released;t", lambda i: f"{TIMES[i]:%d.%m.%y};{i % 9},5")
    assert read(path)[0].time == "released"


def test_milliseconds_beside_a_clock_are_not_learnt(path):
    ms = [i * 250 % 1000 for i in range(N)]
    write(path, "Date,Time,ms,p", lambda i: f"{TIMES[i]:%Y-%m-%d,%H:%M:%S},{ms[i]},{PRESSURE[i]}")
    source, _ = read(path)
    assert (source.values, source.time) == (("p",), "Date Time")
    assert any("left out: 'ms' is a part of the time" in line for line in source.said)
    write(path, "time,ms,p", lambda i: f"{TIMES[i]},{ms[i]},{PRESSURE[i]}")
    assert read(path)[0].values == ("ms", "p")


def test_columns_called_by_hours_are_told_also_by_look(path, cli):
    hours = ",".join(f"{hour:02d}:00" for hour in range(24))
    write(
        path, f"day,{hours}", lambda i: f"{TIMES[0].date()}," + ",".join(map(str, PRESSURE[:24])), 9
    )
    assert "24 columns are called by a time, such as '00:00'" in cli("look", path).stdout


def test_three_values_in_all_are_no_marks_of_missing_ones(path):
    write(path, "time,n", lambda i: f"{TIMES[i]},{i % 3}")
    assert "--missing" not in said(path)
    write(path, "time,n", lambda i: f"{TIMES[i]},{-200 if i % 50 == 7 else i % 2}")
    assert "say --missing -200" in said(path)


def test_a_line_above_columns_that_are_aligned_by_spaces_is_told(path):
    rows = [f"{i % 3:3d} {x:8.2f} {i % 7:4d}" for i, x in enumerate(TEMPERATURE)]
    write(path, "----procs---- ---memory---\n  r   free  buff", rows.__getitem__)
    with pytest.raises(InputError, match="say --delimiter ' ' --skip-lines 1"):
        read(path)
    source, _ = read(path, Style(delimiter=" ", skip_lines=1))
    assert source.values == ("r", "free", "buff")


def test_a_single_column_of_words_holds_no_numbers(path):
    write(path, "note", lambda i: f"note-{'abc'[i % 3]}")
    with pytest.raises(InputError, match="no column holds numbers in the first 1,000 rows"):
        read(path)


def test_numbers_of_a_spreadsheet_beside_texts_with_decimal_commas(tmp_path):
    path = tmp_path / "rows.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["time", "flow", "pressure"])
    for i in range(N):
        book.active.append([TIMES[i], f"{TEMPERATURE[i]:.2f}".replace(".", ","), PRESSURE[i]])
    book.active.append([None, "Total", sum(PRESSURE)])
    book.save(path)
    source, values = read(path)
    assert source.values == ("flow", "pressure")
    assert values.tolist() == [list(pair) for pair in zip(TEMPERATURE, PRESSURE, strict=True)]
    assert np.array_equal(read(path, decimal=",")[1], values)


def test_groups_of_columns_that_are_merged_cells(path):
    write(path, ",pump,,tank\n,p,f,level", lambda i: f"{TIMES[i]},{PRESSURE[i]},{i % 9},{i % 7}")
    assert read(path)[0].values == ("pump p", "pump f", "tank level")


def test_lines_of_words_under_the_header(path, cli):
    head = "Label,CPU,Network\nID,m1,m2\nStat,Average,Sum"
    write(path, head, lambda i: f"{TIMES[i]},{PRESSURE[i]},{TEMPERATURE[i]}")
    source, values = read(path)
    assert (source.values, source.time, len(values)) == (("CPU", "Network"), "Label", N)
    assert "line 2 holds words and is passed over: 'ID,m1,m2'" in source.said
    assert "line 3 holds words and is passed over: 'Stat,Average,Sum'" in source.said


@pytest.mark.parametrize(
    "form",
    [
        "{0:%Y年%m月%d日 %H:%M}",
        "{0.year}年{0.month}月{0.day}日 {0.hour}時{0.minute}分",
        "{0:%Y年%m月%d日%H時%M分%S秒}",
        "{0:%d.%m.%Y %H:%M} - {1:%d.%m.%Y %H:%M}",
        "{0:%Y-%m-%dT%H:%M}/{1:%Y-%m-%dT%H:%M}",
        "{0:%d.%m.%Y %Hh%M}",
    ],
)
def test_times_as_other_exports_write_them(form, path):
    """In Chinese and Japanese, as an interval, and with an h for hours."""
    written = [form.format(at, at + timedelta(minutes=5)) for at in TIMES]
    write(path, "when,t", lambda i: f"{written[i]},{TEMPERATURE[i]}")
    source = Files([str(path)], ReadOptions(timed=True))
    assert source.time == "when"
    seconds = np.concatenate([batch.seconds for batch in batches_of(source, N)])
    assert seconds.tolist() == [at.replace(tzinfo=UTC).timestamp() for at in TIMES]


def test_an_interval_is_read_with_its_end(path):
    write(path, "when,t", lambda i: f"{TIMES[i]:%Y-%m-%d %H:%M} - 2024-13-01 10:00,{PRESSURE[i]}")
    assert read(path)[0].time is None


def test_hours_and_minutes_with_an_h_between_beside_a_date(path):
    write(path, "Date;Heure;t", lambda i: f"{TIMES[i]:%d.%m.%Y;%Hh%M};{i % 9},5")
    source, _ = read(path, timed=True)
    assert (source.values, source.time) == (("t",), "Date Heure")


def test_widths_of_columns_under_the_header(path):
    head = "# site 7\nagency\tdatetime\tflow\n5s\t20d\t14n"
    write(path, head, lambda i: f"USGS\t{TIMES[i]:%Y-%m-%d %H:%M}\t{TEMPERATURE[i]}")
    source, values = read(path)
    assert (source.values, source.time, len(values)) == (("flow",), "datetime", N)
    write(path, "a\tb", lambda i: f"{i % 9}s\t{i % 7}s")
    assert len(read(path)[1]) == N


@pytest.mark.parametrize("form", ["({:.2f})", "(${:.2f})", "({:.2f} EUR)", "({:,.2f})"])
def test_numbers_in_brackets_are_negative(form, path):
    cents = [1000 + 7 * i for i in range(N)]
    cell = form.replace("({", "{").replace("})", "}").replace("($", "$").replace("EUR)", "EUR")
    forms = [form if i % 3 else cell for i in range(N)]
    write(path, "date;amount", lambda i: f"{TIMES[i]};{forms[i].format(cents[i])}")
    source, values = read(path)
    assert values[:, 0].tolist() == [-x if i % 3 else x for i, x in enumerate(cents)]
    first = form.format(cents[1])
    assert f"numbers in brackets are read as negative, as in {first!r}" in source.said


def test_a_line_with_tabs_above_columns_that_are_aligned_by_spaces(path):
    """As sar writes it."""
    head = "Linux 5.15 (host) \t03/04/2024 \t_x86_64_\n\n12:00:01 AM     CPU     %user"
    write(path, head, lambda i: f"{TIMES[i]:%I:%M:%S %p}     all     {PRESSURE[i]:5.2f}")
    with pytest.raises(InputError, match="say --delimiter ' ' --skip-lines 2"):
        read(path)
    source, values = read(path, Style(delimiter=" ", skip_lines=2))
    assert (source.values, values[:, 0].tolist()) == (("%user",), PRESSURE)
