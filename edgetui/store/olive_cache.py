"""Olive's cache on disk: results of passes by model and settings, whole or not there, held while a job works."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Iterator


class OliveCache:
    """The cache in a state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "olive-cache"
        self._lock = self.folder / "lock"

    @contextmanager
    def in_use(self) -> Iterator[Path]:
        """The folder, ready for Olive and not cleared meanwhile; what an earlier run left half done is removed.

        Raises `EdgetuiError("no_permission")`.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EdgetuiError(
                "no_permission",
                f"The folder {self.folder} for Olive's cache cannot be made ({error.strerror}): make it writable.",
            ) from error
        try:
            if _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                self._tidy()
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield self.folder
        finally:
            os.close(descriptor)

    def size_bytes(self) -> int:
        """All that it takes on disk."""
        total = 0
        for base, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(base, name)).st_size
                except FileNotFoundError:
                    continue
        return total

    def clear(self) -> int:
        """Remove all of it and say how many bytes that were; raises `EdgetuiError`: `busy`, `no_permission`."""
        size = self.size_bytes()
        try:
            descriptor = os.open(self._lock, os.O_RDWR)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._cannot_be_cleared(error) from error
        try:
            if not _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                raise EdgetuiError("busy", "A job of Olive works with the cache: wait for it, or cancel it.")
            for path in self.folder.iterdir():
                if path != self._lock:
                    _remove(path)
        except OSError as error:
            raise self._cannot_be_cleared(error) from error
        finally:
            os.close(descriptor)
        return size

    def _cannot_be_cleared(self, error: OSError) -> EdgetuiError:
        return EdgetuiError(
            "no_permission", f"Olive's cache {self.folder} cannot be cleared ({error.strerror}): make it writable."
        )

    def _tidy(self) -> None:
        """Remove every run that is not whole: Olive would fail on it, again and again."""
        for workflow in self.folder.iterdir():
            runs = workflow / "runs"
            for run in runs.iterdir() if runs.is_dir() else ():
                if not _is_whole(run):
                    _remove(run)


def _is_whole(run: Path) -> bool:
    """Whether a run has its two records, and the model that they name."""
    try:
        json.loads((run / "run.json").read_text(encoding="utf-8"))
        model = json.loads((run / "model.json").read_text(encoding="utf-8"))
        told = model["config"]["model_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(told, str) and os.path.exists(told)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    return True
