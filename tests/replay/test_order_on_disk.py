"""The order in which a replay writes, forces to disk, saves and acknowledges."""

import os
from pathlib import Path

import pytest

from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop, Saving
from replay.engine.order import SeriesOptions
from replay.engine.rows import InputError
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.files import File
from replay.sinks.labelled import Segments
from replay.sinks.labels import labels_sink
from replay.sinks.refusals import Refusals
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

N_ROWS, EVERY = 90, 30


class Steps(list):
    """What is done to files, in order: (call, name of the file)."""

    def install(self, patched):
        for name in ("write", "fsync", "ftruncate"):
            patched.setattr(os, name, self._of_handle(name, getattr(os, name)))
        replace = os.replace

        def replaced(old, new):
            self.append(("replace", Path(new).name))
            replace(old, new)

        patched.setattr(os, "replace", replaced)

    def _of_handle(self, name, real):
        def called(handle, *arguments):
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            # pipes and terminals are no files
            if path.exists():
                self.append((name, path.name))
            return real(handle, *arguments)

        return called


@pytest.fixture
def steps(monkeypatch):
    noted = Steps()
    noted.install(monkeypatch)
    return noted


@pytest.fixture
def made(tmp_path, steps):
    """A loop over a file with two regimes, and its checkpoints; acknowledgements are noted."""
    opened = []

    def make(bad_row=None):
        path = tmp_path / "rows.csv"
        levels = [f"{i % 7 * 0.1 + 9.0 * (i // 10 % 2):.2f}" for i in range(N_ROWS)]
        if bad_row is not None:
            levels[bad_row] = "bad"
        path.write_text("".join(f"{line}\n" for line in ("level", *levels)))
        refusals = Refusals(tmp_path / "refused.csv", lasting=True)
        source = Files([str(path)], ReadOptions(("level",), refusals=refusals))
        source.acknowledge = lambda: steps.append(("acknowledge", "source"))
        refusals.open(source.files)
        sinks = {
            "labels": labels_sink(File(tmp_path / "labels.csv", "--labels", (), True), source),
            "segments": Segments(File(tmp_path / "segments.csv", "--segments", (), True), source),
        }
        fleet = Fleet(
            lambda: Series(Settings(2, 20).model(source)),
            lambda data: Series.from_bytes(data, ("level",), SeriesOptions()),
        )
        checkpoints = Checkpoints(tmp_path / "state")
        loop = Loop(source, fleet, sinks, Saving(checkpoints, {}, rows=EVERY), refusals)
        opened.extend([source, refusals, *sinks.values()])
        loop.begin()
        return loop

    yield make
    for one in opened:
        one.close()


def test_outputs_then_checkpoint_then_acknowledgement(made, steps):
    """At each checkpoint: all that was written is on disk, then its counts, then the source."""
    loop = made()
    with loop.saving.checkpoints.locked():
        loop.run()
    (whole,) = [i for i, step in enumerate(steps) if step == ("replace", "checkpoint")]
    added = [i for i, step in enumerate(steps) if step == ("fsync", "checkpoint.log")]
    assert whole < added[0]
    assert 1 + len(added) >= N_ROWS // EVERY
    # the last one is made at the end of the input, before the rows that wait are labelled
    assert loop.saving.checkpoints.load()[0].rows == N_ROWS
    begin = 0
    for save in (whole, *added):
        # what is added is fsynced last; a whole one then gets its name
        before = steps[begin : save + (save != whole)]
        state = "checkpoint.part" if save == whole else "checkpoint.log"
        for name in ("labels.csv", "segments.csv", "refused.csv", state):
            of_file = [call for call, path in before if path == name]
            assert "fsync" in of_file, name
            # nothing is written after it was forced to disk
            assert "write" not in of_file[of_file.index("fsync") :], name
        last_output = max(i for i, (_, name) in enumerate(before) if name.endswith(".csv"))
        first_state = min(i for i, (_, name) in enumerate(before) if name == state)
        assert last_output < first_state
        # the names of checkpoint and log are on disk before the source forgets its rows
        folder = [("fsync", "state")] * (2 if save == whole else 0)
        begin = save + len(folder) + 2
        assert steps[save + 1 : begin] == [*folder, ("acknowledge", "source")]
    assert steps.count(("acknowledge", "source")) == 1 + len(added)


def test_a_bad_row_leaves_a_checkpoint_of_the_rows_before_it(made):
    loop = made(bad_row=47)
    with loop.saving.checkpoints.locked(), pytest.raises(InputError, match="line 49"):
        loop.run()
    assert loop.saving.checkpoints.load()[0].rows == 47


def test_a_finished_file_is_on_disk(tmp_path, steps):
    """One that is put in its place at the end: its bytes, its name, then the folder."""
    file = File(tmp_path / "labels.csv", "--labels", (), lasting=False)
    file.write(b"label\n")
    file.finish()
    part = f".labels.csv.{os.getpid()}.part"
    assert steps == [
        ("write", part),
        ("fsync", part),
        ("replace", "labels.csv"),
        ("fsync", tmp_path.name),
    ]
    file.close()
