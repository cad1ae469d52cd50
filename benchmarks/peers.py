"""What is measured beside this project: river's clusterers and others, as functions of a point."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import anomaly, cluster, proba
from sklearn.mixture import GaussianMixture

Step = Callable[[dict[int, float]], Any]


class IncrementalEM:
    """Incremental EM as it is usually written in NumPy: raw moments, full or diagonal."""

    def __init__(self, X: NDArray[np.float64], k: int, diagonal: bool) -> None:
        rng = np.random.default_rng(1)
        d = X.shape[1]
        self.n = 0
        self.diagonal = diagonal
        self.weights = np.full(k, 1.0 / k)
        self.first = self.weights[:, None] * X[rng.choice(len(X), k, replace=False)]
        means = self.first / self.weights[:, None]
        spread = np.cov(X.T).reshape(d, d) + means[:, :, None] * means[:, None, :]
        self.second = self.weights[:, None, None] * spread
        self.names = tuple(range(d))

    def learn_one(self, x: dict[int, float]) -> None:
        point = np.array([x[name] for name in self.names])
        self.n += 1
        g = (self.n + 1.0) ** -0.7
        means = self.first / self.weights[:, None]
        covariances = self.second / self.weights[:, None, None]
        covariances = covariances - means[:, :, None] * means[:, None, :]
        covariances = covariances + 1e-6 * np.eye(len(point))
        off = point - means
        if self.diagonal:
            variances = np.diagonal(covariances, axis1=1, axis2=2)
            square = (off**2 / variances).sum(axis=1)
            log_det = np.log(variances).sum(axis=1)
        else:
            square = (off * np.linalg.solve(covariances, off[:, :, None])[:, :, 0]).sum(axis=1)
            log_det = np.linalg.slogdet(covariances)[1]
        log_joint = np.log(self.weights) - 0.5 * (square + log_det)
        r = np.exp(log_joint - log_joint.max())
        r /= r.sum()
        self.weights += g * (r - self.weights)
        self.first += g * (r[:, None] * point - self.first)
        self.second += g * (r[:, None, None] * np.outer(point, point) - self.second)


def _scaled(learn: Step, points: list[dict[int, float]]) -> Step:
    """Half-space trees want features between 0 and 1; scaling is not counted in their favour."""
    low = min(min(x.values()) for x in points)
    span = max(max(x.values()) for x in points) - low

    def step(x: dict[int, float]) -> None:
        learn({name: (value - low) / span for name, value in x.items()})

    return step


def _pomegranate(X: NDArray[np.float64], k: int, diagonal: bool) -> Step:
    """Each point summarised; of a single one the covariance would be taken, and be 0."""
    torch = importlib.import_module("torch")
    its = importlib.import_module("pomegranate.gmm").GeneralMixtureModel
    normal = importlib.import_module("pomegranate.distributions").Normal
    torch.set_num_threads(1)
    kind = "diag" if diagonal else "full"
    model = its([normal(covariance_type=kind) for _ in range(k)], inertia=0.9, max_iter=5)
    model.fit(torch.tensor(X, dtype=torch.float32))
    names = range(X.shape[1])
    n = 0

    def step(x: dict[int, float]) -> None:
        nonlocal n
        model.summarize(torch.tensor([[x[name] for name in names]], dtype=torch.float32))
        n += 1
        if n % 1000 == 0:
            model.from_summaries()

    return step


def _refitted(X: NDArray[np.float64], k: int, diagonal: bool) -> Step:
    """A fit of the last 1,000 points after every 1,000."""
    rows: list[list[float]] = []
    kind = "diag" if diagonal else "full"

    def step(x: dict[int, float]) -> None:
        rows.append(list(x.values()))
        if len(rows) == 1000:
            GaussianMixture(k, covariance_type=kind, random_state=1).fit(np.array(rows))
            rows.clear()

    return step


def learners(
    X: NDArray[np.float64], points: list[dict[int, float]], k: int, diagonal: bool
) -> tuple[dict[str, Step], dict[str, str]]:
    """What learns a point, by name; and why those that are missing are."""
    d = X.shape[1]
    kmeans = cluster.KMeans(n_clusters=k, seed=1)
    normal = proba.MultivariateGaussian(seed=1)
    steps: dict[str, Step] = {
        "river KMeans": kmeans.learn_one,
        "river STREAMKMeans": cluster.STREAMKMeans(n_clusters=k, seed=1).learn_one,
        "river DBSTREAM": cluster.DBSTREAM().learn_one,
        "river CluStream": cluster.CluStream(n_macro_clusters=k, seed=1).learn_one,
        "river MultivariateGaussian": normal.update,
        "river HalfSpaceTrees": _scaled(anomaly.HalfSpaceTrees(seed=1).learn_one, points),
        "incremental EM in NumPy": IncrementalEM(X[:500], k, diagonal).learn_one,
        "scikit-learn, refitted every 1,000 points": _refitted(X, k, diagonal),
    }
    missing = {}
    try:
        step = _pomegranate(X[:500], k, diagonal)
        for x in points[:10_000]:  # its covariances are of single precision, and may fail later
            step(x)
        steps["pomegranate, read out every 1,000 points"] = step
    except ImportError as error:
        missing["pomegranate, read out every 1,000 points"] = (
            f"missing: {error}; its extra is `pomegranate`"
        )
    except Exception as error:  # a peer that fails is told of, and the others go on
        missing["pomegranate, read out every 1,000 points"] = f"fails here: {error!r}"[:200]
    assert d == len(points[0])
    return steps, missing
