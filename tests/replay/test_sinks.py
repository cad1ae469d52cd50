"""Sinks: what they write, and that they can be cut back to any place they have told."""

import csv
import json
import math
from collections import deque
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from batches import Labelled, batch_of

from online_gmm import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import LabelledBatch, of_segment
from replay.engine.rows import InputError, OutputError, Row
from replay.sinks import tables
from replay.sinks.files import File
from replay.sinks.labelled import Segments
from replay.sinks.labels import labels_sink


class Columns:
    name = "pump.csv"
    values = ("level", "load")
    time = "when"
    key = "device"


class Bare(Columns):
    time = key = None


def rows_of(n):
    for i in range(n):
        level = math.nan if i % 7 == 3 else i / 8
        texts = ("" if level != level else f"{level}", "1,5")
        row = Row(i + 2, f"t{i}", texts, {"level": level, "load": 1.5}, None, f"d{i % 3}")
        yield batch_of(Labelled(row, Assignment(i % 2, 0.75, -1.0, i % 5 == 0), i % 4 == 0))


@pytest.fixture
def sink_of():
    with ExitStack() as open_now:

        def make(path, lasting=False, source=Columns, begins=True):
            sink = labels_sink(File(path, "--labels", (), lasting), source)
            open_now.callback(sink.close)
            if begins:
                sink.begin()
            return sink

        yield make


def test_csv(sink_of, tmp_path):
    sink = sink_of(tmp_path / "labels.csv")
    for row in rows_of(4):
        sink.write(row)
    assert not (tmp_path / "labels.csv").exists()
    sink.finish()
    sink.close()
    assert (tmp_path / "labels.csv").read_text().splitlines() == [
        "when,device,level,load,label,probability,outlier,change",
        't0,d0,0.0,"1,5",0,0.75,1,1',
        't1,d1,0.125,"1,5",1,0.75,0,0',
        't2,d2,0.25,"1,5",0,0.75,0,0',
        't3,d0,,"1,5",1,0.75,0,0',
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


HOSTILE = (
    *("=1+1", "+1;cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-5.25", "+3", "-1,5"),
    *("pump 1", "", "'=1", " =1"),
)


def test_cells_that_a_spreadsheet_would_compute(tmp_path):
    """With the option, no text cell is a formula; without it, cells are what they were."""
    columns = {"key": str, "value": float}
    for escapes in (False, True):
        path = tmp_path / f"{escapes}.csv"
        table = tables.Csv(File(path, "--labels", (), False, escapes), {"=name": str, **columns})
        table.begin()
        for text in HOSTILE:
            table.put((text, text, -1.5))
        table.finish()
        table.close()
        with path.open(newline="") as file:
            (header, *found) = csv.reader(file)
        expected = ["=name", "key", "value"]
        assert header == ([f"'{expected[0]}", *expected[1:]] if escapes else expected)
        for text, (cell, again, number) in zip(HOSTILE, found, strict=True):
            is_formula = escapes and text in HOSTILE[:6]
            assert cell == again == (f"'{text}" if is_formula else text)
            assert number == "-1.5"


def test_lines(sink_of, tmp_path):
    sink = sink_of(tmp_path / "labels.ndjson")
    for row in rows_of(4):
        sink.write(row)
    sink.finish()
    found = [json.loads(line) for line in (tmp_path / "labels.ndjson").read_text().splitlines()]
    assert found[3] == {
        "n": 5,
        "time": "t3",
        "key": "d0",
        "values": {"level": None, "load": 1.5},
        "label": 1,
        "probability": 0.75,
        "outlier": False,
        "change": False,
    }
    assert [one["n"] for one in found] == [2, 3, 4, 5]


def test_parquet(sink_of, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 16)
    monkeypatch.setattr(tables, "GROUP", 100)
    sink = sink_of(tmp_path / "labels.parquet")
    for row in rows_of(250):
        sink.write(row)
    sink.finish()
    sink.close()
    table = pq.read_table(tmp_path / "labels.parquet")
    assert pq.ParquetFile(tmp_path / "labels.parquet").num_row_groups == 3
    assert [f"{field.name} {field.type}" for field in table.schema] == [
        *("when string", "device string", "level double", "load double"),
        *("label int64", "probability double", "outlier bool", "change bool"),
    ]
    found = table.to_pylist()
    assert len(found) == 250
    assert found[3] == {
        "when": "t3", "device": "d0", "level": None, "load": 1.5,
        "label": 1, "probability": 0.75, "outlier": False, "change": False,
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["labels.parquet"]


@pytest.mark.parametrize("name", ["labels.csv", "labels.ndjson", "labels.parquet"])
def test_cut_back_and_gone_on_with(sink_of, name, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 16)
    rows = list(rows_of(100))

    def written(path, rows, positions=()):
        sink = sink_of(path, lasting=True)
        told = []
        for i, row in enumerate(rows):
            if i in positions:
                told.append((i, sink.position()))
            sink.write(row)
        sink.flush()
        return sink, told

    whole, _ = written(tmp_path / f"whole-{name}", rows)
    whole.finish()
    expected = (tmp_path / f"whole-{name}").read_bytes()
    path = tmp_path / name
    first, told = written(path, rows, (0, 1, 40, 77))
    first.close()
    for i, position in reversed(told):
        again = sink_of(path, lasting=True, begins=False)
        again.go_to(position)
        for row in rows[i:]:
            again.write(row)
        again.finish()
        again.close()
        assert path.read_bytes() == expected
    # what has been finished can be cut back too, when its input has grown
    again = sink_of(path, lasting=True, begins=False)
    again.go_to(told[0][1])
    again.close()


def test_less_than_the_checkpoint_knows(sink_of, tmp_path):
    sink = sink_of(tmp_path / "labels.csv", lasting=True)
    with pytest.raises(InputError, match=r"labels.csv has 56 bytes, and had 4,000 at the checkp"):
        sink.go_to((4000, None))


def segment(start=3, label=1):
    mean = {"level": 0.1, "load": math.nan}
    return Segment((start, f"t{start}"), (9, "t9"), label, 7, math.nan, mean, mean)


@pytest.mark.parametrize(
    ("source", "line"), [(Columns, "d1,t3,t9,1,7,nan,0.1,0.1,,"), (Bare, "3,9,1,7,nan,0.1,0.1,,")]
)
def test_segments(source, line, tmp_path):
    sink = Segments(File(tmp_path / "segments.csv", "--segments", (), False), source)
    sink.begin()
    sink.write(of_segment(segment(), "d1"))
    sink.write(next(rows_of(1)))
    sink.finish()
    assert (tmp_path / "segments.csv").read_text().splitlines()[1:] == [line]


def test_segments_as_parquet(tmp_path):
    sink = Segments(File(tmp_path / "segments.parquet", "--segments", (), False), Bare)
    sink.begin()
    for i in range(5):
        sink.write(of_segment(segment(i), ""))
    sink.finish()
    found = pq.read_table(tmp_path / "segments.parquet").to_pylist()
    assert [one["start"] for one in found] == [0, 1, 2, 3, 4]
    assert found[0]["mean_load"] is None


def test_segments_of_keys_with_names_as_parquet(tmp_path):
    sink = Segments(File(tmp_path / "segments.parquet", "--segments", (), False), Columns, True)
    sink.begin()
    sink.write(of_segment(segment(), "d1", "idle"))
    sink.write(of_segment(segment(), "d2"))
    sink.finish()
    table = pq.read_table(tmp_path / "segments.parquet")
    assert [str(table.schema.field(name).type) for name in ("device", "start", "name")] == [
        "string"
    ] * 3
    found = table.to_pylist()
    assert [(one["device"], one["name"]) for one in found] == [("d1", "idle"), ("d2", None)]


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_changes_names_and_first_labels_in_every_format(form, tmp_path):
    path = tmp_path / f"labels.{form}"
    file = File(path, "--labels", (), False)
    sink = labels_sink(file, Columns, form, named=True, later=True)
    sink.begin()
    for i, batch in enumerate(rows_of(6)):
        answers = batch.answers._replace(probabilities=np.array([0.123456789]))
        names = ["run" if i % 2 else ""]
        sink.write(
            LabelledBatch(
                batch.batch, answers, batch.changes, batch.ended, names, np.array([i % 3])
            )
        )
    sink.finish()
    sink.close()
    if form == "parquet":
        rows = pq.read_table(path).to_pylist()
    elif form == "csv":
        with path.open(newline="") as table:
            rows = list(csv.DictReader(table))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    digits = {"csv": 0.123457, "ndjson": 0.123457, "parquet": 0.123456789}[form]
    assert [float(row["probability"]) for row in rows] == [digits] * 6
    assert [int(row["change"]) for row in rows] == [1, 0, 0, 0, 1, 0]
    assert [row.get("name") or "" for row in rows] == ["", "run"] * 3
    assert [int(row["causal_label"]) for row in rows] == [0, 1, 2] * 2


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
@pytest.mark.parametrize("lasting", [False, True])
def test_the_input_is_never_written_over(name, lasting, tmp_path):
    path = tmp_path / name
    path.write_text("level\n1\n")
    with pytest.raises(InputError, match="is the input file; choose another name"):
        File(path, "--labels", (path,), lasting)
    assert path.read_text() == "level\n1\n"


def test_a_full_disk_is_said(sink_of):
    sink = sink_of(Path("/dev/full"), lasting=True)
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left"):
        deque(map(sink.write, rows_of(2000)), 0)


@pytest.mark.parametrize("keyed", [False, True])
def test_the_option_that_escapes_formulas(keyed, cli, tmp_path):
    """Only keys, refused texts and headers change; numbers and lines of JSON do not."""
    path = tmp_path / "rows.csv"
    levels = ["=2+3" if i == 40 else f"{-(i % 7) - 90 * (i // 50 % 2)}" for i in range(200)]
    lines = ["=level,device", *(f"{level},{'=1+1' if keyed else 'a'}" for level in levels)]
    path.write_text("\n".join(lines) + "\n")
    written = {}
    for option in ([], ["--escape-formulas"]):
        folder = tmp_path / f"out{len(option)}"
        folder.mkdir()
        result = cli(
            *("run", path, "--value", "=level", *(("--key", "device") if keyed else ())),
            *("--regimes", 2, "--on-bad", "skip", "--labels", folder / "labels.csv"),
            *("--segments", folder / "segments.csv", "--refused", folder / "refused.csv", *option),
        )
        assert result.exit_code == 0, result.output
        for name in ("labels", "segments", "refused"):
            with (folder / f"{name}.csv").open(newline="") as file:
                written[name, bool(option)] = list(csv.reader(file))

    def escaped(cells):
        return [f"'{cell}" if cell[:1] == "=" else cell for cell in cells]

    for name in ("labels", "segments", "refused"):
        plain = written[name, False]
        assert any(cell.startswith("=") for row in plain for cell in row) or name == "segments"
        assert written[name, True] == [escaped(row) for row in plain]
