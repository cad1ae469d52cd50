"""`OnlineGMM` as a scikit-learn estimator."""

from __future__ import annotations

import copy
import math
import warnings
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from online_gmm.data.frames import column_means
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.step_size import HalfLife
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.sklearn.mixture_answers import MixtureAnswers

CHUNK = 65_536
"""Rows learnt at a time by ``fit``."""
SAMPLE = 2000
"""Rows, evenly thinned, that ``fit`` starts from, or ``warm_up`` if that is more."""

InitParams = Literal["auto", "kmeans", "k-means++", "random", "random_from_data"]


class StreamingGaussianMixture(MixtureAnswers):
    """Gaussian mixture that can learn in parts, with the methods of scikit-learn's.

    ``partial_fit`` learns more rows in one pass by incremental EM (`OnlineGMM`). ``fit`` starts
    afresh, learns all rows in one pass, and ends with one exact EM step on them. A NaN is a missing
    value; it is marginalised out.

    Parameters
    ----------
    n_components : int, default=1
        K, the number of components. There are K from the start.
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
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        How the warm start begins. ``auto`` tries ``n_init`` starts, half k-means++, half random.
        The others are those of `sklearn.mixture.GaussianMixture`, tried ``n_init`` times.
    n_init : int, default=12
        EM starts tried in the warm start; the likeliest is taken.
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
        "init_params": [StrOptions({"auto", "kmeans", "k-means++", "random", "random_from_data"})],
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
        init_params: InitParams = "auto",
        n_init: int = 12,
        prior_strength: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.warm_up = warm_up
        self.half_life = half_life
        self.init_params = init_params
        self.n_init = n_init
        self.prior_strength = prior_strength
        self.random_state = random_state

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
        if self.half_life is None:
            seen = ~np.isnan(rows).all(axis=1)
            stride = math.ceil(seen.sum() / max(self.warm_up, SAMPLE, self.n_components))
            first = seen & (np.cumsum(seen) % max(stride, 1) == 0)
            self.learner_.fit_start(rows[first])
            self._learn(rows[~first])
            self.learner_.polish(rows)
        else:
            self._learn(rows)
            if not self.learner_.is_started:
                self.learner_.fit_start()
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
        learner = OnlineGMM(
            self.n_components,
            covariance_type=self.covariance_type,
            warm_up=self.warm_up,
            step_size=None if self.half_life is None else HalfLife(self.half_life),
            n_init=self.n_init,
            prior_strength=self.prior_strength,
            features=tuple(range(self.n_features_in_)),
            seed=seed if seed is None else int(seed),
        )
        # scikit-learn's mixtures have K components from the start
        learner._has_all_at_start = True
        if self.init_params != "auto":
            learner._first = partial(
                _as_sklearn_begins,
                init_params=self.init_params,
                n_components=self.n_components,
                covariance_type=self.covariance_type,
                n_init=self.n_init,
                seed=learner.seed,
            )
        return learner

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


def _as_sklearn_begins(
    rows: NDArray[np.float64],
    init_params: str,
    n_components: int,
    covariance_type: str,
    n_init: int,
    seed: int | None,
) -> MixtureParameters:
    """Return the mixture after the first step of scikit-learn's EM; missing values are means."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    filled = np.where(np.isnan(rows), column_means(rows), rows)
    k, d = n_components, rows.shape[1]
    batch = GaussianMixture(
        k,
        covariance_type=covariance_type,
        init_params=init_params,
        max_iter=1,
        n_init=n_init,
        reg_covar=max(1e-6 * float(filled.var(axis=0).max()), 1e-12),
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        batch.fit(filled)
    its = batch.covariances_
    if covariance_type == "spherical":
        its = its[:, None, None] * np.eye(d)
    elif covariance_type == "diag":
        its = its[:, :, None] * np.eye(d)
    return MixtureParameters(
        batch.weights_, batch.means_, np.broadcast_to(its, (k, d, d)), tuple(range(d))
    )


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
