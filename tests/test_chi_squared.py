"""The tail of the chi-squared distribution, against scipy's."""

import math

import numpy as np
import pytest
from scipy.special import chdtrc, chdtri
from scipy.stats import chi2

from tests.conftest import KERNELS

DEGREES = (*range(1, 41), 64, 101, 400)


@pytest.mark.parametrize("degrees", DEGREES)
def test_tails_agree_with_scipy(kernel, degrees):
    for x in (0.0, 1e-9, *np.geomspace(1e-3, 600.0, 200).tolist()):
        assert kernel.tail(degrees, x) == pytest.approx(chdtrc(degrees, x), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("probability", [1e-300, 1e-12, 1e-4, 0.05, 0.5, 0.99])
def test_what_is_exceeded_agrees_with_scipy(kernel, probability):
    found = [kernel.exceeded(probability, degrees) for degrees in DEGREES]
    assert found == pytest.approx(chdtri(DEGREES, probability).tolist(), rel=1e-12)


def test_strangeness_goes_on_where_doubles_end(kernel):
    x = np.array([3.0, 200.0, 1e3, 1e5, 1e9, 1e19, 1e200, math.inf])
    for degrees in (1, 2, 3, 8, 101):
        result = np.empty(len(x))
        kernel.strangeness(x, np.full(len(x), degrees), result)
        assert result[:3] == pytest.approx(-chi2.logsf(x[:3], degrees) / math.log(10.0), rel=1e-9)
        # there the logarithm is that of exp(-x/2), and of a power of x
        power = (degrees / 2 - 1) * np.log(x[3:6] / 2) - math.lgamma(degrees / 2)
        assert result[3:6] == pytest.approx((x[3:6] / 2 - power) / math.log(10.0), rel=1e-7)
        assert (np.diff(result) > 0).all()


def test_nothing_observed_is_not_strange_and_what_is_not_a_number_stays_so(kernel):
    result = np.empty(2)
    kernel.strangeness(np.array([9.0, math.nan]), np.array([0, 1]), result)
    assert result[0] == 0.0
    assert math.isnan(result[1])


@pytest.mark.skipif(len(KERNELS) == 1, reason="only one kernel is there")
def test_both_kernels_give_the_same_bits():
    x = np.random.default_rng(1).gamma(0.5, 60.0, 2000)
    degrees = np.random.default_rng(2).integers(0, 40, 2000)
    one, other = np.empty(2000), np.empty(2000)
    KERNELS["compiled"].strangeness(x, degrees, one)
    KERNELS["interpreted"].strangeness(x, degrees, other)
    assert one.tobytes() == other.tobytes()
    assert [KERNELS["compiled"].exceeded(1e-12, d) for d in DEGREES] == [
        KERNELS["interpreted"].exceeded(1e-12, d) for d in DEGREES
    ]
