"""Writes the golden files: ``python -m tests.golden.make``, once for a version of the format."""

import json
import sys
from pathlib import Path

import numpy as np

from online_gmm import HalfLife, OnlineGMM, OnlineHMM, RollingFeatures, Segmenter
from online_gmm.data.state import VERSION, load

HERE = Path(__file__).parent
N = 400
"""Points learnt before the state was written; as many come after it."""


def points():
    rng = np.random.default_rng(1)
    level = np.repeat(rng.choice([0.0, 6.0, 12.0], size=2 * N // 20), 20)
    rows = level[:, None] + rng.normal(size=(2 * N, 2))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return [dict(zip("ab", row, strict=True)) for row in rows.tolist()]


def learners():
    yield "OnlineGMM", OnlineGMM(3, warm_up=100, seed=1)
    yield "OnlineGMM-recycle", OnlineGMM(3, step_size=HalfLife(points=200), recycle=True, seed=1)
    yield "OnlineGMM-before", OnlineGMM("auto", warm_up=N + 1, max_components=4, seed=1)
    yield "OnlineHMM", OnlineHMM(3, warm_up=100, lag=3, capacity=600, n_init=2, seed=1)
    yield (
        "RollingFeatures",
        RollingFeatures(20, ("mean", "log_sd", "correlation", "rises"), lag=(1, 3)),
    )
    yield "Segmenter", Segmenter(OnlineGMM(3, warm_up=100, seed=1), min_dwell=5, confirm=2)
    yield "Segmenter-found", Segmenter()


def answers(model, x):
    """What a model says of a point, as numbers by name."""
    if hasattr(model, "transform_one"):
        return model.transform_one(x)
    if isinstance(model, Segmenter):
        current = model.current
        return {"label": current.label, "start": current.start, **current.mean}
    shares = {f"probability of {k}": p for k, p in model.predict_proba_one(x).items()}
    return {"label": model.predict_one(x), **shares}


def story(model, rows):
    """What it says of each point before it is learnt."""
    result = []
    for x in rows:
        result.append(answers(model, x))
        model.learn_one(x)
    return result


def main():
    for name, model in learners():
        for x in points()[:N]:
            model.learn_one(x)
        data = model.to_bytes()
        HERE.joinpath(f"{name}-{VERSION}.state").write_bytes(data)
        expected = story(load(data), points()[N:])
        HERE.joinpath(f"{name}-{VERSION}.json").write_text(json.dumps(expected[::20]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
