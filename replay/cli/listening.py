"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from replay.engine.protocols import LiveSource
from replay.engine.rows import InputError
from replay.sources.asked import Asked
from replay.sources.joining import are_topics
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
    join: str = "hold",
) -> LiveSource:
    """The source of an address; of a broker, as whom, by which certificates, with how many
    messages on their way, and how several topics are joined to rows.

    Raises
    ------
    InputError
        If it is none, or cannot be reached.
    """
    if not asked.values:
        raise InputError("--value is missing; name the fields to learn, once for each")
    window = _window(join)
    if address == "-":
        if are_topics(asked.values):
            raise InputError(
                f"--value {asked.values[0]!r} is a topic, and standard input has none; name fields"
            )
        return LiveLines(asked)
    if "://" not in address:
        raise InputError(f"{address!r} is no address; give - or mqtt://HOST/TOPIC")
    broker = broker_of(address, credentials, ca)
    from replay.sources.mqtt import AT_MOST, MqttSource

    return MqttSource(broker, asked, client, at_most or AT_MOST, window)


def _window(join: str) -> float | None:
    """The seconds of --join; None to hold the last value."""
    if join == "hold":
        return None
    try:
        seconds = float(join)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise InputError(f"--join is {join!r}; it must be hold, or a number of seconds above 0")
    return seconds


def broker_of(address: str, credentials: Path | None = None, ca: Path | None = None) -> Broker:
    """The broker of an address."""
    try:
        from replay.sources.mqtt_broker import Broker
    except ModuleNotFoundError:
        raise InputError(
            "mqtt:// needs paho-mqtt; install it with: pip install 'online-gmm[mqtt]'"
        ) from None
    return Broker.of(address, credentials, ca)
