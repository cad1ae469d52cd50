"""Memory over time: what a process holds after five million points, less after a hundred thousand.

``python -m benchmarks.memory``. Each learner learns mappings in a process of its own, and says what
is resident; the replay reads CSV from a pipe, and is looked at from outside while it waits.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import PROBLEMS
from benchmarks.report import Row, Section, at_most, tell
from benchmarks.resident import resident, trimmed
from online_gmm import OnlineGMM, OnlineHMM

MARKS = (100_000, 1_000_000, 5_000_000)
"""Points after which memory is read."""
CHUNK = 20_000
"""Points that are made together."""
MEGABYTE = 1e6
HELD = (10_000, 60_000, 300_000)
"""Rows of files that are looked at twice, but for the last one, which has too many values."""
COLUMNS = tuple("abcdefgh")
"""Of these files."""
LONGEST = 30.0
"""Seconds that the replay may take; then it has had fewer rows, and the table says so."""
IDLE = 0.3
"""Seconds without processor time after which a process is taken to wait."""


def points() -> Iterator[Any]:
    """Arrays of points, for ever: two million points again and again, regimes lasting 50 each."""
    X, _ = PROBLEMS["A"].draw(100 * CHUNK, 1, dwell=50.0)
    while True:
        for i in range(0, len(X), CHUNK):
            yield X[i : i + CHUNK, 0]


# -- learners ----------------------------------------------------------------------------------


def learner(kind: str) -> dict[str, list[int]]:
    """Resident bytes at each mark, as they are and when trimmed; in a process of its own."""
    model: Any = {"OnlineGMM": OnlineGMM, "OnlineHMM": OnlineHMM}[kind](3, seed=1)
    seen: dict[str, list[int]] = {"resident": [], "trimmed": []}
    n = 0
    for chunk in points():
        for value in chunk.tolist():
            model.learn_one({"x": value})
        n += len(chunk)
        if n in MARKS:
            seen["resident"].append(resident())
            seen["trimmed"].append(trimmed())
        if n >= MARKS[-1]:
            break
    return seen


def start_learner(kind: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.memory", "--learner", kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def of_learner(kind: str, child: subprocess.Popen[bytes]) -> Row:
    said, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"the process of {kind} ended with status {child.returncode}")
    seen: dict[str, list[int]] = json.loads(said)
    grown = [(more - seen["trimmed"][0]) / MEGABYTE for more in seen["trimmed"]]
    raw = (seen["resident"][-1] - seen["trimmed"][0]) / MEGABYTE
    figure = (
        f"{grown[-1]:+.2f} MB ({grown[1]:+.2f} after {MARKS[1]:,}; {raw:+.2f} before free memory "
        f"is given back; {seen['trimmed'][-1] / MEGABYTE:.0f} MB in all)"
    )
    what = f"{kind}, learn_one: resident after {MARKS[-1]:,} points less after {MARKS[0]:,}, MB"
    return at_most(what, grown[-1], 2.0, figure)


# -- the replay --------------------------------------------------------------------------------


def processor_time(process: int) -> int:
    """Ticks that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def at_rest(process: int) -> int:
    """Resident bytes of a process, when it has done all there is to do."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < IDLE:
        now = processor_time(process)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return resident(process)


def feed(pipe: int, process: int) -> tuple[list[int], list[int]]:
    """Write rows, and read how much memory the reader has at each mark; at the end in any case."""
    rows = (f"{value!r}\n" for chunk in points() for value in chunk.tolist())
    begun, n = time.monotonic(), 0
    counts, seen = [], []
    with os.fdopen(pipe, "w") as file:
        file.write("x\n")
        while n < MARKS[-1]:
            file.writelines(itertools.islice(rows, CHUNK))
            n += CHUNK
            late = time.monotonic() - begun > LONGEST
            if n in MARKS or late:
                file.flush()
                counts.append(n)
                seen.append(at_rest(process))
            if late:
                break
    return counts, seen


def of_replay(folder: Path) -> Row:
    """``replay run -`` without outputs, and without a second look, for which rows are kept."""
    reading, writing = os.pipe()
    with (folder / "said").open("w") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "replay", "run", "-", "--value", "x", "--causal"],
            stdin=reading,
            stdout=said,
            stderr=said,
        )
        os.close(reading)
        counts, seen = feed(writing, child.pid)
        child.wait()
    if child.returncode:
        raise RuntimeError(f"the replay failed: {(folder / 'said').read_text()}")
    grown = [(more - seen[0]) / MEGABYTE for more in seen]
    figure = f"{grown[-1]:+.2f} MB ({seen[-1] / MEGABYTE:.0f} MB in all)"
    if counts[-1] < MARKS[-1]:
        figure += f"; only so many rows came in {LONGEST:.0f} s"
    what = f"replay run --causal: resident after {counts[-1]:,} rows less after {counts[0]:,}, MB"
    return at_most(what, grown[-1], 2.0, figure)


def of_second_look(folder: Path) -> list[Row]:
    """``replay run FILE``, which holds rows for a second look: the most memory, by rows."""
    X = np.concatenate(
        [PROBLEMS["A"].draw(HELD[-1], seed, dwell=500.0)[0] for seed in range(len(COLUMNS))], axis=1
    )
    most = []
    for n in HELD:
        path = folder / "held.csv"
        with path.open("w") as file:
            file.write(f"when,{','.join(COLUMNS)}\n")
            for i, row in enumerate(X[:n].tolist()):
                file.write(f"{1_700_000_000 + 60 * i},{','.join(map(repr, row))}\n")
        command = ["run", str(path), "--value", ",".join(COLUMNS), "--time", "when"]
        with (folder / "said").open("w") as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "replay", *command], stdout=said, stderr=said
            )
            _, status, used = os.wait4(child.pid, 0)
        if status:
            raise RuntimeError(f"the replay failed: {(folder / 'said').read_text()}")
        # of Linux, in kilobytes
        most.append(1024 * used.ru_maxrss)
    few, many, over = HELD
    each = (most[1] - most[0]) / (many - few) / len(COLUMNS)
    shown = ", ".join(f"{its / MEGABYTE:.0f} MB" for its in most)
    return [
        at_most(
            f"replay run, {len(COLUMNS)} columns: the most memory of {many:,} rows less that of "
            f"{few:,}, bytes for each value more",
            each,
            1200.0,
            f"{each:,.0f} ({shown} of {few:,}, {many:,} and {over:,} rows)",
        ),
        at_most(
            f"the most memory of {over:,} such rows, too many for a second look, over that of "
            f"{many:,}",
            most[2] / most[1],
            1.0,
        ),
    ]


def run() -> Section:
    # memory is not time: all run at once
    children = {kind: start_learner(kind) for kind in ("OnlineGMM", "OnlineHMM")}
    with tempfile.TemporaryDirectory() as folder:
        replayed = [of_replay(Path(folder)), *of_second_look(Path(folder))]
    rows = [of_learner(kind, child) for kind, child in children.items()]
    text = (
        "K=3, D=1, in processes of their own. Learners are read after garbage is collected and "
        "the C library has given back what is free (`malloc_trim`), the replay as it is, when it "
        "waits for more rows."
    )
    return Section("Memory over time", [*rows, *replayed], text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--learner"]:
        print(json.dumps(learner(sys.argv[2])))
    else:
        tell(run)
