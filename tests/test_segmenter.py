"""Segmenter() without a model: its contract. How well it does is in test_machines."""

import copy
import datetime
import math
import types
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import compose, preprocessing

from benchmarks.plants import following
from online_gmm import (
    OnlineGMM,
    OnlineHMM,
    RegimeChange,
    RegimeEvent,
    Segment,
    Segmenter,
    _kernel,
    pool,
)
from online_gmm.data.state import StateError
from online_gmm.segmentation.row_statistics import RowStatistics
from online_gmm.segmentation.whole import regimes_of_rows
from tests.conftest import KERNELS, on_one_kernel, use_kernel

NAMES = ("flow", "vibration")


def stream(n_visits=6, seed=1, stay=400):
    """Visits to two modes in turn: flow 40 and .2, and the sd of vibration 1 and 3."""
    rng = np.random.default_rng(seed)
    mode = np.repeat(np.arange(n_visits) % 2, stay)
    flow = np.where(mode == 0, 40.0, 0.2) + rng.normal(size=len(mode))
    vibration = rng.normal(size=len(mode)) * np.where(mode == 0, 1.0, 3.0)
    return np.column_stack([flow, vibration])


def points(X, names=NAMES):
    return [dict(zip(names, row, strict=True)) for row in X.tolist()]


def learnt(X, segmenter=None, names=NAMES):
    """A segmenter that has learnt rows one by one, and all it has told."""
    segmenter = Segmenter() if segmenter is None else segmenter
    told = []
    for x in points(X, names):
        segmenter.learn_one(x)
        told += segmenter.new_events
    return segmenter, told


def changes_of(told):
    return [event for event in told if isinstance(event, RegimeChange)]


def assert_follows(told, length, stay=400):
    """The last three true changes were found, to and fro between two regimes."""
    changes = changes_of(told)
    found = []
    for at in (stay * (length - 3), stay * (length - 2), stay * (length - 1)):
        change = min(changes, key=lambda its: abs(its.at - at))
        assert abs(change.at - at) <= 24
        found.append(change)
    assert found[0].after == found[2].after == found[1].before
    assert found[0].after != found[1].after
    return found


@pytest.fixture(autouse=True)
def kernel():
    """One kernel is enough here: `test_both_kernels_give_the_same_bytes` compares them."""


@pytest.fixture
def length():
    """Visits of the stream."""
    return 8


def test_both_kernels_give_the_same_bytes(monkeypatch):
    X = stream(3, seed=20)[:400]
    X[100::13, 1] = np.nan
    written = []
    for name in KERNELS:
        use_kernel(name, monkeypatch)
        segmenter, told = learnt(X)
        written.append((segmenter.to_bytes(), repr(told)))
    assert len(set(written)) == 1


# -- what is told ---------------------------------------------------------------------------------


def test_finds_the_modes_since_when_and_why(length):
    X = stream(length)
    segmenter, told = learnt(X)
    for change in changes_of(told):
        assert change.at <= change.known_at
        assert change.delay == change.known_at - change.at
        assert 0.0 <= change.probability <= 1.0
        assert sum(reason.share for reason in change.why) == pytest.approx(1.0)
    for change in assert_follows(told, length):
        assert change.delay <= 200
        assert change.why[0].channel == "flow"
        assert change.why[0].kind == "level"
    last = changes_of(told)[-1]
    assert segmenter.predict_one({}) == segmenter.current.label
    assert segmenter.current.since == last.at


def test_events_are_told_once_in_order_and_never_revised(length):
    X = stream(length, seed=2)
    segmenter, told = learnt(X)
    segments = [event for event in told if isinstance(event, Segment)]
    changes = changes_of(told)
    # segments and changes take turns, and cover the rows without a gap
    assert len(segments) == len(changes) == segmenter.n_changes
    begin = 0
    for segment, change in zip(segments, changes, strict=True):
        assert told.index(change) == told.index(segment) + 1
        assert (segment.start, segment.end + 1) == (begin, change.at)
        assert segment.n == change.at - begin
        assert (segment.label, change.before) == (change.before, segment.label)
        assert change.before != change.after
        begin = change.at
    known = [change.known_at for change in changes]
    assert known == sorted(known)
    assert segmenter.finish().n == len(X) - begin
    assert segmenter.current is None
    born = [event.label for event in told if getattr(event, "kind", "") == "born"]
    assert born == sorted(set(born)) == list(range(len(born)))


def test_since_is_never_revised(length):
    """What `current` says of the start of a segment, it says until the next change is told."""
    segmenter, known = Segmenter(), None
    for x in points(stream(length, seed=3)):
        segmenter.learn_one(x)
        current = segmenter.current
        if current is None or current.label == -1:
            continue
        merged = any(isinstance(event, RegimeEvent) for event in segmenter.new_events)
        if known is not None and not segmenter.drift_detected and not merged:
            assert (current.since, current.label) == known
        known = current.since, current.label
    assert known is not None


def test_segments_have_the_moments_of_their_rows(length):
    X = stream(length, seed=4)
    X[::17, 1] = np.nan
    _, told = learnt(X)
    for segment in told:
        if isinstance(segment, Segment):
            rows = X[segment.start : segment.end + 1]
            assert list(segment.mean.values()) == pytest.approx(np.nanmean(rows, axis=0))
            assert list(segment.sd.values()) == pytest.approx(np.nanstd(rows, axis=0))


def test_cards_sum_up_all_rows(length):
    X = stream(length, seed=5)
    segmenter, told = learnt(X)
    cards = segmenter.regimes
    assert sum(card.n for card in cards.values()) == len(X)
    assert sum(card.share for card in cards.values()) == pytest.approx(1.0)
    assert sum(card.visits for card in cards.values()) == len(changes_of(told)) + 1
    flows = [card.mean["flow"] for card in sorted(cards.values(), key=lambda card: -card.n)[:2]]
    assert sorted(flows) == pytest.approx([0.2, 40.0], abs=6.0)
    assert segmenter.centers == {label: card.mean for label, card in cards.items()}


# -- one and many, bytes --------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(0, 5))
def test_many_are_as_one_by_one(sizes, seed):
    X = stream(4, seed=seed)
    one, told = learnt(X)
    many, told_many, labels, done = Segmenter(), [], [], 0
    for n in [*sizes, len(X)]:
        part = pd.DataFrame(X[done : done + n], columns=list(NAMES))
        labels += many.label_then_learn_many(part).labels.tolist()
        told_many += many.new_events
        done += n
    assert told_many == told
    assert many.to_bytes() == one.to_bytes()
    again = Segmenter()
    for x, label in zip(points(X), labels, strict=True):
        assert again.predict_one(x) == label
        again.learn_one(x)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 599), st.integers(0, 5))
def test_goes_on_from_bytes(n, seed):
    X = stream(4, seed=seed)
    X[50::31, 0] = np.nan
    whole, told = learnt(X)
    part, first = learnt(X[:n])
    data = part.to_bytes()
    again = Segmenter.from_bytes(data)
    assert again.to_bytes() == data
    again, rest = learnt(X[n:], again)
    assert first + rest == told
    assert again.to_bytes() == whole.to_bytes()


def test_answers_are_the_same_one_by_one_and_together():
    X = stream(4, seed=6)
    ahead = Segmenter()
    answers = ahead.label_then_learn_many(pd.DataFrame(X, columns=list(NAMES)))
    segmenter = Segmenter()
    for i, x in enumerate(points(X)):
        known = segmenter.assign_one(x)
        assert repr(known) == repr(answers.one(i))
        if known.label >= 0:
            probabilities = segmenter.predict_proba_one(x)
            assert sum(probabilities.values()) == pytest.approx(1.0)
            assert max(probabilities, key=probabilities.get) == known.label
            assert segmenter.log_density_one(x) == known.log_density
        else:
            assert segmenter.predict_proba_one(x) == {}
            assert math.isnan(known.log_density)
        segmenter.learn_one(x)
    frame = pd.DataFrame(X[-3:], columns=list(NAMES))
    assert segmenter.predict_many(frame).tolist() == [segmenter.predict_one({})] * 3
    assert segmenter.score_many(frame).tolist() == [segmenter.score_one(x) for x in points(X[-3:])]
    assert segmenter.score_one({"flow": 500.0, "vibration": 0.0}) > 12
    assert segmenter.predict_proba_many(frame).columns.tolist() == list(segmenter.labels)


def test_damaged_states_are_refused():
    data = learnt(stream(2))[0].to_bytes()
    for cut in (10, len(data) // 2, len(data) - 1):
        with pytest.raises(StateError):
            Segmenter.from_bytes(data[:cut])


# -- inputs as they are ---------------------------------------------------------------------------


def test_an_early_end_ends_the_first_segment():
    segmenter = Segmenter()
    assert segmenter.finish() is None
    segmenter.learn_one({"x": 1.0})
    segmenter.learn_one({"x": None})
    last = segmenter.finish()
    assert (last.start, last.end, last.label, last.n) == (0, 1, -1, 2)
    assert segmenter.finish() is None


def test_nothing_is_known_at_first():
    segmenter = Segmenter()
    assert segmenter.current is None
    assert segmenter.predict_one({"a": 1.0}) == -1
    assert segmenter.labels == ()
    assert segmenter.regimes == {}
    with pytest.raises(ValueError, match="no regime is known"):
        segmenter.mixture  # noqa: B018
    segmenter.learn_one({"a": 1.0})
    assert segmenter.n_points == 1


@pytest.mark.parametrize("gap", [None, 20, 60, 90])
@pytest.mark.parametrize("stay", [30, 200])
def test_the_first_regime_is_0_from_the_48th_point_on(gap, stay):
    """Whatever it turns out to be, the first segment that is told bears the same number."""
    X = stream(8, seed=7, stay=stay)
    segmenter, told, labels = Segmenter(), [], []
    for i, x in enumerate(points(X)):
        if i == gap:
            segmenter.reset_state()
            told += segmenter.new_events
        labels.append(segmenter.predict_one(x))
        segmenter.learn_one(x)
        told += segmenter.new_events
    assert labels[:48] == [-1] * 48
    assert labels[48:100] == [0] * 52
    assert next(event.at for event in told if isinstance(event, RegimeEvent)) == 47
    born = [event.label for event in told if getattr(event, "kind", "") == "born"]
    assert born == list(range(len(born)))
    segments = [event for event in told if isinstance(event, Segment)]
    assert segments[0].label == (-1 if gap == 20 else 0)
    assert all(segment.label >= 0 for segment in segments[1:])
    many = Segmenter()
    parts = [X] if gap is None else [X[:gap], X[gap:]]
    found = []
    for i, part in enumerate(parts):
        if i:
            many.reset_state()
        found.append(many.label_then_learn_many(pd.DataFrame(part, columns=list(NAMES))).labels)
    assert np.concatenate(found).tolist() == labels
    assert many.to_bytes() == segmenter.to_bytes()


def test_units_and_offsets_do_not_matter():
    X = stream(4, seed=7)
    _, told = learnt(X)
    expected = [(change.at, change.after) for change in changes_of(told)]
    assert expected
    for scale, offset in ((1024.0, 0.0), (2.0**-20, 0.0), (1.0, 1e6)):
        _, told = learnt(X * scale + offset)
        again = [(change.at, change.after) for change in changes_of(told)]
        assert [after for _, after in again] == [after for _, after in expected]
        assert np.abs(np.subtract([at for at, _ in again], [at for at, _ in expected])).max() <= 8


def test_constant_and_missing_channels_take_no_part(length):
    X = stream(length, seed=8)
    n = len(X)
    more = np.column_stack([X, np.full(n, 70.0), np.full(n, np.nan)])
    names = (*NAMES, "setpoint", "broken")
    segmenter, told = learnt(more, names=names)
    assert_follows(told, length)
    for change in changes_of(told):
        assert {reason.channel for reason in change.why} <= {*NAMES, NAMES, None}
    for card in segmenter.regimes.values():
        assert card.mean["setpoint"] == 70.0
        assert math.isnan(card.mean["broken"])


def test_channels_are_those_of_the_first_points():
    X = stream(2, seed=9)
    segmenter = Segmenter()
    rows = points(X)
    rows[0] = {"flow": rows[0]["flow"]}
    for x in rows[:100]:
        segmenter.learn_one(x)
    assert list(segmenter.regimes[0].mean) == ["flow", "vibration"]
    told = "passed over from now on: 'later', which came after the first 16 points"
    with pytest.warns(UserWarning, match=told):
        segmenter.learn_one({**rows[100], "later": 1.0})
    # once is enough
    segmenter.learn_one({**rows[101], "later": 1.0})
    assert list(segmenter.regimes[0].mean) == ["flow", "vibration"]
    by_frame = Segmenter()
    by_frame.learn_many(pd.DataFrame(rows[:100]))
    with pytest.warns(UserWarning, match=told):
        by_frame.learn_many(pd.DataFrame(rows[100:110]).assign(later=1.0))
    only = learnt(X, Segmenter(features=["flow"]))[0]
    assert list(only.regimes[0].mean) == ["flow"]


@pytest.mark.parametrize("n", [0, 200])
@pytest.mark.parametrize("point", [3, None, "flow", [1.0], np.zeros(2)])
def test_a_label_is_asked_for_with_a_point(point, n):
    segmenter = Segmenter()
    for i in range(n):
        segmenter.learn_one({"flow": i % 7})
    for ask in ("predict_one", "predict_proba_one", "assign_one", "log_density_one", "score_one"):
        with pytest.raises(TypeError, match="a point is a dict of feature names to numbers"):
            getattr(segmenter, ask)(point)
    known = segmenter.predict_one({"flow": 1.0})
    assert segmenter.predict_one(types.MappingProxyType({"flow": 1.0})) == known


@pytest.mark.parametrize("value", ["5", 1j, math.inf, 1e200])
def test_refused_points_change_nothing(value):
    for n in (3, 200):
        segmenter = learnt(stream(2)[:n])[0]
        before = segmenter.to_bytes()
        with pytest.raises((TypeError, ValueError), match="flow"):
            segmenter.learn_one({"flow": value, "vibration": 1.0})
        assert segmenter.to_bytes() == before


def test_fifty_channels():
    rng = np.random.default_rng(10)
    mode = np.repeat([0, 1, 0, 1], 400)
    X = rng.normal(size=(1600, 50))
    X[:, :25] += 6.0 * mode[:, None]
    X[:, 31] *= np.where(mode == 1, 4.0, 1.0)
    names = [f"c{i}" for i in range(50)]
    segmenter, told = learnt(X, names=names)
    places = np.array([change.at for change in changes_of(told)])
    for at in (400, 800, 1200):
        assert np.abs(places - at).min() <= 48
    assert all(set(card.mean) == set(names) for card in segmenter.regimes.values())


def test_wild_readings_are_no_changes(length):
    X = stream(length, seed=11)
    X[60::97, 0] = 6553.5
    _, told = learnt(X)
    assert_follows(told, length)


@pytest.mark.parametrize("seed", [4, 5])
def test_a_sensor_that_starts_far_away_hides_no_change(seed):
    """A short series: nothing that comes later makes up for wrong units."""
    rng = np.random.default_rng(seed)
    level = np.repeat(8.0 * (np.arange(10) % 2), 40)
    noise = np.zeros(len(level))
    for t in range(1, len(level)):
        noise[t] = 0.8 * noise[t - 1] + 0.6 * rng.normal()
    X = (level + noise)[:, None]
    X[:2, 0] = 33.0, 20.0
    segmenter = Segmenter()
    segmenter.learn_many(X)
    places = [its.at for its in segmenter.events if isinstance(its, RegimeChange)]
    true = np.arange(40, len(level), 40)
    assert len(places) >= len(true) - 1
    assert all(np.abs(true - place).min() <= 4 for place in places)


@pytest.mark.parametrize("model", [3, "kmeans", OnlineHMM, object()])
def test_what_is_no_learner_is_refused_at_once(model):
    with pytest.raises(TypeError, match=r"model is .*a clusterer of river is expected"):
        Segmenter(model)
    with pytest.raises(TypeError, match=r"for 3 regimes, Segmenter\(OnlineHMM\(3\)\)"):
        Segmenter(3)


def test_it_is_said_what_becomes_of_rows_of_other_channels():
    X = stream(1, seed=12)
    segmenter = Segmenter()
    segmenter.label_many(pd.DataFrame(X, columns=list(NAMES)))
    with pytest.warns(UserWarning, match="'FLOW', .* become a regime of their own"):
        labels = segmenter.label_many(pd.DataFrame(X, columns=[name.upper() for name in NAMES]))
    assert labels.iloc[-1] not in (0, -1)


@pytest.mark.parametrize("how", ["one by one", "whole"])
def test_a_sensor_that_dies_is_named(how):
    X = stream(2, seed=12)
    X[600:, 1] = np.nan
    segmenter = Segmenter()
    if how == "whole":
        segmenter.label_many(pd.DataFrame(X, columns=list(NAMES)))
        why = segmenter.segments_["why"].iloc[-1]
    else:
        why = str(changes_of(learnt(X, segmenter)[1])[-1])
    assert "vibration missing 0% -> " in str(why)


# -- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dated", [False, True])
def test_times_are_handed_back_and_gaps_end_segments(dated):
    X = stream(4, seed=12)
    seconds = 60.0 * np.arange(len(X))
    seconds[400:] += 7200.0
    begin = datetime.datetime(2026, 1, 1)
    times = [begin + datetime.timedelta(seconds=s) if dated else s for s in seconds.tolist()]
    segmenter, told = Segmenter(time="t", max_gap=3600.0), []
    for x, t in zip(points(X), times, strict=True):
        segmenter.learn_one({**x, "t": t})
        told += segmenter.new_events
    segments = [event for event in told if isinstance(event, Segment)]
    assert all(type(s.start) is type(times[0]) for s in segments)
    ended = [s for s in segments if s.end == times[399]]
    assert len(ended) == 1
    frame = pd.DataFrame(X, columns=list(NAMES)).assign(t=times)
    many = Segmenter(time="t", max_gap=3600.0)
    many.learn_many(frame)
    assert many.new_events == told
    assert many.to_bytes() == segmenter.to_bytes()


@pytest.mark.filterwarnings("ignore:max_gap is 10 s")
def test_a_gap_is_longer_than_the_longest_allowed():
    """Points exactly ``max_gap`` apart follow each other; the next larger double is a gap."""
    X = stream(1, seed=12)[:40]
    frame = pd.DataFrame(X, columns=list(NAMES)).assign(t=10.0 * np.arange(len(X)))
    for longest, is_gap in ((10.0, False), (np.nextafter(10.0, 0.0), True)):
        one, many = (Segmenter(time="t", max_gap=float(longest)) for _ in range(2))
        told = []
        for x in frame.to_dict("records"):
            one.learn_one(x)
            told += one.new_events
        many.learn_many(frame)
        assert bool(told) == is_gap
        assert many.new_events == told


def test_it_is_said_if_all_points_are_farther_apart_than_a_gap():
    X = stream(1, seed=12)[:40]
    with pytest.warns(UserWarning, match="max_gap is 1 s, and the first points come every 60 s"):
        Segmenter(max_gap=1).learn_many(X, 60.0 * np.arange(len(X)))


TIMES = {
    "numpy": lambda i: np.datetime64("2024-01-01") + np.timedelta64(i, "m"),
    "numpy, ns": lambda i: np.datetime64("2024-01-01", "ns") + np.timedelta64(i, "m"),
    "pandas": lambda i: pd.Timestamp("2024-01-01") + pd.Timedelta(minutes=i),
    "pandas, ns": lambda i: pd.Timestamp("2024-01-01") + pd.Timedelta(minutes=i, nanoseconds=1),
}


@pytest.mark.parametrize("model", [None, OnlineGMM(2, warm_up=20, seed=1)])
@pytest.mark.parametrize("kind", TIMES)
def test_times_of_numpy_and_pandas_are_handed_back_as_those_of_python_and_written(kind, model):
    segmenter = Segmenter(model and model.clone(), time="t")
    for i, x in enumerate(stream(1, seed=12)[:60]):
        segmenter.learn_one({"x": x[0], "t": TIMES[kind](i)})
    assert segmenter.current.end == datetime.datetime(2024, 1, 1, 0, 59)
    assert type(segmenter.current.end) is datetime.datetime
    assert Segmenter.from_bytes(segmenter.to_bytes()).current == segmenter.current


@pytest.mark.parametrize("model", [None, OnlineGMM(2, warm_up=20, seed=1)])
@pytest.mark.parametrize("make", [lambda x: x, pl.from_pandas, pa.Table.from_pandas])
def test_times_of_frames_are_handed_back_with_their_zone(make, model):
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    times = pd.date_range("2024-01-01", periods=60, freq="min", tz=zone)
    frame = pd.DataFrame({"x": stream(1, seed=12)[:60, 0], "t": times})
    segmenter = Segmenter(model and model.clone(), time="t")
    segmenter.learn_many(make(frame))
    assert segmenter.current.end == datetime.datetime(2024, 1, 1, 0, 59, tzinfo=zone)
    assert segmenter.current.end.utcoffset() == datetime.timedelta(hours=1)
    segmenter.label_many(make(frame.assign(t=times + pd.Timedelta(days=1))))
    assert segmenter.segments_["end"].iloc[-1] == times[-1] + pd.Timedelta(days=1)


def test_days_are_times():
    segmenter = Segmenter()
    for i, x in enumerate(stream(1, seed=12)[:60]):
        segmenter.learn_one({"x": x[0]}, datetime.date(2024, 1, 1) + datetime.timedelta(days=i))
    assert segmenter.current.start == datetime.date(2024, 1, 1)
    assert (
        segmenter.learner._last == datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC).timestamp()
    )


def test_a_late_point_is_told_by_times_as_they_were_given():
    noon = datetime.datetime(2024, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    segmenter = Segmenter()
    segmenter.learn_one({"x": 1.0}, noon)
    told = r"2024-01-01 11:59:00\+01:00 is not after the last point's, 2024-01-01 12:00:00\+01:00"
    with pytest.raises(ValueError, match=told):
        segmenter.learn_one({"x": 1.0}, noon - datetime.timedelta(minutes=1))
    frame = pd.DataFrame({"x": [1.0, 2.0], "t": pd.to_datetime(["2024-01-02", "2024-01-01"])})
    told = "row 1: time 2024-01-01 00:00:00 is not after the last point's, 2024-01-02 00:00:00"
    with pytest.raises(ValueError, match=told):
        Segmenter(time="t").learn_many(frame)


def test_what_is_passed_over_is_counted():
    segmenter = Segmenter(time="t", late="skip", features=["x"])
    for i, x in enumerate(stream(1, seed=12)[:60]):
        segmenter.learn_one({"x": x[0], "t": i, **({"later": 1.0} if i > 20 else {})})
    segmenter.learn_one({"x": 1.0, "t": 3})
    assert (segmenter.n_late, segmenter.n_unknown) == (1, 39)


def test_late_points_are_refused_or_counted():
    X = stream(2, seed=13)
    for late in ("raise", "skip"):
        segmenter = Segmenter(time="t", late=late)
        for i, x in enumerate(points(X[:50])):
            segmenter.learn_one({**x, "t": float(i)})
        again = {**points(X)[0], "t": 3.0}
        if late == "raise":
            with pytest.raises(ValueError, match="not after"):
                segmenter.learn_one(again)
        else:
            segmenter.learn_one(again)
        assert segmenter.n_points == 50


def test_an_interruption_ends_the_segment():
    segmenter, _ = learnt(stream(2, seed=14))
    since = segmenter.current.since
    segmenter.reset_state()
    assert [event.start for event in segmenter.new_events] == [since]
    assert segmenter.current is None


# -- a window of time -----------------------------------------------------------------------------


def timed(X, seconds):
    return [{**x, "t": t} for x, t in zip(points(X), np.asarray(seconds).tolist(), strict=True)]


def all_learnt(segmenter, rows):
    told = []
    for x in rows:
        segmenter.learn_one(x)
        told += segmenter.new_events
    return told


@pytest.mark.parametrize(
    "window",
    [
        "320s",
        "5min20s",
        datetime.timedelta(seconds=320),
        pd.Timedelta("320s"),
        np.timedelta64(320, "s"),
        np.timedelta64(320, "s").astype("timedelta64[ns]"),
    ],
)
def test_a_window_of_time_is_as_many_points(window):
    X = stream(4, seed=12)
    by_time = Segmenter(window=window, time="t")
    told = all_learnt(by_time, timed(X, 10.0 * np.arange(len(X))))
    by_points = Segmenter(window=32, time="t")
    assert all_learnt(by_points, timed(X, 10.0 * np.arange(len(X)))) == told
    assert by_time.window_ == by_points.window_ == 32
    assert len(told) > 4
    again = Segmenter.from_bytes(by_time.to_bytes())
    assert pd.Timedelta(again.window) == pd.Timedelta(window)
    assert again.window_ == 32
    assert again.to_bytes() == by_time.to_bytes()
    frame = pd.DataFrame(timed(X, 10.0 * np.arange(len(X))))
    assert np.array_equal(
        Segmenter(window=window, time="t").second_pass(frame).labels,
        Segmenter(window=32, time="t").second_pass(frame).labels,
    )


def test_a_window_of_time_where_points_are_irregular():
    """The mean interval of the first 16 points, without the longest one, says how many points."""
    X, rng = stream(4, seed=12), np.random.default_rng(5)
    between = rng.exponential(10.0, size=len(X))
    usual = np.mean(np.sort(between[1:16])[:-1])
    segmenter = Segmenter(window="300s", time="t")
    told = all_learnt(segmenter, timed(X, np.cumsum(between)))
    by_points = Segmenter(window=round(300.0 / usual), time="t")
    assert all_learnt(by_points, timed(X, np.cumsum(between))) == told
    assert abs(segmenter.window_ - 300.0 / usual) <= 2.0
    # later intervals, or one long one among the first, change nothing
    for between in (np.repeat([10.0, 60.0], [50, len(X) - 50]), np.full(len(X), 10.0)):
        between[7] = 86400.0
        segmenter = Segmenter(window="300s", time="t")
        all_learnt(segmenter, timed(X, np.cumsum(between)))
        assert segmenter.window_ == 30


def test_no_window_of_time_reaches_across_a_gap():
    X = stream(4, seed=12)
    seconds = 10.0 * np.arange(len(X))
    seconds[5:] += 7200.0
    seconds[9:] += 7200.0
    seconds[400:] += 7200.0
    segmenter = Segmenter(window="300s", time="t", max_gap=3600.0)
    told = all_learnt(segmenter, timed(X, seconds))
    assert segmenter.window_ == 30
    ends = [event.end for event in told if isinstance(event, Segment)]
    assert seconds[399] in ends
    by_points = Segmenter(window=30, time="t", max_gap=3600.0)
    assert all_learnt(by_points, timed(X, seconds)) == told


@pytest.mark.parametrize("max_gap", ["1h", datetime.timedelta(hours=1)])
def test_a_gap_may_be_given_as_a_time(max_gap):
    X = stream(4, seed=12)
    seconds = 10.0 * np.arange(len(X))
    seconds[400:] += 7200.0
    segmenter, by_seconds = (Segmenter(time="t", max_gap=its) for its in (max_gap, 3600.0))
    assert all_learnt(segmenter, timed(X, seconds)) == all_learnt(by_seconds, timed(X, seconds))
    assert Segmenter.from_bytes(segmenter.to_bytes()).to_bytes() == segmenter.to_bytes()
    assert segmenter.clone().max_gap == copy.deepcopy(segmenter).max_gap == max_gap
    for wrong in ("60", "soon", "0s", 0.0, -1, [60.0]):
        with pytest.raises(ValueError, match="max_gap is"):
            Segmenter(max_gap=wrong)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_an_index_of_pandas_holds_the_times_if_it_is_called_so(zone):
    X = stream(4, seed=12)
    times = pd.date_range("2026-01-01", periods=len(X), freq="10s", tz=zone)
    frame = pd.DataFrame(X, columns=list(NAMES))
    by_column, by_index = (Segmenter(time="when", window="300s", max_gap="1h") for _ in range(2))
    expected = by_column.label_many(frame.assign(when=times))
    labels = by_index.label_many(frame.set_axis(times).rename_axis("when"))
    assert labels.tolist() == expected.tolist()
    assert (labels.index == times).all()
    assert by_index.segments_.equals(by_column.segments_)
    assert by_index.to_bytes() == by_column.to_bytes()
    unnamed = Segmenter(max_gap="1h")
    with pytest.raises(ValueError, match=r"no times: give t=X.index, which holds times"):
        unnamed.label_many(frame.set_axis(times))
    assert unnamed.label_many(frame, t=times).tolist() == Segmenter().label_many(frame).tolist()
    with pytest.raises(ValueError, match=r"no times: column 'at' is not among .*t=X.index"):
        Segmenter(time="at").label_many(frame.set_axis(times))


def test_a_window_of_time_needs_times_and_a_unit():
    with pytest.raises(ValueError, match=r"window is '30'.*no unit"):
        Segmenter(window="30", time="t")
    with pytest.raises(ValueError, match="window is 'soon'"):
        Segmenter(window="soon", time="t")
    with pytest.raises(ValueError, match=r"window is '0s'.*above 0"):
        Segmenter(window="0s", time="t")
    with pytest.raises(ValueError, match=r"window is 30\.0; it must be a number of points"):
        Segmenter(window=30.0)
    segmenter = Segmenter(window="30s")
    with pytest.raises(ValueError, match=r"no time.*needed because window is '30s'"):
        segmenter.learn_one({"x": 1.0})
    with pytest.raises(ValueError, match=r"no times.*needed because window is '30s'"):
        segmenter.learn_many(np.zeros((20, 1)))
    assert segmenter.n_points == 0
    segmenter.learn_many(np.random.default_rng(1).normal(size=(40, 1)), np.arange(40.0))
    assert segmenter.window_ == 30


def test_a_window_of_time_that_is_too_short_is_told():
    rows = timed(stream(1, seed=1)[:40], np.arange(40.0))
    segmenter = Segmenter(window="2s", time="t")
    with pytest.warns(UserWarning, match="window is '2s'.*every 1 s.*made 4 points"):
        all_learnt(segmenter, rows)
    assert segmenter.window_ == 4


def test_times_that_are_all_the_same_tell_no_window():
    segmenter = Segmenter(window="30s", time="t", late="learn")
    rows = timed(stream(1, seed=1)[:30], np.zeros(30))
    for x in rows[:15]:
        segmenter.learn_one(x)
    for x in rows[15:]:
        with pytest.raises(ValueError, match=r"window is '30s'.*no two in a row"):
            segmenter.learn_one(x)
    assert segmenter.n_points == 15
    segmenter.learn_one({**rows[15], "t": 1.0})
    assert segmenter.window_ == 30


# -- labels of a fixed lag -------------------------------------------------------------------------


def naive_lagged(X, lag, gaps=()):
    """Labels by what is told of segments, a point at a time; each when ``lag`` more have come."""
    segmenter, rows, out, begin = Segmenter(), [], [], 0

    def told(events):
        nonlocal begin
        for event in events:
            if isinstance(event, Segment):
                rows[begin : begin + event.n] = [event.label] * event.n
                begin += event.n
            elif isinstance(event, RegimeEvent) and event.kind == "merged":
                rows[len(out) :] = [
                    event.into if label == event.label else label for label in rows[len(out) :]
                ]

    for i, x in enumerate(points(X)):
        if i in gaps:
            segmenter.reset_state()
            told(segmenter.new_events)
            out += rows[len(out) :]
        segmenter.learn_one(x)
        rows.append(-1)
        told(segmenter.new_events)
        now = segmenter.predict_one(x)
        rows[begin:] = [now] * (i + 1 - begin)
        if i >= lag and len(out) <= i - lag:
            out.append(rows[i - lag])
    return np.array(out + rows[len(out) :])


@pytest.mark.parametrize("lag", [1, 7, 40, 300])
def test_labels_of_a_lag_are_those_known_then(lag):
    X = stream(6, seed=8)
    segmenter, out = Segmenter(lag=lag), []
    for i, x in enumerate(points(X)):
        segmenter.learn_one(x)
        out += segmenter.new_labels.labels.tolist()
        assert len(out) == max(0, i + 1 - lag)
        if out:
            assert segmenter.look_back().label == out[-1]
    segmenter.finish()
    out += segmenter.new_labels.labels.tolist()
    assert np.array_equal(out, naive_lagged(X, lag))


def test_with_a_lag_a_change_is_where_it_was():
    X = stream(6, seed=8)
    segmenter = Segmenter(lag=400)
    segmenter.learn_many(pd.DataFrame(X, columns=list(NAMES)))
    changes = [event for event in segmenter.new_events if isinstance(event, RegimeChange)]
    assert changes
    labels = segmenter.new_labels.labels
    assert set(np.flatnonzero(np.diff(labels)) + 1) == {
        change.at for change in changes if change.at < len(labels) and change.delay <= 400
    }


@pytest.mark.parametrize("lag", [1, 7, 40, 300])
@pytest.mark.parametrize("gaps", [(), (5, 30, 333, 700, 701)])
def test_labels_of_a_lag_many_and_from_bytes(lag, gaps):
    X = stream(6, seed=9)
    X[:20] = np.nan
    seconds = np.arange(len(X)) + 1000.0 * np.searchsorted(gaps, np.arange(len(X)), side="right")
    frame = pd.DataFrame(X, columns=list(NAMES)).assign(t=seconds)
    one = Segmenter(lag=lag, time="t", max_gap=100.0, features=list(NAMES))
    expected, sure = [], []
    for x in frame.to_dict("records"):
        one.learn_one(x)
        labels, probabilities = one.new_labels
        expected += labels.tolist()
        sure += probabilities.tolist()
    many = Segmenter(lag=lag, time="t", max_gap=100.0, features=list(NAMES))
    found, probabilities, i = [], [], 0
    for n in [3, 12, 1, 20, 300, 2, *[171] * 20]:
        many.label_then_learn_many(frame[i : i + n])
        found.append(many.new_labels.labels)
        probabilities.append(many.new_labels.probabilities)
        i += n
        many = Segmenter.from_bytes(many.to_bytes())
    assert np.array_equal(np.concatenate(found), expected)
    assert np.array_equal(np.concatenate(probabilities), sure, equal_nan=True)
    assert many.to_bytes() == one.to_bytes()
    many.finish()
    assert len(expected) + len(many.new_labels.labels) == len(X)
    if not gaps:
        # the first row of which the last of 16 has a value is the first that is kept
        naive = naive_lagged(X[5:], lag)
        assert np.array_equal(found[0], np.full(len(found[0]), -1))
        assert np.array_equal(np.concatenate(found)[5:], naive[: len(expected) - 5])


def test_a_lag_is_a_number_of_points_without_a_model():
    with pytest.raises(ValueError, match="lag is -1"):
        Segmenter(lag=-1)
    with pytest.raises(ValueError, match="lag is 5, which goes without a model"):
        Segmenter(OnlineGMM(2), lag=5)
    segmenter = Segmenter(lag=5)
    assert segmenter.look_back(0) is None
    with pytest.raises(ValueError, match="lag is 6; this segmenter looks back 0 to 5"):
        segmenter.look_back(6)
    with pytest.raises(ValueError, match="lag is 0, so there are no labels"):
        _ = Segmenter().new_labels


# -- a learner that begins with what was found -----------------------------------------------------


def seeded(make, X, segmenter):
    mixture = segmenter.mixture
    return make(mixture.n_components, seed=1).fit_start(
        pd.DataFrame(X, columns=list(NAMES)), mixture=mixture
    )


@pytest.mark.parametrize("make", [OnlineGMM, OnlineHMM])
@pytest.mark.parametrize("constant", [False, True])
def test_a_learner_begins_with_the_regimes_that_were_found(make, constant):
    """Its labels are those of the segmenter, though they are in no order of the levels."""
    rng = np.random.default_rng(7)
    level = np.repeat([40.0, 0.0, 80.0, 20.0, 40.0, 80.0, 20.0, 0.0], 300)
    X = np.column_stack([rng.normal(level, 1.0), rng.normal(5.0, 0.1, len(level))])
    if constant:
        X[:, 1] = 5.0
    segmenter = Segmenter()
    labels = segmenter.label_many(pd.DataFrame(X, columns=list(NAMES)))
    assert segmenter.labels == (0, 1, 2, 3)
    model = seeded(make, X, segmenter)
    assert model.labels == segmenter.labels
    means = np.array([[center[name] for name in NAMES] for center in model.centers.values()])
    assert np.allclose(means, segmenter.mixture.means, atol=0.5)
    found = model.predict_many(pd.DataFrame(X, columns=list(NAMES)))
    assert np.mean(found == labels) > 0.98
    # and it goes on from there
    later = np.column_stack([rng.normal(level, 1.0), X[:, 1]])
    answers = model.label_then_learn_many(pd.DataFrame(later, columns=list(NAMES)))
    truth = [{40.0: 0, 0.0: 1, 80.0: 2, 20.0: 3}[its] for its in level]
    assert np.mean(answers.labels == truth) > 0.98
    assert model.labels == segmenter.labels


@pytest.mark.parametrize("make", [OnlineGMM, OnlineHMM])
def test_a_mixture_that_does_not_fit_is_refused(make):
    X = stream(4, seed=3)
    segmenter, _ = learnt(X)
    mixture = segmenter.mixture
    frame = pd.DataFrame(X, columns=list(NAMES))
    for model, rows, said in [
        (make(3, seed=1), frame, "mixture has 2 components, and n_components is 3"),
        (make(2, seed=1, order_by="flow"), frame, "order_by is 'flow', and the components of"),
        (make(2, seed=1), X, "features 'flow', 'vibration', and the points have 0, 1"),
    ]:
        with pytest.raises(ValueError, match=said):
            model.fit_start(rows, mixture=mixture)
        assert not model.is_started
        assert model._given is None
    model = make(2, seed=1)
    for x in points(X[:150]):
        model.learn_one(x)
    model.fit_start(mixture=mixture)
    assert model.labels == (0, 1)
    swapped = make("auto", seed=1).fit_start(frame, mixture=mixture.reordered([1, 0]))
    assert (
        np.mean(swapped.predict_many(frame) == seeded(make, X, segmenter).predict_many(frame)) < 0.1
    )


# -- beside a model -------------------------------------------------------------------------------


def test_parameters_of_one_way_are_refused_by_the_other():
    with pytest.raises(ValueError, match="min_dwell"):
        Segmenter(min_dwell=3)
    with pytest.raises(ValueError, match="window"):
        Segmenter(OnlineGMM(2), window=8)
    with pytest.raises(ValueError, match="window"):
        Segmenter(window=2)
    with pytest.raises(ValueError, match="confirm"):
        Segmenter(confirm=0)
    with pytest.raises(ValueError, match="finds the regimes itself"):
        Segmenter().segment_one({"x": 1.0}, 0)


def test_in_a_pipeline_and_cloned():
    X = stream(4, seed=15)
    pipeline = compose.Select(*NAMES) | preprocessing.StandardScaler() | Segmenter(confirm=1.5)
    for x in points(X):
        pipeline.learn_one({**x, "name": "pump"})
    segmenter = pipeline[-1]
    assert segmenter.n_points == len(X)
    clone = segmenter.clone()
    assert clone.confirm == 1.5
    assert clone.n_points == 0


def test_the_mixture_is_that_of_the_rows(length):
    X = stream(length, seed=16)
    segmenter, told = learnt(X)
    segments = [event for event in told if isinstance(event, Segment)]
    segments.append(segmenter.current)
    mixture = segmenter.mixture
    assert mixture.features == NAMES
    for label, mean, covariance in zip(
        segmenter.labels, mixture.means, mixture.covariances, strict=True
    ):
        rows = np.concatenate([X[s.start : s.end + 1] for s in segments if s.label == label])
        expected = RowStatistics.of(rows)
        np.testing.assert_allclose(mean, expected.means, atol=0.5)
        np.testing.assert_allclose(np.diagonal(covariance), expected.variances, rtol=0.3)
    assert (mixture.predict(pd.DataFrame(X[:100], columns=NAMES)) == 0).mean() > 0.95


# -- two devices ----------------------------------------------------------------------------------


def test_regimes_of_two_devices_are_pooled(length):
    one, _ = learnt(stream(length, seed=17))
    other, _ = learnt(stream(length + 1, seed=18)[400:])  # begins in the other mode
    before = one.to_bytes(), other.to_bytes()
    both = pool([one, other, Segmenter()])
    assert both.numbers[2] == {}
    for number, card in both.regimes.items():
        parts = [
            segmenter.regimes[label]
            for segmenter, numbers in zip((one, other), both.numbers, strict=False)
            for label, place in numbers.items()
            if place == number
        ]
        assert card.n == sum(part.n for part in parts)
        assert card.visits == sum(part.visits for part in parts)
        mean = sum(part.n * part.mean["flow"] for part in parts) / card.n
        assert card.mean["flow"] == pytest.approx(mean)
    largest = sorted(both.regimes.values(), key=lambda card: -card.n)[:2]
    assert sorted(card.mean["flow"] for card in largest) == pytest.approx([0.2, 40.0], abs=6.0)
    assert both.mixture.means.shape == (len(both.regimes), 2)
    assert (one.to_bytes(), other.to_bytes()) == before


def test_devices_of_other_channels_are_not_pooled():
    one, _ = learnt(stream(2, seed=19))
    other, _ = learnt(stream(2, seed=19), names=("flow", "noise"))
    with pytest.raises(ValueError, match="'noise'"):
        pool([one, other])
    with pytest.raises(ValueError, match="knows a regime"):
        pool([Segmenter()])
    with pytest.raises(TypeError, match=r"'one' is none; of a dict give its values\(\)"):
        pool({"one": one})


def test_events_are_told_in_words():
    assert str(RegimeEvent("born", 1, 643)) == "regime 1 born at 643"
    assert str(RegimeEvent("merged", 3, 900, 1)) == "regime 3 merged into 1 at 900"


def test_a_second_pass_looks_at_the_features_that_are_named():
    frame = pd.DataFrame(stream(2, seed=19), columns=list(NAMES))
    found = Segmenter(features=["flow"]).second_pass(frame)
    assert [set(segment.mean) for segment in found.segments] == [{"flow"}] * 2


def test_a_finished_segment_counts_once_in_the_mixture():
    rng = np.random.default_rng(1)
    segmenter = Segmenter()
    segmenter.learn_many(rng.normal(np.repeat([0.0, 9.0], [300, 100]), 1.0)[:, None])
    segmenter.finish()
    shares = [card.share for card in segmenter.regimes.values()]
    np.testing.assert_allclose(segmenter.mixture.weights, shares)


# -- series whose regimes anybody sees -------------------------------------------------------------


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_varies_within_long_regimes_is_no_regime(seed):
    """Two regimes of some 8,000 points, whose level wanders by less than they are apart."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0.0, 1.5, 160), rng.integers(50, 150, 160))
    half = len(level) // 2
    level[half:] += 8.0
    segmenter = Segmenter()
    segmenter.learn_many(rng.normal(level)[:, None])
    changes = [its.at for its in segmenter.new_events if isinstance(its, RegimeChange)]
    assert segmenter.window_ in (96, 192)
    assert min(abs(at - half) for at in changes) < 192
    assert sum(at > half + 192 for at in changes) <= 4


def then_noisy(seed):
    """A quiet regime of 400 rows, and then one whose noise is 30 times that."""
    rng = np.random.default_rng([9, seed])
    is_noisy = np.arange(1000) >= 400
    return (rng.normal(size=1000) * np.where(is_noisy, 30.0, 1.0) + 90.0 * is_noisy)[:, None]


@pytest.mark.parametrize("window", [8, 16, 24])
def test_a_regime_noisier_than_those_before_is_one(window):
    found = []
    for seed in range(6):
        segmenter = Segmenter(window=window)
        segmenter.learn_many(then_noisy(seed))
        found += [its.at for its in segmenter.new_events if isinstance(its, RegimeChange)]
    assert sum(abs(at - 400) <= window for at in found) == 6
    assert len(found) <= 10


@pytest.mark.parametrize("seed", [0, 1, 4, 9])
def test_a_change_that_two_windows_see_is_told_once(seed):
    """Short windows tell it, and longer ones answer before they see it."""
    segmenter = Segmenter()
    segmenter.learn_many(then_noisy(seed))
    events = segmenter.new_events
    [change] = [its for its in events if isinstance(its, RegimeChange)]
    assert abs(change.at - 400) <= 1
    assert [its.kind for its in events if isinstance(its, RegimeEvent)] == ["born", "born"]


@pytest.mark.parametrize("seed", range(10))
def test_a_noisier_regime_is_not_merged_into_the_one_before(seed):
    segmenter = Segmenter()
    segmenter.learn_many(then_noisy(seed))
    told = [its for its in segmenter.new_events if isinstance(its, RegimeEvent)]
    assert all(its.into != 0 for its in told)


@pytest.mark.parametrize(("slowness", "most"), [(3.0, 1.1), (10.0, 1.1), (20.0, 1.15), (40.0, 1.3)])
@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_the_way_from_a_level_to_the_next_is_no_regime(slowness, most, noise):
    """Beside a setpoint, a channel that approaches it by 1/slowness of the gap in each row."""
    found, true = 0, 0
    for seed in range(3):
        rng = np.random.default_rng([3, seed])
        level = np.repeat(rng.permuted(np.tile([40.0, 60.0, 80.0], 4)), 250)
        reached = following(level, slowness)
        X = np.column_stack([level, reached + rng.normal(0.0, noise, len(level))])
        segmenter = Segmenter()
        segmenter.learn_many(X)
        changes = [its.at for its in segmenter.new_events if isinstance(its, RegimeChange)]
        true_changes = np.flatnonzero(np.diff(level)) + 1
        near = [min(abs(np.array(changes) - at)) <= 3 for at in true_changes[1:]]
        assert np.mean(near) > 0.8
        found += len(changes)
        true += len(true_changes)
    assert found <= most * true, found / true


@pytest.mark.parametrize("jump", [3.0, 6.0, 12.0, 40.0])
def test_a_level_that_changes_and_comes_back(jump):
    """A step up and a step back, in the first of two channels: two changes, and a return.

    With seeds that nobody has chosen; the step is in standard deviations.
    """
    for seed in range(8):
        rng = np.random.default_rng(seed)
        level = np.repeat([0.0, jump, 0.0], 300)
        X = np.column_stack([level + rng.normal(size=900), rng.normal(size=900)])
        segmenter = Segmenter()
        segmenter.learn_many(X)
        segmenter.finish()
        changes = changes_of(segmenter.events)
        assert [(c.before, c.after) for c in changes] == [(0, 1), (1, 0)], (seed, changes)
        np.testing.assert_allclose([c.at for c in changes], [300, 600], atol=6)


@pytest.mark.parametrize("kept", [1, 5, 40])
def test_rows_without_a_value_at_the_beginning_are_in_its_state(kept):
    segmenter = Segmenter()
    for i in range(kept):
        segmenter.learn_one({"a": None if i % 2 == 0 else float(i), "b": None})
    again = Segmenter.from_bytes(segmenter.to_bytes())
    assert again.n_points == segmenter.n_points == kept
    assert again.to_bytes() == segmenter.to_bytes()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_regime_that_was_one_that_is_known_is_merged(seed):
    """The event is told once; the number that goes is not used again, and nothing is lost."""
    rng = np.random.default_rng(seed)
    gaps = [6.0 - 0.5 * i for i in range(8)]
    level = np.concatenate([rng.normal(gap * (i % 2), 1.0, 200) for i, gap in enumerate(gaps)])
    segmenter = Segmenter()
    told = []
    for i, value in enumerate(level.tolist()):
        segmenter.learn_one({"level": value})
        told += [(i, event) for event in segmenter.new_events]
    (merged,) = [its for its in told if getattr(its[1], "kind", "") == "merged"]
    when, event = merged
    assert event.at <= when
    (born,) = [
        i for i, its in told if getattr(its, "kind", "") == "born" and its.label == event.label
    ]
    assert born < when
    assert event.into in segmenter.labels
    assert event.label not in segmenter.labels
    assert event.label not in segmenter.regimes
    for i, its in told:
        if i > when and not isinstance(its, RegimeEvent):
            numbers = (its.label,) if isinstance(its, Segment) else (its.before, its.after)
            assert event.label not in numbers
    assert sum(card.n for card in segmenter.regimes.values()) == len(level)
    many = Segmenter()
    many.learn_many(level[:, None])
    kinds = [(e.kind, e.label, e.at, e.into) for e in many.new_events if isinstance(e, RegimeEvent)]
    assert kinds == [(e.kind, e.label, e.at, e.into) for _, e in told if isinstance(e, RegimeEvent)]


@on_one_kernel
@pytest.mark.parametrize("sd", [0.1, 1.0, 3.0])
def test_a_switch_beside_noisy_channels_that_change_with_it_makes_no_further_regime(kernel, sd):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        on = np.arange(900) // 300 % 2 == 0
        flow = rng.normal(np.where(on, 40.0, 0.0), sd)
        pressure = rng.normal(np.where(on, 6.0, 8.0), 0.1)
        model = Segmenter()
        model.label_many(pd.DataFrame({"flow": flow, "pressure": pressure, "on": on}))
        assert model.segments_["start"].tolist() == [0, 300, 600]
        assert model.segments_["label"].tolist() == [0, 1, 0]


@on_one_kernel
@pytest.mark.parametrize("seed", range(4))
def test_a_temperature_that_follows_slowly_is_not_cut_into_steps(kernel, seed):
    """A flow that jumps, and what it heats: the shortest windows see steps all the way."""
    rng = np.random.default_rng([5, seed])
    stays = (600 * rng.uniform(0.6, 1.4, 12)).astype(int)
    on = np.repeat(np.arange(len(stays)) % 2, stays)[:6000]
    temperature = np.empty(len(on))
    now = 20.0
    for i, is_on in enumerate(on):
        now += ((60.0 if is_on else 20.0) - now) / 60.0
        temperature[i] = now
    X = np.column_stack(
        [rng.normal(temperature, 0.3), rng.normal(np.where(on == 1, 15.0, 0.0), 0.5)]
    )
    model = Segmenter(features=("temperature", "flow"))
    model.label_then_learn_many(X)
    found = [event for event in model.new_events if isinstance(event, RegimeChange)]
    assert len(found) <= 5 * np.count_nonzero(np.diff(on))


@pytest.mark.parametrize("how", ["one", "many", "parts", "bytes"])
def test_points_before_all_values_count_in_the_numbers_of_points(how):
    """So that changes are where they are in the series, and labels at their rows."""
    X = np.random.default_rng(1).normal(np.repeat([40.0, 2.0, 40.0], 300), 1.0)[:, None]
    X[:100] = np.nan
    segmenter = Segmenter(features=[0])
    if how == "one":
        for (x,) in X.tolist():
            segmenter.learn_one({0: x})
    elif how == "many":
        segmenter.learn_many(X)
    else:
        for part in np.split(X, 9):
            segmenter.learn_many(part)
            if how == "bytes":
                segmenter = Segmenter.from_bytes(segmenter.to_bytes())
    changes = [event for event in segmenter.events if isinstance(event, RegimeChange)]
    assert [change.at for change in changes] == [300, 600]
    assert [change.known_at - change.at for change in changes] == [its.delay for its in changes]
    assert (segmenter.current.start, segmenter.current.end) == (600, 899)


def test_rows_before_all_values_shift_no_label():
    X = np.random.default_rng(1).normal(np.repeat([40.0, 2.0, 40.0], 300), 1.0)[:, None]
    X[:100] = np.nan
    segmenter = Segmenter()
    labels = segmenter.label_many(X)
    assert np.flatnonzero(np.diff(labels)).tolist() == [84, 299, 599]
    assert segmenter.segments_[["start", "end", "label"]].to_numpy().tolist() == [
        [85, 299, 0],
        [300, 599, 1],
        [600, 899, 0],
    ]
    assert labels[0] == -1
    assert np.flatnonzero(np.diff(regimes_of_rows(Segmenter(), X))).tolist() == [299, 599]
