"""Regimes that have been given names: in a checkpoint, and in all that is written from then on."""

import csv

import msgspec
import numpy as np
import pytest

from online_gmm import OnlineGMM
from replay.engine.batch import Batch, ListTexts
from replay.engine.checkpoint import Checkpoints
from replay.engine.order import SeriesOptions
from replay.engine.series import Series
from replay.sources.times import Clock
from replay.views.history import History
from replay.views.page.content import content_of
from replay.views.page.sink import Watcher
from replay.views.page.tables import keys_table
from replay.views.parameters import Parameters

LEARNERS = {
    "mixture": ["--regimes", 2],
    "hmm": ["--persist", "--regimes", 2],
    "segmenter": ["--learner", "segmenter"],
}
NAME = 'idle, "hot"'
STAY, STAYS = 150, 12


def levels(first_stay, last_stay, seed=1):
    rng = np.random.default_rng([seed, first_stay])
    states = np.repeat(np.arange(first_stay, last_stay) % 2, STAY)
    return rng.normal(10.0 * states, 1.0).round(3).tolist()


def written(path, stays, keys=("",)):
    """A file of rows, the keys by turns, or more rows at its end."""
    is_new = not path.exists()
    with path.open("a") as file:
        if is_new:
            file.write("device,level\n" if keys != ("",) else "level\n")
        for values in zip(*(levels(*stays, i) for i in range(len(keys))), strict=True):
            for key, value in zip(keys, values, strict=True):
                file.write(f"{key},{value}\n" if key else f"{value}\n")


def rows_of(path):
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path).to_pylist()
    with path.open(newline="") as file:
        if path.suffix == ".ndjson":
            return [msgspec.json.decode(line) for line in file]
        return list(csv.DictReader(file))


def go_on(cli, tmp_path, options, *more):
    return cli(
        *("run", tmp_path / "in.csv", "--value", "level", "--checkpoint", tmp_path / "state"),
        *("--resume", "--segments", tmp_path / "segments.csv", *options, *more),
    )


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_a_name_is_in_all_that_is_written_after_it(learner, ending, cli, tmp_path):
    labels, options = tmp_path / f"labels.{ending}", LEARNERS[learner]
    options = [*options, "--labels", labels]
    written(tmp_path / "in.csv", (0, STAYS))
    assert go_on(cli, tmp_path, options).exit_code == 0
    before = rows_of(labels)
    label = int(before[-1]["label"])
    result = cli("name", tmp_path / "state", label, NAME)
    assert (result.exit_code, result.output) == (0, f"regime {label} is {NAME}\n")
    written(tmp_path / "in.csv", (STAYS, 2 * STAYS))
    result = go_on(cli, tmp_path, options)
    assert result.exit_code == 0, result.output
    assert "idle" in result.output

    after = rows_of(labels)
    assert after[: len(before)] == before
    assert len(after) == 2 * len(before)
    for row in after[len(before) :]:
        is_named = int(row["label"]) == label
        if ending == "ndjson":
            assert row.get("name") == (NAME if is_named else None)
        else:
            assert row["name"] == (NAME if is_named else "" if ending == "csv" else None)
    segments = rows_of(tmp_path / "segments.csv")
    assert list(segments[0])[-1] == "name"
    late = [row for row in segments if int(row["start"]) > len(before)]
    assert {row["name"] for row in late if int(row["label"]) == label} == {NAME}
    assert {row["name"] for row in late if int(row["label"]) != label} == {""}
    assert "idle" in cli("models", tmp_path / "state").output

    assert cli("name", tmp_path / "state", label).output == (
        f"regime {label} has no name; it was {NAME}\n"
    )
    assert "idle" not in cli("models", tmp_path / "state").output


def test_without_a_checkpoint_there_is_no_column_for_names(cli, tmp_path):
    written(tmp_path / "in.csv", (0, STAYS))
    labels, segments = tmp_path / "labels.csv", tmp_path / "segments.csv"
    cli("run", tmp_path / "in.csv", "--regimes", 2, "--labels", labels, "--segments", segments)
    assert list(rows_of(labels)[0]) == ["level", "label", "probability", "outlier", "change"]
    assert "name" not in rows_of(segments)[0]


def test_of_many_keys_one_is_meant_and_the_others_stay_as_they_are(cli, tmp_path):
    keys, options = ("a", "b"), ["--key", "device", "--regimes", 2]
    options += ["--labels", tmp_path / "labels.csv"]
    written(tmp_path / "in.csv", (0, STAYS), keys)
    assert go_on(cli, tmp_path, options).exit_code == 0
    checkpoints = Checkpoints(tmp_path / "state")
    header, states = checkpoints.load()
    before = dict(states)

    for arguments, said in (
        ((1, "run"), "2 keys; say whose regime it is with --key"),
        ((1, "run", "--key", "c"), "no model of 'c'"),
        ((7, "run", "--key", "b"), "there is no label 7; the labels are 0, 1"),
        ((1, " ", "--key", "b"), "text is expected"),
    ):
        result = cli("name", tmp_path / "state", *arguments)
        assert result.exit_code == 2
        assert said in " ".join(result.output.split())
    assert dict(checkpoints.load()[1]) == before

    assert cli("name", tmp_path / "state", 1, "run", "--key", "b").output == (
        "regime 1 of b is run\n"
    )
    after, states = checkpoints.load()
    its = dict(states)
    assert after == header
    assert its["a"] == before["a"]
    its_options = SeriesOptions.of(header.options)
    assert Series.from_bytes(its["b"], ["level"], its_options).model.names == {1: "run"}

    written(tmp_path / "in.csv", (STAYS, 2 * STAYS), keys)
    assert go_on(cli, tmp_path, options).exit_code == 0
    late = rows_of(tmp_path / "labels.csv")[2 * STAY * STAYS :]
    assert {(row["device"], row["label"], row["name"]) for row in late} == {
        ("a", "0", ""),
        ("a", "1", ""),
        ("b", "0", ""),
        ("b", "1", "run"),
    }


def test_there_must_be_a_checkpoint(cli, tmp_path):
    result = cli("name", tmp_path / "none", 1, "run")
    assert result.exit_code == 2
    assert "there is no checkpoint in" in result.output


def test_a_page_shows_names(tmp_path):
    model = OnlineGMM(2, features=["level"], seed=1)
    series = Series(model)
    history = History(["level"])
    page = Watcher(history)

    def label(values):
        for labelled, _ in series.label(rows(values))[0]:
            page.write(labelled)

    def rows(values):
        return Batch(
            ("level",),
            np.array(values)[:, None],
            ListTexts([""] * len(values), [(str(value),) for value in values]),
            np.arange(len(values)),
        )

    label(levels(0, STAYS))
    model.rename(1, "<run>")
    label(levels(STAYS, 2 * STAYS))
    again = Watcher(History(["level"]))
    again.go_to(page.position())
    for its in (page, again):
        snapshot = its.history.snapshot("")
        assert snapshot.head.names == {1: "<run>"}
        content = content_of(snapshot, *its.history.segments(""), Parameters.of(model))
        for name in ("head", "parameters", "segments"):
            assert "1 &lt;run&gt;</span>" in content.texts[name]
        assert "<run>" in content.data["peaks 0"]["text"]
    heads = [*history.heads(), *history.heads()]
    assert keys_table(heads, Clock()).count("1 &lt;run&gt;") == 2
