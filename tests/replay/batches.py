"""Batches of one row, and rows of batches, for tests that look at single rows."""

from typing import NamedTuple

import numpy as np

from online_gmm import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import Batch, Ended, LabelledBatch
from replay.engine.rows import Row
from replay.engine.series import joined


class Labelled(NamedTuple):
    """A row, what the model said of it, whether a change is reported, and the segment it ends."""

    row: Row
    assignment: Assignment
    change: bool = False
    closed: Segment | None = None


def one_by_one(source):
    """The rows of a source in batches of one; None where nothing has come for a moment."""
    while (batch := source.next_batch(1)) is not None:
        yield batch.row(0) if len(batch) else None


def rows_in(labelled):
    """Labelled rows of a batch."""
    closed = {one.row: one.segment for one in labelled.ended()}
    return [Labelled(*its, closed.get(i)) for i, its in enumerate(labelled.rows())]


def batch_of(*labelled):
    """Labelled rows as a batch."""

    def ended():
        its = [(i, one) for i, one in enumerate(labelled) if one.closed is not None]
        return [Ended(i, one.row.key, one.closed) for i, one in its]

    return LabelledBatch(
        Batch.of_rows([one.row for one in labelled]),
        joined([one.assignment for one in labelled]),
        np.array([one.change for one in labelled], dtype=bool),
        ended,
    )


def label(series, rows):
    """What comes out of a series when rows come one by one."""
    return [one for row in rows for one in _label(series, Batch.of_rows([row]))]


def _label(series, batch):
    pieces, refusal = series.label(batch)
    if refusal is not None:
        raise refusal.error
    return [one for piece in pieces for one in rows_in(piece.labelled)]


def finish(series):
    """What comes out when a series ends."""
    return [one for labelled in series.finish() for one in rows_in(labelled)]
