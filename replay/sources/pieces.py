"""Bytes of a file in pieces of whole lines: cut into cells where they are plain, else as text."""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from replay.sources.plain_lines import Cut, Layout, cut_lines

PIECE = 1 << 19
MOST_AT_A_TIME = 1 << 23
"""Bytes read at a time, and when rows of many keys are asked for."""
WITH_CARE = 100
"""Lines that are taken as text where one is not plain; of few that are, twice as many each time."""
MOST_CARE = 8192
MARK = b"\xef\xbb\xbf"
"""What UTF-8 may begin with."""


class Pieces:
    """The lines of a stream of UTF-8, as cells cut by pyarrow, or as text; an iterator of these.

    Lines go by once, either way: `cut` gives those that are plain, until one is not. That one, and
    some after it, are to be taken as text. What does not decode becomes U+FFFD.

    Parameters
    ----------
    stream
        Bytes, from their start.
    layout
        What is wanted of them.
    ahead
        Whether the next piece is read and cut while one is worked on, in a thread.

    Attributes
    ----------
    size
        Bytes read at a time.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, ahead: bool) -> None:
        self.size = PIECE
        self._stream = stream
        self._layout = layout
        self._rest = b""
        self._begun = self._ended = False
        self._damage: Exception | None = None
        self._data = bytearray()
        self._place = 0
        self._cut: Cut | None = None
        self._careful, self._care = 0, WITH_CARE
        self._lines: deque[str] = deque()
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._next: Future[tuple[bytearray, Cut | None] | None] | None = None

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    # -- as text --------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._cut = None
        self._careful -= 1
        if self._lines:
            return self._lines.popleft()
        if self._place == len(self._data) and not self._load():
            raise StopIteration
        self._cut = None
        end = self._data.index(b"\n", self._place) + 1
        line = self._data[self._place : end].decode("utf-8", "replace")
        self._place = end
        if "\r" in line[:-2]:
            # a carriage return alone ends a line as well
            self._lines.extend(io.StringIO(line, newline=""))
            return self._lines.popleft()
        return line

    def skip(self, n: int) -> tuple[int, str]:
        """Pass over n lines: how many there were, and the last of them."""
        passed, last = 0, ""
        while passed < n:
            if self._place == len(self._data) and not self._lines and not self._load():
                break
            data, place = self._data, self._place
            whole = not self._lines and data.count(b"\n", place)
            if whole and passed + whole <= n and data.count(b"\r") == data.count(b"\r\n"):
                before = data.rfind(b"\n", place, len(data) - 1) + 1
                last = data[max(before, place) :].decode("utf-8", "replace")
                self._place, self._cut = len(data), None
                passed += whole
            else:
                last = next(self)
                passed += 1
        self._careful = 0
        return passed, last

    # -- as cells -------------------------------------------------------------------------------

    @property
    def can_be_cut(self) -> bool:
        """Whether lines have been taken as text for long enough."""
        return self._careful <= 0 and not self._lines

    def cut(self) -> Cut | None:
        """The next lines that are plain; None where the next one is not, and at the end."""
        while self.can_be_cut:
            if self._place == len(self._data):
                if not self._load():
                    return None
                continue
            cut, self._cut = self._cut, None
            if cut is None:
                cut = cut_lines(self._data, self._place, self._layout)
            if cut.end < len(self._data):
                self._take_care(len(cut))
            self._place = cut.end
            if len(cut):
                return cut
        return None

    def go_back(self, cut: Cut) -> None:
        """Take as text what comes after what is left of the lines that were cut last."""
        self._place = cut.end
        self._take_care(len(cut))

    def _take_care(self, n_plain: int) -> None:
        """Take the next lines as text; more of them if only few before were plain."""
        few = n_plain < self._care
        self._care = min(2 * self._care, MOST_CARE) if few else WITH_CARE
        self._careful = self._care

    # -- from the stream ------------------------------------------------------------------------

    def _load(self) -> bool:
        """Go on to the next piece; whether there is one."""
        if self._thread is None:
            piece = self._read()
        else:
            piece = (self._next or self._thread.submit(self._read)).result()
            self._next = None if piece is None else self._thread.submit(self._read)
        if piece is None:
            return False
        self._data, self._cut = piece
        is_first = self._cut is None
        self._place = len(MARK) if is_first and self._data.startswith(MARK) else 0
        return True

    def _read(self) -> tuple[bytearray, Cut | None] | None:
        """Whole lines, and those that are plain at their start; None at the end.

        The first piece begins with a header, so it is cut later.
        """
        if self._damage is not None:
            raise self._damage
        is_first, self._begun = not self._begun, True
        data = bytearray(self._rest)
        while not self._ended:
            try:
                part = self._stream.read1(self.size)  # type: ignore[attr-defined]
            except (EOFError, zlib.error) as error:
                # a carriage return ends a line as well if something else follows
                end = data.rfind(b"\r", 0, len(data) - 1) + 1
                if not end:
                    raise
                self._damage, self._rest = error, b""
                return data[:end] + b"\n", None
            self._ended = not part
            end = part.rfind(b"\n") + 1
            if end:
                self._rest = part[end:]
                data += part[:end]
                return data, None if is_first else cut_lines(data, 0, self._layout)
            data += part
        self._rest = b""
        if not data:
            return None
        data += b"\n"
        return data, None if is_first else cut_lines(data, 0, self._layout)
