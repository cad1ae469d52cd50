"""The one loop of replay and live: from a row that comes in to a labelled one that goes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from online_gmm.segmentation.segments import Segment
from replay.engine.blocks import BLOCK, Block, Item, items_of
from replay.engine.checkpoint import Checkpoints, Standing
from replay.engine.fleet import Fleet
from replay.engine.rows import CutOffError, InputError, Row, Source
from replay.engine.series import LabelledRow, Series
from replay.engine.stopping import signals_noted
from replay.sinks.files import Sink
from replay.sinks.refusals import Refusals

EVERY = 256
"""Rows between two looks at the clock."""
WORK = 2**18
"""Rows of a block, times the square of the number of their values."""
LEAST_BLOCK = 256
"""Rows of a block at least, however many values they have."""
FLUSH_EVERY = 0.1
"""Seconds that a labelled row waits at most for others to be written with."""
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
    told
        What the replay was told.
    rows, seconds
        Between two checkpoints, whichever comes first.
    """

    checkpoints: Checkpoints
    told: dict[str, Any]
    rows: int = 100_000
    seconds: float = 30.0


@dataclass
class Loop:
    """Rows of a source, labelled and learnt one after the other.

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
    by_blocks
        Whether rows may come in blocks: series can take them.

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
    refusals: Refusals = field(default_factory=Refusals)
    ended: Callable[[str, Series], object] = lambda key, series: None
    flushing: bool = False
    by_blocks: bool = False
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

    def run(self, watch: Callable[[Iterable[Item]], Iterable[Item]] = iter) -> None:
        """Go through the source, from where it stands to its end or a signal to stop.

        A signal is heeded between two rows, or blocks. If checkpoints are made, one is made then,
        and rows that wait go on waiting; if not, a live source has come to its end, and others
        break off. At the end of the source, and where it is cut off, rows that wait are labelled by
        what there is.
        """
        self._saved = self.n_rows, time.monotonic()
        with signals_noted(self):
            try:
                for item in watch(self._items()):
                    if isinstance(item, Block):
                        self._take_block(item)
                    elif item is not None:
                        self._take(item)
                        if self.n_rows % EVERY and self.stopped_by is None:
                            continue
                    self._look_up(idle=item is None)
                    if self.stopped_by is not None:
                        if self.saving is None and self.flushing:
                            break
                        self._break_off()
                        return
            except _RowError:
                raise
            except CutOffError as error:
                self.cut_off = error
            except InputError:
                # the source can go no further, but what came of it is good; after an OutputError
                # nobody knows what is on disk, and the last checkpoint stands
                self.save()
                raise
        self._finish()

    def run_labelled(self, rows: Iterable[LabelledRow], series: Series) -> None:
        """Hand on the rows of a series that are labelled already, to the end."""
        for labelled_row in rows:
            self.n_rows += 1
            self._hand_on("", labelled_row)
        self._end("", series)
        self._finish_sinks()

    def _break_off(self) -> None:
        self.save()
        if self.saving is not None:
            self._finish_sinks()

    def _finish_sinks(self) -> None:
        for sink in self.sinks.values():
            sink.finish()
        self.refusals.finish()

    def _end(self, key: str, series: Series) -> None:
        if series.last_segment is not None:
            self._hand_on_segment(key, series.last_segment)
        self.ended(key, series)

    def _take(self, row: Row) -> None:
        try:
            for labelled_row in self.fleet[row.key].take(row):
                self._hand_on(row.key, labelled_row)
        except InputError as error:
            raise _RowError(f"{self.source.name}, {error}") from None
        self.n_rows += 1

    def _items(self) -> Iterable[Item]:
        if not self.by_blocks:
            return self.source
        # a signal to stop waits for a block to end: rows of many values take longer, and those of
        # many keys may have to be taken one by one
        at_most = max(min(BLOCK, WORK // len(self.source.values) ** 2), LEAST_BLOCK)
        if self.source.key is not None:
            at_most = min(at_most, BLOCK // 2)
        if self.saving is not None:
            # a checkpoint can be made after a block only
            at_most = min(at_most, self.saving.rows)
        return items_of(self.source, at_most)

    def _take_block(self, block: Block) -> None:
        done, ready = 0, self.fleet.takes_block(block)
        while done < len(block) and not ready:
            self._take(block.row(done))
            done += 1
            # one series may be by now; with many this is not worth to be asked at every row
            ready = block.keys is None and self.fleet.takes_block(block)
        if done < len(block):
            labelled = self.fleet.take_block(block.part(done, len(block)))
            for sink in self.sinks.values():
                sink.block(labelled)
            self.n_rows += len(labelled)

    def _hand_on(self, key: str, labelled_row: LabelledRow) -> None:
        if labelled_row.closed is not None:
            self._hand_on_segment(key, labelled_row.closed)
        for sink in self.sinks.values():
            sink.row(labelled_row)

    def _hand_on_segment(self, key: str, segment: Segment) -> None:
        for sink in self.sinks.values():
            sink.segment(key, segment)

    def _look_up(self, idle: bool) -> None:
        """Do what is due by the clock."""
        now = time.monotonic()
        if self.flushing and (idle or now - self._flushed >= FLUSH_EVERY):
            self._flushed = now
            self._flush()
        if self.saving is not None:
            rows, then = self._saved
            due = now - then >= self.saving.seconds or self.n_rows - rows >= self.saving.rows
            # when there is time, but not all the time
            may_wait = idle and now - then < SPARING * self._cost
            if (due and self.n_rows > rows) or (self.source.wants_acknowledgement and not may_wait):
                self.save()
        elif self.source.wants_acknowledgement:
            self._flush()
            self.source.acknowledge()

    def _flush(self) -> None:
        for sink in self.sinks.values():
            sink.flush()
        self.refusals.flush()

    def save(self) -> None:
        """Make a checkpoint, and let the source know that its rows are safe."""
        if self.saving is not None:
            begun = time.monotonic()
            # a sink must be on disk before a checkpoint says so
            sinks = {name: sink.position() for name, sink in self.sinks.items()}
            standing = Standing(
                self.saving.told,
                self.n_rows,
                self.source.position,
                sinks,
                self.refusals.position(),
            )
            self.saving.checkpoints.save(standing, self.fleet.states())
            self._saved = self.n_rows, time.monotonic()
            self._cost = self._saved[1] - begun
        else:
            self._flush()
        self.source.acknowledge()

    def resume(self) -> None:
        """Go back to the last checkpoint.

        Raises
        ------
        InputError
            If the replay was told something else then, or the source is another one.
        """
        assert self.saving is not None
        standing, series = self.saving.checkpoints.load()
        for name, value in self.saving.told.items():
            if (then := standing.told.get(name)) != value:
                raise InputError(
                    f"--{name.replace('_', '-')} is {value!r} and was {then!r} when the checkpoint "
                    "was made; say the same, or start afresh without --resume"
                )
        self.fleet.restore(series)
        self.n_rows = standing.rows
        self.source.go_to(standing.source)
        self.refusals.go_to(standing.refusals)
        for name, sink in self.sinks.items():
            if name in standing.sinks:
                sink.go_to(standing.sinks[name])
            else:
                sink.begin()

    @property
    def _why_none(self) -> str:
        """What was refused, if all was."""
        if self.n_rows or self.refusals.first is None:
            return ""
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.refusals.counts.items())
        return f"; refused: {reasons}, the first one for this: {self.refusals.first}"

    def _finish(self) -> None:
        """Label the rows that wait, and end the last segments.

        A checkpoint is made before and none after: one that goes on from it does this again, or
        goes on with rows that have come since.
        """
        self.save()
        learnt = 0
        for key, series in self.fleet.items():
            for labelled_row in series.finish():
                self._hand_on(key, labelled_row)
            self._end(key, series)
            learnt += series.model.n_points
        if not learnt and not self.flushing:
            raise InputError(
                f"{self.source.name}, column {', '.join(map(repr, self.source.values))}: no row of "
                f"{self.n_rows:,} has a value; at least one is needed{self._why_none}"
            )
        self._finish_sinks()
