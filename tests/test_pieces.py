"""Statistics of pieces of rows, joined, beside those of all their rows."""

import sys

import numpy as np
import pytest

from online_gmm.segmentation.pieces import PIECE, SAME, Pieces
from online_gmm.segmentation.row_statistics import RowStatistics, values_of


def joined(values, others, n_channels):
    sys.modules["online_gmm._kernel"].join(values, others, n_channels)
    return values


@pytest.mark.parametrize("parts", [(37, 63), (1, 9), (5, 0), (0, 5)])
def test_joined_moments_are_those_of_all_rows(parts):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(sum(parts), 3)) + 1e3
    X[:, 2] = np.nan if parts[0] < 2 else X[:, 2]

    def moments(rows):
        known = ~np.isnan(rows)
        counts = known.sum(axis=0).astype(float)
        means = np.array(
            [x[k].mean() if k.any() else 0.0 for x, k in zip(rows.T, known.T, strict=True)]
        )
        gaps = np.where(known, rows - means, 0.0)
        steps = np.where(known[1:] & known[:-1], rows[1:] - rows[:-1], 0.0)
        n_steps = (known[1:] & known[:-1]).sum(axis=0)
        return np.concatenate([counts, means, (steps**2).sum(axis=0), n_steps, *(gaps.T @ gaps)])

    ours, theirs = moments(X[: parts[0]]), moments(X[parts[0] :])
    kept = theirs.copy()
    whole = moments(X)
    # the step from one part to the other is in neither
    whole[6:12] = ours[6:12] + theirs[6:12]
    np.testing.assert_allclose(joined(ours, theirs, 3), whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(theirs, kept)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_many_are_joined_as_one_by_one_to_the_last_bit(missing):
    rng = np.random.default_rng(5)
    rows = rng.normal(1e6, 1.0, size=(14, 9, 3))
    rows[rng.random(rows.shape) < missing] = np.nan
    rows[3, :, 1] = rows[4, :, 1] = np.nan if missing else 7.0
    values = values_of(rows)
    pairs = [
        joined(one.copy(), two, 3) for one, two in zip(values[2::2], values[3::2], strict=True)
    ]
    kernel = sys.modules["online_gmm._kernel"]
    pieces = values.copy().reshape(-1)
    kernel.join_pairs(pieces, 3, 2, 6)
    found = pieces.reshape(values.shape)
    np.testing.assert_array_equal(found[:2], values[:2])
    np.testing.assert_array_equal(found[2:8], pairs)
    expected = values[1].copy()
    for piece in values[2:9]:
        joined(expected, piece, 3)
    whole = values[1].copy()
    kernel.join_all(whole, values.reshape(-1), 3, 2, 9)
    np.testing.assert_array_equal(whole, expected)


def test_older_pieces_are_longer():
    X = np.random.default_rng(4).normal(size=(100 * PIECE, 2))
    pieces = Pieces(2)
    for start in range(0, len(X), 5 * PIECE):
        pieces.add(start, X[start : start + 5 * PIECE], None)
    assert pieces.is_regular
    assert sum(pieces.sizes) == len(X)
    assert max(map(pieces.sizes.count, pieces.sizes)) == SAME
    for i, (start, n) in enumerate(zip(pieces.starts, pieces.sizes, strict=True)):
        expected = RowStatistics.of(X[start : start + n])
        np.testing.assert_allclose(pieces[i].scatter, expected.scatter, rtol=1e-10)
    begin, end = pieces.starts[2], pieces.starts[-3]
    total = pieces.total(begin + 1, end)
    assert total.n == end - pieces.starts[3]
    np.testing.assert_allclose(total.means, X[pieces.starts[3] : end].mean(axis=0), rtol=1e-10)


def test_pieces_are_cut_before_a_row():
    X = np.random.default_rng(4).normal(size=(40 * PIECE, 1))
    pieces = Pieces(1)
    pieces.add(100, X, None)
    starts, sizes = list(pieces.starts), list(pieces.sizes)
    assert pieces.cut(100) is None
    assert pieces.cut(starts[3] + 1) == (starts[3], sizes[3])
    assert pieces.starts == starts[4:]
    assert pieces.cut(starts[6]) is None
    assert pieces.starts == starts[6:]
    assert pieces[0].means == pytest.approx(X[starts[6] - 100 :][: sizes[6]].mean(axis=0))
    assert pieces.place_of(starts[8] + 1) == 2
