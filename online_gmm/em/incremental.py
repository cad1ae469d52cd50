"""Incremental EM over a finite series: a point's statistics are replaced when it is revisited."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import flat
from online_gmm.em.mixture import MixtureParameters, from_kernel, posterior, to_kernel
from online_gmm.em.prior import Prior


@dataclass(frozen=True, eq=False)
class IncrementalFit:
    """Where incremental EM came to.

    Parameters
    ----------
    mixture
        The parameters after the last pass.
    free_energy
        Mean per row, in nats, with the prior: after each pass; never falls.
    log_likelihood
        Mean per row, in nats, without the prior.
    """

    mixture: MixtureParameters
    free_energy: tuple[float, ...]
    log_likelihood: float

    @property
    def n_passes(self) -> int:
        return len(self.free_energy)


def fit(
    X: NDArray[np.float64],
    start: MixtureParameters,
    prior: Prior,
    covariance_type: str = "full",
    n_passes: int = 60,
    tol: float = 0.0,
) -> IncrementalFit:
    """Run Neal & Hinton's incremental EM.

    It has the fixed points of batch EM and needs about half the passes. The E-step of each point is
    followed by an M-step at once. Both raise the free energy
    F(R, theta) = sum r (log w N(x) - log r) + log prior. If the responsibilities R are those of
    theta, it is the penalised log-likelihood.

    Parameters
    ----------
    X : array of shape (n, D)
        Rows without missing values.
    start : MixtureParameters
        The parameters of the first E-step.
    prior : Prior
        The prior of every M-step.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        The shape of covariances: a matrix for each component, one matrix for all, a variance for
        each feature, or one variance for each component.
    n_passes : int, default 60
        The largest number of passes. Each costs O(n K D^3); memory is O(n K).
    tol : float, default 0
        EM stops when a pass raises the free energy by less than this, in nats.

    Returns
    -------
    IncrementalFit

    References
    ----------
    Neal, R. M. & Hinton, G. E. (1998). A view of the EM algorithm that justifies incremental,
    sparse, and other variants. In Learning in Graphical Models, 355-368.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import MixtureParameters
    >>> from online_gmm.em import incremental
    >>> from online_gmm.em.prior import Prior
    >>> X = np.concatenate([np.linspace(-4, -2, 50), np.linspace(2, 4, 50)])[:, None]
    >>> start = MixtureParameters([0.5, 0.5], [[-1.0], [1.0]], [[[4.0]], [[4.0]]])
    >>> fitted = incremental.fit(X, start, Prior.of(X, 2, strength=0.0), n_passes=20)
    >>> fitted.mixture.means.round(3).ravel()
    array([-3.,  3.])
    """
    if np.isnan(X).any():
        row = int(np.argmax(np.isnan(X).any(axis=1)))
        raise ValueError(
            f"row {row} has a missing value, which incremental EM does not take; batch.fit does"
        )
    n = len(X)
    rows = flat(X)
    components = to_kernel(
        start, covariance_type, prior.strength, prior.covariance, 0.0, prior.floors
    )
    shares = flat(posterior(components, X)[0])
    history: list[float] = []
    while True:
        # afresh each pass, so that rounding does not add up
        components.collect(rows, n, shares)
        components.revisit(rows, n, shares)
        mixture = from_kernel(components, start.features)
        free_energy, log_likelihood = _free_energy(components, X, shares)
        free_energy += prior.log_density(mixture, covariance_type) / n
        history.append(free_energy)
        risen = history[-1] - history[-2] if len(history) > 1 else np.inf
        if len(history) >= n_passes or risen < tol:
            return IncrementalFit(mixture, tuple(history), log_likelihood)


def _free_energy(
    components: _kernel.Components, X: NDArray[np.float64], shares: array[float]
) -> tuple[float, float]:
    """Mean free energy without the prior, and mean log-likelihood.

    F = log-likelihood - KL(R || the responsibilities of the parameters).
    """
    from scipy.special import xlogy

    responsibilities, log_density, _ = posterior(components, X)
    held = np.frombuffer(shares).reshape(responsibilities.shape)
    # xlogy takes 0 log 0 for 0; responsibilities below 1e-304 are rounded to nothing
    terms = xlogy(held, held) - xlogy(held, np.maximum(responsibilities, 1e-304))
    return float(log_density.mean() - terms.sum() / len(X)), float(log_density.mean())
