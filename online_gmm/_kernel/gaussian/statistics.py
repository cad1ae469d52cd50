"""Sufficient statistics of K Gaussian components, centred and normalised.

Each component has a weight N, a mean mu and a scatter S (Cappe & Moulines 2009, in the form of West
1979). Arrays hold all components in row order.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

if cython.compiled:
    from cython.cimports.libc.math import sqrt
    from cython.cimports.online_gmm._kernel.memory import (
        Memory,
        copy,
        first,
        packed,
        rearrange,
        unpack,
    )
else:
    from math import sqrt

    from online_gmm._kernel.memory import Memory, copy, first, packed, rearrange, unpack
from online_gmm._kernel.values import block, real, whole

FULL = 0
TIED = 1
DIAG = 2
SPHERICAL = 3

IMPOSSIBLE = 0
UNSURE = 1
SURE = 2
"""Whether data can have some statistics."""


@cython.no_gc
@cython.cclass
class Statistics(Memory):
    """Weights, means and scatters of components, and the number of points behind them."""

    n_components: cython.Py_ssize_t
    n_features: cython.Py_ssize_t
    size: cython.Py_ssize_t  # of one component's scatter: D * D, or D
    kind: cython.Py_ssize_t
    dense: cython.bint
    points: cython.double
    weight: cython.p_double  # N
    center: cython.p_double  # mu
    scatter: cython.p_double  # S; of a matrix the lower half

    def __init__(self, n_components: int, n_features: int, kind: int, more: int = 0) -> None:
        """Allocate the statistics, and ``more`` doubles for what a subclass keeps of them."""
        self.n_components = n_components
        self.n_features = n_features
        self.kind = kind
        self.dense = kind == FULL or kind == TIED
        self.size = n_features * n_features if self.dense else n_features
        self.points = 0.0
        Memory.__init__(self, n_components * (1 + n_features + self.size) + more)
        self.weight = self.piece(n_components)
        self.center = self.piece(n_components * n_features)
        self.scatter = self.piece(n_components * self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of components, number of features, and kind of covariance."""
        return self.n_components, self.n_features, self.kind

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def mix(self, other: Statistics, step: cython.double) -> cython.int:
        """Become (1 - step) * self + step * other (Chan et al. 1982); points are not mixed."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        base: cython.Py_ssize_t
        row: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        n_new: cython.double
        rho: cython.double
        keep: cython.double
        cross: cython.double
        value: cython.double
        for k in range(self.n_components):
            value = step * other.weight[k]
            n_new = (1.0 - step) * self.weight[k] + value
            self.weight[k] = n_new
            if not (value > 0.0):
                continue
            rho = value / n_new
            keep = 1.0 - rho
            cross = rho * keep
            base = k * d
            if self.dense:
                for i in range(d):
                    row = k * self.size + i * d
                    value = cross * (other.center[base + i] - self.center[base + i])
                    for j in range(i + 1):
                        self.scatter[row + j] = (
                            keep * self.scatter[row + j] + rho * other.scatter[row + j]
                        ) + value * (other.center[base + j] - self.center[base + j])
            else:
                for j in range(base, base + d):
                    value = other.center[j] - self.center[j]
                    self.scatter[j] = (
                        keep * self.scatter[j] + rho * other.scatter[j] + cross * value * value
                    )
            for j in range(base, base + d):
                self.center[j] += rho * (other.center[j] - self.center[j])
        return 0

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def copy_from(self, other: Statistics) -> cython.int:
        """Become a copy of the other's statistics."""
        copy(other.weight, self.n_components, self.weight)
        copy(other.center, self.n_components * self.n_features, self.center)
        copy(other.scatter, self.n_components * self.size, self.scatter)
        self.points = other.points
        return 0

    @cython.final
    @cython.cfunc
    @cython.exceptval(check=False)
    def add(self, other: Statistics) -> cython.int:
        """Add the other's statistics, as if its points had been accumulated here."""
        points: cython.double = self.points + other.points
        if points > 0.0:
            self.mix(other, other.points / points)
        self.points = points
        return 0

    def reorder(self, order: list[int]) -> None:
        """Reorder the components: component k becomes what order[k] was."""
        rearrange(self.weight, order, 1)
        rearrange(self.center, order, self.n_features)
        rearrange(self.scatter, order, self.size)

    def clear(self) -> None:
        """Set all statistics to zero."""
        self.empty()

    @cython.final
    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def empty(self) -> cython.int:
        """Set all statistics to zero."""
        k: cython.Py_ssize_t
        self.points = 0.0
        for k in range(self.n_components):
            self.weight[k] = 0.0
        for k in range(self.n_components * self.n_features):
            self.center[k] = 0.0
        for k in range(self.n_components * self.size):
            self.scatter[k] = 0.0
        return 0

    def raw_moments(self, origin: cython.double[::1], out: cython.double[::1]) -> None:
        """Write N, N m and N (S + m m') of all components, with the means m seen from the origin.

        ``origin`` has the shape (D,). Of a matrix both halves are written.
        """
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        at: cython.Py_ssize_t
        d: cython.Py_ssize_t = self.n_features
        n: cython.Py_ssize_t = self.n_components
        row: cython.double
        column: cython.double
        for k in range(n):
            out[k] = self.weight[k]
            for i in range(d):
                row = self.center[k * d + i] - origin[i]
                out[n + k * d + i] = self.weight[k] * row
                if not self.dense:
                    at = k * d + i
                    out[n + n * d + at] = (self.scatter[at] + row * row) * self.weight[k]
                    continue
                for j in range(i + 1):
                    column = self.center[k * d + j] - origin[j]
                    at = k * self.size + i * d + j
                    column = (self.scatter[at] + row * column) * self.weight[k]
                    out[n + n * d + at] = column
                    out[n + n * d + k * self.size + j * d + i] = column

    def load(
        self, weight: array[float], center: array[float], scatter: array[float], points: float
    ) -> None:
        """Set the statistics."""
        unpack(weight, self.weight, self.n_components)
        unpack(center, self.center, self.n_components * self.n_features)
        unpack(scatter, self.scatter, self.n_components * self.size)
        self.points = points

    @property
    def points_behind(self) -> float:
        """The number of points behind the statistics."""
        return float(self.points)

    def state(self) -> dict[str, Any]:
        """Return the statistics as plain values."""
        n: cython.Py_ssize_t = self.n_components
        return {
            "shape": self.shape,
            "points": float(self.points),
            "weight": packed(self.weight, n),
            "center": packed(self.center, n * self.n_features),
            "scatter": packed(self.scatter, n * self.size),
        }


def central_moments(
    raw: cython.double[::1],
    origin: cython.double[::1],
    n: cython.Py_ssize_t,
    dense: cython.bint,
    center: cython.double[::1],
    scatter: cython.double[::1],
) -> int:
    """Write means and scatters of n components, from what `Statistics.raw_moments` has written.

    Returns whether data can have them: IMPOSSIBLE where a weight is not above 0 or a scatter is not
    finite, UNSURE where a matrix has an eigenvalue near or below 0, else SURE.
    """
    k: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    d: cython.Py_ssize_t = len(origin)
    at: cython.Py_ssize_t = 0
    value: cython.double
    memory: Memory = Memory(d * d)
    factor: cython.p_double = memory.piece(d * d)
    source: cython.p_double = first(scatter)
    is_matrix: cython.bint = dense and d > 1
    result: cython.int = SURE
    for k in range(n):
        if not raw[k] > 0.0:
            return IMPOSSIBLE
    for k in range(n):
        for i in range(k * d, k * d + d):
            center[i] = raw[n + i] / raw[k]
        for i in range(k * d, k * d + d):
            for j in range(k * d if dense else i, k * d + d if dense else i + 1):
                value = raw[n + n * d + at] / raw[k] - center[i] * center[j]
                scatter[at] = value
                at += 1
                if value - value != 0.0 or (not is_matrix and value < 0.0):
                    return IMPOSSIBLE
        if is_matrix and not well_above_singular(source, k * d * d, d, factor):
            result = UNSURE
        for i in range(d):
            center[k * d + i] += origin[i]
    return result


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def well_above_singular(
    matrix: cython.p_double, start: cython.Py_ssize_t, d: cython.Py_ssize_t, factor: cython.p_double
) -> cython.bint:
    """Whether a symmetric matrix (D, D) has no eigenvalue near or below 0.

    No eigenvalue is below det ((D - 1) / trace)^(D - 1). Work space: ``factor``, (D, D).
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t
    value: cython.double
    trace: cython.double = 0.0
    least: cython.double = 1.0
    for i in range(d):
        trace += matrix[start + i * d + i]
    if not trace > 0.0:
        return False
    for i in range(d):
        for j in range(i + 1):
            value = matrix[start + i * d + j]
            for m in range(j):
                value -= factor[i * d + m] * factor[j * d + m]
            if j < i:
                factor[i * d + j] = value / factor[j * d + j]
        if not value > 0.0:
            return False
        factor[i * d + i] = sqrt(value)
        least *= value / trace
        if i > 0:
            least *= d - 1
    return least > 1e-11


def shape_of(state: dict[str, Any]) -> tuple[int, int, int]:
    """Read the shape of the components in a state."""
    k, d, kind = state["shape"]
    return (
        whole(k, "n_components", 1),
        whole(d, "n_features", 1),
        whole(kind, "kind", FULL, SPHERICAL),
    )


def width(d: int, kind: int) -> int:
    """Return the number of doubles in one component's scatter."""
    return d * d if kind == FULL or kind == TIED else d


def statistics_of(
    state: dict[str, Any],
) -> tuple[array[float], array[float], array[float], float]:
    """Read the arguments of `Statistics.load` from a state."""
    k, d, kind = shape_of(state)
    return (
        block(state, "weight", k),
        block(state, "center", k * d),
        block(state, "scatter", k * width(d, kind)),
        real(state["points"], "points"),
    )


def statistics_from_state(state: dict[str, Any]) -> Statistics:
    given = statistics_of(state)
    k, d, kind = state["shape"]
    result: Statistics = Statistics(k, d, kind)
    result.load(*given)
    return result
