"""Write live rows to numbered Parquet files, in batches for an engine, and learn nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from online_gmm.data.counted import counted
from replay.cli.terminal import err, out, second_signal_said
from replay.engine.batch import Batch
from replay.engine.protocols import LiveSource, Source
from replay.engine.rows import InputError
from replay.engine.status import Status, told_on
from replay.engine.stopping import signals_noted
from replay.sinks.landing_folder import Folder, Landing
from replay.sinks.refusals import Refusals
from replay.views.tables import left_out

MOST_ON_THE_WAY = 65_535
"""Messages that MQTT can number."""
AT_ONCE = 0.05
"""Seconds after an acknowledgement in which a sender that has waited for it sends the next row."""
DOUBT = 0.4
"""Seconds for which a silent sender is taken to have nothing to send, once it had nothing."""


@dataclass
class Lander:
    """Rows of a source, put into a folder in the order in which they come.

    A batch is closed when it has ``rows`` rows, when its first row has waited for ``seconds``
    seconds, when whoever sends the rows waits for an acknowledgement, and at the end. It is
    acknowledged when it is on disk: what is killed in between lands again, so a row lands once or
    more often, never not at all.

    A sender that has fallen silent waits for an acknowledgement, or has nothing to send. Which it
    was is seen after the acknowledgement; the more often it was the second, the longer it is taken
    to be that again, so that rows that come in bursts do not make a file each.

    Attributes
    ----------
    n_rows, n_files
        Rows and files on disk.
    stopped_by
        The signal that ended it; None if the source did.
    """

    source: Source
    folder: Folder
    refusals: Refusals
    rows: int
    seconds: float
    n_rows: int = 0
    n_files: int = 0
    stopped_by: int | None = None
    _waiting: Landing = field(init=False)
    _begun: float = math.inf
    _answered: float | None = None
    _doubt: float = 0.0
    _n_waited: int = 0
    _problem: InputError | None = None

    def __post_init__(self) -> None:
        self._waiting = Landing(self.source.values)

    def run(self, watch: Callable[[Iterable[Batch]], Iterable[Batch]] = iter) -> None:
        """Go on to the end of the source, or to a signal to stop, heeded between two batches.

        Raises
        ------
        OutputError
            If rows cannot be written. They are not acknowledged.
        InputError
            If the source can go no further; what came of it before is on disk.
        """
        with signals_noted(self):
            is_stopping = False
            for batch in watch(self._batches()):
                self._take(batch)
                if self._is_due(is_silent := not len(batch)):
                    self._put()
                    self._answered = time.monotonic() if is_silent else None
                if self.stopped_by is not None and not is_stopping:
                    self.source.stop()
                    is_stopping = True
            self._put()
        if self._problem is not None:
            raise self._problem

    def _batches(self) -> Iterator[Batch]:
        """Batches that there is room for, up to where the source can go no further."""
        try:
            while (batch := self.source.next_batch(self.rows - len(self._waiting))) is not None:
                yield batch
        except InputError as error:
            self._problem = error

    def _take(self, batch: Batch) -> None:
        if not len(batch):
            return
        if not len(self._waiting):
            self._begun = time.monotonic()
            if self._answered is not None:
                self._learn(self._begun - self._answered < AT_ONCE)
                self._answered = None
        self._waiting.add(batch)

    def _learn(self, waited: bool) -> None:
        """Why the sender was silent: it waited for an acknowledgement, or had nothing to send."""
        self._n_waited = self._n_waited + 1 if waited else 0
        if not waited:
            self._doubt = min(max(2.0 * self._doubt, DOUBT), self.seconds)
        elif self._n_waited == 1:
            # by chance, if rows come every second or so: look again after another time
            self._doubt *= 0.7
        else:
            self._doubt = 0.0

    def _is_due(self, is_silent: bool) -> bool:
        if len(self._waiting) >= self.rows:
            return True
        age = time.monotonic() - self._begun
        if age >= self.seconds:
            return True
        in_doubt = is_silent and len(self._waiting) and age < self._doubt
        return self.source.wants_acknowledgement and not in_doubt

    def _put(self) -> None:
        """Put the batch on disk, then let the source know."""
        if n := len(self._waiting):
            self.folder.put(self._waiting.take())
            self.n_rows += n
            self.n_files += 1
            self._begun = math.inf
        # what is refused is acknowledged as well, and must be on disk as well
        self.refusals.position()
        self.source.acknowledge()


def at_most_for(rows: int) -> int:
    """Messages to be sent without an acknowledgement: as a batch is written the next one comes."""
    return min(2 * rows, MOST_ON_THE_WAY)


def land_source(
    source: LiveSource, path: Path, rows: int, seconds: float, refusals: Refusals
) -> None:
    """Put the rows of a source into a folder, and print how many there were."""
    with ExitStack() as open_now:
        open_now.callback(source.close)
        folder = Folder(path)
        open_now.callback(folder.close)
        refusals.open(source.files)
        open_now.callback(refusals.close)
        refusals.go_on()
        landing = Lander(source, folder, refusals, rows, seconds)
        with second_signal_said(landing, source.left):
            landing.run(told_on(err(), Status(source, refusals)))
        refusals.finish()
    console = out()
    console.print(source.name, style="bold", soft_wrap=True)
    console.print(
        f"{counted(landing.n_rows, 'rows')} in {counted(landing.n_files, 'files')}: {path}"
        if landing.n_rows
        else "no row has come",
        soft_wrap=True,
    )
    for line in (*source.said, *left_out({}, refusals)):
        console.print(line, soft_wrap=True)
    if not landing.n_rows and refusals.first is not None:
        raise InputError(f"all rows were refused, the first one for this: {refusals.first}")
