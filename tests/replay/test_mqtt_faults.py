"""Rows of a broker, and a disk of which any call may fail: each row is labelled once."""

import json

import pytest
from faults import CALLS, EINTR, FaultyDisk, label_from_checkpoint
from test_faults import HOW
from test_mqtt import publish

from replay.engine.protocols import MemorySink
from replay.engine.rows import OutputError
from replay.sinks.files import File
from replay.sinks.labels import labels_sink
from replay.sources.mqtt import MqttSource
from replay.sources.mqtt_broker import Broker
from replay.sources.read_options import ReadOptions

N_ROWS, EVERY = 60, 15
MESSAGES = [
    json.dumps({"n": i, "level": i % 7 * 0.1 + 9.0 * (i // 12 % 2)}).encode()
    for i in range(1, N_ROWS + 1)
]


class Stops(MemorySink):
    """Stops a loop when the last message has come."""

    def __init__(self):
        self.loop = None

    def write(self, labelled):
        if N_ROWS in (labelled.batch.sequence or ()):
            self.loop.stopped_by = 15


class Reader:
    """A replay of what a broker keeps for it, as often as it is run."""

    def __init__(self, broker, name, folder):
        self.broker, self.name, self.folder = broker, name, folder
        folder.mkdir()
        # the broker keeps what comes from now on
        source = self._source()
        source.next_batch(1)
        source.close()
        publish(broker, MESSAGES, f"{name}/a")

    def _source(self):
        reading = ReadOptions(("level",), sequence="n")
        return MqttSource(Broker.of(self.broker.address(f"{self.name}/#")), reading, self.name)

    def run(self, monkeypatch, *fault):
        with monkeypatch.context() as patched:
            disk = FaultyDisk(*fault).install(patched)
            source = self._source()
            file = None
            try:
                file = File(self.folder / "labels.csv", "--labels", (), lasting=True)
                stops = Stops()
                sinks = {"labels": labels_sink(file, source), "stops": stops}
                label_from_checkpoint(source, sinks, stops, self.folder, EVERY, N_ROWS)
            finally:
                source.close()
                if file is not None:
                    file.close()
            return disk

    @property
    def labels(self):
        return (self.folder / "labels.csv").read_bytes()


@pytest.mark.parametrize("call", CALLS)
def test_any_call_may_fail(call, broker, tmp_path, monkeypatch):
    whole = Reader(broker, "whole", tmp_path / "whole")
    total = whole.run(monkeypatch).counts[call]
    assert whole.labels.count(b"\n") == N_ROWS + 1
    assert total > 0
    for n in sorted({0, 1, total // 2, total - 1} & set(range(total))):
        how = HOW[call][n % len(HOW[call])]
        reader = Reader(broker, f"{call}{n}", tmp_path / f"{n}")
        with pytest.raises(OutputError, match=r"cannot be written|no folder that"):
            reader.run(monkeypatch, call, n, how, how != EINTR)
        reader.run(monkeypatch)
        assert reader.labels == whole.labels, (n, how)
