"""Fifty points, three regimes: from a first EM that fails to one that can be trusted.

python examples/first_series.py [--plot OUT.png]

Walks through four ways to fit a mixture of three Gaussians to the same short series, which stands
still at 44.44571429 for thirteen points, and draws the last one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from online_gmm import OnlineGMM

Array = NDArray[np.float64]

SERIES = Path(__file__).with_name("first_series.csv")
SEEDS = range(30)
COLORS = np.array(["#0072B2", "#E69F00", "#009E73"])  # Okabe & Ito: told apart by all


class Fit(NamedTuple):
    """Means, variances and weights of the components, shape (K,)."""

    means: Array
    variances: Array
    weights: Array

    def sorted(self) -> Fit:
        order = np.argsort(self.means)
        return Fit(*(parameter[order] for parameter in self))


def weighted_densities(x: Array, fit: Fit) -> Array:
    """Weight times density of every component at every point, shape (n, K)."""
    squares = (x[:, None] - fit.means) ** 2 / fit.variances
    return fit.weights * np.exp(-squares / 2) / np.sqrt(2 * np.pi * fit.variances)


def log_likelihood(x: Array, fit: Fit) -> float:
    """Mean over the points, in nats; NaN where a component has no width and so no density."""
    if not fit.variances.all():
        return float("nan")
    return float(np.log(weighted_densities(x, fit).sum(axis=1)).mean())


def first_attempt(x: Array, k: int, seed: int) -> Fit:
    """EM as it is easily got wrong: a reconstruction, with the four mistakes marked."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(x.min(), x.max(), k)  # 1. wherever the dice fall
    variances = np.ones(k)  # 2. whatever the units of the series
    weights = np.full(k, 1 / k)
    for _ in range(200):
        sd = np.sqrt(variances)  # 3. roots where the density wants variances
        density = np.exp(-((x[:, None] - means) ** 2) / (2 * sd)) / np.sqrt(2 * np.pi * sd)
        resp = weights * density
        resp /= resp.sum(axis=0)  # 4. over the points: each component claims one point in all
        means = resp.T @ x / resp.sum(axis=0)
        variances = (resp * (x[:, None] - means) ** 2).sum(axis=0) / resp.sum(axis=0)
        weights = resp.sum(axis=0) / resp.sum()
        if not variances.all():  # one step more divides 0 by 0, and all is NaN
            break
    return Fit(means, variances, weights).sorted()


def textbook_em(
    x: Array, means: Array, variances: Array, weights: Array, floor: float = 1e-6
) -> Fit:
    """The corrected E and M steps. Only the floor keeps a variance from reaching zero."""
    for _ in range(500):
        resp = weighted_densities(x, Fit(means, variances, weights))
        resp /= resp.sum(axis=1, keepdims=True)  # over the components: each point is shared out
        points = resp.sum(axis=0)
        means = resp.T @ x / points
        variances = np.maximum((resp * (x[:, None] - means) ** 2).sum(axis=0) / points, floor)
        weights = points / len(x)
    return Fit(means, variances, weights).sorted()


def random_start(x: Array, k: int, seed: int) -> Fit:
    """k of the points, with variances from the data: its own, shared out as in a grid of k."""
    means = np.random.default_rng(seed).choice(x, k, replace=False)
    return Fit(means, np.full(k, x.var() / k**2), np.full(k, 1 / k))


def k_means_start(x: Array, k: int, tries: int = 12) -> Fit:
    """Means, variances and shares of the tightest of several k-means++ clusterings."""
    runs = [kmeans2(x, k, minit="++", rng=seed) for seed in range(tries)]
    centers, labels = min(runs, key=lambda run: ((x - run[0][run[1]]) ** 2).sum())
    variances = np.array([x[labels == j].var() for j in range(k)])
    return Fit(centers, variances, np.bincount(labels, minlength=k) / len(x))


def project_answer(x: Array, k: int, seed: int = 0, **settings: Any) -> tuple[Fit, Array]:
    """OnlineGMM with the whole series as its warm start, and the regime of each point."""
    model = OnlineGMM(k, seed=seed, **settings).fit_start(x)
    mixture = model.mixture
    fit = Fit(mixture.means.ravel(), mixture.covariances.ravel(), mixture.weights)
    return fit, model.predict_many(x)


def largest_difference(fit: Fit, reference: Fit) -> float:
    """Over all parameters, relative to the reference."""
    return max(float(np.max(np.abs(a / b - 1))) for a, b in zip(fit, reference, strict=True))


def diagnosis(fit: Fit) -> str:
    if not fit.variances.all():
        return "collapsed to no width"
    if np.diff(fit.means).min() < 0.01:
        return "equal components"
    return "too narrow, all of one weight"


def row(x: Array, fit: Fit, digits: int = 4) -> str:
    columns = ("".join(f"{value:9.{digits}f}" for value in parameter) for parameter in fit)
    return " |".join(columns) + f" |{log_likelihood(x, fit):10.5f}"


def heading(title: str, first_column: str = "") -> None:
    columns = " |".join(f"{name:>27}" for name in ("means", "variances", "weights"))
    print(f"\n{title}\n\n{first_column:16}{columns} |{'log-lik.':>10}")


def show_first_attempt(x: Array) -> None:
    heading("1. The first attempt: random means, and an E-step that mixes up its axes", "seed")
    for seed in range(8):
        fit = first_attempt(x, 3, seed)
        print(f"{seed:<16}{row(x, fit)}   {diagnosis(fit)}")


def show_random_starts(x: Array) -> None:
    heading("2. The corrected steps from 100 random starts, no prior", "starts")
    outcomes: dict[float, list[Fit]] = defaultdict(list)
    for seed in range(100):
        fit = textbook_em(x, *random_start(x, 3, seed))
        outcomes[round(log_likelihood(x, fit), 2)].append(fit)
    for _, fits in sorted(outcomes.items(), reverse=True):
        note = "   collapsed onto repeated values" if fits[0].variances.min() < 1e-3 else ""
        print(f"{len(fits):<16}{row(x, fits[0])}{note}")
    collapsed = outcomes[max(outcomes)][0]
    print("\nThe likeliest is the worst: a component without width on the thirteen repeated")
    print("values. The lower the variance may go, the likelier it gets, without end:")
    for floor in (1e-3, 1e-6, 1e-9):
        lower = textbook_em(x, *collapsed._replace(variances=collapsed.variances + floor), floor)
        print(f"   variance floor {floor:.0e}: log-likelihood {log_likelihood(x, lower):8.5f}")


def show_answers(x: Array) -> Fit:
    heading("3. The corrected steps from the k-means start, and this project's answer")
    textbook = textbook_em(x, *k_means_start(x, 3))
    smallest, _ = project_answer(x, 3, prior_strength=0.0)
    default, _ = project_answer(x, 3)
    print(f"{'k-means, EM':16}{row(x, textbook, 5)}")
    for name, fit in (("OnlineGMM, 0", smallest), ("OnlineGMM", default)):
        difference = 100 * largest_difference(fit, textbook)
        print(f"{name:16}{row(x, fit, 5)}   within {difference:.1g} %")
    print('\n"OnlineGMM, 0" is with prior_strength=0, "OnlineGMM" with the default prior.')
    return default


def show_seeds(x: Array, answer: Fit) -> None:
    fits = [project_answer(x, 3, seed)[0] for seed in SEEDS]
    apart = max(largest_difference(fit, answer) for fit in fits)
    narrowest = min(fit.variances.min() for fit in fits)
    print(f"\n4. OnlineGMM with its default settings, seeds {SEEDS[0]} to {SEEDS[-1]}\n")
    print(f"   largest relative difference between seeds: {apart:.0e}")
    print(f"   smallest variance of all:                  {narrowest:.5f}")
    print("\nStarts are compared under a firm prior, where a component without width is unlikely.")


def save_plot(x: Array, fit: Fit, labels: Array, path: Path) -> None:
    """The series as a rug under each component's density, and over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 5.5), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(1, 1.15))
    at = np.linspace(x.min() - 3, x.max() + 3, 3000)
    densities = weighted_densities(at, fit)
    first = None
    for k, color in enumerate(COLORS):
        axes = first = figure.add_subplot(grid[k, 0], sharex=first)
        peak = densities[:, k].max()
        axes.plot(at, densities.sum(axis=1), color="0.6", linewidth=0.8)
        axes.fill_between(at, densities[:, k], color=color, alpha=0.25, linewidth=0)
        axes.plot(at, densities[:, k], color=color)
        # the rug lies below the axis, so that it hides no density
        axes.vlines(x, -0.26 * peak, -0.06 * peak, COLORS[labels], linewidth=1)
        axes.axhline(0, color="0.3", linewidth=0.6)
        # the sum of all may leave the panel: it is the component that has to be legible
        axes.set_ylim(-0.3 * peak, 1.2 * peak)
        axes.set_yticks([0, peak], ["0", f"{peak:.2g}"])
        axes.set_title(
            f"regime {k}: mean {fit.means[k]:.2f}, variance {fit.variances[k]:.3g}, "
            f"weight {fit.weights[k]:.2f}",
            fontsize=10,
            loc="left",
        )
        axes.tick_params(labelbottom=k == 2)
    axes.set_xlabel("value")
    figure.supylabel("weight times density", fontsize=10)

    axes = figure.add_subplot(grid[:, 1])
    axes.plot(x, color="0.75", linewidth=0.8, zorder=1)
    for k, color in enumerate(COLORS):
        chosen = np.flatnonzero(labels == k)
        axes.scatter(chosen, x[chosen], s=26, color=color, marker="osD"[k], label=f"regime {k}")
    axes.set(xlabel="point", ylabel="value")
    axes.set_title("the series over time", fontsize=10, loc="left")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.16, 0.2))
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="A walk through the first series.")
    parser.add_argument("--plot", type=Path, default=Path("first_series.png"), metavar="OUT.png")
    path = parser.parse_args().plot

    x = np.loadtxt(SERIES, skiprows=1)
    print(f"{len(x)} points from {x.min():.2f} to {x.max():.2f}, variance {x.var():.2f}")
    show_first_attempt(x)
    show_random_starts(x)
    answer = show_answers(x)
    show_seeds(x, answer)
    save_plot(x, answer, project_answer(x, 3)[1], path)
    print(f"\nThe series under its densities and over time: {path}")


if __name__ == "__main__":
    main()
