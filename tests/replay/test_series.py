"""A series: what it makes of times and numbers, and that it goes on from its bytes exactly."""

import math
import random

import numpy as np
import pytest
from batches import finish, label, rows_in

from replay.engine.batch import Batch
from replay.engine.fleet import Fleet
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError, Row
from replay.engine.series import Series
from replay.engine.settings import Settings

VALUES = ("level", "load")
SETTINGS = {
    "mixture": Settings(regimes=2, warm_up=40),
    "recycled": Settings(regimes=2, warm_up=40, recycle=True),
    "half-life": Settings(regimes="auto", warm_up=60, half_life=300.0),
    "chain": Settings(regimes=2, warm_up=40, persist=True),
    "lagged": Settings(regimes=2, warm_up=40, persist=True, lag=9, stickiness=25.0),
    "timed": Settings(regimes=2, warm_up=40, persist=True, lag=3, irregular=True),
    "timed at once": Settings(regimes=2, warm_up=40, persist=True, irregular=True),
}


class Columns:
    """As much of a source as settings ask for."""

    values = VALUES
    time = "t"
    timed = True


def rows_of(n, seed=1, key=""):
    rng = random.Random(seed)
    regime, seconds = 0, 0.0
    for i in range(n):
        regime ^= rng.random() < 0.03
        seconds += rng.expovariate(1.0)
        level = math.nan if rng.random() < 0.05 else rng.gauss(9.0 * regime, 1.0)
        load = rng.gauss(-4.0 * regime, 1.0)
        values = {"level": level, "load": load}
        yield Row(i + 2, f"{seconds:.3f}", (f"{level}", f"{load}"), values, seconds, key, i)


def series_of(name="mixture", **options):
    return Series(SETTINGS[name].model(Columns), SeriesOptions(**options))


@pytest.mark.parametrize("name", SETTINGS)
def test_goes_on_from_its_bytes(name):
    """After any of these rows, and in one go."""
    rows = list(rows_of(500))
    whole = series_of(name, min_dwell=3, confirm=2, max_gap=4.0)
    cuts = (0, 17, 40, 41, 333, 499)
    expected, kept = [], {}
    for i, row in enumerate(rows):
        if i in cuts:
            kept[i] = whole.to_bytes(), len(expected)
        expected += label(whole, [row])
    at_the_end, rest, last = whole.to_bytes(), repr(finish(whole)), repr(whole.last_segment)
    for cut, (state, n) in kept.items():
        again = Series.from_bytes(state, VALUES, whole.options)
        assert repr(label(again, rows[cut:])) == repr(expected[n:])
        assert again.to_bytes() == at_the_end
        assert repr(finish(again)) == rest
        assert repr(again.last_segment) == last
        for count in ("n_segments", "n_changes"):
            assert getattr(again, count) == getattr(whole, count) > 0
        assert again.order.n_gaps == whole.order.n_gaps > 0
        assert again.summary.state() == whole.summary.state()
    assert len(kept) == len(cuts)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_row_comes_out_once_and_in_order(name):
    rows = list(rows_of(500))
    series = series_of(name)
    labelled = [*label(series, rows), *finish(series)]
    assert repr([row.row for row in labelled]) == repr(rows)
    closed = [row.closed for row in labelled if row.closed] + [series.last_segment]
    assert sum(segment.n for segment in closed) == 500 == series.summary.n_rows
    assert len(closed) == series.n_segments


def test_rows_that_come_twice_are_dropped():
    rows = list(rows_of(300))
    once, twice = series_of("chain"), series_of("chain")
    expected = label(once, rows)
    again = [row for i in range(0, 300, 50) for row in rows[max(0, i - 20) : i + 50]]
    assert repr(label(twice, again)) == repr(expected)
    assert twice.order.n_duplicates == 100
    assert once.order.n_duplicates == twice.order.n_lost == 0
    assert twice.model.to_bytes() == once.model.to_bytes()


def test_without_numbers_times_tell():
    rows = [row._replace(sequence=None) for row in rows_of(300)]
    once, twice = series_of(), series_of(late="skip")
    expected = label(once, rows)
    assert repr(label(twice, [*rows[:100], *rows[60:]])) == repr(expected)
    assert (twice.order.n_duplicates, twice.order.n_late) == (1, 39)
    label(twice, [rows[-1], rows[-1], rows[-2]])
    assert (twice.order.n_duplicates, twice.order.n_late) == (3, 40)


def test_numbers_that_never_came_are_counted():
    series = series_of()
    label(series, [row for row in rows_of(200) if row.sequence not in (0, 50, 51, 52, 120)])
    # what was before the first one cannot be known
    assert series.order.n_lost == 4


def test_a_device_that_counts_anew():
    rows = list(rows_of(300))
    anew = [row._replace(sequence=row.sequence - rows[200].sequence) for row in rows[200:]]
    once, twice = series_of(), series_of()
    expected = label(once, rows)
    found = label(twice, [*rows[:200], *anew[:50], *anew[20:]])
    assert [row.assignment for row in found] == [row.assignment for row in expected]
    assert (twice.order.n_duplicates, twice.order.n_lost) == (30, 0)


def test_late_rows():
    rows = [row._replace(sequence=None) for row in rows_of(100)]
    late = [*rows[:80], rows[40], *rows[80:]]
    with pytest.raises(InputError, match=r"line 42: time '.+' is not after '.+' in line 81; sort"):
        label(series_of(), late)
    learnt = series_of(late="learn")
    label(learnt, late)
    assert learnt.summary.n_rows == 101
    assert learnt.order.n_late == 0


def gapped(shift=1000.0):
    for row in rows_of(400):
        late = shift if row.line > 250 else 0.0
        yield row._replace(seconds=row.seconds + late)


def test_a_gap_ends_the_segment():
    series = series_of(max_gap=100.0)
    labelled = [*label(series, gapped()), *finish(series)]
    assert series.order.n_gaps == 1
    # the segment that the gap has closed comes with the row after it
    at = next(row for row in labelled if row.row.line == 251)
    assert at.closed.end[0] == 249
    assert not at.change
    within = series_of(max_gap=2000.0)
    label(within, gapped())
    assert within.order.n_gaps == 0


@pytest.mark.parametrize("on_gap", ["reset", "hold"])
def test_a_gap_is_longer_than_the_longest_allowed(on_gap):
    """Rows exactly ``max_gap`` apart follow each other; the next larger double is a gap."""
    row = next(rows_of(1))
    apart = [row._replace(line=i, seconds=12.0 * i, sequence=i) for i in range(60)]
    series = series_of(max_gap=12.0, on_gap=on_gap)
    label(series, apart)
    assert series.order.n_gaps == 0
    longer = series_of(max_gap=math.nextafter(12.0, 0.0), on_gap=on_gap)
    label(longer, apart)
    assert longer.order.n_gaps == 59


def test_numbers_at_their_bounds():
    """The next number follows, the same one is a duplicate, one more than the next loses one."""
    rows = list(rows_of(7))
    numbers = (5, 6, 6, 4, 8, 9, 12)
    # the time does not go on at a number that has been there
    seconds = (0.0, 1.0, 1.0, 0.5, 2.0, 3.0, 4.0)
    series = series_of()
    label(
        series,
        [
            row._replace(sequence=number, seconds=at)
            for row, number, at in zip(rows, numbers, seconds, strict=True)
        ],
    )
    assert (series.order.n_duplicates, series.order.n_lost) == (2, 1 + 2)


@pytest.mark.parametrize(
    ("seconds", "key", "advice"),
    [
        (2.0, "", "sort the rows, or say --late skip or --late learn"),
        (2.0, "a", "sort the rows, or say --late skip or --late learn"),
        (
            *(30.0 - 3600.0, ""),
            "it steps back by exactly an hour, as clocks that are set back for winter do: name the "
            "zone, as in --time-zone Europe/Berlin",
        ),
    ],
)
def test_a_late_row_is_refused_by_its_line(seconds, key, advice):
    row = next(rows_of(1))._replace(sequence=None, key=key)
    before = [
        row._replace(line=i + 2, seconds=10.0 * i, time=f"{10 * i} s", values={"level": 1.0})
        for i in range(3)
    ]
    with pytest.raises(InputError) as raised:
        label(series_of(), [*before, row._replace(line=5, seconds=seconds, time="then")])
    of = f" of {key!r}" if key else ""
    assert str(raised.value) == (f"line 5: time 'then'{of} is not after '20 s' in line 4; {advice}")


def test_a_row_waits_for_as_many_as_the_lag():
    """Its label is what the learner knows of it then."""
    rows = list(rows_of(300))
    series, model = series_of("lagged"), SETTINGS["lagged"].model(Columns)
    known = []
    for row in rows:
        model.learn_one(row.values, row.seconds if model.time else None)
        known.append(model.smoothed)
    found = []
    for i, row in enumerate(rows):
        found += label(series, [row])
        if i >= 60:
            # the warm start, of 40 rows, is over
            assert len(found) == i + 1 - 9
    differ = 0
    for row, its in zip(found, known[9:], strict=True):
        if its is not None and row.row.line > 60:
            assert row.assignment.label == its.label
            assert row.assignment.probability == its.probability
            differ += 1
    assert differ > 200


@pytest.mark.parametrize(("earlier", "steps"), [(3600.0, 1), (3599.0, 0), (3601.0, 0)])
def test_a_step_back_is_an_hour(earlier, steps):
    row = next(rows_of(1))
    seconds = [0.0, 10.0, 20.0, 30.0 - earlier]
    series = series_of(late="skip")
    label(series, [row._replace(line=i, seconds=s, sequence=None) for i, s in enumerate(seconds)])
    assert (series.order.n_steps_back, series.order.n_late) == (steps, 1)


@pytest.mark.parametrize("late", ["skip", "learn"])
def test_rows_that_all_come_again_are_no_step_back(late):
    """Though one of them is an hour before the row that was due."""
    row = next(rows_of(1))
    seconds = [*range(0, 7200, 60)] * 2
    series = series_of(late=late)
    label(series, [row._replace(line=i, seconds=s, sequence=None) for i, s in enumerate(seconds)])
    assert series.order.n_steps_back == 0


@pytest.mark.parametrize("name", ["chain", "timed"])
def test_after_a_gap_the_regime_is_not_known(name):
    series, held = series_of(name, max_gap=12.0), series_of(name, max_gap=12.0, on_gap="hold")
    rows = list(gapped())
    for one in (series, held):
        label(one, rows[:249])
    nothing = rows[249]._replace(values=dict.fromkeys(VALUES, math.nan))
    probability = {}
    for one in (series, held):
        (*_, last) = [
            row for row in [*label(one, [nothing]), *finish(one)] if row.row.line == nothing.line
        ]
        probability[one] = last.assignment.probability
    assert probability[series] < 0.72 < probability[held]
    assert held.order.n_gaps == 1


def test_a_key_without_values_does_not_stop_the_others():
    series = series_of()
    empty = [row._replace(values=dict.fromkeys(VALUES, math.nan)) for row in rows_of(5)]
    assert label(series, empty) == []
    assert [row.assignment.label for row in finish(series)] == [-1] * 5


@pytest.mark.parametrize("parking", [False, True])
def test_parked_series_come_back_exact(parking, tmp_path):
    def run(at_most):
        made = []

        def make():
            made.append(1)
            return series_of("lagged")

        fleet = Fleet(
            make,
            lambda data: Series.from_bytes(data, VALUES, SeriesOptions()),
            at_most,
            tmp_path / "parked" if parking and at_most else None,
        )
        streams = [rows_of(100, seed, f"k{seed}") for seed in range(7)]
        labelled = [
            repr(one)
            for turn in zip(*streams, strict=True)
            for row in turn
            for one in label(fleet[row.key], [row])
        ]
        assert list(fleet) == [f"k{seed}" for seed in range(7)]
        assert len(made) == len(fleet) == 7
        states = dict(fleet.states())
        again = Fleet(make, lambda data: Series.from_bytes(data, VALUES, SeriesOptions()), at_most)
        again.restore(states.items())
        assert dict(again.states()) == states
        assert len(made) == 7
        again.close()
        fleet.close()
        return labelled, states, fleet.n_parked

    everything = run(None)
    few = run(3)
    assert few[:2] == everything[:2]
    assert everything[2] == 0
    assert few[2] > 500


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "options", [{}, {"min_dwell": 3, "confirm": 2}, {"max_gap": 3.0, "late": "skip"}]
)
def test_a_batch_is_taken_as_its_rows_are(name, options):
    rows = list(rows_of(650))
    for i, row in enumerate(rows):
        if i == 350 or 450 <= i < 455:
            row.values.update({name: value * 1e5 for name, value in row.values.items()})
        if i == 400:
            row.values.update(dict.fromkeys(VALUES, math.nan))
        if i % 150 == 149 and "late" in options:
            rows[i] = rows[i - 5]
    rng = random.Random(1)
    one, many = series_of(name, **options), series_of(name, **options)
    at = 0
    while at < 650:
        end = min(at + rng.choice([1, 2, 30, 200]), 650)
        expected = label(one, rows[at:end])
        pieces, refusal = many.label(Batch.of_rows(rows[at:end]))
        assert refusal is None
        assert repr([its for piece in pieces for its in rows_in(piece.labelled)]) == repr(expected)
        assert [i for piece in pieces for i in piece.at] == sorted(
            i for piece in pieces for i in piece.at
        )
        assert many.to_bytes() == one.to_bytes()
        at = end
    for count in ("n_segments", "n_changes"):
        assert getattr(many, count) == getattr(one, count)
    for count in ("n_gaps", "n_duplicates", "n_late"):
        assert getattr(many.order, count) == getattr(one.order, count)
    assert one.n_changes > 10
    assert repr(finish(many)) == repr(finish(one))
    assert repr(many.last_segment) == repr(one.last_segment)
    assert many.summary.state() == one.summary.state()


@pytest.mark.parametrize("lag", [0, 70])
def test_found_segments_end_at_the_same_rows_in_batches_of_any_length(lag):
    """And the labels have the names that were given to them."""
    random_numbers = random.Random(5)
    rows = [
        Row(i + 2, f"{i}", (f"{x:.3f}", "1"), {"level": x, "load": 1.0}, float(i), "", i)
        for i in range(2400)
        for x in [random_numbers.gauss(9.0 * (i // 200 % 2), 1.0)]
    ]

    def told(length):
        model = Settings(finds=True, lag=lag).model(Columns)
        series = Series(model, SeriesOptions())
        found = []
        for at in range(0, len(rows), length):
            if at == 1200:
                series.model.rename(0, "idle")
            pieces, _ = series.label(Batch.of_rows(rows[at : at + length]))
            for labelled in [piece.labelled for piece in pieces]:
                lines, labels = labelled.batch.lines.tolist(), labelled.answers.labels.tolist()
                for i in np.flatnonzero(labelled.changes).tolist():
                    found.append((lines[i], "change"))
                for one in labelled.ended():
                    found.append((lines[one.row], one.segment.start, one.segment.label))
                if at >= 1200:
                    assert labelled.names == ["idle" if label == 0 else "" for label in labels]
        return sorted(found, key=repr)

    one_by_one = told(1)
    assert sum("change" in its for its in one_by_one) >= 8
    assert sum("change" not in its for its in one_by_one) >= 8
    assert told(50) == told(400) == one_by_one


def test_a_row_without_values_has_the_label_of_the_row_before():
    """Also where the row before is the first of a batch, and its label the first there is."""
    series = series_of()
    rows = [row._replace(sequence=None) for row in rows_of(106)]
    label(series, rows[:100])
    nothing = dict.fromkeys(VALUES, math.nan)
    labels = []
    for i, level in ((100, 0.0), (103, 9.0)):
        values = [nothing, {"level": level, "load": -4.0 * (level > 0)}, nothing]
        parts = [row._replace(values=x) for row, x in zip(rows[i : i + 3], values, strict=True)]
        before = series._said
        pieces = series.label(Batch.of_rows(parts[:1]))[0]
        pieces += series.label(Batch.of_rows(parts[1:]))[0]
        answers = [row.assignment for piece in pieces for row in rows_in(piece.labelled)]
        assert (answers[0].label, answers[0].probability) == before
        assert (answers[2].label, answers[2].probability) == answers[1][:2]
        labels.append(answers[1].label)
    assert sorted(labels) == [0, 1]


def test_a_belief_is_in_the_bytes():
    series = series_of()
    assert Series.from_bytes(series.to_bytes(), VALUES, series.options).belief is None
    series.belief = {0: 0.25, 1: 0.75}
    assert Series.from_bytes(series.to_bytes(), VALUES, series.options).belief == {0: 0.25, 1: 0.75}


def test_rows_before_a_late_one_are_labelled():
    rows = [row._replace(sequence=None) for row in rows_of(200)]
    rows[150] = rows[20]
    series = series_of()
    pieces, refusal = series.label(Batch.of_rows(rows))
    assert sum(len(piece.labelled) for piece in pieces) == refusal.row == 150
    assert "is not after" in str(refusal.error)


def test_a_fleet_keeps_the_order_of_rows():
    """Whatever is held, waits, or is left out in one of its series."""
    streams = [rows_of(200, seed, f"k{seed}") for seed in range(5)]
    rows = [row for turn in zip(*streams, strict=True) for row in turn]
    rows[400] = rows[30]

    def fleet_of():
        options = SeriesOptions(max_gap=3.0)
        return Fleet(
            lambda: series_of("lagged", max_gap=3.0),
            lambda state: Series.from_bytes(state, VALUES, options),
        )

    one, many = fleet_of(), fleet_of()
    expected = [
        its for row in rows for part in one.label(Batch.of_rows([row])) for its in rows_in(part)
    ]
    found = [
        its
        for at in range(0, len(rows), 130)
        for part in many.label(Batch.of_rows(rows[at : at + 130]))
        for its in rows_in(part)
    ]
    assert repr(found) == repr(expected)
    assert dict(one.states()) == dict(many.states())
    assert sum(row.closed is not None for row in found) > 20


def test_a_row_refused_by_one_series_ends_all():
    rows = [row._replace(sequence=None) for row in rows_of(100)]
    rows = [row._replace(key="ab"[i % 2]) for i, row in enumerate(rows)]
    rows[70] = rows[20]
    rows[75] = rows[21]
    fleet = Fleet(series_of, Series.from_bytes)
    found = []

    def run():
        for part in fleet.label(Batch.of_rows(rows)):
            found.extend(rows_in(part))

    with pytest.raises(InputError, match="is not after") as error:
        run()
    assert "'a'" in str(error.value)
    assert [one.row for one in found] == rows[: len(found)]
    assert len(found) <= 70
