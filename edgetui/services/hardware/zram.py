"""Compressed block devices in memory, by /sys/block/zram*."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, ZramSample, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

BLOCK = "/sys/block"


class Zram:
    """Finds the devices once and reads those that are set up."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._names: list[str] | None = None

    def sample(self) -> Reading[tuple[ZramSample, ...]]:
        """Devices that have a size; one without is not in use."""
        if self._names is None:
            self._names = [name for name in self._source.names(BLOCK) if re.fullmatch(r"zram\d+", name)]
        if not self._names:
            return unknown("this kernel has no zram device")
        samples = tuple(sample for name in self._names if (sample := self._device(name)) is not None)
        return known(samples) if samples else unknown("no zram device is set up")

    def _device(self, name: str) -> ZramSample | None:
        folder = f"{BLOCK}/{name}"
        size = self._source.integer(f"{folder}/disksize").value
        if not size:
            return None
        told = self._source.text(f"{folder}/mm_stat")
        # orig_data_size compr_data_size mem_used_total mem_limit ...
        figures = [int(word) for word in (told.value or "").split()]
        missing: Reading[int] = unknown(told.reason or f"{folder}/mm_stat is cut off")
        chosen = re.search(r"\[([\w-]+)\]", self._source.text(f"{folder}/comp_algorithm").value or "")
        return ZramSample(
            name=name,
            algorithm=known(chosen[1]) if chosen else unknown(f"{folder}/comp_algorithm names none"),
            size_bytes=size,
            stored_bytes=known(figures[0]) if len(figures) > 2 else missing,
            memory_bytes=known(figures[2]) if len(figures) > 2 else missing,
        )
