"""Processes of a query, found and killed in the middle of a batch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parents[2]


def processes():
    """(number, parent, session, command) of all processes."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            yield int(entry.name), int(stat[1]), int(stat[3]), command


def workers_below(driver):
    """Python processes that label rows: children of the daemon of a driver."""
    found = list(processes())
    daemons = {pid for pid, up, _, command in found if up == driver and "pyspark.daemon" in command}
    return [pid for pid, up, _, _ in found if up in daemons]


def start(folder):
    """The job in a session of its own, so that all its processes are known."""
    with (folder / "said").open("a") as said:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "job.py"), str(folder)],
            stdout=said,
            stderr=said,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            start_new_session=True,
        )


def of_session(number):
    """The processes of the job, by what they are."""
    found = [its for its in processes() if its[2] == number]
    drivers = [pid for pid, _, _, command in found if "java" in command.split(" ")[0]]
    workers = [pid for driver in drivers for pid in workers_below(driver)]
    return {"all": [its[0] for its in found], "driver": drivers, "workers": workers}


def batch_under_way(folder):
    """The number of the batch that is begun and not done; None if there is none."""
    begun, done = (
        {int(p.name) for p in (folder / "checkpoint" / kind).glob("[0-9]*")}
        for kind in ("offsets", "commits")
    )
    return max(begun - done, default=None)


def wait_for_batch(folder, at_least, ended, seconds=300.0):
    """Until a batch of this number or a later one is under way."""
    until = time.monotonic() + seconds
    while (number := batch_under_way(folder)) is None or number < at_least:
        if ended():
            raise RuntimeError(f"the query has ended before batch {at_least}")
        if time.monotonic() > until:
            raise RuntimeError(f"batch {at_least} does not begin")
        time.sleep(0.005)
    return number


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def clear(job):
    """End what is left of a job, whatever it was that was killed."""
    while left := of_session(job.pid)["all"]:
        if left == [job.pid] and job.poll() is not None:
            return
        kill(left)
        job.poll()
        time.sleep(0.02)


def kill_in_batch(folder, what, at_least, rng):
    """Start the job, and kill it or a part of it in the middle of a batch, this or a later one.

    Tells whether it was in the middle: a batch may end just before.
    """
    job = start(folder)
    try:
        number = wait_for_batch(folder, at_least, lambda: job.poll() is not None)
        until = time.monotonic() + 120.0
        while not of_session(job.pid)["workers"] and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 2.0))
        number = batch_under_way(folder)
        victims = of_session(job.pid)[what]
        kill(victims)
        in_middle = number is not None and batch_under_way(folder) == number and bool(victims)
        # a batch may have no need of its workers any more
        in_middle &= job.wait(300) != 0
    finally:
        clear(job)
    return in_middle


def finish(folder):
    job = start(folder)
    try:
        return job.wait(600)
    finally:
        clear(job)


def write_rows(rows, folder, n_files):
    """Files of rows that follow each other; some rows come twice, and all in disorder."""
    (folder / "rows").mkdir(parents=True)
    for i in range(n_files):
        part = rows.iloc[len(rows) * i // n_files : len(rows) * (i + 1) // n_files + 50]
        path = folder / "rows" / f"{i:03}.parquet"
        part.sample(frac=1.0, random_state=i).to_parquet(path, index=False)
        os.utime(path, (1e9 + i, 1e9 + i))


def labels(spark, folder):
    """What is in the sink: through the engine, as files that were never committed do not count."""
    frame = spark.read.parquet(str(folder / "labels"))
    return sorted(map(tuple, frame.collect()))
