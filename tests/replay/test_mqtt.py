"""Rows from a real broker, and to one: all of them, whatever breaks."""

import gc
import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from itertools import islice

import broker as brokers
import pytest
from batches import Labelled, batch_of, one_by_one
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from processes import Forked, run

from online_gmm import Assignment
from replay.engine.rows import InputError, OutputError, Row
from replay.sinks.mqtt import MqttSink
from replay.sinks.refusals import Refusals
from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker, Credentials
from replay.sources.read_options import ReadOptions

READING = ReadOptions(("level",), key="topic:2", sequence="n")


def told(numbers, level=1.0):
    return [json.dumps({"n": n, "level": level}).encode() for n in numbers]


def publish(broker, messages, topic="plant/a", qos=1):
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for message in messages:
        last = client.publish(topic, message, qos)
    last.wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


def source_of(broker, reading=READING, **options):
    return MqttSource(Broker.of(broker.address("plant/#")), reading, "reader", **options)


def subscribe(broker):
    """Let the broker keep what comes from now on."""
    source = source_of(broker)
    assert next(one_by_one(source)) is None
    source.close()


def read(rows, n, within=120.0):
    """So many rows; fewer if they do not come."""
    until = time.monotonic() + within
    found = []
    while len(found) < n and time.monotonic() < until:
        row = next(rows)
        if row is not None:
            found.append(row)
    return found


def test_every_message_is_a_row(broker):
    subscribe(broker)
    publish(broker, told(range(300)))
    source = source_of(broker)
    rows = read(one_by_one(source), 300)
    source.close()
    assert [row.sequence for row in rows] == list(range(300))
    assert {row.key for row in rows} == {"a"}
    assert source.position == {"messages": 300}


def test_messages_that_wait_come_in_batches(broker):
    """Each by itself takes several times as long to be labelled."""
    subscribe(broker)
    publish(broker, told(range(400)))
    source = source_of(broker)
    sizes = []
    until = time.monotonic() + 120.0
    while sum(sizes) < 400 and time.monotonic() < until:
        sizes.append(len(source.next_batch(1000)))
        if source.wants_acknowledgement:
            source.acknowledge()
    source.close()
    assert sum(sizes) == 400
    assert max(sizes) > 10


def test_rows_as_they_come(any_broker):
    source = source_of(any_broker)
    rows = one_by_one(source)
    assert next(rows) is None
    publisher = threading.Thread(target=publish, args=(any_broker, told(range(100))))
    publisher.start()
    seen = []
    while len(seen) < 100:
        row = next(rows)
        seen += [] if row is None else [row.sequence]
        if row is not None or source.wants_acknowledgement:
            source.acknowledge()
    publisher.join()
    source.close()
    assert seen == list(range(100))


def test_what_is_not_acknowledged_comes_again(broker):
    subscribe(broker)
    publish(broker, told(range(50)))
    source = source_of(broker)
    rows = one_by_one(source)
    first = read(rows, 20)
    source.acknowledge()
    assert len(read(rows, 30)) == 30
    source.close()
    source = source_of(broker)
    again = read(one_by_one(source), 30)
    source.acknowledge()
    source.close()
    assert [row.sequence for row in (*first, *again)] == list(range(50))
    source = source_of(broker)
    assert read(one_by_one(source), 1, within=0.5) == []
    source.close()


def test_a_slow_reader_is_sent_no_more_than_it_asks_for(broker):
    subscribe(broker)
    publish(broker, told(range(200)))
    source = source_of(broker, at_most=20)
    rows = one_by_one(source)
    assert len(read(rows, 20)) == 20
    assert read(rows, 1, within=0.5) == []
    assert source.wants_acknowledgement
    source.acknowledge()
    assert not source.wants_acknowledgement
    assert [row.sequence for row in read(rows, 5)] == list(range(20, 25))
    source.close()


def test_bad_messages_are_refused_and_acknowledged(broker):
    subscribe(broker)
    publish(broker, [b"nonsense", b"\xff\xfe", b"[]", b"x" * 70_000, *told([1])])
    refusals = Refusals()
    reading = ReadOptions(("level",), sequence="n", on_bad="skip", refusals=refusals)
    source = source_of(broker, reading)
    assert [row.sequence for row in read(one_by_one(source), 1)] == [1]
    assert refusals.counts == {
        "messages that are no JSON": 2,
        "messages that are no JSON object": 1,
        "messages that are too long": 1,
    }
    source.acknowledge()
    source.close()
    source = source_of(broker, reading)
    assert read(one_by_one(source), 1, within=0.5) == []
    source.close()


@pytest.mark.parametrize("ends", ["stop", "kill"])
def test_a_broker_that_goes_away_is_waited_for(ends, broker):
    subscribe(broker)
    publish(broker, told(range(40)))
    source = source_of(broker)
    rows = one_by_one(source)
    seen = [row.sequence for row in read(rows, 10)]
    source.acknowledge()
    seen += [row.sequence for row in read(rows, 10)]
    if ends == "kill":
        broker.save()
    getattr(broker, ends)()
    for _ in range(5):
        next(rows)
    broker.start()
    until = time.monotonic() + 20.0
    while len(set(seen)) < 40 and time.monotonic() < until:
        seen += [row.sequence for row in read(rows, 1)]
    # what was handed on and not acknowledged has come twice
    assert set(seen) == set(range(40))
    assert source.n_connections == 2
    source.acknowledge()
    publish(broker, told([40]))
    # what comes again comes before it
    while read(rows, 1)[0].sequence != 40:
        pass
    source.close()


def test_what_comes_while_the_reader_is_away_is_kept(broker):
    subscribe(broker)
    publish(broker, told(range(1500)))
    publish(broker, told([0]), "plant/b")
    source = source_of(broker)
    rows = []
    for row in one_by_one(source):
        rows += [] if row is None else [row]
        if source.wants_acknowledgement:
            source.acknowledge()
        if len(rows) == 1501:
            break
    source.close()
    assert [row.sequence for row in rows] == [*range(1500), 0]
    assert rows[-1].key == "b"


def test_another_reader_of_the_same_name(broker):
    source, other = source_of(broker), source_of(broker)
    both = zip(one_by_one(source), one_by_one(other), strict=False)
    with pytest.raises(InputError, match="another reader of the same name"):
        deque(islice(both, 200), 0)
    other.close()
    source.close()


def test_nobody_is_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    source = MqttSource(Broker.of(f"mqtt://127.0.0.1:{port}/x"), READING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replay.sources.mqtt_broker.PATIENCE", 0.5)
        with pytest.raises(InputError, match=f"127.0.0.1:{port}/x cannot be reached: .*refused"):
            next(one_by_one(source))
    source.close()


@pytest.fixture
def kept_from_others(tmp_path):
    """A file of credentials for user pump, and the broker that wants them."""
    if not brokers.MOSQUITTO:
        pytest.skip("amqtt is not set up with passwords here")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "pump", "secret"], check=True)
    passwords.chmod(0o644)
    credentials = tmp_path / "credentials"
    credentials.write_text("user=pump\npassword=secret\n")
    credentials.chmod(0o600)
    broker = brokers.TestBroker(tmp_path / "broker", password_file=passwords)
    yield broker, credentials
    broker.stop()


def test_credentials(kept_from_others, monkeypatch):
    broker, credentials = kept_from_others
    address = broker.address("plant/#")
    source = MqttSource(Broker.of(address, credentials), READING)
    assert next(one_by_one(source)) is None
    source.close()
    monkeypatch.setenv("REPLAY_MQTT_USER", "pump")
    monkeypatch.setenv("REPLAY_MQTT_PASSWORD", "wrong")
    source = MqttSource(Broker.of(address), READING)
    with pytest.raises(InputError, match="does not let us in: Not authorized"):
        next(one_by_one(source))
    source.close()
    with pytest.raises(InputError, match="does not let us in"):
        MqttSink(Broker.of(broker.address("out")), source)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # paho leaves a socket that is not trusted
def test_encrypted(tmp_path):
    if not brokers.MOSQUITTO:
        pytest.skip("amqtt is not set up with TLS here")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    broker = brokers.TestBroker(tmp_path / "broker", certificate=certificate, key=key)
    address = broker.address("plant/#", "mqtts")
    try:
        source = MqttSource(Broker.of(address, ca=certificate), READING)
        assert next(one_by_one(source)) is None
        source.close()
        source = MqttSource(Broker.of(address), READING)
        with pytest.raises(InputError, match=r"not to be trusted.*--ca names"):
            next(one_by_one(source))
        source.close()
    finally:
        broker.stop()
        gc.collect()


# -- addresses and credentials --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("mqtt://plant.example/a/+/b", ("plant.example", 1883, False, "a/+/b")),
        ("mqtts://plant.example:99/#", ("plant.example", 99, True, "#")),
        ("mqtts://[::1]/a/#", ("::1", 8883, True, "a/#")),
        ("mqtt://h/a?b", ("h", 1883, False, "a?b")),
        ("mqtt://h//a", ("h", 1883, False, "/a")),
    ],
)
def test_addresses(address, parts):
    broker = Broker.of(address)
    assert (broker.host, broker.port, broker.tls, broker.topic) == parts
    assert Broker.of(broker.name) == broker


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://h/x", "no address of a broker; give mqtt://HOST/TOPIC"),
        ("mqtt://h", "no host or no topic"),
        ("mqtt:///x", "no host or no topic"),
        ("mqtt://h:port/x", "Port could not"),
        ("mqtt://h:99999/x", "Port out of range"),
        ("mqtt://h/pumps/#/state", "# stands for all levels that follow, so it must be the last"),
        ("mqtt://h/pumps/p+/state", "'p\\+' is no level of a topic"),
        ("mqtt://h/pumps#", "'pumps#' is no level of a topic"),
        ("mqtt://me:secret@h/x", "do not belong into the address.*REPLAY_MQTT_USER"),
    ],
)
def test_bad_addresses(address, said):
    with pytest.raises(InputError, match=said) as caught:
        Broker.of(address)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown():
    assert "secret" not in repr(Credentials("me", "secret"))


def test_bad_credentials(tmp_path):
    path = tmp_path / "credentials"
    with pytest.raises(InputError, match="cannot be read"):
        Broker.of("mqtt://h/x", path)
    path.write_text("user=pump\npassword=secret\n")
    path.chmod(0o644)
    with pytest.raises(InputError, match=r"read by others \(mode 644\); say chmod 600"):
        Broker.of("mqtt://h/x", path)
    path.write_text("name=pump\n")
    path.chmod(0o600)
    with pytest.raises(InputError, match="has a line of 'name'; it must have"):
        Broker.of("mqtt://h/x", path)
    with pytest.raises(InputError, match="--ca is for mqtts"):
        Broker.of("mqtt://h/x", ca=path)


# -- to a broker ----------------------------------------------------------------------------------


class Columns:
    name, values, time, key = "here", ("level",), "t", "device"


def labelled(i, key="a"):
    row = Row(i, f"t{i}", (f"{i}",), {"level": float(i)}, None, key)
    return batch_of(Labelled(row, Assignment(i % 2, 0.75, -1.0, False), i == 3))


def test_labelled_rows_are_published(broker):
    reader = MqttSource(
        Broker.of(broker.address("labels/#")), ReadOptions(("n", "values.level"), "time")
    )
    rows = one_by_one(reader)
    next(rows)
    sink = MqttSink(Broker.of(broker.address("labels/{key}/now")), Columns)
    sink.begin()
    for i in range(1200):
        sink.write(labelled(i, "a" if i % 2 else "b/+#"))
    sink.position()
    found = read(rows, 900)
    reader.acknowledge()
    found += read(rows, 300)
    assert [row.values["n"] for row in found] == list(range(1200))
    assert found[7].time == "t7"
    sink.finish()
    sink.close()
    reader.close()


def test_a_topic_to_publish_to_is_one_topic():
    with pytest.raises(InputError, match=r"'labels/#' must be without \+ and #"):
        MqttSink(Broker.of("mqtt://h/labels/#"), Columns)


def test_a_broker_that_takes_nothing_is_not_waited_for_for_ever(broker, monkeypatch):
    monkeypatch.setattr("replay.sinks.mqtt.WAIT", 0.5)
    monkeypatch.setattr("replay.sinks.mqtt.AT_MOST", 10)
    sink = MqttSink(Broker.of(broker.address("labels")), Columns)
    os.kill(broker.process.pid, 19)  # it stands still
    try:
        with pytest.raises(OutputError, match=r"has not answered for 0\.5 s"):
            deque(map(sink.write, map(labelled, range(5000))), 0)
    finally:
        os.kill(broker.process.pid, 18)
        sink.close()


# -- the command ----------------------------------------------------------------------------------


def test_live_from_a_broker_to_a_broker(broker, tmp_path):
    """The labels of a stream are those of a replay of the same rows."""
    subscribe(broker)
    lines = told(range(1, 401), 0.0)
    lines = [
        json.dumps({"n": n, "level": (n % 7) * 0.1 + 9.0 * (n // 50 % 2)}).encode()
        for n in range(1, 401)
    ]
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(lines))
    options = ["--value", "level", "--sequence", "n", "--regimes", "2", "--warm-up", "60"]
    whole = tmp_path / "whole.csv"
    run("run", tmp_path / "rows.ndjson", *options, "--labels", whole).check_returncode()
    heard = MqttSource(Broker.of(broker.address("labels")), ReadOptions(("label",)))
    rows = one_by_one(heard)
    next(rows)
    publish(broker, lines)
    labels = tmp_path / "labels.csv"
    live = Forked(
        *("live", broker.address("plant/#"), *options, "--client", "reader"),
        *("--labels", labels, "--publish", broker.address("labels")),
    )
    watchdog = threading.Timer(60.0, live.kill)
    watchdog.start()
    try:
        found = [int(row.values["label"]) for row in read(rows, 400, within=300.0)]
    finally:
        live.terminate()
        out, err = live.communicate(timeout=600)
        watchdog.cancel()
        heard.close()
    assert live.returncode == 0, err
    assert b"400 rows" in out
    assert labels.read_text() == whole.read_text()
    assert found == [int(line.split(",")[1]) for line in whole.read_text().splitlines()[1:]]
