"""Whatever is wrong with a file: status 2, and a message that names file, line and column."""

import gzip
import zlib

import pytest
from batches import one_by_one

from replay.sources.csv_file import CsvFile
from replay.sources.csv_format import Style
from replay.sources.read_options import ReadOptions
from replay.sources.reading import Input

LEVELS = b"when,level\n" + b"".join(b"t%d,%d.5\n" % (i, i) for i in range(6))

BAD = {
    "header of a space": (b" \n", [], ["line 1: the line is blank; a header is expected"]),
    "header of delimiters": (b";;\n", [], ["line 1: the line is blank; a header is expected"]),
    "header of a control character": (b"\x1e", [], ["line 1: the line is blank; a header"]),
    # name: (content, arguments, what the message says beside the file)
    "empty file": (b"", [], ["line 1", "empty"]),
    "header only": (b"level\n", [], ["line 2", "'level'", "no row follows"]),
    "short row": (
        b"when,level,load\n1,2,3\n1\n",
        ["--value", "load"],
        ["line 3", "'level'", "1 c"],
    ),
    "long row": (
        b"when,level\n1,2\n1,2,3\n",
        ["--value", "level"],
        ["line 3", "'level'", "3 cells"],
    ),
    "word": (b"level\n1\n2\nabc\n", [], ["line 4", "'level'", "'abc' is no number"]),
    "underscore": (b"level\n1_000\n", [], ["line 2", "'level'", "write 1000"]),
    "infinite": (b"level\n1\n-inf\n", [], ["line 3", "'level'", "infinite"]),
    "too large": (b"level\n1\n1e151\n", [], ["line 3", "'level'", "beyond 1e+150"]),
    "latin-1": (
        b"level,note\n1,ok\n2,caf\xe9\n",
        ["--value", "level"],
        ["line 3", "'note'", "--encoding cp1252"],
    ),
    "latin-1 header": (
        b"level,caf\xe9\n1,2\n",
        [],
        ["line 1", "after 'level,caf'", "--encoding cp1252"],
    ),
    "utf-16 unmarked": (
        "level\n1\n2\n".encode("utf-16-le"),
        [],
        ["line 1", "NUL", "--encoding utf-16"],
    ),
    "not utf-16": (b"\xfe\xff\xdc", ["--encoding", "utf-16"], ["line 1", "utf-16"]),
    "unknown encoding": (b"level\n1\n", ["--encoding", "utf-7000"], ["--encoding", "'utf-7000'"]),
    "twice": (
        b"level,load,level\n1,2,3\n",
        ["--value", "level"],
        ["line 1", "'level'", "2 columns", "rename", "--value 'level[2]'"],
    ),
    "no header": (b"1.5,2.5\n3.5,4.5\n", [], ["line 1", "'1.5'", "--no-header"]),
    "open quote": (
        b'level,note\n1,fine\n2,"opened\n3,x\n4,y\n',
        ["--value", "level"],
        ["line 3", "quote", "not closed"],
    ),
    "open quote, long file": (
        b'level,note\n1,"opened\n' + b"1,and so on\n" * 20_000,
        ["--value", "level"],
        ["line 2", "quote", "not closed"],
    ),
    "stray quote": (b'level,note\n1,"a" b\n', ["--value", "level"], ["line 2", "doubled"]),
    "unknown column": (LEVELS, ["--value", "levl"], ["'levl'", "did you mean 'level'", "'when'"]),
    "unknown time": (
        LEVELS,
        ["--value", "level", "--time", "year"],
        ["--time", "'year'", "'when'"],
    ),
    "column twice": (LEVELS, ["--value", "level", "--value", "level"], ["'level'", "twice"]),
    "wrong delimiter": (LEVELS, ["--delimiter", ";"], ["line 1", "when,level", "--delimiter ','"]),
    "unclear delimiter": (b"a,b;c\n1,2;3\n", [], ["line 1", "--delimiter"]),
    "delimiter of two": (LEVELS, ["--delimiter", "::"], ["--delimiter", "'::'", "one character"]),
    "both decimal marks": (
        b"when;level\n1;1.5\n2;2,5\n",
        ["--value", "level"],
        ["line 3", "'2,5' beside '1.5' in line 2", "--decimal ,"],
    ),
    "decimal point": (
        b"when;level\n1;2.5\n",
        ["--value", "level", "--decimal", ","],
        ["line 2", "'level'", "--decimal ."],
    ),
    "comma twice": (LEVELS, ["--delimiter", ",", "--decimal", ","], ["must differ"]),
    "no numbers": (b"a,b\nx,y\n", [], ["line 1", "'a, b'", "no column holds numbers"]),
    "all missing": (b"level\nNaN\n\nNA\n", [], ["'level'", "no row", "has a value"]),
    "damaged gzip": (b"\x1f\x8b" + b"nonsense", [], ["line 1", "gzip"]),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_its_place(name, command, cli, tmp_path):
    content, arguments, said = BAD[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    result = cli(command, path, *arguments)
    assert result.exit_code == 2, result.output
    if not name.startswith(("unknown enc", "delimiter of", "comma twice", "column twice")):
        said = [str(path), *said]
    for words in said:
        assert words in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_gzip_cut_off(cli, tmp_path):
    """All before the cut is learnt and kept, and the status says that it is not all."""
    path, labels = tmp_path / "cut.csv.gz", tmp_path / "labels.csv"
    rows = b"".join(b"t%d,%d.25\n" % (i, i % 11) for i in range(5000))
    packed = gzip.compress(b"when,level\n" + rows, mtime=0)
    path.write_bytes(packed[: len(packed) // 2])
    unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(path.read_bytes())
    whole_lines = unpacked.count(b"\n")
    assert 1000 < whole_lines < 4000
    result = cli("run", path, "--value", "level", "--labels", labels)
    assert result.exit_code == 2
    said = f"{path}, line {whole_lines + 1:}: the gzip data is damaged or cut off here"
    assert said in result.stderr
    assert f"{whole_lines - 1:,} rows" in result.stdout
    kept = [line.rpartition(",")[0] for line in labels.read_text().splitlines()]
    assert len(kept) == whole_lines
    assert kept[-1].startswith(f"{(whole_lines - 2) % 11}.25,")
    result = cli("check", path, "--value", "level")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_file_and_folder(command, cli, tmp_path):
    result = cli(command, tmp_path / "none.csv")
    assert result.exit_code == 2
    assert "none.csv does not exist" in result.stderr
    result = cli(command, tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path} is a folder; name its files, as in '{tmp_path}/*.csv'\n" in result.stderr
    result = cli(command, "https://plant.example/a.csv")
    assert result.exit_code == 2
    assert "https://plant.example/a.csv is an address; fetch the file" in result.stderr


GOOD = {
    "plain": (b"t,level\na,1.5\nb,-2e1\n", Style(), ["t", "level"], [1.5, -20.0]),
    "byte order mark": (b"\xef\xbb\xbflevel\n1\n", Style(), ["level"], [1.0]),
    "windows": (b"t;level\r\na;1\r\nb;2\r\n\r\n", Style(), ["t", "level"], [1.0, 2.0]),
    "tabs": (b"t\tlevel\na\t1\n", Style(), ["t", "level"], [1.0]),
    "bars": (b"t|level\na|1\n", Style(), ["t", "level"], [1.0]),
    "spaces": (b"t level\na 1\n", Style(delimiter=" "), ["t", "level"], [1.0]),
    "decimal comma found": (b"t;level\na;1,5\nb;2\n", Style(), ["t", "level"], [1.5, 2.0]),
    "no header, comma": (b"1,5;x\n2,5;y\n", Style(header=False), ["0", "1"], [1.5, 2.5]),
    "decimal comma in quotes": (b't,level\na,"1,5"\n', Style(), ["t", "level"], [1.5]),
    "blank lines above": (b"\n\r\nlevel\n1\n", Style(), ["level"], [1.0]),
    "missing": (b"level\nNA\nnan\nnull\nNone\n\n1\n", Style(), ["level"], [None] * 5 + [1.0]),
    "no header": (b"1,x\n2,y\n", Style(header=False), ["0", "1"], [1.0, 2.0]),
    "quoted": (b'"a ""b"", c",t\n"1",x\n', Style(), ['a "b", c', "t"], [1.0]),
    "utf-16 found": ("t,level\nä,1\n".encode("utf-16"), Style(), ["t", "level"], [1.0]),
    "utf-16": ("t,level\nä,1\n".encode("utf-16"), Style(encoding="utf-16"), ["t", "level"], [1.0]),
    "latin-1": ("ä,level\nä,1\n".encode("latin-1"), Style(encoding="latin-1"), None, [1.0]),
    "gzip": (gzip.compress(b"t,level\na,7\n"), Style(), ["t", "level"], [7.0]),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_read(name, tmp_path):
    content, style, columns, values = GOOD[name]
    path = tmp_path / "good.csv"
    path.write_bytes(content)
    source = CsvFile(Input(path), style=style)
    assert columns is None or list(source.columns) == columns
    for _ in range(2):
        read = [next(iter(row.values.values())) for row in one_by_one(source)]
        assert [None if value != value else value for value in read] == values


@pytest.mark.parametrize(
    ("content", "values"), [(b"t;level\na;1,5\nb;\n", [1.5, None]), (b"level\n1,5\n", [1.5])]
)
def test_a_decimal_mark_that_is_given(content, values, tmp_path):
    path = tmp_path / "good.csv"
    path.write_bytes(content)
    source = CsvFile(Input(path), ReadOptions(("level",), decimal=","))
    read = [row.values["level"] for row in one_by_one(source)]
    assert [None if value != value else value for value in read] == values


def test_rows_know_their_line(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('note,level\n"two\nlines",1\nx,2\n')
    rows = list(one_by_one(CsvFile(Input(path), ReadOptions(("level",), "note"))))
    assert [(row.line, row.time, row.texts) for row in rows] == [
        (2, "two\nlines", ("1",)),
        (4, "x", ("2",)),
    ]
