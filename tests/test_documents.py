"""Commands that documents show do what is written below them, and links lead somewhere.

Python in documents is run as doctests.
"""

import doctest
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from river.datasets import WaterFlow

import online_gmm
from benchmarks.__main__ import NAMES as BENCHMARKS
from benchmarks.__main__ import asked
from replay.cli.app import app as command_line
from tests.replay.processes import run

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")


@pytest.fixture(autouse=True)
def kernel():
    """Once is enough: in subprocesses the kernel is the installed one anyway."""
    return None


def sessions():
    for path in DOCUMENTS:
        for i, found in enumerate(CONSOLE.finditer(path.read_text())):
            yield pytest.param(found[1], id=f"{path.name}-{i}")


@pytest.mark.parametrize("session", list(sessions()))
def test_commands_print_what_is_written(session, tmp_path, monkeypatch):
    """Of every `$ replay`; `...` is any text, and spaces are all alike."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(WaterFlow().path, tmp_path / "flow.csv")
    for step in session.removeprefix("$ ").split("\n$ "):
        line, _, expected = step.partition("\n")
        program, *arguments = shlex.split(line)
        assert program == "replay"
        said = run(*arguments)
        assert said.returncode == 0, said.stderr
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected.strip(), said.stdout.strip(), flags), (
            said.stdout
        )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for target in LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/code.md"])
def test_paths_are_there(name):
    """Of every path that is named from the root, in backticks."""
    named = re.findall(
        r"`((?:online_gmm|replay|tests|scripts|docs|examples|benchmarks)/[\w./]*)`",
        (ROOT / name).read_text(),
    )
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).exists(), path


def test_names_of_the_path_of_a_point_are_there():
    """A name in backticks that follows a file of the code is in that file."""
    text = (ROOT / "docs" / "code.md").read_text()
    named = re.findall(r"`(online_gmm/[\w./]+\.py)`, `(?:\w+\.)?(\w+)`", text)
    assert len(named) > 5
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), (path, name)


def public_names():
    """The names of the library, and of the modules that are imported by themselves."""
    modules = {"data", "em", "features", "learners", "segmentation"}
    for name in sorted(set(online_gmm.__all__) - modules):
        yield name, getattr(online_gmm, name)
    for module in ("plot", "sklearn", "spark"):
        its = importlib.import_module(f"online_gmm.{module}")
        for name in getattr(its, "__all__", vars(its)):
            value = getattr(its, name)
            own = getattr(value, "__module__", "").startswith(its.__name__)
            if own and not name.startswith("_") and not inspect.ismodule(value):
                yield f"{module}.{name}", value


NAMES = dict(public_names())


def test_there_are_public_names():
    assert {"Segmenter", "plot.series", "sklearn.StreamingGaussianMixture", "spark.Track"} <= {
        *NAMES
    }


@pytest.mark.parametrize("name", list(NAMES))
def test_a_public_name_is_documented_and_in_the_reference(name):
    lines = {line.strip() for line in (ROOT / "docs" / "api.md").read_text().splitlines()}
    assert name in lines
    value = NAMES[name]
    assert value.__doc__
    if inspect.isclass(value):
        for method in dir(value):
            its = getattr(value, method)
            ours = getattr(its, "__module__", "online_gmm") or "online_gmm"
            if not method.startswith("_") and ours.startswith("online_gmm"):
                assert inspect.getdoc(its) or not callable(its), method


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def test_options_that_documents_name_are_there():
    """Of a command of replay, or of a script."""
    group = typer.main.get_command(command_line)
    known = {
        option
        for command in group.commands.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {option for parameter in group.params for option in parameter.opts}
    scripts = [*(ROOT / "scripts").iterdir(), *(ROOT / "benchmarks").glob("*.py")]
    for path in [*scripts, *(ROOT / "tests").rglob("crash.py")]:
        known |= set(OPTION.findall(path.read_text()))
    known |= {"--editable", "--help", "--unbuffered", "--version"}
    for path in DOCUMENTS:
        if path.name != "CHANGELOG.md":
            assert set(OPTION.findall(path.read_text())) <= known, path


@pytest.mark.parametrize("name", ["benchmarks", "benchmarks.growth"])
def test_benchmarks_that_are_asked_for_help_measure_nothing(name):
    command = [sys.executable, "-m", name, "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")


def test_benchmarks_are_run_by_name():
    assert asked(["growth", "start"]) == ["growth", "start"]
    assert asked([]) == list(BENCHMARKS)
    with pytest.raises(SystemExit):
        asked(["growht"])


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_readme_shows_a_command():
    assert "$ replay" in (ROOT / "README.md").read_text()
