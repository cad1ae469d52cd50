"""How soon a label follows its message, and how many messages a second there may be.

``scripts/bench live`` starts a broker on the loopback interface and sends 1,000 messages a second
of ten devices for a minute through ``replay live``, with checkpoints, back to the broker; beside
it, in the same run, the same messages to a subscriber that does nothing. Then a backlog is read by
``replay live``, by the source alone, and by a bare client that acknowledges as often.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests" / "replay")]

from broker import TestBroker, name_of_broker  # noqa: E402

from replay.sources.mqtt import MqttSource  # noqa: E402
from replay.sources.mqtt_broker import Broker  # noqa: E402
from replay.sources.read_options import ReadOptions  # noqa: E402

OPTIONS = [
    *("--value", "level", "--key", "topic:2", "--time", "t", "--sequence", "n"),
    *("--regimes", "2", "--warm-up", "100", "--labels", "labels.csv"),
]


def connected(port: int) -> Client:
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def listening(port: int, topic: str, arrived: list[float]) -> Client:
    """A client that notes how long ago the messages of a topic were sent."""
    client = connected(port)
    client.on_message = lambda client, data, message: arrived.append(
        time.time() - float(json.loads(message.payload)[field_of(topic)])
    )
    client.subscribe(topic, 1)
    return client


def field_of(topic: str) -> str:
    return "time" if topic.startswith("labels") else "t"


def latencies(folder: Path, broker: TestBroker, rate: int, seconds: int) -> None:
    log = (folder / "replay.log").open("w")
    live = subprocess.Popen(
        [
            *(sys.executable, "-m", "replay", "live", broker.address("plant/+"), *OPTIONS),
            *("--publish", broker.address("labels"), "--checkpoint", str(folder / "state")),
        ],
        cwd=folder,
        stdout=log,
        stderr=log,
    )
    labels: list[float] = []
    bare: list[float] = []
    clients = [listening(broker.port, "labels", labels), listening(broker.port, "plant/+", bare)]
    publisher = connected(broker.port)
    time.sleep(5.0)
    n, begun = 0, time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        while n < now * rate:
            level = 9.0 * (n // 1000 % 2) + 0.01 * (n % 97)
            said = {"t": repr(time.time()), "n": n // 10 + 1, "level": level}
            publisher.publish(f"plant/d{n % 10}", json.dumps(said), 1)
            n += 1
        time.sleep(0.002)
    until = time.monotonic() + 10.0
    while len(labels) < n and time.monotonic() < until:
        time.sleep(0.05)
    live.terminate()
    live.wait(20)
    for client in (publisher, *clients):
        client.disconnect()
        client.loop_stop()
    log.close()
    print(f"{n:,} messages in {seconds} s, {len(labels):,} labels")
    # the warm-up is labelled when it is complete
    for name, found in {"label": labels[2000:], "message": bare[2000:]}.items():
        p50, p99, most = (1e3 * q for q in np.quantile(found, [0.5, 0.99, 1.0]))
        print(
            f"    from sending to the {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.0f}"
        )


def backlog(folder: Path, broker: TestBroker, n: int) -> None:
    def fill(client: str) -> None:
        source = MqttSource(Broker.of(broker.address("plant/+")), ReadOptions(("level",)), client)
        source.next_batch(1)
        source.close()
        publisher = connected(broker.port)
        for i in range(n):
            level = 9.0 * (i // 1000 % 2) + 0.01 * (i % 97)
            said = {"t": i, "n": i // 10 + 1, "level": level}
            last = publisher.publish(f"plant/d{i % 10}", json.dumps(said), 1)
        last.wait_for_publish()
        publisher.disconnect()
        publisher.loop_stop()

    rates = {}
    fill("bare")
    rates["a bare client"] = n / bare_client(broker, n)
    fill("source")
    reading = ReadOptions(("level",), "t", "topic:2", "n", timed=True)
    source = MqttSource(Broker.of(broker.address("plant/+")), reading, "source")
    begun, seen = time.monotonic(), 0
    for row in source:
        seen += row is not None
        if source.wants_acknowledgement:
            source.acknowledge()
        if seen == n:
            break
    rates["its source"] = n / (time.monotonic() - begun)
    source.acknowledge()
    source.close()
    fill("live")
    labels = folder / "backlog.csv"
    options = [*OPTIONS[:-1], str(labels), "--client", "live", "--checkpoint", str(folder / "of")]
    for name in ("replay live, with checkpoints",):
        live = subprocess.Popen(
            [sys.executable, "-m", "replay", "live", broker.address("plant/+"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not labels.exists() or not labels.stat().st_size:
            time.sleep(0.001)
        begun = time.monotonic()
        while labels.read_bytes().count(b"\n") < n + 1:
            time.sleep(0.02)
        rates[name] = n / (time.monotonic() - begun)
        live.terminate()
        live.wait(20)
    for name, rate in rates.items():
        share = rate / rates["a bare client"]
        print(f"    {name}: {rate:,.0f} messages a second of a backlog, {share:.0%}")


def bare_client(broker: TestBroker, n: int) -> float:
    """Seconds in which a client that only counts reads and acknowledges so many messages."""
    client = Client(
        CallbackAPIVersion.VERSION2, "bare", protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
    )
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = 1000
    numbers: list[int] = []
    seen = 0
    done = threading.Event()

    def received(client: Client, data: object, message: object) -> None:
        nonlocal seen
        seen += 1
        numbers.append(message.mid)
        if len(numbers) == 500 or seen == n:
            for number in numbers:
                client.ack(number, 1)
            numbers.clear()
        if seen == n:
            done.set()

    client.on_message = received
    begun = time.monotonic()
    client.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
    client.loop_start()
    done.wait(120)
    took = time.monotonic() - begun
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=1000, help="messages a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--backlog", type=int, default=100_000, help="messages")
    chosen = parser.parse_args()
    print(name_of_broker())
    with tempfile.TemporaryDirectory() as name:
        broker = TestBroker(Path(name) / "broker")
        try:
            latencies(Path(name), broker, chosen.rate, chosen.seconds)
            backlog(Path(name), broker, chosen.backlog)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
