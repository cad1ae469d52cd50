"""Regimes that are the labels of a model: each point is labelled, learnt, and put in a segment."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.counted import must_be_whole
from online_gmm.data.frames import Table
from online_gmm.data.state import KINDS
from online_gmm.learners.base import UNKNOWN, Assignment, Assignments
from online_gmm.learners.intake import Intake
from online_gmm.segmentation.labelled import LabelledSegments, Point, numbers_in
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.segments import Segment, Segmentation
from online_gmm.segmentation.stamps import stamp_of, stamps_of


class ModelRegimes:
    """Makes segments of the labels that a model gives to single points.

    Parameters
    ----------
    model
        A learner of this package or a clusterer of river, alone or at the end of a pipeline.
    min_dwell, confirm, time, smoothed
        As in `Segmenter`.

    Attributes
    ----------
    segments
        The segments of the points so far.
    new_events
        What the last call that learnt has found: a segment before the change that ended it.
    """

    def __init__(
        self, model: Any, min_dwell: int, confirm: float, time: Hashable | None, smoothed: bool
    ) -> None:
        self.model = model
        self.time = time
        self.smoothed = smoothed
        if isinstance(model, type) or not hasattr(self.last_step, "predict_one"):
            known = f"; for {model} regimes, Segmenter(OnlineHMM({model}))"
            raise TypeError(
                f"model is {model!r}; a learner of this package or a clusterer of river is expected"
                f"{known if isinstance(model, int) else ''}"
            )
        must_be_whole("min_dwell", min_dwell, 1)
        must_be_whole("confirm", confirm, 1)
        if smoothed and not hasattr(self.last_step, "smoothed"):
            raise ValueError(
                f"{self.last_step} gives no smoothed labels; smoothed=True needs a learner with a "
                "lag, such as OnlineHMM(lag=...)"
            )
        self.segments = LabelledSegments(min_dwell, int(confirm))
        self.new_events: list[Event] = []

    @property
    def last_step(self) -> Any:
        """The model itself, or the last step of the pipeline."""
        learner = self.model
        while hasattr(learner, "steps"):
            learner = learner[-1]
        return learner

    @property
    def n_points(self) -> int:
        return self.segments.n_points

    @property
    def current(self) -> Segment | None:
        return self.segments.current

    # -- learning -------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Any, Any], t: Any = None) -> None:
        segments, point = self.segments, self._point(x, t)
        seen, when = self._seen(x), self._when(t)
        label, probability = self._label(seen, when)
        self.model.learn_one(seen, *when)
        segments.begin(point.time)
        if self.smoothed:
            segments.awaiting.append(point)
            if len(segments.awaiting) <= self.last_step.lag:
                self._report()
                return
            point, known = segments.awaiting.pop(0), self.last_step.smoothed
            if known is not None:
                label, probability = known.label, known.probability
        if label not in (None, UNKNOWN):
            segments.take(point, label, probability)
        self._report()

    def learn_many(self, X: Any, t: Any = None) -> None:
        new_events: list[Event] = []
        for x, when in self._points(X, t):
            self.learn_one(x, when)
            new_events += self.new_events
        self.new_events = new_events

    def label_then_learn_many(self, X: Any, t: Any = None, stamps: Any = None) -> Assignments:
        new_events: list[Event] = []
        rows = []
        for x, when in self._points(X, t):
            rows.append(self.assign_one(x, when))
            self.learn_one(x, when)
            new_events += self.new_events
        self.new_events = new_events
        answers = Assignments.unknown(len(rows))
        for i, row in enumerate(rows):
            for column, value in zip(answers, row, strict=True):
                column[i] = value
        return answers

    def segment_one(
        self, x: Mapping[Any, Any], label: int, probability: float, t: Any = None
    ) -> None:
        point = self._point(x, t)
        self.segments.begin(point.time)
        if label != UNKNOWN:
            self.segments.take(point, label, probability)
        self._report()

    def segment_many(
        self,
        X: NDArray[np.float64],
        names: Sequence[Hashable],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        times: Sequence[Any] | None,
    ) -> Segmentation:
        result = self.segments.take_many(X, names, labels, probabilities, times)
        self._report()
        return result

    def finish(self) -> Segment | None:
        self.new_events = []
        return self.segments.finish()

    def reset_state(self) -> None:
        if hasattr(self.last_step, "reset_state"):
            self.last_step.reset_state()
        last = self.finish()
        self.new_events = [] if last is None else [last]

    def _report(self) -> None:
        """Set ``new_events`` to what was reported at the last point."""
        new_events = (self.segments.closed, self.segments.change)
        self.new_events = [event for event in new_events if event is not None]

    # -- points ---------------------------------------------------------------------------------

    def _points(self, X: Any, t: Any) -> Iterator[tuple[dict[Hashable, Any], Any]]:
        """The rows of a table as points, and their times."""
        table = Table(X, getattr(self.last_step, "features", None), self.time, t)
        stamps = stamps_of(table, X, self.time, t)
        for i, row in enumerate(table.values.tolist()):
            x: dict[Hashable, Any] = dict(zip(table.names, row, strict=True))
            stamp = None if stamps is None else stamps[i]
            if self.time is not None and t is None:
                x[self.time] = stamp
                stamp = None
            yield x, stamp

    def _point(self, x: Mapping[Any, Any], t: Any) -> Point:
        number, values = self.segments.n_points, numbers_in(x, self.time)
        if t is None and self.time is not None:
            if self.time not in x:
                raise ValueError(
                    f"this point has no time: {self.time!r} is not among its keys "
                    f"{', '.join(map(repr, x))}"
                )
            t = x[self.time]
        return Point(number, number if t is None else stamp_of(t), values)

    def _seen(self, x: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """The point as the model is to see it."""
        if self.time is None or getattr(self.last_step, "time", None) == self.time:
            return x
        return {name: value for name, value in x.items() if name != self.time}

    def _when(self, t: Any) -> tuple[Any, ...]:
        """The time of a point as an argument, for a learner that takes one."""
        return () if t is None or not isinstance(self.model, Intake) else (t,)

    def _asked(self, x: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """The same of a point that is asked about: a model of others may not say what is wrong."""
        _kernel.must_be_mapping(x)
        return self._seen(x)

    # -- answers --------------------------------------------------------------------------------

    def predict_one(self, x: Mapping[Any, Any], t: Any = None) -> int:
        regime = self.segments.label
        if regime is None or not self.smoothed:
            label: int = self.model.predict_one(self._asked(x), *self._when(t))
            if regime is None or self.segments.would_change(label):
                return label
        return regime

    def predict_proba_one(self, x: Mapping[Any, Any], t: Any = None) -> dict[int, float]:
        answer: dict[int, float] = self.model.predict_proba_one(self._asked(x), *self._when(t))
        return answer

    def assign_one(self, x: Mapping[Any, Any], t: Any = None) -> Assignment:
        seen = self._asked(x)
        if hasattr(self.model, "assign_one"):
            answer: Assignment = self.model.assign_one(seen, *self._when(t))
            return answer
        label, probability = self._label(seen, ())
        return Assignment(UNKNOWN if label is None else label, probability, math.nan, False)

    def score_one(self, x: Mapping[Any, Any], t: Any = None) -> float:
        score: float = self.model.score_one(self._asked(x), *self._when(t))
        return score

    def _label(self, x: Mapping[Any, Any], when: tuple[Any, ...]) -> tuple[int | None, float]:
        """The model's label of a point and its probability, as far as it has them."""
        learner = self.last_step
        if self.smoothed or not getattr(learner, "is_started", True):
            return None, math.nan
        try:
            label = self.model.predict_one(x, *when)
        except (ValueError, LookupError):
            # some of river's clusterers cannot predict before they have learnt
            if self.segments.n_points:
                raise
            return None, math.nan
        if not hasattr(learner, "predict_proba_one"):
            return label, math.nan
        return label, self.model.predict_proba_one(x, *when).get(label, math.nan)

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all this as plain values, for `restore`."""
        if type(self.model) not in KINDS.values():
            raise TypeError(
                f"the model of this segmenter is of type {type(self.model).__name__}, which cannot "
                "be written; only those of online_gmm can. Give it points with their labels by "
                "segment_one, and keep the model apart from it"
            )
        return {"model": self.model.to_bytes(), **self.segments.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` has returned, with the model that was in it."""
        self.segments.restore(state)
        self._report()
