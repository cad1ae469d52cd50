"""The sink of --notify, from its options."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replay.cli.listening import broker_of
from replay.cli.options.notifying import BROKERS, Notifying
from replay.cli.options.reading import BrokerOptions
from replay.cli.terminal import err
from replay.engine.rows import InputError
from replay.sinks.couriers import Chat, Command, Courier, Target, Webhook
from replay.sinks.notices import Notices

if TYPE_CHECKING:
    from replay.engine.fleet import Fleet
    from replay.engine.protocols import Source
    from replay.sources.times import Clock

COMMAND = "command:"
CALENDAR = 1e9
"""Seconds since 1970 from which a time is taken to be one of the calendar."""


def notices_of(
    notifying: Notifying, broker: BrokerOptions, clock: Clock, source: Source, fleet: Fleet
) -> Notices:
    """Return the sink that sends changes of regime.

    Parameters
    ----------
    notifying, broker
        The options.
    clock
        Reads the times of the source.
    source, fleet
        Where rows come from, and the series of all keys.
    """
    couriers: dict[str, Courier] = {}
    try:
        for address in notifying.notify or ():
            name = _masked(address)
            digest = hashlib.blake2b(address.encode(), digest_size=4).hexdigest()
            target = _target(address, notifying, broker, source)
            couriers[f"{name} {digest}"] = Courier(name, target, _say)
    except InputError:
        for courier in couriers.values():
            courier.close()
        raise

    def seconds(text: str, key: str) -> float | None:
        if not source.timed:
            return None
        try:
            found = clock.seconds(text, key)
        except ValueError:
            return None
        return found if found > CALENDAR else None

    return Notices(
        couriers,
        fleet.__getitem__,
        fleet.items,
        seconds,
        notifying.hold_off,
        notifying.remind,
        _say,
    )


def _say(text: str) -> None:
    err().print(text, soft_wrap=True)


def _target(address: str, notifying: Notifying, broker: BrokerOptions, source: Source) -> Target:
    if address.startswith(COMMAND):
        return Command(address.removeprefix(COMMAND))
    scheme = address.partition("://")[0]
    if scheme in ("http", "https"):
        return Webhook(address)
    if address.startswith(BROKERS):
        its = broker_of(address, replace(broker, ca=broker.ca if scheme == "mqtts" else None))
        from replay.sinks.mqtt_state import MqttState

        return MqttState(its, source.key is not None, notifying.home_assistant)
    if "://" not in address:
        raise InputError(
            f"--notify {address!r} is no address; give mqtt://HOST/TOPIC/{{key}}, a URL that is "
            "posted to, command:PROGRAM, or an address of apprise such as mailto://..."
        )
    return Chat(address)


def _masked(address: str) -> str:
    """An address without what may be secret in it."""
    if address.startswith(COMMAND):
        return COMMAND + address.removeprefix(COMMAND).split(" ")[0]
    if address.startswith(BROKERS):
        return address
    parts = urlsplit(address)
    is_url = parts.scheme in ("http", "https")
    return f"{parts.scheme}://{parts.hostname}/..." if is_url else f"{parts.scheme}://..."
