"""Segmenter: labels of single points as segments, and as changes from one regime to the next."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from river import base

from online_gmm import _kernel
from online_gmm.data.frames import view
from online_gmm.data.state import KINDS, Writable, instance, load, plain, writable
from online_gmm.learners.base import UNKNOWN
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.learners.intake import Intake

LARGEST = 1e150
"""Beyond this, squares of deviations might be infinite."""


@dataclass(frozen=True)
class Segment:
    """A stretch of the stream in one regime.

    Parameters
    ----------
    start, end
        Of its first and last point: their times as they were given, or their numbers in the stream
        from 0 if points have no time.
    label
        Of the regime.
    n
        Points, those included that bear another label but were too few to be a segment.
    probability
        Mean probability of the label over the points that bear it; NaN if the model has none.
    mean, sd
        Mean and standard deviation (over n, not n - 1) of each feature, in its units, over the
        points where it has a value; NaN where there is none.
    """

    start: Any
    end: Any
    label: int
    n: int
    probability: float
    mean: dict[Hashable, float]
    sd: dict[Hashable, float]


@dataclass(frozen=True)
class RegimeChange:
    """The stream has gone from one regime to another.

    Parameters
    ----------
    t
        When: the time of the first point of the new regime, or its number in the stream.
    before, after
        Labels of the two regimes.
    confidence
        Mean probability of the new label over the points that bear it, from the first one to the
        one at which the change was reported; NaN if the model has none.
    delay
        Points between these two.
    """

    t: Any
    before: int
    after: int
    confidence: float
    delay: int


@dataclass(frozen=True)
class Segmentation:
    """What came of many labelled points.

    Parameters
    ----------
    changes
        At which of them a change of regime was reported, shape (n,).
    closed
        Gives the segments that these changes completed, in order, as long as the times are there.
    """

    changes: NDArray[np.bool_]
    closed: Callable[[], list[Segment]]


@writable
class Segmenter(base.Clusterer, Writable):
    """Turns the labels of a clusterer into segments and changes of regime.

    Each point is labelled by the model and then learnt. A label is *confirmed* by ``confirm``
    points in a row that bear it. A confirmed label that differs from the regime's begins a
    candidate at the first of these points; it becomes the new regime, and the change is reported,
    at the first point that bears the label with ``min_dwell`` points from the candidate's first to
    this one. If another label is confirmed sooner, the candidate's points are absorbed by the
    segment before it; so are points of any label that is not confirmed. The first regime of a
    stream reaches back to its first point, and is no change.

    Parameters
    ----------
    model
        A learner of this package or a clusterer of river, alone or at the end of a pipeline. The
        segmenter may also be the last step of a pipeline itself; then it sees features as the steps
        before have made them.
    min_dwell
        Points from the first to the last that bear the label of a segment, at least. Only the last
        segment of a stream may be shorter.
    confirm
        Points in a row that confirm a label. A change is reported no sooner than
        max(confirm, min_dwell) - 1 points after it took place.
    time
        The key of a point that holds its time. It is kept out of the statistics, and out of the
        model too unless the model's own ``time`` is the same. Outside of pipelines, `learn_one`
        takes the time as an argument. Times are handed back as they came.
    smoothed
        Whether to use the labels that a learner gives some points later, knowing what came after
        (``lag``), instead of those before it learns a point. The delay of a change includes the
        lag.

    Attributes
    ----------
    drift_detected
        Whether a change was reported at the last point.
    change
        That `RegimeChange`, or None.
    closed
        The `Segment` that it completed, or None.
    current
        The `Segment` in progress: in which regime the stream is, and since when.

    Raises
    ------
    ValueError
        If ``min_dwell`` or ``confirm`` is less than 1, or ``smoothed`` is asked of a model without.

    Notes
    -----
    Points of which nothing is known (label -1, such as those of the warm start) belong to no
    segment; they are counted all the same. Every other point belongs to exactly
    one. If the model refuses a point, the segmenter is as it was.

    Segments are handed on, not kept: memory is O(D + K) whatever the options are, with ``smoothed``
    O(D) for each point of the lag more. Cost per point: that of the model to predict, to give
    probabilities and to learn, and O(D + K).

    Examples
    --------
    >>> import random
    >>> from online_gmm import OnlineGMM
    >>> from online_gmm.segmentation.segmenter import Segmenter
    >>> rng = random.Random(1)
    >>> levels = [10.0, 20.0] * 50 + [10.0] * 300 + [20.0] * 200
    >>> segmenter = Segmenter(OnlineGMM(2, warm_up=100, seed=1), min_dwell=20, confirm=3)
    >>> for level in levels:
    ...     segmenter.learn_one({"level": rng.gauss(level, 1.0)})
    ...     if segmenter.drift_detected:
    ...         print(segmenter.change.t, segmenter.change.after, segmenter.change.delay)
    400 1 19
    >>> segmenter.current.label, segmenter.current.start, segmenter.current.n
    (1, 400, 200)
    >>> segmenter.predict_one({"level": 10.5})      # a single point is no change
    1
    """

    def __init__(
        self,
        model: base.Estimator,
        *,
        min_dwell: int = 1,
        confirm: int = 1,
        time: Hashable | None = None,
        smoothed: bool = False,
    ) -> None:
        for name, value in (("min_dwell", min_dwell), ("confirm", confirm)):
            if not value >= 1:
                raise ValueError(f"{name} is {value!r}; it must be a number of points, at least 1")
        self.model: Any = model
        self.min_dwell = min_dwell
        self.confirm = confirm
        self.time = time
        self.smoothed = smoothed
        if smoothed and getattr(self._learner, "lag", None) is None:
            raise ValueError(
                f"{self._learner} gives no smoothed labels; smoothed=True needs a learner with a "
                "lag, such as OnlineHMM(lag=...)"
            )
        self.change: RegimeChange | None = None
        self.closed: Segment | None = None
        self._n_points = 0
        self._awaiting: deque[_Point] = deque()
        self._settled: _Stretch | None = None
        self._candidate: _Stretch | None = None
        self._run: _Stretch | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        from river import cluster

        k_means: Any = cluster.KMeans
        yield {"model": OnlineGMM(2, warm_up=20, seed=1), "confirm": 2}
        yield {"model": k_means(n_clusters=3, seed=1), "min_dwell": 5}

    # -- learning -------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Any, Any], t: Any = None) -> None:
        """Label a point, let the model learn it, and see whether the regime has changed.

        Parameters
        ----------
        x
            The point.
        t
            Its time, in seconds or as a datetime, unless x holds it under the key ``time``. A
            learner of this package is given it too; a pipeline is not.

        Raises
        ------
        ValueError
            If x lacks the key ``time``. What else is raised is the model's.
        """
        point = self._point(x, t)
        seen = self._seen(x)
        label, probability = self._assign(seen)
        if t is not None and isinstance(self.model, Intake):
            self.model.learn_one(seen, t)
        else:
            self.model.learn_one(seen)
        self._begin_point()
        if self.smoothed:
            self._awaiting.append(point)
            if len(self._awaiting) <= self._learner.lag:
                return
            point, known = self._awaiting.popleft(), self._learner.smoothed
            if known is not None:
                label, probability = known.label, known.probability
        if label not in (None, UNKNOWN):
            self._take(point, label, probability)

    def segment_one(
        self, x: Mapping[Any, Any], label: int, probability: float = math.nan, t: Any = None
    ) -> None:
        """Take in a point whose label is known already; the model has no part in it.

        Parameters
        ----------
        x
            The point.
        label
            Its label; -1 if nothing is known of it.
        probability
            That of the label.
        t
            Its time, unless x holds it; anything, which is handed back as it is.
        """
        point = self._point(x, t)
        self._begin_point()
        if label != UNKNOWN:
            self._take(point, label, probability)

    def segment_many(
        self,
        X: NDArray[np.float64],
        names: Sequence[Hashable],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        times: Sequence[Any] | None = None,
    ) -> Segmentation:
        """Take in points whose labels are known already, as `segment_one` does of each in turn.

        Parameters
        ----------
        X
            Points, shape (n, D); NaN is a missing value, none is beyond 1e150 in magnitude.
        names
            Of the features, D of them.
        labels, probabilities
            Of the points, shape (n,).
        times
            Their times, of which only those of the first and last points of segments are looked at.

        Returns
        -------
        Segmentation
            Where changes were reported, and the segments that they completed.

        Notes
        -----
        With ``confirm`` and ``min_dwell`` of 1 the points are passed over by the kernel, O(D) a
        point, and a segment costs more only if it is asked for; otherwise one by one.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import OnlineGMM
        >>> from online_gmm.segmentation.segmenter import Segmenter
        >>> X = np.array([[1.0], [3.0], [7.0], [8.0], [2.0]])
        >>> labels, sure = np.array([0, 0, 1, 1, 0]), np.full(5, 0.9)
        >>> found = Segmenter(OnlineGMM(2)).segment_many(X, ["x"], labels, sure)
        >>> found.changes
        array([False, False,  True, False,  True])
        >>> [(segment.start, segment.end, segment.mean["x"]) for segment in found.closed()]
        [(0, 1, 2.0), (2, 3, 7.5)]
        """
        n = len(X)
        changes = np.zeros(n, dtype=bool)
        rows: list[Segment] = []
        at_once = self.min_dwell == self.confirm == 1 and not (labels == UNKNOWN).any()
        done = 0
        while done < n and not (at_once and self._goes_on_by_runs):
            x = dict(zip(names, X[done].tolist(), strict=True))
            t = None if times is None else times[done]
            self.segment_one(x, int(labels[done]), float(probabilities[done]), t)
            changes[done] = self.change is not None
            if self.closed is not None:
                rows.append(self.closed)
            done += 1
        if done == n:
            return Segmentation(changes, lambda: rows)
        return self._take_runs(X, names, labels, probabilities, times, changes, rows, done)

    @property
    def _goes_on_by_runs(self) -> bool:
        """Whether there is a run of the regime itself, and nothing before it in its segment."""
        settled, run = self._settled, self._run
        return (
            settled is not None
            and run is not None
            and self._candidate is None
            and settled.n == 0
            and settled.label == run.label
        )

    def _take_runs(
        self,
        X: NDArray[np.float64],
        names: Sequence[Hashable],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        times: Sequence[Any] | None,
        changes: NDArray[np.bool_],
        rows: list[Segment],
        done: int,
    ) -> Segmentation:
        """The points from done on, run by run: each run of a label is a segment."""
        run = self._run
        assert run is not None
        assert run.label is not None
        n, offset = len(X), self._n_points - done
        changes[done:] = labels[done:] != np.concatenate([[run.label], labels[done:-1]])
        first_of = np.concatenate([[done], np.flatnonzero(changes[done:]) + done])
        # the run under way goes on with the first points, or with none
        if changes[done]:
            first_of = first_of[1:]
        carried = not changes[done]
        shape = (len(first_of), len(names) + 1)
        count = np.zeros(shape, dtype=np.int64)
        mean, deviations = np.full(shape, np.nan), np.full(shape, np.nan)
        if carried:
            known = [*(run.features.get(name) for name in names), run.certainty.get(run.label)]
            for j, moments in enumerate(known):
                if moments is not None:
                    count[0, j], mean[0, j], deviations[0, j] = moments.state()
        _kernel.sum_up(
            view(X[done:]),
            view(probabilities[done:]),
            view(first_of - done),
            view(count),
            view(mean),
            view(deviations),
        )

        def time_of(point: int) -> Any:
            return point + offset if times is None else times[point]

        def stretch_of(i: int) -> _Stretch:
            """The i-th of these runs, from where it begins."""
            begin, end = int(first_of[i]), int(first_of[i + 1]) if i + 1 < len(first_of) else n
            if i == 0 and carried:
                result = _Stretch(run.label, run.first, run.start)
                result.n = run.n
            else:
                result = _Stretch(int(labels[begin]), begin + offset, time_of(begin))
            label = result.label
            assert label is not None
            result.n += end - begin
            result.end = time_of(end - 1)
            result.counts[label] = result.n
            *its, sure = (
                _moments_from_state(row)
                for row in zip(
                    count[i].tolist(), mean[i].tolist(), deviations[i].tolist(), strict=True
                )
            )
            result.features.update(zip(names, its, strict=True))
            result.certainty[label] = sure
            return result

        def closed() -> list[Segment]:
            ended = [] if carried else [run]
            ended += [stretch_of(i) for i in range(len(first_of) - 1)]
            return [*rows, *(stretch.segment() for stretch in ended)]

        last = stretch_of(len(first_of) - 1)
        self._n_points += n - done
        self.change = self.closed = None
        if changes[-1]:
            before = stretch_of(len(first_of) - 2) if len(first_of) > 1 else run
            self.closed = before.segment()
            assert before.label is not None
            assert last.label is not None
            sure = last.certainty[last.label].mean
            self.change = RegimeChange(last.start, before.label, last.label, sure, 0)
        if len(first_of) > 1 or not carried:
            self._settled = _Stretch(last.label, last.first, last.start)
        self._run = last
        return Segmentation(changes, closed)

    def finish(self) -> Segment | None:
        """End the stream: the segment in progress, None if there is none.

        Points that are not confirmed to be of another regime belong to it. What comes after is a
        new stream, though points are counted on.
        """
        last = self.current
        self.change = self.closed = None
        self._settled = self._candidate = self._run = None
        self._awaiting.clear()
        return last

    def stream(self, points: Iterable[Mapping[Any, Any]]) -> Iterator[Segment | RegimeChange]:
        """Learn points, and yield segments as they are completed and changes as they are reported.

        A segment comes before the change that ended it. When the points end, so does the last
        segment.

        Examples
        --------
        >>> from online_gmm.segmentation.segmenter import Segmenter
        >>> from river import cluster
        >>> segmenter = Segmenter(cluster.KMeans(2, halflife=0.5, sigma=9, seed=2))
        >>> for found in segmenter.stream({"x": x} for x in [-9.0, -8.0, 9.0, 8.0]):
        ...     print(found)
        Segment(start=0, end=1, label=1, n=2, probability=nan, mean={'x': -8.5}, sd={'x': 0.5})
        RegimeChange(t=2, before=1, after=0, confidence=nan, delay=0)
        Segment(start=2, end=3, label=0, n=2, probability=nan, mean={'x': 8.5}, sd={'x': 0.5})
        """
        for x in points:
            self.learn_one(x)
            if self.closed is not None:
                yield self.closed
            if self.change is not None:
                yield self.change
        last = self.finish()
        if last is not None:
            yield last

    # -- as bytes ------------------------------------------------------------------------------

    @classmethod
    def _written_params(cls) -> tuple[str, ...]:
        return tuple(name for name in super()._written_params() if name != "model")

    def _state(self) -> dict[str, Any]:
        if type(self.model) not in KINDS.values():
            raise TypeError(
                f"the model of this segmenter is a {type(self.model).__name__}, which cannot be "
                "written; only those of online_gmm can. Give it points with their labels by "
                "segment_one, and keep the model apart from it"
            )
        change, closed = self.change, self.closed
        return {
            "model": self.model.to_bytes(),
            "n_points": self._n_points,
            "awaiting": [point.state() for point in self._awaiting],
            "stretches": [
                None if stretch is None else stretch.state()
                for stretch in (self._settled, self._candidate, self._run)
            ],
            "change": None if change is None else plain(tuple(vars(change).values()), "a change"),
            "closed": None if closed is None else _segment_state(closed),
        }

    @classmethod
    def _revived(cls, params: dict[str, Any], state: dict[str, Any]) -> Self:
        model = load(state["model"])
        if not isinstance(model, Intake):
            raise ValueError(f"the model is a {type(model).__name__}")
        result = cls(model, **params)
        result._n_points = _kernel.whole(state["n_points"], "n_points")
        result._awaiting.extend(_point_from_state(its) for its in state["awaiting"])
        result._settled, result._candidate, run = (
            None if its is None else _stretch_from_state(its) for its in state["stretches"]
        )
        result._run = run
        result._check()
        if state["change"] is not None:
            t, before, after, confidence, delay = state["change"]
            result.change = RegimeChange(
                t,
                instance(before, int, "before"),
                instance(after, int, "after"),
                instance(confidence, float, "confidence"),
                _kernel.whole(delay, "delay"),
            )
        if state["closed"] is not None:
            result.closed = _segment_from_state(state["closed"])
        return result

    def _check(self) -> None:
        """That stretches are as learning leaves them."""
        settled, candidate, run = self._settled, self._candidate, self._run
        if (settled is None) != (run is None) or (settled is None and candidate is not None):
            raise ValueError("there is a run without a segment, or a segment without one")
        for part in (candidate, run):
            if part is not None and part.label is None:
                raise ValueError("a candidate or a run has no label")
        if run is not None and run.label not in run.counts:
            raise ValueError("the run is without a point")

    # -- answers --------------------------------------------------------------------------------

    def predict_one(self, x: Mapping[Any, Any]) -> int:
        """The label of the regime that a point would be in if it came next.

        That is the regime in progress unless this very point would get a change reported, and the
        model's own label while there is none. With ``smoothed`` a point cannot do so at once.
        """
        settled = self._settled
        if settled is None or settled.label is None or not self.smoothed:
            label: int = self.model.predict_one(self._seen(x))
            if settled is None or settled.label is None or self._would_change(label):
                return label
        return settled.label

    @property
    def drift_detected(self) -> bool:
        return self.change is not None

    @property
    def current(self) -> Segment | None:
        """The segment in progress, as `finish` would have it. O(D + K).

        Until the first regime is confirmed its label is that of most of its points. None as long as
        no point has a label.
        """
        if self._settled is None:
            return None
        whole = _Stretch(self._settled.label, self._settled.first, self._settled.start)
        for part in (self._settled, self._candidate, self._run):
            if part is not None:
                whole.absorb(part)
        for point in self._awaiting:
            whole.add(point)
        return whole.segment()

    # -- points ---------------------------------------------------------------------------------

    @property
    def _learner(self) -> Any:
        """The model itself, or the last step of the pipeline."""
        learner = self.model
        while hasattr(learner, "steps"):
            learner = learner[-1]
        return learner

    def _point(self, x: Mapping[Any, Any], t: Any) -> _Point:
        if t is None and self.time is not None:
            if self.time not in x:
                raise ValueError(
                    f"this point has no time: {self.time!r} is not among its keys "
                    f"{', '.join(map(repr, x))}"
                )
            t = x[self.time]
        values = {
            name: _number(value)
            for name, value in x.items()
            if name != self.time and (value is None or isinstance(value, Real))
        }
        return _Point(self._n_points, self._n_points if t is None else t, values)

    def _seen(self, x: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """The point as the model is to see it."""
        if self.time is None or getattr(self._learner, "time", None) == self.time:
            return x
        return {name: value for name, value in x.items() if name != self.time}

    def _assign(self, x: Mapping[Any, Any]) -> tuple[int | None, float]:
        """The model's label of a point and its probability, as far as it has them."""
        learner = self._learner
        if self.smoothed or not getattr(learner, "is_started", True):
            return None, math.nan
        try:
            label = self.model.predict_one(x)
        except (ValueError, LookupError):
            # some of river's clusterers cannot predict before they have learnt
            if self._n_points:
                raise
            return None, math.nan
        if not hasattr(learner, "predict_proba_one"):
            return label, math.nan
        return label, self.model.predict_proba_one(x).get(label, math.nan)

    def _begin_point(self) -> None:
        self._n_points += 1
        self.change = self.closed = None

    # -- regimes --------------------------------------------------------------------------------

    def _take(self, point: _Point, label: int, probability: float) -> None:
        """Let a labelled point continue the run, and the run decide on the candidate."""
        if self._settled is None:
            self._settled = _Stretch(None, point.number, point.time)
        settled, run = self._settled, self._run
        if run is None or run.label != label:
            if run is not None:
                self._absorb(run)
            run = self._run = _Stretch(label, point.number, point.time)
        run.add(point, label, probability)
        candidate = self._candidate
        if run.n >= self.confirm and (candidate is None or candidate.label != label):
            self._candidate = None
            if candidate is not None:
                self._absorb(candidate)
            if label != settled.label:
                candidate = self._candidate = _Stretch(label, run.first, run.start)
        if self._dwells(self._candidate, label, point.number):
            assert self._candidate is not None
            self._settle(self._candidate, run)

    def _absorb(self, part: _Stretch) -> None:
        """Let the candidate, or else the segment, take in what comes after it."""
        if self._candidate is not None:
            self._candidate.absorb(part)
        elif self._settled is not None:
            self._settled.absorb(part)
            self._settled.keep_own_certainty()

    def _dwells(self, candidate: _Stretch | None, label: int, number: int) -> bool:
        """Whether a candidate is the new regime, at the point of this number."""
        return (
            candidate is not None
            and candidate.label == label
            and number + 1 - candidate.first >= self.min_dwell
        )

    def _settle(self, candidate: _Stretch, run: _Stretch) -> None:
        """Make the candidate the regime in progress."""
        before, self._candidate = self._settled, None
        assert before is not None
        assert candidate.label is not None
        if before.label is None:
            before.absorb(candidate)
            before.label = candidate.label
            return
        self.closed = before.segment()
        sure = _Moments()
        for part in (candidate, run):
            sure.absorb(part.certainty.get(candidate.label, _Moments()))
        self.change = RegimeChange(
            candidate.start,
            before.label,
            candidate.label,
            sure.mean,
            self._n_points - 1 - candidate.first,
        )
        self._settled = candidate

    def _would_change(self, label: int) -> bool:
        """Whether a change would be reported if the next point bore this label."""
        run, candidate, number = self._run, self._candidate, self._n_points
        goes_on = run is not None and run.label == label
        first = run.first if run is not None and goes_on else number
        assert self._settled is not None
        if (
            (candidate is None or candidate.label != label)
            and label != self._settled.label
            and number + 1 - first >= self.confirm
        ):
            candidate = _Stretch(label, first, None)
        return self._dwells(candidate, label, number)


class _Point(NamedTuple):
    """A point's number in the stream, its time, and its features that are numbers."""

    number: int
    time: Any
    values: dict[Hashable, float]

    def state(self) -> list[Any]:
        values = [[plain(name, "the name of a feature"), v] for name, v in self.values.items()]
        return [self.number, plain(self.time, "the time of a point"), values]


class _Moments:
    """Number, mean and squared deviations of the values that came (Welford 1962)."""

    __slots__ = ("deviations", "mean", "n")

    def __init__(self) -> None:
        self.n = 0
        self.mean = math.nan
        self.deviations = math.nan

    def add(self, value: float) -> None:
        if math.isnan(value):
            return
        self.n += 1
        if self.n == 1:
            self.mean, self.deviations = value, 0.0
            return
        gap = value - self.mean
        self.mean += gap / self.n
        self.deviations += gap * (value - self.mean)

    def absorb(self, other: _Moments) -> None:
        """Those of both together (Chan, Golub & LeVeque 1979)."""
        if not other.n:
            return
        if not self.n:
            self.n, self.mean, self.deviations = other.n, other.mean, other.deviations
            return
        n = self.n + other.n
        gap = other.mean - self.mean
        self.mean += gap * (other.n / n)
        self.deviations += other.deviations + gap * gap * (self.n * (other.n / n))
        self.n = n

    def state(self) -> list[Any]:
        return [self.n, self.mean, self.deviations]

    @property
    def sd(self) -> float:
        return math.sqrt(self.deviations / self.n) if self.n else math.nan


class _Stretch:
    """Points in succession, summed up.

    Parameters
    ----------
    label
        Of their regime; None as long as it is not confirmed.
    first, start
        Number and time of the first point.
    """

    __slots__ = ("certainty", "counts", "end", "features", "first", "label", "n", "start")

    def __init__(self, label: int | None, first: int, start: Any) -> None:
        self.label = label
        self.first = first
        self.start = self.end = start
        self.n = 0
        self.counts: dict[int, int] = {}
        self.certainty: dict[int, _Moments] = {}
        self.features: dict[Hashable, _Moments] = {}

    def add(self, point: _Point, label: int | None = None, probability: float = math.nan) -> None:
        self.n += 1
        self.end = point.time
        if label is not None:
            self.counts[label] = self.counts.get(label, 0) + 1
            self.certainty.setdefault(label, _Moments()).add(probability)
        for name, value in point.values.items():
            self.features.setdefault(name, _Moments()).add(value)

    def absorb(self, later: _Stretch) -> None:
        """Take in the points of the stretch that follows."""
        if not later.n:
            return
        self.n += later.n
        self.end = later.end
        for label, count in later.counts.items():
            self.counts[label] = self.counts.get(label, 0) + count
            self.certainty.setdefault(label, _Moments()).absorb(later.certainty[label])
        for name, moments in later.features.items():
            self.features.setdefault(name, _Moments()).absorb(moments)

    def keep_own_certainty(self) -> None:
        """Forget about labels that the segment will never have."""
        if self.label is not None:
            for label in [label for label in self.counts if label != self.label]:
                del self.counts[label], self.certainty[label]

    def state(self) -> list[Any]:
        return [
            plain(self.label, "a label"),
            self.first,
            plain(self.start, "the time of a point"),
            plain(self.end, "the time of a point"),
            self.n,
            [
                [plain(label, "a label"), n, self.certainty[label].state()]
                for label, n in self.counts.items()
            ],
            [
                [plain(name, "the name of a feature"), moments.state()]
                for name, moments in self.features.items()
            ],
        ]

    def segment(self) -> Segment:
        label = self.label
        if label is None:
            label = max(self.counts, key=self.counts.__getitem__)
        return Segment(
            self.start,
            self.end,
            label,
            self.n,
            self.certainty.get(label, _Moments()).mean,
            {name: moments.mean for name, moments in self.features.items()},
            {name: moments.sd for name, moments in self.features.items()},
        )


def _point_from_state(state: Any) -> _Point:
    number, time, values = state
    return _Point(_kernel.whole(number, "number"), time, _numbers(values))


def _numbers(pairs: Any) -> dict[Hashable, float]:
    return {name: instance(value, float, "a value") for name, value in pairs}


def _moments_from_state(state: Any) -> _Moments:
    n, mean, deviations = state
    result = _Moments()
    if _kernel.whole(n, "n"):
        result.n = n
        result.mean = _kernel.real(mean, "mean", -LARGEST, LARGEST)
        result.deviations = _kernel.real(deviations, "deviations", 0.0, math.inf)
    return result


def _stretch_from_state(state: Any) -> _Stretch:
    label, first, start, end, n, counts, features = state
    result = _Stretch(
        None if label is None else instance(label, int, "label"),
        _kernel.whole(first, "first"),
        start,
    )
    result.end = end
    result.n = _kernel.whole(n, "n")
    for key, count, moments in counts:
        result.counts[instance(key, int, "label")] = _kernel.whole(count, "count", 1)
        result.certainty[key] = _moments_from_state(moments)
    for name, moments in features:
        result.features[name] = _moments_from_state(moments)
    return result


def _segment_state(segment: Segment) -> list[Any]:
    *values, mean, sd = (getattr(segment, field.name) for field in dataclasses.fields(segment))
    return [
        *(plain(value, "a segment") for value in values),
        *(
            [[plain(name, "the name of a feature"), value] for name, value in by_name.items()]
            for by_name in (mean, sd)
        ),
    ]


def _segment_from_state(state: Any) -> Segment:
    start, end, label, n, probability, mean, sd = state
    return Segment(
        start,
        end,
        instance(label, int, "label"),
        _kernel.whole(n, "n"),
        instance(probability, float, "probability"),
        _numbers(mean),
        _numbers(sd),
    )


def _number(value: Any) -> float:
    """A value as a double; NaN if it is missing or not finite."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:
        return math.nan
    return number if abs(number) <= LARGEST else math.nan
