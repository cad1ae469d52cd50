"""Kills a consumer of MQTT at random moments, and once the broker."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

from broker import TestBroker
from crash import differing, ended, start
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions

CLIENT = "crash"
OPTIONS = [
    *("--value", "level", "--key", "device", "--time", "t", "--sequence", "n"),
    *("--time-format", "s"),
    *("--regimes", "2", "--warm-up", "60", "--on-bad", "skip", "--late", "skip"),
]


def messages(n: int, seed: int = 1) -> list[bytes]:
    """Those of five devices in two regimes each, with missing values, and some that are no JSON."""
    rng = random.Random(seed)
    regime, count = dict.fromkeys("abcde", 0), dict.fromkeys("abcde", 0)
    result = []
    for i in range(n):
        device = rng.choice("abcde")
        if rng.random() < 0.02:
            regime[device] = 1 - regime[device]
        level = None if rng.random() < 0.01 else round(rng.gauss(10.0 * regime[device], 1.0), 3)
        count[device] += 1
        said = {"t": i, "device": device, "n": count[device], "level": level}
        result.append(b"{nonsense" if rng.random() < 0.005 else json.dumps(said).encode())
    return result


def publish(port: int, topic: str, told: list[bytes]) -> None:
    """Hand them to a broker, which has them all when this returns."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for data in told:
        last = client.publish(topic, data, qos=1)
    last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def kill_consumers(base: Path, kills: int, rows: int, rng: random.Random) -> tuple[int, int, bool]:
    """How many were killed and how many terminated, and if the labels are as without that."""
    told = messages(rows)
    lines = base / "rows.ndjson"
    lines.write_bytes(b"\n".join(told) + b"\n")
    expected = base / "expected.csv"
    # with a checkpoint, the labels have a column for names
    lasting = ["--checkpoint", str(base / "whole")]
    run = start(["run", str(lines), *OPTIONS, *lasting, "--labels", str(expected)])
    assert ended(run, 600.0) == 0
    broker = TestBroker(base / "broker")
    try:
        address = broker.address("plant/#")
        # from now on the broker keeps what comes
        source = MqttSource(Broker.of(address), ReadOptions(("level",)), CLIENT)
        source.next_batch(1)
        source.close()
        publish(broker.port, "plant/devices", told)
        labels = base / "labels.csv"
        consume = [
            *("live", address, *OPTIONS, "--client", CLIENT, "--labels", str(labels)),
            *("--checkpoint", str(base / "state"), "--resume", "--every-rows", "150"),
        ]
        size = expected.stat().st_size
        terminated = 0
        for done in range(kills + 1):
            if done == kills // 2:
                # what it has not written down yet would be lost, not by us
                broker.save()
                broker.kill()
                broker.start()
            child = start(consume)
            written = _size(labels)
            # a part of what is left, so that there is work to be killed at
            enough = written + rng.uniform(0.0, 2.0) * (size - written) / (kills - done + 1)
            until = time.monotonic() + 60.0
            while _size(labels) < (size if done == kills else enough):
                time.sleep(0.002)
                if time.monotonic() > until:
                    raise RuntimeError(f"{_size(labels):,} bytes of {size:,} after a minute")
            time.sleep(rng.uniform(0.0, 0.05))
            how = signal.SIGTERM if done == kills or rng.random() < 0.15 else signal.SIGKILL
            os.kill(child, how)
            status = ended(child, 60.0)
            if status not in (0, -signal.SIGKILL, -signal.SIGTERM):
                raise RuntimeError(f"the consumer ended with status {status}")
            terminated += how == signal.SIGTERM and done < kills
        same = labels.read_bytes() == expected.read_bytes()
        if not same:
            print(differing({"labels": labels.read_bytes()}, {"labels": expected.read_bytes()}))
        return kills - terminated, terminated, same
    finally:
        broker.stop()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
