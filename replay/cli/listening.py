"""Where live rows come from: standard input, or a broker."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from replay.cli.options.reading import BrokerOptions, above_zero
from replay.engine.protocols import LiveSource
from replay.engine.rows import InputError
from replay.sources.joining import are_topics
from replay.sources.json_lines import LiveLines
from replay.sources.read_options import ReadOptions, split_names

if TYPE_CHECKING:
    from replay.sources.kafka_cluster import Cluster
    from replay.sources.mqtt_broker import Broker

KAFKA = "kafka://"


def live_source(
    address: str,
    reading: ReadOptions,
    broker: BrokerOptions = BrokerOptions(),
    at_most: int | None = None,
) -> LiveSource:
    """Open the live source at an address.

    Parameters
    ----------
    address
        ``-`` for standard input, or the address of a topic on a broker.
    reading
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
    if address != "-" and "://" not in address:
        is_file = f"; for the file, say replay run {address}" if Path(address).exists() else ""
        raise InputError(
            f"{address!r} is no address; give -, mqtt://HOST/TOPIC or kafka://HOST/TOPIC{is_file}"
        )
    if not reading.values:
        raise InputError("--value is missing; name the fields to learn, once for each")
    window = above_zero(broker.join, "--join", "hold")
    if address == "-":
        if are_topics(reading.values):
            raise InputError(
                f"--value {reading.values[0]!r} is a topic, and standard input has none; name "
                "fields"
            )
        return LiveLines(reading)
    if address.startswith(KAFKA):
        if are_topics(reading.values):
            raise InputError(
                f"--value {reading.values[0]!r} is a topic; topics join where mqtt:// is read"
            )
        if at_most is not None:
            raise InputError(
                "replay land acknowledges what is on disk, and Kafka keeps no account of that; an "
                "engine such as Spark reads Kafka itself"
            )
        cluster = cluster_of(address, broker)
        from replay.sources.kafka import KafkaSource

        return KafkaSource(cluster, reading)
    its = broker_of(address, broker)
    from replay.sources.mqtt import AT_MOST, MqttSource

    return MqttSource(its, reading, broker.client, at_most or AT_MOST, window)


def names_split(reading: ReadOptions) -> ReadOptions:
    """The same with names of values split at their commas: a stream does not list its columns."""
    return replace(reading, values=split_names(reading.values))


def target_of(address: str, options: BrokerOptions) -> Broker | Cluster:
    """The topic of a broker or cluster to which is published; certificates are those of mqtts."""
    if address.startswith(KAFKA):
        return cluster_of(address, options)
    ca = options.ca if address.startswith("mqtts:") else None
    return broker_of(address, replace(options, ca=ca))


def cluster_of(address: str, options: BrokerOptions) -> Cluster:
    """The topic of Kafka at an address."""
    if find_spec("confluent_kafka") is None:
        raise InputError(
            "kafka:// needs confluent-kafka; install it with: pip install 'online-gmm[kafka]'"
        )
    from replay.sources.kafka_cluster import Cluster

    return Cluster.of(address, options.credentials)


def broker_of(address: str, options: BrokerOptions) -> Broker:
    """The broker at an address."""
    try:
        from replay.sources.mqtt_broker import Broker
    except ModuleNotFoundError:
        raise InputError(
            "mqtt:// needs paho-mqtt; install it with: pip install 'online-gmm[mqtt]'"
        ) from None
    return Broker.of(address, options.credentials, options.ca)
