"""Incremental EM beside batch EM, against both written out by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from online_gmm.em.warm_start import warm_start
from replay.checks.check import IncrementalComparison, judge_increments, marks

ONE_COLUMN = ["--regimes", 2, "--warm-up", 30]


def overlapping(n):
    rng = np.random.default_rng(5)
    return rng.normal(np.where(rng.random(n) < 0.4, 2.5, 0.0), 1.0).round(4)


def write(path, values):
    path.write_text("level\n" + "".join(f"{value}\n" for value in values))
    return path


@pytest.fixture
def series(tmp_path):
    """300 rows of two levels that overlap much, without gaps."""
    return write(tmp_path / "series.csv", overlapping(300))


def lines(result):
    """The table's rows: pass, gap, never fell, gap of batch EM."""
    table = [line for line in result.stdout.splitlines() if re.search(r"\de[-+]\d\d │", line)]
    cells = [[cell.strip() for cell in line.split("│")[1:5]] for line in table]
    return [(int(n), float(gap), fell, float(batch)) for n, gap, fell, batch in cells]


class Naive:
    """Maximum likelihood EM of a mixture in one dimension, from the definitions."""

    def __init__(self, x, mixture):
        self.x = x
        self.w, self.m = mixture.weights, mixture.means[:, 0]
        self.v = mixture.covariances[:, 0, 0]
        self.r = self.responsibilities()

    def joint(self, x):
        """log w N(x) of every component."""
        away = (x[:, None] - self.m) ** 2 / self.v
        return np.log(self.w) - 0.5 * (np.log(2 * np.pi * self.v) + away)

    def responsibilities(self):
        joint = np.exp(self.joint(self.x))
        return joint / joint.sum(axis=1, keepdims=True)

    def maximise(self):
        n = self.r.sum(axis=0)
        self.w, self.m = n / len(self.x), self.r.T @ self.x / n
        self.v = np.array([r @ (self.x - m) ** 2 for r, m in zip(self.r.T, self.m, strict=True)])
        self.v /= n

    def batch_pass(self):
        self.r = self.responsibilities()
        self.maximise()

    def incremental_pass(self):
        self.maximise()
        for i in range(len(self.x)):
            joint = np.exp(self.joint(self.x[i : i + 1])[0])
            self.r[i] = joint / joint.sum()
            self.maximise()

    def free_energy(self):
        return float((self.r * (self.joint(self.x) - np.log(self.r))).sum() / len(self.x))

    def log_likelihood(self):
        return float(np.log(np.exp(self.joint(self.x)).sum(axis=1)).mean())


@pytest.mark.usefixtures("undrawn")
def test_gaps_are_those_of_the_definitions(series, cli):
    x = overlapping(300)
    # two regimes that 30 rows cannot tell: the check takes their number as given
    start = warm_start(x[:30, None], 2, ("level",), prior_strength=0.0, seed=1).mixture
    rest, batch, increments = (Naive(x, start) for _ in range(3))
    for _ in range(3000):
        rest.batch_pass()
    optimum = rest.log_likelihood()
    result = cli(
        "check", series, *ONE_COLUMN, "--prior-strength", 0, "--incremental", "--passes", 20,
        "--max-gap-exact", 0.01,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = {n: row for n, *row in lines(result)}
    assert list(table) == [1, 2, 5, 10, 20]
    for n in range(1, 21):
        batch.batch_pass()
        increments.incremental_pass()
        if n in table:
            gap, never_fell, batch_gap = table[n]
            assert gap == pytest.approx(optimum - increments.free_energy(), rel=0.006, abs=1e-13)
            assert batch_gap == pytest.approx(optimum - batch.log_likelihood(), rel=0.006)
            assert never_fell == "yes"
            assert 0.0 < gap < batch_gap


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_lands_on_batch_em_in_fewer_passes(covariance, cli, tmp_path):
    rng = np.random.default_rng(1)
    high = rng.random(800) < 0.4
    path = tmp_path / "two.csv"
    X = rng.normal(np.where(high, 3.0, 0.0)[:, None], 1.0, (800, 2))
    path.write_text("a,b\n" + "".join(f"{a:.4f},{b:.4f}\n" for a, b in X))
    columns = ["--value", "a", "--value", "b"]
    result = cli(
        "check", path, *columns, *ONE_COLUMN, "--covariance-type", covariance, "--incremental"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.count("PASS") == 3
    reached, batch_reached = map(
        int, re.search(r"after (\d+) pass.* batch EM after (\d+) pass", result.stdout).groups()
    )
    assert 1 <= reached < batch_reached
    table = lines(result)
    assert abs(table[-1][1]) < 1e-12
    assert table[-1][0] <= 60
    # the learner does not stream here, so it takes no steps
    assert "step exponent" not in result.stdout
    assert f"{covariance} covariance" in result.stdout


@pytest.mark.usefixtures("undrawn")
def test_too_few_passes_fail_at_the_same_optimum(series, cli):
    result = cli("check", series, *ONE_COLUMN, "--incremental", "--passes", 2)
    assert result.exit_code == 1
    assert [row[0] for row in lines(result)] == [1, 2]
    assert re.search(r"FAIL free energy: .* below .* after 2 passes .*more --passes", result.stdout)
    assert "PASS monotone" in result.stdout
    assert "PASS optimum: the same" in result.stdout
    result = cli(
        "check", series, *ONE_COLUMN, "--incremental", "--passes", 2, "--max-gap-exact", 0.1
    )  # fmt: skip
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("seed", "which"), [(58, "worse"), (16, "better")])
def test_another_optimum_is_not_hidden(seed, which, cli, tmp_path):
    """Five levels, four regimes, and a start from eight rows: the two part."""
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.choice([0.0, 3.0, 6.0, 9.0, 12.0], size=120), 1.0).round(3)
    path = write(tmp_path / "levels.csv", x)
    result = cli(
        "check", path, "--regimes", 4, "--warm-up", 8, "--incremental", "--passes", 400
    )  # fmt: skip
    assert result.exit_code == 1
    assert re.search(rf"FAIL optimum: another one .* {which}", result.stdout)
    assert f"{'below' if which == 'worse' else 'above'} batch EM's fixed point" in result.stdout
    assert "PASS monotone" in result.stdout
    assert "more --passes" not in result.stdout


def compared(free_energy, converged=True, error=1e-9):
    """A comparison with batch EM whose fixed point has free energy -1."""
    batch = SimpleNamespace(penalised=(-2.0, -1.5, -1.0), n_iter=2, converged=converged)
    return IncrementalComparison(free_energy, batch, batch, error)


def verdicts(comparison):
    return [verdict.passed for verdict in judge_increments(comparison, 1e-9, 1e-6)]


def test_verdicts():
    assert verdicts(compared((-2.0, -1.1, -1.0))) == [True, True, True]
    # a fall is a fall even if all is well at the end, and even in the first pass
    assert verdicts(compared((-2.0, -1.1, -1.1 - 1e-10, -1.0))) == [True, False, True]
    assert verdicts(compared((-2.0, -2.1, -1.0))) == [True, False, True]
    assert verdicts(compared((-2.0, -1.1, -1.1 - 1e-15, -1.0))) == [True, True, True]
    assert verdicts(compared((-2.0, -1.0), error=0.1)) == [True, True, False]
    assert verdicts(compared((-2.0, -1.1))) == [False, True, True]
    assert verdicts(compared((-2.0, -0.9))) == [False, True, True]
    assert verdicts(compared((-2.0, -1.0), converged=False)) == [True, True, True, False, False]
    assert verdicts(compared((-2.0, np.nan))) == [False, True, True]
    assert verdicts(compared((-2.0, -1.0), error=np.nan)) == [True, True, False]


def test_where_it_fell_is_said():
    comparison = compared((-2.0, -1.5, -1.75, -1.0))
    assert comparison.worst_fall(1) == (0.0, 0)
    assert comparison.worst_fall(3) == (0.25, 2)
    assert "fell by 0.25 nats a row in pass 2" in judge_increments(comparison, 1e-9, 1e-6)[1].text


def test_marks_end_with_the_last_pass():
    assert [*marks(1)] == [1]
    assert [*marks(10)] == [1, 2, 5, 10]
    assert [*marks(60)] == [1, 2, 5, 10, 20, 50, 60]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("row", ["NaN,1", "1,", ","])
def test_missing_value_is_refused_with_its_place(row, cli, tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("level,load\n" + "1,2\n3,4\n" * 5 + f"{row}\n" + "1,2\n")
    columns = ["--value", "level", "--value", "load"]
    result = cli("check", path, *columns, "--incremental")
    assert result.exit_code == 2
    place = "load" if row == "1," else "level"
    assert f"gaps.csv, line 12, column '{place}': the value is missing" in result.stderr
    assert result.stdout == ""
    # what the message advises
    assert "--exact" in result.stderr
    assert cli("check", path, *columns, "--exact", "--regimes", 1).exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--exact", "--incremental"], "--exact and --incremental are two checks"),
        (["--exact", "--recycle"], "--recycle is for the learner, and --exact does not stream"),
        (["--incremental", "--recycle"], "--recycle is for the learner"),
        (["--incremental", "--polish"], "--polish is for the learner, and --incremental"),
        (["--exact", "--polish"], "--polish is for the learner"),
    ],
)
def test_options_that_exclude_each_other(options, said, series, cli):
    result = cli("check", series, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_bundled_series(cli):
    result = cli("check", "--incremental")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("PASS") == 6


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_rows(n, cli, tmp_path):
    result = cli("check", write(tmp_path / "few.csv", range(n)), "--incremental")
    assert result.exit_code == 0, result.output


def test_picture(series, cli, tmp_path):
    path = tmp_path / "increments.png"
    result = cli("check", series, *ONE_COLUMN, "--incremental", "--passes", 100, "--plot", path)
    assert result.exit_code == 0, result.output
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(path.read_bytes()) > 10_000
