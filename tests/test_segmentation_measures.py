"""The measures of benchmarks/segmentation.py against values worked out by hand."""

import numpy as np
import pytest

from benchmarks.segmentation_measures import changes, covering, delayed, delays, segments


@pytest.fixture(autouse=True)
def kernel():
    """Nothing here runs a kernel."""


def labels(text):
    return np.array([int(letter) for letter in text])


@pytest.mark.parametrize(
    ("states", "found", "expected"),
    [
        ("0011", "5577", 1.0),
        ("0011", "0000", 0.5),  # 2/4 * 2/4, twice
        ("0011", "0123", 0.5),  # 1/2 of each
        ("000111", "001111", (3 * 2 / 3 + 3 * 3 / 4) / 6),
        ("0000", "0011", 0.5),
        ("001100", "000000", 1 / 3),  # both visits to 0 are segments of their own
    ],
)
def test_covering(states, found, expected):
    assert covering(labels(states), labels(found)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("states", "found", "noticed", "missed"),
    [
        ("000111", "000111", [0], 0),
        ("000111", "000001", [2], 0),
        ("000111", "001111", [], 1),  # too early is not noticed
        ("00112233", "00000122", [1, 0], 1),  # the first one only after the next had come
        ("00112233", "01010101", [0, 0, 0], 0),
        ("0000", "0101", [], 0),
    ],
)
def test_delays(states, found, noticed, missed):
    assert delays(labels(states), labels(found)) == (noticed, missed)


def test_segments_begin_at_their_cuts():
    assert segments(np.array([2, 5]), 6).tolist() == [0, 0, 1, 1, 1, 2]
    assert changes(labels("001112")).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("lag", "expected"), [(0, "00123"), (1, "01233"), (3, "23333"), (9, "33333")]
)
def test_delayed(lag, expected):
    assert delayed(labels("00123"), lag).tolist() == labels(expected).tolist()
