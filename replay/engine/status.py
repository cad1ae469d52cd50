"""How a live stream is going, on standard error: once a second on a terminal, else every minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from online_gmm.data.counted import counted
from replay.engine.batch import Batch
from replay.engine.durations import duration
from replay.engine.fleet import Fleet
from replay.engine.protocols import LiveSource, RefusalLog

ON_TERMINAL, IN_LOG = 1.0, 60.0
"""Seconds between two lines."""
MOST_COUNTED = 1000
"""Keys whose regimes are counted for a line, those that came last."""
EPOCH = 1e9
"""Seconds since 1970 from which a time is taken to be one of the calendar."""


class Status:
    """Counts what comes from a live source, and sums it up in a line.

    Parameters
    ----------
    source
        Where messages come from.
    refusals
        What is refused of it, and the hints about it.
    fleet
        The series of all keys; None if nothing is learnt.
    clock, calendar
        Give the seconds that pass, and the seconds since 1970.
    """

    def __init__(
        self,
        source: LiveSource,
        refusals: RefusalLog,
        fleet: Fleet | None = None,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._n_came = 0
        self.lag: float | None = None
        self._source = source
        self._refusals = refusals
        self._fleet = fleet
        self._clock = clock
        self._calendar = calendar
        self._first = source.n_messages
        self._last = clock(), 0
        self._n_hints = 0
        self._parking_is_told = False
        self._told: set[str] = set()

    @property
    def n_messages(self) -> int:
        """Messages that have come since the start of this run."""
        return self._source.n_messages - self._first

    @property
    def n_keys(self) -> int:
        return 0 if self._fleet is None else len(self._fleet)

    @property
    def n_parked(self) -> int:
        """How often a model was parked on disk."""
        return 0 if self._fleet is None else self._fleet.n_parked

    @property
    def n_dropped(self) -> int:
        """Rows that came late or twice."""
        return 0 if self._fleet is None else self._fleet.n_dropped

    @property
    def n_used(self) -> int:
        """Rows that have come, without those."""
        return self._n_came - self.n_dropped

    def refused(self) -> dict[str, int]:
        """How many were refused, by reason."""
        return dict(self._refusals.counts)

    def take(self, batch: Batch) -> None:
        """Note the rows that have come."""
        self._n_came += len(batch)
        if len(batch) and batch.seconds is not None and batch.seconds[-1] > EPOCH:
            self.lag = self._calendar() - float(batch.seconds[-1])

    def line(self) -> str:
        """Return the status as a line; the rate is that since the line before."""
        now, (then, before) = self._clock(), self._last
        n = self.n_messages
        self._last = now, n
        rate = (n - before) / max(now - then, 1e-9)
        refused = self.refused()
        parts = [
            f"{counted(n, 'messages')} ({rate:,.0f}/s)",
            f"{counted(self.n_used, 'rows')} used",
        ]
        if self.n_dropped:
            parts.append(f"{self.n_dropped:,} dropped as they came late or twice")
        if refused:
            reasons = ", ".join(counted(count, reason) for reason, count in refused.items())
            parts.append(f"{sum(refused.values()):,} refused ({reasons})")
        if self._fleet is not None and len(self._fleet):
            parts += [self._keys(self._fleet), self._regimes(self._fleet)]
        if self.lag is not None:
            parts.append(f"lag {duration(self.lag)}")
        return ", ".join(part for part in parts if part)

    def _keys(self, fleet: Fleet) -> str:
        if self._source.key is None:
            return ""
        parked = f" ({fleet.n_parked_now:,} parked)" if fleet.n_parked_now else ""
        return f"{counted(len(fleet), 'keys')}{parked}"

    def _regimes(self, fleet: Fleet) -> str:
        found = [
            len(series.model.labels) if series.model.is_started else 0
            for series in islice(fleet.in_memory(), MOST_COUNTED)
        ]
        least, most = min(found, default=0), max(found, default=0)
        if least == most:
            return counted(most, "regimes")
        return f"{least} to {most} regimes"

    def hints(self) -> list[str]:
        """What has been noticed since this was asked before."""
        new = self._refusals.hints[self._n_hints :]
        self._n_hints += len(new)
        if self.n_parked and not self._parking_is_told:
            self._parking_is_told = True
            new.append(
                "more keys have come than --max-keys: models that have not been used for longest "
                "are kept on disk, which is slower"
            )
        if self._fleet is not None:
            of_times = (self._fleet.stuck, self._fleet.was_ahead)
            new += [line for line in of_times if line and line not in self._told]
            self._told.update(of_times)
        return new


def told_on(console: Console, status: Status) -> Callable[[Iterable[Batch]], Iterable[Batch]]:
    """Pass batches on, and tell the status on a console as they pass, and at the end."""

    def told(batches: Iterable[Batch]) -> Iterator[Batch]:
        if console.is_terminal:
            with Bar(
                TextColumn("{task.description}"),
                console=console,
                transient=True,
                refresh_per_second=2,
            ) as bar:
                task = bar.add_task("nothing has come yet")
                yield from passed(
                    batches, status, bar.console, ON_TERMINAL, lambda line: bar.update(
                        task, description=line
                    )
                )  # fmt: skip
        else:
            yield from passed(batches, status, console, IN_LOG, lambda line: _print(console, line))
        if status.n_messages:
            _print(console, status.line())

    return told


def passed(
    batches: Iterable[Batch],
    status: Status,
    console: Console,
    every: float,
    show: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Batch]:
    """Pass batches on; show the line so often, and hints at once."""
    due = clock() + every
    for batch in batches:
        status.take(batch)
        for hint in status.hints():
            _print(console, hint)
        if clock() >= due:
            due = clock() + every
            show(status.line())
        yield batch
    for hint in status.hints():
        _print(console, hint)


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)
