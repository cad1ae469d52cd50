"""How fast messages of a broker land, beside a bare client that only counts and acknowledges.

``python -m benchmarks.landing`` starts a broker on the loopback interface. Each side reads a
backlog of the same messages.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

from benchmarks.live import TestBroker, bare_client, connected
from benchmarks.report import Row, Section, tell
from benchmarks.timing import Times, side_by_side
from replay.cli.landing import Lander, at_most_for
from replay.engine.batch import Batch
from replay.engine.protocols import batches_of
from replay.sinks.landing_folder import Folder
from replay.sinks.refusals import Refusals
from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions

MESSAGES = 30_000
ROWS = 10_000
"""Of a batch at most."""
ROUNDS = 7
READING = ReadOptions(("level", "load"), "t", "topic:2", "n", timed=True)


def source_of(broker: TestBroker, client: str, at_most: int = 1000) -> MqttSource:
    return MqttSource(Broker.of(broker.address(f"{client}/+")), READING, client, at_most)


def fill(broker: TestBroker, client: str) -> None:
    """Let the broker keep a backlog for a client."""
    source = source_of(broker, client)
    source.next_batch(1)
    source.close()
    publisher = connected(broker.port)
    for i in range(MESSAGES):
        said = {"t": 1e9 + i, "n": i // 10, "level": 0.01 * (i % 97), "load": i % 7}
        last = publisher.publish(f"{client}/d{i % 10}", json.dumps(said), 1)
    last.wait_for_publish()
    publisher.disconnect()
    publisher.loop_stop()


def first(batches: Iterable[Batch]) -> Iterator[Batch]:
    """So many rows as there are in the backlog."""
    left = MESSAGES
    for batch in batches:
        left -= len(batch)
        yield batch
        if not left:
            return


def source_alone(broker: TestBroker) -> float:
    source = source_of(broker, "source")
    begun = time.perf_counter()
    for _ in first(batches_of(source, ROWS)):
        if source.wants_acknowledgement:
            source.acknowledge()
    source.acknowledge()
    took = time.perf_counter() - begun
    source.close()
    return took


def landed(broker: TestBroker, folder: Path) -> float:
    source, its = source_of(broker, "landing", at_most_for(ROWS)), Folder(folder)
    landing = Lander(source, its, Refusals(), ROWS, 5.0)
    begun = time.perf_counter()
    landing.run(first)
    took = time.perf_counter() - begun
    assert (landing.n_rows, landing.n_files) == (MESSAGES, MESSAGES // ROWS)
    source.close()
    its.close()
    return took


def run() -> Section:
    busy: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count()
        broker = TestBroker(folder / "broker")

        def side(client: str, read: Callable[[], float]) -> Callable[[], float]:
            def filled_and_read() -> float:
                fill(broker, client)
                begun = time.process_time()
                took = read()
                busy.setdefault(client, []).append(time.process_time() - begun)
                return took

            return filled_and_read

        try:
            times = side_by_side(
                {
                    "bare": side("bare", lambda: bare_client(broker, MESSAGES)),
                    "source": side("source", lambda: source_alone(broker)),
                    "landing": side(
                        "landing", lambda: landed(broker, folder / f"landed-{next(numbers)}")
                    ),
                },
                ROUNDS,
            )
        finally:
            broker.stop()
    text = (
        f"A backlog of {MESSAGES:,} messages of two values, read in multiples of the time that a "
        "bare client takes, and of its processor's time; in brackets the least and the most of "
        f"{ROUNDS} rounds. Batches have {ROWS:,} rows, and are on disk before they are "
        f"acknowledged. The bare client read {MESSAGES / times.median('bare'):,.0f} messages a "
        f"second here, and {MESSAGES / times.median('landing'):,.0f} landed."
    )
    rows = []
    for of, what in {"source": "the source alone", "landing": "landing"}.items():
        rows.append(Row(f"{what} / bare client, time", str(times.ratio(of, "bare"))))
        rows.append(Row(f"{what} / bare client, processor", str(Times(busy).ratio(of, "bare"))))
    return Section("Landing", rows, text)


if __name__ == "__main__":
    tell(run)
