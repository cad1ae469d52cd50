"""Data frames and arrays become matrices, and answers become frames or arrays again."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from online_gmm import _kernel
from online_gmm.data.clock import seconds_of_column
from online_gmm.data.counted import counted

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pandas as pd

Matrix = NDArray[np.float64]


def flat(values: Matrix) -> array[float]:
    """Return a copy of the values, row by row, for the kernel to keep."""
    return array("d", np.asarray(values, dtype=np.float64).tobytes())


def view(values: NDArray[Any]) -> memoryview:
    """Return the values, row by row, for the kernel to read or write; a copy only if needed."""
    if values.flags.carray:
        return values.reshape(-1).data
    values = np.ascontiguousarray(values).reshape(-1)
    # the kernel's views are of what can be written, and a double stands at a multiple of 8
    suits = values.flags.writeable and values.flags.aligned
    return (values if suits else values.copy()).data


def unmasked(values: Any) -> NDArray[Any]:
    """Return an array in which masked values are missing: NaN, NaT or None."""
    # `np.ma` is imported by its first use, and what made a masked array has used it
    if "numpy.ma" not in sys.modules or not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if values.dtype.kind == "M":
        return np.asarray(np.ma.filled(values, np.datetime64("NaT")))
    if values.dtype.kind in "fiub":
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(np.ma.filled(values.astype(object), None))


class Table:
    """Rows of named features, from a data frame or an array.

    Parameters
    ----------
    X
        A data frame (pandas, polars, pyarrow, ...), or an array of shape (n, D) or (n,). Masked
        values of an array are missing.
    features
        The names of the columns of an array, by position; 0 .. D-1 by default.
    time
        The name of the column that holds the time of each row, if any, or of the index of a frame
        of pandas. It is not among the features; the times are in ``times``, in seconds.

    Raises
    ------
    TypeError
        If X is neither, or a value is no real number.
    ValueError
        If a value is infinite or beyond 1e150 in magnitude. Missing values (NaN, None) are fine.
    """

    def __init__(
        self,
        X: Any,
        features: Sequence[Hashable] | None = None,
        time: Hashable | None = None,
        t: Any = None,
    ) -> None:
        self._frame: nw.DataFrame[Any] | None = None
        # narwhals takes a quarter of a millisecond, so pandas is spoken to directly
        self._pandas: pd.DataFrame | None = None
        self.names: tuple[Hashable, ...] = ()
        self.values: Matrix
        self.times: Matrix | None = None
        # one of the times as it was given
        self.a_time: Any = None
        # whether an index of pandas is called by the time
        self.is_timed_by_index = False
        if t is not None:
            self._take_times(unmasked(t).reshape(-1), "t")
        self._read(X, features, time)
        if self.times is not None and len(self.times) != len(self.values):
            raise ValueError(f"there are {len(self.values)} rows and {len(self.times)} times")

    def _read(self, X: Any, features: Sequence[Hashable] | None, time: Hashable | None) -> None:
        columns: Sequence[NDArray[Any]]
        if isinstance(X, np.ndarray):
            X = unmasked(X)
            if X.ndim not in (1, 2):
                raise ValueError(f"an array of shape (n, D) is expected; this one is {X.shape}")
            n_columns = X.shape[1] if X.ndim == 2 else 1
            self.names = tuple(range(n_columns) if features is None else features)
            if len(self.names) != n_columns:
                raise ValueError(
                    f"the array has {counted(n_columns, 'columns')}; the model knows "
                    f"{counted(len(self.names), 'features')}: {', '.join(map(repr, self.names))}"
                )
            n_rows = X.shape[0]
            if (time is None or time not in self.names) and self._take_whole(X, n_columns):
                return
            columns = list(X.T) if X.ndim == 2 else [X]
        elif "pandas" in sys.modules and isinstance(X, sys.modules["pandas"].DataFrame):
            self._pandas = X
            self.names = _names_of(X.columns)
            if self.times is None and time is not None and time not in self.names:
                self.is_timed_by_index = X.index.name == time
                if self.is_timed_by_index:
                    self._take_times(X.index.to_numpy(), time)
            if (time is None or time not in self.names) and self._take_whole(
                X.to_numpy(), len(self.names)
            ):
                return
            columns = [X.iloc[:, j].to_numpy() for j in range(len(self.names))]
            n_rows = len(X)
        else:
            from river.utils.dataframe import into_frame

            # other pandas-like frames allow column names of any kind, narwhals strings only
            if not hasattr(X, "column_names") and not hasattr(X, "collect"):
                self.names = _unique(tuple(getattr(X, "columns", ())))
            try:
                self._frame = into_frame(X)
            except TypeError:
                told = ""
                for makes in ("to_frame", "collect"):
                    if hasattr(X, makes):
                        told = f"; X.{makes}() makes one of it"
                if isinstance(X, list | tuple | dict):
                    told = "; pandas.DataFrame(X) makes one of it"
                raise TypeError(
                    f"a data frame (pandas, polars, ...) or a numpy array is expected, "
                    f"not {type(X).__name__}{told}"
                ) from None
            self.names = self.names or tuple(self._frame.columns)
            columns = [self._frame[:, j].to_numpy() for j in range(len(self.names))]
            n_rows = len(self._frame)
        if time is not None and time in self.names:
            at = self.names.index(time)
            if self.times is None:
                self._take_times(columns[at], time)
            columns = [*columns[:at], *columns[at + 1 :]]
            self.names = (*self.names[:at], *self.names[at + 1 :])
        self.values = np.empty((n_rows, len(self.names)))
        for j, (name, column) in enumerate(zip(self.names, columns, strict=True)):
            self.values[:, j] = _real(name, column)

    def _take_times(self, column: NDArray[Any], name: Hashable) -> None:
        self.times = seconds_of_column(column, name)
        self.a_time = column[0] if len(column) else None

    def _take_whole(self, values: NDArray[Any], n_columns: int) -> bool:
        """Take all values at once, if nothing is to be said of any of them."""
        if values.dtype != np.float64:
            return False
        self.values = np.ascontiguousarray(values).reshape(len(values), n_columns)
        return bool(_kernel.first_refused(view(self.values)) < 0)

    def __len__(self) -> int:
        return len(self.values)

    def without_times(self, time: Hashable | None, why: str = "") -> ValueError:
        """Return the error that says that rows lack times, and how to give them.

        Parameters
        ----------
        time
            The name that was looked for, if any.
        why
            What needs times, as the end of a sentence.
        """
        named = (
            ""
            if time is None
            else f"column {time!r} is not among {', '.join(map(repr, self.names))}; "
        )
        index = self._pandas is not None and self._pandas.index.dtype.kind == "M"
        how = "t=X.index, which holds times" if index else "t=..., a time for each row"
        return ValueError(
            f"these rows have no times: {named}give {how}, or name their column by time=...{why}"
        )

    def select(self, features: tuple[Hashable, ...]) -> Matrix:
        """The columns of these features, shape (n, D); NaN where the table lacks one."""
        return columns_of(self.values, self.names, features)

    @property
    def is_array(self) -> bool:
        """Whether the rows came in as an array."""
        return self._pandas is None and self._frame is None

    def series(self, values: NDArray[Any], name: str) -> Any:
        """One value per row, as the kind of series that goes with the input."""
        if self._pandas is not None:
            return sys.modules["pandas"].Series(values, index=self._pandas.index, name=name)
        if self._frame is None:
            return values
        from river.utils.dataframe import to_native_series

        return to_native_series(values, name=name, like=self._frame)

    def frame(self, columns: dict[Any, NDArray[Any]]) -> Any:
        """One row per row, as the kind of frame that came in; an array for an array."""
        if self._pandas is not None:
            return sys.modules["pandas"].DataFrame(columns, index=self._pandas.index)
        if self._frame is None:
            return np.column_stack([np.empty((len(self), 0)), *columns.values()])
        if self._frame.implementation.is_pandas_like():
            native = self._frame.to_native()
            return type(native)(columns, index=native.index)
        if not columns:
            return self._frame.select([]).to_native()
        from river.utils.dataframe import to_native_frame

        return to_native_frame(
            np.column_stack(list(columns.values())),
            columns=[str(name) for name in columns],
            like=self._frame,
        )


_last: tuple[Any, tuple[Hashable, ...]] = (None, ())
"""The columns of the last frame of pandas, and their names."""


def _names_of(columns: Any) -> tuple[Hashable, ...]:
    """The names in an index of pandas; frames that come after each other have the same one."""
    global _last
    known, names = _last
    if known is None or not columns.is_(known):
        names = _unique(tuple(columns.tolist()))
        _last = columns, names
    return names


def _unique(names: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"feature {twice!r} stands twice among the columns")
    return names


def _real(name: Hashable, column: NDArray[Any]) -> NDArray[np.float64]:
    if column.dtype.kind in "fiub":
        values = column.astype(np.float64)
    elif column.dtype.kind == "O":
        point = array("d", [0.0])
        values = np.empty(len(column))
        for i, value in enumerate(column):
            try:
                _kernel.fill({name: value}, (name,), point)
            except (TypeError, ValueError) as error:
                raise type(error)(f"row {i}: {error}") from None
            values[i] = point[0]
    else:
        told = f"; if it is the time, say time={name!r}" if column.dtype.kind == "M" else ""
        raise TypeError(f"feature {name!r} is of type {column.dtype}; numbers are expected{told}")
    bad = _kernel.first_refused(view(values))
    if bad >= 0:
        try:
            _kernel.fill({name: float(values[bad])}, (name,), array("d", [0.0]))
        except ValueError as error:
            raise ValueError(f"row {bad}: {error}") from None
    return values


def columns_of(values: Matrix, names: tuple[Hashable, ...], wanted: tuple[Hashable, ...]) -> Matrix:
    """The columns wanted of those of these names, shape (n, D); NaN where one is not there."""
    if names == wanted:
        return values
    place = {name: j for j, name in enumerate(names)}
    picked = np.full((len(values), len(wanted)), np.nan)
    for j, name in enumerate(wanted):
        if name in place:
            picked[:, j] = values[:, place[name]]
    return picked


def must_be_names(what: str, names: Any) -> None:
    """Refuse what is no list of names, such as a text, which would be one of its letters.

    Raises
    ------
    ValueError
        If it is none, or is empty.
    """
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ValueError(f"{what} are {names!r}; a list is expected, [{names!r}]")
    if not len(names):
        raise ValueError(f"{what} are {names!r}; at least one is needed")


def column_means(X: Matrix) -> Matrix:
    """The mean of what is observed in each column, shape (D,); 0 where nothing is."""
    if len(X):
        means = np.add.reduce(X, axis=0) / len(X)
        if not np.isnan(means).any():
            return np.asarray(means, dtype=np.float64)
    missing = np.isnan(X)
    seen = np.where(missing.all(axis=0), 0.0, X)
    return np.asarray(np.nanmean(seen, axis=0), dtype=np.float64)


def sorted_names(names: dict[Hashable, None]) -> tuple[Hashable, ...]:
    """Feature names in an order that does not depend on that of the mappings they came in."""
    return tuple(sorted(names, key=lambda name: (type(name).__name__, name)))
