"""Weights in huge pages (Linux): the processor looks up far fewer addresses while a decode streams through them.

A file that is mapped lies in small pages of 4 KiB whatever its size. Memory of the process's own may lie in pages of
2 MiB (of a kernel with 4-KiB pages), where the kernel is asked before it is written: `transparent huge pages`, see
madvise(2) and Documentation/admin-guide/mm/transhuge.rst in Linux.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Stretch: TypeAlias = "tuple[int, int]"
"""Of memory, from its first address to the one behind its last."""
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_OFF = "[never]"
LEAST_BYTES = 8 * 1024**2
"""Of a stretch of memory worth asking for: buffers smaller than that are in the processor's caches anyway."""


def are_available() -> bool:
    """Whether the kernel gives huge pages to a process that asks."""
    try:
        return _OFF not in _ENABLED.read_text()
    except OSError:
        return False


class HugePages:
    """Asks for the large stretches of memory that a load allocates: begin before, `ask` before they are written.

    What an allocator takes from memory that was freed before, and not from the system, is left as it lies.
    """

    def __init__(self) -> None:
        self._before = _own_memory()
        self._held = held_bytes()
        self._was_asked = False

    def ask(self) -> None:
        """Ask once for everything large that came since; the kernel may say no, and then nothing changes."""
        if self._was_asked:
            return
        self._was_asked = True
        if not are_available():
            return
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for start, end in _without(_own_memory(), self._before):
            if end - start >= LEAST_BYTES:
                madvise(start, end - start, mmap.MADV_HUGEPAGE)

    def gained_bytes(self) -> int:
        """Memory of this process that has come to lie in huge pages since the beginning."""
        return max(0, held_bytes() - self._held)


def held_bytes() -> int:
    """Memory of this process that lies in huge pages; 0 where the system does not tell."""
    with suppress(OSError):
        found = re.search(r"AnonHugePages:\s*(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def _own_memory() -> list[Stretch]:
    """Each stretch of memory that may be written and is of no file, in rising order."""
    found: list[Stretch] = []
    with suppress(OSError):
        # Bytes: a line may end with the path of a file, which may be anything but a line feed.
        for line in Path("/proc/self/maps").read_bytes().split(b"\n"):
            places, rights, _, _, inode, *name = [*line.split(maxsplit=5), *[b""] * 5][:6]
            # The heap and stacks have names; what an allocator maps has none, or one that it gave.
            if rights.startswith(b"rw") and inode == b"0" and (not name[0] or name[0].startswith(b"[anon")):
                start, _, end = places.partition(b"-")
                found.append((int(start, 16), int(end, 16)))
    return found


def _without(stretches: list[Stretch], others: list[Stretch]) -> Iterator[Stretch]:
    """What is in a stretch and in no other one, both in rising order: two side by side show as one."""
    for first, end in stretches:
        start = first
        for other_start, other_end in others:
            if other_end > start and other_start < end:
                if other_start > start:
                    yield start, other_start
                start = other_end
        if start < end:
            yield start, end
