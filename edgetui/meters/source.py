"""Where probes read: the files of this machine, or of a recorded one under another root.

What is no file on a live machine (statvfs, a command's output) lies in a recording under `recorded/`.
"""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgetui.core.hardware import Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND_LIMIT_S = 5.0
"""A vendor's tool that hangs on a wedged driver must not hang the probe."""

_BLOCK_BYTES = 65_536


class FilesystemSpace(NamedTuple):
    """What statvfs says of a filesystem, in bytes."""

    total_bytes: int
    used_bytes: int
    free_bytes: int


class MachineSource:
    """Reads the files of one machine; paths are absolute as on that machine."""

    def __init__(self, root: Path) -> None:
        self.is_live = str(root) == "/"
        """False for a recording: nothing of the machine that runs this may leak into it."""
        self._prefix = "" if self.is_live else str(root)
        self._denied: frozenset[str] = frozenset()
        if not self.is_live:
            self._denied = frozenset((self.text("/recorded/denied").value or "").split())

    def read(self, path: str) -> str:
        """Text of a file without surrounding white space; raises OSError."""
        return self.read_bytes(path).decode("utf-8", "replace").strip(" \t\r\n\0")

    def read_bytes(self, path: str) -> bytes:
        """What a file holds; raises OSError."""
        # os.read instead of open(): the probes read hundreds of tiny files, and this is several times cheaper.
        blocks = []
        if path in self._denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        try:
            descriptor = os.open(self._prefix + path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while block := os.read(descriptor, _BLOCK_BYTES):
                    blocks.append(block)
            finally:
                os.close(descriptor)
        except OSError as error:
            # Reasons name the file as that machine knows it; a failed read does not name it at all.
            error.filename = path
            raise
        return b"".join(blocks)

    def text(self, path: str) -> Reading[str]:
        """Text of a file, or why it cannot be read."""
        try:
            text = self.read(path)
        except OSError as error:
            return unknown(reason_of(error, path))
        return known(text) if text else unknown(f"{path} is empty")

    def integer(self, path: str, factor: int = 1) -> Reading[int]:
        """Whole number in a file times `factor`, or why there is none."""
        text = self.text(path)
        if text.value is None:
            return unknown(text.reason)
        try:
            return known(int(text.value) * factor)
        except ValueError:
            return unknown(f"{path} holds no number")

    def names(self, path: str) -> list[str]:
        """Names in a folder in order; empty when it cannot be listed."""
        try:
            return sorted(os.listdir(self._prefix + path), key=_natural_key)
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(self._prefix + path)

    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self._prefix + path)

    def target(self, path: str) -> str:
        """Where a path leads when every link is followed; the path itself when it is none."""
        if self.is_live:
            return os.path.realpath(path)
        return self.text(f"/recorded/links{path}").value or path

    def properties(self, path: str) -> dict[str, str]:
        """`NAME=value` lines of a file such as a uevent; empty when it cannot be read."""
        try:
            lines = self.read(path).splitlines()
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def space(self, mount_point: str) -> Reading[FilesystemSpace]:
        """Size and free space of the filesystem mounted there."""
        if not self.is_live:
            return self._recorded_space(mount_point)
        try:
            found = os.statvfs(mount_point)
        except OSError as error:
            return unknown(reason_of(error, mount_point))
        unit = found.f_frsize
        return known(
            FilesystemSpace(found.f_blocks * unit, (found.f_blocks - found.f_bfree) * unit, found.f_bavail * unit)
        )

    def command(self, *arguments: str) -> Reading[str]:
        """What a command prints, or why it cannot be had."""
        name = arguments[0]
        if not self.is_live:
            # One recording a subcommand where a tool has several.
            recorded = self.text(f"/recorded/commands/{'-'.join(arguments[:2])}")
            if recorded.value is None:
                recorded = self.text(f"/recorded/commands/{name}")
            return recorded if recorded.value is not None else unknown(f"{name} not installed")
        try:
            done = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_LIMIT_S,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError:
            return unknown(f"{name} not installed")
        except subprocess.TimeoutExpired:
            return unknown(f"{name} did not answer within {COMMAND_LIMIT_S:.0f} s")
        except OSError as error:
            return unknown(reason_of(error, name))
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            return unknown(f"{name} failed: {said[0] if said else f'status {done.returncode}'}")
        return known(done.stdout)

    def _recorded_space(self, mount_point: str) -> Reading[FilesystemSpace]:
        text = self.text("/recorded/filesystems.json")
        recorded: dict[str, Any] = msgspec.json.decode(text.value) if text.value is not None else {}
        if mount_point not in recorded:
            return unknown(f"the recording has no figures for {mount_point}")
        return known(msgspec.convert(recorded[mount_point], FilesystemSpace))


def attempt(probe: Callable[[], Reading[Any]]) -> Reading[Any]:
    """A probe's reading; whatever goes wrong in it becomes the reason, so that no probe takes the others down."""
    try:
        return probe()
    except OSError as error:
        return unknown(reason_of(error, str(error.filename or "a file it needs")))
    except Exception as error:
        return unknown(f"the probe failed ({type(error).__name__}: {error})")


def reason_of(error: OSError, path: str) -> str:
    """Why a file could not be read, in a few words."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no {path}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"reading {path} needs a permission"
    return f"{path}: {error.strerror or type(error).__name__}"


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """`0-2,8` -> 0, 1, 2, 8: the kernel's list format."""
    cpus: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first:
            cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)


def _natural_key(name: str) -> tuple[str, int, str]:
    """`cpu10` after `cpu9`."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits) if digits else -1, name
