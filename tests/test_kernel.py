"""The kernel against naive references, and against itself interpreted."""

import gc
import os
import pickle
import tracemalloc
from array import array

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from online_gmm import MixtureParameters, OnlineGMM, PowerDecay, _kernel
from online_gmm.em.mixture import COVARIANCE_TYPES, from_kernel, is_dense, posterior, to_kernel
from tests import naive
from tests.conftest import KERNELS, on_one_kernel

TYPES = sorted(COVARIANCE_TYPES)


def blobs(n, d, seed, k=3, missing=0.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 4, (k, d))
    shapes = rng.normal(0, 1, (k, d, d)) / np.sqrt(d)
    z = rng.integers(k, size=n)
    X = means[z] + np.einsum("nij,nj->ni", shapes[z], rng.normal(size=(n, d)))
    X += 0.3 * rng.normal(size=(n, d))
    holes = rng.random((n, d)) < missing
    holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X)


def random_mixture(k, d, seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, d, d))
    return MixtureParameters(
        rng.dirichlet(np.ones(k)),
        rng.normal(0, 3, (k, d)),
        a @ a.transpose(0, 2, 1) + 0.1 * np.eye(d),
    )


def test_compiled_build_is_there_where_it_must_be():
    required = os.environ.get("ONLINE_GMM_REQUIRE_COMPILED") == "1"
    assert "compiled" in KERNELS or not required


def test_kernel_under_test_is_the_one_in_use(kernel):
    model = OnlineGMM(2, warm_up=2, seed=1)
    model.learn_many(np.array([[0.0], [1.0]]))
    assert type(model._stream) is kernel.MixtureStream


@pytest.mark.parametrize("d", [1, 2, 5])
def test_density_agrees_with_scipy(d):
    mixture = random_mixture(4, d, seed=d)
    X = np.random.default_rng(9).normal(0, 4, (200, d))
    expected = np.logaddexp.reduce(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(X)
            for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ],
        axis=0,
    )
    np.testing.assert_allclose(mixture.score_samples(X), expected, rtol=1e-12, atol=1e-12)
    parameters = mixture.weights, mixture.means, mixture.covariances
    references = [naive.e_step(x, *parameters)[1] for x in X]
    np.testing.assert_allclose(references, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_missing_values_are_marginalised(covariance_type):
    X = blobs(60, 4, seed=3, missing=0.4)
    mixture = random_mixture(3, 4, seed=5)
    components = to_kernel(mixture, covariance_type, 0.0, np.zeros(4), points=0.0)
    seen = from_kernel(components)
    responsibilities, log_density, distance = posterior(components, X)
    for i, x in enumerate(X):
        expected = naive.e_step(x, seen.weights, seen.means, seen.covariances)
        np.testing.assert_allclose(responsibilities[i], expected[0], atol=1e-11)
        np.testing.assert_allclose(log_density[i], expected[1], rtol=1e-11)
        np.testing.assert_allclose(distance[i], expected[2], rtol=1e-9)


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("missing", [0.0, 0.25])
def test_stream_agrees_with_naive(covariance_type, missing):
    X = blobs(500, 3, seed=1, missing=missing)
    X[300] *= 1e4
    model = OnlineGMM(
        3,
        covariance_type=covariance_type,
        warm_up=100,
        prior_strength=1e-3,
        gate=1e-6,
        capacity=0,
        seed=1,
    ).fit_start(X[:100])
    start = model.start
    reference = naive.Stream(
        X[:100],
        (start.mixture.weights, start.mixture.means, start.mixture.covariances),
        1e-3,
        start.prior.variances,
        covariance_type,
        exponent=0.7,
        every=16,
        gate=1e-6,
    )
    model.learn_many(X[100:])
    for x in X[100:]:
        reference.learn(x)
    iterate = from_kernel(model._stream.iterate_components)
    # the prior fades by up to 5 % between two fresh factors
    for seen, (weights, means, covs) in (
        (iterate, reference.parameters(reference.s)),
        (model.mixture, reference.reported()),
    ):
        np.testing.assert_allclose(seen.weights, weights, rtol=2e-6)
        np.testing.assert_allclose(seen.means, means, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(seen.covariances, covs, rtol=2e-5, atol=2e-6)
    assert model.n_outliers >= 1


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("d", [1, 2, 9])
def test_the_iterate_read_out_every_few_points_has_the_parameters_of_its_statistics(
    covariance_type, d, compiled
):
    X = blobs(3000 if compiled else 1200, d, seed=3)
    # fits again take long where the kernel is interpreted, and are not what is tested
    rare = {} if compiled else {"capacity": 0, "n_init": 1}
    model = OnlineGMM(
        3, covariance_type=covariance_type, step_size=PowerDecay(0.9), warm_up=100, seed=1, **rare
    )
    model.learn_many(X)
    for _ in range(2):
        # the average is taken of every 16th iterate, and then it is read out
        while model.n_points % 16:
            model.learn_many(X[:1])
        state = model._stream.state()["iterate"]
        fresh = _kernel.components_from_state(state)
        fresh.update_parameters()
        for name in ("mean", "factor", "log_coef"):
            np.testing.assert_array_equal(
                np.frombuffer(state[name]), np.frombuffer(fresh.state()[name])
            )
        model.learn_many(X[:1])


@on_one_kernel
@pytest.mark.parametrize("average", [None, False])
def test_rank_one_factors_stay_exact_over_a_long_stream(compiled, average):
    n = 100_000 if compiled else 1_000
    X = blobs(n, 4, seed=2)
    model = OnlineGMM(3, warm_up=200, prior_strength=0.0, gate=0.0, average=average, seed=1)
    model.learn_many(X)
    state = model._stream.iterate_components.state()
    seen = from_kernel(model._stream.iterate_components)
    scatter = np.frombuffer(state["scatter"]).reshape(3, 4, 4)
    lower = np.tril(scatter)
    fresh = lower + np.tril(lower, -1).transpose(0, 2, 1)
    np.testing.assert_allclose(seen.covariances, fresh, rtol=1e-11, atol=1e-12)


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.skipif("compiled" not in KERNELS, reason="one kernel cannot differ from itself")
def test_kernels_agree_to_the_last_bit(covariance_type, d):
    rng = np.random.default_rng(7)
    X = blobs(1500, d, seed=d, missing=0.05)
    X[rng.integers(1500, size=5)] *= 1e8
    start = random_mixture(3, d, seed=1)
    states = []
    for module in KERNELS.values():
        components = module.Components(
            3,
            d,
            COVARIANCE_TYPES[covariance_type],
            1e-3,
            array("d", (np.eye(d) if is_dense(covariance_type) else np.ones(d)).ravel()),
        )
        scatter = start.covariances
        if not is_dense(covariance_type):
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        components.load(
            *(array("d", a.ravel()) for a in (start.weights, start.means, scatter)), 50.0
        )
        gates = array("d", [np.inf] + [40.0] * d)
        schedule = (1.0, 0.65, 0.0, 0.0, False, False)
        stream = module.MixtureStream(components, True, 16, schedule, 0.0, gates, 100)
        stream.learn(array("d", X.ravel()), 0, 40, None)
        stream.put_off(10**9)
        stream.learn(array("d", X.ravel()), 40, len(X), None)
        point = dict(enumerate(X[17].tolist()))
        states.append((stream.state(), stream.assign_one(point, tuple(range(d)), np.nan)))
    assert states[0] == states[1]


def test_state_survives_pickle_and_goes_on_the_same():
    X = blobs(400, 2, seed=4, missing=0.1)
    model = OnlineGMM(3, warm_up=100, seed=1)
    model.learn_many(X[:250])
    copy = pickle.loads(pickle.dumps(model))
    assert copy._stream.state() == model._stream.state()
    model.learn_many(X[250:])
    copy.learn_many(X[250:])
    assert copy._stream.state() == model._stream.state()


def test_k1_with_step_one_over_t_is_welford():
    X = np.random.default_rng(1).normal(3, 2, (300, 2)) @ np.array([[1, 0.4], [0, 1]])
    model = OnlineGMM(
        1, warm_up=1, step_size=PowerDecay(1.0), average=False, prior_strength=0.0, gate=0.0, seed=1
    )
    for i, row in enumerate(X):
        model.learn_one({"a": row[0], "b": row[1]})
        if i >= 5:
            np.testing.assert_allclose(model.mixture.means[0], X[: i + 1].mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(
                model.mixture.covariances[0], np.cov(X[: i + 1].T, bias=True), rtol=1e-9
            )


def test_statistics_of_any_order_chunks_and_shards_are_one(kernel):
    X = blobs(300, 3, seed=6, missing=0.1)
    mixture = random_mixture(3, 3, seed=6)
    rng = np.random.default_rng(1)

    def statistics(rows_of_shards):
        parts = []
        for rows in rows_of_shards:
            part = to_kernel(mixture, "full", 1e-3, np.ones(3), points=0.0)
            part.clear()
            for chunk in np.array_split(rows, rng.integers(1, 5)):
                part.accumulate(array("d", chunk.ravel()), len(chunk))
            parts.append(part)
        while len(parts) > 1:
            i, j = rng.choice(len(parts), 2, replace=False)
            parts[i].merge(parts[j])
            del parts[j]
        parts[0].update_parameters()
        return from_kernel(parts[0])

    whole = statistics([X])
    for n_shards in (1, 2, 4, 7):
        shards = np.array_split(rng.permutation(X), n_shards)
        assert statistics(shards).error(whole) < 1e-12


@on_one_kernel
@pytest.mark.parametrize("covariance_type", TYPES)
def test_nothing_is_allocated_per_point(covariance_type, compiled):
    warm_up, begin, end = (1100, 1500, 2100) if compiled else (280, 400, 500)
    points = [dict(enumerate(row)) for row in blobs(3000, 3, seed=1, missing=0.05).tolist()]
    model = OnlineGMM(3, covariance_type=covariance_type, warm_up=warm_up, seed=1)
    for x in points[:begin]:
        model.learn_one(x)
    few = points[begin:end]
    gc.collect()
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for x in few:
            model.learn_one(x)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # a few objects that stand for arguments and results, whatever the number of points
    assert now - held < (500 if compiled else 2_000)
    assert peak - held < (500 if compiled else 5_000)


def test_statistics_of_another_size_are_refused(kernel):
    components = kernel.Components(3, 2, kernel.FULL, 1e-3, array("d", np.eye(2).ravel()))
    good = [array("d", bytes(8 * n)) for n in (3, 6, 12)]
    for i in range(3):
        for wrong in (0, len(good[i]) - 1, len(good[i]) + 1, 1000):
            given = [*good]
            given[i] = array("d", bytes(8 * wrong))
            with pytest.raises(ValueError, match=f"{len(good[i])} doubles .* these are {wrong}"):
                components.load(*given, 10.0)


def test_blocks_of_rows_are_no_longer_than_there_is_room_for(kernel):
    # a state may say that more points lie between two read-outs than rows are measured at once
    X = blobs(3000, 2, seed=2)
    start = random_mixture(3, 2, seed=1)
    streams = []
    for _ in range(2):
        prior = array("d", np.eye(2).ravel())
        components = kernel.Components(3, 2, kernel.FULL, 1e-3, prior)
        values = (start.weights, start.means, start.covariances)
        components.load(*(array("d", a.ravel()) for a in values), 1e6)
        gates = array("d", [np.inf, 40.0, 40.0])
        schedule = (1.0, 0.7, 0.0, 0.0, False, False)
        streams.append(kernel.MixtureStream(components, True, 640, schedule, 0.0, gates, 0))
        streams[-1].put_off(10**9)
    at_once, apart = streams
    at_once.learn(array("d", X.ravel()), 0, len(X), None)
    for row in X.tolist():
        apart.learn_one({"a": row[0], "b": row[1]}, ("a", "b"), np.nan)
    assert at_once.state() == apart.state()
