"""One series for each key; those not used for long may be parked on disk."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

import msgspec
import numpy as np

from online_gmm.data.state import OldStateError
from online_gmm.learners.base import Assignments
from replay.engine.batch import Batch, Ended, LabelledBatch, answers_at
from replay.engine.keys import Keys
from replay.engine.order import Order, Refusal
from replay.engine.rows import InputError, OutputError
from replay.engine.series import Piece, Series
from replay.engine.shared import Answered, SharedModel

MOST_OUT = 131_072
"""Labelled rows that are handed on together, where a warm-up lets many come out at once."""
AFRESH = "; start afresh without --resume"
UNREADABLE = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    msgspec.MsgspecError,
)
"""What a state that is not as it should be may raise where it is read."""


class Fleet:
    """The series of all keys, each made when its key comes for the first time.

    Parameters
    ----------
    make
        Gives the series of a new key.
    load
        Gives the series that `Series.to_bytes` or `Series.parked` has written.
    at_most
        Series in memory; when there are more, those not used for longest are parked. None for no
        limit.
    parking
        Where, a file of SQLite that is made anew. It is no checkpoint: what it holds is only good
        for this run.
    shared
        The model of all keys; None if each has its own.

    Attributes
    ----------
    is_saved
        Whether checkpoints are made, so that what changes must be noted.
    n_parked
        How often a series was parked.
    n_dropped
        Rows that came twice or late in this run.
    stuck
        Why all rows of a key are dropped, of the first key of which they are; empty if there is
        none.
    was_ahead
        Where a clock was ahead after which rows are taken again, of the first key of which it was.
    """

    def __init__(
        self,
        make: Callable[[], Series],
        load: Callable[[bytes], Series],
        at_most: int | None = None,
        parking: Path | None = None,
        shared: SharedModel | None = None,
    ) -> None:
        self.shared = shared
        self._make = make
        self._load = load
        self._at_most = at_most
        self._here: OrderedDict[str, Series] = OrderedDict()
        self._keys: dict[str, None] = {}
        self.is_saved = True
        # since the last checkpoint, those changed last at the end
        self._changed: OrderedDict[str, None] = OrderedDict()
        self._new: list[str] = []
        self._parked: sqlite3.Connection | None = None
        self.n_parked = self.n_dropped = 0
        self.stuck = self.was_ahead = ""
        if at_most is not None:
            if parking is not None:
                parking.unlink(missing_ok=True)
            self._parked = sqlite3.connect(
                ":memory:" if parking is None else parking, isolation_level=None
            )
            # nothing here outlives the run, so nothing need reach the disk in time
            self._parked.execute("PRAGMA journal_mode = OFF")
            self._parked.execute("PRAGMA synchronous = OFF")
            self._parked.execute("CREATE TABLE parked (key TEXT PRIMARY KEY, state BLOB)")
            # which is never ended: pages go to the disk only where the cache is full
            self._parked.execute("BEGIN EXCLUSIVE")

    def __getitem__(self, key: str) -> Series:
        series = self._here.get(key)
        if series is None:
            if key in self._keys:
                series = self._fetched(key)
            else:
                series = self._make()
                self._keys[key] = None
                if self.is_saved:
                    self._new.append(key)
            self._here[key] = series
            self._make_room()
        elif self._at_most is not None:
            self._here.move_to_end(key)
        return series

    def _of(self, key: str) -> Series:
        """The series of a key, which is to be changed."""
        if self.is_saved:
            self._changed[key] = None
            self._changed.move_to_end(key)
        return self[key]

    def label(self, batch: Batch) -> Iterator[LabelledBatch]:
        """Label rows and learn them, each by the series of its key.

        Raises
        ------
        InputError
            If a series refuses a row, after the rows before it.
        """
        if self.shared is not None:
            yield from self._together(batch, self.shared)
            return
        if batch.keys is None:
            pieces, refusal = self._label("", batch)
            yield from (piece.labelled for piece in pieces)
        else:
            pieces, refusal = self._by_key(batch, batch.keys)
            for some in _in_turn(pieces):
                yield merged(batch, some)
        if refusal is not None:
            raise refusal.error

    def _label(self, key: str, batch: Batch) -> tuple[list[Piece], Refusal | None]:
        series = self._of(key)
        before = series.order.n_dropped
        found = series.label(batch)
        self._note_dropped(key, series.order, before)
        return found

    def _note_dropped(self, key: str, order: Order, before: int) -> None:
        self.n_dropped += order.n_dropped - before
        if order.is_stuck and not self.stuck:
            self.stuck = order.why_stuck(key)
        self.was_ahead = self.was_ahead or order.was_ahead

    def _by_key(self, batch: Batch, keys: Keys) -> tuple[list[Piece], Refusal | None]:
        found: list[Piece] = []
        refusal: Refusal | None = None
        order, groups = keys.groups()
        by_key = batch.take(order)
        for key, first, end in groups:
            pieces, refused = self._label(key, by_key.part(first, end))
            rows = order[first:end]
            found += [Piece(labelled, rows[at]) for labelled, at in pieces]
            if refused is not None and (refusal is None or rows[refused.row] < refusal.row):
                refusal = Refusal(int(rows[refused.row]), refused.error)
        if refusal is not None:
            found = [
                Piece(labelled.part(0, n), at[:n])
                for labelled, at in found
                if (n := int(np.searchsorted(at, refusal.row)))
            ]
        return found, refusal

    def _together(self, batch: Batch, shared: SharedModel) -> Iterator[LabelledBatch]:
        """Rows of all keys, labelled in their order by the model that they share."""
        accepted, refusal = [np.empty(0, dtype=np.intp)], None
        is_reset = np.zeros(len(batch), dtype=bool)
        in_groups, groups = _keys_of(batch).groups()
        for key, first, end in groups:
            places = in_groups[first:end]
            order_of_key = self._of(key).order
            before = order_of_key.n_dropped
            rows, _, resets, refused = order_of_key.accept(batch.take(places))
            self._note_dropped(key, order_of_key, before)
            accepted.append(places[rows])
            is_reset[places[rows[resets]]] = True
            if refused is not None and (refusal is None or places[refused.row] < refusal.row):
                refusal = Refusal(int(places[refused.row]), refused.error)
        order = np.sort(np.concatenate(accepted))
        if refusal is not None:
            order = order[order < refusal.row]
        for answered in shared.label(batch.take(order), is_reset[order], self.__getitem__):
            yield self._shared_out(answered)
        if refusal is not None:
            raise refusal.error

    def _shared_out(self, answered: Answered) -> LabelledBatch:
        """Labelled rows, with what their series make of them."""
        batch, answers, is_reset = answered
        pieces = []
        order, groups = _keys_of(batch).groups()
        for key, first, end in groups:
            rows, series = order[first:end], self._of(key)
            for part in np.split(rows, np.flatnonzero(is_reset[rows])):
                if len(part):
                    if is_reset[part[0]]:
                        series.interrupt()
                    labelled = series.accept(batch.take(part), answers_at(answers, part))
                    pieces.append(Piece(labelled, part))
        return merged(batch, pieces)

    def finish(self) -> Iterator[LabelledBatch]:
        """Rows that wait for the model that all share, labelled by what there is."""
        if self.shared is not None:
            for answered in self.shared.finish(self.__getitem__):
                yield self._shared_out(answered)

    def __iter__(self) -> Iterator[str]:
        """The keys, in the order they came."""
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def in_memory(self) -> Iterator[Series]:
        """The series that are not parked, those used last first."""
        return reversed(self._here.values())

    @property
    def n_parked_now(self) -> int:
        """Keys whose series are parked."""
        return len(self._keys) - len(self._here)

    def items(self) -> Iterator[tuple[str, Series]]:
        """Every key and its series; of those parked a copy, which is not kept."""
        for key in self._keys:
            yield key, self._here[key] if key in self._here else self._fetched(key)

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Every key and the state of its series, which has been read back if it has changed.

        Raises
        ------
        OutputError
            If a state cannot be read back. It must not replace the one of the last checkpoint.
        """
        for key in self._keys:
            is_changed = key in self._changed
            yield key, self._read_back(key) if is_changed else self._state(key)
        self._changed.clear()
        self._new.clear()

    def changed(self, but: int = 0) -> Iterator[tuple[str, bytes]]:
        """The keys whose series have changed since the last checkpoint, and their states.

        A key that has been handed on has not changed, until it does again.

        Parameters
        ----------
        but
            So many keys are left out, those that have changed last.

        Raises
        ------
        OutputError
            If a state cannot be read back.
        """
        while len(self._changed) > but:
            key = next(iter(self._changed))
            state = self._read_back(key)
            del self._changed[key]
            yield key, state

    def new_keys(self) -> list[str]:
        """The keys that have come since this was asked before, in order."""
        new, self._new = self._new, []
        return new

    def _read_back(self, key: str) -> bytes:
        state = self._state(key)
        try:
            self._load(state)
        except UNREADABLE as error:
            raise OutputError(
                f"the model{of_key(key)} cannot be saved, because its state could not be read "
                f"back ({error}); the last checkpoint is kept"
            ) from error
        return state

    def shared_state(self) -> bytes | None:
        """The state of the model that all share, which has been read back; None if there is none.

        Raises
        ------
        OutputError
            If it cannot be read back.
        """
        if self.shared is None:
            return None
        state = self.shared.to_bytes()
        try:
            SharedModel.from_bytes(state)
        except UNREADABLE as error:
            raise OutputError(
                f"the model of all keys cannot be saved, because its state could not be read back "
                f"({error}); the last checkpoint is kept"
            ) from error
        return state

    def restore(self, states: Iterable[tuple[str, bytes]], shared: bytes | None = None) -> None:
        """Take over series from their states, and the model that they share.

        Raises
        ------
        InputError
            If a state cannot be read.
        """
        if self.shared is not None and shared is not None:
            with of_checkpoint(" of all keys", AFRESH):
                self.shared.be(SharedModel.from_bytes(shared))
        for key, state in states:
            self._keys[key] = None
            with of_checkpoint(of_key(key), AFRESH):
                self._here[key] = self._load(state)
            self._make_room()

    def close(self) -> None:
        """Give up what is parked."""
        if self._parked is not None:
            self._parked.close()

    def _make_room(self) -> None:
        if self._at_most is None or self._parked is None or len(self._here) <= self._at_most:
            return
        key, series = self._here.popitem(last=False)
        try:
            self._parked.execute("REPLACE INTO parked VALUES (?, ?)", (key, series.parked()))
        except sqlite3.Error as error:
            raise OutputError(
                f"--in-memory: the model of {key!r} cannot be parked on disk: {error}; make room "
                "in the folder for temporary files, which TMPDIR names"
            ) from None
        self.n_parked += 1

    def _state(self, key: str) -> bytes:
        series = self._here[key] if key in self._here else self._fetched(key)
        return series.to_bytes()

    def _fetched(self, key: str) -> Series:
        assert self._parked is not None
        found = self._parked.execute("SELECT state FROM parked WHERE key = ?", (key,)).fetchone()
        return self._load(found[0])


def _keys_of(batch: Batch) -> Keys:
    """The keys of rows; the empty one if they have none."""
    return Keys(np.zeros(len(batch), dtype=np.int32), [""]) if batch.keys is None else batch.keys


@contextmanager
def of_checkpoint(whose: str, way: str = "") -> Iterator[None]:
    """Explain that a model in a checkpoint cannot be read.

    Parameters
    ----------
    whose
        Of which key, as it follows ``the model``.
    way
        What to do, as it follows a semicolon.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        yield
    except OldStateError as error:
        raise InputError(f"the model{whose} in the checkpoint cannot be read: {error}") from error
    except UNREADABLE as error:
        raise InputError(
            f"the model{whose} in the checkpoint cannot be read: {error}; it is damaged, or of "
            f"another version than this one{way}"
        ) from error


def of_key(key: str) -> str:
    return f" of {key!r}" if key else ""


def _in_turn(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """The pieces of what comes out with the first rows of a batch, and so on; none is kept."""
    n_out = sum(len(piece.at) for piece in pieces)
    if n_out <= MOST_OUT:
        if pieces:
            yield pieces
        return
    at = np.sort(np.concatenate([piece.at for piece in pieces]))
    for end in [*at[MOST_OUT::MOST_OUT].tolist(), int(at[-1]) + 1]:
        some, later = [], []
        for labelled, its in pieces:
            n = int(np.searchsorted(its, end))
            if n:
                some.append(Piece(labelled.part(0, n), its[:n]))
            if n < len(its):
                later.append(Piece(labelled.part(n, len(its)), its[n:]))
        pieces[:] = later
        if some:
            yield some


def merged(batch: Batch, pieces: list[Piece]) -> LabelledBatch:
    """Labelled rows of several keys, in the order in which they have come out of a batch."""
    at = np.concatenate([piece.at for piece in pieces])
    order = np.argsort(at, kind="stable")
    columns = zip(*(piece.labelled.answers for piece in pieces), strict=True)
    answers = Assignments(*(np.concatenate(its)[order] for its in columns))
    changes = np.concatenate([piece.labelled.changes for piece in pieces])[order]
    its = [piece.labelled.batch for piece in pieces]
    # whether each row has come out by itself, rather than with a later one
    if np.array_equal(np.concatenate([part.lines for part in its]), batch.lines[at]):
        rows = batch if len(at) == len(batch) else batch.take(at[order])
    else:
        rows = Batch.joined(its).take(order)
    new_place = np.empty(len(order), dtype=np.intp)
    new_place[order] = np.arange(len(order))
    firsts = np.cumsum([0, *(len(part) for part in its)])

    def ended() -> list[Ended]:
        found = [
            one._replace(row=int(new_place[first + one.row]))
            for first, piece in zip(firsts.tolist(), pieces, strict=False)
            for one in piece.labelled.ended()
        ]
        return sorted(found, key=itemgetter(0))

    names = None
    if any(piece.labelled.names for piece in pieces):
        unordered: list[str] = []
        for piece in pieces:
            unordered += piece.labelled.names or [""] * len(piece.labelled)
        names = [unordered[i] for i in order.tolist()]
    return LabelledBatch(rows, answers, changes, ended, names)
