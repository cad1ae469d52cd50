"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from online_gmm.em.mixture import MixtureParameters
    from online_gmm.em.step_size import Constant, HalfLife, PowerDecay
    from online_gmm.features.rolling import RollingFeatures
    from online_gmm.learners.base import Assignment, Assignments
    from online_gmm.learners.gmm import OnlineGMM
    from online_gmm.learners.hmm import OnlineHMM, Smoothed
    from online_gmm.learners.open_hmm import OpenHMM
    from online_gmm.learners.recycle import ComponentEvent
    from online_gmm.segmentation.segmenter import RegimeChange, Segment, Segmenter

__all__ = [
    "Assignment",
    "Assignments",
    "ComponentEvent",
    "Constant",
    "HalfLife",
    "MixtureParameters",
    "OnlineGMM",
    "OnlineHMM",
    "OpenHMM",
    "PowerDecay",
    "RegimeChange",
    "RollingFeatures",
    "Segment",
    "Segmenter",
    "Smoothed",
]

PLACES = {
    "learners.gmm": ("OnlineGMM",),
    "learners.hmm": ("OnlineHMM", "Smoothed"),
    "learners.base": ("Assignment", "Assignments"),
    "em.mixture": ("MixtureParameters",),
    "learners.open_hmm": ("OpenHMM",),
    "learners.recycle": ("ComponentEvent",),
    "segmentation.segmenter": ("RegimeChange", "Segment", "Segmenter"),
    "em.step_size": ("Constant", "HalfLife", "PowerDecay"),
    "features.rolling": ("RollingFeatures",),
}
"""Where each name is, to be imported when it is asked for: numpy alone takes longer than river."""
PACKAGES = ("data", "em", "features", "learners", "segmentation")
"""What can be asked for as an attribute without having been imported."""


def __getattr__(name: str) -> Any:
    if name in PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("online-gmm")
    else:
        module = next((module for module, names in PLACES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *PACKAGES, "__version__"})
