"""Where Linux tells about processors, read the same way by whatever asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.meters.source import parse_cpu_list

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

CPU_FOLDER = "/sys/devices/system/cpu"


def online_cpus(source: MachineSource) -> tuple[int, ...]:
    """Numbers of the logical CPUs that are online."""
    online = source.text(f"{CPU_FOLDER}/online").value
    if online:
        return parse_cpu_list(online)
    return tuple(int(number) for number in re.findall(r"^cpu(\d+) ", source.read("/proc/stat"), re.MULTILINE))


def cpuinfo_blocks(source: MachineSource) -> list[dict[str, str]]:
    """/proc/cpuinfo: one dictionary a processor; what follows after them (a board's lines) is left out."""
    blocks = []
    for text in source.read("/proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in text.splitlines())
        block = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in block:
            blocks.append(block)
    return blocks


def tells_present_clock(block: dict[str, str]) -> bool:
    """Whether `cpu MHz` in /proc/cpuinfo is counted (x86 with APERF/MPERF) and not just the rated clock."""
    return "aperfmperf" in block.get("flags", "").split()
