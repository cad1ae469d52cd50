"""Labelled rows as lines of CSV, byte for byte as a writer of single rows has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay import cells
from replay.engine.batch import CutTexts, LabelledBatch
from replay.engine.disk import Buffer

LEAST = 1e-4
"""Below this a probability is not written as a decimal fraction."""
NEAR = 1e-6
"""From the middle between two numbers, rounding is left to who knows all digits."""


def can_be_lines(labelled: LabelledBatch) -> bool:
    """Whether no cell needs quotes, and all that is said of rows is in digits."""
    probabilities = labelled.answers.probabilities
    texts = labelled.batch.texts
    return (
        isinstance(texts, CutTexts)
        and texts.bare
        and labelled.answers.labels.min() >= 0
        and probabilities.min() >= LEAST
        and probabilities.max() <= 1.0
    )


def labelled_lines(labelled: LabelledBatch, more: Sequence[list[str]] = ()) -> Buffer:
    """The lines: time, key and values as they were, and what is said of the row.

    Parameters
    ----------
    labelled
        Rows that `can_be_lines`.
    more
        Further columns that follow, a text for each row.
    """
    texts = labelled.batch.texts
    assert isinstance(texts, CutTexts)
    time, key, values = texts.places
    order = np.array([p for p in (time, key, *values) if p is not None], dtype=np.intp)
    n, n_slots = texts.starts.shape
    lengths = (texts.ends - texts.starts).sum(axis=0)[order]
    out = bytearray(int(lengths.sum()) + n * (40 + len(order)))
    written = cells.joined(
        texts.data,
        texts.starts.reshape(-1),
        texts.ends.reshape(-1),
        order,
        n_slots,
        labelled.answers.labels,
        *six_digits(labelled.answers.probabilities),
        labelled.answers.outliers.view(np.uint8),
        (labelled.changes > 0).view(np.uint8),
        out,
    )
    lines: Buffer = memoryview(out)[:written]
    for column in more:
        lines = _with_column(bytes(lines), column)
    return lines


def _with_column(lines: bytes, texts: list[str]) -> bytes:
    """The same lines with one more cell."""
    cell = {text: b"," + _cell(text) + b"\n" for text in set(texts)}
    ended = zip(lines.split(b"\n"), texts, strict=False)
    return b"".join([line + cell[text] for line, text in ended])


def _cell(text: str) -> bytes:
    """A text as a cell of CSV, in quotes if it needs them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(("", text))
    return line.getvalue()[1:].encode()


def six_digits(
    probabilities: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Probabilities from LEAST to 1 to six significant digits: the d and the m of ``d / 10**m``."""
    least = probabilities.min()
    decimals = np.full(len(probabilities), 6, dtype=np.int32)
    for bound in (0.1, 0.01, 0.001):
        if least < bound:
            decimals += probabilities < bound
    scaled = probabilities * np.array([1e6, 1e7, 1e8, 1e9])[decimals - 6]
    digits = np.rint(scaled).astype(np.int32)
    for i in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < NEAR).tolist():
        digits[i] = round(float(f"{probabilities[i]:.6g}") * 10.0 ** int(decimals[i]))
    return digits, decimals
