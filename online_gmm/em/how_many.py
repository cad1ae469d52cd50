"""How many components there are: fits of several numbers of them are compared."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means, view
from online_gmm.em.batch import rest_of_climb
from online_gmm.em.merging import one_fewer
from online_gmm.em.mixture import (
    MixtureParameters,
    from_kernel,
    is_dense,
    n_parameters,
    posterior,
    responsibilities_of,
    to_kernel,
)
from online_gmm.em.prior import LEAST, Prior, correlations
from online_gmm.em.slices import ROWS, Meter, Sliced, aside_cost, finish, going_on, pass_cost
from online_gmm.em.starts import PATIENT, ROUNDS, Started, affordable, best_start

FIRM = 0.1
"""Pseudo-points of the prior under which fits are compared.

Under a weak prior a component that shrinks onto a few repeated values has the better likelihood;
under this one it has not (see `examples/first_series.py`). The winner is then fitted under the
prior asked for.
"""
COMPARED = 100, 0.02
"""The most EM steps before numbers of components are compared, and the least gain of a step, in
nats over all rows."""
PROBE = 3
"""EM steps between two looks at whether going on pays."""
SETTLED = 12
"""EM steps after which is guessed where a climb will end."""
WORTH = 4.0
"""Nats by which each component more must raise the criterion."""
REPEATED = 0.005
"""Share of its variance below which what others do not say of a feature is not looked at."""
SCREENED = 0.05
"""The same according to correlations alone, which missing values make imprecise."""
START_ROWS = 400
"""Rows on which starts are tried, and 20 (D + 1) more for each component."""
LARGE = 3_000
"""Values of which the preparation takes a slice."""
SAMPLE = 2048
"""Rows from which is found which features repeat others."""


@dataclass(frozen=True)
class Criterion:
    """How well a number of components fits, in nats over all rows; the higher, the better.

    Parameters
    ----------
    n_components : int
        The number of components.
    log_likelihood : float
        The log-likelihood under the firm prior.
    bic : float
        The log-likelihood minus half the number of free parameters times log n (Schwarz 1978).
    icl : float
        ``bic`` minus the entropy of the responsibilities (Biernacki, Celeux & Govaert 2000). NaN if
        it was not asked for.
    """

    n_components: int
    log_likelihood: float
    bic: float
    icl: float


def compare(
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
    >>> from online_gmm.em.how_many import chosen, compare
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(np.repeat([0.0, 8.0], 100), 1.0)[:, None]
    >>> criteria = compare(X, 8, ("level",), seed=1)
    >>> [c.n_components for c in criteria], chosen(criteria)
    ([1, 2, 3, 4, 5, 6, 7, 8], 2)
    """
    return finish(
        comparing(
            X, max_components, features, covariance_type, prior_strength, n_init, seed, Meter()
        )
    )


def comparing(
    X: NDArray[np.float64],
    max_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str,
    prior_strength: float,
    n_init: int,
    seed: int | None,
    meter: Meter,
) -> Sliced[tuple[Criterion, ...]]:
    """Do the same in slices."""
    rng = np.random.default_rng(seed)
    selection = yield from Selection.of(
        X, max_components, features, covariance_type, prior_strength, rng
    )
    criteria: list[Criterion] = []
    for k in range(1, selection.most + 1):
        started = yield from selection.started(k, n_init, meter, PATIENT)
        _, criterion = yield from selection.climbed(started.mixture, meter)
        criteria.append(criterion)
    return tuple(criteria)


class Selection:
    """Compares fits of different numbers of components to the same rows.

    They are fitted to the features that say something of their own, under one prior, and written
    out for all features.

    Parameters
    ----------
    X
        Rows, shape (n, D).
    kept
        The features that say something of their own.
    rows
        Those features of X, with equal values spread; rows without any value are left out.
    firm
        The prior of every fit.
    most
        The most components that can be compared: not more than there are distinct rows.
    features, covariance_type
        As in `warm_start`.
    rng
        Makes starts.
    icl
        Whether criteria have the integrated completed likelihood.

    Attributes
    ----------
    most : int
        The most components that can be compared: not more than there are distinct rows.
    """

    def __init__(
        self,
        X: NDArray[np.float64],
        kept: list[int],
        rows: NDArray[np.float64],
        firm: Prior,
        most: int,
        features: tuple[Hashable, ...],
        covariance_type: str,
        rng: np.random.Generator,
        icl: bool,
    ) -> None:
        self._icl = icl
        self._X, self._kept, self._rows, self._firm = X, kept, rows, firm
        self._features, self._some = features, tuple(features[j] for j in kept)
        self._covariance_type, self._rng = covariance_type, rng
        self.most = most

    @classmethod
    def of(
        cls,
        X: NDArray[np.float64],
        max_components: int,
        features: tuple[Hashable, ...],
        covariance_type: str,
        prior_strength: float,
        rng: np.random.Generator,
        icl: bool = True,
        prior: Prior | None = None,
    ) -> Sliced[Selection]:
        """Prepare rows.

        Parameters
        ----------
        X
            Rows, shape (n, D).
        max_components
            The most components that will be compared; it sets the scale of the prior.
        features, covariance_type, prior_strength
            As in `warm_start`.
        rng
            Spreads rounded values, and makes starts.
        icl
            Whether criteria have the integrated completed likelihood, which takes another pass.
        prior
            That of X for ``max_components``, if it is known.
        """
        kept = informative(X)
        if X.size > LARGE:
            yield
        rows, strength = X[:, kept], max(FIRM, prior_strength)
        rows = rows[~np.isnan(rows).all(axis=1)]
        if prior is not None and rows.shape == X.shape:
            firm = prior.with_strength(strength)
        else:
            firm = yield from Prior.scaling(rows, max_components, strength)
        most = min(max_components, n_distinct(rows, max_components))
        if X.size > LARGE:
            yield
        rows = yield from _spread(rows, max_components, rng)
        return cls(X, kept, rows, firm, most, features, covariance_type, rng, icl)

    @property
    def n_rows(self) -> int:
        """Rows that are fitted."""
        return len(self._rows)

    def thinned(self) -> Selection:
        """The same of fewer rows, evenly spaced: they tell which fits are worth trying on all."""
        result = copy.copy(self)
        result._rows = self._some_rows(self.most)
        return result

    def _some_rows(self, k: int) -> NDArray[np.float64]:
        enough = START_ROWS + 20 * k * (len(self._kept) + 1)
        return self._rows[:: max(len(self._rows) // enough, 1)]

    def penalty(self, k: int) -> float:
        """What BIC takes off for k components, in nats."""
        free = n_parameters(k, self._rows.shape[1], self._covariance_type)
        return free / 2 * math.log(max(len(self._rows), 1))

    def started(
        self,
        k: int,
        n_init: int,
        meter: Meter,
        rounds: tuple[int, ...] = ROUNDS,
        needed: float = -math.inf,
    ) -> Sliced[Started]:
        """Try ``n_init`` starts of k components, of the features that count, on some of the rows.

        So many rows tell which start is best; `climbed` goes on with all. Starts end early that
        will not come to the log-likelihood ``needed``.
        """
        started = yield from best_start(
            self._some_rows(k),
            k,
            self._firm,
            self._some,
            self._covariance_type,
            n_init,
            self._rng,
            meter,
            rounds=rounds,
            needed=needed / max(len(self._rows), 1),
        )
        return started

    def part(self, mixture: MixtureParameters) -> MixtureParameters:
        """A mixture of all features, of those that count."""
        kept = self._kept
        return MixtureParameters(
            mixture.weights,
            mixture.means[:, kept],
            mixture.covariances[:, kept][:, :, kept],
            self._some,
        )

    def climbed(
        self, mixture: MixtureParameters, meter: Meter, needed: float = -math.inf
    ) -> Sliced[tuple[MixtureParameters, Criterion]]:
        """Climb from a mixture of the features that count; return where that ends.

        The climb ends early if the log-likelihood will not come to what is ``needed``; see
        `rest_of_climb`.
        """
        prior, rows, k = self._firm, self._rows, mixture.n_components
        (n, d), dense = rows.shape, is_dense(self._covariance_type)
        components = to_kernel(
            mixture, self._covariance_type, prior.strength, prior.covariance, 0.0, prior.floors
        )
        climb = _kernel.Climb(components)
        most, least = COMPARED
        most = affordable(rows, k, self._covariance_type, most)
        yield from going_on([climb], view(rows), n, k, d, dense, meter)
        done, before, gain = 0, climb.log_likelihood, math.nan
        while done < most:
            steps = min(PROBE, most - done)
            climb.plan(steps, least)
            yield from going_on([climb], view(rows), n, k, d, dense, meter)
            done += steps
            last, gain = gain, climb.log_likelihood - before
            before = climb.log_likelihood
            # slow directions show only when fast ones are at rest
            rest = rest_of_climb(last if done >= SETTLED else math.nan, gain, (most - done) / PROBE)
            if gain < least or before + rest < needed:
                break
        found = from_kernel(components, self._some)
        bic = before - self.penalty(k)
        if not self._icl:
            return found, Criterion(k, before, bic, math.nan)
        entropy = yield from _entropy(components, rows, pass_cost(1, k, d, dense), meter)
        return found, Criterion(k, before, bic, bic - entropy)

    def whole(self, mixture: MixtureParameters) -> MixtureParameters:
        """A mixture of the features that count, of all features."""
        if len(self._kept) == len(self._features):
            return mixture
        return _whole(mixture, self._X, self._kept, self._features)


def select(
    X: NDArray[np.float64],
    n_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str = "full",
    prior_strength: float = 1e-3,
    n_init: int = 12,
    seed: int | None = None,
) -> tuple[MixtureParameters, tuple[Criterion, ...]]:
    """Return as many components as the rows support, at most K, and the criterion of each number.

    The first rows of a stream may show fewer regimes than will come; K components would then cut
    one of them in pieces. A component must raise the Bayesian information criterion. Here that is
    preferred to ICL: who gives a number expects as many regimes, and these may overlap.
    """
    prior = Prior.of(X, n_components, prior_strength)
    mixture, criteria, _ = finish(
        selecting(X, n_components, features, covariance_type, prior, n_init, seed, Meter())
    )
    return mixture, criteria


def selecting(
    X: NDArray[np.float64],
    n_components: int,
    features: tuple[Hashable, ...],
    covariance_type: str,
    prior: Prior,
    n_init: int,
    seed: int | None,
    meter: Meter,
) -> Sliced[tuple[MixtureParameters, tuple[Criterion, ...], Started]]:
    """Do the same in slices, and return what became of the starts too.

    ``prior`` is that of X for ``n_components``.
    """
    rng = np.random.default_rng(seed)
    selection = yield from Selection.of(
        X, n_components, features, covariance_type, prior.strength, rng, icl=False, prior=prior
    )
    if meter.is_full(aside_cost(len(X))):
        yield
    started = yield from selection.started(selection.most, n_init, meter)
    mixture = started.mixture
    best: tuple[MixtureParameters, Criterion] | None = None
    criteria = []
    while True:
        mixture, criterion = yield from selection.climbed(mixture, meter)
        criteria.append(criterion)
        if best is not None and criterion.bic + WORTH < best[1].bic:
            break
        best = mixture, criterion
        if mixture.n_components == 1:
            break
        mixture = one_fewer(mixture)
        if meter.is_full(aside_cost(len(X))):
            yield
    return selection.whole(best[0]), tuple(reversed(criteria)), started


def n_distinct(rows: NDArray[np.float64], most: int) -> int:
    """The number of distinct rows, or any number from ``most`` on if there are so many."""
    found: set[tuple[float, ...]] = set()
    for begin in range(0, len(rows), 8 * most):
        found.update(map(tuple, rows[begin : begin + 8 * most].tolist()))
        if len(found) >= most:
            break
    return len(found)


def informative(X: NDArray[np.float64]) -> list[int]:
    """The features that vary, without those that repeat others; at least one that has values."""
    X = X[:: max(len(X) // SAMPLE, 1)]
    varies = np.flatnonzero(np.fmax.reduce(X) > np.fmin.reduce(X)).tolist()
    kept = independent(X[:, varies]) if len(varies) > 1 else range(len(varies))
    return [varies[j] for j in kept] or [int(np.isnan(X).all(axis=0).argmin())]


def independent(X: NDArray[np.float64]) -> list[int]:
    """The features that say something which those before them do not.

    A feature repeats others if linear regression on them leaves less than 0.5 % of its variance,
    and what is left has no regimes of its own. Parameters of such features would be paid for
    without need when numbers of components are compared. Correlations tell which features are
    looked at. O(n D^2 + D^3).
    """
    correlation = correlations(X)
    factor = np.zeros_like(correlation)
    factor[0, 0] = 1.0
    kept = [0]
    for j in range(1, X.shape[1]):
        # what the features kept leave of the variance of j
        row = np.linalg.solve(factor[kept][:, kept], correlation[kept, j])
        share = 1.0 - float(row @ row)
        left = _left_over(X, kept, j) if share < SCREENED else None
        if left is None or (
            left.var() > LEAST and chosen(compare(left[:, None], 2, (j,), n_init=4, seed=0)) > 1
        ):
            factor[j, kept] = row
            # what is kept does not repeat others, however imprecise correlations are
            factor[j, j] = max(share, REPEATED) ** 0.5
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


def _whole(
    mixture: MixtureParameters,
    X: NDArray[np.float64],
    kept: list[int],
    features: tuple[Hashable, ...],
) -> MixtureParameters:
    """A mixture of some features written out for all: moments of the rows by responsibility."""
    shares = responsibilities_of(mixture, X[:, kept])
    filled = np.where(np.isnan(X), column_means(X), X)
    # a component may have no row at all
    weights = np.maximum(shares.sum(axis=0), 1e-300)
    means = shares.T @ filled / weights[:, None]
    covariances = np.empty((len(weights), X.shape[1], X.shape[1]))
    for k in range(len(weights)):
        away = filled - means[k]
        covariances[k] = (shares[:, k, None] * away).T @ away / weights[k]
    prior = Prior.of(X, len(weights), 1.0)
    covariances += (prior.covariance / weights.max())[None] * 1e-3 + np.diag(prior.floors)
    return MixtureParameters(weights / weights.sum(), means, covariances, features)


def _entropy(
    components: _kernel.Components, rows: NDArray[np.float64], cost: float, meter: Meter
) -> Sliced[float]:
    """The entropy of the responsibilities for rows, each of which costs so much."""
    entropy = 0.0
    for at in range(0, len(rows), ROWS):
        part = rows[at : at + ROWS]
        shares = posterior(components, part)[0]
        entropy -= float((shares * np.log(np.maximum(shares, 1e-300))).sum())
        if meter.is_full(len(part) * cost):
            yield
    return entropy


def chosen(criteria: Sequence[Criterion]) -> int:
    """The number of components with the best ICL, when each has its price."""
    best = criteria[0]
    for more in criteria[1:]:
        if more.icl >= best.icl + WORTH * (more.n_components - best.n_components):
            best = more
    return best.n_components


def _spread(
    X: NDArray[np.float64], max_components: int, rng: np.random.Generator
) -> Sliced[NDArray[np.float64]]:
    """Equal values, evenly over the room to their neighbours, but no more than is usual.

    No more values than components are levels, not rounded values, and stay.
    """
    result = X.copy()
    done = 0
    for column in result.T:
        done += len(column)
        if done > LARGE:
            done = 0
            yield
        seen = ~np.isnan(column)
        column[seen] = _apart(column[seen], max(max_components, 2), rng)
    return result


def _apart(
    values: NDArray[np.float64], levels: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The same of one feature; so many different values are levels, or fewer."""
    order, n = np.argsort(values), len(values)
    groups, gaps = np.empty(n, dtype=np.int64), np.empty(n)
    n_distinct = _kernel.distinct_values(view(values), view(order), view(groups), view(gaps))
    if n_distinct == n or n_distinct <= levels:
        return values
    usual = _median(gaps[: n_distinct - 1])
    by_chance = np.argsort(rng.random(n), kind="stable")
    _kernel.spread_equal(view(values), view(groups), view(gaps), n_distinct, usual, view(by_chance))
    return values


def _median(values: NDArray[np.float64]) -> float:
    """The median of numbers, in a fraction of the time of `numpy.median` if they are few."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    middle = np.partition(values, (half - 1, half))[half - 1 : half + 1]
    return float(middle[0] + middle[1]) / 2.0
