"""The segments that a replay writes, sums up and draws, against its labels."""

import csv
import gc
import io
import itertools
import math
import re
import tracemalloc

import numpy as np
import pytest
from typer.testing import CliRunner

from online_gmm import OnlineGMM
from online_gmm.segmentation.segments import Segment
from replay.cli.app import app
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop
from replay.engine.order import SeriesOptions
from replay.engine.protocols import MemorySink
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.sinks.files import File
from replay.sinks.labelled import Segments
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from replay.sources.times import Clock
from replay.views import plot
from replay.views.tables import changes

OPTIONS = ["--value", "level", "--value", "load", "--time", "when", "--regimes", 2]


@pytest.fixture
def modes(tmp_path):
    """Two levels in turns, 60 rows each, of which some have a stray in them or lack a value."""
    rng = np.random.default_rng(5)
    path = tmp_path / "modes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "level", "load"])
        for i in range(1200):
            high = (i // 60 % 2) != (i % 61 == 13)
            level = "" if i % 31 == 7 else f"{rng.normal(10.0 + 9.0 * high):.3f}"
            writer.writerow([f"t{i}", level, f"{rng.normal(-3.0 * high, 0.5):.3f}"])
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_statistics(segment, rows):
    bearing = [row for row in rows if row["label"] == segment["label"]]
    assert int(segment["n"]) == len(rows)
    p = np.mean([float(row["probability"]) for row in bearing])
    assert float(segment["probability"]) == pytest.approx(p, rel=1e-5)
    for name in ("level", "load"):
        values = [float(row[name]) for row in rows if row[name]]
        if not values:
            assert segment[f"mean_{name}"] == segment[f"sd_{name}"] == ""
            continue
        assert float(segment[f"mean_{name}"]) == pytest.approx(np.mean(values))
        assert float(segment[f"sd_{name}"]) == pytest.approx(np.std(values), abs=1e-6)


def test_segments_are_runs_of_labels(modes, cli, tmp_path):
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli("run", modes, *OPTIONS, "--labels", labels, "--segments", segments)
    assert result.exit_code == 0, result.output
    rows, found = read(labels), read(segments)
    assert list(found[0]) == [
        *("start", "end", "label", "n", "probability"),
        *("mean_level", "sd_level", "mean_load", "sd_load"),
    ]
    runs = [list(run) for _, run in itertools.groupby(rows, key=lambda row: row["label"])]
    assert len(found) == len(runs) > 40
    for segment, run in zip(found, runs, strict=True):
        assert (segment["start"], segment["end"]) == (run[0]["when"], run[-1]["when"])
        assert segment["label"] == run[0]["label"]
        check_statistics(segment, run)
    last = found[-1]
    assert f"1,200 rows, {len(runs):,} segments, " in result.stdout
    assert (
        f"\n{len(runs) - 1:,} changes of regime; in regime {last['label']} since "
        f"row {1200 - int(last['n']) + 1:,}, {last['start']}\n" in result.stdout
    )
    assert f"segments: {segments}" in result.stdout.replace("\n", "")


def test_short_segments_are_absorbed(modes, cli, tmp_path):
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli(
        *("run", modes, *OPTIONS, "--labels", labels, "--segments", segments),
        *("--min-dwell", 10, "--confirm", 3),
    )
    assert result.exit_code == 0, result.output
    rows, found = read(labels), read(segments)
    assert [segment["start"] for segment in found] == [f"t{i}" for i in range(0, 1200, 60)]
    for i, segment in enumerate(found):
        assert segment["label"] == str(i % 2)
        check_statistics(segment, rows[60 * i : 60 * i + 60])
    assert (
        "\nwith --min-dwell 10 --confirm 3: 20 segments, 19 changes of regime; in regime 1 since "
        "row 1,141, t1140\n" in result.stdout
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-dwell", 20], "a mixture, as --min-dwell is given; without it the segmenter finds"),
        (["--regimes", 2, "--persist"], "model, as --regimes, --persist are given; without them"),
        (["--learner", "mixture", "--min-dwell", 20], ""),
        ([], ""),
    ],
)
def test_which_learner_runs_and_why_is_said(options, said, modes):
    words = ["run", modes, "--value", "load", *options]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert ("the learner is a" in result.stdout) == bool(said)


def test_rows_take_the_place_of_times(modes, cli):
    result = cli("run", modes, "--value", "load", "--segments", "-", "--min-dwell", 20)
    assert result.exit_code == 0, result.output
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert found[0]["start"] == "1"
    assert found[-1]["end"] == "1200"
    for one, other in itertools.pairwise(found):
        assert int(other["start"]) == int(one["end"]) + 1
    assert "segments: " not in result.stderr
    assert "1,200 rows" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels", "-", "--segments", "-"], "--labels and --segments are both -"),
        (["--labels", "a.csv", "--segments", "a.csv"], "are both a.csv; choose another name"),
        (["--segments", "modes.csv"], "--segments modes.csv is the input file"),
        (["--segments", "no/a.csv"], "--segments no/a.csv: there is no folder no; make it"),
        (["--min-dwell", 0], "--min-dwell"),
        (["--confirm", 0], "--confirm"),
    ],
)
def test_bad_options(options, said, modes, cli):
    result = cli("run", modes.name, *OPTIONS, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_segments_need_a_file(cli):
    result = cli("run", "--segments", "segments.csv")
    assert result.exit_code == 2
    assert "--segments is for a file of yours" in result.stderr


def test_failed_run_leaves_the_old_segments(modes, cli, tmp_path):
    out = tmp_path / "segments.csv"
    out.write_text("as before")
    with modes.open("a") as file:
        file.write("t,abc,1\n")
    assert cli("run", modes, *OPTIONS, "--segments", out).exit_code == 2
    assert out.read_text() == "as before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["modes.csv", "segments.csv"]


class Kept(MemorySink):
    """Notes how much memory is kept after so many rows, and how many segments there are by then."""

    def __init__(self, series, *rows):
        self.series, self.rows, self.found = series, rows, []

    def write(self, labelled):
        if self.series.summary.n_rows >= self.rows[len(self.found)]:
            gc.collect()
            self.found.append((tracemalloc.get_traced_memory()[0], self.series.n_segments))


def test_memory_does_not_grow_with_the_segments(tmp_path, write_levels, monkeypatch):
    # of a file as long as several batches
    monkeypatch.setattr(Loop, "_at_most", 256)
    monkeypatch.setattr("replay.sources.pieces.PIECE", 1 << 14)
    # of both numbers of rows as many are in a picture
    source = Files([str(write_levels(13_000))], ReadOptions(("level", "load")))
    file = File(tmp_path / "segments.csv", "--segments", (), lasting=False)
    series = Series(Settings(regimes=2, warm_up=100).learner(source.values))
    kept = Kept(series, 6_000, 12_000, math.inf)
    sinks = {"segments": Segments(file, source), "plot": plot.Picture(), "kept": kept}
    loop = Loop(source, Fleet(lambda: series, Series.from_bytes), sinks)
    loop.begin()
    tracemalloc.start()
    loop.run()
    tracemalloc.stop()
    file.close()
    assert series.n_segments == len(read(tmp_path / "segments.csv"))
    (few, n_few), (many, n_many) = kept.found
    # as many segments more, of more than a hundred bytes each, and 96 kB of numbers
    assert n_many - n_few > 2_000
    assert many < few + 64_000


def test_picture_has_a_line_for_each_change(modes, cli, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plot, "_save", lambda figure, path: drawn.append(figure))
    options = [*OPTIONS, "--plot", tmp_path / "modes.png"]
    cli("run", modes, *options, "--min-dwell", 10, "--confirm", 3)
    (figure,) = drawn
    assert figure.get_suptitle() == "modes.csv: 19 changes of regime"
    for panel in (figure.axes[0], figure.axes[2]):
        lines = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 2]
        assert lines == [60 * i + 0.5 for i in range(1, 20)]
        grounds = [patch.get_facecolor()[:3] for patch in panel.patches]
        assert len(grounds) == 20
        assert len(set(grounds)) == 2
    assert [text.get_text() for text in figure.legends[0].texts][-1] == "change of regime"

    monkeypatch.setattr(plot, "MOST_SEGMENTS", 19)
    cli("run", modes, *options, "--min-dwell", 10, "--confirm", 3)
    assert drawn[1].get_suptitle() == "modes.csv: 19 changes of regime, too many to draw"
    assert not drawn[1].axes[0].patches
    assert "change of regime" not in [text.get_text() for text in drawn[1].legends[0].texts]


def test_of_one_segment_there_is_no_change():
    series = Series(OnlineGMM(1))
    bands = plot.Bands()
    only = Segment((1, ""), (9, ""), 0, 9, math.nan, {}, {})
    bands.add(only)
    series.n_segments, series.last_segment = 1, only
    assert changes(series, Clock()) == "0 changes of regime; in regime 0 since row 1"
    series.options = SeriesOptions(min_dwell=2)
    assert changes(series, Clock()) == (
        "with --min-dwell 2 --confirm 1: 1 segment, 0 changes of regime; in regime 0 since row 1"
    )
    assert bands.title == "0 changes of regime"
    bands.add(only)
    assert bands.title == "1 change of regime"


@pytest.mark.parametrize("more", [(), ("--persist",), ("--min-dwell", 5)])
def test_segments_that_gaps_end_are_counted_alike_everywhere(cli, tmp_path, more):
    rng = np.random.default_rng(1)
    path, segments = tmp_path / "rows.csv", tmp_path / "segments.csv"
    rows = [
        f"{60 * i + 7200 * (i // 150)},{rng.normal(30.0 * (i // 200 % 2), 1.0):.2f}\n"
        for i in range(600)
    ]
    path.write_text("t,level\n" + "".join(rows))
    result = cli(
        *("run", path, "--value", "level", "--time", "t", "--time-format", "s"),
        *("--max-gap", "1h", "--regimes", 2, "--segments", segments, *more),
    )
    assert result.exit_code == 0, result.output
    n = len(segments.read_text().splitlines()) - 1
    assert f"600 rows, {n} segments, " in result.stdout
    in_table = re.search(r"│ segments +│ +(\d+) │ +(\d+) │", result.stdout)
    assert int(in_table[1]) + int(in_table[2]) == n
