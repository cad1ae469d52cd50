"""Streams as plants make them beside `benchmarks/machines.py`: modes, switches, lags, counts.

python benchmarks/plants.py [--seeds N] [--learners NAME ...]

Each has 6,000 rows, and regimes that return after stays of some hundred rows. None was made to
show what a learner is good at: a temperature that follows slowly has no regimes in the strict
sense, and what a motor varies by at rest says nothing of what it varies by when it runs. The
columns are those of ``benchmarks/machines.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.machines import HEAD, LEARNERS, Machine, judge, parser_of, row

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Stream = tuple[Matrix, Ints]
ROWS = 6000


def stays(rng: np.random.Generator, n_regimes: int, mean: int) -> Ints:
    """The regime of each row; each stays for 0.6 to 1.4 times so many rows."""
    states: list[int] = []
    now = 0
    while len(states) < ROWS:
        states += [now] * int(mean * rng.uniform(0.6, 1.4))
        now = (now + int(rng.integers(1, n_regimes))) % n_regimes
    return np.array(states[:ROWS])


def following(target: Matrix, time_constant: float) -> Matrix:
    """What follows a target exponentially, from where that begins."""
    share = 1.0 / time_constant
    result: Matrix = lfilter([share], [1.0, share - 1.0], target, zi=[target[0] * (1.0 - share)])[0]
    return result


def modes(rng: np.random.Generator) -> Stream:
    """Three levels of one channel."""
    states = stays(rng, 3, 400)
    return rng.normal(np.array([10.0, 50.0, 30.0])[states], 1.0)[:, None], states


def slow_temperature(rng: np.random.Generator) -> Stream:
    """A flow that jumps, and a temperature that follows it."""
    states = stays(rng, 2, 600)
    heat = following(np.array([20.0, 60.0])[states], 60.0) + rng.normal(0.0, 0.3, ROWS)
    return np.column_stack([heat, rng.normal(np.array([0.0, 15.0])[states], 0.5)]), states


def switch(rng: np.random.Generator) -> Stream:
    """Nothing but a switch."""
    states = stays(rng, 2, 300)
    return states[:, None].astype(float), states


def switch_and_flow(rng: np.random.Generator) -> Stream:
    """A switch beside noisy channels that change with it."""
    states = stays(rng, 2, 300)
    flow = rng.normal(np.array([0.0, 40.0])[states], 1.0)
    return np.column_stack([flow, rng.normal(8.0 - 2.0 * states, 0.1), states]), states


def switch_and_temperature(rng: np.random.Generator) -> Stream:
    """A switch, and a temperature that follows it."""
    states = stays(rng, 2, 500)
    heat = following(np.array([20.0, 60.0])[states], 80.0) + rng.normal(0.0, 0.2, ROWS)
    return np.column_stack([states, heat]), states


def setpoints(rng: np.random.Generator) -> Stream:
    """A setpoint of three values, what follows it, and a channel of noise."""
    states = stays(rng, 3, 500)
    wanted = np.array([40.0, 60.0, 80.0])[states]
    reached = following(wanted, 10.0) + rng.normal(0.0, 0.5, ROWS)
    return np.column_stack([wanted, reached, rng.normal(5.0, 0.2, ROWS)]), states


def duty(rng: np.random.Generator) -> Stream:
    """A valve that opens every ten rows, for three or seven of them."""
    states = stays(rng, 2, 400)
    is_open = np.arange(ROWS) % 10 < np.array([3, 7])[states]
    return is_open[:, None].astype(float), states


def motor(rng: np.random.Generator) -> Stream:
    """Current and speed at rest, where they hardly vary, and at two speeds."""
    states = stays(rng, 3, 300)
    usual, noise = np.array([0.0, 8.0, 14.0]), np.array([0.02, 0.5, 0.8])
    current = np.abs(rng.normal(usual[states], noise[states]))
    speed = rng.normal(np.array([0.0, 1480.0, 2960.0])[states], np.array([0.0, 4.0, 6.0])[states])
    return np.column_stack([current, np.round(speed)]), states


def half_degrees(rng: np.random.Generator) -> Stream:
    """Two temperatures 1.5 degrees apart, read to half a degree."""
    states = stays(rng, 2, 500)
    return np.round(2.0 * rng.normal(np.array([21.0, 22.5])[states], 0.4))[:, None] / 2.0, states


def alarms(rng: np.random.Generator) -> Stream:
    """Every 1,500 rows something else for 60, with a switch that says so."""
    states = np.zeros(ROWS, dtype=np.int64)
    for begin in range(1500, ROWS, 1500):
        states[begin : begin + 60] = 1
    return np.column_stack([rng.normal(np.array([3.0, 9.0])[states], 0.5), states]), states


def counts(rng: np.random.Generator) -> Stream:
    """Events a row: hardly any, or one and a half."""
    states = stays(rng, 2, 400)
    return rng.poisson(np.array([0.05, 1.5])[states])[:, None].astype(float), states


def two_machines(rng: np.random.Generator) -> Stream:
    """Two channels that switch on and off each by itself."""
    one, other = stays(rng, 2, 700), stays(rng, 2, 900)
    return np.column_stack([rng.normal(5.0 * one), rng.normal(5.0 * other)]), 2 * one + other


def thermostat(rng: np.random.Generator) -> Stream:
    """A heater that goes on and off about one of two temperatures."""
    states = stays(rng, 2, 1200)
    heat = np.empty(ROWS)
    now, is_on = 20.0, True
    for i, state in enumerate(states.tolist()):
        low, high = ((20.0, 22.0), (50.0, 56.0))[state]
        is_on = now < low or (is_on and now <= high)
        now += 0.3 if is_on else -0.2
        heat[i] = now
    return (heat + rng.normal(0.0, 0.05, ROWS))[:, None], states


def held(rng: np.random.Generator) -> Stream:
    """A reading every five rows, held in between."""
    states = stays(rng, 2, 600)
    read = rng.normal(np.array([3.0, 8.0])[states], 0.6)
    return read[np.arange(ROWS) // 5 * 5][:, None], states


PLANTS: dict[str, Callable[[np.random.Generator], Stream]] = {
    "modes": modes,
    "slow temperature": slow_temperature,
    "switch": switch,
    "switch and flow": switch_and_flow,
    "switch and temperature": switch_and_temperature,
    "setpoints": setpoints,
    "duty": duty,
    "motor": motor,
    "half degrees": half_degrees,
    "alarms": alarms,
    "counts": counts,
    "two machines": two_machines,
    "thermostat": thermostat,
    "held": held,
}


def plant(name: str, seed: int) -> Machine:
    """A stream of one kind."""
    return Machine.unnamed(name, *PLANTS[name](np.random.default_rng([seed, *name.encode()])))


def main() -> None:
    options = parser_of(__doc__, 4, ["Segmenter()"]).parse_args()
    print(HEAD)
    for learner in options.learners:
        answer = LEARNERS[learner]
        every = []
        for name in PLANTS:
            streams = [plant(name, seed) for seed in range(options.seeds)]
            verdicts = [judge(stream, answer(stream)) for stream in streams]
            every += verdicts
            print(row(name, learner, verdicts), flush=True)
        print(row("all", learner, every), flush=True)


if __name__ == "__main__":
    main()
