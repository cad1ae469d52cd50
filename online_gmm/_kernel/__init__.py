"""The kernel: Gaussian components, and streams of points that they learn from.

Cython compiles these files as they are. Without a C compiler Python runs them as they are, with the
same numbers (``-ffp-contract=off``). The ``.pxd`` file beside a module declares what other compiled
modules see of it. Arrays are flat buffers of doubles in row order: entry ``[k, i, j]`` is at
``(k * D + i) * D + j``. The caller guarantees that values are finite and below ``LARGEST`` in
magnitude; NaN is a missing value.

gaussian
    Statistics, parameters (M-step) and densities (E-step) of K Gaussian components.
streams
    One learning loop, and the models that it drives: a mixture and a hidden Markov model.
k_means
    The starts of a fit.
scales
    The scales of features, which a fit begins with.
pairs
    How far apart components are, and what two become that are one.
persistence
    How long regimes last.
vectors
    Exponential functions and logarithms of many numbers at once.
chi_squared
    How unlikely a distance or a gain is.
halves
    Whether the rows of a component are alike in two halves.
windows
    Statistics of trailing windows.
partition
    Segments and regimes that are found as points come.
hindsight
    The same of a whole series: the best partition, and the most probable states.
joining
    States of a whole series that are one.
"""

from online_gmm._kernel.blocks import Blocks
from online_gmm._kernel.chi_squared import exceeded, strangeness, tail
from online_gmm._kernel.entry import Entry
from online_gmm._kernel.gaussian.climb import Climb, go_on
from online_gmm._kernel.gaussian.components import Components, components_from_state
from online_gmm._kernel.gaussian.statistics import (
    DIAG,
    FULL,
    IMPOSSIBLE,
    SPHERICAL,
    TIED,
    UNSURE,
    Statistics,
    central_moments,
)
from online_gmm._kernel.halves import add_moments, moments_alike
from online_gmm._kernel.hindsight import best_partition, best_states
from online_gmm._kernel.joining import join_states
from online_gmm._kernel.k_means import draw_clusters, move_centers, number_in_order
from online_gmm._kernel.pairs import bhattacharyya, cheapest_pair, merged, squared_length
from online_gmm._kernel.partition import Partition
from online_gmm._kernel.persistence import time_constant
from online_gmm._kernel.pieces import join, join_all, join_pairs
from online_gmm._kernel.points import COMPILED, LARGEST, fill, first_refused, must_be_mapping
from online_gmm._kernel.runs import sum_up
from online_gmm._kernel.scales import distinct_values, least_steps, spread_equal, spreads
from online_gmm._kernel.streams.chain import Chain, chain_from_state
from online_gmm._kernel.streams.hmm import ChainStream, chain_stream_from_state
from online_gmm._kernel.streams.kept import place_in_block
from online_gmm._kernel.streams.mixture import MixtureStream, mixture_stream_from_state
from online_gmm._kernel.streams.stream import Stream
from online_gmm._kernel.values import real, whole
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
    "IMPOSSIBLE",
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
    "UNSURE",
    "Blocks",
    "Chain",
    "ChainStream",
    "Climb",
    "Components",
    "Entry",
    "MixtureStream",
    "Partition",
    "Statistics",
    "Stream",
    "Windows",
    "add_moments",
    "best_partition",
    "best_states",
    "bhattacharyya",
    "central_moments",
    "chain_from_state",
    "chain_stream_from_state",
    "cheapest_pair",
    "columns_of",
    "components_from_state",
    "distinct_values",
    "draw_clusters",
    "exceeded",
    "fill",
    "first_refused",
    "go_on",
    "join",
    "join_all",
    "join_pairs",
    "join_states",
    "least_steps",
    "merged",
    "mixture_stream_from_state",
    "moments_alike",
    "move_centers",
    "must_be_mapping",
    "number_in_order",
    "place_in_block",
    "real",
    "spread_equal",
    "spreads",
    "squared_length",
    "strangeness",
    "sum_up",
    "tail",
    "time_constant",
    "whole",
    "windows_from_state",
]
