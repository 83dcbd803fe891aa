"""How much of a file the system holds in memory, and putting it out of there."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def cached_share(paths: Sequence[Path]) -> float | None:
    """Share of the files' pages that are in memory, by mincore(2); None where the system does not tell.

    Linux answers for a file truthfully only to those who may write it or own it.
    """
    pages, resident = 0, 0
    for path in paths:
        found = _resident_pages(path)
        if found is None:
            return None
        pages += found[1]
        resident += found[0]
    return resident / pages if pages else None


def drop(paths: Sequence[Path]) -> bool:
    """Ask the system to forget the files' pages; says whether it can be asked. Pages that a process maps stay."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            # Pages that are not on disk yet are never dropped; of a finished model there are none, of a new one some.
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return True


def _resident_pages(path: Path) -> tuple[int, int] | None:
    """Pages in memory, and all pages."""
    size = path.stat().st_size
    is_ours = hasattr(os, "getuid") and (os.access(path, os.W_OK) or path.stat().st_uid == os.getuid())
    libc = ctypes.CDLL(None, use_errno=True)
    if not size or not is_ours or not hasattr(libc, "mincore"):
        return None
    count = -(-size // mmap.PAGESIZE)
    answer = (ctypes.c_ubyte * count)()
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        address = ctypes.c_char.from_buffer(mapped)
        try:
            status = libc.mincore(ctypes.c_void_p(ctypes.addressof(address)), ctypes.c_size_t(size), answer)
        finally:
            # The map cannot be closed while something points into it.
            del address
    if status != 0:
        return None
    return sum(page & 1 for page in answer), count
