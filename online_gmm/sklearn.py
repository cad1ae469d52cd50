"""Scikit-learn's API over the streaming learners: ``fit``, ``partial_fit``, ``predict``.

Needs scikit-learn: ``pip install 'online-gmm[sklearn]'``.
"""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from sklearn.base import BaseEstimator, DensityMixin, _fit_context
    from sklearn.utils import check_random_state
    from sklearn.utils._param_validation import Interval, StrOptions
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.sklearn needs scikit-learn: pip install 'online-gmm[sklearn]'", name=error.name
    ) from None

from online_gmm.em.mixture import MixtureParameters, n_parameters
from online_gmm.em.step_size import HalfLife
from online_gmm.learners.gmm import OnlineGMM

CHUNK = 65_536
"""Rows learnt at a time by ``fit``."""


class StreamingGaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture that can learn in parts, with the methods of scikit-learn's.

    ``partial_fit`` learns more rows in one pass by incremental EM (`OnlineGMM`). ``fit`` starts
    afresh, learns all rows in one pass, and ends with one exact EM step on them. A NaN is a missing
    value; it is marginalised out.

    Parameters
    ----------
    n_components : int, default=1
        K, the number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Each component has its own covariance matrix (``full``), all share one (``tied``), or each
        has a variance per feature (``diag``) or a single one (``spherical``).
    warm_up : int, default=200
        Rows that are fitted together by batch EM before the stream goes on. Until so many have come
        ``partial_fit`` keeps them, and answers come from a batch fit of those. Choose more if 200
        rows do not show every component.
    half_life : float, default=None
        Points after which an old point counts half. None weighs all points alike, for data that
        does not change.
    n_init : int, default=12
        EM starts tried in the warm start: half k-means++, half random.
    prior_strength : float, default=1e-3
        Pseudo-points with the variance of the data that each component is born with; keeps
        components from collapsing.
    random_state : int, RandomState or None, default=None
        Makes the warm start repeatable; nothing after it is random.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
    means_ : ndarray of shape (K, D)
    covariances_ : ndarray
        Of shape (K, D, D), (D, D), (K, D) or (K,), by covariance type, as in scikit-learn.
    mixture_ : MixtureParameters
        The same as a value, covariances written out.
    learner_ : OnlineGMM
        The learner beneath, for its river methods.
    n_samples_seen_ : int
        Rows learnt so far, without those that have no value at all.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (D,)
        Only if X is a frame whose columns are named by strings.

    See Also
    --------
    online_gmm.OnlineGMM : The learner itself, a point at a time, with river's API.
    sklearn.mixture.GaussianMixture : Batch EM: better when all data is there and fits in memory.

    Notes
    -----
    Cost per row: O(K D^2) for ``full``, O(K D) for ``diag``. Memory: O(K D^2) and 1,600 rows kept.

    References
    ----------
    Cappe, O. & Moulines, E. (2009). On-line expectation-maximization algorithm for latent data
    models. Journal of the Royal Statistical Society B 71(3), 593-613.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.sklearn import StreamingGaussianMixture
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(rng.choice([1.0, 9.0], size=(4000, 1)), 1.0)
    >>> model = StreamingGaussianMixture(2, random_state=1)
    >>> for part in np.split(X, 4):
    ...     model = model.partial_fit(part)
    >>> model.means_.round(1).ravel()
    array([1., 9.])
    >>> model.predict([[1.5], [8.0]])
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "warm_up": [Interval(Integral, 1, None, closed="left")],
        "half_life": [None, Interval(Real, 0, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "prior_strength": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        warm_up: int = 200,
        half_life: float | None = None,
        n_init: int = 12,
        prior_strength: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.warm_up = warm_up
        self.half_life = half_life
        self.n_init = n_init
        self.prior_strength = prior_strength
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn all rows afresh.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows in the order of the stream. NaN is a missing value.
        y : None
            Ignored.

        Returns
        -------
        StreamingGaussianMixture
            This model.

        Raises
        ------
        ValueError
            If there are fewer rows than components, or values that are no finite numbers.
        """
        rows = self._rows(X, reset=True)
        if len(rows) < self.n_components:
            raise ValueError(
                f"n_samples={len(rows)} should be >= n_components={self.n_components}: a component "
                "needs at least one row"
            )
        self.learner_ = self._new_learner()
        self._learn(rows)
        if not self.learner_.is_started:
            self.learner_.fit_start()
        if self.half_life is None:
            self.learner_.polish(rows)
        self._read_out()
        return self

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn more rows, after those learnt before.

        Parameters
        ----------
        X : array-like of shape (n, D)
            The rows that come next. NaN is a missing value.
        y : None
            Ignored.

        Returns
        -------
        StreamingGaussianMixture
            This model.
        """
        first = not hasattr(self, "learner_")
        rows = self._rows(X, reset=first)
        if first:
            self.learner_ = self._new_learner()
        self._learn(rows)
        self._read_out()
        return self

    def fit_predict(self, X: ArrayLike, y: None = None) -> NDArray[np.int64]:
        """Learn all rows afresh and return their labels, as ``fit(X).predict(X)``."""
        labels: NDArray[np.int64] = self.fit(X).predict(X)
        return labels

    def _new_learner(self) -> OnlineGMM:
        random = self.random_state
        seed = (
            int(check_random_state(random).randint(2**31 - 1))
            if random is not None and not isinstance(random, Integral)
            else random
        )
        return OnlineGMM(
            self.n_components,
            covariance_type=self.covariance_type,
            warm_up=self.warm_up,
            step_size=None if self.half_life is None else HalfLife(self.half_life),
            n_init=self.n_init,
            prior_strength=self.prior_strength,
            features=tuple(range(self.n_features_in_)),
            seed=seed if seed is None else int(seed),
        )

    def _rows(self, X: ArrayLike, reset: bool) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = validate_data(
            self, X, reset=reset, dtype=np.float64, order="C", ensure_all_finite="allow-nan"
        )
        return rows

    def _learn(self, rows: NDArray[np.float64]) -> None:
        for begin in range(0, len(rows), CHUNK):
            self.learner_.learn_many(rows[begin : begin + CHUNK])

    def _read_out(self) -> None:
        learner = self.learner_
        self.n_samples_seen_ = learner.n_points
        if not learner.is_started:
            learner = copy.deepcopy(learner)
            learner.fit_start()
        mixture = self.mixture_ = learner.mixture
        self.weights_, self.means_ = mixture.weights, mixture.means
        self.covariances_ = _as_sklearn_has_them(mixture.covariances, self.covariance_type)

    # -- answers --------------------------------------------------------------------------------

    def _known(self, X: ArrayLike) -> tuple[MixtureParameters, NDArray[np.float64]]:
        check_is_fitted(self)
        return self.mixture_, self._rows(X, reset=False)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable component of each row, shape (n,)."""
        mixture, rows = self._known(X)
        return mixture.predict(rows)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each component for each row, shape (n, K)."""
        mixture, rows = self._known(X)
        return mixture.predict_proba(rows)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the log density of each row in nats, shape (n,)."""
        mixture, rows = self._known(X)
        return mixture.score_samples(rows)

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


def _as_sklearn_has_them(
    covariances: NDArray[np.float64], covariance_type: str
) -> NDArray[np.float64]:
    """Covariances of shape (K, D, D) in the shape that scikit-learn gives this type."""
    result: NDArray[np.float64] = covariances
    if covariance_type == "tied":
        result = covariances[0]
    elif covariance_type != "full":
        result = np.diagonal(covariances, axis1=1, axis2=2)
        if covariance_type == "spherical":
            result = result[:, 0]
    return result
