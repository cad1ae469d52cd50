"""``replay check``."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.cli.options.groups import Group, with_groups
from replay.cli.options.learning import Learning
from replay.cli.options.output import OUTPUT, Outputs
from replay.cli.options.reading import Cells, Columns, CsvStyle, Files, reading_of
from replay.cli.terminal import OUT, explained
from replay.engine.rows import InputError

if TYPE_CHECKING:
    from replay.checks.check import Tolerances


@dataclass(frozen=True)
class Comparing(Group):
    """How the comparison is made, and what it takes to pass."""

    panel = "Comparison"
    passes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of passes over the file. [default: once; with --exact until nothing "
            "moves; with --incremental up to 60 times]",
        ),
    ] = None
    exact: Annotated[
        bool,
        typer.Option(
            help="Do not stream: add up the statistics of the whole file under frozen parameters, "
            "pass after pass. The result must be that of batch EM.",
        ),
    ] = False
    incremental: Annotated[
        bool,
        typer.Option(
            help="Do not stream: Neal & Hinton's incremental EM, pass after pass over the rows in "
            "memory. The responsibilities of a row are replaced when it comes again, and the "
            "parameters follow at once. The result must be that of batch EM, in fewer passes, and "
            "the free energy must never fall. No value may be missing. Memory holds one number "
            "more for each row and regime.",
        ),
    ] = False
    polish: Annotated[
        bool,
        typer.Option(
            help="After the last pass, make one more that polishes the reported parameters. The "
            "line it adds decides.",
        ),
    ] = False
    max_gap: Annotated[
        float, typer.Option(help="Nats a row by which batch EM may be more likely.")
    ] = 0.01
    min_agreement: Annotated[
        float, typer.Option(help="Least adjusted Rand index of the labels.")
    ] = 0.95
    max_error: Annotated[
        float,
        typer.Option(
            help="Largest relative error of a parameter with --exact; with --incremental, between "
            "the fixed points of the two."
        ),
    ] = 1e-6
    max_gap_exact: Annotated[
        float,
        typer.Option(
            help="Nats a row that --incremental may end away from the fixed point of batch EM."
        ),
    ] = 1e-9

    def tolerances(self) -> Tolerances:
        """What passes at the end."""
        from replay.checks.check import Tolerances

        return Tolerances(self.max_gap, self.min_agreement, self.max_error if self.exact else None)


@with_groups(
    without=(
        *("key", "sequence", "time_format", "time_zone"),
        *("learner", "window", "half_life", "persist", "stickiness", "lag", "smooth", "causal"),
        *("irregular", "shared_model", "integrate", "costs"),
        *("labels", "labels_as", "segments", "plot", "plot_key", "publish", "serve", "allow_host"),
    )
)
def check(
    files: Files = None,
    columns: Columns = Columns(),
    style: CsvStyle = CsvStyle(),
    cells: Cells = Cells(),
    comparing: Comparing = Comparing(),
    learning: Learning = Learning(),
    persist: Annotated[bool, typer.Option("--persist", hidden=True)] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the comparison here. [default: out/FILE_check.png]",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    outputs: Outputs = Outputs(),
) -> None:
    """Compare the learner with batch EM on the same rows: same start, same prior.

    The table has a line at 1, 2, 5, 10, ... rows and one at the end. It shows how much more likely
    the rows are under batch EM, how far apart the parameters of matched components are, and how
    well the labels agree. The last line decides: exit status 0 if it is within the tolerances, 1 if
    not. For batch EM all values are held in memory, 8 bytes each. Batch EM forgets nothing: with
    --recycle, a regime that is retired counts as lost.

    Example: **replay check pump.csv --value pressure --regimes 2 --passes 3**

    Example, with one more pass at the end: **replay check pump.csv --value pressure --polish**

    Example, not streamed: **replay check pump.csv --value pressure --exact**

    Example, the same optimum in fewer passes: **replay check pump.csv --value pressure
    --incremental**
    """
    with explained():
        from replay.cli.bundled import Task, bundled_tasks, refuse_without_file
        from replay.cli.checking import compare, compare_increments
        from replay.cli.outputs import check_outputs
        from replay.sinks.refusals import Refusals
        from replay.sources.opening import Files as Opened

        its = comparing
        _refuse(its, persist, learning.recycle, outputs.report)
        check_outputs(replace(outputs, plot=plot))
        settings = learning.mixture()
        its_style, refusals = style.style(cells.decimal), Refusals()
        if not files:
            refuse_without_file(
                value=columns.value, time=columns.time, plot=plot, report=outputs.report
            )
            tasks, clock = bundled_tasks(settings), None
        else:
            reading = reading_of(columns, cells, refusals=refusals)
            clock, opened = reading.clock, Opened(files, reading, its_style)
            name = "input" if files[0] == "-" else Path(files[0]).name.split(".")[0] or "series"
            tasks = iter([Task(name, opened, settings)])
        all_passed = True
        for name, source, chosen in tasks:
            picture = plot or OUT / f"{name}_check.png"
            with closing(source):
                if its.incremental:
                    passed = compare_increments(
                        source,
                        chosen,
                        its.max_gap_exact,
                        its.max_error,
                        picture,
                        its.passes,
                        refusals,
                    )
                else:
                    passed = compare(
                        source,
                        chosen,
                        its.tolerances(),
                        picture,
                        its.passes,
                        refusals,
                        its.polish,
                        outputs.report,
                        clock,
                    )
            all_passed &= passed
    raise typer.Exit(0 if all_passed else 1)


def _refuse(comparing: Comparing, persist: bool, recycle: bool, report: Path | None) -> None:
    """Refuse options that do not go together."""
    if persist:
        raise InputError(
            "--persist is for replay run; replay check compares the mixture, which labels every "
            "row by itself, with batch EM"
        )
    not_streamed = comparing.exact or comparing.incremental
    if report is not None and not_streamed:
        raise InputError(
            "--report is for the learner, and with --exact or --incremental nothing streams; "
            "leave it out"
        )
    if comparing.exact and comparing.incremental:
        raise InputError("--exact and --incremental are two checks; give one of them")
    if not_streamed:
        name = "--exact" if comparing.exact else "--incremental"
        for option, given in {"--recycle": recycle, "--polish": comparing.polish}.items():
            if given:
                raise InputError(
                    f"{option} is for the learner, and {name} does not stream; give one of them"
                )
