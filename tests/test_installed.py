"""What is installed says so, and what is missing is named with the command that installs it."""

import subprocess
import sys
from pathlib import Path

import pytest

import online_gmm
from online_gmm._kernel import points

ROOT = Path(__file__).parents[1]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(autouse=True)
def kernel():
    """Once is enough: in subprocesses the kernel is the installed one anyway."""
    return None


@pytest.fixture
def without(tmp_path: Path):
    """Run replay as if a module were not installed."""

    def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = (
            f"import sys; sys.modules[{module!r}] = None; sys.argv = ['replay', *{arguments!r}]\n"
            "from replay.__main__ import main\n"
            "main()\n"
        )
        return python("-c", code)

    return run


def test_the_kernel_is_named():
    runs_as_python = Path(points.__file__).suffix == ".py"
    assert online_gmm.__kernel__ == ("interpreted" if runs_as_python else "compiled")


def test_the_package_says_what_it_is():
    said = python("-m", "online_gmm").stdout
    assert said.startswith(f"online-gmm {online_gmm.__version__}, Python 3.")
    assert "\nkernel: compiled\n" in said or "\nkernel: interpreted: " in said
    for command in ("look", "run", "live", "check"):
        assert f"\nreplay {command} " in said


def test_the_command_says_its_version():
    said = python("-m", "replay", "--version")
    assert said.stdout.startswith(f"online-gmm {online_gmm.__version__}, ")
    assert said.returncode == 0


@pytest.mark.parametrize(("kernel", "notes"), [("interpreted", 1), ("compiled", 0)])
def test_an_interpreted_kernel_is_said_once(kernel, notes):
    code = (
        "import sys, online_gmm\n"
        f"online_gmm.__kernel__ = {kernel!r}\n"
        "sys.argv = ['replay', 'run', 'examples/first_series.csv', '--value', 'value']\n"
        "from replay.__main__ import main\n"
        "main()\n"
    )
    said = python("-c", code)
    assert said.returncode == 0, said.stderr
    assert said.stderr.count("the kernel is interpreted") == notes


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_a_command_line_that_is_not_installed_says_what_installs_it(without, module):
    said = without(module, "run", "examples/first_series.csv", "--value", "value")
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr == (
        f"error: replay needs {module}, which is not installed; install what the command line "
        "needs: pip install 'online-gmm[replay]'\n"
    )


def test_times_that_cannot_be_read_say_so_too(without, tmp_path):
    series = tmp_path / "series.csv"
    series.write_text("when,value\n" + "".join(f"{i}. Mai 2024,{i}\n" for i in range(1, 31)))
    options = ("--value", "value", "--time", "when", "--late", "skip")
    said = without("dateutil", "run", str(series), *options)
    assert said.returncode == 2
    assert "replay needs dateutil" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_picture_that_cannot_be_drawn_says_so_too(without, tmp_path):
    picture = str(tmp_path / "out.png")
    said = without(
        "matplotlib", "run", "examples/first_series.csv", "--value", "value", "--plot", picture
    )
    assert said.returncode == 2
    assert "replay needs matplotlib" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_fault_is_not_called_a_missing_extra(without):
    said = without("replay.cli.running", "run", "examples/first_series.csv")
    assert said.returncode == 1
    assert "Traceback" in said.stderr


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("aeon", "aeon"),
        ("plot", "matplotlib"),
        ("sklearn", "sklearn"),
        ("sktime", "sktime"),
        ("spark", "pyspark"),
    ],
)
def test_a_part_that_is_not_installed_says_what_installs_it(module, needs):
    said = python("-c", f"import sys; sys.modules[{needs!r}] = None; import online_gmm.{module}")
    assert said.returncode == 1
    last = said.stderr.splitlines()[-1]
    assert f"online_gmm.{module} needs " in last
    assert last.endswith(f": pip install 'online-gmm[{module}]'")
    # one error, without the one that it came from
    assert said.stderr.count("Traceback") == 1
