"""Options in a file, and the examples of services that are run with one."""

import json
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from test_live import Replay, message
from test_mqtt import publish

SERVICE = Path(__file__).parents[2] / "examples" / "service"
LINE = [
    *("live", "-", "--value", "a b,c", "--value", 'd"\\e', "--warm-up", "60", "--regimes", "2"),
    *("--prior-strength", "0.5", "--resume", "--checkpoint", "state", "--as", "csv"),
]


def test_a_file_says_the_same_as_a_command_line(cli, tmp_path):
    written = cli("config", *LINE)
    assert written.exit_code == 0, written.output
    assert tomllib.loads(written.output) == {
        "address": "-",
        "value": ["a b,c", 'd"\\e'],
        "warm-up": 60,
        "regimes": "2",
        "prior-strength": 0.5,
        "resume": True,
        "checkpoint": "state",
        "as": "csv",
    }
    path = tmp_path / "live.toml"
    path.write_text(written.output)
    again = cli("config", "live", "--config", path)
    assert again.output == written.output


def test_the_command_line_wins(cli, tmp_path):
    path = tmp_path / "live.toml"
    path.write_text('value = "a"\nwarm_up = 60\nrecycle = true\n')
    found = cli("config", "live", "--config", path, "--warm-up", "70", "--value", "b")
    assert tomllib.loads(found.output) == {"value": ["b"], "warm-up": 70, "recycle": True}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('vlaue = "x"', "'vlaue' is no option of replay live; did you mean value?"),
        ('min_dwel = "x"', "did you mean min-dwell?"),
        ('config = "other.toml"', "'config' is no option"),
        ("persist = 3", "persist is 3; it must be true or false"),
        ('persist = "yes"', "it must be true or false"),
        ("value = true", "value is True; it must be a text"),
        ('time = ["a", "b"]', "time is a list, and the option takes one value"),
        ("value = [true]", "value must be a list of texts or numbers"),
        ('[value]\nx = "y"', "it must be a text, a number, or a list of them"),
        ("value = ", "is no TOML: "),
        ('value = "\xff"'.encode("latin-1"), "is no TOML: "),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_with_a_file(cli, tmp_path, text, problem):
    path = tmp_path / "live.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = cli("live", "--config", path)
    assert found.exit_code == 2
    assert problem in " ".join(found.output.split())


def test_a_value_that_cannot_be(cli, tmp_path):
    path = tmp_path / "live.toml"
    path.write_text('warm-up = "many"\n')
    found = cli("live", "--config", path)
    assert found.exit_code == 2
    assert "--warm-up" in found.output


def test_only_what_takes_a_file_is_written(cli):
    found = cli("config", "models", "state")
    assert found.exit_code == 2
    assert "replay models takes no --config" in found.output


def test_files_to_run(cli, two_levels, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(f'files = ["{two_levels}"]\nvalue = "level"\nregimes = 2\nlabels = "l.csv"\n')
    found = cli("run", "--config", path)
    assert found.exit_code == 0, found.output
    assert "columns level; 2 regimes" in found.output
    assert len(Path("l.csv").read_text().splitlines()) == 1501


# -- the examples ---------------------------------------------------------------------------------


def test_the_command_of_the_unit_and_of_the_container_is_the_same():
    unit = (SERVICE / "replay-pump.service").read_text()
    container = (SERVICE / "Containerfile").read_text()
    words = shlex.split(re.search(r"^ExecStart=(.*)", unit, re.M)[1])
    of_container = json.loads(re.search(r"^CMD (.*)", container, re.M)[1])
    assert [Path(words[0]).name, *words[1:4]] == of_container


def test_systemd_takes_the_unit(tmp_path):
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("there is no systemd-analyze")
    # all but the program, which is where it is installed
    unit = (
        (SERVICE / "replay-pump.service").read_text().replace("/opt/replay/bin/replay", "/bin/sh")
    )
    path = tmp_path / "replay-pump.service"
    path.write_text(unit)
    done = subprocess.run(
        [analyze, "verify", "--man=no", path], capture_output=True, text=True, timeout=600
    )
    said = [line for line in done.stderr.splitlines() if "replay-pump" in line]
    assert said == []


def test_the_unit_runs(any_broker, tmp_path):
    """Its command, with the paths and the broker of this test; the command line wins."""
    unit = (SERVICE / "replay-pump.service").read_text()
    words = shlex.split(re.search(r"^ExecStart=(.*)", unit, re.M)[1])
    credentials = tmp_path / "broker-word"
    credentials.write_text("user=a\npassword=b\n")
    credentials.chmod(0o600)
    of_test = {
        "/etc/replay/pump.toml": str(SERVICE / "pump.toml"),
        "${CREDENTIALS_DIRECTORY}/broker": str(credentials),
    }
    labels = tmp_path / "labels.csv"
    options = {
        "--labels": labels,
        "--refused": tmp_path / "refused.csv",
        "--checkpoint": tmp_path / "state",
        "--notify": any_broker.address("regimes/{key}"),
        "--serve": "127.0.0.1:0",
        "--time-format": "s",
    }
    given = [str(word) for pair in options.items() for word in pair]
    words = [of_test.get(word, word) for word in words[1:]]
    with Replay(*words, any_broker.address("pumps/+/state"), *given) as live:
        assert b"page: http://" in live.process.stderr.readline()
        until = time.monotonic() + 300.0
        # until the reader has subscribed nobody keeps what is sent
        n = 0
        while time.monotonic() < until and len(_lines(labels)) < 2:
            publish(any_broker, [_reading(n, n)], "pumps/p7/state")
            n += 1
        publish(any_broker, [_reading(10_000 + i, i) for i in range(300)], "pumps/p7/state")
        while time.monotonic() < until and not _lines(labels)[-1].startswith("10299,"):
            time.sleep(0.05)
        live.process.terminate()
        status, said = live.end()
    assert status == 0, said
    lines = _lines(labels)
    assert [line.split(",")[0] for line in lines[-300:]] == [str(10_000 + i) for i in range(300)]
    assert ",p7," in lines[1]


def _reading(t, i):
    return json.dumps({**json.loads(message(t)), "pressure": i % 5, "flow": 1, "n": i}).encode()


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []
