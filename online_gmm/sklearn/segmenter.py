"""`Segmenter` as a scikit-learn estimator."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from online_gmm.em.mixture import MixtureParameters
from online_gmm.segmentation.found import MAX_REGIMES
from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.whole import regimes_of_rows
from online_gmm.sklearn.mixture_answers import MixtureAnswers


class StreamingSegmenter(MixtureAnswers):
    """Find the regimes of a series, and their number, with the methods of scikit-learn.

    The rows of X are a series: their order matters. ``fit`` learns a whole series and labels it in
    hindsight (``labels_``, ``segments_``). ``partial_fit`` learns the rows that come next.
    ``predict`` and its like take each row by itself, in any order: they use the mixture of the
    regimes. A NaN is a missing value.

    Parameters
    ----------
    window : int, default=None
        The number of rows that tells regimes apart, at least 4. None to find it from the data.
    max_regimes : int, default=64
        How many regimes there are at most.
    confirm : float, default=1.0
        The evidence that a change needs, as a multiple of the usual.
    random_state : int, RandomState or None, default=None
        Makes `sample` repeatable; nothing else is random.

    Attributes
    ----------
    labels_ : ndarray of shape (n,)
        After ``fit``: the regime of each row in hindsight. After ``partial_fit``: of the rows
        learnt last, as far as it was known when they came; -1 before anything was.
    segments_ : pandas.DataFrame
        After ``fit``: a row for each segment; see `online_gmm.Segmenter.label_many`.
    regimes_ : dict of int to RegimeCard
        A card for each regime.
    classes_ : ndarray of shape (K,)
        The numbers of the regimes, in the order of the columns of ``predict_proba``.
    mixture_ : MixtureParameters
        The regimes as components of a Gaussian mixture. A series without a change is one component.
    segmenter_ : Segmenter
        The segmenter beneath, for its river methods.
    n_samples_seen_ : int
        Rows learnt so far.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (D,)
        Only if X is a frame whose columns are named by strings.

    See Also
    --------
    online_gmm.Segmenter : The segmenter itself, a point at a time, with river's API.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.sklearn import StreamingSegmenter
    >>> rng = np.random.default_rng(2)
    >>> X = rng.normal(np.repeat([0.0, 9.0, 0.0], 300), 1.0)[:, None]
    >>> model = StreamingSegmenter().fit(X)
    >>> model.segments_[["start", "label"]].to_numpy()
    array([[  0,   0],
           [300,   1],
           [600,   0]])
    >>> model.predict([[8.5], [0.5]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "window": [None, Interval(Integral, 4, None, closed="left")],
        "max_regimes": [Interval(Integral, 1, None, closed="left")],
        "confirm": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        window: int | None = None,
        *,
        max_regimes: int = MAX_REGIMES,
        confirm: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.window = window
        self.max_regimes = max_regimes
        self.confirm = confirm
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn a whole series afresh, and label it in hindsight.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows in the order of time. NaN is a missing value.
        y : None
            Ignored.

        Returns
        -------
        StreamingSegmenter
            This model.
        """
        rows = self._rows(X, reset=True)
        self.segmenter_ = self._new_segmenter()
        self.labels_ = regimes_of_rows(self.segmenter_, rows)
        self.segments_ = self.segmenter_.segments_
        self._read_out(self.segmenter_, rows)
        return self

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn more rows of the series, after those learnt before.

        Parameters
        ----------
        X : array-like of shape (n, D)
            The rows that come next. NaN is a missing value.
        y : None
            Ignored.

        Returns
        -------
        StreamingSegmenter
            This model.
        """
        first = not hasattr(self, "segmenter_")
        rows = self._rows(X, reset=first)
        if first:
            self.segmenter_ = self._new_segmenter()
        self.labels_ = self.segmenter_.label_then_learn_many(rows).labels
        self._read_out(self.segmenter_, rows)
        return self

    def fit_predict(self, X: ArrayLike, y: None = None) -> NDArray[np.int64]:
        """Learn a whole series afresh and return its labels in hindsight: ``fit(X).labels_``."""
        labels: NDArray[np.int64] = self.fit(X).labels_
        return labels

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable regime of each row by itself, shape (n,)."""
        components = super().predict(X)
        return np.asarray(self.classes_[components])

    @property
    def regimes_(self) -> dict[int, RegimeCard]:
        check_is_fitted(self)
        return self.segmenter_.regimes

    def _new_segmenter(self) -> Segmenter:
        return Segmenter(
            window=self.window,
            max_regimes=self.max_regimes,
            confirm=self.confirm,
            features=tuple(range(self.n_features_in_)),
        )

    def _read_out(self, segmenter: Segmenter, rows: NDArray[np.float64]) -> None:
        self.n_samples_seen_ = segmenter.n_points
        if segmenter.labels:
            self.mixture_ = segmenter.mixture
            self.classes_ = np.array(segmenter.labels)
        else:
            self.mixture_ = self._one_regime(segmenter, rows)
            self.classes_ = np.zeros(1, dtype=np.int64)

    def _one_regime(self, segmenter: Segmenter, rows: NDArray[np.float64]) -> MixtureParameters:
        """Return one Gaussian of all rows so far, before a regime is found."""
        if not segmenter.is_started:
            segmenter = copy.deepcopy(segmenter)
            segmenter.learner.fit_start()
        current = segmenter.current
        if current is None:
            last = self.segments_.iloc[-1]
            names = range(self.n_features_in_)
            mean = np.array([last[f"{name}_mean"] for name in names])
            sd = np.array([last[f"{name}_sd"] for name in names])
        else:
            mean, sd = (np.array([*its.values()]) for its in (current.mean, current.sd))
        mean = np.nan_to_num(mean)
        least = 1e-6 * (1.0 + np.abs(mean))
        return MixtureParameters([1.0], [mean], [np.diag(np.fmax(sd, least) ** 2)])
