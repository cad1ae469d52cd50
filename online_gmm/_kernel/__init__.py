"""The hot loops: Gaussian components that learn a point at a time, and what brings points to them.

One source, two speeds: Cython compiles these files as they stand, and without a C compiler Python
runs them as they stand, with the same numbers (``-ffp-contract=off``). The ``.pxd`` beside a file
says what of it the others see when compiled. Arrays are flat ``array('d')`` buffers in row order:
entry ``[k, i, j]`` stands at ``(k * D + i) * D + j``. The caller guarantees finite values below
``LARGEST`` in magnitude; NaN stands for a missing value.
"""

from online_gmm._kernel.chain import Chain, chain_from_state
from online_gmm._kernel.chain_stream import ChainStream, chain_stream_from_state
from online_gmm._kernel.components import (
    DIAG,
    FULL,
    SPHERICAL,
    TIED,
    Components,
    components_from_state,
)
from online_gmm._kernel.entry import Entry
from online_gmm._kernel.partition import Partition
from online_gmm._kernel.points import COMPILED, LARGEST, fill, first_refused, real, whole
from online_gmm._kernel.runs import sum_up
from online_gmm._kernel.statistics import Statistics
from online_gmm._kernel.stream import Stream, stream_from_state
from online_gmm._kernel.windows import (
    AUTOCORRELATION,
    CORRELATION,
    LAGGED,
    LOG_DIFFERENCE,
    LOG_ROUGHNESS,
    LOG_SD,
    MEAN,
    RISES,
    SKEWNESS,
    Windows,
    columns_of,
    windows_from_state,
)

__all__ = [
    "AUTOCORRELATION",
    "COMPILED",
    "CORRELATION",
    "DIAG",
    "FULL",
    "LAGGED",
    "LARGEST",
    "LOG_DIFFERENCE",
    "LOG_ROUGHNESS",
    "LOG_SD",
    "MEAN",
    "RISES",
    "SKEWNESS",
    "SPHERICAL",
    "TIED",
    "Chain",
    "ChainStream",
    "Components",
    "Entry",
    "Partition",
    "Statistics",
    "Stream",
    "Windows",
    "chain_from_state",
    "chain_stream_from_state",
    "columns_of",
    "components_from_state",
    "fill",
    "first_refused",
    "real",
    "stream_from_state",
    "sum_up",
    "whole",
    "windows_from_state",
]
