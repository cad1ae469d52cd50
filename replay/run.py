"""The streaming loop: a row comes in, a labelled row goes out, and the learner has learnt it."""

from __future__ import annotations

import csv
import math
import os
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online_gmm import Assignment, HalfLife, OnlineGMM, OnlineHMM, PowerDecay
from online_gmm.hmm import MOST
from online_gmm.segments import Segment, Segmenter
from replay.progress import Progress
from replay.source import InputError, Row, Source

ADDED = ("label", "probability", "outlier")
"""The columns that the labels file has beyond those of the input."""
SEGMENT_COLUMNS = ("start", "end", "label", "n", "probability")
"""The columns of the segments file before those of the features."""
MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it wants."""

Model = OnlineGMM | OnlineHMM


@dataclass(frozen=True)
class Settings:
    """What the learner is told; the parameters are those of `OnlineGMM` and `OnlineHMM`.

    With a half-life, in points, the learner follows the stream, and the exponent is not used.
    ``persist`` makes it an `OnlineHMM`; stickiness and lag are for that one.
    """

    regimes: int | Literal["auto"] = 3
    warm_up: int = 200
    seed: int = 1
    covariance: str = "full"
    prior: float = 1e-3
    exponent: float = PowerDecay().exponent
    half_life: float | None = None
    recycle: bool = False
    persist: bool = False
    stickiness: float = 10.0
    lag: int = 0

    def model(self, source: Source) -> Model:
        """A learner of the rows of a source, yet to see one."""
        return self._persistent(source) if self.persist else self.learner(source.values)

    def learner(self, features: tuple[str, ...]) -> OnlineGMM:
        """A mixture of these features, yet to see a row."""
        try:
            return OnlineGMM(
                self.regimes,
                recycle=self.recycle,
                features=features,
                **self._shared,
            )
        except ValueError as error:
            raise InputError(str(error)) from None

    def _persistent(self, source: Source) -> OnlineHMM:
        if self.regimes != "auto" and self.regimes > MOST:
            raise InputError(
                f"--regimes is {self.regimes}; with --persist there are at most {MOST}"
            )
        try:
            return OnlineHMM(
                self.regimes,
                stickiness=self.stickiness,
                lag=self.lag,
                features=source.values,
                time=source.time if source.timed else None,
                **self._shared,
            )
        except ValueError as error:
            raise InputError(str(error)) from None

    @property
    def _shared(self) -> dict[str, Any]:
        """What both learners take."""
        follow = self.half_life is not None
        return {
            "covariance_type": self.covariance,
            "warm_up": self.warm_up,
            "step_size": HalfLife(points=self.half_life) if follow else PowerDecay(self.exponent),
            "prior": self.prior,
            "seed": self.seed,
        }


class LabelledRow(NamedTuple):
    """A row, and what the model said of it before it learnt it."""

    row: Row
    assignment: Assignment


def labels_of(model: Model) -> tuple[int, ...]:
    """The label of each of the model's regimes, in their order."""
    if isinstance(model, OnlineHMM):
        return tuple(range(model.mixture.n_components))
    return tuple(model.labels)


def labelled(source: Source, model: Model, progress: Progress) -> Iterator[LabelledRow]:
    """Label each row and then learn it.

    A model with a lag labels it again so many rows later, given these as well; only then it is
    handed on. The last rows, which fewer follow, make do with those.

    The rows of the warm-up are held until it is complete and labelled by the warm start; so are
    rows without any value that come among them. If the rows end before, or more than MOST_HELD
    times as many as the warm start wants are held, it makes do with those there are. As long as
    none has a value, rows that many are labelled 0, with probability 1/K, and let go.
    """
    lag = model.lag if isinstance(model, OnlineHMM) else 0
    held: list[Row] = []
    waiting: deque[LabelledRow] = deque()
    for row in progress(source, "streaming"):
        if model.is_started:
            waiting.append(LabelledRow(row, _assigned(row, model)))
            model.learn_one(row.values, row.seconds)
            if len(waiting) > lag:
                first = waiting.popleft()
                yield _looked_back(first, model, lag) if lag else first
            continue
        held.append(row)
        model.learn_one(row.values, row.seconds)
        full = len(held) > MOST_HELD * model.warm_up
        if full and model.n_points and not model.is_started:
            model.warm_start()
        if full or model.is_started:
            yield from _by_what_is_known(held, model)
            held.clear()
    if not model.is_started:
        start_with_what_came(model, source)
        yield from _by_what_is_known(held, model)
    while waiting:
        first = waiting.popleft()
        yield _looked_back(first, model, len(waiting))


def labelled_as_a_whole(
    source: Source, model: OnlineHMM, progress: Progress
) -> Iterator[LabelledRow]:
    """Learn all rows, and then label them in a second pass, each given all others.

    Holds all values in memory.

    Raises
    ------
    InputError
        As of `Source`, and if the file has grown or shrunk in between.
    """
    values, seconds = array("d"), array("d")
    n = 0
    for row, _ in labelled(source, model, progress):
        values.extend(row.values.values())
        seconds.append(math.nan if row.seconds is None else row.seconds)
    assignments = _as_a_whole(
        np.frombuffer(values).reshape(-1, len(source.values)), np.frombuffer(seconds), model
    )
    for row in progress(source, "labelling"):
        n += 1
        if n <= len(seconds):
            yield LabelledRow(row, next(assignments))
    if n != len(seconds):
        raise InputError(
            f"{source.path} had {len(seconds):,} rows when they were learnt and {n:,} when they "
            "were to be labelled; run again when nobody writes it"
        )


def _as_a_whole(
    values: NDArray[np.float64], seconds: NDArray[np.float64], model: OnlineHMM
) -> Iterator[Assignment]:
    """The most probable sequence of labels of a series, the probability of each given all rows."""
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


def _assigned(row: Row, model: Model) -> Assignment:
    if isinstance(model, OnlineHMM):
        return model.assign_one(row.values, row.seconds)
    return model.assign_one(row.values)


def _looked_back(labelled_row: LabelledRow, model: Model, rows: int) -> LabelledRow:
    """The row that came so many rows ago, labelled by what is known of it now."""
    assert isinstance(model, OnlineHMM)
    row, assignment = labelled_row
    known = model.look_back(rows)
    assert known is not None
    return LabelledRow(row, assignment._replace(label=known.label, probability=known.probability))


def _by_what_is_known(held: list[Row], model: Model) -> Iterator[LabelledRow]:
    if isinstance(model, OnlineGMM):
        assignments: Iterator[Assignment] = (model.assign_one(row.values) for row in held)
    else:
        values = np.array([list(row.values.values()) for row in held])
        seconds = np.array([row.seconds for row in held], dtype=np.float64)
        assignments = _as_a_whole(values, seconds, model)
    yield from map(LabelledRow, held, assignments)


def start_with_what_came(model: Model, source: Source) -> None:
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
