"""Tails of chi-square distributions against scipy's."""

import numpy as np
import pytest
from scipy.stats import chi2

from online_gmm.chi_square import limits, tail

DEGREES = (1, 2, 3, 4, 9, 64, 101, 2880)


@pytest.mark.parametrize("df", DEGREES)
def test_tails(df: int) -> None:
    for x in (1e-9, 0.1, 1.0, 0.3 * df, 0.9 * df, df, 1.5 * df, df + 40.0):
        assert tail(x, df) == pytest.approx(chi2.sf(x, df), rel=1e-11)


@pytest.mark.parametrize("df", DEGREES)
def test_far_out(df: int) -> None:
    # where the density of one degree of freedom is about to underflow
    assert tail(1250.0 + df, df) == pytest.approx(chi2.sf(1250.0 + df, df), rel=1e-11, abs=1e-300)
    assert tail(1e6, df) == chi2.sf(1e6, df) == 0.0


def test_all_lies_beyond_what_is_not_positive() -> None:
    assert tail(0.0, 5) == tail(-3.0, 5) == 1.0


@pytest.mark.parametrize("probability", [1e-300, 1e-100, 1e-12, 1e-4, 0.05, 0.5, 0.9])
def test_limits(probability: float) -> None:
    found = np.array(limits(probability, 300))
    np.testing.assert_allclose(found, chi2.isf(probability, np.arange(1, 301)), rtol=5e-13)


def test_limits_near_nothing() -> None:
    # so close to 1 the probability itself has few digits
    found = np.array(limits(0.9999, 40))
    np.testing.assert_allclose(found, chi2.isf(0.9999, np.arange(1, 41)), rtol=1e-9)
