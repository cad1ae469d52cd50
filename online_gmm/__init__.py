"""Streaming segmentation of time series: Gaussian mixtures learnt by incremental EM."""

from typing import Any

import lazy_loader

__version__ = "0.2.0"

# the names are those of __init__.pyi; numpy alone takes longer to import than this package
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__kernel__":
        from online_gmm import _kernel

        return "compiled" if _kernel.COMPILED else "interpreted"
    return _public(name)
