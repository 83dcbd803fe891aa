"""Putting files on disk while they are still being written, so that their end does not wait for all of it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STEP_BYTES = 32 * 1024**2
"""A disk is asked again when a file has grown by so much."""
POLL_S = 0.2


class WriteBehind:
    """While this is entered, a thread follows files that native code writes; it makes none."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> WriteBehind:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: what it still has to do, it does beside the checks, and the final fsync finds it done.
        self._ended.set()

    def _follow(self) -> None:
        safe = dict.fromkeys(self._paths, 0)
        while not self._ended.wait(POLL_S):
            for path, bytes_safe in safe.items():
                with suppress(OSError):
                    size = path.stat().st_size
                    if size - bytes_safe >= STEP_BYTES:
                        _put_data_on_disk(path)
                        safe[path] = size
        for path in self._paths:
            with suppress(OSError):
                _put_data_on_disk(path)


def _put_data_on_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
    finally:
        os.close(descriptor)
