"""Files and pipes as bytes, packed or not."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

from replay.engine.rows import InputError

CHUNK = 1 << 17
"""Bytes read at a time."""
GZIP = b"\x1f\x8b"
PACKED = {GZIP: "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""What packed files begin with."""
ZIP = b"PK\x03\x04"
"""What archives begin with, and spreadsheets, which are some."""
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
HEAD = 1 << 16
"""Bytes of the start, at most, by which a file is known again."""
KEPT = 1 << 20
"""Bytes of the start of a pipe that can be read again, to find out what it holds."""


class Input:
    """A file, or standard input, that can be opened.

    Parameters
    ----------
    path
        Its name; ``-`` is standard input, of which only the first KEPT bytes can be read again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.piped = str(path) == "-"
        self.name = "standard input" if self.piped else str(path)
        self.packing = "gzip"
        self._raw: BinaryIO | None = None
        self._pipe: _Pipe | None = None
        self.size: int | None = None
        if self.piped:
            self._pipe = _Pipe.of(sys.stdin.buffer)
            return
        if path.is_dir():
            raise InputError(f"{path} is a folder; name its files, as in '{path / '*.csv'}'")
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {what}; give the path of a file")
        self.size = path.stat().st_size

    @property
    def done(self) -> int:
        """Bytes taken of it by what was opened last."""
        if self._raw is None:
            return 0
        return self.size or 0 if self._raw.closed else self._raw.tell()

    def head(self, n: int) -> bytes:
        """The first bytes of what it holds, at most so many; less if it is damaged there."""
        with self.open() as stream:
            parts: list[bytes] = []
            try:
                while n > 0 and (part := stream.read(n)):
                    parts.append(part)
                    n -= len(part)
            except (EOFError, zlib.error):
                pass
            return b"".join(parts)

    def is_smaller_than(self, n: int) -> bool:
        """Whether it is a file that holds fewer bytes."""
        return not self.piped and len(self.head(n)) < n

    def known_by(self, n: int) -> list[int | str]:
        """By what the file is known again, of the first n bytes that it holds."""
        head = b"" if self.piped else self.head(min(n, HEAD))
        return [len(head), digest(head)]

    def must_be(self, known_by: list[int | str]) -> None:
        """Refuse a file that is not the one of `known_by`."""
        if self.known_by(int(known_by[0])) != known_by:
            raise self.changed()

    def changed(self) -> InputError:
        """The error that says that the file is another one."""
        return InputError(
            f"{self.name} is not what it was when the checkpoint was made; put it back, or start "
            "afresh without --resume"
        )

    def open(self) -> BinaryIO:
        """What it holds, from the start, unpacked."""
        try:
            raw = self.path.open("rb") if self._pipe is None else self._pipe.again()
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}") from None
        self._raw = raw
        start = raw.peek(6)[:6] if isinstance(raw, io.BufferedReader) else b""
        if start.startswith(ZIP) and len(names := members_of(self.path)) == 1:
            self.packing = "zip"
            stream = zipfile.ZipFile(raw).open(names[0])  # noqa: SIM115 - closed with its reader
            return cast(BinaryIO, io.BufferedReader(_Other(raw, stream), CHUNK))
        packing = next((name for mark, name in PACKED.items() if start.startswith(mark)), None)
        if packing is None:
            return raw
        self.packing = packing
        return cast(BinaryIO, io.BufferedReader(_unpacked(raw, packing), CHUNK))


def members_of(path: Path) -> list[str]:
    """The files in a zip archive, without those that a Mac adds; none if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return []
    return [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]


def _unpacked(raw: BinaryIO, packing: str) -> io.RawIOBase:
    """What a stream has packed."""
    if packing == "gzip":
        return _Unpacked(raw)
    if packing == "zstd":
        import pyarrow as pa

        return _Other(raw, pa.CompressedInputStream(raw, "zstd"))
    if packing == "xz":
        import lzma

        return _Other(raw, lzma.LZMAFile(raw))
    import bz2

    return _Other(raw, bz2.BZ2File(raw))


class _Other(io.RawIOBase):
    """What is packed in another way than gzip; where it is damaged, an EOFError."""

    def __init__(self, packed: BinaryIO, stream: Any) -> None:
        self._packed = packed
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except EOFError:
            raise
        except Exception as error:
            # each way of packing has errors of its own
            raise EOFError(str(error)) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()
        super().close()


class _Unpacked(io.RawIOBase):
    """What gzip has packed: all of it up to a place where it is damaged, and then an error.

    The standard library's reader may keep to itself what it has unpacked before such a place.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while True:
            waiting = self._member.unconsumed_tail or self._member.unused_data
            if self._member.eof:
                # zeros may follow a member, or another one
                waiting = waiting.lstrip(b"\0") or self._packed.read(CHUNK).lstrip(b"\0")
                if not waiting:
                    return 0
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            elif not waiting and not (waiting := self._packed.read(CHUNK)):
                raise EOFError("it ends before its end mark")
            data = self._member.decompress(waiting, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def close(self) -> None:
        self._packed.close()
        super().close()


class _Pipe:
    """A pipe of which the start can be read more than once."""

    _last: ClassVar[_Pipe | None] = None

    @classmethod
    def of(cls, pipe: BinaryIO) -> _Pipe:
        """The same for all who open this pipe: what one has read of the start, others read too."""
        if cls._last is None or cls._last._pipe is not pipe:
            cls._last = cls(pipe)
        return cls._last

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._start = bytearray()
        self._is_passed = False

    def again(self) -> BinaryIO:
        if self._is_passed:
            raise InputError(
                "standard input can be read once only; save it to a file, and give its name"
            )
        return cast(BinaryIO, io.BufferedReader(_FromStart(self), CHUNK))

    def read(self, place: int, n: int) -> bytes:
        """Up to n bytes from a place; the place is the end of what was read, or in the start."""
        if place < len(self._start):
            return bytes(self._start[place : place + n])
        data = self._pipe.read1(n)  # type: ignore[attr-defined]
        if place + len(data) <= KEPT and not self._is_passed:
            self._start += data
        elif data:
            self._is_passed = True
            self._start.clear()
        return cast(bytes, data)


class _FromStart(io.RawIOBase):
    """A reading of a pipe."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._place = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._pipe.read(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def digest(data: bytes) -> str:
    """By which data is known again."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
