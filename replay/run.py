"""The streaming loop: a row comes in, a labelled row goes out, and the learner has learnt it."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from online_gmm import Assignment, HalfLife, OnlineGMM, PowerDecay
from online_gmm.segments import Segment, Segmenter
from replay.progress import Progress
from replay.source import InputError, Row, Source

ADDED = ("label", "probability", "outlier")
"""The columns that the labels file has beyond those of the input."""
SEGMENT_COLUMNS = ("start", "end", "label", "n", "probability")
"""The columns of the segments file before those of the features."""
MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it wants."""


@dataclass(frozen=True)
class Settings:
    """What the learner is told; the parameters are those of `OnlineGMM`.

    With a half-life, in points, the learner follows the stream, and the exponent is not used.
    """

    regimes: int = 3
    warm_up: int = 200
    seed: int = 1
    covariance: str = "full"
    prior: float = 1e-3
    exponent: float = PowerDecay().exponent
    half_life: float | None = None
    recycle: bool = False

    def learner(self, features: tuple[str, ...]) -> OnlineGMM:
        """A learner of these features, yet to see a row."""
        try:
            return OnlineGMM(
                self.regimes,
                covariance_type=self.covariance,
                warm_up=self.warm_up,
                step_size=(
                    PowerDecay(self.exponent)
                    if self.half_life is None
                    else HalfLife(points=self.half_life)
                ),
                prior=self.prior,
                recycle=self.recycle,
                features=features,
                seed=self.seed,
            )
        except ValueError as error:
            raise InputError(str(error)) from None


class LabelledRow(NamedTuple):
    """A row, and what the model said of it before it learnt it."""

    row: Row
    assignment: Assignment


def labelled(source: Source, model: OnlineGMM, progress: Progress) -> Iterator[LabelledRow]:
    """Label each row and then learn it.

    The rows of the warm-up are held until it is complete and labelled by the warm start; so are
    rows without any value that come among them. If the rows end before, or more than MOST_HELD
    times as many as the warm start wants are held, it makes do with those there are. As long as
    none has a value, rows that many are labelled 0, with probability 1/K, and let go.
    """
    held: list[Row] = []
    for row in progress(source, "streaming"):
        if model.is_started:
            assignment = model.assign_one(row.values)
            model.learn_one(row.values)
            yield LabelledRow(row, assignment)
            continue
        held.append(row)
        model.learn_one(row.values)
        full = len(held) > MOST_HELD * model.warm_up
        if full and model.n_points and not model.is_started:
            model.warm_start()
        if full or model.is_started:
            yield from _by_what_is_known(held, model)
            held.clear()
    if not model.is_started:
        start_with_what_came(model, source)
        yield from _by_what_is_known(held, model)


def _by_what_is_known(held: list[Row], model: OnlineGMM) -> Iterator[LabelledRow]:
    for row in held:
        yield LabelledRow(row, model.assign_one(row.values))


def start_with_what_came(model: OnlineGMM, source: Source) -> None:
    """The warm start of a series shorter than its warm-up."""
    if not model.n_points:
        raise InputError(
            f"{source.path}, lines 1 to {source.last_line}, "
            f"column {', '.join(map(repr, source.values))}: no row has a value; "
            "at least one is needed"
        )
    model.warm_start()


class Moment(NamedTuple):
    """When a row came: its number, from 1, and its time as written."""

    row: int
    time: str


class Segmentation:
    """Hands the segments of labelled rows on, each as it is completed; `close` ends the last one.

    Their start and end are `Moment` s.

    Parameters
    ----------
    segmenter
        What decides where they end.
    takers
        What is done with each.

    Attributes
    ----------
    n_segments
        Segments handed on.
    last
        The last of them, None before.
    """

    def __init__(self, segmenter: Segmenter, takers: Sequence[Callable[[Segment], object]]) -> None:
        self.n_segments = 0
        self.last: Segment | None = None
        self._segmenter = segmenter
        self._takers = takers
        self._n_rows = 0

    def add(self, labelled_row: LabelledRow) -> None:
        row, assignment = labelled_row
        self._n_rows += 1
        moment = Moment(self._n_rows, row.time)
        self._segmenter.segment_one(row.values, assignment.label, assignment.probability, moment)
        self._hand_on(self._segmenter.closed)

    def close(self) -> None:
        self._hand_on(self._segmenter.finish())

    def _hand_on(self, segment: Segment | None) -> None:
        if segment is None:
            return
        self.n_segments += 1
        self.last = segment
        for take in self._takers:
            take(segment)


@contextmanager
def labels_writer(path: Path | None, source: Source) -> Iterator[Callable[[LabelledRow], object]]:
    """A function that writes labelled rows to a CSV file, or to stdout without a path.

    The file appears under its name when all is written; if anything fails there is none.
    """
    timed = source.time is not None
    names = (*(() if source.time is None else (source.time,)), *source.values)
    if taken := next((name for name in names if name in ADDED), None):
        raise InputError(
            f"{source.path}, line 1, column {taken!r}: the labels file adds a column of this name; "
            "rename the input's"
        )
    with _table(path, source, "--labels", (*names, *ADDED)) as write:

        def write_row(labelled_row: LabelledRow) -> None:
            row, (label, probability, _, outlier) = labelled_row
            time = (row.time,) if timed else ()
            write((*time, *row.texts, label, f"{probability:.6g}", int(outlier)))

        yield write_row


@contextmanager
def segments_writer(path: Path | None, source: Source) -> Iterator[Callable[[Segment], object]]:
    """A function that writes segments, as `labels_writer` does rows.

    Their start and end are times as they stand in the input, or rows if it has none.
    """
    timed = source.time is not None
    features = [f"{what}_{name}" for name in source.values for what in ("mean", "sd")]
    with _table(path, source, "--segments", (*SEGMENT_COLUMNS, *features)) as write:

        def write_segment(segment: Segment) -> None:
            start, end = (
                moment.time if timed else moment.row for moment in (segment.start, segment.end)
            )
            numbers = [of[name] for name in source.values for of in (segment.mean, segment.sd)]
            texts = ("" if math.isnan(number) else f"{number:.10g}" for number in numbers)
            write((start, end, segment.label, segment.n, f"{segment.probability:.6g}", *texts))

        yield write_segment


Write = Callable[[tuple[object, ...]], object]


@contextmanager
def _table(
    path: Path | None, source: Source, option: str, names: tuple[str, ...]
) -> Iterator[Write]:
    """A function that writes lines below a header."""
    if path is None:
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        write(names)
        yield write
        return
    if path.exists() and path.samefile(source.path):
        raise InputError(f"{option} {path} is the input file; choose another name")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = part.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{option} {path} cannot be written: {error.strerror}") from None
    try:
        with file:
            write = csv.writer(file, lineterminator="\n").writerow
            write(names)
            yield write
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
