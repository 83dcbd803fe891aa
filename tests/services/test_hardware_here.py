"""Figures of this very machine against the tools that everybody trusts."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from edgetui.core.hardware import HardwareSample, MachineInfo
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.portable import hardware_sample, machine_info


@pytest.fixture
async def info() -> MachineInfo:
    return await HardwareMonitor().describe()


@pytest.fixture
async def sample() -> HardwareSample:
    return await HardwareMonitor().sample()


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.fixture(scope="module")
def lscpu() -> dict[str, str]:
    """`lscpu -J`, its tree flattened: field name to value."""
    fields: dict[str, str] = {}

    def collect(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            fields[entry["field"].rstrip(":")] = entry["data"]
            collect(entry.get("children", []))

    collect(json.loads(output_of("lscpu", "-J"))["lscpu"])
    return fields


async def test_cpu_counts_agree_with_lscpu(info: MachineInfo, lscpu: dict[str, str]) -> None:
    assert info.system.architecture.value == lscpu["Architecture"]
    assert info.cpu.logical_cpus.value == int(lscpu["CPU(s)"])
    sockets, cores = int(lscpu["Socket(s)"]), int(lscpu["Core(s) per socket"])
    assert info.cpu.sockets.value == sockets
    assert info.cpu.physical_cores.value == sockets * cores
    assert info.cpu.model.value is not None and info.cpu.model.value in lscpu["Model name"]


async def test_caches_agree_with_lscpu(info: MachineInfo) -> None:
    listed = json.loads(output_of("lscpu", "-J", "--bytes", "--caches=NAME,ONE-SIZE"))["caches"]
    assert {cache.name: cache.size_bytes for cache in info.cpu.caches.value or ()} == {
        row["name"]: int(row["one-size"]) for row in listed
    }


async def test_instruction_sets_agree_with_the_flags_that_lscpu_lists(info: MachineInfo, lscpu: dict[str, str]) -> None:
    flags = set(lscpu["Flags"].split())
    present = {item.name for item in info.cpu.instruction_sets.value or () if item.present}
    for name, flag in (("AVX2", "avx2"), ("FMA", "fma"), ("NEON", "asimd"), ("i8mm", "i8mm"), ("AMX", "amx_tile")):
        assert (name in present) == (flag in flags)


async def test_usable_cpus_are_those_the_scheduler_allows(info: MachineInfo) -> None:
    assert set(info.cpu.limits.affinity_cpus.value or ()) == os.sched_getaffinity(0)
    assert info.cpu.limits.usable_cpus.value is not None
    assert info.cpu.limits.usable_cpus.value <= len(os.sched_getaffinity(0))


async def test_numa_nodes_agree_with_lscpu(info: MachineInfo, lscpu: dict[str, str]) -> None:
    assert len(info.cpu.numa_nodes.value or ()) == int(lscpu.get("NUMA node(s)", 0))


async def test_memory_agrees_with_free(sample: HardwareSample) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in output_of("free", "-b").splitlines()[1:]}
    memory = sample.memory
    assert memory.total_bytes.value == int(rows["Mem:"][0])
    assert memory.swap_total_bytes.value == int(rows["Swap:"][0])
    # Others use memory between the two readings.
    assert memory.available_bytes.value == pytest.approx(int(rows["Mem:"][5]), rel=0.1)
    assert memory.used_bytes.value is not None and memory.available_bytes.value is not None
    assert memory.used_bytes.value + memory.available_bytes.value == memory.total_bytes.value


async def test_disks_agree_with_df(sample: HardwareSample) -> None:
    disks = {disk.mount_point: disk for disk in sample.disks.value or ()}
    listed = [line.split() for line in output_of("df", "-B1", "--output=target,size,used,avail").splitlines()[1:]]
    root = next(row for row in listed if row[0] == "/")
    assert disks["/"].total_bytes.value == int(root[1])
    assert disks["/"].used_bytes.value == pytest.approx(int(root[2]), rel=0.05)
    assert disks["/"].free_bytes.value == pytest.approx(int(root[3]), rel=0.05)
    assert set(disks) <= {row[0] for row in listed}


async def test_load_averages_agree_with_the_system_call(sample: HardwareSample) -> None:
    assert sample.load_averages.value == pytest.approx(os.getloadavg(), abs=1.0)


async def test_kernel_agrees_with_uname(info: MachineInfo) -> None:
    assert info.system.kernel.value == f"{os.uname().sysname} {os.uname().release}"


async def test_load_is_missing_in_the_first_sample_and_measured_in_the_next() -> None:
    monitor = HardwareMonitor()
    first = await monitor.sample()
    assert first.cpu_load.value is None and "first" in first.cpu_load.reason
    before = first.taken_at
    while True:
        later = await monitor.sample()
        if later is not first and later.cpu_load.value is not None:
            break
    assert later.taken_at > before
    assert 0 <= later.cpu_load.value <= 1
    assert [core.cpu for core in later.cores.value or ()] == [core.cpu for core in first.cores.value or ()]


async def test_psutil_tells_the_same_where_there_is_no_proc(info: MachineInfo, sample: HardwareSample) -> None:
    portable, portable_sample = machine_info(), hardware_sample()
    assert portable.cpu.logical_cpus.value == info.cpu.logical_cpus.value
    assert portable.memory.total_bytes.value == info.memory.total_bytes.value
    assert portable_sample.memory.total_bytes.value == sample.memory.total_bytes.value
    own = {disk.mount_point: disk.total_bytes.value for disk in sample.disks.value or ()}
    assert {disk.mount_point: disk.total_bytes.value for disk in portable_sample.disks.value or ()}["/"] == own["/"]
    assert portable.gpus.value is None and portable.gpus.reason
