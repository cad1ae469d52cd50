"""The longest call of `learn_one` in a stream: warm start and slices of refits included.

``python -m benchmarks.longest_call``. Time of this thread; the first stream of a kind is not
counted, as it imports what is needed. Each call is the shortest of three runs over the same stream,
because another process can make any call long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.from_nothing import blobs
from benchmarks.report import Row, Section, at_most, tell
from online_gmm import OnlineGMM, OnlineHMM

CASES = (
    (3, 1, "full", 1.0),
    (3, 2, "full", 1.0),
    (5, 8, "diag", 2.0),
    (5, 8, "full", 2.0),
    (8, 32, "full", 10.0),
)
"""K, D, the kind of covariance, and the milliseconds that a call may take."""
POINTS = 10_000
FEWER = {OnlineGMM: 4_000, OnlineHMM: 2_000}
"""Points of a stream of 8 components and 32 features, whose fits take seconds."""
RUNS = 3


def longest(make: Callable[[], Any], points: list[dict[int, float]]) -> tuple[float, int, float]:
    """Milliseconds of the longest call, after how many points, and of the longest later call."""
    runs = []
    for _ in range(RUNS):
        model, times = make(), []
        for x in points:
            begin = time.thread_time()
            model.learn_one(x)
            times.append(time.thread_time() - begin)
        runs.append(times)
    calls = 1e3 * np.min(runs, axis=0)
    at = int(calls.argmax())
    return float(calls[at]), at + 1, float(np.delete(calls, at).max())


def run() -> Section:
    rows: list[Row] = []
    for k, d, kind, target in CASES:
        points = blobs(k, d, POINTS)
        for learner in (OnlineGMM, OnlineHMM):
            some = points[: FEWER[learner]] if k * d > 100 else points
            make = partial(learner, k, covariance_type=kind, seed=1)
            for x in some[:300]:
                model = make()
                model.learn_one(x)
            most, at, next_most = longest(make, some)
            what = f"{learner.__name__} K={k} D={d} {kind}, {len(some):,} points: longest call, ms"
            figure = f"{most:.2f} at point {at:,}; then {next_most:.2f}"
            rows.append(at_most(what, most, target, figure))
    return Section("The longest call", rows)


if __name__ == "__main__":
    tell(run)
