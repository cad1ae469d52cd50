"""A learner for each key, in the state of the engine."""

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
from pyspark.sql.types import BinaryType, StructField, StructType

from online_gmm.data.state import StateError, load
from online_gmm.learners.base import Learner
from online_gmm.spark.packing import STAMPS, as_arrays, unpacked
from online_gmm.spark.track import LabelledRows, Track, TrackOptions

STATE = "m"
"""The name of the state of a key. Its schema is bytes once and for all: they have a version."""
SCHEMA = StructType([StructField("b", BinaryType(), False)])


class LabelProcessor(StatefulProcessor):
    """Labels the rows of each key by a learner of its own, and learns them.

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

    Notes
    -----
    Takes rows as `online_gmm.spark.packing.packed` makes them, and answers with rows of arrays. In
    between two calls nothing is kept here: what the engine holds of a key is all there is, so that
    a batch that is done again after a failure comes out the same.

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
    >>> columns = {"key": ["a"] * 6, "stamp": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "v0": levels}
    >>> (packs,) = packed([pa.RecordBatch.from_pydict(columns)])
    >>> (answer,) = tester.test("a", [Row(**pack) for pack in packs.to_pylist()])
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
    ) -> None:
        self._blank = model.to_bytes()
        self._options = options
        self._stamps = STAMPS[stamp]
        self._sequence = sequence
        self._timeout = timeout
        self._shared: Learner | None = None

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._handle = handle
        self._shared = load(self._blank) if self._options.shared else None
        self._state = handle.getValueState(STATE, SCHEMA)

    def handleInitialState(  # type: ignore[override]  # noqa: N802 - as the engine has it
        self, key: Any, initialState: Row, timerValues: TimerValues
    ) -> None:
        track = self._read(key[0], initialState["state"])
        self._begin(track, timerValues)
        self._state.update((track.to_bytes(),))

    def handleInputRows(  # type: ignore[override]  # noqa: N802
        self, key: Any, rows: Iterator[Row], timerValues: TimerValues
    ) -> Iterator[Row]:
        known = self._state.get()
        if known is None:
            shared = self._shared
            track = Track.from_bytes(self._blank) if shared is None else Track(shared, True)
            self._begin(track, timerValues)
        else:
            track = self._read(key[0], known[0])
        key_rows, refused = unpacked(rows, self._stamps, len(self._options.values))
        track.n_refused += refused
        if self._timeout is not None:
            track.seen = timerValues.getCurrentProcessingTimeInMs()
        labelled = track.label(key_rows, self._options)
        self._state.update((track.to_bytes(),))
        if len(labelled):
            yield as_arrays(key[0], labelled, self._sequence)

    def handleExpiredTimer(  # noqa: N802
        self, key: Any, timerValues: TimerValues, expiredTimerInfo: ExpiredTimerInfo
    ) -> Iterator[Row]:
        known = self._state.get()
        if known is None or self._timeout is None:
            return
        track = self._read(key[0], known[0])
        due = track.seen + self._timeout
        if due > timerValues.getCurrentProcessingTimeInMs():
            # there is one timer for each key, and rows that come do not move it
            self._handle.registerTimer(due)
            return
        labelled = LabelledRows.of(list(track.finish(self._options)), self._stamps)
        self._state.clear()
        if len(labelled):
            yield as_arrays(key[0], labelled, self._sequence)

    def close(self) -> None:
        pass

    def _begin(self, track: Track, now: TimerValues) -> None:
        if self._timeout is not None:
            track.seen = now.getCurrentProcessingTimeInMs()
            self._handle.registerTimer(track.seen + self._timeout)

    def _read(self, key: Any, data: bytes) -> Track:
        try:
            return Track.from_bytes(bytes(data), self._shared)
        except StateError as error:
            raise StateError(f"key {key!r}: {error}") from error
