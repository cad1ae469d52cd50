"""Statistics of rows, rows of the segment going on, and reasons, against numpy and by hand."""

import math

import numpy as np
import pytest

from online_gmm.segmentation.explanation import NOTHING, explain
from online_gmm.segmentation.pieces import PIECE
from online_gmm.segmentation.recent_rows import KEPT, RecentRows
from online_gmm.segmentation.row_statistics import RowStatistics, values_of


@pytest.fixture(autouse=True)
def kernel():
    """Nothing here runs a kernel."""


def rows_of(n, d=3, seed=1, missing=0.0, offset=0.0):
    rng = np.random.default_rng(seed)
    X = offset + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    X[rng.random(X.shape) < missing] = np.nan
    return X


def check(found, X, rel=1e-9):
    """The statistics are those that numpy has of these rows."""
    assert found.n == len(X)
    np.testing.assert_array_equal(found.counts, np.count_nonzero(~np.isnan(X), axis=0))
    np.testing.assert_allclose(found.levels, np.nanmean(X, axis=0), rtol=rel)
    np.testing.assert_allclose(found.sds, np.nanstd(X, axis=0), rtol=1e-6)
    if not np.isnan(X).any():
        np.testing.assert_allclose(found.covariance, np.cov(X.T, ddof=0), rtol=1e-6)
        np.testing.assert_allclose(found.correlations, np.corrcoef(X.T), rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_statistics_are_those_of_numpy(missing, offset):
    X = rows_of(200, missing=missing, offset=offset)
    check(RowStatistics.of(X), X)
    merged = RowStatistics(3)
    for part in (X[:1], X[1:70], X[70:70], X[70:]):
        merged.add(RowStatistics.of(part))
    check(merged, X)


def test_roughness_is_one_for_noise_and_small_for_a_ramp():
    rng = np.random.default_rng(2)
    X = np.column_stack([rng.normal(size=5000), np.arange(5000.0), np.full(5000, 7.0)])
    found = RowStatistics.of(X).roughness
    assert found[0] == pytest.approx(1.0, abs=0.05)
    assert found[1] < 1e-5
    assert found[2] == 1.0


def test_statistics_as_bytes():
    found = RowStatistics.of(rows_of(50, missing=0.1))
    again = RowStatistics.from_state(found.state(), 3)
    assert again.state() == found.state()
    with pytest.raises(ValueError, match="reshape"):
        RowStatistics.from_state(found.state(), 2)


def extended(rows, X, sizes, times=None):
    done = 0
    for n in sizes:
        part = np.ascontiguousarray(X[done : done + n])
        its = () if times is None else times[done : done + n]
        rows.extend(part.reshape(-1).data, its)
        done += n
    assert done == len(X)
    return rows


@pytest.mark.parametrize("at", [1, 17, 5_000, 9_000, 9_700, 10_000])
def test_a_segment_is_cut_where_the_change_was(at):
    X = rows_of(10_000)
    rows = extended(RecentRows(3), X, [1] * 3000 + [7000])
    age = 10_000 - at
    before = rows.cut(at)
    after = rows.total()
    assert before.n == at
    assert after.n == len(rows) == age
    # rows of the piece into which the cut falls have no part in either
    lost = at - before.counts[0] + age - after.counts[0]
    assert lost <= (0 if age <= KEPT else max(PIECE, age / PIECE))
    if before.counts[0]:
        check_prefix = X[: int(before.counts[0])]
        np.testing.assert_allclose(before.means, check_prefix.mean(axis=0), rtol=1e-9)
    if after.counts[0]:
        np.testing.assert_allclose(after.means, X[-int(after.counts[0]) :].mean(axis=0), rtol=1e-9)


def test_rows_do_not_depend_on_how_they_came():
    X, times = rows_of(5000), [float(i) for i in range(5000)]
    one = extended(RecentRows(3, 0, True), X, [1] * 5000, times)
    many = extended(RecentRows(3, 0, True), X, [4999, 1], times)
    assert one.state() == many.state()
    again = RecentRows.from_state(one.state(), 3)
    assert again.state() == one.state()
    assert again.cut(4000).state() == many.cut(4000).state()
    assert again.state() != one.state()


def test_memory_of_rows_is_bounded():
    rows, part = RecentRows(1), np.zeros(100_000)
    sizes = []
    for _ in range(10):
        rows.extend(part.data)
        sizes.append(len(rows._pieces) + len(rows._rows))
    assert len(rows) == 1_000_000
    assert max(sizes) < 1200


def test_times_of_rows_long_gone_are_interpolated():
    times = [10.0 * i for i in range(20_000)]
    rows = extended(RecentRows(1, 0, True), np.zeros((20_000, 1)), [20_000], times)
    assert [rows.time_of(i) for i in (0, 19_500, 19_999)] == [0.0, 195_000.0, 199_990.0]
    for i in (777, 12_345, 19_000):
        assert rows.time_of(i) == pytest.approx(times[i])
    texts = extended(RecentRows(1, 0, True), np.zeros((20_000, 1)), [20_000], list(map(str, times)))
    assert texts.time_of(19_999) == "199990.0"
    assert 0 <= 777 - float(texts.time_of(777)) / 10.0 < 20_000 / PIECE


def statistics(mean, sd, n=4000, seed=3, correlation=0.0, rough=False):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, 2))
    noise[:, 1] = correlation * noise[:, 0] + math.sqrt(1 - correlation**2) * noise[:, 1]
    if rough:
        noise[:, 0] = np.repeat(noise[::4, 0], 4)
    return RowStatistics.of(np.asarray(mean) + np.asarray(sd) * noise)


@pytest.mark.parametrize(
    ("after", "channel", "kind", "text"),
    [
        ({"mean": [0.2, 5.0]}, "flow", "level", "flow 40 -> 0.2"),
        ({"sd": [1.0, 3.1]}, "vibration", "spread", "vibration sd x 3.1"),
        ({"correlation": 0.9}, ("flow", "vibration"), "correlation", None),
        ({"rough": True}, "flow", "rhythm", "flow roughness x 0.25"),
    ],
)
def test_the_first_reason_is_what_was_changed(after, channel, kind, text):
    usual = {"mean": [40.0, 5.0], "sd": [1.0, 1.0]}
    before = statistics(**usual)
    why = explain(before, statistics(**{**usual, **after}, seed=4), ("flow", "vibration"))
    first = why.reasons[0]
    assert (first.channel, first.kind) == (channel, kind)
    assert first.share > 0.9
    assert sum(reason.share for reason in why.reasons) == pytest.approx(1.0, abs=1e-12)
    if text is not None:
        start = text.rsplit(" ", 1)[0]
        assert str(first).startswith(start)
        assert float(str(first).rsplit(" ", 1)[1]) == pytest.approx(
            float(text.rsplit(" ", 1)[1]), rel=0.2
        )


def test_the_log_ratio_is_that_of_gaussians():
    # two channels that do not depend on each other, nor on the row before
    before, after = statistics([0.0, 0.0], [1.0, 1.0], 200_000), None
    after = statistics([2.0, 0.0], [1.0, 2.0], 200_000, seed=9)
    why = explain(before, after, ("a", "b"))
    level, spread = 2.0**2 / 2.0, 0.5 * (4.0 - 1.0 - math.log(4.0))
    assert why.log_ratio == pytest.approx(level + spread, rel=0.02)
    assert [reason.share for reason in why.reasons[:2]] == pytest.approx(
        [level / (level + spread), spread / (level + spread)], rel=0.02
    )


def test_channels_that_say_nothing_are_no_reason():
    constant = RowStatistics.of(np.column_stack([np.full(50, 7.0), np.full(50, np.nan)]))
    assert explain(constant, constant, ("a", "b")) == NOTHING
    moved = RowStatistics.of(np.column_stack([np.full(50, 8.0), np.full(50, np.nan)]))
    why = explain(constant, moved, ("a", "b"))
    assert str(why.reasons[0]) == "a 7 -> 8"
    assert why.reasons[0].share == pytest.approx(1.0)
    empty = RowStatistics(2)
    assert explain(empty, moved, ("a", "b")) == NOTHING


def test_rows_that_are_counted_in_their_times_stay_exact():
    times = [(i + 1, f"t{i}") for i in range(20_000)]
    rows = extended(RecentRows(1, 0, True), np.zeros((20_000, 1)), [20_000], times)
    assert rows.time_of(19_999) == times[-1]
    for i in (777, 12_345):
        number, text = rows.time_of(i)
        assert number == i + 1
        assert 0 <= i - int(text[1:]) < 20_000 / PIECE


def test_pieces_without_missing_values_are_as_those_with_some():
    """Bit by bit, though other code adds them up."""
    rows = np.random.default_rng(6).normal(1e6, 1.0, size=(6, 9, 3))
    some = np.concatenate([rows, np.full((1, 9, 3), np.nan)])
    np.testing.assert_array_equal(values_of(rows), values_of(some)[:-1])


def test_of_very_many_channels_that_change_alike_one_is_named():
    rng = np.random.default_rng(5)
    names = [f"c{i}" for i in range(300)]
    before, after = (RowStatistics.of(rng.normal(m, 1.0, size=(100, 300))) for m in (10.0, 30.0))
    first, rest = explain(before, after, names).reasons
    assert (first.kind, rest.kind) == ("level", "other")
    assert first.channel in names
    assert first.share + rest.share == pytest.approx(1.0)


@pytest.mark.parametrize("others", [1, 0])
def test_a_channel_that_vanishes_is_the_reason(others):
    rng = np.random.default_rng(3)
    rows = rng.normal([40.0, 5.0], 1.0, size=(300, 2))
    before, after = rows[:200], rows[200:].copy()
    after[5:, others:] = np.nan
    went, came = (
        explain(*map(RowStatistics.of, both), ("flow", "press"), missing=True).reasons
        for both in ((before, after), (after, before))
    )
    assert {str(reason) for reason in went if reason.share > 0.2} == {
        f"{name} missing 0% -> 95%" for name in ("flow", "press")[others:]
    }
    assert str(came[0]).endswith(" missing 95% -> 0%")
    assert sum(reason.share for reason in went) == pytest.approx(1.0, abs=1e-12)
    # values that are missing now and then are no reason
    after = np.where(rng.random((100, 2)) < 0.4, np.nan, rows[200:])
    both = RowStatistics.of(before), RowStatistics.of(after)
    assert explain(*both, ("flow", "press"), missing=True) == explain(*both, ("flow", "press"))
