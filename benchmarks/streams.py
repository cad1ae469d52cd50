"""How a replay bears scale: resident memory with many keys, and with a file of gigabytes.

``scripts/bench streams keys`` sends 5 million rows of 10,000 keys in turns through ``replay run``,
once with all models in memory and once with most of them parked, and compares the labels;
``scripts/bench streams file`` sends a generated file of 2 GB. Memory is read from outside.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHUNK = 100_000
"""Rows generated together."""


def write_keys(path: Path, n_rows: int, n_keys: int) -> None:
    """Rows of all keys in turns; each is in one of two regimes, for 20 rows at a time."""
    rng = np.random.default_rng(1)
    with path.open("w") as file:
        file.write("t,device,level\n")
        for start in range(0, n_rows, CHUNK):
            i = np.arange(start, min(start + CHUNK, n_rows))
            turn, key = np.divmod(i, n_keys)
            level = rng.normal(8.0 * ((turn // 20 + key) % 2), 1.0)
            file.writelines(
                f"{t},d{k},{x:.3f}\n"
                for t, k, x in zip(turn.tolist(), key.tolist(), level.tolist(), strict=True)
            )


def write_wide(path: Path, n_bytes: int, n_columns: int = 20) -> None:
    """Rows of many columns, of which two will be asked for."""
    rng = np.random.default_rng(2)
    with path.open("w") as file:
        file.write("t," + ",".join(f"c{j}" for j in range(n_columns)) + "\n")
        start = 0
        while file.tell() < n_bytes:
            values = rng.normal(0.0, 1.0, (CHUNK // 10, n_columns))
            values[:, 0] += 8.0 * (np.arange(start, start + len(values)) // 500 % 2)
            lines = (",".join(f"{x:.6f}" for x in row) for row in values.tolist())
            file.writelines(f"{i},{line}\n" for i, line in enumerate(lines, start))
            start += len(values)


def watched(arguments: list[str], rows: int) -> list[tuple[float, float]]:
    """Run the command line; seconds since its start and resident memory, in MB, once a second."""
    child = subprocess.Popen(
        [sys.executable, "-m", "replay", *arguments], stdout=subprocess.DEVNULL
    )
    begun = time.monotonic()
    seen = []
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
            resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
            seen.append((time.monotonic() - begun, int(resident.split()[1]) / 1024))
        except (OSError, StopIteration):
            break
        time.sleep(0.5)
    if child.wait():
        sys.exit(f"replay ended with status {child.returncode}")
    took = time.monotonic() - begun
    print(f"    {took:.0f} s, {rows / took:,.0f} rows a second")
    for share in (0.1, 0.25, 0.5, 0.75, 0.99):
        at = seen[int(share * (len(seen) - 1))]
        print(f"    after {share:4.0%} of the time: {at[1]:,.0f} MB resident")
    return seen


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:16]


def keys(folder: Path, n_rows: int, n_keys: int) -> None:
    rows = folder / "keys.csv"
    write_keys(rows, n_rows, n_keys)
    options = ["--key", "device", "--value", "level", "--time", "t", "--regimes", "2"]
    labels = {}
    for name, more in {
        "all models in memory": [],
        f"{n_keys // 10:,} models in memory, the others parked": ["--in-memory", str(n_keys // 10)],
    }.items():
        print(f"{n_rows:,} rows of {n_keys:,} keys, {name}")
        out = folder / "labels.csv"
        whole = [*options, "--warm-up", "50", "--labels", str(out), *more]
        watched(["run", str(rows), *whole], n_rows)
        labels[name] = digest(out)
    print("labels:", "the same" if len(set(labels.values())) == 1 else f"DIFFERENT {labels}")


def file(folder: Path, n_bytes: int) -> None:
    rows = folder / "wide.csv"
    write_wide(rows, n_bytes)
    with rows.open("rb") as lines:
        n_rows = sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 24), b"")) - 1
    print(f"{rows.stat().st_size / 1e9:.2f} GB, {n_rows:,} rows of 21 columns, two of them learnt")
    options = ["--value", "c0", "--value", "c1", "--time", "t", "--regimes", "2"]
    watched(["run", str(rows), *options, "--labels", str(folder / "labels.csv")], n_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["keys", "file"])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where files are generated")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        if chosen.what == "keys":
            keys(Path(name), chosen.rows, chosen.keys)
        else:
            file(Path(name), int(chosen.gigabytes * 1e9))


if __name__ == "__main__":
    main()
