"""Options of notifications about changes of regime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from replay.cli.options.groups import Group
from replay.engine.rows import InputError

BROKERS = ("mqtt://", "mqtts://")


@dataclass(frozen=True)
class Notifying(Group):
    """Where notifications of changes go, and when."""

    panel = "Notifying changes"
    notify: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Send each change of regime there, and nothing else, as JSON. "
            "mqtt://HOST/TOPIC/{key} keeps the state of each key (retained); https://... is posted "
            "to; command:PROGRAM is run; mailto://..., slack://... and others need apprise. Repeat "
            "it for more.",
        ),
    ] = None
    hold_off: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.0,
            help="With --notify: send a change only after the new regime has lasted so long, by "
            "the clock of this machine.",
        ),
    ] = 0.0
    remind: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1.0,
            help="With --notify: remind every so many seconds that a regime still lasts. "
            "[default: never]",
        ),
    ] = None
    home_assistant: Annotated[
        bool,
        typer.Option(
            help="With --notify mqtt://...: make each key a device of Home Assistant, with its "
            "regime, since when, and how probable.",
        ),
    ] = False

    def check(self) -> None:
        """Refuse what has no use without the others.

        Raises
        ------
        InputError
            If an option needs ``--notify``, or a broker there, and that is not given.
        """
        if self.notify:
            if self.home_assistant and not any(its.startswith(BROKERS) for its in self.notify):
                raise InputError(
                    "--home-assistant needs a broker that Home Assistant reads; add --notify "
                    "mqtt://HOST/TOPIC/{key}"
                )
            return
        given = {
            "--hold-off": self.hold_off,
            "--remind": self.remind is not None,
            "--home-assistant": self.home_assistant,
        }
        if name := next((name for name, is_given in given.items() if is_given), None):
            raise InputError(f"{name} is for --notify, the address of notifications; add it")
