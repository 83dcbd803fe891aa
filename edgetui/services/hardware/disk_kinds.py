"""What kind of storage a filesystem stands on, by what sysfs tells of its block device."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

BLOCK = "/sys/block"
_PARTITION = re.compile(r"^(nvme\d+n\d+|mmcblk\d+|nbd\d+|loop\d+|md\d+)p\d+$|^([a-z]+)\d+$")
_CARD_TYPES = {"SD": "SD card", "MMC": "eMMC"}
_BY_NAME = (
    ("nvme", "NVMe"),
    ("pmem", "persistent memory"),
    ("vd", "virtual disk"),
    ("xvd", "virtual disk"),
    ("zram", "compressed memory"),
    ("ram", "memory"),
    ("loop", "file"),
    ("nbd", "network block device"),
    ("rbd", "network block device"),
    ("mtdblock", "raw flash"),
    ("sr", "optical disc"),
)
_VIRTUAL_MAKERS = ("qemu", "vmware", "msft", "vbox", "google", "amazon")
_DEPTH = 4
"""Encryption over LVM over RAID is three levels."""


def disk_kind(source: MachineSource, device: str, device_number: str = "") -> Reading[str]:
    """`NVMe`, `SD card`, ...; `device` as mounts name it, `device_number` (`179:2`) where the name says nothing."""
    name = _block_name(source, device, device_number)
    if name is None:
        return unknown(f"{device} is no block device that sysfs lists")
    return _kind(source, name, _DEPTH)


def _block_name(source: MachineSource, device: str, device_number: str) -> str | None:
    if device.startswith("/dev/mapper/"):
        wanted = device.removeprefix("/dev/mapper/")
        for name in source.names(BLOCK):
            if name.startswith("dm-") and source.text(f"{BLOCK}/{name}/dm/name").value == wanted:
                return name
    name = source.target(device).rpartition("/")[2] if device.startswith("/dev/") else ""
    if name and _disk_of(source, name) is not None:
        return name
    told = source.properties(f"/sys/dev/block/{device_number}/uevent").get("DEVNAME") if device_number else None
    return told or None


def _disk_of(source: MachineSource, name: str) -> str | None:
    """`nvme0n1p2` -> `nvme0n1`; None when sysfs has neither."""
    if source.exists(f"{BLOCK}/{name}"):
        return name
    match = _PARTITION.match(name)
    disk = (match[1] or match[2]) if match else None
    return disk if disk and source.exists(f"{BLOCK}/{disk}") else None


def _kind(source: MachineSource, name: str, depth: int) -> Reading[str]:
    disk = _disk_of(source, name)
    if disk is None:
        return unknown(f"{BLOCK} does not list {name}")
    folder = f"{BLOCK}/{disk}"
    if disk.startswith(("dm-", "md")) and depth:
        return _kind_of_parts(source, folder, depth)
    if disk.startswith("mmcblk"):
        told = source.text(f"{folder}/device/type")
        return known(_CARD_TYPES.get(told.value, told.value)) if told.value else unknown(told.reason)
    for beginning, kind in _BY_NAME:
        if re.match(rf"{beginning}(\d|[a-z]+$)", disk):
            return known(kind)
    return _scsi_kind(source, folder)


def _scsi_kind(source: MachineSource, folder: str) -> Reading[str]:
    """An `sd` disk: what it hangs on decides, then whether it turns."""
    where = source.target(folder)
    if "/usb" in where:
        return known("USB")
    if re.search(r"[./]ufs", where):
        return known("UFS")
    if (source.text(f"{folder}/device/vendor").value or "").lower().startswith(_VIRTUAL_MAKERS) or "/virtio" in where:
        return known("virtual disk")
    rotational = source.integer(f"{folder}/queue/rotational")
    if rotational.value is None:
        return unknown(rotational.reason)
    if rotational.value:
        return known("hard disk")
    return known("SATA SSD" if "/ata" in where else "SSD")


def _kind_of_parts(source: MachineSource, folder: str, depth: int) -> Reading[str]:
    kinds: Reading[str] = unknown(f"{folder}/slaves is empty")
    found: list[str] = []
    for part in source.names(f"{folder}/slaves"):
        kinds = _kind(source, part, depth - 1)
        if kinds.value is not None and kinds.value not in found:
            found.append(kinds.value)
    return known(" + ".join(found)) if found else kinds
