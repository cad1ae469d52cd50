"""Checkpoints: where a replay is, on disk, so that it can be killed and go on.

A checkpoint is written beside the one before it, forced to disk, and put in its place by renaming;
so there is a whole one at any moment. The one before is kept as well.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from replay.engine.disk import DiskFile, HeldError, locked_folder, rename
from replay.engine.rows import InputError, OutputError

MAGIC = b"OGMM-CP\n"
VERSION = 2
NAME = "checkpoint"
BEFORE = "checkpoint.before"
LENGTH = struct.Struct("<Q")
DIGEST = 16


@dataclass(frozen=True)
class Standing:
    """How far a replay is, but for its series.

    Parameters
    ----------
    told
        What the replay was told; one that goes on must be told the same.
    rows
        Rows taken.
    source, sinks, refusals
        Where they are.
    """

    told: dict[str, Any]
    rows: int
    source: dict[str, Any]
    sinks: dict[str, Any]
    refusals: Any


class Checkpoints:
    """A folder with the last checkpoint and the one before it.

    Parameters
    ----------
    folder
        Where they are; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
            os.close(handle)

    @property
    def exists(self) -> bool:
        return any((self.folder / name).exists() for name in (NAME, BEFORE))

    def save(self, standing: Standing, series: Iterable[tuple[str, bytes]]) -> None:
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
                _write(file, standing, series)
                file.sync()
            finally:
                file.close()
            if last.exists():
                os.replace(last, self.folder / BEFORE)
            rename(part, last)
        except OSError as error:
            raise OutputError(
                f"the checkpoint {part} cannot be written: {error.strerror}; make room there, and "
                "go on from the one before with --resume"
            ) from None

    def load(self) -> tuple[Standing, Iterator[tuple[str, bytes]]]:
        """The last whole checkpoint, and the states of its series by key.

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
                return _read(path)
            except _DamagedError as error:
                problems.append(f"{path} {error}")
            except OSError as error:
                problems.append(f"{path} cannot be read: {error.strerror}")
        raise InputError("; ".join(problems) or f"there is no checkpoint in {self.folder}")


class _DamagedError(Exception):
    """What is wrong with a file."""


def _write(file: DiskFile, standing: Standing, series: Iterable[tuple[str, bytes]]) -> None:
    digest = hashlib.blake2b(digest_size=DIGEST)

    def put(data: bytes) -> None:
        for part in (LENGTH.pack(len(data)), data):
            digest.update(part)
            file.write(part)

    start = MAGIC + LENGTH.pack(VERSION)
    digest.update(start)
    file.write(start)
    put(msgspec.msgpack.encode(standing))
    for key, state in series:
        put(msgspec.msgpack.encode(key))
        put(state)
    file.write(digest.digest())


def _read(path: Path) -> tuple[Standing, Iterator[tuple[str, bytes]]]:
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
            standing = msgspec.msgpack.decode(next(records, b""), type=Standing)
        except msgspec.MsgspecError as error:
            raise _DamagedError(f"is damaged: {error}") from None
        start_of_series = file.tell()
    return standing, _series(path, start_of_series, size - DIGEST)


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
