"""Run one of the fuzz targets: ``python -m tests.fuzz.drive state --runs 100000``.

Inputs are random, or random changes of those in the corpus. ``--atheris`` after the target lets
atheris choose them by what they reach; further options are libFuzzer's. Every execution is
counted. An input that is a finding is written to ``found-TARGET-N`` in the current folder.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 160


def inputs(corpus: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """The corpus as it is, and then inputs without end."""
    yield from corpus
    while True:
        if not corpus or rng.random() < 0.5:
            yield rng.randbytes(rng.randrange(8, LONGEST))
            continue
        data = bytearray(rng.choice(corpus))
        for _ in range(1 + rng.randrange(6)):
            place = rng.randrange(len(data) + 1)
            data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        yield bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("state", "points", "files"))
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run: Callable[[bytes], int] = importlib.import_module(f"tests.fuzz.{given.target}").run
    if given.target == "points":
        run = partial(run, every=8)
    corpus = [path.read_bytes() for path in sorted((CORPUS / given.target).iterdir())]
    until, began = time.monotonic() + given.seconds, time.monotonic()
    n_runs = n_acts = 0
    found: dict[str, bytes] = {}
    for data in inputs(corpus, random.Random(given.seed)):
        if n_runs == given.runs or time.monotonic() > until:
            break
        n_runs += 1
        try:
            n_acts += run(data)
        except Exception as error:
            # one of each kind: where it was raised
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            if kind not in found:
                found[kind] = data
                path = Path(f"found-{given.target}-{len(found)}")
                path.write_bytes(data)
                print(f"{path}: {kind}: {str(error)[:200]}", flush=True)
        if n_runs % 100_000 == 0:
            print(f"{n_runs:,} executions", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{given.target}: {n_runs:,} executions, {n_acts:,} acts, {len(found)} findings, "
        f"{seconds:,.0f} seconds"
    )
    sys.exit(1 if found else 0)


def with_atheris(target: str) -> None:
    """Hand the target to atheris; the rest of the command line is libFuzzer's."""
    import atheris

    with atheris.instrument_imports(include=["online_gmm"]):
        run = importlib.import_module(f"tests.fuzz.{target}").run
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(CORPUS / target)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    if "--atheris" in sys.argv[2:3]:
        with_atheris(sys.argv[1])
    else:
        main()
