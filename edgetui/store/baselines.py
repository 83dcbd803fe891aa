"""Baselines that are kept: which file is of which parent and text, and which go when there are too many."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.base_logits import BaseLogits

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 8 * 1024**3
"""Of all baselines together; 16 chunks of 512 tokens take 0.4 GB for a vocabulary of 49,152 tokens."""
_SUFFIX = ".logits"


class Baselines:
    """Files in one folder; the time of change of each says when it was last used."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def path_of(self, base_fingerprint: str, text_sha256: str, context_tokens: int, chunks: int) -> Path:
        """Where the baseline of this parent over these chunks of this text is, or would be."""
        key = f"{base_fingerprint} {text_sha256} {context_tokens} {chunks}"
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{_SUFFIX}"

    def take(self, path: Path, *, text_sha256: str, base_fingerprint: str) -> bool:
        """Whether it is there and sound, and so does not have to be made; one that is not sound is removed."""
        if not path.exists():
            return False
        try:
            with BaseLogits(path) as base:
                base.require(text_sha256=text_sha256, base_fingerprint=base_fingerprint)
        except EdgetuiError:
            path.unlink(missing_ok=True)
            return False
        with suppress(OSError):
            os.utime(path)
        return True

    def make_room(self, path: Path, size_bytes: int, headroom_bytes: int) -> None:
        """Remove the longest unused so that `path` with this size fits below the limit and onto the disk.

        Raises `EdgetuiError`: `no_permission`, `no_space` where it would not fit all the same.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgetuiError(
                "no_permission",
                f"The folder {self._folder} for baselines cannot be made ({error.strerror}): make the folder above it"
                " writable.",
            ) from error
        others = [other for other in self._by_use() if other != path]
        while others and not self._fits(others, size_bytes, headroom_bytes):
            others.pop(0).unlink(missing_ok=True)
        free = shutil.disk_usage(self._folder).free
        if size_bytes + headroom_bytes > free:
            raise EdgetuiError(
                "no_space",
                f"The parent's logits take {format_bytes(size_bytes)}, {format_bytes(free)} are free in {self._folder}"
                f" and {format_bytes(headroom_bytes)} shall stay free: free some space, or take fewer chunks.",
            )

    def trim(self) -> None:
        """Remove the longest unused beyond the limit; after a measurement, which may have needed more."""
        files = self._by_use()
        while files and self._total(files) > self._most_bytes:
            files.pop(0).unlink(missing_ok=True)

    def _fits(self, others: list[Path], size_bytes: int, headroom_bytes: int) -> bool:
        free = shutil.disk_usage(self._folder).free
        return self._total(others) + size_bytes <= self._most_bytes and size_bytes + headroom_bytes <= free

    def _by_use(self) -> list[Path]:
        """The longest unused first."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    @staticmethod
    def _total(files: list[Path]) -> int:
        total = 0
        for path in files:
            with suppress(OSError):
                total += path.stat().st_size
        return total
