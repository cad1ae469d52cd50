"""The number of components, chosen in the warm start."""

import copy
import math
import pickle

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

from online_gmm import MixtureParameters, OnlineGMM
from online_gmm.em.how_many import WORTH, chosen, compare, informative
from online_gmm.em.prior import correlations
from online_gmm.em.warm_start import warm_start
from tests.test_batch import FIRST
from tests.test_kernel import TYPES


@pytest.fixture(autouse=True)
def kernel():
    """These take the kernel that is installed; the others are the ones that compare kernels."""


def draw(seed):
    """K of 1 to 6, D of 1 to 3, n of 200 to 500; means at least 6 of the largest sd apart."""
    rng = np.random.default_rng(seed)
    k, d, n = (int(rng.integers(*bounds)) for bounds in ((1, 7), (1, 4), (200, 501)))
    means = np.empty((0, d))
    while len(means) < k:
        mean = rng.uniform(0, 60, d)
        if len(means) == 0 or np.linalg.norm(means - mean, axis=1).min() >= 6.0:
            means = np.vstack([means, mean])
    axes = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(k)]
    covariances = [a @ np.diag(rng.uniform(0.4, 1.0, d) ** 2) @ a.T for a in axes]
    weights = rng.uniform(0.5, 1.0, k)
    X, _ = MixtureParameters(weights / weights.sum(), means, covariances).sample(n, rng)
    return X, k


def auto(X, **settings):
    return OnlineGMM("auto", seed=1, **settings).fit_start(X)


def n_chosen(X, **settings):
    return auto(X, **settings).start.mixture.n_components


def levels(means, n, seed, sd=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(rng.choice(means, size=n), sd)[:, None]


def test_well_separated_mixtures():
    """At least 90 % right, and mostly where scikit-learn's BIC has its minimum too."""
    right = agree = 0
    for seed in range(50):
        X, k = draw(seed)
        found = n_chosen(X)
        right += found == k
        if seed < 10:
            bic = [
                SklearnMixture(j, n_init=2, reg_covar=1e-3, random_state=0).fit(X).bic(X)
                for j in range(1, 8)
            ]
            agree += found == 1 + int(np.argmin(bic))
    assert right >= 45
    assert agree >= 8


@pytest.mark.parametrize("covariance_type", TYPES)
def test_of_every_covariance_type(covariance_type):
    X = np.hstack([levels([0.0, 10.0, 20.0], 300, 1), levels([0.0], 300, 2)])
    assert n_chosen(X, covariance_type=covariance_type) == 3


@pytest.mark.parametrize("k", [4, 5, 6, 7])
def test_regimes_in_a_row(k):
    """Two components fit them worse than one, by ICL."""
    rng = np.random.default_rng(k)
    X = rng.normal(size=(1000, 2)) + rng.integers(k, size=(1000, 1)) * [8.0, 3.0]
    assert n_chosen(X) == k


def test_the_start_is_that_of_the_number_chosen():
    X, k = draw(3)
    start, same = auto(X).start, OnlineGMM(k, seed=1).fit_start(X).start
    np.testing.assert_array_equal(start.mixture.means, same.mixture.means)
    np.testing.assert_array_equal(start.mixture.covariances, same.mixture.covariances)
    assert same.criteria == ()


def test_criteria_follow_their_definitions():
    X = levels([0.0, 8.0], 300, 1)
    criteria = warm_start(X, "auto", (0,), seed=1).criteria
    assert [c.n_components for c in criteria] == list(range(1, 9))
    assert criteria[1].icl > criteria[0].icl + WORTH
    for c in criteria[:2]:
        other = SklearnMixture(c.n_components, n_init=3, random_state=0).fit(X)
        shares = other.predict_proba(X)
        entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
        assert c.bic == pytest.approx(-other.bic(X) / 2, abs=0.2)
        assert c.icl == pytest.approx(-other.bic(X) / 2 - entropy, abs=0.2)


def test_regimes_that_are_not_gaussian():
    rng = np.random.default_rng(1)
    skewed = rng.choice([0.0, 8.0, 18.0], size=300) + rng.gamma(3, 0.6, 300)
    assert n_chosen(skewed) == 3
    assert n_chosen(rng.choice([0.0, 9.0, 20.0], size=300) + rng.uniform(-1.7, 1.7, 300)) == 3


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_rounded_values(step):
    assert n_chosen(step * np.round(levels([0.0, 8.0, 17.0], 300, 1) / step)) == 3


def test_repeated_values_of_the_first_series():
    right = sum(chosen(compare(FIRST, 8, (0,), seed=seed)) == 3 for seed in range(20))
    assert right >= 10


def test_missing_values():
    X, k = draw(8)
    holes = np.random.default_rng(1).random(X.shape) < 0.1
    X[holes] = math.nan
    assert n_chosen(X) == k


def test_units_do_not_matter():
    X, k = draw(12)
    assert n_chosen(X * 1e6) == n_chosen(X * 1e-6 + 1.0) == k


@pytest.mark.parametrize(
    ("X", "k"),
    [
        (np.full((30, 2), 5.0), 1),
        (np.array([[1.0]]), 1),
        (np.repeat([[0.0], [1.0]], 50, axis=0), 2),
        (np.random.default_rng(1).normal(size=(10, 30)), 1),
        (np.array([[1.0, math.nan], [math.nan, 2.0]]), 1),
    ],
    ids=["one distinct row", "one row", "two levels", "more features than rows", "half missing"],
)
def test_few_rows(X, k):
    model = auto(X)
    assert model.start.mixture.n_components == k
    assert np.isfinite(model.log_density_many(X)).all()


def test_nothing_but_missing_values():
    with pytest.raises(ValueError, match="at least one point"):
        auto(np.full((3, 2), math.nan))


def test_no_more_than_allowed():
    X = levels([0.0, 10.0, 20.0, 30.0], 300, 1)
    assert n_chosen(X, max_components=2) == 2
    assert n_chosen(X, max_components=1) == 1


def test_answers_before_and_after():
    X = levels([0.0, 10.0, 20.0], 3000, 1)
    model = OnlineGMM("auto", seed=1)
    assert model.predict_one({0: 1.0}) == -1
    assert model.predict_proba_many(X[:2]).shape == (2, 0)
    model.fit_start(X[:200])
    assert model.labels == (0, 1, 2)
    assert set(model.predict_proba_one({0: 1.0})) == {0, 1, 2}
    early, criteria = model.predict_many(X), model.start.criteria
    model.learn_many(X[200:])
    assert model.start.n_points > 200
    assert model.start.criteria == criteria
    assert np.mean(early == model.predict_many(X)) > 0.99
    assert model.n_components == model.clone().n_components == "auto"
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert duplicate.labels == (0, 1, 2)
    np.testing.assert_allclose(model.polish().mixture.means.ravel(), [0, 10, 20], atol=0.3)


def test_with_recycling():
    model = OnlineGMM("auto", recycle=True, seed=1)
    model.learn_many(levels([0.0, 10.0, 20.0], 2000, 1))
    assert model.labels == (0, 1, 2)
    assert model.events == ()


def test_merging():
    models = [OnlineGMM("auto", seed=seed) for seed in range(3)]
    models[0].learn_many(levels([0.0, 10.0, 20.0], 600, 1))
    models[1].learn_many(levels([0.0, 10.0, 20.0], 600, 2))
    models[2].learn_many(levels([0.0, 10.0], 600, 3))
    before = models[0]._stream.state()
    with pytest.raises(ValueError, match="found 3 and 2 components cannot be merged"):
        models[0].merge(models[2])
    assert models[0]._stream.state() == before
    both = OnlineGMM("auto", seed=1).merge(models[0].merge(models[1]))
    assert both.n_points == 1200
    assert both.labels == (0, 1, 2)
    np.testing.assert_allclose(both.mixture.means.ravel(), [0, 10, 20], atol=0.3)


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", None])
def test_numbers_that_make_no_sense(value):
    with pytest.raises(ValueError, match="it must be at least 1 and whole, or 'auto'"):
        OnlineGMM(value)
    with pytest.raises(ValueError, match="max_components is 0; it must be from 1 to 10000"):
        OnlineGMM("auto", max_components=0)


def test_a_constant_feature_has_no_say():
    rng = np.random.default_rng(3)
    X = rng.normal(np.repeat([0.0, 8.0, 16.0], 50), 1.0)
    wider = np.column_stack([np.zeros(150), X, np.full(150, 7.0)])
    model = OnlineGMM("auto", warm_up=150, seed=1).fit_start(wider)
    assert model.mixture.n_components == 3


@pytest.mark.parametrize("n_components", [3, "auto"])
def test_a_feature_without_values_before_one_that_is_constant(n_components):
    model = OnlineGMM(n_components, warm_up=50, seed=1)
    for _ in range(100):
        model.learn_one({"dead": None, "still": 7.0})
    assert model.mixture.n_components == 1
    assert model.mixture.means[0, 1] == 7.0


def test_correlations_from_different_rows_contradict_each_other():
    """Of 30 features 5 are present in each row: no rows have such correlations together."""
    rng = np.random.default_rng(0)
    X = np.full((450, 30), np.nan)
    for row, z in zip(X, rng.integers(3, size=450), strict=True):
        row[rng.choice(30, 5, replace=False)] = rng.normal(5.0 * z, 1.0, 5)
    found = correlations(X)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(np.diagonal(found), 1.0)
    assert np.linalg.eigvalsh(found)[0] > -1e-9
    assert informative(X)
