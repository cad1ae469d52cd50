"""The pace of learning: how large a step the next point is worth."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

from online_gmm._kernel.points import flag, real

if cython.compiled:
    from cython.cimports.libc.math import exp, pow
else:
    from math import exp, pow


@cython.final
@cython.cclass
class Pace:
    """Step sizes scale n^-exponent but at least a floor, or those of a half-life.

    The schedule is (scale, exponent, floor, half-life, whether that is of time, whether steps never
    end); the half-life is 0 for a power of the number of points.
    """

    scale: cython.double
    exponent: cython.double
    floor: cython.double
    half_life: cython.double
    timed: cython.bint
    follows: cython.bint
    mass: cython.double  # weight of all that is known, for a half-life
    last: cython.double  # time of the last point, -inf before

    def __init__(self, schedule: Any, mass: float, last: float) -> None:
        self.scale, self.exponent, self.floor, self.half_life, self.timed, self.follows = schedule
        self.mass = mass
        self.last = last

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def step_size(self, n: cython.Py_ssize_t, time: cython.double) -> cython.double:
        """Of point n, which becomes the last."""
        g: cython.double
        if self.half_life > 0.0:
            g = (time - self.last if self.timed else 1.0) / self.half_life
            # not after a warm start without times, nor for a point that comes late
            if 0.0 < g < 1e308:
                self.mass *= exp(-0.6931471805599453 * g)
            self.mass += 1.0
            g = 1.0 / self.mass
        else:
            g = self.scale * pow(n, -self.exponent)
            if g < self.floor:
                g = self.floor
        if time > self.last:
            self.last = time
        return g

    def state(self) -> tuple[Any, float, float]:
        schedule = (
            float(self.scale),
            float(self.exponent),
            float(self.floor),
            float(self.half_life),
            bool(self.timed),
            bool(self.follows),
        )
        return schedule, float(self.mass), float(self.last)


def pace_from_state(state: Any) -> Pace:
    (scale, exponent, floor, half_life, timed, follows), mass, last = state
    schedule = (
        real(scale, "scale", 0.0, 1.0),
        real(exponent, "exponent", 0.0, 1.0),
        real(floor, "floor", 0.0, 1.0),
        real(half_life, "half_life"),
        flag(timed, "timed"),
        flag(follows, "follows"),
    )
    return Pace(schedule, real(mass, "mass"), real(last, "last", float("-inf")))
