"""A state is read back before it replaces the last checkpoint."""

from pathlib import Path

import pytest

from online_gmm.data import state
from online_gmm.segmentation import found
from replay.engine.batch import Batch
from replay.engine.checkpoint import Checkpoints
from replay.engine.fleet import Fleet
from replay.engine.order import SeriesOptions
from replay.engine.rows import Row
from replay.engine.series import Series
from tests.replay.test_series import VALUES, series_of

OPTIONS = ("--value", "level", "--regimes", "2", "--warm-up", "50")


@pytest.fixture
def faults():
    """What is patched here can be undone, and the current folder stays."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def breaking(faults):
    """Let the state that a series writes be malformed from the n-th time on."""

    def after(n):
        count, true = 0, Series.to_bytes

        def to_bytes(series):
            nonlocal count
            count += 1
            data = true(series)
            return data if count < n else data.replace(b"scatter", b"scatte?")

        faults.setattr(Series, "to_bytes", to_bytes)

    return after


def test_a_state_that_cannot_be_read_replaces_nothing(cli, two_levels, breaking, faults):
    whole = cli("run", two_levels, *OPTIONS, "--labels", "whole.csv", "--checkpoint", "whole")
    assert whole.exit_code == 0
    breaking(3)
    saving = ("--checkpoint", "state", "--every-rows", 300, "--labels", "labels.csv")
    result = cli("run", two_levels, *OPTIONS, *saving)
    assert result.exit_code == 2
    assert "cannot be saved, because its state could not be read back" in result.stderr
    faults.undo()
    header, states = Checkpoints(Path("state")).load()
    assert 600 <= header.rows < 1500
    assert len(list(states)) == 1
    result = cli("run", two_levels, *OPTIONS, *saving, "--resume")
    assert result.exit_code == 0, result.output
    assert Path("labels.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_a_checkpoint_with_a_malformed_state_is_explained(cli, two_levels, breaking, faults):
    breaking(1)
    faults.setattr(Fleet, "states", lambda fleet: ((key, fleet[key].to_bytes()) for key in fleet))
    saving = ("--checkpoint", "state", "--labels", "labels.csv")
    assert cli("run", two_levels, *OPTIONS, *saving).exit_code == 0
    assert Path("state/checkpoint").exists()
    faults.undo()
    result = cli("run", two_levels, *OPTIONS, *saving, "--resume")
    assert result.exit_code == 2
    assert "the model in the checkpoint cannot be read" in result.stderr
    for command in (("models", "state"), ("models", "state", ""), ("name", "state", 0, "idle")):
        result = cli(*command)
        assert result.exit_code == 2
        assert "the model in the checkpoint cannot be read" in result.stderr
        assert "it is damaged, or of another version than this one" in result.stderr


def test_a_checkpoint_of_before_the_release_says_which_version_wrote_it(cli, two_levels, faults):
    """It is not called damaged."""
    saving = ("--learner", "segmenter", "--checkpoint", "state", "--labels", "labels.csv")
    faults.setattr(state, "VERSION", 3)
    faults.setattr(found, "FIRST_VERSION", 3)
    assert cli("run", two_levels, *saving).exit_code == 0
    faults.undo()
    for command in (("run", two_levels, *saving, "--resume"), ("models", "state")):
        result = cli(*command)
        assert result.exit_code == 2
        assert "is of version 3 of the format" in result.stderr
        assert "go on with the version that wrote it" in result.stderr
        assert "damaged" not in result.stderr


def test_what_has_not_changed_is_read_back_once():
    read = []

    def load(data):
        read.append(data)
        return Series.from_bytes(data, VALUES, SeriesOptions())

    fleet = Fleet(lambda: series_of("lagged"), load)

    def come(line, key):
        row = Row(line, "", ("", ""), dict.fromkeys(VALUES, float(line)), key=key)
        list(fleet.label(Batch.of_rows([row])))

    come(1, "a")
    come(1, "b")
    for _ in range(2):
        assert len(dict(fleet.states())) == 2
        assert len(read) == 2
    come(2, "b")
    dict(fleet.states())
    assert len(read) == 3


def test_only_what_has_changed_is_handed_on_to_be_added():
    fleet = Fleet(
        lambda: series_of("lagged"), lambda data: Series.from_bytes(data, VALUES, SeriesOptions())
    )

    def come(line, *keys):
        rows = [Row(line, "", ("", ""), dict.fromkeys(VALUES, 1.0), key=key) for key in keys]
        list(fleet.label(Batch.of_rows(rows)))

    come(1, *"abc")
    assert len(dict(fleet.states())) == 3
    assert not list(fleet.changed())
    come(2, *"ba")
    come(3, *"dc")
    # but for the one that has changed last
    ahead = dict(fleet.changed(but=1))
    assert list(ahead) == ["b", "a", "d"]
    come(4, "a")
    rest = dict(fleet.changed())
    assert list(rest) == ["c", "a"]
    assert fleet.new_keys() == ["d"]
    assert {**ahead, **rest} == dict(fleet.states())
    assert not list(fleet.changed())
    assert not fleet.new_keys()


@pytest.mark.parametrize("time", ["1e308", "-1e308", "1.1e150", "inf"])
def test_times_out_of_range_are_no_times(cli, tmp_path, time):
    rows = "".join(f"{i},{i % 7}\n" for i in range(60))
    path = tmp_path / "far.csv"
    path.write_text(f"t,level\n{rows}{time},1\n")
    options = ("--value", "level", "--time", "t", "--time-format", "s", "--irregular", "--persist")
    result = cli("run", path, *options)
    assert result.exit_code == 2
    assert "far.csv, line 62, column 't'" in result.stderr
    skipped = cli("run", path, *options, "--on-bad", "skip")
    assert skipped.exit_code == 0, skipped.output
