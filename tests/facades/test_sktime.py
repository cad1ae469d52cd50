"""The detector of sktime, judged by sktime's own checks."""

import numpy as np
import pandas as pd
from sktime.utils.estimator_checks import check_estimator

from online_gmm.sktime import RegimeDetector


def test_sktime_accepts_the_detector():
    said = check_estimator(RegimeDetector, raise_exceptions=False)
    assert len(said) > 50
    assert {name: its for name, its in said.items() if its != "PASSED"} == {}


def series(levels, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"flow": rng.normal(np.repeat(levels, 300), 1.0)})


def test_regimes_that_return_have_their_numbers_again():
    detector = RegimeDetector().fit(series([0.0, 9.0, 0.0], 1))
    found = detector.predict(series([9.0, 0.0, 9.0], 2))
    assert found["labels"].tolist()[-3:] == [1, 0, 1]
    ends = [interval.right for interval in found["ilocs"]]
    assert ends[-1] == 900
    assert [interval.left for interval in found["ilocs"]] == [0, *ends[:-1]]


def test_an_update_is_learnt_and_a_prediction_is_not():
    detector = RegimeDetector().fit(series([0.0, 9.0], 1))
    detector.update(series([20.0, 0.0], 2))
    assert detector.segmenter_.n_points == 1200
    labels = [detector.transform(series([20.0], 3))["labels"].tolist()[-1] for _ in range(2)]
    assert labels == [2, 2]
    assert detector.segmenter_.n_points == 1200
