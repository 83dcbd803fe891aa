"""Figures of this very machine against the tools that everybody trusts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
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
    """`lscpu -J`, its tree flattened: field name to value; /proc and /sys tell the same where it is not installed."""
    if shutil.which("lscpu") is None:
        return lscpu_by_files()
    fields: dict[str, str] = {}

    def collect(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            fields[entry["field"].rstrip(":")] = entry["data"]
            collect(entry.get("children", []))

    collect(json.loads(output_of("lscpu", "-J"))["lscpu"])
    return fields


def lscpu_by_files() -> dict[str, str]:
    blocks = [
        {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        for block in Path("/proc/cpuinfo").read_text().strip().split("\n\n")
    ]
    first = blocks[0]
    cpus = Path("/sys/devices/system/cpu")
    cores = {path.read_text() for path in cpus.glob("cpu[0-9]*/topology/thread_siblings_list")}
    sockets = {path.read_text() for path in cpus.glob("cpu[0-9]*/topology/physical_package_id")}
    fields = {
        "Architecture": os.uname().machine,
        "CPU(s)": str(os.cpu_count()),
        "Socket(s)": str(len(sockets)),
        "Core(s) per socket": str(len(cores) // len(sockets)),
        "Model name": first.get("model name", ""),
        "Flags": first.get("flags", first.get("Features", "")),
        "NUMA node(s)": str(len(list(Path("/sys/devices/system/node").glob("node[0-9]*")))),
    }
    return fields | ({"Hypervisor vendor": ""} if " hypervisor" in first.get("flags", "") else {})


def test_the_files_tell_what_lscpu_tells(lscpu: dict[str, str]) -> None:
    for name, value in lscpu_by_files().items():
        if name not in ("Flags", "Hypervisor vendor"):
            assert lscpu[name] == value, name


async def test_cpu_counts_agree_with_lscpu(info: MachineInfo, lscpu: dict[str, str]) -> None:
    assert info.system.architecture.value == lscpu["Architecture"]
    assert info.cpu.logical_cpus.value == int(lscpu["CPU(s)"])
    sockets, cores = int(lscpu["Socket(s)"]), int(lscpu["Core(s) per socket"])
    assert info.cpu.sockets.value == sockets
    assert info.cpu.physical_cores.value == sockets * cores
    assert info.cpu.model.value is not None and info.cpu.model.value in lscpu["Model name"]


def test_caches_agree_with_lscpu(info: MachineInfo) -> None:
    if shutil.which("lscpu") is None:
        listed = {
            (folder / "level").read_text().strip(): int((folder / "size").read_text().strip().rstrip("K")) * 1024
            for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
            if (folder / "type").read_text().strip() == "Unified"
        }
        assert {str(c.level): c.size_bytes for c in info.cpu.caches.value or () if c.kind == "unified"} == listed
        return
    rows = json.loads(output_of("lscpu", "-J", "--bytes", "--caches=NAME,ONE-SIZE"))["caches"]
    assert {cache.name: cache.size_bytes for cache in info.cpu.caches.value or ()} == {
        row["name"]: int(row["one-size"]) for row in rows
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


def free() -> tuple[int, int, int]:
    """Total, available and swap in bytes, by `free` or where it reads them."""
    if shutil.which("free") is None:
        lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        told = {words[0]: int(words[1]) * 1024 for words in lines}
        return told["MemTotal:"], told["MemAvailable:"], told["SwapTotal:"]
    rows = {line.split()[0]: line.split()[1:] for line in output_of("free", "-b").splitlines()[1:]}
    return int(rows["Mem:"][0]), int(rows["Mem:"][5]), int(rows["Swap:"][0])


async def test_memory_agrees_with_free(sample: HardwareSample) -> None:
    total, available, swap = free()
    memory = sample.memory
    assert memory.total_bytes.value == total
    assert memory.swap_total_bytes.value == swap
    # Others use memory between the two readings.
    assert memory.available_bytes.value == pytest.approx(available, rel=0.1)
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
    holder = hardware_sample("/").models_disk.value
    assert holder is not None and holder.mount_point == "/"


async def test_libc_agrees_with_getconf_and_ldd(info: MachineInfo) -> None:
    if os.confstr_names.get("CS_GNU_LIBC_VERSION") is None:
        assert info.system.libc.value is not None and info.system.libc.value.startswith("musl")
        return
    assert info.system.libc.value == output_of("getconf", "GNU_LIBC_VERSION").strip()
    assert info.system.libc.value.rpartition(" ")[2] in output_of("ldd", "--version").splitlines()[0]


async def test_the_models_folder_agrees_with_df_and_findmnt(tmp_path: Path) -> None:
    monitor = HardwareMonitor(models_dir=tmp_path / "not made yet")
    info, disk = await monitor.describe(), (await monitor.sample()).models_disk.value
    assert info.models_folder.value == output_of("realpath", "-m", str(tmp_path / "not made yet")).strip()
    row = output_of("df", "-B1", "--output=target,size,avail,fstype,source", str(tmp_path)).splitlines()[1].split()
    assert disk is not None
    assert (disk.mount_point, disk.total_bytes.value, disk.filesystem) == (row[0], int(row[1]), row[3])
    assert disk.free_bytes.value == pytest.approx(int(row[2]), rel=0.05)


async def test_a_models_folder_behind_a_link_is_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    info = await HardwareMonitor(models_dir=tmp_path / "link").describe()
    assert info.models_folder.value == output_of("realpath", str(tmp_path / "real")).strip()


def test_kinds_of_disks_agree_with_the_kernels_own_figures(sample: HardwareSample) -> None:
    for disk in sample.disks.value or ():
        assert disk.kind.value or disk.kind.reason
        name = os.path.basename(os.path.realpath(disk.device))
        if disk.kind.value == "hard disk":
            parent = name.rstrip("0123456789")
            assert Path(f"/sys/block/{parent}/queue/rotational").read_text().strip() == "1"
        if disk.device.startswith("/dev/") and shutil.which("lsblk"):
            listed = json.loads(output_of("lsblk", "-J", "-b", "-o", "MOUNTPOINT,FSTYPE,SIZE", disk.device))
            (row,) = listed["blockdevices"]
            assert row["fstype"] in (disk.filesystem, None)
            # A filesystem keeps a part of its device for itself.
            assert disk.total_bytes.value is None or disk.total_bytes.value <= int(row["size"])
        for beginning, kind in (("nvme", "NVMe"), ("vd", "virtual disk")):
            if name.startswith(beginning):
                assert disk.kind.value == kind


def test_huge_pages_and_zram_agree_with_the_kernel(info: MachineInfo, sample: HardwareSample) -> None:
    with open("/proc/meminfo", encoding="ascii") as stream:
        told = {line.split(":")[0]: int(line.split()[1]) for line in stream}
    assert sample.memory.huge_pages.value == told.get("HugePages_Total")
    assert sample.memory.huge_page_bytes.value == told.get("Hugepagesize", 0) * 1024
    for device in sample.zram.value or ():
        with open(f"/sys/block/{device.name}/disksize", encoding="ascii") as stream:
            assert device.size_bytes == int(stream.read())
    mode = info.memory.transparent_huge_pages
    if mode.value is not None:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as stream:
            assert f"[{mode.value}]" in stream.read()


async def test_virtualisation_agrees_with_lscpu(info: MachineInfo, lscpu: dict[str, str]) -> None:
    if info.system.hypervisor.value not in (None, "none"):
        assert lscpu.get("Hypervisor vendor", "").lower() in ("", (info.system.hypervisor.value or "").lower())
    assert ("Hypervisor vendor" in lscpu) == (info.system.hypervisor.value not in (None, "none"))


async def test_every_instruction_set_agrees_with_the_processors_flags(info: MachineInfo, lscpu: dict[str, str]) -> None:
    from edgetui.services.hardware.instruction_sets import _ARM, _X86

    flags = set(lscpu["Flags"].split())
    wanted = dict(_ARM if info.system.architecture.value == "aarch64" else _X86)
    assert {item.name: item.present for item in info.cpu.instruction_sets.value or ()} == {
        name: flag in flags for name, flag in wanted.items()
    }
