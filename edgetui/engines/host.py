"""What of this machine a native engine may really use: processors and memory, cgroup limits included."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.cgroup_folders import NO_LIMIT_V1, cpu_quota, droppable_cache, find_controller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.cgroup_folders import Controller

_TOPOLOGY = Path("/sys/devices/system/cpu")


def default_threads() -> int:
    """One thread a physical core that this process may run on, at least one."""
    usable = usable_cpus()
    cores: set[str] = set()
    for cpu in usable:
        try:
            cores.add((_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip())
        except OSError:
            cores.add(str(cpu))
    count = len(cores)
    if not _TOPOLOGY.exists():
        import psutil

        count = min(psutil.cpu_count(logical=False) or count, count)
    quota = _cpu_quota()
    return max(1, min(count, math.ceil(quota)) if quota else count)


def usable_threads() -> int:
    """One thread a logical processor that this process may use, at least one."""
    count, quota = len(usable_cpus()), _cpu_quota()
    return max(1, min(count, math.ceil(quota)) if quota else count)


def usable_cpus() -> list[int]:
    """Logical processors in this process's affinity mask."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_memory_bytes() -> int:
    """Memory that can be taken without swapping: the system's figure or the cgroup's rest, whichever is less."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_by_groups()])


def _left_by_groups() -> list[int]:
    """What each memory limit above this process leaves; file cache that can be dropped counts as free."""
    left: list[int] = []
    controller = _controller("memory")
    if controller is None:
        return left
    for folder in controller.folders:
        # A folder that is out of sight in a container has no such files, and one without a limit no number.
        with suppress(ValueError):
            limit = int(_text(f"{folder}/{controller.memory_limit_file}") or "")
            used = int(_text(f"{folder}/{controller.memory_usage_file}") or "")
            if limit < NO_LIMIT_V1:
                used -= droppable_cache(_text(f"{folder}/memory.stat") or "", controller)
                left.append(max(0, limit - used))
    return left


def _controller(name: str) -> Controller | None:
    own, mounts = (_text(f"/proc/self/{file}") or "" for file in ("cgroup", "mounts"))
    return find_controller(name, own, mounts, os.path.exists)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:
        return None


def resident_bytes() -> int:
    """Memory that this process holds now, mapped files included."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def forget_peak_memory() -> None:
    """Let `peak_resident_bytes` begin anew, where the system can do that (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_resident_bytes() -> int | None:
    """Most memory that this process held since `forget_peak_memory`, or ever where the system only knows that."""
    try:
        # Linux's getrusage counts in what the process held that started this one.
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else None
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    # In bytes on macOS, which alone comes here.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def return_memory() -> None:
    """Give back what this process has freed; what was allocated in small pieces otherwise stays with it on Linux."""
    import ctypes
    import gc
    import sys

    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)


def load_average() -> float | None:
    """One-minute load of the machine, so that a noisy figure can be told from a quiet one."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def cpu_seconds_of_others(ours: Sequence[int] = ()) -> float | None:
    """Processor time that everything but this process has taken since the start of the machine, steal included.

    The living processes `ours` are not counted either. Differences of two answers count; None where the system does
    not tell.
    """
    import time

    import psutil

    try:
        times = psutil.cpu_times()._asdict()
        ours_s = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in ours)
    except (OSError, RuntimeError, psutil.Error):
        return None
    # Linux counts guests within user time.
    idle = ("idle", "iowait", "guest", "guest_nice")
    total: float = sum(seconds for name, seconds in times.items() if name not in idle)
    return total - time.process_time() - ours_s


def _cpu_quota() -> float | None:
    """Processors' worth of time that the cgroups grant, None when unlimited."""
    controller = _controller("cpu")
    return None if controller is None else cpu_quota(controller, _text)
