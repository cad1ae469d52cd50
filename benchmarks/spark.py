"""Keyed learners on Spark beside a plain loop over the same rows: rows a second, and memory.

``python -m benchmarks.spark``. Each case is a query in a process of its own, which takes files of
100,000 rows, a batch each. The first batches are not counted: in them processes start, code is
compiled and states are made. Beside the time on the clock stands that on processors, of all
processes of a side, which other work on the machine changes less. Java goes on compiling itself for
minutes; what that takes of it is told, too, as a query that runs for hours has no more of it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import Row, Section, tell
from online_gmm import OnlineGMM

KEYS = (100, 10_000)
CORES = 2
ROWS = 100_000
"""Of a batch."""
BATCHES = 6
WARM = 3
"""Batches that are not counted."""
LOOKS = 0.2
"""Seconds between two looks at memory, or at a query."""
MEGABYTE = 1e6


def write(folder: Path, n_keys: int) -> None:
    """Rows of all keys in turns; each key is in one of two regimes for 50 rows."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for b in range(BATCHES):
        i = np.arange(b * ROWS, (b + 1) * ROWS)
        turn, key = np.divmod(i, n_keys)
        level = rng.normal(6.0 * ((turn // 50 + key) % 2), 1.0)
        columns = {
            "key": pa.array([f"sensor{k}" for k in key.tolist()]),
            "t": 10.0 * turn,
            "level": level,
            "load": rng.normal(size=ROWS),
        }
        path = folder / f"{b}.parquet"
        pq.write_table(pa.table(columns), path)
        os.utime(path, (1e9 + b, 1e9 + b))


def learner() -> OnlineGMM:
    """As of a fleet: it has been fitted to history, and keeps few points."""
    rng = np.random.default_rng(2)
    history = np.column_stack(
        [rng.normal(rng.choice([0.0, 6.0], 1000), 1.0), rng.normal(size=1000)]
    )
    model = OnlineGMM(2, capacity=100, features=["level", "load"], seed=1)
    return model.fit_start(history)


# -- the two sides --------------------------------------------------------------------------------


def plain_loop(folder: Path) -> dict[str, Any]:
    """A learner for each key in a dictionary."""
    blank = learner().to_bytes()
    models: dict[str, OnlineGMM] = {}
    took = []
    for i, path in enumerate(sorted(folder.glob("*.parquet"))):
        if i == WARM:
            spent = time.process_time()
        begun = time.perf_counter()
        table = pq.read_table(path)
        labels = []
        for key, level, load in zip(
            *(table[name].to_pylist() for name in ("key", "level", "load")), strict=True
        ):
            model = models.get(key)
            if model is None:
                model = models[key] = OnlineGMM.from_bytes(blank)
            x = {"level": level, "load": load}
            known = model.assign_one(x)
            labels.append((known.label, known.probability))
            model.learn_one(x)
        took.append(time.perf_counter() - begun)
    return {"took": took[WARM:], "spent": time.process_time() - spent}


def on_spark(folder: Path, cores: int) -> dict[str, Any]:
    """A query, and the size of its state."""
    from pyspark.sql import SparkSession

    from online_gmm.spark import label_stream, read_states
    from online_gmm.spark.labels import PROVIDER, ROCKSDB

    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    spark = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.driver.memory", "1g")
        # so that what has compiled can be seen at the end
        .config("spark.driver.extraJavaOptions", "-XX:-UseDynamicNumberOfCompilerThreads")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(cores))
        .config(PROVIDER, ROCKSDB)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as place:
        Path(place, "rows").mkdir()
        rows = spark.readStream.schema("key string, t double, level double, load double")
        labelled = label_stream(
            rows.option("maxFilesPerTrigger", 1).parquet(f"{place}/rows"),
            key="key",
            time="t",
            values=["level", "load"],
            model=learner(),
        )
        for path in folder.glob("*.parquet"):
            os.link(path, Path(place, "rows", path.name))
        query = (
            labelled.writeStream.format("parquet")
            .option("path", f"{place}/labels")
            .option("checkpointLocation", f"{place}/checkpoint")
            .trigger(availableNow=True)
            .start()
        )
        while len(query.recentProgress) < WARM and query.isActive:
            time.sleep(LOOKS)
        spent, compiling = processor_time(), compiler_time()
        query.awaitTermination()
        spent, compiling = processor_time() - spent, compiler_time() - compiling
        batches = [p for p in query.recentProgress if p["numInputRows"]][WARM:]
        n = spark.read.parquet(f"{place}/labels").count()
        assert n == ROWS * BATCHES, f"{n:,} rows came out"
        states = read_states(spark, f"{place}/checkpoint")
        size = states.selectExpr("avg(length(state))").first()[0]
        disk = sum(path.stat().st_size for path in Path(place, "checkpoint").rglob("*.*"))
    spark.stop()
    took = [p["durationMs"]["triggerExecution"] / 1000 for p in batches]
    told = {"took": took, "spent": spent, "compiling": compiling}
    return {**told, "state": size, "disk": disk}


# -- processes ------------------------------------------------------------------------------------


def processes() -> Iterator[tuple[int, int, float]]:
    """(session, resident bytes, seconds on processors) of all processes."""
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # with those of its children that have ended
            yield int(stat[3]), int(stat[21]) * page, sum(map(int, stat[11:15])) / tick


def processor_time() -> float:
    """Of this process and those that it has started."""
    own = os.getsid(0)
    return sum(seconds for session, _, seconds in processes() if session == own)


def compiler_time() -> float:
    """Seconds on processors of the threads that compile Java, of processes of this session."""
    own, tick = os.getsid(0), os.sysconf("SC_CLK_TCK")
    ticks = 0
    for thread in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        try:
            name, _, rest = thread.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        stat = rest.split()
        if int(stat[3]) == own and name.startswith(("C1 Compiler", "C2 Compiler")):
            ticks += int(stat[11]) + int(stat[12])
    return ticks / tick


def in_own_process(*told: object) -> tuple[dict[str, Any], float]:
    """What a side says, and the most that it and its processes had in memory, in megabytes."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.spark", "--side", *map(str, told)],
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        most = 0
        while child.poll() is None:
            most = max(most, sum(size for session, size, _ in processes() if session == child.pid))
            time.sleep(LOOKS)
        assert child.stdout is not None
        out = child.stdout.read()
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{told} failed: {said.read()[-2000:]}")
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result, most / MEGABYTE


def speed(took: list[float]) -> tuple[float, str]:
    """Rows a second, with the least and the most of the batches."""
    rates = sorted(ROWS / seconds for seconds in took)
    median = statistics.median(rates)
    return median, f"{median:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})"


def run() -> Section:
    rows = []
    counted = ROWS * (BATCHES - WARM)
    with tempfile.TemporaryDirectory() as place:
        for n_keys in KEYS:
            folder = Path(place) / str(n_keys)
            write(folder, n_keys)
            name = f"{n_keys:,} keys"
            loop, in_loop = in_own_process(folder, 0)
            told, memory = in_own_process(folder, CORES)
            plain, cost, compiling = (
                1e6 * seconds / counted
                for seconds in (loop["spent"], told["spent"], told["compiling"])
            )
            (rate, of_loop), (reached, figure) = speed(loop["took"]), speed(told["took"])
            rows += [
                Row(f"{name}, plain loop: rows a second", of_loop),
                Row(f"{name}, plain loop: processor time a row, us", f"{plain:.3g}"),
                Row(f"{name}, plain loop: peak memory, MB", f"{in_loop:,.0f}"),
                Row(
                    f"{name}, Spark: rows a second",
                    f"{figure}; plain loop / this: {rate / reached:.3g}",
                ),
                Row(
                    f"{name}, Spark: processor time a row, us",
                    f"{cost:.3g}, {compiling:.3g} of it Java compiling itself; without that "
                    f"this / plain loop: {(cost - compiling) / plain:.3g}",
                ),
                Row(f"{name}, Spark: peak memory, MB", f"{memory:,.0f}"),
                Row(f"{name}, Spark: state of a key, bytes", f"{told['state']:,.0f}"),
                Row(f"{name}, Spark: checkpoint, MB", f"{told['disk'] / MEGABYTE:,.0f}"),
            ]
    text = (
        f"OnlineGMM, K=2, D=2, 100 points kept, begun from history; batches of {ROWS:,} rows "
        f"from Parquet to Parquet, in brackets the least and the most of {BATCHES - WARM} batches "
        f"after the first. Spark has {CORES} cores, and the plain loop has a dictionary of "
        "learners, one core and no state on disk. Memory is that of all processes of a side "
        "together, pages that they share counted in each."
    )
    return Section("A fleet on Spark", rows, text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        folder, cores = Path(sys.argv[2]), int(sys.argv[3])
        print(json.dumps(on_spark(folder, cores) if cores else plain_loop(folder)))
    else:
        tell(run)
