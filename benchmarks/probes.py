"""One timed task, by public names that any commit has: ``python -I probes.py NAME`` prints seconds.

`benchmarks.against` runs this file with the Python of two commits in turn.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from online_gmm import OnlineGMM, OnlineHMM

POINTS = 20_000
ROWS = 200_000


def regimes(n: int, k: int, d: int) -> np.ndarray:
    """Gaussian regimes that last for about 100 rows, shape (n, d)."""
    rng = np.random.default_rng(d)
    begins = np.where(rng.random(n) < 0.01, np.arange(n), 0)
    regime = rng.integers(k, size=n)[np.maximum.accumulate(begins)]
    return rng.normal(size=(n, d)) + rng.normal(0, 4, (k, d))[regime]


def thread_seconds(task: Callable[[], object]) -> float:
    begin = time.thread_time()
    task()
    return time.thread_time() - begin


def each(step: Callable[[Any], object], points: list[Any]) -> None:
    for x in points:
        step(x)


def per_point(step: Callable[[Any], object], points: list[Any]) -> float:
    """Thread seconds of all points, by the median of 20 parts: a refit falls into one of them."""
    size = len(points) // 20
    parts = [points[at : at + size] for at in range(0, len(points), size)]
    return 20 * statistics.median(thread_seconds(lambda its=its: each(step, its)) for its in parts)


def started(model: Any, X: np.ndarray) -> Any:
    """A model past its start."""
    model.learn_many(X)
    return model


def learn_one(k: int, d: int, kind: str) -> float:
    X = regimes(POINTS, k, d)
    model = started(OnlineGMM(k, covariance_type=kind, seed=1), X)
    points = [dict(enumerate(row)) for row in X[: POINTS // 2].tolist()]
    return per_point(model.learn_one, points)


def predict_one(k: int, d: int, kind: str) -> float:
    X = regimes(POINTS, k, d)
    model = started(OnlineGMM(k, covariance_type=kind, seed=1), X)
    points = [dict(enumerate(row)) for row in X.tolist()]
    return per_point(model.predict_one, points)


def from_nothing(k: int, d: int, kind: str) -> float:
    X = regimes(POINTS, k, d)
    points = [dict(enumerate(row)) for row in X.tolist()]
    model = OnlineGMM(k, covariance_type=kind, seed=1)
    OnlineGMM(2, warm_up=8, seed=1).learn_many(X[:20])  # what is imported on demand

    def predict_and_learn(x: dict[int, float]) -> None:
        model.predict_one(x)
        model.learn_one(x)

    return thread_seconds(lambda: each(predict_and_learn, points))


def hmm_learn_one(k: int, d: int) -> float:
    X = regimes(POINTS, k, d)
    model = started(OnlineHMM(k, seed=1), X)
    points = [dict(enumerate(row)) for row in X[: POINTS // 2].tolist()]
    return per_point(model.learn_one, points)


def many(method: str, d: int) -> float:
    X = regimes(ROWS, 3, d)
    model = started(OnlineGMM(3, seed=1), X)
    return thread_seconds(lambda: getattr(model, method)(X[: ROWS // 2]))


def command(options: list[str], rows: str, standard_input: bool = False) -> float:
    """Processor seconds of a replay in this process: of all threads, and not of other programs."""
    from replay.__main__ import main

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows")
        path.write_text(rows)
        arguments = [str(path) if o == "FILE" else o.replace("OUT", folder) for o in options]
        if "--learner" in help_of(options[0]):
            arguments += ["--learner", "hmm" if "--persist" in options else "mixture"]
            arguments = [a for a in arguments if a != "--persist"]
        begin = time.process_time()
        run(main, arguments, path if standard_input else None)
        return time.process_time() - begin


def run(main: Callable[[], object], arguments: list[str], given: Path | None = None) -> str:
    before = sys.argv, sys.stdin
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            sys.argv = ["replay", *arguments]
            if given is not None:
                sys.stdin = given.open()
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"replay {arguments} ended with {end.code}") from None
        finally:
            sys.argv, sys.stdin = before
    return raw.getvalue().decode()


def help_of(verb: str) -> str:
    from replay.__main__ import main

    return run(main, [verb, "--help"])


def csv_rows(n: int, keys: int) -> str:
    X = regimes(n, 3, 3).round(4).tolist()
    head = "time,key,a,b,c\n"
    return head + "".join(
        f"{1_700_000_000 + i},k{i % keys},{a},{b},{c}\n" for i, (a, b, c) in enumerate(X)
    )


def json_rows(n: int) -> str:
    X = regimes(n, 3, 3).round(4).tolist()
    return "".join(
        json.dumps({"t": i, "a": a, "b": b, "c": c}) + "\n" for i, (a, b, c) in enumerate(X)
    )


VALUES = ["--value", "a,b,c", "--regimes", "3", "--seed", "1", "--labels", "OUT/labels.csv"]
PROBES: dict[str, Callable[[], float]] = {
    **{
        f"learn_one K={k} D={d} {kind}": lambda k=k, d=d, kind=kind: learn_one(k, d, kind)
        for k, d, kind in ((3, 1, "full"), (3, 2, "full"), (5, 8, "diag"), (5, 8, "full"))
    },
    "predict_one K=3 D=1": lambda: predict_one(3, 1, "full"),
    "predict_one K=5 D=8 diag": lambda: predict_one(5, 8, "diag"),
    "from nothing, 20,000 points, K=3 D=1": lambda: from_nothing(3, 1, "full"),
    "from nothing, 20,000 points, K=5 D=8 diag": lambda: from_nothing(5, 8, "diag"),
    "HMM learn_one K=3 D=1": lambda: hmm_learn_one(3, 1),
    **{
        f"{method} D={d}": lambda method=method, d=d: many(method, d)
        for method in ("learn_many", "predict_many")
        for d in (1, 8)
    },
    "replay run": lambda: command(["run", "FILE", "--time", "time", *VALUES], csv_rows(ROWS, 1)),
    "replay run --key, 100 keys": lambda: command(
        ["run", "FILE", "--time", "time", "--key", "key", *VALUES], csv_rows(ROWS, 100)
    ),
    "replay run --persist": lambda: command(
        ["run", "FILE", "--time", "time", "--persist", *VALUES], csv_rows(ROWS, 1)
    ),
    "replay live -": lambda: command(
        ["live", "-", *VALUES], json_rows(ROWS // 4), standard_input=True
    ),
}

if __name__ == "__main__":
    print(PROBES[sys.argv[1]]())
