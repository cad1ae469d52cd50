"""What is known of regimes, as views show it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from online_gmm.learners.base import Learner
from replay.engine.series import Series
from replay.views.history import Floats


class Parameters(NamedTuple):
    """What a learner has learnt, apart from what comes later.

    Parameters
    ----------
    n_points
        Points it has learnt.
    labels, weights, means, sds
        Of each regime; means and standard deviations by column.
    names
        The names of labels, of those that have one.
    stays
        How long each lasts in the mean, where that is learnt: seconds if ``timed``, or rows.
    """

    n_points: int
    labels: tuple[int, ...]
    weights: Floats
    means: Floats
    sds: Floats
    stays: Floats | None
    timed: bool
    names: dict[int, str]

    @classmethod
    def of_series(cls, series: Series) -> Parameters | None:
        """Of a series: what a second pass has found, or else what its learner knows."""
        found = series.finished
        if found is None:
            return cls.of(series.model)
        cards = list(found.regimes.values())
        return cls(
            series.summary.n_rows,
            tuple(card.label for card in cards),
            np.array([card.share for card in cards]),
            np.array([list(card.mean.values()) for card in cards]),
            np.array([list(card.sd.values()) for card in cards]),
            None,
            False,
            series.model.names,
        )

    @classmethod
    def of(cls, model: Learner) -> Parameters | None:
        """Of a learner; None if it knows nothing yet."""
        if not model.labels:
            return None
        mixture = model.mixture
        return cls(
            model.n_points,
            model.labels,
            mixture.weights,
            mixture.means,
            np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2)),
            model.dwell,
            model.time is not None,
            model.names,
        )
