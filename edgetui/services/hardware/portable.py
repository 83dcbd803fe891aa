"""The machine by psutil, for systems without Linux's /proc and /sys (macOS, BSD)."""

from __future__ import annotations

import os
import platform
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from edgetui.core.hardware import (
    BatterySample,
    CoreSample,
    CpuInfo,
    CpuLimits,
    DiskSample,
    HardwareSample,
    MachineInfo,
    MemoryInfo,
    MemorySample,
    Reading,
    SystemInfo,
    TemperatureSample,
    known,
    unknown,
)
from edgetui.meters.source import attempt
from edgetui.services.hardware import apple

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

_LINUX_ONLY = "edgetui looks for it in Linux's /sys and on Macs only"
_NOT_TOLD = "psutil does not tell it on this system"


def machine_info(source: MachineSource | None = None, models_folder: str = "") -> MachineInfo:
    """What psutil, Python and, on a Mac, its commands know of this machine."""
    import psutil

    mac: dict[str, str] = apple.sysctl(source) if source is not None and platform.system() == "Darwin" else {}
    chip, board = mac.get("machdep.cpu.brand_string"), mac.get("hw.model")

    logical = _count(lambda: psutil.cpu_count())
    usable = unknown(logical.reason) if logical.value is None else known(float(logical.value))
    not_told = unknown(_NOT_TOLD)
    return MachineInfo(
        cpu=CpuInfo(
            vendor=known("Apple") if chip and chip.startswith("Apple") else not_told,
            model=known(chip or platform.processor()) if chip or platform.processor() else not_told,
            sockets=not_told,
            physical_cores=_count(lambda: psutil.cpu_count(logical=False)),
            logical_cpus=logical,
            groups=apple.core_groups(mac),
            caches=not_told,
            numa_nodes=not_told,
            instruction_sets=attempt(lambda: apple.instruction_sets(mac)) if mac else not_told,
            nominal_frequency_hz=not_told,
            max_frequency_hz=attempt(lambda: _frequency(psutil.cpu_freq().max)),
            limits=CpuLimits(affinity_cpus=not_told, quota_cpus=not_told, usable_cpus=usable),
            clock_ranges=not_told,
        ),
        memory=MemoryInfo(
            total_bytes=attempt(lambda: known(int(psutil.virtual_memory().total))),
            limit_bytes=unknown("this system has no cgroups"),
            modules=not_told,
            transparent_huge_pages=not_told,
        ),
        system=SystemInfo(
            os_name=known(platform.platform(terse=True)),
            kernel=known(f"{platform.system()} {platform.release()}"),
            architecture=known(platform.machine()),
            board=known(board) if board else not_told,
            hypervisor=not_told,
            container=not_told,
            libc=known("libSystem") if mac else not_told,
        ),
        gpus=attempt(lambda: apple.gpus(source)) if source is not None and mac else unknown(_LINUX_ONLY),
        models_folder=known(models_folder) if models_folder else not_told,
        vulkan_drivers=not_told,
        npus=attempt(lambda: apple.npus(mac)) if mac else unknown(_LINUX_ONLY),
    )


def hardware_sample(models_folder: str = "") -> HardwareSample:
    """What psutil measures now."""
    import psutil

    loads: Reading[list[float]] = attempt(lambda: known(psutil.cpu_percent(percpu=True)))
    cores: Reading[tuple[CoreSample, ...]] = unknown(loads.reason)
    overall: Reading[float] = unknown(loads.reason)
    if loads.value:
        overall = known(sum(loads.value) / len(loads.value) / 100)
        cores = known(
            tuple(
                CoreSample(cpu=cpu, load=known(load / 100), frequency_hz=unknown(_NOT_TOLD))
                for cpu, load in enumerate(loads.value)
            )
        )
    disks = attempt(_disks)
    return HardwareSample(
        taken_at=time.time(),
        cpu_load=overall,
        cores=cores,
        load_averages=attempt(lambda: known(os.getloadavg())),
        memory=_memory(),
        disks=disks,
        temperatures=attempt(_temperatures),
        accelerators=(),
        power=unknown(_NOT_TOLD),
        power_mode=unknown(_NOT_TOLD),
        batteries=attempt(_batteries),
        fans=unknown(_NOT_TOLD),
        throttling=unknown(_NOT_TOLD),
        governors=unknown(_NOT_TOLD),
        zram=unknown(_NOT_TOLD),
        models_disk=_holder(disks.value or (), models_folder),
    )


def _memory() -> MemorySample:
    import psutil

    memory: Reading[Any] = attempt(lambda: known(psutil.virtual_memory()))
    swap: Reading[Any] = attempt(lambda: known(psutil.swap_memory()))

    def figure(reading: Reading[Any], choose: Callable[[Any], int]) -> Reading[int]:
        return unknown(reading.reason) if reading.value is None else known(int(choose(reading.value)))

    return MemorySample(
        total_bytes=figure(memory, lambda value: value.total),
        available_bytes=figure(memory, lambda value: value.available),
        used_bytes=figure(memory, lambda value: value.total - value.available),
        swap_total_bytes=figure(swap, lambda value: value.total),
        swap_used_bytes=figure(swap, lambda value: value.used),
        group_used_bytes=unknown("this system has no cgroups"),
        huge_pages=unknown(_NOT_TOLD),
        huge_pages_free=unknown(_NOT_TOLD),
        huge_page_bytes=unknown(_NOT_TOLD),
    )


def _disks() -> Reading[tuple[DiskSample, ...]]:
    import psutil

    disks = []
    for part in psutil.disk_partitions(all=False):
        space: Reading[Any] = attempt(partial(_usage, part.mountpoint))
        used = space.value
        disks.append(
            DiskSample(
                mount_point=part.mountpoint,
                device=part.device,
                filesystem=part.fstype,
                total_bytes=known(int(used.total)) if used else unknown(space.reason),
                used_bytes=known(int(used.used)) if used else unknown(space.reason),
                free_bytes=known(int(used.free)) if used else unknown(space.reason),
                kind=unknown(_NOT_TOLD),
            )
        )
    return known(tuple(disks)) if disks else unknown("psutil lists no disk")


def _holder(disks: tuple[DiskSample, ...], folder: str) -> Reading[DiskSample]:
    """The filesystem whose mount point is the longest beginning of the folder's path."""
    inside = [disk for disk in disks if f"{folder}/".startswith(f"{disk.mount_point.rstrip('/')}/")]
    if not folder or not inside:
        return unknown(_NOT_TOLD)
    return known(max(inside, key=lambda disk: len(disk.mount_point)))


def _usage(mount_point: str) -> Reading[Any]:
    import psutil

    return known(psutil.disk_usage(mount_point))


def _temperatures() -> Reading[tuple[TemperatureSample, ...]]:
    import psutil

    read = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return unknown(_NOT_TOLD)
    samples = tuple(
        TemperatureSample(
            label=f"{chip} {sensor.label}".strip(),
            celsius=known(float(sensor.current)),
            critical_celsius=known(float(sensor.critical)) if sensor.critical else unknown(_NOT_TOLD),
        )
        for chip, sensors in read().items()
        for sensor in sensors
    )
    return known(samples) if samples else unknown("psutil finds no sensor")


def _batteries() -> Reading[tuple[BatterySample, ...]]:
    import psutil

    read = getattr(psutil, "sensors_battery", None)
    battery = read() if read is not None else None
    if battery is None:
        return unknown("psutil finds no battery")
    return known(
        (
            BatterySample(
                label="battery",
                status=known("Charging or full" if battery.power_plugged else "Discharging"),
                charge=known(battery.percent / 100),
                discharge_watts=unknown(_NOT_TOLD),
                remaining_joules=unknown(_NOT_TOLD),
            ),
        )
    )


def _count(question: Callable[[], int | None]) -> Reading[int]:
    def ask() -> Reading[int]:
        answer = question()
        return unknown(_NOT_TOLD) if answer is None else known(answer)

    return attempt(ask)


def _frequency(megahertz: float) -> Reading[int]:
    return known(round(megahertz * 1e6)) if megahertz else unknown(_NOT_TOLD)
