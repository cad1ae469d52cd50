"""Regimes that persist: labels given at once, some rows later and in the end, against OnlineHMM."""

import csv
import itertools
import re

import numpy as np
import pandas as pd
import pytest

from online_gmm import OnlineHMM
from replay.views import plot
from replay.views.tables import duration

WARM_UP = 60
OPTIONS = ["--value", "level", "--value", "load", "--time", "when", "--regimes", 2]
OPTIONS += ["--warm-up", WARM_UP, "--persist"]


@pytest.fixture
def stays(tmp_path):
    """Two levels that overlap, 40 rows each, of which some lack values, at uneven times."""
    rng = np.random.default_rng(7)
    seconds = 1_700_000_000 + np.cumsum(rng.integers(1, 9, 900) * 30)
    path = tmp_path / "stays.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "level", "load"])
        for i in range(900):
            high = i // 40 % 2
            level = "" if i % 31 == 7 else f"{rng.normal(10.0 + 1.5 * high):.3f}"
            load = "" if i % 93 == 7 else f"{rng.normal(-high):.3f}"
            when = np.datetime64(int(seconds[i]), "s")
            writer.writerow([f"{when}+00:00" if i % 2 else when, level, load])
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def points(path):
    return [{name: float(r[name] or "nan") for name in ("level", "load")} for r in read(path)]


def times(path):
    when = [pd.Timestamp(row["when"]) for row in read(path)]
    return [(t if t.tzinfo else t.tz_localize("UTC")).timestamp() for t in when]


def a_model(**parameters):
    return OnlineHMM(2, warm_up=WARM_UP, features=["level", "load"], seed=1, **parameters)


def frame(xs, ts, time=None):
    X = pd.DataFrame(xs)
    return X if time is None else X.assign(**{time: ts})


def by_hand(path, time=None, **parameters):
    """Labels and probabilities at once and ``lag`` rows later, and the model in the end."""
    model = a_model(time=time, **parameters)
    xs, ts = points(path), times(path) if time else [None] * len(points(path))
    at_once, later = [], []
    for i, (x, t) in enumerate(zip(xs, ts, strict=True)):
        if model.is_started:
            p = model.predict_proba_one(x, t)
            at_once.append((max(p, key=p.get), max(p.values())))
        model.learn_one(x, t)
        if model.is_started and not at_once:
            X = frame(xs[: i + 1], ts[: i + 1], time)
            p, labels = np.asarray(model.smooth_many(X)), list(model.decode_many(X))
            at_once = [(k, p[j, k]) for j, k in enumerate(labels)]
            later = at_once[:]
        elif len(at_once) - len(later) > model.lag:
            later.append(model.smoothed[2:4])
    while len(later) < len(xs):
        later.append(model.look_back(len(xs) - len(later) - 1)[2:4])
    return at_once, later, model


def assert_labels(rows, expected):
    """The labels expected; a row that measured nothing has that of the row before."""
    expected = list(expected)
    for i in range(1, len(rows)):
        if not rows[i]["level"] and not rows[i]["load"]:
            expected[i] = expected[i - 1]
    assert [int(row["label"]) for row in rows] == [label for label, _ in expected]
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], [p for _, p in expected], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ([], {}),
        (["--stickiness", 40], {"stickiness": 40.0}),
        (["--irregular", "--covariance-type", "diag"], {"time": "when", "covariance_type": "diag"}),
    ],
)
def test_labels_at_once_are_the_models(options, parameters, stays, cli, tmp_path):
    out = tmp_path / "labels.csv"
    result = cli("run", stays, *OPTIONS, *options, "--labels", out)
    assert result.exit_code == 0, result.output
    at_once, _, model = by_hand(stays, **parameters)
    assert_labels(read(out), at_once)
    assert [row["when"] for row in read(out)] == [row["when"] for row in read(stays)]
    assert "each row was labelled from those up to it" in result.stdout
    stickiness = parameters.get("stickiness", 10)
    assert f"2 regimes that persist (stickiness {stickiness:g} rows" in result.stdout
    (line,) = re.findall(r"mean stay learnt.*", result.stdout)
    for dwell in model.dwell:
        assert (
            duration(dwell) if "--irregular" in options else f" {dwell:,.1f}".removesuffix(".0")
        ) in line
    shares = [re.findall(r"[\d.]+%", line) for line in re.findall(r"│ [01]  .*", result.stdout)]
    if "--irregular" in options:
        assert "times of when" in result.stdout
        assert shares == [["100.00%"], ["100.00%"]]
    else:
        assert shares == [[f"{p:.2%}" for p in row] for row in model.transition]


@pytest.mark.parametrize("irregular", [False, True])
def test_lagged_labels_are_the_models(irregular, stays, cli, tmp_path):
    out = tmp_path / "labels.csv"
    options = ["--lag", 8, *(["--irregular"] if irregular else [])]
    result = cli("run", stays, *OPTIONS, *options, "--labels", out)
    assert result.exit_code == 0, result.output
    at_once, later, _ = by_hand(stays, time="when" if irregular else None, lag=8)
    assert_labels(read(out), later)
    assert later != at_once
    assert "each row was labelled from those up to 8 after it" in result.stdout


@pytest.mark.parametrize("irregular", [False, True])
def test_labels_of_the_whole_are_the_models(irregular, stays, cli, tmp_path):
    out = tmp_path / "labels.csv"
    options = ["--smooth", *(["--irregular"] if irregular else [])]
    result = cli("run", stays, *OPTIONS, *options, "--labels", out)
    assert result.exit_code == 0, result.output
    time = "when" if irregular else None
    *_, model = by_hand(stays, time=time)
    X = frame(points(stays), times(stays), time)
    p = np.asarray(model.smooth_many(X))
    assert_labels(read(out), [(k, p[i, k]) for i, k in enumerate(model.decode_many(X))])
    assert "rows were labelled together: the most probable sequence" in result.stdout


def test_the_more_rows_have_a_say_the_better_the_labels(stays, cli, tmp_path):
    truth = np.arange(900) // 40 % 2

    def accuracy(*options):
        out = tmp_path / "labels.csv"
        assert cli("run", stays, *options, "--labels", out).exit_code == 0
        same = np.mean(np.array([int(row["label"]) for row in read(out)]) == truth)
        return max(same, 1.0 - same)

    alone = accuracy(*OPTIONS[:-1])
    scores = [alone, *(accuracy(*OPTIONS, *more) for more in ([], ["--lag", 8], ["--smooth"]))]
    assert scores[0] < 0.9 < 0.93 < scores[1] < scores[2] <= scores[3]
    assert scores[3] > 0.97


@pytest.mark.parametrize("options", [[], ["--lag", 8], ["--smooth"]])
def test_segments_are_those_of_the_labels(options, stays, cli, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plot, "_save", lambda figure, path: drawn.append(figure))
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli(
        *("run", stays, *OPTIONS, *options, "--plot", "a.png"),
        *("--labels", labels, "--segments", segments),
    )
    assert result.exit_code == 0, result.output
    runs = [list(run) for _, run in itertools.groupby(read(labels), key=lambda row: row["label"])]
    assert [(s["start"], s["end"], s["label"]) for s in read(segments)] == [
        (run[0]["when"], run[-1]["when"], run[0]["label"]) for run in runs
    ]
    assert drawn[0].get_suptitle() == f"stays.csv: {len(runs) - 1} changes of regime"


def test_file_shorter_than_warm_up_and_lag(tmp_path, cli):
    path, out = tmp_path / "few.csv", tmp_path / "labels.csv"
    path.write_text("level\n" + "1\n2\n\n9\n8\n" * 4)
    for options in ([], ["--lag", 50], ["--smooth"], ["--lag", 50, "--warm-up", 10]):
        result = cli("run", path, "--regimes", 2, "--persist", *options, "--labels", out)
        assert result.exit_code == 0, result.output
        assert [row["level"] for row in read(out)] == ["1", "2", "", "9", "8"] * 4


def test_regimes_are_counted_by_the_model(stays, cli):
    result = cli("run", stays, *OPTIONS, "--regimes", "auto")
    assert result.exit_code == 0, result.output
    (found,) = re.findall(r"; (\d) \(auto\) regimes that persist", result.stdout)
    table = result.stdout[result.stdout.index("Regime of the next row") :]
    assert f"to {int(found) - 1}" in table
    assert f"to {found}" not in table


def test_the_bundled_series_persist(cli):
    result = cli("run", "--persist", "--irregular")
    assert result.exit_code == 0, result.output
    assert "Regime of the next row" in result.stdout  # the 50 points have no times
    assert "Regime after a stay" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lag", 3], "--lag is for regimes that persist; add --persist"),
        (["--stickiness", 3], "--stickiness is for regimes that persist"),
        (["--smooth"], "--smooth is for regimes that persist"),
        (["--irregular"], "--irregular is for regimes that persist"),
        (["--persist", "--irregular"], "--irregular needs --time"),
        (["--persist", "--lag", 3, "--smooth"], "--lag and --smooth are two ways"),
        (["--persist", "--recycle"], "--recycle and --persist do not go together"),
        (["--persist", "--regimes", 17], "--regimes is 17; with --persist there are at most 16"),
        (["--persist", "--regimes", "many"], "--regimes is 'many'; it must be a number from 1"),
        (
            ["--persist", "--stickiness", -1],
            "stickiness is -1.0; it must be a number of points",
        ),
        (["--persist", "--lag", -1], "--lag"),
    ],
)
def test_bad_options(options, said, stays, cli):
    result = cli("run", stays, "--value", "level", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("noon,1", ", line 902, column 'when': 'noon' is no time; write seconds, or 2022"),
        (",1", ", line 902, column 'when': '' is no time"),
        ("2023-11-14T22:13:20,1", "time '2023-11-14T22:13:20' is not after '2023-1"),
        ("2023-11-14,1", "in line 901; sort the rows, or say --late skip or --late learn"),
    ],
)
def test_bad_times(line, said, stays, cli):
    with stays.open("a") as file:
        file.write(f"{line},1\n")
    result = cli("run", stays, *OPTIONS, "--irregular")
    assert result.exit_code == 2
    assert said in result.stderr
    assert cli("run", stays, *OPTIONS).exit_code == 0


def test_the_time_is_not_learnt(stays, cli):
    result = cli(*("run", stays, "--value", "when", "--time", "when", "--persist", "--irregular"))
    assert result.exit_code == 2
    assert "--value 'when' is the column of --time, which is read and not learnt" in result.stderr


def test_times_may_be_numbers(tmp_path, cli):
    path = tmp_path / "seconds.csv"
    path.write_text("t;level\n" + "".join(f"{i},5;{i // 20 % 2},{i % 3}\n" for i in range(200)))
    options = ["--value", "level", "--time", "t", "--regimes", 2, "--decimal", ","]
    more = ["--persist", "--irregular", "--warm-up", 50, "--time-format", "s"]
    result = cli("run", path, *options, *more)
    assert result.exit_code == 0, result.output
    stays = re.search(r"mean stay learnt +│ +([\d.]+) s │ +([\d.]+) s", result.stdout)
    assert 14.0 < min(map(float, stays.groups())) <= max(map(float, stays.groups())) < 28.0


def test_file_that_grows_between_the_passes(stays, cli, monkeypatch):
    from replay.engine import whole

    def growing(*arguments):
        with stays.open("a") as file:
            file.write("2033-01-01,1,1\n")
        return by_what_is_known(*arguments)

    by_what_is_known = whole.by_what_is_known
    monkeypatch.setattr(whole, "by_what_is_known", growing)
    result = cli("run", stays, *OPTIONS[:-3], "--warm-up", 1000, "--persist", "--smooth")
    assert result.exit_code == 2
    assert "stays.csv had 900 rows to learn and 901 to be labelled" in result.stderr


def test_check_is_about_the_mixture(stays, cli):
    result = cli("check", stays, "--value", "level", "--persist")
    assert result.exit_code == 2
    assert "--persist is for replay run; replay check compares the mixture" in result.stderr
    assert "--persist" not in cli("check", "--help").stdout


def test_help_tells_of_labels_and_memory(cli):
    text = " ".join(re.sub("[│]", "", cli("run", "--help").stdout).split())
    for example in ("--persist --lag 20", "--persist --irregular --smooth"):
        assert re.search(rf"Example[^:]*: replay run pump\.csv [^:]*{example}", text)
    assert "All values are held in memory" in text
    assert "[default: 0, at once]" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.25 s"), (119.0, "119 s"), (120.0, "2.0 min"), (9000.0, "2.5 h"), (2e5, "2.3 days")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
