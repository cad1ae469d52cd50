"""A fit that is under way: slices of it are done as points come."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means
from online_gmm.data.state import doubles, instance
from online_gmm.em.mixture import MixtureParameters
from online_gmm.em.slices import Sliced

MOST_SLICES = 2**24
PAUSES = 8192
"""Slices are so far apart that this many of them are done before the stream has doubled."""


Result = TypeVar("Result")


class Slices(Generic[Result]):
    """Slices of work, done a few at a time.

    They depend on nothing but what the work began with. A copy has done none of them: it does them
    again when the next ones are due.
    """

    def __init__(self) -> None:
        self._work: Sliced[Result] | None = None
        self._done = 0

    def until(self, n: int, begin: Callable[[], Sliced[Result]]) -> tuple[bool, Result | None]:
        """Do slices until n are done; return whether the work is finished, and its result.

        ``begin`` begins the work, if it has not begun or if more than n slices are done.
        """
        try:
            if self._work is None or self._done > n:
                self._work, self._done = begin(), 0
            while self._done < n:
                next(self._work)
                self._done += 1
        except StopIteration as end:
            self._work = None
            return True, end.value
        except BaseException:
            self._work = None
            raise
        return False, None

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": None, "_done": 0}


class UnderWay:
    """What a fit began with, and how many slices of it are done.

    The fit depends on nothing else. What bytes are read into does the slices again that were done
    before, as a copy does.

    Parameters
    ----------
    known : MixtureParameters
        What the model reported when the fit began.
    rows : array of shape (n, D)
        The points kept then, and those that `add` has added.
    n_points : int
        The points learnt then.
    stride : int
        Every how many-th point was kept.
    times : array of shape (n,), optional
        The times of the rows, for a chain.
    transition : array of shape (K, K), optional
        The transitions of a chain.
    moments : tuple of array, optional
        The statistics of a mixture's average, and those reported, about the mean of the rows.
    searches : bool
        Whether a fit of a mixture looks for other regimes.
    done : int
        Slices done.
    n_fitted : int, optional
        How many of the rows are fitted, by default all of them.
    """

    def __init__(
        self,
        known: MixtureParameters,
        rows: NDArray[np.float64],
        n_points: int,
        stride: int,
        times: NDArray[np.float64] | None = None,
        transition: NDArray[np.float64] | None = None,
        moments: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
        searches: bool = True,
        done: int = 0,
        n_fitted: int | None = None,
    ) -> None:
        self.known = known
        self.rows = rows
        self.n_points = n_points
        self.stride = stride
        self.times = times
        self.transition = transition
        self.moments = moments
        self.searches = searches
        self.done = done
        self.n_fitted = len(rows) if n_fitted is None else n_fitted
        self.lasting = 0.0
        """The time constant of regimes, in rows; 0 if it is not seen. The first slices tell."""
        self._slices: Slices[Any] = Slices()

    @cached_property
    def origin(self) -> NDArray[np.float64]:
        """The mean of the rows that are fitted, shape (D,)."""
        return column_means(self.rows[: self.n_fitted])

    @property
    def pause(self) -> int:
        """Points from one slice to the next."""
        return max(1, self.n_points // PAUSES)

    def advance(self, fit: Callable[[UnderWay], Sliced[Any]]) -> tuple[bool, Any]:
        """Do the next slice; return whether it was the last, and the result."""
        ended, result = self._slices.until(self.done + 1, lambda: fit(self))
        self.done += not ended
        return ended, result

    def add(self, rows: NDArray[np.float64], times: NDArray[np.float64]) -> None:
        """Add the points kept since the fit began, unless that has been done: all rows, and times.

        The fit can then learn them in slices too.
        """
        if len(self.rows) == self.n_fitted:
            self.rows, self.times = rows, times

    def state(self) -> dict[str, Any]:
        known = self.known
        return {
            "weights": known.weights.tobytes(),
            "means": known.means.tobytes(),
            "covariances": known.covariances.tobytes(),
            "rows": self.rows.tobytes(),
            "n_points": self.n_points,
            "stride": self.stride,
            "times": None if self.times is None else self.times.tobytes(),
            "transition": None if self.transition is None else self.transition.tobytes(),
            "moments": None if self.moments is None else [m.tobytes() for m in self.moments],
            "searches": self.searches,
            "done": self.done,
            "n_fitted": self.n_fitted,
        }


def under_way_from_state(
    state: dict[str, Any], n_components: int, features: tuple[Hashable, ...], size: int = 0
) -> UnderWay:
    """Read a fit that is under way, of so many components.

    ``size`` is the number of their moments.
    """
    k, d = n_components, len(features)
    weights = doubles(state["weights"], (k,), "weights")
    if not (weights >= 0.0).all() or not weights.any():
        raise ValueError("weights are not those of a mixture")
    rows = doubles(state["rows"], (-1, d), "rows", missing=True)
    if (np.abs(rows) > _kernel.LARGEST).any():
        raise ValueError(f"rows are beyond {_kernel.LARGEST:g} in magnitude")
    times = state["times"]
    transition = state["transition"]
    # early in version 3 of the format there were none
    moments = state.get("moments")
    n_fitted = _kernel.whole(state.get("n_fitted", len(rows)), "n_fitted", 0, len(rows))
    if transition is None and n_fitted != len(rows):
        raise ValueError(f"a mixture is fitted to {len(rows)} rows, not to {n_fitted} of them")
    return UnderWay(
        MixtureParameters(
            weights,
            doubles(state["means"], (k, d), "means"),
            doubles(state["covariances"], (k, d, d), "covariances"),
            features,
        ),
        rows,
        _kernel.whole(state["n_points"], "n_points", 1),
        _kernel.whole(state["stride"], "stride", 1),
        None if times is None else doubles(times, (len(rows),), "times", missing=True),
        None if transition is None else doubles(transition, (k, k), "transition"),
        None if moments is None else _pair(moments, size),
        instance(state.get("searches", True), bool, "searches"),
        _kernel.whole(state["done"], "done", 0, MOST_SLICES),
        n_fitted,
    )


def _pair(moments: Any, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = moments
    return doubles(first, (size,), "moments"), doubles(second, (size,), "moments")
