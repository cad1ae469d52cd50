"""Groups of options: dataclasses whose fields become options of a command.

A command takes a group as one parameter. The default of the parameter holds the command's own
defaults::

    @app.command()
    @with_groups(without=("key",))
    def look(files: Files, columns: Columns = Columns(), style: CsvStyle = CsvStyle()) -> None: ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from copy import copy
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

Command = Callable[..., None]


class Group:
    """The base of the groups. Each field of a group is ``Annotated`` with its option.

    The panel of the help text is that of the group. A field of type ``bool`` is a flag without a
    negative form. A default of None is not shown.
    """

    panel: ClassVar[str]


def with_groups(without: Iterable[str] = ()) -> Callable[[Command], Command]:
    """Give a command an option for each field of the groups that it takes.

    Parameters
    ----------
    without
        Fields that are no options of this command. They keep the default of the group.

    Raises
    ------
    TypeError
        If a name in ``without`` is not a field of a group of the command.
    """
    left_out = set(without)

    def expand(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        parameters: list[Parameter] = []
        defaults: dict[str, Any] = {}
        names: dict[str, list[str]] = {}
        unknown = set(left_out)
        for parameter in signature(command).parameters.values():
            kind = hints[parameter.name]
            if not (isinstance(kind, type) and issubclass(kind, Group)):
                parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind))
                continue
            default = defaults[parameter.name] = parameter.default
            fields = [field.name for field in dataclasses.fields(default)]
            unknown -= set(fields)
            names[parameter.name] = [name for name in fields if name not in left_out]
            of_fields = get_type_hints(kind, include_extras=True)
            for name in names[parameter.name]:
                value = getattr(default, name)
                annotation = _option(name, of_fields[name], value, kind.panel)
                parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=value,
                                            annotation=annotation))  # fmt: skip
        if unknown:
            raise TypeError(f"{command.__name__} has no group with the fields {sorted(unknown)}")

        def expanded(**given: Any) -> None:
            for group, its in names.items():
                values = {name: given.pop(name) for name in its}
                given[group] = dataclasses.replace(defaults[group], **values)
            command(**given)

        expanded.__name__, expanded.__doc__ = command.__name__, command.__doc__
        expanded.__annotations__ = {its.name: its.annotation for its in parameters}
        expanded.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return expanded

    return expand


def _option(name: str, hint: Any, default: Any, panel: str) -> Any:
    """The annotation of a field, completed."""
    assert get_origin(hint) is Annotated, name
    kind, declared = get_args(hint)
    option: OptionInfo = copy(declared)
    option.rich_help_panel = panel
    if default is None:
        option.show_default = False
    if kind is bool and option.default is ...:
        # the first name given to `typer.Option`
        option.default = f"--{name.replace('_', '-')}"
    return Annotated[kind, option]


def given_options(context: typer.Context, names: Iterable[str] | None = None) -> list[str]:
    """The options that stand on the command line, of these parameters or of all."""
    chosen = None if names is None else set(names)
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if (name := parameter.name or "") and (chosen is None or name in chosen)
        if (origin := context.get_parameter_source(name)) is not None
        if origin.name != "DEFAULT"
    ]


def given_words(context: typer.Context, *but: str) -> list[str]:
    """The options on the command line with their values, as words for a shell."""
    from shlex import quote

    words = []
    given = set(given_options(context))
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in but or parameter.opts[0] not in given:
            continue
        value = context.params[name]
        if value is True:
            words.append(parameter.opts[0])
            continue
        for text in value if isinstance(value, list) else [value]:
            words += [parameter.opts[0], quote(str(text))]
    return words
