"""Points as they come: mappings of feature names to real numbers."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

from typing import Any

COMPILED = cython.compiled

LARGEST = 1e150
"""Values beyond this have no finite square and are refused."""

ABSENT = object()


@cython.ccall
@cython.exceptval(-2)
def first_refused(values: cython.double[::1]) -> cython.Py_ssize_t:
    """Index of the first value that `fill` would not have let in; -1 if there is none."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(len(values)):
            if values[i] > 1e150 or values[i] < -1e150:
                break
        else:
            i = -1
    return i


def _shown(value: Any) -> str:
    """A value in one line, which is not long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:60] + "..."


@cython.cfunc
def number(name: Any, value: Any) -> cython.double:
    """A feature's value as a double, NaN when it is missing; refuses what is not a real number."""
    result: cython.double
    # pandas' missing value, and a masked value of numpy
    if value is None or type(value).__name__ in ("NAType", "MaskedConstant"):
        return float("nan")
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(
            f"feature {name!r} is {value!r} of type {type(value).__name__}; numbers are expected "
            "(convert text before it gets here)"
        )
    try:
        result = float(value)
    except OverflowError:
        raise ValueError(
            f"feature {name!r} is beyond {LARGEST:g} in magnitude; rescale the feature"
        ) from None
    except (TypeError, ValueError):
        advice = "; for many rows learn_many" if getattr(value, "shape", ()) else ""
        if type(value).__name__ in ("datetime", "Timestamp", "date", "datetime64"):
            advice = f"; if it is the time, say time={name!r}"
        raise TypeError(
            f"feature {name!r} is {_shown(value)} of type {type(value).__name__}; a real number is "
            f"expected{advice}"
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
@cython.exceptval(check=True)
def must_be_mapping(x: Any) -> cython.void:
    """Refuse what is no mapping, and say what was expected."""
    if hasattr(x, "get"):
        return
    shown = _shown(x)
    advice = ""
    if getattr(x, "shape", ()) or isinstance(x, (list, tuple)):
        advice = "; for a row of values write dict(enumerate(x)), and for many rows learn_many"
    elif isinstance(x, str):
        advice = "; a frame gives its columns one by one, and learn_many takes all of its rows"
    elif hasattr(x, "__float__"):
        advice = f"; for one feature write {{'x': {shown}}}"
    raise TypeError(
        f"a point is a dict of feature names to numbers; got {shown} of type "
        f"{type(x).__name__}{advice}"
    )


@cython.ccall
def fill(x: Any, names: tuple[Any, ...], out: cython.double[::1]) -> cython.Py_ssize_t:
    """Write the named values of the mapping x to a buffer; see `read_point`."""
    if len(out) == 0:
        must_be_mapping(x)
        return 0
    if cython.compiled:
        return read_point(x, names, cython.address(out[0]))
    else:
        return read_point(x, names, out)


@cython.cfunc
@cython.exceptval(-1)
def read_point(x: Any, names: tuple[Any, ...], out: cython.p_double) -> cython.Py_ssize_t:
    """Write the named values of the mapping x to out, and return how many of them x has.

    An absent feature becomes NaN.
    """
    j: cython.Py_ssize_t
    value: cython.double
    found: cython.Py_ssize_t = 0
    plain: cython.bint = type(x) is dict
    if not plain:
        must_be_mapping(x)
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
