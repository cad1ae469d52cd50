"""The times of rows as they were given: segments and changes hand them back."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from online_gmm.data.frames import Table


def stamp_of(value: Any) -> Any:
    """Return a time as Python has it."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value


def stamps_of(table: Table, X: Any, time: Hashable | None, t: Any) -> list[Any] | None:
    """Return the times of the rows of X: t, its column ``time`` or its index; None without times.

    ``table`` is X as it was read.
    """
    if table.times is None:
        return None
    if t is None:
        t = X.index if table.is_timed_by_index else X[time]
    # numpy has no zones: columns of polars and pyarrow that have one are listed without it
    if getattr(getattr(t, "dtype", None), "time_zone", None) is not None:
        return list(t.to_list())
    if getattr(getattr(t, "type", None), "tz", None) is not None:
        return list(t.to_pylist())
    column = np.asarray(t).reshape(-1)
    if column.dtype.kind == "M":
        column = column.astype("datetime64[us]")
    return [stamp_of(value) for value in column.tolist()]
