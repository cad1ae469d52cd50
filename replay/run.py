"""The streaming loop: a row comes in, a labelled row goes out, and the learner has learnt it."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from online_gmm import Assignment, HalfLife, OnlineGMM, PowerDecay
from replay.progress import Progress
from replay.source import InputError, Row, Source

ADDED = ("label", "probability", "outlier")
"""The columns that the labels file has beyond those of the input."""
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


@contextmanager
def labels_writer(path: Path | None, source: Source) -> Iterator[Callable[[LabelledRow], object]]:
    """A function that writes labelled rows to a CSV file, or to stdout without a path.

    The file appears under its name when all is written; if anything fails there is none.
    """
    names = (*(() if source.time is None else (source.time,)), *source.values)
    if taken := next((name for name in names if name in ADDED), None):
        raise InputError(
            f"{source.path}, line 1, column {taken!r}: the labels file adds a column of this name; "
            "rename the input's"
        )
    if path is None:
        yield _write_to(csv.writer(sys.stdout, lineterminator="\n").writerow, names, source)
        return
    if path.exists() and path.samefile(source.path):
        raise InputError(f"--labels {path} is the input file; choose another name")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = part.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"--labels {path} cannot be written: {error.strerror}") from None
    try:
        with file:
            yield _write_to(csv.writer(file, lineterminator="\n").writerow, names, source)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_to(
    write: Callable[[tuple[object, ...]], object], names: tuple[str, ...], source: Source
) -> Callable[[LabelledRow], object]:
    timed = source.time is not None
    write((*names, *ADDED))

    def write_row(labelled_row: LabelledRow) -> None:
        row, (label, probability, _, outlier) = labelled_row
        time = (row.time,) if timed else ()
        write((*time, *row.texts, label, f"{probability:.6g}", int(outlier)))

    return write_row
