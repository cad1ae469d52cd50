"""The two series that are at hand without a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FIRST_SERIES = Path(__file__).parents[2] / "examples" / "first_series.csv"


class Bundled(NamedTuple):
    """A series that comes along, and its columns."""

    name: str
    path: Path
    values: tuple[str, ...]
    time: str | None


def bundled() -> Iterator[Bundled]:
    """The 50-point series, where the checkout has it, and river's WaterFlow."""
    from river.datasets import WaterFlow

    if FIRST_SERIES.exists():
        yield Bundled("first_series", FIRST_SERIES, ("value",), None)
    path = Path(WaterFlow().path)  # type: ignore[no-untyped-call]
    yield Bundled("WaterFlow", path, ("Water flow [l/s]",), "Time")
