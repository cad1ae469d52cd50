"""The detector of sktime, judged by sktime's own checks."""

import numpy as np
import pandas as pd
import pytest
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


def test_columns_are_known_by_their_names():
    X = series([0.0, 9.0, 0.0], 1).assign(load=lambda frame: -frame["flow"])
    detector = RegimeDetector().fit(X)
    pd.testing.assert_frame_equal(detector.predict(X[["load", "flow"]]), detector.predict(X))
    with pytest.raises(ValueError, match=r"the columns 'flow'; .* was fitted to 'flow', 'load'"):
        detector.predict(X[["flow"]])
    with pytest.raises(ValueError, match=r"the columns 'flow', 'x'; .* fitted to 'flow', 'load'"):
        detector.update(X.rename(columns={"load": "x"}))


@pytest.mark.parametrize("as_given", [pd.DataFrame.squeeze, pd.DataFrame.to_numpy])
def test_a_series_without_columns_is_updated_and_predicted(as_given):
    when = pd.date_range("2024-01-01", periods=600, freq="h")
    first, later = (series([0.0, 9.0], seed).set_index(when) for seed in (1, 2))
    detector = RegimeDetector().fit(as_given(first))
    assert detector.update_predict(as_given(later))["labels"].tolist()[-2:] == [0, 1]
    assert detector.segmenter_.n_points == 1200
    assert detector.predict_points(as_given(later))["ilocs"].tolist()[-1] == 300


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((3, 2, 50)), "X is a panel, of 3 series, and one series is expected"),
        ([series([0.0], 1)], "X is a panel, of 1 series, and one series is expected"),
        (series([0.0], 1).assign(unit="kW"), "column 'unit' holds 'kW' in row 0"),
        (
            series([0.0], 1).assign(when=pd.Timestamp("2024-01-01")),
            "column 'when' holds times .*leave it out",
        ),
        (pd.Series([], dtype=float), "the series has no points"),
    ],
)
def test_what_is_no_series_of_numbers_is_refused(X, said):
    with pytest.raises((TypeError, ValueError), match=said):
        RegimeDetector().fit_predict(X)
    if isinstance(X, np.ndarray):
        with pytest.raises(TypeError, match=said):
            RegimeDetector().fit(X[0].T).predict_points(X)


def test_a_window_of_time_is_refused():
    with pytest.raises(ValueError, match="window is '1h'; here it must be a number of points"):
        RegimeDetector(window="1h").fit(series([0.0], 1))
