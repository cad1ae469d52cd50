"""What is refused: counted, written down, and gone on with after a kill or a checkpoint."""

import csv

import pytest

from replay.engine.rows import InputError
from replay.sinks.refusals import LONGEST, Refusals

HEAD = b"file,line,reason,text\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "refused.csv"


def refusals_at(path, **more):
    found = Refusals(path, lasting=True, **more)
    found.open([])
    return found


def test_one_is_counted_and_written_down(path):
    refusals = refusals_at(path)
    refusals.begin()
    refusals.add("a.csv", 3, "rows of another width", 'x,"y\nz')
    refusals.add("a.csv", 9, "rows of another width", "7" * (LONGEST + 1))
    refusals.add("b.csv", 2, "rows without a key", "")
    assert refusals.counts == {"rows of another width": 2, "rows without a key": 1}
    refusals.flush()
    with path.open(newline="") as file:
        written = list(csv.reader(file))
    assert written == [
        ["file", "line", "reason", "text"],
        ["a.csv", "3", "rows of another width", 'x,"y\nz'],
        ["a.csv", "9", "rows of another width", "7" * LONGEST],
        ["b.csv", "2", "rows without a key", ""],
    ]
    refusals.finish()
    refusals.close()


def test_the_summary_has_the_counts_and_the_first():
    refusals = Refusals()
    assert refusals.summary == ""
    refusals.first = "a.csv, line 3: this row has 2 cells"
    for _ in range(1234):
        refusals.add("a.csv", 3, "rows of another width", "x")
    refusals.add("a.csv", 3, "rows without a key", "x")
    assert refusals.summary == (
        "refused: 1,234 rows of another width, 1 row without a key, the first one for this: "
        "a.csv, line 3: this row has 2 cells"
    )


def test_without_a_file_all_that_is_asked_of_one_is_nothing():
    refusals = Refusals()
    refusals.open([])
    refusals.begin()
    refusals.go_on()
    refusals.add("a.csv", 1, "rows without a key", "x")
    refusals.flush()
    assert refusals.position() == {"counts": {"rows without a key": 1}, "written": None}
    refusals.go_to({"counts": {}, "written": None})
    assert refusals.counts == {}
    refusals.finish()
    refusals.close()


def test_it_is_cut_back_to_a_position(path):
    refusals = refusals_at(path)
    refusals.begin()
    refusals.add("a.csv", 1, "rows without a key", "x")
    position = refusals.position()
    assert path.read_bytes() == HEAD + b"a.csv,1,rows without a key,x\n"
    refusals.add("a.csv", 2, "rows of another width", "y")
    refusals.go_to(position)
    assert refusals.counts == {"rows without a key": 1}
    refusals.add("a.csv", 3, "rows without a key", "z")
    refusals.finish()
    refusals.close()
    assert (
        path.read_bytes() == HEAD + b"a.csv,1,rows without a key,x\na.csv,3,rows without a key,z\n"
    )


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"a.csv,1,bad,x\na.csv,2,ba", b"a.csv,1,bad,x\n"),
        # the end of a line in quotes is not the end of a record
        (b'a.csv,1,bad,x\na.csv,2,bad,"y\n', b"a.csv,1,bad,x\n"),
        (b'a.csv,1,bad,"x\ny"\n', b'a.csv,1,bad,"x\ny"\n'),
        (b'a.csv,1,bad,"x""\ny"\na.csv,2', b'a.csv,1,bad,"x""\ny"\n'),
        (b"", b""),
    ],
)
def test_it_goes_on_behind_the_last_whole_record(left, kept, path):
    path.write_bytes(HEAD + left)
    refusals = refusals_at(path)
    refusals.go_on()
    refusals.add("b.csv", 1, "bad", "z")
    refusals.finish()
    refusals.close()
    assert path.read_bytes() == HEAD + kept + b"b.csv,1,bad,z\n"


@pytest.mark.parametrize("left", [None, b"", b"file,li"])
def test_it_begins_where_there_is_nothing_to_go_on_with(left, path):
    if left is not None:
        path.write_bytes(left)
    refusals = refusals_at(path)
    refusals.go_on()
    refusals.add("b.csv", 1, "bad", "z")
    refusals.finish()
    refusals.close()
    assert path.read_bytes() == HEAD + b"b.csv,1,bad,z\n"


def test_it_may_not_be_the_input(path):
    path.write_bytes(b"a\n1\n")
    with pytest.raises(InputError, match=r"--refused .*refused\.csv is the input file"):
        Refusals(path).open([path])


def test_one_that_does_not_last_appears_when_it_is_whole(path):
    refusals = Refusals(path)
    refusals.open([])
    refusals.begin()
    refusals.add("a.csv", 1, "bad", "x")
    refusals.flush()
    assert not path.exists()
    refusals.finish()
    refusals.close()
    assert path.read_bytes() == HEAD + b"a.csv,1,bad,x\n"


def test_formulas_are_escaped_if_asked_for(path):
    refusals = refusals_at(path, escapes_formulas=True)
    refusals.begin()
    refusals.add("a.csv", 1, "bad", "=1+1")
    refusals.finish()
    refusals.close()
    assert path.read_bytes() == HEAD + b"a.csv,1,bad,'=1+1\n"


def test_hints_are_kept_in_order():
    refusals = Refusals()
    refusals.hint("first")
    refusals.hint("second")
    assert refusals.hints == ["first", "second"]
