"""River's own checks, its pipelines and its metrics."""

import csv
import functools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from river import anomaly, checks, compat, datasets, evaluate, metrics, preprocessing, stream
from sklearn.metrics import adjusted_rand_score

from online_gmm import OnlineGMM, OnlineHMM, Segmenter, StrangenessDetector
from tests.conftest import on_one_kernel

DATASET_CHECKS = [
    "learn_one",
    "pickling",
    "shuffle_features_no_impact",
    "emerging_features",
    "disappearing_features",
    "radically_disappearing_features",
    "predict_one_before_any_learn",
    "no_state_aliasing_with_input",
    "clone_is_independent",
    "seeding_is_idempotent",
    "bounded_memory_growth",
]
MODELS = [
    *(OnlineGMM(**params) for params in OnlineGMM._unit_test_params()),
    *(OnlineHMM(**params, capacity=60, n_init=2) for params in OnlineHMM._unit_test_params()),
    *(Segmenter(**params) for params in Segmenter._unit_test_params()),
]


@functools.cache
def _approval():
    return list(datasets.TrumpApproval().take(400))


def approval(n):
    """The first rows, which a test may change."""
    return [(dict(x), y) for x, y in _approval()[:n]]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_static_checks(model):
    for check in checks.yield_checks(model):
        check(model.clone())


@on_one_kernel
@pytest.mark.filterwarnings("ignore:passed over from now on")
@pytest.mark.parametrize("name", DATASET_CHECKS)
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_dataset_checks(model, name):
    check = getattr(checks.common, f"check_{name}")
    # after half of the rows all that a learner keeps must have its size
    n = 400 if name == "bounded_memory_growth" else 100
    check(model.clone(), approval(n))


def regimes(n, seed):
    """Levels -4, 0 and +4 with unit variance."""
    rng = np.random.default_rng(seed)
    for z in rng.integers(3, size=n).tolist():
        yield {"x": float(rng.normal(4.0 * (z - 1)))}, z


@on_one_kernel
def test_in_a_pipeline_with_progressive_validation(compiled):
    n = 5000 if compiled else 1000
    model = preprocessing.StandardScaler() | OnlineGMM(n_components=3, warm_up=400, seed=1)
    score = evaluate.progressive_val_score(regimes(n, 1), model, metrics.AdjustedRand())
    by_hand = preprocessing.StandardScaler() | OnlineGMM(n_components=3, warm_up=400, seed=1)
    truth, labels = [], []
    for x, y in regimes(n, 1):
        labels.append(by_hand.predict_one(x))
        truth.append(y)
        by_hand.learn_one(x)
    assert score.get() == pytest.approx(adjusted_rand_score(truth, labels))
    begun = next(i for i, label in enumerate(labels) if label >= 0)
    assert 400 <= begun < 450
    assert adjusted_rand_score(truth[begun:], labels[begun:]) > 0.85
    assert by_hand.score_one({"x": 0.0}) == by_hand["OnlineGMM"].score_one(
        by_hand["StandardScaler"].transform_one({"x": 0.0})
    )


def test_pipeline_over_a_csv_file(tmp_path):
    path = tmp_path / "series.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "regime"])
        writer.writerows([x["x"], y] for x, y in regimes(600, 2))
    model = preprocessing.StandardScaler() | OnlineGMM(n_components=3, warm_up=200, seed=1)
    rows = stream.iter_csv(str(path), converters={"x": float, "regime": int}, target="regime")
    counts = Counter()
    for x, _ in rows:
        counts[model.predict_one(x)] += 1
        model.learn_one(x)
    assert sum(counts.values()) == 600
    assert set(counts) == {-1, 0, 1, 2}
    assert 200 <= counts[-1] < 240
    assert min(counts.values()) > 20


def test_silhouette_reads_the_centers():
    model = OnlineGMM(3, warm_up=100, seed=1)
    metric = metrics.Silhouette()
    for x, _ in regimes(400, 3):
        label = model.predict_one(x)
        model.learn_one(x)
        metric.update(x=x, y_pred=label, centers=model.centers)
    assert metric.get() > 0.0


@on_one_kernel
def test_minibatches_through_a_pipeline():
    frame = pd.DataFrame([x for x, _ in regimes(600, 4)])
    model = preprocessing.StandardScaler() | OnlineGMM(3, warm_up=100, seed=1)
    for start in range(0, 600, 50):
        model.learn_many(frame[start : start + 50])
    assert set(model.predict_many(frame)) == {0, 1, 2}


@on_one_kernel
def test_as_a_scikit_learn_clusterer():
    X = np.array([[x["x"]] for x, _ in regimes(600, 5)])
    wrapped = compat.convert_river_to_sklearn(OnlineGMM(3, warm_up=100, seed=1)).fit(X)
    assert set(wrapped.labels_) <= {-1, 0, 1, 2}
    assert set(wrapped.predict(X)) == {0, 1, 2}


# -- anomaly detectors --------------------------------------------------------------------------

DETECTORS = [
    StrangenessDetector(OnlineGMM(2, warm_up=50, seed=1)),
    StrangenessDetector(OnlineHMM(2, warm_up=50, capacity=60, n_init=2, seed=1)),
]


@pytest.fixture
def anomalies(monkeypatch):
    """River's checks of detectors download CreditCard; Shuttle comes with river."""
    n = 500

    class CreditCard:
        def take(self, _):
            shuttle = datasets.Shuttle()
            few = [(x, y) for x, y in shuttle.take(3 * n) if y][: n // 20]
            return [*((x, 0) for x, y in shuttle.take(3 * n) if not y), *few][:n] + few

    monkeypatch.setattr(datasets, "CreditCard", CreditCard)


@on_one_kernel
@pytest.mark.parametrize("detector", DETECTORS, ids=repr)
def test_river_accepts_the_detector(detector, anomalies, compiled):
    if compiled:
        checks.check_estimator(detector)
    else:  # where all of them would take minutes
        for name in ("learn_one", "pickling", "clone_is_independent"):
            check = getattr(checks.common, f"check_{name}")
            check(detector.clone(), approval(60))


def test_a_detector_scores_as_its_learner_does():
    rng = np.random.default_rng(1)
    learner, detector = OnlineGMM(2, warm_up=50, seed=1), DETECTORS[0].clone()
    for row in rng.normal(rng.choice([0.0, 9.0], (300, 1)), 1.0, (300, 2)):
        x = dict(zip("ab", row.tolist(), strict=True))
        expected = learner.score_one(x)
        assert detector.score_one(x) == (0.0 if np.isnan(expected) else expected)
        learner.learn_one(x)
        detector.learn_one(x)
    assert detector.score_one({"a": 100.0, "b": 0.0}) > 6.0


def test_a_detector_in_a_filter_and_a_pipeline():
    rng = np.random.default_rng(2)
    model = preprocessing.StandardScaler() | anomaly.QuantileFilter(
        StrangenessDetector(OnlineGMM(1, warm_up=100, seed=1)), q=0.99
    )
    alarms = []
    for i, value in enumerate(rng.normal(size=600)):
        strange = i > 200 and i % 50 == 0
        x = {"x": float(value) + 8.0 * strange}
        told = model["QuantileFilter"].classify(model.score_one(x))
        alarms.append((strange, told))
        model.learn_one(x)
    assert all(told for strange, told in alarms if strange)
    assert sum(told for strange, told in alarms[200:] if not strange) < 20
