"""A wall clock that is set forwards or back while a replay runs changes nothing."""

import itertools
import time

import pyarrow.parquet as pq
import pytest
from test_landing import row_of

from replay.engine.batch import Batch
from replay.sinks.landing_folder import Folder, Landing

DAY = 86_400.0


@pytest.fixture
def jumping(monkeypatch):
    """Set the wall clock a day forwards at one call, and two days back at the next."""
    began = time.time()
    jumps = itertools.cycle([0.0, DAY, -DAY, 3650 * DAY])
    calls = []

    def now():
        calls.append(1)
        return began + next(jumps)

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now() * 1e9))
    return calls


def arguments(path, folder):
    folder.mkdir()
    return [
        *("run", path, "--value", "level", "--time", "t", "--time-format", "s", "--speed", 200),
        *("--regimes", 2, "--warm-up", 20, "--labels", folder / "labels.csv"),
        *("--checkpoint", folder / "state", "--every-seconds", 0.0),
    ]


def test_a_paced_replay_with_checkpoints(cli, tmp_path, request):
    path = tmp_path / "rows.csv"
    lines = [f"{i},{i % 7 * 0.1 + 9.0 * (i // 50 % 2):.1f}" for i in range(200)]
    path.write_text("\n".join(["t,level", *lines]) + "\n")
    assert cli(*arguments(path, tmp_path / "still")).exit_code == 0
    request.getfixturevalue("jumping")
    begun = time.monotonic()
    result = cli(*arguments(path, tmp_path / "jumping"))
    assert result.exit_code == 0, result.output
    # 200 seconds at 200 times their speed; a day would be 432 s more
    assert time.monotonic() - begun < 300.0
    still, moved = ((tmp_path / name / "labels.csv").read_bytes() for name in ("still", "jumping"))
    assert moved == still


def test_files_that_land_keep_their_order(jumping, tmp_path):
    folder = Folder(tmp_path / "landed")
    for n in range(8):
        landing = Landing(("level", "motor.load"))
        landing.add(Batch.of_rows([row_of(n)], ("level", "motor.load")))
        folder.put(landing.take())
    folder.close()
    assert len(jumping) >= 8
    files = sorted((tmp_path / "landed").iterdir())
    assert [pq.read_table(path)["sequence"].to_pylist() for path in files] == [
        [n] for n in range(8)
    ]
