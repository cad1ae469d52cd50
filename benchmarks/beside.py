"""Two levels beside a column that plants record as well; and columns without a regime, alone.

python benchmarks/beside.py [--seeds N]

The first table has the changes that ``Segmenter()`` tells, on line and in its second pass, of
streams of 5,000 rows in which nothing changes. The second one has a channel of two levels, four
standard deviations apart, with stays of 100 to 300 rows, beside another column: how many changes
are told for each true one, and the adjusted Rand index of the regimes of rows. `replay run` leaves
out columns that never fall unless they are named, such as a meter or a number of rows; a segmenter
learns what it is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sklearn.metrics import adjusted_rand_score

from online_gmm import RegimeChange, Segmenter

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Column = Callable[[np.random.Generator], Matrix]
ROWS = 5000
AT = np.arange(ROWS)


def autoregressive(rng: np.random.Generator, share: float) -> Matrix:
    """What keeps a share of where it was and adds noise."""
    result: Matrix = lfilter([1.0], [1.0, -share], rng.normal(size=ROWS + 500))[500:]
    return result


def clustered(rng: np.random.Generator) -> Matrix:
    """Noise whose spread follows its last values (GARCH(1, 1), Bollerslev 1986)."""
    result, variance = np.zeros(ROWS), 1.0
    for i in range(ROWS):
        result[i] = rng.normal() * np.sqrt(variance)
        variance = 0.1 + 0.1 * result[i] ** 2 + 0.8 * variance
    return result


COLUMNS: dict[str, Column] = {
    "noise": lambda rng: rng.normal(size=ROWS),
    "Student's t, 2 degrees": lambda rng: rng.standard_t(2, ROWS),
    "lognormal": lambda rng: rng.lognormal(0.0, 1.0, ROWS),
    "clustered spread": clustered,
    "counter, an event in 50 rows": lambda rng: rng.poisson(0.02, ROWS).astype(float),
    "counter, an event in 10 rows": lambda rng: rng.poisson(0.1, ROWS).astype(float),
    "zeros and ones": lambda rng: (rng.random(ROWS) < 0.3).astype(float),
    "AR(1), .8": lambda rng: autoregressive(rng, 0.8),
    "AR(1), .95": lambda rng: autoregressive(rng, 0.95),
    "AR(1), .99": lambda rng: autoregressive(rng, 0.99),
    "random walk": lambda rng: np.cumsum(rng.normal(size=ROWS)),
    "wave of 30 rows": lambda rng: np.sin(AT / 30.0 * 2.0 * np.pi) + rng.normal(0.0, 0.3, ROWS),
    "wave of 1,440 rows": lambda rng: np.sin(AT / 1440.0 * 2.0 * np.pi) + rng.normal(0, 0.3, ROWS),
    "angle, 49 rows a turn": lambda rng: (7.3 * AT + rng.normal(0.0, 5.0, ROWS)) % 360.0,
    "hour, 60 rows each": lambda rng: (AT // 60 % 24).astype(float),
    "meter that only rises": lambda rng: np.cumsum(np.abs(rng.normal(size=ROWS))),
}


def learnt(X: Matrix) -> tuple[Segmenter, list[RegimeChange]]:
    """A segmenter that has learnt a stream without options, and the changes that it told."""
    segmenter = Segmenter(features=[f"s{j}" for j in range(X.shape[1])])
    segmenter.learn_many(X)
    return segmenter, [event for event in segmenter.new_events if isinstance(event, RegimeChange)]


def placed(changes: list[RegimeChange], n: int) -> Ints:
    """The regime of each of n rows, from where changes took place on."""
    labels = np.zeros(n, dtype=np.int64)
    for change in changes:
        labels[change.at :] = change.after
    return labels


def alone(column: Column, n_seeds: int) -> str:
    """How many changes are told of a column, on line and in the second pass, in the mean."""
    told = []
    for seed in range(n_seeds):
        X = column(np.random.default_rng([36, seed]))[:, None]
        segmenter, changes = learnt(X)
        told.append((len(changes), np.count_nonzero(np.diff(segmenter.second_pass(X).labels))))
    return " | ".join(f"{mean:.1f}" for mean in np.mean(told, axis=0))


def beside(column: Column, n_seeds: int) -> str:
    """Changes told for each true one and ARI beside levels, on line and in the second pass."""
    n_true, n_told, scores = 0, np.zeros(2), []
    for seed in range(n_seeds):
        rng = np.random.default_rng([37, seed])
        lengths = rng.integers(100, 300, ROWS // 100)
        states = np.repeat(np.arange(len(lengths)) % 2, lengths)[:ROWS]
        X = np.column_stack([rng.normal(4.0 * states), column(rng)])
        segmenter, changes = learnt(X)
        labels = segmenter.second_pass(X).labels
        n_true += np.count_nonzero(np.diff(states))
        n_told += len(changes), np.count_nonzero(np.diff(labels))
        scores.append([adjusted_rand_score(states, its) for its in (placed(changes, ROWS), labels)])
    ratios = n_told / n_true
    means = np.mean(scores, axis=0)
    return f"{ratios[0]:.2f} | {means[0]:.3f} | {ratios[1]:.2f} | {means[1]:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    n_seeds = parser.parse_args().seeds
    print("| column alone | changes told | second pass |\n|---|---:|---:|")
    for name, column in COLUMNS.items():
        print(f"| {name} | {alone(column, n_seeds)} |", flush=True)
    print(
        "\n| beside two levels | told/true | ARI | second pass | ARI |\n|---|---:|---:|---:|---:|"
    )
    for name, column in COLUMNS.items():
        print(f"| {name} | {beside(column, n_seeds)} |", flush=True)


if __name__ == "__main__":
    main()
