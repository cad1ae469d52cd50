"""How points come in: feature names, times, late points, and the points of the warm start."""

from __future__ import annotations

import abc
import datetime
import math
import warnings
from array import array
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from river import base

from online_gmm import _kernel
from online_gmm.data import clock, state
from online_gmm.data.counted import counted, must_be_whole
from online_gmm.data.frames import Table, must_be_names, sorted_names, view
from online_gmm.learners.first_points import FirstPoints

NO_TIME = math.nan
NO_POINTS = FirstPoints()
NO_TIMES = array("d")
NO_NAMES: dict[int, str] = {}

Time = float | datetime.datetime
"""A time as a caller may give it: seconds, or a datetime."""
Late = Literal["raise", "skip", "learn"]
"""What to do with a point whose time is not after that of the last one."""


Given = ParamSpec("Given")
Result = TypeVar("Result")


def unchanged_if_refused(method: Callable[Given, Result]) -> Callable[Given, Result]:
    """Make a method leave the learner as it was if it raises.

    Attributes are set back, and points kept for the warm start taken out again. A kernel is not:
    the method must replace a kernel, or raise before it changes one. O(1).
    """

    @wraps(method)
    def guarded(*given: Given.args, **named: Given.kwargs) -> Result:
        learner: Any = given[0]
        its, n_kept = learner.__getstate__(), len(learner._buffer)
        try:
            return method(*given, **named)
        except BaseException:
            learner.__dict__.clear()
            learner.__setstate__(its)
            learner._buffer.restrict(slice(n_kept))
            del learner._times[n_kept:]
            raise

    return guarded


class Intake(_kernel.Entry, base.Clusterer, state.Writable, abc.ABC):
    """Check and order the features of points, and hand the points to a kernel.

    The first points are kept; a kernel begins with them.
    """

    warm_up: int
    seed: int | None
    features: Sequence[Hashable] | None
    order_by: Hashable | None
    time: Hashable | None
    late: Late
    # whether the first points are kept even if no value of theirs is known
    _keeps_empty_points = False

    def _prepare(self, needs_time: bool = False) -> None:
        """Check the parameters above, and begin with nothing."""
        must_be_whole("warm_up", self.warm_up, 1)
        if self.late not in ("raise", "skip", "learn"):
            raise ValueError(f"late is {self.late!r}; it must be 'raise', 'skip' or 'learn'")
        features = self.features
        if features is not None:
            must_be_names("features", features)
            if len(set(features)) != len(features):
                raise ValueError(f"features are {list(features)!r}; each name may be there once")
        if features is not None and self.order_by is not None and self.order_by not in features:
            raise ValueError(f"order_by is {self.order_by!r}, which is not among the features")
        self.n_unknown = 0
        self.n_late = 0
        self._clocked = needs_time or self.time is not None
        self._numbered = False
        self._last = -math.inf
        self._buffer = FirstPoints()
        self._times = array("d")
        self._n_empty = 0
        self._label_names = NO_NAMES
        self._names = ()
        self._stream = None

    def _require_start(self) -> None:
        if self._stream is None:
            n = len(self._buffer)
            raise ValueError(
                f"nothing is learnt yet: {counted(n, 'points have')} come, and the warm start of "
                f"the first {self.warm_up} is made while the next ones come; "
                "fit_start() makes it at once"
                if n >= self.warm_up
                else f"nothing is learnt yet: {n} of {self.warm_up} warm-up points have come; "
                "fit_start() starts with those"
            )

    @abc.abstractmethod
    def _begin(
        self,
        rows: NDArray[np.float64],
        names: tuple[Hashable, ...],
        times: NDArray[np.float64],
    ) -> None:
        """Make the warm start from rows of shape (n, D), each with a value, and their times."""

    @abc.abstractmethod
    def _attend(self) -> None:
        """Do the work that is due, when the kernel says so."""

    def _knows(self, table: Table) -> bool:
        """Return whether any feature of the rows is known, or may become so; warn if none is."""
        known = self._wanted
        if not table.names or not known or not set(table.names).isdisjoint(known):
            return True
        self._warn_unknown(table.names)
        return False

    @property
    def _wanted(self) -> tuple[Hashable, ...]:
        """The features that are looked at; none as long as any will do."""
        return self._names or (() if self.features is None else tuple(self.features))

    @property
    def _made_of_unknown(self) -> str:
        """What becomes of points of which no feature is known."""
        return "Nothing is learnt from such points, and their label is -1"

    def _warn_unknown(self, names: Any) -> None:
        warnings.warn(
            f"the model knows none of the features {', '.join(map(repr, names))}; it knows "
            f"{', '.join(map(repr, self._wanted))}. {self._made_of_unknown}",
            UserWarning,
            stacklevel=4,
        )

    def _pass_over(self, n: int, names: Collection[Hashable]) -> None:
        """Count n values of features that are not known, and warn of the first ones.

        Whoever has named the features knows that others are passed over.
        """
        if n and not self.n_unknown and self.features is None:
            known = {*self._names, self.time}
            late = ", ".join(repr(name) for name in names if name not in known)
            warnings.warn(
                f"passed over from now on: {late}, which came after the first {self.warm_up} "
                "points. These say which features there are, unless they are named when the "
                "learner is made: features=[...]",
                UserWarning,
                stacklevel=4,
            )
        self.n_unknown += n

    def _pass_over_columns(self, table: Table, n_rows: int) -> None:
        unknown = set(table.names) - set(self._names)
        if len(unknown) < len(table.names):
            self._pass_over(n_rows * len(unknown), table.names)
        else:
            # what `_knows` has told
            self.n_unknown += n_rows * len(unknown)

    @abc.abstractmethod
    def _streaming(self, its: dict[str, Any]) -> Any:
        """Return the kernel of this state, if it fits the parameters."""

    # -- one point ------------------------------------------------------------------------------

    def _learn(self, x: Mapping[Any, Any], t: Time | None = None) -> None:
        """Learn a point that does not go straight to a stream."""
        seconds = NO_TIME
        if self._clocked or t is not None:
            seconds = self._seconds(x, t)
            if seconds <= self._last_time and self._refuse(seconds, x, t):
                return
            if self._last_time == -math.inf:
                self._doubt_unit(seconds, x[self.time] if t is None else t)
        stream = self._stream
        if stream is None:
            self._keep(x, seconds)
            return
        unknown = stream.learn_one(x, self._names, seconds)
        if unknown or stream.is_due:
            self._notice(x, unknown)

    def _notice(self, x: Mapping[Any, Any], unknown: int) -> None:
        """Count unknown features, and do the work that is due in the stream."""
        self._pass_over(unknown - (self.time in x), x.keys())
        if self._stream.is_due:
            self._attend()

    def _seconds(self, x: Mapping[Any, Any], t: Time | None) -> float:
        if t is not None:
            return clock.seconds(t)
        if self.time is None or self.time not in x:
            _kernel.must_be_mapping(x)
            raise ValueError(
                "this point has no time: give learn_one(x, t=...), or name the key of x that holds "
                f"it by time=...; time is {self.time!r}{self._why_times}"
            )
        return clock.seconds(x[self.time], self.time)

    def _refuse(self, seconds: float, x: Mapping[Any, Any], t: Time | None) -> bool:
        """Return whether a late point is to be skipped; count it, or raise."""
        if self.late == "raise":
            given = x[self.time] if t is None else t
            raise ValueError(
                f"time {clock.shown(seconds, given)} is not after the last point's, "
                f"{clock.shown(self._last_time, given)}; "
                "late='skip' skips and counts such points, late='learn' learns them"
            )
        self.n_late += self.late == "skip"
        return self.late == "skip"

    @staticmethod
    def _doubt_unit(seconds: float, given: Any) -> None:
        """Warn of a first time that is a number and a date of our days in another unit."""
        other = clock.other_unit(seconds, given)
        if other is not None:
            unit, parts = other
            warnings.warn(
                f"times are numbers such as {seconds:.0f}, and numbers are taken as seconds. If "
                f"they are {unit} since 1970, divide them by {parts:,.0f}, or give datetimes: else "
                "gaps, windows and half-lives of time are wrong",
                UserWarning,
                stacklevel=5,
            )

    @property
    def _why_times(self) -> str:
        """What needs times, for errors."""
        return ""

    @property
    def _last_time(self) -> float:
        """The time of the last point, in seconds (-inf before there is one)."""
        return self._last if self._stream is None else self._stream.last_time

    # -- many points ----------------------------------------------------------------------------

    @unchanged_if_refused
    def learn_many(self, X: Any, t: Any = None) -> None:
        """Learn the rows of a frame or an array: the same as `learn_one` of each in turn.

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
            As in `learn_one`; the message names the row too. No row is learnt then.
        """
        table = self._table(X, t)
        self._knows(table)
        keep = self._in_time(table)
        values = table.values if keep is None else table.values[keep]
        times = table.times if keep is None or table.times is None else table.times[keep]
        done = 0
        while self._stream is None and done < len(values):
            left = None if times is None else times[done:]
            done += self._keep_next(table.names, values[done:], left)
        if self._stream is not None and done < len(values):
            rows = table.select(self._names)
            rows = (rows if keep is None else rows[keep])[done:]
            self._pass_over_columns(table, len(rows))
            at = None if times is None else view(times[done:])
            self._learn_rows(view(rows), len(rows), at)

    def _learn_rows(self, rows: memoryview, n: int, times: memoryview | None) -> None:
        done = 0
        while done < n:
            done = self._stream.learn(rows, done, n, times)
            if self._stream.is_due:
                self._attend()

    def _table(self, X: Any, t: Any = None) -> Table:
        if self.features is None and isinstance(X, np.ndarray):
            self._refuse_positions()
        known = self.features if self._stream is None else self._names
        return Table(X, known, self.time, t)

    def _refuse_positions(self) -> None:
        """Refuse an array if features have names of which nobody has given the order."""
        names = self._names or tuple(self._buffer.names(len(self._buffer)))
        if any(name not in range(len(names)) for name in names):
            raise ValueError(
                "an array has no names of features, and this model knows its features by name: "
                f"{', '.join(map(repr, names))}. Give a data frame, or name the columns in their "
                "order when the model is made: features=[...]"
            )

    def _in_time(self, table: Table) -> NDArray[np.bool_] | None:
        """Return which rows are not late, and count the others; None if all are to be learnt."""
        if table.times is None:
            if self._clocked:
                raise table.without_times(self.time, self._why_times)
            return None
        if self._last_time == -math.inf and len(table):
            self._doubt_unit(float(table.times[0]), table.a_time)
        before = np.fmax.accumulate(np.concatenate([[self._last_time], table.times[:-1]]))
        late = table.times <= before
        if self.late == "learn" or not late.any():
            return None
        if self.late == "raise":
            i = int(late.argmax())
            raise ValueError(
                f"row {i}: time {clock.shown(float(table.times[i]), table.a_time)} is not after "
                f"the last point's, {clock.shown(float(before[i]), table.a_time)}; "
                "late='skip' skips and counts such points, late='learn' learns them"
            )
        self.n_late += int(late.sum())
        return np.logical_not(late)

    # -- the warm start -------------------------------------------------------------------------

    @abc.abstractmethod
    def _keep(self, x: Mapping[Any, Any], seconds: float) -> None:
        """Keep one of the first points."""

    def _keep_many(
        self,
        names: tuple[Hashable, ...],
        values: NDArray[np.float64],
        times: NDArray[np.float64] | None,
    ) -> int:
        """Keep points as `_keep` does, as many as can be kept together; return how many."""
        return 0

    def _keep_next(
        self,
        names: tuple[Hashable, ...],
        values: NDArray[np.float64],
        times: NDArray[np.float64] | None,
    ) -> int:
        """Keep the first of some points, and those that can be kept with it; return how many."""
        kept = self._keep_many(names, values, times)
        if kept:
            return kept
        row = dict(zip(names, values[0].tolist(), strict=True))
        self._keep(row, NO_TIME if times is None else float(times[0]))
        return 1

    @abc.abstractmethod
    def fit_start(self, X: Any = None, t: Any = None) -> Self:
        """Begin with the points learnt so far and those of X, however few they are."""

    @unchanged_if_refused
    def _start_with(self, X: Any = None, t: Any = None) -> None:
        """Begin with the points that are kept, and the rows of X behind them."""
        if self._stream is not None:
            raise ValueError(
                "this model has started already; learn_many(X) goes on from where it is, "
                "clone().fit_start(X) starts afresh"
            )
        table = None if X is None else self._table(X, t)
        rows, names, times = self._gathered(len(self._buffer), table)
        empty = np.isnan(rows).all(axis=1)
        if empty.all():
            raise ValueError("a warm start needs at least one point with a value")
        self._n_empty += int(empty.sum())
        if table is not None:
            self.n_unknown += len(table) * len(set(table.names) - set(names))
            if table.times is not None:
                self._last = max(self._last, float(table.times.max()))
        self._begin(rows[~empty], names, times[~empty])
        self._release_points()

    def _gathered(
        self, n: int, table: Table | None = None
    ) -> tuple[NDArray[np.float64], tuple[Hashable, ...], NDArray[np.float64]]:
        """Return the first n points kept and those of a table: rows, their features, and times."""
        names = self.features
        if names is None:
            seen = self._buffer.names(n)
            seen.update(dict.fromkeys(() if table is None else table.names))
            names = sorted_names(seen)
        if self.order_by is not None and self.order_by not in names:
            raise ValueError(
                f"order_by is {self.order_by!r}, which is not among the features "
                f"{', '.join(map(repr, names))}"
            )
        rows = self._buffer.matrix(tuple(names), n)
        times = np.array(self._times[:n])
        if table is not None:
            rows = np.vstack([rows, table.select(tuple(names))])
            missing = np.full(len(table), np.nan)
            times = np.concatenate([times, missing if table.times is None else table.times])
        self._tell_absent(rows, names)
        return rows, state.names_of(names), times

    def _tell_absent(self, rows: NDArray[np.float64], names: Sequence[Hashable]) -> None:
        """Warn of features that were named and never came, while others were passed over."""
        if self.features is None or not self.n_unknown:
            return
        absent = [
            repr(name) for name, its in zip(names, rows.T, strict=True) if np.isnan(its).all()
        ]
        if absent and len(absent) < len(names):
            warnings.warn(
                f"no value of {', '.join(absent)} is in the first {len(rows)} points, and values "
                f"of other features are passed over, {self.n_unknown:,} so far; see whether "
                "features=[...] names what the points have",
                UserWarning,
                stacklevel=6,
            )

    def _release_points(self) -> None:
        """Let go of the points of the warm start; all models share the lists that stay empty."""
        self._buffer, self._times = NO_POINTS, NO_TIMES

    def _learn_kept(self, rows: Iterable[dict[Hashable, float]], times: Iterable[float]) -> None:
        """Learn points that were kept for a warm start."""
        for row, seconds in zip(rows, times, strict=True):
            if self._stream is None:
                self._keep(row, seconds)
                continue
            self.n_unknown += self._stream.learn_one(row, self._names, seconds)
            if self._stream.is_due:
                self._attend()

    # -- as bytes -------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        stream = self._stream
        return {
            "n_unknown": self.n_unknown,
            "n_late": self.n_late,
            "clocked": self._clocked,
            "last": self._last,
            "n_empty": self._n_empty,
            "names": [state.plain(name, "the name of a feature") for name in self._names],
            "points": [
                [
                    [state.plain(name, "the name of a feature") for name in names],
                    values.tobytes(),
                ]
                for names, values in self._buffer.runs()
            ],
            "times": self._times.tobytes(),
            "label_names": sorted(self._label_names.items()),
            "stream": None if stream is None else stream.state(),
        }

    def _restore(self, its: dict[str, Any]) -> None:
        self.n_unknown = _kernel.whole(its["n_unknown"], "n_unknown")
        self.n_late = _kernel.whole(its["n_late"], "n_late")
        self._clocked = state.instance(its["clocked"], bool, "clocked")
        self._last = _kernel.real(its["last"], "last", -math.inf)
        self._n_empty = _kernel.whole(its["n_empty"], "n_empty")
        # versions 1 and 2 have no names of labels
        label_names = {
            _kernel.whole(label, "label"): state.instance(name, str, "name")
            for label, name in its.get("label_names", ())
        }
        self._label_names = label_names or NO_NAMES
        self._names = state.names_of(its["names"])
        for names, values in its["points"]:
            names = state.names_of(names)
            rows = state.doubles(values, (-1, len(names)), "points", missing=True)
            if np.isnan(rows).all(axis=1).any() and not self._keeps_empty_points:
                raise ValueError("a point has no value")
            self._buffer.add_rows(names, rows)
        times = state.doubles(its["times"], (len(self._buffer),), "times", missing=True)
        self._times = array("d", times)
        if its["stream"] is not None:
            if self._buffer:
                raise ValueError("points of the warm start are left after it")
            self._release_points()
            self._stream = self._streaming(its["stream"])

    # -- counts ---------------------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether the warm start is complete."""
        return self._stream is not None

    @property
    def n_points(self) -> int:
        """Points learnt, those of the warm start included."""
        return len(self._buffer) if self._stream is None else self._stream.n_points

    @property
    def n_outliers(self) -> int:
        """Points that were outliers."""
        return 0 if self._stream is None else self._stream.outliers

    @property
    def n_empty(self) -> int:
        """Points in which no known feature had a value."""
        return self._n_empty + (0 if self._stream is None else self._stream.empty)
