"""``replay name``: give a regime in a checkpoint a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from online_gmm.data.counted import counted
from replay.cli.terminal import out
from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import of_checkpoint, of_key
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.engine.shared import SharedModel

if TYPE_CHECKING:
    from replay.engine.settings import Model


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
        if header.shared is not None:
            if key is not None:
                raise InputError("the regimes are those of all keys; leave out --key")
            with of_checkpoint(" of all keys"):
                shared = SharedModel.from_bytes(header.shared)
            before = _renamed(shared.model, label, name)
            checkpoints.save(replace(header, shared=shared.to_bytes()), states)
            _say(label, name, None, before)
            return
        recorded = header.options
        keys = [its for its, _ in states]
        if key is None and len(keys) != 1:
            raise InputError(
                f"{folder} has models of {counted(len(keys), 'keys')}; say whose regime it is "
                "with --key"
            )
        if key is None:
            (key,) = keys
        elif key not in keys:
            raise InputError(f"{folder} has no model of {key!r}; replay models {folder} lists them")
        _, states = checkpoints.load()
        before = None

        def renamed() -> Iterator[tuple[str, bytes]]:
            nonlocal before
            for its, state in states:
                if its != key:
                    yield its, state
                    continue
                with of_checkpoint(of_key(its)):
                    series = Series.from_bytes(state, recorded["value"], SeriesOptions.of(recorded))
                before = _renamed(series.model, label, name)
                yield its, series.to_bytes()

        checkpoints.save(header, renamed())
    _say(label, name, key, before)


def _renamed(model: Model, label: int, name: str | None) -> str | None:
    """The name that a regime had; it has another one now."""
    before = model.names.get(label)
    try:
        model.rename(label, name)
    except ValueError as error:
        raise InputError(str(error)) from None
    return before


def _say(label: int, name: str | None, key: str | None, before: str | None) -> None:
    of = f" of {key}" if key else ""
    was = f"; it was {before}" if before not in (None, name) else ""
    now = "has no name" if name is None else f"is {name}"
    out().print(Text(f"regime {label}{of} {now}{was}"), soft_wrap=True)
