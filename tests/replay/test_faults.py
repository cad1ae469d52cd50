"""Every single call that writes fails once; what is gone on with is as if none had."""

import os
import re
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from faults import CALLS, EINTR, EIO, ENOSPC, SHORT, FaultyDisk
from test_landing import Sender, read, row_of

from replay.cli.landing import Lander
from replay.engine.checkpoint import Checkpoints
from replay.engine.disk import BUFFER, DiskFile, Place
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop, Saving
from replay.engine.order import SeriesOptions
from replay.engine.protocols import MemorySink
from replay.engine.rows import InputError, OutputError
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.landing_folder import Folder
from replay.sinks.refusals import Refusals
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

FORMATS = ["csv", "parquet", "ndjson"]
HOW = {
    "open": [ENOSPC, EIO],
    "write": [ENOSPC, EIO, EINTR, SHORT],
    "fsync": [ENOSPC, EIO],
    "replace": [EIO],
    "ftruncate": [EIO],
}


@pytest.fixture
def rows(tmp_path):
    """A small file with two regimes, and rows that are refused."""
    path = tmp_path / "rows.csv"
    lines = ["t,device,level"]
    for i in range(120):
        level = "bad" if i % 40 == 17 else f"{i % 7 * 0.1 + 9.0 * (i // 15 % 2):.2f}"
        lines.append(f"{i},{'ab'[i // 2 % 2]},{level}")
    path.write_text("\n".join(lines) + "\n")
    return path


def arguments(rows, folder, form, *more):
    folder.mkdir(exist_ok=True)
    segments = "parquet" if form == "parquet" else "csv"
    costs = ("--integrate", "level", "--costs", folder / "costs.csv", "--time-format", "s")
    return [
        *("run", rows, "--value", "level", "--time", "t", "--regimes", 2, "--warm-up", 20),
        *("--on-bad", "skip", "--refused", folder / "refused.csv", "--labels", folder / "labels"),
        *("--as", form, "--segments", folder / f"segments.{segments}"),
        *("--checkpoint", folder / "state", "--every-rows", 60, "--resume", *more),
        # one format of tables is enough for what regimes cost
        *(costs if form == "ndjson" else ()),
    ]


def outputs(folder):
    """All that somebody reads; what Parquet is made of may be in other batches."""
    names = (path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    return {path.name: path.read_bytes() for path in names}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("form", "keys"),
    [("csv", []), *((form, ["--key", "device"]) for form in FORMATS)],
    ids=["csv of one series", *FORMATS],
)
def test_any_call_may_fail(form, keys, call, rows, cli, tmp_path, monkeypatch):
    def run(folder, *fault):
        with monkeypatch.context() as patched:
            # small buffers, so that writes fall between checkpoints too
            patched.setattr("replay.engine.disk.BUFFER", 1500)
            # and logs that are soon too long
            patched.setattr("replay.engine.checkpoint.LEAST", 1000)
            patched.setattr("replay.engine.checkpoint.LONGEST", 0.0)
            disk = FaultyDisk(*fault).install(patched)
            return cli(*arguments(rows, folder, form, *keys)), disk

    result, disk = run(tmp_path / "whole")
    assert result.exit_code == 0, result.output
    expected = outputs(tmp_path / "whole")
    assert set(expected) >= {"labels", "refused.csv"}
    total = disk.counts[call]
    assert total > 2 or call == "ftruncate"
    n_failed = 0
    for n in range(total):
        how = HOW[call][n % len(HOW[call])]
        folder = tmp_path / f"{n}"
        # some come once, and some last until somebody makes room
        result, disk = run(folder, call, n, how, how != EINTR)
        assert disk.failed
        if result.exit_code == 0:
            # what is left of a log of checkpoints that nobody will read
            assert call == "write"
            assert outputs(folder) == expected, (how, n)
        else:
            assert result.exit_code == 2, result.output
            assert re.search("cannot be written|no folder that can be written", result.stderr)
            n_failed += 1
        again, _ = run(folder)
        assert again.exit_code == 0, (how, n, again.output)
        assert outputs(folder) == expected, (how, n)
    assert n_failed >= total - 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_cannot_grow(form, rows, tmp_path, cli):
    """The system's own limit, in a process of its own, as a full disk is."""
    assert cli(*arguments(rows, tmp_path / "whole", form)).exit_code == 0
    expected = outputs(tmp_path / "whole")
    folder = tmp_path / "limited"
    command = [sys.executable, "-m", "replay", *map(str, arguments(rows, folder, form))]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    told = subprocess.run(
        command, capture_output=True, text=True, env=environment, preexec_fn=limit
    )
    assert (told.returncode, "File too large" in told.stderr) == (2, True), told.stderr
    assert "Traceback" not in told.stderr
    assert cli(*arguments(rows, folder, form)).exit_code == 0
    assert outputs(folder) == expected


def test_what_comes_of_a_source_that_fails_is_saved(rows, cli, tmp_path):
    """A failure of the source is none of a sink: a checkpoint holds the rows before it."""
    options = arguments(rows, tmp_path / "out", "csv", "--on-bad", "raise")
    assert cli(*options).exit_code == 2
    shown = cli("models", tmp_path / "out" / "state")
    assert "after 17 rows" in shown.stdout


class Forgetful(MemorySink):
    """A sink that fails once, and does not remember that it has."""

    def write(self, labelled):
        if 50 in labelled.batch.lines:
            raise OutputError("--labels x cannot be written: No space left on device")


def test_no_checkpoint_follows_a_failed_write(rows, tmp_path):
    """Whatever the sink says afterwards."""
    source = Files([str(rows)], ReadOptions(("level",), "t", on_bad="skip"))
    fleet = Fleet(
        lambda: Series(Settings(2, 20).model(source)),
        lambda data: Series.from_bytes(data, ("level",), SeriesOptions()),
    )
    with Checkpoints(tmp_path / "state").locked():
        saving = Saving(Checkpoints(tmp_path / "state"), {}, rows=30)
        loop = Loop(source, fleet, {"labels": Forgetful()}, saving)
        loop.begin()
        with pytest.raises(OutputError):
            loop.run()
    assert saving.checkpoints.load()[0].rows <= 47


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failure_is_final(call, tmp_path, monkeypatch):
    """There may be room again, but what could not be written is missing."""
    path = tmp_path / "labels.csv"
    file = DiskFile(path)
    with monkeypatch.context() as patched:
        FaultyDisk(call, 0).install(patched)
        file.write(b"lost")
        with pytest.raises(OSError, match="No space left"):
            file.sync()
    for again in (
        file.sync,
        file.flush,
        lambda: file.write(bytes(BUFFER)),
        lambda: file.cut(Place(0, None)),
    ):
        with pytest.raises(OSError, match="No space left"):
            again()
    file.close()
    assert path.read_bytes() == (b"" if call == "write" else b"lost")


# -- rows that land -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_any_call_may_fail_while_rows_land(call, tmp_path, monkeypatch):
    def source_of():
        refusals = Refusals(None)
        return Sender([row_of(n) for n in range(40)]), refusals

    def land(folder, source, refusals, *fault):
        with monkeypatch.context() as patched:
            disk = FaultyDisk(*fault).install(patched)
            landed = Folder(folder)
            source.sent = 0
            try:
                Lander(source, landed, refusals, 10, 1000.0).run()
            finally:
                landed.close()
            return disk

    total = land(tmp_path / "whole", *source_of()).counts[call]
    for how in HOW[call]:
        for n in range(total):
            folder = tmp_path / f"{call}-{how}-{n}"
            source, refusals = source_of()
            acknowledged = []
            source.on_acknowledge = acknowledged.extend
            with pytest.raises(OutputError, match=r"cannot be written|no folder that"):
                land(folder, source, refusals, call, n, how, how != EINTR)
            found = {row["sequence"] for row in read(folder)}
            assert {row.sequence for row in acknowledged} <= found
            land(folder, source, refusals)
            assert {row["sequence"] for row in read(folder)} == set(range(40)), (how, n)
            assert not source.kept


# -- one writer -----------------------------------------------------------------------------------


HOLDER = """
import sys
from replay.engine.disk import DiskFile, locked_folder
held = [{}]
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder():
    """A process that holds a file or folder, until it is killed."""
    started = []

    def start(how):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(
            [sys.executable, "-c", "from pathlib import Path" + HOLDER.format(how)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("state", "--checkpoint"),
        ("labels", "--labels"),
        ("segments.csv", "--segments"),
        ("refused.csv", "--refused"),
    ],
)
def test_two_replays_do_not_write_the_same(name, option, rows, cli, tmp_path, holder):
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / name
    kind = "locked_folder" if name == "state" else "DiskFile"
    held = holder(f"{kind}(Path({str(path)!r}))")
    result = cli(*arguments(rows, folder, "csv"))
    assert result.exit_code == 2
    assert f"{option} {path} is written to by process {held.pid}; wait" in result.stderr
    # a lock that is left by a kill is no lock
    held.kill()
    held.wait()
    assert cli(*arguments(rows, folder, "csv")).exit_code == 0


def test_a_file_that_another_replay_writes_is_not_replaced(rows, cli, tmp_path, holder):
    path = tmp_path / "labels.csv"
    held = holder(f"DiskFile(Path({str(path)!r}))")
    result = cli("run", rows, "--value", "level", "--on-bad", "skip", "--labels", path)
    assert result.exit_code == 2
    assert f"is written to by process {held.pid}" in result.stderr


def test_a_file_that_another_program_changes(tmp_path):
    from replay.sinks.files import File

    file = File(tmp_path / "labels.csv", "--labels", (), lasting=True)
    file.write(b"x" * 100)
    assert file.position() == (100, zlib.crc32(b"x" * 100))
    (tmp_path / "labels.csv").write_bytes(b"")
    file.write(b"y" * 100)
    with pytest.raises(OutputError, match="it has 100 bytes where 200 were written; another"):
        file.position()
    # and this is final
    with pytest.raises(OutputError, match="another program changes it"):
        file.position()
    file.close()


@pytest.mark.parametrize("form", FORMATS)
def test_outputs_that_were_edited_are_not_gone_on_with(form, rows, cli, tmp_path):
    """As long as before, but with other bytes: a length alone would not tell."""
    folder = tmp_path / "out"
    assert cli(*arguments(rows, folder, form)).exit_code == 0
    names = {
        "labels": "labels",
        "segments": f"segments.{'parquet' if form == 'parquet' else 'csv'}",
    }
    names["refused"] = "refused.csv"
    for option, name in names.items():
        aside = folder / f".{name}.rows"
        path = aside if aside.exists() else folder / name
        whole = path.read_bytes()
        for place in (0, 30):
            edited = bytearray(whole)
            edited[place] ^= 1
            path.write_bytes(edited)
            result = cli(*arguments(rows, folder, form))
            assert result.exit_code == 2
            assert f"--{option} {path} was changed after the checkpoint: its first" in (
                result.stderr.replace("\n", " ")
            )
            assert path.read_bytes() == edited
        path.write_bytes(whole)
        assert cli(*arguments(rows, folder, form)).exit_code == 0


def test_an_output_error_is_no_input_error():
    """What saves after a failure of the source must not save after one of a sink."""
    assert not issubclass(OutputError, InputError)
