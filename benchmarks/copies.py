"""Whether channels that repeat each other cost regimes.

scripts/bench copies [--seeds N]

Two levels 6 standard deviations apart, stays of 100 rows, in one channel. The other channels are
the first in other units, with noise of their own in standard deviations of the first. Each learner
is told that there are two regimes. The table has the adjusted Rand index of the labels of the
second half, the lowest of all seeds. With one channel it is that of the level alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from online_gmm import OnlineGMM, OnlineHMM

ROWS, STAY, APART = 3000, 100, 6.0
CHANNELS = (1, 2, 3, 5, 10)
NOISE = (0.0, 0.01, 0.1)
LEARNERS = {"OnlineGMM": OnlineGMM, "OnlineHMM": OnlineHMM}


def copies(n: int, noise: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows of n channels that say the same, and the true regime of each row."""
    rng = np.random.default_rng(seed)
    states = np.arange(ROWS) // STAY % 2
    level = rng.normal(APART * states, 1.0)
    units, zeros = np.linspace(1.0, 1.8, n), np.linspace(0.0, 32.0, n)
    own = noise * rng.normal(size=(ROWS, n))
    own[:, 0] = 0.0
    return (level[:, None] + own) * units + zeros, states


def agreement(learner: str, n: int, noise: float, seed: int) -> float:
    X, states = copies(n, noise, seed)
    labels = LEARNERS[learner](2, seed=1).label_then_learn_many(X).labels
    return float(adjusted_rand_score(states[ROWS // 2 :], labels[ROWS // 2 :]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    seeds = range(parser.parse_args().seeds)
    print("| learner | channels | " + " | ".join(f"noise {noise:g}" for noise in NOISE) + " |")
    print("|---|---|" + "---|" * len(NOISE))
    for learner in LEARNERS:
        for n in CHANNELS:
            worst = (min(agreement(learner, n, noise, seed) for seed in seeds) for noise in NOISE)
            print(f"| {learner} | {n} | " + " | ".join(f"{value:.4f}" for value in worst) + " |")


if __name__ == "__main__":
    main()
