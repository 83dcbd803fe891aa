"""Memory and swap, by /proc/meminfo, and the cgroup's share of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.cgroup_folders import Controller
from edgetui.core.hardware import MemoryInfo, MemorySample, Reading, known, unknown
from edgetui.meters.source import attempt
from edgetui.services.hardware import cgroups
from edgetui.services.hardware.memory_modules import memory_modules

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource


_FIGURES = (
    "MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "HugePages_Total", "HugePages_Free", "Hugepagesize",
)  # fmt: skip
_THP = "/sys/kernel/mm/transparent_hugepage/enabled"


def memory_info(source: MachineSource) -> MemoryInfo:
    """How much there is and how much this process may have."""
    return MemoryInfo(
        total_bytes=attempt(lambda: _figure(_meminfo(source), "MemTotal")),
        limit_bytes=attempt(lambda: cgroups.memory_limit(source)),
        modules=attempt(lambda: memory_modules(source)),
        transparent_huge_pages=attempt(lambda: _transparent_huge_pages(source)),
    )


class MemoryUse:
    """Reads memory figures; keeps where the cgroup's files are."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._limited: bool | None = None
        self._controller: Controller | None = None

    def sample(self) -> MemorySample:
        """Memory now."""
        read: Reading[dict[str, int]] = attempt(lambda: known(_meminfo(self._source)))
        total, available, swap_total, swap_free, huge_pages, huge_pages_free, huge_page_bytes = (
            unknown(read.reason) if read.value is None else _figure(read.value, key) for key in _FIGURES
        )
        return MemorySample(
            total_bytes=total,
            available_bytes=available,
            used_bytes=_difference(total, available),
            swap_total_bytes=swap_total,
            swap_used_bytes=_difference(swap_total, swap_free),
            group_used_bytes=attempt(self._group_used),
            huge_pages=huge_pages,
            huge_pages_free=huge_pages_free,
            huge_page_bytes=huge_page_bytes,
        )

    def _group_used(self) -> Reading[int]:
        if self._limited is None:
            self._limited = cgroups.memory_limit(self._source).value is not None
            self._controller = cgroups.find_controller(self._source, "memory")
        if not self._limited:
            return unknown("no memory limit is set")
        return cgroups.memory_used(self._source, self._controller)


def _transparent_huge_pages(source: MachineSource) -> Reading[str]:
    """The mode in brackets: `always [madvise] never`."""
    told = source.read(_THP)
    chosen = re.search(r"\[(\w+)\]", told)
    return known(chosen[1]) if chosen else unknown(f"{_THP} marks no mode")


def _meminfo(source: MachineSource) -> dict[str, int]:
    """Every figure of /proc/meminfo in bytes."""
    figures = {}
    for line in source.read("/proc/meminfo").splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        figures[key] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return figures


def _figure(figures: dict[str, int], key: str) -> Reading[int]:
    return known(figures[key]) if key in figures else unknown(f"/proc/meminfo has no {key}")


def _difference(total: Reading[int], rest: Reading[int]) -> Reading[int]:
    if total.value is None:
        return total
    if rest.value is None:
        return rest
    return known(total.value - rest.value)
