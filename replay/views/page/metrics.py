"""What Prometheus reads beside the page: counts of the stream, and the regime of each key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from tornado.web import RequestHandler

from replay.engine.status import Status
from replay.views.history import History

TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Collects when it is asked; nothing is kept.

    Parameters
    ----------
    status
        What has come.
    history
        The keys of the page: at most 50, those that came last.
    """

    def __init__(self, status: Status, history: History) -> None:
        self._status = status
        self._history = history
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield CounterMetricFamily(
            "replay_messages", "Messages that have come since the start.", status.n_messages
        )
        yield CounterMetricFamily("replay_rows", "Rows that were labelled.", status.n_used)
        refused = CounterMetricFamily("replay_refused", "What was refused.", labels=["reason"])
        for reason, n in status.refused().items():
            refused.add_metric([reason], n)
        yield refused
        yield GaugeMetricFamily("replay_keys", "Keys that have come.", status.n_keys)
        if status.lag is not None:
            yield GaugeMetricFamily(
                "replay_lag_seconds", "By how much the last row is older than now.", status.lag
            )
        regime = GaugeMetricFamily(
            "replay_regime", "The regime of a key; -1 if it is not known.", labels=["key"]
        )
        probability = GaugeMetricFamily(
            "replay_regime_probability", "The probability of that regime.", labels=["key"]
        )
        rows = CounterMetricFamily("replay_key_rows", "Rows of a key.", labels=["key"])
        changes = CounterMetricFamily(
            "replay_changes", "Changes of the regime of a key.", labels=["key"]
        )
        for head in self._history.heads():
            regime.add_metric([head.key], head.label)
            probability.add_metric([head.key], head.probability)
            rows.add_metric([head.key], head.n)
            changes.add_metric([head.key], head.n_changes)
        yield from (regime, probability, rows, changes)


class MetricsHandler(RequestHandler):
    """Answers with the metrics."""

    def initialize(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def get(self, *path: Any) -> None:
        self.set_header("Content-Type", TYPE)
        self.write(self._metrics.text())
