"""Checkpoints: where a replay is, on disk, so that it can be killed and go on.

A whole checkpoint is written beside the one before it, forced to disk, and put in its place by
renaming; so there is a whole one at any moment. The one before is kept as well. What changes after
it is appended to a log, which is read after it; when the log is long, the two make a new whole one.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from replay.engine.disk import DiskFile, HeldError, locked_folder, rename, sync_folder
from replay.engine.rows import InputError, OutputError

MAGIC = b"OGMM-CP\n"
VERSION = 3
NAME = "checkpoint"
BEFORE = "checkpoint.before"
LOG = "checkpoint.log"
LENGTH = struct.Struct("<Q")
DIGEST = 16
LOG_MAGIC = b"OGMM-CL\n"
END = 2**64 - 1
"""In the place of a length: what follows completes an entry of the log."""
LONGEST = 4.0
"""Times as long as the whole checkpoint that its log may be."""
LEAST = 1 << 20
"""Bytes that a log may have in any case."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint holds beside the states of its series.

    Parameters
    ----------
    options
        The options of the replay. One that resumes must have the same.
    rows
        Rows read so far.
    source, sinks, refusals
        Their positions.
    shared
        The state of the model that all keys share; None if each has its own.
    """

    options: dict[str, Any]
    rows: int
    source: dict[str, Any]
    sinks: dict[str, Any]
    refusals: Any
    shared: bytes | None = None


class Checkpoints:
    """A folder with the last checkpoint, what was added to it, and the checkpoint before it.

    Parameters
    ----------
    folder
        Where they are; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log: _Log | None = None
        self._most = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from saving here.

        Raises
        ------
        OutputError
            If another process does so already, or the folder cannot be made.
        """
        try:
            handle = locked_folder(self.folder)
        except HeldError as error:
            raise OutputError(
                f"--checkpoint {self.folder} is written to by {error.holder}; wait for its end, or "
                "choose another folder"
            ) from None
        except OSError as error:
            raise OutputError(
                f"--checkpoint {self.folder} is no folder that can be written to: {error.strerror}"
            ) from None
        try:
            yield
        finally:
            self._close_log()
            os.close(handle)

    @property
    def exists(self) -> bool:
        return any((self.folder / name).exists() for name in (NAME, BEFORE))

    def save(self, header: Header, series: Iterable[tuple[str, bytes]]) -> None:
        """Put a checkpoint on disk; when this returns it outlives any crash.

        Raises
        ------
        OutputError
            If it cannot be written; the ones before are still there.
        """
        part, last = self.folder / f"{NAME}.part", self.folder / NAME
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            file = DiskFile(part, new=True, mode=0o600)
            try:
                digest = _write(file, header, series)
                file.sync()
            finally:
                file.close()
            if last.exists():
                os.replace(last, self.folder / BEFORE)
            rename(part, last)
            # one that is left by a kill belongs to another checkpoint, and is not read
            self._close_log()
            log = self.folder / LOG
            log.unlink(missing_ok=True)
            self._log = _Log(log, digest)
            sync_folder(self.folder)
            self._most = max(int(LONGEST * file.length), LEAST)
        except OSError as error:
            raise _unwritten(part, error) from None

    @property
    def can_add(self) -> bool:
        """Whether there is a checkpoint of this process, to which changes can be added."""
        return self._log is not None

    def put(self, key: str, state: bytes) -> None:
        """Write the state of a series ahead of the next `add`, which makes it count.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        assert self._log is not None
        try:
            self._log.put(key, state)
        except OSError as error:
            raise _unwritten(self.folder / LOG, error) from None

    def add(self, header: Header, changed: Iterable[tuple[str, bytes]], new: Sequence[str]) -> None:
        """Add to the last checkpoint what has changed; when this returns it outlives any crash.

        Parameters
        ----------
        standing
            How far the replay is.
        changed
            The series that have changed, but for those that were `put` and have not changed since.
        new
            Keys that the checkpoint does not know, in the order in which they have come.

        Raises
        ------
        OutputError
            If it cannot be written; all before is still there.
        """
        assert self._log is not None
        try:
            for key, state in changed:
                self._log.put(key, state)
            length = self._log.end(header, new)
        except OSError as error:
            raise _unwritten(self.folder / LOG, error) from None
        if length > self._most:
            self.save(*self.load())

    def _close_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with suppress(OSError):
                log.file.close()

    def load(self) -> tuple[Header, Iterator[tuple[str, bytes]]]:
        """Read the last whole checkpoint, and the states of its series by key.

        Raises
        ------
        InputError
            If there is none, or none is whole.
        """
        problems = []
        for name in (NAME, BEFORE):
            path = self.folder / name
            if not path.exists():
                continue
            try:
                header, series, digest = _read(path)
                log = self.folder / LOG
                if log.exists():
                    return _with_log(log, digest, header, series)
                return header, series
            except _DamagedError as error:
                problems.append(f"{path} {error}")
            except OSError as error:
                problems.append(f"{path} cannot be read: {error.strerror}")
        raise InputError("; ".join(problems) or f"there is no checkpoint in {self.folder}")


class _DamagedError(Exception):
    """A file of a checkpoint is damaged; the message says how."""


class _Log:
    """What is added to a checkpoint: an entry each time.

    Parameters
    ----------
    path
        Where it is made.
    base
        The checksum of the checkpoint to which it is added.
    """

    def __init__(self, path: Path, base: bytes) -> None:
        self.file = DiskFile(path, new=True, mode=0o600)
        self._digest = hashlib.blake2b(digest_size=DIGEST)
        self.file.write(LOG_MAGIC + base)

    def put(self, key: str, state: bytes) -> None:
        name = key.encode("utf-8", "surrogatepass")
        self._write(LENGTH.pack(len(name)), name, LENGTH.pack(len(state)), state)

    def end(self, header: Header, new: Sequence[str]) -> int:
        """Complete an entry on disk, and return the length of the log."""
        record = msgspec.msgpack.encode((header, list(new)))
        self._write(LENGTH.pack(END), LENGTH.pack(len(record)), record)
        self.file.write(self._digest.digest())
        self._digest = hashlib.blake2b(digest_size=DIGEST)
        self.file.sync()
        return self.file.length

    def _write(self, *parts: bytes) -> None:
        for part in parts:
            self._digest.update(part)
            self.file.write(part)


def _unwritten(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the checkpoint {path} cannot be written: {error.strerror}; make room there, and "
        "go on from the one before with --resume"
    )


def _write(file: DiskFile, header: Header, series: Iterable[tuple[str, bytes]]) -> bytes:
    """Write a whole checkpoint, and return its checksum."""
    digest = hashlib.blake2b(digest_size=DIGEST)

    def put(data: bytes) -> None:
        for part in (LENGTH.pack(len(data)), data):
            digest.update(part)
            file.write(part)

    start = MAGIC + LENGTH.pack(VERSION)
    digest.update(start)
    file.write(start)
    put(msgspec.msgpack.encode(header))
    for key, state in series:
        put(msgspec.msgpack.encode(key))
        put(state)
    file.write(digest.digest())
    return digest.digest()


def _read(path: Path) -> tuple[Header, Iterator[tuple[str, bytes]], bytes]:
    """Read a whole checkpoint and its checksum."""
    size = path.stat().st_size
    digest = hashlib.blake2b(digest_size=DIGEST)
    with path.open("rb") as file:
        left = size - DIGEST
        while left > 0 and (data := file.read(min(left, 1 << 20))):
            digest.update(data)
            left -= len(data)
        if file.read() != digest.digest():
            raise _DamagedError("is damaged or cut off: its checksum differs")
        file.seek(0)
        start = file.read(len(MAGIC) + LENGTH.size)
        if start[: len(MAGIC)] != MAGIC:
            raise _DamagedError("is no checkpoint")
        (version,) = LENGTH.unpack(start[len(MAGIC) :])
        if version != VERSION:
            raise _DamagedError(
                f"is of version {version}, and this release reads version {VERSION}; go on with "
                "the release that wrote it, or start afresh"
            )
        records = _records(file, size - DIGEST)
        try:
            header = msgspec.msgpack.decode(next(records, b""), type=Header)
        except msgspec.MsgspecError as error:
            raise _DamagedError(f"is damaged: {error}") from None
        start_of_series = file.tell()
    return header, _series(path, start_of_series, size - DIGEST), digest.digest()


def _with_log(
    path: Path, base: bytes, header: Header, series: Iterator[tuple[str, bytes]]
) -> tuple[Header, Iterator[tuple[str, bytes]]]:
    """Return a checkpoint with the complete entries of its log applied to it."""
    places: dict[str, tuple[int, int]] = {}
    new: list[str] = []
    for entry in _entries(path, base):
        header = entry.header
        places.update(entry.places)
        new += entry.new

    def merged() -> Iterator[tuple[str, bytes]]:
        with path.open("rb") as file:

            def state_of(key: str) -> bytes:
                start, length = places[key]
                file.seek(start)
                return file.read(length)

            for key, state in series:
                yield key, state_of(key) if key in places else state
            for key in new:
                yield key, state_of(key)

    return header, merged()


class _Entry(NamedTuple):
    """An entry of a log: where it puts the replay, and the place of each state in the file."""

    header: Header
    new: list[str]
    places: dict[str, tuple[int, int]]


def _entries(path: Path, base: bytes) -> Iterator[_Entry]:
    """The entries of a log that are complete, if it belongs to a checkpoint of this checksum."""
    end = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(LOG_MAGIC) + DIGEST) != LOG_MAGIC + base:
            return
        digest = hashlib.blake2b(digest_size=DIGEST)
        places: dict[str, tuple[int, int]] = {}

        def read(length: int) -> bytes | None:
            if length > end - file.tell():
                return None
            data = file.read(length)
            digest.update(data)
            return data

        def field(head: bytes | None) -> bytes | None:
            return None if head is None else read(LENGTH.unpack(head)[0])

        while (head := read(LENGTH.size)) is not None:
            if LENGTH.unpack(head)[0] != END:
                name, length = field(head), read(LENGTH.size)
                start = file.tell()
                if name is None or field(length) is None:
                    return
                places[name.decode("utf-8", "surrogatepass")] = start, file.tell() - start
                continue
            record = field(read(LENGTH.size))
            if record is None or file.read(DIGEST) != digest.digest():
                return
            header, new = msgspec.msgpack.decode(record, type=tuple[Header, list[str]])
            yield _Entry(header, new, places)
            digest, places = hashlib.blake2b(digest_size=DIGEST), {}


def _records(file: BinaryIO, end: int) -> Iterator[bytes]:
    while (left := end - file.tell()) > 0:
        (length,) = LENGTH.unpack(file.read(LENGTH.size)) if left >= LENGTH.size else (end,)
        if length > left - LENGTH.size:
            raise _DamagedError("is damaged: a record is longer than the file")
        yield file.read(length)


def _series(path: Path, start: int, end: int) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        file.seek(start)
        records = _records(file, end)
        for key in records:
            yield msgspec.msgpack.decode(key, type=str), next(records)
