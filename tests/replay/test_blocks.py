"""Rows in blocks are those that come one by one: whatever is in the file, wherever it is cut."""

import gzip
import random

import pytest

from online_gmm import _kernel
from replay.blocks import Block, rows_in
from replay.refusals import Refusals
from replay.rows import CutOffError, InputError
from replay.sources import pieces
from replay.sources.asked import Asked
from replay.sources.csv_file import CsvFile, Style
from replay.sources.reading import Input

pytestmark = pytest.mark.skipif(not _kernel.COMPILED, reason="blocks want the compiled kernel")

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


def source_of(path, on_bad, **asked):
    asked = {"values": ("level", "load"), "time": "when", **asked}
    refusals = Refusals()
    told = []
    refusals.add = lambda *its: told.append(its)
    return CsvFile(Input(path), Asked(on_bad=on_bad, refusals=refusals, **asked)), told


def taken(source, items):
    """Rows, where each of them or of their blocks ends, and the error at the end."""
    rows, positions, error = [], {}, None
    try:
        for item in items:
            if isinstance(item, Block):
                assert len(item) > 0
                assert item.texts.times() == [item.row(i).time for i in range(len(item))]
                rows += [item.row(i) for i in range(len(item))]
            else:
                rows.append(item)
            positions[len(rows)] = source.position
    except InputError as problem:
        error = type(problem), str(problem)
    return rows, positions, error


@pytest.fixture
def small_pieces(monkeypatch):
    def set_to(size, careful):
        monkeypatch.setattr(pieces, "PIECE", size)
        monkeypatch.setattr(pieces, "WITH_CARE", careful)

    return set_to


@pytest.mark.parametrize("on_bad", ["skip", "missing", "fail"])
@pytest.mark.parametrize("seed", range(40))
def test_blocks_hold_the_rows_that_come_one_by_one(seed, on_bad, small_pieces, tmp_path):
    rng = random.Random(seed)
    path = tmp_path / "any.csv"
    odd = rng.choice([0.0, 0.005, 0.05, 0.3])
    content = random_file(rng, rng.choice([1, 5, 300]), odd)
    path.write_bytes(gzip.compress(content) if seed % 4 == 0 else content)
    small_pieces(rng.choice([16, 100, 1000, 1 << 20]), rng.choice([1, 3, 100]))
    asked = {"time": None} if seed % 5 == 1 else {}
    try:
        source, refused = source_of(path, on_bad, **asked)
    except InputError:
        return
    rows, positions, error = taken(source, source)
    again, refused_again = source_of(path, on_bad, **asked)
    at_most = rng.choice([1, 7, 10_000])
    found, found_positions, found_error = taken(again, again.blocks(at_most))
    assert repr(found) == repr(rows)
    assert found_error == error
    assert refused_again == refused
    for n, position in found_positions.items():
        assert position == positions[n]
    # from any of these places on
    n = rng.choice(sorted(found_positions) or [0])
    if n:
        third, _ = source_of(path, on_bad, **asked)
        third.go_to(found_positions[n])
        rest, _, rest_error = taken(third, third.blocks(at_most))
        assert repr(rest) == repr(rows[n:])
        assert rest_error == error


def test_most_rows_come_in_blocks(tmp_path):
    """Lines that are not plain cost those around them only."""
    path = tmp_path / "odd.csv"
    lines = [f"{i},{i % 7}.5,x,{i % 3}" for i in range(20_000)]
    lines[5000] = '5000,1.5,"two\nlines",2'
    lines[12_000] = "12000,bad,x,2"
    path.write_text("when,level,note,load\n" + "\n".join(lines))
    source, refused = source_of(path, "skip")
    items = list(source.blocks(4096))
    assert len(refused) == 1
    assert sum(map(rows_in, items)) == 19_999
    assert max(map(rows_in, items)) == 4096
    assert sum(not isinstance(item, Block) for item in items) <= 3 * pieces.WITH_CARE


@pytest.mark.parametrize(
    ("content", "style"),
    [
        ("when;level;load\n" + "1,0;2,5;-3,25\n" * 50, Style()),
        ("when\tlevel\tload\n" + "1\t2.5\t-3.25\n" * 50, Style()),
        ("when level load\n" + "1 2.5 -3.25\n" * 50, Style(delimiter=" ")),
        ("when|load|level\n" + "1|2.5|-3.25\n" * 50, Style()),
    ],
)
def test_other_styles_come_in_blocks_too(content, style, tmp_path):
    path = tmp_path / "styled.csv"
    path.write_text(content)
    source = CsvFile(Input(path), Asked(("level", "load"), "when"), style)
    items = list(source.blocks(10_000))
    assert max(map(rows_in, items)) == 49
    rows = [item.row(i) for item in items if isinstance(item, Block) for i in range(len(item))]
    assert rows == list(source)[1:]


def test_a_line_longer_than_a_cell_may_be_is_refused(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("when,level,load\n1,2,3\n" + "x" * 140_000 + ",2,3\n1,2,3\n")
    source, _ = source_of(path, "fail")
    rows, _, error = taken(source, source.blocks(100))
    assert len(rows) == 1
    assert "line 3" in error[1]


def test_what_is_cut_off_comes_up_to_its_last_whole_line(tmp_path):
    path = tmp_path / "cut.csv.gz"
    rng = random.Random(1)
    lines = "".join(f"t{i},{rng.random()},{rng.random()}\n" for i in range(30_000))
    packed = gzip.compress(f"when,level,load\n{lines}".encode())
    path.write_bytes(packed[: len(packed) // 2])
    source, _ = source_of(path, "fail")
    rows, _, error = taken(source, source)
    found, _, found_error = taken(source, source.blocks(1000))
    assert found == rows
    assert found_error == error
    assert error[0] is CutOffError


def test_other_encodings_and_what_rows_are_asked_for_come_one_by_one(tmp_path):
    path = tmp_path / "any.csv"
    path.write_bytes("when,level,load\n1,2,3\né,2,3\n".encode("latin-1"))
    source = CsvFile(Input(path), Asked(("level",)), Style(encoding="latin-1"))
    assert [rows_in(item) for item in source.blocks(10)] == [1, 1]
    path.write_text("when,level,load\n1,2,3\n2,2,3\n")
    for more in ({"timed": True}, {"key": "load"}, {"sequence": "load"}):
        source = CsvFile(Input(path), Asked(("level",), "when", **more))
        assert list(source.blocks(10)) == list(source)
