"""``replay name``: give a regime in a checkpoint a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from replay.cli.terminal import out
from replay.engine.checkpoint import Checkpoints
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError
from replay.engine.series import Series


def name_regime(folder: Path, label: int, name: str | None, key: str | None) -> None:
    """Name a regime of one key, or of the only one there is; None takes its name away.

    Raises
    ------
    InputError
        If there is no such key or regime, or several keys and none is given.
    """
    checkpoints = Checkpoints(folder)
    if not checkpoints.exists:
        raise InputError(f"there is no checkpoint in {folder}")
    with checkpoints.locked():
        header, states = checkpoints.load()
        recorded = header.options
        keys = [its for its, _ in states]
        if key is None and len(keys) != 1:
            raise InputError(
                f"{folder} has models of {len(keys):,} keys; say whose regime it is with --key"
            )
        if key is None:
            (key,) = keys
        elif key not in keys:
            raise InputError(f"{folder} has no model of {key!r}; replay models {folder} lists them")
        _, states = checkpoints.load()
        before: str | None = None

        def renamed() -> Iterator[tuple[str, bytes]]:
            nonlocal before
            for its, state in states:
                if its != key:
                    yield its, state
                    continue
                series = Series.from_bytes(state, recorded["value"], SeriesOptions.of(recorded))
                before = series.model.names.get(label)
                try:
                    series.model.rename(label, name)
                except ValueError as error:
                    raise InputError(str(error)) from None
                yield its, series.to_bytes()

        checkpoints.save(header, renamed())
    of = f" of {key}" if key else ""
    was = f"; it was {before}" if before not in (None, name) else ""
    now = "has no name" if name is None else f"is {name}"
    out().print(Text(f"regime {label}{of} {now}{was}"), soft_wrap=True)
