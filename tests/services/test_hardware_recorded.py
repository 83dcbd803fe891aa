"""What edgetui says of machines that this one is not, by their recorded files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.services.hardware import HardwareMonitor
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.hardware import MachineInfo


def present(info: MachineInfo) -> list[str]:
    return [item.name for item in info.cpu.instruction_sets.value or () if item.present]


@pytest.fixture
def pi(tmp_path: Path) -> HardwareMonitor:
    return HardwareMonitor(unfold("raspberry-pi-5", tmp_path))


@pytest.fixture
def laptop(tmp_path: Path) -> HardwareMonitor:
    return HardwareMonitor(unfold("intel-hybrid-laptop", tmp_path))


@pytest.fixture
def desktop(tmp_path: Path) -> HardwareMonitor:
    return HardwareMonitor(unfold("amd-desktop-gpu", tmp_path))


@pytest.fixture
def container(tmp_path: Path) -> HardwareMonitor:
    return HardwareMonitor(unfold("container-cgroup-v2", tmp_path))


@pytest.fixture
def small_container(tmp_path: Path) -> HardwareMonitor:
    return HardwareMonitor(unfold("container-cgroup-v1", tmp_path))


async def test_raspberry_pi_5_is_what_its_owner_bought(pi: HardwareMonitor) -> None:
    info = await pi.describe()
    assert info.system.board.value == "Raspberry Pi 5 Model B Rev 1.0"
    assert info.system.architecture.value == "aarch64"
    assert info.cpu.model.value == "Cortex-A76"
    assert (info.cpu.sockets.value, info.cpu.physical_cores.value, info.cpu.logical_cpus.value) == (1, 4, 4)
    assert info.cpu.max_frequency_hz.value == 2_400_000_000
    assert [(cache.name, cache.size_bytes, cache.instances) for cache in info.cpu.caches.value or ()] == [
        ("L1d", 64 * 1024, 4),
        ("L1i", 64 * 1024, 4),
        ("L2", 512 * 1024, 4),
        ("L3", 2 * 1024**2, 1),
    ]
    assert present(info) == ["NEON", "FP16", "dotprod"]
    assert [(gpu.vendor, gpu.name) for gpu in info.gpus.value or ()] == [("Broadcom", "VideoCore (2712-v3d)")]
    assert info.npus.value is None and info.npus.reason.startswith("none found: looked at /sys/class/accel")


async def test_raspberry_pi_5_shows_its_sensors_once_each(pi: HardwareMonitor) -> None:
    sample = await pi.sample()
    assert [(sensor.label, sensor.celsius.value) for sensor in sample.temperatures.value or ()] == [
        ("cpu_thermal", 48.25),
        ("rp1_adc", 51.3),
    ]
    assert [core.frequency_hz.value for core in sample.cores.value or ()] == [2_400_000_000] * 4
    assert [disk.mount_point for disk in sample.disks.value or ()] == ["/", "/boot/firmware"]


async def test_hybrid_laptop_tells_its_kinds_of_cores_and_their_caches(laptop: HardwareMonitor) -> None:
    info = await laptop.describe()
    assert (info.cpu.physical_cores.value, info.cpu.logical_cpus.value) == (16, 22)
    assert [(group.name, len(group.cpus), group.max_frequency_hz.value) for group in info.cpu.groups] == [
        ("P-cores", 12, 4_800_000_000),
        ("E-cores", 10, 3_800_000_000),
    ]
    assert [(cache.name, cache.size_bytes // 1024, cache.instances) for cache in info.cpu.caches.value or ()] == [
        ("L1d", 48, 6),
        ("L1d", 32, 10),
        ("L2", 2048, 9),
        ("L3", 24576, 1),
    ]
    assert "AVX-VNNI" in present(info) and "AVX-512" not in present(info)


async def test_laptop_lists_gpu_and_npu_with_what_their_drivers_hide(laptop: HardwareMonitor) -> None:
    info, sample = await laptop.describe(), await laptop.sample()
    assert info.gpus.value is not None and info.gpus.value[0].name == "Meteor Lake-P [Intel Arc Graphics]"
    assert info.npus.value is not None and info.npus.value[0].name == "Intel NPU"
    gpu = sample.accelerators[0]
    assert gpu.key == info.gpus.value[0].key
    assert gpu.frequency_hz.value == 800_000_000
    assert gpu.utilisation.value is None and "i915" in gpu.utilisation.reason


async def test_disks_leave_out_images_and_name_network_filesystems(laptop: HardwareMonitor) -> None:
    disks = {disk.mount_point: disk for disk in (await laptop.sample()).disks.value or ()}
    assert list(disks) == ["/", "/boot/efi", "/media/user/USB STICK", "/mnt/models"]
    assert disks["/"].free_bytes.value == 552_798_031_872
    assert disks["/mnt/models"].free_bytes.value is None
    assert (disks["/mnt/models"].filesystem, disks["/mnt/models"].kind.value) == ("nfs4", "network")


async def test_desktop_gpu_is_sampled_through_its_driver(desktop: HardwareMonitor) -> None:
    info, sample = await desktop.describe(), await desktop.sample()
    assert info.gpus.value is not None
    assert info.gpus.value[0].memory_bytes.value == 21_458_059_264
    gpu = sample.accelerators[0]
    assert (gpu.utilisation.value, gpu.celsius.value, gpu.power_watts.value) == (0.37, 52.0, 61.0)
    assert gpu.memory_used_bytes.value == 1024**3


async def test_one_filesystem_mounted_twice_counts_once(desktop: HardwareMonitor) -> None:
    assert [disk.mount_point for disk in (await desktop.sample()).disks.value or ()] == ["/", "/boot"]


async def test_affinity_leaves_out_cpus_that_the_machine_does_not_have(desktop: HardwareMonitor) -> None:
    info = await desktop.describe()
    assert info.cpu.limits.affinity_cpus.value == tuple(range(16))
    assert info.system.board.value == "B650M Pro RS"


async def test_container_shows_what_it_may_use(container: HardwareMonitor) -> None:
    info, sample = await container.describe(), await container.sample()
    assert info.cpu.logical_cpus.value == 8
    assert info.cpu.limits.affinity_cpus.value == (0, 1, 2, 3)
    assert info.cpu.limits.usable_cpus.value == 1.5
    assert info.memory.usable_bytes == 4 * 1024**3
    assert sample.memory.group_used_bytes.value == 768 * 1024**2
    assert info.system.container.value == "Docker"
    assert [disk.mount_point for disk in sample.disks.value or ()] == ["/"]


async def test_container_on_two_sockets_lists_numa_nodes_and_amx(container: HardwareMonitor) -> None:
    info = await container.describe()
    assert info.cpu.sockets.value == 2
    assert [node.cpus for node in info.cpu.numa_nodes.value or ()] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert "AMX" in present(info)
    assert info.cpu.nominal_frequency_hz.value == 2_100_000_000


async def test_nvidia_gpu_is_told_by_nvidia_smi_where_nvml_is_not(container: HardwareMonitor) -> None:
    info, sample = await container.describe(), await container.sample()
    assert info.gpus.value is not None
    gpu = info.gpus.value[0]
    assert (gpu.name, gpu.driver.value, gpu.memory_bytes.value) == ("NVIDIA L4", "nvidia 550.90.12", 23034 * 1024**2)
    now = sample.accelerators[0]
    assert (now.key, now.utilisation.value, now.celsius.value) == (gpu.key, 0.0, 34.0)
    assert now.power_watts.value is None and "[N/A]" in now.power_watts.reason


async def test_cgroup_v1_limits_are_found_though_the_path_is_the_hosts(small_container: HardwareMonitor) -> None:
    info, sample = await small_container.describe(), await small_container.sample()
    assert info.cpu.limits.usable_cpus.value == 0.5
    assert info.memory.limit_bytes.value == 512 * 1024**2
    assert sample.memory.group_used_bytes.value == 50 * 1024**2


async def test_old_board_says_why_each_figure_is_missing(small_container: HardwareMonitor) -> None:
    info, sample = await small_container.describe(), await small_container.sample()
    assert info.cpu.model.value == "Cortex-A7" and present(info) == ["NEON"]
    assert sample.load_averages.value is None and sample.load_averages.reason == "there is no /proc/loadavg"
    assert sample.memory.available_bytes.reason == "/proc/meminfo has no MemAvailable"
    assert sample.temperatures.reason == "none found: looked at /sys/class/hwmon, /sys/class/thermal"


async def test_jetson_orin_nano_is_what_its_owner_bought(tmp_path: Path) -> None:
    info = await HardwareMonitor(unfold("jetson-orin-nano", tmp_path)).describe()
    assert info.system.board.value == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (info.cpu.model.value, info.cpu.physical_cores.value) == ("Cortex-A78AE", 6)
    assert info.cpu.max_frequency_hz.value == 1_728_000_000
    assert [(cache.name, cache.instances) for cache in info.cpu.caches.value or ()][-1] == ("L3", 2)
    assert info.gpus.value is not None
    gpu = info.gpus.value[0]
    assert (gpu.name, gpu.memory_bytes.reason) == ("Tegra Orin (Ampere)", "it uses the main memory")


async def test_rockchip_board_tells_big_from_little_and_lists_gpu_and_npu(tmp_path: Path) -> None:
    monitor = HardwareMonitor(unfold("rockchip-rk3588", tmp_path))
    info, sample = await monitor.describe(), await monitor.sample()
    assert info.system.board.value == "Radxa ROCK 5B"
    assert [(group.name, group.cpus, group.max_frequency_hz.value) for group in info.cpu.groups] == [
        ("Cortex-A76", (4, 5, 6, 7), 2_400_000_000),
        ("Cortex-A55", (0, 1, 2, 3), 1_800_000_000),
    ]
    assert [(gpu.vendor, gpu.name) for gpu in info.gpus.value or ()] == [("ARM", "Mali (rk3588-mali)")]
    assert [(npu.vendor, npu.name) for npu in info.npus.value or ()] == [("Rockchip", "RKNPU (rk3588-rknpu)")]
    # One sensor, though it is a thermal zone and a hwmon chip.
    assert len(sample.temperatures.value or ()) == 7
    assert {item.key: item.frequency_hz.value for item in sample.accelerators} == {
        "renderD128": 300_000_000,
        "renderD129": 1_000_000_000,
    }
