"""The one loop of replay and live: from a batch that comes in to a labelled one that goes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from replay.engine.batch import Batch, LabelledBatch, of_segment
from replay.engine.checkpoint import Checkpoints, Header
from replay.engine.fleet import Fleet
from replay.engine.protocols import Herald, NoRefusals, RefusalLog, Sink, Source
from replay.engine.rows import CutOffError, InputError
from replay.engine.series import Series
from replay.engine.stopping import signals_noted

MOST_ROWS = 16_384
"""Rows of a batch at most."""
WORK = 2**18
"""Rows of a batch, times the square of the number of their values.

Of many keys it is the number itself: most of what a row of few takes is not its values'.
"""
OF_EACH_KEY, MOST_KEYED = 500, 262_144
"""Rows of a batch for each key, and at most, where there are many keys."""
LEAST_ROWS = 256
"""Rows of a batch at most, however many values they have."""
MOST_LIVE = 1024
"""Rows of a batch at most where others wait for the labels."""
CALM = 256
"""With fewer rows in a batch there is time for other things."""
FLUSH_EVERY = 0.1
"""Seconds that a labelled row waits at most for others to be written with."""
FEW_CHANGED = 32
"""Series whose states are left to the checkpoint, those that have changed last."""
SPELL = 0.002
"""Seconds in which states are written ahead of a checkpoint, between two batches."""
SPARING = 3.0
"""Times as long as a checkpoint took, until one is made only because there is time."""


class _RowError(InputError):
    """A row that its series refuses."""


@dataclass
class Saving:
    """When and where checkpoints are made.

    Parameters
    ----------
    checkpoints
        Where.
    options
        The options of the replay.
    rows, seconds
        Between two checkpoints, whichever comes first.
    """

    checkpoints: Checkpoints
    options: dict[str, Any]
    rows: int = 100_000
    seconds: float = 30.0


@dataclass
class Loop:
    """Batches of a source, labelled and learnt one after the other.

    Parameters
    ----------
    source
        Where rows come from.
    fleet
        A series for each key.
    sinks
        Where labelled rows and segments go, by name. One that the checkpoint does not know begins
        where the loop goes on.
    saving
        How checkpoints are made; None for none.
    refusals
        What was refused of the source.
    ended
        Called with each key and its series when the source has ended.
    flushing
        Whether others wait for what is written, so that it must not be held back.
    heralds
        Sinks that are notified when a checkpoint is on disk.

    Attributes
    ----------
    n_rows
        Rows taken.
    stopped_by
        The signal that ended the loop; None if the source did.
    cut_off
        What was wrong with the end of the source, if it ended where it should not.
    """

    source: Source
    fleet: Fleet
    sinks: Mapping[str, Sink]
    saving: Saving | None = None
    refusals: RefusalLog = field(default_factory=NoRefusals)
    ended: Callable[[str, Series], object] = lambda key, series: None
    flushing: bool = False
    heralds: Sequence[Herald] = ()
    n_rows: int = 0
    stopped_by: int | None = None
    cut_off: CutOffError | None = None
    _saved: tuple[int, float] = field(default=(0, 0.0))
    _flushed: float = 0.0
    _cost: float = 0.0

    def begin(self) -> None:
        """Start with nothing written."""
        self.refusals.begin()
        for sink in self.sinks.values():
            sink.begin()

    def run(self, watch: Callable[[Iterable[Batch]], Iterable[Batch]] = iter) -> None:
        """Go through the source, from where it stands to its end or a signal to stop.

        A signal is heeded between two batches. A file is broken off: a checkpoint is made if there
        are any. A live source hands on what has come already, and ends; with checkpoints, rows that
        wait go on waiting. At the end of the source, and where it is cut off, rows that wait are
        labelled by what there is.
        """
        self._saved = self.n_rows, time.monotonic()
        self.fleet.is_saved = self.saving is not None
        with signals_noted(self):
            try:
                is_stopping = False
                batches = iter(lambda: self.source.next_batch(self._at_most), None)
                for batch in watch(batches):
                    if len(batch):
                        self._take(batch)
                    self._look_up(len(batch))
                    if self.stopped_by is not None and not is_stopping:
                        if not self.flushing:
                            self._break_off()
                            return
                        self.source.stop()
                        is_stopping = True
            except _RowError:
                raise
            except CutOffError as error:
                self.cut_off = error
            except InputError:
                # the source can go no further, but what came of it is good; after an OutputError
                # nobody knows what is on disk, and the last checkpoint stands
                self.save()
                raise
        if is_stopping and self.saving is not None:
            self._break_off()
        else:
            self._finish()

    def run_labelled(self, batches: Iterable[LabelledBatch], series: Series) -> None:
        """Hand on the rows of a series that are labelled already, to the end."""
        for labelled in batches:
            self.n_rows += len(labelled)
            self._write(labelled)
        if series.last_segment is not None:
            name = series.model.names.get(series.last_segment.label, "")
            self._write(of_segment(series.last_segment, "", name))
        self.ended("", series)
        self._finish_sinks()

    def _break_off(self) -> None:
        self.save()
        if self.saving is not None:
            self._finish_sinks()

    def _finish_sinks(self) -> None:
        for sink in self.sinks.values():
            sink.finish()
        self.refusals.finish()

    @property
    def _at_most(self) -> int:
        """Rows of a batch: a signal to stop waits for its end, and so does a checkpoint."""
        # rows of many values take longer, and so do those of many keys
        n_values = len(self.source.values)
        at_most = max(min(MOST_ROWS, WORK // n_values**2), LEAST_ROWS)
        if self.source.key is not None:
            # a series takes several rows in hardly more time than one
            some_of_each = min(OF_EACH_KEY * len(self.fleet), MOST_KEYED, WORK // n_values)
            at_most = max(min(at_most, MOST_ROWS // 2), some_of_each)
        if self.flushing:
            at_most = min(at_most, MOST_LIVE)
        if self.saving is not None:
            at_most = min(at_most, self.saving.rows)
        return at_most

    def _take(self, batch: Batch) -> None:
        try:
            for labelled in self.fleet.label(batch):
                self._write(labelled)
        except InputError as error:
            raise _RowError(f"{self.source.name}, {error}") from None
        self.n_rows += len(batch)

    def _write(self, labelled: LabelledBatch) -> None:
        for sink in self.sinks.values():
            sink.write(labelled)

    def _look_up(self, n_came: int) -> None:
        """Do what is due by the clock, after a batch of so many rows."""
        # of a live source: all that has come is labelled
        idle = n_came < CALM
        now = time.monotonic()
        if self.flushing and (idle or now - self._flushed >= FLUSH_EVERY):
            self._flushed = now
            self._flush()
        if self.saving is not None:
            rows, then = self._saved
            due = now - then >= self.saving.seconds or self.n_rows - rows >= self.saving.rows
            # when there is time, but not all the time
            may_wait = idle and now - then < SPARING * self._cost
            at_once = self.source.wants_acknowledgement or any(
                herald.wants_saving for herald in self.heralds
            )
            if (due and self.n_rows > rows) or (at_once and not may_wait):
                self.save()
            elif idle and self.saving.checkpoints.can_add:
                self._write_ahead(now + SPELL)
        elif self.source.wants_acknowledgement:
            self._flush()
            self.source.acknowledge()

    def _write_ahead(self, until: float) -> None:
        """Write states that have not changed for a while, so that the checkpoint need not."""
        assert self.saving is not None
        for key, state in self.fleet.changed(but=FEW_CHANGED):
            self.saving.checkpoints.put(key, state)
            if time.monotonic() >= until:
                return

    def _flush(self) -> None:
        for sink in self.sinks.values():
            sink.flush()
        self.refusals.flush()
        if self.saving is None:
            self._told_saved()

    def _told_saved(self) -> None:
        for herald in self.heralds:
            herald.saved()

    def save(self) -> None:
        """Make a checkpoint, and let the source know that its rows are safe."""
        if self.saving is not None:
            begun = time.monotonic()
            # a sink must be on disk before a checkpoint says so
            sinks = {name: sink.position() for name, sink in self.sinks.items()}
            header = Header(
                self.saving.options,
                self.n_rows,
                self.source.position,
                sinks,
                self.refusals.position(),
                self.fleet.shared_state(),
            )
            checkpoints = self.saving.checkpoints
            if checkpoints.can_add:
                checkpoints.add(header, self.fleet.changed(), self.fleet.new_keys())
            else:
                checkpoints.save(header, self.fleet.states())
            self._saved = self.n_rows, time.monotonic()
            self._cost = self._saved[1] - begun
            self._told_saved()
        else:
            self._flush()
        self.source.acknowledge()

    def resume(self) -> None:
        """Go back to the last checkpoint.

        Raises
        ------
        InputError
            If the replay had other options then, or the source is another one.
        """
        assert self.saving is not None
        header, series = self.saving.checkpoints.load()
        for name, value in self.saving.options.items():
            # one that the checkpoint does not know was not given
            if (then := header.options.get(name)) != value and (then is not None or value):
                now, before = ("not given" if its is None else repr(its) for its in (value, then))
                raise InputError(
                    f"--{name.replace('_', '-')} is {now} and was {before} when the checkpoint was "
                    "made; say the same, or start afresh without --resume"
                )
        self.fleet.restore(series, header.shared)
        self.n_rows = header.rows
        self.source.go_to(header.source)
        self.refusals.go_to(header.refusals)
        for name, sink in self.sinks.items():
            if name in header.sinks:
                sink.go_to(header.sinks[name])
            else:
                sink.begin()

    @property
    def _why_none(self) -> str:
        """Say what was refused, if no row was labelled."""
        return f"; {why}" if not self.n_rows and (why := self.refusals.summary) else ""

    def _finish(self) -> None:
        """Label the rows that wait, and end the last segments.

        A checkpoint is made before and none after: one that goes on from it does this again, or
        goes on with rows that have come since.
        """
        self.save()
        learnt = 0
        for labelled in self.fleet.finish():
            self._write(labelled)
        for key, series in self.fleet.items():
            for labelled in series.finish(key):
                self._write(labelled)
            self.ended(key, series)
            learnt += series.model.n_points
        if not learnt and not self.flushing:
            raise InputError(
                f"{self.source.name}, column {', '.join(map(repr, self.source.values))}: no row of "
                f"{self.n_rows:,} has a value; at least one is needed{self._why_none}"
            )
        self._finish_sinks()
