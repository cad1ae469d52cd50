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


def zeros(size: int) -> array[float]:
    return array("d", bytes(8 * size))


def doubles(data: bytes) -> array[float]:
    values = zeros(0)
    values.frombytes(data)
    return values


def permute(values: cython.double[::1], order: list[int], size: cython.Py_ssize_t) -> None:
    """Block k of so many values becomes what block order[k] was."""
    k: cython.Py_ssize_t
    i: cython.Py_ssize_t
    source: cython.Py_ssize_t
    old: cython.double[::1] = doubles(bytes(values))
    for k in range(len(order)):
        source = order[k]
        for i in range(size):
            values[k * size + i] = old[source * size + i]


@cython.cfunc
def number(name: Any, value: Any) -> cython.double:
    """A feature's value as a double, NaN when it is missing; refuses what is not a real number."""
    result: cython.double
    if value is None or type(value).__name__ == "NAType":
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
@cython.exceptval(-1)
def fill(x: Any, names: tuple[Any, ...], out: cython.double[::1]) -> cython.Py_ssize_t:
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
