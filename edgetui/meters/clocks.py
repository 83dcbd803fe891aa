"""At what clocks the processors run, by cpufreq or /proc/cpuinfo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, known, unknown
from edgetui.meters.processor_files import CPU_FOLDER, cpuinfo_blocks, tells_present_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.meters.source import MachineSource

_MHZ = re.compile(r"^cpu MHz\s*:\s*([\d.]+)", re.MULTILINE)


class ProcessorClocks:
    """Finds out once how this machine tells its clocks, and reads them each time."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._clock_reason: str | None = None
        self._reads_cpuinfo = False

    def sample(self, cpus: Sequence[int]) -> list[Reading[int]]:
        """Clock of each of these in hertz; raises OSError where /proc/cpuinfo cannot be read."""
        if self._clock_reason is not None:
            return [unknown(self._clock_reason)] * len(cpus)
        if self._reads_cpuinfo:
            figures = _MHZ.findall(self._source.read("/proc/cpuinfo"))
            if len(figures) == len(cpus):
                return [known(round(float(figure) * 1e6)) for figure in figures]
            return [unknown("/proc/cpuinfo does not list the clock of every CPU")] * len(cpus)
        clocks = [self._source.integer(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/scaling_cur_freq", 1000) for cpu in cpus]
        if clocks and not any(self._source.exists(f"{CPU_FOLDER}/cpu{cpu}/cpufreq") for cpu in cpus):
            if tells_present_clock(cpuinfo_blocks(self._source)[0]):
                self._reads_cpuinfo = True
                return self.sample(cpus)
            self._clock_reason = "the present clock is hidden: no cpufreq, as in most virtual machines"
            return self.sample(cpus)
        return clocks
