"""Which sink writes labelled rows, by the format asked for or the name of the file."""

from __future__ import annotations

from pathlib import Path

from replay.engine.protocols import Sink, Source
from replay.sinks.files import File, form_of
from replay.sinks.influx import Influx
from replay.sinks.labelled import Labels, Lines


def labels_sink(
    file: File,
    source: Source,
    form: str | None = None,
    named: bool = False,
    later: bool = False,
) -> Sink:
    """Labelled rows, as csv, ndjson, parquet or influx; None is what the name asks for.

    ``named`` gives tables a column for the names of regimes, ``later`` one for the labels that were
    known when rows came.
    """
    chosen = form or form_of(file.path)
    if chosen == "ndjson":
        return Lines(file, source)
    if chosen == "influx":
        return Influx(file, source)
    return Labels(file, source, form, named, later)


def needs_times(path: Path | None, form: str | None) -> bool:
    """Whether times must be read to be written."""
    return path is not None and (form or form_of(path)) == "influx"
