"""Batch EM: the stream's statistics, with the parameters frozen for a pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import view
from online_gmm.em.mixture import MixtureParameters, from_kernel, is_dense, posterior, to_kernel
from online_gmm.em.prior import Prior
from online_gmm.em.slices import ROWS, SLICE, Meter, Sliced, finish, going_on, pass_cost


class BatchEM:
    """Make EM steps from chunks of rows, in any order, in O(K D^2) memory.

    ``accumulate`` adds the statistics of rows under frozen parameters (E-step). ``maximise`` makes
    the M-step and begins a new pass (Dempster, Laird & Rubin 1977). Apart from rounding the result
    does not depend on the order of rows, on chunks, or on how shards are merged.

    Parameters
    ----------
    start : MixtureParameters
        The parameters of the first E-step.
    prior : Prior
        The prior of every M-step.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        The shape of covariances: a matrix for each component, one matrix for all, a variance for
        each feature, or one variance for each component.

    Attributes
    ----------
    mixture : MixtureParameters
        The parameters in use: the start's, or those of the last M-step.
    n_points : int
        Rows with a value that have been accumulated in this pass.

    Examples
    --------
    >>> import numpy as np
    >>> from online_gmm import MixtureParameters
    >>> from online_gmm.em.batch import BatchEM
    >>> from online_gmm.em.prior import Prior
    >>> X = np.array([[-1.1], [-0.9], [0.9], [1.1]])
    >>> start = MixtureParameters([0.5, 0.5], [[-0.5], [0.5]], [[[0.1]], [[0.1]]])
    >>> em = BatchEM(start, Prior.of(X, n_components=2, strength=0.0))
    >>> em.accumulate(X[:3])
    >>> em.accumulate(X[3:])
    >>> before = em.maximise()
    >>> em.mixture.means.round(3).ravel()
    array([-1.,  1.])
    """

    _mixture: MixtureParameters | None

    def __init__(
        self, start: MixtureParameters, prior: Prior, covariance_type: str = "full"
    ) -> None:
        components = to_kernel(
            start, covariance_type, prior.strength, prior.covariance, 0.0, prior.floors
        )
        self._begin(components, prior, covariance_type, start.features)
        self._mixture = start

    @classmethod
    def of(
        cls,
        components: _kernel.Components,
        prior: Prior,
        covariance_type: str,
        features: tuple[Hashable, ...],
    ) -> BatchEM:
        """Begin with the parameters of these components, which are changed."""
        result = cls.__new__(cls)
        result._begin(components, prior, covariance_type, features)
        return result

    def _begin(
        self,
        components: _kernel.Components,
        prior: Prior,
        covariance_type: str,
        features: tuple[Hashable, ...],
    ) -> None:
        self.prior = prior
        self.covariance_type = covariance_type
        self._mixture = None
        self._features = features
        self._components = components
        self._clear()

    @property
    def mixture(self) -> MixtureParameters:
        if self._mixture is None:
            self._mixture = from_kernel(self._components, self._features)
        return self._mixture

    def _clear(self) -> None:
        self._components.clear()
        self._log_likelihood = 0.0

    @property
    def n_points(self) -> int:
        return int(self._components.points_behind)

    def accumulate(self, X: NDArray[np.float64]) -> None:
        """Add rows, shape (n, D), NaN for missing values. O(n K D^2)."""
        self._log_likelihood += self._components.accumulate(view(X), len(X))

    def merge(self, other: BatchEM) -> None:
        """Add what another has accumulated under the same parameters (Chan et al. 1982)."""
        self._components.merge(other._components)
        self._log_likelihood += other._log_likelihood

    def statistics(self) -> bytes:
        """Return what has been accumulated, with the parameters, for another process.

        `take` does not check these bytes, so read only your own. For files use `to_bytes` of a
        learner.
        """
        return msgspec.msgpack.encode([self._components.state(), self._log_likelihood])

    def components(self) -> _kernel.Components:
        """Return a copy of the statistics accumulated, with the parameters of their M-step."""
        return self._components.beside()

    def take(self, statistics: bytes) -> None:
        """Replace statistics and parameters by what `statistics` has written."""
        state, self._log_likelihood = msgspec.msgpack.decode(statistics)
        self._components = _kernel.components_from_state(state)
        self._mixture = None

    @property
    def log_likelihood(self) -> float:
        """Mean log-likelihood of the rows accumulated, under the parameters in use; nats a row."""
        return self._log_likelihood / max(self.n_points, 1)

    @property
    def penalised(self) -> float:
        """The mean log-likelihood plus the log prior density; EM never lowers it."""
        log_prior: float = self._components.log_prior()
        return self.log_likelihood + log_prior / max(self.n_points, 1)

    def responsibilities(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Responsibilities of the components for rows under the parameters in use, shape (n, K)."""
        return posterior(self._components, X)[0]

    def maximise(self) -> None:
        """M-step: the parameters that the rows accumulated ask for. Begins a new pass."""
        if self.n_points:
            self._components.update_parameters()
            self._mixture = None
        self._clear()

    def climb(self, X: NDArray[np.float64], max_iter: int, min_gain: float) -> None:
        """EM steps on the same rows until one gains less than so many nats a row.

        What was accumulated before is dropped. A pass over the rows is left accumulated, so that
        ``penalised`` is that of the last parameters.
        """
        finish(self.climbing(X, max_iter, min_gain, Meter()))

    def climbing(
        self,
        X: NDArray[np.float64],
        max_iter: int,
        min_gain: float,
        meter: Meter,
        begun: bool = False,
    ) -> Sliced[None]:
        """Do the same in slices; ``begun`` says that the rows are accumulated already."""
        k, d, _ = self._components.shape
        climb = _kernel.Climb(self._components, begun, self._log_likelihood)
        climb.plan(max_iter, min_gain * len(X))
        dense = is_dense(self.covariance_type)
        yield from going_on([climb], view(X), len(X), k, d, dense, meter)
        self._log_likelihood = climb.log_likelihood
        self._mixture = None

    def accumulating(self, X: NDArray[np.float64], meter: Meter) -> Sliced[None]:
        """Do the same as `accumulate`, in slices."""
        k, d, _ = self._components.shape
        cost = pass_cost(1, k, d, is_dense(self.covariance_type))
        size = max(int(SLICE // cost), ROWS)
        for at in range(0, len(X), size):
            part = X[at : at + size]
            self.accumulate(part)
            if meter.is_full(len(part) * cost):
                yield


def rest_of_climb(last: float, now: float, left: float) -> float:
    """Guess what a climb will still gain, at most.

    EM converges linearly: the gains of equal numbers of steps fall as a geometric series, whose
    rest is counted twice. Where they do not fall, they are taken to stay what they are.

    Parameters
    ----------
    last, now
        The gains of the last steps but some, and of the last steps; NaN if there are none.
    left
        How many times as many steps may still be made.
    """
    if 0.0 < now < last:
        left = min(left, 2.0 * now / (last - now))
    return now * left


@dataclass(frozen=True, eq=False)
class BatchFit:
    """The result of batch EM.

    Parameters
    ----------
    mixture : MixtureParameters
        The parameters at the end.
    log_likelihood : float
        The mean log-likelihood of a row, in nats, without the prior.
    penalised : tuple of float
        The mean penalised log-likelihood before each M-step and at the end; it never falls.
    error : float
        The estimated relative distance of the parameters to the fixed point.
    converged : bool
        Whether ``error`` is below the tolerance.
    """

    mixture: MixtureParameters
    log_likelihood: float
    penalised: tuple[float, ...]
    error: float
    converged: bool

    @property
    def n_iter(self) -> int:
        return len(self.penalised) - 1


def fit(
    X: NDArray[np.float64],
    start: MixtureParameters,
    prior: Prior,
    covariance_type: str = "full",
    tol: float = 1e-8,
    max_iter: int = 10_000,
) -> BatchFit:
    """Run EM until the parameters are within a relative distance ``tol`` of the fixed point.

    EM converges linearly: if a step is ``rate`` times as long as the one before, the remaining
    distance is about ``step * rate / (1 - rate)``. EM stops when this estimate is below ``tol``.

    Parameters
    ----------
    X : array of shape (n, D)
        Rows, NaN for missing values.
    start : MixtureParameters
        The parameters of the first E-step.
    prior : Prior
        The prior of every M-step.
    covariance_type : {"full", "tied", "diag", "spherical"}, default "full"
        The shape of covariances: a matrix for each component, one matrix for all, a variance for
        each feature, or one variance for each component.
    tol : float, default 1e-8
        The tolerance, relative as in `MixtureParameters.error`.
    max_iter : int, default 10,000
        The largest number of M-steps. Each costs O(n K D^2).

    Returns
    -------
    BatchFit
    """
    em = BatchEM(start, prior, covariance_type)
    return come_to_rest(em, lambda: em.accumulate(X), tol, max_iter)


def come_to_rest(
    em: BatchEM, accumulate: Callable[[], None], tol: float, max_iter: int
) -> BatchFit:
    """Run EM as `fit` does, where ``accumulate`` adds all rows to ``em``, once a step.

    The statistics of the last pass stay in ``em``.
    """
    history: list[float] = []
    step = error = math.inf
    while True:
        accumulate()
        history.append(em.penalised)
        log_likelihood = em.log_likelihood
        if error < tol or len(history) > max_iter or not em.n_points:
            return BatchFit(em.mixture, log_likelihood, tuple(history), error, error < tol)
        before = em.mixture
        em.maximise()
        last, step = step, em.mixture.error(before)
        rate = step / last if 0.0 < last < math.inf else 0.5
        error = step * max(rate / (1.0 - rate), 1.0) if rate < 1.0 else math.inf
        if step == 0.0:
            error = 0.0
