"""Files that can be cut back to a known place, or a pipe: what all outputs are written into."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

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
from replay.engine.rows import InputError, OutputError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

PARQUET = (".parquet", ".pq")
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LINES = (".ndjson", ".jsonl")
FORMS = {
    **dict.fromkeys(PARQUET, "parquet"),
    **dict.fromkeys(LINES, "ndjson"),
    **dict.fromkeys((".lp", ".influx"), "influx"),
}
"""Formats by the ends of names; all others are CSV."""
START = Place(0, None)


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
        """Write what a call returns, in a thread. An error is raised by the next method called."""
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
        """Put all on disk, and return the number of bytes and their checksum; None for a pipe."""
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
        """Close the file. A file that has not been put in its place is deleted."""
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


def form_of(path: Path) -> str:
    """The format that the name of a file asks for."""
    return FORMS.get(path.suffix.lower(), "csv")
