"""OnlineHMM beside the truth, batch Baum-Welch and Cappe (2011), as markdown tables.

python benchmarks/regimes.py [--quick]

Three regimes at -2.27, 0 and 2.27 with unit variance, each left with probability .02 a point; the
held-out series goes on from what holds in the long run, and labels are matched to the truth once.
Then Cappe's example with two states.
"""

from __future__ import annotations

import argparse
import sys
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from online_gmm import MixtureParameters, OnlineHMM, _kernel
from online_gmm.data.frames import flat
from online_gmm.em.mixture import from_kernel, to_kernel

Matrix = NDArray[np.float64]

STAY = 0.98
MEANS = np.array([-2.27, 0.0, 2.27])
TRANSITION = np.full((3, 3), (1.0 - STAY) / 2) + (STAY - (1.0 - STAY) / 2) * np.eye(3)
PUBLISHED = {8000: "0.928 (0.022), 0.942 (0.079)", 32_000: "0.949 (0.005), 0.992 (0.031)"}


def path(n: int, transition: Matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    """Where a chain is that starts anywhere."""
    levels = np.cumsum(transition, axis=1).tolist()
    where = int(rng.integers(len(transition)))
    states = np.empty(n, dtype=np.int64)
    for i, u in enumerate(rng.random(n).tolist()):
        states[i] = where
        where = min(int(np.searchsorted(levels[where], u)), len(levels) - 1)
    return states


def filtered(X: Matrix, transition: Matrix, mixture: MixtureParameters) -> tuple[Matrix, Matrix]:
    """Probabilities and log densities of a series that starts where chains are in the long run."""
    k, n = len(transition), len(X)
    components = to_kernel(mixture, "full", 0.0, np.ones(1), points=0.0)
    chain = _kernel.Chain(components, flat(transition), False, 1.0)
    probabilities, log_density = array("d", bytes(8 * n * k)), array("d", bytes(8 * n))
    none = array("d", [np.inf, np.inf])
    untimed, belief = array("d", [np.nan]) * n, chain.stationary()
    chain.filter(flat(X), n, untimed, none, belief, probabilities, log_density)
    return np.frombuffer(probabilities).reshape(n, k), np.frombuffer(log_density)


def three(seed: int, n: int, warm_up: int) -> tuple[float, float, float, float]:
    """Accuracy, that of the filter that knows; held out, the gaps to batch and to that filter."""
    rng = np.random.default_rng(seed)
    z, held = path(n, TRANSITION, rng), path(n, TRANSITION, rng)
    X, Y = (rng.normal(MEANS[s], 1.0)[:, None] for s in (z, held))
    truth = MixtureParameters(np.ones(3) / 3, MEANS[:, None], np.ones((3, 1, 1)))
    model = OnlineHMM(3, warm_up=warm_up, seed=seed)
    labels = np.empty(n, dtype=np.int64)
    for i, x in enumerate(X[:, 0].tolist()):
        labels[i] = model.predict_one({0: x})
        model.learn_one({0: x})
    # numbers are those of the warm start, which may not have seen all regimes
    number = np.argsort(model.mixture.order_like(truth))
    labels = number[labels]
    best = filtered(X, TRANSITION, truth)[0].argmax(axis=1)
    peer = GaussianHMM(3, "full", init_params="", n_iter=200, tol=1e-2, covars_prior=0.0)
    peer.startprob_, peer.transmat_ = np.ones(3) / 3, TRANSITION
    peer.means_, peer.covars_ = MEANS[:, None], np.ones((3, 1, 1))
    peer.fit(X)
    batch = MixtureParameters(np.ones(3) / 3, peer.means_, peer.covars_)
    ours = filtered(Y, model.transition, model.mixture)
    theirs = filtered(Y, peer.transmat_, batch)[1]
    gone, at = slice(warm_up, None), filtered(Y, TRANSITION, truth)[0].argmax(axis=1)
    return (
        float(np.mean(labels[gone] == z[gone])),
        float(np.mean(best[gone] == z[gone])),
        float(ours[1].mean() - theirs.mean()),
        float(np.mean(number[ours[0].argmax(axis=1)] == held) - np.mean(at == held)),
    )


def cappe(kernel: Any, seed: int, n: int) -> tuple[float, float]:
    """q11 and mu2 averaged from n / 2 on, over steps n^-.6 from the published start."""
    rng = np.random.default_rng(seed)
    z = path(n, np.array([[0.95, 0.05], [0.3, 0.7]]), rng)
    X = rng.normal(np.array([0.0, 1.0])[z], np.sqrt(0.5))[:, None]
    start = MixtureParameters([0.5, 0.5], [[-0.5], [0.5]], np.full((2, 1, 1), 2.0))
    stream = kernel.ChainStream(
        kernel.Chain(
            to_kernel(start, "tied", 0.0, np.ones(1), points=0.0),
            array("d", [0.7, 0.3, 0.5, 0.5]),
            False,
            1.0,
        ),
        array("d", bytes(32)),
        False,
        1,
        (1.0, 0.6, 0.0, 0.0, False, False),
        array("d", [np.inf, np.inf]),
        0,
        0,
    )
    nothing = array("d", [np.nan]) * 20
    stream.accumulate(flat(X[:20]), 0, 20, nothing)
    stream.begin(flat(X[:20]), 20, nothing, nothing)
    stream.put_off(-1)
    rows = flat(X)
    total, count, done = np.zeros(2), 0, 20
    while done < n:
        to = max(n // 2, done) + 1 if done < n // 2 else min(done + 4, n)
        stream.learn(rows, done, to, None)
        done = to
        if done > n // 2:
            total += stream.transition[0], from_kernel(stream.components).means[1, 0]
            count += 1
    return float(total[0] / count), float(total[1] / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, seeds = (10_000, 2) if quick else (100_000, 12)
    for warm_up in (200, 1000):
        regimes(n, seeds, warm_up)
    examples(quick)


def regimes(n: int, seeds: int, warm_up: int) -> None:
    """Print the table of three regimes, accuracy from the warm start on."""
    rows = np.array([three(seed, n, warm_up) for seed in range(seeds)])
    print(f"\nThree regimes, n = {n:,}, warm-up {warm_up}\n")
    print("| seed | accuracy | filter that knows | difference | held-out, nats | accuracy there |")
    print("|---|---|---|---|---|---|")
    for seed, (ours, best, gap, later) in enumerate(rows):
        print(
            f"| {seed} | {ours:.4f} | {best:.4f} | {ours - best:+.4f} | {gap:+.1e} | {later:+.4f} |"
        )
    columns = [rows[:, 0], rows[:, 1], rows[:, 0] - rows[:, 1], rows[:, 2], rows[:, 3]]
    cells = (f"{c.mean():.2e} ± {c.std(ddof=1) / np.sqrt(seeds):.0e}" for c in columns)
    print(f"| mean | {' | '.join(cells)} |")


def examples(quick: bool) -> None:
    """Print the table of Cappe's example."""
    print(
        "\nCappe's two states: q11 and mu2, mean (sd)\n\n| n | found | published |\n|---|---|---|"
    )
    for m in (8000,) if quick else (8000, 32_000):
        found = np.array([cappe(_kernel, seed, m) for seed in range(5 if quick else 100)])
        mean, sd = found.mean(axis=0), found.std(axis=0, ddof=1)
        print(
            f"| {m} | {mean[0]:.3f} ({sd[0]:.3f}), {mean[1]:.3f} ({sd[1]:.3f}) | {PUBLISHED[m]} |"
        )


if __name__ == "__main__":
    main()
