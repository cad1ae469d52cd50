"""``replay look``: what a file holds, and the command line that replays it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from online_gmm.data.counted import counted
from replay.cli.terminal import out
from replay.engine.batch import Batch
from replay.engine.durations import duration
from replay.engine.keys import Keys
from replay.engine.protocols import batches_of
from replay.engine.rows import InputError
from replay.sinks.refusals import Refusals
from replay.sources.choice import LEFT_OUT, choose, quoted, told_apart_by
from replay.sources.csv_format import Style
from replay.sources.csv_records import BLANK, REPEATED, SUMS
from replay.sources.oldest_first import MOST_VALUES
from replay.sources.opening import Files
from replay.sources.order_of_times import NEWEST_FIRST, by_an_hour
from replay.sources.read_options import NO_KEY, NO_TIME, ReadOptions
from replay.sources.times import HOUR

TWINS = 0.9999
"""Correlation from which on two columns are said to tell the same."""
SAMPLE = 5000
"""Rows of the sample that twins are looked for in."""
MOST_NAMED = 20
"""Columns that are named in the command line at the end; more are left to `replay run`."""
AT_A_TIME = 16_384
"""Rows read at a time."""
EXACT = 2.0**53
"""From which on a double does not tell a whole number from the next."""
GAP = 2.5
"""Usual steps after which a row is said to be missing."""
Floats = NDArray[np.float64]
NO_OBSTACLE = {BLANK, REPEATED, SUMS, NO_TIME, NO_KEY}
"""What `replay run` passes over as long as neither times nor keys are asked for."""


@dataclass
class Seen:
    """What has been seen of the rows of a file, in memory that does not grow with them."""

    names: Sequence[str]
    n: int = 0
    n_given: Counter[str] = field(default_factory=Counter)
    least: dict[str, float] = field(default_factory=dict)
    greatest: dict[str, float] = field(default_factory=dict)
    sample: list[list[float]] = field(default_factory=list)
    steps: Counter[float] = field(default_factory=Counter)
    n_backwards: int = 0
    n_earlier: int = 0
    n_of_winter: int = 0
    first: tuple[str, float] | None = None
    last: tuple[str, float] | None = None
    last_of: dict[str, float] = field(default_factory=dict)
    n_backwards_by_key: int = 0
    _every: int = 1
    _step: float = math.nan

    def add(self, batch: Batch) -> None:
        """Take in rows."""
        if not len(batch):
            return
        values = np.ascontiguousarray(batch.values.T)
        given = (~np.isnan(values)).sum(axis=1).tolist()
        ends = np.fmin.reduce(values, axis=1).tolist(), np.fmax.reduce(values, axis=1).tolist()
        for name, n_given, least, greatest in zip(self.names, given, *ends, strict=True):
            if n_given:
                self.n_given[name] += n_given
                self.least[name] = min(least, self.least.get(name, math.inf))
                self.greatest[name] = max(greatest, self.greatest.get(name, -math.inf))
        self._add_to_sample(batch.values)
        self.n += len(batch)
        if batch.seconds is not None:
            self._add_times(batch, batch.seconds)

    def _add_to_sample(self, values: Floats) -> None:
        """Keep each of so many rows, and of these each second one when they have become many."""
        row = -self.n % self._every
        while row < len(values):
            wanted = SAMPLE + 1 - len(self.sample)
            taken = values[row :: self._every][:wanted]
            self.sample += taken.tolist()
            row += len(taken) * self._every
            if len(self.sample) > SAMPLE:
                self.sample = self.sample[::2]
                self._every *= 2
                row += -(self.n + row) % self._every

    def _add_times(self, batch: Batch, seconds: Floats) -> None:
        if self.first is None or self.last is None:
            self.first = batch.texts.time_at(0), float(seconds[0])
            steps = np.diff(seconds)
        else:
            steps = np.diff(seconds, prepend=self.last[1])
        self.last = batch.texts.time_at(len(batch) - 1), float(seconds[-1])
        back = steps <= 0
        before = np.concatenate(([self._step], steps))
        self._step = float(before[-1])
        self.n_backwards += int(back.sum())
        self.n_earlier += int((steps < 0).sum())
        self.n_of_winter += int((back & (np.abs(before[:-1] - HOUR - steps) < 1e-3)).sum())
        different, at, counts = np.unique(steps[~back], return_index=True, return_counts=True)
        for i in np.argsort(at).tolist():
            step = round(float(different[i]), 6)
            if len(self.steps) < SAMPLE or step in self.steps:
                self.steps[step] += int(counts[i])
        order, groups = (batch.keys or Keys.of([""] * len(batch))).groups()
        for key, first, end in groups:
            its = seconds[order[first:end]]
            its_last = self.last_of.get(key, -math.inf)
            self.n_backwards_by_key += int((np.diff(its, prepend=its_last) <= 0).sum())
            self.last_of[key] = float(its[-1])

    @property
    def step(self) -> float | None:
        """The usual time from a row to the next."""
        return self.steps.most_common(1)[0][0] if self.steps else None

    @property
    def n_gaps(self) -> int:
        """Times between rows that are much longer than usual."""
        step = self.step
        return 0 if step is None else sum(n for s, n in self.steps.items() if s > GAP * step)

    def constants(self) -> list[str]:
        """Columns of which all values are alike."""
        return [n for n in self.names if n in self.least and self.least[n] == self.greatest[n]]

    def twins(self) -> list[list[str]]:
        """Groups of columns of which the first one tells the others."""
        sample = np.array(self.sample).reshape(len(self.sample), len(self.names))
        sample = sample[~np.isnan(sample).any(axis=1)]
        moving = [j for j in range(sample.shape[1]) if len(sample) > 2 and np.ptp(sample[:, j]) > 0]
        if len(moving) < 2:
            return []
        alike = np.abs(np.corrcoef(sample[:, moving].T)) >= TWINS
        groups, left = [], list(range(len(moving)))
        while left:
            group = [j for j in left if j == left[0] or alike[left[0], j]]
            left = [j for j in left if j not in group]
            groups.append([self.names[moving[j]] for j in group])
        return [group for group in groups if len(group) > 1]


def look_at(files: Sequence[str], reading: ReadOptions, style: Style, given: Sequence[str]) -> None:
    """Print what files hold.

    Parameters
    ----------
    files
        Their names.
    reading, style
        How they are written.
    given
        The options that were given, for the command line at the end.
    """
    console = out()
    problem = ""
    reading = replace(reading, as_they_stand=True)
    source = Files(
        files, replace(reading, timed=False, refusals=Refusals(), on_bad="missing"), style
    )
    columns = source.columns
    told = [] if reading.values else list(choose(columns, reading.others, not reading.time).said)
    told += [line for line in source.said if line.startswith(LEFT_OUT)]
    choice = source.options
    if choice.time is not None:
        try:
            timed = replace(choice, timed=True, refusals=Refusals(), on_bad="missing")
            source = Files(files, timed, style)
        except InputError as error:
            problem = str(error)
    apart = sorted((c for c in columns if c.tells_apart), key=lambda column: column.is_numeric)
    keys = [column.name for column in apart]
    key = choice.key or (keys[0] if keys else None)
    if choice.key is None and key is not None:
        with_key = replace(source.options, key=key, refusals=Refusals())
        source = Files(files, with_key, style)
    seen = Seen(source.values)
    for batch in batches_of(source, AT_A_TIME):
        seen.add(batch)
    console.print(source.name, style="bold", soft_wrap=True)
    table = Table(title=counted(seen.n, "rows"), title_justify="left")
    for head in ("column", "holds", "missing", "least", "greatest"):
        table.add_column(head, justify="left" if head in ("column", "holds") else "right")
    for column in columns:
        name, cells = column.name, ["", "", ""]
        if name in seen.names:
            share = 1 - seen.n_given[name] / max(seen.n, 1)
            ends = (seen.least.get(name), seen.greatest.get(name))
            cells = [f"{share:.1%}", *("-" if end is None else f"{end:.6g}" for end in ends)]
        elif column.n:
            cells[0] = f"{column.n_missing / column.n:.1%}"
        table.add_row(name, column.holds, *cells)
    console.print(table)
    lines = list(dict.fromkeys([*told, *source.said]))
    if seen.first is not None and seen.last is not None:
        first, last = (reading.clock.shown(text) for text, _ in (seen.first, seen.last))
        lines.append(f"times from {first} to {last}")
    # of several things the steps of each count, not those between them
    by_key = key is not None and seen.n_backwards > seen.n_backwards_by_key
    if seen.step is not None and not by_key:
        lines.append(f"usual step {duration(seen.step)}, {counted(seen.n_gaps, 'gaps')}")
    if seen.n_backwards and not by_key:
        sort = ""
        if seen.n_earlier > NEWEST_FIRST * seen.n:
            sort = "; the newest comes first: replay run reads them from the last to the first"
            if seen.n * len(seen.names) > MOST_VALUES:
                sort = "; sort them, as the newest comes first"
        elif seen.n_of_winter == seen.n_backwards:
            sort = f", {by_an_hour(reading.clock.time_zone)}"
        lines.append(f"{counted(seen.n_backwards, 'rows are')} not later than the one before{sort}")
    for name in seen.constants():
        value = seen.least[name]
        line = f"{name!r} is {value:.6g} in all rows"
        if abs(value) >= EXACT:
            line += ", as far as its first 16 digits tell: further ones are not kept"
        lines.append(line)
    twins = seen.twins()
    lines += [f"{', '.join(map(repr, group[:-1]))} and {group[-1]!r} tell the same: one of them is "
              "enough" for group in twins]  # fmt: skip
    refused = source.options.refusals.counts
    lines += [counted(n, reason) for reason, n in refused.items()]
    if problem:
        lines.append(f"times cannot be read: {problem}")
    if by_key:
        lines.append(f"times go forward in each {key!r} only: it is the key")
    elif key is not None and choice.key is None:
        n_texts = len(next(column for column in columns if column.name == key).texts)
        told_apart = told_apart_by(key, n_texts)
        lines += [told_apart] if told_apart not in lines else []
    for line in lines:
        console.print(line, soft_wrap=True)
    words = ["replay", "run", *map(quoted, files), *given]
    twice = {name for group in twins for name in group[1:]}
    values = [name for name in source.values if name not in twice and seen.n_given[name]]
    values = values or list(source.values)
    if "--value" not in given and len(values) > MOST_NAMED:
        console.print(
            f"the {len(source.values):,} columns of numbers are learnt if --value names none",
            soft_wrap=True,
        )
    elif "--value" not in given:
        words += [word for name in values for word in ("--value", quoted(name))]
    if choice.time is not None and "--time" not in given:
        words += ["--time", quoted(",".join(choice.parts) or choice.time)]
    if by_key and key is not None and "--key" not in given:
        words += ["--key", quoted(key)]
    if refused.keys() - NO_OBSTACLE and any(seen.n_given.values()):
        words += ["--on-bad", "missing"]
    console.print(" ".join(words), soft_wrap=True)
