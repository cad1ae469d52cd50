"""The segmenter of aeon, judged by aeon's own checks."""

import numpy as np
import pytest
from aeon.testing.estimator_checking import check_estimator

from online_gmm import Segmenter
from online_gmm.aeon import RegimeSegmenter


def test_aeon_accepts_the_segmenter():
    said = check_estimator(RegimeSegmenter)
    assert len(said) > 10
    assert set(said.values()) == {"PASSED"}


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_are_those_of_the_segmenter(channels):
    rng = np.random.default_rng(1)
    levels = np.repeat([0.0, 9.0, 0.0], 300)[:, None]
    X = rng.normal(levels, 1.0, (900, channels))
    expected = Segmenter().label_many(X)
    assert sorted(set(expected)) == [0, 1]
    np.testing.assert_array_equal(RegimeSegmenter().fit_predict(X, axis=0), expected)
    np.testing.assert_array_equal(RegimeSegmenter().fit_predict(X.T, axis=1), expected)


def test_a_series_without_a_change_is_one_regime():
    X = np.random.default_rng(2).normal(size=100)
    assert RegimeSegmenter().fit_predict(X).tolist() == [0] * 100


def test_rows_that_are_taken_for_channels_are_told():
    X = np.random.default_rng(2).normal(size=(100, 2))
    with pytest.warns(UserWarning, match="taken as 100 channels of 2 points each; .* say axis=0"):
        RegimeSegmenter().fit_predict(X)
    assert len(RegimeSegmenter().fit_predict(X, axis=0)) == 100


def test_a_window_of_time_is_refused():
    with pytest.raises(ValueError, match="window is '1h'; here it must be a number of points"):
        RegimeSegmenter(window="1h").fit_predict(np.zeros(100))
