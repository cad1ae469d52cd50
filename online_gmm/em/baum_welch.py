"""Baum-Welch: batch EM for a Gaussian hidden Markov model, on the recursion of the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat

FIRST_STAY = 0.9
"""Probability of staying from one point to the next, before anything is known of it."""


def gaps(times: NDArray[np.float64], last: float = np.nan) -> NDArray[np.float64]:
    """Seconds since the latest of the points before; NaN where that is not known."""
    return times - np.fmax.accumulate(np.concatenate([[last], times]))[:-1]


def first_transition(n_components: int, unit: float | None) -> NDArray[np.float64]:
    """Where EM begins, shape (K, K): probabilities, or rates if a step takes a time ``unit``."""
    leaving = (1.0 - FIRST_STAY) / max(n_components - 1, 1)
    transition = np.full((n_components, n_components), leaving)
    np.fill_diagonal(transition, 1.0 - leaving * (n_components - 1))
    if unit is None:
        return transition
    return np.asarray((transition - np.eye(n_components)) / unit)


def pseudo_changes(n_components: int, stickiness: float, unit: float | None) -> NDArray[np.float64]:
    """The prior's changes [from, to], shape (K, K), on the diagonal its stays, or their time.

    One visit to each component, of ``stickiness`` points: a Dirichlet prior on the rows of a
    transition matrix, a gamma prior on rates.
    """
    pseudo = np.full((n_components, n_components), 1.0 / max(n_components - 1, 1))
    np.fill_diagonal(pseudo, stickiness * (1.0 if unit is None else unit))
    return pseudo if stickiness > 0.0 else np.zeros_like(pseudo)


def climb(
    stream: _kernel.ChainStream,
    X: NDArray[np.float64],
    between: NDArray[np.float64],
    max_iter: int = 200,
    min_gain: float = 1e-7,
) -> float:
    """EM steps on a series until one gains less than so many nats a point (Baum et al. 1970).

    Parameters
    ----------
    stream
        Parameters to begin with. The statistics of the last ones are left accumulated in it.
    X
        Rows, shape (n, D), NaN for what is missing.
    between
        Seconds since the row before, shape (n,); not used by a chain without times.

    Returns
    -------
    float
        Mean log-likelihood of a row given those before it, in nats.

    Notes
    -----
    O(max_iter * n (K^4 + K^3 D^2)), in memory independent of n.
    """
    rows, seconds = flat(X), flat(between)
    log_likelihood = stream.accumulate(rows, len(X), seconds) / len(X)
    for _ in range(max_iter):
        before = log_likelihood
        stream.update_parameters()
        log_likelihood = stream.accumulate(rows, len(X), seconds) / len(X)
        if abs(log_likelihood - before) < min_gain:
            break
    return log_likelihood
