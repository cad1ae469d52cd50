"""The chain's kernel against naive references, hmmlearn, and itself interpreted."""

import bisect
from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM

from online_gmm import MixtureParameters, OnlineHMM, _kernel
from online_gmm._kernel.streams.recursion import EXACT, LAG
from online_gmm.data.frames import flat
from online_gmm.em import baum_welch
from online_gmm.em.mixture import COVARIANCE_TYPES, from_kernel, is_dense, to_kernel
from online_gmm.em.prior import Prior
from online_gmm.learners.places import chain_merged
from tests import naive_hmm
from tests.conftest import KERNELS, PARTS, on_one_kernel
from tests.test_kernel import TYPES, random_mixture

EVER = (1.0, 0.65, 0.0, 0.0, False, False)
ENDLESS = float("inf")
KINDS = [*((kind, False) for kind in TYPES), ("full", True)]


def sticky(k, stay, timed=False):
    transition = np.full((k, k), (1.0 - stay) / max(k - 1, 1))
    np.fill_diagonal(transition, stay if k > 1 else 1.0)
    return transition - np.eye(k) if timed else transition


def random_chain(k, seed, timed=False):
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(k), size=k) * 0.3 + 0.7 * np.eye(k)
    return transition - np.eye(k) if timed else transition


def regimes(n, mixture, transition, seed, gaps=None, missing=0.0):
    """Points of a chain and where it was; with gaps in continuous time."""
    rng = np.random.default_rng(seed)
    z = np.zeros(n, dtype=int)
    steps = [transition] if gaps is None else naive_hmm.steps(transition, gaps, True)
    p = np.array(steps).clip(0.0)
    up_to = (p / p.sum(axis=2, keepdims=True)).cumsum(axis=2)
    up_to = (up_to / up_to[:, :, -1:]).tolist()
    for t, u in enumerate(rng.random(n - 1).tolist()):
        z[t + 1] = bisect.bisect_right(up_to[t % len(up_to)][z[t]], u)
    factors = np.linalg.cholesky(mixture.covariances)
    noise = rng.normal(size=(n, mixture.n_features))
    X = mixture.means[z] + np.einsum("nij,nj->ni", factors[z], noise)
    holes = rng.random(X.shape) < missing
    holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X), z


def stream_of(
    module, mixture, transition, covariance_type="full", timed=False, pseudo=None, **more
):
    """A stream that begins with these parameters."""
    k, d = mixture.means.shape
    more = {
        "strength": 0.0,
        "variances": np.ones(d),
        "temper": 1.0,
        "averaging": False,
        "schedule": EVER,
        "gates": np.full(d + 1, ENDLESS),
        "lag": 0,
        "capacity": 0,
    } | more
    components = to_kernel(
        mixture, covariance_type, more["strength"], more["variances"], points=0.0
    )
    return module.ChainStream(
        module.Chain(components, flat(transition), timed, more["temper"]),
        flat(np.zeros((k, k)) if pseudo is None else pseudo),
        more["averaging"],
        16,
        more["schedule"],
        flat(more["gates"]),
        more["lag"],
        more["capacity"],
    )


def read(stream):
    k = stream.components.state()["shape"][0]
    components = stream.components
    components.update_parameters()
    return from_kernel(components), np.array(stream.transition).reshape(k, k)


def iterate_of(stream):
    """Where the recursion is, with its parameters as they are."""
    return from_kernel(_kernel.components_from_state(stream.iterate_chain.state()["components"]))


def assert_parameters_like(reference, model, stream, close):
    """The iterate and what is reported are those of a naive stream."""
    iterate = iterate_of(stream)
    np.testing.assert_allclose(iterate.means, reference.means, **close)
    np.testing.assert_allclose(iterate.covariances, reference.covs, **close)
    weights, means, covs, transition = reference.read(reference.report, reference.report_n)
    np.testing.assert_allclose(model.mixture.weights, weights, **close)
    np.testing.assert_allclose(model.mixture.means, means, **close)
    np.testing.assert_allclose(model.mixture.covariances, covs, **close)
    np.testing.assert_allclose(model.transition, transition, **close)


def gaps_of(n, seed, scale=0.5):
    gaps = np.random.default_rng(seed).exponential(scale, n)
    gaps[0] = np.nan
    return gaps


def filtered(chain, X, gaps):
    """Beliefs and log densities over a series that stands for itself."""
    belief = chain.stationary()
    k = len(belief)
    probabilities, log_density = array("d", bytes(8 * len(X) * k)), array("d", bytes(8 * len(X)))
    gates = array("d", [ENDLESS] * (X.shape[1] + 1))
    chain.filter(flat(X), len(X), flat(gaps), gates, belief, probabilities, log_density)
    return probabilities, np.array(log_density)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(("timed", "whole"), [(False, False), (True, False), (False, True)])
def test_baum_welch_step_is_that_of_forward_and_backward(kernel, covariance_type, d, timed, whole):
    n = 60
    mixture = random_mixture(3, d, seed=d)
    transition = random_chain(3, d, timed)
    gaps = gaps_of(n, d, 0.2) if timed else np.full(n, np.nan)
    X, _ = regimes(n, mixture, transition, d, gaps if timed else None, missing=0.2)
    pseudo = baum_welch.pseudo_changes(3, 10.0, 0.2 if timed else None)
    variances = np.linspace(0.5, 2.0, d)
    stream = stream_of(
        kernel,
        mixture,
        transition,
        covariance_type,
        timed,
        pseudo,
        strength=0.7,
        variances=variances,
    )
    start = from_kernel(stream.components)
    total = stream.expect(flat(X), n) if whole else stream.accumulate(flat(X), 0, n, flat(gaps))
    stream.update_parameters()
    seen, rates = read(stream)
    *expected, transition_expected, log_p = naive_hmm.baum_welch_step(
        X,
        gaps,
        start.means,
        start.covariances,
        transition,
        pseudo,
        0.7,
        variances,
        covariance_type,
        timed,
    )
    # quadrature over a gap is good to 1e-9, sums are exact
    tight = {"rtol": 1e-9, "atol": 1e-10} if timed else {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(total, log_p, rtol=1e-11)
    np.testing.assert_allclose(seen.weights, expected[0], rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(seen.means, expected[1], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(seen.covariances, expected[2], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(rates, transition_expected, **tight)


@pytest.mark.parametrize(("covariance_type", "timed"), KINDS)
def test_every_step_makes_the_series_more_likely(kernel, covariance_type, timed):
    n = 40
    truth = random_mixture(3, 2, seed=4)
    gaps = gaps_of(n, 4) if timed else np.full(n, np.nan)
    X, _ = regimes(n, truth, random_chain(3, 4, timed), 4, gaps if timed else None, missing=0.1)
    pseudo = baum_welch.pseudo_changes(3, 5.0, 0.5 if timed else None)
    prior = Prior.of(X, 3, 0.5)
    stream = stream_of(
        kernel,
        random_mixture(3, 2, seed=5),
        sticky(3, 0.9, timed),
        covariance_type,
        timed,
        pseudo,
        strength=0.5,
        variances=prior.variances,
    )

    def penalised(mixture, transition, pi):
        log_b = naive_hmm.log_densities(X, mixture.means, mixture.covariances)
        matrices = naive_hmm.steps(transition, gaps, timed)
        value = naive_hmm.forward_backward(log_b, matrices, pi)[3].sum()
        value += prior.log_density(mixture, covariance_type)
        off = ~np.eye(3, dtype=bool)
        value += (pseudo[off] * np.log(transition[off])).sum()
        stays = np.diagonal(transition)
        return value + np.diagonal(pseudo) @ (stays if timed else np.log(stays))

    before = from_kernel(stream.components), np.array(stream.transition).reshape(3, 3)
    for _ in range(6):
        stream.accumulate(flat(X), 0, n, flat(gaps))
        stream.update_parameters()
        after = from_kernel(stream.components), np.array(stream.transition).reshape(3, 3)
        # where the first point is, is taken as given for a step
        pi = naive_hmm.stationary(before[1], timed)
        assert penalised(*after, pi) > penalised(*before, pi) - 1e-7
        before = after


@on_one_kernel
@pytest.mark.parametrize(("covariance_type", "timed"), KINDS)
def test_recursion_is_that_of_cappe_on_raw_moments(covariance_type, timed):
    n, warm = (160 if timed else 260), 60
    mixture = MixtureParameters(
        np.ones(3) / 3, [[-4.0, 1.0], [0.0, 0.0], [4.0, 2.0]], [np.eye(2)] * 3
    )
    gaps = gaps_of(n, 3, 0.1) if timed else np.full(n, np.nan)
    X, _ = regimes(n, mixture, sticky(3, 0.9, timed), 3, gaps if timed else None, missing=0.1)
    X[120] *= 1e3
    times = np.nancumsum(gaps)
    gate = 1e-6
    model = OnlineHMM(
        3,
        warm_up=warm,
        capacity=0,
        covariance_type=covariance_type,
        gate=gate,
        tempering=0.8,
        features=["a", "b"],
        seed=1,
    )
    points = [dict(zip("ab", row, strict=True)) for row in X.tolist()]
    for x, t in zip(points[:warm], times[:warm], strict=True):
        model.learn_one(x, t=t if timed else None)
    stream = model.fit_start()._stream
    start = iterate_of(stream)
    settings = SimpleNamespace(
        strength=1e-3,
        prior=model.start.prior.variances,
        kind=covariance_type,
        pseudo=baum_welch.pseudo_changes(3, 10.0, model._unit(gaps[:warm])),
        timed=timed,
        gate=gate,
        tempering=0.8,
        exponent=0.7,
        every=16,
    )
    reference = naive_hmm.Stream(
        X[:warm],
        gaps[:warm],
        (start.weights, start.means, start.covariances, model.transition),
        vars(settings),
    )
    # sums of 16 raw moments, and over a gap quadrature
    close = {"rtol": 1e-6, "atol": 1e-7} if timed else {"rtol": 1e-8, "atol": 1e-9}
    for i in range(warm, n):
        if i in (warm + 1, n - 20):
            for _ in range(2):  # it is lost once
                model.reset_state()
            reference.lose_sight()
        model.learn_one(points[i], t=times[i] if timed else None)
        reference.learn(X[i], gaps[i])
        if i % 10 == 0 or i > n - 5:
            belief = np.frombuffer(model._stream.state()["iterate"]["belief"])
            np.testing.assert_allclose(belief, reference.belief, **close)
            np.testing.assert_allclose(
                list(model.belief.values()), reference.report_belief, **close
            )
    assert_parameters_like(reference, model, stream, close)
    assert model.n_outliers >= 1


@pytest.mark.parametrize(
    ("covariance_type", "k", "d"),
    # how many regimes there are changes the recursion, whatever they are like
    [*((its, 3, d) for its in TYPES for d in (1, 3)), *((its, EXACT + 1, 2) for its in TYPES[:2])],
)
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("kernel", ["interpreted"], indirect=True)
@pytest.mark.skipif("compiled" not in KERNELS, reason="one kernel cannot differ from itself")
def test_kernels_agree_to_the_last_bit(kernel, covariance_type, timed, k, d):
    rng = np.random.default_rng(7)
    mixture = random_mixture(k, d, seed=d)
    n = 160
    gaps = gaps_of(n, d, 1.0)
    X, _ = regimes(n, mixture, random_chain(k, d), d, missing=0.1)
    X[rng.integers(n, size=4)] *= 1e8
    X[[90, 150]] = np.nan
    gaps[[120, 121]] = [0.0, 500.0]
    times = np.nancumsum(gaps)
    kind = COVARIANCE_TYPES[covariance_type]
    states = []
    for module in KERNELS.values():
        prior = np.eye(d) if is_dense(covariance_type) else np.ones(d)
        components = module.Components(k, d, kind, 1e-3, flat(prior.ravel()))
        scatter = mixture.covariances
        if not is_dense(covariance_type):
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        components.load(flat(mixture.weights), flat(mixture.means), flat(scatter), 0.0)
        stream = module.ChainStream(
            module.Chain(components, flat(random_chain(k, 1, timed)), timed, 0.9),
            flat(baum_welch.pseudo_changes(k, 10.0, 1.0 if timed else None)),
            True,
            16,
            (1.0, 0.65, 0.0, 0.0, False, False),
            array("d", [ENDLESS] + [40.0] * d),
            5,
            100,
        )
        for _ in range(2):
            stream.accumulate(flat(X[:40]), 0, 40, flat(gaps[:40]))
            stream.update_parameters()
        stream.accumulate(flat(X[:40]), 0, 40, flat(gaps[:40]))
        stream.begin(flat(X[:40]), 40, flat(gaps[:40]), flat(times[:40]))
        stream.put_off(-1)
        stream.learn(flat(X[40:]), 0, n - 40, flat(times[40:]))
        point = dict(enumerate(X[17].tolist()))
        names = tuple(range(d))
        answers = stream.assign_one(point, names, times[-1] + 2.0), stream.smoothed(5)
        probabilities, log_density = filtered(stream.chain, X, gaps)
        stream.chain.smooth(n, flat(gaps), probabilities)
        labels = array("q", bytes(8 * n))
        gates, belief = stream.outlier_gates, stream.beliefs
        stream.chain.decode(flat(X), n, flat(gaps), gates, belief, labels)
        states.append((stream.state(), answers, probabilities, log_density.tolist(), labels))
    assert states[0] == states[1]


@on_one_kernel
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("k", [3, 6])
def test_a_stream_begins_alike_whenever_it_follows_its_series(kernel, timed, k):
    n = 120
    mixture, transition = random_mixture(k, 2, seed=2), random_chain(k, 1, timed)
    gaps = gaps_of(n, 3)
    X, _ = regimes(n, mixture, random_chain(k, 1), 3, missing=0.1)
    X[[20, 70]] = np.nan
    X[[30, 110]] *= 1e6
    series = flat(X), flat(gaps), flat(np.nancumsum(gaps))

    def begun(parts):
        gates = np.array([ENDLESS, 40.0, 40.0])
        stream = stream_of(
            kernel, mixture, transition, timed=timed, averaging=True, gates=gates, capacity=200
        )
        rows, between, times = series
        assert stream.follows_ahead
        stream.accumulate(rows, 0, 100, between)
        for first, end in parts:
            stream.follow(rows, first, end, between, times)
        stream.accumulate(rows, 100, n, between)
        stream.begin(rows, n, between, times)
        return stream.state()

    assert begun([]) == begun([(0, 100)]) == begun([(0, 1), (1, 64), (64, 90)])


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
def test_more_components_are_smoothed_by_a_lag(kernel, covariance_type):
    n, warm, gate, k = 231, 60, 1e-6, EXACT + 1
    levels = np.column_stack([5.0 * np.arange(k), np.arange(k) % 2])
    mixture = MixtureParameters(np.ones(k) / k, levels, [np.eye(2)] * k, ("a", "b"))
    X, _ = regimes(n, mixture, sticky(k, 0.9), 3, missing=0.1)
    X[120] *= 1e3
    model = OnlineHMM(
        k, capacity=0, covariance_type=covariance_type, gate=gate, features=["a", "b"], seed=1
    )
    points = [dict(zip("ab", row, strict=True)) for row in X.tolist()]
    stream = model.fit_start(X[:warm], mixture=mixture)._stream
    start = iterate_of(stream)
    settings = {
        "strength": 1e-3,
        "prior": model.start.prior.variances,
        "kind": covariance_type,
        "pseudo": baum_welch.pseudo_changes(k, 10.0, None),
        "timed": False,
        "gate": gate,
        "tempering": 1.0,
        "exponent": 0.7,
        "every": 16,
        "lag": LAG,
    }
    nothing = np.full(warm, np.nan)
    begun = start.weights, start.means, start.covariances, model.transition
    reference = naive_hmm.LaggedStream(X[:warm], nothing, begun, settings)
    close = {"rtol": 1e-8, "atol": 1e-9}
    for i in range(warm, n):
        if i in (warm + 1, 170):
            model.reset_state()
            reference.lose_sight()
        model.learn_one(points[i])
        reference.learn(X[i], np.nan)
        belief = np.frombuffer(model._stream.state()["iterate"]["belief"])
        np.testing.assert_allclose(belief, reference.belief, **close)
        np.testing.assert_allclose(list(model.belief.values()), reference.report_belief, **close)
    assert_parameters_like(reference, model, stream, close)
    assert model.n_outliers >= 1


@on_one_kernel
def test_what_a_lag_loses_is_little(kernel, monkeypatch):
    k = 6
    mixture = MixtureParameters(np.ones(k) / k, 3.0 * np.arange(k)[:, None], [[[1.0]]] * k)
    X, _ = regimes(30_000, mixture, sticky(k, 0.95), 1)
    densities = []
    for exact in (k, EXACT):
        monkeypatch.setattr(recursion_of(kernel), "EXACT", exact)
        model = OnlineHMM(k, capacity=0, seed=1).fit_start(X[:1000], mixture=mixture)
        model.learn_many(X[1000:20_000])
        assert (model._stream.state()["pending"] is None) == (exact == k)
        densities.append(np.mean(model.log_density_many(X[20_000:])))
    assert abs(densities[1] - densities[0]) < 1e-4


@on_one_kernel
@pytest.mark.parametrize("n", [1000, 1011, 1020, 1039])
def test_points_that_wait_outlive_bytes(n):
    k = EXACT + 1
    mixture = MixtureParameters(np.ones(k) / k, 5.0 * np.arange(k)[:, None], [[[1.0]]] * k)
    X, _ = regimes(n + 200, mixture, sticky(k, 0.9), 1)
    model = OnlineHMM(k, warm_up=100, seed=1).fit_start(X[:100], mixture=mixture)
    model.learn_many(X[100:n])
    assert model._stream.state()["pending"]
    again = OnlineHMM.from_bytes(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    for each in (model, again):
        each.learn_many(X[n:])
    assert again.to_bytes() == model.to_bytes()
    one = OnlineHMM(k, warm_up=100, seed=1).fit_start(X[:100], mixture=mixture)
    for x in X[100:, 0].tolist():
        one.learn_one({0: x})
    assert one.to_bytes() == model.to_bytes()


@on_one_kernel
def test_a_regime_is_born_and_merged_beyond_the_exact_recursion():
    k = EXACT
    mixture = MixtureParameters(
        np.ones(k + 1) / (k + 1), 9.0 * np.arange(k + 1)[:, None], [[[1.0]]] * (k + 1)
    )
    early, _ = regimes(1500, mixture.reordered(range(k)), sticky(k, 0.9), 1)
    late, _ = regimes(1500, mixture, sticky(k + 1, 0.9), 2)
    model = OnlineHMM(k + 1, warm_up=300, seed=1)
    model.learn_many(early)
    assert len(model.labels) == k
    assert model._stream.state()["pending"] is None
    model.learn_many(late)
    assert [e.kind for e in model.events if e.n_points > len(early)] == ["born"]
    assert model._stream.state()["pending"] is not None
    np.testing.assert_allclose(
        sorted(c[0] for c in model.centers.values()), mixture.means[:, 0], atol=0.3
    )
    np.testing.assert_allclose(model.transition.sum(axis=1), 1.0, rtol=1e-9)
    model._stream.settle()
    state = model._stream.state()
    assert state["pending"] == b""
    merged = chain_merged(state, 0, 1, baum_welch.pseudo_changes(k, 10.0, None))
    fewer = _kernel.chain_stream_from_state(merged)
    assert fewer.state()["pending"] is None
    weights = np.frombuffer(state["iterate"]["components"]["weight"])
    found = np.frombuffer(fewer.state()["iterate"]["components"]["weight"])
    assert found[0] == pytest.approx(weights[0] + weights[1])
    fewer.learn(flat(late), 0, len(late), None)
    assert sum(np.frombuffer(fewer.state()["iterate"]["components"]["weight"])) == pytest.approx(1)


def recursion_of(kernel):
    """The module of the recursion that a kernel uses."""
    return PARTS[next(name for name, module in KERNELS.items() if module is kernel)][
        "online_gmm._kernel.streams.recursion"
    ]


@pytest.mark.parametrize("timed", [False, True])
def test_filter_smoother_and_path_are_the_naive_ones(kernel, timed):
    k, d, n = 3, 2, 150
    mixture = random_mixture(k, d, seed=2)
    transition = random_chain(k, 2, timed)
    gaps = gaps_of(n, 2) if timed else np.full(n, np.nan)
    X, _ = regimes(n, mixture, transition, 2, gaps if timed else None, missing=0.2)
    X[20] = np.nan
    chain = stream_of(kernel, mixture, transition, timed=timed).chain
    probabilities, log_density = filtered(chain, X, gaps)
    log_b = naive_hmm.log_densities(X, mixture.means, mixture.covariances)
    alpha, gamma, _, log_p = naive_hmm.forward_backward(
        log_b, naive_hmm.steps(transition, gaps, timed), naive_hmm.stationary(transition, timed)
    )
    np.testing.assert_allclose(np.reshape(probabilities, (n, k)), alpha, atol=1e-12)
    np.testing.assert_allclose(log_density, log_p, rtol=1e-10, atol=1e-10)
    chain.smooth(n, flat(gaps), probabilities)
    np.testing.assert_allclose(np.reshape(probabilities, (n, k)), gamma, atol=1e-11)


@pytest.mark.parametrize("timed", [False, True])
def test_path_is_the_best_of_all(kernel, timed):
    n, k = 6, 3
    gates = array("d", [ENDLESS] * 2)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        # regimes that overlap, and a start far from equal: the first point is often in doubt
        mixture = MixtureParameters(np.ones(k) / k, rng.normal(0, 1, (k, 1)), np.ones((k, 1, 1)))
        transition = rng.dirichlet(np.ones(k) * 0.7, size=k)
        if timed:
            transition -= np.eye(k)
        gaps = gaps_of(n, seed, 1.0) if timed else np.full(n, np.nan)
        X = rng.normal(0, 1.5, (n, 1))
        chain = stream_of(kernel, mixture, transition, timed=timed).chain
        labels = array("q", bytes(8 * n))
        chain.decode(flat(X), n, flat(gaps), gates, chain.stationary(), labels)
        expected = naive_hmm.viterbi(
            naive_hmm.log_densities(X, mixture.means, mixture.covariances),
            naive_hmm.steps(transition, gaps, timed),
            naive_hmm.stationary(transition, timed),
        )
        assert tuple(labels) == expected


@pytest.mark.parametrize("covariance_type", TYPES)
def test_hmmlearn_says_the_same(kernel, covariance_type):
    k, d, n = 3, 2, 400
    mixture = random_mixture(k, d, seed=3)
    transition = random_chain(k, 3)
    X, _ = regimes(n, mixture, transition, 3)
    stream = stream_of(kernel, mixture, transition, covariance_type)
    seen = from_kernel(stream.components)
    peer = GaussianHMM(k, covariance_type=covariance_type)
    peer.startprob_ = naive_hmm.stationary(transition)
    peer.transmat_ = transition
    peer.means_ = seen.means
    diagonals = np.diagonal(seen.covariances, axis1=1, axis2=2)
    peer.covars_ = {
        "full": seen.covariances,
        "tied": seen.covariances[0],
        "diag": diagonals,
        "spherical": diagonals[:, 0],
    }[covariance_type]
    gaps = np.full(n, np.nan)
    probabilities, log_density = filtered(stream.chain, X, gaps)
    stream.chain.smooth(n, flat(gaps), probabilities)
    np.testing.assert_allclose(np.reshape(probabilities, (n, k)), peer.predict_proba(X), atol=1e-9)
    assert log_density.sum() == pytest.approx(peer.score(X), rel=1e-10)
    labels = array("q", bytes(8 * n))
    gates = array("d", [ENDLESS] * (d + 1))
    belief = stream.chain.stationary()
    stream.chain.decode(flat(X), n, flat(gaps), gates, belief, labels)
    np.testing.assert_array_equal(labels, peer.decode(X)[1])


@pytest.mark.parametrize("timed", [False, True])
def test_filtering_changes_no_parameters(kernel, timed):
    """The weights that a chain predicts for a point are not those of its components."""
    mixture = random_mixture(3, 2, seed=4)
    stream = stream_of(kernel, mixture, random_chain(3, 4, timed), timed=timed)
    before = stream.components.state(), stream.transition
    X, _ = regimes(50, mixture, random_chain(3, 4), 4, missing=0.1)
    gaps = gaps_of(50, 4)
    filtered(stream.chain, X, gaps)
    labels = array("q", bytes(8 * 50))
    gates, belief = stream.outlier_gates, stream.chain.stationary()
    stream.chain.decode(flat(X), 50, flat(gaps), gates, belief, labels)
    assert (stream.components.state(), stream.transition) == before
    np.testing.assert_allclose(from_kernel(stream.components).weights, mixture.weights, rtol=1e-12)
    stream.accumulate(flat(X), 0, 50, flat(gaps))
    weights = np.frombuffer(stream.components.state()["weight"])
    np.testing.assert_allclose(from_kernel(stream.components).weights, weights, rtol=1e-12)


def test_an_impossible_change_leaves_probabilities(kernel):
    """Where no transition leads and the point says it is: both count for something."""
    mixture = MixtureParameters([0.5, 0.5], [[0.0], [100.0]], [[[1.0]], [[1.0]]])
    chain = stream_of(kernel, mixture, np.eye(2)).chain
    X = np.array([[0.0], [0.0], [100.0], [100.0]])
    gaps = np.full(4, np.nan)
    belief = array("d", [1.0, 0.0])
    probabilities, log_density = array("d", bytes(64)), array("d", bytes(32))
    gates = array("d", [ENDLESS] * 2)
    chain.filter(flat(X), 4, flat(gaps), gates, belief, probabilities, log_density)
    chain.smooth(4, flat(gaps), probabilities)
    rows = np.reshape(probabilities, (4, 2))
    np.testing.assert_allclose(rows.sum(axis=1), 1.0)
    np.testing.assert_array_equal(rows.argmax(axis=1), [0, 0, 1, 1])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_gaps_of_any_length(kernel, k):
    """A belief carried over a gap, against scipy; after a long one what holds in the long run."""
    rates = random_chain(k, k, timed=True)
    mixture = random_mixture(k, 1, seed=k)
    nothing = np.array([[np.nan]])
    first = array("d", [1.0] + [0.0] * (k - 1))
    for scale in (1e-9, 1.0, 1e9):
        chain = stream_of(kernel, mixture, rates / scale, timed=True).chain
        pi = naive_hmm.stationary(rates, timed=True)
        np.testing.assert_allclose(chain.stationary(), pi, atol=1e-12)
        for gap in (0.0, 1e-12, 0.01, 0.7, 5.0, 31.0, 200.0, 1e6, 1e15, ENDLESS, -3.0):
            belief, gaps = array("d", first), array("d", [gap * scale])
            out, log_density = array("d", bytes(8 * k)), array("d", bytes(8))
            gates = array("d", [ENDLESS] * 2)
            chain.filter(flat(nothing), 1, gaps, gates, belief, out, log_density)
            assert belief == out
            expected = naive_hmm.expm(rates * max(gap, 0.0))[0] if gap < 1e5 else pi
            np.testing.assert_allclose(out, expected, atol=1e-12)
            assert abs(log_density[0]) < 1e-12
