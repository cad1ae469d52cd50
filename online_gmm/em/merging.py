"""Mixtures with a component fewer: one taken into another."""

from __future__ import annotations

import numpy as np

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.mixture import MixtureParameters


def one_fewer(mixture: MixtureParameters) -> MixtureParameters:
    """The mixture without an empty component, or with the two merged that this costs the least."""
    weights = mixture.weights
    if weights.min() <= 0.0:
        return mixture.reordered(np.delete(np.arange(len(weights)), weights.argmin()))
    its = flat(weights), flat(mixture.means), flat(mixture.covariances)
    return merged(mixture, *_kernel.cheapest_pair(*its))


def merged(mixture: MixtureParameters, i: int, j: int) -> MixtureParameters:
    """The mixture with component j taken into component i; moments are kept."""
    k, d = mixture.means.shape
    its = flat(mixture.weights), flat(mixture.means), flat(mixture.covariances)
    weights, means, covariances = map(np.frombuffer, _kernel.merged(*its, i, j))
    return MixtureParameters.of(
        weights,
        means.reshape(k - 1, d),
        covariances.reshape(k - 1, d, d),
        mixture.features,
    )
