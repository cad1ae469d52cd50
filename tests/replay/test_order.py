"""The order of rows is the same whether they come together or one by one."""

import numpy as np
import pytest

from replay.engine.batch import Batch, ListTexts
from replay.engine.order import TOGETHER, Order, SeriesOptions


def batch_of(seconds):
    n = len(seconds)
    texts = ListTexts([f"{second:.3f}" for second in seconds], [("1",)] * n)
    return Batch(("x",), np.ones((n, 1)), texts, np.arange(n) + 2, seconds=seconds)


def accepted(options, batch, sizes):
    """Which rows are taken, their times, and gaps, of rows that come so many at once."""
    order, done = Order(options), 0
    rows, times, resets = [], [], []
    for size in sizes:
        its = order.accept(batch.part(done, done + size))
        assert its.refusal is None
        resets += [len(rows) + reset for reset in its.resets]
        rows += (its.rows + done).tolist()
        times += its.seconds.tolist()
        done += size
    return rows, times, resets, order.state()


@pytest.mark.parametrize("late_row", [False, True])
@pytest.mark.parametrize(("max_gap", "on_gap"), [(None, "reset"), (3.0, "reset"), (3.0, "hold")])
def test_rows_that_come_together_are_taken_as_one_by_one(max_gap, on_gap, late_row):
    rng = np.random.default_rng(1)
    n = 5 * TOGETHER
    seconds = 1.7e9 + np.cumsum(rng.exponential(1.7, n))
    if late_row:
        seconds[3 * TOGETHER] -= 100.0
    options = SeriesOptions(late="skip", max_gap=max_gap, on_gap=on_gap)
    batch = batch_of(seconds)
    alone = accepted(options, batch, [1] * n)
    assert len(alone[0]) == n - late_row
    assert bool(alone[1][-1] == seconds[-1]) is (on_gap == "reset")
    assert bool(alone[3]["counts"][3]) is (max_gap is not None)
    for sizes in ([n], [TOGETHER] * 5, [1, n - 1]):
        assert accepted(options, batch, sizes) == alone
