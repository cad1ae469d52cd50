"""Live messages: what is told of them, which ones cannot be used and why, and topics that join."""

import io
import json
import math
import shlex
import shutil
import subprocess

import pytest
from batches import one_by_one
from rich.console import Console
from test_live import Replay
from test_mqtt import publish, read, subscribe

from online_gmm import HalfLife, OnlineGMM
from replay.engine.batch import Batch
from replay.engine.fleet import Fleet
from replay.engine.order import Order, SeriesOptions
from replay.engine.rows import InputError, Row
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.engine.shared import SharedModel
from replay.engine.status import Status, passed
from replay.sinks.refusals import Refusals
from replay.sources.advice import BY_JQ, closest
from replay.sources.joining import Joined, matched
from replay.sources.json_lines import JsonLines
from replay.sources.message import Messages
from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions
from replay.sources.reading import Input


def hints_of(reading, messages, topics=()):
    reader = Messages(reading)
    topics = topics or [None] * len(messages)
    for i, (message, topic) in enumerate(zip(messages, topics, strict=True), 1):
        reader.taken("here", i, json.dumps(message).encode(), topic)
    return reading.refusals.hints


def test_a_misnamed_field():
    """As a Tasmota plug tells it: nothing can be used, and after ten messages that is said."""
    message = {"Time": "2026-01-01T00:00:00", "ENERGY": {"Power": 23, "Total": 3.1}}
    reading = ReadOptions(("power", "ENERGY.Totl"), "time", "topic:2", on_bad="skip")
    assert hints_of(reading, [message] * 9) == []
    (said,) = hints_of(reading, [message] * 30)
    assert "Their fields: Time, ENERGY.Power, ENERGY.Total." in said
    assert "did you mean --value ENERGY.Power?" in said
    assert "did you mean --value ENERGY.Total?" in said
    assert "did you mean --time Time?" in said
    assert "--key" not in said


def test_a_message_that_is_used_ends_the_watch():
    reading = ReadOptions(("level",), on_bad="skip")
    assert hints_of(reading, [{"level": 1}] + [{"x": 1}] * 50) == []


def test_plain_numbers_where_several_values_are_asked_for():
    (said,) = hints_of(ReadOptions(("a", "b"), on_bad="skip"), [23.4] * 10)
    assert "such as '23.4'" in said
    assert "--value payload" in said
    assert "sensors/+/temp" in said


def test_lines_of_csv_are_told_where_they_are_read():
    reading, rows = ReadOptions(("flow",), on_bad="skip"), [b"time,flow"] + [b"2024-03-04,7.5"] * 20
    reader = Messages(reading)
    for i, row in enumerate(rows, 1):
        reader.taken("here", i, row, None)
    (said,) = reading.refusals.hints
    assert "lines of CSV are read by replay run - when they have ended" in said
    assert f"jq makes objects of them: {BY_JQ}." in said
    (said,) = hints_of(ReadOptions(("a", "b"), on_bad="skip"), [23.4] * 10)
    assert "CSV" not in said


def test_dicts_of_python_are_told():
    reading = ReadOptions(("flow",), on_bad="skip")
    reader = Messages(reading)
    for i in range(20):
        reader.taken("here", i, b"{'t': 1, 'flow': 2.5}", None)
    (said,) = reading.refusals.hints
    assert "These are dicts of Python; json.dumps writes them as JSON." in said
    assert "CSV" not in said


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_lines_of_csv_become_messages_by_what_is_told():
    lines = "time,flow\r\n2024-03-04,7.5\r\n2024-03-05,8.5\r\n"
    made = subprocess.run(shlex.split(BY_JQ), input=lines, capture_output=True, text=True)
    reader = Messages(ReadOptions(("x",), "t"))
    rows = [reader.taken("here", i, line.encode()) for i, line in enumerate(made.stdout.split())]
    found = [(row.time, row.values["x"]) for row in rows]
    assert found == [("2024-03-04", 7.5), ("2024-03-05", 8.5)]


def test_an_array_tells_its_items():
    (said,) = hints_of(ReadOptions(("temp",), on_bad="skip"), [{"temps": [1, 2]}] * 10)
    assert "Their fields: temps.0, temps.1." in said


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Power", "ENERGY.Power"),
        ("temprature", "temperature"),
        ("TEMPERATURE", "temperature"),
        ("pow", "ENERGY.Power"),
        ("xyz", None),
    ],
)
def test_did_you_mean(name, meant):
    assert closest(name, ["Time", "ENERGY.Power", "temperature"]) == meant


@pytest.mark.parametrize(
    ("field", "value"), [("temps.1", 2.0), ("temps[0]", 1.0), ("deep[1].x", 5.0)]
)
def test_items_of_arrays_are_values(field, value):
    message = {"temps": [1, "2"], "deep": [None, {"x": 5}]}
    row = Messages(ReadOptions((field,))).row("here", 1, json.dumps(message).encode())
    assert row.values == {field: value}


def test_a_message_that_is_an_array():
    row = Messages(ReadOptions(("0", "[2]"))).row("here", 1, b"[1, 2, 3]")
    assert list(row.values.values()) == [1.0, 3.0]


def test_an_item_that_is_not_there_is_no_value():
    reading = ReadOptions(("temps.5",), on_bad="skip")
    assert Messages(reading).taken("here", 1, b'{"temps": [1, 2]}') is None


def test_a_level_that_is_always_the_same_is_pointed_out():
    topics = [f"plant/{'ab'[i % 2]}/state" for i in range(40)]
    (said,) = hints_of(ReadOptions(("x",), key="topic:1"), [{"x": 1}] * 40, topics)
    assert "--key topic:1 is 'plant' in all messages, while level 2 differs (a, b)" in said
    assert "did you mean --key topic:2?" in said


def test_topics_without_a_key_are_pointed_out():
    topics = [f"plant/{'ab'[i % 2]}/state" for i in range(40)]
    (said,) = hints_of(ReadOptions(("x",)), [{"x": 1}] * 40, topics)
    assert "Without --key all are one series; did you mean --key topic:2?" in said


@pytest.mark.parametrize("key", ["topic:2", "x", "topic"])
def test_topics_that_are_told_apart_are_not(key):
    topics = [f"plant/{'ab'[i % 2]}/state" for i in range(40)]
    assert hints_of(ReadOptions(("x",), key=key), [{"x": 1}] * 40, topics) == []


def test_a_value_that_never_comes_is_told():
    reading = ReadOptions(("temperature", "ampz", "at[1]"), on_bad="skip")
    message = {"temperature": 20.5, "amps": 7.0, "at": [1, 2]}
    assert hints_of(reading, [message] * 49) == []
    (said,) = hints_of(reading, [message] * 60)
    assert said == (
        "--value asks for 'ampz', which none of the first 50 messages has; did you mean --value "
        "amps? Their fields: temperature, amps, at.0, at.1. It is taken as missing"
    )
    reading = ReadOptions(("temperature", "amps"), on_bad="skip")
    # null is a value that is missing, not a field
    assert hints_of(reading, [{"temperature": 20.5, "amps": None}] * 60) == []


def times_of_three(**more):
    return [
        {"t": 1.7e9 + i // 3, "x": 1.0, "id": f"p{i % 3}", "state": "on", "n": str(i), **more}
        for i in range(60)
    ]


def test_series_that_a_field_tells_apart_are_told():
    (said,) = hints_of(ReadOptions(("x",), "t", on_bad="skip", timed=True), times_of_three())
    assert said.startswith("the same times come again for each 'id' (p0, p1, p2). Without --key")
    assert said.endswith("did you mean --key id?")
    assert hints_of(ReadOptions(("x",), "t", "id", timed=True), times_of_three()) == []
    one = [{**message, "t": 1.7e9 + i} for i, message in enumerate(times_of_three())]
    assert hints_of(ReadOptions(("x",), "t", timed=True), one) == []
    assert hints_of(ReadOptions(("x",)), times_of_three()) == []


def test_keys_of_messages_that_tell_series_apart_are_told():
    for n_keys, expected in ((3, 1), (1, 0), (60, 0)):
        reading = ReadOptions(("x",))
        reader = Messages(reading)
        for i in range(60):
            reader.taken("here", i, b'{"x": 1}', "pumps", f"p{i % n_keys}")
        assert len(reading.refusals.hints) == expected
        if expected:
            (said,) = reading.refusals.hints
            assert "(p0, p1, p2)" in said
            assert said.endswith("did you mean --key message-key?")


def test_a_value_that_never_comes_in_a_file_is_told(tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_text('{"temperature": 20.5, "amps": 7.0}\n' * 100)
    source = JsonLines(Input(file), ReadOptions(("temperature", "ampz")))
    (said,) = source.said
    assert "'ampz', which none of the first 100 messages has; did you mean --value amps?" in said
    assert JsonLines(Input(file), ReadOptions(("temperature", "amps"))).said == []


# -- topics that join --------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def join(joined, *messages):
    """The rows of messages, each a topic and what it says."""
    told = enumerate(messages, 1)
    return [joined.taken("here", i, str(said).encode(), topic) for i, (topic, said) in told]


TOPICS = ("sensors/+/temp", "sensors/+/flow")


def test_the_last_value_is_held():
    joined = Joined(ReadOptions(TOPICS))
    assert joined.key == "topic"
    rows = join(
        joined, ("sensors/a/temp", 1), ("sensors/b/flow", 7), ("sensors/a/flow", 2),
        ("sensors/a/temp", 3),
    )  # fmt: skip
    assert [row.key for row in rows] == ["a", "b", "a", "a"]
    found = [tuple(row.values.values()) for row in rows]
    assert found[2:] == [(1.0, 2.0), (3.0, 2.0)]
    assert found[0][0] == 1.0
    assert math.isnan(found[0][1])
    assert math.isnan(found[1][0])


def test_a_time_window():
    clock = Clock()
    joined = Joined(ReadOptions(TOPICS), 5.0, clock)
    rows = join(joined, ("sensors/a/temp", 1), ("sensors/a/temp", 2), ("sensors/a/flow", 3))
    assert rows[:2] == [None, None]
    assert tuple(rows[2].values.values()) == (2.0, 3.0)
    assert join(joined, ("sensors/a/temp", 4)) == [None]
    assert list(joined.due()) == []
    clock.now = 5.0
    (row,) = joined.due()
    assert row.values["sensors/+/temp"] == 4.0
    assert math.isnan(row.values["sensors/+/flow"])
    assert list(joined.due()) == []


def test_fields_of_topics_and_a_level_as_key():
    joined = Joined(ReadOptions(("plant/+/x/state:power", "plant/+/y/state:on"), key="topic:2"))
    rows = join(joined, ("plant/p/x/state", '{"power": 4}'), ("plant/p/y/state", '{"on": true}'))
    assert tuple(rows[1].values.values()) == (4.0, 1.0)
    assert rows[1].key == "p"


def test_what_is_held_outlives_a_stop():
    joined = Joined(ReadOptions(TOPICS))
    join(joined, ("sensors/a/temp", 1))
    again = Joined(ReadOptions(TOPICS))
    again.go_to(json.loads(json.dumps(joined.state())))
    (row,) = join(again, ("sensors/a/flow", 2))
    assert tuple(row.values.values()) == (1.0, 2.0)


def test_a_topic_that_nobody_asked_for_is_told():
    reading = ReadOptions(TOPICS, on_bad="skip")
    join(Joined(reading), *[("sensors/a/temprature", 1)] * 12)
    assert reading.refusals.counts == {"messages of topics that no --value names": 12}
    assert "Their topics: sensors/a/temprature" in reading.refusals.hints[1]


@pytest.mark.parametrize(
    ("reading", "problem"),
    [
        (ReadOptions((*TOPICS, "level")), "all must be topics"),
        (ReadOptions(TOPICS, sequence="n"), "leave --sequence out"),
        (ReadOptions(TOPICS, key="topic"), "--key topic:2"),
    ],
)
def test_what_cannot_be_joined(reading, problem):
    with pytest.raises(InputError, match=problem):
        Joined(reading)


@pytest.mark.parametrize(
    ("wanted", "topic", "levels"),
    [
        ("a/+/c", "a/b/c", ["b"]),
        ("a/+/+", "a/b/c", ["b", "c"]),
        ("a/#", "a", []),
        ("a/#", "a/b/c", []),
        ("a/+", "a/b/c", None),
        ("a/b/c", "a/b", None),
    ],
)
def test_topics_match_as_mqtt_has_it(wanted, topic, levels):
    assert matched(wanted, topic) == levels


@pytest.mark.parametrize("window", [None, 30.0])
def test_topics_of_a_broker_join(broker, window):
    reading = ReadOptions(("plant/+/temp", "plant/+/flow"))
    subscribe(broker)
    for i in range(3):
        for topic, value in (("plant/a/temp", i), ("plant/a/flow", 100 + i)):
            publish(broker, [str(value).encode()], topic)
    source = MqttSource(Broker.of(broker.address("plant/#")), reading, "reader", window=window)
    rows = read(one_by_one(source), 3 if window else 6)
    source.acknowledge()
    source.close()
    last = tuple(rows[-1].values.values())
    assert last == (2.0, 102.0)
    assert {row.key for row in rows} == {"a"}
    assert source.n_messages == 6


# -- the status line ---------------------------------------------------------------------------


class Told:
    """A live source of which only the number of messages is asked."""

    def __init__(self):
        self.n_messages = 100
        self.key = "device"


def row(i, key):
    return Row(i, str(i), ("1",), {"x": float(i % 2)}, 1.8e9 + i, key)


def test_a_line_says_all_of_it():
    clock, source, refusals = Clock(), Told(), Refusals()
    settings = Settings(finds=True)
    fleet = Fleet(
        lambda: Series(settings.model(type("S", (), {"values": ("x",)})), SeriesOptions()),
        lambda _: None,
    )
    status = Status(source, refusals, fleet, clock, lambda: 1.8e9 + 21.5)
    batch = Batch.of_rows([row(i, "ab"[i % 2]) for i in range(20)])
    list(fleet.label(batch))
    status.take(batch)
    source.n_messages += 30
    refusals.counts.update({"rows without a key": 10})
    clock.now = 10.0
    assert status.line() == (
        "30 messages (3/s), 20 rows used, 10 refused (10 rows without a key), 2 keys, 0 regimes, "
        "lag 2.5 s"
    )
    clock.now = 11.0
    assert status.line().startswith("30 messages (0/s)")
    status.lag = 1110.8 * 86400.0
    assert status.line().endswith("lag 1,110.8 days")


@pytest.mark.parametrize(("key", "shared"), [("device", False), ("device", True), (None, False)])
def test_a_clock_that_was_once_ahead_is_told_and_what_is_dropped_is_not_used(key, shared):
    """All rows after it come late; a row that is in order again begins the count anew."""
    clock, source, refusals = Clock(), Told(), Refusals()
    source.key = key
    options, common = SeriesOptions(late="skip"), OnlineGMM(2, features=["x"])
    fleet = Fleet(
        lambda: Series(OnlineGMM(2, features=["x"]), options, common if shared else None),
        lambda _: None,
        shared=SharedModel(common) if shared else None,
    )
    status = Status(source, refusals, fleet, clock, lambda: 1.8e9)
    seconds = [1e9, *([9e8] * 99), 1.1e9, *([9e8 + i for i in range(99)])]
    batch = Batch.of_rows(
        [Row(i, f"{t:.0f}", ("1",), {"x": 1.0}, t, "a" * bool(key)) for i, t in enumerate(seconds)]
    )
    list(fleet.label(batch))
    status.take(batch)
    assert (fleet.n_dropped, status.hints()) == (198, [])
    batch = Batch.of_rows([Row(200, "9", ("1",), {"x": 1.0}, 9e8, "a" * bool(key))])
    list(fleet.label(batch))
    status.take(batch)
    of = " of 'a'" if key else ""
    (hint,) = status.hints()
    assert hint.startswith(
        f"100 rows in a row{of} came late and were dropped: none is after '11000"
    )
    assert "in line 100." in hint
    assert status.hints() == []
    # the metrics have it from there
    assert status.n_used == 2
    assert "2 rows used, 199 dropped as they came late or twice" in status.line()


@pytest.mark.parametrize("cut", [150, None])
@pytest.mark.parametrize("key", ["device", None])
def test_after_a_clock_that_was_far_ahead_rows_are_taken_again(key, cut):
    """Whether there is a stop between them; a learner with times goes on from where it was."""
    clock, source, refusals = Clock(), Told(), Refusals()
    source.key = key
    options = SeriesOptions(late="skip")

    def loaded(state):
        return Series.from_bytes(state, ("x",), options)

    def fleet_of():
        model = OnlineGMM(2, features=["x"], step_size=HalfLife(seconds=600.0), time="t")
        return Fleet(lambda: Series(model, options), loaded)

    fleet = fleet_of()
    status = Status(source, refusals, fleet, clock, lambda: 1.8e9)
    seconds = [1e9 + 10.0 * i for i in range(100)]
    seconds += [4e9, *(1e9 + 10.0 * i for i in range(100, 400))]
    rows = [
        Row(i, f"{t:.0f}", ("1",), {"x": i % 7.0}, t, "a" * bool(key))
        for i, t in enumerate(seconds, 1)
    ]
    told = []
    for part in (rows[:cut], rows[cut:]) if cut else (rows,):
        list(fleet.label(Batch.of_rows(part)))
        told += status.hints()
        states = list(fleet.states())
        fleet = fleet_of()
        fleet.restore(states)
        status = Status(source, refusals, fleet, clock, lambda: 1.8e9)
    assert fleet["a" * bool(key)].order.n_late == 99
    assert fleet["a" * bool(key)].summary.n_rows == 302
    if cut is None:
        of = " of 'a'" if key else ""
        assert told == [
            f"the clock{of} was ahead in line 101, where the time is '4000000000': the 99 rows "
            "after it are dropped as late, and from line 201 on rows are taken again"
        ]


def test_late_rows_that_may_be_of_a_store_are_not_taken():
    """Those after a time that has come: a device that sends what it kept is no wrong clock."""
    order = Order(SeriesOptions(late="skip"))
    seconds = [1.2e9, *(1e9 + i for i in range(500))]
    rows = [Row(i, f"{t:.0f}", ("1",), {"x": 1.0}, t, "") for i, t in enumerate(seconds, 1)]
    assert len(order.accept(Batch.of_rows(rows)).rows) == 1
    assert order.is_stuck
    assert order.was_ahead == ""


def test_a_line_comes_once_in_a_while_and_hints_at_once():
    clock, source, refusals = Clock(), Told(), Refusals()
    status = Status(source, refusals, None, clock)
    file = io.StringIO()
    shown = []

    def batches():
        for i in range(10):
            clock.now += 20.0
            if i == 4:
                refusals.hint("look at this")
            yield Batch.of_rows((), ("x",))

    list(passed(batches(), status, Console(file=file, width=200), 60.0, shown.append, clock))
    assert len(shown) == 3
    assert file.getvalue() == "look at this\n"


def test_a_live_stream_tells_its_status():
    with Replay("live", "--value", "power") as live:
        live.tell([json.dumps({"ENERGY": {"Power": i}}) for i in range(600)])
        status, said = live.end()
    assert status == 2
    assert said.count("did you mean --value ENERGY.Power?") == 1
    assert "600 messages" in said
    assert "0 rows used, 600 refused (600 messages without any of the values)" in said
    with Replay("live", "--value", "payload") as live:
        live.tell([str(i % 7) for i in range(600)])
        status, said = live.end()
    assert status == 0
    assert "600 rows used" in said
