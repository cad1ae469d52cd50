"""Starts of EM: many are tried for a few steps, and the worse half is dropped again and again."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means, flat, view
from online_gmm.em.batch import BatchEM
from online_gmm.em.mixture import COVARIANCE_TYPES, MixtureParameters, is_dense
from online_gmm.em.prior import LEAST_VARIANCE, Prior
from online_gmm.em.slices import SLICE, Meter, Sliced, pass_cost

ROUNDS = (3, 5, 12)
"""EM steps of each start, of those left after the first round, and of those left after the second.

Starts of a kind compete among themselves: k-means leads at first, also where it misleads.
"""
PATIENT = (20,)
"""The same where no start is dropped: of few rows, the best start may be late."""
LEAST_GAIN = 1e-4
"""Nats a row: a start that gains less by a step is at its end."""
LLOYD = 10
"""The most iterations of k-means."""
WORK = 5e8
"""Multiplications that the starts together, and each longer run, may take.

A row takes K D^2 of them, one with missing values K D^3. Fewer starts and steps are made where they
would take more.
"""
FEW = 8
"""Components that single draws of k-means++ find well."""
K_MEANS, RANDOM, CURRENT = "k-means++", "random", "current"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One start that was tried.

    Parameters
    ----------
    method : str
        How the start was made: ``k-means++``, ``random`` or ``current``.
    penalised : float
        The mean penalised log-likelihood when it was dropped or chosen, in nats a point, under the
        firm prior.
    """

    method: str
    penalised: float


class Started(NamedTuple):
    """What became of starts.

    Parameters
    ----------
    candidates : tuple of Candidate
        All of them, in order.
    mixture : MixtureParameters
        Where the best one has led.
    method : str
        How that was made.
    """

    candidates: tuple[Candidate, ...]
    mixture: MixtureParameters
    method: str


def affordable(
    X: NDArray[np.float64], k: int, covariance_type: str, steps: int, work: float = WORK
) -> int:
    """So many EM steps on these rows, or as many as ``work`` allows; at least three."""
    d = X.shape[1]
    cost = float(X.size * k)
    if is_dense(covariance_type):
        cost = float(k * len(X)) * d**3
        if work / cost < steps:
            n_missing = int(np.isnan(X).any(axis=1).sum())
            cost = k * ((len(X) - n_missing) * d**2 + float(n_missing) * d**3)
    return max(3, min(steps, int(work / cost)))


def best_start(
    X: NDArray[np.float64],
    k: int,
    firm: Prior,
    features: tuple[Hashable, ...],
    covariance_type: str,
    n_init: int,
    rng: np.random.Generator,
    meter: Meter,
    current: MixtureParameters | None = None,
    rounds: tuple[int, ...] = ROUNDS,
    needed: float = -math.inf,
) -> Sliced[Started]:
    """Try starts; return what became of each, and where the best one has led.

    Half of the starts are k-means++ followed by k-means, half are random rows with the data's
    variance around each. Of more than `FEW` components every other k-means++ draws several rows for
    a centre. k-means is misled by long shapes, random rows by unequal sizes. After a few EM steps
    the worse half of each kind is dropped, and the others go on, but not those whose log-likelihood
    would have to rise as fast as in the last steps to come to what is ``needed``, in nats a row.
    """
    dense = is_dense(covariance_type)
    cost = pass_cost(len(X), k, X.shape[1], dense)
    steps = sum(rounds)
    most = affordable(X, k, covariance_type, steps * max(n_init, 1))
    n_init = min(n_init, max(most // min(steps, most), 1))
    runs: list[tuple[str, BatchEM]] = []
    if current is not None:
        runs.append((CURRENT, BatchEM(current, firm, covariance_type)))
    filled = X if not np.isnan(X).any() else np.where(np.isnan(X), column_means(X), X)
    scaled = _scaled(filled) if n_init > 0 else filled
    starts = _Starts(filled, k, firm, covariance_type)
    for i in range(n_init):
        method = (K_MEANS, RANDOM)[i % 2]
        shares = None
        if method == K_MEANS:
            # starts from the best of several rows find more of many clusters, but are much alike
            trials = 2 + int(math.log(k)) if k > FEW and i % 4 == 0 else 1
            shares = yield from _clustered(scaled, k, trials, rng, meter)
        components = starts.of_rows(rng) if shares is None else starts.of_clusters(shares)
        runs.append((method, BatchEM.of(components, firm, covariance_type, features)))
        if meter.is_full(3.0 * cost):
            yield
    reached = [-math.inf] * len(runs)
    left = list(range(len(runs)))
    for at, more in enumerate(rounds):
        hopeless = set()
        for i in left:
            em, before = runs[i][1], runs[i][1].log_likelihood if at > 0 else -math.inf
            yield from em.climbing(X, min(more, most), LEAST_GAIN, meter, begun=at > 0)
            reached[i] = em.penalised
            rest = sum(rounds[at + 1 :]) * (em.log_likelihood - before) / more
            if em.log_likelihood + rest < needed:
                hopeless.add(i)
        left = [i for i in left if i not in hopeless]
        left.sort(key=lambda i: -reached[i])
        left = [
            i
            for method in (CURRENT, K_MEANS, RANDOM)
            for i in _better_half([i for i in left if runs[i][0] == method])
        ]
        if at == len(rounds) - 1 or len(left) == 1:
            break
    best = max(range(len(runs)), key=reached.__getitem__)
    candidates = tuple(
        Candidate(method, value) for (method, _), value in zip(runs, reached, strict=True)
    )
    return Started(candidates, runs[best][1].mixture, runs[best][0])


def _better_half(ranked: list[int]) -> list[int]:
    return ranked[: (len(ranked) + 1) // 2]


def _clustered(
    scaled: NDArray[np.float64],
    k: int,
    trials: int,
    rng: np.random.Generator,
    meter: Meter,
) -> Sliced[NDArray[np.float64] | None]:
    """Cluster rows by k-means; return their responsibilities, or None if a cluster has no row.

    There may be fewer clusters than k where there are fewer distinct rows.
    """
    (n, d), rows = scaled.shape, view(scaled)
    labels = np.zeros(n, dtype=np.int64)
    clusters = view(labels)
    going = _kernel.draw_clusters(rows, n, d, k, view(rng.random(k * trials)), clusters)
    if meter.is_full(trials * float(n * k * d)):
        yield
    left = LLOYD if going else 0
    while left > 0:
        steps = min(left, max(int(SLICE / (n * k * d)), 1))
        changed = _kernel.move_centers(rows, n, d, k, steps, clusters)
        if changed < 0:
            return None
        left = left - steps if changed else 0
        if meter.is_full(steps * float(n * k * d)):
            yield
    shares = np.eye(k)[labels]
    for j, count in enumerate(np.bincount(labels, minlength=k).tolist()):
        if not count:
            shares[rng.integers(n), j] = 0.5
    return shares


class _Starts:
    """Makes components to begin with.

    Parameters
    ----------
    filled : array of shape (n, D)
        Rows without missing values.
    k : int
        The number of components.
    prior : Prior
        Their prior.
    covariance_type : str
        The shape of covariances.
    """

    def __init__(
        self, filled: NDArray[np.float64], k: int, prior: Prior, covariance_type: str
    ) -> None:
        covariance = prior.covariance if is_dense(covariance_type) else prior.variances
        self._filled, self._k = filled, k
        self._shape = k, filled.shape[1], COVARIANCE_TYPES[covariance_type]
        self._strength, self._floors = prior.strength, flat(prior.floors)
        self._covariance, self._weights = flat(covariance), flat(np.full(k, 1.0 / k))

    def of_clusters(self, shares: NDArray[np.float64]) -> _kernel.Components:
        """Components of rows by their responsibilities, shape (n, K)."""
        components = self._empty()
        components.collect(view(self._filled), len(self._filled), view(shares))
        return components

    def of_rows(self, rng: np.random.Generator) -> _kernel.Components:
        """Components with random rows as means."""
        components, k, n = self._empty(), self._k, len(self._filled)
        means = self._filled[rng.choice(n, size=k, replace=n < k)]
        components.load(self._weights, flat(means), self._covariance * k, 0.0)
        return components

    def _empty(self) -> _kernel.Components:
        components = _kernel.Components(*self._shape, self._strength, self._covariance)
        components.hold_above(self._floors)
        return components


def _scaled(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features with standard deviation 1; k-means measures distances over all of them."""
    sd = X.std(axis=0)
    varies = sd > math.sqrt(LEAST_VARIANCE)
    scaled = np.where(varies, X - X[0], 0.0) / np.where(varies, sd, 1.0)
    # less has no square, and k-means could not tell it from 0
    scaled[np.abs(scaled) < 1e-140] = 0.0
    return np.ascontiguousarray(scaled)
