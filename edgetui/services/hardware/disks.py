"""Mounted filesystems that hold files, with their free space, as `df` counts it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import DiskSample, Reading, known, unknown

if TYPE_CHECKING:
    from edgetui.services.hardware.source import MachineSource

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "fuse.sshfs", "fuse.rclone"}
_WITHOUT_DEVICE = {"btrfs", "zfs", "overlay", "bcachefs", "virtiofs"}
"""Filesystems that hold files though the kernel lists them as `nodev`."""
_IMAGES = {"squashfs", "iso9660", "erofs", "cramfs", "romfs"}
"""Read-only images: nothing can ever be written there."""
_OCTAL = re.compile(r"\\([0-7]{3})")


class DiskSpace:
    """Reads free space; keeps which filesystem types stand on devices."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._kinds: set[str] | None = None

    def sample(self) -> Reading[tuple[DiskSample, ...]]:
        """Every such filesystem once, at the shortest path it is mounted on, in order of path."""
        found: dict[str, tuple[str, str]] = {}
        for line in self._source.read("/proc/self/mounts").splitlines():
            device, mount_point, kind, *_ = (_unescape(field) for field in line.split(" "))
            if not self._holds_files(device, kind) or self._source.is_file(mount_point):
                continue
            # A container has an overlay of its own below "/"; elsewhere equal sources are one filesystem.
            key = mount_point if kind == "overlay" else device
            if key not in found or len(mount_point) < len(found[key][0]):
                found[key] = (mount_point, f"{device} {kind}")
        disks = []
        for mount_point, source_and_kind in sorted(found.values()):
            device, kind = source_and_kind.rsplit(" ", 1)
            disks.append(self._disk(mount_point, device, kind))
        return known(tuple(disks)) if disks else unknown("/proc/self/mounts lists no filesystem on a device")

    def _holds_files(self, device: str, kind: str) -> bool:
        if kind in _IMAGES:
            return False
        if kind in _NETWORK or kind in _WITHOUT_DEVICE:
            return True
        if self._kinds is None:
            listed = self._source.text("/proc/filesystems").value or ""
            self._kinds = {line.strip() for line in listed.splitlines() if line[:1] in ("\t", " ")}
        return kind in self._kinds or device.startswith("/dev/")

    def _disk(self, mount_point: str, device: str, kind: str) -> DiskSample:
        if kind in _NETWORK:
            # statvfs waits for ever on a server that is gone.
            space = unknown("network filesystems are not asked: a dead server would stall")
        else:
            space = self._source.space(mount_point)
        figures = space.value
        return DiskSample(
            mount_point=mount_point,
            device=device,
            filesystem=kind,
            total_bytes=known(figures.total_bytes) if figures else unknown(space.reason),
            used_bytes=known(figures.used_bytes) if figures else unknown(space.reason),
            free_bytes=known(figures.free_bytes) if figures else unknown(space.reason),
        )


def _unescape(field: str) -> str:
    """The kernel writes white space in paths as octal escapes."""
    if "\\" not in field:
        return field
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)
