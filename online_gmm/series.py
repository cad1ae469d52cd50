"""The rows of one key: their order, rows that come twice or late, and rows that wait.

`replay` and `online_gmm.spark` label the rows of each key by these rules.
"""

from __future__ import annotations

import abc
import math
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import Learner

MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it needs."""

R = TypeVar("R")


class OrderGuard:
    """Tell which rows of a key continue its series.

    Attributes
    ----------
    sequence
        The last sequence number; None before there is one.
    seconds
        The latest time; -inf before there is one.
    n_duplicates
        Rows dropped because their sequence number or their time had been there.
    n_late
        Rows dropped because their time had passed.
    n_lost
        Sequence numbers that never came.

    Examples
    --------
    >>> from online_gmm.series import OrderGuard
    >>> guard = OrderGuard()
    >>> for sequence, seconds in [(1, 10.0), (1, 10.0), (4, 11.0), (2, 12.0)]:
    ...     repeated = guard.is_duplicate(sequence, seconds)
    ...     if not repeated:
    ...         guard.seconds = seconds
    ...     print(repeated)
    False
    True
    False
    False
    >>> guard.n_duplicates, guard.n_lost
    (1, 2)
    """

    def __init__(self) -> None:
        self.sequence: int | None = None
        self.seconds = -math.inf
        self.n_duplicates = self.n_late = self.n_lost = 0

    def is_duplicate(self, sequence: int, seconds: float | None) -> bool:
        """Return whether a row has come before, by its sequence number, and count it.

        A lower number at a later time is no duplicate: the device has begun to count anew.
        """
        last = self.sequence
        if last is not None and sequence <= last:
            if seconds is None or seconds <= self.seconds:
                self.n_duplicates += 1
                return True
        elif last is not None:
            self.n_lost += sequence - last - 1
        self.sequence = sequence
        return False

    def drop(self, seconds: float) -> None:
        """Count a row that is dropped because its time is not after the last one."""
        self.n_duplicates += seconds == self.seconds
        self.n_late += seconds < self.seconds


class WarmUp(abc.ABC):
    """Learn rows that are held until the warm start can label them.

    Parameters
    ----------
    model
        The learner.
    """

    def __init__(self, model: Learner) -> None:
        self.model = model

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many rows are held."""

    def learn_one(self, x: dict[Any, Any], t: float | None, n_more: int) -> bool:
        """Learn a row, the last of so many that will be held; return whether to label them now.

        That is so when the model has started, or when more than `MOST_HELD` times as many rows are
        held as the warm start needs. It is then made of the rows that have a value, if any has.
        """
        model = self.model
        model.learn_one(x, t)
        full = len(self) + n_more > MOST_HELD * model.warm_up
        if full and model.n_points and not model.is_started:
            model.fit_start()
        return full or model.is_started

    @property
    def n_at_once(self) -> int:
        """How many rows can come together before the warm start can be complete."""
        warm_up = self.model.warm_up
        return min(warm_up - 1 - self.model.n_points, MOST_HELD * warm_up - len(self))

    def end(self) -> None:
        """Make the warm start of what is held, as no more rows come."""
        if len(self) and self.model.n_points:
            self.model.fit_start()


class HeldRows(WarmUp, Generic[R]):
    """Hold rows one by one until the warm start can label them.

    Parameters
    ----------
    model
        The learner.

    Attributes
    ----------
    rows
        The rows held, in their order.
    """

    def __init__(self, model: Learner) -> None:
        super().__init__(model)
        self.rows: list[R] = []

    def __len__(self) -> int:
        return len(self.rows)

    def learn(self, row: R, x: dict[Any, Any], t: float | None) -> bool:
        """Learn a row and hold it; return whether the rows held can be labelled now."""
        self.rows.append(row)
        return self.learn_one(x, t, 0)

    def release(self) -> list[R]:
        """Return the rows held, and hold none."""
        rows, self.rows = self.rows, []
        return rows


def label_whole(
    model: Learner, X: Any, t: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the most probable labels of a whole series, and the probability of each.

    Parameters
    ----------
    model
        A learner that has started.
    X, t
        The rows and their times, as in `predict_many`.
    """
    labels = np.asarray(model.decode_many(X, t), dtype=np.int64)
    probabilities = np.asarray(model.smooth_many(X, t))
    place = {label: i for i, label in enumerate(model.labels)}
    chosen = [place[label] for label in labels.tolist()]
    return labels, probabilities[np.arange(len(labels)), chosen]
