"""Labelled rows to a broker."""

from __future__ import annotations

import re
import threading
from typing import Any

import msgspec
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from replay.engine.batch import LabelledBatch
from replay.engine.protocols import Source
from replay.engine.rows import InputError, OutputError
from replay.sinks.labelled import as_message
from replay.sources.mqtt_broker import PATIENCE, Broker

AT_MOST = 1000
"""Messages on their way."""
WAIT = 60.0
"""Seconds in which a message must have arrived."""
IN_TOPICS = re.compile(r"[/+#\0]")
"""What a key cannot bring into a topic."""


def topic_of(topic: str, key: str) -> str:
    """The topic of a key, which takes the place of ``{key}``."""
    return topic.replace("{key}", IN_TOPICS.sub("_", key))


class MqttSink:
    """Publishes labelled rows as JSON, with QoS 1; a `Sink`.

    What was published after the last checkpoint is published again after a crash. A broker that
    goes away is waited for, for WAIT seconds.

    Parameters
    ----------
    broker
        Where, and the topic; ``{key}`` in it is the key of the row.
    source
        Where the rows come from.

    Raises
    ------
    InputError
        At once if the broker cannot be reached.
    OutputError
        If it takes nothing for WAIT seconds.
    """

    def __init__(self, broker: Broker, source: Source) -> None:
        if "+" in broker.topic or "#" in broker.topic:
            raise InputError(f"--publish: the topic {broker.topic!r} must be without + and #")
        self.name = broker.name
        self._source = source
        self._topic = broker.topic
        self._encode = msgspec.json.Encoder().encode
        self._on_the_way = 0
        self._changed = threading.Condition()
        self._greeting: ReasonCode | None = None
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = self._connected
        client.on_publish = self._arrived
        self._client = client
        broker.connect(client)
        client.loop_start()
        self._wait(lambda: self._greeting is not None, PATIENCE)
        assert self._greeting is not None
        if self._greeting.is_failure:
            self.close()
            raise InputError(f"{self.name} does not let us in: {self._greeting}")

    def begin(self) -> None:
        """Nothing: what was published stays."""

    def write(self, labelled: LabelledBatch) -> None:
        rows = zip(labelled.rows(), labelled.name_of_each(), strict=True)
        for (row, assignment, change), name in rows:
            topic = topic_of(self._topic, row.key)
            message = as_message(row, assignment, change, self._source, name)
            self._publish(topic, self._encode(message))

    def _publish(self, topic: str, data: bytes) -> None:
        with self._changed:
            if self._on_the_way >= AT_MOST:
                self._wait(lambda: self._on_the_way < AT_MOST, WAIT)
            self._on_the_way += 1
        result = self._client.publish(topic, data, qos=1)
        if result.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise OutputError(f"{self.name} cannot be published to: {result.rc.name}")

    def flush(self) -> None:
        """Nothing: what is published is on its way."""

    def position(self) -> Any:
        """Wait until all has arrived."""
        self._wait(lambda: not self._on_the_way, WAIT)

    def go_to(self, position: Any) -> None:
        """Nothing: what was published stays."""

    def finish(self) -> None:
        self.position()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, ready: Any, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(ready, seconds):
                raise OutputError(f"{self.name} has not answered for {seconds:g} s")

    # -- in the thread of the network -----------------------------------------------------------

    def _connected(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            self._greeting = reason
            self._changed.notify_all()

    def _arrived(
        self,
        client: Client,
        userdata: object,
        number: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            self._on_the_way -= 1
            self._changed.notify_all()
