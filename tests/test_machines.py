"""The streams of benchmarks/machines.py, and its judging against answers worked out by hand."""

import numpy as np
import pytest

from benchmarks.drawn_regimes import FAMILIES, drawn
from benchmarks.machines import (
    LEARNERS,
    MACHINES,
    Answer,
    Machine,
    changed_meaning,
    from_causal,
    judge,
)
from benchmarks.plants import PLANTS, plant
from online_gmm import _kernel


@pytest.fixture(autouse=True)
def kernel():
    """Nothing here runs a kernel."""


def labels(text):
    return np.array([int(letter) for letter in text])


def machine(text, within=1):
    states = labels(text)
    return Machine("by hand", states[:, None].astype(float), ("x",), states, within)


@pytest.mark.parametrize("name", MACHINES)
def test_streams_are_seeded_and_numbered_as_regimes_appear(name):
    first, again, other = MACHINES[name](0), MACHINES[name](0), MACHINES[name](1)
    assert np.array_equal(first.X, again.X, equal_nan=True)
    assert not np.array_equal(first.X, other.X, equal_nan=True)
    assert first.X.shape == (len(first.states), len(first.channels))
    _, seen = np.unique(first.states, return_index=True)
    assert seen.tolist() == sorted(seen.tolist())
    assert first.states[0] == 0
    assert min(np.diff(first.changes)) > first.within


def test_the_truth_has_full_marks():
    its = machine("000111000222")
    verdict = judge(its, Answer(its.states, its.states, its.changes, its.changes + 2))
    assert verdict == (1.0, 1.0, 1.0, 1.0, 2.0, 0, 3, 3)


def test_changes_are_placed_within_some_rows():
    its = machine("000000111111000000")
    answer = from_causal(labels("000000011111111000"))
    assert judge(its, answer).placed == 0.5
    assert judge(its, answer).delay == 1
    assert judge(machine("000000111111000000", within=3), answer).placed == 1.0
    nothing = judge(its, from_causal(np.zeros(18, dtype=int)))
    assert (nothing.placed, nothing.found, nothing.true) == (0.0, 0, 2)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("000111000222", 0),
        ("555777555222", 0),
        ("000111222333", 0),  # a number too many is no change of meaning
        ("000111111000", 1),  # 0 also stands for 2; the change that is missed is no new meaning
        ("000000000000", 0),
    ],
)
def test_numbers_that_change_their_meaning(found, expected):
    assert changed_meaning(labels("000111000222"), labels(found)) == expected


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
@pytest.mark.parametrize("name", ["drift", "integers", "wild", "levels-8000-100", "levels-2000-30"])
def test_the_segmenter_follows_machines(name):
    """With generous bounds; `scripts/bench machines` prints how near it comes to the goals."""
    verdict = judge(MACHINES[name](0), LEARNERS["Segmenter()"](MACHINES[name](0)))
    assert verdict.half >= 0.9
    assert verdict.placed >= 0.9
    assert 0.8 <= verdict.found / verdict.true <= 1.3


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
@pytest.mark.parametrize("stay", [40, 60])
def test_a_strict_timetable_of_levels_is_no_rhythm(stay):
    states = np.arange(3000) // stay % 2
    X = np.random.default_rng(1).normal(8.0 * states, 1.0)[:, None]
    its = Machine("timetable", X, ("level",), states, stay // 4)
    verdict = judge(its, LEARNERS["Segmenter()"](its))
    assert verdict.ari >= 0.9
    assert verdict.placed >= 0.95
    assert 0.9 <= verdict.found / verdict.true <= 1.1


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
@pytest.mark.parametrize("n_channels", [1, 3])
def test_many_regimes_with_short_stays(n_channels):
    """Twelve regimes seldom return, and no window of 24 points or more fits into a stay."""
    rng = np.random.default_rng(3)
    states = np.repeat(rng.permuted(np.tile(np.arange(12), 12)), 60)
    centres = 8.0 * rng.permuted(np.tile(np.arange(12), (n_channels, 1)), axis=1).T
    X = rng.normal(centres[states], 1.0)
    its = Machine("many", X, tuple(f"c{i}" for i in range(n_channels)), states, 15)
    verdict = judge(its, LEARNERS["Segmenter()"](its))
    assert verdict.half >= 0.9
    assert verdict.placed >= 0.9
    assert 0.9 <= verdict.found / verdict.true <= 1.1


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
def test_switches_have_no_noise():
    """Where nothing varies within a regime, a change is as plain as can be."""
    rng = np.random.default_rng(3)
    states = np.repeat(np.arange(30) % 2, rng.integers(100, 400, 30))
    its = Machine("switch", 7.0 * states[:, None], ("on",), states, 25)
    verdict = judge(its, LEARNERS["Segmenter()"](its))
    assert verdict.ari >= 0.99
    assert verdict.half >= 0.99
    assert verdict.found / verdict.true == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_regimes_are_seeded_and_return(family):
    first, again, other = drawn(family, 0), drawn(family, 0), drawn(family, 1)
    assert np.array_equal(first.X, again.X)
    assert first.X.shape != other.X.shape or not np.array_equal(first.X, other.X)
    assert first.X.shape == (len(first.states), len(first.channels))
    assert np.isfinite(first.X).all()
    assert len(first.changes) >= first.n_regimes > 1


@pytest.mark.parametrize("name", PLANTS)
def test_plants_are_seeded_and_return(name):
    first, again, other = plant(name, 0), plant(name, 0), plant(name, 1)
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert first.X.shape == (len(first.states), len(first.channels))
    assert np.isfinite(first.X).all()
    assert len(first.changes) >= first.n_regimes > 1


@pytest.mark.skipif(not _kernel.COMPILED, reason="long streams take the compiled kernel")
@pytest.mark.parametrize(
    ("name", "least"),
    [("modes", 0.98), ("switch and flow", 0.98), ("duty", 0.95), ("alarms", 0.95)],
)
def test_a_plant(name, least):
    verdict = judge(its := plant(name, 0), LEARNERS["Segmenter()"](its))
    assert verdict.ari >= least
    assert verdict.found / verdict.true == pytest.approx(1.0, abs=0.15)
