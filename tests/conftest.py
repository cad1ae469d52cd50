"""Every test runs on both kernels: the compiled one, and the same source interpreted."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import online_gmm
from online_gmm import _kernel as imported


def interpreted() -> ModuleType:
    source = Path(online_gmm.__file__).with_name("_kernel.py")
    spec = importlib.util.spec_from_file_location("online_gmm._kernel", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KERNELS = {"interpreted": interpreted()}
if imported.COMPILED:
    KERNELS["compiled"] = imported


def pytest_report_header() -> str:
    missing = "" if "compiled" in KERNELS else " (no compiled build: is there a C compiler?)"
    return f"kernels: {', '.join(KERNELS)}{missing}"


@pytest.fixture(params=sorted(KERNELS), autouse=True)
def kernel(request, monkeypatch) -> ModuleType:
    module = KERNELS[request.param]
    monkeypatch.setitem(sys.modules, "online_gmm._kernel", module)
    for name, loaded in list(sys.modules.items()):
        if name.split(".")[0] == "online_gmm" and hasattr(loaded, "_kernel"):
            monkeypatch.setattr(loaded, "_kernel", module)
    return module


@pytest.fixture
def compiled(kernel) -> bool:
    """For tests that take longer streams where they are fast."""
    return kernel.COMPILED
