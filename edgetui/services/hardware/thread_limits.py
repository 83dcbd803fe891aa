"""How many threads are worth having here: more than processors slow decode, and hundreds of them stop a machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import counted
from edgetui.meters.source import MachineSource
from edgetui.services.hardware.cgroups import cpu_limits

_MOST_PER_PROCESSOR = 4
"""Threads up to here cost time, which may be just what somebody measures; beyond, they are a slip of the hand."""


def usable_processors() -> int:
    """Logical processors that this process may use, affinity and the cgroup's quota considered; at least one."""
    usable = cpu_limits(MachineSource(Path("/"))).usable_cpus.value
    return max(1, math.ceil(usable) if usable is not None else os.cpu_count() or 1)


def require_threads(*counts: int) -> None:
    """Raise `EdgetuiError("bad_request")` for a number of threads that is far too many here; 0 is the engine's own."""
    if not any(counts):
        return
    processors = usable_processors()
    most = _MOST_PER_PROCESSOR * processors
    if max(counts) > most:
        raise EdgetuiError(
            "bad_request",
            f"{max(counts)} threads are far too many for {counted(processors, 'processor')}: take at most {most}, or 0"
            " for one a physical core.",
        )


def thread_remarks(threads: int, threads_prefill: int = 0) -> tuple[str, ...]:
    """What speaks against so many threads for decode, and for prefill where that has its own number."""
    if not (threads or threads_prefill):
        return ()
    processors = usable_processors()
    asked = ((threads, "threads", "decode"), (threads_prefill, "prefill threads", "prefill"))
    return tuple(
        f"{count} {what} share {counted(processors, 'processor')}, which slows {phase}: take {processors}."
        for count, what, phase in asked
        if count > processors
    )
