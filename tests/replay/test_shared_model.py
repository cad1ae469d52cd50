"""One set of regimes for all keys: against the same mixture without keys, and a plain recursion."""

import csv
import math

import numpy as np
import pytest
from scipy import stats

from online_gmm import OnlineGMM
from online_gmm.em.baum_welch import pseudo_changes
from online_gmm.learners.succession import Succession
from replay.engine.checkpoint import Checkpoints

VALUES = ("power", "flow")
LEVELS = (0.0, 4.0, 8.0)
OPTIONS = (
    *("--value", "power,flow", "--key", "pump", "--time", "t", "--shared-model"),
    *("--regimes", 3, "--warm-up", 150, "--time-format", "s"),
)


@pytest.fixture(scope="module")
def table():
    """Five pumps in three regimes; one is never in the third, and one is nowhere else."""
    rng = np.random.default_rng(2)
    regime, rows = rng.integers(0, 3, 5), []
    for i in range(2500):
        pump = int(rng.integers(5))
        if rng.random() < 0.05:
            regime[pump] = rng.integers(0, 3)
        regime[pump] = {0: min(regime[pump], 1), 1: 2}.get(pump, regime[pump])
        level = LEVELS[regime[pump]]
        power = math.nan if i % 71 == 5 else level + rng.normal()
        flow = math.nan if i % 142 == 5 else rng.normal() - level
        t = 1_773_000_000 + i + 5000 * (i > 1500)
        rows.append((t, f"p{pump}", power, flow, int(regime[pump])))
    return rows


@pytest.fixture
def rows(table, tmp_path):
    path = tmp_path / "rows.csv"
    write(path, table)
    return path


def write(path, table):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t", "pump", *VALUES])
        for t, pump, power, flow, _ in table:
            numbers = ("" if math.isnan(x) else f"{x:.4f}" for x in (power, flow))
            writer.writerow([t, pump, *numbers])


def labelled(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(cli, rows, labels, *more):
    done = cli("run", rows, *OPTIONS, "--labels", labels, *more)
    assert done.exit_code == 0, done.output
    return done.output


def test_labels_are_those_of_one_mixture_of_all_rows(cli, rows, tmp_path):
    output = run(cli, rows, tmp_path / "shared.csv")
    alone = ("--value", "power,flow", "--regimes", 3, "--warm-up", 150)
    done = cli("run", rows, *alone, "--labels", tmp_path / "alone.csv")
    assert done.exit_code == 0, done.output
    shared, plain = labelled(tmp_path / "shared.csv"), labelled(tmp_path / "alone.csv")
    # what measured nothing has the label of the row before of its own key
    whole = [i for i, row in enumerate(shared) if row["power"] and row["flow"]]
    assert len(whole) > 2400
    for name in ("label", "probability", "outlier"):
        assert [shared[i][name] for i in whole] == [plain[i][name] for i in whole]
    assert [row["t"] for row in shared] == [row["t"] for row in labelled(rows)]
    assert "Regimes" in output


def test_a_label_means_the_same_for_every_pump(cli, rows, table, tmp_path):
    for more in ((), ("--persist",)):
        run(cli, rows, tmp_path / "labels.csv", *more)
        found = labelled(tmp_path / "labels.csv")
        same = [int(row["label"]) == known for row, (*_, known) in zip(found, table, strict=True)]
        assert np.mean(same[150:]) > 0.97, more
        assert {row["label"] for row in found[150:] if row["pump"] == "p1"} == {"2"}


def test_each_pump_has_a_belief_of_its_own(cli, rows, tmp_path):
    """The forward recursion by scipy, with the transitions counted by hand."""
    run(cli, rows, tmp_path / "labels.csv", "--persist", "--stickiness", 30)
    found = labelled(tmp_path / "labels.csv")
    values = [[float(row[name] or "nan") for name in VALUES] for row in found]
    model = OnlineGMM(3, warm_up=150, seed=1, features=VALUES)
    counts, beliefs = pseudo_changes(3, 30.0, None), {}
    for i, (row, x) in enumerate(zip(found, values, strict=True)):
        if not model.is_started:
            model.learn_one(dict(zip(VALUES, x, strict=True)))
            if model.is_started:
                for j in range(i + 1):
                    probability = advance(model, values[j], found[j]["pump"], counts, beliefs)
                    compare(found[j], values[j], probability)
            continue
        probability = advance(model, x, row["pump"], counts, beliefs)
        compare(row, x, probability)
        model.learn_one(dict(zip(VALUES, x, strict=True)))


def advance(model, x, pump, counts, beliefs):
    mixture, x = model.mixture, np.array(x)
    seen = ~np.isnan(x)
    density = np.array([
        stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).pdf(x[seen])
        if seen.any() else 1.0
        for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
    ])  # fmt: skip
    transition = counts / counts.sum(axis=1, keepdims=True)
    if pump in beliefs:
        joint = beliefs[pump][:, None] * transition * density
        counts += joint / joint.sum()
        belief = joint.sum(axis=0)
    else:
        values, vectors = np.linalg.eig(transition.T)
        belief = np.abs(np.real(vectors[:, np.argmax(np.real(values))])) * density
    beliefs[pump] = belief / belief.sum()
    return beliefs[pump]


def compare(row, x, probability):
    if np.isnan(x).all():
        # it has the label of the row before
        return
    assert float(row["probability"]) == pytest.approx(probability.max(), rel=2e-5)
    assert int(row["label"]) == probability.argmax()


def test_after_a_gap_a_pump_may_be_in_any_regime():
    model = OnlineGMM(2, warm_up=100, seed=1)
    rng = np.random.default_rng(1)
    model.fit_start(rng.normal(rng.choice([0.0, 6.0], size=100), 1.0))
    succession, belief = Succession(100.0), None
    for _ in range(50):
        _, belief = succession.step(model, [0.1], belief)
    # between the two, the belief decides; without one, the likelihood
    middle = [3.2]
    assert succession.step(model, middle, belief).answer.label == 0
    assert succession.step(model, middle, None).answer.probability < 0.9
    # an outlier says nothing of the regime, and a missing value neither
    for values in ([1e6], [math.nan]):
        answer, after = succession.step(model, values, belief)
        assert answer.label == 0
        assert after[0] > 0.9
    again = Succession.of(succession.state())
    assert again.step(model, middle, belief) == succession.step(model, middle, belief)


@pytest.mark.parametrize(
    "more",
    [(), ("--max-keys", 2), ("--persist", "--max-gap", 3000), ("--warm-up", 2000)],
    ids=["mixture", "parked", "chain", "warm-up"],
)
def test_it_goes_on_byte_for_byte(more, cli, rows, table, tmp_path):
    run(cli, rows, tmp_path / "whole.csv", "--segments", tmp_path / "whole.segments.csv", *more)
    parts = tmp_path / "parts.csv"
    for n in (90, 700, 1800, len(table)):
        write(rows, table[:n])
        run(
            *(cli, rows, parts, "--segments", tmp_path / "segments.csv", *more),
            *("--checkpoint", tmp_path / "state", "--resume", "--every-rows", 130),
        )
    without_names = [{**row, "name": ""} for row in labelled(tmp_path / "whole.csv")]
    assert labelled(parts) == without_names
    assert len(labelled(tmp_path / "segments.csv")) == len(
        labelled(tmp_path / "whole.segments.csv")
    )


def test_a_checkpoint_has_the_model_once(cli, rows, tmp_path):
    state = tmp_path / "state"
    run(cli, rows, tmp_path / "labels.csv", "--checkpoint", state)
    header, states = Checkpoints(state).load()
    sizes = [len(its) for _, its in states]
    assert len(sizes) == 5
    assert max(sizes) < 2500 < len(header.shared)
    shown = cli("models", state, "p3")
    assert shown.exit_code == 0, shown.output
    assert "power, mean ± sd" in shown.output
    named = cli("name", state, 2, "full load")
    assert named.exit_code == 0, named.output
    assert "full load" in cli("models", state).output
    assert cli("name", state, 2, "x", "--key", "p1").exit_code == 2


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--learner", "segmenter"), "segmenter finds the regimes of each key by itself"),
        (("--recycle",), "--shared-model and --recycle do not go together"),
        (("--persist", "--lag", 3), "--shared-model and --lag"),
        (("--persist", "--irregular"), "--shared-model and --irregular"),
    ],
)
def test_what_does_not_go_with_it(words, problem, cli, rows):
    options = [word for word in OPTIONS if word not in ("--regimes", 3, "--warm-up", 150)]
    done = cli("run", rows, *options, *words)
    assert done.exit_code == 2
    assert problem in " ".join(done.output.split())


def test_it_needs_keys(cli, rows):
    done = cli("run", rows, "--value", "power", "--shared-model")
    assert done.exit_code == 2
    assert "--shared-model is for rows of several keys" in " ".join(done.output.split())
