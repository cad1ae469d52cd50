"""The series of one key: a batch comes in, labelled rows go out, and the learner has learnt it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import Assignment
from online_gmm.learners.base import Assignments
from online_gmm.segmentation.found import FoundRegimes
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.segments import RegimeChange, Segment, Segmentation
from replay.engine.batch import Batch, Ended, LabelledBatch, of_segment
from replay.engine.rows import InputError, Row
from replay.engine.settings import Model
from replay.engine.summary import Chronicle, Summary

MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it wants."""
FEW = 8
"""Rows for which arrays cost more than they save."""
COUNTS = (
    *("n_duplicates", "n_late", "n_lost", "n_gaps"),
    *("n_steps_back", "n_segments", "n_changes", "n_change_rows", "_n_rows"),
)
"""What a series counts."""
HOUR = 3600.0
"""By which clocks are set back for winter."""


@dataclass(frozen=True)
class SeriesOptions:
    """How the rows of a series are labelled and segmented.

    Parameters
    ----------
    min_dwell, confirm
        As in `Segmenter`.
    late
        What is done with a row whose time is not after that of the one before: ``raise``, ``skip``
        or ``learn``.
    max_gap
        Seconds without a row after which one is said to be missing; None for no limit.
    on_gap
        ``reset`` ends the segment there and begins anew, ``hold`` lets the regime last as if no
        more than ``max_gap`` had passed.
    """

    min_dwell: int = 1
    confirm: int = 1
    late: str = "raise"
    max_gap: float | None = None
    on_gap: str = "reset"

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> SeriesOptions:
        """As a replay was told, by what its checkpoint says."""
        return cls(**{field.name: told[field.name] for field in fields(cls)})


class Refusal(NamedTuple):
    """The row of a batch that must not be there, and why."""

    row: int
    error: InputError


class Piece(NamedTuple):
    """Labelled rows, and for each the row of the batch with which it came out, ascending."""

    labelled: LabelledBatch
    at: NDArray[np.intp]


class _Accepted(NamedTuple):
    """Which rows of a batch are taken, and how.

    Parameters
    ----------
    rows
        Their numbers.
    seconds
        Their times as the model has them; None if it has none.
    resets
        Places in ``rows`` before which there is a gap at which everything begins anew.
    refusal
        Why there is an end, if there is one.
    """

    rows: NDArray[np.intp]
    seconds: NDArray[np.float64] | None
    resets: list[int]
    refusal: Refusal | None


class _Moments(Sequence[tuple[int, str]]):
    """Number and time of each row of a batch, as a series tells them."""

    def __init__(self, batch: Batch, n_before: int) -> None:
        self._batch = batch
        self._n_before = n_before

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, i: Any) -> Any:
        return self._n_before + i + 1, self._batch.texts.time_at(i)


class Series:
    """Labels the rows of one key, and learns them.

    The start and end of its segments are numbers of rows, from 1, and times as written.

    Parameters
    ----------
    model
        Its learner.
    options
        How rows are taken.

    Attributes
    ----------
    summary
        Counts over its labelled rows.
    chronicle
        How its regimes came and went, if they are recycled.
    n_segments, n_changes
        Segments ended, and changes of regime that ended one.
    n_change_rows
        Rows at which changes were reported; at some of them several may have been.
    last_segment
        The segment in which the series ended; None before.
    n_duplicates, n_late
        Rows left out, as their sequence number, or time, had been there or was passed.
    n_lost, n_gaps, n_steps_back
        Sequence numbers that never came, gaps in time, and places where the time steps back by
        exactly an hour from where the next row was due.
    """

    def __init__(self, model: Model, options: SeriesOptions = SeriesOptions()) -> None:
        self.options = options
        if isinstance(model, FoundRegimes):
            self.segmenter = Segmenter(model)
        else:
            self.segmenter = Segmenter(model, min_dwell=options.min_dwell, confirm=options.confirm)
        self.summary = Summary()
        self.n_duplicates = self.n_late = self.n_lost = self.n_gaps = self.n_steps_back = 0
        self.n_segments = self.n_changes = self.n_change_rows = 0
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
        self._lag: int = getattr(model, "lag", 0)
        self._timed = model.time is not None
        self.chronicle: Chronicle | None = None
        if not isinstance(model, FoundRegimes) and getattr(model, "recycle", False):
            self.chronicle = Chronicle(model)

    # -- rows -----------------------------------------------------------------------------------

    def label(self, batch: Batch) -> tuple[list[Piece], Refusal | None]:
        """Label each row and then learn it; the rows that have their final label now.

        A model with a lag labels a row again so many rows later, given these as well; only then it
        comes out. The rows of the warm-up are held until it is complete and labelled by the warm
        start; so are rows without any value that come among them. If more than MOST_HELD times as
        many as the warm start wants are held, it makes do with those there are. As long as none has
        a value, rows that many are labelled -1, with probability NaN, and let go.

        If the series refuses a row, those before it are labelled, and it is told.
        """
        accepted = self._accepted(batch)
        rows, seconds, resets, refusal = accepted
        its = batch if len(rows) == len(batch) else batch.take(rows)
        pieces: list[Piece] = []
        done = 0
        for end in [*resets, len(rows)]:
            if end > done:
                times = None if seconds is None else seconds[done:end]
                self._take(its.part(done, end), times, rows[done:end], pieces)
            if end < len(rows):
                self._interrupt(int(rows[end]), pieces)
            done = end
        return pieces, refusal

    def finish(self, key: str = "") -> list[LabelledBatch]:
        """The rows that still wait, labelled by what there is; ends the last segment."""
        pieces: list[Piece] = []
        if self._held:
            if self.model.n_points:
                self.model.fit_start()
            self._release(0, pieces)
        self._let_go(0, pieces)
        self.end()
        labelled = [piece.labelled for piece in pieces]
        if self.last_segment is not None:
            name = self.model.names.get(self.last_segment.label, "")
            labelled.append(of_segment(self.last_segment, key, name))
        return labelled

    def end(self) -> None:
        """End the last segment."""
        self.last_segment = self.segmenter.finish()
        self.n_segments += self.last_segment is not None
        self.summary.close()

    def _take(
        self,
        batch: Batch,
        seconds: NDArray[np.float64] | None,
        at: NDArray[np.intp],
        pieces: list[Piece],
    ) -> None:
        """Take rows that follow one another."""
        n, done = len(batch), 0
        if isinstance(self.model, FoundRegimes):
            moments = _Moments(batch, self._n_rows)
            answers = self.model.label_then_learn_many(batch.values, stamps=moments)
            pieces.append(Piece(self._accept_found(batch, answers, self.model.news), at))
            return
        while done < n and not self.model.is_started:
            self._hold(batch.row(done), None if seconds is None else float(seconds[done]))
            if self._is_complete:
                self._release(int(at[done]), pieces)
            done += 1
        if done == n:
            return
        rest, at = batch.part(done, n), at[done:]
        seconds = None if seconds is None else seconds[done:]
        if self._lag:
            self._wait(rest, seconds, at, pieces)
        else:
            answers = self._label_then_learn(rest, seconds)
            pieces.append(Piece(self.accept(rest, answers), at))

    def _label_then_learn(self, batch: Batch, seconds: NDArray[np.float64] | None) -> Assignments:
        model, n = self.model, len(batch)
        if n >= FEW:
            return model.label_then_learn_many(batch.values, seconds)
        answers = Assignments.unknown(n)
        for i, values in enumerate(batch.values.tolist()):
            x = dict(zip(batch.names, values, strict=True))
            t = None if seconds is None else float(seconds[i])
            for column, value in zip(answers, model.assign_one(x, t), strict=True):
                column[i] = value
            model.learn_one(x, t)
        return answers

    def _carried_on(self, values: NDArray[np.float64], answers: Assignments) -> Assignments:
        """The answers; a row that measured nothing has label and probability of the row before.

        Such a row says nothing about the regime: it is no change of it.
        """
        labels, probabilities, measured = answers[0], answers[1], ~np.isnan(values).all(axis=1)
        tells = labels >= 0
        if not measured.all():
            tells &= measured
            tells[0] |= self._said is None and labels[0] >= 0
            before = np.maximum.accumulate(np.where(tells, np.arange(len(values)), -1))
            said = np.where(
                before >= 0, labels[before], -1 if self._said is None else self._said[0]
            )
            sure = np.where(
                before >= 0,
                probabilities[before],
                math.nan if self._said is None else self._said[1],
            )
            carried = ~measured & ((before >= 0) | (self._said is not None))
            labels = np.where(carried, said, labels)
            probabilities = np.where(carried, sure, probabilities)
            answers = answers._replace(labels=labels, probabilities=probabilities)
        if tells.any():
            last = int(np.flatnonzero(tells)[-1])
            self._said = int(labels[last]), float(probabilities[last])
        return answers

    def accept(self, batch: Batch, answers: Assignments) -> LabelledBatch:
        """Take rows whose labels are known into the segments and the summary."""
        n_before = self._n_rows
        answers = self._carried_on(batch.values, answers)
        segmentation = self._segmented(batch, answers)
        self._n_rows += len(batch)
        self.summary.add(batch.values, answers.labels, answers.outliers)
        if self.chronicle is not None:
            self.chronicle.add(batch, n_before)
        n_changes = int(np.count_nonzero(segmentation.changes))
        pending, self._closed = self._closed, None
        self.n_changes += n_changes
        self.n_change_rows += n_changes
        self.n_segments += n_changes + (pending is not None)

        def ended() -> list[Ended]:
            found = [] if pending is None else [self._ended(0, batch, pending)]
            rows = np.flatnonzero(segmentation.changes).tolist()
            for row, segment in zip(rows, segmentation.closed(), strict=True):
                found.append(self._ended(row, batch, segment))
            return found

        names = self._names_of(answers.labels)
        changes = segmentation.changes.astype(np.int64)
        return LabelledBatch(batch, answers, changes, ended, names)

    def _ended(self, row: int, batch: Batch, segment: Segment) -> Ended:
        name = self.model.names.get(segment.label, "")
        return Ended(row, batch.key_at(row), segment, name)

    def _names_of(self, labels: NDArray[np.int64]) -> list[str] | None:
        """The name of each label, empty where it has none; None if no label has a name."""
        names = self.model.names
        return [names.get(label, "") for label in labels.tolist()] if names else None

    def _accept_found(
        self, batch: Batch, answers: Assignments, news: Sequence[Event]
    ) -> LabelledBatch:
        """Take rows of a learner that says itself what has ended where, and when that was known."""
        n_before, n = self._n_rows, len(batch)
        self._n_rows += n
        self.summary.add(batch.values, answers.labels, answers.outliers)
        changes = np.zeros(n, dtype=np.int64)
        pending, self._closed = self._closed, None
        found = [] if pending is None else [self._ended(0, batch, pending)]
        closed: Segment | None = None
        for event in news:
            if isinstance(event, Segment):
                closed = event
            elif isinstance(event, RegimeChange):
                row = min(max(event.known_at[0] - 1 - n_before, 0), n - 1)
                # what is said of a segment that began at a gap ends no other one
                if closed is not None:
                    found.append(self._ended(row, batch, closed))
                    changes[row] += 1
                    self.n_changes += 1
                closed = None
        self.n_segments += len(found)
        self.n_change_rows += int(np.count_nonzero(changes))
        return LabelledBatch(batch, answers, changes, lambda: found, self._names_of(answers.labels))

    def _segmented(self, batch: Batch, answers: Assignments) -> Segmentation:
        segmenter, n = self.segmenter, len(batch)
        moments = _Moments(batch, self._n_rows)
        if n >= FEW:
            return segmenter.segment_many(
                batch.values, batch.names, answers.labels, answers.probabilities, moments
            )
        changes, closed = np.zeros(n, dtype=bool), []
        for i, values in enumerate(batch.values.tolist()):
            x: dict[Hashable, float] = dict(zip(batch.names, values, strict=True))
            label, probability = int(answers.labels[i]), float(answers.probabilities[i])
            segmenter.segment_one(x, label, probability, moments[i])
            if segmenter.closed is not None:
                changes[i] = True
                closed.append(segmenter.closed)
        return Segmentation(changes, lambda: closed)

    # -- rows that wait -------------------------------------------------------------------------

    def _hold(self, row: Row, t: float | None) -> None:
        """Keep a row of the warm-up until it can be labelled."""
        model = self.model
        self._held.append(row)
        model.learn_one(row.values, t)
        if self._are_too_many and model.n_points and not model.is_started:
            model.fit_start()

    @property
    def _are_too_many(self) -> bool:
        return len(self._held) > MOST_HELD * self.model.warm_up

    @property
    def _is_complete(self) -> bool:
        """Whether rows of the warm-up need not be kept any longer."""
        return self.model.is_started or self._are_too_many

    def _release(self, at: int, pieces: list[Piece]) -> None:
        """Label the rows of the warm-up."""
        held, self._held = self._held, []
        batch = Batch.of_rows(held)
        labelled = self.accept(batch, by_what_is_known(batch.values, batch.seconds, self.model))
        pieces.append(Piece(labelled, np.full(len(held), at, dtype=np.intp)))

    def _wait(
        self,
        batch: Batch,
        seconds: NDArray[np.float64] | None,
        at: NDArray[np.intp],
        pieces: list[Piece],
    ) -> None:
        """Label rows, learn them, and label those again that came ``lag`` rows before."""
        model = self.model
        ready, came_out = [], []
        for i, row in enumerate(batch.rows()):
            t = None if seconds is None else float(seconds[i])
            self._waiting.append((row, model.assign_one(row.values, t)))
            model.learn_one(row.values, t)
            if len(self._waiting) > self._lag:
                ready.append(self._looked_back(self._lag))
                came_out.append(at[i])
        self._come_out(ready, np.array(came_out, dtype=np.intp), pieces)

    def _let_go(self, at: int, pieces: list[Piece]) -> None:
        """Label the rows that wait by what came so far."""
        ready = [self._looked_back(left) for left in reversed(range(len(self._waiting)))]
        self._come_out(ready, np.full(len(ready), at, dtype=np.intp), pieces)

    def _looked_back(self, n_since: int) -> tuple[Row, Assignment]:
        """The first row that waits, labelled by what is known of it now, so many rows later."""
        row, assignment = self._waiting.popleft()
        known = self.model.look_back(n_since)  # type: ignore[union-attr]
        assert known is not None
        return row, assignment._replace(label=known.label, probability=known.probability)

    def _come_out(
        self,
        ready: list[tuple[Row, Assignment]],
        at: NDArray[np.intp],
        pieces: list[Piece],
    ) -> None:
        if ready:
            batch = Batch.of_rows([row for row, _ in ready])
            pieces.append(Piece(self.accept(batch, joined([its for _, its in ready])), at))

    # -- time -----------------------------------------------------------------------------------

    def _accepted(self, batch: Batch) -> _Accepted:
        """The rows that are neither late nor there already, and the gaps between them."""
        n = len(batch)
        if batch.seconds is None and batch.sequence is None:
            return _Accepted(np.arange(n), None, [], None)
        nothing: list[Any] = [None] * n
        all_seconds = nothing if batch.seconds is None else batch.seconds.tolist()
        sequence = nothing if batch.sequence is None else batch.sequence
        rows: list[int] = []
        times: list[float] = []
        resets: list[int] = []
        refusal: Refusal | None = None
        for i, (number, seconds) in enumerate(zip(sequence, all_seconds, strict=True)):
            if number is not None and self._is_duplicate(number, seconds):
                continue
            if seconds is not None:
                if seconds <= (last := self._last[0]):
                    is_step_back = abs(last + self._step - HOUR - seconds) < 1e-3
                    self.n_steps_back += is_step_back
                    if self.options.late == "raise":
                        refusal = Refusal(i, self._late(batch.row(i), is_step_back))
                        break
                    if self.options.late == "skip":
                        self.n_duplicates += seconds == last
                        self.n_late += seconds < last
                        continue
                if self._is_reset(seconds, batch, i):
                    resets.append(len(rows))
                times.append(seconds - self._cut)
            rows.append(i)
        of_model = np.array(times) if self._timed and batch.seconds is not None else None
        return _Accepted(np.array(rows, dtype=np.intp), of_model, resets, refusal)

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

    def _late(self, row: Row, is_step_back: bool) -> InputError:
        _, text, line = self._last
        of = f" of {row.key!r}" if row.key else ""
        advice = "sort the rows, or say --late skip or --late learn"
        if is_step_back:
            advice = (
                "it steps back by exactly an hour, as clocks that are set back for winter do: name "
                "the zone, as in --time-zone Europe/Berlin"
            )
        return InputError(
            f"line {row.line}: time {row.time!r}{of} is not after {text!r} in line {line}; {advice}"
        )

    def _is_reset(self, seconds: float, batch: Batch, i: int) -> bool:
        """Whether everything begins anew at a row, as there is a gap before it."""
        last = self._last[0]
        if seconds <= last:
            return False
        self._last = (seconds, batch.texts.time_at(i), int(batch.lines[i]))
        self._step = seconds - last
        longest = self.options.max_gap
        if longest is None or seconds - last <= longest or last == -math.inf:
            return False
        self.n_gaps += 1
        if self.options.on_gap == "hold":
            self._cut += seconds - last - longest
            return False
        return True

    def _interrupt(self, at: int, pieces: list[Piece]) -> None:
        """End the segment at a gap; what comes then begins anew."""
        self._let_go(at, pieces)
        if self.model.is_started:
            self._said = None
            # the next labelled row hands it on
            self._closed = self.segmenter.finish()
            self.model.reset_state()

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
    def from_bytes(cls, data: bytes, values: Sequence[str], options: SeriesOptions) -> Series:
        """The series of `to_bytes`; its columns of values are not in there."""
        state: dict[str, Any] = msgspec.msgpack.decode(data)
        segmenter = Segmenter.from_bytes(state["segmenter"])
        series = cls(segmenter.learner, options)
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


def joined(assignments: Sequence[Assignment]) -> Assignments:
    """Answers for single points as those for many."""
    answers = Assignments.unknown(len(assignments))
    for i, assignment in enumerate(assignments):
        for column, value in zip(answers, assignment, strict=True):
            column[i] = value
    return answers


def by_what_is_known(
    values: NDArray[np.float64], seconds: NDArray[np.float64] | None, model: Model
) -> Assignments:
    """The most probable labels of a series as a whole, the probability of each given all rows."""
    if not model.is_started:
        return Assignments.unknown(len(values))
    t = seconds if model.time is not None else None
    known = model.assign_many(values, t)
    labels = np.asarray(model.decode_many(values, t), dtype=np.int64)
    probabilities = np.asarray(model.smooth_many(values, t))
    place = {label: i for i, label in enumerate(model.labels)}
    chosen = [place[label] for label in labels.tolist()]
    return Assignments(
        labels,
        probabilities[np.arange(len(labels)), chosen],
        known.log_densities,
        known.outliers,
    )


def _packed(row: Row) -> tuple[Any, ...]:
    return row._replace(values=tuple(row.values.values()))  # type: ignore[arg-type]


def _unpacked(cells: Sequence[Any], names: Sequence[str]) -> Row:
    line, time, texts, values, seconds, key, sequence = cells
    named: dict[Hashable, float] = dict(zip(names, values, strict=True))
    return Row(line, time, tuple(texts), named, seconds, key, sequence)
