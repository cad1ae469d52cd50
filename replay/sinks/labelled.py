"""Where labelled rows and segments go: tables, and lines of JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from online_gmm import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import LabelledBatch
from replay.engine.protocols import Source
from replay.engine.rows import InputError, Row
from replay.sinks.files import File, Onto, form_of
from replay.sinks.lines import can_be_lines, labelled_lines
from replay.sinks.tables import Csv, Parquet

ADDED = ("label", "probability", "outlier", "change")
"""The columns that the labels have beyond those of the input."""
NAMED = "name"
"""One more, where regimes may have names."""
CAUSAL = "causal_label"
"""One more, where labels are given with all of a file at hand: that known when a row came."""
BESIDE = 2048
"""Rows from which on lines are made in a thread: of fewer, handing them over takes longer."""


class _TableSink(Onto):
    """A sink that is a table."""

    def __init__(self, file: File, columns: Mapping[str, type], form: str | None = None) -> None:
        kind = Parquet if (form or form_of(file.path)) == "parquet" else Csv
        self.table: Csv | Parquet = kind(file, columns)
        super().__init__(self.table)

    def begin(self) -> None:
        self.table.begin()


class Labels(_TableSink):
    """Labelled rows: time, key and values as they were, and the columns ADDED.

    A regime can be given a name in a checkpoint only. With one there is the column NAMED as well,
    last, empty where a regime has no name. Where the labels of a batch came later, there is the
    column CAUSAL.
    """

    def __init__(
        self,
        file: File,
        source: Source,
        form: str | None = None,
        named: bool = False,
        later: bool = False,
    ) -> None:
        self._timed = source.time is not None
        self._keyed = source.key is not None
        self._as_lines = not file.escapes_formulas
        self._named = named
        self._later = later
        more: dict[str, type] = {NAMED: str} if named else {}
        if later:
            more[CAUSAL] = int
        added = (*ADDED, *more)
        names = (*_named(source.time), *_named(source.key), *source.values)
        if taken := next((name for name in names if name in added), None):
            raise InputError(
                f"{source.name}, line 1, column {taken!r}: the labels file adds a column of this "
                "name; rename the input's"
            )
        columns: dict[str, type] = dict.fromkeys((*_named(source.time), *_named(source.key)), str)
        columns.update(dict.fromkeys(source.values, float))
        columns.update(zip(ADDED, (int, float, bool, bool), strict=True))
        columns.update(more)
        super().__init__(file, columns, form)

    def write(self, labelled: LabelledBatch) -> None:
        batch, answers = labelled.batch, labelled.answers
        if not len(batch):
            return
        if isinstance(self.table, Parquet):
            columns: list[Any] = [batch.texts.times()] if self._timed else []
            columns += [list(batch.keys or ())] if self._keyed else []
            columns += list(batch.values.T)
            its = (answers.labels, answers.probabilities, answers.outliers, labelled.changes > 0)
            called = [[name or None for name in labelled.name_of_each()]] if self._named else []
            causal = [labelled.causal_labels] if self._later else []
            self.table.put_columns([*columns, *its, *called, *causal])
        elif self._as_lines and can_be_lines(labelled):
            more = [labelled.name_of_each()] if self._named else []
            more += [list(map(str, labelled.causal_labels.tolist()))] if self._later else []
            if len(labelled) < BESIDE:
                self.table.write(labelled_lines(labelled, more))
            else:
                self.table.write_beside(lambda: labelled_lines(labelled, more))
        else:
            rows = zip(
                labelled.rows(),
                labelled.name_of_each(),
                labelled.causal_labels.tolist(),
                strict=True,
            )
            for (row, (label, probability, _, outlier), change), name, causal_label in rows:
                time = (row.time,) if self._timed else ()
                key = (row.key,) if self._keyed else ()
                known = (label, f"{probability:.6g}", int(outlier), int(change > 0))
                name_cell = (name,) if self._named else ()
                causal_cell = (causal_label,) if self._later else ()
                self.table.put((*time, *key, *row.texts, *known, *name_cell, *causal_cell))


class Segments(_TableSink):
    """Segments; their start and end are times as they stand in the input, or rows without."""

    def __init__(self, file: File, source: Source, named: bool = False) -> None:
        self._timed = source.time is not None
        self._keyed = source.key is not None
        self._values = source.values
        self._named = named
        moment = str if self._timed else int
        columns: dict[str, type] = dict.fromkeys(_named(source.key), str)
        columns |= {"start": moment, "end": moment, "label": int, "n": int, "probability": float}
        for name in source.values:
            columns |= {f"mean_{name}": float, f"sd_{name}": float}
        if named:
            columns[NAMED] = str
        super().__init__(file, columns)

    def write(self, labelled: LabelledBatch) -> None:
        for _, key, segment, name in labelled.ended():
            self._put(key, segment, name)

    def _put(self, key: str, segment: Segment, name: str) -> None:
        keys = (key,) if self._keyed else ()
        when = (moment[self._timed] for moment in (segment.start, segment.end))
        probability: object = segment.probability
        numbers = (of[name] for name in self._values for of in (segment.mean, segment.sd))
        shown: Iterable[object] = (None if math.isnan(number) else number for number in numbers)
        if not self.table.typed:
            probability = f"{segment.probability:.6g}"
            shown = ("" if number is None else f"{number:.10g}" for number in shown)
        called = (name or None,) if self._named else ()
        self.table.put((*keys, *when, segment.label, segment.n, probability, *shown, *called))


class Lines(Onto):
    """Labelled rows as JSON, one object a line."""

    def __init__(self, file: File, source: Source) -> None:
        super().__init__(file)
        self._source = source
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def write(self, labelled: LabelledBatch) -> None:
        encode, source = self._encode, self._source
        rows = zip(labelled.rows(), labelled.name_of_each(), strict=True)
        messages = [as_message(*its, source, name) for its, name in rows]
        if labelled.causal is not None:
            for message, label in zip(messages, labelled.causal.tolist(), strict=True):
                message[CAUSAL] = label
        lines = [encode(message) for message in messages]
        if lines:
            self._file.write(b"\n".join([*lines, b""]))


def as_message(
    row: Row, assignment: Assignment, change: int, source: Source, name: str = ""
) -> dict[str, Any]:
    """A labelled row as a JSON object has it; a missing value is null, and no name is left out."""
    label, probability, _, outlier = assignment
    message: dict[str, Any] = {"n": row.line}
    if source.time is not None:
        message["time"] = row.time
    if source.key is not None:
        message["key"] = row.key
    message["values"] = row.values
    message["label"] = label
    if name:
        message["name"] = name
    message["probability"] = round(probability, 6)
    message["outlier"] = outlier
    message["change"] = change > 0
    return message


def _named(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
