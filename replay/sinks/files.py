"""Where labelled rows and segments go: files that can be cut back to a known place, or a pipe."""

from __future__ import annotations

import csv
import io
import math
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import msgspec

from online_gmm import Assignment
from online_gmm.segmentation.segments import Segment
from replay.engine.batch import LabelledBatch
from replay.engine.disk import (
    Buffer,
    ChangedError,
    DiskFile,
    HeldError,
    Place,
    locked,
    rename,
)
from replay.engine.printable import printable
from replay.engine.protocols import Source
from replay.engine.rows import InputError, OutputError, Row
from replay.sinks.formulas import as_text
from replay.sinks.lines import can_be_lines, labelled_lines

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

ADDED = ("label", "probability", "outlier", "change")
"""The columns that the labels have beyond those of the input."""
NAMED = "name"
"""One more, where regimes may have names."""
CAUSAL = "causal_label"
"""One more, where labels are given with all of a file at hand: that known when a row came."""
PARQUET = (".parquet", ".pq")
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LINES = (".ndjson", ".jsonl")
FORMS = {
    **dict.fromkeys(PARQUET, "parquet"),
    **dict.fromkeys(LINES, "ndjson"),
    **dict.fromkeys((".lp", ".influx"), "influx"),
}
"""Formats by the ends of names; all others are CSV."""
GROUP = 65_536
"""Rows of a row group of Parquet."""
BATCH = 4096
"""Rows of Parquet held in memory before they are put aside."""
LENGTH = struct.Struct("<Q")
START = Place(0, None)
LINE_END = "\r\n"
"""Of the csv writer, so that cells with either character are quoted; files have the second."""


class File:
    """A file that is written from its start to its end.

    Parameters
    ----------
    path
        Its name; ``-`` is standard output. What is no regular file, a pipe for one, is written as
        it comes. Control characters are escaped only if standard output is a terminal.
    option
        That asked for it, for messages.
    inputs
        Files that must not be written over.
    lasting
        Whether it stands under its name from the start, to be cut back to a known place and gone on
        with; otherwise it appears when it is whole, and not at all if anything fails.
    escapes_formulas
        Whether cells of CSV that a spreadsheet would take for formulas are written as text.
    """

    def __init__(
        self,
        path: Path,
        option: str,
        inputs: Sequence[Path],
        lasting: bool,
        escapes_formulas: bool = False,
    ) -> None:
        self.path = path
        self.option = option
        self.escapes_formulas = escapes_formulas
        self.lasting = lasting
        self.piped = str(path) == "-" or (path.exists() and not path.is_file())
        self._part: Path | None = None
        self._replaced: int | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        self._file: DiskFile | BinaryIO
        self._on_screen = False
        if str(path) == "-":
            self._file = sys.stdout.buffer
            self._on_screen = sys.stdout.isatty()
            return
        if path.exists() and any(path.samefile(taken) for taken in inputs if taken.exists()):
            raise InputError(f"{option} {path} is the input file; choose another name")
        if not lasting and not self.piped:
            self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            if self._part is not None and path.exists():
                # the file that is to be replaced must be nobody's
                self._replaced = locked(path)
            self._file = (
                path.open("wb")
                if self.piped
                else DiskFile(self._part or path, new=self._part is not None)
            )
        except OSError as error:
            raise self._failed(error) from None
        except HeldError as error:
            raise OutputError(
                f"{option} {path} is written to by {error.holder}; wait for its end, or choose "
                "another name"
            ) from None

    def write_beside(self, data: Callable[[], Buffer]) -> None:
        """Write what a call gives, in a thread; what goes wrong is raised by what is done next."""
        from concurrent.futures import ThreadPoolExecutor

        self._wait()
        self._thread = self._thread or ThreadPoolExecutor(1)
        self._writing = self._thread.submit(lambda: self._write(data()))

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def write(self, data: Buffer) -> None:
        self._wait()
        self._write(data)

    def _write(self, data: Buffer) -> None:
        if self._on_screen:
            data = printable(bytes(data).decode(errors="replace"), keep="\n").encode()
        # once for every row: without the context manager
        try:
            self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failed(error) from None

    def flush(self) -> None:
        self._wait()
        with self._explained():
            self._file.flush()

    def position(self) -> Place | None:
        """Put all on disk; its number of bytes and their checksum. None for a pipe."""
        self.flush()
        if not isinstance(self._file, DiskFile):
            return None
        with self._explained():
            return self._file.sync()

    def go_to(self, position: tuple[int, int | None] | None) -> None:
        """Cut it back to a place.

        Raises
        ------
        InputError
            If what stands before that place is not what was written.
        """
        self._wait()
        if position is None or not isinstance(self._file, DiskFile):
            return
        place = Place(*position)
        if (length := self._file.length) < place.length:
            raise InputError(
                f"{self.option} {self.path} has {length:,} bytes, and had {place.length:,} at the "
                "checkpoint; put it back, or start afresh without --resume"
            )
        try:
            with self._explained():
                self._file.cut(place)
        except ChangedError:
            raise InputError(
                f"{self.option} {self.path} was changed after the checkpoint: its first "
                f"{place.length:,} bytes are not those that were written; put it back, or start "
                "afresh without --resume"
            ) from None

    def finish(self) -> None:
        """Put it in its place."""
        self.position()
        if self._part is not None:
            with self._explained():
                rename(self._part, self.path)

    def close(self) -> None:
        """Let go of it; what has not been put in its place goes."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._replaced is not None:
            os.close(self._replaced)
            self._replaced = None
        if self._file is sys.stdout.buffer:
            return
        with suppress(OSError):
            self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{self.option} {self.path} cannot be written: {error.strerror}")


class Beneath(Protocol):
    """What an output is written into: a file, or a table in one."""

    def flush(self) -> None: ...

    def position(self) -> Place | None: ...

    def go_to(self, position: tuple[int, int | None] | None) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class Onto:
    """An output that stands where what is beneath it stands.

    Parameters
    ----------
    beneath
        The file or table.
    """

    def __init__(self, beneath: Beneath) -> None:
        self.flush = beneath.flush
        self.position = beneath.position
        self.go_to = beneath.go_to
        self.finish = beneath.finish
        self.close = beneath.close

    def begin(self) -> None:
        self.go_to(START)


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
        self.write_beside = file.write_beside

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


class _TableSink(Onto):
    """A sink that is a table."""

    def __init__(self, file: File, columns: Mapping[str, type], form: str | None = None) -> None:
        kind = Parquet if (form or form_of(file.path)) == "parquet" else Csv
        self.table: Csv | Parquet = kind(file, columns)
        super().__init__(self.table)

    def begin(self) -> None:
        self.table.begin()


class Labels(_TableSink):
    """Labelled rows: time, key and values as they were, and the columns ADDED.

    A regime can be given a name in a checkpoint only. With one there is the column NAMED as well,
    last, empty where a regime has no name. Where the labels of a batch came later, there is the
    column CAUSAL.
    """

    def __init__(
        self,
        file: File,
        source: Source,
        form: str | None = None,
        named: bool = False,
        later: bool = False,
    ) -> None:
        self._timed = source.time is not None
        self._keyed = source.key is not None
        self._as_lines = not file.escapes_formulas
        self._named = named
        self._later = later
        more: dict[str, type] = {NAMED: str} if named else {}
        if later:
            more[CAUSAL] = int
        added = (*ADDED, *more)
        names = (*_named(source.time), *_named(source.key), *source.values)
        if taken := next((name for name in names if name in added), None):
            raise InputError(
                f"{source.name}, line 1, column {taken!r}: the labels file adds a column of this "
                "name; rename the input's"
            )
        columns: dict[str, type] = dict.fromkeys((*_named(source.time), *_named(source.key)), str)
        columns.update(dict.fromkeys(source.values, float))
        columns.update(zip(ADDED, (int, float, bool, bool), strict=True))
        columns.update(more)
        super().__init__(file, columns, form)

    def write(self, labelled: LabelledBatch) -> None:
        batch, answers = labelled.batch, labelled.answers
        if not len(batch):
            return
        if isinstance(self.table, Parquet):
            columns: list[Any] = [batch.texts.times()] if self._timed else []
            columns += [batch.keys] if self._keyed else []
            columns += list(batch.values.T)
            its = (answers.labels, answers.probabilities, answers.outliers, labelled.changes > 0)
            called = [[name or None for name in labelled.name_of_each()]] if self._named else []
            causal = [labelled.causal_labels] if self._later else []
            self.table.put_columns([*columns, *its, *called, *causal])
        elif self._as_lines and can_be_lines(labelled):
            more = [labelled.name_of_each()] if self._named else []
            more += [list(map(str, labelled.causal_labels.tolist()))] if self._later else []
            self.table.write_beside(lambda: labelled_lines(labelled, more))
        else:
            rows = zip(
                labelled.rows(),
                labelled.name_of_each(),
                labelled.causal_labels.tolist(),
                strict=True,
            )
            for (row, (label, probability, _, outlier), change), name, causal_label in rows:
                time = (row.time,) if self._timed else ()
                key = (row.key,) if self._keyed else ()
                known = (label, f"{probability:.6g}", int(outlier), int(change > 0))
                name_cell = (name,) if self._named else ()
                causal_cell = (causal_label,) if self._later else ()
                self.table.put((*time, *key, *row.texts, *known, *name_cell, *causal_cell))


class Segments(_TableSink):
    """Segments; their start and end are times as they stand in the input, or rows without."""

    def __init__(self, file: File, source: Source, named: bool = False) -> None:
        self._timed = source.time is not None
        self._keyed = source.key is not None
        self._values = source.values
        self._named = named
        moment = str if self._timed else int
        columns: dict[str, type] = dict.fromkeys(_named(source.key), str)
        columns |= {"start": moment, "end": moment, "label": int, "n": int, "probability": float}
        for name in source.values:
            columns |= {f"mean_{name}": float, f"sd_{name}": float}
        if named:
            columns[NAMED] = str
        super().__init__(file, columns)

    def write(self, labelled: LabelledBatch) -> None:
        for _, key, segment, name in labelled.ended():
            self._put(key, segment, name)

    def _put(self, key: str, segment: Segment, name: str) -> None:
        keys = (key,) if self._keyed else ()
        when = (moment[self._timed] for moment in (segment.start, segment.end))
        probability: object = segment.probability
        numbers = (of[name] for name in self._values for of in (segment.mean, segment.sd))
        shown: Iterable[object] = (None if math.isnan(number) else number for number in numbers)
        if not self.table.typed:
            probability = f"{segment.probability:.6g}"
            shown = ("" if number is None else f"{number:.10g}" for number in shown)
        called = (name or None,) if self._named else ()
        self.table.put((*keys, *when, segment.label, segment.n, probability, *shown, *called))


class Lines(Onto):
    """Labelled rows as JSON, one object a line."""

    def __init__(self, file: File, source: Source) -> None:
        super().__init__(file)
        self._source = source
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def write(self, labelled: LabelledBatch) -> None:
        encode, source = self._encode, self._source
        rows = zip(labelled.rows(), labelled.name_of_each(), strict=True)
        messages = [as_message(*its, source, name) for its, name in rows]
        if labelled.causal is not None:
            for message, label in zip(messages, labelled.causal.tolist(), strict=True):
                message[CAUSAL] = label
        lines = [encode(message) for message in messages]
        if lines:
            self._file.write(b"\n".join([*lines, b""]))


def as_message(
    row: Row, assignment: Assignment, change: int, source: Source, name: str = ""
) -> dict[str, Any]:
    """A labelled row as a JSON object has it; a missing value is null, and no name is left out."""
    label, probability, _, outlier = assignment
    message: dict[str, Any] = {"n": row.line}
    if source.time is not None:
        message["time"] = row.time
    if source.key is not None:
        message["key"] = row.key
    message["values"] = row.values
    message["label"] = label
    if name:
        message["name"] = name
    message["probability"] = round(probability, 6)
    message["outlier"] = outlier
    message["change"] = change > 0
    return message


def form_of(path: Path) -> str:
    """The format that the name of a file asks for."""
    return FORMS.get(path.suffix.lower(), "csv")


def _named(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
