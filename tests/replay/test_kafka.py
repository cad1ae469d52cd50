"""Rows from Kafka and to it: none is lost and none is doubled, whatever is killed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batches import Labelled, batch_of, one_by_one
from kafka_servers import Tansu, consumed, make_topic, mock_cluster, produce

from online_gmm import Assignment
from replay.cli.listening import live_source
from replay.engine.rows import InputError, OutputError, Row
from replay.sinks.kafka import KafkaSink
from replay.sinks.refusals import Refusals
from replay.sources.kafka import KafkaSource
from replay.sources.kafka_cluster import Cluster
from replay.sources.read_options import ReadOptions

HERE = Path(__file__).parent
READING = ReadOptions(("level",), key="device", sequence="n", on_bad="skip", refusals=Refusals())


@pytest.fixture(params=["tansu", "mock"])
def servers(request, tmp_path):
    """The address of a cluster."""
    if request.param == "mock":
        holder, address = mock_cluster()
        yield address
        del holder
        return
    tansu = Tansu(tmp_path)
    yield tansu.address
    tansu.stop()


def told(n, keys="ab"):
    return [
        (keys[i % len(keys)], json.dumps({"device": keys[i % len(keys)], "n": i, "level": i % 7}))
        for i in range(n)
    ]


def read(source, n, within=120.0):
    until, rows, found = time.monotonic() + within, one_by_one(source), []
    while len(found) < n and time.monotonic() < until:
        row = next(rows)
        found += [] if row is None else [row]
    return found


def test_every_message_is_a_row_and_it_goes_on_where_it_was(servers):
    make_topic(servers, "pumps", 3)
    produce(servers, "pumps", told(300, "abcdef"))
    cluster = Cluster.of(f"kafka://{servers}/pumps")
    source = KafkaSource(cluster, READING)
    first = read(source, 120)
    position = json.loads(json.dumps(source.position))
    source.close()
    assert sum(position["offsets"].values()) == position["messages"] == 120
    source = KafkaSource(cluster, READING)
    source.go_to(position)
    rest = read(source, 180)
    assert sorted(row.sequence for row in (*first, *rest)) == list(range(300))
    # those of a key are in order
    for key in "abcdef":
        its = [row.sequence for row in (*first, *rest) if row.key == key]
        assert its == sorted(its)
    # and nothing more comes
    assert next(one_by_one(source)) is None
    assert source.n_messages == 300
    source.close()


def test_the_key_of_a_message(servers):
    make_topic(servers, "pumps", 1)
    produce(servers, "pumps", [("p7", b'{"level": 1}'), (None, b'{"level": 2}'), ("é", b"3")])
    reading = ReadOptions(("level",), key="message-key", on_bad="skip", refusals=Refusals())
    source = KafkaSource(Cluster.of(f"kafka://{servers}/pumps"), reading)
    # one without a key may go anywhere
    found = {row.key: row.values["level"] for row in read(source, 2)}
    assert found == {"p7": 1.0, "é": 3.0}
    read(source, 1, within=1.0)
    assert reading.refusals.counts == {"rows without a key": 1}
    source.close()


def test_a_topic_that_is_not_there(servers):
    with pytest.raises(InputError, match=r"kafka://.*/nothing: .*[Uu]nknown topic"):
        KafkaSource(Cluster.of(f"kafka://{servers}/nothing"), READING)


def test_a_cluster_that_is_not_there(monkeypatch):
    monkeypatch.setattr("replay.sources.kafka.PATIENCE", 0.5)
    with pytest.raises(InputError, match="cannot be reached"):
        KafkaSource(Cluster.of("kafka://127.0.0.1:1/pumps"), READING)


def test_messages_that_have_been_deleted_are_said():
    holder, address = mock_cluster()
    produce(address, "pumps", told(10))
    source = KafkaSource(Cluster.of(f"kafka://{address}/pumps"), READING)
    source.go_to({"offsets": {"0": 10_000}, "messages": 3})
    with pytest.raises(InputError, match=r"no longer there .* start afresh without --resume"):
        read(source, 11)
    source.close()
    del holder


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("kafka://host", "no host or no topic"),
        ("kafka:///topic", "no host or no topic"),
        ("kafka://host/a/b", "no host or no topic"),
        ("kafka://user:word@host/topic", "do not belong into the address"),
    ],
)
def test_what_is_no_address(address, problem):
    with pytest.raises(InputError, match=problem):
        Cluster.of(address)


def test_settings_of_the_client(tmp_path):
    path = tmp_path / "settings"
    path.write_text("security.protocol=SASL_SSL\nsasl.password = a=b\n")
    path.chmod(0o600)
    cluster = Cluster.of("kafka://one,two:9093/topic", path)
    assert cluster.settings == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}
    assert (cluster.servers, cluster.topic) == ("one:9092,two:9093", "topic")
    assert "a=b" not in repr(cluster)
    path.chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        Cluster.of("kafka://one/topic", path)


def test_land_does_not_read_kafka():
    with pytest.raises(InputError, match="an engine such as Spark reads Kafka itself"):
        live_source("kafka://127.0.0.1/topic", READING, at_most=100)


# -- to Kafka -------------------------------------------------------------------------------------


class Columns:
    time, key, values = "t", "device", ("level",)


def labelled(i, key):
    row = Row(i + 1, f"t{i}", ("1.5",), {"level": 1.5}, None, key, 7 * i)
    return batch_of(Labelled(row, Assignment(i % 2, 0.9, -1.0, False)))


def test_labelled_rows_are_published(servers):
    make_topic(servers, "regimes", 2)
    sink = KafkaSink(Cluster.of(f"kafka://{servers}/regimes"), Columns)
    sink.begin()
    for i in range(600):
        sink.write(labelled(i, "abc"[i % 3]))
    assert sink.position() is None
    found = consumed(servers, "regimes", 600)
    assert {message.key() for message in found} == {
        f"{'abc'[i % 3]}/{7 * i}".encode() for i in range(600)
    }
    for key in "abc":
        its = [
            json.loads(message.value()) for message in found if message.key()[:1] == key.encode()
        ]
        assert [one["time"] for one in its] == [f"t{i}" for i in range("abc".index(key), 600, 3)]
    sink.finish()
    sink.close()


def test_a_cluster_that_takes_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("replay.sinks.kafka.WAIT", 1.0)
    holder, address = mock_cluster()
    sink = KafkaSink(Cluster.of(f"kafka://{address}/regimes"), Columns)
    del holder
    sink.write(labelled(1, "a"))
    with pytest.raises(OutputError, match="has not"):
        sink.position()
    sink.close()


def test_no_row_is_lost_or_doubled_over_kills(tmp_path):
    done = subprocess.run(
        [sys.executable, HERE / "crash.py", "--kafka", "--kills", "10", "--rows", "2000"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 kills" in done.stdout
