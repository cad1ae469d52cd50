"""Mini-batches over arrays and frames: beside our own points, scikit-learn, and a bare call.

``python -m benchmarks.mini_batch``. scikit-learn has its defaults, and as many threads of BLAS
as it likes. Models have theirs: warm start, points kept and fitted again, and every check count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import sklearn.mixture
from numpy.typing import NDArray

from benchmarks.problems import PROBLEMS, Problem, overlapping
from benchmarks.report import Bars, Row, Section, at_least, at_most, tell
from benchmarks.timing import Times, side_by_side
from online_gmm import MixtureParameters, OnlineGMM

ROUNDS = 5
CALLS = 500
"""Calls of a few rows in one round."""
THREADED = 500_000
"""Rows of each of two models at once."""

Matrix = NDArray[np.float64]


CASES = (
    (PROBLEMS["A"], 1_000_000, 1_000_000, 2),
    (PROBLEMS["B"], 300_000, 300_000, 2),
    (overlapping(5, 8), 100_000, 100_000, 2),
    (overlapping(8, 32), 50_000, 10_000, 1),
)
"""Rows, rows of a pass, and samples that passes learn."""


def name_of(problem: Problem, n: int) -> str:
    return f"{n:,} x {problem.truth.n_features}, K={problem.truth.n_components}"


def frame_of(X: Matrix) -> pd.DataFrame:
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])


def learner_of(problem: Problem) -> OnlineGMM:
    """Without points kept if these are of many features: they would be fitted all the time."""
    kept = 1600 if problem.truth.n_features <= 8 else 0
    return OnlineGMM(problem.truth.n_components, capacity=kept, seed=1)


def seconds(call: Callable[[], Any]) -> float:
    """On the wall: scikit-learn has threads."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def own_seconds(call: Callable[[], Any], units: int) -> float:
    """Of this thread for each unit, which is less disturbed by other processes."""
    begin = time.thread_time()
    call()
    return (time.thread_time() - begin) / units


def learning(problem: Problem, X: Matrix) -> tuple[list[Row], float]:
    """A mini-batch beside the same rows as mappings; and what a frame costs more."""
    name = name_of(problem, len(X))
    size = len(X) // 10
    some = min(size, 10_000)
    # the median of the rounds has none in which points kept are fitted again
    models = [learner_of(problem) for _ in range(3)]
    for model in models[:2]:
        model.learn_many(X[:size])
    models[2].learn_many(frame_of(X[:size]))
    points = [dict(enumerate(row)) for row in X[size : size + some].tolist()]
    parts = [X[start : start + size] for start in range(size, len(X) - size + 1, size)]
    frames = [frame_of(part) for part in parts]
    at = 0

    def one_by_one() -> None:
        for x in points:
            models[0].learn_one(x)

    def array() -> float:
        nonlocal at
        at += 1
        part = parts[at % len(parts)]
        return own_seconds(lambda: models[1].learn_many(part), size)

    def frame() -> float:
        part = frames[at % len(parts)]
        return own_seconds(lambda: models[2].learn_many(part), size)

    times = side_by_side(
        {"points": lambda: own_seconds(one_by_one, some), "array": array, "frame": frame}, ROUNDS
    )
    ratio = times.ratio("points", "array")
    what = f"{name}: learn_one of each / learn_many of an array"
    rows = [
        at_least(what, ratio.median, 3.0, str(ratio))
        if problem.truth.n_features == 1
        else Row(what, str(ratio)),
        Row(
            f"{name}: learn_many of a frame / of an array",
            str(times.ratio("frame", "array")),
        ),
        Row(
            f"{name}: rows a second, learn_many of an array",
            f"{1.0 / times.median('array'):,.0f}",
        ),
    ]
    return rows, ratio.median


def fitted(k: int, X: Matrix, seed: int) -> tuple[sklearn.mixture.GaussianMixture, float]:
    its = sklearn.mixture.GaussianMixture(k, random_state=seed)
    return its, seconds(lambda: its.fit(X))


def passing(problem: Problem, n: int, seeds: int) -> tuple[list[Row], float]:
    """One pass from nothing beside scikit-learn's fit: time, and what is lost to the truth."""
    k, name = problem.truth.n_components, name_of(problem, n)
    excesses: list[tuple[float, float]] = []
    rounds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for seed in range(seeds):
        X, _ = problem.draw(n, seed)
        model = OnlineGMM(k, seed=seed)

        def ours(model: OnlineGMM = model, X: Matrix = X) -> None:
            rounds["ours"].append(seconds(lambda: model.learn_many(X)))

        if seed % 2 == 0:
            ours()
        their, took = fitted(k, X, seed)
        rounds["theirs"].append(took)
        if seed % 2 == 1:
            ours()
        mixture = MixtureParameters(their.weights_, their.means_, their.covariances_)
        excesses.append((problem.divergence(model.mixture), problem.divergence(mixture)))
    ratio = Times(rounds).ratio("theirs", "ours")
    mine, theirs = np.array(excesses).T
    excess = float(mine.mean() / theirs.mean())
    figure = (
        f"{excess:.3g} (of means over {seeds} samples; by sample {(mine / theirs).min():.3g} to "
        f"{(mine / theirs).max():.3g}; ours {mine.mean():.2g} nats)"
    )
    what = f"{name}: scikit-learn's fit / a pass from nothing"
    held = f"{name}: excess over the truth, ours / scikit-learn's"
    if problem.truth.n_features == 1:
        return [
            at_least(what, ratio.median, 15.0, str(ratio)),
            at_most(held, excess, 1.15, figure),
        ], ratio.median
    return [Row(what, str(ratio)), Row(held, figure)], ratio.median


def answering(problem: Problem, X: Matrix) -> tuple[list[Row], float]:
    """Labels and densities of rows beside those of scikit-learn."""
    k, name = problem.truth.n_components, name_of(problem, len(X))
    model = learner_of(problem)
    model.learn_many(X[:20_000])
    their, _ = fitted(k, X[:20_000], 1)
    times = side_by_side(
        {
            "predict_many": lambda: seconds(lambda: model.predict_many(X)),
            "predict": lambda: seconds(lambda: their.predict(X)),
            "log_density_many": lambda: seconds(lambda: model.log_density_many(X)),
            "score_samples": lambda: seconds(lambda: their.score_samples(X)),
            "one thread": lambda: seconds(lambda: model.mixture.score_samples(X)),
            "two threads": lambda: seconds(lambda: model.mixture.score_samples(X, n_jobs=2)),
        },
        ROUNDS,
    )
    labels = times.ratio("predict", "predict_many")
    densities = times.ratio("score_samples", "log_density_many")
    shared = times.ratio("one thread", "two threads")
    return [
        at_least(f"{name}: scikit-learn's predict / predict_many", labels.median, 3.0, str(labels)),
        at_least(
            f"{name}: scikit-learn's score_samples / log_density_many",
            densities.median,
            3.0,
            str(densities),
        ),
        at_least(
            f"{name}: score_samples with n_jobs=1 / with n_jobs=2", shared.median, 1.8, str(shared)
        ),
    ], labels.median


def repeated(call: Callable[[Any], Any], value: Any) -> Callable[[], float]:
    """A side: seconds a call."""

    def side() -> float:
        begin = time.thread_time()
        for _ in range(CALLS):
            call(value)
        return (time.thread_time() - begin) / CALLS

    return side


def values_and_names(frame: pd.DataFrame) -> Any:
    """What pandas needs to hand on a frame."""
    return frame.to_numpy(), tuple(frame.columns)


def one_label_each(frame: pd.DataFrame) -> Any:
    """The same, and a series to answer with."""
    labels = np.zeros(len(frame), dtype=np.int64)
    return values_and_names(frame), pd.Series(labels, index=frame.index, name="label")


def calls(problem: Problem) -> list[Row]:
    """What a call with one row or ten costs."""
    k, d = problem.truth.n_components, problem.truth.n_features
    X, _ = problem.draw(20_000, 1)
    of_arrays, of_frames = OnlineGMM(k, seed=1), OnlineGMM(k, seed=1)
    of_arrays.learn_many(X)
    of_frames.learn_many(frame_of(X))
    rows = []
    a, b = np.ones((1, d)), np.ones((d, 1))
    for n in (1, 10):
        array, frame = X[:n], frame_of(X[:n])
        times = side_by_side(
            {
                "learn_many of an array": repeated(of_arrays.learn_many, array),
                "predict_many of an array": repeated(of_arrays.predict_many, array),
                "learn_many of a frame": repeated(of_frames.learn_many, frame),
                "predict_many of a frame": repeated(of_frames.predict_many, frame),
                "np.dot": repeated(a.dot, b),
                "frame.to_numpy()": repeated(pd.DataFrame.to_numpy, frame),
                "learn_many of pandas": repeated(values_and_names, frame),
                "predict_many of pandas": repeated(one_label_each, frame),
            },
            ROUNDS,
        )
        for side in list(times.rounds)[:4]:
            micro = 1e6 * np.array(times.rounds[side])
            bare = "np.dot" if "array" in side else "frame.to_numpy()"
            figure = (
                f"{np.median(micro):.3g} µs ({micro.min():.3g} to {micro.max():.3g}), "
                f"{times.ratio(side, bare).median:.3g} times {bare}"
            )
            if "frame" in side:
                own = times.median(f"{side.partition(' ')[0]} of pandas")
                figure += f"; pandas alone {1e6 * own:.3g} µs"
            what = f"{n} row{'s' if n > 1 else ''} x {d}: {side}"
            rows.append(at_most(what, float(np.median(micro)), 20.0, figure))
    return rows


def threads(problem: Problem) -> Row:
    """Two models in two threads beside one after the other."""
    k = problem.truth.n_components
    X, _ = problem.draw(THREADED, 1)
    models = [OnlineGMM(k, seed=seed) for seed in (1, 2)]
    for model in models:
        model.learn_many(X)

    def together() -> None:
        both = [threading.Thread(target=model.learn_many, args=(X,)) for model in models]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()

    def in_turn() -> None:
        for model in models:
            model.learn_many(X)

    times = side_by_side(
        {"together": lambda: seconds(together), "in turn": lambda: seconds(in_turn)}, ROUNDS
    )
    ratio = times.ratio("in turn", "together")
    what = f"{name_of(problem, THREADED)}: two models in turn / in two threads"
    return at_least(what, ratio.median, 1.8, str(ratio))


def run() -> Section:
    rows: list[Row] = []
    lengths: dict[str, dict[str, float]] = {"points": {}, "fit": {}, "predict": {}}
    for problem, n, n_passed, seeds in CASES:
        X, _ = problem.draw(n, 1)
        for what, n_rows, (more, length) in (
            ("points", n, learning(problem, X)),
            ("fit", n_passed, passing(problem, n_passed, seeds)),
            ("predict", n, answering(problem, X)),
        ):
            rows += more
            lengths[what][name_of(problem, n_rows)] = length
    rows += calls(PROBLEMS["A"])
    rows += calls(CASES[2][0])
    rows.append(threads(PROBLEMS["A"]))
    text = (
        f"In brackets the least and the most of {ROUNDS} rounds, or of samples. Regimes overlap; "
        "excess over the truth is the truth's mean held-out log-likelihood less the model's, for "
        "as many held-out points as one likes: their divergence by quadrature at D=1, else by "
        "200,000 points. scikit-learn's mixture has its defaults (one k-means start, until a step "
        "gains less than 1e-3 nats), and as many threads as BLAS likes; we have one, and both are "
        "timed on the wall. Beside our own, times are the thread's. Pandas alone: what it takes to "
        "get a frame's values and names, and to make a series of labels where one is the answer. "
        "Of 32 features learn_one and learn_many are compared without points kept, as fits of "
        "these would be most of both."
    )
    titles = {
        "points": "learn_one of each row beside learn_many",
        "fit": "scikit-learn's fit beside a pass from nothing",
        "predict": "scikit-learn's predict beside predict_many",
    }
    plots = [Bars(titles[what], "times ours", its) for what, its in lengths.items()]
    return Section("Mini-batches", rows, text, plots)


if __name__ == "__main__":
    tell(run)
