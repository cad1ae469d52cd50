"""Labelled rows in the line protocol of InfluxDB."""

from __future__ import annotations

import math
from collections.abc import Iterator

from replay.engine.batch import LabelledBatch
from replay.engine.protocols import Source
from replay.sinks.files import File, Onto
from replay.sinks.labelled import ADDED

MEASUREMENT = "replay"
TAG = str.maketrans({"\\": "\\\\", ",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\n", "\r": "\\r"})
"""What is escaped in tags and in names of fields."""


class Influx(Onto):
    """Labelled rows, a line each; a `Sink`.

    The measurement is ``replay``, the tag ``key`` the key. Fields are the values, by their names,
    and ``label``, ``probability``, ``outlier`` and ``change``. The timestamp is the time of the
    row, in nanoseconds; a row without one has none, and InfluxDB takes the time at which it comes.

    Parameters
    ----------
    file
        Where they go.
    source
        Where rows come from.
    """

    def __init__(self, file: File, source: Source) -> None:
        super().__init__(file)
        self._file = file
        # a value may be called as one of what is added
        self._names = [f"value_{name}" if name in ADDED else name for name in source.values]

    def write(self, labelled: LabelledBatch) -> None:
        if len(labelled):
            self._file.write("".join(self._lines(labelled)).encode())

    def _lines(self, labelled: LabelledBatch) -> Iterator[str]:
        names = [f"{name.translate(TAG)}=" for name in self._names]
        for row, (label, probability, _, outlier), change in labelled.rows():
            key = f",key={row.key.translate(TAG)}" if row.key else ""
            fields = [
                f"{name}{value!r}"
                for name, value in zip(names, row.values.values(), strict=True)
                if math.isfinite(value)
            ]
            fields.append(f"label={label}i")
            if math.isfinite(probability):
                fields.append(f"probability={probability:.6g}")
            fields += [f"outlier={_flag(outlier)}", f"change={_flag(change > 0)}"]
            time = "" if row.seconds is None else f" {nanoseconds(row.seconds)}"
            yield f"{MEASUREMENT}{key} {','.join(fields)}{time}\n"


def nanoseconds(seconds: float) -> int:
    """Seconds in whole nanoseconds, to the microsecond, which is what a double holds of them.

    Examples
    --------
    >>> nanoseconds(1773000000.25)
    1773000000250000000
    """
    return round(seconds * 1e6) * 1000


def _flag(is_set: bool) -> str:
    return "true" if is_set else "false"
