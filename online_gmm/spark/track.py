"""What is known of one key: its learner, where its series stands, and rows that wait."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from online_gmm.data import state
from online_gmm.data.state import StateError
from online_gmm.learners.base import UNKNOWN, Learner

VERSION = 1
"""Of what `Track.to_bytes` writes."""
HEADER = 2
MOST_HELD = 10
"""Rows held for the warm start, as a multiple of those it wants."""


class Sighting(NamedTuple):
    """A row of one key: its time as it came, its number from the device, and its values."""

    stamp: float | int
    sequence: int | None
    values: list[float]


class Labelled(NamedTuple):
    """A row that has its label; ``change`` tells whether the label before was another one."""

    stamp: float | int
    sequence: int | None
    label: int
    probability: float
    change: bool


@dataclass(frozen=True)
class Manner:
    """How the rows of a key are taken.

    Parameters
    ----------
    values
        The names of the values of a row, in order.
    unit
        Stamps to a second.
    late
        What is done with a row whose time is not after that of the one before: ``skip`` or
        ``learn``.
    hold
        Whether rows of the warm-up wait for the warm start to label them.
    """

    values: tuple[str, ...]
    unit: float = 1.0
    late: str = "skip"
    hold: bool = False


class Track:
    """Labels the rows of one key, and learns them.

    Parameters
    ----------
    model
        Its learner.

    Attributes
    ----------
    n_duplicates, n_late
        Rows left out, as their sequence number, or time, had been there or was passed.
    n_refused
        Rows left out as they had no time or number, or a value beyond all measure.
    seen
        When a row last came, in milliseconds of the engine's clock.

    Examples
    --------
    >>> from online_gmm import OnlineGMM
    >>> from online_gmm.spark import Manner, Track
    >>> from online_gmm.spark.track import Sighting
    >>> track, manner = Track(OnlineGMM(2, warm_up=4, seed=1)), Manner(values=("level",))
    >>> rows = [Sighting(t, None, [x]) for t, x in enumerate([1.0, 9.0, 1.1, 9.1, 1.0, 9.2])]
    >>> [row.label for row in track.take(rows, manner)]
    [-1, -1, -1, -1, 0, 1]
    >>> again = Track.from_bytes(track.to_bytes())
    >>> list(again.take(rows, manner)), again.n_late, again.n_duplicates
    ([], 5, 1)
    """

    def __init__(self, model: Learner) -> None:
        self.model = model
        self.n_duplicates = self.n_late = self.n_refused = 0
        self.seen = 0
        self._last = -math.inf
        self._sequence: int | None = None
        self._label: int | None = None
        self._probability = math.nan
        self._held: list[Sighting] = []

    # -- rows -----------------------------------------------------------------------------------

    def take(self, rows: Iterable[Sighting], manner: Manner) -> Iterator[Labelled]:
        """Label each row and then learn it; yield the rows that have their label now.

        Before the warm start the label is -1 and its probability NaN. If rows are held, they wait
        until the warm-up is complete, and are labelled by what is known then. If more than
        MOST_HELD times as many rows wait as the warm start needs, it is made of those that have a
        value. A row without any value says nothing of the regime: it has the label and the
        probability of the row before.
        """
        model, unit, names = self.model, manner.unit, manner.values
        timed = model._clocked
        for row in rows:
            seconds = row.stamp / unit
            if not self._is_next(row.sequence, seconds, manner.late == "learn"):
                continue
            x = dict(zip(names, row.values, strict=True))
            t = seconds if timed else None
            if model.is_started:
                known = model.assign_one(x, t)
                model.learn_one(x, t)
                yield self._labelled(row, known.label, known.probability)
                continue
            if not manner.hold:
                known = model.assign_one(x, t)
                model.learn_one(x, t)
                yield Labelled(row.stamp, row.sequence, known.label, known.probability, False)
                continue
            self._held.append(row)
            model.learn_one(x, t)
            full = len(self._held) > MOST_HELD * model.warm_up
            if full and model.n_points and not model.is_started:
                model.fit_start()
            if full or model.is_started:
                yield from self._release(manner)

    def finish(self, manner: Manner) -> Iterator[Labelled]:
        """Yield the rows that still wait, labelled by what is known."""
        if self._held:
            if self.model.n_points:
                self.model.fit_start()
            yield from self._release(manner)

    def _is_next(self, sequence: int | None, seconds: float, takes_late: bool) -> bool:
        """Return whether a row continues the series; count it if not."""
        later = seconds > self._last
        if sequence is not None:
            # at a later time the device has begun to count anew
            if self._sequence is not None and sequence <= self._sequence and not later:
                self.n_duplicates += 1
                return False
            self._sequence = sequence
        if later:
            self._last = seconds
        elif not takes_late:
            self.n_duplicates += seconds == self._last
            self.n_late += seconds < self._last
        return later or takes_late

    def _labelled(self, row: Sighting, label: int, probability: float) -> Labelled:
        if self._label is not None and all(map(math.isnan, row.values)):
            label, probability = self._label, self._probability
        change = self._label not in (None, UNKNOWN) and label != self._label
        self._label, self._probability = label, probability
        return Labelled(row.stamp, row.sequence, label, probability, change)

    def _release(self, manner: Manner) -> Iterator[Labelled]:
        held, self._held = self._held, []
        for row, (label, probability) in zip(held, self._told(held, manner), strict=True):
            yield self._labelled(row, label, probability)

    def _told(self, rows: list[Sighting], manner: Manner) -> Iterator[tuple[int, float]]:
        """Return labels of the rows of the warm-up, and their probabilities."""
        model = self.model
        if not model.is_started:
            yield from ((UNKNOWN, math.nan) for _ in rows)
            return
        # few keys of few queries come here, and every process of the engine starts by importing
        import pandas as pd

        frame = pd.DataFrame([row.values for row in rows], columns=list(manner.values))
        times = np.array([row.stamp / manner.unit for row in rows])
        labels = model.decode_many(frame, times)
        probabilities = model.smooth_many(frame, times)
        for i, label in enumerate(labels.tolist()):
            yield label, float(probabilities[label].iloc[i])

    # -- as bytes -------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """All that the key goes on from: a version, and MessagePack.

        The learner's own bytes are in there, with their version and checksum.
        """
        its = _Written(
            self.model.to_bytes(),
            self._last,
            self._sequence,
            self._label,
            self._held,
            (self.n_duplicates, self.n_late, self.n_refused),
            self.seen,
            self._probability,
        )
        return VERSION.to_bytes(HEADER, "little") + msgspec.msgpack.encode(its)

    @classmethod
    def from_bytes(cls, data: bytes) -> Track:
        """What `to_bytes` has written, or the bytes of a learner alone, which has seen no row.

        Raises
        ------
        StateError
            If they are neither, are damaged, or of a version that is not read here.
        """
        if data.startswith(state.MAGIC):
            return cls(_model(data))
        version = int.from_bytes(data[:HEADER], "little")
        if version > VERSION:
            raise StateError(
                f"this is the state of a key of version {version}, and this release of online_gmm "
                f"reads up to {VERSION}; update it on all machines of the engine"
            )
        if version < 1:
            raise StateError(f"these {len(data)} bytes are no state of a key")
        try:
            its = msgspec.msgpack.decode(data[HEADER:], type=_Written)
        except msgspec.MsgspecError as error:
            raise StateError(f"this state of a key is damaged: {error}") from None
        track = cls(_model(its.model))
        track._last, track._sequence, track._label = its.last, its.sequence, its.label
        track._held = its.held
        track.n_duplicates, track.n_late, track.n_refused = its.counts
        track.seen = its.seen
        track._probability = its.probability
        return track


class _Written(msgspec.Struct, array_like=True):
    """As it stands in the bytes; what a later version adds comes last, with a default."""

    model: bytes
    last: float
    sequence: int | None
    label: int | None
    held: list[Sighting]
    counts: tuple[int, int, int]
    seen: int
    probability: float = math.nan


def _model(data: bytes) -> Learner:
    model = state.load(data)
    if not isinstance(model, Learner):
        raise StateError(
            f"this is the state of a {type(model).__name__}; that of a learner is expected"
        )
    return model
