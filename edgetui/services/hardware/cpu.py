"""What the processor is: model, topology, kinds of cores, caches, NUMA nodes, rated clocks."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from edgetui.core.hardware import Cache, CoreGroup, CpuInfo, NumaNode, Reading, known, unknown
from edgetui.meters.processor_files import CPU_FOLDER, cpuinfo_blocks, online_cpus, tells_present_clock
from edgetui.meters.source import attempt, parse_cpu_list
from edgetui.services.hardware.arm_cores import core_name, implementer_name
from edgetui.services.hardware.cgroups import cpu_limits
from edgetui.services.hardware.instruction_sets import instruction_sets

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

_NODE_FOLDER = "/sys/devices/system/node"
_CACHE_KINDS: dict[str, Literal["data", "instruction", "unified"]] = {
    "Data": "data",
    "Instruction": "instruction",
    "Unified": "unified",
}
_SIZE_FACTORS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def cpu_info(source: MachineSource) -> CpuInfo:
    """The processor; each figure by itself."""
    from edgetui.services.hardware.clock_control import clock_ranges

    def probe(function: Callable[[MachineSource], Reading[Any]]) -> Reading[Any]:
        return attempt(lambda: function(source))

    return CpuInfo(
        vendor=probe(_vendor),
        model=probe(_model),
        sockets=probe(_sockets),
        physical_cores=probe(_physical_cores),
        logical_cpus=probe(lambda source: known(len(online_cpus(source)))),
        groups=probe(_groups).value or (),
        caches=probe(_caches),
        numa_nodes=probe(_numa_nodes),
        instruction_sets=probe(instruction_sets),
        nominal_frequency_hz=probe(_nominal_frequency),
        max_frequency_hz=probe(_max_frequency),
        limits=cpu_limits(source),
        clock_ranges=probe(clock_ranges),
    )


def _vendor(source: MachineSource) -> Reading[str]:
    block = cpuinfo_blocks(source)[0]
    if vendor := block.get("vendor_id"):
        return known({"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}.get(vendor, vendor))
    if implementer := block.get("CPU implementer"):
        return known(implementer_name(implementer))
    if vendor := block.get("mvendorid"):
        return known(f"vendor {vendor}")
    return unknown("/proc/cpuinfo names no vendor")


def _model(source: MachineSource) -> Reading[str]:
    blocks = cpuinfo_blocks(source)
    first = blocks[0]
    if "CPU part" in first:
        # "model name" on ARM tells the architecture at most; the part numbers tell the cores.
        kinds = Counter(core_name(block) for block in blocks if "CPU part" in block)
        if len(kinds) == 1:
            return known(next(iter(kinds)))
        return known(" + ".join(f"{count} {name}" for name, count in kinds.items()))
    for key in ("model name", "uarch", "cpu model", "cpu"):
        if first.get(key):
            return known(" ".join(first[key].split()))
    return unknown("/proc/cpuinfo names no model")


def _topology(source: MachineSource, name: str) -> list[str]:
    """One topology file of every online CPU; raises OSError where the kernel has none."""
    return [source.read(f"{CPU_FOLDER}/cpu{cpu}/topology/{name}") for cpu in online_cpus(source)]


def _sockets(source: MachineSource) -> Reading[int]:
    try:
        packages = set(_topology(source, "physical_package_id"))
    except OSError:
        packages = {block["physical id"] for block in cpuinfo_blocks(source) if "physical id" in block}
    if not packages or "-1" in packages:
        return unknown("the kernel does not number the sockets")
    return known(len(packages))


def _physical_cores(source: MachineSource) -> Reading[int]:
    for name in ("core_cpus_list", "thread_siblings_list"):
        try:
            return known(len(set(_topology(source, name))))
        except OSError:
            continue
    cores = {
        (block.get("physical id", "0"), block["core id"]) for block in cpuinfo_blocks(source) if "core id" in block
    }
    return known(len(cores)) if cores else unknown(f"{CPU_FOLDER} has no topology")


def _groups(source: MachineSource) -> Reading[tuple[CoreGroup, ...]]:
    """Kinds of cores, biggest first; empty when there is one kind only."""
    hybrid = [
        (name, parse_cpu_list(cpus))
        for name, folder in (("P-cores", "cpu_core"), ("E-cores", "cpu_atom"), ("LP E-cores", "cpu_lowpower"))
        if (cpus := source.text(f"/sys/devices/{folder}/cpus").value)
    ]
    if not hybrid:
        kinds: dict[tuple[str, str], list[int]] = {}
        for block in cpuinfo_blocks(source):
            if "CPU part" in block:
                cpu = int(block["processor"])
                fastest = source.text(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/cpuinfo_max_freq").value or ""
                kinds.setdefault((core_name(block), fastest), []).append(cpu)
        hybrid = [(name, tuple(cpus)) for (name, _), cpus in kinds.items()]
    groups = [
        CoreGroup(
            name=name,
            cpus=cpus,
            max_frequency_hz=source.integer(f"{CPU_FOLDER}/cpu{cpus[0]}/cpufreq/cpuinfo_max_freq", 1000),
        )
        for name, cpus in hybrid
    ]
    groups.sort(key=lambda group: -(group.max_frequency_hz.value or 0))
    return known(tuple(groups) if len(groups) > 1 else ())


def _caches(source: MachineSource) -> Reading[tuple[Cache, ...]]:
    instances: dict[tuple[int, Literal["data", "instruction", "unified"], int], set[str]] = {}
    for cpu in online_cpus(source):
        folder = f"{CPU_FOLDER}/cpu{cpu}/cache"
        for index in source.names(folder):
            kind = _CACHE_KINDS.get(source.text(f"{folder}/{index}/type").value or "")
            level = source.integer(f"{folder}/{index}/level").value
            size = source.text(f"{folder}/{index}/size").value
            shared = source.text(f"{folder}/{index}/shared_cpu_list").value
            if kind and level and size and shared:
                size_bytes = int(size.rstrip("KMG")) * _SIZE_FACTORS.get(size[-1], 1)
                instances.setdefault((level, kind, size_bytes), set()).add(shared)
    if not instances:
        return unknown(f"the kernel lists no caches under {CPU_FOLDER}/cpu0/cache")
    caches = [
        Cache(level=level, kind=kind, size_bytes=size_bytes, instances=len(shared))
        for (level, kind, size_bytes), shared in sorted(instances.items(), key=lambda item: (item[0][:2], -item[0][2]))
    ]
    return known(tuple(caches))


def _numa_nodes(source: MachineSource) -> Reading[tuple[NumaNode, ...]]:
    nodes = []
    for name in source.names(_NODE_FOLDER):
        if not re.fullmatch(r"node\d+", name):
            continue
        meminfo = source.text(f"{_NODE_FOLDER}/{name}/meminfo")
        total = re.search(r"MemTotal:\s*(\d+) kB", meminfo.value or "")
        nodes.append(
            NumaNode(
                number=int(name[4:]),
                cpus=parse_cpu_list(source.text(f"{_NODE_FOLDER}/{name}/cpulist").value or ""),
                memory_bytes=known(int(total[1]) * 1024) if total else unknown(meminfo.reason or "it is not told"),
            )
        )
    return known(tuple(nodes)) if nodes else unknown("the kernel lists no memory nodes")


def _nominal_frequency(source: MachineSource) -> Reading[int]:
    base = source.integer(f"{CPU_FOLDER}/cpu0/cpufreq/base_frequency", 1000)
    if base.value is not None:
        return base
    block = cpuinfo_blocks(source)[0]
    if match := re.search(r"@ ([\d.]+)GHz", block.get("model name", "")):
        return known(round(float(match[1]) * 1e9))
    if "cpu MHz" in block and not tells_present_clock(block):
        return known(round(float(block["cpu MHz"]) * 1e6))
    return unknown("neither cpufreq nor /proc/cpuinfo tells the rated clock")


def _max_frequency(source: MachineSource) -> Reading[int]:
    figures = [
        figure
        for cpu in online_cpus(source)
        if (figure := source.integer(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/cpuinfo_max_freq", 1000).value) is not None
    ]
    return known(max(figures)) if figures else unknown("this machine has no cpufreq, which tells it")
