"""Labels of a series as a whole: all its rows are learnt before the first one is labelled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from online_gmm.data.counted import counted
from replay.engine.batch import LabelledBatch, answers_at
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop
from replay.engine.progress import Progress, watched
from replay.engine.protocols import MemorySink, Source
from replay.engine.rows import InputError
from replay.engine.series import Series, by_what_is_known


class _Seen(MemorySink):
    """The lines, values and times of all rows that are learnt."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.values: list[NDArray[np.float64]] = []
        self.seconds: list[NDArray[np.float64]] = []

    def write(self, labelled: LabelledBatch) -> None:
        batch = labelled.batch
        self.lines += batch.lines.tolist()
        self.values.append(batch.values)
        if batch.seconds is not None:
            self.seconds.append(batch.seconds)


def labelled_as_a_whole(
    source: Source, series: Series, progress: Progress
) -> Iterator[LabelledBatch]:
    """Learn all rows, and then label them in a second pass, each given all others.

    Holds all values in memory. The series is as when it has ended.

    Raises
    ------
    InputError
        As of the source, and if it has grown or shrunk in between.
    """
    model = series.model
    seen = _Seen()
    learner = Series(model, series.options)
    loop = Loop(source, Fleet(lambda: learner, _not_parked), {"seen": seen})
    loop.run(lambda batches: progress(source, "learning", batches))
    if loop.cut_off is not None:
        raise loop.cut_off
    seconds = np.concatenate(seen.seconds) if seen.seconds else None
    answers = by_what_is_known(np.concatenate(seen.values), seconds, model)
    lines, n, done = seen.lines, 0, 0
    for batch in watched(progress, source, "labelling"):
        n += len(batch)
        before, rows = done, []
        for i, line in enumerate(batch.lines.tolist()):
            # those that came twice or late were left out
            if done < len(lines) and line == lines[done]:
                rows.append(i)
                done += 1
        if rows:
            its = answers_at(answers, slice(before, done))
            yield series.accept(batch.take(np.array(rows, dtype=np.intp)), its)
    if n != loop.n_rows or done < len(lines):
        raise InputError(
            f"{source.name} had {counted(loop.n_rows, 'rows')} to learn and {n:,} to be "
            "labelled; run again when nobody writes it"
        )
    series.end()


def _not_parked(state: bytes) -> Series:
    raise AssertionError("nothing is parked here")
