"""What benchmarks report: rows of one Markdown table, and plots."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure, and whether it is what it should be.

    ``figure`` is text with its spread; ``target`` such as ``>= 15``; ``met`` is None where there is
    no target. A peer that is missing is a row whose figure says so.
    """

    what: str
    figure: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Bars:
    """Named lengths, on a logarithmic axis: one plot."""

    title: str
    unit: str
    values: dict[str, float]


@dataclass(frozen=True)
class Lines:
    """Named curves over one axis, both axes logarithmic: one plot.

    A curve is its places on the axis across, and its heights there.
    """

    title: str
    across: str
    unit: str
    curves: dict[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class Section:
    title: str
    rows: Sequence[Row]
    text: str = ""
    plots: Sequence[Bars | Lines] = field(default_factory=tuple)

    def markdown(self) -> str:
        lines = [f"## {self.title}", ""]
        if self.text:
            lines += [self.text, ""]
        lines += ["| | measured | target | |", "|---|---|---|---|"]
        met = {None: "", True: "met", False: "**missed**"}
        lines += [f"| {r.what} | {r.figure} | {r.target} | {met[r.met]} |" for r in self.rows]
        return "\n".join([*lines, ""])


def at_least(what: str, value: float, target: float, figure: str | None = None) -> Row:
    return Row(what, figure or f"{value:.3g}", f">= {target:g}", bool(value >= target))


def at_most(what: str, value: float, target: float, figure: str | None = None) -> Row:
    return Row(what, figure or f"{value:.3g}", f"<= {target:g}", bool(value <= target))


def tell(run: Callable[[], Section]) -> None:
    """Run a benchmark and print its section; with ``--json FILE`` keep it for the whole table."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the section there too")
    given = parser.parse_args()
    section = run()
    print(section.markdown())
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(section)))


def section_from(text: str) -> Section:
    its = json.loads(text)
    rows = [Row(**row) for row in its["rows"]]
    plots = [Lines(**plot) if "curves" in plot else Bars(**plot) for plot in its["plots"]]
    return Section(its["title"], rows, its["text"], plots)
