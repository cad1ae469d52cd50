"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replay.cli.options.reading import BrokerOptions
from replay.engine.protocols import LiveSource
from replay.engine.rows import InputError
from replay.sources.asked import Asked, split_names
from replay.sources.joining import are_topics
from replay.sources.json_lines import LiveLines

if TYPE_CHECKING:
    from replay.sources.mqtt_broker import Broker


def live_source(
    address: str,
    asked: Asked,
    broker: BrokerOptions = BrokerOptions(),
    at_most: int | None = None,
) -> LiveSource:
    """Open the live source at an address.

    Parameters
    ----------
    address
        ``-`` for standard input, or the address of a topic on a broker.
    asked
        Which columns are read, and how.
    broker
        How to connect to a broker.
    at_most
        Most messages that the broker sends without an acknowledgement.

    Raises
    ------
    InputError
        If it is no address, or cannot be reached.
    """
    if not asked.values:
        raise InputError("--value is missing; name the fields to learn, once for each")
    window = _window(broker.join)
    if address == "-":
        if are_topics(asked.values):
            raise InputError(
                f"--value {asked.values[0]!r} is a topic, and standard input has none; name fields"
            )
        return LiveLines(asked)
    if "://" not in address:
        raise InputError(f"{address!r} is no address; give - or mqtt://HOST/TOPIC")
    its = broker_of(address, broker)
    from replay.sources.mqtt import AT_MOST, MqttSource

    return MqttSource(its, asked, broker.client, at_most or AT_MOST, window)


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


def names_split(asked: Asked) -> Asked:
    """The same with names of values split at their commas: a stream does not list its columns."""
    return replace(asked, values=split_names(asked.values))


def broker_of(address: str, options: BrokerOptions) -> Broker:
    """The broker at an address."""
    try:
        from replay.sources.mqtt_broker import Broker
    except ModuleNotFoundError:
        raise InputError(
            "mqtt:// needs paho-mqtt; install it with: pip install 'online-gmm[mqtt]'"
        ) from None
    return Broker.of(address, options.credentials, options.ca)
