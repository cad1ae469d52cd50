"""Files in the shape of public reports of trouble: each is read as meant, or is a question."""

import bz2
import csv
import gzip
import json
import lzma
import math
import re
import zipfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from batches import one_by_one
from pyarrow import feather, orc, parquet

from replay.engine.protocols import batches_of
from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.times import Clock

N = 400
LEVELS = [10.0 + 0.37 * (i * 7 % 11) + 40.0 * (i // 40 % 2) for i in range(N)]
START = datetime(2024, 3, 4)


def minutes(form="%Y-%m-%dT%H:%M:00Z", step=1):
    return [(START + timedelta(minutes=step * i)).strftime(form) for i in range(N)]


def write(path, head, rows, encoding="utf-8"):
    path.write_text(head + "".join(f"{row}\n" for row in rows), encoding=encoding)
    return path


def values_of(path, style=None, **reading):
    source = Files([str(path)], ReadOptions(refusals=Refusals(), **reading), style)
    return source, [x for batch in batches_of(source, 100) for x in batch.values[:, 0].tolist()]


def read_all(path, by_blocks):
    source = Files([str(path)], ReadOptions())
    return list(batches_of(source, 1000 if by_blocks else 1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.csv"


# -- headers --------------------------------------------------------------------------------------


def test_only_columns_that_are_asked_for_must_be_unique(path, cli):
    rows = [f"{t},{x:.2f},Good,{2 * x:.2f},Good" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, "Timestamp,Pump.P,Quality,Pump.F,Quality\n", rows)
    assert values_of(path, values=("Pump.P", "Pump.F"), time="Timestamp")[1] == [
        round(x, 2) for x in LEVELS
    ]
    assert values_of(path)[0].values == ("Pump.P", "Pump.F")
    said = r"column 'Quality': 2 columns have this name; .* --value 'Quality\[1\]'"
    with pytest.raises(InputError, match=said):
        values_of(path, values=("Quality",))
    assert values_of(path, values=("Pump.P",), key="Quality[2]")[0].key == "Quality[2]"


def test_names_with_commas(path, tmp_path):
    name = "Temp, °F (LGR S/N: 1, SEN S/N: 1)"
    head = f'"Plot Title: pumphouse"\n"#","Date Time, GMT-05:00","{name}","Lux, a"\n'
    times = minutes("%m/%d/%y %I:%M:00 %p", step=15)
    rows = [f"{i},{t},{x:.3f},{i % 7}," for i, (t, x) in enumerate(zip(times, LEVELS, strict=True))]
    write(path, head, rows)
    reading = {"values": (name, "Lux, a"), "time": "Date Time, GMT-05:00"}
    source, values = values_of(path, **reading, timed=True, clock=Clock("mdy"))
    assert (source.values, values) == ((name, "Lux, a"), [round(x, 3) for x in LEVELS])
    assert values_of(path, values=(f"{name},Lux, a",))[0].values == (name, "Lux, a")
    with pytest.raises(InputError, match="say which with --time-format dmy"):
        values_of(path, **reading, timed=True)
    table = pa.table({"Pump, P": LEVELS, "F": LEVELS})
    parquet.write_table(table, tmp_path / "rows.parquet")
    source, _ = values_of(tmp_path / "rows.parquet", values=("Pump, P,F",))
    assert source.values == ("Pump, P", "F")
    with pytest.raises(InputError, match="did you mean 'Pump, P'"):
        values_of(tmp_path / "rows.parquet", values=("pump, p",))


@pytest.mark.parametrize(
    ("header", "end"),
    [("time;p;f", ";"), ("time;p;f;;;", ""), ("time;p;f;", ";"), ("time;p;f;;", ";;")],
)
def test_delimiters_at_the_end_are_no_columns(header, end, path):
    rows = [
        f"{t};{x:.2f};{i % 5}.5{end}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, header + "\n", rows)
    source, values = values_of(path)
    assert (source.values, source.time) == (("p", "f"), "time")
    assert values == [round(x, 2) for x in LEVELS]
    assert sum(map(len, batches_of(source, 1000))) == N
    write(path, header + "\n", [*rows, "2024-03-05T00:00:00Z;1;2;3;4;5;6"])
    with pytest.raises(InputError, match=rf"line {N + 2}, column 'f': the row goes on after this"):
        values_of(path)


def test_rows_of_units(path):
    rows = [f"{t},{x:.2f},{i % 7}" for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))]
    write(path, "time,pressure,flow\nUTC,bar,m3/h\n", rows)
    source, values = values_of(path)
    assert (source.values, len(values)) == (("pressure", "flow"), N)
    assert "line 2 holds units and is passed over: 'UTC,bar,m3/h'" in source.said
    write(path, '"TOA5","CR1000","1"\n"TIMESTAMP","BattV","n"\n"TS","V",""\n"","Avg","Smp"\n', rows)
    source, values = values_of(path, values=("BattV",), time="TIMESTAMP")
    assert values == [round(x, 2) for x in LEVELS]


def joined(path, head, rows, mark=""):
    """Three files, one behind the other."""
    parts = [rows[:150], rows[150:300], rows[300:]]
    text = mark.join(head + "".join(f"{row}\n" for row in part) for part in parts)
    data = (mark + text).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
@pytest.mark.parametrize("more", [{}, {"key": "pump"}, {"timed": True}, {"on_bad": "skip"}])
@pytest.mark.parametrize("at_most", [1, 1000])
def test_headers_of_files_joined_to_one_are_passed_over_and_counted(name, more, at_most, tmp_path):
    rows = [f"{t},p{i % 2},{x:.2f}" for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))]
    # the name of a column is no header
    rows[200] = rows[200].replace("p0", "pump")
    path = joined(tmp_path / name, "time,pump,pressure\n", rows)
    reading = ReadOptions(("pressure",), "time", refusals=Refusals(), **more)
    source = Files([str(path)], reading)
    batches = list(batches_of(source, at_most))
    found = [value for batch in batches for value in batch.values[:, 0].tolist()]
    assert found == [round(x, 2) for x in LEVELS]
    assert batches[-1].lines[-1] == N + 3
    assert reading.refusals.counts == {"rows that repeat the header": 2}


def test_headers_of_files_joined_to_one_are_told(path, cli, tmp_path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    joined(path, TABLE, rows)
    assert "2 rows that repeat the header" in cli("look", path).stdout
    refused = tmp_path / "refused.csv"
    result = cli("run", path, "--refused", refused)
    assert result.exit_code == 0, result.output
    assert "400 rows" in result.stdout
    assert "refused: 2 rows that repeat the header" in result.stdout
    assert list(csv.reader(refused.read_text().splitlines())) == [
        ["file", "line", "reason", "text"],
        [str(path), "152", "rows that repeat the header", "time,pressure"],
        [str(path), "303", "rows that repeat the header", "time,pressure"],
    ]


@pytest.mark.parametrize("columns", ["2019,2020", "NA,2020", "2019,x"])
def test_a_header_of_numbers_that_comes_again_is_no_row(columns, path):
    """Which it could be taken for, if only years are learnt."""
    rows = [f"{t},{x:.2f},{2 * x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    joined(path, f"time,{columns}\n", rows)
    for at_most in (1, 1000):
        reading = ReadOptions(tuple(columns.split(",")), refusals=Refusals())
        source = Files([str(path)], reading)
        assert sum(map(len, batches_of(source, at_most))) == N
        assert reading.refusals.counts == {"rows that repeat the header": 2}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("at_most", [1, 1000])
def test_marks_of_files_joined_to_one_are_no_part_of_a_cell(header, at_most, path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    joined(path, TABLE if header else "", rows, "\ufeff")
    names = ("pressure", "time") if header else ("1", "0")
    reading = ReadOptions(names[:1], key=names[1], refusals=Refusals())
    source = Files([str(path)], reading, Style(header=header))
    keys = [
        key for batch in batches_of(source, at_most) for key in map(batch.key_at, range(len(batch)))
    ]
    assert keys == minutes()


# -- what stands above ----------------------------------------------------------------------------

TABLE = "time,pressure\n"
ABOVE = {
    "comments": "# logger: X200\n# serial: 0000\n#\n",
    "a logger's lines": "Data logger X200\nSerial number,0000\nInterval,1 min\n\n",
    "pairs alone": "Serial number,0000\nInterval,1 min\n",
    "a title": "Plot Title: pumphouse\n",
    "padded by a spreadsheet": "Data logger X200,\n,\n",
    "blank lines": "\n\n",
    "sep": "sep=,\n",
    "sep in quotes": '"sep=,"\n',
}


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("told", [True, False])
def test_what_stands_above_is_passed_over(above, told, path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, ABOVE[above] + TABLE, rows)
    reading = {"values": ("pressure",), "time": "time"} if told else {}
    source, values = values_of(path, **reading)
    assert (source.values, source.time) == (("pressure",), "time")
    assert values == [round(x, 2) for x in LEVELS]
    assert re.search(r"above the table passed over|names the delimiter", source.said[0])
    # lines are counted from the start of the file, and a position is one of the file
    line = next(one_by_one(source)).line
    assert line == ABOVE[above].count("\n") + 2
    position = source.position
    again = Files([str(path)], ReadOptions(**reading))
    again.go_to(json.loads(json.dumps(position)))
    assert next(one_by_one(again)).line == line + 1


def test_words_in_a_column_that_holds_numbers_later_are_no_lines_above(path):
    """Laps of a run: words first, then numbers; the distance only grows. Neither is learnt."""
    laps = ["warm-up"] * 60 + ["1"] * 80 + ["1R"] * 60 + ["2"] * 100 + ["end"] * 100
    rows = [
        f"{t},{lap},{x:.2f},{20.5 * i + x % 1:.1f}"
        for i, (t, lap, x) in enumerate(zip(minutes(), laps, LEVELS, strict=True))
    ]
    write(path, "time,lap,pace,distance\n", rows)
    source, values = values_of(path)
    assert (source.values, source.time) == (("pace",), "time")
    assert values == [round(x, 2) for x in LEVELS]
    assert any("'lap' holds texts such as 'warm-up' in 40%" in said for said in source.said)
    assert any("'distance' never falls, as a running total" in said for said in source.said)
    assert not any("above the table" in said for said in source.said)
    assert values_of(path, values=("distance",))[0].values == ("distance",)


@pytest.mark.parametrize("at_most", [1, 1000])
@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_blank_lines_are_left_out_and_counted(blank, at_most, path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, [*rows[:300], blank, blank, *rows[300:350], blank, *rows[350:], blank])
    options = ReadOptions()
    batches = list(batches_of(Files([str(path)], options), at_most))
    values = np.concatenate([batch.values for batch in batches])
    assert values[:, 0] == pytest.approx(np.round(LEVELS, 2))
    lines = np.concatenate([batch.lines for batch in batches])
    assert lines[[0, 299, 300, 350]].tolist() == [2, 301, 304, 355]
    assert options.refusals.counts == {"blank lines": 3}


@pytest.mark.parametrize("at_most", [1, 1000])
def test_lines_of_spaces_at_the_end_mean_nothing(at_most, path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, [*rows, "", "  ", "\t", ""])
    source = Files([str(path)], ReadOptions())
    assert sum(map(len, batches_of(source, at_most))) == N
    write(path, TABLE, [*rows[:300], "  ", *rows[300:]])


def test_a_word_among_few_numbers_is_an_error(path, cli):
    """Of a few rows nobody can say that a column holds words."""
    path.write_text("time,flow\n1,2\n2,x\n")
    result = cli("run", path)
    assert result.exit_code == 2
    assert "line 3, column 'flow': 'x' is no number" in result.stderr


def test_lines_to_skip_and_comments(path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    rows[200:200] = ["% valve, opened", '% "', "%"]
    write(path, "a,b\nc,d\n" + TABLE, rows)
    source, values = values_of(path, Style(skip_lines=2, comment="%"))
    assert (source.values, values) == (("pressure",), [round(x, 2) for x in LEVELS])
    assert sum(map(len, batches_of(source, 1000))) == N


@pytest.mark.parametrize("empty", ["\t", " \t "])
def test_a_row_of_empty_cells_is_no_comment(empty, path):
    path.write_text(f"# logger\nlevel\tload\n1\t2\n{empty}\n\n  \n3\t4\n")
    source = Files([str(path)], ReadOptions(on_bad="missing"), Style(comment="#"))
    rows = [list(row.values.values()) for row in one_by_one(source)]
    assert np.array_equal(rows, [[1, 2], [np.nan, np.nan], [3, 4]], equal_nan=True)


def test_tables_of_influxdb(path):
    head = "#group,false,false,true,true\n#datatype,string,long,dateTime:RFC3339,double\n"
    head += "#default,_result,,,\n,result,table,_time,_value\n"
    lines = [f",,0,{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    body = "".join(f"{line}\n" for line in lines[:200])
    path.write_text(head + body + "\n" + head + "".join(f"{line}\n" for line in lines[200:]))
    source, values = values_of(path)
    assert (source.values, source.time) == (("_value",), "_time")
    assert values == [round(x, 2) for x in LEVELS]
    assert sum(map(len, batches_of(source, 1000))) == N


@pytest.mark.parametrize("header", ["#time,pressure", "# time, pressure"])
def test_a_header_may_be_a_comment(header, path):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, f"# logger\n{header}\n", rows)
    source, values = values_of(path)
    assert (source.values, source.time) == (("pressure",), "time")
    assert values == [round(x, 2) for x in LEVELS]


# -- true and false -------------------------------------------------------------------------------


def test_true_and_false_are_1_and_0_in_every_format(tmp_path):
    on = [x > 20.0 for x in LEVELS]
    times = minutes()
    write(
        tmp_path / "a.csv",
        "t,load,on\n",
        [f"{t},{x},{o}" for t, x, o in zip(times, LEVELS, on, strict=True)],
    )
    rows = [{"t": t, "load": x, "on": o} for t, x, o in zip(times, LEVELS, on, strict=True)]
    (tmp_path / "a.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parquet.write_table(pa.table({"t": times, "load": LEVELS, "on": on}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.ndjson", "a.parquet"):
        source = Files([str(tmp_path / name)])
        assert source.values == ("load", "on"), name
        values = [batch.values[:, 1] for batch in batches_of(source, 100)]
        assert np.concatenate(values).tolist() == on, name
    assert "true and false of 'on' are read as 1 and 0" in Files([str(tmp_path / "a.csv")]).said


def test_on_and_off_are_1_and_0_among_numbers(path, cli):
    """As a history of Home Assistant has them, in the column of all states."""
    rows = [f"sensor.load,{x:.2f},{t}" for t, x in zip(minutes(), LEVELS, strict=True)]
    rows += [f"switch.fan,{'on' if i % 20 < 10 else 'Off'},{t}" for i, t in enumerate(minutes())]
    write(path, "entity_id,state,last_changed\n", sorted(rows, key=lambda row: row[-20:]))
    result = cli("run", path, "--key", "entity_id")
    assert result.exit_code == 0, result.output
    assert "on and off of 'state' are read as 1 and 0" in result.stdout
    _, values = values_of(path, key="entity_id")
    assert {1.0, 0.0} < set(values)


def test_a_column_of_on_and_off_is_learnt_if_it_is_named_or_alone(path, cli):
    """It is no key; and a status may hold other words later."""
    on = ["on" if x > 20.0 else "off" for x in LEVELS]
    table = list(zip(minutes(), LEVELS, on, strict=True))
    write(path, "time,load,fan\n", [f"{t},{x},{o}" for t, x, o in table])
    source = Files([str(path)])
    assert source.values == ("load",)
    assert "left out: 'fan' holds on and off, which are 1 and 0; --value takes it in" in source.said
    assert not [line for line in source.said if "--key" in line]
    assert "│ fan    │ on and off │" in cli("look", path).stdout
    write(path, "time,fan\n", [f"{t},{o}" for t, _, o in table])
    assert Files([str(path)]).values == ("fan",)


@pytest.mark.parametrize("yes", ["true", "TRUE", " True"])
@pytest.mark.parametrize("at_most", [1, 1000])
def test_true_may_stand_beside_numbers_and_alone(yes, at_most, path):
    rows = [f"{t},{yes if i % 3 else 0}" for i, t in enumerate(minutes())]
    write(path, "time,flag\n", rows)
    values = [batch.values[:, 0] for batch in batches_of(Files([str(path)]), at_most)]
    assert np.concatenate(values).tolist() == [float(i % 3 > 0) for i in range(N)]


def test_a_column_with_empty_cells_is_no_key(path, cli):
    """Every row needs one: a look that took it for one would see no row without."""
    rows = [
        f"{t},{x:.2f},{('', 'alarm', 'warning')[i % 3]}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, "time,load,note\n", rows)
    said = cli("look", path).stdout
    assert "400 rows" in said
    assert "key" not in said


# -- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("t flow\n0 1.5\n1 2.5\n", "if ' ' stands between columns, say --delimiter ' '"),
    ],
)
def test_what_to_do_about_a_cell_is_said(content, said, path, cli):
    path.write_text(content)
    result = cli("run", path)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("name", ["t", "time", "flow"])
def test_numbers_that_only_rise_may_be_the_time(name, path):
    """Seconds since some start, or day numbers of a spreadsheet: nobody can tell."""
    write(path, f"{name},load\n", [f"{0.5 * i},{x:.2f}" for i, x in enumerate(LEVELS)])
    (said,) = [line for line in values_of(path)[0].said if line.startswith("left out")]
    assert said.startswith(f"left out: '{name}' never falls, as a running total; --value takes it")
    assert said.endswith(f", --time {name} if it is the time") == (name != "flow")


def test_a_meter_that_is_learnt_for_want_of_others_is_pointed_out(path):
    totals = np.cumsum(LEVELS).tolist()
    write(path, "time,energy\n", [f"{t},{x:.2f}" for t, x in zip(minutes(), totals, strict=True)])
    source, _ = values_of(path)
    assert source.values == ("energy",)
    assert any(
        "'energy' never falls, as a running total; it is learnt as" in s for s in source.said
    )


def test_the_command_that_look_prints_can_be_run(path, cli):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, rows)
    assert "--on-bad" not in cli("look", path).stdout
    write(path, TABLE, [*rows, f"{START + timedelta(days=9)},Bad"])
    command = cli("look", path).stdout.splitlines()[-1]
    assert command == f"replay run {path} --value pressure --time time --on-bad missing"
    result = cli(*command.split()[1:])
    assert "refused: 1 value that is no number, taken as missing" in result.stdout


def test_files_whose_newest_row_comes_first_are_pointed_out(path, cli):
    rows = [f"{t},{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, rows[::-1])
    said = f"{N - 1} rows are not later than the one before"
    how = "the newest comes first: replay run reads them from the last to the first"
    assert f"{said}; {how}\n" in cli("look", path).stdout
    write(path, TABLE, [*rows, rows[0]])
    assert "1 row is not later than the one before\n" in cli("look", path).stdout


# -- numbers --------------------------------------------------------------------------------------

CELLS = {
    # cells, and what they are
    "commas between thousands": (
        ["1,721,992.283", "564,409,237.658"],
        [1721992.283, 564409237.658],
    ),
    "points between thousands": (["877,29", "1.618,84"], [877.29, 1618.84]),
    "points between thousands, with units": (["877,29 kW", "1.618,84 kW"], [877.29, 1618.84]),
    "points alone": (["1.618.000", "877"], [1618000.0, 877.0]),
    "apostrophes": (["1'618.84", "5.5"], [1618.84, 5.5]),
    "spaces": (["1 618,84", "5,5"], [1618.84, 5.5]),
    "narrow spaces": (["1\u202f618,84", "5,5"], [1618.84, 5.5]),
    "degrees": (["12.5 degC", "-3 degC"], [12.5, -3.0]),
    "signs": (["12.5°C", "13°C"], [12.5, 13.0]),
    "volts": (["230 V", "231 V"], [230.0, 231.0]),
    "percent": (["45 %", "46.5 %"], [45.0, 46.5]),
    "cubic metres": (["5 m3/h", "6.5 m3/h"], [5.0, 6.5]),
    "apostrophes before": (["'-2.00", "'3.1"], [-2.0, 3.1]),
    "minus signs of print": (["\u22122.5", "3.5"], [-2.5, 3.5]),
    "three decimals": (["11.288", "9.235"], [11.288, 9.235]),
    "powers": (["1e5", "2.5E-3"], [100000.0, 0.0025]),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_numbers_as_people_write_them(name, delimiter, path):
    cells, expected = CELLS[name]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["when", "level"])
        writer.writerows([f"t{i}", cell] for i, cell in enumerate(cells * 200))
    source, values = values_of(path)
    assert values == expected * 200
    found = [value for batch in batches_of(source, 1000) for value in batch.values[:, 0].tolist()]
    assert found == values


QUESTIONS = {
    "thousands or decimals": (["877", "1.618"], 3, {".": [877.0, 1.618], ",": [877.0, 1618.0]}),
    "the other way round": (["1,618", "877"], 2, {".": [1618.0, 877.0], ",": [1.618, 877.0]}),
    "with units": (["877 kW", "1.618 kW"], 3, {".": [877.0, 1.618], ",": [877.0, 1618.0]}),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("late", [0, 5_000])
def test_cells_that_contradict_are_a_question(name, late, path):
    """The question comes wherever the cells stand, and each option it names answers it."""
    cells, line, answers = QUESTIONS[name]
    first = [max(cells, key=lambda cell: cell.isdigit())] * late
    write(path, "when;level\n", [f"t;{cell}" for cell in [*first, *cells]])
    for by_blocks in (False, True):
        with pytest.raises(InputError, match=rf"line {line + late}, column 'level'") as caught:
            read_all(path, by_blocks)
        assert "say --decimal" in str(caught.value)
    for decimal, expected in answers.items():
        assert values_of(path, decimal=decimal)[1][late:] == expected


def test_decimal_commas_that_cut_a_column_in_two_are_a_question(path):
    """Without a header nothing says how many columns there are."""
    values = [20.0 + i % 7 + (i * 37 % 100) / 100 for i in range(300)]
    lines = [f"{value:.2f}".replace(".", ",") for value in values]
    write(path, "", lines)
    header = Style(header=False)
    with pytest.raises(InputError, match=r"column '1': '0\d' may be .* behind a decimal comma"):
        values_of(path, header)
    assert values_of(path, header, decimal=",")[1] == pytest.approx(values)
    whole = values_of(path, Style(",", header=False), values=("0",))[1]
    assert whole == [float(int(value)) for value in values]
    write(path, "", [f"2026-03-01 {i:05d},{line}" for i, line in enumerate(lines)])
    with pytest.raises(InputError, match="put such numbers in quotes if it is"):
        values_of(path, header)
    # a time, numbers with points, codes without zeros in front
    for cells in ("2026,03,{0:02d},{1}", "{0},{0:02d},{1}.5", "{0},{1}"):
        write(path, "", [cells.format(i % 28, 10 + i % 90) for i in range(300)])
        assert len(values_of(path, header)[1]) == 300
    write(path, "Wert\n", lines)
    with pytest.raises(InputError, match="if commas are decimal marks here, say --decimal ,"):
        values_of(path)
    assert values_of(path, decimal=",")[1] == pytest.approx(values)


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "xlsx"])
def test_numbers_in_texts_are_read_alike_in_all_formats(kind, tmp_path, cli):
    """Units and decimal commas are found, or named by an option; look and run agree."""
    values = [20.0 + i % 7 + (i * 37 % 100) / 100 for i in range(300)]
    texts = [f"{value:.2f} °C".replace(".", ",") for value in values]
    path = tmp_path / f"a.{kind}"

    def written(texts):
        if kind == "ndjson":
            path.write_text("".join(json.dumps({"level": text}) + "\n" for text in texts))
        elif kind == "parquet":
            parquet.write_table(pa.table({"level": texts}), path)
        else:
            pytest.importorskip("openpyxl")
            pd.DataFrame({"level": texts}).to_excel(path, index=False)

    written(texts)
    source, read = values_of(path)
    assert read == pytest.approx(values)
    assert "numbers of 'level' are read without their unit, '°C'" in source.said
    assert "decimal marks are commas, as in '20,00 °C'" in source.said
    seen = cli("look", path).stdout
    assert "│ level  │ numbers │    0.0% │" in seen
    assert seen.splitlines()[-1] == f"replay run {path} --value level"
    # a mark that could stand between thousands
    written([f"1,{100 + i % 800}" for i in range(300)])
    assert values_of(path, decimal=",")[1][:2] == [1.1, 1.101]
    assert values_of(path, decimal=".")[1][:2] == [1100.0, 1101.0]


@pytest.mark.parametrize("form", ["lines", "array"])
def test_json_as_python_writes_it(form, tmp_path):
    rows = [{"level": math.nan if i % 10 == 3 else 1.5 + i} for i in range(200)]
    path = tmp_path / "a.json"
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) if form == "lines" else f"[{','.join(lines)}]")
    read = values_of(path)[1]
    np.testing.assert_array_equal(read, [row["level"] for row in rows])


def test_units_by_option(path):
    write(path, "when;level\n", ["a;5 kW", "b;6", "c;900 W"])
    with pytest.raises(InputError, match="line 2, column 'level': '5 kW' has a unit that not all"):
        values_of(path, values=("level",))
    assert values_of(path, values=("level",), unit=("kW", "W"))[1] == [5.0, 6.0, 900.0]


def test_units_of_some_cells_with_marks_between_thousands(path):
    write(path, "when;level\n", ["a;1.234,5 kW", "b;1.234,5", "c;3"])
    with pytest.raises(InputError, match=r"line 2, .* '1\.234,5 kW' has a unit that not all"):
        values_of(path, values=("level",))


@pytest.mark.parametrize("text", ["unavailable", "Unknown", "-", "--", "#N/A", "null", "?", "n.a."])
def test_what_is_known_to_be_missing(text, path):
    rows = [
        f"{t},{text if i % 30 == 5 else x}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    _, values = values_of(write(path, TABLE, rows))
    assert [i for i, value in enumerate(values) if math.isnan(value)] == list(range(5, N, 30))


def test_constants_far_outside_are_pointed_out(path, cli):
    rows = [
        f"{t},{-9999 if i % 37 == 5 else x}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, TABLE, rows)
    n = len(range(5, N, 37))
    said = f"'pressure' is exactly -9999 in {n} of {N} rows looked at, far from all others"
    for by_blocks in (False, True):
        source = Files([str(path)], ReadOptions())
        list(batches_of(source, 100 if by_blocks else 1))
        assert said in source.said[-1]
    told = ["run", path, "--regimes", 2, "--missing", "-9999", "--missing", "n/v"]
    result = cli(*told)
    assert f"{n} missing values" in result.stdout
    assert "-9999" not in result.stdout
    assert re.search(r"mean ± sd +│ +1\d\.\d+ ± .* │ +5\d\.\d+ ±", result.stdout)


def test_a_row_that_measured_nothing_is_no_change(path, cli, tmp_path):
    rows = [
        f"boiler,{'unavailable' if i % 30 == 5 else x},{t}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, "entity_id,state,last_changed\n", rows)
    labels = tmp_path / "labels.csv"
    for more in ([], ["--key", "entity_id"], ["--persist"]):
        result = cli("run", path, "--regimes", 2, *more, "--labels", labels)
        assert result.exit_code == 0, result.output
        table = list(csv.DictReader(labels.read_text().splitlines()))
        found = [int(row["label"]) for row in table]
        assert sum(row["change"] == "1" for row in table) == 9
        for i in range(35, N, 30):
            assert (found[i], table[i]["probability"]) == (
                found[i - 1],
                table[i - 1]["probability"],
            )


# -- choosing -------------------------------------------------------------------------------------


def test_all_columns_that_vary_are_learnt_and_said(path, cli, tmp_path):
    names = ["id", "when", "device", "setpoint", "level", "load"]
    records = [
        {"id": i, "when": t, "device": "ab"[i % 2], "setpoint": 70, "level": x, "load": i % 7 + 0.5}
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, ",".join(names) + "\n", [",".join(str(r[n]) for n in names) for r in records])
    lines = write(tmp_path / "rows.ndjson", "", map(json.dumps, records))
    parquet.write_table(pa.Table.from_pylist(records), tmp_path / "rows.parquet")
    for each in (path, lines, tmp_path / "rows.parquet"):
        result = cli("run", each, "--regimes", 2)
        assert result.exit_code == 0, result.output
        assert "--value is not given: learnt is 'level', 'load'" in result.stdout
        assert "the time is in 'when'" in result.stdout
        assert "left out: 'setpoint' is 70 in all of the first 400 rows" in result.stdout
        assert "left out: 'id' counts rows" in result.stdout
        assert "'device' has 2 different texts; --key device" in result.stdout


def test_rows_that_are_there_twice_are_told(path, cli):
    """But not those of a clock of coarse steps, nor of several devices at one time."""
    said = "200 of the first 400 rows have the time and the values of the row before, and all are"
    rows = [f"{t},{x}" for t, x in zip(minutes()[:200], LEVELS, strict=False) for _ in range(2)]
    write(path, TABLE, rows)
    assert said in cli("run", path).stdout
    shown = cli("run", path, "--late", "skip").stdout
    assert said not in shown
    assert "200 rows that came twice, dropped" in shown
    coarse = [f"{t},{x}" for t, x in zip(sorted(minutes()[:200] * 2), LEVELS, strict=True)]
    assert "of the row before" not in cli("run", write(path, TABLE, coarse)).stdout
    once = [f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)]
    assert "of the row before" not in cli("run", write(path, TABLE, once)).stdout


def test_look_offers_a_key_where_times_go_on(path, cli):
    rows = [
        f"{t},{'abc'[i % 3]},{x}" for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(path, "when,device,level\n", rows)
    said = "'device' has 3 different texts; --key device would give each a model of its own\n"
    assert cli("look", path).stdout.count(said) == 1
    assert said in cli("run", path).stdout


def test_columns_that_tell_the_same_are_told_once(path, cli):
    """A price has four that do, which are six pairs."""
    rows = [f"{i % 7},{i % 7 + 0.5},{2 * (i % 7)},{i * 37 % 11},{i % 7}" for i in range(200)]
    shown = cli("look", write(path, "open,high,low,volume,close\n", rows)).stdout
    assert shown.count("tell the same") == 1
    assert "'open', 'high', 'low' and 'close' tell the same: one of them is enough" in shown
    assert shown.splitlines()[-1].endswith("--value open --value volume")


def test_look(path, cli):
    times = minutes()
    rows = [f"{t},{d},{x},{2 * x + 1}" for t, x in zip(times, LEVELS, strict=True) for d in "ab"]
    del rows[100:140]
    write(path, "when,device,level,twin\n", rows)
    result = cli("look", path)
    assert result.exit_code == 0, result.output
    assert "760 rows" in result.stdout
    assert "'level' and 'twin' tell the same" in result.stdout
    assert "times go forward in each 'device' only: it is the key" in result.stdout
    command = result.stdout.splitlines()[-1]
    assert command == f"replay run {path} --value level --time when --key device"
    rows = [f"{t},{x}" for t, x in zip(times, LEVELS, strict=True)]
    del rows[100:140]
    result = cli("look", write(path, TABLE, rows))
    assert "usual step 60 s, 1 gap" in result.stdout
    assert f"times from {times[0]} to {times[-1]}" in result.stdout
    words = cli("look", path).stdout.splitlines()[-1].split()
    assert cli(*words[1:], "--regimes", 2).exit_code == 0


# -- other files ----------------------------------------------------------------------------------


def test_a_page_before_the_table_of_a_spreadsheet_is_not_it(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    for row in (["Report"], ["Year", 2026], ["Devices", 3]):
        book.active.append(row)
    for name, n in (("Few", 4), ("Data", 30), ("Later", 30)):
        sheet = book.create_sheet(name)
        sheet.append(["level", "note"])
        for i in range(n):
            sheet.append([10.5 + i, "x"])
    book.save(tmp_path / "book.xlsx")
    source, read = values_of(tmp_path / "book.xlsx")
    assert read == [10.5 + i for i in range(30)]
    assert "sheet 'Data' is read; --sheet reads another: 'Cover', 'Few', 'Later'" in source.said
    for name in ("Data", "Later"):
        del book[name]
    book.save(tmp_path / "book.xlsx")
    assert values_of(tmp_path / "book.xlsx")[1] == [10.5, 11.5, 12.5, 13.5]


def test_a_sheet_is_read_by_its_name_or_number(tmp_path, cli):
    """A name that is a number goes before the number."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "1"
    for name, first in (("1", 100.5), ("Data", 200.5), ("4", 300.5), ("Last", 400.5)):
        sheet = book[name] if name in book.sheetnames else book.create_sheet(name)
        sheet.append(["level"])
        for i in range(30):
            sheet.append([first + 7 * i % 5])
    book.create_sheet("empty")
    path = tmp_path / "book.xlsx"
    book.save(path)
    for sheet, first in (("1", 100.5), ("Data", 200.5), ("2", 200.5), ("4", 300.5)):
        source = Files([str(path)], style=Style(sheet=sheet))
        assert next(one_by_one(source)).values["level"] == first
        assert not any("--sheet" in line for line in source.said)
    looked = cli("look", path, "--sheet", "Last")
    assert f"{path}, sheet 'Last'" in looked.stdout
    assert looked.stdout.splitlines()[-1].endswith("--sheet Last --value level")
    all_sheets = "it has 5 sheets: 1 '1', 2 'Data', 3 '4', 4 'Last', 5 'empty'"
    for sheet, problem in (
        ("0", " has no sheet '0', by name or number"),
        ("data", " has no sheet 'data', by name or number"),
        ("5", ": sheet 'empty' holds no cells"),
    ):
        with pytest.raises(InputError, match=re.escape(f"{path}{problem}; {all_sheets}")):
            Files([str(path)], style=Style(sheet=sheet))
    (tmp_path / "rows.csv").write_text("level\n1\n2\n")
    result = cli("run", tmp_path / "rows.csv", "--sheet", "Data")
    assert result.exit_code == 2
    assert "--sheet is 'Data', but" in result.stderr
    assert "is no spreadsheet" in result.stderr


def test_a_spreadsheet(tmp_path, cli):
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "rows.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["Data logger X200"])
    book.active.append([])
    book.active.append(["when", "level", "note"])
    for i, x in enumerate(LEVELS):
        book.active.append([START + timedelta(minutes=i), None if i == 7 else x, "x"])
    book.create_sheet("notes")
    book.save(path)
    source, values = values_of(path, time="when", timed=True)
    assert (source.values, len(values)) == (("level",), N)
    assert math.isnan(values[7])
    assert [*values[:7], *values[8:]] == pytest.approx([*LEVELS[:7], *LEVELS[8:]], rel=1e-14)
    assert "sheet 'Sheet' is read; --sheet reads another: 'notes'" in source.said
    seconds = [row.seconds for row in one_by_one(source)]
    assert {after - before for before, after in pairwise(seconds)} == {60.0}


def test_files_of_typed_columns(tmp_path):
    times = [START + timedelta(minutes=i) for i in range(N)]
    texts = [None if i == 7 else f"{x:.2f}" for i, x in enumerate(LEVELS)]
    table = pa.table({"when": times, "on": [i % 3 == 0 for i in range(N)], "text": texts})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=90)
    feather.write_feather(table, tmp_path / "rows.feather", chunksize=90)
    orc.write_table(table, tmp_path / "rows.orc")
    for kind in ("parquet", "feather", "orc"):
        source = Files([str(tmp_path / f"rows.{kind}")], ReadOptions(time="when", timed=True))
        rows = list(one_by_one(source))
        assert source.values == ("on", "text")
        assert [row.values["on"] for row in rows] == [float(i % 3 == 0) for i in range(N)]
        assert math.isnan(rows[7].values["text"])
        assert rows[8].values["text"] == round(LEVELS[8], 2)
        assert rows[1].seconds - rows[0].seconds == 60.0


@pytest.mark.parametrize("packing", ["bz2", "xz", "zst"])
def test_other_ways_of_packing(packing, tmp_path):
    text = TABLE + "".join(f"{t},{x:.2f}\n" for t, x in zip(minutes(), LEVELS, strict=True))
    path = tmp_path / f"rows.csv.{packing}"
    if packing == "zst":
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(text.encode())
    else:
        path.write_bytes({"bz2": bz2, "xz": lzma}[packing].compress(text.encode()))
    assert values_of(path)[1] == [round(x, 2) for x in LEVELS]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 40])
    with pytest.raises(InputError, match="data is damaged or cut off here"):
        values_of(path, values=("pressure",))


def test_outputs_are_checked_before_the_run(path, cli, tmp_path):
    write(path, TABLE, [f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)])
    for option, name in (("--labels", "none/x.csv"), ("--plot", "none/x.png")):
        result = cli("run", path, option, tmp_path / name)
        assert result.exit_code == 2
        assert f"{option} {tmp_path / name}: there is no folder" in result.stderr
    result = cli("run", path, "--labels", tmp_path / "labels.xlsx")
    assert result.exit_code == 2
    assert "spreadsheets are not written" in result.stderr


@pytest.mark.parametrize(
    ("option", "name", "ends"),
    [
        ("--report", "x.pdf", ".html or .htm"),
        ("--plot", "x.svg", ".png"),
        ("--segments", "x.json", ".csv or .parquet"),
        ("--labels", "x.csv.gz", ".csv or .parquet"),
        ("--costs", "x.parquet", ".csv or .json"),
    ],
)
def test_an_output_is_not_called_by_another_format(option, name, ends, path, cli):
    write(path, TABLE, (f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)))
    out = path.parent / name
    result = cli("run", path, option, out)
    assert result.exit_code == 2
    assert f"{option} {out}: {out.suffix} is not written; choose a name that" in result.stderr
    assert f"ends in {ends}" in result.stderr
    assert not out.exists()


def test_many_regimes_are_shown_in_part(path, cli):
    levels = [40.0 * (i // 20) + 0.37 * (i * 7 % 11) for i in range(N)]
    write(path, TABLE, [f"{t},{x}" for t, x in zip(minutes(), levels, strict=True)])
    # a fit made later would not be done when the file ends
    result = cli("run", path, "--regimes", 60, "--warm-up", 400)
    assert result.exit_code == 0, result.output
    assert re.search(r"the 12 of \d+ with most rows", result.stdout)


# -- times ----------------------------------------------------------------------------------------


def test_a_step_back_of_an_hour_is_explained(path, cli):
    times = [START.replace(month=10, day=27) + timedelta(minutes=15 * i) for i in range(-4, 40)]
    clocks = [t if t.hour < 3 or t.day < 27 else t - timedelta(hours=1) for t in times]
    write(path, TABLE, [f"{t:%d.%m.%Y %H:%M},{i % 3}.5" for i, t in enumerate(clocks)])
    told = ["run", path, "--value", "pressure", "--time", "time", "--regimes", 2, "--max-gap", 3600]
    result = cli(*told)
    assert result.exit_code == 2
    assert "it steps back by exactly an hour" in result.stderr
    assert "--time-zone" in result.stderr
    result = cli(*told, "--late", "skip")
    assert "1 step back by exactly an hour" in result.stdout
    result = cli(*told, "--time-zone", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    assert "44 rows" in result.stdout
    assert "gap" not in result.stdout


def winter(path, step):
    """A table of 8 hours with the clocks of Berlin, which are set back in them."""
    begin = datetime(2024, 10, 26, 22, tzinfo=UTC)
    times = [begin + timedelta(minutes=m) for m in range(0, 480, step)]
    clocks = [t.astimezone(ZoneInfo("Europe/Berlin")) for t in times]
    write(path, TABLE, [f"{t:%Y-%m-%d %H:%M},{i % 7}.5" for i, t in enumerate(clocks)])


@pytest.mark.parametrize("command", ["run", "look"])
def test_clocks_that_are_set_back_are_no_rows_in_disorder(command, path, cli):
    winter(path, 20)
    said = (
        "by exactly an hour, as clocks that are set back for winter do: name the zone, as in --ti"
    )
    assert said in cli(command, path).stdout
    result = cli(command, path, "--time-zone", "Europe/Berlin")
    assert "go back" not in result.stdout
    assert "not later" not in result.stdout


def test_other_steps_back_are_no_winter(path, cli):
    winter(path, 20)
    lines = path.read_text().splitlines()
    write(path, TABLE, [*lines[1:], lines[1]])
    assert "as clocks that are set back" not in cli("run", path).stdout
    assert "as clocks that are set back" not in cli("look", path).stdout


def test_times_in_numbers_are_shown_with_their_dates(path, cli, tmp_path):
    begin = START.replace(tzinfo=UTC).timestamp()
    levels = np.random.default_rng(1).normal(np.repeat([40.0, 2.0], 200), 1.0)
    rows = [f"{1000 * (begin + 60 * i):.0f},{x:.2f}" for i, x in enumerate(levels)]
    write(path, TABLE, rows)
    result = cli("run", path, "--learner", "segmenter", "--report", tmp_path / "page.html")
    assert re.search(r"│ +201 │ 1\d{12} \(2024-03-04 03:20:00 UTC\) │ 0 -> 1", result.stdout)
    assert re.search(r"in regime 1 since row 201, 1\d{12} \(2024-03-04 03:20", result.stdout)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("(2024-03-04 03:20:00 UTC)") >= 2


def test_days_that_may_be_read_in_two_ways_are_shown_once_each(path, cli):
    write(path, TABLE, [f"{t},{x}" for t, x in zip(minutes("%m/%d/%y %H:%M"), LEVELS, strict=True)])
    result = cli("run", path, "--value", "pressure", "--time", "time", "--max-gap", "1h")
    assert (
        "'03/04/24 00:00' may be 03 April 2024 or 04 March 2024 or 24 April 2003;" in result.stderr
    )
    lines = [line.replace("03/04/24", "03/03/24") for line in path.read_text().splitlines()[1:]]
    write(path, TABLE, lines)
    result = cli("run", path, "--value", "pressure", "--time", "time", "--max-gap", "1h")
    assert "'03/03/24 00:00' may be 03 March 2024 or 24 March 2003; say which" in result.stderr


def test_large_numbers_are_written_out(path, cli):
    """As they are where changes are told, and on the page."""
    rows = [f"{t},{40_000 + 1000 * x:.0f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, rows)
    result = cli("run", path, "--learner", "segmenter")
    assert re.search(r"mean ± sd +│ +\d\d,\d+ ± [\d,]+ │", result.stdout), result.stdout
    assert "e+" not in result.stdout


def test_look_does_not_name_very_many_columns(path, cli):
    rows = [f"{t},{','.join(str(i % (j + 2)) for j in range(40))}" for i, t in enumerate(minutes())]
    write(path, "time," + ",".join(f"c{j}" for j in range(40)) + "\n", rows)
    *_, said, command = cli("look", path).stdout.splitlines()
    assert said == "the 40 columns of numbers are learnt if --value names none"
    assert command == f"replay run {path} --time time"


def test_very_many_columns_are_told_and_named_in_part(path, cli):
    rng = np.random.default_rng(1)
    names = [f"c{j}" for j in range(51)]
    write(
        path, ",".join(names) + "\n", [",".join(map(str, row)) for row in rng.normal(size=(40, 51))]
    )
    result = cli("run", path, "--learner", "segmenter", "--causal")
    assert "note: 51 columns are many" in result.stderr
    assert f"columns {', '.join(names[:20])} and 31 more; the segmenter" in result.stdout
    assert "'c19' and 31 more" in result.stdout


def test_all_messages_refused(monkeypatch, cli, tmp_path):
    rows = "".join(f'{{"occupancy": "maybe", "t": {i}}}\n' for i in range(30))
    path = write(tmp_path / "rows.ndjson", "", rows.splitlines())
    result = cli("run", path, "--value", "occupancy", "--on-bad", "skip")
    assert result.exit_code == 2
    assert "refused: 30 rows with a value that is no number, the first one for" in result.stderr
    assert "field 'occupancy' is \"maybe\"" in result.stderr


# -- rows that are no measurements ----------------------------------------------------------------


def with_sums(path, n, sums, key=False):
    """A file of n rows with rows of sums among and below them."""
    whose = ",p1" * key
    loads = [10 + i % 7 + 40 * (i % 100 >= 50) for i in range(n)]
    rows = [
        f"{(START + timedelta(minutes=i)).isoformat()}{whose},{x}.5" for i, x in enumerate(loads)
    ]
    rows[n // 2 : n // 2] = [f"{sums[0]}{whose},99999"]
    write(
        path, f"time{',pump' * key},load\n", [*rows, "", *(f"{s}{whose},99999" for s in sums[1:])]
    )
    return path


@pytest.mark.parametrize("n", [60, 5000])
@pytest.mark.parametrize("more", [{}, {"timed": True}, {"values": ("load",)}, {"key": "pump"}])
def test_rows_that_sum_up_others_are_left_out_and_counted(n, more, small_pieces, path):
    small_pieces(50_000)
    with_sums(path, n, ["Subtotal", "Total:", " Average"], key="key" in more)
    for at_most in (1, 1000):
        reading = ReadOptions(refusals=Refusals(), **more)
        batches = list(batches_of(Files([str(path)], reading), at_most))
        assert sum(map(len, batches)) == n
        assert max(batch.values.max() for batch in batches) < 60.0
        assert reading.refusals.counts == {"rows that sum up others": 3}
        # the row after the first sum has its line
        assert n // 2 + 3 in np.concatenate([batch.lines for batch in batches])


def test_look_and_run_say_what_is_left_out(path, cli, tmp_path):
    with_sums(path, 400, ["Summe", "Gesamt"])
    looked = cli("look", path)
    assert "2 rows that sum up others" in looked.stdout
    assert "--on-bad" not in looked.stdout
    refused = tmp_path / "refused.csv"
    result = cli("run", path, "--refused", refused)
    assert result.exit_code == 0, result.output
    assert "400 rows" in result.stdout
    assert "refused: 2 rows that sum up others" in result.stdout
    assert [row["text"] for row in csv.DictReader(refused.read_text().splitlines())] == [
        "Summe,99999",
        "Gesamt,99999",
    ]


def test_a_total_below_numbered_rows_is_no_row(path):
    write(path, "no,load\n", [*(f"{i},{x:.2f}" for i, x in enumerate(LEVELS)), "Total,99999"])
    assert max(values_of(path)[1]) < 100.0


@pytest.mark.parametrize("rows", [["Mean,1,2", "Max,3,4"] * 30, ["2024-03-04,Total,3"] * 60])
def test_words_where_no_time_stands_sum_up_nothing(rows, path):
    """Names of things, or of a key, may be any."""
    write(path, "what,key,load\n", rows)
    assert len(values_of(path, values=("load",))[1]) == 60


@pytest.mark.parametrize("n", [60, 5000])
def test_rows_without_a_time_are_learnt_and_counted(n, small_pieces, path, cli):
    small_pieces(50_000)
    rows = [f"{(START + timedelta(minutes=i)).isoformat()},{10 + i % 7}.5" for i in range(n)]
    rows[n // 2], rows[-1] = ",11.5", "NaT,12.5"
    write(path, "time,load\n", rows)
    for at_most in (1, 1000):
        reading = ReadOptions(refusals=Refusals())
        assert sum(map(len, batches_of(Files([str(path)], reading), at_most))) == n
        assert reading.refusals.counts == {"rows without a time, learnt in their place": 2}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("how", [[], ["--passes", 2], ["--exact"], ["--incremental"]])
def test_check_says_what_is_left_out(how, path, cli, tmp_path):
    with_sums(path, 400, ["Summe", "Gesamt"])
    result = cli("check", path, "--regimes", 2, "--plot", tmp_path / "c.png", *how)
    assert "refused: 2 rows that sum up others" in result.stdout, result.output


def test_rows_that_are_read_twice_are_refused_once(path, cli, tmp_path):
    with_sums(path, 400, ["Summe", "Gesamt"])
    refused = tmp_path / "refused.csv"
    result = cli("run", path, "--persist", "--smooth", "--refused", refused)
    assert "refused: 2 rows that sum up others" in result.stdout, result.output
    assert len(refused.read_text().splitlines()) == 3


# -- order of times --------------------------------------------------------------------------------


def newest_first(tmp_path, kind, times, reverse=True):
    """A file of each kind whose newest row comes first."""
    rows = list(zip(times, LEVELS, range(N), strict=True))[:: -1 if reverse else 1]
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        return write(path, "time,load,meter\n", [f"{t},{x},{i}.5" for t, x, i in rows])
    table = pa.table({"time": [t for t, *_ in rows], "load": [x for _, x, _ in rows],
                      "meter": [i + 0.5 for *_, i in rows]})  # fmt: skip
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return path


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:00Z", "%s", "%m/%d/%y %I:%M %p"])
@pytest.mark.parametrize("at_most", [7, 1000])
def test_a_file_whose_newest_row_comes_first_is_read_from_its_last_row(
    kind, form, at_most, tmp_path
):
    path = newest_first(tmp_path, kind, minutes(form))
    source = Files([str(path)], ReadOptions(refusals=Refusals()))
    # a meter never falls
    assert (source.values, source.time) == (("load",), "time")
    for _ in range(2):
        batches = list(batches_of(source, at_most))
        assert np.concatenate([batch.values[:, 0] for batch in batches]).tolist() == LEVELS
        assert [t for batch in batches for t in batch.texts.times()] == minutes(form)
        assert max(map(len, batches)) <= at_most
        assert [line for line in source.said if "newest" in line] == [
            f"the newest row comes first in {path}: read from the last row to the first"
        ]
        assert not [line for line in source.said if "go back" in line]


def test_labels_do_not_depend_on_which_row_comes_first(tmp_path, cli):
    found = []
    for reverse in (False, True):
        path = newest_first(tmp_path, "csv", minutes(), reverse)
        labels = tmp_path / "labels.csv"
        options = ("--value", "load", "--time", "time", "--max-gap", 3600)
        result = cli("run", path, *options, "--labels", labels)
        assert result.exit_code == 0, result.output
        found.append(labels.read_text())
    assert found[0] == found[1]


def test_a_file_that_is_turned_round_goes_on_after_a_stop(tmp_path):
    path = newest_first(tmp_path, "csv", minutes())
    source = Files([str(path)], ReadOptions(refusals=Refusals()))
    source.next_batch(150)
    position = json.loads(json.dumps(source.position))
    again = Files([str(path)], ReadOptions(refusals=Refusals()))
    again.go_to(position)
    rest = np.concatenate([batch.values[:, 0] for batch in batches_of(again, 1000)])
    assert rest.tolist() == LEVELS[150:]
    head, *rows = path.read_text().splitlines()
    for changed in (rows[1:], rows[::-1]):
        write(path, head + "\n", changed)
        other = Files([str(path)], ReadOptions(refusals=Refusals()))
        with pytest.raises(InputError, match="is not what it was when the checkpoint was made"):
            [other.go_to(position), other.next_batch(1)]


def test_a_file_that_is_too_long_to_be_turned_round_is_to_be_sorted(tmp_path, monkeypatch):
    monkeypatch.setattr("replay.sources.oldest_first.MOST_VALUES", 300)
    path = newest_first(tmp_path, "csv", minutes())
    with pytest.raises(InputError, match=r"more than 300 values, .* sort it by time"):
        list(batches_of(Files([str(path)]), 100))


def test_a_damaged_file_is_turned_round_up_to_the_damage(tmp_path):
    rows = "".join(f"{1_709_510_400 - i},{i % 7}.5,{i}\n" for i in range(5000))
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(f"time,load,no\n{rows}".encode())[:-200])
    source = Files([str(packed)], ReadOptions(("no",), "time", refusals=Refusals()))
    found = []

    def read():
        for batch in batches_of(source, 10_000):
            found.extend(batch.values[:, 0].tolist())

    with pytest.raises(InputError, match="damaged or cut off here"):
        read()
    assert found == [float(i) for i in range(len(found))][::-1]
    assert len(found) > 1000


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    rows = [f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)]
    for i in (0, 2, 9):
        write(tmp_path / f"log-{i + 1}.csv", TABLE, rows[40 * i : 40 * i + 40])
    source = Files([str(tmp_path / "log-*.csv")])
    firsts = [batch.texts.time_at(0) for batch in batches_of(source, 1000)]
    assert firsts == sorted(firsts)
    assert not [line for line in source.said if "go back" in line]


@pytest.mark.parametrize("n", [1, 100])
def test_times_that_go_back_are_told(n, path, tmp_path, cli):
    """In a file, and from one to the next."""
    rows = [f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, TABLE, [*rows[n:], *rows[:n]])
    said = f"times go back in 1 of 400 rows looked at ({path}, line {N - n + 2}: "
    assert said in cli("run", path).stdout
    columns = ("--value", "pressure", "--time", "time")
    one, other = write(tmp_path / "b.csv", TABLE, rows[:n]), write(path, TABLE, rows[n:])
    said = f"times go back in 1 of 400 rows looked at ({one}, line 2: "
    assert said in cli("run", other, one, *columns).stdout
    assert "go back" not in cli("run", one, other, *columns).stdout


def test_times_of_each_key_go_on_by_themselves(path, cli):
    rows = [f"{t},p{k},{x + k}" for k in range(3) for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, "time,pump,load\n", rows)
    said = "rows are taken in the order of the file: sort them, or say --key"
    assert said in cli("run", path).stdout
    assert "go back" not in cli("run", path, "--key", "pump").stdout


# -- what else people have -------------------------------------------------------------------------


def test_a_row_in_place_of_the_header_is_refused(path):
    rows = [f"{t},pump,{x:.2f}" for t, x in zip(minutes(), LEVELS, strict=True)]
    write(path, "", rows)
    with pytest.raises(InputError, match=r"line 1, column '2024-03-04T00:00:00Z': a header is exp"):
        values_of(path)
    assert len(values_of(path, Style(header=False))[1]) == N


def test_columns_that_are_left_out_are_told(path):
    rows = [f"{t},p7,,{x:.2f},{i}" for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))]
    write(path, "time,device,empty,load,no\n", rows)
    assert [line for line in values_of(path)[0].said if line.startswith("left out")] == [
        "left out: 'device' holds 'p7'",
        "left out: 'empty' holds nothing",
        "left out: 'no' counts rows; --value takes it in",
    ]
    names = ",".join(f"c{i}" for i in range(300))
    write(
        path, f"time,load,{names}\n", [f"{t},{i % 7}{',' * 300}" for i, t in enumerate(minutes())]
    )
    lines = [line for line in values_of(path)[0].said if line.startswith("left out")]
    assert lines[-1] == "left out: 280 more columns; replay look shows all"
    assert len(lines) == 21


def test_what_columns_hold_is_told_if_none_holds_numbers(path):
    write(path, "time,load\n", [f"{t},nan" for t in minutes()])
    with pytest.raises(InputError, match="rows: 'time' holds times, 'load' holds nothing; if one"):
        values_of(path)


def test_spaces_between_columns_are_pointed_out(path):
    write(path, "time p f\n", [f"{t} {x} 1" for t, x in zip(minutes(), LEVELS, strict=True)])
    with pytest.raises(InputError, match="if ' ' stands between columns, say --delimiter ' '"):
        values_of(path)
    assert values_of(path, Style(delimiter=" "), values=("p",))[1] == LEVELS


@pytest.mark.parametrize("form", ["${:,.2f}", "-€{:.2f}", "£ {:.2f}"])
@pytest.mark.parametrize("at_most", [1, 1000])
def test_money(form, at_most, path):
    write(
        path,
        "time;cost\n",
        [f"{t};{form.format(x)}" for t, x in zip(minutes(), LEVELS, strict=True)],
    )
    source = Files([str(path)])
    found = [x for batch in batches_of(source, at_most) for x in batch.values[:, 0].tolist()]
    assert found == [-round(x, 2) if form[0] == "-" else round(x, 2) for x in LEVELS]
    assert any("numbers of 'cost' are read without their unit" in line for line in source.said)


def test_the_example_of_a_time_is_that_time(path):
    write(
        path, "time,load\n", [f"{1_709_510_400_000 + 60_000 * i},{x}" for i, x in enumerate(LEVELS)]
    )
    said = "numbers are read as milliseconds since 1970: '1709510400000' is about 2024-03-04 00:00"
    assert f"{said} UTC" in values_of(path, timed=True, values=("load",), time="time")[0].said


def test_tables_of_influx_are_no_values(path):
    rows = [
        f",,{i // 200},{t},{x:.2f},f{i // 200}"
        for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))
    ]
    write(
        path,
        "#datatype,string,long,dateTime:RFC3339,double,string\n,result,table,_time,_value,_field\n",
        rows,
    )
    assert values_of(path)[0].values == ("_value",)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_json_is_read_item_by_item(indent, tmp_path):
    path = tmp_path / "rows.json"
    rows = [{"time": t, "load": x, "name": "a\n"} for t, x in zip(minutes(), LEVELS, strict=True)]
    path.write_text(json.dumps(rows, indent=indent))
    source, values = values_of(path)
    assert values == LEVELS
    assert "the file is one JSON array: its items are read as lines" in source.said
    path.write_text(json.dumps(rows)[:-100])
    with pytest.raises(InputError, match="begins as a JSON array and is none"):
        values_of(path)


def test_a_frame_in_one_json_object_is_refused(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"load": {str(i): x for i, x in enumerate(LEVELS)}}))
    with pytest.raises(
        InputError, match=r"such as 'load.0'; one object a line is needed, as pandas"
    ):
        values_of(path)


def test_a_zip_archive_of_one_file_is_read(tmp_path):
    rows = [f"{t},{x}" for t, x in zip(minutes(), LEVELS, strict=True)]
    text, path = TABLE + "\n".join(rows), tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", text)
        archive.writestr("__MACOSX/._rows.csv", "\0")
    source, values = values_of(path)
    assert values == LEVELS
    assert values_of(path)[0].position == source.position
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(InputError, match="is a zip archive, and only those of one file are read"):
        values_of(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)
    with pytest.raises(InputError, match=r"zip archive of 2 files, such as 'a.csv', .* unpack it"):
        values_of(path)


@pytest.mark.usefixtures("undrawn")
def test_the_report_says_what_was_guessed_and_left_out(path, cli, tmp_path):
    with_sums(path, 400, ["Summe", "Total"])
    report = tmp_path / "report.html"
    for more in (["run"], ["check", "--plot", tmp_path / "c.png"]):
        result = cli(more[0], path, *more[1:], "--regimes", 2, "--report", report)
        assert report.exists(), result.output
        html = report.read_text()
        assert "<li>refused: 2 rows that sum up others</li>" in html
        assert "<li>the time is in &#39;time&#39;</li>" in html


def test_a_file_is_no_address(path, cli):
    write(path, TABLE, ["2024-03-04,1"])
    result = cli("live", path)
    assert result.exit_code == 2
    assert f"for the file, say replay run {path}" in result.stderr


@pytest.mark.parametrize("command", ["run", "look"])
def test_a_zone_that_is_named_is_not_advised(command, path, cli):
    """A device that keeps winter time has times in the hour that summer skips."""
    clocks = (datetime(2024, 3, 31) + timedelta(minutes=10 * i) for i in range(60))
    write(path, TABLE, [f"{t:%Y-%m-%d %H:%M},{i % 7}.5" for i, t in enumerate(clocks)])
    result = cli(command, path, "--time-zone", "Europe/Berlin")
    assert "exactly an hour: these may be no times of Europe/Berlin, as named" in result.stdout
    assert "name the zone" not in result.stdout
    assert "name its offset, as in --time-zone +01:00" in result.stdout


def test_whole_numbers_that_doubles_do_not_tell_apart_are_not_called_the_same(cli, tmp_path):
    rows = [f"{i % 7}.5,{2**63 + i},5" for i in range(100)]
    path = write(tmp_path / "rows.csv", "level,number,rate\n", rows)
    result = cli("look", path).stdout
    assert result.endswith("--value level\n")
    said = "'number' has 100 different numbers, of which 1 is left as 16 digits are kept; --value"
    assert said in result
    assert said in cli("run", path).stdout
    said = " ".join(cli("look", path, "--value", "level,number,rate").stdout.split())
    assert "'number' is 9.22337e+18 in all rows, as far as its first 16 digits tell" in said
    assert said.count("as far as") == 1


@pytest.mark.parametrize("kind", ["parquet", "feather", "orc"])
def test_what_is_nested_in_typed_columns_is_taken_apart_or_named(kind, cli, tmp_path):
    times = pa.array([START + timedelta(minutes=i) for i in range(N)])
    motor = [{"load": x, "bearing": {"heat": i % 7}} for i, x in enumerate(LEVELS)]
    motor[3] = None
    table = {"time": times, "motor": motor, "phases": [[x, 2 * x] for x in LEVELS]}
    if kind != "feather":
        table["more"] = pa.array([[("a", 1.0)]] * N, pa.map_(pa.string(), pa.float64()))
    table["raw"] = [b"x"] * N
    path = tmp_path / f"rows.{kind}"
    writers = {"parquet": parquet.write_table, "feather": feather.write_feather}
    writers.get(kind, orc.write_table)(pa.table(table), path)
    source, values = values_of(path)
    assert (source.values, source.time) == (("motor.load", "motor.bearing.heat"), "time")
    assert math.isnan(values[3])
    assert values[4:] == LEVELS[4:]
    how = "; in pandas, frame.join(pandas.DataFrame(frame['phases'].tolist())) puts"
    assert f"left out: 'phases' holds lists{how} what is in them into columns" in source.said
    assert "left out: 'raw' holds bytes" in source.said
    looked = cli("look", path).stdout
    assert re.search(r"│ phases +│ lists +│", looked)
    assert kind == "feather" or re.search(r"│ more +│ maps +│", looked)
    assert f"'phases' holds lists{how}" in looked
    assert f"it holds lists and no numbers{how}" in cli("run", path, "--value", "phases").stderr


def test_a_column_whose_name_has_a_point_is_not_within_a_struct(tmp_path):
    path = tmp_path / "rows.parquet"
    motor = [{"load": -1.0}] * N
    parquet.write_table(pa.table({"motor.load": LEVELS, "motor": motor, "flow.in": LEVELS}), path)
    source, values = values_of(path)
    assert source.values == ("motor.load", "flow.in")
    assert values == LEVELS


def test_look_says_what_is_left_out_also_where_there_is_a_time(path, cli):
    write(
        path,
        "time,load,meter\n",
        [f"{t},{x},{i}" for i, (t, x) in enumerate(zip(minutes(), LEVELS, strict=True))],
    )
    assert "left out: 'meter' counts rows; --value takes it in" in cli("look", path).stdout
