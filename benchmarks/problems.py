"""Mixtures to learn, streams drawn from them, and how far a learner is from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from online_gmm import MixtureParameters
from online_gmm.em import batch
from online_gmm.em.prior import Prior

LOST_WEIGHT, LOST_DIVERGENCE = 0.2, 0.05
"""A component is lost if it has less than this share of the smallest true weight, or KL is more."""
HELD_OUT = 200_000

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A true mixture, known only to those who judge."""

    name: str
    truth: MixtureParameters

    def draw(self, n: int, seed: int, dwell: float = 1.0) -> tuple[Matrix, Labels]:
        """n points and their components; a new regime is drawn every ``dwell`` points on average.

        With ``dwell`` 1 points are independent.
        """
        rng = np.random.default_rng([seed, int(dwell)])
        changes = rng.random(n) < 1.0 / dwell
        changes[0] = True
        weights = self.truth.weights / self.truth.weights.sum()
        regimes = rng.choice(len(weights), size=int(changes.sum()), p=weights)
        labels = regimes[np.cumsum(changes) - 1]
        return emit(self.truth, labels, rng), labels

    @cached_property
    def _judges(self) -> tuple[Matrix, Matrix, Matrix]:
        """Points, their true log densities, and weights: a fine grid, or a held-out sample."""
        truth = self.truth
        if truth.n_features == 1:
            sd = np.sqrt(truth.covariances[:, 0, 0])
            ends = (truth.means[:, 0] - 9 * sd).min(), (truth.means[:, 0] + 9 * sd).max()
            points = np.linspace(*ends, 6001)[:, None]
        else:
            points = truth.sample(HELD_OUT, seed=987_654)[0]
        log_density = truth.score_samples(points)
        mass = np.exp(log_density) if truth.n_features == 1 else np.ones(len(points))
        return points, log_density, mass / mass.sum()

    def divergence(self, mixture: MixtureParameters) -> float:
        """KL(truth, mixture) in nats, by quadrature or as the mean of r - 1 - log r, r = q / p.

        That has the mean of -log r and, near the truth, a far smaller variance.
        """
        points, log_density, mass = self._judges
        log_ratio = np.minimum(mixture.score_samples(points) - log_density, 50.0)
        return float(mass @ (np.expm1(log_ratio) - log_ratio))

    def has_lost(self, mixture: MixtureParameters) -> bool:
        """Whether a component has been lost."""
        least = float(mixture.weights.min())
        return (
            least < LOST_WEIGHT * self.truth.weights.min()
            or self.divergence(mixture) > LOST_DIVERGENCE
        )

    def bayes_accuracy(self, n: int = 200_000) -> float:
        """How many labels the truth itself gets right."""
        X, labels = self.truth.sample(n, seed=1)
        return float((self.truth.predict(X) == labels).mean())


def emit(truth: MixtureParameters, labels: Labels, rng: np.random.Generator) -> Matrix:
    """A point of each of these components."""
    noise = rng.standard_normal((len(labels), truth.n_features))
    X: Matrix = truth.means[labels]
    for k, factor in enumerate(np.linalg.cholesky(truth.covariances)):
        X[labels == k] += noise[labels == k] @ factor.T
    return X


def batch_fit(X: Matrix, truth: MixtureParameters, tol: float = 1e-6) -> MixtureParameters:
    """Where batch EM comes to rest from the truth: what a stream is measured against.

    Stopped sooner it has not left the truth yet, and looks better than it is: at n = 1e5 its KL is
    up to 1 % less at a tolerance of 3e-4, 5 % at 1e-3.
    """
    return batch.fit(X, truth, Prior.of(X, truth.n_components, 1e-3), tol=tol).mixture


def _five() -> MixtureParameters:
    rng = np.random.default_rng(5)
    means = 2.0 * rng.normal(size=(5, 5))
    factors = [rng.normal(size=(5, 5)) for _ in range(5)]
    covariances = [a @ a.T / 5 + 0.4 * np.eye(5) for a in factors]
    return MixtureParameters([0.3, 0.25, 0.2, 0.15, 0.1], means, covariances)


A = Problem(
    "A", MixtureParameters([0.5, 0.3, 0.2], [[-3.0], [0.0], [4.0]], [[[1.0]], [[0.64]], [[2.25]]])
)
B = Problem(
    "B",
    MixtureParameters(
        [0.4, 0.35, 0.25],
        [[0.0, 0.0], [3.45, 1.15], [0.0, 4.6]],
        [[[1.0, 0.5], [0.5, 1.0]], [[1.5, -0.4], [-0.4, 0.8]], [[0.7, 0.0], [0.0, 1.6]]],
    ),
)
C = Problem("C", _five())
PROBLEMS = {problem.name: problem for problem in (A, B, C)}


def overlapping(k: int, d: int) -> Problem:
    """Regimes some four standard deviations apart, whatever D is, each with its own shape."""
    rng = np.random.default_rng([k, d])
    means = rng.normal(size=(k, d)) * 4.0 / np.sqrt(2.0 * d)
    factors = rng.normal(size=(k, d, d))
    covariances = factors @ factors.transpose(0, 2, 1) / d * 0.6 + 0.4 * np.eye(d)
    weights = np.linspace(1.0, 2.0, k)
    return Problem(f"K={k} D={d}", MixtureParameters(weights / weights.sum(), means, covariances))
