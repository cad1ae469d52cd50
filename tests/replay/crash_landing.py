"""Kills a landing of MQTT at random moments, and its broker, and looks at what has landed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from broker import TestBroker
from crash import ended, start
from crash_mqtt import CLIENT, messages, publish

from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions

OPTIONS = [
    *("--value", "level", "--key", "device", "--time", "t", "--sequence", "n"),
    *("--time-format", "s"),
    *("--client", CLIENT, "--file-rows", "50", "--file-seconds", "0.1"),
]


def kill_landings(base: Path, kills: int, rows: int, rng: random.Random) -> tuple[Counter, str]:
    """How many were killed, of what, and how many rows came twice; and what is wrong."""
    told = messages(rows)
    broker = TestBroker(base / "broker")
    landed = base / "landed"
    count: Counter[str] = Counter(
        dict.fromkeys(["kills", "terminations", "kills of the broker", "rows twice"], 0)
    )
    try:
        address = broker.address("plant/#")
        # from now on the broker keeps what comes
        source = MqttSource(Broker.of(address), ReadOptions(("level",)), CLIENT)
        source.next_batch(1)
        source.close()
        publish(broker.port, "plant/devices", told[: rows // 2])
        later = 0
        expected = [row for row in map(_expected, told) if row is not None]
        for done in range(kills + 1):
            if done in (kills // 4, kills // 2):
                # what it has not written down yet would be lost, not by us
                broker.save()
                broker.kill()
                broker.start()
                count["kills of the broker"] += 1
            if done == kills // 2:
                later = _publishing(broker.port, told[rows // 2 :])
            before = _files(landed)
            child = start(["land", address, str(landed), *OPTIONS])
            if done == kills:
                if ended(later, 120.0) != 0:
                    return count, "not all rows could be published"
                _wait(lambda: len(_distinct(_read(landed))) >= len(expected), 120.0)
                # what is on its way may still come
                time.sleep(0.5)
            else:
                share = (rows / 50 - before) / (kills - done + 1)
                enough = before + int(rng.uniform(0.0, 2.0) * max(share, 1.0))
                # all may be there already
                _wait(lambda n=enough: _files(landed) >= n, 3.0)
                time.sleep(rng.uniform(0.0, 0.03))
            how = signal.SIGTERM if done == kills or rng.random() < 0.15 else signal.SIGKILL
            os.kill(child, how)
            status = ended(child, 60.0)
            if status not in (0, -signal.SIGKILL, -signal.SIGTERM):
                return count, f"the landing ended with status {status}"
            count["terminations" if how == signal.SIGTERM else "kills"] += done < kills
        found = _read(landed)
        count["rows twice"] = len(found) - len(expected)
        return count, _wrong(found, expected, landed)
    finally:
        broker.stop()


def _publishing(port: int, told: list[bytes]) -> int:
    """A process that publishes, while others are killed; its number."""
    if child := os.fork():
        return child
    status = 1
    try:
        publish(port, "plant/devices", told)
        status = 0
    finally:
        os._exit(status)


def _expected(data: bytes) -> tuple[Any, ...] | None:
    try:
        told = json.loads(data)
    except ValueError:
        return None
    return told["device"], float(told["t"]), told["n"], told["level"]


def _read(landed: Path) -> list[tuple[Any, ...]]:
    """All rows, in the order of the files' names."""
    found = []
    for path in sorted(landed.glob("[0-9]*.parquet")):
        columns = pq.ParquetFile(path).read().to_pydict()
        found += zip(*columns.values(), strict=True)
    return found


def _distinct(rows: list[tuple[Any, ...]]) -> set[tuple[str, int]]:
    return {(key, number) for key, _, number, _ in rows}


def _wrong(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]], landed: Path) -> str:
    """What is wrong; nothing if all rows are there, and those that came twice can be told."""
    if lost := _distinct(expected) - _distinct(found):
        return f"{len(lost)} rows are lost, such as {min(lost)}"
    if others := set(found) - set(expected):
        return f"{len(others)} rows are others, such as {min(others, key=str)}"
    last: Counter[str] = Counter()
    kept = []
    for row in found:
        if row[2] > last[row[0]]:
            last[row[0]] = row[2]
            kept.append(row)
    # devices are in order each, as an engine sees them
    if sorted(kept, key=lambda row: row[0]) != sorted(expected, key=lambda row: row[0]):
        return "the rows of a device are not in order"
    # one of the last process may not be left: it was told to end, and could
    if left := list(landed.glob(".*")):
        return f"{left[0].name} is left"
    return ""


def _files(landed: Path) -> int:
    return len(list(landed.glob("[0-9]*.parquet"))) if landed.exists() else 0


def _wait(ready: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not ready() and time.monotonic() < until:
        time.sleep(0.005)
