"""How long regimes last, and how large steps may then be.

With steps gamma a stream knows about the last 1 / gamma points. If a regime lasts as long, it
replaces what is known of the others: their weights decay, and the first points of a regime that
comes back then replace most of its own statistics. Steps far below 1 / t, where t is the time
constant of regimes, do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import view

LASTING = 0.2
"""Autocorrelation of successive responsibilities below which regimes are not seen to last."""
LEAST = 1e-3
"""Fall from one lag to the next at most; beyond it is noise."""
SHARE = 1 / 6
"""Largest step, times the time constant of regimes."""


def time_constant(responsibilities: NDArray[np.float64]) -> float:
    """Return after how many points a regime is forgotten, to a factor 1 / e.

    The autocovariance of responsibilities falls as that of a Markov chain does, c(l) = b exp(-l/t),
    where b leaves out the noise of each point. Two lags, the second twice the first, tell t.

    Parameters
    ----------
    responsibilities : array of shape (n, K)
        Of points in their order.

    Returns
    -------
    float
        In points; 0 if regimes are not seen to last longer than a point.

    Notes
    -----
    O(n K) for each of a few lags.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm.em.persistence import time_constant
    >>> rng = np.random.default_rng(1)
    >>> stays = np.repeat(rng.integers(0, 3, 200), rng.geometric(1 / 50, 200))
    >>> bool(25 < time_constant(np.eye(3)[stays]) < 75)
    True
    >>> time_constant(np.eye(3)[rng.permutation(stays)])
    0.0
    """
    n, k = responsibilities.shape
    if n < 4:
        return 0.0
    return float(_kernel.time_constant(view(responsibilities), k, LASTING, LEAST))
