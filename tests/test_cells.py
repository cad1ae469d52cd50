"""Cells and numbers from lines, and labelled lines, beside what Python reads and writes."""

import csv
import io
import math
import random
import sys

import numpy as np
import pytest

from online_gmm.data.frames import view


def cut(lines, slots=(0,), numbers=(0,), delimiter=",", decimal="."):
    """Rows taken, where they end, cells, numbers, and flat places of those unread."""
    data = bytearray(lines.encode())
    n, n_slots, n_numbers = data.count(b"\n"), max(slots) + 1, max(numbers) + 1
    starts, ends = np.zeros((n, n_slots), np.int32), np.zeros((n, n_slots), np.int32)
    values, unread = np.zeros((n, n_numbers)), np.zeros(n * n_numbers + 1, np.intp)
    rows, end, n_unread, _ = sys.modules["replay.cells"].cut(
        *(data, 0, len(data), ord(delimiter), ord(decimal)),
        *(view(np.array(slots)), view(np.array(numbers)), n_slots, n_numbers),
        *map(view, (starts, ends, values, unread)),
    )
    cells = [
        [data[starts[i, j] : ends[i, j]].decode() for j in range(n_slots)] for i in range(rows)
    ]
    return rows, end, cells, values[:rows].tolist(), unread[:n_unread].tolist()


def test_numbers_are_read_as_python_reads_them(compiled):
    """To the last bit, in all lengths; what is not certain is left unread."""
    rng = random.Random(1)
    n = 5000 if compiled else 200
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
    left = set(unread)
    assert len(left) < rows // 10
    for i, (text, (value,)) in enumerate(zip(texts, values, strict=True)):
        assert math.isnan(value) if i in left else value == float(text), text


@pytest.mark.parametrize("text", ["1", "+1", "-0", ".5", "5.", "1e5", "1E-05", " 1", "1 ", "0e9"])
def test_all_that_digits_can_say_is_read(text):
    _, _, _, ((value,),), unread = cut(f"{text}\n")
    assert unread == []
    assert (value, math.copysign(1, value)) == (float(text), math.copysign(1, float(text)))


@pytest.mark.parametrize("text", ["x", "1x", "1e", "e5", ".", "-", "1 2", "1_0", "inf", "1.2.3"])
def test_what_may_be_a_number_is_left(text):
    rows, _, _, ((value,),), unread = cut(f"{text}\n")
    assert (rows, unread) == (1, [0])
    assert math.isnan(value)


@pytest.mark.parametrize(
    "line",
    [
        *("", "1", "1,2,3", '"1""",2', '1,"2', '1,"2"x', "1,2\r\r", "1\r,2", '1,2"', ' "1",2'),
        *('"1\n",2', "1," + "2" * 140_000),
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
        "a;1,5;;-2\nb;;x;3\n", (1, 0, -1, -1), (-1, 1, -1, 0), ";", ","
    )
    assert (rows, unread) == (2, [])
    assert cells == [["1,5", "a"], ["", "b"]]
    assert repr(values) == "[[-2.0, 1.5], [3.0, nan]]"


def test_lines_are_those_of_a_csv_writer():
    rng = random.Random(2)
    n = 400
    rows = [(f"t{i}", f"{rng.gauss(0, 1):.{rng.randint(0, 6)}f}", "x" * (i % 4)) for i in range(n)]
    data = "".join(f"{','.join(row)}\n" for row in rows)
    raw = bytearray(data.encode())
    places, at = [], 0
    for row in rows:
        for cell in row:
            places.append((at, at + len(cell)))
            at += len(cell) + 1
    starts, ends = np.array(places, dtype=np.int32).T
    labels = np.array([rng.choice([0, 7, 10, 99, 12345]) for _ in range(n)])
    decimals = np.array([rng.choice([6, 7, 8, 9]) for _ in range(n)], dtype=np.int32)
    digits = np.array(
        [rng.choice([1_000_000, 100_000, rng.randint(100_000, 10**6)]) for _ in range(n)],
        dtype=np.int32,
    )
    flags = np.array([[rng.random() < 0.5 for _ in range(n)] for _ in range(2)], dtype=np.uint8)
    out = bytearray(len(raw) + 42 * n)
    written = sys.modules["replay.cells"].joined(
        *(raw, view(starts), view(ends), view(np.array([0, 2])), 3),
        *map(view, (labels, digits, decimals, flags[0], flags[1])),
        out,
    )
    expected = io.StringIO()
    writer = csv.writer(expected, lineterminator="\n")
    for i, row in enumerate(rows):
        told = f"{digits[i] / 10.0 ** decimals[i]:.6g}"
        writer.writerow((row[0], row[2], labels[i], told, *flags[:, i]))
    assert out[:written].decode() == expected.getvalue()
