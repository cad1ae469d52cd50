"""What ``_kernel`` asks of Cython, for when it runs interpreted and Cython is not installed."""

from typing import Any

compiled = False


def _unchanged(thing: Any) -> Any:
    return thing


cclass = final = no_gc = cfunc = ccall = inline = _unchanged


def exceptval(*_: Any, **__: Any) -> Any:
    return _unchanged


def boundscheck(_: bool) -> Any:
    return _unchanged


def auto_pickle(_: bool) -> Any:
    return _unchanged


def cast(_: Any, value: Any) -> Any:
    return value


class _NoGil:
    """A decorator and a context."""

    def __call__(self, thing: Any) -> Any:
        return thing

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


nogil = _NoGil()
