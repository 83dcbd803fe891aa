"""Telling a process from a later one that got the same number."""

from __future__ import annotations

import os
from pathlib import Path


def process_mark(pid: int) -> float | None:
    """When the process began, on a clock that nobody sets; None when there is no such process, or only its remains.

    On Linux in seconds since the machine started: a board without a clock of its own jumps by years when it finds
    the time, and a creation time as a date would jump with it.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _mark_elsewhere(pid)
    except OSError:
        return None
    # The name stands in brackets and may itself hold spaces and brackets.
    fields = status.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _mark_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
