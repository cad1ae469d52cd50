"""Durations as a person reads them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for unit, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2.0 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:,.3g} s"
