"""What must hold for any data: equivariance, and numbers that stay in their bounds."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from online_gmm import OnlineGMM
from tests.conftest import on_one_kernel
from tests.test_kernel import TYPES, blobs

# models of one kernel are compared with each other: what one shows, the other does too
pytestmark = on_one_kernel
any_data = given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 4),
    covariance_type=st.sampled_from(TYPES),
)
few = settings(
    max_examples=15,
    deadline=None,
    # the fixture only chooses the kernel, the same for all examples of a test
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def learn(X, covariance_type, **more):
    model = OnlineGMM(3, covariance_type=covariance_type, warm_up=60, n_init=4, seed=1, **more)
    model.learn_many(X)
    return model


@few
@any_data
def test_translation(seed, d, covariance_type):
    X = blobs(200, d, seed)
    shift = np.random.default_rng(seed).normal(0, 100, d)
    here, there = learn(X, covariance_type), learn(X + shift, covariance_type)
    np.testing.assert_allclose(
        there.mixture.means, here.mixture.means + shift, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        there.mixture.covariances, here.mixture.covariances, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(there.predict_many(X + shift), here.predict_many(X))


@few
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 4),
    covariance_type=st.sampled_from(TYPES),
    scale=st.sampled_from([1e-6, 1e-3, 7.0, 1e6]),
)
def test_scale(seed, d, covariance_type, scale):
    X = blobs(200, d, seed)
    one, big = learn(X, covariance_type), learn(X * scale, covariance_type)
    np.testing.assert_allclose(big.mixture.means, one.mixture.means * scale, rtol=1e-6)
    np.testing.assert_allclose(
        big.mixture.covariances / scale**2, one.mixture.covariances, rtol=1e-5, atol=1e-9
    )
    np.testing.assert_array_equal(big.predict_many(X * scale), one.predict_many(X))


@few
@any_data
def test_permutation_of_features(seed, d, covariance_type):
    X = blobs(200, d, seed)
    order = np.random.default_rng(seed).permutation(d)
    back = np.argsort(order)
    one = learn(X, covariance_type)
    other = learn(X[:, order], covariance_type, order_by=int(back[0]))
    np.testing.assert_allclose(
        other.mixture.means[:, back], one.mixture.means, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(other.predict_many(X[:, order]), one.predict_many(X))


@few
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 4),
    covariance_type=st.sampled_from(TYPES),
    missing=st.sampled_from([0.0, 0.3]),
    wild=st.sampled_from([1.0, 1e5, 1e140]),
)
def test_everything_stays_in_its_bounds(seed, d, covariance_type, missing, wild):
    X = blobs(200, d, seed, missing=missing)
    X[np.random.default_rng(seed).integers(60, 200, size=5)] *= wild
    model = learn(X, covariance_type)
    mixture = model.mixture
    assert abs(mixture.weights.sum() - 1.0) < 1e-12
    assert (mixture.weights >= 0.0).all()
    assert np.isfinite(mixture.means).all()
    np.testing.assert_allclose(model.predict_proba_many(X).sum(axis=1), 1.0)
    for covariance in mixture.covariances:
        np.linalg.cholesky(covariance)
        np.testing.assert_allclose(covariance, covariance.T)
    state = model._stream.iterate_components.state()
    assert abs(np.frombuffer(state["weight"]).sum() - 1.0) < 1e-9
