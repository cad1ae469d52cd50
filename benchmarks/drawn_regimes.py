"""Streams whose regimes are drawn at random, so that no setting can be fitted to a series.

python benchmarks/drawn_regimes.py [--seeds N] [--learners NAME ...]

Each stream has 6,000 rows, 1 to 4 channels and 2 to 4 regimes of one family, with stays of 200, 500
or 1,200 rows in the mean. Settings are tuned on even seeds only, so the odd ones are told apart.
The columns are those of ``benchmarks/machines.py``.

Levels differ in mean and spread; oscillators in frequency, damping and size; waves in period, shape
and size; wanderers in the level to which they return, and how fast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.machines import HEAD, LEARNERS, Machine, judge, parser_of, row

Matrix = NDArray[np.float64]
Regime = Callable[[int], Matrix]
"""The values of one channel for so many rows."""

ROWS = 6000
SETTLING = 200
"""Rows after which a filter has forgotten where it began."""
STAYS = (200, 500, 1200)
CHANNELS = (1, 1, 2, 4)


def level(rng: np.random.Generator) -> Regime:
    mean, sd = rng.normal(0.0, 4.0), np.exp(rng.normal(0.0, 0.4))
    return lambda n: mean + sd * rng.normal(size=n)


def oscillator(rng: np.random.Generator) -> Regime:
    """Autoregression of order 2 about 0."""
    radius, angle = rng.uniform(0.3, 0.97), rng.uniform(0.1, 1.5)
    size = 3.0 * np.exp(rng.normal(0.0, 0.3)) * (1.0 - radius)
    past = [1.0, -2.0 * radius * np.cos(angle), radius**2]
    return lambda n: lfilter([size], past, rng.normal(size=n + SETTLING))[SETTLING:]


def wave(rng: np.random.Generator) -> Regime:
    """Three harmonics and noise."""
    period, size, noise = rng.uniform(12, 90), rng.uniform(0.5, 3.0), rng.uniform(0.05, 0.5)
    parts = size * rng.normal(size=3) * [1.0, 0.6, 0.4]
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)

    def values(n: int) -> Matrix:
        angles = 2.0 * np.pi * np.outer(np.arange(n), [1, 2, 3]) / period + phases
        result: Matrix = np.sin(angles) @ parts + noise * rng.normal(size=n)
        return result

    return values


def wanderer(rng: np.random.Generator) -> Regime:
    """Autoregression of order 1 about a level, and noise."""
    mean, slow, size = rng.normal(0.0, 3.0), rng.uniform(0.9, 0.98), rng.uniform(0.2, 0.6)

    def values(n: int) -> Matrix:
        steps = rng.normal(size=n + SETTLING)
        wander: Matrix = lfilter([size], [1.0, -slow], steps)[SETTLING:]
        return mean + wander + 0.3 * rng.normal(size=n)

    return values


FAMILIES = {"levels": level, "oscillators": oscillator, "waves": wave, "wanderers": wanderer}


def drawn(family: str, seed: int) -> Machine:
    """A stream of one family."""
    rng = np.random.default_rng([seed, *family.encode()])
    n_channels, n_regimes = int(rng.choice(CHANNELS)), int(rng.integers(2, 5))
    regimes = [[FAMILIES[family](rng) for _ in range(n_channels)] for _ in range(n_regimes)]
    stay = int(rng.choice(STAYS))
    parts, states, now = [], [], 0
    while sum(map(len, states)) < ROWS:
        n = int(stay * rng.uniform(0.5, 1.5))
        parts.append(np.column_stack([values(n) for values in regimes[now]]))
        states.append(np.full(n, now))
        now = (now + int(rng.integers(1, n_regimes))) % n_regimes
    return Machine.unnamed(family, np.concatenate(parts)[:ROWS], np.concatenate(states)[:ROWS])


def main() -> None:
    options = parser_of(__doc__, 40, ["Segmenter()"]).parse_args()
    print(HEAD)
    for learner in options.learners:
        answer = LEARNERS[learner]
        of_all = []
        for family in FAMILIES:
            streams = [drawn(family, seed) for seed in range(options.seeds)]
            verdicts = [judge(stream, answer(stream)) for stream in streams]
            of_all.append(verdicts)
            for first, name in enumerate(("even", "odd")):
                print(row(f"{family}, {name} seeds", learner, verdicts[first::2]), flush=True)
        for first, name in enumerate(("even", "odd")):
            every = [verdict for verdicts in of_all for verdict in verdicts[first::2]]
            print(row(f"all, {name} seeds", learner, every), flush=True)


if __name__ == "__main__":
    main()
