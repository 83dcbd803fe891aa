"""Whose turn it is to download: so many at once, the others in order of priority and age.

Each waiting download holds a lock on a file of its own; its name tells its place. A process that ends, however it
ends, leaves the queue with its lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL_S = 0.25


@contextmanager
def turn(folder: Path, job_id: str, priority: int, at_once: int, on_wait: Callable[[int], None]) -> Iterator[None]:
    """Wait until it is this job's turn, and keep it for as long as the context lasts.

    `on_wait` gets how many others are before it, again and again; raises `OSError` when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"{priority}-{time.time_ns():020d}-{job_id}"
    # Another one that tidies up may hold it for the moment between its making and its lock.
    while (place := _hold(mine)) is None:
        time.sleep(_POLL_S)
    slot = None
    try:
        while slot is None:
            before = _before(folder, os.fstat(place).st_ino)
            if not before:
                slot = next((held for n in range(at_once) if (held := _hold(folder / f"slot-{n}")) is not None), None)
            if slot is None:
                on_wait(len(before))
                time.sleep(_POLL_S)
        _leave(folder, place)
        place = None
        yield
    finally:
        if place is not None:
            _leave(folder, place)
        if slot is not None:
            os.close(slot)


def put_first(folder: Path, job_id: str) -> bool:
    """Let a waiting job be the next; False when it does not wait."""
    for path in folder.glob(f"[0-9]-*-{job_id}"):
        with suppress(OSError):
            path.rename(folder / f"0{path.name[1:]}")
            return True
    return False


def _hold(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever tidied up may have removed it between: a lock on a file without a name holds nothing.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _before(folder: Path, inode: int) -> list[Path]:
    """Those that wait with a better place; what dead processes left is removed."""
    found: list[Path] = []
    for path in sorted(folder.glob("[0-9]-*")):
        with suppress(FileNotFoundError):
            if path.stat().st_ino == inode:
                return found
            if (held := _hold(path)) is not None:
                path.unlink()
                os.close(held)
            else:
                found.append(path)
    return found


def _leave(folder: Path, place: int) -> None:
    inode = os.fstat(place).st_ino
    for path in folder.glob("[0-9]-*"):
        with suppress(FileNotFoundError):
            if path.stat().st_ino == inode:
                path.unlink()
    os.close(place)
