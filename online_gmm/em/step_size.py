"""Step sizes gamma_t: how fast new points replace old ones.

With `PowerDecay` a learner converges on a stream that does not change. With the others it never
stops learning and follows a stream that changes; it then reports its last iterate, not an average.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass

from online_gmm.data import clock, state
from online_gmm.data.counted import must_be_real


@state.storable
@dataclass(frozen=True)
class PowerDecay:
    """Let steps decrease: gamma_t = (t + t0)^-exponent, with t0 the number of warm-start points.

    The warm start counts as points already learnt, so the first steps do not wipe it out (Cappe &
    Moulines 2009, section 3; Liang & Klein 2009). Every exponent in (0.5, 1] converges; averaging
    makes those below 1 statistically efficient.

    Parameters
    ----------
    exponent : float, default 0.7
        Above 0.5 and at most 1. 1 gives every point the same weight; smaller values forget the
        first points sooner.
    floor : float, default 0
        The smallest step size, from 0 to below 1. Above 0 the learner follows a stream that
        changes: gamma_t = max((t + t0)^-exponent, floor).

    Examples
    --------
    >>> from online_gmm import PowerDecay
    >>> round(PowerDecay(0.7)(1, 200), 5)
    0.02442
    >>> PowerDecay(0.7, floor=0.05)(1, 200)
    0.05
    """

    exponent: float = 0.7
    floor: float = 0.0

    def __post_init__(self) -> None:
        must_be_real(
            "exponent",
            self.exponent,
            "a number above 0.5 (or steps do not converge) and at most 1 (or they die out too "
            "soon)",
            lambda exponent: 0.5 < exponent <= 1.0,
        )
        must_be_real(
            "floor", self.floor, "a number from 0 to below 1", lambda floor: 0.0 <= floor < 1.0
        )

    @property
    def follows(self) -> bool:
        """Whether steps stay above 0, so that the learner follows drift."""
        return self.floor > 0.0

    @property
    def weighs_alike(self) -> bool:
        """Whether every point has the same weight, so that there is nothing to average."""
        return self.exponent == 1.0

    def __call__(self, t: int, t0: int) -> float:
        """Return the step size of the t-th point after a warm start of t0 points."""
        return max(math.pow(t + t0, -self.exponent), self.floor)


@state.storable
@dataclass(frozen=True)
class Constant:
    """Keep steps constant: each new point takes the fraction ``step`` of all weight.

    Parameters
    ----------
    step : float
        Between 0 and 1. Choose it so that regimes last either several times 1 / step points on
        average, or less than a tenth of that. In between, components follow the current regime
        instead of learning all of them.

    Examples
    --------
    >>> from online_gmm import Constant
    >>> Constant(0.01)(1, 200)
    0.01
    """

    step: float

    def __post_init__(self) -> None:
        must_be_real("step", self.step, "a number between 0 and 1", lambda step: 0.0 < step < 1.0)

    @property
    def follows(self) -> bool:
        """Whether steps stay above 0, so that the learner follows drift."""
        return True

    @property
    def weighs_alike(self) -> bool:
        """Whether every point has the same weight, so that there is nothing to average."""
        return False

    def __call__(self, t: int, t0: int) -> float:
        """Return the step size of the t-th point after a warm start of t0 points."""
        return self.step


@state.storable
@dataclass(frozen=True, init=False)
class HalfLife:
    """Halve the weight of old points after so many points, or seconds.

    A point changes the total weight W, which is t0 at first, to W 2^(-elapsed / half-life) + 1, and
    its step is 1 / W. This is an exponentially weighted mean. It is exact for points at any
    distance in time, equal times included. At the beginning the step is about 1 / t.

    Parameters
    ----------
    points : float, optional
        Half-life in points. The step tends to 1 - 2^(-1 / points). Choose several times the dwell
        of a regime.
    seconds : float, str or timedelta, optional
        Half-life as a number of seconds or a time ("30s", "1h", a timedelta); every point then
        needs a time. Give one of the two.

    Examples
    --------
    >>> from online_gmm import HalfLife
    >>> round(HalfLife(points=1000)(100_000, 200), 6)
    0.000693
    >>> HalfLife(seconds="1h30min")
    HalfLife(points=None, seconds=5400.0)
    """

    points: float | None
    seconds: float | None

    def __init__(
        self,
        points: float | None = None,
        seconds: float | str | datetime.timedelta | None = None,
    ) -> None:
        if isinstance(points, clock.DURATION):
            raise ValueError(
                f"a half-life in points is {points!r}; give a time as seconds={points!r}"
            )
        if isinstance(seconds, clock.DURATION):
            seconds = clock.duration(seconds, "a half-life")
        given = {"points": points, "seconds": seconds}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise ValueError("HalfLife takes points or seconds, one of the two")
        for name, value in given.items():
            must_be_real(
                f"a half-life in {name}",
                value,
                "a number above 0",
                lambda its: 0.0 < its < math.inf,
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "seconds", seconds)

    @property
    def follows(self) -> bool:
        """Whether steps stay above 0, so that the learner follows drift."""
        return True

    @property
    def weighs_alike(self) -> bool:
        """Whether every point has the same weight, so that there is nothing to average."""
        return False

    def __call__(self, t: int, t0: int) -> float:
        """Return the step size of the t-th point, a second after the last, for t0 points before."""
        keep = math.pow(2.0, -1.0 / (self.points or self.seconds or 1.0))
        faded = math.pow(keep, t)
        return 1.0 / (t0 * faded + (1.0 - faded) / (1.0 - keep))


StepSize = PowerDecay | Constant | HalfLife
