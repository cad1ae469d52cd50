"""This commit beside another one: how many times as long the same tasks take.

``scripts/bench --against REF [--rounds N] [--only TEXT]``. The other commit is checked out and
installed under ``.bench-against/``. Each round runs a task once with either commit, in processes of
their own and in alternating order; a ratio is taken within a round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.probes import PROBES
from benchmarks.timing import side_by_side

HERE = Path(__file__).resolve().parents[1]
PLACE = HERE / ".bench-against"
ALLOWED = 1.05


def python_of(ref: str) -> Path:
    """The Python of another commit, checked out and installed if it is not yet."""
    commit = subprocess.check_output(["git", "rev-parse", ref], cwd=HERE, text=True).strip()
    folder = PLACE / commit[:12]
    if not folder.exists():
        PLACE.mkdir(exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", str(HERE), str(folder)], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=folder, check=True)
    subprocess.run(["scripts/replay", "--help"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / ".venv" / "bin" / "python"


def seconds(python: Path, probe: str) -> float:
    told = subprocess.check_output(
        [python, "-I", HERE / "benchmarks" / "probes.py", probe], cwd="/", text=True
    )
    return float(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ref", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="tasks whose name contains this text")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; it must be at least 1")
    names = [name for name in PROBES if options.only in name]
    if not names:
        parser.error(f"--only {options.only!r}: no task has this in its name")
    other = python_of(options.ref)
    slower = []
    print(f"seconds of this commit / seconds of {options.ref}: median (least to most)")
    for name in names:
        times = side_by_side(
            {
                "this": lambda name=name: seconds(Path(sys.executable), name),
                "other": lambda name=name: seconds(other, name),
            },
            options.rounds,
        )
        ratio = times.ratio("this", "other")
        print(f"{name:45} {ratio}", flush=True)
        if ratio.median > ALLOWED:
            slower.append(name)
    print(f"slower by more than {ALLOWED - 1:.0%}: {', '.join(slower) or 'none'}")
    sys.exit(bool(slower))


if __name__ == "__main__":
    main()
