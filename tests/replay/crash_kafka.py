"""Kills a consumer of Kafka that publishes to Kafka, at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

from crash import ended, start
from crash_mqtt import OPTIONS, messages
from kafka_servers import consumed, make_topic, mock_cluster, produce

from replay.engine.checkpoint import Checkpoints
from replay.engine.rows import InputError

PARTITIONS = 3


def kill_consumers(base: Path, kills: int, rows: int, rng: random.Random) -> tuple[int, str]:
    """How many labels came more than once under the same key, and what is wrong, if anything."""
    told = messages(rows)
    lines = base / "rows.ndjson"
    lines.write_bytes(b"\n".join(told) + b"\n")
    whole = base / "whole.csv"
    outputs = ["--labels", str(whole), "--checkpoint", str(base / "whole")]
    assert ended(start(["run", str(lines), *OPTIONS, *outputs]), 600.0) == 0
    expected = by_device(whole)
    size, n = whole.stat().st_size, sum(map(len, expected.values()))
    holder, address = mock_cluster()
    for topic in ("pumps", "labels"):
        make_topic(address, topic, PARTITIONS)
    # what is no JSON has no device
    produce(address, "pumps", [(_device(data), data) for data in told])
    found = base / "labels.csv"
    consume = [
        *("live", f"kafka://{address}/pumps", *OPTIONS, "--labels", str(found)),
        *("--publish", f"kafka://{address}/labels"),
        *("--checkpoint", str(base / "state"), "--resume", "--every-rows", "150"),
    ]

    def written() -> int:
        return found.stat().st_size if found.exists() else 0

    def saved() -> int:
        try:
            return Checkpoints(base / "state").load()[0].rows
        except (InputError, OSError):
            return 0

    all_rows = Checkpoints(base / "whole").load()[0].rows
    for done in range(kills + 1):
        # the last rows are fewer than a checkpoint waits for
        child = start(consume if done < kills else [*consume, "--every-seconds", "0.3"])
        # a part of what is left, so that there is work to be killed at
        left = size - written()
        enough = written() + rng.uniform(0.0, 2.0) * left / (kills - done + 1)
        until = time.monotonic() + 60.0
        while saved() < all_rows if done == kills else written() < enough:
            time.sleep(0.002)
            if time.monotonic() > until:
                raise RuntimeError(f"{written():,} bytes of {size:,} after a minute")
        time.sleep(rng.uniform(0.0, 0.05))
        os.kill(child, signal.SIGTERM if done == kills else signal.SIGKILL)
        status = ended(child, 60.0)
    if status not in (0, -signal.SIGTERM):
        return 0, f"it ended with status {status}"
    if by_device(found) != expected:
        return 0, "the labels differ"
    published = consumed(address, "labels", n)
    del holder
    by_key: dict[bytes, dict] = {}
    for message in published:
        its = json.loads(message.value())
        if by_key.setdefault(message.key(), its) != its:
            return 0, f"{message.key()!r} came with another content"
    if len(by_key) != n:
        return 0, f"{len(by_key)} keys were published, and there are {n} rows"
    labels = {(its["key"], its["time"]): its["label"] for its in by_key.values()}
    wanted = {
        (device, line.split(",")[0]): int(line.split(",")[3])
        for device, its in expected.items()
        for line in its
    }
    if labels != wanted:
        return 0, "the labels published differ"
    return len(published) - n, ""


def by_device(path: Path) -> dict[str, list[str]]:
    """The lines of each device, in order: those of several partitions come as they come."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines()[1:]:
        found.setdefault(line.split(",")[1], []).append(line)
    return found


def _device(data: bytes) -> str:
    try:
        return str(json.loads(data)["device"])
    except ValueError:
        return "none"
