"""How long it takes to begin: imports, and the whole process of a short replay.

``python -m benchmarks.start``. Sides are processes; the interpreter alone is taken off imports.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.report import Bars, Row, Section, at_most, tell
from benchmarks.timing import Ratio, side_by_side
from replay.cli.bundled import FIRST_SERIES

ROUNDS = 7
FACTOR, ALLOWED = 1.2, 0.05
"""Importing this package may take so many times river's base, and so many seconds more."""
STACK = "import numpy, pandas, river"
IMPORTS = {
    "the interpreter": "pass",
    "import river.base": "import river.base",
    "import numpy": "import numpy",
    "from river import cluster": "from river import cluster",
    "import online_gmm": "import online_gmm",
    "from online_gmm import OnlineGMM": "from online_gmm import OnlineGMM",
    STACK: STACK,
}


def process(arguments: Sequence[str], folder: Path) -> Callable[[], float]:
    """A side: seconds from the start to the end of a process."""

    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def side() -> float:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - begin

    return side


def run() -> Section:
    replays = {
        "replay run": ("-m", "replay", "run", str(FIRST_SERIES), "--value", "value"),
        "replay --help": ("-m", "replay", "--help"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = {what: process(("-c", code), folder) for what, code in IMPORTS.items()}
        sides |= {what: process(arguments, folder) for what, arguments in replays.items()}
        # the first of each reads from disk, and writes bytecode
        for side in sides.values():
            side()
        times = side_by_side(sides, ROUNDS)

    bare = times.median("the interpreter")

    def own(what: str) -> float:
        """Seconds that an import takes by itself."""
        return times.median(what) - bare

    def of_allowed(what: str) -> Ratio:
        """An import over what is allowed, round by round."""
        pairs = zip(times.rounds[what], times.rounds["import river.base"], strict=True)
        shares = [
            (mine - bare) / (FACTOR * max(base - bare, 0.0) + ALLOWED) for mine, base in pairs
        ]
        return Ratio(statistics.median(shares), min(shares), max(shares))

    allowed = f"({FACTOR:g} x import river.base + {1e3 * ALLOWED:.0f} ms)"
    nothing, learner = (
        of_allowed("import online_gmm"),
        of_allowed("from online_gmm import OnlineGMM"),
    )
    own_learner = own("from online_gmm import OnlineGMM")
    replayed = times.ratio("replay run", STACK)
    rows = [
        at_most(
            f"import online_gmm / {allowed}",
            nothing.median,
            1.0,
            f"{nothing}; {1e3 * own('import online_gmm'):.0f} ms, "
            f"river.base {1e3 * own('import river.base'):.0f} ms",
        ),
        Row(f"from online_gmm import OnlineGMM / {allowed}", str(learner)),
        Row(
            "from online_gmm import OnlineGMM / from river import cluster",
            f"{own_learner / own('from river import cluster'):.3g}; {1e3 * own_learner:.0f} ms, "
            f"of which numpy {1e3 * own('import numpy'):.0f} ms",
        ),
        at_most(
            "replay run of 50 rows, whole process / python -c 'import numpy, pandas, river'",
            replayed.median,
            1.2,
            str(replayed),
        ),
        Row("replay --help / the same", str(times.ratio("replay --help", STACK))),
    ]
    text = (
        f"Whole processes in turns, {ROUNDS} rounds; the interpreter alone ({1e3 * bare:.0f} ms) "
        "is taken off imports. Names of `online_gmm` are imported when they are first asked for: "
        "what a learner needs is in the lines after the first."
    )
    lengths = {what: 1e3 * times.median(what) for what in times.rounds}
    return Section("Start", rows, text, [Bars("Whole processes", "ms", lengths)])


if __name__ == "__main__":
    tell(run)
