"""Kills a replay at random moments, lets it go on, and compares with one that was not killed.

A process of its own, which imports everything once and forks: a run then costs its rows only.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from itertools import zip_longest
from pathlib import Path

from imported import COMMAND

from replay.engine import checkpoint

# logs that are soon too long, so that kills fall between a log and the next checkpoint too
checkpoint.LEAST, checkpoint.LONGEST = 20_000, 0.0

OUTPUTS = ("labels.csv", "labels.parquet", "segments.csv", "refused.csv", "costs.csv")
COSTS = ["--integrate", "level", "--time-zone", "Europe/Berlin"]
START, STEP = 1_773_000_000, 60
"""Time of the first row, and seconds from one to the next."""
OPTIONS = {
    # name: (label file, further options)
    "mixture": ("labels.csv", []),
    "chain": ("labels.csv", ["--persist", "--lag", "7", "--stickiness", "30"]),
    "parked": ("labels.csv", ["--in-memory", "2", "--recycle"]),
    "costs": ("labels.csv", ["--in-memory", "3", *COSTS]),
    "parquet": ("labels.parquet", ["--min-dwell", "3", "--confirm", "2"]),
    "shared": ("labels.csv", ["--shared-model", "--in-memory", "2"]),
    "shared chain": ("labels.csv", ["--shared-model", "--persist", "--max-gap", "3000"]),
    "blocks": ("labels.csv", []),
    "blocks by key": ("labels.csv", ["--key", "device"]),
    "blocks of parquet": ("labels.parquet", ["--confirm", "2"]),
}


def write_rows(path: Path, n: int, seed: int = 1) -> None:
    """Five devices in two regimes each; missing values, bad cells, short rows and late ones."""
    rng = random.Random(seed)
    regime = dict.fromkeys("abcde", 0)
    with path.open("w") as file:
        file.write("t,device,level,note\n")
        for i in range(n):
            device = rng.choice("abcde")
            if rng.random() < 0.02:
                regime[device] = 1 - regime[device]
            level = f"{rng.gauss(10.0 * regime[device], 1.0):.3f}"
            if rng.random() < 0.01:
                level = rng.choice(["", "NaN", "abc"])
            if rng.random() < 0.003:
                file.write(f"{START + STEP * i},{device}\n")
                continue
            late = 7 if rng.random() < 0.002 else 0
            note = '"two\nlines"' if rng.random() < 0.01 else "x"
            file.write(f"{START + STEP * (i - late)},{device},{level},{note}\n")


def arguments(rows: Path, folder: Path, name: str) -> list[str]:
    labels, more = OPTIONS[name]
    # rows that come in blocks are of one series, and their times are not read
    keyed = (
        []
        if name.startswith("blocks")
        else ["--key", "device", "--late", "skip", "--time-format", "s"]
    )
    costs = ["--costs", str(folder / "costs.csv")] if name == "costs" else []
    return [
        *("run", str(rows), "--value", "level", "--time", "t", *keyed, *costs),
        *("--on-bad", "skip", "--refused", str(folder / "refused.csv")),
        *("--regimes", "2", "--warm-up", "60", "--labels", str(folder / labels)),
        *("--segments", str(folder / "segments.csv"), "--checkpoint", str(folder / "state")),
        *("--every-rows", "150", "--resume", *more),
    ]


def start(arguments: list[str]) -> int:
    """A process that runs the command line; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        status = COMMAND(arguments, standalone_mode=False) or 0
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
    finally:
        os._exit(status)


def ended(child: int, within: float) -> int | None:
    """The status of a process that ends in so many seconds, None if it does not."""
    until = time.monotonic() + within
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.001)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS if (folder / name).exists()}


def differing(found: dict[str, bytes], whole: dict[str, bytes]) -> str:
    """The first line that is another."""
    for name, expected in whole.items():
        pairs = zip_longest(found.get(name, b"").splitlines(), expected.splitlines())
        for line, (one, other) in enumerate(pairs, 1):
            if one != other:
                return f"{name}, line {line}: {one!r} is not {other!r}"
    return f"{sorted(found)} are not {sorted(whole)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mqtt", action="store_true", help="a consumer of MQTT, not of a file")
    parser.add_argument("--landing", action="store_true", help="rows that land, from MQTT")
    parser.add_argument("--notices", action="store_true", help="one that tells changes of regime")
    parser.add_argument("--kafka", action="store_true", help="a consumer of Kafka")
    chosen = parser.parse_args()
    if chosen.kafka:
        from crash_kafka import kill_consumers as kill_consumers_of_kafka

        with tempfile.TemporaryDirectory() as name:
            rng = random.Random(chosen.seed)
            again, wrong = kill_consumers_of_kafka(Path(name), chosen.kills, chosen.rows, rng)
        print(f"{chosen.kills} kills, {again} labels more than once under the same key", end="; ")
        print(wrong or "none lost, none doubled")
        sys.exit(bool(wrong))
    if chosen.notices:
        from crash_notices import kill_tellers

        with tempfile.TemporaryDirectory() as name:
            rng = random.Random(chosen.seed)
            n, again, wrong = kill_tellers(Path(name), chosen.kills, chosen.rows, rng)
        print(f"{chosen.kills} kills, {n} changes told, {again} more than once", wrong, sep="; ")
        sys.exit(bool(wrong))
    if chosen.landing:
        from crash_landing import kill_landings

        with tempfile.TemporaryDirectory() as name:
            rng = random.Random(chosen.seed)
            count, wrong = kill_landings(Path(name), chosen.kills, chosen.rows, rng)
        print(", ".join(f"{n} {what}" for what, n in count.items()), wrong or "none lost", sep="; ")
        sys.exit(bool(wrong))
    if chosen.mqtt:
        from crash_mqtt import kill_consumers

        with tempfile.TemporaryDirectory() as name:
            rng = random.Random(chosen.seed)
            killed, terminated, same = kill_consumers(Path(name), chosen.kills, chosen.rows, rng)
        print(
            f"{killed} kills and {terminated} terminations of the consumer, 1 kill of "
            f"the broker; labels {'as without' if same else 'DIFFERENT'}"
        )
        sys.exit(not same)
    rng = random.Random(chosen.seed)
    kills = {signal.SIGKILL: 0, signal.SIGTERM: 0}
    finished = different = 0
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        rows = base / "rows.csv"
        write_rows(rows, chosen.rows)
        whole, takes = {}, {}
        for way in OPTIONS:
            folder = base / f"whole-{way}"
            folder.mkdir()
            begun = time.monotonic()
            assert ended(start(arguments(rows, folder, way)), 600.0) == 0, way
            takes[way] = time.monotonic() - begun
            whole[way] = outputs(folder)
            assert len(whole[way]) == 3 + (way == "costs")
        ways = list(OPTIONS)
        while sum(kills.values()) < chosen.kills or finished < len(ways):
            way = ways[finished % len(ways)]
            folder = base / "killed"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            longest = takes[way]
            while True:
                child = start(arguments(rows, folder, way))
                status = ended(child, rng.uniform(0.0, longest))
                # each has more time than the one before: all end, also if the machine becomes busy
                longest *= 1.1
                if status is None:
                    how = min(kills, key=kills.__getitem__)
                    os.kill(child, how)
                    status = ended(child, 600.0)
                if status == 0:
                    break
                if status not in (-signal.SIGKILL, -signal.SIGTERM, 143):
                    sys.exit(f"{way}: ended with status {status}")
                kills[how] += 1
            finished += 1
            found = outputs(folder)
            if found != whole[way]:
                different += 1
                print(f"{way}: {differing(found, whole[way])}", file=sys.stderr)
    print(
        f"{kills[signal.SIGKILL]} kills, {kills[signal.SIGTERM]} terminations, {finished} replays "
        f"finished, {different} with other output"
    )
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
