"""All benchmarks of speed and memory, each in a process of its own, as one document with plots.

``python -m benchmarks``, or ``scripts/bench``: writes ``out/bench/bench.md`` and its pictures.
``python -m benchmarks growth memory`` runs these two only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import described
from benchmarks.plots import draw
from benchmarks.report import Row, Section, section_from

NAMES = (
    "from_nothing",
    "per_point",
    "mini_batch",
    "replay",
    "longest_call",
    "growth",
    "memory",
    "start",
    "instructions",
)
OUT = Path("out", "bench")


def measured(name: str, folder: Path) -> Section:
    """What a benchmark reports; a row that says so if it fails."""
    its = folder / f"{name}.json"
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(its)],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode == 0:
        return section_from(its.read_text())
    failed = Row(f"`{name}`", f"failed with status {ended.returncode}", "to run", False)
    return Section(name.replace("_", " ").capitalize(), [failed])


def processor_seconds() -> float:
    """Processor time of all benchmarks so far: less than the clock on a busy machine."""
    spent = os.times()
    return spent.children_user + spent.children_system


def summary(rows: list[Row]) -> str:
    """How many targets are met, and which are not."""
    missed = [row for row in rows if row.met is False]
    met = sum(row.met is True for row in rows)
    missing = [row for row in rows if row.figure.startswith("missing")]
    lines = [f"{met} targets met, {len(missed)} missed."]
    lines += [f"- missed: {row.what}: {row.figure} ({row.target})" for row in missed]
    lines += [f"- {row.what}: {row.figure}" for row in missing]
    return "\n".join(lines)


def asked(arguments: list[str] | None = None) -> list[str]:
    """The benchmarks to run, by the command line; all if it names none."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed and memory, and write a document with plots to "
        f"{OUT / 'bench.md'}. All take some 8 minutes.",
        epilog="Others, such as machines or peers, are modules of their own: python -m "
        "benchmarks.machines --help.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    names = parser.parse_args(arguments).names or list(NAMES)
    for name in names:
        if name not in NAMES:
            parser.error(f"there is no {name!r} among them; there are {', '.join(NAMES)}")
    return list(names)


def main() -> None:
    names = asked()
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.png"):
        old.unlink()
    machine = described()
    begun = time.monotonic()
    rows: list[Row] = []
    parts, lasted = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            print(f"{name} ...", end=" ", flush=True)
            before, worked = time.monotonic(), processor_seconds()
            section = measured(name, Path(folder))
            seconds = time.monotonic() - before
            lasts = f"{seconds:.0f} s, of a processor {processor_seconds() - worked:.0f} s"
            print(lasts, flush=True)
            lasted.append(f"{name} {lasts}")
            parts.append(section.markdown())
            for i, plot in enumerate(section.plots, 1):
                picture = OUT / f"{name}_{i}.png"
                draw(plot, picture)
                parts.append(f"![{plot.title}]({picture.name})\n")
            rows += section.rows
    minutes = (time.monotonic() - begun) / 60
    took = f"{minutes:.1f} minutes, of a processor {processor_seconds() / 60:.1f}"
    told = summary(rows)
    head = [
        "# Benchmarks",
        "",
        *(f"- {what}: {value}" for what, value in machine.items()),
        f"- all took {took}: {'; '.join(lasted)}",
        "",
        told,
        "",
    ]
    document = OUT / "bench.md"
    document.write_text("\n".join([*head, *parts]))
    print(told)
    print(f"{document}, in {took}")
    sys.exit(any(row.target == "to run" for row in rows))


if __name__ == "__main__":
    main()
