"""From sensors by way of a broker, files that land and the engine to labels: all of them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from replay.engine.batch import Batch
from replay.engine.order import SeriesOptions
from replay.engine.rows import Row
from replay.engine.series import Series
from tests.replay.broker import AMQTT, MOSQUITTO, TestBroker
from tests.spark import job

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.py"
pytestmark = [
    pytest.mark.skipif(job.JAVA is None, reason="there is no Java, which Spark runs on"),
    pytest.mark.skipif(
        not (MOSQUITTO or AMQTT.exists()), reason="there is no broker: neither mosquitto nor amqtt"
    ),
]


def test_a_fleet_from_its_broker_to_its_labels(tmp_path):
    broker = TestBroker(tmp_path / "broker")
    command = [sys.executable, str(EXAMPLE), broker.address("plant/+/state")]
    options = ["--devices", "3", "--rows", "100", "--cores", "1"]
    try:
        ran = subprocess.run(
            [*command, *options, "--folder", str(tmp_path / "fleet")],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "JAVA_TOOL_OPTIONS": job.QUICK_START},
        )
    finally:
        broker.stop()
    assert ran.returncode == 0, ran.stderr
    # committed files are known to the engine; without a kill these are all
    found = pd.read_parquet(tmp_path / "fleet" / "labels", engine="pyarrow")
    spec = importlib.util.spec_from_file_location("fleet", EXAMPLE)
    fleet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fleet)
    for device in range(3):
        series = Series(fleet.learner(), SeriesOptions(late="skip"))
        expected = []
        for told in fleet.readings(device, 100):
            row = Row(told["n"], "", (), {"level": told["level"]}, told["t"], "", told["n"])
            expected += [
                (labelled.sequence, known.label, known.probability, change)
                for piece in series.label(Batch.of_rows([row]))[0]
                for labelled, known, change in piece.labelled.rows()
            ]
        assert len(expected) == 100
        its = found[found["key"] == f"pump{device}"].sort_values("sequence")
        names = ["sequence", "label", "probability", "change"]
        assert list(its[names].itertuples(index=False, name=None)) == expected
        changes = its[its["change"]]
        since = f"{changes['time'].iloc[-1]:.0f}" if len(changes) else "the start"
        (line,) = re.findall(rf"^pump{device}: (.*)$", ran.stdout, re.MULTILINE)
        assert line == (
            f"in regime {its['label'].iloc[-1]} since {since}, {len(changes)} changes in 100 rows"
        )
