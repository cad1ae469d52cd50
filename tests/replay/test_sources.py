"""Files as rows: what is found out, what is refused, and going on from any row."""

import gzip
import io
import json
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batches import one_by_one
from hypothesis import given
from hypothesis import strategies as st

from replay.cli.looking import look_at
from replay.engine.protocols import batches_of
from replay.engine.rows import CutOffError, InputError
from replay.sinks.refusals import Refusals
from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.times import Clock


def reading(values=("level",), on_bad="skip", **more):
    return ReadOptions(values, on_bad=on_bad, refusals=Refusals(), **more)


def told(rows):
    return [(row.line, row.time, row.key, *row.texts) for row in rows]


# -- bad rows: each is skipped or taken as missing, counted, and written down ---------------------

BAD_ROWS = {
    # name: (bad lines, why they are refused, what of it is missing with --on-bad missing)
    "short": (b"x\n", {"rows with too few cells": 1}, None),
    "long": (b"x,1,2,3\n", {"rows with too many cells": 1}, None),
    "blank": (b"\n", {"blank lines": 1}, None),
    "two blank": (b"\n\r\n", {"blank lines": 2}, None),
    "latin-1": (b"caf\xe9,1,x\n", {"rows with bytes that are not text": 1}, None),
    "NUL": (b"x,1\0,x\n", {"rows with bytes that are not text": 1}, None),
    "stray quote": (b'x,"1"5,x\n', {"rows with a stray quote": 1}, None),
    "open quote": (b'x,1,"x\n', {"rows with a stray quote": 1}, None),
    "two open quotes": (b'x,1,"x\nx,"1,x\n', {"rows with a stray quote": 2}, None),
    "word": (b"x,abc,x\n", {"rows with a value that is no number": 1}, 1),
    "underscore": (b"x,1_000,x\n", {"rows with a value that is no number": 1}, 1),
    "infinite": (b"x,-inf,x\n", {"rows with a value that is no number": 1}, 1),
    "too large": (b"x,1e151,x\n", {"rows with a value that is no number": 1}, 1),
}


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize("on_bad", ["skip", "missing"])
@pytest.mark.parametrize("packed", [False, True])
def test_bad_rows(name, on_bad, packed, tmp_path):
    bad, why, missing = BAD_ROWS[name]
    path, refused = tmp_path / "rows.csv", tmp_path / "refused.csv"
    content = b"when,level,note\na,1,x\n" + bad + b'b,2,"two\nlines"\n' + bad + b"c,3,x\n"
    path.write_bytes(gzip.compress(content) if packed else content)
    refusals = Refusals(refused)
    refusals.open(())
    refusals.begin()
    source = Files([str(path)], ReadOptions(("level",), "when", on_bad=on_bad, refusals=refusals))
    rows = list(one_by_one(source))
    refusals.finish()
    taken = on_bad == "missing" and missing
    assert [row.time for row in rows if row.time != "x"] == ["a", "b", "c"]
    assert sum(math.isnan(row.values["level"]) for row in rows) == (2 if taken else 0)
    if taken:
        why = {"values that are no number, taken as missing": missing}
    assert refusals.counts == {reason: 2 * n for reason, n in why.items()}
    lines = refused.read_text().splitlines()
    assert len(lines) == 1 + refusals.counts.total()
    assert lines[1].startswith(f"{path},3,")
    assert next(iter(why)) in lines[1]


@pytest.mark.parametrize("on_bad", ["skip", "missing"])
def test_file_cut_in_mid_row(on_bad, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"when,level\na,1\nb,2\nc")
    wanted = reading(on_bad=on_bad, time="when")
    assert [row.time for row in one_by_one(Files([str(path)], wanted))] == ["a", "b"]
    assert wanted.refusals.counts == {"rows with too few cells": 1}


CELLS = {
    "key": ({"key": "device"}, b"1,1,,1\n", "rows without a key"),
    "number": ({"sequence": "n"}, b"1,1,d,1.5\n", "rows without a sequence number"),
    "negative number": ({"sequence": "n"}, b"1,1,d,-1\n", "rows without a sequence number"),
    "time": ({"time": "t", "timed": True}, b"noon,1,d,1\n", "rows without a time that can be read"),
    "no time": ({"time": "t", "timed": True}, b",1,d,1\n", "rows without a time that can be read"),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("on_bad", ["raise", "skip", "missing"])
def test_cells_that_a_row_needs(name, on_bad, tmp_path):
    options, bad, why = CELLS[name]
    path = tmp_path / "rows.csv"
    path.write_bytes(b"t,level,device,n\n1,1,d,1\n" + bad + b"3,3,d,3\n")
    wanted = reading(on_bad=on_bad, clock=Clock("s"), **options)
    source = Files([str(path)], wanted)
    if on_bad == "raise":
        with pytest.raises(InputError, match=r"rows\.csv, line 3, column"):
            list(one_by_one(source))
    else:
        assert [row.line for row in one_by_one(source)] == [2, 4]
        assert wanted.refusals.counts == {why: 1}


# -- going on -------------------------------------------------------------------------------------

LINES = [
    b"when,level,device\n", b"1,1.5,a\n", b"2,abc,a\n", b'3,"2",b\n', b"4\n", b"\n",
    b'5,3,"two\nlines"\n', b"6,caf\xe9,a\n", b'7,4,"open\n', b"8,5,a\n", b"9,,b\n", b"10,7,a",
]  # fmt: skip


def write_csv(path, more=b""):
    path.write_bytes(b"".join(LINES) + more)


def write_gz(path, more=b""):
    path.write_bytes(gzip.compress(b"".join(LINES) + more, mtime=0))


def write_lines(path, more=b""):
    lines = [{"when": i, "level": i / 2, "device": "ab"[i % 2]} for i in range(12)]
    path.write_text("\n".join(json.dumps(line) for line in lines[:6]) + "\nnonsense\n\n")
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines[6:])


def write_parquet(path, more=b""):
    table = pa.table(
        {
            "when": list(range(12)),
            "level": [i / 2 if i != 5 else math.inf for i in range(12)],
            "device": ["ab"[i % 2] for i in range(12)],
        }
    )
    pq.write_table(table, path, row_group_size=5)


WRITERS = {
    "rows.csv": write_csv,
    "rows.csv.gz": write_gz,
    "rows.ndjson": write_lines,
    "rows.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_going_on_from_any_row(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    wanted = reading(time="when", key="device")
    source = Files([str(path)], wanted)
    rows, stops = [], [(0, source.position, wanted.refusals.position())]
    for row in one_by_one(source):
        rows.append(row)
        stops.append((len(rows), source.position, wanted.refusals.position()))
    stops.append((len(rows), source.position, wanted.refusals.position()))
    refused = wanted.refusals.counts
    assert len(rows) > 5
    assert refused
    for n, position, refusals in stops:
        again = reading(time="when", key="device")
        source = Files([str(path)], again)
        source.go_to(json.loads(json.dumps(position)))
        again.refusals.go_to(refusals)
        assert told(one_by_one(source)) == told(rows[n:])
        assert again.refusals.counts == refused
    # the second iteration begins anew
    assert told(one_by_one(source)) == told(rows)


def test_going_on_when_the_file_has_grown(tmp_path):
    path = tmp_path / "rows.csv"
    write_csv(path, b"\n")
    source = Files([str(path)], reading())
    n = len(list(one_by_one(source)))
    position = source.position
    write_csv(path, b"\n11,8,a\n")
    source = Files([str(path)], reading())
    source.go_to(position)
    assert [row.texts for row in one_by_one(source)] == [("8",)]
    assert len(list(one_by_one(source))) == n + 1


@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson", "rows.parquet"])
def test_another_file_is_not_gone_on_with(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    source = Files([str(path)], reading())
    for _ in one_by_one(source):
        pass
    position = source.position
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1.5", b"9.5") if name != "rows.parquet" else data)
    if name == "rows.parquet":
        pq.write_table(pa.table({"level": [1.0]}), path)
    source = Files([str(path)], reading())
    with pytest.raises(InputError, match="not what it was when the checkpoint was made"):
        source.go_to(position)


def test_a_later_line_that_is_another(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [b"level\n", *(b"%d.5\n" % i for i in range(20_000))]
    path.write_bytes(b"".join(lines))
    source = Files([str(path)], reading())
    rows = one_by_one(source)
    for _ in range(19_000):
        next(rows)
    position = source.position
    rows.close()
    path.write_bytes(b"".join(lines[:18_900] + lines[19_100:]))
    source = Files([str(path)], reading())
    source.go_to(position)
    with pytest.raises(InputError, match="not what it was"):
        list(one_by_one(source))


# -- several files --------------------------------------------------------------------------------


def test_patterns_and_several_files(tmp_path):
    for day in (2, 1, 3):
        (tmp_path / f"day-{day}.csv").write_text(f"level\n{day}\n{day}.5\n")
    (tmp_path / "extra.ndjson").write_text('{"level": 9}\n')
    source = Files([str(tmp_path / "day-*.csv"), str(tmp_path / "extra.ndjson")], reading())
    seen = [
        (source.name.rpartition("/")[2], row.line, row.values["level"])
        for row in one_by_one(source)
    ]
    assert seen == [
        ("day-1.csv", 2, 1.0), ("day-1.csv", 3, 1.5), ("day-2.csv", 2, 2.0), ("day-2.csv", 3, 2.5),
        ("day-3.csv", 2, 3.0), ("day-3.csv", 3, 3.5), ("extra.ndjson", 1, 9.0),
    ]  # fmt: skip
    assert source.size == sum(path.stat().st_size for path in source.files)
    assert source.done == source.size
    rows = one_by_one(Files([str(tmp_path / "day-*.csv")], reading()))
    source = Files([str(tmp_path / "day-*.csv")], reading())
    rows = one_by_one(source)
    for _ in range(3):
        next(rows)
    position = source.position
    # more files may come behind, none before
    (tmp_path / "day-4.csv").write_text("level\n4\n")
    source = Files([str(tmp_path / "day-*.csv")], reading())
    source.go_to(position)
    assert [row.values["level"] for row in one_by_one(source)] == [2.5, 3.0, 3.5, 4.0]
    (tmp_path / "day-0.csv").write_text("level\n4\n")
    source = Files([str(tmp_path / "day-*.csv")], reading())
    with pytest.raises(InputError, match=r"file 1 of the input is .*day-0\.csv, and was .*day-1"):
        source.go_to(position)


def test_all_files_have_the_columns_of_the_first(tmp_path):
    (tmp_path / "1.csv").write_text("t,level\na,1\n")
    (tmp_path / "2.csv").write_text("t,other\na,1\n")
    with pytest.raises(InputError, match=r"2\.csv, line 1, column 'level': there is no such"):
        list(one_by_one(Files([str(tmp_path / "*.csv")])))


def test_no_such_files(tmp_path):
    with pytest.raises(InputError, match=r"\*\.csv does not exist: no file is named like that"):
        Files([str(tmp_path / "*.csv")])
    with pytest.raises(InputError, match="is a folder; name its files"):
        Files([str(tmp_path)])


# -- Parquet --------------------------------------------------------------------------------------


def test_parquet_columns(tmp_path, monkeypatch):
    day = datetime(2022, 3, 20, 11, tzinfo=UTC)
    hours = [day + timedelta(hours=i) for i in range(3)]
    table = pa.table(
        {
            "wide": [["x"] * 100] * 3,
            "when": pa.array(hours, pa.timestamp("ns", "UTC")),
            "level": pa.array([1, None, 3], pa.int32()),
            "price": pa.array([Decimal("1.50")] * 3),
            "device": pa.array([7, 8, 9]),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    asked_for = []
    opened = pq.ParquetFile.iter_batches

    def iter_batches(self, size, groups, columns):
        asked_for.append(columns)
        return opened(self, size, groups, columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    wanted = reading(("level", "price"), time="when", key="device", timed=True)
    rows = list(one_by_one(Files([str(path)], wanted)))
    assert asked_for == [["when"], ["when", "device", "level", "price"]]
    assert told(rows) == [
        (1, "2022-03-20T11:00:00+00:00", "7", "1", "1.50"),
        (2, "2022-03-20T12:00:00+00:00", "8", "", "1.50"),
        (3, "2022-03-20T13:00:00+00:00", "9", "3", "1.50"),
    ]
    assert [row.seconds for row in rows] == [1647774000.0 + 3600 * i for i in range(3)]
    assert [row.values["price"] for row in rows] == [1.5] * 3


def test_bad_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="is no Parquet file"):
        Files([str(path)])
    pq.write_table(pa.table({"name": [["a"]], "level": [1.0]}), path)
    with pytest.raises(
        InputError, match=r"column 'name': it holds lists and no numbers; in pandas"
    ):
        Files([str(path)], reading(("name",)))
    assert Files([str(path)]).values == ("level",)
    pq.write_table(pa.table({"level": pa.array([], pa.float64())}), path)
    with pytest.raises(InputError, match="there are no rows"):
        list(one_by_one(Files([str(path)])))
    pq.write_table(pa.table({"level": [float(i) for i in range(5000)]}), path)
    data = bytearray(path.read_bytes())
    data[100:10_000] = bytes(9_900)
    path.write_bytes(data)
    with pytest.raises(CutOffError, match="the file is damaged here"):
        list(one_by_one(Files([str(path)])))


# -- standard input -------------------------------------------------------------------------------


@pytest.fixture
def pipe(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return give


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(packed, pipe):
    data = b"when;level\n" + b"".join(b"%d;%d,5\n" % (i, i) for i in range(300_000))
    pipe(gzip.compress(data) if packed else data)
    source = Files(["-"], reading())
    n = sum(len(batch) for batch in batches_of(source, 5000))
    assert n == 300_000
    if not packed:
        with pytest.raises(InputError, match="standard input can be read once only"):
            list(one_by_one(source))


def test_lines_of_json_on_standard_input(pipe):
    pipe(b'{"level": 1, "t": "x"}\n{"level": 2}\n')
    assert [row.values["level"] for row in one_by_one(Files(["-"]))] == [1.0, 2.0]


def test_an_array_of_json_on_standard_input(pipe):
    """As a service answers."""
    pipe(b'[{"level": 1, "t": "x"},\n {"level": 2}]')
    source = Files(["-"])
    assert [row.values["level"] for row in one_by_one(source)] == [1.0, 2.0]
    assert "the file is one JSON array: its items are read as lines" in source.said


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_one_has_read_of_standard_input_another_reads_too(form, pipe, capsys):
    """A look opens it several times: to see columns, times and keys."""
    lines = [b"device,time,level"]
    lines += [b"%s,2024-03-01T00:%02d:00,%d.5" % (k, i, i) for i in range(60) for k in (b"a", b"b")]
    if form == "json":
        rows = [line.decode().split(",") for line in lines]
        items = [dict(zip(rows[0], [d, t, float(x)], strict=True)) for d, t, x in rows[1:]]
        lines = [json.dumps(items).encode()]
    pipe(b"\n".join(lines))
    look_at(["-"], ReadOptions(), Style(), [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].strip() == "120 rows"
    assert lines[-1] == "replay run - --value level --time time --key device"


# -- JSON -----------------------------------------------------------------------------------------


def test_lines_of_json(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    lines = [b'{"a": {"x": 1}, "d": "p"}', b"x" * 100_000, b"{}", b'{"a": {"x": 2}, "d": "q"}']
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    wanted = reading(("a.x",), key="d")
    assert told(one_by_one(Files([str(path)], wanted))) == [(1, "", "p", "1"), (4, "", "q", "2")]
    assert wanted.refusals.counts == {
        "messages that are too long": 1,
        "messages without any of the values": 1,
    }
    assert Files([str(path)]).values == ("a.x",)
    path.write_bytes(gzip.compress(b'{"a": "x"}'))
    with pytest.raises(
        InputError, match="no field holds numbers in the first 1,000 messages: 'a' holds"
    ):
        Files([str(path)], ReadOptions(key="a"))


def test_lines_of_json_in_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    rng = random.Random(1)
    packed = gzip.compress("".join(f'{{"a": {rng.random()}}}\n' for _ in range(400)).encode())
    path.write_bytes(packed[: len(packed) // 2])
    source, rows = Files([str(path)]), []
    with pytest.raises(InputError, match=r"line \d+: the gzip data is .* cut off here"):
        rows.extend(one_by_one(source))
    path.write_bytes(packed[:12])
    with pytest.raises(InputError, match="line 1: the gzip data is damaged or cut off here"):
        Files([str(path)])


# -- times ----------------------------------------------------------------------------------------

NOON = 1647774000.0  # 2022-03-20T11:00:00Z
TIMES = [
    ("1.5", None, None, 1.5),
    ("1.2e-5", None, None, 1.2e-5),
    ("2022-03-20T11:00:00Z", None, None, NOON),
    ("2022-03-20 12:00:00.5+01:00", None, None, NOON + 0.5),
    ("2022-03-20 12:00", None, "Europe/Berlin", NOON),
    ("20.03.2022 11:00", None, None, NOON),
    ("03/20/2022 11:00 AM", None, None, NOON),
    ("20/03/2022 11:00:00.250", None, None, NOON + 0.25),
    ("20-Mar-2022 11:00", None, None, NOON),
    ("20/Mar/2022:11:00:00 +0000", None, None, NOON),
    ("Sun, 20 Mar 2022 12:00:00 +0100", None, None, NOON),
    ("1647774000250", "ms", None, NOON + 0.25),
    ("1647774000000000000", "ns", None, NOON),
    ("11h, 20 of 3/22", "%Hh, %d of %m/%y", None, NOON),
]


@pytest.mark.parametrize(("text", "form", "zone", "seconds"), TIMES)
def test_times(text, form, zone, seconds):
    assert Clock(form, zone).seconds(text) == seconds


@pytest.mark.parametrize("text", ["noon", "", "nan", "inf", "1_000", "2022-13-01", "99.99.9999"])
def test_no_times(text):
    with pytest.raises(ValueError, match="is no time"):
        Clock().seconds(text)
    with pytest.raises(ValueError, match="is no time as --time-format 'ms' has it"):
        Clock("ms").seconds(text)


def test_days_and_months_are_told_apart_by_the_first_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("when,level\n01/02/2022 10:00,1\n13/02/2022 10:00,2\n14/02/2022 10:00:01,3\n")
    wanted = reading(time="when", timed=True)
    days = [
        datetime.fromtimestamp(row.seconds, UTC).day
        for row in one_by_one(Files([str(path)], wanted))
    ]
    assert days == [1, 13, 14]
    with pytest.raises(ValueError, match="may be 01 February 2022 or 02 January 2022; say which"):
        Clock().seconds("01/02/2022")
    with pytest.raises(InputError, match="--time-zone is 'Mars', which is not known"):
        Clock(None, "Mars")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["T", " "]))
def test_iso_times(date, between):
    expected = date.replace(tzinfo=UTC).timestamp()
    assert Clock().seconds(date.isoformat(between)) == expected


# -- formats --------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.text(st.characters(codec="utf-8"), max_size=8)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
)
def test_what_the_csv_module_writes_is_read(tmp_path_factory, rows, delimiter, encoding):
    import csv

    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    rows = [(value, text.replace("\0", "").replace("\ufffd", "")) for value, text in rows]
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["level", "note"])
        writer.writerows(rows)
    wanted = ReadOptions(("level",), "note")
    read = [(row.values["level"], row.time) for row in one_by_one(Files([str(path)], wanted))]
    assert read == rows


def test_what_is_told_is_not_found_out(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("größe;x\n1,5;a\n2;b\n".encode("cp1252"))
    source = Files([str(path)], reading(("größe",), decimal=","), Style(";", "cp1252"))
    assert [row.values["größe"] for row in one_by_one(source)] == [1.5, 2.0]
