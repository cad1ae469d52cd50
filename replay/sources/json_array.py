"""Arrays of JSON as lines of JSON: what is in them is then found out as of any other file."""

from __future__ import annotations

import io
import json
from typing import BinaryIO

import msgspec

from replay.engine.rows import InputError
from replay.sources.message import NOT_OF_JSON, decoded
from replay.sources.reading import Input


class JsonArray(Input):
    """A file that is one array of JSON objects, as a line for each of them.

    All of it is held in memory.

    Parameters
    ----------
    source
        The file, or standard input.

    Raises
    ------
    InputError
        If it is no such array.
    """

    said = ("the file is one JSON array: its items are read as lines",)

    def __init__(self, source: Input) -> None:
        super().__init__(source.path)
        # in memory, it can be read again
        self.piped = False
        with source.open() as stream:
            data = stream.read()
        try:
            items = _items(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.name} begins as a JSON array and is none ({error}); fetch it again, or "
                "write one JSON object a line"
            ) from None
        # between the tokens of JSON, the end of a line means as much as a space
        self._data = b"".join(item.replace(b"\n", b" ") + b"\n" for item in items)

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


def _items(data: bytes) -> list[bytes]:
    """What is in an array, each as it is written; with NaN and Infinity, as Python writes it."""
    try:
        return [bytes(item) for item in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except msgspec.DecodeError:
        if not NOT_OF_JSON.search(data):
            raise
        return [json.dumps(item).encode() for item in decoded(data)]
