"""Rows of many keys as one row a key, whose cells are arrays: what goes to the learners and back.

The engine hands rows to Python cell by cell, which costs several times what learning does. Packed,
a key's rows of a batch are one row of three buffers, made and taken apart without a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Row

from online_gmm.segmentation.moments import LARGEST
from online_gmm.spark.track import KeyRows, LabelledRows

WORD = 8
"""Bytes of a double or an integer."""
TOGETHER = 200_000
"""Rows that are packed together, if so many come: the more, the fewer packs a key."""
STAMPS = {"double": np.dtype(np.float64), "bigint": np.dtype(np.int64)}
"""What times are, by the engine's names."""


def packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row a key from each batch of rows.

    Batches have the columns ``key``, ``stamp`` (doubles or integers), ``sequence`` (integers) if
    rows have one, and the values (doubles). Rows without a time or a sequence number, or with a
    value that is infinite or beyond 1e150, are left out and counted.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(its.num_rows for its in waiting) >= TOGETHER:
            yield _packed(waiting)
            waiting = []
    if any(its.num_rows for its in waiting):
        yield _packed(waiting)


def _packed(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).combine_chunks()
    names = table.column_names
    columns = [column.chunk(0) for column in table.columns]
    keys = columns[0].dictionary_encode()
    code = keys.indices.to_numpy()
    n_ordering = 3 if names[2:3] == ["sequence"] else 2
    ordering = columns[1:n_ordering]
    values = np.column_stack(
        [column.to_numpy(zero_copy_only=False) for column in columns[n_ordering:]]
    )
    # what is missing is NaN, and no NaN is beyond anything
    good = ~(np.abs(values) > LARGEST).any(axis=1)
    buffers = []
    for column in ordering:
        good &= column.is_valid().to_numpy(zero_copy_only=False)
        buffers.append(column.fill_null(0).to_numpy(zero_copy_only=False))
        good &= np.isfinite(buffers[-1])
    order = np.flatnonzero(good)
    order = order[np.argsort(code[order], kind="stable")]
    n_keys = len(keys.dictionary)
    count = np.bincount(code[order], minlength=n_keys)
    refused = np.bincount(code[~good], minlength=n_keys)
    return pa.RecordBatch.from_arrays(
        [
            keys.dictionary,
            *(_cells(buffer[order], count) for buffer in buffers),
            _cells(values[order], count),
            pa.array(refused.astype(np.int32)),
        ],
        names=["key", *names[1:n_ordering], "values", "refused"],
    )


def _cells(rows: NDArray[Any], count: NDArray[np.int64]) -> pa.Array:
    """A cell of bytes for so many rows in turn."""
    rows = np.ascontiguousarray(rows)
    size = rows[:1].nbytes or WORD
    offsets = np.concatenate([[0], size * np.cumsum(count)]).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(count), [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())]
    )


def unpacked(packs: Iterable[Row], stamps: np.dtype[Any], n_values: int) -> tuple[KeyRows, int]:
    """The rows of a key in the order of their times and numbers, and how many were refused."""
    refused = 0
    parts = []
    for pack in packs:
        refused += pack["refused"]
        if pack["stamp"]:
            parts.append(pack)
    at = np.frombuffer(b"".join(pack["stamp"] for pack in parts), stamps)
    values = np.frombuffer(b"".join(pack["values"] for pack in parts)).reshape(-1, n_values)
    by = [*values.T[::-1]]
    sequence = None
    if parts and "sequence" in parts[0]:
        sequence = np.frombuffer(b"".join(pack["sequence"] for pack in parts), np.int64)
        by.append(sequence)
    # equal times in an order that does not depend on how the engine split the rows
    order = np.lexsort([*by, at])
    numbers = None if sequence is None else sequence[order]
    return KeyRows(at[order], numbers, values[order]), refused


def as_arrays(key: Any, rows: LabelledRows, sequence: bool) -> Row:
    """Labelled rows of a key as one row of arrays."""
    cells: dict[str, Any] = {"stamp": rows.stamps}
    if sequence:
        cells["sequence"] = rows.sequence
    return Row(
        key=key,
        **cells,
        label=rows.labels.astype(np.int32),
        probability=rows.probabilities,
        change=rows.changes,
    )
