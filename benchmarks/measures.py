"""What is measured on one draw of a stream: the jobs that `efficiency.py` hands out.

Each draws, fits the reference once, and judges all learners against it.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from online_gmm import Constant, HalfLife, MixtureParameters, OnlineGMM, PowerDecay
from online_gmm.em import batch
from online_gmm.em.mixture import from_kernel
from online_gmm.em.prior import Prior

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.problems import PROBLEMS, Matrix, Problem, batch_fit, emit
from tests import naive

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    **{f"exponent {a}": {"step_size": PowerDecay(a)} for a in (0.6, 0.65, 0.75, 0.8)},
    **{f"capacity {c}": {"capacity": c} for c in (0, 400, 800, 3200, 6400)},
    **{f"warm_up {w}": {"warm_up": w} for w in (800, 3200)},
    "exponent 0.65, capacity 6400": {"step_size": PowerDecay(0.65), "capacity": 6400},
}
SHARDS = 4
MISSING = 0.3


class Result(NamedTuple):
    """A learner judged on one draw: KL from the truth, the reference's, and more.

    ``agreement`` is the adjusted Rand index with the reference's labels, NaN where not asked for,
    and ``lost`` whether a component has been lost that the reference has.
    """

    problem: str
    dwell: int
    n: int
    seed: int
    learner: str
    divergence: float
    reference: float
    agreement: float
    lost: bool


@dataclasses.dataclass
class Judge:
    """One draw's reference, against which mixtures are judged."""

    problem: Problem
    dwell: int
    seed: int
    X: Matrix
    reference: MixtureParameters

    def __post_init__(self) -> None:
        self._labels = self.reference.predict(self.X)
        self._divergence = self.problem.divergence(self.reference)
        self._lost = self.problem.has_lost(self.reference)

    def __call__(self, learner: str, mixture: MixtureParameters, agree: bool = True) -> Result:
        agreement = np.nan
        if agree:
            agreement = float(adjusted_rand_score(self._labels, mixture.predict(self.X)))
        return Result(
            self.problem.name,
            self.dwell,
            len(self.X),
            self.seed,
            learner,
            self.problem.divergence(mixture),
            self._divergence,
            agreement,
            self.problem.has_lost(mixture) and not self._lost,
        )


def polished(model: OnlineGMM, X: Matrix | None = None) -> MixtureParameters:
    """What a model would say after polishing; it is left as it is."""
    return copy.deepcopy(model).polish(X).mixture


def last_iterate(model: OnlineGMM) -> MixtureParameters:
    """Where the stream is, in place of its average."""
    assert model._stream is not None
    return from_kernel(model._stream.iterate_components)


def learnt(problem: Problem, X: Matrix, seed: int, **settings: Any) -> OnlineGMM:
    """A model that has learnt these points."""
    model = OnlineGMM(problem.truth.n_components, seed=seed, **settings)
    model.learn_many(X)
    return model


def judge_ways(judge: Judge, model: OnlineGMM) -> Iterator[Result]:
    """The model as it is, and all that can be made of it."""
    yield judge("default", model.mixture)
    yield judge("polish()", polished(model))
    yield judge("polish(X)", polished(model, judge.X))
    yield judge("last iterate", last_iterate(model))


def efficiency(name: str, seed: int, sizes: tuple[int, ...]) -> list[Result]:
    """One pass over independent points, judged on the way; at the end, shards and variants too."""
    problem = PROBLEMS[name]
    X, _ = problem.draw(max(sizes), seed)
    model = OnlineGMM(problem.truth.n_components, seed=seed)
    results: list[Result] = []
    done = 0
    for n in sizes:
        model.learn_many(X[done:n])
        done = n
        judge = Judge(problem, 1, seed, X[:n], batch_fit(X[:n], problem.truth))
        results += judge_ways(judge, model)
    shards = [learnt(problem, rows, seed * SHARDS + i) for i, rows in parts(X)]
    merged = copy.deepcopy(shards[0])
    for shard in shards[1:]:
        merged.merge(shard)
    results.append(judge("merged", merged.mixture))
    results.append(judge("merged, polish()", polished(merged)))
    for variant, settings in VARIANTS.items():
        model = learnt(problem, X, seed, **settings)
        results.append(judge(f"variant {variant}", model.mixture, agree=False))
        if model.capacity:
            after = judge(f"variant {variant}, polish()", polished(model), agree=False)
            results.append(after)
    return results


def parts(X: Matrix) -> Iterator[tuple[int, Matrix]]:
    """The rows in shards, numbered."""
    yield from enumerate(np.array_split(X, SHARDS))


def regimes(name: str, seed: int, n: int, dwell: int) -> list[Result]:
    """One pass over points that stay in a regime for a while; with and without refits."""
    problem = PROBLEMS[name]
    X, _ = problem.draw(n, seed, dwell)
    judge = Judge(problem, dwell, seed, X, batch_fit(X, problem.truth))
    plain = learnt(problem, X, seed, capacity=0)
    return [judge("capacity=0", plain.mixture), *judge_ways(judge, learnt(problem, X, seed))]


def missing(name: str, seed: int, n: int, naive_steps: int) -> list[Result]:
    """One pass over points with values missing at random, beside batch EM on the same."""
    problem = PROBLEMS[name]
    X, _ = problem.draw(n, seed)
    X[np.random.default_rng(seed).random(X.shape) < MISSING] = np.nan
    truth = problem.truth
    prior = Prior.of(X, truth.n_components, 1e-3)
    if naive_steps:
        rows = X[~np.isnan(X).all(axis=1)]
        parameters = truth.weights, truth.means, truth.covariances
        reference = MixtureParameters(
            *naive.em(rows, *parameters, 1e-3, prior.variances, "full", naive_steps)
        )
    else:
        reference = batch_fit(X, truth)
    judge = Judge(problem, 1, seed, X, reference)
    same = batch.fit(X, truth, prior, tol=0.0, max_iter=naive_steps or 1).mixture
    results = [judge("batch, as many steps", same)] if naive_steps else []
    return [*results, *judge_ways(judge, learnt(problem, X, seed))]


# -- drift ------------------------------------------------------------------------------------

DRIFT = 10_000
"""Points, or seconds where they have times, in which the means move by one standard deviation."""
BUSY, QUIET, SPELL = 0.1, 1.9, 5000
"""Mean seconds between points in busy and quiet spells, and the points of a spell."""
STEPS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
HALF_LIVES = (100, 200, 400, 800)

REGULAR: dict[str, dict[str, Any]] = {
    "PowerDecay()": {},
    "PowerDecay(floor=0.002)": {"step_size": PowerDecay(floor=0.002)},
    "the same, average=True": {"step_size": PowerDecay(floor=0.002), "average": True},
    **{f"Constant({g})": {"step_size": Constant(g)} for g in STEPS},
    **{f"HalfLife(points={h})": {"step_size": HalfLife(points=h)} for h in HALF_LIVES},
}
IRREGULAR: dict[str, dict[str, Any]] = {
    **{f"Constant({g})": {"step_size": Constant(g)} for g in STEPS},
    **{f"HalfLife(points={h})": {"step_size": HalfLife(points=h)} for h in HALF_LIVES},
    **{f"HalfLife(seconds={h})": {"step_size": HalfLife(seconds=h)} for h in HALF_LIVES},
}


class Tracking(NamedTuple):
    """How well a learner followed, over the second half of the stream.

    ``error`` is the RMS error of the means in standard deviations, and ``accuracy`` the share of
    points that were labelled right before they were learnt.
    """

    irregular: bool
    seed: int
    learner: str
    error: float
    accuracy: float
    best_accuracy: float


def drift(seed: int, n: int, irregular: bool, learner: str) -> Tracking:
    """Problem B, all of whose means move along the first feature by one pooled sd every `DRIFT`.

    Shapes and overlap stay. With ``irregular`` points come in busy and quiet spells, and means move
    with time.
    """
    truth = PROBLEMS["B"].truth
    rng = np.random.default_rng([seed, 3])
    gaps = np.ones(n)
    if irregular:
        busy = np.arange(n) // SPELL % 2 == 0
        gaps = rng.exponential(np.where(busy, BUSY, QUIET))
    times = np.cumsum(gaps)
    labels = rng.choice(truth.n_components, size=n, p=truth.weights)
    X = emit(truth, labels, rng)
    moved = times / DRIFT * np.sqrt(truth.weights @ truth.covariances[:, 0, 0])
    X[:, 0] += moved
    model = OnlineGMM(
        truth.n_components, seed=seed, **(IRREGULAR if irregular else REGULAR)[learner]
    )
    half = n // 2
    sd = np.sqrt(np.diagonal(truth.covariances, axis1=1, axis2=2))
    order: NDArray[np.intp] | None = None
    squares, guesses = [], np.zeros(n - half, dtype=int)
    for i, row in enumerate(X.tolist()):
        x = dict(enumerate(row))
        if i >= half:
            guesses[i - half] = model.predict_one(x)
        model.learn_one(x, t=times[i] if irregular else None)
        if order is None and len(model.labels) == truth.n_components:
            # the numbers given then are to last
            order = model.mixture.order_like(truth)
        if i >= half and i % 200 == 0:
            means = model.mixture.means[order] - [moved[i], 0.0]
            squares.append(np.mean(((means - truth.means) / sd) ** 2))
    assert order is not None
    X[:, 0] -= moved
    best = truth.predict(X[half:])
    right = labels[half:]
    return Tracking(
        irregular,
        seed,
        learner,
        float(np.sqrt(np.mean(squares))),
        float(np.mean(order[right] == guesses)),
        float(np.mean(best == right)),
    )


# -- a published simulation -------------------------------------------------------------------


class Fit(NamedTuple):
    """Total log-likelihood of a draw in nats, that of the truth, and ARI with the true classes."""

    seed: int
    learner: str
    log_likelihood: float
    truth: float
    agreement: float


def iris_truth() -> MixtureParameters:
    """A Gaussian of each of the three classes of Iris."""
    X, y = load_iris(return_X_y=True)
    classes = [X[y == k] for k in range(3)]
    means = [rows.mean(axis=0) for rows in classes]
    return MixtureParameters([1 / 3] * 3, means, [np.cov(rows.T) for rows in classes])


def random_labels_start(X: Matrix, rng: np.random.Generator) -> MixtureParameters:
    """The M-step of labels that say nothing, as Nguyen, Forbes & McLachlan start."""
    z = rng.integers(3, size=len(X))
    classes = [X[z == k] for k in range(3)]
    covariances = [np.cov(rows.T, bias=True) for rows in classes]
    return MixtureParameters(
        [len(rows) / len(X) for rows in classes],
        [rows.mean(axis=0) for rows in classes],
        covariances,
    )


def mini_batch_em(
    X: Matrix, start: MixtureParameters, size: int, epochs: int, rng: np.random.Generator
) -> tuple[MixtureParameters, MixtureParameters]:
    """Their algorithm, written anew: steps N^-0.6. The last parameters, and their mean from 0."""
    mixture = start
    statistics: list[Matrix] = []
    steps = epochs * len(X) // size
    total = [np.zeros_like(v) for v in (start.weights, start.means, start.covariances)]
    for i in range(1, steps + 1):
        rows = X[rng.integers(len(X), size=size)]
        shares = mixture.predict_proba(rows) / size
        new = [shares.sum(axis=0), shares.T @ rows, np.einsum("nk,ni,nj->kij", shares, rows, rows)]
        gain = i**-0.6
        old = statistics or new
        statistics = [(1.0 - gain) * a + gain * b for a, b in zip(old, new, strict=True)]
        s0, s1, s2 = statistics
        means = s1 / s0[:, None]
        covariances = s2 / s0[:, None, None] - means[:, :, None] * means[:, None, :]
        mixture = MixtureParameters(s0 / s0.sum(), means, covariances)
        for kept, value in zip(total, (mixture.weights, means, covariances), strict=True):
            kept += value / steps
    return mixture, MixtureParameters(*total)


def iris(seed: int, n: int) -> list[Fit]:
    """A draw of Nguyen, Forbes & McLachlan's Iris simulation, fitted their way and ours."""
    truth = iris_truth()
    X, classes = truth.sample(n, seed)
    rng = np.random.default_rng(seed)
    reached = float(truth.score_samples(X).sum())

    def fit(learner: str, mixture: MixtureParameters) -> Fit:
        agreement = float(adjusted_rand_score(classes, mixture.predict(X)))
        return Fit(seed, learner, float(mixture.score_samples(X).sum()), reached, agreement)

    last, mean = mini_batch_em(X, random_labels_start(X, rng), n // 100, 10, rng)
    model = OnlineGMM(3, seed=seed)
    model.learn_many(X)
    return [
        fit("their algorithm, run here", last),
        fit("averaged from 0, run here", mean),
        fit("OnlineGMM, one pass", model.mixture),
        fit("OnlineGMM, polish()", polished(model)),
        fit("OnlineGMM, polish(X)", polished(model, X)),
        fit("batch EM from the truth", batch_fit(X, truth, tol=1e-4)),
        fit("the truth", truth),
    ]
