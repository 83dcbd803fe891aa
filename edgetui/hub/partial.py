"""The part of a file that is here already: which bytes are safe on disk, and the hash of all of them.

A thread follows the writer: it hashes what was written, most of it still in memory, and puts it on disk every few MiB.
The network never waits for either. How much is safe stands in a small file beside it, so that a download goes on there
after a power cut; bytes beyond are fetched again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetui.formats.hub_cache import partial_blob_files

if TYPE_CHECKING:
    from pathlib import Path

SAFE_STEP_BYTES = 4 * 1024 * 1024
"""What is fetched again at most after a crash, besides what was under way."""
_BLOCK_BYTES = 1024 * 1024


class PartialFile:
    """Appends to a file under a hidden name; use it as a context, one process at a time."""

    def __init__(self, blob: Path, *, git_blob_bytes: int | None = None) -> None:
        """Of what becomes this blob.

        `git_blob_bytes` is the whole size of a file that Git's SHA-1 names; without it SHA-256 is taken.
        """
        self._path, self._safe_path = partial_blob_files(blob)
        self._git_blob_bytes = git_blob_bytes
        self._changed = threading.Condition()
        self._failure: OSError | None = None
        self._is_over = False

    def __enter__(self) -> PartialFile:
        self._stream = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        self.size = min(self._read_safe(), os.fstat(self._stream.fileno()).st_size)
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if not self._is_over:
            with suppress(OSError):
                self._mark_safe(self.size)
        self._stream.close()

    def append(self, data: bytes) -> None:
        """Write more; raises `OSError` as the disk does."""
        if self._failure is not None:
            raise self._failure
        view = memoryview(data)
        while view:
            count = os.pwrite(self._stream.fileno(), view, self.size)
            view = view[count:]
            with self._changed:
                self.size += count
                self._changed.notify()

    def restart(self) -> None:
        """Forget everything: another content comes."""
        self._end()
        self.size = 0
        self._begin()

    def digest(self) -> str:
        """Hash of all that was written, in hexadecimal digits; everything is on disk when this returns."""
        self._end()
        if self._failure is not None:
            raise self._failure
        os.fsync(self._stream.fileno())
        return self._hash.hexdigest()

    def remove(self) -> None:
        """Remove the file and its mark."""
        self._is_over = True
        for path in (self._path, self._safe_path):
            path.unlink(missing_ok=True)

    def rename(self, target: Path) -> None:
        """Give the file its final name; what was written must be on disk, as `digest` sees to."""
        os.replace(self._path, target)
        self._is_over = True
        self._safe_path.unlink(missing_ok=True)

    # --- the follower -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        os.ftruncate(self._stream.fileno(), self.size)
        if self._git_blob_bytes is None:
            self._hash = hashlib.sha256()
        else:
            # Git names a blob by this header and its content.
            self._hash = hashlib.sha1(b"blob %d\0" % self._git_blob_bytes, usedforsecurity=False)
        self._ending = False
        self._found = self.size
        self._thread = threading.Thread(target=self._follow, name="hash", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _follow(self) -> None:
        hashed = safe = 0
        try:
            while True:
                with self._changed:
                    while not self._ending and self.size == hashed:
                        self._changed.wait()
                    size, ending = self.size, self._ending
                while hashed < size:
                    block = os.pread(self._stream.fileno(), min(_BLOCK_BYTES, size - hashed), hashed)
                    self._hash.update(block)
                    hashed += len(block)
                    if hashed > self._found and hashed - safe >= SAFE_STEP_BYTES:
                        safe = hashed
                        self._mark_safe(safe)
                if ending and hashed == self.size:
                    return
        except OSError as error:
            # The writer meets it with its next piece.
            self._failure = error

    def _mark_safe(self, size: int) -> None:
        os.fdatasync(self._stream.fileno())
        self._safe_path.write_text(str(size), encoding="ascii")

    def _read_safe(self) -> int:
        try:
            return max(0, int(self._safe_path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            return 0
