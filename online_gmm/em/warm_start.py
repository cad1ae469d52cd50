"""The first fit: several short EM runs, and the best penalised likelihood wins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means
from online_gmm.data.state import doubles, instance
from online_gmm.em import batch
from online_gmm.em.mixture import (
    MixtureParameters,
    from_kernel,
    is_dense,
    n_parameters,
    to_kernel,
)
from online_gmm.em.prior import LEAST, LEAST_VARIANCE, Prior, resolution

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
COMPARED = 200, 1e-6
"""The same before numbers of components are compared."""
WORTH = 4.0
"""Nats by which each component more must raise the criterion."""
WORK = 2e9
"""Multiplications that the starts together, and each longer run, may take.

A row takes K D^2 of them, one with missing values K D^3. Fewer starts and steps are made where they
would take more.
"""
REPEATED = 0.005
"""Share of its variance below which what others do not say of a feature is not looked at."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One start that was tried.

    Parameters
    ----------
    method : str
        How the start was made: ``k-means++``, ``random`` or ``current``.
    penalised : float
        The mean penalised log-likelihood after a short EM run, in nats a point, under the firm
        prior.
    """

    method: str
    penalised: float


@dataclass(frozen=True)
class Criterion:
    """How a number of components was judged, in nats over all rows; the higher, the better.

    Parameters
    ----------
    n_components : int
        The number of components.
    log_likelihood : float
        The log-likelihood under the firm prior.
    bic : float
        The log-likelihood minus half the number of free parameters times log n (Schwarz 1978).
    icl : float
        ``bic`` minus the entropy of the responsibilities (Biernacki, Celeux & Govaert 2000).
    """

    n_components: int
    log_likelihood: float
    bic: float
    icl: float


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
    criteria
        Every number of components tried, in order; empty if the number was given.
    """

    mixture: MixtureParameters
    prior: Prior
    n_points: int
    method: str
    log_likelihood: float
    candidates: tuple[Candidate, ...]
    criteria: tuple[Criterion, ...] = ()

    def state(self) -> dict[str, Any]:
        """All of it but the names of the features, as plain values."""
        mixture, prior = self.mixture, self.prior
        return {
            "weights": mixture.weights.tobytes(),
            "means": mixture.means.tobytes(),
            "covariances": mixture.covariances.tobytes(),
            "strength": float(prior.strength),
            "covariance": prior.covariance.tobytes(),
            "floors": prior.floors.tobytes(),
            "scale_known": bool(prior.scale_known),
            "n_points": self.n_points,
            "method": self.method,
            "log_likelihood": float(self.log_likelihood),
            "candidates": [c.method for c in self.candidates],
            "penalised": np.array([c.penalised for c in self.candidates]).tobytes(),
            "criteria": [
                [c.n_components, float(c.log_likelihood), float(c.bic), float(c.icl)]
                for c in self.criteria
            ],
        }


def start_from_state(state: dict[str, Any], features: tuple[Hashable, ...]) -> WarmStart:
    d = len(features)
    weights = doubles(state["weights"], (-1,), "weights")
    means = doubles(state["means"], (len(weights), d), "means")
    covariances = doubles(state["covariances"], (len(weights), d, d), "covariances")
    if not (len(weights) and d and (weights >= 0.0).all() and weights.any()):
        raise ValueError("weights are not those of a mixture")
    covariance, floors = _scales(state, d)
    return WarmStart(
        MixtureParameters(weights, means, covariances, features),
        Prior(
            _kernel.real(state["strength"], "strength"),
            covariance,
            floors,
            instance(state["scale_known"], bool, "scale_known"),
        ),
        _kernel.whole(state["n_points"], "n_points", 1),
        instance(state["method"], str, "method"),
        instance(state["log_likelihood"], float, "log_likelihood"),
        tuple(
            Candidate(instance(method, str, "method"), penalised)
            for method, penalised in zip(
                state["candidates"],
                np.frombuffer(instance(state["penalised"], bytes, "penalised")).tolist(),
                strict=True,
            )
        ),
        tuple(
            Criterion(
                _kernel.whole(k, "n_components", 1),
                *(instance(value, float, "a criterion") for value in (log_likelihood, bic, icl)),
            )
            for k, log_likelihood, bic, icl in state["criteria"]
        ),
    )


def _scales(state: dict[str, Any], d: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The prior's covariance and floors; up to version 2 of the format there were variances."""
    if "variances" in state:
        variances = doubles(state["variances"], (d,), "variances")
        covariance, floors = np.diag(variances), LEAST * variances
    else:
        covariance = doubles(state["covariance"], (d, d), "covariance")
        floors = doubles(state["floors"], (d,), "floors")
    if not (np.diagonal(covariance) > 0.0).all() or not (floors > 0.0).all():
        raise ValueError("variances are not above 0")
    return covariance, floors


def warm_start(
    X: NDArray[np.float64],
    n_components: int | Literal["auto"],
    features: tuple[Hashable, ...],
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    n_init: int = 12,
    order_by: Hashable | None = None,
    seed: int | None = None,
    current: MixtureParameters | None = None,
    max_components: int = 8,
    at_most: bool = False,
) -> WarmStart:
    """Fit a mixture to points: the first of a stream, or those kept of it later.

    Half of the starts are k-means++ followed by k-means, half are random points with the data's
    variance around each: k-means is misled by long shapes, random points by unequal sizes.

    Parameters
    ----------
    X
        Rows, shape (n, D), NaN for what is missing, at least one row.
    n_components
        K. More components than distinct rows are allowed; those left over share a row. ``auto``
        chooses, see `judge`; the start is then that of the K chosen.
    features
        The names of the D features.
    covariance_type
        The shape of covariances: ``full``, ``tied``, ``diag`` or ``spherical``.
    prior_strength
        Pseudo-points of the prior for each component.
    n_init
        How many starts are tried; half are k-means++, half random.
    order_by
        Components are numbered in the order of their means of this feature, by default of the
        first.
    seed
        Makes the starts repeatable.
    current
        What is known already: one more start, whose numbers the components keep.
    max_components
        The most that ``auto`` tries.
    at_most
        Whether fewer than K components will do where the rows cannot tell so many; see `told`.

    Notes
    -----
    O(n_init * 20 * n K D^2), then at most 200 steps of O(n K D^2); ``auto`` costs that again for
    each number tried.
    """
    criteria: tuple[Criterion, ...] = ()
    if n_components == "auto":
        criteria = judge(X, max_components, features, covariance_type, prior_strength, n_init, seed)
        n_components = chosen(criteria)
    elif at_most and n_components > 1:
        some, _ = told(X, n_components, features, covariance_type, prior_strength, n_init, seed)
        if some.n_components < n_components:
            n_components, current = some.n_components, some
    rng = np.random.default_rng(seed)
    prior = Prior.of(X, n_components, prior_strength)
    firm = prior.with_strength(max(FIRM, prior_strength))
    candidates, runs = _runs(X, n_components, firm, features, covariance_type, n_init, rng, current)
    best = max(range(len(runs)), key=lambda i: candidates[i].penalised)
    final = batch.BatchEM(runs[best].mixture, prior, covariance_type)
    steps, least = LONG if current is None else AGAIN
    final.climb(X, affordable(X, n_components, covariance_type, steps), least)
    mixture = final.mixture
    order = in_order(mixture, order_by) if current is None else mixture.order_like(current)
    return WarmStart(
        mixture.reordered(order),
        prior,
        len(X),
        candidates[best].method,
        final.log_likelihood,
        candidates,
        criteria,
    )


def judge(
    X: NDArray[np.float64],
    max_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    n_init: int = 12,
    seed: int | None = None,
) -> tuple[Criterion, ...]:
    """How well 1, 2, ... components fit, by the integrated completed likelihood.

    All numbers are tried: of six regimes in a row two components may make less than one.

    The integrated completed likelihood (ICL) [1]_ is BIC [2]_ less the entropy of the
    responsibilities. BIC finds the number of Gaussians that make up a density [3]_, and needs
    several for a regime that is not Gaussian; ICL asks that components can be told apart.

    All numbers are compared under one prior, the firm one of ``max_components``: a prior that
    tightens as components are added would reward more of them. Values that occur several times,
    as in rounded data, are spread over the room they have.

    Parameters
    ----------
    X, features, covariance_type, prior_strength, n_init, seed
        The same as for `warm_start`.
    max_components
        The most components tried; never more than there are distinct rows.

    References
    ----------
    .. [1] Biernacki, C., Celeux, G. & Govaert, G. (2000). Assessing a mixture model for clustering
           with the integrated completed likelihood. IEEE Transactions on Pattern Analysis and
           Machine Intelligence 22(7), 719-725.
    .. [2] Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6(2),
           461-464.
    .. [3] Keribin, C. (2000). Consistent estimation of the order of mixture models. Sankhya A
           62(1), 49-66.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.em.warm_start import chosen, judge
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(np.repeat([0.0, 8.0], 100), 1.0)[:, None]
    >>> criteria = judge(X, 8, ("level",), seed=1)
    >>> [c.n_components for c in criteria], chosen(criteria)
    ([1, 2, 3, 4, 5, 6, 7, 8], 2)
    """
    rng = np.random.default_rng(seed)
    kept = informative(X)
    X, features = X[:, kept], tuple(features[j] for j in kept)
    X = X[~np.isnan(X).all(axis=1)]
    firm = Prior.of(X, max_components, max(FIRM, prior_strength))
    bound = min(max_components, len(np.unique(X, axis=0)))
    rows = _spread(X, max_components, rng)
    criteria: list[Criterion] = []
    for k in range(1, bound + 1):
        _, runs = _runs(rows, k, firm, features, covariance_type, n_init, rng)
        best = max(runs, key=lambda em: em.penalised)
        em = batch.BatchEM(best.mixture, firm, covariance_type)
        steps, least = COMPARED
        em.climb(rows, affordable(rows, k, covariance_type, steps), least)
        criteria.append(_criterion(em, rows, covariance_type))
    return tuple(criteria)


def independent(X: NDArray[np.float64]) -> list[int]:
    """The features that say something which those before them do not.

    A feature repeats others if linear regression on them leaves less than 0.5 % of its variance,
    and what is left has no regimes of its own. Parameters of such features would be paid for
    without need when numbers of components are compared. O(n D^3).
    """
    kept: list[int] = []
    for j in range(X.shape[1]):
        left = _left_over(X, kept, j) if kept else None
        if left is None or (
            left.var() > LEAST and chosen(judge(left[:, None], 2, (j,), n_init=4, seed=0)) > 1
        ):
            kept.append(j)
    return kept


def _left_over(X: NDArray[np.float64], kept: list[int], j: int) -> NDArray[np.float64] | None:
    """The residuals of feature j given those kept; None if they are not small."""
    rows = X[~np.isnan(X[:, [*kept, j]]).any(axis=1)]
    if len(rows) < 10 * (len(kept) + 1):
        return None
    centred = rows[:, [*kept, j]] - rows[:, [*kept, j]].mean(axis=0)
    centred /= np.maximum(centred.std(axis=0), 1e-300)
    weights = np.linalg.lstsq(centred[:, :-1], centred[:, -1], rcond=None)[0]
    left: NDArray[np.float64] = centred[:, -1] - centred[:, :-1] @ weights
    return left if left.var() < REPEATED else None


def affordable(X: NDArray[np.float64], k: int, covariance_type: str, steps: int) -> int:
    """So many EM steps on these rows, or as many as `WORK` allows; at least three."""
    d = X.shape[1]
    cost = float(X.size * k)
    if is_dense(covariance_type):
        n_missing = int(np.isnan(X).any(axis=1).sum())
        cost = k * ((len(X) - n_missing) * d**2 + float(n_missing) * d**3)
    return max(3, min(steps, int(WORK / cost)))


class Judge:
    """Compares fits of different numbers of components to the same rows.

    They are fitted to the features that say something of their own, under one prior, and written
    out for all features.

    Parameters
    ----------
    X
        Rows, shape (n, D).
    max_components
        The most components that will be compared; it sets the scale of the prior.
    features, covariance_type, prior_strength
        As of `warm_start`.
    rng
        Spreads rounded values, and makes starts.
    """

    def __init__(
        self,
        X: NDArray[np.float64],
        max_components: int,
        features: tuple[Hashable, ...],
        covariance_type: str,
        prior_strength: float,
        rng: np.random.Generator,
    ) -> None:
        self._X, self._features = X, features
        self._covariance_type, self._rng = covariance_type, rng
        self._kept = informative(X)
        rows = X[:, self._kept]
        rows = rows[~np.isnan(rows).all(axis=1)]
        self._some = tuple(features[j] for j in self._kept)
        self._firm = Prior.of(rows, max_components, max(FIRM, prior_strength))
        self._most = min(max_components, len(np.unique(rows, axis=0)))
        self._rows = _spread(rows, max_components, rng)

    def fit(self, mixture: MixtureParameters) -> tuple[MixtureParameters, Criterion]:
        """Climb from a mixture of all features; where that ends, and how it is judged."""
        kept = self._kept
        return self._climbed(
            MixtureParameters(
                mixture.weights,
                mixture.means[:, kept],
                mixture.covariances[:, kept][:, :, kept],
                self._some,
            )
        )[1:]

    def descend(self, n_init: int) -> Iterator[tuple[MixtureParameters, Criterion]]:
        """Fits of K, K - 1, ... 1 components, K being the most.

        The first is the best of ``n_init`` starts, each other one starts from the one before with
        two components merged.
        """
        _, runs = _runs(
            self._rows,
            self._most,
            self._firm,
            self._some,
            self._covariance_type,
            n_init,
            self._rng,
        )
        mixture = max(runs, key=lambda em: em.penalised).mixture
        while True:
            mixture, whole, criterion = self._climbed(mixture)
            yield whole, criterion
            if mixture.n_components == 1:
                return
            mixture = merged(mixture, *_cheapest(mixture))

    def _climbed(
        self, mixture: MixtureParameters
    ) -> tuple[MixtureParameters, MixtureParameters, Criterion]:
        em = batch.BatchEM(mixture, self._firm, self._covariance_type)
        steps, least = COMPARED
        k = mixture.n_components
        em.climb(self._rows, affordable(self._rows, k, self._covariance_type, steps), least)
        criterion = _criterion(em, self._rows, self._covariance_type)
        whole = em.mixture
        if len(self._kept) < len(self._features):
            whole = _whole(em.mixture, self._X, self._kept, self._features)
        return em.mixture, whole, criterion


def told(
    X: NDArray[np.float64],
    n_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    n_init: int = 12,
    seed: int | None = None,
) -> tuple[MixtureParameters, tuple[Criterion, ...]]:
    """As many components as the rows can tell, at most K, and how the numbers were judged.

    The first rows of a stream may show fewer regimes than will come; K components would then cut
    one of them in pieces. A component must raise the Bayesian information criterion. Here that is
    preferred to ICL: who gives a number expects as many regimes, and these may overlap.
    """
    rng = np.random.default_rng(seed)
    judge = Judge(X, n_components, features, covariance_type, prior_strength, rng)
    best: tuple[MixtureParameters, Criterion] | None = None
    criteria = []
    for mixture, criterion in judge.descend(n_init):
        criteria.append(criterion)
        if best is not None and criterion.bic + WORTH < best[1].bic:
            break
        best = mixture, criterion
    assert best is not None
    return best[0], tuple(reversed(criteria))


def informative(X: NDArray[np.float64]) -> list[int]:
    """The features that vary, without those that repeat others; at least one."""
    varies = [j for j, column in enumerate(X.T) if resolution(column) > 0.0]
    kept = independent(X[:, varies]) if len(varies) > 1 else range(len(varies))
    return [varies[j] for j in kept] or [0]


def merged(mixture: MixtureParameters, i: int, j: int) -> MixtureParameters:
    """The mixture with component j taken into component i; moments are kept."""
    weights, means, covariances = (
        np.array(part) for part in (mixture.weights, mixture.means, mixture.covariances)
    )
    share = weights[j] / (weights[i] + weights[j])
    gap = means[j] - means[i]
    covariances[i] += share * (covariances[j] - covariances[i])
    covariances[i] += share * (1.0 - share) * np.outer(gap, gap)
    means[i] += share * gap
    weights[i] += weights[j]
    others = [k for k in range(len(weights)) if k != j]
    return MixtureParameters(weights, means, covariances, mixture.features).reordered(others)


def _cheapest(mixture: MixtureParameters) -> tuple[int, int]:
    """The two components of which the merger costs the least likelihood of rows assigned to one."""
    best, pair = np.inf, (0, 1)
    log_dets = np.linalg.slogdet(mixture.covariances)[1]
    weights = mixture.weights
    for i, j in itertools.combinations(range(mixture.n_components), 2):
        both = merged(mixture.reordered([i, j]), 0, 1)
        weight = weights[i] + weights[j]
        cost = weight * (np.linalg.slogdet(both.covariances)[1][0] / 2 - np.log(weight))
        for k in (i, j):
            cost -= weights[k] * (log_dets[k] / 2 - np.log(max(weights[k], 1e-300)))
        if cost < best:
            best, pair = float(cost), (i, j)
    return pair


def _whole(
    mixture: MixtureParameters,
    X: NDArray[np.float64],
    kept: list[int],
    features: tuple[Hashable, ...],
) -> MixtureParameters:
    """A mixture of some features written out for all: moments of the rows by responsibility."""
    shares = mixture.predict_proba(X[:, kept])
    filled = np.where(np.isnan(X), column_means(X), X)
    weights = shares.sum(axis=0)
    means = shares.T @ filled / weights[:, None]
    covariances = np.empty((len(weights), X.shape[1], X.shape[1]))
    for k in range(len(weights)):
        away = filled - means[k]
        covariances[k] = (shares[:, k, None] * away).T @ away / weights[k]
    prior = Prior.of(X, len(weights), 1.0)
    covariances += (prior.covariance / weights.max())[None] * 1e-3 + np.diag(prior.floors)
    return MixtureParameters(weights / weights.sum(), means, covariances, features)


def _criterion(em: batch.BatchEM, rows: NDArray[np.float64], covariance_type: str) -> Criterion:
    from scipy.special import entr

    k = em.mixture.n_components
    log_likelihood = em.log_likelihood * len(rows)
    bic = log_likelihood - n_parameters(k, rows.shape[1], covariance_type) / 2 * np.log(len(rows))
    entropy = entr(em.mixture.predict_proba(rows)).sum()
    return Criterion(k, log_likelihood, float(bic), float(bic - entropy))


def chosen(criteria: Sequence[Criterion]) -> int:
    """The number of components with the best ICL, when each has its price."""
    best = criteria[0]
    for more in criteria[1:]:
        if more.icl >= best.icl + WORTH * (more.n_components - best.n_components):
            best = more
    return best.n_components


def _spread(
    X: NDArray[np.float64], max_components: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Equal values, evenly over the room to their neighbours, but no more than is usual.

    No more values than components are levels, not rounded values, and stay.
    """
    result = X.copy()
    for column in result.T:
        seen = ~np.isnan(column)
        values, place, count = np.unique(column[seen], return_inverse=True, return_counts=True)
        if len(values) <= max(max_components, 2):
            continue
        gap = np.diff(values)
        room = np.minimum(np.append(gap, np.inf), np.insert(gap, 0, np.inf))
        room = np.minimum(room, np.median(gap))
        order = np.lexsort((rng.random(len(place)), place))
        rank = np.empty(len(place))
        rank[order] = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        column[seen] += ((rank + 0.5) / count[place] - 0.5) * room[place]
    return result


def _runs(
    X: NDArray[np.float64],
    k: int,
    firm: Prior,
    features: tuple[Hashable, ...],
    covariance_type: str,
    n_init: int,
    rng: np.random.Generator,
    current: MixtureParameters | None = None,
) -> tuple[tuple[Candidate, ...], list[batch.BatchEM]]:
    """A short run from each start."""
    filled = np.where(np.isnan(X), column_means(X), X)
    starts: list[tuple[str, MixtureParameters]] = [] if current is None else [("current", current)]
    steps, least = SHORT
    most = affordable(X, k, covariance_type, steps * max(n_init, 1))
    steps = min(steps, most)
    for i in range(min(n_init, max(most // steps, 1))):
        name, make = [("k-means++", _k_means_start), ("random", _random_start)][i % 2]
        starts.append((name, make(filled, k, firm, features, rng)))
    runs = []
    for _, start in starts:
        em = batch.BatchEM(start, firm, covariance_type)
        em.climb(X, steps, least)
        runs.append(em)
    candidates = tuple(
        Candidate(name, em.penalised) for (name, _), em in zip(starts, runs, strict=True)
    )
    return candidates, runs


def in_order(mixture: MixtureParameters, order_by: Hashable | None) -> NDArray[np.intp]:
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
) -> MixtureParameters:
    rows = rng.choice(len(X), size=k, replace=len(X) < k)
    covariances = np.repeat(prior.covariance[None], k, axis=0)
    return MixtureParameters(np.full(k, 1 / k), X[rows], covariances, features)


def _k_means_start(
    X: NDArray[np.float64],
    k: int,
    prior: Prior,
    features: tuple[Hashable, ...],
    rng: np.random.Generator,
) -> MixtureParameters:
    """The M-step of the hard assignment that k-means makes of standardised features."""
    sd = X.std(axis=0)
    varies = sd > math.sqrt(LEAST_VARIANCE)
    scaled = np.where(varies, X - X[0], 0.0) / np.where(varies, sd, 1.0)
    # less has no square, and k-means could not tell it from 0
    scaled[np.abs(scaled) < 1e-140] = 0.0
    labels: Any
    distinct, labels = np.unique(scaled, axis=0, return_inverse=True)
    if len(distinct) > k:
        # takes longer to import than this package
        from scipy.cluster.vq import ClusterError, kmeans2

        try:
            _, labels = kmeans2(scaled, k, minit="++", missing="raise", rng=rng)
        except ClusterError:  # k-means has emptied a cluster
            return _random_start(X, k, prior, features, rng)
    weights = np.bincount(labels.ravel(), minlength=k).astype(np.float64)
    means = X[rng.choice(len(X), size=k)]
    covariances = np.repeat(prior.covariance[None], k, axis=0)
    for j in range(k):
        if weights[j] > 0:
            rows = X[labels.ravel() == j]
            means[j] = rows.mean(axis=0)
            covariances[j] = (rows - means[j]).T @ (rows - means[j]) / len(rows)
        else:
            weights[j] = 0.5
    start = MixtureParameters(weights / weights.sum(), means, covariances, features)
    return from_kernel(
        to_kernel(start, "full", prior.strength, prior.covariance, len(X), prior.floors), features
    )
