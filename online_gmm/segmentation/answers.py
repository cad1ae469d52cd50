"""What a segmenter answers; nothing here learns."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Mapping
from typing import Any

from river import base

from online_gmm._kernel import must_be_mapping
from online_gmm.em.mixture import MixtureParameters
from online_gmm.learners.base import Assignment
from online_gmm.learners.intake import Time
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.lagged import LaggedLabels
from online_gmm.segmentation.of_model import ModelRegimes
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.second_pass import SecondPass
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment


class SegmenterAnswers(base.Clusterer, abc.ABC):
    """The regimes of points, those that are known, and what the last call has found."""

    _regimes: FoundRegimes | ModelRegimes

    def predict_one(self, x: Mapping[Any, Any], t: Time | None = None) -> int:
        """Return the regime of a point that comes next, as far as is known; -1 before anything is.

        That is the regime of the segment going on. With a model it is the new regime if this very
        point would get a change reported, and the model's own label while there is none.

        Raises
        ------
        TypeError
            If the point is no mapping.
        """
        # the call takes longer than this look
        if type(x) is not dict:
            must_be_mapping(x)
        return self._regimes.predict_one(x, t)

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        """Return the probability of each regime for a point that comes next; they sum to 1.

        Empty before anything is known. With a model: as the model says.

        Raises
        ------
        TypeError
            If the point is no mapping.
        """
        must_be_mapping(x)
        return self._regimes.predict_proba_one(x, t)

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        """Return the regime of a point, its probability, the point's log density, and whether it is
        an outlier. With a model: as the model says.
        """
        return self._regimes.assign_one(x, t)

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return the log density of a point under the regimes, in nats; NaN if none is known."""
        return self.assign_one(x, t).log_density

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return how strange a point is: -log10 of its tail probability in the nearest regime.

        NaN if no regime is known.

        Raises
        ------
        TypeError
            If the point is no mapping.
        """
        must_be_mapping(x)
        return self._regimes.score_one(x, t)

    def look_back(self, lag: int | None = None) -> Any:
        """Return the regime of the point ``lag`` points ago as it is known now.

        Parameters
        ----------
        lag
            How many points to go back, from 0 to the segmenter's ``lag``, which is the default. Of
            a model: to the model's.

        Returns
        -------
        LaggedLabel or None
            The label, -1 if it is not known, and its probability; None if fewer points have come
            since the start or the last interruption. With a model: what that says.

        Raises
        ------
        ValueError
            If ``lag`` is larger than that of the segmenter or the model.

        Examples
        --------
        >>> import random
        >>> from online_gmm import Segmenter
        >>> rng = random.Random(1)
        >>> segmenter = Segmenter(lag=100)
        >>> for level in [40.0] * 600 + [0.2] * 100:
        ...     segmenter.learn_one({"flow": rng.gauss(level, 1.0)})
        >>> segmenter.look_back(90).label, segmenter.look_back(100).label      # points 609 and 599
        (1, 0)
        """
        return self.learner.look_back(lag)

    @property
    def new_labels(self) -> LaggedLabels:
        return self._finder.new_labels

    def predict_many(self, X: Any, t: Any = None) -> Any:
        """Return the regime of rows, each as `predict_one` of the row that comes next.

        Without a model this is the regime that is going on, for all rows alike: `label_many` and
        `decode_many` say which regime each row of a frame is in.
        """
        return self._many("predict_many", X, t)

    def predict_proba_many(self, X: Any, t: Any = None) -> Any:
        """Return the probability of each regime for rows, each as `predict_proba_one`."""
        return self._many("predict_proba_many", X, t)

    def assign_many(self, X: Any, t: Any = None) -> Any:
        """Return label, probability, log density and outlier flag of rows, as `assign_one`."""
        return self._many("assign_many", X, t)

    def log_density_many(self, X: Any, t: Any = None) -> Any:
        """Return the log densities of rows, in nats, as `log_density_one`."""
        return self._many("log_density_many", X, t)

    def score_many(self, X: Any, t: Any = None) -> Any:
        """Return how strange rows are, as `score_one`."""
        return self._many("score_many", X, t)

    def _many(self, method: str, X: Any, t: Any) -> Any:
        answering = self.learner
        if not hasattr(answering, method):
            raise AttributeError(f"{answering} has no {method}")
        return getattr(answering, method)(X, *([] if t is None else [t]))

    def second_pass(self, X: Any, t: Any = None) -> SecondPass:
        """Segment a finished series again, with all of it at hand. Only without a model.

        Later is better: changes lie where the whole series has them, and a regime that the stream
        took long to tell has its label from its first row. The segmenter stays as it is. The
        regimes that are like those it has learnt bear their numbers.

        Parameters
        ----------
        X, t
            The rows of the series and their times, as in `learn_many`.

        Returns
        -------
        SecondPass
            Labels of all rows, segments, changes with their reasons, and cards of the regimes.

        Raises
        ------
        TypeError, ValueError
            As in `learn_many`; and if there is a model.

        Notes
        -----
        The series is partitioned exactly at several windows and costs of a change (Killick et al.
        2012); the segmentation that explains the windows of all lengths best for its description is
        kept. O(n C p) for each window, C candidates that are not pruned, some tens, and p features,
        at most 100. Windows are shared out among all processors. Memory is O(n p) for each
        window, about 1 KB a row for a channel.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import Segmenter
        >>> rng = np.random.default_rng(1)
        >>> X = rng.normal(np.repeat([40.0, 0.2, 40.0], [600, 300, 300]), 1.0)[:, None]
        >>> found = Segmenter(features=[0]).second_pass(X)
        >>> [(segment.start, segment.end, segment.label) for segment in found.segments]
        [(0, 599, 0), (600, 899, 1), (900, 1199, 0)]
        """
        return self._finder.second_pass(X, t)

    def decode_many(self, X: Any, t: Any = None) -> Any:
        """Return the labels of the rows of a whole series: those of `second_pass`.

        With a model: as the model says.
        """
        return self._many("decode_many", X, t)

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def learner(self) -> Any:
        """What answers: the model, or the learner that finds the regimes."""
        its = self._regimes
        return its if isinstance(its, FoundRegimes) else its.model

    @property
    def finds_regimes(self) -> bool:
        """Whether regimes are found, rather than being the labels of a model."""
        return isinstance(self._regimes, FoundRegimes)

    @property
    def new_events(self) -> list[Event]:
        return self._regimes.new_events

    @property
    def change(self) -> RegimeChange | None:
        changes = [event for event in self.new_events if isinstance(event, RegimeChange)]
        return changes[-1] if changes else None

    @property
    def closed(self) -> Segment | None:
        closed = [event for event in self.new_events if isinstance(event, Segment)]
        return closed[-1] if closed else None

    @property
    def drift_detected(self) -> bool:
        return self.change is not None

    @property
    def current(self) -> Segment | None:
        """The segment that is going on, as `finish` would have it. O(D^2).

        None before there is one. With a model its label is that of most of its points until the
        first regime is confirmed.
        """
        return self._regimes.current

    @property
    def events(self) -> tuple[RegimeChange | RegimeEvent, ...]:
        """The last events, at most 1,000: changes of regime, regimes born and merged.

        With a model: what has happened to its components.
        """
        events: tuple[Any, ...] = getattr(self.learner, "events", ())
        return events

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of the regimes that are known."""
        labels: tuple[int, ...] = self.learner.labels
        return labels

    def rename(self, label: int, name: str | None) -> None:
        """Give a regime a name, such as "idle"; None takes the name away.

        Raises
        ------
        ValueError
            If there is no such regime.
        """
        self.learner.rename(label, name)

    @property
    def names(self) -> dict[int, str]:
        """The names of regimes, of those that have one."""
        names: dict[int, str] = self.learner.names
        return names

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The mean of every channel, by regime."""
        centers: dict[int, dict[Hashable, float]] = self.learner.centers
        return centers

    @property
    def regimes(self) -> dict[int, RegimeCard]:
        """A card for each regime, by its number: share of time, visits, typical stay, mean and sd.

        Only without a model.
        """
        return self._finder.regimes

    @property
    def window_(self) -> int | None:
        return self._finder.window_

    @property
    def _finder(self) -> FoundRegimes:
        its = self._regimes
        if isinstance(its, FoundRegimes):
            return its
        raise ValueError(
            f"the regimes of this segmenter are the labels of {its.last_step}; only Segmenter() "
            "without a model has what it found itself"
        )

    @property
    def mixture(self) -> MixtureParameters:
        """The regimes as components of a Gaussian mixture, in the order of ``labels``.

        Weights are shares of time.
        """
        mixture: MixtureParameters = self.learner.mixture
        return mixture

    @property
    def is_started(self) -> bool:
        """Whether the channels are known, or the model has started."""
        return bool(getattr(self.learner, "is_started", True))

    @property
    def n_points(self) -> int:
        """Points that have come."""
        return self._regimes.n_points

    @property
    def n_late(self) -> int:
        """Points that came too late and were skipped."""
        count: int = self.learner.n_late
        return count

    @property
    def n_unknown(self) -> int:
        """Values of channels that are not looked at."""
        count: int = self.learner.n_unknown
        return count

    @property
    def n_changes(self) -> int:
        """Changes of regime that were reported. Only without a model."""
        return self._finder.n_changes
