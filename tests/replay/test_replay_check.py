"""The comparison with batch EM."""

import re

import numpy as np
import pandas as pd
import pytest
from batches import one_by_one
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM
from online_gmm.em.batch import fit
from replay.checks.agreement import adjusted_rand
from replay.checks.check import chunks, next_mark
from replay.engine.protocols import batches_of
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions

OPTIONS = ["--value", "level", "--value", "load", "--regimes", 2, "--warm-up", 60]


def values_of_rows(source):
    return np.concatenate([batch.values for batch in batches_of(source, 1000)])


@pytest.mark.parametrize("seed", range(20))
def test_adjusted_rand_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 1 + seed % 5, size=60)
    b = np.where(rng.random(60) < seed / 20, a, rng.integers(0, 4, size=60))
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_adjusted_rand_does_not_mind_names():
    a = np.array([0, 0, 1, 1, 2])
    assert adjusted_rand(a, (a + 1) % 3) == 1.0
    assert adjusted_rand(a, a * 0) == 0.0
    assert adjusted_rand(a[:1], a[:1]) == 1.0


def test_marks():
    marks = [1]
    while marks[-1] < 1000:
        marks.append(next_mark(marks[-1]))
    assert marks == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert [next_mark(n) for n in (60, 200, 999)] == [100, 500, 1000]


def test_chunks_are_the_file(tmp_path, write_levels):
    source = Files([str(write_levels(2500))], ReadOptions(("load", "level")))
    pieces = list(chunks(batches_of(source, 700), 2))
    assert [len(piece) for piece in pieces] == [1024, 1024, 452]
    expected = [list(row.values.values()) for row in one_by_one(source)]
    np.testing.assert_array_equal(np.vstack(pieces), expected)


def lines(result):
    """The table's rows as numbers: rows, pass, gap, error, agreement."""
    table = [line for line in result.stdout.splitlines() if re.search(r"\de[-+]\d\d │", line)]
    return [[float(cell.replace(",", "")) for cell in line.split("│")[1:6]] for line in table]


@pytest.mark.usefixtures("undrawn")
def test_comparison_is_what_online_gmm_computes(two_levels, cli):
    result = cli("check", two_levels, *OPTIONS)
    assert result.exit_code == 0, result.output
    table = lines(result)
    X = np.array(
        [
            list(row.values.values())
            for row in one_by_one(Files([str(two_levels)], ReadOptions(("level", "load"))))
        ]
    )
    X = X[~np.isnan(X).all(axis=1)]
    # the first is the end of the warm start, which takes some rows
    assert 60 < table[0][0] < 100
    assert [row[0] for row in table[1:]] == [100, 200, 500, 1000, len(X)]
    model = OnlineGMM(2, warm_up=60, features=["level", "load"], seed=1)
    for i, point in enumerate(X.tolist(), 1):
        model.learn_one(dict(zip(["level", "load"], point, strict=True)))
        if i in (200, len(X)):
            batch = fit(X[:i], model.start.mixture, model.start.prior).mixture
            online = model.mixture.matched_to(batch)
            frame = pd.DataFrame(X[:i], columns=["level", "load"])
            gap = np.mean(batch.score_samples(frame) - online.score_samples(frame))
            agreement = adjusted_rand_score(batch.predict(frame), online.predict(frame))
            (row,) = [row for row in table if row[0] == i]
            assert row[2] == pytest.approx(gap, rel=0.01, abs=1e-8)
            assert row[3] == pytest.approx(online.error(batch), rel=0.01)
            assert row[4] == pytest.approx(agreement, abs=1e-4)
    # closer to batch EM the more it has seen
    assert table[-1][2] < 1e-3 < 1e-2
    assert table[-1][3] < 0.2


@pytest.mark.usefixtures("undrawn")
def test_exact_lands_on_batch_em(two_levels, cli):
    result = cli("check", two_levels, *OPTIONS, "--exact")
    assert result.exit_code == 0, result.output
    table = lines(result)
    assert [row[1] for row in table][:3] == [1, 2, 5]
    assert table[-1][3] < 1e-6 < table[0][3]
    assert "PASS parameters" in result.stdout


@pytest.mark.usefixtures("undrawn")
def test_exact_fails_after_too_few_passes(two_levels, cli):
    result = cli("check", two_levels, *OPTIONS, "--exact", "--passes", 1)
    assert result.exit_code == 1
    assert "FAIL parameters" in result.stdout
    assert len(lines(result)) == 1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("option", "value", "verdict"),
    [("--max-gap", 1e-12, "FAIL likelihood"), ("--min-agreement", 1.01, "FAIL labels")],
)
def test_tight_tolerance_fails(option, value, verdict, two_levels, cli):
    result = cli("check", two_levels, *OPTIONS, option, value)
    assert result.exit_code == 1
    assert verdict in result.stdout
    assert result.stdout.count("FAIL") == 1


@pytest.mark.usefixtures("undrawn")
def test_further_passes(two_levels, cli):
    result = cli("check", two_levels, *OPTIONS, "--passes", 3)
    assert result.exit_code == 0, result.output
    table = lines(result)
    n = table[-1][0] / 3
    assert [row[:2] for row in table[-3:]] == [[n, 1], [2 * n, 2], [3 * n, 3]]
    assert table[-1][3] < table[-3][3]


@pytest.mark.usefixtures("undrawn")
def test_polish_adds_the_line_that_decides(cli, write_levels):
    path = write_levels(2000)
    arguments = ["check", path, *OPTIONS, "--passes", 2]
    plain, polished = lines(cli(*arguments)), cli(*arguments, "--polish")
    assert polished.exit_code == 0, polished.output
    said = [[cell.strip() for cell in row.split("│")[1:-1]] for row in polished.stdout.split("\n")]
    table = [row for row in said if len(row) == 6]
    numbers = [[float(cell.replace(",", "")) for cell in row[:5]] for row in table[:-1]]
    assert numbers == plain
    last = table[-1]
    assert last[1] == "polished"

    X = np.array(
        [
            list(row.values.values())
            for row in one_by_one(Files([str(path)], ReadOptions(("level", "load"))))
        ]
    )
    X = X[~np.isnan(X).all(axis=1)]
    assert last[0] == f"{3 * len(X):,}"
    model = OnlineGMM(2, warm_up=60, features=["level", "load"], seed=1)
    model.learn_many(X)
    model.learn_many(X)
    model.polish(X)
    batch = fit(X, model.start.mixture, model.start.prior).mixture
    frame = pd.DataFrame(X, columns=["level", "load"])
    gap = np.mean(batch.score_samples(frame) - model.mixture.score_samples(frame))
    assert float(last[2]) == pytest.approx(gap, rel=0.01, abs=1e-12)
    assert float(last[3]) == pytest.approx(model.mixture.matched_to(batch).error(batch), rel=0.01)

    # the verdict is on that line
    between = (plain[-1][2] * float(last[2])) ** 0.5
    assert float(last[2]) < plain[-1][2] / 2
    assert cli(*arguments, "--max-gap", between).exit_code == 1
    assert cli(*arguments, "--max-gap", between, "--polish").exit_code == 0


def test_short_file_has_one_line(cli, tmp_path, write_levels):
    path = write_levels(50)
    result = cli("check", path, "--value", "level", "--regimes", 2)
    assert result.exit_code == 0, result.output
    assert re.search(r"│\s+50 │\s+1 │", result.stdout)


def test_picture(two_levels, cli, tmp_path):
    for arguments, path in (
        (["run"], tmp_path / "series.png"),
        (["check"], tmp_path / "check.png"),
        (["check", "--exact"], tmp_path / "exact.png"),
        (["check", "--polish"], tmp_path / "polished.png"),
    ):
        result = cli(*arguments, two_levels, *OPTIONS, "--plot", path)
        assert result.exit_code == 0, result.output
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
        assert 800 <= width <= 3000
        assert 400 <= height <= 3000
        assert len(content) > 10_000
        assert str(path) in result.stdout


def test_picture_that_cannot_be_written(two_levels, cli, tmp_path):
    (tmp_path / "check.png").mkdir()
    for name, problem in (
        ("no/check.png", "there is no folder"),
        ("check.png", "cannot be written"),
    ):
        result = cli("check", two_levels, *OPTIONS, "--plot", tmp_path / name)
        assert result.exit_code == 2
        assert problem in result.stderr
