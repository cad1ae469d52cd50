"""A learner as an anomaly detector of river."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from river import base

from online_gmm.learners.gmm import OnlineGMM


class StrangenessDetector(base.AnomalyDetector):
    """Score how strange points are, as the anomaly detectors of river do: high is strange.

    The score is `score_one` of the learner: -log10 of the probability of a point at least as far
    from the nearest component. 3 is one in a thousand, in any number of features. The learners are
    clusterers for river; this class is for what takes anomaly detectors, such as
    `river.anomaly.QuantileFilter` or `river.evaluate.progressive_val_score`.

    Parameters
    ----------
    learner : OnlineGMM, OnlineHMM or Segmenter
        What learns the points. It is learnt by this detector, and not copied.

    Notes
    -----
    Before the learner has started, every score is 0: nothing is strange yet. Cost per point as that
    of the learner.

    Examples
    --------
    >>> import random
    >>> from river import anomaly
    >>> from online_gmm import OnlineGMM, StrangenessDetector
    >>> rng = random.Random(1)
    >>> detector = StrangenessDetector(OnlineGMM(2, warm_up=100, seed=1))
    >>> for _ in range(1000):
    ...     detector.learn_one({"flow": rng.gauss(rng.choice([0.0, 40.0]), 1.0)})
    >>> detector.score_one({"flow": 40.5}) < 1 < 6 < detector.score_one({"flow": 20.0})
    True
    >>> alarm = anomaly.ThresholdFilter(detector, threshold=6.0)
    >>> alarm.classify(alarm.score_one({"flow": 20.0}))
    True
    """

    def __init__(self, learner: base.Estimator) -> None:
        self.learner: Any = learner

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"learner": OnlineGMM(2, warm_up=50, seed=1)}

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Learn a point, as the learner does."""
        self.learner.learn_one(x)

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Return how strange a point is, from 0 up; nothing is learnt."""
        score = float(self.learner.score_one(x))
        return 0.0 if math.isnan(score) else score
