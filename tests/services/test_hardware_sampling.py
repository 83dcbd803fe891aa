"""How samples follow a machine that changes, and that one broken probe leaves the others alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.hardware import unknown
from edgetui.meters.source import MachineSource
from edgetui.meters.temperatures import Temperatures
from edgetui.services.hardware import HardwareMonitor, monitor
from edgetui.services.hardware.cpu_load import CpuLoad
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pi_root(tmp_path: Path) -> Path:
    return unfold("raspberry-pi-5", tmp_path)


def test_load_is_the_share_of_time_not_idle_between_two_samples(pi_root: Path) -> None:
    load = CpuLoad(MachineSource(pi_root))
    load.sample()
    # CPU 0: 60 ticks user, 20 system, 10 waiting for disk, 10 idle; CPU 1: 100 idle.
    (pi_root / "proc/stat").write_text(
        "cpu  4060 0 1020 94110 610 0 400 0 0 0\n"
        "cpu0 1060 0 270 23510 160 0 100 0 0 0\n"
        "cpu1 1000 0 250 23600 150 0 100 0 0 0\n"
    )
    overall, cores = load.sample()
    assert overall.value == pytest.approx(0.4)
    assert [core.load.value for core in cores.value or ()] == [pytest.approx(0.8), 0.0]


def test_load_is_missing_and_not_zero_when_no_time_passed(pi_root: Path) -> None:
    load = CpuLoad(MachineSource(pi_root))
    load.sample()
    overall, _ = load.sample()
    assert overall.value is None and overall.reason == "no time passed since the sample before"


def test_a_core_that_comes_online_later_joins_the_list(pi_root: Path) -> None:
    stat = pi_root / "proc/stat"
    load = CpuLoad(MachineSource(pi_root))
    load.sample()
    stat.write_text(stat.read_text().replace("intr", "cpu4 10 0 10 10 0 0 0 0 0 0\nintr"))
    _, cores = load.sample()
    assert [core.cpu for core in cores.value or ()] == [0, 1, 2, 3, 4]
    assert (cores.value or ())[4].load.value is None


def test_x86_clocks_come_from_cpuinfo_where_there_is_no_cpufreq(tmp_path: Path) -> None:
    root = unfold("amd-desktop-gpu", tmp_path)
    for folder in root.glob("sys/devices/system/cpu/cpu*/cpufreq"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    (root / "proc/stat").write_text("\n".join(f"cpu{n} 1 0 1 1 0 0 0 0 0 0" for n in range(16)))
    _, cores = CpuLoad(MachineSource(root)).sample()
    assert [core.frequency_hz.value for core in cores.value or ()] == [3_000_000_000] * 16


def test_rated_clock_of_a_virtual_machine_is_not_shown_as_the_present_one(tmp_path: Path) -> None:
    root = unfold("container-cgroup-v1", tmp_path)
    _, cores = CpuLoad(MachineSource(root)).sample()
    clock = (cores.value or ())[0].frequency_hz
    assert clock.value is None and "no cpufreq" in clock.reason


def test_unplugged_sensor_turns_into_a_reason_and_stays_listed(pi_root: Path) -> None:
    temperatures = Temperatures(MachineSource(pi_root))
    temperatures.sample()
    (pi_root / "sys/class/hwmon/hwmon1/temp1_input").unlink()
    cpu, adc = temperatures.sample().value or ()
    assert cpu.celsius.value == 48.25
    assert adc.label == "rp1_adc"
    assert adc.celsius.value is None
    assert adc.celsius.reason == "there is no /sys/class/hwmon/hwmon1/temp1_input"


async def test_each_probe_fails_alone(pi_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pi_root / "proc/stat").write_text("cpu  words instead of figures\n")
    (pi_root / "proc/meminfo").write_text("MemTotal: many kB\n")
    (pi_root / "proc/cpuinfo").write_text("nothing of use\n")
    (pi_root / "recorded/filesystems.json").write_text("{broken")

    def fail(source: MachineSource) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(monitor, "load_averages", fail)
    hardware = HardwareMonitor(pi_root)
    info, sample = await hardware.describe(), await hardware.sample()
    assert info.cpu.model.value is None and info.cpu.model.reason
    assert info.cpu.physical_cores.value == 4
    assert info.system.board.value == "Raspberry Pi 5 Model B Rev 1.0"
    assert sample.cpu_load.value is None and "ValueError" in sample.cpu_load.reason
    assert sample.memory.total_bytes.value is None and sample.memory.total_bytes.reason
    assert [disk.free_bytes.value for disk in sample.disks.value or ()] == [None, None]
    assert all("probe failed" in disk.free_bytes.reason for disk in sample.disks.value or ())
    assert sample.load_averages == unknown("the probe failed (RuntimeError: boom)")
    assert len(sample.temperatures.value or ()) == 2


async def test_an_empty_machine_gives_reasons_only(tmp_path: Path) -> None:
    hardware = HardwareMonitor(tmp_path)
    info, sample = await hardware.describe(), await hardware.sample()
    assert info.cpu.model.reason == "there is no /proc/cpuinfo"
    assert info.memory.usable_bytes is None
    assert info.system.kernel.reason == "there is no /proc/sys/kernel/osrelease"
    assert sample.cores.reason == "there is no /proc/stat"


async def test_a_second_caller_shares_the_sample_just_taken() -> None:
    hardware = HardwareMonitor()
    assert await hardware.sample() is await hardware.sample()
