"""What several models take of this machine at once: whether they fit into its memory, and its cores shared out."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.fit import MemoryFit
    from edgetui.services.compared_column import Column
    from edgetui.services.fit import Fit
    from edgetui.services.hardware import HardwareMonitor


class JointNeed(NamedTuple):
    """What some models take together."""

    needed_bytes: int
    available_bytes: int
    """For all of them: what is free, and what those that are loaded hold already."""
    column_count: int

    @property
    def fits(self) -> bool:
        """Whether all can be in memory at once."""
        return self.needed_bytes <= self.available_bytes

    @property
    def sentence(self) -> str:
        """Both figures, without a stop at the end."""
        return (
            f"All {self.column_count} columns together need {format_bytes(self.needed_bytes)} of memory and"
            f" {format_bytes(self.available_bytes)} are free"
        )


class JointUse:
    """Memory is what `Fit` predicts; of other formats than GGUF the files, which is the least that they take."""

    def __init__(self, fit: Fit, hardware: HardwareMonitor) -> None:
        self._fit = fit
        self._hardware = hardware
        self._known: dict[tuple[object, ...], MemoryFit] = {}

    async def memory(self, columns: Sequence[Column]) -> JointNeed:
        """What these columns take together; one whose need cannot be told counts for nothing and fails by itself."""
        fits = await asyncio.gather(*(self._of(column) for column in columns))
        needed, mapped = 0, set()
        for column, fit in zip(columns, fits, strict=True):
            if fit is None:
                needed += 0 if column.entry.endpoint is not None else column.entry.size_bytes
                continue
            needed += fit.parts.total
            if column.entry.path in mapped:
                # The system keeps one copy of a file, however many map it.
                needed -= fit.parts.weights_mapped
            if fit.parts.weights_mapped:
                mapped.add(column.entry.path)
        held = sum(column.resident_bytes for column in columns)
        return JointNeed(needed, await self._available_bytes() + held, len(columns))

    async def threads_each(self, columns: Sequence[Column]) -> int:
        """Threads for each column that computes here, when all do at once and nobody said how many.

        With as many as there are cores for each of them, threads would wait for one that is not running at every layer.
        """
        cpu = (await self._hardware.describe()).cpu
        cores = [figure for figure in (cpu.physical_cores.value, cpu.limits.usable_cpus.value) if figure]
        local = sum(column.entry.endpoint is None for column in columns)
        return max(1, int(min(cores, default=1)) // max(1, local))

    async def _of(self, column: Column) -> MemoryFit | None:
        if not column.entry.is_gguf:
            return None
        key = (column.entry.path, column.wanted_load)
        if key not in self._known:
            try:
                self._known[key] = await self._fit.memory(column.entry, column.wanted_load)
            except EdgetuiError:
                return None
        return self._known[key]

    async def _available_bytes(self) -> int:
        """What is free, of the machine and of the cgroup's limit."""
        memory = (await self._hardware.sample()).memory
        available = memory.available_bytes.value
        limit = (await self._hardware.describe()).memory.limit_bytes.value
        used = memory.group_used_bytes.value
        free = [available] if available is not None else []
        if limit is not None and used is not None:
            free.append(max(0, limit - used))
        # Where the system tells nothing, a load that does not fit says so itself.
        return min(free, default=sys.maxsize)
