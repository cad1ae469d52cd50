"""``replay run``."""

from __future__ import annotations

from typing import Annotated

import typer

from replay.cli.config import ConfigFile
from replay.cli.options.groups import with_groups
from replay.cli.options.learning import Learning
from replay.cli.options.output import Checkpointing, Outputs, Segmenting
from replay.cli.options.reading import (
    INPUT,
    Cells,
    Columns,
    CsvStyle,
    Files,
    Rows,
    above_zero,
    must_have_time,
    needing_time,
    reading_of,
)
from replay.cli.terminal import explained


@with_groups(without=("publish", "serve", "allow_host"))
def run(
    context: typer.Context,
    files: Files = None,
    columns: Columns = Columns(),
    style: CsvStyle = CsvStyle(),
    cells: Cells = Cells(),
    rows: Rows = Rows(),
    speed: Annotated[
        str,
        typer.Option(
            metavar="N|max",
            help="Replay by the times of --time: 1 as fast as rows came, 100 a hundred times "
            "faster, max without waiting.",
            rich_help_panel=INPUT,
        ),
    ] = "max",
    learning: Learning = Learning(),
    outputs: Outputs = Outputs(),
    segmenting: Segmenting = Segmenting(),
    checkpoints: Checkpointing = Checkpointing(),
    config: ConfigFile = None,
) -> None:
    """Label files row by row, and sum up what was found.

    By default the segmenter finds the regimes and how many there are. It reports each change of
    regime with the row at which it began and the reasons. At the end of the file it labels all rows
    a second time, with the whole file at hand. The column `causal_label` keeps the first label,
    which was given when the row came: -1 until a regime is known, and the old regime until a change
    is known. With --causal there is only this first label. With --lag N each row is labelled once,
    N rows later. The rows from the beginning of a change to its report then have the new regime,
    if they are at most N.

    With --regimes, --persist or another option of a model, the learner is a mixture or a hidden
    Markov model. It labels each row by the rows above, *before* it learns the row. Only the rows of
    the warm-up are labelled together. With --persist, --lag and --smooth use later rows too. Rows
    without any value do not count for the warm-up. The warm-up also ends after 10 times its rows,
    with those that have a value.

    The labels have the time, the key and the values as they were, the `label`, its `probability`,
    `outlier` (1 for a row that was far from every regime known when it came) and `change` (1 where
    a change of regime is reported, or after the second time where it began). With --checkpoint they
    also have the `name` of the regime, which is empty until **replay name** gives one.

    The format of the file is detected and printed: delimiter, decimal mark, lines above the header,
    format of times, and without --value the columns that are learnt. If a file can be read in two
    ways, the command ends with a question and names the option that answers it. **replay look
    FILE** shows what a file holds.

    The segments have `start` and `end` (times, or numbers of rows from 1), `label`, `n`, the
    mean `probability` of the label, and mean and standard deviation of each column. --min-dwell and
    --confirm are options of a model, and change its segments only: labels and the table of regimes
    stay the same.

    Example: **replay run pump.csv --segments segments.csv --plot series.png**

    Example, of a mixture: **replay run pump.csv --value pressure --value flow --time when --regimes
    3 --labels labels.csv**

    Example, of segments: **replay run pump.csv --value pressure --segments segments.csv --min-dwell
    50 --confirm 5**

    Example, of a series that changes: **replay run pump.csv --value pressure --half-life 5000
    --recycle**

    Example, of regimes that last: **replay run pump.csv --value pressure --persist --lag 20
    --labels labels.csv**

    Example, at irregular times: **replay run pump.csv --value pressure --time when --persist
    --irregular --smooth**

    Example, of many devices, continued after a stop: **replay run 'log/*.csv.gz' --key device
    --time when --value pressure --labels labels.parquet --checkpoint state --resume**
    """
    with explained():
        from replay.cli.bundled import bundled_tasks, refuse_without_file
        from replay.cli.outputs import check_outputs
        from replay.cli.running import replay_source, series_options
        from replay.engine.protocols import Source
        from replay.sinks.labels import needs_times
        from replay.sinks.refusals import Refusals
        from replay.sources.opening import Files as Opened
        from replay.sources.pace import Paced

        settings, because = learning.settings(context), learning.because(context)
        its_style = style.style(cells.decimal)
        pace = above_zero(speed, "--speed", "max")
        check_outputs(outputs)
        options = series_options(rows, segmenting)
        if not files:
            refuse_without_file(
                value=columns.value,
                time=columns.time,
                key=columns.key,
                sequence=columns.sequence,
                labels=outputs.labels,
                segments=outputs.segments,
                integrate=outputs.integrate,
                costs=outputs.costs,
                plot=outputs.plot,
                report=outputs.report,
                checkpoint=checkpoints.checkpoint,
            )
            for _, source, chosen in bundled_tasks(settings, learning.irregular):
                replay_source(
                    source,
                    chosen,
                    outputs,
                    options,
                    smooth=learning.smooth,
                    causal=learning.labels_once,
                    because=because,
                )
            return
        lasting = checkpoints.checkpoint is not None
        refusals = Refusals(rows.refused, lasting, outputs.escape_formulas)
        option = needing_time(learning, rows, pace)
        timed = option is not None
        timed |= needs_times(outputs.labels, outputs.labels_as)
        timed |= outputs.integrate is not None or outputs.costs is not None
        reading = reading_of(columns, cells, rows, refusals, timed)
        its: Source = Opened(files, reading, its_style)
        must_have_time(option, its.time)
        if pace is not None:
            its = Paced(its, pace)
        replay_source(
            its,
            settings,
            outputs,
            options,
            checkpoints,
            refusals,
            smooth=learning.smooth,
            causal=learning.labels_once or pace is not None,
            clock=reading.clock,
            because=because,
        )
