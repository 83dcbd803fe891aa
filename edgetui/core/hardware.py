"""What a machine is and what it does now: every figure that can be missing carries the reason with it."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetui.core.reading import Reading as Reading
from edgetui.core.reading import flatten_readings as flatten_readings
from edgetui.core.reading import known as known
from edgetui.core.reading import unknown as unknown

NOT_LOOKED_FOR = unknown("nothing looked for it")


# --- what does not change while edgetui runs ------------------------------------------------------------


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """One level and kind of cache."""

    level: int
    kind: Literal["data", "instruction", "unified"]
    size_bytes: int
    """Of one instance."""
    instances: int

    @property
    def name(self) -> str:
        """`L1d`, `L1i`, `L2`."""
        return f"L{self.level}{'' if self.kind == 'unified' else self.kind[0]}"


class CoreGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Cores of one kind on a machine that mixes several (big.LITTLE, P- and E-cores)."""

    name: str
    cpus: tuple[int, ...]
    """Numbers of its logical CPUs."""
    max_frequency_hz: Reading[int]


class ClockRange(msgspec.Struct, frozen=True, kw_only=True):
    """CPUs that cpufreq drives within the same limits."""

    cpus: tuple[int, ...]
    driver: Reading[str]
    base_hz: Reading[int]
    """What it can hold for ever; only Intel's drivers tell it."""
    lowest_hz: Reading[int]
    highest_hz: Reading[int]


class NumaNode(msgspec.Struct, frozen=True, kw_only=True):
    """Memory that is nearer to some CPUs than to others."""

    number: int
    cpus: tuple[int, ...]
    memory_bytes: Reading[int]


class InstructionSet(msgspec.Struct, frozen=True):
    """One extension that decides how fast inference runs on this architecture."""

    name: str
    present: bool


class CpuLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the CPUs this process may use; a container often gets less than the board has."""

    affinity_cpus: Reading[tuple[int, ...]]
    """Logical CPUs that the scheduler may put this process on."""
    quota_cpus: Reading[float]
    """CPU time per time that the cgroup grants; may be a fraction."""
    usable_cpus: Reading[float]
    """The smaller of the two."""


class CpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The processor."""

    vendor: Reading[str]
    model: Reading[str]
    sockets: Reading[int]
    physical_cores: Reading[int]
    logical_cpus: Reading[int]
    """Those that are online."""
    groups: tuple[CoreGroup, ...]
    """Empty when all cores are alike."""
    caches: Reading[tuple[Cache, ...]]
    numa_nodes: Reading[tuple[NumaNode, ...]]
    instruction_sets: Reading[tuple[InstructionSet, ...]]
    nominal_frequency_hz: Reading[int]
    """What the processor is rated at; never the present clock."""
    max_frequency_hz: Reading[int]
    limits: CpuLimits
    clock_ranges: Reading[tuple[ClockRange, ...]] = NOT_LOOKED_FOR


class MemoryModule(msgspec.Struct, frozen=True, kw_only=True):
    """One memory device by the firmware's account; its serial number is not read."""

    slot: str
    size_bytes: int
    kind: Reading[str]
    """`DDR5`, `LPDDR4`."""
    form: Reading[str]
    """`DIMM`, `SODIMM`."""
    rated_mts: Reading[int]
    """Million transfers a second that it could do."""
    configured_mts: Reading[int]
    """And that it is driven with."""


class MemoryInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How much memory there is, and how much of it this process may have."""

    total_bytes: Reading[int]
    limit_bytes: Reading[int]
    """The cgroup's limit."""
    modules: Reading[tuple[MemoryModule, ...]] = NOT_LOOKED_FOR
    transparent_huge_pages: Reading[str] = NOT_LOOKED_FOR
    """`always`, `madvise` or `never`."""

    @property
    def usable_bytes(self) -> int | None:
        """The smaller of both."""
        return min(
            (figure for figure in (self.total_bytes.value, self.limit_bytes.value) if figure is not None), default=None
        )


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Operating system and board; no host name, no serial number."""

    os_name: Reading[str]
    kernel: Reading[str]
    architecture: Reading[str]
    board: Reading[str]
    """Model of the board or computer, by device tree or firmware."""
    hypervisor: Reading[str]
    """Name of the hypervisor, or `none`."""
    container: Reading[str]
    """Kind of container, or `none`."""
    libc: Reading[str] = NOT_LOOKED_FOR
    """Name and version: which prebuilt wheels run here depends on it."""


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU or an NPU."""

    key: str
    """Finds its figures in a sample: PCI address or device name."""
    kind: Literal["gpu", "npu"]
    vendor: str
    name: str
    driver: Reading[str]
    memory_bytes: Reading[int]
    """Memory of its own."""
    driver_version: Reading[str] = NOT_LOOKED_FOR


class VulkanDriver(msgspec.Struct, frozen=True, kw_only=True):
    """A Vulkan driver that is installed, by its manifest."""

    name: str
    """Of the manifest, `intel_icd.x86_64`."""
    library: str
    api_version: str

    @property
    def is_software(self) -> bool:
        """Whether it computes on the CPU, so that no GPU is proved by it."""
        return any(mark in self.name.lower() for mark in ("lvp", "lavapipe", "swiftshader"))


class MachineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a machine that does not change while edgetui runs."""

    cpu: CpuInfo
    memory: MemoryInfo
    system: SystemInfo
    gpus: Reading[tuple[Accelerator, ...]]
    """None when there is no sign of one; the reason says where it was looked for."""
    npus: Reading[tuple[Accelerator, ...]]
    vulkan_drivers: Reading[tuple[VulkanDriver, ...]] = NOT_LOOKED_FOR
    models_folder: Reading[str] = NOT_LOOKED_FOR
    """Where models lie, every link followed."""


# --- what changes ---------------------------------------------------------------------------------------


class CoreSample(msgspec.Struct, frozen=True, kw_only=True):
    """One logical CPU now."""

    cpu: int
    load: Reading[float]
    """Share of time not idle since the sample before, 0 to 1."""
    frequency_hz: Reading[int]


class GovernorSample(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the clock of these CPUs."""

    cpus: tuple[int, ...]
    governor: str
    preference: Reading[str]
    """Energy-performance preference, where the driver has one."""


class ZramSample(msgspec.Struct, frozen=True, kw_only=True):
    """One compressed block device in memory, mostly used as swap."""

    name: str
    algorithm: Reading[str]
    size_bytes: int
    """What it can take, uncompressed."""
    stored_bytes: Reading[int]
    """What it holds, uncompressed."""
    memory_bytes: Reading[int]
    """Memory that this costs."""


class MemorySample(msgspec.Struct, frozen=True, kw_only=True):
    """Memory now; `used` is total less available, as `free` counts it."""

    total_bytes: Reading[int]
    available_bytes: Reading[int]
    used_bytes: Reading[int]
    swap_total_bytes: Reading[int]
    swap_used_bytes: Reading[int]
    group_used_bytes: Reading[int]
    """What the processes under the cgroup's limit hold, reclaimable file cache left out."""
    huge_pages: Reading[int] = NOT_LOOKED_FOR
    """Pages that the pool of reserved huge pages has."""
    huge_pages_free: Reading[int] = NOT_LOOKED_FOR
    huge_page_bytes: Reading[int] = NOT_LOOKED_FOR


class DiskSample(msgspec.Struct, frozen=True, kw_only=True):
    """One mounted filesystem that holds files on a device or a server."""

    mount_point: str
    device: str
    filesystem: str
    total_bytes: Reading[int]
    used_bytes: Reading[int]
    free_bytes: Reading[int]
    """What a process without privileges may still write."""
    kind: Reading[str] = NOT_LOOKED_FOR
    """`NVMe`, `SATA SSD`, `hard disk`, `SD card`, `eMMC`, `UFS`, `USB`, `network`, `virtual disk`."""


class TemperatureSample(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor."""

    label: str
    celsius: Reading[float]
    critical_celsius: Reading[float]
    """Where the hardware protects itself, as the driver tells it."""


class AcceleratorSample(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU or NPU now."""

    key: str
    """As in `Accelerator.key`."""
    utilisation: Reading[float]
    """0 to 1."""
    memory_used_bytes: Reading[int]
    frequency_hz: Reading[int]
    celsius: Reading[float]
    power_watts: Reading[float]


class PowerSample(msgspec.Struct, frozen=True, kw_only=True):
    """One power meter: a RAPL domain, a rail, a sensor of a power supply."""

    key: str
    label: str
    inside: str = ""
    """Key of the meter that counts this one's power too; empty when none does."""
    watts: Reading[float]
    joules: Reading[float]
    """By the hardware's own counter, since edgetui first read it; none where there is no counter."""


class BatterySample(msgspec.Struct, frozen=True, kw_only=True):
    """One battery that feeds the machine."""

    label: str
    status: Reading[str]
    """The kernel's word: `Charging`, `Discharging`, `Full`, `Not charging`."""
    charge: Reading[float]
    """0 to 1."""
    discharge_watts: Reading[float]
    """What it gives; below 0 while it takes."""
    remaining_joules: Reading[float]


class FanSample(msgspec.Struct, frozen=True, kw_only=True):
    """One fan."""

    label: str
    rpm: Reading[int]
    duty: Reading[float]
    """What it is driven with, 0 to 1."""


class ThrottleSample(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which this machine tells that it is held back."""

    label: str
    active: Reading[bool]
    """Now; for a counter: it grew since it was read before."""
    since_boot: Reading[bool]
    events: Reading[int]
    """Since boot, where the hardware counts them."""
    detail: str = ""
    """By how much, in a few words."""


class PowerMode(msgspec.Struct, frozen=True, kw_only=True):
    """The power budget or profile that somebody chose for the machine."""

    source: str
    """Who tells: `nvpmodel`, `platform profile`."""
    name: str
    number: int | None = None
    choices: tuple[str, ...] = ()


class WorkSample(msgspec.Struct, frozen=True, kw_only=True):
    """What work does to a machine, at one instant."""

    taken_at: float
    """Unix time in seconds."""
    cpu_load: Reading[float]
    """All CPUs together, 0 to 1."""
    cores: Reading[tuple[CoreSample, ...]]
    temperatures: Reading[tuple[TemperatureSample, ...]]
    accelerators: tuple[AcceleratorSample, ...]
    power: Reading[tuple[PowerSample, ...]]


class HardwareSample(WorkSample, frozen=True, kw_only=True):
    """A machine at one instant."""

    load_averages: Reading[tuple[float, float, float]]
    """Over 1, 5 and 15 minutes."""
    memory: MemorySample
    disks: Reading[tuple[DiskSample, ...]]
    power_mode: Reading[PowerMode]
    batteries: Reading[tuple[BatterySample, ...]]
    fans: Reading[tuple[FanSample, ...]]
    throttling: Reading[tuple[ThrottleSample, ...]]
    governors: Reading[tuple[GovernorSample, ...]] = NOT_LOOKED_FOR
    zram: Reading[tuple[ZramSample, ...]] = NOT_LOOKED_FOR
    models_disk: Reading[DiskSample] = NOT_LOOKED_FOR
    """Where the models folder lies."""
