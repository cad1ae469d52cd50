"""The two series that are at hand without a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FIRST_SERIES = Path(__file__).parent.parent / "examples" / "first_series.csv"


class Bundled(NamedTuple):
    """A series that comes along, its columns, its own step exponent if any, and why."""

    name: str
    path: Path
    values: tuple[str, ...]
    time: str | None
    exponent: float | None = None
    why: str = ""


def bundled() -> Iterator[Bundled]:
    """The 50-point series, where the checkout has it, and river's WaterFlow."""
    from river.datasets import WaterFlow

    if FIRST_SERIES.exists():
        yield Bundled("first_series", FIRST_SERIES, ("value",), None)
    path = Path(WaterFlow().path)  # type: ignore[no-untyped-call]
    yield Bundled(
        "WaterFlow",
        path,
        ("Water flow [l/s]",),
        "Time",
        1.0,
        "its low regime lasts for 10 rows and stays away for 650; at the default exponent it is "
        "forgotten in between and the check fails, as --exponent 0.65 shows",
    )
