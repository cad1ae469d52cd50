"""Files whose columns have types, by pyarrow: Parquet, ORC and Feather, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet


class TableFile(Protocol):
    """An open file.

    Attributes
    ----------
    kind
        What it is, for people.
    schema
        Its columns. A field of a struct is one, called by its path, such as ``motor.load``.
    groups
        Rows of each part that can be read by itself.
    """

    kind: str
    schema: Any
    groups: list[int]

    def batches(self, at_most: int, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
        """Record batches of some groups and columns, of so many rows at most."""
        ...

    def close(self) -> None: ...


class _Parquet:
    kind = "Parquet"

    def __init__(self, path: Path) -> None:
        self._file = parquet.ParquetFile(path)
        self.schema = self._file.schema_arrow
        metadata = self._file.metadata
        self.groups = [metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]

    def batches(self, at_most: int, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
        yield from self._file.iter_batches(at_most, list(groups), list(names))

    def close(self) -> None:
        self._file.close()


class _Orc:
    kind = "ORC"

    def __init__(self, path: Path) -> None:
        from pyarrow import orc

        self._file = orc.ORCFile(path)
        self.schema = self._file.schema
        # the rows of a stripe are known when it has been read
        columns = self.schema.names[:1]
        self.groups = [
            self._file.read_stripe(i, columns=columns).num_rows for i in range(self._file.nstripes)
        ]

    def batches(self, at_most: int, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
        for group in groups:
            stripe = pa.table(self._file.read_stripe(group, columns=list(names)))
            yield from stripe.select(list(names)).to_batches(at_most)

    def close(self) -> None:
        """Nothing: pyarrow lets go of it."""


class _Feather:
    kind = "Feather"

    def __init__(self, path: Path) -> None:
        self._source = pa.memory_map(str(path))
        self._file = pa.ipc.open_file(self._source)
        self.schema = self._file.schema
        self.groups = [
            self._file.get_batch(i).num_rows for i in range(self._file.num_record_batches)
        ]

    def batches(self, at_most: int, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
        for group in groups:
            batch = self._file.get_batch(group).select(list(names))
            for first in range(0, batch.num_rows, at_most):
                yield batch.slice(first, at_most)

    def close(self) -> None:
        self._source.close()


class _Flat:
    """A file whose structs are taken apart into their fields."""

    def __init__(self, file: TableFile) -> None:
        self._file = file
        self.kind, self.groups = file.kind, file.groups
        found = [leaf for field in file.schema for leaf in _leaves(field, ())]
        names = [".".join(path) for path, _ in found]
        if len(set(names)) < len(names):
            found = [((field.name,), field.type) for field in file.schema]
            names = file.schema.names
        self.schema = pa.schema(list(zip(names, (kind for _, kind in found), strict=True)))
        self._paths = dict(zip(names, (path for path, _ in found), strict=True))

    def batches(self, at_most: int, groups: Sequence[int], names: Sequence[str]) -> Iterator[Any]:
        roots = list(dict.fromkeys(self._paths[name][0] for name in names))
        for batch in self._file.batches(at_most, groups, roots):
            columns = []
            for name in names:
                root, *fields = self._paths[name]
                column = batch.column(root)
                columns.append(pc.struct_field(column, fields) if fields else column)
            yield pa.record_batch(columns, names=list(names))

    def close(self) -> None:
        self._file.close()


def _leaves(field: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The fields that are no structs, by their paths, and their types."""
    path = (*above, field.name)
    if not pa.types.is_struct(field.type) or not field.type.num_fields:
        yield path, field.type
        return
    for inner in field.type:
        yield from _leaves(inner, path)


def open_table(path: Path) -> TableFile:
    """Open a file as what its first bytes say, or else its name.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If it is none.
    """
    with path.open("rb") as file:
        start = file.read(6)
    suffix = path.suffix.lower()
    if start.startswith(b"ORC") or (suffix == ".orc" and not start.startswith(b"PAR1")):
        return _Flat(_Orc(path))
    if start.startswith(b"ARROW1") or suffix in (".feather", ".arrow"):
        return _Flat(_Feather(path))
    return _Flat(_Parquet(path))
