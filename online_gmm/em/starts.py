"""Starts of EM: many are tried for a few steps, and the worse half is dropped again and again."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means, flat, view
from online_gmm.em.mixture import (
    COVARIANCE_TYPES,
    MixtureParameters,
    from_kernel,
    is_dense,
    to_kernel,
)
from online_gmm.em.prior import LEAST_VARIANCE, Prior
from online_gmm.em.slices import SLICE, Meter, Sliced, going_on, pass_cost

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
    n, d = X.shape
    cost = pass_cost(n, k, d, dense)
    steps = sum(rounds)
    most = affordable(X, k, covariance_type, steps * max(n_init, 1))
    n_init = min(n_init, max(most // min(steps, most), 1))
    starts = _Starts(X, k, firm, covariance_type)
    runs: list[tuple[str, _kernel.Components]] = []
    if current is not None:
        runs.append((CURRENT, starts.of_mixture(current)))
    for i in range(n_init):
        method, components = (K_MEANS, RANDOM)[i % 2], None
        if method == K_MEANS:
            # starts from the best of several rows find more of many clusters, but are much alike
            trials = 2 + int(math.log(k)) if k > FEW and i % 4 == 0 else 1
            components = yield from starts.clustered(trials, rng, meter)
        runs.append((method, components or starts.of_rows(rng)))
        if meter.is_full(3.0 * cost):
            yield
    reached = [-math.inf] * len(runs)
    # starts that are the same climb together
    own = {id(components): _kernel.Climb(components) for _, components in runs}
    climbs = [own[id(components)] for _, components in runs]
    left, rows = list(range(len(runs))), view(X)
    for at, more in enumerate(rounds):
        before = [climbs[i].mean_log_likelihood if at > 0 else -math.inf for i in left]
        for i in left:
            climbs[i].plan(min(more, most), LEAST_GAIN * n)
        yield from going_on([climbs[i] for i in left], rows, n, k, d, dense, meter)
        hopeful = []
        for i, last in zip(left, before, strict=True):
            reached[i], now = climbs[i].penalised, climbs[i].mean_log_likelihood
            if now + sum(rounds[at + 1 :]) * (now - last) / more >= needed:
                hopeful.append(i)
        hopeful.sort(key=lambda i: -reached[i])
        left = [
            i
            for method in (CURRENT, K_MEANS, RANDOM)
            for i in _better_half([i for i in hopeful if runs[i][0] == method])
        ]
        if at == len(rounds) - 1 or len(left) == 1:
            break
    best = max(range(len(runs)), key=reached.__getitem__)
    candidates = tuple(
        Candidate(method, value) for (method, _), value in zip(runs, reached, strict=True)
    )
    method, components = runs[best]
    return Started(candidates, from_kernel(components, features), method)


def _better_half(ranked: list[int]) -> list[int]:
    return ranked[: (len(ranked) + 1) // 2]


class _Starts:
    """Makes components to begin with.

    Parameters
    ----------
    X : array of shape (n, D)
        Rows, NaN for missing values.
    k : int
        The number of components.
    prior : Prior
        Their prior.
    covariance_type : str
        The shape of covariances.
    """

    def __init__(self, X: NDArray[np.float64], k: int, prior: Prior, covariance_type: str) -> None:
        filled = X if not np.isnan(X).any() else np.where(np.isnan(X), column_means(X), X)
        covariance = prior.covariance if is_dense(covariance_type) else prior.variances
        self._rows, self._scaled = view(filled), view(_scaled(filled))
        self._n, self._d, self._k = len(X), X.shape[1], k
        self._prior, self._covariance_type = prior, covariance_type
        self._shape = k, self._d, COVARIANCE_TYPES[covariance_type]
        self._floors, self._covariance = flat(prior.floors), flat(covariance)
        self._clusters = array("q", bytes(8 * self._n))
        self._made: dict[bytes, _kernel.Components] = {}

    def clustered(
        self, trials: int, rng: np.random.Generator, meter: Meter
    ) -> Sliced[_kernel.Components | None]:
        """Components of the clusters of k-means, or None if one of these came to have no row.

        Where there are fewer distinct rows there are fewer than k clusters from the start; a
        component without any gets half of a random row. Of the same clusters they are the same.
        """
        n, d, k, scaled, clusters = self._n, self._d, self._k, self._scaled, self._clusters
        draws = rng.random(k * trials).data
        going = _kernel.draw_clusters(scaled, n, d, k, draws, clusters)
        if meter.is_full(trials * float(n * k * d)):
            yield
        left = LLOYD if going else 0
        while left > 0:
            steps = min(left, max(int(SLICE / (n * k * d)), 1))
            changed = _kernel.move_centers(scaled, n, d, k, steps, clusters)
            if changed < 0:
                return None
            left = left - steps if changed else 0
            if meter.is_full(steps * float(n * k * d)):
                yield
        found = _kernel.number_in_order(clusters, k)
        lent = array("q", [-1] * k)
        for j in range(found, k):
            lent[j] = int(rng.integers(n))
        key = clusters.tobytes() + lent.tobytes()
        if key not in self._made:
            self._made[key] = self._empty()
            self._made[key].collect_clusters(self._rows, n, clusters, lent)
        return self._made[key]

    def of_rows(self, rng: np.random.Generator) -> _kernel.Components:
        """Components with random rows as means, as wide as the data."""
        components = self._empty()
        places = rng.choice(self._n, size=self._k, replace=self._n < self._k)
        components.stand_on(self._rows, places.data)
        return components

    def of_mixture(self, mixture: MixtureParameters) -> _kernel.Components:
        """The components of a mixture."""
        prior = self._prior
        return to_kernel(
            mixture, self._covariance_type, prior.strength, prior.covariance, 0.0, prior.floors
        )

    def _empty(self) -> _kernel.Components:
        components = _kernel.Components(*self._shape, self._prior.strength, self._covariance)
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
