"""OnlineGMM: a Gaussian mixture that learns a point at a time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import base
from scipy.stats import chi2

from online_gmm import _kernel
from online_gmm.frames import Table, flat
from online_gmm.mixture import COVARIANCE_TYPES, GaussianMixture, from_kernel, posterior, to_kernel
from online_gmm.step_size import PowerDecay
from online_gmm.warm_start import WarmStart, warm_start

AVERAGE_EVERY = 16
"""Points between two iterates that enter the average."""


class Assignment(NamedTuple):
    """What the model says of a point.

    ``label`` is the most probable component, ``probability`` its responsibility, ``log_density``
    that of the point under the mixture (nats), and ``outlier`` whether the point lies beyond the
    gate of every component.
    """

    label: int
    probability: float
    log_density: float
    outlier: bool


class OnlineGMM(base.Clusterer):
    """Gaussian mixture learnt by incremental EM.

    The first ``warm_up`` points are kept and fitted by batch EM. From then on each point moves the
    sufficient statistics by a step, and the parameters are read out of their running average
    [1]_ [2]_, which comes as close to the truth as batch EM on all the points seen.

    Parameters
    ----------
    n_components
        K, the number of components.
    covariance_type
        ``full`` (each its own covariance matrix), ``tied`` (one for all), ``diag`` (variances per
        feature) or ``spherical`` (one variance per component).
    warm_up
        Points fitted together at the start. They should show every regime, several times if regimes
        last.
    step_size
        How fast new points replace old ones; `PowerDecay(0.65)` by default.
    average
        Whether to report the average of the iterates rather than the last one. The average is
        more precise on a stream that does not change, the last iterate follows one that does.
    prior
        Pseudo-points with the variance of the data that each component is born with; keeps
        components from collapsing. See `Prior`.
    gate
        Tail probability beyond which a point is an outlier to a component. A point that is
        one to all of them is counted, and learnt with a step that fades with its distance. 0
        switches the gate off.
    n_starts
        EM starts tried in the warm start; half are k-means++, half random.
    features
        The names of the features, in order. By default all that the warm start has seen, sorted.
        Others that come later are ignored and counted.
    order_by
        Components are numbered by their mean of this feature; of the first by default.
    seed
        Makes the warm start repeatable; nothing after it is random.

    Attributes
    ----------
    start
        The `WarmStart` that was chosen, None before.
    n_points
        Points learnt, those of the warm start included.
    n_outliers
        Points since the warm start that were gated.
    n_empty
        Points in which no known feature had a value; nothing is learnt from them.
    n_unknown
        Values ignored because their feature is not known.

    Notes
    -----
    A missing feature (absent, None or NaN) is marginalised out of the E-step and replaced by its
    conditional moments in the M-step [3]_. An infinite value, one beyond 1e150 in magnitude or one
    that is no real number raises an error, and the model is as it was.

    Cost per point: O(K D^2) for ``full``, O(K D) for ``diag``; ``tied`` adds O(D^3). Memory: O(K
    D^2), and the warm-up points until it is complete.

    References
    ----------
    .. [1] Cappe, O. & Moulines, E. (2009). On-line expectation-maximization algorithm for latent
           data models. Journal of the Royal Statistical Society B 71(3), 593-613.
    .. [2] Polyak, B. T. & Juditsky, A. B. (1992). Acceleration of stochastic approximation by
           averaging. SIAM Journal on Control and Optimization 30(4), 838-855.
    .. [3] Ghahramani, Z. & Jordan, M. I. (1994). Supervised learning from incomplete data via an
           EM approach. Advances in Neural Information Processing Systems 6.

    Examples
    --------
    >>> import random
    >>> from online_gmm import OnlineGMM
    >>> rng = random.Random(1)
    >>> model = OnlineGMM(n_components=2, warm_up=100, seed=1)
    >>> for _ in range(2000):
    ...     level = rng.choice([10.0, 20.0])
    ...     model.learn_one({"level": rng.gauss(level, 1.0)})
    >>> model.predict_one({"level": 9.5}), model.predict_one({"level": 21.0})
    (0, 1)
    >>> model.mixture.means.round(0)
    array([[10.],
           [20.]])
    """

    def __init__(
        self,
        n_components: int = 3,
        *,
        covariance_type: str = "full",
        warm_up: int = 200,
        step_size: PowerDecay | None = None,
        average: bool = True,
        prior: float = 1e-3,
        gate: float = 1e-12,
        n_starts: int = 12,
        features: Sequence[Hashable] | None = None,
        order_by: Hashable | None = None,
        seed: int | None = None,
    ) -> None:
        for name, value in (
            ("n_components", n_components),
            ("warm_up", warm_up),
            ("n_starts", n_starts),
        ):
            if not value >= 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1")
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type is {covariance_type!r}; "
                f"it must be one of {', '.join(COVARIANCE_TYPES)}"
            )
        if not 0.0 <= prior < math.inf:
            raise ValueError(f"prior is {prior!r}; it must be a number of pseudo-points, 0 or more")
        if not 0.0 <= gate < 1.0:
            raise ValueError(f"gate is {gate!r}; it must be a probability below 1")
        if features is not None and len(set(features)) != len(features):
            raise ValueError(f"features are {list(features)!r}; each may stand there once")
        if features is not None and order_by is not None and order_by not in features:
            raise ValueError(f"order_by is {order_by!r}, which is not among the features")
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.warm_up = warm_up
        self.step_size = step_size
        self.average = average
        self.prior = prior
        self.gate = gate
        self.n_starts = n_starts
        self.features = features
        self.order_by = order_by
        self.seed = seed

        self.start: WarmStart | None = None
        self.n_unknown = 0
        self._buffer: list[dict[Hashable, float]] = []
        self._n_empty = 0
        self._names: tuple[Hashable, ...] = ()
        self._stream: _kernel.Stream | None = None

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_components": 3, "warm_up": 20, "seed": 1}
        yield {"n_components": 2, "warm_up": 50, "covariance_type": "diag", "seed": 2}
        yield {"n_components": 2, "warm_up": 30, "covariance_type": "tied", "seed": 3}
        yield {"n_components": 4, "warm_up": 30, "covariance_type": "spherical", "seed": 4}
        yield {"n_components": 1, "warm_up": 1, "average": False, "seed": 5}

    # -- learning -------------------------------------------------------------------------------

    def learn_one(self, x: Mapping[Hashable, Any]) -> None:
        """Learn a point: a mapping of feature names to real numbers.

        Raises
        ------
        TypeError, ValueError
            If a known feature has a value that is no finite real number, or is beyond 1e150. The
            message names the feature; the model is unchanged.
        """
        stream = self._stream
        if stream is None:
            self._keep(x)
            return
        found = stream.learn_one(x, self._names)
        if found != len(x):
            self.n_unknown += len(x) - found

    def learn_many(self, X: Any) -> None:
        """Learn the rows of a frame or an array: the same as `learn_one` of each in turn.

        Raises
        ------
        TypeError, ValueError
            As of `learn_one`, naming the row too; then no row is learnt.
        """
        table = Table(X)
        done = 0
        if self._stream is None:
            for row in table.values:
                self._keep(dict(zip(table.names, row.tolist(), strict=True)))
                done += 1
                if self._stream is not None:
                    break
        if self._stream is not None and done < len(table):
            rows = table.select(self._names)[done:]
            self.n_unknown += len(rows) * len(set(table.names) - set(self._names))
            self._stream.learn(flat(rows), len(rows))

    def _keep(self, x: Mapping[Hashable, Any]) -> None:
        """Keep a point for the warm start, and start when there are enough."""
        names = tuple(x) if self.features is None else tuple(self.features)
        values = array("d", bytes(8 * len(names)))
        found = _kernel.fill(x, names, values)
        if all(math.isnan(value) for value in values):
            self._n_empty += 1
            return
        self.n_unknown += len(x) - found
        self._buffer.append(dict(zip(names, values, strict=True)))
        if len(self._buffer) >= self.warm_up:
            self.warm_start()

    def warm_start(self, X: Any = None) -> OnlineGMM:
        """Fit the mixture by batch EM, and stream on from there.

        Parameters
        ----------
        X
            History, as a frame or an array with any number of rows, in place of the first points of
            the stream; points already kept are put before it. Without it the points kept so far
            are made to do.

        Returns
        -------
        OnlineGMM
            This model.

        Raises
        ------
        ValueError
            If there is no point to start from, or the model has started already.
        """
        if self._stream is not None:
            raise ValueError(
                "this model has started already; learn_many(X) goes on from where it is, "
                "clone().warm_start(X) starts afresh"
            )
        table = None if X is None else Table(X)
        names = self.features
        if names is None:
            seen = dict.fromkeys(name for row in self._buffer for name in row)
            seen.update(dict.fromkeys(() if table is None else table.names))
            names = _sorted(seen)
        rows = np.array([[row.get(name, math.nan) for name in names] for row in self._buffer])
        rows = rows.reshape(len(self._buffer), len(names))
        if table is not None:
            rows = np.vstack([rows, table.select(tuple(names))])
            self.n_unknown += len(table) * len(set(table.names) - set(names))
        empty = np.isnan(rows).all(axis=1)
        rows = rows[~empty]
        if not len(rows):
            raise ValueError("a warm start needs at least one point with a value")
        if self.order_by is not None and self.order_by not in names:
            raise ValueError(
                f"order_by is {self.order_by!r}, which is not among the features "
                f"{', '.join(map(repr, names))}"
            )
        self._n_empty += int(empty.sum())
        self._begin(rows, tuple(names))
        return self

    def _begin(self, rows: NDArray[np.float64], names: tuple[Hashable, ...]) -> None:
        start = warm_start(
            rows,
            self.n_components,
            names,
            self.covariance_type,
            self.prior,
            self.n_starts,
            self.order_by,
            self.seed,
        )
        self.start = start
        self._names = names
        self._buffer = []
        gated = self.gate > 0.0 and start.prior.scale_known
        gates = chi2.isf(self.gate, np.arange(1, len(names) + 1)) if gated else np.inf
        self._stream = _kernel.Stream(
            self._statistics(start, rows),
            self._statistics(start, rows),
            self.average,
            AVERAGE_EVERY,
            float(len(rows)),
            1.0,
            (self.step_size or PowerDecay()).exponent,
            0.0,
            flat(np.concatenate([[np.inf], np.broadcast_to(gates, len(names))])),
        )

    def _statistics(self, start: WarmStart, rows: NDArray[np.float64]) -> _kernel.Components:
        """The statistics behind the warm start."""
        components = to_kernel(
            start.mixture, self.covariance_type, self.prior, start.prior.variances, points=0.0
        )
        components.clear()
        components.accumulate(flat(rows), len(rows))
        components.maximise()
        return components

    # -- answers --------------------------------------------------------------------------------

    def predict_one(self, x: Mapping[Hashable, Any]) -> int:
        """The label of a point: the number of its most probable component.

        Changes nothing. 0 before the warm start is complete.
        """
        stream = self._stream
        if stream is None:
            return 0
        label: int = stream.label_one(x, self._names)
        return label

    def predict_proba_one(self, x: Mapping[Hashable, Any]) -> dict[int, float]:
        """The responsibility of every component for a point; they sum to 1.

        Equal for all before the warm start is complete.
        """
        stream = self._stream
        if stream is None:
            return dict.fromkeys(range(self.n_components), 1.0 / self.n_components)
        return dict(enumerate(stream.probabilities_one(x, self._names)))

    def score_one(self, x: Mapping[Hashable, Any]) -> float:
        """The log density of a point under the mixture, in nats.

        That of the features observed, if some are missing. NaN before the warm start is complete.
        """
        stream = self._stream
        if stream is None:
            return math.nan
        return stream.log_density_one(x, self._names)

    def assign_one(self, x: Mapping[Hashable, Any]) -> Assignment:
        """Label, probability, log density and outlier flag of a point, from one E-step."""
        stream = self._stream
        if stream is None:
            return Assignment(0, 1.0 / self.n_components, math.nan, False)
        return Assignment(*stream.assign_one(x, self._names))

    def predict_many(self, X: Any) -> Any:
        """Labels of rows: a series like the frame that came in, or an array of shape (n,)."""
        table = Table(X)
        return table.series(self._posterior(table)[0].argmax(axis=1), "label")

    def predict_proba_many(self, X: Any) -> Any:
        """Responsibilities of rows: a frame like the one that came in, or an (n, K) array."""
        table = Table(X)
        return table.frame(dict(enumerate(self._posterior(table)[0].T)))

    def score_many(self, X: Any) -> Any:
        """Log densities of rows, in nats: a series, or an array of shape (n,)."""
        table = Table(X)
        return table.series(self._posterior(table)[1], "log_density")

    def _posterior(self, table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self._stream is None:
            n = len(table)
            return np.full((n, self.n_components), 1.0 / self.n_components), np.full(n, np.nan)
        rows = table.select(self._names)
        responsibilities, log_density, _ = posterior(self._stream.components, rows)
        return responsibilities, log_density

    # -- what has been learnt -------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether the warm start is complete."""
        return self._stream is not None

    @property
    def n_points(self) -> int:
        if self._stream is None or self.start is None:
            return len(self._buffer)
        return self.start.n_points + self._stream.n_steps

    @property
    def n_outliers(self) -> int:
        return 0 if self._stream is None else self._stream.outliers

    @property
    def n_empty(self) -> int:
        return self._n_empty + (0 if self._stream is None else self._stream.empty)

    @property
    def mixture(self) -> GaussianMixture:
        """The mixture as learnt so far, an immutable value. O(K D^3).

        Raises
        ------
        ValueError
            Before the warm start is complete.
        """
        if self._stream is None:
            raise ValueError(
                f"nothing is learnt yet: {len(self._buffer)} of {self.warm_up} warm-up points have "
                "come; warm_start() starts with those"
            )
        return from_kernel(self._stream.components, self._names)

    @property
    def centers(self) -> dict[int, dict[Hashable, float]]:
        """The means by label and feature, as river's Silhouette reads them."""
        if self._stream is None:
            return {}
        return {
            label: dict(zip(self._names, mean, strict=True))
            for label, mean in enumerate(self.mixture.means.tolist())
        }


def _sorted(names: dict[Hashable, None]) -> tuple[Hashable, ...]:
    """Feature names in an order that does not depend on that of the mappings they came in."""
    return tuple(sorted(names, key=lambda name: (type(name).__name__, name)))
