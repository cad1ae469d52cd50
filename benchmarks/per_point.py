"""Per point, as mappings through river's API: beside its peers, and beside a C-API step by hand.

``python -m benchmarks.per_point``. All defaults are on: checks, counters, the average, points kept.
Ratios are of medians within one round; rounds alternate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from river import cluster

from benchmarks import peers
from benchmarks.floor import apart, floor_of
from benchmarks.report import Bars, Row, Section, at_least, at_most, tell
from benchmarks.timing import side_by_side
from online_gmm import OnlineGMM

CASES = (
    (3, 1, "full", 56_000),
    (3, 2, "full", 56_000),
    (5, 8, "diag", 56_000),
    (5, 8, "full", 56_000),
    (8, 32, "full", 8_000),
)
"""K, D, the kind of covariance, and how many points have been learnt, a multiple of 16.

After 56,000 the iterate is read out every 16 points, and points kept are next fitted again at
76,800. Of many parameters fits are under way all the time.
"""
ROUNDS = 7
OURS, BLOCK = 1000, 500
"""Points of ours, and of a peer, in one round."""
SLOW = {"river CluStream": 50}
"""The same of one that takes milliseconds a point."""


def block_of(step: Callable[[Any], Any], points: list[Any], size: int) -> Callable[[], float]:
    """A side: seconds of this thread a point, over the next so many points."""
    at = 0

    def side() -> float:
        nonlocal at
        rows = points[at : at + size]
        at = (at + size) % (len(points) - size)
        begin = time.thread_time()
        for x in rows:
            step(x)
        return (time.thread_time() - begin) / len(rows)

    return side


def case(k: int, d: int, kind: str, n: int) -> tuple[list[Row], Bars]:
    rng = np.random.default_rng(d)
    X = rng.normal(size=(n, d)) + rng.normal(0, 4, (k, d))[rng.integers(k, size=n)]
    points = [dict(enumerate(row)) for row in X[:20_000].tolist()]
    name = f"K={k} D={d} {kind}"

    model = OnlineGMM(k, covariance_type=kind, seed=1)
    plain = OnlineGMM(k, covariance_type=kind, seed=1, capacity=0)
    model.learn_many(X)
    plain.learn_many(X)
    kmeans = cluster.KMeans(n_clusters=k, seed=1)
    for x in points[:BLOCK]:
        kmeans.learn_one(x)
    steps, missing = peers.learners(X, points, k, kind == "diag")
    steps["river KMeans"] = kmeans.learn_one
    for peer, step in steps.items():
        if "river" in peer and step != kmeans.learn_one:
            for x in points[: 200 if peer in SLOW else BLOCK]:
                step(x)
    sides = {
        "learn_one": block_of(model.learn_one, points, OURS),
        "predict_one": block_of(model.predict_one, points, OURS),
        "both": block_of(lambda x: (model.predict_one(x), model.learn_one(x)), points, OURS),
        "KMeans predict": block_of(kmeans.predict_one, points, BLOCK),
    }
    for peer, step in steps.items():
        sides[peer] = block_of(step, points, 1000 if "1,000" in peer else SLOW.get(peer, BLOCK))
    floor = floor_of(plain)
    rows = []
    if floor is None:
        rows.append(Row(f"{name}: step by hand", "missing: no C compiler"))
    else:
        off = apart(plain, plain.learn_one, floor, points[:1000])
        rows.append(at_most(f"{name}: means of the step by hand differ by", off, 1e-9))
        sides["step by hand"] = block_of(floor.learn_one, points, OURS)
    times = side_by_side(sides, ROUNDS)
    fast, predicts = (15.0, 15.0) if d <= 2 else (10.0, 15.0)
    ratio = times.ratio("river KMeans", "learn_one")
    what = f"{name}: river KMeans / ours, learn_one"
    full = kind == "full" and d > 2
    rows.append(Row(what, str(ratio)) if full else at_least(what, ratio.median, fast, str(ratio)))
    ratio = times.ratio("KMeans predict", "predict_one")
    rows.append(
        at_least(f"{name}: river KMeans / ours, predict_one", ratio.median, predicts, str(ratio))
    )
    if floor is not None:
        ratio = times.ratio("learn_one", "step by hand")
        rows.append(at_most(f"{name}: learn_one / step by hand", ratio.median, 1.6, str(ratio)))
    rows.append(
        Row(
            f"{name}: predict_one then learn_one / learn_one", str(times.ratio("both", "learn_one"))
        )
    )
    lengths = {"OnlineGMM": 1.0}
    for peer in steps:
        ratio = times.ratio(peer, "learn_one")
        lengths[peer] = ratio.median
        if peer != "river KMeans":
            rows.append(Row(f"{name}: {peer} / ours", str(ratio)))
    rows += [Row(f"{name}: {peer}", why) for peer, why in missing.items()]
    return rows, Bars(f"Learning a point, {name}", "times OnlineGMM's", lengths)


def run() -> Section:
    cases = [case(*its) for its in CASES]
    text = (
        f"Times of one thread as multiples; in brackets the least and the most of {ROUNDS} rounds. "
        f"Models have the defaults a user gets, after {CASES[0][-1]:,} points, or "
        f"{CASES[-1][-1]:,} of {CASES[-1][1]} features. What it takes to get there is part of "
        "whole streams."
    )
    return Section(
        "Per point", [row for rows, _ in cases for row in rows], text, [bars for _, bars in cases]
    )


if __name__ == "__main__":
    tell(run)
