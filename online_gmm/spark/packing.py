"""Rows of many keys as one row a bucket, whose cells are arrays: what goes to the learners.

The engine hands rows to Python cell by cell, which costs several times what learning does, and each
group of rows for itself, which costs as much as ten rows. Packed, the rows of all keys of a bucket
are one row of a few buffers, made and taken apart without a loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Row

from online_gmm.segmentation.moments import LARGEST
from online_gmm.spark.track import KeyRows, LabelledRows

WORD = 8
"""Bytes of a double or an integer."""
TOGETHER = 200_000
"""Rows that are packed together, if so many come: the more, the fewer packs a bucket."""
STAMPS = {"double": np.dtype(np.float64), "bigint": np.dtype(np.int64)}
"""What times are, by the engine's names."""
COUNT = np.dtype(np.int64)
"""How many rows a key has in a pack."""


def packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row a bucket from each batch of rows.

    Batches have the columns ``bucket``, ``key``, ``stamp`` (doubles or integers), ``sequence``
    (integers) if rows have one, and the values (doubles). Rows without a time or a sequence number,
    or with a value that is infinite or beyond 1e150, are left out and counted.
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
    keys = columns[1].dictionary_encode()
    n_keys = len(keys.dictionary)
    # keys in the order of their buckets
    code = keys.indices.to_numpy()
    bucket = np.empty(n_keys, np.int32)
    bucket[code] = columns[0].to_numpy()
    by_bucket = np.argsort(bucket, kind="stable")
    code = np.argsort(by_bucket)[code]
    n_ordering = 4 if names[3:4] == ["sequence"] else 3
    ordering = columns[2:n_ordering]
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
    count = np.bincount(code[order], minlength=n_keys).astype(COUNT)
    refused = np.bincount(code[~good], minlength=n_keys).astype(COUNT)
    buckets, first = np.unique(bucket[by_bucket], return_index=True)
    of_keys = np.append(first, n_keys)
    of_rows = np.append(0, np.cumsum(count))[of_keys]
    known = keys.dictionary.take(pa.array(by_bucket)).to_pylist()
    told = [
        msgspec.msgpack.encode(known[begin:end])
        for begin, end in zip(of_keys[:-1].tolist(), of_keys[1:].tolist(), strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(buckets),
            pa.array(told, pa.binary()),
            _cells(count, of_keys),
            _cells(refused, of_keys),
            *(_cells(buffer[order], of_rows) for buffer in buffers),
            _cells(values[order], of_rows),
        ],
        names=["bucket", "keys", "count", "refused", *names[2:n_ordering], "values"],
    )


def _cells(rows: NDArray[Any], offsets: NDArray[np.int64]) -> pa.Array:
    """Cells of bytes, each of the rows from one offset to the next."""
    rows = np.ascontiguousarray(rows)
    size = rows[:1].nbytes or WORD
    bounds = (size * offsets).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(rows.tobytes())]
    )


def unpacked(
    packs: Iterable[Row], stamps: np.dtype[Any], n_values: int
) -> Iterator[tuple[Any, KeyRows, int]]:
    """Each key of a bucket, its rows by their times and numbers, and how many were refused."""
    parts = list(packs)
    number: dict[Any, int] = {}
    codes = [
        np.array(
            [number.setdefault(key, len(number)) for key in msgspec.msgpack.decode(its["keys"])]
        )
        for its in parts
    ]
    counts = [np.frombuffer(its["count"], COUNT) for its in parts]
    code = np.concatenate(list(map(np.repeat, codes, counts)))
    refused = np.zeros(len(number), COUNT)
    for of_part, its in zip(codes, parts, strict=True):
        refused[of_part] += np.frombuffer(its["refused"], COUNT)
    at = np.frombuffer(b"".join(its["stamp"] for its in parts), stamps)
    values = np.frombuffer(b"".join(its["values"] for its in parts)).reshape(-1, n_values)
    by = [*values.T[::-1]]
    sequence = None
    if "sequence" in parts[0]:
        sequence = np.frombuffer(b"".join(its["sequence"] for its in parts), np.int64)
        by.append(sequence)
    # equal times in an order that does not depend on how the engine split the rows
    order = np.lexsort([*by, at, code])
    rows = KeyRows(at, sequence, values).part(order)
    ends = np.cumsum(np.bincount(code, minlength=len(number))).tolist()
    begin = 0
    for key, end, n_refused in zip(number, ends, refused.tolist(), strict=True):
        yield key, rows.part(slice(begin, end)), n_refused
        begin = end


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
