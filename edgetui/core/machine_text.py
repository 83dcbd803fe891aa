"""Clocks, memory modules, storage and Vulkan drivers in words, for the screen and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.units import MISSING, format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.hardware import (
        CpuInfo,
        DiskSample,
        HardwareSample,
        MachineInfo,
        MemoryModule,
        MemorySample,
        Reading,
        ZramSample,
    )


def format_frequency(frequency_hz: int | None) -> str:
    """`2400000000` -> `2.40 GHz`."""
    if frequency_hz is None:
        return MISSING
    if frequency_hz < 1_000_000_000:
        return f"{frequency_hz / 1e6:.0f} MHz"
    return f"{frequency_hz / 1e9:.2f} GHz"


def cpu_ranges(cpus: Sequence[int]) -> str:
    """`0, 1, 2, 8` -> `0-2,8`."""
    parts: list[str] = []
    start = 0
    for index, cpu in enumerate(cpus):
        if index + 1 == len(cpus) or cpus[index + 1] != cpu + 1:
            first = cpus[start]
            parts.append(str(cpu) if first == cpu else f"{first}-{cpu}")
            start = index + 1
    return ",".join(parts)


def or_reason(reading: Reading[Any]) -> str:
    """The text, or `-` with the reason."""
    return f"{MISSING} ({reading.reason})" if reading.value is None else str(reading.value)


def clock_facts(cpu: CpuInfo) -> list[tuple[str, str]]:
    """The rated and the highest clock, then what cpufreq may choose from, by kind of core."""
    facts = [("CLOCK", _clock_text(cpu))]
    for item in cpu.clock_ranges.value or ():
        text = f"CPUs {cpu_ranges(item.cpus)}: {format_frequency(item.lowest_hz.value)}"
        text += f" to {format_frequency(item.highest_hz.value)}"
        if item.base_hz.value is not None:
            text += f", base {format_frequency(item.base_hz.value)}"
        facts.append(("", text if item.driver.value is None else f"{text}, driver {item.driver.value}"))
    return facts


def _clock_text(cpu: CpuInfo) -> str:
    rated, highest = cpu.nominal_frequency_hz, cpu.max_frequency_hz
    if rated.value is None and highest.value is None:
        return f"{MISSING} ({rated.reason})"
    parts = [
        f"{word} {format_frequency(clock.value)}"
        for word, clock in (("rated", rated), ("up to", highest))
        if clock.value is not None
    ]
    return ", ".join(parts)


def modules_text(modules: tuple[MemoryModule, ...]) -> list[str]:
    """`2 x 16.0 GiB DDR5 SODIMM at 5600 MT/s`, equal modules together."""
    kinds: dict[str, int] = {}
    for module in modules:
        parts = [format_bytes(module.size_bytes)]
        parts += [part.value for part in (module.kind, module.form) if part.value is not None]
        speed, rated = module.configured_mts.value or module.rated_mts.value, module.rated_mts.value
        if speed is not None:
            parts.append(f"at {speed} MT/s")
            if rated is not None and rated > speed:
                parts.append(f"(rated {rated})")
        text = " ".join(parts)
        kinds[text] = kinds.get(text, 0) + 1
    return [f"{count} x {text}" for text, count in kinds.items()]


def memory_facts(info: MachineInfo) -> list[tuple[str, str]]:
    """What memory is built in."""
    modules = info.memory.modules
    if modules.value is None:
        return [("MODULES", or_reason(modules))]
    return [("" if index else "MODULES", text) for index, text in enumerate(modules_text(modules.value))]


def vulkan_text(info: MachineInfo) -> str:
    """Names of the drivers with the version of the interface that they offer."""
    drivers = info.vulkan_drivers
    if drivers.value is None:
        return or_reason(drivers)
    return ", ".join(
        f"{item.name} {item.api_version}".strip() + (" (computes on the CPU)" if item.is_software else "")
        for item in drivers.value
    )


def control_facts(info: MachineInfo, sample: HardwareSample) -> list[tuple[str, str]]:
    """Governor, compressed memory, huge pages and the models folder: what may change, but seldom does."""
    return [
        *_governor_facts(info, sample),
        *_zram_facts(sample),
        ("HUGE", huge_pages_text(info, sample.memory)),
        ("MODELS", models_text(info, sample)),
    ]


def _governor_facts(info: MachineInfo, sample: HardwareSample) -> list[tuple[str, str]]:
    groups = sample.governors.value
    if groups is None:
        return [("GOVERNOR", or_reason(sample.governors))]
    facts: list[tuple[str, str]] = []
    for group in groups:
        text = group.governor if len(groups) == 1 else f"CPUs {cpu_ranges(group.cpus)}: {group.governor}"
        if group.preference.value is not None:
            text += f", preference {group.preference.value}"
        facts.append(("" if facts else "GOVERNOR", text))
    return facts


def _zram_facts(sample: HardwareSample) -> list[tuple[str, str]]:
    devices = sample.zram.value
    if devices is None:
        return [("ZRAM", or_reason(sample.zram))]
    if len(devices) > 1 and all(device.stored_bytes.value is not None for device in devices):
        # Jetsons make one a core; together they are one swap.
        names = f"{devices[0].name} to {devices[-1].name}"
        held, room, cost = (
            format_bytes(sum(figures))
            for figures in (
                [device.stored_bytes.value or 0 for device in devices],
                [device.size_bytes for device in devices],
                [device.memory_bytes.value or 0 for device in devices],
            )
        )
        kinds = ", ".join(dict.fromkeys(device.algorithm.value or MISSING for device in devices))
        return [("ZRAM", f"{names} ({kinds}): hold {held} of {room} in {cost} of memory")]
    return [("" if index else "ZRAM", _zram_text(device)) for index, device in enumerate(devices)]


def _zram_text(device: ZramSample) -> str:
    kind = f" ({device.algorithm.value})" if device.algorithm.value is not None else ""
    if device.stored_bytes.value is None:
        return f"{device.name}{kind}: {MISSING} of {format_bytes(device.size_bytes)} ({device.stored_bytes.reason})"
    text = f"{device.name}{kind}: holds {format_bytes(device.stored_bytes.value)} of {format_bytes(device.size_bytes)}"
    return f"{text} in {format_bytes(device.memory_bytes.value)} of memory"


def huge_pages_text(info: MachineInfo, memory: MemorySample) -> str:
    """`transparent madvise; none reserved`."""
    mode, pages = info.memory.transparent_huge_pages, memory.huge_pages
    text = f"transparent {mode.value if mode.value is not None else or_reason(mode)}"
    if pages.value is None:
        return f"{text}; reserved {or_reason(pages)}"
    if pages.value == 0:
        return f"{text}; none reserved"
    size = format_bytes(memory.huge_page_bytes.value)
    free = MISSING if memory.huge_pages_free.value is None else memory.huge_pages_free.value
    return f"{text}; {pages.value} reserved of {size}, {free} free"


def models_text(info: MachineInfo, sample: HardwareSample) -> str:
    """`/home/x/models on /: ext4, NVMe, 73.1 GiB free`."""
    disk = sample.models_disk
    if disk.value is None:
        return or_reason(disk)
    text = f"{info.models_folder.value or MISSING} on {disk.value.mount_point}: {storage_text(disk.value)}"
    free = disk.value.free_bytes
    return f"{text}, {format_bytes(free.value)} free" if free.value is not None else f"{text}, free {or_reason(free)}"


def storage_text(disk: DiskSample) -> str:
    """`ext4, NVMe`; of an unknown kind the filesystem alone."""
    return disk.filesystem if disk.kind.value is None else f"{disk.filesystem}, {disk.kind.value}"


def disk_facts(sample: HardwareSample) -> list[tuple[str, str]]:
    """Each filesystem with what is free."""
    if sample.disks.value is None:
        return [("DISKS", or_reason(sample.disks))]
    return [("" if index else "DISKS", _disk_text(disk)) for index, disk in enumerate(sample.disks.value)]


def _disk_text(disk: DiskSample) -> str:
    text = f"{disk.mount_point}: {format_bytes(disk.free_bytes.value)} free of {format_bytes(disk.total_bytes.value)}"
    reasons = [reading.reason for reading in (disk.free_bytes, disk.kind) if reading.value is None]
    return f"{text} ({'; '.join([storage_text(disk), *reasons])})"
