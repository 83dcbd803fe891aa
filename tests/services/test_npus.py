"""NPUs by the kernel's and the vendors' devices, and those that no driver serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.meters.source import MachineSource
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.npus import find_npus
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path


def machine(root: Path, files: dict[str, str]) -> MachineSource:
    for path, content in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return MachineSource(root)


XDNA = {
    "/sys/class/accel/accel0/device/uevent": "DRIVER=amdxdna\nPCI_ID=1022:17F0\nPCI_SLOT_NAME=0000:c5:00.1\n",
    "/sys/class/accel/accel0/device/vbnv": "RyzenAI-npu4\n",
    "/sys/module/amdxdna/version": "0.5\n",
    "/sys/bus/pci/devices/0000:c5:00.1/vendor": "0x1022\n",
    "/sys/bus/pci/devices/0000:c5:00.1/device": "0x17f0\n",
}
HAILO = {
    "/sys/class/hailo_chardev/hailo0/device/uevent": ("DRIVER=hailo\nPCI_ID=1E60:2864\nPCI_SLOT_NAME=0001:01:00.0\n"),
    "/sys/module/hailo_pci/version": "4.20.0\n",
    "/sys/bus/pci/devices/0001:01:00.0/vendor": "0x1e60\n",
    "/sys/bus/pci/devices/0001:01:00.0/device": "0x2864\n",
}
CORAL = {
    "/sys/class/apex/apex_0/temp": "47050\n",
    "/sys/class/apex/apex_0/device/uevent": "DRIVER=apex\nPCI_ID=1AC1:089A\nPCI_SLOT_NAME=0000:01:00.0\n",
}
HEXAGON = {
    "/sys/class/remoteproc/remoteproc0/name": "adsp\n",
    "/sys/class/remoteproc/remoteproc1/name": "cdsp\n",
    "/sys/class/remoteproc/remoteproc1/state": "running\n",
    "/dev/fastrpc-cdsp": "",
}


@pytest.mark.parametrize(
    ("files", "name", "driver", "version"),
    [
        (XDNA, "AMD XDNA NPU (RyzenAI-npu4)", "amdxdna", "0.5"),
        (HAILO, "Hailo-8", "hailo", "4.20.0"),
        (CORAL, "Coral Edge TPU", "apex", None),
        (HEXAGON, "Hexagon compute DSP", "fastrpc", None),
        ({"/sys/class/misc/rknpu/dev": "10:1", "/sys/module/rknpu/version": "0.9.6"}, "RKNPU", "RKNPU", "0.9.6"),
        ({"/sys/class/accel/accel0/device/uevent": "DRIVER=rocket\n"}, "Rockchip NPU", "rocket", None),
    ],
)
def test_each_kind_is_found_once_with_driver_and_version(
    tmp_path: Path, files: dict[str, str], name: str, driver: str, version: str | None
) -> None:
    (npu,) = find_npus(machine(tmp_path, files))
    assert (npu.name, npu.driver.value, npu.driver_version.value) == (name, driver, version)


@pytest.mark.parametrize(
    ("files", "name", "reason"),
    [
        (
            {
                "/sys/bus/pci/devices/0000:00:0b.0/vendor": "0x8086",
                "/sys/bus/pci/devices/0000:00:0b.0/device": "0x7d1d",
            },
            "Intel NPU",
            "no driver serves it: intel_vpu is not loaded",
        ),
        (
            {
                "/sys/class/remoteproc/remoteproc0/firmware": "qcom/x1e80100/cdsp.mbn",
                "/sys/class/remoteproc/remoteproc0/state": "offline",
            },
            "Hexagon compute DSP",
            "its processor is offline",
        ),
        (
            {
                "/proc/device-tree/npu@fdab0000/compatible": "rockchip,rk3588-rknn-core\0",
                "/proc/device-tree/npu@fdab0000/status": "disabled\0",
            },
            "Rockchip NPU",
            "the device tree disables it",
        ),
        (
            {"/sys/bus/usb/devices/2-1/idVendor": "18d1", "/sys/bus/usb/devices/2-1/idProduct": "9302"},
            "Coral USB Accelerator (in use before)",
            "it needs none: libedgetpu speaks to it over USB",
        ),
    ],
)
def test_a_chip_without_a_driver_is_listed_with_the_reason(
    tmp_path: Path, files: dict[str, str], name: str, reason: str
) -> None:
    (npu,) = find_npus(machine(tmp_path, files))
    assert (npu.name, npu.driver.value, npu.driver.reason) == (name, None, reason)


async def test_a_coral_on_a_raspberry_pi_shows_its_temperature(tmp_path: Path) -> None:
    root = unfold("raspberry-pi-5", tmp_path)
    machine(root, CORAL)
    monitor = HardwareMonitor(root)
    info, sample = await monitor.describe(), await monitor.sample()
    assert [npu.name for npu in info.npus.value or ()] == ["Coral Edge TPU"]
    assert [item.celsius.value for item in sample.accelerators if item.key == "apex_0"] == [47.05]


async def test_a_hailo_hat_on_a_raspberry_pi_is_one_npu(tmp_path: Path) -> None:
    root = unfold("raspberry-pi-5", tmp_path)
    machine(root, HAILO)
    assert [npu.name for npu in (await HardwareMonitor(root).describe()).npus.value or ()] == ["Hailo-8"]


async def test_the_version_of_rockchips_driver_is_roots_alone(tmp_path: Path) -> None:
    root = unfold("rockchip-rk3588", tmp_path)
    (npu,) = (await HardwareMonitor(root).describe()).npus.value or ()
    assert npu.driver_version.reason == "needs root: /sys/kernel/debug/rknpu/version"
    (root / "recorded/denied").unlink()
    (npu,) = (await HardwareMonitor(root).describe()).npus.value or ()
    assert npu.driver_version.value == "0.9.8"
