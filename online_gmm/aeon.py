"""`Segmenter` as a segmenter of aeon.

Needs aeon: ``pip install 'online-gmm[aeon]'``.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

try:
    from aeon.segmentation.base import BaseSegmenter
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.aeon needs aeon: pip install 'online-gmm[aeon]'", name=error.name
    ) from None

from online_gmm.data.counted import counted
from online_gmm.segmentation.found import MAX_REGIMES
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.whole import regimes_of_rows
from online_gmm.segmentation.window_of_time import must_be_points


class RegimeSegmenter(BaseSegmenter):  # type: ignore[misc]
    """Find the regimes of a series, and their number.

    ``predict`` returns the regime of each time point in hindsight: a regime that returns has its
    number again (the tag ``returns_dense`` is False). Each series is segmented afresh. As in all
    of aeon, each row of X is a channel; a frame or an array with a row for each time point needs
    ``axis=0``.

    Parameters
    ----------
    window : int, default=None
        The number of points that tells regimes apart, at least 4. None to find it from the data.
    max_regimes : int, default=64
        How many regimes there are at most.
    confirm : float, default=1.0
        The evidence that a change needs, as a multiple of the usual.

    See Also
    --------
    online_gmm.Segmenter : The segmenter itself, a point at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.aeon import RegimeSegmenter
    >>> rng = np.random.default_rng(2)
    >>> X = rng.normal(np.repeat([0.0, 9.0, 0.0], 300), 1.0)
    >>> labels = RegimeSegmenter().fit_predict(X)
    >>> labels[[0, 299, 300, 599, 600]]
    array([0, 0, 1, 1, 0])
    """

    _tags: ClassVar[dict[str, Any]] = {
        "X_inner_type": "np.ndarray",
        "capability:univariate": True,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "fit_is_empty": True,
        "returns_dense": False,
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
        super().__init__(n_segments=None, axis=0)

    def _predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        must_be_points(self.window)
        n, n_channels = len(X), X[0].size
        if n_channels > n:
            warnings.warn(
                f"X is taken as {counted(n_channels, 'channels')} of {counted(n, 'points')} each; "
                "if its rows are time points, say axis=0",
                stacklevel=4,
            )
        segmenter = Segmenter(
            window=self.window, max_regimes=self.max_regimes, confirm=self.confirm
        )
        return regimes_of_rows(segmenter, np.asarray(X, dtype=np.float64))

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"window": 4, "max_regimes": 3}
