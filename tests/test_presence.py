"""Readings that are missing: a sensor that is silent, devices that take turns, scarce readings."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks.beside import learnt, placed
from tests.conftest import on_one_kernel

SILENCES = [(900, 1150), (2100, 2400), (3500, 3620), (4700, 5050)]


def noise(seed, n=6000, d=3):
    return np.random.default_rng([23, seed]).normal(size=(n, d))


def stays(seed, n, shortest, longest):
    """Two regimes in turns."""
    rng = np.random.default_rng([24, seed])
    lengths = rng.integers(shortest, longest, n // shortest + 1)
    return np.repeat(np.arange(len(lengths)) % 2, lengths)[:n]


def silenced(X, channel):
    """Rows of which some lack a channel, and which these are."""
    X, silent = X.copy(), np.zeros(len(X), dtype=int)
    for begin, end in SILENCES:
        X[begin:end, channel] = np.nan
        silent[begin:end] = 1
    return X, silent


@on_one_kernel
@pytest.mark.parametrize("channel", [0, slice(None)], ids=["one", "all"])
def test_silence_of_a_sensor_is_one_regime(channel):
    scores = []
    for seed in range(6):
        X, silent = silenced(noise(seed), channel)
        segmenter, changes = learnt(X)
        assert 2 * len(SILENCES) <= len(changes) <= 2 * len(SILENCES) + 1
        begins, ends = (
            [min(changes, key=lambda its: abs(its.at - row)) for row in rows]
            for rows in zip(*SILENCES, strict=True)
        )
        assert all(abs(its.at - row) <= 2 for its, (row, _) in zip(begins, SILENCES, strict=True))
        assert all(str(its.why[0]).startswith("s0 missing 0% -> ") for its in begins)
        # what begins in doubt may be merged with the regime that it is
        assert len({its.before for its in ends}) == 1
        scores.append(adjusted_rand_score(silent, placed(changes, len(X))))
        assert adjusted_rand_score(silent, segmenter.second_pass(X).labels) > 0.99
    # .77 in the mean where each silence was a regime of its own
    assert np.median(scores) > 0.99
    assert np.mean(scores) > 0.89


@on_one_kernel
def test_regimes_are_told_from_silence():
    states = stays(1, 6000, 300, 700)
    X, silent = silenced(noise(1)[:, :1] + 4.0 * states[:, None], 0)
    truth = np.where(silent, 2, states)
    segmenter, changes = learnt(X)
    assert len(segmenter.regimes) == 3
    assert adjusted_rand_score(truth, placed(changes, len(X))) > 0.97
    assert adjusted_rand_score(truth, segmenter.second_pass(X).labels) > 0.97


@on_one_kernel
def test_devices_that_take_turns_row_by_row():
    scores = []
    for seed in range(4):
        states = stays(seed, 6000, 300, 700)
        X = noise(seed)
        X[:, 0] += 4.0 * states
        X[:, 1] *= 1.0 + 2.0 * states
        turn = np.random.default_rng([25, seed]).integers(0, 3, len(X))
        X[turn[:, None] != np.arange(3)] = np.nan
        segmenter, changes = learnt(X)
        assert len(segmenter.regimes) <= 4
        scores.append(adjusted_rand_score(states, placed(changes, len(X))))
        assert adjusted_rand_score(states, segmenter.second_pass(X).labels) > 0.9
    assert np.mean(scores) > 0.9


@on_one_kernel
def test_readings_that_are_missing_by_chance_are_no_changes():
    n_changes, n_later = [], []
    for seed in range(6):
        X = noise(seed)
        X[np.random.default_rng([26, seed]).random(X.shape) < 0.5] = np.nan
        segmenter, changes = learnt(X)
        n_changes.append(len(changes))
        n_later.append(np.count_nonzero(np.diff(segmenter.second_pass(X).labels)))
    # 13 and 6 in the mean where features stayed as they were at windows of few readings
    assert np.mean(n_changes) <= 1.5
    assert np.mean(n_later) <= 1.0


def test_a_state_goes_on_with_what_is_usual(kernel):
    X, _ = silenced(noise(1)[:1200], 0)
    X[np.random.default_rng(27).random(len(X)) < 0.5, 1] = np.nan
    rows = memoryview(np.ascontiguousarray(X).reshape(-1))
    whole, first = kernel.Partition(3), kernel.Partition(3)
    whole.learn(rows, 1200)
    first.learn(rows[: 3 * 1000], 1000)
    rest = kernel.Partition.from_state(first.state())
    rest.learn(rows[3 * 1000 :], 200)
    assert rest.state() == whole.state()
    presence = whole.state()["scales"][4]["blocks"]["presence"]
    usual = np.frombuffer(presence["usual"])
    assert usual[[0, 2]] == pytest.approx(48.0)
    assert 16.0 < usual[1] < 36.0


@on_one_kernel
def test_short_gaps_of_a_sensor_are_no_regime():
    n_changes, n_later = [], []
    for seed in range(6):
        X, rng = noise(seed), np.random.default_rng([28, seed])
        for begin in range(300, 5900, 350):
            X[begin : begin + rng.integers(3, 24), rng.integers(3)] = np.nan
        segmenter, changes = learnt(X)
        n_changes.append(len(changes))
        n_later.append(np.count_nonzero(np.diff(segmenter.second_pass(X).labels)))
    # 20 in the mean where silence was told from eight rows on
    assert np.mean(n_changes) <= 0.5
    assert np.mean(n_later) <= 0.5


@on_one_kernel
def test_a_change_within_a_short_gap_is_told():
    X = noise(1, 4000)
    X[2000:, 1] += 4.0
    X[1990:2010, 0] = np.nan
    _, changes = learnt(X)
    assert [its.at for its in changes] == [pytest.approx(2000, abs=12)]


def test_a_state_within_a_gap_goes_on(kernel):
    X = noise(1, 600)
    X[400:440, 1] = np.nan
    rows = memoryview(np.ascontiguousarray(X).reshape(-1))
    whole, first = kernel.Partition(3), kernel.Partition(3)
    whole.learn(rows, 600)
    first.learn(rows[: 3 * 410], 410)
    assert first.state()["scales"][0]["blocks"]["presence"]["unsure"] > 0.0
    rest = kernel.Partition.from_state(first.state())
    rest.learn(rows[3 * 410 :], 190)
    assert rest.state() == whole.state()
