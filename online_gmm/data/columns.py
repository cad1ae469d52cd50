"""What of the X of an estimator of another library is no number, by its column."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

TIMES = datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64


def refuse_times(X: Any) -> None:
    """Refuse columns of times, which numpy would take as numbers or fail on without a name.

    Raises
    ------
    TypeError
        With the column and what to do.
    """
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], Mapping):
        raise TypeError(
            f"X is a {type(X).__name__} of dicts, and a frame or an array of numbers is expected; "
            "pandas.DataFrame(X) makes one of it"
        )
    for name, column in _columns(X):
        kind = column.dtype
        if getattr(kind, "kind", "") in ("m", "M") or getattr(kind, "is_temporal", bool)():
            raise TypeError(_of_times(name, kind))


def not_a_number(X: Any) -> str:
    """Return which cell is no number, and what to do; empty if none is found."""
    for name, column in _columns(X):
        for row, cell in enumerate(np.asarray(column, dtype=object)):
            if isinstance(cell, TIMES):
                return _of_times(name, type(cell).__name__)
            try:
                float(cell)
            except (TypeError, ValueError):
                if cell is None or str(cell) == "<NA>":
                    continue
                return (
                    f"column {name!r} holds {cell!r} in row {row}, and numbers are expected; leave "
                    "the column out, or make numbers of it first, as OrdinalEncoder does"
                )
    return ""


def _of_times(name: Any, kind: Any) -> str:
    return (
        f"column {name!r} holds times ({kind}), and numbers are expected; leave it out, or use the "
        f"learners of online_gmm itself, which take it as time={name!r}"
    )


def _columns(X: Any) -> Iterator[tuple[Any, Any]]:
    """The columns of a frame or of what is an array of two dimensions, by their names."""
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X)
        except ValueError:
            return
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        yield from ((name, X.iloc[:, j]) for j, name in enumerate(X.columns))
    elif hasattr(X, "get_column"):
        yield from ((name, X[name]) for name in X.columns)
    elif hasattr(X, "column_names"):
        yield from ((name, X[name].to_numpy()) for name in X.column_names)
    elif isinstance(X, np.ndarray) and X.ndim == 2:
        yield from enumerate(X.T)
