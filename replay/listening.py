"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from replay.rows import InputError, Source
from replay.sources.asked import Asked
from replay.sources.json_lines import LiveLines


def live_source(address: str, asked: Asked) -> Source:
    """The source of an address.

    Raises
    ------
    InputError
        If it is none, or cannot be reached.
    """
    if not asked.values:
        raise InputError("--value is missing; name the fields to learn, once for each")
    if address == "-":
        return LiveLines(asked)
    raise InputError(f"{address!r} is no address; give - or mqtt://HOST/TOPIC")
