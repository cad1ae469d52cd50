"""Where the time of a point goes: instructions by callgrind, each share named.

``python -m benchmarks.instructions``. A model that has learnt 30,000 points learns a few more as
mappings, in a process under valgrind, then many more in another; what the second has executed
beyond the first, by function, is what a point costs. The same for the step by hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.floor import floor_of
from benchmarks.report import Bars, Row, Section, tell
from online_gmm import OnlineGMM

CASES = ((3, 1, "full"), (5, 8, "diag"))
FEW, MANY = 1_000, 6_000
"""Points; the points kept are next fitted again at 51,200."""
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
SPENT = re.compile(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(\S+?):(\S.*)")


def learn(side: str, k: int, d: int, kind: str, n: int) -> None:
    """What is run under valgrind."""
    rng = np.random.default_rng(d)
    X = rng.normal(size=(30_000, d)) + rng.normal(0, 4, (k, d))[rng.integers(k, size=30_000)]
    model = OnlineGMM(k, covariance_type=kind, seed=1, capacity=1600 if side == "ours" else 0)
    model.learn_many(X)
    points = [dict(enumerate(row)) for row in X[:MANY].tolist()]
    step = model.learn_one if side == "ours" else floor_of(model).learn_one
    for x in points[:n]:
        step(x)


def spent(side: str, case: tuple[int, int, str], n: int) -> Counter[str]:
    """Instructions of a run by function."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "callgrind"))
        told = [side, *map(str, case), str(n)]
        child = [sys.executable, "-m", "benchmarks.instructions", *told]
        quiet = {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={data}", *child],
            check=True,
            capture_output=True,
            env={**os.environ, **quiet},
        )
        text = subprocess.run(
            ["callgrind_annotate", "--auto=no", "--threshold=100", data],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    result: Counter[str] = Counter()
    for line in text.splitlines():
        if found := SPENT.match(line):
            name = re.sub(r" \(.*| \[.*", "", found[3])
            result[name] += int(found[1].replace(",", ""))
    return result


def per_point(side: str, case: tuple[int, int, str]) -> dict[str, float]:
    """Instructions of a point by share."""
    few, many = (spent(side, case, n) for n in (FEW, MANY))
    result: Counter[str] = Counter()
    for name in many.keys() | few.keys():
        share = next((what for what, names in SHARES if re.search(names, name)), "all else")
        if side != "ours" and re.search(r"^(Floor_|mix|read_out)", name):
            share = "the step itself"
        result[share] += many[name] - few[name]
    return {what: count / (MANY - FEW) for what, count in result.most_common() if count > 0}


def case_rows(case: tuple[int, int, str]) -> tuple[list[Row], Bars]:
    k, d, kind = case
    name = f"K={k} D={d} {kind}"
    ours, floor = per_point("ours", case), per_point("by hand", case)
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
    cases = [case_rows(case) for case in CASES]
    return Section(
        "Where the time goes",
        [row for rows, _ in cases for row in rows],
        text,
        [bars for _, bars in cases],
    )


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["by hand"]):
        side, k, d, kind, n = sys.argv[1:]
        learn(side, int(k), int(d), kind, int(n))
    else:
        tell(run)
