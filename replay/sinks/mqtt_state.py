"""The state of each key on a broker, retained: later subscribers get it too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

import online_gmm
from replay.engine.rows import InputError
from replay.sinks.couriers import PATIENCE, DeliveryError
from replay.sinks.mqtt import topic_of
from replay.sources.mqtt_broker import Broker

PREFIX = "homeassistant"
"""Of the topics from which Home Assistant learns of devices."""
NO_ID = re.compile(r"[^a-zA-Z0-9_-]+")
"""What cannot be in an id of Home Assistant."""


class MqttState:
    """Publishes notices, retained and with QoS 1; a `Target`.

    Parameters
    ----------
    broker
        Where, and the topic; ``{key}`` in it is the key.
    is_keyed
        Whether there are several keys, so that the topic must tell them apart.
    home_assistant
        Whether each key is made known to Home Assistant as a device, before its first state.

    Raises
    ------
    InputError
        If the broker cannot be reached, or the topic is none.
    """

    def __init__(self, broker: Broker, is_keyed: bool, home_assistant: bool = False) -> None:
        if "+" in broker.topic or "#" in broker.topic:
            raise InputError(f"--notify: the topic {broker.topic!r} must be without + and #")
        if is_keyed and "{key}" not in broker.topic:
            raise InputError(
                f"--notify: the topic {broker.topic!r} is one for all keys, and the state of each "
                "would replace that of the others; put {key} into it, as in "
                f"{broker.topic}/{{key}}"
            )
        self._topic = broker.topic
        self._home_assistant = home_assistant
        self._known: set[str] = set()
        self._client = client = Client(CallbackAPIVersion.VERSION2)
        broker.connect(client)
        client.loop_start()

    def send(self, notice: Mapping[str, Any]) -> None:
        key = notice["key"]
        topic = topic_of(self._topic, key)
        if self._home_assistant and key not in self._known:
            for where, what in discovery(key, topic).items():
                self._publish(where, what)
            self._known.add(key)
        self._publish(topic, notice)

    def _publish(self, topic: str, what: Mapping[str, Any]) -> None:
        if not self._client.is_connected():
            raise DeliveryError("the broker is not there")
        message: MQTTMessageInfo = self._client.publish(
            topic, msgspec.json.encode(what), qos=1, retain=True
        )
        try:
            message.wait_for_publish(PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise DeliveryError(str(error)) from None
        if not message.is_published():
            raise DeliveryError(f"the broker has not answered for {PATIENCE:g} s")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def discovery(key: str, topic: str) -> dict[str, dict[str, Any]]:
    """What makes a key known to Home Assistant: a device with four entities, a topic for each.

    Parameters
    ----------
    key
        The key; empty if there is none.
    topic
        That of its state.

    Returns
    -------
    dict
        For each topic ``homeassistant/<component>/<node_id>/<object_id>/config`` its payload, as
        https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery describes them.
    """
    # the same in every run, and another one for each topic
    digest = hashlib.blake2b(f"{topic} {key}".encode(), digest_size=4).hexdigest()
    node = f"replay_{NO_ID.sub('_', key or 'series')}_{digest}"
    entities: dict[tuple[str, str], dict[str, Any]] = {
        ("sensor", "regime"): {
            "name": "Regime",
            "icon": "mdi:state-machine",
            "value_template": (
                "{{ 'unknown' if value_json.unknown else value_json.name or value_json.regime }}"
            ),
            "json_attributes_topic": topic,
        },
        ("sensor", "since"): {
            "name": "Since",
            "device_class": "timestamp",
            "value_template": "{{ value_json.since_utc }}",
        },
        ("sensor", "probability"): {
            "name": "Probability",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "suggested_display_precision": 1,
            "value_template": (
                "{{ None if value_json.probability is none else 100 * value_json.probability }}"
            ),
        },
        ("binary_sensor", "unknown"): {
            "name": "Regime unknown",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.unknown else 'OFF' }}",
        },
    }
    return {
        f"{PREFIX}/{component}/{node}/{name}/config": {
            **entity,
            "unique_id": f"{node}_{name}",
            "state_topic": topic,
            "qos": 1,
            "device": {
                "identifiers": [node],
                "name": key or "Series",
                "manufacturer": "online-gmm",
                "model": "replay live",
                "sw_version": online_gmm.__version__,
            },
            "origin": {"name": "online-gmm", "sw_version": online_gmm.__version__},
        }
        for (component, name), entity in entities.items()
    }
