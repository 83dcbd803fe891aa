"""The monitor that screens and commands ask: puts the probes together, off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.hardware import HardwareSample, MachineInfo, known
from edgetui.services.hardware.accelerators import Accelerators
from edgetui.services.hardware.batteries import Batteries
from edgetui.services.hardware.cpu import cpu_info
from edgetui.services.hardware.cpu_load import CpuLoad, load_averages
from edgetui.services.hardware.disks import DiskSpace
from edgetui.services.hardware.fans import Fans
from edgetui.services.hardware.memory import MemoryUse, memory_info
from edgetui.services.hardware.power import PowerMeters
from edgetui.services.hardware.power_mode import PowerModes
from edgetui.services.hardware.raspberry_firmware import RaspberryFirmware
from edgetui.services.hardware.source import MachineSource, attempt
from edgetui.services.hardware.system import system_info
from edgetui.services.hardware.temperatures import Temperatures
from edgetui.services.hardware.throttling import Throttling

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORTEST_INTERVAL_S = 0.2
"""The kernel counts CPU time in steps of 10 ms at most machines: a shorter interval says little."""


class HardwareMonitor:
    """Describes and samples a machine: this one, or a recorded one under another `root`."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._source = MachineSource(root)
        self._lock = threading.Lock()
        self._cpu_load = CpuLoad(self._source)
        self._memory = MemoryUse(self._source)
        self._disks = DiskSpace(self._source)
        self._temperatures = Temperatures(self._source)
        self._accelerators = Accelerators(self._source, clock)
        self._clock = clock
        firmware = RaspberryFirmware(self._source, clock)
        self._power = PowerMeters(self._source, firmware, clock)
        self._power_modes = PowerModes(self._source, clock)
        self._batteries = Batteries(self._source, clock)
        self._fans = Fans(self._source, clock)
        self._throttling = Throttling(self._source, firmware, clock)
        self._info: MachineInfo | None = None
        self._last: tuple[float, HardwareSample] | None = None

    async def describe(self) -> MachineInfo:
        """What does not change; read once. Never raises: what cannot be read says why."""
        return await asyncio.to_thread(self._describe)

    async def sample(self) -> HardwareSample:
        """The machine now. Never raises.

        CPU load is measured since the sample before, whoever took it; within 0.2 s that one is given again.
        """
        return await asyncio.to_thread(self._sample)

    def _describe(self) -> MachineInfo:
        with self._lock:
            if self._info is None:
                self._info = self._probe_machine()
            return self._info

    def _sample(self) -> HardwareSample:
        with self._lock:
            now = self._clock()
            if self._last is not None and now - self._last[0] < _SHORTEST_INTERVAL_S:
                return self._last[1]
            sample = self._probe_now()
            self._last = (now, sample)
            return sample

    def _probe_machine(self) -> MachineInfo:
        if self._needs_psutil:
            from edgetui.services.hardware import portable

            return portable.machine_info()
        return MachineInfo(
            cpu=cpu_info(self._source),
            memory=memory_info(self._source),
            system=system_info(self._source),
            gpus=attempt(self._accelerators.gpus),
            npus=attempt(self._accelerators.npus),
        )

    def _probe_now(self) -> HardwareSample:
        if self._needs_psutil:
            from edgetui.services.hardware import portable

            return portable.hardware_sample()
        cpu_load, cores = self._cpu_load.sample()
        accelerators = attempt(lambda: known(self._accelerators.sample())).value or ()
        gpu_meters = attempt(lambda: known(self._accelerators.meters(accelerators))).value or ()
        return HardwareSample(
            taken_at=time.time(),
            cpu_load=cpu_load,
            cores=cores,
            load_averages=attempt(lambda: load_averages(self._source)),
            memory=self._memory.sample(),
            disks=attempt(self._disks.sample),
            temperatures=attempt(self._temperatures.sample),
            accelerators=accelerators,
            power=attempt(lambda: self._power.sample(gpu_meters)),
            power_mode=attempt(self._power_modes.sample),
            batteries=attempt(self._batteries.sample),
            fans=attempt(self._fans.sample),
            throttling=attempt(self._throttling.sample),
        )

    @property
    def _needs_psutil(self) -> bool:
        """Without Linux's files psutil knows what the system tells by calls."""
        return self._source.is_live and not self._source.exists("/proc/stat")
