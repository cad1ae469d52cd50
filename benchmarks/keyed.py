"""A keyed replay: rows a second, and memory for each key.

``python -m benchmarks.keyed --rows 5000000 --keys 10000``. A CSV file of a time, a device and one
value, three levels that last 40 rows of each key. What a key takes is the difference of the peaks
of two processes, over the difference of their keys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

CHUNK = 1_000_000
LEVELS = np.array([0.0, 6.0, 12.0])
STAY = 40


class Run(NamedTuple):
    """What a process took."""

    seconds: float
    processor: float
    peak: int


def write_file(path: Path, n_rows: int, n_keys: int, in_turn: bool) -> None:
    """Rows of devices that take turns, or come in random order."""
    rng = np.random.default_rng(1)
    names = np.array([f"device-{i}" for i in range(n_keys)])
    schema = pa.schema([("time", pa.int64()), ("device", pa.string()), ("x", pa.float64())])
    options = csv.WriteOptions(quoting_style="none")
    with csv.CSVWriter(path, schema, write_options=options) as writer:
        for first in range(0, n_rows, CHUNK):
            i = np.arange(first, min(first + CHUNK, n_rows))
            keys = i % n_keys if in_turn else rng.integers(n_keys, size=len(i))
            x = rng.normal(LEVELS[i // n_keys // STAY % len(LEVELS)]).round(3)
            columns = [1_700_000_000 + i // n_keys, names[keys], x]
            writer.write_table(pa.table(columns, schema=schema))


def replayed(path: Path, labels: Path, options: list[str]) -> Run:
    command = [
        *(sys.executable, "-m", "replay", "run", str(path), "--value", "x"),
        *("--time", "time", "--key", "device", "--labels", str(labels), *options),
    ]
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {child.returncode}")
    seconds = time.perf_counter() - begin
    return Run(seconds, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=2_000)
    parser.add_argument("--learner", choices=("segmenter", "mixture", "hmm"), default="mixture")
    parser.add_argument("--in-memory", type=int, help="keys whose models are in memory")
    parser.add_argument("--random", action="store_true", help="keys come in random order")
    chosen = parser.parse_args()
    options = ["--learner", chosen.learner]
    if chosen.learner == "segmenter":
        options.append("--causal")
    if chosen.in_memory is not None:
        options += ["--in-memory", str(chosen.in_memory)]
    fewer = max(chosen.keys // 10, 1)
    with tempfile.TemporaryDirectory() as folder:
        path, labels = Path(folder, "rows.csv"), Path(folder, "labels.csv")
        write_file(path, chosen.rows // 10, fewer, not chosen.random)
        few = replayed(path, labels, options)
        write_file(path, chosen.rows, chosen.keys, not chosen.random)
        many = replayed(path, labels, options)
    each = (many.peak - few.peak) / (chosen.keys - fewer) / 1e3
    order = "in random order" if chosen.random else "in turn"
    print(
        f"{chosen.learner}, {chosen.rows:,} rows of {chosen.keys:,} keys {order}: "
        f"{chosen.rows / many.seconds:,.0f} rows/s, {1e6 * many.processor / chosen.rows:.3g} us of "
        f"processor a row, peak {many.peak / 1e6:,.0f} MB, {each:.3g} kB for each key more"
    )


if __name__ == "__main__":
    main()
