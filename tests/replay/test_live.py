"""Live streams, stops and going on, as somebody at a terminal sees them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import typer
from processes import Forked

from replay.cli.terminal import second_signal_said
from replay.engine.stopping import signals_noted
from replay.sources.json_lines import LiveLines
from replay.sources.read_options import ReadOptions

HERE = Path(__file__).parent
OPTIONS = [
    *("--value", "level", "--time", "t", "--time-format", "s"),
    *("--regimes", "2", "--warm-up", "60"),
]


def message(i):
    return json.dumps({"t": i, "level": i % 7 * 0.1 + 9.0 * (i // 50 % 2), "device": "ab"[i % 2]})


class Replay:
    """``replay`` in a process of its own, to be told lines, and to be stopped."""

    def __init__(self, *arguments, start=Forked):
        self.process = start(*arguments)

    def tell(self, lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())
        self.process.stdin.flush()

    def hear(self, n):
        return [json.loads(self.process.stdout.readline()) for _ in range(n)]

    def end(self, how=None):
        """Its status, and what it said on standard error."""
        if how is not None:
            self.process.send_signal(how)
        _, said = self.process.communicate(timeout=600)
        return self.process.returncode, said.decode()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()


def test_labels_come_as_rows_do():
    """Nothing is held back when nothing more comes."""
    with Replay("live", *OPTIONS, "--key", "device") as live:
        live.tell(message(i) for i in range(200))
        rows = live.hear(200)
        assert {row["key"] for row in rows} == {"a", "b"}
        begun = time.monotonic()
        live.tell([message(200)])
        (row,) = live.hear(1)
        assert time.monotonic() - begun < 60.0
        assert (row["n"], row["time"], row["values"]) == (201, "200", {"level": 0.4})
        assert set(row) == {
            *("n", "time", "key", "values", "label", "probability"),
            "outlier",
            "change",
        }
        status, said = live.end()
    assert status == 0
    assert "201 rows of 2 keys" in said


@pytest.mark.parametrize(
    ("how", "options"),
    [
        (signal.SIGINT, [*OPTIONS, "--persist"]),
        (signal.SIGTERM, [*OPTIONS, "--persist"]),
        (signal.SIGTERM, OPTIONS[:6]),
    ],
)
def test_a_signal_ends_a_live_stream_and_nothing_is_lost(how, options):
    """All that the producer has written is labelled."""
    with Replay("live", *options, "--lag", 5) as live:
        live.tell(message(i) for i in range(80))
        # the first label comes when the process heeds signals
        live.hear(1)
        live.tell(message(i) for i in range(80, 700))
        live.process.send_signal(how)
        live.hear(699)
        status, said = live.end()
    assert status == 0, said
    assert "700 rows" in said


@pytest.fixture
def piped(monkeypatch):
    """Lines for a source in this process, and the source."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing, LiveLines(ReadOptions(("level",)))
    os.close(writing)


def lines(begin, end):
    return "".join(message(i) + "\n" for i in range(begin, end)).encode()


def test_after_a_stop_a_source_reads_what_was_written_before(piped):
    writing, source = piped
    os.write(writing, lines(0, 300))
    assert len(source.next_batch(20)) == 20
    os.write(writing, lines(300, 450) + b'{"level"')
    source.stop()
    # the line that was begun is read to its end, and what comes later is not
    os.write(writing, b": 1.0}\n" + lines(451, 500))
    sizes = [len(batch) for batch in iter(lambda: source.next_batch(20), None)]
    assert (sum(sizes), max(sizes)) == (431, 20)


def test_a_source_counts_the_lines_that_are_left(piped):
    writing, source = piped
    os.write(writing, lines(0, 300))
    for _ in range(3):
        source.next_batch(20)
    os.write(writing, lines(300, 450))
    # of the third batch nobody has said that it is labelled
    assert source.left() == 450 - 40


def test_a_second_signal_ends_at_once_and_says_what_is_left(capsys):
    class Run:
        stopped_by, n_rows = None, 1234

    def signalled_twice():
        with second_signal_said(Run, lambda: 7), signals_noted(Run):
            os.kill(os.getpid(), signal.SIGTERM)
            assert Run.stopped_by == signal.SIGTERM
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(typer.Exit) as ended:
        signalled_twice()
    assert ended.value.exit_code == 128 + signal.SIGTERM
    said = "ended at once by a second signal after 1,234 rows; 7 lines were lost that had come"
    assert said in capsys.readouterr().err


def test_a_second_signal_ends_a_stream_whose_output_nobody_reads():
    with Replay("live", *OPTIONS) as live:
        live.tell(message(i) for i in range(100))
        live.hear(1)
        # the labels of all these do not fit in a pipe
        live.tell(message(i) for i in range(100, 1500))
        live.process.send_signal(signal.SIGTERM)
        status, said = live.end(signal.SIGINT)
    assert status in (130, 143)
    assert "ended at once by a second signal after" in said
    assert "lines were lost that had come" in said


def test_refused_lines(tmp_path):
    refused = tmp_path / "refused.csv"
    with Replay("live", *OPTIONS, "--refused", refused) as live:
        lines = [message(i) for i in range(100)]
        lines[50:50] = ["nonsense", "[1]", '{"level": "x", "t": 1}', "y" * 200_000]
        live.tell([*lines, message(3)])
        live.hear(100)
        status, said = live.end()
    assert status == 0
    assert "refused: 1 message that is no JSON, 1 message that is no JSON object" in said
    assert "1 row that came late, dropped" in said
    kept = refused.read_text().splitlines()
    assert len(kept) == 5
    assert max(map(len, kept)) < 1200


def test_no_row_has_come():
    with Replay("live", *OPTIONS) as live:
        status, said = live.end()
    assert (status, "no row has come" in said) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["live", "-"], "--value is missing; name the fields to learn"),
        (["live", "plant/a", "--value", "x"], "'plant/a' is no address; give -, mqtt://HOST"),
        (["live", "-", "--value", "x", "--max-gap", "5"], "--max-gap needs --time"),
        (["live", "-", "--value", "x", "--max-gap", "5 apples"], "Invalid value for '--max-gap'"),
        (["live", "-", "--value", "x", "--max-gap", "-5"], "Invalid value for '--max-gap'"),
        (["live", "-", "--value", "x", "--resume"], "--resume needs --checkpoint"),
        (["live", "-", "--value", "x", "--serve", "nowhere"], "nowhere"),
        (["live", "-", "--value", "x", "--publish", "x"], "'x' is no address of a broker"),
    ],
)
def test_bad_arguments(arguments, said, cli):
    result = cli(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr


# -- stops of a replay ----------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [json.loads(message(i)) for i in range(3000)]
    body = "".join(f"{line['t']},{line['level']},{line['device']}\n" for line in lines)
    path.write_text("t,level,device\n" + body)
    return path


def wait_for_rows_in(folder, name):
    """Wait until rows are in a file, or in the one that will have its name."""
    until = time.monotonic() + 300.0
    while not any(path.stat().st_size for path in folder.glob(f"*{name}*")):
        assert time.monotonic() < until, "no row is written"
        time.sleep(0.02)


def wait_for_a_handler(process, how):
    """Wait until a process handles a signal."""
    until = time.monotonic() + 300.0
    while True:
        told = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
        if int(told[1], 16) >> how - 1 & 1:
            return
        assert time.monotonic() < until, "the signal is not handled"
        time.sleep(0.02)


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_replay_which_goes_on(how, status, rows, cli, tmp_path):
    whole, labels, state = (tmp_path / name for name in ("whole.csv", "labels.csv", "state"))
    saving = ("--checkpoint", tmp_path / "whole")
    assert cli("run", rows, *OPTIONS, "--labels", whole, *saving).exit_code == 0
    arguments = ["run", rows, *OPTIONS, "--labels", labels, "--checkpoint", state]
    # as the rows came, one a second, a thousand times faster
    with Replay(*arguments, "--speed", "100", "--every-rows", "100") as replay:
        wait_for_rows_in(tmp_path, "labels.csv")
        ended, said = replay.end(how)
    assert ended == status
    assert f"stopped by {how.name} after" in said
    assert f"go on with --resume --checkpoint {state}" in said
    n = len(labels.read_text().splitlines())
    assert 1 <= n < 3000
    assert cli(*arguments).exit_code == 2
    assert cli(*arguments, "--resume", "--min-dwell", 3).exit_code == 2
    assert cli(*arguments[:-4], "--checkpoint", state, "--resume").exit_code == 2
    result = cli(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert labels.read_bytes() == whole.read_bytes()


def test_a_signal_without_a_checkpoint_leaves_nothing(rows, tmp_path):
    labels = tmp_path / "labels.csv"
    with Replay("run", rows, *OPTIONS, "--labels", labels, "--speed", "100") as replay:
        wait_for_a_handler(replay.process.pid, signal.SIGTERM)
        status, said = replay.end(signal.SIGTERM)
    assert status == 143
    assert "nothing was written; with --checkpoint it could go on" in said
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_bad_row_can_be_mended_and_gone_on_from(rows, cli, tmp_path):
    lines = rows.read_text().splitlines()
    whole, labels, state = (tmp_path / name for name in ("whole.csv", "labels.csv", "state"))
    saving = ("--checkpoint", tmp_path / "whole")
    assert cli("run", rows, *OPTIONS, "--labels", whole, *saving).exit_code == 0
    rows.write_text("\n".join([*lines[:2500], "2499,x,a", *lines[2501:]]) + "\n")
    arguments = ["run", rows, *OPTIONS, "--labels", labels, "--checkpoint", state]
    result = cli(*arguments)
    assert result.exit_code == 2
    assert "rows.csv, line 2501, column 'level': 'x' is no number" in result.stderr
    rows.write_text("\n".join(lines) + "\n")
    assert cli(*arguments, "--resume").exit_code == 0
    assert labels.read_bytes() == whole.read_bytes()


def test_rows_that_have_come_since(rows, cli, tmp_path):
    lines = rows.read_text().splitlines(keepends=True)
    whole, labels, state = (tmp_path / name for name in ("whole.csv", "labels.csv", "state"))
    options = [*OPTIONS, "--persist", "--lag", 9, "--key", "device"]
    saving = ("--checkpoint", tmp_path / "whole")
    assert cli("run", rows, *options, "--labels", whole, *saving).exit_code == 0
    arguments = ["run", rows, *options, "--labels", labels, "--checkpoint", state, "--resume"]
    for n in (31, 1000, 3001):
        rows.write_text("".join(lines[:n]))
        assert cli(*arguments).exit_code == 0
        assert len(labels.read_text().splitlines()) == n
    assert sorted(labels.read_text()) == sorted(whole.read_text())


def test_models(rows, cli, tmp_path):
    state = tmp_path / "state"
    assert cli("run", rows, *OPTIONS, "--key", "device", "--checkpoint", state).exit_code == 0
    result = cli("models", state)
    assert result.exit_code == 0
    assert "after 3,000 rows, 2 models" in result.stdout
    one = cli("models", state, "b")
    assert "Regimes" in one.stdout
    assert cli("models", state, "c").exit_code == 2
    nothing = cli("models", tmp_path / "nowhere")
    assert (nothing.exit_code, "nowhere" in nothing.stderr) == (2, True)


# -- formats of labels, pages ---------------------------------------------------------------------


def test_labels_as(rows, cli, tmp_path):
    result = cli("run", rows, *OPTIONS, "--labels", "-", "--as", "ndjson")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 3000
    assert cli("run", rows, *OPTIONS, "--labels", tmp_path / "x", "--as", "parquet").exit_code == 0
    assert (tmp_path / "x").read_bytes().startswith(b"PAR1")
    result = cli("run", rows, *OPTIONS, "--labels", "-", "--as", "parquet")
    assert result.exit_code == 2
    assert "Parquet cannot be written to a pipe" in result.stderr


def test_report(rows, cli, tmp_path):
    report = tmp_path / "report.html"
    arguments = ["run", rows, *OPTIONS, "--key", "device", "--report", report]
    result = cli(*arguments, "--checkpoint", tmp_path / "state")
    assert result.exit_code == 0, result.output
    assert f"report: {report}" in result.stdout
    assert "rows.csv" in report.read_text()
    assert cli(*arguments[:-1], rows).exit_code == 2
    # going on without a row more, the report is whole all the same
    before = report.read_text()
    report.unlink()
    assert cli(*arguments, "--checkpoint", tmp_path / "state", "--resume").exit_code == 0
    assert abs(len(report.read_text()) - len(before)) < 0.01 * len(before)


def test_report_of_a_check(rows, cli, tmp_path):
    report = tmp_path / "report.html"
    options = ["--value", "level", "--regimes", 2, "--report", report, "--plot", tmp_path / "x.png"]
    result = cli("check", rows, *options)
    assert f"report: {report}" in result.stdout, result.output
    assert "batch EM" in report.read_text()
    result = cli("check", rows, *options, "--exact")
    assert result.exit_code == 2
    assert "--report is for the learner" in result.stderr


def test_a_page_is_served_while_rows_come():
    with Replay("live", *OPTIONS, "--serve", "127.0.0.1:0") as live:
        live.tell(message(i) for i in range(200))
        live.hear(200)
        os.set_blocking(live.process.stderr.fileno(), False)
        said = b""
        until = time.monotonic() + 300.0
        while b"page: http" not in said and time.monotonic() < until:
            said += live.process.stderr.read() or b""
            time.sleep(0.05)
        address = said.decode().split("page: ")[1].split()[0]
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert answer.status == 200
            assert b"standard input" in answer.read()
        live.tell([message(200)])
        live.hear(1)
        os.set_blocking(live.process.stderr.fileno(), True)
        assert live.end()[0] == 0


# -- kills ----------------------------------------------------------------------------------------


def crash(*arguments):
    command = [sys.executable, HERE / "crash.py", *map(str, arguments)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_what_comes_out_is_the_same_after_any_kill():
    """Twenty at random moments, ten of them terminations; scripts/crash does more."""
    assert " 0 with other output" in crash("--kills", 20, "--rows", 900)


def test_a_killed_consumer_loses_no_message(broker):
    """Ten kills of it, and one of its broker."""
    assert "labels as without" in crash("--mqtt", "--kills", 10, "--rows", 1_200)
