"""Counters of rare events: a window shows one or none, and nothing of how many there are."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks.beside import learnt, placed
from tests.conftest import on_one_kernel


def counts(seed, rate, n=4000):
    return np.random.default_rng([31, seed]).poisson(rate, n)[:, None].astype(float)


def beside_levels(seed, rate, stay, n=5000):
    """Two levels in turns, noise, and a counter of rare events; and the levels."""
    rng = np.random.default_rng([32, seed])
    lengths = rng.integers(stay // 2, stay * 3 // 2, n // (stay // 2) + 1)
    states = np.repeat(np.arange(len(lengths)) % 2, lengths)[:n]
    return np.column_stack(
        [rng.normal(4.0 * states), rng.normal(size=n), rng.poisson(rate, n)]
    ), states


@on_one_kernel
@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_rare_events_that_go_on_as_before_are_no_changes(rate):
    n_changes = [len(learnt(counts(seed, rate))[1]) for seed in range(6)]
    # 12 and 16 in the mean where the shortest windows took an event for a regime
    assert np.mean(n_changes) <= 2.5


@on_one_kernel
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_levels_are_seen_beside_a_counter(rate):
    scores, n_found, n_true = [], 0, 0
    for seed in range(4):
        X, states = beside_levels(seed, rate, 300)
        _, changes = learnt(X)
        scores.append(adjusted_rand_score(states, placed(changes, len(X))))
        n_found += len(changes)
        n_true += np.count_nonzero(np.diff(states))
    # up to seven times as many were found where each event was a change
    assert 0.75 * n_true <= n_found <= 1.4 * n_true
    assert np.median(scores) > 0.9


@on_one_kernel
def test_events_that_become_many_are_a_regime():
    scores = []
    for seed in range(4):
        states = np.arange(4000) // 400 % 2
        X = np.random.default_rng([33, seed]).poisson(np.where(states, 1.5, 0.05))[:, None]
        _, changes = learnt(X.astype(float))
        scores.append(adjusted_rand_score(states, placed(changes, len(X))))
    assert np.median(scores) > 0.9


@on_one_kernel
def test_the_second_pass_is_certain_of_levels_beside_a_counter():
    states = np.arange(3000) // 200 % 2
    for seed in range(3):
        rng = np.random.default_rng([36, seed])
        X = np.column_stack([rng.normal(20.0 + 4.0 * states), rng.poisson(0.05, 3000)])
        segmenter, _ = learnt(X)
        result = segmenter.second_pass(X)
        assert adjusted_rand_score(states, result.labels) > 0.95
        # 0 or not known for many where windows of the same regime differ by their events
        assert np.median([segment.probability for segment in result.segments]) > 0.99


@on_one_kernel
@pytest.mark.parametrize(("column", "most"), [("switch", 20), ("machine", 26)])
def test_a_switch_and_a_machine_that_runs_at_times_are_no_events(column, most):
    """What stays elsewhere, or moves for long, is shown at once: the delay is some rows."""
    is_on = np.arange(4000) // 200 % 2
    n_found, delays = [], []
    for seed in range(6):
        rng = np.random.default_rng([34, seed])
        runs = is_on * rng.normal(5.0, 1.0, 4000)
        x = is_on if column == "switch" else runs
        _, changes = learnt(np.column_stack([x, rng.normal(size=4000)]))
        n_found.append(len(changes))
        delays += [change.delay for change in changes]
    assert 19 <= np.mean(n_found) <= most
    assert np.median(delays) <= 12


def test_a_state_within_a_burst_goes_on(kernel):
    X, _ = beside_levels(3, 0.1, 100, 900)
    rows = memoryview(np.ascontiguousarray(X).reshape(-1))
    moved = np.flatnonzero(X[:, 2])
    cut = int(moved[moved > 700][0]) + 1
    whole, first = kernel.Partition(3), kernel.Partition(3)
    whole.learn(rows, 900)
    first.learn(rows[: 3 * cut], cut)
    bursts = first.state()["scales"][1]["blocks"]["bursts"]
    assert np.frombuffer(bursts["begin"])[2] > 0.0
    assert np.frombuffer(bursts["n_events"])[2] >= 3.0
    rest = kernel.Partition.from_state(first.state())
    rest.learn(rows[3 * cut :], 900 - cut)
    assert rest.state() == whole.state()
