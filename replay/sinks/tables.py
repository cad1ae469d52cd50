"""Tables in files: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from replay.engine.disk import Buffer, Place
from replay.engine.rows import InputError
from replay.sinks.files import START, File, Onto
from replay.sinks.formulas import as_text

GROUP = 65_536
"""Rows of a row group of Parquet."""
BATCH = 4096
"""Rows of Parquet held in memory before they are put aside."""
LENGTH = struct.Struct("<Q")
LINE_END = "\r\n"
"""Of the csv writer, so that cells with either character are quoted; files have the second."""


class Csv(Onto):
    """Rows of cells as lines below a header.

    Parameters
    ----------
    file
        Where they are written.
    columns
        Their names, and what they hold.
    """

    typed = False
    """Whether cells are numbers; otherwise they are written as they should look."""

    def __init__(self, file: File, columns: Mapping[str, type]) -> None:
        super().__init__(file)
        self._names = list(columns)
        self.put: Callable[[Sequence[object]], object]
        write = self.put = csv.writer(_Encoded(file), lineterminator=LINE_END).writerow
        if file.escapes_formulas:
            self.put = lambda cells: write([as_text(cell) for cell in cells])
        self.write, self.write_beside = file.write, file.write_beside

    def begin(self) -> None:
        super().begin()
        self.put(self._names)


class _Encoded:
    """What a csv writer writes to."""

    def __init__(self, file: File) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix(LINE_END).encode() + b"\n")


class Parquet:
    """Rows of cells as Parquet, which has its directory at the end and cannot be appended to.

    So they are put aside, in batches that can be cut off, and the file is made of them when they
    are all there; in groups of GROUP rows, wherever the batches ended. What is put aside for a file
    that lasts stays, as the input may grow.
    """

    typed = True

    def __init__(self, file: File, columns: Mapping[str, type]) -> None:
        import pyarrow as pa

        if file.piped:
            raise InputError(f"{file.option} {file.path}: Parquet cannot be written to a pipe")
        kinds = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
        self._file = file
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        aside = file.path.with_name(f".{file.path.name}.rows")
        self._aside = File(aside, file.option, (), lasting=True)
        self._cells: list[Sequence[object]] = []

    def begin(self) -> None:
        self.go_to(START)

    def put(self, cells: Sequence[object]) -> None:
        self._cells.append(cells)
        if len(self._cells) == BATCH:
            self._put_aside()

    def put_columns(self, columns: Sequence[Any]) -> None:
        """Put many rows: a list of texts or an array for each column; NaN is a missing value."""
        self._put_aside()
        self._write(columns, nan_is_missing=True)

    def _put_aside(self) -> None:
        if self._cells:
            self._write(list(zip(*self._cells, strict=True)))
            self._cells.clear()

    def _write(self, columns: Sequence[Any], nan_is_missing: bool = False) -> None:
        import pyarrow as pa

        arrays = [
            pa.array(column, field.type, from_pandas=nan_is_missing)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        data = pa.record_batch(arrays, self._schema).serialize().to_pybytes()
        self._aside.write(LENGTH.pack(len(data)) + data)

    def flush(self) -> None:
        """Nothing: nobody can read it before its end."""

    def position(self) -> Place | None:
        self._put_aside()
        return self._aside.position()

    def go_to(self, position: tuple[int, int | None] | None) -> None:
        self._cells.clear()
        self._aside.go_to(position)

    def finish(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._put_aside()
        self._file.go_to(START)
        try:
            with parquet.ParquetWriter(_Stream(self._file), self._schema) as writer:
                rows: list[Any] = []
                for batch in self._batches():
                    rows.append(batch)
                    table = pa.Table.from_batches(rows)
                    while len(table) >= GROUP:
                        # in one piece: pages must not end where batches did
                        writer.write_table(table[:GROUP].combine_chunks(), GROUP)
                        table = table[GROUP:]
                    rows = table.to_batches()
                if rows:
                    writer.write_table(pa.Table.from_batches(rows).combine_chunks(), GROUP)
        except Exception:
            # pyarrow may have made something else of a failed write
            self._file.flush()
            raise
        self._file.finish()
        self._aside.close()
        if not self._file.lasting:
            self._aside.path.unlink()

    def _batches(self) -> Iterator[Any]:
        import pyarrow as pa

        self._aside.flush()
        with self._aside.path.open("rb") as file:
            while length := file.read(LENGTH.size):
                data = pa.py_buffer(file.read(*LENGTH.unpack(length)))
                yield pa.ipc.read_record_batch(data, self._schema)

    def close(self) -> None:
        self._file.close()
        self._aside.close()
        if not self._file.lasting:
            self._aside.path.unlink(missing_ok=True)


class _Stream(io.RawIOBase):
    """A file as pyarrow writes to it."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._place = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Buffer) -> int:  # type: ignore[override]
        self._file.write(data)
        self._place += len(data)
        return len(data)
