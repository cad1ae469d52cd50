"""Both kernels of the segmenter's core against a plain numpy reference."""

import functools

import numpy as np
import pytest

from benchmarks.plants import following
from tests.conftest import KERNELS, on_one_kernel
from tests.naive_segmenter import Naive, Usual, features


def visits(rng, means, sds, n, stay):
    """Stays in regimes of these means and sds, in random order."""
    states, state = [], 0
    while len(states) < n:
        states += [state] * int(rng.integers(stay // 2, 2 * stay))
        state = int(rng.choice([k for k in range(len(means)) if k != state]))
    states = np.array(states[:n])
    return rng.normal(np.asarray(means)[states], np.asarray(sds)[states])


def levels(rng, n):
    return visits(rng, [[0.0], [6.0], [13.0]], [[1.0]] * 3, n, 120)


def channels(rng, n):
    """Three channels: level, spread, and one that never moves; the first two go together."""
    X = visits(rng, [[0.0, 0.0, 5.0], [3.0, 0.0, 5.0]], [[1.0, 1.0, 0.0], [1.0, 4.0, 0.0]], n, 200)
    X[:, 1] += 0.5 * X[:, 0]
    return X


def missing(rng, n):
    X = visits(rng, [[0.0, 5.0], [4.0, 5.0], [0.0, 9.0]], [[1.0, 0.5]] * 3, n, 150)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[300:330, 0] = np.nan
    return X


def silent(rng, n):
    """Devices that take turns, and one of them silent now and then."""
    X = visits(rng, [[0.0, 5.0], [4.0, 5.0], [0.0, 9.0]], [[1.0, 0.5]] * 3, n, 150)
    turn = rng.integers(0, 2, n)
    X[turn == 0, 0] = np.nan
    X[(turn == 1) & (np.arange(n) > n // 3), 1] = np.nan
    X[300:380] = np.nan
    X[600:660, 0] = X[640:700, 1] = np.nan
    return X


def rhythm(rng, n):
    """A wave that doubles its frequency now and then, and single wild readings."""
    fast = np.arange(n) // 250 % 2
    X = np.sin(2 * np.pi * np.cumsum(np.where(fast, 1 / 8, 1 / 16))) + rng.normal(0.0, 0.2, n)
    X[rng.choice(n, n // 300, replace=False)] = 1e4
    return X[:, None]


def transient(rng, n):
    """A sensor that starts far from what it measures then, at both ends in turn."""
    X = np.hstack([levels(rng, n), levels(rng, n)])
    X[:2] += [[400.0, -90.0], [90.0, -400.0]]
    return X


def followed(rng, n, slowness=5.0, noise=0.5):
    """A level that is reached in some rows."""
    level = visits(rng, [[40.0], [60.0], [80.0]], [[0.0]] * 3, n, 150)
    X = following(level[:, 0], slowness)[:, None]
    return X + rng.normal(0.0, noise, X.shape)


def curves(rng, n):
    """A level that is reached in many rows: short windows see segments on the way."""
    return followed(rng, n, 20.0, 1.0)


def heated(rng, n):
    """A switch, and a temperature that follows it slowly."""
    level = visits(rng, [[0.0], [1.0]], [[0.0]] * 2, n, 200)
    heat = following(20.0 + 40.0 * level[:, 0], 40.0) + rng.normal(0.0, 0.3, n)
    return np.column_stack([level[:, 0], heat])


def alarms(rng, n):
    """Levels, a counter of rare events that are many for a while, and another one."""
    X = visits(rng, [[0.0], [5.0]], [[1.0]] * 2, n, 150)
    rate = np.where(np.arange(n) // 300 % 3 == 2, 1.5, 0.06)
    return np.column_stack([X, rng.poisson(rate), rng.poisson(0.04, n)])


def counter(rng, n):
    """Nothing but a counter of rare events, of which there are many for a while."""
    return rng.poisson(np.where(np.arange(n) // 300 % 3 == 2, 1.5, 0.06))[:, None].astype(float)


STREAMS = {
    "alarms": alarms,
    "counter": counter,
    "levels": levels,
    "channels": channels,
    "missing": missing,
    "silent": silent,
    "rhythm": rhythm,
    "transient": transient,
    "followed": followed,
    "curves": curves,
    "heated": heated,
}


@functools.cache
def reference(name, window):
    """Rows, and what the reference tells of them, for both kernels.

    The first rows of 1800: they take every way through the reference that all of them take.
    """
    X = STREAMS[name](np.random.default_rng(7), 1800)[:1000]
    return X, Naive(X, window).told


# that the other kernel has the same bits at all scales is shown by `test_partition`
ONES = [*((min(KERNELS), window) for window in (4, 8, 16, 24)), ("interpreted", 8)]


@pytest.mark.parametrize(("kernel", "window"), dict.fromkeys(ONES), indirect=["kernel"])
@pytest.mark.parametrize("name", STREAMS)
def test_changes_are_those_of_the_reference(kernel, name, window):
    X, expected = reference(name, window)
    if not kernel.COMPILED:
        # what is told of rows does not depend on later ones
        X, expected = X[:700], [change for change in expected if change[1] < 700]
    core = kernel.Partition(X.shape[1], window)
    core.learn(memoryview(np.ascontiguousarray(X).reshape(-1)), len(X))
    told = [event[1:5] for event in core.drain() if event[0] == "change"]
    assert told == expected


@pytest.mark.parametrize(("stride", "length"), [(3, 8), (6, 8), (10, 10)])
def test_windows_of_whole_periods_are_those_of_the_reference(kernel, stride, length):
    rng = np.random.default_rng(7)
    X = channels(rng, 400)
    X[50:60, 0] = np.nan
    X[200:320, 1] = np.nan
    X[rng.random(400) < 0.5, 2] = np.nan
    window, shares = stride * length, np.array([1.0, 0.9, 0.5])
    core = kernel.Blocks(3, stride, length, True)
    core.presence.expect(memoryview(shares))
    seen = core.looks(memoryview(X.reshape(-1)))
    seen = np.frombuffer(seen).reshape(len(X) // stride - length + 1, -1)
    before, usual = np.zeros(seen.shape[1]), Usual(shares, window, stride)
    for look, its in enumerate(seen):
        end = window + look * stride
        before = features(X[end - window : end], stride, before, usual, X[: end - window])
        np.testing.assert_allclose(its, before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("period", [24, 40])
def test_windows_of_whole_periods_show_the_same_at_every_phase(kernel, period):
    x = np.sin(2 * np.pi * (np.arange(400) + 0.3) / period) + 0.3 * (np.arange(400) % period < 5)
    stride, length = period // 8, 8
    seen = [
        np.frombuffer(kernel.Blocks(1, stride, length, periodic).looks(memoryview(x)))
        for periodic in (False, True)
    ]
    spreads = [looks.reshape(-1, len(looks) // (400 // stride - 7))[8:].std(0) for looks in seen]
    assert spreads[0].max() > 0.02
    assert spreads[1].max() < 1e-9


@on_one_kernel
def test_the_streams_have_changes_and_returns():
    _, told = reference("levels", 8)
    assert len(told) >= 6
    assert len({after for _, _, _, after in told}) < len(told)
