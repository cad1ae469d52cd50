"""``--config FILE`` and ``replay config``: options in a file instead of a long line."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from replay.cli.terminal import explained
from replay.engine.rows import InputError

NOT_IN_FILES = ("config", "help")
"""Parameters that a file cannot hold."""
SIMPLE = (str, int, float)


def _read(context: typer.Context, path: Path | None) -> Path | None:
    """Take the options of a file for defaults."""
    if path is not None:
        with explained():
            context.default_map = {**(context.default_map or {}), **options_in(path, context)}
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Take options from this file: a line for each, such as value = ['pressure', 'flow'] "
        "or min-dwell = 5. What stands on the command line wins. replay config writes such a file.",
        show_default=False,
        is_eager=True,
        callback=_read,
    ),
]


def options_in(path: Path, context: typer.Context) -> dict[str, Any]:
    """The options of a file, by the names of their parameters.

    Parameters
    ----------
    path
        A TOML file.
    context
        Of the command that has the options.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is no option of the command.
    """
    try:
        with path.open("rb") as file:
            lines = tomllib.load(file)
    except OSError as error:
        raise InputError(f"--config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--config {path} is no TOML: {error}") from None
    known = _parameters(context)
    found: dict[str, Any] = {}
    for name, value in lines.items():
        parameter = known.get(name.replace("_", "-"))
        if parameter is None:
            close = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0.5)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise InputError(
                f"--config {path}: {name!r} is no option of replay {context.info_name}{meant}"
            )
        found[parameter.name or ""] = _checked(path, name, value, parameter)
    return found


def _parameters(context: typer.Context) -> dict[str, Any]:
    """What a file can hold: parameters by their names as they are typed."""
    return {
        word.removeprefix("--"): parameter
        for parameter in context.command.params
        if parameter.name not in NOT_IN_FILES
        for word in (*parameter.opts, (parameter.name or "").replace("_", "-"))
        if word.startswith("--") or "-" not in word[:1]
    }


def _checked(path: Path, name: str, value: Any, parameter: Any) -> Any:
    is_flag = bool(getattr(parameter, "is_flag", False))
    takes_many = bool(parameter.multiple) if hasattr(parameter, "multiple") else False
    takes_many |= parameter.nargs == -1
    if isinstance(value, bool) != is_flag or isinstance(value, dict):
        wanted = "true or false" if is_flag else "a text, a number, or a list of them"
        raise InputError(f"--config {path}: {name} is {value!r}; it must be {wanted}")
    if takes_many and not isinstance(value, list):
        value = [value]
    if isinstance(value, list):
        if not takes_many:
            raise InputError(f"--config {path}: {name} is a list, and the option takes one value")
        if not all(type(item) in SIMPLE for item in value):
            raise InputError(f"--config {path}: {name} must be a list of texts or numbers")
        return [str(item) for item in value]
    return value if is_flag else str(value)


def config(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND [OPTIONS]",
            help="A command line of replay live, run or land, without the word replay.",
        ),
    ],
) -> None:
    """Write a file for --config, on standard output, from a command line. Nothing is run.

    Example: **replay config live mqtt://localhost/pumps/+/state --key topic:2 --value pressure
    --checkpoint state --resume > pump.toml**, and then **replay live --config pump.toml**
    """
    with explained():
        assert context.parent is not None
        group: Any = context.parent.command
        command = group.get_command(context.parent, words[0])
        if command is None or not any(its.name == "config" for its in command.params):
            raise InputError(f"replay {words[0]} takes no --config; live, run and land do")
        its = command.make_context(words[0], list(words[1:]), parent=context.parent)
        for line in (f"# replay {words[0]} --config THIS_FILE", *_lines(its)):
            print(line)


def _lines(context: typer.Context) -> list[str]:
    lines = []
    for parameter in context.command.params:
        name = parameter.name or ""
        origin = context.get_parameter_source(name)
        if name in NOT_IN_FILES or origin is None or origin.name == "DEFAULT":
            continue
        typed = parameter.opts[0].removeprefix("--").replace("_", "-")
        lines.append(f"{typed} = {_as_toml(context.params[name])}")
    return lines


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_as_toml, value))}]"
    # a text of JSON is one of TOML, but for the character DEL
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
