"""The command line. What is slow to import is imported where it is needed: help is instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import online_gmm
from replay.cli.terminal import OUT, err, explained

COMMANDS = ("run", "check", "live", "land", "look", "models", "name", "config")
QUICK = ("config", "look", "name")
"""Commands that learn nothing."""


class Commands(Mapping[str, Any]):
    """Commands by their names. Each has a module, which is imported when it is asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        if name not in self._built:
            alone = typer.Typer(rich_markup_mode="markdown", add_completion=False)
            # what follows it is another command line
            others = {"ignore_unknown_options": True, "allow_interspersed_args": False}
            called = getattr(import_module(f"replay.cli.{name}"), name)
            alone.command(context_settings=others if name == "config" else None)(called)
            self._built[name] = typer.main.get_command(alone)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": Commands()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is asked for; a file in its place is an error that says what to do."""
        if args and args[0] not in COMMANDS and Path(args[0]).is_file():
            ctx.fail(f"{args[0]!r} is a file and no command; replay look FILE shows what it holds")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Group,
    rich_markup_mode="markdown",
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"online-gmm {online_gmm.__version__}, {online_gmm.__kernel__} kernel")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def replay(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Print the version, and whether the kernel is compiled.",
        ),
    ] = False,
) -> None:
    """Which regime is a series in, and since when? For files and for live streams.

    **replay look** shows what a file holds, **replay run** labels it row by row, **replay live**
    labels rows as they come, **replay check** compares with batch EM, **replay models** shows what
    a checkpoint has learnt, **replay name** gives a regime a name, **replay land** writes live rows
    to files for an engine such as Spark, **replay config** writes a command line to a file.

    Without a command, run and check are done for the two bundled series: the 50-point series, as a
    mixture of three regimes, and river's WaterFlow, whose regimes are found. check compares the
    mixture with batch EM for both. Labels and pictures go to the folder `out`.

    Exit status: 0 when all is well and within the tolerances, 1 when not within them, 2 for bad
    input, 130 or 143 when a signal has ended a replay.
    """
    if context.invoked_subcommand not in QUICK and online_gmm.__kernel__ == "interpreted":
        err().print(
            "note: the kernel is interpreted: same numbers, much slower; install where there is a "
            "C compiler"
        )
    if context.invoked_subcommand is not None:
        return
    with explained():
        from replay.cli.bundled import bundled_tasks
        from replay.cli.check import Comparing
        from replay.cli.checking import compare
        from replay.cli.options.output import Outputs
        from replay.cli.running import replay_source
        from replay.engine.settings import Settings
        from replay.sinks.refusals import Refusals

        all_passed = True
        for name, source, settings in bundled_tasks(Settings()):
            outputs = Outputs(OUT / f"{name}_labels.csv", plot=OUT / f"{name}_series.png")
            # 50 points are 3 levels in a mixture; the regimes of WaterFlow are found
            replay_source(source, replace(settings, finds=name == "WaterFlow"), outputs)
            picture = OUT / f"{name}_check.png"
            tolerances = Comparing().tolerances()
            all_passed &= compare(source, settings, tolerances, picture, None, Refusals())
    raise typer.Exit(0 if all_passed else 1)
