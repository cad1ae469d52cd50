"""How far a replay is, on stderr, where somebody is watching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from replay.rows import Row, Source

EVERY = 1000
"""Rows between two looks at the bar."""

Progress = Callable[[Source, str], Iterable[Row | None]]
"""Passes the rows of a source on, and shows how far it is with so much."""


def silent(source: Source, what: str) -> Iterable[Row | None]:
    """Show nothing."""
    return source


def bar_on(console: Console) -> Progress:
    """A progress bar, or nothing if the console is no terminal."""

    def watched(source: Source, what: str) -> Iterator[Row | None]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=console, transient=True) as bar:
            # by bytes: the number of rows is not known beforehand
            task = bar.add_task(what, total=source.size, rows=0, rate=0.0)
            n = 0
            for row in source:
                if row is None or n % EVERY == 0:
                    rate = n / max(bar.tasks[task].elapsed or 0.0, 1e-9)
                    bar.update(task, completed=source.done, rows=n, rate=rate)
                n += row is not None
                yield row

    return watched if console.is_terminal else silent


def rows_of(progress: Progress, source: Source, what: str) -> Iterator[Row]:
    """The rows of a source that has always one to hand on."""
    return (row for row in progress(source, what) if row is not None)
