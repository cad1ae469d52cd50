"""How far a replay is, on stderr, where somebody is watching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from replay.engine.batch import Batch
from replay.engine.protocols import Source, batches_of

MOST_ROWS = 4096
"""Rows of a batch at most."""
EVERY = 1000
"""Rows between two looks at the bar."""


class Progress(Protocol):
    """Passes the batches of a source on, and shows how much of it is done."""

    def __call__(self, source: Source, what: str, batches: Iterable[Batch]) -> Iterable[Batch]: ...


def silent(source: Source, what: str, batches: Iterable[Batch]) -> Iterable[Batch]:
    """Show nothing."""
    return batches


def bar_on(console: Console) -> Progress:
    """A progress bar, or nothing if the console is no terminal."""

    def bar(source: Source, what: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=console, transient=True) as shown_bar:
            # by bytes: the number of rows is not known beforehand
            task = shown_bar.add_task(what, total=source.size, rows=0, rate=0.0)
            n, shown = 0, -EVERY
            for batch in batches:
                if not len(batch) or n - shown >= EVERY:
                    rate = n / max(shown_bar.tasks[task].elapsed or 0.0, 1e-9)
                    shown_bar.update(task, completed=source.done, rows=n, rate=rate)
                    shown = n
                n += len(batch)
                yield batch

    return bar if console.is_terminal else silent


def watched(progress: Progress, source: Source, what: str) -> Iterable[Batch]:
    """All batches of a source, with a progress bar."""
    return progress(source, what, batches_of(source, MOST_ROWS))
