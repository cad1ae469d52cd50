"""Time per point beside river's clusterers, in one run: ratios, not seconds.

python benchmarks/speed.py [--points 20000]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from river import cluster

from online_gmm import OnlineGMM, _kernel

PEERS: dict[str, Callable[[], Any]] = {
    "OnlineGMM, full": lambda: OnlineGMM(5, warm_up=200, seed=1),
    "OnlineGMM, diag": lambda: OnlineGMM(5, warm_up=200, covariance_type="diag", seed=1),
    "river KMeans": lambda: cluster.KMeans(n_clusters=5, seed=1),
    "river STREAMKMeans": lambda: cluster.STREAMKMeans(n_clusters=5, seed=1),
    "river DBSTREAM": lambda: cluster.DBSTREAM(),
    "river CluStream": lambda: cluster.CluStream(n_macro_clusters=5, seed=1),
}


def seconds(make: Callable[[], Any], points: list[dict[int, float]]) -> tuple[float, float, float]:
    """Seconds a point: to learn and to predict (median over blocks), and to learn it all (mean).

    The last includes the warm start, and the times when kept points are fitted again.
    """
    model = make()
    learn, predict = [], []
    for block in range(0, len(points), 500):
        rows = points[block : block + 500]
        before = time.perf_counter()
        for x in rows:
            model.learn_one(x)
        between = time.perf_counter()
        for x in rows:
            model.predict_one(x)
        learn.append((between - before) / len(rows))
        predict.append((time.perf_counter() - between) / len(rows))
    return float(np.median(learn)), float(np.median(predict)), float(np.mean(learn))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    n = parser.parse_args().points
    print(f"kernel: {'compiled' if _kernel.COMPILED else 'interpreted'}; K = 5, {n} points")
    print(f"{'':22}" + "".join(f"{f'D={d} learn':>12}{'predict':>9}{'all':>7}" for d in (1, 2, 8)))
    table: dict[str, list[float]] = {name: [] for name in PEERS}
    for d in (1, 2, 8):
        rng = np.random.default_rng(d)
        X = rng.normal(size=(n, d)) + rng.normal(0, 4, (5, d))[rng.integers(5, size=n)]
        points = [dict(enumerate(row)) for row in X.tolist()]
        for name, make in PEERS.items():
            # the slow ones show their ratio soon enough
            few = points if "OnlineGMM" in name or name == "river KMeans" else points[:5000]
            table[name] += seconds(make, few)
    base = table["OnlineGMM, full"]
    for name, row in table.items():
        ratios = [value / unit for value, unit in zip(row, base, strict=True)]
        cells = (
            f"{ratio:>{(12, 9, 7)[i % 3]}.{1 if ratio < 100 else 0}f}"
            for i, ratio in enumerate(ratios)
        )
        print(f"{name:22}" + "".join(cells))
    print("times as long as OnlineGMM with full covariances; all: warm start and refits included")


if __name__ == "__main__":
    main()
