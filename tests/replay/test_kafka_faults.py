"""Rows of Kafka, a cluster that fails and a disk that fails: each row is labelled once."""

import json
from dataclasses import replace

import pytest
from faults import CALLS, EINTR, FaultyDisk, label_from_checkpoint
from kafka_servers import FaultyCluster, consumed, produce
from test_faults import HOW

from replay.engine.protocols import MemorySink
from replay.engine.rows import InputError, OutputError
from replay.sinks.files import File
from replay.sinks.kafka import KafkaSink
from replay.sinks.labels import labels_sink
from replay.sources.kafka import KafkaSource
from replay.sources.kafka_cluster import Cluster
from replay.sources.read_options import ReadOptions

N_ROWS, EVERY = 60, 15
MESSAGES = [
    ("p", json.dumps({"n": i, "level": i % 7 * 0.1 + 9.0 * (i // 12 % 2)}).encode())
    for i in range(1, N_ROWS + 1)
]
LEADER_ELSEWHERE, NO_LEADER, TIMED_OUT, NETWORK, STORAGE, TOO_FEW_REPLICAS = 6, 5, 7, 13, 56, 19
ENDS = -195
"""In the place of an answer the connection ends."""
NOT_ALLOWED = 29
QUICK = {
    "fetch.error.backoff.ms": "20",
    "retry.backoff.ms": "20",
    "reconnect.backoff.ms": "20",
    "reconnect.backoff.max.ms": "50",
    "fetch.wait.max.ms": "20",
    "topic.metadata.refresh.fast.interval.ms": "20",
    "max.in.flight": "1",
}
"""Settings of a client that tries again soon, with one request at a time: this cluster stores a
later one though it has refused an earlier one, which no broker does to a producer that numbers
them."""


class Watches(MemorySink):
    """Calls something after so many rows, and stops the loop after the last one."""

    def __init__(self, after=N_ROWS, call=lambda: None):
        self.loop = None
        self.n = 0
        self._after, self._call = after, call

    def write(self, labelled):
        before, self.n = self.n, self.n + len(labelled.batch)
        if before < self._after <= self.n:
            self._call()
        if N_ROWS in (labelled.batch.sequence or ()):
            self.loop.stopped_by = 15


class Reader:
    """A replay from one topic to a file and another topic, as often as it is run."""

    def __init__(self, cluster, name, folder, publishes=True):
        self.cluster, self.folder = cluster, folder
        self.topics = f"{name}-rows", f"{name}-labels"
        for topic in self.topics:
            cluster.make_topic(topic)
        produce(cluster.address, self.topics[0], MESSAGES)
        self._publishes = publishes
        folder.mkdir()

    def run(self, watches=None):
        rows, labels = (
            replace(Cluster.of(f"kafka://{self.cluster.address}/{its}"), settings=QUICK)
            for its in self.topics
        )
        reading = ReadOptions(("level",), sequence="n")
        self.hints = reading.refusals.hints
        source = KafkaSource(rows, reading)
        file = sink = None
        try:
            file = File(self.folder / "labels.csv", "--labels", (), lasting=True)
            watches = watches or Watches()
            # what it calls comes before the rows are published
            sinks = {"labels": labels_sink(file, source), "watches": watches}
            if self._publishes:
                sink = sinks["publish"] = KafkaSink(labels, source)
            label_from_checkpoint(source, sinks, watches, self.folder, EVERY, N_ROWS)
        finally:
            source.close()
            for one in (file, sink):
                if one is not None:
                    one.close()

    @property
    def labels(self):
        return (self.folder / "labels.csv").read_bytes()

    def published(self):
        """What was published, by its key; the same twice or more must be the same."""
        found = {}
        for message in consumed(self.cluster.address, self.topics[1], N_ROWS):
            its = json.loads(message.value())
            assert found.setdefault(message.key(), its) == its
        return found


@pytest.fixture
def cluster():
    its = FaultyCluster()
    yield its
    its.stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What comes without any fault."""
    its = FaultyCluster()
    reader = Reader(its, "whole", tmp_path_factory.mktemp("kafka") / "whole")
    reader.run()
    result = reader.labels, reader.published()
    its.stop()
    assert result[0].count(b"\n") == N_ROWS + 1
    return result


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        (FaultyCluster.FETCH, [TIMED_OUT, STORAGE, NETWORK, LEADER_ELSEWHERE, ENDS]),
        (FaultyCluster.PRODUCE, [TIMED_OUT, TOO_FEW_REPLICAS, LEADER_ELSEWHERE, NO_LEADER, ENDS]),
    ],
    ids=["fetch", "produce"],
)
def test_errors_that_pass_are_waited_out(kind, errors, cluster, whole, tmp_path):
    reader = Reader(cluster, "faulty", tmp_path / "faulty")
    cluster.fail(kind, errors)
    # and again in the middle, one after a request that succeeds
    reader.run(Watches(N_ROWS // 2, lambda: cluster.fail(kind, [errors[0], 0, errors[-1]])))
    assert (reader.labels, reader.published()) == whole
    hints = " ".join(reader.hints)
    assert ("tried again until it answers" in hints) == (kind == FaultyCluster.FETCH)


def test_an_error_that_stays_ends_the_reading_and_all_before_it_is_safe(cluster, whole, tmp_path):
    reader = Reader(cluster, "faulty", tmp_path / "faulty")
    cluster.fail(cluster.FETCH, [NOT_ALLOWED])
    with pytest.raises(InputError, match=r"faulty-rows.*[Aa]uthorization"):
        reader.run()
    reader.run()
    assert (reader.labels, reader.published()) == whole


@pytest.mark.parametrize("after", [0, 2 * EVERY, N_ROWS - 1])
def test_a_message_that_is_not_taken_is_in_no_checkpoint(after, cluster, whole, tmp_path):
    reader = Reader(cluster, "faulty", tmp_path / "faulty")

    def refuse():
        cluster.fail(cluster.PRODUCE, [NOT_ALLOWED])

    if not after:
        refuse()
    with pytest.raises(OutputError, match="has not taken a message"):
        reader.run(Watches(after, refuse))
    reader.run()
    assert (reader.labels, reader.published()) == whole


@pytest.mark.parametrize("after", [5, N_ROWS // 2])
def test_a_broker_that_goes_in_the_middle_of_a_batch(after, cluster, whole, tmp_path):
    reader = Reader(cluster, "faulty", tmp_path / "faulty")

    def restart():
        cluster.down()
        cluster.up()

    cluster.slow(20)
    reader.run(Watches(after, restart))
    assert (reader.labels, reader.published()) == whole


def test_a_broker_that_stays_away_is_in_no_checkpoint(cluster, whole, tmp_path, monkeypatch):
    monkeypatch.setattr("replay.sinks.kafka.WAIT", 1.0)
    reader = Reader(cluster, "faulty", tmp_path / "faulty")
    with pytest.raises(OutputError, match="has not"):
        reader.run(Watches(EVERY, cluster.down))
    cluster.up()
    monkeypatch.undo()
    reader.run()
    assert (reader.labels, reader.published()) == whole


@pytest.mark.parametrize("call", CALLS)
def test_any_call_of_the_disk_may_fail(call, cluster, tmp_path, monkeypatch):
    def run(reader, *fault):
        with monkeypatch.context() as patched:
            disk = FaultyDisk(*fault).install(patched)
            reader.run()
            return disk

    reader = Reader(cluster, "whole", tmp_path / "whole", publishes=False)
    total = run(reader).counts[call]
    expected = reader.labels
    assert expected.count(b"\n") == N_ROWS + 1
    assert total > 0
    for n in sorted({0, 1, total // 2, total - 1} & set(range(total))):
        how = HOW[call][n % len(HOW[call])]
        reader = Reader(cluster, f"{call}{n}", tmp_path / f"{n}", publishes=False)
        with pytest.raises(OutputError, match=r"cannot be written|no folder that"):
            run(reader, call, n, how, how != EINTR)
        run(reader)
        assert reader.labels == expected, (n, how)
