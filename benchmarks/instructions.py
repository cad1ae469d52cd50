"""Where the time of a point goes: instructions by callgrind, each share named.

``python -m benchmarks.instructions``. A model that has learnt 30,000 points learns a few more as
mappings, and then many more, in a process under valgrind; what that executes meanwhile, by
function, is what a point costs. The same for the step by hand.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.floor import floor_of
from benchmarks.report import Bars, Row, Section, tell
from online_gmm import OnlineGMM

CASES = ((3, 1, "full"), (5, 8, "diag"))
SIDES = ("ours", "by hand")
FEW, MANY = 1_000, 6_000
"""Points that come first, and with those that are counted; points kept are next fitted again at
51,200."""
MARK = "ctermid"
"""A call that nothing else makes: valgrind writes down what was executed since the last one."""
SHARES = (
    ("log joint densities", r"Densities_(log_joint|add_weights|likeliest)"),
    ("responsibilities", r"Densities_(e_step|normalise)|exp"),
    ("the step size", r"StepSchedule_|pow"),
    ("statistics", r"Components_update|Parameters_rank_one"),
    ("the M-step, every 16 points", r"Parameters_|log(@|$)|_log_fma"),
    ("the average, every 16 points", r"Statistics_(mix|copy)|Stream_update_report|mem(cpy|move)"),
    ("points kept, counters, gates", r"Stream_|keep"),
    (
        "values taken from the mapping",
        r"points_read_point|PyDict_GetItem|dict_lookup|unicodekeys|IsTrue",
    ),
    ("the way to the stream", r"Entry_|CyFunction|PyObject_Size|PyDict_Size|Pyx_"),
    ("the loop over points", r"_PyEval_EvalFrameDefault|Vectorcall|vectorcall"),
)
"""Functions by what they do; the first that fits."""
FUNCTION = re.compile(r"(c?)fn=\((\d+)\)(?: (\S+))?")
SPENT = re.compile(r"[-+*\d]\d* (\d+)$")
"""Lines of callgrind's format."""


def step_of(side: str, k: int, d: int, kind: str) -> tuple[Callable[[Any], Any], list[Any]]:
    """What learns a point, and points."""
    rng = np.random.default_rng(d)
    X = rng.normal(size=(30_000, d)) + rng.normal(0, 4, (k, d))[rng.integers(k, size=30_000)]
    model = OnlineGMM(k, covariance_type=kind, seed=1, capacity=1600 if side == "ours" else 0)
    model.learn_many(X)
    step = model.learn_one if side == "ours" else floor_of(model).learn_one
    return step, [dict(enumerate(row)) for row in X[:MANY].tolist()]


def learn() -> None:
    """What is run under valgrind."""
    for case, side in itertools.product(CASES, SIDES):
        step, points = step_of(side, *case)
        for x in points[:FEW]:
            step(x)
        os.ctermid()
        for x in points[FEW:]:
            step(x)
        os.ctermid()


def spent() -> Iterator[Counter[str]]:
    """Instructions between each pair of marks, by function."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "callgrind"))
        quiet = {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        subprocess.run(
            [
                *("valgrind", "--tool=callgrind", f"--callgrind-out-file={data}"),
                *(f"--dump-before={MARK}", sys.executable),
                *("-m", "benchmarks.instructions", "--learn"),
            ],
            check=True,
            capture_output=True,
            env={**os.environ, **quiet},
        )
        for i in range(len(CASES) * len(SIDES)):
            yield by_function(Path(f"{data}.{2 * i + 2}").read_text())


def by_function(dump: str) -> Counter[str]:
    """Instructions by function, without those of the functions that it calls."""
    names: dict[str, str] = {}
    result: Counter[str] = Counter()
    function, of_call = "", False
    for line in dump.splitlines():
        if found := FUNCTION.match(line):
            called, number, name = found.groups()
            if name:
                names[number] = name
            if not called:
                function = names[number]
        elif (found := SPENT.match(line)) and not of_call:
            result[function] += int(found[1])
        of_call = line.startswith("calls=")
    return result


def per_point(side: str, counts: Counter[str]) -> dict[str, float]:
    """Instructions of a point by share."""
    result: Counter[str] = Counter()
    for name, count in counts.items():
        share = next((what for what, names in SHARES if re.search(names, name)), "all else")
        if side != "ours" and re.search(r"^(Floor_|mix|read_out)", name):
            share = "the step itself"
        result[share] += count
    return {what: count / (MANY - FEW) for what, count in result.most_common() if count > 0}


def case_rows(
    case: tuple[int, int, str], ours: dict[str, float], floor: dict[str, float]
) -> tuple[list[Row], Bars]:
    k, d, kind = case
    name = f"K={k} D={d} {kind}"
    total, least = sum(ours.values()), sum(floor.values())
    rows = [
        Row(f"{name}: learn_one", f"{total:,.0f} instructions"),
        Row(f"{name}: the step by hand", f"{least:,.0f} instructions"),
        Row(f"{name}: above the step by hand", f"{total / least - 1.0:.0%}"),
    ]
    rows += [
        Row(f"{name}: {what}", f"{count:,.0f}, {count / total:.0%}") for what, count in ours.items()
    ]
    return rows, Bars(f"Learning a point, {name}", "instructions", ours)


def run() -> Section:
    text = (
        "Instructions that a point executes (callgrind), in a loop over mappings. The step by hand "
        "has the same arithmetic and checks, in one function against Python's C API."
    )
    missing = [tool for tool in ("valgrind", "cc") if shutil.which(tool) is None]
    if missing:
        return Section("Where the time goes", [Row(" and ".join(missing), "missing")], text)
    sides = zip(itertools.cycle(SIDES), spent(), strict=False)
    shares = [per_point(side, counts) for side, counts in sides]
    cases = [
        case_rows(case, ours, by_hand)
        for case, ours, by_hand in zip(CASES, shares[::2], shares[1::2], strict=True)
    ]
    return Section(
        "Where the time goes",
        [row for rows, _ in cases for row in rows],
        text,
        [bars for _, bars in cases],
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--learn"]:
        learn()
    else:
        tell(run)
