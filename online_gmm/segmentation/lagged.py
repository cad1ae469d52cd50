"""Labels of a fixed lag: what is known of a point when so many later points have come."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.state import instance
from online_gmm.learners.base import UNKNOWN


class LaggedLabels(NamedTuple):
    """Labels of n points that follow each other, given when ``lag`` later points had come.

    Parameters
    ----------
    labels
        The regime of each point, shape (n,); -1 if it was not known by then.
    probabilities
        The probability of that regime, from 0 to 1, shape (n,); NaN if it was not known.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]


class LaggedLabel(NamedTuple):
    """The label of a point, -1 if it is not known, and its probability, NaN then."""

    label: int
    probability: float


class _Run(NamedTuple):
    """Points before number ``end``, from where the run before ends."""

    end: int
    label: int
    probability: float


class Lagged:
    """Labels points from segments, each point once.

    Points are numbered from 0. Those after the last segment that ended are in the segment going on.

    Parameters
    ----------
    lag
        How many later points have a say in a label.

    Attributes
    ----------
    n_out
        Points that have their label.
    n_interrupted
        Points before the last interruption; they have their label.
    """

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self.n_out = self.n_interrupted = 0
        self._ended: list[_Run] = []
        self._begin = 0
        self._out: list[_Run] = []

    def begin_call(self) -> None:
        """Forget which points the last call has labelled."""
        self._begin, self._out = self.n_out, []

    def end_segment(self, n: int, label: int, probability: float, first: int) -> None:
        """Note that a segment of n points has ended; the first one began at point ``first``."""
        begin = self._ended[-1].end if self._ended else first
        self._ended.append(_Run(begin + n, label, probability))

    def merge(self, gone: int, kept: int) -> None:
        """Give points without a label the number that a regime has now."""
        self._ended = [
            run._replace(label=kept) if run.label == gone else run for run in self._ended
        ]

    def bring_out(self, end: int, label: int, probability: float) -> None:
        """Label the points before number ``end``.

        Parameters
        ----------
        end
            A number of at most that of the points that have come.
        label, probability
            Those of the segment going on.
        """
        if end <= self.n_out:
            return
        for run in self._ended:
            if run.end > self.n_out and self.n_out < end:
                self._put(run._replace(end=min(run.end, end)))
        if self.n_out < end:
            self._put(_Run(end, label, probability))
        # `at` may still ask for the last point that has its label
        self._ended = [run for run in self._ended if run.end >= end]

    def interrupt(self) -> None:
        """Note that all points have their label, and the next one begins a segment."""
        self.n_interrupted = self.n_out
        self._ended = []

    def _put(self, run: _Run) -> None:
        self._out.append(run)
        self.n_out = run.end

    def at(self, number: int, label: int, probability: float) -> LaggedLabel:
        """Return what is known of a point now: its regime, and the probability of that."""
        for run in self._ended:
            if number < run.end:
                return known(run.label, run.probability)
        return known(label, probability)

    @property
    def labels(self) -> LaggedLabels:
        """Labels of the points that the last call has labelled."""
        lengths = np.diff([self._begin, *(run.end for run in self._out)])
        runs = [known(run.label, run.probability) for run in self._out]
        return LaggedLabels(
            np.repeat(np.array([label for label, _ in runs], dtype=np.int64), lengths),
            np.repeat(np.array([sure for _, sure in runs], dtype=np.float64), lengths),
        )

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> list[Any]:
        """Return all this as plain values, for `load`."""
        return [self.n_out, self.n_interrupted, [list(run) for run in self._ended]]

    def load(self, state: Any) -> None:
        """Restore what `state` has returned."""
        n_out, n_interrupted, ended = state
        self.n_out = self._begin = _kernel.whole(n_out, "n_out")
        self.n_interrupted = _kernel.whole(n_interrupted, "n_interrupted", 0, self.n_out)
        self._ended = [
            _Run(
                _kernel.whole(end, "end"),
                _kernel.whole(label, "label", UNKNOWN),
                instance(probability, float, "probability"),
            )
            for end, label, probability in ended
        ]


def known(label: int, probability: float) -> LaggedLabel:
    """Return a label and its probability, which is NaN if the label is not known."""
    return LaggedLabel(label, math.nan if label == UNKNOWN else probability)
