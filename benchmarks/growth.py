"""How cost and memory grow: with K, with D, with n, and with the number of models.

``python -m benchmarks.growth``. Exponents are slopes of least squares through logarithms of
medians. Memory is what a process grows by when it makes many models, over their number.
"""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import PROBLEMS, overlapping
from benchmarks.report import Lines, Row, Section, at_most, tell
from benchmarks.resident import resident
from benchmarks.timing import side_by_side
from online_gmm import OnlineGMM, OnlineHMM

ROUNDS = 5
BLOCK = 1000
"""Points, or a hundredth of the rows of a mini-batch, in one round."""
K_RANGE = (1, 2, 4, 8, 16, 32, 64)
D_RANGE = (8, 16, 24, 32, 48, 64)
N_RANGE = (10_000, 30_000, 100_000, 300_000)
REGIMES = (2, 3, 4, 6, 8)
KEYED = 20_000
SHAPES = ((1, 1), (3, 1), (3, 2), (3, 8), (3, 32), (8, 8), (32, 8))
"""K and D of the models whose memory is measured."""

Matrix = NDArray[np.float64]
Model = OnlineGMM | OnlineHMM


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    slope: float = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
    return slope


def started(k: int, d: int, kind: str, n: int = 4000, **settings: Any) -> tuple[OnlineGMM, Matrix]:
    """A model that knows K regimes in D dimensions, and more of their points."""
    X, _ = overlapping(k, d).draw(n + 20_000, 1)
    model = OnlineGMM(k, covariance_type=kind, n_init=1, seed=1, **settings)
    model.fit_start(X[: max(n // 2, 20 * k)])
    model.learn_many(X[n // 2 : n])
    return model, X[n:]


def one_by_one(model: Model, X: Matrix) -> Callable[[], float]:
    """A side: seconds a point, as mappings, over the next so many."""
    points = itertools.cycle([dict(enumerate(row)) for row in X.tolist()])

    def side() -> float:
        rows = list(itertools.islice(points, BLOCK))
        begin = time.thread_time()
        for x in rows:
            model.learn_one(x)
        return (time.thread_time() - begin) / BLOCK

    return side


def together(model: Model, X: Matrix) -> Callable[[], float]:
    """A side: seconds a row, as an array."""
    rows = X[: 4 * BLOCK]

    def side() -> float:
        begin = time.thread_time()
        model.learn_many(rows)
        return (time.thread_time() - begin) / len(rows)

    return side


def of_components(kind: str) -> tuple[list[Row], Lines]:
    """In K, two features."""
    sides: dict[str, Callable[[], float]] = {}
    for k in K_RANGE:
        # points kept are fitted again when they have doubled, which is no part of a step
        model, X = started(k, 2, kind, capacity=0)
        sides[f"learn_one {k}"] = one_by_one(model, X)
        model, X = started(k, 2, kind, capacity=0)
        sides[f"learn_many {k}"] = together(model, X)
    return fitted(sides, K_RANGE, f"in K, D=2 {kind}", "K", 1.1)


def of_features(kind: str) -> tuple[list[Row], Lines]:
    """In D, three components."""
    sides: dict[str, Callable[[], float]] = {}
    for d in D_RANGE:
        model, X = started(3, d, kind, capacity=0)
        sides[f"learn_one {d}"] = one_by_one(model, X)
        model, X = started(3, d, kind, capacity=0)
        sides[f"learn_many {d}"] = together(model, X)
    return fitted(sides, D_RANGE, f"in D, K=3 {kind}", "D", 2.1 if kind == "full" else 1.1)


def fitted(
    sides: dict[str, Callable[[], float]],
    sizes: Sequence[int],
    where: str,
    across: str,
    target: float | None,
) -> tuple[list[Row], Lines]:
    """Exponents of all that was measured at these sizes."""
    times = side_by_side(sides, ROUNDS)
    rows, curves = [], {}
    for what in dict.fromkeys(name.rpartition(" ")[0] for name in sides):
        costs = [times.median(f"{what} {size}") for size in sizes]
        found = exponent(sizes, costs)
        each = [
            exponent(sizes, [times.rounds[f"{what} {size}"][i] for size in sizes])
            for i in range(ROUNDS)
        ]
        # doubling at the large end, where what a call costs in any case is small
        last = exponent(sizes[-2:], costs[-2:])
        figure = (
            f"{found:.3g} ({min(each):.3g} to {max(each):.3g}), from {sizes[0]} to {sizes[-1]}; "
            f"{last:.3g} over the last two"
        )
        label = f"exponent of {what} {where}"
        rows.append(Row(label, figure) if target is None else at_most(label, found, target, figure))
        curves[what] = (list(sizes), [1e6 * cost for cost in costs])
    return rows, Lines(f"A point, {where}", across, "µs a point", curves)


def of_points() -> tuple[list[Row], Lines]:
    """In n: a pass from nothing, warm start and all."""
    X, _ = PROBLEMS["A"].draw(N_RANGE[-1], 1)

    def learnt(n: int) -> Callable[[], float]:
        def side() -> float:
            model = OnlineGMM(3, seed=1)
            begin = time.thread_time()
            model.learn_many(X[:n])
            return time.thread_time() - begin

        return side

    times = side_by_side({str(n): learnt(n) for n in N_RANGE}, ROUNDS)
    costs = [times.median(str(n)) for n in N_RANGE]
    warm = times.median(str(N_RANGE[0]))
    late = N_RANGE[1:]
    found = exponent(late, [times.median(str(n)) for n in late])
    figure = (
        f"{found:.3g} from {late[0]:,} to {late[-1]:,} (from {N_RANGE[0]:,}, where the warm start "
        f"is most of {1e3 * warm:.0f} ms: {exponent(N_RANGE, costs):.3g})"
    )
    row = at_most("exponent of a pass from nothing in n, K=3 D=1", found, 1.05, figure)
    return [row], Lines("A pass from nothing, K=3 D=1", "n", "s", {"learn_many": (N_RANGE, costs)})


def of_regimes() -> tuple[list[Row], Lines]:
    """In K, with regimes that persist."""
    sides: dict[str, Callable[[], float]] = {}
    for k in REGIMES:
        X, _ = overlapping(k, 2).draw(40_000, 1, dwell=50.0)
        model = OnlineHMM(k, n_init=1, capacity=0, seed=1)
        model.fit_start(X[:1000])
        sides[f"OnlineHMM learn_one {k}"] = one_by_one(model, X[1000:])
    return fitted(sides, REGIMES, "in K, D=2 full", "K", None)


# -- memory ------------------------------------------------------------------------------------


def copies_of(data: bytes, count: int) -> list[OnlineGMM]:
    """Models that have nothing in common but interned names, small numbers and the class."""
    return [OnlineGMM.from_bytes(data) for _ in range(count)]


def bytes_each(k: int, d: int, count: int, n: int, settings: dict[str, Any]) -> dict[str, float]:
    """Bytes that each of so many models takes, after n points; with K=3, D=1 also the pace.

    To be called in a process of its own.
    """
    X, _ = overlapping(k, d).draw(n, 1)
    model = OnlineGMM(k, n_init=1, warm_up=min(n, max(200, 5 * k)), seed=1, **settings)
    model.fit_start(X[: model.warm_up])
    model.learn_many(X[model.warm_up :])
    data = model.to_bytes()
    warm = copies_of(data, 10)
    gc.collect()
    before = resident()
    models = copies_of(data, count)
    gc.collect()
    found = {"bytes": (resident() - before) / count}
    del warm
    if count >= KEYED:
        points = [dict(enumerate(row)) for row in overlapping(k, d).draw(count, 2)[0].tolist()]
        for side, its in (("in turns", models), ("one", [models[0]] * count)):
            seconds = []
            for _ in range(3):
                begin = time.thread_time()
                for its_model, x in zip(its, points, strict=True):
                    its_model.learn_one(x)
                seconds.append((time.thread_time() - begin) / count)
            found[side] = float(np.median(seconds))
        found["learnt bytes"] = (resident() - before) / count
    return found


def in_a_process(k: int, d: int, count: int, n: int, **settings: Any) -> dict[str, float]:
    asked = json.dumps({"k": k, "d": d, "count": count, "n": n, "settings": settings})
    command = [sys.executable, "-m", "benchmarks.growth", "--bytes", asked]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    its: dict[str, float] = json.loads(said)
    return its


def of_models() -> list[Row]:
    """Bytes of a model as K and D grow, and of many models at once."""
    rows = []
    for k, d in SHAPES:
        count = 20_000 // (k * d + 4)
        bare = in_a_process(k, d, count, 4000, capacity=0)["bytes"]
        full = in_a_process(k, d, count // 4, 4000)["bytes"]
        figure = f"{bare:,.0f} bytes; {full:,.0f} with 1,600 points kept, the default"
        rows.append(Row(f"a model, K={k} D={d} full, capacity=0", figure))
    for name, settings in (("capacity=0", {"capacity": 0}), ("defaults, 200 points kept", {})):
        its = in_a_process(3, 1, KEYED, 200, **settings)
        what = f"{KEYED:,} models, K=3 D=1, {name}"
        figure = f"{its['bytes']:,.0f} ({its['learnt bytes']:,.0f} when each has learnt 3 more)"
        rows.append(at_most(f"{what}: bytes each", its["bytes"], 2000.0, figure))
        rate, share = 1.0 / its["in turns"], its["in turns"] / its["one"]
        figure = f"{rate:,.0f} points a second, {share:.2g} times as long as in one model"
        rows.append(Row(f"{what}: learn_one in turns", figure))
    return rows


def run() -> Section:
    parts = [of_components("full"), of_components("diag"), of_features("full")]
    parts += [of_features("diag"), of_points(), of_regimes()]
    rows = [row for more, _ in parts for row in more] + of_models()
    text = (
        "Exponents are slopes through logarithms of medians, in brackets the least and the most of "
        f"{ROUNDS} rounds; times are the thread's own. A model's memory is the growth of the "
        "resident memory of a process over the models it has made from bytes, which have nothing "
        "in common but names, small numbers and the class; each has its own start, statistics and "
        "points kept."
    )
    return Section("Growth", rows, text, [plot for _, plot in parts])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bytes"]:
        print(json.dumps(bytes_each(**json.loads(sys.argv[2]))))
    else:
        tell(run)
