"""Kills a consumer that tells changes of regime, and looks for changes that nobody was told of."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from broker import TestBroker
from crash import differing, ended, start
from crash_mqtt import CLIENT, OPTIONS, messages, publish

from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions


class Listener:
    """A web server that takes notices, and refuses some of them at first.

    Attributes
    ----------
    told
        What has come, in order.
    """

    def __init__(self, refuses: float = 0.0, seed: int = 1) -> None:
        self.told: list[dict] = []
        self.changed = threading.Condition()
        rng, told, changed = random.Random(seed), self.told, self.changed

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = rng.random() < refuses
                if not refused:
                    with changed:
                        told.append(json.loads(body))
                        changed.notify_all()
                self.send_response(503 if refused else 204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, ready, within: float) -> bool:
        """Whether something becomes true of what has come within so many seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: ready(self.told), within)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def kill_tellers(base: Path, kills: int, rows: int, rng: random.Random) -> tuple[int, int, str]:
    """Notices expected, those that came more than once, and what is wrong; empty if nothing is."""
    told = messages(rows)
    lines = base / "rows.ndjson"
    lines.write_bytes(b"\n".join(told) + b"\n")
    labels, segments = base / "expected.csv", base / "segments.csv"
    # with a checkpoint, the labels have a column for names
    outputs = ["--labels", str(labels), "--segments", str(segments)]
    run = start(["run", str(lines), *OPTIONS, *outputs, "--checkpoint", str(base / "whole")])
    assert ended(run, 600.0) == 0
    with segments.open(newline="") as file:
        expected = {
            (row["device"], row["start"], int(row["label"])) for row in csv.DictReader(file)
        }
    size = labels.stat().st_size
    broker, listener = TestBroker(base / "broker"), Listener(refuses=0.1)
    try:
        address = broker.address("plant/#")
        source = MqttSource(Broker.of(address), ReadOptions(("level",)), CLIENT)
        source.next_batch(1)
        source.close()
        publish(broker.port, "plant/devices", told)
        found = base / "labels.csv"
        consume = [
            *("live", address, *OPTIONS, "--client", CLIENT, "--labels", str(found)),
            *("--checkpoint", str(base / "state"), "--resume", "--every-rows", "150"),
            *("--notify", listener.url),
        ]

        def written() -> int:
            return found.stat().st_size if found.exists() else 0

        for done in range(kills):
            child = start(consume)
            enough = written() + rng.uniform(0.0, 2.0) * (size - written()) / (kills - done + 1)
            until = time.monotonic() + 60.0
            while written() < enough:
                time.sleep(0.002)
                if time.monotonic() > until:
                    raise RuntimeError(f"{written():,} bytes of {size:,} after a minute")
            time.sleep(rng.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            ended(child, 60.0)
        # one that is asked to end before it has gone back to its checkpoint leaves rows to the next
        for _ in range(5):
            child = start(consume)
            until = time.monotonic() + 60.0
            while written() < size and time.monotonic() < until:
                time.sleep(0.002)
            listener.wait(lambda told: expected <= {_what(one) for one in told}, 60.0)
            os.kill(child, signal.SIGTERM)
            status = ended(child, 60.0)
            if status not in (0, -signal.SIGTERM) or found.read_bytes() == labels.read_bytes():
                break
        came = [_what(one) for one in listener.told]
        wrong = ""
        # it may be asked to end before it has begun
        if status not in (0, -signal.SIGTERM):
            wrong = f"it ended with status {status}"
        elif missing := expected - set(came):
            wrong = f"{len(missing)} were never told, such as {min(missing)}"
        elif extra := set(came) - expected:
            wrong = f"{len(extra)} are no changes, such as {min(extra)}"
        elif found.read_bytes() != labels.read_bytes():
            wrong = differing({"labels": found.read_bytes()}, {"labels": labels.read_bytes()})
        return len(expected), len(came) - len(set(came)), wrong
    finally:
        listener.close()
        broker.stop()


def _what(notice: dict) -> tuple[str, str, int]:
    return notice["key"], notice["since"], notice["regime"]
