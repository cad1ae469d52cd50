"""The series of one key: a batch comes in, labelled rows go out, and the learner has learnt it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import Assignment, OnlineGMM
from online_gmm.learners.base import UNKNOWN, Assignments
from online_gmm.segmentation.placed import Event
from online_gmm.segmentation.second_pass import SecondPass
from online_gmm.segmentation.segmenter import Segmenter
from online_gmm.segmentation.segments import RegimeChange, Segment, Segmentation
from online_gmm.series import label_whole
from replay.engine.batch import Batch, Ended, LabelledBatch, of_segment
from replay.engine.costs import Costs
from replay.engine.held import HeldBatch
from replay.engine.order import Order, Refusal, SeriesOptions
from replay.engine.rows import Row
from replay.engine.summary import Chronicle, Summary

if TYPE_CHECKING:
    from replay.engine.settings import Model

LABEL_TOGETHER = 8
"""Rows from which on one call labels, or segments, them in less time than a call for each."""
COUNTS = ("n_segments", "n_changes", "n_change_rows", "_n_rows")
"""What a series counts."""


class Piece(NamedTuple):
    """Labelled rows, and for each the row of the batch with which it came out, ascending."""

    labelled: LabelledBatch
    at: NDArray[np.intp]


class _Moments(Sequence[tuple[int, str]]):
    """Number and time of each row of a batch, as a series tells them."""

    def __init__(self, batch: Batch, n_before: int) -> None:
        self._batch = batch
        self._n_before = n_before

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, i: Any) -> Any:
        return self._n_before + i + 1, self._batch.texts.time_at(i)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return enumerate(self._batch.texts.times(), self._n_before + 1)


class Series:
    """Labels the rows of one key, and learns them.

    The start and end of its segments are numbers of rows, from 1, and times as written.

    Parameters
    ----------
    model
        Its learner.
    options
        How rows are taken.
    shared
        The mixture that the series of all keys share, which learns elsewhere; the learner of this
        series is then one that never learns. None if it has a learner of its own.

    Attributes
    ----------
    belief
        The probability of each regime after the last row, if the mixture is shared and regimes
        persist; None before, and after a gap.
    summary
        Counts over its labelled rows.
    order
        Counts over the rows left out, and where the last row stands.
    chronicle
        How its regimes came and went, if they are recycled.
    n_segments, n_changes
        Segments ended, and changes of regime that ended one.
    n_change_rows
        Rows at which changes were reported; at some of them several may have been.
    last_segment
        The segment in which the series ended; None before.
    breaks
        Rows, by their numbers from 0, before which everything began anew in this run.
    finished
        What a second pass has found, if there was one.
    costs
        What its regimes have cost, if a sink keeps account of that.
    """

    def __init__(
        self,
        model: Model,
        options: SeriesOptions | None = None,
        shared: OnlineGMM | None = None,
    ) -> None:
        self.options = options = options or SeriesOptions()
        if model.finds_regimes:
            self.segmenter = Segmenter(model)
        else:
            self.segmenter = Segmenter(model, min_dwell=options.min_dwell, confirm=options.confirm)
        self.order = Order(options)
        self.summary = Summary()
        self.n_segments = self.n_changes = self.n_change_rows = 0
        self.last_segment: Segment | None = None
        self.breaks: list[int] = []
        self.finished: SecondPass | None = None
        self.costs: Costs | None = None
        self.belief: dict[int, float] | None = None
        self.model = model = model if shared is None else shared
        self._held = HeldBatch(model)
        # few rows, or none: an empty deque takes 700 bytes of each key
        self._waiting: list[tuple[Row, Assignment]] = []
        self._n_rows = 0
        self._said: tuple[int, float] | None = None
        self._closed: list[Segment] = []
        self._timed = model.time is not None
        self.chronicle = Chronicle(model) if model.recycle else None

    # -- rows -----------------------------------------------------------------------------------

    def label(self, batch: Batch) -> tuple[list[Piece], Refusal | None]:
        """Label each row and then learn it; the rows that have their final label now.

        With a lag, a row is labelled again so many rows later, given these as well; only then it
        comes out. The rows of the warm-up are held until it is complete and labelled by the warm
        start; so are rows without any value that come among them. If more than MOST_HELD times as
        many as the warm start wants are held, it makes do with those there are. As long as none has
        a value, rows that many are labelled -1, with probability NaN, and let go.

        If the series refuses a row, those before it are labelled, and the row is named.
        """
        rows, seconds, resets, refusal = self.order.accept(batch)
        if not self._timed:
            seconds = None
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
        self._held.end()
        if len(self._held):
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

    def be_finished(self, found: SecondPass, summary: Summary) -> None:
        """Take over what a second pass has found in the whole series."""
        self.finished, self.summary = found, summary
        self.n_segments, self.n_changes = len(found.segments), len(found.changes)
        self.n_change_rows = self.n_changes
        self.last_segment = found.segments[-1] if found.segments else None

    def _take(
        self,
        batch: Batch,
        seconds: NDArray[np.float64] | None,
        at: NDArray[np.intp],
        pieces: list[Piece],
    ) -> None:
        """Take rows that follow one another."""
        n, done = len(batch), 0
        if self.segmenter.finds_regimes:
            moments = _Moments(batch, self._n_rows + len(self._waiting))
            answers = self.segmenter.label_then_learn_many(batch.values, seconds, moments)
            closed = self._closed_by(self.segmenter.new_events)
            if self.model.lag:
                self._wait_found(batch, answers, closed, at, pieces)
            else:
                pieces.append(Piece(self._accept_found(batch, answers, closed), at))
            return
        while done < n and not self.model.is_started:
            times = None if seconds is None else seconds[done:]
            n_learnt, is_ready = self._held.learn(batch.part(done, n), times)
            done += n_learnt
            if is_ready:
                self._release(int(at[done - 1]), pieces)
        if done == n:
            return
        rest, at = batch.part(done, n), at[done:]
        seconds = None if seconds is None else seconds[done:]
        if self.model.lag:
            self._wait(rest, seconds, at, pieces)
        else:
            answers = self._label_then_learn(rest, seconds)
            pieces.append(Piece(self.accept(rest, answers), at))

    def _label_then_learn(self, batch: Batch, seconds: NDArray[np.float64] | None) -> Assignments:
        model, n = self.model, len(batch)
        if n >= LABEL_TOGETHER:
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
        labels, probabilities = answers[0], answers[1]
        is_missing, is_known = np.isnan(values), labels >= 0
        if is_missing.any() and not (measured := ~is_missing.all(axis=1)).all():
            is_known &= measured
            is_known[0] |= self._said is None and labels[0] >= 0
            before = np.maximum.accumulate(np.where(is_known, np.arange(len(values)), -1))
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
        if is_known.any():
            last = len(labels) - 1 - int(is_known[::-1].argmax())
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
        pending, self._closed = self._closed, []
        self.n_changes += n_changes
        self.n_change_rows += n_changes
        n_ended = n_changes + len(pending)
        self.n_segments += n_ended

        def ended() -> list[Ended]:
            found = [self._ended(0, batch, segment) for segment in pending]
            rows = np.flatnonzero(segmentation.changes).tolist()
            for row, segment in zip(rows, segmentation.closed(), strict=True):
                found.append(self._ended(row, batch, segment))
            return found

        names = self._names_of(answers.labels)
        changes = segmentation.changes.astype(np.int64)
        return LabelledBatch(batch, answers, changes, ended, names, n_ended=n_ended)

    def _ended(self, row: int, batch: Batch, segment: Segment) -> Ended:
        name = self.model.names.get(segment.label, "")
        return Ended(row, batch.key_at(row), segment, name)

    def _names_of(self, labels: NDArray[np.int64]) -> list[str] | None:
        """The name of each label, empty where it has none; None if no label has a name."""
        names = self.model.names
        return [names.get(label, "") for label in labels.tolist()] if names else None

    def _closed_by(self, new_events: Sequence[Event]) -> list[tuple[Segment, int]]:
        """Count changes; the segments that they ended, and the numbers of rows that told so."""
        found: list[tuple[Segment, int]] = []
        closed: Segment | None = None
        for event in new_events:
            if isinstance(event, Segment):
                closed = event
            elif isinstance(event, RegimeChange):
                # what is said of a segment that began at a gap ends no other one
                if closed is not None:
                    found.append((closed, event.known_at[0]))
                closed = None
        self.n_changes += len(found)
        self.n_change_rows += len({known_at for _, known_at in found})
        return found

    def _accept_found(
        self, batch: Batch, answers: Assignments, closed: Sequence[tuple[Segment, int]]
    ) -> LabelledBatch:
        """Take rows of a learner that says itself what has ended where, and when that was known.

        A row that waited for later ones comes with what they told. It is marked as a change if its
        label is another than that of the row before.
        """
        n_before, n = self._n_rows, len(batch)
        self._n_rows += n
        self.summary.add(batch.values, answers.labels, answers.outliers)
        changes = np.zeros(n, dtype=np.int64)
        pending, self._closed = self._closed, []
        found = [self._ended(0, batch, segment) for segment in pending]
        for segment, known_at in closed:
            row = min(max(known_at - 1 - self.model.lag - n_before, 0), n - 1)
            found.append(self._ended(row, batch, segment))
            changes[row] += 1
        if self.model.lag:
            changes = self._where_labels_change(answers.labels)
        self.n_segments += len(found)
        return LabelledBatch(batch, answers, changes, lambda: found, self._names_of(answers.labels))

    def _where_labels_change(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Mark rows whose label is another than that of the row before, where both are known."""
        before = np.concatenate([[UNKNOWN if self._said is None else self._said[0]], labels[:-1]])
        self._said = int(labels[-1]), math.nan
        changes: NDArray[np.bool_] = (labels != before) & (before != UNKNOWN)
        return changes.astype(np.int64)

    def _segmented(self, batch: Batch, answers: Assignments) -> Segmentation:
        segmenter, n = self.segmenter, len(batch)
        moments = _Moments(batch, self._n_rows)
        if n >= LABEL_TOGETHER:
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

    def _release(self, at: int, pieces: list[Piece]) -> None:
        """Label the rows of the warm-up."""
        batch = self._held.release()
        labelled = self.accept(batch, by_what_is_known(batch.values, batch.seconds, self.model))
        pieces.append(Piece(labelled, np.full(len(batch), at, dtype=np.intp)))

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
            if len(self._waiting) > model.lag:
                ready.append(self._looked_back(model.lag))
                came_out.append(at[i])
        self._come_out(ready, np.array(came_out, dtype=np.intp), pieces)

    def _wait_found(
        self,
        batch: Batch,
        answers: Assignments,
        closed: Sequence[tuple[Segment, int]],
        at: NDArray[np.intp],
        pieces: list[Piece],
    ) -> None:
        """Let rows wait that the segmenter has learnt, and take those that have their label now."""
        known = zip(*(column.tolist() for column in answers), strict=True)
        for row, its in zip(batch.rows(), known, strict=True):
            self._waiting.append((row, Assignment(*its)))
        labels = self.segmenter.new_labels
        n = len(labels.labels)
        if not n:
            self._closed += [segment for segment, _ in closed]
            return
        ready, self._waiting = self._waiting[:n], self._waiting[n:]
        later = joined([its for _, its in ready])._replace(**labels._asdict())
        labelled = self._accept_found(Batch.of_rows([row for row, _ in ready]), later, closed)
        pieces.append(Piece(labelled, at[len(at) - n :]))

    def _let_go(self, at: int, pieces: list[Piece]) -> None:
        """Label the rows that wait by what came so far."""
        ready = [self._looked_back(left) for left in reversed(range(len(self._waiting)))]
        self._come_out(ready, np.full(len(ready), at, dtype=np.intp), pieces)

    def _looked_back(self, n_since: int) -> tuple[Row, Assignment]:
        """The first row that waits, labelled by what is known of it now, so many rows later."""
        row, assignment = self._waiting.pop(0)
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
            answers = joined([its for _, its in ready])
            if self.segmenter.finds_regimes:
                pieces.append(Piece(self._accept_found(batch, answers, ()), at))
            else:
                pieces.append(Piece(self.accept(batch, answers), at))

    # -- gaps -----------------------------------------------------------------------------------

    def _interrupt(self, at: int, pieces: list[Piece]) -> None:
        """Label the rows that wait, and then `interrupt`."""
        self._let_go(at, pieces)
        self.interrupt()

    def interrupt(self) -> None:
        """End the segment at a gap; what comes then begins anew."""
        self.breaks.append(self._n_rows)
        if self.model.is_started:
            self._said = None
            self.summary.close()
            # the next labelled row hands it on
            closed = self.segmenter.finish()
            self._closed += [] if closed is None else [closed]
            self.model.reset_state()
        elif self.model.finds_regimes:
            self.model.reset_state()

    # -- state ----------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return all that the series needs to continue, as bytes."""
        return self._written(packed_rows(self._held.rows))

    def parked(self) -> bytes:
        """Return the same for this run alone, in less time: rows that are held, by column."""
        held = self._held.rows
        return self._written([] if held is None else held.state())

    def _written(self, held: Any) -> bytes:
        return msgspec.msgpack.encode(
            {
                "segmenter": self.segmenter.to_bytes(),
                "summary": self.summary.state(),
                "chronicle": None if self.chronicle is None else self.chronicle.state(),
                "held": held,
                "waiting": [(packed(row), assignment) for row, assignment in self._waiting],
                "counts": [getattr(self, name) for name in COUNTS],
                "order": self.order.state(),
                "said": self._said,
                "closed": self._closed,
                **({} if self.costs is None else {"costs": self.costs.state()}),
                **({} if self.belief is None else {"belief": self.belief}),
            }
        )

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        values: Sequence[str],
        options: SeriesOptions,
        shared: OnlineGMM | None = None,
    ) -> Series:
        """The series of `to_bytes` or `parked`; columns and what it shares are not in there."""
        state: dict[str, Any] = msgspec.msgpack.decode(data)
        segmenter = Segmenter.from_bytes(state["segmenter"])
        series = cls(segmenter.learner, options, shared)
        series.belief = state.get("belief")
        series.segmenter = segmenter
        series.summary.load(state["summary"])
        if series.chronicle is not None:
            series.chronicle.load(state["chronicle"])
        held = state["held"]
        if held:
            is_by_column = isinstance(held, dict)
            rows = Batch.of_state(held).copy() if is_by_column else unpacked_rows(held, values)
            series._held.hold(rows)
        series._waiting.extend(
            (unpacked(row, values), Assignment(*assignment)) for row, assignment in state["waiting"]
        )
        for name, count in zip(COUNTS, state["counts"], strict=True):
            setattr(series, name, count)
        series.order.load(state["order"])
        if (costs := state.get("costs")) is not None:
            series.costs = Costs.of(costs)
        series._said = None if state["said"] is None else tuple(state["said"])
        for closed in state["closed"]:
            start, end = tuple(closed.pop("start")), tuple(closed.pop("end"))
            series._closed.append(Segment(start, end, **closed))
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
    known: Assignments = model.assign_many(values, t)
    if isinstance(model, OnlineGMM):
        # other rows say nothing of a row
        return known
    labels, probabilities = label_whole(model, values, t)
    return Assignments(labels, probabilities, known.log_densities, known.outliers)


def packed_rows(batch: Batch | None) -> list[tuple[Any, ...]]:
    return [] if batch is None else [packed(row) for row in batch.rows()]


def unpacked_rows(cells: Sequence[Any], names: Sequence[str]) -> Batch:
    return Batch.of_rows([unpacked(row, names) for row in cells])


def packed(row: Row) -> tuple[Any, ...]:
    return row._replace(values=tuple(row.values.values()))  # type: ignore[arg-type]


def unpacked(cells: Sequence[Any], names: Sequence[str]) -> Row:
    line, time, texts, values, seconds, key, sequence = cells
    named: dict[Hashable, float] = dict(zip(names, values, strict=True))
    return Row(line, time, tuple(texts), named, seconds, key, sequence)
