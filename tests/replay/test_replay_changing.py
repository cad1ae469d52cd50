"""Series that change: regimes that come and go, and rows that count less with time."""

import csv
import math
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from online_gmm import ComponentEvent, HalfLife, MixtureParameters, OnlineGMM
from replay.engine.summary import Summary
from replay.sources.times import Clock
from replay.views.tables import MOST_EVENTS, MOST_GONE, Happening, events_table, regimes_table

OPTIONS = ["--value", "level", "--time", "when", "--half-life", 300]


@pytest.fixture
def moved(tmp_path):
    """Levels 0, 10 and 20; then 20 is left for ever, and later 60 comes. Some rows are empty."""
    rng = np.random.default_rng(1)
    parts = ((1500, [0, 10, 20]), (2500, [0, 10]), (1500, [0, 10, 60]))
    level = np.concatenate([rng.normal(rng.choice(means, size=n), 1.0) for n, means in parts])
    path = tmp_path / "moved.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "level"])
        for i, value in enumerate(level):
            writer.writerow([f"t{i}", "" if i % 100 == 7 else f"{value:.3f}"])
    return path


def by_hand(path):
    """Labels and events with their row, as the learner has them without any of the replay."""
    model = OnlineGMM(3, step_size=HalfLife(points=300), recycle=True, features=["level"], seed=1)
    with path.open(newline="") as file:
        points = [{"level": float(row["level"] or "nan")} for row in csv.DictReader(file)]
    labels, events, waiting = [], [], []

    def label(point):
        # a row that measured nothing carries the last label
        known = not math.isnan(point["level"])
        labels.append(model.predict_one(point) if known else labels[-1])

    for row, point in enumerate(points, 1):
        if model.is_started:
            label(point)
            model.learn_one(point)
        else:
            waiting.append(point)
            model.learn_one(point)
            if model.is_started:
                for held in waiting:
                    label(held)
        while len(events) < len(model.events):
            events.append((row, model.events[len(events)]))
    return model, labels, events


def shown(result, title):
    """The cells of the table with this title, line by line."""
    lines = result.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(title))
    table = []
    for line in lines[first + 1 :]:
        if line.startswith("└"):
            break
        if line[0] in "│┃":
            table.append([cell.strip() for cell in re.split("[│┃]", line)[1:-1]])
    return table


def test_labels_events_and_counts_are_the_learners(moved, cli, tmp_path):
    out = tmp_path / "labels.csv"
    result = cli(
        "run", moved, *OPTIONS, "--recycle", "--labels", out, "--plot", tmp_path / "moved.png"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    model, labels, events = by_hand(moved)
    assert model.labels == (0, 1, 3)
    with out.open(newline="") as file:
        written = [int(row["label"]) for row in csv.DictReader(file)]
    assert written == labels
    assert set(labels) == {0, 1, 2, 3}

    # rows of the file, where the learner counts points that have a value
    assert [(event.kind, event.number) for _, event in events] == [("retired", 2), ("born", 3)]
    assert all(row > event.n_points for row, event in events)
    assert shown(result, "Regimes that came and went") == [
        ["row", "time", "event", "regime", "cause"],
        *(
            [f"{row:,}", f"t{row - 1}", event.kind, str(event.number), event.cause]
            for row, event in events
        ),
    ]

    table = shown(result, "Regimes ")
    assert table[:2] == [["", "", "", "", "2"], ["regime", "0", "1", "3", "retired"]]
    cells = {name: row for name, *row in table[2:]}
    assert cells["rows"] == [f"{labels.count(k):,}" for k in (0, 1, 3, 2)]
    assert cells["weight learnt"] == [*(f"{w:.1%}" for w in model.mixture.weights), "-"]
    means = [text.split(" ±")[0] for text in cells["level, mean ± sd"]]
    assert means[3] == "-"
    np.testing.assert_allclose([float(m) for m in means[:3]], [0, 10, 60], atol=0.6)
    segments = 1 + sum(a != b for a, b in pairwise(labels))
    assert f"5,500 rows, {segments:,} segments" in result.stdout
    assert ", half-life 300 rows, regimes recycled\n" in result.stdout
    assert "exponent" not in result.stdout
    assert (tmp_path / "moved.png").stat().st_size > 10_000


def test_half_life_alone_follows(cli, tmp_path):
    """Levels move by twice their distance; labels stay with them if and only if old rows fade."""
    rng = np.random.default_rng(2)
    high = rng.random(4000) < 0.5
    x = rng.normal(np.where(high, 8.0, 0.0) + np.linspace(0.0, 16.0, 4000), 1.0)
    path = tmp_path / "drift.csv"
    path.write_text("level\n" + "".join(f"{value:.3f}\n" for value in x))

    def right(*options):
        out = tmp_path / "labels.csv"
        result = cli("run", path, "--regimes", 2, *options, "--labels", out)
        assert result.exit_code == 0, result.output
        assert "came" not in result.stdout
        with out.open(newline="") as file:
            labels = np.array([int(row["label"]) for row in csv.DictReader(file)])
        return (labels == high)[2000:].mean()

    assert right() < 0.8
    assert right("--half-life", 100) > 0.99


@pytest.mark.usefixtures("undrawn")
def test_nothing_happens_on_a_steady_series(two_levels, cli):
    options = ["--value", "level", "--value", "load", "--regimes", 2]
    for command in ("run", "check"):
        result = cli(command, two_levels, *options, "--recycle")
        assert result.exit_code == 0, result.output
        assert "no regime came or went" in result.stdout
        assert "step exponent 0.7, regimes recycled\n" in result.stdout


@pytest.mark.usefixtures("undrawn")
def test_without_recycling_nothing_is_said_of_it(two_levels, cli):
    for command in ("run", "check"):
        result = cli(command, two_levels, "--value", "level", "--regimes", 2)
        assert "prior 0.001, step exponent 0.7\n" in result.stdout
        assert "came" not in result.stdout


def test_check_with_fewer_regimes_than_batch_em(cli, tmp_path):
    """A regime retired: parameters cannot be matched, and that is no traceback."""
    rng = np.random.default_rng(3)
    x = [*rng.normal(rng.choice([0, 10, 20], size=400), 1), *rng.normal(0, 1, 4000)]
    path = tmp_path / "gone.csv"
    path.write_text("level\n" + "".join(f"{value:.3f}\n" for value in x))
    result = cli("check", path, "--recycle")
    table = shown(result, "The learner against batch EM")
    assert table[-1][0] == "4,400"
    assert table[-1][3] == "-" != table[2][3]
    events = shown(result, "Regimes that came and went")[1:]
    assert "retired" in {row[1] for row in events}
    model = OnlineGMM(3, recycle=True, features=["level"], seed=1)
    model.learn_many(np.round(x, 3)[:, None])
    assert [row[0] for row in events] == [f"{event.n_points:,}" for event in model.events]
    assert result.exit_code == (1 if "FAIL" in result.stdout else 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--half-life", 10, "--exponent", 0.7], "--half-life and --exponent are two ways"),
        (["--half-life", 0], "half-life in points is 0.0; it must be a number above 0"),
        (["--half-life", "nan"], "half-life in points is nan; it must be a number above 0"),
        (["--half-life", -3], "half-life in points is -3.0; it must be a number above 0"),
    ],
)
def test_bad_half_life(options, said, two_levels, cli):
    result = cli("run", two_levels, "--value", "level", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_tables_of_very_many_regimes_that_are_gone():
    summary = Summary()
    for label in range(12):
        summary.lengths[label][label + 1] += 2
    summary.n_rows = 2 * sum(range(1, 13))
    mixture = MixtureParameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    events = [ComponentEvent("merged", 9, 500, None, "became one with component 8")]
    table = regimes_table(
        summary,
        SimpleNamespace(
            mixture=mixture,
            labels=(10, 3),
            names={},
            events=tuple(events),
            dwell=None,
            transition=None,
        ),
    )
    heads = [str(column.header) for column in table.columns]
    assert heads[:3] == ["regime", "10", "3"]
    assert heads[3:-1] == [*(f"{k}\ngone" for k in (5, 6, 7, 8)), "9\nmerged", "11\ngone"]
    assert len(heads[3:-1]) == MOST_GONE
    assert heads[-1] == "4 more\ngone"
    rows = [next(iter(column.cells)) for column in table.columns]
    # those of 0, 1, 2 and 4
    assert rows == ["rows", "22", "8", "12", "14", "16", "18", "20", "24", "22"]

    happenings = [Happening(row, "", events[0]) for row in range(1, MOST_EVENTS + 11)]
    table = events_table(happenings, timed=False, clock=Clock())
    assert table.row_count == MOST_EVENTS
    assert next(iter(table.columns[0].cells)) == "11"
    assert "of 60 events" in table.caption
