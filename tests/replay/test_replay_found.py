"""replay run and live where the regimes are found."""

import csv
import json
import re

import numpy as np
import pytest
from pyarrow import parquet

from online_gmm import Segmenter
from replay.engine.hindsight import _numbers
from replay.views.decimation import Trace
from replay.views.figure import line

LATER = ("--learner", "segmenter")
LEARNER = (*LATER, "--causal")
START = 1_700_000_000


@pytest.fixture
def pump(tmp_path):
    """Flow of 40 and .2 in turn, 200 rows each; two devices row by row if asked for."""

    def write(keys=("",)):
        rng = np.random.default_rng(1)
        path = tmp_path / "pump.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["when", "device", "flow", "pressure"])
            for i in range(1600):
                for j, key in enumerate(keys):
                    level = 40.0 if (i // 200 + j) % 2 == 0 else 0.2
                    flow, pressure = rng.normal([level, 6.0], [1.0, 0.1])
                    writer.writerow([START + 60 * i, key, f"{flow:.3f}", f"{pressure:.3f}"])
        return path

    return write


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_segments_begin_where_the_regime_changed(cli, pump, tmp_path):
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli(
        *("run", pump(), "--value", "flow", "--value", "pressure", "--time", "when"),
        *("--labels", labels, "--segments", segments, *LEARNER),
    )
    assert result.exit_code == 0, result.output
    assert "the segmenter found" in result.output
    assert "Changes of regime" in result.output
    found = read(segments)
    # how soon the first regimes are told apart is another matter: see benchmarks/machines.py
    starts = np.array([(int(row["start"]) - START) // 60 for row in found])
    for at in (1000, 1200, 1400):
        assert np.abs(starts - at).min() <= 16
    assert sum(int(row["n"]) for row in found) == 1600
    rows = read(labels)
    assert len(rows) == 1600
    assert rows[0]["label"] == "-1"
    told = np.array([i for i, row in enumerate(rows) if row["change"] == "1"])
    # several changes may be told at one row; labels are causal, and change where that was
    assert 1 <= len(told) <= len(found) - 1
    assert told[-1] >= starts[-1]
    assert rows[-1]["label"] == found[-1]["label"]


def test_options_of_other_learners_are_refused(cli, pump):
    result = cli("run", pump(), "--value", "flow", "--regimes", "3", *LEARNER)
    assert result.exit_code == 2
    assert "--regimes is not for --learner segmenter" in result.stderr
    result = cli("run", pump(), "--value", "flow", "--persist", "--learner", "mixture")
    assert result.exit_code == 2
    assert "--persist is --learner hmm" in result.stderr


def test_each_key_has_its_own_regimes_and_a_stop_leaves_no_trace(cli, pump, tmp_path):
    path = pump(("a", "b"))
    told = ("--value", "flow", "--value", "pressure", "--time", "when", "--key", "device")
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    saving = ("--checkpoint", tmp_path / "whole")
    result = cli("run", path, *told, "--segments", whole, *saving, *LEARNER)
    assert result.exit_code == 0, result.output
    assert len(read(whole)) >= 8
    lines = path.read_text().splitlines(keepends=True)
    first = tmp_path / "first.csv"
    first.write_text("".join(lines[:1000]))
    state = ("--checkpoint", tmp_path / "state", "--segments", parts, *LEARNER)
    assert cli("run", first, *told, *state).exit_code == 0
    first.write_text("".join(lines))
    result = cli("run", first, *told, *state, "--resume")
    assert result.exit_code == 0, result.output
    assert parts.read_bytes() == whole.read_bytes()
    shown = cli("models", tmp_path / "state", "a")
    assert shown.exit_code == 0, shown.output
    assert "typical stay" in shown.output


def test_gaps_end_segments(cli, pump, tmp_path):
    path = pump()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:300] + lines[600:]))
    segments = tmp_path / "segments.csv"
    result = cli(
        *("run", path, "--value", "flow", "--time", "when", "--max-gap", "3600"),
        *("--segments", segments, *LEARNER),
    )
    assert result.exit_code == 0, result.output
    assert {int(row["end"]) for row in read(segments)} >= {START + 60 * 298}


def test_a_window_of_time_is_as_many_rows(cli, pump, tmp_path):
    path = pump(("a", "b"))
    told = ("--value", "flow", "--time", "when", "--key", "device", *LATER)
    written = {}
    for window in ("1800s", "30min", "30"):
        for causal in ((), ("--causal",)):
            labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
            result = cli(
                *("run", path, *told, "--window", window, *causal),
                *("--labels", labels, "--segments", segments),
            )
            assert result.exit_code == 0, result.output
            rows = " rows" if window == "30" else ""
            assert f"through windows of {window}{rows}" in result.output
            its = written.setdefault(causal, (labels.read_bytes(), segments.read_bytes()))
            assert its == (labels.read_bytes(), segments.read_bytes())
    assert written[()] != written[("--causal",)]


def test_a_window_of_time_goes_on_after_a_stop(cli, pump, tmp_path):
    path = pump()
    told = ("--value", "flow", "--time", "when", *LATER, "--window", "30min")
    lines = path.read_text().splitlines(keepends=True)
    written = []
    for stop in (10, 500):
        labels, state = tmp_path / f"{stop}.csv", tmp_path / f"state{stop}"
        its = (*told, "--labels", labels, "--checkpoint", state)
        path.write_text("".join(lines[:stop]))
        assert cli("run", path, *its).exit_code == 0
        path.write_text("".join(lines))
        result = cli("run", path, *its, "--resume")
        assert result.exit_code == 0, result.output
        assert "through windows of 30 rows" in result.output
        written.append(labels.read_bytes())
    assert written[0] == written[1]
    result = cli("run", path, *told[:-1], "31min", "--checkpoint", state, "--resume")
    assert result.exit_code == 2
    assert "--window is '31min' and was '30min'" in result.stderr


@pytest.mark.parametrize("lag", [9, 60])
@pytest.mark.parametrize("more", [(), ("--max-gap", "3600")])
def test_a_lag_labels_rows_once_when_so_many_more_have_come(cli, pump, tmp_path, lag, more):
    path = pump()
    lines = path.read_text().splitlines(keepends=True)
    lines = lines[:6] + lines[7:300] + lines[600:]
    if more:
        lines = lines[:3] + [
            line.replace(line[:10], str(int(line[:10]) + 7200)) for line in lines[3:]
        ]
    path.write_text("".join(lines))
    columns = ("--value", "flow", "--value", "pressure", "--time", "when")
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli(
        *("run", path, *columns, *LATER, "--lag", lag, *more),
        *("--labels", labels, "--segments", segments),
    )
    assert result.exit_code == 0, result.output
    assert f"labels are those known when {lag} more rows had come" in result.output
    values = np.array([[float(cell) for cell in line.split(",")[2:]] for line in lines[1:]])
    seconds = np.array([float(line.split(",")[0]) for line in lines[1:]])
    segmenter, known = Segmenter(lag=lag), []
    for i, x in enumerate(values.tolist()):
        if more and i and seconds[i] - seconds[i - 1] > 3600:
            segmenter.reset_state()
            known += segmenter.new_labels.labels.tolist()
        segmenter.learn_one(dict(enumerate(x)))
        known += segmenter.new_labels.labels.tolist()
    segmenter.finish()
    known += segmenter.new_labels.labels.tolist()
    rows = read(labels)
    assert [int(row["label"]) for row in rows] == known
    changes = [int(row["change"]) for row in rows]
    gaps = np.flatnonzero(np.diff(seconds) > 3600) + 1 if more else []
    assert changes == [
        int(0 <= known[i - 1] != known[i] and i not in gaps) if i else 0 for i in range(len(known))
    ]
    causal = tmp_path / "causal.csv"
    assert cli("run", path, *columns, *LEARNER, *more, "--segments", causal).exit_code == 0
    assert segments.read_bytes() == causal.read_bytes()
    if not more:
        columns = columns[:4]
        for path_of, its in ((segments, ("--lag", lag)), (causal, ("--causal",))):
            assert cli("run", path, *columns, *LATER, *its, "--segments", path_of).exit_code == 0
        # numbers of rows
        assert segments.read_bytes() == causal.read_bytes()


@pytest.mark.parametrize("more", [(), ("--max-keys", "1"), ("--max-gap", "600")])
def test_a_lag_goes_on_after_a_stop(cli, pump, tmp_path, more):
    path = pump(("a", "b"))
    its = ("--value", "flow", "--time", "when", "--key", "device", *LATER, "--lag", "40", *more)
    lines = path.read_text().splitlines(keepends=True)
    lines = lines[:700] + lines[760:]
    written = []
    for stops in ((), (9,), (500, 690, 705), (1100,)):
        name = "-".join(map(str, stops))
        labels, segments = tmp_path / f"{name}.csv", tmp_path / f"{name}-segments.csv"
        saving = ("--checkpoint", tmp_path / f"state{name}", "--labels", labels)
        for i, stop in enumerate([*stops, len(lines)]):
            path.write_text("".join(lines[:stop]))
            resume = ("--resume",) if i else ()
            result = cli("run", path, *its, *saving, "--segments", segments, *resume)
            assert result.exit_code == 0, result.output
        written.append((labels.read_bytes(), segments.read_bytes()))
    assert len(set(written)) == 1
    labels = tmp_path / "whole.csv"
    assert cli("run", path, *its, "--labels", labels).exit_code == 0
    columns = ("when", "device", "label", "probability", "change")
    parts = [[row[name] for name in columns] for row in read(tmp_path / ".csv")]
    assert parts == [[row[name] for name in columns] for row in read(labels)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--window", "30s", *LATER), "--window needs --time"),
        (("--window", "half", *LATER), "--window is 'half'"),
        (("--window", "3", *LATER), "--window is 3"),
        (("--window", "30s", "--regimes", "2"), "--window is for the segmenter"),
        (("--lag", "5", "--causal", *LATER), "--causal keeps the label"),
        (("--lag", "5", "--regimes", "2"), "--lag is for regimes that persist"),
    ],
)
def test_windows_and_lags_that_are_refused(cli, pump, options, message):
    result = cli("run", pump(), "--value", "flow", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_file_that_is_too_short_for_a_regime(cli, pump, tmp_path):
    path, segments = pump(), tmp_path / "segments.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))
    for window in ((), ("--window", "30min")):
        its = ("--value", "flow", "--time", "when", *LEARNER, *window, "--segments", segments)
        result = cli("run", path, *its)
        assert result.exit_code == 0, result.output
        assert "no regime is known yet: there were too few rows" in result.output
        assert [(row["label"], row["n"]) for row in read(segments)] == [("-1", "9")]


def first_rows(path, tmp_path, n):
    """A file with the first rows of another one."""
    short = tmp_path / "short.csv"
    short.write_text("".join(path.read_text().splitlines(keepends=True)[: n + 1]))
    return short


@pytest.mark.parametrize(
    ("n", "options", "told"),
    [
        (3, (), "3 rows are few: changes are found from some 130 rows on\n"),
        (100, (), "100 rows are few: .* 130 rows on; --window 4 looks for them in fewer\n"),
        (150, ("--causal",), "150 rows are few: .* 300 rows on; --window 4"),
        (150, (), None),
        (100, ("--window", "4"), None),
    ],
)
def test_it_is_said_that_few_rows_show_no_change(cli, pump, tmp_path, n, options, told):
    """One row says nothing of regimes, and that there was no change is no finding."""
    report = tmp_path / "report.html"
    path = first_rows(pump(), tmp_path, n)
    output = cli("run", path, "--value", "flow", *LATER, *options, "--report", report).stdout
    assert "the regime did not change" in output
    if told is None:
        assert "are few" not in output
    else:
        assert re.search(told, output)
        assert f"{n} rows are few" in report.read_text()


def test_it_is_said_of_how_many_keys_few_rows_show_no_change(cli, tmp_path):
    path = tmp_path / "keys.csv"
    levels = [f"{key},{20 + i % 7 + 30 * (i // 200 % 2)}" for i in range(400) for key in "ab"]
    few = [f"{key},{i % 7}" for i in range(40) for key in "cd"]
    path.write_text("\n".join(["device,flow", *levels, *few]))
    output = cli("run", path, "--value", "flow", "--key", "device", *LATER).stdout
    assert (
        "2 of 4 keys may lack changes; of 'c': 40 rows are few: changes are found from some 130 "
        "rows on; --window 4 looks for them in fewer\n"
    ) in output


def test_it_is_said_that_all_rows_come_late(cli, pump, tmp_path):
    path = pump()
    lines = path.read_text().splitlines(keepends=True)
    # a time that has come: of one that has not it is known that the clock was wrong
    lines[500] = "1767225600" + lines[500][10:]
    path.write_text("".join(lines))
    told = ("run", path, "--value", "flow", "--time", "when", *LATER)
    output = cli(*told, "--late", "skip").stdout
    assert "100 rows in a row came late and were dropped: none is after '1767225600'" in output
    assert "in a row" not in cli(*told, "--late", "learn").stdout


def test_it_is_said_that_each_step_is_a_gap(cli, pump, tmp_path):
    told = ("run", pump(), "--value", "flow", "--time", "when", *LATER)
    assert "most steps are longer than --max-gap" in cli(*told, "--max-gap", "1").stdout
    assert "most steps" not in cli(*told, "--max-gap", "60").stdout
    assert "most steps" not in cli(*told, "--max-gap", "1", "--on-gap", "hold").stdout


def test_a_checkpoint_counts_the_segment_that_is_going_on(cli, pump, tmp_path):
    folder = tmp_path / "folder"
    printed = cli("run", pump(), "--value", "flow", "--checkpoint", folder, *LATER).stdout
    counts = re.search(r"1,600 rows, \d+ segments, \d+ outliers, ", printed)
    assert counts[0] in cli("models", folder).stdout


def test_outliers_are_said_to_be_those_as_rows_came(cli, pump, tmp_path):
    """Rows between a change and its report are far from what was known, but not in hindsight."""
    told = ("run", pump(), "--value", "flow", *LATER)
    assert re.search(r"[1-9]\d* outliers as they came, ", cli(*told).stdout)
    assert "as they came" not in cli(*told, "--causal").stdout


def test_the_report_shows_regimes_that_were_found(cli, pump, tmp_path):
    report = tmp_path / "report.html"
    result = cli("run", pump(), "--value", "flow", "--report", report, *LEARNER)
    assert result.exit_code == 0, result.output
    assert report.stat().st_size > 10_000


def counted(output):
    """Segments, changes, and rows at which changes were told, as the summary has them."""
    segments = int(re.search(r"rows, ([\d,]+) segments?,", output)[1].replace(",", ""))
    line = re.search(r"(\d+) changes? of regime(?:, told at (\d+) rows)?;", output)
    return segments, int(line[1]), int(line[2] or line[1])


@pytest.mark.parametrize("cut", [None, (300, 600)], ids=["whole", "gap"])
def test_what_is_counted_agrees_everywhere(cli, pump, tmp_path, monkeypatch, cut):
    path, labels, segments = pump(), tmp_path / "labels.csv", tmp_path / "segments.csv"
    if cut is not None:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[: cut[0]] + lines[cut[1] :]))
    kept = []
    monkeypatch.setattr(
        "replay.views.page.report.write_report", lambda *given, **named: kept.append(given)
    )
    told = ("--value", "flow", "--value", "pressure", "--time", "when", "--max-gap", "3600")
    outputs = ("--labels", labels, "--segments", segments, "--report", tmp_path / "report.html")
    # outputs of a run with a checkpoint have a column for names
    result = cli("run", path, *told, *outputs, *LEARNER, "--checkpoint", tmp_path / "whole")
    assert result.exit_code == 0, result.output
    n_segments, n_changes, n_rows = counted(result.output)
    written, rows = read(segments), read(labels)
    n_gaps = int(cut is not None)
    assert n_segments == len(written) == n_changes + 1 + n_gaps > 4
    assert sum(int(row["n"]) for row in written) == len(rows)
    assert sum(row["change"] == "1" for row in rows) == n_rows
    ((_, _, history, its, *_),) = kept
    (head,) = history.heads()
    assert (head.n, head.n_changes) == (len(rows), n_changes)
    assert history.segments("")[1] == n_segments
    assert sum(card.visits for card in its[""].model.regimes.values()) == n_segments
    # the summary of each key says the same, and so does one that went on after a stop
    lines = path.read_text().splitlines(keepends=True)
    first = tmp_path / "first.csv"
    first.write_text("".join(lines[:700]))
    again = ("--labels", tmp_path / "l.csv", "--segments", tmp_path / "s.csv", *LEARNER)
    state = ("--checkpoint", tmp_path / "state")
    assert cli("run", first, *told, *again, *state).exit_code == 0
    first.write_text("".join(lines))
    result = cli("run", first, *told, *again, *state, "--resume")
    assert counted(result.output) == (n_segments, n_changes, n_rows)
    # a checkpoint gives them a column for names
    for name, one in (("s.csv", written), ("l.csv", rows)):
        assert [{**row, "name": ""} for row in one] == read(tmp_path / name)


def test_each_key_counts_what_its_segments_show(cli, pump, tmp_path):
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    result = cli(
        *("run", pump(("a", "b")), "--value", "flow", "--time", "when", "--key", "device"),
        *("--labels", labels, "--segments", segments, *LEARNER),
    )
    assert result.exit_code == 0, result.output
    for key in ("a", "b"):
        line = re.search(rf"│ {key} +│ +([\d,]+) │.*│ +(\d+) │ +\d+ │", result.output)
        its = [row for row in read(segments) if row["device"] == key]
        assert int(line[1].replace(",", "")) == sum(int(row["n"]) for row in its) == 1600
        assert int(line[2]) == len(its) - 1
        rows = [row for row in read(labels) if row["device"] == key]
        assert 1 <= sum(row["change"] == "1" for row in rows) <= len(its) - 1


@pytest.mark.parametrize("keys", [("",), ("a", "b")], ids=["one", "keys"])
def test_a_finished_file_is_labelled_as_a_whole(cli, pump, tmp_path, monkeypatch, keys):
    path, labels, segments = pump(keys), tmp_path / "labels.csv", tmp_path / "segments.csv"
    kept = []
    monkeypatch.setattr(
        "replay.views.page.report.write_report", lambda *given, **named: kept.append(given)
    )
    told = ("--value", "flow", "--value", "pressure", "--time", "when")
    told += ("--key", "device") if len(keys) > 1 else ("--plot", tmp_path / "series.png")
    outputs = ("--labels", labels, "--segments", segments, "--report", tmp_path / "report.html")
    result = cli("run", path, *told, *outputs, *LATER)
    assert result.exit_code == 0, result.output
    rows, written = read(labels), read(segments)
    assert list(rows[0])[-5:] == ["label", "probability", "outlier", "change", "causal_label"]
    for key in keys:
        its = [row for row in rows if len(keys) == 1 or row["device"] == key]
        parts = [row for row in written if len(keys) == 1 or row["device"] == key]
        starts = [(int(row["start"]) - START) // 60 for row in parts]
        assert starts == list(range(0, 1600, 200))
        assert [row["label"] for row in parts] == [parts[0]["label"], parts[1]["label"]] * 4
        # labels, changes and segments are one
        assert [i for i, row in enumerate(its) if row["change"] == "1"] == starts[1:]
        for row in parts:
            start, end = ((int(row[name]) - START) // 60 for name in ("start", "end"))
            assert {one["label"] for one in its[start : end + 1]} == {row["label"]}
            assert int(row["n"]) == end + 1 - start
        assert its[0]["causal_label"] == "-1"
        assert its[0]["label"] != "-1"
    ((_, _, history, *_),) = kept
    assert {head.n_changes for head in history.heads()} == {7}
    if len(keys) == 1:
        assert counted(result.output) == (8, 7, 7)
    assert "found with the whole series at hand" in result.output
    # the causal labels are those of a run that looks at nothing twice
    causal = tmp_path / "causal.csv"
    told = [its for its in told if its != "--plot" and its != tmp_path / "series.png"]
    result = cli("run", path, *told, "--labels", causal, *LEARNER)
    assert "labels are those known as rows came" in result.output
    pairs = {
        (row.get("device"), row["label"], one["causal_label"])
        for row, one in zip(read(causal), rows, strict=True)
    }
    # but for the numbers, which rise from 0 in the order in which the whole series shows them
    for numbers in zip(*((pair[:2], (pair[0], pair[2])) for pair in pairs), strict=True):
        assert len(set(numbers)) == len(pairs)
    assert {(device, "-1", "-1") for device, *_ in pairs} <= pairs
    for key in keys:
        its = [row for row in rows if len(keys) == 1 or row["device"] == key]
        assert list(dict.fromkeys(row["label"] for row in its)) == ["0", "1"]
    assert "causal_label" not in read(causal)[0]


def test_typical_values_of_keys_are_those_of_regimes_in_hindsight(cli, tmp_path):
    """And not those of a regime that had this number as rows came."""
    rng = np.random.default_rng(4)
    levels = np.repeat(
        [9, 0, 9, 0, 20, 0, 9, 0, 20, 30], [30, 60, 30, 60, 60, 60, 80, 100, 100, 100]
    )
    path = tmp_path / "rows.csv"
    rows = [f"{key},{rng.normal(level, 1.0):.2f}\n" for level in levels for key in "ab"]
    path.write_text("key,level\n" + "".join(rows))
    segments = tmp_path / "segments.csv"
    result = cli("run", path, "--key", "key", "--segments", segments, *LATER)
    assert "columns level; the segmenter found regimes of each key\n" in result.stdout
    for key in "ab":
        rows = [row for row in read(segments) if row["key"] == key]
        last = rows[-1]["label"]
        n, sums = np.transpose(
            [
                (float(r["n"]), float(r["n"]) * float(r["mean_level"]))
                for r in rows
                if r["label"] == last
            ]
        )
        typical = f"level {sums.sum() / n.sum():.3g}"
        assert re.search(rf"│ {key} +│ +680 │ +{last} │ {typical} +│", result.stdout), result.stdout


def test_the_page_has_the_density_of_a_switch(cli, tmp_path):
    """Its standard deviation within a regime is 0."""
    path = tmp_path / "rows.csv"
    path.write_text("on,level\n" + "".join(f"{i // 100 % 2},{i * 7 % 11}.5\n" for i in range(400)))
    result = cli("run", path, "--report", tmp_path / "page.html", *LATER)
    assert result.exit_code == 0, result.output
    assert "on, mean ± sd" in result.stdout


def test_numbers_rise_from_0_without_holes():
    labels, causal = np.array([3, 3, 1, 1, 3, 5]), np.array([-1, 4, 4, 3, 1, 0])
    numbers = _numbers(labels, causal)
    assert numbers[labels].tolist() == [0, 0, 1, 1, 0, 2]
    assert numbers[causal].tolist() == [-1, 3, 3, 0, 1, 4]
    assert _numbers(causal[:1], causal[:1])[causal[:1]].tolist() == [-1]


@pytest.mark.parametrize("form", ["ndjson", "parquet"])
def test_other_formats_have_both_labels(cli, pump, tmp_path, form):
    labels, plain = tmp_path / f"labels.{form}", tmp_path / "labels.csv"
    for out in (labels, plain):
        assert cli("run", pump(), "--value", "flow", "--labels", out, *LATER).exit_code == 0
    if form == "parquet":
        rows = parquet.read_table(labels).to_pylist()
    else:
        rows = [json.loads(line) for line in labels.read_text().splitlines()]
    both = [(row["label"], row["causal_label"]) for row in rows]
    assert both == [(int(row["label"]), int(row["causal_label"])) for row in read(plain)]


def test_gaps_end_segments_in_hindsight_too(cli, pump, tmp_path):
    path = pump()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:300] + lines[600:]))
    segments = tmp_path / "segments.csv"
    result = cli(
        *("run", path, "--value", "flow", "--time", "when", "--max-gap", "3600"),
        *("--segments", segments, *LATER),
    )
    assert result.exit_code == 0, result.output
    written = read(segments)
    assert START + 60 * 298 in {int(row["end"]) for row in written}
    n_segments, n_changes, _ = counted(result.output)
    assert n_segments == len(written) == n_changes + 2


def test_more_than_is_held_stays_as_it_came(cli, pump, tmp_path, monkeypatch):
    monkeypatch.setattr("replay.engine.hindsight.MOST_VALUES", 1000)
    path, labels, causal = pump(), tmp_path / "labels.csv", tmp_path / "causal.csv"
    result = cli("run", path, "--value", "flow", "--labels", labels, *LATER)
    assert result.exit_code == 0, result.output
    assert "labels are those known as rows came" in result.output
    assert "the source has more than 1,000 values, which are too many" in result.output
    cli("run", path, "--value", "flow", "--labels", causal, *LEARNER)
    rows = read(labels)
    assert [row["label"] for row in rows] == [row["label"] for row in read(causal)]
    assert all(row["label"] == row["causal_label"] for row in rows)


def test_causal_is_for_the_segmenter(cli, pump):
    result = cli("run", pump(), "--value", "flow", "--learner", "mixture", "--causal")
    assert result.exit_code == 2
    assert "--causal is for the segmenter" in result.stderr


@pytest.mark.parametrize("learner", [LATER, LEARNER], ids=["later", "causal"])
def test_the_page_has_cards_and_reasons(cli, pump, tmp_path, learner):
    report = tmp_path / "report.html"
    told = ("--value", "flow", "--value", "pressure", "--time", "when", "--report", report)
    result = cli("run", pump(), *told, *learner)
    assert result.exit_code == 0, result.output
    page = report.read_text()
    for text in ("typical stay, rows", "share of rows", "visits"):
        assert text in page
    assert re.search(r"flow [\d.]+ -", page)


def test_no_line_crosses_a_gap():
    x = np.array([0.0, 1.0, 2.0, 90.0, 91.0])
    trace = Trace((x,), (x,), (np.zeros(5, dtype=np.int64),), None, 1)
    drawn = line(trace, 0, 1.0, False)
    assert drawn["x0"].tolist() == [0.0, 0.0, 1.0, 90.0, 90.0]
    assert drawn["y0"][3] == drawn["y1"][3]
    assert x.tolist() == [0.0, 1.0, 2.0, 90.0, 91.0]
