"""What the intel_vpu driver tells of an NPU now: busy time, memory, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.hardware import AcceleratorSample, Reading, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_FIRST = unknown("load is measured between two samples, and this is the first")
_TOO_SOON = unknown("no time passed since the sample before")
_SILENT = unknown("the intel_vpu driver does not tell it in sysfs")


class IntelNpu:
    """Load needs the sample before; this keeps it."""

    def __init__(self, source: MachineSource, key: str, folder: str) -> None:
        self._source, self._key, self._folder = source, key, folder
        self._before: tuple[int, float] | None = None

    def sample(self, now: float) -> AcceleratorSample:
        """The figures; what a kernel of its age does not tell yet says which file is missing."""
        return AcceleratorSample(
            key=self._key,
            utilisation=self._load(self._source.integer(f"{self._folder}/npu_busy_time_us"), now),
            memory_used_bytes=self._source.integer(f"{self._folder}/npu_memory_utilization"),
            frequency_hz=self._source.integer(f"{self._folder}/npu_current_frequency_mhz", 1_000_000),
            celsius=_SILENT,
            power_watts=_SILENT,
        )

    def _load(self, busy_us: Reading[int], now: float) -> Reading[float]:
        if busy_us.value is None:
            return unknown(busy_us.reason)
        before, self._before = self._before, (busy_us.value, now)
        if before is None:
            return _FIRST
        elapsed_us = (now - before[1]) * 1e6
        if elapsed_us <= 0:
            return _TOO_SOON
        return known(min(1.0, max(0.0, (busy_us.value - before[0]) / elapsed_us)))
