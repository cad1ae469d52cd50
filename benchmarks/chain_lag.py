"""What the statistics of a chain lose where they are smoothed by a fixed lag, and what they cost.

``python -m benchmarks.chain_lag [--points 40000] [--seeds 3]``

Both models begin with the true regimes. One learns by the exact recursion, the other by smoothing
over `LAG` points. The gap is the log-likelihood that the second loses, in nats for each of as many
later points. Times are those of this thread, the shortest of five runs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from online_gmm import MixtureParameters, OnlineHMM
from online_gmm._kernel.streams import recursion

CASES = ((5, 1, 5, 3.0), (5, 1, 20, 3.0), (8, 1, 20, 3.0), (8, 2, 20, 4.0), (16, 1, 20, 3.0))
"""K, D, the mean stay in points, and the standard deviations from one level to the next."""
LIMIT = 1e-4
ALWAYS = 99
"""More regimes than any model has."""
Matrix = NDArray[np.float64]


def regimes(k: int, d: int, gap: float) -> MixtureParameters:
    means = gap * np.arange(k)[:, None] * np.ones(d) / np.sqrt(d)
    return MixtureParameters(np.full(k, 1.0 / k), means, np.tile(np.eye(d), (k, 1, 1)))


def series(truth: MixtureParameters, stay: int, n: int, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    k = truth.n_components
    leaves = rng.random(n) < 1.0 / stay
    states = np.cumsum(np.where(leaves, rng.integers(1, k, n), 0)) % k
    X: Matrix = truth.means[states] + rng.normal(size=(n, truth.n_features))
    return X


def learnt(truth: MixtureParameters, X: Matrix, exact: int) -> OnlineHMM:
    """A model that has learnt these rows; the recursion is exact up to so many regimes."""
    usual, recursion.EXACT = recursion.EXACT, exact
    try:
        model = OnlineHMM(truth.n_components, capacity=0, seed=1)
        model.fit_start(X[:1000], mixture=truth)
        model.learn_many(X[1000:])
        return model
    finally:
        recursion.EXACT = usual


def microseconds(model: OnlineHMM, X: Matrix) -> float:
    """Of a point."""
    best = np.inf
    for _ in range(5):
        begin = time.thread_time()
        model.learn_many(X)
        best = min(best, time.thread_time() - begin)
    return 1e6 * best / len(X)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=40_000)
    parser.add_argument("--seeds", type=int, default=3)
    n, seeds = (chosen := parser.parse_args()).points, chosen.seeds
    print(f"lag {recursion.LAG}; {n:,} points are learnt, {seeds} seeds")
    print("| K | D | stay | gap of levels | nats lost, mean | worst | us, exact | us, lag |")
    print("|---|---|---|---|---|---|---|---|")
    for k, d, stay, gap in CASES:
        truth, lost, costs = regimes(k, d, gap), [], []
        for seed in range(seeds):
            X = series(truth, stay, 2 * n, seed)
            models = [learnt(truth, X[:n], exact) for exact in (ALWAYS, 0)]
            densities = [np.asarray(m.log_density_many(X[n:])).mean() for m in models]
            lost.append(float(densities[0] - densities[1]))
            costs.append([microseconds(m, X[n : n + 2000]) for m in models])
        exact, lagged = np.min(costs, axis=0)
        worst = max(lost)
        print(
            f"| {k} | {d} | {stay} | {gap} | {np.mean(lost):.1e} | {worst:.1e} "
            f"{'' if worst <= LIMIT else '(above 1e-4) '}| {exact:.2f} | {lagged:.2f} |"
        )


if __name__ == "__main__":
    main()
