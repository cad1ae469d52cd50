"""Labelled rows to a topic of Kafka, each under a key of its own."""

from __future__ import annotations

import time
import zlib
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from replay.engine.batch import LabelledBatch
from replay.engine.protocols import Source
from replay.engine.rows import InputError, OutputError
from replay.sinks.labelled import as_message
from replay.sources.kafka_cluster import PATIENCE, SILENT, Cluster

WAIT = 60.0
"""Seconds in which a message must have arrived."""


class KafkaSink:
    """Publishes labelled rows as JSON, each acknowledged by all replicas; a `Sink`.

    The key of a message is the key of the row, a slash, and its sequence number, or its number in
    the input without one. All rows of a key go to one partition, in order. What was published after
    the last checkpoint is published again after a crash, under the same keys and with the same
    content: who reads drops what has been there, or the topic is compacted.

    Parameters
    ----------
    cluster
        Where, and the topic.
    source
        Where rows come from.

    Raises
    ------
    InputError
        At once if the cluster does not answer.
    OutputError
        If it takes nothing for WAIT seconds, or refuses a message.
    """

    def __init__(self, cluster: Cluster, source: Source) -> None:
        self.name = cluster.name
        self._source = source
        self._topic = cluster.topic
        self._encode = msgspec.json.Encoder().encode
        self._failure: KafkaError | None = None
        self._producer = Producer(
            {
                **cluster.settings,
                "bootstrap.servers": cluster.servers,
                # each message once and in order, whatever the connection does
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": round(1000 * WAIT),
            },
            logger=SILENT,
        )
        try:
            found = self._producer.list_topics(cluster.topic, timeout=PATIENCE).topics[self._topic]
        except KafkaException as error:
            raise InputError(f"--publish {self.name}: {error.args[0].str()}") from None
        self._n_partitions = max(len(found.partitions), 1)

    def begin(self) -> None:
        """Nothing: what was published stays."""

    def write(self, labelled: LabelledBatch) -> None:
        rows = zip(labelled.rows(), labelled.name_of_each(), strict=True)
        for (row, assignment, change), name in rows:
            number = row.line if row.sequence is None else row.sequence
            self._publish(
                f"{row.key}/{number}".encode(),
                self._encode(as_message(row, assignment, change, self._source, name)),
                zlib.crc32(row.key.encode()) % self._n_partitions,
            )

    def _publish(self, key: bytes, data: bytes, partition: int) -> None:
        until = time.monotonic() + WAIT
        while True:
            try:
                self._producer.produce(self._topic, data, key, partition, on_delivery=self._arrived)
                break
            except BufferError:
                # as many as it holds are on their way
                self._producer.poll(0.1)
                if time.monotonic() > until:
                    raise OutputError(f"{self.name} has not answered for {WAIT:g} s") from None
            except KafkaException as error:
                raise OutputError(f"{self.name}: {error.args[0].str()}") from None
        self._producer.poll(0)
        self._raise_failure()

    def flush(self) -> None:
        """Let the client hear what has arrived; the rest is on its way."""
        self._producer.poll(0)
        self._raise_failure()

    def position(self) -> Any:
        """Wait until all has arrived."""
        if self._producer.flush(WAIT):
            raise OutputError(f"{self.name} has not answered for {WAIT:g} s")
        self._raise_failure()

    def go_to(self, position: Any) -> None:
        """Nothing: what was published stays."""

    def finish(self) -> None:
        self.position()

    def close(self) -> None:
        """Nothing: what has not arrived is published again, if there is a checkpoint."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _arrived(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() != KafkaError._PURGE_QUEUE:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise OutputError(f"{self.name} has not taken a message: {self._failure.str()}")
