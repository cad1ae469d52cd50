"""A learner for each key, in the state of the engine: keys share it out by buckets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import Row
from pyspark.sql.streaming.stateful_processor import (
    ExpiredTimerInfo,
    StatefulProcessor,
    StatefulProcessorHandle,
    TimerValues,
)
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    IntegerType,
    StringType,
    StructField,
    StructType,
)

from online_gmm.data.state import StateError, load
from online_gmm.learners.base import Learner
from online_gmm.spark.live import LiveTracks
from online_gmm.spark.packing import STAMPS, as_arrays, unpacked
from online_gmm.spark.track import LabelledRows, Track, TrackOptions, last_seen

STATE = "m"
"""The name of the state of a bucket."""
BUCKETS = 256
"""How many there are if nothing else is said."""
LIVE = LiveTracks()
"""What this process has written, in this batch or an earlier one, of whatever query."""


def schema_of(key: DataType) -> StructType:
    """Of a bucket's state, once and for all: keys, bytes of each, which have a version."""
    return StructType(
        [
            StructField("key", ArrayType(key, False), False),
            StructField("state", ArrayType(BinaryType(), False), False),
            StructField("buckets", IntegerType(), False),
        ]
    )


class LabelProcessor(StatefulProcessor):
    """Labels the rows of each key by a learner of its own, and learns them.

    The engine groups rows by bucket. A bucket has one state, with the learners of all its keys.

    What `online_gmm.spark.label_stream` hands to the engine, and what can be tested without one.

    Parameters
    ----------
    model
        What every key begins with.
    options
        How rows are taken.
    stamp
        The type of times, ``double`` or ``bigint``.
    sequence
        Whether rows have a sequence number.
    timeout
        Milliseconds without a row after which a key is forgotten; None for never.
    key
        The type of keys.
    buckets
        How many buckets there are. A state of another number is refused: in it keys are elsewhere.

    Notes
    -----
    Takes rows as `online_gmm.spark.packing.packed` makes them, and answers with a row of arrays for
    each key. What the engine holds of a bucket is all there is: a batch that is done again after a
    failure comes out the same. A learner is kept in between two calls, so that its bytes need not
    be read again if they are the same as were written then.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from pyspark.sql import Row
    >>> from pyspark.sql.streaming.tws_tester import TwsTester
    >>> from online_gmm import OnlineGMM
    >>> from online_gmm.spark import LabelProcessor, TrackOptions
    >>> from online_gmm.spark.packing import packed
    >>> model = OnlineGMM(2, warm_up=4, seed=1)
    >>> tester = TwsTester(LabelProcessor(model, TrackOptions(values=("level",))))
    >>> levels = [1.0, 9.0, 1.1, 9.1, 1.0, 9.2]
    >>> columns = {"bucket": [0] * 6, "key": ["a"] * 6, "stamp": range(6), "v0": levels}
    >>> (packs,) = packed([pa.RecordBatch.from_pydict(columns)])
    >>> (answer,) = tester.test(0, [Row(**pack) for pack in packs.to_pylist()])
    >>> answer["label"].tolist(), answer["change"].tolist()
    ([-1, -1, -1, -1, 0, 1], [False, False, False, False, False, True])
    """

    def __init__(
        self,
        model: Learner,
        options: TrackOptions,
        stamp: str = "double",
        sequence: bool = False,
        timeout: int | None = None,
        key: DataType | None = None,
        buckets: int = BUCKETS,
    ) -> None:
        self._blank = model.to_bytes()
        self._options = options
        self._stamps = STAMPS[stamp]
        self._sequence = sequence
        self._timeout = timeout
        self._schema = schema_of(StringType() if key is None else key)
        self._buckets = buckets
        self._shared: Learner | None = None

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._handle = handle
        self._shared = load(self._blank) if self._options.shared else None
        self._state = handle.getValueState(STATE, self._schema)

    def handleInitialState(  # type: ignore[override]  # noqa: N802 - as the engine has it
        self, key: Any, initialState: Row, timerValues: TimerValues
    ) -> None:
        states = {}
        for name, data in zip(initialState["key"], initialState["state"], strict=True):
            track = self._read(name, bytes(data))
            track.seen = self._now(timerValues)
            states[name] = track.to_bytes()
        self._begin(timerValues)
        self._write(states)

    def handleInputRows(  # type: ignore[override]  # noqa: N802
        self, key: Any, rows: Iterator[Row], timerValues: TimerValues
    ) -> Iterator[Row]:
        states = self._states()
        if not states:
            self._begin(timerValues)
        answers = []
        for name, key_rows, refused in unpacked(rows, self._stamps, len(self._options.values)):
            track = self._read(name, states[name]) if name in states else self._new()
            track.n_refused += refused
            track.seen = self._now(timerValues)
            labelled = track.label(key_rows, self._options)
            states[name] = data = track.to_bytes()
            if self._shared is None:
                LIVE.keep(data, track)
            if len(labelled):
                answers.append(as_arrays(name, labelled, self._sequence))
        self._write(states)
        return iter(answers)

    def handleExpiredTimer(  # noqa: N802
        self, key: Any, timerValues: TimerValues, expiredTimerInfo: ExpiredTimerInfo
    ) -> Iterator[Row]:
        states = self._states()
        if not states or self._timeout is None:
            return
        due = {name: last_seen(data) + self._timeout for name, data in states.items()}
        now = timerValues.getCurrentProcessingTimeInMs()
        silent = [name for name, its in due.items() if its <= now]
        for name in silent:
            track = self._read(name, states.pop(name))
            labelled = LabelledRows.of(list(track.finish(self._options)), self._stamps)
            if len(labelled):
                yield as_arrays(name, labelled, self._sequence)
        if states:
            # there is one timer for each bucket, and rows that come do not move it
            self._handle.registerTimer(min(due[name] for name in states))
        if silent:
            self._write(states)

    def close(self) -> None:
        pass

    def _now(self, timer: TimerValues) -> int:
        """Return the time that keys are seen at; 0 if they are never forgotten."""
        return 0 if self._timeout is None else timer.getCurrentProcessingTimeInMs()

    def _begin(self, timer: TimerValues) -> None:
        """Look at a bucket again when the keys that it gets now are due."""
        if self._timeout is not None:
            self._handle.registerTimer(self._now(timer) + self._timeout)

    def _new(self) -> Track:
        shared = self._shared
        return Track.from_bytes(self._blank) if shared is None else Track(shared, True)

    def _states(self) -> dict[Any, bytes]:
        """Return the bytes of each key of the bucket."""
        known = self._state.get()
        if known is None:
            return {}
        keys, states, buckets = known
        if buckets != self._buckets:
            raise StateError(
                f"keys are in {buckets:,} buckets, and the query has been made with "
                f"buckets={self._buckets}; make it with buckets={buckets}, or begin a new one with "
                "initial=read_states(...)"
            )
        return dict(zip(keys, map(bytes, states), strict=True))

    def _write(self, states: dict[Any, bytes]) -> None:
        if states:
            self._state.update((list(states), list(states.values()), self._buckets))
        else:
            self._state.clear()

    def _read(self, key: Any, data: bytes) -> Track:
        track = LIVE.take(data)
        if track is not None:
            return track
        try:
            return Track.from_bytes(data, self._shared)
        except StateError as error:
            raise StateError(f"key {key!r}: {error}") from error
