"""How far a replay is, on stderr, where somebody is watching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from replay.engine.blocks import Item, rows_in
from replay.engine.rows import Row, Source

T = TypeVar("T", bound=Item)
EVERY = 1000
"""Rows between two looks at the bar."""


class Progress(Protocol):
    """Passes what comes of a source on, and shows how far it is with so much."""

    def __call__(self, source: Source, what: str, items: Iterable[T]) -> Iterable[T]: ...


def silent(source: Source, what: str, items: Iterable[T]) -> Iterable[T]:
    """Show nothing."""
    return items


def bar_on(console: Console) -> Progress:
    """A progress bar, or nothing if the console is no terminal."""

    def watched(source: Source, what: str, items: Iterable[T]) -> Iterator[T]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=console, transient=True) as bar:
            # by bytes: the number of rows is not known beforehand
            task = bar.add_task(what, total=source.size, rows=0, rate=0.0)
            n, shown = 0, -EVERY
            for item in items:
                if item is None or n - shown >= EVERY:
                    rate = n / max(bar.tasks[task].elapsed or 0.0, 1e-9)
                    bar.update(task, completed=source.done, rows=n, rate=rate)
                    shown = n
                n += rows_in(item)
                yield item

    return watched if console.is_terminal else silent


def rows_of(progress: Progress, source: Source, what: str) -> Iterator[Row]:
    """The rows of a source that has always one to hand on."""
    return (row for row in progress(source, what, source) if row is not None)
