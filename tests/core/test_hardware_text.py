"""Hardware in words, on recorded machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core import hardware_text as words
from edgetui.core import machine_text as machine
from edgetui.services.hardware import HardwareMonitor
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path


def test_figures_carry_their_units_and_missing_ones_a_dash() -> None:
    assert words.format_share(0.384) == "38 %"
    assert machine.format_frequency(2_400_000_000) == "2.40 GHz"
    assert machine.format_frequency(700_000_000) == "700 MHz"
    assert words.format_celsius(48.25) == "48 C"
    assert words.format_share(None) == machine.format_frequency(None) == words.format_celsius(None) == "-"


def test_cpu_lists_are_written_as_the_kernel_writes_them() -> None:
    assert machine.cpu_ranges((0, 1, 2, 8)) == "0-2,8"
    assert machine.cpu_ranges((5,)) == "5"
    assert machine.cpu_ranges(()) == ""


async def test_a_board_comes_first_by_its_name(tmp_path: Path) -> None:
    info = await HardwareMonitor(unfold("raspberry-pi-5", tmp_path)).describe()
    facts = words.processor_facts(info)
    assert facts[0] == words.Fact("BOARD", "Raspberry Pi 5 Model B Rev 1.0")
    assert facts[1] == words.Fact("CPU", "ARM Cortex-A76: 1 socket, 4 cores, 4 threads")
    assert facts[2].text == "NEON FP16 dotprod (no i8mm, BF16, SVE, SVE2, SME)"


async def test_parts_of_an_absent_family_are_not_listed_one_by_one(tmp_path: Path) -> None:
    info = await HardwareMonitor(unfold("intel-hybrid-laptop", tmp_path)).describe()
    assert words.instruction_sets_text(info.cpu) == "SSE4.2 AVX AVX2 FMA F16C AVX-VNNI (no AVX-512, AMX)"
    assert words.groups_text(info.cpu) == "P-cores 0-11 to 4.80 GHz; E-cores 12-21 to 3.80 GHz"
    assert machine.clock_facts(info.cpu)[0] == ("CLOCK", "rated 1.40 GHz, up to 4.80 GHz")


async def test_a_container_says_what_limits_it(tmp_path: Path) -> None:
    info = await HardwareMonitor(unfold("container-cgroup-v2", tmp_path)).describe()
    assert words.topology_text(info) == "2 sockets, 8 cores, 8 threads, 1.5 usable here (cgroup quota)"
    assert "in a container (Docker)" in dict(words.system_facts(info))["SYSTEM"]
    assert words.numa_text(info.cpu).startswith("node 0: CPUs 0-3, 62.9 GiB; node 1")


async def test_a_sample_in_words_has_every_reason(tmp_path: Path) -> None:
    monitor = HardwareMonitor(unfold("container-cgroup-v1", tmp_path))
    info, sample = await monitor.describe(), await monitor.sample()
    text = "\n".join(f"{fact.label} {fact.text}" for fact in words.sample_facts(info, sample))
    assert "AVERAGE - (there is no /proc/loadavg)" in text
    assert "MEMORY - of 994 MiB (/proc/meminfo has no MemAvailable)" in text
    assert "LIMIT 50.0 MiB used of 512 MiB (cgroup)" in text
    assert "TEMP - (none found: looked at /sys/class/hwmon, /sys/class/thermal)" in text
    assert "NPU - (none found" in text
