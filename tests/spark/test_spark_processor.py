"""The processor without the engine: labels, order, rows that come twice, states, time-outs."""

import math
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import Row

from online_gmm import HalfLife, OnlineGMM, OnlineHMM, Segmenter
from online_gmm.data.state import StateError
from online_gmm.spark import Track, TrackOptions, packing, processor
from online_gmm.spark.live import LiveTracks
from online_gmm.spark.packing import packed
from replay.engine.batch import Batch
from replay.engine.order import SeriesOptions
from replay.engine.rows import Row as Read
from replay.engine.series import Series
from tests.spark.rows import Engine, columns, fleet, plain_loop, unpacked

GOLDEN = Path(__file__).parent / "golden"
VALUES = ("level", "load")
GMM = {"n_components": 2, "warm_up": 40, "n_init": 2, "seed": 1, "features": VALUES}
MODELS = {
    "mixture": lambda: OnlineGMM(**GMM),
    "few points kept": lambda: OnlineGMM(**GMM, capacity=50, covariance_type="diag"),
    "recycled": lambda: OnlineGMM(**GMM, recycle=True, step_size=HalfLife(points=60)),
    "fading": lambda: OnlineGMM(**GMM, step_size=HalfLife(seconds=900.0)),
    "chain": lambda: OnlineHMM(**GMM, capacity=150),
    "timed chain": lambda: OnlineHMM(**GMM, time="t", capacity=150),
}
AT_ONCE = TrackOptions(VALUES)
TIMED = ("fading", "timed chain")


def engine_of(model, options=AT_ONCE, **more):
    return Engine(model, options, **more)


def shuffled(rows, seed):
    return rows.sample(frac=1.0, random_state=seed)


def run(engine, rows, n_batches=6, **how):
    """The answers to rows in batches, each in disorder and in several packs."""
    answers = []
    for i in range(n_batches):
        batch = rows.iloc[len(rows) * i // n_batches : len(rows) * (i + 1) // n_batches]
        answers += engine.label(shuffled(batch, i), chunk=37, **how)
    return answers


def track_of(engine, key):
    return Track.from_bytes(engine.state(key))


@pytest.mark.parametrize("name", MODELS)
def test_labels_are_those_of_a_plain_loop(name):
    rows = fleet(5, 200)
    found = unpacked(run(engine_of(MODELS[name]()), rows))
    expected = plain_loop(rows, MODELS[name], timed=name in TIMED)
    assert sorted(found) == sorted(expected)
    assert len({row[2] for row in found}) > 1
    assert any(row[4] for row in found)


@pytest.mark.parametrize("name", ["mixture", "recycled", "chain", "timed chain"])
def test_rows_of_the_warm_up_are_held_as_replay_holds_them(name):
    rows = fleet(3, 150)
    engine = engine_of(MODELS[name](), TrackOptions(VALUES, hold=True), timeout=1000)
    answers = run(engine, rows.iloc[:-6])
    # a key whose warm-up is not complete waits, and says what it can when it is forgotten
    late = rows.iloc[-6:].assign(device="d9", t=1.8e9 + np.arange(6))
    answers += engine.label(late)
    assert not [a for a in answers if a["key"] == "d9"]
    answers += engine.setProcessingTime(1000)
    expected = []
    all_rows = pd.concat([rows.iloc[:-6], late])
    for key, its in all_rows.groupby("device"):
        series = Series(MODELS[name](), SeriesOptions(late="skip"))
        told = []
        for i, (t, *values) in enumerate(its[["t", *VALUES]].itertuples(index=False)):
            x = dict(zip(VALUES, values, strict=True))
            pieces, _ = series.label(Batch.of_rows([Read(i, str(t), (), x, t, key)]))
            told += [piece.labelled for piece in pieces]
        expected += [
            (key, row.seconds, known.label, known.probability, change)
            for labelled in [*told, *series.finish()]
            for row, known, change in labelled.rows()
        ]
    assert sorted(unpacked(answers)) == sorted(expected)
    assert engine.state("d9") is None


def regimes(n_keys, n_rows):
    """Rows of keys that stay in a regime for 150 rows."""
    rows = fleet(n_keys, n_rows)
    turn = np.arange(len(rows)) // n_keys // 150 % 2
    rows["level"] += 9.0 * turn
    return rows


@pytest.mark.parametrize("lag", [0, 7, 60])
@pytest.mark.parametrize("more", [{}, {"time": "t", "max_gap": 100.0, "window": "150s"}])
def test_the_segmenter_labels_keys_as_by_itself(lag, more):
    """Also with a lag, over batches, states and a gap; what waits comes out of a silent key."""
    rows = regimes(2, 500)
    rows.loc[rows["n"] > 420, "t"] += 3600.0
    model = Segmenter(lag=lag, features=VALUES, **more).learner
    engine = engine_of(model, timeout=1000)
    answers = run(engine, rows)
    n_waiting = sum(len(track_of(engine, key)._waiting) for key in ("d0", "d1"))
    assert n_waiting == 2 * lag
    answers += engine.setProcessingTime(1000)
    expected = []
    for key, its in rows.groupby("device"):
        segmenter, labels, sure = Segmenter(lag=lag, features=VALUES, **more), [], []
        for t, level, load in its[["t", *VALUES]].itertuples(index=False):
            x = {"level": level, "load": load, **({"t": t} if more else {})}
            known = segmenter.assign_one(x)
            segmenter.learn_one(x)
            labels += segmenter.new_labels.labels.tolist() if lag else [known.label]
            sure += segmenter.new_labels.probabilities.tolist() if lag else [known.probability]
        segmenter.finish()
        if lag:
            labels += segmenter.new_labels.labels.tolist()
            sure += segmenter.new_labels.probabilities.tolist()
        assert len(set(labels) - {-1}) > 1
        for i, (t, label, probability) in enumerate(zip(its["t"], labels, sure, strict=True)):
            known = None if math.isnan(probability) else probability
            changes = i > 0 and labels[i - 1] not in (-1, label)
            expected.append((key, t, label, known, changes))
    assert sorted(unpacked(answers)) == sorted(expected)


def test_a_key_goes_on_from_the_bytes_of_a_segmenter():
    rows = regimes(1, 400)
    segmenter = Segmenter(lag=20, features=VALUES)
    segmenter.learn_many(rows[list(VALUES)].iloc[:200])
    track = Track.from_bytes(segmenter.to_bytes())
    assert track.model.to_bytes() == segmenter.learner.to_bytes()


@pytest.mark.parametrize("hold", [False, True])
def test_a_chain_with_a_lag_labels_rows_as_replay_does(hold):
    rows = fleet(2, 150)
    engine = engine_of(OnlineHMM(**GMM, lag=9), TrackOptions(VALUES, hold=hold), timeout=1000)
    answers = run(engine, rows)
    answers += engine.setProcessingTime(1000)
    expected = []
    for key, its in rows.groupby("device"):
        series = Series(OnlineHMM(**GMM, lag=9), SeriesOptions(late="skip"))
        told = []
        for i, (t, *values) in enumerate(its[["t", *VALUES]].itertuples(index=False)):
            x = dict(zip(VALUES, values, strict=True))
            pieces, _ = series.label(Batch.of_rows([Read(i, str(t), (), x, t, key)]))
            told += [piece.labelled for piece in pieces]
        of_key = [
            (key, row.seconds, known.label, known.probability, change)
            for labelled in [*told, *series.finish()]
            for row, known, change in labelled.rows()
        ]
        if not hold:
            # rows come at once until the warm start ends
            model, xs = OnlineHMM(**GMM), iter(its[list(VALUES)].to_dict("records"))
            while not model.is_started:
                model.learn_one(next(xs))
            at_once = [(*row[:2], -1, None, False) for row in of_key[: model.n_points]]
            of_key = [*at_once, (*of_key[len(at_once)][:4], False), *of_key[len(at_once) + 1 :]]
        expected += of_key
    assert sorted(unpacked(answers)) == sorted(expected)


def test_a_sensor_that_never_says_anything_does_not_fill_the_state():
    engine = engine_of(OnlineGMM(**GMM), TrackOptions(VALUES, hold=True))
    rows = fleet(1, 500).assign(level=math.nan, load=math.nan)
    answers = run(engine, rows)
    assert len(unpacked(answers)) == 401
    assert {row[2:4] for row in unpacked(answers)} == {(-1, None)}
    assert len(track_of(engine, "d0").to_bytes()) < 4000


def test_what_comes_twice_is_dropped_by_time():
    rows = fleet(2, 120)
    doubled = pd.concat([rows, rows.iloc[:60], rows.iloc[30:]]).sort_index(kind="stable")
    engine = engine_of(OnlineGMM(**GMM))
    found = unpacked(run(engine, doubled))
    found += unpacked(run(engine, rows.iloc[100:]))
    assert sorted(found) == sorted(plain_loop(rows, lambda: OnlineGMM(**GMM)))
    tracks = [track_of(engine, key) for key in ("d0", "d1")]
    assert sum(t.n_duplicates + t.n_late for t in tracks) == len(doubled) - len(rows) + 140
    # the last row of each key is the only one that is not before the last
    assert sum(t.n_late for t in tracks) > 0


def test_what_comes_twice_is_dropped_by_number():
    """Though times do not tell rows apart, and late ones are learnt."""
    rows = fleet(2, 120).assign(t=lambda its: its["t"] // 40)
    doubled = pd.concat([rows, rows.iloc[60:]]).sort_index(kind="stable")
    engine = engine_of(OnlineGMM(**GMM), TrackOptions(VALUES, late="learn"), sequence=True)
    answers = run(engine, doubled, sequence=True)
    assert sorted(unpacked(answers)) == sorted(plain_loop(rows, lambda: OnlineGMM(**GMM)))
    numbers = [
        n for answer in answers if answer["key"] == "d1" for n in answer["sequence"].tolist()
    ]
    assert numbers == list(range(1, 121))
    assert track_of(engine, "d0").n_duplicates == 90
    assert track_of(engine, "d0").n_late == 0


def test_a_device_may_count_anew_at_a_later_time():
    rows = fleet(1, 120)
    rows["n"] = [*range(1, 71), *range(1, 51)]
    engine = engine_of(OnlineGMM(**GMM), sequence=True)
    found = unpacked(run(engine, rows, sequence=True))
    assert sorted(found) == sorted(plain_loop(rows, lambda: OnlineGMM(**GMM)))
    # but rows that come again are not new because the count is
    assert run(engine, rows.iloc[80:], sequence=True) == []
    assert track_of(engine, "d0").n_duplicates == 40


def test_rows_that_cannot_be_learnt_are_counted():
    rows = fleet(2, 100)
    bad = rows.astype({"t": object, "n": object})
    cells = [("t", pd.NA), ("t", math.inf), ("t", math.nan), ("n", pd.NA), ("level", math.inf)]
    cells += [("load", -2e150), ("level", 1e300)]
    for i, (column, value) in enumerate(cells):
        bad.loc[10 + 2 * i, column] = value
    engine = engine_of(OnlineGMM(**GMM), sequence=True)
    found = unpacked(run(engine, bad, sequence=True))
    good = rows.drop(index=range(10, 24, 2))
    assert sorted(found) == sorted(plain_loop(good, lambda: OnlineGMM(**GMM)))
    assert track_of(engine, "d0").n_refused == 7
    assert track_of(engine, "d1").n_refused == 0


def test_rows_are_packed_whatever_batches_they_come_in(monkeypatch):
    """One pack a bucket, but for those of more rows than are packed together."""
    rows = fleet(3, 100)
    table = columns(rows, pa.float64(), sequence=True)
    (whole,) = packed([table.to_batches()[0]])
    assert whole.column("bucket").to_pylist() == [0, 1]
    (several,) = packed(table.to_batches(7))
    assert several.equals(whole)
    monkeypatch.setattr(packing, "TOGETHER", 120)
    parts = list(packed(table.to_batches(50)))
    assert [part.num_rows for part in parts] == [2, 2]
    for bucket in (0, 1):
        told = [part.slice(bucket, 1).to_pylist()[0] for part in parts]
        for (key, its, refused), expected in zip(
            packing.unpacked([Row(**pack) for pack in told], packing.STAMPS["double"], 2),
            (["d0", "d1"], ["d2"])[bucket],
            strict=True,
        ):
            of_key = rows[rows["device"] == expected]
            assert (key, refused) == (expected, 0)
            np.testing.assert_array_equal(its.stamps, of_key["t"])
            np.testing.assert_array_equal(its.sequence, of_key["n"])
            np.testing.assert_array_equal(its.values, of_key[list(VALUES)])
    assert list(packed([])) == []
    nothing = pa.RecordBatch.from_pylist([], table.schema)
    assert list(packed([nothing])) == []


def test_a_batch_of_nothing_but_bad_rows_says_nothing():
    engine = engine_of(OnlineGMM(**GMM))
    rows = fleet(1, 3).assign(level=math.inf)
    assert engine.label(rows) == []
    assert track_of(engine, "d0").n_refused == 3


def test_order_within_a_batch_does_not_matter_even_for_equal_times():
    rows = fleet(1, 90).assign(t=lambda its: its["t"] // 30)
    answers = []
    for seed in range(4):
        engine = engine_of(OnlineGMM(**GMM), TrackOptions(VALUES, late="learn"))
        answers.append(unpacked(engine.label(shuffled(rows, seed), chunk=20 + seed)))
    assert len(answers[0]) == 90
    assert all(answer == answers[0] for answer in answers)


def test_times_that_are_whole_come_back_as_they_were():
    """Also where doubles no longer tell them apart."""
    start = 2**62 + 1
    rows = fleet(1, 60)
    rows["t"] = pd.Series(start + 1_000_003 * np.arange(60), dtype=object)
    options = TrackOptions(VALUES, unit=1e6, hold=True)
    engine = engine_of(OnlineGMM(**GMM), options, stamp="bigint")
    found = unpacked(run(engine, rows, stamp=pa.int64()))
    assert [row[1] for row in found] == [start + 1_000_003 * i for i in range(60)]


def test_seconds_are_those_of_the_unit():
    rows = fleet(1, 150)
    whole = rows.assign(t=(rows["t"] * 1e6).round().astype(np.int64).astype(object))
    engine = engine_of(MODELS["timed chain"](), TrackOptions(VALUES, unit=1e6), stamp="bigint")
    found = [row[2:] for row in unpacked(run(engine, whole, stamp=pa.int64()))]
    rows["t"] = [t / 1e6 for t in whole["t"]]
    assert found == [row[2:] for row in plain_loop(rows, MODELS["timed chain"], timed=True)]


# -- state ----------------------------------------------------------------------------------------


def test_a_batch_that_is_done_again_comes_out_the_same():
    """The state is all there is: what the processor has seen since leaves no trace."""
    rows = fleet(2, 160)
    engine = engine_of(MODELS["chain"]())
    run(engine, rows.iloc[:200])
    before = {key: engine.state(key) for key in ("d0", "d1")}
    batch = rows.iloc[200:]
    once = unpacked(run(engine, batch))
    after = {key: engine.state(key) for key in before}
    for key, value in before.items():
        engine.restore(key, value)
    assert unpacked(run(engine, batch)) == once
    assert {key: engine.state(key) for key in before} == after


def test_keys_go_on_from_what_is_known_of_them():
    rows = fleet(3, 200)
    first, rest = rows.iloc[:300], rows.iloc[300:]
    engine = engine_of(MODELS["mixture"]())
    run(engine, first)
    learner = MODELS["mixture"]()
    for x in first[first["device"] == "d1"][list(VALUES)].to_dict("records"):
        learner.learn_one(x)
    initial = {"d0": engine.state("d0"), "d1": learner.to_bytes()}
    found = unpacked(run(engine_of(MODELS["mixture"](), initial=initial), rest))
    whole = [row for row in plain_loop(rows, MODELS["mixture"]) if row[0] != "d2"]
    whole = [row for row in whole if row[1] >= rest["t"].min()]
    of = {row[:2]: row for row in found}
    assert [of[row[:2]] for row in whole if row[0] == "d0"] == [r for r in whole if r[0] == "d0"]
    # a learner alone has no label of a row before
    told = [of[row[:2]][:4] for row in whole if row[0] == "d1"]
    assert told == [row[:4] for row in whole if row[0] == "d1"]
    alone = plain_loop(rest[rest["device"] == "d2"], MODELS["mixture"])
    assert [row for row in found if row[0] == "d2"] == alone


@pytest.mark.parametrize("n_batches", [1, 60])
def test_a_learner_that_was_told_no_features_goes_on_too(n_batches):
    """It knows its features by name, and not in which order rows have them."""
    rows = fleet(1, 200)
    first, rest = rows.iloc[:100], rows.iloc[100:]
    told = []
    for features in (None, VALUES):
        learner = OnlineGMM(**GMM | {"features": features})
        for x in first[list(VALUES)].to_dict("records"):
            learner.learn_one(x)
        initial = {"d0": learner.to_bytes()}
        told.append(unpacked(run(engine_of(OnlineGMM(**GMM), initial=initial), rest, n_batches)))
    assert told[0] == told[1]
    assert len(told[0]) == 100


def test_what_comes_again_after_a_start_from_states_is_dropped():
    rows = fleet(1, 100)
    engine = engine_of(MODELS["mixture"]())
    run(engine, rows)
    state = engine.state("d0")
    again = engine_of(MODELS["mixture"](), initial={"d0": state})
    assert run(again, rows) == []


def test_a_learner_that_has_started_is_where_every_key_begins():
    rows = fleet(3, 60)
    history = fleet(1, 300, seed=2)[list(VALUES)]

    def begun():
        return OnlineGMM(**GMM).fit_start(history)

    found = unpacked(run(engine_of(begun()), rows))
    assert sorted(found) == sorted(plain_loop(rows, begun))


@pytest.mark.parametrize("kind", ["mixture", "chain"])
def test_keys_that_share_a_model_have_one_set_of_regimes(kind):
    """Each is labelled as by a copy of the model that follows it alone and learns nothing."""
    rows = fleet(3, 90)
    model = MODELS[kind]().fit_start(fleet(1, 300, seed=2)[list(VALUES)])
    before = model.to_bytes()
    engine = engine_of(model, TrackOptions(VALUES, shared=True))
    found = {row[:2]: row for row in unpacked(run(engine, rows))}
    assert len(found) == len(rows)
    for key, its in rows.sort_values("t").groupby("device"):
        table = its[list(VALUES)].to_numpy()
        if kind == "mixture":
            expected = model.predict_proba_many(table)
        else:
            # the recursion in one go, from the stationary distribution on
            alone = OnlineHMM.from_bytes(before)
            alone.reset_state()
            expected = alone.predict_proba_many(table)
        has_values = ~np.isnan(table).all(axis=1)
        for t, values, known in zip(its["t"], has_values, expected, strict=True):
            if values:
                label, probability = found[key, t][2:4]
                assert label == model.labels[known.argmax()]
                assert probability == pytest.approx(known.max(), rel=1e-9)
    assert model.to_bytes() == before
    state = engine.state("d0")
    assert len(state) < 300
    with pytest.raises(StateError, match="shares the model of all keys"):
        Track.from_bytes(bytes(state))
    assert Track.from_bytes(bytes(state), model).to_bytes() == bytes(state)


def test_a_learner_is_no_state_of_a_key_that_shares_one():
    rows = fleet(1, 60)
    model = OnlineGMM(**GMM).fit_start(fleet(1, 300, seed=2)[list(VALUES)])
    initial = {"d0": model.to_bytes()}
    with pytest.raises(StateError, match="all keys share one"):
        run(engine_of(model, TrackOptions(VALUES, shared=True), initial=initial), rows)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda data: b"\x02\x00" + data[2:], "key 'd0': .* of version 2.* up to 1; update it"),
        (lambda data: b"\xff\x7f", "of version 32767"),
        (lambda data: b"\x00\x00" + data[2:], "are no state of a key"),
        (lambda data: b"", "0 bytes are no state of a key"),
        (lambda data: data[:-3], "damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "checksum"),
        (lambda data: Segmenter(OnlineGMM(2)).to_bytes(), "of type Segmenter; that of a learner"),
    ],
)
def test_states_that_cannot_be_read_are_refused(spoilt, said):
    rows = fleet(1, 60)
    engine = engine_of(MODELS["mixture"]())
    run(engine, rows)
    engine.restore("d0", spoilt(engine.state("d0")))
    with pytest.raises(StateError, match=said):
        engine.label(rows)


@pytest.mark.parametrize(("name", "until_fit"), [("started", 60), ("held", 80)])
def test_states_that_a_release_has_written_are_read(name, until_fit):
    """Written by tests/spark/golden/make.py, once for a version.

    The state decides what is said of the rows up to the next fit, which is today's.
    """
    data = (GOLDEN / f"track-{name}-1.state").read_bytes()
    its = msgspec.json.decode((GOLDEN / f"track-{name}-1.json").read_bytes())
    engine = engine_of(MODELS["mixture"](), TrackOptions(VALUES, hold=True))
    engine.restore("d0", data)
    rows = fleet(1, 200)
    found = unpacked(engine.label(rows))
    assert len(found) == len(its["told"]) == 200 - (100 if name == "started" else 0)
    # since then rows without a value carry the label of the row before
    empty = rows[list(VALUES)].isna().all(axis=1).to_numpy()[-len(found) :]
    after = np.append(False, empty[:-1])
    others = 0
    for i, (row, (t, label, probability, change)) in enumerate(
        zip(found, its["told"], strict=True)
    ):
        if empty[i]:
            continue
        if i < until_fit:
            assert row[:4] == ("d0", t, label, pytest.approx(probability, abs=1e-9))
            assert row[4] == change or after[i]
        else:
            others += row[2] != label
    assert others <= 3
    track = track_of(engine, "d0")
    assert [track.n_duplicates, track.n_late, track.n_refused] == its["counts"]


def test_keys_of_a_bucket_that_have_no_rows_stay_as_they_are():
    rows = fleet(2, 120)
    engine = engine_of(MODELS["mixture"]())
    run(engine, rows)
    before = engine.state("d0"), engine.state("d1")
    engine.label(rows.iloc[1::2].assign(t=lambda its: its["t"] + 1e5))
    assert engine.state("d0") == before[0]
    assert engine.state("d1") != before[1]


@pytest.mark.parametrize("name", [*MODELS, "segmenter"])
def test_it_does_not_matter_whether_a_key_is_read_or_was_kept(name, monkeypatch):
    rows = fleet(3, 200)
    told = []
    for most in (0, 10_000, 2**20):
        monkeypatch.setattr(processor, "LIVE", LiveTracks(most))
        make = MODELS.get(name, Segmenter(lag=7, features=VALUES).learner.clone)
        engine = engine_of(make())
        answers = unpacked(run(engine, rows, 12))
        told.append((answers, [engine.state(key) for key in ("d0", "d1", "d2")]))
    assert told[0] == told[1] == told[2]


def test_of_keys_so_many_bytes_are_kept_the_last_ones():
    tracks = [Track(OnlineGMM(2, seed=seed)) for seed in range(4)]
    states = [track.to_bytes() for track in tracks]
    live = LiveTracks(3 * len(states[0]))
    for state, track in zip(states, tracks, strict=True):
        live.keep(state, track)
    live.keep(bytes(10**6), tracks[0])
    assert [live.take(state) for state in states] == [None, *tracks[1:]]
    assert live.take(states[1]) is None


def test_a_query_stays_with_its_number_of_buckets():
    """Elsewhere a key would begin anew, and nobody would notice."""
    rows = fleet(1, 60)
    engine = engine_of(MODELS["mixture"](), buckets=7)
    run(engine, rows)
    other = engine_of(MODELS["mixture"](), buckets=8)
    other.updateValueState("m", 0, engine.peekValueState("m", 0))
    with pytest.raises(StateError, match=r"in 7 buckets.* made with buckets=8; make it with"):
        other.label(rows)


# -- silence --------------------------------------------------------------------------------------


def test_a_silent_key_is_forgotten_and_no_other():
    rows = fleet(2, 120)
    engine = engine_of(OnlineGMM(**GMM), timeout=60_000)
    engine.setProcessingTime(1_000)
    first = rows.iloc[:200]
    run(engine, first)
    engine.setProcessingTime(50_000)
    engine.label(rows.iloc[201:220:2])
    engine.setProcessingTime(61_000)
    assert engine.state("d0") is None
    assert track_of(engine, "d1").model.n_points > 0
    engine.setProcessingTime(109_999)
    assert engine.state("d1") is not None
    engine.setProcessingTime(110_000)
    assert engine.state("d1") is None
    # what comes then is of a new key, which is forgotten in its turn
    alone = rows[rows["device"] == "d0"]
    found = unpacked(engine.label(alone))
    assert found == plain_loop(alone, lambda: OnlineGMM(**GMM))
    engine.setProcessingTime(170_000)
    assert engine.state("d0") is None


def test_a_key_that_begins_with_a_state_is_forgotten_too():
    state = OnlineGMM(**GMM).to_bytes()
    initial = {"d0": state}
    engine = engine_of(OnlineGMM(**GMM), timeout=1000, initial=initial)
    engine.setProcessingTime(999)
    assert engine.state("d0") is not None
    engine.setProcessingTime(1000)
    assert engine.state("d0") is None


# -- without PySpark ------------------------------------------------------------------------------


def test_where_there_is_no_pyspark_it_is_said_how_to_get_it():
    code = "import sys; sys.modules['pyspark'] = None; import online_gmm, online_gmm.spark"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert (
        "ImportError: online_gmm.spark needs PySpark: pip install 'online-gmm[spark]'" in ran.stderr
    )
