"""Control characters of the input reach no terminal and no page."""

import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from processes import run

from replay.engine.printable import JOINERS, printable

COMMANDS = "\x1b]52;c;cm0gLXJm\x07\x9b31m\u202egnp\u2028\x7f"
"""Write the clipboard, red text, text from right to left, a new line, delete."""
KEY = f"pump {COMMANDS}\r\nPASS"
COLUMN = f"level {COMMANDS} $\\frac$"
ESCAPED = r"\x1b]52;c;cm0gLXJm\x07\x9b31m\u202egnp\u2028\x7f"


def hidden(text, keep="\n"):
    """The characters that a terminal may obey."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")} - {*keep}


def test_every_control_character_is_escaped():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert hidden(printable(every), keep=JOINERS) == set()
    assert hidden(printable(every, keep="\n\t"), keep=JOINERS) == {"\n", "\t"}
    assert printable(KEY) == rf"pump {ESCAPED}\r\nPASS"


@pytest.mark.parametrize(
    "text", ["", "pump 7", "Tänk 3 \u00b0C", "日本語", "क\u200dष", "a\u00a0b", "🧑\u200d🔧"]
)
def test_what_people_read_stays(text):
    assert printable(text) == text


@pytest.fixture
def rows(tmp_path):
    """A file of two hostile keys, and one of a single series."""
    rng = np.random.default_rng(5)
    level = rng.normal(5.0 * (np.arange(400) // 50 % 2), 1.0)
    keyed, single = tmp_path / "keyed.csv", tmp_path / f"s\x1b[31m{COMMANDS}.csv"
    names = f'"key{COMMANDS}","time{COMMANDS}","{COLUMN}"\n'
    with keyed.open("w", newline="") as file:
        file.write(names)
        for i, value in enumerate(level):
            file.write(f'"{KEY if i % 2 else "b"}",{i}{COMMANDS},{value:.3f}\n')
    with single.open("w", newline="") as file:
        file.write(f'"time{COMMANDS}","{COLUMN}"\n')
        for i, value in enumerate(level):
            file.write(f"{i}{COMMANDS},{value:.3f}\n")
    return keyed, single


def keyed_options(keyed):
    return (
        *(keyed, "--value", COLUMN, "--key", f"key{COMMANDS}", "--time", f"time{COMMANDS}"),
        *("--warm-up", 30, "--regimes", 2),
    )


def said(result, status=0):
    """All that a command has printed, once it is as it should be."""
    assert result.exit_code == status, result.output
    text = result.stdout + result.stderr
    assert hidden(text) == set()
    return text


def test_run_and_models(cli, rows, tmp_path):
    keyed, single = rows
    options = ("--report", "report.html", "--checkpoint", "state", "--labels", "labels.csv")
    text = said(cli("run", *keyed_options(keyed), *options))
    assert rf"pump {ESCAPED}\r\nPASS" in text
    assert not any(line.startswith("PASS") for line in text.splitlines())
    # the data themselves are as they were
    assert KEY.encode() in Path("labels.csv").read_bytes()
    assert ESCAPED in said(cli("models", "state"))
    assert ESCAPED in said(cli("models", "state", KEY))
    assert ESCAPED in said(cli("models", "state", f"other{COMMANDS}"), 2)

    one = (single, "--value", COLUMN, "--time", f"time{COMMANDS}", "--regimes", 2)
    assert ESCAPED in said(cli("run", *one, "--plot", "plot.png", "--recycle"))
    assert Path("plot.png").stat().st_size > 0
    assert ESCAPED in said(cli("run", *one, "--persist"))


def test_a_report_shows_no_control_character(cli, rows):
    keyed, single = rows
    said(cli("run", *keyed_options(keyed), "--report", "report.html"))
    html = Path("report.html").read_text()
    # beside the tables and the choice of keys, the page holds the key itself as a value
    assert html.count(r"pump \\x1b]52;") >= 2
    assert "<title>keyed.csv</title>" in html
    said(cli("run", single, "--value", COLUMN, "--report", "single.html"))
    title = Path("single.html").read_text().split("<title>")[1].split("</title>")[0]
    assert ESCAPED in title
    assert hidden(title) == set()


def test_check(cli, rows):
    _, single = rows
    options = (single, "--value", COLUMN, "--regimes", 2, "--plot", "check.png")
    result = cli("check", *options)
    assert ESCAPED in said(result, result.exit_code)
    result = cli("check", *options, "--incremental")
    assert ESCAPED in said(result, result.exit_code)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", f"nowhere{COMMANDS}.csv"),
        ("run", "{keyed}", "--value", f"other{COMMANDS}"),
        ("run", "{keyed}", "--value", "{time}"),
        ("run", "{keyed}", "--value", COLUMN, "--time", "{time}", "--speed", "1"),
        ("run", "{keyed}", "--regimes", f"2{COMMANDS}"),
        ("run", "{keyed}", "--value", COLUMN, "--labels", f"no{COMMANDS}/where.csv"),
        ("check", f"nowhere{COMMANDS}.csv"),
        ("live", f"mqtt{COMMANDS}", "--value", COLUMN),
        ("live", "-", "--value", "x", "--serve", COMMANDS),
        ("live", "-", "--value", "x", "--serve", "127.0.0.1:0", "--allow-host", COMMANDS),
        ("land", "-", "{keyed}/" + COMMANDS, "--value", "x"),
        ("models", f"nowhere{COMMANDS}"),
    ],
)
def test_errors(cli, rows, arguments):
    keyed, _ = rows
    named = {"keyed": str(keyed), "time": f"time{COMMANDS}"}
    arguments = [
        argument.replace("{keyed}", named["keyed"]).replace("{time}", named["time"])
        for argument in arguments
    ]
    assert r"\x1b]52;" in said(cli(*arguments), 2)


def fed(*arguments, lines=()):
    return run(*arguments, lines="".join(f"{json.dumps(line)}\n" for line in lines).encode())


def test_live_and_land():
    lines = [
        {"key": (KEY, "b")[i % 2], "time": float(i), COLUMN: i // 50 % 2 + 0.01 * (i * 37 % 11)}
        for i in range(300)
    ]
    lines.append({"key": KEY, "time": 1000.0, COLUMN: f"none{COMMANDS}"})
    options = ("--value", COLUMN, "--key", "key", "--time", "time")
    done = fed(
        "live", "-", *options, "--regimes", 2, "--warm-up", 20, "--labels", "l.ndjson", lines=lines
    )
    assert done.returncode == 0, done.stderr
    assert hidden(done.stdout + done.stderr) == set()
    assert ESCAPED in done.stdout
    done = fed("land", "-", "landed", *options, lines=lines)
    assert done.returncode == 0, done.stderr
    assert hidden(done.stdout + done.stderr) == set()


def test_a_fault_of_the_program_does_not_quote_the_input_as_it_is():
    code = (
        "import replay.__main__ as m, replay.cli.app as commands\n"
        "def app(**options): raise RuntimeError('\\x1b]52;c;\\x07\\nmore')\n"
        "commands.app = app\nm.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 1
    assert r"RuntimeError: \x1b]52;c;\x07" in done.stderr
    assert hidden(done.stderr) == set()


def test_labels_on_a_terminal_are_escaped_and_in_a_pipe_as_they_are(rows):
    keyed, _ = rows
    command = [sys.executable, "-m", "replay", "run", *map(str, keyed_options(keyed))]
    command += ["--labels", "-"]
    piped = subprocess.run(command, capture_output=True, timeout=600, check=True)
    assert KEY.encode() in piped.stdout
    master, terminal = pty.openpty()
    with subprocess.Popen(command, stdout=terminal, stderr=subprocess.DEVNULL) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:
            # the other end is closed
            pass
        assert process.wait(timeout=600) == 0
    os.close(master)
    # a terminal is given \r\n for \n
    text = shown.decode()
    assert hidden(text, keep="\r\n") == set()
    assert printable(piped.stdout.decode(), keep="\n") == text.replace("\r\n", "\n")


def test_a_reader_that_goes_ends_it_quietly(tmp_path):
    """As with `| head -1`: nothing is said, and the status is that of SIGPIPE in a shell."""
    path = tmp_path / "long.csv"
    path.write_text("v\n" + "".join(f"{i % 97}\n" for i in range(20_000)))
    command = [sys.executable, "-m", "replay", "run", str(path), "--value", "v", "--labels", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"v,label,probability,outlier,change,causal_label\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=600) == 128 + 13
