"""Regimes beside the truth: labels given at once and some rows later, against a column of states.

python examples/beside_truth.py FILE.csv --state COLUMN [--value COLUMN ...] [--same A,B,...]
    [--time COLUMN] [--regimes K|auto] [--warm-up ROWS] [--lag ROWS] [--plot OUT.png]

A hidden Markov model reads the rows in turn and never sees the states. Each regime is matched with
one state, so that most rows agree. Printed are the table of states by regimes, the share of rows
that agree, adjusted Rand index and adjusted mutual information, and how many rows after each change
of state the first row bears the new label.

For the log of a run with stages WU, 1, 1R, 2, 2R, 3, 3R, 4 and CD, where all fast stages are run
alike and so are the slow ones, with a row every five seconds:

    python examples/beside_truth.py run.csv --state Stage --value Pace --same 1,2,3,4 \\
        --same WU,1R,2R,3R,CD --warm-up 120 --lag 6 --plot run.png

Columns need no scaling: covariances are full. A column that never changes is better left out.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from online_gmm import OnlineHMM
from replay.checks.agreement import adjusted_rand

Labels = NDArray[np.int64]


class Beside(NamedTuple):
    """Labels beside the true states, both from 0.

    ``table`` has rows by state and label, ``matched`` the label of each state (-1 without), and
    ``delays`` for each change of state its row and the rows until its label came (None if it did
    not before the next change).
    """

    table: NDArray[np.int64]
    matched: Labels
    accuracy: float
    rand: float
    mutual: float | None
    delays: list[tuple[int, int | None]]


def labelled(frame: pd.DataFrame, model: OnlineHMM) -> tuple[Labels, Labels]:
    """Labels of the rows, given at once and ``lag`` rows later; the warm-up's as a whole."""
    rows = frame.to_dict("records")
    model.fit_start(frame[: model.warm_up])
    at_once = np.asarray(model.decode_many(frame[: model.warm_up])).tolist()
    later = at_once[:]
    for row in rows[model.warm_up :]:
        at_once.append(model.predict_one(row))
        model.learn_one(row)
        known = model.smoothed
        if len(at_once) - len(later) > model.lag and known is not None:
            later.append(known.label)
    for back in reversed(range(len(at_once) - len(later))):
        known = model.look_back(back)
        assert known is not None
        later.append(known.label)
    return np.array(at_once), np.array(later)


def beside(states: Labels, labels: Labels) -> Beside:
    """How far labels agree with states, whatever their numbers are."""
    table = np.zeros((states.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (states, labels), 1)
    chosen = linear_sum_assignment(table, maximize=True)
    matched = np.full(len(table), -1)
    matched[chosen[0]] = chosen[1]
    try:
        from sklearn.metrics import adjusted_mutual_info_score

        mutual = float(adjusted_mutual_info_score(states, labels))
    except ImportError:
        mutual = None
    starts = np.flatnonzero(np.diff(states)) + 1
    delays: list[tuple[int, int | None]] = []
    for start, end in zip(starts, [*starts[1:], len(states)], strict=True):
        there = np.flatnonzero(labels[start:end] == matched[states[start]])
        delays.append((int(start), int(there[0]) if there.size else None))
    accuracy = float(table[chosen].sum() / len(states))
    return Beside(table, matched, accuracy, adjusted_rand(states, labels), mutual, delays)


def show(names: Sequence[str], states: Labels, labellings: dict[str, Labels]) -> None:
    found = {name: beside(states, labels) for name, labels in labellings.items()}
    for name, result in found.items():
        width = max(len("state"), *map(len, names)) + 2
        print(f"\n{name}: rows by state and regime")
        print(f"{'state':{width}}" + "".join(f"{k:>8}" for k in range(result.table.shape[1])))
        for i, counts in enumerate(result.table):
            match = f"   regime {result.matched[i]}" if result.matched[i] >= 0 else "   no regime"
            print(f"{names[i]:{width}}" + "".join(f"{count:>8}" for count in counts) + match)
    print(f"\n{'':16}{'accuracy':>10}{'adj. Rand':>11}{'adj. mutual':>13}{'segments':>10}")
    for name, result in found.items():
        mutual = "-" if result.mutual is None else f"{result.mutual:.3f}"
        segments = np.count_nonzero(np.diff(labellings[name])) + 1
        print(f"{name:16}{result.accuracy:>10.3f}{result.rand:>11.3f}{mutual:>13}{segments:>10}")
    print(f"{'truth':16}{'':34}{np.count_nonzero(np.diff(states)) + 1:>10}")
    print(f"\n{'change at row':16}{'to state':>12}" + "".join(f"{name:>16}" for name in found))
    for changes in zip(*(result.delays for result in found.values()), strict=True):
        row = changes[0][0]
        cells = ("never" if late is None else f"{late} late" for _, late in changes)
        print(f"{row + 1:<16}{names[states[row]]:>12}" + "".join(f"{cell:>16}" for cell in cells))


def save_plot(
    frame: pd.DataFrame,
    values: Sequence[str],
    names: Sequence[str],
    states: Labels,
    labellings: dict[str, Labels],
    path: Path,
) -> None:
    """The series, and below it strips of the states and of the labels matched to them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    from replay.views.plot import COLOURS, STYLE

    strips = {"truth": states}
    n = len(names)
    for name, labels in labellings.items():
        matched = beside(states, labels).matched
        strips[name] = np.array(
            [np.flatnonzero(matched == k)[0] if k in matched else n + k for k in labels]
        )
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(values) + 1,
            1,
            figsize=(10, 1.6 + 1.8 * len(values)),
            sharex=True,
            height_ratios=[2.0] * len(values) + [1.0],
            layout="constrained",
        )
        for axes, value in zip(panels, values, strict=False):
            axes.plot(np.arange(1, len(frame) + 1), frame[value], color="0.3")
            axes.set_ylabel(value)
        drawn = set()
        for y, strip in enumerate(reversed(strips.values())):
            edges = [0, *(np.flatnonzero(np.diff(strip)) + 1), len(strip)]
            for first, end in itertools.pairwise(edges):
                colour = COLOURS[strip[first] % len(COLOURS)]
                panels[-1].barh(y, end - first, left=first + 0.5, height=0.85, color=colour)
                drawn.add(int(strip[first]))
        panels[-1].set_yticks(range(len(strips)), reversed(strips))
        panels[-1].grid(False)
        panels[-1].set_xlabel("row")
        panels[-1].set_xlim(0.5, len(frame) + 0.5)
        figure.legend(
            [Patch(color=COLOURS[k % len(COLOURS)]) for k in sorted(drawn)],
            [names[k] if k < n else f"regime {k - n}" for k in sorted(drawn)],
            loc="outside lower center",
            ncols=8,
            frameon=False,
        )
        figure.savefig(path, dpi=130)
        plt.close(figure)
    print(f"\npicture: {path}")


def read(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Any:
    """The columns to learn, the true states from 0, and their names."""
    table = pd.read_csv(arguments.file)
    wanted = [arguments.state, *arguments.value]
    wanted += [] if arguments.time is None else [arguments.time]
    for name in wanted:
        if name not in table:
            columns = ", ".join(map(str, table))
            parser.error(f"{arguments.file} has no column {name!r}, only {columns}")
    states = table[arguments.state].astype(str)
    for together in arguments.same:
        ones = together.split(",")
        if missing := [one for one in ones if one not in set(states)]:
            parser.error(f"--same {together}: {missing[0]!r} is no state; there are "
                         f"{', '.join(sorted(set(states)))}")  # fmt: skip
        states = states.where(~states.isin(ones), together)
    values = arguments.value or [
        name for name in table.select_dtypes("number") if name not in wanted
    ]
    if not values:
        parser.error(f"{arguments.file} has no column of numbers to learn; name one with --value")
    frame = table[values]
    if arguments.time is not None:
        times = table[arguments.time]
        if not pd.api.types.is_numeric_dtype(times):
            times = pd.to_datetime(times, utc=True)
        frame = frame.assign(**{arguments.time: times})
    codes, names = pd.factorize(states)
    return frame, list(values), codes.astype(np.int64), list(names)


def main() -> None:
    parser = argparse.ArgumentParser(description="Regimes of a CSV file beside its true states.")
    parser.add_argument("file", metavar="FILE.csv")
    parser.add_argument("--state", required=True, metavar="COLUMN", help="the true states")
    parser.add_argument(
        "--value", action="append", default=[], metavar="COLUMN",
        help="column to learn, repeated for more; all other columns of numbers without",
    )  # fmt: skip
    parser.add_argument(
        "--same", action="append", default=[], metavar="A,B,...", help="states that count as one"
    )
    parser.add_argument("--time", metavar="COLUMN", help="when rows came, if irregularly")
    parser.add_argument("--regimes", metavar="K|auto", help="as many as there are states without")
    parser.add_argument("--warm-up", type=int, default=200, metavar="ROWS")
    parser.add_argument("--lag", type=int, default=10, metavar="ROWS")
    parser.add_argument("--plot", type=Path, metavar="OUT.png")
    arguments = parser.parse_args()
    frame, values, states, names = read(arguments, parser)
    k = arguments.regimes or str(len(names))
    try:
        model = OnlineHMM(
            "auto" if k == "auto" else int(k),
            warm_up=min(arguments.warm_up, len(frame)),
            lag=arguments.lag,
            features=values,
            time=arguments.time,
            seed=1,
        )
        at_once, later = labelled(frame, model)
    except ValueError as error:
        parser.error(str(error))
    labellings = {"at once": at_once, f"{arguments.lag} rows later": later}
    print(f"{len(frame):,} rows, {len(names)} states, {model.mixture.n_components} regimes")
    for regime, stay in enumerate(model.dwell):
        means = ", ".join(f"{name} {mean:.4g}" for name, mean in model.centers[regime].items())
        unit = "seconds" if arguments.time else "rows"
        print(f"   regime {regime}: {means}; stays for {stay:,.1f} {unit}")
    show(names, states, labellings)
    if arguments.plot is not None:
        save_plot(frame, values, names, states, labellings, arguments.plot)


if __name__ == "__main__":
    main()
