"""Components added to the state of a stream, merged in it, or taken out of it.

A kernel has a fixed number of components. Its state, plain values, is what all of it goes on from;
a stream with other components is made of a changed state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, Any]

STATISTICS = ("shape", "points", "weight", "center", "scatter", "strength", "prior", "floors")
"""Of the state of components; the parameters follow from these."""
LEAST_VARIANCE = 1e-290
"""Below it a variance is none."""


@dataclass(frozen=True, eq=False)
class Newborn:
    """A component that is born of a few points.

    Parameters
    ----------
    center
        Their mean, shape (D,).
    covariance
        Theirs, shape (D, D).
    n_points
        How many they are.
    """

    center: Array
    covariance: Array
    n_points: int

    @classmethod
    def of(cls, points: Array) -> Newborn:
        """The component that has the moments of these points, shape (n, D)."""
        center = points.mean(axis=0)
        away = points - center
        return cls(center, away.T @ away / len(points), len(points))

    def correlated_like(self, covariance: Array, weight: float) -> Newborn:
        """The same component, its correlations shrunk towards those of another covariance.

        In many features the covariance of a few points fits these too well, and the next points of
        the regime are unlikely under it. Variances stay. ``weight`` is the number of points that
        the other covariance stands for.
        """
        variances = np.maximum(np.diagonal(covariance), LEAST_VARIANCE)
        scale = np.sqrt(np.diagonal(self.covariance) / variances)
        other = covariance * np.outer(scale, scale)
        share = weight / (self.n_points + weight)
        return replace(self, covariance=(1.0 - share) * self.covariance + share * other)


@dataclass
class Parts:
    """Sufficient statistics of K components, as arrays.

    Parameters
    ----------
    weight
        Of the components, shape (K,).
    center
        Their means, shape (K, D).
    scatter
        Their covariances, shape (K, D * D), or variances, shape (K, D).
    """

    weight: Array
    center: Array
    scatter: Array

    def added(self, newborn: Newborn, share: float) -> Parts:
        """These, and one more component that has this share of the weight."""
        dense = self.scatter.shape[1] == len(newborn.center) ** 2
        covariance = newborn.covariance
        scatter = covariance.ravel() if dense else np.diagonal(covariance)
        return Parts(
            np.append(self.weight * (1.0 - share), share),
            np.vstack([self.center, newborn.center]),
            np.vstack([self.scatter, scatter]),
        )

    def replaced(self, place: int, center: Array, covariance: Array) -> Parts:
        """These, but one component lies elsewhere."""
        centers, scatter = self.center.copy(), self.scatter.copy()
        dense = scatter.shape[1] == len(center) ** 2
        centers[place] = center
        scatter[place] = covariance.ravel() if dense else np.diagonal(covariance)
        return Parts(self.weight, centers, scatter)

    def merged(self, kept: int, gone: int) -> Parts:
        """These with one component taken into another; moments are kept."""
        total = self.weight[kept] + self.weight[gone]
        share = self.weight[gone] / total if total > 0.0 else 0.0
        gap = self.center[gone] - self.center[kept]
        dense = self.scatter.shape[1] == len(gap) ** 2
        between = np.outer(gap, gap).ravel() if dense else gap**2
        weight, center, scatter = self.weight.copy(), self.center.copy(), self.scatter.copy()
        scatter[kept] += share * (scatter[gone] - scatter[kept]) + share * (1.0 - share) * between
        center[kept] += share * gap
        weight[kept] = total
        return Parts(weight, center, scatter).without(gone)

    def without(self, gone: int) -> Parts:
        """These but one; weights sum to 1 again."""
        weight = np.delete(self.weight, gone)
        total = weight.sum()
        weight = weight / total if total > 0.0 else np.full(len(weight), 1.0 / len(weight))
        return Parts(weight, np.delete(self.center, gone, 0), np.delete(self.scatter, gone, 0))


def parts_of(state: State) -> Parts:
    """The statistics in the state of components."""
    k, d, _ = state["shape"]
    return Parts(
        np.frombuffer(state["weight"]),
        np.frombuffer(state["center"]).reshape(k, d),
        np.frombuffer(state["scatter"]).reshape(k, -1),
    )


def with_parts(state: State, parts: Parts) -> State:
    """A state of components with these statistics, and the parameters that they make."""
    return {
        **{name: state[name] for name in STATISTICS if name in state},
        "shape": (len(parts.weight), *state["shape"][1:]),
        "weight": parts.weight.tobytes(),
        "center": np.ascontiguousarray(parts.center).tobytes(),
        "scatter": np.ascontiguousarray(parts.scatter).tobytes(),
    }


# -- a mixture --------------------------------------------------------------------------------


def mixture_changed(state: State, change: Callable[[Parts], Parts]) -> State:
    """The state of a mixture's stream with all its statistics changed alike."""
    result = dict(state)
    for name in ("iterate", "average", "report"):
        if state[name] is not None:
            result[name] = with_parts(state[name], change(parts_of(state[name])))
    return _without_outliers(result)


def mixture_with(state: State, newborn: Newborn, share: float) -> State:
    """The same with one more component, which has this share of the iterate's weight.

    In the average it has the weight that its points have among all points learnt: where the
    iterate goes from here on counts for more than where the component began.
    """
    result = mixture_changed(state, lambda parts: parts.added(newborn, share))
    if state["average"] is not None:
        parts = parts_of(state["average"]).added(newborn, newborn.n_points / state["n"])
        result["average"] = with_parts(state["average"], parts)
    return result


def _without_outliers(state: State) -> State:
    if state.get("strays"):
        state["strays"] = {**state["strays"], "n": 0}
    return state


# -- a chain ----------------------------------------------------------------------------------


@dataclass
class Links:
    """What a chain's state has beside its components, by place.

    Parameters
    ----------
    belief, report_belief
        The filtered probability of each component, of the iterate and of the average.
    origin
        Where the moments are seen from, shape (D,).
    moments
        The statistics of component i given that the chain is in k now, at ``[i, k, :]``.
    pairs
        The statistics of changes from i to j given that the chain is in k now, at ``[i, j, k]``.
    flow, average_flow
        The statistics of changes from i to j, of the iterate and of the average.
    backs
        Backward transition probabilities of the last points, where there is a lag.
    parting
        Statistics of the time spent in each component, where times are given.
    """

    belief: Array
    report_belief: Array | None
    origin: Array
    moments: Array
    pairs: Array
    flow: Array
    average_flow: Array
    backs: Array
    parting: Array | None


def links_of(state: State) -> Links:
    k, d, _ = state["iterate"]["components"]["shape"]
    report = state["report"]
    return Links(
        np.frombuffer(state["iterate"]["belief"]).copy(),
        None if report is None else np.frombuffer(report["belief"]).copy(),
        np.frombuffer(state["origin"]).reshape(k, d).copy(),
        np.frombuffer(state["moments"]).reshape(k, k, -1).copy(),
        np.frombuffer(state["pairs"]).reshape(k, k, k).copy(),
        np.frombuffer(state["flow"]).reshape(k, k).copy(),
        np.frombuffer(state["average_flow"]).reshape(k, k).copy(),
        np.frombuffer(state["backs"]).reshape(-1, k, k).copy(),
        None if state["parting"] is None else np.frombuffer(state["parting"]).copy(),
    )


def _chain_state(
    state: State, change: Callable[[Parts], Parts], links: Links, prior: Array
) -> State:
    """The state of a chain's stream with these links, its components changed."""
    k = len(links.belief)
    timed = state["iterate"]["timed"]
    result = {
        **state,
        "prior": prior.tobytes(),
        "origin": links.origin.tobytes(),
        "moments": links.moments.tobytes(),
        "pairs": links.pairs.tobytes(),
        "pending": None,
        "flow": links.flow.tobytes(),
        "average_flow": links.average_flow.tobytes(),
        "backs": links.backs.tobytes(),
        "parting": None if links.parting is None else links.parting.tobytes(),
    }
    for name, flow, belief in (
        ("iterate", links.flow, links.belief),
        ("report", links.average_flow, links.report_belief),
    ):
        chain = state[name]
        if chain is None or belief is None:
            continue
        counts = chain["components"]["points"] * flow + prior
        transition = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
        if timed:
            transition = counts / np.maximum(np.diagonal(counts)[:, None], 1e-300)
            transition[range(k), range(k)] = 0.0
            transition[range(k), range(k)] = -transition.sum(axis=1)
        components = with_parts(chain["components"], change(parts_of(chain["components"])))
        result[name] = {
            **chain,
            "components": components,
            "transition": transition.tobytes(),
            "belief": (belief / belief.sum()).tobytes(),
        }
    if state["average"] is not None:
        result["average"] = with_parts(state["average"], change(parts_of(state["average"])))
    return _without_outliers(result)


def chain_replaced(state: State, place: int, center: Array, covariance: Array) -> State:
    """The state of a chain's stream in which one component lies elsewhere."""
    links = links_of(state)
    gap = center - links.origin[place]
    square = covariance + np.outer(gap, gap)
    dense = links.moments.shape[2] > 2 * len(gap) + 1
    packed = square[np.tril_indices(len(gap))] if dense else np.diagonal(square)
    sample = np.concatenate([[1.0], gap, packed])
    links.moments[place] = links.moments[place, :, :1] * sample
    prior = np.frombuffer(state["prior"]).reshape(links.flow.shape)
    return _chain_state(
        state, lambda parts: parts.replaced(place, center, covariance), links, prior
    )


def chain_merged(state: State, kept: int, gone: int, prior: Array) -> State:
    """The state of a chain's stream in which one component is taken into another.

    ``prior`` are the pseudo-changes for one component less. What is known of a component given that
    the chain is in one of the two is weighed by how probable each is now.
    """
    old = links_of(state)
    d = old.origin.shape[1]
    total = old.belief[kept] + old.belief[gone]
    share = old.belief[gone] / total if total > 0.0 else 0.5

    def summed(values: Array, axis: int) -> Array:
        values = np.moveaxis(values.copy(), axis, 0)
        values[kept] += values[gone]
        return np.moveaxis(np.delete(values, gone, 0), 0, axis)

    def weighed(values: Array, axis: int) -> Array:
        values = np.moveaxis(values.copy(), axis, 0)
        values[kept] += share * (values[gone] - values[kept])
        return np.moveaxis(np.delete(values, gone, 0), 0, axis)

    moments = old.moments.copy()
    gap = old.origin[gone] - old.origin[kept]
    weight, first = moments[gone, :, 0].copy(), moments[gone, :, 1 : d + 1].copy()
    moments[gone, :, 1 : d + 1] += weight[:, None] * gap
    square = first[:, :, None] * gap + gap[:, None] * first[:, None]
    square += weight[:, None, None] * np.outer(gap, gap)
    if moments.shape[2] > 2 * d + 1:
        moments[gone, :, d + 1 :] += square[:, *np.tril_indices(d)]
    else:
        moments[gone, :, d + 1 :] += np.diagonal(square, axis1=1, axis2=2)

    def flow(values: Array) -> Array:
        values = values.copy()
        if state["iterate"]["timed"]:
            # on the diagonal is time; changes between the two are none any more
            values[kept, gone] = values[gone, kept] = 0.0
        return summed(summed(values, 0), 1)

    pairs = old.pairs.copy()
    if state["iterate"]["timed"]:
        pairs[kept, gone] = pairs[gone, kept] = 0.0
    links = Links(
        summed(old.belief, 0),
        None if old.report_belief is None else summed(old.report_belief, 0),
        np.delete(old.origin, gone, 0),
        weighed(summed(moments, 0), 1),
        weighed(summed(summed(pairs, 0), 1), 2),
        flow(old.flow),
        flow(old.average_flow),
        weighed(summed(old.backs, 1), 2),
        None if old.parting is None else summed(old.parting, 0),
    )
    return _chain_state(state, lambda parts: parts.merged(kept, gone), links, prior)


def chain_with(state: State, newborn: Newborn, share: float, prior: Array) -> State:
    """The state of a chain's stream with one more component; see `mixture_with`.

    ``prior`` are the pseudo-changes for one component more.
    """
    old = links_of(state)
    k = len(old.belief)
    size = len(state["iterate"]["components"]["scatter"]) // (8 * k)
    center, square = newborn.center, newborn.covariance
    dense = size == len(center) ** 2
    packed = square[np.tril_indices(len(center))] if dense else np.diagonal(square)
    sample = share * np.concatenate([[1.0], np.zeros(len(center)), packed])

    def grown(values: Array, shape: tuple[int, ...]) -> Array:
        result = np.zeros(shape)
        result[tuple(slice(0, n) for n in values.shape)] = values
        return result

    keep = 1.0 - share
    belief = old.belief / old.belief.sum()
    moments = grown(keep * old.moments, (k + 1, k + 1, old.moments.shape[2]))
    # what is known of the others does not depend on the chain being in the new one
    moments[:k, k] = keep * np.einsum("k,ikp->ip", belief, old.moments)
    moments[k] = sample
    pairs = grown(keep * old.pairs, (k + 1, k + 1, k + 1))
    pairs[:k, :k, k] = keep * (old.pairs @ belief)
    unit = np.diagonal(old.flow).sum() / max(float(old.flow.sum()), 1e-300)
    stays = share * (unit if state["iterate"]["timed"] else 1.0)
    change = share / (newborn.n_points + 1.0)
    pairs[k, k] = stays
    pairs[:k, k] = (change * belief)[:, None]
    pairs[k, :k] = (change * belief)[:, None]

    def flow(values: Array, scale: float) -> Array:
        result = grown((1.0 - scale * share) * values, (k + 1, k + 1))
        result[k, k] = scale * stays
        result[:k, k] = scale * change * belief
        result[k, :k] = scale * change * belief
        return result

    behind = newborn.n_points / state["n"] / share
    backs = grown(old.backs, (len(old.backs), k + 1, k + 1))
    backs[:, :k, k] = 1.0 / k
    links = Links(
        np.append(belief / 2.0, 0.5),
        None if old.report_belief is None else np.append(old.report_belief / 2.0, 0.5),
        np.vstack([old.origin, center]),
        moments,
        pairs,
        flow(old.flow, 1.0),
        flow(old.average_flow, min(behind, 1.0)),
        backs,
        None if old.parting is None else np.append(old.parting, 0.0),
    )
    result = _chain_state(state, lambda parts: parts.added(newborn, share), links, prior)
    if state["average"] is not None:
        parts = parts_of(state["average"]).added(newborn, newborn.n_points / state["n"])
        result["average"] = with_parts(state["average"], parts)
    return result
