"""EM steps on the same points, which can be left at any point and gone on with."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

if cython.compiled:
    from cython.cimports.online_gmm._kernel.gaussian.components import Components
    from cython.cimports.online_gmm._kernel.gaussian.rows import Rows
    from cython.cimports.online_gmm._kernel.memory import first
else:
    from online_gmm._kernel.gaussian.components import Components
    from online_gmm._kernel.gaussian.rows import Rows
    from online_gmm._kernel.memory import first


@cython.final
@cython.no_gc
@cython.cclass
class Climb:
    """EM from the parameters of some components, which follow it.

    After a climb the points are left accumulated under the last parameters, so that the log
    likelihood is that of these.
    """

    components: Components
    rows: Rows
    begun: cython.bint  # whether the points have been accumulated under the present parameters
    total: cython.double  # of the log densities under the present parameters
    so_far: cython.double  # the same of the points of a pass that has begun
    at: cython.Py_ssize_t  # the next point of the pass
    left: cython.Py_ssize_t  # steps
    least: cython.double

    def __init__(self, components: Components, begun: bool = False, total: float = 0.0) -> None:
        """Begin with components; ``total`` is the sum of log densities if a climb has ``begun``."""
        shape: tuple[int, int, int] = components.shape
        self.components = components
        self.rows = Rows(shape[0], shape[1])
        self.begun = begun
        self.total = total
        self.so_far = 0.0
        self.at = 0
        self.left = 0
        self.least = 0.0

    def plan(self, steps: int, least: float) -> None:
        """Make so many steps next, or fewer if one gains less than ``least`` nats."""
        self.left = steps
        self.least = least

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def go(
        self,
        x: cython.p_double,
        n: cython.Py_ssize_t,
        size: cython.Py_ssize_t,
        cost: cython.double,
        room: cython.double,
    ) -> cython.double:
        """Go on with n points, at most ``size`` at a time; return the work done, ``cost`` a point.

        The climb is left when the work fills the room.
        """
        end: cython.Py_ssize_t
        gain: cython.double
        work: cython.double = 0.0
        while self.left > 0 or not self.begun:
            end = self.at + size if self.at + size < n else n
            if self.at == 0:
                if self.begun:
                    self.components.m_step()
                self.components.empty()
                self.so_far = 0.0
            self.so_far += self.components.e_step_rows(x, self.at, end, self.rows, True, 0, x, x, x)
            work += (end - self.at) * cost
            self.at = end
            if end == n:
                self.at = 0
                gain = self.so_far - self.total
                self.total = self.so_far
                if self.begun:
                    self.left -= 1
                    if -self.least < gain < self.least:
                        self.left = 0
                self.begun = True
                if not (self.components.points > 0.0):
                    self.left = 0
            if work >= room:
                break
        return work

    @property
    def log_likelihood(self) -> float:
        """The sum of the log densities under the present parameters, in nats."""
        return self.total

    @property
    def mean_log_likelihood(self) -> float:
        """The log-likelihood of a point, in nats."""
        return self.total / (self.components.points if self.components.points > 1.0 else 1.0)

    @property
    def penalised(self) -> float:
        """The same plus the log prior density over the points; EM never lowers it."""
        log_prior: cython.double = self.components.log_prior()
        return self.mean_log_likelihood + log_prior / (
            self.components.points if self.components.points > 1.0 else 1.0
        )


def go_on(
    climbs: list[Any],
    x: cython.double[::1],
    n: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    cost: cython.double,
    room: cython.double,
) -> tuple[float, bool]:
    """Go on with climbs on n points, one after the other, until the work fills the room.

    At most ``size`` points are taken at a time; a point is so much work as ``cost``. Returns the
    work done, and whether the climbs have come to their ends.
    """
    climb: Climb
    values: cython.p_double = first(x)
    work: cython.double = 0.0
    for climb in climbs:
        with cython.nogil:
            work += climb.go(values, n, size, cost, room - work)
        if climb.left > 0 or not climb.begun:
            return work, False
        if work >= room:
            return work, climb is climbs[len(climbs) - 1]
    return work, True
