"""What is kept of a labelled series, against the series itself."""

import math
import pickle
import time
import tracemalloc
from functools import partial

import numpy as np
import pytest

from online_gmm import Assignment, Assignments
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import Batch, Ended, LabelledBatch
from replay.engine.rows import Row
from replay.views import history as histories
from replay.views import log
from replay.views.history import History


def rows_of(y, labels, keys=None, seconds=None):
    """Rows and what the model says of them."""
    for i, values in enumerate(y):
        at = None if seconds is None else float(seconds[i])
        row = Row(
            i + 2,
            f"t{i}",
            (),
            {f"c{j}": float(v) for j, v in enumerate(values)},
            at,
            "" if keys is None else str(keys[i]),
        )
        yield row, Assignment(int(labels[i]), 0.75, -1.0, i % 10 == 3), i % 100 == 99


def series(n, columns=2, missing=0.1, stay=50, seed=1):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, columns))
    y[rng.random((n, columns)) < missing] = np.nan
    labels = np.repeat(rng.integers(0, 4, size=n // stay + 1), stay)[:n]
    return y, labels


def filled(y, labels, keys_of=None, seconds=None, **limits):
    history = History([f"c{j}" for j in range(y.shape[1])], **limits)
    for taken in rows_of(y, labels, keys_of, seconds):
        history.add(*taken)
    return history


def plain(value):
    """Whether a value can be in a checkpoint."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or type(value) in (bool, int, float, str, bytes)


@pytest.fixture(params=[4, log.MOST_WAITING])
def most_waiting(request, monkeypatch):
    """Rows of the largest buckets that are not made of parts."""
    monkeypatch.setattr(log, "MOST_WAITING", request.param)


@pytest.mark.usefixtures("most_waiting")
@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 1000, 1025])
def test_buckets_hold_the_least_and_the_greatest(n, monkeypatch):
    monkeypatch.setattr(histories, "MOST_PENDING", 37)
    y, labels = series(n, missing=0.3)
    trace = filled(y, labels, buckets=8).snapshot("").whole
    size = trace.rows
    assert size == 2 ** max(math.ceil(math.log2(n / 8)), 0)
    for j in range(2):
        x, values, its = [], [], []
        for start in range(0, n, size):
            part = y[start : start + size, j]
            if np.isnan(part).all():
                places = [start] if size == 1 else []
            else:
                places = sorted({start + np.nanargmin(part), start + np.nanargmax(part)})
            x += [place + 1 for place in places]
            values += [y[place, j] for place in places]
            its += [labels[place] for place in places]
        drawn = np.array([trace.x[j], trace.y[j], trace.labels[j]])
        if size > 1:
            drawn = drawn[:, ~np.isnan(trace.y[j])]
            # a bucket with a single value has it twice
            drawn = drawn[:, np.append(True, np.diff(drawn[0]) > 0)]
        assert np.array_equal(drawn, [x, values, its], equal_nan=True)


def test_a_snapshot_may_be_coarser():
    y, labels = series(1000, missing=0.0)
    trace = filled(y, labels, buckets=256).snapshot("", buckets=50).whole
    assert trace.rows == 32
    assert np.nanmax(trace.y[1]) == y[:, 1].max()
    ends = [y[i : i + 32, 0].min() for i in range(0, 1000, 32)]
    assert np.array_equal(trace.y[0].reshape(-1, 2).min(axis=1), ends)


def test_runs_are_those_of_the_labels():
    y, labels = series(3000)
    seconds = 100.0 + 0.5 * np.arange(3000)
    snapshot = filled(y, labels, seconds=seconds).snapshot("")
    begins = np.append(0, np.flatnonzero(np.diff(labels)) + 1)
    bands = snapshot.whole.bands
    assert bands.by_majority == 1
    assert np.array_equal(bands.labels, labels[begins])
    assert np.array_equal(bands.starts, seconds[begins])
    assert np.array_equal(bands.ends, np.append(seconds[begins[1:]], seconds[-1]))
    assert (snapshot.timed, snapshot.dates) == (True, True)


def test_too_many_runs_become_majorities(monkeypatch):
    monkeypatch.setattr(log, "MOST_RUNS", 40)
    monkeypatch.setattr(histories, "MOST_PENDING", 37)
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2, 1], 256)
    labels[rng.random(1024) < 0.1] = 3
    bands = filled(rng.normal(size=(1024, 1)), labels, buckets=64).snapshot("").whole.bands
    assert bands.by_majority == 32
    assert bands.labels.tolist() == [0, 1, 2, 1]
    assert bands.starts.tolist() == [1.0, 257.0, 513.0, 769.0]


def test_how_a_key_stands():
    y, labels = series(1010)
    labels[1000:] = 7
    history = filled(y, labels)
    (head,) = history.heads()
    assert (head.n, head.label, head.since) == (1010, 7, 1001)
    assert (head.since_time, head.first_time, head.last_time) == ("t1000", "t0", "t1009")
    assert (head.n_outliers, head.n_changes) == (101, 10)
    assert head.n_missing == np.isnan(y).sum()
    assert head.counts == {k: n for k, n in enumerate(np.bincount(labels)) if n}
    assert head.probability == 0.75


def test_the_last_rows_and_a_sample():
    y, labels = series(5000)
    snapshot = filled(y, labels, recent=100).snapshot("")
    recent = snapshot.recent
    assert np.array_equal(recent.x[0], np.arange(4901, 5001))
    assert np.array_equal(recent.y[1], y[-100:, 1], equal_nan=True)
    assert np.array_equal(snapshot.sample, y[::8], equal_nan=True)
    assert np.array_equal(snapshot.sample_labels, labels[::8])


@pytest.mark.usefixtures("most_waiting")
@pytest.mark.parametrize("most_runs", [20, 2000])
@pytest.mark.parametrize("cut", [1, 37, 500, 1999])
def test_going_on_from_a_state_is_as_if_never_interrupted(cut, most_runs, monkeypatch):
    monkeypatch.setattr(log, "MOST_RUNS", most_runs)
    y, labels = series(2000, stay=5)
    keys = np.random.default_rng(3).choice(["a", "b", "<c>"], size=2000)
    whole = filled(y, labels, keys, buckets=64, keys=2)
    rows = list(rows_of(y, labels, keys))
    first, second = (History(["c0", "c1"], buckets=64, keys=2) for _ in range(2))
    for i, taken in enumerate(rows[:cut]):
        first.add(*taken)
        if i % 10 == 0:
            # how often one looks is of no account
            first.heads()
    segment = Segment((1, "t0"), (9, "t8"), 1, 9, 0.5, {"c0": 1.0}, {"c0": 2.0})
    for history in (whole, first):
        history.add_segment(rows[0][0].key, segment)
    state = first.state()
    assert plain(state)
    second.load(pickle.loads(pickle.dumps(state)))
    for taken in rows[cut:]:
        second.add(*taken)
    assert second.state() == whole.state()
    assert second.segments(rows[0][0].key) == ([segment], 1)


def test_a_state_of_other_columns_is_refused():
    with pytest.raises(ValueError, match="other"):
        History(["other"]).load(History(["c0"]).state())


def test_keys_make_room_when_they_have_been_idle(monkeypatch):
    monkeypatch.setattr(histories, "PATIENCE", 30)
    y, labels = series(100)
    keys = ["old"] * 10 + ["a"] * 10 + ["b"] * 80
    history = filled(y, labels, keys, keys=2)
    assert [head.key for head in history.heads()] == ["b", "a"]
    # until 30 rows of others had come
    assert history.n_left_out == 20
    assert history.snapshot("b").head.n == 60
    with pytest.raises(KeyError):
        history.snapshot("old")


@pytest.mark.usefixtures("most_waiting")
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("sizes", [[5000], [300] * 16 + [200], [1, 255, 256, 3, 700, 3785]])
def test_batches_are_as_rows_one_by_one(timed, named, sizes):
    y, labels = series(5000)
    seconds = 1.7e9 + np.arange(5000.0) if timed else None
    rows = list(rows_of(y, labels, None, seconds))
    names = [("idle", "", "busy", "")[label] for label in labels]
    one, many = (History(["c0", "c1"], buckets=128) for _ in range(2))
    for taken, name in zip(rows, names, strict=True):
        one.add(*taken, name if named else "")
    begin = 0
    for size in sizes:
        its = rows[begin : begin + size]
        answers = Assignments(
            *(np.array(column) for column in zip(*(known for _, known, _ in its), strict=True))
        )
        changes = np.array([change for *_, change in its], dtype=np.int64)
        batch = Batch.of_rows([row for row, *_ in its])
        its_names = names[begin : begin + size] if named else None
        many.add_batch(LabelledBatch(batch, answers, changes, names=its_names))
        begin += size
    assert many.n == one.n == 5000
    assert many.state() == one.state()
    assert many.roster.get("") == one.roster.get("")
    assert many.roster.get("").n_changes == 50


def test_memory_does_not_grow_with_the_series():
    y, labels = series(12_000, columns=1, stay=3)
    history = History(["c0"], buckets=512)
    sizes = []
    tracemalloc.start()
    for _ in range(3):
        for taken in rows_of(y, labels):
            history.add(*taken)
        history.heads()
        del taken
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert history.n == 36_000
    assert sizes[2] < 1.2 * sizes[1] < 1_000_000


def test_adding_a_row_is_cheap():
    y, labels = series(50_000, columns=1)
    rows = list(rows_of(y, labels))
    history = History(["c0"])
    began = time.thread_time()
    for taken in rows:
        history.add(*taken)
    # some 2 us; a slow machine may be slower
    assert (time.thread_time() - began) / len(rows) < 20e-6


def ending_batches(n_batches, made):
    """Batches of rows of no key, in each of which segments end; notes of which they were made."""

    def ended(i, n):
        made.append(i)
        mean = {"c0": float(i)}
        segments = [Segment((i, ""), (j, ""), j, 1, 0.5, mean, {"c0": 0.0}) for j in range(n)]
        return [Ended(0, "", segment) for segment in segments]

    for i in range(n_batches):
        (row, known, _), *_ = rows_of(np.zeros((1, 1)), [0])
        answers = Assignments(*(np.array([value]) for value in known))
        batch, n = Batch.of_rows([row]), i % 4
        changes = np.array([n], dtype=np.int64)
        yield LabelledBatch(batch, answers, changes, partial(ended, i, n), n_ended=n)


@pytest.mark.parametrize("most", [1, 5, 1000])
@pytest.mark.parametrize("n_batches", [3, 50])
def test_segments_are_those_that_ended_last(n_batches, most, monkeypatch):
    monkeypatch.setattr(histories, "MOST_SEGMENTS", most)
    made: list[int] = []
    once, often = (History(["c0"]) for _ in range(2))
    expected = []
    for labelled in ending_batches(n_batches, made):
        expected += [its.segment for its in labelled.ended()]
        for history in (once, often):
            history.add_batch(labelled)
            history.add_ended(labelled)
        often.segments("")
    last = Segment((99, ""), (99, ""), 0, 1, 0.5, {"c0": 1.0}, {"c0": 0.0})
    for history in (once, often):
        assert history.segments("") == (expected[-most:], len(expected))
        history.add_segment("", last)
        assert history.segments("") == ([*expected, last][-most:], len(expected) + 1)
    again = History(["c0"])
    again.load(once.state())
    assert again.segments("") == once.segments("")


def test_segments_that_nobody_will_see_are_not_made(monkeypatch):
    monkeypatch.setattr(histories, "MOST_SEGMENTS", 3)
    made: list[int] = []
    history = History(["c0"])
    for labelled in ending_batches(100, made):
        history.add_batch(labelled)
        history.add_ended(labelled)
    assert not made
    history.segments("")
    assert made == [99]
