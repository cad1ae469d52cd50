"""The first fit: several short EM runs, and the best penalised likelihood wins."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.state import doubles, instance
from online_gmm.em.batch import BatchEM
from online_gmm.em.how_many import FIRM, LARGE, Criterion, chosen, comparing, selecting
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.prior import LEAST, Prior
from online_gmm.em.slices import Meter, Sliced, aside_cost, finish
from online_gmm.em.starts import CURRENT, Candidate, Started, affordable, best_start

LONG = 200, 1e-10
"""The most EM steps of the winner, and the least gain (nats a point)."""
AGAIN = 20, 1e-5
"""The same where something was known already, which the stream goes on to refine."""


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
        chooses, see `compare`; the start is then that of the K chosen.
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
        Whether fewer than K components will do where the rows cannot tell so many; see `select`.

    Notes
    -----
    O(n_init * 20 * n K D^2), then at most 200 steps of O(n K D^2); ``auto`` costs that again for
    each number tried.
    """
    return finish(
        warm_starting(
            X,
            n_components,
            features,
            covariance_type,
            prior_strength,
            n_init,
            order_by,
            seed,
            current,
            max_components,
            at_most,
            Meter(),
        )
    )


def warm_starting(
    X: NDArray[np.float64],
    n_components: int | Literal["auto"],
    features: tuple[Hashable, ...],
    covariance_type: str,
    prior_strength: float,
    n_init: int,
    order_by: Hashable | None,
    seed: int | None,
    current: MixtureParameters | None,
    max_components: int,
    at_most: bool,
    meter: Meter,
) -> Sliced[WarmStart]:
    """Do the same in slices."""
    criteria: tuple[Criterion, ...] = ()
    if n_components == "auto":
        criteria = yield from comparing(
            X, max_components, features, covariance_type, prior_strength, n_init, seed, meter
        )
        n_components = chosen(criteria)
    prior = yield from Prior.scaling(X, n_components, prior_strength)
    if X.size > LARGE:
        yield
    started = None
    if at_most and n_components != 1 and not criteria:
        some, _, started = yield from selecting(
            X, n_components, features, covariance_type, prior, n_init, seed, meter
        )
        prior = prior.for_more(some.n_components / n_components, prior_strength)
        n_components, started = some.n_components, started._replace(mixture=some)
        if meter.is_full(aside_cost(len(X))):
            yield
    if started is None and current is not None and n_init == 0:
        started = Started((), current, CURRENT)
    if started is None:
        if meter.is_full(aside_cost(len(X))):
            yield
        rng = np.random.default_rng(seed)
        firm = prior.with_strength(max(FIRM, prior_strength))
        started = yield from best_start(
            X, n_components, firm, features, covariance_type, n_init, rng, meter, current
        )
    final = BatchEM(started.mixture, prior, covariance_type)
    steps, least = LONG if current is None else AGAIN
    steps = affordable(X, n_components, covariance_type, steps)
    yield from final.climbing(X, steps, least, meter)
    mixture = final.mixture
    order = in_order(mixture, order_by) if current is None else mixture.order_like(current)
    return WarmStart(
        mixture.reordered(order),
        prior,
        len(X),
        started.method,
        final.log_likelihood,
        started.candidates,
        criteria,
    )


def in_order(mixture: MixtureParameters, order_by: Hashable | None) -> NDArray[np.intp]:
    """By the mean of the first feature, or of the one asked for; ties by the others in turn."""
    first = 0 if order_by is None else mixture.features.index(order_by)
    columns = [first, *(j for j in range(mixture.n_features) if j != first)]
    return np.lexsort(mixture.means.T[columns[::-1]])
