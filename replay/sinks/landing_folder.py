"""Batches of rows as numbered files of Parquet: once one is there, it is whole and on disk."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from replay.engine.disk import DiskFile, HeldError, locked_folder, rename
from replay.engine.rows import InputError, OutputError, Row

COLUMNS = {"key": pa.string(), "time": pa.float64(), "sequence": pa.int64()}
"""The columns that every batch has, before those of its values."""
BATCH = re.compile(r"(\d{18})\.parquet")
PART = re.compile(r"\.\d{18}\.parquet\.part")


class Batch:
    """Rows, column by column.

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
                    f"--value {name!r} has the name of a column that --land adds (these are "
                    f"{', '.join(COLUMNS)}); have it sent by another name"
                )
            if times > 1:
                raise InputError(f"--value {name!r} is given twice; once is enough")
        self._schema = pa.schema({**COLUMNS, **dict.fromkeys(values, pa.float64())})
        self._width = len(values)
        self._keys: list[str] = []
        self._times: list[float | None] = []
        self._sequences: list[int | None] = []
        self._numbers: list[float] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, row: Row) -> None:
        self._keys.append(row.key)
        self._times.append(row.seconds)
        self._sequences.append(row.sequence)
        self._numbers.extend(row.values.values())

    def take(self) -> memoryview:
        """All rows as a file of Parquet; none are left."""
        numbers = np.array(self._numbers).reshape(-1, self._width)
        columns = [
            pa.array(column, field.type, from_pandas=True)  # NaN, a missing value, becomes null
            for column, field in zip(
                [self._keys, self._times, self._sequences, *np.ascontiguousarray(numbers.T)],
                self._schema,
                strict=True,
            )
        ]
        file = pa.BufferOutputStream()
        parquet.write_table(pa.Table.from_arrays(columns, schema=self._schema), file)
        for cells in (self._keys, self._times, self._sequences, self._numbers):
            cells.clear()
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
                f"--land {path} is written to by {error.holder}; give each a folder of its own"
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
        self._last = max((int(its[1]) for its in map(BATCH.fullmatch, names) if its), default=0)

    def _unfit(self, error: OSError) -> OutputError:
        return OutputError(
            f"--land {self.path} is no folder that can be written to: {error.strerror}"
        )

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
                f"--land {self.path}: a batch cannot be written: {error.strerror}; its rows are "
                "not acknowledged, so a broker sends them again when there is room"
            ) from None
        self._last = number

    def close(self) -> None:
        """Let others write."""
        os.close(self._handle)
