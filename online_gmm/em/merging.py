"""Mixtures with a component fewer: one taken into another."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from online_gmm.em.mixture import MixtureParameters


def one_fewer(mixture: MixtureParameters) -> MixtureParameters:
    """The mixture without an empty component, or with the two merged that this costs the least."""
    weights = mixture.weights
    if weights.min() <= 0.0:
        return mixture.reordered(np.delete(np.arange(len(weights)), weights.argmin()))
    return merged(mixture, *_cheapest(mixture))


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
    i, j = np.array(list(combinations(range(mixture.n_components), 2))).T
    weights, means, covariances = mixture.weights, mixture.means, mixture.covariances
    weight = weights[i] + weights[j]
    share = (weights[j] / weight)[:, None, None]
    gap = means[j] - means[i]
    both = covariances[i] + share * (covariances[j] - covariances[i])
    both += share * (1.0 - share) * gap[:, :, None] * gap[:, None, :]
    single = np.linalg.slogdet(covariances)[1] / 2 - np.log(np.maximum(weights, 1e-300))
    single *= weights
    cost = weight * (np.linalg.slogdet(both)[1] / 2 - np.log(weight)) - single[i] - single[j]
    best = int(cost.argmin())
    return int(i[best]), int(j[best])
