"""Scikit-learn's API over the streaming learners: ``fit``, ``partial_fit``, ``predict``.

Needs scikit-learn: ``pip install 'online-gmm[sklearn]'``.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "online_gmm.sklearn needs scikit-learn: pip install 'online-gmm[sklearn]'", name=error.name
    ) from None

from online_gmm.sklearn.gaussian_mixture import StreamingGaussianMixture
from online_gmm.sklearn.segmenter import StreamingSegmenter

__all__ = ["StreamingGaussianMixture", "StreamingSegmenter"]
