"""More keys than anybody has devices: memory holds, and what is done about them is said."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from replay.engine.loop import Loop
from replay.sinks.refusals import Refusals
from replay.sources.joining import Joined
from replay.sources.message import Messages
from replay.sources.opening import Files
from replay.sources.read_options import LONGEST_KEY, ReadOptions

HERE = Path(__file__).parents[2]
MANY = int(os.environ.get("TEST_KEYS", "4000"))
"""Keys of the largest stream here; 200,000 take minutes."""


def replayed(n, tmp_path):
    """Megabytes of memory that a stream of so many keys takes at most, and what is said of it."""
    rows, out = tmp_path / "rows.ndjson", tmp_path / "labels.csv"
    with rows.open("w") as file:
        file.writelines(f'{{"k":"device-{i}","x":{i % 7}}}\n' for i in range(n))
    code = (
        "import resource, sys\n"
        "from replay.cli.app import app\n"
        "try:\n"
        "    app(sys.argv[1:])\n"
        "finally:\n"
        "    print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    options = ["live", "-", "--value", "x", "--key", "k", "--labels", out, "--max-keys", "500"]
    with rows.open() as stdin:
        done = subprocess.run(
            [sys.executable, "-c", code, *options],
            stdin=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE), "OPENBLAS_NUM_THREADS": "1"},
            timeout=3000,
        )
    assert done.returncode == 0, done.stderr
    with out.open() as file:
        assert sum(1 for _ in file) == n + 1
    return int(re.search(r"peak (\d+)", done.stdout)[1]) / 1024, done.stdout + done.stderr


def test_memory_holds_with_many_keys(tmp_path):
    few, _ = replayed(1_000, tmp_path)
    many, said = replayed(MANY, tmp_path)
    each = 1e3 * (many - few) / (MANY - 1_000)
    print(f"{MANY:,} keys: {many:.0f} MB, {each:.2f} kB for each key more")
    # a model is 100 kB or more
    assert each < 1.0
    assert f"{MANY:,} keys ({MANY - 500:,} parked)" in said
    assert said.count("more keys have come than --max-keys") == 1
    assert re.search(r"models were on disk at the end, as --max-keys asks", said)


def test_many_keys_come_in_larger_batches(tmp_path):
    """So that a series takes several rows at once."""
    source = SimpleNamespace(values=("x",), key="k")
    sizes = [Loop(source, range(n), {})._at_most for n in (10, 5_000, 10**6)]
    assert sizes == [8_192, 262_144, 262_144]
    source.values = tuple(range(8))
    assert Loop(source, range(10**6), {})._at_most == 32_768
    path = tmp_path / "keyed.csv"
    path.write_text("k,x\n" + "".join(f"device-{i % 5000},{i}.25\n" for i in range(120_000)))
    source = Files([str(path)], ReadOptions(("x",), key="k"))
    batches = list(iter(lambda: source.next_batch(60_000), None))
    assert max(map(len, batches)) > 45_000
    found = np.concatenate([batch.values[:, 0] for batch in batches])
    np.testing.assert_array_equal(found, np.arange(120_000) + 0.25)
    assert batches[-1].keys[-1] == "device-4999"


def test_a_key_that_is_too_long_is_refused():
    reading = ReadOptions(("x",), key="k", on_bad="skip", refusals=Refusals())
    reader = Messages(reading)

    def come(key):
        return reader.taken("here", 1, json.dumps({"k": key, "x": 1}).encode())

    assert come("k" * LONGEST_KEY).key == "k" * LONGEST_KEY
    assert come("k" * (LONGEST_KEY + 1)) is None
    assert come("k" * 60_000) is None
    assert reading.refusals.counts == {"rows with a key that is too long": 2}
    assert "257 characters, and 256 are the most" in reading.refusals.first


def test_a_topic_that_is_too_long_is_refused():
    reading = ReadOptions(("a/+/x", "a/+/y"), on_bad="skip", refusals=Refusals())
    joined = Joined(reading)
    assert joined.taken("here", 1, b"1", f"a/{'k' * 1000}/x") is None
    assert reading.refusals.counts == {"rows with a key that is too long": 1}
    assert joined.state() == []
