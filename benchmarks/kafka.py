"""How many rows a second come from Kafka, beside a bare client in the same run.

``scripts/bench kafka`` starts a mock cluster of librdkafka on the loopback interface, fills a topic
(a mock cluster keeps 5 MB of each), and reads it in turn: a bare client of confluent-kafka that
looks at nothing, the source alone, and what ``replay live`` does, with labels in a file and
checkpoints. Rates are by the wall clock, and so is their ratio, which is taken within each round.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(HERE / "tests" / "replay")]

from kafka_servers import make_topic, mock_cluster, produce  # noqa: E402

from replay.engine.checkpoint import Checkpoints  # noqa: E402
from replay.engine.fleet import Fleet  # noqa: E402
from replay.engine.loop import Loop, Saving  # noqa: E402
from replay.engine.protocols import MemorySink  # noqa: E402
from replay.engine.series import Series, SeriesOptions  # noqa: E402
from replay.engine.settings import Settings  # noqa: E402
from replay.sinks.files import File  # noqa: E402
from replay.sinks.labels import labels_sink  # noqa: E402
from replay.sources.kafka import KafkaSource  # noqa: E402
from replay.sources.kafka_cluster import Cluster  # noqa: E402
from replay.sources.read_options import ReadOptions  # noqa: E402

TOPIC = "pumps"
AT_ONCE = 1024
PATIENCE = 120.0
"""Seconds in which all must have come."""
OPTIONS = ReadOptions(("pressure", "flow"), key="device", sequence="n")


class Stops(MemorySink):
    """Stops a loop when all rows have come."""

    def __init__(self, n: int) -> None:
        self.loop: Loop | None = None
        self._left = n

    def write(self, labelled: object) -> None:
        self._left -= len(labelled)  # type: ignore[arg-type]
        if self._left <= 0 and self.loop is not None:
            self.loop.stopped_by = 15


def bare(address: str, n: int, folder: Path) -> None:
    """A client that takes messages and looks at none."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bare", "log_level": 0})
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, its, OFFSET_BEGINNING) for its in partitions])
    until = time.monotonic() + PATIENCE
    while n > 0:
        n -= len(consumer.consume(AT_ONCE, 0.1))
        if time.monotonic() > until:
            raise TimeoutError(f"{n:,} messages have not come in {PATIENCE:g} s")
    consumer.close()


def source_alone(address: str, n: int, folder: Path) -> None:
    source = KafkaSource(Cluster.of(f"kafka://{address}/{TOPIC}"), OPTIONS)
    while n > 0:
        batch = source.next_batch(AT_ONCE)
        n -= 0 if batch is None else len(batch)
    source.close()


def replay_live(address: str, n: int, folder: Path) -> None:
    source = KafkaSource(Cluster.of(f"kafka://{address}/{TOPIC}"), OPTIONS)
    file = File(folder / "labels.csv", "--labels", (), lasting=True)
    fleet = Fleet(
        lambda: Series(Settings(2, 100).model(source)),
        lambda data: Series.from_bytes(data, OPTIONS.values, SeriesOptions()),
    )
    stops, checkpoints = Stops(n), Checkpoints(folder / "state")
    sinks = {"labels": labels_sink(file, source), "stops": stops}
    with checkpoints.locked():
        loop = stops.loop = Loop(source, fleet, sinks, Saving(checkpoints, {}, rows=10_000))
        loop.flushing = True
        loop.begin()
        loop.run()
    file.close()
    source.close()


WAYS: dict[str, Callable[[str, int, Path], None]] = {
    "bare client": bare,
    "source": source_alone,
    "replay live": replay_live,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)
    told = [
        (
            f"p{i % 10}",
            json.dumps(
                {
                    "device": f"p{i % 10}",
                    "n": i // 10,
                    "pressure": round(5.0 * (i // 5000 % 2) + rng.normal(), 3),
                    "flow": round(rng.normal(), 3),
                }
            ),
        )
        for i in range(chosen.rows)
    ]
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    costs: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as name:
        holder, address = mock_cluster()
        make_topic(address, TOPIC, 1)
        produce(address, TOPIC, told)
        for i in range(chosen.rounds):
            for way, read in WAYS.items():
                folder = Path(name) / f"{way} {i}"
                folder.mkdir()
                began, used = time.perf_counter(), time.thread_time()
                read(address, chosen.rows, folder)
                costs[way].append(1e6 * (time.thread_time() - used) / chosen.rows)
                rates[way].append(chosen.rows / (time.perf_counter() - began))
        del holder
    print(f"{chosen.rows:,} messages, {chosen.rounds} rounds, rows a second by the wall clock")
    for way, its in rates.items():
        ratio = np.median(np.array(its) / np.array(rates["bare client"]))
        print(
            f"{way:12} median {np.median(its):10,.0f}, best {max(its):10,.0f}, "
            f"of the bare client {ratio:.0%}, processor time a row {min(costs[way]):.1f} us"
        )


if __name__ == "__main__":
    main()
