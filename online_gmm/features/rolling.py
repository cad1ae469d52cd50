"""Statistics of the last points as features, so that a Gaussian learner can tell shapes apart.

Two regimes may have the same level and differ in spread, in rhythm or in correlation. A point by
itself does not show it, the last ``window`` points do:

    RollingFeatures(50, ["mean", "log_sd"]) | OnlineGMM(3)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from river import base, compose

from online_gmm import _kernel
from online_gmm.data.counted import must_be_real, must_be_whole
from online_gmm.data.frames import Table, flat, must_be_names, sorted_names
from online_gmm.data.state import Writable, names_of, plain, writable

Statistic = Literal[
    "mean",
    "log_sd",
    "autocorrelation",
    "log_difference",
    "correlation",
    "skewness",
    "rises",
    "log_roughness",
]
STATISTICS: dict[Statistic, int] = {
    "mean": _kernel.MEAN,
    "log_sd": _kernel.LOG_SD,
    "autocorrelation": _kernel.AUTOCORRELATION,
    "log_difference": _kernel.LOG_DIFFERENCE,
    "correlation": _kernel.CORRELATION,
    "skewness": _kernel.SKEWNESS,
    "rises": _kernel.RISES,
    "log_roughness": _kernel.LOG_ROUGHNESS,
}
DEFAULT: tuple[Statistic, ...] = (
    "mean",
    "log_sd",
    "autocorrelation",
    "log_difference",
    "correlation",
)
MOST_WINDOW = 10_000_000
"""Points of a window at most; all of them are kept."""
LAGGED = tuple(name for name, kind in STATISTICS.items() if kind in _kernel.LAGGED)


@writable
class RollingFeatures(base.MiniBatchTransformer, Writable):
    """Compute statistics of the last points, as features for a learner.

    Parameters
    ----------
    window : int, default 100
        How many points the statistics are of, the latest included. At least 2, at least 3 for
        statistics with a lag. It should be shorter than the shortest regime to be found.
    statistics : sequence of str
        Which statistics to compute for each feature, each once: ``"mean"``, ``"log_sd"``,
        ``"autocorrelation"``, ``"log_difference"``, ``"correlation"`` (these five by default),
        ``"skewness"``, ``"rises"`` and ``"log_roughness"``. See the notes. To begin with, choose
        ``["mean", "log_sd"]``.
    lag : int or sequence of int, default 1
        How many points lie between the two points of a pair, from 1 to ``window - 2``; for the
        autocorrelation, the log difference, the rises and the log roughness. Give several to get
        each of these statistics for each lag.
    floor : float, default 1e-12
        The smallest value of which a logarithm is taken, and the smallest standard deviation under
        a skewness, in units of the features. It should be below any difference worth telling
        apart.
    features : sequence of hashable, optional
        The names of the features to use. Others are ignored. By default all features that come.

    Notes
    -----
    A statistic of feature ``x`` is named ``x_{statistic}_{window}``, and with a lag
    ``x_{statistic}_{lag}_{window}``; a correlation is named ``x_y_correlation_{window}``.

    With x_i the values observed in the window:

    - ``"mean"``: mean(x_i), from one value on.
    - ``"log_sd"``: log max(s, floor) with s^2 = sum (x_i - mean)^2 / (n - 1), from two values on.
      If x is Gaussian this is about Gaussian, with variance 1 / (2 n).
    - ``"autocorrelation"``: the correlation of x_i with x_(i - lag), from two pairs on. Not defined
      if either is constant.
    - ``"log_difference"``: log max(mean(abs(x_i - x_(i - lag))), floor), from one pair on. Beside
      the log sd it tells slow movements from fast ones.
    - ``"correlation"``: Pearson's correlation of each pair of features, from two points on. Not
      defined if either is constant.
    - ``"skewness"``: sign(g) log(1 + abs(g)) with g = m3 / max(s, floor)^3,
      m3 = mean((x_i - mean)^3) and s^2 = mean((x_i - mean)^2), from three values on; 0 if constant.
    - ``"rises"``: the fraction of the pairs (x_i, x_(i - lag)) with x_i > x_(i - lag), from one
      pair on. Above a half for a slow rise and a fast fall.
    - ``"log_roughness"``: the log difference minus the log sd, from one pair on. It has no units.
      Use at most two of these three: any two determine the third, and their covariance would be
      singular.

    *The window* ends with the point that is transformed. ``transform_one(x)`` changes nothing and
    answers as if x had been learnt. Right after ``learn_one(x)`` of the same object, as in a
    pipeline, x counts once. So labels are right whether a pipeline predicts first or learns first.
    If another transformer before this one makes a new object of every point, predict first. Before
    the window is full, the statistics are of the points there are.

    *Missing values* (NaN, None, an absent key) are left out. A pair is left out if either value is
    missing. A statistic that is not defined is left out of the answer (in frames it is NaN),
    because river's scalers do not accept NaN; the learners of this package treat both as missing.

    *Cost*: O(D) per point, statistic and lag, with D features, whatever the window; O(D^2) for
    correlations. Sums are recomputed after every ``window`` points, so that errors do not add up:
    the relative error is about 1e-15 times the number of points, at any offset. Memory: 32 bytes
    for each point of the window, feature, statistic and lag; 40 for a skewness, 56 for correlations
    of either kind.

    *Many points*: ``learn_many(X)`` is ``learn_one`` of each row. ``transform_many(X)`` answers as
    if the rows had been learnt one after the other. Right after ``learn_many(X)`` of the same X
    they count once; X is held until the next point is learnt.

    Examples
    --------
    >>> from online_gmm import RollingFeatures
    >>> rolling = RollingFeatures(window=4, statistics=("mean", "log_sd"))
    >>> for x in (7.0, 1.0, 3.0, 1.0):
    ...     rolling.learn_one({"x": x})
    >>> rolling.transform_one({"x": 3.0})
    {'x_mean_4': 2.0, 'x_log_sd_4': 0.1438...}

    >>> rolling = RollingFeatures(window=4, statistics=("skewness", "rises"), lag=(1, 2))
    >>> for x in (0.0, 0.0, 4.0):
    ...     rolling.learn_one({"x": x})
    >>> rolling.transform_one({"x": 0.0})
    {'x_skewness_4': 0.7676..., 'x_rises_1_4': 0.3333..., 'x_rises_2_4': 0.5}
    """

    def __init__(
        self,
        window: int = 100,
        statistics: Sequence[Statistic] = DEFAULT,
        lag: int | Sequence[int] = 1,
        floor: float = 1e-12,
        features: Sequence[Hashable] | None = None,
    ) -> None:
        self.window = window
        self.statistics = statistics
        self.lag = lag
        self.floor = floor
        self.features = features
        self._prepare()

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"window": 10}
        yield {"window": 2, "statistics": ("mean", "correlation")}
        yield {"window": 30, "lag": 3, "features": ["gallup", "ipsos"]}
        statistics = ("mean", "skewness", "rises", "log_roughness")
        yield {"window": 20, "statistics": statistics, "lag": (1, 4)}

    def _prepare(self) -> None:
        """Check the parameters, and begin with nothing."""
        statistics, lag, floor = self.statistics, self.lag, self.floor
        must_be_names("statistics", statistics)
        unknown = [name for name in statistics if name not in STATISTICS]
        if unknown:
            raise ValueError(
                f"there is no statistic {unknown[0]!r}; there are "
                f"{', '.join(map(repr, STATISTICS))}"
            )
        if len(set(statistics)) != len(statistics):
            raise ValueError(f"statistics are {list(statistics)!r}; each may be there once")
        must_be_whole("window", self.window, 2, MOST_WINDOW)
        lags = tuple(lag) if isinstance(lag, Iterable) else (lag,)
        if not lags:
            raise ValueError(f"lag is {lag!r}; at least one is needed")
        for one in lags:
            if one not in range(1, max(self.window - 2, 1) + 1):
                raise ValueError(
                    f"lag is {one!r}; it must be a whole number of at least 1, and below the "
                    f"window of {self.window} by 2 so that there are pairs in it"
                )
        if len(set(lags)) != len(lags):
            twice = next(one for one in lags if lags.count(one) > 1)
            raise ValueError(f"lag is {twice!r} more than once")
        if any(name in LAGGED for name in statistics) and self.window < 3:
            raise ValueError(
                f"window is {self.window!r}; statistics with a lag need at least 3 points"
            )
        if "skewness" in statistics and self.window < 3:
            raise ValueError(f"window is {self.window!r}; a skewness needs at least 3 points")
        must_be_real("floor", floor, "a finite number above 0", lambda its: 0.0 < its < math.inf)
        features = self.features
        if features is not None:
            must_be_names("features", features)
            if len(set(features)) != len(features):
                raise ValueError(f"features are {list(features)!r}; each may be there once")
        self._statistics = tuple(statistics)
        self._lags = tuple(int(one) for one in lags)
        self._floor = float(floor)
        self._windows = self._over(() if features is None else tuple(features))
        self._batch: tuple[Any, NDArray[np.float64], NDArray[np.float64]] | None = None

    def _keys(self, names: tuple[Hashable, ...]) -> tuple[str, ...]:
        """Return the names of the statistics of these features."""
        keys = []
        for statistic in self._statistics:
            lagged = [f"{statistic}_{lag}" for lag in self._lags]
            for suffix in lagged if statistic in LAGGED else [statistic]:
                for i, j in _kernel.columns_of(STATISTICS[statistic], len(names)):
                    of = f"{names[i]}" if i == j else f"{names[i]}_{names[j]}"
                    keys.append(f"{of}_{suffix}_{self.window}")
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(
                f"two features would both be called {twice!r}; rename one of "
                f"{', '.join(map(repr, names))}"
            )
        return tuple(keys)

    def _over(self, names: tuple[Hashable, ...]) -> _kernel.Windows:
        """Return a kernel over these features, with no points."""
        return _kernel.Windows(
            names,
            self._keys(names),
            self.features is not None,
            self.window,
            self._lags,
            self._floor,
            tuple(STATISTICS[name] for name in self._statistics),
        )

    def _with(self, names: Sequence[Hashable]) -> _kernel.Windows:
        """Return the kernel, or one with the same points that knows these features too."""
        windows = self._windows
        known = windows.known
        if self.features is not None or set(names) <= set(known):
            return windows
        wider = self._over(sorted_names(dict.fromkeys([*known, *names])))
        if known:
            points = np.frombuffer(windows.points()).reshape(-1, len(known))
            place = {name: j for j, name in enumerate(known)}
            rows = np.full((len(points), len(wider.known)), np.nan)
            for j, name in enumerate(wider.known):
                if name in place:
                    rows[:, j] = points[:, place[name]]
            wider.learn(flat(rows), len(rows))
        return wider

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Add a point to the window: a mapping of feature names to real numbers.

        Raises
        ------
        TypeError, ValueError
            If a feature has a value that is no finite real number, or is beyond 1e150. The message
            names the feature; the window is unchanged.
        """
        if not self._windows.learn_one(x):
            windows = self._with(tuple(x.keys()))
            windows.learn_one(x)
            self._windows = windows
        self._batch = None

    def transform_one(self, x: Mapping[Any, Any]) -> dict[Hashable, float]:
        """Return the statistics of the window that ends with x, as far as they are defined.

        Raises
        ------
        TypeError, ValueError
            As in `learn_one`.
        """
        learnt = compose.Pipeline._LEARN_UNSUPERVISED_DURING_PREDICT
        result = self._windows.transform_one(x, learnt)
        if result is None:
            result = self._with(tuple(x.keys())).transform_one(x, False)
            assert result is not None
        return result

    def learn_many(self, X: Any) -> None:
        """Add the rows of a frame or an array, one after the other.

        Raises
        ------
        TypeError, ValueError
            As in `learn_one`; the message names the row too. No row is added then.
        """
        windows, _, values = self._rows(X)
        answer = self._answer(windows, values)
        self._windows = windows
        self._batch = (X, values.copy(), answer)

    def transform_many(self, X: Any) -> Any:
        """Return the statistics of the windows that end with each row, NaN where not defined.

        O(window) more than the rows by themselves, unless X is what has just been learnt.

        Returns
        -------
        frame of the kind that came in, or array
            A row for each row and a column for each statistic.

        Raises
        ------
        TypeError, ValueError
            As in `learn_many`, or if there is no statistic at all: correlations need two features.
        """
        windows, table, values = self._rows(X)
        if not windows.outputs:
            raise ValueError(
                f"there are no {' or '.join(self._statistics)}s of "
                f"{', '.join(map(repr, windows.known)) or 'no features'}"
            )
        batch = self._batch
        learnt = compose.Pipeline._LEARN_UNSUPERVISED_DURING_PREDICT
        if (
            batch is not None
            and (learnt or batch[0] is X)
            and np.array_equal(batch[1], values, equal_nan=True)
        ):
            answer = batch[2]
        else:
            answer = self._answer(copy.deepcopy(windows), values)
        return table.frame(dict(zip(windows.outputs, answer.T, strict=True)))

    def _rows(self, X: Any) -> tuple[_kernel.Windows, Table, NDArray[np.float64]]:
        """The kernel that knows the columns of X, and X as it wants it."""
        table = Table(X, self._windows.known or None)
        windows = self._with(table.names)
        return windows, table, table.select(windows.known)

    @staticmethod
    def _answer(windows: _kernel.Windows, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Learn rows; the statistics after each."""
        answer = np.array(windows.learn(flat(values), len(values)))
        return answer.reshape(len(values), len(windows.outputs))

    def _state(self) -> dict[str, Any]:
        its = self._windows.state()
        its["names"] = [plain(name, "the name of a feature") for name in its["names"]]
        return its

    @classmethod
    def _revived(cls, params: dict[str, Any], state: dict[str, Any]) -> Self:
        names, features = names_of(state["names"]), params["features"]
        if features is not None and names != tuple(features):
            raise ValueError("names are not those of the parameters")
        windows = _kernel.windows_from_state({**state, "names": names})
        lag = params.get("lag", 1)
        if windows.settings[2] != (tuple(lag) if isinstance(lag, list | tuple) else (lag,)):
            raise ValueError("lags are not those of the parameters")
        # takes memory for the lags, and with features for the window
        result = cls(**{**params, "features": None})
        result.features = features
        if windows.settings != result._over(()).settings:
            raise ValueError("the window is not that of the parameters")
        if windows.outputs != result._keys(names):
            raise ValueError("keys are not those of the parameters")
        result._windows = windows
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_batch": None}

    def _unit_test_skips(self) -> set[str]:
        return {
            # transforms each row as if it were the only one to come
            "check_transform_many_matches_transform_one",
            # transforms again the very object that learn_one had last, beside one that had rows
            "check_learn_many_matches_learn_one",
        }
