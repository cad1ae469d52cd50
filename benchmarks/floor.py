"""The C-API step of ``floor.c``, compiled where it is needed, going on from a model."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from online_gmm import OnlineGMM


@cache
def _module() -> Any:
    """Compiled with the kernel's flags; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp())
    target = folder / f"floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    source = Path(__file__).with_name("floor.c")
    flags = ["-O3", "-ffp-contract=off", "-fPIC", "-shared", f"-I{include}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(target), "-lm"], check=True)
    spec = importlib.util.spec_from_file_location("floor", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.rmtree(folder)
    return module


def floor_of(model: OnlineGMM) -> Any:
    """A step by hand that goes on where the model is; None without a C compiler."""
    module = _module()
    if module is None:
        return None
    state = model._stream.state()
    k, d, kind = state["iterate"]["shape"]
    scale, exponent, least, *_ = state["pace"][0]
    gate = np.frombuffer(state["gates"])[d]
    its = state["iterate"]
    return module.Floor(
        state, model._names, k, d, kind, state["n"],
        scale, exponent, least, its["points"], its["strength"], gate,
    )  # fmt: skip


def apart(model: OnlineGMM, learn: Callable[[dict[int, float]], None], floor: Any,
          points: list[dict[int, float]]) -> float:  # fmt: skip
    """The largest difference between the means of both, once both have learnt these points."""
    for x in points:
        learn(x)
        floor.learn_one(x)
    mine = np.frombuffer(model._stream.state()["iterate"]["center"])
    return float(np.abs(mine - np.frombuffer(floor.centers())).max())
