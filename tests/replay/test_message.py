"""JSON objects as rows, and every way in which they are not."""

import gzip
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.json_lines import JsonLines
from replay.sources.message import LIMIT, BadMessageError, Messages, as_object, fields_of
from replay.sources.read_options import ReadOptions
from replay.sources.reading import Input

READING = ReadOptions(("level", "motor.load"), "t", "device", "n", timed=True)
GOOD = {"level": 1.5, "motor": {"load": 2}, "t": "2022-03-20T11:00:00Z", "device": "p7", "n": 3}


def row_of(message, reading=READING, topic=None):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Messages(reading).row("here", 4, data, topic)


def test_a_row():
    row = row_of(GOOD)
    assert row.values == {"level": 1.5, "motor.load": 2.0}
    assert (row.line, row.key, row.sequence) == (4, "p7", 3)
    assert (row.time, row.seconds) == ("2022-03-20T11:00:00Z", 1647774000.0)
    assert row.texts == ("1.5", "2")


def test_a_field_with_a_dot_in_its_name_goes_before_a_path():
    assert row_of({**GOOD, "motor.load": 5}).values["motor.load"] == 5.0


@pytest.mark.parametrize("absent", [{"level": None}, {}])
def test_null_and_absent_are_missing(absent):
    message = {name: value for name, value in GOOD.items() if name != "level"} | absent
    row = row_of(message)
    assert math.isnan(row.values["level"])
    assert row.texts == ("", "2")


@pytest.mark.parametrize(("key", "whose"), [("topic", "plant/p7/state"), ("topic:2", "p7")])
def test_the_topic_as_key(key, whose):
    reading = ReadOptions(("level",), key=key)
    assert row_of(GOOD, reading, "plant/p7/state").key == whose


def test_the_key_that_a_message_was_sent_with():
    """A field that is called as the topic is not it."""
    reader = Messages(ReadOptions(("x",), key="message-key", on_bad="skip"))
    data = b'{"topic": "plant", "x": 1}'
    assert reader.taken("here", 1, data, "pumps", "p7").key == "p7"
    assert reader.taken("here", 2, data, "pumps") is None


PLAIN = [
    GOOD,
    {**GOOD, "level": None},
    {**GOOD, "level": math.nan, "motor": {}},
    {**GOOD, "level": 10**25, "motor": {"load": -0.0}},
    {**GOOD, "level": 3, "motor.load": 1e-9, "device": 0},
    {**GOOD, "level": -99, "n": 2**63 - 1},
    {name: value for name, value in GOOD.items() if name != "motor"},
]
ODD = [
    {**GOOD, "level": True},
    {**GOOD, "level": "3.5"},
    {**GOOD, "level": [1]},
    {**GOOD, "level": 1e300},
    {**GOOD, "level": 10**400},
    {**GOOD, "level": math.inf},
    {"t": GOOD["t"], "device": "p7", "n": 1},
    {**GOOD, "device": ""},
    {**GOOD, "device": True},
    {**GOOD, "device": "p" * 300},
    {**GOOD, "n": -1},
    {**GOOD, "n": 2**63},
    {**GOOD, "n": 1.0},
    {**GOOD, "t": None},
    {**GOOD, "t": "2022-03-20 12:00 +01:00"},
    {**GOOD, "t": "no time"},
    {**GOOD, "note": "x" * LIMIT},
    [GOOD],
    7,
    b"",
    b"{'level': 1}",
    b'{"level": "\xff"}',
]


def rows_of_many(reader, lines):
    rows = [reader.taken("here", i, line) for i, line in enumerate(lines, 4)]
    return repr([row for row in rows if row is not None])


@pytest.mark.parametrize("odd", [None, *ODD], ids=lambda odd: repr(odd)[:60])
@pytest.mark.parametrize(
    "changed", [{}, {"timed": False}, {"key": None, "sequence": None}, {"missing": ("-99",)}]
)
def test_many_are_as_one_by_one(odd, changed):
    """What cannot be read with others is left to be read by itself, and nothing is noted."""
    messages = [message for message in PLAIN * 4 + [odd] + PLAIN if message is not None]
    lines = [its if isinstance(its, bytes) else json.dumps(its).encode() for its in messages]
    reading = replace(READING, on_bad="skip", **changed)
    one, many = (replace(reading, refusals=Refusals()) for _ in range(2))
    expected = rows_of_many(Messages(one, hints=False), lines)
    reader = Messages(many, hints=False)
    batch = reader.batch(4, lines)
    if odd is None:
        assert batch is not None
    if batch is None:
        assert not many.refusals.counts
        assert rows_of_many(reader, lines) == expected
    else:
        assert not one.refusals.counts
        assert repr([batch.row(i) for i in range(len(batch))]) == expected


def test_a_number_as_key():
    assert row_of({**GOOD, "device": 12}).key == "12"


BAD = {
    "no UTF-8": (b'{"level": "\xff"}', "no JSON"),
    "no JSON": (b"level=1", "no JSON"),
    "cut off": (b'{"level": 1', "no JSON"),
    "beyond floats": (b'{"level": 1e999}', "no JSON"),
    "too deep": (b"[" * 50_000, "no JSON"),
    "too long": (b'{"level": 1, "x": "' + b"x" * LIMIT + b'"}', "more than 65,536 bytes"),
    "no object": (b"[1, 2]", r"it is \[1,2\], and a JSON object is needed"),
    "no value at all": (
        {"t": 1, "device": "p", "n": 1},
        "none of the fields 'level', 'motor.load'",
    ),
    "text": ({**GOOD, "level": "high"}, "'level' is \"high\", and a number is needed"),
    "decimal comma": ({**GOOD, "level": "1,5"}, "'level' is \"1,5\"; say --decimal , if that is"),
    "two units": ({**GOOD, "level": "5 kW"}, "'level' is \"5 kW\"; say --unit"),
    "nested": ({**GOOD, "level": {"x": 1}}, "'level' is {\"x\":1}, and a number"),
    "a list": ({**GOOD, "motor": {"load": [1]}}, r"'motor.load' is \[1\], and a number"),
    "too large": ({**GOOD, "level": 1e151}, "beyond 1e\\+150"),
    "a large integer": ({**GOOD, "level": 10**400}, "beyond 1e\\+150"),
    "no time": ({**GOOD, "t": None}, "'t' is missing, and a time is needed"),
    "a word as time": ({**GOOD, "t": "noon"}, "'t': 'noon' is no time"),
    "a list as time": ({**GOOD, "t": [1]}, r"'t' is \[1\], and a time"),
    "no key": ({**GOOD, "device": ""}, "'device' is \"\", and every row needs a key"),
    "a bool as key": ({**GOOD, "device": True}, "'device' is true, and every row"),
    "no number": ({**GOOD, "n": 1.5}, "'n' is 1.5, and --sequence needs a whole number"),
    "negative number": ({**GOOD, "n": -1}, "'n' is -1, and --sequence"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_messages(name, tmp_path):
    message, said = BAD[name]
    with pytest.raises(BadMessageError, match=said) as caught:
        row_of(message)
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(InputError, match=rf"here, message 4: .*{said}"):
        Messages(READING).taken("here", 4, data)
    skipping = Refusals(tmp_path / "refused.csv")
    skipping.open(())
    skipping.begin()
    messages = Messages(
        ReadOptions(READING.values, "t", "device", "n", True, on_bad="skip", refusals=skipping)
    )
    assert messages.taken("here", 4, data) is None
    assert skipping.counts == {caught.value.reason: 1}
    skipping.finish()
    assert (tmp_path / "refused.csv").stat().st_size < 2000


def test_a_topic_of_too_few_levels():
    with pytest.raises(BadMessageError, match="'plant' has 1 level, and --key is topic:2"):
        row_of(GOOD, ReadOptions(("level",), key="topic:2"), "plant")
    with pytest.raises(InputError, match="levels of a topic count from 1"):
        Messages(ReadOptions(("level",), key="topic:0"))


def test_bad_values_may_be_taken_as_missing():
    reading = ReadOptions(("level", "motor.load"), on_bad="missing", refusals=Refusals())
    row = Messages(reading).taken("here", 1, b'{"level": "x", "motor": {"load": 2}}')
    assert row is not None
    assert math.isnan(row.values["level"])
    assert reading.refusals.counts == {"values that are no number, taken as missing": 1}
    assert Messages(reading).taken("here", 2, b"x") is None


@pytest.mark.parametrize(
    ("found", "value"),
    [("1.5", 1.5), (" 34.9 ", 34.9), (True, 1.0), (False, 0.0), ("1e3", 1000.0), ("'-2", -2.0)],
)
def test_texts_and_truths_that_are_numbers(found, value):
    assert row_of({**GOOD, "level": found}).values["level"] == value


@pytest.mark.parametrize("found", ["", "unavailable", "Unknown", "-", "n/a", "-9999", -9999, "off"])
def test_what_is_missing(found):
    reading = ReadOptions(("level", "motor.load"), missing=("-9999", "off"))
    row = row_of({**GOOD, "level": found}, reading)
    assert math.isnan(row.values["level"])
    assert row.texts == ("", "2")


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"23.5", 23.5), (b'"34.9"', 34.9), (b"true", 1.0), (b" 23.4370\n", 23.437), (b"+.5", 0.5)],
)
def test_a_message_may_be_a_number_alone(data, value):
    row = Messages(ReadOptions(("value",), key="topic:2")).row("here", 1, data, "plant/p7")
    assert (row.values, row.key) == ({"value": value}, "p7")
    with pytest.raises(BadMessageError):
        Messages(ReadOptions(("value", "other"))).row("here", 1, data)


@pytest.mark.parametrize("data", [b"unavailable", b"NaN", b'"unknown"'])
def test_a_message_may_say_that_its_value_is_missing(data):
    assert math.isnan(Messages(ReadOptions(("value",))).row("here", 1, data).values["value"])


def test_numbers_that_python_writes_and_json_has_not():
    """json.dumps writes NaN for a value that is missing."""
    reader = Messages(ReadOptions(("a", "b"), on_bad="skip", refusals=Refusals()))
    row = reader.taken("here", 1, b'{"a": NaN, "b": 1.5}')
    assert math.isnan(row.values["a"])
    assert row.values["b"] == 1.5
    assert row.texts == ("", "1.5")
    with pytest.raises(BadMessageError, match="'a' is beyond 1e"):
        reader.row("here", 2, b'{"a": -Infinity, "b": 1.5}')
    with pytest.raises(BadMessageError, match="it is no JSON"):
        reader.row("here", 3, b'{"a": NaN, "b": }')


@pytest.mark.parametrize("data", [b'{"x": "21.5 C"}', b'"21.5 C"', b"21.5 C"])
def test_a_unit_behind_a_number_is_told_with_the_option_that_names_it(data):
    refusals = Refusals()
    assert (
        Messages(ReadOptions(values=("x",), on_bad="skip", refusals=refusals)).taken("in", 1, data)
        is None
    )
    ((reason, n),) = refusals.counts.items()
    assert (n, reason) == (1, "numbers with a unit behind them, which --unit has to name")
    assert "say --unit 'C'" in str(refusals.first)
    row = Messages(ReadOptions(values=("x",), unit=("C",))).row("in", 1, data)
    assert row.values == {"x": 21.5}


@pytest.mark.parametrize("data", [b'{"x": 1', b'{"x": 1}{"x": 2}'])
def test_what_makes_one_object_a_line_is_told(data):
    refusals = Refusals()
    Messages(ReadOptions(values=("x",), on_bad="skip", refusals=refusals)).taken("in", 1, data)
    assert "jq -c . writes one a line" in str(refusals.first)


def test_a_time_in_two_fields():
    reading = ReadOptions(("level",), "day,clock", timed=True)
    row = row_of({"level": 1, "day": "2022-03-20", "clock": "11:00 AM"}, reading)
    assert (row.time, row.seconds) == ("2022-03-20 11:00 AM", 1647774000.0)


def test_fields():
    messages = [{"t": 1, "a": {"x": 1, "y": None}, "b": "x"}, {"c": 2.5, "d": True}]
    names, rows = fields_of(messages)
    assert names == ["t", "a.x", "b", "c", "d"]
    assert rows == [["1", "1", "x", "", ""], ["", "", "", "2.5", "true"]]
    assert as_object(b"nonsense") is None
    assert as_object(b"[1]") is None


FIELDS = st.sampled_from(["level", "t", "n", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
)


@given(st.binary(max_size=200) | JSON.map(lambda found: json.dumps(found).encode()))
def test_anything_is_a_row_or_refused(data):
    reading = ReadOptions(
        ("level",), "t", sequence="n", timed=True, on_bad="skip", refusals=Refusals()
    )
    row = Messages(reading).taken("here", 1, data)
    assert (row is None) == (reading.refusals.counts.total() == 1)
    if row is not None:
        assert not math.isinf(row.values["level"])
        assert math.isfinite(row.seconds)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("at_once", [300, 1 << 23])
def test_lines_of_a_file_in_pieces_are_as_one_by_one(at_once, ending, tmp_path, monkeypatch):
    monkeypatch.setattr("replay.sources.json_lines.AT_ONCE", at_once)
    lines = [json.dumps({"level": i / 4, "load": -i, "t": f"t{i}"}) for i in range(600)]
    lines[70] = lines[400] = "no JSON"
    lines[300] = json.dumps({"level": 1, "load": 2, "t": "x" * 3 * LIMIT})
    lines[500] = json.dumps({"level": "7", "load": 2, "t": "y"})
    path = tmp_path / f"rows.ndjson{ending}"
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if ending else data)

    def read(at_most, position=None):
        refusals = Refusals()
        reading = ReadOptions(("level", "load"), "t", on_bad="skip", refusals=refusals)
        source = JsonLines(Input(path), reading)
        if position is not None:
            source.go_to(position)
        rows, positions = [], []
        while (batch := source.next_batch(at_most)) is not None:
            rows += [batch.row(i) for i in range(len(batch))]
            positions.append((len(rows), source.position))
        return rows, positions, dict(refusals.counts)

    expected, _, refused = read(1)
    assert sum(refused.values()) == 3
    for at_most in (64, 8192):
        found, positions, counts = read(at_most)
        assert (repr(found), counts) == (repr(expected), refused)
        done, middle = positions[len(positions) // 2]
        rest, _, _ = read(at_most, middle)
        assert repr(rest) == repr(expected[done:])
