"""The part of a file that is here already: which bytes are safe on disk, and the hash of all of them.

Two threads follow the writer: one hashes what was written, most of it still in memory, the other puts it on disk every
few MiB. How much is safe stands in a small file beside it, so that a download goes on there after a power cut; bytes
beyond are fetched again. The network waits only for a disk that has fallen far behind it: all must be on disk in the
end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from edgetui.formats.hub_cache import partial_blob_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAFE_STEP_BYTES = 4 * 1024 * 1024
"""How much is put on disk at once."""
MOST_UNSAFE_BYTES = 2 * SAFE_STEP_BYTES
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
        self.size = self._safe = self._told = self._hashed = 0

    def __enter__(self) -> PartialFile:
        self._stream, self._safe_stream = (_opened(path) for path in (self._path, self._safe_path))
        self.size = min(self._read_safe(), os.fstat(self._stream.fileno()).st_size)
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if not self._is_over:
            with suppress(OSError):
                self._mark_safe(self.size)
        self._stream.close()
        self._safe_stream.close()

    def append(self, data: bytes) -> None:
        """Write more; raises `OSError` as the disk does."""
        view = memoryview(data)
        while view:
            self._await_disk()
            count = os.pwrite(self._stream.fileno(), view, self.size)
            view = view[count:]
            self.size += count
            # Not for every piece: waking a thread costs more than taking a small one.
            if self.size - self._told >= _BLOCK_BYTES:
                self._told = self.size
                with self._changed:
                    self._changed.notify_all()

    def restart(self) -> None:
        """Forget everything: another content comes."""
        self._end()
        self.size = 0
        self._mark_safe(0)
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

    # --- the followers ------------------------------------------------------------------------------------

    def _await_disk(self) -> None:
        if self.size - self._safe >= MOST_UNSAFE_BYTES:
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._failure or self.size - self._safe < MOST_UNSAFE_BYTES)
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        os.ftruncate(self._stream.fileno(), self.size)
        if self._git_blob_bytes is None:
            self._hash = hashlib.sha256()
        else:
            # Git names a blob by this header and its content.
            self._hash = hashlib.sha1(b"blob %d\0" % self._git_blob_bytes, usedforsecurity=False)
        self._ending = False
        self._safe = self._told = self.size
        self._followers = [
            threading.Thread(target=self._follow, args=(work,), name=work.__name__, daemon=True)
            for work in (self._hash_along, self._sync_along)
        ]
        for follower in self._followers:
            follower.start()

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for follower in self._followers:
            follower.join()

    def _follow(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            # The writer meets it with its next piece.
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _hash_along(self) -> None:
        self._hashed = 0
        # One block for all: new ones would cost as much as the reading.
        block = memoryview(bytearray(_BLOCK_BYTES))
        while not self._ending or self._hashed < self.size:
            with self._changed:
                self._changed.wait_for(lambda: self._ending or self.size - self._hashed >= _BLOCK_BYTES)
            count = os.preadv(self._stream.fileno(), [block[: self.size - self._hashed]], self._hashed)
            if not count and self._hashed < self.size:
                raise OSError(errno.EIO, "the file was cut by another program", str(self._path))
            self._hash.update(block[:count])
            self._hashed += count

    def _sync_along(self) -> None:
        while not self._ending:
            with self._changed:
                self._changed.wait_for(lambda: self._ending or self.size - self._safe >= SAFE_STEP_BYTES)
            size = self.size
            if size - self._safe >= SAFE_STEP_BYTES:
                self._mark_safe(size)
                with self._changed:
                    self._safe = size
                    self._changed.notify_all()

    def _mark_safe(self, size: int) -> None:
        os.fdatasync(self._stream.fileno())
        # In place and of one width, so that a power cut leaves the former mark or this one.
        os.pwrite(self._safe_stream.fileno(), b"%020d" % size, 0)
        os.fdatasync(self._safe_stream.fileno())

    def _read_safe(self) -> int:
        try:
            return max(0, int(os.pread(self._safe_stream.fileno(), 20, 0)))
        except ValueError:
            return 0


def _opened(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
