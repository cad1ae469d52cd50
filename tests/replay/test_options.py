"""Groups of options: what a command makes of them, and how they are called."""

from dataclasses import dataclass, fields
from inspect import signature
from typing import Annotated, Literal, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from online_gmm import OnlineGMM, OnlineHMM, PowerDecay, Segmenter
from online_gmm.learners.hmm import MOST
from replay.cli.app import app
from replay.cli.options.groups import Group, given_options, given_words, with_groups
from replay.cli.options.learning import Learning
from replay.cli.options.output import Segmenting
from replay.cli.options.reading import Rows
from replay.engine.settings import EXPONENT


@dataclass(frozen=True)
class Cut(Group):
    panel = "Cutting"
    depth: Annotated[int | None, typer.Option(min=1, help="How deep.")] = None
    blade: Annotated[Literal["thin", "wide"], typer.Option(help="Which blade.")] = "thin"
    dry: Annotated[bool, typer.Option(help="Without water.")] = False
    names: Annotated[list[str] | None, typer.Option("--name", "--names", help="Of cuts.")] = None


def command(*without, default=Cut()):
    """A command line with one group, and what the command was given."""
    seen = []

    @with_groups(without)
    def cut(context: typer.Context, n: int, how: Cut = default) -> None:
        """Cut something."""
        seen.append((n, how, given_options(context), given_words(context, "n")))

    its = typer.Typer()
    its.command()(cut)
    return its, seen


def test_fields_are_options():
    its, seen = command()
    result = CliRunner().invoke(
        its, ["3", "--depth", "2", "--dry", "--name", "a b", "--names", "c"]
    )
    assert result.exit_code == 0, result.output
    ((n, how, given, words),) = seen
    assert (n, how) == (3, Cut(2, "thin", True, ["a b", "c"]))
    assert given == ["n", "--depth", "--dry", "--name"]
    assert words == ["--depth", "2", "--dry", "--name", "'a b'", "--name", "c"]


def test_a_command_has_defaults_of_its_own_and_may_lack_fields():
    its, seen = command("depth", default=Cut(depth=7, blade="wide"))
    assert CliRunner().invoke(its, ["3"]).exit_code == 0
    assert seen[0][1] == Cut(7, "wide")
    result = CliRunner().invoke(its, ["3", "--depth", "2"])
    assert (result.exit_code, "No such option" in result.output) == (2, True)


def test_help_has_the_panel_and_no_negative_flags():
    its, _ = command()
    text = CliRunner().invoke(its, ["--help"], env={"COLUMNS": "200"}).output
    assert "Cutting" in text
    assert "thin|wide" in text
    assert "--no-dry" not in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("words", "named"), [(["--depth", "0"], "--depth"), (["--blade", "x"], "--blade")]
)
def test_bad_values(words, named):
    its, seen = command()
    result = CliRunner().invoke(its, ["3", *words])
    assert result.exit_code == 2
    assert named in result.stderr
    assert seen == []


def test_a_field_that_is_left_out_must_be_there():
    with pytest.raises(TypeError, match=r"cut has no group with the fields \['width'\]"):
        command("width")


@pytest.mark.parametrize("name", ["run", "live", "land", "check", "look"])
def test_every_option_of_a_command_is_explained(name):
    command = typer.main.get_command(app).commands[name]
    for parameter in command.params:
        assert parameter.help or parameter.hidden, parameter.name


def test_options_are_called_as_in_the_library():
    """The same parameter has the same name, default and choices in both."""
    declared = get_type_hints(Learning, include_extras=True)
    ours = {its.name: its.default for its in fields(Learning)}
    library = {
        name: its.default
        for kind in (OnlineGMM, OnlineHMM)
        for name, its in signature(kind).parameters.items()
    }
    shared = ("covariance_type", "prior_strength", "warm_up", "recycle", "stickiness", "lag")
    for name in shared:
        # None stands for the library's default
        assert ours[name] in (None, library[name]), name
    choices = get_args(signature(OnlineGMM, eval_str=True).parameters["covariance_type"].annotation)
    assert get_args(get_args(declared["covariance_type"])[0]) == choices
    late = get_args(get_args(get_type_hints(Rows, include_extras=True)["late"])[0])
    assert set(get_args(late[0])) == set(
        get_args(signature(OnlineGMM, eval_str=True).parameters["late"].annotation)
    )
    for name in (its.name for its in fields(Segmenting)):
        assert name in signature(Segmenter).parameters


def test_what_help_says_before_learners_are_imported_is_true():
    assert PowerDecay().exponent == EXPONENT
    persist = get_type_hints(Learning, include_extras=True)["persist"].__metadata__[0]
    assert f"At most {MOST} regimes." in persist.help
