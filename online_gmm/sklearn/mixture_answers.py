"""What estimators with a mixture answer, as scikit-learn's own mixtures do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from online_gmm.data.columns import not_a_number, refuse_times
from online_gmm.em.mixture import (
    CovarianceType,
    MixtureParameters,
    densities_of,
    labels_of,
    n_parameters,
    responsibilities_of,
)


class MixtureAnswers(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The methods that follow from ``mixture_``; ``covariance_type`` counts its parameters."""

    covariance_type: CovarianceType = "full"
    random_state: Any
    mixture_: MixtureParameters

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _rows(self, X: ArrayLike, reset: bool) -> NDArray[np.float64]:
        refuse_times(X)
        try:
            rows: NDArray[np.float64] = validate_data(
                self, X, reset=reset, dtype=np.float64, order="C", ensure_all_finite="allow-nan"
            )
        except (TypeError, ValueError) as error:
            if problem := not_a_number(X):
                raise type(error)(f"{problem} ({error})") from None
            raise
        return rows

    def _known(self, X: ArrayLike) -> tuple[MixtureParameters, NDArray[np.float64]]:
        check_is_fitted(self)
        return self.mixture_, self._rows(X, reset=False)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable component of each row by itself, shape (n,)."""
        mixture, rows = self._known(X)
        return labels_of(mixture, rows)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each component for each row, shape (n, K)."""
        mixture, rows = self._known(X)
        return responsibilities_of(mixture, rows)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the log density of each row in nats, shape (n,)."""
        mixture, rows = self._known(X)
        return densities_of(mixture, rows)

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Return the mean log density of the rows, in nats."""
        return float(self.score_samples(X).mean())

    def bic(self, X: ArrayLike) -> float:
        """Return the Bayesian information criterion on these rows; the lower, the better."""
        n = len(densities := self.score_samples(X))
        return float(-2 * densities.sum() + self._n_parameters() * np.log(n))

    def aic(self, X: ArrayLike) -> float:
        """Return the Akaike information criterion on these rows; the lower, the better."""
        return float(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())

    def _n_parameters(self) -> int:
        return n_parameters(
            self.mixture_.n_components, self.mixture_.n_features, self.covariance_type
        )

    def sample(self, n_samples: int = 1) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw rows from the mixture: an (n_samples, D) array, and the component of each.

        Raises
        ------
        ValueError
            If ``n_samples`` is less than 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples is {n_samples!r}; it must be at least 1")
        random = check_random_state(self.random_state)
        return self.mixture_.sample(n_samples, int(random.randint(2**31 - 1)))
