"""How the C library keeps this process's memory."""

from __future__ import annotations

import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
"""Names of glibc's malloc.h."""
_TRIM_BYTES = 64 * 1024


def give_memory_back() -> None:
    """Have glibc return what is free, and keep one heap for all threads; elsewhere nothing is done.

    An interface lives for hours and waits most of them: what a long prompt took for a moment belongs to the model.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        library.mallopt(_M_ARENA_MAX, 1)
