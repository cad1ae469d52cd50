"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from online_gmm.gmm import OnlineGMM
    from online_gmm.hmm import OnlineHMM, Smoothed
    from online_gmm.learner import Assignment
    from online_gmm.mixture import GaussianMixture
    from online_gmm.open_hmm import OpenHMM
    from online_gmm.recycle import ComponentEvent
    from online_gmm.segments import RegimeChange, Segment, Segmenter
    from online_gmm.step_size import Constant, HalfLife, PowerDecay
    from online_gmm.windows import (
        Trailing,
        TrailingAutocorrelation,
        TrailingCorrelation,
        TrailingLogDifference,
        TrailingLogSD,
        TrailingMean,
    )

__all__ = [
    "Assignment",
    "ComponentEvent",
    "Constant",
    "GaussianMixture",
    "HalfLife",
    "OnlineGMM",
    "OnlineHMM",
    "OpenHMM",
    "PowerDecay",
    "RegimeChange",
    "Segment",
    "Segmenter",
    "Smoothed",
    "Trailing",
    "TrailingAutocorrelation",
    "TrailingCorrelation",
    "TrailingLogDifference",
    "TrailingLogSD",
    "TrailingMean",
]

PLACES = {
    "gmm": ("OnlineGMM",),
    "hmm": ("OnlineHMM", "Smoothed"),
    "learner": ("Assignment",),
    "mixture": ("GaussianMixture",),
    "open_hmm": ("OpenHMM",),
    "recycle": ("ComponentEvent",),
    "segments": ("RegimeChange", "Segment", "Segmenter"),
    "step_size": ("Constant", "HalfLife", "PowerDecay"),
    "windows": (
        "Trailing",
        "TrailingAutocorrelation",
        "TrailingCorrelation",
        "TrailingLogDifference",
        "TrailingLogSD",
        "TrailingMean",
    ),
}
"""Where each name is, to be imported when it is asked for: numpy alone takes longer than river."""
MODULES = (*PLACES, "batch", "baum_welch", "incremental", "polish", "prior", "state", "warm_start")
"""What can be asked for as an attribute without having been imported."""


def __getattr__(name: str) -> Any:
    if name in MODULES:
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
    return sorted({*globals(), *__all__, *MODULES, "__version__"})
