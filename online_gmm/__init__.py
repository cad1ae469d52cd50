"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from importlib.metadata import version

from online_gmm.gmm import Assignment, OnlineGMM
from online_gmm.mixture import GaussianMixture
from online_gmm.recycle import ComponentEvent
from online_gmm.segments import RegimeChange, Segment, Segmenter
from online_gmm.step_size import Constant, HalfLife, PowerDecay

__version__ = version("online-gmm")

__all__ = [
    "Assignment",
    "ComponentEvent",
    "Constant",
    "GaussianMixture",
    "HalfLife",
    "OnlineGMM",
    "PowerDecay",
    "RegimeChange",
    "Segment",
    "Segmenter",
]
