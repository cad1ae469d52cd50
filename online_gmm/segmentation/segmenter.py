"""Segmenter: in which regime is the stream, and since when."""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import base

from online_gmm.data.frames import Table
from online_gmm.data.state import KINDS, Writable, load, writable
from online_gmm.em.mixture import MixtureParameters
from online_gmm.learners.base import UNKNOWN, Assignment, Assignments
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.learners.intake import Intake, Late, Time
from online_gmm.segmentation.found import MAX_REGIMES, FoundRegimes
from online_gmm.segmentation.labelled import LabelledSegments, Point, numbers_in
from online_gmm.segmentation.lagged import LaggedLabels
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.regimes import RegimeCard
from online_gmm.segmentation.second_pass import SecondPass
from online_gmm.segmentation.segments import RegimeChange, RegimeEvent, Segment, Segmentation
from online_gmm.segmentation.whole import as_html, label_whole


@writable
class Segmenter(base.Clusterer, Writable):
    """Tell in which regime a stream is, since when, and why it changed.

    Without arguments there is nothing to tune: the regimes, their number, and the window that tells
    them apart are found in the stream. Points are dicts of one to fifty numbers in any units. A
    change is reported some time after it took place, once, and with the row at which it began; it
    is never revised. Regimes are numbered from 0 as they are found. A number keeps its meaning: a
    return to a known regime gets the number of that regime.

    With a ``model`` the regimes are the labels of that learner, each point by itself. A label is
    *confirmed* by ``confirm`` points in a row that bear it. A confirmed label that differs from the
    regime's begins a candidate at the first of these points; it becomes the new regime, and the
    change is reported, at the first point that bears the label with ``min_dwell`` points from the
    candidate's first to this one. If another label is confirmed sooner, the candidate's points are
    absorbed by the segment before it; so are points of any label that is not confirmed. The first
    regime of a stream reaches back to its first point, and is no change.

    Parameters
    ----------
    model
        None to find the regimes. Or a learner of this package or a clusterer of river, alone or at
        the end of a pipeline, whose labels are the regimes. The segmenter may also be the last step
        of a pipeline itself; then it sees features as the steps before have made them.
    window
        Without a model: the length that tells regimes apart. None to find it from the data. Give
        it if you know how long the slowest pattern within a regime is: a number of points, at
        least 4, or a time, which needs times of points: a timedelta, or a number with its unit
        as pandas writes it ("30s", "5min"). A time is made a number of points once, from the
        first 16 points: the time divided by the mean interval, in which neither gaps (``max_gap``)
        nor the longest interval count. So a window is always that many points, also where they
        come at irregular times, and no window reaches across a gap. If it has fewer than 4 points,
        it is made 4, with a warning. From 16 points on it is made of equal blocks, and may be a few
        percent shorter or longer than asked for: one of 17 points is 16. ``window_`` is the number.
    max_regimes
        Without a model: how many regimes there are at most. A segment that is like none of them
        gets the nearest number then.
    confirm
        Without a model: what a change costs in `second_pass`, as a multiple of the usual; with 2
        fewer are found. What is reported as points come does not depend on it. With a model: points
        in a row that confirm a label.
    min_dwell
        With a model: points from the first to the last that bear the label of a segment, at least.
        Only the last segment of a stream may be shorter.
    features
        Without a model: the channels to look at. By default those of the first 16 points.
    time
        The key of a point that holds its time, in seconds or as a datetime. It is kept out of the
        statistics, and out of the model too unless the model's own ``time`` is the same. Outside of
        pipelines, `learn_one` takes the time as an argument. Times are handed back as they came.
    max_gap
        Without a model: seconds without a point after which the segment ends. The next one begins
        with the next point. None for no limit.
    late
        Without a model: what to do with a point whose time is not after that of the last one:
        ``raise`` an error, ``skip`` and count it, or ``learn`` it.
    lag
        Without a model: how many later points have a say in `new_labels`. A change is known some
        points after it took place; with a lag of at least its delay, the points in between get the
        new regime. With 0 there are none.
    smoothed
        With a model: whether to use the labels that the learner gives some points later, knowing
        what came after (``lag``), instead of those before it learns a point. The delay of a change
        includes the lag.

    Attributes
    ----------
    new_events
        What the last call that learnt has found, oldest first: each `Segment` before the
        `RegimeChange` that ended it, and each `RegimeEvent` (a regime was born, or two were one).
    new_labels
        Without a model, and with a ``lag``: the labels and probabilities of points that the last
        call that learnt made ``lag`` points old, oldest first, as two arrays. Each point learnt has
        its label once, and it is never revised. At a gap, and by `finish`, those that wait get the
        labels that are known.
    drift_detected
        Whether a change was reported by that call.
    change
        The last `RegimeChange` of that call, or None.
    closed
        The `Segment` that it completed, or None.
    current
        The `Segment` that is going on: in which regime the stream is, and since when.
    window_
        Without a model: points of the window that gives the answers now, found or given. None
        before one does.
    segments_
        After `label_many`: a pandas frame with a row for each segment: ``start``, ``end``,
        ``label``, ``n``, ``probability``, ``why`` it began, and mean and sd of each channel.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or does not go with the others.

    Notes
    -----
    Points of which nothing is known yet are labelled -1. Without a model they belong to the first
    segment. With a model they belong to no segment, and every other point to exactly one.

    Segments are handed on, not kept: memory is bounded, whatever the length of the stream. Cost per
    point with a model: that of the model to predict, to give probabilities and to learn, and
    O(D + K).

    Examples
    --------
    >>> import random
    >>> from online_gmm import Segmenter
    >>> rng = random.Random(1)
    >>> flow = [40.0] * 600 + [0.2] * 300 + [40.0] * 300
    >>> segmenter = Segmenter()
    >>> for level in flow:
    ...     segmenter.learn_one({"flow": rng.gauss(level, 1.0), "pressure": rng.gauss(6.0, 0.1)})
    ...     if segmenter.drift_detected:
    ...         print(segmenter.change.before, "->", segmenter.change.after)
    0 -> 1
    1 -> 0
    >>> segmenter.current.label
    0

    The same over a learner of your own:

    >>> from online_gmm import OnlineGMM
    >>> levels = [10.0, 20.0] * 50 + [10.0] * 300 + [20.0] * 200
    >>> segmenter = Segmenter(OnlineGMM(2, warm_up=100, seed=1), min_dwell=20, confirm=3)
    >>> for level in levels:
    ...     segmenter.learn_one({"level": rng.gauss(level, 1.0)})
    ...     if segmenter.drift_detected:
    ...         print(segmenter.change.at, segmenter.change.after, segmenter.change.delay)
    400 1 19
    >>> segmenter.current.label, segmenter.current.start, segmenter.current.n
    (1, 400, 200)
    >>> segmenter.predict_one({"level": 10.5})      # a single point is no change
    1
    """

    def __init__(
        self,
        model: base.Estimator | None = None,
        *,
        window: int | str | datetime.timedelta | None = None,
        max_regimes: int = MAX_REGIMES,
        confirm: float = 1,
        min_dwell: int = 1,
        features: Sequence[Hashable] | None = None,
        time: Hashable | None = None,
        max_gap: float | None = None,
        late: Late = "raise",
        lag: int = 0,
        smoothed: bool = False,
    ) -> None:
        self.model: Any = model
        self.window = window
        self.max_regimes = max_regimes
        self.confirm = confirm
        self.min_dwell = min_dwell
        self.features = features
        self.time = time
        self.max_gap = max_gap
        self.late = late
        self.lag = lag
        self.smoothed = smoothed
        self.new_events: list[Event] = []
        self._found: FoundRegimes | None = None
        self._labelled = LabelledSegments(1, 1)
        if isinstance(model, FoundRegimes):
            self._check_without_model()
            self._found = model
        elif model is None:
            self._check_without_model()
            self._found = FoundRegimes(
                window,
                max_regimes=max_regimes,
                confirm=confirm,
                features=features,
                time=time,
                max_gap=max_gap,
                late=late,
                lag=lag,
            )
        else:
            self._check_with_model()
            self._labelled = LabelledSegments(min_dwell, int(confirm))

    def _check_without_model(self) -> None:
        if self.min_dwell != 1 or self.smoothed:
            name = "smoothed" if self.smoothed else "min_dwell"
            raise ValueError(
                f"{name} is {getattr(self, name)!r}, which goes with a model; leave it out, or "
                "give the segmenter a model"
            )

    def _check_with_model(self) -> None:
        own: dict[str, Any] = {
            "window": None,
            "max_regimes": MAX_REGIMES,
            "features": None,
            "max_gap": None,
            "lag": 0,
        }
        for name, default in own.items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which goes without a model; set what "
                    f"{self._learner} looks at in that"
                )
        for name in ("min_dwell", "confirm"):
            value = getattr(self, name)
            if not (value >= 1 and value == int(value)):
                raise ValueError(f"{name} is {value!r}; it must be a number of points, at least 1")
        if self.smoothed and not hasattr(self._learner, "smoothed"):
            raise ValueError(
                f"{self._learner} gives no smoothed labels; smoothed=True needs a learner with a "
                "lag, such as OnlineHMM(lag=...)"
            )

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        from river import cluster

        k_means: Any = cluster.KMeans
        yield {}
        yield {"window": 16, "max_regimes": 3, "lag": 5}
        yield {"model": OnlineGMM(2, warm_up=20, seed=1), "confirm": 2}
        # its first centres are drawn in the order of features, which has no part if all are equal
        yield {"model": k_means(n_clusters=3, sigma=0, seed=1), "min_dwell": 5}

    # -- learning -------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Any, Any], t: Any = None) -> None:
        """Learn a point, and see whether the regime has changed.

        Parameters
        ----------
        x
            The point: names and numbers. None and NaN are missing values.
        t
            Its time, in seconds or as a datetime, unless x holds it under the key ``time``. A
            learner of this package is given it too; a pipeline is not.

        Raises
        ------
        TypeError, ValueError
            If a value is no number, is infinite or beyond 1e150, or the time is missing or not
            after that of the last point. Nothing is learnt then. With a model, what else is raised
            is the model's.
        """
        if self._found is not None:
            self._found.learn_one(x, t)
            self.new_events = self._found.new_events
            return
        labelled, point = self._labelled, self._point(x, t)
        seen = self._seen(x)
        label, probability = self._assign(seen)
        if t is not None and isinstance(self.model, Intake):
            self.model.learn_one(seen, t)
        else:
            self.model.learn_one(seen)
        labelled.begin(point.time)
        if self.smoothed:
            labelled.awaiting.append(point)
            if len(labelled.awaiting) <= self._learner.lag:
                self._tell()
                return
            point, known = labelled.awaiting.popleft(), self._learner.smoothed
            if known is not None:
                label, probability = known.label, known.probability
        if label not in (None, UNKNOWN):
            labelled.take(point, label, probability)
        self._tell()

    def learn_many(self, X: Any, t: Any = None) -> None:
        """Learn rows: the same as `learn_one` of each in turn.

        What was found on the way is in ``new_events``.

        Parameters
        ----------
        X
            Rows: a data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D).
        t
            Times of the rows, shape (n,), in seconds or as datetimes, unless X has a column
            ``time``.

        Raises
        ------
        TypeError, ValueError
            As in `learn_one`; the message names the row. Without a model no row is learnt then.
        """
        if self._found is not None:
            self._found.learn_many(X, t)
            self.new_events = self._found.new_events
            return
        new_events: list[Event] = []
        for x, when in self._points(X, t):
            self.learn_one(x, when)
            new_events += self.new_events
        self.new_events = new_events

    def label_then_learn_many(
        self, X: Any, t: Any = None, stamps: Sequence[Any] | None = None
    ) -> Assignments:
        """Label each row, learn it, and go on to the next: `assign_one`, then `learn_one`.

        Labels are causal: they are what is known when a row comes.

        Parameters
        ----------
        X, t
            Rows and their times, as in `learn_many`.
        stamps
            Without a model: what segments and changes hand back as the times of the rows, if that
            is not t: n plain values of any kind.

        Returns
        -------
        Assignments
            Labels, probabilities, log densities (nats) and outlier flags: four arrays of shape
            (n,).
        """
        if self._found is not None:
            answers = self._found.label_then_learn_many(X, t, stamps)
            self.new_events = self._found.new_events
            return answers
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

    def _points(self, X: Any, t: Any) -> Iterator[tuple[dict[Hashable, Any], Any]]:
        """The rows of a table as points, and their times."""
        table = Table(X, getattr(self._learner, "features", None), self.time, t)
        for i, row in enumerate(table.values.tolist()):
            x: dict[Hashable, Any] = dict(zip(table.names, row, strict=True))
            seconds = None if table.times is None else float(table.times[i])
            if self.time is not None and seconds is not None and t is None:
                x[self.time] = seconds
                seconds = None
            yield x, seconds

    def label_many(self, X: Any, t: Any = None) -> Any:
        """Learn all rows of a frame, end the stream, and return the regime of each row.

        Labels are those in hindsight: each row bears the number of its segment, also the rows that
        came before the change was reported. Segments are in ``segments_``.

        Parameters
        ----------
        X, t
            Rows and their times, as in `learn_many`. The stream before them is ended first.

        Returns
        -------
        series or numpy.ndarray
            Regimes, shape (n,), of the kind that goes with X. -1 for rows that belong to no
            segment: with a model those before its start, and with ``smoothed`` the last ``lag``.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import Segmenter
        >>> rng = np.random.default_rng(2)
        >>> X = rng.normal(np.repeat([0.0, 9.0, 0.0], 300), 1.0)[:, None]
        >>> segmenter = Segmenter()
        >>> labels = segmenter.label_many(X)
        >>> np.flatnonzero(np.diff(labels)).tolist()
        [300, 599]
        >>> segmenter.segments_[["start", "end", "label"]]
           start  end  label
        0      0  300      0
        1    301  599      1
        2    600  899      0
        """
        labels, self.segments_ = label_whole(self, X, t)
        return labels

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
        labelled, point = self._needs_model(), self._point(x, t)
        labelled.begin(point.time)
        if label != UNKNOWN:
            labelled.take(point, label, probability)
        self._tell()

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
        result = self._needs_model().take_many(X, names, labels, probabilities, times)
        self._tell()
        return result

    def _needs_model(self) -> LabelledSegments:
        if self._found is not None:
            raise ValueError(
                "this segmenter finds the regimes itself; give points to learn_one, or a model to "
                "the segmenter"
            )
        return self._labelled

    def _tell(self) -> None:
        labelled = self._labelled
        new_events = (labelled.closed, labelled.change)
        self.new_events = [event for event in new_events if event is not None]

    def finish(self) -> Segment | None:
        """End the stream: return the segment that is going on, None if there is none.

        What comes after begins a new segment, though points are counted on. With a model, points
        that are not confirmed to be of another regime belong to the segment.
        """
        self.new_events = []
        return self._labelled.finish() if self._found is None else self._found.finish()

    def reset_state(self) -> None:
        """Declare an interruption: the segment ends here, and the next point begins a new one.

        What has been learnt stays. The segment that ended is in ``new_events``.
        """
        if self._found is not None:
            self._found.reset_state()
            self.new_events = self._found.new_events
            return
        if hasattr(self._learner, "reset_state"):
            self._learner.reset_state()
        last = self.finish()
        self.new_events = [] if last is None else [last]

    def stream(self, points: Iterable[Mapping[Any, Any]]) -> Iterator[Event]:
        """Learn points, and yield what is reported: segments, changes and events.

        A segment comes before the change that ended it. When the points end, so does the last
        segment.

        Examples
        --------
        >>> from online_gmm.segmentation.segmenter import Segmenter
        >>> from river import cluster
        >>> segmenter = Segmenter(cluster.KMeans(2, halflife=0.5, sigma=9, seed=2))
        >>> for found in segmenter.stream({"x": x} for x in [-9.0, -8.0, 9.0, 8.0]):
        ...     print(type(found).__name__, found)
        Segment regime 1, 0 to 1, 2 points
        RegimeChange 1 -> 0 at 2
        Segment regime 0, 2 to 3, 2 points
        """
        for x in points:
            self.learn_one(x)
            yield from self.new_events
        last = self.finish()
        if last is not None:
            yield last

    # -- as bytes -------------------------------------------------------------------------------

    @classmethod
    def _written_params(cls) -> tuple[str, ...]:
        return tuple(name for name in super()._written_params() if name != "model")

    def _state(self) -> dict[str, Any]:
        if self._found is not None:
            return {"model": self._found.to_bytes()}
        if type(self.model) not in KINDS.values():
            raise TypeError(
                f"the model of this segmenter is a {type(self.model).__name__}, which cannot be "
                "written; only those of online_gmm can. Give it points with their labels by "
                "segment_one, and keep the model apart from it"
            )
        return {"model": self.model.to_bytes(), **self._labelled.state()}

    @classmethod
    def _revived(cls, params: dict[str, Any], state: dict[str, Any]) -> Self:
        model = load(state["model"])
        if isinstance(model, FoundRegimes):
            result = cls(None, **params)
            result._found = model
            return result
        if not isinstance(model, Intake):
            raise ValueError(f"the model is a {type(model).__name__}")
        result = cls(model, **params)
        result._labelled.restore(state)
        result._tell()
        return result

    # -- answers --------------------------------------------------------------------------------

    def predict_one(self, x: Mapping[Any, Any], t: Time | None = None) -> int:
        """Return the regime of a point that comes next, as far as is known; -1 before anything is.

        That is the regime of the segment going on. With a model it is the new regime if this very
        point would get a change reported, and the model's own label while there is none.
        """
        if self._found is not None:
            return self._found.predict_one(x, t)
        regime = self._labelled.label
        if regime is None or not self.smoothed:
            label: int = self.model.predict_one(self._seen(x))
            if regime is None or self._labelled.would_change(label):
                return label
        return regime

    def predict_proba_one(self, x: Mapping[Any, Any], t: Time | None = None) -> dict[int, float]:
        """Return the probability of each regime for a point that comes next; they sum to 1.

        Empty before anything is known. With a model: as the model says.
        """
        if self._found is not None:
            return self._found.predict_proba_one(x, t)
        answer: dict[int, float] = self.model.predict_proba_one(self._seen(x))
        return answer

    def assign_one(self, x: Mapping[Any, Any], t: Time | None = None) -> Assignment:
        """Return the regime of a point, its probability, the point's log density, and whether it is
        an outlier. With a model: as the model says.
        """
        if self._found is not None:
            return self._found.assign_one(x, t)
        seen = self._seen(x)
        if hasattr(self.model, "assign_one"):
            answer: Assignment = self.model.assign_one(seen, *([] if t is None else [t]))
            return answer
        label, probability = self._assign(seen)
        return Assignment(UNKNOWN if label is None else label, probability, math.nan, False)

    def log_density_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return the log density of a point under the regimes, in nats; NaN if none is known."""
        return self.assign_one(x, t).log_density

    def score_one(self, x: Mapping[Any, Any], t: Time | None = None) -> float:
        """Return how strange a point is: -log10 of its tail probability in the nearest regime."""
        model = self.model if self._found is None else self._found
        score: float = model.score_one(self._seen(x))
        return score

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
        learner = self.learner
        return learner.look_back(*([] if lag is None and self._found is not None else [lag]))

    @property
    def new_labels(self) -> LaggedLabels:
        return self._finder.new_labels

    def predict_many(self, X: Any, t: Any = None) -> Any:
        """Return the regime of rows, each as `predict_one`."""
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
        at most 100. Memory is O(n p) for each window, about 1 KB a row for a channel.

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

    @property
    def learner(self) -> Any:
        """What answers: the model, or the learner that finds the regimes."""
        return self.model if self._found is None else self._found

    @property
    def finds_regimes(self) -> bool:
        """Whether regimes are found, rather than being the labels of a model."""
        return self._found is not None

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
        return self._labelled.current if self._found is None else self._found.current

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
        if self._found is None:
            raise ValueError(
                f"the regimes of this segmenter are the labels of {self._learner}; only "
                "Segmenter() without a model has what it found itself"
            )
        return self._found

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
        return self._labelled.n_points if self._found is None else self._found.n_points

    @property
    def n_changes(self) -> int:
        """Changes of regime that were reported. Only without a model."""
        return self._finder.n_changes

    def _repr_html_(self) -> str:
        return as_html(self)

    # -- points ---------------------------------------------------------------------------------

    @property
    def _learner(self) -> Any:
        """The model itself, or the last step of the pipeline."""
        learner = self.model
        while hasattr(learner, "steps"):
            learner = learner[-1]
        return learner

    def _point(self, x: Mapping[Any, Any], t: Any) -> Point:
        number = self._labelled.n_points
        if t is None and self.time is not None:
            if self.time not in x:
                raise ValueError(
                    f"this point has no time: {self.time!r} is not among its keys "
                    f"{', '.join(map(repr, x))}"
                )
            t = x[self.time]
        return Point(number, number if t is None else t, numbers_in(x, self.time))

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
            if self._labelled.n_points:
                raise
            return None, math.nan
        if not hasattr(learner, "predict_proba_one"):
            return label, math.nan
        return label, self.model.predict_proba_one(x).get(label, math.nan)
