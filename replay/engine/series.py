"""The series of one key: a row comes in, labelled rows go out, and the learner has learnt it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import Assignment, OnlineGMM, OnlineHMM
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.segments import Segment, Segmentation
from replay.engine.blocks import Block
from replay.engine.rows import InputError, Row
from replay.engine.settings import Model
from replay.engine.summary import Chronicle, Summary

MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it wants."""
COUNTS = (
    *("n_duplicates", "n_late", "n_lost", "n_gaps"),
    *("n_steps_back", "n_segments", "n_changes", "_n_rows"),
)
"""What a series counts."""
HOUR = 3600.0
"""By which clocks are set back for winter."""


@dataclass(frozen=True)
class Manner:
    """How the rows of a series are taken.

    Parameters
    ----------
    min_dwell, confirm
        Of the `Segmenter`.
    late
        What is done with a row whose time is not after that of the one before: ``fail``, ``skip``
        or ``learn``.
    max_gap
        Seconds without a row after which one is said to be missing; None for no limit.
    on_gap
        ``reset`` ends the segment there and begins anew, ``hold`` lets the regime last as if no
        more than ``max_gap`` had passed.
    """

    min_dwell: int = 1
    confirm: int = 1
    late: str = "fail"
    max_gap: float | None = None
    on_gap: str = "reset"


class LabelledRow(NamedTuple):
    """A row, what the model said of it, and what that means for the segments.

    ``change`` tells whether a change of regime is reported at this row, and ``closed`` is the
    segment that it ends.
    """

    row: Row
    assignment: Assignment
    change: bool = False
    closed: Segment | None = None


@dataclass(frozen=True)
class LabelledBlock:
    """Rows of a block, what the model said of each, and what that means for the segments.

    Parameters
    ----------
    block
        The rows.
    labels, probabilities, log_densities, outliers
        The columns of their assignments, shape (n,).
    segmentation
        Where changes of regime are reported, and the segments that they end.
    """

    block: Block
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    log_densities: NDArray[np.float64]
    outliers: NDArray[np.bool_]
    segmentation: Segmentation

    def __len__(self) -> int:
        return len(self.block)

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """Those of the assignments."""
        return self.labels, self.probabilities, self.log_densities, self.outliers

    def row(self, i: int) -> LabelledRow:
        """One of them, without the segment that it may end."""
        assignment = Assignment(*(column[i].item() for column in self.columns))
        return LabelledRow(self.block.row(i), assignment, bool(self.segmentation.changes[i]))

    def rows(self) -> Iterator[LabelledRow]:
        """The rows one by one."""
        closed = iter(self.segmentation.closed())
        told = zip(*(column.tolist() for column in self.columns), strict=True)
        for i, (its, change) in enumerate(
            zip(told, self.segmentation.changes.tolist(), strict=True)
        ):
            yield LabelledRow(
                self.block.row(i), Assignment(*its), change, next(closed) if change else None
            )


class _Moments(Sequence[tuple[int, str]]):
    """Number and time of each row of a block, as a series tells them."""

    def __init__(self, block: Block, n_before: int) -> None:
        self._block = block
        self._n_before = n_before

    def __len__(self) -> int:
        return len(self._block)

    def __getitem__(self, i: Any) -> Any:
        return self._n_before + i + 1, self._block.texts.time_at(i)


class Series:
    """Labels the rows of one key, and learns them.

    The start and end of its segments are numbers of rows, from 1, and times as written.

    Parameters
    ----------
    model
        Its learner.
    manner
        How rows are taken.

    Attributes
    ----------
    summary
        Counts over its labelled rows.
    chronicle
        How its regimes came and went, if they are recycled.
    n_segments, n_changes
        Segments ended, and changes of regime.
    last_segment
        The segment in which the series ended; None before.
    n_duplicates, n_late
        Rows left out, as their sequence number, or time, had been there or was passed.
    n_lost, n_gaps, n_steps_back
        Sequence numbers that never came, gaps in time, and places where the time steps back by
        exactly an hour from where the next row was due.
    """

    def __init__(self, model: Model, manner: Manner = Manner()) -> None:
        self.manner = manner
        self.segmenter = Segmenter(model, min_dwell=manner.min_dwell, confirm=manner.confirm)
        self.summary = Summary()
        self.n_duplicates = self.n_late = self.n_lost = self.n_gaps = self.n_steps_back = 0
        self.n_segments = self.n_changes = 0
        self.last_segment: Segment | None = None
        self.model = model
        self._held: list[Row] = []
        self._waiting: deque[tuple[Row, Assignment]] = deque()
        self._n_rows = 0
        self._sequence: int | None = None
        self._last: tuple[float, str, int] = (-math.inf, "", 0)
        self._step = math.nan
        self._said: tuple[int, float] | None = None
        self._cut = 0.0
        self._closed: Segment | None = None
        self._lag = model.lag if isinstance(model, OnlineHMM) else 0
        self._timed = model.time is not None
        self.chronicle: Chronicle | None = None
        if isinstance(model, OnlineGMM) and model.recycle:
            self.chronicle = Chronicle(model)

    # -- rows -----------------------------------------------------------------------------------

    def take(self, row: Row) -> Iterator[LabelledRow]:
        """Label a row and then learn it; the rows that have their final label now.

        A model with a lag labels it again so many rows later, given these as well; only then it is
        handed on. The rows of the warm-up are held until it is complete and labelled by the warm
        start; so are rows without any value that come among them. If more than MOST_HELD times as
        many as the warm start wants are held, it makes do with those there are. As long as none has
        a value, rows that many are labelled -1, with probability NaN, and let go.
        """
        if row.sequence is not None and self._is_duplicate(row.sequence, row.seconds):
            return
        if row.seconds is not None:
            if self._is_late(row):
                return
            yield from self._mind_the_gap(row)
        model = self.model
        seconds = self._model_time(row)
        if model.is_started:
            self._waiting.append((row, self._assigned(row, seconds)))
            model.learn_one(row.values, seconds)
            if len(self._waiting) > self._lag:
                first = self._waiting.popleft()
                yield self.label(*(self._looked_back(first, self._lag) if self._lag else first))
            return
        self._held.append(row)
        model.learn_one(row.values, seconds)
        full = len(self._held) > MOST_HELD * model.warm_up
        if full and model.n_points and not model.is_started:
            model.fit_start()
        if full or model.is_started:
            yield from self._release()

    @property
    def takes_blocks(self) -> bool:
        """Whether rows can come in blocks by now."""
        return may_take_blocks(self.model, self.manner) and self.model.is_started

    def take_block(self, block: Block) -> LabelledBlock:
        """Label rows and learn them, as `take` does one after the other; they wait for none."""
        assert isinstance(self.model, OnlineGMM)
        labels, probabilities, log_densities, outliers = self.model.label_then_learn_many(
            block.values
        )
        labels, probabilities = self._carried_on(block.values, labels, probabilities)
        segmentation = self.segmenter.segment_many(
            block.values, block.names, labels, probabilities, _Moments(block, self._n_rows)
        )
        self._n_rows += len(block)
        self.summary.add_many(block.values, labels, outliers)
        n_changes = int(np.count_nonzero(segmentation.changes))
        self.n_changes += n_changes
        self.n_segments += n_changes
        return LabelledBlock(block, labels, probabilities, log_densities, outliers, segmentation)

    def finish(self) -> Iterator[LabelledRow]:
        """The rows that still wait, labelled by what there is; ends the last segment."""
        if self._held:
            if self.model.n_points:
                self.model.fit_start()
            yield from self._release()
        yield from self._let_go()
        self.end()

    def end(self) -> None:
        """End the last segment."""
        self.last_segment = self.segmenter.finish()
        self.n_segments += self.last_segment is not None
        self.summary.close()

    def _release(self) -> Iterator[LabelledRow]:
        held, self._held = self._held, []
        for row, assignment in zip(held, by_what_is_known(held, self.model), strict=True):
            yield self.label(row, assignment)

    def _let_go(self) -> Iterator[LabelledRow]:
        """Label the rows that wait by what came so far."""
        while self._waiting:
            first = self._waiting.popleft()
            yield self.label(*self._looked_back(first, len(self._waiting)))

    def _carried_on(
        self,
        values: NDArray[np.float64],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Labels and their probabilities; a row that measured nothing has those of the row before.

        Such a row says nothing about the regime: it is no change of it.
        """
        measured = ~np.isnan(values).all(axis=1)
        if not measured.all():
            before = np.maximum.accumulate(np.where(measured, np.arange(len(values)), -1))
            label, probability = self._said or (labels[0], probabilities[0])
            labels = np.where(before < 0, label, labels[before])
            probabilities = np.where(before < 0, probability, probabilities[before])
        self._said = int(labels[-1]), float(probabilities[-1])
        return labels, probabilities

    def label(self, row: Row, assignment: Assignment) -> LabelledRow:
        """Take a row whose label is known into the segments and the summary."""
        if self._said is not None and all(value != value for value in row.values.values()):
            label, probability = self._said
            assignment = assignment._replace(label=label, probability=probability)
        if assignment.label >= 0:
            self._said = assignment.label, assignment.probability
        self._n_rows += 1
        segmenter = self.segmenter
        segmenter.segment_one(
            row.values,
            assignment.label,
            assignment.probability,
            (self._n_rows, row.time),
        )
        self.summary.add(row, assignment)
        if self.chronicle is not None:
            self.chronicle.add(row)
        closed, self._closed = segmenter.closed or self._closed, None
        self.n_changes += segmenter.change is not None
        self.n_segments += closed is not None
        return LabelledRow(row, assignment, segmenter.change is not None, closed)

    # -- time -----------------------------------------------------------------------------------

    def _is_duplicate(self, sequence: int, seconds: float | None) -> bool:
        last = self._sequence
        if last is not None and sequence <= last:
            # at a later time the device has begun to count anew
            if seconds is None or seconds <= self._last[0]:
                self.n_duplicates += 1
                return True
        elif last is not None:
            self.n_lost += sequence - last - 1
        self._sequence = sequence
        return False

    def _is_late(self, row: Row) -> bool:
        """Whether a row is to be left out as it comes late; counts it, or raises."""
        seconds, text, line = self._last
        assert row.seconds is not None
        if row.seconds > seconds:
            return False
        is_step_back = abs(seconds + self._step - HOUR - row.seconds) < 1e-3
        self.n_steps_back += is_step_back
        if self.manner.late == "learn":
            return False
        if self.manner.late == "skip":
            self.n_duplicates += row.seconds == seconds
            self.n_late += row.seconds < seconds
            return True
        of = f" of {row.key!r}" if row.key else ""
        advice = "sort the rows, or say --late skip or --late learn"
        if is_step_back:
            advice = (
                "it steps back by exactly an hour, as clocks that are set back for winter do: name "
                "the zone, as in --time-zone Europe/Berlin"
            )
        raise InputError(
            f"line {row.line}: time {row.time!r}{of} is not after {text!r} in line {line}; {advice}"
        )

    def _mind_the_gap(self, row: Row) -> Iterator[LabelledRow]:
        seconds, last = row.seconds, self._last[0]
        assert seconds is not None
        if seconds <= last:
            return
        self._last = (seconds, row.time, row.line)
        self._step = seconds - last
        longest = self.manner.max_gap
        if longest is None or seconds - last <= longest or last == -math.inf:
            return
        self.n_gaps += 1
        if self.manner.on_gap == "hold":
            self._cut += seconds - last - longest
            return
        yield from self._let_go()
        if not self.model.is_started:
            return
        self._said = None
        # the next labelled row hands it on
        self._closed = self.segmenter.finish()
        self.model.reset_state()

    def _model_time(self, row: Row) -> float | None:
        return row.seconds - self._cut if self._timed and row.seconds is not None else None

    # -- state ----------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """All that the series goes on from."""
        return msgspec.msgpack.encode(
            {
                "segmenter": self.segmenter.to_bytes(),
                "summary": self.summary.state(),
                "chronicle": None if self.chronicle is None else self.chronicle.state(),
                "held": [_packed(row) for row in self._held],
                "waiting": [(_packed(row), assignment) for row, assignment in self._waiting],
                "counts": [getattr(self, name) for name in COUNTS],
                "sequence": self._sequence,
                "last": self._last,
                "step": self._step,
                "said": self._said,
                "cut": self._cut,
                "closed": self._closed,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, values: Sequence[str], manner: Manner) -> Series:
        """The series of `to_bytes`; its columns of values are not in there."""
        state: dict[str, Any] = msgspec.msgpack.decode(data)
        segmenter = Segmenter.from_bytes(state["segmenter"])
        series = cls(segmenter.model, manner)
        series.segmenter = segmenter
        series.summary.load(state["summary"])
        if series.chronicle is not None:
            series.chronicle.load(state["chronicle"])
        series._held = [_unpacked(row, values) for row in state["held"]]
        series._waiting.extend(
            (_unpacked(row, values), Assignment(*assignment))
            for row, assignment in state["waiting"]
        )
        for name, count in zip(COUNTS, state["counts"], strict=True):
            setattr(series, name, count)
        series._sequence = state["sequence"]
        seconds, text, line = state["last"]
        series._last = (seconds, text, line)
        series._step = state["step"]
        series._said = None if state["said"] is None else tuple(state["said"])
        series._cut = state["cut"]
        if (closed := state["closed"]) is not None:
            start, end = tuple(closed.pop("start")), tuple(closed.pop("end"))
            series._closed = Segment(start, end, **closed)
        return series

    # -- labels ---------------------------------------------------------------------------------

    def _assigned(self, row: Row, seconds: float | None) -> Assignment:
        return self.model.assign_one(row.values, seconds)

    def _looked_back(self, first: tuple[Row, Assignment], rows: int) -> tuple[Row, Assignment]:
        """The row that came so many rows ago, labelled by what is known of it now."""
        assert isinstance(self.model, OnlineHMM)
        row, assignment = first
        known = self.model.look_back(rows)
        assert known is not None
        return row, assignment._replace(label=known.label, probability=known.probability)


def may_take_blocks(model: Model, manner: Manner) -> bool:
    """Whether a series of this model can take rows in blocks, once it has started."""
    return isinstance(model, OnlineGMM) and not model.recycle and manner.max_gap is None


def by_what_is_known(rows: Sequence[Row], model: Model) -> Iterator[Assignment]:
    """The labels of the rows of the warm-up."""
    if isinstance(model, OnlineGMM) or not model.is_started:
        return (model.assign_one(row.values) for row in rows)
    values = np.array([list(row.values.values()) for row in rows])
    seconds = np.array([row.seconds for row in rows], dtype=np.float64)
    return as_a_whole(values, seconds, model)


def as_a_whole(
    values: NDArray[np.float64], seconds: NDArray[np.float64], model: OnlineHMM
) -> Iterator[Assignment]:
    """The most probable sequence of labels of a series, the probability of each given all rows."""
    import pandas as pd

    frame = pd.DataFrame(values, columns=list(model.features or ()))
    if model.time is not None:
        frame[model.time] = seconds
    labels = model.decode_many(frame)
    probabilities = model.smooth_many(frame).to_numpy()
    told = model.assign_many(frame)
    for i, label in enumerate(labels):
        yield Assignment(
            int(label),
            float(probabilities[i, label]),
            float(told["log_density"].iat[i]),
            bool(told["outlier"].iat[i]),
        )


def _packed(row: Row) -> tuple[Any, ...]:
    return row._replace(values=tuple(row.values.values()))  # type: ignore[arg-type]


def _unpacked(cells: Sequence[Any], names: Sequence[str]) -> Row:
    line, time, texts, values, seconds, key, sequence = cells
    named: dict[Hashable, float] = dict(zip(names, values, strict=True))
    return Row(line, time, tuple(texts), named, seconds, key, sequence)
