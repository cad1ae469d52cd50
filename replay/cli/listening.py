"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from replay.engine.protocols import Source
from replay.engine.rows import InputError
from replay.sources.asked import Asked
from replay.sources.json_lines import LiveLines

if TYPE_CHECKING:
    from replay.sources.mqtt_broker import Broker


def live_source(
    address: str,
    asked: Asked,
    client: str | None = None,
    credentials: Path | None = None,
    ca: Path | None = None,
    at_most: int | None = None,
) -> Source:
    """The source of an address; of a broker, as whom, by which certificates, and with how many
    messages on their way.

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
    broker = broker_of(address, credentials, ca)
    from replay.sources.mqtt import AT_MOST, MqttSource

    return MqttSource(broker, asked, client, at_most or AT_MOST)


def broker_of(address: str, credentials: Path | None = None, ca: Path | None = None) -> Broker:
    """The broker of an address."""
    try:
        from replay.sources.mqtt_broker import Broker
    except ModuleNotFoundError:
        raise InputError(
            "mqtt:// needs paho-mqtt; install it with: pip install 'online-gmm[mqtt]'"
        ) from None
    return Broker.of(address, credentials, ca)
