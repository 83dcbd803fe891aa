"""Hardware figures in words, for the screen and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.machine_text import (
    clock_facts,
    control_facts,
    cpu_ranges,
    disk_facts,
    format_frequency,
    memory_facts,
    or_reason,
    vulkan_text,
)
from edgetui.core.power_text import power_facts
from edgetui.core.units import MISSING, counted, format_bytes

if TYPE_CHECKING:
    from edgetui.core.hardware import (
        Accelerator,
        AcceleratorSample,
        CpuInfo,
        HardwareSample,
        MachineInfo,
        Reading,
        TemperatureSample,
    )


class Fact(NamedTuple):
    """One line about a machine."""

    label: str
    text: str


def format_share(share: float | None) -> str:
    """`0.384` -> `38 %`."""
    return MISSING if share is None else f"{share * 100:.0f} %"


def format_celsius(celsius: float | None) -> str:
    """`48.25` -> `48 C`; without the degree sign, which not every terminal has."""
    return MISSING if celsius is None else f"{celsius:.0f} C"


def format_cpu_count(count: float) -> str:
    """`2.0` -> `2`, `1.5` -> `1.5`."""
    return f"{count:g}"


def processor_text(cpu: CpuInfo) -> str:
    """Maker and model, each once."""
    model = or_reason(cpu.model)
    vendor = cpu.vendor.value
    return model if vendor is None or vendor.lower() in model.lower() else f"{vendor} {model}"


def topology_text(info: MachineInfo) -> str:
    """`1 socket, 2 cores, 2 threads`, and how many of them this process may use when that is fewer."""
    cpu = info.cpu
    parts = [
        _counted(cpu.sockets.value, "socket"),
        _counted(cpu.physical_cores.value, "core"),
        _counted(cpu.logical_cpus.value, "thread"),
    ]
    usable = cpu.limits.usable_cpus.value
    if usable is not None and usable != cpu.logical_cpus.value:
        parts.append(f"{format_cpu_count(usable)} usable here ({_what_limits(cpu)})")
    hypervisor = info.system.hypervisor.value
    if hypervisor not in (None, "none"):
        parts.append(f"virtual machine ({hypervisor})")
    return ", ".join(parts)


def groups_text(cpu: CpuInfo) -> str:
    """Kinds of cores: `P-cores 0-11 to 4.80 GHz; E-cores 12-21 to 3.80 GHz`; empty when all are alike."""
    return "; ".join(
        f"{group.name} {cpu_ranges(group.cpus)} to {format_frequency(group.max_frequency_hz.value)}"
        for group in cpu.groups
    )


def instruction_sets_text(cpu: CpuInfo) -> str:
    """What is there, then what is not: `AVX2 FMA (no AMX)`."""
    if cpu.instruction_sets.value is None:
        return or_reason(cpu.instruction_sets)
    present = [item.name for item in cpu.instruction_sets.value if item.present]
    absent = [item.name for item in cpu.instruction_sets.value if not item.present]
    # Where a family is missing its parts go without saying.
    absent = [name for name in absent if name.partition(" ")[0] not in absent or " " not in name]
    text = _without_repeats(present) or "none of those that matter"
    return f"{text} (no {', '.join(absent)})" if absent else text


def caches_text(cpu: CpuInfo) -> str:
    """`L1d 48.0 KiB x2, L3 32.0 MiB`."""
    if cpu.caches.value is None:
        return f"{MISSING} ({cpu.caches.reason})"
    return ", ".join(
        f"{cache.name} {format_bytes(cache.size_bytes)}" + (f" x{cache.instances}" if cache.instances > 1 else "")
        for cache in cpu.caches.value
    )


def numa_text(cpu: CpuInfo) -> str:
    """`1 node`, or each node's CPUs and memory."""
    nodes = cpu.numa_nodes.value
    if nodes is None:
        return f"{MISSING} ({cpu.numa_nodes.reason})"
    if len(nodes) == 1:
        return "1 node"
    return "; ".join(
        f"node {node.number}: CPUs {cpu_ranges(node.cpus)}, {format_bytes(node.memory_bytes.value)}" for node in nodes
    )


def accelerator_text(accelerator: Accelerator) -> str:
    """`NVIDIA L4, 22.5 GiB, driver nvidia 550`."""
    parts = [accelerator_name(accelerator)]
    if accelerator.memory_bytes.value is not None:
        parts.append(format_bytes(accelerator.memory_bytes.value))
    version = f" {accelerator.driver_version.value}" if accelerator.driver_version.value is not None else ""
    parts.append(f"driver {or_reason(accelerator.driver)}{version}")
    return ", ".join(parts)


def accelerator_name(accelerator: Accelerator) -> str:
    """Maker and name, each once."""
    name = accelerator.name
    return name if accelerator.vendor.lower() in name.lower() else f"{accelerator.vendor} {name}"


def accelerator_sample_text(sample: AcceleratorSample) -> str:
    """`busy 37 %  memory 1.00 GiB  clock 1.25 GHz  temp 52 C  power 61 W`; what is missing shows `-`."""
    watts = sample.power_watts.value
    return (
        f"busy {format_share(sample.utilisation.value)}  memory {format_bytes(sample.memory_used_bytes.value)}"
        f"  clock {format_frequency(sample.frequency_hz.value)}  temp {format_celsius(sample.celsius.value)}"
        f"  power {MISSING if watts is None else f'{watts:.0f} W'}"
    )


def accelerator_reasons(sample: AcceleratorSample) -> list[str]:
    """Why figures of a sample are missing, each reason once."""
    readings = (
        sample.utilisation,
        sample.memory_used_bytes,
        sample.frequency_hz,
        sample.celsius,
        sample.power_watts,
    )
    return list(dict.fromkeys(reading.reason for reading in readings if reading.value is None))


def processor_facts(info: MachineInfo) -> list[Fact]:
    """What the machine is, and what decides how fast inference can be."""
    facts = [Fact("BOARD", info.system.board.value)] if info.system.board.value is not None else []
    facts.append(Fact("CPU", f"{processor_text(info.cpu)}: {topology_text(info)}"))
    if groups := groups_text(info.cpu):
        facts.append(Fact("", groups))
    facts.append(Fact("", instruction_sets_text(info.cpu)))
    return facts


def system_facts(info: MachineInfo) -> list[Fact]:
    """The rest of what does not change."""
    system = info.system
    libc = system.libc.value or f"libc {or_reason(system.libc)}"
    told = (or_reason(system.os_name), or_reason(system.kernel), or_reason(system.architecture), libc)
    os_text = ", ".join(told)
    container = system.container.value
    if container not in (None, "none"):
        os_text += f", in a container ({container})"
    facts = [
        *(Fact(*fact) for fact in clock_facts(info.cpu)),
        Fact("CACHES", caches_text(info.cpu)),
        Fact("NUMA", numa_text(info.cpu)),
        *(Fact(*fact) for fact in memory_facts(info)),
        Fact("SYSTEM", os_text),
        Fact("VIRTUAL", "no, bare metal" if system.hypervisor.value == "none" else or_reason(system.hypervisor)),
        Fact("VULKAN", vulkan_text(info)),
    ]
    if system.board.value is None:
        facts.append(Fact("BOARD", or_reason(system.board)))
    return facts


def sample_facts(info: MachineInfo, sample: HardwareSample) -> list[Fact]:
    """What the machine does now, in words alone."""
    facts = [Fact("LOAD", _share_or_reason(sample.cpu_load))]
    facts += [
        Fact("", f"CPU {core.cpu}: {format_share(core.load.value)}, clock {format_frequency(core.frequency_hz.value)}")
        for core in sample.cores.value or ()
    ]
    hidden = dict.fromkeys(core.frequency_hz.reason for core in sample.cores.value or ())
    facts += [Fact("", f"clock {MISSING} ({reason})") for reason in hidden if reason]
    averages = sample.load_averages.value
    facts.append(
        Fact("AVERAGE", f"{MISSING} ({sample.load_averages.reason})")
        if averages is None
        else Fact("AVERAGE", "{:.2f} {:.2f} {:.2f} over 1, 5, 15 min".format(*averages))
    )
    memory = sample.memory
    facts.append(Fact("MEMORY", _use_text(memory.used_bytes, memory.total_bytes)))
    if info.memory.limit_bytes.value is not None:
        facts.append(Fact("LIMIT", f"{_use_text(memory.group_used_bytes, info.memory.limit_bytes)} (cgroup)"))
    facts.append(Fact("SWAP", _use_text(memory.swap_used_bytes, memory.swap_total_bytes)))
    facts += [Fact(label, text) for label, text in (*disk_facts(sample), *control_facts(info, sample))]
    facts += _temperature_facts(sample)
    facts += [Fact(label, text) for label, text in power_facts(sample)]
    now = {item.key: item for item in sample.accelerators}
    for label, found in (("GPU", info.gpus), ("NPU", info.npus)):
        if found.value is None:
            facts.append(Fact(label, f"{MISSING} ({found.reason})"))
        for accelerator in found.value or ():
            facts.append(Fact(label, accelerator_text(accelerator)))
            if accelerator.key in now:
                facts.append(Fact("", accelerator_sample_text(now[accelerator.key])))
                facts += [Fact("", f"{MISSING} ({why})") for why in accelerator_reasons(now[accelerator.key])]
    return facts


def _temperature_facts(sample: HardwareSample) -> list[Fact]:
    if sample.temperatures.value is None:
        return [Fact("TEMP", f"{MISSING} ({sample.temperatures.reason})")]
    return [
        Fact("" if index else "TEMP", _temperature_text(sensor))
        for index, sensor in enumerate(sample.temperatures.value)
    ]


def _temperature_text(sensor: TemperatureSample) -> str:
    text = f"{sensor.label}: {format_celsius(sensor.celsius.value)}"
    if sensor.celsius.value is None:
        return f"{text} ({sensor.celsius.reason})"
    limit = sensor.critical_celsius.value
    return text if limit is None else f"{text} (limit {format_celsius(limit)})"


def _share_or_reason(share: Reading[float]) -> str:
    return format_share(share.value) if share.value is not None else f"{MISSING} ({share.reason})"


def _use_text(used: Reading[int], total: Reading[int]) -> str:
    if total.value == 0:
        return "none"
    if used.value is None:
        return f"{MISSING} of {format_bytes(total.value)} ({used.reason})"
    return f"{format_bytes(used.value)} used of {format_bytes(total.value)}"


def _what_limits(cpu: CpuInfo) -> str:
    limits = cpu.limits
    quota, affinity = limits.quota_cpus.value, limits.affinity_cpus.value
    if quota is not None and quota == limits.usable_cpus.value:
        return "cgroup quota"
    return f"affinity: CPUs {cpu_ranges(affinity)}" if affinity else "affinity"


def _without_repeats(names: list[str]) -> str:
    """`AVX-512 AVX-512 VNNI` -> `AVX-512 +VNNI`: the parts of a family stand after it."""
    words: list[str] = []
    family = ""
    for name in names:
        first, _, part = name.partition(" ")
        if part and first == family:
            words.append(f"+{part}")
        else:
            words.append(name)
            family = first
    return " ".join(words)


def _counted(count: int | None, noun: str) -> str:
    if count is None:
        return f"{MISSING} {noun}s"
    return counted(count, noun)
