"""Whole streams from nothing: each point is labelled, then learnt, and everything is counted.

``python -m benchmarks.from_nothing``. Warm start and refits are part of it; only the import is not.
Ratios are to river's KMeans on the same points within one round; rounds alternate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from river import cluster

from benchmarks.report import Section, at_least, tell
from benchmarks.timing import side_by_side
from online_gmm import OnlineGMM

CASES = ((3, 1, "full"), (3, 2, "full"), (5, 8, "diag"))
SIZES = {1_000: (1.0, 9), 20_000: (5.0, 5), 100_000: (10.0, 3)}
"""Points of a stream: how many times faster than KMeans it is to be, and rounds."""


def blobs(k: int, d: int, n: int) -> list[dict[int, float]]:
    rng = np.random.default_rng(d)
    centers = rng.normal(0, 4, (k, d))
    X = rng.normal(size=(n, d)) + centers[rng.integers(k, size=n)]
    return [dict(enumerate(row)) for row in X.tolist()]


def whole(make: Callable[[], Any], points: list[dict[int, float]]) -> float:
    """Seconds of this thread that a new model takes for all points."""
    begin = time.thread_time()
    model = make()
    for x in points:
        model.predict_one(x)
        model.learn_one(x)
    return time.thread_time() - begin


def run() -> Section:
    rows = []
    for k, d, kind in CASES:
        points = blobs(k, d, max(SIZES))
        whole(partial(OnlineGMM, k, covariance_type=kind, seed=1), points[:500])
        for n, (target, rounds) in SIZES.items():
            sides = {
                "ours": partial(
                    whole, partial(OnlineGMM, k, covariance_type=kind, seed=1), points[:n]
                ),
                "KMeans": partial(whole, partial(cluster.KMeans, n_clusters=k, seed=1), points[:n]),
            }
            ratio = side_by_side(sides, rounds).ratio("KMeans", "ours")
            what = f"K={k} D={d} {kind}, {n:,} points: river KMeans / ours"
            rows.append(at_least(what, ratio.median, target, str(ratio)))
    text = "Times of one thread as multiples; in brackets the least and the most of all rounds."
    return Section("Whole streams from nothing", rows, text)


if __name__ == "__main__":
    tell(run)
