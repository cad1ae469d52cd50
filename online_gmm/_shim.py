"""What ``_kernel.py`` asks of Cython, for when it runs interpreted and Cython is not installed."""

from typing import Any

compiled = False


def _unchanged(thing: Any) -> Any:
    return thing


cclass = final = cfunc = ccall = inline = _unchanged


def exceptval(*_: Any, **__: Any) -> Any:
    return _unchanged
