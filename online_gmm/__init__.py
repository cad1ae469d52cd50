"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from typing import Any

import lazy_loader

# the names are those of __init__.pyi; numpy alone takes longer to import than this package
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("online-gmm")
    return _public(name)
