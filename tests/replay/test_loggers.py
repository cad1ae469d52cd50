"""Files as programs that measure write them: the table in them is found, and all of its rows."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from replay.engine.protocols import batches_of
from replay.sinks.refusals import Refusals
from replay.sources.csv_file import SMALL
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


def read(path, **reading):
    source = Files([str(path)], ReadOptions(refusals=Refusals(), **reading))
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
    with pytest.raises(Exception, match="'Remarks': the row ends before this column"):
        read(path)


def test_a_running_total_with_decimal_commas_is_left_out(tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(f"{i / 3:.2f};{f}\n".replace(".", ",") for i, f in enumerate(FLOW))
    path.write_text("meter;flow\n" + rows)
    source, values = read(path)
    assert source.values == ("flow",)
    assert any("'meter' never falls" in line for line in source.said)
    assert values[:, 0].tolist() == FLOW
