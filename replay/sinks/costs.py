"""What regimes cost: the sink that keeps account of it, and the file that it is written to."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from replay.engine.batch import LabelledBatch
from replay.engine.costs import Cost, Costs
from replay.engine.disk import Place
from replay.engine.protocols import Source
from replay.engine.series import Series
from replay.sinks.files import START, File
from replay.sinks.tables import Csv

JSON = (".json",)
"""Ends of names of files that are one document of JSON."""


class CostSink:
    """Adds the rows of each key to the costs of its series; a `Sink`.

    Costs are part of the state of a series, so that a checkpoint writes those that have changed. A
    CSV file has a line for each day that has ended, of each regime that came in it, in the order in
    which the days have ended, and at the end the days under way. A JSON file is written at the end.

    Parameters
    ----------
    source
        Where rows come from.
    channels
        Values that are integrated.
    series
        Gives the series of a key.
    known
        Gives all keys and their series.
    zone
        The time zone of days.
    max_gap
        As `Costs` has it.
    file
        Where costs are written; None for nowhere.
    """

    def __init__(
        self,
        source: Source,
        channels: Sequence[str],
        series: Callable[[str], Series],
        known: Callable[[], Iterable[tuple[str, Series]]],
        zone: datetime.tzinfo = datetime.UTC,
        max_gap: float | None = None,
        file: File | None = None,
    ) -> None:
        self._places = [source.values.index(name) for name in channels]
        self._channels = tuple(channels)
        self._timed = source.timed
        self._keyed = source.key is not None
        self._series = series
        self._known = known
        self._zone = zone
        self._max_gap = max_gap
        self._file = file
        is_json = file is not None and file.path.suffix.lower() in JSON
        self._table = None if file is None or is_json else Csv(file, self._columns())

    def _columns(self) -> dict[str, type]:
        unit = "hours" if self._timed else "rows"
        columns: dict[str, type] = {"key": str} if self._keyed else {}
        columns |= {"day": str} if self._timed else {}
        columns |= {"label": int, "name": str, unit: float, "starts": int}
        for name in self._channels:
            columns |= {f"{name}_{'hours' if self._timed else 'sum'}": float}
            columns |= {f"{name}_missing_{unit}": float}
        return columns

    def begin(self) -> None:
        if self._table is not None:
            self._table.begin()

    def write(self, labelled: LabelledBatch) -> None:
        """Add rows to the costs of their series."""
        n = len(labelled)
        if not n:
            return
        batch = labelled.batch
        values = batch.values[:, self._places].tolist()
        labels = labelled.answers.labels.tolist()
        seconds = [0.0] * n if batch.seconds is None else batch.seconds.tolist()
        keys = [""] * n if batch.keys is None else batch.keys
        before: str | None = None
        for i, key in enumerate(keys):
            if key != before:
                series, before = self._series(key), key
                costs = self._costs_of(series)
            text = batch.texts.time_at(i) if costs.is_new else ""
            for day, its in costs.add(labels[i], seconds[i], text, values[i]):
                self._put(key, series, day, its)

    def _costs_of(self, series: Series) -> Costs:
        if series.costs is None:
            series.costs = Costs(self._channels, self._timed, self._zone, self._max_gap)
        series.costs.zone = self._zone
        return series.costs

    def _put(self, key: str, series: Series, day: str, costs: Iterable[Cost]) -> None:
        if self._table is None:
            return
        names = series.model.names
        for cost in costs:
            its: list[object] = [key] if self._keyed else []
            its += [day] if self._timed else []
            length: type = float if self._timed else int
            numbers: list[float] = []
            for integral, missing in zip(cost.integrals, cost.missing, strict=True):
                numbers += [integral, length(missing)]
            name = names.get(cost.label, "")
            self._table.put([*its, cost.label, name, length(cost.length), cost.starts, *numbers])

    # -- files ----------------------------------------------------------------------------------

    def flush(self) -> None:
        if self._table is not None:
            self._table.flush()

    def position(self) -> Place | None:
        return None if self._table is None else self._table.position()

    def go_to(self, position: Any) -> None:
        if self._table is not None:
            self._table.go_to(position)

    def finish(self) -> None:
        """Write the days under way, or all that is known as JSON."""
        if self._file is None:
            return
        if self._table is None:
            self._file.go_to(START)
            self._file.write(msgspec.json.format(msgspec.json.encode(self._document())) + b"\n")
            self._file.finish()
            return
        for key, series in self._known():
            if series.costs is not None:
                self._put(key, series, *series.costs.today())
        self._table.finish()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _document(self) -> dict[str, Any]:
        length = "hours" if self._timed else "rows"
        units = {name: f"{name} x {length}" if self._timed else name for name in self._channels}
        return {
            "length": length,
            "units": units,
            "zone": str(self._zone) if self._timed else None,
            "series": [
                {
                    **({"key": key} if self._keyed else {}),
                    "regimes": self._told(series, series.costs.total()),
                    **(
                        {
                            "days": [
                                {"day": day, "regimes": self._told(series, its)}
                                for day, its in series.costs.days()
                                if day
                            ],
                            "gap_hours": series.costs.gap / 3600.0,
                        }
                        if self._timed
                        else {}
                    ),
                }
                for key, series in self._known()
                if series.costs is not None
            ],
        }

    def _told(self, series: Series, costs: Iterable[Cost]) -> list[dict[str, Any]]:
        length = "hours" if self._timed else "rows"
        names = series.model.names
        return [
            {
                "label": cost.label,
                "name": names.get(cost.label),
                length: cost.length,
                "starts": cost.starts,
                "integrals": dict(zip(self._channels, cost.integrals, strict=True)),
                f"missing_{length}": dict(zip(self._channels, cost.missing, strict=True)),
            }
            for cost in costs
        ]
