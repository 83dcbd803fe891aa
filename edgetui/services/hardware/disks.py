"""Mounted filesystems that hold files, with their kind of storage and free space, as `df` counts it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import DiskSample, Reading, known, unknown
from edgetui.meters.source import attempt
from edgetui.services.hardware.disk_kinds import disk_kind
from edgetui.services.hardware.time_limit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import FilesystemSpace, MachineSource

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "fuse.sshfs", "fuse.rclone"}
_WITHOUT_DEVICE = {"btrfs", "zfs", "overlay", "bcachefs", "virtiofs"}
"""Filesystems that hold files though the kernel lists them as `nodev`."""
_IMAGES = {"squashfs", "iso9660", "erofs", "cramfs", "romfs"}
"""Read-only images: nothing can ever be written there."""
_IN_MEMORY = {"tmpfs", "ramfs"}
_OCTAL = re.compile(r"\\([0-7]{3})")
_ASK_AGAIN_S = 5.0
_MOUNT_LIMIT_S = 1.0
"""A server that is gone keeps statvfs for ever."""


class _Mount(NamedTuple):
    device: str
    point: str
    filesystem: str


class DiskSpace:
    """Reads free space every few seconds; keeps which filesystem types stand on devices, and of what kind those are."""

    def __init__(
        self, source: MachineSource, models_folder: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._models_folder = models_folder
        self._clock = clock
        self._limit = TimeLimit()
        self._types: set[str] | None = None
        self._kinds: dict[_Mount, Reading[str]] = {}
        self._answer: tuple[float, Reading[tuple[DiskSample, ...]], Reading[DiskSample]] | None = None

    def sample(self) -> Reading[tuple[DiskSample, ...]]:
        """Every such filesystem once, at the shortest path it is mounted on, in order of path."""
        return self._answers()[1]

    def models_disk(self) -> Reading[DiskSample]:
        """The filesystem of the models folder, whatever its type."""
        return self._answers()[2]

    def _answers(self) -> tuple[float, Reading[tuple[DiskSample, ...]], Reading[DiskSample]]:
        now = self._clock()
        if self._answer is None or now - self._answer[0] >= _ASK_AGAIN_S:
            mounts: Reading[list[_Mount]] = attempt(lambda: known(_mounts(self._source)))
            if mounts.value is None:
                self._answer = (now, unknown(mounts.reason), unknown(mounts.reason))
            else:
                found = mounts.value
                self._answer = (now, attempt(lambda: self._list(found)), attempt(lambda: self._holder(found)))
        return self._answer

    def _list(self, mounts: list[_Mount]) -> Reading[tuple[DiskSample, ...]]:
        found: dict[str, _Mount] = {}
        for mount in mounts:
            if not self._holds_files(mount):
                continue
            # A container has an overlay of its own below "/"; elsewhere equal sources are one filesystem.
            key = mount.point if mount.filesystem == "overlay" else mount.device
            before = found.get(key)
            if (before is None or len(mount.point) < len(before.point)) and not self._is_file(mount):
                found[key] = mount
        disks = [self._disk(mount) for mount in sorted(found.values(), key=lambda mount: mount.point)]
        return known(tuple(disks)) if disks else unknown("/proc/self/mounts lists no filesystem on a device")

    def _holder(self, mounts: list[_Mount]) -> Reading[DiskSample]:
        folder = self._models_folder
        if not folder:
            return unknown("no models folder was named")
        inside = [mount for mount in mounts if _is_under(folder, mount.point)]
        if not inside:
            return unknown(f"/proc/self/mounts does not list what holds {folder}")
        # The last of several mounts on one point is the one that is seen.
        return known(self._disk(max(reversed(inside), key=lambda mount: len(mount.point))))

    def _holds_files(self, mount: _Mount) -> bool:
        kind = mount.filesystem
        if kind in _IMAGES:
            return False
        if kind in _NETWORK or kind in _WITHOUT_DEVICE:
            return True
        if self._types is None:
            listed = self._source.text("/proc/filesystems").value or ""
            self._types = {line.strip() for line in listed.splitlines() if line[:1] in ("\t", " ")}
        return kind in self._types or mount.device.startswith("/dev/")

    def _is_file(self, mount: _Mount) -> bool:
        """Containers mount single files; asking a server that is gone would stall."""
        asked = self._limit.ask(
            f"kind of {mount.point}", lambda: known(self._source.is_file(mount.point)), _MOUNT_LIMIT_S
        )
        return bool(asked.value)

    def _disk(self, mount: _Mount) -> DiskSample:
        space: Reading[FilesystemSpace] = self._limit.ask(
            f"space of {mount.point}", lambda: self._source.space(mount.point), _MOUNT_LIMIT_S
        )
        if mount not in self._kinds:
            self._kinds[mount] = attempt(lambda: self._kind(mount))
        figures = space.value
        return DiskSample(
            mount_point=mount.point,
            device=mount.device,
            filesystem=mount.filesystem,
            total_bytes=known(figures.total_bytes) if figures else unknown(space.reason),
            used_bytes=known(figures.used_bytes) if figures else unknown(space.reason),
            free_bytes=known(figures.free_bytes) if figures else unknown(space.reason),
            kind=self._kinds[mount],
        )

    def _kind(self, mount: _Mount) -> Reading[str]:
        if mount.filesystem in _NETWORK:
            return known("network")
        if mount.filesystem in _IN_MEMORY:
            return known("memory")
        if mount.filesystem == "overlay":
            return unknown("a container does not see the disk under its layers")
        if mount.filesystem == "virtiofs":
            return known("folder of the host")
        return disk_kind(self._source, mount.device, _device_number(self._source, mount.point))


def _mounts(source: MachineSource) -> list[_Mount]:
    found = []
    for line in source.read("/proc/self/mounts").splitlines():
        device, point, filesystem, *_ = (_unescape(field) for field in line.split(" "))
        found.append(_Mount(device, point, filesystem))
    return found


def _device_number(source: MachineSource, mount_point: str) -> str:
    """`179:2` by /proc/self/mountinfo; empty where it does not tell."""
    for line in (source.text("/proc/self/mountinfo").value or "").splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and _unescape(fields[4]) == mount_point:
            return fields[2]
    return ""


def _is_under(path: str, mount_point: str) -> bool:
    return mount_point == "/" or path == mount_point or path.startswith(mount_point + "/")


def _unescape(field: str) -> str:
    """The kernel writes white space in paths as octal escapes."""
    if "\\" not in field:
        return field
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)
