"""``replay live``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import typer

from replay.cli.config import ConfigFile
from replay.cli.options.groups import with_groups
from replay.cli.options.learning import Learning
from replay.cli.options.notifying import Notifying
from replay.cli.options.output import Checkpointing, Outputs, Segmenting
from replay.cli.options.reading import (
    Address,
    BrokerOptions,
    Cells,
    Columns,
    Rows,
    must_have_time,
    needing_time,
    reading_of,
)
from replay.cli.terminal import explained
from replay.engine.rows import InputError


@with_groups(without=("smooth", "causal", "plot", "plot_key"))
def live(
    context: typer.Context,
    address: Address = "-",
    columns: Columns = Columns(),
    cells: Cells = Cells(),
    rows: Rows = Rows(on_bad="skip"),
    broker: BrokerOptions = BrokerOptions(),
    learning: Learning = Learning(),
    outputs: Outputs = Outputs(labels=Path("-")),
    segmenting: Segmenting = Segmenting(),
    notifying: Notifying = Notifying(),
    checkpoints: Checkpointing = Checkpointing(
        every_rows=10_000, every_seconds=10.0, in_memory=10_000
    ),
    config: ConfigFile = None,
) -> None:
    """Label rows as they come: which regime is each device in, and since when?

    It ends with its input, or by Ctrl-C or SIGTERM. With --checkpoint, what is learnt is saved
    then, and messages are acknowledged only after they are saved: none is lost, and those that come
    twice are recognised by --sequence or --time and dropped. The segmenter labels rows -1 until a
    regime is known. With --regimes or another option of a model, rows of the warm-up wait until it
    is complete.

    Example: **sensor | replay live - --value temperature --time t --regimes 2**

    Example, of devices on a broker: **replay live 'mqtt://localhost/plant/+/state' --key topic:2
    --value temperature --value load --time t --sequence n --checkpoint state --resume --serve
    127.0.0.1:8080**

    Example, that tells every change of regime to Home Assistant: **replay live
    'mqtt://localhost/plugs/+/SENSOR' --key topic:2 --value ENERGY.Power --notify
    'mqtt://localhost/regimes/{key}' --home-assistant --checkpoint state --resume**
    """
    with explained():
        from replay.cli.listening import live_source, names_split, target_of
        from replay.cli.outputs import check_outputs
        from replay.cli.running import replay_source, series_options
        from replay.sinks.refusals import Refusals

        settings, because = learning.settings(context), learning.because(context)
        must_have_time(needing_time(learning, rows), columns.time)
        lasting = checkpoints.checkpoint is not None
        refusals = Refusals(rows.refused, lasting, outputs.escape_formulas)
        reading = names_split(reading_of(columns, cells, rows, refusals, columns.time is not None))
        topic = None
        if outputs.publish is not None:
            topic = target_of(outputs.publish, broker)
        if outputs.allow_host and outputs.serve is None:
            raise InputError("--allow-host is for --serve, the page; add --serve, or leave it out")
        check_outputs(outputs)
        notifying.check()
        notify = None
        if notifying.notify:
            from replay.cli.notifying import notices_of

            notify = partial(notices_of, notifying, broker, reading.clock)
        options = series_options(replace(rows, late=rows.late or "skip"), segmenting)
        source = live_source(address, reading, broker)
        replay_source(
            source,
            settings,
            outputs,
            options,
            checkpoints,
            refusals,
            topic=topic,
            live=True,
            notify=notify,
            clock=reading.clock,
            because=because,
        )
