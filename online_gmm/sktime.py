"""`Segmenter` as a detector of sktime.

Needs sktime: ``pip install 'online-gmm[sktime]'``.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

try:
    from sktime.detection.base import BaseDetector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.sktime needs sktime: pip install 'online-gmm[sktime]'", name=error.name
    ) from None

from online_gmm.segmentation.found import MAX_REGIMES
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.whole import regimes_of_rows


class RegimeDetector(BaseDetector):  # type: ignore[misc]
    """Find the regimes of a series, and their number.

    ``fit`` and ``update`` learn a series and what comes after it. ``predict`` segments a series in
    hindsight, with the regimes known by then: one that is like a known one has its number. What
    ``predict`` learns on the way is not kept.

    Parameters
    ----------
    window : int, default=None
        The number of points that tells regimes apart, at least 4. None to find it from the data.
    max_regimes : int, default=64
        How many regimes there are at most.
    confirm : float, default=1.0
        The evidence that a change needs, as a multiple of the usual.

    Attributes
    ----------
    segmenter_ : Segmenter
        The segmenter beneath, for its own methods.

    See Also
    --------
    online_gmm.Segmenter : The segmenter itself, a point at a time.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from online_gmm.sktime import RegimeDetector
    >>> rng = np.random.default_rng(2)
    >>> X = pd.DataFrame({"flow": rng.normal(np.repeat([0.0, 9.0, 0.0], 300), 1.0)})
    >>> RegimeDetector().fit_predict(X)
            ilocs  labels
    0    [0, 301)       0
    1  [301, 600)       1
    2  [600, 900)       0
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "online-gmm",
        "maintainers": "online-gmm",
        "task": "segmentation",
        "learning_type": "unsupervised",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:update": True,
        "fit_is_empty": False,
        "X_inner_mtype": "pd.DataFrame",
    }

    def __init__(
        self,
        window: int | None = None,
        max_regimes: int = MAX_REGIMES,
        confirm: float = 1.0,
    ) -> None:
        self.window = window
        self.max_regimes = max_regimes
        self.confirm = confirm
        super().__init__()

    def _fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        self.segmenter_ = Segmenter(
            window=self.window,
            max_regimes=self.max_regimes,
            confirm=self.confirm,
            features=tuple(range(X.shape[1])),
        )
        return self._update(X)

    def _update(self, X: pd.DataFrame, y: Any = None) -> Self:
        self.segmenter_.learn_many(X.to_numpy(dtype=np.float64))
        return self

    def _predict(self, X: pd.DataFrame) -> pd.DataFrame:
        segmenter = copy.deepcopy(self.segmenter_)
        labels = regimes_of_rows(segmenter, X.to_numpy(dtype=np.float64))
        starts = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1))
        ends = np.append(starts[1:], len(labels))
        return pd.DataFrame(
            {
                "ilocs": pd.IntervalIndex.from_arrays(starts, ends, closed="left"),
                "labels": labels[starts],
            }
        )

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters for sktime's own tests."""
        return [{}, {"window": 4, "max_regimes": 3}]
