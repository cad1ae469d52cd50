"""Builds the kernel. Everything else about the package stands in pyproject.toml."""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

PARTS = (
    "points",
    "memory",
    "statistics",
    "rows",
    "components",
    "pace",
    "stream",
    "entry",
    "chain",
    "chain_stream",
    "windows",
    "open_chain",
    "runs",
)
MODULES = (*(f"online_gmm._kernel.{part}" for part in PARTS), "replay.cells")

extensions = cythonize(
    [
        Extension(
            module,
            [f"{module.replace('.', '/')}.py"],
            # else the loader binds to the oldest versions of exp, log and pow, which are slower
            libraries=[] if sys.platform == "win32" else ["m"],
            extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"],
        )
        for module in MODULES
    ],
    compiler_directives={
        "language_level": 3,
        "boundscheck": False,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "freethreading_compatible": True,
    },
)
for extension in extensions:
    extension.optional = os.environ.get("ONLINE_GMM_REQUIRE_COMPILED", "") != "1"

setup(ext_modules=extensions)
