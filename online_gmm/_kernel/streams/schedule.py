"""The step size schedule: how large a step the next point is worth."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import exp
    from cython.cimports.online_gmm._kernel.vectors import exp_each, log_each
else:
    from math import exp

    from online_gmm._kernel.vectors import exp_each, log_each
from online_gmm._kernel.values import flag, real, zeros


@cython.final
@cython.cclass
class StepSchedule:
    """Step sizes: ``max(scale * n^-exponent, floor)``, or those of a half-life.

    The settings are (scale, exponent, floor, half-life, timed, follows). The half-life is in
    seconds if ``timed``, else in points; 0 means a power of the number of points. ``follows`` says
    whether steps never vanish.

    Powers of the number of points are at most ``ceiling``, or 2 / n if that is more.
    """

    scale: cython.double
    exponent: cython.double
    floor: cython.double
    half_life: cython.double
    timed: cython.bint
    follows: cython.bint
    mass: cython.double  # weight of all points so far, for a half-life
    last: cython.double  # time of the last point, -inf before
    ceiling: cython.double
    steps: cython.double[16]  # step sizes of point ``first`` and those that follow
    first: cython.Py_ssize_t

    def __init__(self, settings: Any, mass: float, last: float) -> None:
        self.scale, self.exponent, self.floor, self.half_life, self.timed, self.follows = settings
        self.mass = mass
        self.last = last
        self.ceiling = 1.0
        self.first = -16
        if not cython.compiled:
            self.steps = zeros(16)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def step_size(self, n: cython.Py_ssize_t, time: cython.double) -> cython.double:
        """Return the step size of point n, which becomes the last point."""
        g: cython.double
        if self.half_life > 0.0:
            g = (time - self.last if self.timed else 1.0) / self.half_life
            # g is infinite after a warm start without times, negative for a late point
            if 0.0 < g < 1e308:
                self.mass *= exp(-0.6931471805599453 * g)
            self.mass += 1.0
            g = 1.0 / self.mass
        else:
            if not (0 <= n - self.first < 16):
                self.look_ahead(n)
            g = self.steps[n - self.first]
        if time > self.last:
            self.last = time
        return g

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def look_ahead(self, n: cython.Py_ssize_t) -> cython.int:
        """Compute the step sizes of point n and those that follow, all at once."""
        i: cython.Py_ssize_t
        most: cython.double
        self.first = n
        for i in range(16):
            self.steps[i] = n + i
        log_each(self.steps, 16)
        for i in range(16):
            self.steps[i] *= -self.exponent
        exp_each(self.steps, 16)
        for i in range(16):
            self.steps[i] *= self.scale
        # they fall, so that the first one is the largest
        if self.steps[0] > self.ceiling:
            for i in range(16):
                most = 2.0
                most /= n + i
                most = most if most > self.ceiling else self.ceiling
                self.steps[i] = self.steps[i] if self.steps[i] < most else most
        for i in range(16):
            self.steps[i] = self.steps[i] if self.steps[i] > self.floor else self.floor
        return 0

    @cython.cfunc
    def limit(self, ceiling: cython.double) -> cython.int:
        """Set the ceiling."""
        self.ceiling = ceiling
        self.first = -16
        return 0

    def state(self) -> tuple[Any, float, float, float]:
        settings = (
            float(self.scale),
            float(self.exponent),
            float(self.floor),
            float(self.half_life),
            bool(self.timed),
            bool(self.follows),
        )
        return settings, float(self.mass), float(self.last), float(self.ceiling)


def schedule_from_state(state: Any) -> StepSchedule:
    # up to version 2 of the format, and early in version 3, there was no ceiling
    (scale, exponent, floor, half_life, timed, follows), mass, last, *ceiling = state
    settings = (
        real(scale, "scale", 0.0, 1.0),
        real(exponent, "exponent", 0.0, 1.0),
        real(floor, "floor", 0.0, 1.0),
        real(half_life, "half_life"),
        flag(timed, "timed"),
        flag(follows, "follows"),
    )
    result = StepSchedule(settings, real(mass, "mass"), real(last, "last", float("-inf")))
    if ceiling:
        result.limit(real(ceiling[0], "ceiling", 0.0, 1.0))
    return result
