"""Segments and changes of regime, against a segmentation made of the whole list of labels."""

import copy
import datetime
import itertools
import math
import pickle
import random
import tracemalloc
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import base, checks, cluster, datasets, evaluate, metrics, preprocessing

from online_gmm import HalfLife, OnlineGMM, OnlineHMM
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.segments import RegimeChange, Segment


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""


class Told(base.Clusterer):
    """Labels a point as its key ``label`` says, with the probability under ``p``."""

    def learn_one(self, x):
        if x.get("label") == "bad":
            raise ValueError("refused")

    def predict_one(self, x):
        return x["label"]

    def predict_proba_one(self, x):
        return {x["label"]: x["p"], -1: 1.0 - x["p"]}


class Later(base.Clusterer):
    """Labels the point of ``lag`` steps ago as its key ``label`` says, once it has started."""

    def __init__(self, lag=3, warm_up=0):
        self.lag = lag
        self.warm_up = warm_up
        self.smoothed = None
        self._points = []

    @property
    def is_started(self):
        return len(self._points) >= self.warm_up

    def learn_one(self, x):
        self._points.append(x)
        n = len(self._points) - 1 - self.lag
        if n >= self.warm_up:
            past = self._points[n]
            self.smoothed = SimpleNamespace(n=n, label=past["label"], probability=past["p"])

    def predict_one(self, x):
        return 99


def naive(labels, p, min_dwell, confirm):
    """Segments (first, last, label) and changes (first, before, after, confidence, delay)."""
    n = len(labels)
    runs, at = [], 0
    for label, points in itertools.groupby(labels):
        length = len(list(points))
        runs.append((at, length, label))
        at += length
    confirmed = [(first, label) for first, length, label in runs if length >= confirm]

    def without_repeats(parts):
        return [part for i, part in enumerate(parts) if i == 0 or parts[i - 1][1] != part[1]]

    parts = without_repeats(confirmed)
    dwelling = []
    for (first, label), (end, _) in itertools.pairwise([*parts, (n, None)]):
        bearing = [i for i in range(first, end) if labels[i] == label]
        if bearing[-1] - first + 1 >= min_dwell:
            dwelling.append((first, label))
    parts = without_repeats(dwelling)
    if not parts:
        return [(0, n - 1, None)], []
    firsts = [0] + [first for first, _ in parts[1:]] + [n]
    segments = [
        (firsts[i], firsts[i + 1] - 1, label) for i, (_, label) in enumerate(parts)
    ]  # fmt: skip
    changes = []
    for (_, before), (first, after) in itertools.pairwise(parts):
        told = next(
            i
            for i in range(first + max(min_dwell, confirm) - 1, n)
            if labels[i] == after and set(labels[first : first + confirm]) == {after}
        )
        bearing = [i for i in range(first, told + 1) if labels[i] == after]
        changes.append((first, before, after, np.mean(p[bearing]), told - first))
    return segments, changes


def check_tables(segments, changes, labels, p, rows, min_dwell, confirm, lag=0):
    """What the segmenter found is what the whole list of labels says."""
    expected, expected_changes = naive(labels, p, min_dwell, confirm)
    assert [(s.start, s.end) for s in segments] == [(first, last) for first, last, _ in expected]
    for found, (first, last, label) in zip(segments, expected, strict=True):
        within = slice(first, last + 1)
        if label is None:
            most = Counter(labels[within]).most_common(1)[0][1]
            assert Counter(labels[within])[found.label] == most
        else:
            assert found.label == label
        bearing = np.array(labels[within]) == found.label
        assert found.n == last - first + 1
        assert found.probability == pytest.approx(np.mean(p[within][bearing]))
        for j, name in enumerate("xy"):
            column = rows[within, j][~np.isnan(rows[within, j])]
            if len(column):
                assert found.mean[name] == pytest.approx(column.mean(), abs=1e-9)
                assert found.sd[name] == pytest.approx(column.std(), abs=1e-6)
            else:
                assert math.isnan(found.mean[name])
                assert math.isnan(found.sd[name])
    assert len(changes) == len(expected_changes)
    for change, (first, before, after, confidence, delay) in zip(
        changes, expected_changes, strict=True
    ):
        assert (change.at, change.before, change.after) == (first, before, after)
        assert change.probability == pytest.approx(confidence)
        assert change.delay == delay + lag


streams = given(
    labels=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 6)), min_size=1, max_size=25
    ).map(lambda runs: [label for label, length in runs for _ in range(length)]),
    seed=st.integers(0, 10_000),
    min_dwell=st.integers(1, 9),
    confirm=st.integers(1, 5),
)  # fmt: skip


def points_of(labels, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(1e4, 3.0, (len(labels), 2))
    rows[rng.random(rows.shape) < 0.2] = math.nan
    p = rng.random(len(labels))
    points = [
        {"label": label, "p": share, "x": x, "y": None if math.isnan(y) else y}
        for label, share, (x, y) in zip(labels, p.tolist(), rows.tolist(), strict=True)
    ]
    return points, rows, p


def split(found):
    found = list(found)
    return (
        [item for item in found if isinstance(item, Segment)],
        [item for item in found if isinstance(item, RegimeChange)],
    )


@settings(max_examples=300, deadline=None)
@streams
def test_against_the_whole_list(labels, seed, min_dwell, confirm):
    points, rows, p = points_of(labels, seed)
    segmenter = Segmenter(Told(), min_dwell=min_dwell, confirm=confirm)
    check_tables(*split(segmenter.stream(points)), labels, p, rows, min_dwell, confirm)


@settings(max_examples=200, deadline=None)
@streams
def test_what_must_hold(labels, seed, min_dwell, confirm):
    points, _, _ = points_of(labels, seed)
    segments, changes = split(
        Segmenter(Told(), min_dwell=min_dwell, confirm=confirm).stream(points)
    )
    assert segments[0].start == 0
    assert segments[-1].end == len(points) - 1
    assert sum(s.n for s in segments) == len(points)
    for one, other, change in zip(segments, segments[1:], changes, strict=False):
        assert other.start == one.end + 1 == change.at
        assert (one.label, other.label) == (change.before, change.after)
        assert one.label != other.label
        assert one.n >= min_dwell
        assert change.delay >= max(confirm, min_dwell) - 1
    assert len(changes) == len(segments) - 1


@settings(max_examples=100, deadline=None)
@streams
def test_current_is_what_the_end_would_give_and_predicting_changes_nothing(
    labels, seed, min_dwell, confirm
):
    points, _, _ = points_of(labels, seed)
    segmenter = Segmenter(Told(), min_dwell=min_dwell, confirm=confirm)
    regime = None
    for n, point in enumerate(points):
        before = pickle.dumps(segmenter)
        ahead = segmenter.predict_one(point)
        assert pickle.dumps(segmenter) == before
        segmenter.learn_one(point)
        if segmenter.drift_detected:
            regime = segmenter.change.after
            assert segmenter.closed.label == segmenter.change.before
            assert segmenter.current.start == segmenter.change.at
        else:
            assert segmenter.closed is None
        if regime is not None:
            assert ahead == segmenter.current.label == regime
        assert segmenter.current.end == n
        assert repr(segmenter.current) == repr(copy.deepcopy(segmenter).finish())


@settings(max_examples=100, deadline=None)
@streams
def test_smoothed_labels_go_with_their_points(labels, seed, min_dwell, confirm):
    lag = seed % 5
    points, rows, p = points_of([0] * 2 + labels, seed)
    segmenter = Segmenter(Later(lag, 2), min_dwell=min_dwell, confirm=confirm, smoothed=True)
    found = []
    for n, point in enumerate(points):
        segmenter.learn_one(point)
        found += filter(None, (segmenter.closed, segmenter.change))
        # the points of the warm start are no segment's
        assert (segmenter.current is None) == (n < 2 + lag)
    last = segmenter.finish()
    if len(labels) <= lag:
        assert last is None
        return
    segments, changes = split(found)
    assert sum(s.n for s in [*segments, last]) == len(labels)
    assert last.end == len(points) - 1
    # the last points have no smoothed label, and end the last segment
    known = labels[: len(labels) - lag]
    expected, _ = naive(known, p[2:], min_dwell, confirm)
    firsts = [2 + first for first, _, _ in expected]
    assert [s.start for s in [*segments, last]] == firsts
    for s in [*segments, last]:
        column = rows[s.start : s.end + 1, 0]
        column = column[~np.isnan(column)]
        assert (
            math.isnan(s.mean["x"])
            if not len(column)
            else s.mean["x"] == pytest.approx(column.mean())
        )
    _, told = naive(known, p[2:], min_dwell, confirm)
    assert [(c.at - 2, c.delay - lag) for c in changes] == [(c[0], c[4]) for c in told]
    np.testing.assert_allclose([c.probability for c in changes], [c[3] for c in told])


def test_smoothed_needs_a_lag():
    with pytest.raises(ValueError, match="no smoothed labels"):
        Segmenter(Told(), smoothed=True)
    with pytest.raises(ValueError, match="no smoothed labels"):
        Segmenter(preprocessing.StandardScaler() | OnlineGMM(2), smoothed=True)
    assert Segmenter(preprocessing.StandardScaler() | Later(2), smoothed=True).current is None


@pytest.mark.parametrize("options", [{"min_dwell": 0}, {"confirm": 0}, {"confirm": math.nan}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is"):
        Segmenter(Told(), **options)


def labelled(labels, **more):
    return [{"label": int(label), "p": 0.9, **more} for label in labels]


def changes_of(labels, **options):
    found = Segmenter(Told(), **options).stream(labelled(labels))
    return [(c.at, c.after, c.delay) for c in split(found)[1]]


def test_examples_of_the_rule():
    assert changes_of("0010011") == [(2, 1, 0), (3, 0, 0), (5, 1, 0)]
    assert changes_of("0010011", confirm=2) == [(5, 1, 1)]
    # a blip does not take a candidate back; another confirmed label does
    assert changes_of("00000110111", confirm=2, min_dwell=5) == [(5, 1, 4)]
    assert changes_of("0000011001111", confirm=2, min_dwell=5) == []
    assert changes_of("0000011001111", confirm=2, min_dwell=3) == [(9, 1, 2)]
    # regimes too short to be one, in turns
    assert changes_of("000" + "1122" * 9, confirm=2, min_dwell=3) == []
    # the first regime reaches back to the first point
    (only,) = Segmenter(Told(), confirm=3).stream(labelled("201111"))
    assert (only.label, only.start, only.n) == (1, 0, 6)
    # nothing is ever confirmed: the label of most points
    (only,) = Segmenter(Told(), confirm=9).stream(labelled("20111"))
    assert (only.label, only.n) == (1, 5)
    assert list(Segmenter(Told()).stream([])) == []


def test_after_the_end_a_new_stream_begins():
    segmenter = Segmenter(Told())
    assert segmenter.finish() is None
    for point in labelled("0011"):
        segmenter.learn_one(point)
    assert segmenter.finish().start == 2
    assert segmenter.current is segmenter.closed is segmenter.finish() is None
    segmenter.learn_one(labelled("0")[0])
    assert segmenter.change is None
    assert (segmenter.current.start, segmenter.current.n) == (4, 1)


def test_a_refused_point_leaves_no_trace():
    for model in (Told(), Later(2)):
        segmenter = Segmenter(model, confirm=2, time="t", smoothed=hasattr(model, "lag"))
        for i, point in enumerate(labelled("000011")):
            segmenter.learn_one({**point, "t": i})
        before = pickle.dumps(segmenter)
        with pytest.raises(ValueError, match="no time"):
            segmenter.learn_one({"label": 0, "p": 0.5})
        assert pickle.dumps(segmenter) == before
    segmenter = Segmenter(Told())
    for label in (0, 1):
        segmenter.learn_one({"label": label, "p": 0.5})
    assert segmenter.drift_detected
    with pytest.raises(ValueError, match="refused"):
        segmenter.learn_one({"label": "bad", "p": 0.5})
    assert segmenter.drift_detected
    assert segmenter.current.n == 1

    # the model cannot label it
    with pytest.raises(KeyError, match="label"):
        segmenter.learn_one({"p": 0.5})
    assert segmenter.drift_detected
    assert segmenter.current.n == 1

    gmm = Segmenter(OnlineGMM(2, warm_up=5, seed=1))
    for x in [0.0, 9.0] * 5:
        gmm.learn_one({"x": x})
    before = pickle.dumps(gmm)
    for bad in (math.inf, "text"):
        with pytest.raises((TypeError, ValueError), match="feature 'x'"):
            gmm.learn_one({"x": bad})
    assert pickle.dumps(gmm) == before


def test_what_is_no_number_is_no_feature():
    segmenter = Segmenter(Told())
    for extra in (1, True, None, math.nan, math.inf, -(10**400), np.float32(4.0)):
        segmenter.learn_one({"label": 0, "p": 0.5, "x": extra, "note": "text", "empty": None})
    found = segmenter.finish()
    assert set(found.mean) == set(found.sd) == {"label", "p", "x", "empty"}
    assert found.mean["x"] == 2.0
    assert found.sd["x"] == pytest.approx(math.sqrt(2.0))
    assert math.isnan(found.mean["empty"])
    assert math.isnan(found.sd["empty"])


def test_features_may_come_later():
    segmenter = Segmenter(Told())
    for point in [*labelled("00"), *labelled("00", late=3.0)]:
        segmenter.learn_one(point)
    assert segmenter.current.mean["late"] == 3.0
    assert segmenter.current.n == 4


class Seeing(Told):
    """Remembers what it was shown."""

    def __init__(self):
        self.seen = []

    def learn_one(self, x):
        self.seen.append(set(x))


def test_times_are_handed_back_as_they_came():
    days = [datetime.datetime(2020, 1, day, tzinfo=datetime.UTC) for day in range(1, 7)]
    by_key = Segmenter(Seeing(), time="when")
    by_argument = Segmenter(Seeing())
    for point, day in zip(labelled("000111"), days, strict=True):
        by_key.learn_one({**point, "when": day})
        by_argument.learn_one(point, t=day)
    for segmenter in (by_key, by_argument):
        assert (segmenter.current.start, segmenter.current.end) == (days[3], days[5])
        assert segmenter.model.seen == [{"label", "p"}] * 6
    seconds = Segmenter(Told(), time="t")
    assert [
        (s.start, s.end)
        for s in split(seconds.stream({**x, "t": 0.5 * i} for i, x in enumerate(labelled("001"))))[
            0
        ]
    ] == [(0.0, 0.5), (1.0, 1.0)]


def sensor(n, seed, length=50):
    """Two levels in turns."""
    rng = random.Random(seed)
    for i in range(n):
        yield {"x": rng.gauss(10.0 * (i // length % 2), 1.0)}


@pytest.mark.parametrize("way", ["key", "argument"])
def test_a_learner_that_needs_times_gets_them(way):
    step_size = HalfLife(seconds=1e6)
    time = "t" if way == "key" else None
    model = OnlineGMM(2, warm_up=100, step_size=step_size, time=time, seed=1)
    by_hand = OnlineGMM(2, warm_up=100, step_size=step_size, seed=1)
    segmenter = Segmenter(model, time=time)
    for i, x in enumerate(sensor(300, 1)):
        by_hand.learn_one(x, t=i / 4)
        if way == "key":
            segmenter.learn_one({**x, "t": i / 4})
        else:
            segmenter.learn_one(x, t=i / 4)
    np.testing.assert_array_equal(model.mixture.means, by_hand.mixture.means)
    assert (segmenter.current.start, segmenter.current.end) == (62.5, 74.75)
    assert set(segmenter.current.mean) == {"x"}


def test_a_chain_in_continuous_time_is_asked_with_the_times():
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(10.0, 600))
    values = rng.normal(3.0 * (times // 1000 % 2))
    options = {"warm_up": 200, "seed": 1}
    by_argument = Segmenter(OnlineHMM(2, **options))
    by_key = Segmenter(OnlineHMM(2, time="t", **options), time="t")
    for t, value in zip(times.tolist(), values.tolist(), strict=True):
        by_argument.learn_one({"x": value}, t)
        by_key.learn_one({"x": value, "t": t})
        assert by_argument.new_events == by_key.new_events
    late = times[-1] + 1e5
    x = {"x": 1.5}
    for ask in ("predict_one", "predict_proba_one", "assign_one", "score_one"):
        assert getattr(by_argument, ask)(x, late) == getattr(by_key, ask)({**x, "t": late})


def test_labels_are_those_before_learning():
    points = list(sensor(600, 2))
    segmenter = Segmenter(OnlineGMM(2, warm_up=100, seed=1), confirm=2, min_dwell=4)
    by_hand = OnlineGMM(2, warm_up=100, seed=1)
    found, labels, p, first = [], [], [], None
    for i, x in enumerate(points):
        if by_hand.is_started:
            first = i if first is None else first
            assigned = by_hand.assign_one(x)
            labels.append(assigned.label)
            p.append(assigned.probability)
        by_hand.learn_one(x)
        segmenter.learn_one(x)
        found += filter(None, (segmenter.closed, segmenter.change))
        assert (segmenter.current is None) == (first is None)
    assert 100 <= first < 150
    segments, changes = split([*found, segmenter.finish()])
    expected, told = naive(labels, np.array(p), 4, 2)
    assert [(s.start - first, s.end - first, s.label) for s in segments] == expected
    assert [c.delay for c in changes] == [c[4] for c in told]
    assert len(segments) == 10
    values = np.array([x["x"] for x in points])
    for s in segments:
        assert s.mean["x"] == pytest.approx(values[s.start : s.end + 1].mean())
        bearing = [p[i - first] for i in range(s.start, s.end + 1) if labels[i - first] == s.label]
        assert s.probability == pytest.approx(np.mean(bearing))


@pytest.mark.parametrize("outside", [True, False])
def test_in_and_around_a_pipeline(outside):
    scaler, k_means = preprocessing.StandardScaler(), cluster.KMeans(2, halflife=0.1, seed=3)
    if outside:
        model = segmenter = Segmenter(scaler | k_means, confirm=3)
    else:
        model = scaler | Segmenter(k_means, confirm=3)
        segmenter = model["Segmenter"]
    by_hand = preprocessing.StandardScaler() | cluster.KMeans(2, halflife=0.1, seed=3)
    labels, changes = [], []
    points = list(sensor(500, 4))
    for x in points:
        labels.append(by_hand.predict_one(x))
        by_hand.learn_one(x)
        model.learn_one(x)
        changes += filter(None, [segmenter.change])
    p = np.full(len(labels), math.nan)
    expected, told = naive(labels, p, 1, 3)
    assert [(c.at, c.before, c.after, c.delay) for c in changes] == [(*c[:3], c[4]) for c in told]
    assert 5 <= len(changes) <= 15
    assert math.isnan(changes[0].probability)
    assert segmenter.current.label == expected[-1][2]
    assert math.isnan(segmenter.current.probability)
    if outside:
        last = [x["x"] for x in points[segmenter.current.start :]]
        assert segmenter.current.mean["x"] == pytest.approx(np.mean(last))


def test_progressive_validation():
    points = [(x, i // 50 % 2) for i, x in enumerate(sensor(3000, 5))]

    def score(last):
        model = preprocessing.StandardScaler() | last
        return evaluate.progressive_val_score(points, model, metrics.AdjustedRand()).get()

    gmm = OnlineGMM(2, warm_up=100, seed=1)
    assert score(Segmenter(gmm.clone())) == score(gmm) > 0.5


@pytest.mark.parametrize(
    "model",
    [cluster.CluStream(), cluster.DBSTREAM(), cluster.DenStream(), cluster.STREAMKMeans()],
    ids=str,
)
def test_clusterers_of_river(model):
    segmenter = Segmenter(model, confirm=2)
    segments = split(segmenter.stream(sensor(300, 6)))[0]
    # those that cannot label the first point before they have learnt it pass it over
    assert sum(s.n for s in segments) in (299, 300)
    assert segments[-1].end == 299


def test_labels_known_already():
    by_model, by_label = Segmenter(Told(), confirm=2), Segmenter(Told(), confirm=2)
    for i, x in enumerate(labelled("0011010111", x=3.0)):
        by_model.learn_one(x, t=f"day {i}")
        by_label.segment_one(x, x["label"], x["p"], t=f"day {i}")
        assert by_model.current == by_label.current
        assert by_model.change == by_label.change
    assert by_model.current.start == "day 2"


@pytest.mark.parametrize(
    ("often", "options"),
    [
        ([0, 0, 0, 1, 1, None], {}),
        ([0, 0, 0, 1, 1, None], {"confirm": 2, "min_dwell": 3}),
        # a single segment, with labels never seen before in it
        ([0, 0, 0, None], {"confirm": 3}),
    ],
)
def test_memory_does_not_grow_with_the_stream(often, options):
    rng = random.Random(1)
    segmenter = Segmenter(Told(), **options)

    def feed(n):
        for i in range(n):
            label = rng.choice(often)
            label = 10 + i if label is None else label
            segmenter.learn_one({"label": label, "p": 0.5, "x": rng.random()})

    feed(2_000)
    tracemalloc.start()
    feed(10_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000
    assert segmenter.current.end == 11_999


@pytest.mark.parametrize("params", [*Segmenter._unit_test_params()], ids=str)
def test_rivers_checks(params):
    model = Segmenter(**params)
    for check in checks.yield_checks(model):
        check(model.clone())
    for name in (
        "learn_one",
        "pickling",
        "shuffle_features_no_impact",
        "emerging_features",
        "disappearing_features",
        "predict_one_before_any_learn",
        "no_state_aliasing_with_input",
        "clone_is_independent",
        "bounded_memory_growth",
    ):
        points = list(datasets.TrumpApproval().take(100))
        getattr(checks.common, f"check_{name}")(model.clone(), points)


def test_clones_start_afresh_and_copies_go_on_the_same():
    points = list(sensor(400, 7))
    segmenter = Segmenter(preprocessing.StandardScaler() | OnlineGMM(2, warm_up=50, seed=1))
    for x in points[:250]:
        segmenter.learn_one(x)
    copied = pickle.loads(pickle.dumps(segmenter))
    fresh = segmenter.clone({"confirm": 5})
    assert fresh.confirm == 5
    assert fresh.current is None
    assert not fresh.model["OnlineGMM"].is_started
    for x in points[250:]:
        segmenter.learn_one(x)
        copied.learn_one(x)
        assert segmenter.current == copied.current


@pytest.mark.parametrize(("min_dwell", "confirm"), [(1, 1), (4, 1), (1, 3), (6, 2)])
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_segment_many_is_segment_one_of_each_in_turn(min_dwell, confirm, timed, seed):
    rng = np.random.default_rng(seed)
    n = 300
    labels = rng.integers(3, size=n)[np.maximum.accumulate(np.arange(n) * (rng.random(n) < 0.3))]
    probabilities = np.where(rng.random(n) < 0.05, np.nan, rng.random(n))
    X = rng.normal(size=(n, 2)) * 10.0 ** rng.integers(-3, 9)
    X[rng.random((n, 2)) < 0.1] = np.nan
    times = [f"t{i}" for i in range(n)] if timed else None
    one, many = (Segmenter(OnlineGMM(2), min_dwell=min_dwell, confirm=confirm) for _ in range(2))
    cuts = sorted({0, n, *rng.integers(n, size=5).tolist()})
    if seed >= 6:
        # batches of one row, and of two
        cuts = list(range(0, n + 1, seed - 5))
    ends = set(rng.choice(cuts, 1).tolist()) if seed % 2 else set()
    for begin, end in itertools.pairwise(cuts):
        changes, closed = [], []
        for i in range(begin, end):
            x = dict(zip("ab", X[i].tolist(), strict=True))
            one.segment_one(x, int(labels[i]), float(probabilities[i]), times and times[i])
            changes.append(one.change is not None)
            closed += [] if one.closed is None else [one.closed]
        rows = slice(begin, end)
        found = many.segment_many(
            X[rows], ["a", "b"], labels[rows], probabilities[rows], times and times[rows]
        )
        assert found.changes.tolist() == changes
        assert repr(found.closed()) == repr(closed)
        assert repr((many.change, many.closed)) == repr((one.change, one.closed))
        assert repr(many.current) == repr(one.current)
        assert many.to_bytes() == one.to_bytes()
        if end in ends:
            assert repr(many.finish()) == repr(one.finish())


def test_points_of_which_nothing_is_known_are_in_no_segment():
    labels = [-1, -1, 0, 0, -1, 0, 1, 1, -1, 1]
    X, sure = np.arange(10.0)[:, None], np.full(10, 0.5)
    one, many = Segmenter(OnlineGMM(2)), Segmenter(OnlineGMM(2))
    for i, label in enumerate(labels):
        one.segment_one({"x": float(i)}, label, 0.5)
        assert one.drift_detected == (i == 6)
    found = many.segment_many(X, ["x"], np.array(labels), sure)
    (first,), last = found.closed(), many.finish()
    assert np.flatnonzero(found.changes).tolist() == [6]
    assert (first.label, first.start, first.end, first.n) == (0, 2, 5, 3)
    assert first.mean == {"x": pytest.approx(10 / 3)}
    assert (last.label, last.start, last.end, last.n) == (1, 6, 9, 3)
    assert one.finish() == last
