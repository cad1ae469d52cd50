"""Values of a state: buffers of doubles and plain numbers, checked as they are read."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

from online_gmm._kernel.points import LARGEST, first_refused

MOST = 2**40
"""The largest count that is accepted: products of it and 8 bytes do not overflow."""


def zeros(size: int) -> array[float]:
    return array("d", bytes(8 * size))


def longer(values: Any, size: int) -> Any:
    """A copy of doubles or indices with zeros after them, so that there are `size` of them."""
    kind = "d" if memoryview(values).format == "d" else "q"
    result = array(kind, bytes(8 * size))
    result[: len(values)] = array(kind, values)
    return result


def doubles(data: bytes) -> array[float]:
    values = zeros(0)
    values.frombytes(data)
    return values


def block(state: dict[str, Any], name: str, size: int, finite: bool = True) -> array[float]:
    """The doubles that a state holds under this name; there must be `size` of them."""
    i: cython.Py_ssize_t
    data = state[name]
    if type(data) is not bytes or len(data) != 8 * size:
        raise ValueError(f"{name} are not {size} doubles")
    values = doubles(data)
    view: cython.double[::1] = values
    if finite:
        for i in range(len(view)):
            if view[i] - view[i] != 0.0:
                raise ValueError(f"{name} are not finite")
    return values


def places(
    state: dict[str, Any], name: str, size: int, least: int = 0, most: int = MOST
) -> array[int]:
    """The indices that a state holds under this name: `size` of them, within these bounds."""
    i: cython.Py_ssize_t
    data = state[name]
    if type(data) is not bytes or len(data) != 8 * size:
        raise ValueError(f"{name} are not {size} indices")
    values = array("q")
    values.frombytes(data)
    view: cython.Py_ssize_t[::1] = values
    lowest: cython.Py_ssize_t = least
    highest: cython.Py_ssize_t = most
    for i in range(len(view)):
        if view[i] < lowest or view[i] > highest:
            whole(values[i], name, least, most)
    return values


def check_points(values: cython.double[::1], name: str) -> None:
    """Refuse values that `fill` would not have let in."""
    if first_refused(values) >= 0:
        raise ValueError(f"{name} are beyond {LARGEST:g} in magnitude")


def whole(value: Any, name: str, least: int = 0, most: int = MOST) -> int:
    """A number of a state that must be whole and within these bounds."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is not a whole number from {least} to {most}")
    return value


def real(value: Any, name: str, least: float = 0.0, most: float = 1e300) -> float:
    """A number of a state that must be within these bounds."""
    if type(value) is not float or not least <= value <= most:
        raise ValueError(f"{name} is not a number from {least:g} to {most:g}")
    return value


def flag(value: Any, name: str) -> bool:
    """A truth value of a state."""
    if type(value) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return value
