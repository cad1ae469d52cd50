"""Buffers of doubles, and points as they come: mappings of feature names to numbers."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from array import array
from typing import Any

COMPILED = cython.compiled

LARGEST = 1e150
"""Values beyond this have no finite square and are refused."""

ABSENT = object()

MOST = 2**40
"""Of anything counted: products and doubles of it are no overflow."""


def zeros(size: int) -> array[float]:
    return array("d", bytes(8 * size))


def doubles(data: bytes) -> array[float]:
    values = zeros(0)
    values.frombytes(data)
    return values


def block(state: dict[str, Any], name: str, size: int, finite: bool = True) -> array[float]:
    """Doubles of a state, which must be so many."""
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


def places(state: dict[str, Any], name: str, size: int) -> array[int]:
    """Indices of a state, which must be so many."""
    data = state[name]
    if type(data) is not bytes or len(data) != 8 * size:
        raise ValueError(f"{name} are not {size} indices")
    values = array("q")
    values.frombytes(data)
    return values


def check_points(values: cython.double[::1], name: str) -> None:
    """Refuse what `fill` would not have let in."""
    if first_refused(values) >= 0:
        raise ValueError(f"{name} are beyond {LARGEST:g} in magnitude")


@cython.ccall
@cython.exceptval(-2)
def first_refused(values: cython.double[::1]) -> cython.Py_ssize_t:
    """Where the first value is that `fill` would not have let in; -1 if there is none."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(len(values)):
            if values[i] > 1e150 or values[i] < -1e150:
                break
        else:
            i = -1
    return i


def grown(values: cython.double[::1], least: int, most: int) -> array[float]:
    """The same with room for at least and at most so many; for twice as many in between."""
    old = bytes(values)
    return doubles(old + bytes(max(8 * least, min(2 * len(old), 8 * most)) - len(old)))


def whole(value: Any, name: str, least: int = 0, most: int = MOST) -> int:
    """A number of a state, which must be whole and within these bounds."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is not a whole number from {least} to {most}")
    return value


def real(value: Any, name: str, least: float = 0.0, most: float = 1e300) -> float:
    """A number of a state, which must be within these bounds."""
    if type(value) is not float or not least <= value <= most:
        raise ValueError(f"{name} is not a number from {least:g} to {most:g}")
    return value


def flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return value


@cython.cfunc
def number(name: Any, value: Any) -> cython.double:
    """A feature's value as a double, NaN when it is missing; refuses what is not a real number."""
    result: cython.double
    # pandas' missing value, and a masked value of numpy
    if value is None or type(value).__name__ in ("NAType", "MaskedConstant"):
        return float("nan")
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(
            f"feature {name!r} is {value!r}, a {type(value).__name__}; numbers are expected "
            "(convert text before it gets here)"
        )
    try:
        result = float(value)
    except OverflowError:
        raise ValueError(
            f"feature {name!r} is beyond {LARGEST:g} in magnitude; rescale the feature"
        ) from None
    except (TypeError, ValueError):
        raise TypeError(
            f"feature {name!r} is {value!r}, a {type(value).__name__}; a real number is expected"
        ) from None
    if result > 1e150 or result < -1e150:
        if result - result != 0:
            raise ValueError(
                f"feature {name!r} is {value!r}; only finite values can be learnt "
                "(use None or NaN for a missing value)"
            )
        raise ValueError(
            f"feature {name!r} is {value!r}, beyond {LARGEST:g} in magnitude; rescale the feature"
        )
    return result


@cython.ccall
def fill(x: Any, names: tuple[Any, ...], out: cython.double[::1]) -> cython.Py_ssize_t:
    """The same as `take`, for a buffer."""
    if cython.compiled:
        return take(x, names, cython.address(out[0]))
    else:
        return take(x, names, out)


@cython.cfunc
@cython.exceptval(-1)
def take(x: Any, names: tuple[Any, ...], out: cython.p_double) -> cython.Py_ssize_t:
    """Write the named values of the mapping x to out, and return how many of them x has."""
    j: cython.Py_ssize_t
    value: cython.double
    found: cython.Py_ssize_t = 0
    plain: cython.bint = type(x) is dict
    for j in range(len(names)):
        item = cython.cast(dict, x).get(names[j], ABSENT) if plain else x.get(names[j], ABSENT)
        if item is ABSENT:
            out[j] = float("nan")
            continue
        found += 1
        if type(item) is float:
            value = item
            if value > 1e150 or value < -1e150:
                value = number(names[j], item)
        else:
            value = number(names[j], item)
        out[j] = value
    return found
