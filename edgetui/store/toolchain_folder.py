"""Environments of toolchains on disk: the mark that says one is complete, and taking its name or giving it up."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.toolchains import ToolchainMark
from edgetui.worker.requests.base import hidden_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "ready.json"
_OLD = "old"
"""In the hidden names of environments that are being removed."""


def read_mark(folder: Path) -> ToolchainMark | None:
    """The mark of a complete environment, None for any other; raises `EdgetuiError("bad_file")` for a damaged one."""
    try:
        return msgspec.json.decode((folder / MARK).read_bytes(), type=ToolchainMark)
    except OSError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgetuiError("bad_file", f"{folder / MARK} is damaged", detail=str(error)) from error


def write_mark(folder: Path, mark: ToolchainMark) -> None:
    """Declare an environment complete; on disk when this returns. Raises OSError."""
    new = folder / f"{MARK}.new"
    with new.open("wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(mark)))
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(folder / MARK)


def take_place(made: Path, folder: Path) -> None:
    """Give a complete environment its name, in place of the one that may be there. Raises OSError."""
    old = _set_aside(folder)
    os.rename(made, folder)
    if old is not None:
        _remove_tree(old)


def remove_environment(folder: Path) -> bool:
    """Remove an environment, or the link to one; at no moment is a part of it under its name. Raises OSError."""
    old = _set_aside(folder)
    if old is not None:
        _remove_tree(old)
    return old is not None


def remove_leftovers(folder: Path) -> None:
    """Remove what was being removed when its process ended; for who has the `claim`."""
    for old in folder.parent.glob(f".{folder.name}.{_OLD}*.part"):
        _remove_tree(old)


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Keep every other process from installing or removing this one; raises `EdgetuiError("busy")`, OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EdgetuiError(
                "busy", f"The toolchain {folder.name} is being installed or removed by another edgetui: wait for it."
            ) from error
        yield
    finally:
        os.close(descriptor)


def _set_aside(folder: Path) -> Path | None:
    old = hidden_beside(folder, f"{_OLD}-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        os.rename(folder, old)
        return old
    return None


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
