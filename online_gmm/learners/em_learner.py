"""What learners of online EM have in common: their start, their pace and their gates."""

from __future__ import annotations

import abc
import math
from numbers import Integral
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_gmm.data import state
from online_gmm.em.mixture import COVARIANCE_TYPES
from online_gmm.em.prior import Prior
from online_gmm.em.step_size import Constant, HalfLife, PowerDecay, StepSize
from online_gmm.em.warm_start import WarmStart, start_from_state
from online_gmm.learners.base import Learner

AVERAGE_EVERY = 16
"""Points between two iterates that enter the average."""
FEW = 0.1
"""Below this share outliers are left out when the points kept are fitted again."""


class EMLearner(Learner, abc.ABC):
    """Gaussian components that are started by batch EM and go on by steps."""

    n_components: int | Literal["auto"]
    max_components: int
    covariance_type: str
    step_size: StepSize | None
    average: bool | None
    prior: float
    gate: float
    capacity: int
    n_starts: int

    _start: bytes | None

    def _prepare(self, needs_time: bool = False) -> None:
        """Check the parameters above, and begin with nothing."""
        if self.n_components != "auto" and not (
            isinstance(self.n_components, Integral) and self.n_components >= 1
        ):
            raise ValueError(
                f"n_components is {self.n_components!r}; it must be at least 1 and whole, or 'auto'"
            )
        for name, value in (
            ("max_components", self.max_components),
            ("n_starts", self.n_starts),
            ("capacity", self.capacity + 1),
        ):
            if not value >= 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1")
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type is {self.covariance_type!r}; "
                f"it must be one of {', '.join(COVARIANCE_TYPES)}"
            )
        if not 0.0 <= self.prior < math.inf:
            raise ValueError(
                f"prior is {self.prior!r}; it must be a number of pseudo-points, 0 or more"
            )
        if not 0.0 <= self.gate < 1.0:
            raise ValueError(f"gate is {self.gate!r}; it must be a probability below 1")
        if not isinstance(self.step_size, StepSize | None):
            raise TypeError(
                f"step_size is {self.step_size!r}; a PowerDecay, Constant or HalfLife is expected"
            )
        self._start = None
        needs_time |= isinstance(self.step_size, HalfLife) and self.step_size.seconds is not None
        super()._prepare(needs_time)

    @property
    def start(self) -> WarmStart | None:
        """The start that was chosen, None before."""
        if self._start is None:
            return None
        return start_from_state(msgspec.msgpack.decode(self._start), self._names)

    def _started_by(self, start: WarmStart) -> None:
        # as bytes it takes a tenth of the memory, and it is seldom asked for
        self._start = msgspec.msgpack.encode(start.state())

    @property
    def _k(self) -> int:
        """K, and 1 as long as it is to be chosen."""
        if self.n_components != "auto":
            return self.n_components
        start = self.start
        return 1 if start is None else start.mixture.n_components

    @property
    def _follows(self) -> bool:
        return self.step_size is not None and self.step_size.follows

    @property
    def _keeps_points(self) -> bool:
        return self.capacity > 1 and not self._follows

    @property
    def _averages(self) -> bool:
        if self.average is not None:
            return self.average
        step_size = self.step_size or PowerDecay()
        return not (step_size.follows or step_size.weighs_alike)

    @property
    def _schedule(self) -> tuple[float, float, float, float, bool, bool]:
        """As `_kernel.Pace` takes it."""
        step_size = self.step_size or PowerDecay()
        if isinstance(step_size, PowerDecay):
            return 1.0, step_size.exponent, step_size.floor, 0.0, False, step_size.follows
        if isinstance(step_size, Constant):
            return step_size.step, 0.0, 0.0, 0.0, False, True
        assert isinstance(step_size, HalfLife)
        timed = step_size.seconds is not None
        return 0.0, 0.0, 0.0, step_size.seconds or step_size.points or 0.0, timed, True

    def _state(self) -> dict[str, Any]:
        start = self._start
        return {**super()._state(), "start": None if start is None else msgspec.Raw(start)}

    def _restore(self, its: dict[str, Any]) -> None:
        if (its["start"] is None) != (its["stream"] is None):
            raise ValueError("there is a warm start without a stream, or a stream without one")
        if its["start"] is not None:
            start = start_from_state(its["start"], state.names_of(its["names"]))
            self._started_by(start)
            if self.n_components not in ("auto", start.mixture.n_components):
                raise ValueError("the warm start has not n_components components")
        super()._restore(its)

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of the components: K, D and their kind."""
        return self._k, len(self._names), COVARIANCE_TYPES[self.covariance_type]

    def _gates(self, prior: Prior, n_features: int) -> NDArray[np.float64]:
        """Squared distance of an outlier, by the number of features observed."""
        if self.gate > 0.0 and prior.scale_known:
            return distances_beyond(self.gate, n_features)
        return np.full(n_features + 1, np.inf)

    def _outlying(
        self, distance: NDArray[np.float64], rows: NDArray[np.float64], prior: Prior
    ) -> NDArray[np.bool_]:
        """Which rows lie beyond the gate, by their squared distances."""
        return beyond(self._gates(prior, rows.shape[1]), distance, rows)


def distances_beyond(probability: float, n_features: int) -> NDArray[np.float64]:
    """Squared distances beyond which so few points lie, by the number of features observed."""
    # takes longer to import than this package
    from scipy.special import chdtri

    degrees = np.arange(1.0, n_features + 1)
    return np.concatenate([[np.inf], np.asarray(chdtri(degrees, probability), dtype=np.float64)])


def beyond(
    gates: NDArray[np.float64], distance: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which rows lie beyond the gate of as many features as they have."""
    result: NDArray[np.bool_] = distance > gates[np.count_nonzero(~np.isnan(rows), axis=1)]
    return result
