"""The two series that are at hand without a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from replay.cli.terminal import err
from replay.engine.rows import InputError

if TYPE_CHECKING:
    from replay.engine.protocols import Source
    from replay.engine.settings import Settings

FIRST_SERIES = Path(__file__).parents[2] / "examples" / "first_series.csv"


class Bundled(NamedTuple):
    """A bundled series and its columns."""

    name: str
    path: Path
    values: tuple[str, ...]
    time: str | None


class Task(NamedTuple):
    """A source to replay or check, and the settings of its learner."""

    name: str
    source: Source
    settings: Settings


def bundled() -> Iterator[Bundled]:
    """The 50-point series, where the checkout has it, and river's WaterFlow."""
    from river.datasets import WaterFlow

    if FIRST_SERIES.exists():
        yield Bundled("first_series", FIRST_SERIES, ("value",), None)
    path = Path(WaterFlow().path)  # type: ignore[no-untyped-call]
    yield Bundled("WaterFlow", path, ("Water flow [l/s]",), "Time")


def bundled_tasks(settings: Settings, irregular: bool = False) -> Iterator[Task]:
    """The bundled series as sources. Those without times are regular in any case."""
    from replay.sources.opening import Files
    from replay.sources.read_options import ReadOptions

    if not FIRST_SERIES.exists():
        err().print(
            "The 50-point series comes with a checkout only; going on with WaterFlow.",
            soft_wrap=True,
        )
    for series in bundled():
        timed = irregular and series.time is not None
        reading = ReadOptions(series.values, series.time, timed=timed)
        yield Task(series.name, Files([str(series.path)], reading), settings)


def refuse_without_file(**options: object) -> None:
    """Refuse options that are for a file of the user, as there is none."""
    for name, given in options.items():
        if given:
            raise InputError(f"--{name} is for a file of yours; put FILE.csv before it")
