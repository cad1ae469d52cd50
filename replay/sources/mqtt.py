"""Rows from a broker: none is lost, and the broker keeps each until it is safe here."""

from __future__ import annotations

import hashlib
import math
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from replay.engine.batch import Batch
from replay.engine.rows import InputError, Row
from replay.sources.file_source import BatchSource
from replay.sources.joining import Joined, are_topics
from replay.sources.message import LIMIT, Messages
from replay.sources.mqtt_broker import PATIENCE, Broker
from replay.sources.read_options import ReadOptions
from replay.sources.times import state_of

AT_MOST = 1000
"""Messages that the broker sends without an acknowledgement: so many are held here at most."""
FEW = 10
"""Messages without an acknowledgement when no more come: the broker may wait for one."""
AT_ONCE = 0.02
"""Seconds after an acknowledgement in which a broker that has waited for it sends the next."""
KEPT = 7 * 24 * 3600
"""Seconds for which the broker keeps messages for a reader that is away."""
IDLE = 0.1
"""Seconds after which a broker without news is said to be idle."""
FIRST_NAP, LONGEST_NAP = 0.2, 30.0
"""Seconds between two tries to reach a broker that has gone away: twice as many after each."""
FAREWELL = 2.0
"""Seconds that a broker has to answer when we leave."""
QUICKLY: int | None = getattr(socket, "TCP_QUICKACK", None)
"""The option of Linux that acknowledges at once."""
VERSIONS = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)
"""Of the protocol, the one to be tried first before."""
UNKNOWN_VERSION = 132
"""The reason of a broker that speaks another one."""
SHORT, MOST_SHORT = 5.0, 5
"""Connections that last less, in seconds, and how many of them are borne."""


class MqttSource(BatchSource):
    """The rows of a topic, one JSON object a message; a `Source` that does not end.

    A message is acknowledged by `acknowledge`, after it has been handed on; what is not, the broker
    sends again after a break of the connection or of this process. A batch without a row is
    handed on when nothing has come for IDLE seconds. A broker that goes away is waited for. All is
    done in the thread that asks: no more is read of the broker than is asked for.

    Parameters
    ----------
    broker
        Where, and what is subscribed to, with QoS 1.
    options
        Which columns to read, with values given, and how.
    client
        By which name the broker keeps messages for this reader; None makes one of this machine,
        the broker and the topic.
    at_most
        Messages that are sent without an acknowledgement.
    window
        Of `Joined`, if the values are topics.

    Attributes
    ----------
    n_connections
        How often the broker was reached.

    Raises
    ------
    InputError
        While iterating, if the broker cannot be reached at the start, does not let us in, or lets
        another reader take over.
    """

    files: tuple[Path, ...] = ()
    size = None

    def __init__(
        self,
        broker: Broker,
        options: ReadOptions,
        client: str | None = None,
        at_most: int = AT_MOST,
        window: float | None = None,
    ) -> None:
        super().__init__()
        self.name = broker.name
        self.values = options.values
        self.time = options.time
        self.key = options.key
        self.timed = options.is_timed
        self.n_connections = 0
        self.done = 0
        self._broker = broker
        self._joined = Joined(options, window) if are_topics(options.values) else None
        self._messages: Joined | Messages = self._joined or Messages(options)
        if self._joined is not None:
            self.key = self._joined.key
        self._receive_maximum = at_most
        self._n = 0
        self._came: deque[MQTTMessage] = deque()
        self._handed_on: list[int] = []
        self._answered: int | None = None
        self._error: InputError | None = None
        self._next_try, self._nap = 0.0, FIRST_NAP
        self._connected_at, self._n_short = -math.inf, 0
        self._is_closing = self._is_idle = self._is_stopping = False
        # with so many messages on their way the broker sends no more
        self._window = FEW
        self._acknowledged = 0, 0.0
        self._client_name = client or _client_name(broker)
        self._client = Client(CallbackAPIVersion.VERSION2)

    def _batches(self) -> Generator[Batch, None, None]:
        if not any(self._reached(version) for version in VERSIONS):
            raise InputError(f"{self.name} does not answer; is it a broker of MQTT?")
        while self._came or not self._is_stopping:
            if not self._came:
                self._work()
                self._is_idle = not self._came
            if self._is_idle:
                yield Batch.of_rows((), self.values)
            else:
                yield from self._collected(self._rows())
            if self._joined is not None:
                yield from self._collected(self._joined.due())
            if not self._is_idle and self.wants_acknowledgement:
                # of messages that have made no row
                yield Batch.of_rows((), self.values)
        if self._joined is not None:
            yield from self._collected(self._joined.due(at_once=True))

    def _rows(self) -> Iterator[Row]:
        """Return the rows that have come, until the broker wants an acknowledgement."""
        while self._came:
            message = self._came.popleft()
            data = bytes(message.payload)
            self._n += 1
            self.done += len(data)
            row = self._messages.taken(self.name, self._n, data[: LIMIT + 1], message.topic)
            if message.qos:
                self._handed_on.append(message.mid)
            if row is not None:
                yield row
            if self.wants_acknowledgement:
                return

    def stop(self) -> None:
        """Hand on what has come already; the broker keeps the rest."""
        self._is_stopping = True

    def _reached(self, version: MQTTProtocolVersion) -> bool:
        """Whether the broker answers to this version."""
        properties = None
        is_5 = version == MQTTProtocolVersion.MQTTv5
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_name,
            clean_session=None if is_5 else False,
            protocol=version,
            manual_ack=True,
        )
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        if is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = KEPT
            properties.ReceiveMaximum = self._receive_maximum
        self._broker.connect(client, properties)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            code = client.loop(IDLE)
            if self._error is not None:
                raise self._error
            # messages of a session may come before the answer
            if self._answered is not None or self._came:
                return True
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        client.disconnect()
        return False

    def _work(self) -> None:
        """Take what comes, for IDLE seconds at most; reach a broker that has gone away again."""
        if not self._client.is_connected() and time.monotonic() > self._next_try:
            self._next_try = time.monotonic() + self._nap
            self._nap = min(2.0 * self._nap, LONGEST_NAP)
            with suppress(OSError):
                self._client.reconnect()
        if (connection := self._client.socket()) is None:
            time.sleep(IDLE)
        elif QUICKLY is not None:
            # the broker may hold a message back until the one before has been acknowledged by TCP,
            # which else waits for something to send with it
            with suppress(OSError):
                cast(socket.socket, connection).setsockopt(socket.IPPROTO_TCP, QUICKLY, 1)
        self._client.loop(IDLE)
        # a call takes one message; a batch of all that have come costs little more than one of one
        n = 0
        while n < len(self._came) < self._at_most:
            n = len(self._came)
            self._client.loop(0.0)
        if self._error is not None:
            raise self._error

    @property
    def position(self) -> dict[str, Any]:
        """Messages that have been handed on."""
        held = {} if self._joined is None else {"held": self._joined.state()}
        return {"messages": self._n, **held, **state_of(self._messages.clock)}

    def left(self) -> int:
        """None: the broker sends again what is not acknowledged."""
        return 0

    @property
    def n_messages(self) -> int:
        return self._n

    @property
    def said(self) -> list[str]:
        """The notes on what was guessed, one line each."""
        return self._messages.said

    def go_to(self, position: dict[str, Any]) -> None:
        """Restore the count. The broker itself knows the position."""
        self._n = position["messages"]
        if self._joined is not None:
            self._joined.go_to(position.get("held", []))
        self._messages.clock.go_to(position.get("clock", {}))

    @property
    def wants_acknowledgement(self) -> bool:
        is_short = self._is_idle or self._window < FEW
        return len(self._handed_on) >= (self._window if is_short else self._receive_maximum // 2)

    def acknowledge(self) -> None:
        for number in self._handed_on:
            self._client.ack(number, 1)
        self._acknowledged = len(self._handed_on), time.monotonic()
        self._handed_on.clear()

    def close(self) -> None:
        """Leave; the broker keeps what comes then."""
        super().close()
        self._is_closing = True
        # an answer to this means that the acknowledgements before have been read
        number = self._subscribe()
        until = time.monotonic() + FAREWELL
        while self._client.is_connected() and self._answered != number and time.monotonic() < until:
            self._client.loop(IDLE)
        self._client.disconnect()
        self._client.loop(0.0)

    def _subscribe(self) -> int | None:
        """Subscribe, and return the number by which the broker will answer."""
        options = SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        if self._client.protocol == MQTTProtocolVersion.MQTTv5:
            return self._client.subscribe(self._broker.topic, options=options)[1]
        return self._client.subscribe(self._broker.topic, 1)[1]

    # -- what the broker says -------------------------------------------------------------------

    def _connected(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            if reason.value == UNKNOWN_VERSION:
                return
            # at a later time this may be a broker that is not quite up
            if not self.n_connections:
                self._fail(f"does not let us in: {reason}")
            return
        self.n_connections += 1
        self._nap = FIRST_NAP
        self._connected_at = time.monotonic()
        self._subscribe()

    def _subscribed(
        self,
        client: Client,
        userdata: object,
        number: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if reasons[0].is_failure:
            self._fail(f"refuses the topic {self._broker.topic!r}: {reasons[0]}")
        self._answered = number

    def _disconnected(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        # these come again, and their ids mean nothing to another connection
        self._came.clear()
        self._handed_on.clear()
        is_short = time.monotonic() - self._connected_at < SHORT
        self._n_short = self._n_short + 1 if is_short and not self._is_closing else 0
        if self._n_short == MOST_SHORT:
            self._fail(
                "breaks the connection off as soon as it is made: another reader of the same name "
                "may be at work; give each its own --client"
            )

    def _received(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        n, then = self._acknowledged
        if n:
            # a broker that lets few messages be on their way has waited
            waited = n < FEW and time.monotonic() - then < AT_ONCE
            self._window = n if waited else min(self._window + 1, FEW)
            self._acknowledged = 0, then
        self._came.append(message)

    def _fail(self, problem: str) -> None:
        self._error = InputError(f"{self.name} {problem}")


def _client_name(broker: Broker) -> str:
    what = f"{socket.gethostname()} {broker.name}"
    return "replay-" + hashlib.blake2b(what.encode(), digest_size=8).hexdigest()
