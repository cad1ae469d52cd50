"""Bytes as a file that nobody would write: cells, delimiters, quotes, line ends, encodings.

Whatever is in a file, it is read, or an `InputError` says what is wrong with it. Lines that pyarrow
cuts and lines that are read one by one say the same of it: the same values, times, keys, refusals
and errors.
"""

from __future__ import annotations

import gzip
import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from replay.engine.rows import InputError
from replay.sources import csv_file
from replay.sources.csv_format import Style
from replay.sources.opening import Files
from replay.sources.read_options import ReadOptions
from tests.fuzz.points import Story

CELLS = (
    *("1", "2.5", "-3", "1e5", "0", "", " ", "nan", "NA", "null", "-", "x", "inf", "1e400", "5."),
    *("1,5", "1.234,5", "1'000", "1_0", "0x1p3", "7 bar", "12%", "$3", "true", "²", "\x1b[2J"),
    *("2026-01-02", "2026-01-02T03:04:05Z", "01/02/2026 03:04", "12:30", "1767322800", "t", "a"),
    *("100000000000000000000", "1.0000000000000000000001", "é", "\ufeff", "\x00", '"', '""', "'"),
)
DELIMITERS = (",", ",", ",", ";", "\t", "|", " ")
LINE_ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", "")
IN_MEMORY = Path("/dev/shm")
"""Where files are quick, on Linux."""
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32")


def content(story: Story) -> bytes:
    """A file: mostly rows of one width, with whatever in between."""
    how = story.byte()
    if how < 24:
        data = bytes(story.byte() for _ in range(1 + story.byte() % 120))
    else:
        text = "".join(lines(story))
        data = text.encode(story.among(ENCODINGS), "replace")
    if how % 32 == 25:
        data = gzip.compress(data, 1)
        if story.byte() % 2:
            data = data[: story.byte()]
    return data


def lines(story: Story) -> Iterator[str]:
    delimiter, width = story.among(DELIMITERS), 1 + story.byte() % 4
    end = story.among(LINE_ENDS[:4]) if story.byte() % 4 else story.among(LINE_ENDS)
    header = delimiter.join("abcd"[:width])
    if story.byte() % 8:
        yield header + end
    for row in range(3 + story.byte() % 24):
        kind = story.byte()
        if kind < 160:
            numbers = [f"{(row * 7 + j * 3) % 10}.{kind % 10}" for j in range(width)]
            yield delimiter.join(numbers) + end
        elif kind < 224:
            cells = [cell(story, delimiter) for _ in range(width)]
            yield delimiter.join(cells) + end
        elif kind < 240:
            yield delimiter.join(cell(story, delimiter) for _ in range(story.byte() % 7)) + end
        elif kind < 248:
            # as where files were joined to one
            yield story.among(("", "\ufeff")) + story.among(("", header + end, "  " + end))
        else:
            yield story.among(("#", "# a", "\n", '"', "a\0b", delimiter * 9, "{}", "[1]\n"))
            yield story.among(LINE_ENDS)


def cell(story: Story, delimiter: str) -> str:
    text: str = story.among(CELLS)
    how = story.byte()
    if how < 64 or delimiter in text:
        return '"' + (text.replace('"', '""') if how % 16 else text) + '"'
    return text if how < 240 else " " + text + " "


def options(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = {"on_bad": story.among(("raise", "skip", "missing"))}
    how = story.byte()
    if how < 40:
        found["key"] = "a"
    if how % 4 == 0:
        found["values"] = ("b",)
    if how % 8 == 1:
        found |= {"time": "a", "timed": True}
    if how % 16 == 3:
        found["missing"] = ("x",)
    if how % 16 == 5:
        found["unit"] = ("bar",)
    return found


@cache
def folder() -> Path:
    """One for all files, which goes with the process."""
    its = tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    folder.kept = its  # type: ignore[attr-defined]
    return Path(its.name)


@contextmanager
def cut_from(size: int) -> Iterator[None]:
    """Files of so many bytes are cut by pyarrow."""
    before, csv_file.SMALL = csv_file.SMALL, size
    try:
        yield
    finally:
        csv_file.SMALL = before


def said(path: Path, asked: dict[str, Any], style: Style) -> list[Any]:
    """All that a file says, as text: its rows, what was refused, and how it ended."""
    read: list[Any] = []
    reading = ReadOptions(**asked)
    try:
        source = Files([str(path)], reading, style)
        read.append((source.values, source.time, source.key))
        while (batch := source.next_batch(1 << 12)) is not None:
            for i in range(len(batch)):
                row = batch.row(i)
                values = [value.hex() for value in row.values.values()]
                seconds = None if row.seconds is None else float(row.seconds).hex()
                read.append((row.line, values, row.key, row.time, seconds))
                assert seconds is None or math.isfinite(float.fromhex(seconds)), seconds
        read.append(("refused", str(reading.refusals.first), dict(reading.refusals.counts)))
    except InputError as error:
        read.append(("error", str(error)))
    return read


def run(data: bytes) -> int:
    """Read a file in both ways; raises what should never be raised. Rows read."""
    story = Story(data)
    asked = options(story)
    style = Style(delimiter=story.among((None, None, None, ",", ";", " ")))
    suffix = story.among((".csv",) * 6 + (".jsonl", ".txt"))
    path = folder() / f"rows{suffix}"
    path.write_bytes(content(story))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with cut_from(1 << 18):
            read = said(path, asked, style)
        with cut_from(0):
            again = said(path, asked, style)
    # an error that a batch ends with is raised before the batch is given
    same = read == again or (read[-1][0] == "error" and read[-1] == again[-1])
    assert same, f"read one by one: {read}, cut: {again}"
    return len(read)
