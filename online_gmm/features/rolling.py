"""Windowed features: what a Gaussian cannot see in a point, it sees in the last points.

A regime of variance, of rhythm or of correlation has the levels of any other. Put before a learner
in a pipeline, these transformers show it the spread, the pace and the correlations of the last
``window`` points, as numbers of about Gaussian shape:

    (TrailingMean(50) + TrailingLogSD(50)) | OnlineGMM(3)

What all of them have in common:

- The window ends with the point that is transformed. ``transform_one(x)`` changes nothing and
  answers as if x had been added to the points learnt; but right after ``learn_one(x)``, given the
  same object with the same values, as it is in a pipeline, x counts once. So labels are right
  whether a pipeline predicts before it learns or after; except that a pipeline which puts another
  transformer before this one makes a new object of every point, and should predict first.
- Before the window is full, it has the points there are.
- Missing values (NaN, None, no such key) are left out; a pair is left out if either is missing. A
  statistic that is not defined yet, or not defined at all like the correlation of a constant, is
  left out of the answer (in frames it is NaN): river's scalers cannot bear NaN, and to the learners
  of this package both are missing. A mean, and what is of differences, need one of these; a
  skewness needs three values, the others two.
- A point costs the same whatever the window: O(1) for each statistic, on average, since after every
  ``window`` points sums are made afresh from these. There is no drift: an answer is that of the
  points in the window, to 1e-15 or so times their number, at any offset. Memory is fixed: 32 bytes
  for each point of the window, feature, statistic and lag, 40 for a skewness, or 56 for
  correlations of either kind.
- Mini-batches: ``learn_many(X)`` is ``learn_one`` of each row. ``transform_many(X)`` gives the rows
  of X the windows that end with each, as if all had been added to the points learnt; right after
  ``learn_many(X)`` of the same X they count once. X is held until the next point is learnt.
- Keys carry the window, as in ``x_log_sd_50``, so that a sum of two windows keeps both.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import base, compose

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat, sorted_names
from online_gmm.data.state import Writable, names_of, plain, writable

STATISTICS = {
    "mean": _kernel.MEAN,
    "log_sd": _kernel.LOG_SD,
    "autocorrelation": _kernel.AUTOCORRELATION,
    "log_difference": _kernel.LOG_DIFFERENCE,
    "correlation": _kernel.CORRELATION,
    "skewness": _kernel.SKEWNESS,
    "rises": _kernel.RISES,
    "log_roughness": _kernel.LOG_ROUGHNESS,
}
DEFAULT = ("mean", "log_sd", "autocorrelation", "log_difference", "correlation")
LAGGED = tuple(name for name, kind in STATISTICS.items() if kind in _kernel.LAGGED)


class _Windowed(base.MiniBatchTransformer, Writable):
    """Hands points to a kernel that knows their names, and makes a wider one for new names."""

    window: int
    features: Sequence[Hashable] | None

    def _prepare(
        self, statistics: Sequence[str], lag: int | Sequence[int] = 1, floor: float = 1.0
    ) -> None:
        """Check the parameters, and begin with nothing."""
        unknown = [name for name in statistics if name not in STATISTICS]
        if unknown or not statistics or len(set(statistics)) != len(statistics):
            raise ValueError(
                f"statistics are {list(statistics)!r}; each may stand there once, of "
                f"{', '.join(map(repr, STATISTICS))}"
            )
        if not self.window >= 2:
            raise ValueError(f"window is {self.window!r}; it must have 2 points at least")
        lags = tuple(lag) if isinstance(lag, Iterable) else (lag,)
        if not lags:
            raise ValueError(f"lag is {lag!r}; there must be one at least")
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
            raise ValueError(f"window is {self.window!r}; it must have 3 points for pairs in it")
        if "skewness" in statistics and self.window < 3:
            raise ValueError(f"window is {self.window!r}; it must have 3 points for a skewness")
        if not 0.0 < floor < math.inf:
            raise ValueError(f"floor is {floor!r}; it must be above 0 and finite")
        features = self.features
        if features is not None and len(set(features)) != len(features):
            raise ValueError(f"features are {list(features)!r}; each may stand there once")
        self._statistics = tuple(statistics)
        self._lags = tuple(int(one) for one in lags)
        self._floor = float(floor)
        self._windows = self._over(() if features is None else tuple(features))
        self._batch: tuple[Any, NDArray[np.float64], NDArray[np.float64]] | None = None

    def _keys(self, names: tuple[Hashable, ...]) -> tuple[str, ...]:
        """What the statistics of these features are called."""
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
        """A kernel over these features, with no points."""
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
        """The kernel, or one with the same points that knows these features too."""
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
            windows = self._with(tuple(x))
            windows.learn_one(x)
            self._windows = windows
        self._batch = None

    def transform_one(self, x: Mapping[Any, Any]) -> dict[Hashable, float]:
        """The statistics of the window that ends with x, as far as they are defined.

        Raises
        ------
        TypeError, ValueError
            As of `learn_one`.
        """
        learnt = compose.Pipeline._LEARN_UNSUPERVISED_DURING_PREDICT
        result = self._windows.transform_one(x, learnt)
        if result is None:
            result = self._with(tuple(x)).transform_one(x, False)
            assert result is not None
        return result

    def learn_many(self, X: Any) -> None:
        """Add the rows of a frame or an array, one after the other.

        Raises
        ------
        TypeError, ValueError
            As of `learn_one`, naming the row too; then no row is added.
        """
        windows, _, values = self._rows(X)
        answer = self._answer(windows, values)
        self._windows = windows
        self._batch = (X, values.copy(), answer)

    def transform_many(self, X: Any) -> Any:
        """The statistics of the windows that end with each row, NaN where not defined.

        O(window) more than the rows by themselves, unless X is what has just been learnt.

        Returns
        -------
        frame of the kind that came in, or array
            A row for each row and a column for each statistic.

        Raises
        ------
        TypeError, ValueError
            As of `learn_many`, or if there is no statistic at all: correlations need two features.
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


@writable
class Trailing(_Windowed):
    """Several statistics of the same window at once: faster than the sum of their transformers.

    Gives what ``TrailingMean(window) + TrailingLogSD(window) + ...`` gives, from one copy of the
    window; and statistics that have no transformer of their own, and several lags.

    Parameters
    ----------
    window
        How many points, the latest included; 2 or more, 3 or more for a lag.
    statistics
        What to compute. ``"mean"``, ``"log_sd"``, ``"autocorrelation"``, ``"log_difference"`` and
        ``"correlation"``, which are the default: see `TrailingMean`, `TrailingLogSD`,
        `TrailingAutocorrelation`, `TrailingLogDifference` and `TrailingCorrelation`. And
        ``"skewness"``, ``"rises"`` and ``"log_roughness"``: see the notes.
    lag
        Of the autocorrelation, the log difference, the rises and the log roughness, in points: one
        from 1 to ``window - 2``, or several, for a statistic at each.
    floor
        Logarithms are of this at least, and the standard deviation under a skewness is; in units of
        the features.
    features
        The names of the features to use; others are passed over. By default all that come.

    Notes
    -----
    - ``"skewness"`` is compressed, to be of about Gaussian shape: sign(g) log(1 + abs(g)), where
      g = m3 / max(s, floor)^3, m3 = mean((x_i - mean)^3) and s^2 = mean((x_i - mean)^2). From three
      values on; of a constant window it is 0.
    - ``"rises"`` is the share of the pairs (x_i, x_(i - lag)) within the window that have
      x_i > x_(i - lag), of those of which both are observed; from one pair on. A slow rise and a
      fast fall make it more than a half.
    - ``"log_roughness"`` is the log difference less the log sd, each with its floor; from one pair
      on. It has no units: rhythm apart from spread. Take two of the three at most, since any two
      determine the third, and a covariance of all of them is singular.

    O(D) per point and lag with D features, O(D^2) with correlations. The log difference, the rises
    and the log roughness of a lag are made from the same sums; and so are the mean, the log sd and
    the skewness.

    Examples
    --------
    >>> from online_gmm.features.rolling import Trailing
    >>> trailing = Trailing(window=4, statistics=("mean", "log_sd"))
    >>> for x in (7.0, 1.0, 3.0, 1.0):
    ...     trailing.learn_one({"x": x})
    >>> trailing.transform_one({"x": 3.0})
    {'x_mean_4': 2.0, 'x_log_sd_4': 0.1438...}

    >>> trailing = Trailing(window=4, statistics=("skewness", "rises"), lag=(1, 2))
    >>> for x in (0.0, 0.0, 4.0):
    ...     trailing.learn_one({"x": x})
    >>> trailing.transform_one({"x": 0.0})
    {'x_skewness_4': 0.7676..., 'x_rises_1_4': 0.3333..., 'x_rises_2_4': 0.5}
    """

    def __init__(
        self,
        window: int = 100,
        statistics: Sequence[str] = DEFAULT,
        lag: int | Sequence[int] = 1,
        floor: float = 1e-12,
        features: Sequence[Hashable] | None = None,
    ) -> None:
        self.window = window
        self.statistics = statistics
        self.lag = lag
        self.floor = floor
        self.features = features
        self._prepare(statistics, lag, floor)

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"window": 10}
        yield {"window": 2, "statistics": ("mean", "correlation")}
        yield {"window": 30, "lag": 3, "features": ["gallup", "ipsos"]}
        statistics = ("mean", "skewness", "rises", "log_roughness")
        yield {"window": 20, "statistics": statistics, "lag": (1, 4)}


@writable
class TrailingMean(_Windowed):
    """The mean of the last points: ``{feature}_mean_{window}``.

    Parameters
    ----------
    window
        How many points, the latest included; 2 or more.
    features
        The names of the features to use; others are passed over. By default all that come.

    Notes
    -----
    mean(x_i), over the values observed in the window; from one on. O(D) per point.

    Examples
    --------
    >>> from online_gmm.features.rolling import TrailingMean
    >>> mean = TrailingMean(window=3)
    >>> for x in (1.0, 2.0, None, 6.0):
    ...     mean.learn_one({"x": x})
    >>> mean.transform_one({"x": 10.0})
    {'x_mean_3': 8.0}
    """

    def __init__(self, window: int = 100, features: Sequence[Hashable] | None = None) -> None:
        self.window = window
        self.features = features
        self._prepare(["mean"])


@writable
class TrailingLogSD(_Windowed):
    """The log standard deviation of the last points: ``{feature}_log_sd_{window}``.

    Parameters
    ----------
    window
        How many points, the latest included; 2 or more.
    floor
        The least standard deviation, in units of the features: a constant window gives its
        logarithm. It should be below what is worth telling apart; the default leaves any data alone
        but those of a scale of 1e-12.
    features
        The names of the features to use; others are passed over. By default all that come.

    Notes
    -----
    log max(s, floor) with s^2 = sum (x_i - mean)^2 / (n - 1), over the n values observed in the
    window; from two on. The log is about Gaussian, with a variance of 1 / (2 n) if x is. O(D) per
    point.

    Examples
    --------
    >>> from online_gmm.features.rolling import TrailingLogSD
    >>> log_sd = TrailingLogSD(window=3)
    >>> for x in (1.0, 1.0, 1.0):
    ...     log_sd.learn_one({"x": x})
    >>> log_sd.transform_one({"x": 4.0})
    {'x_log_sd_3': 0.5493...}
    """

    def __init__(
        self,
        window: int = 100,
        floor: float = 1e-12,
        features: Sequence[Hashable] | None = None,
    ) -> None:
        self.window = window
        self.floor = floor
        self.features = features
        self._prepare(["log_sd"], floor=floor)


@writable
class TrailingAutocorrelation(_Windowed):
    """The autocorrelation of the last points: ``{feature}_autocorrelation_{lag}_{window}``.

    Parameters
    ----------
    window
        How many points, the latest included; 3 or more.
    lag
        How many points lie from one to the other of a pair; from 1 to ``window - 2``.
    features
        The names of the features to use; others are passed over. By default all that come.

    Notes
    -----
    The correlation of x_i with x_(i - lag) over the pairs within the window of which both are
    observed (there are ``window - lag`` at most), from two pairs on; not defined while either is
    constant. O(D) per point.

    Examples
    --------
    >>> from online_gmm.features.rolling import TrailingAutocorrelation
    >>> autocorrelation = TrailingAutocorrelation(window=5)
    >>> for x in (0.0, 1.0, 0.0, 1.0):
    ...     autocorrelation.learn_one({"x": x})
    >>> autocorrelation.transform_one({"x": 0.0})
    {'x_autocorrelation_1_5': -1.0}
    """

    def __init__(
        self, window: int = 100, lag: int = 1, features: Sequence[Hashable] | None = None
    ) -> None:
        self.window = window
        self.lag = lag
        self.features = features
        self._prepare(["autocorrelation"], lag)


@writable
class TrailingLogDifference(_Windowed):
    """The log mean absolute difference: ``{feature}_log_difference_{lag}_{window}``.

    How far a series goes in ``lag`` points: its pace or roughness. Beside the log standard
    deviation it tells slow movements from fast ones.

    Parameters
    ----------
    window
        How many points, the latest included; 3 or more.
    lag
        How many points lie from one to the other; from 1 to ``window - 2``.
    floor
        The least mean absolute difference, in units of the features: a constant window gives its
        logarithm. It should be below what is worth telling apart; the default leaves any data alone
        but those of a scale of 1e-12.
    features
        The names of the features to use; others are passed over. By default all that come.

    Notes
    -----
    log max(mean |x_i - x_(i - lag)|, floor), over the pairs within the window of which both are
    observed; from one pair on. O(D) per point.

    Examples
    --------
    >>> from online_gmm.features.rolling import TrailingLogDifference
    >>> difference = TrailingLogDifference(window=3)
    >>> for x in (0.0, 5.0, 4.0):
    ...     difference.learn_one({"x": x})
    >>> difference.transform_one({"x": 5.0})
    {'x_log_difference_1_3': 0.0}
    """

    def __init__(
        self,
        window: int = 100,
        lag: int = 1,
        floor: float = 1e-12,
        features: Sequence[Hashable] | None = None,
    ) -> None:
        self.window = window
        self.lag = lag
        self.floor = floor
        self.features = features
        self._prepare(["log_difference"], lag, floor)


@writable
class TrailingCorrelation(_Windowed):
    """The correlations of the last points: ``{feature}_{other}_correlation_{window}``.

    Parameters
    ----------
    window
        How many points, the latest included; 2 or more.
    features
        The names of the features to use; others are passed over. By default all that come. Pairs
        are named in this order, or in that of the names.

    Notes
    -----
    Pearson's correlation for each pair of features, over the points of the window that have both,
    from two on; not defined while either is constant. O(D^2) per point and in memory.

    Examples
    --------
    >>> from online_gmm.features.rolling import TrailingCorrelation
    >>> correlation = TrailingCorrelation(window=3)
    >>> for x, y in ((9.0, 0.0), (0.0, 0.0), (1.0, 2.0)):
    ...     correlation.learn_one({"x": x, "y": y})
    >>> correlation.transform_one({"x": 2.0, "y": 0.0})
    {'x_y_correlation_3': 0.0}
    """

    def __init__(self, window: int = 100, features: Sequence[Hashable] | None = None) -> None:
        self.window = window
        self.features = features
        self._prepare(["correlation"])
