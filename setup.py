"""Builds the kernel. Everything else about the package stands in pyproject.toml."""

import os
import re
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

KERNEL = Path("online_gmm", "_kernel")
SOURCES = [
    *(path for path in KERNEL.rglob("*.py") if path.stem != "__init__"),
    Path("replay/cells.py"),
]
COMPILE, LINK = [], []
if sys.platform != "win32":
    # -ffp-contract=off: the interpreted kernel gives the same bits; -g0: wheels a tenth the size
    COMPILE = ["-O3", "-ffp-contract=off", "-g0"]
    # nobody reads the exception flags of the processor or errno, and doubles are read as integers
    COMPILE += ["-fno-trapping-math", "-fno-math-errno", "-fno-strict-aliasing"]
if sys.platform == "linux":
    LINK = ["-Wl,--strip-all"]
# for `scripts/fuzz`: what is out of bounds or undefined in C ends the run
SANITIZED = os.environ.get("ONLINE_GMM_SANITIZE", "") == "1"
if SANITIZED:
    CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    COMPILE = ["-O1", "-g1", "-ffp-contract=off", "-fno-omit-frame-pointer", *CHECKS]
    LINK = CHECKS

VECTORS = (
    "vectors_exp_each",
    "vectors_log_each",
    *(f"ChainStatistics_{name}" for name in ("update", "collect")),
    *(f"Rows_{name}" for name in ("measure", "choose", "weigh", "moments")),
    *(f"Blocks_{name}" for name in ("add", "look")),
    *(f"candidates_{name}" for name in ("measure", "gains", "n_beyond", "spend", "approach")),
    *(f"metric_{name}" for name in ("multiply", "add_products", "add_four_products", "differ")),
    *(f"metric_follow_{name}" for name in ("moments", "usual", "medians")),
    "Metric_fit",
)
"""The functions that are compiled for AVX2 too; the loader takes those that the processor has."""
CLONES = """
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif
"""


def with_clones(code: str) -> str:
    """Mark the functions of `VECTORS` in generated C."""
    if "#define CLONES" in code:
        return code
    names = "|".join(VECTORS)
    code, n = re.subn(
        rf"^static (\w+ __pyx_f_\w+_\d+(?:{names})\()", r"CLONES static \1", code, flags=re.M
    )
    return code.replace('#include "Python.h"', f'#include "Python.h"{CLONES}', 1) if n else code


# what modules with views have in common, once: else it is most of each of them
SHARED = KERNEL / "_cyutility.c"

extensions = cythonize(
    [
        Extension(
            ".".join(path.with_suffix("").parts),
            [path.as_posix()],
            # else the loader binds to the oldest versions of exp, log and pow, which are slower
            libraries=[] if sys.platform == "win32" else ["m"],
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
        )
        for path in [SHARED, *sorted(SOURCES)]
    ],
    shared_utility_qualified_name=".".join(SHARED.with_suffix("").parts),
    # the generated C stays out of the packages, and so out of wheels
    build_dir="build/sanitize/cython" if SANITIZED else "build/cython",
    compiler_directives={
        "language_level": 3,
        "boundscheck": SANITIZED,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "freethreading_compatible": True,
    },
)
if not SANITIZED:
    for path in {source for extension in extensions for source in extension.sources}:
        code = Path(path).read_text()
        if (marked := with_clones(code)) != code:
            Path(path).write_text(marked)
for extension in extensions:
    extension.optional = os.environ.get("ONLINE_GMM_REQUIRE_COMPILED", "") != "1"

setup(ext_modules=extensions)
