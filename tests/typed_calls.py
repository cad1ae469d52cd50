"""Calls for the type checker, which `scripts/lint` runs: a wrong call that it accepts is an error.

mypy (strict) reports an ``ignore`` of which there is no need.
"""

from typing import assert_type

from online_gmm import Assignments, OnlineGMM, OnlineHMM, RollingFeatures


def calls(model: OnlineGMM) -> None:
    assert_type(model.predict_one({"x": 1.0}), int)
    assert_type(OnlineHMM("auto").log_density_one({"x": 1.0}, 2.0), float)
    assert_type(model.label_then_learn_many([[1.0]]), Assignments)
    assert_type(model.names, dict[int, str])
    OnlineGMM(3, covariance_type="diag", late="skip")
    RollingFeatures(10, ["mean", "log_sd"])

    OnlineGMM(3, covariance_type="diagonal")  # type: ignore[arg-type]
    OnlineHMM(3, covariance_type="diagonal")  # type: ignore[arg-type]
    OnlineGMM(3, late="fail")  # type: ignore[arg-type]
    OnlineGMM("many")  # type: ignore[arg-type]
    OnlineGMM(3, prior=0.1)  # type: ignore[call-arg]
    RollingFeatures(10, ["median"])  # type: ignore[list-item]
