"""How far a replay is, on stderr, where somebody is watching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from replay.source import Row, Source

EVERY = 1000
"""Rows between two looks at the bar."""

Progress = Callable[[Source, str], Iterable[Row]]
"""Passes the rows of a source on, and shows how far it is with so much."""


def silent(source: Source, what: str) -> Iterable[Row]:
    """Show nothing."""
    return source


def bar_on(console: Console) -> Progress:
    """A progress bar, or nothing if the console is no terminal."""

    def watched(source: Source, what: str) -> Iterator[Row]:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Bar(*columns, console=console, transient=True) as bar:
            # by bytes: the number of rows is not known beforehand
            task = bar.add_task(what, total=source.size)
            for i, row in enumerate(source):
                if i % EVERY == 0:
                    bar.update(task, completed=source.position)
                yield row

    return watched if console.is_terminal else silent
