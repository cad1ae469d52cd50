"""Rows from a topic of Kafka: where the replay is in each partition, its checkpoint knows."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from replay.engine.batch import Batch
from replay.engine.rows import InputError, Row
from replay.sources.file_source import BatchSource
from replay.sources.kafka_cluster import PATIENCE, SILENT, Cluster
from replay.sources.message import LIMIT, Messages
from replay.sources.read_options import ReadOptions
from replay.sources.times import state_of

IDLE = 0.1
"""Seconds after which a cluster without news is said to be idle."""
PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
"""Errors that the client gets over by itself, in time. Each is told once."""


class KafkaSource(BatchSource):
    """The rows of a topic, one JSON object a message; a `LiveSource` that does not end.

    Without a checkpoint it begins at the first message that the cluster has. With one it goes on
    where that is: offsets are in the checkpoint, and partitions are assigned, not subscribed to.
    Nothing is committed to a group. The number of a row is the offset of its message, from 1.

    Parameters
    ----------
    cluster
        Where, and the topic.
    options
        Which fields to read, with values given, and how. Its key may be `MESSAGE_KEY`.

    Raises
    ------
    InputError
        At once if the cluster does not answer or has no such topic; later if messages that are
        to be read are no longer there, or the client gives up.
    """

    files: tuple[Path, ...] = ()
    wants_acknowledgement = False
    size = None

    def __init__(self, cluster: Cluster, options: ReadOptions) -> None:
        super().__init__()
        self.name = cluster.name
        self.values = options.values
        self.time = options.time
        self.key = options.key
        self.timed = options.is_timed
        self.done = self.n_messages = 0
        self._topic = cluster.topic
        self._messages = Messages(options)
        self._offsets: dict[int, int] = {}
        self._is_stopping = False
        self._told: set[int] = set()
        self._refusals = options.refusals
        self._came: list[Message] = []
        settings = {
            "group.id": "online-gmm",
            **cluster.settings,
            "bootstrap.servers": cluster.servers,
            "enable.auto.commit": False,
            # a gap is not passed over in silence
            "auto.offset.reset": "error",
        }
        try:
            self._consumer = Consumer(settings, logger=SILENT)
            found = self._consumer.list_topics(cluster.topic, timeout=PATIENCE).topics[self._topic]
        except KafkaException as error:
            raise InputError(
                f"{self.name} cannot be reached: {error.args[0].str()}; is the broker running, and "
                "are host and port right?"
            ) from None
        if found.error is not None:
            self._consumer.close()
            raise InputError(f"{self.name}: {found.error.str()}")
        self._partitions = sorted(found.partitions)

    def _batches(self) -> Generator[Batch, None, None]:
        self._consumer.assign(
            [
                TopicPartition(self._topic, its, self._offsets.get(its, OFFSET_BEGINNING))
                for its in self._partitions
            ]
        )
        while not self._is_stopping:
            self._came = self._consumer.consume(self._at_most, IDLE)
            if self._came:
                yield from self._collected(self._rows())
            else:
                yield Batch.of_rows((), self.values)

    def _rows(self) -> Iterator[Row]:
        for message in self._came:
            if (error := message.error()) is not None:
                if error.code() in PASSING:
                    self._tell(error)
                    continue
                raise InputError(f"{self.name}: {_explained(error)}")
            data, offset = message.value() or b"", message.offset() or 0
            self._offsets[message.partition() or 0] = offset + 1
            self.n_messages += 1
            self.done += len(data)
            key = (message.key() or b"").decode(errors="replace")
            row = self._messages.taken(
                self.name, offset + 1, data[: LIMIT + 1], self._topic, key or None
            )
            if row is not None:
                yield row

    def _tell(self, error: KafkaError) -> None:
        """Say once that something is wrong with the cluster."""
        if error.code() not in self._told:
            self._told.add(error.code())
            self._refusals.hint(f"{self.name}: {error.str()}; it is tried again until it answers")

    def stop(self) -> None:
        """End. What has not been handed on is read again next time."""
        self._is_stopping = True

    @property
    def position(self) -> dict[str, Any]:
        """The offset of the next message of each partition."""
        offsets = {str(partition): offset for partition, offset in self._offsets.items()}
        return {
            "offsets": offsets,
            "messages": self.n_messages,
            **state_of(self._messages.clock),
        }

    def go_to(self, position: dict[str, Any]) -> None:
        self._offsets = {int(its): offset for its, offset in position["offsets"].items()}
        self.n_messages = position["messages"]
        self._messages.clock.go_to(position.get("clock", {}))

    def left(self) -> int:
        """None: the cluster keeps what has not been labelled."""
        return 0

    @property
    def said(self) -> list[str]:
        """The notes on what was guessed, one line each."""
        return self._messages.said

    def acknowledge(self) -> None:
        """Nothing: the cluster keeps messages as long as it does."""

    def close(self) -> None:
        super().close()
        self._consumer.close()


def _explained(error: KafkaError) -> str:
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return (
            f"messages after the checkpoint are no longer there ({error.str()}): the cluster has "
            "deleted them; start afresh without --resume, or restore them"
        )
    return str(error.str())
