"""The row at which a change took place, against scipy's Gaussian densities."""

import numpy as np
import pytest
from scipy.stats import norm

from online_gmm import Segmenter
from online_gmm.segmentation import change_row
from online_gmm.segmentation.change_row import likeliest_row, without_wild
from online_gmm.segmentation.segments import RegimeChange


@pytest.fixture(autouse=True)
def kernel():
    """Nothing here runs a kernel, but for the last test, which takes the usual one."""


def naive_row(rows, at, window):
    """Log densities of every row summed up, one change at a time."""
    n, around = len(rows), max(change_row.LEAST_AROUND, window)
    low, high = max(1, at - around, at // 2), min(n - 1, at + around, (at + n) // 2)
    total = dict.fromkeys(range(low, high + 1), 0.0)
    for x in rows.T:
        before, after = x[:at], x[at:]
        pooled = 0.5 * (before.var() + after.var())
        steps = 0.5 * (np.mean(np.diff(before) ** 2) + np.mean(np.diff(after) ** 2))
        share = min(1.0, steps / (before.var() + after.var()))
        sides = [
            norm(its.mean(), np.sqrt(its.var() + change_row.FLOOR * pooled))
            for its in (before, after)
        ]
        most = change_row.MOST_TELLING
        nats = np.clip(sides[0].logpdf(x) - sides[1].logpdf(x), -most, most)
        for row in total:
            total[row] += share * nats[low:row].sum()
    best = max(total, key=total.get)
    return best if total[best] - total[at] > change_row.GAIN else at


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("jump", "ratio"), [(6.0, 1.0), (1.0, 1.0), (0.0, 4.0), (0.0, 1.0)])
def test_against_densities(seed, jump, ratio):
    rng = np.random.default_rng([seed, int(jump), int(ratio)])
    rows = rng.normal(size=(300, 3))
    rows[180:, 0] = rows[180:, 0] * ratio + jump
    rows[:, 2] = np.cumsum(rows[:, 2])
    at = 180 + int(rng.integers(-40, 40))
    assert likeliest_row(rows, at, 48) == naive_row(rows, at, 48)


@pytest.mark.parametrize("at", [60, 85, 100, 115, 140])
def test_a_level_change_is_found_to_the_row(at):
    rng = np.random.default_rng(at)
    x = rng.normal(np.repeat([0.0, 9.0], 100))
    idle, missing = np.full(200, 7.0), np.full(200, np.nan)
    x[[30, 90, 150]], x[[20, 101, 160]] = [6553.5, -300.0, 6553.5], np.nan
    rows = np.column_stack([idle, x, missing])
    assert likeliest_row(rows, at, 48) == 100
    assert likeliest_row(1e140 * rows, at, 48) == 100
    assert likeliest_row(1e-140 * rows, at, 48) == 100


def test_it_stays_where_rows_tell_nothing():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, 2))
    assert likeliest_row(np.full((200, 2), 3.0), 90, 48) == 90
    assert likeliest_row(np.full((200, 2), np.nan), 90, 48) == 90
    assert likeliest_row(rows[:20], 2, 48) == 2
    assert likeliest_row(rows[:20], 18, 48) == 18
    assert likeliest_row(rows, 200, 48) == 200
    # of a smooth curve each row tells what the one before it has told
    curve = np.sin(np.arange(400) / 60.0)[:, None]
    assert likeliest_row(curve, 200, 48) == 200


def test_it_is_no_farther_than_a_window():
    x = np.random.default_rng(2).normal(np.repeat([0.0, 9.0], 100))[:, None]
    assert likeliest_row(x, 140, 16) >= 124
    assert likeliest_row(x, 104, 4) == 100
    # nor nearer to the next change than to this
    assert likeliest_row(x[:130], 128, 48) >= 64


def test_single_readings_that_stand_out_are_wild():
    x = np.array([1.0, 2.0, 90.0, 3.0, np.nan, 90.0, 4.0, 90.0, 91.0])
    cleaned = without_wild(x[:, None], np.array([1.0]))[:, 0]
    assert np.array_equal(cleaned, [1, 2, 3, 3, np.nan, 90, 90, 90, 91], equal_nan=True)
    assert np.array_equal(without_wild(x[:2], 1.0), x[:2])


def test_changes_of_the_stream_are_told_to_the_row():
    rng = np.random.default_rng(3)
    lengths = [600, 90, 130, 77, 200, 61, 300]
    x = rng.normal(np.repeat([0.0, 12.0, 0.0, 12.0, 0.0, 12.0, 0.0], lengths))
    segmenter = Segmenter()
    segmenter.learn_many(x[:, None])
    places = [its.at for its in segmenter.new_events if isinstance(its, RegimeChange)]
    assert places == np.cumsum(lengths)[:-1].tolist()
