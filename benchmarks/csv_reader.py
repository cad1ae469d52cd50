"""A whole replay by our own reader of CSV, beside one that reads with pyarrow.

``python -m benchmarks.csv_reader [ROWS]``. Both write the same labels: cells are copied as they
were written, so pyarrow reads texts and casts them to numbers. Its reader uses all cores.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.replay import VALUES, source_of, write_file
from benchmarks.report import Row, Section, tell
from benchmarks.timing import side_by_side
from replay.cli.options.output import Outputs
from replay.cli.running import replay_source
from replay.engine.batch import Batch, CutTexts, Places
from replay.engine.settings import Settings
from replay.sources.file_source import BatchSource

N = 2_000_000
ROUNDS = 5
MOST = 1.25
"""Times as slow as ours at which pyarrow's reader is still the better choice."""


class ArrowCsv(BatchSource):
    """A plain CSV file with a time and values, read by pyarrow; a `Source`."""

    wants_acknowledgement = False
    said = ()
    key = None
    timed = False
    done = 0
    size = None

    def __init__(self, path: Path, values: tuple[str, ...], time: str) -> None:
        super().__init__()
        self.name, self.files = str(path), (path,)
        self.values, self.time = values, time
        self._path = path
        self.position: dict[str, Any] = {}

    def _batches(self) -> Generator[Batch, None, None]:
        names = [self.time, *self.values]
        options = csv.ConvertOptions(
            include_columns=names, column_types=dict.fromkeys(names, pa.string())
        )
        places = Places(0, None, tuple(range(1, len(names))))
        n = 2
        with csv.open_csv(self._path, convert_options=options) as reader:
            for batch in reader:
                rows = len(batch)
                texts, base = bytearray(), 0
                starts = np.empty((rows, len(names)), np.int32)
                ends = np.empty_like(starts)
                for j, column in enumerate(batch.columns):
                    _, offsets, data = column.buffers()
                    at = np.frombuffer(offsets, np.int32)[column.offset :][: rows + 1]
                    starts[:, j], ends[:, j] = at[:-1] + base, at[1:] + base
                    texts += data
                    base = len(texts)
                values = np.column_stack(
                    [column.cast(pa.float64()).to_numpy() for column in batch.columns[1:]]
                )
                cut = CutTexts(texts, starts, ends, places, True)
                lines = np.arange(n, n + rows)
                n += rows
                yield from self._in_parts(Batch(self.values, values, cut, lines))

    def acknowledge(self) -> None:
        pass

    def go_to(self, position: dict[str, Any]) -> None:
        raise NotImplementedError


def side(clock: Callable[[], float], source: Callable[[], Any], labels: Path, n: int) -> float:
    """Seconds a row of a replay."""
    begun = clock()
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        replay_source(source(), Settings(), Outputs(labels))
    return (clock() - begun) / n


def run(n: int = N) -> Section:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        path, ours, theirs = (Path(name, its) for its in ("rows.csv", "ours.csv", "arrow.csv"))
        write_file(path, n, 4)
        clocks = {"elapsed": time.perf_counter, "processor time": time.process_time}
        for what, clock in clocks.items():
            times = side_by_side(
                {
                    "ours": lambda c=clock: side(c, lambda: source_of(path), ours, n),
                    "pyarrow": lambda c=clock: side(
                        c, lambda: ArrowCsv(path, VALUES, "time"), theirs, n
                    ),
                },
                ROUNDS,
            )
            assert ours.read_bytes() == theirs.read_bytes()
            ratio = times.ratio("pyarrow", "ours")
            rows.append(Row(f"replay by pyarrow's reader / by ours, {what}", str(ratio)))
    rows.append(Row("ours is kept where the elapsed ratio is above", f"{MOST:g}"))
    text = (
        f"{n:,} rows of a time and three values, to labels, a mixture of 3 regimes, on "
        f"{os.cpu_count()} cores. The labels of both are byte-identical. Medians; in brackets the "
        f"least and the most of {ROUNDS} rounds."
    )
    return Section("The reader of CSV", rows, text)


if __name__ == "__main__":
    tell(lambda: run(*map(int, sys.argv[1:])))
