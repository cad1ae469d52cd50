"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from importlib.metadata import version

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

__version__ = version("online-gmm")

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
