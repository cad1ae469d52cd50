"""Whether the number of a regime keeps its meaning.

scripts/bench meaning [--seeds N] [--only levels pump ...] [--jobs 2]

Each learner is told the number of regimes K, or finds it ("auto"), and labels every row before it
learns it.

The meaning of a number is the true regime of most of the last 200 rows that were given this number
(all of its rows, before there are 200). The meaning counts from 50 rows on, and when it holds for
at least 60 % of these rows. Where regimes overlap, as those that differ in the spread of one
channel only, even the true mixture gives rows of one regime to the number of another. There the
last 3,200 rows count, about eight stays.

If a number comes to mean another regime, and no event has named the number since the row at which
the former meaning was last seen, the change is **silent**.

Events that the truth does not call for are counted too. The truth calls for one ``born`` event for
each regime that had fewer than 30 rows when the warm start was made. Every other event is uncalled
for: a second birth for one regime, and each ``moved``, ``merged`` or ``retired``.

Further columns: streams of which some regime has no number of its own at the end, and the adjusted
Rand index of the labels of the second half (means over streams).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import machines
from online_gmm import OnlineGMM, OnlineHMM

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

ROWS = 20_000
STAY = 100
ONSETS = (400, 2000, 8000)
RECENT, ENOUGH, MOST = 200, 50, 0.6
OVERLAPPING = {"vibration": 3200}
"""Recent rows of a number where regimes overlap, by machine."""
SEEN = 30
"""Rows of a regime in the warm start from which on no birth is called for."""
LEARNERS = {"OnlineGMM": OnlineGMM, "OnlineHMM": OnlineHMM}
AUTO = ", auto"
"""Behind the name of a learner that finds the number of regimes."""
CHOICES = (*LEARNERS, *(name + AUTO for name in LEARNERS))


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows and the true regime of each, with the number of regimes that a learner is told."""

    name: str
    X: Matrix
    states: Labels
    recent: int = RECENT

    @property
    def n_regimes(self) -> int:
        return int(self.states.max()) + 1


@dataclass(frozen=True)
class Change:
    """A number came to mean another regime."""

    number: int
    row: int
    before: int
    after: int
    told: bool


@dataclass(frozen=True)
class Outcome:
    """What came of one stream."""

    stream: str
    learner: str
    changes: tuple[Change, ...]
    n_events: int
    uncalled: int
    without: bool
    agreement: float

    @property
    def silent(self) -> bool:
        return any(not change.told for change in self.changes)


def levels(seed: int, onset: int) -> Stream:
    """Three levels 6 to 24 sd apart in one channel, the third one first seen at row ``onset``."""
    rng = np.random.default_rng([seed, onset])
    gaps = rng.uniform(6.0, 24.0, 2)
    means = rng.permutation(np.array([0.0, gaps[0], gaps.sum()]))
    early = machines.alternating(rng, (0, 1), STAY, onset)
    late = machines.alternating(rng, (0, 1, 2), STAY, ROWS - onset - STAY, 2)
    states = np.concatenate([early, np.full(STAY, 2), late])
    return Stream(f"levels, third at {onset:,}", rng.normal(means[states], 1.0)[:, None], states)


def machine(name: str, seed: int) -> Stream:
    made = machines.MACHINES[name](seed)
    return Stream(made.name, made.X, made.states, OVERLAPPING.get(name, RECENT))


def made(name: str, seed: int) -> list[Stream]:
    """The streams of this name and seed."""
    if name == "levels":
        return [levels(seed, onset) for onset in ONSETS]
    return [machine(name, seed)]


def labelled(model: Any, X: Matrix) -> Labels:
    """The label of each row, from the rows before it."""
    labels = np.empty(len(X), dtype=np.int64)
    names = range(X.shape[1])
    for i, row in enumerate(X.tolist()):
        x = dict(zip(names, row, strict=True))
        labels[i] = model.predict_one(x) if model.is_started else -1
        model.learn_one(x)
    return labels


def meaning(states: Labels) -> int | None:
    """The regime that rows with one number stand for, None if none is clear."""
    if len(states) < ENOUGH:
        return None
    state, count = Counter(states.tolist()).most_common(1)[0]
    return int(state) if count >= MOST * len(states) else None


def changes_of_meaning(
    labels: Labels, states: Labels, events: Iterable[Any], recent: int
) -> tuple[Change, ...]:
    """Every change of what a number stands for, and whether an event has told it."""
    told = [(event.n_points, event.number) for event in events]
    found = []
    for number in np.unique(labels[labels >= 0]).tolist():
        rows = np.flatnonzero(labels == number)
        before = None
        for i in range(ENOUGH, len(rows) + 1):
            now = meaning(states[rows[max(0, i - recent) : i]])
            if now is None:
                continue
            row = int(rows[i - 1])
            if before is not None and now != before:
                # the rows that have outvoted the former meaning begin at most so far back
                since = int(rows[max(0, i - recent)])
                said = any(since <= at <= row + 1 and number == of for at, of in told)
                found.append(Change(number, row, before, now, said))
            before = now
    return tuple(found)


def uncalled_for(
    labels: Labels, states: Labels, events: Iterable[Any], started: int
) -> tuple[int, int]:
    """All events, and those that the truth does not call for."""
    seen = Counter(states[:started].tolist())
    wanted = {state for state in np.unique(states).tolist() if seen[state] < SEEN}
    events = list(events)
    uncalled = 0
    for event in events:
        rows = np.flatnonzero(labels == event.number)
        rows = rows[rows >= event.n_points - 1]
        stands_for = Counter(states[rows].tolist()).most_common(1)
        state = stands_for[0][0] if stands_for else None
        if event.kind == "born" and state in wanted:
            wanted.discard(state)
        else:
            uncalled += 1
    return len(events), uncalled


def outcome(learner: str, stream: Stream, seed: int) -> Outcome:
    n_components: Any = "auto" if learner.endswith(AUTO) else stream.n_regimes
    model = LEARNERS[learner.removesuffix(AUTO)](n_components, seed=seed)
    labels = labelled(model, stream.X)
    events = getattr(model, "events", ())
    half = len(labels) // 2
    later, truth = labels[half:], stream.states[half:]
    own = {
        Counter(truth[later == number].tolist()).most_common(1)[0][0]
        for number in np.unique(later).tolist()
    }
    n_events, uncalled = uncalled_for(labels, stream.states, events, model.warm_up)
    return Outcome(
        stream.name,
        learner,
        changes_of_meaning(labels, stream.states, events, stream.recent),
        n_events,
        uncalled,
        bool(set(np.unique(truth).tolist()) - own),
        float(adjusted_rand_score(truth, later)),
    )


def run(job: tuple[str, str, int]) -> list[Outcome]:
    learner, name, seed = job
    return [outcome(learner, stream, seed) for stream in made(name, seed)]


def table(outcomes: list[Outcome]) -> str:
    lines = [
        "| stream | learner | silent changes of meaning | told | events uncalled for, a stream "
        "| a regime without a number | ARI, second half |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = dict.fromkeys((o.stream, o.learner) for o in outcomes)
    by_learner = dict.fromkeys(o.learner for o in outcomes)
    groups = [(*kind, [o for o in outcomes if (o.stream, o.learner) == kind]) for kind in kinds]
    groups += [("all", x, [o for o in outcomes if o.learner == x]) for x in by_learner]
    for stream, learner, its in groups:
        told = sum(change.told for o in its for change in o.changes)
        lines.append(
            f"| {stream} | {learner} | {sum(o.silent for o in its)} of {len(its)} | {told} "
            f"| {np.mean([o.uncalled for o in its]):.2f} | {sum(o.without for o in its)} "
            f"| {np.mean([o.agreement for o in its]):.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=["levels", "pump", "vibration"])
    parser.add_argument("--seeds", type=int, default=0, help="30 for levels, 12 for machines")
    parser.add_argument("--learner", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="tell every change and its row")
    chosen = parser.parse_args()
    todo = [
        (learner, name, seed)
        for name in chosen.only
        for learner in chosen.learner
        for seed in range(chosen.seeds or (30 if name == "levels" else 12))
    ]
    with multiprocessing.Pool(chosen.jobs) as pool:
        done = pool.map(run, todo, chunksize=1)
    outcomes = [o for found in done for o in found]
    if chosen.verbose:
        for (_, _, seed), found in zip(todo, done, strict=True):
            for o in found:
                if o.silent or o.uncalled or o.without:
                    print(seed, o)
    print(table(outcomes))


if __name__ == "__main__":
    main()
