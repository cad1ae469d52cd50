"""The streaming loop and what it writes, against the learner driven by hand."""

import csv
import io
import math
import tracemalloc

import numpy as np
import pytest

from online_gmm import OnlineGMM, PowerDecay
from replay.engine.fleet import Fleet
from replay.engine.loop import Loop
from replay.engine.protocols import MemorySink
from replay.engine.series import Series
from replay.engine.settings import Settings
from replay.engine.summary import Summary
from replay.sinks.files import File
from replay.sinks.labelled import Labels
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

OPTIONS = ["--value", "load", "--value", "level", "--time", "when", "--regimes", 2, "--warm-up", 60]


def by_hand(path, warm_up=60, **parameters):
    """The labels file as the learner would have it, without any of the replay."""
    model = OnlineGMM(2, warm_up=warm_up, features=["load", "level"], seed=1, **parameters)
    out = [["when", "load", "level", "label", "probability", "outlier", "change"]]
    with path.open(newline="") as file:
        records = list(csv.DictReader(file))
    points = [{name: float(r[name] or "nan") for name in ("load", "level")} for r in records]

    def put(record, point):
        label, probability, _, outlier = model.assign_one(point)
        told = [str(label), f"{probability:.6g}"]
        if len(out) > 1 and all(map(math.isnan, point.values())):
            # what measured nothing is no change of regime
            told = out[-1][3:5]
        out.append(
            [record[name] for name in ("when", "load", "level")]
            + [*told, str(int(outlier))]
            + [str(int(len(out) > 1 and out[-1][3] != told[0]))]
        )

    waiting = []
    for record, point in zip(records, points, strict=True):
        if model.is_started:
            put(record, point)
            model.learn_one(point)
        else:
            waiting.append((record, point))
            model.learn_one(point)
            if model.is_started or len(waiting) == len(records):
                if not model.is_started:
                    model.fit_start()
                for held in waiting:
                    put(*held)
    return out


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ([], {}),
        (["--exponent", 1], {"step_size": PowerDecay(1.0)}),
        (
            ["--covariance-type", "diag", "--prior-strength", 2],
            {"covariance_type": "diag", "prior_strength": 2.0},
        ),
    ],
)
def test_labels_are_the_learners(arguments, parameters, two_levels, cli, tmp_path):
    out = tmp_path / "labels.csv"
    result = cli("run", two_levels, *OPTIONS, *arguments, "--labels", out)
    assert result.exit_code == 0, result.output
    assert read(out) == by_hand(two_levels, **parameters)
    assert len({row[3] for row in read(out)[1:]}) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "levels.csv"]


def test_file_shorter_than_warm_up(cli, tmp_path, write_levels):
    path = write_levels(70)
    out = tmp_path / "labels.csv"
    assert cli("run", path, *OPTIONS[:-1], 500, "--labels", out).exit_code == 0
    assert read(out) == by_hand(path, warm_up=500)


def test_labels_do_not_depend_on_later_rows(two_levels, cli, tmp_path):
    lines = two_levels.read_text().splitlines(keepends=True)
    altered = tmp_path / "altered.csv"
    altered.write_text("".join(lines[:801]) + "".join("t,500,,500\n" for _ in lines[801:]))
    for path in (two_levels, altered):
        assert cli("run", path, *OPTIONS, "--labels", path.with_suffix(".out")).exit_code == 0
    before, after = (read(path.with_suffix(".out")) for path in (two_levels, altered))
    assert before[:801] == after[:801]
    assert before[801:] != after[801:]


def test_rows_without_values_are_labelled_too(cli, tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("level\n" + "NaN\n" * 5 + "1\n2\n9\n8\n" * 10 + "\n" + "NaN\n3\n")
    result = cli("run", path, "--regimes", 2, "--warm-up", 10, "--labels", "-")
    assert result.exit_code == 0, result.output
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert len(rows) == 1 + 5 + 40 + 1 + 2
    assert [row[0] for row in rows[1:6]] == ["NaN"] * 5
    assert {row[1] for row in rows[1:]} == {"0", "1"}
    assert "7 missing values" in result.stderr


def empty_rows(path, *parts):
    """A file of rows whose level is missing, or 1, 2, 9, 8, 1, ... for each number given."""
    with path.open("w") as file:
        file.write("when,level\n")
        row = 0
        for n, filled in parts:
            for i in range(n):
                file.write(f"t{row},{(1, 2, 9, 8)[i % 4] if filled else ''}\n")
                row += 1
    return path


def labels_of(path, cli, *options):
    """The labels file without its header, checked to have every row in order."""
    out = path.with_suffix(".out")
    options = ["--value", "level", "--time", "when", "--regimes", 2, "--warm-up", 10, *options]
    result = cli("run", path, *options, "--labels", out)
    assert result.exit_code == 0, result.output
    rows = read(out)[1:]
    assert [row[:2] for row in rows] == read(path)[1:]
    return rows


def test_very_many_rows_without_values_first(cli, tmp_path):
    rows = labels_of(empty_rows(tmp_path / "late.csv", (250, False), (40, True)), cli)
    # 101 and 101 again could not be held any longer; then 48 and the warm-up
    assert {tuple(row[2:]) for row in rows[:202]} == {("-1", "nan", "0", "0")}
    assert {row[2] for row in rows[250:]} == {"0", "1"}
    # no regime -1 in the table
    options = ["--value", "level", "--time", "when", "--regimes", 2, "--warm-up", 10]
    result = cli("run", tmp_path / "late.csv", *options)
    assert "gone" not in result.stdout
    assert "290 rows" in result.stdout
    held = labels_of(empty_rows(tmp_path / "held.csv", (48, False), (40, True)), cli)
    assert [row[2:] for row in rows[250:]] == [row[2:] for row in held[48:]]


def test_warm_start_makes_do_when_too_many_rows_are_held(cli, tmp_path):
    parts = ((40, False), (6, True), (60, False), (40, True))
    rows = labels_of(empty_rows(tmp_path / "gaps.csv", *parts), cli)
    model = OnlineGMM(2, warm_up=10, features=["level"], seed=1)
    points = [{"level": float(row[1] or "nan")} for row in rows]
    for point in points[:101]:
        model.learn_one(point)
    assert model.n_points == 6
    model.fit_start()
    assert [int(row[2]) for row in rows[:101]] == [model.predict_one(p) for p in points[:101]]
    for row, point in zip(rows[101:], points[101:], strict=True):
        assert int(row[2]) == model.predict_one(point)
        model.learn_one(point)
    # with fewer of them it can wait for the warm start
    parts = ((40, False), (6, True), (30, False), (40, True))
    waited = labels_of(empty_rows(tmp_path / "waited.csv", *parts), cli)
    model = OnlineGMM(2, warm_up=10, features=["level"], seed=1)
    rows = iter(waited[:100])
    while not model.is_started:
        model.learn_one({"level": float(next(rows)[1] or "nan")})
    assert model.start.n_points == 10
    assert float(waited[0][3]) == pytest.approx(model.mixture.weights.max(), rel=1e-5)


def alone(source, sinks, **settings):
    """The series of a source, run through the loop."""
    series = Series(Settings(**settings).learner(source.values))
    loop = Loop(source, Fleet(lambda: series, Series.from_bytes), sinks)
    loop.begin()
    loop.run()
    return series


def test_memory_does_not_grow_with_rows_without_values(tmp_path, monkeypatch):
    # of a file as long as several batches
    monkeypatch.setattr(Loop, "_at_most", 256)
    monkeypatch.setattr("replay.sources.pieces.PIECE", 1 << 14)

    def peak(n):
        source = Files(
            [str(empty_rows(tmp_path / "empty.csv", (n, False), (40, True)))],
            ReadOptions(("level",)),
        )
        tracemalloc.start()
        series = alone(source, {"seen": MemorySink()}, regimes=2, warm_up=20)
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert series.summary.n_rows == n + 40
        assert series.model.is_started
        return result

    peak(1_000)
    # what is looked at first is kept, and no more
    few, many = peak(12_000), peak(60_000)
    # the numbers of the 48,000 rows more are 384 kB; what is not collected yet varies by 100 kB
    assert many < few + 192_000


def test_failed_run_leaves_the_old_labels(two_levels, cli, tmp_path):
    out = tmp_path / "labels.csv"
    out.write_text("as before")
    with two_levels.open("a") as file:
        file.write("t,abc,,1\n")
    result = cli("run", two_levels, *OPTIONS, "--labels", out)
    assert result.exit_code == 2
    assert "line 1502, column 'level'" in result.stderr
    assert out.read_text() == "as before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "levels.csv"]


def test_labels_never_replace_the_input(two_levels, cli):
    content = two_levels.read_bytes()
    result = cli("run", two_levels, *OPTIONS, "--labels", two_levels)
    assert result.exit_code == 2
    assert "is the input file" in result.stderr
    assert two_levels.read_bytes() == content


def test_column_that_would_stand_twice_in_the_labels(cli, tmp_path):
    path = tmp_path / "taken.csv"
    path.write_text("label\n1\n")
    result = cli("run", path, "--labels", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "taken.csv, line 1, column 'label'" in result.stderr


def test_labels_into_a_folder_that_is_not_there(two_levels, cli, tmp_path):
    result = cli("run", two_levels, *OPTIONS, "--labels", tmp_path / "no" / "labels.csv")
    assert result.exit_code == 2
    assert "labels.csv: there is no folder" in result.stderr


def test_memory_does_not_grow_with_the_file(tmp_path, write_levels, monkeypatch):
    # of a file as long as several batches
    monkeypatch.setattr(Loop, "_at_most", 256)
    monkeypatch.setattr("replay.sources.pieces.PIECE", 1 << 14)

    def peak(n):
        source = Files([str(write_levels(n))], ReadOptions(("level", "load")))
        file = File(tmp_path / "labels.csv", "--labels", (), lasting=False)
        tracemalloc.start()
        series = alone(source, {"labels": Labels(file, source)}, regimes=2, warm_up=100)
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.close()
        assert series.summary.n_rows == n
        return result

    peak(1_000)  # what is imported and cached at first use
    few, many = peak(4_000), peak(20_000)
    # the numbers of the 16,000 rows more are 256 kB; what is not collected yet varies by 60 kB
    assert many < few + 128_000


def test_summary_counts_what_the_labels_say(two_levels, cli, tmp_path):
    out = tmp_path / "labels.csv"
    result = cli("run", two_levels, *OPTIONS, "--labels", out)
    labels = [row[3] for row in read(out)[1:]]
    lengths = {"0": [], "1": []}
    run = 0
    for i, label in enumerate(labels):
        run += 1
        if i + 1 == len(labels) or labels[i + 1] != label:
            lengths[label].append(run)
            run = 0
    shown = {}
    for line in result.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("│┃").split("│")]
        shown[cells[0]] = cells[1:]
    assert shown["rows"] == [f"{labels.count(k):,}" for k in "01"]
    assert shown["segments"] == [f"{len(lengths[k]):,}" for k in "01"]
    assert shown["longest, rows"] == [str(max(lengths[k])) for k in "01"]
    missing = sum(cell in ("", "NaN") for row in read(out)[1:] for cell in row[1:3])
    n_segments = sum(map(len, lengths.values()))
    assert f"1,500 rows, {n_segments:,} segments, 0 outliers, {missing} missing" in result.stdout


@pytest.mark.parametrize(
    ("labels", "median"), [("0001", 3.0), ("010001", 2.0), ("0100010000", 3.0), ("1", None)]
)
def test_median_length(labels, median):
    for parts in (list(labels), [labels], [labels[:2], labels[2:]]):
        summary = Summary()
        for part in filter(None, parts):
            n = len(part)
            its = np.array([int(label) for label in part])
            summary.add(np.ones((n, 1)), its, np.zeros(n, dtype=bool))
        summary.close()
        if median is None:
            assert summary.median_length(0) != summary.median_length(0)
        else:
            assert summary.median_length(0) == median


def test_outliers_are_counted_and_flagged(cli, tmp_path, write_levels):
    path = write_levels(400)
    with path.open("a") as file:
        file.write("t,10,,9e6\n")
    result = cli("run", path, *OPTIONS, "--labels", tmp_path / "labels.csv")
    assert "1 outlier," in result.stdout
    assert [row[-2] for row in read(tmp_path / "labels.csv")[1:]] == ["0"] * 400 + ["1"]
