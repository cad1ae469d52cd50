"""Batches of rows as numbered files of Parquet: once one is there, it is whole and on disk."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from replay.engine.batch import Batch
from replay.engine.disk import DiskFile, HeldError, locked_folder, rename
from replay.engine.rows import InputError, OutputError

COLUMNS = {"key": pa.string(), "time": pa.float64(), "sequence": pa.int64()}
"""The columns that every batch has, before those of its values."""
NAME = re.compile(r"(\d{18})\.parquet")
PART = re.compile(r"\.\d{18}\.parquet\.part")


class Landing:
    """Rows that are to land together, column by column.

    Parameters
    ----------
    values
        The columns of values, in the order in which rows have them.

    Raises
    ------
    InputError
        If two columns have one name.
    """

    def __init__(self, values: Sequence[str]) -> None:
        for name, times in Counter(values).items():
            if name in COLUMNS:
                raise InputError(
                    f"--value {name!r} is also the name of a column that is added to the files "
                    f"({', '.join(COLUMNS)}); have it sent by another name"
                )
            if times > 1:
                raise InputError(f"--value {name!r} is given twice; once is enough")
        self._schema = pa.schema({**COLUMNS, **dict.fromkeys(values, pa.float64())})
        self._batches: list[Batch] = []
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._n += len(batch)

    def take(self) -> memoryview:
        """All rows as a file of Parquet; none are left."""
        batches, self._batches, self._n = self._batches, [], 0
        columns: list[list[Any]] = [[] for _ in range(3)]
        for batch in batches:
            nothing = [None] * len(batch)
            columns[0] += [""] * len(batch) if batch.keys is None else batch.keys
            columns[1] += nothing if batch.seconds is None else batch.seconds.tolist()
            columns[2] += nothing if batch.sequence is None else batch.sequence
        numbers = np.concatenate([batch.values for batch in batches])
        arrays = [
            pa.array(column, field.type, from_pandas=True)  # NaN, a missing value, becomes null
            for column, field in zip(
                [*columns, *np.ascontiguousarray(numbers.T)], self._schema, strict=True
            )
        ]
        file = pa.BufferOutputStream()
        parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema), file)
        return memoryview(file.getvalue())


class Folder:
    """A folder of batches, of which one process is the only writer.

    A file is called by 18 digits, its microseconds since 1970 or one more than the last file has:
    so a name is not used again, even if whoever reads the files removes them, and the names have
    the order in which they were written. What a killed process has left unfinished goes.

    Parameters
    ----------
    path
        Where; made if need be.

    Raises
    ------
    OutputError
        If it cannot be written to, or another process writes there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = locked_folder(path)
        except HeldError as error:
            raise OutputError(
                f"{path} is written to by {error.holder}; give each a folder of its own"
            ) from None
        except OSError as error:
            raise self._unfit(error) from None
        try:
            names = os.listdir(path)
            for name in filter(PART.fullmatch, names):
                (path / name).unlink()
        except OSError as error:
            self.close()
            raise self._unfit(error) from None
        self._last = max((int(its[1]) for its in map(NAME.fullmatch, names) if its), default=0)

    def _unfit(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} is no folder that can be written to: {error.strerror}")

    def put(self, data: memoryview) -> None:
        """Write a file; when this returns it outlives any crash.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        number = max(self._last + 1, time.time_ns() // 1000)
        path = self.path / f"{number:018}.parquet"
        part = path.with_name(f".{path.name}.part")
        try:
            file = DiskFile(part, new=True)
            try:
                file.write(data)
                file.sync()
            finally:
                file.close()
            rename(part, path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise OutputError(
                f"{self.path}: a batch cannot be written: {error.strerror}; its rows are "
                "not acknowledged, so a broker sends them again when there is room"
            ) from None
        self._last = number

    def close(self) -> None:
        """Let others write."""
        os.close(self._handle)
