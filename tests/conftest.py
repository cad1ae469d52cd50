"""Every test runs on both kernels: the compiled one, and the same source interpreted."""

import gc
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import online_gmm
import replay
from online_gmm import _kernel as imported
from replay import cells

if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # examples take as long as they do on a busy machine
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")

COMPILED = (imported.__name__, cells.__name__)
"""What is compiled where it can be."""


def parts() -> dict[str, ModuleType]:
    """The modules of the kernel now loaded, by name."""
    return {name: m for name, m in sys.modules.items() if name.startswith(COMPILED)}


class FromSource(importlib.abc.MetaPathFinder):
    """Finds the kernel's modules as Python, compiled or not."""

    def find_spec(self, name, path, target=None):
        if not name.startswith(COMPILED):
            return None
        place = Path(online_gmm.__file__).parents[1].joinpath(*name.split("."))
        if place.is_dir():
            return importlib.util.spec_from_file_location(
                name, place / "__init__.py", submodule_search_locations=[str(place)]
            )
        return importlib.util.spec_from_file_location(name, place.with_suffix(".py"))


def interpreted() -> dict[str, ModuleType]:
    loaded = parts()
    for name in loaded:
        del sys.modules[name]
    sys.meta_path.insert(0, FromSource())
    try:
        for name in COMPILED:
            importlib.import_module(name)
        return parts()
    finally:
        sys.meta_path.pop(0)
        sys.modules.update(loaded)
        online_gmm._kernel = imported
        replay.cells = cells


PARTS = {"interpreted": interpreted()}
if imported.COMPILED:
    PARTS["compiled"] = parts()
KERNELS = {name: loaded[imported.__name__] for name, loaded in PARTS.items()}

on_one_kernel = pytest.mark.parametrize("kernel", [min(KERNELS)], indirect=True)
"""For tests of what long streams come to: on the compiled kernel, if there is one.

That both kernels give the same bits is shown by short streams (`test_state`, `test_chain`,
`test_windows`, `test_segmenter`), for starts, fits, births and merges by `bytes_of_kernels`, and
that each is right by comparison with the naive references.
"""

LONG = (
    "tests/spark/test_spark_engine.py",
    "tests/replay/test_live.py",
    "tests/replay/test_kafka_faults.py",
    "tests/replay/test_landing.py",
    "tests/replay/test_kafka.py",
    "tests/replay/test_page.py",
    "tests/replay/test_faults.py",
    "tests/replay/test_batches.py",
)
"""Files of tests that take long. They come first: else a process works at one alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.nodeid.split("::")[0], len(LONG)))


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at all that is imported by now, again and again."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    missing = "" if "compiled" in KERNELS else " (no compiled build: is there a C compiler?)"
    return f"kernels: {', '.join(KERNELS)}{missing}"


def use_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Let all that is loaded use this kernel, until the patch is undone."""
    wanted = KERNELS[name]
    if sys.modules[imported.__name__] is not wanted:
        for part, module in PARTS[name].items():
            monkeypatch.setitem(sys.modules, part, module)
    # one that was first imported while another kernel was in use has that
    others = [module for module in KERNELS.values() if module is not wanted]
    # of some thousand names at each test: a slice takes a fifth of what `startswith` takes
    parts = [sys.modules[part] for part in sys.modules if part[:10] == "online_gmm"]
    for loaded in parts:
        if vars(loaded).get("_kernel") in others:
            monkeypatch.setattr(loaded, "_kernel", wanted)
    return wanted


def bytes_of_kernels(learnt: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """What a learner has learnt with each kernel, as bytes: one value if the kernels agree."""
    written = set()
    for name in KERNELS:
        with monkeypatch.context() as patched:
            use_kernel(name, patched)
            written.add(learnt().to_bytes())
    return written


@pytest.fixture(params=sorted(KERNELS), autouse=True)
def kernel(request, monkeypatch) -> ModuleType:
    return use_kernel(request.param, monkeypatch)


@pytest.fixture
def compiled(kernel) -> bool:
    """For tests that take longer streams where they are fast."""
    return kernel.COMPILED
