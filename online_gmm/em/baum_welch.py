"""Baum-Welch: batch EM for a Gaussian hidden Markov model, on the recursion of the stream."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.slices import Meter, Sliced, finish, pass_cost

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


STEPS = 100
"""The most EM steps."""
LEAST_GAIN = 0.01
"""Nats over all rows: EM ends with a step that gains less."""


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
    O(n (K^2 + K D^2)) a step, in memory of O(n K). A chain in continuous time costs
    O(n (K^4 + K^3 D^2)) a step, and so does one that is tempered, of at most four components.
    """
    finish(climbing(stream, X, between, Meter(), max_iter, min_gain))
    total = stream.accumulate(flat(X), 0, len(X), flat(between))
    return total / len(X)


def climbing(
    stream: _kernel.ChainStream,
    X: NDArray[np.float64],
    between: NDArray[np.float64],
    meter: Meter,
    max_iter: int = STEPS,
    min_gain: float | None = None,
) -> Sliced[float]:
    """Do the same in slices; the statistics of the series are not left in the stream."""
    rows, seconds, n = flat(X), flat(between), len(X)
    k, d, kind = stream.shape
    cost = 4.0 * pass_cost(n, k, d, kind in (_kernel.FULL, _kernel.TIED))
    if not stream.is_simple:
        cost *= k * k
    least = LEAST_GAIN if min_gain is None else min_gain * n
    before = -math.inf
    for _ in range(max_iter + 1):
        total = (
            stream.expect(rows, n) if stream.is_simple else stream.accumulate(rows, 0, n, seconds)
        )
        if meter.is_full(cost):
            yield
        if abs(total - before) < least:
            break
        before = total
        stream.update_parameters()
    return total / n
