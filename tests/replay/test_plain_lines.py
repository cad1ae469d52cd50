"""Cells and numbers of lines that pyarrow cuts, beside what Python reads."""

import math
import random

import pytest

from replay.sources.plain_lines import Layout, cut_lines


def cut(lines, slots=(0,), numbers=(0,), delimiter=",", decimal="."):
    """Rows taken, where they end, cells, numbers, and flat places of those unread."""
    found = cut_lines(bytearray(lines.encode()), 0, Layout(delimiter, decimal, slots, numbers))
    n, cells = len(found), range(max(slots) + 1)
    texts = [[found.text(i, j) for j in cells] for i in range(n)]
    return n, found.end, texts, found.values.tolist(), found.unread.tolist()


def test_numbers_are_read_as_python_reads_them():
    """To the last bit, in all lengths."""
    rng = random.Random(1)
    n = 5000
    texts = [f"{rng.uniform(-1, 1) * 10.0 ** rng.randint(-6, 9)!r}" for _ in range(n)]
    texts += [f"{rng.gauss(0, 100):.{rng.randint(0, 17)}f}" for _ in range(n)]
    texts += [f"{rng.random():.{rng.randint(0, 18)}e}" for _ in range(n)]
    texts += [f"{rng.getrandbits(63)}e{rng.randint(-25, 25)}" for _ in range(n)]
    # in the middle of two doubles, and beside it
    for k in range(1, 10):
        middle = (2 * (2**52 + rng.getrandbits(52)) + 1) * 2**k
        texts += [str(middle + j) for j in (-1, 0, 1)]
    rows, _, cells, values, unread = cut("".join(f"{text}\n" for text in texts))
    assert rows == len(texts)
    assert [cell for (cell,) in cells] == texts
    assert unread == []
    assert [value for (value,) in values] == [float(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["1", "+1", "-0", ".5", "5.", "1e5", "1E+05", " 1", "1 ", "\t1", "0e9"]
)
def test_all_that_digits_can_say_is_read(text):
    _, _, _, ((value,),), unread = cut(f"{text}\n")
    assert unread == []
    assert (value, math.copysign(1, value)) == (float(text), math.copysign(1, float(text)))


@pytest.mark.parametrize(
    "text",
    [
        *("x", "1x", "1e", "e5", ".", "-", "1 2", "1_0", "inf", "1.2.3", "nan", "0x1p3"),
        *("1e400", "1e301", "1,5"),
    ],
)
def test_what_may_be_a_number_is_left(text):
    rows, _, _, ((value,), (other,)), unread = cut(f'"{text}"\n"2"\n')
    assert (rows, unread) == (2, [0])
    assert math.isnan(value)
    assert other == 2.0


@pytest.mark.parametrize(
    "line",
    [
        *("", "1", "1,2,3", '"1""",2', '1,"2', '1,"2"x', "1,2\r\r", "1\r,2", '1,2"', ' "1",2'),
        *('"1\n",2', "1," + "2" * 140_000, '"1,2\n3,"4"'),
    ],
)
def test_a_line_that_is_not_plain_ends_it(line):
    rows, end, cells, values, unread = cut(f"1,2\r\n3,x\n{line}\n5,6\n", (0, 1), (0, 1))
    assert (rows, end) == (2, 9)
    assert cells == [["1", "2"], ["3", "x"]]
    assert repr(values) == "[[1.0, 2.0], [3.0, nan]]"
    assert unread == [3]


def test_cells_in_quotes_are_what_is_within():
    lines = '"1.5","x, y"\n"",2\r\n" 3 ","2 000"\r\n'
    rows, _, cells, values, unread = cut(lines, (0, 1), (0, 1))
    assert rows == 3
    assert cells == [["1.5", "x, y"], ["", "2"], [" 3 ", "2 000"]]
    assert repr(values) == "[[1.5, nan], [nan, 2.0], [3.0, nan]]"
    assert unread == [1, 5]


def test_columns_are_where_they_are_wanted():
    rows, _, cells, values, unread = cut(
        "a;1,5;;-2\nb;;x;3\n", (1, 0, -1, 2), (-1, 1, -1, 0), ";", ","
    )
    assert (rows, unread) == (2, [])
    assert cells == [["1,5", "a", "-2"], ["", "b", "3"]]
    assert repr(values) == "[[-2.0, 1.5], [3.0, nan]]"


def test_a_first_line_of_another_width():
    assert cut("1\n", (0, 1), (0, 1)) == (0, 0, [], [], [])


def test_a_byte_order_mark_is_read_with_care():
    """pyarrow would leave it out where a piece begins, and nowhere else."""
    assert cut("\ufeff1\n2\n")[0] == 0
    assert cut("1\n2\n\ufeff3\n4\n")[:2] == (2, 4)
