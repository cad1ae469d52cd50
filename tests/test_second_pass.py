"""The second pass over a finished series: against exhaustive search, and on known series."""

import itertools
import math
from array import array

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks.machines import drifting
from benchmarks.plants import following
from online_gmm import OnlineGMM, RegimeChange, Segmenter, _kernel
from online_gmm.data.frames import view
from online_gmm.segmentation.hindsight import Labelling, WholeView
from online_gmm.segmentation.recognition import Recognition
from online_gmm.segmentation.second_pass import in_usual_units, second_pass
from online_gmm.segmentation.worth import adjusted_rand, follows_curve, most_worth
from tests.conftest import on_one_kernel


def levels(*parts, sd=1.0, seed=1):
    """Rows about levels: pairs of a level and a number of rows."""
    rng = np.random.default_rng(seed)
    means = np.concatenate([np.full(n, level) for level, n in parts])
    return rng.normal(means, sd)[:, None]


def naive_cost(z, freedom, length, window, begin, end):
    """What a segment of looks costs, as the partition has it, look by look."""
    drift, cap = window / 4000.0 / length, 3.0 * freedom
    center, count, cost = np.zeros(z.shape[1]), 0, 0.0
    for t in range(begin, end):
        if begin > 0 and t - begin < length - 1:
            cost += 1.3 * freedom / length
            continue
        gain = 1.0 / (count + 1)
        if count:
            gain = max(gain, drift)
        gap = z[t] - center
        d = gap @ gap
        move = gain / math.sqrt(d / cap) if count and d > cap else gain
        center = center + move * gap
        cost += (d if d <= cap else cap * (1.0 + math.log(d / cap))) * (1.0 - gain) / length
        count += 1
    return cost


def test_the_partition_is_the_best_of_all():
    rng = np.random.default_rng(2)
    z = np.vstack([rng.normal(m, 1.0, (n, 2)) for m, n in ((0, 7), (4, 6), (-3, 7))])
    length, window, freedom, beta, n = 3, 6, 2.0, 1.0, 20
    penalty = beta * (freedom + math.log(n))
    least = length - 1 + 1

    def total(cuts):
        ends = [*cuts[1:], n]
        if any(end - begin < least for begin, end in zip(cuts[1:], ends[1:], strict=True)):
            return math.inf
        costs = (
            naive_cost(z, freedom, length, window, *its) for its in zip(cuts, ends, strict=True)
        )
        return sum(costs) + penalty * (len(cuts) - 1)

    every = ((0, *cuts) for k in range(4) for cuts in itertools.combinations(range(1, n), k))
    best = min(every, key=total)
    found = _kernel.best_partition(array("d", z.ravel()), 2, freedom, length, window, beta)
    assert tuple(found) == best
    assert len(best) == 3


def test_the_states_are_the_best_of_all():
    rng = np.random.default_rng(3)
    z = np.concatenate([rng.normal(m, 0.7, 5) for m in (0.0, 3.0, 0.0)])[:, None]
    means, freedom, length, penalty = np.array([[0.0], [3.0]]), 1.0, 2, 1.5
    n, dead = len(z), length - 1

    def total(labels):
        cost, t = 0.0, 0
        while t < n:
            if t and labels[t] != labels[t - 1]:
                # the look that straddles the change, and the one after it
                if t + dead >= n or labels[t + dead] != labels[t]:
                    return math.inf
                cost += penalty + dead * 1.3 * freedom / length
                t += dead
            d = float((z[t, 0] - means[labels[t], 0]) ** 2)
            cost += (d if d <= 3.0 else 3.0 * (1.0 + math.log(d / 3.0))) / length
            t += 1
        return cost

    best = min(itertools.product((0, 1), repeat=n), key=total)
    found = _kernel.best_states(
        array("d", z.ravel()), 1, array("d", means.ravel()), freedom, length, penalty
    )
    assert tuple(found) == best
    assert len(set(best)) == 2


def naive_join(means, weights, jumps, sampling, most, jump):
    """Join the two nearest states again and again, each time looking at all pairs."""
    groups = {i: i for i in range(len(means))}
    means, weights, jumps = means.copy(), weights.copy(), jumps.copy()

    def ratio(i, j):
        allowed = sampling * sum(1.0 / min(weights[its], most) for its in (i, j))
        return ((means[i] - means[j]) ** 2).sum() / max(allowed, jump * min(jumps[i], jumps[j]))

    while len(left := sorted(set(groups.values()))) > 1:
        least, i, j = min((ratio(i, j), i, j) for i, j in itertools.combinations(left, 2))
        if least >= 1.0:
            break
        total = weights[i] + weights[j]
        means[i] += weights[j] / total * (means[j] - means[i])
        weights[i], jumps[i] = total, min(jumps[i], jumps[j])
        groups = {its: i if group == j else group for its, group in groups.items()}
    return list(groups.values())


@pytest.mark.parametrize("p", [3, 8, 21])
@pytest.mark.parametrize("rounded", [False, True])
def test_states_are_joined_nearest_first(p, rounded):
    rng = np.random.default_rng(p)
    means = rng.normal(0.0, 1.5, size=(4, p))[rng.integers(4, size=25)]
    means += rng.normal(0.0, 0.4, size=means.shape)
    if rounded:
        # so that some are equally near
        means = means.round()
    weights, jumps = rng.integers(1, 60, size=25) / 4.0, rng.uniform(0.1, 2.0 * p, size=25)
    terms = 2.0 * p, 8.0, 0.1
    expected = naive_join(means, weights, jumps, *terms)
    found = _kernel.join_states(view(means), view(weights), view(jumps), *terms)
    assert list(found) == expected
    assert 1 < len(set(expected)) < 25


def test_the_looks_are_those_of_the_stream():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 3))
    X[rng.random(X.shape) < 0.05] = np.nan
    seen = WholeView(X, ((0, 120), (120, 200)), 16)
    assert len(seen.ends) == (120 - 16) // 2 + 1 + (80 - 16) // 2 + 1
    assert seen.ends[0] == 15
    assert seen.ends[-1] == 199
    blocks = _kernel.Blocks(3, seen.stride, seen.length)
    last = np.frombuffer(blocks.looks(view(X[120:])))[-blocks.n_features :]
    window = X[200 - 16 :]
    assert last[0] == pytest.approx(np.nanmean(window[:, 0]))
    assert last[3] == pytest.approx(0.5 * np.log(np.nanvar(window[:, 0], ddof=1) + 0.01))


@on_one_kernel
def test_what_varies_within_a_regime_is_whitened():
    """Gaussian noise alone: features of windows are uncorrelated, whatever the units."""
    X = np.random.default_rng(1).normal(size=(5_000, 2)) * [1.0, 1e3] + [0.0, 1e5]
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    covariance = np.cov(WholeView(scaled, ((0, 2_000), (2_000, 5_000)), 24).whitened.T)
    apart = covariance - np.diag(np.diagonal(covariance))
    assert np.abs(apart).max() < 0.3
    assert 0.5 < np.diagonal(covariance).min() <= np.diagonal(covariance).max() < 2.0


@on_one_kernel
def test_where_there_are_far_too_many_segments_changes_do_not_come_cheaper(monkeypatch):
    tried = []
    cuts = WholeView._cuts
    monkeypatch.setattr(WholeView, "_cuts", lambda its, beta: tried.append(beta) or cuts(its, beta))
    X = in_usual_units(levels(*((9.0 * (k % 2), 200) for k in range(700))))
    assert not list(WholeView(X, ((0, len(X)),), 8).labellings((1.0, 2.0, 3.0)))
    assert tried == [3.0]


@on_one_kernel
def test_what_two_windows_find_alike_is_recognised_once(monkeypatch):
    asked = []
    of = Recognition.of
    monkeypatch.setattr(Recognition, "of", lambda its, labels: asked.append(1) or of(its, labels))
    X = np.random.default_rng(1).normal(size=(1_200, 1))
    labels = np.repeat([0, 1, 0, 1], 300)
    views = [WholeView(X, ((0, len(X)),), window) for window in (24, 48)]
    found = [Labelling(labels.copy(), window, 2.0) for window in (24, 48)]
    # nothing tells these regimes apart, so that all are asked about
    assert most_worth(views, found, X, doubtful=True) is None
    assert len(asked) == 1


@on_one_kernel
def test_levels_are_found_to_the_row():
    X = levels((40, 700), (0, 300), (40, 400), (0, 350), seed=5)
    found = Segmenter(features=["flow"]).second_pass(X)
    assert [(its.start, its.end, its.label) for its in found.segments] == [
        (0, 699, 0),
        (700, 999, 1),
        (1000, 1399, 0),
        (1400, 1749, 1),
    ]
    assert [change.at for change in found.changes] == [700, 1000, 1400]
    assert all(str(change.why[0]).startswith("flow") for change in found.changes)
    assert {label: card.visits for label, card in found.regimes.items()} == {0: 2, 1: 2}
    assert found.regimes[0].n == 1100
    assert found.regimes[0].mean["flow"] == pytest.approx(40, abs=0.2)
    assert np.all(found.probabilities > 0.99)
    np.testing.assert_array_equal(np.unique(found.labels[:700]), [0])


@on_one_kernel
def test_a_long_series_may_have_many_changes():
    states = np.repeat(np.arange(500) % 2, 300)
    X = np.random.default_rng(41).normal(6.0 * states)[:, None]
    found = second_pass(X, ("x",), window=24)
    assert len(found.changes) == 499
    assert adjusted_rand_score(states, found.labels) > 0.999


@on_one_kernel
def test_noise_has_hardly_a_change(compiled):
    n, seeds = (2000, 8) if compiled else (600, 1)
    found = [
        Segmenter(features=["x"]).second_pass(levels((3.0, n), seed=seed)) for seed in range(seeds)
    ]
    assert sum(bool(its.changes) for its in found) <= 1
    single = found[0]
    assert single.changes == ()
    assert [its.n for its in single.segments] == [n]
    assert single.window == 0


@on_one_kernel
def test_white_noise_of_several_channels_is_one_regime(compiled):
    n, seeds = (2000, 3) if compiled else (120, 1)
    n_changes = []
    for n_channels in (1, 2, 6):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, n_channels])
            rows = rng.normal(size=(n, n_channels))
            n_changes.append(len(second_pass(rows, tuple(range(n_channels))).changes))
    assert sum(n_changes) <= 1, n_changes


@pytest.mark.parametrize("n", [0, 1, 15, 16, 40])
def test_short_series_have_a_label_for_each_row(n):
    found = Segmenter(features=["x"]).second_pass(levels((3.0, n)))
    assert len(found.labels) == len(found.probabilities) == n
    assert sum(its.n for its in found.segments) == n
    assert found.changes == ()


@on_one_kernel
def test_regimes_keep_the_numbers_that_the_stream_gave_them():
    X = levels((0, 600), (9, 600), (0, 600), (20, 600), (9, 600), seed=7)
    segmenter = Segmenter(features=["x"])
    segmenter.learn_many(X)
    known = {label: card.mean["x"] for label, card in segmenter.regimes.items()}
    found = segmenter.second_pass(X)
    assert len(found.regimes) == 3
    for label, card in found.regimes.items():
        if label in known:
            assert abs(card.mean["x"] - known[label]) < 3.0
    # it is no part of the stream
    again = Segmenter(features=["x"])
    again.learn_many(X)
    assert segmenter.to_bytes() == again.to_bytes()


@on_one_kernel
def test_times_gaps_and_missing_values():
    X = levels((0, 500), (9, 500), (9, 500), (0, 500), seed=8)
    X = np.hstack([X, np.full_like(X, 7.0), X[::-1]])
    X[::50, 0] = np.nan
    t = np.arange(2000.0)
    t[1000:] += 5000.0
    found = Segmenter(features=["x", "still", "y"], max_gap=60.0).second_pass(X, t)
    starts = [its.start for its in found.segments]
    assert 6000.0 in starts
    assert all(change.at != 6000.0 for change in found.changes)
    assert np.abs(np.array(starts)[:, None] - [0, 500, 6000, 6500]).min(axis=0).max() <= 8
    assert adjusted_rand_score(np.repeat([0, 1, 0], [500, 1000, 500]), found.labels) > 0.95


@on_one_kernel
@pytest.mark.parametrize("seed", [1, 3])
def test_a_trend_does_not_go_back_and_forth_between_levels(seed):
    n = 8000
    x = 0.005 * np.arange(n) + np.random.default_rng(seed).normal(size=n)
    found = Segmenter().second_pass(x[:, None])
    assert len(found.changes) <= 2 * len(found.regimes)


@on_one_kernel
def test_one_wild_reading_is_no_change():
    X = levels((0, 1500), seed=9)
    X[700] = 500.0
    assert np.abs(in_usual_units(X)).max() < 10.0
    assert Segmenter(features=["x"]).second_pass(X).changes == ()


@on_one_kernel
def test_what_came_of_the_stream_stays_if_nothing_else_explains_the_series():
    """Smooth levels, of which the windows of the second pass make nothing they are sure of."""
    rng = np.random.default_rng(3)
    level = np.repeat(8.0 * (np.arange(10) % 2), 40)
    noise = np.zeros(len(level))
    for t in range(1, len(level)):
        noise[t] = 0.9 * noise[t - 1] + 0.4 * rng.normal()
    X = (level + noise)[:, None]
    segmenter = Segmenter(features=["x"])
    segmenter.learn_many(X)
    came = [event.at for event in segmenter.events if isinstance(event, RegimeChange)]
    found = segmenter.second_pass(X)
    assert len(came) >= 8
    assert len(found.changes) >= 8


@on_one_kernel
def test_it_is_the_same_on_any_number_of_processors(monkeypatch):
    X = levels((0.0, 300), (4.0, 200), (0.0, 250), (4.0, 150), sd=1.0)
    found = []
    for n_processors in (1, 2, 7):
        monkeypatch.setattr("os.cpu_count", lambda n=n_processors: n)
        found.append(second_pass(X, ("x",)))
    for other in found[1:]:
        assert np.array_equal(other.labels, found[0].labels)
        assert np.array_equal(other.probabilities, found[0].probabilities)
        assert other.changes == found[0].changes
    assert len(found[0].changes) == 3


def test_a_model_has_no_second_pass():
    with pytest.raises(ValueError, match="without a model has"):
        Segmenter(OnlineGMM(2)).second_pass(np.zeros((10, 1)))


def test_the_rand_index_is_that_of_scikit_learn():
    rng = np.random.default_rng(10)
    for _ in range(5):
        a, b = rng.integers(0, 4, 60), rng.integers(0, 3, 60)
        assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


@on_one_kernel
def test_a_slow_drift_under_two_modes_is_no_regime():
    machine = drifting(100)
    model = Segmenter(features=list(range(machine.X.shape[1])))
    model.label_then_learn_many(machine.X)
    found = model.second_pass(machine.X)
    assert len(found.regimes) == 2
    assert adjusted_rand_score(machine.states, found.labels) > 0.98


@on_one_kernel
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("period", [40, 125.66])
def test_a_rhythm_that_goes_on_has_no_regimes(period, noise):
    rng = np.random.default_rng(5)
    wave = np.sin(2 * np.pi * np.arange(4000) / period) + rng.normal(0.0, noise, 4000)
    model = Segmenter(features=["x"])
    model.learn_many(wave[:, None])
    assert np.ptp(model.second_pass(wave[:, None]).labels) == 0


@on_one_kernel
def test_the_halves_of_a_wave_are_no_regimes_and_those_of_a_switch_are():
    t = np.arange(8000)
    noise = np.random.default_rng(0).normal(0.0, 0.2, 8000)
    wave = np.sin(2 * np.pi * t / 288)
    n_changes = []
    for values in (wave + noise, np.sign(wave) + noise):
        model = Segmenter(features=["x"])
        model.learn_many(values[:, None])
        n_changes.append(len(model.second_pass(values[:, None]).changes))
    assert n_changes == [0, 55]


@on_one_kernel
def test_the_halves_of_a_daily_cycle_on_a_drift_are_no_levels():
    t = np.arange(8000)
    values = t / 4000 + np.sin(2 * np.pi * t / 96) + np.random.default_rng(0).normal(0, 0.2, 8000)
    model = Segmenter(features=["x"])
    model.learn_many(values[:, None])
    assert len(model.second_pass(values[:, None]).changes) <= 5


@pytest.mark.parametrize("late", ["raise", "skip"])
def test_rows_that_go_back_in_time_are_refused(late):
    """A segment would end before it began; each row has a label, so that none can be left out."""
    X = np.random.default_rng(1).normal(size=(30, 1))
    segmenter = Segmenter(late=late)
    times = np.arange(30.0)
    with pytest.raises(ValueError, match=r"row 1: time 28\.0 is before .* above, 29\.0; sort the"):
        segmenter.second_pass(X, times[::-1])
    assert len(segmenter.second_pass(X, times // 2).labels) == 30
    assert len(Segmenter(late="learn").second_pass(X, times[::-1]).labels) == 30


@on_one_kernel
@pytest.mark.parametrize(("slowness", "noise"), [(3.0, 0.2), (10.0, 1.0), (40.0, 0.2), (40.0, 1.0)])
def test_the_way_from_a_level_to_the_next_is_no_segment(slowness, noise):
    found, true = 0, 0
    for seed in range(3):
        rng = np.random.default_rng([3, seed])
        level = np.repeat(rng.permuted(np.tile([40.0, 60.0, 80.0], 4)), 400)
        reached = following(level, slowness)
        X = (reached + rng.normal(0.0, noise, len(level)))[:, None]
        true_changes = np.flatnonzero(np.diff(level)) + 1
        changes = np.array([change.at for change in second_pass(X, ("flow",)).changes])
        assert all(np.abs(changes - at).min() <= 5 + 1.5 * slowness for at in true_changes)
        found += len(changes)
        true += len(true_changes)
    assert found <= 1.1 * true, found / true


@on_one_kernel
def test_a_channel_that_is_constant_where_it_is_known_follows_no_curve():
    """The mean of equal values is rounded, so that they differ from it."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        n, stay = rng.integers(300, 700), rng.integers(20, 60)
        column = np.full((n, 1), round(rng.normal(), 3))
        assert not follows_curve(column, np.arange(n) // stay % 2, 8)
