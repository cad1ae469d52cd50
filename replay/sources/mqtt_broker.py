"""The address of a broker and a topic, and the credentials for it."""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client
from paho.mqtt.properties import Properties

from replay.engine.rows import InputError
from replay.sources.credentials import pairs_of

PORTS = {"mqtt": 1883, "mqtts": 8883}
PATIENCE = 10.0
"""Seconds in which a broker must be reached at the start; later it is waited for."""
KEEPALIVE = 30
"""Seconds without a message after which a connection is looked at."""
USER, PASSWORD = "REPLAY_MQTT_USER", "REPLAY_MQTT_PASSWORD"
"""Environment variables of the credentials."""


@dataclass(frozen=True)
class Credentials:
    """User name and password; None to connect anonymously."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def found(cls, path: Path | None) -> Credentials:
        """Read credentials from a file, or from the environment.

        Raises
        ------
        InputError
            If the file cannot be read, or others can read it.
        """
        if path is None:
            return cls(os.environ.get(USER), os.environ.get(PASSWORD))
        given = pairs_of(path)
        if unknown := set(given) - {"user", "password"}:
            raise InputError(
                f"--credentials {path} has a line of {min(unknown)!r}; it must have the lines "
                "user=NAME and password=WORD"
            )
        return cls(**given)


@dataclass(frozen=True)
class Broker:
    """A topic of a broker.

    Parameters
    ----------
    host, port, tls
        Where it is, and whether what is said there is encrypted.
    topic
        The topic, or a filter with ``+`` and ``#``.
    credentials
        As whom.
    ca
        The certificates to trust; None are those of the system.
    """

    host: str
    port: int
    tls: bool
    topic: str
    credentials: Credentials = Credentials()
    ca: Path | None = None

    @classmethod
    def of(cls, address: str, credentials: Path | None = None, ca: Path | None = None) -> Broker:
        """Return the broker of ``mqtt://HOST[:PORT]/TOPIC``, or ``mqtts://`` with TLS.

        Raises
        ------
        InputError
            If it is no such address.
        """
        # a # is part of the topic
        parts = urlsplit(address, allow_fragments=False)
        if parts.scheme not in PORTS:
            raise InputError(f"{address!r} is no address of a broker; give mqtt://HOST/TOPIC")
        if parts.username is not None or parts.password is not None:
            raise InputError(
                "user and password do not belong into the address, where others see them; put them "
                f"into {USER} and {PASSWORD}, or a file for --credentials"
            )
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError as error:
            raise InputError(f"{address!r}: {error}") from None
        topic = parts.path.removeprefix("/") + (f"?{parts.query}" if parts.query else "")
        if not parts.hostname or not topic:
            raise InputError(f"{address!r} has no host or no topic; give mqtt://HOST/TOPIC")
        levels = topic.split("/")
        for i, level in enumerate(levels, 1):
            if len(level) > 1 and ("+" in level or "#" in level):
                raise InputError(
                    f"{address!r}: {level!r} is no level of a topic; + and # take the place of "
                    "whole levels, as in plant/+/state"
                )
            if level == "#" and i < len(levels):
                raise InputError(
                    f"{address!r}: # stands for all levels that follow, so it must be the last "
                    "one; + stands for one level, as in plant/+/state"
                )
        if ca is not None and parts.scheme != "mqtts":
            raise InputError(f"--ca is for mqtts://, and the address is {address!r}")
        return cls(
            parts.hostname, port, parts.scheme == "mqtts", topic, Credentials.found(credentials), ca
        )

    @property
    def name(self) -> str:
        """The address, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}/{self.topic}"

    def connect(self, client: Client, properties: Properties | None = None) -> None:
        """Reach the broker, with a few tries.

        Raises
        ------
        InputError
            If it cannot be reached in PATIENCE seconds.
        """
        if self.credentials.user is not None:
            client.username_pw_set(self.credentials.user, self.credentials.password)
        try:
            if self.tls:
                client.tls_set(None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"--ca {self.ca} cannot be read: {error}") from None
        until, nap = time.monotonic() + PATIENCE, 0.1
        while True:
            try:
                client.connect(
                    self.host,
                    self.port,
                    KEEPALIVE,
                    # that a session goes on is said here in version 5 only, with properties
                    clean_start=MQTT_CLEAN_START_FIRST_ONLY if properties is None else False,
                    properties=properties,
                )
                return
            except ssl.SSLError as error:
                raise InputError(
                    f"{self.name}: the broker is not to be trusted, or speaks no TLS ({error}); "
                    "--ca names the certificates to trust"
                ) from None
            except OSError as error:
                if time.monotonic() + nap > until:
                    raise InputError(
                        f"{self.name} cannot be reached: {error.strerror or error}; is the broker "
                        "running, and are host and port right?"
                    ) from None
            time.sleep(nap)
            nap *= 2
