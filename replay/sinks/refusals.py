"""What was refused of a source: counted by reason, and written down if a file is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from online_gmm.data.counted import counted
from replay.engine.disk import Place
from replay.sinks.files import File
from replay.sinks.tables import Csv

COLUMNS: dict[str, type] = {"file": str, "line": int, "reason": str, "text": str}
LONGEST = 1000
"""Characters of a text that are written down."""


class Refusals:
    """Rows that are refused as a whole, or of which some cells are.

    Parameters
    ----------
    path
        Where they are written, as CSV; None only counts them.
    lasting, escapes_formulas
        Of the `File`.

    Attributes
    ----------
    path
        That of the file.
    counts
        How many there were, by reason.
    first
        What was wrong with the first one; None if there was none.
    hints
        What has been noticed about the input that somebody should know at once, in sentences.
    """

    def __init__(
        self, path: Path | None = None, lasting: bool = False, escapes_formulas: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.hints: list[str] = []
        self.first: str | None = None
        self.path = path
        self._lasting = lasting
        self._escapes_formulas = escapes_formulas
        self._table: Csv | None = None

    def open(self, inputs: Sequence[Path]) -> None:
        """Be ready to write; not over one of the inputs."""
        if self.path is not None:
            file = File(self.path, "--refused", inputs, self._lasting, self._escapes_formulas)
            self._table = Csv(file, COLUMNS)

    def begin(self) -> None:
        """Start with nothing counted and nothing written."""
        self.counts.clear()
        self.first = None
        if self._table is not None:
            self._table.begin()

    def go_on(self) -> None:
        """Start behind what is written already; a record that a kill has cut off goes."""
        if self._table is not None:
            written = 0 if self.path is None else _whole_records(self.path)
            if written:
                self._table.go_to(Place(written, None))
            else:
                self._table.begin()

    def add(self, file: str, line: int, reason: str, text: str) -> None:
        """Count a refused row.

        Parameters
        ----------
        file, line
            Where it stands, as in a `Row`.
        reason
            Why it is refused: one of a few, said in the plural.
        text
            What it is, as it was written.
        """
        self.counts[reason] += 1
        if self._table is not None:
            self._table.put((file, line, reason, text[:LONGEST]))

    def hint(self, text: str) -> None:
        """Note something that should be said at once."""
        self.hints.append(text)

    @property
    def summary(self) -> str:
        """How many were refused for which reasons, and the first one; empty if there was none."""
        if self.first is None:
            return ""
        reasons = ", ".join(counted(n, reason) for reason, n in self.counts.items())
        return f"refused: {reasons}, the first one for this: {self.first}"

    def flush(self) -> None:
        """Let others see what was written so far."""
        if self._table is not None:
            self._table.flush()

    def position(self) -> dict[str, Any]:
        """Put all on disk, and return the counts and the length of the file."""
        written = None if self._table is None else self._table.position()
        return {"counts": dict(self.counts), "written": written}

    def go_to(self, position: dict[str, Any]) -> None:
        """Forget what was refused after a position."""
        self.counts = Counter(position["counts"])
        if self._table is not None:
            self._table.go_to(position["written"])

    def finish(self) -> None:
        """All is written."""
        if self._table is not None:
            self._table.finish()

    def close(self) -> None:
        """Let go of the file."""
        if self._table is not None:
            self._table.close()


def _whole_records(path: Path) -> int:
    """Bytes up to the end of the last whole record of a CSV file; 0 if there is none."""
    whole = place = quotes = 0
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                place += len(line)
                quotes += line.count(b'"')
                # within quotes, the end of a line is part of a text
                if line.endswith(b"\n") and quotes % 2 == 0:
                    whole = place
    return whole
