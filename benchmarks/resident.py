"""Resident memory, as the kernel of Linux counts it."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(process: int | str = "self") -> int:
    """Bytes of a process that are in memory now."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE


def trimmed() -> int:
    """The same of this one, when garbage is collected and what is free given back."""
    gc.collect()
    with suppress(AttributeError):  # of another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    return resident()
