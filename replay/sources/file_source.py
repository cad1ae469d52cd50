"""What sources that are files have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from replay.sources.asked import Asked
from replay.sources.reading import Input


class FileSource:
    """A file that is read anew by every iteration, and needs no acknowledgement.

    Parameters
    ----------
    source
        The file.
    """

    wants_acknowledgement = False
    said: Sequence[str] = ()
    """What was guessed, a line each."""

    def __init__(self, source: Input) -> None:
        self._input = source
        self.name = source.name
        self.files: tuple[Path, ...] = () if source.piped else (source.path,)

    def _hand_on(self, asked: Asked) -> None:
        """Note what is handed on, once that is known."""
        self._asked = self.asked = asked
        self.values = asked.values
        self.time = asked.time
        self.key = asked.key
        self.timed = asked.is_timed

    @property
    def done(self) -> int:
        return self._input.done

    @property
    def size(self) -> int | None:
        return self._input.size

    def acknowledge(self) -> None:
        """Nothing: a file stays."""

    def close(self) -> None:
        """Nothing: an iteration lets go of what it opens."""
