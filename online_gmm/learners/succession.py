"""Which regime follows which, learnt from many series that share their regimes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from online_gmm.em.baum_welch import pseudo_changes
from online_gmm.em.mixture import posterior
from online_gmm.learners.base import Assignment
from online_gmm.learners.gmm import OnlineGMM

LEAST = 1e-12
"""No regime is less probable for a series, so that it can be in any again."""

Belief = dict[int, float]


class Step(NamedTuple):
    """What is known of a series after a point.

    Parameters
    ----------
    answer
        The answer for the point.
    belief
        The probability of each regime, by label.
    """

    answer: Assignment
    belief: Belief


class Succession:
    """Transitions between the components of a mixture that many series share.

    The mixture is learnt from the points of all series, and so are the transitions. Each series
    has a belief of its own. A point is labelled by the forward recursion (Rabiner 1989): the belief
    of its series is carried on by the transitions and multiplied with the likelihood of the point.
    The expected transitions of the point are then added to their counts.

    Parameters
    ----------
    stickiness
        Points that a regime is expected to last before any change is seen, with the weight of one
        stay.

    Notes
    -----
    O(K^2) a point, beside the E-step of the mixture.

    References
    ----------
    Rabiner, L. R. (1989). A tutorial on hidden Markov models and selected applications in speech
    recognition. Proceedings of the IEEE 77(2), 257-286.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import OnlineGMM
    >>> from online_gmm.learners.succession import Succession
    >>> rng = np.random.default_rng(1)
    >>> model = OnlineGMM(2, warm_up=100, seed=1)
    >>> model = model.fit_start(rng.normal(rng.choice([0.0, 3.0], size=100), 1.0))
    >>> succession, belief = Succession(stickiness=20.0), None
    >>> for x in rng.normal(np.repeat([0.0, 3.0, 0.0], 100), 1.0).tolist():
    ...     answer, belief = succession.step(model, [x], belief)
    ...     model.learn_one({0: x})
    >>> answer.label, bool(succession.transition(model.labels)[0, 0] > 0.95)
    (0, True)
    """

    def __init__(self, stickiness: float = 10.0) -> None:
        self.stickiness = stickiness
        self._counts: dict[tuple[int, int], float] = {}

    def step(self, model: OnlineGMM, values: Sequence[float], belief: Belief | None) -> Step:
        """Label a point, and learn how its series got there; the mixture is left as it is.

        Parameters
        ----------
        model
            The mixture, which has started.
        values
            The point, in the order of the features of the model; NaN is a missing value.
        belief
            That of the series; None at its start and after an interruption.

        Returns
        -------
        Step
            The answer and the new belief.
        """
        labels = model.labels
        # of a point without any value, the responsibilities are the weights
        rows = np.array([values, [math.nan] * len(values)])
        responsibilities, log_density, distances = posterior(model._stream, rows)
        is_outlier = bool(model._outlying(distances[:1], rows[:1])[0])
        share, weight = responsibilities.tolist()
        if is_outlier:
            # it says nothing about the regime
            likelihood = [1.0] * len(labels)
        else:
            likelihood = [a / max(b, LEAST) for a, b in zip(share, weight, strict=True)]
        transition = self.transition(labels)
        if belief is None:
            carried = _stationary(transition).tolist()
        else:
            before = _over(belief, labels)
            joint = [
                [p * step * of for step, of in zip(row, likelihood, strict=True)]
                for p, row in zip(before, transition.tolist(), strict=True)
            ]
            total = math.fsum(map(math.fsum, joint))
            for label, row in zip(labels, joint, strict=True):
                for other, p in zip(labels, row, strict=True):
                    pair = label, other
                    self._counts[pair] = self._counts.get(pair, 0.0) + p / total
            carried = [
                math.fsum(p * row[j] for p, row in zip(before, transition.tolist(), strict=True))
                for j in range(len(labels))
            ]
        known = [p * of for p, of in zip(carried, likelihood, strict=True)]
        total = math.fsum(known)
        after = {label: p / total for label, p in zip(labels, known, strict=True)}
        label = max(labels, key=after.__getitem__)
        density = float(log_density[0]) + (0.0 if is_outlier else math.log(total))
        return Step(Assignment(label, after[label], density, is_outlier), after)

    def transition(self, labels: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The probabilities of the next point's regime, shape (K, K), from row to column."""
        counts = pseudo_changes(len(labels), self.stickiness, None) + LEAST
        for i, label in enumerate(labels):
            for j, other in enumerate(labels):
                counts[i, j] += self._counts.get((label, other), 0.0)
        result: np.ndarray[Any, np.dtype[np.float64]] = counts / counts.sum(axis=1, keepdims=True)
        return result

    def state(self) -> list[Any]:
        """All of it, as plain values."""
        return [self.stickiness, [[*pair, n] for pair, n in sorted(self._counts.items())]]

    @classmethod
    def of(cls, state: Sequence[Any]) -> Succession:
        """What `state` was made of."""
        succession = cls(state[0])
        succession._counts = {(label, other): n for label, other, n in state[1]}
        return succession


def _over(belief: Belief, labels: Sequence[int]) -> list[float]:
    """A belief over the labels that there are now."""
    its = [max(belief.get(label, 0.0), LEAST) for label in labels]
    total = math.fsum(its)
    return [p / total for p in its]


def _stationary(
    transition: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The stationary distribution of a transition matrix without zeros."""
    k = len(transition)
    equations = np.vstack([(transition.T - np.eye(k))[:-1], np.ones(k)])
    found = np.linalg.solve(equations, np.eye(k)[-1])
    clipped = np.maximum(found, LEAST)
    return np.asarray(clipped / clipped.sum())
