"""What a hidden Markov model says of points: filtered, smoothed, and the most probable path."""

from __future__ import annotations

import abc
import math
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import Table, flat
from online_gmm.em import baum_welch
from online_gmm.em.mixture import posterior
from online_gmm.learners.base import UNKNOWN, Assignment
from online_gmm.learners.chain_refits import RefittedChain
from online_gmm.learners.intake import NO_TIME, Time

LEAST_BELIEF = 1e-12
"""No regime is less probable for a series that is followed."""


class Smoothed(NamedTuple):
    """What is known of a point, given those that came after it as well.

    Parameters
    ----------
    n
        The number of the point in the stream, from 0.
    time
        Its time, in seconds; NaN without times.
    label
        Its most probable regime.
    probability
        The probability of that regime.
    probabilities
        The probabilities of all regimes, by label.
    """

    n: int
    time: float
    label: int
    probability: float
    probabilities: dict[int, float]


class ChainAnswers(RefittedChain, abc.ABC):
    """Answers that depend on the points before, and on those after where they are known."""

    def _when(self, x: Mapping[Any, Any], t: Time | None) -> float:
        return self._seconds(x, t) if self._timed else NO_TIME

    def reset_state(self) -> None:
        """Declare an interruption: the next point may be in any regime.

        What has been learnt stays. The belief is reset to the stationary distribution, and the
        change across the gap is not counted. Without this call the next point is assumed to follow
        the last one; with times, after the time between them. The points kept for further fits are
        still fitted as one series. O(K^2 (K + D^2)).

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> round(model.belief[1], 2)
        1.0
        >>> model.reset_state()
        >>> round(model.belief[1], 2)
        0.55
        """
        if self._stream is not None:
            self._stream.reset_belief()

    @property
    def belief(self) -> dict[int, float]:
        """The filtered probability of each regime at the last point learnt, by label.

        After `reset_state` it is that of the next point. Empty if nothing is known.
        """
        return {} if self._stream is None else self._by_label(self._stream.beliefs)

    def follow_one(
        self, x: Mapping[Any, Any], belief: Mapping[int, float] | None = None
    ) -> tuple[Assignment, dict[int, float]]:
        """Label the next point of another series with the same regimes; the model stays as it is.

        Parameters
        ----------
        x
            The point.
        belief
            The probability of each regime at the last point of that series, by label. None if there
            is none: the point may then be in any regime.

        Returns
        -------
        tuple
            The answer for the point, as `assign_one` gives it, and the belief after it.

        Raises
        ------
        ValueError
            Before the warm start is complete, and if the model has times.

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> answer, belief = model.follow_one({"x": 0.05})
        >>> answer.label, model.follow_one({"x": 9.0}, belief)[0].label
        (0, 1)
        """
        self._require_start()
        if self._timed:
            raise ValueError("a model with times follows one series only; make it without time=")
        chain, labels, row = self._stream.chain, self.labels, self._row_of(x)
        before = chain.stationary()
        if belief is not None:
            before = array("d", [max(belief.get(label, 0.0), LEAST_BELIEF) for label in labels])
            total = math.fsum(before)
            before = array("d", [p / total for p in before])
        probabilities, log_density = array("d", bytes(8 * self._k)), array("d", bytes(8))
        gaps, gates = flat(np.full(1, np.nan)), self._stream.outlier_gates
        chain.filter(flat(row), 1, gaps, gates, before, probabilities, log_density)
        after = dict(zip(labels, probabilities.tolist(), strict=True))
        label = max(labels, key=after.__getitem__)
        is_outlier = bool(self._strange(row)[0])
        return Assignment(label, after[label], log_density[0], is_outlier), after

    def _row_of(self, x: Mapping[Any, Any]) -> NDArray[np.float64]:
        """A point as a row of the features of the model."""
        values = [x.get(name) for name in self._names]
        row = np.array([[math.nan if value is None else value for value in values]], dtype=float)
        if (np.abs(row[~np.isnan(row)]) > _kernel.LARGEST).any():
            raise ValueError(f"{dict(x)!r} has a value beyond {_kernel.LARGEST:g} in magnitude")
        return row

    @property
    def smoothed(self) -> Smoothed | None:
        """What is known of the point ``lag`` points ago, given all later points; None before.

        O(lag K^2).

        Examples
        --------
        >>> from online_gmm import OnlineHMM
        >>> model = OnlineHMM(n_components=2, warm_up=40, lag=3, seed=1)
        >>> for x in [0.0, 0.1, -0.1, 0.0, 9.0, 9.1, 8.9, 9.0] * 8:
        ...     model.learn_one({"x": x})
        >>> model.smoothed[:1] + model.smoothed[2:3]
        (60, 1)
        """
        return self.look_back(self.lag)

    def look_back(self, lag: int) -> Smoothed | None:
        """Return what is known of the point ``lag`` points ago, given all later points.

        None if fewer points have come. O(lag K^2).

        Parameters
        ----------
        lag : int
            How many points to go back, from 0 to the model's ``lag``.

        Raises
        ------
        ValueError
            If ``lag`` is larger than the model's.
        """
        if not 0 <= lag <= self.lag:
            raise ValueError(f"lag is {lag!r}; this model looks back 0 to {self.lag} points")
        if self._stream is None:
            return None
        probabilities = self._stream.smoothed(lag)
        if probabilities is None:
            return None
        by_label = self._by_label(probabilities)
        label = max(by_label, key=by_label.__getitem__)
        return Smoothed(
            self._stream.n_seen - 1 - lag,
            self._stream.time_of(lag),
            label,
            by_label[label],
            by_label,
        )

    def smooth_many(self, X: Any, t: Any = None) -> Any:
        """Return the probability of each regime at the rows of a whole series, given all of them.

        The series stands by itself; it does not follow what was learnt last. O(n K^2).

        Parameters
        ----------
        X
            Rows: a data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D).
        t
            Times of the rows, shape (n,), in seconds or as datetimes, if the model needs times and
            X has no column ``time``.

        Returns
        -------
        frame or numpy.ndarray
            A frame like X with a column for each of ``labels``, or an array of shape (n, K).
        """
        table = self._table(X, t)
        n, k = len(table), self._k
        if self._stream is None:
            return table.frame({})
        between = flat(baum_welch.gaps(self._times_of(table)))
        probabilities = array("d", bytes(8 * n * k))
        rows = flat(table.select(self._names))
        chain = self._stream.chain
        gates, log_density = self._stream.outlier_gates, array("d", bytes(8 * n))
        chain.filter(rows, n, between, gates, chain.stationary(), probabilities, log_density)
        chain.smooth(n, between, probabilities)
        columns = np.frombuffer(probabilities).reshape(n, k).T
        return table.frame(dict(zip(self.labels, columns, strict=True)))

    def decode_many(self, X: Any, t: Any = None) -> Any:
        """Return the most probable sequence of labels for the rows of a whole series.

        The series stands by itself; it does not follow what was learnt last (Viterbi 1967).
        O(n K^2). Parameters as in `smooth_many`.

        Returns
        -------
        series or numpy.ndarray
            A series of the kind that goes with the frame, or an array of shape (n,).
        """
        table = self._table(X, t)
        n = len(table)
        if self._stream is None:
            return table.series(np.full(n, UNKNOWN), "label")
        places = array("q", bytes(8 * n))
        between = flat(baum_welch.gaps(self._times_of(table)))
        rows = flat(table.select(self._names))
        chain = self._stream.chain
        gates = self._stream.outlier_gates
        chain.decode(rows, n, between, gates, chain.stationary(), places)
        return table.series(self._by_place[np.frombuffer(places, dtype=np.int64)], "label")

    def _times_of(self, table: Table) -> NDArray[np.float64]:
        if not self._timed:
            return np.full(len(table), np.nan)
        if table.times is None:
            raise table.without_times(self.time)
        return table.times

    def _posterior(
        self, table: Table, flagging: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        n, k = len(table), self._k
        rows = table.select(self._names)
        between = flat(baum_welch.gaps(self._times_of(table), self._last_time))
        probabilities, log_density = array("d", bytes(8 * n * k)), array("d", bytes(8 * n))
        gates, belief = self._stream.outlier_gates, self._stream.beliefs
        self._stream.chain.filter(flat(rows), n, between, gates, belief, probabilities, log_density)
        return (
            np.frombuffer(probabilities).reshape(n, k),
            np.frombuffer(log_density),
            # a pass of its own
            self._strange(rows) if flagging else np.zeros(n, dtype=bool),
        )

    def _distances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return posterior(self._stream.components, rows)[2]
