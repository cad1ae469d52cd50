"""Whatever is wrong with a file: status 2, and a message that names file, line and column."""

import gzip

import pytest

from replay.source import Format, InputError, Source

LEVELS = b"when,level\n" + b"".join(b"t%d,%d.5\n" % (i, i) for i in range(6))

BAD = {
    # name: (content, arguments, what the message says beside the file)
    "empty file": (b"", [], ["line 1", "empty"]),
    "blank first line": (b"\nlevel\n1\n", [], ["line 1", "blank"]),
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
    "blank row": (b"when,level\n1,2\n\n1,2\n", ["--value", "level"], ["line 3", "'when'", "blank"]),
    "word": (b"level\n1\n2\nabc\n", [], ["line 4", "'level'", "'abc' is no number"]),
    "underscore": (b"level\n1_000\n", [], ["line 2", "'level'", "write 1000"]),
    "infinite": (b"level\n1\n-inf\n", [], ["line 3", "'level'", "infinite"]),
    "too large": (b"level\n1\n1e151\n", [], ["line 3", "'level'", "beyond 1e+150"]),
    "latin-1": (
        b"level,note\n1,ok\n2,caf\xe9\n",
        ["--value", "level"],
        ["line 3", "'note'", "--encoding latin-1"],
    ),
    "latin-1 header": (b"level,caf\xe9\n1,2\n", [], ["line 1", "'1'", "--encoding latin-1"]),
    "utf-16": ("level\n1\n2\n".encode("utf-16"), [], ["line 1", "--encoding utf-16"]),
    "utf-16 unmarked": (
        "level\n1\n2\n".encode("utf-16-le"),
        [],
        ["line 1", "NUL", "--encoding utf-16"],
    ),
    "not utf-16": (b"\xfe\xff\xdc", ["--encoding", "utf-16"], ["line 1", "utf-16"]),
    "unknown encoding": (b"level\n1\n", ["--encoding", "utf-7000"], ["--encoding", "'utf-7000'"]),
    "twice": (b"level,load,level\n1,2,3\n", [], ["line 1", "'level'", "2 columns", "rename"]),
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
    "bars": (b"a|b\n1|2\n", [], ["line 2", "'a|b'", "--delimiter '|'"]),
    "unclear delimiter": (b"a,b;c\n1,2;3\n", [], ["line 1", "--delimiter"]),
    "delimiter of two": (LEVELS, ["--delimiter", "::"], ["--delimiter", "'::'", "one character"]),
    "decimal comma": (b"when;level\n1;2,5\n", ["--value", "level"], ["line 2", "--decimal ,"]),
    "decimal point": (
        b"when;level\n1;2.5\n",
        ["--value", "level", "--decimal", ","],
        ["line 2", "'level'", "leave out --decimal"],
    ),
    "comma twice": (LEVELS, ["--delimiter", ",", "--decimal", ","], ["must differ"]),
    "which column": (b"a,b,c\n1,2,x\n", [], ["line 1", "'a, b'", "--value"]),
    "no numbers": (b"a,b\nx,y\n", [], ["line 1", "'a, b'", "no column holds numbers"]),
    "all missing": (b"level\nNaN\n\nNA\n", [], ["lines 1 to 4", "'level'", "no row has a value"]),
    "cut gzip": (
        gzip.compress(LEVELS + b"t,1\n" * 5000, mtime=0)[:-12],
        ["--value", "level"],
        ["line ", "gzip"],
    ),
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


def test_gzip_cut_in_the_middle_names_the_line_reached(tmp_path):
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(LEVELS, mtime=0)[:-4])
    with pytest.raises(InputError, match=r"cut\.csv\.gz, line \d+: the gzip data"):
        list(Source(path, ["level"]))


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_file_and_folder(command, cli, tmp_path):
    result = cli(command, tmp_path / "none.csv")
    assert result.exit_code == 2
    assert "none.csv does not exist" in result.stderr
    result = cli(command, tmp_path)
    assert result.exit_code == 2
    assert "is not a regular file" in result.stderr


GOOD = {
    "plain": (b"t,level\na,1.5\nb,-2e1\n", Format(), ["t", "level"], [1.5, -20.0]),
    "byte order mark": (b"\xef\xbb\xbflevel\n1\n", Format(), ["level"], [1.0]),
    "windows": (b"t;level\r\na;1\r\nb;2\r\n\r\n", Format(), ["t", "level"], [1.0, 2.0]),
    "tabs": (b"t\tlevel\na\t1\n", Format(), ["t", "level"], [1.0]),
    "bars": (b"t|level\na|1\n", Format(delimiter="|"), ["t", "level"], [1.0]),
    "decimal comma": (b"t;level\na;1,5\nb;\n", Format(decimal=","), ["t", "level"], [1.5, None]),
    "decimal comma alone": (b"level\n1,5\n", Format(decimal=","), ["level"], [1.5]),
    "missing": (b"level\nNA\nnan\nnull\nNone\n\n1\n", Format(), ["level"], [None] * 5 + [1.0]),
    "no header": (b"1,x\n2,y\n", Format(header=False), ["0", "1"], [1.0, 2.0]),
    "quoted": (b'"a ""b"", c",t\n"1",x\n', Format(), ['a "b", c', "t"], [1.0]),
    "utf-16": ("t,level\nä,1\n".encode("utf-16"), Format(encoding="utf-16"), ["t", "level"], [1.0]),
    "latin-1": ("ä,level\nä,1\n".encode("latin-1"), Format(encoding="latin-1"), None, [1.0]),
    "gzip": (gzip.compress(b"t,level\na,7\n"), Format(), ["t", "level"], [7.0]),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_read(name, tmp_path):
    content, style, columns, values = GOOD[name]
    path = tmp_path / "good.csv"
    path.write_bytes(content)
    source = Source(path, style=style)
    assert columns is None or list(source.columns) == columns
    for _ in range(2):
        read = [next(iter(row.values.values())) for row in source]
        assert [None if value != value else value for value in read] == values


def test_rows_know_their_line(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('note,level\n"two\nlines",1\nx,2\n')
    rows = list(Source(path, ["level"], "note"))
    assert [(row.line, row.time, row.texts) for row in rows] == [
        (2, "two\nlines", ("1",)),
        (4, "x", ("2",)),
    ]
