"""Segmenter: tells in which regime a stream is, and since when."""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from river import base

from online_gmm.data.state import Writable, load, writable
from online_gmm.learners.base import Assignments
from online_gmm.learners.gmm import OnlineGMM
from online_gmm.learners.intake import Intake, Late
from online_gmm.segmentation.answers import SegmenterAnswers
from online_gmm.segmentation.found import MAX_REGIMES, FoundRegimes
from online_gmm.segmentation.of_model import ModelRegimes
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.segments import Segment, Segmentation
from online_gmm.segmentation.whole import as_html, label_whole


@writable
class Segmenter(SegmenterAnswers, Writable):
    """Tell in which regime a stream is, since when, and why it changed.

    Without arguments there is nothing to tune: the regimes, their number, and the window that tells
    them apart are found in the stream. Points are dicts of one to fifty numbers in any units. A
    change is reported some time after it took place, once, and with the row at which it began; it
    is never revised. Regimes are numbered from 0 as they are found. A number keeps its meaning: a
    return to a known regime gets the number of that regime. Channels are scaled here: a scaler of
    river in front, which learns as it goes, would move the levels and make regimes of that. A
    channel of which the values stay away is another regime too, with that as the reason.

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
        pipelines, `learn_one` takes the time as an argument. Of frames it is a column, or the name
        of the index of pandas. Times are handed back as they came, dates of numpy and pandas as
        those of Python.
    max_gap
        Without a model: seconds without a point after which the segment ends, or a time as
        ``window`` has it ("1h"). The next one begins with the next point. None for no limit.
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

    One thread at a time may use a segmenter, also to read of it; there is no lock in it.

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
        max_gap: float | str | datetime.timedelta | None = None,
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
        self._regimes = self._source_of_regimes()

    def _source_of_regimes(self) -> FoundRegimes | ModelRegimes:
        """Return the learner that finds regimes, or the segments of the model's labels."""
        model = self.model
        if model is None or isinstance(model, FoundRegimes):
            self._refuse(
                "goes with a model; leave it out, or give the segmenter a model",
                min_dwell=1,
                smoothed=False,
            )
            if model is not None:
                return model
            return FoundRegimes(
                self.window,
                max_regimes=self.max_regimes,
                confirm=self.confirm,
                features=self.features,
                time=self.time,
                max_gap=self.max_gap,
                late=self.late,
                lag=self.lag,
            )
        its = ModelRegimes(model, self.min_dwell, self.confirm, self.time, self.smoothed)
        self._refuse(
            f"goes without a model; set what {its.last_step} looks at in that",
            window=None,
            max_regimes=MAX_REGIMES,
            features=None,
            max_gap=None,
            lag=0,
        )
        return its

    def _refuse(self, why: str, **defaults: Any) -> None:
        """Raise if a parameter that is not used here differs from its default."""
        for name, default in defaults.items():
            if (value := getattr(self, name)) != default:
                raise ValueError(f"{name} is {value!r}, which {why}")

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
        self._regimes.learn_one(x, t)

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
        self._regimes.learn_many(X, t)

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
        return self._regimes.label_then_learn_many(X, t, stamps)

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
            segment: those before all values, with a model those before its start, and with
            ``smoothed`` the last ``lag``.

        Examples
        --------
        >>> import numpy as np
        >>> from online_gmm import Segmenter
        >>> rng = np.random.default_rng(2)
        >>> X = rng.normal(np.repeat([0.0, 9.0, 0.0], 300), 1.0)[:, None]
        >>> segmenter = Segmenter()
        >>> labels = segmenter.label_many(X)
        >>> np.flatnonzero(np.diff(labels)).tolist()
        [299, 599]
        >>> segmenter.segments_[["start", "end", "label"]]
           start  end  label
        0      0  299      0
        1    300  599      1
        2    600  899      0
        """
        labels, self.segments_ = label_whole(self, X, t)
        return labels

    def segment_one(
        self, x: Mapping[Any, Any], label: int, probability: float = math.nan, t: Any = None
    ) -> None:
        """Add a point whose label is known already, without asking the model.

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
        self._needs_model().segment_one(x, label, probability, t)

    def segment_many(
        self,
        X: NDArray[np.float64],
        names: Sequence[Hashable],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        times: Sequence[Any] | None = None,
    ) -> Segmentation:
        """Add points whose labels are known already: the same as `segment_one` for each in turn.

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
        return self._needs_model().segment_many(X, names, labels, probabilities, times)

    def _needs_model(self) -> ModelRegimes:
        its = self._regimes
        if isinstance(its, ModelRegimes):
            return its
        raise ValueError(
            "this segmenter finds the regimes itself; give points to learn_one, or a model to the "
            "segmenter"
        )

    def finish(self) -> Segment | None:
        """End the stream: return the segment that is going on, None if there is none.

        What comes after begins a new segment, though points are counted on. With a model, points
        that are not confirmed to be of another regime belong to the segment.
        """
        return self._regimes.finish()

    def reset_state(self) -> None:
        """Declare an interruption: the segment ends here, and the next point begins a new one.

        What has been learnt stays. The segment that ended is in ``new_events``.
        """
        self._regimes.reset_state()

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

    def _repr_html_(self) -> str:
        return as_html(self)

    # -- as bytes -------------------------------------------------------------------------------

    @classmethod
    def _written_params(cls) -> tuple[str, ...]:
        return tuple(name for name in super()._written_params() if name != "model")

    def _state(self) -> dict[str, Any]:
        its = self._regimes
        return {"model": its.to_bytes()} if isinstance(its, FoundRegimes) else its.state()

    @classmethod
    def _revived(cls, params: dict[str, Any], state: dict[str, Any]) -> Self:
        model = load(state["model"])
        if isinstance(model, FoundRegimes):
            result = cls(None, **params)
            result._regimes = model
            return result
        if not isinstance(model, Intake):
            raise ValueError(f"the model is of type {type(model).__name__}")
        result = cls(model, **params)
        result._needs_model().restore(state)
        return result
