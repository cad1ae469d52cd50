"""What the figures of a run were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from online_gmm import _kernel

LIBRARIES = ("online-gmm", "numpy", "scipy", "pandas", "river", "scikit-learn", "pyarrow")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _compiler() -> str:
    """The C compiler at hand, which is most likely the one that compiled the kernel."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "none"
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0] or compiler


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "missing"


def described() -> dict[str, str]:
    """Cores, compiler, versions, and whether the kernel is compiled."""
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else ""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "load at the start": load or "unknown",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "C compiler": _compiler(),
        "kernel": "compiled" if _kernel.COMPILED else "**interpreted**",
        "libraries": ", ".join(f"{library} {_version(library)}" for library in LIBRARIES),
    }
