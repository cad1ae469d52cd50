"""Which Kafka cluster and topic, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replay.engine.rows import InputError
from replay.sources.credentials import pairs_of

SCHEME = "kafka://"
PORT = 9092
PATIENCE = 10.0
"""Seconds in which a cluster must be reached at the start; later it is waited for."""


@dataclass(frozen=True)
class Cluster:
    """A topic of a cluster.

    Parameters
    ----------
    servers
        ``HOST:PORT`` of some of its brokers, with commas between.
    topic
        The topic.
    settings
        More settings of librdkafka, such as those of TLS and passwords.
    """

    servers: str
    topic: str
    settings: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, address: str, credentials: Path | None = None) -> Cluster:
        """Return the cluster of ``kafka://HOST[:PORT][,HOST[:PORT]...]/TOPIC``.

        Parameters
        ----------
        address
            The address.
        credentials
            A file of settings of librdkafka, a line ``name=value`` each, that only its owner can
            read; None for none.

        Raises
        ------
        InputError
            If it is no such address, or the file cannot be read.
        """
        hosts, _, topic = address.removeprefix(SCHEME).partition("/")
        if "@" in hosts:
            raise InputError(
                "user and password do not belong into the address, where others see them; put "
                "sasl.username=NAME and sasl.password=WORD into a file for --credentials"
            )
        if not hosts or not topic or "/" in topic:
            raise InputError(f"{address!r} has no host or no topic; give kafka://HOST/TOPIC")
        servers = [host if ":" in host else f"{host}:{PORT}" for host in hosts.split(",")]
        settings = {} if credentials is None else pairs_of(credentials)
        return cls(",".join(servers), topic, settings)

    @property
    def name(self) -> str:
        """The address, for people."""
        return f"{SCHEME}{self.servers}/{self.topic}"


class _Silent:
    """Takes what a client logs: errors come with the messages."""

    def log(self, *arguments: Any) -> None:
        """Nothing."""


SILENT: Any = _Silent()
