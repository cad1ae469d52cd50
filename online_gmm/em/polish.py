"""EM steps on a few points, shifted by what is known of all.

The points that a stream keeps are few, so batch EM on them comes to rest at their fixed point, not
at that of all points. But the EM map M of statistics differs little in its slope between the two:
near a place s0 where the map of all points is known,

    M_all(s)  ~  M_few(s) + shift,    shift = M_all(s0) - M_few(s0),

and steps of the right side come to rest where those of the left side would. A stream knows M_all at
its average, as what it reports; one pass over the data tells it at any other place.
"""

from __future__ import annotations

import math
from array import array

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.frames import column_means, flat, view
from online_gmm.em.slices import ROWS, SLICE, Meter, Sliced, finish, pass_cost

STEPS = 10
"""Shifted steps; the slopes are not alike enough for many more."""

AT_REST = 0.05
"""A step so much shorter than the first is the last one, where steps are made as points come."""

Vector = NDArray[np.float64]


class EMMap:
    """The EM map of sufficient statistics, as raw moments about an origin: those add.

    Parameters
    ----------
    components
        Any of the mixture, for its sizes and its prior; it is used up.
    origin
        Shape (D,), somewhere in the data.
    n_points
        Behind the statistics; the prior is weighed against them.
    """

    def __init__(
        self, components: _kernel.Components, origin: NDArray[np.float64], n_points: int
    ) -> None:
        self._components = components
        self._origin = view(origin)
        self._n = float(n_points)
        k, d, kind = components.shape
        self._shape = (k, d, d) if kind in (_kernel.FULL, _kernel.TIED) else (k, d)
        self._size = k * (1 + d) + math.prod(self._shape)

    def raw(self, components: _kernel.Components) -> Vector:
        """N, N m and N (S + m m'), with the means m seen from the origin."""
        moments = np.empty(self._size)
        components.raw_moments(self._origin, view(moments))
        return moments

    def load(self, s: Vector) -> _kernel.Components | None:
        """Components with these statistics; None if no data can have them."""
        k, d = self._shape[:2]
        center = array("d", bytes(8 * k * d))
        scatter = array("d", bytes(8 * math.prod(self._shape)))
        dense = len(self._shape) == 3
        # moments of readings near the largest doubles may be beyond them
        told = _kernel.central_moments(view(s), self._origin, k, dense, center, scatter)
        if told == _kernel.IMPOSSIBLE:
            return None
        if told == _kernel.UNSURE:
            least = np.linalg.eigvalsh(np.frombuffer(scatter).reshape(self._shape))
            if not least.min() >= 0.0:
                return None
        weight = s[:k]
        self._components.load(flat(weight / np.add.reduce(weight)), center, scatter, self._n)
        return self._components

    def __call__(self, s: Vector, rows: NDArray[np.float64]) -> Vector | None:
        """Mean statistics of the rows under the parameters of s."""
        return finish(self.mapping(s, rows, Meter()))

    def mapping(self, s: Vector, rows: NDArray[np.float64], meter: Meter) -> Sliced[Vector | None]:
        """Do the same in slices."""
        components = self.load(s)
        if components is None:
            return None
        components.clear()
        k, d = self._shape[:2]
        cost = pass_cost(1, k, d, len(self._shape) == 3)
        size = max(int(SLICE // cost), ROWS)
        for at in range(0, len(rows), size):
            part = rows[at : at + size]
            components.accumulate(view(part), len(part))
            if meter.is_full(len(part) * cost):
                yield
        return self.raw(components)

    def steps(self, s: Vector, rows: NDArray[np.float64], shift: Vector) -> Vector:
        """Shifted steps from s on, as long as they lead to statistics that data can have."""
        return finish(self.stepping(s, rows, shift, 0.0, Meter()))

    def stepping(
        self, s: Vector, rows: NDArray[np.float64], shift: Vector, least: float, meter: Meter
    ) -> Sliced[Vector]:
        """Do the same in slices, until a step is less than so much of the first."""
        first, last = 0.0, s
        for _ in range(STEPS):
            image = yield from self.mapping(s, rows, meter)
            if image is None:
                return last
            last, s = s, image + shift
            step = float(np.abs(s - last).max())
            first = first or step
            # a single component is at rest after one step
            if step <= least * first:
                break
            yield
        return last if self.load(s) is None else s


def polish(
    average: _kernel.Components,
    reported: _kernel.Components,
    few: NDArray[np.float64],
    n_points: int,
    every: NDArray[np.float64] | None = None,
) -> None:
    """Bring the reported statistics to rest.

    Parameters
    ----------
    average, reported
        Of a stream: where it has been, and what the points said there. The polished statistics are
        left in ``reported``.
    few
        Points kept, shape (n, D).
    n_points
        Learnt by the stream.
    every
        All points, for one exact EM step in between.

    Notes
    -----
    O(K D^2) for each of ten times the points kept, twice that and one pass with ``every``.
    """
    m = EMMap(_kernel.components_from_state(reported.state()), column_means(few), n_points)
    s = m.raw(reported)
    image = m(m.raw(average), few)
    if image is not None:
        s = m.steps(s, few, s - image)
    if every is not None:
        exact, image = m(s, every), m(s, few)
        if exact is not None and image is not None:
            s = m.steps(exact, few, exact - image)
    final = m.load(s)
    if final is not None:
        reported.set_statistics(final)


def correcting(
    m: EMMap, average: Vector, reported: Vector, few: NDArray[np.float64], meter: Meter
) -> Sliced[Vector | None]:
    """What `polish` adds to statistics, in slices; None if it is nothing.

    ``average`` and ``reported`` are raw moments about the origin of the map.
    """
    image = yield from m.mapping(average, few, meter)
    if image is None:
        return None
    polished = yield from m.stepping(reported, few, reported - image, AT_REST, meter)
    return polished - reported


def corrected(m: EMMap, reported: _kernel.Components, correction: Vector) -> bool:
    """Add a correction to statistics, if data can have the sum; return whether they can."""
    final = m.load(m.raw(reported) + correction)
    if final is not None:
        reported.set_statistics(final)
    return final is not None
