"""How near labels of real series come to their true states, beside other methods, as tables.

python benchmarks/segmentation.py --data DIR [--only tssb ...] [--claspy-series N] [--out FILE.md]

DIR has a folder for each collection (mocap, synthetic, tssb, utsa, skab) with INDEX.csv and a
NAME.csv.gz for each series of it: columns x0, x1, ... and ``state``.

`Segmenter()` has one configuration for all collections. It was searched for on every second series,
from the first one on (the tuned half); the other half stands beside it. Nobody is told how many
states there are, nor the annotators' window, but the batch mixture, which is told the former.

For the other methods, series are divided by the standard deviations of their first 2 W points, and
the period behind W of TSSB and UTSA is that of the first 300. All points count. Each method and its
settings are described above the tables.

- covering, ARI and AMI are means over series. Placed labels change where a change was told to have
  begun; those of the second pass are found with the whole series at hand; OnlineHMM's fixed-lag
  label of a point is the smoothed one W/2 points later.
- delay: median over true changes of the points until the label first changed, before the next true
  change came; missed: the share of changes where it did not. Both count from when a label was
  known: those of fixed-lag labels are in truth no earlier than the causal ones', and ClaSP's are
  those of its reports, not of the places that these name.
- changes: changes found over true ones, in all series together. Who changes often misses little.
- points/s: points of all series over seconds of processor time on one thread, features and labels
  together.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import segmentation_methods as methods
from benchmarks.segmentation_measures import Delays, changes, covering, delays
from benchmarks.segmentation_methods import (
    CAUSAL,
    CLASP,
    METHODS,
    OURS,
    PLACED,
    POINT_BY_POINT,
    SECOND,
    SETTINGS,
    Series,
)
from online_gmm import _kernel

FASTER = {
    OURS: (100.0, "the series as one array (label_then_learn_many)"),
    POINT_BY_POINT: (40.0, "a dict at a time (predict_one, learn_one)"),
}
"""How many times as fast as claspy each way should be."""
CLASP_SERIES = 4
HALVES: dict[str, Callable[[int], bool]] = {
    "tuned half": lambda place: place % 2 == 0,
    "other half": lambda place: place % 2 == 1,
    "all": lambda place: True,
}


class Result(NamedTuple):
    """What a method made of a series."""

    method: str
    label: str  # causal, fixed-lag, ...
    place: int
    n: int
    covering: float
    ari: float
    ami: float
    found: int
    true: int
    delays: Delays | None
    seconds: float


def judge(series: Series, method: str, answers: methods.Answers) -> Iterable[Result]:
    """The measures of all that a method has to say."""
    states = series.states
    for label, found in answers.items():
        yield Result(
            method,
            label,
            series.place,
            len(series),
            covering(states, found.labels),
            float(adjusted_rand_score(states, found.labels)),
            float(adjusted_mutual_info_score(states, found.labels)),
            len(changes(found.labels)),
            len(changes(states)),
            None if found.known is None else delays(states, found.known),
            found.seconds,
        )


def rate(results: list[Result]) -> float:
    """Points per second; infinite for what takes no time."""
    seconds = sum(r.seconds for r in results)
    return sum(r.n for r in results) / seconds if seconds else math.inf


def cells(results: list[Result]) -> list[str]:
    """A row of the table, from the number of series on."""
    row = [str(len(results))]
    row += [f"{np.mean([getattr(r, m) for r in results]):.3f}" for m in ("covering", "ari", "ami")]
    known = [r.delays for r in results if r.delays is not None]
    if known:
        noticed = [points for one in known for points in one.noticed]
        missed = sum(one.missed for one in known) / max(1, sum(r.true for r in results))
        row += [f"{np.median(noticed):.0f}" if noticed else "-", f"{missed:.0%}"]
    else:
        row += ["-", "-"]
    row.append(f"{sum(r.found for r in results) / max(1, sum(r.true for r in results)):.2f}")
    speed = rate(results)
    return [*row, f"{speed:,.0f}" if math.isfinite(speed) else "-"]


TEXT = ["method", "labels", "series"]
NUMBERS = ["n", "covering", "ARI", "AMI", "delay", "missed", "changes", "points/s"]


def table(results: list[Result]) -> list[str]:
    """Markdown, a row for each method, kind of label and half."""
    lines = [
        f"| {' | '.join(TEXT + NUMBERS)} |",
        "|" + "---|" * len(TEXT) + "---:|" * len(NUMBERS),
    ]
    for method, label in dict.fromkeys((r.method, r.label) for r in results):
        for half, within in HALVES.items():
            rows = [r for r in results if (r.method, r.label) == (method, label)]
            rows = [r for r in rows if within(r.place)]
            if rows:
                lines.append(f"| {' | '.join([method, label or '-', half, *cells(rows)])} |")
    return lines


def verdicts(name: str, results: list[Result]) -> list[str]:
    """The goals of a collection, and whether they are reached, half by half."""
    lines = []
    goals = [(PLACED, *goal) for goal in SETTINGS[name].online.items()]
    goals += [(SECOND, *goal) for goal in SETTINGS[name].second.items()]
    for label, measure, least in goals:
        found = []
        for half, within in HALVES.items():
            rows = [r for r in results if (r.method, r.label) == (OURS, label) and within(r.place)]
            if rows:
                value = float(np.mean([getattr(r, measure) for r in rows]))
                found.append(f"{half} {value:.3f} ({'reached' if value >= least else 'short'})")
        if found:
            lines.append(f"- Goal {measure} >= {least}, {label}: {', '.join(found)}.")
    return lines


def throughput(results: list[Result]) -> list[str]:
    """Points per second beside claspy's, on the series that claspy had."""
    theirs = [r for r in results if r.method == CLASP]
    if not theirs:
        return []
    places = {r.place for r in theirs}
    lines = []
    for method, (least, mode) in FASTER.items():
        ours = [r for r in results if (r.method, r.label) == (method, CAUSAL)]
        mine = {r.place for r in ours} & places
        if mine:
            ratio = rate([r for r in ours if r.place in mine])
            ratio /= rate([r for r in theirs if r.place in mine])
            met = "reached" if ratio >= least else "short"
            lines.append(
                f"- Goal >= {least:.0f}x claspy's throughput, {mode}: {ratio:.1f}x on the same "
                f"{len(mine)} series ({met})."
            )
    return lines


def collection(name: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """The part of the report about a collection."""
    setting = SETTINGS[name]
    everything = methods.read(folder, setting)
    results: list[Result] = []
    notes = []
    for method, run in METHODS.items():
        todo = everything
        if method == CLASP:
            if any(series.values.shape[1] > 1 for series in everything):
                notes.append("- claspy's streaming ClaSP takes one channel only.")
                continue
            todo = everything[: options.claspy_series]
            notes.append(f"- ClaSP: on the first {len(todo)} of {len(everything)} series.")
        try:
            # what is imported or compiled at the first call is not timed
            run(min(todo, key=len))
            before = time.perf_counter()
            results += [its for series in todo for its in judge(series, method, run(series))]
        except ModuleNotFoundError as error:
            notes.append(f"- {method} is left out: {error}; `scripts/bench` installs it.")
            continue
        print(f"{name}: {method} {time.perf_counter() - before:.0f} s", file=sys.stderr)
    points = sum(map(len, everything))
    return [
        f"## {name}: {len(everything)} series, {points:,} points\n",
        f"The other methods: {setting.describe()}.\n",
        *table(results),
        "",
        *verdicts(name, results),
        *throughput(results),
        *notes,
        "",
    ]


def about(run: Callable[[Series], methods.Answers]) -> str:
    """What a method does, in its own words."""
    return " ".join((run.__doc__ or "").split()).replace("`", "")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument(
        "--claspy-series",
        type=int,
        metavar="N",
        default=CLASP_SERIES,
        help=f"claspy, which is slow, has the first N series of a collection only ({CLASP_SERIES})",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    lines = [
        f"Kernel: {'compiled' if _kernel.COMPILED else 'interpreted'}. Tuned half: series 1, 3, "
        "5, ... of INDEX.csv; other half: 2, 4, 6, ...\n",
        *(f"- {method}: {about(run)}" for method, run in METHODS.items()),
        "",
    ]
    with threadpool_limits(1):
        for name in options.only:
            lines += collection(name, options.data / name, options)
    text = "\n".join(lines)
    print(text)
    if options.out is not None:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
