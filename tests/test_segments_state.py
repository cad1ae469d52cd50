"""What is kept of segments, changes and events is read back as it was, or refused by name."""

import copy
import math

import msgspec
import numpy as np
import pytest

from online_gmm.data.state import _from_ext
from online_gmm.segmentation import segments as told
from online_gmm.segmentation.explanation import Reason
from online_gmm.segmentation.labelled import LabelledSegments, Point
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment

SEGMENT = Segment(3, 9.5, 2, 7, 0.25, {"a": 1.5, 8: -2.0}, {"a": 0.5, 8: 4.0})
WHY = (
    Reason("flow", "level", 40.0, 0.2, 0.75),
    Reason(("a", "b"), "correlation", 0.1, 0.9, 0.2),
    Reason(None, "other", 0.0, 0.0, 0.05),
)
CHANGE = RegimeChange(10, 14.5, 0, 3, 0.875, 4, 2.25, WHY)
BORN = RegimeEvent("born", 5, 33.0)
MERGED = RegimeEvent("merged", 5, 77, 2)


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""


def through_bytes(plain):
    """As it comes back from the bytes of a state."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(plain), ext_hook=_from_ext)


def test_segments_are_read_back():
    assert told.segment_state(SEGMENT) == [
        *(3, 9.5, 2, 7, 0.25),
        [["a", 1.5], [8, -2.0]],
        [["a", 0.5], [8, 4.0]],
    ]
    assert told.segment_from_state(through_bytes(told.segment_state(SEGMENT))) == SEGMENT


def test_changes_are_read_back():
    plain = told.change_state(CHANGE)
    assert plain[:7] == [10, 14.5, 0, 3, 0.875, 4, 2.25]
    assert plain[7][0] == ["flow", "level", 40.0, 0.2, 0.75]
    assert told.change_from_state(through_bytes(plain), None) == CHANGE


def test_changes_of_older_states_have_no_reasons():
    change = told.change_from_state([10, 0, 3, 0.875, 4], 14.5)
    assert (change.at, change.known_at, change.before, change.after) == (10, 14.5, 0, 3)
    assert (change.probability, change.delay, change.why) == (0.875, 4, ())
    assert math.isnan(change.log_ratio)


@pytest.mark.parametrize(
    ("event", "plain"),
    [
        (BORN, ["born", 5, 33.0, None]),
        (MERGED, ["merged", 5, 77, 2]),
        (CHANGE, ["change", told.change_state(CHANGE)]),
    ],
)
def test_events_are_read_back(event, plain):
    assert told.event_state(event) == plain
    assert told.event_from_state(through_bytes(plain)) == event


def changed(plain, place, value):
    """A copy with another value at a place: indices, or keys, from the outermost on."""
    plain = copy.deepcopy(plain)
    its = plain
    for key in place[:-1]:
        its = its[key]
    its[place[-1]] = value
    return plain


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((2,), "2", "^label is of type str$"),
        ((2,), True, "^label is of type bool$"),
        ((3,), -1, "^n is not a whole number from 0"),
        ((3,), 7.0, "^n is not a whole number from 0"),
        ((4,), 1, "^probability is of type int$"),
        ((5, 0, 1), None, "^a value is of type NoneType$"),
        ((6, 1, 1), "4", "^a value is of type str$"),
    ],
)
def test_segments_that_cannot_be_are_refused(place, value, message):
    with pytest.raises(ValueError, match=message):
        told.segment_from_state(changed(told.segment_state(SEGMENT), place, value))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((2,), None, "^before is of type NoneType$"),
        ((3,), 0.0, "^after is of type float$"),
        ((4,), 1, "^probability is of type int$"),
        ((5,), -1, "^delay is not a whole number from 0"),
        ((6,), None, "^log_ratio is of type NoneType$"),
        ((7, 0, 1), "colour", "^a reason is of kind 'colour'$"),
        ((7, 1, 4), 1, "^a reason is of type int$"),
    ],
)
def test_changes_that_cannot_be_are_refused(place, value, message):
    with pytest.raises(ValueError, match=message):
        told.change_from_state(changed(told.change_state(CHANGE), place, value), None)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (["died", 5, 77, 2], "^an event is of kind 'died'$"),
        (["merged", 5.0, 77, 2], "^label is of type float$"),
        (["merged", 5, 77, "2"], "^into is of type str$"),
    ],
)
def test_events_that_cannot_be_are_refused(plain, message):
    with pytest.raises(ValueError, match=message):
        told.event_from_state(plain)


def test_what_cannot_be_written_is_named():
    for thing, write in (
        (Segment({1}, 2, 0, 3, 1.0, {}, {}), told.segment_state),
        (RegimeChange({1}, 2, 0, 1, 1.0, 1), told.change_state),
        (RegimeEvent("born", 1, {1}), told.event_state),
    ):
        with pytest.raises(
            TypeError, match=r"is or holds \{1\} of type set, which cannot be written"
        ):
            write(thing)


# -- segments of labels ---------------------------------------------------------------------------

LABELS = [0, 0, 0, 1, 0, 0, 1, 1, 2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, 2, 2, 0, 0, 0, 0, 3, 3, 3]


def points():
    rng = np.random.default_rng(1)
    for i, label in enumerate(LABELS):
        values = {"a": rng.normal(label), "b": rng.normal()}
        if i % 5 == 0:
            del values["b"]
        yield Point(i, 0.5 * i, values), label, float(rng.uniform(0.5, 1.0))


def learn(labelled, point, label, probability):
    labelled.begin(point.time)
    labelled.take(point, label, probability)
    return labelled.change, labelled.closed, labelled.current, labelled.label


def empty(min_dwell=3, confirm=2):
    return LabelledSegments(min_dwell, confirm)


@pytest.mark.parametrize("stop", range(len(LABELS) + 1))
def test_segments_of_labels_go_on_as_if_nothing_had_been(stop):
    """After each point, what is read back tells the same of all that follows."""
    labelled, rows = empty(), list(points())
    for row in rows[:stop]:
        learn(labelled, *row)
    kept = through_bytes(labelled.state())
    again = empty()
    again.restore(kept)
    assert repr(through_bytes(again.state())) == repr(kept)
    assert again.n_points == stop
    assert repr((again.change, again.closed)) == repr((labelled.change, labelled.closed))
    for row in rows[stop:]:
        assert repr(learn(again, *row)) == repr(learn(labelled, *row))
    assert repr(again.finish()) == repr(labelled.finish())


def test_points_that_wait_are_kept():
    labelled, rows = empty(), list(points())
    for row in rows[:8]:
        learn(labelled, *row)
    labelled.awaiting.extend(point for point, _, _ in rows[8:10])
    again = empty()
    again.restore(through_bytes(labelled.state()))
    assert again.awaiting == labelled.awaiting
    assert again.current == labelled.current
    assert again.current.n == 10


def kept():
    """With a segment, a candidate, a run, a change, a point that waits: all there can be."""
    labelled, rows = empty(), list(points())
    for row in rows[:10]:
        learn(labelled, *row)
    labelled.awaiting.append(rows[10][0])
    plain = through_bytes(labelled.state())
    assert labelled.change is not None
    assert plain["change"] is not None
    assert plain["closed"] is not None
    plain["stretches"][1] = copy.deepcopy(plain["stretches"][2])
    return plain


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("n_points",), -1, "^n_points is not a whole number from 0"),
        (("n_points",), 1.0, "^n_points is not a whole number from 0"),
        (("awaiting", 0, 0), -1, "^number is not a whole number from 0"),
        (("awaiting", 0, 2, 0, 1), None, "^a value is of type NoneType$"),
        (("stretches", 0, 0), "1", "^label is of type str$"),
        (("stretches", 0, 1), -1, "^first is not a whole number from 0"),
        (("stretches", 0, 4), 2.0, "^n is not a whole number from 0"),
        (("stretches", 2, 5, 0, 0), None, "^label is of type NoneType$"),
        (("stretches", 2, 5, 0, 1), 0, "^count is not a whole number from 1"),
        (("stretches", 2, 5, 0, 2, 0), -1, "^n is not a whole number from 0"),
        (("stretches", 2, 6, 0, 1, 1), math.nan, "^mean is not a number from "),
        (("stretches", 2, 6, 0, 1, 2), -1.0, "^deviations is not a number from 0"),
        (("stretches", 0), None, "^there is a run without a segment, or a segment without one$"),
        (("stretches", 2), None, "^there is a run without a segment, or a segment without one$"),
        (("stretches",), [None, [1, 2, 3, 4, 5, [], []], None], "^there is a run without a segm"),
        (("stretches", 1, 0), None, "^a candidate or a run has no label$"),
        (("stretches", 2, 0), None, "^a candidate or a run has no label$"),
        (("stretches", 2, 0), 7, "^the run is without a point$"),
        (("change", 2), 0.0, "^before is of type float$"),
        (("closed", 3), -1, "^n is not a whole number from 0"),
    ],
)
def test_segments_of_labels_that_cannot_be_are_refused(place, value, message):
    empty().restore(kept())
    with pytest.raises(ValueError, match=message):
        empty().restore(changed(kept(), place, value))


@pytest.mark.parametrize("place", [("awaiting", 0, 1), ("stretches", 0, 2), ("stretches", 0, 3)])
def test_times_that_could_not_be_written_again_are_refused(place):
    with pytest.raises(TypeError, match=r"^the time of a point is or holds .* cannot be written"):
        empty().restore(changed(kept(), place, {1}))


def test_a_change_of_an_older_state_was_known_at_the_last_point():
    plain = kept()
    plain["change"] = [2.0, 0, 1, 0.5, 3]
    labelled = empty()
    labelled.restore(plain)
    assert labelled.change.known_at == plain["stretches"][2][3]


# -- for people -----------------------------------------------------------------------------------


def test_they_are_told_in_a_line():
    assert str(SEGMENT) == "regime 2, 3 to 9.5, 7 points"
    assert str(CHANGE) == (
        "0 -> 3 at 10: flow 40 -> 0.2 (75%); correlation of a and b 0.10 -> 0.90 (20%); "
        "other differences (5%)"
    )
    assert str(RegimeChange(10, 14, 0, 3, 0.875, 4)) == "0 -> 3 at 10"
    small = Reason(None, "other", 0.0, 0.0, 0.009)
    assert "other" not in str(RegimeChange(10, 14, 0, 3, 0.875, 4, 2.25, (*WHY[:2], small)))


def test_a_notebook_shows_them():
    page = SEGMENT._repr_html_()
    for text in (
        "Segment: regime 2, 3 to 9.5, 7 points",
        "probability",
        ">a, mean ± sd<",
        ">8, mean ± sd<",
        "25.0%",
        ">1.5 ± 0.5<",
        ">-2 ± 4<",
    ):
        assert text in page
    page = CHANGE._repr_html_()
    for text in (
        "Change of regime: 0 -&gt; 3 at 10",
        "known at 14.5, 4 points later",
        "flow 40 -&gt; 0.2",
        ">level<",
        "75.0%",
        ">why<",
        ">share<",
    ):
        assert text in page
