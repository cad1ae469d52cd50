"""Files on disk: one writer each, known to the byte, and a failed write is final."""

from __future__ import annotations

import errno
import fcntl
import os
import zlib
from pathlib import Path
from typing import NamedTuple

Buffer = bytes | bytearray | memoryview
BUFFER = 1 << 16
"""Bytes that are held in memory until they are written together."""
LOCKS = Path("/proc/locks")
"""Where Linux lists who holds which lock."""


class Place(NamedTuple):
    """A place in a file, and what stands before it.

    Parameters
    ----------
    length
        Number of bytes.
    checksum
        Their CRC-32; None if it is not known.
    """

    length: int
    checksum: int | None


class ChangedError(Exception):
    """The bytes of a file are not those that were written."""


class HeldError(Exception):
    """A file or folder is locked by another process.

    Parameters
    ----------
    holder
        ``process 1234``, or ``another process`` where the system does not tell.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


class DiskFile:
    """A regular file that this process writes, and no other one.

    The file is locked as long as it is open. The system removes the lock when the process ends,
    however it ends. After a failed write or a failed fsync every further call fails too: nobody
    knows what is on disk then.

    Parameters
    ----------
    path
        Its name.
    new
        Whether the file is created. A file or link of this name is an error then. Otherwise an
        existing file is opened and kept as it is.
    mode
        Permissions of a file that is created.

    Raises
    ------
    OSError
        If it cannot be opened.
    HeldError
        If another process writes it.
    """

    def __init__(self, path: Path, new: bool = False, mode: int = 0o666) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        if new:
            flags |= os.O_EXCL | os.O_NOFOLLOW
        self._path = path
        self._checksum: int | None
        self._failure: OSError | None = None
        self._buffer = bytearray()
        self._handle = os.open(path, flags, mode)
        try:
            lock(self._handle)
            self._length = os.fstat(self._handle).st_size
            self._checksum = 0 if self._length == 0 else None
        except BaseException:
            os.close(self._handle)
            raise

    @property
    def length(self) -> int:
        """Bytes in the file, with those that are held in memory."""
        return self._length + len(self._buffer)

    def write(self, data: Buffer) -> None:
        """Append bytes.

        Raises
        ------
        OSError
            If they, or bytes before them, cannot be written.
        """
        if len(data) < BUFFER:
            self._buffer += data
            if len(self._buffer) < BUFFER:
                return
            data = b""
        self.flush()
        self._put(data)

    def flush(self) -> None:
        """Hand all bytes to the system, so that other processes can read them."""
        data, self._buffer = self._buffer, bytearray()
        self._put(data)

    def sync(self) -> Place:
        """Put all bytes on disk, and return their number and checksum.

        Raises
        ------
        OSError
            If that fails, or if the file is not as long as what was written.
        """
        self.flush()
        try:
            os.fsync(self._handle)
            found = os.fstat(self._handle).st_size
            if found != self._length:
                raise OSError(
                    errno.EIO,
                    f"it has {found:,} bytes where {self._length:,} were written; another program "
                    "changes it",
                )
        except OSError as error:
            self._failure = error
            raise
        return Place(self._length, self._checksum)

    def cut(self, place: Place) -> None:
        """Remove all bytes after a place.

        Raises
        ------
        OSError
            If that fails.
        ChangedError
            If the bytes before it are not those whose checksum the place has. Nothing is removed.
        """
        self._raise_failure()
        self._buffer.clear()
        found = _checksum(self._path, place.length)
        if place.checksum not in (None, found):
            raise ChangedError
        os.ftruncate(self._handle, place.length)
        self._length, self._checksum = place.length, found

    def close(self) -> None:
        """Close the file. Bytes in memory are written if that is possible."""
        try:
            if self._failure is None:
                self.flush()
        finally:
            os.close(self._handle)

    def _put(self, data: Buffer) -> None:
        self._raise_failure()
        left = memoryview(data)
        try:
            while left:
                n = os.write(self._handle, left)
                self._length += n
                if self._checksum is not None:
                    self._checksum = zlib.crc32(left[:n], self._checksum)
                left = left[n:]
        except OSError as error:
            self._failure = error
            raise

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _checksum(path: Path, length: int) -> int:
    """CRC-32 of the first bytes of a file."""
    found = 0
    if length:
        with path.open("rb") as file:
            while length and (data := file.read(min(length, 1 << 20))):
                found = zlib.crc32(data, found)
                length -= len(data)
    return found


def rename(old: Path, new: Path) -> None:
    """Rename a file, and put the new name on disk."""
    os.replace(old, new)
    sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def locked_folder(path: Path) -> int:
    """Make a folder if there is none, lock it, and return the handle that holds the lock.

    Raises
    ------
    OSError
        If it cannot be made or opened.
    HeldError
        If another process holds it.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in made:
        sync_folder(folder.parent)
    return locked(path)


def locked(path: Path) -> int:
    """Lock a file or folder that exists, and return the handle that holds the lock.

    Raises
    ------
    OSError
        If it cannot be opened.
    HeldError
        If another process holds it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def lock(handle: int) -> None:
    """Lock an open file or folder for this process.

    Raises
    ------
    HeldError
        If another process holds it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise HeldError(_holder(handle)) from None


def _holder(handle: int) -> str:
    """Who holds the lock of an open file."""
    inode = str(os.fstat(handle).st_ino)
    try:
        locks = [line.split() for line in LOCKS.read_text().splitlines()]
    except OSError:
        locks = []
    for words in locks:
        # 1: FLOCK ADVISORY WRITE 5988 fe:00:2146413 0 EOF
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and words[4] != "0":
            return f"process {words[4]}"
    return "another process"
