"""How the C library and Python keep this process's memory."""

from __future__ import annotations

import gc
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


def settle_objects() -> None:
    """Collect garbage now, and leave what stays out of later collections.

    Looking through all that an app has imported and shown takes a core for longer than a frame, and Python would do it
    whenever the number of objects has grown enough: while a prompt is computed, as likely as not.
    """
    # What a former call left out may have become garbage since.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
