"""The monitor that screens and commands ask: puts the probes together, off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from edgetui.core.hardware import (
    AcceleratorSample,
    CpuInfo,
    CpuLimits,
    HardwareSample,
    MachineInfo,
    MemoryInfo,
    MemorySample,
    Reading,
    SystemInfo,
    WorkSample,
    known,
    unknown,
)
from edgetui.meters.power import PowerMeters
from edgetui.meters.raspberry_firmware import RaspberryFirmware
from edgetui.meters.source import MachineSource, attempt
from edgetui.meters.temperatures import Temperatures
from edgetui.meters.throttling import Throttling
from edgetui.services.hardware.accelerators import Accelerators
from edgetui.services.hardware.batteries import Batteries
from edgetui.services.hardware.clock_control import Governors
from edgetui.services.hardware.cpu import cpu_info
from edgetui.services.hardware.cpu_load import CpuLoad, load_averages
from edgetui.services.hardware.disks import DiskSpace
from edgetui.services.hardware.fans import Fans
from edgetui.services.hardware.memory import MemoryUse, memory_info
from edgetui.services.hardware.power_mode import PowerModes
from edgetui.services.hardware.private_words import private_words
from edgetui.services.hardware.system import system_info
from edgetui.services.hardware.time_limit import COMMAND_PROBE_LIMIT_S, TimeLimit
from edgetui.services.hardware.vulkan import vulkan_drivers
from edgetui.services.hardware.zram import Zram

if TYPE_CHECKING:
    from collections.abc import Callable

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_SHORTEST_INTERVAL_S = 0.2
"""The kernel counts CPU time in steps of 10 ms at most machines: a shorter interval says little."""


class HardwareMonitor:
    """Describes and samples a machine: this one, or a recorded one under another `root`."""

    def __init__(
        self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic, models_dir: Path | None = None
    ) -> None:
        self._source = MachineSource(root)
        self._models_folder = "" if models_dir is None else self._source.target(str(models_dir))
        self._lock = threading.Lock()
        self._limit = TimeLimit()
        self._cpu_load = CpuLoad(self._source)
        self._governors = Governors(self._source, clock)
        self._memory = MemoryUse(self._source)
        self._zram = Zram(self._source)
        self._disks = DiskSpace(self._source, self._models_folder, clock)
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

    async def work_sample(self) -> WorkSample:
        """As `sample`, of what work does to the machine alone: a fraction of the cost while every core is at work."""
        return await asyncio.to_thread(self._sample_work)

    async def private_words(self) -> tuple[str, ...]:
        """What a report for others must not hold: names, addresses, serial numbers of this machine."""
        return await asyncio.to_thread(private_words, self._source)

    def _describe(self) -> MachineInfo:
        with self._lock:
            if self._info is None:
                self._info = self._probe_machine()
            return self._info

    def _sample(self) -> HardwareSample:
        with self._lock:
            now = self._clock()
            if (sample := self._recent(now)) is None:
                sample = self._probe_now()
                self._last = (now, sample)
            return sample

    def _sample_work(self) -> WorkSample:
        with self._lock:
            if (sample := self._recent(self._clock())) is not None:
                return sample
            return self._probe_now() if self._needs_psutil else self._probe_work()

    def _recent(self, now: float) -> HardwareSample | None:
        """The last whole sample, where it is too young for another."""
        return self._last[1] if self._last is not None and now - self._last[0] < _SHORTEST_INTERVAL_S else None

    def _probe_machine(self) -> MachineInfo:
        if self._needs_psutil:
            from edgetui.services.hardware import portable

            return portable.machine_info(self._source, self._models_folder)
        ask, source = self._limit.ask, self._source
        cpu: Reading[CpuInfo] = ask("cpu", lambda: known(cpu_info(source)))
        memory: Reading[MemoryInfo] = ask("memory", lambda: known(memory_info(source)))
        system: Reading[SystemInfo] = ask("system", lambda: known(system_info(source)), COMMAND_PROBE_LIMIT_S)
        return MachineInfo(
            cpu=cpu.value or unread_cpu(cpu.reason),
            memory=memory.value or all_missing(MemoryInfo, memory.reason),
            system=system.value or all_missing(SystemInfo, system.reason),
            gpus=ask("gpus", self._accelerators.gpus, COMMAND_PROBE_LIMIT_S),
            npus=ask("npus", self._accelerators.npus),
            vulkan_drivers=ask("vulkan", lambda: vulkan_drivers(source)),
            models_folder=known(self._models_folder) if self._models_folder else unknown("no models folder was named"),
        )

    def _probe_now(self) -> HardwareSample:
        if self._needs_psutil:
            from edgetui.services.hardware import portable

            return portable.hardware_sample(self._models_folder)
        ask, source = self._limit.ask, self._source
        work = self._probe_work()
        memory: Reading[MemorySample] = ask("memory", lambda: known(self._memory.sample()))
        return HardwareSample(
            **msgspec.structs.asdict(work),
            load_averages=ask("averages", lambda: load_averages(source)),
            memory=memory.value or all_missing(MemorySample, memory.reason),
            # These have a limit for each mounted filesystem.
            disks=self._disks.sample(),
            power_mode=ask("power mode", self._power_modes.sample, COMMAND_PROBE_LIMIT_S),
            batteries=ask("batteries", self._batteries.sample),
            fans=ask("fans", self._fans.sample),
            throttling=ask("throttling", self._throttling.sample, COMMAND_PROBE_LIMIT_S),
            governors=ask("governors", self._governors.sample),
            zram=ask("zram", self._zram.sample),
            models_disk=self._disks.models_disk(),
        )

    def _probe_work(self) -> WorkSample:
        ask = self._limit.ask
        loads: Reading[Any] = ask("load", lambda: known(self._cpu_load.sample()))
        cpu_load, cores = loads.value or (unknown(loads.reason), unknown(loads.reason))
        accelerators = self._sample_accelerators()
        gpu_meters = attempt(lambda: known(self._accelerators.meters(accelerators))).value or ()
        return WorkSample(
            taken_at=time.time(),
            cpu_load=cpu_load,
            cores=cores,
            temperatures=ask("temperatures", self._temperatures.sample),
            accelerators=accelerators,
            power=ask("power", lambda: self._power.sample(gpu_meters), COMMAND_PROBE_LIMIT_S),
        )

    def _sample_accelerators(self) -> tuple[AcceleratorSample, ...]:
        """Of one that cannot be asked every figure is missing, with the reason."""
        read: Reading[tuple[AcceleratorSample, ...]] = self._limit.ask(
            "accelerators", lambda: known(self._accelerators.sample()), COMMAND_PROBE_LIMIT_S
        )
        if read.value is not None:
            return read.value
        info = self._info
        found = () if info is None else (*(info.gpus.value or ()), *(info.npus.value or ()))
        return tuple(
            AcceleratorSample(
                key=item.key,
                utilisation=unknown(read.reason),
                memory_used_bytes=unknown(read.reason),
                frequency_hz=unknown(read.reason),
                celsius=unknown(read.reason),
                power_watts=unknown(read.reason),
            )
            for item in found
        )

    @property
    def _needs_psutil(self) -> bool:
        """Without Linux's files psutil knows what the system tells by calls."""
        return self._source.is_live and not self._source.exists("/proc/stat")


def all_missing(kind: type[_Struct], reason: str) -> _Struct:
    """A struct of readings, none of which could be had."""
    return kind(**{name: unknown(reason) for name in kind.__struct_fields__})


def unread_cpu(reason: str) -> CpuInfo:
    """A processor of which nothing could be read."""
    figures: dict[str, Any] = {name: unknown(reason) for name in CpuInfo.__struct_fields__}
    figures |= {"groups": (), "limits": all_missing(CpuLimits, reason)}
    return CpuInfo(**figures)
