"""Kinds of storage, the models folder, and filesystems that do not answer."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from edgetui.core.hardware import Reading
from edgetui.meters.source import FilesystemSpace, MachineSource
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.disk_kinds import disk_kind
from edgetui.services.hardware.disks import DiskSpace
from tests.recorded_machine import unfold


def machine(root: Path, files: dict[str, str]) -> MachineSource:
    for path, content in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return MachineSource(root)


USB = "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sda"
SATA = "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda"
UFS = "/sys/devices/platform/soc@0/1d84000.ufs/host0/target0:0:0/0:0:0:0/block/sda"


@pytest.mark.parametrize(
    ("device", "files", "kind"),
    [
        ("/dev/nvme0n1p2", {"/sys/block/nvme0n1/size": "1"}, "NVMe"),
        ("/dev/mmcblk0p2", {"/sys/block/mmcblk0/device/type": "SD"}, "SD card"),
        ("/dev/mmcblk1p1", {"/sys/block/mmcblk1/device/type": "MMC"}, "eMMC"),
        ("/dev/sda1", {"/sys/block/sda/queue/rotational": "1", "/recorded/links/sys/block/sda": SATA}, "hard disk"),
        ("/dev/sda1", {"/sys/block/sda/queue/rotational": "0", "/recorded/links/sys/block/sda": SATA}, "SATA SSD"),
        ("/dev/sda1", {"/sys/block/sda/queue/rotational": "1", "/recorded/links/sys/block/sda": USB}, "USB"),
        ("/dev/sda9", {"/sys/block/sda/queue/rotational": "0", "/recorded/links/sys/block/sda": UFS}, "UFS"),
        ("/dev/sda1", {"/sys/block/sda/device/vendor": "QEMU"}, "virtual disk"),
        ("/dev/vda", {"/sys/block/vda/queue/rotational": "1"}, "virtual disk"),
        ("/dev/xvda1", {"/sys/block/xvda/size": "1"}, "virtual disk"),
        ("/dev/loop3", {"/sys/block/loop3/size": "1"}, "file"),
        (
            "/dev/mapper/vg-root",
            {
                "/sys/block/dm-1/dm/name": "vg-root",
                "/sys/block/dm-1/slaves/dm-0/dev": "253:0",
                "/sys/block/dm-0/dm/name": "luks-1",
                "/sys/block/dm-0/slaves/nvme0n1p3/dev": "259:3",
                "/sys/block/nvme0n1/size": "1",
            },
            "NVMe",
        ),
        (
            "/dev/md0",
            {
                "/sys/block/md0/slaves/nvme0n1p1/dev": "259:1",
                "/sys/block/md0/slaves/sda1/dev": "8:1",
                "/sys/block/nvme0n1/size": "1",
                "/sys/block/sda/queue/rotational": "1",
                "/recorded/links/sys/block/sda": SATA,
            },
            "NVMe + hard disk",
        ),
    ],
)
def test_the_kind_of_a_disk_is_told_by_what_it_hangs_on(
    tmp_path: Path, device: str, files: dict[str, str], kind: str
) -> None:
    assert disk_kind(machine(tmp_path, files), device).value == kind


def test_a_device_whose_name_says_nothing_is_found_by_its_number(tmp_path: Path) -> None:
    files = {
        "/proc/self/mounts": "/dev/root / ext4 rw 0 0\n",
        "/proc/self/mountinfo": "24 1 179:2 / / rw,noatime - ext4 /dev/root rw\n",
        "/sys/dev/block/179:2/uevent": "MAJOR=179\nMINOR=2\nDEVNAME=mmcblk0p2\n",
        "/sys/block/mmcblk0/device/type": "SD",
    }
    (disk,) = DiskSpace(machine(tmp_path, files)).sample().value or ()
    assert disk.kind.value == "SD card"


def test_a_disk_of_no_known_kind_has_a_reason(tmp_path: Path) -> None:
    kind = disk_kind(machine(tmp_path, {"/sys/block/sda/queue/rotational": "0"}), "/dev/sdb1")
    assert kind.value is None and kind.reason == "/dev/sdb1 is no block device that sysfs lists"


async def test_models_on_a_server_name_the_network_filesystem(tmp_path: Path) -> None:
    root = unfold("intel-hybrid-laptop", tmp_path)
    sample = await HardwareMonitor(root, models_dir=Path("/mnt/models/gguf")).sample()
    disk = sample.models_disk.value
    assert disk is not None
    assert (disk.mount_point, disk.filesystem, disk.kind.value) == ("/mnt/models", "nfs4", "network")


async def test_a_folder_whose_name_begins_like_a_mount_point_is_not_in_it(tmp_path: Path) -> None:
    root = unfold("intel-hybrid-laptop", tmp_path)
    disk = (await HardwareMonitor(root, models_dir=Path("/mnt/models-old")).sample()).models_disk.value
    assert disk is not None and disk.mount_point == "/"


class DeadServer(MachineSource):
    """The kernel waits for a server that is gone in statvfs and stat alike."""

    answers = threading.Event()
    asked = 0

    def is_file(self, path: str) -> bool:
        if path == "/mnt/models":
            self.answers.wait()
        return super().is_file(path)

    def space(self, mount_point: str) -> Reading[FilesystemSpace]:
        if mount_point == "/mnt/models":
            self.asked += 1
            self.answers.wait()
        return super().space(mount_point)


def test_a_dead_mount_costs_its_own_figures_and_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.hardware.disks._MOUNT_LIMIT_S", 0.1)
    source = DeadServer(unfold("intel-hybrid-laptop", tmp_path))
    source.answers = threading.Event()
    now = [0.0]
    space = DiskSpace(source, "/mnt/models", clock=lambda: now[0])
    try:
        began = time.monotonic()
        disks = {disk.mount_point: disk for disk in space.sample().value or ()}
        now[0] = 60.0
        again = {disk.mount_point: disk for disk in space.sample().value or ()}
        assert time.monotonic() - began < 30
        assert disks["/"].free_bytes.value == again["/"].free_bytes.value == 552_798_031_872
        assert disks["/mnt/models"].free_bytes.reason == "no answer within 0.1 s"
        assert again["/mnt/models"].free_bytes.reason.startswith("no answer for")
        assert source.asked == 1
    finally:
        source.answers.set()
