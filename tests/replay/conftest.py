"""The replay is tested once, with the learner as it is installed."""

import csv
import functools
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

# this folder is called replay as well: the package must be found first
sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.append(str(Path(__file__).parent))

from broker import AMQTT, MOSQUITTO, TestBroker, name_of_broker


@pytest.fixture(autouse=True)
def _no_file_is_small(monkeypatch):
    """Files of tests are short, and cut as long ones are."""
    monkeypatch.setattr("replay.sources.csv_file.SMALL", 0)


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures of comparisons take most of their time: for tests of what is said beside them."""
    for name in ("draw_check", "draw_increments"):
        monkeypatch.setattr(f"replay.views.plot.{name}", lambda *_: None)


@pytest.fixture
def small_pieces(monkeypatch):
    """Files are cut in pieces of so many bytes: a short file is of several."""

    def set_to(size, careful=None):
        monkeypatch.setattr("replay.sources.pieces.PIECE", size)
        if careful is not None:
            monkeypatch.setattr("replay.sources.pieces.WITH_CARE", careful)
            monkeypatch.setattr("replay.sources.pieces.MOST_CARE", 4 * careful)

    return set_to


def pytest_report_header():
    """Which broker the tests of MQTT are run with."""
    return f"broker: {name_of_broker()}"


@pytest.fixture
def any_broker(tmp_path):
    """A broker of its own for a test."""
    if not (MOSQUITTO or AMQTT.exists()):
        pytest.skip("there is no broker: neither mosquitto nor amqtt")
    broker = TestBroker(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.fixture
def broker(any_broker):
    """A broker that keeps messages for a reader that is away."""
    if not MOSQUITTO:
        pytest.skip("there is no mosquitto, and amqtt loses what comes while a reader is away")
    return any_broker


@pytest.fixture
def kernel():
    """Take the place of the fixture that runs every test with each kind of kernel."""


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    """Pictures go to a folder of the current directory."""
    monkeypatch.chdir(tmp_path)


command_of = functools.cache(get_command)


@pytest.fixture
def cli(monkeypatch):
    """Run the command line in this process; with the mixture, unless a learner is named."""
    from replay.cli.app import app

    # the command is made once for all tests: that takes as long as a short replay
    monkeypatch.setattr("typer.testing._get_command", command_of, raising=False)

    def run(*arguments: object) -> Result:
        words = [str(argument) for argument in arguments]
        named = {"--learner", "--persist"} & set(words)
        if words[:1] in (["run"], ["live"]) and not named:
            words += ["--learner", "mixture"]
        return CliRunner().invoke(app, words)

    return run


@pytest.fixture
def write_levels(tmp_path):
    """Write a file of rows from two levels that overlap, with some values missing."""

    def write(n: int, name: str = "levels.csv") -> Path:
        rng = np.random.default_rng(3)
        high = rng.random(n) < 0.4
        level = rng.normal(np.where(high, 14.0, 10.0), 1.0)
        load = rng.normal(np.where(high, -2.0, 2.0), 2.0)
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["when", "level", "note", "load"])
            for i in range(n):
                level_text = "" if i % 97 == 50 else f"{level[i]:.3f}"
                load_text = "NaN" if i % 89 == 50 or i % 97 == 50 else f"{load[i]:.3f}"
                writer.writerow([f"t{i}", level_text, f'"{i}", noted', load_text])
        return path

    return write


@pytest.fixture
def two_levels(write_levels):
    """A file of 1500 such rows."""
    return write_levels(1500)
