"""A fleet of series on Apache Spark: a learner for each key, and batch EM over all machines.

Needs ``pip install 'online-gmm[spark]'``, and Java 17 or newer where the engine runs.
"""

try:
    import pyspark  # noqa: F401
except ImportError:
    raise ImportError(
        "online_gmm.spark needs PySpark: pip install 'online-gmm[spark]'", name="pyspark"
    ) from None

from online_gmm.spark.fit import MixtureFit, fit_mixture
from online_gmm.spark.labels import label_stream, read_states
from online_gmm.spark.processor import LabelProcessor
from online_gmm.spark.track import Track, TrackOptions

__all__ = [
    "LabelProcessor",
    "MixtureFit",
    "Track",
    "TrackOptions",
    "fit_mixture",
    "label_stream",
    "read_states",
]
