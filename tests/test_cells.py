"""Labelled lines, beside what Python writes."""

import csv
import io
import random
import sys

import numpy as np

from online_gmm.data.frames import view


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
