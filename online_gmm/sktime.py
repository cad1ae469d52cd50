"""`Segmenter` as a detector of sktime.

Needs sktime: ``pip install 'online-gmm[sktime]'``.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

try:
    from sktime.detection.base import BaseDetector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.sktime needs sktime: pip install 'online-gmm[sktime]'", name=error.name
    ) from None

from online_gmm.data.columns import not_a_number, refuse_times
from online_gmm.data.counted import counted
from online_gmm.segmentation.found import MAX_REGIMES
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.whole import regimes_of_rows
from online_gmm.segmentation.window_of_time import must_be_points


class RegimeDetector(BaseDetector):  # type: ignore[misc]
    """Find the regimes of a series, and their number.

    ``fit`` and ``update`` learn a series and what comes after it. ``predict`` segments a series in
    hindsight, with the regimes known by then: one that is like a known one has its number. What
    ``predict`` learns on the way is not kept. Columns are known by their names; a series of one
    column may have any. Points count, not their times.

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
    0    [0, 300)       0
    1  [300, 600)       1
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
        # panels come as lists, to be refused with a reason
        "X_inner_mtype": ["pd.DataFrame", "df-list"],
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

    def _fit(self, X: Any, y: Any = None) -> Self:
        must_be_points(self.window)
        frame = _one_series(X)
        self._columns = list(frame.columns)
        # sktime's own `update` combines it with a frame, and has kept what was given
        self._X = frame
        self.segmenter_ = Segmenter(
            window=self.window,
            max_regimes=self.max_regimes,
            confirm=self.confirm,
            features=tuple(range(frame.shape[1])),
        )
        return self._update(frame)

    def _update(self, X: Any, y: Any = None) -> Self:
        self.segmenter_.learn_many(self._rows(X))
        return self

    def _rows(self, X: Any) -> NDArray[np.float64]:
        """The numbers of a series, its columns in the order of the first one."""
        frame, known = _one_series(X), self._columns
        names = list(frame.columns)
        if names != known and len(known) > 1:
            if set(names) != set(known):
                raise ValueError(
                    f"X has the columns {', '.join(map(repr, names))}; the detector was fitted to "
                    f"{', '.join(map(repr, known))}"
                )
            frame = frame[known]
        refuse_times(frame)
        try:
            return frame.to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{not_a_number(frame)} ({error})") from None

    def _predict(self, X: Any) -> pd.DataFrame:
        segmenter = copy.deepcopy(self.segmenter_)
        labels = regimes_of_rows(segmenter, self._rows(X))
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


def _one_series(X: Any) -> pd.DataFrame:
    """A series as a frame; `predict_points` and `predict_segments` hand it on as it was given."""
    n = None
    if isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex):
        n = X.index.get_level_values(0).nunique()
    elif isinstance(X, list) or np.ndim(X) == 3:
        n = len(X)
    if n is not None:
        raise TypeError(
            f"X is a panel, of {counted(n, 'series')}, and one series is expected; fit a "
            "RegimeDetector to each"
        )
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
