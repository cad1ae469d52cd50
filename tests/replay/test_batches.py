"""Rows in batches are those that come one by one: whatever is in the file, wherever it is cut."""

import contextlib
import datetime
import gzip
import itertools
import random
import re
import tracemalloc
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from batches import batch_of, rows_in
from pyarrow import parquet

from online_gmm import OnlineGMM
from replay.cli.looking import Seen
from replay.engine.batch import Batch, CutTexts, ListTexts, Places
from replay.engine.fleet import Fleet
from replay.engine.keys import Keys
from replay.engine.loop import Loop
from replay.engine.protocols import batches_of
from replay.engine.rows import CutOffError, InputError
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.files import File
from replay.sinks.labelled import Labels
from replay.sinks.lines import LEAST, _with_column, six_digits
from replay.sinks.refusals import Refusals
from replay.sources import csv_file, pieces
from replay.sources.csv_file import CsvFile
from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.reading import Input
from replay.sources.times import Clock
from replay.views.plot import Picture

PLAIN = (
    *("1", "-2.5", "+.5", "7.", "0", "-0.0", "1e3", "2.5E-7", " 3.25", "4 ", "123456789.123"),
    *("0.1000000000000000055511151231257827", "-1.7976931348623157e-9", "9007199254740993"),
    *("12345678901234567890", "0.30000000000000004", "1e22", "1e23", "1e149", "00012.50"),
)
MISSING = ("", "NaN", "na", "N/A", "null", "None", "  ", " nan ")
ODD = (
    *("abc", "1_000", "inf", "-Infinity", "1e151", "1e400", "0x10", "1,5", "--1", "1e", "e5", "."),
    *("é", "\u00a05", "١٢", "1\t", '"2.5"', '"2""5"', '"a\nb"', '"a,b"', "\r", "\x00", "\ufffd"),
)


def random_file(rng, n, odd):
    lines = ["when,level,note,load"]
    for i in range(n):
        cells = [
            f"t{i}",
            rng.choice(PLAIN),
            rng.choice(["", "x", "ü", '"q, r"']),
            rng.choice(PLAIN),
        ]
        if rng.random() < 0.2:
            cells[rng.choice([1, 3])] = rng.choice(MISSING)
        if rng.random() < odd:
            cells[rng.randrange(4)] = rng.choice(ODD)
        if rng.random() < odd / 3:
            cells = rng.choice([[], cells[:2], [*cells, "5"], ['"' + cells[0], *cells[1:]], [" "]])
        lines.append(",".join(cells))
    ending = rng.choice(["\n", "\r\n"])
    end = rng.choice(["", ending, 2 * ending, '"'])
    content = (ending.join(lines) + end).encode()
    if rng.random() < odd:
        at = rng.randrange(len(content))
        content = content[:at] + b"\xff\xc3" + content[at:]
    return rng.choice([b"", b"\xef\xbb\xbf"]) + content


def source_of(path, on_bad, **reading):
    reading = {"values": ("level", "load"), "time": "when", **reading}
    refusals = Refusals()
    told = []
    refusals.add = lambda *its: told.append(its)
    return CsvFile(Input(path), ReadOptions(on_bad=on_bad, refusals=refusals, **reading)), told


def taken(source, at_most):
    """Rows, where each of them or of their batches ends, and the error at the end."""
    rows, positions, error = [], {}, None
    try:
        for batch in batches_of(source, at_most):
            assert 0 < len(batch) <= at_most
            assert batch.texts.times() == [batch.row(i).time for i in range(len(batch))]
            rows += batch.rows()
            positions[len(rows)] = source.position
    except InputError as problem:
        error = type(problem), str(problem)
    return rows, positions, error


@pytest.mark.parametrize("seed", range(36))
def test_batches_hold_the_rows_that_come_one_by_one(seed, small_pieces, tmp_path):
    """With each way of bad rows, compressed or not, keyed or not: these seeds are all of them."""
    on_bad = ["skip", "missing", "raise"][seed // 12 % 3]
    rng = random.Random(seed)
    path = tmp_path / "any.csv"
    odd = rng.choice([0.0, 0.005, 0.05, 0.3])
    content = random_file(rng, rng.choice([1, 5, 300]), odd)
    path.write_bytes(gzip.compress(content) if seed % 4 == 0 else content)
    small_pieces(rng.choice([16, 100, 1000, 1 << 20]), rng.choice([1, 3, 100]))
    reading = {"time": None} if seed % 5 == 1 else {"key": "note"} if seed % 3 == 1 else {}
    try:
        source, refused = source_of(path, on_bad, **reading)
    except InputError:
        return
    rows, positions, error = taken(source, 1)
    again, refused_again = source_of(path, on_bad, **reading)
    at_most = rng.choice([1, 7, 10_000])
    found, found_positions, found_error = taken(again, at_most)
    assert repr(found) == repr(rows)
    assert found_error == error
    assert refused_again == refused
    for n, position in found_positions.items():
        # lines after the last row are done with when the last batch is handed on
        assert position == positions[n] or (n == len(rows) and error is None)
    # from any of these places on
    n = rng.choice(sorted(found_positions) or [0])
    if n:
        third, _ = source_of(path, on_bad, **reading)
        third.go_to(found_positions[n])
        rest, _, rest_error = taken(third, at_most)
        assert repr(rest) == repr(rows[n:])
        assert rest_error == error


def test_most_rows_come_in_batches(tmp_path):
    """Lines that are not plain cost those around them only."""
    path = tmp_path / "odd.csv"
    lines = [f"{i},{i % 7}.5,x,{i % 3}" for i in range(20_000)]
    lines[5000] = '5000,1.5,"two\nlines",2'
    lines[12_000] = "12000,bad,x,2"
    path.write_text("when,level,note,load\n" + "\n".join(lines))
    source, refused = source_of(path, "skip")
    items = list(batches_of(source, 4096))
    assert len(refused) == 1
    assert sum(map(len, items)) == 19_999
    assert max(map(len, items)) == 4096
    with_care = [item for item in items if isinstance(item.texts, ListTexts)]
    assert 0 < sum(map(len, with_care)) <= 3 * pieces.WITH_CARE


@pytest.mark.parametrize(
    ("content", "style"),
    [
        ("when;level;load\n" + "1,0;2,5;-3,25\n" * 50, Style()),
        ("when\tlevel\tload\n" + "1\t2.5\t-3.25\n" * 50, Style()),
        ("when level load\n" + "1 2.5 -3.25\n" * 50, Style(delimiter=" ")),
        ("when|load|level\n" + "1|2.5|-3.25\n" * 50, Style()),
    ],
)
def test_other_styles_come_in_batches_too(content, style, tmp_path):
    path = tmp_path / "styled.csv"
    path.write_text(content)
    source = CsvFile(Input(path), ReadOptions(("level", "load"), "when"), style)
    items = list(batches_of(source, 10_000))
    assert [len(item) for item in items if isinstance(item.texts, CutTexts)] == [49]
    assert [row for item in items for row in item.rows()] == taken(source, 1)[0]


WRITTEN = {
    "iso": lambda moment: moment.isoformat(" "),
    "named zone": lambda moment: moment.isoformat() + "+02:00",
    "with day first": lambda moment: f"{moment:%d.%m.%Y %H:%M:%S}",
    "milliseconds": lambda moment: str(int(moment.timestamp() * 1000)),
    "hours that come twice": lambda moment: moment.isoformat(" "),
}


def file_with_times(path, rng, written, n=400):
    """Rows of two devices around the end of summer; some have no time, or one that is none."""
    start = datetime.datetime(2023, 10, 28, 22)
    lines = ["when,level,note,load"]
    for i in range(n):
        moment = start + datetime.timedelta(minutes=3 * i, milliseconds=rng.choice([0, 250]))
        if written == "hours that come twice" and moment.hour >= 3 and moment.day == 29:
            moment -= datetime.timedelta(hours=1)
        text = WRITTEN[written](moment)
        if rng.random() < 0.02:
            text = rng.choice(["", "soon", "Total", "2023-13-45 10:00", "1e300", "-"])
        lines.append(f"{text},{rng.choice(PLAIN)},{'pq'[i % 2]},{i}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("on_bad", ["skip", "raise"])
@pytest.mark.parametrize("written", WRITTEN)
def test_times_are_those_that_are_read_row_by_row(
    written, on_bad, seed, small_pieces, monkeypatch, tmp_path
):
    """In seconds, up to a row that is refused for its time, from any place on."""
    path, rng = tmp_path / "timed.csv", random.Random(seed)
    file_with_times(path, rng, written)
    small_pieces(rng.choice([100, 1000, 1 << 20]), rng.choice([1, 3]))
    zone = "Europe/Berlin" if written == "hours that come twice" else None

    def source():
        its, told = source_of(path, on_bad, key="note", timed=True, clock=Clock(None, zone))
        return its, told, its.options.clock

    monkeypatch.setattr(csv_file, "SMALL", 1 << 30)
    careful, refused, clock = source()
    rows, _, error = taken(careful, 50)
    monkeypatch.setattr(csv_file, "SMALL", 0)
    quick, refused_again, clock_again = source()
    found, positions = [], {}
    with contextlib.suppress(InputError):
        for batch in batches_of(quick, 50):
            found += batch.rows()
            positions[len(found)] = quick.position, clock_again.state
    assert repr(found) == repr(rows)
    assert taken(source()[0], 50)[2] == error
    assert refused_again == refused
    assert clock_again.said == clock.said
    assert len(rows) > 10
    n = rng.choice(list(positions))
    third, _, clock_of_third = source()
    third.go_to(positions[n][0])
    clock_of_third.go_to(positions[n][1])
    assert repr(taken(third, 50)[0]) == repr(rows[n:])


def test_most_rows_with_times_come_in_batches(tmp_path):
    path = tmp_path / "timed.csv"
    lines = [
        f"2024-01-01 {i // 3600:02}:{i // 60 % 60:02}:{i % 60:02},{i},x,0" for i in range(8000)
    ]
    lines[5000] = "soon,1,x,0"
    path.write_text("when,level,note,load\n" + "\n".join(lines) + "\n")
    source, refused = source_of(path, "skip", timed=True)
    items = list(batches_of(source, 4096))
    assert len(refused) == 1
    assert sum(map(len, items)) == 7999
    with_care = sum(len(item) for item in items if isinstance(item.texts, ListTexts))
    assert 0 < with_care <= 3 * pieces.WITH_CARE


TIME_COLUMNS = {
    "no zone": (pa.array(np.arange(300) * 1_000_500, pa.timestamp("us")), None),
    "local": (pa.array(np.arange(300) * 60_000, pa.timestamp("ms")), "Europe/Berlin"),
    "zoned": (pa.array(np.arange(300) * 7_000_000_123, pa.timestamp("ns", "Asia/Tokyo")), None),
    "milliseconds": (pa.array(1_700_000_000_000 + np.arange(300) * 250), None),
    "texts": (pa.array([f"2024-01-01T00:{i // 60:02}:{i % 60:02}Z" for i in range(300)]), None),
    "days": (pa.array([f"{i % 28 + 1}.12.{2000 + i // 28}" for i in range(300)]), None),
}


@pytest.mark.parametrize("has_gaps", [False, True])
@pytest.mark.parametrize("name", TIME_COLUMNS)
def test_times_of_columns_are_those_that_are_read_row_by_row(name, has_gaps, monkeypatch, tmp_path):
    monkeypatch.setattr("replay.sources.parquet_file.BATCH", 128)
    when, zone = TIME_COLUMNS[name]
    if has_gaps:
        when = pa.array([None if i in (3, 140) else its for i, its in enumerate(when)], when.type)
    columns = {"when": when, "level": np.arange(300.0), "device": ["p", "q"] * 150}
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=100)

    def all_of():
        reading = ReadOptions(
            ("level",), "when", "device", timed=True, clock=Clock(None, zone), refusals=Refusals()
        )
        return taken(Files([str(path)], replace(reading, on_bad="skip")), 50), reading.refusals

    (rows, _, _), refused = all_of()
    monkeypatch.setattr("replay.sources.parquet_file.ParquetFile._by_columns", lambda *_: None)
    (careful, _, _), refused_then = all_of()
    assert rows == careful
    assert len(rows) == 300 - 2 * has_gaps
    assert refused.counts == refused_then.counts


def test_a_line_longer_than_a_cell_may_be_is_refused(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("when,level,load\n1,2,3\n" + "x" * 140_000 + ",2,3\n1,2,3\n")
    source, _ = source_of(path, "raise")
    rows, _, error = taken(source, 100)
    assert len(rows) == 1
    assert "line 3" in error[1]


def test_what_is_cut_off_comes_up_to_its_last_whole_line(tmp_path):
    path = tmp_path / "cut.csv.gz"
    rng = random.Random(1)
    lines = "".join(f"t{i},{rng.random()},{rng.random()}\n" for i in range(8_000))
    packed = gzip.compress(f"when,level,load\n{lines}".encode())
    path.write_bytes(packed[: len(packed) // 2])
    source, _ = source_of(path, "raise")
    rows, _, error = taken(source, 1)
    found, _, found_error = taken(source, 1000)
    assert found == rows
    assert found_error == error
    assert error[0] is CutOffError


@pytest.fixture
def both_ways(cli, monkeypatch, tmp_path):
    """Run a replay in large batches and a few rows at a time: what it prints and writes."""

    def run(*arguments):
        found = []
        for way in ("batches", "rows"):
            folder = tmp_path / f"in_{way}"
            folder.mkdir()
            if way == "rows":
                monkeypatch.setattr(Loop, "_at_most", 7)
            result = cli("run", *(str(its).replace("OUT", str(folder)) for its in arguments))
            written = {
                path.name: path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.name[0] != "." and "state" not in str(path)
            }
            told = result.output.replace(str(folder), "OUT")
            found.append((result.exit_code, told, written))
        return found

    return run


@pytest.mark.parametrize(
    "more",
    [
        ["--labels", "OUT/labels.csv", "--segments", "OUT/segments.csv"],
        ["--labels", "OUT/labels.parquet", "--segments", "OUT/segments.parquet"],
        ["--labels", "OUT/labels.ndjson", "--plot", "OUT/series.png"],
        ["--labels", "OUT/labels.csv", "--regimes", "14", "--warm-up", "300"],
        ["--labels", "OUT/labels.csv", "--min-dwell", "5", "--confirm", "2", "--half-life", "300"],
        ["--labels", "OUT/labels.csv", "--checkpoint", "OUT/state", "--every-rows", "350"],
        ["--labels", "-", "--on-bad", "missing"],
    ],
)
def test_replay_in_batches_writes_what_it_writes_row_by_row(
    more, both_ways, small_pieces, tmp_path
):
    small_pieces(7_500, 20)
    path = tmp_path / "two.csv"
    rng = random.Random(2)
    lines = []
    for i in range(1500):
        level = 9.0 * (i % 450 < 150)
        cells = [f"t{i}", f"{rng.gauss(level, 2):.3f}", "x", repr(rng.gauss(-level, 2))]
        if i % 97 == 0:
            cells[1] = ""
        if i % 750 == 617:
            cells = [f"t{i}", "abc", '"two\nlines"', "5e5"]
        lines.append(",".join(cells))
    path.write_text("when,level,note,load\n" + "\n".join(lines))
    batches, rows = both_ways(
        *(path, "--value", "level,load", "--time", "when", "--regimes", "2", "--on-bad", "skip"),
        *("--refused", "OUT/refused.csv", *more),
    )
    assert rows[0] == 0
    assert len(rows[2]) >= 1 + ("-" not in more)
    assert batches == rows


@pytest.mark.parametrize(
    "more",
    [
        ["--labels", "OUT/labels.csv", "--segments", "OUT/segments.csv"],
        ["--labels", "OUT/labels.parquet", "--checkpoint", "OUT/state", "--every-rows", "200"],
        ["--labels", "OUT/labels.ndjson", "--min-dwell", "4"],
    ],
)
def test_keys_have_series_of_their_own(more, both_ways, small_pieces, tmp_path):
    small_pieces(5_000, 20)
    path = tmp_path / "keyed.csv"
    rng = random.Random(4)
    lines = []
    for i in range(2250):
        # one comes late, one seldom, and one line lacks its key
        key = rng.choice(["a", "b", "c c", '"d,"'] + ["e"] * (i > 1500))
        key = "" if i == 1160 else "rare" if i in (500, 625) else key
        level = 9.0 * ((i // 150 + len(key)) % 2)
        lines.append(f"{i},{rng.gauss(level, 1):.3f},{key},{rng.gauss(-level, 1):.3f}")
    path.write_text("when,level,device,load\n" + "\n".join(lines))
    batches, rows = both_ways(
        *(path, "--value", "level,load", "--time", "when", "--key", "device", "--regimes", "2"),
        *("--warm-up", "60", "--on-bad", "skip", *more),
    )
    assert rows[0] == 0
    assert "1 row without a key" in rows[1]
    assert batches == rows


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_parquet_comes_in_batches_too(name, both_ways, tmp_path, monkeypatch):
    monkeypatch.setattr("replay.sources.parquet_file.BATCH", 1024)
    rng = np.random.default_rng(1)
    n = 4000
    level = rng.normal(9.0 * (np.arange(n) % 900 < 300), 2.0)
    level[[5, 700, 2100]] = [np.nan, 1e151, np.inf]
    count = pa.array(rng.integers(2**60, size=n), mask=rng.random(n) < 0.1)
    share = pa.array(rng.random(n), mask=rng.random(n) < 0.1).cast(pa.float32())
    price = pa.array([None if i % 9 == 0 else Decimal(i % 50) / 4 for i in range(n)])
    when = pa.array(np.arange(n) * 1_000_500, pa.timestamp("us", "UTC"))
    columns = {"when": when, "level": level, "count": count, "share": share, "price": price}
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=1500)
    batches, rows = both_ways(
        *(path, "--value", "level,count,share,price", "--time", "when", "--on-bad", "missing"),
        *("--covariance-type", "diag", "--labels", f"OUT/{name}", "--segments", "OUT/segments.csv"),
        *("--refused", "OUT/refused.csv"),
    )
    assert rows[0] == 0
    assert len(rows[2]) == 3
    assert batches == rows


def test_parquet_goes_on_within_a_group(tmp_path):
    path = tmp_path / "rows.parquet"
    levels = pa.table({"level": [None, *map(float, range(99))]})
    parquet.write_table(levels, path, row_group_size=40)
    source = Files([str(path)], ReadOptions(("level",)))
    rows, positions, _ = taken(source, 16)
    assert repr(rows) == repr(taken(Files([str(path)], ReadOptions(("level",))), 1)[0])
    for n, position in positions.items():
        again = Files([str(path)], ReadOptions(("level",)))
        again.go_to(position)
        assert repr(taken(again, 30)[0]) == repr(rows[n:])


def test_cells_that_need_quotes_get_them(both_ways, tmp_path):
    path = tmp_path / "semicolons.csv"
    lines = [f"{i},5;{i % 7},25" for i in range(500)]
    path.write_text("when;level\n" + "\n".join(lines) + "\n")
    arguments = ("--value", "level", "--time", "when", "--regimes", "2")
    batches, rows = both_ways(path, *arguments, "--labels", "OUT/labels.csv")
    assert b'\n"3,5","3,25",' in rows[2]["labels.csv"]
    assert batches == rows


def test_labels_of_a_second_look_are_the_same_as_lines_and_as_cells(cli, monkeypatch, tmp_path):
    """Plain lines are put out at once; with the option that escapes formulas, cell by cell."""
    monkeypatch.setattr(csv_file, "SMALL", 0)
    path = tmp_path / "levels.csv"
    rng = random.Random(1)
    levels = [f"{6.0 * (i // 150 % 2) + rng.random():.2f}" for i in range(1500)]
    path.write_text("when,level\n" + "".join(f"t{i},{x}\n" for i, x in enumerate(levels)))
    written = []
    told = ("--value", "level", "--time", "when", "--learner", "segmenter")
    for more in ((), ("--escape-formulas",)):
        labels = tmp_path / f"labels{len(more)}.csv"
        result = cli("run", path, *told, "--labels", labels, *more)
        assert result.exit_code == 0, result.output
        written.append(labels.read_text())
    assert written[0] == written[1]
    header, *rows = written[0].splitlines()
    causal = [row.split(",")[-1] for row in rows]
    assert header.endswith(",causal_label")
    assert len(set(causal)) == 3  # -1 at first
    assert causal != [row.split(",")[2] for row in rows]


@pytest.mark.parametrize(
    ("text", "cell"), [("idle", b"idle"), ("", b""), ('a "b"', b'"a ""b"""'), ("a,b", b'"a,b"')]
)
def test_a_name_behind_lines_is_a_cell(text, cell):
    assert _with_column(b"t0,1\nt1,2\n", [text, "run"]) == b"t0,1," + cell + b"\nt1,2,run\n"


@pytest.mark.parametrize("time", ['"May 3, {}"', '"{}"'])
def test_cells_in_quotes_are_written_as_they_need(time, both_ways, tmp_path):
    path = tmp_path / "quoted.csv"
    lines = [f'{time.format(i)},"a, b","{i % 7}.25"' for i in range(500)]
    path.write_text("when,note,level\n" + "\n".join(lines) + "\n")
    arguments = ("--value", "level", "--time", "when", "--regimes", "2")
    batches, rows = both_ways(path, *arguments, "--labels", "OUT/labels.csv")
    written = time.format(3) if "," in time else "3"
    assert f"\n{written},3.25,".encode() in rows[2]["labels.csv"]
    assert batches == rows


def test_a_label_file_that_cannot_be_written_is_an_error(two_levels, cli):
    result = cli("run", two_levels, "--value", "level", "--labels", "/dev/full")
    assert result.exit_code == 2
    assert "--labels /dev/full cannot be written: No space left" in result.stderr


def test_six_digits_are_those_that_python_writes():
    rng = np.random.default_rng(1)
    ties = (np.arange(10**5, 10**5 + 4000) + 0.5) / 10.0 ** rng.integers(6, 10, 4000)
    p = np.concatenate([rng.random(200_000), 10.0 ** rng.uniform(-4, 0, 200_000), ties, 1 - ties])
    p = np.concatenate([p, [1.0, 0.1, 0.01, 0.001, 0.0001, 0.5, 0.25, 1 - 1e-16, 0.0999999999]])
    p = np.concatenate([p, np.round(p[:1000], 6), np.nextafter([0.1, 0.01, 0.001, 1.0], 0.0)])
    p = p[(p >= LEAST) & (p <= 1.0)]
    digits, decimals = six_digits(p)
    assert set(decimals) == {6, 7, 8, 9}
    for value, d, m in zip(p.tolist(), digits.tolist(), decimals.tolist(), strict=True):
        whole, rest = divmod(d, 10**m)
        assert f"{whole}.{rest:0{m}d}".rstrip("0").rstrip(".") == f"{value:.6g}"


def test_memory_does_not_grow_with_the_file(small_pieces, tmp_path):
    small_pieces(50_000)
    path = tmp_path / "long.csv"
    rng = random.Random(3)

    def peak(n):
        with path.open("w") as file:
            file.write("when,level,load\n")
            file.writelines(f"{i},{rng.gauss(0, 1):.4f},{i % 7}\n" for i in range(n))
        source = Files([str(path)], ReadOptions(("level", "load"), "when"))
        file = File(tmp_path / "labels.csv", "--labels", (), lasting=False)
        series = Series(Settings(regimes=2).learner(source.values))
        loop = Loop(source, Fleet(lambda: series, None), {"labels": Labels(file, source)})
        tracemalloc.start()
        loop.begin()
        loop.run()
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.close()
        assert series.summary.n_rows == n
        return result

    peak(1000)
    few, many = peak(50_000), peak(200_000)
    # some batches more may be on their way; kept, the values alone were 3.6 MB more
    assert many < few + 1e6


def test_what_look_sees_of_many_rows_is_what_it_sees_one_by_one():
    """Also where times go back, steps are many, and of the sample each second row is let go."""
    rng = np.random.default_rng(1)
    n = 12_000
    values = rng.normal(size=(n, 2))
    values[rng.random((n, 2)) < 0.3] = np.nan
    seconds = np.cumsum(rng.choice([1.0, 1.0, 60.0, 0.0, -3599.0, rng.random()], n))
    seconds[4000:11_000] += 1e-3 * rng.random(7000)
    batch = Batch(
        ("level", "load"),
        values,
        ListTexts([f"t{i}" for i in range(n)], [("", "")] * n),
        np.arange(n),
        Keys.of(rng.choice(["p", "q", "r"], n)),
        seconds,
    )
    one_by_one, in_batches = Seen(batch.names), Seen(batch.names)
    for i in range(n):
        one_by_one.add(batch.part(i, i + 1))
    ends = [0, 1, 700, 5000, 5001, n]
    for first, end in itertools.pairwise(ends):
        in_batches.add(batch.part(first, end))
    assert repr(vars(in_batches)) == repr(vars(one_by_one))
    assert in_batches.least["load"] == np.nanmin(values[:, 1])
    assert in_batches.n_given["level"] == np.isfinite(values[:, 0]).sum()
    assert in_batches.sample[1] != in_batches.sample[0]
    assert repr(in_batches.sample) == repr(values[::4].tolist())
    assert in_batches.n_backwards == (np.diff(seconds) <= 0).sum()
    assert in_batches.n_of_winter > 100
    assert in_batches.steps.most_common(1)[0][0] == 1.0


def test_rows_of_small_files_are_read_one_by_one(monkeypatch, tmp_path):
    path = tmp_path / "any.csv"
    path.write_text("when,level,load\n1,2,3\n2,2,3\n")
    source, _ = source_of(path, "raise")
    rows, positions, _ = taken(source, 10)
    monkeypatch.setattr("replay.sources.csv_file.SMALL", 1000)
    (batch,) = batches_of(source, 10)
    assert isinstance(batch.texts, ListTexts)
    assert list(batch.rows()) == rows
    assert source.position == positions[2]


def test_other_encodings_and_what_rows_are_asked_for_are_read_one_by_one(tmp_path):
    path = tmp_path / "any.csv"
    path.write_bytes("when,level,load\n1,2,3\né,2,3\n".encode("latin-1"))
    source = CsvFile(Input(path), ReadOptions(("level",)), Style(encoding="latin-1"))
    (batch,) = batches_of(source, 10)
    assert isinstance(batch.texts, ListTexts)
    path.write_text("when,level,load\n1,2,3\n2,2,3\n")
    source = CsvFile(Input(path), ReadOptions(("level",), "when", sequence="load"))
    (batch,) = batches_of(source, 10)
    assert list(batch.rows()) == taken(source, 1)[0]


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("sizes", [(1, 3, 70), (500,), (401, 1_200, 2, 2_000)])
def test_a_picture_of_batches_is_that_of_their_rows(sizes, timed, monkeypatch):
    """Of a series that is thinned several times; a tenth of the usual points are in a picture."""
    monkeypatch.setattr("replay.views.plot.MOST_POINTS", 400)
    rng = np.random.default_rng(1)
    n = 4_000
    values = rng.normal(9.0 * (np.arange(n) % 70 < 30), 1.0)[:, None]
    data = bytearray("".join(f"t{i},{x:.4f}\n" for i, (x,) in enumerate(values)).encode())
    cells = np.array([(at.start(), at.end()) for at in re.finditer(rb"[^,\n]+", data)], np.int32)
    texts = CutTexts(data, *cells.T.reshape(2, n, 2), Places(0, None, (1,)), True)
    silences = 1000.0 * (np.arange(n)[:, None] >= [1, 500, 501, 3_333]).sum(axis=1)
    seconds = np.arange(n) + silences if timed else None
    whole = Batch(("level",), values, texts, np.arange(2, n + 2), seconds=seconds)
    model = OnlineGMM(2, seed=1, features=("level",)).fit_start(values[:500])
    series, at_once, by_row = Series(model), Picture(), Picture()
    for at, end in itertools.pairwise([0, *np.cumsum(sizes), n]):
        ((labelled, _),), _ = series.label(whole.part(at, end))
        at_once.write(labelled)
        for one in rows_in(labelled):
            by_row.write(batch_of(one))
    assert vars(at_once.sample) == vars(by_row.sample)
    assert len(at_once.sample.rows) <= 400
    assert list(at_once.sample.gaps) == ([1, 500, 501, 3_333] if timed else [])
    assert vars(at_once.bands) == vars(by_row.bands)
    assert by_row.sample.times == ("t0", "t3999")
    assert by_row.bands.n_segments > 100
