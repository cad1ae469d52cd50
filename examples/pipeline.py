"""OnlineGMM among river's parts: its scaler, its evaluation, its CSV reader.

python examples/pipeline.py
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from river import compose, datasets, evaluate, metrics, preprocessing, stream

from online_gmm import OnlineGMM

# mean and standard deviation of the temperature (degrees C) and the pressure (hPa)
REGIMES = {
    "idle": ((22.0, 1.5), (1013.0, 1.2)),
    "running": ((61.0, 3.0), (1039.0, 3.0)),
    "overload": ((83.0, 4.0), (1031.0, 5.0)),
}


def machine(n: int, seed: int) -> Iterator[tuple[dict[Hashable, Any], str]]:
    """Sensor readings and the regime behind them, which lasts twenty points on average."""
    rng = random.Random(seed)
    regime = "idle"
    for _ in range(n):
        if rng.random() < 1 / 20:
            regime = rng.choice([name for name in REGIMES if name != regime])
        temperature, pressure = REGIMES[regime]
        yield {"temperature": rng.gauss(*temperature), "pressure": rng.gauss(*pressure)}, regime


def show(labels: Counter[int], centers: Mapping[int, Mapping[Hashable, float]]) -> None:
    for label, center in centers.items():
        values = ", ".join(f"{name} {value:.1f}" for name, value in center.items())
        print(f"   label {label}: {labels[label] / labels.total():6.1%} of the points, {values}")


def scaled_sensors(seed: int = 1) -> tuple[float, float]:
    """Learn from one stream, progressively evaluated, and label another; returns both scores.

    A scaler's first means and scales are rough, and a warm start cannot move the points it was
    given then: regimes smear, and in some streams one of them takes two components. So the scaler
    sees the first points alone. It goes on drifting a little, which is why the last iterate is
    asked for and not the average. (OnlineGMM answers alike in all units: of its own accord it needs
    no scaler.)
    """
    readings = machine(5000, seed)
    scaler = preprocessing.StandardScaler()
    for x, _ in itertools.islice(readings, 500):
        scaler.learn_one(x)
    model = OnlineGMM(3, warm_up=500, average=False, seed=1)
    pipeline = scaler | model
    progressive = metrics.AdjustedRand()
    evaluate.progressive_val_score(readings, pipeline, progressive)

    afterwards = metrics.AdjustedRand()
    labels: Counter[int] = Counter()
    for x, regime in machine(5000, seed + 1000):
        label = pipeline.predict_one(x)
        labels[label] += 1
        afterwards.update(regime, label)

    print("Machine, scaled: adjusted Rand index against the true regimes")
    print(f"   {progressive.get():.3f} progressively, with label -1 throughout the warm-up")
    print(f"   {afterwards.get():.3f} on another stream afterwards")
    centers = {
        label: {
            name: scaler.means[name] + value * math.sqrt(scaler.vars[name])
            for name, value in center.items()
        }
        for label, center in model.centers.items()
    }
    show(labels, centers)
    return progressive.get(), afterwards.get()


def water_flow() -> None:
    """Two months of hourly flow, read from a CSV file; the first two weeks are the warm-up."""
    column = "Water flow [l/s]"
    path = datasets.WaterFlow().path
    model = OnlineGMM(3, warm_up=14 * 24, seed=1)
    pipeline = compose.Select(column) | model
    for x, _ in stream.iter_csv(path, converters={column: float}):
        pipeline.learn_one(x)
    rows = stream.iter_csv(path, converters={column: float})
    labels = Counter(pipeline.predict_one(x) for x, _ in rows)

    print(f"\nWater flow: {model.n_points} points, {model.n_outliers} of them outliers")
    show(labels, model.centers)


if __name__ == "__main__":
    scaled_sensors()
    water_flow()
