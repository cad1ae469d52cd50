"""The points that are kept, and what happens when they are fitted again."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from online_gmm import Constant, OnlineGMM, OnlineHMM, _kernel
from online_gmm.em import slices
from online_gmm.em.batch import fit
from tests.conftest import bytes_of_kernels, on_one_kernel
from tests.test_kernel import blobs


def kept(model, d):
    return np.frombuffer(model._stream.points_kept()).reshape(-1, d)


@on_one_kernel
@pytest.mark.parametrize("capacity", [2, 10, 64, 65, 1000])
@pytest.mark.parametrize("warm_up", [1, 7, 100])
def test_one_point_of_every_stride_is_kept(capacity, warm_up):
    X = np.arange(1.0, 701.0)[:, None] + np.random.default_rng(1).normal(0, 0.01, (700, 1))
    model = OnlineGMM(2, warm_up=warm_up, capacity=capacity, n_init=2, seed=1)
    for n, row in enumerate(X, start=1):
        model.learn_one({0: row[0]})
        if model.is_started:
            stride = model._stream.stride_kept
            places = [
                stride * block + _kernel.place_in_block(block, stride)
                for block in range(n // stride + 1)
            ]
            expected = X[[place - 1 for place in places if place <= n]]
            np.testing.assert_array_equal(kept(model, 1), expected)
            assert len(kept(model, 1)) <= capacity
            assert stride == 1 or len(kept(model, 1)) >= capacity // 2 - 1


def test_points_of_larger_blocks_are_among_those_of_smaller_ones(kernel):
    """And which one of a block it is, is nothing that comes again and again."""
    n = 1 << 16
    before = set(range(1, n + 1))
    for size in (2, 4, 8, 64):
        places = [kernel.place_in_block(block, size) for block in range(n // size)]
        assert set(places) == set(range(1, size + 1))
        now = {size * block + place for block, place in enumerate(places)}
        assert now <= before
        before = now
        assert max(places.count(place) for place in set(places)) < 3 * len(places) / size


@on_one_kernel
@pytest.mark.parametrize("turns", [2, 4, 8])
def test_regimes_that_take_turns_are_all_kept(turns):
    """As devices do that are asked one after the other: every stride-th point is of one of them."""
    level = 9.0 * (np.arange(9600) % turns)
    X = (level + np.random.default_rng(1).normal(0.0, 1.0, 9600))[:, None]
    model = OnlineGMM(turns, seed=1)
    model.learn_many(X)
    assert model._stream.stride_kept >= 4
    np.testing.assert_allclose(model.mixture.weights, 1 / turns, atol=0.01)
    np.testing.assert_allclose(model.mixture.means.ravel(), 9.0 * np.arange(turns), atol=0.2)


def test_nothing_is_kept_where_it_would_not_be_used():
    for settings in ({"capacity": 0}, {"capacity": 1}, {"step_size": Constant(0.1)}):
        model = OnlineGMM(2, warm_up=10, seed=1, **settings)
        model.learn_many(blobs(100, 2, seed=1))
        assert kept(model, 2).size == 0
        assert model.start.n_points == 10


@on_one_kernel
def test_the_start_grows_while_all_points_are_kept():
    X = blobs(500, 2, seed=2)
    model = OnlineGMM(3, warm_up=50, capacity=400, seed=1)
    sizes = []
    for x in X:
        model.learn_one(dict(enumerate(x)))
        if model.start is not None and (not sizes or sizes[-1] != model.start.n_points):
            sizes.append(model.start.n_points)
    assert sizes == [50, 100, 200, 400]
    best = fit(X[:400], model.start.mixture, model.start.prior, tol=1e-6).log_likelihood
    assert best - model.start.log_likelihood < 1e-3


@on_one_kernel
def test_a_regime_that_comes_late_is_found():
    """The first 300 points show one regime of three."""
    rng = np.random.default_rng(1)
    levels = np.concatenate([np.zeros(300), rng.choice([0.0, 8.0, 30.0], size=5000)])
    X = rng.normal(levels, 1.0)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X)
    np.testing.assert_allclose(np.sort(model.mixture.means.ravel()), [0, 8, 30], atol=0.3)
    plain = OnlineGMM(3, warm_up=100, capacity=0, seed=1)
    plain.learn_many(X)
    assert np.abs(np.sort(plain.mixture.means.ravel()) - [0, 8, 30]).max() > 1.0


@on_one_kernel
def test_a_late_fit_is_not_taken_up_without_need(compiled):
    """Beyond its capacity a model of a steady stream keeps what the stream has made of it."""
    X = blobs(20_000 if compiled else 2_000, 2, seed=3)
    model = OnlineGMM(3, warm_up=100, capacity=400, seed=1)
    model.learn_many(X)
    assert model.start.n_points == 400


@on_one_kernel
def test_components_keep_their_numbers():
    X = blobs(3000, 2, seed=4)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X[:150])
    early = model.predict_many(X)
    model.learn_many(X[150:])
    assert np.mean(early == model.predict_many(X)) > 0.95
    assert adjusted_rand_score(early, model.predict_many(X)) > 0.9


@on_one_kernel
def test_a_few_outliers_are_left_out_of_a_fit():
    X = blobs(800, 2, seed=5)
    hit = X.copy()
    hit[150:160] = 1e149
    models = [OnlineGMM(3, warm_up=100, seed=1) for _ in range(2)]
    for model, rows in zip(models, (X, hit), strict=True):
        model.learn_many(rows)
    assert models[1].mixture.matched_to(models[0].mixture).error(models[0].mixture) < 0.2
    assert models[1].n_outliers == 10


@on_one_kernel
def test_units_do_not_matter_for_a_fit():
    X = blobs(1000, 2, seed=6)
    models = [OnlineGMM(3, warm_up=100, capacity=200, seed=1) for _ in range(2)]
    models[0].learn_many(X)
    models[1].learn_many(X * 1e6)
    np.testing.assert_array_equal(models[0].predict_many(X), models[1].predict_many(X * 1e6))


LEARNERS = {
    "mixture": lambda: OnlineGMM(3, warm_up=100, n_init=4, seed=1),
    "chain": lambda: OnlineHMM(3, warm_up=100, n_init=4, capacity=900, seed=1),
    "chain in time": lambda: OnlineHMM(2, warm_up=100, n_init=2, capacity=300, time="t", seed=1),
}


def stream(n, learner):
    """Three regimes, of which one is first seen after the warm start."""
    rng = np.random.default_rng(3)
    level = np.repeat(rng.choice([0.0, 3.0, 6.0], size=n // 25 + 1), 25)[:n]
    level[:120] = np.where(level[:120] == 6.0, 0.0, level[:120])
    rows = rng.normal(level, 1.0).tolist()
    if learner == "chain in time":
        return [{"x": x, "t": float(t)} for t, x in enumerate(rows)]
    return [{"x": x} for x in rows]


@pytest.fixture
def thin(monkeypatch):
    """Slices so thin that a fit takes many points."""
    for module in ("slices", "batch", "polish", "starts"):
        monkeypatch.setattr(f"online_gmm.em.{module}.SLICE", 3e3)
    monkeypatch.setattr("online_gmm.learners.chain_refits.SLICE", 3e3)


@on_one_kernel
@pytest.mark.parametrize("learner", LEARNERS)
def test_a_fit_goes_on_from_bytes_and_copies(learner, thin):
    """To the same bits, wherever it is interrupted."""
    points = stream(1000, learner)
    model = LEARNERS[learner]().fit_start(pd.DataFrame(points[:100]))
    at = (1, 2, 7, 30)
    others, under_way, adding = [], 0, 0
    for x in points[100:]:
        model.learn_one(x)
        for other in others:
            other.learn_one(x)
        if (refit := model._refit) is not None:
            under_way += 1
            # the fit has ended, and learns the points that have come since it began
            begins_to_add = adding == 0 and len(refit.rows) > refit.n_fitted
            adding += len(refit.rows) > refit.n_fitted
            if under_way in at or begins_to_add:
                others += [type(model).from_bytes(model.to_bytes()), copy.deepcopy(model)]
    assert under_way > 30
    assert len(others) >= 2 * len(at)
    assert adding > 0 or learner == "mixture"
    assert {other.to_bytes() for other in others} == {model.to_bytes()}


@on_one_kernel
@pytest.mark.parametrize("learner", LEARNERS)
def test_both_kernels_fit_alike(learner, thin, monkeypatch):
    def learnt():
        model, under_way = LEARNERS[learner]().fit_start(pd.DataFrame(points[:100])), 0
        for x in points[100:]:
            model.learn_one(x)
            under_way += model._refit is not None
            if under_way == 2:
                model = type(model).from_bytes(model.to_bytes())
        assert under_way > 30
        return model

    points = stream(330, learner)
    assert len(bytes_of_kernels(learnt, monkeypatch)) == 1


@on_one_kernel
@pytest.mark.parametrize("learner", LEARNERS)
def test_many_points_meet_the_same_slices(learner, thin, compiled):
    points = stream(700 if compiled else 260, learner)
    first, rest = pd.DataFrame(points[:100]), points[100:]
    one, many = (LEARNERS[learner]().fit_start(first) for _ in range(2))
    for x in rest:
        one.learn_one(x)
    many.learn_many(pd.DataFrame(rest))
    assert many.to_bytes() == one.to_bytes()


@on_one_kernel
@pytest.mark.parametrize("learner", ["mixture", "chain"])
def test_no_slice_is_much_more_than_its_share(learner, monkeypatch, compiled):
    """Work between two slices, as the meter counts it."""
    done, spent = [0.0], 0.0

    def is_full(self, work):
        nonlocal spent
        spent += work
        done[-1] = spent
        return plain(self, work)

    plain = slices.Meter.is_full
    monkeypatch.setattr(slices.Meter, "is_full", is_full)
    model = LEARNERS[learner]()
    for i, x in enumerate(stream(3000 if compiled else 300, learner)):
        model.learn_one(x)
        if i > 100:
            assert spent < 2.0 * slices.SLICE
        spent = 0.0
    assert max(done) > 0.0


@on_one_kernel
def test_more_points_are_kept_where_values_are_missing():
    """Complete rows as many as without; four times as many points at most, and through bytes."""
    rng = np.random.default_rng(5)
    X = rng.normal(np.arange(1500)[:, None] % 2 * 6.0, 1.0, (1500, 3))
    kept = {}
    for share in (0.0, 0.2, 0.7):
        rows = np.where(rng.random(X.shape) < share, np.nan, X)
        rows[:, 0] = X[:, 0]
        model = OnlineGMM(2, capacity=100, seed=1)
        model.learn_many(rows[:800])
        model = OnlineGMM.from_bytes(model.to_bytes())
        model.learn_many(rows[800:])
        capacity = kept[share] = model._stream.capacity
        assert capacity / 2 <= len(model._stream.points_kept()) / 24 <= capacity
    assert kept[0.0] == 100
    # about 0.64 of the rows are complete
    assert 140 < kept[0.2] < 175
    assert kept[0.7] == 400


# -- a chain after its capacity -----------------------------------------------------------------


def later_regime(level, n, late, seed):
    """Regimes at 0 and 5; one at ``level`` comes after so many rows. Stays of about 100 rows."""
    rng = np.random.default_rng(seed)
    states = np.zeros(n, dtype=int)
    at = state = 0
    while at < n:
        stay = 1 + int(rng.exponential(100.0))
        states[at : at + stay] = state
        at += stay
        state = int(rng.choice([s for s in range(3 if at >= late else 2) if s != state]))
    return rng.normal(np.array([0.0, 5.0, level])[states], 1.0)[:, None], states


@on_one_kernel
def test_a_chain_finds_a_regime_between_others_after_its_capacity():
    """No point of it lies beyond all regimes, and the first 1,600 points do not show it."""
    X, states = later_regime(2.2, 9000, 4000, 2)
    model = OnlineHMM(3, seed=1)
    model.learn_many(X[:4000])
    assert model.labels == (0, 1)
    model.learn_many(X[4000:])
    (born,) = [event for event in model.events if event.kind == "born"]
    assert born.number == 2
    assert born.n_points > 4000
    assert abs(born.after[0] - 2.2) < 0.3
    # the others mean what they did
    np.testing.assert_allclose(model.mixture.means.ravel(), [0.0, 5.0, 2.2], atol=0.2)
    assert adjusted_rand_score(states[7000:], model.decode_many(X[7000:])) > 0.95


@on_one_kernel
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_chain_that_knows_all_regimes_finds_no_more(seed):
    X, _ = later_regime(5.0, 7000, 4000, seed)
    model = OnlineHMM(3, seed=seed)
    model.learn_many(X[:1600])
    before = model.events
    model.learn_many(X[1600:])
    assert model.events == before
    np.testing.assert_allclose(np.sort(model.mixture.means.ravel())[[0, -1]], [0, 5], atol=0.2)


@on_one_kernel
@pytest.mark.parametrize("timed", [False, True])
def test_a_late_fit_goes_on_from_bytes(timed):
    """Before, while and after the last points are kept, and in the midst of the fit."""
    capacity = 200
    X, _ = later_regime(2.5, 900, capacity, 2)
    model = OnlineHMM(
        3, warm_up=50, n_init=2, capacity=capacity, time="t" if timed else None, seed=1
    )
    points = [{"x": x, **({"t": float(t)} if timed else {})} for t, x in enumerate(X[:, 0])]
    one = model.clone()
    late = 0
    for i, x in enumerate(points):
        model.learn_one(x)
        one.learn_one(x)
        if one._refit is not None and one._refit.stride > 1:
            late += 1
            if late % 3 == 1:
                one = OnlineHMM.from_bytes(one.to_bytes())
        elif i % 37 == 0:
            one = OnlineHMM.from_bytes(one.to_bytes())
    many = OnlineHMM(**{**model._get_params(), "features": ["x"]})
    many.learn_many(pd.DataFrame(points))
    assert late > 3
    assert one.to_bytes() == model.to_bytes()
    assert many._stream.state() == model._stream.state()
    # half of the points kept are the first ones
    kept = np.frombuffer(model._stream.points_kept())
    np.testing.assert_array_equal(kept[: capacity // 2], X[: capacity // 2, 0])
    assert not np.isin(kept[capacity // 2 :], X[:capacity]).any()
