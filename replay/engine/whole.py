"""Labels of a series as a whole: all its rows are learnt before the first one is labelled."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

import numpy as np

from online_gmm import OnlineHMM
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop
from replay.engine.progress import Progress, rows_of
from replay.engine.rows import InputError, Source
from replay.engine.series import LabelledRow, Series, as_a_whole
from replay.sinks.files import Onlooker


class _Values(Onlooker):
    """The lines, values and times of all rows that are learnt."""

    def __init__(self) -> None:
        self.lines, self.values, self.seconds = array("q"), array("d"), array("d")

    def row(self, labelled_row: LabelledRow) -> None:
        row = labelled_row.row
        self.lines.append(row.line)
        self.values.extend(row.values.values())
        self.seconds.append(math.nan if row.seconds is None else row.seconds)


def labelled_as_a_whole(
    source: Source, series: Series, progress: Progress
) -> Iterator[LabelledRow]:
    """Learn all rows, and then label them in a second pass, each given all others.

    Holds all values in memory. The series is as when it has ended.

    Raises
    ------
    InputError
        As of the source, and if it has grown or shrunk in between.
    """
    model = series.model
    assert isinstance(model, OnlineHMM)
    known = _Values()
    learner = Series(model, series.manner)
    loop = Loop(source, Fleet(lambda: learner, _not_parked), {"values": known})
    loop.run(lambda items: progress(source, "learning", items))
    if loop.cut_off is not None:
        raise loop.cut_off
    assignments = as_a_whole(
        np.frombuffer(known.values).reshape(-1, len(source.values)),
        np.frombuffer(known.seconds),
        model,
    )
    n = n_labelled = 0
    for row in rows_of(progress, source, "labelling"):
        n += 1
        # those that came twice or late were left out
        if n_labelled < len(known.lines) and row.line == known.lines[n_labelled]:
            n_labelled += 1
            yield series.label(row, next(assignments))
    if n != loop.n_rows or n_labelled < len(known.lines):
        raise InputError(
            f"{source.name} had {loop.n_rows:,} rows when they were learnt and {n:,} when they "
            "were to be labelled; run again when nobody writes it"
        )
    series.end()


def _not_parked(state: bytes) -> Series:
    raise AssertionError("nothing is parked here")
