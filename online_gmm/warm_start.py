"""The first fit: several short EM runs, and the best penalised likelihood wins."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import ClusterError, kmeans2

from online_gmm import batch
from online_gmm.mixture import GaussianMixture, from_kernel, to_kernel
from online_gmm.prior import Prior

FIRM = 0.1
"""Pseudo-points of the prior under which starts are compared.

Under a weak prior a component that shrinks onto a few repeated values has the better likelihood;
under this one it has not (see `examples/first_series.py`). The winner is then fitted under the
prior asked for.
"""
SHORT = 20, 1e-4
"""The most EM steps of a run before the starts are compared, and the least gain (nats a point)."""
LONG = 200, 1e-10
"""The same for the winner."""
AGAIN = 20, 1e-5
"""The same where something was known already, which the stream goes on to refine."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One start that was tried: how it was made, and how likely it became in a short EM run.

    ``penalised`` is the mean penalised log-likelihood in nats a point, under the firm prior.
    """

    method: str
    penalised: float


@dataclass(frozen=True, eq=False)
class WarmStart:
    """The start that was chosen.

    Parameters
    ----------
    mixture
        The parameters, components in their final order.
    prior
        The prior, scaled to the data; it stays with the learner.
    n_points
        Rows it was fitted to.
    method
        ``k-means++`` or ``random``; ``current`` if what was known before has won.
    log_likelihood
        Mean over those rows, in nats.
    candidates
        All starts tried, in order.
    """

    mixture: GaussianMixture
    prior: Prior
    n_points: int
    method: str
    log_likelihood: float
    candidates: tuple[Candidate, ...]


def warm_start(
    X: NDArray[np.float64],
    n_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    n_starts: int = 12,
    order_by: Hashable | None = None,
    seed: int | None = None,
    current: GaussianMixture | None = None,
) -> WarmStart:
    """Fit a mixture to points: the first of a stream, or those kept of it later.

    Half of the starts are k-means++ followed by k-means, half are random points with the data's
    variance around each: k-means is misled by long shapes, random points by unequal sizes.

    Parameters
    ----------
    X
        Rows, shape (n, D), NaN for what is missing, at least one row.
    n_components
        K. More components than distinct rows are allowed; those left over share a row.
    features
        The names of the D features.
    covariance_type, prior_strength, n_starts, order_by, seed
        As of `OnlineGMM`.
    current
        What is known already: one more start, whose numbers the components keep.

    Notes
    -----
    O(n_starts * 20 * n K D^2), then at most 200 steps of O(n K D^2).
    """
    rng = np.random.default_rng(seed)
    prior = Prior.of(X, n_components, prior_strength)
    firm = prior.with_strength(max(FIRM, prior_strength))
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)

    starts: list[tuple[str, GaussianMixture]] = [] if current is None else [("current", current)]
    for i in range(n_starts):
        name, make = [("k-means++", _k_means_start), ("random", _random_start)][i % 2]
        starts.append((name, make(filled, n_components, firm, features, rng)))
    runs = []
    for _, start in starts:
        em = batch.BatchEM(start, firm, covariance_type)
        em.climb(X, *SHORT)
        runs.append(em)
    candidates = tuple(
        Candidate(name, em.penalised) for (name, _), em in zip(starts, runs, strict=True)
    )
    best = max(range(len(runs)), key=lambda i: candidates[i].penalised)
    final = batch.BatchEM(runs[best].mixture, prior, covariance_type)
    final.climb(X, *(LONG if current is None else AGAIN))
    mixture = final.mixture
    order = _order(mixture, order_by) if current is None else mixture.order_like(current)
    return WarmStart(
        mixture.reordered(order),
        prior,
        len(X),
        candidates[best].method,
        final.log_likelihood,
        candidates,
    )


def _order(mixture: GaussianMixture, order_by: Hashable | None) -> NDArray[np.intp]:
    """By the mean of the first feature, or of the one asked for; ties by the others in turn."""
    first = 0 if order_by is None else mixture.features.index(order_by)
    columns = [first, *(j for j in range(mixture.n_features) if j != first)]
    return np.lexsort(mixture.means.T[columns[::-1]])


def _random_start(
    X: NDArray[np.float64],
    k: int,
    prior: Prior,
    features: tuple[Hashable, ...],
    rng: np.random.Generator,
) -> GaussianMixture:
    rows = rng.choice(len(X), size=k, replace=len(X) < k)
    covariances = np.repeat(np.diag(prior.variances)[None], k, axis=0)
    return GaussianMixture(np.full(k, 1 / k), X[rows], covariances, features)


def _k_means_start(
    X: NDArray[np.float64],
    k: int,
    prior: Prior,
    features: tuple[Hashable, ...],
    rng: np.random.Generator,
) -> GaussianMixture:
    """The M-step of the hard assignment that k-means makes of standardised features."""
    sd = X.std(axis=0)
    scaled = (X - X[0]) / np.where(sd > 0.0, sd, 1.0)
    distinct, labels = np.unique(scaled, axis=0, return_inverse=True)
    if len(distinct) > k:
        try:
            _, labels = kmeans2(scaled, k, minit="++", missing="raise", rng=rng)
        except ClusterError:  # k-means has emptied a cluster
            return _random_start(X, k, prior, features, rng)
    weights = np.bincount(labels.ravel(), minlength=k).astype(np.float64)
    means = X[rng.choice(len(X), size=k)]
    covariances = np.repeat(np.diag(prior.variances)[None], k, axis=0)
    for j in range(k):
        if weights[j] > 0:
            rows = X[labels.ravel() == j]
            means[j] = rows.mean(axis=0)
            covariances[j] = (rows - means[j]).T @ (rows - means[j]) / len(rows)
        else:
            weights[j] = 0.5
    start = GaussianMixture(weights / weights.sum(), means, covariances, features)
    return from_kernel(to_kernel(start, "full", prior.strength, prior.variances, len(X)), features)
