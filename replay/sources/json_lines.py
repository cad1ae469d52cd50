"""Lines of JSON as a stream of rows: of a file, or of standard input as they come."""

from __future__ import annotations

import os
import select
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from replay.engine.rows import CutOffError, InputError, Row
from replay.sources.asked import LOOKED_AT, Asked, split_names
from replay.sources.file_source import FileSource
from replay.sources.message import LIMIT, Messages, fields_with_numbers
from replay.sources.reading import Input

IDLE = 0.1
"""Seconds after which a pipe without news is said to be idle."""
CHUNK = 1 << 16
"""Bytes read of a pipe at a time."""


class JsonLines(FileSource):
    """The rows of a file with one JSON object a line, plain or gzipped; a `Source`.

    Parameters
    ----------
    source
        The file.
    asked
        What is asked of it.

    Raises
    ------
    InputError
        At once if the file cannot be read, or the values cannot be chosen; and while iterating at
        the first line that is not as it should be, if that is asked for.
    """

    def __init__(self, source: Input, asked: Asked | None = None) -> None:
        super().__init__(source)
        asked = asked or Asked()
        asked = replace(asked, values=split_names(asked.values))
        if not asked.values:
            asked = replace(asked, values=(self._only_value(asked),))
        self._messages = Messages(asked)
        self._hand_on(asked)
        self._line = self._place = 0
        self._start: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Row]:
        start, self._start = self._start, None
        self._line = self._place = 0
        try:
            with self._input.open() as stream:
                if start is not None:
                    self._skip(stream, start)
                while line := stream.readline(LIMIT + 1):
                    n = len(line)
                    while not line.endswith(b"\n") and (rest := stream.readline(LIMIT)):
                        # too long: the reader of messages says so, and needs only the first part
                        n += len(rest)
                        if rest.endswith(b"\n"):
                            break
                    row = self._messages.taken(self.name, self._line + 1, line)
                    self._line += 1
                    self._place += n
                    if row is not None:
                        yield row
        except (EOFError, zlib.error) as error:
            raise CutOffError(
                f"{self.name}, line {self._line + 1}: the gzip data is damaged or cut off here "
                f"({error}); fetch it again"
            ) from None

    def _skip(self, stream: BinaryIO, start: dict[str, Any]) -> None:
        self._line, self._place = start["lines"], start["bytes"]
        left = self._place
        while left and (data := stream.read(min(left, CHUNK))):
            left -= len(data)
        if left:
            raise self._input.changed()

    def _only_value(self, asked: Asked) -> str:
        """The only field with numbers in the first lines."""
        with self._input.open() as stream:
            lines = list(islice(iter(lambda: stream.readline(LIMIT), b""), LOOKED_AT))
        fields = fields_with_numbers(lines, asked)
        if len(fields) == 1:
            return fields[0]
        what = "these fields all hold numbers" if fields else "no field holds numbers"
        which = f", field {', '.join(map(repr, fields))}" if fields else ""
        raise InputError(f"{self.name}{which}: {what}; choose with --value")

    @property
    def position(self) -> dict[str, Any]:
        """Lines and bytes that are done with, and by what the file is known again."""
        return {
            "lines": self._line,
            "bytes": self._place,
            "known_by": self._input.known_by(self._place),
        }

    def go_to(self, position: dict[str, Any]) -> None:
        self._input.must_be(position["known_by"])
        self._start = position


class LiveLines:
    """The rows of standard input with one JSON object a line, as they come; a `Source`.

    None is handed on when nothing has come for IDLE seconds. What has gone by is gone: after a stop
    it goes on with what comes then.

    Parameters
    ----------
    asked
        What is asked of it, with values.
    """

    name = "standard input"
    files: tuple[Path, ...] = ()
    wants_acknowledgement = False
    size = None

    def __init__(self, asked: Asked) -> None:
        self._messages = Messages(asked)
        self.values = asked.values
        self.time = asked.time
        self.key = asked.key
        self.timed = asked.is_timed
        self._line = 0
        self.done = 0

    def __iter__(self) -> Iterator[Row | None]:
        for line in _lines(sys.stdin.fileno()):
            if line is None:
                yield None
                continue
            row = self._messages.taken(self.name, self._line + 1, line)
            self._line += 1
            self.done += len(line)
            yield row

    @property
    def position(self) -> dict[str, Any]:
        """Lines that have gone by."""
        return {"lines": self._line}

    def go_to(self, position: dict[str, Any]) -> None:
        self._line = position["lines"]

    def acknowledge(self) -> None:
        """Nothing: nobody keeps the lines."""

    def close(self) -> None:
        """Nothing: an iteration lets go of what it opens."""


def _lines(descriptor: int) -> Iterator[bytes | None]:
    """Lines as they come, of the longest ones only the start; None when there are none."""
    begun = b""
    while True:
        if not select.select([descriptor], [], [], IDLE)[0]:
            yield None
            continue
        data = os.read(descriptor, CHUNK)
        *lines, begun = (begun + data).split(b"\n")
        yield from lines
        # enough to see that it is too long
        begun = begun[: LIMIT + 1]
        if not data:
            if begun:
                yield begun
            return
