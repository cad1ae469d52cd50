"""Streams as machines make them, and how well a segmenter follows them.

python benchmarks/machines.py [--only pump ...] [--seeds N] [--out FILE.md]

Every stream is made from a seed, with the true regime of each row. `judge` compares what a
segmenter said as the stream went: the places of its changes, and the numbers of its regimes.
OnlineGMM and OnlineHMM stand beside it, and river's KMeans and DBSTREAM. All of these but DBSTREAM
are told the true number of regimes.

Columns of the table, as means over seeds where nothing else is said:

- ARI: adjusted Rand index of the regime of each row, with changes at the places that were told. A
  segment is what it was said to be with the change that ended it, and regimes that were merged are
  one.
  "half 2" is that of the second half of the stream, "worst" the lowest of all seeds.
- causal: ARI of the labels that were known when each row came.
- placed: share of the true changes that have a found one within `Machine.within` rows.
- delay: median of the rows from the true change to the row at which it was told.
- changed: segments whose number stood for another regime before, in all seeds together.
- found: changes found over true changes, in all seeds together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Machine:
    """A stream whose regimes are known.

    Parameters
    ----------
    name
        What it is called in the table.
    X
        Readings, shape (n, D); NaN is a missing value.
    channels
        Names of the D channels.
    states
        The true regime of each row, shape (n,), numbered as they appear.
    within
        Rows by which a change may be misplaced: a window, and at most a third of a usual stay.
    times
        Seconds of each row, shape (n,); None if rows are just numbered.
    """

    name: str
    X: Matrix
    channels: tuple[str, ...]
    states: Labels
    within: int
    times: Matrix | None = None

    @classmethod
    def unnamed(cls, name: str, X: Matrix, states: Labels) -> Machine:
        """One whose channels have no names and whose regimes any numbers, placed within 48 rows."""
        channels = tuple(f"channel {j}" for j in range(X.shape[1]))
        return cls(name, X, channels, numbered(states), 48)

    @property
    def changes(self) -> Labels:
        """The first row of every true segment but the first one."""
        return np.flatnonzero(np.diff(self.states)) + 1

    @property
    def n_regimes(self) -> int:
        return int(self.states.max()) + 1


# -- streams ------------------------------------------------------------------------------------


def numbered(states: Labels) -> Labels:
    """The same regimes, numbered from 0 as they appear."""
    _, first, inverse = np.unique(states, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def stays(rng: Rng, mean: float, n: int) -> list[int]:
    """Lengths from half to one and a half of the mean, n rows together."""
    lengths: list[int] = []
    left = n
    while left > 0:
        length = int(rng.integers(round(mean / 2), round(1.5 * mean) + 1))
        length = left if left - length < mean / 2 else length
        lengths.append(length)
        left -= length
    return lengths


def alternating(rng: Rng, regimes: Iterable[int], mean: float, n: int, before: int = -1) -> Labels:
    """Stays in some of these regimes in random order, never twice in the same one."""
    regimes = list(regimes)
    parts = []
    for length in stays(rng, mean, n):
        others = [regime for regime in regimes if regime != before] or regimes
        before = int(rng.choice(others))
        parts.append(np.full(length, before))
    return np.concatenate(parts)


def normal(rng: Rng, states: Labels, means: Matrix, sds: Matrix) -> Matrix:
    """Independent readings: means and sds of shape (regimes, D)."""
    return rng.normal(np.asarray(means)[states], np.asarray(sds)[states])


def pump(seed: int) -> Machine:
    """Flow, pressure and vibration of a pump that runs, idles, and is flushed .5 % of the time.

    The first regime lasts 3,000 rows, longer than any warm-up. 50 segments in 19,000 rows.
    """
    rng = np.random.default_rng([seed, 1])
    parts = [np.zeros(3000, dtype=np.int64)]
    rest = stays(rng, 340, 15_900)
    # the flush comes twice, late, between running and idling
    flushes = set(rng.choice(np.arange(12, len(rest) - 4), 2, replace=False).tolist())
    state = 1
    for i, length in enumerate(rest):
        if i in flushes:
            parts.append(np.full(48, 2))
        parts.append(np.full(length, state))
        state = 1 - state
    states = np.concatenate(parts)
    X = normal(
        rng,
        states,
        np.array([[40.0, 6.0, 2.0], [0.2, 2.5, 0.3], [55.0, 1.0, 3.2]]),
        np.array([[1.2, 0.15, 0.35], [0.1, 0.1, 0.05], [2.0, 0.15, 0.5]]),
    )
    return Machine("pump", X, ("flow", "pressure", "vibration"), numbered(states), 32)


def compressor(seed: int) -> Machine:
    """A compressor that is loaded by day, and whose inlet follows the temperature of the air.

    A row every two minutes for twenty days; 720 rows a day.
    """
    rng = np.random.default_rng([seed, 2])
    day, n = 720, 20 * 720
    hour = np.arange(n) % day / 30.0
    begin = np.repeat(rng.normal(6.5, 0.4, 20), day)
    end = np.repeat(rng.normal(20.5, 0.6, 20), day)
    states = ((hour >= begin) & (hour < end)).astype(np.int64)
    air = (
        15.0 + 6.0 * np.sin(2 * np.pi * (hour - 9.0) / 24.0) + np.repeat(rng.normal(0, 1, 20), day)
    )
    load = states.astype(float)
    X = np.column_stack(
        [
            air + rng.normal(0.0, 0.3, n),
            0.5 + 36.0 * load + rng.normal(0.0, 0.4 + 0.8 * load),
            5.5 + 2.0 * load + rng.normal(0.0, 0.08, n),
        ]
    )
    times = 120.0 * np.arange(n)
    return Machine("compressor", X, ("inlet", "current", "pressure"), states, 32, times)


def vibration(seed: int) -> Machine:
    """Six channels, two loads, and a worn bearing that shows in the spread of one channel only."""
    rng = np.random.default_rng([seed, 3])
    n = 12_000
    states = np.concatenate([alternating(rng, (0, 1), 400, 3000), np.zeros(9000, dtype=np.int64)])
    states[3000:] = alternating(rng, (0, 1, 2), 400, 9000, int(states[2999]))
    means = np.tile([20.0, 4.0, 60.0, 1.5, 230.0, 0.0], (3, 1))
    means[1] = [26.0, 4.6, 66.0, 2.1, 224.0, 0.0]
    sds = np.tile([1.0, 0.1, 1.0, 0.1, 1.0, 0.5], (3, 1))
    sds[2, 5] = 1.5
    names = ("flow", "pressure", "temperature", "current", "voltage", "vibration")
    X = normal(rng, states, means, sds)
    assert len(X) == n
    return Machine("vibration only", X, names, numbered(states), 64)


def levels(third: int, stay: int, seed: int) -> Machine:
    """Levels 0, 6 and 13 sd; the third one is first seen at row ``third``."""
    rng = np.random.default_rng([seed, 4, third, stay])
    early = alternating(rng, (0, 1), stay, third, 1)
    late = alternating(rng, (0, 1, 2), stay, 2000 + 20 * stay, int(early[-1]))
    first = min(len(late), stay)
    late = np.concatenate([np.full(first, 2), late])
    states = np.concatenate([early, late])
    X = normal(rng, states, np.array([[0.0], [6.0], [13.0]]), np.ones((3, 1)))
    name = f"third level at {third:,}, stays of {stay:,}"
    return Machine(name, X, ("level",), numbered(states), min(32, stay // 3))


def drifting(seed: int) -> Machine:
    """Two modes 8 sd apart, under a drift of 6 sd in 20,000 rows."""
    rng = np.random.default_rng([seed, 5])
    n = 20_000
    states = alternating(rng, (0, 1), 400, n, 1)
    X = normal(rng, states, np.array([[0.0, 50.0], [8.0, 47.0]]), np.ones((2, 2)))
    X[:, 0] += 6.0 * np.arange(n) / n
    return Machine("slow drift", X, ("temperature", "pressure"), states, 32)


def integers(seed: int) -> Machine:
    """Two sensors that know the values 0 to 4."""
    rng = np.random.default_rng([seed, 6])
    states = alternating(rng, (0, 1, 2), 250, 8000)
    means = np.array([[0.8, 3.0], [3.2, 3.0], [2.0, 0.7]])
    X = np.clip(np.rint(normal(rng, states, means, np.full((3, 2), 0.7))), 0.0, 4.0)
    return Machine("integers", X, ("valve", "stage"), numbered(states), 32)


def setpoint(seed: int) -> Machine:
    """Two modes of flow beside a setpoint that never moves."""
    rng = np.random.default_rng([seed, 7])
    states = alternating(rng, (0, 1), 250, 8000)
    X = normal(
        rng,
        states,
        np.array([[70.0, 10.0, 1.0], [70.0, 18.0, 1.6]]),
        np.array([[0.0, 1.0, 0.1], [0.0, 1.5, 0.1]]),
    )
    return Machine("setpoint", X, ("setpoint", "flow", "pressure"), numbered(states), 32)


def missing(seed: int) -> Machine:
    """Three channels of which 2 % of the values are missing, and now and then a whole row."""
    rng = np.random.default_rng([seed, 8])
    states = alternating(rng, (0, 1, 2), 300, 10_000)
    means = np.array([[10.0, 5.0, 1.0], [18.0, 5.0, 2.0], [10.0, 9.0, 1.0]])
    X = normal(rng, states, means, np.array([[1.0, 0.5, 0.2]] * 3))
    X[rng.random(X.shape) < 0.02] = np.nan
    X[rng.random(len(X)) < 0.005] = np.nan
    return Machine("2 % missing", X, ("flow", "pressure", "vibration"), numbered(states), 32)


def wild(seed: int) -> Machine:
    """Single readings of 6553.5, or of -300 sd, once in 500 rows and never twice in 20."""
    rng = np.random.default_rng([seed, 9])
    n = 10_000
    states = alternating(rng, (0, 1), 300, n)
    X = normal(rng, states, np.array([[10.0, 5.0], [18.0, 6.5]]), np.array([[1.0, 0.4]] * 2))
    rows = np.cumsum(20 + rng.integers(0, 960, n // 400))
    for row in rows[rows < n].tolist():
        X[row, rng.integers(2)] = rng.choice([6553.5, -300.0])
    return Machine("wild readings", X, ("flow", "pressure"), numbered(states), 32)


MACHINES: dict[str, Callable[[int], Machine]] = {
    "pump": pump,
    "compressor": compressor,
    "vibration": vibration,
    **{
        f"levels-{third}-{stay}": partial(levels, third, stay)
        for third in (400, 2000, 8000)
        for stay in (30, 100, 1000)
    },
    "drift": drifting,
    "integers": integers,
    "setpoint": setpoint,
    "missing": missing,
    "wild": wild,
}


# -- judging ------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What a segmenter said of a stream as it went.

    Parameters
    ----------
    placed
        The regime of each row, with changes at the places that were told, shape (n,).
    causal
        The regime of each row that was known when it came; -1 where none was.
    at, known_at
        Rows of the changes, and rows at which each was told.
    """

    placed: Labels
    causal: Labels
    at: Labels
    known_at: Labels


class Verdict(NamedTuple):
    """How an answer compares with the truth; `main` says what is what."""

    ari: float
    half: float
    causal: float
    placed: float
    delay: float
    changed: int
    found: int
    true: int


def from_causal(labels: Labels) -> Answer:
    """The answer of a learner that labels each row when it comes, and is never wiser."""
    at = np.flatnonzero(np.diff(labels)) + 1
    return Answer(labels, labels, at, at)


def changed_meaning(states: Labels, placed: Labels) -> int:
    """Segments found that are mostly of another regime than their number has stood for before.

    A number stands for the regime that most of its rows so far were in. Segments that come before
    anything is known (-1) have no number.
    """
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(placed)) + 1, [len(placed)]])
    rows: dict[int, Labels] = {}
    changed = 0
    for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        number = int(placed[begin])
        if number < 0:
            continue
        counts = np.bincount(states[begin:end], minlength=int(states.max()) + 1)
        if number in rows:
            changed += int(counts.argmax() != rows[number].argmax())
            counts = counts + rows[number]
        rows[number] = counts
    return changed


def nearest(true: Labels, found: Labels) -> Labels:
    """Of each true change, the place in ``found`` of the change that is nearest; -1 without."""
    if not len(found):
        return np.full(len(true), -1)
    return np.abs(found[None, :] - true[:, None]).argmin(axis=1)


def judge(machine: Machine, answer: Answer) -> Verdict:
    """Compare an answer with the truth."""
    states, true = machine.states, machine.changes
    half = len(states) // 2
    which = nearest(true, answer.at)
    good = (which >= 0) & (np.abs(np.append(answer.at, -(10**9))[which] - true) <= machine.within)
    delays = answer.known_at[which[good]] - true[good] if good.any() else np.array([np.nan])
    return Verdict(
        float(adjusted_rand_score(states, answer.placed)),
        float(adjusted_rand_score(states[half:], answer.placed[half:])),
        float(adjusted_rand_score(states, answer.causal)),
        float(good.mean()) if len(true) else 1.0,
        float(np.median(delays)),
        changed_meaning(states, answer.placed),
        len(answer.at),
        len(true),
    )


# -- learners -----------------------------------------------------------------------------------


def told_k(kind: str, machine: Machine) -> Answer:
    """OnlineGMM or OnlineHMM that is told the true number of regimes; labels before learning."""
    import online_gmm

    model: Any = getattr(online_gmm, kind)(machine.n_regimes, seed=1)
    labels = np.empty(len(machine.X), dtype=np.int64)
    for i, row in enumerate(machine.X.tolist()):
        x = dict(enumerate(row))
        labels[i] = model.predict_one(x)
        model.learn_one(x)
    return from_causal(labels)


def found(machine: Machine) -> Answer:
    """`Segmenter()`, which is told nothing."""
    from online_gmm import RegimeChange, RegimeEvent, Segmenter

    segmenter = Segmenter(features=machine.channels)
    causal = segmenter.label_then_learn_many(machine.X).labels
    told = segmenter.new_events
    changes = [event for event in told if isinstance(event, RegimeChange)]
    born = [event.label for event in told if isinstance(event, RegimeEvent)]
    placed = np.full(len(causal), born[0] if born else 0)
    begin = 0
    for event in told:
        if isinstance(event, RegimeChange):
            # what the segment that is over was is told with the change that ends it
            placed[begin : event.at] = event.before
            placed[event.at :] = event.after
            begin = event.at
        elif isinstance(event, RegimeEvent) and event.kind == "merged":
            placed[placed == event.label] = event.into
    at = np.array([change.at for change in changes], dtype=np.int64)
    known_at = np.array([change.known_at for change in changes], dtype=np.int64)
    return Answer(placed, causal, at, known_at)


def of_river(kind: str, machine: Machine) -> Answer:
    """A clusterer of river after its StandardScaler; labels before learning.

    KMeans is told the true number of regimes. Missing values are left out of the point.
    """
    from river import cluster, preprocessing

    made: Any = getattr(cluster, kind)
    clusterer = made(machine.n_regimes, halflife=0.1, seed=1) if kind == "KMeans" else made()
    scaler = preprocessing.StandardScaler()
    labels = np.empty(len(machine.X), dtype=np.int64)
    for i, row in enumerate(machine.X.tolist()):
        x = {name: value for name, value in enumerate(row) if value == value}
        scaler.learn_one(x)
        x = scaler.transform_one(x)
        labels[i] = clusterer.predict_one(x) if i else 0
        clusterer.learn_one(x)
    return from_causal(labels)


LEARNERS: dict[str, Callable[[Machine], Answer]] = {
    "Segmenter()": found,
    "OnlineGMM(K)": partial(told_k, "OnlineGMM"),
    "OnlineHMM(K)": partial(told_k, "OnlineHMM"),
    "river KMeans(K)": partial(of_river, "KMeans"),
    "river DBSTREAM()": partial(of_river, "DBSTREAM"),
}


# -- the table ----------------------------------------------------------------------------------

HEAD = (
    "| stream | learner | ARI | worst | half 2 | causal | placed | delay | changed | found/true |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


ALL = "\n<!-- all -->\n"
"""Where the rows over all streams begin, for a document to include."""


def row(name: str, learner: str, verdicts: list[Verdict]) -> str:
    """A line of the table."""
    ari = [v.ari for v in verdicts]
    delays = [v.delay for v in verdicts if np.isfinite(v.delay)]
    cells = [
        f"{np.mean(ari):.3f}",
        f"{np.min(ari):.3f}",
        f"{np.mean([v.half for v in verdicts]):.3f}",
        f"{np.mean([v.causal for v in verdicts]):.3f}",
        f"{np.mean([v.placed for v in verdicts]):.0%}",
        f"{np.median(delays):.0f}" if delays else "-",
        f"{sum(v.changed for v in verdicts)}",
        f"{sum(v.found for v in verdicts) / max(1, sum(v.true for v in verdicts)):.2f}",
    ]
    return f"| {name} | {learner} | {' | '.join(cells)} |"


def reached(verdicts: list[Verdict]) -> bool:
    """Whether these verdicts of one stream are what the project asks for."""
    return (
        all(v.ari >= 0.95 and v.half >= 0.98 and v.changed == 0 for v in verdicts)
        and float(np.mean([v.placed for v in verdicts])) >= 0.95
        and 0.9 <= sum(v.found for v in verdicts) / sum(v.true for v in verdicts) <= 1.1
    )


def parser_of(
    description: str | None, seeds: int, learners: Sequence[str]
) -> argparse.ArgumentParser:
    """The options of every benchmark whose streams are seeded, and their defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), default=learners)
    parser.add_argument("--seeds", type=int, default=seeds)
    return parser


def main() -> None:
    parser = parser_of(__doc__, 8, list(LEARNERS))
    parser.add_argument("--only", nargs="+", choices=list(MACHINES), default=list(MACHINES))
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    of_all: dict[str, list[Verdict]] = {learner: [] for learner in options.learners}
    for name in options.only:
        machines = [MACHINES[name](seed) for seed in range(options.seeds)]
        for learner in options.learners:
            verdicts = [judge(machine, LEARNERS[learner](machine)) for machine in machines]
            of_all[learner] += verdicts
            lines.append(row(machines[0].name, learner, verdicts))
            print(lines[-1], flush=True)
    lines += [ALL, HEAD]
    for learner, verdicts in of_all.items():
        lines.append(row("all", learner, verdicts))
        print(lines[-1], flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
