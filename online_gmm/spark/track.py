"""The state of one key: its learner, the order of its rows, and rows that wait."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm.data import state
from online_gmm.data.state import StateError
from online_gmm.learners.base import UNKNOWN, Assignment, Learner
from online_gmm.learners.hmm import OnlineHMM
from online_gmm.series import HeldRows, OrderGuard, label_whole

VERSION = 1
"""Version of what `Track.to_bytes` writes."""
HEADER = 2
"""Bytes of the version."""
LABEL_TOGETHER = 10
"""Rows from which on taking them together takes less time than one by one."""


class KeyRow(NamedTuple):
    """A row of one key: its time as it came, its sequence number, and its values."""

    stamp: float | int
    sequence: int | None
    values: list[float]


class Labelled(NamedTuple):
    """A labelled row; ``change`` tells whether the row before had another label."""

    stamp: float | int
    sequence: int | None
    label: int
    probability: float
    change: bool


class KeyRows(NamedTuple):
    """Rows of one key by column: times as they came, sequence numbers, and values, (n, D)."""

    stamps: NDArray[Any]
    sequence: NDArray[np.int64] | None
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stamps)

    def rows(self) -> Iterator[KeyRow]:
        """The rows one by one."""
        numbers = [None] * len(self) if self.sequence is None else self.sequence.tolist()
        yield from map(KeyRow, self.stamps.tolist(), numbers, self.values.tolist())

    def part(self, which: slice | NDArray[Any]) -> KeyRows:
        """Some of the rows."""
        numbers = None if self.sequence is None else self.sequence[which]
        return KeyRows(self.stamps[which], numbers, self.values[which])


class LabelledRows(NamedTuple):
    """Labelled rows by column; see `Labelled`."""

    stamps: NDArray[Any]
    sequence: NDArray[np.int64] | None
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    changes: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: list[Labelled], stamps: np.dtype[Any]) -> LabelledRows:
        """Labelled rows, their times of this type."""
        at, numbers, labels, probabilities, changes = zip(*rows, strict=True) if rows else [()] * 5
        return cls(
            np.array(at, stamps),
            None if None in numbers else np.array(numbers, np.int64),
            np.array(labels, np.int64),
            np.array(probabilities, np.float64),
            np.array(changes, np.bool_),
        )

    def __len__(self) -> int:
        return len(self.stamps)

    def and_then(self, later: LabelledRows) -> LabelledRows:
        """These rows and those that follow them."""
        numbers = None
        if self.sequence is not None and later.sequence is not None:
            numbers = np.append(self.sequence, later.sequence)
        return LabelledRows(
            np.append(self.stamps, later.stamps),
            numbers,
            np.append(self.labels, later.labels),
            np.append(self.probabilities, later.probabilities),
            np.append(self.changes, later.changes),
        )


@dataclass(frozen=True)
class TrackOptions:
    """How the rows of a key are labelled.

    Parameters
    ----------
    values
        The names of the values of a row, in order.
    unit
        Units of the times in a second.
    late
        What to do with a row whose time is not after that of the row before: ``skip`` or
        ``learn``.
    hold
        Whether rows of the warm-up wait until the warm start labels them.
    shared
        Whether all keys share one model, which learns no more; each has a belief of its own.
    """

    values: tuple[str, ...]
    unit: float = 1.0
    late: str = "skip"
    hold: bool = False
    shared: bool = False


class Track:
    """Labels the rows of one key, and learns them.

    Parameters
    ----------
    model
        Its learner, or the one that all keys share.
    is_shared
        Whether the learner is that of all keys. It is then in no state, and does not learn.

    Attributes
    ----------
    belief
        With a hidden Markov model that is shared: the probability of each regime at the last row.
    n_refused
        Rows left out because they had no time or number, or a value that is infinite or beyond
        1e150.
    seen
        Time of the last row, in milliseconds of the engine's clock.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import OnlineGMM
    >>> from online_gmm.spark import Track, TrackOptions
    >>> from online_gmm.spark.track import KeyRows
    >>> track, options = Track(OnlineGMM(2, warm_up=4, seed=1)), TrackOptions(values=("level",))
    >>> levels = np.array([[1.0], [9.0], [1.1], [9.1], [1.0], [9.2]])
    >>> rows = KeyRows(np.arange(6.0), None, levels)
    >>> track.label(rows, options).labels.tolist()
    [-1, -1, -1, -1, 0, 1]
    >>> again = Track.from_bytes(track.to_bytes())
    >>> len(again.label(rows, options)), again.n_late, again.n_duplicates
    (0, 5, 1)
    """

    def __init__(self, model: Learner, is_shared: bool = False) -> None:
        self.model = model
        self.is_shared = is_shared
        self.belief: dict[int, float] | None = None
        self.n_refused = 0
        self.seen = 0
        self._order = OrderGuard()
        self._label: int | None = None
        self._probability = math.nan
        self._held: HeldRows[KeyRow] = HeldRows(model)
        self._waiting: deque[KeyRow] = deque()

    @property
    def n_duplicates(self) -> int:
        """Rows dropped because their sequence number or their time had been there."""
        return self._order.n_duplicates

    @property
    def n_late(self) -> int:
        """Rows dropped because their time had passed."""
        return self._order.n_late

    # -- rows -----------------------------------------------------------------------------------

    def label(self, rows: KeyRows, options: TrackOptions) -> LabelledRows:
        """Label each row and then learn it; return the rows that have their label now.

        Before the warm start the label is -1 and its probability NaN. If rows are held, they wait
        until the warm-up is complete, and are labelled by what is known then. If more than
        MOST_HELD times as many rows wait as the warm start needs, it is made of those that have a
        value. A row without any value says nothing of the regime: it has the label and the
        probability of the row before. If the learner has a lag, a row waits until so many more have
        come, and is labelled by what is known of it then.
        """
        rows = self._continuing(rows, options)
        n, done = len(rows), 0
        one_by_one = rows.rows()
        first: list[Labelled] = []
        while done < n and not self._go_together(n - done, options):
            first += self._label_one(next(one_by_one), options)
            done += 1
        if done == n:
            return LabelledRows.of(first, rows.stamps.dtype)
        if not first:
            return self._label_together(rows.part(slice(done, n)) if done else rows, options)
        rest = self._label_together(rows.part(slice(done, n)), options)
        return LabelledRows.of(first, rows.stamps.dtype).and_then(rest)

    def _continuing(self, rows: KeyRows, options: TrackOptions) -> KeyRows:
        """Return the rows that continue the series; count the others."""
        seconds = rows.stamps / options.unit
        if (
            len(rows) >= LABEL_TOGETHER
            and rows.sequence is None
            and seconds[0] > self._order.seconds
            and (seconds[1:] > seconds[:-1]).all()
        ):
            self._order.seconds = float(seconds[-1])
            return rows
        numbers = [None] * len(rows) if rows.sequence is None else rows.sequence.tolist()
        takes_late = options.late == "learn"
        accepted = [
            self._is_next(number, its, takes_late)
            for number, its in zip(numbers, seconds.tolist(), strict=True)
        ]
        return rows if all(accepted) else rows.part(np.array(accepted))

    def _go_together(self, n: int, options: TrackOptions) -> bool:
        """Return whether n rows can be labelled together, and are so in less time."""
        model = self.model
        return model.finds_regimes or (
            n >= LABEL_TOGETHER
            and model.is_started
            and not model.lag
            and not self.is_shared
            and set(model._names) == set(options.values)
        )

    def _label_together(self, rows: KeyRows, options: TrackOptions) -> LabelledRows:
        """Label rows and learn them: as one by one, in much less time."""
        model = self.model
        seconds = rows.stamps / options.unit
        X, t = self._matrix(rows.values, options), seconds if model._clocked else None
        if not model.finds_regimes:
            labels, probabilities, *_ = model.label_then_learn_many(X, t)
            self._carry_on(rows.values, labels, probabilities)
        else:
            labels, probabilities, *_ = model.label_then_learn_many(  # type: ignore[call-arg]
                X, t, seconds.tolist()
            )
            if model.lag:
                self._waiting.extend(rows.rows())
                known = zip(*map(np.ndarray.tolist, model.new_labels), strict=True)  # type: ignore[attr-defined]
                its = [self._labelled(self._waiting.popleft(), *answer) for answer in known]
                return LabelledRows.of(its, rows.stamps.dtype)
        before = np.empty_like(labels)
        before[0] = UNKNOWN if self._label is None else self._label
        before[1:] = labels[:-1]
        self._label, self._probability = int(labels[-1]), float(probabilities[-1])
        changes = (before != UNKNOWN) & (labels != before)
        return LabelledRows(rows.stamps, rows.sequence, labels, probabilities, changes)

    def _matrix(self, values: NDArray[np.float64], options: TrackOptions) -> Any:
        """Return values as the model takes them."""
        if self.model.features is not None:
            names = tuple(self.model._names or self.model.features)
            if names == options.values:
                return values
            if set(names) == set(options.values):
                return values[:, [options.values.index(name) for name in names]]
        # few keys come here, and every process of the engine starts by importing
        import pandas as pd

        return pd.DataFrame(values, columns=list(options.values))

    def _carry_on(
        self,
        values: NDArray[np.float64],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
    ) -> None:
        """Give rows without any value the label and the probability of the row before."""
        if not math.isnan(values.sum()):
            return
        for i in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
            if i:
                labels[i], probabilities[i] = labels[i - 1], probabilities[i - 1]
            elif self._label is not None:
                labels[i], probabilities[i] = self._label, self._probability

    def _label_one(self, row: KeyRow, options: TrackOptions) -> Iterator[Labelled]:
        """Label a row and learn it; yield the rows that have their label now."""
        model, seconds = self.model, row.stamp / options.unit
        x = dict(zip(options.values, row.values, strict=True))
        t = seconds if model._clocked else None
        if self.is_shared:
            known = self._followed(x)
            yield self._labelled(row, known.label, known.probability)
        elif model.is_started and model.lag:
            model.learn_one(x, t)
            self._waiting.append(row)
            if len(self._waiting) > model.lag:
                yield self._looked_back(model.lag)
        elif model.is_started:
            known = model.assign_one(x, t)
            model.learn_one(x, t)
            yield self._labelled(row, known.label, known.probability)
        elif not options.hold:
            known = model.assign_one(x, t)
            model.learn_one(x, t)
            yield Labelled(row.stamp, row.sequence, known.label, known.probability, False)
        elif self._held.learn(row, x, t):
            yield from self._release(options)

    def _looked_back(self, lag: int) -> Labelled:
        """Label the first row that waits, which came ``lag`` rows ago."""
        known = self.model.look_back(lag)  # type: ignore[attr-defined]
        return self._labelled(self._waiting.popleft(), known.label, known.probability)

    def _followed(self, x: dict[str, float]) -> Assignment:
        """Label a row by the model that is shared."""
        if not isinstance(self.model, OnlineHMM):
            return self.model.assign_one(x)
        answer, self.belief = self.model.follow_one(x, self.belief)
        return answer

    def finish(self, options: TrackOptions) -> Iterator[Labelled]:
        """Yield the rows that still wait, labelled by what is known."""
        self._held.end()
        yield from self._release(options)
        for left in reversed(range(len(self._waiting))):
            yield self._looked_back(left)

    def _is_next(self, sequence: int | None, seconds: float, takes_late: bool) -> bool:
        """Return whether a row continues the series; count it if not."""
        order = self._order
        if sequence is not None and order.is_duplicate(sequence, seconds):
            return False
        if seconds > order.seconds:
            order.seconds = seconds
        elif not takes_late:
            order.drop(seconds)
            return False
        return True

    def _labelled(self, row: KeyRow, label: int, probability: float) -> Labelled:
        empty = not self.model.finds_regimes and all(map(math.isnan, row.values))
        if self._label is not None and empty:
            label, probability = self._label, self._probability
        change = self._label not in (None, UNKNOWN) and label != self._label
        self._label, self._probability = label, probability
        return Labelled(row.stamp, row.sequence, label, probability, change)

    def _release(self, options: TrackOptions) -> Iterator[Labelled]:
        held = self._held.release()
        for row, (label, probability) in zip(held, self._answers(held, options), strict=True):
            yield self._labelled(row, label, probability)

    def _answers(self, rows: list[KeyRow], options: TrackOptions) -> Iterator[tuple[int, float]]:
        """Return labels of the rows of the warm-up, and their probabilities."""
        model = self.model
        if not (rows and model.is_started):
            yield from ((UNKNOWN, math.nan) for _ in rows)
            return
        # few keys of few queries come here, and every process of the engine starts by importing
        import pandas as pd

        frame = pd.DataFrame([row.values for row in rows], columns=list(options.values))
        times = np.array([row.stamp / options.unit for row in rows])
        labels, probabilities = label_whole(model, frame, times)
        yield from zip(labels.tolist(), probabilities.tolist(), strict=True)

    # -- as bytes -------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """All that the key goes on from: a version, and MessagePack.

        The learner's own bytes are in there, with their version and checksum.
        """
        its = _Written(
            b"" if self.is_shared else self.model.to_bytes(),
            self._order.seconds,
            self._order.sequence,
            self._label,
            self._held.rows,
            (self.n_duplicates, self.n_late, self.n_refused),
            self.seen,
            self._probability,
            self.belief,
            list(self._waiting),
        )
        return VERSION.to_bytes(HEADER, "little") + msgspec.msgpack.encode(its)

    @classmethod
    def from_bytes(cls, data: bytes, shared: Learner | None = None) -> Track:
        """What `to_bytes` has written, or the bytes of a learner alone, which has seen no row.

        Parameters
        ----------
        data
            The bytes.
        shared
            The model of all keys, if they share one: it is not in the bytes.

        Raises
        ------
        StateError
            If they are neither, are damaged, or of a version that is not read here.
        """
        if data.startswith(state.MAGIC) and shared is not None:
            raise StateError(
                "these are the bytes of a learner, and all keys share one; begin without them"
            )
        if data.startswith(state.MAGIC):
            return cls(_model(data))
        its = _opened(data)
        if (shared is None) != bool(its.model):
            raise StateError(
                "this key shares the model of all keys; give that as well"
                if shared is None
                else "this key has a model of its own, and all keys are to share one"
            )
        track = cls(_model(its.model) if shared is None else shared, shared is not None)
        track.belief = its.belief
        track._label = its.label
        track._held.rows = its.held
        order = track._order
        order.seconds, order.sequence = its.last, its.sequence
        order.n_duplicates, order.n_late, track.n_refused = its.counts
        track.seen = its.seen
        track._probability = its.probability
        track._waiting.extend(its.waiting)
        return track


class _Written(msgspec.Struct, array_like=True):
    """As it stands in the bytes; what a later version adds comes last, with a default."""

    model: bytes
    last: float
    sequence: int | None
    label: int | None
    held: list[KeyRow]
    counts: tuple[int, int, int]
    seen: int
    probability: float = math.nan
    belief: dict[int, float] | None = None
    waiting: list[KeyRow] = []


def last_seen(data: bytes) -> int:
    """`Track.seen`, of what `Track.to_bytes` has written."""
    return _opened(data).seen


def _opened(data: bytes) -> _Written:
    version = int.from_bytes(data[:HEADER], "little")
    if version > VERSION:
        raise StateError(
            f"this is the state of a key of version {version}, and this release of online_gmm "
            f"reads up to {VERSION}; update it on all machines of the engine"
        )
    if version < 1:
        raise StateError(f"these {len(data)} bytes are no state of a key")
    try:
        return msgspec.msgpack.decode(data[HEADER:], type=_Written)
    except msgspec.MsgspecError as error:
        raise StateError(f"this state of a key is damaged: {error}") from None


def _model(data: bytes) -> Learner:
    model = state.load(data)
    if getattr(model, "finds_regimes", False):
        # the bytes of a segmenter, or of its learner
        model = getattr(model, "learner", model)
    if not isinstance(model, Learner):
        raise StateError(
            f"this is a state of type {type(model).__name__}; that of a learner is expected"
        )
    return model
