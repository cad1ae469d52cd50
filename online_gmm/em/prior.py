"""The inverse-Wishart prior on covariances, scaled to the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_gmm.em.mixture import MixtureParameters


@dataclass(frozen=True, eq=False)
class Prior:
    """Each component is born with a few pseudo-points that have the data's own variance.

    The covariance of a component with n_k points of scatter S is read out as
    ``(n_k S + strength C) / (n_k + strength)``, the maximum a posteriori under a prior density
    proportional to ``|Sigma|^(-strength/2) exp(-strength tr(C Sigma^-1) / 2)``. C is diagonal, with
    the variances of the features over K^(2/D) (Fraley & Raftery 2007, section 3), so that data in
    other units get the same answer in those units.

    Parameters
    ----------
    strength
        Pseudo-points per component.
    variances
        The diagonal of C, shape (D,), positive.
    scale_known
        False if a feature never varied, so that its scale is a guess.
    """

    strength: float
    variances: NDArray[np.float64]
    scale_known: bool = True

    @classmethod
    def of(cls, X: NDArray[np.float64], n_components: int, strength: float) -> Prior:
        """The prior for data of shape (n, D); NaN stands for a missing value. O(n D)."""
        variances, values = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for j, column in enumerate(X.T):
            observed = column[~np.isnan(column)]
            if observed.size:
                # against the first value a constant column has variance 0 exactly
                values[j] = observed[0]
                variances[j] = np.var(observed - observed[0])
        return cls.of_moments(variances, values, n_components, strength)

    @classmethod
    def of_moments(
        cls,
        variances: NDArray[np.float64],
        values: NDArray[np.float64],
        n_components: int,
        strength: float,
    ) -> Prior:
        """The prior for data with these variances, shape (D,); see `of`.

        ``values`` are any of the data, 0 where a feature was never seen: the scale of one that does
        not vary is guessed from its value.
        """
        varies, squares = variances > 0.0, values**2
        scales = np.where(varies, variances, np.where(squares > 0.0, squares, 1.0))
        return cls(strength, scales * n_components ** (-2.0 / len(scales)), bool(varies.all()))

    def with_strength(self, strength: float) -> Prior:
        return Prior(strength, self.variances, self.scale_known)

    def log_density(self, mixture: MixtureParameters, covariance_type: str) -> float:
        """Log prior density of a mixture's covariances, but for a constant."""
        if self.strength == 0.0:
            return 0.0
        covariances = mixture.covariances[:1] if covariance_type == "tied" else mixture.covariances
        factors = np.linalg.cholesky(covariances)
        log_det = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum()
        whitened = np.linalg.solve(factors, np.diag(np.sqrt(self.variances))[None])
        return float(-self.strength / 2 * (log_det + np.square(whitened).sum()))
