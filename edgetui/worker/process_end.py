"""Ties the end of a process to that of the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""<sys/prctl.h>"""


def die_with_parent(parent: int | None = None) -> None:
    """Let Linux end this process with its parent, even while it computes and no thread of Python's can run.

    `parent` is the number of the process that started this one, where it was told: it may have ended before we ask.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
