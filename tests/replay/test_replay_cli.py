"""The command line as a user meets it, in a process of its own."""

import csv
import os
import re
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from online_gmm.em.mixture import COVARIANCE_TYPES
from replay.cli import bundled
from replay.cli.options.learning import Learning


def replay(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "replay", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=6000,
    )


def test_without_arguments_both_series_are_checked(tmp_path):
    result = replay()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "first_series.csv" in result.stdout
    assert "water-flow.csv" in result.stdout
    assert result.stdout.count("PASS") == 4
    assert "FAIL" not in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{series}_{what}"
        for series in ("WaterFlow", "first_series")
        for what in ("check.png", "labels.csv", "series.png")
    ]
    with (tmp_path / "out" / "WaterFlow_labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    known = ["label", "probability", "outlier", "change", "causal_label"]
    assert rows[0] == ["Time", "Water flow [l/s]", *known]
    assert len(rows) == 1 + 1268
    assert result.stderr == ""


@pytest.mark.parametrize("command", ["run", "check"])
def test_bundled_series_by_command(command, cli):
    result = cli(command)
    assert result.exit_code == 0, result.output
    assert "first_series.csv" in result.stdout
    assert "water-flow.csv" in result.stdout


def test_without_a_checkout(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "FIRST_SERIES", tmp_path / "none.csv")
    result = cli("run")
    assert result.exit_code == 0, result.output
    assert "going on with WaterFlow" in result.stderr
    assert "water-flow.csv" in result.stdout


def test_options_of_a_file_need_one(cli):
    result = cli("run", "--labels", "labels.csv")
    assert result.exit_code == 2
    assert "--labels is for a file of yours" in result.stderr


def test_bad_file_in_its_own_process(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("level\n1\nabc\n")
    result = replay("run", path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"error: {path}, line 3, column 'level': 'abc' is no number; "
        "leave the cell empty if the value is missing, or say --missing with what stands for it; "
        "--on-bad missing takes all that is no number as missing\n"
    )


def test_console_script_and_module_are_one(two_levels):
    from replay.__main__ import main

    assert callable(main)
    result = replay("run", two_levels, "--value", "level", "--regimes", 2, "--labels", "-")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "level,label,probability,outlier,change"
    assert len(result.stdout.splitlines()) == 1501
    assert "1,500 rows" in result.stderr


def test_reader_that_goes_away(two_levels):
    """As with ``replay run ... --labels - | head -1``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "replay", "run", two_levels, "--value", "level", "--labels", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0
    assert b"Traceback" not in errors


@pytest.mark.parametrize("command", [[], ["run"], ["check"]])
def test_help_is_quick_and_has_an_example(command):
    code = (
        "import sys; from replay.cli.app import app\n"
        f"try: app({[*command, '--help']!r})\n"
        "finally: assert not {'numpy', 'river', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert ("Example: replay" in result.stdout) == bool(command)


@pytest.mark.parametrize(
    ("command", "examples"),
    [("run", ["--half-life", "--recycle"]), ("check", ["--incremental", "--polish", "--exact"])],
)
def test_options_have_an_example(command, examples, cli):
    text = cli(command, "--help").stdout
    assert cli(command, "-h").stdout == text
    before_options = " ".join(text[: text.index("Arguments")].split())
    for option in examples:
        assert re.search(rf"Example[^:]*: replay {command} pump\.csv [^:]*{option}", before_options)
    assert "[default: 0.7]" in " ".join(re.sub("[│]", "", text).split())


def test_covariance_types_are_the_librarys():
    declared, _ = get_args(get_type_hints(Learning, include_extras=True)["covariance_type"])
    assert set(get_args(declared)) == set(COVARIANCE_TYPES)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("covariance", COVARIANCE_TYPES)
def test_every_covariance_type_runs(covariance, two_levels, cli):
    options = [
        "--value",
        "level",
        "--value",
        "load",
        "--regimes",
        2,
        "--covariance-type",
        covariance,
    ]
    result = cli("check", two_levels, *options)
    assert result.exit_code == 0, result.output
    assert f"{covariance} covariance" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--exponent", 0.3], ["--exponent", 2], ["--regimes", 0], ["--prior-strength", "nan"]],
)
def test_bad_options(arguments, two_levels, cli):
    result = cli("run", two_levels, "--value", "level", *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr


def test_a_file_in_place_of_a_command_is_told(cli, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a\n1\n")
    result = cli(path)
    assert result.exit_code == 2
    assert "is a file and no command; replay look FILE shows what it holds" in " ".join(
        result.stderr.replace("│", " ").split()
    )
    assert "No such command 'rows'" in cli("rows").stderr
