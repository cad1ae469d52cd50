"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from pathlib import Path

from replay.rows import InputError, Source
from replay.sources.asked import Asked
from replay.sources.json_lines import LiveLines


def live_source(
    address: str,
    asked: Asked,
    client: str | None = None,
    credentials: Path | None = None,
    ca: Path | None = None,
) -> Source:
    """The source of an address; of a broker, as whom, and by which certificates.

    Raises
    ------
    InputError
        If it is none, or cannot be reached.
    """
    if not asked.values:
        raise InputError("--value is missing; name the fields to learn, once for each")
    if address == "-":
        return LiveLines(asked)
    if "://" not in address:
        raise InputError(f"{address!r} is no address; give - or mqtt://HOST/TOPIC")
    from replay.mqtt.broker import Broker
    from replay.mqtt.source import MqttSource

    return MqttSource(Broker.of(address, credentials, ca), asked, client)
