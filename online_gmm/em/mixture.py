"""The parameters of a Gaussian mixture as a value, and what follows from them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from online_gmm import _kernel
from online_gmm.data import html
from online_gmm.data.counted import counted
from online_gmm.data.frames import Table, flat, view

CovarianceType = Literal["full", "tied", "diag", "spherical"]
"""The shapes that covariances can have."""
COVARIANCE_TYPES: dict[str, int] = {
    "full": _kernel.FULL,
    "tied": _kernel.TIED,
    "diag": _kernel.DIAG,
    "spherical": _kernel.SPHERICAL,
}


def is_dense(covariance_type: str) -> bool:
    """Whether statistics of this covariance type hold whole matrices, not just variances."""
    return covariance_type in ("full", "tied")


FARTHEST = 1e300
"""No two components are farther apart."""
FEWEST = 1024
"""Rows that are worth a thread."""
BLOCK = 4096
"""Rows whose densities and distances stay in the cache of a processor."""


@dataclass(frozen=True, eq=False)
class MixtureParameters:
    """The parameters of a Gaussian mixture: weights, means and covariances. Immutable.

    Parameters
    ----------
    weights : array of shape (K,)
        Positive, summing to 1.
    means : array of shape (K, D)
        In the units of the features.
    covariances : array of shape (K, D, D)
        In squared units; complete matrices, whatever the covariance type.
    features : tuple of hashable, optional
        The D names of the features; by default 0 .. D-1.

    Examples
    --------
    >>> from online_gmm import MixtureParameters
    >>> mixture = MixtureParameters([0.5, 0.5], [[-2.0], [2.0]], [[[1.0]], [[1.0]]])
    >>> mixture.predict([[-1.0], [3.0]])
    array([0, 1])
    >>> mixture.score_samples([[0.0]]).round(4)
    array([-2.9189])
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    features: tuple[Hashable, ...] = ()

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        features: tuple[Hashable, ...] | None = None,
    ) -> None:
        w = np.array(weights, dtype=np.float64)
        m = np.array(means, dtype=np.float64)
        c = np.array(covariances, dtype=np.float64)
        if m.ndim != 2 or w.shape != m.shape[:1] or c.shape != (*m.shape, m.shape[1]):
            raise ValueError(
                "weights (K,), means (K, D) and covariances (K, D, D) are expected; "
                f"these are {w.shape}, {m.shape} and {c.shape}"
            )
        names = tuple(range(m.shape[1])) if features is None else tuple(features)
        if len(names) != m.shape[1]:
            raise ValueError(f"{len(names)} feature names were given for {m.shape[1]} features")
        for values in (w, m, c):
            values.setflags(write=False)
        object.__setattr__(self, "weights", w)
        object.__setattr__(self, "means", m)
        object.__setattr__(self, "covariances", c)
        object.__setattr__(self, "features", names)

    @classmethod
    def of(
        cls,
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        covariances: NDArray[np.float64],
        features: tuple[Hashable, ...],
    ) -> MixtureParameters:
        """The same of arrays that nobody else writes to, which are neither copied nor checked."""
        for values in (weights, means, covariances):
            values.setflags(write=False)
        result = cls.__new__(cls)
        result.__dict__.update(
            weights=weights, means=means, covariances=covariances, features=features
        )
        return result

    @property
    def n_components(self) -> int:
        return len(self.weights)

    @property
    def n_features(self) -> int:
        return len(self.features)

    def _repr_html_(self) -> str:
        sds = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        rows = [
            [k, html.Share(weight), *map(html.mean_and_sd, mean, sd)]
            for k, (weight, mean, sd) in enumerate(zip(self.weights, self.means, sds, strict=True))
        ]
        n = html.MOST_CHANNELS
        heads = ["component", "weight", *html.channel_heads(self.features)]
        whole = html.table(heads, [row[: n + 2] for row in rows])
        return html.page(
            f"MixtureParameters, {counted(self.n_components, 'components')}", (), whole
        )

    def score_samples(self, X: Any, n_jobs: int = 1) -> NDArray[np.float64]:
        """Return the log density of each row.

        Parameters
        ----------
        X : a frame, or an array of shape (n, D)
            Missing values (NaN) are marginalised out. A frame has the features by their names. An
            array has them in the order of ``features``, and is refused if these are several with
            names: a model knows them in alphabetical order, not in that of the rows it has learnt.
        n_jobs : int, default 1
            How many threads share the rows; -1 is one for each processor. The answer is the same.
            It pays from some 10,000 rows on.

        Returns
        -------
        array of shape (n,)
            In nats. O(K D^2) a row.

        Raises
        ------
        ValueError
            If X is an array and features have names, or a frame that has none of the features.
        """
        return densities_of(self, rows_of(self, X), n_jobs)

    def predict_proba(self, X: Any, n_jobs: int = 1) -> NDArray[np.float64]:
        """Return the responsibilities of the components for each row, shape (n, K).

        Parameters and cost as in `score_samples`.
        """
        return responsibilities_of(self, rows_of(self, X), n_jobs)

    def predict(self, X: Any, n_jobs: int = 1) -> NDArray[np.int64]:
        """Return the component most responsible for each row, shape (n,).

        Parameters and cost as in `score_samples`.
        """
        return labels_of(self, rows_of(self, X), n_jobs)

    def sample(
        self, n: int, seed: int | np.random.Generator | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw n points: an array of shape (n, D), and the component of each, shape (n,)."""
        rng = np.random.default_rng(seed)
        labels = rng.choice(self.n_components, size=n, p=self.weights / self.weights.sum())
        noise = rng.standard_normal((n, self.n_features))
        factors = np.linalg.cholesky(self.covariances)
        return self.means[labels] + np.einsum("nij,nj->ni", factors[labels], noise), labels

    def reordered(self, order: ArrayLike) -> MixtureParameters:
        """The same mixture with its components in this order."""
        chosen = np.asarray(order)
        return MixtureParameters.of(
            self.weights[chosen], self.means[chosen], self.covariances[chosen], self.features
        )

    def bhattacharyya(self, other: MixtureParameters) -> NDArray[np.float64]:
        """Bhattacharyya distances between the components of two mixtures, shape (K, K').

        At most `FARTHEST`, which also stands for those that are beyond what doubles can hold.
        """
        result = np.empty((self.n_components, other.n_components))
        its = flat(self.means), flat(self.covariances)
        others = flat(other.means), flat(other.covariances)
        _kernel.bhattacharyya(*its, *others, self.n_features, FARTHEST, view(result))
        return result

    def order_like(self, other: MixtureParameters) -> NDArray[np.intp]:
        """For each of the other's components, the one of these that goes with it.

        Assignment on Bhattacharyya distance; both must have as many components.
        """
        if self.n_components != other.n_components:
            raise ValueError(
                f"mixtures of {self.n_components} and {other.n_components} components "
                "cannot be matched one to one"
            )
        distances = other.bhattacharyya(self)
        nearest: NDArray[np.intp] = distances.argmin(axis=1)
        if len(np.unique(nearest)) == len(nearest):  # no assignment can be better
            return nearest
        from scipy.optimize import linear_sum_assignment

        order: NDArray[np.intp] = linear_sum_assignment(distances)[1]
        return order

    def matched_to(self, other: MixtureParameters) -> MixtureParameters:
        """This mixture with its components in the order of the other's they go with."""
        return self.reordered(self.order_like(other))

    def error(self, other: MixtureParameters) -> float:
        """The largest relative difference between the parameters of two matched mixtures.

        Means and covariances are taken in the other's standard deviations, weights relative to
        the other's, or to 0.001 where those are less.
        """
        sd = np.sqrt(np.diagonal(other.covariances, axis1=1, axis2=2))
        return float(
            max(
                np.max(np.abs(self.weights - other.weights) / np.maximum(other.weights, 1e-3)),
                np.max(np.abs(self.means - other.means) / sd),
                np.max(
                    np.abs(self.covariances - other.covariances) / (sd[:, :, None] * sd[:, None, :])
                ),
            )
        )


def rows_of(mixture: MixtureParameters, X: Any) -> NDArray[np.float64]:
    """The rows of a frame or an array with the features of a mixture in their order.

    Raises
    ------
    ValueError
        If X is an array and features have names, or a frame that has none of the features.
    """
    features = mixture.features
    table = Table(np.asarray(X) if isinstance(X, (list, tuple)) else X, features)
    if table.is_array and len(features) > 1 and features != tuple(range(len(features))):
        raise ValueError(
            "an array has no names of features, and this mixture knows its features by name: "
            f"{', '.join(map(repr, features))}. Give a data frame, such as "
            "pandas.DataFrame(X, columns=mixture.features) if that is the order of X"
        )
    if not set(features) & set(table.names):
        raise ValueError(
            f"these rows have none of the features {', '.join(map(repr, features))}; they have "
            f"{', '.join(map(repr, table.names))}"
        )
    return table.select(features)


def densities_of(
    mixture: MixtureParameters, rows: NDArray[np.float64], n_jobs: int = 1
) -> NDArray[np.float64]:
    """As `MixtureParameters.score_samples`, of rows with the features in their order."""
    log_density = np.empty(len(rows))

    def weigh(part: slice) -> None:
        its = rows[part]
        without_prior(mixture).log_densities(view(its), len(its), view(log_density[part]))

    in_threads(weigh, len(rows), n_jobs)
    return log_density


def responsibilities_of(
    mixture: MixtureParameters, rows: NDArray[np.float64], n_jobs: int = 1
) -> NDArray[np.float64]:
    """As `MixtureParameters.predict_proba`, of rows with the features in their order."""
    responsibilities = np.empty((len(rows), mixture.n_components))

    def weigh(part: slice) -> None:
        components, aside = without_prior(mixture), np.empty((2, BLOCK))
        # what is not asked for stays in the cache
        for at in range(part.start, part.stop, BLOCK):
            its = slice(at, min(at + BLOCK, part.stop))
            shares = view(responsibilities[its])
            components.posterior(view(rows[its]), its.stop - at, shares, *map(view, aside))

    in_threads(weigh, len(rows), n_jobs)
    return responsibilities


def labels_of(
    mixture: MixtureParameters, rows: NDArray[np.float64], n_jobs: int = 1
) -> NDArray[np.int64]:
    """As `MixtureParameters.predict`, of rows with the features in their order."""
    labels = np.zeros(len(rows), dtype=np.int64)

    def label(part: slice) -> None:
        without_prior(mixture).predict(view(rows[part]), len(rows[part]), view(labels[part]))

    in_threads(label, len(rows), n_jobs)
    return labels


def squared_distances(
    gaps: NDArray[np.float64], covariances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared Mahalanobis lengths of K gaps (K, d), each by its covariance matrix (K, d, d).

    Infinite where doubles cannot hold them, and all of them if a matrix is singular.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            inward = np.linalg.solve(covariances, gaps[..., None])[..., 0]
            squares = (gaps * inward).sum(axis=-1)
    except np.linalg.LinAlgError:
        return np.full(len(gaps), np.inf)
    return np.where(np.isnan(squares), np.inf, squares)


def in_threads(work: Callable[[slice], None], n_rows: int, n_jobs: int) -> None:
    """Call ``work`` for parts of the rows, as many as ``n_jobs`` says, each in a thread of its own.

    The first part is done by the calling thread.

    Raises
    ------
    ValueError
        If ``n_jobs`` is neither -1 nor a number from 1 on.
    """
    if n_jobs != -1 and n_jobs < 1:
        raise ValueError(f"n_jobs is {n_jobs!r}; it must be at least 1, or -1 for all processors")
    n_threads = min(n_jobs if n_jobs > 0 else os.cpu_count() or 1, max(n_rows // FEWEST, 1))
    if n_threads == 1:
        work(slice(0, n_rows))
        return
    bounds = [n_rows * i // n_threads for i in range(n_threads + 1)]
    first, *others = [slice(*pair) for pair in itertools.pairwise(bounds)]
    with ThreadPoolExecutor(len(others)) as threads:
        working = threads.map(work, others)
        work(first)
        list(working)


def without_prior(mixture: MixtureParameters) -> _kernel.Components:
    """The components as they are, with covariances in full."""
    k, d = mixture.means.shape
    scale = np.minimum.reduce(mixture.covariances.reshape(k, d * d)[:, :: d + 1])
    return to_kernel(mixture, "full", 0.0, scale, points=0.0)


def to_kernel(
    mixture: MixtureParameters,
    covariance_type: str,
    strength: float,
    prior: NDArray[np.float64],
    points: float,
    floors: NDArray[np.float64] | None = None,
) -> _kernel.Components:
    """A mixture as the statistics of so many points; with none its parameters stand unshrunk.

    ``prior`` is the prior's covariance, shape (D, D), or its diagonal. ``floors`` are the least
    variances of the features, shape (D,); 1e-12 of the prior's by default.
    """
    dense = is_dense(covariance_type)
    covariances = mixture.covariances
    if prior.ndim == 2 and not dense:
        prior = np.diagonal(prior)
    elif prior.ndim == 1 and dense:
        prior = np.diag(prior)
    components = _kernel.Components(
        mixture.n_components,
        mixture.n_features,
        COVARIANCE_TYPES[covariance_type],
        strength,
        flat(prior),
    )
    if floors is not None:
        components.hold_above(flat(floors))
    components.load(
        flat(mixture.weights),
        flat(mixture.means),
        flat(covariances if dense else np.diagonal(covariances, axis1=1, axis2=2)),
        points,
    )
    return components


def from_kernel(
    components: _kernel.Components, features: tuple[Hashable, ...] | None = None
) -> MixtureParameters:
    """The parameters as they are read out now."""
    k, d, _ = components.shape
    weights, means, covariances = map(np.frombuffer, components.read_out())
    names = tuple(range(d)) if features is None else features
    return MixtureParameters.of(weights, means.reshape(k, d), covariances.reshape(k, d, d), names)


def n_parameters(n_components: int, n_features: int, covariance_type: str) -> int:
    """Free parameters of a mixture: weights, means and covariances."""
    matrix = n_features * (n_features + 1) // 2
    if covariance_type == "tied":
        covariances = matrix
    else:
        each = {"full": matrix, "diag": n_features, "spherical": 1}[covariance_type]
        covariances = n_components * each
    return n_components - 1 + n_components * n_features + covariances


def posterior(
    model: _kernel.Components | _kernel.MixtureStream, X: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Responsibilities (n, K), log densities (n,) and squared distances (n,) of rows."""
    responsibilities = np.empty((len(X), model.shape[0]))
    log_density, distance = np.empty(len(X)), np.empty(len(X))
    model.posterior(view(X), len(X), view(responsibilities), view(log_density), view(distance))
    return responsibilities, log_density, distance
