"""What a state or a caller may ask for is bounded, and arrays may stand anywhere in memory."""

import random
from pathlib import Path

import numpy as np
import pytest

from online_gmm import OnlineGMM, OnlineHMM, RollingFeatures
from tests.fuzz import state

CORPUS = sorted((Path(__file__).parent / "fuzz" / "corpus" / "state").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_states_that_fuzzing_has_found(path):
    state.run(path.read_bytes())


def test_states_that_somebody_has_tampered_with():
    rng = random.Random(1)
    for _ in range(400):
        state.run(rng.randbytes(24))


@pytest.mark.parametrize("number", [10**8, 2**62, 10**30])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (OnlineGMM, "n_components"),
        (OnlineGMM, "max_components"),
        (OnlineHMM, "n_components"),
        (OnlineHMM, "lag"),
        (RollingFeatures, "window"),
    ],
)
def test_numbers_that_would_take_gigabytes(make, name, number):
    with pytest.raises(ValueError, match=f"{name} is {number}"):
        make(**{name: number})


@pytest.mark.parametrize("name", ["capacity", "n_init"])
@pytest.mark.parametrize("make", [OnlineGMM, OnlineHMM])
def test_numbers_beyond_any_count(make, name):
    with pytest.raises(ValueError, match=f"{name} is {10**30}"):
        make(**{name: 10**30})


def test_arrays_that_are_not_aligned_are_copied():
    X = np.random.default_rng(1).normal(size=(300, 2)) + 6.0 * (np.arange(300) // 10 % 2)[:, None]
    unaligned = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(X.shape)
    assert not unaligned.flags.aligned
    one, two = (OnlineGMM(2, warm_up=50, seed=1) for _ in range(2))
    for model, rows in ((one, X), (two, unaligned)):
        model.learn_many(rows)
        model.label_then_learn_many(rows)
    assert one.to_bytes() == two.to_bytes()
    assert np.array_equal(one.predict_many(X), two.predict_many(unaligned))
    assert np.array_equal(one.assign_many(X), two.assign_many(unaligned))


@pytest.fixture
def kernel():
    """Once, with the kernel that is installed."""
