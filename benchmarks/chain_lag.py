"""What the statistics of a chain lose where they are smoothed by a fixed lag, and what they cost.

``python -m benchmarks.chain_lag [--points 40000] [--seeds 3]``

Both models begin with the true regimes. One learns by the exact recursion, the other by smoothing
over `LAG` points. The gap is the log-likelihood that the second loses, in nats for each of as many
later points. Times are those of this thread, the shortest of five runs.

"Fitted": all points but the last 100 are fitted together and their statistics then computed under
the parameters of the fit, so that the gap is that of the lag. "Stream": all points but the first
1,000 are learnt as they come. The two models then also take different ways; those of 16 regimes
differ by more than the lag explains, to either side.
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


def learnt(truth: MixtureParameters, X: Matrix, exact: int, fitted: int) -> OnlineHMM:
    """A model that has learnt these rows, the first ones fitted together.

    The recursion is exact up to so many regimes.
    """
    usual, recursion.EXACT = recursion.EXACT, exact
    try:
        model = OnlineHMM(truth.n_components, capacity=0, seed=1)
        model.fit_start(X[:fitted], mixture=truth)
        model.learn_many(X[fitted:])
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
    print(
        "| K | D | stay | gap of levels | fitted: mean, worst | stream: mean, worst "
        "| us, exact, lag |"
    )
    print("|---|---|---|---|---|---|---|")
    for k, d, stay, gap in CASES:
        truth = regimes(k, d, gap)
        lost: dict[int, list[float]] = {n - 100: [], 1000: []}
        costs = []
        for seed in range(seeds):
            X = series(truth, stay, 2 * n, seed)
            for fitted, its in lost.items():
                models = [learnt(truth, X[:n], exact, fitted) for exact in (ALWAYS, 0)]
                densities = [np.asarray(m.log_density_many(X[n:])).mean() for m in models]
                its.append(float(densities[0] - densities[1]))
            costs.append([microseconds(m, X[n : n + 2000]) for m in models])
        exact, lagged = np.min(costs, axis=0)
        cells = [f"{np.mean(its):.1e}, {max(its):.1e}" for its in lost.values()]
        met = "met" if max(lost[n - 100]) <= LIMIT else "missed"
        print(
            f"| {k} | {d} | {stay} | {gap} | {cells[0]} (<= {LIMIT:g}: {met}) | {cells[1]} "
            f"| {exact:.2f}, {lagged:.2f} |"
        )


if __name__ == "__main__":
    main()
