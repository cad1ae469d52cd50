"""Labels of single points become segments: a label is confirmed before it is a regime."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import view
from online_gmm.data.state import instance, plain
from online_gmm.learners.base import UNKNOWN
from online_gmm.segmentation.moments import LARGEST, Moments, moments_from_state
from online_gmm.segmentation.segments import (
    RegimeChange,
    Segment,
    Segmentation,
    change_from_state,
    change_state,
    named_numbers,
    segment_from_state,
    segment_state,
)


class LabelledSegments:
    """Makes segments of labelled points.

    A label is *confirmed* by ``confirm`` points in a row that bear it. A confirmed label that
    differs from the regime's begins a candidate at the first of these points. The candidate becomes
    the new regime, and the change is reported, at the first point that bears the label with
    ``min_dwell`` points from the candidate's first to this one. If another label is confirmed
    sooner, the candidate's points are absorbed by the segment before it; so are points of any label
    that is not confirmed. The first regime of a stream reaches back to its first point, and is no
    change.

    Parameters
    ----------
    min_dwell, confirm
        Points, at least 1.

    Attributes
    ----------
    n_points
        Points that have come.
    change, closed
        The `RegimeChange` that was reported at the last point and the `Segment` that it completed,
        or None.
    """

    def __init__(self, min_dwell: int, confirm: int) -> None:
        self.min_dwell = min_dwell
        self.confirm = confirm
        self.n_points = 0
        self.change: RegimeChange | None = None
        self.closed: Segment | None = None
        # few points, or none: an empty deque takes 700 bytes
        self.awaiting: list[Point] = []
        self._now: Any = None
        self._settled: _Stretch | None = None
        self._candidate: _Stretch | None = None
        self._run: _Stretch | None = None

    def begin(self, time: Any) -> None:
        """Count a point that has come at this time."""
        self.n_points += 1
        self._now = time
        self.change = self.closed = None

    def take_many(
        self,
        X: NDArray[np.float64],
        names: Sequence[Hashable],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        times: Sequence[Any] | None = None,
    ) -> Segmentation:
        """Take in labelled points, as `take` does one after the other; see `segment_many`."""
        n = len(X)
        changes = np.zeros(n, dtype=bool)
        rows: list[Segment] = []
        at_once = self.min_dwell == self.confirm == 1 and not (labels == UNKNOWN).any()
        done = 0
        while done < n and not (at_once and self._goes_on_by_runs):
            values: dict[Hashable, float] = dict(zip(names, X[done].tolist(), strict=True))
            time = self.n_points if times is None else times[done]
            point = Point(self.n_points, time, values)
            self.begin(time)
            if labels[done] != UNKNOWN:
                self.take(point, int(labels[done]), float(probabilities[done]))
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
        n, offset = len(X), self.n_points - done
        # the run under way goes on with the first points, or with none
        carried = bool(labels[done] == run.label)
        changes[done] = not carried
        np.not_equal(labels[done + 1 :], labels[done:-1], out=changes[done + 1 :])
        begins = changes[done:].copy()
        begins[0] = True
        starts = begins.nonzero()[0]
        first_of: list[int] = (starts + done).tolist()
        width = len(names) + 1
        count = array("q", bytes(8 * width * len(first_of)))
        mean, deviations = (array("d", [math.nan]) * len(count) for _ in range(2))
        if carried:
            known = [*(run.features.get(name) for name in names), run.certainty.get(run.label)]
            for j, moments in enumerate(known):
                if moments is not None:
                    count[j], mean[j], deviations[j] = moments.n, moments.mean, moments.deviations
        values, shares = view(X[done:]), view(probabilities[done:])
        _kernel.sum_up(values, shares, view(starts), count, mean, deviations)

        def time_of(point: int) -> Any:
            return point + offset if times is None else times[point]

        def stretch_of(i: int) -> _Stretch:
            """The i-th of these runs, from where it begins."""
            begin, end = first_of[i], first_of[i + 1] if i + 1 < len(first_of) else n
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
            columns = slice(i * width, (i + 1) * width)
            *its, sure = map(Moments.of, count[columns], mean[columns], deviations[columns])
            result.features.update(zip(names, its, strict=True))
            result.certainty[label] = sure
            return result

        def closed() -> list[Segment]:
            # the first of these runs may go on with what came before
            before = [run] if not carried else [stretch_of(0)] if len(first_of) > 1 else []
            result = [*rows, *(stretch.segment() for stretch in before)]
            runs = slice(int(carried), len(first_of) - 1)
            means = np.frombuffer(mean).reshape(-1, width)
            squares, counts = np.frombuffer(deviations), np.frombuffer(count, np.int64)
            with np.errstate(invalid="ignore"):
                sds = np.sqrt(squares / counts).reshape(-1, width)
            bounds = zip(first_of[runs], first_of[int(carried) + 1 :], strict=True)
            its = zip(bounds, means[runs].tolist(), sds[runs].tolist(), strict=True)
            for (begin, end), (*centre, sure), sd in its:
                result.append(
                    Segment(
                        time_of(begin),
                        time_of(end - 1),
                        int(labels[begin]),
                        end - begin,
                        sure,
                        dict(zip(names, centre, strict=True)),
                        dict(zip(names, sd, strict=False)),
                    )
                )
            return result

        last = stretch_of(len(first_of) - 1)
        self.n_points += n - done
        self.change = self.closed = None
        if changes[-1]:
            before = stretch_of(len(first_of) - 2) if len(first_of) > 1 else run
            self.closed = before.segment()
            assert before.label is not None
            assert last.label is not None
            sure = last.certainty[last.label].mean
            self.change = RegimeChange(last.start, last.start, before.label, last.label, sure, 0)
        if len(first_of) > 1 or not carried:
            self._settled = _Stretch(last.label, last.first, last.start)
        self._run = last
        return Segmentation(changes, closed)

    def finish(self) -> Segment | None:
        """End the segment in progress; None if there is none."""
        last = self.current
        self.change = self.closed = None
        self._settled = self._candidate = self._run = None
        self.awaiting.clear()
        return last

    @property
    def current(self) -> Segment | None:
        """The segment in progress, as `finish` would have it; None without a labelled point."""
        if self._settled is None:
            return None
        whole = _Stretch(self._settled.label, self._settled.first, self._settled.start)
        for part in (self._settled, self._candidate, self._run):
            if part is not None:
                whole.absorb(part)
        for point in self.awaiting:
            whole.add(point)
        return whole.segment()

    @property
    def label(self) -> int | None:
        """The label of the regime in progress; None before one is confirmed."""
        return None if self._settled is None else self._settled.label

    # -- regimes --------------------------------------------------------------------------------

    def take(self, point: Point, label: int, probability: float) -> None:
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
        sure = Moments()
        for part in (candidate, run):
            sure.absorb(part.certainty.get(candidate.label, Moments()))
        self.change = RegimeChange(
            candidate.start,
            self._now,
            before.label,
            candidate.label,
            sure.mean,
            self.n_points - 1 - candidate.first,
        )
        self._settled = candidate

    def would_change(self, label: int) -> bool:
        """Whether a change would be reported if the next point bore this label."""
        run, candidate, number = self._run, self._candidate, self.n_points
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

    # -- as bytes -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all this as plain values, for `restore`."""
        change, closed = self.change, self.closed
        return {
            "n_points": self.n_points,
            "awaiting": [point.state() for point in self.awaiting],
            "stretches": [
                None if stretch is None else stretch.state()
                for stretch in (self._settled, self._candidate, self._run)
            ],
            "change": None if change is None else change_state(change),
            "closed": None if closed is None else segment_state(closed),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` has returned."""
        self.n_points = _kernel.whole(state["n_points"], "n_points")
        self.awaiting.extend(_point_from_state(its) for its in state["awaiting"])
        self._settled, self._candidate, run = (
            None if its is None else _stretch_from_state(its) for its in state["stretches"]
        )
        self._run = run
        self._check()
        if state["change"] is not None:
            self.change = change_from_state(state["change"], None if run is None else run.end)
        if state["closed"] is not None:
            self.closed = segment_from_state(state["closed"])

    def _check(self) -> None:
        """Raise unless stretches are as learning leaves them."""
        settled, candidate, run = self._settled, self._candidate, self._run
        if (settled is None) != (run is None) or (settled is None and candidate is not None):
            raise ValueError("there is a run without a segment, or a segment without one")
        for part in (candidate, run):
            if part is not None and part.label is None:
                raise ValueError("a candidate or a run has no label")
        if run is not None and run.label not in run.counts:
            raise ValueError("the run is without a point")


class Point(NamedTuple):
    """A point's number in the stream, its time, and its features that are numbers."""

    number: int
    time: Any
    values: dict[Hashable, float]

    def state(self) -> list[Any]:
        values = [[plain(name, "the name of a feature"), v] for name, v in self.values.items()]
        return [self.number, plain(self.time, "the time of a point"), values]


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
        self.certainty: dict[int, Moments] = {}
        self.features: dict[Hashable, Moments] = {}

    def add(self, point: Point, label: int | None = None, probability: float = math.nan) -> None:
        self.n += 1
        self.end = point.time
        if label is not None:
            self.counts[label] = self.counts.get(label, 0) + 1
            self.certainty.setdefault(label, Moments()).add(probability)
        for name, value in point.values.items():
            self.features.setdefault(name, Moments()).add(value)

    def absorb(self, later: _Stretch) -> None:
        """Take in the points of the stretch that follows."""
        if not later.n:
            return
        self.n += later.n
        self.end = later.end
        for label, count in later.counts.items():
            self.counts[label] = self.counts.get(label, 0) + count
            self.certainty.setdefault(label, Moments()).absorb(later.certainty[label])
        for name, moments in later.features.items():
            self.features.setdefault(name, Moments()).absorb(moments)

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
            self.certainty.get(label, Moments()).mean,
            {name: moments.mean for name, moments in self.features.items()},
            {name: moments.sd for name, moments in self.features.items()},
        )


def _point_from_state(state: Any) -> Point:
    number, time, values = state
    plain(time, "the time of a point")
    return Point(_kernel.whole(number, "number"), time, named_numbers(values))


def _stretch_from_state(state: Any) -> _Stretch:
    label, first, start, end, n, counts, features = state
    result = _Stretch(
        None if label is None else instance(label, int, "label"),
        _kernel.whole(first, "first"),
        start,
    )
    result.end = end
    for time in (start, end):
        # what could not be written again
        plain(time, "the time of a point")
    result.n = _kernel.whole(n, "n")
    for key, count, moments in counts:
        result.counts[instance(key, int, "label")] = _kernel.whole(count, "count", 1)
        result.certainty[key] = moments_from_state(moments)
    for name, moments in features:
        result.features[name] = moments_from_state(moments)
    return result


def numbers_in(x: Mapping[Any, Any], time: Hashable | None) -> dict[Hashable, float]:
    """The values of a point that are numbers, or missing; without its time."""
    try:
        items = x.items()
    except AttributeError:
        _kernel.must_be_mapping(x)
        raise
    return {
        name: _number(value)
        for name, value in items
        if name != time and (value is None or isinstance(value, Real))
    }


def _number(value: Any) -> float:
    """A value as a double; NaN if it is missing or not finite."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:
        return math.nan
    return number if abs(number) <= LARGEST else math.nan
