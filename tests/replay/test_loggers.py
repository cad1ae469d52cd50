"""Files as programs that measure write them: the table is found, or it is said why none is."""

import io
import json
import pickle
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from replay.engine.protocols import batches_of
from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.csv_file import SMALL
from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

N = 400
VOLTAGE = [round(20.0 + 15.0 * (i // 100 % 2) + 0.37 * (i * 7 % 11), 2) for i in range(N)]
FLOW = [round(5.0 + 0.13 * (i * 5 % 13), 2) for i in range(N)]
VALUES = np.column_stack([VOLTAGE, FLOW])
TIMES = [datetime(2024, 3, 4) + timedelta(minutes=5 * i) for i in range(N)]

OF_FILE = (
    "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\tTab\n"
    "Decimal_Separator\t.\nMulti_Headings\tYes\nX_Columns\tOne\nTime_Pref\tRelative\n"
    "Operator\tA\nDate\t2024/03/04\nTime\t10:00:00.1234567\n***End_of_Header***\t\n\t\n"
)
OF_BLOCK = (
    "Channels\t2\t\t\nSamples\t100\t100\t\nDate\t2024/03/04\t2024/03/04\t\n"
    "Time\t10:00:00.1\t10:00:00.1\t\nY_Unit_Label\tV\tL/min\t\nX_Dimension\tTime\tTime\t\n"
    "X0\t0.0000000E+0\t0.0000000E+0\t\nDelta_X\t0.100000\t0.100000\t\n***End_of_Header***\t\t\t\n"
    "X_Value\tVoltage, V\tFlow\tComment\n"
)


def labview(path, blocks=1, row="{x:.6f}\t{v}\t{f}", copies=1, mark="."):
    """A file with so many blocks, which have a header each."""
    n = N // blocks
    text = OF_FILE
    for block in range(blocks):
        rows = (
            row.format(x=i / 10, v=VOLTAGE[i], f=FLOW[i]) for i in range(block * n, (block + 1) * n)
        )
        lines = "".join(f"{line}\n" for line in rows) * copies
        text += OF_BLOCK + lines.replace(".", mark) + "\n"
    path.write_text(text)
    return path


def read(path, style=None, **reading):
    source = Files([str(path)], ReadOptions(refusals=Refusals(), **reading), style)
    return source, np.concatenate([batch.values for batch in batches_of(source, 100)])


@pytest.mark.parametrize(
    "row",
    [
        "{x:.6f}\t{v}\t{f}",
        "{x:.6f}\t{v}\t{f}\t",
        "\t{v}\t{f}",
        "{x:.6f}\t{v}\t{f}\tstart",
    ],
)
@pytest.mark.parametrize("blocks", [1, 4])
def test_a_file_of_labview_is_read(row, blocks, tmp_path):
    source, values = read(labview(tmp_path / "rows.lvm", blocks, row))
    assert source.values == ("Voltage, V", "Flow")
    assert np.array_equal(values, VALUES)


def test_a_comment_on_the_first_row_of_labview_alone(tmp_path):
    path = labview(tmp_path / "rows.lvm")
    path.write_text(path.read_text().replace(f"\t{FLOW[0]}\n", f"\t{FLOW[0]}\tstart\n", 1))
    assert np.array_equal(read(path)[1], VALUES)


@pytest.mark.parametrize("end", ["", "\t"])
def test_a_long_file_of_labview_has_the_same_rows(end, tmp_path):
    path = labview(tmp_path / "rows.lvm", 4, "{x:.6f}\t{v}\t{f}" + end, copies=40)
    assert path.stat().st_size > SMALL
    expected = np.concatenate([VALUES[at : at + 100] for at in range(0, N, 100) for _ in range(40)])
    assert np.array_equal(read(path, values=("Voltage, V", "Flow"))[1], expected)


def test_files_of_labview_that_are_joined_to_one(tmp_path):
    path = labview(tmp_path / "rows.lvm", 2)
    path.write_text(path.read_text() * 2)
    assert np.array_equal(read(path)[1], np.concatenate([VALUES, VALUES]))


def test_decimal_commas_of_labview(tmp_path):
    source, values = read(labview(tmp_path / "rows.lvm", mark=","))
    assert source.values == ("Voltage, V", "Flow")
    assert np.array_equal(values, VALUES)


def test_the_x_column_of_labview_is_said_to_be_a_time_perhaps(tmp_path):
    said = read(labview(tmp_path / "rows.lvm"))[0].said
    assert any(
        "'X_Value' never falls" in s and "--time X_Value if it is the time" in s for s in said
    )


def test_rows_may_end_before_a_column_of_comments(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [f"{t},{v},{f}" for t, v, f in zip(TIMES, VOLTAGE, FLOW, strict=True)]
    rows[7] += ",valve opened"
    path.write_text("time,voltage,flow,Remarks\n" + "\n".join(rows) + "\n")
    assert np.array_equal(read(path)[1], VALUES)
    # where rows have one as a rule, a row that ends before it is cut off
    path.write_text(path.read_text().replace("\n2", ",\n2").replace(",Remarks,", ",Remarks"))
    with pytest.raises(InputError, match="'Remarks': the row ends before this column"):
        read(path)


def test_a_running_total_with_decimal_commas_is_left_out(tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(f"{i / 3:.2f};{f}\n".replace(".", ",") for i, f in enumerate(FLOW))
    path.write_text("meter;flow\n" + rows)
    source, values = read(path)
    assert source.values == ("flow",)
    assert any("'meter' never falls" in line for line in source.said)
    assert values[:, 0].tolist() == FLOW


@pytest.mark.parametrize("order", [1, -1])
def test_times_in_numbers_of_one_series_after_the_other_are_times(order, tmp_path):
    path = tmp_path / "rows.csv"
    series = [
        (name, int(t.timestamp()), value)
        for name, values in (("voltage", VOLTAGE), ("flow", FLOW))
        for t, value in list(zip(TIMES, values, strict=True))[::order]
    ]
    path.write_text("name,time,value\n" + "".join(f"{n},{t},{v}\n" for n, t, v in series))
    source, _ = read(path)
    assert (source.values, source.time) == (("value",), "time")
    assert any("come again for each 'name'" in line for line in source.said)
    # what goes up and down by turns is no time, whatever it is called
    path.write_text(
        "time,value\n" + "".join(f"{10**9 + i * 7 % 11},{f}\n" for i, f in enumerate(FLOW))
    )
    assert read(path)[0].values == ("time", "value")


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [None, "when"])
def test_a_header_of_several_lines_as_pandas_writes_it(index, tmp_path):
    path = tmp_path / "rows.csv"
    for names in (
        [("pump", "voltage"), ("pump", "flow")],
        [("mean", "inlet"), ("max", "inlet")],
        [("A", "pump", "voltage"), ("A", "pump", "flow")],
    ):
        columns = pd.MultiIndex.from_tuples(names)
        FRAME.set_axis(columns, axis=1).rename_axis(index).to_csv(path)
        if index is None or len(names[0]) < 3:
            source, values = read(path)
            assert source.values == tuple(map(" ".join, names))
            assert source.time == (index or "column 1")
            assert np.array_equal(values, VALUES)
            assert any("columns are called by several lines" in line for line in source.said)


def test_prices_below_a_header_of_several_lines(tmp_path):
    path = tmp_path / "rows.csv"
    head = "Price,Close,High\nTicker,AAPL,AAPL\nDate,,\n"
    path.write_text(
        head + "".join(f"{t},{v},{f}\n" for t, (v, f) in zip(TIMES, VALUES, strict=True))
    )
    source, values = read(path)
    assert (source.values, source.time) == (("Close AAPL", "High AAPL"), "Date")
    assert np.array_equal(values, VALUES)


@pytest.mark.parametrize("before", ["$GPGGA,{t:%H%M%S}", "{t:%H:%M:%S}.123 -> {f}", "N"])
def test_the_first_row_is_no_header(before, tmp_path):
    path = tmp_path / "rows.csv"
    rows = [
        f"{before},{{v}}\n".format(t=t, f=f, v=v)
        for t, f, v in zip(TIMES, FLOW, VOLTAGE, strict=True)
    ]
    path.write_text("".join(rows))
    with pytest.raises(InputError, match=r"line 1, .*a header is expected here, .*say --no-header"):
        read(path)
    path.write_text(
        "note,20.5\n" + "".join(f"{'abcd'[i % 4] * (i % 5)},{v}\n" for i, v in enumerate(VOLTAGE))
    )
    assert any("a column is called '20.5'" in line for line in read(path)[0].said)


def test_a_row_that_ends_in_a_delimiter_is_no_header(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text(
        "# {}\n# EndOfHeader\n" + "".join(f"{i % 16}\t1\t{v}\t\n" for i, v in enumerate(VOLTAGE))
    )
    with pytest.raises(InputError, match="a header is expected here, and this is a number"):
        read(path)


def test_what_numpy_writes_is_read(tmp_path):
    path = tmp_path / "rows.txt"
    np.savetxt(path, VALUES, header="voltage flow")
    source, values = read(path, style=Style(delimiter=" "))
    assert source.values == ("voltage", "flow")
    assert np.array_equal(values, VALUES)
    np.savetxt(path, VALUES)
    with pytest.raises(InputError, match="say --delimiter ' ' --no-header"):
        read(path)
    values = read(path, style=Style(delimiter=" ", header=False))[1]
    assert np.array_equal(values, VALUES)


def test_a_table_of_html_is_no_table(tmp_path):
    path = tmp_path / "rows.html"
    FRAME.to_html(path)
    with pytest.raises(InputError, match="line 1: this is HTML"):
        read(path)
    path.write_text("<OPEN>,<CLOSE>\n" + "".join(f"{v},{f}\n" for v, f in VALUES))
    assert np.array_equal(read(path)[1], VALUES)


def test_rows_of_r_are_told_by_what_the_header_lacks(tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(f'"{i}" {v} {f}\n' for i, (v, f) in enumerate(VALUES))
    path.write_text('"voltage" "flow"\n' + rows)
    with pytest.raises(InputError, match="say --delimiter ' '"):
        read(path)
    path.write_text(path.read_text().replace(" ", ","))
    with pytest.raises(InputError, match="as R writes them, the header has to name those"):
        read(path)


# -- columns that are no measurements -------------------------------------------------------------


def test_a_total_that_begins_anew_is_a_total(tmp_path):
    path = tmp_path / "rows.csv"
    start = 2**32 - 1000 * 99
    rows = [f"{(start + 1000 * i + i % 3) % 2**32},{f}\n" for i, f in enumerate(FLOW)]
    path.write_text("millis,flow\n" + "".join(rows))
    source, _ = read(path)
    assert source.values == ("flow",)
    assert any("'millis' rises but for 1 row, as a total that begins" in s for s in source.said)
    # one that falls in one row of 50 is none
    path.write_text("level,flow\n" + "".join(f"{i % 50}.5,{f}\n" for i, f in enumerate(FLOW)))
    assert read(path)[0].values == ("level", "flow")


def test_a_field_that_is_given_once_is_constant(tmp_path):
    path = tmp_path / "rows.ndjson"
    rows = [{"v": v, **({"base": 3.5} if i == 0 else {})} for i, v in enumerate(VOLTAGE)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source, _ = read(path)
    assert source.values == ("v",)
    assert any("'base' is 3.5 wherever it is given in the first 400 rows" in s for s in source.said)


# -- what is not read -----------------------------------------------------------------------------

FRAME = pd.DataFrame(VALUES, pd.DatetimeIndex(TIMES), ["voltage", "flow"])


def saved(save, **arrays):
    stream = io.BytesIO()
    save(stream, *arrays.values()) if save is np.save else save(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (saved(np.save, x=VALUES), "an array of numpy, which is not read; write it as CSV"),
        (saved(np.savez, x=VALUES), "an array of numpy, which is not read"),
        (pickle.dumps(FRAME), "a pickle of Python"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (b"TDSm" + bytes(99), "TDMS of LabVIEW"),
        (b"MDF     4.10    " + bytes(99), "MDF of a vehicle"),
        (b"SQLite format 3\0" + bytes(99), "a database of SQLite"),
        (json.dumps(VALUES.tolist()).encode(), "an array of arrays in JSON"),
    ],
)
def test_a_file_that_is_no_table_is_called_by_its_name(data, what, tmp_path):
    path = tmp_path / "rows.dat"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"rows.dat: this is {what}"):
        read(path)


def test_characters_lost_with_power_are_no_utf_16(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [f"{t},{v},{f}\n" for t, v, f in zip(TIMES, VOLTAGE, FLOW, strict=True)]
    rows[200] = "\0" * 300 + "\n"
    path.write_text("time,voltage,flow\n" + "".join(rows))
    with pytest.raises(InputError, match=r"line 202, .*: .* where a logger lost power; --on-bad"):
        read(path)
    assert len(read(path, on_bad="skip")[1]) == N - 1
    path.write_bytes(path.read_bytes().replace(b"\0", b"").decode().encode("utf-16-le"))
    with pytest.raises(InputError, match=r"line 1: .*try --encoding utf-16"):
        read(path)


@pytest.mark.parametrize("orient", ["columns", "index"])
@pytest.mark.parametrize("times", [FRAME.index, FRAME.index.astype("int64") // 10**6, range(N)])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_frame_by_its_times_is_no_row(orient, times, indent, tmp_path):
    path = tmp_path / "rows.json"
    FRAME.set_axis(times).to_json(path, orient=orient, date_format="iso", indent=indent)
    with pytest.raises(InputError, match="it is one object with all rows in it, such as"):
        read(path)
    path.write_text(json.dumps({"now": {"voltage": 1.5, "flow": 2.5, "x": 3}}) + "\n")
    assert len(read(path)[1]) == 1


@pytest.mark.parametrize("indent", [None, 1])
def test_lists_within_the_object_of_an_answer_are_named(indent, tmp_path):
    path = tmp_path / "rows.json"
    series = {"metric": {"job": "a"}, "values": [[i, str(v)] for i, v in enumerate(VOLTAGE)]}
    path.write_text(json.dumps({"data": {"result": [series]}}, indent=indent))
    with pytest.raises(InputError, match=r"with lists in it, such as 'data.result'; .*=True\)$"):
        read(path)
    rows = [{"at": str(t), "v": v} for t, v in zip(TIMES, VOLTAGE, strict=True)]
    path.write_text(json.dumps({"channel": {"tags": ["a", "b"]}, "feeds": rows}, indent=indent))
    with pytest.raises(InputError, match=r"'feeds'; .*; jq -c '.feeds\[\]' writes them so"):
        read(path)


def test_objects_in_several_lines_are_no_lines_of_json(tmp_path):
    path = tmp_path / "rows.json"
    rows = [json.dumps({"v": v}, indent=1) for v in VOLTAGE]
    path.write_text(rows[0])
    with pytest.raises(InputError, match="it is one object in several lines; one object a line"):
        read(path)
    path.write_text("\n".join(rows))
    with pytest.raises(InputError, match="no line is a JSON object; one object a line"):
        read(path)
