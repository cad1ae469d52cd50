"""What all commands say, and where."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from online_gmm.data.counted import counted, in_part
from replay.engine.printable import printable
from replay.engine.rows import InputError, ReplayError
from replay.engine.settings import EXPONENT

if TYPE_CHECKING:
    from replay.engine.protocols import Source
    from replay.engine.settings import Settings
    from replay.engine.stopping import Stoppable

OUT = Path("out")
"""Where pictures and labels go by default."""


class _Terminal(Console):
    """A console that escapes control characters in every string: lines, cells, titles.

    What is a `Text` already is taken as it is.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


@contextmanager
def explained() -> Iterator[None]:
    """End with the message and status 2 if the input is bad or an output cannot be written."""
    try:
        yield
    except BrokenPipeError:
        # whoever read the output has gone, as `head` does: the status that a shell gives to that
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except ReplayError as error:
        err().print(f"error: {error}", style="red", soft_wrap=True)
        raise typer.Exit(2) from None


@contextmanager
def second_signal_said(on: Stoppable, left: Callable[[], int] | None) -> Iterator[None]:
    """End at once after a second signal, and say what was left.

    Parameters
    ----------
    on
        What runs.
    left
        Counts the messages that have come, are not used, and are not sent again.
    """
    try:
        yield
    except KeyboardInterrupt:
        if on.stopped_by is None:
            raise
        n = 0 if left is None else left()
        lost = f"; {counted(n, 'lines were lost')} that had come" if n else ""
        text = f"ended at once by a second signal after {counted(on.n_rows, 'rows')}{lost}"
        err().print(text, soft_wrap=True)
        raise typer.Exit(128 + on.stopped_by) from None


def out() -> Console:
    return _console(stderr=False)


def err() -> Console:
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    # column names such as "flow [l/s]" are not markup
    console = _Terminal(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console


def heading(
    console: Console,
    source: Source,
    settings: Settings,
    found: int | None,
    streamed: bool = True,
    because: str = "",
) -> None:
    """The options given, why it is this learner, and how many regimes were found.

    ``found``: None if each key has regimes of its own.
    """
    console.print()
    console.print(source.name, style="bold", soft_wrap=True)
    if because:
        console.print(because, soft_wrap=True)
    if settings.finds:
        window = ""
        if settings.window is not None:
            its = settings.window
            window = f" through windows of {counted(its, 'rows') if isinstance(its, int) else its}"
        regimes = f"regimes of each {source.key}" if found is None else counted(found, "regimes")
        console.print(
            f"columns {in_part(source.values)}; the segmenter found {regimes}{window}",
            soft_wrap=True,
        )
        for line in source.said:
            console.print(line, soft_wrap=True)
        return
    steps = ""
    if streamed and settings.half_life is None:
        steps = f", step exponent {settings.exponent or EXPONENT:g}"
    elif streamed:
        steps = f", half-life {settings.half_life:g} rows"
    persistence = ""
    if settings.persist:
        times = f", times of {source.time}" if settings.irregular and source.timed else ""
        persistence = f" that persist (stickiness {settings.stickiness:g} rows{times})"
    regimes = str(settings.regimes)
    if found is not None and settings.regimes == "auto":
        regimes = f"{found} (auto)"
    console.print(
        f"columns {in_part(source.values)}; {regimes} regimes{persistence}, "
        f"{settings.covariance_type} covariance, warm-up of up to {settings.warm_up} rows, "
        f"seed {settings.seed}, prior {settings.prior_strength:g}{steps}"
        f"{', regimes recycled' if settings.recycle else ''}",
        soft_wrap=True,
    )
    for line in source.said:
        console.print(line, soft_wrap=True)


def parent(path: Path) -> Path:
    """The path, its folder made if it is the default one."""
    if path.parent == OUT:
        try:
            OUT.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {OUT} cannot be made: {error.strerror}") from None
    return path
