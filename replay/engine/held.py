"""The rows of the warm-up, which wait for their labels, by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from online_gmm.learners.base import Learner
from online_gmm.series import WarmUp
from replay.engine.batch import Batch

LEARN_TOGETHER = 8
"""Rows from which on one call learns them in less time than a call for each."""


class HeldBatch(WarmUp):
    """Hold rows until the warm start can label them.

    They are in memory of their own: no batch is kept for the sake of a few of its rows.

    Parameters
    ----------
    model
        The learner.
    """

    def __init__(self, model: Learner) -> None:
        super().__init__(model)
        self._parts: list[Batch] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def learn(self, batch: Batch, seconds: NDArray[np.float64] | None) -> tuple[int, bool]:
        """Learn rows and hold them, until those held can be labelled or there are no more.

        Parameters
        ----------
        batch
            The rows.
        seconds
            Their times as the model has them; None if it has none.

        Returns
        -------
        tuple of (int, bool)
            How many rows were taken, and whether those held can be labelled now.
        """
        n, done, values = len(batch), 0, batch.values
        while done < n:
            end = min(n, done + self.n_at_once)
            if end - done >= LEARN_TOGETHER:
                self.model.learn_many(
                    values[done:end], None if seconds is None else seconds[done:end]
                )
                self.hold(batch.part(done, end).copy())
                done = end
                continue
            first, is_ready = done, False
            while done < n and not is_ready:
                x = dict(zip(batch.names, values[done].tolist(), strict=True))
                t = None if seconds is None else float(seconds[done])
                done += 1
                is_ready = self.learn_one(x, t, done - first)
            self.hold(batch.part(first, done).copy())
            if is_ready:
                return done, True
        return n, False

    def hold(self, batch: Batch) -> None:
        """Hold rows that have been learnt, in memory of their own."""
        parts = self._parts
        parts.append(batch)
        # there are few parts, and each row is copied few times
        while len(parts) > 1 and len(parts[-2]) <= 2 * len(parts[-1]):
            parts[-2:] = [Batch.joined(parts[-2:])]

    @property
    def rows(self) -> Batch | None:
        """The rows held, in their order; None if there are none."""
        return Batch.joined(self._parts) if self._parts else None

    def release(self) -> Batch:
        """Return the rows held, of which there are some, and hold none."""
        rows, self._parts = Batch.joined(self._parts), []
        return rows
