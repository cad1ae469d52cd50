"""What a replay writes: the files and topics that its options ask for."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from replay.cli.options.output import Checkpointing, Outputs
from replay.cli.terminal import OUT, parent
from replay.engine.fleet import Fleet
from replay.engine.order import SeriesOptions
from replay.engine.protocols import Sink, Source
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.sinks.files import FORMS, PARQUET, SHEETS, File
from replay.sinks.labelled import Segments
from replay.sinks.labels import labels_sink
from replay.sources.read_options import columns_named

if TYPE_CHECKING:
    from replay.sources.kafka_cluster import Cluster
    from replay.sources.mqtt_broker import Broker

STDOUT = Path("-")
WRITTEN = {
    "labels": (".csv", *FORMS),
    "segments": (".csv", *PARQUET),
    "costs": (".csv", ".json"),
    "plot": (".png",),
    "report": (".html", ".htm"),
}
"""How the names of outputs may end. Other ends are taken too, unless they say another format."""
SAID = frozenset(
    {
        *(end for ends in WRITTEN.values() for end in ends),
        *(".tsv", ".feather", ".arrow", ".orc", ".xml", ".md", ".gz", ".bz2", ".xz"),
        *(".zst", ".zip", ".pdf", ".svg", ".jpg", ".jpeg", ".gif", ".eps", ".npy", ".pkl"),
    }
)
"""Ends of names that say a format."""


def check_outputs(outputs: Outputs) -> None:
    """Refuse two outputs of one name, formats that are not written, and folders not there."""
    seen: dict[Path, str] = {}
    for name, path in vars(outputs).items():
        if not isinstance(path, Path):
            continue
        if path in seen:
            raise InputError(f"--{seen[path]} and --{name} are both {path}; choose another name")
        seen[path] = name
        if path == STDOUT:
            continue
        if path.suffix.lower() in SHEETS:
            raise InputError(
                f"--{name} {path}: spreadsheets are not written; choose a name that ends in "
                ".csv, which they open, or in .parquet"
            )
        if _says_another(name, path) and not (name == "labels" and outputs.labels_as):
            raise InputError(
                f"--{name} {path}: {path.suffix} is not written; choose a name that ends in "
                f"{' or '.join(WRITTEN[name])}"
            )
        if path.parent != OUT and not path.parent.is_dir():
            raise InputError(
                f"--{name} {path}: there is no folder {path.parent}; make it, or choose another"
            )


def _says_another(name: str, path: Path) -> bool:
    """Whether the name of an output says a format that it does not have."""
    ends = WRITTEN.get(name)
    end = path.suffix.lower()
    return ends is not None and end in SAID and end not in ends


def check_picture(outputs: Outputs, source: Source, smooth: bool) -> None:
    """Refuse a picture of many series, and a key where there is none."""
    if smooth and source.key is not None:
        raise InputError("--smooth is for one series; leave out --key")
    if outputs.plot_key is not None and (outputs.plot is None or source.key is None):
        missing = "--plot" if outputs.plot is None else "--key"
        raise InputError(f"--plot-key says which key --plot draws; add {missing}, or leave it out")
    if outputs.plot is not None and source.key is not None and outputs.plot_key is None:
        raise InputError("--plot draws one series; say with --plot-key of which key")


def integrated(outputs: Outputs, source: Source) -> tuple[str, ...]:
    """The columns of --integrate, none twice."""

    def bad(name: str, problem: str) -> InputError:
        return InputError(f"--integrate {name!r}: {problem}; only what is learnt is integrated")

    found: dict[str, None] = {}
    for name in outputs.integrate or ():
        found |= dict.fromkeys(columns_named(name, source.values, "--integrate", bad))
    return tuple(found)


def file_sinks(
    source: Source,
    outputs: Outputs,
    topic: Broker | Cluster | None,
    checkpoints: Checkpointing,
    live: bool,
    later: bool,
    open_now: ExitStack,
) -> dict[str, Sink]:
    """The files that are written, to be closed in any case."""
    sinks: dict[str, Sink] = {}
    # a name is given in a checkpoint, and nowhere else
    named = checkpoints.checkpoint is not None

    def file(path: Path, option: str) -> File:
        lasting = checkpoints.checkpoint is not None
        result = File(parent(path), option, source.files, lasting, outputs.escape_formulas)
        open_now.callback(result.close)
        return result

    def add(name: str, sink: Sink) -> None:
        sinks[name] = sink
        open_now.callback(sink.close)

    if outputs.labels is not None:
        form = outputs.labels_as or ("ndjson" if live and outputs.labels == STDOUT else None)
        labels = file(outputs.labels, "--labels")
        add("labels", labels_sink(labels, source, form, named, later))
    if outputs.segments is not None:
        add("segments", Segments(file(outputs.segments, "--segments"), source, named))
    if topic is not None:
        add("publish", _publisher(topic, source))
    return sinks


def costs_sink(
    source: Source,
    channels: Sequence[str],
    fleet: Fleet,
    whole: Series | None,
    zone: datetime.tzinfo,
    options: SeriesOptions,
    outputs: Outputs,
    checkpoints: Checkpointing,
    open_now: ExitStack,
) -> Sink:
    """The sink that keeps account of what regimes cost, and its file."""
    from replay.sinks.costs import CostSink

    file = None
    if outputs.costs is not None:
        lasting = checkpoints.checkpoint is not None
        path = parent(outputs.costs)
        file = File(path, "--costs", source.files, lasting, outputs.escape_formulas)
    sink = CostSink(
        source,
        channels,
        fleet.__getitem__ if whole is None else lambda key: whole,
        fleet.items if whole is None else lambda: [("", whole)],
        zone,
        options.max_gap,
        file,
    )
    open_now.callback(sink.close)
    return sink


def _publisher(topic: Broker | Cluster, source: Source) -> Sink:
    from replay.sources.kafka_cluster import Cluster

    if isinstance(topic, Cluster):
        from replay.sinks.kafka import KafkaSink

        return KafkaSink(topic, source)
    from replay.sinks.mqtt import MqttSink

    return MqttSink(topic, source)
